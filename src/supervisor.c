#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>

#include "console.h"
#include "core.h"
#include "log.h"
#include "relay.h"
#include "setup.h"
#include "spawn.h"
#include "supervisor_say.h"

enum {
    READY_MAX = 64,
    SIGNALS_MAX = 16,
    /* At one wake-up: enough for one of each; whoever keeps sending them holds up nothing else. */
    SIGNAL_READS = 8,
    /* After a wait that failed, or was in vain; a fault that lasts must not become a busy loop. */
    WAIT_FAILED_PAUSE_MS = 20,
    /* How often something is tried that should be watched, but cannot be at the moment. */
    UNWATCHED_MS = 100,
    /* Each start has one result, or two; a failed rollout can be followed by another at once. */
    RESULTS_MAX = LIMIT_SLOTS + 4 * LIMIT_WORKERS,
};

/* What a watched descriptor is; a report's slot stands in the lower half of the token. */
enum watched {
    WATCHED_SIGNALS,
    WATCHED_RELAY,
    WATCHED_LOG,
    WATCHED_REPORT,
};

struct supervisor {
    struct os *os;
    const struct config *config;
    int set; /* of everything that is waited for */
    int signals;
    int log_fd; /* the log's way out while it is watched, else -1 */
    bool relay_watched;
    bool ended;
    int status;
    int reports[LIMIT_SLOTS]; /* report pipes, by slot; below 1: none (0 is never one) */
    struct spawn_progress progress[LIMIT_SLOTS]; /* of reading them */
    /* Results of actions, to be fed to the core after the list in which they were asked for. */
    struct core_event results[RESULTS_MAX];
    size_t result_count;
    struct core_actions actions;
    struct core core;
    char error[SETUP_ERROR_MAX];
    struct setup setup;
    struct relay relay;
    struct log log;
};

/* A start that failed is told where the log goes, and to whoever typed the command. */
static void say_start_failed(struct supervisor *sup, const struct text *error)
{
    log_say(&sup->log, LOG_ERR, error->bytes, error->length);
    if (sup->config->syslog)
        console_complain(sup->os, error);
}

/* --- doing what the core answers --- */

static struct core_event event_now(struct supervisor *sup, enum core_event_kind kind)
{
    return (struct core_event){.kind = kind, .now = sup->os->clock_ms(sup->os)};
}

static void report_close(struct supervisor *sup, unsigned slot)
{
    if (sup->reports[slot] <= 0)
        return;
    sup->os->watch_remove(sup->os, sup->set, sup->reports[slot]);
    sup->os->close(sup->os, sup->reports[slot]);
    sup->reports[slot] = 0;
}

static uint64_t token(enum watched what, unsigned slot)
{
    return (uint64_t)what << 32 | slot;
}

/* Watches the pipes of a new worker; takes them over in any case. Returns 0 or -errno. */
static int adopt(struct supervisor *sup, unsigned slot, const struct spawn_child *child)
{
    struct os *os = sup->os;
    int error = child->output < 0 ? 0 : relay_add(&sup->relay, child->output, slot, child->pid);
    if (error < 0)
        os->close(os, child->output);
    else
        error =
            os->watch_add(os, sup->set, child->report, token(WATCHED_REPORT, slot), true, false);
    if (error < 0)
        os->close(os, child->report);
    else
        sup->reports[slot] = child->report;
    sup->progress[slot] = (struct spawn_progress){.length = 0};
    return error;
}

static struct core_event *add_result(
    struct supervisor *sup, enum core_event_kind kind, unsigned slot)
{
    struct core_event *result = &sup->results[sup->result_count++];
    *result = event_now(sup, kind);
    result->slot = slot;
    return result;
}

static void add_failure(
    struct supervisor *sup, enum core_event_kind kind, unsigned slot, int at, int error)
{
    struct core_event *result = add_result(sup, kind, slot);
    result->step = at;
    result->number = error;
}

/* Nobody would learn how it does: it has to go. */
static void kill_unwatched(struct supervisor *sup, pid_t pid)
{
    sup->os->kill_process(sup->os, pid, SIGKILL);
}

