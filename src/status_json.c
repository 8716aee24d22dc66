/*
 * status_json: the snapshot as one line of JSON, as doc/status.md describes it.
 *
 * Owns: the names and the order of its members. Members are added at the end of their object, and
 * none is ever taken away or changes its meaning.
 */
#include "status_parts.h"

#include <string.h>

/* --- members --- */

/* Comes before each member of an object and each element of a list. */
static void separate(struct text *text)
{
    char last = text->length > 0 ? text->bytes[text->length - 1] : '{';
    if (last != '{' && last != '[')
        text_add_char(text, ',');
}

static void add_name(struct text *text, const char *name)
{
    separate(text);
    text_add_char(text, '"');
    text_add(text, name);
    text_add(text, "\":");
}

static void add_unsigned(struct text *text, const char *name, uint64_t number)
{
    add_name(text, name);
    text_add_unsigned(text, number);
}

static void add_signed(struct text *text, const char *name, int64_t number)
{
    add_name(text, name);
    text_add_signed(text, number);
}

static void add_boolean(struct text *text, const char *name, bool value)
{
    add_name(text, name);
    text_add(text, value ? "true" : "false");
}

static void add_null(struct text *text, const char *name)
{
    add_name(text, name);
    text_add(text, "null");
}

/* A word of our own, which needs no escapes. */
static void add_word(struct text *text, const char *name, const char *word)
{
    add_name(text, name);
    text_add_char(text, '"');
    text_add(text, word);
    text_add_char(text, '"');
}

static void add_string(struct text *text, const char *name, struct text_span span)
{
    add_name(text, name);
    status_add_string(text, span);
}

/* A time of the wall clock, or null where there was none. */
static void add_time(struct text *text, const char *name, const struct tally_time *time)
{
    if (status_has_been(time))
        add_signed(text, name, time->wall);
    else
        add_null(text, name);
}

/* --- parts --- */

static void add_command(struct text *text, const struct status_source *source)
{
    size_t shown = status_command_shown(source);
    add_name(text, "command");
    text_add_char(text, '[');
    for (size_t i = 0; i < shown; i++) {
        separate(text);
        status_add_string(text, source->command[i]);
    }
    text_add_char(text, ']');
    add_boolean(text, "command_whole", shown == source->command_count);
}

static void add_listener(struct text *text, const struct status_listener *listener)
{
    separate(text);
    text_add_char(text, '{');
    add_string(text, "address", text_span_of(listener->address));
    if (listener->uri.length > 0)
        add_string(text, "uri", status_cut(listener->uri, STATUS_URI_MAX));
    else
        add_null(text, "uri");
    add_string(text, "name", text_span_of(listener->name));
    if (listener->has_queue) {
        add_unsigned(text, "waiting", listener->waiting);
        add_unsigned(text, "limit", listener->limit);
    } else {
        add_null(text, "waiting");
        add_null(text, "limit");
    }
    if (listener->has_drops)
        add_unsigned(text, "overflows", listener->drops);
    else
        add_null(text, "overflows");
    text_add_char(text, '}');
}

static void add_ping(struct text *text, const struct tally_slot *slot)
{
    const struct text_span id = {slot->ping_id, slot->ping_id_length};
    add_time(text, "pinged_at", &slot->pinged);
    if (status_has_been(&slot->pinged))
        add_string(text, "ping_id", id);
    else
        add_null(text, "ping_id");
}

static void add_worker(struct text *text, const struct status_source *source, unsigned slot)
{
    const struct core_worker *worker = &source->core->workers[slot];
    const struct tally_slot *known = &source->tally->slots[slot];
    uint64_t kill_in;
    separate(text);
    text_add_char(text, '{');
    add_unsigned(text, "slot", slot);
    if (worker->pid > 0)
        add_signed(text, "pid", worker->pid);
    else
        add_null(text, "pid");
    add_unsigned(text, "generation", worker->generation);
    add_word(text, "state", status_states[worker->state]);
    add_time(text, "since", &known->since);
    add_unsigned(text, "since_ms", status_elapsed(known->since.ms, source->now_ms));
    add_time(text, "started_at", &known->asked_for);
    add_time(text, "ready_at", &known->ready);
    if (status_has_been(&known->ready))
        add_unsigned(text, "ready_after_ms", known->ready_after);
    else
        add_null(text, "ready_after_ms");
    add_unsigned(text, "restarts", known->restarts);
    if (status_kill_due(worker, source->now_ms, &kill_in))
        add_unsigned(text, "kill_in_ms", kill_in);
    else
        add_null(text, "kill_in_ms");
    add_string(text, "status", status_of_slot(source, slot));
    add_ping(text, known);
    text_add_char(text, '}');
}

