/*
 * Tests of spawn: the plan of moves by simulation, the search for the command, the environment
 * directory, and one start with each of its failures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "os_fake.h"
#include "spawn.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { NUMBERS = 64 };

static struct os_fake fake;
static struct spawn spawn;
static struct spawn_settings settings;
static struct spawn_child child;
static struct spawn_failure failure;
static char *arguments[] = {NULL};
static char *environment[] = {(char[]){"PATH=/usr/bin:/bin"}, (char[]){"KEPT=yes"}, NULL};
static char *argv_storage[8];
static const struct spawn_order order = {.slot = 2, .generation = 7};
static char *other_argv[] = {(char[]){"other"}, (char[]){"-x"}, (char[]){""}, NULL};
static const struct spawn_command other = {.name = "other", .argv = other_argv};

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    settings = (struct spawn_settings){
        .command = "server",
        .arguments = arguments,
        .environment = environment,
        .null_fd = -1,
        .relayed = true,
    };
    spawn_open(&spawn, &fake.os, &settings, argv_storage);
    return 0;
}

/* --- the plan of moves --- */

/* Does the moves as a child would. `held[n]` is what stands behind number n; 0: closed. */
static void run_moves(const struct os_move *moves, size_t count, int *held, bool *inherited)
{
    for (size_t i = 0; i < count; i++) {
        assert_in_range(moves[i].from, 0, NUMBERS - 1);
        assert_in_range(moves[i].to, 0, NUMBERS - 1);
        assert_int_not_equal(held[moves[i].from], 0);
        held[moves[i].to] = held[moves[i].from];
        inherited[moves[i].to] = moves[i].inherit;
    }
}

static void check_plan(const struct spawn_wire *wires, size_t count, int report)
{
    struct os_move moves[SPAWN_MOVES_MAX];
    int held[NUMBERS] = {0};
    bool inherited[NUMBERS] = {false};
    for (int n = 0; n < NUMBERS / 2; n++)
        held[n] = 100 + n;
    int report_after = report;
    size_t steps = spawn_plan_moves(wires, count, &report_after, moves);
    assert_true(steps <= 2 * count + 1);
    run_moves(moves, steps, held, inherited);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(held[wires[i].to], 100 + wires[i].from);
        assert_true(inherited[wires[i].to]);
    }
    assert_int_equal(held[report_after], 100 + report);
    assert_false(inherited[report_after]);
}

/* Rules: E1 */
static void test_plan_of_known_tangles(void **state)
{
    (void)state;
    static const struct spawn_wire in_place[] = {{3, 3}, {4, 4}};
    static const struct spawn_wire swap[] = {{4, 3}, {3, 4}};
    static const struct spawn_wire ring[] = {{4, 3}, {5, 4}, {3, 5}};
    static const struct spawn_wire output[] = {{3, 1}, {3, 2}, {9, 3}};
    static const struct spawn_wire shifted[] = {{7, 0}, {8, 1}, {8, 2}, {2, 3}, {1, 4}};
    check_plan(in_place, COUNT(in_place), 10);
    check_plan(in_place, COUNT(in_place), 3);
    check_plan(swap, COUNT(swap), 5);
    check_plan(swap, COUNT(swap), 4);
    check_plan(ring, COUNT(ring), 6);
    check_plan(output, COUNT(output), 3);
    check_plan(shifted, COUNT(shifted), 3);
}

/* Rules: E1 */
static void test_plan_of_any_arrangement(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct spawn_wire wires[8];
        seed = seed * 1664525 + 1013904223;
        size_t count = 1 + (seed >> 8) % COUNT(wires);
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525 + 1013904223;
            wires[i] = (struct spawn_wire){.from = (int)((seed >> 8) % 16), .to = (int)i + 1};
        }
        seed = seed * 1664525 + 1013904223;
        check_plan(wires, count, (int)((seed >> 8) % 16));
    }
}

/* --- the command --- */

