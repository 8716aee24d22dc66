/*
 * Tests of the simulated kernel: a unix stream socket that the master serves itself, and the judge
 * of how it does.
 */
#include "os_sim_world.h"

#include <errno.h>
#include <sys/un.h>

enum { BACKLOG = 2, UID = 33 };

static int control;

static int control_listen(bool nonblocking)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *local = (void *)&address.address;
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof local->sun_path, "/run/control");
    control = os->socket_open(os, AF_UNIX, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0));
    assert_int_equal(os_sim_dial(&sim, "/run/control", 1, 1), -ENOENT);
    assert_int_equal(os->socket_bind(os, control, &address), 0);
    assert_int_equal(os_sim_dial(&sim, "/run/control", 1, 1), -ECONNREFUSED);
    assert_int_equal(os->socket_listen(os, control, BACKLOG), 0);
    return os->watch_add(os, set, control, 1, true, false);
}

static int ready_count(struct os_ready *ready)
{
    return os->watch_wait(os, set, ready, 4, 0);
}

static void speaks_with_its_clients(void)
{
    char bytes[2 * OS_SIM_DIAL_BYTES] = "";
    struct os_ready ready[4];
    struct os_peer peer;
    begin();
    control_listen(true);
    serve(1);
    for (int i = 0; i < 20; i++)
        os_sim_connect(&sim); /* clients of the workers do not come here */
    assert_int_equal(os->socket_accept(os, control), -EAGAIN);
    assert_int_equal(ready_count(ready), 0);
    int first = os_sim_dial(&sim, "/run/control", 2001, UID);
    int second = os_sim_dial(&sim, "/run/control", 2002, 0);
    assert_true(first >= 0 && second >= 0);
    os_sim_dial(&sim, "/run/control", 2003, 0);
    assert_int_equal(os_sim_dial(&sim, "/run/control", 2004, 0), -EAGAIN);
    assert_int_equal(os_sim_dial_say(&sim, first, "hello", 5), 5);
    assert_int_equal(ready_count(ready), 1);
    int one = os->socket_accept(os, control);
    int other = os->socket_accept(os, control);
    assert_int_equal(os->socket_peer(os, one, &peer), 0);
    assert_int_equal(peer.pid, 2001);
    assert_int_equal(peer.uid, UID);
    assert_int_equal(os->socket_peer(os, other, &peer), 0);
    assert_int_equal(peer.pid, 2002);

    assert_int_equal(os->read(os, one, bytes, 3), 3);
    assert_int_equal(os->read(os, one, bytes + 3, sizeof bytes - 3), 2);
    assert_string_equal(bytes, "hello");
    assert_int_equal(os->read(os, one, bytes, 1), -EAGAIN);
    assert_int_equal(os_sim_dial_hear(&sim, first, bytes, 1), -EAGAIN);
    assert_int_equal(os->socket_send(os, one, "welcome", 7), 7);
    assert_int_equal(os_sim_dial_hear(&sim, first, bytes, sizeof bytes), 7);
    assert_memory_equal(bytes, "welcome", 7);
    assert_int_equal(os->socket_send(os, one, bytes, sizeof bytes), OS_SIM_DIAL_BYTES);
    assert_int_equal(os->socket_send(os, one, bytes, 1), -EAGAIN);
    assert_int_equal(os_sim_dial_say(&sim, first, bytes, sizeof bytes), OS_SIM_DIAL_BYTES);
    os->close(os, one);
    assert_int_equal(os_sim_dial_say(&sim, first, "a", 1), -EPIPE);
    assert_int_equal(os_sim_dial_hear(&sim, first, bytes, sizeof bytes), OS_SIM_DIAL_BYTES);
    assert_int_equal(os_sim_dial_hear(&sim, first, bytes, sizeof bytes), 0);
    os_sim_dial_close(&sim, first);
    os->close(os, other);
}

