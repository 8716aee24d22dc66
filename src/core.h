/*
 * core: what happens next.
 *
 * Owns: the states of the master, of a rollout and of each worker; every decision to start, signal,
 * kill or end. An event with the time in it goes in, a bounded list of actions comes out. Leaves to
 * others: doing it, and words for it.
 * Pure: no descriptor, clock, log, allocation or global. The state is plain data without pointers,
 * so it can be printed, compared, copied and simulated.
 */
#ifndef SOCKETMASTER_CORE_H
#define SOCKETMASTER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define CORE_NEVER UINT64_MAX

enum {
    /* How long a worker of a failed rollout may take to end when -stop sets no bound (rule R7). */
    CORE_FAILED_STOP_MS = 5000,
    /* When KILL is tried again after it could not be sent. */
    CORE_KILL_AGAIN_MS = 10000,
    /* How long a worker that can never say that it is ready may take to end by itself. */
    CORE_LOST_MS = 100,
    /* How long a process may take from fork to exec where -ready-timeout does not say. */
    CORE_EXECUTE_MS = 60000,
    /* A replacement that ends sooner counts as one that was never ready (rule R10). */
    CORE_SETTLED_MS = 1000,
    /* Between replacements that fail: the first wait, and the longest. */
    CORE_RESPAWN_MS = 1000,
    CORE_RESPAWN_MAX_MS = 30000,
    /* For each slot at most: a line that it is ready, a signal and a line for it, a KILL and a line
     * for it; for each worker that is started a SPAWN; and the lines about the whole. */
    CORE_ACTIONS_MAX = 5 * LIMIT_SLOTS + LIMIT_WORKERS + 16,
};

/* The master's phases. */
enum core_phase {
    CORE_NEW,      /* before START */
    CORE_FIRST,    /* the first generation is starting */
    CORE_SERVING,  /* no rollout is under way */
    CORE_ROLLING,  /* a new generation is starting, the old one serves */
    CORE_STOPPING, /* a stop was asked for; nothing is started any more */
    CORE_ENDED,    /* EXIT was given */
    CORE_PHASE_COUNT,
};

/* The states of a slot. */
enum core_worker_state {
    CORE_WORKER_NONE,      /* the slot is free */
    CORE_WORKER_SPAWNING,  /* SPAWN was given, no process yet */
    CORE_WORKER_CANCELLED, /* as before, but it is not wanted any more */
    CORE_WORKER_EXECUTING, /* a process, which has not executed the command yet */
    CORE_WORKER_STARTING,  /* runs the command, not ready yet */
    CORE_WORKER_HELD,      /* ready, but it has not taken over yet: older ones serve on as well */
    CORE_WORKER_READY,     /* serves */
    CORE_WORKER_DRAINING,  /* retired: got the stop signal since a newer one took over */
    CORE_WORKER_STOPPING,  /* is to end: of a failed rollout, or since a stop was asked for */
    CORE_WORKER_KILLED,    /* got KILL */
    CORE_WORKER_STATE_COUNT,
};

/* Events. Those of one worker come first: they name its slot. */
enum core_event_kind {
    CORE_SPAWNED,        /* SPAWN worked: pid */
    CORE_SPAWN_FAILED,   /* SPAWN did not: there is no process; step, number (errno) */
    CORE_EXECUTED,       /* the command runs */
    CORE_EXEC_FAILED,    /* the child could not get that far and is ending; step, number (errno) */
    CORE_READY_SAID,     /* it said that it is ready */
    CORE_READY_EXTENDED, /* it said that it needs until `milliseconds` from now for that */
    CORE_READY_LOST,     /* it gave away what it could say so with */
    CORE_EXITED,         /* reaped: number, signalled */
    CORE_SIGNAL_FAILED,  /* SIGNAL did not reach it */
    CORE_WORKER_EVENT_COUNT,
    CORE_START = CORE_WORKER_EVENT_COUNT,
    CORE_RELOAD,
    CORE_STOP,  /* number: the signal that asked for it */
    CORE_SCALE, /* number: how many workers are wanted from now on */
    CORE_TICK,  /* time has passed */
    CORE_EVENT_COUNT,
};

