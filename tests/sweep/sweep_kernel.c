/*
 * sweep_kernel: the sweep against the real kernel; see kernel.h and sweep.h.
 *
 *     sweep_kernel [OPTION...]      --list shows what there is, --help the options
 *
 * Owns: what a process has for all its runs (a directory, the shared page, the workers' channel),
 * and the course of one run.
 */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_LINE_SHOWN = 200 };

static struct kernel_run the_run;
static char worker_path[sizeof the_run.worker_path];

/* --- for all runs of a process --- */

static int high(int fd)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, KERNEL_HIGH);
    if (fd >= 0)
        close(fd);
    return lifted;
}

static bool open_channel(struct kernel_run *run)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length =
        snprintf(run->channel_name, sizeof run->channel_name, "socketmaster-sweep-%d", getpid());
    memcpy(address.sun_path + 1, run->channel_name, (size_t)length);
    run->channel = high(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    return bind(run->channel, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0;
}

static bool make_file(const struct kernel_run *run, const char *name, const char *text)
{
    char path[KERNEL_PATH];
    kernel_path(run, name, path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    bool made = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return made;
}

static bool make_directory(struct kernel_run *run)
{
    char path[KERNEL_PATH];
    snprintf(run->directory, sizeof run->directory, "/tmp/socketmaster-sweep-XXXXXX");
    if (mkdtemp(run->directory) == NULL || chmod(run->directory, 0755) < 0)
        return false;
    kernel_path(run, "env", path);
    return mkdir(path, 0755) == 0 && make_file(run, "env/SWEEP_VARIABLE", "value\n");
}

/* Everybody may execute it there, wherever the program itself stands. */
static bool copy_worker(struct kernel_run *run)
{
    struct stat status;
    kernel_path(run, "worker", run->worker_path);
    int from = open(worker_path, O_RDONLY | O_CLOEXEC);
    int to = open(run->worker_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    bool copied = from >= 0 && to >= 0 && fstat(from, &status) == 0 && fchmod(to, 0755) == 0;
    while (copied && lseek(from, 0, SEEK_CUR) < status.st_size)
        copied = sendfile(to, from, NULL, (size_t)status.st_size) > 0;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return copied;
}

static void remove_files(const struct kernel_run *run, const char *const *names)
{
    char path[KERNEL_PATH];
    for (; *names != NULL; names++) {
        kernel_path(run, *names, path);
        remove(path);
    }
}

static bool kernel_open(unsigned patience)
{
    struct kernel_run *run = &the_run;
    run->patience = patience;
    signal(SIGPIPE, SIG_IGN);
    run->page =
        mmap(NULL, sizeof *run->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run->bell = high(eventfd(0, EFD_NONBLOCK));
    run->notice = high(eventfd(0, EFD_NONBLOCK));
    bool opened = run->page != MAP_FAILED && run->bell >= 0 && run->notice >= 0 &&
                  prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && open_channel(run) &&
                  make_directory(run) && copy_worker(run);
    if (!opened)
        fprintf(stderr, "sweep_kernel: unable to begin: %s\n", strerror(errno));
    return opened;
}

static void kernel_close(void)
{
    static const char *const names[] = {"env/SWEEP_VARIABLE", "env", "worker", "", NULL};
    remove_files(&the_run, names);
}

/* --- one run --- */

static void begin(
    struct kernel_run *run, const struct sweep_case *played, struct sweep_result *result)
{
    uint64_t rung;
    size_t kept = offsetof(struct kernel_run, played);
    memset((char *)run + kept, 0, offsetof(struct kernel_run, workers) - kept);
    run->log_length = run->console_length = 0;
    run->log[0] = run->console[0] = '\0';
    run->played = played;
    run->scenario = &kernel_scenarios[played->scenario];
    run->result = result;
    run->master = run->master_fd = run->log_fd = run->console_fd = run->lock_fd = -1;
    static uint32_t number;
    run->number = ++number;
    while (read(run->bell, &rung, sizeof rung) > 0)
        continue;
    if (run->scenario->locked) {
        run->lock_fd = high(open(run->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        flock(run->lock_fd, LOCK_EX);
    }
    kernel_os_init(&run->page->kernel, run->bell, run->notice, run->lock_fd);
    os_fault_init(&run->page->fault, &run->page->kernel.os);
    run->page->left_open = 0;
    if (run->scenario->stubborn)
        make_file(run, WORKER_STUBBORN_FILE, "");
    if (run->scenario->meddling)
        make_file(run, WORKER_MEDDLING_FILE, "");
}

/* Of the workers' notify sockets, which are named by the numbers of slots. */
static void remove_private_directory(const struct kernel_run *run)
{
    const char *directory = run->page->kernel.directory;
    char path[KERNEL_PATH + 16];
    if (directory[0] == '\0')
        return;
    for (int slot = 0; slot < KERNEL_WORKERS_MAX; slot++) {
        snprintf(path, sizeof path, "%s/%d", directory, slot);
        unlink(path);
    }
    rmdir(directory);
}

/* Whatever is left is ended, so that the next run begins anew. */
static void end(struct kernel_run *run)
{
    static const char *const names[] = {"socket", KERNEL_SECOND_NAME, KERNEL_CONTROL_NAME,
        "metrics", "metrics.new", "log", WORKER_BROKEN_FILE, WORKER_STUBBORN_FILE,
        WORKER_MEDDLING_FILE, NULL};
    kernel_hang_up(run);
    if (run->master > 0 && !run->ended)
        kill(run->master, SIGKILL);
    for (size_t i = 0; i < run->worker_count; i++)
        if (!run->workers[i].reaped)
            kill(run->workers[i].pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    remove_files(run, names);
    remove_private_directory(run);
    if (run->master_fd >= 0)
        close(run->master_fd);
    if (run->log_fd >= 0)
        close(run->log_fd);
    if (run->console_fd >= 0)
        close(run->console_fd);
    if (run->lock_fd >= 0)
        close(run->lock_fd);
}

/* A stop that did not reach every worker is asked for again, as its user would. */
static void stop_in_the_end(struct kernel_run *run)
{
    if (run->ended)
        return;
    kernel_signal(run, SIGTERM);
    if (kernel_settle(run) && !run->ended)
        kernel_violated(run, "TERM does not end the master");
}

static void course(struct kernel_run *run)
{
    if (run->scenario->faults_from_birth)
        kernel_aim(run);
    if (!kernel_master_start(run) || !kernel_settle(run))
        return;
    run->started = kernel_check_start(run);
    if (run->started) {
        if (!run->scenario->faults_from_birth)
            kernel_aim(run);
        if (run->scenario->play != NULL)
            run->scenario->play(run);
    }
    kernel_lift(run);
    kernel_hang_up(run);
    if (!run->ended && !kernel_settle(run))
        return;
    if (run->started && !run->ended && !run->stop_asked && !run->exit_asked)
        kernel_check_serving(run);
    else if (run->started && !run->ended)
        kernel_check_ending(run);
    stop_in_the_end(run);
    if (run->ended)
        kernel_check_end(run);
    kernel_check_history(run);
}

/* Of a flood, only how it looks at its beginning. */
static void tell_log(struct text *report, const char *log)
{
    for (const char *line = log; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *flood = memmem(line, length, "flood ", 6);
        if (flood == NULL || strtol(flood + 6, NULL, 10) < 3) {
            text_add(report, "  | ");
            text_add_bytes(report, line, length < LOG_LINE_SHOWN ? length : LOG_LINE_SHOWN);
            text_add_char(report, '\n');
        }
        line += length + (line[length] == '\n');
    }
}

static void tell(struct kernel_run *run)
{
    struct text *report = &run->result->report;
    static const char *const did[] = {
        [KERNEL_SPAWNED] = "started", [KERNEL_SIGNALLED] = "signalled", [KERNEL_REAPED] = "reaped"};
    char line[128];
    for (size_t i = 0; i < run->events_seen; i++) {
        const struct kernel_event *event = &run->page->kernel.events[i];
        snprintf(line, sizeof line, "  | %llu ms: %s %d %d\n", (unsigned long long)event->now_ms,
            did[event->did], event->pid, event->number);
        text_add(report, line);
    }
    text_add(report, "  its log:\n");
    tell_log(report, run->console);
    tell_log(report, run->log);
}

static void play(const struct sweep_case *played, struct sweep_result *result)
{
    struct kernel_run *run = &the_run;
    begin(run, played, result);
    course(run);
    result->struck = run->page->fault.struck;
    tell(run);
    end(run);
}

/* Descriptors are compared with those of a run without faults. */
static void kernel_run_case(const struct sweep_case *played, struct sweep_result *result)
{
    if (played->way != NULL && !the_run.clean_known[played->scenario]) {
        static char bytes[1024];
        static struct sweep_result clean_result;
        struct sweep_case clean = {.scenario = played->scenario, .nth = 1};
        text_init(&clean_result.report, bytes, sizeof bytes);
        play(&clean, &clean_result);
    }
    play(played, result);
}

/* --- the world --- */

static const char *scenario_name(size_t scenario)
{
    return kernel_scenarios[scenario].name;
}

static const char *scenario_missing(size_t scenario)
{
    return kernel_scenarios[scenario].missing != NULL ? kernel_scenarios[scenario].missing() : NULL;
}

static const char *way_missing(const struct os_fault_way *way)
{
    return way->call == OS_CALL_TERMINAL_SIZE ? "the client alone asks for it" : NULL;
}

int main(int argc, char **argv)
{
    const struct sweep_world world = {
        .name = "sweep_kernel",
        .scenario_count = kernel_scenario_count,
        .scenario_name = scenario_name,
        .scenario_missing = scenario_missing,
        .way_missing = way_missing,
        .open = kernel_open,
        .close = kernel_close,
        .run = kernel_run_case,
    };
    char own[sizeof worker_path];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    snprintf(worker_path, sizeof worker_path, "%.*s/worker", (int)sizeof own - 16, dirname(own));
    return sweep_main(&world, argc, argv);
}
