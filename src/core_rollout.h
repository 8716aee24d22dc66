/*
 * core_rollout: from one generation to the next, and to the end.
 *
 * Owns: when a rollout begins, succeeds and fails (rules R1, R2, R7 to R9), and when the master
 * ends (R12, X1, X2). Leaves to others: single workers (core_worker). For the files of the core
 * alone; pure.
 */
#ifndef SOCKETMASTER_CORE_ROLLOUT_H
#define SOCKETMASTER_CORE_ROLLOUT_H

#include "core.h"

bool core_rollout_under_way(const struct core *core);

/* Takes the next number and asks for its workers; fails at once when there are not enough slots. */
void core_rollout_begin(struct core *core, uint64_t now, struct core_actions *actions);

/* Sends every worker of the new generation away; those from before were never touched. */
void core_rollout_fail(
    struct core *core, enum core_failure failure, uint64_t now, struct core_actions *actions);

/* A worker is ready; when it is the last one needed, the rollout is done and the old ones retire.
 */
void core_worker_becomes_ready(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* To be called when a rollout has ended or a worker has gone: begins the reload that was
 * remembered, or ends the master when no worker is left. */
void core_go_on(struct core *core, uint64_t now, struct core_actions *actions);

#endif
