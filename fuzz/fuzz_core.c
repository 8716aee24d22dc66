/*
 * Fuzzes core: the input is a sequence of events in a small world of processes (core_world), and
 * after each one everything that was done is judged by what the world knows, not by what the core
 * remembers (core_judge).
 *
 * Three bytes are the settings; then each event is two bytes, what happens and to whom (see
 * `happen`). Events that make no sense are given too, and must change nothing. When the bytes end
 * the world turns kind: workers start, live, and end when told to. Then everything has to come to
 * rest, a reload has to work, and a stop has to end it all.
 */
#include "core.h"

#include <signal.h>

#include "core_world.h"
#include "target.h"

/* What comes after so many bytes is not read: it takes long, and finds no more. */
enum { BYTES_MAX = 512 };

static void give_spawned(unsigned slot)
{
    world_give((struct core_event){.kind = CORE_SPAWNED, .slot = slot, .pid = world.pids++});
}

static void give_tick(uint64_t now)
{
    if (now > world.now)
        world.now = now;
    world_give((struct core_event){.kind = CORE_TICK});
}

/* The next deadline, `early` milliseconds before it; now, where there is none. */
static void give_due_tick(uint64_t early)
{
    uint64_t deadline = core_deadline(&world_core);

    give_tick(deadline == CORE_NEVER ? 0 : deadline - early);
}

/* --- a kind world ------------------------------------------------------------------------------*/

/* One step of what a kind world does with this slot; false if there is nothing to do. */
static bool be_kind(unsigned slot)
{
    const struct process *process = &world_processes[slot];

    if (process->there == WANTED) {
        give_spawned(slot);
    } else if (process->there == ALIVE && process->told) {
        int number = process->killed ? SIGKILL : 0;

        world_give((struct core_event){
            .kind = CORE_EXITED, .slot = slot, .number = number, .signalled = number});
    } else if (process->there == ALIVE && !process->executed) {
        world_give((struct core_event){.kind = CORE_EXECUTED, .slot = slot});
    } else if (process->there == ALIVE && !process->ready && world.settings.says_ready) {
        world_give((struct core_event){.kind = CORE_READY_SAID, .slot = slot});
    } else {
        return false;
    }
    return true;
}

/* Every slot takes a step, or all but those whose worker was told to end. */
static bool be_kind_to_all(bool also_told)
{
    bool busy = false;

    for (unsigned slot = 0; slot < world.bound; slot++)
        if (also_told || !world_processes[slot].told)
            busy |= be_kind(slot);
    return busy;
}

static void come_to_rest(void)
{
    /* One after the other, each worker takes five: spawned, executed, time, ready, in charge. */
    unsigned rounds = 64 + 8 * world.settings.workers;
    bool busy = true;

    while (busy) {
        CHECK(rounds-- > 0);
        busy = be_kind_to_all(true);
        if (!busy && core_deadline(&world_core) != CORE_NEVER) {
            give_due_tick(0);
            busy = true;
        }
    }
    CHECK(!world.rolling && !world.pending && !world.scale_pending && world.due == 0);
    CHECK(world_count(world_is_serving) == world.living);
}

static void end_well(void)
{
    come_to_rest();
    if (world.started && !world.ended) {
        world_give((struct core_event){.kind = CORE_RELOAD});
        come_to_rest();
        CHECK(world.completed == world.generation);
        CHECK(world.living == world.settings.workers);
    }
    if (!world.ended) {
        world_give((struct core_event){.kind = CORE_STOP, .number = SIGTERM});
        come_to_rest();
        CHECK(world.ended && world.status == 0);
    }
}

/* --- what the bytes mean -----------------------------------------------------------------------*/

/* An event of a slot or a process that nobody knows, or one that is none. */
static void be_strange(uint8_t which)
{
    static const unsigned slots[] = {LIMIT_SLOTS, UINT32_MAX};
    struct core_event event = {.kind = (enum core_event_kind)(which % CORE_EVENT_COUNT)};

    if (event.kind >= CORE_WORKER_EVENT_COUNT)
        event.kind = CORE_EVENT_COUNT;
    event.slot = which < 128 ? slots[which % 2] : world.bound;
    world_give(event);
}

