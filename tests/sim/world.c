#include "world.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "configuration.h"
#include "os_fault.h"
#include "supervisor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR,
    FAULTY_CALLS_MAX = 8,
    MANY_WORKERS = OS_SIM_PROCESSES / 4, /* at a time */
    /* A life with so many of them has been troubled enough. Without an end of the latter, one in
     * which no worker can be started is asked for reloads for ever, and never sleeps. */
    WORKERS_ENOUGH = 500,
    INTERRUPTIONS_ENOUGH = 50000,
    WANTED_ENOUGH = 8, /* at a time, by TTIN */
    LINES_ENOUGH = 10000,
    /* Calls that an idle day may take: one reader that looks twice, and no more. */
    IDLE_CALLS_MAX = 40,
};

/* Each life has only some of the ways to go wrong, so that each of them is met alone as well. */
enum trait {
    TRAIT_SLOW_BOOT,
    TRAIT_BOOT_FAILS,
    TRAIT_DIES_BOOTING,
    TRAIT_SHORT_LIFE,
    TRAIT_CRASHES_LATER,
    TRAIT_IGNORES,
    TRAIT_NO_HANDLER,
    TRAIT_SLOW_DRAIN,
    TRAIT_SLOW_ANSWERS,
    TRAIT_WRITES,
    TRAIT_FLOODS,
    TRAIT_UNTERMINATED,
    TRAIT_CLOSES_OUTPUT,
    TRAIT_ORPHANS,
    TRAIT_LEAVES_GROUP,
    TRAIT_READY_LATE,
    TRAIT_MUTE,
    TRAIT_SPEAKS_ODDLY,
    TRAIT_BABBLES,
    TRAIT_WANTS_MORE,
    TRAIT_MEDDLES,
    TRAIT_CLEARS_AWAY,
    TRAIT_SHUTS_DOWN,
    TRAIT_COUNT,
};

struct world {
    struct os_sim sim;
    struct os_fault fault;
    struct os_sim_choice *choice;
    enum world_mode mode;
    struct configuration configuration;
    uint32_t traits;    /* bits of enum trait */
    bool good;          /* workers are good from now on, and nothing fails */
    uint32_t pace_ms;   /* between two things that the outside world does, at most */
    uint32_t acts_left; /* of the outside world */
    uint32_t gap;       /* between two interruptions, in calls; 0: none */
    uint32_t interruptions;
    uint32_t fault_one_in[OS_CALL_COUNT];
    const struct os_fault_way *storm; /* that way each use fails ... */
    uint64_t storm_until;             /* ... until then */
    uint64_t idle_calls;
    jmp_buf escape;
};

static struct world the_world;

const char *const world_mode_names[WORLD_MODE_COUNT] = {
    "safety", "liveness", "control-safety", "control-liveness"};

static bool is_controlled(const struct world *world)
{
    return world->mode == WORLD_CONTROL_SAFETY || world->mode == WORLD_CONTROL_LIVENESS;
}

/* Never twice in one expression: C leaves their order open, and a seed would mean one thing to one
 * compiler and another to the next. */
static uint32_t draw(struct world *world, uint32_t bound)
{
    return os_sim_choose(world->choice, bound);
}

static uint32_t draw_of(struct world *world, const uint32_t *values, size_t count)
{
    return values[draw(world, (uint32_t)count)];
}

static bool has(struct world *world, enum trait trait)
{
    return (world->traits >> trait & 1) != 0 && os_sim_chance(world->choice, 3);
}

/* --- the workers --- */

/* How it says that it is ready. */
static void draw_voice(struct world *world, struct os_sim_temper *temper)
{
    static const uint32_t odd[] = {OS_SIM_SAYS_TWICE, OS_SIM_HELPER_SAYS, OS_SIM_HELPER_LEAVES};
    static const uint32_t mute[] = {OS_SIM_SAYS_NOTHING, OS_SIM_GIVES_UP};
    if (has(world, TRAIT_READY_LATE))
        temper->ready_ms = draw(world, 5 * SECOND);
    if (has(world, TRAIT_SPEAKS_ODDLY))
        temper->word = (enum os_sim_word)draw_of(world, odd, COUNT(odd));
    if (has(world, TRAIT_MUTE))
        temper->word = (enum os_sim_word)draw_of(world, mute, COUNT(mute));
    temper->babbles = has(world, TRAIT_BABBLES);
    if (has(world, TRAIT_WANTS_MORE))
        temper->more_ms = draw(world, 10 * SECOND);
}

