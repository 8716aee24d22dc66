/*
 * Tests of status: the form for Prometheus.
 */
#include "status_world.h"

/* Rules: K5 */
static void test_the_scene(void **state)
{
    static const char *const lines[] = {
        "# HELP socketmaster_build_info Always 1; the version is in its label.\n",
        "# TYPE socketmaster_build_info gauge\n",
        "socketmaster_build_info{version=\"0.1.0\"} 1\n",
        "# HELP socketmaster_start_time_seconds When the master was started, since 1970.\n",
        "# TYPE socketmaster_start_time_seconds gauge\n",
        "socketmaster_start_time_seconds 1767232245\n",
        "# HELP socketmaster_generation The generation that serves; 0 before the first.\n",
        "# TYPE socketmaster_generation gauge\n",
        "socketmaster_generation 7\n",
        "# HELP socketmaster_latest_generation The generation that was started last.\n",
        "# TYPE socketmaster_latest_generation gauge\n",
        "socketmaster_latest_generation 8\n",
        "# HELP socketmaster_phase 1 for the phase in which the master is.\n",
        "# TYPE socketmaster_phase gauge\n",
        "socketmaster_phase{phase=\"new\"} 0\n",
        "socketmaster_phase{phase=\"starting\"} 0\n",
        "socketmaster_phase{phase=\"serving\"} 1\n",
        "socketmaster_phase{phase=\"rolling\"} 0\n",
        "socketmaster_phase{phase=\"stopping\"} 0\n",
        "socketmaster_phase{phase=\"ended\"} 0\n",
        "# HELP socketmaster_reload_pending 1 while a reload waits for the end of a rollout.\n",
        "# TYPE socketmaster_reload_pending gauge\n",
        "socketmaster_reload_pending 0\n",
        "# HELP socketmaster_workers_wanted How many workers are asked for.\n",
        "# TYPE socketmaster_workers_wanted gauge\n",
        "socketmaster_workers_wanted 2\n",
        "# HELP socketmaster_workers Living workers by state.\n",
        "# TYPE socketmaster_workers gauge\n",
        "socketmaster_workers{state=\"spawning\"} 1\n",
        "socketmaster_workers{state=\"cancelled\"} 0\n",
        "socketmaster_workers{state=\"executing\"} 0\n",
        "socketmaster_workers{state=\"starting\"} 0\n",
        "socketmaster_workers{state=\"held\"} 0\n",
        "socketmaster_workers{state=\"ready\"} 2\n",
        "socketmaster_workers{state=\"draining\"} 1\n",
        "socketmaster_workers{state=\"stopping\"} 0\n",
        "socketmaster_workers{state=\"killed\"} 0\n",
        "# HELP socketmaster_last_rollout 1 for the result of the last rollout.\n",
        "# TYPE socketmaster_last_rollout gauge\n",
        "socketmaster_last_rollout{result=\"running\"} 0\n",
        "socketmaster_last_rollout{result=\"done\"} 0\n",
        "socketmaster_last_rollout{result=\"failed\"} 1\n",
        "socketmaster_last_rollout{result=\"cancelled\"} 0\n",
        "# HELP socketmaster_last_rollout_start_time_seconds When the last rollout began, since "
        "1970.\n",
        "# TYPE socketmaster_last_rollout_start_time_seconds gauge\n",
        "socketmaster_last_rollout_start_time_seconds 1767322045\n",
        "# HELP socketmaster_last_rollout_duration_seconds How long the last rollout took.\n",
        "# TYPE socketmaster_last_rollout_duration_seconds gauge\n",
        "socketmaster_last_rollout_duration_seconds 1.234\n",
        "# HELP socketmaster_listener_waiting Connections that wait to be accepted.\n",
        "# TYPE socketmaster_listener_waiting gauge\n",
        "socketmaster_listener_waiting{listener=\"0\",address=\"tcp://[::]:8080\",name=\"web\"} "
        "3\n",
        "socketmaster_listener_waiting{listener=\"1\",address=\"unix:///run/app.sock\",name=\"\"} "
        "128\n",
        "# HELP socketmaster_listener_waiting_limit How many connections may wait.\n",
        "# TYPE socketmaster_listener_waiting_limit gauge\n",
        "socketmaster_listener_waiting_limit{listener=\"0\",address=\"tcp://"
        "[::]:8080\",name=\"web\"} 4096\n",
        "socketmaster_listener_waiting_limit{listener=\"1\",address=\"unix:///run/"
        "app.sock\",name=\"\"} 128\n",
        "# HELP socketmaster_listener_overflows_total Tries to connect that found the queue full, "
        "or datagrams without room.\n",
        "# TYPE socketmaster_listener_overflows_total counter\n",
        "socketmaster_listener_overflows_total{listener=\"0\",address=\"tcp://"
        "[::]:8080\",name=\"web\"} 12\n",
        "socketmaster_listener_overflows_total{listener=\"2\",address=\"udp://"
        "127.0.0.1:53\",name=\"dns\"} 0\n",
        "# HELP socketmaster_rollouts_total Rollouts that began, the first start included.\n",
        "# TYPE socketmaster_rollouts_total counter\n",
        "socketmaster_rollouts_total 8\n",
        "# HELP socketmaster_rollouts_done_total Rollouts that succeeded.\n",
        "# TYPE socketmaster_rollouts_done_total counter\n",
        "socketmaster_rollouts_done_total 7\n",
        "# HELP socketmaster_rollouts_failed_total Rollouts that failed.\n",
        "# TYPE socketmaster_rollouts_failed_total counter\n",
        "socketmaster_rollouts_failed_total 1\n",
        "# HELP socketmaster_rollouts_cancelled_total Rollouts that a stop cut short.\n",
        "# TYPE socketmaster_rollouts_cancelled_total counter\n",
        "socketmaster_rollouts_cancelled_total 0\n",
        "# HELP socketmaster_reloads_refused_total Reloads refused since a stop was under way.\n",
        "# TYPE socketmaster_reloads_refused_total counter\n",
        "socketmaster_reloads_refused_total 0\n",
        "# HELP socketmaster_workers_started_total Workers that executed the command.\n",
        "# TYPE socketmaster_workers_started_total counter\n",
        "socketmaster_workers_started_total 17\n",
        "# HELP socketmaster_workers_not_started_total Workers that could not be started.\n",
        "# TYPE socketmaster_workers_not_started_total counter\n",
        "socketmaster_workers_not_started_total 0\n",
        "# HELP socketmaster_workers_replaced_total Workers started besides rollouts.\n",
        "# TYPE socketmaster_workers_replaced_total counter\n",
        "socketmaster_workers_replaced_total 1\n",
        "# HELP socketmaster_workers_ready_total Workers that became ready.\n",
        "# TYPE socketmaster_workers_ready_total counter\n",
        "socketmaster_workers_ready_total 16\n",
        "# HELP socketmaster_workers_late_total Workers given up since they were not ready in "
        "time.\n",
        "# TYPE socketmaster_workers_late_total counter\n",
        "socketmaster_workers_late_total 0\n",
        "# HELP socketmaster_workers_lost_total Workers given up since they could not say any more "
        "that they are ready.\n",
        "# TYPE socketmaster_workers_lost_total counter\n",
        "socketmaster_workers_lost_total 0\n",
        "# HELP socketmaster_workers_ended_total Workers that ended after they executed the "
        "command.\n",
        "# TYPE socketmaster_workers_ended_total counter\n",
        "socketmaster_workers_ended_total 14\n",
        "# HELP socketmaster_workers_ended_unasked_total Workers that ended and had not been told "
        "to.\n",
        "# TYPE socketmaster_workers_ended_unasked_total counter\n",
        "socketmaster_workers_ended_unasked_total 2\n",
        "# HELP socketmaster_workers_crashed_total Workers that ended unasked, by a signal.\n",
        "# TYPE socketmaster_workers_crashed_total counter\n",
        "socketmaster_workers_crashed_total 1\n",
        "# HELP socketmaster_workers_killed_total Workers that were sent KILL.\n",
        "# TYPE socketmaster_workers_killed_total counter\n",
        "socketmaster_workers_killed_total 0\n",
        "# HELP socketmaster_log_lines_total Lines that workers wrote.\n",
        "# TYPE socketmaster_log_lines_total counter\n",
        "socketmaster_log_lines_total 1000\n",
        "# HELP socketmaster_log_bytes_total Bytes that workers wrote.\n",
        "# TYPE socketmaster_log_bytes_total counter\n",
        "socketmaster_log_bytes_total 65536\n",
        "# HELP socketmaster_log_lines_lost_total Log lines that went nowhere.\n",
        "# TYPE socketmaster_log_lines_lost_total counter\n",
        "socketmaster_log_lines_lost_total 2\n",
    };
    (void)state;
    scene();
    const char *at = told(status_add_metrics);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t length = strlen(lines[i]);
        if (strncmp(at, lines[i], length) != 0)
            fail_msg("expected %sbut it goes on with %s", lines[i], at);
        at += length;
    }
    assert_string_equal(at, "");
}

