/*
 * listener_inherit: sockets that somebody else opened (rule L9).
 *
 * Owns: what a service manager passed (sd_listen_fds(3)), which descriptors fd:// means, and the
 * checks that each is a listening socket. Part of the room `listener`.
 * Leaves to others: copying them, and closing the originals in the end (listener).
 */
#ifndef SOCKETMASTER_LISTENER_INHERIT_H
#define SOCKETMASTER_LISTENER_INHERIT_H

#include <stdbool.h>

#include "listener_target.h"
#include "os.h"
#include "text.h"
#include "uri.h"

enum {
    LISTENER_FIRST_PASSED = 3, /* SD_LISTEN_FDS_START */
};

/* Descriptors that a service manager passed (sd_listen_fds(3)); count 0: none. */
struct listener_activation {
    int count;         /* descriptors 3 to 3 + count - 1 */
    const char *names; /* LISTEN_FDNAMES, or NULL */
};

/*
 * What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES in `environment` pass to this process. LISTEN_PID
 * of another process means none. Returns false, and a line in *error, when they are ours but
 * malformed.
 */
bool listener_activation_read(struct listener_activation *activation, struct os *os,
    char *const *environment, struct text *error);

/*
 * Appends the targets that an fd:// URI means: one, or all descriptors of that name in order. Each
 * is checked, and its type and address are filled in; nothing is copied yet, since a copy could get
 * the number of a descriptor that was never passed. Returns true; or false and a line in *error.
 */
bool listener_inherit_find(struct listener_targets *targets, struct os *os, const struct uri *uri,
    const struct listener_activation *activation, struct text *error);

/* The same for every passed descriptor. */
bool listener_inherit_find_all(struct listener_targets *targets, struct os *os,
    const struct listener_activation *activation, struct text *error);

#endif
