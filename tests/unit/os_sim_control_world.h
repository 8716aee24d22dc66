/*
 * What the tests of os_sim's control socket share: a small master with such a socket, who calls
 * there, and what it says to them.
 */
#ifndef SOCKETMASTER_OS_SIM_CONTROL_WORLD_H
#define SOCKETMASTER_OS_SIM_CONTROL_WORLD_H

#include "os_sim_world.h"

#include <sys/un.h>

#define CONTROL "/run/c.sock"

enum { SLOTS = 32, REQUEST_MAX = 200, STALL_MS = 10000 };

/* How replies end. */
#define WELL "}\n"
#define MORE ", \"wait\": true}\n"
#define BADLY ", \"error\": true}\n"

static int control, control_set;

static inline void begin_controlled(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *local = (void *)&address.address;
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof local->sun_path, CONTROL);
    snprintf(sim.settings.control, sizeof sim.settings.control, CONTROL);
    begin();
    control_set = os->watch_open(os);
    control = os->socket_open(os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os->socket_bind(os, control, &address), 0);
    assert_int_equal(os->socket_listen(os, control, 16), 0);
}

/* A worker that is told of the control socket. */
static inline struct worker start_told(unsigned number)
{
    static char variable[] = "EINHORN_SOCK_PATH=" CONTROL;
    return start_oddly(number, (struct oddity){.variable = variable});
}

static inline struct worker serve_told(unsigned number)
{
    struct worker worker = start_told(number);
    sleep_ms(START_MS);
    return worker;
}

/* Somebody calls, and says what it says at first. */
static inline void call_as(
    enum os_sim_caller caller, enum os_sim_request request, struct os_sim_habit habit)
{
    const struct os_sim_process *worker = os_sim_worker(&sim, 0);
    assert_true(os_sim_call(&sim, caller, request, &habit, worker));
    sleep_ms(1);
}

static inline void call(enum os_sim_request request, struct os_sim_habit habit)
{
    call_as(OS_SIM_OPERATOR, request, habit);
}

static inline int take_call(void)
{
    int fd = os->socket_accept(os, control);
    assert_true(fd >= 0);
    return fd;
}

/* What can be read of it, as text; and time for the next. */
static inline const char *read_line(int fd, char bytes[static REQUEST_MAX])
{
    ssize_t got = os->read(os, fd, bytes, REQUEST_MAX - 1);
    assert_true(got > 0);
    bytes[got] = '\0';
    sleep_ms(1);
    return bytes;
}

static inline void hear(int fd)
{
    char bytes[REQUEST_MAX];
    read_line(fd, bytes);
}

static inline void say(int fd, const char *words)
{
    assert_int_equal(os->socket_send(os, fd, words, strlen(words)), (ssize_t)strlen(words));
}

static inline void reply_words(int fd, const char *message, const char *end, int id)
{
    char words[256];
    snprintf(words, sizeof words, "{\"message\": \"%s\", \"request_id\": %d%s", message, id, end);
    say(fd, words);
    sleep_ms(1);
}

/* Answers the request with that id, and gives the client time for the next. */
static inline void reply(int fd, const char *end, int id)
{
    reply_words(fd, "so be it", end, id);
}

#endif
