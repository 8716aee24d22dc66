/*
 * core_judge_tally: what the tally makes of the core's actions is what there is.
 */
#include "core_judge.h"

#include "core_world.h"
#include "target.h"
#include "tally.h"

static struct tally tally;

void core_judge_tally_begin(void)
{
    tally_init(&tally);
}

/* As far as the actions tell it. */
static enum core_worker_state told_state_of(const struct process *process)
{
    if (process->there == WANTED)
        return CORE_WORKER_SPAWNING;
    if (process->killed)
        return CORE_WORKER_KILLED;
    if (process->told)
        return process->draining ? CORE_WORKER_DRAINING : CORE_WORKER_STOPPING;
    if (process->ready)
        return CORE_WORKER_READY;
    return process->executed ? CORE_WORKER_STARTING : CORE_WORKER_SPAWNING;
}

static void judge_slot(unsigned slot)
{
    const struct process *process = &world_processes[slot];
    const struct tally_slot *known = &tally.slots[slot];

    CHECK(known->since.ms <= world.now && known->since.ms >= known->asked_for.ms);
    if (process->there == FREE) {
        /* Of one that could not execute the command it is not said that it has ended. */
        CHECK(known->state == CORE_WORKER_NONE || known->state == CORE_WORKER_STOPPING ||
              known->state == CORE_WORKER_KILLED);
        return;
    }
    CHECK(known->state == told_state_of(process));
    CHECK(known->generation == process->generation);
    CHECK(known->pid == process->pid || (known->pid == 0 && !process->executed));
    CHECK((known->ready.ms > 0) == process->ready);
    CHECK(known->signalled.ms > 0 || process->forwarded == 0);
}

void core_judge_tally(const struct core_event *event)
{
    const struct tally_counts *counts = &tally.counts;

    for (size_t i = 0; i < world_actions.count; i++)
        tally_take(&tally, &world_actions.list[i], event->now, 0);
    CHECK(tally.slot_bound == world.bound);
    for (unsigned slot = 0; slot < world.bound; slot++)
        judge_slot(slot);
    CHECK((tally.rollout.result == TALLY_RUNNING) == world.rolling);
    CHECK(tally.rollout.generation == world.generation);
    CHECK(counts->rollouts == world.generation && counts->asked_for == world.asked);
    CHECK(counts->rollouts_done + counts->rollouts_failed + counts->rollouts_cancelled +
              world.rolling ==
          counts->rollouts);
    CHECK(counts->executed + counts->not_started <= counts->asked_for);
    CHECK(counts->ready + counts->late + counts->lost <= counts->asked_for);
    CHECK(counts->crashed <= counts->unasked && counts->unasked <= counts->ended);
}
