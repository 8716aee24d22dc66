#include "tally.h"

#include <string.h>

/* What one line of the core means; `when` is now. */
typedef void tally_taker(
    struct tally *tally, const struct core_action *action, struct tally_time when);

/* --- workers --- */

/* That it is told again to end, for example, is nothing new. */
static void enter(struct tally_slot *slot, enum core_worker_state state, struct tally_time when)
{
    if (slot->state == state)
        return;
    slot->state = state;
    slot->since = when;
}

static void told_to_end(struct tally *tally, const struct core_action *action,
    enum core_worker_state state, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    slot->pid = action->pid;
    /* There is no way back from KILL. */
    if (slot->state != CORE_WORKER_KILLED)
        enter(slot, state, when);
}

static void take_started(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    tally->counts.executed++;
    slot->pid = action->pid;
    /* It may have been told to end before that. */
    if (slot->state == CORE_WORKER_SPAWNING)
        enter(slot, CORE_WORKER_STARTING, when);
}

static void take_ready(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    tally->counts.ready++;
    slot->ready = when;
    slot->ready_after = action->elapsed;
    enter(slot, CORE_WORKER_READY, when);
}

static void take_retired(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    told_to_end(tally, action, CORE_WORKER_DRAINING, when);
}

static void take_stopped(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    told_to_end(tally, action, CORE_WORKER_STOPPING, when);
}

static void take_killed(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    tally->counts.killed++;
    told_to_end(tally, action, CORE_WORKER_KILLED, when);
}

static void take_late(struct tally *tally, const struct core_action *action, struct tally_time when)
{
    (void)action;
    (void)when;
    tally->counts.late++;
}

static void take_lost(struct tally *tally, const struct core_action *action, struct tally_time when)
{
    (void)action;
    (void)when;
    tally->counts.lost++;
}

static void take_ended(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    tally->counts.ended++;
    tally->counts.unasked += !action->asked;
    tally->counts.crashed += !action->asked && action->signalled;
    slot->pid = action->pid;
    enter(slot, CORE_WORKER_NONE, when);
}

static void take_not_spawned(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    tally->counts.not_started++;
    enter(&tally->slots[action->slot], CORE_WORKER_NONE, when);
}

/* It is ending by itself, and nothing more is said of it. */
static void take_not_executed(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    tally->counts.not_started++;
    told_to_end(tally, action, CORE_WORKER_STOPPING, when);
}

/* --- rollouts --- */

static void begin_rollout(struct tally *tally, uint64_t generation, struct tally_time when)
{
    struct tally_rollout *rollout = &tally->rollout;
    tally->counts.rollouts++;
    rollout->result = TALLY_RUNNING;
    rollout->generation = generation;
    rollout->began = when;
    rollout->ended = (struct tally_time){.ms = 0};
    rollout->line_length = rollout->output_length = 0;
}

static void end_rollout(
    struct tally *tally, enum tally_result result, uint64_t elapsed, struct tally_time when)
{
    struct tally_rollout *rollout = &tally->rollout;
    rollout->result = result;
    rollout->ended = when;
    rollout->elapsed = elapsed;
}

static void take_reloading(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    begin_rollout(tally, action->generation, when);
}

static void take_refused(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    (void)action;
    (void)when;
    tally->counts.reloads_refused++;
}

static void take_done(struct tally *tally, const struct core_action *action, struct tally_time when)
{
    tally->counts.rollouts_done++;
    end_rollout(tally, TALLY_DONE, action->elapsed, when);
}

static void take_failed(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    tally->counts.rollouts_failed++;
    tally->rollout.why = *action;
    end_rollout(tally, TALLY_FAILED, action->elapsed, when);
}

static void take_stop(struct tally *tally, const struct core_action *action, struct tally_time when)
{
    (void)action;
    if (tally->rollout.result != TALLY_RUNNING)
        return;
    tally->counts.rollouts_cancelled++;
    end_rollout(tally, TALLY_CANCELLED, when.ms - tally->rollout.began.ms, when);
}

/* --- actions --- */

