/*
 * cli_signal: the names of signals, and which of them can retire a worker.
 *
 * Owns: the one table of both. Leaves to others: sending signals, and saying why one came.
 */
#ifndef SOCKETMASTER_CLI_SIGNAL_H
#define SOCKETMASTER_CLI_SIGNAL_H

#include <stdbool.h>

#include "text.h"

/* The signal that NAME means: with or without "SIG", either case; 0 if there is none. */
int cli_signal_number(struct text_span name);

/* "TERM" for SIGTERM; NULL for a number without a name. */
const char *cli_signal_name(int signal);

/*
 * May this be a stop signal? Any that a server can handle may; not those that suspend it, let it go
 * on, or tell it of a child, nor KILL, on which no connection can be finished.
 */
bool cli_signal_retires(int signal);

/* Appends the names of all that may, separated by spaces. */
void cli_signal_add_retiring(struct text *text);

#endif
