#include "core.h"

#include <string.h>

#include "core_pool.h"
#include "core_rollout.h"
#include "core_slot.h"
#include "core_worker.h"

typedef void core_handler(
    struct core *core, const struct core_event *event, struct core_actions *actions);

/* There is nothing yet, or nothing any more. */
static void pass(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    (void)core;
    (void)event;
    (void)actions;
}

/* --- events of the master --- */

static void start(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core_rollout_begin(core, CORE_MODE_SET, event->now, actions);
}

static void reload(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core_rollout_begin(core, event->mode, event->now, actions);
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
    if (!core->reload_pending)
        core_say_all(actions, core, CORE_SAY_RELOAD_LATER);
    core->reload_pending = true;
    /* Whoever does not care how it goes leaves it to those who do. */
    if (event->mode != CORE_MODE_SET)
        core->pending_mode = event->mode;
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
    core->pending_mode = CORE_MODE_SET;
    core->due_count = core->scale_pending = 0;
    core->stop_asked = event->number;
    core_say_all(actions, core, CORE_SAY_STOP_ASKED)->number = event->number;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        struct core_worker *worker = &core->workers[slot];
        if (core_worker_has_process(worker))
            core_worker_forward(core, slot, event->number, event->now, actions);
        else if (worker->state == CORE_WORKER_SPAWNING)
            core_worker_set_state(core, slot, CORE_WORKER_CANCELLED);
    }
    core_go_on(core, event->now, actions);
}

/* It goes to all that run the command, and nothing follows from it but what they make of it. */
static void signal_all(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    unsigned count = 0;
    for (unsigned slot = 0; slot < core->slot_bound; slot++) {
        if (core->workers[slot].executed == 0)
            continue;
        core_worker_pass_on(core, slot, event->number, actions);
        count++;
    }
    struct core_action *action = core_say_all(actions, core, CORE_SAY_SIGNALLED);
    action->number = event->number;
    action->serving = count;
}

/* --- how many workers --- */

static void scale_refused(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    core_say_all(actions, core, CORE_SAY_SCALE_REFUSED)->number = event->number;
}

static bool can_be_wanted(int workers)
{
    return workers >= 1 && workers <= LIMIT_WORKERS;
}

static void scale(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (!can_be_wanted(event->number)) {
        scale_refused(core, event, actions);
        return;
    }
    core_pool_scale(core, (unsigned)event->number, event->now, actions);
    core_go_on(core, event->now, actions);
}

/* There is nobody yet: so many are started. */
static void scale_start(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (!can_be_wanted(event->number)) {
        scale_refused(core, event, actions);
        return;
    }
    core->settings.workers = (unsigned)event->number;
    core_say_all(actions, core, CORE_SAY_SCALED)->number = event->number;
}

static void scale_later(
    struct core *core, const struct core_event *event, struct core_actions *actions)
{
    if (!can_be_wanted(event->number)) {
        scale_refused(core, event, actions);
        return;
    }
    core->scale_pending = (unsigned)event->number;
    core_say_all(actions, core, CORE_SAY_SCALE_LATER)->number = event->number;
}

static void tick(struct core *core, const struct core_event *event, struct core_actions *actions)
{
    struct core_event one = *event;
    for (one.slot = 0; one.slot < core->slot_bound; one.slot++)
        if (core->workers[one.slot].deadline <= event->now)
            core_slot_time_is_up(core, &one, actions);
    core_go_on(core, event->now, actions);
}

