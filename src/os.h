/*
 * os: the port. Everything that the program asks of the kernel and of the C library's look-ups goes
 * through this table, so that every call can be scripted, made to fail at its Nth use, or answered
 * by a simulated kernel.
 *
 * Conventions, for every entry:
 *   - the first argument is the table itself, so that an implementation can embed it;
 *   - what is returned is 0 or more, or -errno; EINTR never comes back;
 *   - every descriptor that comes back is close-on-exec, is 3 or higher, and belongs to the caller,
 *     who closes it with `close`;
 *   - nothing blocks, except where it says so.
 * This header knows system types only.
 */
#ifndef SOCKETMASTER_OS_H
#define SOCKETMASTER_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

enum {
    OS_ADDRESSES_MAX = 16,  /* of one host name; more are passed over */
    OS_GROUPS_MAX = 1024,   /* supplementary groups of one user */
    OS_ACCOUNT_TEXT = 1024, /* bytes of a login, home or shell with its NUL */
    OS_DATAGRAMS_MAX = 64,  /* of one datagrams_send */
};

/* A point of the wall clock. */
struct os_time {
    int64_t seconds;     /* since 1970 */
    int32_t nanoseconds; /* 0 to 999999999 */
};

/* One step of arranging a worker's descriptors: `from` becomes `to`. */
struct os_move {
    int from;
    int to;
    bool inherit; /* `to` stays open across exec (from == to is allowed then) */
};

struct os_user {
    char login[OS_ACCOUNT_TEXT];
    char home[OS_ACCOUNT_TEXT];
    char shell[OS_ACCOUNT_TEXT];
    uid_t uid;
    gid_t gid;
    gid_t groups[OS_GROUPS_MAX]; /* supplementary ones, with gid */
    size_t group_count;
};

/* Steps of a child between fork and exec, as they are told when one of them fails. */
enum os_step {
    OS_STEP_NONE,       /* all was done; what is left is to execute the command */
    OS_STEP_DESCRIPTOR, /* dup, fcntl */
    OS_STEP_PROCESS_GROUP,
    OS_STEP_SIGNALS,
    OS_STEP_GROUP,  /* setgid */
    OS_STEP_GROUPS, /* setgroups */
    OS_STEP_USER,   /* setuid */
    OS_STEP_DIRECTORY,
    OS_STEP_EXECUTE,
    OS_STEP_COUNT,
};

/* What a child writes to `report`. It fits a pipe's atomic write. */
struct os_report {
    int32_t step;  /* enum os_step */
    int32_t error; /* errno */
};

/*
 * One start of a worker. The parent's half forks; the child's half runs, in this order: moves, own
 * process group, group, supplementary groups, user, directory, every signal to its default and an
 * empty mask, the pid gap, exec. It calls async-signal-safe functions only; a step that fails is
 * written to `report` and the child ends with 127. Right before exec OS_STEP_NONE is written: the
 * end of the pipe after that means success, and without it that the child was killed on its way.
 */
struct os_spawn {
    const struct os_move *moves;
    size_t move_count;
    int report;                    /* where the child finds the pipe after all moves */
    const struct os_user *account; /* NULL: stay who we are */
    const char *directory;         /* NULL: stay where we are */
    const char *const *candidates; /* paths to try in order, as execvp does; NULL-terminated */
    char *const *arguments;        /* argv; NULL-terminated */
    char *const *environment;      /* NULL-terminated */
    char *pid_gap;                 /* NULL, or where the child's pid goes: see envp_write_pid */
};

/* What is known of a process. */
struct os_process {
    pid_t parent; /* 0: one that cannot be seen from here */
    bool ended;   /* and not reaped yet */
};

/* How a socket that others connect to, or send to, stands. */
struct os_queue {
    bool has_queue;   /* of connections; else nothing waits there to be accepted */
    uint32_t waiting; /* of them now */
    uint32_t limit;   /* how many may: what the last listen(2) of whomever came to */
    bool has_drops;   /* the kernel counts what it could not keep */
    uint32_t drops;   /* each try of a client that found the queue full, or each datagram for which
                         there was no room; it wraps */
};

/* What a path names, without following a symbolic link at its end. */
enum os_file_kind {
    OS_FILE_REGULAR,
    OS_FILE_DIRECTORY,
    OS_FILE_SOCKET,
    OS_FILE_LINK,
    OS_FILE_OTHER,
};

