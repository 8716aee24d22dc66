/*
 * Tests of relay: whole lines of several workers, back-pressure, and pipes that outlive their
 * worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os_fake.h"
#include "relay.h"

#define STAMP "socketmaster[1000] 2026/01/02 03:04:05 "

static struct os_fake fake;
static struct log log_;
static struct relay relay;

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    assert_int_equal(log_open(&log_, &fake.os, LOG_FORMAT_TEXT, NULL), 0);
    assert_int_equal(relay_open(&relay, &fake.os, &log_), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    relay_close(&relay);
    log_close(&log_);
    os_fake_done(&fake);
    return 0;
}

/* A worker whose pipe the test writes by feeding its reading end, which is returned. */
static int add_worker_in(unsigned slot, pid_t pid)
{
    int fd = fake.os.null_open(&fake.os);
    os_fake_feed(&fake, fd, "", 0);
    assert_int_equal(relay_add(&relay, fd, slot, pid), 0);
    return fd;
}

/* The same where the slot does not matter. */
static int add_worker(pid_t pid)
{
    return add_worker_in((unsigned)pid, pid);
}

static void write_line(int fd, const char *text)
{
    os_fake_feed(&fake, fd, text, strlen(text));
}

static void expect(const char *output)
{
    assert_string_equal(fake.output, output);
}

/* Rules: O2 */
static void test_lines_of_several_workers_never_mix(void **state)
{
    (void)state;
    int one = add_worker(11), two = add_worker(12);
    write_line(one, "a1\na2 be");
    write_line(two, "b1\nb2 be");
    relay_pump(&relay);
    write_line(two, "gun\n");
    write_line(one, "gun\n");
    relay_pump(&relay);
    expect(STAMP "[11] a1\n" STAMP "[12] b1\n" STAMP "[11] a2 begun\n" STAMP "[12] b2 begun\n");
}

/* Rules: O2 */
static void test_one_byte_reads_change_nothing(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "one\n\nthree");
    os_fake_end(&fake, fd);
    fake.read_most = 1;
    while (relay.sources[0].fd >= 0)
        relay_pump(&relay);
    expect(STAMP "[11] one\n" STAMP "[11] \n" STAMP "[11] three\n");
}

/* Rules: O2 */
static void test_what_a_worker_wrote_before_its_end_is_logged(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "last words\nwithout newline");
    os_fake_end(&fake, fd);
    assert_int_equal(relay_worker_ended(&relay, 11), 0);
    log_flush(&log_);
    expect(STAMP "[11] last words\n" STAMP "[11] without newline\n");
    assert_int_equal(relay.sources[0].fd, -1);
}

static void expect_last(unsigned slot, const char *expected)
{
    char last[RELAY_TAIL];
    size_t length = relay_last_output(&relay, slot, last);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(last, expected, length);
}

/* Rules: O6 R7 */
static void test_the_last_lines_of_a_worker_are_kept(void **state)
{
    (void)state;
    int fd = add_worker(11);
    relay_forget_output(&relay, 11);
    expect_last(11, "");
    write_line(fd, "one\ntwo\n");
    relay_pump(&relay);
    expect_last(11, "one\ntwo");
    write_line(fd, "three");
    os_fake_end(&fake, fd);
    relay_worker_ended(&relay, 11);
    expect_last(11, "one\ntwo\nthree");
    relay_forget_output(&relay, 11);
    expect_last(11, "");
}

