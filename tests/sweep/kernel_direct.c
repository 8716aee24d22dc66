/*
 * kernel_direct: what the director sees, and how it makes things happen one after the other.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    REST_LIMIT_MS = 5000, /* to come to rest */
    /* A fault that lasts is lifted when nothing has come of it for so many strikes, steps of the
     * clock, or so long. */
    STALL_STRIKES = 100,
    STALL_STEPS = 30,
    STALL_MS = 150,
    /* What a worker is about to do may itself wait for some time to pass: for a pipe that is tried
     * again, not for a start. */
    PATIENT_MS = 30,
    RETRY_MS = 10 * 1000,
    /* So many things can be ready at once, if a wait tells only one of them. */
    TURNS_ONE_BY_ONE = 6,
    TURNS_BYTE_BY_BYTE = 128, /* for the longest line that is sent to the control socket */
    LOOK_MS = 2,
};

static uint64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void kernel_violated(struct kernel_run *run, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    run->result->violated = true;
    text_add(&run->result->report, "  violated: ");
    text_add(&run->result->report, line);
    text_add_char(&run->result->report, '\n');
}

/* --- taking in --- */

static struct kernel_worker *find_worker(struct kernel_run *run, pid_t pid)
{
    for (size_t i = 0; i < run->worker_count; i++)
        if (run->workers[i].pid == pid)
            return &run->workers[i];
    if (run->worker_count == KERNEL_WORKERS_MAX) {
        kernel_violated(run, "more than %d workers", KERNEL_WORKERS_MAX);
        return &run->workers[0];
    }
    struct kernel_worker *worker = &run->workers[run->worker_count++];
    *worker = (struct kernel_worker){.pid = pid, .spawned_at = SIZE_MAX};
    return worker;
}

static void take_message(struct kernel_run *run, const struct worker_message *message)
{
    if (message->run != run->number)
        return; /* a worker of a run before, on its last legs */
    struct kernel_worker *worker = find_worker(run, message->pid);
    switch (message->said) {
    case WORKER_STARTED:
        worker->started = true;
        worker->message = *message;
        worker->leaving |= message->broken;
        break;
    case WORKER_SIGNALLED:
        worker->hups += message->signal == SIGHUP;
        worker->terms += message->signal == SIGTERM;
        break;
    case WORKER_FLOODED:
        run->flooded = true;
        break;
    }
}

static void take_event(struct kernel_run *run, size_t index)
{
    const struct kernel_event *event = &run->page->kernel.events[index];
    struct kernel_worker *worker = find_worker(run, event->pid);
    switch (event->did) {
    case KERNEL_SPAWNED:
        worker->spawned_at = index;
        break;
    case KERNEL_SIGNALLED:
        worker->kills += event->number == SIGKILL;
        worker->leaving |= event->number != SIGHUP || !worker->message.stubborn;
        break;
    case KERNEL_REAPED:
        worker->reaped = true;
        worker->status = event->number;
        break;
    }
}

static void read_bytes(int fd, char *bytes, size_t size, size_t *length, bool datagrams)
{
    while (fd >= 0 && *length + 1 < size) {
        ssize_t got = read(fd, bytes + *length, size - *length - 1);
        if (got <= 0)
            break;
        *length += (size_t)got;
        if (datagrams && *length + 1 < size)
            bytes[(*length)++] = '\n';
    }
    bytes[*length] = '\0';
}

static void take_end(struct kernel_run *run)
{
    int status;
    if (run->ended || waitpid(run->master, &status, WNOHANG) != run->master)
        return;
    run->ended = true;
    run->status = status;
}

void kernel_observe(struct kernel_run *run)
{
    struct worker_message message;
    uint64_t notices;
    while (read(run->notice, &notices, sizeof notices) > 0)
        continue;
    /* Once it has ended, what it wrote and did is complete. */
    take_end(run);
    while (recv(run->channel, &message, sizeof message, MSG_DONTWAIT) == sizeof message)
        take_message(run, &message);
    while (run->events_seen < run->page->kernel.event_count)
        take_event(run, run->events_seen++);
    read_bytes(run->log_fd, run->log, sizeof run->log, &run->log_length, run->scenario->syslog);
    read_bytes(run->console_fd, run->console, sizeof run->console, &run->console_length, false);
}

const struct kernel_worker *kernel_worker_of(const struct kernel_run *run, pid_t pid)
{
    size_t at = 0;
    while (at + 1 < run->worker_count && run->workers[at].pid != pid)
        at++;
    return &run->workers[at];
}

struct kernel_worker *kernel_youngest(struct kernel_run *run)
{
    struct kernel_worker *youngest = NULL;
    for (size_t i = 0; i < run->worker_count; i++) {
        struct kernel_worker *worker = &run->workers[i];
        if (worker->started && !worker->reaped &&
            (youngest == NULL || worker->message.generation > youngest->message.generation))
            youngest = worker;
    }
    return youngest;
}

