/*
 * Tests of envp: blocks by tables, compared as sets, because the order of an environment means
 * nothing; and each limit at its edge.
 */
#include "envp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LIST_MAX = 24 };

static struct envp envp;
static char *const nothing[] = {NULL};

static const struct envp_listener two_listeners[] = {
    {"web", "127.0.0.1:80", "tcp://127.0.0.1:80"},
    {NULL, "/run/app.sock", "unix:///run/app.sock"},
};

/* A request as the tests start from: nothing inherited, two listeners. */
static struct envp_request request_of(unsigned families)
{
    return (struct envp_request){
        .inherited = nothing,
        .families = families,
        .listeners = two_listeners,
        .listener_count = 2,
        .slot = 5,
        .generation = 12,
        .master_pid = 4321,
    };
}

static size_t times_in_block(const char *entry)
{
    size_t times = 0;

    for (size_t i = 0; i < envp.count; i++)
        times += strcmp(envp.entries[i], entry) == 0;
    return times;
}

/* The block holds exactly these entries, in any order; `what` names the case where it does not. */
static void assert_block(const char *what, const char *const *expected)
{
    size_t count = 0;

    for (; expected[count] != NULL; count++) {
        if (times_in_block(expected[count]) != 1) {
            fail_msg("%s: %s is in the block %zu times", what, expected[count],
                times_in_block(expected[count]));
        }
    }
    if (envp.count != count)
        fail_msg("%s: %zu variables in place of %zu", what, envp.count, count);
    assert_null(envp.entries[envp.count]);
}

/* Only what the sources of a test brought in: the variables of rule E5 are left out. */
static void assert_block_besides_own(const char *what, const char *const *expected)
{
    const char *all[LIST_MAX] = {
        "SOCKETMASTER_PID=4321",
        "SOCKETMASTER_GENERATION=12",
        "SOCKETMASTER_ADDR_0=tcp://127.0.0.1:80",
        "SOCKETMASTER_ADDR_1=unix:///run/app.sock",
    };
    size_t count = 4;

    for (; *expected != NULL; expected++) {
        assert_true(count < LIST_MAX - 1);
        all[count++] = *expected;
    }
    assert_block(what, all);
}

/* --- what the master sets -------------------------------------------------------------------- */

#define EINHORN_TWO                                                                                \
    "EINHORN_FDS=3 4", "EINHORN_FD_COUNT=2", "EINHORN_FD_0=3", "EINHORN_FD_1=4",                   \
        "EINHORN_CHILD_INDEX=5"
#define SYSTEMD_TWO "LISTEN_FDS=2", "LISTEN_FDNAMES=web:unknown"
#define STARTER_TWO                                                                                \
    "SERVER_STARTER_PORT=127.0.0.1:80=3;/run/app.sock=4", "SERVER_STARTER_GENERATION=12"

static const struct {
    const char *what;
    unsigned families;
    bool pid_gap;
    const char *expected[LIST_MAX];
} family_cases[] = {
    {"none", 0, false, {NULL}},
    {"einhorn", ENVP_EINHORN, false, {EINHORN_TWO}},
    {"systemd", ENVP_SYSTEMD, true, {SYSTEMD_TWO, "LISTEN_PID=0000000000"}},
    {"systemd-nopid", ENVP_SYSTEMD_NOPID, false, {SYSTEMD_TWO}},
    {"systemd and systemd-nopid", ENVP_SYSTEMD | ENVP_SYSTEMD_NOPID, false, {SYSTEMD_TWO}},
    {"starter", ENVP_STARTER, false, {STARTER_TWO}},
    {"nginx", ENVP_NGINX, false, {"NGINX=3;4;"}},
    {"the default", ENVP_EINHORN | ENVP_SYSTEMD, true,
        {EINHORN_TWO, SYSTEMD_TWO, "LISTEN_PID=0000000000"}},
    {"all with a pid", ENVP_EINHORN | ENVP_SYSTEMD | ENVP_STARTER | ENVP_NGINX, true,
        {EINHORN_TWO, SYSTEMD_TWO, "LISTEN_PID=0000000000", STARTER_TWO, "NGINX=3;4;"}},
};

