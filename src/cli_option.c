/*
 * cli_option: the options one by one.
 *
 * Owns: what each option accepts, and what it sets in struct config.
 * Leaves to others: the grammar of listen URIs, and everything that has to ask the machine.
 */
#include "cli_option.h"

#include <string.h>

#include "cli_signal.h"
#include "flag.h"

/* Of every number on the command line; in milliseconds it is 49 days. */
#define NUMBER_MAX 4294967295
#define STRING_OF(token) #token
#define STRING(token) STRING_OF(token)

enum {
    ACCOUNT_MAX = 255,      /* bytes of a login or a group */
    SOCKET_PATH_MAX = 107,  /* bytes of a unix socket's path (sun_path less its NUL) */
    SIGNAL_LIST_SIZE = 256, /* holds the names of all signals */
    CONTROL_MODE = 0600,    /* of the control socket */
};

/* What several complaints say was expected. */
#define MILLISECONDS "milliseconds from 0 to " STRING(NUMBER_MAX)
#define COUNT "a number from 0 to " STRING(NUMBER_MAX)
#define WORKERS "a number from 1 to 1024"
#define BOOLEAN "true or false"
#define READY_MODES "alive, notify, ack or fd"

_Static_assert(LIMIT_WORKERS == 1024, "as WORKERS says");

/* --- complaints ------------------------------------------------------------------------------- */

void cli_option_add_variable(struct text *text, const struct cli_option *option)
{
    text_add(text, "SOCKETMASTER_");
    for (const char *c = option->name; *c != '\0'; c++) {
        /* Names hold nothing but lower case letters and '-'. */
        text_add_char(text, *c == '-' ? '_' : (char)(*c - 'a' + 'A'));
    }
}

/* "-start: " or "SOCKETMASTER_START: ", whichever is to be corrected. */
static void add_place(const struct cli_value *value)
{
    if (value->source == CLI_FROM_ENVIRONMENT) {
        cli_option_add_variable(value->error, value->option);
    } else {
        text_add_char(value->error, '-');
        text_add(value->error, value->option->name);
    }
    text_add(value->error, ": ");
}

static bool refuse_bytes(
    const struct cli_value *value, const char *bytes, size_t length, const char *expected)
{
    add_place(value);
    flag_add_value(value->error, (struct text_span){bytes, length}, expected);
    return false;
}

bool cli_option_refuse(const struct cli_value *value, const char *expected)
{
    return refuse_bytes(value, value->string, strlen(value->string), expected);
}

static bool refuse(const struct cli_value *value)
{
    return cli_option_refuse(value, value->option->expected);
}

static bool refuse_missing(const struct cli_value *value)
{
    add_place(value);
    text_add(value->error, "expected ");
    text_add(value->error, value->option->expected);
    return false;
}

/* --- kinds of values -------------------------------------------------------------------------- */

static bool read_boolean(const struct cli_value *value, bool *boolean)
{
    if (!flag_read_boolean(value->string, boolean))
        return refuse(value);
    return true;
}

static bool read_number(const struct cli_value *value, uint64_t *number)
{
    if (!text_read_number(value->string, strlen(value->string), 10, NUMBER_MAX, number))
        return refuse(value);
    return true;
}

static bool read_count(
    const struct cli_value *value, uint64_t least, uint64_t most, unsigned *count)
{
    uint64_t number;

    if (!read_number(value, &number))
        return false;
    if (number < least || number > most)
        return refuse(value);
    *count = (unsigned)number;
    return true;
}

/* One of two words. */
static bool read_either(
    const struct cli_value *value, const char *first, const char *second, bool *is_second)
{
    *is_second = strcmp(value->string, second) == 0;
    if (!*is_second && strcmp(value->string, first) != 0)
        return refuse(value);
    return true;
}

/* --- what each option reads ------------------------------------------------------------------- */

