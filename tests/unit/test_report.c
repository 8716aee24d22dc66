/*
 * Tests of report: each line that the core can ask for, word by word, and that no line can be
 * broken or disguised by the name of a command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "report.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SAY(what) .kind = CORE_DO_SAY, .say = CORE_SAY_##what
#define LAST "; it wrote last: \"one\", \"\\\"two\\\"\""
#define WORKER(number_of_slot) .slot = (number_of_slot), .pid = 4711, .generation = 3

enum { LINE_MAX_BYTES = 1024 };

static char line[LINE_MAX_BYTES];

static int say(const struct core_action *action, const struct report_words *words)
{
    struct text text;
    int severity;

    text_init(&text, line, sizeof line);
    severity = report_add(&text, action, words);
    assert_false(text.overflow);
    assert_int_equal(text.length, strlen(line));
    return severity;
}

static const struct report_words plain = {
    "./server", "execute", "No such file or directory", {"one\n\"two\"", 9}};

static const struct {
    struct core_action action;
    int severity;
    const char *expected;
} lines[] = {
    {{SAY(STARTED), WORKER(0)}, LOG_INFO, "generation 3: worker 4711 (slot 0) started: ./server"},
    {{SAY(READY), WORKER(1), .elapsed = 301}, LOG_INFO,
        "generation 3: worker 4711 (slot 1) ready after 301 ms"},
    {{SAY(RETIRED), WORKER(2), .number = SIGHUP}, LOG_INFO,
        "generation 3: worker 4711 (slot 2) retired: HUP sent"},
    {{SAY(STOPPED), WORKER(2), .number = SIGUSR2}, LOG_INFO,
        "generation 3: worker 4711 (slot 2) stopped with its rollout: USR2 sent"},
    {{SAY(FORWARDED), WORKER(2), .number = SIGTERM}, LOG_INFO,
        "generation 3: worker 4711 (slot 2) stopped: TERM sent"},
    {{SAY(KILLED_LATE), WORKER(0), .elapsed = 5000}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) has not ended within 5000 ms: KILL sent"},
    {{SAY(KILLED_SURPLUS), WORKER(0), .number = 1}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) is the oldest of more than 1 draining worker:"
        " KILL sent"},
    {{SAY(KILLED_SURPLUS), WORKER(0), .number = 2}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) is the oldest of more than 2 draining workers:"
        " KILL sent"},
    {{SAY(LATE), WORKER(0), .elapsed = 60000}, LOG_ERR,
        "generation 3: worker 4711 (slot 0) is not ready after 60000 ms"},
    {{SAY(LOST), WORKER(0)}, LOG_ERR,
        "generation 3: worker 4711 (slot 0) closed NOTIFY_FD without a newline, so it can never"
        " say that it is ready"},
    {{SAY(ENDED), WORKER(2047), .number = 0, .asked = true, .elapsed = 90}, LOG_INFO,
        "generation 3: worker 4711 (slot 2047) ended: exit status 0 after 90 ms"},
    {{SAY(ENDED), WORKER(0), .number = 7, .elapsed = 0}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) ended: exit status 7 after 0 ms, unasked"},
    {{SAY(ENDED), WORKER(0), .number = 0, .elapsed = 1}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) ended: exit status 0 after 1 ms, unasked"},
    {{SAY(ENDED), WORKER(0), .number = SIGSEGV, .signalled = true, .elapsed = 1}, LOG_WARNING,
        "generation 3: worker 4711 (slot 0) ended: killed by SEGV after 1 ms, unasked"},
    {{SAY(ENDED), WORKER(0), .number = SIGKILL, .signalled = true, .asked = true}, LOG_INFO,
        "generation 3: worker 4711 (slot 0) ended: killed by KILL after 0 ms"},
    {{SAY(ENDED), WORKER(0), .number = 40, .signalled = true, .asked = true}, LOG_INFO,
        "generation 3: worker 4711 (slot 0) ended: killed by signal 40 after 0 ms"},
    {{SAY(NOT_SPAWNED), .slot = 5, .generation = 3, .number = 2}, LOG_ERR,
        "generation 3: worker (slot 5) not started: unable to execute \"./server\":"
        " No such file or directory"},
    {{SAY(NOT_EXECUTED), WORKER(5), .number = 2}, LOG_ERR,
        "generation 3: worker 4711 (slot 5) not started: unable to execute \"./server\":"
        " No such file or directory"},
    {{SAY(RELOADING), .generation = UINT64_MAX}, LOG_INFO,
        "generation 18446744073709551615: reload asked for, starting"},
    {{SAY(RELOAD_LATER), .generation = 3}, LOG_INFO,
        "generation 3: reload asked for while still starting: remembered"},
    {{SAY(RELOAD_REFUSED), .generation = 3}, LOG_WARNING, "reload asked for after a stop: ignored"},
    {{SAY(RELOAD_COVERED)}, LOG_INFO, "reload asked for before the start, which covers it"},
    {{SAY(ROLLOUT_DONE), .generation = 3, .elapsed = 311}, LOG_INFO,
        "generation 3: rollout done in 311 ms"},
    {{SAY(ROLLOUT_FAILED), .generation = 3, .failure = CORE_FAILURE_NONE}, LOG_ERR,
        "generation 3: rollout failed after 0 ms: no reason; no worker is left that serves"},
    {{SAY(ROLLOUT_FAILED), .generation = 1, .elapsed = 2, .failure = CORE_FAILURE_NOT_STARTED},
        LOG_ERR,
        "generation 1: rollout failed after 2 ms: worker (slot 0) could not be started: unable to"
        " execute \"./server\": No such file or directory; no worker is left that serves" LAST},
    {{SAY(ROLLOUT_FAILED), WORKER(4), .failure = CORE_FAILURE_KILLED, .number = SIGKILL,
         .signalled = true, .serving = 2},
        LOG_ERR,
        "generation 3: rollout failed after 0 ms: worker 4711 (slot 4) ended before it was"
        " executed: killed by KILL; 2 workers serve on" LAST},
    {{SAY(ROLLOUT_FAILED), WORKER(4), .failure = CORE_FAILURE_ENDED, .number = 7, .serving = 1},
        LOG_ERR,
        "generation 3: rollout failed after 0 ms: worker 4711 (slot 4) ended before it was ready:"
        " exit status 7; 1 worker serves on" LAST},
    {{SAY(ROLLOUT_FAILED), WORKER(4), .failure = CORE_FAILURE_ENDED_READY, .serving = 1}, LOG_ERR,
        "generation 3: rollout failed after 0 ms: worker 4711 (slot 4) ended after it was ready:"
        " exit status 0; 1 worker serves on" LAST},
    {{SAY(ROLLOUT_FAILED), WORKER(4), .failure = CORE_FAILURE_LATE, .serving = 1}, LOG_ERR,
        "generation 3: rollout failed after 0 ms: worker 4711 (slot 4) was not ready in time;"
        " 1 worker serves on" LAST},
    {{SAY(ROLLOUT_FAILED), WORKER(4), .failure = CORE_FAILURE_LOST, .serving = 1}, LOG_ERR,
        "generation 3: rollout failed after 0 ms: worker 4711 (slot 4) can never say that it is"
        " ready; 1 worker serves on" LAST},
    {{SAY(ROLLOUT_FAILED), .generation = 3, .failure = CORE_FAILURE_NO_SLOT, .serving = 1024},
        LOG_ERR,
        "generation 3: rollout failed after 0 ms: too many workers are still draining;"
        " 1024 workers serve on"},
    {{SAY(REPLACING), .generation = 3, .elapsed = 1500, .number = 2}, LOG_WARNING,
        "generation 3: a replacement failed: the next one starts in 1500 ms (2 in a row)"},
    {{SAY(SCALED), .number = 4}, LOG_INFO, "workers wanted from now on: 4"},
    {{SAY(SCALE_LATER), .number = 4}, LOG_INFO, "workers wanted once this rollout has ended: 4"},
    {{SAY(SCALE_REFUSED), .number = 0}, LOG_WARNING,
        "refused a number of workers (from 1 to 1024, and not after a stop): 0"},
    {{SAY(SIGNALLED), .number = SIGUSR2, .serving = 1}, LOG_INFO,
        "USR2 sent, as asked for, to 1 worker"},
    {{SAY(SIGNALLED), .number = 40, .serving = 0}, LOG_INFO,
        "signal 40 sent, as asked for, to 0 workers"},
    {{SAY(STOP_ASKED), .generation = 3, .number = SIGINT}, LOG_INFO, "INT received: stopping"},
    {{SAY(EXITING), .generation = 3, .number = 0}, LOG_INFO,
        "no worker is left: ending with exit status 0"},
    {{SAY(EXITING), .generation = 3, .number = 139}, LOG_ERR,
        "no worker is left: ending with exit status 139"},
    {{SAY(ILLEGAL), .slot = 6, .number = CORE_EXEC_FAILED}, LOG_ERR,
        "internal error: event \"exec failed\" came out of turn and was ignored (slot 6)"},
    {{SAY(ILLEGAL), .slot = 6, .number = CORE_EVENT_COUNT}, LOG_ERR,
        "internal error: event \"unknown\" came out of turn and was ignored (slot 6)"},
    {{SAY(ILLEGAL), .slot = 6, .number = -1}, LOG_ERR,
        "internal error: event \"unknown\" came out of turn and was ignored (slot 6)"},
};

/* Rules: O6 */
static void test_every_line(void **state)
{
    bool said[CORE_SAY_COUNT] = {false};
    bool failed[CORE_FAILURE_COUNT] = {false};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_int_equal(say(&lines[i].action, &plain), lines[i].severity);
        assert_string_equal(line, lines[i].expected);
        said[lines[i].action.say] = true;
        failed[lines[i].action.failure] = true;
    }
    for (size_t i = 0; i < COUNT(said); i++)
        assert_true(said[i]);
    for (size_t i = 0; i < COUNT(failed); i++)
        assert_true(failed[i]);
}

