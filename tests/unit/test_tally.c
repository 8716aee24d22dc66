/*
 * Tests of tally. The core is asked what happens (core_world.h), the tally takes it, and a script
 * says what has to be known then. Clocks: what happens at T milliseconds is at T + EPOCH seconds.
 */
#include "core_world.h"

#include "tally.h"

enum {
    EPOCH = 1700000000,
    GARBAGE = 0x5a,
};

static struct tally tally;

/* --- running it --- */

static int64_t wall_at(uint64_t ms)
{
    return EPOCH + (int64_t)ms;
}

static void take_all(uint64_t now)
{
    for (size_t i = 0; i < world.actions.count; i++)
        tally_take(&tally, &world.actions.list[i], now, wall_at(now));
}

static void play(const char *script)
{
    char copy[4 * TEXT_MAX];
    char *rest = NULL;

    assert_true(strlen(script) < sizeof copy);
    memcpy(copy, script, strlen(script) + 1);
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct core_event event = read_event(line);

        world_step(&event);
        take_all(event.now);
    }
}

/* Whatever was there before must not matter. */
static void begin(const struct core_settings *set)
{
    struct core_settings settings = *set;

    settings.workers += !settings.workers;
    settings.max_starting = 1;
    settings.stop_signal = SIGHUP;
    world_begin(&settings);
    memset(&tally, GARBAGE, sizeof tally);
    tally_init(&tally);
}

/* --- showing it --- */

static void append_time(char *text, const char *name, const struct tally_time *when)
{
    if (when->ms == 0 && when->wall == 0)
        return;
    assert_int_equal(when->wall, wall_at(when->ms));
    append(text, " %s@%" PRIu64, name, when->ms);
}

/* `STATE@SINCE gGENERATION pPID rRESTARTS`, and what else is known of it. */
static void show_slot(char *text, unsigned number)
{
    static const char *const states[CORE_WORKER_STATE_COUNT] = {
        [CORE_WORKER_NONE] = "none",
        [CORE_WORKER_SPAWNING] = "spawning",
        [CORE_WORKER_STARTING] = "starting",
        [CORE_WORKER_READY] = "ready",
        [CORE_WORKER_DRAINING] = "draining",
        [CORE_WORKER_STOPPING] = "stopping",
        [CORE_WORKER_KILLED] = "killed",
    };
    const struct tally_slot *slot = &tally.slots[number];

    assert_in_range(number, 0, tally.slot_bound - 1);
    assert_non_null(states[slot->state]);
    text[0] = '\0';
    append(text, "%s", states[slot->state]);
    assert_int_equal(slot->since.wall, wall_at(slot->since.ms));
    append(
        text, "@%" PRIu64 " g%" PRIu64 " p%" PRId64, slot->since.ms, slot->generation, slot->pid);
    if (slot->restarts)
        append(text, " r%u", slot->restarts);
    append_time(text, "asked", &slot->asked_for);
    append_time(text, "ready", &slot->ready);
    if (slot->ready_after)
        append(text, "+%" PRIu64, slot->ready_after);
    append_time(text, "sent", &slot->signalled);
    if (slot->last_signal)
        append(text, " %s %" PRIx64, signal_name(slot->last_signal), slot->signals);
    append_time(text, "pinged", &slot->pinged);
    append(text, "%s%.*s", slot->ping_id_length ? " id " : "", (int)slot->ping_id_length,
        slot->ping_id);
}

/* How often, of what was at all. */
static void show_counts(char *text)
{
    const struct tally_counts *counts = &tally.counts;
    const struct {
        const char *name;
        uint64_t count;
    } all[] = {
        {"rollouts", counts->rollouts},
        {"done", counts->rollouts_done},
        {"failed", counts->rollouts_failed},
        {"cancelled", counts->rollouts_cancelled},
        {"refused", counts->reloads_refused},
        {"asked", counts->asked_for},
        {"replacements", counts->replacements},
        {"not-started", counts->not_started},
        {"executed", counts->executed},
        {"ready", counts->ready},
        {"late", counts->late},
        {"lost", counts->lost},
        {"ended", counts->ended},
        {"unasked", counts->unasked},
        {"crashed", counts->crashed},
        {"killed", counts->killed},
    };

    _Static_assert(COUNT(all) == sizeof *counts / sizeof(uint64_t), "each of them");
    text[0] = '\0';
    for (size_t i = 0; i < COUNT(all); i++)
        if (all[i].count)
            append(text, "%s%s %" PRIu64, text[0] ? ", " : "", all[i].name, all[i].count);
}

