/*
 * worker: the server that the sweep starts again and again: small, so that a start costs little.
 *
 *     worker CHANNEL RUN      CHANNEL: abstract name of the director's datagram socket
 *
 * It tells the director how it was born and which signals come, whatever becomes of the log; it
 * answers on every listener; HUP and TERM end it. What it writes to the log can be counted:
 * "hello", perhaps a flood, "bye" without a newline. Where it is asked to say that it is ready, it
 * does so before it tells the director that it has started.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FIRST_LISTENER = 3,
    LISTENERS_MAX = 16,
    LIFETIME_MS = 100 * 1000, /* nobody has asked for anything: the director is gone */
    ACCEPT_LIMIT_US = 5000,   /* a listener blocks, and another worker may have been faster */
};

static struct {
    int channel;
    struct sockaddr_un director;
    socklen_t director_length;
    struct worker_message message;
    int listener_count;
    bool meddles;
} worker;

static void tell(enum worker_said said, int signal)
{
    worker.message.said = (int32_t)said;
    worker.message.signal = signal;
    (void)sendto(worker.channel, &worker.message, sizeof worker.message, 0,
        (const struct sockaddr *)&worker.director, worker.director_length);
}

/* The log's pipe blocks; a worker that cannot write is dead by SIGPIPE. */
static void write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno != EINTR)
            _exit(99);
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
}

static void look_around(void)
{
    struct worker_message *message = &worker.message;
    sigset_t blocked;
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            message->descriptors |= UINT64_C(1) << fd;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action = {0};
        sigaction(signal, NULL, &action);
        if (action.sa_handler == SIG_IGN)
            message->ignored |= UINT64_C(1) << (signal - 1);
        if (sigismember(&blocked, signal) == 1)
            message->blocked |= UINT64_C(1) << (signal - 1);
    }
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(FIRST_LISTENER, (struct sockaddr *)&address, &length) == 0) {
        in_port_t port;
        memcpy(&port, (const char *)&address + offsetof(struct sockaddr_in, sin_port), sizeof port);
        message->port =
            address.ss_family == AF_INET || address.ss_family == AF_INET6 ? ntohs(port) : 0;
    }
    const char *generation = getenv("SOCKETMASTER_GENERATION");
    const char *variable = getenv("SWEEP_VARIABLE");
    message->generation = generation != NULL ? strtoull(generation, NULL, 10) : 0;
    message->has_variable = variable != NULL && strcmp(variable, "value") == 0;
    message->broken = access(WORKER_BROKEN_FILE, F_OK) == 0;
    message->stubborn = access(WORKER_STUBBORN_FILE, F_OK) == 0;
    message->pid = getpid();
    message->uid = getuid();
}

static void open_channel(const char *name)
{
    size_t length = strlen(name);
    worker.channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    worker.director.sun_family = AF_UNIX;
    memcpy(worker.director.sun_path + 1, name, length);
    worker.director_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static int count_listeners(void)
{
    int count = 0;
    for (int fd = FIRST_LISTENER; fd < FIRST_LISTENER + LISTENERS_MAX; fd++) {
        int listening = 0;
        socklen_t length = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0)
            break;
        count++;
    }
    return count;
}

static void meddle(void)
{
    for (int fd = FIRST_LISTENER; fd < FIRST_LISTENER + worker.listener_count; fd++) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_NONBLOCK);
        (void)listen(fd, 1);
    }
}

static void clear_away(void)
{
    for (int fd = FIRST_LISTENER; fd < FIRST_LISTENER + worker.listener_count; fd++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t length = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
            continue;
        if (address.ss_family == AF_UNIX)
            unlink((const char *)&address + offsetof(struct sockaddr_un, sun_path));
        else
            (void)shutdown(fd, SHUT_RDWR);
    }
}

_Noreturn static void leave(int status)
{
    if (worker.meddles)
        clear_away();
    write_all("bye", 3);
    _exit(status);
}

