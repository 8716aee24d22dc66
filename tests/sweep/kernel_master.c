/*
 * kernel_master: a master in a process of its own, as main would start it but for its port.
 */
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "console.h"
#include "supervisor.h"

enum { ARGUMENTS_MAX = 32, VARIABLES_MAX = 8, FIRST_INHERITED = 3 };

struct words {
    char bytes[8192];
    struct text text;
    char *list[ARGUMENTS_MAX + 1];
    size_t count;
};

void kernel_path(const struct kernel_run *run, const char *name, char path[KERNEL_PATH])
{
    struct text text;
    text_init(&text, path, KERNEL_PATH);
    text_add(&text, run->directory);
    text_add_char(&text, '/');
    text_add(&text, name);
}

/* --- the command line and the environment --- */

static void words_init(struct words *words)
{
    text_init(&words->text, words->bytes, sizeof words->bytes);
    words->count = 0;
    words->list[0] = NULL;
}

/* "%d" stands for the run's directory. */
static void words_add(struct words *words, const struct kernel_run *run, const char *word)
{
    char *start = words->bytes + words->text.length;
    const char *hole = strstr(word, "%d");
    size_t before = hole != NULL ? (size_t)(hole - word) : strlen(word);
    text_add_bytes(&words->text, word, before);
    if (hole != NULL) {
        text_add(&words->text, run->directory);
        text_add(&words->text, hole + 2);
    }
    text_add_char(&words->text, '\0');
    words->list[words->count++] = start;
    words->list[words->count] = NULL;
}

static void words_add_number(
    struct words *words, const struct kernel_run *run, const char *word, uint64_t number)
{
    char bytes[64];
    struct text text;
    text_init(&text, bytes, sizeof bytes);
    text_add(&text, word);
    text_add_unsigned(&text, number);
    words_add(words, run, bytes);
}

static void fill_command_line(struct words *words, const struct kernel_run *run)
{
    const struct kernel_scenario *scenario = run->scenario;
    words_init(words);
    words_add(words, run, "socketmaster");
    words_add_number(words, run, "-start=", KERNEL_START_MS);
    words_add(words, run, "-dir=%d");
    if (!scenario->plain) {
        words_add(words, run, "-envdir=%d/env");
        words_add(words, run, "-listen=tcp://127.0.0.1:0");
        words_add(words, run, "-listen=unix://%d/socket");
    }
    for (const char *const *option = scenario->options; option && *option; option++)
        words_add(words, run, *option);
    words_add(words, run, run->worker_path);
    words_add(words, run, run->channel_name);
    words_add_number(words, run, "", run->number);
}

static void fill_environment(struct words *words, const struct kernel_run *run)
{
    words_init(words);
    words_add(words, run, "PATH=/usr/bin:/bin");
    if (run->scenario->inherited == 0)
        return;
    words_add_number(words, run, "LISTEN_FDS=", run->scenario->inherited);
    words_add_number(words, run, "LISTEN_PID=", (uint64_t)getpid());
    words_add(words, run, "LISTEN_FDNAMES=web:gram");
}

/* --- in the master's process --- */

_Noreturn static void give_up(const char *what)
{
    perror(what);
    _exit(125);
}

static void put(int fd, int number)
{
    if (fd < 0 || dup2(fd, number) < 0)
        give_up("a socket for the master");
    if (fd != number)
        close(fd);
}

/* What a service manager would pass: a tcp listener as standard input, a unix one and a datagram
 * socket from 3 on. */
static void pass_sockets(const struct kernel_run *run)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    const struct sockaddr *internet = (const struct sockaddr *)&loopback;
    kernel_path(run, "socket", path.sun_path);
    put(socket(AF_INET, SOCK_STREAM, 0), STDIN_FILENO);
    put(socket(AF_UNIX, SOCK_STREAM, 0), FIRST_INHERITED);
    put(socket(AF_INET, SOCK_DGRAM, 0), FIRST_INHERITED + 1);
    if (bind(STDIN_FILENO, internet, sizeof loopback) < 0 || listen(STDIN_FILENO, 8) < 0 ||
        bind(FIRST_INHERITED, (const struct sockaddr *)&path, sizeof path) < 0 ||
        listen(FIRST_INHERITED, 8) < 0 || bind(FIRST_INHERITED + 1, internet, sizeof loopback) < 0)
        give_up("a socket to pass");
}

/* Which of the low descriptors are open: bit N. */
static uint64_t open_descriptors(void)
{
    uint64_t open = 0;
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            open |= UINT64_C(1) << fd;
    return open;
}

/* As main does it. */
static int be_main(struct os *os, int argc, char **argv, char **environment)
{
    static struct config config;
    static char error_bytes[CLI_ERROR_SIZE];
    struct text error;
    text_init(&error, error_bytes, sizeof error_bytes);
    os->signals_block(os);
    if (cli_parse(argc, argv, environment, &config, &error) != CLI_RUN) {
        console_complain(os, &error);
        return 2;
    }
    return config.check ? supervisor_check(os, &config, environment)
                        : supervisor_run(os, &config, environment);
}

_Noreturn static void be_master(struct kernel_run *run, int output)
{
    static struct words arguments, environment;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        give_up("the master's standard descriptors");
    syscall(SYS_close_range, FIRST_INHERITED, KERNEL_HIGH - 1, 0);
    if (run->scenario->inherited > 0)
        pass_sockets(run);
    fill_command_line(&arguments, run);
    fill_environment(&environment, run);
    uint64_t before = open_descriptors();
    int status =
        be_main(&run->page->fault.os, (int)arguments.count, arguments.list, environment.list);
    run->page->left_open = open_descriptors() & ~before;
    exit(status);
}

/* --- in the director's --- */

static int lifted(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, KERNEL_HIGH);
    close(fd);
    return high;
}

/* The kind of file that a master leaves that was killed, with both its names. */
static bool leave_stale_file(struct kernel_run *run)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char second[KERNEL_PATH];
    kernel_path(run, "socket", address.sun_path);
    kernel_path(run, KERNEL_SECOND_NAME, second);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool left = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                stat(address.sun_path, &status) == 0 && link(address.sun_path, second) == 0;
    close(fd);
    if (left)
        run->stale_inode = status.st_ino;
    return left;
}

/* The end of the log that the director reads: the master's standard error, or a syslog socket. */
static bool open_log(struct kernel_run *run, int *output)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *output = lifted(ends[1]);
    run->log_fd = lifted(ends[0]);
    run->console_fd = -1;
    fcntl(run->log_fd, F_SETFL, O_NONBLOCK);
    if (!run->scenario->syslog)
        return true;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    run->console_fd = run->log_fd;
    kernel_path(run, "log", address.sun_path);
    run->log_fd = lifted(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    return bind(run->log_fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

bool kernel_master_start(struct kernel_run *run)
{
    int output = -1;
    if ((run->scenario->stale_file && !leave_stale_file(run)) || !open_log(run, &output)) {
        kernel_violated(run, "cannot make what the master finds: %s", strerror(errno));
        return false;
    }
    run->master = fork();
    if (run->master == 0)
        be_master(run, output);
    close(output);
    if (run->master < 0) {
        kernel_violated(run, "cannot fork: %s", strerror(errno));
        return false;
    }
    run->master_fd = lifted((int)syscall(SYS_pidfd_open, run->master, 0));
    return true;
}
