/*
 * Tests of notify against the scripted port: where the directory is made, the sockets of the slots,
 * who may speak, what is kept of a status, and NOTIFY_FD. What the real kernel makes of it is shown
 * by test_os_posix_notify.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ancestor.h"
#include "notify.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { WORKER = 1001, CHILD = 5001, GRANDCHILD = 5002, STRANGER = 6001 };

static struct os_fake fake;
static struct notify notify;
static struct notify_message message;
static struct text error;
static char error_bytes[1024];
static char *environment[] = {
    (char[]){"XDG_RUNTIME_DIR=/run/user/7"}, (char[]){"TMPDIR=/var/tmp"}, NULL};
static char *nothing[] = {NULL};
static const struct os_user account = {.uid = 33, .gid = 34};

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    memset(&notify, 0, sizeof notify);
    text_init(&error, error_bytes, sizeof error_bytes);
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    os_fake_file(&fake, "/tmp", OS_FILE_DIRECTORY);
    return 0;
}

static void open_all(void)
{
    assert_true(notify_open(&notify, &fake.os, NULL, nothing, &error));
    assert_string_equal(error_bytes, "");
}

/* A worker with a child and a grandchild, and somebody else. */
static void open_slot_0(void)
{
    open_all();
    assert_true(notify_slot_open(&notify, 0) >= 3);
    os_fake_relate(&fake, WORKER, OS_FAKE_PID);
    os_fake_relate(&fake, CHILD, WORKER);
    os_fake_relate(&fake, GRANDCHILD, CHILD);
    os_fake_relate(&fake, STRANGER, 1);
}

static void say(pid_t sender, const char *text)
{
    assert_true(os_fake_send(&fake, notify_slot_path(&notify, 0), sender, text, strlen(text)));
}

static int take(void)
{
    return notify_take(&notify, 0, WORKER, &message);
}

/* Nothing is left of it: no descriptor, no path. */
static void close_all(void)
{
    notify_close(&notify);
    for (size_t i = 0; i < OS_FAKE_FILES; i++)
        assert_null(strstr(fake.files[i].path, "socketmaster"));
    os_fake_done(&fake);
}

/* --- the directory --- */

/* Rules: E5 */
static void test_the_first_place_that_will_do(void **state)
{
    static const struct {
        uid_t user;
        const char *there[3]; /* directories that exist */
        char *const *environment;
        const char *directory; /* NULL: none */
    } cases[] = {
        {0, {"/run", "/tmp"}, environment, "/run/socketmaster-1000-fake00"},
        {0, {"/tmp", "/var/tmp"}, environment, "/tmp/socketmaster-1000-fake00"},
        {0, {"/var/tmp"}, environment, NULL},
        {7, {"/run", "/run/user/7", "/tmp"}, environment, "/run/user/7/socketmaster-1000-fake00"},
        {7, {"/var/tmp", "/tmp"}, environment, "/var/tmp/socketmaster-1000-fake00"},
        {7, {"/run", "/tmp"}, environment, "/tmp/socketmaster-1000-fake00"},
        {7, {"/run", "/tmp"}, nothing, "/tmp/socketmaster-1000-fake00"},
        {7, {"/run"}, environment, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)state;
        os_fake_init(&fake);
        memset(&notify, 0, sizeof notify);
        text_init(&error, error_bytes, sizeof error_bytes);
        fake.user = cases[i].user;
        for (size_t n = 0; n < COUNT(cases[i].there) && cases[i].there[n] != NULL; n++)
            os_fake_file(&fake, cases[i].there[n], OS_FILE_DIRECTORY);
        bool opened = notify_open(&notify, &fake.os, NULL, cases[i].environment, &error);
        assert_int_equal(opened, cases[i].directory != NULL);
        if (opened) {
            assert_string_equal(notify.directory, cases[i].directory);
            assert_int_equal(os_fake_find(&fake, cases[i].directory)->mode, 0700);
        }
        assert_int_equal(error_bytes[0] == '\0', opened);
        close_all();
    }
}

/* Rules: E5 C6 */
static void test_no_place_will_do(void **state)
{
    (void)state;
    os_fake_fail(&fake, "directory_make", 1, EROFS);
    os_fake_fail(&fake, "directory_make", 2, EACCES);
    assert_false(notify_open(&notify, &fake.os, NULL, nothing, &error));
    assert_string_equal(error_bytes,
        "unable to make a directory for the workers' notify sockets in \"/run\": Read-only file "
        "system, in \"/tmp\": Permission denied");
    close_all();
}

