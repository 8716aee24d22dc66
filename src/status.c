#include "status.h"

#include <string.h>

#include "status_parts.h"

/* --- words --- */

const char *const status_phases[CORE_PHASE_COUNT] = {
    [CORE_NEW] = "new",
    [CORE_FIRST] = "starting",
    [CORE_SERVING] = "serving",
    [CORE_ROLLING] = "rolling",
    [CORE_STOPPING] = "stopping",
    [CORE_ENDED] = "ended",
};

const char *const status_states[CORE_WORKER_STATE_COUNT] = {
    [CORE_WORKER_SPAWNING] = "spawning",
    [CORE_WORKER_CANCELLED] = "cancelled",
    [CORE_WORKER_EXECUTING] = "executing",
    [CORE_WORKER_STARTING] = "starting",
    [CORE_WORKER_HELD] = "held",
    [CORE_WORKER_READY] = "ready",
    [CORE_WORKER_DRAINING] = "draining",
    [CORE_WORKER_STOPPING] = "stopping",
    [CORE_WORKER_KILLED] = "killed",
};

const char *const status_failures[CORE_FAILURE_COUNT] = {
    [CORE_FAILURE_NONE] = "none",
    [CORE_FAILURE_NOT_STARTED] = "not_started",
    [CORE_FAILURE_KILLED] = "killed",
    [CORE_FAILURE_ENDED] = "ended",
    [CORE_FAILURE_ENDED_READY] = "ended_ready",
    [CORE_FAILURE_LATE] = "late",
    [CORE_FAILURE_LOST] = "lost",
    [CORE_FAILURE_NO_SLOT] = "no_slot",
};

const char *const status_results[] = {
    [TALLY_RUNNING] = "running",
    [TALLY_DONE] = "done",
    [TALLY_FAILED] = "failed",
    [TALLY_CANCELLED] = "cancelled",
};

/* --- counters --- */

#define COUNT_OF_TALLY(member)                                                                     \
    static uint64_t count_##member(const struct status_source *source)                             \
    {                                                                                              \
        return source->tally->counts.member;                                                       \
    }
#define COUNT_OF_LOG(member)                                                                       \
    static uint64_t count_log_##member(const struct status_source *source)                         \
    {                                                                                              \
        return source->log.member;                                                                 \
    }

COUNT_OF_TALLY(rollouts)
COUNT_OF_TALLY(rollouts_done)
COUNT_OF_TALLY(rollouts_failed)
COUNT_OF_TALLY(rollouts_cancelled)
COUNT_OF_TALLY(reloads_refused)
COUNT_OF_TALLY(executed)
COUNT_OF_TALLY(not_started)
COUNT_OF_TALLY(replacements)
COUNT_OF_TALLY(ready)
COUNT_OF_TALLY(late)
COUNT_OF_TALLY(lost)
COUNT_OF_TALLY(ended)
COUNT_OF_TALLY(unasked)
COUNT_OF_TALLY(crashed)
COUNT_OF_TALLY(killed)
COUNT_OF_LOG(lines)
COUNT_OF_LOG(bytes)
COUNT_OF_LOG(lost)

const struct status_counter status_counters[] = {
    {"rollouts", "Rollouts that began, the first start included.", count_rollouts},
    {"rollouts_done", "Rollouts that succeeded.", count_rollouts_done},
    {"rollouts_failed", "Rollouts that failed.", count_rollouts_failed},
    {"rollouts_cancelled", "Rollouts that a stop cut short.", count_rollouts_cancelled},
    {"reloads_refused", "Reloads refused since a stop was under way.", count_reloads_refused},
    {"workers_started", "Workers that executed the command.", count_executed},
    {"workers_not_started", "Workers that could not be started.", count_not_started},
    {"workers_replaced", "Workers started besides rollouts.", count_replacements},
    {"workers_ready", "Workers that became ready.", count_ready},
    {"workers_late", "Workers given up since they were not ready in time.", count_late},
    {"workers_lost", "Workers given up since they could not say any more that they are ready.",
        count_lost},
    {"workers_ended", "Workers that ended after they executed the command.", count_ended},
    {"workers_ended_unasked", "Workers that ended and had not been told to.", count_unasked},
    {"workers_crashed", "Workers that ended unasked, by a signal.", count_crashed},
    {"workers_killed", "Workers that were sent KILL.", count_killed},
    {"log_lines", "Lines that workers wrote.", count_log_lines},
    {"log_bytes", "Bytes that workers wrote.", count_log_bytes},
    {"log_lines_lost", "Log lines that went nowhere.", count_log_lost},
};

