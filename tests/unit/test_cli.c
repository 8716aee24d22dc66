/*
 * Tests of cli: how words become options and operands, which source wins, and the help.
 */
#include "cli_world.h"

/* --- words ------------------------------------------------------------------------------------ */

#define NO_COMMAND "-command: expected the path of the server to run"
#define SYNTAX ": expected -name or -name=value; see -help"
#define UNKNOWN ": unknown option; see -help"

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
    {{"./s"}, {"SOCKETMASTER_HELP=1", "SOCKETMASTER_VERSION=1"}, "./s"},
    {{"-version="}, {0}, "-version: value \"\": expected " BOOLEAN},
};

/* Rules: C2 C3 C5 */
static void help_and_version_win_over_what_follows(void **state)
{
    (void)state;
    check_rows(help_cases, ARRAY_SIZE(help_cases));
}

/* --- the environment, and what does not go together ------------------------------------------- */

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
    {{"./s"}, {"SOCKETMASTER_HELP=x", "SOCKETMASTER_VERSION=x"}, "./s"},
    {{"./s"}, {"SOCKETMASTER_WORKER=x", "SOCKETMASTER_PID=7", "SOCKETMASTER_=x"}, "./s"},
    {{"./s"}, {"socketmaster_start=x", "SOCKETMASTER_STARTS=x", "XSOCKETMASTER_START=x"}, "./s"},
    {{"./s"}, {"SOCKETMASTER_STOP-SIGNAL=x", "START=x", "SOCKETMASTER_START"}, "./s"},
};

/* Rules: C4 */
static void the_environment_holds_defaults(void **state)
{
    (void)state;
    check_rows(environment_cases, ARRAY_SIZE(environment_cases));
}

#define JSON "value \"json\": expected text together with -syslog"
#define TIMEOUT(value) "value \"" value "\": expected -ready=notify, ack or fd together with it"
#define SHORT(value) "value \"" value "\": expected 0, or no less than -start"
#define LIMIT(value) "value \"" value "\": expected -rollout=smooth together with it"

