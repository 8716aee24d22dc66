/*
 * Fuzzes core: the input is a sequence of events in a small world of processes, and after each one
 * everything that was done is judged by what the world knows, not by what the core remembers.
 *
 * Two bytes are the settings; then each event is two bytes, what happens and to whom (see
 * `happen`). Events that make no sense are given too, and must change nothing. When the bytes end
 * the world turns kind: workers start, live, and end when told to. Then everything has to come to
 * rest, a reload has to work, and a stop has to end it all.
 */
#include "core.h"

#include <signal.h>
#include <string.h>

#include "target.h"

enum {
    GARBAGE = 0xa5,
    FIRST_PID = 1000,
    ROUNDS_MAX = 32, /* in which a kind world has come to rest */
};

struct process {
    enum {
        FREE,
        WANTED, /* the core asked for it, and waits for the answer */
        ALIVE,
    } there;
    int64_t pid;
    uint64_t generation;
    bool executed, exec_failed, ready;
    bool in_charge; /* its generation was completed */
    bool told;      /* to end, or ending by itself since it could not execute the command */
    bool draining, killed;
    bool untold;                          /* the signal that told it did not reach it */
    uint64_t kill_again_at;               /* 0: never */
    uint64_t executed_at, told_at, bound; /* bound 0: it may take as long as it likes */
    uint64_t retired;                     /* the how manieth it was */
    uint64_t forwarded;                   /* the step in which it last got the signal of a stop */
};

static struct core core, before;
static struct core_actions actions;
static struct process processes[LIMIT_SLOTS];

/* What is known outside of the core, besides the processes. */
static struct {
    uint64_t now, steps;
    int64_t pids;
    unsigned bound; /* no process was ever in a slot from here on */
    unsigned living;
    bool started, stopped, ended, rolling, pending;
    int stop_signal;                /* of the latest stop */
    uint64_t generation, completed; /* the youngest, and the youngest that was completed */
    unsigned asked;                 /* SPAWNs of this rollout */
    uint64_t retired;
    int status;
    bool ended_ready, start_failed;
    int ready_status, last_status;
    /* Of the present step. */
    bool began, done;
    uint64_t dismissed; /* the generation of which somebody was, or 0 */
} world;

/* --- judging one action ------------------------------------------------------------------------*/

static uint64_t failed_bound(void)
{
    return core.settings.stop_ms ? core.settings.stop_ms : CORE_FAILED_STOP_MS;
}

static void tell(struct process *process, uint64_t bound)
{
    process->told = true;
    process->told_at = world.now;
    process->bound = bound;
}

static void judge_spawn(const struct core_action *action)
{
    CHECK(world.rolling && !world.stopped && !world.ended);
    CHECK(action->generation == world.generation);
    CHECK(++world.asked <= core.settings.workers);
    CHECK(action->slot < LIMIT_SLOTS);
    for (unsigned slot = 0; slot < action->slot; slot++)
        CHECK(processes[slot].there != FREE);
    CHECK(processes[action->slot].there == FREE);
    processes[action->slot] = (struct process){.there = WANTED, .generation = action->generation};
    if (action->slot >= world.bound)
        world.bound = action->slot + 1;
    world.living++;
}

static void judge_surplus(const struct process *process)
{
    unsigned draining = 0;

    CHECK(process->draining && !process->killed);
    for (unsigned slot = 0; slot < world.bound; slot++) {
        const struct process *other = &processes[slot];

        if (other->draining && !other->killed) {
            draining++;
            CHECK(other->retired >= process->retired);
        }
    }
    CHECK(core.settings.max_draining > 0 && draining > core.settings.max_draining);
}

