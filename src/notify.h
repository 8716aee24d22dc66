/*
 * notify: how workers say that they are ready (rules R3, R4, E5).
 *
 * Owns: the private directory, in it one datagram socket for each slot, who may speak there, and
 * the last status of each slot; and reading what comes through a worker's NOTIFY_FD. Leaves to
 * others: what the words mean (notify_message), waiting for them, and what follows (core).
 *
 * All of it is done without ever waiting. A worker can send as much as it likes: who takes messages
 * should take a few at a time, and look at everything else in between.
 */
#ifndef SOCKETMASTER_NOTIFY_H
#define SOCKETMASTER_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "limits.h"
#include "notify_message.h"
#include "os.h"
#include "text.h"

enum {
    NOTIFY_PATH_SIZE = 108,     /* bytes of a socket's path with its NUL: unix(7) */
    NOTIFY_MESSAGE_SIZE = 4096, /* of a message, as with systemd; a longer one does not count */
    NOTIFY_STATUS_SIZE = 256,   /* bytes of a status that are kept, with the NUL */
    NOTIFY_READS_MAX = 4,       /* of one notify_read_fd */
    NOTIFY_READ_BYTES = 256,    /* of one read */
};

/* Large, so keep it static. All zero is one that is closed. */
struct notify {
    struct os *os;
    const struct os_user *account;
    char directory[NOTIFY_PATH_SIZE]; /* "": none */
    char path[NOTIFY_PATH_SIZE];      /* what notify_slot_path returned last */
    char bytes[NOTIFY_MESSAGE_SIZE];  /* what the last message's spans point into */
    int sockets[LIMIT_SLOTS];         /* -1: closed */
    char statuses[LIMIT_SLOTS][NOTIFY_STATUS_SIZE];
};

/*
 * Makes the private directory, in the first place that will have it: for root /run or /tmp, for
 * others $XDG_RUNTIME_DIR, $TMPDIR or /tmp; `environment` is the master's. Nobody can guess its
 * name, list it or change what is in it; with an `account` (NULL: none), that user can reach a
 * socket whose path it was told. Borrows `os` and `account`.
 * Returns true, or false with a line in *error: then nothing is left.
 */
bool notify_open(struct notify *notify, struct os *os, const struct os_user *account,
    char *const *environment, struct text *error);

/* Closes every slot and removes everything that was made. */
void notify_close(struct notify *notify);

/*
 * Opens the socket of a slot that is closed: to be done before its worker is started. It is the
 * account's (else the master's own user's) alone to write to. Returns the descriptor, to be watched
 * for readability, which stays the room's; or -errno.
 */
int notify_slot_open(struct notify *notify, unsigned slot);

/* The path of a slot's socket, for NOTIFY_SOCKET; the room's until the next call. */
const char *notify_slot_path(struct notify *notify, unsigned slot);

/* Closes the socket and removes its path; to be done when the worker has been reaped, since some
 * write to it while they stop. Nothing if it is closed. What waited there is lost. */
void notify_slot_close(struct notify *notify, unsigned slot);

/*
 * Takes one message that came for the slot, whose worker is `worker` (not reaped yet). It counts
 * when the kernel says that the worker sent it, or a process that descends from it: parent by
 * parent, all of them still there. A worker that has ended says nothing any more.
 * Returns
 *   1        it counts: *message, whose spans are good until the next call; a status is kept. One
 *            without anything known in it counts whoever sent it, since nothing follows;
 *   0        it was passed over: from somebody else, or from a process that is gone, too long, or
 *            with a NUL;
 *   -EAGAIN  there is none;
 *   -errno   nothing can be taken now, or what was taken does not count because nobody can tell who
 *            sent it (-EMFILE, ...): worth a line in the log.
 * Descriptors that came with it are closed, so a BARRIER=1 is answered when it is its turn.
 */
int notify_take(struct notify *notify, unsigned slot, pid_t worker, struct notify_message *message);

/* The last status that counted since the slot was opened, fit to be printed; "": none. */
const char *notify_slot_status(const struct notify *notify, unsigned slot);

enum notify_fd_state {
    NOTIFY_FD_PENDING, /* not yet, or there is more to read: watch on */
    NOTIFY_FD_READY,   /* a newline came */
    NOTIFY_FD_CLOSED,  /* it cannot come any more: everybody has closed it */
    NOTIFY_FD_FAILED,  /* it cannot be read now: try again in a while */
};

/*
 * Reads from the reading end of a worker's NOTIFY_FD, a bounded amount. Whoever holds the other end
 * speaks (rule R4). After CLOSED there is nothing more to learn from it: close it.
 */
enum notify_fd_state notify_read_fd(struct os *os, int fd);

#endif
