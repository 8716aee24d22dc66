/*
 * Tests of listener_guard: what a worker did to a listener is seen, put right and told of.
 */
#include "listener_world.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "listener_guard.h"

enum {
    TOKEN = 77,
    ASKED = 512,
};

static struct listener_guard guard;
static char said[4096];
static size_t said_length;

/* Each line with its severity before it. */
static void hear(void *context, int severity, const char *line, size_t length)
{
    assert_ptr_equal(context, &guard);
    assert_true(said_length + length + 8 < sizeof said);
    said_length += (size_t)snprintf(
        said + said_length, sizeof said - said_length, "%d %.*s\n", severity, (int)length, line);
}

static void forget(void)
{
    said[said_length = 0] = '\0';
    os_fake_forget(&fake);
}

static int set;

/* Opens what was parsed, and guards it. */
static void guard_all(void)
{
    assert_true(open_all());
    set = fake.os.watch_open(&fake.os);
    forget();
    listener_guard_open(&guard, &fake.os, &listeners, set, TOKEN, hear, &guard);
}

static void guard_uri(const char *uri)
{
    parse(uri);
    guard_all();
    assert_string_equal(said, "");
    forget();
}

static void guard_end(void)
{
    listener_guard_close(&guard);
    fake.os.close(&fake.os, set);
    close_all();
}

static void expect_said(const char *lines)
{
    assert_string_equal(said, lines);
    forget();
}

static void before_starts(void)
{
    listener_guard_before_starts(&guard);
}

static void ready(void)
{
    listener_guard_worker_ready(&guard);
    listener_guard_settle(&guard);
}

static void ended(void)
{
    listener_guard_worker_ended(&guard);
    listener_guard_settle(&guard);
}

static void watched(void)
{
    os_fake_feed(&fake, guard.watch, "x", 1);
    listener_guard_watched(&guard);
    listener_guard_settle(&guard);
}

/* What did not work is tried again, and nothing before that. */
static void pass_time(void)
{
    uint64_t deadline = listener_guard_deadline(&guard);
    assert_int_equal(deadline, fake.now_ms + LISTENER_GUARD_RETRY_MS);
    fake.now_ms = deadline - 1;
    os_fake_forget(&fake);
    listener_guard_settle(&guard);
    assert_string_equal(fake.journal, "");
    fake.now_ms = deadline;
    listener_guard_settle(&guard);
}

/* --- nothing to do --- */

/* Rules: L8 I9 */
static void test_without_an_event_nothing_is_looked_at(void **state)
{
    static const struct listener_guard closed;

    (void)state;
    assert_int_equal(listener_guard_deadline(&closed), UINT64_MAX);
    parse("tcp://127.0.0.1:80?nonblock=true");
    guard_uri("unix:///run/s");
    listener_guard_settle(&guard);
    assert_string_equal(fake.journal, "");
    assert_int_equal(listener_guard_deadline(&guard), UINT64_MAX);
    guard_end();
}

/* Rules: L8 */
static void test_what_is_as_it_should_be_is_left_alone(void **state)
{
    (void)state;
    parse("tcp://127.0.0.1:80?nonblock=true");
    parse("udp://127.0.0.1:80");
    guard_uri("unix:///run/s");
    before_starts();
    assert_string_equal(fake.journal,
        "is_nonblocking 3\nsocket_is_shut 3\nsocket_address 3\nsocket_backlog 3\n"
        "socket_is_shut 4\nsocket_is_shut 5\nsocket_backlog 5\nfile_look /run/s\nfile_look "
        "/run/s.socketmaster\n");
    expect_said("");
    guard_end();
}

/* --- blocking mode --- */

/* Rules: L8 */
static void test_nonblocking_is_put_back_where_it_was_asked_for(void **state)
{
    (void)state;
    parse("tcp://127.0.0.1:80?nonblock=true");
    guard_uri("tcp://127.0.0.1:81");
    fake.descriptors[3].nonblocking = false;
    before_starts();
    assert_true(fake.descriptors[3].nonblocking);
    expect_said("6 listener tcp://127.0.0.1:80: a worker made it blocking, non-blocking again\n");
    /* Where it was not, a server may run on it. */
    fake.descriptors[4].nonblocking = true;
    before_starts();
    assert_true(fake.descriptors[4].nonblocking);
    expect_said("");
    guard_end();
}

