/*
 * listener_inherit: sockets that somebody else opened (rule L9).
 *
 * Owns: what a service manager passed (sd_listen_fds(3)), which descriptors fd:// means, and the
 * checks that each is a listening socket. Leaves to others: copying them.
 */
#include "listener_inherit.h"

#include <errno.h>
#include <string.h>

#include "limits.h"
#include "listener_address.h"

/* --- what was passed ------------------------------------------------------------------------- */

static const char *variable(char *const *environment, const char *name)
{
    size_t length = strlen(name);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static bool fail_variable(
    struct text *error, const char *name, const char *value, const char *expected)
{
    text_add(error, "unable to take the passed descriptors: ");
    text_add(error, name);
    text_add_char(error, '=');
    text_add_quoted(error, value, strlen(value));
    text_add(error, ": expected ");
    text_add(error, expected);
    return false;
}

/* The part of a colon-separated list that *rest stands at, which moves on; false at the end. */
static bool next_name(const char **rest, struct text_span *name)
{
    if (*rest == NULL)
        return false;
    *name = (struct text_span){*rest, strcspn(*rest, ":")};
    *rest = (*rest)[name->length] == ':' ? *rest + name->length + 1 : NULL;
    return true;
}

/* As sd_listen_fds_with_names(3) limits it. */
static bool is_name(struct text_span name)
{
    if (name.length > URI_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.length; i++)
        if (name.bytes[i] < ' ' || name.bytes[i] > '~')
            return false;
    return true;
}

bool listener_activation_read(struct listener_activation *activation, struct os *os,
    char *const *environment, struct text *error)
{
    const char *pid = variable(environment, "LISTEN_PID");
    const char *fds = variable(environment, "LISTEN_FDS");
    const char *names = variable(environment, "LISTEN_FDNAMES");
    const char *rest = names;
    struct text_span name;
    uint64_t number;
    int named = 0;

    *activation = (struct listener_activation){0, NULL};
    if (pid == NULL || !text_read_number(pid, strlen(pid), 10, INT32_MAX, &number) ||
        number != (uint64_t)os->process_id(os) || fds == NULL)
        return true;
    if (!text_read_number(fds, strlen(fds), 10, LIMIT_LISTENERS, &number)) {
        fail_variable(error, "LISTEN_FDS", fds, "a number from 0 to ");
        text_add_unsigned(error, LIMIT_LISTENERS);
        return false;
    }
    if (number == 0)
        return true;
    while (next_name(&rest, &name)) {
        if (!is_name(name))
            return fail_variable(error, "LISTEN_FDNAMES", names,
                "names of at most 255 printable bytes, separated by colons");
        named++;
    }
    if (names != NULL && named != (int)number)
        return fail_variable(error, "LISTEN_FDNAMES", names, "as many names as LISTEN_FDS says");
    *activation = (struct listener_activation){(int)number, names};
    return true;
}

/* --- what they are --------------------------------------------------------------------------- */

/* Finds out the socket's type and address, and whether it can be a listener. */
static bool check(struct os *os, struct listener_target *target, struct text *error)
{
    enum uri_kind kind;
    int fd = target->inherited;
    int listening = 0;
    int code = os->socket_get(os, fd, SOL_SOCKET, SO_TYPE, &target->type);

    if (code == -EBADF)
        return listener_target_fail(error, target, "the descriptor is not open", 0);
    if (code == -ENOTSOCK)
        return listener_target_fail(error, target, "the descriptor is not a socket", 0);
    if (code < 0)
        return listener_target_fail(error, target, "type of the socket", code);
    code = os->socket_address(os, fd, &target->address);
    if (code < 0)
        return listener_target_fail(error, target, "address of the socket", code);
    if (!listener_target_kind(target->address.address.ss_family, target->type, &kind))
        return listener_target_fail(error, target, "not a kind of socket that can be passed on", 0);
    if (!listener_address_is_bound(&target->address))
        return listener_target_fail(error, target, "the socket is not bound to an address", 0);
    if (target->type == SOCK_DGRAM)
        return true;
    code = os->socket_get(os, fd, SOL_SOCKET, SO_ACCEPTCONN, &listening);
    if (code < 0)
        return listener_target_fail(error, target, "state of the socket", code);
    if (!listening)
        return listener_target_fail(error, target, "the socket is not listening", 0);
    return true;
}

/* --- which are meant ------------------------------------------------------------------------- */

/* The name of one passed descriptor; sd_listen_fds_with_names(3) calls those without "unknown". */
static struct text_span passed_name(const struct listener_activation *activation, int index)
{
    struct text_span name = text_span_of("unknown");
    const char *rest = activation->names;

    while (next_name(&rest, &name) && index > 0)
        index--;
    return name;
}

static bool add_passed(struct listener_targets *targets, struct os *os, const struct uri *uri,
    const struct listener_activation *activation, int fd, struct text *error)
{
    struct listener_target *target = listener_target_add(targets, uri, error);
    int index = fd - LISTENER_FIRST_PASSED;

    if (target == NULL)
        return false;
    target->inherited = fd;
    if (target->name.length == 0 && index >= 0 && index < activation->count)
        target->name = passed_name(activation, index);
    return check(os, target, error);
}

static bool fail_unknown(
    struct text *error, const struct uri *uri, const struct listener_activation *activation)
{
    const struct listener_target target = {.uri = uri};

    listener_target_blame(error, &target);
    if (activation->count == 0) {
        text_add(error, "no descriptors were passed to this process");
        return false;
    }
    text_add(error, "no passed descriptor has this name; there ");
    text_add(error, activation->count == 1 ? "is " : "are ");
    for (int i = 0; i < activation->count; i++) {
        struct text_span name = passed_name(activation, i);

        if (i > 0)
            text_add(error, ", ");
        text_add_quoted(error, name.bytes, name.length);
    }
    return false;
}

bool listener_inherit_find(struct listener_targets *targets, struct os *os, const struct uri *uri,
    const struct listener_activation *activation, struct text *error)
{
    size_t count = targets->count;

    if (uri->fd != URI_FD_NAMED)
        return add_passed(targets, os, uri, activation, uri->fd, error);
    for (int i = 0; i < activation->count; i++)
        if (text_span_is(passed_name(activation, i), uri->fd_name) &&
            !add_passed(targets, os, uri, activation, LISTENER_FIRST_PASSED + i, error))
            return false;
    return targets->count > count || fail_unknown(error, uri, activation);
}

bool listener_inherit_find_all(struct listener_targets *targets, struct os *os,
    const struct listener_activation *activation, struct text *error)
{
    for (int i = 0; i < activation->count; i++)
        if (!add_passed(targets, os, NULL, activation, LISTENER_FIRST_PASSED + i, error))
            return false;
    return true;
}
