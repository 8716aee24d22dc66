/*
 * The world of listener's tests: the fake port with a directory in it, and URIs to open there.
 *
 * Numbers in the journals: domains 1 unix, 2 IPv4, 10 IPv6; types 1 stream, 2 datagram, 5
 * seqpacket; options as <sys/socket.h>, <netinet/in.h> and <netinet/tcp.h> have them.
 */
#ifndef SOCKETMASTER_LISTENER_WORLD_H
#define SOCKETMASTER_LISTENER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "listener.h"
#include "os_fake.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    URIS_MAX = 8,
    UMASK = 022,
};

static struct os_fake fake;
static struct listeners listeners;
static struct uri uris[URIS_MAX];
static size_t uri_count;
static struct listener_activation activation;
static char error_bytes[LISTENER_ERROR_MAX];
static struct text error;
static char plan_bytes[4096];
static struct text plan;

/* A world with a directory, and nothing to report. */
static inline int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    os_fake_file(&fake, "/run", OS_FILE_DIRECTORY);
    fake.mask = UMASK;
    listeners.count = 0;
    uri_count = 0;
    activation = (struct listener_activation){0, NULL};
    text_init(&error, error_bytes, sizeof error_bytes);
    text_init(&plan, plan_bytes, sizeof plan_bytes);
    return 0;
}

static inline void parse(const char *source)
{
    struct uri_failure failure;

    assert_true(uri_count < URIS_MAX);
    if (!uri_parse(source, strlen(source), &uris[uri_count++], &failure))
        fail_msg("%s: %s", source, uri_error_text(failure.error));
}

static inline bool open_all(void)
{
    return listeners_open(
        &listeners, &fake.os, uris, uri_count, uri_count == 0, &activation, &error);
}

static inline bool check_all(void)
{
    return listeners_check(&fake.os, uris, uri_count, uri_count == 0, &activation, &plan, &error);
}

static inline bool open_uri(const char *source)
{
    uri_count = 0;
    parse(source);
    return open_all();
}

/* Success ends with nothing open and the mask as it was; failure has one line to say why, too. */
static inline void close_all(void)
{
    listeners_close(&listeners, &fake.os);
    assert_int_equal(listeners.count, 0);
    assert_int_equal(fake.mask, UMASK);
    os_fake_done(&fake);
}

static inline void assert_failed(bool opened, const char *expected)
{
    assert_false(opened);
    assert_string_equal(error_bytes, expected);
    assert_int_equal(listeners.count, 0);
    assert_int_equal(fake.mask, UMASK);
}

static inline struct os_address internet(const char *host, uint16_t port)
{
    struct os_address address;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&address.address, &in, sizeof in);
        address.length = sizeof in;
    } else {
        assert_int_equal(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
        memcpy(&address.address, &in6, sizeof in6);
        address.length = sizeof in6;
    }
    return address;
}

static inline struct os_address local(const char *name, size_t length)
{
    struct os_address address;
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memset(&address, 0, sizeof address);
    memcpy(un.sun_path, name, length);
    memcpy(&address.address, &un, sizeof un);
    address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return address;
}

static inline struct os_file *stale_file(const char *path)
{
    return &os_fake_file(&fake, path, OS_FILE_SOCKET)->file;
}

static inline bool is_there(const char *path)
{
    return os_fake_find(&fake, path) != NULL;
}

#endif
