/*
 * Tests of listener_inherit: what a service manager passed, and which descriptors are taken over.
 */
#include "listener_world.h"

#include <stdio.h>

/* Rules: L9 E4 E5 */
static void test_takes_over_a_listening_socket(void **state)
{
    struct os_address scoped = internet("fe80::1", 80);
    const struct {
        int domain;
        int type;
        bool listening;
        struct os_address bound;
        const char *address;
        const char *starter;
    } cases[] = {
        {AF_INET, SOCK_STREAM, true, internet("127.0.0.1", 80), "tcp://127.0.0.1:80",
            "127.0.0.1:80"},
        {AF_INET6, SOCK_STREAM, true, internet("::", 80), "tcp://[::]:80", "80"},
        {AF_INET6, SOCK_DGRAM, false, internet("::1", 53), "udp://[::1]:53", "[::1]:53"},
        {AF_INET6, SOCK_STREAM, true, scoped, "tcp://[fe80::1%3]:80", "[fe80::1%3]:80"},
        {AF_UNIX, SOCK_STREAM, true, local("/run/x y", 9), "unix:///run/x%20y", "/run/x y"},
        {AF_UNIX, SOCK_STREAM, true, local("x", 2), "unix:x", "x"},
        {AF_UNIX, SOCK_DGRAM, false, local("\0na=me", 6), "unixgram:@na%3Dme", "@na=me"},
        {AF_UNIX, SOCK_SEQPACKET, true, local("/q", 3), "unixpacket:///q", "/q"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct os_address bound = cases[i].bound;

        set_up(state);
        if (i == 3)
            ((struct sockaddr_in6 *)(void *)&bound.address)->sin6_scope_id = 3;
        os_fake_socket(&fake, 7, cases[i].domain, cases[i].type, &bound, cases[i].listening);
        assert_true(open_uri("fd://7?name=web"));
        assert_string_equal(listeners.items[0].address, cases[i].address);
        assert_string_equal(listeners.items[0].starter, cases[i].starter);
        assert_string_equal(listeners.items[0].name, "web");
        assert_int_equal(listeners.items[0].fd, 3);
        assert_true(os_fake_saw(&fake, "close 7"));
        /* What it took over it neither changes nor removes. */
        assert_int_equal(os_fake_uses(&fake, "set_nonblocking"), 0);
        close_all();
        assert_int_equal(os_fake_uses(&fake, "file_remove"), 0);
    }
}

/* Rules: L9 C6 */
static void test_refuses_what_is_not_a_listening_socket(void **state)
{
    const struct os_address bound = internet("127.0.0.1", 80);
    const struct {
        int domain; /* 0: not a socket */
        int type;
        bool listening;
        struct os_address bound;
        const char *error;
    } cases[] = {
        {AF_INET, SOCK_STREAM, false, bound, "the socket is not listening"},
        {AF_UNIX, SOCK_SEQPACKET, false, local("\0a", 2), "the socket is not listening"},
        {AF_INET, SOCK_STREAM, false, internet("0.0.0.0", 0),
            "the socket is not bound to an address"},
        {AF_INET6, SOCK_DGRAM, false, internet("::", 0), "the socket is not bound to an address"},
        {AF_UNIX, SOCK_DGRAM, false, local("", 0), "the socket is not bound to an address"},
        {AF_INET, SOCK_RAW, false, bound, "not a kind of socket that can be passed on"},
        {0, 0, false, bound, "the descriptor is not a socket"},
    };
    char expected[128];

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        size_t row = i / 2;

        set_up(state);
        parse("fd://7");
        if (cases[row].domain != 0)
            os_fake_socket(&fake, 7, cases[row].domain, cases[row].type, &cases[row].bound,
                cases[row].listening);
        else
            fake.descriptors[7] = (struct os_fake_descriptor){.kind = OS_FAKE_OPEN, .stream = -1};
        snprintf(expected, sizeof expected, "unable to listen on \"fd://7\": %s", cases[row].error);
        assert_failed(i % 2 == 1 ? check_all() : open_all(), expected);
        assert_int_equal(os_fake_open_count(&fake), 1);
    }
    set_up(state);
    assert_failed(open_uri("fd://8"), "unable to listen on \"fd://8\": the descriptor is not open");
}

