/*
 * status_state: the snapshot as einhorn's command `state` shows its own (rule K2).
 *
 * Owns: the shape: a YAML document whose keys are Ruby's symbols, with each key that einhorn 1.1
 * has, so that a script that reads one finds it; what has no counterpart here is empty. Generations
 * stand for its versions, a worker that is or was ready for one that is acked.
 *
 * Strings are double-quoted, where Ruby would quote some only: to a parser that is the same.
 */
#include "status_parts.h"

#include <string.h>

#include "cli_signal.h"

/* --- scalars; each ends its line --- */

static void add_key(struct text *text, const char *key)
{
    text_add(text, key);
    text_add_char(text, ':');
}

static void add_nothing(struct text *text, const char *key)
{
    add_key(text, key);
    text_add_char(text, '\n');
}

static void add_plain(struct text *text, const char *key, const char *word)
{
    add_key(text, key);
    text_add_char(text, ' ');
    text_add(text, word);
    text_add_char(text, '\n');
}

static void add_boolean(struct text *text, const char *key, bool value)
{
    add_plain(text, key, value ? "true" : "false");
}

static void add_number(struct text *text, const char *key, uint64_t number)
{
    add_key(text, key);
    text_add_char(text, ' ');
    text_add_unsigned(text, number);
    text_add_char(text, '\n');
}

/* Milliseconds, in seconds: a float of Ruby's. */
static void add_seconds(struct text *text, const char *key, uint64_t milliseconds)
{
    add_key(text, key);
    text_add_char(text, ' ');
    status_add_seconds(text, milliseconds);
    text_add_char(text, '\n');
}

static void add_string(struct text *text, const char *key, struct text_span span)
{
    add_key(text, key);
    text_add_char(text, ' ');
    status_add_string(text, span);
    text_add_char(text, '\n');
}

static void add_time(struct text *text, const char *key, const struct tally_time *time)
{
    if (!status_has_been(time)) {
        add_nothing(text, key);
        return;
    }
    add_key(text, key);
    text_add_char(text, ' ');
    status_add_date(text, time->wall);
    text_add(text, ".000000000 Z\n");
}

/* --- children --- */

/* As Ruby writes a Set. */
static void add_signals(struct text *text, uint64_t signals)
{
    text_add(text, "      :signaled: !ruby/object:Set\n        hash:");
    if (signals == 0) {
        text_add(text, " {}\n");
        return;
    }
    text_add_char(text, '\n');
    for (int signal = 1; signal <= 64; signal++) {
        if ((signals >> (signal - 1) & 1) == 0)
            continue;
        const char *name = cli_signal_name(signal);
        text_add(text, "          ");
        if (name != NULL) {
            text_add(text, name);
        } else {
            text_add(text, "SIG");
            text_add_signed(text, signal);
        }
        text_add(text, ": true\n");
    }
}

static void add_child(struct text *text, const struct status_source *source, unsigned slot)
{
    const struct core_worker *worker = &source->core->workers[slot];
    const struct tally_slot *known = &source->tally->slots[slot];
    text_add(text, "    ");
    text_add_signed(text, worker->pid);
    text_add(text, ":\n");
    add_plain(text, "      :type", ":worker");
    add_number(text, "      :version", worker->generation);
    add_boolean(text, "      :acked", status_has_been(&known->ready));
    add_signals(text, known->signals);
    add_time(text, "      :last_signaled_at", &known->signalled);
    add_number(text, "      :index", slot);
    add_time(text, "      :spinup_time", &known->asked_for);
    add_time(text, "      :pinged_at", &known->pinged);
    if (known->ping_id_length > 0)
        add_string(text, "      :pinged_request_id",
            (struct text_span){known->ping_id, known->ping_id_length});
    else
        add_nothing(text, "      :pinged_request_id");
}

/* Returns when the latest of them was started. */
static struct tally_time add_children(struct text *text, const struct status_source *source)
{
    struct tally_time latest = {.ms = 0};
    bool any = false;
    add_key(text, "  :children");
    for (unsigned slot = 0; slot < source->core->slot_bound; slot++) {
        if (source->core->workers[slot].pid <= 0)
            continue;
        const struct tally_time *started = &source->tally->slots[slot].asked_for;
        if (started->ms > latest.ms)
            latest = *started;
        if (!any)
            text_add_char(text, '\n');
        any = true;
        add_child(text, source, slot);
    }
    if (!any)
        text_add(text, " {}\n");
    return latest;
}

/* --- sockets --- */

/* The host and the port of "tcp://HOST:PORT"; false for an address of another kind. */
static bool split_address(const char *address, struct text_span *host, struct text_span *port)
{
    static const char scheme[] = "tcp://";
    const size_t before = sizeof scheme - 1;
    const char *colon = strrchr(address, ':');
    if (strncmp(address, scheme, before) != 0 || colon < address + before)
        return false;
    *port = text_span_of(colon + 1);
    *host = (struct text_span){address + before, (size_t)(colon - address) - before};
    if (host->length >= 2 && host->bytes[0] == '[') {
        host->bytes++;
        host->length -= 2;
    }
    return true;
}

/* Of einhorn's flags "r" says SO_REUSEADDR, which every tcp socket has here. */
static void add_bind(struct text *text, const struct status_source *source)
{
    bool any = false;
    add_key(text, "  :bind");
    for (size_t i = 0; i < source->listener_count; i++) {
        struct text_span host, port;
        if (!split_address(source->listeners[i].address, &host, &port))
            continue;
        text_add(text, "\n  - - ");
        status_add_string(text, host);
        text_add(text, "\n    - ");
        status_add_string(text, port);
        text_add(text, "\n    - - r");
        any = true;
    }
    text_add(text, any ? "\n" : " []\n");
}

