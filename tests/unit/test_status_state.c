/*
 * Tests of status: the form of einhorn.
 */
#include "status_world.h"

/* Rules: K2 */
static void test_the_scene(void **state)
{
    (void)state;
    scene();
    assert_string_equal(told(status_add_state),
        "---\n"
        ":state:\n"
        "  :children:\n"
        "    1200:\n"
        "      :type: :worker\n"
        "      :version: 7\n"
        "      :acked: true\n"
        "      :signaled: !ruby/object:Set\n"
        "        hash: {}\n"
        "      :last_signaled_at:\n"
        "      :index: 0\n"
        "      :spinup_time: 2026-01-01 21:50:45.000000000 Z\n"
        "      :pinged_at: 2026-01-02 02:50:43.000000000 Z\n"
        "      :pinged_request_id: \"req-1\"\n"
        "    1201:\n"
        "      :type: :worker\n"
        "      :version: 7\n"
        "      :acked: true\n"
        "      :signaled: !ruby/object:Set\n"
        "        hash: {}\n"
        "      :last_signaled_at:\n"
        "      :index: 1\n"
        "      :spinup_time: 2026-01-02 02:49:40.000000000 Z\n"
        "      :pinged_at:\n"
        "      :pinged_request_id:\n"
        "    1100:\n"
        "      :type: :worker\n"
        "      :version: 6\n"
        "      :acked: true\n"
        "      :signaled: !ruby/object:Set\n"
        "        hash:\n"
        "          HUP: true\n"
        "          TERM: true\n"
        "          SIG64: true\n"
        "      :last_signaled_at: 2026-01-02 02:50:33.000000000 Z\n"
        "      :index: 2\n"
        "      :spinup_time: 2026-01-01 01:49:44.000000000 Z\n"
        "      :pinged_at:\n"
        "      :pinged_request_id:\n"
        "  :config:\n"
        "    :number: 2\n"
        "    :backlog: 4096\n"
        "    :seconds: 1\n"
        "    :max_unacked: 2\n"
        "  :versions: {}\n"
        "  :version: 8\n"
        "  :sockets: {}\n"
        "  :orig_cmd:\n"
        "  - \"./server\"\n"
        "  - \"-v\"\n"
        "  - \"say \\\"hi\\\"\"\n"
        "  :bind:\n"
        "  - - \"::\"\n"
        "    - \"8080\"\n"
        "    - - r\n"
        "  :bind_fds:\n"
        "  - 3\n"
        "  - 4\n"
        "  - 5\n"
        "  :bound_ports:\n"
        "  - 8080\n"
        "  :cmd:\n"
        "  - \"./server\"\n"
        "  - \"-v\"\n"
        "  - \"say \\\"hi\\\"\"\n"
        "  :script_name:\n"
        "  :respawn: true\n"
        "  :upgrading: false\n"
        "  :smooth_upgrade: false\n"
        "  :reloading_for_upgrade: false\n"
        "  :path:\n"
        "  :cmd_name:\n"
        "  :verbosity: 1\n"
        "  :generation: 0\n"
        "  :last_spinup: 2026-01-02 02:49:40.000000000 Z\n"
        "  :ack_mode:\n"
        "    :type: :timer\n"
        "    :timeout: 3.000\n"
        "  :kill_children_on_exit: false\n"
        "  :command_socket_as_fd: false\n"
        "  :socket_path: \"/run/app.control\"\n"
        "  :pidfile:\n"
        "  :lockfile:\n"
        "  :consecutive_deaths_before_ack: 0\n"
        "  :last_upgraded: 2026-01-02 02:47:25.000000000 Z\n"
        "  :nice:\n"
        "    :master:\n"
        "    :worker:\n"
        "    :renice_cmd:\n"
        "  :reexec_commandline:\n"
        "  :drop_environment_variables: []\n"
        "  :signal_timeout: 30.000\n"
        "  :preloaded: false\n"
        "  :reloading_for_preload_upgrade: false\n"
        ":persistent_descriptors: []\n");
}

/* Rules: K2 */
static void test_a_master_that_has_done_nothing(void **state)
{
    static const char *const parts[] = {
        "---\n:state:\n  :children: {}\n  :config:\n    :number: 1\n    :backlog:\n",
        "  :orig_cmd: []\n  :bind: []\n  :bind_fds: []\n  :bound_ports: []\n  :cmd: []\n",
        "  :last_spinup:\n",
        "  :socket_path:\n",
        "  :last_upgraded:\n",
        "  :signal_timeout:\n",
        "  :upgrading: false\n",
    };
    (void)state;
    snapshot_init(&snapshot);
    snapshot.source.command_count = 0;
    snapshot_worker(&snapshot, 0, CORE_WORKER_SPAWNING, 0, 1, 1); /* no process yet */
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        expect_part(told(status_add_state), parts[i]);
}

