/*
 * supervisor_parts: what the files of the supervisor share. For them alone.
 */
#ifndef SOCKETMASTER_SUPERVISOR_PARTS_H
#define SOCKETMASTER_SUPERVISOR_PARTS_H

#include "cli.h"
#include "core.h"
#include "listener_guard.h"
#include "log.h"
#include "notify.h"
#include "os.h"
#include "relay.h"
#include "setup.h"
#include "spawn.h"
#include "supervisor_control.h"
#include "supervisor_status.h"
#include "tally.h"

enum {
    /* Each start has one result, or two, and each signal may have one; a failed rollout can be
     * followed by another at once, and that by replacements. */
    SUPERVISOR_RESULTS_MAX = 3 * LIMIT_SLOTS + 6 * LIMIT_WORKERS,
    /* After a wait that failed, or was in vain; a fault that lasts must not become a busy loop. */
    SUPERVISOR_PAUSE_MS = 20,
};

/* What a watched descriptor is; the slot of one of a worker's stands in the lower half of its
 * token. */
enum supervisor_watched {
    WATCHED_SIGNALS,
    WATCHED_RELAY,
    WATCHED_LOG,
    WATCHED_FILES, /* the guard's */
    WATCHED_REPORT,
    WATCHED_NOTIFY,
    WATCHED_READY,
    WATCHED_CONTROL,
};

struct supervisor {
    struct os *os;
    const struct config *config;
    int set; /* of everything that is waited for */
    int signals;
    int log_fd; /* the log's way out while it is watched, else -1 */
    bool relay_watched;
    bool ended;
    int status;
    uint64_t started_ms;
    int64_t started_wall_s;
    uint64_t action_count; /* of the core, ever */
    /* Descriptors of the worker in each slot; below 1: none (0 is never one). */
    int reports[LIMIT_SLOTS];                    /* of how its start goes */
    int readiness[LIMIT_SLOTS];                  /* of -ready=fd */
    int notices[LIMIT_SLOTS];                    /* of -ready=notify; they belong to `notify` */
    struct spawn_progress progress[LIMIT_SLOTS]; /* of reading the reports */
    /* Results of actions, to be fed to the core after the list in which they were asked for. */
    struct core_event results[SUPERVISOR_RESULTS_MAX];
    size_t result_count;
    struct core_actions actions;
    struct core core;
    char error[SETUP_ERROR_MAX];
    struct setup setup;
    struct listener_guard guard;
    struct supervisor_textfile textfile;
    struct notify notify;
    struct relay relay;
    struct log log;
    struct tally tally;
    struct supervisor_control control;
};

uint64_t supervisor_token(enum supervisor_watched what, unsigned slot);

/* An event of this kind, now. */
struct core_event supervisor_event(struct supervisor *sup, enum core_event_kind kind);

/* Gives the core an event, and then what came of its actions, until it asks for nothing more. */
void supervisor_feed(struct supervisor *sup, const struct core_event *event);

/* --- supervisor_worker --- */

/* Does a CORE_DO_SPAWN or a CORE_DO_SIGNAL; what comes of it is added to the results. */
void supervisor_spawn(struct supervisor *sup, const struct core_action *action);
void supervisor_signal(struct supervisor *sup, const struct core_action *action);

/* A watched descriptor of the worker in `slot` is ready. */
void supervisor_read_report(struct supervisor *sup, unsigned slot);
void supervisor_read_notice(struct supervisor *sup, unsigned slot);
void supervisor_read_readiness(struct supervisor *sup, unsigned slot);

/* Reaps whoever has ended. */
void supervisor_reap(struct supervisor *sup);

#endif
