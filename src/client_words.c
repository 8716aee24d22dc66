#include "client_words.h"

#include "envp.h"
#include "flag.h"
#include "limits.h"
#include "proto.h"
#include "proto_answer.h"

/* In milliseconds it is 49 days. */
#define NUMBER_MAX 4294967295
#define STRING_OF(token) #token
#define STRING(token) STRING_OF(token)

enum {
    PATH_MAX_BYTES = 107, /* of a unix socket's path (sun_path less its NUL) */
    INTERVAL_DEFAULT_MS = 2000,
    INTERVAL_MIN_MS = 100,
    HELP_COLUMN = 24, /* where the explanations begin */
};

static const char control_variable[] = "SOCKETMASTER_CONTROL";

/* One run of client_words_read. */
struct parser {
    int argc;
    char *const *argv;
    int index;  /* of the next word */
    bool ended; /* by "--" */
    enum client_outcome outcome;
    struct client_ask *ask;
    struct text *error;
};

/* --- options ---------------------------------------------------------------------------------- */

struct option {
    const char *name;
    const char *argument; /* as -help shows it; NULL: a boolean */
    unsigned commands; /* bits: whose it is; 0: everybody's, and it may stand before the command */
    bool (*read)(struct parser *parser, const char *string); /* false: that is no value of it */
    const char *expected;
    const char *summary;
};

static bool read_number(const char *string, uint64_t least, uint64_t most, uint64_t *number)
{
    struct text_span span = text_span_of(string);
    uint64_t found;
    if (!text_read_number(span.bytes, span.length, 10, most, &found) || found < least)
        return false;
    *number = found;
    return true;
}

static bool is_path(const char *string)
{
    size_t length = text_span_of(string).length;
    return length >= 1 && length <= PATH_MAX_BYTES;
}

static bool read_control(struct parser *parser, const char *string)
{
    parser->ask->control = string;
    return is_path(string);
}

static bool read_timeout(struct parser *parser, const char *string)
{
    parser->ask->has_timeout = true;
    return read_number(string, 0, NUMBER_MAX, &parser->ask->timeout_ms);
}

static bool read_json(struct parser *parser, const char *string)
{
    return flag_read_boolean(string, &parser->ask->json);
}

static bool read_wait(struct parser *parser, const char *string)
{
    return flag_read_boolean(string, &parser->ask->wait);
}

static bool read_generation(struct parser *parser, const char *string)
{
    return read_number(string, 1, UINT64_MAX, &parser->ask->generation);
}

static bool read_interval(struct parser *parser, const char *string)
{
    uint64_t number;
    if (!read_number(string, INTERVAL_MIN_MS, NUMBER_MAX, &number))
        return false;
    parser->ask->interval_ms = (unsigned)number;
    return true;
}

static bool read_outcome(struct parser *parser, const char *string, enum client_outcome outcome)
{
    bool wanted = false;
    if (!flag_read_boolean(string, &wanted))
        return false;
    if (wanted)
        parser->outcome = outcome;
    return true;
}

static bool read_version(struct parser *parser, const char *string)
{
    return read_outcome(parser, string, CLIENT_VERSION);
}

static bool read_help(struct parser *parser, const char *string)
{
    return read_outcome(parser, string, CLIENT_HELP);
}

#define ONLY(command) (1U << (command))
#define CONTROL_PATH "a path of at most 107 bytes"

_Static_assert(PATH_MAX_BYTES == 107 && INTERVAL_MIN_MS == 100, "as the words say");

/* In the order of -help. */
static const struct option options[] = {
    {"control", "PATH", 0, read_control, CONTROL_PATH,
        "the master's socket (default: $SOCKETMASTER_CONTROL)"},
    {"timeout", "MILLIS", 0, read_timeout, "milliseconds from 0 to " STRING(NUMBER_MAX),
        "wait so long, 0: for ever (default: 10000, and for\n"
        "ever once the master has begun)"},
    {"wait", NULL, ONLY(CLIENT_RELOAD), read_wait, "true or false",
        "stay until it is done or has failed"},
    {"generation", "N", ONLY(CLIENT_RELOAD), read_generation, "a number from 1",
        "only if this one serves and no other is on its way"},
    {"json", NULL, ONLY(CLIENT_STATUS), read_json, "true or false", "for programs"},
    {"interval", "MILLIS", ONLY(CLIENT_WATCH), read_interval,
        "milliseconds from 100 to " STRING(NUMBER_MAX), "draw so often (default: 2000)"},
    {"version", NULL, 0, read_version, "true or false", "print the version"},
    {"help", NULL, 0, read_help, "true or false", "print this"},
};

enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static const struct option *option_find(struct text_span name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (text_span_is(name, options[i].name))
            return &options[i];
    return NULL;
}

/* --- commands --------------------------------------------------------------------------------- */

