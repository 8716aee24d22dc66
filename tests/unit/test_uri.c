/*
 * Tests of uri: a table of URIs with all that they mean, and one of URIs that must be refused, each
 * with its error and its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "text.h"
#include "uri.h"
#include "uri_bad.h"
#include "uri_good.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct {
    const struct good *rows;
    size_t count;
} good_tables[] = {
    {good_hosts, COUNT(good_hosts)},
    {good_paths, COUNT(good_paths)},
    {good_options, COUNT(good_options)},
};

static const struct {
    const struct bad *rows;
    size_t count;
} bad_tables[] = {
    {bad_schemes, COUNT(bad_schemes)},
    {bad_hosts, COUNT(bad_hosts)},
    {bad_ports, COUNT(bad_ports)},
    {bad_paths, COUNT(bad_paths)},
    {bad_options, COUNT(bad_options)},
};

/* --- helpers ------------------------------------------------------------------------------------
 */

static void complain(const char *bytes, size_t length, const struct uri_failure *failure)
{
    char buffer[1024 + 4 * LIMIT_URI];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    uri_add_failure(&text, bytes, length, failure);
    print_error("%s (error %d)\n", buffer, (int)failure->error);
}

static void check_good(const struct good *row)
{
    const struct uri *expected = &row->expected;
    struct uri_failure failure;
    struct uri uri;

    memset(&uri, 0xa5, sizeof uri);
    if (!uri_parse(row->uri, strlen(row->uri), &uri, &failure)) {
        complain(row->uri, strlen(row->uri), &failure);
        fail_msg("refused: %s", row->uri);
    }
    assert_ptr_equal(uri.source.bytes, row->uri);
    assert_int_equal(uri.source.length, strlen(row->uri));
    assert_int_equal(uri.kind, expected->kind);
    assert_int_equal(uri.family, expected->family);
    assert_int_equal(uri.host_is_address, expected->host_is_address);
    assert_string_equal(uri.host, expected->host);
    assert_string_equal(uri.zone, expected->zone);
    assert_int_equal(uri.port, expected->port);
    assert_string_equal(uri.service, expected->service);
    assert_int_equal(uri.abstract, expected->abstract);
    assert_string_equal(uri.path, expected->path);
    assert_int_equal(uri.path_length, expected->path_length);
    assert_int_equal(uri.fd, expected->fd);
    assert_string_equal(uri.fd_name, expected->fd_name);
    assert_int_equal(uri.given, expected->given);
    assert_string_equal(uri.name, expected->name);
    assert_int_equal(uri.backlog, expected->backlog);
    assert_int_equal(uri.reuseport, expected->reuseport);
    assert_int_equal(uri.v6only, expected->v6only);
    assert_int_equal(uri.nonblock, expected->nonblock);
    assert_int_equal(uri.nodelay, expected->nodelay);
    assert_int_equal(uri.defer_accept, expected->defer_accept);
    assert_int_equal(uri.fastopen, expected->fastopen);
    assert_int_equal(uri.freebind, expected->freebind);
    assert_string_equal(uri.device, expected->device);
    assert_int_equal(uri.rcvbuf, expected->rcvbuf);
    assert_int_equal(uri.sndbuf, expected->sndbuf);
    assert_int_equal(uri.mode, expected->mode);
    assert_string_equal(uri.user, expected->user);
    assert_string_equal(uri.group, expected->group);
    for (int option = 0; option < URI_OPTION_COUNT; option++) {
        assert_int_equal(
            uri_has(&uri, (enum uri_option)option), (expected->given >> option & 1) != 0);
    }
}

/* Takes the mark out of `marked`; returns its offset. */
static size_t unmark(const char *marked, char *plain, size_t size)
{
    size_t offset = strcspn(marked, "^");

    assert_true(strlen(marked) <= size && marked[offset] == '^');
    memcpy(plain, marked, offset);
    memcpy(plain + offset, marked + offset + 1, strlen(marked) - offset);
    return offset;
}

