/* Tests of core: workers that end unasked, and are replaced. */
#include "core_world.h"

/* Rules: R10 R12 */
static void test_respawn(void **state)
{
    static const struct scenario cases[] = {
        {"without it nobody is replaced", {.start_ms = 300, .workers = 3},
            THREE_READY "2000 exited 1 0 -> ended 1 unasked 0 +999 @-\n"
                        "9000 tick -> @-\n"},
        {"at once, in the same generation and slot",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 killed 1 9 -> ended 1 unasked by 9 +999, spawn 1 g1 @-\n"
                        "2000 spawned 1 103 -> @62000\n"
                        "2001 executed 1 -> started 1 @2302\n"
                        "2302 tick -> ready 1 +301 @-\n"},
        {"the only one: the master waits for its replacement", {.start_ms = 300, .respawn = true},
            FIRST_READY "2000 exited 0 0 -> ended 0 unasked 0 +1000, spawn 0 g1 @-\n"
                        "2000 spawned 0 101 -> @62000\n"
                        "2001 executed 0 -> started 0 @2302\n"
                        "2302 tick -> ready 0 +301 @-\n"},
        {"all at once", {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 0 1 -> ended 0 unasked 1 +1000, spawn 0 g1\n"
                        "2000 exited 2 1 -> ended 2 unasked 1 +998, spawn 2 g1\n"
                        "2000 exited 1 1 -> ended 1 unasked 1 +999, spawn 1 g1\n"},
        {"who was retired is not replaced", {.start_ms = 300, .respawn = true},
            SECOND_READY "2400 exited 0 0 -> ended 0 asked 0 +1400 @-\n"},
        {"who could not be executed at the start is not", {.start_ms = 300, .respawn = true},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 exec-failed 0 2 -> not-executed 0 4/2, failed g1 not-started +0 0\n"
            "1001 exited 0 127 -> exiting 1, exit 1\n"},
        {"nor who ended before it was ready at the start", {.start_ms = 300, .respawn = true},
            START "1010 exited 0 7 -> ended 0 unasked 7 +10, failed g1 ended +10 0,"
                  " exiting 7, exit 7\n"},
        {"in the generation that serves, not in one that failed",
            {.start_ms = 300, .respawn = true},
            FIRST_READY RELOAD
            "2020 exited 1 7 -> ended 1 unasked 7 +10, failed g2 ended +20 1 @-\n"
            "3000 exited 0 0 -> ended 0 unasked 0 +2000, spawn 0 g1\n"},
        {"after a stop nobody is replaced", {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 1 0 -> ended 1 unasked 0 +999, spawn 1 g1\n"
                        "2001 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM,"
                        " TERM 102, forwarded 2 TERM @-\n"
                        "2002 spawn-failed 1 11 -> not-spawned 1 4/11\n"
                        "2002 exited 0 0 -> ended 0 asked 0 +1002\n"
                        "2003 exited 2 0 -> ended 2 asked 0 +1001, exiting 0, exit 0\n"},
        {"a stop forgets who is due", {.start_ms = 300, .respawn = true},
            FIRST_READY "3000 exited 0 0 -> ended 0 unasked 0 +2000, spawn 0 g1\n"
                        "3000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1 @4000\n"
                        "3500 stop 15 -> stopping TERM, exiting 0, exit 0 @-\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R10 */
static void test_replacements_that_fail_are_spaced(void **state)
{
    static const struct scenario cases[] = {
        {"each waits longer by half", {.start_ms = 300, .respawn = true},
            FIRST_READY
            "3000 exited 0 0 -> ended 0 unasked 0 +2000, spawn 0 g1 @-\n"
            "3000 spawned 0 101\n3000 executed 0\n"
            "3100 exited 0 7 -> ended 0 unasked 7 +100, replacing g1 +1000 1 @4100\n"
            "4099 tick -> @4100\n"
            "4100 tick -> spawn 0 g1 @-\n"
            "4100 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1500 2 @5600\n"
            "5600 tick -> spawn 0 g1 @-\n"
            "5600 spawned 0 102 -> @65600\n"
            "5600 exec-failed 0 2 -> not-executed 0 4/2, replacing g1 +2250 3 @7850\n"
            "5600 exited 0 127 -> @7850\n"
            "7850 tick -> spawn 0 g1 @-\n"
            "7850 spawned 0 103 -> @67850\n"
            "7851 killed 0 9 -> ended 0 unasked by 9 +0, replacing g1 +3375 4 @11226\n"},
        {"30 s at most", {.start_ms = 300, .respawn = true},
            FIRST_READY
            "3000 exited 0 0\n3000 spawn-failed 0 11\n4000 tick\n4000 spawn-failed 0 11\n"
            "6000 tick\n6000 spawn-failed 0 11\n9000 tick\n9000 spawn-failed 0 11\n"
            "20000 tick\n"
            "20000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +5062 5\n"
            "30000 tick\n"
            "30000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +7593 6\n"
            "40000 tick\n"
            "40000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +11389 7\n"
            "60000 tick\n"
            "60000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +17083 8\n"
            "80000 tick\n"
            "80000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +25624 9\n"
            "110000 tick\n"
            "110000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +30000 10\n"
            "140000 tick\n"
            "140000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +30000 11\n"},
        {"one that ends within a second counts as never ready", {.start_ms = 300, .respawn = true},
            FIRST_READY "3000 exited 0 0\n" RUNS("3000", "0",
                "101") "3301 tick -> ready 0 +301 @-\n"
                       "3999 exited 0 0 -> ended 0 unasked 0 +999, replacing g1 +1000 1 @4999\n"},
        {"one that lived for a second does not", {.start_ms = 300, .respawn = true},
            FIRST_READY "3000 exited 0 0\n" RUNS(
                "3000", "0", "101") "3301 tick -> ready 0 +301 @-\n"
                                    "4000 exited 0 0 -> ended 0 unasked 0 +1000, spawn 0 g1 @-\n"},
        {"the first of a generation is no replacement", {.start_ms = 0, .respawn = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1000 tick -> ready 0 +0, done g1 +0\n"
                                    "1001 exited 0 0 -> ended 0 unasked 0 +1, spawn 0 g1 @-\n"},
        {"ready sooner, but it lived for long: the same", {.start_ms = 300, .respawn = true},
            FIRST_READY "3000 exited 0 0 -> ended 0 unasked 0 +2000, spawn 0 g1\n"
                        "3000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1\n"
                        "4000 tick -> spawn 0 g1\n" RUNS("4000", "0",
                            "101") "4301 tick -> ready 0 +301 @5000\n"
                                   "5000 tick -> @-\n"
                                   "90000 exited 0 0 -> ended 0 unasked 0 +86000, spawn 0 g1 @-\n"
                                   "90000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 "
                                   "+1000 1 @91000\n"},
        {"while they fail, one at a time", {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 0 0 -> ended 0 unasked 0 +1000, spawn 0 g1\n"
                        "2000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1 @3000\n"
                        "2001 exited 1 0 -> ended 1 unasked 0 +1000 @3000\n"
                        "2002 exited 2 0 -> ended 2 unasked 0 +1000 @3000\n"
                        "3000 tick -> spawn 0 g1 @-\n" RUNS("3000", "0", "103") "3301 tick\n"
                                                                                "9000 tick\n"},
        {"a failure while another one is starting",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY
            "2000 exited 0 0 -> ended 0 unasked 0 +1000, spawn 0 g1\n"
            "2000 spawned 0 103 -> @62000\n"
            "2000 executed 0 -> started 0 @2301\n"
            "2001 exited 1 0 -> ended 1 unasked 0 +1000, spawn 1 g1\n"
            "2001 spawn-failed 1 11 -> not-spawned 1 4/11, replacing g1 +1000 1 @2301\n"},
        {"those that were started together fail once",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY
            "2000 exited 0 0\n2000 exited 1 0\n"
            "2000 exited 2 0 -> ended 2 unasked 0 +998, spawn 2 g1\n"
            "2000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1 @-\n"
            "2000 spawn-failed 1 11 -> not-spawned 1 4/11 @-\n"
            "2001 spawn-failed 2 11 -> not-spawned 2 4/11 @3000\n"
            "3000 tick -> spawn 0 g1 @-\n"
            "3000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1500 2 @4500\n"},
        {"once one has lived for a second the others need not wait",
            {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY "2000 exited 0 0\n2000 exited 1 0\n2000 spawn-failed 0 11\n"
                        "2000 spawn-failed 1 11 -> not-spawned 1 4/11 @3000\n"
                        "3000 tick -> spawn 0 g1 @-\n" RUNS(
                            "3000", "0", "103") "3301 tick -> ready 0 +301, spawn 1 g1 @4000\n"
                                                "3302 exited 2 0 -> ended 2 unasked 0 +2300 @4000\n"
                                                "4000 tick -> spawn 2 g1 @-\n"},
        {"not executed in time", {.start_ms = 300, .respawn = true},
            FIRST_READY "3000 exited 0 0\n3000 spawned 0 101 -> @63000\n"
                        "63000 tick -> not-ready 0 +60000, HUP 101, stopped 0 HUP,"
                        " replacing g1 +1000 1 @64000\n"
                        "64000 tick -> spawn 1 g1 @68000\n"
                        "68000 tick -> KILL -101, late 0 +5000 @-\n"
                        "68001 exited 0 0 -> ended 0 asked 0 +0\n"},
        {"not ready in time", {.says_ready = true, .ready_timeout_ms = 500, .respawn = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1000 says-ready 0\n"
                                    "3000 exited 0 0\n" RUNS("3000", "0",
                                        "101") "3500 tick -> not-ready 0 +500, HUP 101, stopped 0 "
                                               "HUP, replacing g1 +1000 1 @4500\n"
                                               "3600 exited 0 0 -> ended 0 asked 0 +600 @4500\n"},
        {"smooth: as many at once as may start",
            {.start_ms = 300, .workers = 3, .respawn = true, .smooth = true, .max_starting = 2},
            "1000 start -> spawn 0 g1, spawn 1 g1\n" RUNS("1000", "0", "100") RUNS("1000", "1",
                "101") "1301 tick -> ready 0 +301, spawn 2 g1, ready 1 +301\n" RUNS("1301", "2",
                "102") "1602 tick -> ready 2 +301, done g1 +602\n"
                       "3000 exited 0 0 -> ended 0 unasked 0 +2000, spawn 0 g1\n"
                       "3000 exited 1 0 -> ended 1 unasked 0 +2000, spawn 1 g1\n"
                       "3000 exited 2 0 -> ended 2 unasked 0 +1699 @-\n" RUNS(
                           "3000", "1", "103") "3301 tick -> ready 1 +301, spawn 2 g1 @-\n"},
        {"ready after more than a second: the next failure is a first one",
            {.start_ms = 3000, .respawn = true},
            "1000 start\n" RUNS("1000", "0",
                "100") "4001 tick\n"
                       "5000 exited 0 0 -> ended 0 unasked 0 +4000, spawn 0 g1\n"
                       "5000 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1\n"
                       "6000 tick -> spawn 0 g1\n" RUNS("6000", "0",
                           "101") "9001 tick -> ready 0 +3001 @-\n"
                                  "9500 exited 0 0 -> ended 0 unasked 0 +3500, spawn 0 g1 @-\n"
                                  "9500 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 "
                                  "+1000 1 @10500\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R10 R2 R7 */
static void test_respawn_and_rollouts(void **state)
{
    static const struct scenario cases[] = {
        {"while a rollout is under way nobody is replaced, and after it there is no need",
            {.start_ms = 300, .respawn = true},
            FIRST_READY RELOAD "2100 exited 0 3 -> ended 0 unasked 3 +1100 @2311\n"
                               "2311 tick -> ready 1 +301, done g2 +311 @-\n"
                               "9000 tick ->\n"},
        {"after one that failed they are", {.start_ms = 300, .workers = 3, .respawn = true},
            THREE_READY RELOAD_THREE
            "2000 exited 1 3 -> ended 1 unasked 3 +999\n"
            "2000 exited 2 3 -> ended 2 unasked 3 +998\n"
            "2001 spawn-failed 5 11 -> not-spawned 5 4/11, HUP 103, stopped 3 HUP,"
            " HUP 104, stopped 4 HUP, failed g2 not-started +1 1, spawn 1 g1, spawn 2 g1\n"},
        {"the last old one ends, then the rollout fails: the master goes on",
            {.start_ms = 300, .respawn = true},
            FIRST_READY RELOAD
            "2100 exited 0 3 -> ended 0 unasked 3 +1100 @2311\n"
            "2200 exited 1 7 -> ended 1 unasked 7 +190, failed g2 ended +200 0, spawn 0 g1\n"},
        {"a reload that was remembered comes first", {.start_ms = 300, .respawn = true},
            FIRST_READY RELOAD "2100 exited 0 3 -> ended 0 unasked 3 +1100 @2311\n"
                               "2101 reload -> later\n"
                               "2200 exited 1 7 -> ended 1 unasked 7 +190, failed g2 ended +200 0,"
                               " reloading g3, spawn 0 g3\n"},
        {"one that is starting when a rollout begins becomes ready, and is retired",
            {.start_ms = 300, .respawn = true},
            FIRST_READY
            "1900 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n"
            "1900 spawned 0 103\n1900 executed 0 -> started 0 @2201\n"
            "2000 reload -> reloading g2, spawn 1 g2 @2201\n" RUNS("2010", "1",
                "101") "2201 tick -> ready 0 +301 @2311\n"
                       "2311 tick -> ready 1 +301, done g2 +311, HUP 103, retired 0 HUP @-\n"},
        {"one that is still starting when the rollout is done is told to go",
            {.start_ms = 300, .respawn = true},
            FIRST_READY "1900 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n"
                        "1900 spawned 0 103 -> @61900\n" RELOAD
                        "2311 tick -> ready 1 +301, done g2 +311, HUP 103, stopped 0 HUP @7311\n"
                        "2400 exited 0 0 -> ended 0 asked 0 +0 @-\n"},
        {"one without a process then is cancelled", {.start_ms = 300, .respawn = true},
            FIRST_READY "1900 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n" RELOAD
                        "2311 tick -> ready 1 +301, done g2 +311 @-\n"
                        "2312 spawned 0 103 -> HUP 103, stopped 0 HUP @7312\n"},
        {"one that fails during a rollout is due after it", {.start_ms = 300, .respawn = true},
            FIRST_READY "1900 exited 0 0 -> ended 0 unasked 0 +900, spawn 0 g1\n" RELOAD
                        "2100 spawn-failed 0 11 -> not-spawned 0 4/11 @2311\n"
                        "2200 exited 1 7 -> ended 1 unasked 7 +190, failed g2 ended +200 0,"
                        " spawn 0 g1 @-\n"},
        {"one that waits keeps its generation when a rollout has failed",
            {.smooth = true, .respawn = true, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n" RUNS("1000", "1",
                "101") "1000 tick -> ready 1 +0, done g1 +0\n"
                       "2000 reload\n" RUNS("2000", "2",
                           "102") "2000 tick -> ready 2 +0, HUP 100, retired 0 HUP, spawn 3 g2\n"
                                  "2001 spawn-failed 3 11 -> not-spawned 3 4/11, failed g2 "
                                  "not-started +1 2 @-\n"
                                  "2002 exited 2 0 -> ended 2 unasked 0 +2, spawn 2 g2\n"
                                  "2002 spawn-failed 2 11 -> not-spawned 2 4/11, replacing g2 "
                                  "+1000 1 @3002\n"
                                  "2003 reload -> reloading g3, spawn 2 g3 @-\n"
                                  "2003 spawn-failed 2 11 -> not-spawned 2 4/11, failed g3 "
                                  "not-started +0 1 @3002\n"
                                  "3002 tick -> spawn 2 g2 @-\n"},
        {"one that was waiting when the rollout began waits on when it has failed",
            {.start_ms = 300, .respawn = true},
            FIRST_READY
            "1900 exited 0 0\n1900 spawn-failed 0 11 ->"
            " not-spawned 0 4/11, replacing g1 +1000 1 @2900\n"
            "2000 reload -> reloading g2, spawn 0 g2 @-\n"
            "2000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g2 not-started +0 0 @2900\n"
            "2900 tick -> spawn 0 g1 @-\n"},
        {"a smooth one failed, and new ones that stay fill up what was missing",
            {.start_ms = 0, .smooth = true, .workers = 2, .respawn = true},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n" RUNS(
                "1000", "1", "101") "1000 tick -> ready 1 +0, done g1 +0\n"
                                    "1900 exited 0 0\n1900 spawn-failed 0 11 ->"
                                    " not-spawned 0 4/11, replacing g1 +1000 1 @2900\n"
                                    "2000 reload -> reloading g2, spawn 0 g2 @-\n" RUNS("2000", "0",
                                        "102") "2000 tick -> ready 0 +0, spawn 2 g2 @-\n"
                                               "2001 spawn-failed 2 11 -> not-spawned 2 4/11, "
                                               "failed g2 not-started +1 2 @-\n"},
        {"the start failed, and so did the reload after it", {.start_ms = 300, .respawn = true},
            "1000 start -> spawn 0 g1\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g2 not-started +0 0,"
            " exiting 1, exit 1\n"},
        {"the start failed, and the reload after it got as far as one",
            {.start_ms = 0, .smooth = true, .workers = 2, .respawn = true},
            "1000 start -> spawn 0 g1\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n" RUNS(
                "1001", "0", "100") "1001 tick -> ready 0 +0, spawn 1 g2\n"
                                    "1002 spawn-failed 1 11 -> not-spawned 1 4/11, failed g2 "
                                    "not-started +2 1, spawn 1 g2\n"},
        {"a rollout that succeeds starts the spacing anew", {.start_ms = 300, .respawn = true},
            FIRST_READY
            "1900 exited 0 0\n1900 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g1 +1000 1\n"
            "2000 reload -> reloading g2, spawn 0 g2 @-\n"
            "2000 spawned 0 101\n2000 executed 0\n"
            "2301 tick -> ready 0 +301, done g2 +301 @-\n"
            "2302 exited 0 0 -> ended 0 unasked 0 +302, spawn 0 g2\n"
            "2302 spawn-failed 0 11 -> not-spawned 0 4/11, replacing g2 +1000 1 @3302\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_respawn),
        cmocka_unit_test(test_replacements_that_fail_are_spaced),
        cmocka_unit_test(test_respawn_and_rollouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
