/*
 * supervisor_worker: the driver's side of single workers: starting and signalling them, reading
 * what they tell, reaping them.
 */
#include "supervisor_parts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "supervisor_say.h"

enum {
    /* Messages of one worker at one wake-up: whoever keeps sending them holds up nothing else. */
    NOTICES_MAX = 16,
};

/* --- results --- */

static struct core_event *add_result(
    struct supervisor *sup, enum core_event_kind kind, unsigned slot)
{
    struct core_event *result = &sup->results[sup->result_count++];
    *result = supervisor_event(sup, kind);
    result->slot = slot;
    return result;
}

static void add_failure(
    struct supervisor *sup, enum core_event_kind kind, unsigned slot, int step, int error)
{
    struct core_event *result = add_result(sup, kind, slot);
    result->step = step;
    result->number = error;
}

static void feed_worker(struct supervisor *sup, enum core_event_kind kind, unsigned slot)
{
    struct core_event event = supervisor_event(sup, kind);
    event.slot = slot;
    supervisor_feed(sup, &event);
}

/* --- its descriptors --- */

/* Watches a descriptor of the worker in `slot`, and keeps it in *place; the caller keeps it where
 * that fails. Returns 0 or -errno. */
static int keep(
    struct supervisor *sup, int *place, int fd, enum supervisor_watched what, unsigned slot)
{
    int error =
        sup->os->watch_add(sup->os, sup->set, fd, supervisor_token(what, slot), true, false);
    if (error == 0)
        *place = fd;
    return error;
}

static void drop(struct supervisor *sup, int *place)
{
    if (*place <= 0)
        return;
    sup->os->watch_remove(sup->os, sup->set, *place);
    sup->os->close(sup->os, *place);
    *place = 0;
}

static void drop_notices(struct supervisor *sup, unsigned slot)
{
    if (sup->notices[slot] <= 0)
        return;
    sup->os->watch_remove(sup->os, sup->set, sup->notices[slot]);
    notify_slot_close(&sup->notify, slot);
    sup->notices[slot] = 0;
}

/* --- starting --- */

/* Takes over the pipes of a new worker, those that cannot be watched excepted: they are closed.
 * Returns 0, or -errno of the first of these. */
static int adopt(struct supervisor *sup, unsigned slot, const struct spawn_child *child)
{
    struct os *os = sup->os;
    int output = 0, ready = 0;
    if (child->output >= 0 &&
        (output = relay_add(&sup->relay, child->output, slot, child->pid)) < 0)
        os->close(os, child->output);
    if (child->ready >= 0 &&
        (ready = keep(sup, &sup->readiness[slot], child->ready, WATCHED_READY, slot)) < 0)
        os->close(os, child->ready);
    int report = keep(sup, &sup->reports[slot], child->report, WATCHED_REPORT, slot);
    if (report < 0)
        os->close(os, child->report);
    sup->progress[slot] = (struct spawn_progress){.length = 0};
    return output < 0 ? output : ready < 0 ? ready : report;
}

/* Nobody would learn how it does: it has to go. */
static void kill_unwatched(struct supervisor *sup, pid_t pid)
{
    sup->os->kill_process(sup->os, pid, SIGKILL);
}

/* Where the worker can say that it is ready; NULL in *path where nobody asks. */
static int open_notices(struct supervisor *sup, unsigned slot, const char **path)
{
    *path = NULL;
    if (sup->config->ready != CLI_READY_NOTIFY)
        return 0;
    int fd = notify_slot_open(&sup->notify, slot);
    if (fd < 0)
        return fd;
    int error = keep(sup, &sup->notices[slot], fd, WATCHED_NOTIFY, slot);
    if (error < 0)
        notify_slot_close(&sup->notify, slot);
    *path = notify_slot_path(&sup->notify, slot);
    return error;
}

void supervisor_spawn(struct supervisor *sup, const struct core_action *action)
{
    unsigned slot = action->slot;
    struct spawn_order order = {
        .command = supervisor_command_of(&sup->control.commands, action->generation),
        .slot = slot,
        .generation = action->generation,
    };
    struct spawn_child child;
    struct spawn_failure failure;
    relay_forget_output(&sup->relay, slot);
    int error = open_notices(sup, slot, &order.notify_socket);
    if (error < 0) {
        add_failure(sup, CORE_SPAWN_FAILED, slot, SPAWN_STEP_NOTIFY, -error);
        return;
    }
    if (!spawn_start(&sup->setup.spawn, &order, &child, &failure)) {
        drop_notices(sup, slot);
        add_failure(sup, CORE_SPAWN_FAILED, slot, failure.step, failure.error);
        return;
    }
    sup->control.stands_back = true;
    add_result(sup, CORE_SPAWNED, slot)->pid = child.pid;
    error = adopt(sup, slot, &child);
    if (error < 0) {
        kill_unwatched(sup, child.pid);
        drop(sup, &sup->reports[slot]);
        add_failure(sup, CORE_EXEC_FAILED, slot, SPAWN_STEP_WATCH, -error);
    }
}