static void show_rollout(char *text)
{
    static const char *const results[] = {
        [TALLY_NONE] = "none",
        [TALLY_RUNNING] = "running",
        [TALLY_DONE] = "done",
        [TALLY_FAILED] = "failed",
        [TALLY_CANCELLED] = "cancelled",
    };
    const struct tally_rollout *rollout = &tally.rollout;

    text[0] = '\0';
    append(text, "%s", results[rollout->result]);
    if (rollout->result == TALLY_NONE)
        return;
    append(text, " g%" PRIu64, rollout->generation);
    append_time(text, "began", &rollout->began);
    if (rollout->result == TALLY_RUNNING) {
        assert_int_equal(rollout->ended.ms, 0);
        return;
    }
    append_time(text, "ended", &rollout->ended);
    append(text, "+%" PRIu64, rollout->elapsed);
    if (rollout->result == TALLY_FAILED)
        append(text, " %s %u p%" PRId64 " %d", failure_names[rollout->why.failure],
            rollout->why.slot, rollout->why.pid, rollout->why.number);
}

static void check_slot(unsigned slot, const char *expected)
{
    char shown[TEXT_MAX];

    show_slot(shown, slot);
    assert_string_equal(shown, expected);
}

static void check_counts_are(const char *expected)
{
    char shown[TEXT_MAX];

    show_counts(shown);
    assert_string_equal(shown, expected);
}

static void check_rollout(const char *expected)
{
    char shown[TEXT_MAX];

    show_rollout(shown);
    assert_string_equal(shown, expected);
}

static struct text_span span(const char *string)
{
    return (struct text_span){string, strlen(string)};
}

/* --- workers --- */

/* A line of script, and what is known of slot 0 after it. */
struct life {
    const char *script;
    const char *slot;
};

static void live(const struct core_settings *settings, const struct life *lives, size_t count)
{
    begin(settings);
    for (size_t i = 0; i < count; i++) {
        play(lives[i].script);
        check_slot(0, lives[i].slot);
    }
}

