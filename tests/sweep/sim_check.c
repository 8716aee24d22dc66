/*
 * sim_check: what has to hold while calls fail, once they work again, and at the end. What has to
 * hold at each call is judged by os_sim.
 */
#include "sim.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>

static bool struck(const struct sim_world *world, enum os_call call)
{
    return world->fault.struck_by[call] > 0;
}

bool sim_is_in_pieces(const struct os_fault_way *way)
{
    return way != NULL && (way->kind == OS_FAULT_HALF || way->kind == OS_FAULT_ONE);
}

static size_t count_in(const struct sim_heard *heard, const char *what)
{
    size_t count = 0;
    for (const char *at = heard->bytes; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

/* --- while calls fail --- */

/* The pipe that the worker's output goes into, or NULL. */
static const struct os_sim_pipe *output_of(
    const struct os_sim *sim, const struct os_sim_process *process)
{
    if (!process->worker || process->state != OS_SIM_RUNNING || process->fds[1] < 0)
        return NULL;
    const struct os_sim_file *output = &sim->files[process->fds[1]];
    return output->kind == OS_SIM_PIPE_WRITE ? &sim->pipes[output->pipe] : NULL;
}

void sim_check_lift(struct sim_world *world)
{
    struct os_sim *sim = &world->sim;
    const uint64_t asking = UINT64_C(1) << (SIGHUP - 1) | UINT64_C(1) << (SIGTERM - 1);
    if ((sim->pending & asking) != 0 && !struck(world, OS_CALL_SIGNALS_READ))
        os_sim_violate(sim, "I5", "a signal to the master is not taken");
    for (unsigned i = 0; i < sim->process_bound; i++) {
        const struct os_sim_process *process = &sim->processes[i];
        bool zombie = process->ours && process->state == OS_SIM_ZOMBIE;
        if (zombie && !struck(world, OS_CALL_REAP))
            os_sim_violate(sim, "I3", "worker %d is not reaped", (int)process->pid);
        const struct os_sim_pipe *output = output_of(sim, process);
        if (output != NULL && output->readers == 0) /* it would die of its next line */
            os_sim_violate(sim, "I6", "the pipe of worker %d is closed", (int)process->pid);
    }
}

/* --- at rest --- */

/* May what was asked for while calls failed have been done by half? A start that fails leaves who
 * served before; who could not be told to leave is told again by what is asked for next. */
static bool may_be_unfinished(const struct sim_world *world)
{
    static const enum os_call of_a_rollout[] = {OS_CALL_SPAWN, OS_CALL_PIPE_OPEN, OS_CALL_READ,
        OS_CALL_WATCH_ADD, OS_CALL_DIRECTORY_NAMES, OS_CALL_FILE_HEAD, OS_CALL_KILL_PROCESS,
        OS_CALL_KILL_GROUP};
    /* Who is asked whether it is ready may not be heard in time, or have nowhere to say so. */
    static const enum os_call of_being_asked[] = {OS_CALL_SOCKET_OPEN, OS_CALL_SOCKET_SET,
        OS_CALL_SOCKET_BIND, OS_CALL_FILE_PIN, OS_CALL_FILE_PINNED_CHOWN, OS_CALL_FILE_REMOVE,
        OS_CALL_DATAGRAM_RECEIVE, OS_CALL_PROCESS_LOOK, OS_CALL_WATCH_WAIT, OS_CALL_REAP,
        OS_CALL_SOCKET_ACCEPT, OS_CALL_SOCKET_PEER, OS_CALL_WATCH_REMOVE};
    for (size_t i = 0; i < sizeof of_a_rollout / sizeof *of_a_rollout; i++)
        if (struck(world, of_a_rollout[i]) && !sim_is_in_pieces(world->played->way))
            return true;
    for (size_t i = 0; i < sizeof of_being_asked / sizeof *of_being_asked; i++)
        if (world->config.ready != CLI_READY_ALIVE && struck(world, of_being_asked[i]))
            return true;
    return world->scenario->reloads_fail;
}

/* May a worker not have heard of a stop? It is told again by the next one. */
static bool may_have_missed_a_stop(const struct sim_world *world)
{
    return struck(world, OS_CALL_KILL_PROCESS) || struck(world, OS_CALL_KILL_GROUP);
}

static void check_heard(struct os_sim *sim)
{
    for (unsigned i = 0; i < sim->process_bound; i++) {
        const struct os_sim_pipe *output = output_of(sim, &sim->processes[i]);
        if (output != NULL && output->length > 0)
            os_sim_violate(sim, "I6", "what worker %d wrote is not read", sim->processes[i].pid);
    }
}

void sim_check_first_rest(struct sim_world *world)
{
    struct os_sim *sim = &world->sim;
    bool unfinished = may_be_unfinished(world);
    if (world->scenario->ends)
        os_sim_violate(sim, "R12", "the last worker has ended, and the master has not");
    if (sim->stops_read > 0 && !may_have_missed_a_stop(world))
        os_sim_violate(sim, "I5", "a stop was asked for, and has not come to its end");
    check_heard(sim);
    if (sim->stops_read == 0 && !unfinished)
        os_sim_check_rest(sim);
}

static unsigned count_open(const struct os_sim *sim)
{
    unsigned count = 0;
    for (int fd = 0; fd < sim->fd_bound; fd++)
        count += sim->fds[fd] >= 0;
    return count;
}

void sim_check_second_rest(struct sim_world *world)
{
    struct os_sim *sim = &world->sim;
    if (sim->stops_read > 0)
        os_sim_violate(sim, "I5", "a stop that came after the faults has not come to its end");
    os_sim_check_rest(sim);
    if (sim->answered == world->answered_before)
        os_sim_violate(sim, "I1", "a client who came after the faults was not answered");
    if (world->config.controlled && sim->requests_answered == world->requests_answered_before)
        os_sim_violate(sim, "I12", "a request that came after the faults was not answered");
    /* Standard error is looked at once. */
    if (sim->sink.lines == world->lines_before && !struck(world, OS_CALL_OUTPUT_OPEN))
        os_sim_violate(sim, "I6", "the log is mute after the faults");
    unsigned *known = &world->open_at_rest[world->played->scenario];
    unsigned open = count_open(sim);
    /* Taken for a terminal, standard input is kept from the worker: one more. */
    if (*known != 0 && open > *known + struck(world, OS_CALL_IS_TERMINAL))
        os_sim_violate(sim, "I7", "%u descriptors are open, %u without faults", open, *known);
    if (world->played->way == NULL)
        *known = open;
}

/* --- at the end --- */

static bool is_mute(const struct sim_world *world)
{
    return struck(world, OS_CALL_OUTPUT_OPEN) || struck(world, OS_CALL_OUTPUT_WRITE);
}

/* How many of those that were started have been ready, as far as the master knows? */
static unsigned count_ready(const struct sim_world *world)
{
    const struct os_sim *sim = &world->sim;
    unsigned count = 0;
    for (unsigned i = 0; i < sim->process_bound; i++) {
        const struct os_sim_process *each = &sim->processes[i];
        bool lived = each->executed_at != 0 && each->ended_at >= each->executed_at + SIM_START_MS;
        bool heard = each->heard_at != 0 && !struck(world, OS_CALL_READ);
        count += world->config.ready == CLI_READY_ALIVE ? lived : heard;
    }
    return count;
}

/* C6: one line says what failed; once there is a listener, lines about it come before. */
static void check_failed_start(struct sim_world *world, int status)
{
    struct os_sim *sim = &world->sim;
    const struct sim_heard *said = &world->console;
    if (status != 1)
        os_sim_violate(sim, "X3", "the master ended unasked, with exit status %d", status);
    if (world->fault.struck == 0)
        os_sim_violate(sim, "C6", "the start failed although nothing else did");
    /* A reload that was asked for meanwhile starts others. */
    if ((sim->spawned > world->config.workers && sim->hup_read_at == 0) ||
        count_ready(world) >= world->config.workers)
        os_sim_violate(sim, "I7", "the master ended although its workers were ready");
    if (is_mute(world))
        return;
    size_t lines = count_in(said, "\n");
    bool opened = count_in(said, "listening on") > 0;
    if (lines == 0 || (lines > 1 && !opened))
        os_sim_violate(sim, "C6", "a failed start says %zu lines", lines);
    /* Where the log goes, the rollout that failed with it says so again. What a worker says of
     * being ready may be learnt too late, or never. */
    bool unheard = count_in(said, "was not ready in time") + count_in(said, "can never say") > 0;
    size_t reasons = count_in(said, "unable to");
    size_t repeated = count_in(said, "could not be started: unable to");
    if (!unheard && reasons != 1 && (reasons != 2 || repeated != 1))
        os_sim_violate(sim, "C6", "a failed start does not say once what it was unable to do");
}

/* C7 */
static void check_check(struct sim_world *world, int status)
{
    struct os_sim *sim = &world->sim;
    size_t lines = count_in(&world->console, "\n");
    if (sim->spawned > 0)
        os_sim_violate(sim, "C7", "-check starts a worker");
    if (status != 0 && (status != 1 || world->fault.struck == 0))
        os_sim_violate(sim, "C7", "the exit status of -check is %d", status);
    if (!is_mute(world) &&
        (status == 0 ? count_in(&world->console, "run /bin/server") != 1 : lines != 1))
        os_sim_violate(sim, "C7", "-check ends with %d and says %zu lines", status, lines);
}

/* Whoever is not known to have crashed takes over. */
static bool may_end_by_itself(const struct sim_world *world)
{
    return world->scenario->ends || (world->scenario->reloads_fail && struck(world, OS_CALL_REAP));
}

void sim_check_end(struct sim_world *world, int status)
{
    struct os_sim *sim = &world->sim;
    bool ended = may_end_by_itself(world) && status == world->scenario->status;
    os_sim_check_end(sim, status);
    if (world->scenario->is_check)
        check_check(world, status);
    else if (sim->stops_read == 0 && !ended)
        check_failed_start(world, status);
    if (count_in(&world->console, "internal error") + count_in(&world->daemon, "internal error") >
        0)
        os_sim_violate(sim, "the core", "met an event out of turn");
    if (sim->mask != world->mask_before)
        os_sim_violate(sim, "L7", "the file mask is left at %03o", (unsigned)sim->mask);
    /* What the C library keeps for itself it took in the run without faults. */
    size_t heap = mallinfo2().uordblks;
    if (world->played->way != NULL && heap > world->heap_before)
        os_sim_violate(sim, "I7", "the heap grew by %zu bytes", heap - world->heap_before);
}
