/* Tests of core: its tables. Every pair of state and event, and events that name nobody. */
#include "core_world.h"

static struct core core_before;

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
    {CORE_FIRST, CORE_WORKER_HELD, 0, 3, START_THREE "1000 executed 0\n1301 tick"},
    {CORE_SERVING, CORE_WORKER_NONE, 1, 3, THREE_READY "1400 exited 1 0"},
    {CORE_SERVING, CORE_WORKER_CANCELLED, 0, 2, "1000 start\n1000 spawn-failed 1 11"},
    {CORE_SERVING, CORE_WORKER_READY, 0, 1, FIRST_READY},
    {CORE_SERVING, CORE_WORKER_DRAINING, 0, 1, SECOND_READY},
    {CORE_SERVING, CORE_WORKER_STOPPING, 0, 3, START_THREE "1000 exec-failed 1 2"},
    {CORE_SERVING, CORE_WORKER_STOPPING, 1, 3, START_THREE "1000 exec-failed 1 2"},
    {CORE_SERVING, CORE_WORKER_KILLED, 0, 3, START_THREE "1000 exec-failed 1 2\n9000 tick"},
    {CORE_ROLLING, CORE_WORKER_NONE, 0, 1, FIRST_READY RELOAD "2020 exited 0 0"},
    {CORE_ROLLING, CORE_WORKER_SPAWNING, 1, 1, FIRST_READY "2000 reload"},
    {CORE_ROLLING, CORE_WORKER_CANCELLED, 0, 2, "1000 start\n1000 reload\n1000 spawn-failed 1 11"},
    {CORE_ROLLING, CORE_WORKER_EXECUTING, 1, 1, FIRST_READY "2000 reload\n2000 spawned 1 101"},
    {CORE_ROLLING, CORE_WORKER_STARTING, 1, 1, FIRST_READY RELOAD},
    {CORE_ROLLING, CORE_WORKER_HELD, 3, 3,
        THREE_READY RELOAD_THREE "2000 spawned 5 105\n2000 executed 3\n2301 tick"},
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

/* What may be asked for at any time, and that time passes. */
#define ASKED                                                                                      \
    (BIT(CORE_RELOAD) | BIT(CORE_STOP) | BIT(CORE_SCALE) | BIT(CORE_SIGNAL) | BIT(CORE_TICK))

static const unsigned legal_in_phase[CORE_PHASE_COUNT] = {
    [CORE_NEW] = ASKED | BIT(CORE_START),
    [CORE_FIRST] = ASKED,
    [CORE_SERVING] = ASKED,
    [CORE_ROLLING] = ASKED,
    [CORE_STOPPING] = ASKED,
    [CORE_ENDED] = ASKED,
};

/* Of a worker that runs the command: what it may say, and that it ends. */
#define RUNNING                                                                                    \
    (BIT(CORE_READY_SAID) | BIT(CORE_READY_EXTENDED) | BIT(CORE_READY_LOST) | BIT(CORE_EXITED))
/* Of one that was told to end, how its start went may come late. */
#define TOLD (RUNNING | BIT(CORE_EXECUTED) | BIT(CORE_EXEC_FAILED) | BIT(CORE_SIGNAL_FAILED))

static const unsigned legal_for_worker[CORE_WORKER_STATE_COUNT] = {
    [CORE_WORKER_NONE] = 0,
    [CORE_WORKER_SPAWNING] = BIT(CORE_SPAWNED) | BIT(CORE_SPAWN_FAILED),
    [CORE_WORKER_CANCELLED] = BIT(CORE_SPAWNED) | BIT(CORE_SPAWN_FAILED),
    [CORE_WORKER_EXECUTING] = RUNNING | BIT(CORE_EXECUTED) | BIT(CORE_EXEC_FAILED),
    [CORE_WORKER_STARTING] = RUNNING,
    [CORE_WORKER_HELD] = RUNNING,
    [CORE_WORKER_READY] = RUNNING,
    [CORE_WORKER_DRAINING] = RUNNING | BIT(CORE_SIGNAL_FAILED),
    [CORE_WORKER_STOPPING] = TOLD,
    [CORE_WORKER_KILLED] = TOLD,
};

/* What it says where nobody asks for it any more, or not yet: it changes nothing. */
#define IDLE (BIT(CORE_READY_SAID) | BIT(CORE_READY_EXTENDED) | BIT(CORE_READY_LOST))

static const unsigned idle_for_worker[CORE_WORKER_STATE_COUNT] = {
    [CORE_WORKER_EXECUTING] = IDLE, /* these places are without -ready */
    [CORE_WORKER_STARTING] = IDLE,
    [CORE_WORKER_HELD] = IDLE,
    [CORE_WORKER_READY] = IDLE,
    [CORE_WORKER_DRAINING] = IDLE,
    [CORE_WORKER_STOPPING] = IDLE,
    [CORE_WORKER_KILLED] = IDLE,
};

static void go_to(const struct place *place)
{
    struct scenario way = {"a way", {.workers = place->workers, .start_ms = 300}, place->script};

    run_scenario(&way);
    assert_int_equal(world.core.phase, place->phase);
    if (place->slot < world.core.slot_bound)
        assert_int_equal(world.core.workers[place->slot].state, place->state);
    else
        assert_int_equal(place->state, CORE_WORKER_NONE);
}

static void step_without_change(const struct core_event *event)
{
    size_t meaningful =
        offsetof(struct core, workers) + world.core.slot_bound * sizeof(struct core_worker);

    memcpy(&core_before, &world.core, sizeof core_before);
    core_step(&world.core, event, &world.actions);
    assert_memory_equal(&world.core, &core_before, meaningful);
}

static void check_idle(const struct core_event *event)
{
    step_without_change(event);
    assert_int_equal(world.actions.count, 0);
}

static void check_illegal(const struct core_event *event)
{
    step_without_change(event);
    assert_int_equal(world.actions.count, 1);
    assert_int_equal(world.actions.list[0].kind, CORE_DO_SAY);
    assert_int_equal(world.actions.list[0].say, CORE_SAY_ILLEGAL);
    assert_int_equal(world.actions.list[0].number, (int)event->kind);
    assert_int_equal(world.actions.list[0].slot, event->slot);
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
        .pid = 999,
        .number = kind == CORE_STOP ? SIGTERM : 2};
}

/* Rules: R2 R9 R11 G1 R12 */
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

/* Rules: R3 R7 G1 G4 I3 */
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
            if (idle_for_worker[place->state] & BIT(kind)) {
                check_idle(&event);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_phase_and_event),
        cmocka_unit_test(test_every_pair_of_worker_state_and_event),
        cmocka_unit_test(test_events_that_name_nobody_are_illegal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
