/*
 * Tests of supervisor: whole runs against the fake port, from the first look-up to the exit status.
 *
 * Each run has a command line, a few things that happen at a time, and what must have come of it:
 * the exit status, the signals that were sent, lines of the log. At the end of every run nothing is
 * left open (os_fake_done).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "os_fake.h"
#include "supervisor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BIT(signal) (UINT64_C(1) << ((signal)-1))

enum {
    BEGIN = 1000000, /* the fake's clock at its start */
    FIRST = OS_FAKE_FIRST_PID,
    SECOND = FIRST + 1,
    THIRD = FIRST + 2,
    EXIT_STATUS = 8, /* wait(2): status << EXIT_STATUS */
};

static struct os_fake fake;
static struct config config;
static char *no_environment[] = {NULL};

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    fake.mortal = BIT(SIGTERM) | BIT(SIGHUP) | BIT(SIGQUIT) | BIT(SIGINT);
    os_fake_file(&fake, "/bin/server", OS_FILE_REGULAR)->executable = true;
    return 0;
}

/* Reads a command line of at most a few words, separated by blanks. */
static void configure(const char *words)
{
    static char buffer[256];
    static char *argv[16];
    static char error_bytes[CLI_ERROR_SIZE];
    struct text error;
    int argc = 0;
    snprintf(buffer, sizeof buffer, "socketmaster %s", words);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    text_init(&error, error_bytes, sizeof error_bytes);
    if (cli_parse(argc, argv, no_environment, &config, &error) != CLI_RUN)
        fail_msg("%s", error.bytes);
}

static int run(const char *words)
{
    configure(words);
    return supervisor_run(&fake.os, &config, no_environment);
}

static void expect_said(const char *text)
{
    if (!strstr(fake.output, text))
        fail_msg("not said: %s\nbut: %s", text, fake.output);
}

static void expect_not_said(const char *text)
{
    if (strstr(fake.output, text))
        fail_msg("said: %s\nin: %s", text, fake.output);
}

static void expect_signal(pid_t pid, int signal, size_t times)
{
    char line[64];
    size_t seen = 0;
    snprintf(line, sizeof line, "kill_process %d %d\n", (int)pid, signal);
    for (const char *at = fake.journal; (at = strstr(at, line)); at++)
        seen++;
    assert_int_equal(seen, times);
}

/* Rules: R1 G1 X1 O6 */
static void test_starts_serves_and_stops(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    assert_int_equal(fake.child_count, 1);
    expect_signal(FIRST, SIGTERM, 1);
    static const char *const lines[] = {
        "listening on tcp://[::]:8080 as descriptor 3\n",
        "generation 1: worker 1001 (slot 0) started: /bin/server\n",
        "generation 1: worker 1001 (slot 0) ready after 101 ms\n",
        "generation 1: rollout done in 101 ms\n",
        "TERM received: stopping\n",
        "generation 1: worker 1001 (slot 0) stopped: TERM sent\n",
        "generation 1: worker 1001 (slot 0) ended: killed by TERM after 5000 ms\n",
        "no worker is left: ending with exit status 0\n",
    };
    const char *at = fake.output;
    for (size_t i = 0; i < COUNT(lines); i++) {
        const char *found = strstr(at, lines[i]);
        if (!found)
            fail_msg("not said in its turn: %s\nbut: %s", lines[i], fake.output);
        at = found;
    }
    os_fake_done(&fake);
}

/* Rules: G1 */
static void test_a_stop_before_the_start_starts_nothing(void **state)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < COUNT(stops); i++) {
        set_up(state);
        os_fake_signal(&fake, stops[i]);
        assert_int_equal(run("/bin/server"), 0);
        assert_int_equal(fake.child_count, 0);
        os_fake_done(&fake);
    }
}

/* Rules: R2 R8 */
static void test_a_reload_replaces_the_worker(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 -stop-signal=QUIT /bin/server"), 0);
    assert_int_equal(fake.child_count, 2);
    expect_signal(FIRST, SIGQUIT, 1);
    expect_signal(FIRST, SIGTERM, 0);
    expect_signal(SECOND, SIGTERM, 1);
    expect_said("generation 2: rollout done");
    os_fake_done(&fake);
}

