/*
 * The world of core's tests: scripts of events, and what each of them must lead to.
 *
 * A script has one line for each event, `TIME EVENT [ARGUMENTS] -> ACTIONS @DEADLINE`. The actions
 * are compared as a whole, so what a line does not name must not happen; without `->` they are not
 * looked at, and without `@` the deadline is not (`@-`: there is none). A signal is shown with the
 * pid that gets it, negative for a process group, as in kill(2).
 */
#ifndef SOCKETMASTER_CORE_WORLD_H
#define SOCKETMASTER_CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { TEXT_MAX = 1024 };

static const char *const event_names[CORE_EVENT_COUNT] = {
    [CORE_SPAWNED] = "spawned",             /* SLOT PID */
    [CORE_SPAWN_FAILED] = "spawn-failed",   /* SLOT ERRNO */
    [CORE_EXECUTED] = "executed",           /* SLOT */
    [CORE_EXEC_FAILED] = "exec-failed",     /* SLOT ERRNO */
    [CORE_READY_SAID] = "says-ready",       /* SLOT */
    [CORE_READY_EXTENDED] = "extends",      /* SLOT MILLISECONDS */
    [CORE_READY_LOST] = "loses",            /* SLOT */
    [CORE_EXITED] = "exited",               /* SLOT STATUS; "killed" is SLOT SIGNAL */
    [CORE_SIGNAL_FAILED] = "signal-failed", /* SLOT ERRNO */
    [CORE_START] = "start",
    [CORE_RELOAD] = "reload", /* "reload-fleet" and "reload-smooth" name a mode */
    [CORE_STOP] = "stop",     /* SIGNAL */
    [CORE_SCALE] = "scale",   /* WORKERS */
    [CORE_SIGNAL] = "signal", /* SIGNAL */
    [CORE_TICK] = "tick",
};

/* How a line is shown: its name, and a letter for each thing that goes with it. s: slot (it is
 * about a worker), g: generation, t: elapsed, n: number, N: number as a signal, v: how many serve,
 * e: how it ended, f: why it failed, x: step and errno. */
static const struct {
    const char *name;
    const char *with;
} says[CORE_SAY_COUNT] = {
    [CORE_SAY_STARTED] = {"started", "s"},
    [CORE_SAY_READY] = {"ready", "st"},
    [CORE_SAY_RETIRED] = {"retired", "sN"},
    [CORE_SAY_STOPPED] = {"stopped", "sN"},
    [CORE_SAY_FORWARDED] = {"forwarded", "sN"},
    [CORE_SAY_KILLED_LATE] = {"late", "st"},
    [CORE_SAY_KILLED_SURPLUS] = {"surplus", "sn"},
    [CORE_SAY_LATE] = {"not-ready", "st"},
    [CORE_SAY_LOST] = {"mute", "st"},
    [CORE_SAY_ENDED] = {"ended", "set"},
    [CORE_SAY_NOT_SPAWNED] = {"not-spawned", "sx"},
    [CORE_SAY_NOT_EXECUTED] = {"not-executed", "sx"},
    [CORE_SAY_RELOADING] = {"reloading", "g"},
    [CORE_SAY_RELOAD_LATER] = {"later", ""},
    [CORE_SAY_RELOAD_REFUSED] = {"refused", ""},
    [CORE_SAY_RELOAD_COVERED] = {"covered", ""},
    [CORE_SAY_ROLLOUT_DONE] = {"done", "gt"},
    [CORE_SAY_ROLLOUT_FAILED] = {"failed", "gftv"},
    [CORE_SAY_REPLACING] = {"replacing", "gtn"},
    [CORE_SAY_SCALED] = {"scaled", "n"},
    [CORE_SAY_SCALE_LATER] = {"scale-later", "n"},
    [CORE_SAY_SCALE_REFUSED] = {"scale-refused", "n"},
    [CORE_SAY_SIGNALLED] = {"signalled", "Nv"},
    [CORE_SAY_STOP_ASKED] = {"stopping", "N"},
    [CORE_SAY_EXITING] = {"exiting", "n"},
    [CORE_SAY_ILLEGAL] = {"illegal", ""},
};