/* Rules: O6 I11 */
static void test_no_more_than_whole_lines_of_4_kib_are_kept(void **state)
{
    static char line[RELAY_TAIL + 1], expected[RELAY_TAIL + 1];
    (void)state;
    memset(line, 'x', sizeof line);
    static const struct {
        size_t before, line; /* bytes of a first line, which is cut, and of a second */
    } cases[] = {{RELAY_TAIL, 0}, {RELAY_TAIL, 1}, {100, RELAY_TAIL - 2}, {RELAY_TAIL - 1, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = add_worker(11);
        relay_forget_output(&relay, 11);
        line[cases[i].before] = '\0';
        write_line(fd, line);
        relay_pump(&relay);
        line[cases[i].before] = 'x';
        memset(expected, 'y', sizeof expected);
        expected[cases[i].line] = '\0';
        write_line(fd, "\n");
        write_line(fd, expected);
        write_line(fd, "\n");
        relay_pump(&relay);
        expect_last(11, expected);
        os_fake_end(&fake, fd);
        relay_worker_ended(&relay, 11);
    }
}

/* Rules: O6 */
static void test_a_last_line_longer_than_that_is_kept_from_its_middle(void **state)
{
    static char line[2 * RELAY_TAIL + 1];
    (void)state;
    for (size_t i = 0; i < 2 * RELAY_TAIL; i++)
        line[i] = (char)('a' + i % 26);
    int fd = add_worker(11);
    write_line(fd, line);
    relay_pump(&relay);
    expect_last(11, line + RELAY_TAIL);
    fake.read_most = 1;
    write_line(fd, "!");
    relay_pump(&relay);
    memcpy(line + 2 * RELAY_TAIL - 1, "!", 1);
    char last[RELAY_TAIL];
    assert_int_equal(relay_last_output(&relay, 11, last), RELAY_TAIL);
    assert_int_equal(last[RELAY_TAIL - 1], '!');
    assert_int_equal(last[0], line[RELAY_TAIL + 1]);
}

/* Rules: O4 */
static void test_a_pipe_that_others_hold_stays_open(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "worker");
    assert_int_equal(relay_worker_ended(&relay, 11), 0);
    write_line(fd, "grandchild\n");
    relay_pump(&relay);
    expect(STAMP "[11] worker\n" STAMP "[11] grandchild\n");
    assert_int_equal(relay.orphans, 1);
    os_fake_end(&fake, fd);
    relay_pump(&relay);
    assert_int_equal(relay.orphans, 0);
}

/* Rules: O2 O4 */
static void test_a_line_that_others_are_writing_is_not_cut(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "of a grandchild that is in the middle of a line");
    fake.read_most = 1;
    relay_worker_ended(&relay, 11);
    fake.read_most = SIZE_MAX;
    relay_pump(&relay);
    write_line(fd, ", and now ends it\n");
    relay_pump(&relay);
    expect(STAMP "[11] of a grandchild that is in the middle of a line, and now ends it\n");
}

/* Rules: O4 */
static void test_a_new_worker_may_have_the_pid_of_an_ended_one(void **state)
{
    (void)state;
    int old = add_worker(11);
    relay_worker_ended(&relay, 11);
    int new = add_worker(11);
    write_line(new, "new\n");
    os_fake_end(&fake, new);
    relay_worker_ended(&relay, 11);
    write_line(old, "old\n");
    relay_pump(&relay);
    expect(STAMP "[11] new\n" STAMP "[11] old\n");
}

/* A start that failed can be followed by another at once, and the kernel gives it the same pid. */
/* Rules: O2 G4 */
static void test_the_end_of_a_worker_is_not_taken_for_that_of_its_namesake(void **state)
{
    (void)state;
    int old = add_worker_in(0, 11);
    os_fake_end(&fake, old);
    relay_pump(&relay);
    int new = add_worker_in(1, 11);
    write_line(new, "one line, of which");
    relay_worker_ended(&relay, 0);
    write_line(new, " this is the end\n");
    relay_pump(&relay);
    expect(STAMP "[11] one line, of which this is the end\n");
    assert_int_equal(relay.orphans, 0);
}

/* Its pipe could not be watched, say. */
/* Rules: O4 */
static void test_a_worker_without_a_pipe_leaves_that_of_the_one_before_alone(void **state)
{
    (void)state;
    int old = add_worker_in(0, 11);
    relay_worker_ended(&relay, 0);
    write_line(old, "of a grandchild that is in the middle of a line");
    relay_worker_ended(&relay, 0);
    write_line(old, ", and now ends it\n");
    relay_pump(&relay);
    expect(STAMP "[11] of a grandchild that is in the middle of a line, and now ends it\n");
    assert_int_equal(relay.orphans, 1);
}