static void check_bad(
    const char *bytes, size_t length, enum uri_error error, size_t offset, const char *option)
{
    struct uri_failure failure;
    struct uri uri;

    memset(&failure, 0xa5, sizeof failure);
    if (uri_parse(bytes, length, &uri, &failure))
        fail_msg("accepted: %s", bytes);
    if (failure.error != error || failure.offset != offset ||
        !text_span_is(failure.option, option != NULL ? option : "")) {
        complain(bytes, length, &failure);
        fail_msg("expected error %d at byte %zu: %s", (int)error, offset, bytes);
    }
    /* It borrows the name, rather than holding one of its own. */
    assert_true(failure.option.bytes >= bytes && failure.option.bytes <= bytes + length);
}

static void check_bad_row(const struct bad *row)
{
    char plain[1024];
    size_t offset = unmark(row->marked, plain, sizeof plain);

    check_bad(plain, strlen(plain), row->error, offset, row->option);
}

/* --- tests --------------------------------------------------------------------------------------
 */

/* Rules: L1 L2 L4 L7 L9 */
static void test_reads_hosts_ports_paths_and_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_hosts); i++)
        check_good(&good_hosts[i]);
    for (size_t i = 0; i < COUNT(good_paths); i++)
        check_good(&good_paths[i]);
}

/* Rules: L3 L4 */
static void test_reads_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_options); i++)
        check_good(&good_options[i]);
}

/* Rules: L1 L2 L4 */
static void test_refuses_wrong_schemes_hosts_and_ports(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_schemes); i++)
        check_bad_row(&bad_schemes[i]);
    for (size_t i = 0; i < COUNT(bad_hosts); i++)
        check_bad_row(&bad_hosts[i]);
    for (size_t i = 0; i < COUNT(bad_ports); i++)
        check_bad_row(&bad_ports[i]);
}

/* Rules: L2 L4 L7 */
static void test_refuses_wrong_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_paths); i++)
        check_bad_row(&bad_paths[i]);
}

/* Rules: L3 L4 */
static void test_refuses_wrong_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_options); i++)
        check_bad_row(&bad_options[i]);
}