/* Rules: E5 */
static void test_a_place_without_a_use(void **state)
{
    (void)state;
    static char beyond[] =
        "TMPDIR=/t/abcdefgh34567890123456789012345678901234567890123456789012345678901234567890";
    static char relative[] = "XDG_RUNTIME_DIR=run";
    char *odd[] = {relative, beyond, NULL};
    fake.user = 7;
    os_fake_file(&fake, "run", OS_FILE_DIRECTORY);
    os_fake_file(&fake, strchr(beyond, '=') + 1, OS_FILE_DIRECTORY);
    assert_true(notify_open(&notify, &fake.os, NULL, odd, &error));
    assert_string_equal(notify.directory, "/tmp/socketmaster-1000-fake00");
    close_all();
}

/* Rules: E5 */
static void test_the_longest_path_has_room(void **state)
{
    (void)state;
    char place[100] = "TMPDIR=/t/";
    char *odd[] = {place, NULL};
    fake.user = 7;
    for (size_t length = strlen(place); length < sizeof place - 1; length++) {
        place[length] = 'x';
        os_fake_init(&fake);
        fake.user = 7;
        os_fake_file(&fake, place + 7, OS_FILE_DIRECTORY);
        if (!notify_open(&notify, &fake.os, NULL, odd, &error))
            break;
        int fd = notify_slot_open(&notify, LIMIT_SLOTS - 1);
        const struct os_address *bound = &fake.descriptors[fd].address;
        const char *path = notify_slot_path(&notify, LIMIT_SLOTS - 1);
        assert_true(strlen(path) < NOTIFY_PATH_SIZE);
        assert_string_equal((const char *)&bound->address + sizeof(sa_family_t), path);
        assert_string_equal(strrchr(path, '/'), "/2047");
        close_all();
    }
    assert_non_null(strstr(error_bytes, "File name too long"));
    assert_true(strlen(place) > 60);
}

/* Rules: E5 E8 */
static void test_an_account_can_go_through(void **state)
{
    (void)state;
    fake.mask = 0022;
    assert_true(notify_open(&notify, &fake.os, &account, nothing, &error));
    assert_int_equal(os_fake_find(&fake, notify.directory)->mode, 0711);
    assert_true(notify_slot_open(&notify, 5) >= 3);
    const struct os_fake_file *file = os_fake_find(&fake, notify_slot_path(&notify, 5));
    assert_int_equal(file->mode, 0600);
    assert_int_equal(file->uid, 33);
    assert_int_equal(file->gid, 34);
    assert_int_equal(fake.mask, 0022);
    assert_int_equal(os_fake_find(&fake, notify.directory)->uid, 0);
    close_all();
}

/* Rules: I7 */
static void test_closing_what_was_never_opened(void **state)
{
    (void)state;
    notify_close(&notify);
    assert_string_equal(fake.journal, "");
}

/* --- slots --- */

/* Rules: E5 */
static void test_a_slot_is_opened_and_closed(void **state)
{
    (void)state;
    open_all();
    os_fake_forget(&fake);
    assert_int_equal(notify_slot_open(&notify, 12), 3);
    assert_string_equal(fake.journal,
        "socket_open 1 2050\n"  /* AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK */
        "socket_set 3 1 16 1\n" /* SO_PASSCRED */
        "file_mask 0177\n"
        "socket_bind 3 unix:/run/socketmaster-1000-fake00/12\n"
        "file_mask 0022\n");
    os_fake_forget(&fake);
    notify_slot_close(&notify, 12);
    notify_slot_close(&notify, 12);
    assert_string_equal(fake.journal, "file_remove /run/socketmaster-1000-fake00/12\nclose 3\n");
    close_all();
}

