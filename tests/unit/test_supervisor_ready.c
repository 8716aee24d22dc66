/* Tests of supervisor: workers that say themselves that they are ready, and pools of them. */
#include "supervisor_world.h"

/* In the fake a private directory has this name. */
#define SOCKET_OF(slot) "/run/socketmaster-1000-fake00/" slot

/* Tokens of what is watched of the worker in slot 0. */
#define REPORT_0 (4ULL << 32)
#define NOTICE_0 (5ULL << 32)
#define READINESS_0 (6ULL << 32)

static int set_up_readiness(void **state)
{
    set_up(state);
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    return 0;
}

static void send_from(struct os_fake *os, const char *path, pid_t sender, const char *message)
{
    if (!os_fake_send(os, path, sender, message, strlen(message)))
        fail_msg("nobody listens at %s", path);
}

static void says_ready(struct os_fake *os, pid_t pid, int slot)
{
    char path[64];
    snprintf(path, sizeof path, SOCKET_OF("%d"), slot);
    send_from(os, path, pid, "READY=1\n");
}

static void asks_for_time(struct os_fake *os, pid_t pid, int slot)
{
    char path[64];
    snprintf(path, sizeof path, SOCKET_OF("%d"), slot);
    send_from(os, path, pid, "EXTEND_TIMEOUT_USEC=5000000");
}

static void writes_newline(struct os_fake *os, pid_t pid, int fd)
{
    os_fake_child_write(os, pid, fd, "\n");
}

static void writes_no_newline(struct os_fake *os, pid_t pid, int fd)
{
    os_fake_child_write(os, pid, fd, "soon");
}

/* A worker that writes on must not die of it. */
static void expect_reader(struct os_fake *os, pid_t pid, int fd)
{
    int stream = os_fake_child(os, pid)->writers[fd];
    size_t readers = 0;
    for (int i = 0; i < OS_FAKE_DESCRIPTORS; i++)
        readers += os->descriptors[i].kind == OS_FAKE_READER && os->descriptors[i].stream == stream;
    assert_int_equal(readers, 1);
}

static void closes(struct os_fake *os, pid_t pid, int fd)
{
    struct os_fake_child *child = &os->children[pid - OS_FAKE_FIRST_PID];
    os->streams[child->writers[fd]].writers--;
    child->writers[fd] = -1;
}

static void expect_no_socket(struct os_fake *os, pid_t pid, int slot)
{
    char path[64];
    (void)pid;
    snprintf(path, sizeof path, SOCKET_OF("%d"), slot);
    assert_null(os_fake_find(os, path));
}

/* What was watched with this token is taken out of the set before it is closed: a child on its way
 * to its exec may hold it still, and then closing alone leaves it there. */
static void expect_unwatched(unsigned long long token)
{
    char removed[32], closed[32];
    unsigned long long found = 0;
    int set = 0, fd = 0;
    const char *at = fake.journal;
    while (found != token) {
        at = strstr(at, "watch_add ");
        assert_non_null(at);
        assert_int_equal(sscanf(at++, "watch_add %d %d %llu", &set, &fd, &found), 3);
    }
    snprintf(removed, sizeof removed, "watch_remove %d %d\n", set, fd);
    snprintf(closed, sizeof closed, "\nclose %d\n", fd);
    const char *first = strstr(at, removed), *then = strstr(at, closed);
    assert_true(first && then && first < then);
}

/* Rules: R3 E5 */
static void test_a_worker_is_ready_when_it_says_so(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 8800, expect_no_socket, 0, 0);
    os_fake_at(&fake, BEGIN + 7000, says_ready, FIRST, 0);
    os_fake_signal_at(&fake, BEGIN + 8000, SIGHUP);
    os_fake_at(&fake, BEGIN + 8500, says_ready, SECOND, 1);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-ready=notify /bin/server"), 0);
    expect_said("generation 1: worker 1001 (slot 0) ready after 7000 ms");
    expect_said("generation 2: worker 1002 (slot 1) ready after 500 ms");
    expect_signal(FIRST, SIGHUP, 1);
    assert_null(os_fake_find(&fake, "/run/socketmaster-1000-fake00"));
    expect_unwatched(NOTICE_0);
    expect_unwatched(REPORT_0);
    os_fake_done(&fake);
}

/* Rules: R3 E5 */
static void test_a_worker_is_ready_at_its_newline(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 3000, writes_no_newline, FIRST, 4);
    os_fake_at(&fake, BEGIN + 7000, writes_newline, FIRST, 4);
    os_fake_at(&fake, BEGIN + 7400, expect_reader, FIRST, 4);
    os_fake_at(&fake, BEGIN + 7500, writes_newline, FIRST, 4);
    os_fake_at(&fake, BEGIN + 7600, closes, FIRST, 4);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-ready=fd /bin/server"), 0);
    expect_said("generation 1: worker 1001 (slot 0) ready after 7000 ms");
    expect_not_said("came out of turn");
    expect_unwatched(READINESS_0);
    os_fake_done(&fake);
}

