/*
 * listener_target: what a listen URI comes to once everything that it names has been looked up.
 *
 * Owns: hosts, services, interfaces, users and groups -> numbers, all before anything is opened;
 * and how a complaint about a listener begins. Leaves to others: opening.
 */
#include "listener_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* The sockets of each kind; AF_INET stands for AF_INET6 as well. */
static const struct {
    int family;
    int type;
} sockets[URI_KIND_COUNT] = {
    [URI_TCP] = {AF_INET, SOCK_STREAM},
    [URI_UDP] = {AF_INET, SOCK_DGRAM},
    [URI_UNIX] = {AF_UNIX, SOCK_STREAM},
    [URI_UNIXGRAM] = {AF_UNIX, SOCK_DGRAM},
    [URI_UNIXPACKET] = {AF_UNIX, SOCK_SEQPACKET},
    [URI_FD] = {AF_UNSPEC, 0},
};

bool listener_target_kind(int family, int type, enum uri_kind *kind)
{
    if (family == AF_INET6)
        family = AF_INET;
    for (int i = 0; i < URI_KIND_COUNT; i++)
        if (sockets[i].family == family && sockets[i].type == type) {
            *kind = (enum uri_kind)i;
            return true;
        }
    return false;
}

bool listener_target_has_file(const struct listener_target *target)
{
    return target->inherited < 0 && target->address.address.ss_family == AF_UNIX &&
           !target->uri->abstract;
}

void listener_target_blame(struct text *error, const struct listener_target *target)
{
    text_add(error, "unable to listen on ");
    if (target->uri != NULL) {
        text_add_quoted(error, target->uri->source.bytes, target->uri->source.length);
    } else {
        text_add(error, "passed descriptor ");
        text_add_signed(error, target->inherited);
    }
    text_add(error, ": ");
}

const char *listener_target_why(int code)
{
    const char *words = strerrordesc_np(-code);

    return words != NULL ? words : "an unknown error";
}

bool listener_target_fail(
    struct text *error, const struct listener_target *target, const char *what, int code)
{
    listener_target_blame(error, target);
    text_add(error, what);
    if (code < 0) {
        text_add(error, ": ");
        text_add(error, listener_target_why(code));
    }
    return false;
}

bool listener_target_fail_name(struct text *error, const struct listener_target *target,
    const char *what, const char *name, const char *why)
{
    listener_target_blame(error, target);
    text_add(error, what);
    text_add_char(error, ' ');
    text_add_quoted(error, name, strlen(name));
    text_add(error, ": ");
    text_add(error, why);
    return false;
}

static const char *why_not_found(int code)
{
    return code == -ENOENT ? "unknown" : listener_target_why(code);
}

static void set_ipv4(struct os_address *address, struct in_addr host)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = host};

    memset(address, 0, sizeof *address);
    memcpy(&address->address, &in, sizeof in);
    address->length = sizeof in;
}

static void set_ipv6(struct os_address *address, struct in6_addr host, uint32_t scope)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = host, .sin6_scope_id = scope};

    memset(address, 0, sizeof *address);
    memcpy(&address->address, &in6, sizeof in6);
    address->length = sizeof in6;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
    "the port stands at the same place in both families");

static void set_port(struct os_address *address, int port)
{
    in_port_t wire = htons((uint16_t)port);

    memcpy((char *)&address->address + offsetof(struct sockaddr_in, sin_port), &wire, sizeof wire);
}

static int port_of(const struct os_address *address)
{
    in_port_t wire;

    memcpy(&wire, (const char *)&address->address + offsetof(struct sockaddr_in, sin_port),
        sizeof wire);
    return ntohs(wire);
}

void listener_target_use_ipv4(struct listener_target *target)
{
    int port = port_of(&target->address);

    set_ipv4(&target->address, (struct in_addr){htonl(INADDR_ANY)});
    set_port(&target->address, port);
    target->ipv4_will_do = false;
}

static bool find_zone(
    struct listener_target *target, struct os *os, uint32_t *scope, struct text *error)
{
    const char *zone = target->uri->zone;
    uint64_t number;
    int index;

    *scope = 0;
    if (*zone == '\0')
        return true;
    index = os->interface_find(os, zone);
    if (index > 0) {
        *scope = (uint32_t)index;
        return true;
    }
    /* RFC 4007 section 11.2: the index itself may stand for an interface. */
    if (text_read_number(zone, strlen(zone), 10, INT32_MAX, &number)) {
        *scope = (uint32_t)number;
        return true;
    }
    return listener_target_fail_name(error, target, "interface", zone, listener_target_why(index));
}

static bool find_literal(struct listener_target *target, struct os *os, struct text *error)
{
    const struct uri *uri = target->uri;
    bool everywhere = *uri->host == '\0';
    struct in6_addr ipv6 = in6addr_any;
    struct in_addr ipv4 = {htonl(INADDR_ANY)};
    uint32_t scope;

    if (everywhere ? uri->family == URI_IPV4 : inet_pton(AF_INET, uri->host, &ipv4) == 1) {
        set_ipv4(&target->address, ipv4);
        return true;
    }
    if (!everywhere && inet_pton(AF_INET6, uri->host, &ipv6) != 1)
        return listener_target_fail(error, target, "address", -EINVAL);
    if (!find_zone(target, os, &scope, error))
        return false;
    set_ipv6(&target->address, ipv6, scope);
    target->ipv4_will_do = everywhere && uri->family == URI_ANY_FAMILY && !uri->v6only;
    return true;
}

