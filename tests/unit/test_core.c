/*
 * Tests of core: every pair of state and event, and the rules of rollouts, stops and exit statuses
 * as scripts.
 *
 * A script has one line for each event, `TIME EVENT [ARGUMENTS] -> ACTIONS @DEADLINE`. The actions
 * are compared as a whole, so what a line does not name must not happen; without `->` they are not
 * looked at, and without `@` the deadline is not (`@-`: there is none). A signal is shown with the
 * pid that gets it, negative for a process group, as in kill(2).
 */
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
    [CORE_SPAWNED] = "spawned",           /* SLOT PID */
    [CORE_SPAWN_FAILED] = "spawn-failed", /* SLOT ERRNO */
    [CORE_EXECUTED] = "executed",         /* SLOT */
    [CORE_EXEC_FAILED] = "exec-failed",   /* SLOT ERRNO */
    [CORE_EXITED] = "exited",             /* SLOT STATUS; "killed" is SLOT SIGNAL */
    [CORE_START] = "start",
    [CORE_RELOAD] = "reload",
    [CORE_STOP] = "stop", /* SIGNAL */
    [CORE_TICK] = "tick",
};

/* How a line is shown: its name, and a letter for each thing that goes with it. s: slot (it is
 * about a worker), g: generation, t: elapsed, n: number, N: number as a signal, e: how it ended, f:
 * why it failed, x: step and errno. */
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
    [CORE_SAY_ENDED] = {"ended", "set"},
    [CORE_SAY_NOT_SPAWNED] = {"not-spawned", "sx"},
    [CORE_SAY_NOT_EXECUTED] = {"not-executed", "sx"},
    [CORE_SAY_RELOADING] = {"reloading", "g"},
    [CORE_SAY_RELOAD_LATER] = {"later", ""},
    [CORE_SAY_RELOAD_REFUSED] = {"refused", ""},
    [CORE_SAY_RELOAD_COVERED] = {"covered", ""},
    [CORE_SAY_ROLLOUT_DONE] = {"done", "gt"},
    [CORE_SAY_ROLLOUT_FAILED] = {"failed", "gftn"},
    [CORE_SAY_STOP_ASKED] = {"stopping", "N"},
    [CORE_SAY_EXITING] = {"exiting", "n"},
    [CORE_SAY_ILLEGAL] = {"illegal", ""},
};

static const char *const failure_names[CORE_FAILURE_COUNT] = {
    [CORE_FAILURE_NONE] = "none",
    [CORE_FAILURE_NOT_STARTED] = "not-started",
    [CORE_FAILURE_ENDED] = "ended",
    [CORE_FAILURE_NO_SLOT] = "no-slot",
};

/* The core, and what is outside of it: which process is in which slot. */
static struct {
    struct core core;
    struct core_actions actions;
    int64_t pids[LIMIT_SLOTS]; /* 0: none */
    uint64_t generations[LIMIT_SLOTS];
} world;

static struct core core_before;

static void world_begin(const struct core_settings *settings)
{
    memset(&world, 0, sizeof world);
    core_init(&world.core, settings);
}

/* What holds for every list of actions: a signal goes to a process that is there (rule G4), and who
 * is spoken of is who it was. `ended` is the pid of the worker that this event took away, or 0. */
static void check_actions(const struct core_event *event, int64_t ended)
{
    assert_true(world.actions.count <= CORE_ACTIONS_MAX);
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct core_action *action = &world.actions.list[i];

        switch (action->kind) {
        case CORE_DO_SPAWN:
            assert_int_equal(world.pids[action->slot], 0);
            world.generations[action->slot] = action->generation;
            break;
        case CORE_DO_SIGNAL:
            assert_true(action->pid > 0);
            assert_int_equal(action->pid, world.pids[action->slot]);
            break;
        case CORE_DO_SAY:
            if (says[action->say].with[0] != 's')
                break;
            assert_int_equal(action->generation, world.generations[action->slot]);
            assert_int_equal(action->pid,
                ended && action->slot == event->slot ? ended : world.pids[action->slot]);
            break;
        case CORE_DO_EXIT:
            assert_int_equal(i + 1, world.actions.count);
            break;
        }
    }
}

static void world_step(const struct core_event *event)
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
    if (event->kind == CORE_SPAWNED)
        assert_int_equal(core_find(&world.core, event->pid), event->slot);
    if (ended)
        assert_int_equal(core_find(&world.core, ended), -1);
}

/* --- scripts --- */

__attribute__((format(printf, 2, 3))) static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    assert_in_range(vsnprintf(text + length, TEXT_MAX - length, format, arguments), 0,
        (uintmax_t)(TEXT_MAX - length - 1));
    va_end(arguments);
}

static const char *signal_name(int signal)
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

static void append_say(char *text, const struct core_action *action)
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

static void show_actions(char *text)
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
            append(text, "%s %" PRId64, signal_name(action->number),
                action->group ? -action->pid : action->pid);
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

static struct core_event read_event(const char *line)
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
    for (unsigned kind = 0; kind < CORE_EVENT_COUNT; kind++)
        if (strcmp(name, event_names[kind]) == 0)
            event.kind = (enum core_event_kind)kind;
    assert_int_not_equal(event.kind, CORE_EVENT_COUNT);
    event.slot = event.kind < CORE_WORKER_EVENT_COUNT ? (unsigned)first : 0;
    event.number = event.kind < CORE_WORKER_EVENT_COUNT ? second : first;
    if (event.kind == CORE_SPAWNED)
        event.pid = second;
    return event;
}

static void check_deadline(const char *expected, const char *line)
{
    uint64_t deadline = strcmp(expected, "-") == 0 ? CORE_NEVER : strtoull(expected, NULL, 10);

    if (core_deadline(&world.core) != deadline)
        fail_msg("%s: the deadline is %" PRIu64, line, core_deadline(&world.core));
}

static void run_line(const char *name, char *line)
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

