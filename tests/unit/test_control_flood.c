/*
 * Tests of control: clients that flood, dribble or never read, too many of them, long replies, and
 * a kernel that is out of everything.
 */
#include "control_world.h"

#include <errno.h>
#include <stdlib.h>

static char bytes[PROTO_LINE_MAX + 2];
static char large[CONTROL_LARGE + 1];

/* A request of this many bytes, without its newline. */
static const char *request_of(size_t length)
{
    static const char begin[] = "{command: inc, x: '";
    static const char end[] = "'}";
    memset(bytes, '.', sizeof bytes);
    memcpy(bytes, begin, strlen(begin));
    memcpy(bytes + length - strlen(end), end, strlen(end));
    bytes[length] = '\0';
    return bytes;
}

static const char *large_reply(size_t length)
{
    memset(large, 'x', length);
    large[length] = '\0';
    return large;
}

/* --- what they send --- */

/* Rules: K4 I11 */
static void test_the_longest_line_and_one_byte_more(void **state)
{
    (void)state;
    int client = dial();
    assert_string_equal(request(client, request_of(PROTO_LINE_MAX)), "{\"message\": \"done\"}\n");
    assert_true(is_open(client));
    assert_string_equal(request(client, request_of(PROTO_LINE_MAX + 1)),
        "{\"message\": \"Could not parse command: longer than 65536 bytes\", \"error\": true}\n");
    assert_false(is_open(client));
    assert_int_equal(ask_count, 1);
}

/* Rules: K4 I11 I12 */
static void test_megabytes_without_a_newline(void **state)
{
    (void)state;
    enum { PIECES = 64 };
    int client = dial();
    memset(bytes, 'a', sizeof bytes);
    int piece = 0;
    for (; piece < PIECES && is_open(client); piece++) {
        os_fake_say(&fake, client, bytes, PROTO_LINE_MAX);
        run();
    }
    assert_int_equal(piece, 2);
    assert_non_null(strstr(hear(client), "longer than 65536 bytes"));
}

/* Rules: K4 I12 */
static void test_the_line_after_an_unanswered_request_is_bounded_too(void **state)
{
    (void)state;
    host_says(NULL);
    int client = dial();
    request(client, "command: upgrade");
    memset(bytes, 'a', sizeof bytes);
    os_fake_say(&fake, client, bytes, PROTO_LINE_MAX);
    os_fake_say(&fake, client, bytes, PROTO_LINE_MAX / 2);
    run();
    assert_true(is_open(client));
    reply_to(last_ask(), "Upgrade done", CONTROL_REPLY_LAST);
    run();
    assert_false(is_open(client));
    assert_string_equal(hear(client),
        "{\"message\": \"Upgrade done\"}\n"
        "{\"message\": \"Could not parse command: longer than 65536 bytes\", \"error\": true}\n");
}

/* Rules: K4 I12 */
static void test_a_dribbler_has_ten_seconds_for_a_line(void **state)
{
    (void)state;
    int other = dial();
    int client = dial();
    request(client, "{command: inc, id: 5}");
    uint64_t began = fake.now_ms;
    for (uint64_t passed = 0; passed < CONTROL_STALL_MS; passed += 100) {
        assert_true(is_open(client));
        say(client, "{");
        run();
        assert_int_equal(control_deadline(&control), began + CONTROL_STALL_MS);
        assert_string_equal(request(other, "command: inc"), "{\"message\": \"done\"}\n");
        pass(100);
    }
    assert_false(is_open(client));
    assert_string_equal(hear(client),
        "{\"message\": \"Could not parse command: no newline came for "
        "10 seconds\", \"error\": true}\n");
    assert_true(is_open(other));
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
}

/* Rules: K4 */
static void test_each_line_has_its_own_ten_seconds(void **state)
{
    (void)state;
    int client = dial();
    for (int i = 0; i < 5; i++) {
        say(client, "command: ");
        run();
        pass(CONTROL_STALL_MS - 1);
        assert_string_equal(request(client, "inc"), "{\"message\": \"done\"}\n");
        assert_int_equal(control_deadline(&control), CONTROL_NEVER);
    }
    /* While a reply is awaited nobody asks for the rest of the next line. */
    host_says(NULL);
    request(client, "command: upgrade");
    say(client, "command: ");
    run();
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
    pass(3 * CONTROL_STALL_MS);
    reply_to(last_ask(), "Upgrade done", CONTROL_REPLY_LAST);
    run();
    assert_int_equal(control_deadline(&control), fake.now_ms + CONTROL_STALL_MS);
    pass(CONTROL_STALL_MS - 1);
    assert_true(is_open(client));
    pass(1);
    assert_false(is_open(client));
}