/* Rules: E10 C6 */
static void test_finds_the_command(void **state)
{
    static const struct {
        const char *command, *path, *there;
        const char *found; /* NULL: error */
        int error;
    } cases[] = {
        {"server", "PATH=/a:/b", "/a/server", "/a/server", 0},
        {"server", "PATH=/a:/b", "/b/server", "/b/server", 0},
        {"server", "PATH=/a:/b", "/c/server", NULL, ENOENT},
        {"server", "PATH=", "server", "server", 0},
        {"server", "OTHER=", "/usr/bin/server", "/usr/bin/server", 0},
        {"./server", "PATH=/a", "./server", "./server", 0},
        {"/x/server", "PATH=/a", "/x/server", "/x/server", 0},
        {"/x/server", "PATH=/a", "/a/server", NULL, ENOENT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        char *variables[] = {(char *)(uintptr_t)cases[i].path, NULL};
        settings.environment = variables;
        settings.command = cases[i].command;
        os_fake_file(&fake, cases[i].there, OS_FILE_REGULAR)->executable = true;
        const char *path = NULL;
        bool found = spawn_find(&spawn, NULL, &path, &failure);
        assert_int_equal(found, cases[i].found != NULL);
        if (found) {
            assert_string_equal(path, cases[i].found);
        } else {
            assert_int_equal(failure.step, SPAWN_STEP_FIND);
            assert_int_equal(failure.error, cases[i].error);
        }
        os_fake_done(&fake);
    }
}

/* Rules: E10 C6 */
static void test_one_that_may_not_be_executed_is_named_so(void **state)
{
    (void)state;
    const char *path;
    os_fake_file(&fake, "/usr/bin/server", OS_FILE_REGULAR)->executable = false;
    assert_false(spawn_find(&spawn, NULL, &path, &failure));
    assert_int_equal(failure.error, EACCES);
}

/* Rules: E10 K5 */
static void test_finds_another_command_than_that_of_the_settings(void **state)
{
    static const struct {
        const char *there;
        bool executable;
        const char *found; /* NULL: error */
        int error;
    } cases[] = {
        {"/usr/bin/other", true, "/usr/bin/other", 0},
        {"/bin/other", true, "/bin/other", 0},
        {"/bin/other", false, NULL, EACCES},
        {"/usr/bin/server", true, NULL, ENOENT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_file(&fake, cases[i].there, OS_FILE_REGULAR)->executable = cases[i].executable;
        const char *path = NULL;
        assert_int_equal(spawn_find(&spawn, &other, &path, &failure), cases[i].found != NULL);
        if (cases[i].found) {
            assert_string_equal(path, cases[i].found);
        } else {
            assert_int_equal(failure.step, SPAWN_STEP_FIND);
            assert_int_equal(failure.error, cases[i].error);
        }
        os_fake_done(&fake);
    }

    set_up(state);
    const struct spawn_command by_path = {.name = "bin/other", .argv = other_argv};
    const char *path;
    settings.dir = "/srv";
    assert_false(spawn_find(&spawn, &by_path, &path, &failure));
    assert_true(os_fake_saw(&fake, "file_executable /srv bin/other"));
    /* What was looked for does not stay. */
    settings.dir = NULL;
    os_fake_file(&fake, "/bin/server", OS_FILE_REGULAR)->executable = true;
    assert_true(spawn_find(&spawn, NULL, &path, &failure));
    assert_string_equal(path, "/bin/server");
}

/* --- the environment directory --- */

static const char *variable(const char *name)
{
    return envp_find(spawn.envp.entries, name);
}

static void start(void)
{
    assert_true(spawn_start(&spawn, &order, &child, &failure));
    fake.os.close(&fake.os, child.report);
    if (child.output >= 0)
        fake.os.close(&fake.os, child.output);
}

/* Rules: E9 */
static void test_reads_the_environment_directory_at_each_start(void **state)
{
    (void)state;
    settings.envdir = "/env";
    os_fake_file(&fake, "/env/PLAIN", OS_FILE_REGULAR)->contents = "value \t\nsecond line\n";
    os_fake_file(&fake, "/env/BARE", OS_FILE_REGULAR)->contents = "no newline";
    os_fake_file(&fake, "/env/BLANK", OS_FILE_REGULAR)->contents = "\n";
    os_fake_file(&fake, "/env/KEPT", OS_FILE_REGULAR)->contents = "";
    os_fake_file(&fake, "/env/.hidden", OS_FILE_REGULAR)->contents = "no";
    os_fake_file(&fake, "/env/A=B", OS_FILE_REGULAR)->contents = "no";
    os_fake_file(&fake, "/env/LISTEN_FDS", OS_FILE_REGULAR)->contents = "9";
    settings.families = ENVP_SYSTEMD;
    start();
    assert_string_equal(variable("PLAIN"), "value");
    assert_string_equal(variable("BARE"), "no newline");
    assert_string_equal(variable("BLANK"), "");
    assert_null(variable("KEPT"));
    assert_null(variable(".hidden"));
    assert_null(variable("A"));
    assert_string_equal(variable("LISTEN_FDS"), "0");
    assert_string_equal(variable("SOCKETMASTER_GENERATION"), "7");

    os_fake_find(&fake, "/env/PLAIN")->contents = "changed\n";
    start();
    assert_string_equal(variable("PLAIN"), "changed");
    os_fake_done(&fake);
}

/* Rules: E9 E10 */
static void test_the_directory_may_set_the_path(void **state)
{
    (void)state;
    const char *path;
    settings.envdir = "/env";
    os_fake_file(&fake, "/env/PATH", OS_FILE_REGULAR)->contents = "/new\n";
    os_fake_file(&fake, "/new/server", OS_FILE_REGULAR)->executable = true;
    assert_true(spawn_find(&spawn, NULL, &path, &failure));
    assert_string_equal(path, "/new/server");
}

/* Rules: E9 R7 */
static void test_a_directory_that_cannot_be_read_fails_the_start(void **state)
{
    (void)state;
    settings.envdir = "/env";
    os_fake_fail(&fake, "directory_names", 1, ENOENT);
    assert_false(spawn_start(&spawn, &order, &child, &failure));
    assert_int_equal(failure.step, SPAWN_STEP_ENVDIR);
    assert_int_equal(failure.error, ENOENT);

    os_fake_file(&fake, "/env/A", OS_FILE_REGULAR)->contents = "a";
    os_fake_fail(&fake, "file_head", 1, EIO);
    assert_false(spawn_start(&spawn, &order, &child, &failure));
    assert_int_equal(failure.step, SPAWN_STEP_ENVDIR);
    assert_int_equal(failure.error, EIO);
    os_fake_done(&fake);
}

/* --- one start --- */

static struct os_spawn seen;
static const struct os_user account = {.uid = 33, .gid = 100};

static void see(struct os_fake *os, const struct os_spawn *plan)
{
    (void)os;
    seen = *plan;
}

/* Rules: E1 E2 */
static void test_a_worker_gets_its_listeners_and_its_output(void **state)
{
    (void)state;
    static const struct envp_listener shown[] = {
        {.name = "a", .starter = "80", .address = "tcp://[::]:80"},
        {.name = "", .starter = "/s", .address = "unix:///s"},
    };
    int listeners[] = {fake.os.null_open(&fake.os), fake.os.null_open(&fake.os)};
    int null_fd = fake.os.null_open(&fake.os);
    settings.listeners = shown;
    settings.listener_fds = listeners;
    settings.listener_count = 2;
    settings.null_fd = null_fd;
    settings.families = ENVP_EINHORN;
    settings.dir = "/srv";
    fake.spawn_seen = see;

    assert_true(spawn_start(&spawn, &order, &child, &failure));
    const struct os_fake_child *worker = os_fake_child(&fake, child.pid);
    assert_int_equal(worker->descriptors[0], null_fd);
    assert_int_equal(worker->descriptors[1], worker->descriptors[2]);
    assert_int_equal(worker->descriptors[3], listeners[0]);
    assert_int_equal(worker->descriptors[4], listeners[1]);
    for (int number = 5; number < OS_FAKE_DESCRIPTORS; number++)
        assert_int_equal(worker->descriptors[number], -1);
    assert_string_equal(seen.directory, "/srv");
    assert_string_equal(seen.arguments[0], "server");
    assert_null(seen.account);
    assert_string_equal(variable("EINHORN_FDS"), "3 4");
    assert_string_equal(variable("EINHORN_CHILD_INDEX"), "2");

    os_fake_child_write(&fake, child.pid, 2, "hello");
    char bytes[8];
    assert_int_equal(fake.os.read(&fake.os, child.output, bytes, sizeof bytes), 5);

    int open[] = {listeners[0], listeners[1], null_fd, child.report, child.output};
    for (size_t i = 0; i < COUNT(open); i++)
        fake.os.close(&fake.os, open[i]);
    os_fake_done(&fake);
}

/* Rules: K5 E10 R2 */
static void test_a_worker_executes_the_command_of_its_order(void **state)
{
    static const struct spawn_order changed = {.command = &other, .slot = 1, .generation = 8};
    static const struct {
        const struct spawn_order *order;
        const char *candidates[2];
        const char *words[3];
    } cases[] = {
        {&order, {"/usr/bin/server", "/bin/server"}, {"server", "-v", NULL}},
        {&changed, {"/usr/bin/other", "/bin/other"}, {"other", "-x", ""}},
        {&order, {"/usr/bin/server", "/bin/server"}, {"server", "-v", NULL}},
    };
    char *verbose[] = {(char[]){"-v"}, NULL};
    settings.arguments = verbose;
    (void)state;
    spawn_open(&spawn, &fake.os, &settings, argv_storage);
    fake.spawn_seen = see;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(spawn_start(&spawn, cases[i].order, &child, &failure));
        for (size_t n = 0; n < COUNT(cases[i].candidates); n++)
            assert_string_equal(seen.candidates[n], cases[i].candidates[n]);
        assert_null(seen.candidates[2]);
        for (size_t n = 0; n < COUNT(cases[i].words) && cases[i].words[n]; n++)
            assert_string_equal(seen.arguments[n], cases[i].words[n]);
        assert_null(seen.arguments[cases[i].words[2] ? 3 : 2]);
        fake.os.close(&fake.os, child.report);
        fake.os.close(&fake.os, child.output);
    }
    os_fake_done(&fake);
}

/* Rules: E2 */
static void test_a_worker_is_told_of_the_control_socket(void **state)
{
    (void)state;
    settings.control_socket = "/run/c";
    start();
    assert_null(variable("EINHORN_SOCK_PATH"));
    settings.families = ENVP_EINHORN;
    start();
    assert_string_equal(variable("EINHORN_SOCK_PATH"), "/run/c");
    assert_string_equal(variable("EINHORN_MASTER_PID"), "1000");
    settings.control_socket = NULL;
    start();
    assert_null(variable("EINHORN_SOCK_PATH"));
    assert_null(variable("EINHORN_MASTER_PID"));
    os_fake_done(&fake);
}

/* Rules: E8 */
static void test_a_worker_of_another_user_owns_its_output(void **state)
{
    (void)state;
    settings.account = &account;
    start();
    assert_non_null(strstr(fake.journal, "file_pinned_chown "));
    assert_non_null(strstr(fake.journal, " 33 100\n"));

    os_fake_fail(&fake, "file_pinned_chown", 1, EPERM);
    start();
    os_fake_done(&fake);
}

/* Rules: E5 R3 */
static void test_a_worker_can_say_that_it_is_ready(void **state)
{
    (void)state;
    int listeners[] = {fake.os.null_open(&fake.os), fake.os.null_open(&fake.os)};
    static const struct envp_listener shown[] = {
        {.name = "a", .address = "tcp://[::]:80"}, {.name = "b", .address = "unix:///s"}};
    static const struct spawn_order told = {.notify_socket = "/run/n/0", .generation = 1};
    for (size_t count = 0; count <= COUNT(listeners); count++) {
        settings.listeners = shown;
        settings.listener_fds = listeners;
        settings.listener_count = count;
        settings.ready_fd = true;
        settings.account = &account;
        os_fake_forget(&fake);
        assert_true(spawn_start(&spawn, &told, &child, &failure));
        const struct os_fake_child *worker = os_fake_child(&fake, child.pid);
        int number = 3 + (int)count;
        assert_int_equal(variable("NOTIFY_FD")[0], '0' + number);
        assert_string_equal(variable("NOTIFY_SOCKET"), "/run/n/0");
        for (int above = number + 1; above < OS_FAKE_DESCRIPTORS; above++)
            assert_int_equal(worker->descriptors[above], -1);

        char byte;
        assert_int_equal(fake.os.read(&fake.os, child.ready, &byte, 1), -EAGAIN);
        os_fake_child_write(&fake, child.pid, number, "\n");
        assert_int_equal(fake.os.read(&fake.os, child.ready, &byte, 1), 1);
        os_fake_exit(&fake, child.pid, 0);
        assert_int_equal(fake.os.read(&fake.os, child.ready, &byte, 1), 0);
        fake.os.close(&fake.os, child.ready);
        fake.os.close(&fake.os, child.report);
        fake.os.close(&fake.os, child.output);
    }
    /* Nobody asked for it. */
    settings.ready_fd = false;
    assert_true(spawn_start(&spawn, &order, &child, &failure));
    assert_int_equal(child.ready, -1);
    assert_null(variable("NOTIFY_FD"));
    assert_null(variable("NOTIFY_SOCKET"));
    int open[] = {listeners[0], listeners[1], child.report, child.output};
    for (size_t i = 0; i < COUNT(open); i++)
        fake.os.close(&fake.os, open[i]);
    os_fake_done(&fake);
}

/* Rules: E1 E5 I11 */
static void test_as_many_listeners_as_there_may_be(void **state)
{
    (void)state;
    static struct envp_listener shown[LIMIT_LISTENERS];
    static int listeners[LIMIT_LISTENERS];
    /* Each stands where another is to be put, and so do the pipes. */
    for (size_t i = 0; i < LIMIT_LISTENERS; i++) {
        listeners[i] = fake.os.null_open(&fake.os);
        shown[i].address = "unix:///s";
    }
    int first = listeners[0];
    memmove(listeners, listeners + 1, sizeof listeners - sizeof listeners[0]);
    listeners[LIMIT_LISTENERS - 1] = first;
    settings.listeners = shown;
    settings.listener_fds = listeners;
    settings.listener_count = LIMIT_LISTENERS;
    settings.null_fd = fake.os.null_open(&fake.os);
    settings.ready_fd = true;
    assert_true(spawn_start(&spawn, &order, &child, &failure));
    const struct os_fake_child *worker = os_fake_child(&fake, child.pid);
    for (int i = 0; i < LIMIT_LISTENERS; i++)
        assert_int_equal(worker->descriptors[3 + i], listeners[i]);
    os_fake_child_write(&fake, child.pid, 3 + LIMIT_LISTENERS, "\n");
    assert_string_equal(variable("NOTIFY_FD"), "259");
}

/* Rules: O5 */
static void test_without_a_relay_there_is_no_pipe_for_output(void **state)
{
    (void)state;
    settings.relayed = false;
    assert_true(spawn_start(&spawn, &order, &child, &failure));
    assert_int_equal(child.output, -1);
    fake.os.close(&fake.os, child.report);
    os_fake_done(&fake);
}

/* Rules: R7 */
static void test_any_failure_leaves_nothing_open(void **state)
{
    static const struct {
        const char *call;
        size_t nth;
        int error, step;
    } cases[] = {
        {"pipe_open", 1, EMFILE, SPAWN_STEP_PIPE},
        {"pipe_open", 2, ENFILE, SPAWN_STEP_PIPE},
        {"pipe_open", 3, EMFILE, SPAWN_STEP_PIPE},
        {"spawn", 1, EAGAIN, SPAWN_STEP_FORK},
        {"spawn", 1, ENOMEM, SPAWN_STEP_FORK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        settings.ready_fd = true;
        os_fake_fail(&fake, cases[i].call, cases[i].nth, cases[i].error);
        assert_false(spawn_start(&spawn, &order, &child, &failure));
        assert_int_equal(failure.step, cases[i].step);
        assert_int_equal(failure.error, cases[i].error);
        assert_int_equal(fake.child_count, 0);
        os_fake_done(&fake);
        settings.ready_fd = false;
        start();
        os_fake_done(&fake);
    }
}

/* Rules: C6 R7 */
static void test_reads_what_the_child_reports(void **state)
{
    (void)state;
    struct spawn_progress progress = {.announced = false};
    int fd = fake.os.null_open(&fake.os);
    os_fake_feed(&fake, fd, "", 0);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_PENDING);

    struct os_report report = {.step = OS_STEP_USER, .error = EPERM};
    os_fake_feed(&fake, fd, &report, sizeof report);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_FAILED);
    assert_int_equal(failure.step, OS_STEP_USER);
    assert_int_equal(failure.error, EPERM);

    report = (struct os_report){.step = OS_STEP_NONE};
    os_fake_feed(&fake, fd, &report, sizeof report);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_PENDING);
    os_fake_end(&fake, fd);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_EXECUTED);
    fake.os.close(&fake.os, fd);
}

