/*
 * Tests of os_posix against the real kernel: what becomes of listening sockets and their files.
 */
#include "os_posix_world.h"

#include <netinet/in.h>

static int listening(int domain, int type, const struct os_address *address, int backlog)
{
    int fd = os.socket_open(&os, domain, type);
    assert_int_equal(os.socket_bind(&os, fd, address), 0);
    if (type != SOCK_DGRAM)
        assert_int_equal(os.socket_listen(&os, fd, backlog), 0);
    return fd;
}

static struct os_address loopback(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = 0};
    memcpy(&address.address, &v4, sizeof v4);
    return address;
}

/* Rules: L8 */
static void test_the_backlog_is_what_the_last_listen_said(void **state)
{
    const struct os_address internet = loopback();
    const struct os_address path = unix_address(in_area("stream"));
    const struct os_address packets = unix_address(in_area("packets"));
    const int fds[] = {
        listening(AF_INET, SOCK_STREAM, &internet, 17),
        listening(AF_UNIX, SOCK_STREAM, &path, 17),
        listening(AF_UNIX, SOCK_SEQPACKET, &packets, 17),
    };
    (void)state;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        int backlog = os.socket_backlog(&os, fds[i]);
        if (i > 0 && backlog == -EOPNOTSUPP) {
            print_message("this kernel does not tell the backlog of unix sockets\n");
        } else {
            assert_int_equal(backlog, 17);
            assert_int_equal(os.socket_listen(&os, fds[i], 5), 0);
            assert_int_equal(os.socket_backlog(&os, fds[i]), 5);
        }
        assert_int_equal(os.close(&os, fds[i]), 0);
    }
    int idle = os.socket_open(&os, AF_INET, SOCK_STREAM);
    assert_int_equal(os.socket_backlog(&os, idle), -EINVAL);
    assert_int_equal(os.close(&os, idle), 0);
    assert_int_equal(os.socket_backlog(&os, 99), -EBADF);
    assert_int_equal(os.socket_backlog(&os, area[0]), -EBADF);
}

/* A client that does not wait for an answer. */
static int client_of(int fd, int domain, int type)
{
    struct os_address address;
    assert_int_equal(os.socket_address(&os, fd, &address), 0);
    int client = os.socket_open(&os, domain, type);
    int error = os.socket_connect(&os, client, &address);
    assert_true(error == 0 || error == -EINPROGRESS || error == -EAGAIN);
    return client;
}

/* Until the queue has so many. What is lost may be counted a moment later. */
static struct os_queue queue_when(int fd, uint32_t waiting, bool dropped)
{
    struct os_queue queue = {.has_queue = false};
    for (int tries = 0; tries < SOON_MS; tries++) {
        assert_int_equal(os.socket_queue(&os, fd, &queue), 0);
        if (queue.waiting == waiting && (!dropped || queue.drops > 0))
            break;
        os.pause_ms(&os, 1);
    }
    return queue;
}

