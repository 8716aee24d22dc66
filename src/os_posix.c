/*
 * os_posix: the table itself, and the entries for time, this process, descriptors, waiting and
 * sockets. The others stand in os_posix_process, os_posix_output, os_posix_file, os_posix_lookup
 * and os_posix_watch.
 */
#include "os_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "os_posix_parts.h"

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum {
    WATCH_BATCH = 64,
    DIRECTORY_BYTES = 8192,
    PROCESSOR_SETS = 8, /* of 1024 processors each: as many as Linux knows */
};

/* --- for all parts --- */

int os_posix_opened(long result)
{
    int fd = os_posix_result(result);
    if (fd < 0 || fd >= OS_POSIX_DESCRIPTOR_MIN)
        return fd;
    int lifted = os_posix_result(fcntl(fd, F_DUPFD_CLOEXEC, OS_POSIX_DESCRIPTOR_MIN));
    close(fd);
    return lifted;
}

int os_posix_opened_pair(long result, int ends[2])
{
    if (result < 0)
        return -errno;
    int first = os_posix_opened(ends[0]);
    int second = os_posix_opened(ends[1]);
    if (first >= 0 && second >= 0) {
        ends[0] = first;
        ends[1] = second;
        return 0;
    }
    if (first >= 0)
        close(first);
    if (second >= 0)
        close(second);
    return first < 0 ? first : second;
}

/* As stpcpy(3). Not snprintf(3): nothing else of stdio is used, and it makes much of it resident.
 */
static char *add_number(char *end, int number)
{
    char digits[3 * sizeof number];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *end++ = digits[--count];
    *end = '\0';
    return end;
}

void os_posix_proc_path(char path[OS_POSIX_PROC_PATH], int fd)
{
    add_number(stpcpy(path, "/proc/self/fd/"), fd);
}

void os_posix_stat_path(char path[OS_POSIX_PROC_PATH], pid_t pid)
{
    (void)stpcpy(add_number(stpcpy(path, "/proc/"), pid), "/stat");
}

int os_posix_directory_walk(
    int directory, int (*visit)(void *context, const char *name), void *context)
{
    _Alignas(struct dirent64) char entries[DIRECTORY_BYTES];
    for (;;) {
        ssize_t size = os_posix_size(getdents64(directory, entries, sizeof entries));
        if (size <= 0)
            return (int)size;
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            int error = visit(context, entry->d_name);
            if (error < 0)
                return error;
        }
    }
}

/* --- time --- */

static uint64_t posix_clock_ms(struct os *os)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void posix_wall_clock(struct os *os, struct os_time *now)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    now->seconds = wall.tv_sec;
    now->nanoseconds = (int32_t)wall.tv_nsec;
}

static void posix_local_time(struct os *os, int64_t seconds, struct tm *local)
{
    time_t when = (time_t)seconds;
    if (localtime_r(&when, local) == NULL)
        *local = (struct tm){.tm_mday = 1}; /* a year that is no int */
}

/* --- this process --- */

static pid_t posix_process_id(struct os *os)
{
    return getpid();
}

static uid_t posix_user_id(struct os *os)
{
    return geteuid();
}

static bool posix_is_terminal(struct os *os, int fd)
{
    return isatty(fd) == 1;
}

