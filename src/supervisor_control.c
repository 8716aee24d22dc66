#include "supervisor_control.h"

#include <string.h>
#include <syslog.h>

#include "supervisor_parts.h"
#include "supervisor_status.h"

enum {
    ANSWER_SIZE = 2048,
    COMMAND_SHOWN = 256,
    VERBOSITY = 1, /* where nobody says */
    STAND_BACK_MS = 1,
    /* Of the log in one reply: what is more goes in several, each into the room that is left. */
    FOLLOWED_MAX = 4096,
};

static void reply(struct supervisor *sup, const struct control_ask *ask, const char *message)
{
    control_reply(&sup->control.control, &ask->ticket, text_span_of(message), CONTROL_REPLY_LAST);
}

static void reply_text(struct supervisor *sup, const struct control_ask *ask,
    const struct text *text, enum control_reply kind)
{
    control_reply(
        &sup->control.control, &ask->ticket, (struct text_span){text->bytes, text->length}, kind);
}

static void refuse(struct supervisor *sup, const struct control_ask *ask, const char *why)
{
    control_reply(&sup->control.control, &ask->ticket, text_span_of(why), CONTROL_REPLY_FAILED);
}

static bool is_stopping(const struct supervisor *sup)
{
    return sup->core.phase == CORE_STOPPING || sup->core.phase == CORE_ENDED;
}

static void add_generation(struct text *text, const char *before, uint64_t generation)
{
    text_add(text, before);
    text_add_unsigned(text, generation);
}

/* --- workers that speak for themselves --- */

static void take_ack(struct supervisor *sup, const struct control_ask *ask)
{
    unsigned slot = (unsigned)ask->slot;
    if (sup->config->ready != CLI_READY_ACK)
        return;
    /* Whoever speaks has been executed: that comes first. */
    supervisor_read_report(sup, slot);
    struct core_event event = supervisor_event(sup, CORE_READY_SAID);
    event.slot = slot;
    supervisor_feed(sup, &event);
}

static void take_ping(struct supervisor *sup, const struct control_ask *ask)
{
    struct os_time wall;
    sup->os->wall_clock(sup->os, &wall);
    tally_ping(&sup->tally, (unsigned)ask->slot, sup->os->clock_ms(sup->os), wall.seconds,
        (struct text_span){ask->request_id.bytes, ask->request_id.length});
}

/* --- rollouts --- */

/* The one that a reload brings which is asked for now, at once or when it is its turn. */
static uint64_t next_generation(const struct supervisor *sup)
{
    return sup->core.generation + 1;
}

/* Another deploy was faster, or is at it. */
static bool is_outdated(const struct core *core, uint64_t generation)
{
    return generation != 0 && (generation != core->serving || core->phase != CORE_SERVING);
}