static bool read_one_listener(const struct cli_value *value, const char *bytes, size_t length)
{
    struct config *config = value->config;
    struct uri_failure failure;

    if (config->listener_count == LIMIT_LISTENERS)
        return refuse_bytes(value, bytes, length, "no more than 256 listeners");
    if (!uri_parse(bytes, length, &config->listeners[config->listener_count], &failure)) {
        add_place(value);
        text_add(value->error, "value ");
        uri_add_failure(value->error, bytes, length, &failure);
        return false;
    }
    config->listener_count++;
    return true;
}

_Static_assert(LIMIT_LISTENERS == 256, "as the complaint above says");

/* One URI; in the environment, where nothing can be repeated, a list separated by spaces. */
static bool read_listen(const struct cli_value *value)
{
    const char *word = value->string;

    value->config->listeners_default = value->source == CLI_FROM_DEFAULT;
    if (value->source != CLI_FROM_ENVIRONMENT)
        return read_one_listener(value, word, strlen(word));
    for (;;) {
        size_t length;

        word += strspn(word, " ");
        length = strcspn(word, " ");
        if (length == 0)
            break;
        if (!read_one_listener(value, word, length))
            return false;
        word += length;
    }
    if (value->config->listener_count == 0)
        return refuse(value);
    return true;
}

static bool read_command(const struct cli_value *value)
{
    value->config->command = value->string;
    return true;
}

static bool read_workers(const struct cli_value *value)
{
    return read_count(value, 1, LIMIT_WORKERS, &value->config->workers);
}

static bool read_respawn(const struct cli_value *value)
{
    return read_boolean(value, &value->config->respawn);
}

static bool read_ready(const struct cli_value *value)
{
    static const char *const modes[] = {
        [CLI_READY_ALIVE] = "alive",
        [CLI_READY_NOTIFY] = "notify",
        [CLI_READY_FD] = "fd",
        [CLI_READY_ACK] = "ack",
    };

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(value->string, modes[i]) == 0) {
            value->config->ready = (enum cli_ready)i;
            return true;
        }
    }
    return refuse(value);
}

static bool read_start(const struct cli_value *value)
{
    return read_number(value, &value->config->start_ms);
}

static bool read_ready_timeout(const struct cli_value *value)
{
    return read_number(value, &value->config->ready_timeout_ms);
}

static bool read_rollout(const struct cli_value *value)
{
    return read_either(value, "fleet", "smooth", &value->config->smooth);
}

static bool read_max_starting(const struct cli_value *value)
{
    return read_count(value, 1, LIMIT_WORKERS, &value->config->max_starting);
}

static bool read_hold(const struct cli_value *value)
{
    return read_number(value, &value->config->hold_ms);
}

static bool read_stop_signal(const struct cli_value *value)
{
    int number = cli_signal_number(text_span_of(value->string));
    char buffer[SIGNAL_LIST_SIZE];
    struct text list;

    if (cli_signal_retires(number)) {
        value->config->stop_signal = number;
        return true;
    }
    text_init(&list, buffer, sizeof buffer);
    text_add(&list, "one of ");
    cli_signal_add_retiring(&list);
    return cli_option_refuse(value, buffer);
}

static bool read_stop(const struct cli_value *value)
{
    return read_number(value, &value->config->stop_ms);
}

static bool read_max_draining(const struct cli_value *value)
{
    return read_count(value, 0, NUMBER_MAX, &value->config->max_draining);
}

static bool read_kill(const struct cli_value *value)
{
    return read_either(value, "process", "group", &value->config->kill_group);
}

static bool is_account(struct text_span name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char)name.bytes[i];

        if (byte < ' ' || byte == 127 || byte == ':')
            return false;
    }
    return name.length >= 1 && name.length <= ACCOUNT_MAX;
}

/* Empty: no switch, as the original has it. */
static bool read_user(const struct cli_value *value)
{
    const char *string = value->string;
    size_t length = strcspn(string, ":");
    bool has_group = string[length] == ':';
    struct text_span login = {string, length};
    struct text_span group = text_span_of(string + length + has_group);

    if (string[0] != '\0' && (!is_account(login) || (has_group && !is_account(group))))
        return refuse(value);
    value->config->login = login;
    value->config->group = group;
    return true;
}