/* Rules: K2 */
static void test_where_it_is_in_its_life(void **state)
{
    static const struct {
        enum core_phase phase;
        const char *respawn;
        const char *upgrading;
    } cases[] = {
        {CORE_FIRST, "  :respawn: true\n", "  :upgrading: false\n"},
        {CORE_ROLLING, "  :respawn: true\n", "  :upgrading: true\n"},
        {CORE_STOPPING, "  :respawn: false\n", "  :upgrading: false\n"},
        {CORE_ENDED, "  :respawn: false\n", "  :upgrading: false\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        snapshot.core.phase = cases[i].phase;
        snapshot.core.smooth = i % 2 == 1;
        expect_part(told(status_add_state), cases[i].respawn);
        expect_part(told(status_add_state), cases[i].upgrading);
        expect_part(told(status_add_state),
            i % 2 == 1 ? ":smooth_upgrade: true\n" : ":smooth_upgrade: false\n");
    }
}

/* Rules: K2 R3 */
static void test_how_workers_are_acked(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.core.settings.start_ms = 999007;
    expect_part(told(status_add_state), "  :ack_mode:\n    :type: :timer\n    :timeout: 999.007\n");
    snapshot.core.settings.says_ready = true;
    expect_part(told(status_add_state), "  :ack_mode:\n    :type: :manual\n  :kill");
    snapshot_worker(&snapshot, 0, CORE_WORKER_STARTING, 1, 1, 1);
    expect_part(told(status_add_state), "      :acked: false\n");
    snapshot.tally.slots[0].ready = snapshot_ago(1);
    expect_part(told(status_add_state), "      :acked: true\n");
}

/* Rules: K2 */
static void test_the_first_start_is_no_upgrade(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.tally.rollout =
        (struct tally_rollout){.result = TALLY_DONE, .generation = 1, .began = snapshot_ago(5000)};
    expect_part(told(status_add_state), "  :last_upgraded:\n");
    snapshot.tally.rollout.generation = 2;
    expect_part(told(status_add_state), "  :last_upgraded: 2026-01-02 02:50:40.000000000 Z\n");
}

/* Rules: K2 */
static void test_sockets_as_einhorn_has_them(void **state)
{
    static const struct {
        const char *address;
        const char *bind; /* NULL: it knows no such sockets */
        const char *port;
    } cases[] = {
        {"tcp://127.0.0.1:80", "  - - \"127.0.0.1\"\n    - \"80\"\n    - - r\n", "  - 80\n"},
        {"tcp://[fe80::1%25lo]:1", "  - - \"fe80::1%25lo\"\n    - \"1\"\n    - - r\n", "  - 1\n"},
        {"tcp://:80", "  - - \"\"\n    - \"80\"\n    - - r\n", "  - 80\n"},
        {"tcp://[:80", "  - - \"[\"\n    - \"80\"\n    - - r\n", "  - 80\n"},
        {"unix:///run/a:1", NULL, NULL},
        {"udp://0.0.0.0:53", NULL, NULL},
        {"tcp://80", NULL, NULL},
        {"nothing", NULL, NULL},
    };
    char part[128];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        snapshot_listener(&snapshot, "", cases[i].address);
        snprintf(part, sizeof part, "  :bind:%s%s  :bind_fds:\n  - 3\n  :bound_ports:%s%s  :cmd:\n",
            cases[i].bind ? "\n" : " []\n", cases[i].bind ? cases[i].bind : "",
            cases[i].port ? "\n" : " []\n", cases[i].port ? cases[i].port : "");
        expect_part(told(status_add_state), part);
    }
}

/* Rules: K2 */
static void test_several_sockets(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_listener(&snapshot, "", "tcp://0.0.0.0:80");
    snapshot_listener(&snapshot, "", "unix:///run/a");
    snapshot_listener(&snapshot, "", "tcp://[::1]:443");
    expect_part(told(status_add_state),
        "  :bind:\n  - - \"0.0.0.0\"\n    - \"80\"\n    - - r\n"
        "  - - \"::1\"\n    - \"443\"\n    - - r\n"
        "  :bind_fds:\n  - 3\n  - 4\n  - 5\n  :bound_ports:\n  - 80\n  - 443\n  :cmd:\n");
}

/* Rules: K2 */
static void test_the_backlog_is_of_the_first_that_has_one(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_listener(&snapshot, "", "udp://0.0.0.0:53")->has_queue = false;
    expect_part(told(status_add_state), "    :backlog:\n");
    snapshot_listener(&snapshot, "", "tcp://0.0.0.0:53")->limit = 7;
    snapshot_listener(&snapshot, "", "tcp://0.0.0.0:54")->limit = 8;
    expect_part(told(status_add_state), "    :backlog: 7\n");
}

/* Rules: K2 */
static void test_the_latest_start_counts(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 10, 1, 10000);
    snapshot_worker(&snapshot, 1, CORE_WORKER_READY, 11, 1, 5500);
    snapshot_worker(&snapshot, 3, CORE_WORKER_READY, 12, 1, 20000);
    snapshot.core.workers[4] = snapshot.core.workers[3]; /* one that was never used */
    snapshot.tally.slots[4].asked_for = snapshot_ago(0);
    expect_part(told(status_add_state), "  :last_spinup: 2026-01-02 02:50:39.000000000 Z\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scene),
        cmocka_unit_test(test_a_master_that_has_done_nothing),
        cmocka_unit_test(test_where_it_is_in_its_life),
        cmocka_unit_test(test_how_workers_are_acked),
        cmocka_unit_test(test_the_first_start_is_no_upgrade),
        cmocka_unit_test(test_sockets_as_einhorn_has_them),
        cmocka_unit_test(test_several_sockets),
        cmocka_unit_test(test_the_backlog_is_of_the_first_that_has_one),
        cmocka_unit_test(test_the_latest_start_counts),
    };
    return cmocka_run_group_tests_name("status_state", tests, NULL, NULL);
}
