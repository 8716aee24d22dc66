/*
 * listener_target: what a listen URI comes to once everything that it names has been looked up.
 *
 * Owns: hosts, services, interfaces, users and groups -> numbers, all before anything is opened;
 * and how a complaint about a listener begins. Part of the room `listener`. Leaves to others:
 * opening (listener), socket files (listener_file), passed descriptors (listener_inherit).
 */
#ifndef SOCKETMASTER_LISTENER_TARGET_H
#define SOCKETMASTER_LISTENER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "limits.h"
#include "os.h"
#include "text.h"
#include "uri.h"

/* One listener to be. Strings belong to the URI or to the environment. */
struct listener_target {
    const struct uri *uri;     /* NULL: a passed descriptor that no URI asked for */
    struct text_span name;     /* empty if it has none */
    int inherited;             /* the descriptor to take over, or -1: a socket is made */
    int type;                  /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
    struct os_address address; /* to bind; of an inherited one: where it is bound */
    bool ipv4_will_do;         /* every address, where a machine without IPv6 has fewer of them */
    bool owned;                /* its socket file is given to `uid` and `gid` (-1: left alone) */
    uid_t uid;
    gid_t gid;
};

struct listener_targets {
    struct listener_target items[LIMIT_LISTENERS];
    size_t count;
};

/*
 * Looks up what a URI of any kind but fd:// names, and appends its target.
 * Returns true; or false and one line in *error.
 */
bool listener_target_find(
    struct listener_targets *targets, struct os *os, const struct uri *uri, struct text *error);

/* A new target at the end, empty but for `uri` (may be NULL); NULL, and a line in *error, at the
 * limit. */
struct listener_target *listener_target_add(
    struct listener_targets *targets, const struct uri *uri, struct text *error);

/* Is a socket file to be made for it? */
bool listener_target_has_file(const struct listener_target *target);

/* Takes 0.0.0.0 in place of ::, with the same port. */
void listener_target_use_ipv4(struct listener_target *target);

/* The kind of listener that an address family and a socket type make; false if none. */
bool listener_target_kind(int family, int type, enum uri_kind *kind);

/*
 * Begins a complaint: `unable to listen on "tcp://:80": `. The caller adds what failed.
 */
void listener_target_blame(struct text *error, const struct listener_target *target);

/* The whole complaint: the beginning, what failed or is wrong, and the words for `code` where that
 * is -errno (0: `what` says it all). Returns false. */
bool listener_target_fail(
    struct text *error, const struct listener_target *target, const char *what, int code);

/* The same for something that has a name: `user "bob": unknown`. Returns false. */
bool listener_target_fail_name(struct text *error, const struct listener_target *target,
    const char *what, const char *name, const char *why);

/* The words for -errno; never NULL. */
const char *listener_target_why(int code);

#endif
