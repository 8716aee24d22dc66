/*
 * Tests of proto: a mapping that is itself a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_world.h"

enum { PAIRS = 3 };

static struct proto_pair pairs[PAIRS];
static size_t count;

static enum proto_error read_parts(const struct text_span *parts, size_t part_count)
{
    memset(&storage, 0xa5, sizeof storage);
    memset(pairs, 0xa5, sizeof pairs);
    count = 99;
    return proto_read_mapping(&storage, parts, part_count, pairs, PAIRS, &count);
}

static enum proto_error read_text(const char *words)
{
    struct text_span part = text_span_of(words);
    return read_parts(&part, 1);
}

/* Rules: K2 */
static void test_pairs_in_every_spelling(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{number: 3, b: x}",
        "{:number: 3, :b: x}",
        "{ :number: 3,\n :b: x }",
        "{\t:number: 3,\r\n :b: x }",
        "{\":number\": 3, \"b\": x}",
        "number: 3\nb: x\n",
        ":number: 3\n:b: x\n",
        "---\n:number: 3\n:b: x\n",
        "{\"number\": 3, \"b\": x}",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_text(cases[i]), PROTO_OK);
        assert_int_equal(count, 2);
        assert_true(text_span_is(pairs[0].key, "number"));
        assert_int_equal(pairs[0].type, PROTO_INTEGER);
        assert_true(text_span_is(pairs[0].value, "3"));
        assert_true(text_span_is(pairs[1].key, "b"));
        assert_int_equal(pairs[1].type, PROTO_TEXT);
        assert_true(text_span_is(pairs[1].value, "x"));
    }
}

/* Rules: K2 */
static void test_values_keep_their_type(void **state)
{
    (void)state;
    assert_int_equal(read_text("{a: '3', b: [1, 2], {c: d}: ~}"), PROTO_OK);
    assert_int_equal(count, 3);
    assert_int_equal(pairs[0].type, PROTO_TEXT);
    assert_int_equal(pairs[1].type, PROTO_NESTED);
    assert_int_equal(pairs[1].value.length, 0);
    assert_int_equal(pairs[2].type, PROTO_NONE);
    assert_int_equal(pairs[2].key.length, 0);
    assert_int_equal(read_text("{a: :b}"), PROTO_SYNTAX);
    assert_int_equal(read_text("a: :b"), PROTO_OK);
    assert_true(text_span_is(pairs[0].value, ":b"));
}

/* Rules: K2 */
static void test_parts_are_joined(void **state)
{
    (void)state;
    const struct text_span parts[] = {
        text_span_of("{"), text_span_of(":a:"), text_span_of("1,"), text_span_of(":b: 2}")};
    assert_int_equal(read_parts(parts, COUNT(parts)), PROTO_OK);
    assert_int_equal(count, 2);
    assert_true(text_span_is(pairs[1].key, "b"));
}

/* Rules: K2 I10 I11 */
static void test_what_is_no_mapping(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum proto_error error;
    } cases[] = {
        {"", PROTO_NO_MAPPING},
        {"number", PROTO_NO_MAPPING},
        {"[number, 3]", PROTO_NO_MAPPING},
        {"{number: 3", PROTO_SYNTAX},
        {"{a: 1}\n---\n{b: 2}", PROTO_DOCUMENTS},
        {"{a: &b 1}", PROTO_REFERENCE},
        {"{a: [[1]]}", PROTO_DEEP},
        {"{a: 1, b: 2, c: 3, d: 4}", PROTO_MANY_ARGS},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(read_text(cases[i].text), cases[i].error);
    assert_int_equal(read_text("{}"), PROTO_OK);
    assert_int_equal(count, 0);
    assert_int_equal(read_text("{a: 1, b: 2, c: 3}"), PROTO_OK);
    assert_int_equal(count, 3);
    assert_int_equal(read_parts(NULL, 0), PROTO_NO_MAPPING);
}

/* Rules: K2 I11 */
static void test_parts_that_are_too_long_together(void **state)
{
    (void)state;
    static char blanks[PROTO_LINE_MAX];
    memset(blanks, ' ', sizeof blanks);
    /* With the blank between them they are as long as a line may be, and one byte longer. */
    struct text_span parts[] = {text_span_of("{}"), {blanks, PROTO_LINE_MAX - 3}};
    assert_int_equal(read_parts(parts, COUNT(parts)), PROTO_OK);
    parts[1].length++;
    assert_int_equal(read_parts(parts, COUNT(parts)), PROTO_LONG_LINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_in_every_spelling),
        cmocka_unit_test(test_values_keep_their_type),
        cmocka_unit_test(test_parts_are_joined),
        cmocka_unit_test(test_what_is_no_mapping),
        cmocka_unit_test(test_parts_that_are_too_long_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