/* Rules: L8 I7 */
static void test_a_listener_that_stays_blocking_is_told_of(void **state)
{
    (void)state;
    guard_uri("tcp://127.0.0.1:80?nonblock=true");
    fake.descriptors[3].nonblocking = false;
    os_fake_fail(&fake, "set_nonblocking", 1, EPERM);
    before_starts();
    expect_said("3 listener tcp://127.0.0.1:80: unable to make it non-blocking again: Operation "
                "not permitted\n");
    /* It cannot be seen how it is: it is made so in any case. */
    os_fake_fail(&fake, "is_nonblocking", 1, EBADF);
    before_starts();
    assert_true(fake.descriptors[3].nonblocking);
    expect_said("");
    guard_end();
}

/* --- backlog --- */

/* Rules: L8 */
static void test_a_backlog_that_was_cut_is_put_back(void **state)
{
    static const struct {
        const char *uri;
        int cut;
        const char *said;
        int backlog;
    } cases[] = {
        {"tcp://127.0.0.1:80", 100,
            "4 listener tcp://127.0.0.1:80: a worker cut the backlog to 100, put back to 4096\n",
            4096},
        {"tcp://127.0.0.1:80?backlog=512", 511,
            "4 listener tcp://127.0.0.1:80: a worker cut the backlog to 511, put back to 512\n",
            ASKED},
        {"unix:@name", 0,
            "4 listener unix:@name: a worker cut the backlog to 0, put back to 4096\n", 4096},
        {"unixpacket:@name?backlog=512", 1,
            "4 listener unixpacket:@name: a worker cut the backlog to 1, put back to 512\n", ASKED},
        {"tcp://127.0.0.1:80?backlog=512", ASKED, "", ASKED},
        {"tcp://127.0.0.1:80?backlog=512", 4096, "", 4096},
    };

    for (size_t i = 0; i < 3 * COUNT(cases); i++) {
        static void (*const when[])(void) = {before_starts, ready, ended};

        set_up(state);
        guard_uri(cases[i / 3].uri);
        fake.descriptors[3].backlog = cases[i / 3].cut;
        when[i % 3]();
        expect_said(cases[i / 3].said);
        assert_int_equal(fake.descriptors[3].backlog, cases[i / 3].backlog);
        guard_end();
    }
}

static void pass_unix_socket(void)
{
    const char path[] = "/theirs";
    const struct os_address address = local(path, sizeof path);
    os_fake_socket(&fake, 9, AF_UNIX, SOCK_STREAM, &address, true);
    fake.descriptors[9].backlog = 8;
}

/* Rules: L8 L9 */
static void test_one_that_was_passed_gets_back_what_it_had(void **state)
{
    (void)state;
    pass_unix_socket();
    guard_uri("fd://9");
    fake.descriptors[3].backlog = 7;
    ready();
    expect_said("4 listener unix:///theirs: a worker cut the backlog to 7, put back to 8\n");
    assert_int_equal(fake.descriptors[3].backlog, 8);
    guard_end();
}

/* Rules: L8 I7 */
static void test_where_the_kernel_does_not_tell_the_backlog(void **state)
{
    static const struct {
        const char *uri;
        int backlog; /* in the end */
    } cases[] = {
        {"unix:@name?backlog=512", ASKED},
        {"unix:@name", INT32_MAX},
        {"fd://9", 1}, /* nobody knows what it was */
        {"tcp://127.0.0.1:80", 1} /* it always does, and may not listen */,
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        pass_unix_socket();
        os_fake_fail(&fake, "socket_backlog", 0, EOPNOTSUPP);
        guard_uri(cases[i].uri);
        fake.descriptors[3].backlog = 1;
        ready();
        assert_int_equal(fake.descriptors[3].backlog, cases[i].backlog);
        expect_said("");
        if (fake.descriptors[9].kind != OS_FAKE_CLOSED)
            fake.os.close(&fake.os, 9);
        guard_end();
    }
}

/* Rules: L8 I7 */
static void test_a_backlog_that_stays_cut_is_told_of_and_tried_again(void **state)
{
    (void)state;
    guard_uri("tcp://127.0.0.1:80");
    fake.descriptors[3].backlog = 100;
    os_fake_fail(&fake, "socket_listen", 2, EADDRINUSE);
    os_fake_fail(&fake, "socket_listen", 1, EADDRINUSE);
    ready();
    expect_said("3 listener tcp://127.0.0.1:80: unable to put back the backlog: Address already in "
                "use\n");
    pass_time();
    expect_said("");
    os_fake_fail(&fake, "socket_backlog", 1, ENOBUFS);
    ready();
    expect_said("");
    pass_time();
    expect_said("4 listener tcp://127.0.0.1:80: a worker cut the backlog to 100, put back to "
                "4096\n");
    guard_end();
}

