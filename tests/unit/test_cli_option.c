/*
 * Tests of cli_option: what each option accepts, on the command line and in the environment, and
 * the listeners that come out.
 */
#include "cli_world.h"

enum { ENOUGH_LISTENERS = LIMIT_LISTENERS + 1 };

/* --- values ----------------------------------------------------------------------------------- */

/* What each option makes of a value; `expected` is a setting, or what the error says was expected.
 */
struct value_case {
    const char *option;
    const char *value;
    bool right;
    const char *expected;
};

#define DIRECTORY "the path of a directory"
#define FAMILIES "a list of einhorn, systemd, systemd-nopid, starter and nginx, each once"
#define ACCOUNT "LOGIN or LOGIN:GROUP"
#define NUMBER "a number from 0 to 4294967295"
#define WORKERS "a number from 1 to 1024"
#define MODES "alive, notify, ack or fd"
#define SOCKET "an absolute path of at most 107 bytes"
#define SIGNALS                                                                                    \
    "one of HUP INT QUIT TERM USR1 USR2 WINCH ABRT ALRM PIPE IO URG PWR PROF VTALRM XCPU XFSZ "    \
    "SYS "                                                                                         \
    "TRAP ILL FPE BUS SEGV"

static const struct value_case value_cases[] = {
    {"listen", "tcp://:80", true, " listen=tcp://:80"},
    {"listen", "unix:///run/s?mode=600", true, " listen=unix:///run/s?mode=600"},
    {"listen", "fd://3", true, " listen=fd://3"},
    {"listen", "", false, "a URI such as tcp://:8080"},
    {"start", "0", true, " start=0"},
    {"start", "0010", true, " start=10"},
    {"start", "4294967295", true, " start=4294967295"},
    {"start", "4294967296", false, MILLISECONDS},
    {"start", "99999999999999999999999", false, MILLISECONDS},
    {"start", "12x", false, MILLISECONDS},
    {"start", "-1", false, MILLISECONDS},
    {"start", "+1", false, MILLISECONDS},
    {"start", " 1", false, MILLISECONDS},
    {"start", "0x10", false, MILLISECONDS},
    {"start", "1.5", false, MILLISECONDS},
    {"start", "3s", false, MILLISECONDS},
    {"start", "", false, MILLISECONDS},
    {"stop", "30000", true, " stop=30000"},
    {"stop", "4294967295", true, " stop=4294967295"},
    {"stop", "4294967296", false, MILLISECONDS},
    {"stop", "never", false, MILLISECONDS},
    {"stop", "", false, MILLISECONDS},
    {"max-draining", "3", true, " max-draining=3"},
    {"max-draining", "4294967295", true, " max-draining=4294967295"},
    {"max-draining", "4294967296", false, NUMBER},
    {"max-draining", "-1", false, NUMBER},
    {"max-draining", "", false, NUMBER},
    {"workers", "1", true, ""},
    {"workers", "2", true, " workers=2"},
    {"workers", "1024", true, " workers=1024"},
    {"workers", "0", false, WORKERS},
    {"workers", "1025", false, WORKERS},
    {"workers", "4294967295", false, WORKERS},
    {"workers", "4294967297", false, WORKERS},
    {"workers", "-1", false, WORKERS},
    {"workers", "auto", false, WORKERS},
    {"workers", "", false, WORKERS},
    {"respawn", "true", true, " respawn=1"},
    {"respawn", "false", true, ""},
    {"respawn", "always", false, BOOLEAN},
    {"respawn", "", false, BOOLEAN},
    {"ready", "alive", true, ""},
    {"ready", "notify", true, " ready=1"},
    {"ready", "fd", true, " ready=2"},
    {"ready", "Alive", false, MODES},
    {"ready", "notify,fd", false, MODES},
    {"ready", "acknowledge", false, MODES},
    {"ready", "", false, MODES},
    {"rollout", "fleet", true, ""},
    {"rollout", "smooth", true, " smooth=1"},
    {"rollout", "Smooth", false, "fleet or smooth"},
    {"rollout", "rolling", false, "fleet or smooth"},
    {"rollout", "", false, "fleet or smooth"},
    {"hold", "0", true, ""},
    {"hold", "5000", true, " hold=5000"},
    {"hold", "4294967295", true, " hold=4294967295"},
    {"hold", "4294967296", false, MILLISECONDS},
    {"hold", "-1", false, MILLISECONDS},
    {"hold", "", false, MILLISECONDS},
    {"ready-timeout", "-1", false, MILLISECONDS},
    {"ready-timeout", "4294967296", false, MILLISECONDS},
    {"ready-timeout", "1m", false, MILLISECONDS},
    {"ready-timeout", "", false, MILLISECONDS},
    {"max-starting", "0", false, WORKERS},
    {"max-starting", "-1", false, WORKERS},
    {"max-starting", "1025", false, WORKERS},
    {"max-starting", "all", false, WORKERS},
    {"max-starting", "", false, WORKERS},
    {"stop-signal", "HUP", true, ""},
    {"stop-signal", "TERM", true, " stop-signal=TERM"},
    {"stop-signal", "SIGTERM", true, " stop-signal=TERM"},
    {"stop-signal", "sigquit", true, " stop-signal=QUIT"},
    {"stop-signal", "Usr2", true, " stop-signal=USR2"},
    {"stop-signal", "winch", true, " stop-signal=WINCH"},
    {"stop-signal", "KILL", false, SIGNALS},
    {"stop-signal", "STOP", false, SIGNALS},
    {"stop-signal", "TSTP", false, SIGNALS},
    {"stop-signal", "TTIN", false, SIGNALS},
    {"stop-signal", "TTOU", false, SIGNALS},
    {"stop-signal", "CONT", false, SIGNALS},
    {"stop-signal", "CHLD", false, SIGNALS},
    {"stop-signal", "15", false, SIGNALS},
    {"stop-signal", "SIG", false, SIGNALS},
    {"stop-signal", "TERM ", false, SIGNALS},
    {"stop-signal", "", false, "the name of a signal"},
    {"kill", "process", true, ""},
    {"kill", "group", true, " kill-group=1"},
    {"kill", "Group", false, "process or group"},
    {"kill", "groups", false, "process or group"},
    {"kill", "", false, "process or group"},
    {"user", "", true, ""},
    {"user", "www-data", true, " login=www-data"},
    {"user", "www-data:adm", true, " login=www-data group=adm"},
    {"user", "1000:1000", true, " login=1000 group=1000"},
    {"user", "DOM\\user name", true, " login=DOM\\user name"},
    {"user", ":adm", false, ACCOUNT},
    {"user", ":", false, ACCOUNT},
    {"user", "www:", false, ACCOUNT},
    {"user", "a:b:c", false, ACCOUNT},
    {"user", "a::c", false, ACCOUNT},
    {"user", "a\tb", false, ACCOUNT},
    {"user", "a:b\177", false, ACCOUNT},
    {"dir", "/srv/app/current", true, " dir=/srv/app/current"},
    {"dir", "relative", true, " dir=relative"},
    {"dir", "", false, DIRECTORY},
    {"envdir", "/etc/env", true, " envdir=/etc/env"},
    {"envdir", "", false, DIRECTORY},
    {"env", "", true, " env=0"},
    {"env", "einhorn", true, " env=1"},
    {"env", "systemd", true, " env=2"},
    {"env", "systemd-nopid", true, " env=4"},
    {"env", "starter", true, " env=8"},
    {"env", "nginx", true, " env=16"},
    {"env", "systemd,einhorn", true, ""},
    {"env", "nginx,starter,systemd-nopid,systemd,einhorn", true, " env=31"},
    {"env", "einhorn,einhorn", false, FAMILIES},
    {"env", "einhorn,systemd,einhorn", false, FAMILIES},
    {"env", "einhorn,", false, FAMILIES},
    {"env", ",einhorn", false, FAMILIES},
    {"env", ",", false, FAMILIES},
    {"env", "einhorn, systemd", false, FAMILIES},
    {"env", "Einhorn", false, FAMILIES},
    {"env", "none", false, FAMILIES},
    {"env", "system", false, FAMILIES},
    {"output", "log", true, ""},
    {"output", "inherit", true, " inherit=1"},
    {"output", "stderr", false, "log or inherit"},
    {"output", "", false, "log or inherit"},
    {"log", "text", true, ""},
    {"log", "json", true, " json=1"},
    {"log", "JSON", false, "text or json"},
    {"log", "", false, "text or json"},
    {"syslog-socket", "/run/log", true, " syslog-socket=/run/log"},
    {"control", "/run/s.sock", true, " control=/run/s.sock"},
    {"control", "/%41+a b?c", true, " control=/%41+a b?c"},
    {"control", "s.sock", false, SOCKET},
    {"control", "/run/", false, SOCKET},
    {"control", "", false, SOCKET},
    {"textfile", "/var/lib/s.prom", true, " textfile=/var/lib/s.prom"},
    {"textfile", "s.prom", false, "an absolute path"},
    {"textfile", "", false, "an absolute path"},
    {"syslog-socket", "run/log", false, SOCKET},
    {"syslog-socket", "@log", false, SOCKET},
    {"syslog-socket", "", false, SOCKET},
    {"syslog", "1", true, " syslog=1"},
    {"syslog", "t", true, " syslog=1"},
    {"syslog", "T", true, " syslog=1"},
    {"syslog", "true", true, " syslog=1"},
    {"syslog", "TRUE", true, " syslog=1"},
    {"syslog", "True", true, " syslog=1"},
    {"syslog", "0", true, ""},
    {"syslog", "f", true, ""},
    {"syslog", "F", true, ""},
    {"syslog", "false", true, ""},
    {"syslog", "FALSE", true, ""},
    {"syslog", "False", true, ""},
    {"syslog", "yes", false, BOOLEAN},
    {"syslog", "tRUE", false, BOOLEAN},
    {"syslog", "2", false, BOOLEAN},
    {"syslog", "", false, BOOLEAN},
    {"check", "true", true, " check=1"},
    {"check", "false", true, ""},
    {"check", "", false, BOOLEAN},
};

