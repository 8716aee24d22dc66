/*
 * Tests of supervisor: what is asked for through the control socket comes to pass, and whoever
 * asked hears how it went.
 */
#include "supervisor_world.h"

#include <sys/un.h>

#define CONTROL "/run/c.sock"
#define SOCKET "-control=" CONTROL " "

enum {
    CLIENTS = 4,
    STEPS = 24,
    SHELL = 5000, /* pids of clients, which descend from nobody */
};

/* What a client says at a time, BEGIN + after; NULL: it goes. */
struct step {
    uint64_t after;
    int client;
    const char *line;
};

static const struct step *script;
static int connections[CLIENTS];
static pid_t pids[CLIENTS];

static int control_listener(const struct os_fake *os)
{
    for (int fd = 0; fd < OS_FAKE_DESCRIPTORS; fd++) {
        const struct os_fake_descriptor *descriptor = &os->descriptors[fd];
        struct sockaddr_un un;
        if (descriptor->kind != OS_FAKE_SOCKET)
            continue;
        memcpy(&un, &descriptor->address.address, sizeof un);
        if (un.sun_family == AF_UNIX && strcmp(un.sun_path, CONTROL) == 0)
            return fd;
    }
    fail_msg("nobody listens at %s", CONTROL);
    return -1;
}

static void do_step(struct os_fake *os, pid_t pid, int number)
{
    const struct step *step = &script[number];
    int *connection = &connections[step->client];
    (void)pid;
    if (*connection < 0)
        *connection =
            os_fake_dial(os, control_listener(os), pids[step->client], os->os.user_id(&os->os));
    if (step->line)
        os_fake_say(os, *connection, step->line, strlen(step->line));
    else
        os_fake_hang_up(os, *connection);
}

static int set_up_control(void **state)
{
    set_up(state);
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    os_fake_file(&fake, "/bin/other", OS_FILE_REGULAR)->executable = true;
    for (int i = 0; i < CLIENTS; i++) {
        connections[i] = -1;
        pids[i] = SHELL + i;
        os_fake_relate(&fake, pids[i], 0);
    }
    return 0;
}

/* The steps end with one that has no time. */
static void play(const struct step *steps)
{
    script = steps;
    for (int i = 0; steps[i].after; i++)
        os_fake_at(&fake, BEGIN + steps[i].after, do_step, 0, i);
}

static const char *heard_by(int client)
{
    assert_true(connections[client] >= 0);
    return fake.connections[connections[client]].sent;
}

static void expect_heard(int client, const char *text)
{
    if (!strstr(heard_by(client), text))
        fail_msg("client %d did not hear: %s\nbut: %s", client, text, heard_by(client));
}

static void expect_not_heard(int client, const char *text)
{
    if (strstr(heard_by(client), text))
        fail_msg("client %d heard: %s\nin: %s", client, text, heard_by(client));
}

static size_t replies_of(int client)
{
    size_t count = 0;
    for (const char *at = heard_by(client); (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

#define ASK(rest) "{\"id\": 1, \"command\": " rest "}\n"
#define ROLLOUT(rest) ASK("\"rollout\", \"wait\": true" rest)

/* Rules: K2 K5 */
static void test_whoever_waits_hears_how_it_went(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ROLLOUT("")},
        {4001, 1, ASK("\"upgrade\"")},
        {4100, 2, ASK("\"rollout\"")},
        {20000, 3, ASK("\"die\", \"args\": [\"TERM\"]")},
        {0},
    };
    (void)state;
    play(steps);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(
        0, "{\"message\": \"generation 2 is starting\", \"request_id\": 1, \"wait\": true}\n");
    expect_heard(
        0, "worker 1002 (slot 1) ready after 3001 ms\", \"request_id\": 1, \"wait\": true}\n");
    expect_heard(
        0, "{\"message\": \"generation 2: rollout done in 3001 ms\", \"request_id\": 1}\n");
    expect_not_heard(0, "generation 3");
    /* Remembered: of the generation that came after that. */
    expect_heard(1,
        "{\"message\": \"Upgrading smoothly, as commanded\", \"request_id\": 1, \"wait\": true}");
    expect_heard(1, "generation 3: worker 1003 (slot 2) ready");
    expect_not_heard(1, "generation 2");
    expect_heard(1, "{\"message\": \"Upgrade done\", \"request_id\": 1}\n");
    assert_int_equal(replies_of(2), 1);
    expect_heard(2, "generation 3 starts when the rollout that is under way has ended\"");
    expect_heard(3, "{\"message\": \"stopping: each worker gets TERM\", \"request_id\": 1}\n");
    assert_null(os_fake_find(&fake, CONTROL));
    os_fake_done(&fake);
}

/* Rules: K5 R7 */
static void test_whoever_waits_in_vain_hears_why(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ROLLOUT("")},
        {4100, 1, ROLLOUT("")},
        {4200, 2, ROLLOUT("")},
        {4300, 2, NULL},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_exit_at(&fake, BEGIN + 5000, SECOND, 3 << EXIT_STATUS);
    os_fake_signal_at(&fake, BEGIN + 6000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0,
        "generation 2: rollout failed after 1000 ms: worker 1002 (slot 1) ended before it "
        "was ready: exit status 3; 1 worker serves on\", \"request_id\": 1, \"error\": true}\n");
    expect_heard(1,
        "{\"message\": \"the rollout is cancelled: a stop was asked for\", \"request_id\": 1, "
        "\"error\": true}\n");
    os_fake_done(&fake);
}

