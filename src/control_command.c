#include "control_command.h"

#include "cli_signal.h"

enum {
    PAIRS_MAX = 16,
    SHOWN_MAX = 64, /* bytes of what a client wrote that come back in an error */
};

/* What the arguments of a command are. */
enum arguments {
    ARGUMENTS_NONE,
    ARGUMENTS_COUNT,   /* of workers */
    ARGUMENTS_SIGNALS, /* one or more */
    ARGUMENTS_SIGNAL,  /* one or none */
    ARGUMENTS_CONFIG,  /* a mapping */
    ARGUMENTS_PROGRAM, /* a program and its arguments, or nothing */
    ARGUMENTS_VIEW,    /* how to look at the status */
};

/* In the order in which `help` shows them. */
static const struct row {
    const char *name;
    enum control_command command;
    enum arguments arguments;
    bool of_workers; /* workers, and who may be one, give it too; for each that they are */
    bool large;
    const char *help; /* NULL: it is not for people */
} rows[] = {
    {"config", CONTROL_CONFIG, ARGUMENTS_CONFIG, false, false,
        "Change the number of workers or the verbosity (args: YAML, such as {number: 3})"},
    {"dec", CONTROL_DEC, ARGUMENTS_NONE, false, false, "Run one worker less"},
    {"die", CONTROL_DIE, ARGUMENTS_SIGNAL, false, false,
        "Send SIGNAL (default: SIGUSR2) to all workers, start no new ones, and exit once all have "
        "ended (args: [SIGNAL])"},
    {"ehlo", CONTROL_EHLO, ARGUMENTS_NONE, false, false, NULL},
    {"help", CONTROL_HELP, ARGUMENTS_NONE, false, false, "Print the available commands"},
    {"inc", CONTROL_INC, ARGUMENTS_NONE, false, false, "Run one worker more"},
    {"logs", CONTROL_LOGS, ARGUMENTS_NONE, false, false, "Follow the log"},
    {"louder", CONTROL_LOUDER, ARGUMENTS_NONE, false, false, "Log more"},
    {"metrics", CONTROL_METRICS, ARGUMENTS_NONE, false, true,
        "Print the counters in Prometheus' text format"},
    {"quieter", CONTROL_QUIETER, ARGUMENTS_NONE, false, false, "Log less"},
    {"reload", CONTROL_RELOAD, ARGUMENTS_NONE, false, false,
        "Reload the master itself (not supported yet)"},
    {"rollout", CONTROL_ROLLOUT, ARGUMENTS_PROGRAM, false, false,
        "Replace all workers, with another command if one is given (args: [COMMAND ARG...])"},
    {"set_workers", CONTROL_SET_WORKERS, ARGUMENTS_COUNT, false, false,
        "Set the number of workers (args: COUNT)"},
    {"signal", CONTROL_SIGNAL, ARGUMENTS_SIGNALS, false, false,
        "Send one or more signals to all workers (args: SIG1 [SIG2 ...])"},
    {"state", CONTROL_STATE, ARGUMENTS_NONE, false, true, "Print the state as einhorn would"},
    {"status", CONTROL_STATUS, ARGUMENTS_VIEW, false, true,
        "Print the status (args: json, or table [COLUMNS [colour]])"},
    {"upgrade", CONTROL_UPGRADE, ARGUMENTS_NONE, false, false,
        "Replace all workers, a few at a time"},
    {"upgrade_fleet", CONTROL_UPGRADE_FLEET, ARGUMENTS_NONE, false, false,
        "Replace all workers at once"},
    {"worker:ack", CONTROL_ACK, ARGUMENTS_NONE, true, false, NULL},
    {"worker:ping", CONTROL_PING, ARGUMENTS_NONE, true, false, NULL},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert((int)ROW_COUNT == (int)CONTROL_COMMAND_COUNT, "each command has a row");

static const struct row *row_of(enum control_command command)
{
    const struct row *row = rows;
    while (row->command != command)
        row++;
    return row;
}

static const struct row *row_named(struct text_span name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (text_span_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

const char *control_command_name(enum control_command command)
{
    return row_of(command)->name;
}

bool control_command_is_large(enum control_command command)
{
    return row_of(command)->large;
}

bool control_command_is_last(enum control_command command)
{
    return row_of(command)->of_workers;
}

/* --- words --- */

static void add_shown(struct text *text, struct text_span span)
{
    bool cut = span.length > SHOWN_MAX;
    text_add_quoted(text, span.bytes, cut ? SHOWN_MAX : span.length);
    if (cut)
        text_add(text, "...");
}

static void add_rows(struct text *text)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].help == NULL)
            continue;
        text_add(text, rows[i].name);
        text_add(text, ": ");
        text_add(text, rows[i].help);
        text_add_char(text, '\n');
    }
}

