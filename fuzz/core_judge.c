#include "core_judge.h"

#include "core_world.h"
#include "target.h"

/* --- starting ----------------------------------------------------------------------------------*/

static void judge_asked_by_rollout(void)
{
    unsigned most = world.settings.max_starting;

    core_judge_learn_who_made_room();
    CHECK(world_count_young(world_is_wanted) < world.settings.workers);
    if (!world.settings.smooth)
        return;
    /* One at least: older ones that never become ready do not hold up the rollout. */
    CHECK(world_count(world_is_starting) < most || world_count_young(world_is_starting) == 0);
    CHECK(world_count(world_is_wanted) < world.settings.workers + most);
}

/* A replacement has lived so long that the next one need not wait. In the midst of a TICK it
 * depends on the order of slots what else happened before that; so the core is asked. */
void core_judge_learn_who_settled(void)
{
    if (!world_step.settles)
        return;
    CHECK(world_core.failed_in_a_row <= 1 || world_core.failed_in_a_row == world.failed_in_a_row);
    world.failed_in_a_row = world_core.failed_in_a_row;
    world.replace_at = world_core.replace_at;
}

static void judge_asked_as_replacement(uint64_t generation)
{
    CHECK(world.completed > 0 || world.generation > 1);
    core_judge_learn_who_settled();
    CHECK(world_may_replace(world.now));
    CHECK(world_count(world_is_wanted) < world.settings.workers);
    CHECK(generation > 0 && generation <= world.generation);
    CHECK(generation == world.completed || world.completed == 0 ||
          (world.lost >> generation % 64 & 1));
    world.due--;
}

static void judge_spawn(const struct core_action *action)
{
    CHECK(world.started && !world.stopped && !world.ended);
    if (world.rolling) {
        CHECK(action->generation == world.generation);
        judge_asked_by_rollout();
    } else {
        judge_asked_as_replacement(action->generation);
    }
    CHECK(action->slot < LIMIT_SLOTS);
    for (unsigned slot = 0; slot < action->slot; slot++)
        CHECK(world_processes[slot].there != FREE);
    CHECK(world_processes[action->slot].there == FREE);
    world_processes[action->slot] = (struct process){
        .there = WANTED,
        .generation = action->generation,
        .order = ++world.asked,
        .replacement = !world.rolling,
        .takes_over_at = CORE_NEVER,
        .settles_at = CORE_NEVER,
    };
    if (action->slot >= world.bound)
        world.bound = action->slot + 1;
    world.living++;
}

/* --- lines -------------------------------------------------------------------------------------*/

/* Those that are ready take over, at once or after a while beside the older ones. */
static void hold(struct process *process)
{
    uint64_t hold_ms = world.generation == 1 ? 0 : world.settings.hold_ms;

    process->in_charge = hold_ms == 0;
    process->takes_over_at = hold_ms ? world.now + hold_ms + 1 : CORE_NEVER;
}

static void judge_ready(const struct core_event *event, const struct core_action *action)
{
    struct process *process = &world_processes[action->slot];

    CHECK(process->there == ALIVE && process->executed && world_is_starting(process));
    CHECK(action->elapsed == world.now - process->executed_at);
    if (world.settings.says_ready)
        CHECK(event->kind == (process->said ? CORE_EXECUTED : CORE_READY_SAID) &&
              event->slot == action->slot);
    else
        CHECK(event->kind == CORE_TICK && world.now >= process->ready_by);
    process->ready = true;
    process->ready_by = CORE_NEVER;
    if (!world_is_in_rollout(process)) {
        process->in_charge = true;
        core_judge_learn_who_settled();
        if (action->elapsed >= CORE_SETTLED_MS)
            world.failed_in_a_row = 0;
        else if (world_step.settles ? world_core.workers[action->slot].deadline != CORE_NEVER
                                    : world.failed_in_a_row > 0)
            process->settles_at = process->executed_at + CORE_SETTLED_MS;
    } else if (world.settings.smooth) {
        hold(process);
    } else if (world_count_young(world_is_ready) == world.settings.workers) {
        for (unsigned slot = 0; slot < world.bound; slot++)
            if (world_is_in_rollout(&world_processes[slot]))
                hold(&world_processes[slot]);
    }
}

