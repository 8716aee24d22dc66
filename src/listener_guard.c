#include "listener_guard.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "listener_file.h"
#include "text.h"

enum {
    LINE_MAX_BYTES = LISTENER_ADDRESS_MAX + 256,
    WATCHED_BYTES = 4096,
};

static const char *const NEW_MASTER = ": only a new master can open it again";

/* Not a unix socket. */
static bool is_internet(const struct listener *listener)
{
    return listener->bound.address.ss_family != AF_UNIX;
}

/* --- words --- */

/* "listener ADDRESS: WHAT", and why, where `code` is -errno. */
static void say(const struct listener_guard *guard, int severity, const struct listener *listener,
    const char *what, int code, const char *end)
{
    char buffer[LINE_MAX_BYTES];
    struct text line;
    text_init(&line, buffer, sizeof buffer);
    text_add(&line, "listener ");
    text_add(&line, listener->address);
    text_add(&line, ": ");
    text_add(&line, what);
    if (code < 0) {
        text_add(&line, ": ");
        text_add(&line, strerror(-code));
    }
    text_add(&line, end);
    guard->say(guard->context, severity, line.bytes, line.length);
}

static void say_backlog(
    const struct listener_guard *guard, const struct listener *listener, int cut, int put_back)
{
    char buffer[128];
    struct text what;
    text_init(&what, buffer, sizeof buffer);
    text_add(&what, "a worker cut the backlog to ");
    text_add_signed(&what, cut);
    text_add(&what, ", put back to ");
    text_add_signed(&what, put_back);
    say(guard, LOG_WARNING, listener, buffer, 0, "");
}

/* Something did not work that may work later, and clients could wait for it. */
static void try_later(struct listener_guard *guard)
{
    guard->retry_at = guard->os->clock_ms(guard->os) + LISTENER_GUARD_RETRY_MS;
}

/* --- blocking mode --- */

static void check_nonblocking(const struct listener_guard *guard, const struct listener *listener)
{
    struct os *os = guard->os;
    if (!listener->nonblock)
        return;
    int nonblocking = os->is_nonblocking(os, listener->fd);
    if (nonblocking > 0)
        return;
    int code = os->set_nonblocking(os, listener->fd);
    if (code < 0)
        say(guard, LOG_ERR, listener, "unable to make it non-blocking again", code, "");
    else if (nonblocking == 0)
        say(guard, LOG_INFO, listener, "a worker made it blocking, non-blocking again", 0, "");
}

/* --- shutdown --- */

/* What listen(2) is to be told: what it came to, or what was asked for; 0: nobody knows. */
static int backlog_wanted(const struct listener *listener, const struct listener_guard_state *state)
{
    return state->backlog >= 0 ? state->backlog : listener->backlog;
}

/* Somebody shut it down and somebody listened on it after that: the kernel, if it had chosen the
 * port, has chosen another, which nobody knows. Returns 1, 0 or -errno. */
static int has_moved(const struct listener_guard *guard, const struct listener *listener)
{
    const struct os_address *bound = &listener->bound;
    struct os_address now;
    int code = guard->os->socket_address(guard->os, listener->fd, &now);
    if (code < 0)
        return code;
    return now.length != bound->length || memcmp(&now.address, &bound->address, now.length) != 0;
}

/* The port may have gone with the shutdown, if the kernel had chosen it; -EINVAL: it has not. */
static int listen_again(
    const struct listener_guard *guard, const struct listener *listener, int backlog)
{
    struct os *os = guard->os;
    int code = os->socket_disconnect(os, listener->fd);
    if (code < 0)
        return code;
    code = os->socket_bind(os, listener->fd, &listener->bound);
    if (code < 0 && code != -EINVAL)
        return code;
    return os->socket_listen(os, listener->fd, backlog > 0 ? backlog : INT32_MAX);
}