/* Rules: E2 E3 E4 E5 */
static void each_family_sets_its_variables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof family_cases / sizeof family_cases[0]; i++) {
        struct envp_request request = request_of(family_cases[i].families);

        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_block_besides_own(family_cases[i].what, family_cases[i].expected);
        assert_int_equal(envp.pid_gap != NULL, family_cases[i].pid_gap);
    }
}

/* Rules: E2 E3 E4 E5 */
static void one_listener_is_a_plain_number(void **state)
{
    static const struct envp_listener one = {"", "8080", "tcp://0.0.0.0:8080"};
    static const char *const expected[] = {
        "SOCKETMASTER_PID=4321",
        "SOCKETMASTER_GENERATION=12",
        "SOCKETMASTER_ADDR_0=tcp://0.0.0.0:8080",
        "EINHORN_FDS=3",
        "EINHORN_FD_COUNT=1",
        "EINHORN_FD_0=3",
        "EINHORN_CHILD_INDEX=5",
        "LISTEN_FDS=1",
        "LISTEN_FDNAMES=unknown",
        "SERVER_STARTER_PORT=8080=3",
        "SERVER_STARTER_GENERATION=12",
        "NGINX=3;",
        NULL,
    };
    struct envp_request request =
        request_of(ENVP_EINHORN | ENVP_SYSTEMD_NOPID | ENVP_STARTER | ENVP_NGINX);

    (void)state;
    request.listeners = &one;
    request.listener_count = 1;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_block("one listener", expected);
}

/* Rules: E2 E3 E4 E5 */
static void as_many_listeners_as_there_may_be(void **state)
{
    static struct envp_listener listeners[LIMIT_LISTENERS];
    struct envp_request request =
        request_of(ENVP_EINHORN | ENVP_SYSTEMD | ENVP_STARTER | ENVP_NGINX);

    (void)state;
    for (size_t i = 0; i < LIMIT_LISTENERS; i++)
        listeners[i] = two_listeners[0];
    request.listeners = listeners;
    request.listener_count = LIMIT_LISTENERS;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_string_equal(envp_find(envp.entries, "EINHORN_FD_COUNT"), "256");
    assert_string_equal(envp_find(envp.entries, "EINHORN_FD_255"), "258");
    assert_null(envp_find(envp.entries, "EINHORN_FD_256"));
    assert_string_equal(envp_find(envp.entries, "SOCKETMASTER_ADDR_255"), "tcp://127.0.0.1:80");
    assert_non_null(strstr(envp_find(envp.entries, "EINHORN_FDS"), "257 258"));
    assert_non_null(strstr(envp_find(envp.entries, "SERVER_STARTER_PORT"), ";127.0.0.1:80=258"));
}

static const struct {
    unsigned families;
    const char *socket;
    const char *expected[LIST_MAX];
} control_cases[] = {
    /* Without a control socket clients of einhorn must not believe that there is one. */
    {ENVP_EINHORN, NULL, {EINHORN_TWO}},
    {ENVP_EINHORN, "/run/a b.sock",
        {EINHORN_TWO, "EINHORN_MASTER_PID=4321", "EINHORN_SOCK_PATH=/run/a b.sock"}},
    /* The other families know nothing of it. */
    {0, "/run/c", {NULL}},
    {ENVP_SYSTEMD_NOPID, "/run/c", {SYSTEMD_TWO}},
    {ENVP_STARTER | ENVP_NGINX, "/run/c", {STARTER_TWO, "NGINX=3;4;"}},
    {ENVP_EINHORN | ENVP_SYSTEMD_NOPID, "/run/c",
        {EINHORN_TWO, SYSTEMD_TWO, "EINHORN_MASTER_PID=4321", "EINHORN_SOCK_PATH=/run/c"}},
};

