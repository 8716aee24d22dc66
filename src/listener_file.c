/*
 * listener_file: the files of unix sockets (rule L7).
 *
 * Owns: who may take a path, stale files, a file's birth with its mode and owner, and its removal.
 * Leaves to others: the socket itself.
 */
#include "listener_file.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

enum {
    LOCK_PAUSE_MS = 10,
    MODE_ALL = 0777,
};

/* What stands at a path that a socket is to be bound to. */
enum occupant {
    OCCUPANT_NONE,
    OCCUPANT_STALE,
    OCCUPANT_KEPT, /* not ours to remove, and the complaint is written */
};

/* The directory of an absolute path. */
static const char *directory_of(const char *path, char directory[URI_PATH_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == path ? 1 : (size_t)(slash - path);

    memcpy(directory, path, length);
    directory[length] = '\0';
    return directory;
}

static int lock_directory(struct os *os, const struct listener_target *target, struct text *error)
{
    char buffer[URI_PATH_MAX + 1];
    const char *directory = directory_of(target->uri->path, buffer);
    uint64_t deadline = os->clock_ms(os) + LISTENER_LOCK_WAIT_MS;
    int lock;

    while ((lock = os->directory_lock(os, directory)) == -EWOULDBLOCK) {
        if (os->clock_ms(os) >= deadline) {
            listener_target_fail_name(
                error, target, "directory", directory, "another process keeps it locked");
            return -1;
        }
        os->pause_ms(os, LOCK_PAUSE_MS);
    }
    if (lock < 0) {
        listener_target_fail_name(error, target, "directory", directory, listener_target_why(lock));
        return -1;
    }
    return lock;
}

static const char *kind_words(enum os_file_kind kind)
{
    static const char *const words[] = {
        [OS_FILE_REGULAR] = "the path is a regular file",
        [OS_FILE_DIRECTORY] = "the path is a directory",
        [OS_FILE_LINK] = "the path is a symbolic link",
        [OS_FILE_OTHER] = "the path is not a socket",
    };

    return words[kind];
}

/* Is somebody there? It is asked with a socket of the same type, but one of another type lives,
 * too. */
static enum occupant probe(struct os *os, const struct listener_target *target, struct text *error)
{
    int fd = os->socket_open(os, AF_UNIX, target->type);
    int code;

    if (fd < 0) {
        listener_target_fail(error, target, "socket", fd);
        return OCCUPANT_KEPT;
    }
    code = os->socket_connect(os, fd, &target->address);
    os->close(os, fd);
    switch (code) {
    case -ECONNREFUSED:
        return OCCUPANT_STALE;
    case -ENOENT: /* its owner has just removed it, as a master does when it ends */
        return OCCUPANT_NONE;
    case 0:
    case -EAGAIN:
    case -EINPROGRESS:
    case -EPROTOTYPE:
        listener_target_fail(error, target, "a live server has this path", 0);
        return OCCUPANT_KEPT;
    default:
        listener_target_fail(error, target, "probe of the socket file", code);
        return OCCUPANT_KEPT;
    }
}

static enum occupant find_occupant(
    struct os *os, const struct listener_target *target, struct os_file *file, struct text *error)
{
    int code = os->file_look(os, target->uri->path, file);

    if (code == -ENOENT)
        return OCCUPANT_NONE;
    if (code < 0) {
        listener_target_fail(error, target, "look at the path", code);
        return OCCUPANT_KEPT;
    }
    if (file->kind != OS_FILE_SOCKET) {
        listener_target_fail(error, target, kind_words(file->kind), 0);
        return OCCUPANT_KEPT;
    }
    return probe(os, target, error);
}

bool listener_file_is_same(const struct os_file *one, const struct os_file *other)
{
    return one->kind == other->kind && one->device == other->device && one->inode == other->inode;
}

/* The file was found stale; it is looked at again, since the probe took its time. */
static bool remove_stale(struct os *os, const struct listener_target *target,
    const struct os_file *stale, struct text *error)
{
    const char *path = target->uri->path;
    struct os_file file;
    int code = os->file_look(os, path, &file);

    if (code == -ENOENT)
        return true;
    if (code < 0)
        return listener_target_fail(error, target, "look at the path", code);
    if (!listener_file_is_same(&file, stale))
        return listener_target_fail(
            error, target, "the path was taken by another process just now", 0);
    code = os->file_remove(os, path);
    if (code < 0 && code != -ENOENT)
        return listener_target_fail(error, target, "removal of the stale socket file", code);
    return true;
}

int listener_file_claim(struct os *os, const struct listener_target *target, struct text *error)
{
    struct os_file file;
    enum occupant occupant;
    int lock = lock_directory(os, target, error);

    if (lock < 0)
        return -1;
    occupant = find_occupant(os, target, &file, error);
    if (occupant == OCCUPANT_NONE ||
        (occupant == OCCUPANT_STALE && remove_stale(os, target, &file, error)))
        return lock;
    os->close(os, lock);
    return -1;
}

bool listener_file_check(
    struct os *os, const struct listener_target *target, bool *stale, struct text *error)
{
    char buffer[URI_PATH_MAX + 1];
    const char *directory = directory_of(target->uri->path, buffer);
    struct os_file file;
    enum occupant occupant = find_occupant(os, target, &file, error);
    int code;

    *stale = occupant == OCCUPANT_STALE;
    if (occupant == OCCUPANT_KEPT)
        return false;
    code = os->directory_writable(os, directory);
    if (code < 0)
        return listener_target_fail_name(
            error, target, "directory", directory, listener_target_why(code));
    return true;
}

/*
 * Gives the file its owner and, last, its mode. It was born with no right at all for anybody, so it
 * is never wider than asked for.
 */
static bool own(struct os *os, const struct listener_target *target, int pin, mode_t umask_before,
    struct text *error)
{
    mode_t mode =
        uri_has(target->uri, URI_OPT_MODE) ? (mode_t)target->uri->mode : MODE_ALL & ~umask_before;
    int code = os->file_pinned_chown(os, pin, target->uid, target->gid);

    if (code < 0)
        return listener_target_fail(error, target, "owner of the socket file", code);
    code = os->file_pinned_chmod(os, pin, mode);
    if (code < 0)
        return listener_target_fail(error, target, "mode of the socket file", code);
    return true;
}

/* Takes back a bind that nobody could put a name to: under the lock, what is there is ours. */
static void remove_newborn(struct os *os, const char *path)
{
    struct os_file file;

    if (os->file_look(os, path, &file) >= 0 && file.kind == OS_FILE_SOCKET)
        os->file_remove(os, path);
}

bool listener_file_bind(struct os *os, const struct listener_target *target, int fd, int *pin,
    struct os_file *file, struct text *error)
{
    const char *path = target->uri->path;
    bool masked = target->owned || uri_has(target->uri, URI_OPT_MODE);
    mode_t mask = target->owned ? MODE_ALL : MODE_ALL & ~(mode_t)target->uri->mode;
    mode_t umask_before = masked ? os->file_mask(os, mask) : 0;
    int code = os->socket_bind(os, fd, &target->address);

    if (masked)
        os->file_mask(os, umask_before);
    *pin = -1;
    if (code < 0)
        return listener_target_fail(error, target, "bind", code);
    *pin = os->file_pin(os, path);
    code = *pin < 0 ? *pin : os->file_pinned_look(os, *pin, file);
    if (code >= 0 && file->kind != OS_FILE_SOCKET)
        code = -ESTALE;
    if (code < 0) {
        listener_target_fail(error, target, "look at the new socket file", code);
        remove_newborn(os, path);
        goto unpin;
    }
    if (target->owned && !own(os, target, *pin, umask_before, error))
        goto remove;
    return true;

remove:
    listener_file_remove(os, path, file);
unpin:
    if (*pin >= 0)
        os->close(os, *pin);
    *pin = -1;
    return false;
}

void listener_file_remove(struct os *os, const char *path, const struct os_file *file)
{
    struct os_file now;

    if (os->file_look(os, path, &now) >= 0 && listener_file_is_same(&now, file))
        os->file_remove(os, path);
}

/* --- the second name ------------------------------------------------------------------------- */

static const char suffix[] = ".socketmaster";

void listener_file_kept_path(const char *path, char kept[LISTENER_KEPT_MAX])
{
    size_t length = strlen(path);
    size_t directory = (size_t)(strrchr(path, '/') - path) + 1;
    size_t cut = URI_PATH_MAX + 1 - sizeof suffix;
    struct text text;

    /* Of a long name the end gives way, so that it can be asked whether somebody answers. */
    if (length > cut && directory < cut)
        length = cut;
    text_init(&text, kept, LISTENER_KEPT_MAX);
    text_add_bytes(&text, path, length);
    text_add(&text, suffix);
}

/* Nobody answers at this socket file. */
static bool is_dead(struct os *os, int type, const char *path)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    int fd, code;

    if (length > URI_PATH_MAX)
        return false;
    memcpy(local.sun_path, path, length);
    memcpy(&address.address, &local, sizeof local);
    fd = os->socket_open(os, AF_UNIX, type);
    if (fd < 0)
        return false;
    code = os->socket_connect(os, fd, &address);
    os->close(os, fd);
    return code == -ECONNREFUSED;
}

int listener_file_keep(
    struct os *os, const struct listener_target *target, int pin, const struct os_file *file)
{
    char kept[LISTENER_KEPT_MAX];
    struct os_file other;
    int code;

    listener_file_kept_path(target->uri->path, kept);
    code = os->file_pinned_link(os, pin, kept);
    if (code != -EEXIST)
        return code;
    /* A master that was killed has left its own; what is not surely that stays. */
    if (os->file_look(os, kept, &other) < 0 || other.kind != OS_FILE_SOCKET ||
        listener_file_is_same(&other, file) || !is_dead(os, target->type, kept))
        return code;
    os->file_remove(os, kept);
    return os->file_pinned_link(os, pin, kept);
}

void listener_file_release(struct os *os, const char *path, const struct os_file *file)
{
    char kept[LISTENER_KEPT_MAX];

    listener_file_kept_path(path, kept);
    listener_file_remove(os, kept, file);
}