static void reload_and_stop(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_signal(os, SIGHUP);
    os_fake_signal(os, SIGTERM);
}

/* Rules: G1 R9 */
static void test_a_reload_that_comes_with_a_stop_starts_nothing(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_and_stop, 0, 0);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    assert_int_equal(fake.child_count, 1);
    expect_said("reload asked for after a stop: ignored");
    os_fake_done(&fake);
}

/* Rules: R2 */
static void test_a_reload_before_the_start_is_covered_by_it(void **state)
{
    (void)state;
    os_fake_signal(&fake, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    assert_int_equal(fake.child_count, 1);
    expect_not_said("internal error");
    os_fake_done(&fake);
}

/* A reload whose start fails in one way. */
struct failing_reload {
    const char *call; /* which use of which call fails from then on; NULL: what `report` says */
    size_t nth;
    int error;
    struct os_report report;
    const char *said;
};

static void reload_that_fails(struct os_fake *os, pid_t pid, int number)
{
    const struct failing_reload *reload = os->test;
    (void)pid;
    (void)number;
    if (reload->call)
        os_fake_fail(os, reload->call, reload->nth, reload->error);
    else
        os->next_report = reload->report;
    os_fake_signal(os, SIGHUP);
}

/* Rules: R7 O6 */
static void test_each_way_to_fail_a_reload_keeps_the_old_worker(void **state)
{
    static const struct failing_reload cases[] = {
        {"spawn", 1, EAGAIN, {0}, "unable to fork for \"/bin/server\": Resource temporarily"},
        {"pipe_open", 1, EMFILE, {0}, "unable to open a pipe for \"/bin/server\": Too many open"},
        {"pipe_open", 2, ENFILE, {0}, "unable to open a pipe for \"/bin/server\": Too many open"},
        {"watch_add", 1, ENOSPC, {0}, "unable to watch the pipes of \"/bin/server\": No space"},
        {"watch_add", 2, ENOMEM, {0}, "unable to watch the pipes of \"/bin/server\": Cannot"},
        {NULL, 0, 0, {OS_STEP_EXECUTE, ENOENT}, "unable to execute \"/bin/server\": No such file"},
        {NULL, 0, 0, {OS_STEP_DIRECTORY, EACCES}, "unable to change to the directory of"},
        {NULL, 0, 0, {OS_STEP_DESCRIPTOR, EBADF}, "unable to arrange the descriptors of"},
        {NULL, 0, 0, {OS_STEP_USER, EAGAIN}, "unable to set the user of"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        fake.test = (void *)(uintptr_t)&cases[i];
        os_fake_at(&fake, BEGIN + 1000, reload_that_fails, 0, 0);
        os_fake_signal_at(&fake, BEGIN + 9000, SIGHUP);
        os_fake_signal_at(&fake, BEGIN + 20000, SIGTERM);
        assert_int_equal(run("-start=100 /bin/server"), 0);
        expect_said(cases[i].said);
        expect_said("generation 2: rollout failed after 0 ms: a worker could not be started; "
                    "1 older worker serves on");
        expect_said("generation 3: rollout done");
        expect_signal(FIRST, SIGHUP, 1);
        assert_null(strstr(strstr(fake.output, "generation 3: rollout done"), "failed"));
        os_fake_done(&fake);
    }
}

/* Rules: R7 X1 */
static void test_a_new_worker_that_ends_too_early(void **state)
{
    static const int statuses[] = {0, 7 << EXIT_STATUS, SIGSEGV};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        set_up(state);
        os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
        os_fake_exit_at(&fake, BEGIN + 1050, SECOND, statuses[i]);
        os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
        assert_int_equal(run("-start=100 /bin/server"), 0);
        expect_said("a worker ended before it was ready; 1 older worker serves on");
        expect_signal(FIRST, SIGHUP, 0);
        os_fake_done(&fake);
    }
}

static void reload_that_is_killed(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    os->next_dies = number;
    os_fake_signal(os, SIGHUP);
}

/* Rules: R3 R7 */
static void test_a_child_that_is_killed_before_exec_was_never_ready(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_that_is_killed, 0, SIGKILL);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_said("generation 2: rollout failed");
    expect_signal(FIRST, SIGHUP, 0);
    expect_not_said("worker 1002 (slot 1) started");
    os_fake_done(&fake);
}

