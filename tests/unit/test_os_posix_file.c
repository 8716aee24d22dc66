/*
 * Tests of os_posix against the real kernel: sockets, files, names.
 */
#include "os_posix_world.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>

/* --- sockets --- */

/* Rules: L1 L3 */
static void test_tcp_sockets(void **state)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (void *)&address.address;
    int value = 0;
    (void)state;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = os.socket_open(&os, AF_INET, SOCK_STREAM);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(os.socket_get(&os, fd, SOL_SOCKET, SO_REUSEADDR, &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    assert_int_equal(os.socket_listen(&os, fd, 4), 0);
    assert_int_equal(os.socket_address(&os, fd, &address), 0);
    assert_int_equal(address.length, sizeof *v4);
    assert_true(v4->sin_port != 0);
    assert_int_equal(os.is_nonblocking(&os, fd), 0);
    int other = os.socket_open(&os, AF_INET, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, other, &address), -EADDRINUSE);
    assert_int_equal(os.socket_listen(&os, area[0], 4), -EBADF);
    assert_int_equal(os.socket_address(&os, 1000, &address), -EBADF);
    assert_int_equal(os.socket_open(&os, AF_INET, 77), -EINVAL);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, 9999, &value, sizeof value), -ENOPROTOOPT);
    assert_int_equal(os.close(&os, fd) + os.close(&os, other), 0);
}

/* Rules: L7 */
static void test_unix_sockets(void **state)
{
    const struct os_address address = unix_address(in_area("sock"));
    int clients[8];
    size_t count = 0;
    int error = 0;
    (void)state;
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    int probe = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_connect(&os, probe, &address), -ECONNREFUSED);
    assert_int_equal(os.close(&os, probe), 0);
    assert_int_equal(os.socket_listen(&os, fd, 1), 0);
    while (error == 0 && count < 8) { /* nobody accepts, nobody waits */
        clients[count] = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
        error = os.socket_connect(&os, clients[count++], &address);
    }
    assert_int_equal(error, -EAGAIN);
    while (count > 0)
        assert_int_equal(os.close(&os, clients[--count]), 0);
    assert_int_equal(os.socket_connect(&os, 99, &address), -EBADF);
    assert_int_equal(os.close(&os, fd), 0);
}

/* --- files --- */

/* Rules: L7 */
static void test_files_as_they_are(void **state)
{
    static const struct {
        const char *name;
        enum os_file_kind kind;
        bool pinned;
    } cases[] = {
        {"regular", OS_FILE_REGULAR, true},
        {"directory", OS_FILE_DIRECTORY, true},
        {"fifo", OS_FILE_OTHER, true},
        {"socket", OS_FILE_SOCKET, true},
        {"link", OS_FILE_LINK, false},
        {"dangling", OS_FILE_LINK, false},
    };
    struct os_file file;
    struct os_file pinned;
    const struct os_address address = unix_address(in_area("socket"));
    (void)state;
    make_file("regular", "", 0600);
    assert_int_equal(mkdir(in_area("directory"), 0700), 0);
    assert_int_equal(mkfifo(in_area("fifo"), 0600), 0);
    assert_int_equal(symlink("regular", in_area("link")), 0);
    assert_int_equal(symlink("none", in_area("dangling")), 0);
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    assert_int_equal(os.close(&os, fd), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = in_area(cases[i].name);
        assert_int_equal(os.file_look(&os, path, &file), 0);
        assert_int_equal(file.kind, cases[i].kind);
        int pin = os.file_pin(&os, path);
        if (cases[i].pinned) {
            assert_int_equal(os.file_pinned_look(&os, pin, &pinned), 0);
            assert_true(pinned.kind == file.kind && pinned.device == file.device &&
                        pinned.inode == file.inode);
            assert_int_equal(os.close(&os, pin), 0);
        } else {
            assert_int_equal(pin, -ELOOP);
        }
        if (cases[i].kind != OS_FILE_DIRECTORY)
            assert_int_equal(os.file_remove(&os, path), 0);
    }
    assert_int_equal(os.file_look(&os, in_area("regular"), &file), -ENOENT);
    assert_int_equal(os.file_pin(&os, in_area("regular")), -ENOENT);
    assert_int_equal(os.file_remove(&os, in_area("regular")), -ENOENT);
    assert_int_equal(os.file_remove(&os, in_area("directory")), -EISDIR);
}

