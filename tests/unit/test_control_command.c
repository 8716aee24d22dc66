/*
 * Tests of control_command: the table of commands, and every argument that is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "control_command.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct proto_storage storage, arguments;
static struct proto_request request;
static struct control_ask ask;
static char words[8192];

/* Returns whether it would be done; otherwise `words` says why not. */
static bool take(const char *line)
{
    struct text why;
    text_init(&why, words, sizeof words);
    memset(&ask, 0, sizeof ask);
    assert_int_equal(proto_read(&storage, line, strlen(line), &request), PROTO_OK);
    int command = control_command_find(&request, CONTROL_OPERATOR, &why);
    bool taken = command >= 0 && control_command_take((enum control_command)command, &request,
                                     &arguments, &ask, &why);
    assert_false(why.overflow);
    assert_int_equal(taken, why.length == 0);
    return taken;
}

static void expect(const char *line, enum control_command command)
{
    if (!take(line))
        fail_msg("%s: %s", line, words);
    assert_int_equal(ask.command, command);
}

/* Rules: K2 K3 */
static void test_every_command_is_found_and_who_may_give_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *args;
        enum control_command command;
        bool of_workers, large;
    } cases[] = {
        {"worker:ack", "", CONTROL_ACK, true, false},
        {"worker:ping", "", CONTROL_PING, true, false},
        {"state", "", CONTROL_STATE, false, true},
        {"upgrade", "", CONTROL_UPGRADE, false, false},
        {"upgrade_fleet", "", CONTROL_UPGRADE_FLEET, false, false},
        {"inc", "", CONTROL_INC, false, false},
        {"dec", "", CONTROL_DEC, false, false},
        {"set_workers", "'3'", CONTROL_SET_WORKERS, false, false},
        {"signal", "USR1", CONTROL_SIGNAL, false, false},
        {"die", "", CONTROL_DIE, false, false},
        {"quieter", "", CONTROL_QUIETER, false, false},
        {"louder", "", CONTROL_LOUDER, false, false},
        {"config", "'{}'", CONTROL_CONFIG, false, false},
        {"rollout", "", CONTROL_ROLLOUT, false, false},
        {"status", "", CONTROL_STATUS, false, true},
        {"metrics", "", CONTROL_METRICS, false, true},
        {"logs", "", CONTROL_LOGS, false, false},
        {"ehlo", "", CONTROL_EHLO, false, false},
        {"help", "", CONTROL_HELP, false, false},
        {"reload", "", CONTROL_RELOAD, false, false},
    };
    char help[8192];
    struct text text, why;
    text_init(&text, help, sizeof help);
    control_command_add_help(&text);
    assert_false(text.overflow);
    assert_int_equal(COUNT(cases), CONTROL_COMMAND_COUNT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[200];
        snprintf(line, sizeof line, "{command: \"%s\", args: [%s]}", cases[i].name, cases[i].args);
        expect(line, cases[i].command);
        assert_string_equal(control_command_name(cases[i].command), cases[i].name);
        assert_int_equal(control_command_is_large(cases[i].command), cases[i].large);
        assert_int_equal(control_command_is_last(cases[i].command), cases[i].of_workers);
        for (enum control_role role = CONTROL_NOBODY; role <= CONTROL_OPERATOR; role++) {
            text_init(&why, words, sizeof words);
            int found = control_command_find(&request, role, &why);
            bool may = role == CONTROL_OPERATOR || cases[i].of_workers;
            assert_int_equal(found, may ? (int)cases[i].command : -1);
        }
        bool takes_some = cases[i].args[0] != '\0' || cases[i].command == CONTROL_DIE ||
                          cases[i].command == CONTROL_ROLLOUT || cases[i].command == CONTROL_STATUS;
        snprintf(line, sizeof line, "{command: \"%s\", args: [x]}", cases[i].name);
        if (!takes_some) {
            assert_false(take(line));
            assert_non_null(strstr(words, " takes none"));
        }
        snprintf(line, sizeof line, "\n%s: ", cases[i].name);
        bool for_people = !cases[i].of_workers && cases[i].command != CONTROL_EHLO;
        assert_int_equal(strstr(help, line) != NULL, for_people);
    }
}