/* Rules: E5 I7 */
static void test_a_slot_that_cannot_be_opened(void **state)
{
    static const struct {
        const char *call;
        int error;
    } cases[] = {
        {"socket_open", EMFILE},
        {"socket_set", ENOMEM},
        {"socket_bind", ENOSPC},
        {"socket_bind", ENOENT},
        {"file_pin", ENFILE},
        {"file_pinned_chown", EPERM},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        assert_true(notify_open(&notify, &fake.os, &account, nothing, &error));
        os_fake_fail(&fake, cases[i].call, 1, cases[i].error);
        assert_int_equal(notify_slot_open(&notify, 3), -cases[i].error);
        assert_null(os_fake_find(&fake, notify_slot_path(&notify, 3)));
        assert_int_equal(os_fake_open_count(&fake), 0);
        assert_int_equal(fake.mask, 0022);
        notify_slot_close(&notify, 3);
        assert_true(notify_slot_open(&notify, 3) >= 3);
        close_all();
    }
}

/* Rules: E5 I7 */
static void test_a_path_that_was_left_behind(void **state)
{
    (void)state;
    open_all();
    assert_true(notify_slot_open(&notify, 3) >= 3);
    os_fake_fail(&fake, "file_remove", 1, EIO);
    notify_slot_close(&notify, 3);
    assert_non_null(os_fake_find(&fake, notify_slot_path(&notify, 3)));
    assert_true(notify_slot_open(&notify, 3) >= 3);
    notify_slot_close(&notify, 3);
    /* One that stays there is an error. */
    os_fake_file(&fake, notify_slot_path(&notify, 3), OS_FILE_SOCKET);
    os_fake_fail(&fake, "file_remove", 1, EIO);
    assert_int_equal(notify_slot_open(&notify, 3), -EADDRINUSE);
    assert_true(notify_slot_open(&notify, 3) >= 3);
    close_all();
}

/* Rules: E5 I11 */
static void test_every_slot_has_its_own(void **state)
{
    (void)state;
    static const unsigned slots[] = {0, 1, 10, LIMIT_SLOTS - 1};
    open_all();
    for (size_t i = 0; i < COUNT(slots); i++) {
        assert_true(notify_slot_open(&notify, slots[i]) >= 3);
        const char *path = notify_slot_path(&notify, slots[i]);
        assert_true(os_fake_send(&fake, path, WORKER, "READY=1", 7));
    }
    os_fake_relate(&fake, WORKER, OS_FAKE_PID);
    for (size_t i = 0; i < COUNT(slots); i++) {
        assert_int_equal(notify_take(&notify, slots[i], WORKER, &message), 1);
        assert_int_equal(notify_take(&notify, slots[i], WORKER, &message), -EAGAIN);
    }
    close_all();
}

/* --- who may speak --- */

/* Rules: R4 */
static void test_who_may_speak(void **state)
{
    static const struct {
        pid_t sender;
        int counts;
    } cases[] = {
        {WORKER, 1}, {CHILD, 1}, {GRANDCHILD, 1}, {STRANGER, 0}, {OS_FAKE_PID, 0}, /* the master */
        {WORKER + 1, 0},                                                           /* a sibling */
        {CHILD + 100, 0}, /* of a sibling */
        {7777, 0},        /* gone */
        {7001, 0},        /* whose parent is gone */
        {1, 0}, {0, 0},   /* somebody out of sight */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        open_slot_0();
        os_fake_relate(&fake, OS_FAKE_PID, 1);
        os_fake_relate(&fake, WORKER + 1, OS_FAKE_PID);
        os_fake_relate(&fake, CHILD + 100, WORKER + 1);
        os_fake_relate(&fake, 7001, 7000);
        say(cases[i].sender, "READY=1\nSTATUS=spoken");
        assert_int_equal(take(), cases[i].counts);
        assert_string_equal(notify_slot_status(&notify, 0), cases[i].counts == 1 ? "spoken" : "");
        assert_int_equal(take(), -EAGAIN);
        close_all();
    }
}

/* Rules: R4 */
static void test_each_thing_that_is_said_is_traced(void **state)
{
    static const struct {
        const char *said;
        int counts;
    } cases[] = {
        {"READY=1", 0},
        {"STOPPING=1", 0},
        {"EXTEND_TIMEOUT_USEC=1", 0},
        {"STATUS=", 0},
        {"BARRIER=1", 1},
        {"", 1},
    };
    (void)state;
    open_slot_0();
    for (size_t i = 0; i < COUNT(cases); i++) {
        say(STRANGER, cases[i].said);
        assert_int_equal(take(), cases[i].counts);
    }
    close_all();
}

