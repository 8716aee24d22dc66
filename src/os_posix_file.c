/*
 * os_posix_file: files and directories. Rights are judged as the kernel will judge them: by the
 * effective ids.
 */
#include "os_posix_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

static enum os_file_kind file_kind(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return OS_FILE_REGULAR;
    case S_IFDIR:
        return OS_FILE_DIRECTORY;
    case S_IFSOCK:
        return OS_FILE_SOCKET;
    case S_IFLNK:
        return OS_FILE_LINK;
    default:
        return OS_FILE_OTHER;
    }
}

static int file_look_at(int directory, const char *path, int flags, struct os_file *file)
{
    struct stat status;
    if (fstatat(directory, path, &status, flags) < 0)
        return -errno;
    *file = (struct os_file){.kind = file_kind(status.st_mode),
        .device = (uint64_t)status.st_dev,
        .inode = (uint64_t)status.st_ino};
    return 0;
}

/* The same where only its enum os_file_kind matters, which is what comes back. */
static int file_kind_at(int directory, const char *path, int flags)
{
    struct stat status;
    if (fstatat(directory, path, &status, flags) < 0)
        return -errno;
    return (int)file_kind(status.st_mode);
}

static int posix_file_look(struct os *os, const char *path, struct os_file *file)
{
    return file_look_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, file);
}

static int posix_file_pinned_look(struct os *os, int pin, struct os_file *file)
{
    return file_look_at(pin, "", AT_EMPTY_PATH, file);
}

static int posix_file_pin(struct os *os, const char *path)
{
    int pin = os_posix_opened(TEMP_FAILURE_RETRY(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC)));
    if (pin < 0)
        return pin;
    int kind = file_kind_at(pin, "", AT_EMPTY_PATH);
    if (kind >= 0 && kind != OS_FILE_LINK)
        return pin;
    close(pin);
    return kind < 0 ? kind : -ELOOP; /* O_PATH opens the link itself */
}

static int posix_file_pinned_chown(struct os *os, int pin, uid_t uid, gid_t gid)
{
    return os_posix_result(fchownat(pin, "", uid, gid, AT_EMPTY_PATH));
}

/* fchmod(2) refuses an O_PATH descriptor. */
static int posix_file_pinned_chmod(struct os *os, int pin, mode_t mode)
{
    char path[OS_POSIX_PROC_PATH];
    os_posix_proc_path(path, pin);
    return os_posix_result(chmod(path, mode));
}

static int posix_file_remove(struct os *os, const char *path)
{
    return os_posix_result(unlink(path));
}

static ssize_t write_fully(int fd, const char *bytes, size_t length)
{
    size_t used = 0;
    while (used < length) {
        ssize_t put = os_posix_size(TEMP_FAILURE_RETRY(write(fd, bytes + used, length - used)));
        if (put < 0)
            return put;
        used += (size_t)put;
    }
    return 0;
}

/* A file of our own under a name that nobody else has: one that a crash left there goes. */
static int file_make(const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = os_posix_opened(TEMP_FAILURE_RETRY(open(path, flags, 0600)));
    if (fd != -EEXIST)
        return fd;
    int error = os_posix_result(unlink(path));
    return error < 0 ? error : os_posix_opened(TEMP_FAILURE_RETRY(open(path, flags, 0600)));
}

static int posix_file_replace(
    struct os *os, const char *path, const char *bytes, size_t length, mode_t mode)
{
    static const char suffix[] = ".new";
    char beside[PATH_MAX];
    size_t path_length = strlen(path);
    if (path_length > sizeof beside - sizeof suffix)
        return -ENAMETOOLONG;
    memcpy(beside, path, path_length);
    memcpy(beside + path_length, suffix, sizeof suffix);
    int fd = file_make(beside);
    if (fd < 0)
        return fd;
    ssize_t error = write_fully(fd, bytes, length);
    if (error == 0)
        error = os_posix_result(fchmod(fd, mode));
    /* Some file systems tell only now that there was no room. */
    int closed = os_posix_result(close(fd));
    if (error == 0)
        error = closed;
    if (error == 0)
        error = os_posix_result(rename(beside, path));
    if (error < 0)
        (void)unlink(beside);
    return (int)error;
}

static int directory_open(const char *path)
{
    return os_posix_opened(TEMP_FAILURE_RETRY(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)));
}

