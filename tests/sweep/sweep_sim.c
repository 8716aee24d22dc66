/*
 * sweep_sim: the sweep over a simulated kernel; see sim.h and sweep.h.
 *
 *     sweep_sim [OPTION...]      --list shows what there is, --help the options
 *
 * With --verbose each call and each event is told as it happens. Owns: the course of one run, and
 * its setting. What has to hold is judged in sim_check.
 */
#include "sim.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cli.h"
#include "os_fault.h"
#include "supervisor.h"
#include "sweep.h"

enum {
    LINES_ENOUGH = 200,
    PASSED_PORT = 9090,
    STRIKES_TOLD = 100, /* to the simulator, one by one */
    /* In milliseconds since the start of the world: */
    FIRST_REST = 40 * 1000,
    SECOND_REST = 80 * 1000,
    KILL_ALL = 90 * 1000,
};

static struct sim_world the_world;

/* --- the world's own entries --- */

static const struct os_fault_way *choose(struct os_fault *fault, enum os_call call)
{
    struct sim_world *world = fault->context;
    const struct os_fault_way *way = world->choose(fault, call);
    if (way == NULL)
        return NULL;
    os_sim_tell(&world->sim, "FAULT %s: %s", os_fault_call_name(call), way->name);
    /* What goes on for ever takes time where nothing comes of it, and none where something does. */
    bool often = fault->struck >= STRIKES_TOLD;
    if (!often || !sim_is_in_pieces(way))
        os_sim_fault_struck(&world->sim, call);
    if (often && !sim_is_in_pieces(way))
        os_sim_pass(&world->sim, 1);
    return way;
}

static void hear(struct sim_heard *heard, const char *bytes, size_t length)
{
    size_t room = sizeof heard->bytes - 1 - heard->length;
    size_t kept = length < room ? length : room;
    memcpy(heard->bytes + heard->length, bytes, kept);
    heard->length += kept;
    heard->bytes[heard->length] = '\0';
}

static ssize_t output_write(
    struct os *os, struct os_output *output, const char *bytes, size_t length)
{
    struct sim_world *world = (struct sim_world *)os;
    ssize_t written = world->output_write(os, output, bytes, length);
    if (written > 0)
        hear(&world->console, bytes, (size_t)written);
    return written;
}

static int datagrams_send(struct os *os, int fd, const struct iovec *parts, size_t count)
{
    struct sim_world *world = (struct sim_world *)os;
    int sent = world->datagrams_send(os, fd, parts, count);
    for (int i = 0; i < sent; i++) {
        hear(&world->daemon, parts[i].iov_base, parts[i].iov_len);
        hear(&world->daemon, "\n", 1);
    }
    return sent;
}

/* --- what is set up --- */

static void born(struct os_sim *sim, struct os_sim_process *process)
{
    const struct sim_world *world = sim->context;
    const struct os_sim_temper *temper =
        process->author < world->config.workers ? world->scenario->first : world->scenario->later;
    bool lifted = sim->now >= OS_SIM_START_MS + SIM_LIFT;
    process->temper = temper != NULL && !lifted ? *temper : sim_good;
}

static void add_word(struct sim_world *world, size_t *used, const char *word)
{
    char *kept = world->words + *used;
    *used += (size_t)snprintf(kept, sizeof world->words - *used, "%s", word) + 1;
    world->argv[world->argc++] = kept;
    world->argv[world->argc] = NULL;
}

static void configure(struct sim_world *world)
{
    static char *no_environment[] = {NULL};
    static char error_bytes[CLI_ERROR_SIZE];
    char start[32];
    size_t used = 0;
    struct text error;
    snprintf(start, sizeof start, "-start=%d", SIM_START_MS);
    world->argc = 0;
    add_word(world, &used, "socketmaster");
    add_word(world, &used, start);
    for (const char *const *option = world->scenario->options; *option != NULL; option++)
        add_word(world, &used, *option);
    add_word(world, &used, "/bin/server");
    text_init(&error, error_bytes, sizeof error_bytes);
    if (cli_parse(world->argc, world->argv, no_environment, &world->config, &error) != CLI_RUN) {
        fprintf(stderr, "sweep_sim: scenario %s: %s\n", world->scenario->name, error_bytes);
        abort();
    }
}

