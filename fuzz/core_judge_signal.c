/*
 * core_judge_signal: who is sent a signal, why and when; and who goes without one.
 */
#include "core_judge.h"

#include <signal.h>

#include "core_world.h"
#include "target.h"

/* --- making room -------------------------------------------------------------------------------*/

static unsigned ready_or_older(void)
{
    return world_count(world_is_ready) + world_count_other(world_is_starting);
}

/* An older worker that is on the way has made room in a smooth rollout: for a new one, and there
 * are still as many as have to be. */
static void judge_room_on_the_way(void)
{
    CHECK(world.smooth && world_count_young(world_is_ready) > 0);
    CHECK(ready_or_older() >= world.settings.workers);
}

/* If it was not there yet, it is told when it is; until then only the core knows. That has to come
 * true. */
void core_judge_learn_who_made_room(void)
{
    for (unsigned slot = 0; world.rolling && slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        if (world_is_in_rollout(process) || process->there != WANTED || process->unwanted ||
            world_core.workers[slot].state != CORE_WORKER_CANCELLED ||
            ready_or_older() <= world.settings.workers)
            continue;
        process->unwanted = true;
        judge_room_on_the_way();
    }
}

/* Fewer are wanted: those that were asked for and are not there yet go without a word. */
void core_judge_let_go_silently(void)
{
    while (world_step.to_go > 0 && world_first_to_go()->there == WANTED) {
        world_first_to_go()->unwanted = true;
        world_step.to_go--;
    }
}

static bool goes_since_fewer_are_wanted(const struct process *process)
{
    if (world_step.to_go == 0 || process != world_first_to_go())
        return false;
    world_step.to_go--;
    return true;
}

static bool is_older_than_rollout(const struct process *process)
{
    return world.smooth && world.rolling && world.generation > 1 &&
           process->generation < world.generation;
}

/* After a smooth rollout's own signal there are still as many as have to serve. */
static void judge_room(const struct process *process)
{
    CHECK(world_count_young(world_is_serving) > 0);
    CHECK(world_count(world_is_serving) >= world.settings.workers);
    for (unsigned slot = 0; slot < world.bound; slot++) {
        const struct process *other = &world_processes[slot];

        if (!world_is_in_rollout(other) && other->there == ALIVE && world_is_wanted(other) &&
            other->in_charge)
            CHECK(other->order > process->order);
    }
}

static void judge_retired(struct process *process)
{
    bool older = process->generation < world.generation;

    if (process->told) {
        CHECK(world_step.done && process->draining && !process->killed && process->untold);
        process->untold = false;
        return;
    }
    CHECK(process->ready && process->in_charge);
    bool makes_room = false;
    if (!goes_since_fewer_are_wanted(process)) {
        makes_room = is_older_than_rollout(process);
        CHECK(makes_room || (world_step.done && older));
    }
    world_tell(process, world.settings.stop_ms);
    process->retired = ++world.retired;
    process->draining = true;
    if (makes_room)
        judge_room(process);
    core_judge_let_go_silently();
}

static void judge_dismissed(struct process *process, const struct core_event *event)
{
    bool older = process->generation < world.generation;

    CHECK(!process->told && !world.stopped);
    CHECK(!process->in_charge || (world_is_in_rollout(process) && world.generation == 1));
    if (process->unwanted) {
        CHECK(event->kind == CORE_SPAWNED && process == &world_processes[event->slot]);
    } else if (world_is_in_rollout(process)) {
        world_step.dismissed = process->generation;
        world_step.dismissed_ready |= process->ready;
    } else if (process != world_step.given_up && !(world_step.done && older) &&
               !goes_since_fewer_are_wanted(process)) {
        CHECK(is_older_than_rollout(process) && !process->ready);
        world_tell(process, world_failed_bound());
        judge_room_on_the_way();
        return;
    }
    world_tell(process, world_failed_bound());
    core_judge_let_go_silently();
}

static void judge_forwarded(struct process *process)
{
    CHECK(world.stopped && process->forwarded != world.steps);
    process->forwarded = world.steps;
    process->untold = false;
    if (!process->told)
        world_tell(process, world.settings.stop_ms);
    process->draining = false;
}

static void judge_killed_late(struct process *process)
{
    uint64_t due = process->killed ? process->kill_again_at : process->told_at + process->bound;

    CHECK(process->told && (process->killed ? due > 0 : process->bound > 0));
    CHECK(world.now >= due);
    process->killed = true;
    process->kill_again_at = 0;
}

static void judge_surplus(struct process *process)
{
    unsigned draining = 0;

    CHECK(process->draining && !process->killed);
    for (unsigned slot = 0; slot < world.bound; slot++) {
        const struct process *other = &world_processes[slot];

        if (other->draining && !other->killed) {
            draining++;
            CHECK(other->retired >= process->retired);
        }
    }
    CHECK(world.settings.max_draining > 0 && draining > world.settings.max_draining);
    process->killed = true;
}

void core_judge_signal(const struct core_event *event, const struct core_action *action,
    const struct core_action *reason)
{
    const struct core_settings *settings = &world.settings;
    struct process *process = &world_processes[action->slot];
    bool kill = reason->say == CORE_SAY_KILLED_LATE || reason->say == CORE_SAY_KILLED_SURPLUS;
    bool forward = reason->say == CORE_SAY_FORWARDED;

    CHECK(action->slot < world.bound && process->there == ALIVE && process->pid == action->pid);
    CHECK(reason->kind == CORE_DO_SAY && reason->slot == action->slot);
    CHECK(action->group == (kill || settings->kill_group));
    CHECK(action->number == (kill ? SIGKILL : forward ? world.stop_signal : settings->stop_signal));
    if (reason->say == CORE_SAY_RETIRED)
        judge_retired(process);
    else if (reason->say == CORE_SAY_STOPPED)
        judge_dismissed(process, event);
    else if (forward)
        judge_forwarded(process);
    else if (reason->say == CORE_SAY_KILLED_LATE)
        judge_killed_late(process);
    else if (reason->say == CORE_SAY_KILLED_SURPLUS)
        judge_surplus(process);
    else
        CHECK(false);
}

void core_judge_passed_on(const struct core_event *event, const struct core_action *action)
{
    struct process *process = &world_processes[action->slot];

    CHECK(event->kind == CORE_SIGNAL && action->number == event->number);
    CHECK(action->slot < world.bound && process->pid == action->pid);
    CHECK(action->generation == process->generation);
    CHECK(action->group == world.settings.kill_group);
    CHECK(process->passed_on != world.steps);
    process->passed_on = world.steps;
}
