/*
 * worker: the program that the masters under measurement start.
 *
 * usage: worker NAME [MEGABYTES]
 *
 * Sends "main PID NS" to the datagram socket with the abstract name NAME: when its main() began.
 * Then it waits, and leaves at HUP or TERM. With MEGABYTES it stays at HUP, so that its output pipe
 * stays open, and at USR1 it writes so many megabytes of lines to standard output, sends
 * "flood PID NS CPU_NS" (when it began, and what it cost itself), and leaves.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

enum {
    LINE = 100, /* bytes, with the newline */
    BLOCK = 64 * 1024 / LINE * LINE,
    MEGABYTE = 1000 * 1000,
};

static void tell(const char *name, const char *what, int64_t first, int64_t second)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[80];
    size_t length = strlen(name);
    int size = snprintf(message, sizeof message, "%s %d %lld %lld", what, getpid(),
        (long long)first, (long long)second);
    if (length >= sizeof address.sun_path) {
        fputs("worker: the name is too long\n", stderr);
        exit(2);
    }
    memcpy(address.sun_path + 1, name, length);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sendto(fd, message, (size_t)size, 0, (const struct sockaddr *)&address,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0)
        perror("worker: unable to tell");
    close(fd);
}

static int64_t own_cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (int64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void flood(int64_t bytes)
{
    static char block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = i % LINE == LINE - 1 ? '\n' : (char)('!' + (i + i / LINE) % 94);
    while (bytes > 0) {
        size_t left = bytes < BLOCK ? (size_t)bytes : BLOCK;
        bytes -= (int64_t)left;
        for (const char *at = block; left > 0;) {
            ssize_t written = write(STDOUT_FILENO, at, left);
            if (written < 0) {
                perror("worker: unable to write");
                exit(1);
            }
            at += written;
            left -= (size_t)written;
        }
    }
}

int main(int argc, char **argv)
{
    int64_t begin = clock_ns();
    if (argc < 2 || argc > 3) {
        fputs("usage: worker NAME [MEGABYTES]\n", stderr);
        return 2;
    }
    int64_t bytes = argc == 3 ? atoll(argv[2]) * MEGABYTE : 0;
    int signal;
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGHUP);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGUSR1);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    tell(argv[1], "main", begin, 0);
    do
        sigwait(&awaited, &signal);
    while (signal == SIGHUP && bytes > 0);
    if (signal == SIGUSR1) {
        begin = clock_ns();
        flood(bytes);
        tell(argv[1], "flood", begin, own_cpu_ns());
    }
    return 0;
}
