/* Tests of supervisor: starts, reloads, stops, signals and exit statuses, where nothing fails. */
#include "supervisor_world.h"

/* Rules: R1 G1 X1 O6 O1 */
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
    char expected[2048];
    struct text text;
    text_init(&text, expected, sizeof expected);
    for (size_t i = 0; i < COUNT(lines); i++) {
        text_add(&text, "socketmaster[1000] 2026/01/02 03:04:05 ");
        text_add(&text, lines[i]);
    }
    assert_string_equal(fake.output, expected);
    os_fake_done(&fake);
}

/* Rules: L6 O6 C3 */
static void test_each_listener_is_told(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN, see, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 -listen=tcp://127.0.0.1:80?name=w"
                         " -listen=tcp://127.0.0.1:81 /bin/server"),
        0);
    /* Before anything is waited for. */
    expect_seen("listening on tcp://127.0.0.1:80 as descriptor 3 named w\n");
    expect_seen("listening on tcp://127.0.0.1:81 as descriptor 4\n");
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
        expect_not_said("internal error");
        os_fake_done(&fake);
    }
}

/* Rules: G1 R2 R11 */
static void test_what_comes_in_with_a_stop_before_the_start_is_refused(void **state)
{
    static const int others[] = {SIGINT, SIGHUP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < COUNT(others); i++) {
        set_up(state);
        os_fake_signal(&fake, SIGTERM);
        os_fake_signal(&fake, others[i]);
        assert_int_equal(run("/bin/server"), 0);
        assert_int_equal(fake.child_count, 0);
        expect_not_said("internal error");
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
    /* Both reports and the signals: a child on its way to exec holds copies of them, so that
     * closing alone would not end the watch. */
    assert_int_equal(journaled("watch_remove 5 "), 3);
    assert_int_equal(journaled(" 4294967296 r\n"), 1); /* the relay's token */
    os_fake_done(&fake);
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

enum { FIRST_REALTIME = 34 };

static void many_signals(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    os_fake_signal(os, SIGHUP);
    for (int i = 0; i < number; i++)
        os_fake_signal(os, FIRST_REALTIME + i); /* those are not merged */
    os_fake_signal(os, SIGTERM);
}

/* Rules: G1 G3 */
static void test_a_stop_counts_however_many_signals_came_before_it(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, many_signals, 0, 30);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    assert_int_equal(fake.child_count, 1);
    os_fake_done(&fake);
}

enum { STORM = 60 }; /* times that signals are read */

static void signals_that_do_not_end(struct os_fake *os, pid_t pid, int signal)
{
    static int signals[16];
    (void)pid;
    for (size_t i = 0; i < COUNT(signals); i++)
        signals[i] = signal;
    for (int i = 0; i < STORM; i++)
        os_fake_answer(os, &(struct os_fake_answer){.call = "signals_read",
                               .result = COUNT(signals),
                               .data = signals,
                               .size = sizeof signals});
    os_fake_signal(os, SIGCHLD);
}

/* Rules: G2 I5 */
static void test_signals_without_end_hold_up_nothing_else(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, signals_that_do_not_end, 0, SIGCONT);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    /* Children are looked for between them. */
    assert_in_range(os_fake_uses(&fake, "reap"), STORM / 10, 2 * STORM);
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

static void reading_takes_long(struct os_fake *os, pid_t pid, int number)
{
    (void)number;
    os_fake_child_write(os, pid, 1, "more\n");
    os->now_ms += 5000;
}

static void write_a_lot(struct os_fake *os, pid_t pid, int number)
{
    os_fake_child_write(os, pid, 1, "much\n");
    os_fake_at(os, os->now_ms, reading_takes_long, pid, number);
}

/* Rules: R8 */
static void test_a_bound_that_has_passed_meanwhile_is_kept_at_once(void **state)
{
    (void)state;
    fake.mortal = BIT(SIGKILL) | BIT(SIGTERM);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1100, write_a_lot, SECOND, 0);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=0 -stop=300 /bin/server"), 0);
    expect_said("worker 1001 (slot 0) has not ended within 5100 ms: KILL sent");
    os_fake_done(&fake);
}

