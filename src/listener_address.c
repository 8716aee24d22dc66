/*
 * listener_address: a socket's address -> the strings that people and workers read.
 *
 * Owns: the forms of SOCKETMASTER_ADDR_n and SERVER_STARTER_PORT. Pure.
 */
#include "listener_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

/* The bytes of a unix address: a path, or an abstract name with its NUL in front. */
static struct text_span unix_name(const struct os_address *address)
{
    const size_t header = offsetof(struct sockaddr_un, sun_path);
    const char *bytes = (const char *)&address->address + header;
    size_t length = address->length > header ? address->length - header : 0;

    if (length > 0 && *bytes != '\0')
        length = strnlen(bytes, length);
    return (struct text_span){bytes, length};
}

static bool is_abstract(struct text_span name)
{
    return name.length > 0 && *name.bytes == '\0';
}

static uint16_t port_of(const struct os_address *address)
{
    in_port_t port;

    memcpy(&port, (const char *)&address->address + offsetof(struct sockaddr_in, sin_port),
        sizeof port);
    return ntohs(port);
}

bool listener_address_is_bound(const struct os_address *address)
{
    if (address->address.ss_family == AF_UNIX)
        return unix_name(address).length > 0;
    return port_of(address) != 0;
}

/* RFC 3986 section 2.3: these stand for themselves everywhere. */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static void add_percent_escaped(struct text *text, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (is_unreserved(bytes[i]) || c == '/') {
            text_add_char(text, bytes[i]);
        } else {
            text_add_char(text, '%');
            text_add_char(text, digits[c >> 4]);
            text_add_char(text, digits[c & 15]);
        }
    }
}

static void add_ipv6(struct text *text, const char *zone, const struct os_address *address)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in6 in6;

    memcpy(&in6, &address->address, sizeof in6);
    text_add_char(text, '[');
    text_add(text, IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr)
                       ? "::"
                       : inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host));
    if (in6.sin6_scope_id != 0) {
        text_add(text, "%");
        if (zone != NULL && *zone != '\0')
            add_percent_escaped(text, zone, strlen(zone));
        else
            text_add_unsigned(text, in6.sin6_scope_id);
    }
    text_add_char(text, ']');
}

static void add_ipv4(struct text *text, const struct os_address *address)
{
    struct sockaddr_in in;
    unsigned char bytes[sizeof in.sin_addr];

    memcpy(&in, &address->address, sizeof in);
    memcpy(bytes, &in.sin_addr, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i > 0)
            text_add_char(text, '.');
        text_add_unsigned(text, bytes[i]);
    }
}

static void add_internet(struct text *text, const char *zone, const struct os_address *address)
{
    if (address->address.ss_family == AF_INET6)
        add_ipv6(text, zone, address);
    else
        add_ipv4(text, address);
    text_add_char(text, ':');
    text_add_unsigned(text, port_of(address));
}

static bool is_everywhere(const struct os_address *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (address->address.ss_family == AF_INET6) {
        memcpy(&in6, &address->address, sizeof in6);
        return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    }
    memcpy(&in, &address->address, sizeof in);
    return in.sin_addr.s_addr == htonl(INADDR_ANY);
}

void listener_address_add(
    struct text *text, const char *scheme, const char *zone, const struct os_address *address)
{
    struct text_span name;

    text_add(text, scheme);
    if (address->address.ss_family != AF_UNIX) {
        text_add(text, "://");
        add_internet(text, zone, address);
        return;
    }
    name = unix_name(address);
    if (is_abstract(name)) {
        text_add(text, ":@");
        add_percent_escaped(text, name.bytes + 1, name.length - 1);
        return;
    }
    /* Only a passed socket can be bound to a relative path; no URI says that, so this shows it. */
    text_add(text, name.length > 0 && *name.bytes == '/' ? "://" : ":");
    add_percent_escaped(text, name.bytes, name.length);
}

void listener_address_add_starter(
    struct text *text, const char *zone, const struct os_address *address)
{
    struct text_span name;

    if (address->address.ss_family != AF_UNIX) {
        if (is_everywhere(address))
            text_add_unsigned(text, port_of(address));
        else
            add_internet(text, zone, address);
        return;
    }
    name = unix_name(address);
    if (is_abstract(name)) {
        text_add_char(text, '@');
        name.bytes++;
        name.length--;
    }
    text_add_bytes(text, name.bytes, name.length);
}
