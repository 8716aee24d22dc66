/*
 * Tests of os_posix, against the real kernel. Each test starts and ends with the same open
 * descriptors and without children. What needs another world (closed standard descriptors, another
 * user, a signal state) runs in a forked copy. Nothing waits for a time: a copy that hangs is
 * killed by a timer of the whole program.
 */
#include "os_posix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum {
    WATCHDOG_SECONDS = 300,
    SOON_MS = 30000,
    TEXT_MAX = 4096,
    MOVES_MAX = 8,
    NOBODY = 65534,
};

static struct os os;
static char area[] = "/tmp/test_os_posix.XXXXXX"; /* a directory of our own */
static size_t open_before;

/* --- helpers --- */

static size_t open_count(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static const char *in_area(const char *name)
{
    static char paths[4][TEXT_MAX];
    static size_t next;
    char *path = paths[next++ % 4];
    assert_in_range(snprintf(path, TEXT_MAX, "%s/%s", area, name), 1, TEXT_MAX - 1);
    return path;
}

static const char *make_file(const char *name, const char *content, mode_t mode)
{
    const char *path = in_area(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static bool soon(int fd, short events)
{
    struct pollfd asked = {.fd = fd, .events = events};
    return poll(&asked, 1, SOON_MS) == 1;
}

/* Everything up to the end, as a string. */
static size_t read_all(int fd, char *text, size_t size)
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

static struct os_address unix_address(const char *path)
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
static void in_copy(int (*body)(const void *), const void *argument)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(argument));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool signal_is_blocked(int signal)
{
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    return (mask >> (signal - 1) & 1) != 0;
}

static int before_each(void **state)
{
    (void)state;
    open_before = open_count();
    return os.signals_block(&os); /* a test that fails jumps out and loses a part of the mask */
}

static void area_empty(void)
{
    DIR *directory = opendir(area);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        (void)unlinkat(dirfd(directory), entry->d_name,
            entry->d_type == DT_DIR ? AT_REMOVEDIR : 0); /* not "." and ".." */
    closedir(directory);
}

static int after_each(void **state)
{
    int status;
    (void)state;
    area_empty();
    assert_int_equal(open_count(), open_before);
    assert_int_equal(os.reap(&os, &status), -ECHILD);
    return 0;
}

/* --- time --- */

/* Rules: O1 R3 */
static void test_clocks(void **state)
{
    struct os_time now;
    struct tm local;
    (void)state;
    uint64_t first = os.clock_ms(&os);
    os.pause_ms(&os, 1);
    assert_true(os.clock_ms(&os) > first);
    os.wall_clock(&os, &now);
    assert_in_range(now.nanoseconds, 0, 999999999);
    assert_true(now.seconds > 1700000000);
    os.local_time(&os, 86400, &local); /* main has set a zone three hours ahead */
    assert_int_equal(local.tm_mday, 2);
    assert_int_equal(local.tm_hour, 3);
    os.local_time(&os, INT64_MAX, &local);
    assert_int_equal(local.tm_year, 0);
}

/* --- this process --- */

static bool is_null(int fd)
{
    struct stat one;
    struct stat other;
    return fstat(fd, &one) == 0 && stat("/dev/null", &other) == 0 && one.st_rdev == other.st_rdev;
}

/* `argument` names the standard descriptors that are closed before. */
static int body_seal(const void *argument)
{
    const char *closed = argument;
    EXPECT(dup2(open(area, O_RDONLY | O_DIRECTORY), 40) == 40);
    for (const char *at = closed; *at != '\0'; at++)
        close(*at - '0');
    EXPECT(os.descriptors_seal(&os) == 0);
    for (int fd = 0; fd < 3; fd++) {
        EXPECT(fcntl(fd, F_GETFD) == 0);
        EXPECT(strchr(closed, '0' + fd) == NULL || is_null(fd));
    }
    EXPECT(fcntl(40, F_GETFD) == FD_CLOEXEC);
    return 0;
}

/* The same on a system that refuses close_range(2), as old container runtimes do. */
static int body_seal_refused(const void *argument)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
    EXPECT(close_range(100, 100, 0) < 0 && errno == ENOSYS);
    return body_seal(argument);
}

/* Rules: E1 E7 */
static void test_seal(void **state)
{
    (void)state;
    static const char *const closed[] = {"", "0", "1", "2", "01", "12", "02", "012"};
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        in_copy(body_seal, closed[i]);
        in_copy(body_seal_refused, closed[i]);
    }
}

/* With the standard descriptors closed, what is opened must not take their places. */
static int body_above_standard(const void *argument)
{
    int ends[2];
    struct os_output output;
    (void)argument;
    EXPECT(mkfifo(in_area("broken"), 0600) == 0 || errno == EEXIST);
    int both = open(in_area("broken"), O_RDWR);
    int broken = open(in_area("broken"), O_WRONLY);
    EXPECT(broken >= 3);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    EXPECT(os.null_open(&os) >= 3);
    EXPECT(os.watch_open(&os) >= 3);
    EXPECT(os.duplicate(&os, broken) >= 3);
    EXPECT(os.socket_open(&os, AF_UNIX, SOCK_STREAM) >= 3);
    EXPECT(os.file_pin(&os, area) >= 3);
    EXPECT(os.directory_lock(&os, area) >= 3);
    EXPECT(os.signals_open(&os) >= 3);
    EXPECT(os.pipe_open(&os, ends, 0) == 0 && ends[0] >= 3 && ends[1] >= 3);
    EXPECT(os.output_open(&os, broken, &output) == 0 && output.kind == OS_OUTPUT_REOPENED);
    EXPECT(output.fd >= 3);
    os.output_close(&os, &output);
    close(both);
    EXPECT(os.output_open(&os, broken, &output) == 0 && output.kind == OS_OUTPUT_SPLICED);
    EXPECT(output.relay[0] >= 3 && output.relay[1] >= 3);
    EXPECT(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0);
    return 0;
}

/* Rules: E1 */
static void test_nothing_below_3(void **state)
{
    (void)state;
    in_copy(body_above_standard, NULL);
}

/* --- signals --- */

static const int signals_left_open[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGTSTP, SIGCONT, SIGKILL, SIGSTOP};

