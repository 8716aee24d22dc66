/*
 * Tests of listener_file: who gets a path, what is left alone, and the modes of socket files.
 */
#include "listener_world.h"

#include <errno.h>
#include <stdio.h>

#include "listener_file.h"

/* Rules: L7 */
static void test_replaces_a_stale_file(void **state)
{
    uint64_t stale = stale_file("/run/s")->inode;

    (void)state;
    assert_true(open_uri("unix:///run/s"));
    assert_string_equal(fake.journal,
        "socket_open 1 1\ndirectory_lock /run\nfile_look /run/s\nsocket_open 1 1\n"
        "socket_connect 5 unix:/run/s\nclose 5\nfile_look /run/s\nfile_remove /run/s\n"
        "socket_bind 3 unix:/run/s\nfile_pin /run/s\nfile_pinned_look 5\n"
        "file_pinned_link 5 /run/s.socketmaster\nsocket_listen 3 2147483647\nclose "
        "4\nsocket_address 3\n");
    assert_int_not_equal(os_fake_find(&fake, "/run/s")->file.inode, stale);
    close_all();
    assert_false(is_there("/run/s"));
}

/* Rules: L7 C6 */
static void test_leaves_alone_what_is_not_a_stale_socket(void **state)
{
    static const struct {
        enum os_file_kind kind;
        int connect; /* what the probe comes to */
        const char *error;
    } cases[] = {
        {OS_FILE_SOCKET, 0, "a live server has this path"},
        {OS_FILE_SOCKET, EAGAIN, "a live server has this path"},
        {OS_FILE_SOCKET, EINPROGRESS, "a live server has this path"},
        {OS_FILE_SOCKET, EPROTOTYPE, "a live server has this path"},
        {OS_FILE_SOCKET, EACCES, "probe of the socket file: Permission denied"},
        {OS_FILE_SOCKET, EPERM, "probe of the socket file: Operation not permitted"},
        {OS_FILE_LINK, 0, "the path is a symbolic link"},
        {OS_FILE_REGULAR, 0, "the path is a regular file"},
        {OS_FILE_DIRECTORY, 0, "the path is a directory"},
        {OS_FILE_OTHER, 0, "the path is not a socket"},
    };
    char expected[256];

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        size_t row = i / 2;
        bool check = i % 2 == 1;
        uint64_t inode;

        set_up(state);
        parse("unix:///run/s");
        inode = os_fake_file(&fake, "/run/s", cases[row].kind)->file.inode;
        if (cases[row].kind == OS_FILE_SOCKET)
            os_fake_answer(&fake,
                &(struct os_fake_answer){.call = "socket_connect", .result = -cases[row].connect});
        snprintf(expected, sizeof expected, "unable to listen on \"unix:///run/s\": %s",
            cases[row].error);
        assert_failed(check ? check_all() : open_all(), expected);
        assert_int_equal(os_fake_find(&fake, "/run/s")->file.inode, inode);
        assert_int_equal(os_fake_uses(&fake, "socket_bind"), 0);
        close_all();
    }
}

static void answer_look(const struct os_file *file)
{
    os_fake_answer(
        &fake, &(struct os_fake_answer){.call = "file_look", .data = file, .size = sizeof *file});
}

/* Rules: L7 */
static void test_does_not_remove_a_file_that_took_the_place(void **state)
{
    const struct os_file before = *stale_file("/run/s");
    struct os_file after = before;

    (void)state;
    after.inode++;
    answer_look(&before);
    answer_look(&after);
    assert_failed(open_uri("unix:///run/s"), "unable to listen on \"unix:///run/s\": the path was "
                                             "taken by another process just now");
    assert_true(is_there("/run/s"));
    close_all();
}

/* Rules: L7 */
static void test_takes_a_path_that_becomes_free_meanwhile(void **state)
{
    static const struct {
        const char *call;
        size_t nth;
    } cases[] = {{"socket_connect", 1}, {"file_look", 2}, {"file_remove", 1}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct os_file none = {.kind = OS_FILE_SOCKET, .device = 1, .inode = 77};

        set_up(state);
        /* It is seen once, and then its owner removes it. */
        answer_look(&none);
        if (i == 2)
            answer_look(&none);
        os_fake_fail(&fake, cases[i].call, cases[i].nth, ENOENT);
        if (i > 0)
            os_fake_fail(&fake, "socket_connect", 1, ECONNREFUSED);
        assert_true(open_uri("unix:///run/s"));
        assert_true(is_there("/run/s"));
        close_all();
    }
}

