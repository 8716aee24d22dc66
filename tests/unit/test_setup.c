/*
 * Tests of setup: whatever fails before the first worker leaves nothing open and no file behind;
 * what is looked up comes before what is opened; and spawn is shown what was opened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "os_fake.h"
#include "setup.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    WORDS_MAX = 24,
    WORDS_SIZE = 4096,
};

static struct os_fake fake;
static struct config config;
static struct setup setup;
static char words_buffer[WORDS_SIZE];
static char error_bytes[SETUP_ERROR_MAX];
static char plan_bytes[SETUP_PLAN_MAX];
static struct text error;
static struct text plan;
static char *no_environment[] = {NULL};

static int set_up(void **state)
{
    (void)state;
    setup.control = (struct listener){.fd = 0}; /* as in storage that is all zero */
    os_fake_init(&fake);
    os_fake_file(&fake, "/bin/server", OS_FILE_REGULAR)->executable = true;
    os_fake_file(&fake, "/bin/plain", OS_FILE_REGULAR);
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    os_fake_file(&fake, "/srv", OS_FILE_DIRECTORY);
    os_fake_file(&fake, "/env/KEY", OS_FILE_REGULAR)->contents = "value\n";
    text_init(&error, error_bytes, sizeof error_bytes);
    text_init(&plan, plan_bytes, sizeof plan_bytes);
    return 0;
}

/* Reads a command line of a few words, separated by blanks. */
static void configure(const char *words)
{
    static char *argv[WORDS_MAX];
    static char complaint_bytes[CLI_ERROR_SIZE];
    struct text complaint;
    int argc = 0;
    assert_true(snprintf(words_buffer, sizeof words_buffer, "socketmaster %s", words) < WORDS_SIZE);
    for (char *word = strtok(words_buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    text_init(&complaint, complaint_bytes, sizeof complaint_bytes);
    if (cli_parse(argc, argv, no_environment, &config, &complaint) != CLI_RUN)
        fail_msg("%s", complaint.bytes);
}

static bool open_in(const char *words, char *const *environment)
{
    configure(words);
    return setup_open(&setup, &fake.os, &config, environment, &error);
}

static void open_well(const char *words)
{
    if (!open_in(words, no_environment))
        fail_msg("%s: %s", words, error_bytes);
    assert_int_equal(error.length, 0);
}

static bool check_in(const char *words, char *const *environment)
{
    configure(words);
    return setup_check(&setup, &fake.os, &config, environment, &plan, &error);
}

static void close_all(void)
{
    setup_close(&setup);
    os_fake_done(&fake);
}

static void expect_nothing_opened(void)
{
    assert_int_equal(os_fake_uses(&fake, "socket_open"), 0);
    assert_int_equal(os_fake_uses(&fake, "duplicate"), 0);
    assert_int_equal(os_fake_uses(&fake, "null_open"), 0);
}

static void pass_socket(int fd, uint16_t port)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&address.address, &in, sizeof in);
    os_fake_socket(&fake, fd, AF_INET, SOCK_STREAM, &address, true);
}

/* --- what fails --- */

/* A start that fails before anything is opened: its words, the call that the test makes fail (NULL:
 * it fails by itself), and the line. */
struct failure {
    const char *words;
    const char *call;
    int error;
    const char *said;
};