/* Rules: K5 E10 */
static void test_a_command_is_kept_if_its_rollout_succeeds(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ROLLOUT(", \"args\": [\"other\", \"-x\"]")},
        {4100, 1, ROLLOUT(", \"args\": [\"/bin/other\", \"again\"]")},
        {4200, 2, ROLLOUT(", \"args\": [\"/bin/other\", \"too late\"]")},
        {4300, 3, ROLLOUT(", \"args\": [\"/bin/missing\"]")},
        {0},
    };
    (void)state;
    play(steps);
    /* Generation 3 fails; what 2 executed goes on, and a reload starts that again. */
    os_fake_exit_at(&fake, BEGIN + 8000, THIRD, 1 << EXIT_STATUS);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 20000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0, "generation 2: worker 1002 (slot 1) started: other");
    expect_heard(0, "rollout done");
    expect_heard(1, "generation 3: worker 1003 (slot 2) started: /bin/other");
    expect_heard(1, "rollout failed");
    expect_heard(2, "{\"message\": \"another command waits already: for generation 3\",");
    expect_heard(3, "another command waits already");
    expect_said("generation 4: worker 1004 (slot 0) started: other\n");
    os_fake_done(&fake);
}

/* Rules: K5 C6 */
static void test_a_command_that_cannot_be_is_refused_at_once(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ROLLOUT(", \"args\": [\"/bin/missing\"]")},
        {4001, 0, ROLLOUT(", \"args\": [\"\"]")},
        {4002, 0, ROLLOUT(", \"args\": [\"/bin/other\", \"a\\0b\"]")},
        {4003, 0, ROLLOUT(", \"args\": [\"/bin/other\"]")},
        {9000, 0, ROLLOUT("")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 20000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0, "unable to find \\\"/bin/missing\\\": No such file or directory\",");
    expect_heard(0, "Invalid command: it is empty");
    expect_heard(0, "Invalid command: a byte of it is NUL");
    expect_said("generation 2: worker 1002 (slot 1) started: /bin/other\n");
    expect_said("generation 3: worker 1003 (slot 0) started: /bin/other\n");
    os_fake_done(&fake);
}

/* Rules: K5 */
static void test_a_deploy_that_was_slower_is_refused(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ROLLOUT(", \"generation\": 1")},
        {4001, 1, ROLLOUT(", \"generation\": 1")},
        {8000, 2, ROLLOUT(", \"generation\": 1")},
        {8001, 2, ROLLOUT(", \"generation\": 2")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 20000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0, "generation 2: rollout done");
    expect_heard(
        1, "generation 1 may be replaced already: a rollout to generation 2 is under way\",");
    expect_heard(
        2, "generation 1 does not serve: generation 2 does\", \"request_id\": 1, \"error\": true}");
    expect_heard(2, "generation 3: rollout done");
    os_fake_done(&fake);
}

/* Rules: R3 K2 K3 */
static void test_a_worker_is_ready_when_it_acks(void **state)
{
    static const struct step steps[] = {
        {2000, 0, "---%0Acommand: worker:ack%0Apid: 1001%0A\n"},
        {5000, 1, "{\"command\":\"worker:ack\",\"pid\":1002}\n"},
        {0},
    };
    (void)state;
    pids[0] = FIRST;
    pids[1] = SHELL;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 4000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "-ready=ack /bin/server"), 0);
    expect_said("generation 1: worker 1001 (slot 0) ready after 2000 ms");
    expect_said("generation 2: worker 1002 (slot 1) ready after 1000 ms");
    assert_int_equal(replies_of(0), 0);
    os_fake_done(&fake);
}

