/*
 * The world of os_posix's tests: the real kernel, a directory of our own, and checks around each
 * test: it ends with the descriptors that it began with, and without children.
 *
 * What needs another world (closed standard descriptors, another user, a signal state) runs in a
 * forked copy. Nothing waits for a time: a call that hangs is killed by a timer of the whole
 * program.
 */
#ifndef SOCKETMASTER_OS_POSIX_WORLD_H
#define SOCKETMASTER_OS_POSIX_WORLD_H

#include "os_posix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WATCHDOG_SECONDS = 300,
    SOON_MS = 30000,
    TEXT_MAX = 4096,
    NOBODY = 65534,
};

static struct os os;
static char area[] = "/tmp/test_os_posix.XXXXXX"; /* a directory of our own */
static size_t open_before;

static inline size_t open_count(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static inline const char *in_area(const char *name)
{
    static char paths[4][TEXT_MAX];
    static size_t next;
    char *path = paths[next++ % 4];
    assert_in_range(snprintf(path, TEXT_MAX, "%s/%s", area, name), 1, TEXT_MAX - 1);
    return path;
}

static inline const char *make_file(const char *name, const char *content, mode_t mode)
{
    const char *path = in_area(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static inline bool soon(int fd, short events)
{
    struct pollfd asked = {.fd = fd, .events = events};
    return poll(&asked, 1, SOON_MS) == 1;
}

/* Everything up to the end, as a string. */
static inline size_t read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < size - 1) {
        assert_true(soon(fd, POLLIN));
        got = os.read(&os, fd, text + used, size - 1 - used);
        assert_true(got >= 0);
        used += (size_t)got;
    }
    text[used] = '\0';
    return used;
}

static inline struct os_address unix_address(const char *path)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *local = (void *)&address.address;
    local->sun_family = AF_UNIX;
    assert_true(strlen(path) < sizeof local->sun_path);
    strcpy(local->sun_path, path);
    return address;
}

/* In a forked copy: a check that ends the copy's body with a complaint. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* Runs `body` in a copy of this process; 0 from it is success. */
static inline void in_copy(int (*body)(const void *), const void *argument)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(argument));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static inline bool signal_is_blocked(int signal)
{
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    return (mask >> (signal - 1) & 1) != 0;
}

static inline int before_each(void **state)
{
    (void)state;
    open_before = open_count();
    return os.signals_block(&os); /* a test that fails jumps out and loses a part of the mask */
}

static inline void area_empty(void)
{
    DIR *directory = opendir(area);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        (void)unlinkat(dirfd(directory), entry->d_name,
            entry->d_type == DT_DIR ? AT_REMOVEDIR : 0); /* not "." and ".." */
    closedir(directory);
}

static inline int after_each(void **state)
{
    int status;
    (void)state;
    area_empty();
    assert_int_equal(open_count(), open_before);
    assert_int_equal(os.reap(&os, &status), -ECHILD);
    return 0;
}

static inline int before_all(void **state)
{
    (void)state;
    void (*entries[sizeof os / sizeof(void (*)(void))])(void);
    os_posix_init(&os);
    memcpy(entries, &os, sizeof os);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        assert_non_null(entries[i]);
    assert_int_equal(os.process_id(&os), getpid());
    assert_int_equal(os.user_id(&os), geteuid());
    assert_non_null(mkdtemp(area));
    return 0;
}

static inline int after_all(void **state)
{
    (void)state;
    return rmdir(area);
}

/* A timer that cannot be blocked, for a call that waits although it must not. */
static inline void watch_over(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value.tv_sec = WATCHDOG_SECONDS};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        timer_settime(timer, 0, &when, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before_each, after_each)

/* What main begins with, whichever tests it has. */
static inline void before_main(void)
{
    setenv("TZ", "TEST-3", 1);
    for (int fd = 3; fd < 256; fd++)
        close(fd); /* so that the numbers are known, whoever started this */
    watch_over();
}

#endif
