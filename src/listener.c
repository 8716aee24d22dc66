/*
 * listener: a uri -> a bound or inherited descriptor, and the socket files that go with it.
 *
 * Owns: the order in which sockets are opened, set and bound (rules L1, L3, L5), and how all of
 * them are given up together. Leaves to others: look-ups (listener_target), socket files
 * (listener_file), passed descriptors (listener_inherit), addresses in words (listener_address).
 */
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "listener_address.h"
#include "listener_file.h"
#include "listener_target.h"

/* --- options of a socket (rule L3) ----------------------------------------------------------- */

enum moment {
    BEFORE_BIND,
    AFTER_BIND,
};

enum value {
    VALUE_BOOL,
    VALUE_INT,
    VALUE_STRING,
};

/* In the order in which they are set. */
static const struct {
    enum uri_option option;
    enum moment moment;
    int family; /* of the sockets that this is for; AF_UNSPEC: of any */
    int level;
    int name;
    enum value value;
    size_t offset; /* of the value in struct uri */
    const char *words;
} options[] = {
    {URI_OPT_REUSEPORT, BEFORE_BIND, AF_UNSPEC, SOL_SOCKET, SO_REUSEPORT, VALUE_BOOL,
        offsetof(struct uri, reuseport), "reuseport"},
    {URI_OPT_FREEBIND, BEFORE_BIND, AF_INET, IPPROTO_IP, IP_FREEBIND, VALUE_BOOL,
        offsetof(struct uri, freebind), "freebind"},
    {URI_OPT_FREEBIND, BEFORE_BIND, AF_INET6, IPPROTO_IPV6, IPV6_FREEBIND, VALUE_BOOL,
        offsetof(struct uri, freebind), "freebind"},
    {URI_OPT_DEVICE, BEFORE_BIND, AF_UNSPEC, SOL_SOCKET, SO_BINDTODEVICE, VALUE_STRING,
        offsetof(struct uri, device), "device"},
    {URI_OPT_RCVBUF, BEFORE_BIND, AF_UNSPEC, SOL_SOCKET, SO_RCVBUF, VALUE_INT,
        offsetof(struct uri, rcvbuf), "rcvbuf"},
    {URI_OPT_SNDBUF, BEFORE_BIND, AF_UNSPEC, SOL_SOCKET, SO_SNDBUF, VALUE_INT,
        offsetof(struct uri, sndbuf), "sndbuf"},
    {URI_OPT_NODELAY, AFTER_BIND, AF_UNSPEC, IPPROTO_TCP, TCP_NODELAY, VALUE_BOOL,
        offsetof(struct uri, nodelay), "nodelay"},
    {URI_OPT_DEFER_ACCEPT, AFTER_BIND, AF_UNSPEC, IPPROTO_TCP, TCP_DEFER_ACCEPT, VALUE_INT,
        offsetof(struct uri, defer_accept), "defer-accept"},
    {URI_OPT_FASTOPEN, AFTER_BIND, AF_UNSPEC, IPPROTO_TCP, TCP_FASTOPEN, VALUE_INT,
        offsetof(struct uri, fastopen), "fastopen"},
};

static int set_number(struct os *os, int fd, int level, int name, int number)
{
    return os->socket_set(os, fd, level, name, &number, sizeof number);
}

static int set_option(struct os *os, int fd, const struct uri *uri, size_t row)
{
    const char *field = (const char *)uri + options[row].offset;
    int number = 0;

    switch (options[row].value) {
    case VALUE_BOOL:
        number = *(const bool *)field;
        break;
    case VALUE_INT:
        memcpy(&number, field, sizeof number);
        break;
    case VALUE_STRING:
        return os->socket_set(
            os, fd, options[row].level, options[row].name, field, (socklen_t)strlen(field) + 1);
    }
    return set_number(os, fd, options[row].level, options[row].name, number);
}

/* Sets what the URI asks for. Returns 0, or -errno and which option in *what. */
static int set_options(struct os *os, int fd, const struct listener_target *target,
    enum moment moment, const char **what)
{
    int family = target->address.address.ss_family;

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int code;

