/* Tests of core: more workers are wanted, or fewer. */
#include "core_world.h"

/* Rules: R11 E2 */
static void test_more_are_wanted(void **state)
{
    static const struct scenario cases[] = {
        {"they join the generation that serves, and the next one has as many", {.start_ms = 300},
            FIRST_READY "2000 scale 3 -> scaled 3, spawn 1 g1, spawn 2 g1 @-\n" RUNS(
                "2000", "1", "101") RUNS("2001", "2",
                "102") "2301 tick -> ready 1 +301 @2302\n"
                       "2302 tick -> ready 2 +301 @-\n"
                       "3000 reload -> reloading g2, spawn 3 g2, spawn 4 g2, spawn 5 g2\n"},
        {"as many as there are", {.start_ms = 300, .workers = 3},
            THREE_READY "2000 scale 3 -> scaled 3 @-\n"},
        {"one of them cannot be forked: the others serve on", {.start_ms = 300},
            FIRST_READY "2000 scale 2 -> scaled 2, spawn 1 g1\n"
                        "2000 spawn-failed 1 11 -> not-spawned 1 4/11 @-\n"
                        "9000 exited 0 3 -> ended 0 unasked 3 +8000, exiting 3, exit 3\n"},
        {"the same with -respawn", {.start_ms = 300, .respawn = true},
            FIRST_READY
            "2000 scale 2 -> scaled 2, spawn 1 g1\n"
            "2000 spawn-failed 1 11 -> not-spawned 1 4/11, replacing g1 +1000 1 @3000\n"},
        {"while replacements fail they wait for their turn", {.start_ms = 300, .respawn = true},
            FIRST_READY "1900 exited 0 0\n1900 spawn-failed 0 11 ->"
                        " not-spawned 0 4/11, replacing g1 +1000 1 @2900\n"
                        "2000 scale 2 -> scaled 2 @2900\n"
                        "2900 tick -> spawn 0 g1 @-\n"},
        {"after a rollout that failed: the generation that serves still", {.start_ms = 300},
            FIRST_READY RELOAD "2020 exited 1 7 -> ended 1 unasked 7 +10, failed g2 ended +20 1\n"
                               "3000 scale 2 -> scaled 2, spawn 1 g1\n"},
        {"smooth: no more at once than may start",
            {.start_ms = 300, .smooth = true, .max_starting = 2},
            FIRST_READY "2000 scale 4 -> scaled 4, spawn 1 g1, spawn 2 g1\n"
                        "2000 spawn-failed 1 11 -> not-spawned 1 4/11, spawn 1 g1\n" RUNS(
                            "2000", "2", "102") "2301 tick -> ready 2 +301 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R11 R8 R9 */
static void test_fewer_are_wanted(void **state)
{
    static const struct scenario cases[] = {
        {"the youngest go, as if retired", {.start_ms = 300, .workers = 3, .stop_ms = 1000},
            THREE_READY "2000 scale 2 -> scaled 2, HUP 102, retired 2 HUP @3000\n"
                        "2001 scale 1 -> scaled 1, HUP 101, retired 1 HUP @3000\n"
                        "3000 tick -> KILL -102, late 2 +1000 @3001\n"
                        "3000 exited 1 0 -> ended 1 asked 0 +1999\n"
                        "4000 reload -> reloading g2, spawn 1 g2\n"},
        {"several at once", {.start_ms = 300, .workers = 3},
            THREE_READY
            "2000 scale 1 -> scaled 1, HUP 102, retired 2 HUP, HUP 101, retired 1 HUP\n"},
        {"the youngest is not the one in the highest slot",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 0 0 -> ended 0 unasked 0 +1000, spawn 0 g1\n" RUNS(
                "2000", "0", "103") "2301 tick -> ready 0 +301\n"
                                    "2302 scale 2 -> scaled 2, HUP 103, retired 0 HUP\n"},
        {"it is not replaced when it ends", {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 scale 2 -> scaled 2, HUP 102, retired 2 HUP\n"
                        "2001 exited 2 0 -> ended 2 asked 0 +999 @-\n"
                        "2002 exited 1 0 -> ended 1 unasked 0 +1001, spawn 1 g1\n"},
        {"one that is not ready yet", {.start_ms = 300},
            FIRST_READY "2000 scale 2 -> scaled 2, spawn 1 g1\n" RUNS(
                "2000", "1", "101") "2001 scale 1 -> scaled 1, HUP 101, stopped 1 HUP @7001\n"
                                    "7001 tick -> KILL -101, late 1 +5000 @-\n"},
        {"one without a process", {.start_ms = 300},
            FIRST_READY "2000 scale 2 -> scaled 2, spawn 1 g1\n"
                        "2001 scale 1 -> scaled 1 @-\n"
                        "2002 spawned 1 101 -> HUP 101, stopped 1 HUP @7002\n"},
        {"those that are only due are due no more",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 1 0 -> ended 1 unasked 0 +999, spawn 1 g1\n"
                        "2000 spawn-failed 1 11 -> not-spawned 1 4/11, replacing g1 +1000 1 @3000\n"
                        "2001 scale 2 -> scaled 2 @-\n"
                        "3000 tick -> @-\n"},
        {"never below one that is there", {.start_ms = 300, .workers = 3},
            THREE_READY "2000 exited 1 0\n2000 exited 2 0\n"
                        "2001 scale 1 -> scaled 1 @-\n"},
        {"-max-draining", {.start_ms = 300, .workers = 3, .max_draining = 1},
            THREE_READY "2000 scale 1 -> scaled 1, HUP 102, retired 2 HUP, HUP 101, retired 1 HUP,"
                        " KILL -102, surplus 2 1\n"},
        {"whom the signal did not reach is told again by the next rollout",
            {.start_ms = 300, .workers = 3},
            THREE_READY
            "2000 scale 2 -> scaled 2, HUP 102, retired 2 HUP\n"
            "2000 signal-failed 2 1 ->\n"
            "2001 reload -> reloading g2, spawn 3 g2, spawn 4 g2\n" RUNS("2001", "3", "103")
                RUNS("2001", "4", "104") "2302 tick -> ready 3 +301, ready 4 +301, done g2 +301, "
                                         "HUP 100, retired 0 HUP,"
                                         " HUP 101, retired 1 HUP, HUP 102, retired 2 HUP\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R11 R9 C6 R12 */
static void test_numbers_that_have_to_wait(void **state)
{
    static const struct scenario cases[] = {
        {"during the start", {.start_ms = 300},
            START "1001 scale 2 -> scale-later 2 @1301\n"
                  "1301 tick -> ready 0 +301, done g1 +301, scaled 2, spawn 1 g1\n"},
        {"the latest counts", {.start_ms = 300},
            FIRST_READY RELOAD "2011 scale 3 -> scale-later 3\n"
                               "2012 scale 2 -> scale-later 2\n"
                               "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP,"
                               " scaled 2, spawn 2 g2\n"
                               "2312 scale 1 -> scaled 1\n"},
        {"before a reload that is remembered too", {.start_ms = 300},
            FIRST_READY RELOAD "2011 reload -> later\n"
                               "2012 scale 2 -> scale-later 2\n"
                               "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP,"
                               " scaled 2, reloading g3, spawn 2 g3, spawn 3 g3\n"},
        {"after a rollout that failed, too", {.start_ms = 300},
            FIRST_READY RELOAD "2011 scale 2 -> scale-later 2\n"
                               "2020 exited 1 7 -> ended 1 unasked 7 +10, failed g2 ended +20 1,"
                               " scaled 2, spawn 1 g1\n"},
        {"fewer, after a rollout", {.start_ms = 300, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100")
                RUNS("1000", "1", "101") "1001 scale 1 -> scale-later 1\n"
                                         "1301 tick -> ready 0 +301, ready 1 +301, done g1 +301, "
                                         "scaled 1, HUP 101, retired 1 HUP\n"},
        {"a stop forgets it", {.start_ms = 300},
            START "1001 scale 2 -> scale-later 2\n"
                  "1002 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM\n"
                  "1003 scale 2 -> scale-refused 2\n"
                  "1004 exited 0 0 -> ended 0 asked 0 +4, exiting 0, exit 0\n"},
        {"the start fails: more are wanted, but nobody is started", {.start_ms = 300, .workers = 2},
            "1000 start\n1000 spawned 0 100\n"
            "1001 scale 4 -> scale-later 4\n"
            "1002 spawn-failed 1 11 -> not-spawned 1 4/11, HUP 100, stopped 0 HUP,"
            " failed g1 not-started +2 0, scaled 4 @6002\n"
            "1003 exited 0 0 -> ended 0 asked 0 +0, exiting 1, exit 1\n"},
        {"the start has failed, and not all have ended", {.start_ms = 300, .workers = 2},
            "1000 start\n1000 spawned 0 100\n"
            "1002 spawn-failed 1 11 -> not-spawned 1 4/11, HUP 100, stopped 0 HUP,"
            " failed g1 not-started +2 0 @6002\n"
            "1003 scale 3 -> scaled 3 @6002\n"
            "1004 exited 0 0 -> ended 0 asked 0 +0, exiting 1, exit 1\n"},
        {"before the start, which heeds it", {.start_ms = 300},
            "1000 scale 0 -> scale-refused 0\n"
            "1000 scale 1025 -> scale-refused 1025\n"
            "1000 scale 2 -> scaled 2 @-\n"
            "1000 start -> spawn 0 g1, spawn 1 g1\n"},
        {"out of bounds", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 scale 0 -> scale-refused 0\n"
            "1000 scale 1025 -> scale-refused 1025\n"
            "1000 spawned 0 100\n1000 executed 0\n"
            "1301 tick -> ready 0 +301, done g1 +301 @-\n"
            "2000 scale 0 -> scale-refused 0\n"
            "2000 scale -1 -> scale-refused -1\n"
            "2000 scale 1025 -> scale-refused 1025\n"
            "2000 scale 1 -> scaled 1 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R11 */
static void test_how_many_are_wanted(void **state)
{
    static const struct scenario way = {"wanted", {.start_ms = 300, .workers = 3}, THREE_READY};

    (void)state;
    run_scenario(&way);
    assert_int_equal(core_workers_wanted(&world.core), 3);
    run_script("wanted", "2000 scale 2\n");
    assert_int_equal(core_workers_wanted(&world.core), 2);
    run_script("wanted", "2001 reload\n2001 scale 5 -> scale-later 5\n");
    assert_int_equal(core_workers_wanted(&world.core), 5);
    run_script("wanted", "2002 spawn-failed 3 11\n");
    assert_int_equal(core_workers_wanted(&world.core), 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_are_wanted),
        cmocka_unit_test(test_fewer_are_wanted),
        cmocka_unit_test(test_numbers_that_have_to_wait),
        cmocka_unit_test(test_how_many_are_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
