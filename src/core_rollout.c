#include "core_rollout.h"

#include "core_worker.h"

bool core_rollout_under_way(const struct core *core)
{
    return core->phase == CORE_FIRST || core->phase == CORE_ROLLING;
}

static int exit_status(const struct core *core)
{
    if (core->stop_asked)
        return 0;
    if (core->ended_ready)
        return core->ready_status;
    /* Those that were sent away for it may have ended last, and well. */
    return core->start_failed ? 1 : core->last_status;
}

static void finish(struct core *core, struct core_actions *actions)
{
    int status = exit_status(core);
    core->phase = CORE_ENDED;
    core_say_all(actions, core, CORE_SAY_EXITING)->number = status;
    core_action_add(actions, CORE_DO_EXIT)->number = status;
}

static int serving_count(const struct core *core)
{
    int count = 0;
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        count += core->workers[slot].state == CORE_WORKER_READY;
    return count;
}

static void end_in_failure(
    struct core *core, enum core_failure failure, uint64_t now, struct core_actions *actions)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        struct core_worker *worker = &core->workers[slot];
        if (worker->generation != core->generation)
            continue;
        if (worker->state == CORE_WORKER_SPAWNING)
            worker->state = CORE_WORKER_CANCELLED;
        else if (!core_worker_is_told(worker))
            core_worker_dismiss(core, slot, now, actions);
    }
    core->start_failed = core->phase == CORE_FIRST && failure == CORE_FAILURE_NOT_STARTED;
    core->phase = CORE_SERVING;
    struct core_action *action = core_say_all(actions, core, CORE_SAY_ROLLOUT_FAILED);
    action->failure = failure;
    action->elapsed = now - core->rollout_began;
    action->number = serving_count(core);
}

void core_rollout_begin(struct core *core, uint64_t now, struct core_actions *actions)
{
    core->generation++;
    core->rollout_began = now;
    if (core->generation > 1)
        core_say_all(actions, core, CORE_SAY_RELOADING);
    if (LIMIT_SLOTS - core->living < core->settings.workers) {
        end_in_failure(core, CORE_FAILURE_NO_SLOT, now, actions);
        return;
    }
    core->phase = core->generation == 1 ? CORE_FIRST : CORE_ROLLING;
    for (unsigned i = 0; i < core->settings.workers; i++) {
        unsigned slot = core_slot_take(core);
        core->workers[slot] = (struct core_worker){
            .state = CORE_WORKER_SPAWNING, .generation = core->generation, .deadline = CORE_NEVER};
        struct core_action *action = core_action_add(actions, CORE_DO_SPAWN);
        action->slot = slot;
        action->generation = core->generation;
    }
}

void core_go_on(struct core *core, uint64_t now, struct core_actions *actions)
{
    if (core->phase == CORE_SERVING && core->reload_pending) {
        core->reload_pending = false;
        core_rollout_begin(core, now, actions);
    }
    if (core->living == 0)
        finish(core, actions);
}

void core_rollout_fail(
    struct core *core, enum core_failure failure, uint64_t now, struct core_actions *actions)
{
    end_in_failure(core, failure, now, actions);
    core_go_on(core, now, actions);
}

static void kill_surplus_drainers(struct core *core, struct core_actions *actions)
{
    if (!core->settings.max_draining)
        return;
    for (;;) {
        unsigned draining = 0, oldest = 0;
        for (unsigned slot = 0; slot < core->slot_bound; slot++) {
            const struct core_worker *worker = &core->workers[slot];
            if (worker->state != CORE_WORKER_DRAINING)
                continue;
            if (!draining++ || worker->order < core->workers[oldest].order)
                oldest = slot;
        }
        if (draining <= core->settings.max_draining)
            return;
        core_worker_kill(core, oldest, actions);
        core_say_worker(actions, core, oldest, CORE_SAY_KILLED_SURPLUS)->number =
            (int)core->settings.max_draining;
    }
}

static void rollout_finish(struct core *core, uint64_t now, struct core_actions *actions)
{
    core->phase = CORE_SERVING;
    core_say_all(actions, core, CORE_SAY_ROLLOUT_DONE)->elapsed = now - core->rollout_began;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        const struct core_worker *worker = &core->workers[slot];
        bool untold = worker->state == CORE_WORKER_DRAINING && worker->untold;
        if (untold ||
            (worker->state == CORE_WORKER_READY && worker->generation != core->generation))
            core_worker_retire(core, slot, now, actions);
    }
    kill_surplus_drainers(core, actions);
    core_go_on(core, now, actions);
}

void core_worker_becomes_ready(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions)
{
    core->workers[slot].state = CORE_WORKER_READY;
    core->workers[slot].deadline = CORE_NEVER;
    core_say_worker(actions, core, slot, CORE_SAY_READY)->elapsed =
        now - core->workers[slot].executed;

    unsigned ready = 0;
    for (unsigned other = 0; other < core->slot_bound; other++)
        ready += core->workers[other].state == CORE_WORKER_READY &&
                 core->workers[other].generation == core->generation;
    if (ready == core->settings.workers)
        rollout_finish(core, now, actions);
}
