/*
 * os_posix_process: signals, the start and end of workers, and who is whose child.
 *
 * Between fork and exec only async-signal-safe calls are made. Raw system calls stand where the C
 * library does too much or too little: it keeps signals 32 and 33 to itself, and changes the ids of
 * all threads by means of signals.
 */
#include "os_posix_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* On 32-bit machines the plain numbers mean calls that cut ids to 16 bits. */
#ifdef SYS_setuid32
enum { CALL_SETUID = SYS_setuid32, CALL_SETGID = SYS_setgid32, CALL_SETGROUPS = SYS_setgroups32 };
#else
enum { CALL_SETUID = SYS_setuid, CALL_SETGID = SYS_setgid, CALL_SETGROUPS = SYS_setgroups };
#endif

enum {
    SIGNAL_MAX = 64,
    SIGNALS_BATCH = 16,
    STAT_BYTES = 256, /* of /proc/PID/stat: beyond the parent's pid, however long the name */
};

/* --- signals --- */

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))

/* Never blocked: what the processor raises (blocked, it would kill without a core or loop), and
 * what makes ^Z and fg work. */
static const uint64_t SIGNALS_OPEN =
    SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) |
    SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGSYS) | SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGTSTP) |
    SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP);

static int signals_mask(uint64_t blocked)
{
    return os_posix_result(
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked));
}

/* For a signal that cannot be changed the kernel refuses: then it is at its default already. */
static void signals_reset(void)
{
    /* Zero bytes are the default action in the kernel's struct on every machine, whatever its
     * layout; this is as large as any. */
    static const uint64_t default_action[8];
    for (int signal = 1; signal <= SIGNAL_MAX; signal++)
        (void)syscall(SYS_rt_sigaction, signal, default_action, NULL, sizeof(uint64_t));
}

static int posix_signals_block(struct os *os)
{
    return signals_mask(~SIGNALS_OPEN);
}

static int posix_signals_block_pipe(struct os *os)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    return os_posix_result(sigprocmask(SIG_BLOCK, &pipe, NULL));
}

static int posix_signals_open(struct os *os)
{
    signals_reset();
    /* These stay pending for ever: what they say, the write that failed says too. Taken, each
     * failed write of the log would wake up the loop to write a line about it. */
    uint64_t taken = ~(SIGNALS_OPEN | SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGXFSZ));
    return os_posix_opened(
        syscall(SYS_signalfd4, -1, &taken, sizeof taken, SFD_CLOEXEC | SFD_NONBLOCK));
}

static int posix_signals_read(struct os *os, int fd, int *signals, size_t count)
{
    struct signalfd_siginfo taken[SIGNALS_BATCH];
    size_t wanted = count < SIGNALS_BATCH ? count : SIGNALS_BATCH;
    ssize_t size = os_posix_size(TEMP_FAILURE_RETRY(read(fd, taken, wanted * sizeof taken[0])));
    if (size < 0)
        return (int)size;
    size_t read_count = (size_t)size / sizeof taken[0];
    for (size_t i = 0; i < read_count; i++)
        signals[i] = (int)taken[i].ssi_signo;
    return (int)read_count;
}

/* --- the limit of descriptors --- */

/* The soft limits of before and of since then; 0: it was not raised. */
static rlim_t limit_before, limit_raised;

void os_posix_descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit_before = before;
    limit_raised = limit.rlim_max;
}

/* Rule E7. What somebody has set from outside since then is meant for the workers, too. */
static void child_lower_limit(void)
{
    struct rlimit limit;
    if (limit_raised == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur != limit_raised)
        return;
    limit.rlim_cur = limit_before;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* nobody is refused less */
}

/* --- the child's half of a start --- */

/* Whoever cannot tell how far it has come goes no further: the master learns that from its end. */
static void child_tell(int report, enum os_step step, int error)
{
    const struct os_report told = {.step = (int32_t)step, .error = (int32_t)error};
    if (TEMP_FAILURE_RETRY(write(report, &told, sizeof told)) < 0)
        _exit(127);
}

_Noreturn static void child_fail(int report, enum os_step step, int error)
{
    child_tell(report, step, error);
    _exit(127);
}

static int child_move(const struct os_move *move)
{
    if (move->from != move->to)
        return dup3(move->from, move->to, move->inherit ? 0 : O_CLOEXEC);
    /* dup3(2) refuses this case, dup2(2) would leave the flag as it is. */
    return move->inherit ? fcntl(move->from, F_SETFD, 0) : 0;
}

/* Where the report's pipe is before the move `next`, of which the plan tells only the end. */
static int child_report_before(const struct os_spawn *plan, size_t next)
{
    int at = plan->report;
    for (size_t i = plan->move_count; i > next; i--)
        if (plan->moves[i - 1].to == at)
            at = plan->moves[i - 1].from;
    return at;
}

static void child_arrange(const struct os_spawn *plan)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (child_move(&plan->moves[i]) < 0)
            child_fail(child_report_before(plan, i), OS_STEP_DESCRIPTOR, errno);
}