static void refuse_outdated(struct supervisor *sup, const struct control_ask *ask)
{
    const struct core *core = &sup->core;
    char bytes[ANSWER_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    add_generation(&text, "generation ", ask->generation);
    if (core->phase == CORE_SERVING) {
        add_generation(&text, " does not serve: generation ", core->serving);
        text_add(&text, " does");
    } else {
        add_generation(
            &text, " may be replaced already: a rollout to generation ", core->generation);
        text_add(&text, " is under way");
    }
    reply_text(sup, ask, &text, CONTROL_REPLY_FAILED);
}

/* Keeps the new command, if there is one and it is there. */
static bool take_words(struct supervisor *sup, const struct control_ask *ask, struct text *why)
{
    struct supervisor_commands *commands = &sup->control.commands;
    uint64_t generation = next_generation(sup);
    struct spawn_failure failure;
    const char *path;
    if (ask->arg_count == 0)
        return true;
    if (supervisor_command_is_tried(commands, generation)) {
        add_generation(why, "another command waits already: for generation ", generation);
        return false;
    }
    const struct spawn_command *command =
        supervisor_command_try(commands, generation, ask->args, ask->arg_count);
    if (spawn_find(&sup->setup.spawn, command, &path, &failure))
        return true;
    text_add(why, "unable to ");
    text_add(why, spawn_step_text(failure.step));
    text_add_char(why, ' ');
    text_add_quoted(why, command->name, strnlen(command->name, COMMAND_SHOWN));
    text_add(why, ": ");
    text_add(why, strerror(failure.error));
    supervisor_command_settle(commands, generation, false);
    return false;
}

static void add_beginning(
    const struct supervisor *sup, enum control_command command, struct text *text)
{
    if (command == CONTROL_UPGRADE) {
        text_add(text, "Upgrading smoothly, as commanded");
        return;
    }
    if (command == CONTROL_UPGRADE_FLEET) {
        text_add(text, "Upgrading fleet, as commanded");
        return;
    }
    bool later = sup->core.phase != CORE_SERVING;
    add_generation(text, "generation ", next_generation(sup));
    text_add(text, later ? " starts when the rollout that is under way has ended" : " is starting");
}

static void reload(struct supervisor *sup, const struct control_ask *ask, enum core_mode mode)
{
    bool waits = ask->command == CONTROL_ROLLOUT ? ask->wait : ask->has_id;
    char bytes[ANSWER_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    if (is_stopping(sup)) {
        refuse(sup, ask, "a stop was asked for: nothing is started any more");
        return;
    }
    if (is_outdated(&sup->core, ask->generation)) {
        refuse_outdated(sup, ask);
        return;
    }
    if (!take_words(sup, ask, &text)) {
        reply_text(sup, ask, &text, CONTROL_REPLY_FAILED);
        return;
    }
    add_beginning(sup, ask->command, &text);
    if (waits)
        sup->control.waiters[ask->ticket.client] = (struct supervisor_waiter){
            .ticket = ask->ticket, .command = ask->command, .generation = next_generation(sup)};
    reply_text(sup, ask, &text, waits ? CONTROL_REPLY_MORE : CONTROL_REPLY_LAST);
    struct core_event event = supervisor_event(sup, CORE_RELOAD);
    event.mode = mode;
    supervisor_feed(sup, &event);
}

static void upgrade(struct supervisor *sup, const struct control_ask *ask)
{
    reload(sup, ask, CORE_MODE_SMOOTH);
}

static void upgrade_fleet(struct supervisor *sup, const struct control_ask *ask)
{
    reload(sup, ask, CORE_MODE_FLEET);
}

static void roll_out(struct supervisor *sup, const struct control_ask *ask)
{
    reload(sup, ask, CORE_MODE_SET);
}

static void end_wait(struct supervisor *sup, struct supervisor_waiter *waiter,
    struct text_span message, enum control_reply kind)
{
    struct control_ticket ticket = waiter->ticket;
    waiter->ticket.serial = 0;
    control_reply(&sup->control.control, &ticket, message, kind);
}

static void end_waits(struct supervisor *sup, const char *why)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (sup->control.waiters[i].ticket.serial)
            end_wait(sup, &sup->control.waiters[i], text_span_of(why), CONTROL_REPLY_FAILED);
}

static void tell_waiter(struct supervisor *sup, struct supervisor_waiter *waiter,
    const struct core_action *action, struct text_span line)
{
    /* Einhorn's clients know an upgrade's end by these words. */
    bool einhorns = waiter->command != CONTROL_ROLLOUT;
    bool over = action->generation == waiter->generation;
    if (action->say == CORE_SAY_ROLLOUT_FAILED && over) {
        end_wait(sup, waiter, line, CONTROL_REPLY_FAILED);
    } else if (action->say == CORE_SAY_ROLLOUT_DONE && over && !einhorns) {
        end_wait(sup, waiter, line, CONTROL_REPLY_LAST);
    } else {
        control_reply(&sup->control.control, &waiter->ticket, line, CONTROL_REPLY_MORE);
        if (action->say == CORE_SAY_ROLLOUT_DONE && over)
            end_wait(sup, waiter, text_span_of("Upgrade done"), CONTROL_REPLY_LAST);
    }
}

void supervisor_control_said(
    struct supervisor *sup, const struct core_action *action, struct text_span line)
{
    struct supervisor_control *control = &sup->control;
    if (action->say == CORE_SAY_ROLLOUT_DONE || action->say == CORE_SAY_ROLLOUT_FAILED)
        supervisor_command_settle(
            &control->commands, action->generation, action->say == CORE_SAY_ROLLOUT_DONE);
    if (action->say == CORE_SAY_RELOADING)
        control->rolling = action->generation;
    if (action->say == CORE_SAY_SIGNALLED)
        control->signalled = action->serving;
    if (!control->open)
        return;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct supervisor_waiter *waiter = &control->waiters[i];
        if (waiter->ticket.serial && waiter->generation == control->rolling)
            tell_waiter(sup, waiter, action, line);
    }
    if (action->say == CORE_SAY_STOP_ASKED)
        end_waits(sup, "the rollout is cancelled: a stop was asked for");
}

