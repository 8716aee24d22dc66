/*
 * Tests of the simulated kernel: connections to the control socket, and the clients behind them.
 */
#include "os_sim_control_world.h"

#include <errno.h>

/* --- how a connection goes --- */

static void talks_both_ways(void)
{
    struct os_peer peer;
    char bytes[REQUEST_MAX];
    begin_controlled();
    assert_int_equal(os->socket_accept(os, control), -EAGAIN);
    call(OS_SIM_EHLO, (struct os_sim_habit){.more = 1});
    int fd = take_call();
    assert_int_equal(os->is_nonblocking(os, fd), true);
    assert_int_equal(os->socket_peer(os, fd, &peer), 0);
    assert_int_equal(peer.pid, sim.clients[0].pid);
    assert_int_equal(peer.uid, 0);
    assert_string_equal(read_line(fd, bytes), "{\"command\":\"ehlo\",\"user\":\"sim\",\"id\":1}\n");
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), -EAGAIN);
    reply(fd, WELL, 1);
    /* Only then it goes on. */
    assert_non_null(strstr(read_line(fd, bytes), "\"id\":2}\n"));
    reply(fd, WELL, 2);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), 0);
    assert_int_equal(os->socket_send(os, fd, "", 0), -EPIPE);
    assert_true(sim.clients[0].used);
    os->close(os, fd);
    assert_int_equal(sim.requests_answered, 2);
    assert_false(sim.clients[0].used);
}

static void hears_pieces(void)
{
    enum { CHUNK = 7 };
    char bytes[REQUEST_MAX];
    begin_controlled();
    call(OS_SIM_EHLO, (struct os_sim_habit){.chunk = CHUNK});
    int fd = take_call();
    /* It has two moments for each of them. */
    assert_int_equal(strlen(read_line(fd, bytes)), 2 * CHUNK);
    while (strchr(bytes, '\n') == NULL) {
        assert_int_equal(sim.clients[0].read, 0);
        assert_in_range(strlen(read_line(fd, bytes)), 1, 2 * CHUNK);
    }
    assert_int_equal(sim.clients[0].read, 1);
}

/* It does not wait for the replies. */
static void hears_a_flood(void)
{
    char bytes[OS_SIM_STREAM_BYTES + 1];
    begin_controlled();
    call(OS_SIM_HELP, (struct os_sim_habit){.more = 99, .floods = true});
    int fd = take_call();
    sleep_ms(100);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), OS_SIM_STREAM_BYTES);
    assert_true(sim.clients[0].read > 20);
}

static void waits_for_room(void)
{
    enum { TOKEN = 7, READ_MS = 20 };
    static char reply_bytes[2 * OS_SIM_STREAM_BYTES];
    char bytes[REQUEST_MAX];
    struct os_ready ready[4];
    int length = snprintf(reply_bytes, sizeof reply_bytes,
        "{\"message\": \"%0*d\", \"request_id\": 1}\n", OS_SIM_STREAM_BYTES, 0);
    begin_controlled();
    call(OS_SIM_EHLO, (struct os_sim_habit){.read_ms = READ_MS});
    int fd = take_call();
    read_line(fd, bytes);
    os->watch_add(os, set, fd, TOKEN, false, true);
    assert_int_equal(os->watch_wait(os, set, ready, COUNT(ready), 0), 1);
    assert_int_equal(os->socket_send(os, fd, reply_bytes, (size_t)length), OS_SIM_STREAM_BYTES);
    assert_int_equal(os->socket_send(os, fd, "}", 1), -EAGAIN);
    assert_int_equal(os->watch_wait(os, set, ready, COUNT(ready), 0), 0);
    uint64_t before = sim.now;
    assert_int_equal(os->watch_wait(os, set, ready, COUNT(ready), -1), 1);
    assert_int_equal(ready[0].token, TOKEN);
    assert_int_equal(sim.now - before, READ_MS);
    size_t left = (size_t)(length - OS_SIM_STREAM_BYTES);
    assert_int_equal(
        os->socket_send(os, fd, reply_bytes + OS_SIM_STREAM_BYTES, left), (ssize_t)left);
    assert_int_equal(sim.requests_answered, 1);
}

static void serves_a_half(void)
{
    char bytes[REQUEST_MAX];
    begin_controlled();
    call(OS_SIM_EHLO, (struct os_sim_habit){.half_closes = true});
    int fd = take_call();
    read_line(fd, bytes);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), 0);
    assert_int_equal(os->socket_send(os, fd, "", 0), 0);
    reply(fd, WELL, 1);
    assert_int_equal(sim.requests_answered, 1);
    assert_int_equal(os->socket_send(os, fd, "", 0), -EPIPE);
}

static void is_reset(void)
{
    char bytes[REQUEST_MAX];
    begin_controlled();
    call(OS_SIM_EHLO, (struct os_sim_habit){.never_reads = true, .patience = 5});
    int fd = take_call();
    read_line(fd, bytes);
    reply(fd, WELL, 1);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), -EAGAIN);
    sleep_ms(5);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), -ECONNRESET);
    assert_int_equal(os->read(os, fd, bytes, sizeof bytes), 0);
    assert_int_equal(os->socket_send(os, fd, "a", 1), -EPIPE);
}