/* "SOCKETMASTER_STOP_SIGNAL" for "stop-signal", spelt here a second time on purpose. */
static void add_variable(struct text *text, const char *option)
{
    text_add(text, "SOCKETMASTER_");
    for (; *option != '\0'; option++)
        text_add_char(text, *option == '-' ? '_' : (char)(*option - ('a' - 'A')));
}

static void add_expectation(struct text *text, const char *place, const struct value_case *value)
{
    if (value->right) {
        text_add(text, "./s");
    } else {
        text_add(text, place);
        text_add(text, ": value ");
        text_add_quoted(text, value->value, strlen(value->value));
        text_add(text, ": expected ");
    }
    text_add(text, value->expected);
}

static void check_value_on_the_command_line(const struct value_case *value)
{
    char word[256], place[64], expected[512];
    struct text text;

    text_init(&text, place, sizeof place);
    text_add_char(&text, '-');
    text_add(&text, value->option);
    text_init(&text, word, sizeof word);
    text_add(&text, place);
    text_add_char(&text, '=');
    text_add(&text, value->value);
    text_init(&text, expected, sizeof expected);
    add_expectation(&text, place, value);
    check_rows(&(struct parse_case){{word, "./s"}, {0}, expected}, 1);
}

static void check_value_in_the_environment(const struct value_case *value)
{
    char variable[256], place[64], expected[512];
    struct text text;

    text_init(&text, place, sizeof place);
    add_variable(&text, value->option);
    text_init(&text, variable, sizeof variable);
    text_add(&text, place);
    text_add_char(&text, '=');
    text_add(&text, value->value);
    text_init(&text, expected, sizeof expected);
    add_expectation(&text, place, value);
    check_rows(&(struct parse_case){{"./s"}, {variable}, expected}, 1);
}