static void born(struct os_sim *sim, struct os_sim_process *process)
{
    struct world *world = sim->context;
    struct os_sim_temper *temper = &process->temper;
    *temper = (struct os_sim_temper){.answer_ms = 3, .accept_ms = 1};
    if (world->good || sim->spawned > WORKERS_ENOUGH)
        return;
    if (has(world, TRAIT_SLOW_BOOT))
        temper->boot_ms = draw(world, 900);
    if (has(world, TRAIT_BOOT_FAILS)) {
        temper->boot_step = (enum os_step)(OS_STEP_DESCRIPTOR + draw(world, OS_STEP_EXECUTE));
        temper->boot_error = ENOMEM;
    }
    temper->dies_booting = has(world, TRAIT_DIES_BOOTING);
    if (has(world, TRAIT_SHORT_LIFE))
        temper->life_ms = 1 + draw(world, 2 * SECOND);
    if (has(world, TRAIT_CRASHES_LATER))
        temper->life_ms = 1 + draw(world, 30 * MINUTE);
    temper->life_status = draw(world, 2) != 0 ? SIGSEGV : (int)draw(world, 4) << 8;
    if (has(world, TRAIT_IGNORES))
        temper->reaction = OS_SIM_IGNORES;
    if (has(world, TRAIT_NO_HANDLER))
        temper->reaction = OS_SIM_DIES;
    if (has(world, TRAIT_SLOW_DRAIN))
        temper->drain_ms = draw(world, 10 * SECOND);
    if (has(world, TRAIT_SLOW_ANSWERS))
        temper->answer_ms = draw(world, 800);
    if (has(world, TRAIT_WRITES))
        temper->write_ms = 5 * MINUTE - draw(world, 5 * MINUTE);
    if (has(world, TRAIT_FLOODS)) {
        temper->write_ms = MINUTE - draw(world, MINUTE);
        temper->write_lines = 1 + draw(world, 300);
    }
    temper->unterminated = has(world, TRAIT_UNTERMINATED);
    temper->closes_output = has(world, TRAIT_CLOSES_OUTPUT);
    if (has(world, TRAIT_ORPHANS)) {
        uint64_t orphan_ms = 1 + draw(world, HOUR);
        /* There has to be room for other processes. */
        temper->orphan_ms = sim->process_bound < OS_SIM_PROCESSES / 2 ? orphan_ms : 0;
    }
    temper->leaves_group = has(world, TRAIT_LEAVES_GROUP);
    if (sim->settings.ready != OS_SIM_READY_ALIVE)
        draw_voice(world, temper);
    temper->meddles = has(world, TRAIT_MEDDLES);
    temper->clears_away = has(world, TRAIT_CLEARS_AWAY);
    temper->shuts_down = has(world, TRAIT_SHUTS_DOWN);
}

/* --- calls that fail --- */

static const struct os_fault_way *draw_way(struct world *world, enum os_call call)
{
    size_t first = 0, count = 0;
    while (first < os_fault_way_count && os_fault_ways[first].call != call)
        first++;
    while (first + count < os_fault_way_count && os_fault_ways[first + count].call == call)
        count++;
    if (count == 0)
        return NULL;
    const struct os_fault_way *way = &os_fault_ways[first + draw(world, (uint32_t)count)];
    /* The clock is the simulator's own to move, and children are its own to kill; and children that
     * somebody else has reaped are no failure of a call, but a broken promise of the kernel. */
    bool unfair = way->kind == OS_FAULT_LATE || way->kind == OS_FAULT_CHILD_KILLED ||
                  (call == OS_CALL_REAP && way->error == ECHILD);
    return unfair ? NULL : way;
}

