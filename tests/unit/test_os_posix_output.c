/*
 * Tests of os_posix against the real kernel: descriptors, waiting, outputs, syslog.
 */
#include "os_posix_world.h"

#include <grp.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

/* --- descriptors and waiting --- */

/* Rules: O3 E1 */
static void test_pipes(void **state)
{
    int ends[2];
    char bytes[8];
    (void)state;
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(os.is_nonblocking(&os, ends[0]), 1);
    assert_int_equal(os.is_nonblocking(&os, ends[1]), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), -EAGAIN);
    int copy = os.duplicate(&os, ends[1]);
    assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(copy, "abc", 3), 3);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), 3);
    assert_int_equal(os.set_nonblocking(&os, copy), 0);
    assert_int_equal(os.is_nonblocking(&os, ends[1]), 1);
    assert_int_equal(os.close(&os, copy), 0);
    assert_int_equal(os.close(&os, ends[1]), 0);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), 0);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.is_nonblocking(&os, 99), -EBADF);
    assert_int_equal(os.set_nonblocking(&os, 99), -EBADF);
    assert_int_equal(os.duplicate(&os, 99), -EBADF);
}

/* Rules: O3 O4 */
static void test_watching(void **state)
{
    struct os_ready ready[4];
    int ends[2];
    (void)state;
    int set = os.watch_open(&os);
    int outer = os.watch_open(&os);
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(os.watch_add(&os, set, ends[0], UINT64_MAX - 1, true, false), 0);
    assert_int_equal(os.watch_add(&os, outer, set, 5, true, false), 0);
    assert_int_equal(os.watch_wait(&os, outer, ready, 4, 0), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int again = 0; again < 2; again++) { /* it is told until somebody reads */
        assert_int_equal(os.watch_wait(&os, outer, ready, 4, -1), 1);
        assert_int_equal(ready[0].token, 5);
        assert_int_equal(os.watch_wait(&os, set, ready, 4, INT64_MAX), 1);
        assert_true(ready[0].token == UINT64_MAX - 1 && ready[0].readable && !ready[0].writable);
    }
    assert_int_equal(os.watch_add(&os, set, ends[1], 7, false, true), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 1, 0), 1);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 2);
    assert_int_equal(os.watch_remove(&os, set, ends[1]), 0);
    assert_int_equal(os.watch_remove(&os, set, ends[1]), -ENOENT);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 1);
    /* Its end, and then a pipe without a reader. */
    assert_int_equal(os.read(&os, ends[0], &(char){0}, 1), 1);
    int writer = os.duplicate(&os, ends[1]);
    assert_int_equal(os.close(&os, ends[1]) + os.close(&os, writer), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, -1), 1);
    assert_true(ready[0].readable);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 0);
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(os.set_nonblocking(&os, ends[1]), 0);
    while (write(ends[1], area, sizeof area) > 0)
        continue;
    assert_int_equal(os.watch_add(&os, set, ends[1], 8, false, true), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 0);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, -1), 1);
    assert_true(ready[0].token == 8 && ready[0].writable);
    /* What cannot be watched. */
    int file = open(make_file("plain", "", 0600), O_RDWR | O_CLOEXEC);
    assert_int_equal(os.watch_add(&os, set, file, 1, true, true), -EPERM);
    assert_int_equal(os.close(&os, file) + os.close(&os, ends[1]), 0);
    assert_int_equal(os.close(&os, outer) + os.close(&os, set), 0);
}

static void nothing(int signal)
{
    (void)signal;
}

/* Interrupts the parent as soon as it sleeps, three times; then writes a byte to `fd`. */
static int disturb(pid_t parent, int fd)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)parent);
    for (int times = 0; times < 3;) {
        int stat_fd = open(path, O_RDONLY);
        ssize_t got = read(stat_fd, text, sizeof text - 1);
        close(stat_fd);
        if (got <= 0)
            return 1;
        text[got] = '\0';
        if (strncmp(strrchr(text, ')'), ") S", 3) == 0) {
            kill(parent, SIGCONT);
            times++;
        }
    }
    return write(fd, "x", 1) == 1 ? 0 : 1;
}

