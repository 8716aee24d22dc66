/*
 * Tests of listener: the control socket, which is the master's own. Its file is for one user alone
 * from its birth, it is found and left as any other, and nothing of it outlives the master.
 */
#include "listener_world.h"

#include <errno.h>
#include <stdlib.h>

static struct listener private;
static struct uri uri;
static char *source;
static const struct os_user www = {.uid = 33, .gid = 34};

/* A path as -control gives it: it has no scheme, and nothing behind its last byte. */
static int set_up_path(void **state)
{
    static const char path[] = "/run/c";

    free(source);
    source = malloc(strlen(path));
    assert_non_null(source);
    memcpy(source, path, strlen(path));
    uri = (struct uri){
        .source = {source, strlen(path)},
        .kind = URI_UNIX,
        .path_length = strlen(path),
        .given = 1u << URI_OPT_MODE,
        .nonblock = true,
        .mode = 0600,
    };
    memcpy(uri.path, path, sizeof path);
    return set_up(state);
}

static int free_path(void **state)
{
    (void)state;
    free(source);
    source = NULL;
    return 0;
}

static bool open_private(const struct os_user *owner)
{
    return listener_open_private(&private, &fake.os, &uri, owner, &error);
}

static bool check_private(void)
{
    return listener_check_private(&fake.os, &uri, &plan, &error);
}

static void close_private(void)
{
    listener_close_private(&private, &fake.os);
    assert_int_equal(private.fd, -1);
    assert_int_equal(fake.mask, UMASK);
    os_fake_done(&fake);
}

static void assert_private_failed(bool done, const char *expected)
{
    assert_false(done);
    assert_string_equal(error_bytes, expected);
    assert_string_equal(plan_bytes, "");
    assert_int_equal(fake.mask, UMASK);
}

/* Rules: K1 L7 */
static void test_is_for_one_user_alone_before_the_first_connection(void **state)
{
    static const struct {
        const struct os_user *owner;
        const char *birth; /* from bind on */
        uid_t uid;
        gid_t gid;
    } cases[] = {
        {NULL,
            "file_mask 0177\nsocket_bind 3 unix:/run/c\nfile_mask 0022\nfile_pin /run/c\n"
            "file_pinned_look 5\n",
            0, 0},
        {&www,
            "file_mask 0777\nsocket_bind 3 unix:/run/c\nfile_mask 0022\nfile_pin /run/c\n"
            "file_pinned_look 5\nfile_pinned_chown 5 33 34\nfile_pinned_chmod 5 0600\n",
            33, 34},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[512] = "socket_open 1 1\ndirectory_lock /run\nfile_look /run/c\n";
        const struct os_fake_file *file;

        set_up_path(state);
        strcat(expected, cases[i].birth);
        strcat(expected, "set_nonblocking 3\nsocket_listen 3 2147483647\nclose 4\n");
        assert_true(open_private(cases[i].owner));
        assert_string_equal(fake.journal, expected);
        assert_int_equal(private.fd, 3);
        assert_true(fake.descriptors[3].listening);
        assert_true(fake.descriptors[3].nonblocking);
        file = os_fake_find(&fake, "/run/c");
        assert_int_equal(file->mode, 0600);
        assert_int_equal(file->uid, cases[i].uid);
        assert_int_equal(file->gid, cases[i].gid);
        close_private();
    }
}

/* Rules: K1 L7 L8 */
static void test_has_no_second_name_and_goes_at_the_end(void **state)
{
    uint64_t neighbour;

    (void)state;
    neighbour = stale_file("/run/c.socketmaster")->inode;
    assert_true(open_private(&www));
    assert_int_equal(os_fake_uses(&fake, "file_pinned_link"), 0);
    os_fake_forget(&fake);
    close_private();
    assert_string_equal(fake.journal, "file_look /run/c\nfile_remove /run/c\nclose 5\nclose 3\n");
    assert_false(is_there("/run/c"));
    assert_int_equal(os_fake_find(&fake, "/run/c.socketmaster")->file.inode, neighbour);

    /* What is closed, and what never was open, is closed again without harm. */
    os_fake_forget(&fake);
    listener_close_private(&private, &fake.os);
    listener_clear(&private);
    listener_close_private(&private, &fake.os);
    assert_string_equal(fake.journal, "");
}

