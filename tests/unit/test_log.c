/*
 * Tests of log and log_form: the three forms, the queue's bounds, and a way out that is stuck,
 * broken or gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "log.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define STAMP "socketmaster[1000] 2026/01/02 03:04:05 "

static struct os_fake fake;
static struct log log_;

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    return 0;
}

static void open_log(enum log_format format)
{
    const char *syslog = format == LOG_FORMAT_SYSLOG ? "/dev/log" : NULL;
    assert_int_equal(log_open(&log_, &fake.os, format, syslog), 0);
}

static void say(const char *line)
{
    log_say(&log_, LOG_INFO, line, strlen(line));
}

static void add(pid_t worker, const char *line, size_t length, bool cut)
{
    struct childlog_record record = {.line = {line, length}, .cut = cut};
    log_begin_worker(&log_, worker);
    log_add_record(&log_, &record);
}

static void open_syslog_daemon(void)
{
    os_fake_file(&fake, "/dev/log", OS_FILE_SOCKET)->live = true;
}

/* --- forms --- */

/* Rules: O1 */
static void test_text_reads_as_the_original(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    say("hello");
    add(77, "from \0below", 11, false);
    add(78, "", 0, false);
    log_flush(&log_);
    static const char expected[] = STAMP "hello\n" STAMP "[77] from \0below\n" STAMP "[78] \n";
    assert_int_equal(fake.output_length, sizeof expected - 1);
    assert_memory_equal(fake.output, expected, sizeof expected - 1);
}

/* Rules: O1 */
static void test_the_time_is_renewed_each_second(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    add(77, "a", 1, false);
    fake.wall.nanoseconds = 999999999;
    add(77, "b", 1, false);
    fake.wall.seconds++;
    add(77, "c", 1, false);
    say("d");
    fake.wall.seconds++;
    say("e");
    add(77, "f", 1, false);
    log_flush(&log_);
    assert_string_equal(fake.output, STAMP "[77] a\n" STAMP "[77] b\n"
                                           "socketmaster[1000] 2026/01/02 03:04:06 [77] c\n"
                                           "socketmaster[1000] 2026/01/02 03:04:06 d\n"
                                           "socketmaster[1000] 2026/01/02 03:04:07 e\n"
                                           "socketmaster[1000] 2026/01/02 03:04:07 [77] f\n");
}

/* Rules: O1 */
static void test_json_is_one_object_a_line(void **state)
{
    static const struct {
        const char *line;
        size_t length;
        const char *members;
    } cases[] = {
        {"plain", 5, "\"message\":\"plain\""},
        {"q\"b\\t\tn\x01\x7f", 9, "\"message\":\"q\\\"b\\\\t\\tn\\u0001\\u007f\""},
        {"\0", 1, "\"message\":\"\\u0000\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
            "\"message\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"caf\xe9", 4, "\"encoding\":\"latin-1\",\"message\":\"caf\\u00e9\""},
        {"\xc0\x80", 2, "\"encoding\":\"latin-1\",\"message\":\"\\u00c0\\u0080\""},
        {"\xed\xa0\x80", 3, "\"encoding\":\"latin-1\",\"message\":\"\\u00ed\\u00a0\\u0080\""},
        {"\xe0\x80\x80", 3, "\"encoding\":\"latin-1\",\"message\":\"\\u00e0\\u0080\\u0080\""},
        {"\xf4\x90\x80\x80", 4,
            "\"encoding\":\"latin-1\",\"message\":\"\\u00f4\\u0090\\u0080\\u0080\""},
        {"\xe2\x82", 2, "\"encoding\":\"latin-1\",\"message\":\"\\u00e2\\u0082\""},
        {"\xe2x\xac", 3, "\"encoding\":\"latin-1\",\"message\":\"\\u00e2x\\u00ac\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        open_log(LOG_FORMAT_JSON);
        add(77, cases[i].line, cases[i].length, i == 0);
        log_flush(&log_);
        char expected[256];
        snprintf(expected, sizeof expected,
            "{\"time\":\"2026-01-02T03:04:05+00:00\",\"pid\":1000,\"worker\":77,%s%s}\n",
            i == 0 ? "\"continues\":true," : "", cases[i].members);
        assert_string_equal(fake.output, expected);
    }
}

/* Rules: O1 */
static void test_json_names_the_severity_of_our_own_lines(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON);
    log_say(&log_, LOG_WARNING, "careful", 7);
    log_flush(&log_);
    assert_string_equal(fake.output, "{\"time\":\"2026-01-02T03:04:05+00:00\",\"pid\":1000,"
                                     "\"severity\":\"warning\",\"message\":\"careful\"}\n");
}