/* Rules: R9 */
static void test_reloads_during_a_rollout_cost_one_more(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        os_fake_signal_at(&fake, BEGIN + 1000 + (uint64_t)i, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    assert_int_equal(fake.child_count, 3);
    os_fake_done(&fake);
}

/* Rules: R7 R8 G5 */
static void test_a_worker_that_stays_is_killed_with_its_group(void **state)
{
    (void)state;
    fake.mortal = BIT(SIGKILL);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 -stop=300 /bin/server"), 0);
    assert_true(os_fake_saw(&fake, "kill_group 1001 9"));
    assert_true(os_fake_saw(&fake, "kill_group 1002 9"));
    /* It may have left the group. */
    expect_signal(FIRST, SIGKILL, 1);
    expect_said("worker 1001 (slot 0) has not ended within 300 ms: KILL sent");
    os_fake_done(&fake);
}

/* Rules: G5 */
static void test_the_group_is_signalled_where_asked(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 -kill=group /bin/server"), 0);
    assert_true(os_fake_saw(&fake, "kill_group 1001 15"));
    os_fake_done(&fake);
}

/* Rules: G5 */
static void test_a_worker_that_left_its_group_is_signalled_itself(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    os_fake_fail(&fake, "kill_group", 1, ESRCH);
    assert_int_equal(run("-start=0 -kill=group /bin/server"), 0);
    expect_signal(FIRST, SIGTERM, 1);
    os_fake_done(&fake);
}

/* Rules: G1 */
static void test_a_signal_that_cannot_be_sent_is_logged(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_and_stop, 0, 0);
    os_fake_exit_at(&fake, BEGIN + 3000, FIRST, 0);
    os_fake_fail(&fake, "kill_process", 1, EPERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_said("unable to signal worker 1001: Operation not permitted");
    os_fake_done(&fake);
}

/* Rules: G2 G4 */
static void test_strangers_are_reaped_and_change_nothing(void **state)
{
    (void)state;
    for (pid_t stranger = 500; stranger < 510; stranger++)
        os_fake_exit_at(&fake, BEGIN + 1000, stranger, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_not_said("internal error");
    expect_signal(FIRST, SIGTERM, 1);
    os_fake_done(&fake);
}

/* Rules: G3 */
static void test_other_signals_are_ignored_with_a_line(void **state)
{
    static const struct {
        int signal;
        const char *said; /* NULL: nothing */
    } cases[] = {
        {SIGUSR1, "USR1 received: it means nothing"},
        {SIGUSR2, "USR2 received: it means nothing"},
        {SIGTTIN, "TTIN received: it means nothing"},
        {SIGTTOU, "TTOU received: it means nothing"},
        {SIGALRM, "ALRM received: it means nothing"},
        {SIGWINCH, NULL},
        {SIGCONT, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_signal_at(&fake, BEGIN + 1000, cases[i].signal);
        os_fake_signal_at(&fake, BEGIN + 2000, SIGTERM);
        assert_int_equal(run("-start=0 /bin/server"), 0);
        if (cases[i].said)
            expect_said(cases[i].said);
        else
            expect_not_said("means nothing");
        os_fake_done(&fake);
    }
}

/* Rules: X1 X2 R12 */
static void test_the_exit_status_is_the_worker_s(void **state)
{
    static const struct {
        int wait_status, exit_status;
    } cases[] = {{0, 0}, {7 << EXIT_STATUS, 7}, {SIGKILL, 137}, {SIGSEGV, 139}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_exit_at(&fake, BEGIN + 2000, FIRST, cases[i].wait_status);
        assert_int_equal(run("-start=100 /bin/server"), cases[i].exit_status);
        os_fake_done(&fake);
    }
}

/* Rules: C6 X3 L5 */
static void test_a_start_that_fails_leaves_nothing(void **state)
{
    static const struct {
        const char *words, *call, *said;
        size_t nth;
        int error;
    } cases[] = {
        {"/bin/none", NULL, "unable to find \"/bin/none\": No such file or directory", 0, 0},
        {"-user=nobodyatall /bin/server", NULL, "unable to find user", 0, 0},
        {"-user=www-data:nogroupatall /bin/server", NULL, "unable to find group", 0, 0},
        {"-dir=/none /bin/server", NULL, "unable to enter directory \"/none\"", 0, 0},
        {"-envdir=/none /bin/server", NULL, "unable to read environment directory \"/none\"", 0, 0},
        {"/bin/server", "socket_bind", "Address already in use", 1, EADDRINUSE},
        {"/bin/server", "watch_open", "unable to set up the event loop: Too many", 1, EMFILE},
        {"/bin/server", "watch_open", "unable to set up the event loop: Too many", 2, EMFILE},
        {"/bin/server", "signals_open", "unable to set up the event loop: Too many", 1, EMFILE},
        {"/bin/server", "watch_add", "unable to set up the event loop: Cannot", 1, ENOMEM},
        {"/bin/server", "spawn", "unable to fork", 1, EAGAIN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        if (cases[i].call)
            os_fake_fail(&fake, cases[i].call, cases[i].nth, cases[i].error);
        assert_int_equal(run(cases[i].words), 1);
        expect_said(cases[i].said);
        assert_int_equal(fake.child_count, 0);
        os_fake_done(&fake);
    }
}

/* Rules: C6 X3 */
static void test_the_first_exec_belongs_to_the_start(void **state)
{
    (void)state;
    os_fake_file(&fake, "/s", OS_FILE_DIRECTORY);
    fake.next_report = (struct os_report){OS_STEP_EXECUTE, ENOEXEC};
    assert_int_equal(run("-listen=unix:///s/sock /bin/server"), 1);
    expect_said("unable to execute \"/bin/server\": Exec format error");
    assert_null(os_fake_find(&fake, "/s/sock"));
    os_fake_done(&fake);
}

/* Rules: E8 C6 */
static void test_only_root_switches_users(void **state)
{
    (void)state;
    fake.user = 1000;
    assert_int_equal(run("-user=www-data /bin/server"), 1);
    expect_said("unable to switch to user \"www-data\": only root may");
    os_fake_done(&fake);
}

static void write_and_exit(struct os_fake *os, pid_t pid, int number)
{
    os_fake_child_write(os, pid, 1, "out\n");
    os_fake_child_write(os, pid, 2, "err without newline");
    os_fake_exit(os, pid, number);
}

/* Rules: O2 */
static void test_the_last_words_come_before_the_end(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, write_and_exit, FIRST, 0);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    const char *out = strstr(fake.output, "[1001] out\n");
    const char *err = strstr(fake.output, "[1001] err without newline\n");
    const char *end = strstr(fake.output, "worker 1001 (slot 0) ended");
    assert_true(out && err && end && out < err && err < end);
    os_fake_done(&fake);
}

/* Rules: O3 */
static void test_a_stuck_log_holds_up_the_end_for_a_second(void **state)
{
    (void)state;
    fake.output_room = 100;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    assert_int_equal(fake.child_count, 2);
    assert_int_equal(fake.now_ms, BEGIN + 5000 + SUPERVISOR_LAST_WORDS_MS);
    os_fake_done(&fake);
}

/* Rules: O3 */
static void test_a_stuck_log_that_cannot_be_watched_is_tried_again(void **state)
{
    (void)state;
    fake.output_room = 100;
    os_fake_fail(&fake, "watch_add", 0, EPERM);
    fake.fail_count = 0;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    os_fake_answer(
        &fake, &(struct os_fake_answer){
                   .call = "watch_add", .arguments = "5 2 8589934592 w", .result = -EPERM});
    assert_int_equal(run("-start=0 /bin/server"), 0);
    os_fake_done(&fake);
}

/* Rules: R7 */
static void test_a_wait_that_fails_is_tried_again(void **state)
{
    (void)state;
    os_fake_fail(&fake, "watch_wait", 3, ENOMEM);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    assert_int_equal(fake.child_count, 2);
    os_fake_done(&fake);
}

/* Rules: R7 */
static void test_children_that_somebody_else_took_are_not_waited_for(void **state)
{
    (void)state;
    os_fake_fail(&fake, "reap", 3, ECHILD);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGCHLD);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGCHLD);
    assert_int_equal(run("-start=100 /bin/server"), 1);
    expect_said("ended: exit status 1");
}

/* Rules: C7 */
static void test_a_check_starts_nothing(void **state)
{
    (void)state;
    configure("-check -listen=tcp://127.0.0.1:80 -dir=/bin -user=www-data /bin/server a b");
    assert_int_equal(supervisor_check(&fake.os, &config, no_environment), 0);
    assert_string_equal(fake.output, "listen on tcp://127.0.0.1:80 as descriptor 3\n"
                                     "run /bin/server a b in /bin as www-data (33:33)\n");
    assert_int_equal(fake.child_count, 0);
    os_fake_done(&fake);

    set_up(state);
    configure("-check /bin/none");
    assert_int_equal(supervisor_check(&fake.os, &config, no_environment), 1);
    assert_string_equal(
        fake.output, "socketmaster: unable to find \"/bin/none\": No such file or directory\n");
    os_fake_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_starts_serves_and_stops, set_up),
        cmocka_unit_test_setup(test_a_stop_before_the_start_starts_nothing, set_up),
        cmocka_unit_test_setup(test_a_reload_replaces_the_worker, set_up),
        cmocka_unit_test_setup(test_a_reload_that_comes_with_a_stop_starts_nothing, set_up),
        cmocka_unit_test_setup(test_a_reload_before_the_start_is_covered_by_it, set_up),
        cmocka_unit_test_setup(test_each_way_to_fail_a_reload_keeps_the_old_worker, set_up),
        cmocka_unit_test_setup(test_a_new_worker_that_ends_too_early, set_up),
        cmocka_unit_test_setup(test_a_child_that_is_killed_before_exec_was_never_ready, set_up),
        cmocka_unit_test_setup(test_reloads_during_a_rollout_cost_one_more, set_up),
        cmocka_unit_test_setup(test_a_worker_that_stays_is_killed_with_its_group, set_up),
        cmocka_unit_test_setup(test_the_group_is_signalled_where_asked, set_up),
        cmocka_unit_test_setup(test_a_worker_that_left_its_group_is_signalled_itself, set_up),
        cmocka_unit_test_setup(test_a_signal_that_cannot_be_sent_is_logged, set_up),
        cmocka_unit_test_setup(test_strangers_are_reaped_and_change_nothing, set_up),
        cmocka_unit_test_setup(test_other_signals_are_ignored_with_a_line, set_up),
        cmocka_unit_test_setup(test_the_exit_status_is_the_worker_s, set_up),
        cmocka_unit_test_setup(test_a_start_that_fails_leaves_nothing, set_up),
        cmocka_unit_test_setup(test_the_first_exec_belongs_to_the_start, set_up),
        cmocka_unit_test_setup(test_only_root_switches_users, set_up),
        cmocka_unit_test_setup(test_the_last_words_come_before_the_end, set_up),
        cmocka_unit_test_setup(test_a_stuck_log_holds_up_the_end_for_a_second, set_up),
        cmocka_unit_test_setup(test_a_stuck_log_that_cannot_be_watched_is_tried_again, set_up),
        cmocka_unit_test_setup(test_a_wait_that_fails_is_tried_again, set_up),
        cmocka_unit_test_setup(test_children_that_somebody_else_took_are_not_waited_for, set_up),
        cmocka_unit_test_setup(test_a_check_starts_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
