#include "core_rollout.h"

#include "core_pool.h"
#include "core_worker.h"

static bool is_under_way(const struct core *core)
{
    return core->phase == CORE_FIRST || core->phase == CORE_ROLLING;
}

bool core_rollout_includes(const struct core *core, const struct core_worker *worker)
{
    return is_under_way(core) && worker->generation == core->generation;
}

/* --- the end of all --- */

static int exit_status(const struct core *core)
{
    if (core->stop_asked)
        return 0;
    /* Once a generation came up, somebody is ready until a stop, or until the last one ends. */
    return core->ended_ready ? core->ready_status : core->start_status;
}

static void finish(struct core *core, struct core_actions *actions)
{
    int status = exit_status(core);
    core->phase = CORE_ENDED;
    core_say_all(actions, core, CORE_SAY_EXITING)->number = status;
    core_action_add(actions, CORE_DO_EXIT)->number = status;
}

/* --- starting --- */

/* In a smooth rollout never more than so many at once, on the way and beside those that serve. */
static bool has_room(const struct core *core)
{
    unsigned young = core_count_starting(core->young), old = core_count_starting(core->old);
    unsigned all = young + old + core_count_ready(core->young) + core_count_ready(core->old);
    /* One at least: an old one that never becomes ready does not hold up the rollout. */
    return (young == 0 || young + old < core->settings.max_starting) &&
           all < core->settings.workers + core->settings.max_starting;
}

static void start_workers(struct core *core, struct core_actions *actions)
{
    unsigned count = core_count_starting(core->young) + core_count_ready(core->young);
    while (count < core->settings.workers && (!core->settings.smooth || has_room(core))) {
        core_worker_start(core, core->generation, actions);
        count++;
    }
}

/* --- who goes --- */

/* Of older generations, the one that was there first: of those that are starting, or ready. */
static unsigned oldest(const struct core *core, bool starting)
{
    unsigned oldest = 0;
    uint64_t order = UINT64_MAX;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        const struct core_worker *worker = &core->workers[slot];
        bool fits = starting ? core_worker_is_starting(worker) : worker->state == CORE_WORKER_READY;
        if (fits && worker->generation != core->generation && worker->order_started < order) {
            oldest = slot;
            order = worker->order_started;
        }
    }
    return oldest;
}

/* Old workers that do not serve yet are the first to go. */
static void send_idle_away(struct core *core, uint64_t now, struct core_actions *actions)
{
    const unsigned *old = core->old;
    unsigned ready = core->young[CORE_WORKER_READY] + old[CORE_WORKER_READY];
    while (
        core_count_starting(old) > 0 && ready + core_count_starting(old) > core->settings.workers)
        core_worker_dismiss(core, oldest(core, true), now, actions);
}

/* One old worker goes for each new one that has taken over. */
static void make_room(struct core *core, uint64_t now, struct core_actions *actions)
{
    const unsigned *old = core->old, *young = core->young;
    send_idle_away(core, now, actions);
    while (young[CORE_WORKER_READY] + old[CORE_WORKER_READY] > core->settings.workers)
        core_worker_retire(core, oldest(core, false), now, actions);
}

/* --- failing --- */

/* The status for a first start that failed; that of a worker which ended is its own. (That of one
 * which was ready counts before it.) */
static int status_of_start(const struct core_cause *cause)
{
    if (cause->failure != CORE_FAILURE_ENDED)
        return 1;
    return cause->signalled ? 128 + cause->number : cause->number;
}

/* Does this one of the new workers stay, though the rollout failed? At the first start nobody; in a
 * smooth rollout those that have taken over, or are needed since old ones ended meanwhile. */
static bool stays(const struct core *core, const struct core_worker *worker)
{
    if (core->phase == CORE_FIRST || !core->settings.smooth)
        return false;
    unsigned serving = core->young[CORE_WORKER_READY] + core->old[CORE_WORKER_READY];
    return worker->state == CORE_WORKER_READY ||
           (worker->state == CORE_WORKER_HELD && serving < core->settings.workers);
}

static void end_in_failure(
    struct core *core, const struct core_cause *cause, uint64_t now, struct core_actions *actions)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        struct core_worker *worker = &core->workers[slot];
        if (worker->generation != core->generation || !core_worker_is_wanted(worker))
            continue;
        if (stays(core, worker)) {
            core_worker_set_state(core, slot, CORE_WORKER_READY);
            worker->deadline = CORE_NEVER;
        } else {
            core_worker_dismiss(core, slot, now, actions);
        }
    }
    bool first = core->phase == CORE_FIRST;
    core->start_status = status_of_start(cause);
    core->phase = CORE_SERVING;
    send_idle_away(core, now, actions);
    if (!first)
        core_pool_recount(core);
    struct core_action *action = core_say_all(actions, core, CORE_SAY_ROLLOUT_FAILED);
    action->failure = cause->failure;
    action->slot = cause->slot;
    action->pid = cause->pid;
    action->step = cause->step;
    action->number = cause->number;
    action->signalled = cause->signalled;
    action->elapsed = now - core->rollout_began;
    action->serving = core_count_ready(core->young) + core_count_ready(core->old);
}

