/*
 * log: the one output stream of the master.
 *
 * Owns: the queue, and the way out (standard error or syslog), which never blocks (rule O3). Leaves
 * to others: what is said (report), its form (log_form), and reading what workers write (relay).
 *
 * Back-pressure: while the way out is stuck the queue fills up to the room that log_has_room()
 * keeps for the master's own lines; then the relay stops reading, and the workers' pipes fill. A
 * way out that is broken costs lines: they are counted, and the count is logged once that is
 * possible.
 */
#ifndef SOCKETMASTER_LOG_H
#define SOCKETMASTER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "childlog.h"
#include "limits.h"
#include "log_form.h"
#include "os.h"

enum {
    /* The longest record by far is a JSON line whose every byte takes six. */
    LOG_QUEUE_SIZE = 1024 * 1024,
    /* Of it, kept for the master's own lines. */
    LOG_RESERVE = 64 * 1024,
    /* As much as is gathered before it is written. */
    LOG_BATCH = 160 * 1024,
    /* A syslog message with its header stays below the 8 KiB that daemons take by default
     * (rsyslog's $MaxMessageSize). */
    LOG_SYSLOG_LINE = 8000,
    /* How often an absent syslog daemon is tried again while there is a count to tell. */
    LOG_RETRY_MS = 1000,
};

/* Ever. */
struct log_counts {
    uint64_t lines; /* of workers, without what stands before each */
    uint64_t bytes; /* of them */
    uint64_t lost;  /* lines of anybody that went nowhere */
};

/* Somebody who follows what is queued: whole lines in the log's form, good until `take` returns. It
 * must not log. */
struct log_tap {
    void (*take)(void *context, const char *lines, size_t length);
    void *context;
};

struct log {
    struct os *os;
    struct log_form form;
    const char *syslog_path; /* NULL: standard error */
    int syslog_fd;           /* -1 while not connected */
    struct os_output output;
    bool blocked; /* the way out takes nothing now */
    bool midline; /* what went out last does not end in a newline */
    bool cut_off; /* and its rest was lost: a newline has to come first */

    bool quiet;                /* the master's own lines below a warning are left out */
    const struct log_tap *tap; /* NULL: nobody follows */
    struct log_counts counts;

    uint64_t lost;       /* lines that went nowhere and were not told of yet */
    uint64_t telling;    /* how many a line in the queue tells of, or 0 ... */
    size_t telling_left; /* ... and how many bytes it takes until that line has gone out */
    int lost_error;      /* why the last of them */
    uint64_t retry_at;   /* when an absent syslog daemon is tried again */

    pid_t prefix_worker; /* whose lines `prefix` begins; 0: it is out of date */
    struct text prefix;
    char prefix_bytes[LOG_PREFIX_MAX];

    size_t head, tail; /* queue[head..tail) is still to be written; whole lines but for the first */
    char queue[LOG_QUEUE_SIZE + 1];
};

/*
 * Opens the way out: syslog at `syslog_path`, or standard error where that is NULL. A syslog daemon
 * that is not there yet is not an error: lines count as lost until it is.
 * Returns 0, or -errno when standard error cannot be used at all (lines then count as lost).
 */
int log_open(struct log *log, struct os *os, enum log_format format, const char *syslog_path);

/* Lets `tap` follow from now on, or nobody (NULL); it is borrowed. */
void log_follow(struct log *log, const struct log_tap *tap);

/* Leaves out the master's own lines that are neither errors nor warnings, or takes them again. */
void log_set_quiet(struct log *log, bool quiet);

/* Queues a line of the master's own. `severity` as in <syslog.h>. Nothing is written yet. */
void log_say(struct log *log, int severity, const char *line, size_t length);

/* The longest piece of a worker's line that makes one record. */
size_t log_line_cap(const struct log *log);

/* Is there room for one more record of a worker, however long? */
bool log_has_room(const struct log *log);

/* Has so much been gathered that it should be written now? */
bool log_batch_full(const struct log *log);

/* Says whose records follow, and looks at the clock for them. */
void log_begin_worker(struct log *log, pid_t worker);

/* Queues one record of the worker that log_begin_worker named; log_has_room() must hold. */
void log_add_record(struct log *log, const struct childlog_record *record);

/*
 * Queues whole lines from the front of `bytes`, of the worker that log_begin_worker named: the fast
 * way for the many, where a record is the prefix and the bytes as they are. Stops at what
 * log_add_record() has to take (an unfinished or overlong line, a form with escapes) and when a
 * batch is full. Returns how many bytes were taken, 0 or up to and with a newline.
 */
size_t log_add_lines(struct log *log, const char *bytes, size_t length);

/* Writes what can be written without waiting. */
void log_flush(struct log *log);

/* The descriptor of its way out, or -1. log_flush() may close it. */
int log_descriptor(const struct log *log);

/* The descriptor to watch for writability, or -1 when there is nothing to wait for. */
int log_waits_for(const struct log *log);

/* When log_flush() wants to be called even if nothing happens: monotonic milliseconds, or
 * UINT64_MAX. */
uint64_t log_deadline(const struct log *log);

/* Has everything that was queued gone out (or been lost)? */
bool log_is_empty(const struct log *log);

void log_close(struct log *log);

#endif