static bool is_left_open(int signal)
{
    for (size_t i = 0; i < sizeof signals_left_open / sizeof signals_left_open[0]; i++) {
        if (signals_left_open[i] == signal)
            return true;
    }
    return false;
}

static int body_signals(const void *argument)
{
    bool seen[65] = {false};
    int taken[8];
    int count;
    (void)argument;
    int fd = os.signals_open(&os);
    EXPECT(fd >= 3 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    EXPECT(os.signals_read(&os, fd, taken, 8) == -EAGAIN);
    for (int signal = 1; signal < 64; signal++) { /* valgrind keeps 64 to itself */
        EXPECT(signal_is_blocked(signal) != is_left_open(signal));
        if (!is_left_open(signal))
            EXPECT(kill(getpid(), signal) == 0);
    }
    while ((count = os.signals_read(&os, fd, taken, 8)) > 0) {
        for (int i = 0; i < count; i++)
            seen[taken[i]] = true;
    }
    EXPECT(count == -EAGAIN);
    for (int signal = 1; signal < 64; signal++)
        EXPECT(seen[signal] == (!is_left_open(signal) && signal != SIGPIPE));
    return 0;
}

/* Rules: G1 G2 G3 */
static void test_signals_are_read(void **state)
{
    (void)state;
    in_copy(body_signals, NULL);
}

static int body_signals_default(const void *argument)
{
    struct sigaction action;
    (void)argument;
    for (int signal = 1; signal < 64; signal++) {
        if (signal != 32 && signal != 33 && signal != SIGKILL && signal != SIGSTOP)
            EXPECT(sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
    }
    EXPECT(os.signals_open(&os) >= 0);
    for (int signal = 1; signal < 64; signal++) {
        if (sigaction(signal, NULL, &action) == 0)
            EXPECT(action.sa_handler == SIG_DFL);
    }
    return 0;
}

/* Rules: E7 G2 */
static void test_signals_are_at_their_default(void **state)
{
    (void)state;
    in_copy(body_signals_default, NULL);
}

/* --- workers --- */

/* One start, as tests begin with it; they change what they are about. */
struct start {
    struct os_move moves[MOVES_MAX];
    const char *candidates[4];
    const char *arguments[4];
    const char *environment[3];
    struct os_spawn plan;
    int report[2];
    int output[2];
    pid_t pid;
};

/* The worker is `/bin/sh -c script`, its standard output is ours to read, and nothing else of it is
 * known. `report` is where the pipe is found in the end; 0: where it is anyway. */
static void start_prepare(struct start *start, const char *script, int report)
{
    *start = (struct start){
        .candidates = {"/bin/sh"},
        .arguments = {"sh", "-c", script},
        .environment = {"PATH=/usr/bin:/bin"},
    };
    assert_int_equal(os.pipe_open(&os, start->report, 0), 0);
    assert_int_equal(os.pipe_open(&os, start->output, 0), 0);
    start->moves[0] = (struct os_move){start->output[1], 1, true};
    start->moves[1] =
        (struct os_move){start->report[1], report > 0 ? report : start->report[1], false};
    start->plan = (struct os_spawn){
        .moves = start->moves,
        .move_count = 2,
        .report = start->moves[1].to,
        .candidates = start->candidates,
        .arguments = (char *const *)start->arguments,
        .environment = (char *const *)start->environment,
    };
}

static void start_run(struct start *start)
{
    start->pid = os.spawn(&os, &start->plan);
    assert_true(start->pid > 0);
    os.close(&os, start->report[1]);
    os.close(&os, start->output[1]);
}

/* Waits for the end; returns the wait status. */
static int start_end(struct start *start)
{
    int status = -1;
    siginfo_t ended;
    assert_int_equal(waitid(P_PID, (id_t)start->pid, &ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(os.reap(&os, &status), start->pid);
    os.close(&os, start->report[0]);
    os.close(&os, start->output[0]);
    return status;
}

/* A start that must succeed: what the worker wrote, without the last newline. */
static const char *start_output(struct start *start)
{
    static char text[TEXT_MAX];
    char report[TEXT_MAX];
    start_run(start);
    assert_int_equal(read_all(start->report[0], report, sizeof report), 0);
    size_t length = read_all(start->output[0], text, sizeof text);
    assert_int_equal(start_end(start), 0);
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    return text;
}

/* A start that must fail. */
static struct os_report start_failure(struct start *start)
{
    char text[TEXT_MAX];
    struct os_report report;
    start_run(start);
    assert_int_equal(read_all(start->report[0], text, sizeof text), sizeof report);
    memcpy(&report, text, sizeof report);
    assert_int_equal(read_all(start->output[0], text, sizeof text), 0);
    assert_int_equal(start_end(start), 127 << 8);
    return report;
}

/* Rules: E7 G5 */
static void test_worker_signals_and_group(void **state)
{
    struct start start;
    int group = 0;
    (void)state;
    /* What the test was started with is as a careless starter leaves it; all is blocked by main. */
    sighandler_t hup = signal(SIGHUP, SIG_IGN);
    sighandler_t broken = signal(SIGPIPE, SIG_IGN);
    start_prepare(&start,
        "while read -r line; do case $line in Sig[BIC]*|ShdPnd*) echo $line;; "
        "esac; done </proc/self/status; cat /proc/$$/stat",
        0);
    const char *said = start_output(&start);
    signal(SIGHUP, hup);
    signal(SIGPIPE, broken);
    assert_non_null(strstr(said, "ShdPnd: 0000000000000000"));
    assert_non_null(strstr(said, "SigBlk: 0000000000000000"));
    assert_non_null(strstr(said, "SigIgn: 0000000000000000"));
    assert_int_equal(sscanf(strstr(said, "(sh)") - 8, "%*[^(](sh) %*c %*d %d", &group), 1);
    assert_int_equal(group, start.pid);
}

/* Rules: E1 */
static void test_worker_descriptors(void **state)
{
    static const struct {
        const char *what;
        struct os_move moves[4]; /* of the pipes "A" in 3 and "B" in 4 */
        size_t count;
        const char *script;
        const char *expected;
    } cases[] = {
        {"as they are", {{3, 3, true}, {4, 4, true}}, 2, "cat <&3; cat <&4", "AB"},
        {"swapped", {{3, 9, false}, {4, 3, true}, {9, 4, true}}, 3, "cat <&3; cat <&4", "BA"},
        {"twice", {{3, 5, true}, {4, 3, true}}, 2, "cat <&3; cat <&5", "BA"},
        {"one kept open", {{3, 3, true}}, 1, "echo /proc/self/fd/*",
            "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 /proc/self/fd/4"},
        {"moves on the way", {{3, 9, false}, {9, 8, false}}, 2, "echo /proc/self/fd/*",
            "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct start start;
        int named[2][2];
        for (size_t n = 0; n < 2; n++) {
            assert_int_equal(pipe2(named[n], O_CLOEXEC), 0);
            assert_int_equal(write(named[n][1], n == 0 ? "A" : "B", 1), 1);
            close(named[n][1]);
        }
        assert_int_equal(named[0][0], 3);
        assert_int_equal(named[1][0], 4);
        start_prepare(&start, cases[i].script, 0);
        for (size_t n = 0; n < cases[i].count; n++)
            start.moves[start.plan.move_count++] = cases[i].moves[n];
        const char *said = start_output(&start);
        if (strcmp(said, cases[i].expected) != 0)
            fail_msg("%s: %s, not %s", cases[i].what, said, cases[i].expected);
        close(3);
        close(4);
    }
}

/* Rules: E3 E9 */
static void test_worker_pid_and_directory(void **state)
{
    struct start start;
    char variable[] = "LISTEN_PID=0000000000";
    char expected[TEXT_MAX];
    (void)state;
    start_prepare(&start, "echo $LISTEN_PID $$; pwd", 0);
    start.environment[1] = variable;
    start.plan.pid_gap = strchr(variable, '=') + 1;
    start.plan.directory = area;
    const char *said = start_output(&start);
    snprintf(expected, sizeof expected, "%d %d\n%s", (int)start.pid, (int)start.pid, area);
    assert_string_equal(said, expected);
    assert_string_equal(variable, "LISTEN_PID=0000000000");
}

/* Rules: E8 */
static void test_worker_account(void **state)
{
    struct start start;
    static struct os_user account;
    (void)state;
    if (geteuid() != 0)
        skip();
    account = (struct os_user){.uid = NOBODY, .gid = 12, .groups = {12, 34}, .group_count = 2};
    start_prepare(&start,
        "id -u; id -g; id -G; grep -c 'Cap[PEA].*0000000000000000$' "
        "/proc/self/status",
        0);
    start.plan.account = &account;
    assert_string_equal(start_output(&start), "65534\n12\n12 34\n3");
}

/* Rules: E8 E10 R7 C6 */
static void test_worker_failures(void **state)
{
    const char *script = make_file("script", "no program at all\n", 0755);
    const char *text = make_file("text", "#!/bin/true\n", 0644);
    static struct os_user nobody = {.uid = NOBODY, .gid = NOBODY};
    static struct os_user no_group = {.uid = NOBODY, .gid = (gid_t)-1};
    static struct os_user no_user = {.uid = (uid_t)-1, .gid = 0};
    static struct os_user no_groups = {.uid = NOBODY, .groups = {(gid_t)-1}, .group_count = 1};
    const struct {
        const char *what;
        const char *candidates[3];
        const char *directory;
        const struct os_user *account;
        struct os_move moves[2];
        size_t move_count;
        int step;
        int error;
    } cases[] = {
        {"nothing there", {"/none/a"}, .step = OS_STEP_EXECUTE, .error = ENOENT},
        {"no candidate", {NULL}, .step = OS_STEP_EXECUTE, .error = ENOENT},
        {"denied comes first", {text, "/none"}, .step = OS_STEP_EXECUTE, .error = EACCES},
        {"under a file", {"/etc/passwd/a"}, .step = OS_STEP_EXECUTE, .error = ENOTDIR},
        {"a directory", {"/etc"}, .step = OS_STEP_EXECUTE, .error = EACCES},
        {"no format: not further", {script, "/bin/sh"}, .step = OS_STEP_EXECUTE, .error = ENOEXEC},
        {"no directory", {"/bin/sh"}, "/none", .step = OS_STEP_DIRECTORY, .error = ENOENT},
        {"no descriptor", {"/bin/sh"}, .moves = {{99, 5, true}}, .move_count = 1,
            .step = OS_STEP_DESCRIPTOR, .error = EBADF},
        {"none to keep", {"/bin/sh"}, .moves = {{99, 99, true}}, .move_count = 1,
            .step = OS_STEP_DESCRIPTOR, .error = EBADF},
        {"no such group", {"/bin/sh"}, .account = &no_group, .step = OS_STEP_GROUP,
            .error = EINVAL},
        {"too many groups", {"/bin/sh"}, .account = &no_groups, .step = OS_STEP_GROUPS,
            .error = EINVAL},
        {"no such user", {"/bin/sh"}, .account = &no_user, .step = OS_STEP_USER, .error = EINVAL},
        {"a directory not ours", {"/bin/sh"}, "/root", &nobody, .step = OS_STEP_DIRECTORY,
            .error = EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].account != NULL && geteuid() != 0)
            continue;
        /* The report's pipe may stand still, be moved before the failure, or be due after it. */
        for (int way = 0; way < 3; way++) {
            struct start start;
            start_prepare(&start, "echo started", way > 0 ? 30 : 0);
            memcpy(start.candidates, cases[i].candidates, sizeof cases[i].candidates);
            start.plan.directory = cases[i].directory;
            start.plan.account = cases[i].account;
            size_t at = way == 2 ? 0 : 2;
            for (size_t n = 0; n < cases[i].move_count; n++) {
                memmove(&start.moves[at + 1], &start.moves[at],
                    (start.plan.move_count - at) * sizeof start.moves[0]);
                start.moves[at] = cases[i].moves[n];
                start.plan.move_count++;
            }
            struct os_report report = start_failure(&start);
            if (report.step != cases[i].step || report.error != cases[i].error)
                fail_msg("%s (%d): step %d, %s", cases[i].what, way, report.step,
                    strerror(report.error));
        }
    }
}

/* Rules: E10 */
static void test_worker_candidates(void **state)
{
    struct start start;
    (void)state;
    start_prepare(&start, "echo found", 0);
    start.candidates[0] = "/none/sh";
    start.candidates[1] = "/etc/passwd"; /* no rights to execute */
    start.candidates[2] = "/bin/sh";
    assert_string_equal(start_output(&start), "found");
}

/* Rules: G2 G4 G5 */
static void test_reap_and_kill(void **state)
{
    struct start start;
    int status;
    (void)state;
    assert_int_equal(os.reap(&os, &status), -ECHILD);
    /* A grandchild that outlives its parent keeps the output open; a signal to the group ends it.
     */
    for (int group = 0; group < 2; group++) {
        char line[8];
        start_prepare(
            &start, group == 1 ? "sleep 600 & echo up; wait" : "echo up; exec sleep 600", 0);
        start_run(&start);
        assert_int_equal(getpgid(start.pid), start.pid);
        assert_true(soon(start.output[0], POLLIN));
        assert_int_equal(os.read(&os, start.output[0], line, sizeof line), 3);
        assert_int_equal(os.reap(&os, &status), 0);
        if (group == 1)
            assert_int_equal(os.kill_group(&os, start.pid, SIGTERM), 0);
        else
            assert_int_equal(os.kill_process(&os, start.pid, SIGTERM), 0);
        assert_int_equal(read_all(start.output[0], line, sizeof line), 0);
        assert_int_equal(start_end(&start), SIGTERM);
        assert_int_equal(os.kill_process(&os, start.pid, SIGTERM), -ESRCH);
    }
    /* Signal 0 does nothing: should one of these get through, nobody is hurt. */
    assert_int_equal(os.kill_process(&os, 0, 0), -EINVAL);
    assert_int_equal(os.kill_process(&os, -1, 0), -EINVAL);
    assert_int_equal(os.kill_group(&os, 0, 0), -EINVAL);
    assert_int_equal(os.kill_group(&os, 1, 0), -EINVAL);
    assert_int_equal(os.kill_group(&os, -getpid(), 0), -EINVAL);
}

/* --- descriptors and waiting --- */

/* Rules: O3 E1 */
static void test_pipes(void **state)
{
    int ends[2];
    char bytes[8];
    (void)state;
    assert_int_equal(os.pipe_open(&os, ends, 256 * 1024), 0);
    assert_int_equal(fcntl(ends[0], F_GETPIPE_SZ), 256 * 1024);
    assert_int_equal(os.is_nonblocking(&os, ends[0]), 1);
    assert_int_equal(os.is_nonblocking(&os, ends[1]), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), -EAGAIN);
    int copy = os.duplicate(&os, ends[1]);
    assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(copy, "abc", 3), 3);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), 3);
    assert_int_equal(os.set_nonblocking(&os, copy), 0);
    assert_int_equal(os.is_nonblocking(&os, ends[1]), 1);
    assert_int_equal(os.close(&os, copy), 0);
    assert_int_equal(os.close(&os, ends[1]), 0);
    assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), 0);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.is_nonblocking(&os, 99), -EBADF);
    assert_int_equal(os.set_nonblocking(&os, 99), -EBADF);
    assert_int_equal(os.duplicate(&os, 99), -EBADF);
    assert_int_equal(os.pipe_open(&os, ends, SIZE_MAX), 0); /* more than the kernel gives */
    assert_int_equal(os.close(&os, ends[0]) + os.close(&os, ends[1]), 0);
}