static void run_script(const char *name, const char *script)
{
    char copy[4 * TEXT_MAX];
    char *rest = NULL;

    assert_true(strlen(script) < sizeof copy);
    memcpy(copy, script, strlen(script) + 1);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        run_line(name, line);
}

/* What is not set is 0; as for workers and the stop signal, that means 1 and HUP. */
struct scenario {
    const char *name;
    struct core_settings settings;
    const char *script;
};

static void run_scenario(const struct scenario *scenario)
{
    struct core_settings settings = scenario->settings;

    if (!settings.workers)
        settings.workers = 1;
    if (!settings.stop_signal)
        settings.stop_signal = SIGHUP;
    world_begin(&settings);
    run_script(scenario->name, scenario->script);
}

static void run_scenarios(const struct scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_scenario(&scenarios[i]);
}

/* Beginnings. They take -start=300. */
#define START                                                                                      \
    "1000 start -> spawn 0 g1 @-\n"                                                                \
    "1000 spawned 0 100 -> @-\n"                                                                   \
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

/* --- every pair --- */

/* Ways to every phase, and to every state of a worker in each phase that allows it. */
static const struct place {
    enum core_phase phase;
    enum core_worker_state state; /* of `slot` */
    unsigned slot;
    unsigned workers;
    const char *script;
} places[] = {
    {CORE_NEW, CORE_WORKER_NONE, 0, 1, ""},
    {CORE_FIRST, CORE_WORKER_SPAWNING, 0, 1, "1000 start"},
    {CORE_FIRST, CORE_WORKER_EXECUTING, 0, 1, "1000 start\n1000 spawned 0 100"},
    {CORE_FIRST, CORE_WORKER_STARTING, 0, 1, START},
    {CORE_FIRST, CORE_WORKER_READY, 0, 3, START_THREE "1000 executed 0\n1301 tick"},
    {CORE_SERVING, CORE_WORKER_NONE, 1, 3, THREE_READY "1400 exited 1 0"},
    {CORE_SERVING, CORE_WORKER_CANCELLED, 0, 2, "1000 start\n1000 spawn-failed 1 11"},
    {CORE_SERVING, CORE_WORKER_READY, 0, 1, FIRST_READY},
    {CORE_SERVING, CORE_WORKER_DRAINING, 0, 1, SECOND_READY},
    {CORE_SERVING, CORE_WORKER_STOPPING, 0, 3, START_THREE "1000 exec-failed 1 2"},
    {CORE_SERVING, CORE_WORKER_KILLED, 0, 3, START_THREE "1000 exec-failed 1 2\n9000 tick"},
    {CORE_ROLLING, CORE_WORKER_NONE, 0, 1, FIRST_READY RELOAD "2020 exited 0 0"},
    {CORE_ROLLING, CORE_WORKER_SPAWNING, 1, 1, FIRST_READY "2000 reload"},
    {CORE_ROLLING, CORE_WORKER_CANCELLED, 0, 2, "1000 start\n1000 reload\n1000 spawn-failed 1 11"},
    {CORE_ROLLING, CORE_WORKER_EXECUTING, 1, 1, FIRST_READY "2000 reload\n2000 spawned 1 101"},
    {CORE_ROLLING, CORE_WORKER_STARTING, 1, 1, FIRST_READY RELOAD},
    {CORE_ROLLING, CORE_WORKER_READY, 0, 1, FIRST_READY RELOAD},
    {CORE_ROLLING, CORE_WORKER_DRAINING, 0, 1, SECOND_READY "3000 reload"},
    {CORE_ROLLING, CORE_WORKER_STOPPING, 0, 3, START_THREE "1000 reload\n1000 exec-failed 1 2"},
    {CORE_ROLLING, CORE_WORKER_KILLED, 0, 3,
        START_THREE "1000 reload\n1000 exec-failed 1 2\n9000 tick"},
    {CORE_STOPPING, CORE_WORKER_NONE, 0, 1, SECOND_READY "2400 exited 0 0\n2500 stop 15"},
    {CORE_STOPPING, CORE_WORKER_CANCELLED, 0, 1, "1000 start\n1000 stop 15"},
    {CORE_STOPPING, CORE_WORKER_STOPPING, 0, 1, FIRST_READY "2000 stop 15"},
    {CORE_STOPPING, CORE_WORKER_KILLED, 0, 3,
        START_THREE "1000 exec-failed 1 2\n9000 tick\n9000 stop 15"},
    {CORE_ENDED, CORE_WORKER_NONE, 0, 1, FIRST_READY "2000 exited 0 0"},
};

/* Which events are legal, as bits. */
#define BIT(event) (1u << (event))

static const unsigned legal_in_phase[CORE_PHASE_COUNT] = {
    [CORE_NEW] = BIT(CORE_START) | BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_TICK),
    [CORE_FIRST] = BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_TICK),
    [CORE_SERVING] = BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_TICK),
    [CORE_ROLLING] = BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_TICK),
    [CORE_STOPPING] = BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_TICK),
    [CORE_ENDED] = BIT(CORE_TICK),
};

static const unsigned legal_for_worker[CORE_WORKER_STATE_COUNT] = {
    [CORE_WORKER_NONE] = 0,
    [CORE_WORKER_SPAWNING] = BIT(CORE_SPAWNED) | BIT(CORE_SPAWN_FAILED),
    [CORE_WORKER_CANCELLED] = BIT(CORE_SPAWNED) | BIT(CORE_SPAWN_FAILED),
    [CORE_WORKER_EXECUTING] = BIT(CORE_EXECUTED) | BIT(CORE_EXEC_FAILED) | BIT(CORE_EXITED),
    [CORE_WORKER_STARTING] = BIT(CORE_EXITED),
    [CORE_WORKER_READY] = BIT(CORE_EXITED),
    [CORE_WORKER_DRAINING] = BIT(CORE_EXITED),
    [CORE_WORKER_STOPPING] = BIT(CORE_EXECUTED) | BIT(CORE_EXEC_FAILED) | BIT(CORE_EXITED),
    [CORE_WORKER_KILLED] = BIT(CORE_EXECUTED) | BIT(CORE_EXEC_FAILED) | BIT(CORE_EXITED),
};