static const struct os_fault_way *choose_fault(struct os_fault *fault, enum os_call call)
{
    struct world *world = fault->context;
    const struct os_fault_way *way = NULL;
    if (world->good)
        return NULL;
    if (world->storm != NULL && world->storm->call == call && world->sim.now < world->storm_until)
        way = world->storm;
    else if (world->fault_one_in[call] != 0 &&
             os_sim_chance(world->choice, world->fault_one_in[call]))
        way = draw_way(world, call);
    if (way == NULL)
        return NULL;
    os_sim_tell(&world->sim, "FAULT %s: %s", os_fault_call_name(call), way->name);
    os_sim_fault_struck(&world->sim, call);
    /* A storm never keeps itself up. */
    if (world->sim.now >= world->storm_until && os_sim_chance(world->choice, 8)) {
        world->storm = way;
        /* Clients make so many calls that storms would be all there is. */
        world->storm_until = world->sim.now + draw(world, is_controlled(world) ? SECOND : MINUTE);
    }
    return way;
}

static void draw_faults(struct world *world)
{
    static const uint32_t rates[] = {1000, 100, 30, 5};
    memset(world->fault_one_in, 0, sizeof world->fault_one_in);
    for (uint32_t i = draw(world, FAULTY_CALLS_MAX); i > 0; i--) {
        uint32_t call = draw(world, OS_CALL_COUNT);
        world->fault_one_in[call] = draw_of(world, rates, COUNT(rates));
    }
}

static void begin_faults(struct os_sim *sim, void *context)
{
    (void)sim;
    draw_faults(context);
}

/* --- what comes between any two calls --- */

static struct os_sim_process *some_worker(struct world *world)
{
    unsigned count = os_sim_worker_count(&world->sim);
    return count > 0 ? os_sim_worker(&world->sim, draw(world, count)) : NULL;
}

static void between(struct os_sim *sim, enum os_call call)
{
    struct world *world = sim->context;
    struct os_sim_process *worker;
    (void)call;
    bool enough = world->good || sim->spawned > WORKERS_ENOUGH ||
                  ++world->interruptions > INTERRUPTIONS_ENOUGH;
    sim->between_in = world->gap == 0 || enough ? UINT64_MAX : 1 + draw(world, world->gap);
    if (enough)
        return;
    switch (draw(world, 6)) {
    case 0:
        break;
    case 1:
        os_sim_signal(sim, SIGHUP);
        break;
    case 2:
        os_sim_signal(sim, SIGCHLD);
        break;
    case 3:
        worker = some_worker(world);
        if (worker != NULL && (world->traits >> TRAIT_SHORT_LIFE & 1) != 0)
            os_sim_process_signal(sim, worker, SIGKILL);
        break;
    default:
        os_sim_pass(sim, draw(world, 30));
        break;
    }
}

/* --- what the outside world does --- */

static void kill_worker(struct world *world)
{
    static const uint32_t signals[] = {SIGCONT, SIGSTOP, SIGTERM, SIGKILL};
    struct os_sim_process *worker = some_worker(world);
    int signal = (int)draw_of(world, signals, COUNT(signals));
    if (worker == NULL)
        return;
    os_sim_tell(&world->sim, "        signal %d comes to worker %d", signal, (int)worker->pid);
    os_sim_process_signal(&world->sim, worker, signal);
}

/* Somebody speaks for a worker who may not: a stranger, a sibling, or who has just ended. */
static void pester(struct world *world)
{
    struct os_sim *sim = &world->sim;
    const struct os_sim_process *worker = some_worker(world);
    if (worker == NULL || worker->notify[0] == '\0')
        return;
    const struct os_sim_process *sender = &sim->processes[draw(world, sim->process_bound)];
    if (sender->state == OS_SIM_RUNNING && sender != worker && sender->parent != worker->pid)
        os_sim_send(sim, sender, worker->notify, "READY=1", 7);
}

static void scale(struct world *world)
{
    bool more = os_sim_chance(world->choice, 2);
    if (!more)
        os_sim_signal(&world->sim, SIGTTOU);
    else if (world->sim.rollouts.wanted < WANTED_ENOUGH)
        os_sim_signal(&world->sim, SIGTTIN);
}