/* It is late, or lost. */
static void judge_given_up(const struct core_event *event, const struct core_action *action)
{
    const struct process *process = &world_processes[action->slot];

    CHECK(process->there == ALIVE && world_is_starting(process));
    CHECK(event->kind == CORE_TICK && world.now >= process->ready_by);
    CHECK(world.settings.says_ready || !process->executed);
    CHECK((action->say == CORE_SAY_LOST) == process->lost);
    world_step.given_up = process;
    if (!world_is_in_rollout(process)) {
        struct process lost = *process;

        /* It counts no more, though it is told only now. */
        world_processes[action->slot].told = true;
        world_lose(&lost, true);
        world_processes[action->slot].told = false;
    }
}

static void judge_ended(const struct core_event *event, const struct core_action *action)
{
    const struct process *was = &world_step.was;

    CHECK(event->kind == CORE_EXITED && action->slot == event->slot && action->pid == was->pid);
    CHECK(action->asked == was->told && action->number == event->number);
    CHECK(action->elapsed == (was->executed ? world.now - was->executed_at : 0));
}

static void judge_reloading(const struct core_event *event, const struct core_action *action)
{
    CHECK(world.started && !world.stopped && !world.rolling && !world.scale_pending);
    CHECK(world.pending || event->kind == CORE_RELOAD);
    CHECK(action->generation == ++world.generation);
    world.pending = false;
    world.rolling = world_step.began = true;
    world.began_at = world.now;
}

static void judge_done(const struct core_action *action)
{
    CHECK(world.rolling && action->elapsed == world.now - world.began_at);
    CHECK(world_count_young(world_is_serving) == world.settings.workers);
    CHECK(world_count_young(world_is_wanted) == world.settings.workers);
    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        if (world_is_in_rollout(process)) {
            CHECK(world_is_wanted(process));
            process->in_charge = true;
        } else if (process->there == WANTED) {
            process->unwanted = true;
        }
    }
    world.rolling = false;
    world_step.done = true;
    world.completed = world.generation;
    world.lost = 0;
    world.due = world.failed_in_a_row = 0;
}

static enum core_failure failure_by(const struct core_event *event)
{
    if (event->kind == CORE_TICK)
        return world_step.given_up->lost ? CORE_FAILURE_LOST : CORE_FAILURE_LATE;
    if (event->kind != CORE_EXITED)
        return CORE_FAILURE_NOT_STARTED;
    if (world_step.was.ready)
        return CORE_FAILURE_ENDED_READY;
    return world_step.was.executed ? CORE_FAILURE_ENDED : CORE_FAILURE_KILLED;
}

static void judge_cause(const struct core_event *event, const struct core_action *action)
{
    if (action->failure == CORE_FAILURE_NO_SLOT) {
        CHECK(world_count_young(world_is_wanted) == 0);
        CHECK(world.living + world.settings.workers > LIMIT_SLOTS);
        return;
    }
    if (event->kind == CORE_TICK) {
        CHECK(world_step.given_up == &world_processes[action->slot]);
    } else {
        CHECK(action->slot == event->slot && action->pid == world_step.was.pid);
        CHECK(action->number == event->number && action->signalled == event->signalled);
    }
    CHECK(action->failure == failure_by(event));
}

/* The new ones go; in a smooth rollout those stay that have taken over, and of the others that are
 * ready as many as have to serve. */
static void judge_failed(const struct core_event *event, const struct core_action *action)
{
    unsigned wanted = world.settings.workers, stay_early = 0;
    bool some_stay = world.settings.smooth && world.generation > 1;

    CHECK(world.rolling && action->elapsed == world.now - world.began_at);
    CHECK(world_step.dismissed == 0 || world_step.dismissed == world.generation);
    judge_cause(event, action);
    core_judge_learn_who_made_room();
    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        if (!world_is_in_rollout(process))
            continue;
        process->unwanted |= process->there == WANTED;
        CHECK(process->there == WANTED || process->told || (some_stay && process->ready));
        if (world_is_wanted(process)) {
            stay_early += !world_is_serving(process);
            process->in_charge = true;
            process->takes_over_at = CORE_NEVER;
        }
    }
    CHECK(action->serving == world_count(world_is_ready));
    CHECK(stay_early == 0 || action->serving <= wanted);
    CHECK(!some_stay || !world_step.dismissed_ready || action->serving >= wanted);

    unsigned there = world_count(world_is_wanted);
    CHECK(there <= wanted);
    bool refills = world.settings.respawn && (world.completed > 0 || there > 0);
    if (world.generation > 1 && (refills || there + world.due > wanted))
        world.due = wanted - there;
    world.rolling = false;
    world_step.dismissed = 0;
    world_step.dismissed_ready = false;
    world.start_status = 1;
    if (action->failure == CORE_FAILURE_ENDED || action->failure == CORE_FAILURE_ENDED_READY)
        world.start_status = event->signalled ? 128 + event->number : event->number;
}

