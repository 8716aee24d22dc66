/*
 * Tests of proto: what is read of a request, as each client writes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_scalar.h"
#include "proto_world.h"

enum { ARGS_SHOWN = 4 };

static void assert_args(const char *const *args)
{
    size_t count = 0;
    while (count < ARGS_SHOWN && args[count] != NULL)
        count++;
    assert_int_equal(request.arg_count, count);
    for (size_t i = 0; i < count; i++)
        assert_true(text_span_is(request.arg[i], args[i]));
}

/* Rules: K1 */
static void test_each_client_is_understood(void **state)
{
    (void)state;
    /* As they put them on the wire, without the newline. */
    static const struct {
        const char *line;
        const char *command; /* NULL: there is none */
        int64_t pid;
        enum proto_type id_type;
        const char *id;
        const char *request_id; /* NULL: none */
        const char *user;
        enum proto_args args;
        const char *arg[ARGS_SHOWN];
    } cases[] = {
        /* Ruby: worker.rb, ack! and ping! with an id and without */
        {"---%0Acommand: worker:ack%0Apid: 1234%0A", .command = "worker:ack", .pid = 1234},
        {"---%0Acommand: worker:ping%0Apid: 1234%0Arequest_id: req-1%0A", .command = "worker:ping",
            .pid = 1234, .request_id = "req-1"},
        {"---%0Acommand: worker:ping%0Apid: 1234%0Arequest_id:%0A", .command = "worker:ping",
            .pid = 1234},
        /* Ruby: einhornsh */
        {"---%0Acommand: ehlo%0Auser: root%0A", .command = "ehlo", .user = "root"},
        {"---%0Acommand: ehlo%0Auser:%0A", .command = "ehlo"},
        {"---%0Aid: 1%0Acommand: upgrade%0Aargs: []%0A", .command = "upgrade",
            .id_type = PROTO_INTEGER, .id = "1", .args = PROTO_ARGS_LIST},
        {"---%0Aid: 2%0Acommand: signal%0Aargs:%0A- USR2%0A- HUP%0A", .command = "signal",
            .id_type = PROTO_INTEGER, .id = "2", .args = PROTO_ARGS_LIST, .arg = {"USR2", "HUP"}},
        {"---%0Aid: 3%0Acommand: config%0Aargs:%0A- \"{:number: 3}\"%0A", .command = "config",
            .id_type = PROTO_INTEGER, .id = "3", .args = PROTO_ARGS_LIST, .arg = {"{:number: 3}"}},
        {"---%0Aid: 4%0Acommand: set_workers%0Aargs:%0A- '5'%0A", .command = "set_workers",
            .id_type = PROTO_INTEGER, .id = "4", .args = PROTO_ARGS_LIST, .arg = {"5"}},
        {"---%0Aid: 5%0Acommand: config%0Aargs:%0A- |-%0A  a: 100%25%0A  b: 2%0A",
            .command = "config", .id_type = PROTO_INTEGER, .id = "5", .args = PROTO_ARGS_LIST,
            .arg = {"a: 100%\nb: 2"}},
        /* the same of Ruby 1.8, with blanks behind, and of Ruby 1.9, with its mark on strings */
        {"--- %0Acommand: signal%0Aid: 1%0Aargs: %0A- \"%25bar\"%0A- USR2%0A", .command = "signal",
            .id_type = PROTO_INTEGER, .id = "1", .args = PROTO_ARGS_LIST, .arg = {"%bar", "USR2"}},
        {"---%0Acommand: signal%0Aid: 1%0Aargs:%0A- ! '%25bar'%0A- ! '5'%0A", .command = "signal",
            .id_type = PROTO_INTEGER, .id = "1", .args = PROTO_ARGS_LIST, .arg = {"%bar", "5"}},
        /* Go: go-einhorn, whose yaml.v2 writes no dashes */
        {"command: worker:ack%0Apid: 123%0A", .command = "worker:ack", .pid = 123},
        {"request_id: 7%0Acommand: signal%0Aargs:%0A- USR2%0A", .command = "signal",
            .request_id = "7", .args = PROTO_ARGS_LIST, .arg = {"USR2"}},
        {"command: state%0Aargs: []%0A", .command = "state", .args = PROTO_ARGS_LIST},
        /* Go: goji's bind */
        {"{\"command\": \"worker:ack\", \"pid\": 123}", .command = "worker:ack", .pid = 123},
        /* JSON: einhorn's README, CHH's PHP */
        {"{\"command\":\"worker:ack\", \"pid\":123}", .command = "worker:ack", .pid = 123},
        {"{\"command\":\"worker:ack\",\"pid\":123}", .command = "worker:ack", .pid = 123},
        /* Python: json.dumps, as in baseplate, and PyYAML */
        {"{\"command\": \"worker:ack\", \"pid\": 123, \"id\": null}", .command = "worker:ack",
            .pid = 123},
        {"{command: worker:ack, pid: 123}%0A", .command = "worker:ack", .pid = 123},
        /* node: the whole of it through encodeURI() */
        {"---%0Acommand:%20worker:ack%0Apid:%20123", .command = "worker:ack", .pid = 123},
        /* Go: http-einhorn, misspelt; a second, empty line follows */
        {"{\"comand\":\"worker:ack\",\"Pid\":123}", .command = NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum proto_error expected = cases[i].command ? PROTO_OK : PROTO_NO_COMMAND;
        assert_int_equal(read_line(cases[i].line), expected);
        assert_int_equal(request.has_command, cases[i].command != NULL);
        if (cases[i].command)
            assert_true(text_span_is(request.command, cases[i].command));
        assert_int_equal(request.pid, cases[i].pid);
        assert_true(id_is(&request.id, cases[i].id_type, cases[i].id ? cases[i].id : ""));
        assert_int_equal(request.request_id.type != PROTO_NONE, cases[i].request_id != NULL);
        if (cases[i].request_id)
            assert_true(id_is(&request.request_id, request.request_id.type, cases[i].request_id));
        assert_true(text_span_is(request.user, cases[i].user ? cases[i].user : ""));
        assert_int_equal(request.args, cases[i].args);
        assert_args(cases[i].arg);
        assert_false(request.wait);
        assert_int_equal(request.generation, 0);
    }
}

/* Rules: K1 */
static void test_per_cent_signs(void **state)
{
    (void)state;
    static const struct {
        const char *line, *command;
    } cases[] = {
        {"command: a%20b", "a b"},
        {"command: '%4a%4A%c3%A4'", "JJ\xc3\xa4"},
        {"command: '%2525'", "%25"},
        {"command: '%252525'", "%2525"},
        {"command: '100%'", "100%"},
        {"command: 100%", "100%"},
        {"command: 100%4", "100%4"},
        {"command: '%g0%0g%4g%%41%'", "%g0%0g%4g%A%"},
        {"{%22command%22%3A%22a+b%22}", "a+b"},
        {"command: |2%0A  a%0A   %25", "a\n %"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), PROTO_OK);
        assert_true(text_span_is(request.command, cases[i].command));
    }
    /* What stands behind the line is no part of it. */
    assert_int_equal(read_bytes("command: 100%41", strlen("command: 100%4")), PROTO_OK);
    assert_true(text_span_is(request.command, "100%4"));
}