/* --- clients of the control socket --- */

static struct os_sim_habit draw_habit(struct world *world, enum os_sim_request request)
{
    static const uint32_t delays[] = {0, 0, 20, 2 * SECOND, 20 * SECOND};
    static const uint32_t patience[] = {0, 0, 3, 500, MINUTE};
    struct os_sim_habit habit = {.more = draw(world, 3)};
    habit.chunk = draw(world, 2) * draw(world, 40);
    habit.read_ms = draw_of(world, delays, COUNT(delays));
    habit.patience = draw_of(world, patience, COUNT(patience));
    habit.half_closes = os_sim_chance(world->choice, 6);
    if (request >= OS_SIM_ROLLOUT)
        return habit;
    habit.floods = os_sim_chance(world->choice, 4);
    habit.never_reads = os_sim_chance(world->choice, 6);
    habit.stays = os_sim_chance(world->choice, 4);
    if (habit.floods || request == OS_SIM_ENDLESS)
        habit.more = draw(world, 100);
    if (request == OS_SIM_ENDLESS)
        habit.floods = true;
    return habit;
}

/* Some of what a life has seen enough of is asked for less often. */
static bool is_too_much(struct world *world, enum os_sim_request request)
{
    switch ((int)request) {
    case OS_SIM_INC:
        return world->sim.rollouts.wanted >= WANTED_ENOUGH;
    case OS_SIM_DIE:
        return !os_sim_chance(world->choice, 8);
    case OS_SIM_SIGNAL:
        return (world->traits >> TRAIT_SHORT_LIFE & 1) == 0;
    default:
        return false;
    }
}

static void call_control(struct world *world)
{
    enum os_sim_request request = (enum os_sim_request)draw(world, OS_SIM_REQUESTS);
    enum os_sim_caller caller = OS_SIM_OPERATOR;
    if (os_sim_chance(world->choice, 4))
        caller = (enum os_sim_caller)draw(world, OS_SIM_HELPER_WAS + 1);
    struct os_sim_habit habit = draw_habit(world, request);
    const struct os_sim_process *worker = some_worker(world);
    if (is_too_much(world, request) || (worker != NULL && worker->state != OS_SIM_RUNNING))
        return;
    os_sim_call(&world->sim, caller, request, &habit, worker);
}

static void act(struct os_sim *sim, void *context);

static void act_again(struct world *world)
{
    uint64_t at = world->sim.now - OS_SIM_START_MS + 1 + draw(world, world->pace_ms);
    os_sim_at(&world->sim, at, act, world);
}

static void finish(struct world *world);

static void act(struct os_sim *sim, void *context)
{
    static const uint32_t noise[] = {SIGWINCH, SIGCHLD, SIGUSR1, SIGCONT, SIGUSR2};
    struct world *world = context;
    if (world->acts_left-- == 0) {
        finish(world);
        return;
    }
    switch (draw(world, is_controlled(world) ? 25 : 15)) {
    case 0:
    case 1:
    case 2:
        os_sim_connect(sim);
        break;
    case 3:
    case 4:
    case 5:
        os_sim_signal(sim, SIGHUP);
        break;
    case 6:
        os_sim_signal(sim, (int)draw_of(world, noise, COUNT(noise)));
        break;
    case 7:
        kill_worker(world);
        break;
    case 8:
        os_sim_sink_set(sim, (enum os_sim_sink_state)draw(world, 3));
        break;
    case 9:
        os_sim_stranger(sim, draw(world, MINUTE));
        break;
    case 10:
        os_sim_tell(sim, "        the wall clock jumps, and the master is held up");
        sim->wall.seconds += (int64_t)draw(world, 2 * DAY / SECOND) - DAY / SECOND;
        os_sim_pass(sim, draw(world, 10 * MINUTE));
        break;
    case 11:
        if (os_sim_chance(world->choice, 8))
            os_sim_signal(sim, SIGTERM);
        break;
    case 12:
    case 13:
        scale(world);
        break;
    case 14:
        pester(world);
        break;
    default:
        call_control(world);
        break;
    }
    act_again(world);
}

