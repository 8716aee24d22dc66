/*
 * status: a snapshot of the master -> a table for people, JSON, Prometheus' text, einhorn's state.
 *
 * Owns: what is told of the listeners, workers and rollouts, in which words and units, and how
 * bytes that strangers chose are made safe in each of the four forms. doc/status.md is the contract
 * of the JSON and of the metrics. Leaves to others: counting (tally), states (core), and looking at
 * the sockets, the clocks and the log (the driver, which fills struct status_source). Pure.
 */
#ifndef SOCKETMASTER_STATUS_H
#define SOCKETMASTER_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core.h"
#include "limits.h"
#include "text.h"

struct tally; /* tally.h */

enum {
    /* Bytes of one word that somebody else chose: a worker's STATUS=, a listener's URI. What is
     * longer is cut. */
    STATUS_WORD_MAX = 256,
    STATUS_URI_MAX = 512,
    /* Bytes of the command's words, of which those that go beyond are left out. */
    STATUS_COMMAND_MAX = 16 * 1024,
    /* Columns of a table: what is outside is taken for the nearest. */
    STATUS_COLUMNS_MIN = 80,
    STATUS_COLUMNS_MAX = 512,
    /* No form of any snapshot is longer, with its NUL. */
    STATUS_SIZE = 10 * 1024 * 1024,
};

struct status_listener {
    struct text_span uri; /* as it was asked for; empty: it was passed by somebody */
    const char *address;  /* the actual one, as a URI */
    const char *name;     /* "": it has none */
    bool has_queue;       /* of connections: how many wait, and how many may */
    uint32_t waiting;
    uint32_t limit;
    bool has_drops; /* connections, or datagrams, for which there was no room, ever */
    uint64_t drops;
};

/* What went through the log since the start. */
struct status_log {
    uint64_t lines; /* of workers */
    uint64_t bytes; /* of them, without what stands before each */
    uint64_t lost;  /* lines of anybody that went nowhere */
};

/* Everything is borrowed, for one call. */
struct status_source {
    const struct core *core;
    const struct tally *tally;
    const char *version;
    const char *control; /* path of the control socket; NULL: none */
    int64_t master_pid;
    uint64_t now_ms;                 /* monotonic, as in core and tally */
    int64_t wall_s;                  /* since 1970, now */
    uint64_t started_ms;             /* monotonic, when the master was started */
    int64_t started_wall_s;          /* the same when the master was started */
    const struct text_span *command; /* of the workers, with its arguments */
    size_t command_count;
    const struct status_listener *listeners;
    size_t listener_count;
    /* The last STATUS= of the worker in `slot`, any bytes; "": none. */
    const char *(*slot_status)(void *context, unsigned slot);
    void *context;
    struct status_log log;
    unsigned verbosity; /* einhorn's: 0 tells the most, 2 the least */
};

/*
 * Each appends one form of the snapshot, and with STATUS_SIZE bytes of room the text never
 * overflows. All of it ends in a newline.
 */

/* For people: no line is wider than `columns`, and the only control bytes are newlines and, with
 * `colour`, the sequences that colour and reset. */
void status_add_table(
    struct text *text, const struct status_source *source, unsigned columns, bool colour);

/* One line of JSON. Bytes that are no UTF-8 become U+FFFD. */
void status_add_json(struct text *text, const struct status_source *source);

/* Prometheus' text format 0.0.4. Nothing in it changes only because time passes. */
void status_add_metrics(struct text *text, const struct status_source *source);

/* A YAML document as einhorn's own `state` writes it, which Ruby and Python read. */
void status_add_state(struct text *text, const struct status_source *source);

#endif
