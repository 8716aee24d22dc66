/*
 * Tests of listener: what is called in which order for each kind and option, that all listeners are
 * opened or none, and what -check does.
 */
#include "listener_world.h"

#include <errno.h>
#include <stdio.h>

static const struct {
    const char *uri;
    const char *journal;
    const char *address;
    const char *starter;
} kinds[] = {
    {"tcp://:80",
        "socket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 0\nsocket_bind 3 [::]:80\n"
        "socket_listen 3 2147483647\nsocket_address 3\n",
        "tcp://[::]:80", "80"},
    {"tcp4://:80",
        "socket_open 2 1\nsocket_set 3 1 2 1\nsocket_bind 3 0.0.0.0:80\n"
        "socket_listen 3 2147483647\nsocket_address 3\n",
        "tcp4://0.0.0.0:80", "80"},
    {"tcp6://:80",
        "socket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 1\nsocket_bind 3 [::]:80\n"
        "socket_listen 3 2147483647\nsocket_address 3\n",
        "tcp6://[::]:80", "80"},
    {"tcp://[::]:80",
        "socket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 0\nsocket_bind 3 [::]:80\n"
        "socket_listen 3 2147483647\nsocket_address 3\n",
        "tcp://[::]:80", "80"},
    {"TCP://127.0.0.1:0",
        "socket_open 2 1\nsocket_set 3 1 2 1\nsocket_bind 3 127.0.0.1:0\n"
        "socket_listen 3 2147483647\nsocket_address 3\n",
        "tcp://127.0.0.1:40001", "127.0.0.1:40001"},
    {"tcp6://[::1]:https",
        "service_find https tcp\nsocket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 1\n"
        "socket_bind 3 [::1]:443\nsocket_listen 3 2147483647\nsocket_address 3\n",
        "tcp6://[::1]:443", "[::1]:443"},
    {"tcp://[fe80::1%25eth0]:80",
        "interface_find eth0\nsocket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 0\n"
        "socket_bind 3 [fe80::1]:80\nsocket_listen 3 2147483647\nsocket_address 3\n",
        "tcp://[fe80::1%eth0]:80", "[fe80::1%eth0]:80"},
    {"tcp://[fe80::1%7]:80",
        "interface_find 7\nsocket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 0\n"
        "socket_bind 3 [fe80::1]:80\nsocket_listen 3 2147483647\nsocket_address 3\n",
        "tcp://[fe80::1%7]:80", "[fe80::1%7]:80"},
    {"udp://:http",
        "service_find http udp\nsocket_open 10 2\nsocket_set 3 41 26 0\nsocket_bind 3 [::]:80\n"
        "socket_address 3\n",
        "udp://[::]:80", "80"},
    {"udp4://:53", "socket_open 2 2\nsocket_bind 3 0.0.0.0:53\nsocket_address 3\n",
        "udp4://0.0.0.0:53", "53"},
    {"udp6://:53",
        "socket_open 10 2\nsocket_set 3 41 26 1\nsocket_bind 3 [::]:53\nsocket_address 3\n",
        "udp6://[::]:53", "53"},
    {"unix:///run/a%20b%25.sock",
        "socket_open 1 1\ndirectory_lock /run\nfile_look /run/a b%.sock\n"
        "socket_bind 3 unix:/run/a b%.sock\nfile_pin /run/a b%.sock\nfile_pinned_look 5\n"
        "file_pinned_link 5 /run/a b%.sock.socketmaster\n"
        "socket_listen 3 2147483647\nclose 4\nsocket_address 3\n",
        "unix:///run/a%20b%25.sock", "/run/a b%.sock"},
    {"unixgram:///run/x",
        "socket_open 1 2\ndirectory_lock /run\nfile_look /run/x\nsocket_bind 3 unix:/run/x\n"
        "file_pin /run/x\nfile_pinned_look 5\nfile_pinned_link 5 /run/x.socketmaster\nclose "
        "4\nsocket_address 3\n",
        "unixgram:///run/x", "/run/x"},
    {"unixpacket:///x",
        "socket_open 1 5\ndirectory_lock /\nfile_look /x\nsocket_bind 3 unix:/x\n"
        "file_pin /x\nfile_pinned_look 5\nfile_pinned_link 5 /x.socketmaster\nsocket_listen 3 "
        "2147483647\nclose 4\n"
        "socket_address 3\n",
        "unixpacket:///x", "/x"},
    {"unix:@na%40me",
        "socket_open 1 1\nsocket_bind 3 unix:@na@me\nsocket_listen 3 2147483647\n"
        "socket_address 3\n",
        "unix:@na%40me", "@na@me"},
    {"unixgram:@name", "socket_open 1 2\nsocket_bind 3 unix:@name\nsocket_address 3\n",
        "unixgram:@name", "@name"},
    {"unixpacket:@name",
        "socket_open 1 5\nsocket_bind 3 unix:@name\nsocket_listen 3 2147483647\n"
        "socket_address 3\n",
        "unixpacket:@name", "@name"},
};

