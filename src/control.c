#include "control.h"

#include <errno.h>
#include <string.h>

#include "control_peer.h"
#include "control_reply.h"

/* Tokens of the watch set: clients by their index, and this. */
enum { LISTENER_TOKEN = CONTROL_CLIENTS };

/* --- a client --- */

static void client_close(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    /* First out of the set: a worker that is just being started may hold the connection still. */
    control->os->watch_remove(control->os, control->set, client->fd);
    control->os->close(control->os, client->fd);
    control_reply_give_back(control, index);
    *client = (struct control_client){.fd = -1};
}

static bool is_full(const struct control_client *client)
{
    return client->input_end - client->input_start == CONTROL_INPUT;
}

/* Is there a request, or too long a beginning of one, whose turn it could be? */
static bool is_next_due(const struct control *control, unsigned index)
{
    const struct control_client *client = &control->clients[index];
    bool due = client->has_line || is_full(client);
    return client->fd >= 0 && due && client->asking == 0 && !client->closing &&
           !control_reply_waits(control, index) && !(client->large && control->lent >= 0);
}

/* Is an unfinished request all there is? */
static bool is_dribbling(const struct control *control, unsigned index)
{
    const struct control_client *client = &control->clients[index];
    return client->fd >= 0 && !client->has_line && client->input_end > client->input_start &&
           client->asking == 0 && !client->closing && !control_reply_waits(control, index);
}

static bool is_done(const struct control *control, unsigned index)
{
    const struct control_client *client = &control->clients[index];
    return (client->closing || (client->ended && !client->has_line)) && client->asking == 0 &&
           !control_reply_waits(control, index);
}

/* May more be read from it now? */
static bool wants_input(const struct control_client *client)
{
    return !client->ended && !client->closing && !client->has_line && !is_full(client);
}

/* Watches it for what it can do next: for nothing at all while only its end could tell us anything.
 * What is not to be read now, and may be soon, is watched on until it presses. Closes it where it
 * is over. */
static void client_settle(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    struct os *os = control->os;
    if (client->fd < 0)
        return;
    bool readable = wants_input(client) || (client->readable && !client->pressing);
    bool writable = control_reply_waits(control, index);
    if (is_done(control, index)) {
        client_close(control, index);
        return;
    }
    if (readable == client->readable && writable == client->writable)
        return;
    os->watch_remove(os, control->set, client->fd);
    client->readable = readable;
    client->writable = writable;
    client->pressing = false;
    if (os->watch_add(os, control->set, client->fd, index, readable, writable) < 0)
        client_close(control, index);
}

static void client_send(struct control *control, unsigned index)
{
    if (control_reply_waits(control, index) && control_reply_send(control, index) < 0)
        client_close(control, index);
}

/* Has the other end closed the connection altogether, not only its own half? */
static bool is_gone(struct control *control, unsigned index)
{
    ssize_t sent = control->os->socket_send(control->os, control->clients[index].fd, "", 0);
    return sent < 0 && sent != -EAGAIN;
}

/* --- requests --- */

static void find_line(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    const char *input = control->inputs[index];
    const char *newline =
        memchr(input + client->scanned, '\n', client->input_end - client->scanned);
    client->has_line = newline != NULL;
    client->scanned = newline != NULL ? (size_t)(newline - input) : client->input_end;
}

static void read_client(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    char *input = control->inputs[index];
    size_t left = client->input_end - client->input_start;

    if (client->input_start > 0)
        memmove(input, input + client->input_start, left);
    client->input_start = 0;
    client->input_end = client->scanned = left;
    ssize_t got = control->os->read(control->os, client->fd, input + left, CONTROL_INPUT - left);
    if (got == -EAGAIN)
        return;
    if (got < 0 || (got == 0 && is_gone(control, index))) {
        client_close(control, index);
        return;
    }
    if (got == 0) {
        client->ended = true;
        client->input_end = client->scanned = 0;
    }
    client->input_end += (size_t)got;
    find_line(control, index);
}