static void check_shutdown(struct listener_guard *guard, size_t index)
{
    const struct listener *listener = &guard->listeners->items[index];
    struct listener_guard_state *state = &guard->states[index];
    bool told = state->shut_told;
    int shut = guard->os->socket_is_shut(guard->os, listener->fd);
    if (shut == 0 && listener->listens && is_internet(listener))
        shut = has_moved(guard, listener);
    if (shut < 0)
        try_later(guard);
    if (shut <= 0) {
        state->shut_told = told && shut < 0;
        return;
    }
    state->shut_told = true;
    /* The kernel has no way back for sockets of other kinds. */
    if (!listener->listens || !is_internet(listener)) {
        if (!told)
            say(guard, LOG_ERR, listener, "a worker shut it down", 0, NEW_MASTER);
        return;
    }
    int code = listen_again(guard, listener, backlog_wanted(listener, state));
    if (code >= 0) {
        state->shut_told = false;
        say(guard, LOG_ERR, listener, "a worker shut it down, listening again", 0, "");
        return;
    }
    try_later(guard);
    if (!told)
        say(guard, LOG_ERR, listener, "a worker shut it down, and it cannot listen again", code,
            "");
}

/* --- backlog --- */

static void check_backlog(struct listener_guard *guard, size_t index)
{
    struct os *os = guard->os;
    const struct listener *listener = &guard->listeners->items[index];
    struct listener_guard_state *state = &guard->states[index];
    int wanted = backlog_wanted(listener, state);
    bool known = state->backlog >= 0;
    /* One of tcp always is, but for a failure; and to listen blindly could take another port. */
    if (!listener->listens || state->shut_told || wanted == 0 || (!known && is_internet(listener)))
        return;
    int now = known ? os->socket_backlog(os, listener->fd) : 0;
    if (now < 0 || (known && now >= wanted))
        return;
    int code = os->socket_listen(os, listener->fd, wanted);
    if (code >= 0 && known)
        say_backlog(guard, listener, now, wanted);
    /* A worker may have shut it down since that was looked at. */
    if (code >= 0 && is_internet(listener))
        check_shutdown(guard, index);
    if (code < 0 && !state->backlog_told)
        say(guard, LOG_ERR, listener, "unable to put back the backlog", code, "");
    if (code < 0)
        try_later(guard);
    state->backlog_told = code < 0;
}

/* --- socket files --- */

/* The path has lost the file. Returns 0 or -errno. */
static int put_back(const struct listener_guard *guard, const struct listener *listener)
{
    int code = guard->os->file_pinned_link(guard->os, listener->pin, listener->path);
    if (code == 0)
        say(guard, LOG_WARNING, listener, "its socket file was removed, put back", 0, "");
    return code;
}

static void say_lost(struct listener_guard *guard, size_t index, int code)
{
    const struct listener *listener = &guard->listeners->items[index];
    struct listener_guard_state *state = &guard->states[index];
    if (state->file_told)
        return;
    state->file_told = true;
    if (code == -EEXIST)
        say(guard, LOG_ERR, listener, "another file has taken the place of its socket file", 0,
            ", and is left alone");
    else
        say(guard, LOG_ERR, listener, "unable to put back its socket file", code, "");
}

/* The second name, which nobody is told of. */
static void check_kept(const struct listener_guard *guard, const struct listener *listener)
{
    char kept[LISTENER_KEPT_MAX];
    struct os_file file;
    listener_file_kept_path(listener->path, kept);
    if (guard->os->file_look(guard->os, kept, &file) == -ENOENT)
        (void)guard->os->file_pinned_link(guard->os, listener->pin, kept);
}

static void check_file(struct listener_guard *guard, size_t index)
{
    const struct listener *listener = &guard->listeners->items[index];
    struct os_file file;
    if (listener->pin < 0)
        return;
    int code = guard->os->file_look(guard->os, listener->path, &file);
    if (code == -ENOENT)
        code = put_back(guard, listener);
    else if (code == 0 && !listener_file_is_same(&file, &listener->file))
        code = -EEXIST;
    if (code < 0)
        say_lost(guard, index, code);
    else
        guard->states[index].file_told = false;
    /* Another file stays, and who has lost both names cannot get them back. */
    if (code < 0 && code != -EEXIST && code != -ENOENT)
        try_later(guard);
    if (listener->kept == 0)
        check_kept(guard, listener);
}

/* --- all listeners --- */

static void check_sockets(struct listener_guard *guard)
{
    guard->sockets_due = false;
    for (size_t i = 0; i < guard->listeners->count; i++) {
        check_shutdown(guard, i);
        check_backlog(guard, i);
    }
}