/* Rules: L1 L2 L3 E4 E5 O6 */
static void test_opens_each_kind(void **state)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        set_up(state);
        assert_true(open_uri(kinds[i].uri));
        assert_int_equal(listeners.count, 1);
        assert_string_equal(fake.journal, kinds[i].journal);
        assert_string_equal(listeners.items[0].address, kinds[i].address);
        assert_string_equal(listeners.items[0].starter, kinds[i].starter);
        assert_int_equal(listeners.items[0].fd, 3);
        assert_false(fake.descriptors[3].nonblocking);
        close_all();
    }
}

/* Rules: L3 */
static void test_sets_options_in_an_order_that_works(void **state)
{
    static const struct {
        const char *uri;
        const char *journal;
    } cases[] = {
        {"tcp://[::1]:80?nonblock=true&fastopen=5&defer-accept=7&nodelay=true&backlog=9"
         "&sndbuf=200&rcvbuf=100&device=eth0&freebind=true&reuseport=true&v6only=true&name=web",
            "socket_open 10 1\nsocket_set 3 1 2 1\nsocket_set 3 41 26 1\nsocket_set 3 1 15 1\n"
            "socket_set 3 41 78 1\nsocket_set 3 1 25 5 bytes\nsocket_set 3 1 8 100\n"
            "socket_set 3 1 7 200\nsocket_bind 3 [::1]:80\nsocket_set 3 6 1 1\n"
            "socket_set 3 6 9 7\nsocket_set 3 6 23 5\nset_nonblocking 3\nsocket_listen 3 9\n"
            "socket_address 3\n"},
        {"tcp4://:80?freebind=true&nodelay=false&nonblock=false",
            "socket_open 2 1\nsocket_set 3 1 2 1\nsocket_set 3 0 15 1\nsocket_bind 3 0.0.0.0:80\n"
            "socket_set 3 6 1 0\nsocket_listen 3 2147483647\nsocket_address 3\n"},
        {"udp4://:80?reuseport=true&rcvbuf=100&nonblock=true",
            "socket_open 2 2\nsocket_set 3 1 15 1\nsocket_set 3 1 8 100\n"
            "socket_bind 3 0.0.0.0:80\nset_nonblocking 3\nsocket_address 3\n"},
        {"unix:@a?backlog=1&rcvbuf=100&sndbuf=200",
            "socket_open 1 1\nsocket_set 3 1 8 100\nsocket_set 3 1 7 200\nsocket_bind 3 unix:@a\n"
            "socket_listen 3 1\nsocket_address 3\n"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        assert_true(open_uri(cases[i].uri));
        assert_string_equal(fake.journal, cases[i].journal);
        assert_string_equal(listeners.items[0].name, i == 0 ? "web" : "");
        assert_int_equal(listeners.items[0].nonblock, i % 2 == 0);
        assert_int_equal(fake.descriptors[3].nonblocking, i % 2 == 0);
        close_all();
    }
}

/* Rules: L1 */
static void test_takes_ipv4_where_there_is_no_ipv6(void **state)
{
    static const struct {
        const char *uri;
        const char *call;
        int error;
        const char *address; /* NULL: no */
    } cases[] = {
        {"tcp://:80", "socket_open", EAFNOSUPPORT, "tcp://0.0.0.0:80"},
        {"tcp://:80", "socket_bind", EADDRNOTAVAIL, "tcp://0.0.0.0:80"},
        {"udp://:80?v6only=false", "socket_open", EAFNOSUPPORT, "udp://0.0.0.0:80"},
        {"tcp://:80", "socket_bind", EADDRINUSE, NULL},
        {"tcp://:80?v6only=true", "socket_open", EAFNOSUPPORT, NULL},
        {"tcp://[::]:80", "socket_open", EAFNOSUPPORT, NULL},
        {"tcp6://:80", "socket_bind", EADDRNOTAVAIL, NULL},
        {"tcp6://:80?v6only=false", "socket_open", EAFNOSUPPORT, NULL},
        {"tcp4://:80", "socket_bind", EADDRNOTAVAIL, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_fail(&fake, cases[i].call, 1, cases[i].error);
        assert_int_equal(open_uri(cases[i].uri), cases[i].address != NULL);
        if (cases[i].address != NULL)
            assert_string_equal(listeners.items[0].address, cases[i].address);
        close_all();
    }
}

/* Rules: L1 */
static void test_prefers_ipv4_of_a_host_name(void **state)
{
    struct os_address both[] = {internet("::1", 0), internet("127.0.0.9", 0)};
    struct os_address six[] = {internet("::1", 0), internet("::2", 0)};
    const struct {
        const char *uri;
        const struct os_address *found;
        int count;
        const char *journal;
        const char *address;
    } cases[] = {
        {"tcp://h:80", both, 2, "host_find h 0", "tcp://127.0.0.9:80"},
        {"udp://h:80", six, 2, "host_find h 0", "udp://[::1]:80"},
        {"tcp4://h:80", both + 1, 1, "host_find h 2", "tcp4://127.0.0.9:80"},
        {"tcp6://h:80", six, 2, "host_find h 10", "tcp6://[::1]:80"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_answer(&fake, &(struct os_fake_answer){.call = "host_find",
                                  .result = cases[i].count,
                                  .data = cases[i].found,
                                  .size = (size_t)cases[i].count * sizeof *cases[i].found});
        assert_true(open_uri(cases[i].uri));
        assert_true(os_fake_saw(&fake, cases[i].journal));
        assert_string_equal(listeners.items[0].address, cases[i].address);
        close_all();
    }
}

/* Rules: C6 L1 L3 L5 */
static void test_looks_everything_up_before_it_opens(void **state)
{
    static const struct {
        const char *uri;
        const char *error;
    } cases[] = {
        {"tcp://:gopher", "\"tcp://:gopher\": service \"gopher\": unknown"},
        {"tcp://[fe80::1%25wlan9]:1",
            "\"tcp://[fe80::1%25wlan9]:1\": interface \"wlan9\": No such device"},
        {"unix:///run/y?user=nosuch", "\"unix:///run/y?user=nosuch\": user \"nosuch\": unknown"},
        {"unix:///run/y?group=nosuch", "\"unix:///run/y?group=nosuch\": group \"nosuch\": unknown"},
        {"tcp://:80", "\"tcp://:80\": the same address as \"tcp://:80\""},
        {"unixgram:///run/x", "\"unixgram:///run/x\": the same address as \"unix:///run/x\""},
        {"fd://web", "\"fd://web\": no descriptors were passed to this process"},
    };
    char expected[256];

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        parse("tcp://:80");
        parse("unix:///run/x");
        parse(cases[i].uri);
        snprintf(expected, sizeof expected, "unable to listen on %s", cases[i].error);
        assert_failed(open_all(), expected);
        assert_int_equal(os_fake_uses(&fake, "socket_open"), 0);
        close_all();
    }
}

/* Rules: C6 L1 */
static void test_says_why_a_host_is_not_found(void **state)
{
    (void)state;
    os_fake_answer(&fake, &(struct os_fake_answer){.call = "host_find", .result = 0});
    assert_failed(open_uri("tcp://h:80"),
        "unable to listen on \"tcp://h:80\": host \"h\": it has no address");
    close_all();
}

/* Rules: L1 */
static void test_never_opens_every_address_for_a_bad_literal(void **state)
{
    (void)state;
    parse("tcp://127.0.0.1:80");
    memcpy(uris[0].host, "127.0.0.x", sizeof "127.0.0.x"); /* the parser would not let it pass */
    assert_failed(
        open_all(), "unable to listen on \"tcp://127.0.0.1:80\": address: Invalid argument");
    close_all();
}

/* Rules: L3 */
static void test_may_share_an_address_where_that_works(void **state)
{
    static const char *const pairs[][2] = {
        {"tcp4://:0", "tcp4://:0"},
        {"tcp4://:80", "udp4://:80"},
        {"tcp4://:80", "tcp4://:81"},
        {"unix:@a", "unixgram:@a"},
        {"unix:@a", "unix:///a"},
        {"tcp4://:80?reuseport=true", "tcp4://:80?reuseport=true"},
        {"tcp4://:80?device=lo", "tcp4://:80?device=eth0"},
    };

    for (size_t i = 0; i < COUNT(pairs); i++) {
        set_up(state);
        parse(pairs[i][0]);
        parse(pairs[i][1]);
        /* What the fake does not know: two sockets on one address. */
        os_fake_answer(&fake, &(struct os_fake_answer){.call = "socket_bind", .result = 0});
        assert_true(open_all());
        close_all();
    }
}

/* Rules: L5 C6 */
static void test_gives_everything_up_when_one_fails(void **state)
{
    (void)state;
    parse("tcp://127.0.0.1:80");
    parse("unix:///run/a");
    parse("tcp://127.0.0.1:81");
    os_fake_fail(&fake, "socket_bind", 3, EACCES);
    assert_failed(
        open_all(), "unable to listen on \"tcp://127.0.0.1:81\": bind: Permission denied");
    assert_null(os_fake_find(&fake, "/run/a"));
    close_all();
}

static const char *const swept[] = {"socket_open", "socket_set", "socket_get", "socket_bind",
    "socket_listen", "socket_connect", "socket_address", "set_nonblocking", "duplicate",
    "host_find", "service_find", "interface_find", "user_find", "group_find", "directory_lock",
    "file_look", "file_pin", "file_pinned_look", "file_pinned_chown", "file_pinned_chmod",
    "file_remove"};

/* Everything that listeners_open ever calls. */
static uint64_t stage_sweep(void **state)
{
    static const char *const sources[] = {"tcp://:80", "tcp4://localhost:http?nodelay=true",
        "udp6://[fe80::1%25eth0]:53?rcvbuf=100&nonblock=true", "unix:///run/stale?mode=0600",
        "unix:///run/new?user=www-data&group=users", "unixgram:///run/gram", "unix:@name",
        "fd://9?nonblock=true"};
    struct os_address address = internet("127.0.0.1", 90);

    set_up(state);
    os_fake_socket(&fake, 9, AF_INET, SOCK_STREAM, &address, true);
    for (size_t i = 0; i < COUNT(sources); i++)
        parse(sources[i]);
    return stale_file("/run/stale")->inode;
}

/* Rules: L5 C6 */
static void test_leaves_nothing_behind_whatever_fails(void **state)
{
    size_t failed = 0;

    stage_sweep(state);
    assert_true(open_all());
    for (size_t i = 0; i < COUNT(swept); i++)
        assert_true(os_fake_uses(&fake, swept[i]) > 0);
    close_all();

    for (size_t i = 0; i < COUNT(swept); i++)
        for (size_t nth = 0;; nth++) {
            uint64_t stale = stage_sweep(state);
            const struct os_fake_file *file;

            os_fake_fail(&fake, swept[i], nth, EIO); /* 0: for ever */
            if (open_all()) {
                close_all();
                break;
            }
            failed++;
            assert_true(error.length > 0);
            assert_null(strchr(error_bytes, '\n'));
            assert_int_equal(listeners.count, 0);
            assert_int_equal(fake.mask, UMASK);
            /* The one that was passed belongs to whoever passed it. */
            assert_int_equal(os_fake_open_count(&fake), 1);
            assert_false(is_there("/run/new") || is_there("/run/gram"));
            file = os_fake_find(&fake, "/run/stale");
            assert_true(file == NULL || file->file.inode == stale);
        }
    assert_true(failed > 2 * COUNT(swept));
}

/* Rules: C7 */
static void test_check_tells_and_touches_nothing(void **state)
{
    struct os_address address = internet("127.0.0.1", 90);
    uint64_t stale = stale_file("/run/stale")->inode;

    (void)state;
    os_fake_socket(&fake, 9, AF_INET, SOCK_STREAM, &address, true);
    parse("tcp://:80?backlog=5&nodelay=true");
    parse("tcp4://127.0.0.1:0");
    parse("unix:///run/stale?mode=0600&user=www-data");
    parse("unixgram:///run/new");
    parse("unix:@name");
    parse("fd://9?nonblock=true");
    assert_true(check_all());
    assert_string_equal(plan_bytes,
        "listen on tcp://[::]:80 as descriptor 3\n"
        "listen on tcp4://127.0.0.1:0 as descriptor 4\n"
        "listen on unix:///run/stale as descriptor 5 (replaces a stale socket file)\n"
        "listen on unixgram:///run/new as descriptor 6\n"
        "listen on unix:@name as descriptor 7\n"
        "listen on tcp://127.0.0.1:90 as descriptor 8\n");
    assert_int_equal(os_fake_uses(&fake, "socket_listen"), 0);
    assert_int_equal(os_fake_uses(&fake, "file_remove"), 0);
    assert_int_equal(os_fake_uses(&fake, "file_mask"), 0);
    assert_false(is_there("/run/new"));
    assert_int_equal(os_fake_find(&fake, "/run/stale")->file.inode, stale);
    assert_false(fake.descriptors[9].nonblocking);
    assert_int_equal(os_fake_open_count(&fake), 1);
}

/* Rules: C7 */
static void test_check_takes_no_datagrams_from_a_live_server(void **state)
{
    (void)state;
    parse("udp://:53?reuseport=true");
    parse("udp://:54");
    assert_true(check_all());
    assert_false(os_fake_saw(&fake, "socket_bind 3 [::]:53"));
    assert_true(os_fake_saw(&fake, "socket_bind 3 [::]:54"));
    assert_string_equal(plan_bytes, "listen on udp://[::]:53 as descriptor 3\n"
                                    "listen on udp://[::]:54 as descriptor 4\n");
    close_all();
}

/* Rules: C7 C6 */
static void test_check_finds_what_would_fail(void **state)
{
    static const struct {
        const char *uri;
        const char *call;
        size_t nth;
        int error;
        const char *expected;
    } cases[] = {
        {"tcp4://:80", "socket_bind", 1, EADDRINUSE,
            "unable to listen on \"tcp4://:80\": bind: Address already in use"},
        {"tcp4://:80?device=eth0", "socket_set", 1, EPERM,
            "unable to listen on \"tcp4://:80?device=eth0\": reuse of the address: Operation not "
            "permitted"},
        {"udp4://:80?device=eth0", "socket_set", 1, EPERM,
            "unable to listen on \"udp4://:80?device=eth0\": device: Operation not permitted"},
        {"tcp4://:80?nodelay=true", "socket_set", 2, ENOPROTOOPT,
            "unable to listen on \"tcp4://:80?nodelay=true\": nodelay: Protocol not available"},
        {"unix:///run/s", "directory_writable", 1, EACCES,
            "unable to listen on \"unix:///run/s\": directory \"/run\": Permission denied"},
        {"unix:///run/s", "file_look", 1, EACCES,
            "unable to listen on \"unix:///run/s\": look at the path: Permission denied"},
        {"unix:///run/s", "socket_open", 1, EMFILE,
            "unable to listen on \"unix:///run/s\": socket: Too many open files"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        parse(cases[i].uri);
        os_fake_fail(&fake, cases[i].call, cases[i].nth, cases[i].error);
        assert_failed(check_all(), cases[i].expected);
        assert_string_equal(plan_bytes, "");
        close_all();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_opens_each_kind, set_up),
        cmocka_unit_test_setup(test_sets_options_in_an_order_that_works, set_up),
        cmocka_unit_test_setup(test_takes_ipv4_where_there_is_no_ipv6, set_up),
        cmocka_unit_test_setup(test_prefers_ipv4_of_a_host_name, set_up),
        cmocka_unit_test_setup(test_looks_everything_up_before_it_opens, set_up),
        cmocka_unit_test_setup(test_says_why_a_host_is_not_found, set_up),
        cmocka_unit_test_setup(test_never_opens_every_address_for_a_bad_literal, set_up),
        cmocka_unit_test_setup(test_may_share_an_address_where_that_works, set_up),
        cmocka_unit_test_setup(test_gives_everything_up_when_one_fails, set_up),
        cmocka_unit_test_setup(test_leaves_nothing_behind_whatever_fails, set_up),
        cmocka_unit_test_setup(test_check_tells_and_touches_nothing, set_up),
        cmocka_unit_test_setup(test_check_takes_no_datagrams_from_a_live_server, set_up),
        cmocka_unit_test_setup(test_check_finds_what_would_fail, set_up),
    };

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