/* Rules: O1 */
static void test_syslog_gets_a_datagram_a_line(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    log_say(&log_, LOG_ERR, "bad", 3);
    add(77, "line", 4, false);
    log_flush(&log_);
    assert_int_equal(fake.datagram_count, 2);
    assert_string_equal(fake.datagrams, "<27>Jan  2 03:04:05 socketmaster[1000]: bad\n"
                                        "<30>Jan  2 03:04:05 socketmaster[1000]: [77] line\n");
    assert_int_equal(fake.output_length, 0);
    log_close(&log_);
    os_fake_done(&fake);
}

/* Rules: O1 O2 */
static void test_every_form_bounds_its_records(void **state)
{
    static char line[LIMIT_LOG_LINE];
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_SYSLOG};
    memset(line, 0x80, sizeof line);
    for (size_t i = 0; i < COUNT(formats); i++) {
        set_up(state);
        open_syslog_daemon();
        open_log(formats[i]);
        size_t cap = log_line_cap(&log_);
        add(INT32_MAX, line, cap, true);
        assert_true(log_.tail <= log_form_bound(&log_.form, cap));
    }
}

/* Rules: O2 */
static void test_whole_lines_take_the_fast_way(void **state)
{
    static char longest[LIMIT_LOG_LINE + 2];
    static const struct {
        const char *bytes;
        size_t taken;
    } cases[] = {{"a\nbb\n\nunfinished", 6}, {"unfinished", 0}, {"", 0}, {"\n", 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        open_log(LOG_FORMAT_TEXT);
        log_begin_worker(&log_, 77);
        size_t taken = log_add_lines(&log_, cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(taken, cases[i].taken);
        log_flush(&log_);
        if (i == 0)
            assert_string_equal(fake.output, STAMP "[77] a\n" STAMP "[77] bb\n" STAMP "[77] \n");
    }

    /* A line of the greatest length is taken, a longer one is left to be cut. */
    memset(longest, 'x', sizeof longest);
    longest[LIMIT_LOG_LINE] = '\n';
    assert_int_equal(log_add_lines(&log_, longest, sizeof longest), LIMIT_LOG_LINE + 1);
    longest[LIMIT_LOG_LINE] = 'x';
    longest[LIMIT_LOG_LINE + 1] = '\n';
    assert_int_equal(log_add_lines(&log_, longest, sizeof longest), 0);

    /* Nor does it go on beyond a batch. */
    fake.output_room = 0;
    longest[LIMIT_LOG_LINE] = '\n';
    size_t lines = 0;
    while (log_add_lines(&log_, longest, LIMIT_LOG_LINE + 1))
        lines++;
    assert_true(log_batch_full(&log_));
    assert_in_range(lines, 1, LOG_BATCH / LIMIT_LOG_LINE);
}

/* Rules: O1 O2 */
static void test_json_has_no_fast_way(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON);
    log_begin_worker(&log_, 77);
    assert_int_equal(log_add_lines(&log_, "a\n", 2), 0);
}

/* --- a way out that is stuck --- */

/* Rules: O3 */
static void test_a_stuck_reader_loses_nothing(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    fake.output_room = 10;
    say("one");
    log_flush(&log_);
    assert_int_equal(log_waits_for(&log_), 2);
    assert_false(log_is_empty(&log_));
    say("two");
    fake.output_room = SIZE_MAX;
    log_flush(&log_);
    assert_int_equal(log_waits_for(&log_), -1);
    assert_true(log_is_empty(&log_));
    assert_string_equal(fake.output, STAMP "one\n" STAMP "two\n");
}

/* Rules: O3 I6 */
static void test_a_reader_that_takes_a_byte_at_a_time_holds_up_nothing(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    say("a line of more bytes than a flush has writes, whatever stands before it");
    fake.write_most = 1;
    log_flush(&log_);
    assert_true(fake.output_length < 100);
    assert_int_equal(log_waits_for(&log_), log_.output.fd);
    fake.write_most = SIZE_MAX;
    log_flush(&log_);
    assert_int_equal(log_waits_for(&log_), -1);
    assert_string_equal(fake.output,
        STAMP "a line of more bytes than a flush has writes, whatever stands before it\n");
}

/* Rules: O3 */
static void test_what_the_output_still_holds_is_not_out(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    fake.output_held = 5;
    say("one");
    log_flush(&log_);
    assert_false(log_is_empty(&log_));
    fake.output_held = 0;
    log_flush(&log_);
    assert_true(log_is_empty(&log_));
}

/* Rules: O3 */
static void test_a_stuck_reader_leaves_room_for_our_own_lines(void **state)
{
    (void)state;
    static char line[4000];
    memset(line, 'x', sizeof line);
    open_log(LOG_FORMAT_TEXT);
    fake.output_room = 0;
    size_t records = 0;
    while (log_has_room(&log_)) {
        add(77, line, sizeof line, false);
        records++;
    }
    assert_true(records > 100);
    for (int i = 0; i < 100; i++)
        say("our own line");
    assert_int_equal(log_.lost, 0);

    /* Even those have an end, and it is told. */
    for (int i = 0; i < 30000; i++)
        say("our own line");
    assert_true(log_.lost > 0);
    uint64_t lost = log_.lost;
    fake.output_room = SIZE_MAX;
    os_fake_forget(&fake);
    while (!log_is_empty(&log_)) {
        os_fake_forget(&fake);
        fake.output_room = 100000;
        log_flush(&log_);
    }
    char expected[128];
    snprintf(expected, sizeof expected, STAMP "%llu log lines were lost: %s\n",
        (unsigned long long)lost, strerror(ENOBUFS));
    assert_non_null(strstr(fake.output, expected));
}

/* --- a way out that is broken --- */

/* Rules: O3 */
static void test_a_full_disk_costs_lines_and_says_so(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    say("kept");
    log_flush(&log_);
    os_fake_fail(&fake, "output_write", 0, ENOSPC);
    say("lost 1");
    say("lost 2");
    log_flush(&log_);
    assert_int_equal(log_waits_for(&log_), -1);
    assert_true(log_is_empty(&log_));
    fake.fail_count = 0;
    say("again");
    log_flush(&log_);
    assert_string_equal(fake.output,
        STAMP "kept\n" STAMP "again\n" STAMP "2 log lines were lost: No space left on device\n");
}

/* Rules: O3 */
static void test_a_line_cut_by_a_failure_does_not_swallow_the_next(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    fake.output_room = 12;
    say("cut in two");
    log_flush(&log_);
    os_fake_fail(&fake, "output_write", 1, EIO);
    log_flush(&log_);
    fake.output_room = SIZE_MAX;
    say("next");
    log_flush(&log_);
    assert_string_equal(fake.output,
        "socketmaster\n" STAMP "next\n" STAMP "1 log line was lost: Input/output error\n");
}

/* Rules: O3 I6 */
static void test_while_a_cut_line_cannot_be_ended_nothing_is_put_behind_it(void **state)
{
    static const size_t failures[] = {1, 0}; /* 0: for ever */
    for (size_t i = 0; i < COUNT(failures); i++) {
        set_up(state);
        open_log(LOG_FORMAT_TEXT);
        fake.output_room = 12;
        say("cut in two");
        log_flush(&log_);
        os_fake_fail(&fake, "output_write", 1, EIO);
        log_flush(&log_);
        fake.output_room = SIZE_MAX;
        os_fake_fail(&fake, "output_write", failures[i], ENOSPC);
        say("lost with it");
        log_flush(&log_);
        assert_true(log_is_empty(&log_));
        assert_int_equal(log_waits_for(&log_), -1);
        fake.fail_count = 0;
        say("next");
        log_flush(&log_);
        assert_string_equal(fake.output, "socketmaster\n" STAMP "next\n" STAMP
                                         "2 log lines were lost: No space left on device\n");
    }
}

/* Rules: O3 */
static void test_a_line_without_its_newline_is_not_lost(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    fake.output_room = sizeof STAMP "whole" - 1;
    say("whole");
    say("lost");
    log_flush(&log_);
    os_fake_fail(&fake, "output_write", 1, EIO);
    log_flush(&log_);
    assert_int_equal(log_.counts.lost, 1);
    fake.output_room = SIZE_MAX;
    say("next");
    log_flush(&log_);
    assert_string_equal(fake.output,
        STAMP "whole\n" STAMP "next\n" STAMP "1 log line was lost: Input/output error\n");
}

/* Rules: O3 */
static void test_a_report_of_loss_that_is_lost_is_told_again(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    os_fake_fail(&fake, "output_write", 1, EPIPE);
    say("lost");
    log_flush(&log_);
    os_fake_fail(&fake, "output_write", 2, EPIPE);
    say("kept");
    log_flush(&log_);
    assert_int_equal(log_.lost, 1);
    say("kept too");
    log_flush(&log_);
    assert_non_null(strstr(fake.output, "kept too\n" STAMP "1 log line was lost: Broken pipe\n"));
}

/* Rules: O3 */
static void test_what_was_told_is_not_counted_again(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    os_fake_fail(&fake, "datagrams_send", 1, EMSGSIZE);
    say("too large");
    log_flush(&log_);
    assert_int_equal(fake.datagram_count, 1);

    /* The count goes out, the line after it is lost with the daemon. */
    os_fake_fail(&fake, "datagrams_send", 1, EMSGSIZE);
    say("too large");
    fake.datagram_room = 1;
    log_flush(&log_);
    say("lost");
    log_flush(&log_);
    os_fake_fail(&fake, "datagrams_send", 0, ECONNREFUSED);
    log_flush(&log_);
    assert_non_null(strstr(fake.datagrams, "1 log line was lost"));
    assert_int_equal(log_.lost, 1);
    log_close(&log_);
}

/* --- what is counted --- */

static const struct {
    enum log_format format;
    const char *whole; /* by the fast way, as far as that takes it */
    struct childlog_record record;
    uint64_t lines, bytes;
} count_cases[] = {
    {LOG_FORMAT_TEXT, "", {{"", 0}, false}, 1, 0},
    {LOG_FORMAT_TEXT, "a\nbb\n\n", {{"ccc", 3}, false}, 4, 6},
    {LOG_FORMAT_TEXT, "a\nunfinished", {{"dddd", 4}, false}, 2, 5},
    /* A piece of a line is no line yet. */
    {LOG_FORMAT_TEXT, "", {{"piece", 5}, true}, 0, 5},
    {LOG_FORMAT_SYSLOG, "a\nbb\n", {{"\0c", 2}, false}, 3, 5},
    {LOG_FORMAT_JSON, "a\nbb\n", {{"\x01\x02", 2}, false}, 1, 2},
};

/* Rules: O2 K5 */
static void test_lines_and_bytes_of_workers_are_counted(void **state)
{
    for (size_t i = 0; i < COUNT(count_cases); i++) {
        set_up(state);
        open_syslog_daemon();
        open_log(count_cases[i].format);
        for (uint64_t round = 1; round <= 2; round++) {
            say("our own does not count");
            log_begin_worker(&log_, 77);
            log_add_lines(&log_, count_cases[i].whole, strlen(count_cases[i].whole));
            log_add_record(&log_, &count_cases[i].record);
            log_flush(&log_);
            assert_int_equal(log_.counts.lines, round * count_cases[i].lines);
            assert_int_equal(log_.counts.bytes, round * count_cases[i].bytes);
        }
        assert_int_equal(log_.counts.lost, 0);
        log_close(&log_);
        os_fake_done(&fake);
    }
}

enum { MISHAPS = 400 };

/* Lines that came out whole, and how many lost ones others told of. */
static void read_output(const char *output, bool *came, uint64_t *told)
{
    char line[256];
    for (const char *end; (end = strchr(output, '\n')); output = end + 1) {
        unsigned number;
        unsigned long long lost;
        snprintf(line, sizeof line, "%.*s", (int)(end - output), output);
        const char *mark = strrchr(line, '<');
        const char *word = strstr(line, " log line");
        if (mark && sscanf(mark, "<line %u>", &number) == 1 && strchr(mark, '>'))
            came[number] = true;
        if (!word)
            continue;
        while (word > line && word[-1] != ' ')
            word--;
        assert_int_equal(sscanf(word, "%llu log line", &lost), 1);
        *told += lost;
    }
}

/* Makes the way out fail, or take little, or work. */
static void befall(const char *call, unsigned chance)
{
    static const int errors[] = {EPIPE, ENOSPC, EMSGSIZE, ENOBUFS, EAGAIN};
    fake.fail_count = 0;
    fake.output_room = fake.datagram_room = SIZE_MAX;
    switch (chance % 4) {
    case 0:
        os_fake_fail(&fake, call, chance / 4 % 3, errors[chance / 16 % COUNT(errors)]);
        break;
    case 1:
        fake.output_room = chance / 4 % 100;
        fake.datagram_room = chance / 4 % 3;
        break;
    default:
        break;
    }
}

/* Rules: O3 O1 */
static void test_each_lost_line_is_counted_and_told_once(void **state)
{
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_SYSLOG};
    for (uint32_t seed = 1; seed <= 40; seed++) {
        bool came[MISHAPS] = {false};
        uint64_t told = 0, lost = 0;
        uint32_t random = seed;
        enum log_format format = formats[seed % COUNT(formats)];
        set_up(state);
        open_syslog_daemon();
        open_log(format);
        for (unsigned i = 0; i < MISHAPS; i++) {
            char line[32];
            random = random * 1664525 + 1013904223;
            snprintf(line, sizeof line, "<line %u>", i);
            if (random >> 31)
                say(line);
            else
                add(77, line, strlen(line), false);
            befall(format == LOG_FORMAT_TEXT ? "output_write" : "datagrams_send", random >> 8);
            if (random >> 30 & 1)
                log_flush(&log_);
            fake.now_ms += random >> 20 & 511;
        }
        /* All is well again, and stays so. */
        befall("none", 3);
        say("the last line");
        for (int i = 0; i < 3; i++) {
            fake.now_ms += LOG_RETRY_MS;
            log_flush(&log_);
        }
        assert_true(log_is_empty(&log_));
        read_output(format == LOG_FORMAT_TEXT ? fake.output : fake.datagrams, came, &told);
        for (unsigned i = 0; i < MISHAPS; i++)
            lost += !came[i];
        assert_true(lost > 0);
        assert_int_equal(log_.counts.lost, lost);
        assert_int_equal(told, lost);
        log_close(&log_);
        os_fake_done(&fake);
    }
}

