/*
 * Tests of proto: what is refused, and where the limits are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <yaml.h>

#include "proto_world.h"

/* --- the memory of libyaml, which can run out --- */

static long allocations_left = -1; /* -1: any number */
static long allocated;             /* pieces that were not given back */
static long asked;

static bool may_allocate(void)
{
    asked++;
    if (allocations_left == 0)
        return false;
    if (allocations_left > 0)
        allocations_left--;
    return true;
}

/* libyaml calls these by name, so it gets ours. */
void *yaml_malloc(size_t size);
void *yaml_realloc(void *old, size_t size);
void yaml_free(void *memory);
yaml_char_t *yaml_strdup(const yaml_char_t *string);

void *yaml_malloc(size_t size)
{
    void *memory = may_allocate() ? malloc(size ? size : 1) : NULL;
    allocated += memory != NULL;
    return memory;
}

void *yaml_realloc(void *old, size_t size)
{
    void *memory = may_allocate() ? realloc(old, size ? size : 1) : NULL;
    allocated += memory != NULL && old == NULL;
    return memory;
}

void yaml_free(void *memory)
{
    allocated -= memory != NULL;
    free(memory);
}

yaml_char_t *yaml_strdup(const yaml_char_t *string)
{
    char *copy = string && may_allocate() ? strdup((const char *)string) : NULL;
    allocated += copy != NULL;
    return (yaml_char_t *)copy;
}

/* --- lines that are put together --- */

static char line_bytes[2 * PROTO_LINE_MAX];
static struct text line;

static void begin(const char *start)
{
    text_init(&line, line_bytes, sizeof line_bytes);
    text_add(&line, start);
}

static void add_times(size_t count, const char *piece)
{
    for (size_t i = 0; i < count; i++)
        text_add(&line, piece);
}

static enum proto_error read_it(void)
{
    return read_bytes(line.bytes, line.length);
}

static void assert_empty(void)
{
    assert_false(request.has_command || request.wait);
    assert_int_equal(request.id.type, PROTO_NONE);
    assert_int_equal(request.request_id.type, PROTO_NONE);
    assert_int_equal(request.pid, 0);
    assert_int_equal(request.user.length, 0);
    assert_int_equal(request.args, PROTO_ARGS_NONE);
    assert_int_equal(request.arg_count, 0);
    assert_int_equal(request.generation, 0);
}

/* Rules: K1 I11 I10 */
static void test_what_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum proto_error error;
    } cases[] = {
        {"", PROTO_NO_MAPPING},
        {" ", PROTO_NO_MAPPING},
        {"---", PROTO_NO_MAPPING},
        {"upgrade", PROTO_NO_MAPPING},
        {"5", PROTO_NO_MAPPING},
        {"[command, a]", PROTO_NO_MAPPING},
        {"- command: a", PROTO_NO_MAPPING},
        {"{command: a", PROTO_SYNTAX},
        {"{command: a]", PROTO_SYNTAX},
        {"command: a: b", PROTO_SYNTAX},
        {"command: \"a", PROTO_SYNTAX},
        {"command: a%0A%09- b", PROTO_SYNTAX},
        {"command: %", PROTO_SYNTAX},
        {"command: a%00b", PROTO_SYNTAX},
        {"command: a\x01", PROTO_SYNTAX},
        {"command: \xff", PROTO_SYNTAX},
        {"command: \xc3", PROTO_SYNTAX},
        {"\xff\xfe{%00}%00", PROTO_SYNTAX},
        {"command: \"\\ud83d\\ude00\"", PROTO_SYNTAX},
        {"{id: 1, command: a} b", PROTO_SYNTAX},
        {"command: a%0A...%0Ab", PROTO_SYNTAX},
        {"--- {command: a}%0A--- {command: b}", PROTO_DOCUMENTS},
        {"--- {command: a}%0A---", PROTO_DOCUMENTS},
        {"--- {command: a}%0A--- [b]", PROTO_DOCUMENTS},
        {"{id: 1, command: &a a}", PROTO_REFERENCE},
        {"{id: 1, command: *a}", PROTO_REFERENCE},
        {"&a {id: 1, command: b}", PROTO_REFERENCE},
        {"{id: 1, x: &a [], command: b}", PROTO_REFERENCE},
        {"{&a id: 1, command: b}", PROTO_REFERENCE},
        {"{id: 1, *a : 1}", PROTO_REFERENCE},
        {"{id: 1, command: !!str a}", PROTO_REFERENCE},
        {"{id: 1, command: !a b}", PROTO_REFERENCE},
        {"!a {id: 1, command: b}", PROTO_REFERENCE},
        {"{id: 1, args: ! [], command: b}", PROTO_REFERENCE},
        {"{id: 1, args: [!!int 5], command: b}", PROTO_REFERENCE},
        {"%YAML 1.1%0A---%0Acommand: a", PROTO_REFERENCE},
        {"%25TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"%0A%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"# a%0A%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"#\r%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"#\xc2\x85%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"#\xe2\x80\xa8%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"#\xe2\x80\xa9%TAG ! b%0A---%0Acommand: a", PROTO_REFERENCE},
        {"command: [[a]]", PROTO_DEEP},
        {"{id: 1, x: {y: {}}, command: a}", PROTO_DEEP},
        {"{id: 1, x: [{}], command: a}", PROTO_DEEP},
        {"{id: 1, [[]]: x, command: a}", PROTO_DEEP},
        {"{command: a, args: [b, [c]]}", PROTO_DEEP},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(read_line(cases[i].line), cases[i].error);
        assert_empty();
        assert_int_equal(request.problem != NULL, cases[i].error == PROTO_SYNTAX);
    }
    /* A per cent sign that begins no line. */
    assert_int_equal(read_line("# \xc3\xa9%25%0Acommand: a"), PROTO_OK);
}