/* --- the end of a life --- */

static void after(struct world *world, uint64_t milliseconds, os_sim_happen *happen)
{
    os_sim_at(&world->sim, world->sim.now - OS_SIM_START_MS + milliseconds, happen, world);
}

/* Who does not end by itself is killed by the user, again and again. */
static void kill_all(struct os_sim *sim, void *context)
{
    struct world *world = context;
    for (unsigned count = os_sim_worker_count(sim); count > 0; count--)
        os_sim_process_signal(sim, os_sim_worker(sim, count - 1), SIGKILL);
    world->good = true;
    after(world, HOUR, kill_all);
}

static void stop(struct os_sim *sim, void *context)
{
    os_sim_signal(sim, SIGTERM);
    after(context, HOUR, kill_all);
}

static void check_rest(struct os_sim *sim, void *context)
{
    (void)context;
    if (sim->stops_read == 0)
        os_sim_check_rest(sim);
}

static void begin_idling(struct os_sim *sim, void *context)
{
    struct world *world = context;
    check_rest(sim, NULL);
    world->idle_calls = sim->call_count;
}

/* I9: a day in which nothing happens costs nothing. */
static void end_idling(struct os_sim *sim, void *context)
{
    struct world *world = context;
    uint64_t calls = sim->call_count - world->idle_calls;
    if (calls > IDLE_CALLS_MAX)
        os_sim_violate(sim, "I9", "%llu calls in an idle day", (unsigned long long)calls);
}

static void reload(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGHUP);
}

static void call_up(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_connect(sim);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_STATUS, &(struct os_sim_habit){.more = 2}, NULL);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_ROLLOUT_WAIT, &(struct os_sim_habit){.more = 1}, NULL);
}

/* Somebody stays connected, and says nothing: that costs nothing. */
static void call_and_stay(struct os_sim *sim, void *context)
{
    (void)context;
    for (int i = 0; i < 3; i++)
        os_sim_call(
            sim, OS_SIM_OPERATOR, OS_SIM_STATUS, &(struct os_sim_habit){.stays = true}, NULL);
}

/* Old ones that will never end are not left in the way for ever. */
static void clear_away(struct os_sim *sim)
{
    uint64_t youngest = 0;
    for (unsigned i = os_sim_worker_count(sim); i > 0; i--)
        if (os_sim_worker(sim, i - 1)->generation > youngest)
            youngest = os_sim_worker(sim, i - 1)->generation;
    for (unsigned i = os_sim_worker_count(sim); i > MANY_WORKERS; i--) {
        struct os_sim_process *worker = os_sim_worker(sim, i - 1);
        if (worker->generation < youngest)
            os_sim_process_signal(sim, worker, SIGKILL);
    }
}

/* Nothing fails any more, and who lives lives well. */
static void heal(struct world *world)
{
    struct os_sim *sim = &world->sim;
    world->good = true;
    os_sim_hang_up(sim);
    for (unsigned i = os_sim_worker_count(sim); i > 0; i--)
        os_sim_worker(sim, i - 1)->temper.orphan_ms = 0;
    clear_away(sim);
    os_sim_sink_set(sim, OS_SIM_SINK_FLOWS);
    for (unsigned i = os_sim_worker_count(sim); i > 0; i--) {
        struct os_sim_process *worker = os_sim_worker(sim, i - 1);
        worker->temper.life_ms = 0;
        worker->temper.write_ms = 0;
        worker->write_at = OS_SIM_NEVER;
        if (!worker->draining)
            worker->end_at = OS_SIM_NEVER;
        os_sim_say_again(sim, worker);
        os_sim_process_signal(sim, worker, SIGCONT);
    }
}