static int posix_terminal_size(struct os *os, int fd, unsigned *columns, unsigned *rows)
{
    struct winsize size;
    int error = os_posix_result(ioctl(fd, TIOCGWINSZ, &size));
    if (error < 0)
        return error;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

static unsigned posix_processors(struct os *os)
{
    cpu_set_t sets[PROCESSOR_SETS];
    if (sched_getaffinity(0, sizeof sets, sets) < 0)
        return 1;
    int count = CPU_COUNT_S(sizeof sets, sets);
    return count > 0 ? (unsigned)count : 1;
}

static int descriptor_seal(void *context, const char *name)
{
    long fd = strtol(name, NULL, 10);
    if (fd >= OS_POSIX_DESCRIPTOR_MIN)
        (void)fcntl(
            (int)fd, F_SETFD, FD_CLOEXEC); /* valgrind refuses its own, and keeps them itself */
    return 0;
}

/* For where close_range(2) is missing or refused: old kernels, seccomp filters, valgrind. */
static int descriptors_seal_each(void)
{
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    int error = os_posix_directory_walk(directory, descriptor_seal, NULL);
    close(directory);
    return error;
}

static int posix_descriptors_seal(struct os *os)
{
    for (int fd = 0; fd < OS_POSIX_DESCRIPTOR_MIN; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* All below it are open, so this is the number that open(2) gives out. */
        if (open("/dev/null", O_RDWR) < 0)
            return -errno;
    }
    os_posix_descriptors_raise();
    if (close_range(OS_POSIX_DESCRIPTOR_MIN, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
    return descriptors_seal_each();
}

/* --- descriptors --- */

static int posix_is_nonblocking(struct os *os, int fd)
{
    int flags = os_posix_result(fcntl(fd, F_GETFL));
    return flags < 0 ? flags : (flags & O_NONBLOCK) != 0;
}

static int posix_set_nonblocking(struct os *os, int fd)
{
    int flags = os_posix_result(fcntl(fd, F_GETFL));
    if (flags < 0 || (flags & O_NONBLOCK) != 0)
        return flags < 0 ? flags : 0;
    return os_posix_result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

static int posix_pipe_open(struct os *os, int ends[2])
{
    int error = os_posix_opened_pair(pipe2(ends, O_CLOEXEC), ends);
    if (error < 0)
        return error;
    error = posix_set_nonblocking(os, ends[0]);
    if (error < 0) {
        close(ends[0]);
        close(ends[1]);
    }
    return error;
}

static ssize_t posix_read(struct os *os, int fd, void *buffer, size_t size)
{
    return os_posix_size(TEMP_FAILURE_RETRY(read(fd, buffer, size)));
}

static int posix_close(struct os *os, int fd)
{
    return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

static int posix_null_open(struct os *os)
{
    return os_posix_opened(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static int posix_duplicate(struct os *os, int fd)
{
    return os_posix_result(fcntl(fd, F_DUPFD_CLOEXEC, OS_POSIX_DESCRIPTOR_MIN));
}

/* --- waiting --- */

static int posix_watch_open(struct os *os)
{
    return os_posix_opened(epoll_create1(EPOLL_CLOEXEC));
}

static int posix_watch_add(
    struct os *os, int set, int fd, uint64_t token, bool readable, bool writable)
{
    struct epoll_event event = {.data.u64 = token};
    event.events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
    return os_posix_result(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static int posix_watch_remove(struct os *os, int set, int fd)
{
    return os_posix_result(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
}

static int posix_watch_wait(
    struct os *os, int set, struct os_ready *ready, size_t count, int64_t timeout_ms)
{
    struct epoll_event events[WATCH_BATCH];
    int wanted = count < WATCH_BATCH ? (int)count : WATCH_BATCH;
    int timeout = timeout_ms < 0 ? -1 : timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX;
    int found = os_posix_result(epoll_wait(set, events, wanted, timeout));
    if (found == -EINTR)
        return 0; /* SIGCONT; the caller knows how much of its time is left */
    for (int i = 0; i < found; i++) {
        /* What was asked for is not known here: a broken one is told as both, so that whoever
         * asked finds it. */
        const uint32_t broken = EPOLLHUP | EPOLLERR;
        ready[i].token = events[i].data.u64;
        ready[i].readable = (events[i].events & (EPOLLIN | broken)) != 0;
        ready[i].writable = (events[i].events & (EPOLLOUT | broken)) != 0;
    }
    return found;
}

/* --- syslog --- */

static int posix_datagram_open(struct os *os, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length + 1);
    int fd = os_posix_opened(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return fd;
    int error = os_posix_result(connect(fd, (const struct sockaddr *)&address, sizeof address));
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}

static int posix_datagrams_send(struct os *os, int fd, const struct iovec *parts, size_t count)
{
    struct mmsghdr messages[OS_DATAGRAMS_MAX];
    struct iovec copies[OS_DATAGRAMS_MAX];
    if (count > OS_DATAGRAMS_MAX)
        count = OS_DATAGRAMS_MAX;
    for (size_t i = 0; i < count; i++) {
        copies[i] = parts[i];
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &copies[i], .msg_iovlen = 1}};
    }
    return os_posix_result(
        TEMP_FAILURE_RETRY(sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL)));
}

/* --- listening sockets --- */

static int posix_socket_open(struct os *os, int domain, int type)
{
    return os_posix_opened(socket(domain, type | SOCK_CLOEXEC, 0));
}

static int posix_socket_set(
    struct os *os, int fd, int level, int option, const void *value, socklen_t length)
{
    return os_posix_result(setsockopt(fd, level, option, value, length));
}

static int posix_socket_get(struct os *os, int fd, int level, int option, int *value)
{
    socklen_t length = sizeof *value;
    return os_posix_result(getsockopt(fd, level, option, value, &length));
}

static int posix_socket_bind(struct os *os, int fd, const struct os_address *address)
{
    return os_posix_result(bind(fd, (const struct sockaddr *)&address->address, address->length));
}

static int posix_socket_listen(struct os *os, int fd, int backlog)
{
    return os_posix_result(listen(fd, backlog));
}

static int posix_socket_connect(struct os *os, int fd, const struct os_address *address)
{
    int error = posix_set_nonblocking(os, fd);
    if (error < 0)
        return error;
    return os_posix_result(
        connect(fd, (const struct sockaddr *)&address->address, address->length));
}

static int posix_socket_address(struct os *os, int fd, struct os_address *address)
{
    *address = (struct os_address){.length = sizeof address->address};
    return os_posix_result(getsockname(fd, (struct sockaddr *)&address->address, &address->length));
}

static ssize_t posix_datagram_receive(
    struct os *os, int fd, void *buffer, size_t size, pid_t *sender)
{
    /* Room for the credentials, and none for descriptors: the kernel closes those that find none
     * (unix(7)), so they never count against our limit, not even for a moment. */
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control};
    const int flags = MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC;
    *sender = 0;
    ssize_t length = os_posix_size(TEMP_FAILURE_RETRY(recvmsg(fd, &message, flags)));
    if (length < 0)
        return length;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_CREDENTIALS &&
        header->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
        struct ucred credentials;
        memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        *sender = credentials.pid;
    }
    return length;
}

/* --- connections --- */

static int posix_socket_accept(struct os *os, int fd)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    return os_posix_opened(TEMP_FAILURE_RETRY(accept4(fd, NULL, NULL, flags)));
}

static int posix_socket_peer(struct os *os, int fd, struct os_peer *peer)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    int error = os_posix_result(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
    if (error == 0)
        *peer = (struct os_peer){.pid = credentials.pid, .uid = credentials.uid};
    return error;
}

static ssize_t posix_socket_send(struct os *os, int fd, const void *bytes, size_t length)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return os_posix_size(TEMP_FAILURE_RETRY(send(fd, bytes, length, flags)));
}

/* --- the table --- */

void os_posix_init(struct os *os)
{
    os->clock_ms = posix_clock_ms;
    os->wall_clock = posix_wall_clock;
    os->local_time = posix_local_time;
    os->process_id = posix_process_id;
    os->user_id = posix_user_id;
    os->is_terminal = posix_is_terminal;
    os->terminal_size = posix_terminal_size;
    os->processors = posix_processors;
    os->descriptors_seal = posix_descriptors_seal;

    os->pipe_open = posix_pipe_open;
    os->read = posix_read;
    os->close = posix_close;
    os->null_open = posix_null_open;
    os->duplicate = posix_duplicate;
    os->is_nonblocking = posix_is_nonblocking;
    os->set_nonblocking = posix_set_nonblocking;

    os->watch_open = posix_watch_open;
    os->watch_add = posix_watch_add;
    os->watch_remove = posix_watch_remove;
    os->watch_wait = posix_watch_wait;

    os->datagram_open = posix_datagram_open;
    os->datagrams_send = posix_datagrams_send;
    os->socket_open = posix_socket_open;
    os->socket_set = posix_socket_set;
    os->socket_get = posix_socket_get;
    os->socket_bind = posix_socket_bind;
    os->socket_listen = posix_socket_listen;
    os->socket_connect = posix_socket_connect;
    os->socket_address = posix_socket_address;
    os->datagram_receive = posix_datagram_receive;
    os->socket_accept = posix_socket_accept;
    os->socket_peer = posix_socket_peer;
    os->socket_send = posix_socket_send;

    os_posix_process_init(os);
    os_posix_output_init(os);
    os_posix_file_init(os);
    os_posix_lookup_init(os);
    os_posix_watch_init(os);
}
