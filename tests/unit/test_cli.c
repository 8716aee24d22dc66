/*
 * Tests of cli by tables. A row is a command line, an environment, and what comes out of them,
 * written down: the command, its arguments, and each setting that is not the default; or the error.
 */
#include "cli.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    WORDS_MAX = 8,
    LINE_SIZE = 4096,
    ENOUGH_LISTENERS = LIMIT_LISTENERS + 1,
};

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(array)[0])

/* A row of most tables; words[0] comes after the program's name. */
struct parse_case {
    const char *words[WORDS_MAX];
    const char *environment[WORDS_MAX];
    const char *expected;
};

static struct config config;
static char error_buffer[CLI_ERROR_SIZE];
static struct text error;

/* Copies of a row's strings, for argv and the environment are not constant. */
static char copies[2 * WORDS_MAX][1024];
static char *argv[WORDS_MAX + 2];
static char *environment[WORDS_MAX + 1];

static int copy_row(const struct parse_case *row)
{
    static char program[] = "socketmaster";
    size_t copied = 0;
    size_t count = 0;
    int argc = 0;

    argv[argc++] = program;
    for (size_t i = 0; i < WORDS_MAX && row->words[i] != NULL; i++) {
        (void)snprintf(copies[copied], sizeof copies[copied], "%s", row->words[i]);
        argv[argc++] = copies[copied++];
    }
    argv[argc] = NULL;
    for (size_t i = 0; i < WORDS_MAX && row->environment[i] != NULL; i++) {
        (void)snprintf(copies[copied], sizeof copies[copied], "%s", row->environment[i]);
        environment[count++] = copies[copied++];
    }
    environment[count] = NULL;
    return argc;
}

static enum cli_outcome parse(int argc, char *const *words, char *const *variables)
{
    memset(&config, 0xa5, sizeof config); /* nothing may be taken for granted */
    text_init(&error, error_buffer, sizeof error_buffer);
    return cli_parse(argc, words, variables, &config, &error);
}

/* --- what came out, in words ------------------------------------------------------------------ */

static void add_setting(struct text *text, const char *name, const char *value)
{
    text_add_char(text, ' ');
    text_add(text, name);
    text_add_char(text, '=');
    text_add(text, value);
}

static void add_number_setting(
    struct text *text, const char *name, uint64_t value, uint64_t fallback)
{
    if (value != fallback) {
        add_setting(text, name, "");
        text_add_unsigned(text, value);
    }
}

static void add_span_setting(struct text *text, const char *name, struct text_span span)
{
    if (span.length > 0) {
        add_setting(text, name, "");
        text_add_bytes(text, span.bytes, span.length);
    }
}

static void describe_config(struct text *text)
{
    text_add(text, config.command);
    for (size_t i = 0; i < config.argument_count; i++) {
        text_add_char(text, ',');
        text_add(text, config.arguments[i]);
    }
    assert_null(config.arguments[config.argument_count]);
    assert_true(config.listener_count >= 1);
    for (size_t i = 0; i < config.listener_count; i++)
        if (!config.listeners_default)
            add_span_setting(text, "listen", config.listeners[i].source);
    add_number_setting(text, "start", config.start_ms, 3000);
    if (config.stop_signal != SIGHUP)
        add_setting(text, "stop-signal", cli_signal_name(config.stop_signal));
    add_number_setting(text, "stop", config.stop_ms, 0);
    add_number_setting(text, "max-draining", config.max_draining, 0);
    add_number_setting(text, "kill-group", config.kill_group, false);
    add_span_setting(text, "login", config.login);
    add_span_setting(text, "group", config.group);
    if (config.dir != NULL)
        add_setting(text, "dir", config.dir);
    add_number_setting(text, "env", config.families, ENVP_EINHORN | ENVP_SYSTEMD);
    if (config.envdir != NULL)
        add_setting(text, "envdir", config.envdir);
    add_number_setting(text, "inherit", config.output_inherit, false);
    add_number_setting(text, "json", config.log == CLI_LOG_JSON, false);
    add_number_setting(text, "syslog", config.syslog, false);
    if (strcmp(config.syslog_socket, "/dev/log") != 0)
        add_setting(text, "syslog-socket", config.syslog_socket);
    add_number_setting(text, "check", config.check, false);
}