/* Rules: K2 */
static void test_help_is_sorted(void **state)
{
    (void)state;
    char help[8192];
    char last[100] = "";
    struct text text;
    text_init(&text, help, sizeof help);
    control_command_add_help(&text);
    char *line = strstr(help, "\n\n") + 2;
    while (*line != '\0') {
        char name[100];
        assert_int_equal(sscanf(line, "%99[^:]: ", name), 1);
        assert_true(strcmp(last, name) < 0);
        strcpy(last, name);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(last, "upgrade_fleet");
}

/* Rules: K2 K5 I10 */
static void test_what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"{command: inc, args: ['5']}", "Too many args: inc takes none"},
        {"{command: inc, args: x}", "Args must be an array"},
        {"{command: inc, args: [5]}", "Argument is a Integer, not a string: 5"},
        {"{command: upgrade, args: {}}", "Args must be an array"},
        {"{command: set_workers}", "No args provided"},
        {"{command: set_workers, args: 3}", "Args must be an array"},
        {"{command: set_workers, args: [3]}", "Argument is a Integer, not a string: 3"},
        {"{command: set_workers, args: []}",
            "Invalid count: \"\". Must be an integer in [1,1024]."},
        {"{command: set_workers, args: ['0']}",
            "Invalid count: \"0\". Must be an integer in [1,1024]."},
        {"{command: set_workers, args: ['1025']}",
            "Invalid count: \"1025\". Must be an integer in [1,1024]."},
        {"{command: set_workers, args: ['-1']}",
            "Invalid count: \"-1\". Must be an integer in [1,1024]."},
        {"{command: set_workers, args: ['3x']}",
            "Invalid count: \"3x\". Must be an integer in [1,1024]."},
        {"{command: set_workers, args: ['3', '4']}", "Too many args: set_workers takes 1"},
        {"{command: signal}", "No args provided"},
        {"{command: signal, args: []}", "No args provided"},
        {"{command: signal, args: [USR1, true]}", "Argument is a TrueClass, not a string: true"},
        {"{command: signal, args: [USR1, SIGNOPE]}", "Invalid signal: \"SIGNOPE\""},
        {"{command: signal, args: ['10']}", "Invalid signal: \"10\""},
        {"{command: signal, args: ['']}", "Invalid signal: \"\""},
        {"{command: die}", "No args provided"},
        {"{command: die, args: [TERM, INT]}", "Too many args: die takes 1"},
        {"{command: die, args: [\"a\\nb\"]}", "Invalid signal: \"a\\x0ab\""},
        {"{command: config}", "No args provided"},
        {"{command: config, args: []}", "Must pass in a YAML-encoded hash"},
        {"{command: config, args: ['']}", "Parsed argument is not a hash"},
        {"{command: config, args: [number]}", "Parsed argument is not a hash"},
        {"{command: config, args: ['[number, 3]']}", "Parsed argument is not a hash"},
        {"{command: config, args: ['{number: 3']}",
            "Could not parse argument. Must be a YAML-encoded hash"},
        {"{command: config, args: ['{a: {b: {}}}']}",
            "Could not parse argument. Must be a YAML-encoded hash"},
        {"{command: config, args: ['{:seconds: 3}']}",
            "Unable to change \"seconds\": it has no counterpart in socketmaster"},
        {"{command: config, args: ['{:number: 3, ack_mode: {type: manual}}']}",
            "Unable to change \"ack_mode\": it has no counterpart in socketmaster"},
        {"{command: config, args: ['{[a]: 3}']}",
            "Unable to change \"\": it has no counterpart in socketmaster"},
        {"{command: config, args: ['{number: 0}']}",
            "Invalid number: \"0\". Must be an integer in [1,1024]."},
        {"{command: config, args: ['{number: \"3\"}']}",
            "Invalid number: \"3\". Must be an integer in [1,1024]."},
        {"{command: config, args: ['{number: [3]}']}",
            "Invalid number: \"\". Must be an integer in [1,1024]."},
        {"{command: config, args: ['{verbosity: 3}']}",
            "Invalid verbosity: \"3\". Must be an integer in [0,2]."},
        {"{command: config, args: ['{verbosity: low}']}",
            "Invalid verbosity: \"low\". Must be an integer in [0,2]."},
        {"{command: rollout, args: ['']}", "Invalid command: it is empty"},
        {"{command: rollout, args: [a, \"b\\0\"]}", "Invalid command: a byte of it is NUL"},
        {"{command: rollout, args: [a, \"\\0b\"]}", "Invalid command: a byte of it is NUL"},
        {"{command: rollout, args: a}", "Args must be an array"},
        {"{command: rollout, args: [1.5]}", "Argument is a Float, not a string: 1.5"},
        {"{command: status, args: [xml]}", "Invalid view: \"xml\". Must be json or table."},
        {"{command: status, args: [json, '80']}", "Too many args: json takes none"},
        {"{command: status, args: [table, '0']}",
            "Invalid columns: \"0\". Must be an integer in [1,65535]."},
        {"{command: status, args: [table, '65536']}",
            "Invalid columns: \"65536\". Must be an integer in [1,65535]."},
        {"{command: status, args: [table, '80', blue]}",
            "Invalid option: \"blue\". Must be colour."},
        {"{command: status, args: [table, '80', colour, x]}", "Too many args: status takes 3"},
        {"{command: logs, args: [x]}", "Too many args: logs takes none"},
        {"{command: 'worker:ack', args: [x]}", "Too many args: worker:ack takes none"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(take(cases[i].line));
        assert_string_equal(words, cases[i].words);
    }
}

/* Rules: K2 I11 */
static void test_no_more_signals_than_there_is_room_for(void **state)
{
    (void)state;
    for (int count = CONTROL_SIGNALS_MAX; count <= CONTROL_SIGNALS_MAX + 1; count++) {
        char line[2000] = "{command: signal, args: [";
        for (int i = 0; i < count; i++)
            strcat(line, i > 0 ? ", HUP" : "HUP");
        strcat(line, "]}");
        assert_int_equal(take(line), count == CONTROL_SIGNALS_MAX);
    }
    assert_string_equal(words, "Too many args: signal takes 32");
}

