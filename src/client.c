#include "client.h"

#include <errno.h>
#include <string.h>

#include "client_link.h"
#include "client_output.h"
#include "client_words.h"
#include "proto.h"

enum {
    ANSWER_TIMEOUT_MS = 10000, /* for the first answer, unless -timeout says otherwise */
    NUMBER_SIZE = 16,
    FAILURE_SIZE = 1024, /* holds a path, escaped, and what is wrong with it */
};

static const char program[] = "socketmasterctl";

/* One run: what is asked for, and where the words go. */
struct client {
    struct os *os;
    struct client_ask ask;
    struct client_output output;
    struct client_output errors;
    struct client_link *link;
    struct text_span args[PROTO_ARGS_MAX]; /* of the question */
    size_t arg_count;
    char number[NUMBER_SIZE]; /* of an argument */
    char question[PROTO_LINE_MAX + 2];
};

/* --- complaints --- */

/* Of what the master or a worker may have written, too. */
static int complain(struct client *client, struct text_span words, int status)
{
    client_output_write(&client->errors, text_span_of(program));
    client_output_write(&client->errors, text_span_of(": "));
    client_output_print_safely(&client->errors, words);
    return status;
}

static int complain_of_master(struct client *client, int error, bool begun)
{
    char bytes[FAILURE_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    client_link_add_failure(&text, client->os, client->ask.control, error);
    if (error == 0)
        text_add(&text, begun ? " in the middle" : " before it had answered");
    return complain(client, (struct text_span){text.bytes, text.length}, CLIENT_NO_MASTER);
}

static uint64_t timeout_of(const struct client_ask *ask)
{
    return ask->has_timeout ? ask->timeout_ms : ANSWER_TIMEOUT_MS;
}

static int complain_of_time(struct client *client, bool begun)
{
    char bytes[FAILURE_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    text_add_escaped(&text, client->ask.control, strlen(client->ask.control));
    text_add(&text, begun ? ": not done within " : ": no answer within ");
    text_add_unsigned(&text, timeout_of(&client->ask));
    text_add(&text, begun ? " ms; it goes on" : " ms");
    return complain(client, (struct text_span){text.bytes, text.length}, CLIENT_TIMED_OUT);
}

/* That nobody reads any more is the reader's own choice. */
static int complain_of_output(struct client *client, int error)
{
    char bytes[FAILURE_SIZE];
    struct text text;
    if (error == -EPIPE)
        return CLIENT_DONE;
    text_init(&text, bytes, sizeof bytes);
    text_add(&text, "unable to write to standard output: ");
    text_add(&text, strerror(-error));
    return complain(client, (struct text_span){text.bytes, text.length}, CLIENT_REFUSED);
}

/* --- questions --- */

static void add_arg(struct client *client, const char *arg)
{
    client->args[client->arg_count++] = text_span_of(arg);
}

/* The table is made by the master, to measure. */
static void add_table_args(struct client *client)
{
    struct text number;
    client_output_measure(&client->output);
    text_init(&number, client->number, sizeof client->number);
    text_add_unsigned(&number, client->output.columns);
    add_arg(client, "table");
    add_arg(client, client->number);
    if (client->output.colour)
        add_arg(client, "colour");
}

/* What each command is called on the wire. */
static const char *const commands[CLIENT_COMMAND_COUNT] = {
    [CLIENT_STATUS] = "status",
    [CLIENT_WATCH] = "status",
    [CLIENT_RELOAD] = "rollout",
    [CLIENT_SCALE] = "set_workers",
    [CLIENT_SIGNAL] = "signal",
    [CLIENT_STOP] = "die",
    [CLIENT_LOGS] = "logs",
    [CLIENT_METRICS] = "metrics",
    [CLIENT_PING] = "ehlo",
};

/* Returns false where the line would be longer than the master reads. */
static bool make_question(struct client *client, struct text *line)
{
    const struct client_ask *ask = &client->ask;
    struct proto_question question = {
        .command = commands[ask->command],
        .wait = ask->wait,
        .generation = ask->generation,
    };
    client->arg_count = 0;
    if (ask->command == CLIENT_STATUS && ask->json)
        add_arg(client, "json");
    else if (ask->command == CLIENT_STATUS || ask->command == CLIENT_WATCH)
        add_table_args(client);
    else if (ask->command == CLIENT_STOP)
        add_arg(client, "TERM");
    for (size_t i = 0; i < ask->operand_count; i++)
        add_arg(client, ask->operands[i]);
    question.args = client->args;
    question.arg_count = client->arg_count;
    text_init(line, client->question, sizeof client->question);
    proto_add_question(line, &question);
    return !line->overflow;
}

/* --- answers --- */

static void show(struct client *client, struct text_span message, bool is_first)
{
    switch (client->ask.command) {
    case CLIENT_WATCH:
        client_output_draw(&client->output, message);
        break;
    case CLIENT_LOGS:
        /* That it is followed is no line of the log. */
        if (!is_first)
            client_output_print_safely(&client->output, message);
        break;
    case CLIENT_STATUS: /* made for this terminal, with colours */
    case CLIENT_METRICS:
        client_output_print(&client->output, message);
        break;
    case CLIENT_RELOAD:
    case CLIENT_SCALE:
    case CLIENT_SIGNAL:
    case CLIENT_STOP:
    case CLIENT_PING:
    case CLIENT_COMMAND_COUNT:
        client_output_print_safely(&client->output, message);
    }
}

/* Is what is printed all that there is to it? Else the master's answer matters, read or not. */
static bool only_prints(enum client_command command)
{
    return command == CLIENT_STATUS || command == CLIENT_WATCH || command == CLIENT_LOGS ||
           command == CLIENT_METRICS;
}

/* Reads answers until there are no more to come. */
static int listen_to(struct client *client)
{
    struct proto_answer answer;
    for (bool is_first = true;; is_first = false) {
        int got = client_link_answer(client->link, &answer);
        if (got == -ETIMEDOUT)
            return complain_of_time(client, !is_first);
        if (got <= 0)
            return complain_of_master(client, got, !is_first);
        if (answer.error)
            return complain(client, answer.message, CLIENT_REFUSED);
        show(client, answer.message, is_first);
        if (client->output.error < 0 && only_prints(client->ask.command))
            return complain_of_output(client, client->output.error);
        if (!answer.wait)
            return CLIENT_DONE;
        if (!client->ask.has_timeout)
            client->link->deadline = CLIENT_NEVER;
    }
}

/* One question, and its answers. */
static int converse(struct client *client, const struct text *line)
{
    uint64_t timeout = timeout_of(&client->ask);
    uint64_t deadline = timeout > 0 ? client->os->clock_ms(client->os) + timeout : CLIENT_NEVER;
    int error = client_link_open(client->link, client->os, client->ask.control, deadline);
    int status;
    if (error == -ETIMEDOUT)
        return complain_of_time(client, false);
    if (error < 0)
        return complain_of_master(client, error, false);
    error = client_link_send(client->link, line->bytes, line->length);
    if (error == -ETIMEDOUT)
        status = complain_of_time(client, false);
    else if (error < 0)
        status = complain_of_master(client, error, false);
    else
        status = listen_to(client);
    client_link_close(client->link);
    return status;
}

/* What `watch` shows is asked for anew each time: between two draws it takes no place of the
 * master's, and a terminal that changes its size gets what fits. */
static int ask_master(struct client *client)
{
    struct text line;
    for (;;) {
        if (!make_question(client, &line))
            return complain(client, text_span_of("reload: expected a command of at most 64 KiB"),
                CLIENT_WRONG_LINE);
        int status = converse(client, &line);
        if (client->ask.command != CLIENT_WATCH || status != CLIENT_DONE ||
            client->output.error < 0)
            return status;
        client->os->pause_ms(client->os, client->ask.interval_ms);
    }
}

/* --- the command line --- */

static struct text_span last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return text_span_of(slash != NULL ? slash + 1 : path);
}

static bool is_named(int argc, char *const *argv)
{
    return argc > 0 && text_span_is(last_part(argv[0]), program);
}

bool client_is_asked(int argc, char *const *argv)
{
    return is_named(argc, argv) || (argc > 1 && strcmp(argv[1], "ctl") == 0);
}

/* Tells about the program itself. */
static int tell(struct client *client, const struct text *message)
{
    client_output_print(&client->output, (struct text_span){message->bytes, message->length});
    return client->output.error < 0 ? complain_of_output(client, client->output.error)
                                    : CLIENT_DONE;
}

static int run(struct client *client, int argc, char *const *argv, char *const *environment)
{
    static char message_bytes[CLIENT_HELP_SIZE], error_bytes[CLIENT_ERROR_SIZE];
    int first = is_named(argc, argv) ? 1 : 2;
    struct text message, error;
    text_init(&message, message_bytes, sizeof message_bytes);
    text_init(&error, error_bytes, sizeof error_bytes);
    switch (client_words_read(argc, argv, first, environment, &client->ask, &error)) {
    case CLIENT_HELP:
        client_words_add_help(&message);
        return tell(client, &message);
    case CLIENT_VERSION:
        text_add(&message, "socketmasterctl " SOCKETMASTER_VERSION);
        return tell(client, &message);
    case CLIENT_WRONG:
        return complain(client, (struct text_span){error.bytes, error.length}, CLIENT_WRONG_LINE);
    case CLIENT_ASKS:
        break;
    }
    return ask_master(client);
}

int client_run(struct os *os, int argc, char *const *argv, char *const *environment)
{
    static struct client client;
    static struct client_link link;
    (void)os->signals_block_pipe(os);
    client.os = os;
    client.link = &link;
    client_output_open(&client.output, os, CLIENT_STANDARD_OUTPUT, environment);
    client_output_open(&client.errors, os, CLIENT_STANDARD_ERROR, environment);
    int status = run(&client, argc, argv, environment);
    client_output_close(&client.errors);
    client_output_close(&client.output);
    return status;
}