/* Rules: K5 */
static void test_a_queue_tells_who_waits_and_who_found_it_full(void **state)
{
    enum { BACKLOG = 1, CLIENTS = 5 };
    static const struct {
        int domain;
        int type;
        const char *path;
    } cases[] = {
        {AF_INET, SOCK_STREAM, NULL},
        {AF_UNIX, SOCK_STREAM, "stream"},
        {AF_UNIX, SOCK_SEQPACKET, "packets"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool internet = cases[i].path == NULL;
        const struct os_address address =
            internet ? loopback() : unix_address(in_area(cases[i].path));
        int fd = listening(cases[i].domain, cases[i].type, &address, BACKLOG);
        int clients[CLIENTS];
        struct os_queue queue;
        int known = os.socket_queue(&os, fd, &queue);
        if (!internet && known == -EOPNOTSUPP) {
            print_message("this kernel does not tell the queue of unix sockets\n");
            assert_int_equal(os.close(&os, fd), 0);
            continue;
        }
        assert_int_equal(known, 0);
        assert_true(queue.has_queue && queue.waiting == 0 && queue.limit == BACKLOG);
        assert_int_equal(queue.has_drops, internet);
        assert_int_equal(queue.drops, 0);
        /* One more than the limit is let in. */
        for (int k = 0; k < BACKLOG + 1; k++)
            clients[k] = client_of(fd, cases[i].domain, cases[i].type);
        queue = queue_when(fd, BACKLOG + 1, false);
        assert_int_equal(queue.waiting, BACKLOG + 1);
        assert_int_equal(queue.drops, 0);
        for (int k = BACKLOG + 1; k < CLIENTS; k++)
            clients[k] = client_of(fd, cases[i].domain, cases[i].type);
        queue = queue_when(fd, BACKLOG + 1, internet);
        assert_int_equal(queue.waiting, BACKLOG + 1);
        assert_int_equal(queue.drops > 0, internet);
        int accepted = accept(fd, NULL, NULL);
        assert_true(accepted >= 0);
        assert_int_equal(os.socket_listen(&os, fd, 7), 0);
        assert_int_equal(os.socket_queue(&os, fd, &queue), 0);
        assert_int_equal(queue.limit, 7);
        for (int k = 0; k < CLIENTS; k++)
            assert_int_equal(os.close(&os, clients[k]), 0);
        assert_int_equal(close(accepted) + os.close(&os, fd), 0);
    }
}

/* Rules: K5 */
static void test_of_datagrams_only_what_was_lost_is_told(void **state)
{
    const struct os_address internet = loopback();
    const struct os_address path = unix_address(in_area("datagrams"));
    struct os_queue queue;
    char bytes[2048] = "";
    (void)state;
    int fd = listening(AF_INET, SOCK_DGRAM, &internet, 0);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, SO_RCVBUF, &(int){1}, sizeof(int)), 0);
    assert_int_equal(os.socket_queue(&os, fd, &queue), 0);
    assert_true(!queue.has_queue && queue.has_drops && queue.drops == 0);
    int client = client_of(fd, AF_INET, SOCK_DGRAM);
    for (int i = 0; i < 64; i++)
        assert_int_equal(send(client, bytes, sizeof bytes, 0), sizeof bytes);
    queue = queue_when(fd, 0, true);
    assert_true(!queue.has_queue && queue.has_drops && queue.drops > 0);
    assert_int_equal(os.close(&os, client) + os.close(&os, fd), 0);
    fd = listening(AF_UNIX, SOCK_DGRAM, &path, 0);
    assert_int_equal(os.socket_queue(&os, fd, &queue), -EOPNOTSUPP);
    assert_false(queue.has_queue || queue.has_drops);
    assert_int_equal(os.close(&os, fd), 0);
}

/* Rules: K5 */
static void test_what_does_not_listen_has_no_queue(void **state)
{
    const struct os_address internet = loopback();
    struct os_queue queue;
    (void)state;
    int fd = listening(AF_INET, SOCK_STREAM, &internet, 5);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_int_equal(os.socket_queue(&os, fd, &queue), -EINVAL);
    assert_int_equal(os.close(&os, fd), 0);
    fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    int error = os.socket_queue(&os, fd, &queue);
    assert_true(error == -EINVAL || error == -EOPNOTSUPP);
    assert_int_equal(os.close(&os, fd), 0);
    assert_int_equal(os.socket_queue(&os, 99, &queue), -EBADF);
    fd = os.null_open(&os);
    assert_int_equal(os.socket_queue(&os, fd, &queue), -ENOTSOCK);
    assert_false(queue.has_queue || queue.has_drops);
    assert_int_equal(os.close(&os, fd), 0);
}

/* Rules: L8 */
static void test_a_shutdown_is_seen(void **state)
{
    static const struct {
        int domain;
        int type;
        const char *path;
    } cases[] = {
        {AF_INET, SOCK_STREAM, NULL},
        {AF_INET, SOCK_DGRAM, NULL},
        {AF_UNIX, SOCK_STREAM, "stream"},
        {AF_UNIX, SOCK_SEQPACKET, "packets"},
        {AF_UNIX, SOCK_DGRAM, "datagrams"},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const char *path = cases[i / 2].path;
        const struct os_address address = path ? unix_address(in_area(path)) : loopback();
        int fd = listening(cases[i / 2].domain, cases[i / 2].type, &address, 5);
        assert_int_equal(os.socket_is_shut(&os, fd), 0);
        (void)shutdown(fd, i % 2 == 0 ? SHUT_RD : SHUT_RDWR); /* udp: ENOTCONN, and done */
        assert_int_equal(os.socket_is_shut(&os, fd), 1);
        assert_int_equal(os.close(&os, fd), 0);
        area_empty();
    }
    assert_int_equal(os.socket_is_shut(&os, 99), -EBADF);
}

