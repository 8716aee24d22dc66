/*
 * Tests of control: requests that come in whole and in pieces, their replies, and connections.
 */
#include "control_world.h"

#include <errno.h>

/* Rules: K1 K2 */
static void test_a_request_is_asked_of_the_host_and_answered(void **state)
{
    (void)state;
    int client = dial();
    assert_string_equal(request(client, "---%0Aid: 1%0Acommand: inc%0Aargs: []%0A"),
        "{\"message\": \"done\", \"request_id\": 1}\n");
    assert_int_equal(ask_count, 1);
    assert_int_equal(last_ask()->command, CONTROL_INC);
    assert_int_equal(last_ask()->role, CONTROL_OPERATOR);
    assert_int_equal(last_ask()->peer_pid, OPERATOR);
    assert_int_equal(last_ask()->peer_uid, OWN);
    assert_true(last_ask()->has_id);
    assert_string_equal(request(client, "{\"command\": \"dec\"}"), "{\"message\": \"done\"}\n");
    assert_false(last_ask()->has_id);
    assert_true(is_open(client));
}

/* Rules: K1 K4 */
static void test_a_malformed_request_is_an_error_and_the_next_one_counts(void **state)
{
    (void)state;
    static const struct {
        const char *line, *reply;
    } cases[] = {
        {"", "{\"message\": \"Could not parse command: not a mapping\", \"error\": true}\n"},
        {"{command: inc]",
            "{\"message\": \"Could not parse command: did not find expected ',' or '}'\", "
            "\"error\": true}\n"},
        {"{id: 7, comand: inc}",
            "{\"message\": \"No \\\"command\\\" parameter provided; not sure what you want me to "
            "do.\", \"request_id\": 7, \"error\": true}\n"},
        {"{id: 7, command: inc, wait: 3}",
            "{\"message\": \"Invalid request: \\\"wait\\\" must be true or false\", "
            "\"request_id\": 7, \"error\": true}\n"},
        {"{id: a, command: set_workers}",
            "{\"message\": \"No args provided\", \"request_id\": \"a\", \"error\": true}\n"},
    };
    int client = dial();
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(request(client, cases[i].line), cases[i].reply);
    assert_int_equal(ask_count, 0);
    assert_string_equal(request(client, "command: inc"), "{\"message\": \"done\"}\n");
    assert_int_equal(ask_count, 1);
}

/* Rules: K2 */
static void test_what_needs_no_host(void **state)
{
    (void)state;
    int client = dial();
    assert_string_equal(request(client, "---%0Acommand: ehlo%0Auser: root%0A"),
        "{\"message\": \"Welcome, root! You are speaking to Einhorn Master Process 1000 "
        "(socketmaster).\\nThis is socketmaster " SOCKETMASTER_VERSION ".\\n\"}\n");
    assert_non_null(strstr(request(client, "command: ehlo%0Auser:%0A"), "Welcome! You"));
    const char *help = request(client, "{command: help, id: 1}");
    assert_non_null(strstr(help, "\\nset_workers: "));
    assert_non_null(strstr(help, "\"request_id\": 1}\n"));
    assert_null(strstr(help, "worker:ack"));
    assert_non_null(strstr(request(client, "command: reload"), "not supported yet"));
    const char *unknown = request(client, "{command: \"up\\\"grade\"}");
    assert_non_null(strstr(unknown, "Unrecognized command: \\\"up\\\\\\\"grade\\\"\\n\\nconfig: "));
    assert_non_null(strstr(unknown, "\"error\": true}\n"));
    assert_int_equal(ask_count, 0);
    assert_true(is_open(client));
}

/* Rules: K1 K4 */
static void test_lines_are_split_and_joined_in_any_way(void **state)
{
    (void)state;
    static const char lines[] = "{command: inc, id: 1}\n{command: dec, id: 2}\n\n{command: inc}\n";
    for (size_t most = 1; most <= sizeof lines; most++) {
        fake.read_most = most;
        ask_count = 0;
        int client = dial();
        say(client, lines);
        run();
        assert_int_equal(ask_count, 3);
        assert_string_equal(hear(client), "{\"message\": \"done\", \"request_id\": 1}\n"
                                          "{\"message\": \"done\", \"request_id\": 2}\n"
                                          "{\"message\": \"Could not parse command: not a "
                                          "mapping\", \"error\": true}\n"
                                          "{\"message\": \"done\"}\n");
        os_fake_hang_up(&fake, client);
        run();
        assert_false(is_open(client));
    }
}

