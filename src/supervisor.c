#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "console.h"
#include "supervisor_parts.h"
#include "supervisor_say.h"

enum {
    READY_MAX = 64,
    SIGNALS_MAX = 16,
    /* At one wake-up: enough for one of each; whoever keeps sending them holds up nothing else. */
    SIGNAL_READS = 8,
    /* How often something is tried that should be watched, but cannot be at the moment. */
    UNWATCHED_MS = 100,
};

/* A start that failed is told where the log goes, and to whoever typed the command. */
static void say_start_failed(struct supervisor *sup, const struct text *error)
{
    log_say(&sup->log, LOG_ERR, error->bytes, error->length);
    if (sup->config->syslog)
        console_complain(sup->os, error);
}

/* --- doing what the core answers --- */

struct core_event supervisor_event(struct supervisor *sup, enum core_event_kind kind)
{
    return (struct core_event){.kind = kind, .now = sup->os->clock_ms(sup->os)};
}

uint64_t supervisor_token(enum supervisor_watched what, unsigned slot)
{
    return (uint64_t)what << 32 | slot;
}

static const char *command_of(const struct supervisor *sup, uint64_t generation)
{
    const struct spawn_command *command = supervisor_command_of(&sup->control.commands, generation);
    return command ? command->name : sup->config->command;
}

static void say_action(struct supervisor *sup, const struct core_action *action)
{
    static char line_bytes[SUPERVISOR_LINE_SIZE];
    char bytes[RELAY_TAIL];
    struct text_span output = {bytes, 0};
    struct text line;
    if (action->say == CORE_SAY_ROLLOUT_FAILED)
        output.length = relay_last_output(&sup->relay, action->slot, bytes);
    text_init(&line, line_bytes, sizeof line_bytes);
    supervisor_say_action(
        &sup->log, command_of(sup, action->generation), output, sup->config->syslog, action, &line);
    struct text_span words = {line.bytes, line.length};
    if (action->say == CORE_SAY_ROLLOUT_FAILED)
        tally_rollout_words(&sup->tally, words, output);
    supervisor_control_said(sup, action, words);
    if (action->say == CORE_SAY_READY)
        listener_guard_worker_ready(&sup->guard);
}

static void do_action(struct supervisor *sup, const struct core_action *action)
{
    switch (action->kind) {
    case CORE_DO_SPAWN:
        supervisor_spawn(sup, action);
        break;
    case CORE_DO_SIGNAL:
        supervisor_signal(sup, action);
        break;
    case CORE_DO_SAY:
        say_action(sup, action);
        break;
    case CORE_DO_EXIT:
        sup->ended = true;
        sup->status = action->number;
        break;
    }
}

static void step(struct supervisor *sup, const struct core_event *event)
{
    bool guarded = false;
    struct os_time wall;
    core_step(&sup->core, event, &sup->actions);
    if (sup->actions.count > 0)
        sup->os->wall_clock(sup->os, &wall);
    sup->action_count += sup->actions.count;
    for (size_t i = 0; i < sup->actions.count; i++) {
        tally_take(&sup->tally, &sup->actions.list[i], event->now, wall.seconds);
        if (sup->actions.list[i].kind == CORE_DO_SPAWN && !guarded) {
            listener_guard_before_starts(&sup->guard);
            guarded = true;
        }
        do_action(sup, &sup->actions.list[i]);
    }
}

void supervisor_feed(struct supervisor *sup, const struct core_event *event)
{
    step(sup, event);
    for (size_t i = 0; i < sup->result_count; i++) {
        struct core_event result = sup->results[i];
        step(sup, &result);
    }
    sup->result_count = 0;
}

/* --- signals --- */

static bool is_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

/* Signals that mean nothing to anybody here, and come by themselves. */
static bool is_noise(int signal)
{
    return signal == SIGWINCH || signal == SIGURG || signal == SIGCONT || signal == SIGPIPE;
}

