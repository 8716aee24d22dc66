/*
 * Tests of flag: one word of a command line taken apart, and complaints about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flag.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Rules: C2 */
static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum flag_kind kind;
        const char *shown, *name, *value;
    } cases[] = {
        {"", FLAG_OPERAND, NULL, NULL, NULL},
        {"-", FLAG_OPERAND, NULL, NULL, NULL},
        {"a-b", FLAG_OPERAND, NULL, NULL, NULL},
        {"a=b", FLAG_OPERAND, NULL, NULL, NULL},
        {"--", FLAG_END, NULL, NULL, NULL},
        {"-a", FLAG_OPTION, "-a", "a", NULL},
        {"--a", FLAG_OPTION, "--a", "a", NULL},
        {"-ab-c=", FLAG_OPTION, "-ab-c", "ab-c", ""},
        {"--ab=c=d", FLAG_OPTION, "--ab", "ab", "c=d"},
        {"-a=-b", FLAG_OPTION, "-a", "a", "-b"},
        {"---", FLAG_WRONG, NULL, NULL, NULL},
        {"---a", FLAG_WRONG, NULL, NULL, NULL},
        {"-=", FLAG_WRONG, NULL, NULL, NULL},
        {"--=a", FLAG_WRONG, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct flag flag;
        assert_int_equal(flag_read(cases[i].word, &flag), cases[i].kind);
        if (cases[i].kind != FLAG_OPTION)
            continue;
        assert_true(text_span_is(flag.word, cases[i].shown));
        assert_true(text_span_is(flag.name, cases[i].name));
        if (cases[i].value == NULL)
            assert_null(flag.value);
        else
            assert_string_equal(flag.value, cases[i].value);
    }
}

/* Rules: C2 */
static void test_booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    static const char *const neither[] = {"", "yes", "tRUE", "01", "10", "2", "true ", "fa"};
    bool boolean = false;
    for (size_t i = 0; i < COUNT(yes); i++) {
        boolean = false;
        assert_true(flag_read_boolean(yes[i], &boolean));
        assert_true(boolean);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        boolean = true;
        assert_true(flag_read_boolean(no[i], &boolean));
        assert_false(boolean);
    }
    for (size_t i = 0; i < COUNT(neither); i++) {
        boolean = i % 2;
        assert_false(flag_read_boolean(neither[i], &boolean));
        assert_int_equal(boolean, i % 2);
    }
}

static char buffer[1024];
static struct text text;

static const char *of_length(size_t length)
{
    static char bytes[256];
    memset(bytes, 'x', sizeof bytes);
    bytes[length] = '\0';
    return bytes;
}

/* Rules: C5 */
static void test_complaints_show_what_was_wrong(void **state)
{
    (void)state;
    text_init(&text, buffer, sizeof buffer);
    flag_add_word(&text, text_span_of("-b\x1b\n"), "unknown option");
    assert_string_equal(buffer, "-b\\x1b\\x0a: unknown option");
    text_init(&text, buffer, sizeof buffer);
    flag_add_value(&text, text_span_of("a\"\x1b"), "a number");
    assert_string_equal(buffer, "value \"a\\\"\\x1b\": expected a number");
}

/* Rules: C5 */
static void test_only_the_beginning_of_what_is_long_is_shown(void **state)
{
    (void)state;
    static const struct {
        size_t length, shown;
        bool cut;
    } words[] = {{64, 64, false}, {65, 64, true}, {255, 64, true}},
      values[] = {{128, 128, false}, {129, 128, true}, {255, 128, true}};
    for (size_t i = 0; i < COUNT(words); i++) {
        text_init(&text, buffer, sizeof buffer);
        flag_add_word(&text, text_span_of(of_length(words[i].length)), "c");
        assert_int_equal(strspn(buffer, "x"), words[i].shown);
        assert_string_equal(buffer + words[i].shown, words[i].cut ? "...: c" : ": c");
    }
    for (size_t i = 0; i < COUNT(values); i++) {
        text_init(&text, buffer, sizeof buffer);
        flag_add_value(&text, text_span_of(of_length(values[i].length)), "c");
        const char *shown = buffer + strlen("value \"");
        assert_int_equal(strspn(shown, "x"), values[i].shown);
        assert_string_equal(
            shown + values[i].shown, values[i].cut ? "\"...: expected c" : "\": expected c");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_complaints_show_what_was_wrong),
        cmocka_unit_test(test_only_the_beginning_of_what_is_long_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
