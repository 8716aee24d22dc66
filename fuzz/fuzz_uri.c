/*
 * Fuzzes uri: any bytes are read as one URI. A failure must have a place within the URI and a clean
 * complaint; a success must hold only values that the header promises.
 */
#include "uri.h"

#include <string.h>

#include "limits.h"
#include "target.h"

/* What a text member holds: terminated, and nothing behind its NUL is looked at. */
#define CHECK_TEXT(member, minimum) check_text(member, sizeof(member), minimum)

static void check_text(const char *bytes, size_t size, size_t minimum)
{
    size_t length = strnlen(bytes, size);

    CHECK(length < size && length >= minimum);
}

static void check_failure(const char *bytes, size_t size, const struct uri_failure *failure)
{
    static char line[1024 + 4 * LIMIT_URI];
    struct text text;

    CHECK(failure->error > URI_OK && failure->error < URI_ERROR_COUNT);
    CHECK(failure->offset <= size);
    CHECK(failure->option.length <= size);
    CHECK(failure->option.length == 0 ||
          (failure->option.bytes >= bytes &&
              failure->option.bytes + failure->option.length <= bytes + size));
    CHECK(failure->option.length == 0 || failure->error >= URI_ERR_OPTION_SYNTAX);
    CHECK(strlen(uri_error_text(failure->error)) > 0);

    text_init(&text, line, sizeof line);
    uri_add_failure(&text, bytes, size, failure);
    CHECK(!text.overflow);
    for (size_t i = 0; i < text.length; i++)
        CHECK(text.bytes[i] >= ' ' && text.bytes[i] <= '~');
}

static void check_place(const struct uri *uri)
{
    switch (uri->kind) {
    case URI_TCP:
    case URI_UDP:
        CHECK(uri->family <= URI_IPV6);
        CHECK_TEXT(uri->host, uri->host_is_address ? 0 : 1);
        CHECK_TEXT(uri->zone, 0);
        CHECK(uri->zone[0] == '\0' || (uri->host_is_address && uri->family == URI_IPV6));
        CHECK(uri->port >= URI_PORT_NAMED && uri->port <= UINT16_MAX);
        CHECK_TEXT(uri->service, uri->port == URI_PORT_NAMED ? 1 : 0);
        CHECK(uri->port == URI_PORT_NAMED || uri->service[0] == '\0');
        CHECK(strpbrk(uri->host, "%[]/?#@") == NULL);
        CHECK(!(uri->family == URI_IPV4 && uri->v6only));
        break;
    case URI_UNIX:
    case URI_UNIXGRAM:
    case URI_UNIXPACKET:
        CHECK(uri->family == URI_ANY_FAMILY && !uri->v6only);
        CHECK_TEXT(uri->path, 1);
        CHECK(uri->path_length == strlen(uri->path));
        if (!uri->abstract)
            CHECK(uri->path[0] == '/' && uri->path[uri->path_length - 1] != '/');
        break;
    case URI_FD:
        CHECK(uri->fd >= URI_FD_NAMED);
        CHECK_TEXT(uri->fd_name, uri->fd == URI_FD_NAMED ? 1 : 0);
        CHECK(uri->fd == URI_FD_NAMED || uri->fd_name[0] == '\0');
        break;
    case URI_KIND_COUNT:
        CHECK(false);
    }
}

/* Which options rule L3 gives to this URI, told once more and in other words than uri_option.c. */
static uint32_t known_options(const struct uri *uri)
{
    bool tcp = uri->kind == URI_TCP;
    bool internet = tcp || uri->kind == URI_UDP;
    bool local = !internet && uri->kind != URI_FD;
    uint32_t known = 1u << URI_OPT_NAME | 1u << URI_OPT_NONBLOCK;

    if (internet) {
        known |= 1u << URI_OPT_REUSEPORT | 1u << URI_OPT_FREEBIND | 1u << URI_OPT_DEVICE;
        known |= uri->family != URI_IPV4 ? 1u << URI_OPT_V6ONLY : 0;
    }
    if (tcp)
        known |= 1u << URI_OPT_NODELAY | 1u << URI_OPT_DEFER_ACCEPT | 1u << URI_OPT_FASTOPEN;
    if (internet || local)
        known |= 1u << URI_OPT_RCVBUF | 1u << URI_OPT_SNDBUF;
    if (local && !uri->abstract)
        known |= 1u << URI_OPT_MODE | 1u << URI_OPT_USER | 1u << URI_OPT_GROUP;
    if (tcp || uri->kind == URI_UNIX || uri->kind == URI_UNIXPACKET)
        known |= 1u << URI_OPT_BACKLOG;
    return known;
}

/* A number that was given is at least 1; one that was not is 0. */
static void check_number(const struct uri *uri, enum uri_option option, int number)
{
    CHECK(uri_has(uri, option) ? number >= 1 : number == 0);
}

static void check_options(const struct uri *uri)
{
    CHECK((uri->given & ~known_options(uri)) == 0);
    CHECK_TEXT(uri->name, uri_has(uri, URI_OPT_NAME) ? 1 : 0);
    CHECK_TEXT(uri->device, uri_has(uri, URI_OPT_DEVICE) ? 1 : 0);
    CHECK_TEXT(uri->user, uri_has(uri, URI_OPT_USER) ? 1 : 0);
    CHECK_TEXT(uri->group, uri_has(uri, URI_OPT_GROUP) ? 1 : 0);
    CHECK(strchr(uri->name, ':') == NULL && strchr(uri->device, '/') == NULL);
    check_number(uri, URI_OPT_BACKLOG, uri->backlog);
    check_number(uri, URI_OPT_DEFER_ACCEPT, uri->defer_accept);
    check_number(uri, URI_OPT_FASTOPEN, uri->fastopen);
    check_number(uri, URI_OPT_RCVBUF, uri->rcvbuf);
    check_number(uri, URI_OPT_SNDBUF, uri->sndbuf);
    CHECK(uri->mode <= 0777 && (uri_has(uri, URI_OPT_MODE) || uri->mode == 0));
}

/* Rules: L1 L2 L3 L4 L7 L9 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct uri_failure failure;
    struct uri uri;

    memset(&uri, 0xa5, sizeof uri);
    memset(&failure, 0xa5, sizeof failure);
    if (!uri_parse(bytes, size, &uri, &failure)) {
        check_failure(bytes, size, &failure);
        return 0;
    }
    CHECK(uri.source.bytes == bytes && uri.source.length == size && size <= LIMIT_URI);
    CHECK(uri.kind < URI_KIND_COUNT);
    CHECK(strlen(uri_scheme(uri.kind, uri.family)) > 0);
    check_place(&uri);
    check_options(&uri);
    return 0;
}