/* Rules: K1 L7 */
static void test_removes_only_the_file_that_it_made(void **state)
{
    uint64_t other;

    (void)state;
    assert_true(open_private(NULL));
    fake.os.file_remove(&fake.os, "/run/c");
    other = stale_file("/run/c")->inode;
    close_private();
    assert_int_equal(os_fake_find(&fake, "/run/c")->file.inode, other);
}

/* Rules: K1 L7 C7 */
static void test_replaces_a_stale_file_and_a_check_says_so(void **state)
{
    uint64_t stale = stale_file("/run/c")->inode;

    (void)state;
    assert_true(check_private());
    assert_string_equal(
        plan_bytes, "take commands on unix:///run/c (replaces a stale socket file)\n");
    assert_int_equal(os_fake_find(&fake, "/run/c")->file.inode, stale);
    assert_int_equal(os_fake_open_count(&fake), 0);
    assert_true(open_private(NULL));
    assert_int_not_equal(os_fake_find(&fake, "/run/c")->file.inode, stale);
    assert_int_equal(os_fake_find(&fake, "/run/c")->mode, 0600);
    close_private();
}

/* Rules: K1 C7 */
static void test_a_check_touches_nothing(void **state)
{
    (void)state;
    assert_true(check_private());
    assert_string_equal(plan_bytes, "take commands on unix:///run/c\n");
    assert_false(is_there("/run/c"));
    assert_int_equal(os_fake_uses(&fake, "socket_bind"), 0);
    assert_int_equal(os_fake_uses(&fake, "file_mask"), 0);
    os_fake_done(&fake);
}

/* Rules: K1 L7 C6 C7 */
static void test_leaves_alone_what_is_not_stale(void **state)
{
    static const struct {
        enum os_file_kind kind;
        const char *expected;
    } cases[] = {
        {OS_FILE_SOCKET, "unable to listen on \"/run/c\": a live server has this path"},
        {OS_FILE_LINK, "unable to listen on \"/run/c\": the path is a symbolic link"},
        {OS_FILE_REGULAR, "unable to listen on \"/run/c\": the path is a regular file"},
    };

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        bool check = i % 2 == 1;
        struct os_fake_file *file;
        uint64_t inode;

        set_up_path(state);
        file = os_fake_file(&fake, "/run/c", cases[i / 2].kind);
        file->live = true;
        inode = file->file.inode;
        assert_private_failed(check ? check_private() : open_private(&www), cases[i / 2].expected);
        assert_int_equal(os_fake_find(&fake, "/run/c")->file.inode, inode);
        os_fake_done(&fake);
    }
}

/* Rules: K1 C6 L5 I7 */
static void test_whatever_fails_leaves_nothing(void **state)
{
    static const char *const calls[] = {"socket_open", "directory_lock", "file_look",
        "socket_connect", "file_remove", "socket_bind", "file_pin", "file_pinned_look",
        "file_pinned_chown", "file_pinned_chmod", "set_nonblocking", "socket_listen"};

    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t failed = 0;

        for (size_t nth = 1;; nth++) {
            const struct os_fake_file *file;
            uint64_t stale;

            set_up_path(state);
            stale = stale_file("/run/c")->inode;
            os_fake_fail(&fake, calls[i], nth, EIO);
            if (open_private(&www)) {
                close_private();
                break;
            }
            failed++;
            assert_true(error.length > 0);
            assert_null(strchr(error_bytes, '\n'));
            assert_int_equal(private.fd, -1);
            assert_int_equal(fake.mask, UMASK);
            file = os_fake_find(&fake, "/run/c");
            assert_true(file == NULL || file->file.inode == stale);
            os_fake_done(&fake);
            close_private();
        }
        if (failed == 0)
            fail_msg("%s was never used", calls[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_is_for_one_user_alone_before_the_first_connection, set_up_path),
        cmocka_unit_test_setup(test_has_no_second_name_and_goes_at_the_end, set_up_path),
        cmocka_unit_test_setup(test_removes_only_the_file_that_it_made, set_up_path),
        cmocka_unit_test_setup(test_replaces_a_stale_file_and_a_check_says_so, set_up_path),
        cmocka_unit_test_setup(test_a_check_touches_nothing, set_up_path),
        cmocka_unit_test_setup(test_leaves_alone_what_is_not_stale, set_up_path),
        cmocka_unit_test_setup(test_whatever_fails_leaves_nothing, set_up_path),
    };

    return cmocka_run_group_tests_name("listener_private", tests, NULL, free_path);
}
