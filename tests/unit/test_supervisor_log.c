/* Tests of supervisor: where its lines and the workers' go, and what a stuck log holds up. */
#include "supervisor_world.h"

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

/* Rules: O1 */
static void test_lines_have_the_form_that_was_asked_for(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 -log=json /bin/server"), 0);
    assert_int_equal(fake.output[0], '{');
    assert_int_equal(fake.datagram_count, 0);
    os_fake_done(&fake);

    set_up(state);
    os_fake_file(&fake, "/dev/log", OS_FILE_SOCKET)->live = true;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    assert_int_equal(run("-start=0 -syslog /bin/server"), 0);
    assert_string_equal(fake.output, "");
    assert_non_null(strstr(fake.datagrams, "socketmaster[1000]: TERM received: stopping\n"));
    assert_int_equal(fake.datagrams[0], '<');
    os_fake_done(&fake);
}

/* Rules: C6 O1 */
static void test_a_failed_start_is_told_to_who_typed_it_too(void **state)
{
    static const struct {
        const char *words, *call;
        int error;
        struct os_report report;
        const char *said;
    } cases[] = {
        {"-syslog /bin/none", NULL, 0, {0},
            "unable to find \"/bin/none\": No such file or directory"},
        {"-syslog /bin/server", "spawn", EAGAIN, {0}, "unable to fork for \"/bin/server\""},
        {"-syslog /bin/server", NULL, 0, {OS_STEP_EXECUTE, ENOEXEC},
            "unable to execute \"/bin/server\": Exec format error"},
        {"/bin/none", NULL, 0, {0}, "unable to find \"/bin/none\": No such file or directory"},
        {"/bin/server", "spawn", EAGAIN, {0}, "unable to fork for \"/bin/server\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_file(&fake, "/dev/log", OS_FILE_SOCKET)->live = true;
        if (cases[i].call)
            os_fake_fail(&fake, cases[i].call, 1, cases[i].error);
        fake.next_report = cases[i].report;
        assert_int_equal(run(cases[i].words), 1);
        bool syslog = strncmp(cases[i].words, "-syslog", 7) == 0;
        const char *said = strstr(fake.output, cases[i].said);
        assert_non_null(said);
        /* The log has it for the worker, where there is one, and for its rollout. */
        bool twice = !syslog && cases[i].call;
        const char *again = strstr(said + 1, cases[i].said);
        assert_int_equal(again != NULL, twice);
        assert_null(again ? strstr(again + 1, cases[i].said) : NULL);
        assert_int_equal(strstr(fake.datagrams, cases[i].said) != NULL, syslog);
        if (syslog)
            assert_int_equal(strchr(fake.output, '\n') + 1 - fake.output, fake.output_length);
        os_fake_done(&fake);
    }
}

static void fail_to_fork(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_fail(os, "spawn", 1, EAGAIN);
    os_fake_signal(os, SIGHUP);
}

/* Rules: O1 O6 */
static void test_a_failed_reload_is_told_to_the_log_alone(void **state)
{
    (void)state;
    os_fake_file(&fake, "/dev/log", OS_FILE_SOCKET)->live = true;
    os_fake_at(&fake, BEGIN + 1000, fail_to_fork, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGTERM);
    assert_int_equal(run("-start=0 -syslog /bin/server"), 0);
    assert_non_null(strstr(fake.datagrams, "unable to fork"));
    assert_string_equal(fake.output, "");
    os_fake_done(&fake);
}

static void syslog_comes(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_file(os, "/dev/log", OS_FILE_SOCKET)->live = true;
}

static void see_datagrams(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    memcpy(seen, os->datagrams, os->datagrams_length + 1);
}

/* Rules: O3 */
static void test_what_syslog_missed_is_counted_and_told_when_it_is_there(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 5000, syslog_comes, 0, 0);
    os_fake_at(&fake, BEGIN + 7000, see_datagrams, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 8000, SIGTERM);
    assert_int_equal(run("-start=0 -syslog /bin/server"), 0);
    expect_seen("4 log lines were lost: No such file or directory\n");
    os_fake_done(&fake);
}

static void write_line(struct os_fake *os, pid_t pid, int number)
{
    os_fake_child_write(os, pid, number, "a word from the worker\n");
}

/* Rules: O2 */
static void test_what_a_worker_writes_is_logged_at_once(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, write_line, FIRST, 1);
    os_fake_at(&fake, BEGIN + 1001, see, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_seen("[1001] a word from the worker\n");
    os_fake_done(&fake);
}