/* Rules: L7 */
static void test_waits_for_another_master_that_starts(void **state)
{
    const struct os_fake_answer locked = {.call = "directory_lock", .result = -EWOULDBLOCK};
    uint64_t begin = fake.now_ms;

    (void)state;
    os_fake_answer(&fake, &locked);
    os_fake_answer(&fake, &locked);
    assert_true(open_uri("unix:///run/s"));
    assert_int_equal(os_fake_uses(&fake, "pause_ms"), 2);
    listeners_close(&listeners, &fake.os);

    begin = fake.now_ms;
    os_fake_fail(&fake, "directory_lock", 0, EWOULDBLOCK);
    assert_failed(open_uri("unix:///run/s"), "unable to listen on \"unix:///run/s\": directory "
                                             "\"/run\": another process keeps it locked");
    assert_true(fake.now_ms - begin >= LISTENER_LOCK_WAIT_MS);
    close_all();
}

/* Rules: L7 C6 */
static void test_names_a_directory_that_is_not_there(void **state)
{
    static const char *const expected = "unable to listen on \"unix:///no/where/s\": directory "
                                        "\"/no/where\": No such file or directory";

    assert_failed(open_uri("unix:///no/where/s"), expected);
    set_up(state);
    parse("unix:///no/where/s");
    assert_failed(check_all(), expected);
    close_all();
}

/* Rules: L7 */
static void test_gives_mode_and_owner_before_the_first_connection(void **state)
{
    static const struct {
        const char *query;
        const char *birth; /* journal from bind on */
        mode_t mode;
        int uid;
        int gid;
    } cases[] = {
        {"", "socket_bind 3 unix:/run/s\nfile_pin /run/s\nfile_pinned_look 5\n", 0755, 0, 0},
        {"?mode=0666",
            "file_mask 0111\nsocket_bind 3 unix:/run/s\nfile_mask 0022\nfile_pin /run/s\n"
            "file_pinned_look 5\n",
            0666, 0, 0},
        {"?mode=0",
            "file_mask 0777\nsocket_bind 3 unix:/run/s\nfile_mask 0022\nfile_pin /run/s\n"
            "file_pinned_look 5\n",
            0, 0, 0},
        {"?user=www-data",
            "file_mask 0777\nsocket_bind 3 unix:/run/s\nfile_mask 0022\nfile_pin /run/s\n"
            "file_pinned_look 5\nfile_pinned_chown 5 33 33\nfile_pinned_chmod 5 0755\n",
            0755, 33, 33},
        {"?group=users&mode=0660",
            "file_mask 0777\nsocket_bind 3 unix:/run/s\nfile_mask 0022\nfile_pin /run/s\n"
            "file_pinned_look 5\nfile_pinned_chown 5 -1 100\nfile_pinned_chmod 5 0660\n",
            0660, 0, 100},
        {"?mode=0600&user=nobody&group=users",
            "file_mask 0777\nsocket_bind 3 unix:/run/s\nfile_mask 0022\nfile_pin /run/s\n"
            "file_pinned_look 5\nfile_pinned_chown 5 65534 100\nfile_pinned_chmod 5 0600\n",
            0600, 65534, 100},
    };
    char uri[64];
    char expected[1024];

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct os_fake_file *file;

        set_up(state);
        snprintf(uri, sizeof uri, "unix:///run/s%s", cases[i].query);
        assert_true(open_uri(uri));
        snprintf(expected, sizeof expected,
            "%sfile_pinned_link 5 /run/s.socketmaster\nsocket_listen 3 2147483647\n",
            cases[i].birth);
        assert_non_null(strstr(fake.journal, expected));
        file = os_fake_find(&fake, "/run/s");
        assert_int_equal(file->mode, cases[i].mode);
        assert_int_equal(file->uid, cases[i].uid);
        assert_int_equal(file->gid, cases[i].gid);
        close_all();
    }
}