static const struct parse_case contradiction_cases[] = {
    {{"-log=json", "-syslog", "./s"}, {0}, "-log: " JSON},
    {{"-syslog", "-log=json", "./s"}, {0}, "-log: " JSON},
    {{"-syslog", "./s"}, {"SOCKETMASTER_LOG=json"}, "SOCKETMASTER_LOG: " JSON},
    {{"-log=json", "./s"}, {"SOCKETMASTER_SYSLOG=1"}, "-log: " JSON},
    {{"-log=json", "-syslog", "-syslog=0", "./s"}, {0}, "./s json=1"},
    {{"-log=text", "-syslog", "./s"}, {0}, "./s syslog=1"},
    {{"-syslog", "-output=inherit", "./s"}, {0}, "./s inherit=1 syslog=1"},
    {{"-log=json", "-syslog-socket=/l", "./s"}, {0}, "./s json=1 syslog-socket=/l"},
    {{"-env=systemd,systemd-nopid", "./s"}, {0}, "./s env=6"},
    /* A bound on something else than life. */
    {{"-ready-timeout=5000", "./s"}, {0}, "-ready-timeout: " TIMEOUT("5000")},
    {{"-ready-timeout=0", "-ready=alive", "./s"}, {0}, "-ready-timeout: " TIMEOUT("0")},
    {{"-ready=fd", "-ready-timeout=9", "-ready=alive", "./s"}, {0},
        "-ready-timeout: " TIMEOUT("9")},
    {{"./s"}, {"SOCKETMASTER_READY_TIMEOUT=60000"},
        "SOCKETMASTER_READY_TIMEOUT: " TIMEOUT("60000")},
    {{"-ready-timeout=1", "./s"}, {"SOCKETMASTER_READY=notify"}, "./s ready=1 ready-timeout=1"},
    {{"-ready=fd", "./s"}, {"SOCKETMASTER_READY_TIMEOUT=0"}, "./s ready=2 ready-timeout=0"},
    /* -start, where it was given, is what a worker needs at least. */
    {{"-ready=notify", "-start=2000", "-ready-timeout=1999", "./s"}, {0},
        "-ready-timeout: " SHORT("1999")},
    {{"-ready=fd", "-ready-timeout=9", "-ready-timeout=1", "./s"}, {"SOCKETMASTER_START=2"},
        "-ready-timeout: " SHORT("1")},
    {{"-start=3000", "./s"}, {"SOCKETMASTER_READY=fd", "SOCKETMASTER_READY_TIMEOUT=10"},
        "SOCKETMASTER_READY_TIMEOUT: " SHORT("10")},
    {{"-ready=notify", "-start=2000", "-ready-timeout=2000", "./s"}, {0},
        "./s ready=1 start=2000 ready-timeout=2000"},
    {{"-ready=notify", "-start=2000", "-ready-timeout=0", "./s"}, {0},
        "./s ready=1 start=2000 ready-timeout=0"},
    {{"-ready=fd", "-ready-timeout=10", "./s"}, {0}, "./s ready=2 ready-timeout=10"},
    {{"-ready=fd", "-start=70000", "./s"}, {0}, "./s ready=2 start=70000"},
    /* Who cannot be asked hears no ack. */
    {{"-ready=ack", "./s"}, {0},
        "-ready: value \"ack\": expected alive, notify or fd; ack needs -control"},
    {{"./s"}, {"SOCKETMASTER_READY=ack"},
        "SOCKETMASTER_READY: value \"ack\": expected alive, notify or fd; ack needs -control"},
    {{"-ready=ack", "-control=/c", "./s"}, {0}, "./s ready=3 control=/c"},
    {{"-ready=ack", "-ready-timeout=5", "./s"}, {"SOCKETMASTER_CONTROL=/c"},
        "./s ready=3 ready-timeout=5 control=/c"},
    /* One path is one socket. */
    {{"-control=/c", "-listen=unix:///c", "./s"}, {0},
        "-control: value \"/c\": expected another path than those of the listeners"},
    {{"-control=/c", "-listen=tcp://:80", "-listen=unixgram:///%63", "./s"}, {0},
        "-control: value \"/c\": expected another path than those of the listeners"},
    {{"-control=/c", "-listen=unix:@/c", "-listen=unix:///cc", "./s"}, {0},
        "./s listen=unix:@/c listen=unix:///cc control=/c"},
    /* A fleet starts all at once. */
    {{"-max-starting=2", "./s"}, {0}, "-max-starting: " LIMIT("2")},
    {{"-max-starting=2", "-rollout=fleet", "./s"}, {0}, "-max-starting: " LIMIT("2")},
    {{"./s"}, {"SOCKETMASTER_MAX_STARTING=1"}, "SOCKETMASTER_MAX_STARTING: " LIMIT("1")},
    {{"-rollout=fleet", "./s"}, {"SOCKETMASTER_ROLLOUT=smooth", "SOCKETMASTER_MAX_STARTING=3"},
        "SOCKETMASTER_MAX_STARTING: " LIMIT("3")},
    {{"-rollout=smooth", "-max-starting=1", "./s"}, {0}, "./s smooth=1 max-starting=1"},
    {{"-max-starting=1024", "./s"}, {"SOCKETMASTER_ROLLOUT=smooth"},
        "./s smooth=1 max-starting=1024"},
};

/* Rules: C5 O1 O5 R3 R5 */
static void contradictions_are_refused(void **state)
{
    (void)state;
    check_rows(contradiction_cases, ARRAY_SIZE(contradiction_cases));
}

/* --- limits ----------------------------------------------------------------------------------- */

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

/* Rules: C5 */
static void a_complaint_shows_as_much_as_helps(void **state)
{
    static char program[] = "socketmaster";
    static char word[256];
    char *const words[] = {program, word, NULL};
    char *const no_variables[] = {NULL};
    static const struct {
        const char *beginning;
        size_t most; /* with the beginning, or without it */
    } cases[] = {{"-", 64 - 1}, {"-start=", 128}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t excess = 0; excess <= 1; excess++) {
            size_t start = strlen(cases[i].beginning), shown = 0;

            memcpy(word, cases[i].beginning, start);
            memset(word + start, 'z', cases[i].most + excess);
            word[start + cases[i].most + excess] = '\0';
            assert_int_equal(parse(2, words, no_variables), CLI_WRONG);
            assert_int_equal(strstr(error_buffer, "...") != NULL, excess);
            for (const char *at = error_buffer; *at != '\0'; at++)
                shown += *at == 'z';
            assert_int_equal(shown, cases[i].most);
        }
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
static void the_help_fits_two_screens(void **state)
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
    assert_true(lines <= 2 * 24);
}

