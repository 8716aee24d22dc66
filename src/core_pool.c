#include "core_pool.h"

#include "core_worker.h"

/* Those that are wanted, while no rollout is under way. */
static unsigned count_there(const struct core *core)
{
    return core_count_starting(core->old) + core_count_ready(core->old) +
           core_count_starting(core->young) + core_count_ready(core->young);
}

/* --- replacements --- */

/* Each time that one fails the next waits longer by half. */
static uint64_t wait_after(unsigned failed_in_a_row)
{
    uint64_t wait = CORE_RESPAWN_MS;
    while (--failed_in_a_row > 0 && wait < CORE_RESPAWN_MAX_MS)
        wait += wait / 2;
    return wait < CORE_RESPAWN_MAX_MS ? wait : CORE_RESPAWN_MAX_MS;
}

static bool has_settled(const struct core_worker *worker, uint64_t now)
{
    return now - worker->executed >= CORE_SETTLED_MS;
}

bool core_pool_failed(const struct core_worker *worker, uint64_t now)
{
    return worker->replacement && (worker->state != CORE_WORKER_READY || !has_settled(worker, now));
}

void core_pool_lose(struct core *core, const struct core_worker *worker, bool failed, uint64_t now,
    struct core_actions *actions)
{
    if (!core->settings.respawn || core->phase == CORE_ROLLING)
        return;
    core->due[core->due_count++] = worker->generation;
    /* Those that fail while the next one waits already were started together with the one before.
     */
    if (!failed || (core->failed_in_a_row > 0 && now < core->replace_at))
        return;
    uint64_t wait = wait_after(++core->failed_in_a_row);
    core->replace_at = now + wait;
    struct core_action *action = core_say_all(actions, core, CORE_SAY_REPLACING);
    action->generation = worker->generation;
    action->elapsed = wait;
    action->number = (int)core->failed_in_a_row;
}

void core_pool_settle(struct core *core, struct core_worker *worker)
{
    worker->deadline = CORE_NEVER;
    core->failed_in_a_row = 0;
}

void core_pool_ready(struct core *core, struct core_worker *worker, uint64_t now)
{
    if (has_settled(worker, now))
        core_pool_settle(core, worker);
    else if (core->failed_in_a_row > 0)
        worker->deadline = worker->executed + CORE_SETTLED_MS;
}

static bool may_start(const struct core *core, uint64_t now)
{
    unsigned starting = core_count_starting(core->old) + core_count_starting(core->young);
    if (core->phase != CORE_SERVING || core->due_count == 0 || core->living == LIMIT_SLOTS)
        return false;
    if (core->failed_in_a_row > 0)
        return starting == 0 && now >= core->replace_at;
    return !core->settings.smooth || starting < core->settings.max_starting;
}

void core_pool_fill(struct core *core, uint64_t now, struct core_actions *actions)
{
    while (may_start(core, now))
        core_worker_start(core, core->due[--core->due_count], actions)->replacement = true;
}

uint64_t core_pool_deadline(const struct core *core)
{
    return may_start(core, CORE_NEVER) ? core->replace_at : CORE_NEVER;
}

/* The generation of workers that are started to fill up what is there. */
static uint64_t filling_generation(const struct core *core)
{
    return core->serving ? core->serving : core->generation;
}

void core_pool_recount(struct core *core)
{
    unsigned there = count_there(core), wanted = core->settings.workers;
    while (core->due_count > 0 && there + core->due_count > wanted)
        core->due_count--;
    /* Where no start ever succeeded, and none of this one stays, there is nothing to fill up. */
    bool fills = core->settings.respawn && (core->serving || there > 0);
    while (fills && there + core->due_count < wanted)
        core->due[core->due_count++] = filling_generation(core);
}

/* --- how many are wanted --- */

/* The youngest of those that are not ready yet, or else of those that are. */
static void send_youngest_away(struct core *core, uint64_t now, struct core_actions *actions)
{
    bool starting = core_count_starting(core->old) + core_count_starting(core->young) > 0;
    unsigned youngest = 0;
    uint64_t order = 0;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        const struct core_worker *worker = &core->workers[slot];
        bool fits = starting ? core_worker_is_starting(worker) : worker->state == CORE_WORKER_READY;
        if (fits && worker->order_started > order) {
            youngest = slot;
            order = worker->order_started;
        }
    }
    if (starting)
        core_worker_dismiss(core, youngest, now, actions);
    else
        core_worker_retire(core, youngest, now, actions);
}

void core_pool_scale(struct core *core, unsigned wanted, uint64_t now, struct core_actions *actions)
{
    unsigned had = core->settings.workers;
    core->settings.workers = wanted;
    core_say_all(actions, core, CORE_SAY_SCALED)->number = (int)wanted;
    /* Where nobody serves, and nobody is due, the master is about to end. */
    bool serves = count_there(core) + core->due_count > 0;
    for (; serves && had < wanted; had++)
        core->due[core->due_count++] = filling_generation(core);
    for (; had > wanted; had--)
        if (core->due_count > 0)
            core->due_count--;
        else if (count_there(core) > 1)
            send_youngest_away(core, now, actions);
    core_worker_kill_surplus(core, actions);
}
