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

static void name_worker(struct core_action *action, const struct core *core, unsigned slot)
{
    action->slot = slot;
    action->pid = core->workers[slot].pid;
    action->generation = core->workers[slot].generation;
}

struct core_action *core_say_worker(
    struct core_actions *actions, const struct core *core, unsigned slot, enum core_say what)
{
    struct core_action *action = core_say_all(actions, core, what);
    name_worker(action, core, slot);
    return action;
}

void core_illegal(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_action *action = core_say_all(actions, core, CORE_SAY_ILLEGAL);
    action->number = (int)event->kind;
    action->slot = event->slot;
}

static struct core_action *send(
    struct core_actions *actions, const struct core *core, unsigned slot, int signal, bool group)
{
    struct core_action *action = core_action_add(actions, CORE_DO_SIGNAL);
    name_worker(action, core, slot);
    action->number = signal;
    action->group = group;
    return action;
}

/* The number of SIGKILL on every Linux; <signal.h> is for those who touch processes. */
enum { CORE_SIGKILL = 9 };

/* --- counting --- */

bool core_worker_has_process(const struct core_worker *worker)
{
    return worker->state >= CORE_WORKER_EXECUTING;
}

bool core_worker_is_told(const struct core_worker *worker)
{
    return worker->state >= CORE_WORKER_DRAINING;
}

bool core_worker_is_starting(const struct core_worker *worker)
{
    return worker->state == CORE_WORKER_SPAWNING || worker->state == CORE_WORKER_EXECUTING ||
           worker->state == CORE_WORKER_STARTING;
}

bool core_worker_is_wanted(const struct core_worker *worker)
{
    return core_worker_is_starting(worker) || worker->state == CORE_WORKER_HELD ||
           worker->state == CORE_WORKER_READY;
}

unsigned core_count_starting(const unsigned *counts)
{
    return counts[CORE_WORKER_SPAWNING] + counts[CORE_WORKER_EXECUTING] +
           counts[CORE_WORKER_STARTING];
}

unsigned core_count_ready(const unsigned *counts)
{
    return counts[CORE_WORKER_HELD] + counts[CORE_WORKER_READY];
}

static unsigned *counts_of(struct core *core, const struct core_worker *worker)
{
    return worker->generation == core->generation ? core->young : core->old;
}

void core_worker_set_state(struct core *core, unsigned slot, enum core_worker_state state)
{
    struct core_worker *worker = &core->workers[slot];
    unsigned *counts = counts_of(core, worker);
    counts[worker->state]--;
    counts[state]++;
    worker->state = state;
}

void core_generation_begin(struct core *core)
{
    core->generation++;
    for (unsigned state = 0; state < CORE_WORKER_STATE_COUNT; state++) {
        core->old[state] += core->young[state];
        core->young[state] = 0;
    }
}

/* --- slots --- */

struct core_worker *core_worker_start(
    struct core *core, uint64_t generation, struct core_actions *actions)
{
    unsigned slot = core->slot_free;
    while (slot < core->slot_bound && core->workers[slot].state != CORE_WORKER_NONE)
        slot++;
    core->slot_free = slot + 1;
    if (slot >= core->slot_bound)
        core->slot_bound = slot + 1;
    core->living++;
    struct core_worker *worker = &core->workers[slot];
    *worker = (struct core_worker){
        .state = CORE_WORKER_SPAWNING,
        .generation = generation,
        .order_started = ++core->started,
        .deadline = CORE_NEVER,
    };
    counts_of(core, worker)[CORE_WORKER_SPAWNING]++;
    name_worker(core_action_add(actions, CORE_DO_SPAWN), core, slot);
    return worker;
}

void core_worker_release(struct core *core, unsigned slot)
{
    struct core_worker *worker = &core->workers[slot];
    counts_of(core, worker)[worker->state]--;
    *worker = (struct core_worker){.deadline = CORE_NEVER};
    core->living--;
    if (slot < core->slot_free)
        core->slot_free = slot;
}

/* --- telling --- */

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
    core_worker_set_state(core, slot, state);
    worker->untold = false;
    send(actions, core, slot, signal, core->settings.kill_group);
}

void core_worker_pass_on(struct core *core, unsigned slot, int signal, struct core_actions *actions)
{
    send(actions, core, slot, signal, core->settings.kill_group)->asked = true;
}

void core_worker_kill(struct core *core, unsigned slot, struct core_actions *actions)
{
    core_worker_set_state(core, slot, CORE_WORKER_KILLED);
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
    if (!core_worker_has_process(&core->workers[slot])) {
        core_worker_set_state(core, slot, CORE_WORKER_CANCELLED);
        return;
    }
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
    if (!worker->order_retired)
        worker->order_retired = ++core->retired;
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

static unsigned oldest_drainer(const struct core *core)
{
    unsigned oldest = 0;
    uint64_t order = UINT64_MAX;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        const struct core_worker *worker = &core->workers[slot];
        if (worker->state == CORE_WORKER_DRAINING && worker->order_retired < order) {
            oldest = slot;
            order = worker->order_retired;
        }
    }
    return oldest;
}

void core_worker_kill_surplus(struct core *core, struct core_actions *actions)
{
    unsigned most = core->settings.max_draining;
    while (most > 0 && core->young[CORE_WORKER_DRAINING] + core->old[CORE_WORKER_DRAINING] > most) {
        unsigned slot = oldest_drainer(core);
        core_worker_kill(core, slot, actions);
        core_say_worker(actions, core, slot, CORE_SAY_KILLED_SURPLUS)->number = (int)most;
    }
}