/* A word that may stand after a command. */
struct command {
    const char *name;
    const char *operands; /* as -help shows them; NULL: none */
    bool (*check)(const char *operand);
    const char *expected;
    const char *summary;
};

static bool is_count(const char *string)
{
    uint64_t ignored;
    return read_number(string, 1, LIMIT_WORKERS, &ignored);
}

static bool is_not_empty(const char *string)
{
    return string[0] != '\0';
}

static bool is_sendable(const char *string)
{
    return proto_can_send(text_span_of(string));
}

_Static_assert(LIMIT_WORKERS == 1024 && PROTO_ARGS_MAX == 1024, "as the words say");

static const struct command commands[CLIENT_COMMAND_COUNT] = {
    [CLIENT_STATUS] = {"status", NULL, NULL, NULL, "show listeners, workers and the last rollout"},
    [CLIENT_WATCH] = {"watch", NULL, NULL, NULL, "the same, again and again"},
    [CLIENT_RELOAD] = {"reload", "[-- COMMAND ARG...]", is_sendable, "UTF-8",
        "start a new generation, of another COMMAND if one is\n"
        "given: it stays if that is done"},
    [CLIENT_SCALE] = {"scale", "N", is_count, "a number from 1 to 1024",
        "serve with so many workers"},
    [CLIENT_SIGNAL] = {"signal", "NAME", is_not_empty, "the name of a signal",
        "send a signal to all workers"},
    [CLIENT_STOP] = {"stop", NULL, NULL, NULL, "stop all workers; the master ends after them"},
    [CLIENT_LOGS] = {"logs", NULL, NULL, NULL, "follow the log"},
    [CLIENT_METRICS] = {"metrics", NULL, NULL, NULL, "print counters as Prometheus reads them"},
    [CLIENT_PING] = {"ping", NULL, NULL, NULL, "see whether the master answers"},
};

static const struct command *chosen(const struct parser *parser)
{
    return &commands[parser->ask->command];
}

static bool has_command(const struct parser *parser)
{
    return parser->ask->command != CLIENT_COMMAND_COUNT;
}