/* --- those who follow --- */

struct followed {
    size_t calls, length;
    char bytes[64 * 1024];
};

static void take(void *context, const char *lines, size_t length)
{
    struct followed *followed = context;
    assert_true(length > 0 && lines[length - 1] == '\n');
    assert_true(followed->length + length < sizeof followed->bytes);
    memcpy(followed->bytes + followed->length, lines, length);
    followed->length += length;
    followed->bytes[followed->length] = '\0';
    followed->calls++;
}

/* Rules: K5 O2 */
static void test_a_follower_gets_what_is_queued_in_whole_lines(void **state)
{
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON};
    static struct followed followed;
    static const struct log_tap tap = {.take = take, .context = &followed};
    for (size_t i = 0; i < COUNT(formats); i++) {
        bool fast = formats[i] == LOG_FORMAT_TEXT;
        set_up(state);
        memset(&followed, 0, sizeof followed);
        log_follow(&log_, &tap);
        open_log(formats[i]);
        say("before anybody followed");
        log_flush(&log_);
        assert_int_equal(followed.calls, 0);
        os_fake_forget(&fake);
        log_follow(&log_, &tap);
        for (int round = 0; round < 3; round++) {
            say("our own");
            add(77, "a record", 8, false);
            add(77, "a piece", 7, true);
            assert_int_equal(log_add_lines(&log_, "one\ntwo\nthree", 13), fast ? 8 : 0);
            /* Nothing was taken, so nothing is told. */
            log_add_lines(&log_, "three", 5);
            /* The queue does not begin where it did. */
            fake.output_room = 50;
            log_flush(&log_);
        }
        assert_int_equal(followed.calls, fast ? 12 : 9);
        fake.output_room = SIZE_MAX;
        log_flush(&log_);
        assert_int_equal(followed.length, fake.output_length);
        assert_string_equal(followed.bytes, fake.output);

        log_follow(&log_, NULL);
        say("after everybody left");
        assert_int_equal(followed.length, fake.output_length);
        log_close(&log_);
    }
}

