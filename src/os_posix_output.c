/*
 * os_posix_output: writing to what may be shared with others and may not be read by anybody,
 * without waiting and without a change to its shared flags (rule O3).
 */
#include "os_posix_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum {
    POLLED_BYTES = 256,      /* written at once to a terminal that may make the write wait */
    POLLED_LIMIT_US = 10000, /* and how long it may */
    DISCARD_BYTES = 4096,
};

/* A second open file description of the same pipe or terminal: its flags are nobody else's. */
static bool output_open_path(struct os_output *output, const char *path)
{
    int reopened = os_posix_opened(
        TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)));
    if (reopened < 0)
        return false;
    output->kind = OS_OUTPUT_REOPENED;
    output->fd = reopened;
    output->owned = true;
    return true;
}

static bool output_reopen(struct os_output *output, int fd)
{
    char path[OS_POSIX_PROC_PATH];
    os_posix_proc_path(path, fd);
    return output_open_path(output, path);
}

/* The terminal that this session belongs to may be opened by everybody in it, whoever owns it. */
static bool output_reopen_controlling(struct os_output *output, int fd)
{
    if (tcgetsid(fd) != getsid(0))
        return false;
    return output_open_path(output, "/dev/tty");
}

static int output_relay(struct os_output *output)
{
    int error = os_posix_opened_pair(pipe2(output->relay, O_NONBLOCK | O_CLOEXEC), output->relay);
    if (error < 0)
        return error;
    output->kind = OS_OUTPUT_SPLICED;
    return 0;
}

static int posix_output_open(struct os *os, int fd, struct os_output *output)
{
    struct stat status;
    *output = (struct os_output){.kind = OS_OUTPUT_CLOSED, .fd = fd, .relay = {-1, -1}};
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISFIFO(status.st_mode))
        return output_reopen(output, fd) ? 0 : output_relay(output);
    if (S_ISSOCK(status.st_mode))
        output->kind = OS_OUTPUT_SOCKET;
    else if (!isatty(fd))
        output->kind = OS_OUTPUT_PLAIN;
    else if (!output_reopen(output, fd) && !output_reopen_controlling(output, fd))
        output->kind = OS_OUTPUT_POLLED;
    return 0;
}

/* Empties the relay of an output that is broken: those bytes go nowhere any more. */
static void relay_discard(struct os_output *output)
{
    char bytes[DISCARD_BYTES];
    while (TEMP_FAILURE_RETRY(read(output->relay[0], bytes, sizeof bytes)) > 0)
        continue;
    output->relayed = 0;
}

static int posix_output_flush(struct os *os, struct os_output *output)
{
    while (output->relayed > 0) {
        /* The flag speaks for both ends: neither the relay nor the output is waited for. */
        ssize_t passed = os_posix_size(TEMP_FAILURE_RETRY(
            splice(output->relay[0], NULL, output->fd, NULL, output->relayed, SPLICE_F_NONBLOCK)));
        if (passed == -EAGAIN)
            return -EAGAIN;
        if (passed <= 0) {
            relay_discard(output);
            return passed < 0 ? (int)passed : -EIO;
        }
        output->relayed -= (size_t)passed;
    }
    return 0;
}

static ssize_t output_write_relayed(
    struct os *os, struct os_output *output, const char *bytes, size_t length)
{
    int error = posix_output_flush(os, output);
    if (error < 0)
        return error;
    ssize_t taken = os_posix_size(TEMP_FAILURE_RETRY(write(output->relay[1], bytes, length)));
    if (taken <= 0)
        return taken;
    output->relayed = (size_t)taken;
    error = posix_output_flush(os, output);
    return error == 0 || error == -EAGAIN ? taken : error;
}

static void interrupt(int signal)
{
    (void)signal; /* the write that it interrupts is all that matters */
}

/*
 * The terminal's flags are shared, and poll(2) promises room for a byte or two, so a write may
 * wait: an alarm that repeats ends it then, whenever it begins.
 */
static ssize_t output_write_polled(int fd, const char *bytes, size_t length)
{
    const struct itimerval soon = {
        .it_interval = {.tv_usec = POLLED_LIMIT_US}, .it_value = {.tv_usec = POLLED_LIMIT_US}};
    const struct itimerval never = {.it_value = {.tv_usec = 0}};
    const struct sigaction interrupting = {.sa_handler = interrupt}; /* no SA_RESTART */
    struct pollfd terminal = {.fd = fd, .events = POLLOUT};
    struct sigaction before;
    sigset_t alarms;

    int ready = os_posix_result(TEMP_FAILURE_RETRY(poll(&terminal, 1, 0)));
    if (ready <= 0)
        return ready < 0 ? ready : -EAGAIN;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigaction(SIGALRM, &interrupting, &before);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    ssize_t written =
        os_posix_size(write(fd, bytes, length < POLLED_BYTES ? length : POLLED_BYTES));
    setitimer(ITIMER_REAL, &never, NULL);
    sigprocmask(SIG_BLOCK, &alarms, NULL);
    sigaction(SIGALRM, &before, NULL);
    return written == -EINTR ? -EAGAIN : written;
}

static ssize_t posix_output_write(
    struct os *os, struct os_output *output, const char *bytes, size_t length)
{
    switch (output->kind) {
    case OS_OUTPUT_PLAIN:
    case OS_OUTPUT_REOPENED:
        return os_posix_size(TEMP_FAILURE_RETRY(write(output->fd, bytes, length)));
    case OS_OUTPUT_SOCKET:
        return os_posix_size(
            TEMP_FAILURE_RETRY(send(output->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL)));
    case OS_OUTPUT_SPLICED:
        return output_write_relayed(os, output, bytes, length);
    case OS_OUTPUT_POLLED:
        return output_write_polled(output->fd, bytes, length);
    case OS_OUTPUT_CLOSED:
        break;
    }
    return -EBADF;
}

static void posix_output_close(struct os *os, struct os_output *output)
{
    if (output->owned)
        close(output->fd);
    if (output->kind == OS_OUTPUT_SPLICED) {
        close(output->relay[0]);
        close(output->relay[1]);
    }
    *output = (struct os_output){.kind = OS_OUTPUT_CLOSED, .fd = -1, .relay = {-1, -1}};
}

void os_posix_output_init(struct os *os)
{
    os->output_open = posix_output_open;
    os->output_write = posix_output_write;
    os->output_flush = posix_output_flush;
    os->output_close = posix_output_close;
}
