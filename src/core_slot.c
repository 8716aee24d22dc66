#include "core_slot.h"

#include "core_pool.h"
#include "core_rollout.h"
#include "core_worker.h"

/* An event that is legal and means nothing in this state. */
static void pass(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)core;
    (void)event;
    (void)actions;
}

static struct core_cause cause_of(
    const struct core *core, const struct core_event *event, enum core_failure failure)
{
    return (struct core_cause){
        .failure = failure,
        .slot = event->slot,
        .pid = core->workers[event->slot].pid,
        .step = event->step,
        .number = event->number,
        .signalled = event->signalled,
    };
}

static uint64_t after(uint64_t now, uint64_t milliseconds)
{
    return milliseconds < CORE_NEVER - now ? now + milliseconds : CORE_NEVER;
}

/* How long a worker may take to say that it is ready. */
static uint64_t ready_bound(const struct core *core)
{
    uint64_t timeout = core->settings.ready_timeout_ms;
    return timeout ? timeout : CORE_NEVER;
}

static void spawned(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (event->pid <= 0) {
        core_illegal(core, event, actions);
        return;
    }
    struct core_worker *worker = &core->workers[event->slot];
    worker->pid = event->pid;
    worker->forked = event->now;
    const struct core_settings *settings = &core->settings;
    bool bounded = settings->says_ready && settings->ready_timeout_ms;
    worker->deadline = after(event->now, bounded ? settings->ready_timeout_ms : CORE_EXECUTE_MS);
    core_worker_set_state(core, event->slot, CORE_WORKER_EXECUTING);
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

/* A worker that was wanted is none: it fails the rollout that hangs on it, or is due again. */
static void failed(struct core *core, const struct core_worker *worker, bool replacement_failed,
    const struct core_cause *cause, uint64_t now, struct core_actions *actions)
{
    if (core_rollout_includes(core, worker)) {
        core_rollout_fail(core, cause, now, actions);
    } else {
        core_pool_lose(core, worker, replacement_failed, now, actions);
        core_go_on(core, now, actions);
    }
}

static void spawn_failed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker worker = core->workers[event->slot];
    struct core_cause cause = cause_of(core, event, CORE_FAILURE_NOT_STARTED);
    struct core_action *action = core_say_worker(actions, core, event->slot, CORE_SAY_NOT_SPAWNED);
    action->step = event->step;
    action->number = event->number;
    core_worker_release(core, event->slot);
    if (worker.state == CORE_WORKER_SPAWNING)
        failed(core, &worker, true, &cause, event->now, actions);
    else
        core_go_on(core, event->now, actions);
}

/* It may have spoken before it was known that it runs. */
static void await_ready(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    worker->deadline = after(event->now, ready_bound(core));
    if (worker->deadline < worker->extended)
        worker->deadline = worker->extended;
    if (worker->ready_lost && worker->deadline > event->now + CORE_LOST_MS)
        worker->deadline = event->now + CORE_LOST_MS;
    if (worker->ready_said)
        core_rollout_ready(core, event->slot, event->now, actions);
}

static void executed(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    core_worker_set_state(core, event->slot, CORE_WORKER_STARTING);
    worker->executed = event->now;
    core_say_worker(actions, core, event->slot, CORE_SAY_STARTED);
    if (core->settings.says_ready) {
        await_ready(core, event, actions);
        return;
    }
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
    struct core_cause cause = cause_of(core, event, CORE_FAILURE_NOT_STARTED);
    exec_failed_unwanted(core, event, actions);
    /* It is ending by itself; the bound is there in case that it hangs on the way. */
    core_worker_set_state(core, event->slot, CORE_WORKER_STOPPING);
    worker->told = event->now;
    worker->deadline = event->now + core_failed_stop_bound(core);
    failed(core, worker, true, &cause, event->now, actions);
}

/* It runs, and will not become ready. */
static void give_up(struct core *core, const struct core_event *event, enum core_failure failure,
    struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[event->slot];
    struct core_cause cause = cause_of(core, event, failure);
    bool in_rollout = core_rollout_includes(core, worker);
    /* A rollout that fails sends all of its workers away. */
    if (!in_rollout)
        core_worker_dismiss(core, event->slot, event->now, actions);
    failed(core, worker, true, &cause, event->now, actions);
}

/* Where nobody is asked, what workers say counts for nothing. */
static void ready_said(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (core->settings.says_ready)
        core_rollout_ready(core, event->slot, event->now, actions);
}

/* It runs, though that is not known yet. */
static void spoke_early(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)actions;
    struct core_worker *worker = &core->workers[event->slot];
    if (!core->settings.says_ready)
        return;
    worker->ready_said |= event->kind == CORE_READY_SAID;
    worker->ready_lost |= event->kind == CORE_READY_LOST;
    if (event->kind == CORE_READY_EXTENDED && !worker->ready_lost)
        worker->extended = after(event->now, event->milliseconds);
}

/* Never for less time than it had. */
static void ready_extended(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)actions;
    struct core_worker *worker = &core->workers[event->slot];
    uint64_t deadline = after(event->now, event->milliseconds);
    if (core->settings.says_ready && !worker->ready_lost && deadline > worker->deadline)
        worker->deadline = deadline;
}

/* It may be about to end, and how it ends will say more. */
static void ready_lost(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)actions;
    struct core_worker *worker = &core->workers[event->slot];
    if (!core->settings.says_ready)
        return;
    uint64_t deadline = event->now + CORE_LOST_MS;
    worker->ready_lost = true;
    if (deadline < worker->deadline)
        worker->deadline = deadline;
}