/* Rules: K1 I11 */
static void test_a_long_line(void **state)
{
    (void)state;
    begin("command: a#");
    add_times(PROTO_LINE_MAX - line.length, "x");
    assert_int_equal(read_it(), PROTO_OK);
    assert_int_equal(request.command.length, PROTO_LINE_MAX - strlen("command: "));
    text_add(&line, "x");
    assert_int_equal(read_it(), PROTO_LONG_LINE);
    assert_empty();
}

/* Rules: K1 I11 */
static void test_a_text_that_grows(void **state)
{
    (void)state;
    /* \L stands for three bytes. The key counts as well. */
    size_t count = (PROTO_LINE_MAX - strlen("command")) / 3;
    begin("command: \"");
    add_times(count, "\\L");
    add_times((PROTO_LINE_MAX - strlen("command")) % 3, "a");
    text_add(&line, "\"");
    assert_int_equal(read_it(), PROTO_OK);
    assert_int_equal(request.command.length, PROTO_LINE_MAX - strlen("command"));
    line.length--;
    text_add(&line, "a\"");
    assert_int_equal(read_it(), PROTO_LONG_TEXT);
    assert_empty();
}

/* Rules: K1 I11 */
static void test_many_args(void **state)
{
    (void)state;
    begin("{command: a, args: [");
    add_times(PROTO_ARGS_MAX, "b, ");
    text_add(&line, "]}");
    assert_int_equal(read_it(), PROTO_OK);
    assert_int_equal(request.arg_count, PROTO_ARGS_MAX);
    assert_true(text_span_is(request.arg[PROTO_ARGS_MAX - 1], "b"));
    line.length -= 2;
    text_add(&line, "c]}");
    assert_int_equal(read_it(), PROTO_MANY_ARGS);
    assert_empty();
}

/* Rules: K1 I11 */
static void test_a_long_id(void **state)
{
    (void)state;
    static const char *const starts[] = {"{command: a, id: 5, id: ", "{command: a, request_id: "};
    for (size_t i = 0; i < COUNT(starts); i++) {
        const struct proto_id *id = i == 0 ? &request.id : &request.request_id;
        begin(starts[i]);
        add_times(PROTO_ID_MAX, "1");
        text_add(&line, "}");
        assert_int_equal(read_it(), PROTO_OK);
        assert_int_equal(id->length, PROTO_ID_MAX);
        line.length--;
        text_add(&line, "1}");
        assert_int_equal(read_it(), PROTO_LONG_ID);
        assert_true(text_span_is(request.command, "a"));
        assert_int_equal(id->type, PROTO_NONE);
    }
}

/* Rules: I11 */
static void test_what_costs_much_is_cut_short(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        enum proto_error error;
    } cases[] = {
        {"[", PROTO_NO_MAPPING},
        {"{", PROTO_DEEP},
        {"{a: ", PROTO_DEEP},
        {"? ", PROTO_DEEP},
        {"- ", PROTO_NO_MAPPING},
        {"%0A%TAG !a! b", PROTO_REFERENCE},
        {"a: %0A", PROTO_NO_COMMAND},
        {"--- {}%0A", PROTO_DOCUMENTS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin("");
        add_times(PROTO_LINE_MAX / strlen(cases[i].piece), cases[i].piece);
        assert_int_equal(read_it(), cases[i].error);
    }
}

/* Rules: I7 I11 */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "---%0Aid: 3%0Acommand: config%0Aargs:%0A- \"{:number: 3}\"%0A",
        "{\"command\": \"worker:ack\", \"x\": {\"a\": [], \"b\": 'c'}}",
        "{command: &a !b c}",
        "{command: [*a, |",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        enum proto_error sound = read_line(lines[i]);
        enum proto_error error = PROTO_MEMORY;
        long failing = 0;
        assert_int_equal(allocated, 0);
        for (; error == PROTO_MEMORY; failing++) {
            asked = 0;
            allocations_left = failing;
            error = read_line(lines[i]);
            if (error == PROTO_MEMORY)
                assert_empty();
            assert_int_equal(allocated, 0);
        }
        allocations_left = -1;
        assert_int_equal(error, sound);
        assert_true(failing > 5 && asked == failing - 1);
    }
}

/* Rules: I7 I11 */
static void test_no_memory_for_a_mapping(void **state)
{
    (void)state;
    struct text_span part = text_span_of("{:number: 3}");
    struct proto_pair pair;
    size_t count;
    enum proto_error error = PROTO_MEMORY;
    long failing = 0;
    for (; error == PROTO_MEMORY; failing++) {
        allocations_left = failing;
        error = proto_read_mapping(&storage, &part, 1, &pair, 1, &count);
        assert_int_equal(allocated, 0);
    }
    allocations_left = -1;
    assert_int_equal(error, PROTO_OK);
    assert_true(failing > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_a_long_line),
        cmocka_unit_test(test_a_text_that_grows),
        cmocka_unit_test(test_many_args),
        cmocka_unit_test(test_a_long_id),
        cmocka_unit_test(test_what_costs_much_is_cut_short),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_memory_for_a_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
