/*
 * Tests of notify_message: which bytes say what, and what of a status is shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "notify_message.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* The bytes of a literal, NULs and all. */
#define BYTES(literal) literal, sizeof(literal) - 1

enum { LONG = 64 * 1024 };

/* Rules: R3 */
static void test_what_counts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool ready, stopping;
    } cases[] = {
        {BYTES("READY=1"), true, false},
        {BYTES("READY=1\n"), true, false},
        {BYTES("READY=1\0"), true, false},
        {BYTES("\nREADY=1"), true, false},
        {BYTES("\n\nREADY=1\n\n"), true, false},
        {BYTES("A=b\nREADY=1\nC=d"), true, false},
        {BYTES("READY=1\r\n"), true, false},
        {BYTES("STOPPING=1"), false, true},
        {BYTES("READY=1\nSTOPPING=1\n"), true, true},
        {BYTES(""), false, false},
        {BYTES("\0"), false, false},
        {BYTES("\n"), false, false},
        {BYTES("READY"), false, false},
        {BYTES("READY="), false, false},
        {BYTES("READY=0"), false, false},
        {BYTES("READY=10"), false, false},
        {BYTES("READY=1 "), false, false},
        {BYTES(" READY=1"), false, false},
        {BYTES("ready=1"), false, false},
        {BYTES("XREADY=1"), false, false},
        {BYTES("STATUS=READY=1"), false, false},
        {BYTES("STOPPING=0"), false, false},
        {BYTES("RELOADING=1\nMAINPID=7\nWATCHDOG=1\nBARRIER=1\nFDSTORE=1\nX_MINE=\n=\n"), false,
            false},
        {BYTES("\xff\xfe=1\nREADY=1"), true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_message message;
        assert_true(notify_message_read(cases[i].bytes, cases[i].length, &message));
        assert_int_equal(message.ready, cases[i].ready);
        assert_int_equal(message.stopping, cases[i].stopping);
    }
}

/* Rules: R3 */
static void test_a_nul_makes_it_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {BYTES("READY=1\0\0")},
        {BYTES("READY=1\n\0STATUS=a")},
        {BYTES("\0READY=1")},
        {BYTES("\0\0")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_message message;
        memset(&message, 0xa5, sizeof message);
        assert_false(notify_message_read(cases[i].bytes, cases[i].length, &message));
        assert_false(message.ready || message.stopping);
        assert_false(message.has_extend || message.has_status);
    }
}

/* Rules: R3 */
static void test_extensions(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool has;
        uint64_t ms;
    } cases[] = {
        {"EXTEND_TIMEOUT_USEC=0", true, 0},
        {"EXTEND_TIMEOUT_USEC=1", true, 1},
        {"EXTEND_TIMEOUT_USEC=1000", true, 1},
        {"EXTEND_TIMEOUT_USEC=1001", true, 2},
        {"EXTEND_TIMEOUT_USEC=5000000\nREADY=1", true, 5000},
        {"EXTEND_TIMEOUT_USEC=18446744073709551615", true, 18446744073709552},
        {"EXTEND_TIMEOUT_USEC=18446744073709551616", false, 0},
        {"EXTEND_TIMEOUT_USEC=99999999999999999999999", false, 0},
        {"EXTEND_TIMEOUT_USEC=", false, 0},
        {"EXTEND_TIMEOUT_USEC=-1", false, 0},
        {"EXTEND_TIMEOUT_USEC=+1", false, 0},
        {"EXTEND_TIMEOUT_USEC= 1", false, 0},
        {"EXTEND_TIMEOUT_USEC=1s", false, 0},
        {"EXTEND_TIMEOUT_USEC=0x10", false, 0},
        {"EXTEND_TIMEOUT_USEC", false, 0},
        {"EXTEND_TIMEOUT_USEC=2000\nEXTEND_TIMEOUT_USEC=9000", true, 2},
        {"EXTEND_TIMEOUT_USEC=no\nEXTEND_TIMEOUT_USEC=9000", true, 9},
        {"EXTEND_TIMEOUT_USEC=2000\nEXTEND_TIMEOUT_USEC=no", true, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_message message;
        assert_true(notify_message_read(cases[i].bytes, strlen(cases[i].bytes), &message));
        assert_int_equal(message.has_extend, cases[i].has);
        assert_int_equal(message.extend_ms, cases[i].ms);
    }
}