static const struct failure look_ups[] = {
    {"-user=nosuch /bin/server", NULL, 0, "unable to find user \"nosuch\": there is no such user"},
    {"-user=www-data /bin/server", "user_find", EMFILE,
        "unable to find user \"www-data\": Too many open files"},
    {"-user=www-data:nosuch /bin/server", NULL, 0,
        "unable to find group \"nosuch\": there is no such group"},
    {"-user=www-data:users /bin/server", "group_find", EIO,
        "unable to find group \"users\": Input/output error"},
    {"-user=4321 /bin/server", NULL, 0,
        "unable to find a group for user \"4321\": a number without an account; expected "
        "LOGIN:GROUP"},
    {"-dir=/none /bin/server", NULL, 0,
        "unable to enter directory \"/none\": No such file or directory"},
    {"-dir=/bin/plain /bin/server", NULL, 0,
        "unable to enter directory \"/bin/plain\": Not a directory"},
    {"-dir=/srv /bin/server", "directory_enterable", EACCES,
        "unable to enter directory \"/srv\": Permission denied"},
    {"-envdir=/none /bin/server", NULL, 0,
        "unable to read environment directory \"/none\": No such file or directory"},
    {"-envdir=/env /bin/server", "directory_names", EACCES,
        "unable to read environment directory \"/env\": Permission denied"},
    {"-envdir=/env /bin/server", "file_head", EIO,
        "unable to read environment directory \"/env\": Input/output error"},
    {"/bin/none", NULL, 0, "unable to find \"/bin/none\": No such file or directory"},
    {"none", NULL, 0, "unable to find \"none\": No such file or directory"},
    {"/bin/plain", NULL, 0, "unable to execute \"/bin/plain\": Permission denied"},
    {"/run", NULL, 0, "unable to execute \"/run\": Permission denied"},
    {"/bin/server", "file_executable", ENOTDIR, "unable to find \"/bin/server\": Not a directory"},
};

/* Rules: C6 L5 E8 E9 E10 */
static void test_a_look_up_that_fails_comes_before_any_listener(void **state)
{
    for (size_t i = 0; i < COUNT(look_ups); i++) {
        set_up(state);
        fake.descriptors[0].terminal = true;
        if (look_ups[i].call)
            os_fake_fail(&fake, look_ups[i].call, 1, look_ups[i].error);
        assert_false(open_in(look_ups[i].words, no_environment));
        assert_string_equal(error_bytes, look_ups[i].said);
        expect_nothing_opened();
        os_fake_done(&fake);
    }
}

/* Rules: C7 C6 */
static void test_a_check_fails_with_the_same_line(void **state)
{
    for (size_t i = 0; i < COUNT(look_ups); i++) {
        set_up(state);
        if (look_ups[i].call)
            os_fake_fail(&fake, look_ups[i].call, 1, look_ups[i].error);
        assert_false(check_in(look_ups[i].words, no_environment));
        assert_string_equal(error_bytes, look_ups[i].said);
        assert_int_equal(plan.length, 0);
        expect_nothing_opened();
        os_fake_done(&fake);
    }
}

/* Rules: E8 C6 */
static void test_only_root_may_switch(void **state)
{
    (void)state;
    fake.user = 33;
    assert_false(open_in("-user=www-data /bin/server", no_environment));
    assert_string_equal(error_bytes, "unable to switch to user \"www-data\": only root may");
    expect_nothing_opened();
    os_fake_done(&fake);
}

/* Rules: E8 C6 */
static void test_names_that_are_too_long_are_not_cut(void **state)
{
    static char name[OS_ACCOUNT_TEXT];
    static const struct text_span too_long = {name, sizeof name};
    memset(name, 'x', sizeof name);
    for (int group = 0; group < 2; group++) {
        set_up(state);
        configure("-user=www-data:users /bin/server");
        *(group ? &config.group : &config.login) = too_long;
        assert_false(setup_open(&setup, &fake.os, &config, no_environment, &error));
        const char *said = group ? "unable to find group \"xxx" : "unable to find user \"xxx";
        assert_ptr_equal(strstr(error_bytes, said), error_bytes);
        assert_non_null(strstr(error_bytes, "x\": File name too long"));
        expect_nothing_opened();
        os_fake_done(&fake);
    }
}

/* Rules: C6 E9 */
static void test_an_environment_that_does_not_fit_fails_the_start(void **state)
{
    static char *environment[ENVP_ENTRIES_MAX + 2];
    static char names[ENVP_ENTRIES_MAX + 1][16];
    (void)state;
    for (size_t i = 0; i <= ENVP_ENTRIES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "N%zu=", i);
        environment[i] = names[i];
    }
    assert_false(open_in("/bin/server", environment));
    assert_string_equal(
        error_bytes, "unable to build the environment of \"/bin/server\": Argument list too long");
    expect_nothing_opened();
    os_fake_done(&fake);
}