static void finish(struct world *world)
{
    if (world->mode == WORLD_SAFETY || world->mode == WORLD_CONTROL_SAFETY) {
        stop(&world->sim, world);
        return;
    }
    heal(world);
    after(world, MINUTE, reload);
    after(world, 2 * MINUTE, call_and_stay);
    after(world, 2 * HOUR, begin_idling);
    after(world, 2 * HOUR + DAY, end_idling);
    after(world, 2 * HOUR + DAY + 1, call_up);
    after(world, 2 * HOUR + DAY + 1, reload);
    after(world, 2 * HOUR + DAY + 2, reload);
    after(world, 4 * HOUR + DAY, check_rest);
    after(world, 5 * HOUR + DAY, stop);
}

/* --- one life --- */

static void draw_world(struct world *world)
{
    static const uint32_t paces[] = {20 * SECOND, 10, 500, 4 * HOUR};
    static const uint32_t gaps[] = {0, 300, 30, 5};
    static const uint32_t acts[] = {3, 10, 40, 120};
    static const enum os_output_kind kinds[] = {
        OS_OUTPUT_REOPENED, OS_OUTPUT_PLAIN, OS_OUTPUT_SOCKET, OS_OUTPUT_SPLICED, OS_OUTPUT_POLLED};
    configuration_draw(&world->configuration, world->choice, is_controlled(world));
    os_sim_init(&world->sim, &world->configuration.settings, world->choice);
    world->sim.context = world;
    world->sim.born = born;
    world->sim.lines_left = LINES_ENOUGH;
    world->sim.between = between;
    world->sim.escape = &world->escape;
    world->sim.sink.kind = kinds[draw(world, COUNT(kinds))];
    world->traits = draw(world, 1 << TRAIT_COUNT);
    world->traits &= draw(world, 1 << TRAIT_COUNT);
    world->pace_ms = draw_of(world, paces, COUNT(paces));
    world->acts_left = draw(world, draw_of(world, acts, COUNT(acts)));
    world->gap = draw_of(world, gaps, COUNT(gaps));
    world->interruptions = 0;
    world->sim.between_in = world->gap == 0 ? UINT64_MAX : 1 + draw(world, world->gap);
    world->good = false;
    world->storm = NULL;
    world->storm_until = 0;
    os_fault_init(&world->fault, &world->sim.os);
    world->fault.choose = choose_fault;
    world->fault.context = world;
    memset(world->fault_one_in, 0, sizeof world->fault_one_in);
    switch (draw(world, 4)) {
    case 1:
        draw_faults(world);
        break;
    case 2:
    case 3:
        os_sim_at(&world->sim, draw(world, 10 * SECOND), begin_faults, world);
        break;
    default:
        break;
    }
    act_again(world);
}

static void tell_world(struct world *world)
{
    for (int i = 0; i < world->configuration.argc; i++)
        os_sim_tell(&world->sim, "%s%s", i > 0 ? "    " : "", world->configuration.argv[i]);
    os_sim_tell(&world->sim, "traits %08x, pace %u ms, %u acts, interruptions every %u calls",
        world->traits, world->pace_ms, world->acts_left, world->gap);
}

void world_run(
    struct os_sim_choice *choice, enum world_mode mode, FILE *trace, struct world_result *result)
{
    static char path[] = "PATH=/bin", home[] = "HOME=/root";
    static char *environment[] = {path, home, NULL};
    struct world *world = &the_world;
    world->choice = choice;
    world->mode = mode;
    draw_world(world);
    world->sim.trace = trace;
    tell_world(world);
    if (setjmp(world->escape) == 0) {
        int status = supervisor_run(&world->fault.os, &world->configuration.config, environment);
        os_sim_tell(&world->sim, "the master ends with exit status %d", status);
        os_sim_check_end(&world->sim, status);
    }
    struct os_sim *sim = &world->sim;
    result->violated = sim->violation[0] != '\0';
    memcpy(result->violation, sim->violation, sizeof result->violation);
    result->counts = (struct world_counts){
        .calls = sim->call_count,
        .simulated_ms = sim->now - OS_SIM_START_MS,
        .workers = sim->spawned,
        .signals = sim->signals_sent,
        .answered = sim->answered,
        .resets = sim->resets,
        .faults = sim->faults,
        .log_lines = sim->sink.lines,
        .requests_answered = sim->requests_answered,
    };
}
