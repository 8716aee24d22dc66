/*
 * uri: the bytes of one listen URI -> struct uri, or an error with its offset.
 *
 * Owns: the table of schemes, paths and descriptors, and the order of it all. The rest of the
 * grammar is in uri_address (HOST:PORT), uri_option (the query) and uri_word (what each part
 * consists of). Leaves to others: everything that needs the machine. Whether a host, a service, an
 * interface or an account exists is not asked here.
 *
 * The order of the checks decides what the user is told: first what is wrong in any URI (length,
 * bytes), then the scheme, then the brackets and colons that say which part is which, then each
 * part from left to right.
 */
#include "uri.h"

#include <string.h>

#include "limits.h"
#include "uri_address.h"
#include "uri_option.h"
#include "uri_word.h"

static bool read_path(const struct uri_reading *reading, struct uri_part part)
{
    struct uri *uri = reading->uri;

    if (uri_starts_with(reading, part, "@")) {
        uri->abstract = true;
        part.from += 1;
        return uri_read_word(reading, part, URI_WORD_ABSTRACT, uri->path, &uri->path_length);
    }
    if (uri_starts_with(reading, part, "//"))
        part.from += 2;
    if (part.from < part.to && reading->bytes[part.from] != '/')
        return uri_fail(reading, URI_ERR_PATH_RELATIVE, part.from);
    if (!uri_read_word(reading, part, URI_WORD_PATH, uri->path, &uri->path_length))
        return false;
    if (uri->path[uri->path_length - 1] == '/') {
        size_t written = reading->bytes[part.to - 1] == '/' ? 1 : strlen("%2F");

        return uri_fail(reading, URI_ERR_PATH_DIRECTORY, part.to - written);
    }
    return true;
}

static bool read_descriptor(const struct uri_reading *reading, struct uri_part part)
{
    struct uri *uri = reading->uri;
    uint64_t number;
    size_t length;

    if (!uri_read_word(reading, part, URI_WORD_FD, uri->fd_name, &length))
        return false;

    /* With a sign it is a number that somebody got wrong, not a name. */
    size_t sign = uri->fd_name[0] == '-' || uri->fd_name[0] == '+';

    if (sign + strspn(uri->fd_name + sign, "0123456789") < length) {
        uri->fd = URI_FD_NAMED;
    } else if (text_read_number(uri->fd_name, length, 10, INT32_MAX, &number)) {
        uri->fd_name[0] = '\0';
        uri->fd = (int)number;
    } else {
        return uri_fail(reading, URI_ERR_FD, part.from);
    }
    return true;
}

struct scheme {
    const char *name;
    enum uri_kind kind;
    enum uri_family family;
    bool slashes; /* "//" comes first, and what follows ends at the next slash */
    bool (*read)(const struct uri_reading *reading, struct uri_part part);
};

/* clang-format off */
static const struct scheme schemes[] = {
    {.name = "tcp", .kind = URI_TCP, .slashes = true, .read = uri_read_address},
    {.name = "tcp4", .kind = URI_TCP, .family = URI_IPV4, .slashes = true,
        .read = uri_read_address},
    {.name = "tcp6", .kind = URI_TCP, .family = URI_IPV6, .slashes = true,
        .read = uri_read_address},
    {.name = "udp", .kind = URI_UDP, .slashes = true, .read = uri_read_address},
    {.name = "udp4", .kind = URI_UDP, .family = URI_IPV4, .slashes = true,
        .read = uri_read_address},
    {.name = "udp6", .kind = URI_UDP, .family = URI_IPV6, .slashes = true,
        .read = uri_read_address},
    {.name = "unix", .kind = URI_UNIX, .read = read_path},
    {.name = "unixgram", .kind = URI_UNIXGRAM, .read = read_path},
    {.name = "unixpacket", .kind = URI_UNIXPACKET, .read = read_path},
    {.name = "fd", .kind = URI_FD, .slashes = true, .read = read_descriptor},
};
/* clang-format on */

static const size_t scheme_count = sizeof schemes / sizeof schemes[0];

