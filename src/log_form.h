/*
 * log_form: the form of a log line (rule O1).
 *
 * Owns: the three forms (text as the original writes it, JSON, syslog as RFC 3164 has it), the time
 * in them, which is formatted once a second, and their escapes. Leaves to others: the queue and the
 * way out (log).
 */
#ifndef SOCKETMASTER_LOG_FORM_H
#define SOCKETMASTER_LOG_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os.h"
#include "text.h"

enum {
    /* What stands before and after a message, its own escapes not counted. */
    LOG_PREFIX_MAX = 192,
};

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
    LOG_FORMAT_SYSLOG,
};

/* The caller sets `format` and `master`, and zeroes the rest. */
struct log_form {
    enum log_format format;
    pid_t master;
    int64_t second; /* of which `stamp` is the text */
    struct text stamp;
    char stamp_bytes[64];
};

/* Looks at the clock. Returns true when prefixes change with it: a new second has begun. */
bool log_form_renew_stamp(struct log_form *form, struct os *os);

/* Appends what a line begins with. `worker` 0: a line of the master's own, of this severity
 * (<syslog.h>). */
void log_form_add_prefix(
    const struct log_form *form, struct text *text, int severity, pid_t worker);

/* Appends the message and what ends the line. `cut`: the worker's line goes on in the next record.
 */
void log_form_add_message(
    const struct log_form *form, struct text *text, struct text_span line, bool cut);

/* As many bytes as a line with a message of `length` bytes takes at the most. */
size_t log_form_bound(const struct log_form *form, size_t length);

#endif