static bool read_dir(const struct cli_value *value)
{
    value->config->dir = value->string;
    return true;
}

static bool read_envdir(const struct cli_value *value)
{
    value->config->envdir = value->string;
    return true;
}

static unsigned family_of(struct text_span name)
{
    static const struct {
        const char *name;
        unsigned family;
    } families[] = {
        {"einhorn", ENVP_EINHORN},
        {"systemd", ENVP_SYSTEMD},
        {"systemd-nopid", ENVP_SYSTEMD_NOPID},
        {"starter", ENVP_STARTER},
        {"nginx", ENVP_NGINX},
    };

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (text_span_is(name, families[i].name))
            return families[i].family;
    return 0;
}

/* Empty: none of them. */
static bool read_env(const struct cli_value *value)
{
    const char *word = value->string;
    unsigned families = 0;

    while (value->string[0] != '\0') {
        size_t length = strcspn(word, ",");
        unsigned family = family_of((struct text_span){word, length});

        if (family == 0 || (families & family) != 0)
            return refuse(value);
        families |= family;
        if (word[length] == '\0')
            break;
        word += length + 1;
    }
    value->config->families = families;
    return true;
}

static bool read_output(const struct cli_value *value)
{
    return read_either(value, "log", "inherit", &value->config->output_inherit);
}

static bool read_log(const struct cli_value *value)
{
    bool json;

    if (!read_either(value, "text", "json", &json))
        return false;
    value->config->log = json ? CLI_LOG_JSON : CLI_LOG_TEXT;
    return true;
}

static bool read_syslog(const struct cli_value *value)
{
    return read_boolean(value, &value->config->syslog);
}

static bool is_socket_path(const char *string)
{
    return string[0] == '/' && strlen(string) <= SOCKET_PATH_MAX;
}

static bool read_syslog_socket(const struct cli_value *value)
{
    if (!is_socket_path(value->string))
        return refuse(value);
    value->config->syslog_socket = value->string;
    return true;
}

/* As unix:///PATH?mode=0600 would be read, but nothing in the path stands for anything else. */
static bool read_control(const struct cli_value *value)
{
    struct uri *uri = &value->config->control;

    if (!is_socket_path(value->string) || value->string[strlen(value->string) - 1] == '/')
        return refuse(value);
    *uri = (struct uri){
        .source = text_span_of(value->string),
        .kind = URI_UNIX,
        .path_length = strlen(value->string),
        .given = 1u << URI_OPT_MODE,
        .nonblock = true,
        .mode = CONTROL_MODE,
    };
    memcpy(uri->path, value->string, uri->path_length);
    value->config->controlled = true;
    return true;
}

static bool read_textfile(const struct cli_value *value)
{
    if (value->string[0] != '/')
        return refuse(value);
    value->config->textfile = value->string;
    return true;
}

static bool read_check(const struct cli_value *value)
{
    return read_boolean(value, &value->config->check);
}

static bool read_outcome(const struct cli_value *value, enum cli_outcome outcome)
{
    bool wanted;

    if (!read_boolean(value, &wanted))
        return false;
    if (wanted)
        *value->outcome = outcome;
    return true;
}

static bool read_version(const struct cli_value *value)
{
    return read_outcome(value, CLI_VERSION);
}

static bool read_help(const struct cli_value *value)
{
    return read_outcome(value, CLI_HELP);
}

/* --- the table -------------------------------------------------------------------------------- */

