/*
 * control: the clients of the control socket (rules K1 to K4).
 *
 * Owns: the connections, in a fixed number of slots, each with a buffer for a request and one for
 * replies; when a request is taken out of them, who may give it, and what comes of clients that
 * flood, dribble or never read. Leaves to others: the listening socket, waiting, and what a command
 * does, for which it asks its host.
 *
 * The requests of a client are answered one after the other: the next one stays unread until the
 * one before is answered in full and the replies are on their way. So a client costs a fixed amount
 * of memory, whatever it does. Nothing here ever waits.
 */
#ifndef SOCKETMASTER_CONTROL_H
#define SOCKETMASTER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control_command.h"
#include "os.h"
#include "proto.h"
#include "text.h"

#define CONTROL_NEVER UINT64_MAX

enum {
    CONTROL_CLIENTS = 32,
    CONTROL_CLIENTS_OF_WORKERS = CONTROL_CLIENTS / 2,
    CONTROL_ACCEPTS = 1,       /* of one round, which is what a signal may have to wait for */
    CONTROL_ROUND = 16 * 1024, /* bytes of requests and replies, and then no further request */
    CONTROL_INPUT = PROTO_LINE_MAX + 1,
    CONTROL_OUTPUT = 32 * 1024, /* bytes of replies that wait for one client, as they are sent */
    CONTROL_LAST = 16 * 1024,   /* of them, kept for the last reply */
    CONTROL_LARGE = 4 * 1024 * 1024, /* of a long reply: one for all clients */
    CONTROL_STALL_MS = 10000,        /* for an unfinished line, or a reply that nobody takes */
    CONTROL_ACCEPT_AGAIN_MS = 1000,  /* after a connection could not be taken */
};

enum control_reply {
    CONTROL_REPLY_LAST,
    CONTROL_REPLY_MORE,   /* others follow; left out where there is no room */
    CONTROL_REPLY_FAILED, /* the last one: it was refused, or went wrong */
};

/* Whoever does what is asked for. */
struct control_host {
    void *context;
    /* The slot of the living worker with this pid, or -1. */
    int (*find_worker)(void *context, pid_t pid);
    /* Does it. Replies come during the call or later, but for STATE, STATUS and METRICS, which have
     * their only reply during it. Every request gets a last one, but for ACK and PING. */
    void (*ask)(void *context, const struct control_ask *ask);
};

struct control_client {
    int fd; /* -1: free */
    enum control_role role;
    pid_t peer_pid;
    uid_t peer_uid;
    pid_t worker;          /* of CONTROL_WORKER: the worker that it belongs to */
    bool readable;         /* is watched for that */
    bool writable;         /* the same: it does not take what is to be sent */
    bool pressing;         /* it has something to read, which is not wanted now */
    bool ended;            /* nothing more will come from it */
    bool closing;          /* it is closed once everything is sent */
    bool large;            /* the request that is due, or its reply, needs the large buffer */
    bool has_line;         /* there is a newline at `scanned` */
    uint64_t asking;       /* the request that its last reply is due for; 0: none */
    bool is_dribbled;      /* an unfinished line is all there is ... */
    uint64_t line_since;   /* ... and since when */
    uint64_t output_since; /* when the client took something last, while `writable` */
    size_t input_start, input_end, scanned; /* no newline from the start to `scanned` */
    size_t output_start, output_end;
};

/* Large, so keep it static. Bytes stand apart from what counts them: pages of a client that says
 * little are never touched. */
struct control {
    struct os *os;
    struct control_host host;
    int listener;
    int set; /* watches the listener and every client; itself to be watched for readability */
    uid_t own;
    uid_t worker_user;
    uint64_t serial;    /* of the latest request */
    bool deaf;          /* no connections are taken ... */
    uint64_t accept_at; /* ... until then */
    int accept_error;   /* why the latest connection could not be taken, or 0 */
    unsigned next;      /* whose turn it is first */
    size_t round;       /* bytes of requests and replies, in the round under way */
    int lent;           /* the client that `large` is lent to, or -1 */
    size_t large_start, large_end;
    struct control_client clients[CONTROL_CLIENTS];
    struct proto_request request;
    struct proto_storage storage, arguments;
    char words[CONTROL_OUTPUT]; /* of this room's own replies */
    char cut[CONTROL_OUTPUT];   /* a message that is too long */
    char inputs[CONTROL_CLIENTS][CONTROL_INPUT];
    char outputs[CONTROL_CLIENTS][CONTROL_OUTPUT];
    char large[CONTROL_LARGE];
};

/*
 * Begins to take connections from `listener`, a listening unix stream socket that stays the
 * caller's. `own` is the master's user, `worker_user` that of -user, or the same. Borrows `os`,
 * copies the host. Returns 0 or -errno; then nothing has to be closed.
 */
int control_open(struct control *control, struct os *os, int listener, uid_t own, uid_t worker_user,
    const struct control_host *host);

/* Sends what can be sent now, and closes every client. */
void control_close(struct control *control);

/*
 * One bounded round: takes a few connections, reads and writes what can be, and takes at most one
 * request of each client. `now` in monotonic milliseconds. To be called when control->set is
 * readable, and at the deadline.
 */
void control_pump(struct control *control, uint64_t now);

/* When control_pump() has to be called even if nothing becomes readable: 0 for at once, or
 * CONTROL_NEVER as long as nothing is half done. Ask after everything that may have replied. */
uint64_t control_deadline(const struct control *control);

/*
 * Replies to a request. MORE is left out where the client does not read, or has gone: then, and
 * when the ticket is not good any more, the result is false. A message that is longer than any room
 * for it is cut, and says so; for one to STATE, STATUS or METRICS there are CONTROL_LARGE bytes.
 */
bool control_reply(struct control *control, const struct control_ticket *ticket,
    struct text_span message, enum control_reply reply);

/* Does somebody still wait for the last reply to it? */
bool control_is_there(const struct control *control, const struct control_ticket *ticket);

#endif