/* Rules: K4 I11 I12 */
static void test_a_flood_that_is_never_read(void **state)
{
    (void)state;
    int flooder = dial();
    int other = dial();
    fake.connections[flooder].room = 10;
    for (int i = 0; i < 2000; i++)
        say(flooder, "{command: inc, id: 1}\n");
    run();
    /* One reply is on its way, and nothing more is taken until it has gone. */
    assert_int_equal(ask_count, 1);
    assert_int_equal(control_deadline(&control), fake.now_ms + CONTROL_STALL_MS);
    pass(CONTROL_STALL_MS - 1);
    assert_string_equal(request(other, "command: dec"), "{\"message\": \"done\"}\n");
    /* It reads a little: that counts. */
    fake.connections[flooder].room = 5;
    run();
    assert_int_equal(control_deadline(&control), fake.now_ms + CONTROL_STALL_MS);
    pass(CONTROL_STALL_MS);
    assert_false(is_open(flooder));
    assert_int_equal(ask_count, 2);
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
}

/* Rules: K4 I12 */
static void test_who_took_a_reply_late_has_time_for_the_next(void **state)
{
    (void)state;
    int client = dial();
    fake.connections[client].room = 10;
    say(client, "{command: inc, id: 1}\n{command: inc, id: 2}\n");
    run();
    assert_int_equal(ask_count, 1);
    /* The master is held up, and finds that there was room for the rest and a little more. */
    fake.connections[client].room = 45;
    pass(3 * CONTROL_STALL_MS);
    assert_int_equal(ask_count, 2);
    assert_true(is_open(client));
    pass(CONTROL_STALL_MS);
    assert_false(is_open(client));
}

/* Rules: K4 I12 */
static void test_a_flood_that_is_read(void **state)
{
    (void)state;
    enum { REQUESTS = 3000 };
    int client = dial();
    for (int i = 0; i < REQUESTS; i++)
        say(client, "command: worker\n");
    run();
    assert_true(is_open(client));
    assert_true(fake.connections[client].sent_count > REQUESTS * strlen("Unrecognized command"));
    assert_string_equal(
        (hear(client), request(client, "command: inc")), "{\"message\": \"done\"}\n");
}

/* Rules: K4 I12 */
static void test_long_requests_are_taken_a_few_in_a_round(void **state)
{
    (void)state;
    enum { LONG = 9 };
    for (int i = 0; i < LONG; i++)
        assert_int_equal(dial(), i);
    for (int i = 0; i < LONG; i++) {
        os_fake_say(&fake, i, request_of(PROTO_LINE_MAX), PROTO_LINE_MAX);
        say(i, "\ncommand: inc\n");
    }
    unsigned rounds = 0;
    for (unsigned before = 0; before < 2 * LONG; before = ask_count, rounds++) {
        assert_true(rounds == 0 || is_busy());
        pump();
        assert_in_range(ask_count, before + 1, before + LONG + 1);
        /* Nobody gets a second one before everybody got one. */
        for (int i = 0; i < LONG; i++) {
            size_t sent = fake.connections[i].sent_count / strlen("{\"message\": \"done\"}\n");
            assert_in_range(sent, ask_count < LONG ? 0 : 1, ask_count > LONG ? 2 : 1);
        }
    }
    assert_true(rounds >= LONG);
    assert_false(is_busy());
}

/* Rules: K4 G1 */
static void test_long_replies_are_told_a_few_in_a_round(void **state)
{
    (void)state;
    enum { LONG = 9 };
    for (int i = 0; i < LONG; i++)
        assert_int_equal(dial(), i);
    host_says(large_reply(CONTROL_ROUND));
    for (int i = 0; i < LONG; i++)
        say(i, "command: status\n");
    for (unsigned rounds = 1; rounds <= LONG; rounds++) {
        assert_true(rounds == 1 || is_busy());
        pump();
        assert_in_range(ask_count, 1, rounds);
    }
    while (is_busy())
        pump();
    assert_int_equal(ask_count, LONG);
}

