/*
 * core_rollout: from one generation to the next, and to the end.
 *
 * Owns: when a rollout begins, who starts and who goes in it, when it succeeds and fails (rules R1,
 * R2, R5 to R9), and when the master ends (R12, X1, X2). Leaves to others: single workers
 * (core_worker), and their number at other times (core_pool). For the files of the core alone;
 * pure.
 */
#ifndef SOCKETMASTER_CORE_ROLLOUT_H
#define SOCKETMASTER_CORE_ROLLOUT_H

#include "core.h"

/* Why a rollout failed: as a CORE_SAY_ROLLOUT_FAILED says it. */
struct core_cause {
    enum core_failure failure;
    unsigned slot;
    int64_t pid;
    int step;
    int number;
    bool signalled;
};

/* Does a rollout that is under way hang on this worker? */
bool core_rollout_includes(const struct core *core, const struct core_worker *worker);

/* Takes the next number and asks for its workers; fails at once when there are not enough slots. */
void core_rollout_begin(
    struct core *core, enum core_mode mode, uint64_t now, struct core_actions *actions);

/* Sends the new workers away that have not taken over; what served before goes on. */
void core_rollout_fail(
    struct core *core, const struct core_cause *cause, uint64_t now, struct core_actions *actions);

/* A worker is ready. It takes over, at once or when -hold is over, if it belongs to a rollout. */
void core_rollout_ready(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* -hold is over for this one: it takes over. */
void core_rollout_take_over(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions);

/* To be called when something has ended: starts what may be started now, the reload that was
 * remembered with it, or ends the master when no worker is left and none is due. */
void core_go_on(struct core *core, uint64_t now, struct core_actions *actions);

#endif
