/*
 * Tests of status: the form for programs.
 */
#include "status_world.h"

/* Rules: K5 */
static void test_the_scene(void **state)
{
    (void)state;
    scene();
    assert_string_equal(told(status_add_json),
        "{\"format\":1,\"version\":\"0.1.0\",\"pid\":4711,\"time\":1767322245,"
        "\"started_at\":1767232245,\"phase\":\"serving\",\"generation\":7,"
        "\"latest_generation\":8,\"reload_pending\":false,\"workers_wanted\":2,"
        "\"command\":[\"./server\",\"-v\",\"say \\\"hi\\\"\"],\"command_whole\":true,"
        "\"control\":\"/run/app.control\",\"verbosity\":1,\"listeners\":[{"
        "\"address\":\"tcp://[::]:8080\",\"uri\":\"tcp://:8080?name=web\",\"name\":\"web\","
        "\"waiting\":3,\"limit\":4096,\"overflows\":12},{"
        "\"address\":\"unix:///run/app.sock\",\"uri\":\"unix:///run/app.sock\",\"name\":\"\","
        "\"waiting\":128,\"limit\":128,\"overflows\":null},{"
        "\"address\":\"udp://127.0.0.1:53\",\"uri\":null,\"name\":\"dns\",\"waiting\":null,"
        "\"limit\":null,\"overflows\":0}],\"workers\":[{\"slot\":0,\"pid\":1200,"
        "\"generation\":7,\"state\":\"ready\",\"since\":1767304245,\"since_ms\":18000000,"
        "\"started_at\":1767304245,\"ready_at\":1767304245,\"ready_after_ms\":480,"
        "\"restarts\":0,\"kill_in_ms\":null,\"status\":\"all well\","
        "\"pinged_at\":1767322243,\"ping_id\":\"req-1\"},{\"slot\":1,\"pid\":1201,"
        "\"generation\":7,\"state\":\"ready\",\"since\":1767322180,\"since_ms\":65000,"
        "\"started_at\":1767322180,\"ready_at\":1767322180,\"ready_after_ms\":2300,"
        "\"restarts\":1,\"kill_in_ms\":null,\"status\":\"\",\"pinged_at\":null,"
        "\"ping_id\":null},{\"slot\":2,\"pid\":1100,\"generation\":6,\"state\":\"draining\","
        "\"since\":1767322233,\"since_ms\":12000,\"started_at\":1767232184,"
        "\"ready_at\":1767232245,\"ready_after_ms\":61000,\"restarts\":0,"
        "\"kill_in_ms\":18000,\"status\":\"3 connections left\",\"pinged_at\":null,"
        "\"ping_id\":null},{\"slot\":4,\"pid\":null,\"generation\":7,\"state\":\"spawning\","
        "\"since\":1767322245,\"since_ms\":0,\"started_at\":1767322245,\"ready_at\":null,"
        "\"ready_after_ms\":null,\"restarts\":0,\"kill_in_ms\":null,\"status\":\"\","
        "\"pinged_at\":null,\"ping_id\":null}],\"rollout\":{\"generation\":8,"
        "\"result\":\"failed\",\"began_at\":1767322045,\"ended_at\":1767322047,"
        "\"elapsed_ms\":1234,\"why\":{\"failure\":\"ended\",\"slot\":3,\"pid\":1300,"
        "\"message\":\"generation 8: rollout failed after 1234 ms: worker 1300 (slot 3) ended "
        "before it was ready: exit status 2\","
        "\"output\":\"starting\\nerror: no \\\"db\\\" \\u00e4\\u001b[m\"}},\"counters\":{"
        "\"rollouts\":8,\"rollouts_done\":7,\"rollouts_failed\":1,"
        "\"rollouts_cancelled\":0,\"reloads_refused\":0,\"workers_started\":17,"
        "\"workers_not_started\":0,\"workers_replaced\":1,\"workers_ready\":16,"
        "\"workers_late\":0,\"workers_lost\":0,\"workers_ended\":14,"
        "\"workers_ended_unasked\":2,\"workers_crashed\":1,\"workers_killed\":0,"
        "\"log_lines\":1000,\"log_bytes\":65536,\"log_lines_lost\":2}}\n");
}

/* Rules: K5 */
static void test_a_master_that_has_done_nothing(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.source.command_count = 0;
    const char *json = told(status_add_json);
    expect_part(json, "\"phase\":\"new\",\"generation\":0,\"latest_generation\":0,");
    expect_part(json, "\"command\":[],\"command_whole\":true,\"control\":null,");
    expect_part(json, "\"listeners\":[],\"workers\":[],\"rollout\":null,\"counters\":{");
}

/* Rules: K5 */
static void test_a_slot_that_was_never_used_is_not_looked_at(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1, 1, 0);
    snapshot.core.workers[1] = snapshot.core.workers[0];
    expect_part(told(status_add_json), "{\"slot\":0,\"pid\":1,");
    expect_no_part(told(status_add_json), "{\"slot\":1,");
}