static core_handler *const phase_table[CORE_PHASE_COUNT][CORE_EVENT_COUNT] = {
    [CORE_NEW] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = core_illegal,
        [CORE_READY_EXTENDED] = core_illegal,
        [CORE_READY_LOST] = core_illegal,
        [CORE_EXITED] = core_illegal,
        [CORE_SIGNAL_FAILED] = core_illegal,
        [CORE_START] = start,
        [CORE_RELOAD] = reload_covered,
        [CORE_STOP] = stop,
        [CORE_SCALE] = scale_start,
        [CORE_SIGNAL] = pass,
        [CORE_TICK] = pass},
    [CORE_FIRST] = {[CORE_SPAWNED] = core_slot_event,
        [CORE_SPAWN_FAILED] = core_slot_event,
        [CORE_EXECUTED] = core_slot_event,
        [CORE_EXEC_FAILED] = core_slot_event,
        [CORE_READY_SAID] = core_slot_event,
        [CORE_READY_EXTENDED] = core_slot_event,
        [CORE_READY_LOST] = core_slot_event,
        [CORE_EXITED] = core_slot_event,
        [CORE_SIGNAL_FAILED] = core_slot_event,
        [CORE_START] = core_illegal,
        [CORE_RELOAD] = reload_later,
        [CORE_STOP] = stop,
        [CORE_SCALE] = scale_later,
        [CORE_SIGNAL] = signal_all,
        [CORE_TICK] = tick},
    [CORE_SERVING] = {[CORE_SPAWNED] = core_slot_event,
        [CORE_SPAWN_FAILED] = core_slot_event,
        [CORE_EXECUTED] = core_slot_event,
        [CORE_EXEC_FAILED] = core_slot_event,
        [CORE_READY_SAID] = core_slot_event,
        [CORE_READY_EXTENDED] = core_slot_event,
        [CORE_READY_LOST] = core_slot_event,
        [CORE_EXITED] = core_slot_event,
        [CORE_SIGNAL_FAILED] = core_slot_event,
        [CORE_START] = core_illegal,
        [CORE_RELOAD] = reload,
        [CORE_STOP] = stop,
        [CORE_SCALE] = scale,
        [CORE_SIGNAL] = signal_all,
        [CORE_TICK] = tick},
    [CORE_ROLLING] = {[CORE_SPAWNED] = core_slot_event,
        [CORE_SPAWN_FAILED] = core_slot_event,
        [CORE_EXECUTED] = core_slot_event,
        [CORE_EXEC_FAILED] = core_slot_event,
        [CORE_READY_SAID] = core_slot_event,
        [CORE_READY_EXTENDED] = core_slot_event,
        [CORE_READY_LOST] = core_slot_event,
        [CORE_EXITED] = core_slot_event,
        [CORE_SIGNAL_FAILED] = core_slot_event,
        [CORE_START] = core_illegal,
        [CORE_RELOAD] = reload_later,
        [CORE_STOP] = stop,
        [CORE_SCALE] = scale_later,
        [CORE_SIGNAL] = signal_all,
        [CORE_TICK] = tick},
    [CORE_STOPPING] = {[CORE_SPAWNED] = core_slot_event,
        [CORE_SPAWN_FAILED] = core_slot_event,
        [CORE_EXECUTED] = core_slot_event,
        [CORE_EXEC_FAILED] = core_slot_event,
        [CORE_READY_SAID] = core_slot_event,
        [CORE_READY_EXTENDED] = core_slot_event,
        [CORE_READY_LOST] = core_slot_event,
        [CORE_EXITED] = core_slot_event,
        [CORE_SIGNAL_FAILED] = core_slot_event,
        [CORE_START] = core_illegal,
        [CORE_RELOAD] = reload_refused,
        [CORE_STOP] = stop,
        [CORE_SCALE] = scale_refused,
        [CORE_SIGNAL] = signal_all,
        [CORE_TICK] = tick},
    [CORE_ENDED] = {[CORE_SPAWNED] = core_illegal,
        [CORE_SPAWN_FAILED] = core_illegal,
        [CORE_EXECUTED] = core_illegal,
        [CORE_EXEC_FAILED] = core_illegal,
        [CORE_READY_SAID] = core_illegal,
        [CORE_READY_EXTENDED] = core_illegal,
        [CORE_READY_LOST] = core_illegal,
        [CORE_EXITED] = core_illegal,
        [CORE_SIGNAL_FAILED] = core_illegal,
        [CORE_START] = core_illegal,
        [CORE_RELOAD] = reload_refused,
        [CORE_STOP] = pass,
        [CORE_SCALE] = scale_refused,
        [CORE_SIGNAL] = pass,
        [CORE_TICK] = pass},
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
        core_illegal(core, event, actions);
    else
        phase_table[core->phase][event->kind](core, event, actions);
}

uint64_t core_deadline(const struct core *core)
{
    uint64_t deadline = CORE_NEVER;
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        if (core->workers[slot].deadline < deadline)
            deadline = core->workers[slot].deadline;
    uint64_t pool = core_pool_deadline(core);
    return pool < deadline ? pool : deadline;
}

unsigned core_workers_wanted(const struct core *core)
{
    return core->scale_pending ? core->scale_pending : core->settings.workers;
}

int core_find(const struct core *core, int64_t pid)
{
    for (unsigned slot = 0; slot < core->slot_bound; slot++)
        if (core->workers[slot].pid == pid)
            return (int)slot;
    return -1;
}