/* Rules: K1 */
static void test_styles(void **state)
{
    (void)state;
    static const struct {
        const char *line, *command;
    } cases[] = {
        {"command: \"a\\tb\\u00e4\\/\\x41\"", "a\tb\xc3\xa4/A"},
        {"command: 'it''s'", "it's"},
        {"command: |%0A  a%0A  b%0A", "a\nb\n"},
        {"command: >%0A  a%0A  b%0A", "a b\n"},
        {"? command%0A: a", "a"},
        {"command: a\r", "a"},
        {"\xef\xbb\xbf"
         "command: a",
            "a"},
        {"# comment%0Acommand: a # b", "a"},
        {"---%0Acommand: a%0A...%0A", "a"},
        {"{command: a}", "a"},
        {"{\t\"command\"\t:\t\"a\"\t}", "a"},
        {"{\"command\": \"\", \"id\": 1}", ""},
        {"command: 5", "5"},
        {"command: ! a", "a"},
        {"command: false", "false"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), PROTO_OK);
        assert_true(text_span_is(request.command, cases[i].command));
    }
    assert_int_equal(read_line("command: \"a\\0b\""), PROTO_OK);
    assert_int_equal(request.command.length, 3);
    assert_memory_equal(request.command.bytes, "a\0b", 3);
}