static void judge_scaled(const struct core_event *event, const struct core_action *action)
{
    unsigned had = world.settings.workers, there = world_count(world_is_wanted);

    CHECK(!world.rolling && !world.stopped);
    CHECK(world.scale_pending ? (unsigned)action->number == world.scale_pending
                              : event->kind == CORE_SCALE && action->number == event->number);
    world.scale_pending = 0;
    world.settings.workers = (unsigned)action->number;
    if (world.settings.workers > had) {
        /* Where nobody serves and nobody is due the end is near. */
        if (there + world.due > 0)
            world.due += world.settings.workers - had;
        return;
    }
    unsigned fewer = had - world.settings.workers;
    unsigned forgotten = fewer < world.due ? fewer : world.due;
    world.due -= forgotten;
    fewer -= forgotten;
    world_step.to_go = fewer < there ? fewer : there > 0 ? there - 1 : 0;
    core_judge_let_go_silently();
}

static void judge_say(const struct core_event *event, const struct core_action *action)
{
    switch ((int)action->say) {
    case CORE_SAY_READY:
        judge_ready(event, action);
        break;
    case CORE_SAY_LATE:
    case CORE_SAY_LOST:
        judge_given_up(event, action);
        break;
    case CORE_SAY_ENDED:
        judge_ended(event, action);
        break;
    case CORE_SAY_RELOADING:
        judge_reloading(event, action);
        break;
    case CORE_SAY_ROLLOUT_DONE:
        judge_done(action);
        break;
    case CORE_SAY_ROLLOUT_FAILED:
        judge_failed(event, action);
        break;
    case CORE_SAY_RELOAD_LATER:
        CHECK(world.rolling && world.pending);
        break;
    case CORE_SAY_RELOAD_REFUSED:
        CHECK(world.stopped);
        break;
    case CORE_SAY_REPLACING:
        CHECK(world_step.settles || (unsigned)action->number == world.failed_in_a_row);
        CHECK(world_step.settles || world.now + action->elapsed == world.replace_at);
        break;
    case CORE_SAY_SCALED:
        judge_scaled(event, action);
        break;
    case CORE_SAY_SCALE_LATER:
        CHECK(world.rolling && (unsigned)action->number == world.scale_pending);
        break;
    case CORE_SAY_SCALE_REFUSED:
        CHECK(world.stopped || event->number < 1 || event->number > LIMIT_WORKERS);
        break;
    default:
        CHECK((unsigned)action->say < CORE_SAY_COUNT && action->say != CORE_SAY_ILLEGAL);
    }
}

static void judge_exit(const struct core_action *action)
{
    int status = world.ended_ready ? world.ready_status : world.start_status;

    /* A generation that came up ends with one of it that was ready. */
    CHECK(world.stopped || world.ended_ready || world.completed == 0);
    CHECK(!world.ended && !world.rolling && world.living == 0 && world.due == 0);
    CHECK(action->number == (world.stopped ? 0 : status));
    world.ended = true;
    world.status = action->number;
}

void core_judge_actions(const struct core_event *event)
{
    CHECK(world_actions.count <= CORE_ACTIONS_MAX);
    for (size_t i = 0; i < world_actions.count; i++) {
        const struct core_action *action = &world_actions.list[i];

        switch (action->kind) {
        case CORE_DO_SPAWN:
            judge_spawn(action);
            break;
        case CORE_DO_SIGNAL:
            CHECK(i + 1 < world_actions.count);
            core_judge_signal(event, action, action + 1);
            break;
        case CORE_DO_SAY:
            judge_say(event, action);
            break;
        case CORE_DO_EXIT:
            CHECK(i + 1 == world_actions.count);
            judge_exit(action);
            break;
        }
    }
}