/* Rules: K5 O3 */
static void test_a_follower_hears_of_lost_lines_and_is_no_reason_to_lose_any(void **state)
{
    static struct followed followed;
    static const struct log_tap tap = {.take = take, .context = &followed};
    (void)state;
    open_log(LOG_FORMAT_TEXT);
    log_follow(&log_, &tap);
    os_fake_fail(&fake, "output_write", 1, ENOSPC);
    say("lost");
    log_flush(&log_);
    say("again");
    log_flush(&log_);
    assert_string_equal(followed.bytes,
        STAMP "lost\n" STAMP "again\n" STAMP "1 log line was lost: No space left on device\n");

    /* What finds no room in the queue is followed by nobody. */
    fake.output_room = 0;
    log_flush(&log_);
    log_follow(&log_, NULL);
    while (log_.counts.lost == 1)
        say("our own line");
    followed.calls = 0;
    log_follow(&log_, &tap);
    say("our own line");
    assert_int_equal(followed.calls, 0);
    assert_int_equal(log_.counts.lost, 3);
    log_close(&log_);
}

/* Rules: K2 */
static void test_a_quiet_log_keeps_warnings_and_what_workers_write(void **state)
{
    static const struct {
        int severity;
        bool kept;
    } cases[] = {{LOG_ERR, true}, {LOG_WARNING, true}, {LOG_NOTICE, false}, {LOG_INFO, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        open_log(LOG_FORMAT_TEXT);
        log_set_quiet(&log_, true);
        log_say(&log_, cases[i].severity, "said", 4);
        add(77, "written", 7, false);
        log_set_quiet(&log_, false);
        log_say(&log_, cases[i].severity, "again", 5);
        log_flush(&log_);
        char expected[256];
        snprintf(expected, sizeof expected, "%s" STAMP "[77] written\n" STAMP "again\n",
            cases[i].kept ? STAMP "said\n" : "");
        assert_string_equal(fake.output, expected);
        assert_int_equal(log_.counts.lost, 0);
        log_close(&log_);
    }
    /* A log begins anew as it began first. */
    log_set_quiet(&log_, true);
    set_up(state);
    open_log(LOG_FORMAT_TEXT);
    say("said");
    log_flush(&log_);
    assert_string_equal(fake.output, STAMP "said\n");
}

/* --- syslog that is not there --- */

/* Rules: O3 */
static void test_messages_without_a_daemon_are_counted(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_SYSLOG);
    say("lost 1");
    log_flush(&log_);
    say("lost 2");
    log_flush(&log_);
    assert_true(log_is_empty(&log_));
    uint64_t due = log_deadline(&log_);
    assert_int_equal(due, fake.now_ms + LOG_RETRY_MS);

    /* Still none: the count stands, and is tried again a while later, not at once. */
    fake.now_ms = due;
    log_flush(&log_);
    assert_int_equal(log_.lost, 2);
    assert_int_equal(log_deadline(&log_), due + LOG_RETRY_MS);

    /* There it is, and nobody has anything to say: the count is told all the same. */
    open_syslog_daemon();
    fake.now_ms = due + LOG_RETRY_MS;
    log_flush(&log_);
    assert_string_equal(fake.datagrams,
        "<28>Jan  2 03:04:05 socketmaster[1000]: 2 log lines were lost: "
        "No such file or directory\n");
    assert_int_equal(log_deadline(&log_), UINT64_MAX);
    log_close(&log_);
    os_fake_done(&fake);
}

