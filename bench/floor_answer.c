/*
 * floor_answer: the floor of a server that answers requests.
 *
 * usage: floor_answer PATH FILE
 *
 * Listens at the unix stream socket PATH and answers each line that comes, on any connection, with
 * the bytes of FILE: one read, one write, and nothing between them. Writes a newline to standard
 * output when it listens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 8 * 1024 * 1024, READ_MAX = 64 * 1024, BACKLOG = 64, READY_MAX = 64 };

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "floor_answer: unable to %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fail("listen");
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, BACKLOG) < 0)
        fail("listen");
    return fd;
}

static size_t load(const char *path, char *bytes)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(bytes, 1, ANSWER_MAX, file) : 0;
    if (length == 0)
        fail("read the file");
    fclose(file);
    return length;
}

static void watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("watch a socket");
}

static void answer(int fd, const char *bytes, size_t length)
{
    char request[READ_MAX];
    ssize_t got = read(fd, request, sizeof request);
    if (got <= 0)
        close(fd);
    while (got > 0 && length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        bytes += sent;
        length -= (size_t)sent;
    }
}

int main(int argc, char **argv)
{
    static char bytes[ANSWER_MAX];
    struct epoll_event ready[READY_MAX];
    if (argc != 3) {
        fputs("usage: floor_answer PATH FILE\n", stderr);
        return 2;
    }
    size_t length = load(argv[2], bytes);
    int listener = open_socket(argv[1]), set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0)
        fail("make a watch set");
    watch(set, listener);
    if (write(STDOUT_FILENO, "\n", 1) != 1)
        fail("write");
    for (;;) {
        int count = epoll_wait(set, ready, READY_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd != listener) {
                answer(ready[i].data.fd, bytes, length);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0)
                fail("take a connection");
            watch(set, fd);
        }
    }
}
