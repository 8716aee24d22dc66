/*
 * status_metrics: the snapshot in Prometheus' text format, version 0.0.4.
 *
 * Owns: the names, units and labels of the metrics, which doc/status.md lists. Of single workers
 * nothing is told: their pids would make new series for ever.
 */
#include "status_parts.h"

/* --- families and samples --- */

static void add_family(struct text *text, const char *name, const char *type, const char *help)
{
    static const char *const lines[] = {"# HELP socketmaster_", "# TYPE socketmaster_"};
    const char *const ends[] = {help, type};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        text_add(text, lines[i]);
        text_add(text, name);
        text_add_char(text, ' ');
        text_add(text, ends[i]);
        text_add_char(text, '\n');
    }
}

static void begin_sample(struct text *text, const char *name)
{
    text_add(text, "socketmaster_");
    text_add(text, name);
}

static void end_sample(struct text *text, uint64_t value)
{
    text_add_char(text, ' ');
    text_add_unsigned(text, value);
    text_add_char(text, '\n');
}

/* Addresses are URIs, names have no control bytes: a quote and a backslash are all that needs
 * care, and what is no ASCII is for others to have let in. */
static void add_label(struct text *text, const char *name, const char *value, char before)
{
    text_add_char(text, before);
    text_add(text, name);
    text_add(text, "=\"");
    for (const char *at = value; *at != '\0'; at++) {
        bool shown = *at >= ' ' && *at <= '~';
        if (*at == '"' || *at == '\\')
            text_add_char(text, '\\');
        text_add_char(text, shown ? *at : '?');
    }
    text_add_char(text, '"');
}

static void add_gauge(struct text *text, const char *name, const char *help, uint64_t value)
{
    add_family(text, name, "gauge", help);
    begin_sample(text, name);
    end_sample(text, value);
}

static void add_labelled(
    struct text *text, const char *name, const char *label, const char *value, uint64_t number)
{
    begin_sample(text, name);
    add_label(text, label, value, '{');
    text_add_char(text, '}');
    end_sample(text, number);
}

/* Milliseconds, in seconds. */
static void add_seconds(struct text *text, const char *name, uint64_t milliseconds)
{
    begin_sample(text, name);
    text_add_char(text, ' ');
    status_add_seconds(text, milliseconds);
    text_add_char(text, '\n');
}

/* --- parts --- */

static void add_master(struct text *text, const struct status_source *source)
{
    const struct core *core = source->core;
    add_family(text, "build_info", "gauge", "Always 1; the version is in its label.");
    add_labelled(text, "build_info", "version", source->version, 1);
    add_gauge(text, "start_time_seconds", "When the master was started, since 1970.",
        source->started_wall_s > 0 ? (uint64_t)source->started_wall_s : 0);
    add_gauge(text, "generation", "The generation that serves; 0 before the first.", core->serving);
    add_gauge(text, "latest_generation", "The generation that was started last.", core->generation);
    add_family(text, "phase", "gauge", "1 for the phase in which the master is.");
    for (int phase = 0; phase < CORE_PHASE_COUNT; phase++)
        add_labelled(
            text, "phase", "phase", status_phases[phase], phase == (int)core->phase ? 1 : 0);
    add_gauge(text, "reload_pending", "1 while a reload waits for the end of a rollout.",
        core->reload_pending);
}

static void add_workers(struct text *text, const struct status_source *source)
{
    const struct core *core = source->core;
    add_gauge(text, "workers_wanted", "How many workers are asked for.", core_workers_wanted(core));
    add_family(text, "workers", "gauge", "Living workers by state.");
    for (int state = CORE_WORKER_SPAWNING; state < CORE_WORKER_STATE_COUNT; state++)
        add_labelled(text, "workers", "state", status_states[state],
            status_workers_in(core, (enum core_worker_state)state));
}

static void add_rollout(struct text *text, const struct status_source *source)
{
    const struct tally_rollout *rollout = &source->tally->rollout;
    add_family(text, "last_rollout", "gauge", "1 for the result of the last rollout.");
    for (int result = TALLY_RUNNING; result <= TALLY_CANCELLED; result++)
        add_labelled(text, "last_rollout", "result", status_results[result],
            result == (int)rollout->result ? 1 : 0);
    if (rollout->result == TALLY_NONE)
        return;
    add_gauge(text, "last_rollout_start_time_seconds", "When the last rollout began, since 1970.",
        rollout->began.wall > 0 ? (uint64_t)rollout->began.wall : 0);
    if (rollout->result == TALLY_RUNNING)
        return;
    add_family(text, "last_rollout_duration_seconds", "gauge", "How long the last rollout took.");
    add_seconds(text, "last_rollout_duration_seconds", rollout->elapsed);
}

struct listener_family {
    const char *name;
    const char *type;
    const char *help;
    bool (*sample)(const struct status_listener *listener, uint64_t *value);
};

static bool sample_waiting(const struct status_listener *listener, uint64_t *value)
{
    *value = listener->waiting;
    return listener->has_queue;
}

static bool sample_limit(const struct status_listener *listener, uint64_t *value)
{
    *value = listener->limit;
    return listener->has_queue;
}

static bool sample_drops(const struct status_listener *listener, uint64_t *value)
{
    *value = listener->drops;
    return listener->has_drops;
}

static void add_listeners(struct text *text, const struct status_source *source)
{
    static const struct listener_family families[] = {
        {"listener_waiting", "gauge", "Connections that wait to be accepted.", sample_waiting},
        {"listener_waiting_limit", "gauge", "How many connections may wait.", sample_limit},
        {"listener_overflows_total", "counter",
            "Tries to connect that found the queue full, or datagrams without room.", sample_drops},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct listener_family *family = &families[i];
        add_family(text, family->name, family->type, family->help);
        for (size_t k = 0; k < source->listener_count; k++) {
            const struct status_listener *listener = &source->listeners[k];
            uint64_t value;
            if (!family->sample(listener, &value))
                continue;
            begin_sample(text, family->name);
            /* Two listeners may have one address: reuseport=true. */
            text_add(text, "{listener=\"");
            text_add_unsigned(text, k);
            text_add_char(text, '"');
            add_label(text, "address", listener->address, ',');
            add_label(text, "name", listener->name, ',');
            text_add_char(text, '}');
            end_sample(text, value);
        }
    }
}

/* The name of a counter ends in _total, in all three lines. */
static void add_counter(
    struct text *text, const struct status_counter *counter, const struct status_source *source)
{
    char bytes[64];
    struct text name;
    text_init(&name, bytes, sizeof bytes);
    text_add(&name, counter->name);
    text_add(&name, "_total");
    add_family(text, name.bytes, "counter", counter->help);
    begin_sample(text, name.bytes);
    end_sample(text, counter->count(source));
}

void status_add_metrics(struct text *text, const struct status_source *source)
{
    add_master(text, source);
    add_workers(text, source);
    add_rollout(text, source);
    add_listeners(text, source);
    for (size_t i = 0; i < status_counter_count; i++)
        add_counter(text, &status_counters[i], source);
}