/* Rules: K1 */
static void test_an_id_is_the_scalar_that_it_was(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum proto_type type;
        const char *text;
    } cases[] = {
        {"1", PROTO_INTEGER, "1"},
        {"0", PROTO_INTEGER, "0"},
        {"-0", PROTO_INTEGER, "-0"},
        {"-12", PROTO_INTEGER, "-12"},
        {"123456789012345678901234567890", PROTO_INTEGER, "123456789012345678901234567890"},
        {"\"1\"", PROTO_TEXT, "1"},
        {"'1'", PROTO_TEXT, "1"},
        {"! 1", PROTO_TEXT, "1"},
        {"1.5", PROTO_FLOAT, "1.5"},
        {"-0.25", PROTO_FLOAT, "-0.25"},
        {"1e5", PROTO_FLOAT, "1e5"},
        {"1E-5", PROTO_FLOAT, "1E-5"},
        {"1.0e+20", PROTO_FLOAT, "1.0e+20"},
        {"true", PROTO_BOOLEAN, "true"},
        {"FALSE", PROTO_BOOLEAN, "FALSE"},
        {"\"true\"", PROTO_TEXT, "true"},
        {"req-1", PROTO_TEXT, "req-1"},
        {"\"\"", PROTO_TEXT, ""},
        {"null", PROTO_NONE, ""},
        {"Null", PROTO_NONE, ""},
        {"NULL", PROTO_NONE, ""},
        {"~", PROTO_NONE, ""},
        {"", PROTO_NONE, ""},
        {"\"null\"", PROTO_TEXT, "null"},
        {"[1]", PROTO_NONE, ""},
        {"[]", PROTO_NONE, ""},
        {"{a: b}", PROTO_NONE, ""},
        /* no numbers of JSON's */
        {"+1", PROTO_TEXT, "+1"},
        {"007", PROTO_TEXT, "007"},
        {"-01", PROTO_TEXT, "-01"},
        {"0x10", PROTO_TEXT, "0x10"},
        {"1_000", PROTO_TEXT, "1_000"},
        {"--1", PROTO_TEXT, "--1"},
        {"-a", PROTO_TEXT, "-a"},
        {"1.", PROTO_TEXT, "1."},
        {".5", PROTO_TEXT, ".5"},
        {"1.e5", PROTO_TEXT, "1.e5"},
        {"1e", PROTO_TEXT, "1e"},
        {"1e+", PROTO_TEXT, "1e+"},
        {"1e5x", PROTO_TEXT, "1e5x"},
        {"1:30", PROTO_TEXT, "1:30"},
        {".inf", PROTO_TEXT, ".inf"},
        {"yes", PROTO_TEXT, "yes"},
        {"2026-01-01", PROTO_TEXT, "2026-01-01"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[200];
        struct text text;
        for (int own = 0; own < 2; own++) {
            text_init(&text, line, sizeof line);
            text_add(&text, own ? "{command: a, request_id: " : "{command: a, id: ");
            text_add(&text, cases[i].value);
            text_add(&text, "}");
            assert_int_equal(read_line(line), PROTO_OK);
            assert_true(
                id_is(own ? &request.request_id : &request.id, cases[i].type, cases[i].text));
            assert_int_equal((own ? &request.id : &request.request_id)->type, PROTO_NONE);
        }
    }
}