/* A signal, and the line after it that says why it was sent. */
static void judge_signal(const struct core_action *action, const struct core_action *reason)
{
    const struct core_settings *settings = &core.settings;
    struct process *process = &processes[action->slot];
    bool kill = reason->say == CORE_SAY_KILLED_LATE || reason->say == CORE_SAY_KILLED_SURPLUS;
    bool forward = reason->say == CORE_SAY_FORWARDED;

    CHECK(action->slot < world.bound && process->there == ALIVE && process->pid == action->pid);
    CHECK(reason->kind == CORE_DO_SAY && reason->slot == action->slot);
    CHECK(action->group == (kill || settings->kill_group));
    CHECK(action->number == (kill ? SIGKILL : forward ? world.stop_signal : settings->stop_signal));

    if (reason->say == CORE_SAY_RETIRED) {
        CHECK(world.done && process->generation < world.generation);
        CHECK(process->told ? process->draining && !process->killed && process->untold
                            : process->ready);
        process->untold = false;
        if (!process->told) {
            tell(process, settings->stop_ms);
            process->retired = ++world.retired;
        }
        process->draining = true;
    } else if (reason->say == CORE_SAY_STOPPED) {
        CHECK(!process->told && !process->in_charge);
        tell(process, failed_bound());
        world.dismissed = process->generation;
    } else if (forward) {
        CHECK(world.stopped && process->forwarded != world.steps);
        process->forwarded = world.steps;
        process->untold = false;
        if (!process->told)
            tell(process, settings->stop_ms);
        process->draining = false;
    } else if (reason->say == CORE_SAY_KILLED_LATE) {
        uint64_t due = process->killed ? process->kill_again_at : process->told_at + process->bound;
        CHECK(process->told && (process->killed ? due > 0 : process->bound > 0));
        CHECK(world.now >= due);
        process->killed = true;
        process->kill_again_at = 0;
    } else {
        CHECK(reason->say == CORE_SAY_KILLED_SURPLUS);
        judge_surplus(process);
        process->killed = true;
    }
}

static void judge_ready(const struct core_action *action)
{
    struct process *process = &processes[action->slot];

    CHECK(process->there == ALIVE && process->executed && !process->ready && !process->told);
    CHECK(world.now >= process->executed_at + core.settings.start_ms);
    process->ready = true;
}

static void judge_reloading(const struct core_event *event, const struct core_action *action)
{
    CHECK(world.started && !world.stopped && !world.rolling);
    CHECK(world.pending || event->kind == CORE_RELOAD);
    CHECK(action->generation == ++world.generation);
    world.pending = false;
    world.rolling = world.began = true;
    world.asked = 0;
}

static void judge_done(void)
{
    unsigned ready = 0;

    CHECK(world.rolling);
    for (unsigned slot = 0; slot < world.bound; slot++) {
        struct process *process = &processes[slot];

        if (process->there == ALIVE && process->generation == world.generation) {
            CHECK(process->ready && !process->told);
            process->in_charge = true;
            ready++;
        }
    }
    CHECK(ready == core.settings.workers);
    world.rolling = false;
    world.done = true;
    world.completed = world.generation;
}

static void judge_failed(const struct core_event *event, const struct core_action *action)
{
    bool not_started = event->kind == CORE_SPAWN_FAILED || event->kind == CORE_EXEC_FAILED;
    int serving = 0;

    CHECK(world.rolling);
    if (action->failure == CORE_FAILURE_NO_SLOT) {
        CHECK(world.asked == 0 && world.living + core.settings.workers > LIMIT_SLOTS);
    } else {
        CHECK(world.asked == core.settings.workers);
        CHECK(action->failure == (not_started ? CORE_FAILURE_NOT_STARTED : CORE_FAILURE_ENDED));
        CHECK(not_started || event->kind == CORE_EXITED);
    }
    for (unsigned slot = 0; slot < world.bound; slot++)
        serving += processes[slot].ready && !processes[slot].told;
    CHECK(action->number == serving);
    world.rolling = false;
    world.start_failed = world.generation == 1 && not_started;
}

static void judge_say(const struct core_event *event, const struct core_action *action)
{
    CHECK((unsigned)action->say < CORE_SAY_COUNT && action->say != CORE_SAY_ILLEGAL);
    if (action->say == CORE_SAY_READY)
        judge_ready(action);
    else if (action->say == CORE_SAY_RELOADING)
        judge_reloading(event, action);
    else if (action->say == CORE_SAY_ROLLOUT_DONE)
        judge_done();
    else if (action->say == CORE_SAY_ROLLOUT_FAILED)
        judge_failed(event, action);
    else if (action->say == CORE_SAY_RELOAD_LATER)
        CHECK(world.rolling && world.pending);
    else if (action->say == CORE_SAY_RELOAD_REFUSED)
        CHECK(world.stopped);
}