static const char *const failure_names[CORE_FAILURE_COUNT] = {
    [CORE_FAILURE_NONE] = "none",
    [CORE_FAILURE_NOT_STARTED] = "not-started",
    [CORE_FAILURE_KILLED] = "killed",
    [CORE_FAILURE_ENDED] = "ended",
    [CORE_FAILURE_ENDED_READY] = "ended-ready",
    [CORE_FAILURE_LATE] = "late",
    [CORE_FAILURE_LOST] = "lost",
    [CORE_FAILURE_NO_SLOT] = "no-slot",
};

enum { GHOST_PID = 66 };

/* The core, and what is outside of it: which process is in which slot. */
static struct {
    struct core core;
    struct core_actions actions;
    int64_t pids[LIMIT_SLOTS]; /* 0: none */
    uint64_t generations[LIMIT_SLOTS];
} world;

/* What was there before must not matter; and in the slots that were never used stands what would do
 * the most harm if it were looked at. */
static inline void world_begin(const struct core_settings *settings)
{
    enum { GARBAGE = 0xa5 };

    memset(&world, 0, sizeof world);
    memset(&world.core, GARBAGE, offsetof(struct core, workers));
    for (unsigned slot = 0; slot < LIMIT_SLOTS; slot++)
        world.core.workers[slot] =
            (struct core_worker){.state = slot % 2 ? CORE_WORKER_READY : CORE_WORKER_DRAINING,
                .pid = GHOST_PID,
                .generation = slot / 2 % 2 + 1};
    core_init(&world.core, settings);
}

/* Workers in this state, of all generations. */
static inline unsigned count_state(enum core_worker_state state)
{
    return world.core.young[state] + world.core.old[state];
}

static inline unsigned count_starting(const unsigned *counts)
{
    return counts[CORE_WORKER_SPAWNING] + counts[CORE_WORKER_EXECUTING] +
           counts[CORE_WORKER_STARTING];
}

/* What the core counts is what there is. */
static inline void check_counts(void)
{
    unsigned young[CORE_WORKER_STATE_COUNT] = {0}, old[CORE_WORKER_STATE_COUNT] = {0};
    unsigned living = 0;

    for (unsigned slot = 0; slot < world.core.slot_bound; slot++) {
        const struct core_worker *worker = &world.core.workers[slot];

        if (worker->state == CORE_WORKER_NONE)
            continue;
        (worker->generation == world.core.generation ? young : old)[worker->state]++;
        living++;
    }
    assert_int_equal(world.core.living, living);
    assert_memory_equal(world.core.young, young, sizeof young);
    assert_memory_equal(world.core.old, old, sizeof old);
}

/* What holds after every event. */
static inline void check_state(void)
{
    const struct core *core = &world.core;
    bool rolling = core->phase == CORE_FIRST || core->phase == CORE_ROLLING;
    unsigned young = count_starting(core->young);
    unsigned starting = young + count_starting(core->old);
    unsigned ready = count_state(CORE_WORKER_HELD) + count_state(CORE_WORKER_READY);

    check_counts();
    assert_int_equal(core_find(core, GHOST_PID), -1);
    /* What waits for the end of a rollout waits for nothing else (rules R9, G1). */
    if (core->reload_pending || core->scale_pending)
        assert_true(rolling);
    if (core->pending_mode != CORE_MODE_SET)
        assert_true(core->reload_pending);
    if (core->due_count)
        assert_true(core->phase == CORE_SERVING || core->phase == CORE_ROLLING);
    assert_true(core->due_count <= core->settings.workers);
    if (rolling && core->smooth) {
        /* Rule R5. */
        assert_true(young <= core->settings.max_starting);
        assert_true(starting + ready <= core->settings.workers + core->settings.max_starting);
    }
    if (!rolling)
        assert_int_equal(count_state(CORE_WORKER_HELD), 0);
}