/* Rules: R3 R7 O6 */
static void test_one_that_closes_its_descriptor_can_never_be_ready(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 100, writes_newline, FIRST, 4);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1500, closes, SECOND, 4);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-ready=fd /bin/server"), 0);
    expect_said("worker 1002 (slot 1) closed NOTIFY_FD without a newline");
    expect_said("rollout failed after 600 ms: worker 1002 (slot 1) can never say that it is ready");
    expect_signal(FIRST, SIGHUP, 0);
    os_fake_done(&fake);
}

/* Rules: R3 R7 X1 */
static void test_one_that_ends_is_told_as_ended_though_its_descriptor_closes_too(void **state)
{
    (void)state;
    os_fake_exit_at(&fake, BEGIN + 100, FIRST, 7 << EXIT_STATUS);
    assert_int_equal(run("-ready=fd /bin/server"), 7);
    expect_said("(slot 0) ended before it was ready: exit status 7");
    os_fake_done(&fake);
}

/* Rules: R3 R7 O6 */
static void test_one_that_says_nothing_is_late(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 100, says_ready, FIRST, 0);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1500, asks_for_time, SECOND, 1);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-ready=notify -ready-timeout=1000 /bin/server"), 0);
    expect_said("generation 2: worker 1002 (slot 1) is not ready after 5500 ms");
    expect_said("worker 1002 (slot 1) was not ready in time; 1 worker serves on");
    expect_signal(FIRST, SIGHUP, 0);
    os_fake_done(&fake);
}

static void sibling_speaks(struct os_fake *os, pid_t pid, int slot)
{
    (void)pid;
    says_ready(os, FIRST, slot);
    says_ready(os, 4711, slot);
}

/* Rules: R4 */
static void test_nobody_else_says_it_for_a_worker(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 100, says_ready, FIRST, 0);
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1500, sibling_speaks, 0, 1);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-ready=notify -ready-timeout=1000 /bin/server"), 0);
    expect_said("worker 1002 (slot 1) was not ready in time");
    assert_int_equal(os_fake_uses(&fake, "pause_ms"), 0);
    os_fake_done(&fake);
}

static void floods(struct os_fake *os, pid_t pid, int slot)
{
    for (int i = 0; i < 8; i++)
        asks_for_time(os, pid, slot);
    os_fake_signal(os, SIGTERM);
}

/* Rules: G1 I11 */
static void test_one_that_floods_holds_up_nothing(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 100, floods, FIRST, 0);
    assert_int_equal(run("-ready=notify /bin/server"), 0);
    expect_said("TERM received: stopping");
    os_fake_done(&fake);
}

static void floods_before_it_says_ready(struct os_fake *os, pid_t pid, int slot)
{
    for (int i = 0; i < 20; i++)
        asks_for_time(os, pid, slot);
    says_ready(os, pid, slot);
    os_fake_exit(os, SECOND, 7 << EXIT_STATUS);
}

/* Rules: I5 I11 */
static void test_the_end_of_another_is_seen_before_all_that_a_flood_says(void **state)
{
    (void)state;
    os_fake_at(&fake, BEGIN + 100, floods_before_it_says_ready, FIRST, 0);
    assert_int_equal(run("-ready=notify -workers=2 /bin/server"), 7);
    expect_said("worker 1001 (slot 0) stopped with its rollout");
    expect_not_said("worker 1001 (slot 0) ready");
    os_fake_done(&fake);
}

/* Rules: C6 E5 */
static void test_no_private_directory_is_no_start(void **state)
{
    (void)state;
    set_up(state);
    assert_int_equal(run("-ready=notify /bin/server"), 1);
    assert_int_equal(journaled("spawn"), 0);
    expect_said("notif");
    os_fake_done(&fake);
}

struct fault {
    const char *words, *call;
    size_t nth;
    const char *said;
};

static void reload_that_fails(struct os_fake *os, pid_t pid, int number)
{
    const struct fault *fault = os->test;
    (void)pid;
    (void)number;
    os_fake_fail(os, fault->call, fault->nth, ENOSPC);
    os_fake_signal(os, SIGHUP);
}

/* Rules: R2 R7 I7 */
static void test_what_cannot_be_had_for_readiness_fails_a_reload_alone(void **state)
{
    static const struct fault faults[] = {
        {"-ready=notify /bin/server", "socket_open", 1, "unable to open a notification socket for"},
        {"-ready=notify /bin/server", "socket_bind", 1, "unable to open a notification socket for"},
        {"-ready=notify /bin/server", "watch_add", 1, "unable to open a notification socket for"},
        {"-ready=notify /bin/server", "spawn", 1, "unable to fork"},
        {"-ready=fd /bin/server", "pipe_open", 3, "unable to open a pipe for"},
        {"-ready=fd /bin/server", "watch_add", 1, "unable to watch the pipes of"},
        {"-ready=fd /bin/server", "watch_add", 2, "unable to watch the pipes of"},
        {"-ready=fd /bin/server", "watch_add", 3, "unable to watch the pipes of"},
    };
    for (size_t i = 0; i < COUNT(faults); i++) {
        set_up_readiness(state);
        bool notifies = strstr(faults[i].words, "notify") != NULL;
        fake.test = (void *)(uintptr_t)&faults[i];
        os_fake_at(
            &fake, BEGIN + 100, notifies ? says_ready : writes_newline, FIRST, notifies ? 0 : 4);
        os_fake_at(&fake, BEGIN + 1000, reload_that_fails, 0, 0);
        /* What the slot held is given back: the next one takes it. */
        os_fake_signal_at(&fake, BEGIN + 2000, SIGHUP);
        os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
        assert_int_equal(run(faults[i].words), 0);
        expect_said("generation 2: rollout failed after 0 ms: worker ");
        expect_said(faults[i].said);
        expect_said("No space left on device");
        expect_not_said("generation 3: rollout failed");
        expect_signal(FIRST, SIGHUP, 0);
        os_fake_done(&fake);
    }
}