        if (options[i].moment != moment || !uri_has(target->uri, options[i].option) ||
            (options[i].family != AF_UNSPEC && options[i].family != family))
            continue;
        code = set_option(os, fd, target->uri, i);
        if (code < 0) {
            *what = options[i].words;
            return code;
        }
    }
    return 0;
}

/* --- one socket ------------------------------------------------------------------------------ */

/* A socket with all that has to be set before bind. Returns it, or -errno and what failed. */
static int open_unbound(struct os *os, const struct listener_target *target, const char **what)
{
    const struct uri *uri = target->uri;
    int family = target->address.address.ss_family;
    int fd = os->socket_open(os, family, target->type);
    int code = 0;

    *what = "socket";
    if (fd < 0)
        return fd;
    if (uri->kind == URI_TCP) {
        *what = "reuse of the address";
        code = set_number(os, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    }
    if (code >= 0 && family == AF_INET6) {
        *what = "v6only";
        code = set_number(os, fd, IPPROTO_IPV6, IPV6_V6ONLY, uri->v6only);
    }
    if (code >= 0)
        code = set_options(os, fd, target, BEFORE_BIND, what);
    if (code >= 0)
        return fd;
    os->close(os, fd);
    return code;
}

/* The same, and bound. A -check leaves out what would take datagrams from a live server. */
static int open_bound(
    struct os *os, const struct listener_target *target, bool rehearsal, const char **what)
{
    int fd = open_unbound(os, target, what);
    int code;

    if (fd < 0 || (rehearsal && target->uri->kind == URI_UDP && target->uri->reuseport))
        return fd;
    code = os->socket_bind(os, fd, &target->address);
    if (code >= 0)
        return fd;
    *what = "bind";
    os->close(os, fd);
    return code;
}

/* Sockets without a file. */
static int open_address(
    struct os *os, struct listener_target *target, bool rehearsal, struct text *error)
{
    const char *what;
    int fd = open_bound(os, target, rehearsal, &what);

    if (target->ipv4_will_do && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
        listener_target_use_ipv4(target);
        fd = open_bound(os, target, rehearsal, &what);
    }
    if (fd < 0)
        listener_target_fail(error, target, what, fd);
    return fd;
}

/* The kernel cuts what is above its maximum. */
static int backlog_of(const struct uri *uri)
{
    return uri_has(uri, URI_OPT_BACKLOG) ? uri->backlog : INT32_MAX;
}

/* The last steps of a bound socket: from listen on, clients may come. */
static bool start(
    struct os *os, int fd, const struct listener_target *target, bool rehearsal, struct text *error)
{
    const struct uri *uri = target->uri;
    const char *what;
    int code = set_options(os, fd, target, AFTER_BIND, &what);

    if (code >= 0 && uri->nonblock) {
        what = "nonblock";
        code = os->set_nonblocking(os, fd);
    }
    if (code >= 0 && target->type != SOCK_DGRAM && !rehearsal) {
        what = "listen";
        code = os->socket_listen(os, fd, backlog_of(uri));
    }
    return code >= 0 || listener_target_fail(error, target, what, code);
}

/* --- one listener ---------------------------------------------------------------------------- */

void listener_clear(struct listener *listener)
{
    memset(listener, 0, sizeof *listener);
    listener->fd = -1;
    listener->pin = -1;
}

/*
 * The file goes first: as long as the socket lives, a master that starts sees a live server. Its
 * second name goes before it, lest that master find the name taken.
 */
static void give_up(struct listener *listener, struct os *os)
{
    if (listener->pin >= 0) {
        if (listener->kept == 0)
            listener_file_release(os, listener->path, &listener->file);
        listener_file_remove(os, listener->path, &listener->file);
        os->close(os, listener->pin);
    }
    if (listener->fd >= 0)
        os->close(os, listener->fd);
    listener_clear(listener);
}

/* A socket with a file; `keep`: workers could remove it. */
static bool open_file(struct listener *listener, struct os *os,
    const struct listener_target *target, bool keep, struct text *error)
{
    const char *what;
    bool done = false;
    int lock = -1;

    listener->fd = open_unbound(os, target, &what);
    if (listener->fd < 0) {
        listener_target_fail(error, target, what, listener->fd);
        goto out;
    }
    lock = listener_file_claim(os, target, error);
    if (lock < 0)
        goto out;
    memcpy(listener->path, target->uri->path, target->uri->path_length + 1);
    done = listener_file_bind(os, target, listener->fd, &listener->pin, &listener->file, error);
    if (done)
        listener->kept =
            keep ? listener_file_keep(os, target, listener->pin, &listener->file) : -ENOTSUP;
    done = done && start(os, listener->fd, target, false, error);
out:
    if (!done)
        give_up(listener, os);
    if (lock >= 0)
        os->close(os, lock);
    return done;
}

/* The family that the scheme names: tcp://127.0.0.1:80 stays tcp, though the address is IPv4. */
static enum uri_family written_family(const struct uri *uri)
{
    size_t colon = 1; /* no scheme is empty */

    while (uri->source.bytes[colon] != ':')
        colon++;
    switch (uri->source.bytes[colon - 1]) {
    case '4':
        return URI_IPV4;
    case '6':
        return URI_IPV6;
    default:
        return URI_ANY_FAMILY;
    }
}

static void describe(struct listener *listener, const struct listener_target *target,
    const struct os_address *address)
{
    enum uri_family family = URI_ANY_FAMILY;
    enum uri_kind kind = URI_FD;
    const char *zone = NULL;
    struct text text;

    if (target->inherited < 0) {
        kind = target->uri->kind;
        /* A path of the master's own has no scheme. */
        if (kind == URI_TCP || kind == URI_UDP)
            family = written_family(target->uri);
        zone = target->uri->zone;
        listener->backlog = backlog_of(target->uri);
    } else {
        listener_target_kind(address->address.ss_family, target->type, &kind);
    }
    text_init(&text, listener->address, sizeof listener->address);
    listener_address_add(&text, uri_scheme(kind, family), zone, address);
    text_init(&text, listener->starter, sizeof listener->starter);
    listener_address_add_starter(&text, zone, address);
    text_init(&text, listener->name, sizeof listener->name);
    text_add_bytes(&text, target->name.bytes, target->name.length);
    listener->nonblock = target->uri != NULL && target->uri->nonblock;
    listener->listens = target->type != SOCK_DGRAM;
    listener->bound = *address;
}

/* Takes a copy. It is never made blocking: a server may still run on the same socket. */
static bool inherit(struct listener *listener, struct os *os, const struct listener_target *target,
    struct text *error)
{
    int code;

    listener->fd = os->duplicate(os, target->inherited);
    if (listener->fd < 0)
        return listener_target_fail(error, target, "copy of the descriptor", listener->fd);
    describe(listener, target, &target->address);
    code = listener->nonblock ? os->set_nonblocking(os, listener->fd) : 0;
    return code >= 0 || listener_target_fail(error, target, "nonblock", code);
}

static bool make(
    struct listener *listener, struct os *os, struct listener_target *target, struct text *error)
{
    struct os_address address;
    int code;

    if (listener_target_has_file(target)) {
        if (!open_file(listener, os, target, true, error))
            return false;
    } else {
        listener->fd = open_address(os, target, false, error);
        if (listener->fd < 0 || !start(os, listener->fd, target, false, error))
            return false;
    }
    code = os->socket_address(os, listener->fd, &address);
    if (code < 0)
        return listener_target_fail(error, target, "address of the socket", code);
    describe(listener, target, &address);
    return true;
}

/* As make, as far as nobody notices; *stale: a socket file would be replaced. */
static bool rehearse(struct listener *listener, struct os *os, struct listener_target *target,
    bool *stale, struct text *error)
{
    const char *what;

    *stale = false;
    if (target->inherited >= 0) {
        describe(listener, target, &target->address);
        return true;
    }
    if (listener_target_has_file(target)) {
        listener->fd = open_unbound(os, target, &what);
        if (listener->fd < 0)
            return listener_target_fail(error, target, what, listener->fd);
        if (!listener_file_check(os, target, stale, error))
            return false;
    } else {
        listener->fd = open_address(os, target, true, error);
        if (listener->fd < 0)
            return false;
    }
    if (!start(os, listener->fd, target, true, error))
        return false;
    describe(listener, target, &target->address);
    return true;
}

/* --- all of them ----------------------------------------------------------------------------- */

/* All look-ups, before anything is opened. */
static bool find_targets(struct listener_targets *targets, struct os *os, const struct uri *uris,
    size_t count, bool uris_default, const struct listener_activation *activation,
    struct text *error)
{
    targets->count = 0;
    if (uris_default && activation->count > 0)
        return listener_inherit_find_all(targets, os, activation, error);
    for (size_t i = 0; i < count; i++)
        if (!(uris[i].kind == URI_FD
                    ? listener_inherit_find(targets, os, &uris[i], activation, error)
                    : listener_target_find(targets, os, &uris[i], error)))
            return false;
    return true;
}

/* The originals of what was copied. 0, 1 and 2 stay: the program needs something there. */
static void close_originals(const struct listener_targets *targets, struct os *os)
{
    for (size_t i = 0; i < targets->count; i++) {
        int fd = targets->items[i].inherited;
        size_t first = 0;

        while (targets->items[first].inherited != fd)
            first++;
        if (fd >= LISTENER_FIRST_PASSED && first == i)
            os->close(os, fd);
    }
}

bool listeners_open(struct listeners *listeners, struct os *os, const struct uri *uris,
    size_t count, bool uris_default, const struct listener_activation *activation,
    struct text *error)
{
    struct listener_targets *targets = &listeners->targets;
    bool done = true;

    listeners->count = 0;
    if (!find_targets(targets, os, uris, count, uris_default, activation, error))
        return false;
    for (size_t i = 0; i < targets->count; i++)
        listener_clear(&listeners->items[i]);
    listeners->count = targets->count;
    for (size_t i = 0; done && i < targets->count; i++)
        done = targets->items[i].inherited >= 0
                   ? inherit(&listeners->items[i], os, &targets->items[i], error)
                   : make(&listeners->items[i], os, &targets->items[i], error);
    if (done)
        close_originals(targets, os);
    else
        listeners_close(listeners, os);
    return done;
}

bool listeners_check(struct os *os, const struct uri *uris, size_t count, bool uris_default,
    const struct listener_activation *activation, struct text *plan, struct text *error)
{
    struct listener_targets targets;
    struct listener listener;

    if (!find_targets(&targets, os, uris, count, uris_default, activation, error))
        return false;
    for (size_t i = 0; i < targets.count; i++) {
        bool stale;
        bool done;

        listener_clear(&listener);
        done = rehearse(&listener, os, &targets.items[i], &stale, error);
        if (done) {
            text_add(plan, "listen on ");
            text_add(plan, listener.address);
            text_add(plan, " as descriptor ");
            text_add_unsigned(plan, LISTENER_FIRST_PASSED + i);
            text_add(plan, stale ? " (replaces a stale socket file)\n" : "\n");
        }
        give_up(&listener, os);
        if (!done)
            return false;
    }
    return true;
}

void listeners_close(struct listeners *listeners, struct os *os)
{
    for (size_t i = 0; i < listeners->count; i++)
        give_up(&listeners->items[i], os);
    listeners->count = 0;
}

/* --- a socket of the master's own ------------------------------------------------------------ */

bool listener_open_private(struct listener *listener, struct os *os, const struct uri *uri,
    const struct os_user *owner, struct text *error)
{
    struct listener_targets targets;
    struct listener_target *target = targets.items;

    targets.count = 0;
    listener_clear(listener);
    if (!listener_target_find(&targets, os, uri, error))
        return false;
    if (owner != NULL) {
        target->owned = true;
        target->uid = owner->uid;
        target->gid = owner->gid;
    }
    return open_file(listener, os, target, false, error);
}

bool listener_check_private(
    struct os *os, const struct uri *uri, struct text *plan, struct text *error)
{
    struct listener_targets targets;
    struct listener listener;
    bool stale;
    bool done;

    targets.count = 0;
    listener_clear(&listener);
    if (!listener_target_find(&targets, os, uri, error))
        return false;
    done = rehearse(&listener, os, targets.items, &stale, error);
    if (done) {
        text_add(plan, "take commands on ");
        text_add(plan, listener.address);
        text_add(plan, stale ? " (replaces a stale socket file)\n" : "\n");
    }
    give_up(&listener, os);
    return done;
}

void listener_close_private(struct listener *listener, struct os *os)
{
    give_up(listener, os);
}
