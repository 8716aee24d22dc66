#include "core_world.h"

#include <string.h>

#include "core_judge.h"
#include "target.h"

enum {
    GARBAGE = 0xa5,
    FIRST_PID = 1000,
};

struct core world_core;
struct core_actions world_actions;
struct world world;
struct world_step world_step;
struct process world_processes[LIMIT_SLOTS];

static struct core before;

/* --- who is there ------------------------------------------------------------------------------*/

bool world_is_wanted(const struct process *process)
{
    return process->there != FREE && !process->told && !process->unwanted;
}

bool world_is_starting(const struct process *process)
{
    return world_is_wanted(process) && !process->ready;
}

bool world_is_ready(const struct process *process)
{
    return world_is_wanted(process) && process->ready;
}

bool world_is_serving(const struct process *process)
{
    return world_is_ready(process) && (process->in_charge || world.now >= process->takes_over_at);
}

bool world_is_running(const struct process *process)
{
    return process->there == ALIVE && process->executed;
}

bool world_is_in_rollout(const struct process *process)
{
    return world.rolling && process->generation == world.generation;
}

unsigned world_count(world_test *test)
{
    return world_count_young(test) + world_count_other(test);
}

unsigned world_count_young(world_test *test)
{
    unsigned count = 0;

    for (unsigned slot = 0; slot < world.bound; slot++)
        count += world_is_in_rollout(&world_processes[slot]) && test(&world_processes[slot]);
    return count;
}

unsigned world_count_other(world_test *test)
{
    unsigned count = 0;

    for (unsigned slot = 0; slot < world.bound; slot++)
        count += !world_is_in_rollout(&world_processes[slot]) && test(&world_processes[slot]);
    return count;
}

struct process *world_first_to_go(void)
{
    struct process *first = NULL;

    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        if (!world_is_wanted(process))
            continue;
        if (!first || (first->ready && !process->ready) ||
            (first->ready == process->ready && process->order > first->order))
            first = process;
    }
    return first;
}

/* --- what follows ------------------------------------------------------------------------------*/

uint64_t world_failed_bound(void)
{
    return world.settings.stop_ms ? world.settings.stop_ms : CORE_FAILED_STOP_MS;
}

void world_tell(struct process *process, uint64_t bound)
{
    process->told = true;
    process->told_at = world.now;
    process->bound = bound;
}

static uint64_t from_now(uint64_t milliseconds)
{
    return milliseconds < CORE_NEVER - world.now ? world.now + milliseconds : CORE_NEVER;
}

void world_lose(const struct process *process, bool failed)
{
    static const uint64_t waits[] = {1000, 1500, 2250, 3375, 5062, 7593, 11389, 17083, 25624};
    const unsigned count = sizeof waits / sizeof waits[0];

    if (!world.settings.respawn || world.rolling || world.stopped)
        return;
    world.due++;
    world.lost |= UINT64_C(1) << process->generation % 64;
    /* Those that fail while the next one waits already had been started together. */
    if (!failed || (world.failed_in_a_row > 0 && world.now < world.replace_at))
        return;
    world.replace_at = world.now + (world.failed_in_a_row < count ? waits[world.failed_in_a_row]
                                                                  : CORE_RESPAWN_MAX_MS);
    world.failed_in_a_row++;
}

bool world_may_replace(uint64_t now)
{
    unsigned starting = world_count(world_is_starting);

    if (!world.started || world.stopped || world.rolling || world.due == 0 ||
        world.living == LIMIT_SLOTS)
        return false;
    if (world.failed_in_a_row > 0)
        return starting == 0 && now >= world.replace_at;
    return !world.settings.smooth || starting < world.settings.max_starting;
}

/* --- what an event is to the world, before the core hears of it --------------------------------*/

static int status_of(const struct core_event *event)
{
    return event->signalled ? 128 + event->number : event->number;
}

static void start_process(struct process *process, const struct core_event *event)
{
    uint64_t timeout = world.settings.says_ready ? world.settings.ready_timeout_ms : 0;

    process->there = ALIVE;
    process->pid = event->pid;
    process->ready_by = world.now + (timeout ? timeout : CORE_EXECUTE_MS);
}

static void execute_process(struct process *process)
{
    uint64_t start = world.settings.start_ms, timeout = world.settings.ready_timeout_ms;

    process->executed = true;
    process->executed_at = world.now;
    process->ready_by = world.now + start + (start > 0);
    if (!world.settings.says_ready)
        return;
    process->ready_by = timeout ? world.now + timeout : CORE_NEVER;
    if (process->extended > process->ready_by)
        process->ready_by = process->extended;
    if (process->lost && world.now + CORE_LOST_MS < process->ready_by)
        process->ready_by = world.now + CORE_LOST_MS;
}