static int body_interrupted(const void *argument)
{
    struct os_ready ready;
    int ends[2];
    int status;
    (void)argument;
    /* SIGCONT is the one signal that the master cannot block and that interrupts. */
    EXPECT(sigaction(SIGCONT, &(struct sigaction){.sa_handler = nothing}, NULL) == 0);
    int set = os.watch_open(&os);
    for (int wait = 0; wait < 2; wait++) {
        EXPECT(pipe(ends) == 0);
        EXPECT(os.watch_add(&os, set, ends[0], 1, true, false) == 0);
        pid_t parent = getpid();
        pid_t pid = fork();
        EXPECT(pid >= 0);
        if (pid == 0)
            _exit(disturb(parent, ends[1]));
        int result = 0;
        while (wait == 1 && result == 0)
            result = os.watch_wait(&os, set, &ready, 1, -1);
        EXPECT(wait == 0 || result == 1);
        char byte;
        EXPECT(os.read(&os, ends[0], &byte, 1) == 1);
        EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}

/* Rules: G1 O2 */
static void test_interrupted_calls(void **state)
{
    (void)state;
    in_copy(body_interrupted, NULL);
}

/* --- output --- */

/* Something to write to, with the end that reads. */
struct sink {
    int fd;
    int reader;
};

/* A fifo that had no reader when it was opened as an output, and has one since. */
static void sink_fifo(struct sink *sink)
{
    const char *path = in_area("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    int both = open(path, O_RDWR | O_CLOEXEC);
    sink->fd = open(path, O_WRONLY | O_CLOEXEC);
    sink->reader = -1;
    close(both);
}

static void sink_open(struct sink *sink, const char *what)
{
    int ends[2];
    struct termios raw;
    if (strcmp(what, "pipe") == 0) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    } else if (strcmp(what, "socket") == 0) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    } else if (strcmp(what, "terminal") == 0) {
        assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(ends[1], &raw), 0);
        cfmakeraw(&raw);
        assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
    } else {
        sink_fifo(sink);
        return;
    }
    *sink = (struct sink){.fd = ends[1], .reader = ends[0]};
}

/* Writes a pattern until nothing more is taken; then it must come out whole and in order. Returns
 * how many bytes that were, or -1 when they did not. */
static ssize_t output_fill_and_drain(struct os_output *output, int reader)
{
    char block[10000]; /* several pages, so that a part of it can be passed on */
    size_t written = 0;
    size_t seen = 0;
    ssize_t taken;
    for (;;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)((written + i) % 251);
        taken = os.output_write(&os, output, block, sizeof block);
        if (taken <= 0)
            break;
        written += (size_t)taken;
    }
    if (taken != -EAGAIN)
        return -1;
    while (seen < written) {
        if (!soon(reader, POLLIN))
            return -1;
        ssize_t got = read(reader, block, sizeof block);
        for (ssize_t i = 0; i < got; i++)
            if (block[i] != (char)(seen++ % 251))
                return -1;
        int flushed = os.output_flush(&os, output);
        if (flushed != 0 && flushed != -EAGAIN)
            return -1;
    }
    return os.output_flush(&os, output) == 0 && seen == written ? (ssize_t)written : -1;
}

