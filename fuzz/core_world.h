/*
 * core_world: the small world of processes in which fuzz_core lets the core decide.
 *
 * Owns: what is known outside of the core: the processes, what was asked for, and what follows from
 * both by the rules R and X. Leaves to others: what happens next (fuzz_core), and whether the core
 * did right (core_judge).
 */
#ifndef SOCKETMASTER_FUZZ_CORE_WORLD_H
#define SOCKETMASTER_FUZZ_CORE_WORLD_H

#include "core.h"

struct process {
    enum {
        FREE,
        WANTED, /* the core asked for it, and waits for the answer */
        ALIVE,
    } there;
    int64_t pid;
    uint64_t generation;
    uint64_t order;   /* the how manieth that was asked for */
    bool replacement; /* it was asked for besides a rollout */
    bool unwanted;    /* before it was there */
    bool executed, exec_failed, ready;
    bool lost;         /* it cannot say any more that it is ready */
    bool said;         /* it said so before it was known to run */
    uint64_t extended; /* until when it asked to be waited for, before that */
    bool in_charge;    /* it was ready, and took over */
    bool told;         /* to end, or ending by itself since it could not execute the command */
    bool draining, killed;
    bool untold;                          /* the signal that told it did not reach it */
    uint64_t executed_at, told_at, bound; /* bound 0: it may take as long as it likes */
    uint64_t ready_by;                    /* or it is late, or has lived long enough */
    bool settles;                         /* in this step, or may */
    uint64_t settles_at;    /* the next replacement need not wait then, or CORE_NEVER */
    uint64_t takes_over_at; /* CORE_NEVER: not by time */
    uint64_t kill_again_at; /* 0: never */
    uint64_t retired;       /* the how manieth it was */
    uint64_t forwarded;     /* the step in which it last got the signal of a stop */
};

struct world {
    struct core_settings settings; /* as given; but `workers` are those that are wanted now */
    uint64_t now, steps;
    int64_t pids;
    unsigned bound; /* no process was ever in a slot from here on */
    unsigned living;
    bool started, stopped, ended, rolling, pending;
    unsigned scale_pending;         /* or 0 */
    int stop_signal;                /* of the latest stop */
    uint64_t generation, completed; /* the youngest, and the youngest that was completed */
    uint64_t began_at;              /* the latest rollout */
    uint64_t asked, retired;        /* workers, ever */
    unsigned due;                   /* workers, besides a rollout */
    uint64_t lost;                  /* a bit for each generation of which somebody was: its number
                                       modulo 64 */
    unsigned failed_in_a_row;       /* replacements */
    uint64_t replace_at;
    int status;
    bool ended_ready;
    int ready_status, start_status;
};

/* What is known of the present step alone. */
struct world_step {
    struct process was; /* the process that the event names, before it */
    bool began, done;
    uint64_t dismissed;   /* the generation of which somebody was, for a rollout that fails */
    bool dismissed_ready; /* one of them was ready */
    const struct process *given_up; /* it is late, or lost */
    bool settles;                   /* somebody may have */
    unsigned to_go;                 /* workers that have to go since fewer are wanted */
};

/* The core under test, and what it answered last. */
extern struct core world_core;
extern struct core_actions world_actions;

extern struct world world;
extern struct world_step world_step;
extern struct process world_processes[LIMIT_SLOTS];

/* Begins anew with a core that has these settings. */
void world_init(const struct core_settings *settings);

/* Gives the core an event, at world.now, and judges what it does. */
void world_give(struct core_event event);

/* Is it wanted, but not ready yet? Is it wanted at all? */
bool world_is_starting(const struct process *process);
bool world_is_wanted(const struct process *process);

/* Is it ready? Does it serve: has it taken over, or is it time to? */
bool world_is_ready(const struct process *process);
bool world_is_serving(const struct process *process);

/* Does a rollout that is under way hang on it? */
bool world_is_in_rollout(const struct process *process);

/* How many there are of all, of those in the rollout that is under way, and of others. */
typedef bool world_test(const struct process *process);
unsigned world_count(world_test *test);
unsigned world_count_young(world_test *test);
unsigned world_count_other(world_test *test);

/* Who goes when fewer are wanted: the youngest of those that are not ready yet, or else of all;
 * NULL where there is none. */
struct process *world_first_to_go(void);

/* Milliseconds that a worker may take that is told to end, but was not in charge. */
uint64_t world_failed_bound(void);

/* It is to end, in that time (0: as long as it likes). */
void world_tell(struct process *process, uint64_t bound);

/* One that was wanted, and is no part of a rollout, is gone, or will be: it is due again, where
 * -respawn says so. failed: it is a replacement that was no good. */
void world_lose(const struct process *process, bool failed);

/* Is there one due that may be started by `now`? */
bool world_may_replace(uint64_t now);

#endif
