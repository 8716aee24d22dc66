/*
 * floor_spawn: the least that a program can do to start a worker on a signal. The floor of "HUP to
 * the new worker's main()".
 *
 * usage: floor_spawn COMMAND [ARG...]
 * Starts one at once and one for each HUP, and leaves them alone. TERM ends it and the last one.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pid_t start(char **command)
{
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    if (posix_spawn(&pid, command[0], NULL, &attributes, command, environ) != 0) {
        fprintf(stderr, "floor_spawn: unable to start %s\n", command[0]);
        exit(1);
    }
    posix_spawnattr_destroy(&attributes);
    return pid;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: floor_spawn COMMAND [ARG...]\n", stderr);
        return 2;
    }
    /* Ended workers vanish by themselves: to reap them is no part of a start. */
    const struct sigaction vanish = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigset_t awaited;
    int signal;
    pid_t last;
    sigaction(SIGCHLD, &vanish, NULL);
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGHUP);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    do
        last = start(argv + 1);
    while (sigwait(&awaited, &signal) == 0 && signal == SIGHUP);
    kill(last, SIGTERM);
    return 0;
}