static void drop_line(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    client->input_start = client->scanned = client->scanned + 1;
    find_line(control, index);
}

/* Gives the request a number of its own, by which it is answered. */
static struct control_ticket make_ticket(
    struct control *control, unsigned index, const struct proto_id *id)
{
    control->clients[index].asking = ++control->serial;
    return (struct control_ticket){index, control->serial, *id};
}

static void answer(
    struct control *control, unsigned index, const struct text *words, enum control_reply reply)
{
    struct control_ticket ticket = make_ticket(control, index, &control->request.id);
    control_reply(control, &ticket, (struct text_span){words->bytes, words->length}, reply);
}

/* The living worker that the request is about. Returns its slot, or -1 with words. */
static int find_slot(const struct control *control, const struct control_client *client,
    int64_t pid, struct text *why)
{
    const struct control_host *host = &control->host;
    int claimed = pid > 0 ? host->find_worker(host->context, (pid_t)pid) : -1;
    /* It is known whose the process is. The number that it gives may be its own, or be from another
     * pid namespace; only another worker's is wrong. */
    int slot =
        client->role == CONTROL_WORKER ? host->find_worker(host->context, client->worker) : claimed;
    if (client->role == CONTROL_WORKER && claimed >= 0 && claimed != slot)
        slot = -1;
    if (slot < 0 && pid == 0) {
        text_add(why, "Invalid request: \"pid\" must be the number of a worker");
    } else if (slot < 0) {
        text_add(why, "Permission denied: no worker that you may speak for has the pid ");
        text_add_signed(why, pid);
    }
    return slot;
}

static void perform(
    struct control *control, unsigned index, struct control_ask *ask, struct text *words)
{
    struct control_client *client = &control->clients[index];
    switch ((int)ask->command) {
    case CONTROL_EHLO:
        control_command_add_welcome(words, ask->user, control->os->process_id(control->os));
        answer(control, index, words, CONTROL_REPLY_LAST);
        return;
    case CONTROL_HELP:
        control_command_add_help(words);
        answer(control, index, words, CONTROL_REPLY_LAST);
        return;
    case CONTROL_RELOAD:
        text_add(words, "Unable to reload the master: that is not supported yet. "
                        "To replace its workers use upgrade");
        answer(control, index, words, CONTROL_REPLY_FAILED);
        return;
    case CONTROL_ACK:
    case CONTROL_PING:
        ask->slot = find_slot(control, client, ask->pid, words);
        if (ask->slot < 0)
            answer(control, index, words, CONTROL_REPLY_FAILED);
        else
            control->host.ask(control->host.context, ask);
        return;
    default:
        client->large = control_command_is_large(ask->command);
        ask->ticket = make_ticket(control, index, &control->request.id);
        control->host.ask(control->host.context, ask);
    }
}

/* Takes the next request, unless it needs the large buffer and somebody else has that. */
static void take_request(struct control *control, unsigned index)
{
    struct control_client *client = &control->clients[index];
    struct proto_request *request = &control->request;
    struct control_ask ask = {
        .role = client->role, .peer_pid = client->peer_pid, .peer_uid = client->peer_uid};
    struct text words;
    int command = -1;

    text_init(&words, control->words, sizeof control->words);
    size_t length = client->scanned - client->input_start;
    control->round += length;
    enum proto_error error = proto_read(
        &control->storage, control->inputs[index] + client->input_start, length, request);
    if (error != PROTO_OK)
        proto_add_error(&words, error, request);
    else
        command = control_command_find(request, client->role, &words);
    client->large = command >= 0 && control_command_is_large((enum control_command)command);
    if (client->large && control->lent >= 0)
        return;
    client->large = false;
    client->closing = !client->has_line ||
                      (command >= 0 && control_command_is_last((enum control_command)command));
    if (client->has_line)
        drop_line(control, index);
    if (command >= 0 && control_command_take((enum control_command)command, request,
                            &control->arguments, &ask, &words))
        perform(control, index, &ask, &words);
    else
        answer(control, index, &words, CONTROL_REPLY_FAILED);
}