const size_t status_counter_count = sizeof status_counters / sizeof *status_counters;

/* --- what is looked up --- */

unsigned status_workers_in(const struct core *core, enum core_worker_state state)
{
    return core->young[state] + core->old[state];
}

size_t status_command_shown(const struct status_source *source)
{
    size_t room = STATUS_COMMAND_MAX;
    size_t shown = 0;
    while (shown < source->command_count && source->command[shown].length < room)
        room -= source->command[shown++].length + 1;
    return shown;
}

uint64_t status_elapsed(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

uint64_t status_rollout_elapsed(const struct status_source *source)
{
    const struct tally_rollout *rollout = &source->tally->rollout;
    return rollout->result == TALLY_RUNNING ? status_elapsed(rollout->began.ms, source->now_ms)
                                            : rollout->elapsed;
}

bool status_has_been(const struct tally_time *time)
{
    return time->ms > 0;
}

bool status_kill_due(const struct core_worker *worker, uint64_t now_ms, uint64_t *in_ms)
{
    bool told = worker->state == CORE_WORKER_DRAINING || worker->state == CORE_WORKER_STOPPING;
    if (!told || worker->deadline == CORE_NEVER)
        return false;
    *in_ms = status_elapsed(now_ms, worker->deadline);
    return true;
}

struct text_span status_cut(struct text_span span, size_t most)
{
    return (struct text_span){span.bytes, span.length < most ? span.length : most};
}

void status_add_seconds(struct text *text, uint64_t milliseconds)
{
    text_add_unsigned(text, milliseconds / 1000);
    text_add_char(text, '.');
    text_add_padded(text, milliseconds % 1000, 3);
}

struct text_span status_of_slot(const struct status_source *source, unsigned slot)
{
    const char *status = source->slot_status(source->context, slot);
    return status_cut(text_span_of(status), STATUS_WORD_MAX);
}

/* --- the calendar --- */

/* Days of 400 years, which the calendar repeats; and of 4 and of 1 of them. */
enum { DAYS_400 = 146097, DAYS_100 = 36524, DAYS_4 = 1461, DAYS_1 = 365 };

/* Counted from the 1st of March of the year 0, so that the day of a leap year is its last. */
struct date {
    uint64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;
};

static struct date date_of(uint64_t days_since_1970)
{
    const uint64_t days = days_since_1970 + 719468;
    const unsigned of_era = (unsigned)(days % DAYS_400);
    const unsigned year =
        (of_era - of_era / (DAYS_4 - 1) + of_era / DAYS_100 - of_era / (DAYS_400 - 1)) / DAYS_1;
    const unsigned of_year = of_era - (DAYS_1 * year + year / 4 - year / 100);
    const unsigned month = (5 * of_year + 2) / 153; /* from March: 153 days are five months */
    const bool early = month >= 10;                 /* January and February of the next year */
    return (struct date){.year = days / DAYS_400 * 400 + year + (early ? 1 : 0),
        .month = early ? month - 9 : month + 3,
        .day = of_year - (153 * month + 2) / 5 + 1};
}

void status_add_date(struct text *text, int64_t seconds)
{
    const uint64_t since = seconds > 0 ? (uint64_t)seconds : 0;
    const struct date date = date_of(since / 86400);
    const uint64_t parts[] = {
        date.year, date.month, date.day, since / 3600 % 24, since / 60 % 60, since % 60};
    static const char after[] = "-- ::";
    text_add_padded(text, parts[0], 4);
    for (size_t i = 1; i < sizeof parts / sizeof *parts; i++) {
        text_add_char(text, after[i - 1]);
        text_add_padded(text, parts[i], 2);
    }
}