static bool find_name(struct listener_target *target, struct os *os, struct text *error)
{
    static const int families[] = {
        [URI_ANY_FAMILY] = AF_UNSPEC, [URI_IPV4] = AF_INET, [URI_IPV6] = AF_INET6};
    const struct uri *uri = target->uri;
    struct os_address found[OS_ADDRESSES_MAX];
    const char *why = NULL;
    int chosen = 0;
    int count = os->host_find(os, uri->host, families[uri->family], found, OS_ADDRESSES_MAX, &why);

    if (count == 0)
        why = "it has no address";
    if (count <= 0)
        return listener_target_fail_name(
            error, target, "host", uri->host, why != NULL ? why : listener_target_why(count));
    for (int i = count - 1; i >= 0; i--)
        if (found[i].address.ss_family == AF_INET)
            chosen = i;
    memset(&target->address, 0, sizeof target->address);
    memcpy(&target->address.address, &found[chosen].address, found[chosen].length);
    target->address.length = found[chosen].length;
    return true;
}

static bool find_internet(struct listener_target *target, struct os *os, struct text *error)
{
    const struct uri *uri = target->uri;
    int port = uri->port;

    if (port == URI_PORT_NAMED) {
        port = os->service_find(os, uri->service, uri->kind == URI_UDP ? "udp" : "tcp");
        if (port < 0)
            return listener_target_fail_name(
                error, target, "service", uri->service, why_not_found(port));
    }
    if (!(uri->host_is_address ? find_literal(target, os, error) : find_name(target, os, error)))
        return false;
    set_port(&target->address, port);
    return true;
}

/* As elsewhere in the program a user without a group stands for the user's own group, too. */
static bool find_owner(struct listener_target *target, struct os *os, struct text *error)
{
    const struct uri *uri = target->uri;
    int code;

    target->uid = (uid_t)-1;
    target->gid = (gid_t)-1;
    if (uri_has(uri, URI_OPT_USER)) {
        struct os_user user;

        code = os->user_find(os, uri->user, &user);
        if (code < 0)
            return listener_target_fail_name(error, target, "user", uri->user, why_not_found(code));
        target->uid = user.uid;
        target->gid = user.gid;
        target->owned = true;
    }
    if (uri_has(uri, URI_OPT_GROUP)) {
        code = os->group_find(os, uri->group, &target->gid);
        if (code < 0)
            return listener_target_fail_name(
                error, target, "group", uri->group, why_not_found(code));
        target->owned = true;
    }
    return true;
}

/* An abstract name is as long as it is and starts with a NUL; a path ends with one. */
static bool find_unix(struct listener_target *target, struct os *os, struct text *error)
{
    const struct uri *uri = target->uri;
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memcpy(un.sun_path + uri->abstract, uri->path, uri->path_length);
    memset(&target->address, 0, sizeof target->address);
    memcpy(&target->address.address, &un, sizeof un);
    target->address.length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + uri->path_length + 1);
    return find_owner(target, os, error);
}

struct listener_target *listener_target_add(
    struct listener_targets *targets, const struct uri *uri, struct text *error)
{
    struct listener_target *target;

    if (targets->count == LIMIT_LISTENERS) {
        text_add(error, "unable to listen on more than ");
        text_add_unsigned(error, LIMIT_LISTENERS);
        text_add(error, " sockets");
        return NULL;
    }
    target = &targets->items[targets->count++];
    memset(target, 0, sizeof *target);
    target->uri = uri;
    target->inherited = -1;
    if (uri != NULL)
        target->name = text_span_of(uri->name);
    return target;
}

/*
 * Will two of them come into each other's way? The kernel would say so as well, but only when both
 * are open, which -check does not do.
 */
static bool is_same(const struct listener_target *a, const struct listener_target *b)
{
    bool same_type = a->type == b->type;

    if (b->inherited >= 0 || a->address.length != b->address.length ||
        memcmp(&a->address.address, &b->address.address, sizeof a->address.address) != 0)
        return false;
    if (a->address.address.ss_family == AF_UNIX)
        return same_type || listener_target_has_file(a);
    return same_type && port_of(&a->address) != 0 && (!a->uri->reuseport || !b->uri->reuseport) &&
           strcmp(a->uri->device, b->uri->device) == 0;
}

bool listener_target_find(
    struct listener_targets *targets, struct os *os, const struct uri *uri, struct text *error)
{
    struct listener_target *target = listener_target_add(targets, uri, error);

    if (target == NULL)
        return false;
    target->type = sockets[uri->kind].type;
    if (!(sockets[uri->kind].family == AF_UNIX ? find_unix(target, os, error)
                                               : find_internet(target, os, error)))
        return false;
    for (size_t i = 0; i + 1 < targets->count; i++)
        if (is_same(target, &targets->items[i])) {
            const struct text_span *other = &targets->items[i].uri->source;

            listener_target_blame(error, target);
            text_add(error, "the same address as ");
            text_add_quoted(error, other->bytes, other->length);
            return false;
        }
    return true;
}