/* Rules: O3 O4 */
static void test_watching(void **state)
{
    struct os_ready ready[4];
    int ends[2];
    (void)state;
    int set = os.watch_open(&os);
    int outer = os.watch_open(&os);
    assert_int_equal(os.pipe_open(&os, ends, 0), 0);
    assert_int_equal(os.watch_add(&os, set, ends[0], UINT64_MAX - 1, true, false), 0);
    assert_int_equal(os.watch_add(&os, outer, set, 5, true, false), 0);
    assert_int_equal(os.watch_wait(&os, outer, ready, 4, 0), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int again = 0; again < 2; again++) { /* it is told until somebody reads */
        assert_int_equal(os.watch_wait(&os, outer, ready, 4, -1), 1);
        assert_int_equal(ready[0].token, 5);
        assert_int_equal(os.watch_wait(&os, set, ready, 4, INT64_MAX), 1);
        assert_true(ready[0].token == UINT64_MAX - 1 && ready[0].readable && !ready[0].writable);
    }
    assert_int_equal(os.watch_add(&os, set, ends[1], 7, false, true), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 1, 0), 1);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 2);
    assert_int_equal(os.watch_remove(&os, set, ends[1]), 0);
    assert_int_equal(os.watch_remove(&os, set, ends[1]), -ENOENT);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 1);
    /* Its end, and then a pipe without a reader. */
    assert_int_equal(os.read(&os, ends[0], &(char){0}, 1), 1);
    int writer = os.duplicate(&os, ends[1]);
    assert_int_equal(os.close(&os, ends[1]) + os.close(&os, writer), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, -1), 1);
    assert_true(ready[0].readable);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 0);
    assert_int_equal(os.pipe_open(&os, ends, 0), 0);
    assert_int_equal(os.set_nonblocking(&os, ends[1]), 0);
    while (write(ends[1], area, sizeof area) > 0)
        continue;
    assert_int_equal(os.watch_add(&os, set, ends[1], 8, false, true), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, 0), 0);
    assert_int_equal(os.close(&os, ends[0]), 0);
    assert_int_equal(os.watch_wait(&os, set, ready, 4, -1), 1);
    assert_true(ready[0].token == 8 && ready[0].writable);
    /* What cannot be watched. */
    int file = open(make_file("plain", "", 0600), O_RDWR | O_CLOEXEC);
    assert_int_equal(os.watch_add(&os, set, file, 1, true, true), -EPERM);
    assert_int_equal(os.watch_add(&os, set, outer, 1, false, false), -EINVAL);
    assert_int_equal(os.close(&os, file) + os.close(&os, ends[1]), 0);
    assert_int_equal(os.close(&os, outer) + os.close(&os, set), 0);
}