/* Rules: K2 I10 */
static void test_what_a_client_wrote_comes_back_short(void **state)
{
    (void)state;
    char line[2000] = "command: ";
    memset(line + strlen(line), 'y', 1000);
    assert_false(take(line));
    assert_memory_equal(words, "Unrecognized command: \"yyy", 26);
    assert_non_null(strstr(words, "y\"...\n\nconfig: "));
    assert_true(strstr(words, "\n\n") - words < 100);
}

/* Rules: K2 K5 */
static void test_what_is_right_is_taken(void **state)
{
    (void)state;
    expect("{command: set_workers, args: ['1024']}", CONTROL_SET_WORKERS);
    assert_int_equal(ask.number, 1024);
    expect("---%0Aid: 1%0Acommand: signal%0Aargs:%0A- usr2%0A- SIGHUP%0A- kill%0A", CONTROL_SIGNAL);
    assert_int_equal(ask.signal_count, 3);
    assert_int_equal(ask.signals[0], SIGUSR2);
    assert_int_equal(ask.signals[1], SIGHUP);
    assert_int_equal(ask.signals[2], SIGKILL);
    assert_true(ask.has_id);
    assert_int_equal(ask.slot, -1);
    expect("{command: die, args: []}", CONTROL_DIE);
    assert_int_equal(ask.signal_count, 1);
    assert_int_equal(ask.signals[0], SIGUSR2);
    expect("{command: die, args: [TERM], pid: 12}", CONTROL_DIE);
    assert_int_equal(ask.signal_count, 1);
    assert_int_equal(ask.signals[0], SIGTERM);
    assert_int_equal(ask.pid, 12);
    expect(
        "{command: rollout, args: [/bin/a, '', -c], wait: true, generation: 7}", CONTROL_ROLLOUT);
    assert_true(ask.wait);
    assert_int_equal(ask.generation, 7);
    assert_int_equal(ask.arg_count, 3);
    assert_true(text_span_is(ask.args[0], "/bin/a"));
    assert_true(text_span_is(ask.args[2], "-c"));
    expect("{command: rollout, args: []}", CONTROL_ROLLOUT);
    assert_int_equal(ask.arg_count, 0);
    assert_false(ask.wait);
    expect("{command: 'worker:ping', pid: 3, request_id: r}", CONTROL_PING);
    assert_int_equal(ask.request_id.type, PROTO_TEXT);
    expect("{command: ehlo, user: root}", CONTROL_EHLO);
    assert_true(text_span_is(ask.user, "root"));
}

/* Rules: K5 */
static void test_views(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum control_view view;
        unsigned columns;
        bool colour;
    } cases[] = {
        {"{command: status}", CONTROL_TABLE, 80, false},
        {"{command: status, args: []}", CONTROL_TABLE, 80, false},
        {"{command: status, args: [table]}", CONTROL_TABLE, 80, false},
        {"{command: status, args: [table, '1']}", CONTROL_TABLE, 1, false},
        {"{command: status, args: [table, '65535', colour]}", CONTROL_TABLE, 65535, true},
        {"{command: status, args: [json]}", CONTROL_JSON, 80, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(cases[i].line, CONTROL_STATUS);
        assert_int_equal(ask.view, cases[i].view);
        assert_int_equal(ask.columns, cases[i].columns);
        assert_int_equal(ask.colour, cases[i].colour);
    }
}

/* Rules: K2 */
static void test_configs(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        int number, verbosity; /* -1: not set */
    } cases[] = {
        {"'{:number: 3}'", 3, -1},
        {"'{number: 3}'", 3, -1},
        {"'{', ':number:', '3', '}'", 3, -1},
        {"':number: 1024'", 1024, -1},
        {"\":number: 2\\n:verbosity: 0\"", 2, 0},
        {"\"---\\n:verbosity: 2\\n\"", -1, 2},
        {"'{:number: 3, :verbosity: 1}'", 3, 1},
        {"'{\":number\": 3, \"verbosity\": 1}'", 3, 1},
        {"'{:number: 3, :number: 4}'", 4, -1},
        {"'{}'", -1, -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[200];
        snprintf(line, sizeof line, "{command: config, args: [%s]}", cases[i].args);
        expect(line, CONTROL_CONFIG);
        assert_int_equal(ask.config.has_number, cases[i].number >= 0);
        assert_int_equal(ask.config.has_verbosity, cases[i].verbosity >= 0);
        if (cases[i].number >= 0)
            assert_int_equal(ask.config.number, cases[i].number);
        if (cases[i].verbosity >= 0)
            assert_int_equal(ask.config.verbosity, cases[i].verbosity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_is_found_and_who_may_give_it),
        cmocka_unit_test(test_help_is_sorted),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_no_more_signals_than_there_is_room_for),
        cmocka_unit_test(test_what_a_client_wrote_comes_back_short),
        cmocka_unit_test(test_what_is_right_is_taken),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
