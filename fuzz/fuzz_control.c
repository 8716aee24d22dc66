/*
 * fuzz_control: the clients of the control socket, of whom the bytes choose everything: who comes,
 * what is sent and in which pieces, who reads, who leaves, how time passes, which calls fail, and
 * when the host answers. The port is a small kernel of its own; what has to hold is judged from
 * outside: no more clients than slots, descriptors used as they may be, whole replies in the order
 * of the requests, one request of a client at a time, commands for those alone who may give them,
 * and no turn that goes on for ever.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

enum {
    LISTENER = 3,
    SET = 4,
    FIRST = 5, /* of connections */
    CALLERS = 48,
    ROOM = 4096,       /* bytes that wait for a client */
    SENT_MAX = 80000,  /* and for the master */
    TURNS_MAX = 20000, /* until nothing is due any more */
    WORKER = 100,      /* pids: the worker's, ... */
    HELPER = 101,      /* ... of a process of its own, ... */
    STRANGER = 102,    /* ... of one who is nobody's, and of one who has gone */
    GONE = 103,
    OWN_UID = 7,
    NO_UID = 8,
};

struct caller {
    bool used, taken, open, left, ended; /* `open`: at the master's */
    bool watched, readable, writable;
    struct os_peer peer;
    size_t sent_length, from_length; /* on their way to the master, and from it */
    char sent[SENT_MAX];
    bool in_line;
    size_t line_length;
    char tail;                    /* the byte before */
    unsigned lines, replies;      /* newlines that the master read; last replies */
    char line[96];                /* the end of the reply that is under way */
    struct control_ticket ticket; /* that the host owes an answer for */
};

static struct control control;
static struct caller callers[CALLERS];
static struct os os;
static uint64_t now;
static bool listener_watched, worker_lives;
static int failing; /* how many calls fail */

/* --- the kernel --- */

static struct caller *caller_of(int fd)
{
    CHECK(fd >= FIRST && fd < FIRST + CALLERS);
    CHECK(callers[fd - FIRST].used && callers[fd - FIRST].open);
    return &callers[fd - FIRST];
}

static bool fails(void)
{
    failing -= failing > 0;
    return failing > 0 && failing % 2 == 1;
}

static uint64_t fuzz_clock_ms(struct os *port)
{
    (void)port;
    return now;
}

static pid_t fuzz_process_id(struct os *port)
{
    (void)port;
    return 1;
}

static int fuzz_set_nonblocking(struct os *port, int fd)
{
    (void)port;
    CHECK(fd == LISTENER);
    return 0;
}

static int fuzz_watch_open(struct os *port)
{
    (void)port;
    return SET;
}

static int fuzz_watch_add(
    struct os *port, int set, int fd, uint64_t token, bool readable, bool writable)
{
    (void)port;
    CHECK(set == SET);
    bool *watched = fd == LISTENER ? &listener_watched : &caller_of(fd)->watched;
    CHECK(!*watched);
    if (fails())
        return -ENOSPC;
    *watched = true;
    if (fd == LISTENER) {
        CHECK(token == CONTROL_CLIENTS);
        return 0;
    }
    struct caller *caller = caller_of(fd);
    CHECK(token < CONTROL_CLIENTS && control.clients[token].fd <= fd);
    caller->readable = readable;
    caller->writable = writable;
    return 0;
}

static int fuzz_watch_remove(struct os *port, int set, int fd)
{
    (void)port;
    (void)set;
    bool *watched = fd == LISTENER ? &listener_watched : &caller_of(fd)->watched;
    if (!*watched)
        return -ENOENT;
    *watched = false;
    return 0;
}

static bool is_dialled(void)
{
    for (int i = 0; i < CALLERS; i++)
        if (callers[i].used && !callers[i].taken)
            return true;
    return false;
}

static int fuzz_watch_wait(
    struct os *port, int set, struct os_ready *ready, size_t count, int64_t timeout_ms)
{
    (void)port;
    int found = 0;
    CHECK(set == SET && timeout_ms == 0 && count >= CONTROL_CLIENTS + 1);
    if (fails())
        return -ENOMEM;
    if (listener_watched && is_dialled())
        ready[found++] = (struct os_ready){.token = CONTROL_CLIENTS, .readable = true};
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (control.clients[i].fd < 0)
            continue;
        const struct caller *caller = caller_of(control.clients[i].fd);
        bool in = caller->readable && (caller->sent_length > 0 || caller->ended);
        bool out = caller->writable && caller->from_length < ROOM;
        CHECK(caller->watched);
        if (in || out || caller->left)
            ready[found++] = (struct os_ready){
                .token = i, .readable = in || caller->left, .writable = out || caller->left};
    }
    return found;
}

static int fuzz_socket_accept(struct os *port, int fd)
{
    (void)port;
    CHECK(fd == LISTENER);
    if (fails())
        return -EMFILE;
    for (int i = 0; i < CALLERS; i++) {
        if (!callers[i].used || callers[i].taken)
            continue;
        callers[i].taken = callers[i].open = true;
        return FIRST + i;
    }
    return -EAGAIN;
}

