/*
 * core_pool: how many workers there are, besides rollouts.
 *
 * Owns: which workers are due because others ended unasked (rule R10) or more are wanted (R11),
 * when they are started, and who goes when fewer are wanted. Leaves to others: rollouts
 * (core_rollout), single workers (core_worker). For the files of the core alone; pure.
 */
#ifndef SOCKETMASTER_CORE_POOL_H
#define SOCKETMASTER_CORE_POOL_H

#include "core.h"

/*
 * A worker that is no part of a rollout ended unasked, or will not become ready: it is due again,
 * where -respawn says so, and now unless a rollout is under way. failed: it is a replacement that
 * was no good, so that the next one waits.
 */
void core_pool_lose(struct core *core, const struct core_worker *worker, bool failed, uint64_t now,
    struct core_actions *actions);

/* What core_pool_lose calls a failure, of one that has ended. */
bool core_pool_failed(const struct core_worker *worker, uint64_t now);

/* A worker that is no part of a rollout is ready. Once it has lived long enough, replacements need
 * not be spaced any more: its deadline is when that is. */
void core_pool_ready(struct core *core, struct core_worker *worker, uint64_t now);

/* That deadline has come. */
void core_pool_settle(struct core *core, struct core_worker *worker);

/* Starts those that are due, as far as they may be by now. Not while a rollout is under way. */
void core_pool_fill(struct core *core, uint64_t now, struct core_actions *actions);

/* When core_pool_fill has to be called again though nothing happened; or CORE_NEVER. */
uint64_t core_pool_deadline(const struct core *core);

/* A rollout failed: as many are due as are missing, where -respawn says so, and no more. */
void core_pool_recount(struct core *core);

/* So many are wanted from now on, 1 to LIMIT_WORKERS. Not while a rollout is under way. */
void core_pool_scale(
    struct core *core, unsigned wanted, uint64_t now, struct core_actions *actions);

#endif