/* Rules: L9 E1 */
static void test_copies_and_closes_the_originals_at_the_end(void **state)
{
    struct os_address address = internet("127.0.0.1", 80);

    (void)state;
    os_fake_socket(&fake, 3, AF_INET, SOCK_STREAM, &address, true);
    fake.descriptors[0] = fake.descriptors[3];
    parse("tcp4://:81");
    parse("fd://3");
    parse("fd://3?nonblock=true");
    parse("fd://0");
    assert_true(open_all());
    for (int i = 0; i < 4; i++) {
        assert_int_equal(listeners.items[i].fd, 4 + i);
        assert_string_equal(
            listeners.items[i].address, i == 0 ? "tcp4://0.0.0.0:81" : "tcp://127.0.0.1:80");
        assert_int_equal(listeners.items[i].nonblock, i == 2);
        assert_int_equal(fake.descriptors[4 + i].nonblocking, i == 2);
    }
    assert_int_equal(os_fake_uses(&fake, "close"), 1);
    assert_true(os_fake_saw(&fake, "close 3"));
    close_all();
}

/* Rules: L9 */
static void test_a_number_that_is_not_open_is_never_one_of_our_own(void **state)
{
    static const char *const missing[] = {"fd://3", "fd://8"};

    for (size_t i = 0; i < COUNT(missing); i++) {
        struct os_address address = internet("127.0.0.1", 80);
        char expected[128];

        set_up(state);
        os_fake_socket(&fake, 7, AF_INET, SOCK_STREAM, &address, true);
        parse("tcp4://:81"); /* would be 3 */
        for (int j = 4; j < 8; j++)
            parse("fd://7"); /* would be 4 and on */
        parse(missing[i]);
        snprintf(expected, sizeof expected,
            "unable to listen on \"%s\": the descriptor is not open", missing[i]);
        assert_failed(open_all(), expected);
        assert_int_equal(os_fake_open_count(&fake), 1);
    }
}