/* Rules: K2 K5 */
static void test_what_a_worker_goes_through(void **state)
{
    static const struct life serves[] = {
        {"1000 start", "spawning@1000 g1 p0 asked@1000"},
        {"1001 spawned 0 100", "spawning@1000 g1 p0 asked@1000"},
        {"1002 executed 0", "starting@1002 g1 p100 asked@1000"},
        {"1303 tick", "ready@1303 g1 p100 asked@1000 ready@1303+301"},
        {"1400 signal 12", "ready@1303 g1 p100 asked@1000 ready@1303+301 sent@1400 USR2 800"},
        {"1401 reload\n1401 spawned 1 101\n1401 executed 1\n1702 tick",
            "draining@1702 g1 p100 asked@1000 ready@1303+301 sent@1702 HUP 801"},
        {"1752 tick", "killed@1752 g1 p100 asked@1000 ready@1303+301 sent@1752 KILL 901"},
        {"1760 signal-failed 0 1\n9999 tick",
            "killed@1752 g1 p100 asked@1000 ready@1303+301 sent@1752 KILL 901"},
        {"11760 tick", "killed@1752 g1 p100 asked@1000 ready@1303+301 sent@11760 KILL 901"},
        {"11761 stop 15", "killed@1752 g1 p100 asked@1000 ready@1303+301 sent@11761 TERM 4901"},
        {"11762 killed 0 9", "none@11762 g1 p100 asked@1000 ready@1303+301 sent@11761 TERM 4901"},
    };
    static const struct life is_told_again[] = {
        {"1000 start\n1000 spawned 0 100\n1000 executed 0\n1301 tick",
            "ready@1301 g1 p100 asked@1000 ready@1301+301"},
        {"1401 reload\n1401 spawned 1 101\n1401 executed 1\n1702 tick\n1702 signal-failed 0 1",
            "draining@1702 g1 p100 asked@1000 ready@1301+301 sent@1702 HUP 1"},
        {"1710 reload\n1710 spawned 2 102\n1710 executed 2\n2011 tick",
            "draining@1702 g1 p100 asked@1000 ready@1301+301 sent@2011 HUP 1"},
        {"2020 stop 2", "stopping@2020 g1 p100 asked@1000 ready@1301+301 sent@2020 INT 3"},
        {"2021 stop 3", "stopping@2020 g1 p100 asked@1000 ready@1301+301 sent@2021 QUIT 7"},
    };
    static const struct life is_told_before_it_executes[] = {
        {"1000 start\n1001 spawned 0 100", "spawning@1000 g1 p0 asked@1000"},
        {"1002 stop 15", "stopping@1002 g1 p100 asked@1000 sent@1002 TERM 4000"},
        {"1003 executed 0", "stopping@1002 g1 p100 asked@1000 sent@1002 TERM 4000"},
        {"1004 exited 0 0", "none@1004 g1 p100 asked@1000 sent@1002 TERM 4000"},
    };
    static const struct life goes_with_its_rollout[] = {
        {"1000 start\n1000 spawned 0 100\n1000 executed 0", "starting@1000 g1 p100 asked@1000"},
        {"1003 spawn-failed 1 11", "stopping@1003 g1 p100 asked@1000 sent@1003 HUP 1"},
    };
    static const struct life is_not_forked[] = {
        {"1000 start\n1001 spawn-failed 0 11", "none@1001 g1 p0 asked@1000"},
    };
    static const struct life is_not_executed[] = {
        {"1000 start\n1001 spawned 0 100", "spawning@1000 g1 p0 asked@1000"},
        {"1002 exec-failed 0 2", "stopping@1002 g1 p100 asked@1000"},
        {"1003 exited 0 1", "stopping@1002 g1 p100 asked@1000"},
    };
    static const struct life is_stopped_and_not_executed[] = {
        {"1000 start\n1001 spawned 0 100\n1002 stop 15\n1100 tick",
            "killed@1100 g1 p100 asked@1000 sent@1100 KILL 4100"},
        {"1101 exec-failed 0 2", "killed@1100 g1 p100 asked@1000 sent@1100 KILL 4100"},
    };
    static const struct life is_killed_before_it_executes[] = {
        {"1000 start\n1001 spawned 0 100", "spawning@1000 g1 p0 asked@1000"},
        {"1002 killed 0 9", "none@1002 g1 p100 asked@1000"},
    };
    const struct core_settings settings = {.start_ms = 300, .stop_ms = 50};
    const struct core_settings patient = {.start_ms = 300}, two = {.workers = 2, .start_ms = 300};

    (void)state;
    live(&settings, serves, COUNT(serves));
    live(&patient, is_told_again, COUNT(is_told_again));
    live(&settings, is_told_before_it_executes, COUNT(is_told_before_it_executes));
    live(&two, goes_with_its_rollout, COUNT(goes_with_its_rollout));
    live(&settings, is_not_forked, COUNT(is_not_forked));
    live(&settings, is_not_executed, COUNT(is_not_executed));
    live(&settings, is_stopped_and_not_executed, COUNT(is_stopped_and_not_executed));
    live(&settings, is_killed_before_it_executes, COUNT(is_killed_before_it_executes));
}