struct core_event {
    enum core_event_kind kind;
    uint64_t now; /* monotonic milliseconds; never less than in the event before */
    unsigned slot;
    int64_t pid;
    int step;       /* opaque: which step of a start failed */
    int number;     /* errno, exit status, signal or count, as the kind says */
    bool signalled; /* EXITED: `number` is the signal that killed it, not its exit status */
    uint64_t milliseconds;
};

/* What the driver has to do, in order. */
enum core_action_kind {
    CORE_DO_SPAWN,  /* start a worker in `slot` for `generation`; answer SPAWNED or SPAWN_FAILED */
    CORE_DO_SIGNAL, /* send `number` to `pid` (to its process group, if `group`) */
    CORE_DO_SAY,    /* log `say` */
    CORE_DO_EXIT,   /* end with status `number`: no worker is left */
};

/* What there is to say (rule O6), and which fields of the action go with it besides slot, pid and
 * generation. */
enum core_say {
    CORE_SAY_STARTED,
    CORE_SAY_READY,          /* elapsed: since the command was executed */
    CORE_SAY_RETIRED,        /* number: signal */
    CORE_SAY_STOPPED,        /* number: signal; a worker of a failed rollout */
    CORE_SAY_FORWARDED,      /* number: signal */
    CORE_SAY_KILLED_LATE,    /* elapsed: since it was told to end */
    CORE_SAY_KILLED_SURPLUS, /* number: how many may drain */
    CORE_SAY_LATE,           /* elapsed: since it was started, and it is not ready */
    CORE_SAY_LOST,           /* it can never say that it is ready */
    CORE_SAY_ENDED,          /* number, signalled, elapsed: since it was executed; asked */
    CORE_SAY_NOT_SPAWNED,    /* step, number: errno; there was no process */
    CORE_SAY_NOT_EXECUTED,   /* step, number: errno */
    CORE_SAY_RELOADING,
    CORE_SAY_RELOAD_LATER,   /* remembered until this rollout ends */
    CORE_SAY_RELOAD_REFUSED, /* a stop was asked for */
    CORE_SAY_RELOAD_COVERED, /* the start is still to come */
    CORE_SAY_ROLLOUT_DONE,   /* elapsed */
    CORE_SAY_ROLLOUT_FAILED, /* elapsed, serving; failure, and of the worker that failed: slot, pid,
                                and step, number, signalled as the failure says */
    CORE_SAY_REPLACING,      /* elapsed: until then; number: how many failed in a row */
    CORE_SAY_SCALED,         /* number: workers that are wanted */
    CORE_SAY_SCALE_LATER,    /* the same, remembered until this rollout ends */
    CORE_SAY_SCALE_REFUSED,  /* the same, and it cannot be */
    CORE_SAY_STOP_ASKED,     /* number: signal */
    CORE_SAY_EXITING,        /* number: status */
    CORE_SAY_ILLEGAL,        /* number: enum core_event_kind */
    CORE_SAY_COUNT,
};

/* Why a rollout failed. */
enum core_failure {
    CORE_FAILURE_NONE,
    CORE_FAILURE_NOT_STARTED, /* a worker could not be forked or executed: step, number (errno) */
    CORE_FAILURE_KILLED,      /* a worker ended before it executed the command: number, signalled */
    CORE_FAILURE_ENDED,       /* a worker ended before it was ready: number, signalled */
    CORE_FAILURE_ENDED_READY, /* the same after it was ready */
    CORE_FAILURE_LATE,        /* a worker was not ready in time */
    CORE_FAILURE_LOST,        /* a worker can never say that it is ready */
    CORE_FAILURE_NO_SLOT,     /* too many older workers are still draining; no worker failed */
    CORE_FAILURE_COUNT,
};

struct core_action {
    enum core_action_kind kind;
    enum core_say say;
    enum core_failure failure;
    unsigned slot;
    int64_t pid;
    uint64_t generation;
    uint64_t elapsed; /* milliseconds */
    unsigned serving; /* workers that are ready and go on */
    int step;
    int number;
    bool signalled;
    bool asked; /* ENDED: it had been told to end */
    bool group;
};