/* Rules: R4 I11 */
static void test_how_far_the_tree_is_climbed(void **state)
{
    for (int between = ANCESTOR_STEPS_MAX; between <= ANCESTOR_STEPS_MAX + 1; between++) {
        set_up(state);
        open_slot_0();
        /* A number that is its own ancestor, as a race could make it seem, ends the climb, too. */
        os_fake_relate(&fake, STRANGER, STRANGER);
        say(STRANGER, "READY=1");
        assert_int_equal(take(), 0);
        assert_int_equal(os_fake_uses(&fake, "process_look"), ANCESTOR_STEPS_MAX + 1);

        for (int i = 0; i <= between; i++)
            os_fake_relate(&fake, 9000 + i, i == 0 ? WORKER : 9000 + i - 1);
        say(9000 + between, "READY=1");
        assert_int_equal(take(), between <= ANCESTOR_STEPS_MAX);
        close_all();
    }
}

/* Rules: R4 X1 */
static void test_a_worker_that_has_ended_says_nothing(void **state)
{
    (void)state;
    open_slot_0();
    struct os_process ended = {.parent = OS_FAKE_PID, .ended = true};
    os_fake_answer(&fake,
        &(struct os_fake_answer){.call = "process_look", .data = &ended, .size = sizeof ended});
    say(WORKER, "READY=1");
    assert_int_equal(take(), 0);
    /* Where nobody can look, it is still the number of our own child. */
    os_fake_fail(&fake, "process_look", 1, EMFILE);
    say(WORKER, "READY=1");
    assert_int_equal(take(), 1);
    assert_true(message.ready);
    close_all();
}

/* Rules: R4 I7 */
static void test_who_cannot_be_traced_does_not_count(void **state)
{
    (void)state;
    open_slot_0();
    for (size_t nth = 1; nth <= 2; nth++) {
        os_fake_fail(&fake, "process_look", nth, EMFILE);
        say(GRANDCHILD, "STATUS=unheard");
        assert_int_equal(take(), -EMFILE);
        assert_int_equal(take(), -EAGAIN);
        assert_string_equal(notify_slot_status(&notify, 0), "");
    }
    close_all();
}

/* --- messages --- */

/* Rules: R3 I10 I11 */
static void test_messages_of_all_kinds(void **state)
{
    static char large[64 * 1024];
    static const struct {
        const char *bytes; /* NULL: `large` */
        size_t length;
        int taken;
        bool ready;
    } cases[] = {
        {"READY=1", 7, 1, true},
        {"READY=1\n", 8, 1, true},
        {"READY=1\0A", 9, 0, false},
        {"", 0, 1, false},
        {"BARRIER=1", 9, 1, false},
        {"X_UNKNOWN=READY=1", 17, 1, false},
        {NULL, NOTIFY_MESSAGE_SIZE, 1, true},
        {NULL, NOTIFY_MESSAGE_SIZE + 1, 0, false},
        {NULL, sizeof large, 0, false},
    };
    memset(large, 'x', sizeof large);
    memcpy(large, "READY=1\n", 8);
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        open_slot_0();
        const char *bytes = cases[i].bytes != NULL ? cases[i].bytes : large;
        assert_true(
            os_fake_send(&fake, notify_slot_path(&notify, 0), WORKER, bytes, cases[i].length));
        assert_int_equal(take(), cases[i].taken);
        if (cases[i].taken == 1)
            assert_int_equal(message.ready, cases[i].ready);
        assert_int_equal(take(), -EAGAIN);
        close_all();
    }
}

/* Rules: R3 */
static void test_messages_come_in_order(void **state)
{
    (void)state;
    open_slot_0();
    say(WORKER, "STATUS=one");
    say(STRANGER, "READY=1");
    say(CHILD, "READY=1");
    say(WORKER, "STOPPING=1");
    assert_int_equal(take(), 1);
    assert_true(text_span_is(message.status, "one"));
    assert_int_equal(take(), 0);
    assert_int_equal(take(), 1);
    assert_true(message.ready && !message.has_status);
    assert_int_equal(take(), 1);
    assert_true(message.stopping && !message.ready);
    assert_int_equal(take(), -EAGAIN);
    os_fake_fail(&fake, "datagram_receive", 1, ENOMEM);
    assert_int_equal(take(), -ENOMEM);
    close_all();
}