static void judge_exit(const struct core_action *action)
{
    int status = world.ended_ready    ? world.ready_status
                 : world.start_failed ? 1
                                      : world.last_status;

    CHECK(!world.ended && !world.rolling && world.living == 0);
    CHECK(action->number == (world.stopped ? 0 : status));
    world.ended = true;
    world.status = action->number;
}

static void judge_actions(const struct core_event *event)
{
    CHECK(actions.count <= CORE_ACTIONS_MAX);
    for (size_t i = 0; i < actions.count; i++) {
        const struct core_action *action = &actions.list[i];

        switch (action->kind) {
        case CORE_DO_SPAWN:
            judge_spawn(action);
            break;
        case CORE_DO_SIGNAL:
            CHECK(i + 1 < actions.count);
            judge_signal(action, action + 1);
            break;
        case CORE_DO_SAY:
            judge_say(event, action);
            break;
        case CORE_DO_EXIT:
            CHECK(i + 1 == actions.count);
            judge_exit(action);
            break;
        }
    }
}

/* --- judging the whole -------------------------------------------------------------------------*/

/* What each process that is there has to be, and when the core has to look at it next. */
static uint64_t judge_processes(const struct core_event *event)
{
    uint64_t deadline = CORE_NEVER, start = core.settings.start_ms;

    for (unsigned slot = 0; slot < world.bound; slot++) {
        const struct process *process = &processes[slot];
        uint64_t due = CORE_NEVER;

        if (process->there != ALIVE)
            continue;
        if (!process->told) {
            /* It starts in the present rollout, or it serves. */
            CHECK(process->in_charge ? process->generation == world.completed
                                     : world.rolling && process->generation == world.generation);
            CHECK(!world.stopped);
            if (process->executed && !process->ready)
                due = process->executed_at + start + (start > 0);
        } else if (process->killed) {
            due = process->kill_again_at ? process->kill_again_at : CORE_NEVER;
        } else if (process->bound) {
            due = process->told_at + process->bound;
        }
        if (event->kind == CORE_STOP)
            CHECK(process->forwarded == world.steps);
        if (due < deadline)
            deadline = due;
    }
    return deadline;
}

static void judge_whole(const struct core_event *event, uint64_t deadline_before)
{
    uint64_t deadline = judge_processes(event);

    CHECK(core.living == world.living && world.living <= LIMIT_SLOTS);
    CHECK(core.slot_bound <= LIMIT_SLOTS);
    CHECK(core.reload_pending == world.pending);
    CHECK(!world.pending || world.rolling);
    CHECK(!world.dismissed || !world.rolling || world.dismissed != world.generation);
    CHECK(!world.rolling || world.asked == core.settings.workers);
    CHECK(world.ended == (world.living == 0 && !world.rolling && (world.started || world.stopped)));
    CHECK(core_deadline(&core) == deadline);
    if (event->kind == CORE_TICK) {
        CHECK((actions.count > 0) == (world.now >= deadline_before));
        CHECK(deadline > world.now);
    }
    if (event->kind < CORE_WORKER_EVENT_COUNT) {
        const struct process *process = &processes[event->slot];

        if (process->there == ALIVE)
            CHECK(core_find(&core, process->pid) == (int)event->slot);
    }
}

/* --- giving an event ---------------------------------------------------------------------------*/

static bool is_legal(const struct core_event *event)
{
    const struct process *process =
        event->slot < LIMIT_SLOTS ? &processes[event->slot] : &(struct process){.there = FREE};

    switch (event->kind) {
    case CORE_SPAWNED:
        return process->there == WANTED && event->pid > 0;
    case CORE_SPAWN_FAILED:
        return process->there == WANTED;
    case CORE_EXECUTED:
    case CORE_EXEC_FAILED:
        return process->there == ALIVE && !process->executed && !process->exec_failed;
    case CORE_EXITED:
        return process->there == ALIVE;
    case CORE_SIGNAL_FAILED:
        return process->there == ALIVE && process->told;
    case CORE_START:
        return !world.started && !world.ended;
    case CORE_RELOAD:
    case CORE_STOP:
        return !world.ended;
    case CORE_TICK:
        return true;
    case CORE_EVENT_COUNT:
    default:
        return false;
    }
}

