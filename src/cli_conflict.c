/*
 * cli_conflict: values that are right one by one, but not together.
 *
 * Owns: each contradiction, as a row. Leaves to others: the form of a complaint (cli_option).
 */
#include "cli_conflict.h"

#include <string.h>

static bool is_json_for_syslog(const struct config *config)
{
    return config->syslog && config->log == CLI_LOG_JSON;
}

static bool is_timeout_of_living(const struct config *config)
{
    return config->ready == CLI_READY_ALIVE;
}

/* With these modes -start has no meaning; but who gave both expects a worker to live that long. */
static bool is_timeout_before_start(const struct config *config)
{
    return config->ready_timeout_ms > 0 && config->ready_timeout_ms < config->start_ms;
}

static bool is_ack_without_control(const struct config *config)
{
    return config->ready == CLI_READY_ACK && !config->controlled;
}

static bool is_control_a_listener(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct uri *uri = &config->listeners[i];

        if (uri->path_length > 0 && !uri->abstract && strcmp(uri->path, config->control.path) == 0)
            return true;
    }
    return false;
}

static bool is_limit_of_fleet(const struct config *config)
{
    return !config->smooth;
}

/* An option that was given contradicts another one: by its default too, unless that is `given`. */
static const struct {
    const char *option;
    const char *given; /* NULL: the other may have its default */
    bool (*applies)(const struct config *config);
    const char *expected;
} conflicts[] = {
    {"log", NULL, is_json_for_syslog, "text together with -syslog"},
    {"ready-timeout", NULL, is_timeout_of_living, "-ready=notify, ack or fd together with it"},
    {"ready-timeout", "start", is_timeout_before_start, "0, or no less than -start"},
    {"ready", NULL, is_ack_without_control, "alive, notify or fd; ack needs -control"},
    {"control", NULL, is_control_a_listener, "another path than those of the listeners"},
    {"max-starting", NULL, is_limit_of_fleet, "-rollout=smooth together with it"},
};

static bool is_given(const struct cli_given *given, const char *name)
{
    const struct cli_option *option = cli_option_find(text_span_of(name));

    return given[option - cli_options].source != CLI_FROM_DEFAULT;
}

bool cli_conflict_check(
    const struct config *config, const struct cli_given *given, struct text *error)
{
    for (size_t i = 0; i < sizeof conflicts / sizeof conflicts[0]; i++) {
        const struct cli_option *option = cli_option_find(text_span_of(conflicts[i].option));
        const struct cli_given *last = &given[option - cli_options];
        struct cli_value value = {
            .option = option,
            .source = last->source,
            .string = last->string,
            .error = error,
        };

        if (is_given(given, conflicts[i].option) &&
            (conflicts[i].given == NULL || is_given(given, conflicts[i].given)) &&
            conflicts[i].applies(config))
            return cli_option_refuse(&value, conflicts[i].expected);
    }
    return true;
}
