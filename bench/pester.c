/*
 * pester: clients of the control socket that mean no good.
 *
 * usage: pester PATH CONNECTIONS
 *
 * Opens so many connections, each of one of four kinds in turn, and opens any that is closed again:
 * one floods (requests without a pause, replies thrown away), one never reads (requests for long
 * replies until nothing more is taken), one dribbles (a byte of a request now and then, never the
 * newline), one sends megabytes without a newline. Writes a newline to standard output when all are
 * open; TERM ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

enum { CONNECTIONS_MAX = 64, BLOCK = 64 * 1024, TURN_NS = 1000000, TURN_MS = 1 };
enum kind { FLOODS, NEVER_READS, DRIBBLES, NEVER_ENDS, KINDS };

static const char *path;
static char block[BLOCK];     /* no newline in it */
static char questions[BLOCK]; /* whole ones */
static size_t questions_length;

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "pester: unable to %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fail("connect");
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void fill(void)
{
    static const char question[] = "{\"command\": \"state\"}\n";
    memset(block, 'x', sizeof block);
    while (questions_length + sizeof question < sizeof questions) {
        memcpy(questions + questions_length, question, sizeof question - 1);
        questions_length += sizeof question - 1;
    }
}

static ssize_t put(int fd, const char *bytes, size_t length)
{
    return send(fd, bytes, length, MSG_NOSIGNAL);
}

/* What one of that kind does next. Returns -1 once the connection is over. */
static int pester(int fd, enum kind kind)
{
    static char thrown[BLOCK];
    ssize_t done = 0;
    switch (kind) {
    case FLOODS:
        done = put(fd, questions, questions_length);
        if (done >= 0 || errno == EAGAIN)
            done = read(fd, thrown, sizeof thrown);
        break;
    case NEVER_READS:
        done = put(fd, questions, questions_length);
        break;
    case DRIBBLES:
        done = put(fd, block, 1);
        break;
    case NEVER_ENDS:
    case KINDS:
        done = put(fd, block, sizeof block);
    }
    return done > 0 || (done < 0 && errno == EAGAIN) ? 0 : -1;
}

int main(int argc, char **argv)
{
    int fds[CONNECTIONS_MAX];
    int count = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || count > CONNECTIONS_MAX) {
        fputs("usage: pester PATH CONNECTIONS\n", stderr);
        return 2;
    }
    path = argv[1];
    fill();
    for (int i = 0; i < count; i++)
        fds[i] = dial();
    if (write(STDOUT_FILENO, "\n", 1) != 1)
        fail("write");
    for (;;) {
        int64_t begin = clock_ns();
        for (int i = 0; i < count; i++) {
            if (pester(fds[i], (enum kind)(i % KINDS)) == 0)
                continue;
            close(fds[i]);
            fds[i] = dial();
        }
        /* As fast as they are served, but leave a turn to others who want the processor. */
        if (clock_ns() - begin < TURN_NS)
            poll(NULL, 0, TURN_MS);
    }
}