/* Rules: L3 */
static void test_every_kind_knows_exactly_its_options(void **state)
{
    static const char *const values[URI_OPTION_COUNT] = {
        [URI_OPT_NAME] = "name=n",
        [URI_OPT_BACKLOG] = "backlog=1",
        [URI_OPT_REUSEPORT] = "reuseport=1",
        [URI_OPT_V6ONLY] = "v6only=1",
        [URI_OPT_NONBLOCK] = "nonblock=1",
        [URI_OPT_NODELAY] = "nodelay=1",
        [URI_OPT_DEFER_ACCEPT] = "defer-accept=1",
        [URI_OPT_FASTOPEN] = "fastopen=1",
        [URI_OPT_FREEBIND] = "freebind=1",
        [URI_OPT_DEVICE] = "device=lo",
        [URI_OPT_RCVBUF] = "rcvbuf=1",
        [URI_OPT_SNDBUF] = "sndbuf=1",
        [URI_OPT_MODE] = "mode=600",
        [URI_OPT_USER] = "user=u",
        [URI_OPT_GROUP] = "group=g",
    };
    /* One letter an option in the order of the enum: '+' known, '-' not. */
    static const struct {
        const char *uri;
        const char *knows;
    } cases[] = {
        /*                 nbrvnndffdrsmug */
        {"tcp://:1", /*  */ "++++++++++++---"},
        {"tcp4://:1", /* */ "+++-++++++++---"},
        {"tcp6://:1", /* */ "++++++++++++---"},
        {"tcp://[::]:1", "++++++++++++---"},
        {"tcp://1.2.3.4:1", "+++-++++++++---"},
        {"tcp://h:1", /* */ "++++++++++++---"},
        {"udp://:1", /*  */ "+-+++---++++---"},
        {"udp4://:1", /* */ "+-+-+---++++---"},
        {"udp6://:1", /* */ "+-+++---++++---"},
        {"unix:/x", /*   */ "++--+-----+++++"},
        {"unix:@x", /*   */ "++--+-----++---"},
        {"unixpacket:/x", "++--+-----+++++"},
        {"unixpacket:@x", "++--+-----++---"},
        {"unixgram:/x", /**/ "+---+-----+++++"},
        {"unixgram:@x", /**/ "+---+-----++---"},
        {"fd://3", /*    */ "+---+----------"},
        {"fd://x", /*    */ "+---+----------"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(strlen(cases[i].knows), URI_OPTION_COUNT);
        for (size_t option = 0; option < URI_OPTION_COUNT; option++) {
            char buffer[64];
            struct text text;
            struct uri uri;
            struct uri_failure failure;

            text_init(&text, buffer, sizeof buffer);
            text_add(&text, cases[i].uri);
            text_add(&text, "?");
            text_add(&text, values[option]);
            if (cases[i].knows[option] == '-') {
                char name[32] = "";

                memcpy(name, values[option], strcspn(values[option], "="));
                check_bad(buffer, text.length, URI_ERR_OPTION_KIND, strlen(cases[i].uri) + 1, name);
            } else if (!uri_parse(buffer, text.length, &uri, &failure)) {
                fail_msg("refused: %s", buffer);
            } else {
                assert_int_equal(uri.given, 1u << option);
            }
        }
    }
}

/* Rules: L4 */
static void test_bounds_the_whole(void **state)
{
    static char bytes[2 * LIMIT_URI];
    struct uri uri;
    struct uri_failure failure;
    size_t prefix = strlen("unix:///");

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "unix:///", prefix);
    check_bad(bytes, LIMIT_URI, URI_ERR_PATH_TOO_LONG, prefix - 1 + URI_PATH_MAX, NULL);
    check_bad(bytes, LIMIT_URI + 1, URI_ERR_TOO_LONG, LIMIT_URI, NULL);
    check_bad(bytes, sizeof bytes, URI_ERR_TOO_LONG, LIMIT_URI, NULL);

    /* Nothing is read beyond the length, and a NUL is a byte like any other. */
    check_bad("tcp://:8", 7, URI_ERR_PORT_MISSING, 7, NULL);
    check_bad("unix:/%41", 8, URI_ERR_ESCAPE, 6, NULL);
    assert_true(uri_parse("tcp://:80", 8, &uri, &failure));
    assert_int_equal(uri.port, 8);
    check_bad("tcp://:80\0", 10, URI_ERR_BYTE, 9, NULL);
    check_bad("\0", 1, URI_ERR_BYTE, 0, NULL);
    for (int byte = 0; byte < 256; byte++) {
        char path[] = "unix:/a_b";

        path[7] = (char)byte;
        if (byte <= ' ' || byte > '~')
            check_bad(path, 9, URI_ERR_BYTE, 7, NULL);
    }
}

/* Rules: L3 L4 */
static void test_bounds_values(void **state)
{
    static const struct {
        const char *before;
        char fill;
        enum uri_error error;
        const char *option;
    } cases[] = {
        {"tcp://:80?backlog=", '0', URI_ERR_OPTION_NUMBER, "backlog"},
        {"unix:/x?mode=", '7', URI_ERR_OPTION_MODE, "mode"},
        {"tcp://:80?nodelay=", 't', URI_ERR_OPTION_BOOLEAN, "nodelay"},
    };
    char bytes[512];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t before = strlen(cases[i].before);

        memcpy(bytes, cases[i].before, before);
        memset(bytes + before, cases[i].fill, sizeof bytes - before);
        /* The value as such is wrong, or its first byte that is too much. */
        size_t most = before + URI_NAME_MAX;
        check_bad(bytes, most, cases[i].error, before, cases[i].option);
        check_bad(bytes, most + 1, cases[i].error, most, cases[i].option);
    }
}