/* --- what they do not read --- */

/* Rules: K4 K5 */
static void test_progress_is_left_out_and_the_last_reply_is_not(void **state)
{
    (void)state;
    char line[200];
    host_says(NULL);
    int client = dial();
    request(client, "{command: upgrade, id: 1}");
    struct control_ask ask = *last_ask();
    fake.connections[client].room = 0;
    int taken = 0;
    for (int offered = 0; offered < 1000; offered++) {
        /* It reads a part of them. */
        if (offered == 10) {
            fake.connections[client].room = 500;
            run();
        }
        snprintf(line, sizeof line, "line %d %0100d", offered, 0);
        taken += reply_to(&ask, line, CONTROL_REPLY_MORE);
    }
    assert_true(os_fake_uses(&fake, "socket_send") < 10);
    assert_true(taken > 50 && taken < CONTROL_OUTPUT / 100);
    static char words[CONTROL_LAST];
    memset(words, 'z', CONTROL_LAST - 200);
    assert_true(reply_to(&ask, words, CONTROL_REPLY_FAILED));
    fake.connections[client].room = SIZE_MAX;
    run();
    const char *heard = hear(client);
    for (int i = 0; i < taken; i++) {
        snprintf(line, sizeof line, "{\"message\": \"line %d 0", i);
        assert_memory_equal(heard, line, strlen(line));
        heard = strchr(heard, '\n') + 1;
    }
    assert_memory_equal(heard, "{\"message\": \"zzzz", 16);
    assert_non_null(strstr(heard, "zz\", \"request_id\": 1, \"error\": true}\n"));
    assert_null(strstr(heard, "(cut)"));
    assert_true(is_open(client));
}

/* Rules: K4 */
static void test_what_is_too_long_is_cut(void **state)
{
    (void)state;
    static const char cut[] = " ... (cut)\", \"wait\": true}\n";
    static char words[CONTROL_OUTPUT + 2];
    host_says(NULL);
    for (size_t begin = 0; begin < 4; begin++) {
        /* Characters of two and three bytes, at any place. */
        memset(words, 'a', begin);
        for (size_t at = begin; at + 5 < sizeof words; at += 5)
            memcpy(words + at, "\xc3\xa4\xe2\x82\xac", 6);
        int client = dial();
        request(client, "command: upgrade");
        assert_true(reply_to(last_ask(), words, CONTROL_REPLY_MORE));
        assert_true(reply_to(last_ask(), words, CONTROL_REPLY_LAST));
        const char *heard = hear(client);
        size_t first = (size_t)(strchr(heard, '\n') + 1 - heard);
        assert_true(first <= CONTROL_OUTPUT - CONTROL_LAST);
        assert_true(first > CONTROL_OUTPUT - CONTROL_LAST - 8);
        assert_true(strlen(heard) - first < CONTROL_OUTPUT);
        assert_true(strlen(heard) - first > CONTROL_OUTPUT - 8);
        assert_memory_equal(heard + first - strlen(cut), cut, strlen(cut));
        assert_non_null(strstr(heard + first, " ... (cut)\"}\n"));
        assert_null(strstr(heard, "\\ufffd"));
        os_fake_hang_up(&fake, client);
        run();
    }
}

/* Rules: K4 I12 */
static void test_who_is_gone_while_something_is_to_be_sent(void **state)
{
    (void)state;
    int client = dial();
    fake.connections[client].room = 0;
    request(client, "command: inc");
    assert_true(is_open(client));
    os_fake_hang_up(&fake, client);
    run();
    assert_false(is_open(client));
    /* Or right when it is sent. */
    client = dial();
    os_fake_fail(&fake, "socket_send", 1, ECONNRESET);
    request(client, "command: inc");
    assert_false(is_open(client));
}

/* --- long replies --- */