void control_command_add_help(struct text *text)
{
    text_add(text, "You are speaking to the socketmaster command socket. "
                   "You can run the following commands:\n\n");
    add_rows(text);
}

void control_command_add_welcome(struct text *text, struct text_span user, pid_t master)
{
    text_add(text, "Welcome");
    if (user.length > 0)
        text_add(text, ", ");
    text_add_bytes(text, user.bytes, user.length);
    text_add(text, "! You are speaking to Einhorn Master Process ");
    text_add_signed(text, master);
    text_add(text, " (socketmaster).\nThis is socketmaster " SOCKETMASTER_VERSION ".\n");
}

static bool refuse(struct text *why, const char *what, struct text_span value, const char *wanted)
{
    text_add(why, what);
    add_shown(why, value);
    text_add(why, ". Must be ");
    text_add(why, wanted);
    text_add_char(why, '.');
    return false;
}

/* --- which command --- */

int control_command_find(
    const struct proto_request *request, enum control_role role, struct text *why)
{
    const struct row *row = row_named(request->command);

    if (role != CONTROL_OPERATOR && (row == NULL || !row->of_workers)) {
        text_add(why, "Permission denied: ");
        add_shown(why, request->command);
        text_add(why, " is for root and for the user that socketmaster runs as, "
                      "and not for processes of its workers");
        return -1;
    }
    if (row == NULL) {
        text_add(why, "Unrecognized command: ");
        add_shown(why, request->command);
        text_add(why, "\n\n");
        add_rows(why);
        return -1;
    }
    return (int)row->command;
}

/* --- arguments --- */

/* Are there `most` at most? None is as good as an empty list where `needed` is false. */
static bool check_list(const struct proto_request *request, const char *name, bool needed,
    size_t most, struct text *why)
{
    if ((needed || request->args != PROTO_ARGS_NONE) && !proto_check_args(request, why))
        return false;
    if (request->arg_count <= most)
        return true;
    text_add(why, "Too many args: ");
    text_add(why, name);
    text_add(why, " takes ");
    if (most == 0)
        text_add(why, "none");
    else
        text_add_unsigned(why, most);
    return false;
}

static struct text_span argument(const struct proto_request *request, size_t index)
{
    return index < request->arg_count ? request->arg[index] : text_span_of("");
}

static bool read_unsigned(struct text_span span, unsigned least, unsigned most, unsigned *number)
{
    uint64_t read;
    if (!text_read_number(span.bytes, span.length, 10, most, &read) || read < least)
        return false;
    *number = (unsigned)read;
    return true;
}

_Static_assert((int)LIMIT_WORKERS == 1024 && (int)CONTROL_VERBOSITY_MAX == 2 &&
                   (int)CONTROL_COLUMNS_MIN == 1 && (int)CONTROL_COLUMNS_MAX == 65535,
    "the words name the limits");
#define COUNT_WANTED "an integer in [1,1024]"
#define VERBOSITY_WANTED "an integer in [0,2]"
#define COLUMNS_WANTED "an integer in [1,65535]"

static bool take_count(
    const struct proto_request *request, struct control_ask *ask, struct text *why)
{
    struct text_span count = argument(request, 0);
    return read_unsigned(count, 1, LIMIT_WORKERS, &ask->number) ||
           refuse(why, "Invalid count: ", count, COUNT_WANTED);
}

static bool take_signals(
    const struct proto_request *request, struct control_ask *ask, struct text *why)
{
    for (size_t i = 0; i < request->arg_count; i++) {
        int number = cli_signal_number(request->arg[i]);
        if (number == 0) {
            text_add(why, "Invalid signal: ");
            add_shown(why, request->arg[i]);
            return false;
        }
        ask->signals[ask->signal_count++] = number;
    }
    return true;
}

/* What einhorn's `die` sends where nothing is said. */
static void take_default_signal(struct control_ask *ask)
{
    if (ask->signal_count == 0)
        ask->signals[ask->signal_count++] = cli_signal_number(text_span_of("USR2"));
}

static bool take_pair(
    const struct proto_pair *pair, struct control_config *config, struct text *why)
{
    if (text_span_is(pair->key, "number")) {
        config->has_number = pair->type == PROTO_INTEGER &&
                             read_unsigned(pair->value, 1, LIMIT_WORKERS, &config->number);
        return config->has_number || refuse(why, "Invalid number: ", pair->value, COUNT_WANTED);
    }
    if (text_span_is(pair->key, "verbosity")) {
        config->has_verbosity =
            pair->type == PROTO_INTEGER &&
            read_unsigned(pair->value, 0, CONTROL_VERBOSITY_MAX, &config->verbosity);
        return config->has_verbosity ||
               refuse(why, "Invalid verbosity: ", pair->value, VERBOSITY_WANTED);
    }
    text_add(why, "Unable to change ");
    add_shown(why, pair->key);
    text_add(why, ": it has no counterpart in socketmaster");
    return false;
}