/* Rules: L9 C6 */
static void test_a_malformed_activation_fails_before_any_listener(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"LISTEN_PID=1000"}, (char[]){"LISTEN_FDS=many"}, NULL};
    assert_false(open_in("/bin/server", environment));
    assert_ptr_equal(
        strstr(error_bytes, "unable to take the passed descriptors: LISTEN_FDS=\"many\": "),
        error_bytes);
    expect_nothing_opened();
    os_fake_done(&fake);
}

/* Rules: C6 E1 */
static void test_no_null_device_leaves_nothing(void **state)
{
    (void)state;
    fake.descriptors[0].terminal = true;
    os_fake_fail(&fake, "null_open", 1, ENOENT);
    assert_false(open_in("-listen=unix:///run/s -control=/run/c /bin/server", no_environment));
    assert_string_equal(error_bytes, "unable to open \"/dev/null\": No such file or directory");
    assert_null(os_fake_find(&fake, "/run/s"));
    assert_null(os_fake_find(&fake, "/run/c"));
    os_fake_done(&fake);
}

/* Rules: C6 L5 */
static void test_a_listener_that_fails_takes_all_with_it(void **state)
{
    (void)state;
    fake.descriptors[0].terminal = true;
    pass_socket(9, 80);
    assert_false(open_in("-listen=unix:///run/one -listen=fd://9 -listen=unix:///bin/plain "
                         "-listen=unix:///run/never /bin/server",
        no_environment));
    assert_string_equal(
        error_bytes, "unable to listen on \"unix:///bin/plain\": the path is a regular file");
    assert_true(os_fake_saw(&fake, "file_remove /run/one"));
    assert_null(os_fake_find(&fake, "/run/one"));
    assert_non_null(os_fake_find(&fake, "/bin/plain"));
    assert_int_equal(setup.listeners.count, 0);
    assert_int_equal(setup.null_fd, -1);
    assert_true(os_fake_open_count(&fake) == 1); /* what was passed, as it was */
    fake.os.close(&fake.os, 9);
    os_fake_done(&fake);
}

/* Rules: K1 C6 C7 L5 L7 */
static void test_a_control_socket_that_fails_takes_all_with_it(void **state)
{
    static const struct {
        enum os_file_kind kind;
        const char *said;
    } cases[] = {
        {OS_FILE_SOCKET, "unable to listen on \"/run/c\": a live server has this path"},
        {OS_FILE_DIRECTORY, "unable to listen on \"/run/c\": the path is a directory"},
    };
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        const char *words = "-listen=unix:///run/one -control=/run/c /bin/server";
        bool check = i % 2 == 1;
        set_up(state);
        struct os_fake_file *file = os_fake_file(&fake, "/run/c", cases[i / 2].kind);
        file->live = true;
        assert_false(check ? check_in(words, no_environment) : open_in(words, no_environment));
        assert_string_equal(error_bytes, cases[i / 2].said);
        assert_null(os_fake_find(&fake, "/run/one"));
        assert_ptr_equal(os_fake_find(&fake, "/run/c"), file);
        assert_int_equal(os_fake_saw(&fake, "file_remove /run/one"), !check);
        os_fake_done(&fake);
    }
}

/* Everything that a start can need, so that every call of setup is in it. */
static const char whole[] = "-user=www-data:users -dir=/srv -envdir=/env -listen=fd://9 "
                            "-listen=tcp://localhost:http?nodelay=true&nonblock=true "
                            "-listen=unix:///run/one?mode=600&user=nobody -listen=udp://:53 "
                            "-control=/run/control /bin/server";

static void furnish(void)
{
    set_up(NULL);
    fake.descriptors[0].terminal = true;
    pass_socket(9, 80);
}

/* What a failure must leave: the passed descriptor as it was or closed, no file, one line. Returns
 * what the start returned. */