static void describe(enum cli_outcome outcome, struct text *text)
{
    switch (outcome) {
    case CLI_RUN:
        describe_config(text);
        break;
    case CLI_HELP:
        text_add(text, "HELP");
        break;
    case CLI_VERSION:
        text_add(text, "VERSION");
        break;
    case CLI_WRONG:
        text_add(text, error_buffer);
        break;
    }
}

/* A row that expects an error holds its text, which begins with the option or the variable. */
static void check_rows(const struct parse_case *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int argc = copy_row(&rows[i]);
        char line[LINE_SIZE];
        struct text text;
        enum cli_outcome outcome = parse(argc, argv, environment);

        text_init(&text, line, sizeof line);
        describe(outcome, &text);
        if (strcmp(line, rows[i].expected) != 0) {
            fail_msg("row %zu (%s ...)\n  expected: %s\n  but was:  %s", i,
                argc > 1 ? argv[1] : "no word", rows[i].expected, line);
        }
        assert_int_equal(error.length > 0, outcome == CLI_WRONG);
    }
}

/* --- words ------------------------------------------------------------------------------------ */

#define NO_COMMAND "-command: expected the path of the server to run"
#define SYNTAX ": expected -name or -name=value; see -help"
#define UNKNOWN ": unknown option; see -help"
#define MILLISECONDS "milliseconds from 0 to 4294967295"
#define BOOLEAN "true or false"

static const struct parse_case word_cases[] = {
    {{"./s"}, {0}, "./s"},
    {{"-command=./s"}, {0}, "./s"},
    {{"-command", "./s"}, {0}, "./s"},
    {{"--command=./s"}, {0}, "./s"},
    {{"--command", "./s"}, {0}, "./s"},
    {{"-command=./s=1"}, {0}, "./s=1"},
    {{"--", "./s"}, {0}, "./s"},
    {{"--", "--", "./s"}, {0}, "--,./s"},
    {{"--", "-start=5"}, {0}, "-start=5"},
    {{"-"}, {0}, "-"},
    {{"-", "-start=5"}, {0}, "-,-start=5"},
    {{"./s", "-v", "--", "-start=5"}, {0}, "./s,-v,--,-start=5"},
    {{"-command=./s", "-start=5", "a", "-b"}, {0}, "./s,a,-b start=5"},
    {{"-command=./s", "--", "-start=5", ""}, {0}, "./s,-start=5,"},
    {{"-command=./a", "-command=./b", "c"}, {0}, "./b,c"},
    {{"-start", "5", "./s"}, {0}, "./s start=5"},
    {{"-start=1", "--start=2", "./s"}, {0}, "./s start=2"},
    {{"-dir", "-stop", "./s"}, {0}, "./s dir=-stop"},
    {{"-dir", "--", "./s"}, {0}, "./s dir=--"},
    /* A boolean never takes the next word. */
    {{"-syslog", "./s"}, {0}, "./s syslog=1"},
    {{"-syslog", "false"}, {0}, "false syslog=1"},
    {{"-syslog=false", "./s"}, {0}, "./s"},
    {{"-syslog", "-syslog=0", "./s"}, {0}, "./s"},
    {{"--check=true", "./s"}, {0}, "./s check=1"},
    {{0}, {0}, NO_COMMAND},
    {{"--"}, {0}, NO_COMMAND},
    {{"-start=5"}, {0}, NO_COMMAND},
    {{""}, {0}, "-command: value \"\": expected the path of the server to run"},
    {{"-command="}, {0}, "-command: value \"\": expected the path of the server to run"},
    {{"-command"}, {0}, NO_COMMAND},
    {{"-start"}, {0}, "-start: expected " MILLISECONDS},
    {{"./s", "-start"}, {0}, "./s,-start"},
    {{"-=x"}, {0}, "-=x" SYNTAX},
    {{"--=x"}, {0}, "--=x" SYNTAX},
    {{"---"}, {0}, "---" SYNTAX},
    {{"---start=5"}, {0}, "---start=5" SYNTAX},
    {{"-wrokers"}, {0}, "-wrokers" UNKNOWN},
    {{"--wrokers=5"}, {0}, "--wrokers" UNKNOWN},
    {{"-Start=5"}, {0}, "-Start" UNKNOWN},
    {{"-star=5"}, {0}, "-star" UNKNOWN},
    {{"-starts=5"}, {0}, "-starts" UNKNOWN},
    {{"-start =5"}, {0}, "-start " UNKNOWN},
    {{"-stop_signal=HUP"}, {0}, "-stop_signal" UNKNOWN},
    {{"-h"}, {0}, "-h" UNKNOWN},
    {{"-\033[2J\n=x"}, {0}, "-\\x1b[2J\\x0a" UNKNOWN},
    {{"-=\001"}, {0}, "-=\\x01" SYNTAX},
};