static void extend_process(struct process *process, uint64_t milliseconds)
{
    uint64_t by = from_now(milliseconds);

    if (!world.settings.says_ready || process->lost)
        return;
    if (!process->executed)
        process->extended = by;
    else if (by > process->ready_by)
        process->ready_by = by;
}

static void lose_word(struct process *process)
{
    if (!world.settings.says_ready || !world_is_starting(process))
        return;
    process->lost = true;
    if (process->executed && world.now + CORE_LOST_MS < process->ready_by)
        process->ready_by = world.now + CORE_LOST_MS;
}

static void end_process(struct process *process, const struct core_event *event)
{
    struct process was = *process;
    bool settled = was.in_charge && world.now - was.executed_at >= CORE_SETTLED_MS;

    if (was.ready && !was.told) {
        world.ended_ready = true;
        world.ready_status = status_of(event);
    }
    *process = (struct process){.there = FREE};
    world.living--;
    if (!world_is_wanted(&was))
        return;
    if (!world_is_in_rollout(&was))
        world_lose(&was, was.replacement && !settled);
}

static void fail_to_execute(struct process *process)
{
    bool was_wanted = world_is_wanted(process);

    process->exec_failed = true;
    if (!was_wanted)
        return;
    world_tell(process, world_failed_bound());
    if (!world_is_in_rollout(process))
        world_lose(process, true);
}

static void happen_to_process(struct process *process, const struct core_event *event)
{
    if (event->kind == CORE_SPAWNED)
        start_process(process, event);
    else if (event->kind == CORE_EXECUTED)
        execute_process(process);
    else if (event->kind == CORE_EXEC_FAILED)
        fail_to_execute(process);
    else if (event->kind == CORE_READY_SAID)
        process->said |= !process->executed;
    else if (event->kind == CORE_READY_EXTENDED)
        extend_process(process, event->milliseconds);
    else if (event->kind == CORE_READY_LOST)
        lose_word(process);
    else if (event->kind == CORE_EXITED || event->kind == CORE_SPAWN_FAILED)
        end_process(process, event);
    else if (event->kind == CORE_SIGNAL_FAILED) {
        process->untold = true;
        if (process->killed && !process->kill_again_at)
            process->kill_again_at = world.now + CORE_KILL_AGAIN_MS;
    }
}

static void ask_to_stop(int signal)
{
    world.stopped = true;
    world.stop_signal = signal;
    world.rolling = world.pending = false;
    world.pending_mode = CORE_MODE_SET;
    world.scale_pending = world.due = 0;
    for (unsigned slot = 0; slot < world.bound; slot++)
        world_processes[slot].unwanted |= world_processes[slot].there == WANTED;
}

static void happen_to_all(const struct core_event *event)
{
    bool wait = world.rolling && !world.stopped;

    if (event->kind == CORE_START) {
        world.started = world.rolling = true;
        world.generation = 1;
        world.smooth = world.settings.smooth;
        world.began_at = world.now;
    } else if (event->kind == CORE_RELOAD && wait) {
        world.pending = true;
        if (event->mode != CORE_MODE_SET)
            world.pending_mode = event->mode;
    } else if (event->kind == CORE_STOP) {
        ask_to_stop(event->number);
    } else if (event->kind == CORE_SCALE && wait && event->number >= 1 &&
               event->number <= LIMIT_WORKERS) {
        world.scale_pending = (unsigned)event->number;
    }
}

/* --- giving it ---------------------------------------------------------------------------------*/

static bool is_legal_for(const struct process *process, const struct core_event *event)
{
    switch ((int)event->kind) {
    case CORE_SPAWNED:
        return process->there == WANTED && event->pid > 0;
    case CORE_SPAWN_FAILED:
        return process->there == WANTED;
    case CORE_EXECUTED:
    case CORE_EXEC_FAILED:
        return process->there == ALIVE && !process->executed && !process->exec_failed;
    case CORE_SIGNAL_FAILED:
        return process->there == ALIVE && process->told;
    default:
        return process->there == ALIVE;
    }
}

static bool is_legal(const struct core_event *event)
{
    if (event->kind < CORE_WORKER_EVENT_COUNT)
        return event->slot < LIMIT_SLOTS && is_legal_for(&world_processes[event->slot], event);
    switch ((int)event->kind) {
    case CORE_START:
        return !world.started && !world.stopped;
    case CORE_SCALE:
    case CORE_RELOAD:
    case CORE_STOP:
    case CORE_SIGNAL:
        return !world.ended;
    case CORE_TICK:
        return true;
    default:
        return false;
    }
}

