/* Tests of core: reloads that name how their rollout goes, and signals that are only passed on. */
#include "core_world.h"

/* Beginnings with -start=0: two workers, as a fleet; and three, one at a time. */
#define FLEET_OF_TWO                                                                               \
    "1000 start -> spawn 0 g1, spawn 1 g1\n" RUNS("1000", "0", "100")                              \
        RUNS("1000", "1", "101") "1000 tick -> ready 0 +0, ready 1 +0, done g1 +0 @-\n"
#define SMOOTH_TWO                                                                                 \
    "1000 start -> spawn 0 g1\n" RUNS(                                                             \
        "1000", "0", "100") "1000 tick -> ready 0 +0, spawn 1 g1\n" RUNS("1000", "1",              \
        "101") "1000 tick -> ready 1 +0, done g1 +0 @-\n"

/* Rules: R2 R5 R8 K2 */
static void test_a_reload_names_its_mode(void **state)
{
    static const struct scenario cases[] = {
        {"smooth where fleets are set, and the next is a fleet again", {.workers = 2},
            FLEET_OF_TWO "2000 reload-smooth -> reloading g2, spawn 2 g2\n" RUNS("2000", "2",
                "102") "2000 tick -> ready 2 +0, HUP 100, retired 0 HUP, spawn 3 g2\n" RUNS("2001",
                "3", "103") "2001 tick -> ready 3 +0, done g2 +1, HUP 101, retired 1 HUP @-\n"
                            "3000 reload -> reloading g3, spawn 4 g3, spawn 5 g3\n"},
        {"a fleet where smooth is set, and the next is smooth again",
            {.smooth = true, .workers = 2},
            SMOOTH_TWO "2000 reload-fleet -> reloading g2, spawn 2 g2, spawn 3 g2\n" RUNS("2000",
                "2", "102") RUNS("2000", "3", "103") "2000 tick -> ready 2 +0, ready 3 +0, "
                                                     "done g2 +0, HUP 100, retired 0 HUP, HUP 101, "
                                                     "retired 1 HUP @-\n"
                                                     "3000 reload -> reloading g3, spawn 4 g3\n"},
        {"what is set anyway", {.smooth = true, .workers = 2},
            SMOOTH_TWO "2000 reload-smooth -> reloading g2, spawn 2 g2\n"},
        {"-hold: all of a fleet wait together", {.smooth = true, .workers = 2, .hold_ms = 50},
            SMOOTH_TWO "2000 reload-fleet\n" RUNS("2000", "2", "102")
                RUNS("2000", "3", "103") "2000 tick -> ready 2 +0, ready 3 +0 @2051\n"
                                         "2051 tick -> done g2 +51, HUP 100, retired 0 HUP,"
                                         " HUP 101, retired 1 HUP @-\n"},
        {"-hold: each of a smooth one by itself", {.workers = 2, .hold_ms = 50},
            FLEET_OF_TWO "2000 reload-smooth -> reloading g2, spawn 2 g2\n" RUNS(
                "2000", "2", "102") "2000 tick -> ready 2 +0 @2051\n"
                                    "2051 tick -> HUP 100, retired 0 HUP, spawn 3 g2 @-\n"},
        {"a smooth one that fails: who took over stays", {.workers = 2},
            FLEET_OF_TWO "2000 reload-smooth\n" RUNS("2000", "2",
                "102") "2000 tick\n"
                       "2001 spawn-failed 3 11 -> not-spawned 3 4/11, failed g2 not-started +1 2"
                       " @-\n"},
        {"a fleet that fails: nobody stays", {.smooth = true, .workers = 2},
            SMOOTH_TWO "2000 reload-fleet\n" RUNS("2000", "2",
                "102") "2000 tick -> ready 2 +0\n"
                       "2001 spawn-failed 3 11 -> not-spawned 3 4/11, HUP 102, stopped 2 HUP,"
                       " failed g2 not-started +1 2 @7001\n"},
        {"before the start it is as it is set", {.workers = 2},
            "1000 reload-smooth -> covered\n" FLEET_OF_TWO},
        {"workers besides rollouts start as it is set", {.workers = 1, .respawn = true},
            "1000 start\n" RUNS("1000", "0",
                "100") "1000 tick\n"
                       "2000 reload-smooth\n" RUNS("2000", "1",
                           "101") "2000 tick -> ready 1 +0, done g2 +0,"
                                  " HUP 100, retired 0 HUP\n"
                                  "2001 scale 4 -> scaled 4, spawn 2 g2, spawn 3 g2, spawn 4 g2\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: R9 */
static void test_modes_that_are_remembered(void **state)
{
    static const struct scenario cases[] = {
        {"one that named none leaves it to the settings", {.workers = 2},
            "1000 start\n1000 reload -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2, spawn 2 g2\n"},
        {"one that named it", {.workers = 2},
            "1000 start\n1000 reload-smooth -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"},
        {"it is left to the one that cares, who came first", {.workers = 2},
            "1000 start\n1000 reload-smooth -> later\n1000 reload ->\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"},
        {"or second", {.workers = 2},
            "1000 start\n1000 reload -> later\n1000 reload-smooth ->\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"},
        {"the latest of two that care", {.workers = 2},
            "1000 start\n1000 reload-smooth -> later\n1000 reload-fleet ->\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2, spawn 2 g2\n"},
        {"it counts once", {.workers = 2},
            "1000 start\n1000 reload-smooth -> later\n"
            "1000 spawn-failed 0 11 -> not-spawned 0 4/11, failed g1 not-started +0 0,"
            " reloading g2, spawn 0 g2\n"
            "1001 reload -> later\n"
            "1002 spawn-failed 0 11 -> not-spawned 0 4/11, failed g2 not-started +2 0,"
            " reloading g3, spawn 0 g3, spawn 2 g3\n"},
        {"a stop forgets it", {.workers = 2},
            FLEET_OF_TWO "2000 reload\n2000 reload-smooth -> later\n"
                         "2001 stop 15\n"
                         "2002 reload-smooth -> refused\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

/* Rules: G4 R10 K2 */
static void test_signals_are_passed_on(void **state)
{
    static const struct scenario cases[] = {
        {"before the start", {.workers = 2}, "1000 signal 12 -> @-\n"},
        {"to those that run the command", {.workers = 4, .start_ms = 300},
            "1000 start\n1000 spawned 1 101\n" RUNS("1000", "2", "102")
                RUNS("1000", "3", "103") "1000 signal 12 -> asked USR2 102, asked USR2 103, "
                                         "signalled USR2 2 @1301\n"},
        {"whatever their state is: held and serving", {.workers = 1, .hold_ms = 100},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n2000 reload\n" RUNS("2000", "1",
                "101") "2000 tick -> ready 1 +0 @2101\n"
                       "2001 signal 1 -> asked HUP 100, asked HUP 101, signalled HUP 2 @2101\n"},
        {"draining, and killed", {.workers = 1, .stop_ms = 50},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n2000 reload\n" RUNS("2000", "1",
                "101") "2000 tick -> ready 1 +0, done g2 +0, HUP 100, retired 0 HUP @2050\n"
                       "2001 signal 12 -> asked USR2 100, asked USR2 101, signalled USR2 2 @2050\n"
                       "2050 tick -> KILL -100, late 0 +50 @-\n"
                       "2051 signal 12 -> asked USR2 100, asked USR2 101, signalled USR2 2 @-\n"},
        {"stopping, unless it did not get as far as the command", {.workers = 3},
            "1000 start\n1000 spawned 0 100\n1000 spawned 1 101\n" RUNS("1000", "2",
                "102") "1001 stop 15\n"
                       "1002 executed 1 -> started 1\n"
                       "1003 signal 12 -> asked USR2 101, asked USR2 102, signalled USR2 2\n"
                       "1004 exec-failed 0 2\n"
                       "1005 signal 12 -> asked USR2 101, asked USR2 102, signalled USR2 2\n"},
        {"to their groups", {.workers = 1, .kill_group = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1000 tick\n"
                                    "1001 signal 12 -> asked USR2 -100, signalled USR2 1\n"},
        {"KILL: whoever dies of it has ended unasked", {.workers = 1, .respawn = true},
            "1000 start\n" RUNS(
                "1000", "0", "100") "1000 tick\n"
                                    "3000 signal 9 -> asked KILL 100, signalled KILL 1 @-\n"
                                    "3001 killed 0 9 -> ended 0 unasked by 9 +2001, spawn 0 g1\n"},
        {"there is nobody any more", {.workers = 1},
            "1000 start\n" RUNS("1000", "0", "100") "1000 exited 0 0\n"
                                                    "1001 signal 12 ->\n"},
        {"nobody runs the command yet", {.workers = 1},
            "1000 start\n1000 signal 12 -> signalled USR2 0\n"},
    };

    (void)state;
    run_scenarios(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reload_names_its_mode),
        cmocka_unit_test(test_modes_that_are_remembered),
        cmocka_unit_test(test_signals_are_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