/* Rules: C3 C5 */
static void the_help_names_every_option_with_its_default(void **state)
{
    static const char *const parts[] = {
        "\n  -listen=URI ",
        "\n  -command=PATH ",
        "\n  -start=MILLIS         alive: how long it has to live (default 3000)\n",
        "\n  -ready=MODE ",
        "\n  -stop-signal=NAME ",
        "\n  -stop=MILLIS ",
        "\n  -max-draining=N ",
        "\n  -kill=WHOM ",
        "\n  -workers=N ",
        "\n  -respawn ",
        "\n  -ready-timeout=MILLIS ",
        "\n  -rollout=HOW ",
        "\n  -max-starting=N ",
        "\n  -hold=MILLIS ",
        "\n  -user=LOGIN[:GROUP]   run workers as this user\n",
        "\n  -dir=PATH ",
        "\n  -env=FAMILY,... ",
        "\n  -envdir=DIR ",
        "\n  -output=WHERE ",
        "\n  -log=FORMAT ",
        "\n  -syslog ",
        "\n  -syslog-socket=PATH ",
        "\n  -control=PATH ",
        "\n  -textfile=PATH ",
        "\n  -check ",
        "\n  -version ",
        "\n  -help ",
        "(default tcp://:8080)\n",
        "(default 3000)\n",
        "(default HUP)\n",
        "(default einhorn,systemd)\n",
        "(default /dev/log)\n",
        "(default process)\n",
        "(default: the processors)\n",
        "systemd-nopid, starter or nginx",
    };
    char help[CLI_HELP_SIZE];
    struct text text;

    (void)state;
    text_init(&text, help, sizeof help);
    cli_add_help(&text);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        assert_non_null(strstr(help, parts[i]));
}

/* Each heading stands once, after an empty line, before the option that begins its group. */
/* Rules: C5 */
static void the_help_is_grouped(void **state)
{
    static const char *const headings[] = {
        "\n\nWhat serves:\n  -listen=",
        "\n\nWhen a new worker is ready:\n  -ready=",
        "\n\nHow new workers take over:\n  -rollout=",
        "\n\nHow old workers leave:\n  -stop-signal=",
        "\n\nWhat it tells, and is told:\n  -output=",
        "\n\nInstead of serving:\n  -check ",
    };
    char help[CLI_HELP_SIZE];
    struct text text;
    const char *at = help;

    (void)state;
    text_init(&text, help, sizeof help);
    cli_add_help(&text);
    for (size_t i = 0; i < ARRAY_SIZE(headings); i++) {
        at = strstr(at, headings[i]);
        assert_non_null(at);
    }
}

/* Rules: C5 */
static void the_help_ends_where_its_room_ends(void **state)
{
    char whole[CLI_HELP_SIZE], part[CLI_HELP_SIZE];
    struct text text;

    (void)state;
    text_init(&text, whole, sizeof whole);
    cli_add_help(&text);
    for (size_t size = 1; size <= strlen(whole); size++) {
        text_init(&text, part, size);
        cli_add_help(&text);
        assert_true(text.overflow);
        assert_int_equal(text.length, size - 1);
        assert_memory_equal(part, whole, size - 1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read_as_go_reads_them),
        cmocka_unit_test(help_and_version_win_over_what_follows),
        cmocka_unit_test(the_environment_holds_defaults),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(an_error_has_room_for_any_value),
        cmocka_unit_test(a_complaint_shows_as_much_as_helps),
        cmocka_unit_test(as_many_arguments_as_there_may_be),
        cmocka_unit_test(an_empty_argv_has_no_operands),
        cmocka_unit_test(the_help_fits_two_screens),
        cmocka_unit_test(the_help_names_every_option_with_its_default),
        cmocka_unit_test(the_help_is_grouped),
        cmocka_unit_test(the_help_ends_where_its_room_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