/* Of a worker that was told to end the core does not keep how far its start had come. */
static bool is_beyond_telling(const struct core_event *event)
{
    return (event->kind == CORE_EXECUTED || event->kind == CORE_EXEC_FAILED) &&
           event->slot < LIMIT_SLOTS && world_processes[event->slot].there == ALIVE &&
           world_processes[event->slot].told;
}

/* Slots that were never used hold garbage. */
static size_t meaningful(void)
{
    return offsetof(struct core, workers) + world_core.slot_bound * sizeof(struct core_worker);
}

static void give_illegal(const struct core_event *event)
{
    size_t size = meaningful();

    memcpy(&before, &world_core, size);
    core_step(&world_core, event, &world_actions);
    CHECK(memcmp(&before, &world_core, size) == 0);
    CHECK(world_actions.count == 1 && world_actions.list[0].kind == CORE_DO_SAY);
    CHECK(world_actions.list[0].say == CORE_SAY_ILLEGAL);
}

/* It came in together with the last worker's end. */
static bool is_too_late(const struct core_event *event)
{
    return world.ended && (event->kind == CORE_RELOAD || event->kind == CORE_STOP ||
                              event->kind == CORE_SCALE || event->kind == CORE_SIGNAL);
}

/* Nothing comes of it; who wanted other workers is told so. */
static void give_too_late(const struct core_event *event)
{
    size_t size = meaningful();

    memcpy(&before, &world_core, size);
    core_step(&world_core, event, &world_actions);
    CHECK(memcmp(&before, &world_core, size) == 0);
    if (event->kind == CORE_STOP || event->kind == CORE_SIGNAL) {
        CHECK(world_actions.count == 0);
        return;
    }
    CHECK(world_actions.count == 1 && world_actions.list[0].kind == CORE_DO_SAY);
    CHECK(world_actions.list[0].say ==
          (event->kind == CORE_RELOAD ? CORE_SAY_RELOAD_REFUSED : CORE_SAY_SCALE_REFUSED));
}

/* A deadline is honest: before it nothing is done, at it something is, and the next is later. */
static void give_tick(const struct core_event *event)
{
    uint64_t deadline = core_deadline(&world_core);
    size_t size = meaningful();

    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &world_processes[slot];

        process->settles = world_is_wanted(process) && process->settles_at <= world.now;
        world_step.settles |= process->settles;
    }
    memcpy(&before, &world_core, size);
    core_step(&world_core, event, &world_actions);
    bool changed = size != meaningful() || memcmp(&before, &world_core, size) != 0;
    CHECK(changed == (event->now >= deadline));
    CHECK(changed || world_actions.count == 0);
    CHECK(core_deadline(&world_core) > event->now);
}

/* Whatever is passed on to the workers, and whatever they will make of it: nothing changes here. */
static void give_signal(const struct core_event *event)
{
    size_t size = meaningful();

    memcpy(&before, &world_core, size);
    core_step(&world_core, event, &world_actions);
    CHECK(memcmp(&before, &world_core, size) == 0);
}

void world_give(struct core_event event)
{
    event.now = world.now;
    if (is_too_late(&event)) {
        give_too_late(&event);
        return;
    }
    if (!is_legal(&event)) {
        if (!is_beyond_telling(&event))
            give_illegal(&event);
        return;
    }
    world.steps++;
    world_step = (struct world_step){.began = false};
    bool at_rest = world.started && !world.rolling && !world.stopped;
    if (event.kind < CORE_WORKER_EVENT_COUNT) {
        world_step.was = world_processes[event.slot];
        happen_to_process(&world_processes[event.slot], &event);
    } else {
        happen_to_all(&event);
    }
    if (event.kind == CORE_TICK)
        give_tick(&event);
    else if (event.kind == CORE_SIGNAL)
        give_signal(&event);
    else
        core_step(&world_core, &event, &world_actions);
    core_judge_actions(&event);
    core_judge_whole(&event);
    core_judge_tally(&event);
    CHECK(event.kind != CORE_RELOAD || world_step.began == at_rest);
}

void world_init(const struct core_settings *settings)
{
    memset(world_processes, 0, world.bound * sizeof world_processes[0]);
    world = (struct world){.settings = *settings, .now = 1, .pids = FIRST_PID};
    /* What is in slots that were never used must not matter. */
    memset(&world_core, GARBAGE, sizeof world_core);
    core_init(&world_core, settings);
    core_judge_tally_begin();
}