static bool take_config(const struct proto_request *request, struct proto_storage *storage,
    struct control_ask *ask, struct text *why)
{
    struct proto_pair pairs[PAIRS_MAX];
    size_t count = 0;
    if (request->arg_count == 0) {
        text_add(why, "Must pass in a YAML-encoded hash");
        return false;
    }
    enum proto_error error =
        proto_read_mapping(storage, request->arg, request->arg_count, pairs, PAIRS_MAX, &count);
    if (error != PROTO_OK) {
        text_add(why, error == PROTO_NO_MAPPING
                          ? "Parsed argument is not a hash"
                          : "Could not parse argument. Must be a YAML-encoded hash");
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!take_pair(&pairs[i], &ask->config, why))
            return false;
    return true;
}

/* Can they be executed at all? */
static bool take_program(
    const struct proto_request *request, struct control_ask *ask, struct text *why)
{
    ask->arg_count = request->arg_count;
    ask->args = request->arg;
    if (ask->arg_count > 0 && ask->args[0].length == 0) {
        text_add(why, "Invalid command: it is empty");
        return false;
    }
    for (size_t i = 0; i < ask->arg_count; i++) {
        for (size_t at = 0; at < ask->args[i].length; at++) {
            if (ask->args[i].bytes[at] != '\0')
                continue;
            text_add(why, "Invalid command: a byte of it is NUL");
            return false;
        }
    }
    return true;
}

static bool take_view(
    const struct proto_request *request, struct control_ask *ask, struct text *why)
{
    ask->view = CONTROL_TABLE;
    ask->columns = CONTROL_COLUMNS;
    if (request->arg_count == 0)
        return true;
    if (text_span_is(request->arg[0], "json")) {
        ask->view = CONTROL_JSON;
        if (request->arg_count == 1)
            return true;
        text_add(why, "Too many args: json takes none");
        return false;
    }
    if (!text_span_is(request->arg[0], "table"))
        return refuse(why, "Invalid view: ", request->arg[0], "json or table");
    if (request->arg_count > 1 &&
        !read_unsigned(request->arg[1], CONTROL_COLUMNS_MIN, CONTROL_COLUMNS_MAX, &ask->columns))
        return refuse(why, "Invalid columns: ", request->arg[1], COLUMNS_WANTED);
    ask->colour = request->arg_count > 2;
    if (ask->colour && !text_span_is(request->arg[2], "colour"))
        return refuse(why, "Invalid option: ", request->arg[2], "colour");
    return true;
}

static bool take_arguments(const struct row *row, const struct proto_request *request,
    struct proto_storage *storage, struct control_ask *ask, struct text *why)
{
    static const struct {
        bool needed;
        size_t most;
    } lists[] = {
        [ARGUMENTS_NONE] = {false, 0},
        [ARGUMENTS_COUNT] = {true, 1},
        [ARGUMENTS_SIGNALS] = {true, CONTROL_SIGNALS_MAX},
        [ARGUMENTS_SIGNAL] = {true, 1},
        [ARGUMENTS_CONFIG] = {true, PROTO_ARGS_MAX},
        [ARGUMENTS_PROGRAM] = {false, PROTO_ARGS_MAX},
        [ARGUMENTS_VIEW] = {false, 3},
    };
    if (!check_list(
            request, row->name, lists[row->arguments].needed, lists[row->arguments].most, why))
        return false;
    switch (row->arguments) {
    case ARGUMENTS_NONE:
        return true;
    case ARGUMENTS_COUNT:
        return take_count(request, ask, why);
    case ARGUMENTS_SIGNALS:
        if (request->arg_count > 0)
            return take_signals(request, ask, why);
        text_add(why, "No args provided");
        return false;
    case ARGUMENTS_SIGNAL:
        if (!take_signals(request, ask, why))
            return false;
        take_default_signal(ask);
        return true;
    case ARGUMENTS_CONFIG:
        return take_config(request, storage, ask, why);
    case ARGUMENTS_PROGRAM:
        return take_program(request, ask, why);
    case ARGUMENTS_VIEW:
        return take_view(request, ask, why);
    }
    return false;
}

bool control_command_take(enum control_command command, const struct proto_request *request,
    struct proto_storage *storage, struct control_ask *ask, struct text *why)
{
    ask->command = command;
    ask->slot = -1;
    ask->pid = request->pid;
    ask->request_id = request->request_id;
    ask->user = request->user;
    ask->has_id = request->id.type != PROTO_NONE;
    ask->wait = request->wait;
    ask->generation = request->generation;
    return take_arguments(row_of(command), request, storage, ask, why);
}