/* Rules: O2 I7 */
static void test_pipes_that_cannot_be_watched_at_first_are_read_soon(void **state)
{
    (void)state;
    os_fake_fail(&fake, "watch_add", 4, ENOMEM); /* after the signals and the worker's two pipes */
    os_fake_at(&fake, BEGIN + 1000, write_line, FIRST, 1);
    os_fake_at(&fake, BEGIN + 1101, see, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_seen("[1001] a word from the worker\n");
    os_fake_done(&fake);
}

static void write_unreadably(struct os_fake *os, pid_t pid, int number)
{
    os_fake_child_write(os, pid, number, "a word from the worker\n");
    os_fake_fail(os, "read", 0, EIO);
}

static void heal(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os->fail_count = 0;
}

/* Rules: O2 I7 I9 */
static void test_a_pipe_that_cannot_be_read_for_a_while_is_tried_again(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 1000, write_unreadably, FIRST, 1);
    os_fake_at(&fake, BEGIN + 2000, heal, 0, 0);
    os_fake_at(&fake, BEGIN + 2101, see, 0, 0);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_seen("[1001] a word from the worker\n");
    assert_in_range(os_fake_uses(&fake, "watch_wait"), 1, 100);
    os_fake_done(&fake);
}

/* The log has room again, and how that ends the watch. */
static void unwatch_badly(struct os_fake *os, pid_t pid, int error)
{
    (void)pid;
    os_fake_forget(os);
    os->output_room = SIZE_MAX;
    os_fake_answer(
        os, &(struct os_fake_answer){.call = "watch_remove", .arguments = "5 2", .result = -error});
    for (size_t i = 0; i < OS_FAKE_WATCHES; i++)
        if (error != ENOMEM && os->watches[i].fd == 2)
            os->watches[i].set = -1;
}

/* Rules: O3 I7 I9 */
static void test_a_log_that_cannot_be_unwatched_is_tried_again(void **state)
{
    static const struct {
        int error;
        size_t tries;
    } cases[] = {{ENOMEM, 2}, {ENOENT, 1}, {EBADF, 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        fake.output_room = 100;
        os_fake_at(&fake, BEGIN + 1000, unwatch_badly, 0, cases[i].error);
        os_fake_at(&fake, BEGIN + 1100, write_line, FIRST, 1);
        os_fake_at(&fake, BEGIN + 1200, write_line, FIRST, 1);
        os_fake_signal_at(&fake, BEGIN + 5000, SIGTERM);
        assert_int_equal(run("-start=0 /bin/server"), 0);
        assert_int_equal(journaled("watch_remove 5 2\n"), cases[i].tries);
        assert_in_range(os_fake_uses(&fake, "watch_wait"), 1, 100);
        os_fake_done(&fake);
    }
}

/* Rules: O3 */
static void test_a_log_that_was_stuck_goes_on_when_there_is_room(void **state)
{
    static const struct {
        enum os_output_kind kind;
        uint64_t within_ms;
    } cases[] = {
        {OS_OUTPUT_REOPENED, 1},
        /* It cannot be watched, so it is tried every now and then. */
        {OS_OUTPUT_PLAIN, 101},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        fake.output_kind = cases[i].kind;
        fake.output_room = 100;
        os_fake_at(&fake, BEGIN + 2000, write_line, FIRST, 1);
        os_fake_at(&fake, BEGIN + 3000, take_log, 0, -1);
        os_fake_at(&fake, BEGIN + 3000 + cases[i].within_ms, see, 0, 0);
        os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
        assert_int_equal(run("-start=0 /bin/server"), 0);
        expect_seen("generation 1: rollout done");
        expect_seen("[1001] a word from the worker\n");
        assert_int_equal(journaled(" 8589934592 w\n") > 0, 1); /* the log's token */
        /* Not watched while it is not stuck, nor more often than is waited. */
        assert_in_range(os_fake_uses(&fake, "watch_wait"), 1, 100);
        if (fake.output_kind == OS_OUTPUT_REOPENED)
            assert_int_equal(journaled(" 8589934592 w\n"), journaled("watch_remove 5 2\n"));
        assert_int_equal(journaled("watch_remove 5 0\n") + journaled("watch_remove 5 1\n"), 0);
        os_fake_done(&fake);
    }
}

enum {
    FLOOD_LINE = 1000,  /* bytes */
    FLOOD_LINES = 100,  /* at a time */
    FLOOD_TIMES = 14,   /* more than queue and pipe hold together */
    TAKEN = 200 * 1024, /* by the reader at a time */
};

static size_t flood_written, flood_logged; /* lines */

static void flood(struct os_fake *os, pid_t pid, int number)
{
    static char lines[FLOOD_LINE * FLOOD_LINES + 1];
    struct os_fake_child *child = os_fake_child(os, pid);
    if (child->ended)
        return;
    const struct os_fake_stream *stream = &os->streams[child->writers[number]];
    if (stream->end - stream->start + sizeof lines > OS_FAKE_STREAM_BYTES) {
        /* The pipe is full: the worker waits. */
        os_fake_at(os, os->now_ms + 10, flood, pid, number);
        return;
    }
    memset(lines, '.', sizeof lines - 1);
    for (size_t end = FLOOD_LINE; end < sizeof lines; end += FLOOD_LINE)
        lines[end - 1] = '\n';
    os_fake_child_write(os, pid, number, lines);
    flood_written += FLOOD_LINES;
}

static void count_flood(struct os_fake *os)
{
    for (const char *at = os->output; (at = strstr(at, ".\n")); at++)
        flood_logged++;
}

/* The reader takes a little, 50 times, and counts what it got. */
static void read_log(struct os_fake *os, pid_t pid, int times)
{
    count_flood(os);
    os_fake_forget(os);
    os->output_room = TAKEN;
    if (times > 0)
        os_fake_at(os, os->now_ms + 100, read_log, pid, times - 1);
}

static void begin_flood(void)
{
    fake.output_room = 0;
    flood_written = flood_logged = 0;
    for (int i = 0; i < FLOOD_TIMES; i++)
        os_fake_at(&fake, BEGIN + 1000 + (uint64_t)i, flood, FIRST, 1);
}

/* Rules: O2 O3 I6 */
static void test_a_flood_that_nobody_reads_waits_in_the_pipe(void **state)
{
    (void)state;
    begin_flood();
    /* Signals are not held up by it, and nothing spins. */
    os_fake_signal_at(&fake, BEGIN + 2000, SIGHUP);
    os_fake_at(&fake, BEGIN + 3000, read_log, 0, 50);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    fake.mortal &= ~BIT(SIGHUP);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    count_flood(&fake);
    assert_int_equal(flood_written, FLOOD_LINES * FLOOD_TIMES);
    assert_int_equal(flood_logged, flood_written);
    assert_int_equal(fake.child_count, 2);
    assert_in_range(os_fake_uses(&fake, "watch_wait"), 1, 2000);
    os_fake_done(&fake);
}

/* Rules: O2 O3 */
static void test_a_flood_is_logged_to_its_end_once_somebody_reads(void **state)
{
    (void)state;
    begin_flood();
    os_fake_exit_at(&fake, BEGIN + 2000, FIRST, 0);
    os_fake_at(&fake, BEGIN + 2100, read_log, 0, 8);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    count_flood(&fake);
    assert_int_equal(flood_logged, flood_written);
    assert_true(fake.now_ms < BEGIN + 2000 + SUPERVISOR_LAST_WORDS_MS);
    os_fake_done(&fake);
}

/* Rules: O3 I5 */
static void test_the_end_waits_for_the_log_no_longer_than_it_needs(void **state)
{
    (void)state;
    fake.output_room = 100;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTERM);
    /* Nobody looks at a signal any more, so it must not keep the wait from waiting. */
    os_fake_signal_at(&fake, BEGIN + 1100, SIGUSR1);
    os_fake_at(&fake, BEGIN + 1500, take_log, 0, -1);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    expect_said("no worker is left: ending with exit status 0\n");
    assert_int_equal(fake.now_ms, BEGIN + 1500);
    os_fake_done(&fake);
}