/* Rules: L4 C5 */
static void test_every_error_has_a_text_and_a_bad_uri(void **state)
{
    size_t reached[URI_ERROR_COUNT] = {0};
    size_t total = 0;

    (void)state;
    reached[URI_ERR_TOO_LONG] = 1; /* test_bounds_the_whole */
    for (size_t table = 0; table < COUNT(bad_tables); table++) {
        for (size_t i = 0; i < bad_tables[table].count; i++) {
            reached[bad_tables[table].rows[i].error]++;
            total++;
        }
    }
    assert_true(total >= 170);
    for (int error = URI_OK; error < URI_ERROR_COUNT; error++) {
        assert_non_null(uri_error_text((enum uri_error)error));
        assert_true(strlen(uri_error_text((enum uri_error)error)) > 0);
        if (error != URI_OK && reached[error] == 0)
            fail_msg("no bad URI reaches error %d", error);
    }
    assert_string_equal(uri_error_text(URI_ERROR_COUNT), uri_error_text(URI_OK));
}

/* Rules: L3 L4 C5 */
static void test_complains_in_one_clean_line(void **state)
{
    static const struct {
        const char *uri;
        const char *complaint;
    } cases[] = {
        {"tcp://:99999",
            "\"tcp://:99999\": expected a port from 0 to 65535 or a service name, at byte 7 "
            "(\"99999\")"},
        {"tcp://h",
            "\"tcp://h\": expected ':' and a port from 0 to 65535 or a service name, at byte 7 "
            "(the end)"},
        {"tcp://:80?backlog=x",
            "\"tcp://:80?backlog=x\": option \"backlog\": expected a number from 1 to 2147483647, "
            "at byte 18 (\"x\")"},
        {"unix:///\x1b\"\\\n",
            "\"unix:///\\x1b\\\"\\\\\\x0a\": expected printable ASCII without blanks (in a path or "
            "value a blank is %20), at byte 8 (\"\\x1b\\\"\\\\\\x0a\")"},
        {"tcp://h*" X64 ":80",
            "\"tcp://h*" X64 ":80\": expected a host name of letters, digits, '-', '_' and dots, "
            "or an address, at byte 7 (\"*" X16 X4 X4 X4 "xxx\"...)"},
        {"", "\"\": expected a URI such as tcp://:8080, at byte 0 (the end)"},
    };
    char buffer[1024 + 4 * LIMIT_URI];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct uri_failure failure;
        struct text text;
        struct uri uri;
        size_t length = strlen(cases[i].uri);

        assert_false(uri_parse(cases[i].uri, length, &uri, &failure));
        text_init(&text, buffer, sizeof buffer);
        uri_add_failure(&text, cases[i].uri, length, &failure);
        assert_string_equal(buffer, cases[i].complaint);
    }
    for (size_t table = 0; table < COUNT(bad_tables); table++) {
        for (size_t i = 0; i < bad_tables[table].count; i++) {
            char plain[1024];
            struct uri_failure failure;
            struct text text;
            struct uri uri;

            unmark(bad_tables[table].rows[i].marked, plain, sizeof plain);
            assert_false(uri_parse(plain, strlen(plain), &uri, &failure));
            text_init(&text, buffer, sizeof buffer);
            uri_add_failure(&text, plain, strlen(plain), &failure);
            assert_false(text.overflow);
            assert_non_null(strstr(buffer, uri_error_text(failure.error)));
            assert_int_equal(failure.option.length > 0, strstr(buffer, ": option \"") != NULL);
            for (size_t byte = 0; byte < text.length; byte++)
                assert_in_range((unsigned char)buffer[byte], ' ', '~');
        }
    }
}