/* Rules: O3 */
static void test_a_daemon_that_was_restarted_is_found(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    say("one");
    log_flush(&log_);
    os_fake_fail(&fake, "datagrams_send", 1, ECONNREFUSED);
    say("two");
    log_flush(&log_);
    assert_int_equal(fake.datagram_count, 2);
    assert_int_equal(log_.lost, 0);
    log_close(&log_);
    os_fake_done(&fake);
}

/* Rules: O3 */
static void test_a_daemon_that_refuses_everything_ends_the_try(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    os_fake_fail(&fake, "datagrams_send", 0, EPERM);
    say("one");
    log_flush(&log_);
    assert_true(log_is_empty(&log_));
    assert_int_equal(log_.lost, 1);
    assert_int_equal(os_fake_uses(&fake, "datagrams_send"), 2);
}

/* Rules: O3 */
static void test_a_stuck_daemon_is_waited_for(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    fake.datagram_room = 1;
    for (int i = 0; i < 150; i++)
        say("line");
    log_flush(&log_);
    assert_int_equal(fake.datagram_count, 1);
    assert_int_equal(log_waits_for(&log_), log_.syslog_fd);
    fake.datagram_room = SIZE_MAX;
    log_flush(&log_);
    assert_int_equal(fake.datagram_count, 150);
    assert_int_equal(log_.lost, 0);
    log_close(&log_);
    os_fake_done(&fake);
}