static void do_spawn(struct supervisor *sup, const struct core_action *action)
{
    struct spawn_order order = {.slot = action->slot, .generation = action->generation};
    struct spawn_child child;
    struct spawn_failure failure;
    if (!spawn_start(&sup->setup.spawn, &order, &child, &failure)) {
        add_failure(sup, CORE_SPAWN_FAILED, action->slot, failure.step, failure.error);
        return;
    }
    add_result(sup, CORE_SPAWNED, action->slot)->pid = child.pid;
    int error = adopt(sup, action->slot, &child);
    if (error < 0) {
        kill_unwatched(sup, child.pid);
        add_failure(sup, CORE_EXEC_FAILED, action->slot, SPAWN_STEP_WATCH, -error);
    }
}

static void do_signal(struct supervisor *sup, const struct core_action *action)
{
    struct os *os = sup->os;
    pid_t pid = (pid_t)action->pid;
    int error = action->group ? os->kill_group(os, pid, action->number) : -ESRCH;
    /* A worker may have left its group: KILL has to find it there as well. */
    if (error == -ESRCH || action->number == SIGKILL)
        error = os->kill_process(os, pid, action->number);
    if (error < 0) {
        supervisor_say_trouble(&sup->log, "unable to signal worker ", pid, strerror(-error));
        add_failure(sup, CORE_SIGNAL_FAILED, action->slot, 0, -error);
    }
}

static void do_action(struct supervisor *sup, const struct core_action *action)
{
    switch (action->kind) {
    case CORE_DO_SPAWN:
        do_spawn(sup, action);
        break;
    case CORE_DO_SIGNAL:
        do_signal(sup, action);
        break;
    case CORE_DO_SAY:
        supervisor_say_action(&sup->log, sup->config->command, sup->config->syslog, action);
        break;
    case CORE_DO_EXIT:
        sup->ended = true;
        sup->status = action->number;
        break;
    }
}

static void step(struct supervisor *sup, const struct core_event *event)
{
    core_step(&sup->core, event, &sup->actions);
    for (size_t i = 0; i < sup->actions.count; i++)
        do_action(sup, &sup->actions.list[i]);
}

/* Gives the core an event, and then what came of its actions, until it asks for nothing more. */
static void feed(struct supervisor *sup, const struct core_event *event)
{
    step(sup, event);
    for (size_t i = 0; i < sup->result_count; i++) {
        struct core_event result = sup->results[i];
        step(sup, &result);
    }
    sup->result_count = 0;
}

/* --- what happened --- */

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
        report_close(sup, slot);
        return;
    case SPAWN_EXECUTED:
        event = event_now(sup, CORE_EXECUTED);
        break;
    case SPAWN_UNKNOWN:
    case SPAWN_FAILED:
        event = event_now(sup, CORE_EXEC_FAILED);
        event.step = failure.step;
        event.number = failure.error;
        break;
    }
    event.slot = slot;
    report_close(sup, slot);
    feed(sup, &event);
}

