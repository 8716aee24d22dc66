/*
 * Tests of client: conversations with a master that is not there, calls that fail, and readers that
 * are slow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "client_words.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define WELL "{\"message\": \"well\", \"request_id\": 1}\n"
#define BEGUN "{\"message\": \"begun\", \"request_id\": 1, \"wait\": true}\n"
#define REFUSED_IT "{\"message\": \"no\", \"request_id\": 1, \"error\": true}\n"
#define PATH "/run/c"

enum { WORDS_MAX = 8 };

static struct os_fake fake;
static char *environment[] = {NULL, NULL};

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    environment[0] = NULL;
    return 0;
}

/* Runs `socketmasterctl -control=/run/c WORDS`, which are separated by blanks. */
static int run(const char *words)
{
    static char copies[1024];
    static char name[] = "/usr/bin/socketmasterctl", control[] = "-control=" PATH;
    char *argv[WORDS_MAX + 3] = {name, control};
    int argc = 2;
    assert_true(strlen(words) < sizeof copies);
    strcpy(copies, words);
    for (char *word = strtok(copies, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    return client_run(&fake.os, argc, argv, environment);
}

/* Rules: K5 */
static void test_names_that_ask_for_the_client(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        bool asked;
    } cases[] = {
        {{"socketmasterctl"}, true},
        {{"/usr/bin/socketmasterctl", "-control=x"}, true},
        {{"socketmaster", "ctl"}, true},
        {{"", "ctl"}, true},
        {{"socketmaster"}, false},
        {{"socketmaster", "--", "ctl"}, false},
        {{"socketmaster", "-ctl"}, false},
        {{"socketmaster", "ctls"}, false},
        {{"socketmasterctl/x"}, false},
        {{"xsocketmasterctl"}, false},
        {{NULL}, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[3][32] = {"", "", ""};
        char *argv[] = {NULL, NULL, NULL, NULL};
        int argc = 0;
        for (; argc < 3 && cases[i].words[argc] != NULL; argc++)
            argv[argc] = strcpy(words[argc], cases[i].words[argc]);
        assert_int_equal(client_is_asked(argc, argv), cases[i].asked);
    }
}

/* Rules: K5 */
static void test_a_conversation(void **state)
{
    (void)state;
    os_fake_serve(&fake, PATH, BEGUN WELL);
    assert_int_equal(run("reload -wait"), CLIENT_DONE);
    assert_string_equal(
        os_fake_hear(&fake, 0), "{\"id\": 1, \"command\": \"rollout\", \"wait\": true}\n");
    assert_string_equal(fake.output, "begun\nwell\n");
    assert_true(os_fake_saw(&fake, "signals_block_pipe"));
    os_fake_done(&fake);
}

static const char *const sessions[] = {
    "status", "watch", "reload -wait", "logs", "metrics", "ping"};

/* Rules: K5 */
static void test_any_call_may_fail(void **state)
{
    static const struct {
        const char *call;
        int error;
    } ways[] = {
        {"socket_open", EMFILE},
        {"socket_connect", ENOENT},
        {"socket_connect", EAGAIN},
        {"watch_open", EMFILE},
        {"watch_add", ENOMEM},
        {"watch_wait", ENOMEM},
        {"socket_send", ENOBUFS},
        {"socket_send", EPIPE},
        {"read", EAGAIN},
        {"read", EIO},
        {"read", ECONNRESET},
        {"output_open", EBADF},
        {"output_write", EPIPE},
        {"output_write", ENOSPC},
        {"output_write", EAGAIN},
        {"output_flush", EIO},
        {"terminal_size", ENOTTY},
        {"file_look", EACCES},
    };
    for (size_t i = 0; i < COUNT(sessions); i++) {
        for (size_t way = 0; way < COUNT(ways); way++) {
            for (size_t nth = 1; nth < 4; nth++) {
                set_up(state);
                fake.descriptors[1].terminal = nth == 1;
                os_fake_serve(&fake, PATH, BEGUN REFUSED_IT);
                os_fake_fail(&fake, ways[way].call, nth, ways[way].error);
                assert_in_range(run(sessions[i]), CLIENT_DONE, CLIENT_NO_MASTER);
                assert_int_equal(os_fake_open_count(&fake), 0);
            }
        }
    }
}

/* Rules: K5 */
static void test_what_fails_on_the_way_to_the_master(void **state)
{
    static const struct {
        const char *call;
        int error;
        const char *told;
    } cases[] = {
        {"socket_open", EMFILE, PATH ": Too many open files\n"},
        {"watch_open", EMFILE, PATH ": Too many open files\n"},
        {"watch_add", ENOMEM, PATH ": Cannot allocate memory\n"},
        {"socket_connect", EACCES, PATH ": Permission denied\n"},
        {"socket_connect", ECONNREFUSED, PATH ": nobody listens there: the master has gone\n"},
        {"socket_send", ENOBUFS, PATH ": No buffer space available\n"},
        {"read", EIO, PATH ": Input/output error\n"},
        {"read", ECONNRESET, PATH ": the master closed the connection before it had answered\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[256] = "socketmasterctl: ";
        set_up(state);
        os_fake_serve(&fake, PATH, WELL);
        os_fake_fail(&fake, cases[i].call, 1, cases[i].error);
        assert_int_equal(run("ping"), CLIENT_NO_MASTER);
        assert_string_equal(fake.output, strcat(expected, cases[i].told));
        assert_int_equal(os_fake_open_count(&fake), 0);
    }
}

/* --- time --- */

/* Rules: K5 */
static void test_the_first_answer_has_ten_seconds(void **state)
{
    static const struct {
        const char *words;
        uint64_t waited;
    } cases[] = {
        {"ping", 10000}, {"reload -wait", 10000}, {"ping -timeout=25", 25}, {"logs -timeout=1", 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_serve(&fake, PATH, "{\"half");
        uint64_t before = fake.now_ms;
        assert_int_equal(run(cases[i].words), CLIENT_TIMED_OUT);
        assert_int_equal(fake.now_ms - before, cases[i].waited);
        assert_int_equal(os_fake_open_count(&fake), 0);
    }
}

static void answer(struct os_fake *world, pid_t pid, int number)
{
    (void)pid, (void)number;
    os_fake_say(world, 0, WELL, strlen(WELL));
}

/* Rules: K5 */
static void test_what_has_begun_is_waited_for_as_long_as_it_takes(void **state)
{
    static const struct {
        const char *words, *first;
        int status;
    } cases[] = {
        {"reload -wait", BEGUN, CLIENT_DONE},
        {"reload -wait", "", CLIENT_TIMED_OUT},
        {"reload -wait -timeout=0", "", CLIENT_DONE},
        {"reload -wait -timeout=3600001", BEGUN, CLIENT_DONE},
        {"reload -wait -timeout=3600000", BEGUN, CLIENT_TIMED_OUT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_serve(&fake, PATH, cases[i].first);
        os_fake_at(&fake, fake.now_ms + 3600000, answer, 0, 0);
        assert_int_equal(run(cases[i].words), cases[i].status);
        assert_int_equal(os_fake_open_count(&fake), 0);
    }
}

/* Rules: K5 */
static void test_a_full_queue_is_tried_again(void **state)
{
    (void)state;
    os_fake_serve(&fake, PATH, WELL);
    for (size_t i = 1; i <= 3; i++)
        os_fake_fail(&fake, "socket_connect", i, EAGAIN);
    assert_int_equal(run("ping"), CLIENT_DONE);
    assert_int_equal(os_fake_uses(&fake, "socket_connect"), 4);
    assert_int_equal(os_fake_uses(&fake, "pause_ms"), 3);

    set_up(state);
    os_fake_serve(&fake, PATH, WELL);
    os_fake_fail(&fake, "socket_connect", 0, EAGAIN);
    assert_int_equal(run("ping"), CLIENT_TIMED_OUT);
    assert_int_equal(os_fake_open_count(&fake), 0);
}

static void take_more(struct os_fake *world, pid_t pid, int number)
{
    (void)pid;
    world->connections[0].room = (size_t)number;
}

static void no_room_yet(struct os_fake *world, pid_t pid, int number)
{
    (void)pid, (void)number;
    world->connections[0].room = 0;
}

/* Rules: K5 */
static void test_a_master_that_reads_slowly_gets_it_all(void **state)
{
    (void)state;
    os_fake_serve(&fake, PATH, "");
    fake.write_most = 7;
    os_fake_fail(&fake, "socket_send", 2, EAGAIN);
    os_fake_at(&fake, fake.now_ms, no_room_yet, 0, 0);
    os_fake_at(&fake, fake.now_ms + 100, take_more, 0, 9);
    os_fake_at(&fake, fake.now_ms + 200, take_more, 0, 1000);
    os_fake_at(&fake, fake.now_ms + 300, answer, 0, 0);
    assert_int_equal(run("scale 7"), CLIENT_DONE);
    assert_string_equal(
        os_fake_hear(&fake, 0), "{\"id\": 1, \"command\": \"set_workers\", \"args\": [\"7\"]}\n");
    assert_string_equal(fake.output, "well\n");
    os_fake_done(&fake);
}

/* --- output --- */

static void read_output(struct os_fake *world, pid_t pid, int number)
{
    (void)pid;
    world->output_room = (size_t)number;
}

/* Rules: K5 */
static void test_a_slow_reader_is_waited_for(void **state)
{
    (void)state;
    os_fake_serve(&fake, PATH, WELL);
    fake.output_room = 2;
    os_fake_at(&fake, fake.now_ms + 86400000, read_output, 0, 1);
    os_fake_at(&fake, fake.now_ms + 2 * 86400000, read_output, 0, 100);
    assert_int_equal(run("ping"), CLIENT_DONE);
    assert_string_equal(fake.output, "well\n");
    os_fake_done(&fake);
}

/* Rules: K5 */
static void test_output_that_fails(void **state)
{
    static const struct {
        const char *words;
        int error, status;
    } cases[] = {
        {"status", EPIPE, CLIENT_DONE},
        {"status", ENOSPC, CLIENT_REFUSED},
        {"logs", EPIPE, CLIENT_DONE},
        {"watch", EPIPE, CLIENT_DONE},
        {"metrics", EIO, CLIENT_REFUSED},
        {"-help", EIO, CLIENT_REFUSED},
        {"-version", EPIPE, CLIENT_DONE},
        {"reload -wait", EPIPE, CLIENT_DONE},
        {"reload -wait", EIO, CLIENT_DONE},
        {"stop", EIO, CLIENT_DONE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_serve(&fake, PATH, BEGUN WELL);
        os_fake_fail(&fake, "output_write", 1, cases[i].error);
        assert_int_equal(run(cases[i].words), cases[i].status);
        bool told = cases[i].status == CLIENT_REFUSED;
        assert_int_equal(strstr(fake.output, "unable to write to standard output") != NULL, told);
        assert_int_equal(os_fake_open_count(&fake), 0);
    }
}

/* --- words --- */

/* Rules: K5 */
static void test_the_help_fits(void **state)
{
    (void)state;
    static char bytes[CLIENT_HELP_SIZE];
    struct text text;
    size_t lines = 0;
    text_init(&text, bytes, sizeof bytes);
    client_words_add_help(&text);
    assert_false(text.overflow);
    for (const char *at = bytes; *at != '\0'; lines++) {
        size_t length = strcspn(at, "\n");
        assert_in_range(length, 0, 79);
        at += length + 1;
    }
    assert_in_range(lines, 20, 40);
}

/* Rules: K5 C5 */
static void test_the_longest_complaint_fits(void **state)
{
    (void)state;
    static char control[5000] = "-control=", bytes[CLIENT_ERROR_SIZE];
    char *argv[] = {control};
    struct client_ask asked;
    struct text text;
    memset(control + strlen(control), '\x01', sizeof control - strlen(control) - 1);
    text_init(&text, bytes, sizeof bytes);
    assert_int_equal(client_words_read(1, argv, 0, environment, &asked, &text), CLIENT_WRONG);
    assert_false(text.overflow);
    assert_string_equal(strrchr(bytes, ':'), ": expected a path of at most 107 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_names_that_ask_for_the_client, set_up),
        cmocka_unit_test_setup(test_a_conversation, set_up),
        cmocka_unit_test_setup(test_any_call_may_fail, set_up),
        cmocka_unit_test_setup(test_what_fails_on_the_way_to_the_master, set_up),
        cmocka_unit_test_setup(test_the_first_answer_has_ten_seconds, set_up),
        cmocka_unit_test_setup(test_what_has_begun_is_waited_for_as_long_as_it_takes, set_up),
        cmocka_unit_test_setup(test_a_full_queue_is_tried_again, set_up),
        cmocka_unit_test_setup(test_a_master_that_reads_slowly_gets_it_all, set_up),
        cmocka_unit_test_setup(test_a_slow_reader_is_waited_for, set_up),
        cmocka_unit_test_setup(test_output_that_fails, set_up),
        cmocka_unit_test_setup(test_the_help_fits, set_up),
        cmocka_unit_test_setup(test_the_longest_complaint_fits, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