/* Where all end, the status is that of the last one which was ready. */
static void remember_end(struct core *core, const struct core_event *event)
{
    const struct core_worker *worker = &core->workers[event->slot];
    if (worker->state != CORE_WORKER_HELD && worker->state != CORE_WORKER_READY)
        return;
    core->ended_ready = true;
    core->ready_status = event->signalled ? 128 + event->number : event->number;
}

static enum core_failure failure_of_end(const struct core_worker *worker)
{
    if (worker->state == CORE_WORKER_EXECUTING)
        return CORE_FAILURE_KILLED;
    return worker->state == CORE_WORKER_STARTING ? CORE_FAILURE_ENDED : CORE_FAILURE_ENDED_READY;
}

static void exited(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_worker worker = core->workers[event->slot];
    bool asked = core_worker_is_told(&worker);
    struct core_cause cause = cause_of(core, event, failure_of_end(&worker));
    if (!worker.exec_failed) {
        struct core_action *action = core_say_worker(actions, core, event->slot, CORE_SAY_ENDED);
        action->number = event->number;
        action->signalled = event->signalled;
        action->asked = asked;
        action->elapsed = worker.executed ? event->now - worker.executed : 0;
    }
    remember_end(core, event);
    core_worker_release(core, event->slot);
    if (asked)
        core_go_on(core, event->now, actions);
    else
        failed(core, &worker, core_pool_failed(&worker, event->now), &cause, event->now, actions);
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

/* --- time --- */

static void not_ready(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    const struct core_worker *worker = &core->workers[event->slot];
    bool lost = worker->ready_lost;
    core_say_worker(actions, core, event->slot, lost ? CORE_SAY_LOST : CORE_SAY_LATE)->elapsed =
        event->now - worker->forked;
    give_up(core, event, lost ? CORE_FAILURE_LOST : CORE_FAILURE_LATE, actions);
}

static void kill_late(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    uint64_t elapsed = event->now - core->workers[event->slot].told;
    core_worker_kill(core, event->slot, actions);
    core_say_worker(actions, core, event->slot, CORE_SAY_KILLED_LATE)->elapsed = elapsed;
}

void core_slot_time_is_up(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    enum core_worker_state state = core->workers[event->slot].state;
    if (state == CORE_WORKER_HELD)
        core_rollout_take_over(core, event->slot, event->now, actions);
    else if (state == CORE_WORKER_READY)
        core_pool_settle(core, &core->workers[event->slot]);
    else if (state == CORE_WORKER_STARTING && !core->settings.says_ready)
        core_rollout_ready(core, event->slot, event->now, actions);
    else if (state == CORE_WORKER_STARTING || state == CORE_WORKER_EXECUTING)
        not_ready(core, event, actions);
    else
        kill_late(core, event, actions);
}

/* --- the table --- */

typedef void core_slot_handler(
    struct core *core, const struct core_event *event, struct core_actions *actions);

static core_slot_handler *const worker_table[CORE_WORKER_STATE_COUNT][CORE_WORKER_EVENT_COUNT] = {
    [CORE_WORKER_NONE] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = core_illegal,
        [CORE_READY_EXTENDED] = core_illegal,
        [CORE_READY_LOST] = core_illegal,
        [CORE_EXITED] = core_illegal,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_SPAWNING] = {[CORE_SPAWNED] = spawned,
        [CORE_SPAWN_FAILED] = spawn_failed,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = core_illegal,
        [CORE_READY_EXTENDED] = core_illegal,
        [CORE_READY_LOST] = core_illegal,
        [CORE_EXITED] = core_illegal,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_CANCELLED] = {[CORE_SPAWNED] = spawned_unwanted,
        [CORE_SPAWN_FAILED] = spawn_failed,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = core_illegal,
        [CORE_READY_EXTENDED] = core_illegal,
        [CORE_READY_LOST] = core_illegal,
        [CORE_EXITED] = core_illegal,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_EXECUTING] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = executed,
        [CORE_EXEC_FAILED] = exec_failed,
        [CORE_READY_SAID] = spoke_early,
        [CORE_READY_EXTENDED] = spoke_early,
        [CORE_READY_LOST] = spoke_early,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_STARTING] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = ready_said,
        [CORE_READY_EXTENDED] = ready_extended,
        [CORE_READY_LOST] = ready_lost,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_HELD] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = pass,
        [CORE_READY_EXTENDED] = pass,
        [CORE_READY_LOST] = pass,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_READY] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = pass,
        [CORE_READY_EXTENDED] = pass,
        [CORE_READY_LOST] = pass,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = core_illegal},
    [CORE_WORKER_DRAINING] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = pass,
        [CORE_READY_EXTENDED] = pass,
        [CORE_READY_LOST] = pass,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
    [CORE_WORKER_STOPPING] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = executed_unwanted,
        [CORE_EXEC_FAILED] = exec_failed_unwanted,
        [CORE_READY_SAID] = pass,
        [CORE_READY_EXTENDED] = pass,
        [CORE_READY_LOST] = pass,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
    [CORE_WORKER_KILLED] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = executed_unwanted,
        [CORE_EXEC_FAILED] = exec_failed_unwanted,
        [CORE_READY_SAID] = pass,
        [CORE_READY_EXTENDED] = pass,
        [CORE_READY_LOST] = pass,
        [CORE_EXITED] = exited,
        [CORE_SIGNAL_FAILED] = signal_failed},
};

void core_slot_event(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (event->slot >= core->slot_bound)
        core_illegal(core, event, actions);
    else
        worker_table[core->workers[event->slot].state][event->kind](core, event, actions);
}