/* Rules: R10 K5 */
static void test_restarts_are_those_of_one_generation(void **state)
{
    static const struct life restarts[] = {
        {"1000 start\n1000 spawned 0 100\n1000 executed 0\n1000 tick",
            "ready@1000 g1 p100 asked@1000 ready@1000"},
        {"3000 exited 0 0", "spawning@3000 g1 p0 r1 asked@3000"},
        {"3000 spawned 0 101\n3000 executed 0\n3000 tick",
            "ready@3000 g1 p101 r1 asked@3000 ready@3000"},
        {"5000 exited 0 0", "spawning@5000 g1 p0 r2 asked@5000"},
        {"5000 spawned 0 102\n5000 executed 0\n5000 tick",
            "ready@5000 g1 p102 r2 asked@5000 ready@5000"},
        /* Slot 1 has the next generation, and then slot 0 the one after that. */
        {"6000 reload\n6000 spawned 1 103\n6000 executed 1\n6000 tick\n6000 exited 0 0\n"
         "7000 reload",
            "spawning@7000 g3 p0 asked@7000"},
    };
    const struct core_settings settings = {.respawn = true};

    (void)state;
    live(&settings, restarts, COUNT(restarts));
    assert_int_equal(tally.slot_bound, 2);
    check_slot(1, "ready@6000 g2 p103 asked@6000 ready@6000");
}

/* Rules: K2 */
static void test_every_signal_that_was_sent_is_known(void **state)
{
    struct core_action action = {.kind = CORE_DO_SIGNAL, .pid = 100, .generation = 1};

    (void)state;
    begin(&(struct core_settings){.workers = 1});
    play("1000 start\n1000 spawned 0 100\n1000 executed 0");
    for (int signal = 1; signal <= 64; signal++) {
        action.number = signal;
        tally_take(&tally, &action, 2000, wall_at(2000));
        assert_int_equal(tally.slots[0].last_signal, signal);
        assert_true(tally.slots[0].signals == UINT64_MAX >> (64 - signal));
    }
    tally.slots[0].signals = 0;
    for (int signal = 65; signal <= 130; signal++) {
        action.number = signal;
        tally_take(&tally, &action, 2000, wall_at(2000));
    }
    for (int signal = 0; signal >= -70; signal--) {
        action.number = signal;
        tally_take(&tally, &action, 2000, wall_at(2000));
    }
    assert_true(tally.slots[0].signals == 0);
}

/* Rules: K2 */
static void test_pings(void **state)
{
    char bytes[TALLY_ID_MAX + 1];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    begin(&(struct core_settings){.workers = 2});
    play("1000 start\n1000 spawned 1 101\n1000 executed 1");
    tally_ping(&tally, 1, 1001, wall_at(1001), span("req-1"));
    check_slot(1, "starting@1000 g1 p101 asked@1000 pinged@1001 id req-1");
    tally_ping(&tally, 1, 1002, wall_at(1002), span("7"));
    check_slot(1, "starting@1000 g1 p101 asked@1000 pinged@1002 id 7");
    tally_ping(&tally, 1, 1002, wall_at(1002), (struct text_span){NULL, 0});
    check_slot(1, "starting@1000 g1 p101 asked@1000 pinged@1002");
    check_slot(0, "spawning@1000 g1 p0 asked@1000");

    tally_ping(&tally, 1, 1003, wall_at(1003), (struct text_span){bytes, TALLY_ID_MAX});
    assert_int_equal(tally.slots[1].ping_id_length, TALLY_ID_MAX);
    assert_memory_equal(tally.slots[1].ping_id, bytes, TALLY_ID_MAX);
    bytes[0] = 'y';
    tally_ping(&tally, 1, 1003, wall_at(1003), (struct text_span){bytes, TALLY_ID_MAX + 1});
    assert_int_equal(tally.slots[1].ping_id_length, TALLY_ID_MAX);
    assert_memory_equal(tally.slots[1].ping_id, bytes, TALLY_ID_MAX);

    /* The next worker in that slot has sent none. */
    begin(&(struct core_settings){.respawn = true});
    play("1000 start\n1000 spawned 0 100\n1000 executed 0\n1000 tick");
    tally_ping(&tally, 0, 1001, wall_at(1001), span("1"));
    play("3000 exited 0 0");
    check_slot(0, "spawning@3000 g1 p0 r1 asked@3000");
}

/* --- all together --- */

