#include "report.h"

#include <string.h>
#include <syslog.h>

#include "cli.h"

static void add_signal(struct text *text, int signal)
{
    const char *name = cli_signal_name(signal);
    if (name) {
        text_add(text, name);
    } else {
        text_add(text, "signal ");
        text_add_signed(text, signal);
    }
}

static void add_count(struct text *text, int number, const char *one, const char *many)
{
    text_add_signed(text, number);
    text_add_char(text, ' ');
    text_add(text, number == 1 ? one : many);
}

/* --- how lines begin --- */

typedef void line_begin(struct text *text, const struct core_action *action);

static void begin_generation(struct text *text, const struct core_action *action)
{
    text_add(text, "generation ");
    text_add_unsigned(text, action->generation);
    text_add(text, ": ");
}

static void add_worker(struct text *text, const struct core_action *action)
{
    text_add(text, "worker ");
    if (action->pid > 0) {
        text_add_signed(text, action->pid);
        text_add_char(text, ' ');
    }
    text_add(text, "(slot ");
    text_add_unsigned(text, action->slot);
    text_add(text, ") ");
}

static void begin_worker(struct text *text, const struct core_action *action)
{
    begin_generation(text, action);
    add_worker(text, action);
}

static void begin_signal(struct text *text, const struct core_action *action)
{
    add_signal(text, action->number);
}

/* --- how lines end: each gets the action, and what the core does not know --- */

typedef void line_end(
    struct text *text, const struct core_action *action, const struct report_words *words);

static void end_command(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)action;
    text_add_escaped(text, words->command, strlen(words->command));
}

static void end_elapsed(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    text_add_unsigned(text, action->elapsed);
    text_add(text, " ms");
}

static void end_sent(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    add_signal(text, action->number);
    text_add(text, " sent");
}

static void end_killed_late(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    end_elapsed(text, action, words);
    text_add(text, ": KILL sent");
}

static void end_killed_surplus(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    add_count(text, action->number, "draining worker", "draining workers");
    text_add(text, ": KILL sent");
}

static void add_end(struct text *text, const struct core_action *action)
{
    if (action->signalled) {
        text_add(text, "killed by ");
        add_signal(text, action->number);
    } else {
        text_add(text, "exit status ");
        text_add_signed(text, action->number);
    }
}

static void end_ended(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    add_end(text, action);
    text_add(text, " after ");
    end_elapsed(text, action, words);
    if (!action->asked)
        text_add(text, ", unasked");
}

static void end_start_failure(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)action;
    text_add(text, words->step ? words->step : "start");
    text_add_char(text, ' ');
    text_add_quoted(text, words->command, strlen(words->command));
    text_add(text, ": ");
    text_add(text, words->reason ? words->reason : "unknown error");
}

static void end_of_worker(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    add_end(text, action);
}

/* Each in quotes of its own. */
static void add_lines(struct text *text, struct text_span lines)
{
    for (;;) {
        const char *newline = memchr(lines.bytes, '\n', lines.length);
        size_t length = newline ? (size_t)(newline - lines.bytes) : lines.length;
        text_add_quoted(text, lines.bytes, length);
        if (!newline)
            return;
        text_add(text, ", ");
        lines.bytes += length + 1;
        lines.length -= length + 1;
    }
}

static void end_rollout_failure(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    static const struct {
        const char *why; /* follows the name of the worker, where one failed */
        line_end *how;
    } failures[CORE_FAILURE_COUNT] = {
        [CORE_FAILURE_NONE] = {"no reason", NULL},
        [CORE_FAILURE_NOT_STARTED] = {"could not be started: unable to ", end_start_failure},
        [CORE_FAILURE_KILLED] = {"ended before it was executed: ", end_of_worker},
        [CORE_FAILURE_ENDED] = {"ended before it was ready: ", end_of_worker},
        [CORE_FAILURE_ENDED_READY] = {"ended after it was ready: ", end_of_worker},
        [CORE_FAILURE_LATE] = {"was not ready in time", NULL},
        [CORE_FAILURE_LOST] = {"can never say that it is ready", NULL},
        [CORE_FAILURE_NO_SLOT] = {"too many workers are still draining", NULL},
    };
    bool one = action->failure != CORE_FAILURE_NONE && action->failure != CORE_FAILURE_NO_SLOT;
    end_elapsed(text, action, words);
    text_add(text, ": ");
    if (one)
        add_worker(text, action);
    text_add(text, failures[action->failure].why);
    if (failures[action->failure].how)
        failures[action->failure].how(text, action, words);
    text_add(text, "; ");
    if (action->serving == 0)
        text_add(text, "no worker is left that serves");
    else
        add_count(text, (int)action->serving, "worker serves on", "workers serve on");
    if (one && words->output.length > 0) {
        text_add(text, "; it wrote last: ");
        add_lines(text, words->output);
    }
}

static void end_replacing(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    end_elapsed(text, action, words);
    text_add(text, " (");
    text_add_signed(text, action->number);
    text_add(text, " in a row)");
}

static void end_number(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    text_add_signed(text, action->number);
}

static void end_passed_on(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    (void)words;
    add_count(text, (int)action->serving, "worker", "workers");
}

