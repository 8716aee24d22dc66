#include "core.h"

#include <string.h>

#include "core_rollout.h"
#include "core_worker.h"

typedef void core_handler(
    struct core *core, const struct core_event *event, struct core_actions *actions);

/* --- events of one worker --- */

static void illegal(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_action *action = core_say_all(actions, core, CORE_SAY_ILLEGAL);
    action->number = (int)event->kind;
    action->slot = event->slot;
}

static void spawned(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (event->pid <= 0) {
        illegal(core, event, actions);
        return;
    }
    core->workers[event->slot].pid = event->pid;
    core->workers[event->slot].state = CORE_WORKER_EXECUTING;
}

static void spawned_unwanted(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    spawned(core, event, actions);
    if (core->workers[event->slot].state != CORE_WORKER_EXECUTING)
        return;
    if (core->phase == CORE_STOPPING)
        core_worker_forward(core, event->slot, core->stop_asked, event->now, actions);
    else
        core_worker_dismiss(core, event->slot, event->now, actions);
}

static void spawn_failed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    bool wanted = core->workers[event->slot].state == CORE_WORKER_SPAWNING;
    struct core_action *action = core_say_worker(actions, core, event->slot, CORE_SAY_NOT_SPAWNED);
    action->step = event->step;
    action->number = event->number;
    core_slot_release(core, event->slot);
    core->last_status = 1;
    if (wanted)
        core_rollout_fail(core, CORE_FAILURE_NOT_STARTED, event->now, actions);
    else
        core_go_on(core, event->now, actions);
}

static void executed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    worker->state = CORE_WORKER_STARTING;
    worker->executed = event->now;
    core_say_worker(actions, core, event->slot, CORE_SAY_STARTED);
    /* The clock counts whole milliseconds: one more, so that it is never too early. Even one that
     * is ready when it executes is so only at the next TICK, when those that ended have been
     * reaped. */
    uint64_t start_ms = core->settings.start_ms;
    worker->deadline = event->now + start_ms + (start_ms > 0);
}

static void executed_unwanted(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core->workers[event->slot].executed = event->now;
    core_say_worker(actions, core, event->slot, CORE_SAY_STARTED);
}

static void exec_failed_unwanted(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core->workers[event->slot].exec_failed = true;
    struct core_action *action = core_say_worker(actions, core, event->slot, CORE_SAY_NOT_EXECUTED);
    action->step = event->step;
    action->number = event->number;
}

static void exec_failed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    exec_failed_unwanted(core, event, actions);
    /* It is ending by itself; the bound is there in case that it hangs on the way. */
    worker->state = CORE_WORKER_STOPPING;
    worker->told = event->now;
    worker->deadline = event->now + core_failed_stop_bound(core);
    core_rollout_fail(core, CORE_FAILURE_NOT_STARTED, event->now, actions);
}

static void remember_end(struct core *core, const struct core_event *event)
{
    const struct core_worker *worker = &core->workers[event->slot];
    int status = event->signalled ? 128 + event->number : event->number;
    core->last_status = worker->exec_failed ? 1 : status;
    if (worker->state == CORE_WORKER_READY) {
        core->ended_ready = true;
        core->ready_status = status;
    }
}

static void exited(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    bool asked = core_worker_is_told(worker);
    bool fails_rollout =
        !asked && core_rollout_under_way(core) && worker->generation == core->generation;
    if (!worker->exec_failed) {
        struct core_action *action = core_say_worker(actions, core, event->slot, CORE_SAY_ENDED);
        action->number = event->number;
        action->signalled = event->signalled;
        action->asked = asked;
        action->elapsed = worker->executed ? event->now - worker->executed : 0;
    }
    remember_end(core, event);
    core_slot_release(core, event->slot);
    if (fails_rollout)
        core_rollout_fail(core, CORE_FAILURE_ENDED, event->now, actions);
    else
        core_go_on(core, event->now, actions);
}

/* A drainer is told again by the next rollout, and KILL is tried again after a while. */
static void signal_failed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    (void)actions;
    worker->untold = true;
    if (worker->state == CORE_WORKER_KILLED && worker->deadline == CORE_NEVER)
        worker->deadline = event->now + CORE_KILL_AGAIN_MS;
}

static core_handler *const worker_table[CORE_WORKER_STATE_COUNT][CORE_WORKER_EVENT_COUNT] = {
    [CORE_WORKER_NONE] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = illegal,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_SPAWNING] = {[CORE_SPAWNED] = spawned,
        [CORE_SPAWN_FAILED] = spawn_failed,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = illegal,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_CANCELLED] = {[CORE_SPAWNED] = spawned_unwanted,
        [CORE_SPAWN_FAILED] = spawn_failed,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = illegal,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_EXECUTING] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = executed,
        [CORE_EXEC_FAILED] = exec_failed,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_STARTING] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_READY] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = illegal},
    [CORE_WORKER_DRAINING] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
    [CORE_WORKER_STOPPING] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = executed_unwanted,
        [CORE_EXEC_FAILED] = exec_failed_unwanted,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
    [CORE_WORKER_KILLED] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = executed_unwanted,
        [CORE_EXEC_FAILED] = exec_failed_unwanted,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
};

static void to_worker(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (event->slot >= core->slot_bound)
        illegal(core, event, actions);
    else
        worker_table[core->workers[event->slot].state][event->kind](core, event, actions);
}

/* --- events of the master --- */