size_t kernel_living(const struct kernel_run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->worker_count; i++)
        count += run->workers[i].spawned_at != SIZE_MAX && !run->workers[i].reaped;
    return count;
}

/* --- making things happen --- */

void kernel_aim(struct kernel_run *run)
{
    memcpy(run->window_uses, run->page->fault.uses, sizeof run->window_uses);
    os_fault_aim(&run->page->fault, run->played->way, run->played->nth, run->played->span);
}

void kernel_lift(struct kernel_run *run)
{
    if (run->lifted)
        return;
    run->lifted = true;
    run->stirred++;
    for (int call = 0; call < OS_CALL_COUNT; call++)
        run->result->uses[call] = run->page->fault.uses[call] - run->window_uses[call];
    os_fault_lift(&run->page->fault);
}

void kernel_signal(struct kernel_run *run, int signal)
{
    kernel_observe(run);
    run->stirred++;
    run->stop_asked |= signal == SIGTERM;
    if (signal == SIGHUP)
        run->hup_mark = run->events_seen;
    if (!run->ended)
        kill(run->master, signal);
}

void kernel_break_workers(struct kernel_run *run, bool broken)
{
    char path[KERNEL_PATH];
    kernel_path(run, WORKER_BROKEN_FILE, path);
    if (broken)
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    else
        unlink(path);
}

static int connect_to(const struct kernel_run *run, bool unix_path)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval limit = {.tv_sec = (REST_LIMIT_MS / 1000) * run->patience};
    for (size_t i = 0; i < run->worker_count; i++)
        if (run->workers[i].started)
            in.sin_port = htons((in_port_t)run->workers[i].message.port);
    kernel_path(run, "socket", path.sun_path);
    int fd = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address =
        unix_path ? (const struct sockaddr *)&path : (const struct sockaddr *)&in;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, address, unix_path ? sizeof path : sizeof in) == 0)
        return fd;
    close(fd);
    return -1;
}

pid_t kernel_ask(struct kernel_run *run, bool unix_path, char question)
{
    char answer[64] = "";
    int fd = connect_to(run, unix_path);
    run->stirred++;
    run->flood_asked |= question == WORKER_ASK_FLOOD;
    run->exit_asked |= question == WORKER_ASK_EXIT;
    if (fd < 0)
        return 0;
    ssize_t got = 0;
    if (send(fd, &question, 1, MSG_NOSIGNAL) == 1)
        got = recv(fd, answer, sizeof answer - 1, 0);
    close(fd);
    const char *blank = got > 0 ? strchr(answer, ' ') : NULL;
    return blank != NULL ? (pid_t)strtol(blank + 1, NULL, 10) : 0;
}

void kernel_call(struct kernel_run *run, const char *line)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    kernel_path(run, KERNEL_CONTROL_NAME, path.sun_path);
    int low = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int fd = fcntl(low, F_DUPFD_CLOEXEC, KERNEL_HIGH);
    close(low);
    run->stirred++;
    if (run->client_count == KERNEL_CLIENTS_MAX ||
        connect(fd, (const struct sockaddr *)&path, sizeof path) < 0 ||
        send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        close(fd);
        return;
    }
    run->clients[run->client_count++] = fd;
}

void kernel_hang_up(struct kernel_run *run)
{
    while (run->client_count > 0)
        close(run->clients[--run->client_count]);
    run->stirred++;
}

bool kernel_is_answered(struct kernel_run *run, const char *line, const char *answer)
{
    static char reply[64 * 1024];
    size_t length = 0;
    kernel_call(run, line);
    kernel_settle(run);
    if (run->client_count > 0)
        read_bytes(run->clients[run->client_count - 1], reply, sizeof reply, &length, false);
    reply[length] = '\0';
    kernel_hang_up(run);
    kernel_settle(run);
    return strstr(reply, answer) != NULL;
}

/* --- coming to rest --- */

/* Is something under way that will be seen by itself? */
static bool is_unsteady(const struct kernel_run *run)
{
    if ((run->flood_asked && !run->flooded) || run->exit_asked)
        return true;
    for (size_t i = 0; i < run->worker_count; i++) {
        const struct kernel_worker *worker = &run->workers[i];
        if (!worker->reaped && (!worker->started || worker->leaving))
            return true;
    }
    return false;
}

/* What changes when something happens that counts. */
static uint64_t progress_of(const struct kernel_run *run)
{
    uint64_t progress = run->events_seen + run->stirred + run->flooded + run->ended;
    for (size_t i = 0; i < run->worker_count; i++)
        progress += run->workers[i].started + run->workers[i].hups + run->workers[i].terms;
    return progress;
}