/* A rollout that failed names who is to blame: it is the worker of this event, or the one that was
 * just said not to be ready. */
static inline void check_blame(
    const struct core_event *event, const struct core_action *action, bool late, int64_t pid)
{
    bool not_started = event->kind == CORE_SPAWN_FAILED || event->kind == CORE_EXEC_FAILED;

    switch (action->failure) {
    case CORE_FAILURE_NOT_STARTED:
        assert_true(not_started);
        assert_int_equal(action->step, event->step);
        assert_int_equal(action->number, event->number);
        break;
    case CORE_FAILURE_KILLED:
    case CORE_FAILURE_ENDED:
    case CORE_FAILURE_ENDED_READY:
        assert_int_equal(event->kind, CORE_EXITED);
        assert_int_equal(action->number, event->number);
        assert_int_equal(action->signalled, event->signalled);
        break;
    case CORE_FAILURE_LATE:
    case CORE_FAILURE_LOST:
        assert_int_equal(event->kind, CORE_TICK);
        assert_true(late);
        break;
    case CORE_FAILURE_NO_SLOT:
        assert_int_equal(action->slot, 0);
        assert_int_equal(action->pid, 0);
        return;
    case CORE_FAILURE_NONE:
    case CORE_FAILURE_COUNT:
    default:
        fail_msg("a rollout failed without a reason");
    }
    if (event->kind != CORE_TICK)
        assert_int_equal(action->slot, event->slot);
    assert_int_equal(action->pid, pid);
}

/* What holds for every list of actions: a signal goes to a process that is there (rule G4), and who
 * is spoken of is who it was. `ended` is the pid of the worker that this event took away, or 0. */
static inline void check_actions(const struct core_event *event, int64_t ended)
{
    unsigned late = LIMIT_SLOTS;
    bool retired = false, scaled = false;

    assert_true(world.actions.count <= CORE_ACTIONS_MAX);
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct core_action *action = &world.actions.list[i];
        int64_t pid = ended && action->slot == event->slot ? ended : world.pids[action->slot];

        switch (action->kind) {
        case CORE_DO_SPAWN:
            assert_int_equal(world.pids[action->slot], 0);
            assert_in_range(action->generation, 1, world.core.generation);
            world.generations[action->slot] = action->generation;
            break;
        case CORE_DO_SIGNAL:
            assert_true(action->pid > 0);
            assert_int_equal(action->pid, world.pids[action->slot]);
            assert_int_equal(action->generation, world.generations[action->slot]);
            assert_int_equal(action->asked, event->kind == CORE_SIGNAL);
            break;
        case CORE_DO_SAY:
            retired |= action->say == CORE_SAY_RETIRED;
            scaled |= action->say == CORE_SAY_SCALED;
            if (action->say == CORE_SAY_LATE || action->say == CORE_SAY_LOST)
                late = action->slot;
            if (action->say == CORE_SAY_ROLLOUT_FAILED)
                check_blame(event, action, action->slot == late, pid);
            if (says[action->say].with[0] != 's')
                break;
            assert_int_equal(action->generation, world.generations[action->slot]);
            assert_int_equal(action->pid, pid);
            break;
        case CORE_DO_EXIT:
            assert_int_equal(i + 1, world.actions.count);
            break;
        }
    }
    /* Who is retired is not missed (rules I2, R5). */
    if (retired && !scaled)
        assert_true(count_state(CORE_WORKER_READY) >= world.core.settings.workers);
}