/* Rules: L7 */
static void test_removes_at_the_end_only_what_it_made(void **state)
{
    uint64_t other;

    (void)state;
    parse("unix:///run/mine");
    parse("unix:///run/theirs");
    parse("unixgram:///run/gone");
    assert_true(open_all());
    fake.os.file_remove(&fake.os, "/run/theirs");
    fake.os.file_remove(&fake.os, "/run/gone");
    other = stale_file("/run/theirs")->inode;
    os_fake_forget(&fake);
    close_all();
    assert_false(is_there("/run/mine"));
    assert_int_equal(os_fake_find(&fake, "/run/theirs")->file.inode, other);
    /* The file goes while the socket still lives: a master that starts now finds a live one. */
    assert_non_null(strstr(fake.journal, "file_look /run/mine\nfile_remove /run/mine\nclose 5\n"
                                         "close 3\n"));
}

/* Rules: L5 L7 */
static void test_gives_a_path_up_before_its_lock(void **state)
{
    (void)state;
    os_fake_fail(&fake, "socket_listen", 1, EIO);
    assert_failed(open_uri("unix:///run/s"),
        "unable to listen on \"unix:///run/s\": listen: Input/output error");
    assert_non_null(strstr(fake.journal,
        "socket_listen 3 2147483647\nfile_look /run/s.socketmaster\nfile_remove "
        "/run/s.socketmaster\nfile_look /run/s\n"
        "file_remove /run/s\nclose 5\nclose 3\nclose 4\n"));
    close_all();
}

/* Rules: L5 L7 */
static void test_a_failed_start_removes_only_what_it_made(void **state)
{
    static const struct os_file link = {.kind = OS_FILE_LINK, .device = 1, .inode = 50};
    static const struct os_file other = {.kind = OS_FILE_SOCKET, .device = 1, .inode = 51};

    (void)state;
    /* Somebody put a link in its place before it was pinned. */
    os_fake_fail(&fake, "file_pin", 1, ELOOP);
    os_fake_fail(&fake, "file_look", 1, ENOENT);
    answer_look(&link);
    assert_false(open_uri("unix:///run/s"));
    assert_int_equal(os_fake_uses(&fake, "file_remove"), 0);

    set_up(state);
    /* Somebody put a socket in its place before it could listen. */
    os_fake_fail(&fake, "socket_listen", 1, EIO);
    os_fake_fail(&fake, "file_look", 1, ENOENT);
    answer_look(&other);
    answer_look(&other);
    assert_false(open_uri("unix:///run/s"));
    assert_int_equal(os_fake_uses(&fake, "file_remove"), 0);

    set_up(state);
    /* What is pinned is no socket. */
    os_fake_answer(&fake,
        &(struct os_fake_answer){.call = "file_pinned_look", .data = &link, .size = sizeof link});
    assert_failed(open_uri("unix:///run/s"),
        "unable to listen on \"unix:///run/s\": look at the new socket file: Stale file handle");
    assert_int_equal(os_fake_uses(&fake, "socket_listen"), 0);
    close_all();
}

/* Rules: L8 */
static void test_gives_the_file_a_second_name_beside_the_first(void **state)
{
    static const struct {
        size_t directory; /* bytes of it, with both slashes */
        size_t name;
        size_t kept; /* bytes of the path that the second name begins with */
    } cases[] = {
        {5, 1, 6},
        {5, 89, 94},
        {5, 90, 94},
        {5, 102, 94},
        {94, 13, 107}, /* nothing of the name would be left */
        {93, 14, 94},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[URI_PATH_MAX + 1] = "/";
        char expected[LISTENER_KEPT_MAX] = "";
        char kept[LISTENER_KEPT_MAX];
        size_t length = cases[i].directory + cases[i].name;

        memset(path + 1, 'd', length - 1);
        path[cases[i].directory - 1] = '/';
        memcpy(expected, path, cases[i].kept);
        strcat(expected, ".socketmaster");
        listener_file_kept_path(path, kept);
        assert_string_equal(kept, expected);
    }
}

/* Rules: L7 L8 */
static void test_the_second_name_goes_with_the_first(void **state)
{
    (void)state;
    assert_true(open_uri("unix:///run/s"));
    assert_int_equal(listeners.items[0].kept, 0);
    assert_int_equal(os_fake_find(&fake, "/run/s.socketmaster")->file.inode,
        os_fake_find(&fake, "/run/s")->file.inode);
    os_fake_forget(&fake);
    close_all();
    assert_string_equal(fake.journal,
        "file_look /run/s.socketmaster\nfile_remove /run/s.socketmaster\n"
        "file_look /run/s\nfile_remove /run/s\nclose 5\nclose 3\n");
}