/* Rules: K1 */
static void test_a_scalar_ends_where_it_ends(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        enum proto_type type;
    } cases[] = {
        {"12", 1, PROTO_INTEGER},
        {"1.5", 1, PROTO_INTEGER},
        {"1e5", 1, PROTO_INTEGER},
        {"-1", 1, PROTO_TEXT},
        {"1.5", 2, PROTO_TEXT},
        {"1e+5", 3, PROTO_TEXT},
        {"1.52", 3, PROTO_FLOAT},
        {"truer", 4, PROTO_BOOLEAN},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text_span text = {cases[i].bytes, cases[i].length};
        assert_int_equal(proto_scalar_type(text, false), cases[i].type);
    }
}

/* Rules: K1 */
static void test_users(void **state)
{
    (void)state;
    static const struct {
        const char *line, *user;
    } cases[] = {
        {"{command: a, user: root}", "root"},
        {"{command: a, user: 5}", "5"},
        {"{command: a, user: ~}", ""},
        {"{command: a, user: null}", ""},
        {"{command: a, user: [root]}", ""},
        {"{command: a}", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), PROTO_OK);
        assert_true(text_span_is(request.user, cases[i].user));
    }
}

/* Rules: K1 */
static void test_pids(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t pid;
    } cases[] = {
        {"{command: a, pid: 1}", 1},
        {"{command: a, pid: '77'}", 77},
        {"{command: a, pid: 2147483647}", INT32_MAX},
        {"{command: a, pid: 2147483648}", 0},
        {"{command: a, pid: 0}", 0},
        {"{command: a, pid: -1}", 0},
        {"{command: a, pid: 1.0}", 0},
        {"{command: a, pid: x}", 0},
        {"{command: a, pid: }", 0},
        {"{command: a, pid: [1]}", 0},
        {"{command: a}", 0},
        {"{command: a, pid: 1, pid: x}", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), PROTO_OK);
        assert_int_equal(request.pid, cases[i].pid);
    }
}

/* Rules: K1 */
static void test_wait_and_generation(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum proto_error error;
        bool wait;
        uint64_t generation;
    } cases[] = {
        {"{command: a, wait: true, generation: 7}", PROTO_OK, true, 7},
        {"{command: a, wait: True}", PROTO_OK, true, 0},
        {"{command: a, wait: TRUE}", PROTO_OK, true, 0},
        {"{command: a, wait: false}", PROTO_OK, false, 0},
        {"{command: a, wait: null, generation: null}", PROTO_OK, false, 0},
        {"{command: a, wait: true, wait: false}", PROTO_OK, false, 0},
        {"{command: a, generation: 18446744073709551615}", PROTO_OK, false, UINT64_MAX},
        {"{command: a, generation: 1, generation: }", PROTO_OK, false, 0},
        {"{command: a, wait: 1}", PROTO_WAIT, false, 0},
        {"{command: a, wait: yes}", PROTO_WAIT, false, 0},
        {"{command: a, wait: 'true'}", PROTO_WAIT, false, 0},
        {"{command: a, wait: [true]}", PROTO_WAIT, false, 0},
        {"{command: a, wait: maybe, wait: true}", PROTO_WAIT, true, 0},
        {"{command: a, generation: 0}", PROTO_GENERATION, false, 0},
        {"{command: a, generation: -1}", PROTO_GENERATION, false, 0},
        {"{command: a, generation: 1.5}", PROTO_GENERATION, false, 0},
        {"{command: a, generation: '1'}", PROTO_GENERATION, false, 0},
        {"{command: a, generation: 18446744073709551616}", PROTO_GENERATION, false, 0},
        {"{command: a, generation: {}}", PROTO_GENERATION, false, 0},
        {"{generation: x, wait: x}", PROTO_GENERATION, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), cases[i].error);
        assert_int_equal(request.wait, cases[i].wait);
        assert_true(request.generation == cases[i].generation);
    }
}

/* Rules: K1 */
static void test_what_has_no_command_keeps_its_id(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum proto_error error;
    } cases[] = {
        {"{}", PROTO_NO_COMMAND},
        {"{id: 1, command: null}", PROTO_NO_COMMAND},
        {"{id: 1, command: [a]}", PROTO_NO_COMMAND},
        {"{id: 1, Command: a}", PROTO_NO_COMMAND},
        {"{id: 1, [command]: a}", PROTO_NO_COMMAND},
        {"{id: 1, command: a, command: ~}", PROTO_NO_COMMAND},
        {"{id: 1, command: a, wait: a}", PROTO_WAIT},
        {"{command: a, generation: a, id: 1}", PROTO_GENERATION},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), cases[i].error);
        if (i > 0)
            assert_true(id_is(&request.id, PROTO_INTEGER, "1"));
    }
}