/* --- shutdown --- */

/* Rules: L8 */
static void test_one_that_was_shut_down_listens_again(void **state)
{
    static void (*const when[])(void) = {before_starts, ready, ended};

    for (size_t i = 0; i < 2 * COUNT(when); i++) {
        bool port_lost = i % 2 == 1;

        set_up(state);
        guard_uri("tcp://127.0.0.1:0?backlog=512");
        os_fake_shutdown(&fake, 3);
        fake.descriptors[3].bound = !port_lost;
        when[i / 2]();
        expect_said("3 listener tcp://127.0.0.1:40001: a worker shut it down, listening again\n");
        assert_true(fake.descriptors[3].bound);
        assert_true(fake.descriptors[3].listening);
        assert_false(fake.descriptors[3].shut);
        assert_int_equal(fake.descriptors[3].backlog, ASKED);
        assert_memory_equal(&fake.descriptors[3].address.address, &listeners.items[0].bound.address,
            listeners.items[0].bound.length);
        when[i / 2]();
        expect_said("");
        guard_end();
    }
}

static int (*fake_listen)(struct os *os, int fd, int backlog);

/* Once, with a shutdown just before it. */
static int listen_too_late(struct os *os, int fd, int backlog)
{
    os->socket_listen = fake_listen;
    os_fake_shutdown(&fake, fd);
    fake.descriptors[fd].bound = false;
    return fake_listen(os, fd, backlog);
}

/* Rules: L8 */
static void test_one_that_listens_at_another_port_comes_back(void **state)
{
    static void (*const when[])(void) = {before_starts, ready, ended};
    enum { WORKER_LISTENS, MASTER_LISTENS, UNSEEN_AT_FIRST, CASES };
    static const char *const said_then[CASES] = {
        [MASTER_LISTENS] =
            "4 listener "
            "tcp://127.0.0.1:40001: a worker cut the backlog to 1, put back to 512\n"
            "3 listener tcp://127.0.0.1:40001: a worker shut it down, listening again\n",
        [WORKER_LISTENS] =
            "3 listener tcp://127.0.0.1:40001: a worker shut it down, listening again\n",
        [UNSEEN_AT_FIRST] =
            "3 listener tcp://127.0.0.1:40001: a worker shut it down, listening again\n"};

    for (size_t i = 0; i < CASES * COUNT(when); i++) {
        size_t now = i % CASES;

        set_up(state);
        guard_uri("tcp://127.0.0.1:0?backlog=512");
        fake_listen = fake.os.socket_listen;
        fake.descriptors[3].backlog = 1;
        if (now == MASTER_LISTENS)
            fake.os.socket_listen = listen_too_late;
        else
            listen_too_late(&fake.os, 3, ASKED);
        if (now == UNSEEN_AT_FIRST)
            os_fake_fail(&fake, "socket_address", 0, ENOMEM);
        when[i / CASES]();
        if (now == UNSEEN_AT_FIRST) {
            expect_said("");
            fake.fail_count = 0;
            pass_time();
        }
        expect_said(said_then[now]);
        assert_true(fake.descriptors[3].listening);
        assert_false(fake.descriptors[3].shut);
        assert_int_equal(fake.descriptors[3].backlog, ASKED);
        assert_memory_equal(&fake.descriptors[3].address.address, &listeners.items[0].bound.address,
            listeners.items[0].bound.length);
        guard_end();
    }
}

