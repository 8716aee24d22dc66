/*
 * Tests of proto: the bytes of replies, and the words for what is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_world.h"

enum { LONG = 1000 };

static char buffer[8 * LONG];
static struct text text;

static struct proto_id id_of(enum proto_type type, const char *bytes)
{
    struct proto_id id = {.type = type, .length = strlen(bytes)};
    memcpy(id.bytes, bytes, id.length);
    return id;
}

static void reply(struct text_span message, const struct proto_id *id, bool wait)
{
    text_init(&text, buffer, sizeof buffer);
    proto_add_reply(&text, message, id, wait, false);
    assert_false(text.overflow);
    assert_true(text.length < proto_reply_bound(message.length));
}

/* Rules: K1 */
static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *message, *json;
    } cases[] = {
        {"", ""},
        {"Upgrade done", "Upgrade done"},
        {"two\nlines\n", "two\\nlines\\n"},
        {"50% of a+b", "50\\u0025 of a\\u002bb"},
        {"%0A%25", "\\u00250A\\u002525"},
        {"a/b {\"c\": 'd\\'}", "a/b {\\\"c\\\": 'd\\\\'}"},
        {"\t\r\b\x01\x1f\x7f ~", "\\u0009\\u000d\\u0008\\u0001\\u001f\\u007f ~"},
        {"\xc3\xa4\xe2\x82\xac", "\\u00e4\\u20ac"},
        {"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", "\\u0080\\u07ff\\u0800\\uffff"},
        /* line ends of YAML 1.1 */
        {"\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", "\\u0085\\u2028\\u2029"},
        {"\xf0\x9f\x98\x80.", "\xf0\x9f\x98\x80."},
        {"a\xff\xc3(\xe2\x82", "a\\ufffd\\ufffd(\\ufffd\\ufffd"},
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[200];
        struct text line;
        text_init(&line, expected, sizeof expected);
        text_add(&line, "{\"message\": \"");
        text_add(&line, cases[i].json);
        text_add(&line, "\"}\n");
        reply(text_span_of(cases[i].message), NULL, false);
        assert_string_equal(buffer, expected);
    }
    reply((struct text_span){"a\0b", 3}, NULL, false);
    assert_string_equal(buffer, "{\"message\": \"a\\u0000b\"}\n");
    reply((struct text_span){"a\xe2\x82\xac", 3}, NULL, false);
    assert_string_equal(buffer, "{\"message\": \"a\\ufffd\\ufffd\"}\n");
}