/* Rules: K5 */
static void test_each_phase_and_state_has_its_word(void **state)
{
    static const char *const phases[CORE_PHASE_COUNT] = {
        "new", "starting", "serving", "rolling", "stopping", "ended"};
    static const char *const states[CORE_WORKER_STATE_COUNT] = {"", "spawning", "cancelled",
        "executing", "starting", "held", "ready", "draining", "stopping", "killed"};
    char part[64];
    (void)state;
    for (int phase = 0; phase < CORE_PHASE_COUNT; phase++) {
        snapshot_init(&snapshot);
        snapshot.core.phase = (enum core_phase)phase;
        snprintf(part, sizeof part, "\"phase\":\"%s\"", phases[phase]);
        expect_part(told(status_add_json), part);
    }
    for (int each = CORE_WORKER_SPAWNING; each < CORE_WORKER_STATE_COUNT; each++) {
        snapshot_init(&snapshot);
        snapshot_worker(&snapshot, 1, (enum core_worker_state)each, 0, 1, 1);
        snprintf(part, sizeof part, "[{\"slot\":1,\"pid\":null,\"generation\":1,\"state\":\"%s\"",
            states[each]);
        expect_part(told(status_add_json), part);
    }
}

/* Rules: K5 R7 */
static void test_each_failure_has_its_word(void **state)
{
    static const char *const failures[CORE_FAILURE_COUNT] = {
        "none", "not_started", "killed", "ended", "ended_ready", "late", "lost", "no_slot"};
    char part[128];
    (void)state;
    for (int failure = 0; failure < CORE_FAILURE_COUNT; failure++) {
        for (int pid = 0; pid < 2; pid++) {
            bool none = failure == CORE_FAILURE_NO_SLOT;
            scene();
            snapshot.tally.rollout.why =
                (struct core_action){.failure = (enum core_failure)failure, .slot = 0, .pid = pid};
            snprintf(part, sizeof part, "\"why\":{\"failure\":\"%s\",\"slot\":%s,\"pid\":%s,",
                failures[failure], none ? "null" : "0", none || pid == 0 ? "null" : "1");
            expect_part(told(status_add_json), part);
        }
    }
}

/* Rules: K5 */
static void test_each_result_has_its_word(void **state)
{
    static const struct {
        enum tally_result result;
        const char *part;
    } cases[] = {
        {TALLY_RUNNING, "\"result\":\"running\",\"began_at\":1767322240,\"ended_at\":null,"
                        "\"elapsed_ms\":5000,\"why\":null}"},
        {TALLY_DONE, "\"result\":\"done\",\"began_at\":1767322240,\"ended_at\":1767322243,"
                     "\"elapsed_ms\":3000,\"why\":null}"},
        {TALLY_CANCELLED, "\"result\":\"cancelled\","},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        snapshot.tally.rollout = (struct tally_rollout){.result = cases[i].result,
            .generation = 2,
            .began = snapshot_ago(5000),
            .elapsed = 3000};
        if (cases[i].result != TALLY_RUNNING)
            snapshot.tally.rollout.ended = snapshot_ago(2000);
        expect_part(told(status_add_json), cases[i].part);
    }
}

/* Rules: K5 */
static void test_what_is_too_long_is_cut(void **state)
{
    static char status[2 * STATUS_WORD_MAX], uri[2 * STATUS_URI_MAX];
    char part[sizeof uri + 16];
    (void)state;
    snapshot_init(&snapshot);
    memset(status, 's', STATUS_WORD_MAX + 1);
    memset(uri, 'u', STATUS_URI_MAX + 1);
    snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1, 1, 1);
    strcpy(snapshot.statuses[0], status);
    snapshot_listener(&snapshot, uri, "unix:///a");
    status[STATUS_WORD_MAX] = uri[STATUS_URI_MAX] = '\0';
    const char *json = told(status_add_json);
    snprintf(part, sizeof part, "\"status\":\"%s\"", status);
    expect_part(json, part);
    snprintf(part, sizeof part, "\"uri\":\"%s\"", uri);
    expect_part(json, part);
    snapshot.command[0].length = STATUS_COMMAND_MAX;
    expect_part(told(status_add_json), "\"command\":[],\"command_whole\":false");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scene),
        cmocka_unit_test(test_a_master_that_has_done_nothing),
        cmocka_unit_test(test_a_slot_that_was_never_used_is_not_looked_at),
        cmocka_unit_test(test_each_phase_and_state_has_its_word),
        cmocka_unit_test(test_each_failure_has_its_word),
        cmocka_unit_test(test_each_result_has_its_word),
        cmocka_unit_test(test_what_is_too_long_is_cut),
    };
    return cmocka_run_group_tests_name("status_json", tests, NULL, NULL);
}