/* Rules: R3 */
static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *status; /* NULL: none */
    } cases[] = {
        {"STATUS=warming up", "warming up"},
        {"STATUS=", ""},
        {"STATUS=a=b\nREADY=1", "a=b"},
        {"READY=1\nSTATUS= two  words \n", " two  words "},
        {"STATUS=first\nSTATUS=second", "first"},
        {"STATUS=\nSTATUS=second", ""},
        {"READY=1", NULL},
        {"STATUS", NULL},
        {"XSTATUS=a", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_message message;
        assert_true(notify_message_read(cases[i].bytes, strlen(cases[i].bytes), &message));
        assert_int_equal(message.has_status, cases[i].status != NULL);
        if (cases[i].status != NULL)
            assert_true(text_span_is(message.status, cases[i].status));
    }
}

/* Rules: R3 */
static void test_a_long_one(void **state)
{
    (void)state;
    static char bytes[LONG];
    struct notify_message message;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "STATUS=", 7);
    memcpy(bytes + sizeof bytes - 8, "\nREADY=1", 8);
    assert_true(notify_message_read(bytes, sizeof bytes, &message));
    assert_true(message.ready);
    assert_int_equal(message.status.length, sizeof bytes - 15);
}

/* Rules: R3 I11 */
static void test_a_status_is_fit_to_be_printed(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *shown;
        size_t size; /* of the text's buffer */
    } cases[] = {
        {"", "", 100},
        {"plain ~", "plain ~", 100},
        {"\t\x01\x1f\x7f.", "????.", 100},
        {"\033[2Jgone", "?[2Jgone", 100},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 100},
        {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0\xc3\x9b", "???\xc2\xa0\xc3\x9b", 100},
        {"\xff\xc3(\xe2\x82", "?\?(?\?", 100},
        {"\xc0\xaf\xed\xa0\x80", "?????", 100},
        {"abcdef", "abcd", 5},
        {"abcde\x01", "abcde?", 7},
        {"abcde\x01", "abcde", 6},
        {"ab\xe2\x82\xac", "ab\xe2\x82\xac", 6},
        {"ab\xe2\x82\xac", "ab", 5},
        {"a\xff", "a", 2},
        {"a\xff", "a?", 3},
        {"a\xc2\x80", "a?", 3},
        {"a", "", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buffer[100];
        struct text text;
        text_init(&text, buffer, cases[i].size);
        notify_message_add_status(text_span_of(cases[i].status), &text);
        assert_string_equal(buffer, cases[i].shown);
        assert_false(text.overflow);
    }
}

/* Rules: R3 I10 */
static void test_a_status_ends_where_it_ends(void **state)
{
    (void)state;
    char buffer[8];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    notify_message_add_status((struct text_span){"a\xe2\x82\xac", 3}, &text);
    assert_string_equal(buffer, "a?\?");
}

/* Rules: R3 */
static void test_a_status_goes_behind_what_is_there(void **state)
{
    (void)state;
    char buffer[8];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    text_add(&text, "is ");
    notify_message_add_status(text_span_of("long"), &text);
    notify_message_add_status(text_span_of("er"), &text);
    assert_string_equal(buffer, "is long");
    assert_false(text.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_a_nul_makes_it_nothing),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_a_long_one),
        cmocka_unit_test(test_a_status_is_fit_to_be_printed),
        cmocka_unit_test(test_a_status_ends_where_it_ends),
        cmocka_unit_test(test_a_status_goes_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