static void begin_simulation(struct sim_world *world)
{
    struct os_sim_settings settings;
    os_sim_settings_read(&settings, &world->config);
    struct os_sim *sim = &world->sim;
    os_sim_choice_seed(&world->choice, 1);
    os_sim_init(sim, &settings, &world->choice);
    sim->trace = world->played->verbose ? stdout : NULL;
    sim->context = world;
    sim->born = born;
    sim->escape = &world->escape;
    sim->lines_left = LINES_ENOUGH;
    sim->sink.kind = world->scenario->output;
    if (world->scenario->locked)
        sim->locked_until = OS_SIM_START_MS + SIM_LOCKED;
    world->output_write = sim->os.output_write;
    world->datagrams_send = sim->os.datagrams_send;
    sim->os.output_write = output_write;
    sim->os.datagrams_send = datagrams_send;
}

/* What others did before the master starts is done with the port itself. */
static int bound_socket(struct os *os, int domain, const struct os_address *address)
{
    int fd = os->socket_open(os, domain, SOCK_STREAM);
    os->socket_bind(os, fd, address);
    os->socket_listen(os, fd, SOMAXCONN);
    return fd;
}

static void leave_stale_file(struct os_sim *sim)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    void *any = &address.address;
    struct sockaddr_un *local = any;
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof local->sun_path, "%s", SIM_STALE_PATH);
    int fd = bound_socket(&sim->os, AF_UNIX, &address);
    int pin = sim->os.file_pin(&sim->os, SIM_STALE_PATH);
    sim->os.file_pinned_link(&sim->os, pin, SIM_STALE_PATH ".socketmaster");
    sim->os.close(&sim->os, pin);
    sim->os.close(&sim->os, fd);
    for (int i = 0; i < OS_SIM_PATHS; i++)
        if (strncmp(sim->paths[i].path, SIM_STALE_PATH, strlen(SIM_STALE_PATH)) == 0)
            sim->paths[i].made = false;
}

static void pass_socket(struct os_sim *sim)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    void *any = &address.address;
    struct sockaddr_in *v4 = any;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(PASSED_PORT);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = bound_socket(&sim->os, AF_INET, &address);
    sim->fds[0] = sim->fds[fd];
    sim->fds[fd] = -1;
}

/* --- the course of time --- */

static void begin_faults(struct os_sim *sim, void *context)
{
    struct sim_world *world = context;
    const struct sweep_case *played = world->played;
    (void)sim;
    memcpy(world->uses_before, world->fault.uses, sizeof world->uses_before);
    if (played->way != NULL)
        os_fault_aim(&world->fault, played->way, played->nth, played->span);
}

/* From here on all is well. */
static void lift(struct os_sim *sim, void *context)
{
    struct sim_world *world = context;
    sim_check_lift(world);
    os_sim_tell(sim, "        nothing fails any more");
    os_fault_lift(&world->fault);
    os_sim_sink_set(sim, OS_SIM_SINK_FLOWS);
    for (unsigned i = os_sim_worker_count(sim); i > 0; i--) {
        struct os_sim_process *worker = os_sim_worker(sim, i - 1);
        worker->write_at = OS_SIM_NEVER;
        if (!worker->draining)
            worker->end_at = OS_SIM_NEVER;
    }
}

static void first_rest(struct os_sim *sim, void *context)
{
    struct sim_world *world = context;
    sim_check_first_rest(world);
    if (sim->stops_read > 0) {
        os_sim_signal(sim, SIGTERM);
        return;
    }
    world->answered_before = sim->answered;
    world->lines_before = sim->sink.lines;
    world->requests_answered_before = sim->requests_answered;
    os_sim_connect(sim);
    os_sim_hang_up(sim);
    if (world->config.controlled)
        os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_STATUS, &(struct os_sim_habit){.more = 0}, NULL);
    os_sim_signal(sim, SIGHUP);
}

static void second_rest(struct os_sim *sim, void *context)
{
    sim_check_second_rest(context);
    os_sim_signal(sim, SIGTERM);
}

/* Those that do not obey are ended by their user. */
static void kill_all(struct os_sim *sim, void *context)
{
    (void)context;
    for (unsigned count = os_sim_worker_count(sim); count > 0; count--)
        os_sim_process_signal(sim, os_sim_worker(sim, count - 1), SIGKILL);
}