/* Whose change was read stays for the answer, however little patience it has. */
static void is_waited_for(void)
{
    begin_controlled();
    call(OS_SIM_INC, (struct os_sim_habit){.patience = 10});
    int fd = take_call();
    hear(fd);
    reply(fd, WELL, 1);
    hear(fd);
    sleep_ms(100);
    assert_int_equal(os->socket_send(os, fd, "", 0), 0);
    reply(fd, WELL, 2);
    assert_int_equal(os->socket_send(os, fd, "", 0), -EPIPE);
}

static void refuses_a_worker(void)
{
    sim.settings.ready = OS_SIM_READY_ACK;
    begin_controlled();
    struct worker worker = start_told(1);
    sleep_ms(2);
    for (int i = 0; i < 3; i++) {
        int fd = take_call();
        assert_int_equal(sim.clients[0].pid, worker.pid);
        say(fd, "{\"message\": \"too many\", \"error\": true}\n");
        sleep_ms(1);
        os->close(os, fd);
        assert_int_equal(os->socket_accept(os, control), -EAGAIN);
        sleep_ms(20);
    }
}

static void hears_an_ack(void)
{
    sim.settings.ready = OS_SIM_READY_ACK;
    begin_controlled();
    start_told(1);
    sleep_ms(2);
    int fd = take_call();
    assert_int_equal(os_sim_worker(&sim, 0)->heard_at, 0);
    hear(fd);
    assert_true(os_sim_worker(&sim, 0)->heard_at != 0);
    os->close(os, fd);
}

static void traces_a_helper(void)
{
    struct os_peer peer;
    struct os_process process;
    sim.settings.worker_uid = 33;
    begin_controlled();
    struct worker worker = start_told(1);
    sleep_ms(1);
    assert_true(os_sim_call(&sim, OS_SIM_HELPER, OS_SIM_PING, &(struct os_sim_habit){.more = 0},
        os_sim_worker(&sim, 0)));
    int fd = take_call();
    os->socket_peer(os, fd, &peer);
    assert_int_equal(peer.uid, 33);
    assert_int_equal(os->process_look(os, peer.pid, &process), 0);
    assert_int_equal(process.parent, worker.pid);
    assert_int_equal(sim.clients[0].owner, worker.pid);
}

/* Its process has gone by the time the call is taken, and its number is given to nobody. */
static void traces_nobody(void)
{
    struct os_peer peer;
    struct os_process process;
    begin_controlled();
    call_as(OS_SIM_DEPARTED, OS_SIM_EHLO, (struct os_sim_habit){.more = 0});
    int fd = take_call();
    os->socket_peer(os, fd, &peer);
    assert_int_equal(os->process_look(os, peer.pid, &process), -ESRCH);
    os_sim_stranger(&sim, 10);
    assert_int_equal(os->process_look(os, peer.pid, &process), -ESRCH);
    assert_int_equal(sim.clients[0].owner, 0);
}

/* --- copies that a child holds --- */

static void boot_slowly(struct os_sim *of, struct os_sim_process *process)
{
    (void)of;
    process->temper.boot_ms = START_MS;
}

/* The connection goes with the last copy of it; but it was the master that closed it, and it holds
 * no more than it may. */
static void closes_while_a_child_boots(void)
{
    enum { MANY = 20 };
    int fds[MANY];
    begin_controlled();
    sim.born = boot_slowly;
    assert_int_equal(os->null_open(os), 9); /* the worker's report gets that number */
    for (int i = 0; i < MANY; i++) {
        call(OS_SIM_EHLO, (struct os_sim_habit){.half_closes = true});
        fds[i] = take_call();
    }
    start_told(1);
    for (int i = 0; i < MANY; i++)
        os->close(os, fds[i]);
    for (int i = 0; i < MANY; i++) {
        assert_true(sim.clients[i].used && !sim.clients[i].left);
        call(OS_SIM_EHLO, (struct os_sim_habit){.half_closes = true});
        take_call();
    }
    sleep_ms(START_MS);
    sleep_ms(1);
    for (int i = 0; i < MANY; i++)
        assert_false(sim.clients[i].used);
    assert_true(sim.clients[MANY].used);
}

static const struct master masters[] = {
    {"talks both ways", talks_both_ways, NULL},
    {"hears pieces", hears_pieces, NULL},
    {"hears a flood", hears_a_flood, NULL},
    {"waits for room", waits_for_room, NULL},
    {"serves a half", serves_a_half, NULL},
    {"is reset", is_reset, NULL},
    {"is waited for", is_waited_for, NULL},
    {"refuses a worker", refuses_a_worker, NULL},
    {"hears an ack", hears_an_ack, NULL},
    {"traces a helper", traces_a_helper, NULL},
    {"traces nobody", traces_nobody, NULL},
    {"closes while a child boots", closes_while_a_child_boots, NULL},
};

/* Rules: K1 K3 K4 I11 I12 R3 */
static void test_connections_to_the_control_socket(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_to_the_control_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