struct os_file {
    enum os_file_kind kind;
    uint64_t device;
    uint64_t inode;
};

/* One address to bind; `length` bytes of `address` count. */
struct os_address {
    struct sockaddr_storage address;
    socklen_t length;
};

/* What `watch_wait` saw of one watched descriptor. */
struct os_ready {
    uint64_t token; /* as given to watch_add */
    bool readable;  /* or at its end, or broken */
    bool writable;  /* or broken */
};

/* Who made a connection, as the kernel vouches for it. */
struct os_peer {
    pid_t pid; /* 0: it cannot be seen from here */
    uid_t uid;
};

/* How an output is written without blocking and without touching its shared file flags. */
enum os_output_kind {
    OS_OUTPUT_CLOSED,
    OS_OUTPUT_PLAIN,    /* a file or a device that never waits: write(2) */
    OS_OUTPUT_REOPENED, /* a pipe or a terminal opened anew, so with flags of our own */
    OS_OUTPUT_SOCKET,   /* send(2) with MSG_DONTWAIT */
    OS_OUTPUT_SPLICED, /* a pipe that may not be opened anew: splice(2) through a pipe of our own */
    OS_OUTPUT_POLLED,  /* a terminal that may not be opened anew: small writes when poll(2) says so
                        */
};

struct os_output {
    enum os_output_kind kind;
    int fd;         /* to write to; to watch for writability */
    bool owned;     /* `fd` is ours to close */
    int relay[2];   /* OS_OUTPUT_SPLICED: the pipe of our own, else -1 */
    size_t relayed; /* bytes in it that the output has not taken yet */
};

struct os {
    /* --- time --- */
    /* Milliseconds of the monotonic clock; never fails. */
    uint64_t (*clock_ms)(struct os *os);
    void (*wall_clock)(struct os *os, struct os_time *now);
    /* Local time, in the zone that was set when the program started. */
    void (*local_time)(struct os *os, int64_t seconds, struct tm *local);

    /* --- this process --- */
    pid_t (*process_id)(struct os *os);
    uid_t (*user_id)(struct os *os);
    bool (*is_terminal)(struct os *os, int fd);
    /* How large a terminal is; 0 and 0 where it does not know. */
    int (*terminal_size)(struct os *os, int fd, unsigned *columns, unsigned *rows);
    /* How many processors this process may use; at least 1. */
    unsigned (*processors)(struct os *os);
    /* Sees to it that 0, 1 and 2 are open (/dev/null where not), and that no inherited descriptor
     * from 3 up reaches a worker; and takes as many descriptors for this process as the hard limit
     * allows. A worker gets the limit of before. */
    int (*descriptors_seal)(struct os *os);

    /* --- signals --- */
    /* Blocks every signal that can be; the first call of main. */
    int (*signals_block)(struct os *os);
    /* Blocks SIGPIPE alone, so that writing to a broken pipe is an error and no more: for a program
     * that leaves all other signals as they are. */
    int (*signals_block_pipe)(struct os *os);
    /* Sets every signal to its default and returns a descriptor that reads the blocked ones. */
    int (*signals_open)(struct os *os);
    /* Takes up to `count` signals that came in. Returns how many, or -EAGAIN when there is none. */
    int (*signals_read)(struct os *os, int fd, int *signals, size_t count);

    /* --- workers --- */
    /* Starts a worker. Returns its pid. A failure of the child's half comes through the pipe. */
    pid_t (*spawn)(struct os *os, const struct os_spawn *plan);
    /* Reaps one ended child: its pid, and its wait status in *status; 0 when none has ended;
     * -ECHILD when there is none at all. */
    pid_t (*reap)(struct os *os, int *status);
    /* kill(2), to one process or to the group that it leads. `pid` > 0. */
    int (*kill_process)(struct os *os, pid_t pid, int signal);
    int (*kill_group)(struct os *os, pid_t pid, int signal);
    /* -ESRCH: there is none (any more); other errors: nobody can tell. */
    int (*process_look)(struct os *os, pid_t pid, struct os_process *process);