static void end_illegal(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    static const char *const events[CORE_EVENT_COUNT] = {
        [CORE_SPAWNED] = "spawned",
        [CORE_SPAWN_FAILED] = "spawn failed",
        [CORE_EXECUTED] = "executed",
        [CORE_EXEC_FAILED] = "exec failed",
        [CORE_READY_SAID] = "ready",
        [CORE_READY_EXTENDED] = "ready extended",
        [CORE_READY_LOST] = "ready lost",
        [CORE_EXITED] = "exited",
        [CORE_SIGNAL_FAILED] = "signal failed",
        [CORE_START] = "start",
        [CORE_RELOAD] = "reload",
        [CORE_STOP] = "stop",
        [CORE_SCALE] = "scale",
        [CORE_SIGNAL] = "signal",
        [CORE_TICK] = "tick",
    };
    bool known = action->number >= 0 && action->number < CORE_EVENT_COUNT;
    (void)words;
    text_add(text, known ? events[action->number] : "unknown");
    text_add(text, "\" came out of turn and was ignored (slot ");
    text_add_unsigned(text, action->slot);
    text_add_char(text, ')');
}

/* --- the lines --- */

_Static_assert(LIMIT_WORKERS == 1024, "as a line below says");

static const struct {
    int severity;
    line_begin *begin; /* NULL: with the text */
    const char *text;
    line_end *end; /* NULL: the text is all */
} lines[CORE_SAY_COUNT] = {
    [CORE_SAY_STARTED] = {LOG_INFO, begin_worker, "started: ", end_command},
    [CORE_SAY_READY] = {LOG_INFO, begin_worker, "ready after ", end_elapsed},
    [CORE_SAY_RETIRED] = {LOG_INFO, begin_worker, "retired: ", end_sent},
    [CORE_SAY_STOPPED] = {LOG_INFO, begin_worker, "stopped with its rollout: ", end_sent},
    [CORE_SAY_FORWARDED] = {LOG_INFO, begin_worker, "stopped: ", end_sent},
    [CORE_SAY_KILLED_LATE] = {LOG_WARNING, begin_worker, "has not ended within ", end_killed_late},
    [CORE_SAY_KILLED_SURPLUS] = {LOG_WARNING, begin_worker, "is the oldest of more than ",
        end_killed_surplus},
    [CORE_SAY_LATE] = {LOG_ERR, begin_worker, "is not ready after ", end_elapsed},
    [CORE_SAY_LOST] = {LOG_ERR, begin_worker,
        "closed NOTIFY_FD without a newline, so it can never say that it is ready", NULL},
    [CORE_SAY_ENDED] = {LOG_INFO, begin_worker, "ended: ", end_ended},
    [CORE_SAY_NOT_SPAWNED] = {LOG_ERR, begin_worker, "not started: unable to ", end_start_failure},
    [CORE_SAY_NOT_EXECUTED] = {LOG_ERR, begin_worker, "not started: unable to ", end_start_failure},
    [CORE_SAY_RELOADING] = {LOG_INFO, begin_generation, "reload asked for, starting", NULL},
    [CORE_SAY_RELOAD_LATER] = {LOG_INFO, begin_generation,
        "reload asked for while still starting: remembered", NULL},
    [CORE_SAY_RELOAD_REFUSED] = {LOG_WARNING, NULL, "reload asked for after a stop: ignored", NULL},
    [CORE_SAY_RELOAD_COVERED] = {LOG_INFO, NULL,
        "reload asked for before the start, which covers it", NULL},
    [CORE_SAY_ROLLOUT_DONE] = {LOG_INFO, begin_generation, "rollout done in ", end_elapsed},
    [CORE_SAY_ROLLOUT_FAILED] = {LOG_ERR, begin_generation, "rollout failed after ",
        end_rollout_failure},
    [CORE_SAY_REPLACING] = {LOG_WARNING, begin_generation,
        "a replacement failed: the next one starts in ", end_replacing},
    [CORE_SAY_SCALED] = {LOG_INFO, NULL, "workers wanted from now on: ", end_number},
    [CORE_SAY_SCALE_LATER] = {LOG_INFO, NULL,
        "workers wanted once this rollout has ended: ", end_number},
    [CORE_SAY_SCALE_REFUSED] = {LOG_WARNING, NULL,
        "refused a number of workers (from 1 to 1024, and not after a stop): ", end_number},
    [CORE_SAY_SIGNALLED] = {LOG_INFO, begin_signal, " sent, as asked for, to ", end_passed_on},
    [CORE_SAY_STOP_ASKED] = {LOG_INFO, begin_signal, " received: stopping", NULL},
    [CORE_SAY_EXITING] = {LOG_INFO, NULL, "no worker is left: ending with exit status ",
        end_number},
    [CORE_SAY_ILLEGAL] = {LOG_ERR, NULL, "internal error: event \"", end_illegal},
};

/* Some lines are worse news than others of their kind. */
static int severity_of(const struct core_action *action)
{
    if (action->say == CORE_SAY_ENDED && !action->asked)
        return LOG_WARNING;
    if (action->say == CORE_SAY_EXITING && action->number != 0)
        return LOG_ERR;
    return lines[action->say].severity;
}

int report_add(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    if (lines[action->say].begin)
        lines[action->say].begin(text, action);
    text_add(text, lines[action->say].text);
    if (lines[action->say].end)
        lines[action->say].end(text, action, words);
    return severity_of(action);
}
