/*
 * floor_pool: the least that a program can do to start a pool of workers and to replace it. The
 * floor of everything that is measured of pools.
 *
 * usage: floor_pool [-quiet] COUNT AT_ONCE COMMAND [ARG...]
 * Starts COUNT workers, AT_ONCE of them on the way at most, and says "up" on standard error when
 * all have written a newline to the descriptor in NOTIFY_FD (one pipe for all of them), or with
 * -quiet, where none does, when all have been executed. Each HUP does it again: where AT_ONCE is
 * less than COUNT, one of the older ones is ended for each that is ready, otherwise all are when
 * all are ready; "gone" is said when they have been reaped. TERM ends everybody.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT_MAX = 4096, READ_MAX = 512 };

struct pool {
    size_t count;
    size_t at_once;
    char **command;
    int pipe[2]; /* of readiness; -1: nobody says it */
    posix_spawnattr_t attributes;
    pid_t older[COUNT_MAX], newer[COUNT_MAX];
};

_Noreturn static void fail(const char *what, int error)
{
    fprintf(stderr, "floor_pool: unable to %s: %s\n", what, strerror(error));
    exit(1);
}

static void say(const char *word)
{
    if (write(STDERR_FILENO, word, strlen(word)) < 0)
        exit(1);
}

static void start(struct pool *pool, size_t index)
{
    int error = posix_spawn(
        &pool->newer[index], pool->command[0], NULL, &pool->attributes, pool->command, environ);
    if (error != 0)
        fail("start a worker", error);
}

/* How many more are ready; waits for one at least. */
static size_t hear(const struct pool *pool, size_t quiet)
{
    char newlines[READ_MAX];
    if (pool->pipe[0] < 0)
        return quiet;
    ssize_t length = read(pool->pipe[0], newlines, sizeof newlines);
    if (length <= 0)
        fail("hear a worker", errno);
    return (size_t)length;
}

static void end(const pid_t *workers, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++)
        if (workers[i] > 0)
            kill(workers[i], SIGHUP);
}

static size_t reap(int options)
{
    size_t reaped = 0;
    while (waitpid(-1, NULL, options) > 0)
        reaped++;
    return reaped;
}

static void renew(struct pool *pool)
{
    bool first = pool->older[0] == 0;
    bool smooth = pool->at_once < pool->count;
    size_t started = 0, ready = 0, reaped = 0;
    while (ready < pool->count) {
        for (; started < pool->count && started - ready < pool->at_once; started++)
            start(pool, started);
        size_t before = ready;
        ready += hear(pool, started - ready);
        if (smooth && !first) {
            end(pool->older, before, ready);
            reaped += reap(WNOHANG);
        }
    }
    say("up\n");
    if (!smooth)
        end(pool->older, 0, pool->count);
    for (; !first && reaped < pool->count; reaped++)
        if (waitpid(-1, NULL, 0) < 0)
            fail("reap a worker", errno);
    if (!first)
        say("gone\n");
    memcpy(pool->older, pool->newer, sizeof pool->older);
}

static void prepare(struct pool *pool, bool quiet)
{
    sigset_t none;
    char number[16];
    sigemptyset(&none);
    posix_spawnattr_init(&pool->attributes);
    posix_spawnattr_setflags(&pool->attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&pool->attributes, &none);
    pool->pipe[0] = -1;
    if (quiet)
        return;
    if (pipe(pool->pipe) < 0)
        fail("make a pipe", errno);
    snprintf(number, sizeof number, "%d", pool->pipe[1]);
    setenv("NOTIFY_FD", number, 1);
}

int main(int argc, char **argv)
{
    static struct pool pool;
    bool quiet = argc > 1 && strcmp(argv[1], "-quiet") == 0;
    sigset_t awaited;
    int signal;
    argv += quiet;
    argc -= quiet;
    if (argc < 4 || atoi(argv[1]) < 1 || atoi(argv[1]) > COUNT_MAX || atoi(argv[2]) < 1) {
        fputs("usage: floor_pool [-quiet] COUNT AT_ONCE COMMAND [ARG...]\n", stderr);
        return 2;
    }
    pool.count = (size_t)atoi(argv[1]);
    pool.at_once = (size_t)atoi(argv[2]);
    pool.command = argv + 3;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGHUP);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    prepare(&pool, quiet);
    do
        renew(&pool);
    while (sigwait(&awaited, &signal) == 0 && signal == SIGHUP);
    end(pool.older, 0, pool.count);
    reap(0);
    return 0;
}
