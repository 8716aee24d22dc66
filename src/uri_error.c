/*
 * uri_error: an error of uri -> the words for it.
 *
 * Owns: what was expected in each case, and how a complaint shows a URI that may hold anything.
 * Leaves to others: finding the error, and where the words go.
 */
#include "uri.h"

#include "limits.h"

enum {
    SHOWN_REST_MAX = 32,   /* bytes that a complaint shows from the wrong place on */
    SHOWN_OPTION_MAX = 64, /* and of an option's name */
};

/* Each completes "expected ...". */
static const char *const error_texts[URI_ERROR_COUNT] = {
    [URI_OK] = "nothing else",
    [URI_ERR_EMPTY] = "a URI such as tcp://:8080",
    [URI_ERR_TOO_LONG] = "at most 4096 bytes",
    [URI_ERR_BYTE] = "printable ASCII without blanks (in a path or value a blank is %20)",
    [URI_ERR_SCHEME_MISSING] = "a scheme first, such as tcp:// or unix:",
    [URI_ERR_SCHEME_UNKNOWN] = "one of the schemes tcp, tcp4, tcp6, udp, udp4, udp6, unix, "
                               "unixgram, unixpacket and fd",
    [URI_ERR_SLASHES] = "'://' after the scheme (':/' or ':@' for unix sockets)",
    [URI_ERR_USERINFO] = "no user before the host",
    [URI_ERR_FRAGMENT] = "no fragment (in a path or value a '#' is %23)",
    [URI_ERR_HOST] = "a host name of letters, digits, '-', '_' and dots, or an address",
    [URI_ERR_HOST_TOO_LONG] = "a host name of at most 255 bytes",
    [URI_ERR_IPV4] = "an IPv4 address of four numbers from 0 to 255",
    [URI_ERR_IPV6] = "an IPv6 address in the brackets",
    [URI_ERR_IPV6_BRACKETS] = "brackets around an IPv6 address, as in [::1]:80",
    [URI_ERR_BRACKET] = "'[' before an IPv6 address and ']' after it, and nowhere else",
    [URI_ERR_FAMILY] = "an address of the scheme's family",
    [URI_ERR_ZONE] = "an interface of 1 to 15 bytes, and only after a link-local address (fe80::)",
    [URI_ERR_PORT_MISSING] = "':' and a port from 0 to 65535 or a service name",
    [URI_ERR_PORT] = "a port from 0 to 65535 or a service name",
    [URI_ERR_TRAILING] = "the end, or a '?' and options",
    [URI_ERR_PATH_RELATIVE] = "an absolute path (unix:///PATH) or an abstract name (unix:@NAME)",
    [URI_ERR_PATH_MISSING] = "an absolute path (unix:///PATH) or an abstract name (unix:@NAME)",
    [URI_ERR_PATH_TOO_LONG] = "a path or abstract name of at most 107 bytes",
    [URI_ERR_PATH_DIRECTORY] = "the path of a socket, not of a directory",
    [URI_ERR_ABSTRACT_EMPTY] = "an abstract name of 1 to 107 bytes",
    [URI_ERR_FD] = "a descriptor's number or name",
    [URI_ERR_ESCAPE] = "two hexadecimal digits after '%' (a '%' itself is %25)",
    [URI_ERR_ESCAPE_NUL] = "no NUL byte",
    [URI_ERR_QUERY_EMPTY] = "options after '?'",
    [URI_ERR_OPTION_SYNTAX] = "NAME=VALUE",
    [URI_ERR_OPTION_UNKNOWN] = "one of the options name, backlog, reuseport, v6only, nonblock, "
                               "nodelay, defer-accept, fastopen, freebind, device, rcvbuf, sndbuf, "
                               "mode, user and group",
    [URI_ERR_OPTION_KIND] = "an option that this kind of listener knows",
    [URI_ERR_OPTION_REPEATED] = "each option only once",
    [URI_ERR_OPTION_BOOLEAN] = "true or false",
    [URI_ERR_OPTION_NUMBER] = "a number from 1 to 2147483647",
    [URI_ERR_OPTION_MODE] = "an octal mode from 0 to 777",
    [URI_ERR_OPTION_NAME] = "a name of 1 to 255 bytes of printable ASCII without ':'",
    [URI_ERR_OPTION_DEVICE] = "an interface of 1 to 15 bytes",
    [URI_ERR_OPTION_ACCOUNT] = "a name or number of 1 to 32 bytes of printable ASCII without ':'",
};

const char *uri_error_text(enum uri_error error)
{
    return (size_t)error < URI_ERROR_COUNT ? error_texts[error] : error_texts[URI_OK];
}

/* A stranger's bytes in quotes, of which at most `maximum` are shown. */
static void add_shown(struct text *text, const char *bytes, size_t length, size_t maximum)
{
    text_add_quoted(text, bytes, length < maximum ? length : maximum);
    if (length > maximum)
        text_add(text, "...");
}

void uri_add_failure(
    struct text *text, const char *bytes, size_t length, const struct uri_failure *failure)
{
    add_shown(text, bytes, length, LIMIT_URI);
    if (failure->option.length > 0) {
        text_add(text, ": option ");
        add_shown(text, failure->option.bytes, failure->option.length, SHOWN_OPTION_MAX);
    }
    text_add(text, ": expected ");
    text_add(text, uri_error_text(failure->error));
    text_add(text, ", at byte ");
    text_add_unsigned(text, failure->offset);
    if (failure->offset < length) {
        text_add(text, " (");
        add_shown(text, bytes + failure->offset, length - failure->offset, SHOWN_REST_MAX);
        text_add_char(text, ')');
    } else {
        text_add(text, " (the end)");
    }
}