static void take_spawn(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    /* The first start is not said to begin. */
    if (tally->rollout.result == TALLY_NONE)
        begin_rollout(tally, action->generation, when);
    tally->counts.asked_for++;
    tally->counts.replacements += tally->rollout.result != TALLY_RUNNING;

    /* The core takes the lowest slot that is free, and so passes over none. */
    unsigned restarts = 0;
    if (action->slot >= tally->slot_bound)
        tally->slot_bound = action->slot + 1;
    else if (slot->generation == action->generation)
        restarts = slot->restarts + 1;
    *slot = (struct tally_slot){
        .generation = action->generation,
        .restarts = restarts,
        .state = CORE_WORKER_SPAWNING,
        .since = when,
        .asked_for = when,
    };
}

static void take_signal(
    struct tally *tally, const struct core_action *action, struct tally_time when)
{
    struct tally_slot *slot = &tally->slots[action->slot];
    slot->signalled = when;
    slot->last_signal = action->number;
    if (action->number >= 1 && action->number <= 64)
        slot->signals |= UINT64_C(1) << (action->number - 1);
}

static tally_taker *const say_takers[CORE_SAY_COUNT] = {
    [CORE_SAY_STARTED] = take_started,
    [CORE_SAY_READY] = take_ready,
    [CORE_SAY_RETIRED] = take_retired,
    [CORE_SAY_STOPPED] = take_stopped,
    [CORE_SAY_FORWARDED] = take_stopped,
    [CORE_SAY_KILLED_LATE] = take_killed,
    [CORE_SAY_KILLED_SURPLUS] = take_killed,
    [CORE_SAY_LATE] = take_late,
    [CORE_SAY_LOST] = take_lost,
    [CORE_SAY_ENDED] = take_ended,
    [CORE_SAY_NOT_SPAWNED] = take_not_spawned,
    [CORE_SAY_NOT_EXECUTED] = take_not_executed,
    [CORE_SAY_RELOADING] = take_reloading,
    [CORE_SAY_RELOAD_REFUSED] = take_refused,
    [CORE_SAY_ROLLOUT_DONE] = take_done,
    [CORE_SAY_ROLLOUT_FAILED] = take_failed,
    [CORE_SAY_STOP_ASKED] = take_stop,
};

void tally_init(struct tally *tally)
{
    /* Slots from slot_bound on are never read, so their pages are not touched either. */
    memset(tally, 0, offsetof(struct tally, slots));
}

void tally_take(
    struct tally *tally, const struct core_action *action, uint64_t now_ms, int64_t wall_s)
{
    struct tally_time when = {now_ms, wall_s};
    if (action->kind == CORE_DO_SPAWN)
        take_spawn(tally, action, when);
    else if (action->kind == CORE_DO_SIGNAL)
        take_signal(tally, action, when);
    else if (action->kind == CORE_DO_SAY && say_takers[action->say])
        say_takers[action->say](tally, action, when);
}

/* --- what others say --- */

/* Keeps as much of it as there is room for, from the beginning. Returns how much that is. */
static size_t keep(char *place, size_t size, struct text_span span)
{
    size_t length = span.length < size ? span.length : size;
    if (length > 0)
        memcpy(place, span.bytes, length);
    return length;
}

void tally_rollout_words(struct tally *tally, struct text_span line, struct text_span output)
{
    struct tally_rollout *rollout = &tally->rollout;
    /* What it wrote last tells most. */
    if (output.length > sizeof rollout->output)
        output.bytes += output.length - sizeof rollout->output;
    rollout->line_length = keep(rollout->line, sizeof rollout->line, line);
    rollout->output_length = keep(rollout->output, sizeof rollout->output, output);
}

void tally_ping(
    struct tally *tally, unsigned slot, uint64_t now_ms, int64_t wall_s, struct text_span id)
{
    struct tally_slot *one = &tally->slots[slot];
    one->pinged = (struct tally_time){now_ms, wall_s};
    one->ping_id_length = keep(one->ping_id, sizeof one->ping_id, id);
}