/* Rules: R3 K2 */
static void test_an_ack_that_nobody_needs_changes_nothing(void **state)
{
    static const struct step steps[] = {
        {100, 0, "{\"command\":\"worker:ack\",\"pid\":1001}\n"},
        {0},
    };
    (void)state;
    pids[0] = FIRST;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_said("generation 1: worker 1001 (slot 0) ready after 3001 ms");
    expect_not_said("came out of turn");
    os_fake_done(&fake);
}

/* Rules: K2 R11 */
static void test_more_and_fewer_workers(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"dec\"")},
        {4001, 0, ASK("\"inc\"")},
        {4002, 0, ASK("\"set_workers\", \"args\": [\"4\"]")},
        {4003, 0, ASK("\"config\", \"args\": [\"{:number: 1, :verbosity: 2}\"]")},
        {4004, 0, ASK("\"set_workers\", \"args\": [\"1025\"]")},
        {4005, 1, ROLLOUT("")},
        {4006, 0, ASK("\"inc\"")},
        {30000, 0, ASK("\"die\", \"args\": [\"QUIT\"]") ASK("\"inc\"") ASK("\"rollout\"")},
        {0},
    };
    (void)state;
    fake.mortal = BIT(SIGHUP) | BIT(SIGKILL);
    play(steps);
    os_fake_exit_at(&fake, BEGIN + 31000, FIRST + 6, 0);
    os_fake_exit_at(&fake, BEGIN + 31000, FIRST + 5, 0);
    os_fake_exit_at(&fake, BEGIN + 31000, FIRST + 4, 0);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0, "{\"message\": \"unable to run 0 workers: expected 1 to 1024\", "
                    "\"request_id\": 1, \"error\": true}\n");
    expect_heard(0, "workers wanted: 1 -> 2\"");
    expect_heard(0, "workers wanted: 2 -> 4\"");
    expect_heard(0, "workers wanted: 4 -> 1\"");
    expect_heard(0, "workers wanted: 1 -> 2, when the rollout that is under way has ended\"");
    expect_heard(
        0, "a stop was asked for: nothing is started any more\", \"request_id\": 1, \"error\"");
    os_fake_done(&fake);
}

/* Rules: K2 */
static void test_signals_go_to_all_workers(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"signal\", \"args\": [\"usr1\", \"SIGUSR2\"]")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "-workers=2 /bin/server"), 0);
    expect_heard(0, "sent USR1 to 2 workers, USR2 to 2 workers\"");
    expect_signal(FIRST, SIGUSR1, 1);
    expect_signal(SECOND, SIGUSR2, 1);
    os_fake_done(&fake);
}

static void reload_and_ask(struct os_fake *os, pid_t pid, int number)
{
    static const char line[] = ASK("\"ehlo\"");
    (void)pid;
    os_fake_signal(os, number);
    os_fake_say(os, connections[0], line, strlen(line));
}

/* Rules: K4 */
static void test_a_worker_that_is_being_executed_comes_before_clients(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"ehlo\"")},
        {15000, 0, ASK("\"ehlo\"")},
        {20000, 0, ASK("\"die\", \"args\": [\"TERM\"]")},
        {0},
    };
    (void)state;
    play(steps);
    /* Who asks then has to wait, and who asks later has not. */
    os_fake_at(&fake, BEGIN + 9000, reload_and_ask, 0, SIGHUP);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    assert_int_equal(replies_of(0), 4);
    assert_int_equal(os_fake_uses(&fake, "pause_ms"), 1);
    os_fake_done(&fake);
}

/* The last worker ends, and before the master looks everybody has asked for something. */
static void end_and_ask(struct os_fake *os, pid_t pid, int number)
{
    static const char *const lines[] = {ASK("\"signal\", \"args\": [\"USR1\"]"),
        ASK("\"die\", \"args\": [\"TERM\"]"), ASK("\"rollout\"")};
    os_fake_exit(os, pid, number);
    for (int i = 0; i < 3; i++)
        os_fake_say(os, connections[i], lines[i], strlen(lines[i]));
}

