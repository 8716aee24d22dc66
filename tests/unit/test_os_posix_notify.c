/*
 * Tests of os_posix against the real kernel: what notify stands on, and notify itself with real
 * sockets and processes.
 */
#include "os_posix_world.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "notify.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    PASSED_MAX = 250, /* descriptors in one datagram; Linux takes 253 */
    DEEP = 5,
};

static const char *socket_path;

/* A socket that notices who sends, as a slot has one. */
static int receiver_open(const char *path)
{
    struct os_address address = unix_address(path);
    int fd = os.socket_open(&os, AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    assert_true(fd >= 3);
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)), 0);
    assert_int_equal(os.socket_bind(&os, fd, &address), 0);
    socket_path = path;
    return fd;
}

/* Sends a datagram to `socket_path` with copies of a descriptor, if it is one; 0 or -errno. */
static int transmit(const void *bytes, size_t length, int passed, size_t copies)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(PASSED_MAX * sizeof(int))] = {0};
    struct os_address address = unix_address(socket_path);
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_name = &address.address,
        .msg_namelen = address.length,
        .msg_iov = &part,
        .msg_iovlen = 1};
    if (copies > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(copies * sizeof(int));
        struct cmsghdr *header = message.msg_control;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(copies * sizeof(int));
        for (size_t i = 0; i < copies; i++)
            memcpy(CMSG_DATA(header) + i * sizeof passed, &passed, sizeof passed);
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t sent = sendmsg(fd, &message, 0);
    int error = sent == (ssize_t)length ? 0 : -errno;
    close(fd);
    return error;
}

static int transmit_text(const char *text)
{
    return transmit(text, strlen(text), -1, 0);
}

/* --- what it stands on --- */

/* Rules: R4 */
static void test_datagrams_and_their_senders(void **state)
{
    static char large[64 * 1024];
    char bytes[16];
    pid_t sender = 77;
    (void)state;
    int fd = receiver_open(in_area("socket"));
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), -EAGAIN);
    assert_int_equal(transmit_text("READY=1"), 0);
    assert_int_equal(transmit("", 0, -1, 0), 0);
    memset(large, 'x', sizeof large);
    assert_int_equal(transmit(large, sizeof large, -1, 0), 0);
    assert_int_equal(transmit_text("after"), 0);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), 7);
    assert_int_equal(sender, getpid());
    assert_memory_equal(bytes, "READY=1", 7);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), 0);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), sizeof large);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), 5);
    assert_memory_equal(bytes, "after", 5);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), -EAGAIN);
    assert_int_equal(os.datagram_receive(&os, 99, bytes, sizeof bytes, &sender), -EBADF);
    os.close(&os, fd);
    /* Without the option the kernel vouches for nobody. */
    fd = receiver_open(in_area("another"));
    assert_int_equal(os.socket_set(&os, fd, SOL_SOCKET, SO_PASSCRED, &(int){0}, sizeof(int)), 0);
    assert_int_equal(transmit_text("READY=1"), 0);
    assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), 7);
    assert_int_equal(sender, 0);
    os.close(&os, fd);
}

/* Rules: R3 I11 */
static void test_descriptors_that_come_along_are_closed(void **state)
{
    static const size_t copies[] = {1, 2, PASSED_MAX};
    char bytes[16];
    pid_t sender;
    (void)state;
    int fd = receiver_open(in_area("socket"));
    for (size_t i = 0; i < COUNT(copies); i++) {
        int ends[2];
        assert_int_equal(os.pipe_open(&os, ends), 0);
        assert_int_equal(transmit("BARRIER=1", 9, ends[1], copies[i]), 0);
        os.close(&os, ends[1]);
        /* Until it is taken the sender's barrier stands, and from then on it does not. */
        assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), -EAGAIN);
        size_t before = open_count();
        assert_int_equal(os.datagram_receive(&os, fd, bytes, sizeof bytes, &sender), 9);
        assert_int_equal(sender, getpid());
        assert_int_equal(open_count(), before);
        assert_int_equal(os.read(&os, ends[0], bytes, sizeof bytes), 0);
        os.close(&os, ends[0]);
    }
    os.close(&os, fd);
}