/* Rules: K5 */
static void test_counts(void **state)
{
    static const struct {
        struct core_settings settings;
        const char *script, *counts, *rollout;
    } cases[] = {
        {{.start_ms = 300}, "1000 scale 2\n1000 reload", "", "none"},
        {{.workers = 2}, "1000 start", "rollouts 1, asked 2", "running g1 began@1000"},
        {{.workers = 2},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1001", "1", "101") "1001 tick",
            "rollouts 1, done 1, asked 2, executed 2, ready 2", "done g1 began@1000 ended@1001+1"},
        {{.respawn = true},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n"
                                                    "2000 reload\n2005 exited 0 3\n",
            "rollouts 2, done 1, asked 2, executed 1, ready 1, ended 1, unasked 1",
            "running g2 began@2000"},
        {{.respawn = true},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n"
                                                    "2000 killed 0 11\n",
            "rollouts 1, done 1, asked 2, replacements 1, executed 1, ready 1, ended 1, unasked 1, "
            "crashed 1",
            "done g1 began@1000 ended@1000+0"},
        {{.workers = 3, .respawn = true},
            "1000 start\n" RUNS("1000", "0", "100") RUNS("1000", "1", "101")
                RUNS("1000", "2", "102") "1000 tick\n2000 killed 0 11\n2000 killed 1 11\n"
                                         "2000 stop 15\n2000 killed 2 15",
            "rollouts 1, done 1, asked 5, replacements 2, executed 3, ready 3, ended 3, unasked 2, "
            "crashed 2",
            "done g1 began@1000 ended@1000+0"},
        {{.respawn = false}, "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n2000 scale 3\n",
            "rollouts 1, done 1, asked 3, replacements 2, executed 1, ready 1",
            "done g1 began@1000 ended@1000+0"},
        {{.workers = 2}, "1000 start\n1001 spawn-failed 1 11\n1002 spawn-failed 0 12",
            "rollouts 1, failed 1, asked 2, not-started 2",
            "failed g1 began@1000 ended@1001+1 not-started 1 p0 11"},
        {{.workers = 1}, "1000 start\n1001 spawned 0 100\n1002 exec-failed 0 2\n1003 exited 0 1",
            "rollouts 1, failed 1, asked 1, not-started 1",
            "failed g1 began@1000 ended@1002+2 not-started 0 p100 2"},
        {{.says_ready = true, .ready_timeout_ms = 10},
            "1000 start\n" RUNS("1000", "0", "100") "1010 tick\n1011 killed 0 1\n",
            "rollouts 1, failed 1, asked 1, executed 1, late 1, ended 1",
            "failed g1 began@1000 ended@1010+10 late 0 p100 0"},
        {{.says_ready = true},
            "1000 start\n" RUNS("1000", "0", "100") "1000 loses 0\n1100 tick\n6100 tick\n"
                                                    "6101 killed 0 9\n",
            "rollouts 1, failed 1, asked 1, executed 1, lost 1, ended 1, killed 1",
            "failed g1 began@1000 ended@1100+100 lost 0 p100 0"},
        {{.max_draining = 1},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n1001 reload\n" RUNS("1001", "1",
                "101") "1001 tick\n1002 reload\n" RUNS("1002", "2", "102") "1002 tick\n",
            "rollouts 3, done 3, asked 3, executed 3, ready 3, killed 1",
            "done g3 began@1002 ended@1002+0"},
        {{.workers = 1},
            "1000 start\n" RUNS("1000", "0", "100") "1007 stop 15\n1008 reload\n1009 reload\n"
                                                    "1010 stop 15\n",
            "rollouts 1, cancelled 1, refused 2, asked 1, executed 1",
            "cancelled g1 began@1000 ended@1007+7"},
        {{.workers = 1},
            "1000 start\n" RUNS("1000", "0", "100") "1000 tick\n1007 stop 15\n1008 exited 0 0\n",
            "rollouts 1, done 1, asked 1, executed 1, ready 1, ended 1",
            "done g1 began@1000 ended@1000+0"},
        {{.workers = 1}, "1000 stop 15\n", "", "none"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin(&cases[i].settings);
        play(cases[i].script);
        check_counts_are(cases[i].counts);
        check_rollout(cases[i].rollout);
    }
}