static void add_listeners(struct text *text, const struct status_source *source)
{
    add_name(text, "listeners");
    text_add_char(text, '[');
    for (size_t i = 0; i < source->listener_count; i++)
        add_listener(text, &source->listeners[i]);
    text_add_char(text, ']');
}

static void add_workers(struct text *text, const struct status_source *source)
{
    add_name(text, "workers");
    text_add_char(text, '[');
    for (unsigned slot = 0; slot < source->core->slot_bound; slot++)
        if (source->core->workers[slot].state != CORE_WORKER_NONE)
            add_worker(text, source, slot);
    text_add_char(text, ']');
}

static void add_why(struct text *text, const struct tally_rollout *rollout)
{
    const struct core_action *why = &rollout->why;
    const struct text_span line = {rollout->line, rollout->line_length};
    const struct text_span output = {rollout->output, rollout->output_length};
    bool has_worker = why->failure != CORE_FAILURE_NO_SLOT;
    add_name(text, "why");
    text_add_char(text, '{');
    add_word(text, "failure", status_failures[why->failure]);
    if (has_worker)
        add_unsigned(text, "slot", why->slot);
    else
        add_null(text, "slot");
    if (has_worker && why->pid > 0)
        add_signed(text, "pid", why->pid);
    else
        add_null(text, "pid");
    add_string(text, "message", line);
    add_string(text, "output", output);
    text_add_char(text, '}');
}

static void add_rollout(struct text *text, const struct status_source *source)
{
    const struct tally_rollout *rollout = &source->tally->rollout;
    if (rollout->result == TALLY_NONE) {
        add_null(text, "rollout");
        return;
    }
    add_name(text, "rollout");
    text_add_char(text, '{');
    add_unsigned(text, "generation", rollout->generation);
    add_word(text, "result", status_results[rollout->result]);
    add_time(text, "began_at", &rollout->began);
    add_time(text, "ended_at", &rollout->ended);
    add_unsigned(text, "elapsed_ms", status_rollout_elapsed(source));
    if (rollout->result == TALLY_FAILED)
        add_why(text, rollout);
    else
        add_null(text, "why");
    text_add_char(text, '}');
}

static void add_counters(struct text *text, const struct status_source *source)
{
    add_name(text, "counters");
    text_add_char(text, '{');
    for (size_t i = 0; i < status_counter_count; i++)
        add_unsigned(text, status_counters[i].name, status_counters[i].count(source));
    text_add_char(text, '}');
}

void status_add_json(struct text *text, const struct status_source *source)
{
    const struct core *core = source->core;
    text_add_char(text, '{');
    add_unsigned(text, "format", 1);
    add_string(text, "version", text_span_of(source->version));
    add_signed(text, "pid", source->master_pid);
    add_signed(text, "time", source->wall_s);
    add_signed(text, "started_at", source->started_wall_s);
    add_word(text, "phase", status_phases[core->phase]);
    add_unsigned(text, "generation", core->serving);
    add_unsigned(text, "latest_generation", core->generation);
    add_boolean(text, "reload_pending", core->reload_pending);
    add_unsigned(text, "workers_wanted", core_workers_wanted(core));
    add_command(text, source);
    if (source->control != NULL)
        add_string(text, "control", text_span_of(source->control));
    else
        add_null(text, "control");
    add_unsigned(text, "verbosity", source->verbosity);
    add_listeners(text, source);
    add_workers(text, source);
    add_rollout(text, source);
    add_counters(text, source);
    text_add(text, "}\n");
}