/* Rules: O6 */
static void test_every_event_out_of_turn_has_a_name(void **state)
{
    char before[LINE_MAX_BYTES] = "";

    (void)state;
    for (int kind = 0; kind < CORE_EVENT_COUNT; kind++) {
        const struct core_action action = {SAY(ILLEGAL), .number = kind};

        assert_int_equal(say(&action, &plain), LOG_ERR);
        assert_null(strstr(line, "unknown"));
        assert_null(strstr(line, "\"\""));
        assert_string_not_equal(line, before);
        memcpy(before, line, sizeof before);
    }
}

/* Rules: O6 C6 */
static void test_a_failed_start_says_what_is_known(void **state)
{
    static const struct {
        const char *step, *reason, *expected;
    } cases[] = {
        {"find", "Permission denied", "unable to find \"./server\": Permission denied"},
        {NULL, "Permission denied", "unable to start \"./server\": Permission denied"},
        {"fork for", NULL, "unable to fork for \"./server\": unknown error"},
        {NULL, NULL, "unable to start \"./server\": unknown error"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct core_action action = {SAY(NOT_EXECUTED), WORKER(0)};
        const struct report_words words = {"./server", cases[i].step, cases[i].reason, {NULL, 0}};

        assert_int_equal(say(&action, &words), LOG_ERR);
        assert_non_null(strstr(line, cases[i].expected));
    }
}

/* Rules: O6 */
static void test_hostile_commands_stay_one_harmless_line(void **state)
{
    static const struct {
        const char *command, *shown;
    } cases[] = {
        {"", ""},
        {"with blanks", "with blanks"},
        {"two\nlines", "two\\x0alines"},
        {"\r\x1b[2J\x07", "\\x0d\\x1b[2J\\x07"},
        {"\x7f\x80\xff", "\\x7f\\x80\\xff"},
        {"quote\"back\\slash", "quote\\\"back\\\\slash"},
        {"%s%n%d", "%s%n%d"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct report_words words = {cases[i].command, "execute", "Bad address", {NULL, 0}};

        for (size_t j = 0; j < COUNT(lines); j++) {
            enum core_say what = lines[j].action.say;

            assert_int_equal(say(&lines[j].action, &words), lines[j].severity);
            for (const char *c = line; *c; c++)
                assert_in_range(*c, ' ', '~');
            if (what == CORE_SAY_STARTED || what == CORE_SAY_NOT_SPAWNED ||
                what == CORE_SAY_NOT_EXECUTED)
                assert_non_null(strstr(line, cases[i].shown));
        }
    }
}

/* Rules: O6 */
static void test_appends_and_remembers_what_did_not_fit(void **state)
{
    const struct core_action action = {SAY(STOP_ASKED), .number = SIGTERM};
    char small[16];
    struct text text;

    (void)state;
    text_init(&text, line, sizeof line);
    text_add(&text, "before: ");
    report_add(&text, &action, &plain);
    assert_string_equal(line, "before: TERM received: stopping");

    text_init(&text, small, sizeof small);
    assert_int_equal(report_add(&text, &action, &plain), LOG_INFO);
    assert_true(text.overflow);
    assert_string_equal(small, "TERM received: ");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line),
        cmocka_unit_test(test_every_event_out_of_turn_has_a_name),
        cmocka_unit_test(test_a_failed_start_says_what_is_known),
        cmocka_unit_test(test_hostile_commands_stay_one_harmless_line),
        cmocka_unit_test(test_appends_and_remembers_what_did_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
