/* Tests of core: the largest fleet, and what happens when every slot is taken. */
#include "core_world.h"

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

/* Ends each worker in this state, but for the first `but` slots. */
static void end_fleet(enum core_worker_state ending, uint64_t now, unsigned but)
{
    for (unsigned slot = but; slot < world.core.slot_bound; slot++) {
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
    assert_int_equal(said(CORE_SAY_ROLLOUT_FAILED)->serving, LIMIT_WORKERS);

    run_script("no slot", "3100 reload -> reloading g4, failed g4 no-slot +0 1024\n"
                          "3200 exited 0 0 -> ended 0 asked 0 +2200\n"
                          "3300 reload -> reloading g5, failed g5 no-slot +0 1024\n");

    /* One slot too few, and just enough. */
    end_fleet(CORE_WORKER_DRAINING, 3400, 2);
    run_script("no slot", "3400 reload -> reloading g6, failed g6 no-slot +0 1024\n"
                          "3401 exited 1 0 -> ended 1 asked 0 +2401\n");
    step_fleet(CORE_RELOAD, 3500, 0);
    assert_int_equal(count_actions(CORE_DO_SPAWN, 0), LIMIT_WORKERS);
    assert_int_equal(world.actions.list[1].slot, 0);
    assert_int_equal(world.core.phase, CORE_ROLLING);
}

/* Rules: R10 R11 I11 */
static void test_nobody_is_started_without_a_slot(void **state)
{
    (void)state;
    fill_every_slot(0);
    step_fleet(CORE_TICK, 3001, 0);
    step_fleet(CORE_SCALE, 3100, LIMIT_WORKERS - 2);
    assert_int_equal(count_actions(CORE_DO_SIGNAL, SIGTERM), 2);
    run_script("no slot", "3101 scale 1024 -> scaled 1024\n"
                          "3102 tick ->\n"
                          "3103 exited 7 0 -> ended 7 asked 0 +2103, spawn 7 g2\n"
                          "3104 exited 9 0 -> ended 9 asked 0 +2104, spawn 9 g2\n"
                          "3105 exited 8 0 -> ended 8 asked 0 +2105\n");
}

/* Rules: R10 I11 */
static void test_the_largest_fleet_ends_and_is_replaced(void **state)
{
    struct core_settings settings = {
        .workers = LIMIT_WORKERS, .stop_signal = SIGTERM, .max_starting = 1, .respawn = true};

    (void)state;
    world_begin(&settings);
    step_fleet(CORE_START, 1000, 0);
    spawn_fleet(1000, 10000);
    step_fleet(CORE_TICK, 1000, 0);
    said(CORE_SAY_ROLLOUT_DONE);
    step_fleet(CORE_RELOAD, 1000, 0);
    end_fleet(CORE_WORKER_READY, 2000, 0);
    for (unsigned slot = LIMIT_WORKERS; slot < LIMIT_SLOTS; slot++) {
        struct core_event event = {.kind = CORE_SPAWN_FAILED, .now = 2000, .slot = slot};

        world_step(&event);
        if (slot == LIMIT_WORKERS)
            assert_int_equal(count_actions(CORE_DO_SPAWN, 0), LIMIT_WORKERS);
    }
    assert_int_equal(world.core.living, LIMIT_WORKERS);
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
    end_fleet(CORE_WORKER_KILLED, 7600, 0);
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
        cmocka_unit_test(test_too_many_draining_leave_no_slot),
        cmocka_unit_test(test_nobody_is_started_without_a_slot),
        cmocka_unit_test(test_the_largest_fleet_ends_and_is_replaced),
        cmocka_unit_test(test_largest_stop),
        cmocka_unit_test(test_largest_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
