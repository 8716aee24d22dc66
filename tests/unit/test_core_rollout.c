/* Tests of core: starts and reloads, well and badly, of one worker and of three. */
#include "core_world.h"

/* --- rollouts --- */

/* Rules: R1 R3 I2 */
static void test_starts(void **state)
{
    static const struct scenario cases[] = {
        {"ready when it has lived for -start, and not before", {.start_ms = 300},
            "1000 start -> spawn 0 g1 @-\n"
            "1001 spawned 0 100 -> @61001\n"
            "1050 executed 0 -> started 0 @1351\n"
            "1349 tick -> @1351\n"
            "1350 tick -> @1351\n"
            "1351 tick -> ready 0 +301, done g1 +351 @-\n"},
        {"the least pid that there is", {.start_ms = 0},
            "800 tick -> @-\n"
            "1000 start -> spawn 0 g1 @-\n"
            "1000 spawned 0 1 -> @61000\n"
            "1000 executed 0 -> started 0 @1000\n"
            "1000 tick -> ready 0 +0, done g1 +0 @-\n"},
        {"a late tick", {.start_ms = 300}, START "7000 tick -> ready 0 +6000, done g1 +6000 @-\n"},
        {"-start=0: when the command has been executed, and not before", {.start_ms = 0},
            "1000 start -> spawn 0 g1 @-\n"
            "1000 spawned 0 100 -> @61000\n"
            "9000 tick -> @61000\n"
            "9000 executed 0 -> started 0 @9000\n"
            "9000 tick -> ready 0 +0, done g1 +8000 @-\n"},
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
            "1000 executed 0 -> started 0 @1000\n"
            "1000 tick -> ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2001 executed 1 -> started 1 @2001\n"
            "2001 tick -> ready 1 +0, done g2 +1, HUP 100, retired 0 HUP\n"},
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
        {"a stop signal that failed is sent again by the next reload, and only then",
            {.start_ms = 300},
            SECOND_READY "2311 signal-failed 0 1 -> @-\n"
                         "3000 reload -> reloading g3, spawn 2 g3\n"
                         "3000 spawned 2 102 ->\n"
                         "3000 executed 2 -> started 2\n"
                         "3301 tick -> ready 2 +301, done g3 +301, HUP 100, retired 0 HUP, "
                         "HUP 101, retired 1 HUP\n"
                         "4000 reload -> reloading g4, spawn 3 g4\n"
                         "4000 spawned 3 103 ->\n"
                         "4000 executed 3 -> started 3\n"
                         "4301 tick -> ready 3 +301, done g4 +301, HUP 102, retired 2 HUP\n"},
        {"one that is told again gets no more time than it had", {.start_ms = 0, .stop_ms = 1000},
            "1000 start\n1000 spawned 0 100\n1000 executed 0\n1000 tick\n"
            "2000 reload\n2000 spawned 1 101\n2000 executed 1\n"
            "2000 tick -> ready 1 +0, done g2 +0, HUP 100, retired 0 HUP @3000\n"
            "2000 signal-failed 0 1 -> @3000\n"
            "2900 reload\n2900 spawned 2 102\n2900 executed 2\n"
            "2900 tick -> ready 2 +0, done g3 +0, HUP 100, retired 0 HUP, HUP 101, retired 1 HUP "
            "@3000\n"
            "3000 tick -> KILL -100, late 0 +1000 @3900\n"},
        {"nor is it younger than those that were told after it", {.start_ms = 0, .max_draining = 1},
            "1000 start\n1000 spawned 0 100\n1000 executed 0\n1000 tick\n"
            "2000 reload\n2000 spawned 1 101\n2000 executed 1\n2000 tick\n"
            "2001 exited 0 0\n"
            "3000 reload\n3000 spawned 0 102\n3000 executed 0\n"
            "3000 tick -> ready 0 +0, done g3 +0, HUP 101, retired 1 HUP\n"
            "3000 signal-failed 1 1\n"
            "4000 reload\n4000 spawned 2 103\n4000 executed 2\n"
            "4000 tick -> ready 2 +0, done g4 +0, HUP 102, retired 0 HUP, HUP 101, retired 1 HUP, "
            "KILL -101, surplus 1 1\n"},
        {"a stop signal that fails does not put off the next KILL",
            {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP @3311\n"
            "3311 tick -> KILL -100, late 0 +1000 @-\n"
            "3311 signal-failed 0 1 -> @13311\n"
            "5000 stop 15\n"
            "5000 signal-failed 0 1 -> @6000\n"
            "6000 tick -> KILL -101, late 1 +1000 @13311\n"},
        {"a KILL that failed is sent again", {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY RELOAD
            "2311 tick -> ready 1 +301, done g2 +311, HUP 100, retired 0 HUP @3311\n"
            "3311 tick -> KILL -100, late 0 +1000 @-\n"
            "3311 signal-failed 0 1 -> @13311\n"
            "13310 tick ->\n"
            "13311 tick -> KILL -100, late 0 +11000 @-\n"},
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
        {"-start=0, and it has ended by the time that its exec is known", {.start_ms = 0},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0\n"
            "1000 tick -> ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2001 executed 1 -> started 1 @2001\n"
            "2001 exited 1 1 -> ended 1 unasked 1 +0, failed g2 ended +1 1 @-\n"},
        {"it ends before it has executed the command", {.start_ms = 300},
            FIRST_READY "2000 reload -> reloading g2, spawn 1 g2\n"
                        "2000 spawned 1 101 ->\n"
                        "2001 killed 1 9 -> ended 1 unasked by 9 +0, failed g2 killed +1 1 @-\n"},
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
        {"how its start went is told even if KILL was faster", {.start_ms = 300, .workers = 3},
            START_THREE "1000 exec-failed 1 2\n"
                        "1000 exited 1 127 ->\n"
                        "6000 tick -> KILL -100, late 0 +5000, KILL -102, late 2 +5000 @-\n"
                        "6001 executed 0 -> started 0 @-\n"
                        "6001 exec-failed 2 2 -> not-executed 2 4/2 @-\n"
                        "6002 killed 0 9 -> ended 0 asked by 9 +1\n"
                        "6002 killed 2 9 -> exiting 1, exit 1\n"},
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
            "1000 executed 0 -> started 0 @1000\n"
            "1000 tick -> ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2000 executed 1 -> started 1 @2000\n"
            "2000 tick -> ready 1 +0, done g2 +0, HUP 100, retired 0 HUP\n"
            "2001 exited 0 0 -> ended 0 asked 0 +1001\n"
            "3000 reload -> reloading g3, spawn 0 g3\n"
            "3000 spawned 0 102 ->\n"
            "3000 executed 0 -> started 0 @3000\n"
            "3000 tick -> ready 0 +0, done g3 +0, HUP 101, retired 1 HUP\n"
            "4000 reload -> reloading g4, spawn 2 g4\n"
            "4000 spawned 2 103 ->\n"
            "4000 executed 2 -> started 2 @4000\n"
            "4000 tick -> ready 2 +0, done g4 +0, HUP 102, retired 0 HUP,"
            " KILL -101, surplus 1 1\n"
            "5000 reload -> reloading g5, spawn 3 g5\n"
            "5000 spawned 3 104 ->\n"
            "5000 executed 3 -> started 3 @5000\n"
            "5000 tick -> ready 3 +0, done g5 +0, HUP 103, retired 2 HUP,"
            " KILL -102, surplus 0 1\n"},
        {"-max-draining counts who drains, not who could not be executed",
            {.start_ms = 0, .max_draining = 1},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 executed 0 -> started 0 @1000\n"
            "1000 tick -> ready 0 +0, done g1 +0\n"
            "2000 reload -> reloading g2, spawn 1 g2\n"
            "2000 spawned 1 101 ->\n"
            "2000 exec-failed 1 2 -> not-executed 1 4/2, failed g2 not-started +0 1 @7000\n"
            "2001 reload -> reloading g3, spawn 2 g3\n"
            "2001 spawned 2 102 ->\n"
            "2001 executed 2 -> started 2 @2001\n"
            "2001 tick -> ready 2 +0, done g3 +0, HUP 100, retired 0 HUP\n"},
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

/* --- three workers --- */

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
            "2401 tick -> ready 5 +301 @62000\n"
            "2500 executed 3 -> started 3 @2801\n"
            "2801 tick -> ready 3 +301, done g2 +801, HUP 100, retired 0 HUP,"
            " HUP 101, retired 1 HUP, HUP 102, retired 2 HUP\n"},
        {"one ends, so every new one is stopped, whatever its state",
            {.start_ms = 300, .workers = 3},
            THREE_READY RELOAD_THREE
            "2000 executed 3 -> started 3\n"
            "2301 tick -> ready 3 +301\n"
            "2302 exited 4 0 -> ended 4 unasked 0 +0, HUP 103, stopped 3 HUP,"
            " failed g2 killed +302 3 @7302\n"
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
            " TERM 105, stopped 5 TERM, failed g2 ended-ready +400 3 @3100\n"
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_reloads),
        cmocka_unit_test(test_rollouts_that_fail),
        cmocka_unit_test(test_reloads_during_a_rollout),
        cmocka_unit_test(test_a_storm_of_reloads_costs_one_more),
        cmocka_unit_test(test_fleet_of_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
