/*
 * supervisor_say: lines that the driver puts into the log.
 *
 * Owns: the words for what the driver itself meets, and bringing together what report needs. Leaves
 * to others: the words for the core's decisions (report). For the supervisor alone.
 */
#ifndef SOCKETMASTER_SUPERVISOR_SAY_H
#define SOCKETMASTER_SUPERVISOR_SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"
#include "listener.h"
#include "log.h"
#include "relay.h"
#include "text.h"

/* Of a line with the command, and with a worker's last output: each byte may become four. */
enum { SUPERVISOR_LINE_SIZE = 8192 + 4 * RELAY_TAIL };

/* The line for a CORE_DO_SAY; `command` is the workers', `output` the last that the worker in
 * question wrote. With `elsewhere` the log does not go to standard error: then a first start that
 * fails is told there as well. The line without its prefix is left in *line, which is empty and has
 * SUPERVISOR_LINE_SIZE bytes. */
void supervisor_say_action(struct log *log, const char *command, struct text_span output,
    bool elsewhere, const struct core_action *action, struct text *line);

/* A line for each listener, with its actual address. */
void supervisor_say_listeners(struct log *log, const struct listeners *listeners);

/* A warning: `what`, then a number (a pid, mostly), and why. */
void supervisor_say_trouble(struct log *log, const char *what, int64_t number, const char *why);

/* A warning: a file could not be written, and why. */
void supervisor_say_unwritten(struct log *log, const char *path, const char *why);

/* A signal came in that means nothing to this version. */
void supervisor_say_ignored(struct log *log, int signal);

#endif
