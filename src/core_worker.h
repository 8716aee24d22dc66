/*
 * core_worker: slots, and what one worker can be told.
 *
 * Owns: taking and freeing slots, a worker's change of state with the signal and the line that go
 * with it. Leaves to others: when (core, core_rollout). For the files of the core alone; pure.
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

/* The lowest free slot, counted as living; there must be one. And freeing it. */
unsigned core_slot_take(struct core *core);
void core_slot_release(struct core *core, unsigned slot);

/* Is there a process that can be signalled and has not been reaped? */
bool core_worker_has_process(const struct core_worker *worker);

/* Was it told to end, or is it ending since it could not execute the command? */
bool core_worker_is_told(const struct core_worker *worker);

/* How many milliseconds a worker of a failed rollout may take to end (rule R7). */
uint64_t core_failed_stop_bound(const struct core *core);

/* A worker of a rollout that failed is told to end; it was never in charge (R7). */
void core_worker_dismiss(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* A newer worker has taken over (R8). */
void core_worker_retire(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* A signal that asks to stop is passed on (G1). Asking again never gives more time. */
void core_worker_forward(
    struct core *core, unsigned slot, int signal, uint64_t now, struct core_actions *actions);

/* KILL, to its group; the caller says why. */
void core_worker_kill(struct core *core, unsigned slot, struct core_actions *actions);

#endif
