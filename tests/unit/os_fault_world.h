/*
 * os_fault_world: a port that only tells what it was asked for, an injector on top of it, and one
 * use of each call. For test_os_fault alone.
 */
#ifndef SOCKETMASTER_OS_FAULT_WORLD_H
#define SOCKETMASTER_OS_FAULT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "os_fault.h"

enum { NONE = -1, PID = 4711 };

/* --- a port that only tells what it was asked for --- */

static struct {
    int called; /* enum os_call of the last call, or NONE */
    int calls;
    size_t size; /* that it was given */
    bool terminal;
    int result; /* of calls that return a number */
    pid_t killed;
    struct os_spawn plan;
    struct os_move first_move;
} seen;

static void see(enum os_call call)
{
    seen.called = (int)call;
    seen.calls++;
}

/* None of them needs what it is given. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define INNER(type, constant, name, parameters)                                                    \
    static type inner_##name parameters                                                            \
    {                                                                                              \
        see(constant);                                                                             \
        return (type)seen.result;                                                                  \
    }

INNER(pid_t, OS_CALL_PROCESS_ID, process_id, (struct os * table))
INNER(uid_t, OS_CALL_USER_ID, user_id, (struct os * table))
INNER(int, OS_CALL_DESCRIPTORS_SEAL, descriptors_seal, (struct os * table))
INNER(unsigned, OS_CALL_PROCESSORS, processors, (struct os * table))
INNER(int, OS_CALL_SIGNALS_BLOCK, signals_block, (struct os * table))
INNER(int, OS_CALL_SIGNALS_BLOCK_PIPE, signals_block_pipe, (struct os * table))
INNER(int, OS_CALL_TERMINAL_SIZE, terminal_size,
    (struct os * table, int fd, unsigned *columns, unsigned *rows))
INNER(int, OS_CALL_SIGNALS_OPEN, signals_open, (struct os * table))
INNER(pid_t, OS_CALL_REAP, reap, (struct os * table, int *status))
INNER(int, OS_CALL_KILL_GROUP, kill_group, (struct os * table, pid_t pid, int signal))
INNER(int, OS_CALL_PROCESS_LOOK, process_look,
    (struct os * table, pid_t pid, struct os_process *process))
INNER(int, OS_CALL_PIPE_OPEN, pipe_open, (struct os * table, int ends[2]))
INNER(int, OS_CALL_CLOSE, close, (struct os * table, int fd))
INNER(int, OS_CALL_NULL_OPEN, null_open, (struct os * table))
INNER(int, OS_CALL_DUPLICATE, duplicate, (struct os * table, int fd))
INNER(int, OS_CALL_IS_NONBLOCKING, is_nonblocking, (struct os * table, int fd))
INNER(int, OS_CALL_SET_NONBLOCKING, set_nonblocking, (struct os * table, int fd))
INNER(int, OS_CALL_WATCH_OPEN, watch_open, (struct os * table))
INNER(int, OS_CALL_WATCH_ADD, watch_add,
    (struct os * table, int set, int fd, uint64_t token, bool r, bool w))
INNER(int, OS_CALL_WATCH_REMOVE, watch_remove, (struct os * table, int set, int fd))
INNER(int, OS_CALL_OUTPUT_OPEN, output_open, (struct os * table, int fd, struct os_output *output))
INNER(int, OS_CALL_OUTPUT_FLUSH, output_flush, (struct os * table, struct os_output *output))
INNER(int, OS_CALL_DATAGRAM_OPEN, datagram_open, (struct os * table, const char *path))
INNER(int, OS_CALL_SOCKET_OPEN, socket_open, (struct os * table, int domain, int type))
INNER(int, OS_CALL_SOCKET_SET, socket_set,
    (struct os * table, int fd, int level, int option, const void *value, socklen_t length))
INNER(int, OS_CALL_SOCKET_GET, socket_get,
    (struct os * table, int fd, int level, int option, int *value))
INNER(int, OS_CALL_SOCKET_BIND, socket_bind,
    (struct os * table, int fd, const struct os_address *address))
INNER(int, OS_CALL_SOCKET_LISTEN, socket_listen, (struct os * table, int fd, int backlog))
INNER(int, OS_CALL_SOCKET_CONNECT, socket_connect,
    (struct os * table, int fd, const struct os_address *address))
INNER(int, OS_CALL_SOCKET_ADDRESS, socket_address,
    (struct os * table, int fd, struct os_address *address))
INNER(ssize_t, OS_CALL_DATAGRAM_RECEIVE, datagram_receive,
    (struct os * table, int fd, void *buffer, size_t size, pid_t *sender))
INNER(int, OS_CALL_SOCKET_ACCEPT, socket_accept, (struct os * table, int fd))
INNER(int, OS_CALL_SOCKET_PEER, socket_peer, (struct os * table, int fd, struct os_peer *peer))
INNER(
    int, OS_CALL_FILE_LOOK, file_look, (struct os * table, const char *path, struct os_file *file))
INNER(int, OS_CALL_FILE_PIN, file_pin, (struct os * table, const char *path))
INNER(int, OS_CALL_FILE_PINNED_LOOK, file_pinned_look,
    (struct os * table, int pin, struct os_file *file))
INNER(int, OS_CALL_FILE_PINNED_CHOWN, file_pinned_chown,
    (struct os * table, int pin, uid_t uid, gid_t gid))
INNER(int, OS_CALL_SOCKET_BACKLOG, socket_backlog, (struct os * table, int fd))
INNER(int, OS_CALL_SOCKET_QUEUE, socket_queue, (struct os * table, int fd, struct os_queue *queue))
INNER(int, OS_CALL_SOCKET_IS_SHUT, socket_is_shut, (struct os * table, int fd))
INNER(int, OS_CALL_SOCKET_DISCONNECT, socket_disconnect, (struct os * table, int fd))
INNER(
    int, OS_CALL_FILE_PINNED_LINK, file_pinned_link, (struct os * table, int pin, const char *path))
INNER(int, OS_CALL_FILE_WATCH_OPEN, file_watch_open, (struct os * table))
INNER(int, OS_CALL_FILE_WATCH_ADD, file_watch_add, (struct os * table, int watch, int pin))
INNER(int, OS_CALL_FILE_PINNED_CHMOD, file_pinned_chmod, (struct os * table, int pin, mode_t mode))
INNER(int, OS_CALL_FILE_REMOVE, file_remove, (struct os * table, const char *path))
INNER(int, OS_CALL_FILE_REPLACE, file_replace,
    (struct os * table, const char *path, const char *bytes, size_t length, mode_t mode))
INNER(int, OS_CALL_FILE_EXECUTABLE, file_executable,
    (struct os * table, const char *directory, const char *path))
INNER(int, OS_CALL_DIRECTORY_WRITABLE, directory_writable, (struct os * table, const char *path))
INNER(int, OS_CALL_DIRECTORY_ENTERABLE, directory_enterable, (struct os * table, const char *path))
INNER(int, OS_CALL_DIRECTORY_MAKE, directory_make, (struct os * table, char *path, mode_t mode))
INNER(int, OS_CALL_DIRECTORY_REMOVE, directory_remove, (struct os * table, const char *path))
INNER(int, OS_CALL_DIRECTORY_LOCK, directory_lock, (struct os * table, const char *path))
INNER(ssize_t, OS_CALL_DIRECTORY_NAMES, directory_names,
    (struct os * table, const char *path, char *names, size_t size))
INNER(ssize_t, OS_CALL_FILE_HEAD, file_head,
    (struct os * table, const char *directory, const char *name, char *buffer, size_t size))
INNER(mode_t, OS_CALL_FILE_MASK, file_mask, (struct os * table, mode_t mask))
INNER(int, OS_CALL_HOST_FIND, host_find,
    (struct os * table, const char *host, int family, struct os_address *addresses, size_t count,
        const char **why))
INNER(int, OS_CALL_SERVICE_FIND, service_find,
    (struct os * table, const char *service, const char *protocol))
INNER(int, OS_CALL_INTERFACE_FIND, interface_find, (struct os * table, const char *name))
INNER(
    int, OS_CALL_USER_FIND, user_find, (struct os * table, const char *login, struct os_user *user))
INNER(int, OS_CALL_GROUP_FIND, group_find, (struct os * table, const char *name, gid_t *gid))

static uint64_t inner_clock_ms(struct os *table)
{
    see(OS_CALL_CLOCK_MS);
    return 5000;
}

static void inner_wall_clock(struct os *table, struct os_time *now)
{
    see(OS_CALL_WALL_CLOCK);
    *now = (struct os_time){.seconds = 1000000};
}

static void inner_local_time(struct os *table, int64_t seconds, struct tm *local)
{
    see(OS_CALL_LOCAL_TIME);
}

static bool inner_is_terminal(struct os *table, int fd)
{
    see(OS_CALL_IS_TERMINAL);
    return seen.terminal;
}

static int inner_signals_read(struct os *table, int fd, int *signals, size_t count)
{
    see(OS_CALL_SIGNALS_READ);
    seen.size = count;
    return seen.result;
}

static pid_t inner_spawn(struct os *table, const struct os_spawn *plan)
{
    see(OS_CALL_SPAWN);
    seen.plan = *plan;
    if (plan->move_count > 0)
        seen.first_move = plan->moves[0];
    return seen.result;
}

static int inner_kill_process(struct os *table, pid_t pid, int signal)
{
    see(OS_CALL_KILL_PROCESS);
    if (signal == SIGKILL)
        seen.killed = pid;
    return seen.result;
}

static ssize_t inner_read(struct os *table, int fd, void *buffer, size_t size)
{
    see(OS_CALL_READ);
    seen.size = size;
    return seen.result;
}

static int inner_watch_wait(
    struct os *table, int set, struct os_ready *ready, size_t count, int64_t timeout_ms)
{
    see(OS_CALL_WATCH_WAIT);
    seen.size = count;
    return seen.result;
}

static ssize_t inner_output_write(
    struct os *table, struct os_output *output, const char *bytes, size_t length)
{
    see(OS_CALL_OUTPUT_WRITE);
    seen.size = length;
    return seen.result;
}

static void inner_output_close(struct os *table, struct os_output *output)
{
    see(OS_CALL_OUTPUT_CLOSE);
}

static int inner_datagrams_send(struct os *table, int fd, const struct iovec *parts, size_t count)
{
    see(OS_CALL_DATAGRAMS_SEND);
    seen.size = count;
    return seen.result;
}

static ssize_t inner_socket_send(struct os *table, int fd, const void *bytes, size_t length)
{
    see(OS_CALL_SOCKET_SEND);
    seen.size = length;
    return seen.result;
}

static void inner_pause_ms(struct os *table, unsigned milliseconds)
{
    see(OS_CALL_PAUSE_MS);
}

#define OF_INNER(constant, name) .name = inner_##name,
static struct os inner = {OS_CALLS(OF_INNER)};

static struct os_fault fault;
static struct os *const os = &fault.os;

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    seen.called = NONE;
    os_fault_init(&fault, &inner);
    return 0;
}

/* --- one use of each call --- */

