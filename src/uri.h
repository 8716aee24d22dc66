/*
 * uri: the bytes of one listen URI -> struct uri, or an error with its offset.
 *
 * Owns: the grammar of rules L1 to L4 and L9 (kinds, hosts, ports, paths, options).
 * Leaves to others: looking up hosts, services, users and groups, and opening anything.
 * Pure: allocates nothing, prints nothing, resolves nothing.
 *
 *   tcp://HOST:PORT  tcp4://  tcp6://  udp://  udp4://  udp6://
 *   unix:///PATH  unixgram:///PATH  unixpacket:///PATH  (one slash in place of three will do)
 *   unix:@NAME  unixgram:@NAME  unixpacket:@NAME        (Linux abstract names)
 *   fd://N  fd://NAME
 *   each with ?name=value&name=value...
 *
 * The scheme may be written in either case, as RFC 3986 section 3.1 says and the original did.
 */
#ifndef SOCKETMASTER_URI_H
#define SOCKETMASTER_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum {
    URI_HOST_MAX = 255,   /* bytes of a host name or an address literal */
    URI_ZONE_MAX = 15,    /* bytes of an interface name (IFNAMSIZ less its NUL) */
    URI_SERVICE_MAX = 31, /* bytes of a service name */
    URI_PATH_MAX = 107,   /* bytes of a socket path or an abstract name (sun_path less one) */
    URI_NAME_MAX = 255,   /* bytes of a listener's name, as sd_listen_fds_with_names(3) limits it */
    URI_ACCOUNT_MAX = 32, /* bytes of a user's or group's name */
    URI_PORT_NAMED = -1,  /* port: `service` has to be looked up */
    URI_FD_NAMED = -1,    /* fd: `fd_name` has to be looked up */
};

enum uri_kind {
    URI_TCP,
    URI_UDP,
    URI_UNIX,
    URI_UNIXGRAM,
    URI_UNIXPACKET,
    URI_FD,
    URI_KIND_COUNT,
};

/* Which addresses tcp and udp mean: tcp4 and tcp6 name one family, tcp leaves it open. */
enum uri_family {
    URI_ANY_FAMILY,
    URI_IPV4,
    URI_IPV6,
};

/* Options of a URI (rule L3): each is a bit in struct uri's `given`. */
enum uri_option {
    URI_OPT_NAME,
    URI_OPT_BACKLOG,
    URI_OPT_REUSEPORT,
    URI_OPT_V6ONLY,
    URI_OPT_NONBLOCK,
    URI_OPT_NODELAY,
    URI_OPT_DEFER_ACCEPT,
    URI_OPT_FASTOPEN,
    URI_OPT_FREEBIND,
    URI_OPT_DEVICE,
    URI_OPT_RCVBUF,
    URI_OPT_SNDBUF,
    URI_OPT_MODE,
    URI_OPT_USER,
    URI_OPT_GROUP,
    URI_OPTION_COUNT,
};

struct uri {
    struct text_span source; /* the URI as given; the caller's bytes */
    enum uri_kind kind;
    enum uri_family family; /* tcp, udp; an address literal settles it as well */
    bool host_is_address;   /* `host` is an IPv4 or IPv6 literal, or empty: no look-up needed */
    char host[URI_HOST_MAX + 1];       /* "" is every address; no brackets */
    char zone[URI_ZONE_MAX + 1];       /* of a link-local address, else "" */
    int port;                          /* 0 to 65535, or URI_PORT_NAMED */
    char service[URI_SERVICE_MAX + 1]; /* when the port is URI_PORT_NAMED */
    bool abstract;                     /* unix kinds: `path` is an abstract name without its '@' */
    char path[URI_PATH_MAX + 1];
    size_t path_length;
    int fd;                         /* kind URI_FD: a number, or URI_FD_NAMED */
    char fd_name[URI_NAME_MAX + 1]; /* when fd is URI_FD_NAMED */