/* Rules: R3 I11 */
static void test_the_last_status_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *kept;
    } steps[] = {
        {"STATUS=warming up\nREADY=1", "warming up"},
        {"READY=1", "warming up"},
        {"STATUS=serving\033[2J", "serving?[2J"},
        {"STATUS=", ""},
    };
    char longest[7 + 2 * NOTIFY_STATUS_SIZE];
    open_slot_0();
    assert_string_equal(notify_slot_status(&notify, 0), "");
    for (size_t i = 0; i < COUNT(steps); i++) {
        say(WORKER, steps[i].said);
        assert_int_equal(take(), 1);
        assert_string_equal(notify_slot_status(&notify, 0), steps[i].kept);
        assert_string_equal(notify_slot_status(&notify, 1), "");
    }
    memset(longest, 'y', sizeof longest);
    memcpy(longest, "STATUS=", 7);
    longest[sizeof longest - 1] = '\0';
    say(WORKER, longest);
    assert_int_equal(take(), 1);
    assert_int_equal(strlen(notify_slot_status(&notify, 0)), NOTIFY_STATUS_SIZE - 1);
    /* The next worker of this slot begins without one. */
    notify_slot_close(&notify, 0);
    assert_true(notify_slot_open(&notify, 0) >= 3);
    assert_string_equal(notify_slot_status(&notify, 0), "");
    close_all();
}

/* --- NOTIFY_FD --- */

/* Rules: R3 R4 */
static void test_a_newline_makes_ready(void **state)
{
    static const struct {
        const char *written;
        bool closed;
        enum notify_fd_state expected;
    } cases[] = {
        {"", false, NOTIFY_FD_PENDING},
        {"", true, NOTIFY_FD_CLOSED},
        {"\n", false, NOTIFY_FD_READY},
        {"\n", true, NOTIFY_FD_READY},
        {"ready", false, NOTIFY_FD_PENDING},
        {"ready", true, NOTIFY_FD_CLOSED},
        {"ready\n", false, NOTIFY_FD_READY},
        {"ready\nand more", true, NOTIFY_FD_READY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int ends[2];
        set_up(state);
        fake.os.pipe_open(&fake.os, ends);
        os_fake_feed(&fake, ends[0], cases[i].written, strlen(cases[i].written));
        if (cases[i].closed)
            os_fake_end(&fake, ends[0]);
        assert_int_equal(notify_read_fd(&fake.os, ends[0]), cases[i].expected);
    }
}

/* Rules: R3 I11 */
static void test_a_flood_is_read_in_parts(void **state)
{
    (void)state;
    static char flood[2 * NOTIFY_READS_MAX * NOTIFY_READ_BYTES];
    int ends[2];
    memset(flood, 'x', sizeof flood);
    fake.os.pipe_open(&fake.os, ends);
    os_fake_feed(&fake, ends[0], flood, sizeof flood);
    os_fake_feed(&fake, ends[0], "\n", 1);
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(notify_read_fd(&fake.os, ends[0]), NOTIFY_FD_PENDING);
        assert_int_equal(os_fake_uses(&fake, "read"), i * NOTIFY_READS_MAX);
    }
    assert_int_equal(notify_read_fd(&fake.os, ends[0]), NOTIFY_FD_READY);
    os_fake_fail(&fake, "read", 1, EIO);
    assert_int_equal(notify_read_fd(&fake.os, ends[0]), NOTIFY_FD_FAILED);
    assert_int_equal(notify_read_fd(&fake.os, ends[0]), NOTIFY_FD_PENDING);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_place_that_will_do),
        TEST(test_no_place_will_do),
        TEST(test_a_place_without_a_use),
        TEST(test_the_longest_path_has_room),
        TEST(test_an_account_can_go_through),
        TEST(test_closing_what_was_never_opened),
        TEST(test_a_slot_is_opened_and_closed),
        TEST(test_a_slot_that_cannot_be_opened),
        TEST(test_a_path_that_was_left_behind),
        TEST(test_every_slot_has_its_own),
        TEST(test_who_may_speak),
        TEST(test_each_thing_that_is_said_is_traced),
        TEST(test_how_far_the_tree_is_climbed),
        TEST(test_a_worker_that_has_ended_says_nothing),
        TEST(test_who_cannot_be_traced_does_not_count),
        TEST(test_messages_of_all_kinds),
        TEST(test_messages_come_in_order),
        TEST(test_the_last_status_is_kept),
        TEST(test_a_newline_makes_ready),
        TEST(test_a_flood_is_read_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
