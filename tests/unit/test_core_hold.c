/* Tests of core: how long old workers serve on beside new ones that are ready. */
#include "core_world.h"

/* Rules: R6 R5 R7 I2 X2 */
static void test_hold_of_a_fleet(void **state)
{
    static const struct scenario cases[] = {
        {"the old one serves on for so long", {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD "2311 tick -> ready 1 +301 @3312\n"
                               "3311 tick -> @3312\n"
                               "3312 tick -> done g2 +1312, HUP 100, retired 0 HUP @-\n"},
        {"the new one ends in that time: nothing was lost", {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301 @3312\n"
            "3311 exited 1 7 -> ended 1 unasked 7 +1301, failed g2 ended-ready +1311 1 @-\n"
            "3312 tick -> @-\n"
            "4000 reload -> reloading g3, spawn 1 g3\n"},
        {"the old one ends in that time", {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD "2311 tick -> ready 1 +301 @3312\n"
                               "2400 exited 0 7 -> ended 0 unasked 7 +1400 @3312\n"
                               "3312 tick -> done g2 +1312 @-\n"},
        {"both end in that time: the last one to end was ready, too",
            {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD "2311 tick -> ready 1 +301 @3312\n"
                               "2400 exited 0 7 -> ended 0 unasked 7 +1400 @3312\n"
                               "2500 exited 1 3 -> ended 1 unasked 3 +490, failed g2 ended-ready "
                               "+500 0, exiting 3, exit 3\n"},
        {"a reload in that time is remembered", {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301 @3312\n"
            "2400 reload -> later\n"
            "3312 tick -> done g2 +1312, HUP 100, retired 0 HUP, reloading g3, spawn 2 g3 @-\n"},
        {"a stop in that time reaches both", {.start_ms = 300, .hold_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301 @3312\n"
            "2400 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM, TERM 101, forwarded 1 TERM"
            " @-\n"},
        {"what it says in that time means nothing",
            {.says_ready = true, .ready_timeout_ms = 500, .hold_ms = 1000},
            "1000 start\n" RUNS("1000", "0",
                "100") "1000 says-ready 0 -> ready 0 +0, done g1 +0 @-\n"
                       "2000 reload\n" RUNS("2000", "1",
                           "101") "2001 says-ready 1 -> ready 1 +1 @3002\n"
                                  "2002 says-ready 1 -> @3002\n"
                                  "2003 extends 1 5000 -> @3002\n"
                                  "2004 loses 1 -> @3002\n"
                                  "3002 tick -> done g2 +1002, HUP 100, retired 0 HUP @-\n"},
        {"it begins when the last is ready", {.start_ms = 300, .workers = 3, .hold_ms = 1000},
            THREE_READY RELOAD_THREE
            "2000 spawned 5 105 ->\n"
            "2000 executed 3 -> started 3\n2010 executed 4 -> started 4\n"
            "2020 executed 5 -> started 5\n"
            "2311 tick -> ready 3 +311, ready 4 +301 @2321\n"
            "2321 tick -> ready 5 +301 @3322\n"
            "3322 tick -> done g2 +1322, HUP 100, retired 0 HUP, HUP 101, retired 1 HUP,"
            " HUP 102, retired 2 HUP @-\n"},
        {"one of three ends: the others are not late for it",
            {.start_ms = 300, .workers = 3, .hold_ms = 1000},
            THREE_READY RELOAD_THREE
            "2000 spawned 5 105 ->\n"
            "2000 executed 3 -> started 3\n2000 executed 4 -> started 4\n"
            "2000 executed 5 -> started 5\n"
            "2301 tick -> ready 3 +301, ready 4 +301, ready 5 +301 @3302\n"
            "2400 killed 4 11 -> ended 4 unasked by 11 +400, HUP 103, stopped 3 HUP,"
            " HUP 105, stopped 5 HUP, failed g2 ended-ready +400 3 @7400\n"},
        {"also where nobody serves any more, after a start that failed",
            {.start_ms = 300, .hold_ms = 1000},
            "1000 start\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n" RUNS(
                "1000", "0", "100") "1301 tick -> ready 0 +301 @2302\n"
                                    "2302 tick -> done g2 +1302 @-\n"},
        {"-respawn: the old one is replaced only after it",
            {.start_ms = 300, .hold_ms = 1000, .respawn = true},
            FIRST_READY RELOAD "2311 tick -> ready 1 +301 @3312\n"
                               "2400 exited 0 7 -> ended 0 unasked 7 +1400 @3312\n"
                               "2500 exited 1 7 -> ended 1 unasked 7 +490, failed g2 ended-ready "
                               "+500 0, spawn 0 g1 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Two workers that serve; one more may start at a time, and each is held for a second. */
#define SMOOTH_TWO                                                                                 \
    "1000 start -> spawn 0 g1\n" RUNS(                                                             \
        "1000", "0", "100") "1000 tick -> ready 0 +0, spawn 1 g1 @-\n" RUNS("1000", "1",           \
        "101") "1000 tick -> ready 1 +0, done g1 +0 @-\n"
#define ONE_HELD                                                                                   \
    SMOOTH_TWO "2000 reload -> reloading g2, spawn 2 g2\n" RUNS(                                   \
        "2000", "2", "102") "2000 tick -> ready 2 +0 @3001\n"
#define HELD .smooth = true, .workers = 2, .hold_ms = 1000
/* The same with two that may start. */
#define TWO_AT_ONCE                                                                                \
    "1000 start -> spawn 0 g1, spawn 1 g1\n" RUNS("1000", "0", "100")                              \
        RUNS("1000", "1", "101") "1000 tick -> ready 0 +0, ready 1 +0, done g1 +0 @-\n"            \
                                 "2000 reload -> reloading g2, spawn 2 g2, spawn 3 g2\n" RUNS(     \
                                     "2000", "2", "102") "2000 tick -> ready 2 +0 @3001\n"

/* Rules: R6 R5 R7 I2 */
static void test_hold_in_a_smooth_rollout(void **state)
{
    static const struct scenario cases[] = {
        {"each old one serves on for so long, and the next one starts after that", {HELD},
            ONE_HELD "3000 tick -> @3001\n"
                     "3001 tick -> HUP 100, retired 0 HUP, spawn 3 g2 @-\n" RUNS("3001", "3",
                         "103") "3001 tick -> ready 3 +0 @4002\n"
                                "4002 tick -> done g2 +2002, HUP 101, retired 1 HUP @-\n"},
        {"an old one ends, which leaves room for another new one", {HELD},
            ONE_HELD "2500 exited 1 0 -> ended 1 unasked 0 +1500, spawn 1 g2 @3001\n" RUNS(
                "2500", "1", "103") "2500 tick -> ready 1 +0 @3001\n"
                                    "3001 tick -> @3501\n"
                                    "3501 tick -> done g2 +1501, HUP 100, retired 0 HUP @-\n"},
        {"the one that is held ends: it was not missed", {HELD},
            ONE_HELD
            "2500 exited 2 7 -> ended 2 unasked 7 +500, failed g2 ended-ready +500 2 @-\n"},
        {"another one fails: who is held goes as well, since enough serve",
            {HELD, .max_starting = 2},
            TWO_AT_ONCE "2500 spawn-failed 3 11 -> not-spawned 3 4/11, HUP 102, stopped 2 HUP,"
                        " failed g2 not-started +500 2 @7500\n"},
        {"another one fails: who is held stays, since too few serve", {HELD, .max_starting = 2},
            TWO_AT_ONCE
            "2400 exited 0 0 -> ended 0 unasked 0 +1400 @3001\n"
            "2500 spawn-failed 3 11 -> not-spawned 3 4/11, failed g2 not-started +500 2 @-\n"
            "3001 tick -> @-\n"
            "4000 exited 1 0 -> ended 1 unasked 0 +3000 @-\n"
            "5000 exited 2 3 -> ended 2 unasked 3 +3000, exiting 3, exit 3\n"},
        {"as many of them as are missed", {HELD, .max_starting = 2},
            TWO_AT_ONCE
            "2400 exited 0 0 -> ended 0 unasked 0 +1400 @3001\n"
            "2400 exited 1 0 -> ended 1 unasked 0 +1400 @3001\n"
            "2500 spawn-failed 3 11 -> not-spawned 3 4/11, failed g2 not-started +500 1 @-\n"},
        {"-respawn refills what is missed still", {HELD, .max_starting = 2, .respawn = true},
            TWO_AT_ONCE "2400 exited 0 0 -> ended 0 unasked 0 +1400 @3001\n"
                        "2400 exited 1 0 -> ended 1 unasked 0 +1400 @3001\n"
                        "2500 spawn-failed 3 11 -> not-spawned 3 4/11, failed g2 not-started +500 "
                        "1, spawn 0 g1\n"},
        {"who is held stays, and an old one that was starting is one too many",
            {HELD, .max_starting = 3, .respawn = true, .says_ready = true},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1",
                "101") "1000 says-ready 0\n1000 says-ready 1 -> ready 1 +0, done g1 +0 @-\n"
                       "1900 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n" RUNS(
                           "1900", "0", "103") "2000 reload -> reloading g2, spawn 2 g2, spawn 3 "
                                               "g2\n" RUNS("2000", "2",
                                                   "104") "2000 says-ready 2 -> ready 2 +0 @3001\n"
                                                          "2001 spawn-failed 3 11 -> not-spawned 3 "
                                                          "4/11, HUP 103, stopped 0 HUP,"
                                                          " failed g2 not-started +1 2\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_of_a_fleet),
        cmocka_unit_test(test_hold_in_a_smooth_rollout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
