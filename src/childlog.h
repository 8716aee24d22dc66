/*
 * childlog: a worker's bytes -> whole, capped records.
 *
 * Owns: where one line ends and the next begins, over any split of the bytes into reads (rule O2).
 * Leaves to others: reading, prefixes, and writing. Pure: only a line that
 * spans two reads is copied; whole lines are handed on where they stand.
 */
#ifndef SOCKETMASTER_CHILDLOG_H
#define SOCKETMASTER_CHILDLOG_H

#include <stdbool.h>
#include <stddef.h>

#include "limits.h"
#include "text.h"

/* One worker's unfinished line. `bytes` is the caller's, LIMIT_LOG_LINE of them; they stand apart,
 * so that of many workers whose lines are whole none is touched. */
struct childlog {
    size_t kept; /* bytes of `bytes` in use, at most the cap */
    char *bytes;
};

/* One record: a line without its newline, or a piece of one. */
struct childlog_record {
    struct text_span line; /* in the bytes given or in the log; valid until the next call */
    bool cut;              /* the line goes on: it is longer than the cap */
};

/*
 * Takes bytes from *bytes (advances *bytes and *length over what it took) until a record is
 * complete: at a newline, or at `cap` bytes (1 to LIMIT_LOG_LINE, the same each time) without one.
 * A line of exactly `cap` bytes is not cut. Returns true with *record; or false when all bytes were
 * taken and the line is unfinished.
 */
bool childlog_next(struct childlog *log, const char **bytes, size_t *length, size_t cap,
    struct childlog_record *record);

/*
 * The unfinished line, when no more will come: true with *record, or false when there is none.
 * Afterwards the log is empty.
 */
bool childlog_finish(struct childlog *log, struct childlog_record *record);

#endif