/* Rules: K1 */
static void test_the_last_of_one_name_counts(void **state)
{
    (void)state;
    assert_int_equal(read_line("{command: a, id: x, user: u, args: [1], args: [b, c], id: null, "
                               "command: d, user: }"),
        PROTO_OK);
    assert_true(text_span_is(request.command, "d"));
    assert_int_equal(request.id.type, PROTO_NONE);
    assert_int_equal(request.user.length, 0);
    assert_int_equal(request.args, PROTO_ARGS_LIST);
    assert_args((const char *[ARGS_SHOWN]){"b", "c"});
    assert_int_equal(read_line("{args: [b], command: a, args: ~}"), PROTO_OK);
    assert_int_equal(request.args, PROTO_ARGS_NONE);
}

/* Rules: K1 */
static void test_what_is_unknown_is_passed_over(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{x: y, command: a, id: 1}",
        "{x: [id, 2, command, b], command: a, id: 1}",
        "{x: {id: 2, command: b}, command: a, id: 1}",
        "{[id, 2]: [id, 2], command: a, id: 1}",
        "{{id: 2}: {id: 2}, command: a, id: 1}",
        "{x, command: a, id: 1, y}",
        "x:%0A- id%0A- 2%0Acommand: a%0A? [id]%0A: {}%0Aid: 1",
        "{<<: {id: 2}, command: a, id: 1, '': 2}",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_int_equal(read_line(lines[i]), PROTO_OK);
        assert_true(text_span_is(request.command, "a"));
        assert_true(id_is(&request.id, PROTO_INTEGER, "1"));
        assert_int_equal(request.args, PROTO_ARGS_NONE);
    }
}

/* Rules: K1 */
static void test_args(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        const char *why; /* einhorn's words; NULL: nothing is wrong */
    } cases[] = {
        {"args: []", NULL},
        {"args: [USR2]", NULL},
        {"args: ['5', \"\", ! 6, 'null', 1.2.3]", NULL},
        {"x: []", "No args provided"},
        {"args: ", "No args provided"},
        {"args: null", "No args provided"},
        {"args: USR2", "Args must be an array"},
        {"args: 5", "Args must be an array"},
        {"args: {a: b}", "Args must be an array"},
        {"args: [5]", "Argument is a Integer, not a string: 5"},
        {"args: [a, 1.5, 6]", "Argument is a Float, not a string: 1.5"},
        {"args: [true, 6]", "Argument is a TrueClass, not a string: true"},
        {"args: [false]", "Argument is a FalseClass, not a string: false"},
        {"args: [a, ~]", "Argument is a NilClass, not a string: nil"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buffer[200];
        struct text text;
        text_init(&text, buffer, sizeof buffer);
        text_add(&text, "{command: a, ");
        text_add(&text, cases[i].args);
        text_add(&text, "}");
        assert_int_equal(read_line(buffer), PROTO_OK);
        text_init(&text, buffer, sizeof buffer);
        assert_int_equal(proto_check_args(&request, &text), cases[i].why == NULL);
        assert_string_equal(buffer, cases[i].why ? cases[i].why : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_client_is_understood),
        cmocka_unit_test(test_per_cent_signs),
        cmocka_unit_test(test_styles),
        cmocka_unit_test(test_an_id_is_the_scalar_that_it_was),
        cmocka_unit_test(test_a_scalar_ends_where_it_ends),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_pids),
        cmocka_unit_test(test_wait_and_generation),
        cmocka_unit_test(test_what_has_no_command_keeps_its_id),
        cmocka_unit_test(test_the_last_of_one_name_counts),
        cmocka_unit_test(test_what_is_unknown_is_passed_over),
        cmocka_unit_test(test_args),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
