/*
 * cli_help: the help, printed from the table of options.
 *
 * Owns: its layout and its groups. Leaves to others: what is said of an option (cli_option).
 */
#include "cli.h"
#include "cli_option.h"

enum { HELP_COLUMN = 24 }; /* where the explanations begin */

/* A group begins with its first option in the table. */
static const struct {
    const char *first;
    const char *heading;
} groups[] = {
    {"listen", "What serves:"},
    {"ready", "When a new worker is ready:"},
    {"rollout", "How new workers take over:"},
    {"stop-signal", "How old workers leave:"},
    {"output", "What it tells, and is told:"},
    {"check", "Instead of serving:"},
};

static void add_heading_before(struct text *text, const struct cli_option *option)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (text_span_is(text_span_of(groups[i].first), option->name)) {
            text_add_char(text, '\n');
            text_add(text, groups[i].heading);
            text_add_char(text, '\n');
        }
    }
}

static void add_option(struct text *text, const struct cli_option *option)
{
    size_t start = text->length;

    text_add(text, "  -");
    text_add(text, option->name);
    if (option->argument != NULL) {
        text_add_char(text, '=');
        text_add(text, option->argument);
    }
    do {
        text_add_char(text, ' ');
    } while (text->length < start + HELP_COLUMN && !text->overflow);
    text_add(text, option->summary);
    if (option->fallback != NULL) {
        text_add(text, " (default ");
        text_add(text, option->fallback);
        text_add_char(text, ')');
    }
    text_add_char(text, '\n');
}

void cli_add_help(struct text *text)
{
    text_add(text, "Usage: socketmaster [OPTION...] -command=PATH [--] [ARG...]\n"
                   "       socketmaster [OPTION...] [--] PATH [ARG...]\n");
    for (size_t i = 0; i < cli_option_count; i++) {
        add_heading_before(text, &cli_options[i]);
        add_option(text, &cli_options[i]);
    }
    text_add(text,
        "\n"
        "URI is tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH, unix:@NAME or fd://N.\n"
        "FAMILY is einhorn, systemd, systemd-nopid, starter or nginx.\n"
        "MODE is alive, notify (READY=1), ack (to -control) or fd (newline to NOTIFY_FD).\n"
        "HUP replaces the workers, TTIN adds one, TTOU takes one away, TERM stops.\n"
        "Options may stand in the environment: SOCKETMASTER_STOP_SIGNAL=TERM.\n");
}