static inline void world_step(const struct core_event *event)
{
    int64_t ended = 0;

    if (event->kind == CORE_SPAWNED)
        world.pids[event->slot] = event->pid;
    if (event->kind == CORE_EXITED) {
        ended = world.pids[event->slot];
        world.pids[event->slot] = 0;
    }
    core_step(&world.core, event, &world.actions);
    check_actions(event, ended);
    check_state();
    if (event->kind == CORE_SPAWNED)
        assert_int_equal(core_find(&world.core, event->pid), event->slot);
    if (ended)
        assert_int_equal(core_find(&world.core, ended), -1);
}

/* --- scripts --- */

__attribute__((format(printf, 2, 3))) static inline void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    assert_in_range(vsnprintf(text + length, TEXT_MAX - length, format, arguments), 0,
        (uintmax_t)(TEXT_MAX - length - 1));
    va_end(arguments);
}

static inline const char *signal_name(int signal)
{
    switch (signal) {
    case SIGHUP:
        return "HUP";
    case SIGINT:
        return "INT";
    case SIGQUIT:
        return "QUIT";
    case SIGTERM:
        return "TERM";
    case SIGUSR2:
        return "USR2";
    case SIGKILL:
        return "KILL";
    default:
        return "?";
    }
}

static inline void append_say(char *text, const struct core_action *action)
{
    append(text, "%s", says[action->say].name);
    for (const char *with = says[action->say].with; *with; with++) {
        append(text, " ");
        if (*with == 's')
            append(text, "%u", action->slot);
        else if (*with == 'g')
            append(text, "g%" PRIu64, action->generation);
        else if (*with == 't')
            append(text, "+%" PRIu64, action->elapsed);
        else if (*with == 'n')
            append(text, "%d", action->number);
        else if (*with == 'v')
            append(text, "%u", action->serving);
        else if (*with == 'N')
            append(text, "%s", signal_name(action->number));
        else if (*with == 'f')
            append(text, "%s", failure_names[action->failure]);
        else if (*with == 'x')
            append(text, "%d/%d", action->step, action->number);
        else
            append(text, "%s %s%d", action->asked ? "asked" : "unasked",
                action->signalled ? "by " : "", action->number);
    }
}

static inline void show_actions(char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct core_action *action = &world.actions.list[i];

        append(text, "%s", i ? ", " : "");
        switch (action->kind) {
        case CORE_DO_SPAWN:
            append(text, "spawn %u g%" PRIu64, action->slot, action->generation);
            break;
        case CORE_DO_SIGNAL:
            append(text, "%s%s %" PRId64, action->asked ? "asked " : "",
                signal_name(action->number), action->group ? -action->pid : action->pid);
            break;
        case CORE_DO_SAY:
            append_say(text, action);
            break;
        case CORE_DO_EXIT:
            append(text, "exit %d", action->number);
            break;
        }
    }
}

static inline struct core_event read_event(const char *line)
{
    enum { STEP = 4 };
    struct core_event event = {.kind = CORE_EVENT_COUNT, .step = STEP};
    char name[16];
    int first = 0, second = 0;

    assert_in_range(
        sscanf(line, "%" SCNu64 " %15s %d %d", &event.now, name, &first, &second), 2, 4);
    if (strcmp(name, "killed") == 0) {
        event.kind = CORE_EXITED;
        event.signalled = true;
    }
    if (strncmp(name, "reload-", 7) == 0) {
        event.kind = CORE_RELOAD;
        event.mode = strcmp(name, "reload-fleet") == 0 ? CORE_MODE_FLEET : CORE_MODE_SMOOTH;
    }
    for (unsigned kind = 0; kind < CORE_EVENT_COUNT; kind++)
        if (strcmp(name, event_names[kind]) == 0)
            event.kind = (enum core_event_kind)kind;
    assert_int_not_equal(event.kind, CORE_EVENT_COUNT);
    event.slot = event.kind < CORE_WORKER_EVENT_COUNT ? (unsigned)first : 0;
    event.number = event.kind < CORE_WORKER_EVENT_COUNT ? second : first;
    event.milliseconds = event.kind == CORE_READY_EXTENDED ? (uint64_t)second : 0;
    if (event.kind == CORE_SPAWNED)
        event.pid = second;
    return event;
}

