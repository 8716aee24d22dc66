/*
 * kernel_os: os_posix with a clock that the director moves, and a record of what was really done.
 *
 * Waits have no time limit of their own: the director lets the clock pass the deadline and rings a
 * bell, which ends the wait as a spurious wake-up does. So a run costs no waiting, and does the
 * same on a slow machine.
 */
#include "kernel.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "os_posix.h"

/* Each entry gets the table, which is the first member. */
static struct kernel_os *kernel_of(struct os *os)
{
    return (struct kernel_os *)os;
}

static const uint64_t BELL = UINT64_MAX; /* its token */

static void record(struct kernel_os *kernel, enum kernel_did did, pid_t pid, int number)
{
    size_t at = kernel->event_count;
    if (at == KERNEL_EVENTS_MAX)
        return;
    kernel->events[at] = (struct kernel_event){did, pid, number, kernel->now_ms};
    kernel->event_count = at + 1;
}

static uint64_t kernel_clock_ms(struct os *os)
{
    return kernel_of(os)->now_ms;
}

static void kernel_pause_ms(struct os *os, unsigned milliseconds)
{
    struct kernel_os *kernel = kernel_of(os);
    kernel->now_ms += milliseconds;
    /* The lock belongs to the open file, which the director shares. */
    if (kernel->lock >= 0)
        flock(kernel->lock, LOCK_UN);
}

static pid_t kernel_spawn(struct os *os, const struct os_spawn *plan)
{
    struct kernel_os *kernel = kernel_of(os);
    pid_t pid = kernel->posix.spawn(&kernel->posix, plan);
    if (pid > 0)
        record(kernel, KERNEL_SPAWNED, pid, 0);
    return pid;
}

static pid_t kernel_reap(struct os *os, int *status)
{
    struct kernel_os *kernel = kernel_of(os);
    pid_t pid = kernel->posix.reap(&kernel->posix, status);
    if (pid > 0)
        record(kernel, KERNEL_REAPED, pid, *status);
    return pid;
}

static int kernel_kill_process(struct os *os, pid_t pid, int signal)
{
    struct kernel_os *kernel = kernel_of(os);
    record(kernel, KERNEL_SIGNALLED, pid, signal);
    return kernel->posix.kill_process(&kernel->posix, pid, signal);
}

static int kernel_kill_group(struct os *os, pid_t pid, int signal)
{
    struct kernel_os *kernel = kernel_of(os);
    record(kernel, KERNEL_SIGNALLED, pid, signal);
    return kernel->posix.kill_group(&kernel->posix, pid, signal);
}

static int kernel_directory_make(struct os *os, char *path, mode_t mode)
{
    struct kernel_os *kernel = kernel_of(os);
    int error = kernel->posix.directory_make(&kernel->posix, path, mode);
    if (error == 0)
        snprintf(kernel->directory, sizeof kernel->directory, "%s", path);
    return error;
}

static int kernel_directory_remove(struct os *os, const char *path)
{
    struct kernel_os *kernel = kernel_of(os);
    int error = kernel->posix.directory_remove(&kernel->posix, path);
    if (error == 0)
        kernel->directory[0] = '\0';
    return error;
}

/* The bell is none of the caller's business. Returns how many are left of `found`. */
static int hear_bell(struct kernel_os *kernel, struct os_ready *ready, int found)
{
    int kept = 0;
    for (int i = 0; i < found; i++) {
        uint64_t rung;
        if (ready[i].token != BELL)
            ready[kept++] = ready[i];
        else if (read(kernel->bell, &rung, sizeof rung) == sizeof rung)
            kernel->answered += rung;
    }
    return kept;
}

static int kernel_watch_wait(
    struct os *os, int set, struct os_ready *ready, size_t count, int64_t timeout_ms)
{
    struct kernel_os *kernel = kernel_of(os);
    struct os *posix = &kernel->posix;
    const uint64_t one = 1;
    if (timeout_ms == 0)
        return hear_bell(kernel, ready, posix->watch_wait(posix, set, ready, count, 0));
    if (kernel->rung_set != set) {
        int error = posix->watch_add(posix, set, kernel->bell, BELL, true, false);
        if (error < 0)
            return error;
        kernel->rung_set = set;
    }
    kernel->heap_at_last = mallinfo2().uordblks;
    if (kernel->waits++ == 0)
        kernel->heap_at_first = kernel->heap_at_last;
    kernel->timeout = timeout_ms;
    kernel->waiting = true;
    ssize_t told = write(kernel->notice, &one, sizeof one);
    (void)told; /* a full counter tells as well */
    int found = posix->watch_wait(posix, set, ready, count, -1);
    kernel->waiting = false;
    return hear_bell(kernel, ready, found);
}

/* Which port a service has is not ours to choose, and may be taken: the kernel gives a free one. */
static int kernel_service_find(struct os *os, const char *service, const char *protocol)
{
    struct kernel_os *kernel = kernel_of(os);
    int port = kernel->posix.service_find(&kernel->posix, service, protocol);
    return port < 0 ? port : 0;
}

void kernel_os_init(struct kernel_os *kernel, int bell, int notice, int lock)
{
    memset(kernel, 0, sizeof *kernel);
    os_posix_init(&kernel->posix);
    kernel->bell = bell;
    kernel->notice = notice;
    kernel->lock = lock;
    kernel->rung_set = -1;
    kernel->now_ms = 1000000;
    kernel->os = kernel->posix; /* the table's entries ask for nothing in it */
    kernel->os.clock_ms = kernel_clock_ms;
    kernel->os.pause_ms = kernel_pause_ms;
    kernel->os.spawn = kernel_spawn;
    kernel->os.reap = kernel_reap;
    kernel->os.kill_process = kernel_kill_process;
    kernel->os.kill_group = kernel_kill_group;
    kernel->os.watch_wait = kernel_watch_wait;
    kernel->os.directory_make = kernel_directory_make;
    kernel->os.directory_remove = kernel_directory_remove;
    kernel->os.service_find = kernel_service_find;
}