static bool run_injected(bool check, const char *call, size_t nth, bool *injected)
{
    furnish();
    os_fake_fail(&fake, call, nth, EIO);
    bool done = check ? check_in(whole, no_environment) : open_in(whole, no_environment);
    *injected = os_fake_uses(&fake, call) >= nth;
    fake.fail_count = 0;
    if (done && !check) {
        setup_close(&setup);
    } else {
        assert_int_equal(error.length == 0, done);
        assert_null(strchr(error_bytes, '\n'));
        /* Once all listeners are open it is one of them; what comes then is the control socket. */
        bool taken = fake.descriptors[9].kind == OS_FAKE_CLOSED;
        assert_true(!taken || strstr(error_bytes, "\"/run/control\""));
        assert_int_equal(os_fake_open_count(&fake), taken ? 0 : 1);
        if (!taken)
            fake.os.close(&fake.os, 9);
    }
    assert_null(os_fake_find(&fake, "/run/one"));
    assert_null(os_fake_find(&fake, "/run/control"));
    assert_int_equal(fake.mask, 0022);
    os_fake_done(&fake);
    return done;
}

/* Rules: C6 C7 L5 K1 I7 I10 */
static void test_each_call_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const char *const calls[] = {"user_find", "group_find", "directory_enterable",
        "directory_names", "file_head", "file_executable", "host_find", "service_find",
        "socket_get", "socket_open", "socket_set", "socket_bind", "socket_listen", "socket_address",
        "set_nonblocking", "duplicate", "directory_lock", "directory_writable", "file_look",
        "file_pin", "file_pinned_look", "file_pinned_chown", "file_pinned_chmod"};
    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t failures = 0;
        for (int check = 0; check < 2; check++) {
            bool injected = true;
            for (size_t nth = 1; injected; nth++) {
                bool done = run_injected(check, calls[i], nth, &injected);
                if (done && injected)
                    fail_msg("failure %zu of %s was passed over", nth, calls[i]);
                failures += injected;
            }
        }
        if (!failures)
            fail_msg("%s was never used", calls[i]);
    }
}

/* --- in order --- */

/* Rules: C6 L5 K1 */
static void test_everything_is_looked_up_before_anything_is_opened(void **state)
{
    (void)state;
    static const char *const order[] = {
        "user_find www-data\n",
        "group_find users\n",
        "directory_enterable /srv\n",
        "directory_names /env\n",
        "file_executable /srv /bin/server\n",
        "duplicate 9\n",
        "socket_bind ",
        " [::]:53\n",
        " unix:/run/control\n",
        "null_open\n",
    };
    furnish();
    open_well(whole);
    const char *at = fake.journal;
    for (size_t i = 0; i < COUNT(order); i++) {
        const char *found = strstr(at, order[i]);
        if (!found)
            fail_msg("not in its turn: %sin:\n%s", order[i], fake.journal);
        at = found;
    }
    close_all();
}

/* --- what a worker is given --- */

static struct os_fake_child *start_worker(void)
{
    static const struct spawn_order first = {.slot = 0, .generation = 1};
    struct spawn_child child;
    struct spawn_failure failure;
    if (!spawn_start(&setup.spawn, &first, &child, &failure))
        fail_msg("step %d, error %d", failure.step, failure.error);
    fake.os.close(&fake.os, child.report);
    if (child.output >= 0)
        fake.os.close(&fake.os, child.output);
    return os_fake_child(&fake, child.pid);
}

static void seen_environment(struct os_fake *os, const struct os_spawn *given)
{
    const char **shown = os->test;
    for (size_t i = 0; i + 1 < 8 && shown[i]; i += 2)
        shown[i + 1] = envp_find(given->environment, shown[i]);
}