/* Rules: C1 C2 C5 */
static void words_are_read_as_go_reads_them(void **state)
{
    (void)state;
    check_rows(word_cases, ARRAY_SIZE(word_cases));
}

/* Options of later rules are refused, never taken and ignored. */
static const struct parse_case later_cases[] = {
    {{"-workers=2", "./s"}, {0}, "-workers" UNKNOWN},
    {{"-control=/c", "./s"}, {0}, "-control" UNKNOWN},
    {{"-ready-timeout=1", "./s"}, {0}, "-ready-timeout" UNKNOWN},
    {{"-rollout=fleet", "./s"}, {0}, "-rollout" UNKNOWN},
    {{"-max-starting=1", "./s"}, {0}, "-max-starting" UNKNOWN},
    {{"-hold=1", "./s"}, {0}, "-hold" UNKNOWN},
    {{"-respawn", "./s"}, {0}, "-respawn" UNKNOWN},
    {{"-ready=notify", "./s"}, {0}, "-ready: value \"notify\": expected alive"},
    {{"-ready=ack", "./s"}, {0}, "-ready: value \"ack\": expected alive"},
    {{"-ready=fd", "./s"}, {0}, "-ready: value \"fd\": expected alive"},
};

/* Rules: C5 R3 */
static void what_is_not_built_is_refused(void **state)
{
    (void)state;
    check_rows(later_cases, ARRAY_SIZE(later_cases));
}

static const struct parse_case help_cases[] = {
    {{"-help"}, {0}, "HELP"},
    {{"--help"}, {0}, "HELP"},
    {{"-help=true", "-start=x"}, {0}, "HELP"},
    {{"-help=0", "./s"}, {0}, "./s"},
    {{"-help", "-version"}, {0}, "HELP"},
    {{"-version"}, {0}, "VERSION"},
    {{"-version", "-help"}, {0}, "VERSION"},
    {{"-version=F", "-help"}, {0}, "HELP"},
    {{"-version", "-nonsense"}, {0}, "VERSION"},
    {{"-help"}, {"SOCKETMASTER_START=x"}, "HELP"},
    {{"./s", "-help"}, {0}, "./s,-help"},
    {{"-start=x", "-help"}, {0}, "-start: value \"x\": expected " MILLISECONDS},
    {{"-nonsense", "-help"}, {0}, "-nonsense" UNKNOWN},
    {{"-help=maybe"}, {0}, "-help: value \"maybe\": expected " BOOLEAN},
    {{"-version="}, {0}, "-version: value \"\": expected " BOOLEAN},
};