/* Rules: L8 I7 */
static void test_one_that_cannot_listen_again_is_told_of_once(void **state)
{
    static const struct {
        const char *call;
        int error;
        const char *said;
    } cases[] = {
        {"socket_bind", EADDRINUSE,
            "3 listener tcp://127.0.0.1:80: a worker shut it down, and it cannot listen again: "
            "Address already in use\n"},
        {"socket_listen", EADDRINUSE,
            "3 listener tcp://127.0.0.1:80: a worker shut it down, and it cannot listen again: "
            "Address already in use\n"},
        {"socket_disconnect", EPERM,
            "3 listener tcp://127.0.0.1:80: a worker shut it down, and it cannot listen again: "
            "Operation not permitted\n"},
        {"socket_is_shut", ENOMEM, ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        guard_uri("tcp://127.0.0.1:80");
        os_fake_shutdown(&fake, 3);
        os_fake_fail(&fake, cases[i].call, 0, cases[i].error);
        before_starts();
        expect_said(cases[i].said);
        before_starts();
        ready();
        expect_said("");
        fake.fail_count = 0;
        pass_time();
        expect_said("3 listener tcp://127.0.0.1:80: a worker shut it down, listening again\n");
        assert_int_equal(listener_guard_deadline(&guard), UINT64_MAX);
        guard_end();
    }
}

/* Rules: L8 */
static void test_what_the_kernel_cannot_open_again_is_told_of_once(void **state)
{
    static const char *const cases[] = {"unix:@name", "unixpacket:@name", "unixgram:@name"};
    char expected[128];

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        guard_uri(cases[i]);
        os_fake_shutdown(&fake, 3);
        fake.descriptors[3].backlog = 1;
        before_starts();
        snprintf(expected, sizeof expected,
            "3 listener %s: a worker shut it down: only a new master can open it again\n",
            cases[i]);
        expect_said(expected);
        before_starts();
        ended();
        assert_int_equal(os_fake_uses(&fake, "socket_bind"), 1);
        assert_int_equal(listener_guard_deadline(&guard), UINT64_MAX);
        expect_said("");
        guard_end();
    }
    set_up(state);
    guard_uri("udp://127.0.0.1:53");
    os_fake_shutdown(&fake, 3);
    before_starts();
    expect_said("3 listener udp://127.0.0.1:53: a worker shut it down: only a new master can open "
                "it again\n");
    guard_end();
}

/* --- socket files --- */

/* Rules: L8 */
static void test_a_socket_file_that_was_removed_is_put_back(void **state)
{
    static void (*const when[])(void) = {before_starts, ended, watched};

    for (size_t i = 0; i < COUNT(when); i++) {
        uint64_t inode;

        set_up(state);
        guard_uri("unix:///run/s");
        inode = os_fake_find(&fake, "/run/s")->file.inode;
        fake.os.file_remove(&fake.os, "/run/s");
        when[i]();
        assert_int_equal(os_fake_find(&fake, "/run/s")->file.inode, inode);
        expect_said("4 listener unix:///run/s: its socket file was removed, put back\n");
        /* The second name, too, as long as the first is there. */
        fake.os.file_remove(&fake.os, "/run/s.socketmaster");
        when[i]();
        assert_int_equal(os_fake_find(&fake, "/run/s.socketmaster")->file.inode, inode);
        expect_said("");
        guard_end();
        assert_false(is_there("/run/s"));
        assert_false(is_there("/run/s.socketmaster"));
    }
}

/* Rules: L8 L7 */
static void test_what_has_taken_its_place_is_left_alone(void **state)
{
    static const enum os_file_kind kinds[] = {OS_FILE_SOCKET, OS_FILE_REGULAR, OS_FILE_LINK};

    for (size_t i = 0; i < COUNT(kinds); i++) {
        uint64_t other;

        set_up(state);
        guard_uri("unix:///run/s");
        fake.os.file_remove(&fake.os, "/run/s");
        other = os_fake_file(&fake, "/run/s", kinds[i])->file.inode;
        watched();
        expect_said("3 listener unix:///run/s: another file has taken the place of its socket "
                    "file, and is left alone\n");
        before_starts();
        ended();
        expect_said("");
        assert_int_equal(os_fake_find(&fake, "/run/s")->file.inode, other);
        /* It goes again. */
        fake.os.file_remove(&fake.os, "/run/s");
        ended();
        expect_said("4 listener unix:///run/s: its socket file was removed, put back\n");
        guard_end();
    }
}

/* Rules: L8 I7 */
static void test_a_socket_file_that_stays_away_is_told_of_once(void **state)
{
    (void)state;
    guard_uri("unix:///run/s");
    fake.os.file_remove(&fake.os, "/run/s");
    os_fake_fail(&fake, "file_pinned_link", 0, EROFS);
    watched();
    expect_said("3 listener unix:///run/s: unable to put back its socket file: Read-only file "
                "system\n");
    ended();
    expect_said("");
    fake.fail_count = 0;
    /* It came into being between the look and the link. */
    os_fake_fail(&fake, "file_pinned_link", 1, EEXIST);
    pass_time();
    expect_said("");
    assert_int_equal(listener_guard_deadline(&guard), UINT64_MAX);
    ended();
    expect_said("4 listener unix:///run/s: its socket file was removed, put back\n");
    /* Both names at once: the kernel has no way back. */
    fake.os.file_remove(&fake.os, "/run/s");
    fake.os.file_remove(&fake.os, "/run/s.socketmaster");
    ended();
    expect_said("3 listener unix:///run/s: unable to put back its socket file: No such file or "
                "directory\n");
    assert_int_equal(listener_guard_deadline(&guard), UINT64_MAX);
    guard_end();
}

