/* Tests of supervisor: what fails at a start, at a reload, and while it waits. */
#include "supervisor_world.h"

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
        {"read", 1, EIO, {0}, "unable to watch the pipes of \"/bin/server\": Input/output error"},
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
        expect_said("generation 2: rollout failed after 0 ms: worker ");
        expect_said(" could not be started: unable to ");
        expect_said("generation 3: rollout done");
        expect_signal(FIRST, SIGHUP, 1);
        /* Nobody would learn how a child does that cannot be watched. */
        bool unwatched = strstr(cases[i].said, "unable to watch");
        expect_signal(SECOND, SIGKILL, unwatched);
        assert_int_equal(journaled("kill_group 1002 "), 0);
        expect_not_said("generation 2: worker 1002 (slot 1) started");
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
        expect_said("; 1 worker serves on");
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

/* Rules: G1 */
static void test_a_signal_that_cannot_be_sent_is_logged(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_and_stop, 0, 0);
    os_fake_exit_at(&fake, BEGIN + 3000, FIRST, 0);
    os_fake_fail(&fake, "kill_process", 1, EPERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_said("unable to signal worker 1001: Operation not permitted");
    assert_int_equal(fake.now_ms, BEGIN + 3000); /* it was waited for */
    os_fake_done(&fake);
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

/* Rules: R7 */
static void test_a_wait_that_fails_is_tried_again(void **state)
{
    (void)state;
    os_fake_fail(&fake, "watch_wait", 3, ENOMEM);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    assert_int_equal(fake.child_count, 2);
    assert_int_equal(journaled("pause_ms 20\n"), 1);
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

static void read_once(struct os_fake *os, int result)
{
    os_fake_answer(os, &(struct os_fake_answer){.call = "read", .result = result});
}

static void reload_whose_report_comes_late(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    read_once(os, -EAGAIN);
    os_fake_signal(os, SIGHUP);
}

/* Rules: R3 I7 */
static void test_a_report_that_is_not_there_yet_is_waited_for(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_whose_report_comes_late, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said("generation 2: worker 1002 (slot 1) started");
    expect_said("generation 2: rollout done");
    os_fake_done(&fake);
}

/* The report ends without a word, before the child does. */
static void reload_that_falls_silent(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    read_once(os, 0);
    os_fake_signal(os, SIGHUP);
}

/* Rules: R3 R7 I9 */
static void test_a_report_that_ended_is_not_looked_at_again(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_that_falls_silent, 0, 0);
    os_fake_exit_at(&fake, BEGIN + 2000, SECOND, 1 << EXIT_STATUS);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_not_said("worker 1002 (slot 1) started");
    expect_said("generation 2: rollout failed after 1000 ms");
    os_fake_done(&fake);
}

static void reload_again(struct os_fake *os, const struct os_spawn *plan)
{
    (void)plan;
    if (os->child_count == 2)
        os_fake_signal(os, SIGHUP);
}

/* A child that has ended when its report is read for the first time, which fails with `number`. */
static void reload_that_dies_unheard(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    os->next_dies = SIGSEGV;
    read_once(os, -number);
    os_fake_signal(os, SIGHUP);
}

/* Rules: R7 G4 */
static void test_a_child_that_was_reaped_is_not_killed_for_its_report(void **state)
{
    static const int errors[] = {EIO, EAGAIN};
    for (size_t i = 0; i < COUNT(errors); i++) {
        set_up(state);
        fake.spawn_seen = reload_again;
        os_fake_at(&fake, BEGIN + 1000, reload_that_dies_unheard, 0, errors[i]);
        os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
        assert_int_equal(run("-start=100 /bin/server"), 0);
        expect_said("generation 2: rollout failed");
        expect_said("generation 3: worker 1003 (slot 1) started"); /* with the next report */
        expect_signal(SECOND, SIGKILL, 0);
        os_fake_done(&fake);
    }
}

static void reload_unheard(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    os_fake_fail(os, "signals_read", 0, number);
    os_fake_signal(os, SIGHUP);
}

static void heal(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os->fail_count = 0;
}

/* Rules: G1 I7 I9 */
static void test_signals_that_cannot_be_read_are_tried_in_a_while(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_unheard, 0, EIO);
    os_fake_at(&fake, BEGIN + 2000, heal, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said("generation 2: rollout done");
    assert_in_range(journaled("pause_ms "), 1, 100);
    os_fake_done(&fake);
}

/* Rules: R8 I7 */
static void test_a_stop_signal_that_failed_is_sent_again_by_the_next_reload(void **state)
{
    (void)state;
    os_fake_fail(&fake, "kill_process", 1, EPERM);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_signal(FIRST, SIGHUP, 2);
    expect_signal(SECOND, SIGHUP, 1);
    expect_not_said("internal error");
    os_fake_done(&fake);
}

/* Somebody else takes every child away. */
static void lose_children(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_fail(os, "reap", 1, ECHILD);
    os_fake_signal(os, SIGCHLD);
}

/* Rules: R12 */
static void test_none_of_several_lost_children_is_waited_for(void **state)
{
    (void)state;
    fake.mortal = 0;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 2000, lose_children, 0, 0);
    assert_int_equal(run("-start=100 /bin/server"), 1);
    expect_said("worker 1001 (slot 0) ended: exit status 1");
    expect_said("worker 1002 (slot 1) ended: exit status 1");
}