/* As a worker finds them (rule E1). */
static void add_bind_fds(struct text *text, const struct status_source *source)
{
    enum { FIRST_FD = 3 };
    if (source->listener_count == 0) {
        add_plain(text, "  :bind_fds", "[]");
        return;
    }
    add_nothing(text, "  :bind_fds");
    for (size_t i = 0; i < source->listener_count; i++) {
        text_add(text, "  - ");
        text_add_unsigned(text, FIRST_FD + i);
        text_add_char(text, '\n');
    }
}

static void add_bound_ports(struct text *text, const struct status_source *source)
{
    bool any = false;
    add_key(text, "  :bound_ports");
    for (size_t i = 0; i < source->listener_count; i++) {
        struct text_span host, port;
        if (!split_address(source->listeners[i].address, &host, &port))
            continue;
        text_add(text, "\n  - ");
        text_add_bytes(text, port.bytes, port.length);
        any = true;
    }
    text_add(text, any ? "\n" : " []\n");
}

/* --- the rest --- */

static void add_command(struct text *text, const struct status_source *source, const char *key)
{
    size_t shown = status_command_shown(source);
    if (shown == 0) {
        add_plain(text, key, "[]");
        return;
    }
    add_nothing(text, key);
    for (size_t i = 0; i < shown; i++) {
        text_add(text, "  - ");
        status_add_string(text, source->command[i]);
        text_add_char(text, '\n');
    }
}

static void add_config(struct text *text, const struct status_source *source)
{
    const struct core_settings *settings = &source->core->settings;
    uint32_t backlog = 0;
    for (size_t i = 0; i < source->listener_count && backlog == 0; i++)
        backlog = source->listeners[i].has_queue ? source->listeners[i].limit : 0;
    add_nothing(text, "  :config");
    add_number(text, "    :number", core_workers_wanted(source->core));
    if (backlog > 0)
        add_number(text, "    :backlog", backlog);
    else
        add_nothing(text, "    :backlog");
    add_number(text, "    :seconds", CORE_RESPAWN_MS / 1000);
    add_number(text, "    :max_unacked", settings->max_starting);
}

static void add_ack_mode(struct text *text, const struct core_settings *settings)
{
    add_nothing(text, "  :ack_mode");
    if (settings->says_ready) {
        add_plain(text, "    :type", ":manual");
        return;
    }
    add_plain(text, "    :type", ":timer");
    add_seconds(text, "    :timeout", settings->start_ms);
}

static void add_upgrades(struct text *text, const struct core *core)
{
    add_boolean(text, "  :respawn", core->phase != CORE_STOPPING && core->phase != CORE_ENDED);
    add_boolean(text, "  :upgrading", core->phase == CORE_ROLLING);
    add_boolean(text, "  :smooth_upgrade", core->smooth);
    add_boolean(text, "  :reloading_for_upgrade", false);
}

static void add_paths(struct text *text, const struct status_source *source)
{
    add_boolean(text, "  :kill_children_on_exit", false);
    add_boolean(text, "  :command_socket_as_fd", false);
    if (source->control != NULL)
        add_string(text, "  :socket_path", text_span_of(source->control));
    else
        add_nothing(text, "  :socket_path");
    add_nothing(text, "  :pidfile");
    add_nothing(text, "  :lockfile");
}

static void add_last_upgrade(struct text *text, const struct tally_rollout *rollout)
{
    /* The first start is none. */
    if (rollout->generation > 1)
        add_time(text, "  :last_upgraded", &rollout->began);
    else
        add_nothing(text, "  :last_upgraded");
}

void status_add_state(struct text *text, const struct status_source *source)
{
    const struct core *core = source->core;
    text_add(text, "---\n:state:\n");
    const struct tally_time latest = add_children(text, source);
    add_config(text, source);
    add_plain(text, "  :versions", "{}");
    add_number(text, "  :version", core->generation);
    add_plain(text, "  :sockets", "{}");
    add_command(text, source, "  :orig_cmd");
    add_bind(text, source);
    add_bind_fds(text, source);
    add_bound_ports(text, source);
    add_command(text, source, "  :cmd");
    add_nothing(text, "  :script_name");
    add_upgrades(text, core);
    add_nothing(text, "  :path");
    add_nothing(text, "  :cmd_name");
    add_number(text, "  :verbosity", source->verbosity);
    add_number(text, "  :generation", 0); /* einhorn's own: how often it executed itself anew */
    add_time(text, "  :last_spinup", &latest);
    add_ack_mode(text, &core->settings);
    add_paths(text, source);
    add_number(text, "  :consecutive_deaths_before_ack", core->failed_in_a_row);
    add_last_upgrade(text, &source->tally->rollout);
    text_add(text, "  :nice:\n    :master:\n    :worker:\n    :renice_cmd:\n");
    add_nothing(text, "  :reexec_commandline");
    add_plain(text, "  :drop_environment_variables", "[]");
    if (core->settings.stop_ms > 0)
        add_seconds(text, "  :signal_timeout", core->settings.stop_ms);
    else
        add_nothing(text, "  :signal_timeout");
    add_boolean(text, "  :preloaded", false);
    add_boolean(text, "  :reloading_for_preload_upgrade", false);
    add_plain(text, ":persistent_descriptors", "[]");
}
