/*
 * spawn: one start of a worker.
 *
 * Owns: what a start needs: where the command is, the environment directory, the plan of descriptor
 * moves, the pipes (report, output and readiness), and reading the report. Leaves to others: which
 * variables there are (envp), forking and the child's half (os), and when to start (core).
 */
#ifndef SOCKETMASTER_SPAWN_H
#define SOCKETMASTER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "envp.h"
#include "limits.h"
#include "os.h"

enum {
    SPAWN_FIRST_LISTENER = 3, /* descriptor of listener 0 in a worker (rule E1) */
    SPAWN_WIRES_MAX = LIMIT_LISTENERS + SPAWN_FIRST_LISTENER + 1, /* the last is NOTIFY_FD */
    /* Each may have to be moved out of the way before it is put in its place; the report, too. */
    SPAWN_MOVES_MAX = 2 * SPAWN_WIRES_MAX + 1,
    SPAWN_CANDIDATES_MAX = 256,    /* directories on PATH */
    SPAWN_PATHS_MAX = 64 * 1024,   /* bytes of all paths to try */
    SPAWN_OVERRIDES_MAX = 1024,    /* files in -envdir */
    SPAWN_NAMES_MAX = 64 * 1024,   /* bytes of their names */
    SPAWN_VALUES_MAX = 512 * 1024, /* bytes of their first lines */
};

/* Steps of the parent's half that can fail, numbered after the child's. */
enum spawn_step {
    SPAWN_STEP_FIND = OS_STEP_COUNT, /* the command */
    SPAWN_STEP_ENVDIR,
    SPAWN_STEP_ENVIRONMENT,
    SPAWN_STEP_NOTIFY, /* where it can say that it is ready; done by the caller */
    SPAWN_STEP_PIPE,
    SPAWN_STEP_FORK,
    SPAWN_STEP_WATCH, /* its pipes */
    SPAWN_STEP_COUNT,
};

/* What stays the same from start to start. The strings and arrays belong to the caller. */
struct spawn_settings {
    const char *command;
    char *const *arguments;        /* without argv[0]; NULL-terminated */
    const char *control_socket;    /* NULL: none */
    const char *dir;               /* NULL: none */
    const char *envdir;            /* NULL: none */
    const struct os_user *account; /* NULL: none */
    char *const *environment;      /* the master's */
    unsigned families;
    const struct envp_listener *listeners;
    const int *listener_fds;
    size_t listener_count;
    int null_fd;   /* /dev/null to be the worker's descriptor 0, or -1: it gets the master's */
    bool relayed;  /* 1 and 2 go through a pipe; else they are the master's */
    bool ready_fd; /* it gets NOTIFY_FD (rule E5): the first descriptor after the listeners */
};

/* What is executed. */
struct spawn_command {
    const char *name;
    char *const *argv; /* NULL-terminated */
};

/* One start: what it is given ... */
struct spawn_order {
    const struct spawn_command *command; /* NULL: that of the settings */
    unsigned slot;
    uint64_t generation;
    const char *notify_socket; /* NOTIFY_SOCKET; NULL: none */
};

/* ... and what comes of it. */
struct spawn_child {
    pid_t pid;
    int report; /* to be watched for readability, read with spawn_read_report, then closed */
    int output; /* the reading end, or -1 where it is not relayed */
    int ready;  /* the reading end of NOTIFY_FD, or -1 where there is none */
};

/* Where something failed, and why. */
struct spawn_failure {
    int step;  /* enum os_step or enum spawn_step */
    int error; /* errno */
};

/* Working storage; large, so keep it static. */
struct spawn {
    struct os *os;
    const struct spawn_settings *settings;
    char **argv; /* of the settings' command */
    size_t override_count;
    struct envp_override overrides[SPAWN_OVERRIDES_MAX];
    struct os_move moves[SPAWN_MOVES_MAX];
    const char *candidates[SPAWN_CANDIDATES_MAX + 1];
    char paths[SPAWN_PATHS_MAX];
    char names[SPAWN_NAMES_MAX];
    char values[SPAWN_VALUES_MAX];
    struct envp envp;
};

/*
 * Takes the settings; `argv` is storage of the caller's for all arguments, argv[0] and a NULL.
 * Borrows everything.
 */
void spawn_open(
    struct spawn *spawn, struct os *os, const struct spawn_settings *settings, char **argv);

/*
 * Looks for a command (NULL: that of the settings) as a start would (rule E10), without starting
 * anything. Returns true, and the path that would be executed in *path (the caller's until the next
 * call); or false with *failure.
 */
bool spawn_find(struct spawn *spawn, const struct spawn_command *command, const char **path,
    struct spawn_failure *failure);

/* Starts a worker. Returns true with *child (its descriptors are the caller's), or false with
 * *failure: then there is no process and nothing is left open. */
bool spawn_start(struct spawn *spawn, const struct spawn_order *order, struct spawn_child *child,
    struct spawn_failure *failure);

enum spawn_report {
    SPAWN_PENDING,  /* the child has not got so far yet */
    SPAWN_EXECUTED, /* the command runs: the pipe closed itself at exec */
    SPAWN_FAILED,   /* *failure says where; the child is ending */
    SPAWN_DIED,     /* it ended before it came to execute the command */
    SPAWN_UNKNOWN,  /* the report cannot be read, *failure says why; the child may be running */
};

/* How far the reports of one child have been read. All zero at first. */
struct spawn_progress {
    bool announced; /* it was about to execute the command */
    size_t length;  /* of `message`, as far as it has come */
    struct os_report message;
};

/* What the child has reported by now. */
enum spawn_report spawn_read_report(
    struct os *os, int report, struct spawn_progress *progress, struct spawn_failure *failure);

/* "execute", "change the directory of": goes between "unable to" and the command. Never NULL. */
const char *spawn_step_text(int step);

/* One descriptor of a worker: `from` (the master's) becomes `to`. */
struct spawn_wire {
    int from;
    int to;
};

/*
 * The pure plan of moves: after it every `to` of the wires is a copy of its `from` and is
 * inherited, whatever overlaps; each `to` stands once. `*report` is kept (close-on-exec) at a
 * number that no wire needs, which replaces it. `moves` has room for 2 x count + 1. Returns how
 * many moves there are.
 */
size_t spawn_plan_moves(
    const struct spawn_wire *wires, size_t count, int *report, struct os_move *moves);

#endif