/* Rules: K4 */
static void test_one_request_of_each_client_in_a_round(void **state)
{
    (void)state;
    int one = dial();
    int other = dial();
    for (int i = 0; i < 3; i++) {
        say(one, "command: inc\n");
        say(other, "command: inc\n");
    }
    for (unsigned rounds = 1; rounds <= 3; rounds++) {
        pump();
        assert_int_equal(ask_count, 2 * rounds);
    }
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
}

/* Rules: K2 K5 */
static void test_progress_and_the_last_reply(void **state)
{
    (void)state;
    host_says(NULL);
    int client = dial();
    assert_string_equal(request(client, "{command: rollout, id: x, wait: true}"), "");
    struct control_ask ask = *last_ask();
    assert_true(ask.wait);
    assert_true(control_is_there(&control, &ask.ticket));
    assert_true(reply_to(&ask, "Generation 2 is starting", CONTROL_REPLY_MORE));
    assert_string_equal(hear(client),
        "{\"message\": \"Generation 2 is starting\", \"request_id\": \"x\", \"wait\": true}\n");
    assert_true(reply_to(&ask, "it failed", CONTROL_REPLY_FAILED));
    assert_string_equal(
        hear(client), "{\"message\": \"it failed\", \"request_id\": \"x\", \"error\": true}\n");
    assert_false(control_is_there(&control, &ask.ticket));
    assert_false(reply_to(&ask, "once more", CONTROL_REPLY_LAST));
    assert_string_equal(hear(client), "");
}

/* Rules: K4 */
static void test_the_next_request_waits_for_the_last_reply(void **state)
{
    (void)state;
    host_says(NULL);
    int client = dial();
    request(client, "command: upgrade");
    struct control_ask ask = *last_ask();
    host_says("done");
    assert_string_equal(request(client, "command: inc\ncommand: dec"), "");
    assert_int_equal(ask_count, 1);
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
    reply_to(&ask, "Upgrade done", CONTROL_REPLY_LAST);
    assert_int_equal(control_deadline(&control), 0);
    run();
    assert_int_equal(ask_count, 3);
    assert_string_equal(hear(client),
        "{\"message\": \"Upgrade done\"}\n{\"message\": \"done\"}\n{\"message\": \"done\"}\n");
}

/* Rules: K4 */
static void test_a_stale_ticket_reaches_nobody(void **state)
{
    (void)state;
    host_says(NULL);
    int client = dial();
    request(client, "command: upgrade");
    struct control_ask ask = *last_ask();
    os_fake_hang_up(&fake, client);
    run();
    assert_false(is_open(client));
    assert_false(control_is_there(&control, &ask.ticket));
    /* Another one in the same slot. */
    int other = dial();
    request(other, "command: upgrade");
    assert_int_equal(last_ask()->ticket.client, ask.ticket.client);
    assert_false(reply_to(&ask, "Upgrade done", CONTROL_REPLY_LAST));
    assert_string_equal(hear(other), "");
    assert_true(reply_to(last_ask(), "Upgrade done", CONTROL_REPLY_LAST));
    assert_string_equal(hear(other), "{\"message\": \"Upgrade done\"}\n");
    const struct control_ticket none = {.client = 0, .serial = 0};
    assert_false(control_is_there(&control, &none));
}

/* Rules: K2 */
static void test_a_client_may_close_its_own_half(void **state)
{
    (void)state;
    host_says(NULL);
    int client = dial();
    say(client, "command: inc\n{command: upgrade, id: 1}\nunfinished");
    os_fake_say_end(&fake, client);
    run();
    assert_int_equal(last_ask()->command, CONTROL_INC);
    reply_to(last_ask(), "done", CONTROL_REPLY_LAST);
    run();
    assert_int_equal(last_ask()->command, CONTROL_UPGRADE);
    assert_true(is_open(client));
    assert_false(is_busy());
    assert_true(reply_to(last_ask(), "Upgrade done", CONTROL_REPLY_LAST));
    run();
    assert_false(is_open(client));
    assert_string_equal(hear(client),
        "{\"message\": \"done\"}\n{\"message\": \"Upgrade done\", \"request_id\": 1}\n");
    assert_int_equal(ask_count, 2);
}

/* Rules: K4 */
static void test_who_waits_and_goes_is_noticed(void **state)
{
    (void)state;
    static const char *const befores[] = {"", "command: inc\n", "unfinished"};
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = 0; i < COUNT(befores); i++) {
            host_says(NULL);
            int client = dial();
            request(client, "command: logs");
            say(client, befores[i]);
            if (half > 0)
                os_fake_say_end(&fake, client);
            run();
            assert_true(is_open(client));
            os_fake_hang_up(&fake, client);
            run();
            assert_false(is_open(client));
            assert_false(control_is_there(&control, &last_ask()->ticket));
        }
    }
}