static void start(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core_rollout_begin(core, event->now, actions);
}

static void reload(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core_rollout_begin(core, event->now, actions);
}

/* What is about to start is new anyway. */
static void reload_covered(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)event;
    core_say_all(actions, core, CORE_SAY_RELOAD_COVERED);
}

static void reload_later(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)event;
    if (!core->reload_pending)
        core_say_all(actions, core, CORE_SAY_RELOAD_LATER);
    core->reload_pending = true;
}

static void reload_refused(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)event;
    core_say_all(actions, core, CORE_SAY_RELOAD_REFUSED);
}

static void stop(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core->phase = CORE_STOPPING;
    core->reload_pending = false;
    core->stop_asked = event->number;
    core_say_all(actions, core, CORE_SAY_STOP_ASKED)->number = event->number;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        struct core_worker *worker = &core->workers[slot];
        if (core_worker_has_process(worker))
            core_worker_forward(core, slot, event->number, event->now, actions);
        else if (worker->state == CORE_WORKER_SPAWNING)
            worker->state = CORE_WORKER_CANCELLED;
    }
    core_go_on(core, event->now, actions);
}

static void tick(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        struct core_worker *worker = &core->workers[slot];
        if (worker->deadline > event->now)
            continue;
        if (worker->state == CORE_WORKER_STARTING) {
            core_worker_becomes_ready(core, slot, event->now, actions);
        } else {
            uint64_t elapsed = event->now - worker->told;
            core_worker_kill(core, slot, actions);
            core_say_worker(actions, core, slot, CORE_SAY_KILLED_LATE)->elapsed = elapsed;
        }
    }
}

static core_handler *const phase_table[CORE_PHASE_COUNT][CORE_EVENT_COUNT] = {
    [CORE_NEW] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = illegal,
        [CORE_SIGNAL_FAILED] = illegal,
        [CORE_START] = start,
        [CORE_RELOAD] = reload_covered,
        [CORE_STOP] = stop,
        [CORE_TICK] = tick},
    [CORE_FIRST] = {[CORE_SPAWNED] = to_worker,
        [CORE_SPAWN_FAILED] = to_worker,
        [CORE_EXECUTED] = to_worker,
        [CORE_EXEC_FAILED] = to_worker,
        [CORE_EXITED] = to_worker,
        [CORE_SIGNAL_FAILED] = to_worker,
        [CORE_START] = illegal,
        [CORE_RELOAD] = reload_later,
        [CORE_STOP] = stop,
        [CORE_TICK] = tick},
    [CORE_SERVING] = {[CORE_SPAWNED] = to_worker,
        [CORE_SPAWN_FAILED] = to_worker,
        [CORE_EXECUTED] = to_worker,
        [CORE_EXEC_FAILED] = to_worker,
        [CORE_EXITED] = to_worker,
        [CORE_SIGNAL_FAILED] = to_worker,
        [CORE_START] = illegal,
        [CORE_RELOAD] = reload,
        [CORE_STOP] = stop,
        [CORE_TICK] = tick},
    [CORE_ROLLING] = {[CORE_SPAWNED] = to_worker,
        [CORE_SPAWN_FAILED] = to_worker,
        [CORE_EXECUTED] = to_worker,
        [CORE_EXEC_FAILED] = to_worker,
        [CORE_EXITED] = to_worker,
        [CORE_SIGNAL_FAILED] = to_worker,
        [CORE_START] = illegal,
        [CORE_RELOAD] = reload_later,
        [CORE_STOP] = stop,
        [CORE_TICK] = tick},
    [CORE_STOPPING] = {[CORE_SPAWNED] = to_worker,
        [CORE_SPAWN_FAILED] = to_worker,
        [CORE_EXECUTED] = to_worker,
        [CORE_EXEC_FAILED] = to_worker,
        [CORE_EXITED] = to_worker,
        [CORE_SIGNAL_FAILED] = to_worker,
        [CORE_START] = illegal,
        [CORE_RELOAD] = reload_refused,
        [CORE_STOP] = stop,
        [CORE_TICK] = tick},
    [CORE_ENDED] = {[CORE_SPAWNED] = illegal,
        [CORE_SPAWN_FAILED] = illegal,
        [CORE_EXECUTED] = illegal,
        [CORE_EXEC_FAILED] = illegal,
        [CORE_EXITED] = illegal,
        [CORE_SIGNAL_FAILED] = illegal,
        [CORE_START] = illegal,
        [CORE_RELOAD] = illegal,
        [CORE_STOP] = illegal,
        [CORE_TICK] = tick},
};

/* --- for the driver --- */

void core_init(struct core *core, const struct core_settings *settings)
{
    /* Slots from slot_bound on are never read, so their pages are not touched either. */
    memset(core, 0, offsetof(struct core, workers));
    core->settings = *settings;
}

void core_step(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    actions->count = 0;
    if ((unsigned)event->kind >= CORE_EVENT_COUNT)
        illegal(core, event, actions);
    else
        phase_table[core->phase][event->kind](core, event, actions);
}

uint64_t core_deadline(const struct core *core)
{
    uint64_t deadline = CORE_NEVER;
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        if (core->workers[slot].deadline < deadline)
            deadline = core->workers[slot].deadline;
    return deadline;
}

int core_find(const struct core *core, int64_t pid)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        if (core->workers[slot].pid == pid)
            return (int)slot;
    return -1;
}