/* Rules: C2 C3 C5 */
static void help_and_version_win_over_what_follows(void **state)
{
    (void)state;
    check_rows(help_cases, ARRAY_SIZE(help_cases));
}

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
    {"ready", "alive", true, ""},
    {"ready", "Alive", false, "alive"},
    {"ready", "", false, "alive"},
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

/* Rules: C2 C3 C5 C7 E2 E8 E9 R3 R8 R9 G5 O1 O5 */
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

static const struct parse_case environment_cases[] = {
    {{0}, {"SOCKETMASTER_COMMAND=./s"}, "./s"},
    {{"a", "-b"}, {"SOCKETMASTER_COMMAND=./s"}, "./s,a,-b"},
    {{"-command=./t", "a"}, {"SOCKETMASTER_COMMAND=./s"}, "./t,a"},
    {{0}, {"SOCKETMASTER_COMMAND="},
        "SOCKETMASTER_COMMAND: value \"\": expected the path of the server to run"},
    {{"./s"}, {"SOCKETMASTER_LISTEN=tcp://:1 unix:///b"}, "./s listen=tcp://:1 listen=unix:///b"},
    {{"./s"}, {"SOCKETMASTER_LISTEN=  tcp://:1   tcp://:2 "},
        "./s listen=tcp://:1 listen=tcp://:2"},
    {{"-listen=tcp://:3", "./s"}, {"SOCKETMASTER_LISTEN=tcp://:1 tcp://:2"}, "./s listen=tcp://:3"},
    {{"-listen=tcp://:3", "-listen", "tcp://:4", "./s"}, {"SOCKETMASTER_LISTEN=nonsense"},
        "./s listen=tcp://:3 listen=tcp://:4"},
    {{"./s"}, {"SOCKETMASTER_LISTEN=  "},
        "SOCKETMASTER_LISTEN: value \"  \": expected a URI such as tcp://:8080"},
    {{"./s"}, {"SOCKETMASTER_START=1", "SOCKETMASTER_START=2"}, "./s start=1"},
    {{"./s"}, {"SOCKETMASTER_STOP_SIGNAL=TERM", "SOCKETMASTER_SYSLOG=1"},
        "./s stop-signal=TERM syslog=1"},
    {{"-syslog=false", "./s"}, {"SOCKETMASTER_SYSLOG=true"}, "./s"},
    {{"-start=x"}, {"SOCKETMASTER_STOP=y"}, "-start: value \"x\": expected " MILLISECONDS},
    /* Without effect: other names, other spellings, and what is asked for on the command line. */
    {{"./s"}, {"SOCKETMASTER_HELP=true", "SOCKETMASTER_VERSION=x"}, "./s"},
    {{"./s"}, {"SOCKETMASTER_WORKERS=x", "SOCKETMASTER_PID=7", "SOCKETMASTER_=x"}, "./s"},
    {{"./s"}, {"socketmaster_start=x", "SOCKETMASTER_STARTS=x", "XSOCKETMASTER_START=x"}, "./s"},
    {{"./s"}, {"SOCKETMASTER_STOP-SIGNAL=x", "START=x", "SOCKETMASTER_START"}, "./s"},
};

/* Rules: C4 */
static void the_environment_holds_defaults(void **state)
{
    (void)state;
    check_rows(environment_cases, ARRAY_SIZE(environment_cases));
}

#define TOGETHER "value \"json\": expected text together with -syslog"

static const struct parse_case contradiction_cases[] = {
    {{"-log=json", "-syslog", "./s"}, {0}, "-log: " TOGETHER},
    {{"-syslog", "-log=json", "./s"}, {0}, "-log: " TOGETHER},
    {{"-syslog", "./s"}, {"SOCKETMASTER_LOG=json"}, "SOCKETMASTER_LOG: " TOGETHER},
    {{"-log=json", "./s"}, {"SOCKETMASTER_SYSLOG=1"}, "-log: " TOGETHER},
    {{"-log=json", "-syslog", "-syslog=0", "./s"}, {0}, "./s json=1"},
    {{"-log=text", "-syslog", "./s"}, {0}, "./s syslog=1"},
    {{"-syslog", "-output=inherit", "./s"}, {0}, "./s inherit=1 syslog=1"},
    {{"-log=json", "-syslog-socket=/l", "./s"}, {0}, "./s json=1 syslog-socket=/l"},
    {{"-env=systemd,systemd-nopid", "./s"}, {0}, "./s env=6"},
};

