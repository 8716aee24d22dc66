/*
 * Tests of cli_signal: each name is its signal's, whichever way it is written, and nothing else is.
 */
#include <ctype.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli_signal.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(array)[0])

static const struct {
    const char *name;
    int number;
} signal_cases[] = {
    {"HUP", SIGHUP},
    {"INT", SIGINT},
    {"QUIT", SIGQUIT},
    {"ABRT", SIGABRT},
    {"KILL", SIGKILL},
    {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},
    {"ALRM", SIGALRM},
    {"TERM", SIGTERM},
    {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},
    {"STOP", SIGSTOP},
    {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},
    {"URG", SIGURG},
    {"WINCH", SIGWINCH},
    {"IO", SIGIO},
    {"PWR", SIGPWR},
    {"SYS", SIGSYS},
    {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},
    {"SEGV", SIGSEGV},
    {"BUS", SIGBUS},
    {"FPE", SIGFPE},
    {"ILL", SIGILL},
    {"TRAP", SIGTRAP},
};

/* Rules: R8 X2 */
static void each_signal_has_a_name_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(signal_cases); i++) {
        char with_prefix[16];

        (void)snprintf(with_prefix, sizeof with_prefix, "sIg%s", signal_cases[i].name);
        assert_string_equal(cli_signal_name(signal_cases[i].number), signal_cases[i].name);
        assert_int_equal(
            cli_signal_number(text_span_of(signal_cases[i].name)), signal_cases[i].number);
        assert_int_equal(cli_signal_number(text_span_of(with_prefix)), signal_cases[i].number);
        for (char *letter = with_prefix; *letter != '\0'; letter++)
            *letter = (char)tolower(*letter);
        assert_int_equal(cli_signal_number(text_span_of(with_prefix)), signal_cases[i].number);
    }
}

/* Rules: R8 */
static void what_is_no_signal_has_no_number(void **state)
{
    static const char *const names[] = {
        "", "SIG", "SIGSIGHUP", "HU", "HUPP", "hup ", " HUP", "1", "SIG1", "RTMIN", "H\303\234P"};
    static const char letter = 'S'; /* with nothing after it that may be read */
    static const int numbers[] = {0, -1, 64, 65, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(cli_signal_number(text_span_of(names[i])), 0);
    assert_int_equal(cli_signal_number((struct text_span){&letter, 1}), 0);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_null(cli_signal_name(numbers[i]));
        assert_false(cli_signal_retires(numbers[i]));
    }
}

/* Rules: R8 */
static void letters_alone_have_two_cases(void **state)
{
    char name[] = "?UP";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        name[0] = (char)byte;
        assert_int_equal(cli_signal_number((struct text_span){name, strlen("HUP")}),
            byte == 'H' || byte == 'h' ? SIGHUP : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_has_a_name_both_ways),
        cmocka_unit_test(what_is_no_signal_has_no_number),
        cmocka_unit_test(letters_alone_have_two_cases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