/* Rules: R7 */
static void test_the_end_of_the_report_alone_is_no_success(void **state)
{
    (void)state;
    struct spawn_progress progress = {.announced = false};
    int fd = fake.os.null_open(&fake.os);
    os_fake_feed(&fake, fd, "", 0);
    os_fake_end(&fake, fd);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_DIED);
}

/* Rules: R7 I7 */
static void test_a_report_may_come_in_pieces(void **state)
{
    (void)state;
    const struct os_report report = {.step = OS_STEP_DIRECTORY, .error = ENOTDIR};
    struct spawn_progress progress = {.announced = false};
    int fd = fake.os.null_open(&fake.os);
    os_fake_feed(&fake, fd, &report, 3);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_PENDING);
    os_fake_feed(&fake, fd, (const char *)&report + 3, sizeof report - 3);
    fake.read_most = 1;
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_FAILED);
    assert_int_equal(failure.step, OS_STEP_DIRECTORY);
    assert_int_equal(failure.error, ENOTDIR);
    fake.os.close(&fake.os, fd);
}

/* Rules: R7 I7 */
static void test_a_report_that_cannot_be_read_is_no_end(void **state)
{
    (void)state;
    struct spawn_progress progress = {.announced = true};
    int fd = fake.os.null_open(&fake.os);
    os_fake_fail(&fake, "read", 1, EIO);
    assert_int_equal(spawn_read_report(&fake.os, fd, &progress, &failure), SPAWN_UNKNOWN);
    assert_int_equal(failure.step, SPAWN_STEP_WATCH);
    assert_int_equal(failure.error, EIO);
    fake.os.close(&fake.os, fd);
}