/* Rules: E2 E6 */
static void the_control_socket_is_named_only_where_there_is_one(void **state)
{
    static char pid[] = "EINHORN_MASTER_PID=1", path[] = "EINHORN_SOCK_PATH=/outer";
    static char *inherited[] = {pid, path, NULL};
    static struct envp_override overrides[] = {
        {{"EINHORN_MASTER_PID", 18}, "2", 1}, {{"EINHORN_SOCK_PATH", 17}, NULL, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof control_cases / sizeof control_cases[0]; i++) {
        struct envp_request request = request_of(control_cases[i].families);

        request.control_socket = control_cases[i].socket;
        request.inherited = inherited;
        request.overrides = overrides;
        request.override_count = 2;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_block_besides_own("a control socket", control_cases[i].expected);
    }
}

static const struct {
    int64_t pid;
    const char *expected;
} pid_cases[] = {
    {1, "1"},
    {42, "42"},
    {4194304, "4194304"},
    {2147483647, "2147483647"},
    {7, "7"},
};

/* Rules: E3 */
static void the_pid_is_written_into_its_gap(void **state)
{
    struct envp_request request = request_of(ENVP_SYSTEMD);

    (void)state;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    for (size_t i = 0; i < sizeof pid_cases / sizeof pid_cases[0]; i++) {
        envp_write_pid(envp.pid_gap, pid_cases[i].pid);
        assert_string_equal(envp_find(envp.entries, "LISTEN_PID"), pid_cases[i].expected);
        assert_string_equal(envp_find(envp.entries, "LISTEN_FDNAMES"), "web:unknown");
        assert_string_equal(envp_find(envp.entries, "LISTEN_FDS"), "2");
    }
    envp_write_pid(NULL, 1);
}

/* --- what the master keeps to itself --------------------------------------------------------- */

static const struct {
    const char *name;
    bool is_private;
} private_cases[] = {
    {"EINHORN_FDS", true},
    {"EINHORN_MASTER_PID", true},
    {"EINHORN_SOCK_FD", true},
    {"EINHORN_", true},
    {"LISTEN_FDS", true},
    {"LISTEN_PID", true},
    {"LISTEN_PIDFDID", true},
    {"LISTEN_FDNAMES", true},
    {"SERVER_STARTER_PORT", true},
    {"SERVER_STARTER_GENERATION", true},
    {"NGINX", true},
    {"NOTIFY_SOCKET", true},
    {"NOTIFY_FD", true},
    {"WATCHDOG_USEC", true},
    {"WATCHDOG_PID", true},
    {"SOCKETMASTER_LISTEN", true},
    {"SOCKETMASTER_PID", true},
    {"SOCKETMASTER_ADDR_7", true},
    {"SOCKETMASTER_ANYTHING", true},
    {"EINHORN", false},
    {"einhorn_FDS", false},
    {"XEINHORN_FDS", false},
    {"LISTEN", false},
    {"LISTENERS", false},
    {"SERVER_STARTER", false},
    {"NGINX_CONF", false},
    {"NGIN", false},
    {"NOTIFY_SOCKETS", false},
    {"NOTIFY", false},
    {"WATCHDOG", false},
    {"WATCHDOG_USECS", false},
    {"SOCKETMASTER", false},
    {"PATH", false},
    {"A", false},
};

/* Rules: E6 C4 E9 */
static void private_variables_do_not_reach_a_worker(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof private_cases / sizeof private_cases[0]; i++) {
        struct text_span name = text_span_of(private_cases[i].name);
        struct envp_override override = {name, "stray", 5};
        char variable[64];
        char *inherited[] = {variable, NULL};
        struct envp_request request = request_of(ENVP_SYSTEMD);
        size_t plain_count;

        (void)snprintf(variable, sizeof variable, "%s=stray", private_cases[i].name);
        assert_int_equal(envp_is_private(name), private_cases[i].is_private);

        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        plain_count = envp.count;

        request.inherited = inherited;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_int_equal(times_in_block(variable), !private_cases[i].is_private);
        assert_int_equal(envp.count, plain_count + !private_cases[i].is_private);

        request.inherited = nothing;
        request.overrides = &override;
        request.override_count = 1;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_int_equal(times_in_block(variable), !private_cases[i].is_private);
        assert_int_equal(envp.count, plain_count + !private_cases[i].is_private);

        override.value = NULL;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_int_equal(envp.count, plain_count);
    }
}

