#include "client_link.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

enum { FULL_PAUSE_MS = 20 }; /* between two tries where connections wait already */

/* --- waiting --- */

/* How long to wait at most: milliseconds, -1 for ever, or -ETIMEDOUT. */
static int64_t time_left(const struct client_link *link)
{
    if (link->deadline == CLIENT_NEVER)
        return -1;
    uint64_t now = link->os->clock_ms(link->os);
    if (now >= link->deadline)
        return -ETIMEDOUT;
    return (int64_t)(link->deadline - now);
}

static int watch(struct client_link *link, bool sending)
{
    link->sending = sending;
    return link->os->watch_add(link->os, link->set, link->fd, 0, !sending, sending);
}

static int wait_for(struct client_link *link, bool sending)
{
    struct os *os = link->os;
    struct os_ready ready;
    if (sending != link->sending) {
        (void)os->watch_remove(os, link->set, link->fd);
        int error = watch(link, sending);
        if (error < 0)
            return error;
    }
    int64_t left = time_left(link);
    if (left == -ETIMEDOUT)
        return -ETIMEDOUT;
    int found = os->watch_wait(os, link->set, &ready, 1, left);
    return found < 0 ? found : 0;
}

/* --- the connection --- */

static int address_of(const char *path, struct os_address *address)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof local.sun_path)
        return -ENAMETOOLONG;
    memcpy(local.sun_path, path, length);
    *address = (struct os_address){
        .length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1)};
    memcpy(&address->address, &local, address->length);
    return 0;
}

/* Where as many wait as may, there is nothing that tells when one of them is let in. */
static int connect_to(struct client_link *link, const struct os_address *address)
{
    struct os *os = link->os;
    for (;;) {
        int error = os->socket_connect(os, link->fd, address);
        if (error != -EAGAIN)
            return error;
        if (time_left(link) == -ETIMEDOUT)
            return -ETIMEDOUT;
        os->pause_ms(os, FULL_PAUSE_MS);
    }
}

int client_link_open(struct client_link *link, struct os *os, const char *path, uint64_t deadline)
{
    struct os_address address;
    link->os = os;
    link->deadline = deadline;
    link->start = link->scanned = link->end = 0;
    int error = address_of(path, &address);
    if (error < 0)
        return error;
    link->fd = os->socket_open(os, AF_UNIX, SOCK_STREAM);
    if (link->fd < 0)
        return link->fd;
    error = connect_to(link, &address);
    if (error < 0)
        goto close_socket;
    link->set = os->watch_open(os);
    if (link->set < 0) {
        error = link->set;
        goto close_socket;
    }
    error = watch(link, false);
    if (error < 0)
        goto close_set;
    return 0;

close_set:
    (void)os->close(os, link->set);
close_socket:
    (void)os->close(os, link->fd);
    return error;
}

void client_link_close(struct client_link *link)
{
    (void)link->os->close(link->os, link->set);
    (void)link->os->close(link->os, link->fd);
}

/* --- lines --- */

static bool has_closed(ssize_t error)
{
    return error == -EPIPE || error == -ECONNRESET;
}

int client_link_send(struct client_link *link, const char *bytes, size_t length)
{
    struct os *os = link->os;
    for (size_t at = 0; at < length;) {
        ssize_t sent = os->socket_send(os, link->fd, bytes + at, length - at);
        int error = 0;
        if (sent >= 0)
            at += (size_t)sent;
        else if (has_closed(sent))
            return 0;
        else
            error = sent == -EAGAIN ? wait_for(link, true) : (int)sent;
        if (error < 0)
            return error;
    }
    return 0;
}

/* Is there a whole line? It is taken out, without its newline. */
static bool take_line(struct client_link *link, char **line, size_t *length)
{
    char *newline = memchr(link->bytes + link->scanned, '\n', link->end - link->scanned);
    if (newline == NULL) {
        link->scanned = link->end;
        return false;
    }
    *line = link->bytes + link->start;
    *length = (size_t)(newline - *line);
    link->start += *length + 1;
    link->scanned = link->start;
    return true;
}

/* Reads more of the line that has begun. Returns 1, or what client_link_answer() returns. */
static int read_more(struct client_link *link)
{
    struct os *os = link->os;
    if (link->start > 0) {
        memmove(link->bytes, link->bytes + link->start, link->end - link->start);
        link->scanned -= link->start;
        link->end -= link->start;
        link->start = 0;
    }
    if (link->end == sizeof link->bytes)
        return -EMSGSIZE;
    if (time_left(link) == -ETIMEDOUT)
        return -ETIMEDOUT;
    ssize_t count = os->read(os, link->fd, link->bytes + link->end, sizeof link->bytes - link->end);
    if (count == -EAGAIN) {
        int error = wait_for(link, false);
        return error < 0 ? error : 1;
    }
    if (count <= 0)
        return has_closed(count) ? 0 : (int)count;
    link->end += (size_t)count;
    return 1;
}

int client_link_answer(struct client_link *link, struct proto_answer *answer)
{
    char *line;
    size_t length;
    for (;;) {
        while (take_line(link, &line, &length)) {
            if (!proto_answer_read(line, length, answer))
                return -EPROTO;
            if (!answer->foreign)
                return 1;
        }
        int more = read_more(link);
        if (more <= 0)
            return more;
    }
}

/* --- words --- */

static bool is_there(struct os *os, const char *path, struct os_file *file)
{
    return os->file_look(os, path, file) == 0;
}

/* connect(2) has one error for a socket that nobody listens on and for what is no socket. */
static const char *refusal(struct os *os, const char *path)
{
    struct os_file file;
    if (is_there(os, path, &file) && file.kind != OS_FILE_SOCKET && file.kind != OS_FILE_LINK)
        return "not a socket";
    return "nobody listens there: the master has gone";
}

void client_link_add_failure(struct text *text, struct os *os, const char *path, int error)
{
    text_add_escaped(text, path, strlen(path));
    text_add(text, ": ");
    switch (error) {
    case 0:
        text_add(text, "the master closed the connection");
        break;
    case -ECONNREFUSED:
        text_add(text, refusal(os, path));
        break;
    case -ENOENT:
        text_add(text, "no such socket: is the master running, with -control?");
        break;
    case -EPROTOTYPE:
        text_add(text, "not the socket of a master");
        break;
    case -EPROTO:
        text_add(text, "what answers there is no master");
        break;
    case -EMSGSIZE:
        text_add(text, "an answer of more than 8 MiB");
        break;
    default:
        text_add(text, strerror(-error));
    }
}