/* Rules: O4 */
static void test_a_worker_that_closed_its_pipe_leaves_none_behind(void **state)
{
    (void)state;
    os_fake_end(&fake, add_worker_in(0, 11));
    relay_pump(&relay);
    assert_int_equal(relay_worker_ended(&relay, 0), 0);
    assert_int_equal(relay.orphans, 0);
}

/* Rules: O4 */
static void test_the_places_of_closed_pipes_are_used_again(void **state)
{
    (void)state;
    int fds[4];
    for (unsigned i = 0; i < 4; i++)
        fds[i] = add_worker_in(i, (pid_t)(11 + i));
    for (unsigned i = 3; i > 0; i--)
        os_fake_end(&fake, fds[i - 1]);
    relay_pump(&relay);
    for (unsigned i = 0; i < 4; i++) {
        write_line(add_worker_in(i + 4, (pid_t)(21 + i)), "new\n");
        assert_int_equal(relay.bound, i < 3 ? 4 : 5);
    }
    relay_pump(&relay);
    expect(STAMP "[21] new\n" STAMP "[22] new\n" STAMP "[23] new\n" STAMP "[24] new\n");
}

/* Rules: O4 */
static void test_orphaned_pipes_are_bounded(void **state)
{
    (void)state;
    for (pid_t pid = 1; pid <= LIMIT_ORPHANS / 8; pid++) {
        add_worker(pid);
        assert_int_equal(relay_worker_ended(&relay, (unsigned)pid), 0);
    }
    /* The fake has fewer streams than there may be orphans: the count is moved up instead. */
    relay.orphans += LIMIT_ORPHANS - LIMIT_ORPHANS / 8;
    write_line(relay.sources[0].fd, "unfinished");
    relay_pump(&relay);
    add_worker(999);
    assert_int_equal(relay_worker_ended(&relay, 999), 1);
    assert_int_equal(relay.sources[0].fd, -1);
    log_flush(&log_);
    expect(STAMP "[1] unfinished\n");
}

/* Rules: O3 */
static void test_a_stuck_log_is_not_read_for(void **state)
{
    (void)state;
    static char line[101];
    int fd = add_worker(11);
    memset(line, 'x', 100);
    line[100] = '\n';
    fake.output_room = 0;
    size_t written = 0;
    while (relay_wants_input(&relay)) {
        for (int i = 0; i < 100; i++, written++)
            os_fake_feed(&fake, fd, line, sizeof line);
        relay_pump(&relay);
    }
    size_t reads = os_fake_uses(&fake, "read");
    relay_pump(&relay);
    relay_pump(&relay);
    assert_int_equal(os_fake_uses(&fake, "read"), reads);
    assert_false(relay_drain(&relay));

    /* When the reader reads again, everything comes, in order. */
    fake.output_room = SIZE_MAX;
    size_t lines = 0;
    do {
        os_fake_forget(&fake);
        fake.output_room = 200000;
        relay_pump(&relay);
        for (size_t i = 0; i < fake.output_length; i++)
            lines += fake.output[i] == '\n';
    } while (fake.output_length);
    assert_int_equal(lines, written);
}

/* Rules: O2 O3 */
static void test_nothing_is_held_back_once_there_is_room(void **state)
{
    (void)state;
    static char line[101];
    int fd = add_worker(11);
    memset(line, 'x', 100);
    line[100] = '\n';
    fake.output_room = 0;
    while (relay_wants_input(&relay)) {
        for (int i = 0; i < 100; i++)
            os_fake_feed(&fake, fd, line, sizeof line);
        relay_pump(&relay);
    }
    /* The way out is free by the time of the last flush: nobody else would call for the rest. */
    os_fake_forget(&fake);
    fake.output_room = OS_FAKE_TEXT - 1;
    relay_pump(&relay);
    assert_true(relay_wants_input(&relay) || log_waits_for(&log_) >= 0);
    while (!relay_wants_input(&relay)) {
        os_fake_forget(&fake);
        fake.output_room = OS_FAKE_TEXT - 1;
        relay_pump(&relay);
        assert_true(relay_wants_input(&relay) || log_waits_for(&log_) >= 0);
    }
}