static int fuzz_socket_peer(struct os *port, int fd, struct os_peer *peer)
{
    (void)port;
    *peer = caller_of(fd)->peer;
    return fails() ? -ENOBUFS : 0;
}

static int fuzz_process_look(struct os *port, pid_t pid, struct os_process *process)
{
    (void)port;
    if (pid == GONE || fails())
        return -ESRCH;
    *process = (struct os_process){.parent = pid == HELPER ? WORKER : 1};
    return 0;
}

static ssize_t fuzz_read(struct os *port, int fd, void *buffer, size_t size)
{
    (void)port;
    struct caller *caller = caller_of(fd);
    CHECK(size > 0);
    if (fails())
        return -EIO;
    size_t taken = caller->sent_length < size ? caller->sent_length : size;
    if (taken == 0)
        return caller->ended || caller->left ? 0 : -EAGAIN;
    memcpy(buffer, caller->sent, taken);
    for (size_t i = 0; i < taken; i++)
        caller->lines += caller->sent[i] == '\n';
    caller->sent_length -= taken;
    memmove(caller->sent, caller->sent + taken, caller->sent_length);
    return (ssize_t)taken;
}

/* A line of JSON, and no more of them than requests, but for one that nobody asked for. */
static void take_reply(struct caller *caller)
{
    static const char more[] = ", \"wait\": true}", failed[] = "\"error\": true}";
    caller->line[caller->line_length] = '\0';
    bool waits = strstr(caller->line, more) != NULL;
    CHECK(caller->tail == '}');
    caller->replies += !waits;
    CHECK(caller->replies <= caller->lines || strstr(caller->line, failed) != NULL);
    CHECK(caller->replies <= caller->lines + 1);
    caller->line_length = 0;
    caller->in_line = false;
}

static ssize_t fuzz_socket_send(struct os *port, int fd, const void *bytes, size_t length)
{
    (void)port;
    struct caller *caller = caller_of(fd);
    const char *each = bytes;
    if (caller->left || fails())
        return -EPIPE;
    size_t room = ROOM - caller->from_length;
    size_t sent = length < room ? length : room;
    if (length > 0 && sent == 0)
        return -EAGAIN;
    caller->from_length += sent;
    for (size_t i = 0; i < sent; i++) {
        unsigned char byte = (unsigned char)each[i];
        CHECK(caller->in_line || byte == '{');
        if (byte == '\n') {
            take_reply(caller);
            continue;
        }
        CHECK(byte >= ' ' && byte != '%' && byte != '+');
        caller->in_line = true;
        caller->tail = (char)byte;
        if (caller->line_length == sizeof caller->line - 1)
            memmove(caller->line, caller->line + 1, --caller->line_length);
        caller->line[caller->line_length++] = (char)byte;
    }
    return (ssize_t)sent;
}

static int fuzz_close(struct os *port, int fd)
{
    (void)port;
    if (fd == SET)
        return 0;
    struct caller *caller = caller_of(fd);
    CHECK(!caller->watched);
    caller->open = false;
    caller->used = false;
    return 0;
}

/* --- the host --- */

static int find_worker(void *context, pid_t pid)
{
    (void)context;
    return worker_lives && pid == WORKER ? 0 : -1;
}

static void answer(struct caller *caller, size_t length, enum control_reply reply)
{
    static char message[70000];
    memset(message, 'm', sizeof message);
    control_reply(&control, &caller->ticket, (struct text_span){message, length}, reply);
    if (reply != CONTROL_REPLY_MORE)
        caller->ticket.serial = 0;
}

static void ask(void *context, const struct control_ask *asked)
{
    (void)context;
    if (asked->command == CONTROL_ACK || asked->command == CONTROL_PING) {
        CHECK(asked->slot == 0 && worker_lives && asked->role != CONTROL_NOBODY);
        return;
    }
    CHECK(asked->role == CONTROL_OPERATOR);
    struct caller *caller = caller_of(control.clients[asked->ticket.client].fd);
    CHECK(caller->ticket.serial == 0); /* one after the other */
    caller->ticket = asked->ticket;
    if (control_command_is_large(asked->command))
        answer(caller, asked->command == CONTROL_STATE ? 60000 : 100, CONTROL_REPLY_LAST);
    else if (asked->command != CONTROL_ROLLOUT && asked->command != CONTROL_LOGS)
        answer(caller, 10, CONTROL_REPLY_FAILED);
}

/* --- what the bytes choose --- */

static const uint8_t *next;
static size_t left;

static unsigned draw(unsigned bound)
{
    if (left == 0)
        return 0;
    left--;
    return *next++ % bound;
}

static struct caller *some_caller(void)
{
    return &callers[draw(CALLERS)];
}