/* Something happens to one worker, or is said to. */
static void happen_to_one(enum core_event_kind kind, uint8_t which, unsigned detail)
{
    static const uint64_t extensions[] = {0, 1, 150, 5000, 100000, UINT64_MAX - 1, UINT64_MAX};
    const unsigned count = sizeof extensions / sizeof extensions[0];

    world_give((struct core_event){
        .kind = kind,
        .slot = world.bound ? which % world.bound : 0,
        .pid = kind == CORE_SPAWNED ? detail % 4 ? world.pids++ : -(int64_t)detail : 0,
        .step = which % 8,
        .number = which,
        .signalled = kind == CORE_EXITED && detail % 2,
        .milliseconds = extensions[detail % count],
    });
}

/* A few steps in a kind world, in which time passes only where nothing else happens. */
static void live(uint8_t which)
{
    for (unsigned rounds = 1 + which / 2 % 32; rounds > 0; rounds--)
        if (!be_kind_to_all(which % 2))
            give_due_tick(0);
}

/* What the first byte of an event means; the second chooses the slot and other details. */
static void happen(uint8_t what, uint8_t which)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    static const int scales[] = {1, 2, 3, 4, 5, 6, 7, 0, -1, LIMIT_WORKERS + 1};
    static const enum core_mode modes[] = {CORE_MODE_SET, CORE_MODE_FLEET, CORE_MODE_SMOOTH};
    static const int signals[] = {SIGUSR1, SIGTERM, SIGKILL, 0, -1};
    const unsigned kinds = 17, detail = what / kinds;

    switch (what % kinds) {
    case 0:
        give_tick(world.now + ((uint64_t)which << detail));
        break;
    case 1:
        give_due_tick(detail % 2);
        break;
    case 2:
        if (detail == 1)
            world_give((struct core_event){.kind = CORE_SIGNAL, .number = signals[which % 5]});
        else
            world_give((struct core_event){.kind = CORE_START});
        break;
    case 3:
        world_give((struct core_event){
            .kind = CORE_RELOAD, .mode = modes[detail < 3 ? detail : CORE_MODE_SET]});
        break;
    case 4:
        world_give((struct core_event){.kind = CORE_STOP, .number = stops[which % 3]});
        break;
    case 5:
        world_give((struct core_event){.kind = CORE_SCALE, .number = scales[which % 10]});
        break;
    case 6:
        live(which);
        break;
    case 7:
        be_strange(which);
        break;
    default:
        happen_to_one((enum core_event_kind)(CORE_SPAWNED + what % kinds - 8), which, detail);
        break;
    }
}

/* Rules: R1 R2 R3 R5 R6 R7 R8 R9 R10 R11 R12 G1 G5 X1 X2 I2 I4 I5 I11 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned at_once[] = {1, 2, 3, 8};
    static const uint64_t starts[] = {0, 1, 300, 1500}, stops[] = {0, 1, 50, 1000};
    static const uint64_t holds[] = {0, 1, 100, 5000}, timeouts[] = {0, 1, 1000, 60000};
    static const unsigned drains[] = {0, 1, 2, 5};

    if (size < 3)
        return 0;
    world_init(&(struct core_settings){
        .workers = 1 + data[0] % 6,
        .smooth = data[0] / 6 % 2,
        .respawn = data[0] / 12 % 2,
        .says_ready = data[0] / 24 % 2,
        .max_starting = at_once[data[0] / 48 % 4],
        .start_ms = starts[data[1] % 4],
        .stop_ms = stops[data[1] / 4 % 4],
        .max_draining = drains[data[1] / 16 % 4],
        .hold_ms = holds[data[1] / 64],
        .ready_timeout_ms = timeouts[data[2] % 4],
        .kill_group = data[2] / 4 % 2,
        .stop_signal = SIGUSR2,
    });
    for (size_t i = 3; i + 1 < size && i < BYTES_MAX; i += 2)
        happen(data[i], data[i + 1]);
    end_well();
    return 0;
}