static void check_files(struct listener_guard *guard)
{
    guard->files_due = false;
    for (size_t i = 0; i < guard->listeners->count; i++)
        check_file(guard, i);
}

static void check_all(struct listener_guard *guard)
{
    guard->retry_at = 0;
    check_sockets(guard);
    check_files(guard);
}

/* --- the watch of the socket files --- */

static void watch_close(struct listener_guard *guard)
{
    if (guard->watch < 0)
        return;
    guard->os->watch_remove(guard->os, guard->set, guard->watch);
    guard->os->close(guard->os, guard->watch);
    guard->watch = -1;
}

/* Without it they are looked at before starts and after ends. */
static void say_unwatched(const struct listener_guard *guard, int code)
{
    char buffer[LINE_MAX_BYTES];
    struct text line;
    text_init(&line, buffer, sizeof buffer);
    text_add(&line, "socket files are not watched: ");
    text_add(&line, strerror(-code));
    guard->say(guard->context, LOG_WARNING, line.bytes, line.length);
}

/* Watches every socket file, or none. */
static void watch_open(struct listener_guard *guard, uint64_t token)
{
    struct os *os = guard->os;
    int code = os->file_watch_open(os);
    guard->watch = code;
    for (size_t i = 0; code >= 0 && i < guard->listeners->count; i++)
        if (guard->listeners->items[i].pin >= 0)
            code = os->file_watch_add(os, guard->watch, guard->listeners->items[i].pin);
    if (code >= 0)
        code = os->watch_add(os, guard->set, guard->watch, token, true, false);
    if (code >= 0)
        return;
    say_unwatched(guard, code);
    if (guard->watch >= 0)
        os->close(os, guard->watch);
    guard->watch = -1;
}

/* --- the whole --- */

void listener_guard_open(struct listener_guard *guard, struct os *os, struct listeners *listeners,
    int set, uint64_t token, listener_guard_say *say_line, void *context)
{
    bool has_files = false;
    guard->os = os;
    guard->listeners = listeners;
    guard->say = say_line;
    guard->context = context;
    guard->set = set;
    guard->watch = -1;
    guard->sockets_due = guard->files_due = false;
    guard->retry_at = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->items[i];
        int backlog = listener->listens ? os->socket_backlog(os, listener->fd) : -1;
        guard->states[i] = (struct listener_guard_state){.backlog = backlog < 0 ? -1 : backlog};
        if (listener->pin >= 0 && listener->kept < 0)
            say(guard, LOG_WARNING, listener, "no second name for its socket file", listener->kept,
                "; if a worker removes it, it is lost");
        has_files = has_files || listener->pin >= 0;
    }
    if (has_files)
        watch_open(guard, token);
}

void listener_guard_before_starts(struct listener_guard *guard)
{
    for (size_t i = 0; i < guard->listeners->count; i++)
        check_nonblocking(guard, &guard->listeners->items[i]);
    check_all(guard);
}

void listener_guard_worker_ready(struct listener_guard *guard)
{
    guard->sockets_due = true;
}

void listener_guard_worker_ended(struct listener_guard *guard)
{
    guard->sockets_due = guard->files_due = true;
}

void listener_guard_watched(struct listener_guard *guard)
{
    char events[WATCHED_BYTES];
    if (guard->watch < 0)
        return;
    ssize_t length = guard->os->read(guard->os, guard->watch, events, sizeof events);
    /* One that cannot be read would be told as ready for ever. */
    if (length < 0 && length != -EAGAIN) {
        say_unwatched(guard, (int)length);
        watch_close(guard);
    }
    guard->files_due = true;
}

void listener_guard_settle(struct listener_guard *guard)
{
    bool late = guard->retry_at > 0 && guard->os->clock_ms(guard->os) >= guard->retry_at;
    if (late || (guard->sockets_due && guard->files_due))
        check_all(guard);
    else if (guard->sockets_due)
        check_sockets(guard);
    else if (guard->files_due)
        check_files(guard);
}

uint64_t listener_guard_deadline(const struct listener_guard *guard)
{
    return guard->retry_at > 0 ? guard->retry_at : UINT64_MAX;
}

void listener_guard_close(struct listener_guard *guard)
{
    guard->retry_at = 0;
    watch_close(guard);
}
