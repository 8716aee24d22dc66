/*
 * setup: from the configuration to everything that a start of a worker needs.
 *
 * Owns: the order in which things are looked up and opened before the first worker, so that a
 * failure leaves nothing behind (rules C6, L5), and the same without opening anything (C7). Leaves
 * to others: opening (listener), finding (spawn), and running (supervisor).
 */
#ifndef SOCKETMASTER_SETUP_H
#define SOCKETMASTER_SETUP_H

#include <stdbool.h>

#include "cli.h"
#include "envp.h"
#include "listener.h"
#include "os.h"
#include "spawn.h"
#include "text.h"

enum {
    SETUP_ERROR_MAX = LISTENER_ERROR_MAX,
    SETUP_PLAN_MAX = (LIMIT_LISTENERS + 64) * 512,
    /* Of it, for what follows the arguments; those that would take it are left out. */
    SETUP_PLAN_REST = 24 * 1024,
};

struct setup {
    struct os *os;
    const struct config *config;
    struct os_user account;
    struct listener_activation activation;
    struct listeners listeners;
    struct listener control; /* -control; its fd is -1 where there is none */
    int null_fd;
    struct spawn_settings spawn_settings;
    struct spawn spawn;
    struct envp_listener shown[LIMIT_LISTENERS];
    int fds[LIMIT_LISTENERS];
    char *argv[LIMIT_ARGUMENTS + 2];
};

/*
 * Looks everything up, then opens the listeners. Returns true; or false with one line in *error,
 * and nothing left open or made. Borrows `config` and `environment`.
 */
bool setup_open(struct setup *setup, struct os *os, const struct config *config,
    char *const *environment, struct text *error);

/* The same without opening a listener: *plan gets a line for each thing that a start would do. */
bool setup_check(struct setup *setup, struct os *os, const struct config *config,
    char *const *environment, struct text *plan, struct text *error);

/* Removes and closes what setup_open made. */
void setup_close(struct setup *setup);

#endif
