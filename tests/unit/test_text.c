/*
 * Tests of text: what is cut and remembered, what a stranger's bytes look like, which digits count.
 * The room serves many rules; named here are those that would break first without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "text.h"

/* Rules: C5 */
static void test_builds_and_terminates(void **state)
{
    char buffer[32];
    struct text text;

    (void)state;
    memset(buffer, 'x', sizeof buffer);
    text_init(&text, buffer, sizeof buffer);
    assert_string_equal(buffer, "");
    assert_int_equal(text.length, 0);
    assert_false(text.overflow);

    text_add(&text, "one");
    text_add(&text, "");
    text_add_char(&text, ' ');
    text_add_bytes(&text, "two three", 3);
    assert_string_equal(buffer, "one two");
    assert_int_equal(text.length, 7);

    text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.length, 10);
    assert_memory_equal(buffer, "one twoa\0b", 11);

    text_add_bytes(&text, NULL, 0);
    assert_int_equal(text.length, 10);
    assert_false(text.overflow);
}

/* Rules: C5 O2 */
static void test_cuts_what_does_not_fit_and_remembers(void **state)
{
    static const struct {
        size_t size;
        const char *first;
        const char *second;
        const char *expected;
        bool overflow;
    } cases[] = {
        {1, "", "", "", false},
        {1, "a", "", "", true},
        {4, "abc", "", "abc", false},
        {4, "abcd", "", "abc", true},
        {4, "abc", "d", "abc", true},
        {4, "ab", "cde", "abc", true},
        {4, "abcdef", "", "abc", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[8];
        struct text text;

        memset(buffer, '!', sizeof buffer);
        text_init(&text, buffer, cases[i].size);
        text_add(&text, cases[i].first);
        text_add(&text, cases[i].second);
        assert_string_equal(buffer, cases[i].expected);
        assert_int_equal(text.length, strlen(cases[i].expected));
        assert_int_equal(text.overflow, cases[i].overflow);
        for (size_t after = cases[i].size; after < sizeof buffer; after++)
            assert_int_equal(buffer[after], '!');

        text_add(&text, "");
        assert_int_equal(text.overflow, cases[i].overflow);
    }
}

/* Rules: O1 */
static void test_adds_numbers(void **state)
{
    static const struct {
        uint64_t number;
        unsigned width;
        const char *expected;
    } unsigned_cases[] = {
        {0, 1, "0"},
        {0, 0, "0"},
        {0, 3, "000"},
        {7, 2, "07"},
        {42, 2, "42"},
        {123, 2, "123"},
        {10, 1, "10"},
        {UINT64_MAX, 1, "18446744073709551615"},
        {UINT64_MAX, 22, "0018446744073709551615"},
        {1, 30, "000000000000000000000000000001"},
    };
    static const struct {
        int64_t number;
        const char *expected;
    } signed_cases[] = {
        {0, "0"},
        {1, "1"},
        {-1, "-1"},
        {-10, "-10"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    char buffer[64];
    struct text text;

    (void)state;
    for (size_t i = 0; i < sizeof unsigned_cases / sizeof unsigned_cases[0]; i++) {
        text_init(&text, buffer, sizeof buffer);
        text_add_padded(&text, unsigned_cases[i].number, unsigned_cases[i].width);
        assert_string_equal(buffer, unsigned_cases[i].expected);
    }
    for (size_t i = 0; i < sizeof signed_cases / sizeof signed_cases[0]; i++) {
        text_init(&text, buffer, sizeof buffer);
        text_add_signed(&text, signed_cases[i].number);
        assert_string_equal(buffer, signed_cases[i].expected);
    }
    text_init(&text, buffer, sizeof buffer);
    text_add_unsigned(&text, UINT64_MAX);
    text_add_unsigned(&text, 0);
    assert_string_equal(buffer, "184467440737095516150");

    text_init(&text, buffer, 4);
    text_add_signed(&text, -1234);
    assert_string_equal(buffer, "-12");
    assert_true(text.overflow);
}

/* Rules: C5 L4 */
static void test_escapes_every_byte_that_a_terminal_might_act_on(void **state)
{
    char buffer[16];
    struct text text;

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;

        text_init(&text, buffer, sizeof buffer);
        text_add_escaped(&text, &c, 1);
        if (byte == '"' || byte == '\\') {
            assert_int_equal(text.length, 2);
            assert_int_equal(buffer[0], '\\');
            assert_int_equal(buffer[1], byte);
        } else if (byte >= ' ' && byte <= '~') {
            assert_int_equal(text.length, 1);
            assert_int_equal(buffer[0], byte);
        } else {
            assert_int_equal(text.length, 4);
            assert_memory_equal(buffer, "\\x", 2);
            assert_int_equal(text_hex_digit(buffer[2]) * 16 + text_hex_digit(buffer[3]), byte);
        }
    }
}

/* Rules: C5 L4 */
static void test_quotes(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *expected;
    } cases[] = {
        {"", 0, "\"\""},
        {NULL, 0, "\"\""},
        {"plain text", 10, "\"plain text\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\x1b[2J", 4, "\"\\x1b[2J\""},
        {"\r\n\t\0", 4, "\"\\x0d\\x0a\\x09\\x00\""},
        {"\x7f\x80\xff", 3, "\"\\x7f\\x80\\xff\""},
        {"%s%n", 4, "\"%s%n\""},
    };
    char buffer[64];
    struct text text;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text_init(&text, buffer, sizeof buffer);
        text_add_quoted(&text, cases[i].bytes, cases[i].length);
        assert_string_equal(buffer, cases[i].expected);
        assert_false(text.overflow);
    }
}

