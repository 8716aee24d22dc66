/*
 * uri_address: HOST:PORT.
 *
 * Owns: where the host ends and the port begins, host names, IPv4 and IPv6 literals, zones, ports.
 * Leaves to others: whether a name or a service exists.
 */
#include "uri_address.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    LABEL_MAX = 63, /* bytes between two dots of a host name (RFC 1035 section 2.3.4) */
};

static bool is_host_byte(char c)
{
    return uri_is_service_byte(c) || c == '_';
}

static bool is_ipv6_byte(char c)
{
    return text_hex_digit(c) >= 0 || c == ':' || c == '.';
}

/* Is `part` an address of this family (AF_INET, AF_INET6)? If so, *address is it, in 4 or 16 bytes.
 */
static bool is_address(
    const struct uri_reading *reading, struct uri_part part, int family, unsigned char *address)
{
    char copy[INET6_ADDRSTRLEN];
    size_t length = part.to - part.from;

    if (length >= sizeof copy)
        return false;
    memcpy(copy, reading->bytes + part.from, length);
    copy[length] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* An address with or without zone, with or without port, and without the brackets it needs. */
static bool is_bare_ipv6(const struct uri_reading *reading, struct uri_part part)
{
    unsigned char address[sizeof(struct in6_addr)];
    struct uri_part head = {part.from, uri_find(reading, part, '%')};
    size_t colon = head.to;

    while (colon > head.from && reading->bytes[colon - 1] != ':')
        colon--;
    if (colon == head.from)
        return false;
    return is_address(reading, head, AF_INET6, address) ||
           is_address(reading, (struct uri_part){head.from, colon - 1}, AF_INET6, address);
}

/*
 * Would inet_aton(3) take it for an address? Then the resolver would too, and 0x7f.1 is not what
 * somebody meant as a name.
 */
static bool is_numeric_host(const struct uri_reading *reading, struct uri_part host)
{
    bool digits = false;
    bool hex = false;
    size_t label = host.from;

    for (size_t at = host.from; at < host.to; at++) {
        char c = reading->bytes[at];

        if (c == '.') {
            label = at + 1;
            hex = false;
        } else if ((c == 'x' || c == 'X') && at == label + 1 && reading->bytes[label] == '0') {
            hex = true;
        } else if (uri_is_digit(c) || (hex && text_hex_digit(c) >= 0)) {
            digits = true;
        } else {
            return false;
        }
    }
    return digits;
}

static bool check_host_name(const struct uri_reading *reading, struct uri_part host)
{
    const char *bytes = reading->bytes;
    size_t label = host.from;

    for (size_t at = host.from; at < host.to; at++) {
        if (at > label && bytes[at] == '.') {
            if (bytes[at - 1] == '-')
                return uri_fail(reading, URI_ERR_HOST, at - 1);
            label = at + 1;
        } else if (!is_host_byte(bytes[at]) || (at == label && bytes[at] == '-') ||
                   at - label == LABEL_MAX) {
            return uri_fail(reading, URI_ERR_HOST, at);
        }
    }
    if (bytes[host.to - 1] == '-')
        return uri_fail(reading, URI_ERR_HOST, host.to - 1);
    return true;
}

static bool read_ipv6(const struct uri_reading *reading, struct uri_part host)
{
    struct uri *uri = reading->uri;
    struct uri_part inside = {host.from + 1, host.to - 1};
    struct uri_part literal = {inside.from, uri_find(reading, inside, '%')};
    unsigned char address[sizeof(struct in6_addr)];
    size_t length = literal.to - literal.from;

    if (!is_address(reading, literal, AF_INET6, address)) {
        size_t at = literal.from;

        while (at < literal.to && is_ipv6_byte(reading->bytes[at]))
            at++;
        return uri_fail(reading, URI_ERR_IPV6, at < literal.to ? at : literal.from);
    }
    if (uri->family == URI_IPV4)
        return uri_fail(reading, URI_ERR_FAMILY, host.from);
    uri->family = URI_IPV6;
    uri->host_is_address = true;
    memcpy(uri->host, reading->bytes + literal.from, length);

    if (literal.to == inside.to)
        return true;
    if (address[0] != 0xfe || (address[1] & 0xc0) != 0x80)
        return uri_fail(reading, URI_ERR_ZONE, literal.to);

    struct uri_part zone = {literal.to + 1, inside.to};

    /* RFC 6874 escapes the '%' itself; but 25 and nothing more is an interface's number. */
    if (zone.to - zone.from > 2 && uri_starts_with(reading, zone, "25"))
        zone.from += 2;
    return uri_read_word(reading, zone, URI_WORD_ZONE, uri->zone, &length);
}

static bool read_host(const struct uri_reading *reading, struct uri_part host)
{
    struct uri *uri = reading->uri;
    size_t length = host.to - host.from;

    if (length == 0) {
        uri->host_is_address = true;
        return true;
    }
    if (reading->bytes[host.from] == '[')
        return read_ipv6(reading, host);
    if (length > URI_HOST_MAX)
        return uri_fail(reading, URI_ERR_HOST_TOO_LONG, host.from + URI_HOST_MAX);
    if (is_numeric_host(reading, host)) {
        unsigned char address[sizeof(struct in_addr)];

        if (!is_address(reading, host, AF_INET, address))
            return uri_fail(reading, URI_ERR_IPV4, host.from);
        if (uri->family == URI_IPV6)
            return uri_fail(reading, URI_ERR_FAMILY, host.from);
        uri->family = URI_IPV4;
        uri->host_is_address = true;
    } else if (!check_host_name(reading, host)) {
        return false;
    }
    memcpy(uri->host, reading->bytes + host.from, length);
    return true;
}

static bool read_port(const struct uri_reading *reading, struct uri_part port)
{
    struct uri *uri = reading->uri;
    uint64_t number;
    size_t length;

    if (!uri_read_word(reading, port, URI_WORD_PORT, uri->service, &length))
        return false;
    if (strspn(uri->service, "0123456789-") < length) {
        uri->port = URI_PORT_NAMED;
        return true;
    }
    if (!text_read_number(uri->service, length, 10, UINT16_MAX, &number))
        return uri_fail(reading, URI_ERR_PORT, port.from);
    uri->service[0] = '\0';
    uri->port = (int)number;
    return true;
}

/* Cuts *host, which begins as all of `part`, before the colon. Its brackets stay with it. */
static bool split_host(
    const struct uri_reading *reading, struct uri_part part, struct uri_part *host)
{
    bool bracketed = uri_starts_with(reading, part, "[");
    struct uri_part rest = {part.from + bracketed, part.to};
    size_t open = uri_find(reading, rest, '[');
    size_t close = uri_find(reading, rest, ']');

    if (bracketed) {
        if (close == part.to)
            return uri_fail(reading, URI_ERR_BRACKET, part.to);
        rest.from = close + 1;
        close = uri_find(reading, rest, ']');
    }
    if (open < part.to || close < part.to)
        return uri_fail(reading, URI_ERR_BRACKET, open < close ? open : close);
    if (!bracketed && is_bare_ipv6(reading, part))
        return uri_fail(reading, URI_ERR_IPV6_BRACKETS, part.from);
    host->to = bracketed ? rest.from : uri_find(reading, rest, ':');
    if (!uri_starts_with(reading, (struct uri_part){host->to, part.to}, ":"))
        return uri_fail(reading, URI_ERR_PORT_MISSING, host->to);
    return true;
}

bool uri_read_address(const struct uri_reading *reading, struct uri_part part)
{
    struct uri_part host = part;
    size_t at_sign = uri_find(reading, part, '@');

    if (at_sign < part.to)
        return uri_fail(reading, URI_ERR_USERINFO, at_sign);
    /* Before the literal settles the family: tcp://[::]:80 serves IPv4 too (rule L3). */
    reading->uri->v6only = reading->uri->family == URI_IPV6;
    return split_host(reading, part, &host) && read_host(reading, host) &&
           read_port(reading, (struct uri_part){host.to + 1, part.to});
}