static int posix_file_executable(struct os *os, const char *directory, const char *path)
{
    int at = directory != NULL ? directory_open(directory) : AT_FDCWD;
    if (directory != NULL && at < 0)
        return at;
    int result = file_kind_at(at, path, 0);
    if (result == OS_FILE_REGULAR)
        result = os_posix_result(faccessat(at, path, X_OK, AT_EACCESS));
    else if (result >= 0)
        result = -EACCES;
    if (directory != NULL)
        close(at);
    return result;
}

static int directory_access(const char *path, int mode)
{
    int kind = file_kind_at(AT_FDCWD, path, 0);
    if (kind < 0)
        return kind;
    if (kind != OS_FILE_DIRECTORY)
        return -ENOTDIR;
    return os_posix_result(faccessat(AT_FDCWD, path, mode, AT_EACCESS));
}

static int posix_directory_writable(struct os *os, const char *path)
{
    return directory_access(path, W_OK | X_OK);
}

static int posix_directory_enterable(struct os *os, const char *path)
{
    return directory_access(path, X_OK);
}

static int posix_directory_make(struct os *os, char *path, mode_t mode)
{
    if (mkdtemp(path) == NULL)
        return -errno;
    int error = os_posix_result(chmod(path, mode));
    if (error < 0)
        (void)rmdir(path);
    return error;
}

static int posix_directory_remove(struct os *os, const char *path)
{
    return os_posix_result(rmdir(path));
}

static int posix_directory_lock(struct os *os, const char *path)
{
    int fd = os_posix_opened(TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (fd < 0)
        return fd;
    int error = os_posix_result(TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)));
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}

static void posix_pause_ms(struct os *os, unsigned milliseconds)
{
    struct timespec left = {
        .tv_sec = (time_t)(milliseconds / 1000),
        .tv_nsec = (long)(milliseconds % 1000) * 1000000,
    };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

struct names {
    char *bytes;
    size_t size;
    size_t used;
};

static int names_append(void *context, const char *name)
{
    struct names *names = context;
    size_t length = strlen(name) + 1;
    if (length > names->size - names->used)
        return -ENAMETOOLONG;
    memcpy(names->bytes + names->used, name, length);
    names->used += length;
    return 0;
}

static ssize_t posix_directory_names(struct os *os, const char *path, char *names, size_t size)
{
    struct names found = {.bytes = names, .size = size};
    int fd = os_posix_opened(TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (fd < 0)
        return fd;
    int error = os_posix_directory_walk(fd, names_append, &found);
    close(fd);
    return error < 0 ? error : (ssize_t)found.used;
}

/* Reads until `size` bytes or the end. */
static ssize_t read_fully(int fd, char *buffer, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = os_posix_size(TEMP_FAILURE_RETRY(read(fd, buffer + used, size - used)));
        if (got < 0)
            return got;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static ssize_t posix_file_head(
    struct os *os, const char *directory, const char *name, char *buffer, size_t size)
{
    int at = directory_open(directory);
    if (at < 0)
        return at;
    /* Looked at first because opening a device can do things, and without waiting in case it has
     * become a fifo since. */
    ssize_t result = file_kind_at(at, name, 0);
    if (result != OS_FILE_REGULAR) {
        result = result < 0 ? result : -EINVAL;
        goto close_directory;
    }
    int fd = os_posix_opened(
        TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)));
    result = fd;
    if (fd < 0)
        goto close_directory;
    result = read_fully(fd, buffer, size);
    close(fd);
close_directory:
    close(at);
    return result;
}

static mode_t posix_file_mask(struct os *os, mode_t mask)
{
    return umask(mask);
}

void os_posix_file_init(struct os *os)
{
    os->file_look = posix_file_look;
    os->file_pin = posix_file_pin;
    os->file_pinned_look = posix_file_pinned_look;
    os->file_pinned_chown = posix_file_pinned_chown;
    os->file_pinned_chmod = posix_file_pinned_chmod;
    os->file_remove = posix_file_remove;
    os->file_replace = posix_file_replace;
    os->file_executable = posix_file_executable;
    os->directory_writable = posix_directory_writable;
    os->directory_enterable = posix_directory_enterable;
    os->directory_make = posix_directory_make;
    os->directory_remove = posix_directory_remove;
    os->directory_lock = posix_directory_lock;
    os->pause_ms = posix_pause_ms;
    os->directory_names = posix_directory_names;
    os->file_head = posix_file_head;
    os->file_mask = posix_file_mask;
}