/* Rules: E5 E6 */
static void readiness_is_asked_for_by_variables_of_its_own(void **state)
{
    static const struct {
        const char *socket;
        int fd;
        const char *expected[3];
    } cases[] = {
        {NULL, 0, {NULL}},
        {"/run/n/7", 0, {"NOTIFY_SOCKET=/run/n/7"}},
        {NULL, 5, {"NOTIFY_FD=5"}},
        {"/run/n/7", 5, {"NOTIFY_SOCKET=/run/n/7", "NOTIFY_FD=5"}},
    };
    static char socket_entry[] = "NOTIFY_SOCKET=/run/systemd/notify", fd_entry[] = "NOTIFY_FD=3";
    static char *inherited[] = {socket_entry, fd_entry, NULL};
    static struct envp_override overrides[] = {
        {{"NOTIFY_SOCKET", 13}, "mine", 4}, {{"NOTIFY_FD", 9}, NULL, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct envp_request request = request_of(0);

        request.notify_socket = cases[i].socket;
        request.notify_fd = cases[i].fd;
        request.inherited = inherited;
        request.overrides = overrides;
        request.override_count = 2;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_block_besides_own("readiness", cases[i].expected);
    }
}

/* --- precedence ------------------------------------------------------------------------------ */

#define NAME(string)                                                                               \
    {                                                                                              \
        string, sizeof(string) - 1                                                                 \
    }
#define VALUE(string) string, sizeof(string) - 1

static const struct {
    const char *what;
    const char *inherited[LIST_MAX];
    struct envp_account account;
    struct envp_override overrides[LIST_MAX];
    size_t override_count;
    const char *expected[LIST_MAX];
} precedence_cases[] = {
    {
        .what = "the master's own is passed on as it is",
        .inherited = {"PATH=/bin", "EMPTY=", "TWO=a=b", "lower=x", "ODD NAME=y"},
        .expected = {"PATH=/bin", "EMPTY=", "TWO=a=b", "lower=x", "ODD NAME=y"},
    },
    {
        .what = "the first of two wins, as getenv has it",
        .inherited = {"A=1", "B=2", "A=3", "A="},
        .expected = {"A=1", "B=2"},
    },
    {
        .what = "a name is more than the beginning of another",
        .inherited = {"A=1", "AB=2", "ABC=3"},
        .expected = {"A=1", "AB=2", "ABC=3"},
    },
    {
        .what = "what is no variable is dropped",
        .inherited = {"NOEQUALS", "", "=nameless", "=", "A=1"},
        .expected = {"A=1"},
    },
    {
        .what = "the account's variables replace the master's",
        .inherited = {"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "MAIL=root"},
        .account = {.login = "www", .home = "/srv", .shell = "/bin/sh"},
        .expected = {"HOME=/srv", "USER=www", "LOGNAME=www", "SHELL=/bin/sh", "MAIL=root"},
    },
    {
        .what = "without an account the master's stay",
        .inherited = {"HOME=/root", "USER=root"},
        .expected = {"HOME=/root", "USER=root"},
    },
    {
        .what = "envdir wins over the account and the master",
        .inherited = {"HOME=/root", "A=1", "KEEP=k"},
        .account = {.login = "www", .home = "/srv", .shell = "/bin/sh"},
        .overrides = {{NAME("HOME"), VALUE("/data")}, {NAME("A"), VALUE("2")},
            {NAME("NEW"), VALUE("")}},
        .override_count = 3,
        .expected = {"HOME=/data", "USER=www", "LOGNAME=www", "SHELL=/bin/sh", "A=2",
            "NEW=", "KEEP=k"},
    },
    {
        .what = "envdir removes",
        .inherited = {"A=1", "A=2", "B=2", "USER=root"},
        .account = {.login = "www", .home = "/srv", .shell = "/bin/sh"},
        .overrides = {{NAME("A"), NULL, 0}, {NAME("USER"), NULL, 0}, {NAME("NONE"), NULL, 0}},
        .override_count = 3,
        .expected = {"B=2", "HOME=/srv", "LOGNAME=www", "SHELL=/bin/sh"},
    },
    {
        .what = "the first of two overrides counts",
        .inherited = {"A=0", "B=0"},
        .overrides = {{NAME("A"), VALUE("1")}, {NAME("A"), VALUE("2")}, {NAME("B"), NULL, 0},
            {NAME("B"), VALUE("2")}},
        .override_count = 4,
        .expected = {"A=1"},
    },
    {
        .what = "names that cannot stand in an environment are passed over",
        .inherited = {"A=1"},
        .overrides = {{NAME(""), VALUE("x")}, {NAME("A=B"), VALUE("x")}, {NAME("="), NULL, 0},
            {NAME("A\0B"), VALUE("x")}, {{NULL, 0}, VALUE("x")}},
        .override_count = 5,
        .expected = {"A=1"},
    },
    {
        .what = "a value is taken by its length, and ends before a NUL",
        .overrides = {{NAME("A"), "12345", 3}, {NAME("B"), VALUE("12\0 34")},
            {NAME("C"), VALUE("\0")}, {NAME("D"), VALUE("a=b c")}},
        .override_count = 4,
        .expected = {"A=123", "B=12", "C=", "D=a=b c"},
    },
};

/* Rules: E6 E8 E9 */
static void sources_have_an_order_of_precedence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof precedence_cases / sizeof precedence_cases[0]; i++) {
        struct envp_request request = request_of(0);
        char text[LIST_MAX][32];
        char *inherited[LIST_MAX] = {NULL};

        for (size_t j = 0; precedence_cases[i].inherited[j] != NULL; j++) {
            (void)snprintf(text[j], sizeof text[j], "%s", precedence_cases[i].inherited[j]);
            inherited[j] = text[j];
        }
        request.inherited = inherited;
        request.account = precedence_cases[i].account;
        request.overrides = precedence_cases[i].overrides;
        request.override_count = precedence_cases[i].override_count;
        assert_int_equal(envp_build(&envp, &request), ENVP_OK);
        assert_block_besides_own(precedence_cases[i].what, precedence_cases[i].expected);
    }
}