static bool read_command(struct parser *parser, const char *word)
{
    for (int i = 0; i < CLIENT_COMMAND_COUNT; i++) {
        if (text_span_is(text_span_of(word), commands[i].name)) {
            parser->ask->command = (enum client_command)i;
            return true;
        }
    }
    flag_add_word(parser->error, text_span_of(word), "unknown command; see -help");
    return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool refuse(
    struct parser *parser, const char *place, const char *value, const char *expected)
{
    text_add(parser->error, place);
    text_add(parser->error, ": ");
    if (value != NULL) {
        flag_add_value(parser->error, text_span_of(value), expected);
    } else {
        text_add(parser->error, "expected ");
        text_add(parser->error, expected);
    }
    return false;
}

/* Reads one option, and the word after it where that is its value. */
static bool read_option(struct parser *parser, const struct flag *flag)
{
    const struct option *option = option_find(flag->name);
    const char *value = flag->value;

    parser->index++;
    if (option == NULL) {
        flag_add_word(parser->error, flag->word, "unknown option; see -help");
        return false;
    }
    if (option->commands != 0 && !has_command(parser)) {
        flag_add_word(parser->error, flag->word, "expected after its command; see -help");
        return false;
    }
    if (option->commands != 0 && (option->commands & ONLY(parser->ask->command)) == 0) {
        flag_add_word(parser->error, flag->word, "no option of ");
        text_add(parser->error, chosen(parser)->name);
        text_add(parser->error, "; see -help");
        return false;
    }
    if (value == NULL && option->argument == NULL)
        value = "true";
    else if (value == NULL && parser->index < parser->argc)
        value = parser->argv[parser->index++];
    if (value != NULL && option->read(parser, value))
        return true;
    text_add_char(parser->error, '-');
    return refuse(parser, option->name, value, option->expected);
}

/* Reads options and the command up to its first operand, or to -help or -version, which win over
 * what follows. */
static bool read_words(struct parser *parser)
{
    while (parser->index < parser->argc && parser->outcome == CLIENT_ASKS) {
        const char *word = parser->argv[parser->index];
        struct flag flag;

        switch (flag_read(word, &flag)) {
        case FLAG_END:
            parser->ended = has_command(parser);
            parser->index += parser->ended;
            return true;
        case FLAG_OPERAND:
            if (has_command(parser))
                return true;
            parser->index++;
            if (!read_command(parser, word))
                return false;
            break;
        case FLAG_WRONG:
            flag_add_word(
                parser->error, text_span_of(word), "expected -name or -name=value; see -help");
            return false;
        case FLAG_OPTION:
            if (!read_option(parser, &flag))
                return false;
        }
    }
    return true;
}

/* "--" stands between a reload and a command, so that a slip of the pen is never executed. */
static bool check_new_command(struct parser *parser)
{
    const struct command *reload = chosen(parser);
    const struct client_ask *ask = parser->ask;
    if (!parser->ended && ask->operand_count > 0)
        return refuse(parser, reload->name, ask->operands[0], "an option, or -- and a command");
    if (parser->ended && ask->operand_count == 0)
        return refuse(parser, reload->name, NULL, "a command after --");
    if (ask->operand_count > PROTO_ARGS_MAX)
        return refuse(parser, reload->name, NULL, "a command of at most 1024 words");
    if (parser->ended && ask->operands[0][0] == '\0')
        return refuse(parser, reload->name, "", "a command");
    return true;
}

static bool read_operands(struct parser *parser)
{
    struct client_ask *ask = parser->ask;
    const struct command *command;

    if (!has_command(parser)) {
        text_add(parser->error, "expected a command; see -help");
        return false;
    }
    command = chosen(parser);
    ask->operands = parser->argv + parser->index;
    ask->operand_count = (size_t)(parser->argc - parser->index);
    if (ask->command == CLIENT_RELOAD) {
        if (!check_new_command(parser))
            return false;
    } else {
        size_t wanted = command->operands != NULL;
        if (ask->operand_count > wanted)
            return refuse(parser, command->name, ask->operands[wanted], "no such operand");
        if (ask->operand_count < wanted)
            return refuse(parser, command->name, NULL, command->expected);
    }
    for (size_t i = 0; i < ask->operand_count; i++)
        if (!command->check(ask->operands[i]))
            return refuse(parser, command->name, ask->operands[i], command->expected);
    return true;
}

static bool read_default(struct parser *parser, char *const *environment)
{
    if (parser->ask->control != NULL)
        return true;
    const char *path = envp_find(environment, control_variable);
    if (path == NULL)
        return refuse(parser, "-control", NULL, "the path of the control socket; see -help");
    parser->ask->control = path;
    return is_path(path) || refuse(parser, control_variable, path, CONTROL_PATH);
}

enum client_outcome client_words_read(int argc, char *const *argv, int first,
    char *const *environment, struct client_ask *ask, struct text *error)
{
    struct parser parser = {
        .argc = argc,
        .argv = argv,
        .index = first,
        .outcome = CLIENT_ASKS,
        .ask = ask,
        .error = error,
    };

    *ask = (struct client_ask){.command = CLIENT_COMMAND_COUNT, .interval_ms = INTERVAL_DEFAULT_MS};
    if (!read_words(&parser))
        return CLIENT_WRONG;
    if (parser.outcome != CLIENT_ASKS)
        return parser.outcome;
    if (!read_operands(&parser) || !read_default(&parser, environment))
        return CLIENT_WRONG;
    return CLIENT_ASKS;
}

/* --- help ------------------------------------------------------------------------------------- */

/* An explanation of one or more lines, each in its column. */
static void add_summary(struct text *text, size_t line, const char *summary)
{
    for (const char *c = summary; *c != '\0'; c++) {
        if (c == summary || c[-1] == '\n')
            while (text->length < line + HELP_COLUMN && !text->overflow)
                text_add_char(text, ' ');
        text_add_char(text, *c);
        if (*c == '\n')
            line = text->length;
    }
    text_add_char(text, '\n');
}

static void add_option(struct text *text, const struct option *option, const char *before)
{
    text_add(text, before);
    text_add_char(text, '-');
    text_add(text, option->name);
    if (option->argument != NULL) {
        text_add_char(text, '=');
        text_add(text, option->argument);
    }
}

static void add_command(struct text *text, enum client_command command)
{
    size_t line = text->length;

    text_add(text, "  ");
    text_add(text, commands[command].name);
    if (commands[command].operands != NULL) {
        text_add_char(text, ' ');
        text_add(text, commands[command].operands);
    }
    if (text->length - line + 1 > HELP_COLUMN) {
        text_add_char(text, '\n');
        line = text->length;
    }
    add_summary(text, line, commands[command].summary);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options[i].commands & ONLY(command)) != 0) {
            line = text->length;
            add_option(text, &options[i], "    ");
            add_summary(text, line, options[i].summary);
        }
    }
}

void client_words_add_help(struct text *text)
{
    text_add(text, "Usage: socketmasterctl [OPTION...] COMMAND [OPTION...] [OPERAND...]\n"
                   "       socketmaster ctl [OPTION...] COMMAND [OPTION...] [OPERAND...]\n"
                   "\nCommands, with their own options:\n");
    for (int i = 0; i < CLIENT_COMMAND_COUNT; i++)
        add_command(text, (enum client_command)i);
    text_add(text, "\nOptions, before or after the command:\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (options[i].commands == 0) {
            size_t line = text->length;
            add_option(text, &options[i], "  ");
            add_summary(text, line, options[i].summary);
        }
    }
    text_add(text,
        "\nExit status: 0 done, 1 refused or failed, 2 wrong command line, 3 timed out,\n"
        "4 no master. NO_COLOR is respected.\n");
}
