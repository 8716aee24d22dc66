/*
 * listener_file: the files of unix sockets (rule L7).
 *
 * Owns: who may take a path, stale files, a file's birth with its mode and owner, and its removal.
 * Part of the room `listener`. Leaves to others: the socket itself (listener).
 *
 * Looking, removing, binding and listening are several steps, so they are done under a lock of the
 * directory: of two masters that start at once, the second finds the first one's live socket.
 */
#ifndef SOCKETMASTER_LISTENER_FILE_H
#define SOCKETMASTER_LISTENER_FILE_H

#include <stdbool.h>

#include "listener_target.h"
#include "os.h"
#include "text.h"

enum {
    /* Of the second name of a socket file, with its NUL. */
    LISTENER_KEPT_MAX = URI_PATH_MAX + sizeof ".socketmaster",
    /* How long another master may hold the lock of a socket's directory while it starts. */
    LISTENER_LOCK_WAIT_MS = 5000,
};

/*
 * Takes the directory's lock and makes the path free: nothing is there, or a stale socket file was
 * removed. Returns the lock, which the caller closes once the socket listens; or -1 and a line in
 * *error, and then nothing was touched.
 */
int listener_file_claim(struct os *os, const struct listener_target *target, struct text *error);

/*
 * Tells whether listener_file_claim and listener_file_bind would find their way, without touching
 * anything; *stale: they would remove a file. Returns false and a line in *error if not.
 */
bool listener_file_check(
    struct os *os, const struct listener_target *target, bool *stale, struct text *error);

/*
 * Binds `fd` to the path that was claimed, with mode and owner as asked. Returns true: *file tells
 * the file, and *pin, which the caller closes, holds its inode; or false, and a line in *error:
 * then there is no file, and *pin is -1.
 */
bool listener_file_bind(struct os *os, const struct listener_target *target, int fd, int *pin,
    struct os_file *file, struct text *error);

/* Removes the path if it still names `file`. */
void listener_file_remove(struct os *os, const char *path, const struct os_file *file);

/*
 * A worker may remove the file, and a file that has lost its only name cannot be named again. So it
 * has a second one beside the first: the path, and ".socketmaster" behind it.
 */
void listener_file_kept_path(const char *path, char kept[LISTENER_KEPT_MAX]);

/* Gives that name to the new file, in place of one that nobody answers on. To be called under the
 * directory's lock. Returns 0 or -errno. */
int listener_file_keep(
    struct os *os, const struct listener_target *target, int pin, const struct os_file *file);

/* Takes it away, if it still names `file`. */
void listener_file_release(struct os *os, const char *path, const struct os_file *file);

/* Do both tell of one file? */
bool listener_file_is_same(const struct os_file *one, const struct os_file *other);

#endif
