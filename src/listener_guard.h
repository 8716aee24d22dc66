/*
 * listener_guard: puts right what a worker does to the listeners that all share (rule L8).
 *
 * Owns: knowing how each listener was when it was opened; blocking mode, backlog, socket file and
 * shutdown, each looked at when it matters, put back and told of. Part of the room `listener`.
 * Leaves to others: when that is (supervisor), and where the words go.
 *
 * Nothing here fails: what cannot be looked at or put back costs a line, and is tried again after a
 * second or at the next start. No listener is ever made blocking.
 */
#ifndef SOCKETMASTER_LISTENER_GUARD_H
#define SOCKETMASTER_LISTENER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "listener.h"
#include "os.h"

enum {
    LISTENER_GUARD_RETRY_MS = 1000,
};

/* Takes one line; `severity` as in <syslog.h>. */
typedef void listener_guard_say(void *context, int severity, const char *line, size_t length);

/* What the guard knows of one listener. */
struct listener_guard_state {
    int backlog; /* as granted at the start; -1: the kernel does not tell */
    /* It was told that it ... */
    bool backlog_told; /* stays cut */
    bool shut_told;    /* stays shut down */
    bool file_told;    /* has lost its socket file */
};

struct listener_guard {
    struct os *os;
    struct listeners *listeners;
    listener_guard_say *say;
    void *context;
    int set;   /* where `watch` is watched */
    int watch; /* of the socket files, or -1 */
    bool sockets_due;
    bool files_due;
    uint64_t retry_at; /* what did not work is tried again then, in monotonic ms; 0: all did */
    struct listener_guard_state states[LIMIT_LISTENERS];
};

/*
 * Begins, before the first worker. Borrows `listeners` and `context`. Where socket files can be
 * watched, they are, in `set` with `token`; else they are looked at before starts and after ends.
 */
void listener_guard_open(struct listener_guard *guard, struct os *os, struct listeners *listeners,
    int set, uint64_t token, listener_guard_say *say, void *context);

/* Before workers are started, once for all that are started together: a new worker finds the
 * listeners as they were asked for. Costs a few calls for each listener. */
void listener_guard_before_starts(struct listener_guard *guard);

/* A worker has become ready: what it does to its listeners it has done. Only remembered. */
void listener_guard_worker_ready(struct listener_guard *guard);

/* A worker has ended, and some shut down and clear away what is not theirs. Only remembered. */
void listener_guard_worker_ended(struct listener_guard *guard);

/* `token` was told as ready. */
void listener_guard_watched(struct listener_guard *guard);

/* Does what the three before have left, once for all of them. To be called before each wait. */
void listener_guard_settle(struct listener_guard *guard);

/* When listener_guard_settle() wants to be called even if nothing happens: monotonic milliseconds,
 * or UINT64_MAX, also for a guard of zeros that was not opened. */
uint64_t listener_guard_deadline(const struct listener_guard *guard);

/* Stops watching and trying; the listeners stay as they are. */
void listener_guard_close(struct listener_guard *guard);

#endif
