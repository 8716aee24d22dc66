/*
 * console: a word to whoever typed the command.
 *
 * Owns: writing a whole text to standard output or standard error, before and beside the log.
 * Leaves to others: the log, which may go elsewhere and never waits.
 */
#ifndef SOCKETMASTER_CONSOLE_H
#define SOCKETMASTER_CONSOLE_H

#include "os.h"
#include "text.h"

enum {
    CONSOLE_OUTPUT = 1,
    CONSOLE_ERROR = 2,
};

/* Writes the text as it is. A reader that takes nothing for a second gets no more. */
void console_print(struct os *os, int fd, const struct text *text);

/* Writes "socketmaster: ", the text and a newline to standard error. */
void console_complain(struct os *os, const struct text *text);

#endif
