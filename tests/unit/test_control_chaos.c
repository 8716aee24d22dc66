/*
 * Tests of control: clients of every sort at once, in any order of events, with calls that fail.
 * What happens is chosen by a seed; after each step what must always hold is checked.
 */
#include "control_world.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SEEDS = 40,
    STEPS = 400,
    CALLERS = 40,
    HEARD = 2 * OS_FAKE_SENT,
    LONG_REPLY = 200 * 1024,
};

/* A client, and what it is owed. Requests are numbered, so that replies can be told apart. */
static struct caller {
    int connection; /* -1: not connected */
    bool operator_;
    bool stopped;   /* it said that it sends no more, or was told an error at its end */
    unsigned asked; /* requests with a newline */
    unsigned answered;
    char heard[HEARD];
    size_t heard_length;
} callers[CALLERS];

static uint64_t random_state;
static char long_words[LONG_REPLY + 1];
/* What the host has not answered yet. */
static struct control_ask pending[CONTROL_CLIENTS];

static unsigned choose(unsigned bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % bound;
}

/* Answers some at once, and others later. */
static void take_ask(void *context, const struct control_ask *ask)
{
    assert_ptr_equal(context, asks);
    if (ask->ticket.serial == 0) {
        assert_true(ask->command == CONTROL_ACK || ask->command == CONTROL_PING);
        assert_in_range(ask->slot, 0, WORKERS - 1);
        return;
    }
    assert_int_equal(ask->role, CONTROL_OPERATOR);
    assert_true(control_is_there(&control, &ask->ticket));
    if (ask->command == CONTROL_STATUS)
        reply_to(ask, long_words, CONTROL_REPLY_LAST);
    else if (ask->command == CONTROL_UPGRADE)
        pending[ask->ticket.client] = *ask;
    else
        reply_to(ask, "done", CONTROL_REPLY_LAST);
}

/* --- what clients do --- */

static void call(struct caller *caller)
{
    static const struct {
        pid_t pid;
        uid_t uid;
    } peers[] = {{OPERATOR, OWN}, {OPERATOR, 0}, {0, 0}, {WORKER, WORKER_USER}, {WORKER + 1, OWN},
        {9999, OWN}, {OPERATOR, STRANGER}};
    unsigned peer = choose(COUNT(peers));
    memset(caller, 0, offsetof(struct caller, heard));
    caller->heard_length = 0;
    caller->operator_ = peer < 3;
    caller->connection = os_fake_dial(&fake, listener, peers[peer].pid, peers[peer].uid);
}

static void ask_something(struct caller *caller)
{
    static const char *const commands[] = {
        "inc", "inc", "upgrade", "status", "help", "nothing", "worker:ack, pid: 2002"};
    char line[200];
    int length = snprintf(line, sizeof line, "{id: %u, command: %s}\n", caller->asked++,
        commands[choose(COUNT(commands))]);
    os_fake_say(&fake, caller->connection, line, (size_t)length);
}

static void flood(struct caller *caller)
{
    static char junk[8 * 1024];
    memset(junk, choose(2) == 0 ? 'j' : '\n', sizeof junk);
    /* From here on its replies cannot be told apart. */
    caller->operator_ = false;
    os_fake_say(&fake, caller->connection, junk, choose(sizeof junk));
}

static void hang_up(struct caller *caller)
{
    os_fake_hang_up(&fake, caller->connection);
    caller->connection = -1;
}

static void act(struct caller *caller)
{
    if (caller->connection < 0) {
        call(caller);
        return;
    }
    struct os_fake_connection *connection = &fake.connections[caller->connection];
    struct os_fake_stream *said = &fake.streams[connection->stream];
    bool full = said->end - said->start > OS_FAKE_STREAM_BYTES / 2;
    switch (choose(10)) {
    case 0:
        hang_up(caller);
        break;
    case 1:
        connection->room = choose(2000);
        break;
    case 2:
    case 3:
        connection->room = SIZE_MAX;
        break;
    case 4:
        if (!full && !caller->stopped && choose(3) == 0)
            flood(caller);
        break;
    case 5:
        caller->stopped |= choose(4) == 0;
        if (caller->stopped)
            os_fake_say_end(&fake, caller->connection);
        break;
    default:
        for (unsigned i = 1 + choose(4); !full && !caller->stopped && i > 0; i--)
            ask_something(caller);
    }
}

/* --- what the host does --- */

static void answer_something(void)
{
    static const char *const words[] = {"a line of the log", "+%\n\t\"\\ \xe2\x82\xac"};
    struct control_ask *ask = &pending[choose(CONTROL_CLIENTS)];
    if (ask->ticket.serial == 0)
        return;
    enum control_reply reply = choose(3) == 0 ? CONTROL_REPLY_LAST : CONTROL_REPLY_MORE;
    for (unsigned i = choose(30); reply == CONTROL_REPLY_MORE && i > 0; i--)
        reply_to(ask, words[choose(COUNT(words))], reply);
    if (reply == CONTROL_REPLY_LAST) {
        bool there = control_is_there(&control, &ask->ticket);
        assert_int_equal(reply_to(ask, "Upgrade done", reply), there);
        ask->ticket.serial = 0;
    }
}