/* Rules: C5 O1 O5 */
static void contradictions_are_refused(void **state)
{
    (void)state;
    check_rows(contradiction_cases, ARRAY_SIZE(contradiction_cases));
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

/* Of a long value the beginning is shown, and always what was expected. */
/* Rules: C5 */
static void an_error_has_room_for_any_value(void **state)
{
    static char program[] = "socketmaster";
    static char word[8 * CLI_ERROR_SIZE];
    char *const words[] = {program, word, NULL};
    char *const no_variables[] = {NULL};
    const struct {
        const char *beginning;
        const char *end;
    } cases[] = {
        {"-start=", "...: expected " MILLISECONDS},
        {"-", "...: unknown option; see -help"},
        {"---", "...: expected -name or -name=value; see -help"},
        {"-listen=", ""},
        {"-listen=tcp://:1?", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t length = 1; length < sizeof word - 32; length *= 2) {
            size_t start = strlen(cases[i].beginning);

            memcpy(word, cases[i].beginning, start);
            memset(word + start, '\033', length);
            word[start + length] = '\0';
            assert_int_equal(parse(2, words, no_variables), CLI_WRONG);
            assert_false(error.overflow);
            for (size_t j = 0; j < error.length; j++)
                assert_in_range(error_buffer[j], ' ', '~');
        }
        assert_true(error.length > strlen(cases[i].end));
        assert_string_equal(error_buffer + error.length - strlen(cases[i].end), cases[i].end);
    }
}

/* Rules: C1 C5 */
static void as_many_arguments_as_there_may_be(void **state)
{
    static char *words[LIMIT_ARGUMENTS + 4];
    static char word[] = "word";
    static char *const nothing[] = {NULL};
    int argc = LIMIT_ARGUMENTS + 2;

    (void)state;
    for (int i = 0; i < argc + 1; i++)
        words[i] = word;
    assert_int_equal(parse(argc, words, nothing), CLI_RUN);
    assert_int_equal(config.argument_count, LIMIT_ARGUMENTS);
    assert_int_equal(parse(argc + 1, words, nothing), CLI_WRONG);
    assert_string_equal(error.bytes, "operands: more than 4096 arguments of the command");
}

/* Rules: C1 C5 */
static void an_empty_argv_has_no_operands(void **state)
{
    static char command[] = "SOCKETMASTER_COMMAND=./s";
    char *const nothing[] = {NULL};
    char *const variables[] = {command, NULL};

    (void)state;
    assert_int_equal(parse(0, nothing, nothing), CLI_WRONG);
    assert_string_equal(error_buffer, NO_COMMAND);
    assert_int_equal(parse(0, nothing, variables), CLI_RUN);
    assert_ptr_equal(config.arguments, nothing);
    assert_int_equal(config.argument_count, 0);
}

/* --- help ------------------------------------------------------------------------------------- */

/* Rules: C3 C5 */
static void the_help_fits_a_terminal(void **state)
{
    char help[CLI_HELP_SIZE];
    struct text text;
    size_t lines = 0;

    (void)state;
    text_init(&text, help, sizeof help);
    cli_add_help(&text);
    assert_false(text.overflow);
    for (const char *line = help; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_non_null(strchr(line, '\n'));
        assert_true(strcspn(line, "\n") <= 80);
        lines++;
    }
    assert_true(lines <= 24);
}

/* Rules: C3 C5 */
static void the_help_names_every_option_with_its_default(void **state)
{
    static const char *const parts[] = {
        "\n  -command=PATH ",
        "\n  -help ",
        "\n  -version ",
        "(default tcp://:8080)\n",
        "(default 3000)\n",
        "(default HUP)\n",
        "(default einhorn,systemd)\n",
        "(default /dev/log)\n",
        "(default process)\n",
        "systemd-nopid, starter or nginx",
    };
    char help[CLI_HELP_SIZE];
    struct text text;

    (void)state;
    text_init(&text, help, sizeof help);
    cli_add_help(&text);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        assert_non_null(strstr(help, parts[i]));
    for (size_t i = 0; i < ARRAY_SIZE(value_cases); i++) {
        char option[64];

        (void)snprintf(option, sizeof option, "\n  -%s", value_cases[i].option);
        assert_non_null(strstr(help, option));
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int number;
} signal_cases[] = {
    {"HUP", SIGHUP},
    {"INT", SIGINT},
    {"QUIT", SIGQUIT},
    {"ABRT", SIGABRT},
    {"KILL", SIGKILL},
    {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},
    {"ALRM", SIGALRM},
    {"TERM", SIGTERM},
    {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},
    {"STOP", SIGSTOP},
    {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},
    {"URG", SIGURG},
    {"WINCH", SIGWINCH},
    {"IO", SIGIO},
    {"PWR", SIGPWR},
    {"SYS", SIGSYS},
    {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},
    {"SEGV", SIGSEGV},
    {"BUS", SIGBUS},
    {"FPE", SIGFPE},
    {"ILL", SIGILL},
    {"TRAP", SIGTRAP},
};

/* Rules: R8 X2 */
static void each_signal_has_a_name_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(signal_cases); i++) {
        char with_prefix[16];

        (void)snprintf(with_prefix, sizeof with_prefix, "sIg%s", signal_cases[i].name);
        assert_string_equal(cli_signal_name(signal_cases[i].number), signal_cases[i].name);
        assert_int_equal(
            cli_signal_number(text_span_of(signal_cases[i].name)), signal_cases[i].number);
        assert_int_equal(cli_signal_number(text_span_of(with_prefix)), signal_cases[i].number);
    }
}

