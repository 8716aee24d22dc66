/*
 * The world of cli's tests: a row is a command line, an environment, and what comes out of them,
 * written down: the command, its arguments, and each setting that is not the default; or the error.
 */
#ifndef SOCKETMASTER_CLI_WORLD_H
#define SOCKETMASTER_CLI_WORLD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(array)[0])

/* What errors say was expected. */
#define MILLISECONDS "milliseconds from 0 to 4294967295"
#define BOOLEAN "true or false"

enum {
    WORDS_MAX = 8,
    LINE_SIZE = 4096,
};

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

static inline int copy_row(const struct parse_case *row)
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

static inline enum cli_outcome parse(int argc, char *const *words, char *const *variables)
{
    memset(&config, 0xa5, sizeof config); /* nothing may be taken for granted */
    text_init(&error, error_buffer, sizeof error_buffer);
    return cli_parse(argc, words, variables, &config, &error);
}

/* --- what came out, in words ------------------------------------------------------------------ */

static inline void add_setting(struct text *text, const char *name, const char *value)
{
    text_add_char(text, ' ');
    text_add(text, name);
    text_add_char(text, '=');
    text_add(text, value);
}

static inline void add_number_setting(
    struct text *text, const char *name, uint64_t value, uint64_t fallback)
{
    if (value != fallback) {
        add_setting(text, name, "");
        text_add_unsigned(text, value);
    }
}

static inline void add_span_setting(struct text *text, const char *name, struct text_span span)
{
    if (span.length > 0) {
        add_setting(text, name, "");
        text_add_bytes(text, span.bytes, span.length);
    }
}

static inline void describe_config(struct text *text)
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
    add_number_setting(text, "workers", config.workers, 1);
    add_number_setting(text, "respawn", config.respawn, false);
    add_number_setting(text, "ready", config.ready, CLI_READY_ALIVE);
    add_number_setting(text, "start", config.start_ms, 3000);
    add_number_setting(text, "ready-timeout", config.ready_timeout_ms, 60000);
    add_number_setting(text, "smooth", config.smooth, false);
    add_number_setting(text, "max-starting", config.max_starting, 0);
    add_number_setting(text, "hold", config.hold_ms, 0);
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
    if (config.controlled)
        add_setting(text, "control", config.control.path);
    if (config.textfile != NULL)
        add_setting(text, "textfile", config.textfile);
    add_number_setting(text, "check", config.check, false);
}

static inline void describe(enum cli_outcome outcome, struct text *text)
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
static inline void check_rows(const struct parse_case *rows, size_t count)
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

#endif