static void go_to(const struct place *place)
{
    struct scenario way = {"a way", {.workers = place->workers, .start_ms = 300}, place->script};

    run_scenario(&way);
    assert_int_equal(world.core.phase, place->phase);
    assert_int_equal(world.core.workers[place->slot].state, place->state);
}

static void check_illegal(const struct core_event *event)
{
    size_t meaningful =
        offsetof(struct core, workers) + world.core.slot_bound * sizeof(struct core_worker);

    memcpy(&core_before, &world.core, sizeof core_before);
    core_step(&world.core, event, &world.actions);
    assert_int_equal(world.actions.count, 1);
    assert_int_equal(world.actions.list[0].kind, CORE_DO_SAY);
    assert_int_equal(world.actions.list[0].say, CORE_SAY_ILLEGAL);
    assert_int_equal(world.actions.list[0].number, (int)event->kind);
    assert_int_equal(world.actions.list[0].slot, event->slot);
    assert_memory_equal(&world.core, &core_before, meaningful);
}

static void check_legal(const struct core_event *event)
{
    world_step(event);
    for (size_t i = 0; i < world.actions.count; i++)
        assert_false(world.actions.list[i].kind == CORE_DO_SAY &&
                     world.actions.list[i].say == CORE_SAY_ILLEGAL);
}

static struct core_event event_at_place(const struct place *place, unsigned kind)
{
    return (struct core_event){.kind = (enum core_event_kind)kind,
        .now = 9001,
        .slot = place->slot,
        .pid = kind == CORE_SPAWNED ? 999 : 0,
        .number = kind == CORE_STOP ? SIGTERM : 2};
}

/* Rules: R2 R9 G1 R12 */
static void test_every_pair_of_phase_and_event(void **state)
{
    bool visited[CORE_PHASE_COUNT][CORE_EVENT_COUNT] = {{false}};

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        const struct place *place = &places[i];

        for (unsigned kind = 0; kind < CORE_EVENT_COUNT; kind++) {
            struct core_event event = event_at_place(place, kind);
            bool legal = kind < CORE_WORKER_EVENT_COUNT ? legal_for_worker[place->state] & BIT(kind)
                                                        : legal_in_phase[place->phase] & BIT(kind);

            go_to(place);
            if (legal)
                check_legal(&event);
            else
                check_illegal(&event);
            visited[place->phase][kind] = true;
        }
    }
    for (unsigned phase = 0; phase < CORE_PHASE_COUNT; phase++)
        for (unsigned kind = 0; kind < CORE_EVENT_COUNT; kind++)
            assert_true(visited[phase][kind]);
}

/* Rules: R7 G1 G4 I3 */
static void test_every_pair_of_worker_state_and_event(void **state)
{
    bool visited[CORE_WORKER_STATE_COUNT][CORE_WORKER_EVENT_COUNT] = {{false}};

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        const struct place *place = &places[i];

        for (unsigned kind = 0; kind < CORE_WORKER_EVENT_COUNT; kind++) {
            struct core_event event = event_at_place(place, kind);
            unsigned living;

            go_to(place);
            living = world.core.living;
            visited[place->state][kind] = true;
            if (!(legal_for_worker[place->state] & BIT(kind))) {
                check_illegal(&event);
                continue;
            }
            check_legal(&event);
            /* Only these two take somebody away, and the way may have led to a new generation. */
            if (kind != CORE_EXITED && kind != CORE_SPAWN_FAILED)
                assert_int_equal(world.core.living, living);
        }
    }
    for (unsigned each = 0; each < CORE_WORKER_STATE_COUNT; each++)
        for (unsigned kind = 0; kind < CORE_WORKER_EVENT_COUNT; kind++)
            assert_true(visited[each][kind]);
}

/* Rules: G4 */
static void test_events_that_name_nobody_are_illegal(void **state)
{
    static const unsigned strange_kinds[] = {CORE_EVENT_COUNT, CORE_EVENT_COUNT + 1, UINT32_MAX};
    static const int64_t strange_pids[] = {0, -1, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        go_to(&places[i]);
        for (unsigned kind = 0; kind < CORE_WORKER_EVENT_COUNT; kind++) {
            const unsigned slots[] = {world.core.slot_bound, LIMIT_SLOTS, UINT32_MAX};

            for (size_t j = 0; j < COUNT(slots); j++) {
                struct core_event event = event_at_place(&places[i], kind);

                event.slot = slots[j];
                check_illegal(&event);
            }
        }
        for (size_t j = 0; j < COUNT(strange_kinds); j++) {
            struct core_event event = event_at_place(&places[i], strange_kinds[j]);

            check_illegal(&event);
        }
        for (size_t j = 0; j < COUNT(strange_pids); j++) {
            struct core_event event = event_at_place(&places[i], CORE_SPAWNED);

            event.pid = strange_pids[j];
            check_illegal(&event);
        }
    }
}

/* --- rollouts --- */