struct core_actions {
    size_t count;
    struct core_action list[CORE_ACTIONS_MAX];
};

/* What the user set. */
struct core_settings {
    unsigned workers;  /* of one generation, 1 to LIMIT_WORKERS; SCALE changes it */
    bool says_ready;   /* a worker is ready when it says so, not when it has lived for start_ms */
    uint64_t start_ms; /* 0: ready when it executes, at the TICK after that */
    uint64_t ready_timeout_ms; /* for saying so; 0: for ever */
    bool smooth;               /* one old worker makes room for each new one (rule R5) */
    unsigned max_starting;     /* in a smooth rollout, from 1 */
    uint64_t hold_ms;          /* how long older workers serve on beside new ones (R6) */
    bool respawn;              /* workers that end unasked are replaced (R10) */
    uint64_t stop_ms;          /* from the stop signal to KILL; 0: never */
    int stop_signal;           /* for retired workers */
    unsigned max_draining;     /* 0: no limit */
    bool kill_group;           /* signals go to the process group */
};

struct core_worker {
    enum core_worker_state state;
    bool exec_failed;
    bool untold;      /* it was told to end, and the signal did not reach it */
    bool replacement; /* it is no part of a rollout */
    bool ready_said;  /* it said that it is ready, before it was known to run the command */
    bool ready_lost;  /* it cannot say any more that it is ready */
    int64_t pid;
    uint64_t generation;
    uint64_t order_started; /* from 1: the youngest has the most */
    uint64_t forked;        /* when its process was made */
    uint64_t executed;      /* when the command ran */
    uint64_t told;          /* when it was told to end */
    uint64_t order_retired; /* from 1: the oldest drainer has the least */
    uint64_t extended;      /* until when it asked to be waited for */
    uint64_t deadline;      /* when TICK has to look at it, or CORE_NEVER */
};

struct core {
    struct core_settings settings;
    enum core_phase phase;
    uint64_t generation; /* the youngest; 0 before START */
    uint64_t serving;    /* the generation that the latest successful rollout brought */
    uint64_t rollout_began;
    uint64_t started; /* how many workers were, ever */
    uint64_t retired; /* the same */
    bool reload_pending;
    unsigned scale_pending; /* workers that are wanted once this rollout has ended, or 0 */
    int stop_asked;         /* the latest signal that asked to stop, or 0 */
    int start_status;       /* as long as no generation came up: for the latest that did not */
    bool ended_ready;       /* some worker ended unasked while it was ready ... */
    int ready_status;       /* ... the last of them with this */
    unsigned slot_bound;    /* slots from here on were never used, and hold nothing */
    unsigned slot_free;     /* no slot below it is free */
    unsigned living;        /* slots that are not NONE */
    /* How many workers there are in each state: of the youngest generation, and older ones. */
    unsigned young[CORE_WORKER_STATE_COUNT];
    unsigned old[CORE_WORKER_STATE_COUNT];
    /* Workers that are due besides a rollout: the generation of each. */
    unsigned due_count;
    uint64_t due[LIMIT_WORKERS];
    unsigned failed_in_a_row; /* replacements */
    uint64_t replace_at;      /* no sooner, after one failed */
    struct core_worker workers[LIMIT_SLOTS];
};

/* Empties everything and takes the settings. */
void core_init(struct core *core, const struct core_settings *settings);

/*
 * Takes one event and fills *actions with what follows from it, in the order in which it has to be
 * done (what was in *actions before is forgotten). An event that is illegal in the present state
 * changes nothing but says so.
 */
void core_step(struct core *core, const struct core_event *event, struct core_actions *actions);

/* When the next TICK is due: monotonic milliseconds, or CORE_NEVER. */
uint64_t core_deadline(const struct core *core);

/* How many workers are wanted, what is put off until the end of a rollout counted in. */
unsigned core_workers_wanted(const struct core *core);

/* The slot of the living worker with this pid (> 0), or -1. */
int core_find(const struct core *core, int64_t pid);

#endif