/* Rules: L9 */
static void test_reads_what_was_passed(void **state)
{
    static const struct {
        const char *variables[4];
        int count; /* -1: malformed */
        const char *words;
    } cases[] = {
        {{NULL}, 0, NULL},
        {{"LISTEN_PID=1000", NULL}, 0, NULL},
        {{"LISTEN_FDS=1", NULL}, 0, NULL},
        {{"LISTEN_PID=999", "LISTEN_FDS=x", NULL}, 0, NULL},
        {{"LISTEN_PID=1000x", "LISTEN_FDS=1", NULL}, 0, NULL},
        {{"LISTEN_PIDS=1000", "LISTEN_FDS=1", NULL}, 0, NULL},
        {{"LISTEN_PID=1000", "LISTEN_FDS=0", "LISTEN_FDNAMES=a", NULL}, 0, NULL},
        {{"LISTEN_PID=1000", "LISTEN_FDS=2", NULL}, 2, NULL},
        {{"LISTEN_PID=1000", "LISTEN_FDS=1", "LISTEN_FDNAMES=", NULL}, 1, ""},
        {{"LISTEN_FDNAMES=a:b c", "LISTEN_FDS=2", "LISTEN_PID=1000", NULL}, 2, "a:b c"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=256", NULL}, 256, NULL},
        {{"LISTEN_PID=1000", "LISTEN_FDS=257", NULL}, -1,
            "LISTEN_FDS=\"257\": expected a number from 0 to 256"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=-1", NULL}, -1,
            "LISTEN_FDS=\"-1\": expected a number from 0 to 256"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=", NULL}, -1,
            "LISTEN_FDS=\"\": expected a number from 0 to 256"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=2", "LISTEN_FDNAMES=a", NULL}, -1,
            "LISTEN_FDNAMES=\"a\": expected as many names as LISTEN_FDS says"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=1", "LISTEN_FDNAMES=a:", NULL}, -1,
            "LISTEN_FDNAMES=\"a:\": expected as many names as LISTEN_FDS says"},
        {{"LISTEN_PID=1000", "LISTEN_FDS=1", "LISTEN_FDNAMES=a\033", NULL}, -1,
            "LISTEN_FDNAMES=\"a\\x1b\": expected names of at most 255 printable bytes, separated "
            "by colons"},
    };
    char expected[256];

    for (size_t i = 0; i < COUNT(cases); i++) {
        bool read;

        set_up(state);
        activation.count = 99;
        read = listener_activation_read(
            &activation, &fake.os, (char *const *)cases[i].variables, &error);
        assert_int_equal(read, cases[i].count >= 0);
        if (read) {
            assert_int_equal(activation.count, cases[i].count);
            if (cases[i].words == NULL)
                assert_null(activation.names);
            else
                assert_string_equal(activation.names, cases[i].words);
            assert_int_equal(error.length, 0);
        } else {
            snprintf(expected, sizeof expected, "unable to take the passed descriptors: %s",
                cases[i].words);
            assert_string_equal(error_bytes, expected);
        }
    }
}

/* Rules: L9 */
static void test_a_passed_name_has_a_limit(void **state)
{
    static char variable[sizeof "LISTEN_FDNAMES=" + URI_NAME_MAX + 1] = "LISTEN_FDNAMES=";
    static char pid[] = "LISTEN_PID=1000";
    static char fds[] = "LISTEN_FDS=1";
    char *environment[] = {pid, fds, variable, NULL};
    size_t prefix = strlen(variable);

    (void)state;
    memset(variable + prefix, 'n', URI_NAME_MAX);
    assert_true(listener_activation_read(&activation, &fake.os, environment, &error));
    variable[prefix + URI_NAME_MAX] = 'n';
    assert_false(listener_activation_read(&activation, &fake.os, environment, &error));
    assert_int_equal(activation.count, 0);
}

/* Three sockets as a service manager passes them. */
static void pass_three(void)
{
    for (int i = 0; i < 3; i++) {
        struct os_address address = internet("127.0.0.1", (uint16_t)(81 + i));

        os_fake_socket(&fake, 3 + i, AF_INET, SOCK_STREAM, &address, true);
    }
    activation = (struct listener_activation){3, "web:ctl:web"};
}

/* Rules: L9 */
static void test_takes_passed_descriptors_by_name(void **state)
{
    static const struct {
        const char *uri;      /* NULL: no -listen at all */
        const char *names;    /* LISTEN_FDNAMES */
        const char *taken[4]; /* name and port of each */
    } cases[] = {
        {NULL, "web:ctl:web", {"web 81", "ctl 82", "web 83"}},
        {NULL, NULL, {"unknown 81", "unknown 82", "unknown 83"}},
        {NULL, "::x", {" 81", " 82", "x 83"}},
        {"fd://web", "web:ctl:web", {"web 81", "web 83"}},
        {"fd://web?name=w", "web:ctl:web", {"w 81", "w 83"}},
        {"fd://ctl", "web:ctl:web", {"ctl 82"}},
        {"fd://5", "web:ctl:web", {"web 83"}},
        {"fd://unknown", NULL, {"unknown 81", "unknown 82", "unknown 83"}},
    };
    char found[URI_NAME_MAX + 16];

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t count = 0;

        set_up(state);
        pass_three();
        activation.names = cases[i].names;
        if (cases[i].uri != NULL)
            parse(cases[i].uri);
        assert_true(open_all());
        for (; cases[i].taken[count] != NULL; count++) {
            const struct listener *listener = &listeners.items[count];

            snprintf(
                found, sizeof found, "%s %s", listener->name, strrchr(listener->address, ':') + 1);
            assert_string_equal(found, cases[i].taken[count]);
        }
        assert_int_equal(listeners.count, count);
        assert_int_equal(os_fake_open_count(&fake), 3);
        listeners_close(&listeners, &fake.os);
        /* Nobody asked for the others. */
        assert_int_equal(os_fake_open_count(&fake), 3 - count);
    }
}