static int body_no_descriptor_left(const void *argument)
{
    const int *fds = argument; /* the receiver, a pipe to read from */
    char bytes[16];
    pid_t sender = 0;
    EXPECT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0}) == 0);
    EXPECT(os.datagram_receive(&os, fds[0], bytes, sizeof bytes, &sender) == 9);
    EXPECT(sender == getppid());
    EXPECT(os.read(&os, fds[1], bytes, sizeof bytes) == 0);
    return 0;
}

/* Rules: R3 I7 */
static void test_descriptors_are_closed_though_there_is_no_room_for_them(void **state)
{
    int ends[2];
    (void)state;
    int fd = receiver_open(in_area("socket"));
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(transmit("BARRIER=1", 9, ends[1], 3), 0);
    os.close(&os, ends[1]);
    in_copy(body_no_descriptor_left, (int[]){fd, ends[0]});
    os.close(&os, ends[0]);
    os.close(&os, fd);
}

/* Rules: R4 */
static void test_who_is_whose_child(void **state)
{
    struct os_process process;
    siginfo_t ended;
    int ends[2];
    (void)state;
    assert_int_equal(os.process_look(&os, getpid(), &process), 0);
    assert_int_equal(process.parent, getppid());
    assert_false(process.ended);
    assert_int_equal(os.process_look(&os, 1, &process), 0);
    assert_int_equal(process.parent, 0);
    static const pid_t nobody[] = {0, -1, -7};
    for (size_t i = 0; i < COUNT(nobody); i++)
        assert_int_equal(os.process_look(&os, nobody[i], &process), -ESRCH);

    /* Its name is chosen to be misread. */
    assert_int_equal(os.pipe_open(&os, ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, ") Z 1 (x) Z 7", 0, 0, 0);
        close(ends[1]);
        soon(ends[0], POLLIN);
        _exit(0);
    }
    assert_int_equal(os.process_look(&os, pid, &process), 0);
    assert_int_equal(process.parent, getpid());
    assert_false(process.ended);
    os.close(&os, ends[0]);
    os.close(&os, ends[1]);
    assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(os.process_look(&os, pid, &process), 0);
    assert_int_equal(process.parent, getpid());
    assert_true(process.ended);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(os.process_look(&os, pid, &process), -ESRCH);
}

static int body_one_processor(const void *argument)
{
    cpu_set_t one, all;
    size_t first = 0;
    (void)argument;
    EXPECT(sched_getaffinity(0, sizeof all, &all) == 0);
    EXPECT((int)os.processors(&os) == CPU_COUNT(&all));
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    EXPECT(sched_setaffinity(0, sizeof one, &one) == 0);
    EXPECT(os.processors(&os) == 1);
    return 0;
}

/* Rules: I11 */
static void test_processors(void **state)
{
    (void)state;
    in_copy(body_one_processor, NULL);
}