/* Rules: C2 C3 C5 C7 E2 E8 E9 R1 R3 R5 R6 R8 R9 R10 G5 O1 O5 */
static void each_option_knows_its_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(value_cases); i++)
        check_value_on_the_command_line(&value_cases[i]);
}

/* Rules: C4 C5 */
static void each_variable_is_read_like_its_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(value_cases); i++)
        check_value_in_the_environment(&value_cases[i]);
}

/* A wrong variable does not matter once the command line names its option. */
/* Rules: C4 */
static void the_command_line_wins_over_each_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(value_cases); i++) {
        char word[256], variable[64], expected[512];
        struct text text;

        if (!value_cases[i].right)
            continue;
        text_init(&text, word, sizeof word);
        text_add_char(&text, '-');
        text_add(&text, value_cases[i].option);
        text_add_char(&text, '=');
        text_add(&text, value_cases[i].value);
        text_init(&text, variable, sizeof variable);
        add_variable(&text, value_cases[i].option);
        text_add(&text, "=:::");
        text_init(&text, expected, sizeof expected);
        add_expectation(&text, "", &value_cases[i]);
        check_rows(&(struct parse_case){{word, "./s"}, {variable}, expected}, 1);
    }
}

/* --- listeners -------------------------------------------------------------------------------- */

