/* Tests of core: smooth rollouts, in which each new worker takes the place of an old one. */
#include "core_world.h"

/* Beginnings. They take three workers, smooth, one at a time, -start=0. */
#define FIRST_THREE                                                                                \
    "1000 start -> spawn 0 g1\n" RUNS(                                                             \
        "1000", "0", "100") "1000 tick -> ready 0 +0, spawn 1 g1 @-\n" RUNS("1000", "1",           \
        "101") "1000 tick -> ready 1 +0, spawn 2 g1 @-\n" RUNS("1000", "2",                        \
        "102") "1000 tick -> ready 2 +0, done g1 +0 @-\n"
#define ONE_REPLACED                                                                               \
    FIRST_THREE "2000 reload -> reloading g2, spawn 3 g2 @-\n" RUNS(                               \
        "2000", "3", "103") "2000 tick -> ready 3 +0, HUP 100, retired 0 HUP, spawn 4 g2 @-\n"

#define SMOOTH .smooth = true, .workers = 3

/* Rules: R5 R1 R3 */
static void test_smooth_starts(void **state)
{
    static const struct scenario cases[] = {
        {"one at a time", {SMOOTH}, FIRST_THREE},
        {"two at a time: each that is ready makes room for one",
            {SMOOTH, .max_starting = 2, .start_ms = 300},
            "1000 start -> spawn 0 g1, spawn 1 g1\n" RUNS("1000", "0", "100")
                RUNS("1010", "1", "101") "1301 tick -> ready 0 +301, spawn 2 g1 @1311\n" RUNS(
                    "1301", "2", "102") "1311 tick -> ready 1 +301 @1602\n"
                                        "1602 tick -> ready 2 +301, done g1 +602 @-\n"},
        {"more than there are", {SMOOTH, .max_starting = 9},
            "1000 start -> spawn 0 g1, spawn 1 g1, spawn 2 g1\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R5 R2 R8 I2 */
static void test_smooth_reloads(void **state)
{
    static const struct scenario cases[] = {
        {"each that is ready takes the place of the oldest", {SMOOTH},
            ONE_REPLACED RUNS("2001", "4",
                "104") "2001 tick -> ready 4 +0, HUP 101, retired 1 HUP, spawn 5 g2\n" RUNS("2002",
                "5", "105") "2002 tick -> ready 5 +0, done g2 +2, HUP 102, retired 2 HUP @-\n"},
        {"slots of those that ended are used again", {SMOOTH},
            ONE_REPLACED "2001 exited 0 0 -> ended 0 asked 0 +1001\n" RUNS("2001", "4",
                "104") "2001 tick -> ready 4 +0, HUP 101, retired 1 HUP, spawn 0 g2\n"},
        {"the oldest is not the one in the lowest slot", {SMOOTH, .respawn = true},
            FIRST_THREE "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n" RUNS(
                "1500", "0", "103") "1500 tick -> ready 0 +0 @-\n"
                                    "2000 reload -> reloading g2, spawn 3 g2\n" RUNS("2000", "3",
                                        "104") "2000 tick -> ready 3 +0, HUP 101, retired 1 HUP, "
                                               "spawn 4 g2\n" RUNS("2000", "4",
                                                   "105") "2000 tick -> ready 4 +0, HUP 102, "
                                                          "retired 2 HUP, spawn 5 g2\n"},
        {"two at a time, and both are ready at once", {SMOOTH, .max_starting = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1", "101") "1000 tick\n" RUNS(
                "1000", "2", "102") "1000 tick -> ready 2 +0, done g1 +0\n"
                                    "2000 reload -> reloading g2, spawn 3 g2, spawn 4 g2\n" RUNS(
                                        "2000", "3", "103") RUNS("2000", "4",
                                        "104") "2000 tick -> ready 3 +0, HUP 100, retired 0 HUP, "
                                               "spawn 5 g2, ready 4 +0, HUP 101,"
                                               " retired 1 HUP\n" RUNS("2000", "5",
                                                   "105") "2001 tick -> ready 5 +1, done g2 +1, "
                                                          "HUP 102, retired 2 HUP\n"},
        {"who has not taken over says so for as long as it likes", {SMOOTH, .says_ready = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1000 says-ready 0 -> ready 0 +0, spawn 1 g1\n" RUNS("1000",
                "1", "101") "1000 says-ready 1 -> ready 1 +0, spawn 2 g1\n" RUNS("1000", "2",
                "102") "1000 says-ready 2 -> ready 2 +0, done g1 +0\n"
                       "2000 reload\n" RUNS(
                           "2000", "3", "103") "3000 says-ready 3 -> ready 3 +1000, HUP 100, "
                                               "retired 0 HUP, spawn 4 g2 @-\n"
                                               "3001 says-ready 3 -> @-\n"},
        {"an old one ends meanwhile: it made its room itself", {SMOOTH},
            FIRST_THREE "2000 reload\n" RUNS(
                "2000", "3", "103") "2000 exited 1 4 -> ended 1 unasked 4 +1000\n"
                                    "2000 tick -> ready 3 +0, spawn 1 g2 @-\n" RUNS("2000", "1",
                                        "104") "2000 tick -> ready 1 +0, HUP 100, retired 0 HUP, "
                                               "spawn 4 g2 @-\n" RUNS("2000", "4",
                                                   "105") "2000 tick -> ready 4 +0, done g2 +0, "
                                                          "HUP 102, retired 2 HUP\n"},
        {"all old ones end meanwhile", {SMOOTH},
            FIRST_THREE
            "2000 reload -> reloading g2, spawn 3 g2\n"
            "2000 exited 0 4\n2000 exited 1 4\n2000 exited 2 4 -> ended 2 unasked 4 +1000\n" RUNS(
                "2000", "3", "103") "2000 tick -> ready 3 +0, spawn 0 g2\n" RUNS("2000", "0",
                "104") "2000 tick -> ready 0 +0, spawn 1 g2\n" RUNS("2000", "1",
                "105") "2000 tick -> ready 1 +0, done g2 +0 @-\n"},
        {"fewer were left than are wanted", {SMOOTH},
            FIRST_THREE "1500 exited 2 0\n"
                        "2000 reload -> reloading g2, spawn 2 g2\n" RUNS("2000", "2",
                            "103") "2000 tick -> ready 2 +0, spawn 3 g2\n" RUNS("2000", "3",
                            "104") "2000 tick -> ready 3 +0, HUP 100, retired 0 HUP, spawn 4 g2\n"},
        {"-max-draining", {SMOOTH, .max_draining = 1},
            ONE_REPLACED RUNS("2001", "4", "104") "2001 tick -> ready 4 +0, HUP 101, retired 1 "
                                                  "HUP, KILL -100, surplus 0 1, spawn 5 g2\n"},
        {"-stop", {SMOOTH, .stop_ms = 50},
            FIRST_THREE "2000 reload\n" RUNS("2000", "3",
                "103") "2000 tick -> ready 3 +0, HUP 100, retired 0 HUP, spawn 4 g2 @2050\n"
                       "2050 tick -> KILL -100, late 0 +50 @-\n"},
        {"whom the signal did not reach is told again when the rollout is done", {SMOOTH},
            ONE_REPLACED "2000 signal-failed 0 1 -> @-\n" RUNS("2001", "4",
                "104") "2001 tick -> ready 4 +0, HUP 101, retired 1 HUP, spawn 5 g2\n" RUNS("2002",
                "5", "105") "2002 tick -> ready 5 +0, done g2 +2, HUP 100, retired 0 HUP, HUP 102, "
                            "retired 2 HUP\n"},
        {"a reload and a number that were remembered", {SMOOTH},
            ONE_REPLACED "2000 reload -> later\n2000 scale 2 -> scale-later 2\n" RUNS("2001", "4",
                "104") "2001 tick -> ready 4 +0, HUP 101, retired 1 HUP, spawn 5 g2\n" RUNS("2002",
                "5", "105") "2002 tick -> ready 5 +0, done g2 +2, HUP 102, retired 2 HUP, scaled 2,"
                            " HUP 105, retired 5 HUP, reloading g3, spawn 6 g3\n"},
        {"a stop", {SMOOTH},
            ONE_REPLACED
            "2001 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM, TERM 101,"
            " forwarded 1 TERM, TERM 102, forwarded 2 TERM, TERM 103, forwarded 3 TERM\n"
            "2002 spawned 4 104 -> TERM 104, forwarded 4 TERM @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R5 R10 */
static void test_old_replacements_that_are_still_starting(void **state)
{
    static const struct scenario cases[] = {
        {"they go before any that serves", {SMOOTH, .respawn = true},
            FIRST_THREE "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n"
                        "1500 spawned 0 103\n"
                        "2000 reload -> reloading g2, spawn 3 g2\n" RUNS("2000", "3",
                            "104") "2000 tick -> ready 3 +0, HUP 103, stopped 0 HUP, spawn 4 g2 "
                                   "@7000\n" RUNS("2001", "4",
                                       "105") "2001 tick -> ready 4 +0, HUP 101, retired 1 HUP, "
                                              "spawn 5 g2 @7000\n"
                                              "2002 exited 0 0 -> ended 0 asked 0 +0 @-\n"},
        {"the oldest of them first", {SMOOTH, .respawn = true, .max_starting = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1", "101") "1000 tick\n" RUNS(
                "1000", "2",
                "102") "1000 tick -> ready 2 +0, done g1 +0\n"
                       "1500 exited 1 0 -> ended 1 unasked 0 +500, spawn 1 g1\n1500 spawned 1 103\n"
                       "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n1500 spawned 0 104\n"
                       "2000 reload\n" RUNS(
                           "2000", "3", "105") "2000 tick -> ready 3 +0, HUP 103, stopped 1 HUP, "
                                               "spawn 4 g2\n" RUNS("2001", "4",
                                                   "106") "2001 tick -> ready 4 +0, HUP 104, "
                                                          "stopped 0 HUP, spawn 5 g2 @7000\n"},
        {"one without a process is cancelled", {SMOOTH, .respawn = true},
            FIRST_THREE "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n"
                        "2000 reload -> reloading g2, spawn 3 g2\n" RUNS("2000", "3",
                            "104") "2000 tick -> ready 3 +0, spawn 4 g2 @-\n"
                                   "2001 spawn-failed 0 11 -> not-spawned 0 4/11 @-\n"},
        {"one that becomes ready meanwhile serves until its turn comes", {SMOOTH, .respawn = true},
            FIRST_THREE
            "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n"
            "1500 spawned 0 103\n"
            "2000 reload -> reloading g2, spawn 3 g2\n"
            "2000 executed 0 -> started 0 @2000\n"
            "2000 tick -> ready 0 +0 @-\n" RUNS("2001", "3",
                "104") "2001 tick -> ready 3 +0, HUP 101, retired 1 HUP, spawn 4 g2\n" RUNS("2002",
                "4",
                "105") "2002 tick -> ready 4 +0, HUP 102, retired 2 HUP, spawn 5 g2\n" RUNS("2003",
                "5", "106") "2003 tick -> ready 5 +0, done g2 +3, HUP 103, retired 0 HUP\n"},
        {"one that ends meanwhile is not missed", {SMOOTH, .respawn = true},
            FIRST_THREE "1500 exited 0 0 -> ended 0 unasked 0 +500, spawn 0 g1\n" RUNS(
                "1500", "0", "103") "2000 reload -> reloading g2, spawn 3 g2\n"
                                    "2000 exited 0 7 -> ended 0 unasked 7 +500\n" RUNS("2000", "3",
                                        "104") "2000 tick -> ready 3 +0, spawn 0 g2 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R5 R7 I7 */
static void test_smooth_rollouts_that_fail(void **state)
{
    static const struct scenario cases[] = {
        {"nobody else is retired, and new ones that have taken over stay", {SMOOTH},
            ONE_REPLACED RUNS("2001", "4",
                "104") "2001 exited 4 7 -> ended 4 unasked 7 +0, failed g2 ended +1 3 @-\n"
                       "2002 tick -> @-\n"
                       "3000 reload -> reloading g3, spawn 4 g3\n" RUNS("3000", "4",
                           "105") "3000 tick -> ready 4 +0, HUP 101, retired 1 HUP, spawn 5 "
                                  "g3\n" RUNS("3001", "5",
                                      "106") "3001 tick -> ready 5 +0, HUP 102, retired 2 HUP, "
                                             "spawn 6 g3\n" RUNS("3002", "6",
                                                 "107") "3002 tick -> ready 6 +0, done g3 +2, HUP "
                                                        "103, retired 3 HUP\n"},
        {"those that are starting beside it are stopped",
            {SMOOTH, .max_starting = 3, .start_ms = 300},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1", "101") RUNS("1000", "2",
                "102") "1301 tick -> ready 0 +301, ready 1 +301, ready 2 +301, done g1 +301\n"
                       "2000 reload -> reloading g2, spawn 3 g2, spawn 4 g2, spawn 5 g2\n" RUNS(
                           "2000", "3", "103") RUNS("2000", "4",
                           "104") "2001 exited 4 0 -> ended 4 unasked 0 +1, HUP 103, stopped 3 "
                                  "HUP, failed g2 ended +1 3\n"
                                  "2002 spawned 5 105 -> HUP 105, stopped 5 HUP\n"},
        {"one that took over ends: that is one less, and the rollout has failed", {SMOOTH},
            ONE_REPLACED "2001 exited 3 7 -> ended 3 unasked 7 +1, failed g2 ended-ready +1 2 @-\n"
                         "2002 spawned 4 104 -> HUP 104, stopped 4 HUP @7002\n"
                         "2003 exited 4 0 -> ended 4 asked 0 +0 @-\n"
                         "3000 reload -> reloading g3, spawn 3 g3\n"},
        {"the same with -respawn: it is replaced", {SMOOTH, .respawn = true},
            ONE_REPLACED "2001 exited 3 7 -> ended 3 unasked 7 +1, failed g2 ended-ready +1 2,"
                         " spawn 3 g1 @-\n"},
        {"old ones ended as well: they are replaced too",
            {SMOOTH, .respawn = true, .max_starting = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1", "101") "1000 tick\n" RUNS(
                "1000", "2",
                "102") "1000 tick -> ready 2 +0, done g1 +0\n"
                       "2000 reload -> reloading g2, spawn 3 g2, spawn 4 g2\n" RUNS("2000", "3",
                           "103") "2000 tick -> ready 3 +0, HUP 100, retired 0 HUP, spawn 5 g2\n"
                                  "2001 exited 1 0 -> ended 1 unasked 0 +1001\n"
                                  "2002 spawn-failed 4 11 -> not-spawned 4 4/11, failed g2 "
                                  "not-started +2 2, spawn 1 g1\n"},
        {"a reload that was remembered follows", {SMOOTH},
            ONE_REPLACED "2000 reload -> later\n"
                         "2001 spawn-failed 4 11 -> not-spawned 4 4/11, failed g2 not-started +1 3,"
                         " reloading g3, spawn 4 g3\n"},
        {"at the start nobody stays", {SMOOTH},
            "1000 start -> spawn 0 g1\n" RUNS(
                "1000", "0", "100") "1000 tick -> ready 0 +0, spawn 1 g1\n" RUNS("1000", "1",
                "101") "1001 exited 1 7 -> ended 1 unasked 7 +1, HUP 100, stopped 0 HUP, failed g1 "
                       "ended +1 0\n"
                       "1002 exited 0 0 -> ended 0 asked 0 +2, exiting 7, exit 7\n"},
        {"at the start one that was ready ends", {SMOOTH},
            "1000 start -> spawn 0 g1\n" RUNS("1000", "0",
                "100") "1000 tick -> ready 0 +0, spawn 1 g1\n"
                       "1001 exited 0 7 -> ended 0 unasked 7 +1, failed g1 ended-ready +1 0\n"
                       "1002 spawned 1 101 -> HUP 101, stopped 1 HUP\n"
                       "1003 exited 1 0 -> ended 1 asked 0 +0, exiting 7, exit 7\n"},
        {"the start fails, and the reload after it gets as far as one", {SMOOTH},
            "1000 start -> spawn 0 g1\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n" RUNS(
                "1001", "0", "100") "1001 tick -> ready 0 +0, spawn 1 g2\n"
                                    "1002 spawn-failed 1 11 -> not-spawned 1 4/11, failed g2 "
                                    "not-started +2 1 @-\n"
                                    "1003 scale 4 -> scaled 4, spawn 1 g2\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R7 I7 */
static void test_a_hundred_failures_in_a_row(void **state)
{
    static const struct scenario way = {"a hundred", {SMOOTH}, FIRST_THREE};

    (void)state;
    run_scenario(&way);
    for (int i = 0; i < 100; i++) {
        struct core_event event = {.kind = CORE_RELOAD, .now = 2000};

        world_step(&event);
        event =
            (struct core_event){.kind = CORE_SPAWN_FAILED, .now = 2000, .slot = 3, .number = 11};
        world_step(&event);
        assert_int_equal(count_state(CORE_WORKER_READY), 3);
        assert_int_equal(world.core.living, 3);
    }
    run_script(
        "a hundred", "3000 reload -> reloading g102, spawn 3 g102\n" RUNS("3000", "3",
                         "103") "3000 tick -> ready 3 +0, HUP 100, retired 0 HUP, spawn 4 g102\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smooth_starts),
        cmocka_unit_test(test_smooth_reloads),
        cmocka_unit_test(test_old_replacements_that_are_still_starting),
        cmocka_unit_test(test_smooth_rollouts_that_fail),
        cmocka_unit_test(test_a_hundred_failures_in_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