void core_rollout_begin(struct core *core, uint64_t now, struct core_actions *actions)
{
    core_generation_begin(core);
    core->rollout_began = now;
    if (core->generation > 1)
        core_say_all(actions, core, CORE_SAY_RELOADING);
    core->phase = core->generation == 1 ? CORE_FIRST : CORE_ROLLING;
    if (LIMIT_SLOTS - core->living < core->settings.workers)
        end_in_failure(core, &(struct core_cause){.failure = CORE_FAILURE_NO_SLOT}, now, actions);
    else
        start_workers(core, actions);
}

void core_go_on(struct core *core, uint64_t now, struct core_actions *actions)
{
    if (is_under_way(core))
        start_workers(core, actions);
    if (core->phase == CORE_SERVING && core->scale_pending) {
        unsigned wanted = core->scale_pending;
        core->scale_pending = 0;
        core_pool_scale(core, wanted, now, actions);
    }
    if (core->phase == CORE_SERVING && core->reload_pending) {
        core->reload_pending = false;
        core_rollout_begin(core, now, actions);
    }
    core_pool_fill(core, now, actions);
    if (core->living == 0 && core->due_count == 0)
        finish(core, actions);
}

void core_rollout_fail(
    struct core *core, const struct core_cause *cause, uint64_t now, struct core_actions *actions)
{
    end_in_failure(core, cause, now, actions);
    core_go_on(core, now, actions);
}

/* --- taking over --- */

/* Those from before go; so do drainers whom the signal did not reach. */
static void retire_older(struct core *core, uint64_t now, struct core_actions *actions)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        const struct core_worker *worker = &core->workers[slot];
        bool older = worker->generation != core->generation;
        bool untold = worker->state == CORE_WORKER_DRAINING && worker->untold;
        if (untold || (older && worker->state == CORE_WORKER_READY))
            core_worker_retire(core, slot, now, actions);
        else if (older && core_worker_is_starting(worker))
            core_worker_dismiss(core, slot, now, actions);
    }
}

static void succeed(struct core *core, uint64_t now, struct core_actions *actions)
{
    core->phase = CORE_SERVING;
    core->serving = core->generation;
    core->due_count = core->failed_in_a_row = 0;
    core_say_all(actions, core, CORE_SAY_ROLLOUT_DONE)->elapsed = now - core->rollout_began;
    retire_older(core, now, actions);
}

/* One that has taken over: who makes room for it, and is that all? */
static void advance(struct core *core, uint64_t now, struct core_actions *actions)
{
    if (core->young[CORE_WORKER_READY] == core->settings.workers)
        succeed(core, now, actions);
    else if (core->settings.smooth)
        make_room(core, now, actions);
    core_worker_kill_surplus(core, actions);
    core_go_on(core, now, actions);
}

static void take_over(struct core *core, unsigned slot)
{
    core_worker_set_state(core, slot, CORE_WORKER_READY);
    core->workers[slot].deadline = CORE_NEVER;
}

void core_rollout_take_over(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions)
{
    take_over(core, slot);
    advance(core, now, actions);
}

/* Those that are held take over at once, or when they have served beside the old ones for so long.
 */
static void hold(struct core *core, unsigned slot, uint64_t now)
{
    uint64_t hold_ms = core->phase == CORE_FIRST ? 0 : core->settings.hold_ms;
    if (hold_ms == 0)
        take_over(core, slot);
    else
        core->workers[slot].deadline = now + hold_ms + 1;
}

static void hold_all(struct core *core, uint64_t now)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        if (core->workers[slot].state == CORE_WORKER_HELD)
            hold(core, slot, now);
}

void core_rollout_ready(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[slot];
    worker->deadline = CORE_NEVER;
    core_say_worker(actions, core, slot, CORE_SAY_READY)->elapsed = now - worker->executed;
    if (!core_rollout_includes(core, worker)) {
        take_over(core, slot);
        core_pool_ready(core, worker, now);
    } else {
        core_worker_set_state(core, slot, CORE_WORKER_HELD);
        if (core->settings.smooth)
            hold(core, slot, now);
        else if (core->young[CORE_WORKER_HELD] == core->settings.workers)
            hold_all(core, now);
    }
    if (is_under_way(core))
        advance(core, now, actions);
    else
        core_go_on(core, now, actions);
}