static void nothing(int signal)
{
    (void)signal;
}

/* Interrupts the parent as soon as it sleeps, three times; then writes a byte to `fd`. */
static int disturb(pid_t parent, int fd)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)parent);
    for (int times = 0; times < 3;) {
        int stat_fd = open(path, O_RDONLY);
        ssize_t got = read(stat_fd, text, sizeof text - 1);
        close(stat_fd);
        if (got <= 0)
            return 1;
        text[got] = '\0';
        if (strncmp(strrchr(text, ')'), ") S", 3) == 0) {
            kill(parent, SIGCONT);
            times++;
        }
    }
    return write(fd, "x", 1) == 1 ? 0 : 1;
}

static int body_interrupted(const void *argument)
{
    struct os_ready ready;
    int ends[2];
    int status;
    (void)argument;
    /* SIGCONT is the one signal that the master cannot block and that interrupts. */
    EXPECT(sigaction(SIGCONT, &(struct sigaction){.sa_handler = nothing}, NULL) == 0);
    int set = os.watch_open(&os);
    for (int wait = 0; wait < 2; wait++) {
        EXPECT(pipe(ends) == 0);
        EXPECT(os.watch_add(&os, set, ends[0], 1, true, false) == 0);
        pid_t parent = getpid();
        pid_t pid = fork();
        EXPECT(pid >= 0);
        if (pid == 0)
            _exit(disturb(parent, ends[1]));
        int result = 0;
        while (wait == 1 && result == 0)
            result = os.watch_wait(&os, set, &ready, 1, -1);
        EXPECT(wait == 0 || result == 1);
        char byte;
        EXPECT(os.read(&os, ends[0], &byte, 1) == 1);
        EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}

/* Rules: G1 O2 */
static void test_interrupted_calls(void **state)
{
    (void)state;
    in_copy(body_interrupted, NULL);
}

/* --- output --- */

/* Something to write to, with the end that reads. */
struct sink {
    int fd;
    int reader;
};

/* A fifo that had no reader when it was opened as an output, and has one since. */
static void sink_fifo(struct sink *sink)
{
    const char *path = in_area("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    int both = open(path, O_RDWR | O_CLOEXEC);
    sink->fd = open(path, O_WRONLY | O_CLOEXEC);
    sink->reader = -1;
    close(both);
}

static void sink_open(struct sink *sink, const char *what)
{
    int ends[2];
    struct termios raw;
    if (strcmp(what, "pipe") == 0) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    } else if (strcmp(what, "socket") == 0) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    } else if (strcmp(what, "terminal") == 0) {
        assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(ends[1], &raw), 0);
        cfmakeraw(&raw);
        assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
    } else {
        sink_fifo(sink);
        return;
    }
    *sink = (struct sink){.fd = ends[1], .reader = ends[0]};
}