/* Rules: L8 */
static void test_tcp_listens_again_at_its_port(void **state)
{
    struct os_address address = loopback(), now;
    (void)state;
    int fd = listening(AF_INET, SOCK_STREAM, &address, 5);
    assert_int_equal(os.socket_address(&os, fd, &address), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
        /* Of a second one a mark stays, which connections would inherit. */
        assert_int_equal(shutdown(fd, SHUT_RDWR), -1);
        assert_int_equal(os.socket_disconnect(&os, fd), 0);
        int bound = os.socket_bind(&os, fd, &address);
        /* A port that the kernel chose is lost with the first shutdown, one that was asked for
         * stays. */
        assert_int_equal(bound, round == 0 ? 0 : -EINVAL);
        assert_int_equal(os.socket_listen(&os, fd, 5), 0);
        assert_int_equal(os.socket_is_shut(&os, fd), 0);
        assert_int_equal(os.socket_address(&os, fd, &now), 0);
        assert_memory_equal(&now.address, &address.address, address.length);
        int client = os.socket_open(&os, AF_INET, SOCK_STREAM);
        int error = os.socket_connect(&os, client, &address);
        assert_true(error == 0 || error == -EINPROGRESS);
        assert_true(soon(fd, POLLIN));
        int accepted = accept(fd, NULL, NULL);
        assert_true(accepted >= 0);
        assert_int_equal(write(accepted, "x", 1), 1);
        assert_true(soon(client, POLLIN));
        char byte = 0;
        assert_int_equal(os.read(&os, client, &byte, 1), 1);
        assert_int_equal(os.close(&os, client) + close(accepted), 0);
    }
    assert_int_equal(os.close(&os, fd), 0);
}

/* Rules: L8 */
static void test_a_file_with_two_names_survives_one(void **state)
{
    struct os_file before, after;
    const struct os_address address = unix_address(in_area("one"));
    (void)state;
    int fd = listening(AF_UNIX, SOCK_STREAM, &address, 5);
    int pin = os.file_pin(&os, in_area("one"));
    assert_int_equal(os.file_look(&os, in_area("one"), &before), 0);
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("two")), 0);
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("two")), -EEXIST);
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("no/where")), -ENOENT);
    assert_int_equal(os.file_remove(&os, in_area("one")), 0);
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("one")), 0);
    assert_int_equal(os.file_look(&os, in_area("one"), &after), 0);
    assert_true(after.device == before.device && after.inode == before.inode);
    int client = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_connect(&os, client, &address), 0);
    /* A link is no way in: it is left alone. */
    assert_int_equal(os.file_remove(&os, in_area("one")), 0);
    assert_int_equal(symlink("two", in_area("one")), 0);
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("one")), -EEXIST);
    assert_int_equal(os.file_remove(&os, in_area("one")), 0);
    assert_int_equal(os.file_remove(&os, in_area("two")), 0);
    /* Nor does anything bring back a file without a name. */
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("one")), -ENOENT);
    assert_int_equal(os.close(&os, client) + os.close(&os, pin) + os.close(&os, fd), 0);
}

/* Reads until nothing is left; returns whether there was anything. */
static bool stirred(int watch)
{
    char events[4096];
    bool any = false;
    while (os.read(&os, watch, events, sizeof events) > 0)
        any = true;
    return any;
}

/* Rules: L8 */
static void test_names_that_come_and_go_are_seen(void **state)
{
    const struct os_address address = unix_address(in_area("one"));
    (void)state;
    int fd = listening(AF_UNIX, SOCK_STREAM, &address, 5);
    int pin = os.file_pin(&os, in_area("one"));
    int watch = os.file_watch_open(&os);
    assert_int_equal(fcntl(watch, F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.file_watch_add(&os, watch, pin), 0);
    assert_false(stirred(watch));
    assert_int_equal(os.file_pinned_link(&os, pin, in_area("two")), 0);
    assert_true(soon(watch, POLLIN));
    assert_true(stirred(watch));
    assert_int_equal(os.file_remove(&os, in_area("one")), 0);
    assert_true(stirred(watch));
    assert_int_equal(rename(in_area("two"), in_area("three")), 0);
    assert_true(stirred(watch));
    make_file("one", "", 0600);
    assert_false(stirred(watch));
    assert_int_equal(os.file_watch_add(&os, watch, 99), -ENOENT);
    assert_int_equal(os.file_watch_add(&os, 99, pin), -EBADF);
    assert_int_equal(os.close(&os, watch) + os.close(&os, pin) + os.close(&os, fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_backlog_is_what_the_last_listen_said),
        TEST(test_a_queue_tells_who_waits_and_who_found_it_full),
        TEST(test_of_datagrams_only_what_was_lost_is_told),
        TEST(test_what_does_not_listen_has_no_queue),
        TEST(test_a_shutdown_is_seen),
        TEST(test_tcp_listens_again_at_its_port),
        TEST(test_a_file_with_two_names_survives_one),
        TEST(test_names_that_come_and_go_are_seen),
    };
    before_main();
    return cmocka_run_group_tests_name("os_posix_watch", tests, before_all, after_all);
}