/* Rules: R1 R11 E2 */
static void test_a_pool_grows_and_shrinks(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGTTIN);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGTTOU);
    os_fake_signal_at(&fake, BEGIN + 3000, SIGTTOU);
    os_fake_signal_at(&fake, BEGIN + 4000, SIGTTOU);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 -workers=2 /bin/server"), 0);
    expect_said("worker 1002 (slot 1) ready after 101 ms");
    expect_said("workers wanted from now on: 3");
    expect_said("worker 1003 (slot 2) ready after 101 ms");
    expect_said("worker 1003 (slot 2) retired: HUP sent");
    expect_said("worker 1002 (slot 1) retired: HUP sent");
    expect_said("refused a number of workers (from 1 to 1024, and not after a stop): 0");
    expect_signal(FIRST, SIGHUP, 0);
    os_fake_done(&fake);
}

/* Rules: R5 R7 O6 */
static void test_a_smooth_rollout_takes_the_number_of_processors(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=1000 -workers=3 -rollout=smooth /bin/server"), 0);
    const char *third = strstr(fake.output, "(slot 2) started");
    const char *ready = strstr(fake.output, "(slot 0) ready");
    assert_true(third && ready && ready < third);
    os_fake_done(&fake);
}

static void complains(struct os_fake *os, pid_t pid, int number)
{
    (void)number;
    os_fake_child_write(os, pid, 2, "Traceback:\nValueError\n");
    os_fake_exit(os, pid, 3 << EXIT_STATUS);
}

/* Rules: R7 O6 */
static void test_a_failed_rollout_says_what_its_worker_wrote_last(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1050, complains, SECOND, 0);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said("exit status 3; 1 worker serves on; it wrote last: \"Traceback:\", \"ValueError\"");
    os_fake_done(&fake);
}

static void ends_silently(struct os_fake *os, pid_t pid, int number)
{
    (void)number;
    os_fake_exit(os, pid, 4 << EXIT_STATUS);
}

/* Rules: R7 O6 */
static void test_what_another_wrote_in_its_slot_is_not_told_of_a_worker(void **state)
{
    (void)state;
    os_fake_signal_at(&fake, BEGIN + 1000, SIGHUP);
    os_fake_at(&fake, BEGIN + 1050, complains, SECOND, 0);
    os_fake_signal_at(&fake, BEGIN + 2000, SIGHUP);
    os_fake_at(&fake, BEGIN + 2050, ends_silently, THIRD, 0);
    os_fake_signal_at(&fake, BEGIN + 9000, SIGTERM);
    assert_int_equal(run("-start=100 /bin/server"), 0);
    expect_said(
        "worker 1003 (slot 1) ended before it was ready: exit status 4; 1 worker serves on\n");
    os_fake_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_worker_is_ready_when_it_says_so, set_up_readiness),
        cmocka_unit_test_setup(test_a_worker_is_ready_at_its_newline, set_up_readiness),
        cmocka_unit_test_setup(
            test_one_that_closes_its_descriptor_can_never_be_ready, set_up_readiness),
        cmocka_unit_test_setup(
            test_one_that_ends_is_told_as_ended_though_its_descriptor_closes_too, set_up_readiness),
        cmocka_unit_test_setup(test_one_that_says_nothing_is_late, set_up_readiness),
        cmocka_unit_test_setup(test_nobody_else_says_it_for_a_worker, set_up_readiness),
        cmocka_unit_test_setup(test_one_that_floods_holds_up_nothing, set_up_readiness),
        cmocka_unit_test_setup(
            test_the_end_of_another_is_seen_before_all_that_a_flood_says, set_up_readiness),
        cmocka_unit_test_setup(test_no_private_directory_is_no_start, set_up_readiness),
        cmocka_unit_test_setup(
            test_what_cannot_be_had_for_readiness_fails_a_reload_alone, set_up_readiness),
        cmocka_unit_test_setup(test_a_pool_grows_and_shrinks, set_up_readiness),
        cmocka_unit_test_setup(
            test_a_smooth_rollout_takes_the_number_of_processors, set_up_readiness),
        cmocka_unit_test_setup(
            test_a_failed_rollout_says_what_its_worker_wrote_last, set_up_readiness),
        cmocka_unit_test_setup(
            test_what_another_wrote_in_its_slot_is_not_told_of_a_worker, set_up_readiness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