/* Rules: K4 K5 */
static void test_a_long_reply_comes_whole(void **state)
{
    (void)state;
    static const size_t lengths[] = {CONTROL_OUTPUT - 100, CONTROL_OUTPUT, LARGE_REPLY};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t piece = 1000; piece <= LARGE_REPLY; piece *= 10) {
            int client = dial();
            fake.write_most = piece;
            host_says(large_reply(lengths[i]));
            request(client, "command: status");
            assert_int_equal(
                fake.connections[client].sent_count, lengths[i] + strlen("{\"message\": \"\"}\n"));
            host_says("done");
            assert_string_equal(request(client, "command: inc"), "{\"message\": \"done\"}\n");
            os_fake_hang_up(&fake, client);
            run();
        }
    }
    host_says(large_reply(CONTROL_LARGE));
    int client = dial();
    request(client, "command: metrics");
    assert_in_range(fake.connections[client].sent_count, CONTROL_OUTPUT - 8, CONTROL_OUTPUT);
}

/* Rules: K4 I11 */
static void test_one_long_reply_at_a_time(void **state)
{
    (void)state;
    int first = dial();
    int second = dial();
    int third = dial();
    fake.connections[first].room = 1000;
    host_says(large_reply(LARGE_REPLY));
    request(first, "command: status");
    say(second, "command: state\n");
    say(third, "command: inc\n");
    run();
    /* Those that need no long reply go on. */
    assert_int_equal(ask_count, 2);
    assert_int_equal(asks[1].command, CONTROL_INC);
    assert_int_equal(control_deadline(&control), fake.now_ms + CONTROL_STALL_MS);
    fake.connections[first].room = SIZE_MAX;
    run();
    assert_int_equal(ask_count, 3);
    assert_int_equal(asks[2].command, CONTROL_STATE);
    size_t length = LARGE_REPLY + strlen("{\"message\": \"\"}\n");
    assert_int_equal(fake.connections[first].sent_count, length);
    assert_int_equal(fake.connections[second].sent_count, length);
}

/* Rules: K4 */
static void test_the_large_buffer_is_lent_to_one_alone(void **state)
{
    (void)state;
    host_says(NULL);
    int first = dial();
    int second = dial();
    request(first, "command: status");
    request(second, "command: status");
    assert_int_equal(ask_count, 2);
    fake.connections[first].room = 0;
    assert_true(reply_to(&asks[0], large_reply(LARGE_REPLY), CONTROL_REPLY_LAST));
    /* A host that replies so late has to do without it. */
    memset(large, 'y', LARGE_REPLY);
    assert_true(reply_to(&asks[1], large, CONTROL_REPLY_LAST));
    fake.connections[first].room = SIZE_MAX;
    run();
    assert_int_equal(
        fake.connections[first].sent_count, LARGE_REPLY + strlen("{\"message\": \"\"}\n"));
    const char *heard = hear(first);
    assert_null(strchr(heard, 'y'));
    assert_non_null(strstr(hear(second), "y ... (cut)\"}\n"));
}

/* Rules: K4 I12 */
static void test_who_reads_a_long_reply_slowly_keeps_nobody_waiting_for_ever(void **state)
{
    (void)state;
    int slow = dial();
    int second = dial();
    fake.connections[slow].room = 1000;
    host_says(large_reply(LARGE_REPLY));
    request(slow, "command: status");
    say(second, "command: status\n");
    for (int i = 0; i < 10; i++) {
        assert_true(is_open(slow));
        assert_int_equal(ask_count, 1);
        fake.connections[slow].room = 1;
        run();
        pass(CONTROL_STALL_MS / 10);
    }
    assert_false(is_open(slow));
    assert_int_equal(ask_count, 2);
    assert_true(fake.connections[second].sent_count > LARGE_REPLY);
    /* Or goes. */
    int third = dial();
    fake.connections[third].room = 1000;
    request(third, "command: status");
    say(second, "command: status\n");
    run();
    assert_int_equal(ask_count, 3);
    os_fake_hang_up(&fake, third);
    run();
    assert_int_equal(ask_count, 4);
}

/* Rules: K4 */
static void test_who_waits_for_the_long_reply_may_go(void **state)
{
    (void)state;
    int first = dial();
    int second = dial();
    fake.connections[first].room = 0;
    host_says(large_reply(LARGE_REPLY));
    request(first, "command: status");
    request(second, "command: status");
    os_fake_hang_up(&fake, second);
    run();
    assert_false(is_open(second));
    assert_true(is_open(first));
}