/* Rules: L1 E1 E2 E3 */
static void test_listeners_are_shown_in_order(void **state)
{
    (void)state;
    const char *shown[8] = {
        "EINHORN_FDS", NULL, "LISTEN_FDNAMES", NULL, "SOCKETMASTER_ADDR_2", NULL};
    fake.test = shown;
    fake.spawn_seen = seen_environment;
    pass_socket(9, 1234);
    open_well("-listen=unix:///run/one?name=first -listen=fd://9?name=second "
              "-listen=tcp://127.0.0.1:80 /bin/server");
    assert_int_equal(setup.spawn_settings.listener_count, 3);
    struct os_fake_child *child = start_worker();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(setup.fds[i], setup.listeners.items[i].fd);
        assert_int_equal(child->descriptors[SPAWN_FIRST_LISTENER + i], setup.fds[i]);
    }
    assert_int_equal(child->descriptors[SPAWN_FIRST_LISTENER + 3], -1);
    assert_string_equal(setup.shown[0].address, "unix:///run/one");
    assert_string_equal(setup.shown[1].address, "tcp://0.0.0.0:1234");
    assert_string_equal(setup.shown[2].starter, "127.0.0.1:80");
    assert_string_equal(shown[1], "3 4 5");
    assert_string_equal(shown[3], "first:second:unknown");
    assert_string_equal(shown[5], "tcp://127.0.0.1:80");
    close_all();
}

/* Rules: K1 E1 E2 */
static void test_the_control_socket_is_told_of_and_not_passed_on(void **state)
{
    static const struct {
        const char *words;
        const char *path; /* EINHORN_SOCK_PATH */
        uid_t uid;
    } cases[] = {
        {"/bin/server", NULL, 0},
        {"-control=/run/c /bin/server", "/run/c", 0},
        {"-control=/run/c -env=systemd /bin/server", NULL, 0},
        {"-control=/run/c -user=www-data /bin/server", "/run/c", 33},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *shown[8] = {"EINHORN_SOCK_PATH", NULL, "EINHORN_MASTER_PID", NULL};
        set_up(state);
        fake.test = shown;
        fake.spawn_seen = seen_environment;
        open_well(cases[i].words);
        struct os_fake_child *child = start_worker();
        assert_int_equal(child->descriptors[SPAWN_FIRST_LISTENER + 1], -1);
        assert_int_equal(shown[3] != NULL, cases[i].path != NULL);
        if (cases[i].path) {
            assert_string_equal(shown[1], cases[i].path);
            assert_string_equal(shown[3], "1000");
        }
        struct os_fake_file *file = os_fake_find(&fake, "/run/c");
        assert_int_equal(file != NULL, strstr(cases[i].words, "-control") != NULL);
        assert_int_equal(setup.control.fd >= 0, file != NULL);
        if (file) {
            assert_int_equal(file->mode, 0600);
            assert_int_equal(file->uid, cases[i].uid);
        }
        close_all();
        assert_null(os_fake_find(&fake, "/run/c"));
    }
}