/* Rules: E2 E4 E6 */
static void what_comes_after_nginx_is_a_variable_of_its_own(void **state)
{
    static char junk[] = "JUNK", good[] = "GOOD=1";
    static char *const inherited[] = {junk, good, NULL};
    static const char *const expected[] = {"NGINX=3;4;", "A=b", "GOOD=1", NULL};
    struct envp_override override = {text_span_of("A"), "b", 1};
    struct envp_request request = request_of(ENVP_NGINX);

    (void)state;
    request.overrides = &override;
    request.override_count = 1;
    request.inherited = inherited;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_block_besides_own("nginx", expected);
}

/* --- limits ---------------------------------------------------------------------------------- */

enum {
    OWN_COUNT = 4, /* variables of rule E5 with two listeners */
    MANY = ENVP_ENTRIES_MAX + 2,
};

static char many_text[MANY][16];
static char *many[MANY + 1];

/* Makes `count` variables with different names: downwards, so that V1 comes after V10 and V100. */
static void inherit_many(struct envp_request *request, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(many_text[i], sizeof many_text[i], "V%zu=%zu", count - i, i);
        many[i] = many_text[i];
    }
    many[count] = NULL;
    request->inherited = many;
}

/* Rules: E6 */
static void as_many_variables_as_there_may_be(void **state)
{
    struct envp_request request = request_of(0);

    (void)state;
    inherit_many(&request, ENVP_ENTRIES_MAX - OWN_COUNT);
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_int_equal(envp.count, ENVP_ENTRIES_MAX);
    assert_null(envp.entries[ENVP_ENTRIES_MAX]);
    for (size_t i = 0; i < ENVP_ENTRIES_MAX - OWN_COUNT; i++)
        assert_ptr_equal(envp.entries[OWN_COUNT + i], many[i]);

    inherit_many(&request, ENVP_ENTRIES_MAX - OWN_COUNT + 1);
    assert_int_equal(envp_build(&envp, &request), ENVP_ERR_ENTRIES);
    assert_int_equal(envp.count, 0);
    assert_null(envp.entries[0]);

    inherit_many(&request, 1);
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_int_equal(envp.count, OWN_COUNT + 1);
}