/* As clients of einhorn do it: nobody waits for a reply. */
static void acknowledge(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[64];
    int length = snprintf(line, sizeof line, "{\"command\":\"worker:ack\",\"pid\":%d}\n", getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        (void)send(fd, line, (size_t)length, MSG_NOSIGNAL);
    close(fd);
}

/* Where it is asked to. Who gives it up closes NOTIFY_FD by ending. */
static void say_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *number = getenv("NOTIFY_FD");
    const char *control = getenv("EINHORN_SOCK_PATH");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (number != NULL)
        (void)!write((int)strtol(number, NULL, 10), "\n", 1);
    if (control != NULL && strlen(control) < sizeof address.sun_path)
        acknowledge(control);
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path));
    (void)sendto(fd, "READY=1", 7, 0, (const struct sockaddr *)&address, sizeof address);
    close(fd);
}

static void flood(void)
{
    static char line[WORKER_FLOOD_LONG];
    for (int i = 0; i < WORKER_FLOOD_LINES; i++) {
        int length = snprintf(line, sizeof line, "flood %d %.*s\n", i, i % 50,
            "the quick brown fox jumps over the lazy dog, again");
        write_all(line, (size_t)length);
    }
    memset(line, '.', sizeof line);
    memcpy(line, "long", 4);
    line[sizeof line - 1] = '\n';
    write_all(line, sizeof line);
    tell(WORKER_FLOODED, 0);
}

static void interrupt(int signal)
{
    (void)signal; /* accept(2) ends with EINTR */
}

static int accept_soon(int listener)
{
    const struct itimerval limit = {
        .it_value = {.tv_usec = ACCEPT_LIMIT_US}, .it_interval = {.tv_usec = ACCEPT_LIMIT_US}};
    const struct itimerval none = {.it_value = {.tv_usec = 0}};
    setitimer(ITIMER_REAL, &limit, NULL);
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setitimer(ITIMER_REAL, &none, NULL);
    return connection;
}

static void serve(int listener)
{
    char question = 0, answer[64];
    int connection = accept_soon(listener);
    if (connection < 0)
        return;
    if (read(connection, &question, 1) == 1) {
        int length = snprintf(answer, sizeof answer, "%llu %d\n",
            (unsigned long long)worker.message.generation, getpid());
        (void)send(connection, answer, (size_t)length, MSG_NOSIGNAL);
    }
    close(connection);
    if (question == WORKER_ASK_FLOOD)
        flood();
    if (question == WORKER_ASK_EXIT)
        leave(WORKER_EXIT_STATUS);
}

static void take_signal(int signals)
{
    struct signalfd_siginfo taken;
    if (read(signals, &taken, sizeof taken) != sizeof taken)
        return;
    tell(WORKER_SIGNALLED, (int)taken.ssi_signo);
    if (taken.ssi_signo != SIGHUP || !worker.message.stubborn)
        leave(0);
}

static int open_signals(void)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGQUIT);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    const struct sigaction interrupting = {.sa_handler = interrupt};
    sigaction(SIGALRM, &interrupting, NULL);
    return signalfd(-1, &taken, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    look_around();
    int signals = open_signals();
    open_channel(argv[1]);
    worker.message.run = (uint32_t)strtoul(argv[2], NULL, 10);
    worker.listener_count = count_listeners();
    worker.meddles = access(WORKER_MEDDLING_FILE, F_OK) == 0;
    if (worker.meddles)
        meddle();
    if (!worker.message.broken)
        write_all("hello\n", 6);
    if (!worker.message.broken)
        say_ready();
    tell(WORKER_STARTED, 0);
    if (worker.message.broken)
        _exit(WORKER_BROKEN_STATUS);
    for (;;) {
        struct pollfd watched[1 + LISTENERS_MAX] = {{.fd = signals, .events = POLLIN}};
        for (int i = 0; i < worker.listener_count; i++)
            watched[1 + i] = (struct pollfd){.fd = FIRST_LISTENER + i, .events = POLLIN};
        int ready = poll(watched, (nfds_t)worker.listener_count + 1, LIFETIME_MS);
        if (ready == 0)
            return 98;
        if (watched[0].revents != 0)
            take_signal(signals);
        for (int i = 0; i < worker.listener_count; i++)
            if (watched[1 + i].revents != 0)
                serve(FIRST_LISTENER + i);
    }
}