/* --- how many there are --- */

/* Rules: K4 I11 */
static void test_the_thirty_third_client_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        dial();
    int more = dial_as(OPERATOR, OWN);
    assert_false(is_open(more));
    assert_string_equal(hear(more),
        "{\"message\": \"Unable to serve you: too many connections\", \"error\": true}\n");
    os_fake_hang_up(&fake, 7);
    run();
    assert_string_equal(request(dial(), "command: inc"), "{\"message\": \"done\"}\n");
}

/* Rules: K4 I11 */
static void test_workers_take_half_of_the_slots(void **state)
{
    (void)state;
    os_fake_relate(&fake, 5000, WORKER);
    int first = -1;
    for (int i = 0; i < CONTROL_CLIENTS_OF_WORKERS; i++) {
        if (i % 2 == 1)
            os_fake_fail(&fake, "process_look", 1, EIO); /* so it may be a worker's */
        int client = dial_as(5000, WORKER_USER);
        assert_true(is_open(client));
        first = i == 0 ? client : first;
    }
    int more = dial_as(WORKER + 1, OWN);
    assert_false(is_open(more));
    assert_non_null(strstr(hear(more), "too many connections"));
    for (int i = 0; i < CONTROL_CLIENTS - CONTROL_CLIENTS_OF_WORKERS; i++)
        dial();
    assert_false(is_open(dial_as(OPERATOR, OWN)));
    os_fake_hang_up(&fake, first);
    run();
    more = dial_as(WORKER + 1, OWN);
    assert_true(is_open(more));
}

/* Rules: K4 */
static void test_a_rush_is_taken_in_rounds(void **state)
{
    (void)state;
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        os_fake_dial(&fake, listener, OPERATOR, OWN);
    for (size_t rounds = 1; rounds <= CONTROL_CLIENTS / CONTROL_ACCEPTS; rounds++) {
        pump();
        assert_int_equal(os_fake_uses(&fake, "socket_accept"), rounds * CONTROL_ACCEPTS);
    }
}

/* --- a kernel that is out of everything --- */

/* Rules: K4 I7 I9 */
static void test_connections_that_cannot_be_taken_are_tried_again_in_a_second(void **state)
{
    (void)state;
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPERM};
    int other = dial();
    for (size_t i = 0; i < COUNT(errors); i++) {
        os_fake_fail(&fake, "socket_accept", 1, errors[i]);
        int client = os_fake_dial(&fake, listener, OPERATOR, OWN);
        run();
        assert_false(is_open(client));
        assert_int_equal(control.accept_error, -errors[i]);
        assert_int_equal(control_deadline(&control), fake.now_ms + CONTROL_ACCEPT_AGAIN_MS);
        assert_string_equal(request(other, "command: inc"), "{\"message\": \"done\"}\n");
        pass(CONTROL_ACCEPT_AGAIN_MS - 1);
        assert_false(is_open(client));
        pass(1);
        assert_true(is_open(client));
        assert_int_equal(control.accept_error, 0);
        assert_int_equal(control_deadline(&control), CONTROL_NEVER);
    }
}

/* Rules: I9 I12 */
static void test_a_listener_that_cannot_be_left_alone(void **state)
{
    (void)state;
    os_fake_fail(&fake, "socket_accept", 1, EMFILE);
    os_fake_fail(&fake, "watch_remove", 1, ENOMEM);
    int client = os_fake_dial(&fake, listener, OPERATOR, OWN);
    run();
    /* The next round does what the last one could not: who waits wakes nobody meanwhile. */
    run();
    assert_false(is_busy());
    assert_false(is_open(client));
    pass(CONTROL_ACCEPT_AGAIN_MS);
    assert_true(is_open(client));
    os_fake_hang_up(&fake, client);
    run();
    /* Or it stays watched until the listener is watched anyway. */
    os_fake_fail(&fake, "socket_accept", 1, EMFILE);
    os_fake_fail(&fake, "watch_remove", 1, ENOMEM);
    client = os_fake_dial(&fake, listener, OPERATOR, OWN);
    pump();
    fake.now_ms += CONTROL_ACCEPT_AGAIN_MS;
    os_fake_fail(&fake, "watch_remove", 1, ENOMEM);
    pump();
    run();
    assert_true(is_open(client));
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
}