static void call(void)
{
    static const struct os_peer peers[] = {{STRANGER, OWN_UID}, {WORKER, NO_UID}, {HELPER, OWN_UID},
        {GONE, OWN_UID}, {GONE, NO_UID}, {STRANGER, NO_UID}, {0, 0}, {0, NO_UID}};
    for (int i = 0; i < CALLERS; i++) {
        struct caller *caller = &callers[i];
        if (caller->used)
            continue;
        memset(caller, 0, offsetof(struct caller, sent));
        memset(&caller->in_line, 0, sizeof *caller - offsetof(struct caller, in_line));
        caller->used = true;
        caller->peer = peers[draw(sizeof peers / sizeof *peers)];
        return;
    }
}

static void put(struct caller *caller, const void *bytes, size_t length)
{
    size_t room = sizeof caller->sent - caller->sent_length;
    size_t put = length < room ? length : room;
    if (!caller->used || caller->left || caller->ended)
        return;
    memcpy(caller->sent + caller->sent_length, bytes, put);
    caller->sent_length += put;
}

static void say(struct caller *caller)
{
    static const char *const lines[] = {"{\"command\":\"rollout\",\"id\":1}\n",
        "{\"command\":\"state\"}\n", "{command: help}\n", "{command: logs, id: x}\n",
        "{\"command\":\"worker:ack\",\"pid\":100}\n", "{command: status}\n", "command: ehlo\n",
        "{\"command\":\"worker:ping\",\"pid\":5,\"id\":2}\n", "{{{\n", "\n"};
    const char *line = lines[draw(sizeof lines / sizeof *lines)];
    for (unsigned times = 1 + draw(8); times > 0; times--)
        put(caller, line, strlen(line));
}

static void say_much(struct caller *caller)
{
    static char bytes[8192];
    memset(bytes, 'x', sizeof bytes);
    for (unsigned times = draw(16); times > 0; times--)
        put(caller, bytes, sizeof bytes);
}

static void say_these(struct caller *caller)
{
    size_t length = draw(64);
    length = length < left ? length : left;
    put(caller, next, length);
    next += length;
    left -= length;
}

static void answer_some(struct caller *caller)
{
    static const size_t lengths[] = {1, 1000, 20000, 70000};
    size_t length = lengths[draw(sizeof lengths / sizeof *lengths)];
    enum control_reply reply = (enum control_reply)draw(3);
    if (caller->used && caller->open && caller->ticket.serial != 0)
        answer(caller, length, reply);
}

static void judge(void)
{
    unsigned open = 0, of_workers = 0, held = 0;
    for (int i = 0; i < CALLERS; i++)
        open += callers[i].used && callers[i].open;
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        held += control.clients[i].fd >= 0;
        of_workers += control.clients[i].fd >= 0 && control.clients[i].role != CONTROL_OPERATOR;
    }
    CHECK(open == held && of_workers <= CONTROL_CLIENTS_OF_WORKERS);
}

static void pump(void)
{
    control_pump(&control, now);
    judge();
    for (int turns = 0; control_deadline(&control) <= now; turns++) {
        CHECK(turns < TURNS_MAX);
        control_pump(&control, now);
        judge();
    }
}

static void step(void)
{
    struct caller *caller;
    switch (draw(14)) {
    case 0:
    case 1:
        call();
        break;
    case 2:
        say_these(some_caller());
        break;
    case 3:
    case 4:
        say(some_caller());
        break;
    case 5:
        say_much(some_caller());
        break;
    case 6:
        some_caller()->from_length = 0;
        break;
    case 7:
        caller = some_caller();
        caller->left = caller->ended = caller->used;
        break;
    case 8:
        caller = some_caller();
        caller->ended = caller->used;
        break;
    case 9:
        now += draw(256) * 50;
        break;
    case 10:
    case 11:
        pump();
        break;
    case 12:
        answer_some(some_caller());
        break;
    case 13:
        if (draw(2) == 0)
            worker_lives = !worker_lives;
        else
            failing = (int)draw(8);
        break;
    }
}

/* Rules: I11 I12 K1 K3 K4 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct control_host host = {.find_worker = find_worker, .ask = ask};
    os = (struct os){.clock_ms = fuzz_clock_ms,
        .process_id = fuzz_process_id,
        .set_nonblocking = fuzz_set_nonblocking,
        .watch_open = fuzz_watch_open,
        .watch_add = fuzz_watch_add,
        .watch_remove = fuzz_watch_remove,
        .watch_wait = fuzz_watch_wait,
        .socket_accept = fuzz_socket_accept,
        .socket_peer = fuzz_socket_peer,
        .socket_send = fuzz_socket_send,
        .process_look = fuzz_process_look,
        .read = fuzz_read,
        .close = fuzz_close};
    for (int i = 0; i < CALLERS; i++)
        callers[i].used = callers[i].open = false;
    now = 1000;
    failing = 0;
    worker_lives = true;
    listener_watched = false;
    next = data;
    left = size;
    CHECK(control_open(&control, &os, LISTENER, OWN_UID, NO_UID, &host) == 0);
    while (left > 0)
        step();
    failing = 0;
    pump();
    control_close(&control);
    for (int i = 0; i < CALLERS; i++)
        CHECK(!callers[i].open);
    return 0;
}