/* --- replies --- */

bool control_is_there(const struct control *control, const struct control_ticket *ticket)
{
    return ticket->serial != 0 && control->clients[ticket->client].asking == ticket->serial;
}

bool control_reply(struct control *control, const struct control_ticket *ticket,
    struct text_span message, enum control_reply reply)
{
    unsigned index = ticket->client;
    struct control_client *client = &control->clients[index];
    if (!control_is_there(control, ticket))
        return false;
    bool added = control_reply_add(control, index, message, &ticket->id, reply);
    if (reply != CONTROL_REPLY_MORE) {
        client->asking = 0;
        client->large = false;
    }
    /* Who is watched for room has none. */
    if (!client->writable)
        client_send(control, index);
    client_settle(control, index);
    return added;
}

/* --- connections --- */

static int listener_watch(struct control *control)
{
    struct os *os = control->os;
    int error = os->watch_add(os, control->set, control->listener, LISTENER_TOKEN, true, false);
    /* It is watched still, where that could not be taken back. */
    return error == -EEXIST ? 0 : error;
}

/* Takes none for a while: the one that waits would wake us again and again. */
static void stop_accepting(struct control *control, int error, uint64_t now)
{
    if (!control->deaf)
        control->os->watch_remove(control->os, control->set, control->listener);
    control->deaf = true;
    control->accept_at = now + CONTROL_ACCEPT_AGAIN_MS;
    control->accept_error = error;
}

static void start_accepting(struct control *control, uint64_t now)
{
    int error = listener_watch(control);
    if (error < 0)
        stop_accepting(control, error, now);
    else
        control->deaf = false;
}

/* A free slot for such a client, or -1 with words. */
static int find_free(const struct control *control, enum control_role role, const char **why)
{
    unsigned of_workers = 0;
    int free = -1;
    bool may_be_worker = role != CONTROL_OPERATOR;
    for (unsigned i = CONTROL_CLIENTS; i > 0; i--) {
        const struct control_client *client = &control->clients[i - 1];
        if (client->fd < 0)
            free = (int)i - 1;
        else if (client->role != CONTROL_OPERATOR)
            of_workers++;
    }
    *why = "Unable to serve you: too many connections";
    return may_be_worker && of_workers >= CONTROL_CLIENTS_OF_WORKERS ? -1 : free;
}

static void client_open(struct control *control, int fd)
{
    struct os *os = control->os;
    struct os_peer peer;
    const char *why = "Permission denied: you are neither root nor the user that socketmaster runs "
                      "as, nor a process of its workers";
    pid_t worker;
    int free = -1;
    int error = os->socket_peer(os, fd, &peer);
    if (error == 0) {
        enum control_role role = control_peer_role(control, &peer, &worker);
        if (role != CONTROL_NOBODY)
            free = find_free(control, role, &why);
        if (free >= 0)
            error = os->watch_add(os, control->set, fd, (uint64_t)free, true, false);
        if (free >= 0 && error == 0) {
            control->clients[free] = (struct control_client){.fd = fd,
                .role = role,
                .peer_pid = peer.pid,
                .peer_uid = peer.uid,
                .worker = worker,
                .readable = true};
            return;
        }
    }
    control_reply_refuse(control, fd, error < 0 ? "Unable to serve you: out of resources" : why);
    os->close(os, fd);
}

static void accept_some(struct control *control, uint64_t now)
{
    for (int i = 0; i < CONTROL_ACCEPTS; i++) {
        int fd = control->os->socket_accept(control->os, control->listener);
        if (fd == -EAGAIN)
            return;
        if (fd < 0) {
            stop_accepting(control, fd, now);
            return;
        }
        control->accept_error = 0;
        client_open(control, fd);
    }
}