/* Rules: L7 */
static void test_a_pinned_file(void **state)
{
    struct stat status;
    struct os_file before;
    struct os_file after;
    (void)state;
    mode_t mask = os.file_mask(&os, 0077);
    assert_int_equal(os.file_mask(&os, mask), 0077);
    const struct os_address address = unix_address(in_area("pinned"));
    int fd = os.socket_open(&os, AF_UNIX, SOCK_STREAM);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    int pin = os.file_pin(&os, in_area("pinned"));
    /* Before anything is changed through it: is it this file? */
    assert_int_equal(os.file_pinned_look(&os, pin, &before), 0);
    assert_int_equal(before.kind, OS_FILE_SOCKET);
    assert_int_equal(os.file_pinned_chmod(&os, pin, 0640), 0);
    assert_int_equal(stat(in_area("pinned"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(os.file_pinned_chown(&os, pin, (uid_t)-1, getgid()), 0);
    if (geteuid() == 0) {
        assert_int_equal(os.file_pinned_chown(&os, pin, NOBODY, (gid_t)-1), 0);
        assert_int_equal(stat(in_area("pinned"), &status), 0);
        assert_int_equal(status.st_uid, NOBODY);
    }
    /* As long as it is pinned nothing else gets its number. */
    assert_int_equal(os.file_remove(&os, in_area("pinned")), 0);
    for (int i = 0; i < 16; i++) {
        make_file("pinned", "", 0600);
        assert_int_equal(os.file_look(&os, in_area("pinned"), &after), 0);
        assert_true(after.device == before.device && after.inode != before.inode);
        assert_int_equal(os.file_remove(&os, in_area("pinned")), 0);
    }
    assert_int_equal(os.close(&os, pin) + os.close(&os, fd), 0);
    assert_int_equal(os.file_pinned_chmod(&os, 99, 0600), -ENOENT);
    assert_int_equal(os.file_pinned_chown(&os, 99, 0, 0), -EBADF);
    assert_int_equal(os.file_pinned_look(&os, 99, &after), -EBADF);
}

/* Rules: C6 E10 */
static void test_what_can_be_executed(void **state)
{
    static const struct {
        const char *directory;
        const char *path;
        int result;
    } cases[] = {
        {NULL, "/bin/sh", 0},
        {"/", "bin/sh", 0},
        {"/bin", "./sh", 0},
        {"/none", "/bin/sh", -ENOENT},
        {"/etc/passwd", "sh", -ENOTDIR},
        {NULL, "/etc/passwd", -EACCES},
        {NULL, "/etc", -EACCES},
        {NULL, "/none", -ENOENT},
        {NULL, "", -ENOENT},
        {NULL, "/etc/passwd/sh", -ENOTDIR},
        {"/etc", "passwd", -EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int result = os.file_executable(&os, cases[i].directory, cases[i].path);
        if (result != cases[i].result)
            fail_msg("%s: %s", cases[i].path, strerror(-result));
    }
}

/* Rules: C7 E9 L7 */
static void test_directories(void **state)
{
    char names[TEXT_MAX];
    (void)state;
    make_file("one", "1", 0600);
    make_file("other", "2", 0600);
    assert_int_equal(os.directory_writable(&os, area), 0);
    assert_int_equal(os.directory_enterable(&os, area), 0);
    assert_int_equal(os.directory_writable(&os, in_area("one")), -ENOTDIR);
    assert_int_equal(os.directory_enterable(&os, in_area("none")), -ENOENT);
    int lock = os.directory_lock(&os, area);
    assert_true(lock >= 3);
    assert_int_equal(os.directory_lock(&os, area), -EWOULDBLOCK);
    assert_int_equal(os.close(&os, lock), 0);
    lock = os.directory_lock(&os, area);
    assert_true(lock >= 3);
    assert_int_equal(os.close(&os, lock), 0);
    assert_int_equal(os.directory_lock(&os, in_area("one")), -ENOTDIR);

    assert_int_equal(os.directory_names(&os, area, names, sizeof names), 10);
    assert_true(memcmp(names, "one\0other", 10) == 0 || memcmp(names, "other\0one", 10) == 0);
    assert_int_equal(os.directory_names(&os, area, names, 10), 10);
    assert_int_equal(os.directory_names(&os, area, names, 9), -ENAMETOOLONG);
    assert_int_equal(os.directory_names(&os, in_area("none"), names, 9), -ENOENT);
    assert_int_equal(os.directory_names(&os, in_area("one"), names, 9), -ENOTDIR);
    area_empty();
    assert_int_equal(os.directory_names(&os, area, names, 0), 0);
}

/* More names than one look into the directory gives. */
/* Rules: E9 */
static void test_many_names(void **state)
{
    static char names[64 * 1024];
    char name[32];
    size_t total = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "a_variable_with_number_%d", i);
        make_file(name, "", 0600);
        total += strlen(name) + 1;
    }
    assert_int_equal(os.directory_names(&os, area, names, sizeof names), total);
    for (const char *at = names; at < names + total; at += strlen(at) + 1)
        assert_int_equal(os.file_remove(&os, in_area(at)), 0);
    assert_int_equal(os.directory_names(&os, area, names, sizeof names), 0);
}

/* Rules: E9 */
static void test_file_heads(void **state)
{
    static const struct {
        const char *name;
        ssize_t result;
    } cases[] = {
        {"file", 4},
        {"empty", 0},
        {"link", 4},
        {"fifo", -EINVAL},
        {"directory", -EINVAL},
        {"dangling", -ENOENT},
        {"none", -ENOENT},
    };
    char text[4];
    (void)state;
    make_file("file", "longer than that", 0600);
    make_file("empty", "", 0600);
    assert_int_equal(symlink("file", in_area("link")), 0);
    assert_int_equal(symlink("none", in_area("dangling")), 0);
    assert_int_equal(mkfifo(in_area("fifo"), 0600), 0);
    assert_int_equal(mkdir(in_area("directory"), 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ssize_t result = os.file_head(&os, area, cases[i].name, text, sizeof text);
        if (result != cases[i].result)
            fail_msg("%s: %zd", cases[i].name, result);
        if (result == 4)
            assert_memory_equal(text, "long", 4);
    }
    assert_int_equal(os.file_head(&os, in_area("none"), "file", text, sizeof text), -ENOENT);
}

/* Of the file at `path`, and whether it is the only one in the area. */
static void expect_file(const char *name, const char *content, mode_t mode)
{
    char bytes[64], names[64];
    struct stat status;
    assert_int_equal(stat(in_area(name), &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_mode & 07777, mode);
    ssize_t length = os.file_head(&os, area, name, bytes, sizeof bytes);
    assert_int_equal(length, strlen(content));
    assert_memory_equal(bytes, content, strlen(content));
    assert_int_equal(os.directory_names(&os, area, names, sizeof names), strlen(name) + 1);
}

static int replace(const char *name, const char *content, mode_t mode)
{
    return os.file_replace(&os, in_area(name), content, strlen(content), mode);
}

/* Rules: K5 */
static void test_a_file_is_replaced_as_a_whole(void **state)
{
    static const char *const before[] = {"nothing", "a file", "a link", "a fifo", "a leftover"};
    const mode_t mask = os.file_mask(&os, 0077);
    (void)state;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        int old = -1;
        if (i == 1) {
            make_file("f", "old", 0600);
            old = open(in_area("f"), O_RDONLY | O_CLOEXEC);
        } else if (i == 2) {
            assert_int_equal(symlink("/nowhere/at/all", in_area("f")), 0);
        } else if (i == 3) {
            assert_int_equal(mkfifo(in_area("f"), 0600), 0);
        } else if (i == 4) {
            make_file("f.new", "half", 0400);
        }
        assert_int_equal(replace("f", "new\n", 0644), 0);
        expect_file("f", "new\n", 0644);
        assert_int_equal(replace("f", "", 0600), 0);
        expect_file("f", "", 0600);
        if (old >= 0) { /* who had opened it reads on */
            char bytes[8];
            assert_int_equal(read(old, bytes, sizeof bytes), 3);
            close(old);
        }
        area_empty();
    }
    assert_int_equal(os.file_mask(&os, mask), 0077);
}

/* Rules: K5 I7 */
static void test_a_file_that_cannot_be_replaced_stays(void **state)
{
    char path[2 * TEXT_MAX];
    (void)state;
    assert_int_equal(mkdir(in_area("directory"), 0700), 0);
    assert_int_equal(replace("directory", "x", 0644), -EISDIR);
    assert_int_equal(access(in_area("directory.new"), F_OK), -1);
    assert_int_equal(replace("no/where", "x", 0644), -ENOENT);
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(os.file_replace(&os, path, "x", 1, 0644), -ENAMETOOLONG);
    path[TEXT_MAX - sizeof ".new"] = '\0';
    assert_int_equal(os.file_replace(&os, path, "x", 1, 0644), -ENAMETOOLONG);
    /* What cannot be made room for beside it is left alone, too. */
    assert_int_equal(mkdir(in_area("f.new"), 0700), 0);
    assert_int_equal(replace("f", "x", 0644), -EISDIR);
    assert_int_equal(rmdir(in_area("f.new")), 0);
    assert_int_equal(os.file_replace(&os, "/dev/full/x", "x", 1, 0644), -ENOTDIR);
}

/* In a copy, whose files may have one byte. */
static int replace_with_too_much(const void *argument)
{
    const struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};
    (void)argument;
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    EXPECT(replace("f", "xy", 0644) == -EFBIG);
    EXPECT(replace("f", "x", 0644) == 0);
    return 0;
}

/* Rules: K5 I7 */
static void test_a_file_for_which_there_is_no_room_stays(void **state)
{
    (void)state;
    make_file("f", "old", 0640);
    in_copy(replace_with_too_much, NULL);
    expect_file("f", "x", 0644);
}

/* --- look-ups --- */

/* Rules: L1 L3 */
static void test_network_names(void **state)
{
    struct os_address addresses[OS_ADDRESSES_MAX];
    const char *why = NULL;
    char host[INET6_ADDRSTRLEN];
    (void)state;
    assert_int_equal(
        os.host_find(&os, "127.0.0.9", AF_UNSPEC, addresses, OS_ADDRESSES_MAX, &why), 1);
    assert_int_equal(addresses[0].length, sizeof(struct sockaddr_in));
    const struct sockaddr_in *v4 = (const void *)&addresses[0].address;
    assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host), "127.0.0.9");
    assert_int_equal(v4->sin_port, 0);
    assert_int_equal(os.host_find(&os, "::1", AF_INET6, addresses, OS_ADDRESSES_MAX, &why), 1);
    assert_int_equal(addresses[0].length, sizeof(struct sockaddr_in6));
    assert_true(os.host_find(&os, "::1", AF_INET, addresses, OS_ADDRESSES_MAX, &why) < 0);
    assert_non_null(why);
    why = NULL;
    assert_true(os.host_find(&os, "no host", AF_UNSPEC, addresses, OS_ADDRESSES_MAX, &why) < 0);
    assert_non_null(why);
    const struct servent *http = getservbyname("http", "tcp");
    assert_int_equal(os.service_find(&os, "http", "tcp"), http != NULL ? 80 : -ENOENT);
    assert_int_equal(os.service_find(&os, "no service", "tcp"), -ENOENT);
    assert_true(os.interface_find(&os, "lo") > 0);
    assert_int_equal(os.interface_find(&os, "none"), -ENODEV);
}

