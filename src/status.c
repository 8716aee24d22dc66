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
    [CORE_WORKER_NONE] = "none",
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
    [TALLY_NONE] = "none",
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
COUNT_OF_TALLY(reloads)
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
    {"reloads", "Rollouts that a reload began.", count_reloads},
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

struct text_span status_of_slot(const struct status_source *source, unsigned slot)
{
    struct text_span span = text_span_of(source->slot_status(source->context, slot));
    if (span.length > STATUS_WORD_MAX)
        span.length = STATUS_WORD_MAX;
    return span;
}