/* --- how many workers --- */

static void scale(struct supervisor *sup, const struct control_ask *ask, unsigned wanted)
{
    unsigned before = core_workers_wanted(&sup->core);
    bool later = sup->core.phase != CORE_SERVING;
    char bytes[ANSWER_SIZE];
    struct text text;
    if (is_stopping(sup)) {
        refuse(sup, ask, "a stop was asked for: nothing is started any more");
        return;
    }
    text_init(&text, bytes, sizeof bytes);
    if (wanted < 1 || wanted > LIMIT_WORKERS) {
        text_add(&text, "unable to run ");
        text_add_unsigned(&text, wanted);
        text_add(&text, " workers: expected 1 to ");
        text_add_unsigned(&text, LIMIT_WORKERS);
        reply_text(sup, ask, &text, CONTROL_REPLY_FAILED);
        return;
    }
    struct core_event event = supervisor_event(sup, CORE_SCALE);
    event.number = (int)wanted;
    supervisor_feed(sup, &event);
    text_add(&text, "workers wanted: ");
    text_add_unsigned(&text, before);
    text_add(&text, " -> ");
    text_add_unsigned(&text, wanted);
    if (later)
        text_add(&text, ", when the rollout that is under way has ended");
    reply_text(sup, ask, &text, CONTROL_REPLY_LAST);
}

static void increment(struct supervisor *sup, const struct control_ask *ask)
{
    scale(sup, ask, core_workers_wanted(&sup->core) + 1);
}

static void decrement(struct supervisor *sup, const struct control_ask *ask)
{
    scale(sup, ask, core_workers_wanted(&sup->core) - 1);
}

static void set_workers(struct supervisor *sup, const struct control_ask *ask)
{
    scale(sup, ask, ask->number);
}

/* --- signals --- */