/* Rules: E1 */
static void test_standard_input_is_never_a_terminal_or_a_listener(void **state)
{
    static const struct {
        const char *listen;
        bool terminal, null;
    } cases[] = {
        {"-listen=tcp://:80", false, false},
        {"-listen=tcp://:80", true, true},
        {"-listen=fd://0", false, true},
        {"-listen=fd://0", true, true},
        {"-listen=tcp://:80 -listen=fd://0", false, true},
        {"-listen=fd://9", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[128];
        set_up(state);
        if (strstr(cases[i].listen, "fd://0"))
            pass_socket(0, 70);
        pass_socket(9, 90);
        fake.descriptors[0].terminal = cases[i].terminal;
        snprintf(words, sizeof words, "%s /bin/server", cases[i].listen);
        open_well(words);
        assert_int_equal(setup.null_fd >= 0, cases[i].null);
        struct os_fake_child *child = start_worker();
        assert_int_equal(child->descriptors[0], cases[i].null ? setup.null_fd : 0);
        setup_close(&setup);
        if (!strstr(cases[i].listen, "fd://9"))
            fake.os.close(&fake.os, 9);
        os_fake_done(&fake);
    }
}

/* Rules: E1 O5 */
static void test_output_is_relayed_unless_it_is_inherited(void **state)
{
    (void)state;
    open_well("/bin/server");
    struct os_fake_child *child = start_worker();
    assert_true(child->writers[1] >= 0);
    assert_int_equal(child->writers[1], child->writers[2]);
    close_all();

    set_up(state);
    open_well("-output=inherit /bin/server");
    child = start_worker();
    assert_int_equal(child->descriptors[1], 1);
    assert_int_equal(child->descriptors[2], 2);
    close_all();
}

struct seen {
    bool given;
    uid_t uid;
    gid_t gid;
    size_t group_count;
    const char *directory;
};

static void see_account(struct os_fake *os, const struct os_spawn *given)
{
    struct seen *seen = os->test;
    seen->given = given->account;
    seen->directory = given->directory;
    if (!given->account)
        return;
    seen->uid = given->account->uid;
    seen->gid = given->account->gid;
    seen->group_count = given->account->group_count;
}

/* Rules: E8 E9 */
static void test_the_account_is_as_asked(void **state)
{
    static const struct {
        const char *words;
        struct seen seen;
    } cases[] = {
        {"/bin/server", {.given = false}},
        {"-user= /bin/server", {.given = false}},
        {"-user=www-data /bin/server", {true, 33, 33, 2, NULL}},
        {"-user=www-data:nogroup /bin/server", {true, 33, 65534, 2, NULL}},
        {"-user=33 /bin/server", {true, 33, 33, 2, NULL}},
        {"-user=www-data:7 /bin/server", {true, 33, 7, 2, NULL}},
        {"-user=4321:100 /bin/server", {true, 4321, 100, 0, NULL}},
        {"-user=root /bin/server", {true, 0, 0, 1, NULL}},
        {"-user=nobody -dir=/srv /bin/server", {true, 65534, 65534, 1, "/srv"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct seen seen = {0};
        set_up(state);
        fake.test = &seen;
        fake.spawn_seen = see_account;
        open_well(cases[i].words);
        start_worker();
        assert_int_equal(seen.given, cases[i].seen.given);
        assert_int_equal(seen.uid, cases[i].seen.uid);
        assert_int_equal(seen.gid, cases[i].seen.gid);
        assert_int_equal(seen.group_count, cases[i].seen.group_count);
        if (cases[i].seen.directory)
            assert_string_equal(seen.directory, cases[i].seen.directory);
        else
            assert_null(seen.directory);
        close_all();
    }
}

/* Rules: E10 */
static void test_the_command_is_searched_on_the_worker_s_path(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"PATH=/none:/opt"}, NULL};
    os_fake_file(&fake, "/opt/server", OS_FILE_REGULAR)->executable = true;
    os_fake_file(&fake, "/env/PATH", OS_FILE_REGULAR)->contents = "/bin";
    assert_true(open_in("server", environment));
    assert_true(os_fake_saw(&fake, "file_executable - /opt/server"));
    close_all();

    os_fake_forget(&fake);
    assert_true(open_in("-envdir=/env server", environment));
    assert_true(os_fake_saw(&fake, "file_executable - /bin/server"));
    close_all();
}

/* Rules: L9 */
static void test_passed_descriptors_stand_in_for_the_default(void **state)
{
    static const struct {
        const char *pid, *words;
        const char *addresses[2];
    } cases[] = {
        {"LISTEN_PID=1000", "/bin/server", {"tcp://0.0.0.0:81", "tcp://0.0.0.0:82"}},
        {"LISTEN_PID=1000", "-listen=fd://web /bin/server", {"tcp://0.0.0.0:82"}},
        {"LISTEN_PID=1000", "-listen=tcp4://:90 /bin/server", {"tcp4://0.0.0.0:90"}},
        {"LISTEN_PID=999", "/bin/server", {"tcp://[::]:8080"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char pid[32];
        char *environment[] = {
            pid, (char[]){"LISTEN_FDS=2"}, (char[]){"LISTEN_FDNAMES=api:web"}, NULL};
        size_t expected = cases[i].addresses[1] ? 2 : 1;
        set_up(state);
        snprintf(pid, sizeof pid, "%s", cases[i].pid);
        pass_socket(3, 81);
        pass_socket(4, 82);
        assert_true(open_in(cases[i].words, environment));
        assert_int_equal(setup.spawn_settings.listener_count, expected);
        for (size_t n = 0; n < expected; n++)
            assert_string_equal(setup.shown[n].address, cases[i].addresses[n]);
        setup_close(&setup);
        /* What was passed and not taken stays with the master. */
        for (int fd = 3; fd <= 4; fd++)
            if (fake.descriptors[fd].kind != OS_FAKE_CLOSED)
                fake.os.close(&fake.os, fd);
        os_fake_done(&fake);
    }
}

/* --- closing --- */

/* Rules: L6 L7 C6 K1 */
static void test_closing_removes_what_was_made(void **state)
{
    (void)state;
    furnish();
    open_well(whole);
    assert_non_null(os_fake_find(&fake, "/run/one"));
    assert_non_null(os_fake_find(&fake, "/run/control"));
    setup_close(&setup);
    assert_null(os_fake_find(&fake, "/run/one"));
    assert_null(os_fake_find(&fake, "/run/control"));
    assert_int_equal(setup.control.fd, -1);
    assert_int_equal(setup.null_fd, -1);
    os_fake_done(&fake);
    setup_close(&setup); /* and a second time closes nothing that is somebody else's by now */
}

/* --- a check --- */

#define DEFAULTS                                                                                   \
    "start 1 worker\n"                                                                             \
    "wait for each until it has lived for 3000 ms\n"                                               \
    "on HUP do the same, and after all are ready send the old ones HUP\n"

/* Rules: C7 K1 */
static void test_a_check_says_what_a_start_would_do(void **state)
{
    static const struct {
        const char *words, *plan;
    } cases[] = {
        {"/bin/server", "listen on tcp://[::]:8080 as descriptor 3\nrun /bin/server\n" DEFAULTS},
        {"-listen=tcp://127.0.0.1:80 -listen=unix:///run/one /bin/server -v x",
            "listen on tcp://127.0.0.1:80 as descriptor 3\n"
            "listen on unix:///run/one as descriptor 4\n"
            "run /bin/server -v x\n" DEFAULTS},
        {"-listen=unix:///run/stale /bin/server",
            "listen on unix:///run/stale as descriptor 3 (replaces a stale socket file)\n"
            "run /bin/server\n" DEFAULTS},
        {"-control=/run/c -listen=tcp4://:80 /bin/server",
            "listen on tcp4://0.0.0.0:80 as descriptor 3\n"
            "take commands on unix:///run/c\n"
            "run /bin/server\n" DEFAULTS},
        {"-listen=tcp4://:80 -control=/run/stale /bin/server",
            "listen on tcp4://0.0.0.0:80 as descriptor 3\n"
            "take commands on unix:///run/stale (replaces a stale socket file)\n"
            "run /bin/server\n" DEFAULTS},
        {"-listen=udp://:53 -dir=/srv -user=www-data:users server",
            "listen on udp://[::]:53 as descriptor 3\n"
            "run /bin/server in /srv as www-data (33:100)\n" DEFAULTS},
        {"-listen=fd://9 -user=4321:7 /bin/server \x1b[31m",
            "listen on tcp://0.0.0.0:90 as descriptor 3\n"
            "run /bin/server \\x1b[31m as 4321 (4321:7)\n" DEFAULTS},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_file(&fake, "/run/stale", OS_FILE_SOCKET);
        pass_socket(9, 90);
        assert_true(check_in(cases[i].words, no_environment));
        assert_string_equal(plan_bytes, cases[i].plan);
        assert_int_equal(error.length, 0);
        assert_int_equal(os_fake_uses(&fake, "socket_listen"), 0);
        assert_int_equal(os_fake_uses(&fake, "spawn"), 0);
        assert_null(os_fake_find(&fake, "/run/one"));
        assert_null(os_fake_find(&fake, "/run/c"));
        assert_non_null(os_fake_find(&fake, "/run/stale"));
        assert_int_equal(os_fake_open_count(&fake), 1); /* what was passed, as it was */
        fake.os.close(&fake.os, 9);
        os_fake_done(&fake);
    }
}

/* Rules: C7 R1 R3 R5 R6 R8 R10 */
static void test_a_check_says_how_workers_are_replaced(void **state)
{
    static const struct {
        const char *words, *plan;
    } cases[] = {
        {"-workers=8", "start 8 workers\n"},
        {"-respawn", "start 1 worker, and replace any that ends unasked\n"},
        {"-workers=8 -rollout=smooth",
            "start 8 workers, at most one for each processor at a time\n"},
        {"-workers=8 -rollout=smooth -max-starting=2 -respawn",
            "start 8 workers, at most 2 at a time, and replace any that ends unasked\n"},
        {"-start=0", "wait for each until it executes\n"},
        {"-ready=notify",
            "wait for each until it sends READY=1 to NOTIFY_SOCKET, at most 60000 ms\n"},
        {"-ready=ack -control=/run/c",
            "wait for each until it sends worker:ack to the control socket, at most 60000 ms\n"},
        {"-ready=fd -ready-timeout=0 -start=5",
            "wait for each until it writes a newline to NOTIFY_FD\n"},
        {"-rollout=smooth",
            "on HUP do the same, and after each that is ready send an old one HUP\n"},
        {"-hold=500 -stop-signal=TERM -stop=9",
            "on HUP do the same, and 500 ms after all are ready send the old ones TERM, then KILL "
            "after 9 ms\n"},
        {"-rollout=smooth -hold=5",
            "on HUP do the same, and 5 ms after each that is ready send an old one HUP\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char words[WORDS_SIZE];
        set_up(state);
        snprintf(words, sizeof words, "%s /bin/server", cases[i].words);
        assert_true(check_in(words, no_environment));
        if (!strstr(plan_bytes, cases[i].plan))
            fail_msg("%s: %s", words, plan_bytes);
        os_fake_done(&fake);
    }
}

/* Rules: C7 L5 */
static void test_a_check_tries_the_listeners(void **state)
{
    (void)state;
    assert_false(
        check_in("-listen=tcp://:80 -listen=unix:///bin/plain /bin/server", no_environment));
    assert_string_equal(
        error_bytes, "unable to listen on \"unix:///bin/plain\": the path is a regular file");
    os_fake_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_look_up_that_fails_comes_before_any_listener, set_up),
        cmocka_unit_test_setup(test_a_check_fails_with_the_same_line, set_up),
        cmocka_unit_test_setup(test_only_root_may_switch, set_up),
        cmocka_unit_test_setup(test_names_that_are_too_long_are_not_cut, set_up),
        cmocka_unit_test_setup(test_an_environment_that_does_not_fit_fails_the_start, set_up),
        cmocka_unit_test_setup(test_a_malformed_activation_fails_before_any_listener, set_up),
        cmocka_unit_test_setup(test_no_null_device_leaves_nothing, set_up),
        cmocka_unit_test_setup(test_a_listener_that_fails_takes_all_with_it, set_up),
        cmocka_unit_test_setup(test_a_control_socket_that_fails_takes_all_with_it, set_up),
        cmocka_unit_test_setup(test_each_call_that_fails_leaves_nothing, set_up),
        cmocka_unit_test_setup(test_everything_is_looked_up_before_anything_is_opened, set_up),
        cmocka_unit_test_setup(test_listeners_are_shown_in_order, set_up),
        cmocka_unit_test_setup(test_the_control_socket_is_told_of_and_not_passed_on, set_up),
        cmocka_unit_test_setup(test_standard_input_is_never_a_terminal_or_a_listener, set_up),
        cmocka_unit_test_setup(test_output_is_relayed_unless_it_is_inherited, set_up),
        cmocka_unit_test_setup(test_the_account_is_as_asked, set_up),
        cmocka_unit_test_setup(test_the_command_is_searched_on_the_worker_s_path, set_up),
        cmocka_unit_test_setup(test_passed_descriptors_stand_in_for_the_default, set_up),
        cmocka_unit_test_setup(test_closing_removes_what_was_made, set_up),
        cmocka_unit_test_setup(test_a_check_says_what_a_start_would_do, set_up),
        cmocka_unit_test_setup(test_a_check_says_how_workers_are_replaced, set_up),
        cmocka_unit_test_setup(test_a_check_tries_the_listeners, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