static void look_again(const struct kernel_run *run)
{
    struct pollfd watched[] = {
        {.fd = run->channel, .events = POLLIN},
        {.fd = run->notice, .events = POLLIN},
        {.fd = run->ended ? -1 : run->master_fd, .events = POLLIN},
        {.fd = run->log_fd, .events = POLLIN},
    };
    poll(watched, sizeof watched / sizeof *watched, LOOK_MS);
}

static void ring(struct kernel_run *run)
{
    const uint64_t one = 1;
    run->rung++;
    if (write(run->bell, &one, sizeof one) != sizeof one)
        kernel_violated(run, "cannot ring");
}

/* What coming to rest goes by. */
struct rest {
    uint64_t limit;
    uint64_t progress;
    uint64_t progressed_at; /* real time */
    uint64_t struck;        /* at that time */
    uint64_t log_length;
    unsigned steps; /* of the clock since then */
    unsigned turns; /* of the master's loop that have changed nothing since then */
};

static void rest_look(struct kernel_run *run, struct rest *rest)
{
    kernel_observe(run);
    uint64_t progress = progress_of(run);
    if (progress != rest->progress) {
        rest->progress = progress;
        rest->progressed_at = real_ms();
        rest->struck = run->page->fault.struck;
        rest->steps = rest->turns = 0;
    }
    if (rest->log_length != run->log_length) {
        rest->log_length = run->log_length;
        rest->turns = 0;
    }
}

/* Does a fault that lasts keep it from going on? */
static bool is_stalled(const struct kernel_run *run, const struct rest *rest)
{
    uint64_t struck = run->page->fault.struck;
    return !run->lifted && struck > 0 &&
           (struck - rest->struck > STALL_STRIKES || rest->steps > STALL_STEPS ||
               real_ms() - rest->progressed_at > STALL_MS);
}

static bool is_confirmed(const struct kernel_run *run, const struct rest *rest)
{
    const struct os_fault_way *way = run->page->fault.way;
    /* Who calls at the control socket is accepted in one turn, and heard in the next, or in many.
     */
    if (run->scenario->control && way != NULL && way->call == OS_CALL_READ)
        return rest->turns >= TURNS_BYTE_BY_BYTE;
    bool one_by_one = run->scenario->control || (way != NULL && way->call == OS_CALL_WATCH_WAIT);
    return rest->turns >= (one_by_one ? TURNS_ONE_BY_ONE : 1);
}

/* Does what is next on the way to where nothing happens unless time passes; returns true when that
 * is reached. Between two looks the master goes round its loop at most once for each ring. */
static bool rest_step(struct kernel_run *run, struct rest *rest)
{
    struct kernel_os *kernel = &run->page->kernel;
    bool busy = !kernel->waiting || kernel->answered < run->rung;
    bool awaits_retry = kernel->timeout >= 0 && kernel->timeout < RETRY_MS &&
                        real_ms() - rest->progressed_at > PATIENT_MS;
    if (is_stalled(run, rest))
        kernel_lift(run);
    else if (busy || (is_unsteady(run) && !awaits_retry))
        look_again(run);
    else if (is_confirmed(run, rest)) {
        /* What it did since the last look, before it began to wait, counts. */
        kernel_observe(run);
        return progress_of(run) == rest->progress;
    } else {
        rest->turns++;
        ring(run);
    }
    return false;
}

/* Lets the time pass that the master waits for; returns false when it waits for none. */
static bool let_time_pass(struct kernel_run *run, struct rest *rest)
{
    struct kernel_os *kernel = &run->page->kernel;
    if (kernel->timeout < 0)
        return false;
    kernel->now_ms += (uint64_t)kernel->timeout;
    rest->steps++;
    ring(run);
    return true;
}

static struct rest rest_begin(struct kernel_run *run)
{
    uint64_t now = real_ms();
    return (struct rest){.progressed_at = now,
        .progress = UINT64_MAX,
        .limit = now + (uint64_t)REST_LIMIT_MS * run->patience};
}

static bool is_too_late(struct kernel_run *run, const struct rest *rest)
{
    if (real_ms() <= rest->limit)
        return false;
    kernel_violated(run, "the master does not come to rest");
    return true;
}

bool kernel_settle(struct kernel_run *run)
{
    struct rest rest = rest_begin(run);
    do {
        rest_look(run, &rest);
        if (run->ended || (rest_step(run, &rest) && !let_time_pass(run, &rest)))
            return true;
    } while (!is_too_late(run, &rest));
    return false;
}

bool kernel_await(struct kernel_run *run, bool (*happened)(const struct kernel_run *run))
{
    struct rest rest = rest_begin(run);
    do {
        rest_look(run, &rest);
        if (run->ended || happened(run) || rest_step(run, &rest))
            return true;
    } while (!is_too_late(run, &rest));
    return false;
}
