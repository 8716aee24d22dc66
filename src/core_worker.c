#include "core_worker.h"

/* --- actions --- */

struct core_action *core_action_add(struct core_actions *actions, enum core_action_kind kind)
{
    struct core_action *action = &actions->list[actions->count++];
    *action = (struct core_action){.kind = kind};
    return action;
}

struct core_action *core_say_all(
    struct core_actions *actions, const struct core *core, enum core_say what)
{
    struct core_action *action = core_action_add(actions, CORE_DO_SAY);
    action->say = what;
    action->generation = core->generation;
    return action;
}

struct core_action *core_say_worker(
    struct core_actions *actions, const struct core *core, unsigned slot, enum core_say what)
{
    struct core_action *action = core_say_all(actions, core, what);
    action->slot = slot;
    action->pid = core->workers[slot].pid;
    action->generation = core->workers[slot].generation;
    return action;
}

static void send(
    struct core_actions *actions, const struct core *core, unsigned slot, int signal, bool group)
{
    struct core_action *action = core_action_add(actions, CORE_DO_SIGNAL);
    action->slot = slot;
    action->pid = core->workers[slot].pid;
    action->generation = core->workers[slot].generation;
    action->number = signal;
    action->group = group;
}

/* The number of SIGKILL on every Linux; <signal.h> is for those who touch processes. */
enum { CORE_SIGKILL = 9 };

/* --- workers --- */

bool core_worker_has_process(const struct core_worker *worker)
{
    return worker->state >= CORE_WORKER_EXECUTING;
}

bool core_worker_is_told(const struct core_worker *worker)
{
    return worker->state >= CORE_WORKER_DRAINING;
}

unsigned core_slot_take(struct core *core)
{
    unsigned slot = 0;
    while (slot < core->slot_bound && core->workers[slot].state != CORE_WORKER_NONE)
        slot++;
    if (slot >= core->slot_bound)
        core->slot_bound = slot + 1;
    core->living++;
    return slot;
}

void core_slot_release(struct core *core, unsigned slot)
{
    core->workers[slot] = (struct core_worker){.deadline = CORE_NEVER};
    core->living--;
}

/* Tells a worker to end. `bound` is how long it may take, 0: as long as it likes. Asking again
 * gives it no more time than it had. */
static void worker_tell(struct core *core, unsigned slot, enum core_worker_state state, int signal,
    uint64_t bound, uint64_t now, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[slot];
    if (!core_worker_is_told(worker)) {
        worker->told = now;
        worker->deadline = bound ? now + bound : CORE_NEVER;
    }
    worker->state = state;
    worker->untold = false;
    send(actions, core, slot, signal, core->settings.kill_group);
}

void core_worker_kill(struct core *core, unsigned slot, struct core_actions *actions)
{
    core->workers[slot].state = CORE_WORKER_KILLED;
    core->workers[slot].deadline = CORE_NEVER;
    send(actions, core, slot, CORE_SIGKILL, true);
}

uint64_t core_failed_stop_bound(const struct core *core)
{
    return core->settings.stop_ms ? core->settings.stop_ms : CORE_FAILED_STOP_MS;
}

void core_worker_dismiss(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions)
{
    int signal = core->settings.stop_signal;
    worker_tell(
        core, slot, CORE_WORKER_STOPPING, signal, core_failed_stop_bound(core), now, actions);
    core_say_worker(actions, core, slot, CORE_SAY_STOPPED)->number = signal;
}

void core_worker_retire(
    struct core *core, unsigned slot, uint64_t now, struct core_actions *actions)
{
    struct core_worker *worker = &core->workers[slot];
    int signal = core->settings.stop_signal;
    if (!worker->order)
        worker->order = ++core->retired;
    worker_tell(core, slot, CORE_WORKER_DRAINING, signal, core->settings.stop_ms, now, actions);
    core_say_worker(actions, core, slot, CORE_SAY_RETIRED)->number = signal;
}

void core_worker_forward(
    struct core *core, unsigned slot, int signal, uint64_t now, struct core_actions *actions)
{
    enum core_worker_state state =
        core->workers[slot].state == CORE_WORKER_KILLED ? CORE_WORKER_KILLED : CORE_WORKER_STOPPING;
    worker_tell(core, slot, state, signal, core->settings.stop_ms, now, actions);
    core_say_worker(actions, core, slot, CORE_SAY_FORWARDED)->number = signal;
}
