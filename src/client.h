/*
 * client: socketmasterctl, the command that talks to a master through its control socket (rule K5).
 *
 * Owns: one command line -> one conversation with the master -> what is printed, and an exit
 * status. Leaves to others: the wire (proto_answer), and everything that the master decides. It is
 * the same program under another name, or `socketmaster ctl`.
 */
#ifndef SOCKETMASTER_CLIENT_H
#define SOCKETMASTER_CLIENT_H

#include <stdbool.h>

#include "os.h"

/* What it ends with. */
enum client_status {
    CLIENT_DONE,       /* or, where nothing is waited for, accepted */
    CLIENT_REFUSED,    /* by the master; or what was waited for failed; or nobody took the output */
    CLIENT_WRONG_LINE, /* nothing was sent */
    CLIENT_TIMED_OUT,  /* what was asked for may go on */
    CLIENT_NO_MASTER,  /* none is there, or it has gone without an answer */
};

/* Does the command line ask for the client: by the program's name, or by its first word? */
bool client_is_asked(int argc, char *const *argv);

/* Does what the command line says. Returns an enum client_status. Signals are not touched, but for
 * SIGPIPE, which is blocked: whoever interrupts it ends it. */
int client_run(struct os *os, int argc, char *const *argv, char *const *environment);

#endif
