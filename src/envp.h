/*
 * envp: a worker's environment block (rules E2 to E6, E8, E9).
 *
 * Owns: which variables a worker gets, which of the master's it never sees, and their order of
 * precedence: the master's own, then those of -user, then those of -envdir, then those of rules E2
 * to E5. Each name stands exactly once. Leaves to others: reading directories and finding
 * addresses.
 *
 * LISTEN_PID is known only after fork: the block keeps a gap of fixed width for it.
 * Pure: writes only into the caller's storage.
 */
#ifndef SOCKETMASTER_ENVP_H
#define SOCKETMASTER_ENVP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "text.h"

enum {
    ENVP_ENTRIES_MAX = 8192,      /* variables of one worker */
    ENVP_BYTES_MAX = 1024 * 1024, /* bytes that this block itself writes */
    ENVP_PID_WIDTH = 10,          /* digits of the largest pid_t */
};

/* The families of rule E2, by bits. */
enum envp_family {
    ENVP_EINHORN = 1 << 0,
    ENVP_SYSTEMD = 1 << 1,
    ENVP_SYSTEMD_NOPID = 1 << 2,
    ENVP_STARTER = 1 << 3,
    ENVP_NGINX = 1 << 4,
};

/* A listener as the variables show it; descriptor numbers are 3 + index. */
struct envp_listener {
    const char *name;    /* LISTEN_FDNAMES; NULL or "": unknown */
    const char *starter; /* SERVER_STARTER_PORT: "HOST:PORT", "PORT" or a path */
    const char *address; /* SOCKETMASTER_ADDR_n: the actual address as a URI */
};

/*
 * One variable of -envdir; a NULL value removes it. Ignored are private names (envp_is_private),
 * the empty name, and one that holds '=' or a NUL; a value ends before its first NUL. Of two with
 * the same name the first counts.
 */
struct envp_override {
    struct text_span name;
    const char *value;
    size_t length;
};

/* The account that -user switches to, or all NULL. What is NULL sets no variable. */
struct envp_account {
    const char *login;
    const char *home;
    const char *shell;
};

struct envp_request {
    /* The master's environment, NULL-terminated. What has no name or no '=' is dropped; of two with
     * the same name the first counts, which is the one that getenv(3) sees. */
    char *const *inherited;
    unsigned families;
    const struct envp_listener *listeners;
    size_t listener_count;
    unsigned slot;
    uint64_t generation;
    int64_t master_pid;
    const char *control_socket; /* EINHORN_SOCK_PATH; NULL: none */
    const char *notify_socket;  /* NOTIFY_SOCKET; NULL: none */
    int notify_fd;              /* NOTIFY_FD; 0: none */
    struct envp_account account;
    const struct envp_override *overrides;
    size_t override_count;
};

/* Storage for one block; large, so keep it static. Entries point into `bytes` or into the request.
 */
struct envp {
    char *entries[ENVP_ENTRIES_MAX + 1]; /* NULL-terminated: what execve takes */
    size_t count;
    char bytes[ENVP_BYTES_MAX + 1];
    char *pid_gap; /* where LISTEN_PID's value stands, or NULL */

    /* Private to envp_build: the names that are settled, and an open-addressing table of them. */
    struct text_span settled[ENVP_ENTRIES_MAX];
    size_t settled_count;
    uint16_t table[2 * ENVP_ENTRIES_MAX]; /* an index into `settled` plus 1; 0: free */
};

enum envp_error {
    ENVP_OK,
    ENVP_ERR_ENTRIES, /* more than ENVP_ENTRIES_MAX variables, or names to settle */
    ENVP_ERR_BYTES,   /* more than ENVP_BYTES_MAX bytes */
};

/*
 * Builds the block; what the request points at must outlive it. Returns ENVP_OK, or what did not
 * fit: the block is then empty.
 */
enum envp_error envp_build(struct envp *envp, const struct envp_request *request);

/* What did not fit, in words, for a log line. Never NULL. */
const char *envp_error_text(enum envp_error error);

/*
 * Writes `pid` (1 or more) in decimal into the gap; nothing where it is NULL. Async-signal-safe: it
 * is called in the child between fork and exec.
 */
void envp_write_pid(char *gap, int64_t pid);

/* The value of NAME in a NULL-terminated list of NAME=VALUE strings, or NULL. */
const char *envp_find(char *const *entries, const char *name);

/* Does this variable belong to the master alone, or to a family of rule E2 to E5 (rules E6, C4)? */
bool envp_is_private(struct text_span name);

#endif