/* In the order of -help. Columns: name, argument, default, reader, traits, expected; summary. */
const struct cli_option cli_options[] = {
    {"listen", "URI", "tcp://:8080", read_listen, 0, "a URI such as tcp://:8080",
        "where to listen; may be repeated"},
    {"command", "PATH", NULL, read_command, 0, "the path of the server to run",
        "the server to run; or else the first operand"},
    {"workers", "N", "1", read_workers, 0, WORKERS, "how many of it serve"},
    {"user", "LOGIN[:GROUP]", NULL, read_user, CLI_MAY_BE_EMPTY, "LOGIN or LOGIN:GROUP",
        "run workers as this user"},
    {"dir", "PATH", NULL, read_dir, 0, "the path of a directory", "run workers in this directory"},
    {"env", "FAMILY,...", "einhorn,systemd", read_env, CLI_MAY_BE_EMPTY,
        "a list of einhorn, systemd, systemd-nopid, starter and nginx, each once",
        "variables for workers"},
    {"envdir", "DIR", NULL, read_envdir, 0, "the path of a directory",
        "more variables, a file for each"},
    {"respawn", NULL, NULL, read_respawn, 0, BOOLEAN, "replace a worker that ends unasked"},
    {"ready", "MODE", "alive", read_ready, 0, READY_MODES, "alive, notify, ack or fd, see below"},
    {"start", "MILLIS", "3000", read_start, 0, MILLISECONDS, "alive: how long it has to live"},
    {"ready-timeout", "MILLIS", "60000", read_ready_timeout, 0, MILLISECONDS,
        "not alive: at most so long, 0: for ever"},
    {"rollout", "HOW", "fleet", read_rollout, 0, "fleet or smooth",
        "fleet: all together, smooth: one by one"},
    {"max-starting", "N", NULL, read_max_starting, 0, WORKERS,
        "smooth: how many start at once (default: the processors)"},
    {"hold", "MILLIS", "0", read_hold, 0, MILLISECONDS, "how long the old ones serve beside them"},
    {"stop-signal", "NAME", "HUP", read_stop_signal, 0, "the name of a signal",
        "tells a retired worker to finish"},
    {"stop", "MILLIS", "0", read_stop, 0, MILLISECONDS, "then KILL it after so long, 0: never"},
    {"max-draining", "N", "0", read_max_draining, 0, COUNT,
        "retired workers at most, 0: any number"},
    {"kill", "WHOM", "process", read_kill, 0, "process or group",
        "signal a worker's process or group"},
    {"output", "WHERE", "log", read_output, 0, "log or inherit",
        "workers write to the log, or inherit"},
    {"log", "FORMAT", "text", read_log, 0, "text or json", "text, or json for machines"},
    {"syslog", NULL, NULL, read_syslog, 0, BOOLEAN, "log to syslog, not to standard error"},
    {"syslog-socket", "PATH", "/dev/log", read_syslog_socket, 0,
        "an absolute path of at most 107 bytes", "where syslog listens"},
    {"control", "PATH", NULL, read_control, 0, "an absolute path of at most 107 bytes",
        "a socket to ask and to command; see socketmasterctl"},
    {"textfile", "PATH", NULL, read_textfile, 0, "an absolute path",
        "a file of counters for node_exporter"},
    {"check", NULL, NULL, read_check, 0, BOOLEAN, "say what would be done, start nothing"},
    {"version", NULL, NULL, read_version, CLI_HAS_NO_VARIABLE, BOOLEAN, "print the version"},
    {"help", NULL, NULL, read_help, CLI_HAS_NO_VARIABLE, BOOLEAN, "print this"},
};

_Static_assert(sizeof cli_options / sizeof cli_options[0] <= CLI_OPTIONS_MAX, "too many options");

const size_t cli_option_count = sizeof cli_options / sizeof cli_options[0];

const struct cli_option *cli_option_find(struct text_span name)
{
    for (size_t i = 0; i < cli_option_count; i++)
        if (text_span_is(name, cli_options[i].name))
            return &cli_options[i];
    return NULL;
}

bool cli_option_read(const struct cli_value *value)
{
    if (value->string == NULL)
        return refuse_missing(value);
    if (value->string[0] == '\0' && (value->option->traits & CLI_MAY_BE_EMPTY) == 0)
        return refuse(value);
    return value->option->read(value);
}
