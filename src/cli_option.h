/*
 * cli_option: the options one by one, for the files of cli alone.
 *
 * Owns: the table, of which one row says how an option is written, read, defaulted and explained;
 * and the form of a complaint about a value. Leaves to others: where the values come from.
 */
#ifndef SOCKETMASTER_CLI_OPTION_H
#define SOCKETMASTER_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"
#include "text.h"

struct cli_value;

struct cli_option {
    const char *name;
    const char *argument; /* as -help shows it; NULL: a boolean */
    const char *fallback; /* the default, written like a value; NULL: none */
    bool (*read)(const struct cli_value *value);
    unsigned traits; /* of enum cli_trait */
    const char *expected;
    const char *summary;
};

enum cli_trait {
    CLI_MAY_BE_EMPTY = 1 << 0,    /* an empty value means something */
    CLI_HAS_NO_VARIABLE = 1 << 1, /* is asked for on the command line alone */
};

enum cli_source {
    CLI_FROM_DEFAULT,
    CLI_FROM_COMMAND_LINE,
    CLI_FROM_ENVIRONMENT,
};

/* What an option was given: its last value. */
struct cli_given {
    enum cli_source source;
    const char *string; /* NULL: nothing, and there is no default */
};

/* A value on its way into `config`, or into a complaint about it in `error`. */
struct cli_value {
    const struct cli_option *option;
    enum cli_source source;
    const char *string; /* NULL: there should be one */
    struct config *config;
    enum cli_outcome *outcome; /* what -help and -version change */
    struct text *error;
};

enum { CLI_OPTIONS_MAX = 32 }; /* rows of the table, at most */

extern const struct cli_option cli_options[];
extern const size_t cli_option_count;

/* The option of this name, or NULL. */
const struct cli_option *cli_option_find(struct text_span name);

/* Reads a value. Returns true and sets what it means; or false and completes the error. */
bool cli_option_read(const struct cli_value *value);

/* Completes the error: PLACE: value "...": expected WHAT. Returns false. */
bool cli_option_refuse(const struct cli_value *value, const char *expected);

/* Appends SOCKETMASTER_<NAME>. */
void cli_option_add_variable(struct text *text, const struct cli_option *option);

#endif