    /* --- descriptors --- */
    /* A pipe; the end to read from (ends[0]) does not block, the other does. */
    int (*pipe_open)(struct os *os, int ends[2]);
    ssize_t (*read)(struct os *os, int fd, void *buffer, size_t size);
    int (*close)(struct os *os, int fd);
    /* /dev/null, for reading and writing. */
    int (*null_open)(struct os *os);
    /* A copy of a descriptor, 3 or higher. */
    int (*duplicate)(struct os *os, int fd);
    int (*is_nonblocking)(struct os *os, int fd);
    int (*set_nonblocking)(struct os *os, int fd);

    /* --- waiting --- */
    /* A set of watched descriptors; it can itself be watched. */
    int (*watch_open)(struct os *os);
    /* Watched for neither, it is only told when it breaks: both then. -EPERM: this descriptor never
     * has to be waited for (a file). */
    int (*watch_add)(struct os *os, int set, int fd, uint64_t token, bool readable, bool writable);
    int (*watch_remove)(struct os *os, int set, int fd);
    /* Waits until something is ready or `timeout_ms` has passed (-1: for ever). Returns how many of
     * `ready` were filled, 0 after the time or for a spurious wake-up. This call blocks. */
    int (*watch_wait)(
        struct os *os, int set, struct os_ready *ready, size_t count, int64_t timeout_ms);

    /* --- output --- */
    /* Finds out how `fd` can be written to. */
    int (*output_open)(struct os *os, int fd, struct os_output *output);
    /* Writes what can be written now. Returns how many bytes were taken; -EAGAIN when none can be,
     * now; another -errno when the output is broken. No SIGPIPE. */
    ssize_t (*output_write)(
        struct os *os, struct os_output *output, const char *bytes, size_t length);
    /* Passes on what was taken but is still with us. 0: nothing is left; or -errno as above. */
    int (*output_flush)(struct os *os, struct os_output *output);
    void (*output_close)(struct os *os, struct os_output *output);

    /* --- syslog --- */
    /* A datagram socket connected to the unix path. */
    int (*datagram_open)(struct os *os, const char *path);
    /* Sends each part as one datagram, in order. Returns how many went (at least 1), or -errno of
     * the first one. At most OS_DATAGRAMS_MAX are looked at. */
    int (*datagrams_send)(struct os *os, int fd, const struct iovec *parts, size_t count);

    /* --- listening sockets --- */
    int (*socket_open)(struct os *os, int domain, int type);
    int (*socket_set)(
        struct os *os, int fd, int level, int option, const void *value, socklen_t length);
    /* An option that is an int. */
    int (*socket_get)(struct os *os, int fd, int level, int option, int *value);
    int (*socket_bind)(struct os *os, int fd, const struct os_address *address);
    int (*socket_listen)(struct os *os, int fd, int backlog);
    /* Never waits for the peer: -EAGAIN or -EINPROGRESS instead. */
    int (*socket_connect)(struct os *os, int fd, const struct os_address *address);
    /* The address that it is bound to. */
    int (*socket_address)(struct os *os, int fd, struct os_address *address);
    /* Takes one datagram from a socket with SO_PASSCRED. Returns its whole length, which is more
     * than `size` when it was cut; -EAGAIN when there is none. *sender is the pid that the kernel
     * vouches for, 0 where it knows none. Descriptors that came along are closed by then. */
    ssize_t (*datagram_receive)(struct os *os, int fd, void *buffer, size_t size, pid_t *sender);
    /* How many connections may wait at a listening socket: what the last listen(2) of whomever came
     * to. -EOPNOTSUPP where the kernel does not tell. */
    int (*socket_backlog)(struct os *os, int fd);
    /* What the kernel tells of its queue. -EOPNOTSUPP where that is nothing, -EINVAL for a socket
     * that could listen and does not. */
    int (*socket_queue)(struct os *os, int fd, struct os_queue *queue);
    /* Has somebody shut it down, so that nothing comes in any more? 1 or 0. */
    int (*socket_is_shut)(struct os *os, int fd);
    /* Takes a tcp socket that was shut down back to where it was before it listened. A port that
     * the kernel chose may be lost. */
    int (*socket_disconnect)(struct os *os, int fd);