int control_open(struct control *control, struct os *os, int listener, uid_t own, uid_t worker_user,
    const struct control_host *host)
{
    control->os = os;
    control->host = *host;
    control->listener = listener;
    control->own = own;
    control->worker_user = worker_user;
    control->serial = 0;
    control->deaf = false;
    control->accept_at = 0;
    control->accept_error = 0;
    control->next = 0;
    control->lent = -1;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        control->clients[i] = (struct control_client){.fd = -1};
    int error = os->set_nonblocking(os, listener);
    if (error < 0)
        return error;
    control->set = os->watch_open(os);
    if (control->set < 0)
        return control->set;
    error = listener_watch(control);
    if (error < 0)
        os->close(os, control->set);
    return error;
}

void control_close(struct control *control)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (control->clients[i].fd < 0)
            continue;
        client_send(control, i);
        if (control->clients[i].fd >= 0)
            client_close(control, i);
    }
    control->os->close(control->os, control->set);
}

/* --- rounds --- */

static void client_ready(struct control *control, unsigned index, const struct os_ready *ready)
{
    struct control_client *client = &control->clients[index];
    if (client->fd < 0)
        return;
    if (client->writable && ready->writable)
        client_send(control, index);
    if (client->fd < 0 || !ready->readable)
        return;
    if (wants_input(client))
        read_client(control, index);
    else if (is_gone(control, index))
        client_close(control, index);
    else
        client->pressing = true;
}

static void expire(struct control *control, unsigned index, uint64_t now)
{
    struct control_client *client = &control->clients[index];
    bool dribbling = is_dribbling(control, index);
    if (dribbling && !client->is_dribbled)
        client->line_since = now;
    client->is_dribbled = dribbling;
    if (dribbling && now >= client->line_since + CONTROL_STALL_MS) {
        struct text words;
        text_init(&words, control->words, sizeof control->words);
        text_add(&words, "Could not parse command: no newline came for 10 seconds");
        control->request.id.type = PROTO_NONE;
        client->closing = true;
        answer(control, index, &words, CONTROL_REPLY_FAILED);
    } else if (client->writable && now >= client->output_since + CONTROL_STALL_MS) {
        client_close(control, index);
    }
}

/* Long requests take long to read, and long replies to write: who is left out of this round is the
 * first of the next. */
static void take_turns(struct control *control, uint64_t now)
{
    bool left_out = false;
    unsigned first = control->next;
    control->next = (first + 1) % CONTROL_CLIENTS;
    control->round = 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        unsigned index = (first + i) % CONTROL_CLIENTS;
        bool due = is_next_due(control, index);
        if (due && control->round < CONTROL_ROUND) {
            take_request(control, index);
        } else if (due && !left_out) {
            left_out = true;
            control->next = index;
        }
        if (control->clients[index].fd >= 0)
            expire(control, index, now);
        client_settle(control, index);
    }
}

void control_pump(struct control *control, uint64_t now)
{
    enum { READY_MAX = CONTROL_CLIENTS + 1 };
    struct os_ready ready[READY_MAX];
    struct os *os = control->os;
    bool dialled = false;
    int count = os->watch_wait(os, control->set, ready, READY_MAX, 0);
    for (int i = 0; i < count; i++)
        if (ready[i].token == LISTENER_TOKEN && control->deaf)
            os->watch_remove(os, control->set, control->listener); /* it could not be, at first */
        else if (ready[i].token == LISTENER_TOKEN)
            dialled = true;
        else
            client_ready(control, (unsigned)ready[i].token, &ready[i]);
    if (control->deaf && now >= control->accept_at)
        start_accepting(control, now);
    if (dialled)
        accept_some(control, now);
    take_turns(control, now);
}

uint64_t control_deadline(const struct control *control)
{
    uint64_t deadline = control->deaf ? control->accept_at : CONTROL_NEVER;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        const struct control_client *client = &control->clients[i];
        uint64_t own = CONTROL_NEVER;
        if (is_next_due(control, i) || (is_dribbling(control, i) && !client->is_dribbled))
            return 0;
        if (client->is_dribbled)
            own = client->line_since + CONTROL_STALL_MS;
        else if (client->writable)
            own = client->output_since + CONTROL_STALL_MS;
        deadline = own < deadline ? own : deadline;
    }
    return deadline;
}