static void send_signals(struct supervisor *sup, const struct control_ask *ask)
{
    char bytes[ANSWER_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    for (size_t i = 0; i < ask->signal_count; i++) {
        struct core_event event = supervisor_event(sup, CORE_SIGNAL);
        event.number = ask->signals[i];
        sup->control.signalled = 0;
        supervisor_feed(sup, &event);
        text_add(&text, i == 0 ? "sent " : ", ");
        text_add(&text, cli_signal_name(ask->signals[i]));
        text_add(&text, " to ");
        text_add_unsigned(&text, sup->control.signalled);
        text_add(&text, sup->control.signalled == 1 ? " worker" : " workers");
    }
    reply_text(sup, ask, &text, CONTROL_REPLY_LAST);
}

static void die(struct supervisor *sup, const struct control_ask *ask)
{
    int signal = ask->signals[0];
    char bytes[ANSWER_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    text_add(&text, "stopping: each worker gets ");
    text_add(&text, cli_signal_name(signal));
    reply_text(sup, ask, &text, CONTROL_REPLY_LAST);
    struct core_event event = supervisor_event(sup, CORE_STOP);
    event.number = signal;
    supervisor_feed(sup, &event);
}

/* --- the log --- */

static void take_verbosity(struct supervisor *sup, unsigned verbosity)
{
    sup->control.verbosity = verbosity;
    log_set_quiet(&sup->log, verbosity == CONTROL_VERBOSITY_MAX);
}

static void set_verbosity(struct supervisor *sup, const struct control_ask *ask, unsigned verbosity)
{
    static const char *const told[CONTROL_VERBOSITY_MAX + 1] = {
        "verbosity 0: what is asked of this socket is logged too",
        "verbosity 1: all but what is asked of this socket is logged",
        "verbosity 2: of the master's own lines warnings and errors alone are logged",
    };
    take_verbosity(sup, verbosity);
    reply(sup, ask, told[verbosity]);
}

static void quieter(struct supervisor *sup, const struct control_ask *ask)
{
    unsigned now = sup->control.verbosity;
    set_verbosity(sup, ask, now < CONTROL_VERBOSITY_MAX ? now + 1 : now);
}

static void louder(struct supervisor *sup, const struct control_ask *ask)
{
    unsigned now = sup->control.verbosity;
    set_verbosity(sup, ask, now > 0 ? now - 1 : now);
}

/* All of it, or nothing. */
static void configure(struct supervisor *sup, const struct control_ask *ask)
{
    const struct control_config *config = &ask->config;
    if (config->has_number) {
        if (config->has_verbosity && !is_stopping(sup))
            take_verbosity(sup, config->verbosity);
        scale(sup, ask, config->number);
    } else if (config->has_verbosity) {
        set_verbosity(sup, ask, config->verbosity);
    } else {
        reply(sup, ask, "nothing to change");
    }
}

/* As much of the log's lines as goes into one reply: whole ones, unless the first is too long. */
static size_t piece_of(const char *lines, size_t length)
{
    if (length <= FOLLOWED_MAX)
        return length;
    const char *newline = memrchr(lines, '\n', FOLLOWED_MAX);
    return newline ? (size_t)(newline + 1 - lines) : FOLLOWED_MAX;
}

static bool tell_left_out(struct supervisor *sup, struct supervisor_follower *follower)
{
    char bytes[64];
    struct text text;
    if (!follower->left_out)
        return true;
    text_init(&text, bytes, sizeof bytes);
    text_add(&text, "... ");
    text_add_unsigned(&text, follower->left_out);
    text_add(&text, follower->left_out == 1 ? " line left out\n" : " lines left out\n");
    if (!control_reply(&sup->control.control, &follower->ticket,
            (struct text_span){text.bytes, text.length}, CONTROL_REPLY_MORE))
        return false;
    follower->left_out = 0;
    return true;
}

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < length; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void tell_follower(
    struct supervisor *sup, struct supervisor_follower *follower, const char *lines, size_t length)
{
    while (length) {
        struct text_span piece = {lines, piece_of(lines, length)};
        if (!tell_left_out(sup, follower) ||
            !control_reply(&sup->control.control, &follower->ticket, piece, CONTROL_REPLY_MORE)) {
            follower->left_out += count_lines(lines, length);
            return;
        }
        lines += piece.length;
        length -= piece.length;
    }
}

static void tell_each(struct supervisor *sup, const char *lines, size_t length)
{
    bool any = false;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct supervisor_follower *follower = &sup->control.followers[i];
        if (follower->ticket.serial == 0)
            continue;
        if (control_is_there(&sup->control.control, &follower->ticket)) {
            tell_follower(sup, follower, lines, length);
            any = true;
        } else {
            follower->ticket.serial = 0;
        }
    }
    if (!any)
        log_follow(&sup->log, NULL);
}

static void tell_followers(void *context, const char *lines, size_t length)
{
    struct supervisor *sup = context;
    if (!sup->config->syslog) {
        tell_each(sup, lines, length);
        return;
    }
    /* The number before each line, how severe it is, is for the daemon alone. */
    const char *end = lines + length;
    while (lines < end) {
        const char *newline = memchr(lines, '\n', (size_t)(end - lines));
        const char *line = memchr(lines, '>', (size_t)(newline - lines));
        tell_each(sup, line + 1, (size_t)(newline - line));
        lines = newline + 1;
    }
}

static void follow(struct supervisor *sup, const struct control_ask *ask)
{
    struct supervisor_control *control = &sup->control;
    control->followers[ask->ticket.client] = (struct supervisor_follower){.ticket = ask->ticket};
    control_reply(
        &control->control, &ask->ticket, text_span_of("Following the log"), CONTROL_REPLY_MORE);
    log_follow(&sup->log, &control->tap);
}

/* --- what there is to know --- */

static void tell(struct supervisor *sup, const struct control_ask *ask, enum supervisor_form form)
{
    struct text text;
    text_init(&text, sup->control.text, sizeof sup->control.text);
    supervisor_status_add(sup, form, ask->columns, ask->colour, &text);
    reply_text(sup, ask, &text, CONTROL_REPLY_LAST);
}

static void tell_state(struct supervisor *sup, const struct control_ask *ask)
{
    tell(sup, ask, SUPERVISOR_STATE);
}

static void tell_metrics(struct supervisor *sup, const struct control_ask *ask)
{
    tell(sup, ask, SUPERVISOR_METRICS);
}

static void tell_status(struct supervisor *sup, const struct control_ask *ask)
{
    tell(sup, ask, ask->view == CONTROL_JSON ? SUPERVISOR_JSON : SUPERVISOR_TABLE);
}

/* --- all together --- */

static void say_asked(struct supervisor *sup, const struct control_ask *ask)
{
    char bytes[256];
    struct text text;
    if (sup->control.verbosity > 0)
        return;
    text_init(&text, bytes, sizeof bytes);
    text_add(&text, "control: process ");
    text_add_signed(&text, ask->peer_pid);
    text_add(&text, " of user ");
    text_add_unsigned(&text, ask->peer_uid);
    text_add(&text, " asked: ");
    text_add(&text, control_command_name(ask->command));
    log_say(&sup->log, LOG_INFO, text.bytes, text.length);
}

typedef void handler(struct supervisor *sup, const struct control_ask *ask);

static handler *const handlers[CONTROL_ASKED_COUNT] = {
    [CONTROL_ACK] = take_ack,
    [CONTROL_PING] = take_ping,
    [CONTROL_STATE] = tell_state,
    [CONTROL_UPGRADE] = upgrade,
    [CONTROL_UPGRADE_FLEET] = upgrade_fleet,
    [CONTROL_INC] = increment,
    [CONTROL_DEC] = decrement,
    [CONTROL_SET_WORKERS] = set_workers,
    [CONTROL_SIGNAL] = send_signals,
    [CONTROL_DIE] = die,
    [CONTROL_QUIETER] = quieter,
    [CONTROL_LOUDER] = louder,
    [CONTROL_CONFIG] = configure,
    [CONTROL_ROLLOUT] = roll_out,
    [CONTROL_STATUS] = tell_status,
    [CONTROL_METRICS] = tell_metrics,
    [CONTROL_LOGS] = follow,
};

static void take(void *context, const struct control_ask *ask)
{
    struct supervisor *sup = context;
    say_asked(sup, ask);
    handlers[ask->command](sup, ask);
}

static int find_worker(void *context, pid_t pid)
{
    struct supervisor *sup = context;
    return core_find(&sup->core, pid);
}

int supervisor_control_open(struct supervisor *sup)
{
    struct supervisor_control *control = &sup->control;
    struct os *os = sup->os;
    const struct os_user *account = sup->setup.spawn_settings.account;
    const struct control_host host = {.context = sup, .find_worker = find_worker, .ask = take};
    control->open = false;
    control->verbosity = VERBOSITY;
    control->rolling = 0;
    control->tap = (struct log_tap){.take = tell_followers, .context = sup};
    supervisor_commands_clear(&control->commands);
    if (sup->setup.control.fd < 0)
        return 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        control->waiters[i].ticket.serial = control->followers[i].ticket.serial = 0;
    uid_t own = os->user_id(os);
    int error = control_open(
        &control->control, os, sup->setup.control.fd, own, account ? account->uid : own, &host);
    if (error < 0)
        return error;
    control->open = true;
    error = os->watch_add(
        os, sup->set, control->control.set, supervisor_token(WATCHED_CONTROL, 0), true, false);
    if (error < 0)
        supervisor_control_close(sup);
    return error;
}

void supervisor_control_close(struct supervisor *sup)
{
    if (!sup->control.open)
        return;
    end_waits(sup, "the rollout is cancelled: the master ends");
    log_follow(&sup->log, NULL);
    sup->control.open = false;
    control_close(&sup->control.control);
}

void supervisor_control_serve(struct supervisor *sup, bool readable)
{
    struct supervisor_control *control = &sup->control;
    uint64_t now = sup->os->clock_ms(sup->os);
    if (!control->open || (!readable && control_deadline(&control->control) > now))
        return;
    bool stands_back = control->stands_back;
    control->stands_back = false;
    if (stands_back)
        sup->os->pause_ms(sup->os, STAND_BACK_MS);
    else
        control_pump(&control->control, now);
}

uint64_t supervisor_control_deadline(const struct supervisor *sup)
{
    return sup->control.open ? control_deadline(&sup->control.control) : CORE_NEVER;
}