static void worker_ended(struct supervisor *sup, unsigned slot, int status)
{
    /* How the start went is known by now, and what it wrote comes before the line that it ended. */
    read_report(sup, slot, true);
    report_close(sup, slot);
    pid_t cut_off = relay_worker_ended(&sup->relay, slot);
    if (cut_off)
        supervisor_say_trouble(&sup->log,
            "closed the output pipe that others held of ended worker ", cut_off,
            "too many such pipes");
    struct core_event event = event_now(sup, CORE_EXITED);
    event.slot = slot;
    event.signalled = WIFSIGNALED(status);
    event.number = event.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
    feed(sup, &event);
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

static void reap(struct supervisor *sup)
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

static bool is_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

/* Signals that mean nothing to anybody here, and come by themselves. */
static bool is_noise(int signal)
{
    return signal == SIGWINCH || signal == SIGURG || signal == SIGCONT || signal == SIGPIPE;
}

/* A stop comes before a reload that came in with it: nothing is started in vain. Returns false when
 * there was no signal, or none could be read. */
static bool take_signals(struct supervisor *sup)
{
    int signals[SIGNALS_MAX];
    bool reload = false, any = false;
    for (int reads = 0; reads < SIGNAL_READS; reads++) {
        int count = sup->os->signals_read(sup->os, sup->signals, signals, SIGNALS_MAX);
        for (int i = 0; i < count; i++) {
            struct core_event event = event_now(sup, CORE_STOP);
            event.number = signals[i];
            if (is_stop(signals[i]))
                feed(sup, &event);
            else if (signals[i] == SIGHUP)
                reload = true;
            else if (signals[i] != SIGCHLD && !is_noise(signals[i]))
                supervisor_say_ignored(&sup->log, signals[i]);
        }
        if (count <= 0)
            break;
        any = true;
    }
    if (reload) {
        struct core_event event = event_now(sup, CORE_RELOAD);
        feed(sup, &event);
    }
    return any;
}

/* --- the loop --- */

/* Watches the log's way out while it is stuck, and the workers' pipes while there is room for what
 * is in them. */
static void watch_streams(struct supervisor *sup)
{
    struct os *os = sup->os;
    int fd = log_waits_for(&sup->log);
    if (fd >= 0 && os->watch_add(os, sup->set, fd, token(WATCHED_LOG, 0), false, true) == 0)
        sup->log_fd = fd;

    bool wanted = relay_wants_input(&sup->relay);
    if (wanted == sup->relay_watched)
        return;
    int error =
        wanted ? os->watch_add(os, sup->set, sup->relay.set, token(WATCHED_RELAY, 0), true, false)
               : os->watch_remove(os, sup->set, sup->relay.set);
    if (error == 0)
        sup->relay_watched = wanted;
}

/* Before anything is written: that may replace the descriptor by another of the same number. */
static void unwatch_log(struct supervisor *sup)
{
    if (sup->log_fd < 0)
        return;
    /* Once it was closed, the number may be somebody else's. */
    int error = 0;
    if (sup->log_fd == log_descriptor(&sup->log))
        error = sup->os->watch_remove(sup->os, sup->set, sup->log_fd);
    /* One that stayed in the set would be told as ready for ever: it is tried again. */
    if (error == 0 || error == -ENOENT || error == -EBADF)
        sup->log_fd = -1;
}

static uint64_t next_deadline(const struct supervisor *sup, uint64_t now)
{
    uint64_t deadline = core_deadline(&sup->core);
    uint64_t log = log_deadline(&sup->log);
    if (log < deadline)
        deadline = log;
    bool unwatched = (log_waits_for(&sup->log) >= 0 && sup->log_fd < 0) ||
                     (relay_wants_input(&sup->relay) && !sup->relay_watched) ||
                     relay_wants_time(&sup->relay);
    if (unwatched && now + UNWATCHED_MS < deadline)
        deadline = now + UNWATCHED_MS;
    return deadline;
}

/* Waits until something happens, `until` at the latest, and leaves the log free to be written. */
static int wait_until(struct supervisor *sup, struct os_ready *ready, uint64_t until)
{
    struct os *os = sup->os;
    watch_streams(sup);
    uint64_t now = os->clock_ms(os);
    uint64_t deadline = next_deadline(sup, now);
    if (until < deadline)
        deadline = until;
    int64_t timeout = -1;
    if (deadline != CORE_NEVER)
        timeout = deadline > now ? (int64_t)(deadline - now) : 0;
    int count = os->watch_wait(os, sup->set, ready, READY_MAX, timeout);
    unwatch_log(sup);
    return count;
}

static void handle(struct supervisor *sup, const struct os_ready *ready, int count)
{
    /* Signals first: what they ask for counts for all that is read after them. */
    for (int i = 0; i < count; i++)
        if (ready[i].token >> 32 == WATCHED_SIGNALS && !take_signals(sup))
            sup->os->pause_ms(sup->os, WAIT_FAILED_PAUSE_MS);
    for (int i = 0; i < count; i++)
        if (ready[i].token >> 32 == WATCHED_REPORT)
            read_report(sup, (unsigned)(ready[i].token & UINT32_MAX), false);
    reap(sup);
    struct core_event event = event_now(sup, CORE_TICK);
    if (core_deadline(&sup->core) <= event.now)
        feed(sup, &event);
}

static void turn(struct supervisor *sup)
{
    struct os_ready ready[READY_MAX];
    int count = wait_until(sup, ready, CORE_NEVER);
    if (count < 0)
        sup->os->pause_ms(sup->os, WAIT_FAILED_PAUSE_MS);
    /* It may have waited in vain: after a failure, or when the whole process was stopped. A reload
     * that was asked for counts before the end of the last worker. */
    if (count <= 0)
        take_signals(sup);
    handle(sup, ready, count);
    log_flush(&sup->log);
    relay_pump(&sup->relay);
}

/* --- beginning and end --- */

static int open_loop(struct supervisor *sup)
{
    struct os *os = sup->os;
    sup->log_fd = sup->set = sup->signals = -1;
    sup->relay_watched = sup->ended = false;
    sup->result_count = 0;
    int error = relay_open(&sup->relay, os, &sup->log);
    if (error < 0)
        return error;
    sup->set = os->watch_open(os);
    if (sup->set < 0)
        return sup->set;
    sup->signals = os->signals_open(os);
    if (sup->signals < 0)
        return sup->signals;
    return os->watch_add(os, sup->set, sup->signals, token(WATCHED_SIGNALS, 0), true, false);
}

static void close_loop(struct supervisor *sup)
{
    relay_close(&sup->relay);
    log_close(&sup->log);
    if (sup->signals >= 0)
        sup->os->close(sup->os, sup->signals);
    if (sup->set >= 0)
        sup->os->close(sup->os, sup->set);
}

/* The last lines go out, unless nobody takes them for a second. */
static void last_words(struct supervisor *sup)
{
    struct os *os = sup->os;
    struct os_ready ready[READY_MAX];
    uint64_t until = os->clock_ms(os) + SUPERVISOR_LAST_WORDS_MS;
    /* No signal is looked at any more; one that waits would keep the wait from waiting. */
    os->watch_remove(os, sup->set, sup->signals);
    for (;;) {
        bool drained = relay_drain(&sup->relay);
        if ((drained && log_is_empty(&sup->log)) || os->clock_ms(os) >= until)
            return;
        if (log_waits_for(&sup->log) < 0)
            continue; /* there is room again: on with what was left in the pipes */
        if (wait_until(sup, ready, until) < 0)
            os->pause_ms(os, WAIT_FAILED_PAUSE_MS);
        log_flush(&sup->log);
    }
}

static void serve(struct supervisor *sup)
{
    struct core_settings settings = {
        .workers = 1,
        .start_ms = sup->config->start_ms,
        .stop_ms = sup->config->stop_ms,
        .stop_signal = sup->config->stop_signal,
        .max_draining = sup->config->max_draining,
        .kill_group = sup->config->kill_group,
    };
    core_init(&sup->core, &settings);
    supervisor_say_listeners(&sup->log, &sup->setup.listeners);
    /* A stop that came in meanwhile ends it before there is a worker. Process 1 may have lost an
     * orphan meanwhile: its CHLD does not come again. */
    if (take_signals(sup))
        reap(sup);
    if (!sup->ended) {
        struct core_event start = event_now(sup, CORE_START);
        feed(sup, &start);
    }
    log_flush(&sup->log);
    while (!sup->ended)
        turn(sup);
}

static enum log_format log_format_of(const struct config *config)
{
    if (config->syslog)
        return LOG_FORMAT_SYSLOG;
    return config->log == CLI_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

/* Most of it is never touched: it is there for 2048 workers. */
static struct supervisor the_supervisor;

int supervisor_run(struct os *os, const struct config *config, char *const *environment)
{
    struct supervisor *sup = &the_supervisor;
    struct text error;
    text_init(&error, sup->error, sizeof sup->error);
    sup->os = os;
    sup->config = config;
    sup->status = 1;

    /* The listeners come first: until then every descriptor above 2 is one that was passed. */
    bool open = setup_open(&sup->setup, os, config, environment, &error);
    log_open(&sup->log, os, log_format_of(config), config->syslog ? config->syslog_socket : NULL);
    int failed = open_loop(sup);
    if (open && failed < 0) {
        text_add(&error, "unable to set up the event loop: ");
        text_add(&error, strerror(-failed));
    }
    if (error.length > 0)
        say_start_failed(sup, &error);
    else
        serve(sup);
    if (failed < 0)
        log_flush(&sup->log);
    else
        last_words(sup);
    if (open)
        setup_close(&sup->setup);
    close_loop(sup);
    return sup->status;
}

int supervisor_check(struct os *os, const struct config *config, char *const *environment)
{
    static char plan_bytes[SETUP_PLAN_MAX];
    struct text error, plan;
    text_init(&error, the_supervisor.error, sizeof the_supervisor.error);
    text_init(&plan, plan_bytes, sizeof plan_bytes);
    if (!setup_check(&the_supervisor.setup, os, config, environment, &plan, &error)) {
        console_complain(os, &error);
        return 1;
    }
    console_print(os, CONSOLE_OUTPUT, &plan);
    return 0;
}