static void plan(struct sim_world *world)
{
    struct os_sim *sim = &world->sim;
    if (world->scenario->faults_from_birth)
        begin_faults(sim, world);
    else
        os_sim_at(sim, SIM_SERVES, begin_faults, world);
    for (const struct sim_act *act = world->scenario->acts; act != NULL && act->happen != NULL;
         act++)
        os_sim_at(sim, act->at, act->happen, world);
    os_sim_at(sim, SIM_LIFT, lift, world);
    os_sim_at(sim, FIRST_REST, first_rest, world);
    os_sim_at(sim, SECOND_REST, second_rest, world);
    os_sim_at(sim, KILL_ALL, kill_all, world);
}

/* --- one run --- */

static void begin(struct sim_world *world, const struct sweep_case *played)
{
    world->played = played;
    world->scenario = &sim_scenarios[played->scenario];
    memset(world->uses_before, 0, sizeof world->uses_before);
    world->console.length = world->daemon.length = 0;
    world->console.bytes[0] = world->daemon.bytes[0] = '\0';
    configure(world);
    begin_simulation(world);
    os_fault_init(&world->fault, &world->sim.os);
    world->choose = world->fault.choose;
    world->fault.choose = choose;
    world->fault.context = world;
}

static void live(struct sim_world *world)
{
    static char path[] = "PATH=/bin", home[] = "HOME=/root";
    static char *environment[] = {path, home, NULL};
    struct os *os = &world->fault.os;
    if (world->scenario->stale_file)
        leave_stale_file(&world->sim);
    if (world->scenario->passed)
        pass_socket(&world->sim);
    plan(world);
    world->mask_before = world->sim.mask;
    world->heap_before = mallinfo2().uordblks;
    int status = world->scenario->is_check ? supervisor_check(os, &world->config, environment)
                                           : supervisor_run(os, &world->config, environment);
    os_sim_tell(&world->sim, "the master ends with exit status %d", status);
    sim_check_end(world, status);
}

static void play(const struct sweep_case *played, struct sweep_result *result)
{
    struct sim_world *world = &the_world;
    begin(world, played);
    if (setjmp(world->escape) == 0)
        live(world);
    result->struck = world->fault.struck;
    for (int call = 0; call < OS_CALL_COUNT; call++)
        result->uses[call] = world->fault.uses[call] - world->uses_before[call];
    if (world->sim.violation[0] == '\0')
        return;
    result->violated = true;
    text_add(&result->report, "  ");
    text_add(&result->report, world->sim.violation);
    text_add_char(&result->report, '\n');
}

/* Descriptors are compared with those of a run without faults. */
static void run(const struct sweep_case *played, struct sweep_result *result)
{
    if (played->way != NULL && !the_world.clean_known[played->scenario]) {
        static char bytes[1024];
        static struct sweep_result clean_result;
        const struct sweep_case clean = {.scenario = played->scenario, .nth = 1};
        text_init(&clean_result.report, bytes, sizeof bytes);
        play(&clean, &clean_result);
        the_world.clean_known[played->scenario] = true;
    }
    play(played, result);
}

/* --- the world --- */

static const char *scenario_name(size_t scenario)
{
    return sim_scenarios[scenario].name;
}

static const char *scenario_missing(size_t scenario)
{
    (void)scenario;
    return NULL;
}

static const char *way_missing(const struct os_fault_way *way)
{
    if (way->call == OS_CALL_CLOCK_MS)
        return "the clock is the simulator's own to move";
    if (way->call == OS_CALL_TERMINAL_SIZE)
        return "the client alone asks for it";
    if (way->kind == OS_FAULT_CHILD_KILLED)
        return "who dies being born does so by its temper";
    return NULL;
}

static bool open_world(unsigned patience)
{
    (void)patience;
    return sim_scenario_count <= SIM_SCENARIOS_MAX;
}

static void close_world(void)
{
}

int main(int argc, char **argv)
{
    const struct sweep_world world = {
        .name = "sweep_sim",
        .scenario_count = sim_scenario_count,
        .scenario_name = scenario_name,
        .scenario_missing = scenario_missing,
        .way_missing = way_missing,
        .open = open_world,
        .close = close_world,
        .run = run,
    };
    return sweep_main(&world, argc, argv);
}
