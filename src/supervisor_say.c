#include "supervisor_say.h"

#include <string.h>
#include <syslog.h>

#include "cli.h"
#include "console.h"
#include "report.h"
#include "spawn.h"
#include "text.h"

enum { PATH_SHOWN = 1024 }; /* bytes of a path */

static void say(struct log *log, int severity, const struct text *line)
{
    log_say(log, severity, line->bytes, line->length);
}

/* The first start belongs to whoever typed the command, too (rule C6). */
static bool is_failed_first_start(const struct core_action *action)
{
    return action->generation == 1 && action->say == CORE_SAY_ROLLOUT_FAILED;
}

void supervisor_say_action(struct log *log, const char *command, struct text_span output,
    bool elsewhere, const struct core_action *action, struct text *line)
{
    struct report_words words = {
        .command = command,
        .step = spawn_step_text(action->step),
        .reason = strerrordesc_np(action->number),
        .output = output,
    };
    int severity = report_add(line, action, &words);
    say(log, severity, line);
    if (elsewhere && is_failed_first_start(action))
        console_complain(log->os, line);
}

void supervisor_say_listeners(struct log *log, const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        char buffer[LISTENER_ADDRESS_MAX + URI_NAME_MAX + 64];
        struct text line;
        text_init(&line, buffer, sizeof buffer);
        text_add(&line, "listening on ");
        text_add(&line, listeners->items[i].address);
        text_add(&line, " as descriptor ");
        text_add_unsigned(&line, SPAWN_FIRST_LISTENER + i);
        if (listeners->items[i].name[0]) {
            text_add(&line, " named ");
            text_add(&line, listeners->items[i].name);
        }
        say(log, LOG_INFO, &line);
    }
}

void supervisor_say_trouble(struct log *log, const char *what, int64_t number, const char *why)
{
    char buffer[256];
    struct text line;
    text_init(&line, buffer, sizeof buffer);
    text_add(&line, what);
    text_add_signed(&line, number);
    text_add(&line, ": ");
    text_add(&line, why);
    say(log, LOG_WARNING, &line);
}

void supervisor_say_unwritten(struct log *log, const char *path, const char *why)
{
    char buffer[4 * PATH_SHOWN + 256];
    struct text line;
    text_init(&line, buffer, sizeof buffer);
    text_add(&line, "unable to write ");
    text_add_quoted(&line, path, strnlen(path, PATH_SHOWN));
    text_add(&line, ": ");
    text_add(&line, why);
    say(log, LOG_WARNING, &line);
}

void supervisor_say_ignored(struct log *log, int signal)
{
    char buffer[128];
    struct text line;
    text_init(&line, buffer, sizeof buffer);
    const char *name = cli_signal_name(signal);
    text_add(&line, name ? name : "signal ");
    if (!name)
        text_add_signed(&line, signal);
    text_add(&line, " received: it means nothing to this version and is ignored");
    say(log, LOG_WARNING, &line);
}