/* Rules: L8 I7 */
static void test_a_master_without_a_second_name_says_so(void **state)
{
    (void)state;
    os_fake_fail(&fake, "file_pinned_link", 1, EPERM);
    parse("unix:///run/s");
    guard_all();
    expect_said("4 listener unix:///run/s: no second name for its socket file: Operation not "
                "permitted; if a worker removes it, it is lost\n");
    fake.os.file_remove(&fake.os, "/run/s");
    watched();
    assert_false(os_fake_saw(&fake, "file_look /run/s.socketmaster"));
    expect_said("3 listener unix:///run/s: unable to put back its socket file: No such file or "
                "directory\n");
    guard_end();
}

/* --- the watch --- */

/* Rules: L8 */
static void test_only_socket_files_are_watched(void **state)
{
    (void)state;
    parse("tcp://127.0.0.1:80");
    parse("unix:@name");
    guard_all();
    assert_int_equal(guard.watch, -1);
    assert_int_equal(os_fake_uses(&fake, "file_watch_open"), 0);
    listener_guard_watched(&guard);
    guard_end();

    set_up(state);
    parse("unix:///run/a");
    parse("unix:///run/b");
    guard_all();
    assert_int_equal(os_fake_uses(&fake, "file_watch_add"), 2);
    assert_true(guard.watch > 0);
    guard_end();
    expect_said("");
}

/* Rules: L8 I7 */
static void test_without_a_watch_it_goes_on(void **state)
{
    static const struct {
        const char *call;
        size_t nth;
    } cases[] = {
        {"file_watch_open", 1}, {"file_watch_add", 1}, {"file_watch_add", 2}, {"watch_add", 1}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        os_fake_fail(&fake, cases[i].call, cases[i].nth, ENOSPC);
        parse("unix:///run/a");
        parse("unix:///run/b");
        guard_all();
        expect_said("4 socket files are not watched: No space left on device\n");
        assert_int_equal(guard.watch, -1);
        fake.os.file_remove(&fake.os, "/run/b");
        ended();
        assert_true(is_there("/run/b"));
        guard_end();
    }
}

/* Rules: L8 I9 */
static void test_a_watch_that_cannot_be_read_is_given_up(void **state)
{
    (void)state;
    guard_uri("unix:///run/s");
    os_fake_fail(&fake, "read", 1, EAGAIN);
    watched();
    assert_true(guard.watch > 0);
    expect_said("");
    os_fake_fail(&fake, "read", 1, EIO);
    watched();
    assert_int_equal(guard.watch, -1);
    expect_said("4 socket files are not watched: Input/output error\n");
    guard_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_without_an_event_nothing_is_looked_at, set_up),
        cmocka_unit_test_setup(test_what_is_as_it_should_be_is_left_alone, set_up),
        cmocka_unit_test_setup(test_nonblocking_is_put_back_where_it_was_asked_for, set_up),
        cmocka_unit_test_setup(test_a_listener_that_stays_blocking_is_told_of, set_up),
        cmocka_unit_test_setup(test_a_backlog_that_was_cut_is_put_back, set_up),
        cmocka_unit_test_setup(test_one_that_was_passed_gets_back_what_it_had, set_up),
        cmocka_unit_test_setup(test_where_the_kernel_does_not_tell_the_backlog, set_up),
        cmocka_unit_test_setup(test_a_backlog_that_stays_cut_is_told_of_and_tried_again, set_up),
        cmocka_unit_test_setup(test_one_that_was_shut_down_listens_again, set_up),
        cmocka_unit_test_setup(test_one_that_listens_at_another_port_comes_back, set_up),
        cmocka_unit_test_setup(test_one_that_cannot_listen_again_is_told_of_once, set_up),
        cmocka_unit_test_setup(test_what_the_kernel_cannot_open_again_is_told_of_once, set_up),
        cmocka_unit_test_setup(test_a_socket_file_that_was_removed_is_put_back, set_up),
        cmocka_unit_test_setup(test_what_has_taken_its_place_is_left_alone, set_up),
        cmocka_unit_test_setup(test_a_socket_file_that_stays_away_is_told_of_once, set_up),
        cmocka_unit_test_setup(test_a_master_without_a_second_name_says_so, set_up),
        cmocka_unit_test_setup(test_only_socket_files_are_watched, set_up),
        cmocka_unit_test_setup(test_without_a_watch_it_goes_on, set_up),
        cmocka_unit_test_setup(test_a_watch_that_cannot_be_read_is_given_up, set_up),
    };

    return cmocka_run_group_tests_name("listener_guard", tests, NULL, NULL);
}
