/*
 * Tests of console: a whole text to whoever typed the command, and an output that takes a part of
 * it, nothing, or is broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "console.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct os_fake fake;
static char bytes[64];
static struct text text;

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    text_init(&text, bytes, sizeof bytes);
    return 0;
}

/* Whatever came of it, the output was opened and closed once, and nothing else was touched. */
static void expect_printed(int fd, const char *output)
{
    assert_string_equal(fake.output, output);
    assert_string_equal(fake.journal, fd == CONSOLE_OUTPUT ? "output_open 1\noutput_close 1\n"
                                                           : "output_open 2\noutput_close 2\n");
    os_fake_done(&fake);
}

/* Rules: C5 C7 */
static void test_the_whole_text_is_printed(void **state)
{
    static const int outputs[] = {CONSOLE_OUTPUT, CONSOLE_ERROR};
    for (size_t i = 0; i < COUNT(outputs); i++) {
        set_up(state);
        text_add(&text, "two\nlines\n");
        console_print(&fake.os, outputs[i], &text);
        expect_printed(outputs[i], "two\nlines\n");
        assert_int_equal(os_fake_uses(&fake, "output_flush"), 1);
    }
}

/* Rules: C7 */
static void test_bytes_are_printed_as_they_are(void **state)
{
    (void)state;
    text_add_bytes(&text, "a\0b", 3);
    console_print(&fake.os, CONSOLE_OUTPUT, &text);
    assert_int_equal(fake.output_length, 3);
    assert_memory_equal(fake.output, "a\0b", 3);
}

/* Rules: C7 */
static void test_an_empty_text_writes_nothing(void **state)
{
    (void)state;
    console_print(&fake.os, CONSOLE_OUTPUT, &text);
    assert_int_equal(os_fake_uses(&fake, "output_write"), 0);
    expect_printed(CONSOLE_OUTPUT, "");
}

/* Rules: C5 C6 */
static void test_a_complaint_is_one_line(void **state)
{
    (void)state;
    text_add(&text, "-listen: expected a URI");
    console_complain(&fake.os, &text);
    expect_printed(CONSOLE_ERROR, "socketmaster: -listen: expected a URI\n");
}

/* Rules: C7 */
static void test_short_writes_are_continued(void **state)
{
    /* What a scripted write takes is not in the fake's output. */
    static const struct {
        int64_t taken[3];
        size_t writes;
        const char *rest;
    } cases[] = {
        {{1}, 1, "bcdef"},
        {{5}, 1, "f"},
        {{2, 1, 2}, 3, "f"},
        {{6}, 1, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        for (size_t n = 0; n < cases[i].writes; n++)
            os_fake_answer(&fake,
                &(struct os_fake_answer){.call = "output_write", .result = cases[i].taken[n]});
        text_add(&text, "abcdef");
        console_print(&fake.os, CONSOLE_OUTPUT, &text);
        expect_printed(CONSOLE_OUTPUT, cases[i].rest);
    }
}

/* Rules: C5 */
static void test_a_complaint_survives_short_writes(void **state)
{
    (void)state;
    os_fake_answer(&fake, &(struct os_fake_answer){.call = "output_write", .result = 6});
    text_add(&text, "no");
    console_complain(&fake.os, &text);
    expect_printed(CONSOLE_ERROR, "master: no\n");
}

/* Rules: C5 C7 */
static void test_an_output_that_stays_blocked_is_given_up(void **state)
{
    static const struct {
        size_t room;
        const char *printed;
    } cases[] = {{0, ""}, {5, "socke"}, {14, "socketmaster: "}, {16, "socketmaster: no"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        fake.output_room = cases[i].room;
        text_add(&text, "no");
        console_complain(&fake.os, &text);
        assert_string_equal(fake.output, cases[i].printed);
        assert_in_range(os_fake_uses(&fake, "pause_ms"), 1, 1000);
        os_fake_done(&fake);
    }
}

/* Rules: C7 */
static void test_a_slow_reader_is_waited_for(void **state)
{
    (void)state;
    static const struct os_fake_answer later = {.call = "output_write", .result = -EAGAIN};
    for (int i = 0; i < 3; i++)
        os_fake_answer(&fake, &later);
    text_add(&text, "all of it");
    console_print(&fake.os, CONSOLE_OUTPUT, &text);
    assert_string_equal(fake.output, "all of it");
    os_fake_done(&fake);
}

/* Rules: C5 C7 */
static void test_a_broken_output_ends_the_printing(void **state)
{
    static const struct {
        size_t nth; /* the write that fails */
        int64_t result;
        const char *printed;
    } cases[] = {
        {1, -EPIPE, ""}, {2, -EIO, "socketmaster: "}, {3, -ENOSPC, "socketmaster: no"},
        {1, 0, ""}, /* no write(2) does that, and it must not be asked again for ever */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        if (cases[i].result < 0)
            os_fake_fail(&fake, "output_write", cases[i].nth, (int)-cases[i].result);
        else
            os_fake_answer(&fake, &(struct os_fake_answer){.call = "output_write"});
        text_add(&text, "no");
        console_complain(&fake.os, &text);
        assert_int_equal(os_fake_uses(&fake, "output_write"), cases[i].nth);
        expect_printed(CONSOLE_ERROR, cases[i].printed);
    }
}

/* Rules: C5 C7 */
static void test_an_output_that_is_not_open_is_left_alone(void **state)
{
    static const int errors[] = {EBADF, EMFILE};
    for (size_t i = 0; i < COUNT(errors); i++) {
        set_up(state);
        os_fake_fail(&fake, "output_open", 1, errors[i]);
        text_add(&text, "no");
        console_print(&fake.os, CONSOLE_OUTPUT, &text);
        assert_string_equal(fake.journal, "output_open 1\n");
        assert_int_equal(os_fake_uses(&fake, "output_write"), 0);
        os_fake_done(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_whole_text_is_printed, set_up),
        cmocka_unit_test_setup(test_bytes_are_printed_as_they_are, set_up),
        cmocka_unit_test_setup(test_an_empty_text_writes_nothing, set_up),
        cmocka_unit_test_setup(test_a_complaint_is_one_line, set_up),
        cmocka_unit_test_setup(test_short_writes_are_continued, set_up),
        cmocka_unit_test_setup(test_a_complaint_survives_short_writes, set_up),
        cmocka_unit_test_setup(test_an_output_that_stays_blocked_is_given_up, set_up),
        cmocka_unit_test_setup(test_a_slow_reader_is_waited_for, set_up),
        cmocka_unit_test_setup(test_a_broken_output_ends_the_printing, set_up),
        cmocka_unit_test_setup(test_an_output_that_is_not_open_is_left_alone, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
