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

static void add_generation(struct text *text, const struct core_action *action)
{
    text_add(text, "generation ");
    text_add_unsigned(text, action->generation);
    text_add(text, ": ");
}

static void add_worker(struct text *text, const struct core_action *action)
{
    add_generation(text, action);
    text_add(text, "worker ");
    if (action->pid > 0) {
        text_add_signed(text, action->pid);
        text_add_char(text, ' ');
    }
    text_add(text, "(slot ");
    text_add_unsigned(text, action->slot);
    text_add(text, ") ");
}

static void add_elapsed(struct text *text, const char *before, const struct core_action *action)
{
    text_add(text, before);
    text_add_unsigned(text, action->elapsed);
    text_add(text, " ms");
}

static void add_count(struct text *text, int number, const char *one, const char *many)
{
    text_add_signed(text, number);
    text_add_char(text, ' ');
    text_add(text, number == 1 ? one : many);
}

static void add_sent(struct text *text, const char *before, const struct core_action *action)
{
    text_add(text, before);
    add_signal(text, action->number);
    text_add(text, " sent");
}

static void add_start_failure(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    add_worker(text, action);
    text_add(text, "not started: unable to ");
    text_add(text, words->step ? words->step : "start");
    text_add_char(text, ' ');
    text_add_quoted(text, words->command, strlen(words->command));
    text_add(text, ": ");
    text_add(text, words->reason ? words->reason : "unknown error");
}

static int add_end(struct text *text, const struct core_action *action)
{
    add_worker(text, action);
    if (action->signalled) {
        text_add(text, "ended: killed by ");
        add_signal(text, action->number);
    } else {
        text_add(text, "ended: exit status ");
        text_add_signed(text, action->number);
    }
    add_elapsed(text, " after ", action);
    if (action->asked)
        return LOG_INFO;
    text_add(text, ", unasked");
    return LOG_WARNING;
}

static int add_rollout_failure(struct text *text, const struct core_action *action)
{
    static const char *const why[CORE_FAILURE_COUNT] = {
        [CORE_FAILURE_NONE] = "no reason",
        [CORE_FAILURE_NOT_STARTED] = "a worker could not be started",
        [CORE_FAILURE_ENDED] = "a worker ended before it was ready",
        [CORE_FAILURE_NO_SLOT] = "too many workers are still draining",
    };
    add_generation(text, action);
    add_elapsed(text, "rollout failed after ", action);
    text_add(text, ": ");
    text_add(text, why[action->failure]);
    text_add(text, "; ");
    if (action->number == 0)
        text_add(text, "no worker is left that serves");
    else
        add_count(text, action->number, "older worker serves on", "older workers serve on");
    return LOG_ERR;
}

static int add_illegal(struct text *text, const struct core_action *action)
{
    static const char *const events[CORE_EVENT_COUNT] = {
        [CORE_SPAWNED] = "spawned",
        [CORE_SPAWN_FAILED] = "spawn failed",
        [CORE_EXECUTED] = "executed",
        [CORE_EXEC_FAILED] = "exec failed",
        [CORE_EXITED] = "exited",
        [CORE_START] = "start",
        [CORE_RELOAD] = "reload",
        [CORE_STOP] = "stop",
        [CORE_TICK] = "tick",
    };
    bool known = action->number >= 0 && action->number < CORE_EVENT_COUNT;
    text_add(text, "internal error: event \"");
    text_add(text, known ? events[action->number] : "unknown");
    text_add(text, "\" came out of turn and was ignored (slot ");
    text_add_unsigned(text, action->slot);
    text_add_char(text, ')');
    return LOG_ERR;
}

int report_add(
    struct text *text, const struct core_action *action, const struct report_words *words)
{
    switch (action->say) {
    case CORE_SAY_STARTED:
        add_worker(text, action);
        text_add(text, "started: ");
        text_add_escaped(text, words->command, strlen(words->command));
        return LOG_INFO;
    case CORE_SAY_READY:
        add_worker(text, action);
        add_elapsed(text, "ready after ", action);
        return LOG_INFO;
    case CORE_SAY_RETIRED:
        add_worker(text, action);
        add_sent(text, "retired: ", action);
        return LOG_INFO;
    case CORE_SAY_STOPPED:
        add_worker(text, action);
        add_sent(text, "stopped with its rollout: ", action);
        return LOG_INFO;
    case CORE_SAY_FORWARDED:
        add_worker(text, action);
        add_sent(text, "stopped: ", action);
        return LOG_INFO;
    case CORE_SAY_KILLED_LATE:
        add_worker(text, action);
        add_elapsed(text, "has not ended within ", action);
        text_add(text, ": KILL sent");
        return LOG_WARNING;
    case CORE_SAY_KILLED_SURPLUS:
        add_worker(text, action);
        text_add(text, "is the oldest of more than ");
        add_count(text, action->number, "draining worker", "draining workers");
        text_add(text, ": KILL sent");
        return LOG_WARNING;
    case CORE_SAY_ENDED:
        return add_end(text, action);
    case CORE_SAY_NOT_SPAWNED:
    case CORE_SAY_NOT_EXECUTED:
        add_start_failure(text, action, words);
        return LOG_ERR;
    case CORE_SAY_RELOADING:
        add_generation(text, action);
        text_add(text, "reload asked for, starting");
        return LOG_INFO;
    case CORE_SAY_RELOAD_LATER:
        add_generation(text, action);
        text_add(text, "reload asked for while still starting: remembered");
        return LOG_INFO;
    case CORE_SAY_RELOAD_REFUSED:
        text_add(text, "reload asked for after a stop: ignored");
        return LOG_WARNING;
    case CORE_SAY_RELOAD_COVERED:
        text_add(text, "reload asked for before the start, which covers it");
        return LOG_INFO;
    case CORE_SAY_ROLLOUT_DONE:
        add_generation(text, action);
        add_elapsed(text, "rollout done in ", action);
        return LOG_INFO;
    case CORE_SAY_ROLLOUT_FAILED:
        return add_rollout_failure(text, action);
    case CORE_SAY_STOP_ASKED:
        add_signal(text, action->number);
        text_add(text, " received: stopping");
        return LOG_INFO;
    case CORE_SAY_EXITING:
        text_add(text, "no worker is left: ending with exit status ");
        text_add_signed(text, action->number);
        return action->number ? LOG_ERR : LOG_INFO;
    case CORE_SAY_ILLEGAL:
        return add_illegal(text, action);
    case CORE_SAY_COUNT:
        break;
    }
    return LOG_ERR;
}
