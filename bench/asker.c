/*
 * asker: a client that asks over and over, on one connection or on several at once.
 *
 * usage: asker PATH CONNECTIONS COUNT PER_SECOND
 *
 * Asks the unix stream socket PATH for the status as JSON, on each connection again as soon as the
 * reply is there. PER_SECOND bounds how often that is, all together; 0 does not. Says "asking" on
 * standard output once it is connected, and "asked COUNT NS BYTES" after COUNT replies: how long
 * they took, and how long the last one was. A COUNT of 0 goes on until TERM, and tells how many
 * they were. Whatever goes wrong ends it with 1: a reply that says "error" too.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

enum { CONNECTIONS_MAX = 64, READ_MAX = 256 * 1024, SECOND_NS = 1000000000 };

static const char question[] = "{\"command\": \"status\", \"args\": [\"json\"], \"id\": 1}\n";

struct asker {
    size_t count;
    struct pollfd connections[CONNECTIONS_MAX];
    int64_t lengths[CONNECTIONS_MAX]; /* of the replies so far */
    int64_t asked, replies, last_length;
    int64_t begin_ns, pause_ns;
};

static volatile sig_atomic_t is_over;

static void end(int signal)
{
    (void)signal;
    is_over = 1;
}

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "asker: unable to %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail("connect");
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    return fd;
}

/* Asks, not before its turn. */
static void ask(struct asker *asker, size_t index)
{
    int64_t turn = asker->begin_ns + asker->asked * asker->pause_ns;
    while (asker->pause_ns > 0 && clock_ns() < turn) {
        struct timespec until = {turn / SECOND_NS, turn % SECOND_NS};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    ssize_t sent = send(asker->connections[index].fd, question, sizeof question - 1, MSG_NOSIGNAL);
    if (sent != sizeof question - 1)
        fail("ask");
    asker->asked++;
}

/* Reads what there is. Returns whether that ends the reply. */
static bool hear(struct asker *asker, size_t index)
{
    static char bytes[READ_MAX];
    static const char failed[] = "\"error\": true}\n";
    ssize_t length = read(asker->connections[index].fd, bytes, sizeof bytes);
    if (length <= 0)
        fail("read the reply");
    asker->lengths[index] += length;
    if (bytes[length - 1] != '\n')
        return false;
    size_t tail = sizeof failed - 1;
    if ((size_t)length >= tail && memcmp(bytes + length - tail, failed, tail) == 0) {
        fprintf(stderr, "asker: was told %.*s", (int)length, bytes);
        exit(1);
    }
    asker->last_length = asker->lengths[index];
    asker->lengths[index] = 0;
    asker->replies++;
    return true;
}

/* One after the other, in turn with their replies. */
static void ask_all(struct asker *asker, int64_t count)
{
    puts("asking");
    fflush(stdout);
    asker->begin_ns = clock_ns();
    for (size_t i = 0; i < asker->count; i++)
        ask(asker, i);
    while (!is_over && (count == 0 || asker->replies < count)) {
        if (asker->count > 1 && poll(asker->connections, asker->count, -1) < 0)
            break;
        for (size_t i = 0; i < asker->count; i++) {
            bool readable = asker->count == 1 || asker->connections[i].revents != 0;
            if (readable && hear(asker, i) && (count == 0 || asker->asked < count))
                ask(asker, i);
        }
    }
    printf("asked %lld %lld %lld\n", (long long)asker->replies,
        (long long)(clock_ns() - asker->begin_ns), (long long)asker->last_length);
}

int main(int argc, char **argv)
{
    static struct asker asker;
    int64_t count = argc == 5 ? atoll(argv[3]) : -1;
    int64_t per_second = argc == 5 ? atoll(argv[4]) : -1;
    asker.count = argc == 5 ? (size_t)atoi(argv[2]) : 0;
    if (asker.count < 1 || asker.count > CONNECTIONS_MAX || count < 0 || per_second < 0) {
        fputs("usage: asker PATH CONNECTIONS COUNT PER_SECOND\n", stderr);
        return 2;
    }
    asker.pause_ns = per_second > 0 ? SECOND_NS / per_second : 0;
    for (size_t i = 0; i < asker.count; i++)
        asker.connections[i] = (struct pollfd){.fd = dial(argv[1]), .events = POLLIN};
    signal(SIGTERM, end);
    ask_all(&asker, count);
    return 0;
}