/* Rules: G5 */
static void test_the_group_is_signalled_where_asked(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 -kill=group /bin/server"), 0);
    assert_true(os_fake_saw(&fake, "kill_group 1001 15"));
    expect_signal(FIRST, SIGTERM, 0);
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

static void expect_reaped(struct os_fake *os, const struct os_spawn *plan)
{
    (void)plan;
    assert_true(os_fake_child(os, 500)->reaped);
}

/* Rules: G2 G4 */
static void test_an_orphan_that_ended_before_the_start_is_reaped_before_it(void **state)
{
    (void)state;
    fake.spawn_seen = expect_reaped;
    os_fake_exit(&fake, 500, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
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
        {40, "signal 40 received: it means nothing"},
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

/* Rules: I9 */
static void test_nothing_runs_while_nothing_happens(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    assert_in_range(os_fake_uses(&fake, "watch_wait"), 1, 20);
    os_fake_done(&fake);
}

/* Rules: O5 */
static void test_output_that_is_inherited_needs_no_pipe(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 -output=inherit /bin/server"), 0);
    expect_said("generation 1: rollout done");
    assert_int_equal(os_fake_uses(&fake, "pipe_open"), 1); /* for the report */
    os_fake_done(&fake);
}

static void makes_it_blocking(struct os_fake *os, pid_t pid, int fd)
{
    (void)pid;
    os->descriptors[fd].nonblocking = false;
}

static void expect_nonblocking(struct os_fake *os, const struct os_spawn *plan)
{
    (void)plan;
    assert_true(os->descriptors[3].nonblocking);
}

/* Rules: L8 */
static void test_a_new_worker_finds_the_listeners_as_they_were_asked_for(void **state)
{
    (void)state;
    fake.spawn_seen = expect_nonblocking;
    os_fake_at(&fake, BEGIN + 1000, makes_it_blocking, 0, 3);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 3000, SIGTERM);
    assert_int_equal(
        run("-start=100 -workers=2 -listen=tcp://127.0.0.1:80?nonblock=true /bin/server"), 0);
    assert_int_equal(fake.child_count, 4);
    expect_said("a worker made it blocking, non-blocking again");
    /* Once for all that are started together. */
    assert_int_equal(os_fake_uses(&fake, "is_nonblocking"), 2);
    os_fake_done(&fake);
}

static void cuts_the_backlog(struct os_fake *os, pid_t pid, int fd)
{
    (void)pid;
    os->descriptors[fd].backlog = 5;
}

static void expect_the_backlog(struct os_fake *os, pid_t pid, int fd)
{
    (void)pid;
    assert_int_equal(os->descriptors[fd].backlog, 100);
}

/* Rules: L8 */
static void test_a_backlog_that_was_cut_is_put_back_once_its_worker_is_ready(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 50, cuts_the_backlog, 0, 3);
    os_fake_at(&fake, BEGIN + 200, expect_the_backlog, 0, 3);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=100 -listen=tcp://127.0.0.1:80?backlog=100 /bin/server"), 0);
    expect_said("a worker cut the backlog to 5, put back to 100");
    os_fake_done(&fake);
}

static void removes_the_file(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    assert_int_equal(os->os.file_remove(&os->os, "/run/sock"), 0);
    for (int fd = 0; fd < OS_FAKE_DESCRIPTORS; fd++)
        if (os->descriptors[fd].kind == OS_FAKE_FILE_WATCH)
            os_fake_feed(os, fd, "x", 1);
}

static void expect_the_file(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    assert_non_null(os_fake_find(os, "/run/sock"));
}

/* Rules: L8 */
static void test_a_socket_file_that_a_worker_removed_is_back_at_once(void **state)
{
    (void)state;
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    os_fake_at(&fake, BEGIN + 1000, removes_the_file, 0, 0);
    os_fake_at(&fake, BEGIN + 1001, expect_the_file, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 3000, SIGTERM);
    assert_int_equal(run("-start=100 -listen=unix:///run/sock /bin/server"), 0);
    os_fake_done(&fake);
}

static void removes_the_file_from_a_full_disk(struct os_fake *os, pid_t pid, int number)
{
    os_fake_fail(os, "file_pinned_link", 1, ENOSPC);
    removes_the_file(os, pid, number);
}

/* Rules: L8 I9 */
static void test_what_cannot_be_put_right_at_once_is_tried_after_a_second(void **state)
{
    (void)state;
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    os_fake_at(&fake, BEGIN + 1000, removes_the_file_from_a_full_disk, 0, 0);
    os_fake_at(&fake, BEGIN + 2001, expect_the_file, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 3000, SIGTERM);
    assert_int_equal(run("-start=100 -listen=unix:///run/sock /bin/server"), 0);
    expect_said("unable to put back its socket file: No space left on device");
    os_fake_done(&fake);
}

/* Rules: C7 */
static void test_a_check_starts_nothing(void **state)
{
    (void)state;
    configure("-check -listen=tcp://127.0.0.1:80 -dir=/bin -user=www-data /bin/server a b");
    assert_int_equal(supervisor_check(&fake.os, &config, no_environment), 0);
    assert_string_equal(fake.output, "listen on tcp://127.0.0.1:80 as descriptor 3\n"
                                     "run /bin/server a b in /bin as www-data (33:33)\n"
                                     "start 1 worker\n"
                                     "wait for each until it has lived for 3000 ms\n"
                                     "on HUP do the same, and after all are ready send the old "
                                     "ones HUP\n");
    assert_int_equal(fake.child_count, 0);
    assert_true(os_fake_saw(&fake, "output_open 1"));
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
        cmocka_unit_test_setup(test_each_listener_is_told, set_up),
        cmocka_unit_test_setup(test_a_stop_before_the_start_starts_nothing, set_up),
        cmocka_unit_test_setup(test_what_comes_in_with_a_stop_before_the_start_is_refused, set_up),
        cmocka_unit_test_setup(test_a_reload_replaces_the_worker, set_up),
        cmocka_unit_test_setup(test_a_reload_that_comes_with_a_stop_starts_nothing, set_up),
        cmocka_unit_test_setup(test_a_stop_counts_however_many_signals_came_before_it, set_up),
        cmocka_unit_test_setup(test_signals_without_end_hold_up_nothing_else, set_up),
        cmocka_unit_test_setup(test_a_reload_before_the_start_is_covered_by_it, set_up),
        cmocka_unit_test_setup(test_reloads_during_a_rollout_cost_one_more, set_up),
        cmocka_unit_test_setup(test_a_worker_that_stays_is_killed_with_its_group, set_up),
        cmocka_unit_test_setup(test_a_bound_that_has_passed_meanwhile_is_kept_at_once, set_up),
        cmocka_unit_test_setup(test_the_group_is_signalled_where_asked, set_up),
        cmocka_unit_test_setup(test_a_worker_that_left_its_group_is_signalled_itself, set_up),
        cmocka_unit_test_setup(test_strangers_are_reaped_and_change_nothing, set_up),
        cmocka_unit_test_setup(
            test_an_orphan_that_ended_before_the_start_is_reaped_before_it, set_up),
        cmocka_unit_test_setup(test_other_signals_are_ignored_with_a_line, set_up),
        cmocka_unit_test_setup(test_the_exit_status_is_the_worker_s, set_up),
        cmocka_unit_test_setup(test_nothing_runs_while_nothing_happens, set_up),
        cmocka_unit_test_setup(test_output_that_is_inherited_needs_no_pipe, set_up),
        cmocka_unit_test_setup(
            test_a_new_worker_finds_the_listeners_as_they_were_asked_for, set_up),
        cmocka_unit_test_setup(
            test_a_backlog_that_was_cut_is_put_back_once_its_worker_is_ready, set_up),
        cmocka_unit_test_setup(test_a_socket_file_that_a_worker_removed_is_back_at_once, set_up),
        cmocka_unit_test_setup(
            test_what_cannot_be_put_right_at_once_is_tried_after_a_second, set_up),
        cmocka_unit_test_setup(test_a_check_starts_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
