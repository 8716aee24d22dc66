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
    RELAY_TAIL = 4096, /* of each worker's output, for the line about a rollout that it failed */
};

struct relay_source {
    int fd; /* -1: free */
    unsigned slot;
    pid_t worker;
    bool orphan;    /* the worker was reaped; others hold its pipe */
    uint64_t order; /* of becoming an orphan */
};

/* Counts stand apart from the bytes that they count: memory of workers that write nothing is never
 * touched, and each page that was touched makes every fork dearer. */
struct relay {
    struct os *os;
    struct log *log;
    int set;           /* watches every pipe; itself to be watched for readability by the driver */
    size_t bound;      /* sources from here on were never used */
    size_t free;       /* no source below it is free */
    uint64_t orphaned; /* how many pipes outlived their worker, ever */
    size_t orphans;    /* how many there are now */
    bool failing;      /* a pipe could not be read at the last try */
    /* What was read but not yet taken by the log: input[at..end) of source `held`. */
    size_t held, at, end;
    struct relay_source sources[RELAY_SOURCES_MAX];
    size_t of_slot[LIMIT_SLOTS]; /* where the source of a slot's worker was put, if it has one */
    char input[RELAY_READ];
    struct childlog unfinished[RELAY_SOURCES_MAX];
    uint64_t written[LIMIT_SLOTS];       /* bytes of the worker in each slot, ever */
    char tails[LIMIT_SLOTS][RELAY_TAIL]; /* a ring of the last of them */
    char lines[RELAY_SOURCES_MAX][LIMIT_LOG_LINE];
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

/*
 * Copies the last lines that the worker in `slot` wrote, its present one or else its last, into
 * `buffer` (RELAY_TAIL bytes), without the newline at the end. Returns how many bytes that are.
 */
size_t relay_last_output(const struct relay *relay, unsigned slot, char *buffer);

/* There is a new worker in `slot`: nothing was written yet. */
void relay_forget_output(struct relay *relay, unsigned slot);

/* Takes what is left in every pipe, but no more than fits into one. Returns false when the log has
 * no room for it yet. */
bool relay_drain(struct relay *relay);

void relay_close(struct relay *relay);

#endif
