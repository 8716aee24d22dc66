/*
 * The world of the tests of os_sim's judge: a small master, of which each test leaves out or spoils
 * one thing, and a table of such masters with what the judge has to say of each.
 */
#ifndef SOCKETMASTER_OS_SIM_WORLD_H
#define SOCKETMASTER_OS_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "os_sim.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { START_MS = 1000, STOP_MS = 5000 };

static struct os_sim sim;
static struct os_sim_choice choice;
static struct os *const os = &sim.os;
static jmp_buf escape;

/* What a master has. */
static unsigned youngest; /* generation */
static int listener, set, inner_set, signals;

static inline void begin(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    address.address.ss_family = AF_INET;
    listener = os->socket_open(os, AF_INET, SOCK_STREAM);
    os->socket_bind(os, listener, &address);
    os->socket_listen(os, listener, 16);
    set = os->watch_open(os);
    inner_set = os->watch_open(os);
    signals = os->signals_open(os);
}

static inline void end(void)
{
    os->close(os, listener);
    os->close(os, set);
    os->close(os, inner_set);
    os->close(os, signals);
}

/* --- workers --- */

struct worker {
    pid_t pid;
    int report, output;
};

/* What is wrong with the start of a worker. */
struct oddity {
    char *variable; /* one more than there should be */
    bool no_listener, no_output;
    int leaked; /* a descriptor that it gets as well, or 0 */
};

/* With all others that wait. */
static inline void take_signal(int signal)
{
    int taken[8];
    os_sim_signal(&sim, signal);
    os->signals_read(os, signals, taken, COUNT(taken));
}

/* A new generation was asked for. */
static inline struct worker start_oddly(unsigned number, struct oddity oddity)
{
    static char generation[64];
    static char *arguments[] = {NULL, NULL};
    static const char *const candidates[] = {"/bin/server", NULL};
    char *environment[] = {generation, oddity.variable, NULL};
    int report[2], output[2];
    struct os_move moves[5];
    size_t count = 0;
    snprintf(generation, sizeof generation, "SOCKETMASTER_GENERATION=%u", number);
    if (number > youngest && youngest > 0)
        take_signal(SIGHUP);
    youngest = number > youngest ? number : youngest;
    os->pipe_open(os, report);
    os->pipe_open(os, output);
    moves[count++] = (struct os_move){report[1], 9, false};
    if (!oddity.no_output) {
        moves[count++] = (struct os_move){output[1], 1, true};
        moves[count++] = (struct os_move){output[1], 2, true};
    }
    if (!oddity.no_listener)
        moves[count++] = (struct os_move){listener, 3, true};
    if (oddity.leaked > 0)
        moves[count++] = (struct os_move){oddity.leaked, 4, true};
    struct os_spawn plan = {.moves = moves,
        .move_count = count,
        .report = 9,
        .candidates = candidates,
        .arguments = arguments,
        .environment = environment};
    pid_t pid = os->spawn(os, &plan);
    os->close(os, report[1]);
    os->close(os, output[1]);
    return (struct worker){pid, report[0], output[0]};
}

static inline struct worker start(unsigned number)
{
    return start_oddly(number, (struct oddity){.leaked = 0});
}

static inline void sleep_ms(uint64_t milliseconds)
{
    struct os_ready ready[4];
    uint64_t until = sim.now + milliseconds;
    while (sim.now < until)
        os->watch_wait(os, set, ready, COUNT(ready), (int64_t)(until - sim.now));
}

/* One that is ready. */
static inline struct worker serve(unsigned number)
{
    struct worker worker = start(number);
    sleep_ms(START_MS);
    return worker;
}

/* One that is ready, and does not end when it is told to. */
static inline struct worker serve_stubborn(unsigned number)
{
    struct worker worker = serve(number);
    os_sim_worker(&sim, os_sim_worker_count(&sim) - 1)->temper.reaction = OS_SIM_IGNORES;
    return worker;
}

/* Its user ends one that lives, the first or the second, and so on. */
static inline void crash(unsigned nth)
{
    os_sim_process_signal(&sim, os_sim_worker(&sim, nth), SIGKILL);
}

static inline void reap_all(void)
{
    int status;
    while (os->reap(os, &status) > 0)
        continue;
}

static inline void forget(struct worker worker)
{
    os->close(os, worker.report);
    os->close(os, worker.output);
}

/* --- judgement --- */

struct master {
    const char *name;
    void (*live)(void);
    const char *violates; /* how the judge's words begin; NULL: nothing */
};

static inline void judge_masters(const struct master *masters, size_t count)
{
    static const struct os_sim_settings settings = {
        .start_ms = START_MS, .stop_ms = STOP_MS, .stop_signal = SIGHUP, .relayed = true};
    for (volatile size_t i = 0; i < count; i++) {
        os_sim_choice_bytes(&choice, (const uint8_t *)"", 0);
        os_sim_init(&sim, &settings, &choice);
        sim.escape = &escape;
        youngest = 0;
        if (setjmp(escape) == 0)
            masters[i].live();
        const char *wanted = masters[i].violates ? masters[i].violates : "";
        size_t length = masters[i].violates ? strlen(wanted) : sizeof sim.violation;
        if (strncmp(sim.violation, wanted, length) != 0)
            fail_msg("the master that %s: \"%s\", expected \"%s\"", masters[i].name, sim.violation,
                wanted);
    }
}

#endif