/* Rules: O3 */
static void test_a_message_too_large_is_skipped_alone(void **state)
{
    (void)state;
    open_syslog_daemon();
    open_log(LOG_FORMAT_SYSLOG);
    os_fake_fail(&fake, "datagrams_send", 1, EMSGSIZE);
    say("too large");
    say("fits");
    log_flush(&log_);
    assert_string_equal(fake.datagrams, "<30>Jan  2 03:04:05 socketmaster[1000]: fits\n"
                                        "<28>Jan  2 03:04:05 socketmaster[1000]: "
                                        "1 log line was lost: Message too long\n");
}

/* Rules: O3 I6 */
static void test_messages_that_are_all_refused_come_to_an_end(void **state)
{
    const int errors[] = {EMSGSIZE, ENOBUFS};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        set_up(state);
        open_syslog_daemon();
        open_log(LOG_FORMAT_SYSLOG);
        os_fake_fail(&fake, "datagrams_send", 0, errors[i]);
        say("lost 1");
        say("lost 2");
        log_flush(&log_);
        assert_true(log_is_empty(&log_));
        assert_int_equal(log_.lost, 2);
    }
}

/* Rules: O3 */
static void test_no_standard_error_is_no_reason_to_die(void **state)
{
    (void)state;
    os_fake_fail(&fake, "output_open", 1, EBADF);
    assert_int_equal(log_open(&log_, &fake.os, LOG_FORMAT_TEXT, NULL), -EBADF);
    os_fake_fail(&fake, "output_write", 0, EBADF);
    say("nobody hears");
    log_flush(&log_);
    assert_true(log_is_empty(&log_));
    assert_int_equal(log_.lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_text_reads_as_the_original, set_up),
        cmocka_unit_test_setup(test_the_time_is_renewed_each_second, set_up),
        cmocka_unit_test_setup(test_json_is_one_object_a_line, set_up),
        cmocka_unit_test_setup(test_json_names_the_severity_of_our_own_lines, set_up),
        cmocka_unit_test_setup(test_syslog_gets_a_datagram_a_line, set_up),
        cmocka_unit_test_setup(test_every_form_bounds_its_records, set_up),
        cmocka_unit_test_setup(test_whole_lines_take_the_fast_way, set_up),
        cmocka_unit_test_setup(test_json_has_no_fast_way, set_up),
        cmocka_unit_test_setup(test_a_stuck_reader_loses_nothing, set_up),
        cmocka_unit_test_setup(test_a_reader_that_takes_a_byte_at_a_time_holds_up_nothing, set_up),
        cmocka_unit_test_setup(test_what_the_output_still_holds_is_not_out, set_up),
        cmocka_unit_test_setup(test_a_stuck_reader_leaves_room_for_our_own_lines, set_up),
        cmocka_unit_test_setup(test_a_full_disk_costs_lines_and_says_so, set_up),
        cmocka_unit_test_setup(test_a_line_cut_by_a_failure_does_not_swallow_the_next, set_up),
        cmocka_unit_test_setup(
            test_while_a_cut_line_cannot_be_ended_nothing_is_put_behind_it, set_up),
        cmocka_unit_test_setup(test_a_line_without_its_newline_is_not_lost, set_up),
        cmocka_unit_test_setup(test_a_report_of_loss_that_is_lost_is_told_again, set_up),
        cmocka_unit_test_setup(test_what_was_told_is_not_counted_again, set_up),
        cmocka_unit_test_setup(test_lines_and_bytes_of_workers_are_counted, set_up),
        cmocka_unit_test_setup(test_each_lost_line_is_counted_and_told_once, set_up),
        cmocka_unit_test_setup(test_a_follower_gets_what_is_queued_in_whole_lines, set_up),
        cmocka_unit_test_setup(
            test_a_follower_hears_of_lost_lines_and_is_no_reason_to_lose_any, set_up),
        cmocka_unit_test_setup(test_a_quiet_log_keeps_warnings_and_what_workers_write, set_up),
        cmocka_unit_test_setup(test_messages_without_a_daemon_are_counted, set_up),
        cmocka_unit_test_setup(test_a_daemon_that_was_restarted_is_found, set_up),
        cmocka_unit_test_setup(test_a_daemon_that_refuses_everything_ends_the_try, set_up),
        cmocka_unit_test_setup(test_a_stuck_daemon_is_waited_for, set_up),
        cmocka_unit_test_setup(test_a_message_too_large_is_skipped_alone, set_up),
        cmocka_unit_test_setup(test_messages_that_are_all_refused_come_to_an_end, set_up),
        cmocka_unit_test_setup(test_no_standard_error_is_no_reason_to_die, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