/* Of a worker that was told to end the core does not keep how far its start had come. */
static bool is_beyond_telling(const struct core_event *event)
{
    return (event->kind == CORE_EXECUTED || event->kind == CORE_EXEC_FAILED) &&
           event->slot < LIMIT_SLOTS && processes[event->slot].there == ALIVE &&
           processes[event->slot].told;
}

static void give_illegal(const struct core_event *event)
{
    size_t meaningful =
        offsetof(struct core, workers) + core.slot_bound * sizeof(struct core_worker);

    memcpy(&before, &core, meaningful);
    core_step(&core, event, &actions);
    CHECK(memcmp(&before, &core, meaningful) == 0);
    CHECK(actions.count == 1 && actions.list[0].kind == CORE_DO_SAY);
    CHECK(actions.list[0].say == CORE_SAY_ILLEGAL);
}

static void process_ended(struct process *process, const struct core_event *event)
{
    int status = event->signalled ? 128 + event->number : event->number;

    world.last_status = process->exec_failed || event->kind == CORE_SPAWN_FAILED ? 1 : status;
    if (process->ready && !process->told) {
        world.ended_ready = true;
        world.ready_status = status;
    }
    *process = (struct process){.there = FREE};
    world.living--;
}

/* What the event is to the world, before the core hears of it. */
static void take_place(const struct core_event *event)
{
    struct process *process = &processes[event->slot];

    if (event->kind == CORE_SPAWNED) {
        process->there = ALIVE;
        process->pid = event->pid;
    } else if (event->kind == CORE_EXECUTED) {
        process->executed = true;
        process->executed_at = world.now;
    } else if (event->kind == CORE_EXEC_FAILED) {
        process->exec_failed = true;
        if (!process->told)
            tell(process, failed_bound());
    } else if (event->kind == CORE_EXITED || event->kind == CORE_SPAWN_FAILED) {
        process_ended(process, event);
    } else if (event->kind == CORE_SIGNAL_FAILED) {
        process->untold = true;
        if (process->killed && !process->kill_again_at)
            process->kill_again_at = world.now + CORE_KILL_AGAIN_MS;
    } else if (event->kind == CORE_START) {
        world.started = world.rolling = true;
        world.generation = 1;
    } else if (event->kind == CORE_RELOAD) {
        world.pending = world.pending || (world.rolling && !world.stopped);
    } else if (event->kind == CORE_STOP) {
        world.stopped = true;
        world.stop_signal = event->number;
        world.rolling = world.pending = false;
    }
}

static void give(struct core_event event)
{
    uint64_t deadline = event.kind == CORE_TICK ? core_deadline(&core) : CORE_NEVER;
    bool quiet = !world.rolling && !world.stopped && world.started;

    event.now = world.now;
    if (!is_legal(&event)) {
        if (!is_beyond_telling(&event))
            give_illegal(&event);
        return;
    }
    world.steps++;
    world.began = world.done = false;
    world.dismissed = 0;
    take_place(&event);
    core_step(&core, &event, &actions);
    judge_actions(&event);
    judge_whole(&event, deadline);
    CHECK(event.kind != CORE_RELOAD || world.began == quiet);
}

/* --- the world at large ------------------------------------------------------------------------*/

static void give_spawned(unsigned slot)
{
    give((struct core_event){.kind = CORE_SPAWNED, .slot = slot, .pid = world.pids++});
}

static void give_tick(uint64_t now)
{
    if (now > world.now)
        world.now = now;
    give((struct core_event){.kind = CORE_TICK});
}

/* One step of what a kind world does with this slot; false if there is nothing to do. */
static bool be_kind(unsigned slot)
{
    const struct process *process = &processes[slot];

    if (process->there == WANTED) {
        give_spawned(slot);
    } else if (process->there == ALIVE && process->told) {
        int number = process->killed ? SIGKILL : 0;

        give((struct core_event){
            .kind = CORE_EXITED, .slot = slot, .number = number, .signalled = number});
    } else if (process->there == ALIVE && !process->executed) {
        give((struct core_event){.kind = CORE_EXECUTED, .slot = slot});
    } else {
        return false;
    }
    return true;
}