static void stop_and_fail_to_wait(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_fail(os, "watch_wait", 0, ENOMEM);
    os_fake_signal(os, SIGTERM);
}

/* Rules: O3 I7 */
static void test_the_end_comes_although_every_wait_fails(void **state)
{
    (void)state;
    fake.output_room = 100;
    os_fake_at(&fake, BEGIN + 1000, stop_and_fail_to_wait, 0, 0);
    assert_int_equal(run("-start=0 /bin/server"), 0);
    assert_in_range(fake.now_ms, BEGIN + 1000 + SUPERVISOR_LAST_WORDS_MS,
        BEGIN + 1200 + SUPERVISOR_LAST_WORDS_MS);
    os_fake_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_last_words_come_before_the_end, set_up),
        cmocka_unit_test_setup(test_a_stuck_log_holds_up_the_end_for_a_second, set_up),
        cmocka_unit_test_setup(test_a_stuck_log_that_cannot_be_watched_is_tried_again, set_up),
        cmocka_unit_test_setup(test_lines_have_the_form_that_was_asked_for, set_up),
        cmocka_unit_test_setup(test_a_failed_start_is_told_to_who_typed_it_too, set_up),
        cmocka_unit_test_setup(test_a_failed_reload_is_told_to_the_log_alone, set_up),
        cmocka_unit_test_setup(
            test_what_syslog_missed_is_counted_and_told_when_it_is_there, set_up),
        cmocka_unit_test_setup(test_what_a_worker_writes_is_logged_at_once, set_up),
        cmocka_unit_test_setup(test_pipes_that_cannot_be_watched_at_first_are_read_soon, set_up),
        cmocka_unit_test_setup(test_a_pipe_that_cannot_be_read_for_a_while_is_tried_again, set_up),
        cmocka_unit_test_setup(test_a_log_that_cannot_be_unwatched_is_tried_again, set_up),
        cmocka_unit_test_setup(test_a_log_that_was_stuck_goes_on_when_there_is_room, set_up),
        cmocka_unit_test_setup(test_a_flood_that_nobody_reads_waits_in_the_pipe, set_up),
        cmocka_unit_test_setup(test_a_flood_is_logged_to_its_end_once_somebody_reads, set_up),
        cmocka_unit_test_setup(test_the_end_waits_for_the_log_no_longer_than_it_needs, set_up),
        cmocka_unit_test_setup(test_the_end_comes_although_every_wait_fails, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