static void break_something(void)
{
    static const char *const calls[] = {
        "read", "socket_send", "socket_accept", "socket_peer", "watch_add", "watch_wait"};
    static const int errors[] = {EAGAIN, ENOMEM, EMFILE, ECONNRESET};
    unsigned call = choose(COUNT(calls));
    fake.fail_count = 0;
    os_fake_fail(&fake, calls[call], 1 + choose(3), errors[choose(COUNT(errors))]);
}

/* --- what must hold --- */

/* Replies come in the order of the requests; each request has one last reply. */
static void check_reply(struct caller *caller, const char *line)
{
    unsigned id;
    const char *found = strstr(line, "\", \"request_id\": ");
    assert_memory_equal(line, "{\"message\": \"", 13);
    if (!caller->operator_ || found == NULL)
        return;
    assert_int_equal(sscanf(found, "\", \"request_id\": %u", &id), 1);
    assert_int_equal(id, caller->answered);
    assert_true(id < caller->asked);
    caller->answered += strstr(found, "\"wait\": true") == NULL;
}

static void check_caller(struct caller *caller)
{
    struct os_fake_connection *connection = &fake.connections[caller->connection];
    size_t length = strlen(connection->sent);
    if (caller->heard_length + length >= HEARD || connection->sent_count > OS_FAKE_SENT) {
        /* More than the fake keeps. */
        caller->operator_ = false;
        caller->heard_length = 0;
        connection->sent[0] = '\0';
        return;
    }
    memcpy(caller->heard + caller->heard_length, connection->sent, length + 1);
    caller->heard_length += length;
    connection->sent[0] = '\0';
    char *line = caller->heard;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        check_reply(caller, line);
    }
    caller->heard_length = strlen(line);
    memmove(caller->heard, line, caller->heard_length + 1);
}

static void check_all(void)
{
    unsigned open = 0, of_workers = 0;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        const struct control_client *client = &control.clients[i];
        open += client->fd >= 0;
        of_workers += client->fd >= 0 && client->role != CONTROL_OPERATOR;
        assert_true(client->fd < 0 || client->role != CONTROL_NOBODY);
        assert_true(client->input_end <= CONTROL_INPUT && client->output_end <= CONTROL_OUTPUT);
    }
    assert_true(of_workers <= CONTROL_CLIENTS_OF_WORKERS);
    /* The listener, the set, and nothing that was lost. */
    assert_int_equal(os_fake_open_count(&fake), 2 + open);
    assert_true(control.lent < 0 || control.clients[control.lent].fd >= 0);
    for (size_t i = 0; i < CALLERS; i++) {
        struct caller *caller = &callers[i];
        if (caller->connection < 0)
            continue;
        check_caller(caller);
        const struct os_fake_connection *connection = &fake.connections[caller->connection];
        if (connection->fd < 0 && connection->listener == 0)
            caller->connection = -1; /* its number may be given out again */
    }
}

static void step(void)
{
    unsigned what = choose(20);
    if (what < 13)
        act(&callers[choose(CALLERS)]);
    else if (what < 15)
        answer_something();
    else if (what == 15)
        break_something();
    else if (what == 16)
        fake.now_ms += choose(CONTROL_STALL_MS / 2);
    else if (what == 17)
        fake.read_most = choose(2) == 0 ? 1 + choose(100) : SIZE_MAX;
    else
        run();
}

/* Rules: K1 K3 K4 I7 I11 I12 */
static void test_chaos(void **state)
{
    memset(long_words, 'x', LONG_REPLY);
    control_close(&control);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        os_fake_init(&fake);
        set_up(state);
        control.host.ask = take_ask;
        random_state = seed;
        memset(pending, 0, sizeof pending);
        for (size_t i = 0; i < CALLERS; i++)
            callers[i].connection = -1;
        for (unsigned i = 0; i < STEPS; i++) {
            os_fake_forget(&fake);
            step();
            check_all();
        }
        /* All go, and nothing is left of them. */
        fake.fail_count = 0;
        for (size_t i = 0; i < CALLERS; i++)
            if (callers[i].connection >= 0)
                hang_up(&callers[i]);
        run();
        pass(CONTROL_STALL_MS);
        assert_int_equal(os_fake_open_count(&fake), 2);
        assert_int_equal(control.lent, -1);
        assert_int_equal(control_deadline(&control), CONTROL_NEVER);
        if (seed < SEEDS)
            control_close(&control);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chaos, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