/* Names that are only removed need room as well. */
/* Rules: E9 */
static void as_many_removed_names_as_there_may_be(void **state)
{
    static struct envp_override overrides[MANY];
    struct envp_request request = request_of(0);

    (void)state;
    inherit_many(&request, MANY);
    for (size_t i = 0; i < MANY; i++)
        overrides[i] = (struct envp_override){.name = {many[i], strcspn(many[i], "=")}};
    request.overrides = overrides;
    request.override_count = ENVP_ENTRIES_MAX;
    many[ENVP_ENTRIES_MAX] = NULL;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_int_equal(envp.count, OWN_COUNT);

    request.override_count = ENVP_ENTRIES_MAX + 1;
    assert_int_equal(envp_build(&envp, &request), ENVP_ERR_ENTRIES);
}

/* Rules: E9 */
static void as_many_bytes_as_there_may_be(void **state)
{
    static char value[ENVP_BYTES_MAX];
    struct envp_override override = {NAME("A"), value, 0};
    struct envp_request request = request_of(ENVP_SYSTEMD);
    size_t used = 0;

    (void)state;
    memset(value, 'x', sizeof value);
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    for (size_t i = 0; i < envp.count; i++)
        used += strlen(envp.entries[i]) + 1;

    request.overrides = &override;
    request.override_count = 1;
    override.length = ENVP_BYTES_MAX - used - strlen("A=") - 1;
    assert_int_equal(envp_build(&envp, &request), ENVP_OK);
    assert_int_equal(strlen(envp_find(envp.entries, "A")), override.length);

    override.length += 1;
    assert_int_equal(envp_build(&envp, &request), ENVP_ERR_BYTES);
    assert_int_equal(envp.count, 0);
    assert_null(envp.entries[0]);
    assert_null(envp.pid_gap);
}

/* Rules: E9 */
static void each_error_has_its_sentence(void **state)
{
    (void)state;
    assert_non_null(strstr(envp_error_text(ENVP_ERR_ENTRIES), "8192 variables"));
    assert_non_null(strstr(envp_error_text(ENVP_ERR_BYTES), "1048576 bytes"));
    assert_non_null(envp_error_text(ENVP_OK));
    assert_non_null(envp_error_text((enum envp_error)(ENVP_ERR_BYTES + 1)));
}

/* --- looking up ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const char *expected;
} find_cases[] = {
    {"A", "1"},
    {"AB", "2=3"},
    {"EMPTY", ""},
    {"NOEQUALS", NULL},
    {"EMPT", NULL},
    {"EMPTY2", NULL},
    {"a", NULL},
};

/* Rules: C4 */
static void a_variable_is_found_by_its_whole_name(void **state)
{
    char a[] = "A=1", second[] = "A=9", ab[] = "AB=2=3", empty[] = "EMPTY=", bare[] = "NOEQUALS";
    char *const entries[] = {bare, ab, a, second, empty, NULL};

    (void)state;
    for (size_t i = 0; i < sizeof find_cases / sizeof find_cases[0]; i++) {
        const char *value = envp_find(entries, find_cases[i].name);

        if (find_cases[i].expected == NULL) {
            assert_null(value);
        } else {
            assert_non_null(value);
            assert_string_equal(value, find_cases[i].expected);
        }
    }
    assert_null(envp_find(nothing, "A"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_family_sets_its_variables),
        cmocka_unit_test(one_listener_is_a_plain_number),
        cmocka_unit_test(as_many_listeners_as_there_may_be),
        cmocka_unit_test(the_control_socket_is_named_only_where_there_is_one),
        cmocka_unit_test(the_pid_is_written_into_its_gap),
        cmocka_unit_test(private_variables_do_not_reach_a_worker),
        cmocka_unit_test(readiness_is_asked_for_by_variables_of_its_own),
        cmocka_unit_test(sources_have_an_order_of_precedence),
        cmocka_unit_test(what_comes_after_nginx_is_a_variable_of_its_own),
        cmocka_unit_test(as_many_variables_as_there_may_be),
        cmocka_unit_test(as_many_removed_names_as_there_may_be),
        cmocka_unit_test(as_many_bytes_as_there_may_be),
        cmocka_unit_test(each_error_has_its_sentence),
        cmocka_unit_test(a_variable_is_found_by_its_whole_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