/* Rules: C2 L3 */
static void test_spans_compare_whole(void **state)
{
    static const char bytes[] = "backlogs";

    (void)state;
    assert_int_equal(text_span_of("").length, 0);
    assert_int_equal(text_span_of("abc").length, 3);
    assert_true(text_span_is(text_span_of("abc"), "abc"));
    assert_true(text_span_is((struct text_span){bytes, 7}, "backlog"));
    assert_false(text_span_is((struct text_span){bytes, 7}, "backlogs"));
    assert_false(text_span_is((struct text_span){bytes, 7}, "backlo"));
    assert_false(text_span_is((struct text_span){bytes, 7}, "Backlog"));
    assert_false(text_span_is((struct text_span){bytes, 7}, ""));
    assert_false(text_span_is((struct text_span){"a\0b", 3}, "a"));
    assert_true(text_span_is((struct text_span){bytes, 0}, ""));
    assert_true(text_span_is((struct text_span){NULL, 0}, ""));
    assert_false(text_span_is((struct text_span){NULL, 0}, "a"));
}

/* Rules: C2 L1 L3 */
static void test_reads_strict_numbers(void **state)
{
    static const struct {
        const char *bytes;
        unsigned base;
        uint64_t maximum;
        bool good;
        uint64_t number;
    } cases[] = {
        {"0", 10, 0, true, 0},
        {"1", 10, 0, false, 0},
        {"9", 10, 8, false, 0},
        {"8", 10, 8, true, 8},
        {"000", 10, 5, true, 0},
        {"0000000000000000000000000000000000000065535", 10, 65535, true, 65535},
        {"65535", 10, 65535, true, 65535},
        {"65536", 10, 65535, false, 0},
        {"655350", 10, 65535, false, 0},
        {"2147483647", 10, INT32_MAX, true, INT32_MAX},
        {"2147483648", 10, INT32_MAX, false, 0},
        {"18446744073709551615", 10, UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", 10, UINT64_MAX, false, 0},
        {"18446744073709551625", 10, UINT64_MAX, false, 0},
        {"184467440737095516150", 10, UINT64_MAX, false, 0},
        {"99999999999999999999", 10, UINT64_MAX, false, 0},
        {"18446744073709551614", 10, UINT64_MAX - 1, true, UINT64_MAX - 1},
        {"18446744073709551615", 10, UINT64_MAX - 1, false, 0},
        {"777", 8, 0777, true, 0777},
        {"0644", 8, 0777, true, 0644},
        {"1000", 8, 0777, false, 0},
        {"8", 8, 0777, false, 0},
        {"79", 8, 0777, false, 0},
        {"1777777777777777777777", 8, UINT64_MAX, true, UINT64_MAX},
        {"2000000000000000000000", 8, UINT64_MAX, false, 0},
        {"", 10, 10, false, 0},
        {"-1", 10, UINT64_MAX, false, 0},
        {"-0", 10, UINT64_MAX, false, 0},
        {"+1", 10, UINT64_MAX, false, 0},
        {" 1", 10, UINT64_MAX, false, 0},
        {"1 ", 10, UINT64_MAX, false, 0},
        {"1\n", 10, UINT64_MAX, false, 0},
        {"0x1", 10, UINT64_MAX, false, 0},
        {"1e3", 10, UINT64_MAX, false, 0},
        {"1_000", 10, UINT64_MAX, false, 0},
        {"1.0", 10, UINT64_MAX, false, 0},
        {"/", 10, UINT64_MAX, false, 0},
        {":", 10, UINT64_MAX, false, 0},
        {"\xb2", 10, UINT64_MAX, false, 0},
        {"\xd9\xa1", 10, UINT64_MAX, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t number = 4711;

        if (text_read_number(cases[i].bytes, strlen(cases[i].bytes), cases[i].base,
                cases[i].maximum, &number) != cases[i].good) {
            fail_msg(
                "\"%s\" should have been %s", cases[i].bytes, cases[i].good ? "read" : "refused");
        }
        assert_true(number == (cases[i].good ? cases[i].number : 4711));
    }
}

/* Rules: C2 */
static void test_reads_no_further_than_told(void **state)
{
    uint64_t number = 4711;

    (void)state;
    assert_true(text_read_number("1234", 2, 10, 99, &number));
    assert_int_equal(number, 12);
    assert_false(text_read_number("1\0", 2, 10, 99, &number));
    assert_false(text_read_number("1", 0, 10, 99, &number));
    assert_int_equal(number, 12);
}

/* Rules: L4 */
static void test_reads_hex_digits(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *found = byte != 0 ? strchr(digits, byte) : NULL;

        assert_int_equal(
            text_hex_digit((char)byte), found != NULL ? (int)((found - digits) % 16) : -1);
    }
}

/* Rules: O1 R3 */
static void test_knows_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t given;
        size_t length; /* of the first character */
    } cases[] = {
        {"a", 1, 1},
        {"ab", 2, 1},
        {"\0", 1, 1},
        {"\x7f", 1, 1},
        {"\xc2\x80", 2, 2},
        {"\xdf\xbf", 2, 2},
        {"\xe0\xa0\x80", 3, 3},
        {"\xed\x9f\xbf", 3, 3},
        {"\xee\x80\x80", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xf0\x90\x80\x80", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xe2\x82\xac\xff", 4, 3},
        /* a byte that begins none */
        {"\x80", 1, 0},
        {"\xbf\xbf", 2, 0},
        {"\xc0\xaf", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        /* cut */
        {"\xc3", 1, 0},
        {"\xe2\x82", 2, 0},
        {"\xe2\x82\xac", 2, 0},
        {"\xf0\x9f\x98", 3, 0},
        /* followed by another */
        {"\xc3(", 2, 0},
        {"\xc3\xc3", 2, 0},
        {"\xe2(\xac", 3, 0},
        {"\xe2\x82(", 3, 0},
        {"\xf0\x9f\x98(", 4, 0},
        /* too long for what they say, halves of a pair, beyond the last */
        {"\xe0\x9f\xbf", 3, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xed\xa0\x80", 3, 0},
        {"\xf4\x90\x80\x80", 4, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(text_utf8_length(cases[i].bytes, cases[i].given), cases[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builds_and_terminates),
        cmocka_unit_test(test_cuts_what_does_not_fit_and_remembers),
        cmocka_unit_test(test_adds_numbers),
        cmocka_unit_test(test_escapes_every_byte_that_a_terminal_might_act_on),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_spans_compare_whole),
        cmocka_unit_test(test_reads_strict_numbers),
        cmocka_unit_test(test_reads_no_further_than_told),
        cmocka_unit_test(test_reads_hex_digits),
        cmocka_unit_test(test_knows_utf8),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