/* Rules: R7 K5 */
static void test_the_words_about_a_rollout_that_failed(void **state)
{
    static char bytes[TALLY_LINE_MAX + 2];
    const struct tally_rollout *rollout = &tally.rollout;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 23);
    begin(&(struct core_settings){.workers = 1});
    play("1000 start\n1000 reload\n1001 spawn-failed 0 11");
    check_rollout("running g2 began@1001");
    play("1002 spawn-failed 0 12");
    tally_rollout_words(&tally, span("unable"), span("out of\nmemory"));
    assert_int_equal(rollout->line_length, strlen("unable"));
    assert_memory_equal(rollout->line, "unable", strlen("unable"));
    assert_int_equal(rollout->output_length, strlen("out of\nmemory"));
    assert_memory_equal(rollout->output, "out of\nmemory", strlen("out of\nmemory"));

    tally_rollout_words(&tally, (struct text_span){bytes, TALLY_LINE_MAX},
        (struct text_span){bytes, TALLY_OUTPUT_MAX});
    assert_int_equal(rollout->line_length, TALLY_LINE_MAX);
    assert_memory_equal(rollout->line, bytes, TALLY_LINE_MAX);
    assert_int_equal(rollout->output_length, TALLY_OUTPUT_MAX);
    assert_memory_equal(rollout->output, bytes, TALLY_OUTPUT_MAX);
    /* Of too much the beginning of the line counts, and the end of what was written. */
    tally_rollout_words(&tally, (struct text_span){bytes + 1, TALLY_LINE_MAX + 1},
        (struct text_span){bytes, TALLY_OUTPUT_MAX + 5});
    assert_int_equal(rollout->line_length, TALLY_LINE_MAX);
    assert_memory_equal(rollout->line, bytes + 1, TALLY_LINE_MAX);
    assert_int_equal(rollout->output_length, TALLY_OUTPUT_MAX);
    assert_memory_equal(rollout->output, bytes + 5, TALLY_OUTPUT_MAX);

    tally_rollout_words(&tally, span("unable"), (struct text_span){NULL, 0});
    assert_int_equal(rollout->output_length, 0);
    assert_int_equal(rollout->line_length, strlen("unable"));
}

/* Rules: R7 K5 */
static void test_words_are_of_one_rollout(void **state)
{
    (void)state;
    begin(&(struct core_settings){.workers = 1});
    play("1000 start\n" RUNS("1000", "0", "100") "1000 tick\n"
                                                 "2000 reload\n2001 spawn-failed 1 12");
    tally_rollout_words(&tally, span("unable"), span("memory"));
    check_rollout("failed g2 began@2000 ended@2001+1 not-started 1 p0 12");
    assert_int_equal(tally.rollout.why.serving, 1);
    play("3000 reload");
    check_rollout("running g3 began@3000");
    assert_int_equal(tally.rollout.line_length, 0);
    assert_int_equal(tally.rollout.output_length, 0);
}

/* Rules: K5 */
static void test_slots_that_were_never_used_are_not_touched(void **state)
{
    unsigned char garbage[sizeof tally.slots[0]];

    (void)state;
    memset(garbage, GARBAGE, sizeof garbage);
    begin(&(struct core_settings){.workers = 3});
    assert_int_equal(tally.slot_bound, 0);
    play("1000 start");
    assert_int_equal(tally.slot_bound, 3);
    for (unsigned slot = 0; slot < 3; slot++)
        check_slot(slot, "spawning@1000 g1 p0 asked@1000");
    for (unsigned slot = 3; slot < LIMIT_SLOTS; slot++)
        assert_memory_equal(&tally.slots[slot], garbage, sizeof garbage);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_worker_goes_through),
        cmocka_unit_test(test_restarts_are_those_of_one_generation),
        cmocka_unit_test(test_every_signal_that_was_sent_is_known),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_the_words_about_a_rollout_that_failed),
        cmocka_unit_test(test_words_are_of_one_rollout),
        cmocka_unit_test(test_slots_that_were_never_used_are_not_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