static bool is_scheme(struct text_span span, const char *name)
{
    if (span.length != strlen(name))
        return false;
    for (size_t i = 0; i < span.length; i++) {
        char c = span.bytes[i];

        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != name[i])
            return false;
    }
    return true;
}

/* Finds the scheme's row, or NULL with the failure noted; *part is what follows its colon. */
static const struct scheme *read_scheme(const struct uri_reading *reading, struct uri_part *part)
{
    size_t end = 0;

    while (end < reading->length && (uri_is_service_byte(reading->bytes[end]) ||
                                        reading->bytes[end] == '+' || reading->bytes[end] == '.'))
        end++;

    *part = (struct uri_part){end, reading->length};
    bool colon = uri_starts_with(reading, *part, ":");
    part->from += colon;

    for (size_t i = 0; i < scheme_count; i++) {
        if (is_scheme((struct text_span){reading->bytes, end}, schemes[i].name)) {
            if (!colon) {
                uri_fail(reading, URI_ERR_SLASHES, end);
                return NULL;
            }
            return &schemes[i];
        }
    }
    /* "localhost:80" starts like a scheme, and lacks one. */
    bool followed = uri_starts_with(reading, *part, "/") || uri_starts_with(reading, *part, "@");
    bool meant = end > 0 && colon && followed;

    uri_fail(reading, meant ? URI_ERR_SCHEME_UNKNOWN : URI_ERR_SCHEME_MISSING, 0);
    return NULL;
}

/* Reads what stands between the scheme's colon and the query. */
static bool read_place(
    const struct uri_reading *reading, const struct scheme *scheme, struct uri_part part)
{
    if (!scheme->slashes)
        return scheme->read(reading, part);
    for (int i = 0; i < 2; i++) {
        if (!uri_starts_with(reading, part, "/"))
            return uri_fail(reading, URI_ERR_SLASHES, part.from);
        part.from++;
    }

    struct uri_part authority = {part.from, uri_find(reading, part, '/')};

    if (!scheme->read(reading, authority))
        return false;
    if (authority.to < part.to)
        return uri_fail(reading, URI_ERR_TRAILING, authority.to);
    return true;
}

static bool check_bytes(const struct uri_reading *reading)
{
    if (reading->length == 0)
        return uri_fail(reading, URI_ERR_EMPTY, 0);
    if (reading->length > LIMIT_URI)
        return uri_fail(reading, URI_ERR_TOO_LONG, LIMIT_URI);
    for (size_t at = 0; at < reading->length; at++)
        if (reading->bytes[at] <= ' ' || reading->bytes[at] > '~')
            return uri_fail(reading, URI_ERR_BYTE, at);
    return true;
}

bool uri_parse(const char *bytes, size_t length, struct uri *uri, struct uri_failure *failure)
{
    struct uri_reading reading = {bytes, length, uri, failure};
    struct uri_part part;

    if (!check_bytes(&reading))
        return false;

    const struct scheme *scheme = read_scheme(&reading, &part);

    if (scheme == NULL)
        return false;

    size_t fragment = uri_find(&reading, part, '#');

    if (fragment < length)
        return uri_fail(&reading, URI_ERR_FRAGMENT, fragment);
    *uri = (struct uri){.source = {bytes, length}, .kind = scheme->kind, .family = scheme->family};
    part.to = uri_find(&reading, part, '?');
    return read_place(&reading, scheme, part) &&
           (part.to == length ||
               uri_read_options(&reading, (struct uri_part){part.to + 1, length}));
}

const char *uri_scheme(enum uri_kind kind, enum uri_family family)
{
    const char *name = "";

    /* Where a kind has rows for each family, the one without a family stands first. */
    for (size_t i = 0; i < scheme_count; i++)
        if (schemes[i].kind == kind &&
            (schemes[i].family == family || schemes[i].family == URI_ANY_FAMILY))
            name = schemes[i].name;
    return name;
}

bool uri_has(const struct uri *uri, enum uri_option option)
{
    return (uri->given & 1u << option) != 0;
}