/* Rules: R8 */
static void what_is_no_signal_has_no_number(void **state)
{
    static const char *const names[] = {
        "", "SIG", "SIGSIGHUP", "HU", "HUPP", "hup ", " HUP", "1", "SIG1", "RTMIN", "H\303\234P"};
    static const char letter = 'S'; /* with nothing after it that may be read */
    static const int numbers[] = {0, -1, 64, 65, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(cli_signal_number(text_span_of(names[i])), 0);
    assert_int_equal(cli_signal_number((struct text_span){&letter, 1}), 0);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_null(cli_signal_name(numbers[i]));
        assert_false(cli_signal_retires(numbers[i]));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read_as_go_reads_them),
        cmocka_unit_test(what_is_not_built_is_refused),
        cmocka_unit_test(help_and_version_win_over_what_follows),
        cmocka_unit_test(each_option_knows_its_values),
        cmocka_unit_test(each_variable_is_read_like_its_option),
        cmocka_unit_test(the_command_line_wins_over_each_variable),
        cmocka_unit_test(the_environment_holds_defaults),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(the_default_listener_is_port_8080),
        cmocka_unit_test(listeners_keep_their_order),
        cmocka_unit_test(a_wrong_uri_is_named_with_its_place),
        cmocka_unit_test(as_many_listeners_as_there_may_be),
        cmocka_unit_test(a_value_has_a_longest_length),
        cmocka_unit_test(an_error_has_room_for_any_value),
        cmocka_unit_test(as_many_arguments_as_there_may_be),
        cmocka_unit_test(an_empty_argv_has_no_operands),
        cmocka_unit_test(the_help_fits_a_terminal),
        cmocka_unit_test(the_help_names_every_option_with_its_default),
        cmocka_unit_test(each_signal_has_a_name_both_ways),
        cmocka_unit_test(what_is_no_signal_has_no_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