/* Rules: K2 R12 X2 */
static void test_what_is_asked_as_the_last_worker_ends_is_answered(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"ehlo\"")},
        {4001, 1, ASK("\"ehlo\"")},
        {4002, 2, ASK("\"ehlo\"")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_at(&fake, BEGIN + 9000, end_and_ask, FIRST, 3 << EXIT_STATUS);
    assert_int_equal(run(SOCKET "/bin/server"), 3);
    expect_heard(0, "sent USR1 to 0 workers\"");
    expect_heard(1, "stopping: each worker gets TERM\"");
    expect_heard(2, "nothing is started any more\"");
    expect_not_said("out of turn");
    os_fake_done(&fake);
}

/* Rules: K2 O1 */
static void test_how_much_is_logged(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"louder\"") ASK("\"louder\"")},
        {4001, 0, ASK("\"worker:ping\", \"pid\": 1001")},
        {4002, 1, ASK("\"quieter\"") ASK("\"quieter\"")},
        {4003, 2, ASK("\"rollout\"")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_said("control: process 5000 of user ");
    expect_said("asked: worker:ping\n");
    expect_heard(1, "verbosity 1: ");
    expect_heard(1, "verbosity 2: ");
    expect_not_said("generation 2");
    os_fake_done(&fake);
}

/* Rules: K5 O1 K4 */
static void test_the_log_is_followed(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"logs\"")},
        {4000, 1, ASK("\"logs\"")},
        {4050, 1, NULL},
        {4100, 2, ASK("\"rollout\"")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "/bin/server"), 0);
    expect_heard(0, "{\"message\": \"Following the log\", \"request_id\": 1, \"wait\": true}\n");
    expect_heard(
        0, "generation 2: reload asked for, starting\\n\", \"request_id\": 1, \"wait\": true}\n");
    expect_heard(0, "worker 1002 (slot 1) ended");
    expect_not_heard(0, "generation 1: rollout done");
    os_fake_done(&fake);
}

/* Rules: K5 */
static void test_what_there_is_to_know(void **state)
{
    static const struct step steps[] = {
        {4000, 0, ASK("\"status\"")},
        {4001, 1, ASK("\"status\", \"args\": [\"json\"]")},
        {4002, 2, ASK("\"state\"")},
        {4003, 3, ASK("\"metrics\"")},
        {0},
    };
    (void)state;
    play(steps);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run(SOCKET "-textfile=/run/m.prom /bin/server"), 0);
    expect_heard(0, "serving   generation 1");
    expect_heard(1, "\\\"generation\\\":1,");
    expect_heard(2, ":children:");
    expect_heard(3, "socketmaster_generation 1\\n");
    assert_non_null(strstr(fake.replacement, "\nsocketmaster_generation 1\n"));
    os_fake_done(&fake);
}

/* Rules: K5 O3 */
static void test_a_file_that_cannot_be_written_costs_a_line(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 2; i++)
        os_fake_fail(&fake, "file_replace", i, EACCES);
    os_fake_signal_at(&fake, BEGIN + 5000, SIGHUP);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-textfile=/run/m.prom /bin/server"), 0);
    const char *said = strstr(fake.output, "unable to write \"/run/m.prom\": Permission denied");
    assert_non_null(said);
    assert_null(strstr(said + 1, "unable to write"));
    assert_non_null(strstr(fake.replacement, "\nsocketmaster_generation 2\n"));
    os_fake_done(&fake);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up_control)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whoever_waits_hears_how_it_went),
        TEST(test_whoever_waits_in_vain_hears_why),
        TEST(test_a_command_is_kept_if_its_rollout_succeeds),
        TEST(test_a_command_that_cannot_be_is_refused_at_once),
        TEST(test_a_deploy_that_was_slower_is_refused),
        TEST(test_a_worker_is_ready_when_it_acks),
        TEST(test_an_ack_that_nobody_needs_changes_nothing),
        TEST(test_more_and_fewer_workers),
        TEST(test_signals_go_to_all_workers),
        TEST(test_a_worker_that_is_being_executed_comes_before_clients),
        TEST(test_what_is_asked_as_the_last_worker_ends_is_answered),
        TEST(test_how_much_is_logged),
        TEST(test_the_log_is_followed),
        TEST(test_what_there_is_to_know),
        TEST(test_a_file_that_cannot_be_written_costs_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
