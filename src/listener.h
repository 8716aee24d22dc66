/*
 * listener: a uri -> a bound or inherited descriptor, and the socket files that go with it.
 *
 * Owns: rules L1 to L7 and L9: looking up what a URI names, opening in order, taking over, modes
 * and owners, stale socket files, and removing at the end what was made. Part of the room is
 * listener_guard, which looks after what was opened (rule L8). A listener is opened once
 * and closed by the end of the process only (L6). Leaves to others: the grammar (uri), and passing
 * the descriptors on (spawn).
 */
#ifndef SOCKETMASTER_LISTENER_H
#define SOCKETMASTER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "limits.h"
#include "listener_inherit.h" /* struct listener_activation, listener_activation_read */
#include "os.h"
#include "text.h"
#include "uri.h"

enum {
    /* An address as a URI: a path of 107 bytes, each escaped, and its scheme. */
    LISTENER_ADDRESS_MAX = 352,
    LISTENER_ERROR_MAX = 1024 + 4 * LIMIT_URI,
};

struct listener {
    int fd;
    char name[URI_NAME_MAX + 1];        /* "" if it has none */
    char address[LISTENER_ADDRESS_MAX]; /* the actual one, as a URI: "tcp://127.0.0.1:8080" */
    char starter[LISTENER_ADDRESS_MAX]; /* the same for SERVER_STARTER_PORT */
    bool nonblock;                      /* asked for: nonblock=true */
    bool listens;                       /* connections come in, not datagrams */
    int backlog;                        /* asked for; 0: somebody else did */
    struct os_address bound;            /* the actual address */
    /* A socket file that this master made: */
    int pin; /* holds its inode, or -1 where there is none */
    char path[URI_PATH_MAX + 1];
    struct os_file file;
    int kept; /* 0: it has a second name (see listener_file_keep); or why not, as -errno */
};

struct listeners {
    struct listener items[LIMIT_LISTENERS];
    size_t count;
    struct listener_targets targets; /* private to listeners_open */
};

/*
 * Opens all of `uris` in order. With `uris_default` and passed descriptors, those are taken
 * instead. Returns true; or false with one line in *error that says what failed, on what, and why:
 * then all that was opened is closed and all files that were made are removed.
 */
bool listeners_open(struct listeners *listeners, struct os *os, const struct uri *uris,
    size_t count, bool uris_default, const struct listener_activation *activation,
    struct text *error);

/*
 * Tries everything that listeners_open would do, as far as that disturbs nobody: nothing listens,
 * no file is made or removed. Appends a line for each listener to *plan. Returns as listeners_open.
 */
bool listeners_check(struct os *os, const struct uri *uris, size_t count, bool uris_default,
    const struct listener_activation *activation, struct text *plan, struct text *error);

/* An entry without a socket. */
void listener_clear(struct listener *listener);

/*
 * Opens a socket that no worker inherits: `uri` is of the kind URI_UNIX, with a mode. Its file
 * belongs to `owner`; NULL: to whom this process is. Returns as listeners_open.
 */
bool listener_open_private(struct listener *listener, struct os *os, const struct uri *uri,
    const struct os_user *owner, struct text *error);

/* As listeners_check. */
bool listener_check_private(
    struct os *os, const struct uri *uri, struct text *plan, struct text *error);

/* Removes the file, if it is still the one made here, and closes; nothing for an entry without. */
void listener_close_private(struct listener *listener, struct os *os);

/* Removes each socket file that is still the one made here, and closes everything. */
void listeners_close(struct listeners *listeners, struct os *os);

#endif
