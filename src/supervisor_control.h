/*
 * supervisor_control: what is asked for through the control socket, done (rules K2, K5, R3).
 *
 * Owns: who waits for the end of a rollout, who follows the log, and the words of what was done.
 * Leaves to others: clients and their rights (control), what follows from an event (core), and what
 * status looks like (status). For the supervisor alone.
 */
#ifndef SOCKETMASTER_SUPERVISOR_CONTROL_H
#define SOCKETMASTER_SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "core.h"
#include "log.h"
#include "status.h"
#include "supervisor_command.h"
#include "text.h"

struct supervisor;

/* Waits for the end of the rollout to a generation. */
struct supervisor_waiter {
    struct control_ticket ticket; /* a serial of 0: nobody */
    enum control_command command;
    uint64_t generation;
};

struct supervisor_follower {
    struct control_ticket ticket; /* the same */
    uint64_t left_out;            /* lines that it did not take in time */
};

/* Large, so keep it static. */
struct supervisor_control {
    bool open;
    bool stands_back;   /* for the worker that was started last, until its exec is known */
    unsigned verbosity; /* einhorn's: 0 says the most */
    unsigned signalled; /* workers, by the latest SIGNAL */
    uint64_t rolling;   /* the generation of the latest rollout, from 2 */
    struct supervisor_waiter waiters[CONTROL_CLIENTS];     /* of each client */
    struct supervisor_follower followers[CONTROL_CLIENTS]; /* the same */
    struct log_tap tap;
    struct supervisor_commands commands;
    struct control control;
    char text[STATUS_SIZE];
};

/* Takes clients of the control socket, if there is one. Returns 0 or -errno. */
int supervisor_control_open(struct supervisor *sup);

/* Whoever still waits is told that it is in vain. */
void supervisor_control_close(struct supervisor *sup);

/* Takes one round of requests, if any are due; but after the start of a worker nothing at first,
 * for a millisecond: a busy master would slow down the worker's exec, and a reload waits for that.
 */
void supervisor_control_serve(struct supervisor *sup, bool readable);

/* When that has to be done at the latest: monotonic milliseconds, or CORE_NEVER. */
uint64_t supervisor_control_deadline(const struct supervisor *sup);

/* The core said this, in these words: it may be what somebody waits for. */
void supervisor_control_said(
    struct supervisor *sup, const struct core_action *action, struct text_span line);

#endif