/* An id of -1, which means "no change" to relatives of these calls, is an error to them. */
static void child_become(const struct os_user *account, int report)
{
    if (syscall(CALL_SETGID, account->gid) < 0)
        child_fail(report, OS_STEP_GROUP, errno);
    if (syscall(CALL_SETGROUPS, account->group_count, account->groups) < 0)
        child_fail(report, OS_STEP_GROUPS, errno);
    if (syscall(CALL_SETUID, account->uid) < 0)
        child_fail(report, OS_STEP_USER, errno);
    /* What a master was started with would pass through exec. EINVAL: this kernel has none. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        child_fail(report, OS_STEP_USER, errno);
}

static void child_write_pid(char *gap, pid_t pid)
{
    char digits[3 * sizeof pid];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (count > 0)
        *gap++ = digits[--count];
    *gap = '\0';
}

/* execvp(3)'s search without its heap and its shell. Returns the errno to tell. */
static int child_execute(const struct os_spawn *plan)
{
    int error = ENOENT;
    bool denied = false;
    for (const char *const *path = plan->candidates; *path != NULL; path++) {
        execve(*path, plan->arguments, plan->environment);
        error = errno;
        switch (error) {
        case EACCES:
            denied = true;
            break;
        case ENOENT:
        case ENOTDIR:
        case ESTALE:
        case ENODEV:
        case ETIMEDOUT:
            break;
        default:
            return error;
        }
    }
    return denied ? EACCES : error;
}

_Noreturn static void child_run(const struct os_spawn *plan)
{
    child_arrange(plan);
    if (setpgid(0, 0) < 0)
        child_fail(plan->report, OS_STEP_PROCESS_GROUP, errno);
    if (plan->account != NULL)
        child_become(plan->account, plan->report);
    if (plan->directory != NULL && chdir(plan->directory) < 0)
        child_fail(plan->report, OS_STEP_DIRECTORY, errno);
    signals_reset();
    int error = signals_mask(0);
    if (error < 0)
        child_fail(plan->report, OS_STEP_SIGNALS, -error);
    child_lower_limit();
    if (plan->pid_gap != NULL)
        child_write_pid(plan->pid_gap, getpid());
    child_tell(plan->report, OS_STEP_NONE, 0);
    child_fail(plan->report, OS_STEP_EXECUTE, child_execute(plan));
}

/* --- workers --- */

static pid_t posix_spawn_worker(struct os *os, const struct os_spawn *plan)
{
    /* Not vfork(2): a directory or a command on a dead network disk would hold the master. */
    pid_t pid = _Fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child_run(plan);
    /* The child does it too; whoever is first, a signal to the group finds it from here on. */
    (void)setpgid(pid, pid);
    return pid;
}

static pid_t posix_reap(struct os *os, int *status)
{
    return (pid_t)os_posix_result(TEMP_FAILURE_RETRY(waitpid(-1, status, WNOHANG)));
}

static int posix_kill_process(struct os *os, pid_t pid, int signal)
{
    return pid > 0 ? os_posix_result(kill(pid, signal)) : -EINVAL;
}

/* A "group 1" would be kill(-1): every process there is. */
static int posix_kill_group(struct os *os, pid_t pid, int signal)
{
    return pid > 1 ? os_posix_result(kill(-pid, signal)) : -EINVAL;
}

/* "PID (NAME) STATE PARENT ...", where a name may hold anything: proc(5). */
static int stat_read(const char *text, size_t length, struct os_process *process)
{
    const char *at = memrchr(text, ')', length);
    const char *end = text + length;
    if (at == NULL || end - at < 5)
        return -EIO;
    process->ended = at[2] == 'Z' || at[2] == 'X';
    process->parent = 0;
    for (at += 4; at < end && *at >= '0' && *at <= '9'; at++)
        process->parent = process->parent * 10 + (*at - '0');
    return 0;
}

static int posix_process_look(struct os *os, pid_t pid, struct os_process *process)
{
    char path[OS_POSIX_PROC_PATH], text[STAT_BYTES];
    if (pid <= 0)
        return -ESRCH;
    os_posix_stat_path(path, pid);
    int fd = os_posix_opened(TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC)));
    if (fd < 0)
        return fd == -ENOENT ? -ESRCH : fd;
    ssize_t length = os_posix_size(TEMP_FAILURE_RETRY(read(fd, text, sizeof text)));
    close(fd);
    return length < 0 ? (int)length : stat_read(text, (size_t)length, process);
}

void os_posix_process_init(struct os *os)
{
    os->signals_block = posix_signals_block;
    os->signals_block_pipe = posix_signals_block_pipe;
    os->signals_open = posix_signals_open;
    os->signals_read = posix_signals_read;
    os->spawn = posix_spawn_worker;
    os->reap = posix_reap;
    os->kill_process = posix_kill_process;
    os->kill_group = posix_kill_group;
    os->process_look = posix_process_look;
}