/* Rules: L4 C5 */
static void test_complaint_is_bounded(void **state)
{
    static char bytes[16 * LIMIT_URI];
    static char buffer[1024 + 4 * LIMIT_URI];
    struct uri_failure failure;
    struct text text;
    struct uri uri;

    (void)state;
    memset(bytes, 0x01, sizeof bytes);
    assert_false(uri_parse(bytes, sizeof bytes, &uri, &failure));
    text_init(&text, buffer, sizeof buffer);
    uri_add_failure(&text, bytes, sizeof bytes, &failure);
    assert_false(text.overflow);
    assert_non_null(strstr(buffer, "at most 4096 bytes, at byte 4096 (\"\\x01"));
    assert_memory_equal(buffer + 1 + strlen("\\x01") * LIMIT_URI, "\"...", 4);

    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "tcp://:1?", 9);
    assert_false(uri_parse(bytes, LIMIT_URI, &uri, &failure));
    assert_int_equal(failure.error, URI_ERR_OPTION_UNKNOWN);
    assert_int_equal(failure.option.length, LIMIT_URI - 9);
    text_init(&text, buffer, sizeof buffer);
    uri_add_failure(&text, bytes, LIMIT_URI, &failure);
    assert_false(text.overflow);
    assert_memory_equal(buffer + 1 + LIMIT_URI, "\": option", 9); /* all of it is shown */
    assert_non_null(strstr(buffer, ": option \"" X64 "\"...: expected one of the options name"));
}

/* Rules: L1 L2 */
static void test_names_schemes(void **state)
{
    static const struct {
        enum uri_kind kind;
        enum uri_family family;
        const char *scheme;
    } cases[] = {
        {URI_TCP, URI_ANY_FAMILY, "tcp"},
        {URI_TCP, URI_IPV4, "tcp4"},
        {URI_TCP, URI_IPV6, "tcp6"},
        {URI_UDP, URI_ANY_FAMILY, "udp"},
        {URI_UDP, URI_IPV4, "udp4"},
        {URI_UDP, URI_IPV6, "udp6"},
        {URI_UNIX, URI_ANY_FAMILY, "unix"},
        {URI_UNIXGRAM, URI_ANY_FAMILY, "unixgram"},
        {URI_UNIXPACKET, URI_ANY_FAMILY, "unixpacket"},
        {URI_UNIXPACKET, URI_IPV4, "unixpacket"},
        {URI_FD, URI_IPV6, "fd"},
        {URI_KIND_COUNT, URI_ANY_FAMILY, ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(uri_scheme(cases[i].kind, cases[i].family), cases[i].scheme);
}

/* Rules: L4 */
static void test_every_prefix_of_a_good_uri_is_good_or_refused_in_bounds(void **state)
{
    (void)state;
    for (size_t table = 0; table < COUNT(good_tables); table++) {
        for (size_t i = 0; i < good_tables[table].count; i++) {
            const char *bytes = good_tables[table].rows[i].uri;
            size_t whole = strlen(bytes);

            for (size_t length = 0; length < whole; length++) {
                struct uri_failure failure;
                struct uri uri;
                /* With nothing behind it, so that ASan sees who reads on. */
                char *copy = malloc(length + (length == 0));

                assert_non_null(copy);
                memcpy(copy, bytes, length);
                if (!uri_parse(copy, length, &uri, &failure)) {
                    assert_true(failure.offset <= length);
                    assert_in_range(failure.error, URI_OK + 1, URI_ERROR_COUNT - 1);
                }
                free(copy);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_hosts_ports_paths_and_descriptors),
        cmocka_unit_test(test_reads_options),
        cmocka_unit_test(test_refuses_wrong_schemes_hosts_and_ports),
        cmocka_unit_test(test_refuses_wrong_paths),
        cmocka_unit_test(test_refuses_wrong_options),
        cmocka_unit_test(test_every_kind_knows_exactly_its_options),
        cmocka_unit_test(test_bounds_the_whole),
        cmocka_unit_test(test_bounds_values),
        cmocka_unit_test(test_every_error_has_a_text_and_a_bad_uri),
        cmocka_unit_test(test_complains_in_one_clean_line),
        cmocka_unit_test(test_complaint_is_bounded),
        cmocka_unit_test(test_names_schemes),
        cmocka_unit_test(test_every_prefix_of_a_good_uri_is_good_or_refused_in_bounds),
    };

    return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