    /* --- connections --- */
    /* Takes one from a listening unix stream socket that does not block; it does not block either.
     * -EAGAIN when none waits. */
    int (*socket_accept)(struct os *os, int fd);
    int (*socket_peer)(struct os *os, int fd, struct os_peer *peer);
    /* Sends what can be sent now: how many bytes, or -EAGAIN. No SIGPIPE. With nothing to send it
     * finds out whether the peer is still there: 0 or -EPIPE. */
    ssize_t (*socket_send)(struct os *os, int fd, const void *bytes, size_t length);

    /* --- files --- */
    int (*file_look)(struct os *os, const char *path, struct os_file *file);
    /* Keeps the file that `path` names from being anybody else's (its inode number is not given out
     * again while the descriptor is open). A symbolic link at the end is not followed: -ELOOP. */
    int (*file_pin)(struct os *os, const char *path);
    int (*file_pinned_look)(struct os *os, int pin, struct os_file *file);
    /* The owner and the mode of the file behind a pin, or of the pipe behind a descriptor. */
    int (*file_pinned_chown)(struct os *os, int pin, uid_t uid, gid_t gid);
    int (*file_pinned_chmod)(struct os *os, int pin, mode_t mode);
    /* One more name for the file behind a pin. -EEXIST: something has that name; -ENOENT: the file
     * has lost all of its own, and cannot get one again. */
    int (*file_pinned_link)(struct os *os, int pin, const char *path);
    int (*file_remove)(struct os *os, const char *path);
    /* Makes `path` a file with these bytes and this mode, whatever had the name before: a reader
     * finds the old file or the whole new one, never a part. It is written as PATH.new first, which
     * is gone afterwards; a directory is not replaced (-EISDIR). The disk may be waited for. */
    int (*file_replace)(
        struct os *os, const char *path, const char *bytes, size_t length, mode_t mode);
    /* Watches files: the descriptor is readable when names were given to one, or taken from it.
     * What is read there has no meaning. */
    int (*file_watch_open)(struct os *os);
    int (*file_watch_add)(struct os *os, int watch, int pin);
    /* Is it a regular file that this process may execute, seen from `directory` (NULL: from here)?
     * 0, or -errno as execve would say it: -ENOENT, -EACCES, -ENOTDIR. */
    int (*file_executable)(struct os *os, const char *directory, const char *path);
    /* May this process make files in the directory? */
    int (*directory_writable)(struct os *os, const char *path);
    /* Can it be entered? */
    int (*directory_enterable)(struct os *os, const char *path);
    /* Makes a directory whose name nobody can guess: `path` ends in XXXXXX, which is replaced. It
     * is the owner's alone until it gets its mode. */
    int (*directory_make)(struct os *os, char *path, mode_t mode);
    /* An empty one. */
    int (*directory_remove)(struct os *os, const char *path);
    /* Takes the directory's lock, which ends when the descriptor is closed; -EWOULDBLOCK when
     * somebody else has it. */
    int (*directory_lock)(struct os *os, const char *path);
    /* Waits a moment between two tries of something that another process holds. This call blocks.
     */
    void (*pause_ms)(struct os *os, unsigned milliseconds);
    /* The names in a directory, each ended by NUL, into `names`. Returns how many bytes;
     * -ENAMETOOLONG when they do not fit. Neither "." nor "..". */
    ssize_t (*directory_names)(struct os *os, const char *path, char *names, size_t size);
    /* The first `size` bytes of the regular file `name` in a directory. Returns how many. */
    ssize_t (*file_head)(
        struct os *os, const char *directory, const char *name, char *buffer, size_t size);
    /* Sets the file creation mask, returns the one before. */
    mode_t (*file_mask)(struct os *os, mode_t mask);

    /* --- look-ups; these may block, and are used before the first worker only --- */
    /* Addresses of a host for a socket type; `family` AF_UNSPEC, AF_INET or AF_INET6. Returns how
     * many, in the resolver's order, or -errno with words for it in *why. The port is 0. */
    int (*host_find)(struct os *os, const char *host, int family, struct os_address *addresses,
        size_t count, const char **why);
    /* The port of a service name, for "tcp" or "udp"; -ENOENT. */
    int (*service_find)(struct os *os, const char *service, const char *protocol);
    /* -ENODEV when there is no such interface. */
    int (*interface_find)(struct os *os, const char *name);
    /* By name, else by number; -ENOENT. */
    int (*user_find)(struct os *os, const char *login, struct os_user *user);
    int (*group_find)(struct os *os, const char *name, gid_t *gid);
};

#endif
