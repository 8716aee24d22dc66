/*
 * os_posix_lookup: hosts, services, interfaces, users and groups by name. Only here memory is
 * allocated, and only before the first worker.
 */
#include "os_posix_parts.h"

#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each entry gets the table, and none of these needs it: there is no state. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum {
    SERVICE_BYTES = 4096,
    ACCOUNT_BYTES = 256 * 1024, /* a line of passwd(5) or group(5), with all its members */
};

/* `code` is getaddrinfo's, `error` the errno that came with it. */
static int host_error(int code, int error, const char **why)
{
    *why = code == EAI_SYSTEM ? strerrordesc_np(error) : gai_strerror(code);
    switch (code) {
    case EAI_SYSTEM:
        return -error;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return -ENOENT;
    }
}

/* A name server that does not answer must not hold up a stop: nothing is open yet, so the default
 * action will do. Not as process 1: there the kernel would drop the signal. */
static void stops_set_blocked(int how)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGQUIT);
    if (getpid() != 1)
        sigprocmask(how, &stops, NULL);
}

static int posix_host_find(struct os *os, const char *host, int family,
    struct os_address *addresses, size_t count, const char **why)
{
    /* One socket type, or each address would come once for each. */
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    stops_set_blocked(SIG_UNBLOCK);
    int code = getaddrinfo(host, NULL, &hints, &found);
    int error = errno;
    stops_set_blocked(SIG_BLOCK);
    if (code != 0)
        return host_error(code, error, why);
    size_t used = 0;
    for (const struct addrinfo *each = found; each != NULL && used < count; each = each->ai_next) {
        addresses[used] = (struct os_address){.length = each->ai_addrlen};
        memcpy(&addresses[used].address, each->ai_addr, each->ai_addrlen);
        used++;
    }
    freeaddrinfo(found);
    return (int)used;
}

static int posix_service_find(struct os *os, const char *service, const char *protocol)
{
    char buffer[SERVICE_BYTES];
    struct servent entry;
    struct servent *found;
    int error = getservbyname_r(service, protocol, &entry, buffer, sizeof buffer, &found);
    if (found == NULL)
        return error == ERANGE ? -ERANGE : -ENOENT;
    return ntohs((uint16_t)entry.s_port);
}

static int posix_interface_find(struct os *os, const char *name)
{
    unsigned index = if_nametoindex(name);
    return index > 0 ? (int)index : -errno;
}

/* A number that stands for a user or a group; the largest is no id but "none". */
static bool id_parse(const char *digits, uint32_t *id)
{
    uint64_t value = 0;
    if (*digits == '\0')
        return false;
    for (const char *at = digits; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
        if (value >= UINT32_MAX)
            return false;
    }
    *id = (uint32_t)value;
    return true;
}

/* Of what getpwnam(3) may say, only these do not mean that there is no such entry. */
static int account_error(int error)
{
    switch (error) {
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ERANGE:
        return -error;
    default:
        return -ENOENT;
    }
}

static bool account_copy(char to[OS_ACCOUNT_TEXT], const char *from)
{
    size_t length = strlen(from);
    if (length >= OS_ACCOUNT_TEXT)
        return false;
    memcpy(to, from, length + 1);
    return true;
}

static int account_fill(struct os_user *user, const struct passwd *entry)
{
    int count = OS_GROUPS_MAX;
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    if (!account_copy(user->login, entry->pw_name) || !account_copy(user->home, entry->pw_dir) ||
        !account_copy(user->shell, entry->pw_shell))
        return -ENAMETOOLONG;
    if (getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &count) < 0)
        return -E2BIG;
    user->group_count = (size_t)count;
    return 0;
}

/* A number without an account: it has no group, which whoever switches to it must name. */
static int account_invent(struct os_user *user, const char *digits, uid_t uid)
{
    user->uid = uid;
    user->gid = (gid_t)-1;
    user->group_count = 0;
    bool fits = account_copy(user->login, digits) && account_copy(user->home, "/") &&
                account_copy(user->shell, "/bin/sh");
    return fits ? 0 : -ENAMETOOLONG;
}

static int posix_user_find(struct os *os, const char *login, struct os_user *user)
{
    struct passwd entry;
    struct passwd *found = NULL;
    uint32_t uid = 0;
    bool digits = id_parse(login, &uid);
    char *buffer = malloc(ACCOUNT_BYTES);
    if (buffer == NULL)
        return -ENOMEM;
    int error = getpwnam_r(login, &entry, buffer, ACCOUNT_BYTES, &found);
    if (found == NULL && digits)
        error = getpwuid_r(uid, &entry, buffer, ACCOUNT_BYTES, &found);
    int result = account_error(error);
    if (found != NULL)
        result = account_fill(user, found);
    else if (digits && result == -ENOENT)
        result = account_invent(user, login, uid);
    free(buffer);
    return result;
}

static int posix_group_find(struct os *os, const char *name, gid_t *gid)
{
    struct group entry;
    struct group *found = NULL;
    char *buffer = malloc(ACCOUNT_BYTES);
    if (buffer == NULL)
        return -ENOMEM;
    int error = account_error(getgrnam_r(name, &entry, buffer, ACCOUNT_BYTES, &found));
    if (found != NULL) {
        *gid = entry.gr_gid;
        error = 0;
    } else if (error == -ENOENT && id_parse(name, gid)) {
        error = 0;
    }
    free(buffer);
    return error;
}

void os_posix_lookup_init(struct os *os)
{
    os->host_find = posix_host_find;
    os->service_find = posix_service_find;
    os->interface_find = posix_interface_find;
    os->user_find = posix_user_find;
    os->group_find = posix_group_find;
}