/* TTIN and TTOU: one more, or one fewer. */
static void scale(struct supervisor *sup, int by)
{
    struct core_event event = supervisor_event(sup, CORE_SCALE);
    event.number = (int)core_workers_wanted(&sup->core) + by;
    supervisor_feed(sup, &event);
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
            struct core_event event = supervisor_event(sup, CORE_STOP);
            event.number = signals[i];
            if (is_stop(signals[i]))
                supervisor_feed(sup, &event);
            else if (signals[i] == SIGHUP)
                reload = true;
            else if (signals[i] == SIGTTIN || signals[i] == SIGTTOU)
                scale(sup, signals[i] == SIGTTIN ? 1 : -1);
            else if (signals[i] != SIGCHLD && !is_noise(signals[i]))
                supervisor_say_ignored(&sup->log, signals[i]);
        }
        if (count <= 0)
            break;
        any = true;
    }
    if (reload) {
        struct core_event event = supervisor_event(sup, CORE_RELOAD);
        supervisor_feed(sup, &event);
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
    if (fd >= 0 &&
        os->watch_add(os, sup->set, fd, supervisor_token(WATCHED_LOG, 0), false, true) == 0)
        sup->log_fd = fd;

    bool wanted = relay_wants_input(&sup->relay);
    if (wanted == sup->relay_watched)
        return;
    int error = wanted ? os->watch_add(os, sup->set, sup->relay.set,
                             supervisor_token(WATCHED_RELAY, 0), true, false)
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
    uint64_t guard = listener_guard_deadline(&sup->guard);
    if (log < deadline)
        deadline = log;
    uint64_t control = supervisor_control_deadline(sup);
    uint64_t textfile = supervisor_textfile_deadline(sup);
    if (guard < deadline)
        deadline = guard;
    if (control < deadline)
        deadline = control;
    if (textfile < deadline)
        deadline = textfile;
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

static void take_ready(struct supervisor *sup, const struct os_ready *ready)
{
    unsigned slot = (unsigned)(ready->token & UINT32_MAX);
    switch ((enum supervisor_watched)(ready->token >> 32)) {
    case WATCHED_REPORT:
        supervisor_read_report(sup, slot);
        break;
    case WATCHED_NOTIFY:
        supervisor_read_notice(sup, slot);
        break;
    case WATCHED_READY:
        supervisor_read_readiness(sup, slot);
        break;
    case WATCHED_FILES:
        listener_guard_watched(&sup->guard);
        break;
    case WATCHED_SIGNALS:
    case WATCHED_RELAY:
    case WATCHED_LOG:
    case WATCHED_CONTROL:
        break;
    }
}

static void handle(struct supervisor *sup, const struct os_ready *ready, int count)
{
    /* Signals first: what they ask for counts for all that is read after them. */
    for (int i = 0; i < count; i++)
        if (ready[i].token >> 32 == WATCHED_SIGNALS && !take_signals(sup))
            sup->os->pause_ms(sup->os, SUPERVISOR_PAUSE_MS);
    for (int i = 0; i < count; i++)
        take_ready(sup, &ready[i]);
    supervisor_reap(sup);
    struct core_event event = supervisor_event(sup, CORE_TICK);
    if (core_deadline(&sup->core) <= event.now)
        supervisor_feed(sup, &event);
    /* Whoever asks comes last: what has happened is known by then. */
    bool asked = false;
    for (int i = 0; i < count; i++)
        asked |= ready[i].token >> 32 == WATCHED_CONTROL;
    supervisor_control_serve(sup, asked);
    if (!sup->ended)
        listener_guard_settle(&sup->guard);
    supervisor_textfile_write(sup, false);
}

static void turn(struct supervisor *sup)
{
    struct os_ready ready[READY_MAX];
    int count = wait_until(sup, ready, CORE_NEVER);
    if (count < 0)
        sup->os->pause_ms(sup->os, SUPERVISOR_PAUSE_MS);
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
    sup->relay_watched = sup->ended = sup->control.open = sup->control.stands_back = false;
    sup->result_count = 0;
    /* A run before this one may have been left in the middle (by a test). */
    for (unsigned slot = 0; slot < sup->core.slot_bound; slot++)
        sup->reports[slot] = sup->notices[slot] = sup->readiness[slot] = 0;
    int error = relay_open(&sup->relay, os, &sup->log);
    if (error < 0)
        return error;
    sup->set = os->watch_open(os);
    if (sup->set < 0)
        return sup->set;
    sup->signals = os->signals_open(os);
    if (sup->signals < 0)
        return sup->signals;
    error = os->watch_add(
        os, sup->set, sup->signals, supervisor_token(WATCHED_SIGNALS, 0), true, false);
    return error < 0 ? error : supervisor_control_open(sup);
}

static void close_loop(struct supervisor *sup)
{
    supervisor_control_close(sup);
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
            os->pause_ms(os, SUPERVISOR_PAUSE_MS);
        log_flush(&sup->log);
    }
}

static void say_of_guard(void *context, int severity, const char *line, size_t length)
{
    struct supervisor *sup = context;
    log_say(&sup->log, severity, line, length);
}

static void serve(struct supervisor *sup)
{
    const struct config *config = sup->config;
    struct core_settings settings = {
        .workers = config->workers,
        .says_ready = config->ready != CLI_READY_ALIVE,
        .start_ms = config->start_ms,
        .ready_timeout_ms = config->ready_timeout_ms,
        .smooth = config->smooth,
        .max_starting = config->max_starting ? config->max_starting : sup->os->processors(sup->os),
        .hold_ms = config->hold_ms,
        .respawn = config->respawn,
        .stop_ms = config->stop_ms,
        .stop_signal = config->stop_signal,
        .max_draining = config->max_draining,
        .kill_group = config->kill_group,
    };
    core_init(&sup->core, &settings);
    struct os_time wall;
    sup->os->wall_clock(sup->os, &wall);
    sup->started_wall_s = wall.seconds;
    sup->started_ms = sup->os->clock_ms(sup->os);
    sup->action_count = 0;
    sup->textfile = (struct supervisor_textfile){.failed = false};
    tally_init(&sup->tally);
    supervisor_say_listeners(&sup->log, &sup->setup.listeners);
    listener_guard_open(&sup->guard, sup->os, &sup->setup.listeners, sup->set,
        supervisor_token(WATCHED_FILES, 0), say_of_guard, sup);
    /* A stop that came in meanwhile ends it before there is a worker. Process 1 may have lost an
     * orphan meanwhile: its CHLD does not come again. */
    if (take_signals(sup))
        supervisor_reap(sup);
    if (!sup->ended) {
        struct core_event start = supervisor_event(sup, CORE_START);
        supervisor_feed(sup, &start);
    }
    log_flush(&sup->log);
    while (!sup->ended)
        turn(sup);
    listener_guard_close(&sup->guard);
    supervisor_control_close(sup);
    supervisor_textfile_write(sup, true);
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
    bool hears =
        open && config->ready == CLI_READY_NOTIFY &&
        notify_open(&sup->notify, os, sup->setup.spawn_settings.account, environment, &error);
    log_open(&sup->log, os, log_format_of(config), config->syslog ? config->syslog_socket : NULL);
    int failed = open_loop(sup);
    if (error.length == 0 && failed < 0) {
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
    if (hears)
        notify_close(&sup->notify);
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
