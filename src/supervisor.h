/*
 * supervisor: the driver.
 *
 * Owns: the start-up, the one loop (wait, turn what is ready into events, call core_step, do what
 * it answers, feed the results back), and the shut-down. It alone knows more than one hand. Leaves
 * to others: every decision (core).
 */
#ifndef SOCKETMASTER_SUPERVISOR_H
#define SOCKETMASTER_SUPERVISOR_H

#include "cli.h"
#include "os.h"

enum {
    /* How long a stuck log reader may hold up the end, after the last worker has gone. */
    SUPERVISOR_LAST_WORDS_MS = 1000,
};

/*
 * Runs until the last worker has ended, and returns the exit status (rules X1 to X3). Signals must
 * be blocked already. `environment` is the master's own. To be called once in a process.
 */
int supervisor_run(struct os *os, const struct config *config, char *const *environment);

/*
 * Validates everything that can be without starting a worker, and prints to standard output what
 * supervisor_run would do (rule C7). Returns the exit status: 0, or 1 with a line on standard
 * error.
 */
int supervisor_check(struct os *os, const struct config *config, char *const *environment);

#endif
