/*
 * Tests of the simulated kernel: what workers tell the master, by datagrams and by a pipe behind
 * their listeners; and the judge of what a master keeps for that.
 */
#include "os_sim_world.h"

#include <errno.h>
#include <sys/un.h>

/* A socket for messages, that is watched. */
static int ear_open(const char *path)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *local = (void *)&address.address;
    int ear = os->socket_open(os, AF_UNIX, SOCK_DGRAM);
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof local->sun_path, "%s", path);
    os->socket_set(os, ear, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
    assert_int_equal(os->socket_bind(os, ear, &address), 0);
    os->watch_add(os, set, ear, 1, true, false);
    return ear;
}

static void hears_its_workers(void)
{
    char bytes[8];
    pid_t sender;
    begin();
    int ear = ear_open("/run/0");
    serve(1);
    const struct os_sim_process *worker = os_sim_worker(&sim, 0);
    assert_int_equal(os_sim_send(&sim, worker, "/none", "a", 1), -ENOENT);
    for (int i = 0; i < OS_SIM_QUEUE; i++)
        assert_int_equal(os_sim_send(&sim, worker, "/run/0", "READY=1", (size_t)i % 7), i % 7);
    assert_int_equal(os_sim_send(&sim, worker, "/run/0", "READY=1", 7), -EAGAIN);
    for (int i = 0; i < OS_SIM_QUEUE; i++) {
        struct os_ready ready[4];
        assert_int_equal(os->watch_wait(os, set, ready, COUNT(ready), 0), 1);
        assert_int_equal(os->datagram_receive(os, ear, bytes, 3, &sender), i % 7);
        assert_int_equal(sender, worker->pid);
    }
    assert_int_equal(os->datagram_receive(os, ear, bytes, 3, &sender), -EAGAIN);
    os->file_remove(os, "/run/0");
    assert_int_equal(os_sim_send(&sim, worker, "/run/0", "a", 1), -ENOENT);
    os->close(os, ear);
}

/* The master takes what its only worker says, which is that it is ready, and looks at it. Does it
 * count? */
static bool hears_of(int ear, bool crashes)
{
    static char variable[] = "NOTIFY_SOCKET=/run/0";
    char bytes[8];
    pid_t sender;
    struct os_process process;
    start_oddly(1, (struct oddity){.variable = variable});
    sleep_ms(START_MS);
    const struct os_sim_process *worker = os_sim_worker(&sim, 0);
    assert_true(os->datagram_receive(os, ear, bytes, sizeof bytes, &sender) > 0);
    assert_true(worker->heard_at != 0);
    if (crashes)
        crash(0);
    assert_int_equal(os->process_look(os, sender, &process), 0);
    return worker->heard_at != 0;
}

static void hears_the_living(void)
{
    sim.settings.ready = OS_SIM_READY_NOTIFY;
    begin();
    assert_true(hears_of(ear_open("/run/0"), false));
}

static void hears_the_dead(void)
{
    sim.settings.ready = OS_SIM_READY_NOTIFY;
    begin();
    assert_false(hears_of(ear_open("/run/0"), true));
}

static void knows_its_workers(void)
{
    struct os_process process;
    begin();
    struct worker worker = serve(1);
    assert_int_equal(os->process_look(os, worker.pid, &process), 0);
    assert_int_equal(process.parent, OS_SIM_PID);
    assert_false(process.ended);
    crash(0);
    assert_int_equal(os->process_look(os, worker.pid, &process), 0);
    assert_true(process.ended);
    reap_all();
    assert_int_equal(os->process_look(os, worker.pid, &process), -ESRCH);
    os_sim_stranger(&sim, 10);
    sim.freed_pid = 0;
    assert_int_equal(os->process_look(os, sim.next_pid - 1, &process), 0);
    assert_int_equal(process.parent, 1);
}

static void makes_directories(void)
{
    char directory[] = "/run/d-XXXXXX", nowhere[] = "/none/d-XXXXXX", path[64];
    begin();
    assert_int_equal(os->directory_make(os, nowhere, 0700), -ENOENT);
    assert_int_equal(os->directory_make(os, directory, 0700), 0);
    snprintf(path, sizeof path, "%s/0", directory);
    for (int i = 0; i < 2 * OS_SIM_PATHS; i++) { /* names come and go */
        int ear = ear_open(path);
        assert_int_equal(os->directory_remove(os, directory), -ENOTEMPTY);
        os->file_remove(os, path);
        os->close(os, ear);
    }
    assert_int_equal(os->directory_remove(os, directory), 0);
    assert_int_equal(os->directory_remove(os, directory), -ENOENT);
    assert_int_equal(os->directory_remove(os, "/bin/server"), -ENOTDIR);
}

/* A worker with a pipe to write to behind its listener; returns the end to read from. */
static int start_with_pipe(void)
{
    static char variable[] = "NOTIFY_FD=4";
    bool asked = sim.settings.ready == OS_SIM_READY_FD;
    int ends[2];
    os->pipe_open(os, ends);
    start_oddly(1, (struct oddity){.leaked = ends[1], .variable = asked ? variable : NULL});
    os->close(os, ends[1]);
    return ends[0];
}

static void gives_a_pipe(void)
{
    char byte = 0;
    sim.settings.ready = OS_SIM_READY_FD;
    begin();
    int ready = start_with_pipe();
    const struct os_sim_process *worker = os_sim_worker(&sim, 0);
    sleep_ms(START_MS);
    assert_int_equal(os_sim_write(&sim, worker, 3, "\n", 1), -EBADF);
    assert_int_equal(os_sim_write(&sim, worker, 77, "\n", 1), -EBADF);
    assert_int_equal(os_sim_write(&sim, worker, 4, "\n", 1), 1);
    assert_int_equal(os->read(os, ready, &byte, 1), 1);
    assert_int_equal(byte, '\n');
    os->close(os, ready);
    assert_int_equal(os_sim_write(&sim, worker, 4, "\n", 1), -EPIPE);
}

static void gives_a_pipe_unasked(void)
{
    begin();
    start_with_pipe();
}

static void keeps_an_ear(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    ear_open("/run/0");
    ear_open("/run/1");
    os_sim_check_rest(&sim);
}

static void listens_to_a_set(void)
{
    pid_t sender;
    begin();
    os->datagram_receive(os, set, NULL, 0, &sender);
}

static void leaves_a_directory(void)
{
    char directory[] = "/run/d-XXXXXX";
    os->directory_make(os, directory, 0700);
    os_sim_check_end(&sim, 0);
}

static void removes_a_directory(void)
{
    os->directory_remove(os, "/srv");
}

static const struct master masters[] = {
    {"hears its workers", hears_its_workers, NULL},
    {"hears the living", hears_the_living, NULL},
    {"hears the dead", hears_the_dead, NULL},
    {"knows its workers", knows_its_workers, NULL},
    {"makes directories", makes_directories, NULL},
    {"gives a pipe", gives_a_pipe, NULL},
    {"gives a pipe unasked", gives_a_pipe_unasked, "I8: descriptor 4"},
    {"keeps an ear", keeps_an_ear, "I7: 2 sockets for messages of 1 workers"},
    {"listens to a set", listens_to_a_set, "I7: a datagram is taken from 4"},
    {"leaves a directory", leaves_a_directory, "L7: /run/d-"},
    {"removes a directory", removes_a_directory, "I10: /srv"},
};

/* Rules: I7 I8 I10 L7 R4 */
static void test_what_workers_tell_a_master(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_workers_tell_a_master),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