/* Rules: O2 */
static void test_a_line_without_end_is_cut(void **state)
{
    (void)state;
    static char block[50000];
    int fd = add_worker(11);
    memset(block, 'y', sizeof block);
    for (int i = 0; i < 4; i++) {
        os_fake_feed(&fake, fd, block, sizeof block);
        relay_pump(&relay);
    }
    write_line(fd, "\n");
    relay_pump(&relay);
    size_t prefix = strlen(STAMP "[11] ");
    assert_int_equal(fake.output_length, 200000 + 4 * (prefix + 1));
    assert_int_equal(fake.output[prefix + LIMIT_LOG_LINE], '\n');
}

/* Rules: R7 */
static void test_what_cannot_be_watched_stays_the_caller_s(void **state)
{
    (void)state;
    int fd = fake.os.null_open(&fake.os);
    os_fake_fail(&fake, "watch_add", 1, ENOSPC);
    assert_int_equal(relay_add(&relay, fd, 11, 11), -ENOSPC);
    assert_int_equal(relay_add(&relay, fd, 11, 11), 0);
}

/* Rules: O2 I7 */
static void test_a_read_that_fails_once_loses_nothing(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "begun\n");
    os_fake_fail(&fake, "read", 1, EIO);
    relay_pump(&relay);
    expect(STAMP "[11] begun\n");
    assert_true(relay_wants_input(&relay));
    assert_false(relay_wants_time(&relay));
}

/* Rules: O2 I7 I9 */
static void test_a_pipe_that_cannot_be_read_is_kept_and_tried_in_a_while(void **state)
{
    (void)state;
    int fd = add_worker(11);
    write_line(fd, "begun");
    relay_pump(&relay);
    write_line(fd, " and ended\n");
    os_fake_fail(&fake, "read", 0, EIO);
    relay_pump(&relay);
    assert_false(relay_wants_input(&relay));
    assert_true(relay_wants_time(&relay));
    assert_int_equal(relay_worker_ended(&relay, 11), 0);
    assert_true(relay_drain(&relay));
    expect("");

    fake.fail_count = 0;
    relay_pump(&relay);
    expect(STAMP "[11] begun and ended\n");
    assert_true(relay_wants_input(&relay));
    assert_false(relay_wants_time(&relay));
}

#define RELAY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELAY_TEST(test_lines_of_several_workers_never_mix),
        RELAY_TEST(test_one_byte_reads_change_nothing),
        RELAY_TEST(test_what_a_worker_wrote_before_its_end_is_logged),
        RELAY_TEST(test_the_last_lines_of_a_worker_are_kept),
        RELAY_TEST(test_no_more_than_whole_lines_of_4_kib_are_kept),
        RELAY_TEST(test_a_last_line_longer_than_that_is_kept_from_its_middle),
        RELAY_TEST(test_a_pipe_that_others_hold_stays_open),
        RELAY_TEST(test_a_line_that_others_are_writing_is_not_cut),
        RELAY_TEST(test_a_new_worker_may_have_the_pid_of_an_ended_one),
        RELAY_TEST(test_the_end_of_a_worker_is_not_taken_for_that_of_its_namesake),
        RELAY_TEST(test_a_worker_without_a_pipe_leaves_that_of_the_one_before_alone),
        RELAY_TEST(test_a_worker_that_closed_its_pipe_leaves_none_behind),
        RELAY_TEST(test_the_places_of_closed_pipes_are_used_again),
        RELAY_TEST(test_orphaned_pipes_are_bounded),
        RELAY_TEST(test_a_stuck_log_is_not_read_for),
        RELAY_TEST(test_nothing_is_held_back_once_there_is_room),
        RELAY_TEST(test_a_line_without_end_is_cut),
        RELAY_TEST(test_what_cannot_be_watched_stays_the_caller_s),
        RELAY_TEST(test_a_read_that_fails_once_loses_nothing),
        RELAY_TEST(test_a_pipe_that_cannot_be_read_is_kept_and_tried_in_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