/* Rules: K1 */
static void test_ids(void **state)
{
    (void)state;
    static const struct {
        enum proto_type type;
        const char *id, *json;
    } cases[] = {
        {PROTO_INTEGER, "1", "1"},
        {PROTO_INTEGER, "-12", "-12"},
        {PROTO_TEXT, "1", "\"1\""},
        {PROTO_TEXT, "", "\"\""},
        {PROTO_TEXT, "a+b%\"\n", "\"a\\u002bb\\u0025\\\"\\n\""},
        {PROTO_FLOAT, "1.5", "1.5"},
        {PROTO_FLOAT, "1.0e+20", "1.0e20"},
        {PROTO_FLOAT, "1E-5", "1E-5"},
        {PROTO_BOOLEAN, "true", "true"},
        {PROTO_BOOLEAN, "True", "true"},
        {PROTO_BOOLEAN, "TRUE", "true"},
        {PROTO_BOOLEAN, "false", "false"},
        {PROTO_BOOLEAN, "False", "false"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct proto_id id = id_of(cases[i].type, cases[i].id);
        char expected[200];
        struct text line;
        text_init(&line, expected, sizeof expected);
        text_add(&line, "{\"message\": \"done\", \"request_id\": ");
        text_add(&line, cases[i].json);
        text_add(&line, "}\n");
        reply(text_span_of("done"), &id, false);
        assert_string_equal(buffer, expected);
    }
}

/* Rules: K1 */
static void test_wait(void **state)
{
    (void)state;
    struct proto_id none = id_of(PROTO_NONE, "");
    struct proto_id one = id_of(PROTO_INTEGER, "1");
    reply(text_span_of("a"), &one, true);
    assert_string_equal(buffer, "{\"message\": \"a\", \"request_id\": 1, \"wait\": true}\n");
    reply(text_span_of("a"), NULL, true);
    assert_string_equal(buffer, "{\"message\": \"a\", \"wait\": true}\n");
    reply(text_span_of("a"), &none, false);
    assert_string_equal(buffer, "{\"message\": \"a\"}\n");
}

/* Rules: K1 K5 */
static void test_error(void **state)
{
    (void)state;
    struct proto_id one = id_of(PROTO_INTEGER, "1");
    text_init(&text, buffer, sizeof buffer);
    proto_add_reply(&text, text_span_of("a"), NULL, false, true);
    assert_string_equal(buffer, "{\"message\": \"a\", \"error\": true}\n");
    text_init(&text, buffer, sizeof buffer);
    proto_add_reply(&text, text_span_of("a"), &one, true, true);
    assert_string_equal(
        buffer, "{\"message\": \"a\", \"request_id\": 1, \"wait\": true, \"error\": true}\n");
}

/* Rules: K1 I11 */
static void test_the_bound_holds(void **state)
{
    (void)state;
    static char message[LONG];
    struct proto_id id = {.type = PROTO_TEXT, .length = PROTO_ID_MAX};
    memset(id.bytes, '%', sizeof id.bytes);
    memset(message, '\x01', sizeof message);
    for (size_t length = 0; length <= LONG; length += LONG / 4) {
        text_init(&text, buffer, proto_reply_bound(length));
        proto_add_reply(&text, (struct text_span){message, length}, &id, true, true);
        assert_false(text.overflow);
        assert_int_equal(text.length, proto_reply_bound(length) - 1);
    }
    text_init(&text, buffer, 20);
    proto_add_reply(&text, text_span_of("too long for it"), &id, true, true);
    assert_true(text.overflow);
}

/* Rules: K1 */
static void test_a_reply_is_no_harder_to_read_than_a_request(void **state)
{
    (void)state;
    struct proto_id id = id_of(PROTO_TEXT, "1+1%41");
    reply(text_span_of("a"), &id, false);
    /* With its name changed the id is found as it was. */
    char *name = strstr(buffer, "message");
    memcpy(name, "command", strlen("command"));
    assert_int_equal(read_line(buffer), PROTO_OK);
    assert_true(text_span_is(request.command, "a"));
    assert_true(id_is(&request.request_id, PROTO_TEXT, "1+1%41"));
}

/* Rules: K1 I10 */
static void test_errors_have_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum proto_error error;
        const char *words;
    } cases[] = {
        {"{\"comand\":\"worker:ack\",\"Pid\":123}", PROTO_NO_COMMAND,
            "No \"command\" parameter provided; not sure what you want me to do."},
        {"{command: a, wait: 2}", PROTO_WAIT, "Invalid request: \"wait\" must be true or false"},
        {"{command: a, generation: 0}", PROTO_GENERATION,
            "Invalid request: \"generation\" must be a number from 1"},
        {"command: a\x01", PROTO_SYNTAX,
            "Could not parse command: control characters are not allowed"},
        {"{command: a]", PROTO_SYNTAX, "Could not parse command: did not find expected ',' or '}'"},
        {"upgrade", PROTO_NO_MAPPING, "Could not parse command: not a mapping"},
        {"{a: [[]]}", PROTO_DEEP, "Could not parse command: nested too deeply"},
        {"--- {}%0A--- {}", PROTO_DOCUMENTS, "Could not parse command: more than one document"},
        {"{a: *b}", PROTO_REFERENCE,
            "Could not parse command: anchors, aliases, tags and directives are not understood"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), cases[i].error);
        text_init(&text, buffer, sizeof buffer);
        proto_add_error(&text, cases[i].error, &request);
        assert_string_equal(buffer, cases[i].words);
    }
    static const struct {
        enum proto_error error;
        const char *words;
    } others[] = {
        {PROTO_LONG_ID, "Invalid request: an id is longer than 255 bytes"},
        {PROTO_LONG_LINE, "Could not parse command: longer than 65536 bytes"},
        {PROTO_LONG_TEXT, "Could not parse command: longer than 65536 bytes when unescaped"},
        {PROTO_MANY_ARGS, "Could not parse command: more than 1024 args"},
        {PROTO_MEMORY, "Could not parse command: out of memory"},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        text_init(&text, buffer, sizeof buffer);
        proto_add_error(&text, others[i].error, &request);
        assert_string_equal(buffer, others[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_the_bound_holds),
        cmocka_unit_test(test_a_reply_is_no_harder_to_read_than_a_request),
        cmocka_unit_test(test_errors_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
