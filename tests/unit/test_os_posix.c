/*
 * Tests of os_posix against the real kernel: this process, signals, workers.
 */
#include "os_posix_world.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { MOVES_MAX = 8 };

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
    EXPECT(os.pipe_open(&os, ends) == 0 && ends[0] >= 3 && ends[1] >= 3);
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

/* --- the limit of descriptors --- */

enum { SOFT = 200, HARD = 300, CHANGED = 250 };

static int body_limit(const void *argument)
{
    const rlim_t *changed = argument; /* from outside, after the seal; 0: not */
    struct rlimit limit = {SOFT, HARD};
    rlim_t expected = *changed != 0 ? *changed : SOFT;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(os.descriptors_seal(&os) == 0);
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(limit.rlim_cur == HARD && limit.rlim_max == HARD);
    limit.rlim_cur = *changed;
    if (*changed != 0)
        EXPECT(prlimit(getpid(), RLIMIT_NOFILE, &limit, NULL) == 0);
    static const char *const candidates[] = {"/bin/sh", NULL};
    static const char *const environment[] = {NULL};
    char script[TEXT_MAX];
    snprintf(script, sizeof script, "test \"$(ulimit -Sn) $(ulimit -Hn)\" = '%u %u'",
        (unsigned)expected, HARD);
    const char *arguments[] = {"sh", "-c", script, NULL};
    int report[2], status = -1;
    siginfo_t ended;
    EXPECT(os.pipe_open(&os, report) == 0);
    pid_t pid = os.spawn(&os, &(struct os_spawn){.report = report[1],
                                  .candidates = candidates,
                                  .arguments = (char *const *)arguments,
                                  .environment = (char *const *)environment});
    EXPECT(pid > 0 && waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) == 0);
    EXPECT(os.reap(&os, &status) == pid && status == 0);
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(limit.rlim_cur == (*changed != 0 ? *changed : HARD));
    return 0;
}

/* Rules: E7 I11 */
static void test_workers_get_the_limit_of_before(void **state)
{
    static const rlim_t changes[] = {0, CHANGED, SOFT};
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        in_copy(body_limit, &changes[i]);
}

/* --- signals --- */

static const int signals_left_open[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGTSTP, SIGCONT, SIGKILL, SIGSTOP};

static bool is_left_open(int signal)
{
    for (size_t i = 0; i < sizeof signals_left_open / sizeof signals_left_open[0]; i++)
        if (signals_left_open[i] == signal)
            return true;
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
    while ((count = os.signals_read(&os, fd, taken, 8)) > 0)
        for (int i = 0; i < count; i++)
            seen[taken[i]] = true;
    EXPECT(count == -EAGAIN);
    for (int signal = 1; signal < 64; signal++)
        EXPECT(seen[signal] == (!is_left_open(signal) && signal != SIGPIPE && signal != SIGXFSZ));
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
    for (int signal = 1; signal < 64; signal++)
        if (signal != 32 && signal != 33 && signal != SIGKILL && signal != SIGSTOP)
            EXPECT(sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
    EXPECT(os.signals_open(&os) >= 0);
    for (int signal = 1; signal < 64; signal++)
        if (sigaction(signal, NULL, &action) == 0)
            EXPECT(action.sa_handler == SIG_DFL);
    return 0;
}

/* Rules: E7 G2 */
static void test_signals_are_at_their_default(void **state)
{
    (void)state;
    in_copy(body_signals_default, NULL);
}

static int body_pipe_blocked(const void *argument)
{
    struct sigaction action, before;
    sigset_t blocked;
    int ends[2];
    (void)argument;
    EXPECT(sigaction(SIGHUP, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
    EXPECT(signal(SIGPIPE, SIG_DFL) != SIG_ERR && sigaction(SIGINT, NULL, &before) == 0);
    EXPECT(pipe(ends) == 0 && close(ends[0]) == 0);
    EXPECT(sigemptyset(&blocked) == 0 && sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
    EXPECT(os.signals_block_pipe(&os) == 0);
    EXPECT(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    EXPECT(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    for (int signal = 1; signal < 32; signal++)
        EXPECT(sigismember(&blocked, signal) == (signal == SIGPIPE));
    EXPECT(sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
    EXPECT(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == before.sa_handler);
    return 0;
}

/* Rules: K5 */
static void test_one_signal_is_blocked_and_no_other(void **state)
{
    (void)state;
    in_copy(body_pipe_blocked, NULL);
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
    assert_int_equal(os.pipe_open(&os, start->report), 0);
    assert_int_equal(os.pipe_open(&os, start->output), 0);
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
    struct os_report announced;
    start_run(start);
    assert_int_equal(read_all(start->report[0], report, sizeof report), sizeof announced);
    memcpy(&announced, report, sizeof announced);
    assert_int_equal(announced.step, OS_STEP_NONE);
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
    size_t told = read_all(start->report[0], text, sizeof text);
    memcpy(&report, text + told - sizeof report, sizeof report);
    /* Before exec, and only there, it says that all was well so far. */
    assert_int_equal(told, (report.step == OS_STEP_EXECUTE ? 2 : 1) * sizeof report);
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
    assert_int_equal(sscanf(strstr(said, "(sh)"), "(sh) %*c %*d %d", &group), 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clocks),
        TEST(test_seal),
        TEST(test_nothing_below_3),
        TEST(test_workers_get_the_limit_of_before),
        TEST(test_signals_are_read),
        TEST(test_signals_are_at_their_default),
        TEST(test_one_signal_is_blocked_and_no_other),
        TEST(test_worker_signals_and_group),
        TEST(test_worker_descriptors),
        TEST(test_worker_pid_and_directory),
        TEST(test_worker_account),
        TEST(test_worker_failures),
        TEST(test_worker_candidates),
        TEST(test_reap_and_kill),
    };
    before_main();
    return cmocka_run_group_tests_name("os_posix", tests, before_all, after_all);
}
