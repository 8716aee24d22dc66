/*
 * measure_start: how long it takes from the start of a command to the first connection that the
 * kernel accepts for it. Tries again and again without a pause, so the answer is as fine as one
 * refused connection (some 10 us). It does so on another processor than the command, which would
 * otherwise wait now and then for its turn beside a program that never sleeps.
 *
 * usage: measure_start PORT COMMAND [ARG...]
 * Prints nanoseconds. The command, which is to listen on 127.0.0.1:PORT, is ended by TERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { PATIENCE_S = 10 };

static struct sockaddr_in loopback(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(host),
    };
}

static bool connects(uint16_t port)
{
    /* From another address than the one that is called: with the same one the kernel may pick
     * PORT itself as the local port, and the socket is connected to itself. */
    const struct sockaddr_in from = loopback(INADDR_LOOPBACK + 1, 0);
    const struct sockaddr_in to = loopback(INADDR_LOOPBACK, port);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    bool connected = bind(fd, (const struct sockaddr *)&from, sizeof from) == 0 &&
                     connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return connected;
}

/* Moves this process, and what it starts from now on, to the first of `allowed` or the last. */
static void move_to(const cpu_set_t *allowed, bool last)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, allowed) || (CPU_COUNT(&one) == 1 && !last))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
    }
    sched_setaffinity(0, sizeof one, &one);
}

/* What the command prints is not wanted where the answer is. */
static pid_t start(char **command)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawn(&pid, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        fprintf(stderr, "measure_start: unable to start %s: %s\n", command[0], strerror(error));
        exit(1);
    }
    return pid;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: measure_start PORT COMMAND [ARG...]\n", stderr);
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    move_to(&allowed, false);
    int64_t begin = clock_ns(), end = begin;
    pid_t pid = start(argv + 2);
    move_to(&allowed, true);
    bool connected = false;
    while (!connected && end - begin < PATIENCE_S * INT64_C(1000000000)) {
        connected = connects(port);
        end = clock_ns();
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    if (!connected) {
        fprintf(stderr, "measure_start: %s never listened on port %u\n", argv[2], port);
        return 1;
    }
    printf("%lld\n", (long long)(end - begin));
    return 0;
}
