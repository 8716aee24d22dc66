#include "control_reply.h"

#include <errno.h>
#include <string.h>

static const char cut_mark[] = " ... (cut)";

/* --- putting them together --- */

/* Writes the reply to `bytes`. Returns its length, or 0 if it does not fit. */
static size_t write_reply(char *bytes, size_t size, struct text_span message,
    const struct proto_id *id, enum control_reply reply)
{
    struct text text;
    if (message.length >= size)
        return 0;
    text_init(&text, bytes, size);
    proto_add_reply(&text, message, id, reply == CONTROL_REPLY_MORE, reply == CONTROL_REPLY_FAILED);
    return text.overflow ? 0 : text.length;
}

/* How many bytes of the message make whole characters, if they are to be no more than `most`. */
static size_t whole_characters(struct text_span message, size_t most)
{
    size_t length = most;
    while (length > 0 && most - length < 3 && ((unsigned char)message.bytes[length] & 0xc0) == 0x80)
        length--;
    return length;
}

/* The message's first bytes, `most` at most, and that they are not all. */
static struct text_span cut_at(struct control *control, struct text_span message, size_t most)
{
    size_t kept = whole_characters(message, most);
    memcpy(control->cut, message.bytes, kept);
    memcpy(control->cut + kept, cut_mark, sizeof cut_mark - 1);
    return (struct text_span){control->cut, kept + sizeof cut_mark - 1};
}

/* Writes the reply with as much of the message as fits. */
static size_t write_cut(struct control *control, char *bytes, size_t size, struct text_span message,
    const struct proto_id *id, enum control_reply reply)
{
    size_t room = sizeof control->cut - sizeof cut_mark;
    size_t fits = 0;
    size_t beyond = message.length < room ? message.length : room;
    while (beyond - fits > 1) {
        size_t tried = fits + (beyond - fits) / 2;
        if (write_reply(bytes, size, cut_at(control, message, tried), id, reply) > 0)
            fits = tried;
        else
            beyond = tried;
    }
    return write_reply(bytes, size, cut_at(control, message, fits), id, reply);
}

/* A long one, which nothing can be left out of. */
static bool add_large(struct control *control, unsigned index, struct text_span message,
    const struct proto_id *id, enum control_reply reply)
{
    if (!control->clients[index].large || control->lent >= 0)
        return false;
    size_t length = write_reply(control->large, sizeof control->large, message, id, reply);
    if (length == 0)
        return false;
    control->lent = (int)index;
    control->large_start = 0;
    control->large_end = length;
    return true;
}

bool control_reply_add(struct control *control, unsigned index, struct text_span message,
    const struct proto_id *id, enum control_reply reply)
{
    struct control_client *client = &control->clients[index];
    char *output = control->outputs[index];
    bool last = reply != CONTROL_REPLY_MORE;
    size_t end = last ? CONTROL_OUTPUT : CONTROL_OUTPUT - CONTROL_LAST;

    control->round += message.length;
    memmove(output, output + client->output_start, client->output_end - client->output_start);
    client->output_end -= client->output_start;
    client->output_start = 0;
    size_t at = client->output_end;
    if (at >= end)
        return false;
    size_t length = write_reply(output + at, end - at, message, id, reply);
    if (length == 0 && last && add_large(control, index, message, id, reply))
        return true;
    /* Progress that never fits is better cut than never told. */
    if (length == 0 && (last || at == 0))
        length = write_cut(control, output + at, end - at, message, id, reply);
    client->output_end += length;
    return length > 0;
}

/* --- sending them --- */

bool control_reply_waits(const struct control *control, unsigned index)
{
    const struct control_client *client = &control->clients[index];
    return client->output_end > client->output_start || control->lent == (int)index;
}

/* Sends bytes[*start..end). Returns 0 or -errno. */
static int send_part(struct control *control, struct control_client *client, const char *bytes,
    size_t *start, size_t end)
{
    if (*start == end)
        return 0;
    ssize_t sent = control->os->socket_send(control->os, client->fd, bytes + *start, end - *start);
    if (sent < 0)
        return sent == -EAGAIN ? 0 : (int)sent;
    *start += (size_t)sent;
    return 0;
}

int control_reply_send(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    size_t before = client->output_start;
    int error = send_part(
        control, client, control->outputs[index], &client->output_start, client->output_end);
    bool moves = client->output_start > before;
    bool own_is_sent = client->output_start == client->output_end;
    if (error == 0 && own_is_sent && control->lent == (int)index)
        error =
            send_part(control, client, control->large, &control->large_start, control->large_end);
    if (control->lent == (int)index && control->large_start == control->large_end)
        control->lent = -1;
    /* Others wait for the large buffer: who reads it byte by byte gets no more time for that. Who
     * has taken all of it has time again for the next reply. */
    bool waits = control_reply_waits(control, index);
    if (waits ? !client->writable || moves : client->writable)
        client->output_since = control->os->clock_ms(control->os);
    return error;
}

void control_reply_give_back(struct control *control, unsigned index)
{
    if (control->lent == (int)index)
        control->lent = -1;
}

void control_reply_refuse(struct control *control, int fd, const char *words)
{
    size_t length = write_reply(
        control->cut, sizeof control->cut, text_span_of(words), NULL, CONTROL_REPLY_FAILED);
    control->os->socket_send(control->os, fd, control->cut, length);
}