/* Rules: O6 */
static void test_every_step_has_words(void **state)
{
    (void)state;
    for (int step = -1; step <= SPAWN_STEP_COUNT; step++)
        assert_true(strlen(spawn_step_text(step)) > 2);
    for (int step = 1; step < SPAWN_STEP_COUNT; step++)
        assert_true(step == OS_STEP_COUNT || strcmp(spawn_step_text(step), "start") != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_of_known_tangles),
        cmocka_unit_test(test_plan_of_any_arrangement),
        cmocka_unit_test_setup(test_finds_the_command, set_up),
        cmocka_unit_test_setup(test_one_that_may_not_be_executed_is_named_so, set_up),
        cmocka_unit_test_setup(test_finds_another_command_than_that_of_the_settings, set_up),
        cmocka_unit_test_setup(test_reads_the_environment_directory_at_each_start, set_up),
        cmocka_unit_test_setup(test_the_directory_may_set_the_path, set_up),
        cmocka_unit_test_setup(test_a_directory_that_cannot_be_read_fails_the_start, set_up),
        cmocka_unit_test_setup(test_a_worker_gets_its_listeners_and_its_output, set_up),
        cmocka_unit_test_setup(test_a_worker_executes_the_command_of_its_order, set_up),
        cmocka_unit_test_setup(test_a_worker_is_told_of_the_control_socket, set_up),
        cmocka_unit_test_setup(test_a_worker_of_another_user_owns_its_output, set_up),
        cmocka_unit_test_setup(test_a_worker_can_say_that_it_is_ready, set_up),
        cmocka_unit_test_setup(test_as_many_listeners_as_there_may_be, set_up),
        cmocka_unit_test_setup(test_without_a_relay_there_is_no_pipe_for_output, set_up),
        cmocka_unit_test_setup(test_any_failure_leaves_nothing_open, set_up),
        cmocka_unit_test_setup(test_reads_what_the_child_reports, set_up),
        cmocka_unit_test_setup(test_the_end_of_the_report_alone_is_no_success, set_up),
        cmocka_unit_test_setup(test_a_report_may_come_in_pieces, set_up),
        cmocka_unit_test_setup(test_a_report_that_cannot_be_read_is_no_end, set_up),
        cmocka_unit_test(test_every_step_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