static inline void check_deadline(const char *expected, const char *line)
{
    uint64_t deadline = strcmp(expected, "-") == 0 ? CORE_NEVER : strtoull(expected, NULL, 10);

    if (core_deadline(&world.core) != deadline)
        fail_msg("%s: the deadline is %" PRIu64, line, core_deadline(&world.core));
}

static inline void run_line(const char *name, char *line)
{
    char shown[TEXT_MAX];
    char *expected = strstr(line, " ->");
    struct core_event event = read_event(line);
    char *deadline;

    world_step(&event);
    if (!expected)
        return;
    *expected = '\0';
    expected += expected[3] == ' ' ? 4 : 3;
    deadline = strchr(expected, '@');
    if (deadline) {
        *deadline = '\0';
        check_deadline(deadline + 1, line);
        if (deadline > expected && deadline[-1] == ' ')
            deadline[-1] = '\0';
    }
    show_actions(shown);
    if (strcmp(shown, expected) != 0)
        fail_msg("%s, at `%s`:\n expected %s\n but got  %s", name, line, expected, shown);
}

static inline void run_script(const char *name, const char *script)
{
    char copy[4 * TEXT_MAX];
    char *rest = NULL;

    assert_true(strlen(script) < sizeof copy);
    memcpy(copy, script, strlen(script) + 1);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        run_line(name, line);
}

/* What is not set is 0; as for workers, how many may start, and the stop signal, that means 1, 1
 * and HUP. */
struct scenario {
    const char *name;
    struct core_settings settings;
    const char *script;
};

static inline void run_scenario(const struct scenario *scenario)
{
    struct core_settings settings = scenario->settings;

    if (!settings.workers)
        settings.workers = 1;
    if (!settings.max_starting)
        settings.max_starting = 1;
    if (!settings.stop_signal)
        settings.stop_signal = SIGHUP;
    world_begin(&settings);
    run_script(scenario->name, scenario->script);
}

static inline void run_scenarios(const struct scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_scenario(&scenarios[i]);
}

/* Answers a SPAWN; the command runs at once. */
#define RUNS(time, slot, pid) time " spawned " slot " " pid "\n" time " executed " slot "\n"

/* Beginnings. They take -start=300. */
#define START                                                                                      \
    "1000 start -> spawn 0 g1 @-\n"                                                                \
    "1000 spawned 0 100 -> @61000\n"                                                               \
    "1000 executed 0 -> started 0 @1301\n"
#define FIRST_READY START "1301 tick -> ready 0 +301, done g1 +301 @-\n"
#define RELOAD                                                                                     \
    "2000 reload -> reloading g2, spawn 1 g2\n"                                                    \
    "2000 spawned 1 101 ->\n"                                                                      \
    "2010 executed 1 -> started 1 @2311\n"
#define SECOND_READY                                                                               \
    FIRST_READY RELOAD "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP\n"
#define START_THREE                                                                                \
    "1000 start -> spawn 0 g1, spawn 1 g1, spawn 2 g1\n"                                           \
    "1000 spawned 0 100 ->\n1000 spawned 1 101 ->\n1000 spawned 2 102 ->\n"
#define THREE_READY                                                                                \
    START_THREE                                                                                    \
    "1000 executed 0 -> started 0\n1001 executed 1 -> started 1\n1002 executed 2 -> started 2\n"   \
    "1303 tick -> ready 0 +303, ready 1 +302, ready 2 +301, done g1 +303 @-\n"
#define RELOAD_THREE                                                                               \
    "2000 reload -> reloading g2, spawn 3 g2, spawn 4 g2, spawn 5 g2\n"                            \
    "2000 spawned 3 103 ->\n2000 spawned 4 104 ->\n"

#endif
