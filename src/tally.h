/*
 * tally: what has happened, counted and dated.
 *
 * Owns: how often each thing happened since the start, when it happened to the worker in each slot,
 * and what became of the latest rollout and why: what status, metrics and the control socket tell.
 * Learns it from the core's actions alone, one after the other. Leaves to others: where everything
 * is now (core: whether there is a worker in a slot, its state and deadline), the words (report,
 * status), and the time.
 * Pure: no descriptor, clock, log, allocation or global.
 */
#ifndef SOCKETMASTER_TALLY_H
#define SOCKETMASTER_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core.h"
#include "text.h"

enum {
    /* Bytes of the id of a worker's ping; what is longer is cut. */
    TALLY_ID_MAX = 255,
    /* Bytes of the line about a rollout that failed; what is longer is cut. */
    TALLY_LINE_MAX = 8192,
    /* Bytes of what its worker wrote last; of more the last count. */
    TALLY_OUTPUT_MAX = 4096,
};

/* When: by the clock that is never set, and by the one on the wall. Both 0: never. */
struct tally_time {
    uint64_t ms;  /* monotonic */
    int64_t wall; /* seconds since 1970 */
};

/*
 * What happened to one worker. It is of the latest that the core asked for in this slot, and stays
 * when that has ended, until the next one is asked for.
 */
struct tally_slot {
    int64_t pid; /* 0 as long as nothing was told of it but that it was asked for */
    uint64_t generation;
    unsigned restarts;            /* how many of its generation were in this slot before it */
    enum core_worker_state state; /* as far as it was told: EXECUTING and CANCELLED are SPAWNING
                                     here, HELD is READY, and one that has ended is NONE */
    struct tally_time since;      /* when it got into that */
    struct tally_time asked_for;  /* just before its process was made */
    struct tally_time ready;
    uint64_t ready_after;        /* milliseconds since it executed the command */
    struct tally_time signalled; /* when it was last sent a signal, by whomever */
    int last_signal;             /* that one, or 0 */
    uint64_t signals;            /* all of them: bit N - 1 for signal N, 1 to 64 */
    struct tally_time pinged;    /* when it last sent a worker:ping */
    size_t ping_id_length;
    char ping_id[TALLY_ID_MAX]; /* the id that came with it */
};

/* How often, since the start. */
struct tally_counts {
    uint64_t rollouts; /* begun; each ends in one of these ways, but for one that is under way: */
    uint64_t rollouts_done, rollouts_failed, rollouts_cancelled;
    uint64_t reloads_refused; /* after a stop */
    uint64_t asked_for;       /* workers */
    uint64_t replacements;    /* those of them that were no part of a rollout: for one that ended,
                                 or since more were wanted */
    uint64_t not_started;     /* they could not be forked or executed */
    uint64_t executed;
    uint64_t ready;
    uint64_t late;    /* they were given up, since they did not get ready in time ... */
    uint64_t lost;    /* ... or could not say so any more */
    uint64_t ended;   /* processes, but for those that could not be executed */
    uint64_t unasked; /* those of them that had not been told to */
    uint64_t crashed; /* and those of these that a signal killed */
    uint64_t killed;  /* KILL was sent, since they took too long or were too many */
};

enum tally_result {
    TALLY_NONE, /* there was no rollout yet */
    TALLY_RUNNING,
    TALLY_DONE,
    TALLY_FAILED,
    TALLY_CANCELLED, /* a stop was asked for */
};

/* The latest rollout. */
struct tally_rollout {
    enum tally_result result;
    uint64_t generation;
    struct tally_time began;
    struct tally_time ended; /* 0: RUNNING */
    uint64_t elapsed;        /* milliseconds, unless RUNNING */
    struct core_action why;  /* of FAILED: CORE_SAY_ROLLOUT_FAILED */
    size_t line_length, output_length;
    char line[TALLY_LINE_MAX];     /* of FAILED: as logged, but without the output */
    char output[TALLY_OUTPUT_MAX]; /* the last that the worker wrote which failed it */
};

struct tally {
    struct tally_counts counts;
    struct tally_rollout rollout;
    unsigned slot_bound; /* slots from here on were never used, and hold nothing */
    struct tally_slot slots[LIMIT_SLOTS];
};

/* Empties everything. */
void tally_init(struct tally *tally);

/* Takes one action of the core, in the order in which it gives them; wall_s: seconds since 1970. */
void tally_take(
    struct tally *tally, const struct core_action *action, uint64_t now_ms, int64_t wall_s);

/* The words about the rollout that has just failed: the line for the log, and what the worker that
 * failed it wrote last. To be called after that action was taken; before the next one begins. */
void tally_rollout_words(struct tally *tally, struct text_span line, struct text_span output);

/* The living worker in `slot` sent a worker:ping with this id (empty: none). */
void tally_ping(
    struct tally *tally, unsigned slot, uint64_t now_ms, int64_t wall_s, struct text_span id);

#endif
