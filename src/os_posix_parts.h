/*
 * os_posix_parts: what the files of os_posix share. Nobody else includes it.
 *
 * Each part fills its own entries of the table.
 */
#ifndef SOCKETMASTER_OS_POSIX_PARTS_H
#define SOCKETMASTER_OS_POSIX_PARTS_H

#include <errno.h>
#include <sys/types.h>

#include "os.h"

enum {
    OS_POSIX_DESCRIPTOR_MIN = 3,
    OS_POSIX_PROC_PATH = 32, /* bytes of "/proc/self/fd/N", "/proc/N/stat" */
};

void os_posix_process_init(struct os *os);
void os_posix_output_init(struct os *os);
void os_posix_file_init(struct os *os);
void os_posix_lookup_init(struct os *os);
void os_posix_watch_init(struct os *os);

/* From "-1 and errno" to "-errno", right after the call. */
static inline int os_posix_result(long result)
{
    return result < 0 ? -errno : (int)result;
}

static inline ssize_t os_posix_size(ssize_t result)
{
    return result < 0 ? -errno : result;
}

/*
 * What every entry that makes a descriptor returns: none below 3 leaves this room, so that no
 * worker finds one of ours in the place of a standard one.
 */
int os_posix_opened(long result);
/* The same for a pair, into `ends` again. After a failure neither is open. */
int os_posix_opened_pair(long result, int ends[2]);

/* The path by which an open descriptor's file is reached. */
void os_posix_proc_path(char path[OS_POSIX_PROC_PATH], int fd);
/* The path by which a process shows its state. */
void os_posix_stat_path(char path[OS_POSIX_PROC_PATH], pid_t pid);

/* Raises the soft limit of descriptors to the hard one, for this process but not for workers. */
void os_posix_descriptors_raise(void);

/* Calls `visit` for each name in the open directory but "." and "..", until it returns an error. */
int os_posix_directory_walk(
    int directory, int (*visit)(void *context, const char *name), void *context);

#endif
