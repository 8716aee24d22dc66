/*
 * client_link: the client's connection to the master.
 *
 * Owns: the socket, what was read of it and not used yet, the waiting with its deadline, and the
 * words for what went wrong. Leaves to others: what the lines mean.
 */
#ifndef SOCKETMASTER_CLIENT_LINK_H
#define SOCKETMASTER_CLIENT_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "os.h"
#include "proto_answer.h"
#include "text.h"

enum {
    /* Bytes of one answer: the status of as many workers as there can be, escaped. Pages of it that
     * no answer needs are never touched. */
    CLIENT_ANSWER_MAX = 8 * 1024 * 1024,
};

#define CLIENT_NEVER UINT64_MAX

struct client_link {
    struct os *os;
    uint64_t deadline; /* of the monotonic clock, CLIENT_NEVER: none; the caller may change it */
    int fd;
    int set;
    bool sending;   /* what is waited for: room to write, else something to read */
    size_t start;   /* of what is not used yet */
    size_t scanned; /* up to here there is no newline */
    size_t end;
    char bytes[CLIENT_ANSWER_MAX];
};

/* Connects. Returns 0 or -errno, among them -ETIMEDOUT; then there is nothing to close. */
int client_link_open(struct client_link *link, struct os *os, const char *path, uint64_t deadline);
void client_link_close(struct client_link *link);

/* Sends a line. A master that no longer reads is no error: it may have said why. 0 or -errno. */
int client_link_send(struct client_link *link, const char *bytes, size_t length);

/*
 * Waits for the next answer. Returns 1 (its message is valid until the next call); 0: the master
 * has closed the connection; -ETIMEDOUT; -EPROTO: that was no answer; -EMSGSIZE: it is too long; or
 * another -errno.
 */
int client_link_answer(struct client_link *link, struct proto_answer *answer);

/* Appends why a connection to `path` could not be had, or was of no use. */
void client_link_add_failure(struct text *text, struct os *os, const char *path, int error);

#endif