/* Rules: K4 I7 I9 */
static void test_a_listener_that_cannot_be_watched_again(void **state)
{
    (void)state;
    os_fake_fail(&fake, "socket_accept", 1, EMFILE);
    int client = os_fake_dial(&fake, listener, OPERATOR, OWN);
    run();
    os_fake_fail(&fake, "watch_add", 1, ENOMEM);
    pass(CONTROL_ACCEPT_AGAIN_MS);
    assert_false(is_open(client));
    assert_int_equal(control.accept_error, -ENOMEM);
    pass(CONTROL_ACCEPT_AGAIN_MS);
    assert_true(is_open(client));
}

/* Rules: K4 I7 */
static void test_calls_that_fail_cost_the_client_alone(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int error;
        bool told;
    } cases[] = {
        {"socket_peer", ENOBUFS, true},
        {"watch_add", ENOMEM, true},
        {"read", EIO, false},
        {"read", ECONNRESET, false},
        {"socket_send", EPIPE, false},
    };
    int other = dial();
    for (size_t i = 0; i < COUNT(cases); i++) {
        os_fake_fail(&fake, cases[i].call, 1, cases[i].error);
        int client = os_fake_dial(&fake, listener, OPERATOR, OWN);
        const char *heard = request(client, "command: inc");
        assert_string_equal(heard, cases[i].told ? "{\"message\": \"Unable to serve you: out of "
                                                   "resources\", \"error\": true}\n"
                                                 : "");
        assert_false(is_open(client));
        assert_string_equal(request(other, "command: inc"), "{\"message\": \"done\"}\n");
    }
    /* Nor can one be watched for what it is to take. */
    int client = dial();
    fake.connections[client].room = 0;
    os_fake_fail(&fake, "watch_add", 1, ENOMEM);
    request(client, "command: inc");
    assert_false(is_open(client));
    /* What is not there after all is waited for. */
    os_fake_fail(&fake, "read", 1, EAGAIN);
    os_fake_fail(&fake, "socket_send", 1, EAGAIN);
    assert_string_equal(request(other, "command: inc"), "{\"message\": \"done\"}\n");
    say(other, "command: inc\n");
    os_fake_fail(&fake, "watch_wait", 1, ENOMEM);
    pump();
    assert_string_equal(hear(other), "");
    run();
    assert_string_equal(hear(other), "{\"message\": \"done\"}\n");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_longest_line_and_one_byte_more),
        CASE(test_megabytes_without_a_newline),
        CASE(test_the_line_after_an_unanswered_request_is_bounded_too),
        CASE(test_a_dribbler_has_ten_seconds_for_a_line),
        CASE(test_each_line_has_its_own_ten_seconds),
        CASE(test_a_flood_that_is_never_read),
        CASE(test_who_took_a_reply_late_has_time_for_the_next),
        CASE(test_a_flood_that_is_read),
        CASE(test_long_requests_are_taken_a_few_in_a_round),
        CASE(test_long_replies_are_told_a_few_in_a_round),
        CASE(test_progress_is_left_out_and_the_last_reply_is_not),
        CASE(test_what_is_too_long_is_cut),
        CASE(test_who_is_gone_while_something_is_to_be_sent),
        CASE(test_a_long_reply_comes_whole),
        CASE(test_one_long_reply_at_a_time),
        CASE(test_the_large_buffer_is_lent_to_one_alone),
        CASE(test_who_reads_a_long_reply_slowly_keeps_nobody_waiting_for_ever),
        CASE(test_who_waits_for_the_long_reply_may_go),
        CASE(test_the_thirty_third_client_is_told),
        CASE(test_workers_take_half_of_the_slots),
        CASE(test_a_rush_is_taken_in_rounds),
        CASE(test_connections_that_cannot_be_taken_are_tried_again_in_a_second),
        CASE(test_a_listener_that_cannot_be_left_alone),
        CASE(test_a_listener_that_cannot_be_watched_again),
        CASE(test_calls_that_fail_cost_the_client_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
