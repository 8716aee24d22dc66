/*
 * control_world: what the tests of control share: clients, a host that notes what it is asked, and
 * three workers.
 */
#ifndef SOCKETMASTER_TEST_CONTROL_WORLD_H
#define SOCKETMASTER_TEST_CONTROL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    OWN = 1000,       /* the master's user */
    WORKER_USER = 33, /* that of -user */
    STRANGER = 65534,
    WORKER = 2001, /* workers' pids: WORKER is in slot 0, the next in slot 1, ... */
    WORKERS = 3,
    OPERATOR = 3001, /* a shell */
    ASKS_MAX = 64,
    LARGE_REPLY = 1024 * 1024,
};

static struct os_fake fake;
static struct control control;
static int listener;
static struct control_ask asks[ASKS_MAX];
static unsigned ask_count;
/* What the host replies to everything at once; NULL: nothing. */
static const char *host_words;
static size_t host_length;
static enum control_reply host_reply;
static bool worker_ended[WORKERS];

static inline int find_worker(void *context, pid_t pid)
{
    assert_ptr_equal(context, asks);
    int slot = (int)pid - WORKER;
    return slot >= 0 && slot < WORKERS && !worker_ended[slot] ? slot : -1;
}

static inline void note_ask(void *context, const struct control_ask *ask)
{
    assert_ptr_equal(context, asks);
    asks[ask_count++ % ASKS_MAX] = *ask;
    if (host_words != NULL && ask->ticket.serial != 0)
        assert_true(control_reply(
            &control, &ask->ticket, (struct text_span){host_words, host_length}, host_reply));
}

static inline const struct control_ask *last_ask(void)
{
    assert_true(ask_count > 0);
    return &asks[(ask_count - 1) % ASKS_MAX];
}

static inline void host_says(const char *words)
{
    host_words = words;
    host_length = words != NULL ? strlen(words) : 0;
    host_reply = CONTROL_REPLY_LAST;
}

static inline int set_up(void **state)
{
    (void)state;
    const struct control_host host = {asks, find_worker, note_ask};
    os_fake_init(&fake);
    fake.user = OWN;
    ask_count = 0;
    host_says("done");
    memset(worker_ended, 0, sizeof worker_ended);
    for (pid_t pid = WORKER; pid < WORKER + WORKERS; pid++)
        os_fake_relate(&fake, pid, OS_FAKE_PID);
    os_fake_relate(&fake, OPERATOR, 1);
    os_fake_relate(&fake, OS_FAKE_PID, 1);
    listener = fake.os.socket_open(&fake.os, AF_UNIX, SOCK_STREAM);
    fake.os.socket_listen(&fake.os, listener, 10);
    memset(&control, 0xa5, sizeof control);
    assert_int_equal(control_open(&control, &fake.os, listener, OWN, WORKER_USER, &host), 0);
    return 0;
}

/* Whoever was connected is closed, and nothing else is open. */
static inline int tear_down(void **state)
{
    (void)state;
    control_close(&control);
    fake.os.close(&fake.os, listener);
    os_fake_done(&fake);
    return 0;
}

static inline void pump(void)
{
    control_pump(&control, fake.now_ms);
}

/* Is there anything that would make a driver call again, now? */
static inline bool is_busy(void)
{
    struct os_ready ready;
    return control_deadline(&control) <= fake.now_ms ||
           fake.os.watch_wait(&fake.os, control.set, &ready, 1, 0) > 0;
}

/* As a driver does: until nothing is to be done. It must come to that. */
static inline void run(void)
{
    for (int turns = 0; is_busy(); turns++) {
        assert_true(turns < 100000);
        pump();
    }
}

static inline void pass(uint64_t milliseconds)
{
    fake.now_ms += milliseconds;
    run();
}

static inline bool is_open(int client)
{
    return fake.connections[client].fd >= 0;
}

static inline void say(int client, const char *words)
{
    os_fake_say(&fake, client, words, strlen(words));
}

static inline int dial_as(pid_t pid, uid_t uid)
{
    int client = os_fake_dial(&fake, listener, pid, uid);
    run();
    return client;
}

/* One that may do everything. */
static inline int dial(void)
{
    int client = dial_as(OPERATOR, OWN);
    assert_true(is_open(client));
    return client;
}

static inline const char *hear(int client)
{
    return os_fake_hear(&fake, client);
}

/* Says a line, and gives back what comes. */
static inline const char *request(int client, const char *line)
{
    say(client, line);
    say(client, "\n");
    run();
    return hear(client);
}

static inline bool reply_to(
    const struct control_ask *ask, const char *words, enum control_reply reply)
{
    return control_reply(&control, &ask->ticket, text_span_of(words), reply);
}

#endif
