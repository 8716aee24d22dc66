/*
 * relay: the workers' output pipes -> the log.
 *
 * Owns: the reading ends of the pipes, from a worker's start until the last process that holds the
 * other end is gone (rules O2, O4); and the one buffer that all are read into. Leaves to others:
 * what a line is (childlog), its form and its way out (log), and when to call.
 *
 * A pipe is read only while the log has room, so a stuck log reader fills the pipes and nothing
 * else.
 */
#ifndef SOCKETMASTER_RELAY_H
#define SOCKETMASTER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "childlog.h"
#include "limits.h"
#include "log.h"
#include "os.h"

enum {
    RELAY_SOURCES_MAX = LIMIT_SLOTS + LIMIT_ORPHANS,
    RELAY_READ = 128 * 1024,
};

struct relay_source {
    int fd; /* -1: free */
    unsigned slot;
    pid_t worker;
    bool orphan;    /* the worker was reaped; others hold its pipe */
    uint64_t order; /* of becoming an orphan */
};

struct relay {
    struct os *os;
    struct log *log;
    int set;           /* watches every pipe; itself to be watched for readability by the driver */
    size_t bound;      /* sources from here on were never used */
    uint64_t orphaned; /* how many pipes outlived their worker, ever */
    size_t orphans;    /* how many there are now */
    bool failing;      /* a pipe could not be read at the last try */
    /* What was read but not yet taken by the log: input[at..end) of source `held`. */
    size_t held, at, end;
    struct relay_source sources[RELAY_SOURCES_MAX];
    char input[RELAY_READ];
    struct childlog unfinished[RELAY_SOURCES_MAX];
};

/* Returns 0 or -errno. The relay borrows `os` and `log`. */
int relay_open(struct relay *relay, struct os *os, struct log *log);

/* Takes over the reading end of the pipe of the worker in `slot`; its pid stands before its lines.
 * Returns 0, or -errno (the caller keeps it then). */
int relay_add(struct relay *relay, int fd, unsigned slot, pid_t worker);

/* Reads a few times from each pipe that has something, as far as the log has room, and flushes the
 * log. */
void relay_pump(struct relay *relay);

/* Should the driver watch `relay->set` now? Not while the log has no room or a pipe fails. */
bool relay_wants_input(const struct relay *relay);

/* Should relay_pump() be called again in a while, even if nothing happens? While a pipe fails. */
bool relay_wants_time(const struct relay *relay);

/*
 * The worker in `slot` was reaped: takes what it left in its pipe (as far as the log has room now;
 * the rest follows). The pipe stays open while other processes hold its other end; beyond
 * LIMIT_ORPHANS such pipes the oldest is closed, and the pid of its worker returned; otherwise 0.
 */
pid_t relay_worker_ended(struct relay *relay, unsigned slot);

/* Takes what is left in every pipe, but no more than fits into one. Returns false when the log has
 * no room for it yet. */
bool relay_drain(struct relay *relay);

void relay_close(struct relay *relay);

#endif