/* Writes a pattern until nothing more is taken; then it must come out whole and in order. Returns
 * how many bytes that were, or -1 when they did not. */
static ssize_t output_fill_and_drain(struct os_output *output, int reader)
{
    char block[10000]; /* several pages, so that a part of it can be passed on */
    size_t written = 0;
    size_t seen = 0;
    ssize_t taken;
    for (;;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)((written + i) % 251);
        taken = os.output_write(&os, output, block, sizeof block);
        if (taken <= 0)
            break;
        written += (size_t)taken;
    }
    if (taken != -EAGAIN)
        return -1;
    while (seen < written) {
        if (!soon(reader, POLLIN))
            return -1;
        ssize_t got = read(reader, block, sizeof block);
        for (ssize_t i = 0; i < got; i++) {
            if (block[i] != (char)(seen++ % 251))
                return -1;
        }
        int flushed = os.output_flush(&os, output);
        if (flushed != 0 && flushed != -EAGAIN)
            return -1;
    }
    return os.output_flush(&os, output) == 0 && seen == written ? (ssize_t)written : -1;
}

/* Rules: O1 O3 */
static void test_outputs_that_are_full(void **state)
{
    static const struct {
        const char *what;
        enum os_output_kind kind;
    } cases[] = {
        {"pipe", OS_OUTPUT_REOPENED},
        {"terminal", OS_OUTPUT_REOPENED},
        {"socket", OS_OUTPUT_SOCKET},
        {"fifo without a reader", OS_OUTPUT_SPLICED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sink sink;
        struct os_output output;
        sink_open(&sink, cases[i].what);
        int flags = fcntl(sink.fd, F_GETFL);
        assert_int_equal(os.output_open(&os, sink.fd, &output), 0);
        assert_int_equal(output.kind, cases[i].kind);
        assert_int_equal(os.is_terminal(&os, sink.fd), strcmp(cases[i].what, "terminal") == 0);
        if (sink.reader < 0)
            sink.reader = open(in_area("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        for (int round = 0; round < 2; round++)
            assert_true(output_fill_and_drain(&output, sink.reader) > 0);
        assert_int_equal(fcntl(sink.fd, F_GETFL), flags);
        assert_int_equal(flags & O_NONBLOCK, 0);
        os.output_close(&os, &output);
        assert_int_equal(output.kind, OS_OUTPUT_CLOSED);
        assert_int_equal(os.output_write(&os, &output, "x", 1), -EBADF);
        assert_true(fcntl(sink.fd, F_GETFD) >= 0);
        close(sink.fd);
        close(sink.reader);
    }
}

/* Rules: O3 */
static void test_outputs_that_are_broken(void **state)
{
    static const char *const cases[] = {"pipe", "socket", "fifo with a reader for a while"};
    char block[8192] = "";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sink sink;
        struct os_output output;
        ssize_t taken = 1;
        sink_open(&sink, cases[i]);
        assert_int_equal(os.output_open(&os, sink.fd, &output), 0);
        if (sink.reader < 0)
            sink.reader = open(in_area("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        while (taken > 0)
            taken = os.output_write(&os, &output, block, sizeof block);
        assert_int_equal(taken, -EAGAIN);
        close(sink.reader);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(os.output_write(&os, &output, block, sizeof block), -EPIPE);
            assert_int_equal(output.relayed, 0);
            assert_int_equal(os.output_flush(&os, &output), 0);
        }
        os.output_close(&os, &output);
        close(sink.fd);
    }
}

/* Rules: O1 O3 */
static void test_outputs_that_never_wait(void **state)
{
    static const struct {
        const char *path;
        ssize_t result;
    } cases[] = {{"file", 5}, {"/dev/null", 5}, {"/dev/full", -ENOSPC}};
    struct os_output output;
    (void)state;
    make_file("file", "", 0600);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = cases[i].path[0] == '/' ? cases[i].path : in_area(cases[i].path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(os.output_open(&os, fd, &output), 0);
        assert_int_equal(output.kind, OS_OUTPUT_PLAIN);
        assert_int_equal(os.output_write(&os, &output, "12345", 5), cases[i].result);
        assert_int_equal(os.output_flush(&os, &output), 0);
        os.output_close(&os, &output);
        close(fd);
    }
    assert_int_equal(os.output_open(&os, 99, &output), -EBADF);
}

/* After a change of user neither a pipe nor a terminal of root can be opened anew. */
static int body_outputs_not_ours(const void *argument)
{
    const struct sink *sinks = argument;
    static const enum os_output_kind kinds[] = {OS_OUTPUT_SPLICED, OS_OUTPUT_POLLED};
    EXPECT(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    for (size_t i = 0; i < 2; i++) {
        struct os_output output;
        int flags = fcntl(sinks[i].fd, F_GETFL);
        EXPECT(os.output_open(&os, sinks[i].fd, &output) == 0);
        EXPECT(output.kind == kinds[i]);
        EXPECT(output_fill_and_drain(&output, sinks[i].reader) > 0);
        EXPECT(fcntl(sinks[i].fd, F_GETFL) == flags);
        os.output_close(&os, &output);
    }
    return 0;
}

/* Rules: O3 */
static void test_outputs_of_another_user(void **state)
{
    struct sink sinks[2];
    (void)state;
    if (geteuid() != 0)
        skip();
    sink_open(&sinks[0], "pipe");
    sink_open(&sinks[1], "terminal");
    in_copy(body_outputs_not_ours, sinks);
    for (size_t i = 0; i < 2; i++) {
        close(sinks[i].fd);
        close(sinks[i].reader);
    }
}

/* --- syslog --- */

/* Rules: O1 O3 */
static void test_datagrams(void **state)
{
    static char large[1024 * 1024];
    char text[16];
    char words[2][5] = {"even", "odd"};
    struct iovec parts[2 * OS_DATAGRAMS_MAX];
    (void)state;
    const char *path = in_area("log");
    const struct os_address address = unix_address(path);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        parts[i] = (struct iovec){.iov_base = words[i % 2], .iov_len = strlen(words[i % 2])};
    assert_int_equal(os.datagram_open(&os, path), -ENOENT);
    memset(large, 'x', 200);
    assert_int_equal(os.datagram_open(&os, large), -ENAMETOOLONG);
    int server = os.socket_open(&os, AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    assert_int_equal(os.socket_bind(&os, server, &address), 0);
    int client = os.datagram_open(&os, path);
    assert_true(client >= 3);
    assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
    int sent = 0;
    int now;
    while ((now = os.datagrams_send(&os, client, parts, OS_DATAGRAMS_MAX + 1)) > 0) {
        assert_in_range(now, 1, OS_DATAGRAMS_MAX);
        sent += now;
    }
    assert_int_equal(now, -EAGAIN);
    assert_true(sent > 1);
    for (int i = 0; i < sent; i++) {
        ssize_t got = os.read(&os, server, text, sizeof text);
        assert_true((got == 4 && memcmp(text, "even", 4) == 0) ||
                    (got == 3 && memcmp(text, "odd", 3) == 0));
    }
    assert_int_equal(os.read(&os, server, text, sizeof text), -EAGAIN);
    assert_int_equal(os.datagrams_send(&os, client, parts, 3), 3);
    parts[0] = (struct iovec){.iov_base = large, .iov_len = sizeof large};
    assert_int_equal(os.datagrams_send(&os, client, parts, 3), -EMSGSIZE);
    assert_int_equal(os.close(&os, server), 0);
    assert_int_equal(os.datagrams_send(&os, client, parts + 1, 1), -ECONNREFUSED);
    assert_int_equal(os.datagram_open(&os, path), -ECONNREFUSED);
    assert_int_equal(os.close(&os, client), 0);
}

/* --- sockets --- */

/* Rules: L1 L8 */
static void test_tcp_sockets(void **state)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (void *)&address.address;
    int value = 0;
    (void)state;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = os.socket_open(&os, AF_INET, SOCK_STREAM);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(os.socket_get(&os, fd, SOL_SOCKET, SO_REUSEADDR, &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    assert_int_equal(os.socket_listen(&os, fd, 4), 0);
    assert_int_equal(os.socket_address(&os, fd, &address), 0);
    assert_int_equal(address.length, sizeof *v4);
    assert_true(v4->sin_port != 0);
    assert_int_equal(os.is_nonblocking(&os, fd), 0);
    int other = os.socket_open(&os, AF_INET, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, other, &address), -EADDRINUSE);
    assert_int_equal(os.socket_listen(&os, area[0], 4), -EBADF);
    assert_int_equal(os.socket_address(&os, 1000, &address), -EBADF);
    assert_int_equal(os.socket_open(&os, AF_INET, 77), -EINVAL);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, 9999, &value, sizeof value), -ENOPROTOOPT);
    assert_int_equal(os.close(&os, fd) + os.close(&os, other), 0);
}

/* Rules: L7 */
static void test_unix_sockets(void **state)
{
    const struct os_address address = unix_address(in_area("sock"));
    int clients[8];
    size_t count = 0;
    int error = 0;
    (void)state;
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    int probe = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_connect(&os, probe, &address), -ECONNREFUSED);
    assert_int_equal(os.close(&os, probe), 0);
    assert_int_equal(os.socket_listen(&os, fd, 1), 0);
    while (error == 0 && count < 8) { /* nobody accepts, nobody waits */
        clients[count] = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
        error = os.socket_connect(&os, clients[count++], &address);
    }
    assert_int_equal(error, -EAGAIN);
    while (count > 0)
        assert_int_equal(os.close(&os, clients[--count]), 0);
    assert_int_equal(os.socket_connect(&os, 99, &address), -EBADF);
    assert_int_equal(os.close(&os, fd), 0);
}

/* --- files --- */

/* Rules: L7 */
static void test_files_as_they_are(void **state)
{
    static const struct {
        const char *name;
        enum os_file_kind kind;
        bool pinned;
    } cases[] = {
        {"regular", OS_FILE_REGULAR, true},
        {"directory", OS_FILE_DIRECTORY, true},
        {"fifo", OS_FILE_OTHER, true},
        {"socket", OS_FILE_SOCKET, true},
        {"link", OS_FILE_LINK, false},
        {"dangling", OS_FILE_LINK, false},
    };
    struct os_file file;
    struct os_file pinned;
    const struct os_address address = unix_address(in_area("socket"));
    (void)state;
    make_file("regular", "", 0600);
    assert_int_equal(mkdir(in_area("directory"), 0700), 0);
    assert_int_equal(mkfifo(in_area("fifo"), 0600), 0);
    assert_int_equal(symlink("regular", in_area("link")), 0);
    assert_int_equal(symlink("none", in_area("dangling")), 0);
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    assert_int_equal(os.close(&os, fd), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_area(cases[i].name);
        assert_int_equal(os.file_look(&os, path, &file), 0);
        assert_int_equal(file.kind, cases[i].kind);
        int pin = os.file_pin(&os, path);
        if (cases[i].pinned) {
            assert_int_equal(os.file_pinned_look(&os, pin, &pinned), 0);
            assert_true(pinned.kind == file.kind && pinned.device == file.device &&
                        pinned.inode == file.inode);
            assert_int_equal(os.close(&os, pin), 0);
        } else {
            assert_int_equal(pin, -ELOOP);
        }
        if (cases[i].kind != OS_FILE_DIRECTORY)
            assert_int_equal(os.file_remove(&os, path), 0);
    }
    assert_int_equal(os.file_look(&os, in_area("regular"), &file), -ENOENT);
    assert_int_equal(os.file_pin(&os, in_area("regular")), -ENOENT);
    assert_int_equal(os.file_remove(&os, in_area("regular")), -ENOENT);
    assert_int_equal(os.file_remove(&os, in_area("directory")), -EISDIR);
}

/* Rules: L7 */
static void test_a_pinned_file(void **state)
{
    struct stat status;
    struct os_file before;
    struct os_file after;
    (void)state;
    mode_t mask = os.file_mask(&os, 0077);
    assert_int_equal(os.file_mask(&os, mask), 0077);
    const struct os_address address = unix_address(in_area("pinned"));
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    int pin = os.file_pin(&os, in_area("pinned"));
    /* Before anything is changed through it: is it this file? */
    assert_int_equal(os.file_pinned_look(&os, pin, &before), 0);
    assert_int_equal(before.kind, OS_FILE_SOCKET);
    assert_int_equal(os.file_pinned_chmod(&os, pin, 0640), 0);
    assert_int_equal(stat(in_area("pinned"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(os.file_pinned_chown(&os, pin, (uid_t)-1, getgid()), 0);
    if (geteuid() == 0) {
        assert_int_equal(os.file_pinned_chown(&os, pin, NOBODY, (gid_t)-1), 0);
        assert_int_equal(stat(in_area("pinned"), &status), 0);
        assert_int_equal(status.st_uid, NOBODY);
    }
    /* As long as it is pinned nothing else gets its number. */
    assert_int_equal(os.file_remove(&os, in_area("pinned")), 0);
    for (int i = 0; i < 16; i++) {
        make_file("pinned", "", 0600);
        assert_int_equal(os.file_look(&os, in_area("pinned"), &after), 0);
        assert_true(after.device == before.device && after.inode != before.inode);
        assert_int_equal(os.file_remove(&os, in_area("pinned")), 0);
    }
    assert_int_equal(os.close(&os, pin) + os.close(&os, fd), 0);
    assert_int_equal(os.file_pinned_chmod(&os, 99, 0600), -ENOENT);
    assert_int_equal(os.file_pinned_chown(&os, 99, 0, 0), -EBADF);
    assert_int_equal(os.file_pinned_look(&os, 99, &after), -EBADF);
}

/* Rules: C6 E10 */
static void test_what_can_be_executed(void **state)
{
    static const struct {
        const char *directory;
        const char *path;
        int result;
    } cases[] = {
        {NULL, "/bin/sh", 0},
        {"/", "bin/sh", 0},
        {"/bin", "./sh", 0},
        {"/none", "/bin/sh", -ENOENT},
        {"/etc/passwd", "sh", -ENOTDIR},
        {NULL, "/etc/passwd", -EACCES},
        {NULL, "/etc", -EACCES},
        {NULL, "/none", -ENOENT},
        {NULL, "", -ENOENT},
        {NULL, "/etc/passwd/sh", -ENOTDIR},
        {"/etc", "passwd", -EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int result = os.file_executable(&os, cases[i].directory, cases[i].path);
        if (result != cases[i].result)
            fail_msg("%s: %s", cases[i].path, strerror(-result));
    }
}

/* Rules: C7 E9 L7 */
static void test_directories(void **state)
{
    char names[TEXT_MAX];
    (void)state;
    make_file("one", "1", 0600);
    make_file("other", "2", 0600);
    assert_int_equal(os.directory_writable(&os, area), 0);
    assert_int_equal(os.directory_enterable(&os, area), 0);
    assert_int_equal(os.directory_writable(&os, in_area("one")), -ENOTDIR);
    assert_int_equal(os.directory_enterable(&os, in_area("none")), -ENOENT);
    int lock = os.directory_lock(&os, area);
    assert_true(lock >= 3);
    assert_int_equal(os.directory_lock(&os, area), -EWOULDBLOCK);
    assert_int_equal(os.close(&os, lock), 0);
    lock = os.directory_lock(&os, area);
    assert_true(lock >= 3);
    assert_int_equal(os.close(&os, lock), 0);
    assert_int_equal(os.directory_lock(&os, in_area("one")), -ENOTDIR);

    assert_int_equal(os.directory_names(&os, area, names, sizeof names), 10);
    assert_true(memcmp(names, "one\0other", 10) == 0 || memcmp(names, "other\0one", 10) == 0);
    assert_int_equal(os.directory_names(&os, area, names, 10), 10);
    assert_int_equal(os.directory_names(&os, area, names, 9), -ENAMETOOLONG);
    assert_int_equal(os.directory_names(&os, in_area("none"), names, 9), -ENOENT);
    assert_int_equal(os.directory_names(&os, in_area("one"), names, 9), -ENOTDIR);
    area_empty();
    assert_int_equal(os.directory_names(&os, area, names, 0), 0);
}

/* More names than one look into the directory gives. */
/* Rules: E9 */
static void test_many_names(void **state)
{
    static char names[64 * 1024];
    char name[32];
    size_t total = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "a_variable_with_number_%d", i);
        make_file(name, "", 0600);
        total += strlen(name) + 1;
    }
    assert_int_equal(os.directory_names(&os, area, names, sizeof names), total);
    for (const char *at = names; at < names + total; at += strlen(at) + 1)
        assert_int_equal(os.file_remove(&os, in_area(at)), 0);
    assert_int_equal(os.directory_names(&os, area, names, sizeof names), 0);
}

/* Rules: E9 */
static void test_file_heads(void **state)
{
    static const struct {
        const char *name;
        ssize_t result;
    } cases[] = {
        {"file", 4},
        {"empty", 0},
        {"link", 4},
        {"fifo", -EINVAL},
        {"directory", -EINVAL},
        {"dangling", -ENOENT},
        {"none", -ENOENT},
    };
    char text[4];
    (void)state;
    make_file("file", "longer than that", 0600);
    make_file("empty", "", 0600);
    assert_int_equal(symlink("file", in_area("link")), 0);
    assert_int_equal(symlink("none", in_area("dangling")), 0);
    assert_int_equal(mkfifo(in_area("fifo"), 0600), 0);
    assert_int_equal(mkdir(in_area("directory"), 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ssize_t result = os.file_head(&os, area, cases[i].name, text, sizeof text);
        if (result != cases[i].result)
            fail_msg("%s: %zd", cases[i].name, result);
        if (result == 4)
            assert_memory_equal(text, "long", 4);
    }
    assert_int_equal(os.file_head(&os, in_area("none"), "file", text, sizeof text), -ENOENT);
}

/* --- look-ups --- */

/* Rules: L1 L3 */
static void test_network_names(void **state)
{
    struct os_address addresses[OS_ADDRESSES_MAX];
    const char *why = NULL;
    char host[INET6_ADDRSTRLEN];
    (void)state;
    assert_int_equal(
        os.host_find(&os, "127.0.0.9", AF_UNSPEC, addresses, OS_ADDRESSES_MAX, &why), 1);
    assert_int_equal(addresses[0].length, sizeof(struct sockaddr_in));
    const struct sockaddr_in *v4 = (const void *)&addresses[0].address;
    assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host), "127.0.0.9");
    assert_int_equal(v4->sin_port, 0);
    assert_int_equal(os.host_find(&os, "::1", AF_INET6, addresses, OS_ADDRESSES_MAX, &why), 1);
    assert_int_equal(addresses[0].length, sizeof(struct sockaddr_in6));
    assert_true(os.host_find(&os, "::1", AF_INET, addresses, OS_ADDRESSES_MAX, &why) < 0);
    assert_non_null(why);
    why = NULL;
    assert_true(os.host_find(&os, "no host", AF_UNSPEC, addresses, OS_ADDRESSES_MAX, &why) < 0);
    assert_non_null(why);
    const struct servent *http = getservbyname("http", "tcp");
    assert_int_equal(os.service_find(&os, "http", "tcp"), http != NULL ? 80 : -ENOENT);
    assert_int_equal(os.service_find(&os, "no service", "tcp"), -ENOENT);
    assert_true(os.interface_find(&os, "lo") > 0);
    assert_int_equal(os.interface_find(&os, "none"), -ENODEV);
}

/* Rules: E8 */
static void test_accounts(void **state)
{
    static struct os_user user;
    gid_t gid = 1;
    (void)state;
    static const char *const roots[] = {"root", "0"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(os.user_find(&os, roots[i], &user), 0);
        assert_true(user.uid == 0 && user.gid == 0 && user.group_count >= 1);
        assert_string_equal(user.login, "root");
        assert_string_equal(user.home, "/root");
        assert_int_equal(os.group_find(&os, roots[i], &gid), 0);
        assert_int_equal(gid, 0);
    }
    assert_int_equal(os.user_find(&os, "3999999", &user), 0);
    assert_true(user.uid == 3999999 && user.gid == (gid_t)-1 && user.group_count == 0);
    assert_string_equal(user.login, "3999999");
    assert_string_equal(user.home, "/");
    assert_string_equal(user.shell, "/bin/sh");
    assert_int_equal(os.group_find(&os, "3999999", &gid), 0);
    assert_int_equal(gid, 3999999);
    static const char *const unknown[] = {
        "no such", "", "-1", "4294967295", "99999999999999999999", "12x"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(os.user_find(&os, unknown[i], &user), -ENOENT);
        assert_int_equal(os.group_find(&os, unknown[i], &gid), -ENOENT);
    }
}

/* --- the program --- */

static int before_all(void **state)
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

static int after_all(void **state)
{
    (void)state;
    return rmdir(area);
}

/* A timer that cannot be blocked, for a call that waits although it must not. */
static void watch_over(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value.tv_sec = WATCHDOG_SECONDS};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        timer_settime(timer, 0, &when, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before_each, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clocks),
        TEST(test_seal),
        TEST(test_nothing_below_3),
        TEST(test_signals_are_read),
        TEST(test_signals_are_at_their_default),
        TEST(test_worker_signals_and_group),
        TEST(test_worker_descriptors),
        TEST(test_worker_pid_and_directory),
        TEST(test_worker_account),
        TEST(test_worker_failures),
        TEST(test_worker_candidates),
        TEST(test_reap_and_kill),
        TEST(test_pipes),
        TEST(test_watching),
        TEST(test_interrupted_calls),
        TEST(test_outputs_that_are_full),
        TEST(test_outputs_that_are_broken),
        TEST(test_outputs_that_never_wait),
        TEST(test_outputs_of_another_user),
        TEST(test_datagrams),
        TEST(test_tcp_sockets),
        TEST(test_unix_sockets),
        TEST(test_files_as_they_are),
        TEST(test_a_pinned_file),
        TEST(test_what_can_be_executed),
        TEST(test_directories),
        TEST(test_many_names),
        TEST(test_file_heads),
        TEST(test_network_names),
        TEST(test_accounts),
    };
    setenv("TZ", "TEST-3", 1);
    for (int fd = 3; fd < 256; fd++)
        close(fd); /* so that the numbers are known, whoever started this */
    watch_over();
    return cmocka_run_group_tests(tests, before_all, after_all);
}