/* Rules: R1 R3 I2 */
static void test_starts(void **state)
{
    static const struct scenario cases[] = {
        {"ready when it has lived for -start, and not before", {.start_ms = 300},
            "1000 start -> spawn 0 g1 @-\n"
            "1001 spawned 0 100 -> @-\n"
            "1050 executed 0 -> started 0 @1351\n"
            "1349 tick -> @1351\n"
            "1350 tick -> @1351\n"
            "1351 tick -> ready 0 +301, done g1 +351 @-\n"},
        {"a late tick", {.start_ms = 300}, START "7000 tick -> ready 0 +6000, done g1 +6000 @-\n"},
        {"-start=0: when the command has been executed, and not before", {.start_ms = 0},
            "1000 start -> spawn 0 g1 @-\n"
            "1000 spawned 0 100 -> @-\n"
            "9000 tick -> @-\n"
            "9000 executed 0 -> started 0, ready 0 +0, done g1 +8000 @-\n"},
        {"-start=1", {.start_ms = 1},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0 -> started 0 @1002\n"
            "1001 tick ->\n"
            "1002 tick -> ready 0 +2, done g1 +2\n"},
        {"as long as the command line allows", {.start_ms = UINT32_MAX},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0 -> started 0 @4294968296\n"
            "4294968295 tick ->\n"
            "4294968296 tick -> ready 0 +4294967296, done g1 +4294967296\n"},
        {"a reload before the start is one with it", {.start_ms = 300},
            "900 reload -> covered\n" FIRST_READY "1302 tick ->\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R2 R3 R8 G5 E2 I2 */
static void test_reloads(void **state)
{
    static const struct scenario cases[] = {
        {"the old one is not touched until the new one is ready, and its slot is free again",
            {.start_ms = 300},
            SECOND_READY "2312 tick -> @-\n"
                         "2400 exited 0 0 -> ended 0 asked 0 +1400\n"
                         "3000 reload -> reloading g3, spawn 0 g3\n"},
        {"-start=0", {.start_ms = 0},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0 -> started 0, ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2001 executed 1 -> started 1, ready 1 +0, done g2 +1, HUP 100, retired 0 HUP\n"},
        {"-stop-signal, once, and KILL after -stop",
            {.start_ms = 300, .stop_ms = 1000, .stop_signal = SIGUSR2},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, USR2 100, retired 0 USR2 @3311\n"
            "3310 tick -> @3311\n"
            "3311 tick -> KILL -100, late 0 +1000 @-\n"
            "9000 tick -> @-\n"
            "9000 killed 0 9 -> ended 0 asked by 9 +8000\n"},
        {"-stop=0: never", {.start_ms = 300}, SECOND_READY "999999999 tick -> @-\n"},
        {"-kill=group", {.start_ms = 300, .stop_ms = 1000, .kill_group = true},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, HUP -100, retired 0 HUP @3311\n"
            "3311 tick -> KILL -100, late 0 +1000 @-\n"
            "4000 stop 15 -> stopping TERM, TERM -100, forwarded 0 TERM, "
            "TERM -101, forwarded 1 TERM\n"},
        {"the old one ends while it is waited for: the new one takes over", {.start_ms = 300},
            FIRST_READY RELOAD "2100 exited 0 3 -> ended 0 unasked 3 +1100 @2311\n"
                               "2311 tick -> ready 1 +301, done g2 +311 @-\n"},
        {"the retired one gets no second stop signal from the next reload", {.start_ms = 300},
            SECOND_READY "3000 reload -> reloading g3, spawn 2 g3\n"
                         "3000 spawned 2 102 ->\n"
                         "3000 executed 2 -> started 2\n"
                         "3301 tick -> ready 2 +301, done g3 +301, HUP 101, retired 1 HUP\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R7 I2 I7 */
static void test_rollouts_that_fail(void **state)
{
    static const struct scenario cases[] = {
        {"it ends with 0 before it is ready; the next reload works", {.start_ms = 300},
            FIRST_READY RELOAD
            "2310 exited 1 0 -> ended 1 unasked 0 +300, failed g2 ended +310 1 @-\n"
            "2311 tick ->\n"
            "3000 reload -> reloading g3, spawn 1 g3\n"
            "3000 spawned 1 102 ->\n"
            "3000 executed 1 -> started 1\n"
            "3301 tick -> ready 1 +301, done g3 +301, HUP 100, retired 0 HUP\n"},
        {"it ends with 7", {.start_ms = 300},
            FIRST_READY RELOAD "2020 exited 1 7 -> ended 1 unasked 7 +10, failed g2 ended +20 1\n"},
        {"it is killed", {.start_ms = 300},
            FIRST_READY RELOAD
            "2020 killed 1 11 -> ended 1 unasked by 11 +10, failed g2 ended +20 1\n"},
        {"it ends before it has executed the command", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 killed 1 9 -> ended 1 unasked by 9 +0, failed g2 ended +1 1 @-\n"},
        {"it cannot be forked", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawn-failed 1 11 -> not-spawned 1 4/11, "
                        "failed g2 not-started +0 1 @-\n"
                        "3000 reload -> reloading g3, spawn 1 g3\n"},
        {"it cannot be executed: it ends by itself, and that is said once", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 exec-failed 1 2 -> not-executed 1 4/2, "
                        "failed g2 not-started +1 1 @7001\n"
                        "2002 exited 1 127 -> @-\n"
                        "3000 reload -> reloading g3, spawn 1 g3\n"},
        {"it cannot be executed, and hangs on its way out", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 exec-failed 1 2 ->"
                        " not-executed 1 4/2, failed g2 not-started +1 1 @7001\n"
                        "7000 tick ->\n"
                        "7001 tick -> KILL -101, late 1 +5000 @-\n"
                        "7002 killed 1 9 -> @-\n"},
        {"it cannot be executed, and hangs for -stop", {.start_ms = 300, .stop_ms = 50},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 exec-failed 1 2 ->"
                        " not-executed 1 4/2, failed g2 not-started +1 1 @2051\n"
                        "2051 tick -> KILL -101, late 1 +50 @-\n"},
        {"a failed reload does not hold up the next, nor the end of the old one", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 exec-failed 1 2 ->"
                        " not-executed 1 4/2, failed g2 not-started +1 1\n"
                        "2002 reload -> reloading g3, spawn 2 g3\n"
                        "2003 exited 0 0 -> ended 0 unasked 0 +1003\n"
                        "2004 exited 1 1 ->\n"
                        "2005 spawn-failed 2 12 -> not-spawned 2 4/12,"
                        " failed g3 not-started +3 0, exiting 0, exit 0\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R9 I4 */
static void test_reloads_during_a_rollout(void **state)
{
    static const struct scenario cases[] = {
        {"remembered during the start", {.start_ms = 300},
            START "1001 reload -> later\n"
                  "1002 reload ->\n"
                  "1301 tick -> ready 0 +301, done g1 +301, reloading g2, spawn 1 g2\n"
                  "1301 spawned 1 101 ->\n"
                  "1301 executed 1 -> started 1\n"
                  "1602 tick -> ready 1 +301, done g2 +301, HUP 100, retired 0 HUP @-\n"},
        {"remembered during a reload", {.start_ms = 300},
            FIRST_READY RELOAD "2100 reload -> later\n"
                               "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP,"
                               " reloading g3, spawn 2 g3\n"},
        {"runs after a rollout that failed, too", {.start_ms = 300},
            FIRST_READY RELOAD "2100 reload -> later\n"
                               "2200 exited 1 7 -> ended 1 unasked 7 +190, failed g2 ended +200 1,"
                               " reloading g3, spawn 1 g3\n"},
        {"runs after a first rollout that failed, too", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"},
        {"is not remembered twice", {.start_ms = 300},
            START "1001 reload -> later\n"
                  "1301 tick -> ready 0 +301, done g1 +301, reloading g2, spawn 1 g2\n"
                  "1302 spawn-failed 1 11 -> not-spawned 1 4/11, failed g2 not-started +1 1\n"
                  "1303 reload -> reloading g3, spawn 1 g3\n"
                  "1304 reload -> later\n"},
        {"draining workers delay nothing", {.start_ms = 300},
            SECOND_READY "2312 reload -> reloading g3, spawn 2 g3\n"
                         "2312 spawned 2 102 ->\n"
                         "2312 executed 2 -> started 2\n"
                         "2613 tick -> ready 2 +301, done g3 +301, HUP 101, retired 1 HUP\n"
                         "2614 reload -> reloading g4, spawn 3 g4\n"},
        {"-max-draining: the oldest gets KILL, which is not the one in the lowest slot",
            {.start_ms = 0, .max_draining = 1},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0 -> started 0, ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2000 executed 1 -> started 1, ready 1 +0, done g2 +0, HUP 100, retired 0 HUP\n"
            "2001 exited 0 0 -> ended 0 asked 0 +1001\n"
            "3000 reload -> reloading g3, spawn 0 g3\n"
            "3000 spawned 0 102 ->\n"
            "3000 executed 0 -> started 0, ready 0 +0, done g3 +0, HUP 101, retired 1 HUP\n"
            "4000 reload -> reloading g4, spawn 2 g4\n"
            "4000 spawned 2 103 ->\n"
            "4000 executed 2 -> started 2, ready 2 +0, done g4 +0, HUP 102, retired 0 HUP,"
            " KILL -101, surplus 1 1\n"
            "5000 reload -> reloading g5, spawn 3 g5\n"
            "5000 spawned 3 104 ->\n"
            "5000 executed 3 -> started 3, ready 3 +0, done g5 +0, HUP 103, retired 2 HUP,"
            " KILL -102, surplus 0 1\n"},
        {"-max-draining counts who drains, not who got KILL",
            {.start_ms = 300, .max_draining = 2, .workers = 3},
            THREE_READY RELOAD_THREE
            "2000 spawned 5 105 ->\n"
            "2000 executed 3 -> started 3\n2000 executed 4 -> started 4\n"
            "2000 executed 5 -> started 5\n"
            "2301 tick -> ready 3 +301, ready 4 +301, ready 5 +301, done g2 +301,"
            " HUP 100, retired 0 HUP, HUP 101, retired 1 HUP, HUP 102, retired 2 HUP,"
            " KILL -100, surplus 0 2\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R9 I4 I11 */
static void test_a_storm_of_reloads_costs_one_more(void **state)
{
    static const struct scenario beginning = {"storm", {.start_ms = 300}, FIRST_READY RELOAD};

    (void)state;
    run_scenario(&beginning);
    run_script("storm", "2100 reload -> later\n");
    for (int i = 0; i < 99; i++)
        run_script("storm", "2100 reload ->\n");
    run_script("storm", "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP,"
                        " reloading g3, spawn 2 g3\n"
                        "2311 spawned 2 102 ->\n"
                        "2311 executed 2 -> started 2\n"
                        "2612 tick -> ready 2 +301, done g3 +301, HUP 101, retired 1 HUP @-\n"
                        "9999 tick -> @-\n");
}

/* --- stops --- */

/* Rules: G1 R12 X1 I5 */
static void test_stops_in_every_phase(void **state)
{
    static const struct scenario cases[] = {
        {"before the start", {.start_ms = 300},
            "900 stop 15 -> stopping TERM, exiting 0, exit 0\n"
            "1000 start -> illegal\n"},
        {"before there is a process: it gets the signal when it is there", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 stop 2 -> stopping INT\n"
            "1001 spawned 0 100 -> INT 100, forwarded 0 INT @-\n"
            "1002 executed 0 -> started 0 @-\n"
            "9999 tick ->\n"
            "9999 exited 0 0 -> ended 0 asked 0 +8997, exiting 0, exit 0\n"},
        {"before there is a process, and there never is one", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 stop 15 -> stopping TERM\n"
            "1001 spawn-failed 0 11 -> not-spawned 0 4/11, exiting 0, exit 0\n"},
        {"before the command is executed", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM\n"
            "1001 exec-failed 0 2 -> not-executed 0 4/2\n"
            "1002 exited 0 127 -> exiting 0, exit 0\n"},
        {"while it is starting", {.start_ms = 300},
            START "1001 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM @-\n"
                  "1301 tick ->\n"
                  "1400 killed 0 15 -> ended 0 asked by 15 +400, exiting 0, exit 0\n"},
        {"while it serves; QUIT", {.start_ms = 300},
            FIRST_READY "2000 stop 3 -> stopping QUIT, QUIT 100, forwarded 0 QUIT\n"
                        "2001 exited 0 9 -> ended 0 asked 9 +1001, exiting 0, exit 0\n"},
        {"during a rollout, while another drains: all get it, and no reload follows",
            {.start_ms = 300},
            SECOND_READY "3000 reload -> reloading g3, spawn 2 g3\n"
                         "3000 spawned 2 102 ->\n"
                         "3001 reload -> later\n"
                         "3002 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM,"
                         " TERM 101, forwarded 1 TERM, TERM 102, forwarded 2 TERM @-\n"
                         "3003 executed 2 -> started 2 @-\n"
                         "3004 reload -> refused\n"
                         "3005 exited 2 0 -> ended 2 asked 0 +2\n"
                         "3006 exited 1 0 -> ended 1 asked 0 +996\n"
                         "3007 exited 0 0 -> ended 0 asked 0 +2007, exiting 0, exit 0\n"
                         "3008 reload -> illegal\n"
                         "3009 stop 15 -> illegal\n"
                         "3010 tick -> @-\n"},
        {"after a rollout that failed, and a process that comes late",
            {.start_ms = 300, .workers = 2},
            "1000 start -> spawn 0 g1, spawn 1 g1\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0\n"
            "1001 stop 15 -> stopping TERM\n"
            "1002 spawned 1 101 -> TERM 101, forwarded 1 TERM @-\n"
            "1003 exited 1 1 -> ended 1 asked 1 +0, exiting 0, exit 0\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: G1 R8 R7 G4 I3 */
static void test_how_long_a_stop_may_take(void **state)
{
    static const struct scenario cases[] = {
        {"a further stop is passed on, and gives no more time", {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY "2000 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM @3000\n"
                        "2500 stop 2 -> stopping INT, INT 100, forwarded 0 INT @3000\n"
                        "2999 tick -> @3000\n"
                        "3000 tick -> KILL -100, late 0 +1000 @-\n"
                        "3001 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM @-\n"
                        "3001 tick ->\n"
                        "3002 killed 0 9 -> ended 0 asked by 9 +2002, exiting 0, exit 0\n"},
        {"-stop=0: as long as it likes", {.start_ms = 300},
            FIRST_READY "2000 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM @-\n"
                        "999999999 tick -> @-\n"},
        {"who drains already has no more time either", {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP @3311\n"
            "3000 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM,"
            " TERM 101, forwarded 1 TERM @3311\n"
            "3311 tick -> KILL -100, late 0 +1000 @4000\n"
            "4000 tick -> KILL -101, late 1 +1000 @-\n"},
        {"a process that comes after two stops gets the latest", {.start_ms = 300, .stop_ms = 1000},
            "1000 start -> spawn 0 g1\n"
            "1000 stop 2 -> stopping INT\n"
            "1001 stop 15 -> stopping TERM\n"
            "1500 spawned 0 100 -> TERM 100, forwarded 0 TERM @2500\n"},
        {"of a failed rollout it has 5 s, whatever -stop=0 says to a stop",
            {.start_ms = 300, .workers = 3},
            START_THREE "1000 exec-failed 0 2 -> not-executed 0 4/2, HUP 101, stopped 1 HUP,"
                        " HUP 102, stopped 2 HUP, failed g1 not-started +0 0 @6000\n"
                        "1001 exited 0 127 ->\n"
                        "2000 stop 15 -> stopping TERM, TERM 101, forwarded 1 TERM,"
                        " TERM 102, forwarded 2 TERM @6000\n"
                        "6000 tick -> KILL -101, late 1 +5000, KILL -102, late 2 +5000 @-\n"},
        {"nobody is signalled after its end", {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP @3311\n"
            "2400 exited 0 0 -> ended 0 asked 0 +1400 @-\n"
            "3311 tick ->\n"
            "3400 stop 15 -> stopping TERM, TERM 101, forwarded 1 TERM\n"
            "3401 exited 0 0 -> illegal\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* --- exit status --- */

/* Rules: X1 X2 X3 R12 C6 */
static void test_exit_statuses(void **state)
{
    static const struct scenario cases[] = {
        {"the last worker ended with 0", {.start_ms = 300},
            FIRST_READY "2000 exited 0 0 -> ended 0 unasked 0 +1000, exiting 0, exit 0\n"},
        {"ended unasked while it was ready", {.start_ms = 300},
            FIRST_READY "2000 exited 0 7 -> ended 0 unasked 7 +1000, exiting 7, exit 7\n"},
        {"killed while it was ready", {.start_ms = 300},
            FIRST_READY "2000 killed 0 11 -> ended 0 unasked by 11 +1000, exiting 139, exit 139\n"},
        {"ended before it was ready", {.start_ms = 300},
            START "1010 exited 0 9 -> ended 0 unasked 9 +10, failed g1 ended +10 0,"
                  " exiting 9, exit 9\n"},
        {"killed before it was ready", {.start_ms = 300},
            START "1010 killed 0 9 -> ended 0 unasked by 9 +10, failed g1 ended +10 0,"
                  " exiting 137, exit 137\n"},
        {"could not be forked at the start", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " exiting 1, exit 1\n"},
        {"could not be executed at the start", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 exec-failed 0 2 -> not-executed 0 4/2, failed g1 not-started +0 0\n"
            "1001 exited 0 127 -> exiting 1, exit 1\n"},
        {"the new generation crashes, the old one that drains ends with 0 after it",
            {.start_ms = 300},
            SECOND_READY "3000 exited 1 7 -> ended 1 unasked 7 +990\n"
                         "3001 exited 0 0 -> ended 0 asked 0 +2001, exiting 7, exit 7\n"},
        {"the old one ended while it was ready, then the new one before it was", {.start_ms = 300},
            FIRST_READY RELOAD "2100 exited 0 3 -> ended 0 unasked 3 +1100\n"
                               "2200 exited 1 7 -> ended 1 unasked 7 +190, failed g2 ended +200 0,"
                               " exiting 3, exit 3\n"},
        {"of several that ended while they were ready the last counts",
            {.start_ms = 300, .workers = 3},
            THREE_READY "2000 exited 2 5 -> ended 2 unasked 5 +998\n"
                        "2001 killed 0 15 -> ended 0 unasked by 15 +1001\n"
                        "2002 exited 1 4 -> ended 1 unasked 4 +1001, exiting 4, exit 4\n"},
        {"after a stop nothing else counts", {.start_ms = 300},
            SECOND_READY "3000 exited 1 7 -> ended 1 unasked 7 +990\n"
                         "3001 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM\n"
                         "3002 exited 0 5 -> ended 0 asked 5 +2002, exiting 0, exit 0\n"},
        {"a failed reload does not count when the old one ends later", {.start_ms = 300},
            FIRST_READY RELOAD "2100 exited 1 7 -> ended 1 unasked 7 +90, failed g2 ended +100 1\n"
                               "9000 exited 0 0 -> ended 0 unasked 0 +8000, exiting 0, exit 0\n"},
        {"one could not be executed at the start, the others ended after it",
            {.start_ms = 300, .workers = 3},
            START_THREE "1000 executed 1 -> started 1\n"
                        "1001 exec-failed 0 2 -> not-executed 0 4/2, HUP 101, stopped 1 HUP,"
                        " HUP 102, stopped 2 HUP, failed g1 not-started +1 0\n"
                        "1002 exited 0 127 ->\n"
                        "1003 exited 1 0 -> ended 1 asked 0 +3\n"
                        "1004 killed 2 1 -> ended 2 asked by 1 +0, exiting 1, exit 1\n"},
        {"one could not be forked at the start, the other ended with 0 after it",
            {.start_ms = 300, .workers = 2},
            "1000 start -> spawn 0 g1, spawn 1 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 spawn-failed 1 11 -> not-spawned 1 4/11, HUP 100, stopped 0 HUP,"
            " failed g1 not-started +0 0\n"
            "1001 exited 0 0 -> ended 0 asked 0 +0, exiting 1, exit 1\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* --- fleets --- */

/* Rules: R2 R7 R8 E2 */
static void test_fleet_of_three(void **state)
{
    static const struct scenario cases[] = {
        {"the old ones retire when all new ones are ready", {.start_ms = 300, .workers = 3},
            THREE_READY RELOAD_THREE
            "2000 executed 4 -> started 4\n"
            "2000 spawned 5 105 ->\n"
            "2100 executed 5 -> started 5\n"
            "2301 tick -> ready 4 +301 @2401\n"
            "2401 tick -> ready 5 +301 @-\n"
            "2500 executed 3 -> started 3 @2801\n"
            "2801 tick -> ready 3 +301, done g2 +801, HUP 100, retired 0 HUP,"
            " HUP 101, retired 1 HUP, HUP 102, retired 2 HUP\n"},
        {"one ends, so every new one is stopped, whatever its state",
            {.start_ms = 300, .workers = 3},
            THREE_READY RELOAD_THREE
            "2000 executed 3 -> started 3\n"
            "2301 tick -> ready 3 +301\n"
            "2302 exited 4 0 -> ended 4 unasked 0 +0, HUP 103, stopped 3 HUP,"
            " failed g2 ended +302 3 @7302\n"
            "2303 spawned 5 105 -> HUP 105, stopped 5 HUP @7302\n"
            "2304 executed 5 -> started 5 @7302\n"
            "7302 tick -> KILL -103, late 3 +5000 @7303\n"
            "7303 tick -> KILL -105, late 5 +5000 @-\n"
            "7304 killed 5 9 -> ended 5 asked by 9 +5000\n"
            "7304 killed 3 9 -> ended 3 asked by 9 +5304\n"},
        {"a ready one ends before the others are: the rollout has failed",
            {.start_ms = 300, .workers = 3, .stop_ms = 700, .stop_signal = SIGTERM},
            THREE_READY RELOAD_THREE
            "2000 spawned 5 105 ->\n"
            "2000 executed 3 -> started 3\n"
            "2301 tick -> ready 3 +301\n"
            "2400 exited 3 6 -> ended 3 unasked 6 +400, TERM 104, stopped 4 TERM,"
            " TERM 105, stopped 5 TERM, failed g2 ended +400 3 @3100\n"
            "2401 exec-failed 5 2 -> not-executed 5 4/2 @3100\n"
            "2402 exited 5 127 -> @3100\n"
            "3100 tick -> KILL -104, late 4 +700 @-\n"},
        {"one cannot be forked: those not there yet are cancelled", {.start_ms = 300, .workers = 3},
            THREE_READY "2000 reload -> reloading g2, spawn 3 g2, spawn 4 g2, spawn 5 g2\n"
                        "2000 spawn-failed 3 11 -> not-spawned 3 4/11,"
                        " failed g2 not-started +0 3 @-\n"
                        "2000 spawn-failed 4 11 -> not-spawned 4 4/11 @-\n"
                        "2000 spawned 5 105 -> HUP 105, stopped 5 HUP @7000\n"},
        {"an old one that ends is not replaced, and what is left retires",
            {.start_ms = 300, .workers = 3},
            THREE_READY "1500 exited 1 2 -> ended 1 unasked 2 +499\n"
                        "2000 reload -> reloading g2, spawn 1 g2, spawn 3 g2, spawn 4 g2\n"
                        "2000 spawned 1 103 ->\n2000 spawned 3 104 ->\n2000 spawned 4 105 ->\n"
                        "2000 executed 1 -> started 1\n2000 executed 3 -> started 3\n"
                        "2000 executed 4 -> started 4\n"
                        "2301 tick -> ready 1 +301, ready 3 +301, ready 4 +301, done g2 +301,"
                        " HUP 100, retired 0 HUP, HUP 102, retired 2 HUP\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* --- the largest fleet --- */

static void step_fleet(enum core_event_kind kind, uint64_t now, int number)
{
    struct core_event event = {.kind = kind, .now = now, .number = number};

    world_step(&event);
}

/* Answers each SPAWN that was given. */
static void spawn_fleet(uint64_t now, int64_t first_pid)
{
    for (unsigned slot = 0; slot < world.core.slot_bound; slot++) {
        struct core_event event = {.kind = CORE_SPAWNED, .now = now, .slot = slot};

        if (world.core.workers[slot].state != CORE_WORKER_SPAWNING)
            continue;
        event.pid = first_pid + slot;
        world_step(&event);
        event.kind = CORE_EXECUTED;
        world_step(&event);
    }
}

/* Ends each worker in this state. */
static void end_fleet(enum core_worker_state ending, uint64_t now)
{
    for (unsigned slot = 0; slot < world.core.slot_bound; slot++) {
        struct core_event event = {.kind = CORE_EXITED, .now = now, .slot = slot};

        if (world.core.workers[slot].state == ending)
            world_step(&event);
    }
}

static size_t count_actions(enum core_action_kind kind, int number)
{
    size_t count = 0;

    for (size_t i = 0; i < world.actions.count; i++)
        count += world.actions.list[i].kind == kind && world.actions.list[i].number == number;
    return count;
}

/* The first line of this kind. */
static const struct core_action *said(enum core_say what)
{
    for (size_t i = 0; i < world.actions.count; i++)
        if (world.actions.list[i].kind == CORE_DO_SAY && world.actions.list[i].say == what)
            return &world.actions.list[i];
    fail_msg("nobody said `%s`", says[what].name);
    return &world.actions.list[0];
}

/* Two generations of as many workers as there can be: the old one is ready, the new one starting,
 * and would be ready at 3001. */
static void fill_every_slot(unsigned max_draining)
{
    struct core_settings settings = {.workers = LIMIT_WORKERS,
        .start_ms = 1000,
        .stop_ms = 5000,
        .stop_signal = SIGTERM,
        .max_draining = max_draining};

    world_begin(&settings);
    step_fleet(CORE_START, 1000, 0);
    assert_int_equal(count_actions(CORE_DO_SPAWN, 0), LIMIT_WORKERS);
    spawn_fleet(1000, 10000);
    step_fleet(CORE_TICK, 2001, 0);
    said(CORE_SAY_ROLLOUT_DONE);
    step_fleet(CORE_RELOAD, 2000, 0);
    spawn_fleet(2000, 20000);
    assert_int_equal(world.core.living, LIMIT_SLOTS);
    assert_int_equal(core_deadline(&world.core), 3001);
}

/* Rules: R7 R9 I11 */
static void test_too_many_draining_leave_no_slot(void **state)
{
    (void)state;
    fill_every_slot(0);
    step_fleet(CORE_RELOAD, 2500, 0);
    said(CORE_SAY_RELOAD_LATER);

    /* The remembered reload finds every slot taken: it fails, and touches nobody. */
    step_fleet(CORE_TICK, 3001, 0);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGTERM), LIMIT_WORKERS);
    assert_int_equal(said(CORE_SAY_ROLLOUT_FAILED)->failure, CORE_FAILURE_NO_SLOT);
    assert_int_equal(said(CORE_SAY_ROLLOUT_FAILED)->number, LIMIT_WORKERS);

    run_script("no slot", "3100 reload -> reloading g4, failed g4 no-slot +0 1024\n"
                          "3200 exited 0 0 -> ended 0 asked 0 +2200\n"
                          "3300 reload -> reloading g5, failed g5 no-slot +0 1024\n");

    end_fleet(CORE_WORKER_DRAINING, 3400);
    step_fleet(CORE_RELOAD, 3500, 0);
    assert_int_equal(count_actions(CORE_DO_SPAWN, 0), LIMIT_WORKERS);
    assert_int_equal(world.actions.list[1].slot, 0);
    assert_int_equal(world.core.phase, CORE_ROLLING);
}

/* Rules: G1 R8 I11 */
static void test_largest_stop(void **state)
{
    (void)state;
    fill_every_slot(0);
    step_fleet(CORE_STOP, 2500, SIGINT);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGINT), LIMIT_SLOTS);
    step_fleet(CORE_TICK, 7499, 0);
    assert_int_equal(world.actions.count, 0);
    step_fleet(CORE_TICK, 7500, 0);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGKILL), LIMIT_SLOTS);
    end_fleet(CORE_WORKER_KILLED, 7600);
    assert_int_equal(world.core.phase, CORE_ENDED);
    assert_int_equal(count_actions(CORE_DO_EXIT, 0), 1);
}

/* The step with the most actions: all become ready, all old ones retire, all but one of them are
 * surplus, and a reload that was remembered fails for want of slots.
 */
/* Rules: R2 R9 */
static void test_largest_change(void **state)
{
    (void)state;
    fill_every_slot(1);
    step_fleet(CORE_RELOAD, 2500, 0);
    step_fleet(CORE_TICK, 3001, 0);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGTERM), LIMIT_WORKERS);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGKILL), LIMIT_WORKERS - 1);
    said(CORE_SAY_ROLLOUT_FAILED);
    /* A line for each new one, two actions for each retired and killed one, and three lines. */
    assert_int_equal(world.actions.count, LIMIT_WORKERS * 5 - 2 + 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_phase_and_event),
        cmocka_unit_test(test_every_pair_of_worker_state_and_event),
        cmocka_unit_test(test_events_that_name_nobody_are_illegal),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_reloads),
        cmocka_unit_test(test_rollouts_that_fail),
        cmocka_unit_test(test_reloads_during_a_rollout),
        cmocka_unit_test(test_a_storm_of_reloads_costs_one_more),
        cmocka_unit_test(test_stops_in_every_phase),
        cmocka_unit_test(test_how_long_a_stop_may_take),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_fleet_of_three),
        cmocka_unit_test(test_too_many_draining_leave_no_slot),
        cmocka_unit_test(test_largest_stop),
        cmocka_unit_test(test_largest_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