/* Rules: L9 */
static void test_says_which_names_there_are(void **state)
{
    (void)state;
    pass_three();
    assert_failed(open_uri("fd://db"), "unable to listen on \"fd://db\": no passed descriptor has "
                                       "this name; there are \"web\", \"ctl\", \"web\"");
    activation = (struct listener_activation){1, NULL};
    text_init(&error, error_bytes, sizeof error_bytes);
    assert_failed(open_uri("fd://db"), "unable to listen on \"fd://db\": no passed descriptor has "
                                       "this name; there is \"unknown\"");
    assert_int_equal(os_fake_open_count(&fake), 3);
}

/* Rules: L9 C6 */
static void test_says_which_passed_descriptor_is_wrong(void **state)
{
    (void)state;
    pass_three();
    activation = (struct listener_activation){4, NULL};
    assert_failed(
        open_all(), "unable to listen on passed descriptor 6: the descriptor is not open");
    assert_int_equal(os_fake_open_count(&fake), 3);
}

/* Rules: L9 */
static void test_has_a_limit_of_listeners(void **state)
{
    static char names[2 * LIMIT_LISTENERS];
    struct os_address address = internet("127.0.0.1", 80);

    (void)state;
    for (int i = 0; i < LIMIT_LISTENERS; i++)
        os_fake_socket(&fake, 3 + i, AF_INET, SOCK_STREAM, &address, true);
    for (size_t i = 0; i < sizeof names - 1; i++)
        names[i] = i % 2 == 0 ? 'a' : ':';
    activation = (struct listener_activation){LIMIT_LISTENERS, names};
    assert_true(open_all());
    assert_int_equal(listeners.count, LIMIT_LISTENERS);
    assert_int_equal(os_fake_open_count(&fake), LIMIT_LISTENERS);
    listeners_close(&listeners, &fake.os);

    for (int i = 0; i < LIMIT_LISTENERS; i++)
        os_fake_socket(&fake, 3 + i, AF_INET, SOCK_STREAM, &address, true);
    parse("fd://a");
    parse("tcp://:80");
    assert_failed(open_all(), "unable to listen on more than 256 sockets");
    uri_count = 0;
    parse("fd://a");
    parse("fd://a");
    text_init(&error, error_bytes, sizeof error_bytes);
    assert_failed(open_all(), "unable to listen on more than 256 sockets");
    assert_int_equal(os_fake_uses(&fake, "duplicate"), LIMIT_LISTENERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_takes_over_a_listening_socket, set_up),
        cmocka_unit_test_setup(test_refuses_what_is_not_a_listening_socket, set_up),
        cmocka_unit_test_setup(test_copies_and_closes_the_originals_at_the_end, set_up),
        cmocka_unit_test_setup(test_a_number_that_is_not_open_is_never_one_of_our_own, set_up),
        cmocka_unit_test_setup(test_reads_what_was_passed, set_up),
        cmocka_unit_test_setup(test_a_passed_name_has_a_limit, set_up),
        cmocka_unit_test_setup(test_takes_passed_descriptors_by_name, set_up),
        cmocka_unit_test_setup(test_says_which_names_there_are, set_up),
        cmocka_unit_test_setup(test_says_which_passed_descriptor_is_wrong, set_up),
        cmocka_unit_test_setup(test_has_a_limit_of_listeners, set_up),
    };

    return cmocka_run_group_tests_name("listener_inherit", tests, NULL, NULL);
}
