/*
 * Tests of proto_answer: the bytes of questions, and what is read of answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_answer.h"
#include "proto_world.h"

static char buffer[PROTO_LINE_MAX + 2];
static struct text text;

static void ask(const struct proto_question *question)
{
    text_init(&text, buffer, sizeof buffer);
    proto_add_question(&text, question);
    assert_false(text.overflow);
}

/* --- questions --- */

/* Rules: K1 K5 */
static void test_questions(void **state)
{
    (void)state;
    static const struct text_span none[] = {{"", 0}};
    static const struct text_span two[] = {{"json", 4}, {"50%+\n", 5}};
    static const struct {
        struct proto_question question;
        const char *line;
    } cases[] = {
        {{"ehlo", NULL, 0, false, 0}, "{\"id\": 1, \"command\": \"ehlo\"}\n"},
        {{"a", none, 1, false, 0}, "{\"id\": 1, \"command\": \"a\", \"args\": [\"\"]}\n"},
        {{"a", two, 2, false, 0},
            "{\"id\": 1, \"command\": \"a\", \"args\": [\"json\", \"50\\u0025\\u002b\\n\"]}\n"},
        {{"a", NULL, 0, true, 0}, "{\"id\": 1, \"command\": \"a\", \"wait\": true}\n"},
        {{"a", NULL, 0, false, 1}, "{\"id\": 1, \"command\": \"a\", \"generation\": 1}\n"},
        {{"a", none, 1, true, UINT64_MAX},
            "{\"id\": 1, \"command\": \"a\", \"args\": [\"\"], \"wait\": true, "
            "\"generation\": 18446744073709551615}\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask(&cases[i].question);
        assert_string_equal(buffer, cases[i].line);
    }
}

/* Rules: K1 K5 */
static void test_a_question_is_read_as_it_was_meant(void **state)
{
    (void)state;
    static const struct text_span args[] = {{"%41", 3}, {"{a: *b}", 7}, {"\"\\\x01\x7f", 4},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}};
    ask(&(struct proto_question){"rollout", args, COUNT(args), true, 7});
    assert_int_equal(read_bytes(buffer, text.length - 1), PROTO_OK);
    assert_true(text_span_is(request.command, "rollout"));
    assert_true(id_is(&request.id, PROTO_INTEGER, "1"));
    assert_true(request.wait);
    assert_int_equal(request.generation, 7);
    assert_int_equal(request.arg_count, COUNT(args));
    for (size_t i = 0; i < COUNT(args); i++) {
        assert_true(proto_can_send(args[i]));
        assert_int_equal(request.arg[i].length, args[i].length);
        assert_memory_equal(request.arg[i].bytes, args[i].bytes, args[i].length);
    }
}