/* Rules: O1 O3 */
static void test_outputs_that_are_full(void **state)
{
    static const struct {
        const char *what;
        enum os_output_kind kind;
    } cases[] = {
        {"pipe", OS_OUTPUT_REOPENED},
        {"terminal", OS_OUTPUT_REOPENED},
        {"socket", OS_OUTPUT_SOCKET},
        {"fifo without a reader", OS_OUTPUT_SPLICED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sink sink;
        struct os_output output;
        sink_open(&sink, cases[i].what);
        int flags = fcntl(sink.fd, F_GETFL);
        assert_int_equal(os.output_open(&os, sink.fd, &output), 0);
        assert_int_equal(output.kind, cases[i].kind);
        assert_int_equal(os.is_terminal(&os, sink.fd), strcmp(cases[i].what, "terminal") == 0);
        if (sink.reader < 0)
            sink.reader = open(in_area("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        for (int round = 0; round < 2; round++)
            assert_true(output_fill_and_drain(&output, sink.reader) > 0);
        assert_int_equal(fcntl(sink.fd, F_GETFL), flags);
        assert_int_equal(flags & O_NONBLOCK, 0);
        os.output_close(&os, &output);
        assert_int_equal(output.kind, OS_OUTPUT_CLOSED);
        assert_int_equal(os.output_write(&os, &output, "x", 1), -EBADF);
        assert_true(fcntl(sink.fd, F_GETFD) >= 0);
        close(sink.fd);
        close(sink.reader);
    }
}

/* Rules: K5 */
static void test_terminals_have_a_size(void **state)
{
    struct winsize size = {.ws_row = 7, .ws_col = 132};
    unsigned columns = 1, rows = 1;
    int ends[2];
    (void)state;
    assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
    assert_int_equal(os.terminal_size(&os, ends[1], &columns, &rows), 0);
    assert_int_equal(columns, 0);
    assert_int_equal(rows, 0);
    assert_int_equal(ioctl(ends[0], TIOCSWINSZ, &size), 0);
    assert_int_equal(os.terminal_size(&os, ends[1], &columns, &rows), 0);
    assert_int_equal(columns, 132);
    assert_int_equal(rows, 7);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(os.terminal_size(&os, ends[1], &columns, &rows), -ENOTTY);
    assert_int_equal(columns, 132);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(os.terminal_size(&os, ends[1], &columns, &rows), -EBADF);
}

/* Rules: O3 */
static void test_outputs_that_are_broken(void **state)
{
    static const char *const cases[] = {"pipe", "socket", "fifo with a reader for a while"};
    char block[8192] = "";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sink sink;
        struct os_output output;
        ssize_t taken = 1;
        sink_open(&sink, cases[i]);
        assert_int_equal(os.output_open(&os, sink.fd, &output), 0);
        if (sink.reader < 0)
            sink.reader = open(in_area("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        while (taken > 0)
            taken = os.output_write(&os, &output, block, sizeof block);
        assert_int_equal(taken, -EAGAIN);
        close(sink.reader);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(os.output_write(&os, &output, block, sizeof block), -EPIPE);
            assert_int_equal(output.relayed, 0);
            assert_int_equal(os.output_flush(&os, &output), 0);
        }
        os.output_close(&os, &output);
        close(sink.fd);
    }
}

/* Rules: O1 O3 */
static void test_outputs_that_never_wait(void **state)
{
    static const struct {
        const char *path;
        ssize_t result;
    } cases[] = {{"file", 5}, {"/dev/null", 5}, {"/dev/full", -ENOSPC}};
    struct os_output output;
    (void)state;
    make_file("file", "", 0600);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = cases[i].path[0] == '/' ? cases[i].path : in_area(cases[i].path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(os.output_open(&os, fd, &output), 0);
        assert_int_equal(output.kind, OS_OUTPUT_PLAIN);
        assert_int_equal(os.output_write(&os, &output, "12345", 5), cases[i].result);
        assert_int_equal(os.output_flush(&os, &output), 0);
        os.output_close(&os, &output);
        close(fd);
    }
    assert_int_equal(os.output_open(&os, 99, &output), -EBADF);
}

/* After a change of user neither a pipe nor a terminal of root can be opened anew. */
static int body_outputs_not_ours(const void *argument)
{
    const struct sink *sinks = argument;
    static const enum os_output_kind kinds[] = {OS_OUTPUT_SPLICED, OS_OUTPUT_POLLED};
    EXPECT(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    for (size_t i = 0; i < 2; i++) {
        struct os_output output;
        int flags = fcntl(sinks[i].fd, F_GETFL);
        EXPECT(os.output_open(&os, sinks[i].fd, &output) == 0);
        EXPECT(output.kind == kinds[i]);
        EXPECT(output_fill_and_drain(&output, sinks[i].reader) > 0);
        EXPECT(fcntl(sinks[i].fd, F_GETFL) == flags);
        os.output_close(&os, &output);
    }
    return 0;
}

/* Rules: O3 */
static void test_outputs_of_another_user(void **state)
{
    struct sink sinks[2];
    (void)state;
    if (geteuid() != 0)
        skip();
    sink_open(&sinks[0], "pipe");
    sink_open(&sinks[1], "terminal");
    in_copy(body_outputs_not_ours, sinks);
    for (size_t i = 0; i < 2; i++) {
        close(sinks[i].fd);
        close(sinks[i].reader);
    }
}

/* --- syslog --- */

/* Rules: O1 O3 */
static void test_datagrams(void **state)
{
    static char large[1024 * 1024];
    char text[16];
    char words[2][5] = {"even", "odd"};
    struct iovec parts[2 * OS_DATAGRAMS_MAX];
    (void)state;
    const char *path = in_area("log");
    const struct os_address address = unix_address(path);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        parts[i] = (struct iovec){.iov_base = words[i % 2], .iov_len = strlen(words[i % 2])};
    assert_int_equal(os.datagram_open(&os, path), -ENOENT);
    memset(large, 'x', 200);
    assert_int_equal(os.datagram_open(&os, large), -ENAMETOOLONG);
    int server = os.socket_open(&os, AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    assert_int_equal(os.socket_bind(&os, server, &address), 0);
    int client = os.datagram_open(&os, path);
    assert_true(client >= 3);
    assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
    int sent = 0;
    int now;
    while ((now = os.datagrams_send(&os, client, parts, OS_DATAGRAMS_MAX + 1)) > 0) {
        assert_in_range(now, 1, OS_DATAGRAMS_MAX);
        sent += now;
    }
    assert_int_equal(now, -EAGAIN);
    assert_true(sent > 1);
    for (int i = 0; i < sent; i++) {
        ssize_t got = os.read(&os, server, text, sizeof text);
        assert_true((got == 4 && memcmp(text, "even", 4) == 0) ||
                    (got == 3 && memcmp(text, "odd", 3) == 0));
    }
    assert_int_equal(os.read(&os, server, text, sizeof text), -EAGAIN);
    assert_int_equal(os.datagrams_send(&os, client, parts, 3), 3);
    parts[0] = (struct iovec){.iov_base = large, .iov_len = sizeof large};
    assert_int_equal(os.datagrams_send(&os, client, parts, 3), -EMSGSIZE);
    assert_int_equal(os.close(&os, server), 0);
    assert_int_equal(os.datagrams_send(&os, client, parts + 1, 1), -ECONNREFUSED);
    assert_int_equal(os.datagram_open(&os, path), -ECONNREFUSED);
    assert_int_equal(os.close(&os, client), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pipes),
        TEST(test_watching),
        TEST(test_interrupted_calls),
        TEST(test_outputs_that_are_full),
        TEST(test_terminals_have_a_size),
        TEST(test_outputs_that_are_broken),
        TEST(test_outputs_that_never_wait),
        TEST(test_outputs_of_another_user),
        TEST(test_datagrams),
    };
    before_main();
    return cmocka_run_group_tests_name("os_posix_output", tests, before_all, after_all);
}
