/* Tests of core: stops in every phase, how long they may take, and exit statuses. */
#include "core_world.h"

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
                         "3008 reload -> refused\n"
                         "3009 stop 15 ->\n"
                         "3010 scale 2 -> scale-refused 2\n"
                         "3011 signal 10 ->\n"
                         "3012 tick -> @-\n"},
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
        {"one that could not be passed on leaves the time as it is",
            {.start_ms = 300, .stop_ms = 1000},
            FIRST_READY "2000 stop 15 -> stopping TERM, TERM 100, forwarded 0 TERM @3000\n"
                        "2000 signal-failed 0 1 -> @3000\n"
                        "3000 tick -> KILL -100, late 0 +1000 @-\n"},
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
        {"nobody was ever ready, and the last could not be forked", {.start_ms = 300},
            START "1001 reload -> later\n"
                  "1010 exited 0 7 -> ended 0 unasked 7 +10, failed g1 ended +10 0,"
                  " reloading g2, spawn 0 g2\n"
                  "1011 spawn-failed 0 11 -> not-spawned 0 4/11, failed g2 not-started +1 0,"
                  " exiting 1, exit 1\n"},
        {"nobody was ever ready, and the last could not be executed", {.start_ms = 300},
            START "1001 reload -> later\n"
                  "1010 exited 0 7 -> ended 0 unasked 7 +10, failed g1 ended +10 0,"
                  " reloading g2, spawn 0 g2\n"
                  "1011 spawned 0 101 ->\n"
                  "1012 exec-failed 0 2 -> not-executed 0 4/2, failed g2 not-started +2 0\n"
                  "1013 exited 0 127 -> exiting 1, exit 1\n"},
        {"could not be executed at the start", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 exec-failed 0 2 -> not-executed 0 4/2, failed g1 not-started +0 0\n"
            "1001 exited 0 127 -> exiting 1, exit 1\n"},
        {"killed at the start, before the command ran", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n"
            "1000 spawned 0 100 ->\n"
            "1000 killed 0 9 -> ended 0 unasked by 9 +0, failed g1 killed +0 0, exiting 1, exit "
            "1\n"},
        {"the same, and the other worker ended well after it", {.start_ms = 300, .workers = 2},
            "1000 start -> spawn 0 g1, spawn 1 g1\n"
            "1000 spawned 0 100 ->\n1000 spawned 1 101 ->\n"
            "1000 executed 1 -> started 1\n"
            "1001 exited 0 127 -> ended 0 unasked 127 +0, HUP 101, stopped 1 HUP,"
            " failed g1 killed +1 0\n"
            "1002 exited 1 0 -> ended 1 asked 0 +2, exiting 1, exit 1\n"},
        {"killed before the command ran, in a later rollout", {.start_ms = 300},
            "1000 start -> spawn 0 g1\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 ->"
            " not-spawned 0 4/11, failed g1 not-started +0 0, reloading g2, spawn 0 g2\n"
            "1000 spawned 0 100 ->\n"
            "1000 killed 0 9 ->"
            " ended 0 unasked by 9 +0, failed g2 killed +0 0, exiting 1, exit 1\n"},
        {"a reload was remembered at the start, and what it started ended first",
            {.start_ms = 300, .workers = 2},
            "1000 start\n1000 reload -> later\n"
            "1000 spawned 0 100 ->\n"
            "1000 spawn-failed 1 11 -> not-spawned 1 4/11, HUP 100, stopped 0 HUP,"
            " failed g1 not-started +0 0, reloading g2, spawn 1 g2, spawn 2 g2\n"
            "1000 spawn-failed 1 11 -> not-spawned 1 4/11, failed g2 not-started +0 0\n"
            "1000 spawn-failed 2 11 -> not-spawned 2 4/11\n"
            "1001 exited 0 0 -> ended 0 asked 0 +0, exiting 1, exit 1\n"},
        {"at the start one of two ends after it was ready", {.start_ms = 300, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1100", "1",
                "101") "1301 tick -> ready 0 +301\n"
                       "1302 exited 0 5 -> ended 0 unasked 5 +302, HUP 101, stopped 1 HUP,"
                       " failed g1 ended-ready +302 0\n"
                       "1303 exited 1 0 -> ended 1 asked 0 +203, exiting 5, exit 5\n"},
        {"at the start one of two is killed before it was ready", {.start_ms = 300, .workers = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1100", "1",
                "101") "1301 tick -> ready 0 +301\n"
                       "1302 killed 1 6 -> ended 1 unasked by 6 +202, HUP 100, stopped 0 HUP,"
                       " failed g1 ended +302 0\n"
                       "1303 exited 0 0 -> ended 0 asked 0 +303, exiting 134, exit 134\n"},
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
        {"one that was taken away does not count", {.start_ms = 300, .workers = 3},
            THREE_READY "2000 exited 2 5 -> ended 2 unasked 5 +998\n"
                        "2001 scale 2 -> scaled 2, HUP 101, retired 1 HUP\n"
                        "2002 exited 0 4 -> ended 0 unasked 4 +1002\n"
                        "2003 exited 1 6 -> ended 1 asked 6 +1002, exiting 4, exit 4\n"},
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_in_every_phase),
        cmocka_unit_test(test_how_long_a_stop_may_take),
        cmocka_unit_test(test_exit_statuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