/* Rules: C3 */
static void the_default_listener_is_port_8080(void **state)
{
    const struct parse_case row = {{"./s"}, {0}, ""};
    int argc = copy_row(&row);

    (void)state;
    assert_int_equal(parse(argc, argv, environment), CLI_RUN);
    assert_int_equal(config.listener_count, 1);
    assert_true(config.listeners_default);
    assert_true(text_span_is(config.listeners[0].source, "tcp://:8080"));
    assert_int_equal(config.listeners[0].kind, URI_TCP);
    assert_int_equal(config.listeners[0].port, 8080);
}

/* Rules: C3 */
static void listeners_keep_their_order(void **state)
{
    const struct parse_case row = {
        {"-listen=tcp://:1", "-listen", "tcp6://:2", "--listen=unix:/a", "./s"}, {0}, ""};
    int argc = copy_row(&row);

    (void)state;
    assert_int_equal(parse(argc, argv, environment), CLI_RUN);
    assert_int_equal(config.listener_count, 3);
    assert_false(config.listeners_default);
    assert_int_equal(config.listeners[0].port, 1);
    assert_int_equal(config.listeners[1].port, 2);
    assert_int_equal(config.listeners[1].family, URI_IPV6);
    assert_int_equal(config.listeners[2].kind, URI_UNIX);
    assert_string_equal(config.listeners[2].path, "/a");
}

