/*
 * core_worker: slots, and what one worker can be told.
 *
 * Owns: taking and freeing slots, counting workers by state, a worker's change of state with the
 * signal and the line that go with it. Leaves to others: when (core, core_rollout, core_pool). For
 * the files of the core alone; pure.
 */
#ifndef SOCKETMASTER_CORE_WORKER_H
#define SOCKETMASTER_CORE_WORKER_H

#include "core.h"

/* Appends an empty action of this kind; CORE_ACTIONS_MAX is never reached. */
struct core_action *core_action_add(struct core_actions *actions, enum core_action_kind kind);

/* Appends a line about the whole, or about the worker in `slot`. */
struct core_action *core_say_all(
    struct core_actions *actions, const struct core *core, enum core_say what);
struct core_action *core_say_worker(
    struct core_actions *actions, const struct core *core, unsigned slot, enum core_say what);

/* An event that cannot be in this state: it changes nothing, but is told. */
void core_illegal(struct core *core, const struct core_event *event, struct core_actions *actions);

/* Takes the lowest free slot (there must be one) and asks for a worker of this generation in it. */
struct core_worker *core_worker_start(
    struct core *core, uint64_t generation, struct core_actions *actions);

/* The worker in `slot` is no more, or never came to be. */
void core_worker_release(struct core *core, unsigned slot);

/* The only way in which a worker changes its state. */
void core_worker_set_state(struct core *core, unsigned slot, enum core_worker_state state);

/* Takes the next number: all workers belong to older generations from now on. */
void core_generation_begin(struct core *core);

/* Is there a process that can be signalled and has not been reaped? */
bool core_worker_has_process(const struct core_worker *worker);

/* Is it on the way to being ready? And is it, or is it ready already? */
bool core_worker_is_starting(const struct core_worker *worker);
bool core_worker_is_wanted(const struct core_worker *worker);

/* Was it told to end, or is it ending since it could not execute the command? */
bool core_worker_is_told(const struct core_worker *worker);

/* Counts out of `young` or `old`: on the way to being ready; and those that are. */
unsigned core_count_starting(const unsigned *counts);
unsigned core_count_ready(const unsigned *counts);

/* How many milliseconds a worker of a failed rollout may take to end (rule R7). */
uint64_t core_failed_stop_bound(const struct core *core);

/* A worker that is not wanted, and was not in charge, is told to end (R7); one that has no process
 * yet, as soon as it has. */
void core_worker_dismiss(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* A newer worker has taken over (R8), or there is one too many (R11). */
void core_worker_retire(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* A signal that asks to stop is passed on (G1). Asking again never gives more time. */
void core_worker_forward(
    struct core *core, unsigned slot, int signal, uint64_t now, struct core_actions *actions);

/* A signal that somebody wants it to have: nothing follows from it. */
void core_worker_pass_on(
    struct core *core, unsigned slot, int signal, struct core_actions *actions);

/* KILL, to its group; the caller says why. */
void core_worker_kill(struct core *core, unsigned slot, struct core_actions *actions);

/* KILL for the oldest drainers, if there are more than may be (R9). */
void core_worker_kill_surplus(struct core *core, struct core_actions *actions);

#endif