static void come_to_rest(void)
{
    unsigned rounds = 0;
    bool busy = true;

    while (busy) {
        uint64_t deadline = core_deadline(&core);

        CHECK(++rounds <= ROUNDS_MAX);
        busy = deadline != CORE_NEVER;
        if (busy)
            give_tick(deadline);
        for (unsigned slot = 0; slot < world.bound; slot++)
            busy |= be_kind(slot);
    }
    CHECK(!world.rolling && !world.pending);
    for (unsigned slot = 0; slot < world.bound; slot++)
        CHECK(processes[slot].there == FREE || processes[slot].in_charge);
}

static void end_well(void)
{
    come_to_rest();
    if (world.started && !world.ended) {
        give((struct core_event){.kind = CORE_RELOAD});
        come_to_rest();
        CHECK(world.completed == world.generation);
        CHECK(world.living == core.settings.workers);
    }
    if (!world.ended) {
        give((struct core_event){.kind = CORE_STOP, .number = SIGTERM});
        come_to_rest();
        CHECK(world.ended && world.status == 0);
    }
}

/* The next deadline, `early` milliseconds before it; now, where there is none. */
static void give_due_tick(uint64_t early)
{
    uint64_t deadline = core_deadline(&core);

    give_tick(deadline == CORE_NEVER ? 0 : deadline - early);
}

/* Every slot takes a step, or all but those whose worker was told to end. */
static void be_kind_to_all(bool also_told)
{
    for (unsigned slot = 0; slot < world.bound; slot++)
        if (also_told || !processes[slot].told)
            be_kind(slot);
}

/* An event of a slot or a process that nobody knows, or one that is none. */
static void be_strange(uint8_t which)
{
    static const unsigned slots[] = {LIMIT_SLOTS, UINT32_MAX};
    struct core_event event = {.kind = (enum core_event_kind)(which % CORE_EVENT_COUNT)};

    if (event.kind >= CORE_WORKER_EVENT_COUNT)
        event.kind = CORE_EVENT_COUNT;
    event.slot = which < 128 ? slots[which % 2] : world.bound;
    give(event);
}

/* What the first byte of an event means; the second chooses the slot and other details. */
static void happen(uint8_t what, uint8_t which)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    struct core_event event = {.slot = world.bound ? which % world.bound : 0, .number = which};

    switch (what % 16) {
    case 0:
        give_tick(world.now + which);
        break;
    case 1:
    case 2:
        give_due_tick(what % 16 - 1);
        break;
    case 3:
        give((struct core_event){.kind = CORE_START});
        break;
    case 4:
    case 5:
        give((struct core_event){.kind = CORE_RELOAD});
        break;
    case 6:
        give((struct core_event){.kind = CORE_STOP, .number = stops[which % 3]});
        break;
    case 7:
        give_spawned(event.slot);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        event.kind = (enum core_event_kind)(CORE_SPAWN_FAILED + what % 16 - 8);
        give(event);
        break;
    case 12:
        event.kind = CORE_EXITED;
        event.signalled = true;
        give(event);
        break;
    case 13:
        be_kind_to_all(which % 2);
        break;
    case 14:
        be_strange(which);
        break;
    default:
        event.kind = which % 2 ? CORE_SIGNAL_FAILED : CORE_SPAWNED;
        event.slot = world.bound ? which / 2 % world.bound : 0;
        event.pid = -(int64_t)which;
        give(event);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t starts[] = {0, 1, 300, 300};
    static const uint64_t stops[] = {0, 1, 50, 1000};
    static const unsigned drains[] = {0, 1, 2, 5};
    struct core_settings settings;

    if (size < 2)
        return 0;
    settings = (struct core_settings){
        .workers = 1 + data[0] % 4,
        .start_ms = starts[data[0] / 4 % 4],
        .stop_ms = stops[data[1] % 4],
        .stop_signal = SIGUSR2,
        .max_draining = drains[data[1] / 4 % 4],
        .kill_group = data[1] / 16 % 2,
    };
    memset(processes, 0, world.bound * sizeof processes[0]);
    memset(&world, 0, sizeof world);
    world.now = 1;
    world.pids = FIRST_PID;
    /* What is in slots that were never used must not matter. */
    memset(&core, GARBAGE, sizeof core);
    core_init(&core, &settings);
    for (size_t i = 2; i + 1 < size; i += 2)
        happen(data[i], data[i + 1]);
    end_well();
    return 0;
}