/* The complaint itself is uri's; the option or the variable stands before it. */
/* Rules: C5 L4 */
static void a_wrong_uri_is_named_with_its_place(void **state)
{
    const struct {
        struct parse_case row;
        const char *beginning;
    } cases[] = {
        {{{"-listen=tcp://:65536", "./s"}, {0}, ""}, "-listen: value \"tcp://:65536\": expected "},
        {{{"-listen=tcp://:1 tcp://:2", "./s"}, {0}, ""}, "-listen: value \"tcp://:1 tcp://:2\": "},
        {{{"./s"}, {"SOCKETMASTER_LISTEN=tcp://:1 tcp://:65536"}, ""},
            "SOCKETMASTER_LISTEN: value \"tcp://:65536\": expected "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int argc = copy_row(&cases[i].row);

        assert_int_equal(parse(argc, argv, environment), CLI_WRONG);
        assert_memory_equal(error_buffer, cases[i].beginning, strlen(cases[i].beginning));
        assert_non_null(strstr(error_buffer, ", at byte "));
    }
}

/* --- limits ----------------------------------------------------------------------------------- */

/* Rules: C3 C5 */
static void as_many_listeners_as_there_may_be(void **state)
{
    static char program[] = "socketmaster", option[] = "-listen=tcp://:1", command[] = "./s";
    static char list[sizeof "SOCKETMASTER_LISTEN=" + ENOUGH_LISTENERS * sizeof "tcp://:1"];
    static char *words[1 + ENOUGH_LISTENERS + 2];
    char *const variables[] = {list, NULL};
    char *const no_variables[] = {NULL};
    char *const command_only[] = {program, command, NULL};
    struct text text;

    (void)state;
    words[0] = program;
    for (int i = 1; i <= LIMIT_LISTENERS; i++)
        words[i] = option;
    words[1 + LIMIT_LISTENERS] = command;
    assert_int_equal(parse(LIMIT_LISTENERS + 2, words, no_variables), CLI_RUN);
    assert_int_equal(config.listener_count, LIMIT_LISTENERS);

    words[1 + LIMIT_LISTENERS] = option;
    words[2 + LIMIT_LISTENERS] = command;
    assert_int_equal(parse(LIMIT_LISTENERS + 3, words, no_variables), CLI_WRONG);
    assert_string_equal(
        error_buffer, "-listen: value \"tcp://:1\": expected no more than 256 listeners");

    text_init(&text, list, sizeof list);
    text_add(&text, "SOCKETMASTER_LISTEN=tcp://:1");
    for (int i = 1; i < LIMIT_LISTENERS; i++)
        text_add(&text, " tcp://:1");
    assert_int_equal(parse(2, command_only, variables), CLI_RUN);
    assert_int_equal(config.listener_count, LIMIT_LISTENERS);

    text_add(&text, " tcp://:1");
    assert_false(text.overflow);
    assert_int_equal(parse(2, command_only, variables), CLI_WRONG);
}

static const struct {
    const char *option;
    const char *before; /* the value is this, and `longest` bytes with what follows */
    const char *after;
    size_t longest;
} length_cases[] = {
    {"-user=", "", "", 255},
    {"-user=", "a:", "", 2 + 255},
    {"-user=", "", ":b", 255 + 2},
    {"-syslog-socket=", "/", "", 107},
    {"-control=", "/", "", 107},
};

/* Rules: C5 E8 */
static void a_value_has_a_longest_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(length_cases); i++) {
        for (size_t excess = 0; excess <= 1; excess++) {
            struct parse_case row = {{"-user=", "./s"}, {0}, ""};
            int argc = copy_row(&row);
            size_t affixes = strlen(length_cases[i].before) + strlen(length_cases[i].after);
            struct text text;

            text_init(&text, copies[0], sizeof copies[0]);
            text_add(&text, length_cases[i].option);
            text_add(&text, length_cases[i].before);
            for (size_t j = affixes; j < length_cases[i].longest + excess; j++)
                text_add_char(&text, 'x');
            text_add(&text, length_cases[i].after);
            assert_false(text.overflow);
            assert_int_equal(parse(argc, argv, environment), excess == 0 ? CLI_RUN : CLI_WRONG);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_knows_its_values),
        cmocka_unit_test(each_variable_is_read_like_its_option),
        cmocka_unit_test(the_command_line_wins_over_each_variable),
        cmocka_unit_test(the_default_listener_is_port_8080),
        cmocka_unit_test(listeners_keep_their_order),
        cmocka_unit_test(a_wrong_uri_is_named_with_its_place),
        cmocka_unit_test(as_many_listeners_as_there_may_be),
        cmocka_unit_test(a_value_has_a_longest_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