enum { SIZE = 100 };

static int64_t use(enum os_call call)
{
    static char bytes[SIZE];
    static struct os_ready ready[SIZE];
    static int signals[SIZE];
    static const struct iovec parts[SIZE];
    static const struct os_spawn plan;
    const char *why;
    struct os_time now;
    struct tm local;
    struct os_user user;
    gid_t gid;
    struct os_output output;
    int number = 0, ends[2];
    switch (call) {
    case OS_CALL_CLOCK_MS:
        return (int64_t)os->clock_ms(os);
    case OS_CALL_WALL_CLOCK:
        os->wall_clock(os, &now);
        return now.seconds;
    case OS_CALL_LOCAL_TIME:
        os->local_time(os, 0, &local);
        return 0;
    case OS_CALL_PROCESS_ID:
        return os->process_id(os);
    case OS_CALL_USER_ID:
        return os->user_id(os);
    case OS_CALL_IS_TERMINAL:
        return os->is_terminal(os, 0);
    case OS_CALL_PROCESSORS:
        return os->processors(os);
    case OS_CALL_DESCRIPTORS_SEAL:
        return os->descriptors_seal(os);
    case OS_CALL_TERMINAL_SIZE:
        return os->terminal_size(os, 0, NULL, NULL);
    case OS_CALL_SIGNALS_BLOCK_PIPE:
        return os->signals_block_pipe(os);
    case OS_CALL_SIGNALS_BLOCK:
        return os->signals_block(os);
    case OS_CALL_SIGNALS_OPEN:
        return os->signals_open(os);
    case OS_CALL_SIGNALS_READ:
        return os->signals_read(os, 3, signals, SIZE);
    case OS_CALL_SPAWN:
        return os->spawn(os, &plan);
    case OS_CALL_REAP:
        return os->reap(os, &number);
    case OS_CALL_KILL_PROCESS:
        return os->kill_process(os, PID, SIGHUP);
    case OS_CALL_KILL_GROUP:
        return os->kill_group(os, PID, SIGHUP);
    case OS_CALL_PROCESS_LOOK:
        return os->process_look(os, PID, NULL);
    case OS_CALL_PIPE_OPEN:
        return os->pipe_open(os, ends);
    case OS_CALL_READ:
        return os->read(os, 3, bytes, SIZE);
    case OS_CALL_CLOSE:
        return os->close(os, 3);
    case OS_CALL_NULL_OPEN:
        return os->null_open(os);
    case OS_CALL_DUPLICATE:
        return os->duplicate(os, 3);
    case OS_CALL_IS_NONBLOCKING:
        return os->is_nonblocking(os, 3);
    case OS_CALL_SET_NONBLOCKING:
        return os->set_nonblocking(os, 3);
    case OS_CALL_WATCH_OPEN:
        return os->watch_open(os);
    case OS_CALL_WATCH_ADD:
        return os->watch_add(os, 3, 4, 5, true, false);
    case OS_CALL_WATCH_REMOVE:
        return os->watch_remove(os, 3, 4);
    case OS_CALL_WATCH_WAIT:
        return os->watch_wait(os, 3, ready, SIZE, -1);
    case OS_CALL_OUTPUT_OPEN:
        return os->output_open(os, 2, &output);
    case OS_CALL_OUTPUT_WRITE:
        return os->output_write(os, &output, bytes, SIZE);
    case OS_CALL_OUTPUT_FLUSH:
        return os->output_flush(os, &output);
    case OS_CALL_OUTPUT_CLOSE:
        os->output_close(os, &output);
        return 0;
    case OS_CALL_DATAGRAM_OPEN:
        return os->datagram_open(os, "/dev/log");
    case OS_CALL_DATAGRAMS_SEND:
        return os->datagrams_send(os, 3, parts, SIZE);
    case OS_CALL_SOCKET_OPEN:
        return os->socket_open(os, 0, 0);
    case OS_CALL_SOCKET_SET:
        return os->socket_set(os, 3, 0, 0, &number, sizeof number);
    case OS_CALL_SOCKET_GET:
        return os->socket_get(os, 3, 0, 0, &number);
    case OS_CALL_SOCKET_BIND:
        return os->socket_bind(os, 3, NULL);
    case OS_CALL_SOCKET_LISTEN:
        return os->socket_listen(os, 3, 1);
    case OS_CALL_SOCKET_CONNECT:
        return os->socket_connect(os, 3, NULL);
    case OS_CALL_SOCKET_ADDRESS:
        return os->socket_address(os, 3, NULL);
    case OS_CALL_DATAGRAM_RECEIVE:
        return os->datagram_receive(os, 3, bytes, SIZE, NULL);
    case OS_CALL_SOCKET_BACKLOG:
        return os->socket_backlog(os, 3);
    case OS_CALL_SOCKET_QUEUE:
        return os->socket_queue(os, 3, NULL);
    case OS_CALL_SOCKET_IS_SHUT:
        return os->socket_is_shut(os, 3);
    case OS_CALL_SOCKET_DISCONNECT:
        return os->socket_disconnect(os, 3);
    case OS_CALL_SOCKET_ACCEPT:
        return os->socket_accept(os, 3);
    case OS_CALL_SOCKET_PEER:
        return os->socket_peer(os, 3, NULL);
    case OS_CALL_SOCKET_SEND:
        return os->socket_send(os, 3, bytes, SIZE);
    case OS_CALL_FILE_LOOK:
        return os->file_look(os, "/", NULL);
    case OS_CALL_FILE_PIN:
        return os->file_pin(os, "/");
    case OS_CALL_FILE_PINNED_LOOK:
        return os->file_pinned_look(os, 3, NULL);
    case OS_CALL_FILE_PINNED_CHOWN:
        return os->file_pinned_chown(os, 3, 0, 0);
    case OS_CALL_FILE_PINNED_CHMOD:
        return os->file_pinned_chmod(os, 3, 0);
    case OS_CALL_FILE_PINNED_LINK:
        return os->file_pinned_link(os, 3, "/");
    case OS_CALL_FILE_WATCH_OPEN:
        return os->file_watch_open(os);
    case OS_CALL_FILE_WATCH_ADD:
        return os->file_watch_add(os, 3, 4);
    case OS_CALL_FILE_REMOVE:
        return os->file_remove(os, "/");
    case OS_CALL_FILE_REPLACE:
        return os->file_replace(os, "/", bytes, SIZE, 0);
    case OS_CALL_FILE_EXECUTABLE:
        return os->file_executable(os, NULL, "/");
    case OS_CALL_DIRECTORY_WRITABLE:
        return os->directory_writable(os, "/");
    case OS_CALL_DIRECTORY_ENTERABLE:
        return os->directory_enterable(os, "/");
    case OS_CALL_DIRECTORY_MAKE:
        return os->directory_make(os, bytes, 0);
    case OS_CALL_DIRECTORY_REMOVE:
        return os->directory_remove(os, "/");
    case OS_CALL_DIRECTORY_LOCK:
        return os->directory_lock(os, "/");
    case OS_CALL_PAUSE_MS:
        os->pause_ms(os, 10);
        return 0;
    case OS_CALL_DIRECTORY_NAMES:
        return os->directory_names(os, "/", bytes, SIZE);
    case OS_CALL_FILE_HEAD:
        return os->file_head(os, "/", "a", bytes, SIZE);
    case OS_CALL_FILE_MASK:
        return os->file_mask(os, 0);
    case OS_CALL_HOST_FIND:
        return os->host_find(os, "a", 0, NULL, 0, &why);
    case OS_CALL_SERVICE_FIND:
        return os->service_find(os, "a", "tcp");
    case OS_CALL_INTERFACE_FIND:
        return os->interface_find(os, "lo");
    case OS_CALL_USER_FIND:
        return os->user_find(os, "a", &user);
    case OS_CALL_GROUP_FIND:
        return os->group_find(os, "a", &gid);
    case OS_CALL_COUNT:
        break;
    }
    fail();
    return 0;
}

#endif
