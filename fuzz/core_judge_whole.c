/*
 * core_judge_whole: where everything is after a step: states, counts, deadlines, and that nothing
 * is left undone.
 */
#include "core_judge.h"

#include "core_world.h"
#include "target.h"

static enum core_worker_state state_of(const struct process *process)
{
    if (process->there == FREE)
        return CORE_WORKER_NONE;
    if (process->there == WANTED)
        return process->unwanted ? CORE_WORKER_CANCELLED : CORE_WORKER_SPAWNING;
    if (process->killed)
        return CORE_WORKER_KILLED;
    if (process->told)
        return process->draining ? CORE_WORKER_DRAINING : CORE_WORKER_STOPPING;
    if (process->ready)
        return process->in_charge ? CORE_WORKER_READY : CORE_WORKER_HELD;
    return process->executed ? CORE_WORKER_STARTING : CORE_WORKER_EXECUTING;
}

/* When the core has to look at it next. */
static uint64_t deadline_of(const struct process *process)
{
    if (process->there != ALIVE)
        return CORE_NEVER;
    if (process->killed)
        return process->kill_again_at ? process->kill_again_at : CORE_NEVER;
    if (process->told)
        return process->bound ? process->told_at + process->bound : CORE_NEVER;
    if (process->ready)
        return process->in_charge ? process->settles_at : process->takes_over_at;
    return process->ready_by;
}

/* The earliest deadline. What the core counts has to be what is there. */
static uint64_t judge_processes(const struct core_event *event)
{
    unsigned young[CORE_WORKER_STATE_COUNT] = {0}, old[CORE_WORKER_STATE_COUNT] = {0};
    uint64_t deadline = CORE_NEVER;

    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        if (event->kind == CORE_TICK && world_is_serving(process))
            process->in_charge = true;
        if (process->settles)
            process->settles_at = CORE_NEVER;
        process->settles = false;
        if (process->there == FREE)
            continue;
        (process->generation == world.generation ? young : old)[state_of(process)]++;
        if (process->there == ALIVE) {
            CHECK(!process->unwanted || process->told);
            CHECK(process->told || process->in_charge || process->replacement ||
                  world_is_in_rollout(process));
            CHECK(!world.stopped || process->told);
            CHECK(!world_step.done || !process->draining || process->killed || !process->untold);
            CHECK(event->kind != CORE_STOP || process->forwarded == world.steps);
            CHECK(core_find(&world_core, process->pid) == (int)slot);
        }
        if (deadline_of(process) < deadline)
            deadline = deadline_of(process);
    }
    for (unsigned state = CORE_WORKER_NONE + 1; state < CORE_WORKER_STATE_COUNT; state++)
        CHECK(world_core.young[state] == young[state] && world_core.old[state] == old[state]);
    CHECK(world.settings.max_draining == 0 ||
          young[CORE_WORKER_DRAINING] + old[CORE_WORKER_DRAINING] <= world.settings.max_draining);
    return deadline;
}

/* As many are on the way as may be, and all that have to. */
static void judge_rollout(void)
{
    unsigned workers = world.settings.workers, most = world.settings.max_starting;
    unsigned young = world_count_young(world_is_wanted);

    if (!world.smooth) {
        CHECK(young == workers);
        return;
    }
    unsigned starting = world_count_young(world_is_starting);
    unsigned all_starting = starting + world_count_other(world_is_starting);
    unsigned all = world_count(world_is_wanted);

    CHECK(young <= workers && all <= workers + most);
    CHECK(all_starting <= most || starting <= 1);
    CHECK(young == workers || all == workers + most || (starting > 0 && all_starting >= most));
}

static void judge_pool(void)
{
    unsigned all = world_count(world_is_wanted) + world.due;

    CHECK(all <= world.settings.workers);
    CHECK(!world.settings.respawn || world.completed == 0 || all == world.settings.workers);
    CHECK(!world_may_replace(world.now));
}

void core_judge_whole(const struct core_event *event)
{
    bool serving = world.started && !world.rolling && !world.stopped && !world.ended;

    core_judge_learn_who_made_room();
    core_judge_learn_who_settled();
    uint64_t deadline = judge_processes(event);
    if (world.rolling)
        judge_rollout();
    else if (serving)
        judge_pool();
    if (world_may_replace(CORE_NEVER) && world.replace_at < deadline)
        deadline = world.replace_at;
    CHECK(event->kind != CORE_READY_SAID || !world.settings.says_ready ||
          !world_processes[event->slot].executed ||
          !world_is_starting(&world_processes[event->slot]));
    CHECK(core_deadline(&world_core) == deadline);
    CHECK(world_core.living == world.living && world.living <= LIMIT_SLOTS);
    CHECK(world_core.slot_bound <= LIMIT_SLOTS);
    CHECK(core_workers_wanted(&world_core) ==
          (world.scale_pending ? world.scale_pending : world.settings.workers));
    CHECK(world_core.reload_pending == world.pending && world_core.due_count == world.due);
    CHECK(world_core.smooth == world.smooth && world_core.pending_mode == world.pending_mode);
    CHECK(event->kind != CORE_SIGNAL || world_actions.count > 0 || !world.started);
    CHECK(world_step.to_go == 0 && world_step.dismissed == 0);
    CHECK(world.rolling || (!world.pending && !world.scale_pending));
    CHECK(world.ended == (world.living == 0 && world.due == 0 && !world.rolling &&
                             (world.started || world.stopped)));
}
