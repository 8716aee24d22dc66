/*
 * Tests of control: who may say what (rule K3), as the kernel and the process tree tell.
 */
#include "control_world.h"

#include <errno.h>

#include "ancestor.h"

enum {
    CHILD = 4001,      /* of the first worker */
    GRANDCHILD = 4002, /* of it */
    LEFT_ALONE = 4003, /* its parent has ended */
    ELSEWHERE = 4004,  /* a stranger's */
    GONE = 4999,
};

static void relate_all(void)
{
    os_fake_relate(&fake, CHILD, WORKER);
    os_fake_relate(&fake, GRANDCHILD, CHILD);
    os_fake_relate(&fake, LEFT_ALONE, GONE);
    os_fake_relate(&fake, ELSEWHERE, OPERATOR);
}

/* Rules: K3 */
static void test_the_table_of_peers(void **state)
{
    (void)state;
    relate_all();
    static const struct {
        pid_t pid;
        uid_t uid;
        enum control_role role;
    } cases[] = {
        /* in a worker's tree, under whatever user */
        {WORKER, WORKER_USER, CONTROL_WORKER},
        {WORKER, 0, CONTROL_WORKER},
        {WORKER + 2, OWN, CONTROL_WORKER},
        {CHILD, STRANGER, CONTROL_WORKER},
        {GRANDCHILD, OWN, CONTROL_WORKER},
        {GRANDCHILD, 0, CONTROL_WORKER},
        /* in nobody's */
        {OPERATOR, 0, CONTROL_OPERATOR},
        {OPERATOR, OWN, CONTROL_OPERATOR},
        {ELSEWHERE, OWN, CONTROL_OPERATOR},
        {OPERATOR, WORKER_USER, CONTROL_NOBODY},
        {OPERATOR, STRANGER, CONTROL_NOBODY},
        {OS_FAKE_PID, OWN, CONTROL_OPERATOR},
        /* gone, or left alone */
        {GONE, 0, CONTROL_GONE},
        {GONE, OWN, CONTROL_GONE},
        {GONE, WORKER_USER, CONTROL_GONE},
        {GONE, STRANGER, CONTROL_NOBODY},
        {LEFT_ALONE, OWN, CONTROL_GONE},
        {LEFT_ALONE, STRANGER, CONTROL_NOBODY},
        /* in another pid namespace */
        {0, 0, CONTROL_OPERATOR},
        {0, OWN, CONTROL_OPERATOR},
        {0, WORKER_USER, CONTROL_NOBODY},
        {0, STRANGER, CONTROL_NOBODY},
        /* process 1 */
        {1, 0, CONTROL_OPERATOR},
        {1, STRANGER, CONTROL_NOBODY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int client = dial_as(cases[i].pid, cases[i].uid);
        assert_int_equal(is_open(client), cases[i].role != CONTROL_NOBODY);
        if (cases[i].role == CONTROL_NOBODY) {
            assert_non_null(strstr(hear(client), "Permission denied: you are neither root"));
            continue;
        }
        ask_count = 0;
        const char *heard = request(client, "command: inc");
        bool may = cases[i].role == CONTROL_OPERATOR;
        assert_int_equal(ask_count, may);
        if (!may)
            assert_string_equal(heard,
                "{\"message\": \"Permission denied: \\\"inc\\\" is for root and for the user that "
                "socketmaster runs as, and not for processes of its workers\", \"error\": "
                "true}\n");
        /* The refused live on, and all may ack for the worker that they may be of. */
        request(client, "{command: worker:ack, pid: 2001}");
        bool other = cases[i].pid == WORKER + 2;
        assert_int_equal(ask_count, (unsigned)may + !other);
        if (!other) {
            assert_int_equal(last_ask()->role, cases[i].role);
            assert_int_equal(last_ask()->slot, 0);
        }
        assert_false(is_open(client));
    }
}

/* Rules: K3 */
static void test_which_worker_an_ack_is_for(void **state)
{
    (void)state;
    relate_all();
    static const struct {
        pid_t peer;
        const char *line;
        int slot; /* -1: none */
    } cases[] = {
        {WORKER, "{command: worker:ack, pid: 2001}", 0},
        {WORKER + 1, "{command: worker:ack, pid: 2002}", 1},
        {WORKER + 1, "{command: worker:ping, pid: 2002, request_id: a}", 1},
        {WORKER, "{command: worker:ack, pid: 2002}", -1},
        {CHILD, "{command: worker:ack, pid: 2002}", -1},
        /* a process of the worker's that gives its own number, or none, or that of its namespace */
        {CHILD, "{command: worker:ack, pid: 2001}", 0},
        {CHILD, "{command: worker:ack, pid: 4001}", 0},
        {GRANDCHILD, "{command: worker:ack, pid: 7}", 0},
        {GRANDCHILD, "{command: worker:ack}", 0},
        {OPERATOR, "{command: worker:ack, pid: 2003}", 2},
        {OPERATOR, "{command: worker:ack, pid: 3001}", -1},
        {OPERATOR, "{command: worker:ack}", -1},
        {OPERATOR, "{command: worker:ack, pid: -1}", -1},
        {GONE, "{command: worker:ack, pid: 2003}", 2},
        {GONE, "{command: worker:ping, pid: 2009}", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask_count = 0;
        int client = dial_as(cases[i].peer, OWN);
        const char *heard = request(client, cases[i].line);
        assert_int_equal(ask_count, cases[i].slot >= 0);
        if (cases[i].slot >= 0)
            assert_int_equal(last_ask()->slot, cases[i].slot);
        assert_int_equal(heard[0] == '\0', cases[i].slot >= 0);
        assert_false(is_open(client));
    }
    assert_string_equal(request(dial_as(WORKER, OWN), "{command: worker:ack, pid: 2002}"),
        "{\"message\": \"Permission denied: no worker that you may speak for has the pid 2002\", "
        "\"error\": true}\n");
    assert_string_equal(request(dial(), "{command: worker:ack, pid: x, id: 1}"),
        "{\"message\": \"Invalid request: \\\"pid\\\" must be the number of a worker\", "
        "\"request_id\": 1, \"error\": true}\n");
}

/* Rules: K3 */
static void test_a_worker_that_has_ended_says_nothing(void **state)
{
    (void)state;
    int client = dial_as(WORKER, WORKER_USER);
    worker_ended[0] = true;
    assert_non_null(strstr(request(client, "{command: worker:ack, pid: 2001}"), "no worker that"));
    assert_int_equal(ask_count, 0);
}

/* Rules: K3 */
static void test_workers_get_no_help(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "command: help", "command: ehlo", "command: state", "command: nothing", "command: worker"};
    int client = dial_as(WORKER, WORKER_USER);
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_memory_equal(
            request(client, lines[i]), "{\"message\": \"Permission denied: \\\"", 34);
    assert_true(is_open(client));
}

/* Rules: K3 */
static void test_a_parent_that_ends_during_the_walk(void **state)
{
    (void)state;
    relate_all();
    /* At the second look of the first walk; the next one finds the new parent. */
    os_fake_fail(&fake, "process_look", 2, ESRCH);
    int client = dial_as(ELSEWHERE, OWN);
    assert_string_equal(request(client, "command: inc"), "{\"message\": \"done\"}\n");
    assert_int_equal(last_ask()->role, CONTROL_OPERATOR);
}

/* Rules: K3 I7 */
static void test_who_cannot_be_traced_is_no_operator(void **state)
{
    (void)state;
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, EACCES};
    for (size_t i = 0; i < COUNT(errors); i++) {
        os_fake_fail(&fake, "process_look", 1, errors[i]);
        int client = dial_as(OPERATOR, 0);
        assert_memory_equal(
            request(client, "command: inc"), "{\"message\": \"Permission denied: ", 32);
        request(client, "{command: worker:ack, pid: 2001}");
        assert_int_equal(last_ask()->role, CONTROL_GONE);
    }
    /* Nor is who has more ancestors than anybody looks at. */
    for (pid_t pid = 6000; pid < 6000 + ANCESTOR_STEPS_MAX + 2; pid++)
        os_fake_relate(&fake, pid, pid == 6000 ? WORKER : pid - 1);
    request(dial_as(6000 + ANCESTOR_STEPS_MAX + 1, OWN), "{command: worker:ack, pid: 2001}");
    assert_int_equal(last_ask()->role, CONTROL_GONE);
    request(dial_as(6000 + ANCESTOR_STEPS_MAX, OWN), "{command: worker:ack, pid: 2001}");
    assert_int_equal(last_ask()->role, CONTROL_WORKER);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_table_of_peers),
        CASE(test_which_worker_an_ack_is_for),
        CASE(test_a_worker_that_has_ended_says_nothing),
        CASE(test_workers_get_no_help),
        CASE(test_a_parent_that_ends_during_the_walk),
        CASE(test_who_cannot_be_traced_is_no_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