static void reload_that_is_lost(struct os_fake *os, pid_t pid, int number)
{
    reload_whose_report_comes_late(os, pid, number);
    os_fake_fail(os, "reap", 2, ECHILD);
}

/* Rules: R7 R12 */
static void test_a_lost_child_that_executed_nothing_yet_is_not_waited_for(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, reload_that_is_lost, 0, 0);
    assert_int_equal(run("-start=100 /bin/server"), 1);
    expect_said("generation 2: rollout failed");
}

/* While the pipes are read: what a master finds that was stopped itself for a while. */
static void much_happens(struct os_fake *os, pid_t pid, int number)
{
    os_fake_signal(os, SIGHUP);
    os_fake_exit(os, pid, number);
    os_fake_exit(os, pid + 1, number);
    os_fake_answer(os, &(struct os_fake_answer){.call = "watch_wait", .result = 0});
}

static void much_happens_soon(struct os_fake *os, const struct os_spawn *plan)
{
    (void)plan;
    if (os->child_count == 2)
        os_fake_at(os, os->now_ms, much_happens, FIRST, 0);
}

/* Rules: R9 I4 */
static void test_a_reload_counts_before_the_end_of_the_last_worker(void **state)
{
    (void)state;
    fake.spawn_seen = much_happens_soon;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said("generation 3: rollout done");
    os_fake_done(&fake);
}

static void stop_while_waits_fail(struct os_fake *os, const struct os_spawn *plan)
{
    (void)plan;
    if (os->child_count == 1)
        return;
    os_fake_fail(os, "watch_wait", 0, ENOMEM);
    os_fake_signal(os, SIGTERM);
}

/* Rules: G1 I7 */
static void test_a_stop_is_heard_although_every_wait_fails(void **state)
{
    (void)state;
    fake.spawn_seen = stop_while_waits_fail;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said("TERM received: stopping");
    os_fake_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_way_to_fail_a_reload_keeps_the_old_worker, set_up),
        cmocka_unit_test_setup(test_a_new_worker_that_ends_too_early, set_up),
        cmocka_unit_test_setup(test_a_child_that_is_killed_before_exec_was_never_ready, set_up),
        cmocka_unit_test_setup(test_a_signal_that_cannot_be_sent_is_logged, set_up),
        cmocka_unit_test_setup(test_a_start_that_fails_leaves_nothing, set_up),
        cmocka_unit_test_setup(test_the_first_exec_belongs_to_the_start, set_up),
        cmocka_unit_test_setup(test_only_root_switches_users, set_up),
        cmocka_unit_test_setup(test_a_wait_that_fails_is_tried_again, set_up),
        cmocka_unit_test_setup(test_children_that_somebody_else_took_are_not_waited_for, set_up),
        cmocka_unit_test_setup(test_a_report_that_is_not_there_yet_is_waited_for, set_up),
        cmocka_unit_test_setup(test_a_report_that_ended_is_not_looked_at_again, set_up),
        cmocka_unit_test_setup(test_a_child_that_was_reaped_is_not_killed_for_its_report, set_up),
        cmocka_unit_test_setup(test_signals_that_cannot_be_read_are_tried_in_a_while, set_up),
        cmocka_unit_test_setup(
            test_a_stop_signal_that_failed_is_sent_again_by_the_next_reload, set_up),
        cmocka_unit_test_setup(test_none_of_several_lost_children_is_waited_for, set_up),
        cmocka_unit_test_setup(
            test_a_lost_child_that_executed_nothing_yet_is_not_waited_for, set_up),
        cmocka_unit_test_setup(test_a_reload_counts_before_the_end_of_the_last_worker, set_up),
        cmocka_unit_test_setup(test_a_stop_is_heard_although_every_wait_fails, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