/* Rules: K4 I9 */
static void test_clients_at_rest_cost_no_wake_up(void **state)
{
    (void)state;
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        request(dial(), "command: inc");
    assert_int_equal(control_deadline(&control), CONTROL_NEVER);
    assert_false(is_busy());
    pass(UINT64_C(100) * CONTROL_STALL_MS);
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        assert_true(is_open(i));
}

/* Rules: K2 R3 */
static void test_acks_and_pings_are_not_answered(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum control_command command;
    } cases[] = {
        {"---%0Acommand: worker:ack%0Apid: 2002%0A", CONTROL_ACK},
        {"---%0Acommand: worker:ping%0Apid: 2002%0Arequest_id: req-1%0A", CONTROL_PING},
        {"{\"command\": \"worker:ack\", \"pid\": 2002, \"id\": 4}", CONTROL_ACK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int client = dial_as(WORKER + 1, WORKER_USER);
        say(client, "");
        assert_string_equal(request(client, cases[i].line), "");
        assert_false(is_open(client));
        assert_int_equal(ask_count, i + 1);
        assert_int_equal(last_ask()->command, cases[i].command);
        assert_int_equal(last_ask()->slot, 1);
        assert_int_equal(last_ask()->pid, WORKER + 1);
        assert_int_equal(last_ask()->ticket.serial, 0);
    }
    assert_memory_equal(asks[1].request_id.bytes, "req-1", 5);
}

/* Rules: K2 */
static void test_nothing_is_taken_after_an_ack(void **state)
{
    (void)state;
    int client = dial_as(WORKER, WORKER_USER);
    assert_string_equal(
        request(client, "{command: worker:ack, pid: 2001}\n{command: worker:ping, pid: 2001}"), "");
    assert_int_equal(ask_count, 1);
    assert_false(is_open(client));
    /* Who has gone meanwhile was there when it said so. */
    client = os_fake_dial(&fake, listener, WORKER + 2, WORKER_USER);
    say(client, "{command: worker:ack, pid: 2003}\n");
    os_fake_hang_up(&fake, client);
    run();
    assert_int_equal(ask_count, 2);
    assert_int_equal(last_ask()->slot, 2);
}

/* Rules: K2 */
static void test_what_is_still_to_be_sent_is_tried_at_the_end(void **state)
{
    (void)state;
    int client = dial();
    fake.connections[client].room = 0;
    request(client, "command: inc");
    assert_int_equal(fake.connections[client].sent_count, 0);
    fake.connections[client].room = SIZE_MAX;
    control_close(&control);
    assert_string_equal(hear(client), "{\"message\": \"done\"}\n");
    assert_false(is_open(client));
    fake.os.close(&fake.os, listener);
    os_fake_done(&fake);
    set_up(state);
}

/* Rules: K1 I7 */
static void test_an_opening_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const char *const calls[] = {"set_nonblocking", "watch_open", "watch_add"};
    const struct control_host host = {asks, find_worker, note_ask};
    for (size_t i = 0; i < COUNT(calls); i++) {
        static struct control other;
        size_t open = os_fake_open_count(&fake);
        os_fake_fail(&fake, calls[i], 1, ENOMEM);
        assert_int_equal(
            control_open(&other, &fake.os, listener, OWN, WORKER_USER, &host), -ENOMEM);
        assert_int_equal(os_fake_open_count(&fake), open);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_request_is_asked_of_the_host_and_answered),
        CASE(test_a_malformed_request_is_an_error_and_the_next_one_counts),
        CASE(test_what_needs_no_host),
        CASE(test_lines_are_split_and_joined_in_any_way),
        CASE(test_one_request_of_each_client_in_a_round),
        CASE(test_progress_and_the_last_reply),
        CASE(test_the_next_request_waits_for_the_last_reply),
        CASE(test_a_stale_ticket_reaches_nobody),
        CASE(test_a_client_may_close_its_own_half),
        CASE(test_who_waits_and_goes_is_noticed),
        CASE(test_clients_at_rest_cost_no_wake_up),
        CASE(test_acks_and_pings_are_not_answered),
        CASE(test_nothing_is_taken_after_an_ack),
        CASE(test_what_is_still_to_be_sent_is_tried_at_the_end),
        CASE(test_an_opening_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