    uint32_t given; /* bit (1u << enum uri_option) for each option that was written */
    char name[URI_NAME_MAX + 1];
    int backlog; /* 1 to INT_MAX */
    bool reuseport;
    bool v6only; /* the default of rule L3 where not given */
    bool nonblock;
    bool nodelay;
    int defer_accept; /* seconds, 1 to INT_MAX */
    int fastopen;     /* queue length, 1 to INT_MAX */
    bool freebind;
    char device[URI_ZONE_MAX + 1];
    int rcvbuf; /* bytes, 1 to INT_MAX */
    int sndbuf;
    unsigned mode; /* 0 to 0777 */
    char user[URI_ACCOUNT_MAX + 1];
    char group[URI_ACCOUNT_MAX + 1];
};

/* What is wrong with a URI. uri_error_text() has a sentence for each. */
enum uri_error {
    URI_OK,
    URI_ERR_EMPTY,
    URI_ERR_TOO_LONG,
    URI_ERR_BYTE, /* a blank, a control byte or a byte above 126, not escaped */
    URI_ERR_SCHEME_MISSING,
    URI_ERR_SCHEME_UNKNOWN,
    URI_ERR_SLASHES, /* what must follow the scheme is not there */
    URI_ERR_USERINFO,
    URI_ERR_FRAGMENT,
    URI_ERR_HOST, /* not a host name, nor an address */
    URI_ERR_HOST_TOO_LONG,
    URI_ERR_IPV4,          /* digits and dots, but no IPv4 address */
    URI_ERR_IPV6,          /* in brackets, but no IPv6 address */
    URI_ERR_IPV6_BRACKETS, /* an IPv6 address without brackets */
    URI_ERR_BRACKET,       /* a bracket is missing */
    URI_ERR_FAMILY,        /* an address of the other family than the scheme's */
    URI_ERR_ZONE,
    URI_ERR_PORT_MISSING,
    URI_ERR_PORT,     /* not 0 to 65535, nor a service name */
    URI_ERR_TRAILING, /* bytes after the end */
    URI_ERR_PATH_RELATIVE,
    URI_ERR_PATH_MISSING,
    URI_ERR_PATH_TOO_LONG,
    URI_ERR_PATH_DIRECTORY, /* ends in a slash */
    URI_ERR_ABSTRACT_EMPTY,
    URI_ERR_FD,     /* neither a descriptor's number nor a name */
    URI_ERR_ESCAPE, /* '%' without two hexadecimal digits */
    URI_ERR_ESCAPE_NUL,
    URI_ERR_QUERY_EMPTY,
    URI_ERR_OPTION_SYNTAX, /* no '=', or an empty name */
    URI_ERR_OPTION_UNKNOWN,
    URI_ERR_OPTION_KIND, /* exists, but not for this kind of listener */
    URI_ERR_OPTION_REPEATED,
    URI_ERR_OPTION_BOOLEAN,
    URI_ERR_OPTION_NUMBER,
    URI_ERR_OPTION_MODE,
    URI_ERR_OPTION_NAME, /* a listener's name: ASCII, no control byte, no ':', 1 to 255 */
    URI_ERR_OPTION_DEVICE,
    URI_ERR_OPTION_ACCOUNT,
    URI_ERROR_COUNT,
};

/* Where and what. `option` names the option concerned for the URI_ERR_OPTION_* errors, else empty;
 * it points into the URI's bytes. */
struct uri_failure {
    enum uri_error error;
    size_t offset; /* of the first byte that is wrong; the length where something is missing */
    struct text_span option;
};

/*
 * Reads `length` bytes as one URI.
 * Returns true and fills *uri; or false and fills *failure (and leaves *uri undefined).
 * `uri->source` borrows `bytes`, which must outlive it.
 */
bool uri_parse(const char *bytes, size_t length, struct uri *uri, struct uri_failure *failure);

/* What was expected, in words: "a port from 0 to 65535 or a service name". Never NULL. */
const char *uri_error_text(enum uri_error error);

/*
 * The whole complaint in one line without control bytes, as rule L4 wants it: what was expected,
 * the URI, and the place, for example "tcp://:99999": expected a port from 0 to 65535 or a service
 * name, at byte 7 ("99999")
 */
void uri_add_failure(
    struct text *text, const char *bytes, size_t length, const struct uri_failure *failure);

/* The scheme that names this kind and family, "tcp4" for example. */
const char *uri_scheme(enum uri_kind kind, enum uri_family family);

/* Was this option written in the URI? */
bool uri_has(const struct uri *uri, enum uri_option option);

#endif
