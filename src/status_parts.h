/*
 * status_parts: what the forms of the status share. For the files of the room alone; pure.
 *
 * Owns: the words for states, results and failures, the table of counters, and the strings of JSON
 * and YAML. Leaves to others: the forms (status_table, status_json, status_metrics, status_state).
 */
#ifndef SOCKETMASTER_STATUS_PARTS_H
#define SOCKETMASTER_STATUS_PARTS_H

#include "status.h"
#include "tally.h"

/* One word each, for people and programs alike; none for what is never told: no worker, no rollout.
 */
extern const char *const status_phases[CORE_PHASE_COUNT];
extern const char *const status_states[CORE_WORKER_STATE_COUNT];
extern const char *const status_failures[CORE_FAILURE_COUNT];
extern const char *const status_results[];

/* Something that is counted. */
struct status_counter {
    const char *name; /* in JSON; in metrics between "socketmaster_" and "_total" */
    const char *help;
    uint64_t (*count)(const struct status_source *source);
};

extern const struct status_counter status_counters[];
extern const size_t status_counter_count;

/* How many workers are in this state. */
unsigned status_workers_in(const struct core *core, enum core_worker_state state);

/* How many of the command's words are shown. */
size_t status_command_shown(const struct status_source *source);

/* Milliseconds from `then` until `now`; 0 where the clock of the one was read before the other's.
 */
uint64_t status_elapsed(uint64_t then, uint64_t now);

/* How long the latest rollout took, or has been under way. */
uint64_t status_rollout_elapsed(const struct status_source *source);

/* Was it ever? */
bool status_has_been(const struct tally_time *time);

/* Milliseconds until a worker that was told to end gets KILL; false: it may take as long as it
 * likes, or was not told. */
bool status_kill_due(const struct core_worker *worker, uint64_t now_ms, uint64_t *in_ms);

/* The first `most` bytes. */
struct text_span status_cut(struct text_span span, size_t most);

/* Appends a time of the wall clock, in UTC: "2026-01-02 03:04:05". One before 1970 is taken for the
 * beginning of that. */
void status_add_date(struct text *text, int64_t seconds);

/* Appends milliseconds as seconds: "1.500". */
void status_add_seconds(struct text *text, uint64_t milliseconds);

/* The worker's last STATUS=, cut. */
struct text_span status_of_slot(const struct status_source *source, unsigned slot);

/*
 * Appends a string with its quotes, which readers of JSON and of YAML take alike. It is one of
 * ASCII alone, unless a character is beyond U+FFFF. Bytes that are no UTF-8 become U+FFFD.
 */
void status_add_string(struct text *text, struct text_span span);

#endif
