/*
 * Tests of os_posix against the real kernel: connections to a unix socket, and who made them.
 */
#include "os_posix_world.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { REQUEST = 5 };

static const char *socket_path;

static int listener_open(void)
{
    socket_path = in_area("control");
    struct os_address address = unix_address(socket_path);
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
    assert_true(fd >= 3);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    assert_int_equal(os.socket_listen(&os, fd, 4), 0);
    return fd;
}

static int dial(void)
{
    struct os_address address = unix_address(socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address.address, address.length) < 0)
        return -1;
    return fd;
}

/* Rules: K1 I8 */
static void test_connections_are_taken(void **state)
{
    (void)state;
    int listener = listener_open();
    assert_int_equal(os.socket_accept(&os, listener), -EAGAIN);
    int client = dial();
    assert_true(client >= 0);
    int taken = os.socket_accept(&os, listener);
    assert_true(taken >= 3);
    assert_int_equal(fcntl(taken, F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.is_nonblocking(&os, taken), 1);
    assert_int_equal(os.socket_accept(&os, listener), -EAGAIN);
    assert_int_equal(os.socket_accept(&os, taken), -EINVAL);
    os.close(&os, client);
    os.close(&os, taken);
    os.close(&os, listener);
}

static int accept_without_descriptors(const void *argument)
{
    int listener = *(const int *)argument;
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    EXPECT(setrlimit(RLIMIT_NOFILE, &none) == 0);
    EXPECT(os.socket_accept(&os, listener) == -EMFILE);
    return 0;
}

static int accept_with_standard_ones_closed(const void *argument)
{
    int listener = *(const int *)argument;
    close(0);
    int taken = os.socket_accept(&os, listener);
    EXPECT(taken >= 3);
    EXPECT(fcntl(0, F_GETFD) == -1);
    return 0;
}

/* Rules: K4 I7 I8 */
static void test_connections_that_cannot_be_taken_wait(void **state)
{
    (void)state;
    int listener = listener_open();
    int client = dial();
    in_copy(accept_without_descriptors, &listener);
    in_copy(accept_with_standard_ones_closed, &listener);
    os.close(&os, client);
    os.close(&os, listener);
}

static int speak_as_nobody(const void *argument)
{
    (void)argument;
    if (geteuid() == 0)
        EXPECT(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    int client = dial();
    EXPECT(client >= 0);
    pid_t self = getpid();
    EXPECT(write(client, &self, sizeof self) == sizeof self);
    return 0;
}

/* Rules: K3 */
static void test_peers_are_known_by_pid_and_user(void **state)
{
    (void)state;
    struct os_peer peer;
    pid_t said;
    int listener = listener_open();
    int client = dial();
    int taken = os.socket_accept(&os, listener);
    assert_int_equal(os.socket_peer(&os, taken, &peer), 0);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, geteuid());
    os.close(&os, client);
    os.close(&os, taken);
    /* Another user; it has gone by the time it is asked about. */
    assert_int_equal(chmod(area, 0711), 0);
    assert_int_equal(chmod(socket_path, 0666), 0);
    in_copy(speak_as_nobody, NULL);
    taken = os.socket_accept(&os, listener);
    assert_int_equal(os.read(&os, taken, &said, sizeof said), sizeof said);
    assert_int_equal(os.socket_peer(&os, taken, &peer), 0);
    assert_int_equal(peer.pid, said);
    assert_int_equal(peer.uid, geteuid() == 0 ? NOBODY : geteuid());
    assert_int_equal(os.read(&os, taken, &said, sizeof said), 0);
    os.close(&os, taken);
    os.close(&os, listener);
    assert_int_equal(os.socket_peer(&os, STDIN_FILENO, &peer) < 0, true);
}

/* It stays until its connection is closed. */
static pid_t dial_from_outside(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        int client = dial();
        _exit(client >= 0 && read(client, &byte, 1) <= 0 ? 0 : 1);
    }
    return child;
}

static int look_from_inside(const void *argument)
{
    int listener = *(const int *)argument;
    struct os_peer peer;
    if (unshare(CLONE_NEWPID) < 0)
        return 0; /* not allowed here */
    pid_t child = fork();
    if (child == 0) {
        int taken = os.socket_accept(&os, listener);
        EXPECT(os.socket_peer(&os, taken, &peer) == 0);
        _exit(peer.pid == 0 ? 0 : 1);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

/* Rules: K3 */
static void test_a_peer_of_another_pid_namespace_has_no_pid(void **state)
{
    (void)state;
    int status;
    int listener = listener_open();
    if (geteuid() != 0) {
        os.close(&os, listener);
        skip();
    }
    pid_t child = dial_from_outside();
    assert_true(soon(listener, POLLIN));
    in_copy(look_from_inside, &listener);
    os.close(&os, listener);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* Rules: K4 I12 */
static void test_sending_never_waits_and_never_kills(void **state)
{
    (void)state;
    static char bytes[1024 * 1024];
    char byte;
    int listener = listener_open();
    int client = dial();
    int taken = os.socket_accept(&os, listener);
    assert_int_equal(os.socket_send(&os, taken, "hello", REQUEST), REQUEST);
    assert_int_equal(os.socket_send(&os, taken, "", 0), 0);
    size_t sent = REQUEST;
    ssize_t now;
    while ((now = os.socket_send(&os, taken, bytes, sizeof bytes)) > 0)
        sent += (size_t)now;
    assert_int_equal(now, -EAGAIN);
    assert_true(sent < sizeof bytes);
    assert_int_equal(read(client, bytes, REQUEST), REQUEST);
    assert_memory_equal(bytes, "hello", REQUEST);
    /* The client says that it sends no more: it can still be told something. */
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_int_equal(os.read(&os, taken, &byte, 1), 0);
    assert_int_equal(os.socket_send(&os, taken, "", 0), 0);
    os.close(&os, client);
    assert_int_equal(os.socket_send(&os, taken, "", 0), -EPIPE);
    assert_int_equal(os.socket_send(&os, taken, "a", 1), -EPIPE);
    os.close(&os, taken);
    os.close(&os, listener);
}

/* Rules: K4 I9 */
static void test_a_watch_for_nothing_tells_of_the_end_alone(void **state)
{
    (void)state;
    struct os_ready ready[2];
    int set = os.watch_open(&os);
    int listener = listener_open();
    int client = dial();
    int taken = os.socket_accept(&os, listener);
    assert_int_equal(os.watch_add(&os, set, taken, 7, false, false), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 2, 0), 0);
    assert_int_equal(write(client, "a", 1), 1);
    assert_int_equal(os.watch_wait(&os, set, ready, 2, 0), 0);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 2, 0), 0);
    os.close(&os, client);
    assert_int_equal(os.watch_wait(&os, set, ready, 2, 0), 1);
    assert_int_equal(ready[0].token, 7);
    assert_true(ready[0].readable && ready[0].writable);
    os.close(&os, taken);
    os.close(&os, listener);
    os.close(&os, set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connections_are_taken),
        TEST(test_connections_that_cannot_be_taken_wait),
        TEST(test_peers_are_known_by_pid_and_user),
        TEST(test_a_peer_of_another_pid_namespace_has_no_pid),
        TEST(test_sending_never_waits_and_never_kills),
        TEST(test_a_watch_for_nothing_tells_of_the_end_alone),
    };
    before_main();
    return cmocka_run_group_tests(tests, before_all, after_all);
}
