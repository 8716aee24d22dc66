/*
 * client_words: the command line of socketmasterctl -> what is asked for, or an error text.
 *
 * Owns: the tables of commands and of options, which the parser and -help read. Leaves to others:
 * printing, and what a command sends.
 */
#ifndef SOCKETMASTER_CLIENT_WORDS_H
#define SOCKETMASTER_CLIENT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum {
    CLIENT_ERROR_SIZE = 4096, /* of a buffer in which every error has room */
    CLIENT_HELP_SIZE = 4096,  /* of one for the help */
};

enum client_command {
    CLIENT_STATUS,
    CLIENT_WATCH,
    CLIENT_RELOAD,
    CLIENT_SCALE,
    CLIENT_SIGNAL,
    CLIENT_STOP,
    CLIENT_LOGS,
    CLIENT_METRICS,
    CLIENT_PING,
    CLIENT_COMMAND_COUNT, /* or: none */
};

/* What is asked for. Strings belong to argv or the environment. */
struct client_ask {
    enum client_command command;
    const char *control; /* the socket's path, of 1 to 107 bytes */
    bool has_timeout;
    uint64_t timeout_ms;   /* 0: for ever */
    uint64_t generation;   /* 0: whichever */
    unsigned interval_ms;  /* of watch */
    bool json;             /* of status */
    bool wait;             /* of reload */
    char *const *operands; /* of reload: a command and its arguments, or none */
    size_t operand_count;
};

enum client_outcome {
    CLIENT_ASKS,
    CLIENT_HELP,    /* print client_words_add_help() */
    CLIENT_VERSION, /* print the version */
    CLIENT_WRONG,   /* `error` holds one line without newline or control bytes */
};

/* Reads the command line from argv[first] on, and the environment. `error` is an empty text. */
enum client_outcome client_words_read(int argc, char *const *argv, int first,
    char *const *environment, struct client_ask *ask, struct text *error);

/* The help for standard output: one screen. */
void client_words_add_help(struct text *text);

#endif
