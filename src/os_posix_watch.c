/*
 * os_posix_watch: what has become of listening sockets and their files while others had them, too.
 */
#include "os_posix_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum { DIAG_ANSWER_BYTES = 1024 };

/* --- sockets --- */

/* Of a listening socket the kernel tells its queue in the place of the counts of segments that were
 * not acknowledged, and of its limit where those stand that were, out of order. */
static int queue_of_tcp(int fd, struct os_queue *queue)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return -errno;
    if (info.tcpi_state != TCP_LISTEN)
        return -EINVAL;
    queue->has_queue = true;
    queue->waiting = info.tcpi_unacked;
    queue->limit = info.tcpi_sacked;
    return 0;
}

struct diag_request {
    struct nlmsghdr head;
    struct unix_diag_req body;
};

/* The one answer to a question about one socket. */
static int diag_read(const void *answer, size_t length, struct os_queue *queue)
{
    const struct nlmsghdr *head = answer;
    const char *bytes = answer;
    if (length < sizeof *head || head->nlmsg_len > length)
        return -EPROTO;
    if (head->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = (const void *)(bytes + NLMSG_HDRLEN);
        return head->nlmsg_len >= NLMSG_LENGTH(sizeof *error) && error->error < 0 ? error->error
                                                                                  : -EPROTO;
    }
    if (head->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
        return -EPROTO;
    struct unix_diag_msg told;
    memcpy(&told, bytes + NLMSG_HDRLEN, sizeof told);
    if (told.udiag_state != TCP_LISTEN) /* which stands for all families */
        return -EINVAL;
    size_t at = NLMSG_LENGTH(NLMSG_ALIGN(sizeof told));
    while (at + sizeof(struct rtattr) <= head->nlmsg_len) {
        struct rtattr attribute;
        struct unix_diag_rqlen lengths;
        memcpy(&attribute, bytes + at, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > head->nlmsg_len - at)
            break;
        if (attribute.rta_type == UNIX_DIAG_RQLEN &&
            attribute.rta_len >= RTA_LENGTH(sizeof lengths)) {
            memcpy(&lengths, bytes + at + RTA_LENGTH(0), sizeof lengths);
            queue->has_queue = true;
            queue->waiting = lengths.udiag_rqueue;
            queue->limit = lengths.udiag_wqueue; /* of a listening one */
            return 0;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return -EPROTO;
}

/* Asks sock_diag(7), which may be missing from the kernel or refused to a container. */
static int queue_of_unix(int fd, struct os_queue *queue)
{
    _Alignas(struct nlmsghdr) char answer[DIAG_ANSWER_BYTES];
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    const struct diag_request request = {
        .head = {.nlmsg_len = sizeof request,
            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
            .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_UNIX,
            .udiag_states = UINT32_MAX,
            .udiag_ino = (uint32_t)status.st_ino,
            .udiag_show = UDIAG_SHOW_RQLEN,
            .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
    };
    int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (diag < 0)
        return -errno;
    ssize_t length = os_posix_size(send(diag, &request, sizeof request, 0));
    if (length >= 0)
        length = os_posix_size(recv(diag, answer, sizeof answer, MSG_DONTWAIT));
    close(diag);
    return length < 0 ? (int)length : diag_read(answer, (size_t)length, queue);
}

static int queue_of_stream(int fd, int domain, struct os_queue *queue)
{
    int error = domain == AF_UNIX ? queue_of_unix(fd, queue) : queue_of_tcp(fd, queue);
    /* Without sock_diag in the kernel, or without its part for unix sockets. */
    bool absent = error == -EPROTONOSUPPORT || error == -EAFNOSUPPORT || error == -ENOENT ||
                  error == -EOPNOTSUPP || error == -ENOPROTOOPT;
    return absent ? -EOPNOTSUPP : error;
}

static int socket_option(int fd, int option, int *value)
{
    socklen_t length = sizeof *value;
    return os_posix_result(getsockopt(fd, SOL_SOCKET, option, value, &length));
}

static int posix_socket_backlog(struct os *os, int fd)
{
    int domain;
    struct os_queue queue = {.has_queue = false};
    int error = socket_option(fd, SO_DOMAIN, &domain);
    if (error == 0)
        error = queue_of_stream(fd, domain, &queue);
    return error < 0 ? error : (int)queue.limit;
}

static int posix_socket_queue(struct os *os, int fd, struct os_queue *queue)
{
    int domain, type;
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof memory;
    *queue = (struct os_queue){.has_queue = false};
    int error = socket_option(fd, SO_DOMAIN, &domain);
    if (error == 0)
        error = socket_option(fd, SO_TYPE, &type);
    if (error != 0)
        return error;
    bool datagrams = type == SOCK_DGRAM;
    error = datagrams ? -EOPNOTSUPP : queue_of_stream(fd, domain, queue);
    /* Who sends to a full unix socket waits, or is told, and the kernel does not count it. */
    if (domain == AF_UNIX || (error < 0 && !datagrams))
        return error;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0 && length == sizeof memory) {
        queue->has_drops = true;
        queue->drops = memory[SK_MEMINFO_DROPS];
    }
    return queue->has_drops ? 0 : error;
}

static int posix_socket_is_shut(struct os *os, int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
    int found = os_posix_result(TEMP_FAILURE_RETRY(poll(&polled, 1, 0)));
    if (found < 0)
        return found;
    if ((polled.revents & POLLNVAL) != 0)
        return -EBADF;
    return (polled.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* connect(2) to nowhere: it alone clears the mark of a shutdown of a socket that was closed, which
 * connections to come would inherit. */
static int posix_socket_disconnect(struct os *os, int fd)
{
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    return os_posix_result(TEMP_FAILURE_RETRY(connect(fd, &nowhere, sizeof nowhere)));
}

/* --- files --- */

/* By way of /proc, since AT_EMPTY_PATH takes a capability. */
static int posix_file_pinned_link(struct os *os, int pin, const char *path)
{
    char pinned[OS_POSIX_PROC_PATH];
    os_posix_proc_path(pinned, pin);
    return os_posix_result(linkat(AT_FDCWD, pinned, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

static int posix_file_watch_open(struct os *os)
{
    return os_posix_opened(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

static int posix_file_watch_add(struct os *os, int watch, int pin)
{
    char pinned[OS_POSIX_PROC_PATH];
    os_posix_proc_path(pinned, pin);
    /* IN_ATTRIB comes with each change of the number of names. */
    int added = os_posix_result(
        inotify_add_watch(watch, pinned, IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF));
    return added < 0 ? added : 0;
}

void os_posix_watch_init(struct os *os)
{
    os->socket_backlog = posix_socket_backlog;
    os->socket_queue = posix_socket_queue;
    os->socket_is_shut = posix_socket_is_shut;
    os->socket_disconnect = posix_socket_disconnect;
    os->file_pinned_link = posix_file_pinned_link;
    os->file_watch_open = posix_file_watch_open;
    os->file_watch_add = posix_file_watch_add;
}