/* Rules: E8 */
static void test_accounts(void **state)
{
    static struct os_user user;
    gid_t gid = 1;
    (void)state;
    static const char *const roots[] = {"root", "0"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(os.user_find(&os, roots[i], &user), 0);
        assert_true(user.uid == 0 && user.gid == 0 && user.group_count >= 1);
        assert_string_equal(user.login, "root");
        assert_string_equal(user.home, "/root");
        assert_int_equal(os.group_find(&os, roots[i], &gid), 0);
        assert_int_equal(gid, 0);
    }
    assert_int_equal(os.user_find(&os, "3999999", &user), 0);
    assert_true(user.uid == 3999999 && user.gid == (gid_t)-1 && user.group_count == 0);
    assert_string_equal(user.login, "3999999");
    assert_string_equal(user.home, "/");
    assert_string_equal(user.shell, "/bin/sh");
    assert_int_equal(os.group_find(&os, "3999999", &gid), 0);
    assert_int_equal(gid, 3999999);
    static const char *const unknown[] = {
        "no such", "", "-1", "4294967295", "99999999999999999999", "12x"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(os.user_find(&os, unknown[i], &user), -ENOENT);
        assert_int_equal(os.group_find(&os, unknown[i], &gid), -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tcp_sockets),
        TEST(test_unix_sockets),
        TEST(test_files_as_they_are),
        TEST(test_a_pinned_file),
        TEST(test_what_can_be_executed),
        TEST(test_directories),
        TEST(test_many_names),
        TEST(test_file_heads),
        TEST(test_a_file_is_replaced_as_a_whole),
        TEST(test_a_file_that_cannot_be_replaced_stays),
        TEST(test_a_file_for_which_there_is_no_room_stays),
        TEST(test_network_names),
        TEST(test_accounts),
    };
    before_main();
    return cmocka_run_group_tests_name("os_posix_file", tests, before_all, after_all);
}