static void notices_who_goes(void)
{
    char bytes[8];
    struct os_ready ready[4];
    begin();
    control_listen(true);
    int client = os_sim_dial(&sim, "/run/control", 2001, UID);
    int one = os->socket_accept(os, control);
    os->watch_add(os, set, one, 7, false, false);
    os_sim_dial_say(&sim, client, "last", 4);
    os_sim_dial_end(&sim, client);
    assert_int_equal(ready_count(ready), 0);
    assert_int_equal(os->read(os, one, bytes, sizeof bytes), 4);
    assert_int_equal(os->read(os, one, bytes, sizeof bytes), 0);
    assert_int_equal(os->socket_send(os, one, "", 0), 0);
    assert_int_equal(os->socket_send(os, one, "reply", 5), 5);
    os_sim_dial_close(&sim, client);
    assert_int_equal(ready_count(ready), 1);
    assert_true(ready[0].readable && ready[0].writable);
    assert_int_equal(ready[0].token, 7);
    assert_int_equal(os->socket_send(os, one, "", 0), -EPIPE);
    os->close(os, one);
    /* Again and again: nothing is used up. */
    for (int i = 0; i < 3 * OS_SIM_DIALS; i++) {
        client = os_sim_dial(&sim, "/run/control", 2001, UID);
        assert_true(client >= 0);
        if (i % 2 == 0)
            os_sim_dial_close(&sim, client);
        os->close(os, os->socket_accept(os, control));
        if (i % 2 == 1)
            os_sim_dial_close(&sim, client);
    }
    client = os_sim_dial(&sim, "/run/control", 2001, UID);
    os->watch_remove(os, set, control);
    os->close(os, control);
    assert_int_equal(os_sim_dial_hear(&sim, client, bytes, 1), 0);
    assert_int_equal(os_sim_dial(&sim, "/run/control", 1, 1), -ECONNREFUSED);
}

static void serves_at_rest(void)
{
    begin();
    int own_set = os->watch_open(os);
    control_listen(true);
    os->watch_remove(os, set, control);
    os->watch_add(os, own_set, control, 1, true, false);
    os->close(os, serve(1).report);
    os_sim_dial(&sim, "/run/control", 2001, UID);
    os->socket_accept(os, control);
    os_sim_check_rest(&sim);
}

static void keeps_who_is_gone(void)
{
    serves_at_rest();
    os_sim_dial_close(&sim, 0);
    os_sim_check_rest(&sim);
}

static void stops_serving(void)
{
    serves_at_rest();
    os->close(os, control);
}

static void waits_at_it(void)
{
    begin();
    control_listen(false);
    os->socket_accept(os, control);
}

static void takes_connections_of_workers(void)
{
    begin();
    serve(1);
    os->set_nonblocking(os, listener);
    os->socket_accept(os, listener);
}

static void passes_it_on(void)
{
    begin();
    control_listen(true);
    start_oddly(1, (struct oddity){.leaked = control});
    sleep_ms(START_MS);
    os->socket_accept(os, control);
}

static void takes_from_what_has_none(void)
{
    begin();
    os->socket_accept(os, set);
}

static void speaks_to_what_is_none(void)
{
    begin();
    os->socket_send(os, listener, "a", 1);
}

/* Rules: I1 I7 I12 */
static void test_connections(void **state)
{
    (void)state;
    static const struct master masters[] = {
        {"speaks with its clients", speaks_with_its_clients, NULL},
        {"notices who goes", notices_who_goes, NULL},
        {"serves at rest", serves_at_rest, NULL},
        {"keeps who is gone", keeps_who_is_gone, "I12: connection "},
        {"stops serving", stops_serving, "I1: listener"},
        {"waits at its own socket", waits_at_it, "I12: a connection is waited for"},
        {"takes connections of workers", takes_connections_of_workers, "I1: the master takes"},
        {"passes its own socket on", passes_it_on, "I8: descriptor 4"},
        {"takes from what has none", takes_from_what_has_none, "I7: a connection is taken"},
        {"speaks to what is none", speaks_to_what_is_none, "I7: "},
    };
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_connections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
