/*
 * supervisor_status: where everything is now, brought together for whoever asks.
 *
 * Owns: the snapshot that `status` puts into words, and the file of metrics that -textfile names.
 * Leaves to others: the words (status), and who asks (supervisor_control). For the supervisor
 * alone.
 */
#ifndef SOCKETMASTER_SUPERVISOR_STATUS_H
#define SOCKETMASTER_SUPERVISOR_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"
#include "text.h"

struct supervisor;

enum {
    SUPERVISOR_WORDS_MAX = 1024, /* of the command, that are told */
    /* The file of metrics is written no more often than this: whoever reads it does so every few
     * seconds. */
    SUPERVISOR_TEXTFILE_MS = 1000,
};

/* Of the file that -textfile names. */
struct supervisor_textfile {
    bool failed;      /* the last try, and that was said */
    uint64_t stamp;   /* of what was written last */
    uint64_t next_at; /* it may be written again: monotonic milliseconds */
};

/* Appends a form of the snapshot; STATUS_SIZE bytes are enough. `columns` and `colour` are for the
 * table. */
enum supervisor_form {
    SUPERVISOR_TABLE,
    SUPERVISOR_JSON,
    SUPERVISOR_METRICS,
    SUPERVISOR_STATE,
};
void supervisor_status_add(struct supervisor *sup, enum supervisor_form form, unsigned columns,
    bool colour, struct text *text);

/* Writes the file, if something has changed and it is time; with `last`, at once. One that cannot
 * be written costs a line in the log, and is tried again. */
void supervisor_textfile_write(struct supervisor *sup, bool last);

/* When it has to be called again: monotonic milliseconds, or CORE_NEVER as long as nothing
 * changes. */
uint64_t supervisor_textfile_deadline(const struct supervisor *sup);

#endif