/* Rules: L7 L8 I10 */
static void test_takes_a_second_name_from_the_dead_alone(void **state)
{
    static const struct {
        enum os_file_kind kind;
        int connect; /* what the probe comes to */
        bool taken;
    } cases[] = {
        {OS_FILE_SOCKET, ECONNREFUSED, true},
        {OS_FILE_SOCKET, 0, false},
        {OS_FILE_SOCKET, EAGAIN, false},
        {OS_FILE_SOCKET, EPROTOTYPE, false},
        {OS_FILE_SOCKET, EACCES, false},
        {OS_FILE_REGULAR, ECONNREFUSED, false},
        {OS_FILE_LINK, ECONNREFUSED, false},
        {OS_FILE_DIRECTORY, ECONNREFUSED, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t other;

        set_up(state);
        other = os_fake_file(&fake, "/run/s.socketmaster", cases[i].kind)->file.inode;
        os_fake_answer(&fake,
            &(struct os_fake_answer){.call = "socket_connect",
                .arguments = cases[i].kind == OS_FILE_SOCKET ? "6 unix:/run/s.socketmaster" : NULL,
                .result = -cases[i].connect});
        assert_true(open_uri("unix:///run/s"));
        assert_int_equal(listeners.items[0].kept, cases[i].taken ? 0 : -EEXIST);
        assert_true(is_there("/run/s"));
        if (cases[i].kind != OS_FILE_SOCKET)
            fake.answer_count = 0;
        if (!cases[i].taken)
            assert_int_equal(os_fake_find(&fake, "/run/s.socketmaster")->file.inode, other);
        close_all();
        assert_int_equal(is_there("/run/s.socketmaster"), !cases[i].taken);
        assert_false(is_there("/run/s"));
    }
}

/* Rules: L8 I7 */
static void test_goes_without_a_second_name(void **state)
{
    static const struct {
        const char *call;
        int error;
        int kept;
    } cases[] = {
        {"file_pinned_link", EPERM, -EPERM},
        {"file_pinned_link", EROFS, -EROFS},
        /* What stands there cannot be looked at. */
        {"file_look", EACCES, -EEXIST},
        {"socket_open", EMFILE, -EEXIST},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        set_up(state);
        if (cases[i].kept == -EEXIST)
            stale_file("/run/s.socketmaster");
        os_fake_fail(&fake, cases[i].call, cases[i].kept == -EEXIST ? 2 : 1, cases[i].error);
        assert_true(open_uri("unix:///run/s"));
        assert_int_equal(listeners.items[0].kept, cases[i].kept);
        close_all();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_replaces_a_stale_file, set_up),
        cmocka_unit_test_setup(test_leaves_alone_what_is_not_a_stale_socket, set_up),
        cmocka_unit_test_setup(test_does_not_remove_a_file_that_took_the_place, set_up),
        cmocka_unit_test_setup(test_takes_a_path_that_becomes_free_meanwhile, set_up),
        cmocka_unit_test_setup(test_waits_for_another_master_that_starts, set_up),
        cmocka_unit_test_setup(test_names_a_directory_that_is_not_there, set_up),
        cmocka_unit_test_setup(test_gives_mode_and_owner_before_the_first_connection, set_up),
        cmocka_unit_test_setup(test_removes_at_the_end_only_what_it_made, set_up),
        cmocka_unit_test_setup(test_gives_a_path_up_before_its_lock, set_up),
        cmocka_unit_test_setup(test_a_failed_start_removes_only_what_it_made, set_up),
        cmocka_unit_test_setup(test_gives_the_file_a_second_name_beside_the_first, set_up),
        cmocka_unit_test_setup(test_the_second_name_goes_with_the_first, set_up),
        cmocka_unit_test_setup(test_takes_a_second_name_from_the_dead_alone, set_up),
        cmocka_unit_test_setup(test_goes_without_a_second_name, set_up),
    };

    return cmocka_run_group_tests_name("listener_file", tests, NULL, NULL);
}