/* Rules: K5 */
static void test_time_alone_changes_nothing(void **state)
{
    static char before[64 * 1024];
    (void)state;
    scene();
    snprintf(before, sizeof before, "%s", told(status_add_metrics));
    snapshot.source.now_ms += 86400000;
    snapshot.source.wall_s += 86399;
    assert_string_equal(told(status_add_metrics), before);
}

/* Rules: K5 */
static void test_of_a_rollout_only_what_is_known(void **state)
{
    static const struct {
        enum tally_result result;
        const char *there;
        const char *not_there;
    } cases[] = {
        {TALLY_NONE, "{result=\"running\"} 0", "last_rollout_start"},
        {TALLY_RUNNING, "{result=\"running\"} 1", "last_rollout_duration"},
        {TALLY_DONE, "{result=\"done\"} 1", "{result=\"none\"}"},
        {TALLY_FAILED, "last_rollout_duration_seconds 61.007\n", "{result=\"running\"} 1"},
        {TALLY_CANCELLED, "{result=\"cancelled\"} 1", "{result=\"done\"} 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        snapshot.tally.rollout.result = cases[i].result;
        snapshot.tally.rollout.began = snapshot_ago(100000);
        snapshot.tally.rollout.elapsed = 61007;
        expect_part(told(status_add_metrics), cases[i].there);
        expect_no_part(told(status_add_metrics), cases[i].not_there);
    }
}

/* Rules: K5 */
static void test_a_clock_before_1970_is_not_negative(void **state)
{
    (void)state;
    scene();
    snapshot.source.started_wall_s = -5;
    snapshot.tally.rollout.began.wall = -5;
    expect_part(told(status_add_metrics), "socketmaster_start_time_seconds 0\n");
    expect_part(told(status_add_metrics), "last_rollout_start_time_seconds 0\n");
}

/* Rules: K5 */
static void test_labels_are_escaped(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_listener(&snapshot, "", "unix:///a\"b\\c\nd\x7f\xc3")->name = "n \\";
    snapshot_listener(&snapshot, "", "unix:///a\"b\\c\nd\x7f\xc3"); /* the same once more */
    expect_part(told(status_add_metrics),
        "{listener=\"0\",address=\"unix:///a\\\"b\\\\c?d??\",name=\"n \\\\\"} 0\n");
    expect_part(told(status_add_metrics), "{listener=\"1\",address=");
}

/* Rules: K5 */
static void test_phases_and_a_reload_that_waits(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.core.phase = CORE_STOPPING;
    snapshot.core.reload_pending = true;
    const char *metrics = told(status_add_metrics);
    expect_part(metrics, "{phase=\"new\"} 0\n");
    expect_part(metrics, "{phase=\"stopping\"} 1\n");
    expect_part(metrics, "socketmaster_reload_pending 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scene),
        cmocka_unit_test(test_time_alone_changes_nothing),
        cmocka_unit_test(test_of_a_rollout_only_what_is_known),
        cmocka_unit_test(test_a_clock_before_1970_is_not_negative),
        cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_phases_and_a_reload_that_waits),
    };
    return cmocka_run_group_tests_name("status_metrics", tests, NULL, NULL);
}