/* Rules: E5 */
static void test_private_directories(void **state)
{
    char first[TEXT_MAX], second[TEXT_MAX];
    struct stat status;
    (void)state;
    mode_t mask = umask(077);
    snprintf(first, sizeof first, "%s/d-XXXXXX", area);
    snprintf(second, sizeof second, "%s/d-XXXXXX", area);
    assert_int_equal(os.directory_make(&os, first, 0711), 0);
    assert_int_equal(os.directory_make(&os, second, 0700), 0);
    umask(mask);
    assert_string_not_equal(first, second);
    assert_int_equal(stat(first, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0711);
    assert_int_equal(stat(second, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    strcat(second, "/in");
    int fd = open(second, O_CREAT | O_CLOEXEC, 0600);
    *strrchr(second, '/') = '\0';
    assert_int_equal(os.directory_remove(&os, second), -ENOTEMPTY);
    strcat(second, "/in");
    assert_int_equal(os.file_remove(&os, second), 0);
    *strrchr(second, '/') = '\0';
    assert_int_equal(os.directory_remove(&os, second), 0);
    assert_int_equal(os.directory_remove(&os, second), -ENOENT);
    assert_int_equal(os.directory_remove(&os, first), 0);
    close(fd);
    snprintf(first, sizeof first, "%s/none/d-XXXXXX", area);
    assert_int_equal(os.directory_make(&os, first, 0700), -ENOENT);
}

/* --- notify, with real processes --- */

static struct notify notify;
static struct notify_message message;
static int slot_fd; /* of slot 0 */

static uid_t not_root(struct os *table)
{
    (void)table;
    return 1;
}

/* Opens slot 0 in a directory of the test's own, whoever runs it. */
static void notify_begin(const struct os_user *account)
{
    static struct os here;
    static char place[TEXT_MAX];
    static char *environment[] = {place, NULL};
    char bytes[TEXT_MAX];
    struct text error;
    here = os;
    here.user_id = not_root;
    snprintf(place, sizeof place, "TMPDIR=%s", area);
    text_init(&error, bytes, sizeof bytes);
    assert_true(notify_open(&notify, &here, account, environment, &error));
    slot_fd = notify_slot_open(&notify, 0);
    assert_true(slot_fd >= 3);
    socket_path = notify_slot_path(&notify, 0);
}

/* Waits for the next message and takes it. */
static int take(pid_t worker)
{
    assert_true(soon(slot_fd, POLLIN));
    return notify_take(&notify, 0, worker, &message);
}

/* In a child: sends, then stays until nobody holds the other end of `stay`. */
_Noreturn static void speak_and_stay(const char *text, const int stay[2])
{
    close(stay[1]);
    int error = transmit_text(text);
    soon(stay[0], POLLIN);
    _exit(error != 0);
}

/* Each of a chain sends its depth as its status, and begets the next one. */
_Noreturn static void chain_run(int depth, const int stay[2])
{
    char text[] = "STATUS=0";
    while (depth + 1 < DEEP && fork() == 0)
        depth++;
    text[7] = (char)('0' + depth);
    speak_and_stay(text, stay);
}

/* Rules: R4 R3 E5 */
static void test_a_worker_and_its_own(void **state)
{
    bool heard[DEEP] = {false};
    int stay[2];
    (void)state;
    notify_begin(NULL);
    assert_int_equal(pipe2(stay, O_CLOEXEC), 0);
    pid_t worker = fork();
    if (worker == 0)
        chain_run(0, stay);
    for (int i = 0; i < DEEP; i++) {
        assert_int_equal(take(worker), 1);
        assert_int_equal(message.status.length, 1);
        heard[message.status.bytes[0] - '0'] = true;
    }
    for (int i = 0; i < DEEP; i++)
        assert_true(heard[i]);
    close(stay[0]);
    close(stay[1]);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    notify_close(&notify);
}

/* Rules: R4 */
static void test_siblings_and_strangers(void **state)
{
    int stay[2], status;
    (void)state;
    notify_begin(NULL);
    assert_int_equal(pipe2(stay, O_CLOEXEC), 0);
    pid_t worker = fork();
    if (worker == 0)
        speak_and_stay("STATUS=worker", stay);
    assert_int_equal(take(worker), 1);
    pid_t sibling = fork();
    if (sibling == 0)
        chain_run(DEEP - 2, stay); /* and its child */
    assert_int_equal(take(worker), 0);
    assert_int_equal(take(worker), 0);
    pid_t parent = fork();
    if (parent == 0) {
        if (fork() == 0)
            speak_and_stay("READY=1", stay);
        _exit(0);
    }
    assert_int_equal(take(worker), 0);
    assert_int_equal(transmit_text("READY=1"), 0); /* the master itself */
    assert_int_equal(take(worker), 0);
    assert_string_equal(notify_slot_status(&notify, 0), "worker");
    close(stay[0]);
    close(stay[1]);
    for (int i = 0; i < 3; i++)
        assert_true(wait(&status) > 0 && status == 0);
    while (os.reap(&os, &status) >= 0) /* where orphans fall to the tests */
        continue;
    notify_close(&notify);
}

/* A worker whose child sends and ends; it tells when that has ended, and reaps it before if asked
 * to. */
_Noreturn static void run_with_short_child(bool reaps, int told, const int stay[2])
{
    siginfo_t ended;
    pid_t child = fork();
    if (child == 0)
        _exit(transmit_text("READY=1") != 0);
    waitid(P_PID, (id_t)child, &ended, WEXITED | (reaps ? 0 : WNOWAIT));
    if (write(told, "x", 1) == 1)
        speak_and_stay("STATUS=after", stay);
    _exit(1);
}

/* Rules: R4 */
static void test_a_sender_that_is_gone(void **state)
{
    static const bool reaps[] = {true, false};
    (void)state;
    for (size_t i = 0; i < COUNT(reaps); i++) {
        int stay[2], told[2];
        notify_begin(NULL);
        assert_int_equal(pipe2(stay, O_CLOEXEC) + pipe2(told, O_CLOEXEC), 0);
        pid_t worker = fork();
        if (worker == 0)
            run_with_short_child(reaps[i], told[1], stay);
        assert_true(soon(told[0], POLLIN));
        /* One that its parent has not reaped can still be traced. */
        assert_int_equal(take(worker), !reaps[i]);
        assert_int_equal(take(worker), 1);
        assert_true(message.has_status);
        for (int end = 0; end < 2; end++)
            assert_int_equal(close(stay[end]) + close(told[end]), 0);
        assert_int_equal(waitpid(worker, NULL, 0), worker);
        notify_close(&notify);
    }
}

/* Rules: R4 */
static void test_a_worker_that_has_ended(void **state)
{
    siginfo_t ended;
    (void)state;
    notify_begin(NULL);
    pid_t worker = fork();
    if (worker == 0)
        _exit(transmit_text("READY=1") != 0);
    assert_int_equal(waitid(P_PID, (id_t)worker, &ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(take(worker), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    notify_close(&notify);
}

/* Rules: R3 I10 I11 */
static void test_bad_input(void **state)
{
    static char large[64 * 1024] = "READY=1\n";
    const pid_t self = getpid(); /* here the test is the worker */
    int ends[2];
    (void)state;
    notify_begin(NULL);
    assert_int_equal(os.pipe_open(&os, ends), 0);
    size_t before = open_count();
    assert_int_equal(transmit(large, sizeof large, -1, 0), 0);
    assert_int_equal(take(self), 0);
    assert_int_equal(transmit("", 0, -1, 0), 0);
    assert_int_equal(take(self), 1);
    assert_false(message.ready || message.has_status);
    assert_int_equal(transmit("READY=1\0\0", 9, -1, 0), 0);
    assert_int_equal(take(self), 0);
    assert_int_equal(transmit("READY=1\n", 8, ends[1], PASSED_MAX), 0);
    assert_int_equal(take(self), 1);
    assert_true(message.ready);
    assert_int_equal(open_count(), before);
    assert_int_equal(notify_take(&notify, 0, self, &message), -EAGAIN);
    os.close(&os, ends[0]);
    os.close(&os, ends[1]);
    notify_close(&notify);
}

/* Rules: R3 R4 */
static void test_a_barrier_falls_when_it_is_its_turn(void **state)
{
    const pid_t self = getpid();
    char byte;
    int ends[2];
    (void)state;
    notify_begin(NULL);
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(transmit_text("READY=1"), 0);
    assert_int_equal(transmit("BARRIER=1", 9, ends[1], 1), 0);
    os.close(&os, ends[1]);
    assert_int_equal(take(self), 1);
    assert_true(message.ready);
    assert_int_equal(os.read(&os, ends[0], &byte, 1), -EAGAIN);
    assert_int_equal(take(self), 1);
    assert_false(message.ready);
    assert_int_equal(os.read(&os, ends[0], &byte, 1), 0);
    os.close(&os, ends[0]);
    notify_close(&notify);
}

/* As the account, and as somebody else. */
static int body_become_and_reach(const void *argument)
{
    const uid_t *uid = argument;
    int expected = *uid == NOBODY ? 0 : -EACCES;
    EXPECT(setgroups(0, NULL) == 0 && setgid(*uid) == 0 && setuid(*uid) == 0);
    EXPECT(transmit_text("READY=1") == expected);
    EXPECT(open(notify.directory, O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
    EXPECT(unlink(socket_path) < 0 && errno == EACCES);
    EXPECT(rename(socket_path, in_area("mine")) < 0 && errno == EACCES);
    return 0;
}

/* Rules: E5 E8 */
static void test_the_account_reaches_its_socket(void **state)
{
    static const struct os_user account = {.uid = NOBODY, .gid = NOBODY};
    static const uid_t users[] = {NOBODY, NOBODY - 1};
    struct stat status;
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(area, 0711), 0);
    notify_begin(&account);
    assert_int_equal(stat(socket_path, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0600);
    assert_int_equal(status.st_uid, NOBODY);
    for (size_t i = 0; i < COUNT(users); i++)
        in_copy(body_become_and_reach, &users[i]);
    assert_int_equal(chmod(area, 0700), 0);
    notify_close(&notify);
    assert_int_equal(stat(notify.directory, &status), -1);
}

/* Rules: E5 */
static void test_nothing_is_left_of_it(void **state)
{
    struct stat status;
    char directory[NOTIFY_PATH_SIZE];
    (void)state;
    notify_begin(NULL);
    strcpy(directory, notify.directory);
    assert_true(notify_slot_open(&notify, LIMIT_SLOTS - 1) >= 3);
    notify_slot_close(&notify, 0);
    assert_int_equal(stat(notify_slot_path(&notify, 0), &status), -1);
    assert_int_equal(stat(notify_slot_path(&notify, LIMIT_SLOTS - 1), &status), 0);
    notify_close(&notify);
    assert_int_equal(stat(directory, &status), -1);
}

/* Rules: R3 R4 */
static void test_a_pipe_says_so(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(os.pipe_open(&os, ends), 0);
    assert_int_equal(notify_read_fd(&os, ends[0]), NOTIFY_FD_PENDING);
    assert_int_equal(write(ends[1], "up", 2), 2);
    assert_int_equal(notify_read_fd(&os, ends[0]), NOTIFY_FD_PENDING);
    assert_int_equal(write(ends[1], "\n", 1), 1);
    assert_int_equal(notify_read_fd(&os, ends[0]), NOTIFY_FD_READY);
    os.close(&os, ends[1]);
    assert_int_equal(notify_read_fd(&os, ends[0]), NOTIFY_FD_CLOSED);
    os.close(&os, ends[0]);
    assert_int_equal(notify_read_fd(&os, 99), NOTIFY_FD_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_datagrams_and_their_senders),
        TEST(test_descriptors_that_come_along_are_closed),
        TEST(test_descriptors_are_closed_though_there_is_no_room_for_them),
        TEST(test_who_is_whose_child),
        TEST(test_processors),
        TEST(test_private_directories),
        TEST(test_a_worker_and_its_own),
        TEST(test_siblings_and_strangers),
        TEST(test_a_sender_that_is_gone),
        TEST(test_a_worker_that_has_ended),
        TEST(test_bad_input),
        TEST(test_a_barrier_falls_when_it_is_its_turn),
        TEST(test_the_account_reaches_its_socket),
        TEST(test_nothing_is_left_of_it),
        TEST(test_a_pipe_says_so),
    };
    before_main();
    return cmocka_run_group_tests(tests, before_all, after_all);
}