void supervisor_signal(struct supervisor *sup, const struct core_action *action)
{
    struct os *os = sup->os;
    pid_t pid = (pid_t)action->pid;
    int error = action->group ? os->kill_group(os, pid, action->number) : -ESRCH;
    /* A worker may have left its group: KILL has to find it there as well. */
    if (error == -ESRCH || action->number == SIGKILL)
        error = os->kill_process(os, pid, action->number);
    if (error < 0) {
        supervisor_say_trouble(&sup->log, "unable to signal worker ", pid, strerror(-error));
        if (!action->asked)
            add_failure(sup, CORE_SIGNAL_FAILED, action->slot, 0, -error);
    }
}

/* --- what it tells --- */

/* reaped: the worker has ended, and its pid may be a stranger's. */
static void read_report(struct supervisor *sup, unsigned slot, bool reaped)
{
    struct spawn_failure failure;
    struct core_event event;
    if (sup->reports[slot] <= 0)
        return;
    enum spawn_report told =
        spawn_read_report(sup->os, sup->reports[slot], &sup->progress[slot], &failure);
    if (told == SPAWN_UNKNOWN && !reaped)
        kill_unwatched(sup, (pid_t)sup->core.workers[slot].pid);
    switch (told) {
    case SPAWN_PENDING:
        return;
    case SPAWN_DIED:
        drop(sup, &sup->reports[slot]);
        return;
    case SPAWN_EXECUTED:
        event = supervisor_event(sup, CORE_EXECUTED);
        break;
    case SPAWN_UNKNOWN:
    case SPAWN_FAILED:
        event = supervisor_event(sup, CORE_EXEC_FAILED);
        event.step = failure.step;
        event.number = failure.error;
        break;
    }
    event.slot = slot;
    drop(sup, &sup->reports[slot]);
    sup->control.stands_back = false;
    supervisor_feed(sup, &event);
}

void supervisor_read_report(struct supervisor *sup, unsigned slot)
{
    read_report(sup, slot, false);
}

static void take_notice(struct supervisor *sup, unsigned slot, const struct notify_message *message)
{
    if (message->has_extend) {
        struct core_event event = supervisor_event(sup, CORE_READY_EXTENDED);
        event.slot = slot;
        event.milliseconds = message->extend_ms;
        supervisor_feed(sup, &event);
    }
    if (message->ready)
        feed_worker(sup, CORE_READY_SAID, slot);
}

void supervisor_read_notice(struct supervisor *sup, unsigned slot)
{
    /* Whoever speaks has been executed: that comes first. */
    supervisor_read_report(sup, slot);
    for (int i = 0; i < NOTICES_MAX && sup->notices[slot] > 0; i++) {
        struct notify_message message;
        pid_t worker = (pid_t)sup->core.workers[slot].pid;
        int taken = notify_take(&sup->notify, slot, worker, &message);
        if (taken < 0 && taken != -EAGAIN)
            sup->os->pause_ms(sup->os, SUPERVISOR_PAUSE_MS);
        if (taken < 0)
            return;
        if (taken > 0)
            take_notice(sup, slot, &message);
    }
}

void supervisor_read_readiness(struct supervisor *sup, unsigned slot)
{
    if (sup->readiness[slot] <= 0)
        return;
    supervisor_read_report(sup, slot);
    switch (notify_read_fd(sup->os, sup->readiness[slot])) {
    case NOTIFY_FD_PENDING:
        return;
    case NOTIFY_FD_READY:
        /* It stays open: a worker that writes on must not die of it. */
        feed_worker(sup, CORE_READY_SAID, slot);
        return;
    case NOTIFY_FD_FAILED:
        sup->os->pause_ms(sup->os, SUPERVISOR_PAUSE_MS);
        return;
    case NOTIFY_FD_CLOSED:
        drop(sup, &sup->readiness[slot]);
        feed_worker(sup, CORE_READY_LOST, slot);
        return;
    }
}

/* --- its end --- */

static void worker_ended(struct supervisor *sup, unsigned slot, int status)
{
    /* How the start went is known by now, and what it wrote comes before the line that it ended. */
    read_report(sup, slot, true);
    drop(sup, &sup->reports[slot]);
    drop(sup, &sup->readiness[slot]);
    drop_notices(sup, slot);
    listener_guard_worker_ended(&sup->guard);
    pid_t cut_off = relay_worker_ended(&sup->relay, slot);
    if (cut_off)
        supervisor_say_trouble(&sup->log,
            "closed the output pipe that others held of ended worker ", cut_off,
            "too many such pipes");
    struct core_event event = supervisor_event(sup, CORE_EXITED);
    event.slot = slot;
    event.signalled = WIFSIGNALED(status);
    event.number = event.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
    supervisor_feed(sup, &event);
}

/* Somebody else took our children away (never seen: the disposition of CHLD is the default): what
 * became of them cannot be known, and they are not waited for in vain. */
static void forget_children(struct supervisor *sup)
{
    enum { UNKNOWN_STATUS = 1 << 8 };
    for (unsigned slot = 0; slot < sup->core.slot_bound; slot++)
        if (sup->core.workers[slot].state >= CORE_WORKER_EXECUTING)
            worker_ended(sup, slot, UNKNOWN_STATUS);
}

void supervisor_reap(struct supervisor *sup)
{
    for (;;) {
        int status;
        pid_t pid = sup->os->reap(sup->os, &status);
        if (pid == -ECHILD)
            forget_children(sup);
        if (pid <= 0)
            return;
        /* As process 1 of a container there are others too. */
        int slot = core_find(&sup->core, pid);
        if (slot >= 0)
            worker_ended(sup, (unsigned)slot, status);
    }
}