/* Rules: K1 K5 */
static void test_what_is_no_text_cannot_be_sent(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "\x01\x7f", "\xc3\xa4", "\xf0\x9f\x98\x80x"};
    static const char *const bad[] = {"\xff", "a\xc3", "\xc3\xa4\xe2\x82", "\xed\xa0\x80"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(proto_can_send(text_span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(proto_can_send(text_span_of(bad[i])));
    assert_true(proto_can_send((struct text_span){"a\xff", 1}));
}

/* --- answers --- */

static char line[4096];
static struct proto_answer answer;

static bool read_copy(const char *bytes, size_t length)
{
    /* What follows must not be looked at: it would complete what is cut. */
    memset(line, '"', sizeof line);
    memcpy(line, bytes, length);
    memset(&answer, 0xa5, sizeof answer);
    return proto_answer_read(line, length, &answer);
}

/* Rules: K1 K5 */
static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
        bool foreign, wait, error;
    } cases[] = {
        {"{\"message\": \"a\"}", "a", false, false, false},
        {"{\"message\":\"\"}", "", false, false, false},
        {" \t{ \"message\"\t: \"a b\" } \r", "a b", false, false, false},
        {"{\"message\": \"a\", \"request_id\": 1, \"wait\": true}", "a", false, true, false},
        {"{\"wait\": true, \"error\": true, \"message\": \"a\"}", "a", false, true, true},
        {"{\"message\": \"a\", \"wait\": false, \"error\": false}", "a", false, false, false},
        {"{\"message\": \"a\", \"wait\": \"true\", \"error\": 1}", "a", false, false, false},
        {"{\"message\": \"a\", \"request_id\": null}", "a", false, false, false},
        {"{\"message\": \"a\", \"request_id\": 2}", "a", true, false, false},
        {"{\"message\": \"a\", \"request_id\": 11}", "a", true, false, false},
        {"{\"message\": \"a\", \"request_id\": \"1\"}", "a", true, false, false},
        {"{\"message\": \"a\", \"request_id\": [1]}", "a", true, false, false},
        /* the last of two counts */
        {"{\"message\": \"a\", \"message\": \"b\"}", "b", false, false, false},
        {"{\"message\": \"a\", \"message\": 1}", "a", false, false, false},
        {"{\"message\": \"a\", \"wait\": true, \"wait\": null}", "a", false, false, false},
        /* what is not known */
        {"{\"a\": {}, \"b\": [], \"c\": -1.5e+3, \"message\": \"a\"}", "a", false, false, false},
        {"{\"a\": [[{\"b\": \"]}\\\"\"}, 1]], \"message\": \"a\"}", "a", false, false, false},
        {"{\"messag\\u0065\": \"a\", \"waits\": true}", "a", false, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(read_copy(cases[i].line, strlen(cases[i].line)));
        assert_true(text_span_is(answer.message, cases[i].message));
        assert_int_equal(answer.foreign, cases[i].foreign);
        assert_int_equal(answer.wait, cases[i].wait);
        assert_int_equal(answer.error, cases[i].error);
    }
}

/* Rules: K1 K5 */
static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *escaped, *bytes;
    } cases[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0001\\u007f", "\x01\x7f"},
        {"\\u0080\\u00e4\\u07FF", "\xc2\x80\xc3\xa4\xdf\xbf"},
        {"\\u0800\\u20ac\\ud7ff\\ue000\\uffff",
            "\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
        {"\\ud83d\\ude00\\ud800\\udc00\\udbff\\udfff",
            "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        /* halves */
        {"\\ud83d", "\xef\xbf\xbd"},
        {"\\ude00x", "\xef\xbf\xbdx"},
        {"\\udfff", "\xef\xbf\xbd"},
        {"\\udc00\\udc00", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\\ud83dxude00", "\xef\xbf\xbdxude00"},
        {"\\ud83d\\n", "\xef\xbf\xbd\n"},
        {"\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\\ud83d\\u0041", "\xef\xbf\xbd"
                           "A"},
        {"\\ud83d\\ue000", "\xef\xbf\xbd\xee\x80\x80"},
        /* as they are */
        {"\xc3\xa4\xff\x01", "\xc3\xa4\xff\x01"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char reply[200];
        text_init(&text, reply, sizeof reply);
        text_add(&text, "{\"message\": \"");
        text_add(&text, cases[i].escaped);
        text_add(&text, "\"}");
        assert_true(read_copy(reply, text.length));
        assert_true(text_span_is(answer.message, cases[i].bytes));
    }
    static const char nul[] = "{\"message\": \"a\\u0000b\"}";
    assert_true(read_copy(nul, strlen(nul)));
    assert_int_equal(answer.message.length, 3);
    assert_memory_equal(answer.message.bytes, "a\0b", 3);
}

/* Rules: K1 K5 I10 */
static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const cases[] = {"", " ", "upgrade", "[]", "\"message\"", "{}", "{ }", "{,}",
        "{\"message\"}", "{\"message\" \"a\"}", "{\"message\": }", "{\"message\": a\"}",
        "{message: \"a\"}", "{xmessage\": \"a\"}", "{: 1, \"message\": \"a\"}",
        "{\"message\": \"a\", : 1}", "\"message\": \"a\"}", "{\"message\": \"\\ud83d\\xdc00\"}",
        "{\"message\": \"a\",, \"b\": 1}", "{\"message\": \"a\"", "{\"message\": \"a\",}",
        "{\"message\": \"a\"} x", "{\"message\": \"a\"}}", "{\"message\": 1}",
        "{\"message\": [\"a\"]}", "{\"message\": null}", "{\"wait\": true}",
        "{\"message\": \"a\" \"wait\": true}", "{\"message\": \"\\x\"}", "{\"message\": \"\\",
        "{\"message\": \"\\u00g0\"}", "{\"message\": \"\\u00", "{\"message\": \"a",
        "{\"message\": \"a\", \"b\": [}", "{\"message\": \"a\", \"b\": [\"\\x\"]}",
        "{\"message\": \"a\", \"b\": ", "{\"message\": \"a\", \"b\": [",
        "{\"message\": \"\\ud83d\\", "{\"message\": \"\\ud83d\\u", "{\"message\": \"\\ud83d\\ug"};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(read_copy(cases[i], strlen(cases[i])));
    assert_false(read_copy("{\"message\": \"a\"\0}", 17));
    assert_false(read_copy("{\"message\": \"a\", \0 \"b\": 1}", 26));
}

/* Rules: K1 K5 I10 */
static void test_no_cut_answer_is_taken_for_a_whole_one(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\": [{\"b\": \"\\u00e4\\\"\"}, -1], \"message\": "
                                "\"\\ud83d\\ude00\\n\", \"request_id\": 1, \"wait\": true}";
    for (size_t length = 0; length < strlen(whole); length++)
        assert_false(read_copy(whole, length));
    assert_true(read_copy(whole, strlen(whole)));
}

/* Rules: K1 K5 */
static void test_what_the_master_writes_is_read_as_it_was_meant(void **state)
{
    (void)state;
    static const char message[] = "50% of a+b\n\t\x1b[1m\"\\/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    struct proto_id id = {.type = PROTO_INTEGER, .length = 1, .bytes = "1"};
    for (int i = 0; i < 4; i++) {
        bool wait = i & 1, error = i & 2;
        text_init(&text, buffer, sizeof buffer);
        proto_add_reply(&text, text_span_of(message), &id, wait, error);
        assert_true(read_copy(buffer, text.length - 1));
        assert_true(text_span_is(answer.message, message));
        assert_false(answer.foreign);
        assert_int_equal(answer.wait, wait);
        assert_int_equal(answer.error, error);
    }
    id.bytes[0] = '2';
    text_init(&text, buffer, sizeof buffer);
    proto_add_reply(&text, text_span_of(message), &id, false, false);
    assert_true(read_copy(buffer, text.length - 1));
    assert_true(answer.foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_a_question_is_read_as_it_was_meant),
        cmocka_unit_test(test_what_is_no_text_cannot_be_sent),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_no_cut_answer_is_taken_for_a_whole_one),
        cmocka_unit_test(test_what_the_master_writes_is_read_as_it_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
