/* Tests of core: when a worker is ready, and what becomes of one that is not in time. */
#include "core_world.h"

/* A worker that says so, and one that is ready; they take -ready-timeout=500. */
#define STARTS                                                                                     \
    "1000 start -> spawn 0 g1 @-\n"                                                                \
    "1000 spawned 0 100 -> @1500\n"                                                                \
    "1100 executed 0 -> started 0 @1600\n"
#define IS_READY STARTS "1200 says-ready 0 -> ready 0 +100, done g1 +200 @-\n"
#define RELOADS                                                                                    \
    "2000 reload -> reloading g2, spawn 1 g2 @-\n"                                                 \
    "2000 spawned 1 101 -> @2500\n"                                                                \
    "2010 executed 1 -> started 1 @2510\n"

/* Rules: R3 */
static void test_says_that_it_is_ready(void **state)
{
    static const struct scenario cases[] = {
        {"when it says so, and -start means nothing",
            {.says_ready = true, .ready_timeout_ms = 500, .start_ms = 300},
            STARTS "1400 tick -> @1600\n"
                   "1599 says-ready 0 -> ready 0 +499, done g1 +599 @-\n"},
        {"just in time", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS "1600 says-ready 0 -> ready 0 +500, done g1 +600 @-\n"
                   "1600 tick -> @-\n"},
        {"-ready-timeout=0: for ever", {.says_ready = true},
            "1000 start -> spawn 0 g1 @-\n"
            "1000 spawned 0 100\n"
            "1100 executed 0 -> started 0 @-\n"
            "999999999 tick -> @-\n"
            "999999999 says-ready 0 -> ready 0 +999998899, done g1 +999998999 @-\n"},
        {"again, it means nothing", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY RELOADS
            "2020 says-ready 0 -> @2510\n"
            "2021 says-ready 1 -> ready 1 +11, done g2 +21, HUP 100, retired 0 HUP\n"
            "2022 says-ready 1 -> @-\n"
            "2023 says-ready 0 -> @-\n"
            "2024 stop 15\n"
            "2025 says-ready 1 -> @-\n"},
        {"before it is known that it runs", {.says_ready = true, .ready_timeout_ms = 500},
            "1000 start\n"
            "1000 spawned 0 100 -> @1500\n"
            "1010 says-ready 0 -> @1500\n"
            "1020 executed 0 -> started 0, ready 0 +0, done g1 +20 @-\n"},
        {"before that it asked for time", {.says_ready = true, .ready_timeout_ms = 500},
            "1000 start\n"
            "1000 spawned 0 100 -> @1500\n"
            "1010 extends 0 9000 -> @1500\n"
            "1020 executed 0 -> started 0 @10010\n"},
        {"before that it asked for less than it has", {.says_ready = true, .ready_timeout_ms = 500},
            "1000 start\n"
            "1000 spawned 0 100\n"
            "1010 extends 0 10\n"
            "1020 executed 0 -> started 0 @1520\n"},
        {"before that it closed its descriptor", {.says_ready = true, .ready_timeout_ms = 500},
            "1000 start\n"
            "1000 spawned 0 100\n"
            "1010 loses 0 -> @1500\n"
            "1011 extends 0 9000 -> @1500\n"
            "1020 executed 0 -> started 0 @1120\n"},
        {"before that it closed its descriptor, and has less time",
            {.says_ready = true, .ready_timeout_ms = 50},
            "1000 start\n"
            "1000 spawned 0 100\n"
            "1010 loses 0\n"
            "1020 executed 0 -> started 0 @1070\n"},
        {"the rollout waits for the last", {.says_ready = true, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100")
                RUNS("1000", "1", "101") "1100 says-ready 1 -> ready 1 +100 @-\n"
                                         "1101 says-ready 1 -> @-\n"
                                         "1200 says-ready 0 -> ready 0 +200, done g1 +200 @-\n"},
        {"-ready=alive: what it says means nothing", {.start_ms = 300},
            START "1010 says-ready 0 -> @1301\n"
                  "1020 loses 0 -> @1301\n"
                  "1030 extends 0 9000 -> @1301\n"
                  "1301 tick -> ready 0 +301, done g1 +301 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R3 R7 I2 I7 C6 */
static void test_not_ready_in_time(void **state)
{
    static const struct scenario cases[] = {
        {"at the start", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS
            "1599 tick -> @1600\n"
            "1600 tick -> not-ready 0 +600, HUP 100, stopped 0 HUP, failed g1 late +600 0 @6600\n"
            "1601 says-ready 0 -> @6600\n"
            "1700 exited 0 0 -> ended 0 asked 0 +600, exiting 1, exit 1\n"},
        {"in a reload: the old one serves on, and the next reload works",
            {.says_ready = true, .ready_timeout_ms = 500, .stop_ms = 100},
            IS_READY RELOADS
            "2510 tick -> not-ready 1 +510, HUP 101, stopped 1 HUP, failed g2 late +510 1 @2610\n"
            "2520 reload -> reloading g3, spawn 2 g3 @2610\n"
            "2610 tick -> KILL -101, late 1 +100 @-\n"
            "2611 killed 1 9 -> ended 1 asked by 9 +601 @-\n"
            "2620 spawned 2 102 -> @3120\n"
            "2620 executed 2 -> started 2 @3120\n"
            "2630 says-ready 2 -> ready 2 +10, done g3 +110, HUP 100, retired 0 HUP @2730\n"},
        {"it ended before", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY RELOADS
            "2100 exited 1 7 -> ended 1 unasked 7 +90, failed g2 ended +100 1 @-\n"},
        {"one of three: those that are ready go as well",
            {.says_ready = true, .ready_timeout_ms = 500, .workers = 3},
            "1000 start\n" RUNS("1000", "0", "100")
                RUNS("1001", "1", "101") "1002 says-ready 0 -> ready 0 +2 @1501\n"
                                         "1501 tick -> not-ready 1 +500, HUP 100, stopped 0 HUP, "
                                         "HUP 101, stopped 1 HUP,"
                                         " failed g1 late +501 0 @6501\n"},
        {"two of two: the rollout fails once",
            {.says_ready = true, .ready_timeout_ms = 500, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100")
                RUNS("1000", "1", "101") "1500 tick -> not-ready 0 +500, HUP 100, stopped 0 HUP, "
                                         "HUP 101, stopped 1 HUP,"
                                         " failed g1 late +500 0 @6500\n"},
        {"not even executed in time", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY "2000 reload\n2000 spawned 1 101 -> @2500\n"
                     "2500 tick -> not-ready 1 +500, HUP 101, stopped 1 HUP, failed g2 late +500 1"
                     " @7500\n"
                     "2501 executed 1 -> started 1 @7500\n"},
        {"the same with -ready=alive, which has a bound of its own", {.start_ms = 300},
            "1000 start\n1000 spawned 0 100 -> @61000\n"
            "60999 tick -> @61000\n"
            "61000 tick -> not-ready 0 +60000, HUP 100, stopped 0 HUP, failed g1 late +60000 0"
            " @66000\n"
            "61001 exec-failed 0 2 -> not-executed 0 4/2\n"
            "61001 exited 0 127 -> exiting 1, exit 1\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R3 */
static void test_asks_for_more_time(void **state)
{
    static const struct scenario cases[] = {
        {"from now on, not from its start", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS
            "1500 extends 0 200 -> @1700\n"
            "1699 tick -> @1700\n"
            "1699 extends 0 2 -> @1701\n"
            "1701 tick -> not-ready 0 +701, HUP 100, stopped 0 HUP, failed g1 late +701 0\n"},
        {"never less than it had", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS "1110 extends 0 490 -> @1600\n"
                   "1110 extends 0 491 -> @1601\n"
                   "1111 extends 0 0 -> @1601\n"
                   "1112 says-ready 0 -> ready 0 +12, done g1 +112 @-\n"},
        {"-ready-timeout=0 stays without a bound", {.says_ready = true},
            "1000 start\n" RUNS("1000", "0", "100") "1100 extends 0 200 -> @-\n"},
        {"once it is ready it means nothing", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY "1300 extends 0 200 -> @-\n"},
    };
    struct core_event forever = {
        .kind = CORE_READY_EXTENDED, .now = 1200, .milliseconds = UINT64_MAX - 1};

    (void)state;
    run_scenarios(cases, COUNT(cases));
    /* More than the clock will ever show. */
    run_scenario(
        &(struct scenario){"for ever", {.says_ready = true, .ready_timeout_ms = 500}, STARTS});
    world_step(&forever);
    assert_int_equal(core_deadline(&world.core), CORE_NEVER);
}

/* Rules: R3 R7 */
static void test_can_never_say_so(void **state)
{
    static const struct scenario cases[] = {
        {"it runs on", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY RELOADS
            "2020 loses 1 -> @2120\n"
            "2119 tick -> @2120\n"
            "2120 tick -> mute 1 +120, HUP 101, stopped 1 HUP, failed g2 lost +120 1 @7120\n"
            "2121 exited 1 0 -> ended 1 asked 0 +111 @-\n"},
        {"at the start", {.says_ready = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1001 loses 0 -> @1101\n"
                                    "1101 tick -> mute 0 +101, HUP 100, stopped 0 HUP, failed g1 "
                                    "lost +101 0 @6101\n"
                                    "1102 exited 0 0 -> ended 0 asked 0 +102, exiting 1, exit 1\n"},
        {"since it is ending, and how it ends says more", {.says_ready = true},
            "1000 start\n" RUNS("1000", "0", "100") "1001 loses 0 -> @1101\n"
                                                    "1002 exited 0 7 -> ended 0 unasked 7 +2, "
                                                    "failed g1 ended +2 0, exiting 7, exit 7\n"},
        {"it had less time than that", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS "1550 loses 0 -> @1600\n"
                   "1600 tick -> mute 0 +600, HUP 100, stopped 0 HUP, failed g1 lost +600 0\n"},
        {"more time does not help", {.says_ready = true, .ready_timeout_ms = 500},
            STARTS "1110 loses 0 -> @1210\n"
                   "1111 extends 0 9000 -> @1210\n"},
        {"before the command runs: how that goes is heard of otherwise",
            {.says_ready = true, .ready_timeout_ms = 500},
            "1000 start\n1000 spawned 0 100\n1001 loses 0 -> @1500\n"
            "1002 exec-failed 0 2 -> not-executed 0 4/2, failed g1 not-started +2 0 @6002\n"},
        {"once it is ready, it is free to", {.says_ready = true, .ready_timeout_ms = 500},
            IS_READY "1201 loses 0 -> @-\n" RELOADS "2011 loses 0 -> @2510\n"
                     "2012 says-ready 1 -> ready 1 +2, done g2 +12, HUP 100, retired 0 HUP\n"
                     "2013 loses 0 -> @-\n"
                     "2013 loses 1 -> @-\n"},
        {"once it is told to end, it has the time that it was given",
            {.says_ready = true, .ready_timeout_ms = 500, .stop_ms = 3000},
            IS_READY RELOADS
            "2012 says-ready 1 -> ready 1 +2, done g2 +12, HUP 100, retired 0 HUP @5012\n"
            "2013 loses 0 -> @5012\n2013 extends 0 1 -> @5012\n2013 says-ready 0 -> @5012\n"
            "2014 stop 15\n"
            "2015 loses 1 -> @5012\n2015 extends 1 1 -> @5012\n2015 says-ready 1 -> @5012\n"},
        {"a replacement", {.says_ready = true, .ready_timeout_ms = 500, .respawn = true},
            IS_READY "2000 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n" RUNS(
                "2000", "0", "101") "2001 loses 0 -> @2101\n"
                                    "2101 tick -> mute 0 +101, HUP 101, stopped 0 HUP, replacing "
                                    "g1 +1000 1 @3101\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_that_it_is_ready),
        cmocka_unit_test(test_not_ready_in_time),
        cmocka_unit_test(test_asks_for_more_time),
        cmocka_unit_test(test_can_never_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
