/*
 * uri_good: URIs with all that they mean, for test_uri.
 */
#ifndef SOCKETMASTER_URI_GOOD_H
#define SOCKETMASTER_URI_GOOD_H

#include "uri.h"
#include "uri_words.h"

#define BIT(option) (1u << (option))

struct good {
    const char *uri;
    struct uri expected; /* the source apart */
};

/* clang-format off */
static const struct good good_hosts[] = {
    {"tcp://:8080", {.kind = URI_TCP, .host_is_address = true, .port = 8080}},
    {"tcp://:0", {.kind = URI_TCP, .host_is_address = true, .port = 0}},
    {"tcp://:1", {.kind = URI_TCP, .host_is_address = true, .port = 1}},
    {"tcp://:65535", {.kind = URI_TCP, .host_is_address = true, .port = 65535}},
    {"tcp://:00080", {.kind = URI_TCP, .host_is_address = true, .port = 80}},
    {"tcp://:" ZEROS ZEROS ZEROS "7", {.kind = URI_TCP, .host_is_address = true, .port = 7}},
    {"TCP://:80", {.kind = URI_TCP, .host_is_address = true, .port = 80}},
    {"tCp4://:80", {.kind = URI_TCP, .family = URI_IPV4, .host_is_address = true, .port = 80}},
    {"tcp4://:80", {.kind = URI_TCP, .family = URI_IPV4, .host_is_address = true, .port = 80}},
    {"tcp6://:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true, .port = 80,
        .v6only = true}},
    {"udp://:53", {.kind = URI_UDP, .host_is_address = true, .port = 53}},
    {"udp4://:53", {.kind = URI_UDP, .family = URI_IPV4, .host_is_address = true, .port = 53}},
    {"udp6://:53", {.kind = URI_UDP, .family = URI_IPV6, .host_is_address = true, .port = 53,
        .v6only = true}},
    {"tcp://127.0.0.1:80", {.kind = URI_TCP, .family = URI_IPV4, .host_is_address = true,
        .host = "127.0.0.1", .port = 80}},
    {"tcp4://0.0.0.0:80", {.kind = URI_TCP, .family = URI_IPV4, .host_is_address = true,
        .host = "0.0.0.0", .port = 80}},
    {"udp://255.255.255.255:9", {.kind = URI_UDP, .family = URI_IPV4, .host_is_address = true,
        .host = "255.255.255.255", .port = 9}},
    {"tcp://[::]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true, .host = "::",
        .port = 80}},
    {"tcp6://[::]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true, .host = "::",
        .port = 80, .v6only = true}},
    {"tcp://[2001:DB8:0:0:0:0:0:1]:80", {.kind = URI_TCP, .family = URI_IPV6,
        .host_is_address = true, .host = "2001:DB8:0:0:0:0:0:1", .port = 80}},
    {"udp6://[::ffff:192.0.2.1]:80", {.kind = URI_UDP, .family = URI_IPV6, .host_is_address = true,
        .host = "::ffff:192.0.2.1", .port = 80, .v6only = true}},
    {"tcp://[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1", {.kind = URI_TCP,
        .family = URI_IPV6, .host_is_address = true,
        .host = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", .port = 1}},
    {"tcp://[fe80::1%eth0]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .host = "fe80::1", .zone = "eth0", .port = 80}},
    {"tcp://[fe80::1%25eth0]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .host = "fe80::1", .zone = "eth0", .port = 80}},
    {"tcp6://[FE80::1%2]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .host = "FE80::1", .zone = "2", .port = 80, .v6only = true}},
    {"tcp://[febf::1%25]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .host = "febf::1", .zone = "25", .port = 80}},
    {"tcp://[fe80::1%2525]:80", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .host = "fe80::1", .zone = "25", .port = 80}},
    {"tcp://[fe80::1%25a%62%3F%5D]:80", {.kind = URI_TCP, .family = URI_IPV6,
        .host_is_address = true, .host = "fe80::1", .zone = "ab?]", .port = 80}},
    {"tcp://[fe80::1%123456789012345]:80", {.kind = URI_TCP, .family = URI_IPV6,
        .host_is_address = true, .host = "fe80::1", .zone = "123456789012345", .port = 80}},
    {"tcp://localhost:80", {.kind = URI_TCP, .host = "localhost", .port = 80}},
    {"tcp6://localhost:80", {.kind = URI_TCP, .family = URI_IPV6, .host = "localhost", .port = 80,
        .v6only = true}},
    {"udp4://A-b.example_1.ORG.:80", {.kind = URI_UDP, .family = URI_IPV4,
        .host = "A-b.example_1.ORG.", .port = 80}},
    {"tcp://1.2.3.4.example:80", {.kind = URI_TCP, .host = "1.2.3.4.example", .port = 80}},
    {"tcp://xn--bcher-kva.example:80", {.kind = URI_TCP, .host = "xn--bcher-kva.example",
        .port = 80}},
    {"tcp://3com:80", {.kind = URI_TCP, .host = "3com", .port = 80}},
    {"tcp://x0:80", {.kind = URI_TCP, .host = "x0", .port = 80}},
    {"tcp://1x2:80", {.kind = URI_TCP, .host = "1x2", .port = 80}},
    {"tcp://0y1:80", {.kind = URI_TCP, .host = "0y1", .port = 80}},
    {"tcp://00x1:80", {.kind = URI_TCP, .host = "00x1", .port = 80}},
    {"tcp://0xfg:80", {.kind = URI_TCP, .host = "0xfg", .port = 80}},
    {"tcp://0x1.f:80", {.kind = URI_TCP, .host = "0x1.f", .port = 80}},
    {"tcp://" HOST255 ":80", {.kind = URI_TCP, .host = HOST255, .port = 80}},
    {"tcp://:http", {.kind = URI_TCP, .host_is_address = true, .port = URI_PORT_NAMED,
        .service = "http"}},
    {"tcp://h:9pfs", {.kind = URI_TCP, .host = "h", .port = URI_PORT_NAMED, .service = "9pfs"}},
    {"udp://[::1]:Ntp-Alt", {.kind = URI_UDP, .family = URI_IPV6, .host_is_address = true,
        .host = "::1", .port = URI_PORT_NAMED, .service = "Ntp-Alt"}},
    {"tcp://:" X16 X4 X4 X4 "xxx", {.kind = URI_TCP, .host_is_address = true,
        .port = URI_PORT_NAMED, .service = X16 X4 X4 X4 "xxx"}},
};

static const struct good good_paths[] = {
    {"unix:///run/x.sock", {.kind = URI_UNIX, .path = "/run/x.sock", .path_length = 11}},
    {"unix:/run/x.sock", {.kind = URI_UNIX, .path = "/run/x.sock", .path_length = 11}},
    {"UNIX:/x", {.kind = URI_UNIX, .path = "/x", .path_length = 2}},
    {"unix:////x", {.kind = URI_UNIX, .path = "//x", .path_length = 3}},
    {"unixgram:///x", {.kind = URI_UNIXGRAM, .path = "/x", .path_length = 2}},
    {"unixpacket:/x", {.kind = URI_UNIXPACKET, .path = "/x", .path_length = 2}},
    {"unix:///a%20b%3Fc%23d%25e%2f.%ff", {.kind = URI_UNIX, .path = "/a b?c#d%e/.\xff",
        .path_length = 13}},
    {"unix:///a%0A%01", {.kind = URI_UNIX, .path = "/a\n\x01", .path_length = 4}},
    {"unix:///%2525", {.kind = URI_UNIX, .path = "/%25", .path_length = 4}},
    {"unix:///a:b@[c]&d=e+f!~", {.kind = URI_UNIX, .path = "/a:b@[c]&d=e+f!~", .path_length = 16}},
    {"unix:/@x", {.kind = URI_UNIX, .path = "/@x", .path_length = 3}},
    {"unix:///../x", {.kind = URI_UNIX, .path = "/../x", .path_length = 5}},
    {"unix:///" X64 X16 X16 X4 X4 "xx", {.kind = URI_UNIX, .path = "/" X64 X16 X16 X4 X4 "xx",
        .path_length = 107}},
    {"unix:///%78" X64 X16 X16 X4 X4 "x", {.kind = URI_UNIX, .path = "/" X64 X16 X16 X4 X4 "xx",
        .path_length = 107}},
    {"unix:@name", {.kind = URI_UNIX, .abstract = true, .path = "name", .path_length = 4}},
    {"unixgram:@n/", {.kind = URI_UNIXGRAM, .abstract = true, .path = "n/", .path_length = 2}},
    {"unixpacket:@@", {.kind = URI_UNIXPACKET, .abstract = true, .path = "@", .path_length = 1}},
    {"unix:@a%20%3f//x", {.kind = URI_UNIX, .abstract = true, .path = "a ?//x", .path_length = 6}},
    {"unix:@" X107, {.kind = URI_UNIX, .abstract = true, .path = X107, .path_length = 107}},
    {"fd://0", {.kind = URI_FD, .fd = 0}},
    {"fd://3", {.kind = URI_FD, .fd = 3}},
    {"FD://003", {.kind = URI_FD, .fd = 3}},
    {"fd://2147483647", {.kind = URI_FD, .fd = INT32_MAX}},
    {"fd://http.socket", {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = "http.socket"}},
    {"fd://3a", {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = "3a"}},
    {"fd://-a", {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = "-a"}},
    {"fd://a\\x2db@c[]&=", {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = "a\\x2db@c[]&="}},
    {"fd://" X255, {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = X255}},
};

static const struct good good_options[] = {
    {"tcp://:80?name=web&backlog=1024&reuseport=true&v6only=1&nonblock=t&nodelay=T"
        "&defer-accept=5&fastopen=16&freebind=TRUE&device=eth0.7&rcvbuf=1&sndbuf=2147483647",
        {.kind = URI_TCP, .host_is_address = true, .port = 80, .given = BIT(URI_OPT_NAME) |
        BIT(URI_OPT_BACKLOG) | BIT(URI_OPT_REUSEPORT) | BIT(URI_OPT_V6ONLY) | BIT(URI_OPT_NONBLOCK)
        | BIT(URI_OPT_NODELAY) | BIT(URI_OPT_DEFER_ACCEPT) | BIT(URI_OPT_FASTOPEN) |
        BIT(URI_OPT_FREEBIND) | BIT(URI_OPT_DEVICE) | BIT(URI_OPT_RCVBUF) | BIT(URI_OPT_SNDBUF),
        .name = "web", .backlog = 1024, .reuseport = true, .v6only = true, .nonblock = true,
        .nodelay = true, .defer_accept = 5, .fastopen = 16, .freebind = true, .device = "eth0.7",
        .rcvbuf = 1, .sndbuf = INT32_MAX}},
    {"udp://[::]:53?sndbuf=2&rcvbuf=3&device=lo&freebind=True&nonblock=false&v6only=True"
        "&reuseport=FALSE&name=dns", {.kind = URI_UDP, .family = URI_IPV6, .host_is_address = true,
        .host = "::", .port = 53, .given = BIT(URI_OPT_NAME) | BIT(URI_OPT_REUSEPORT) |
        BIT(URI_OPT_V6ONLY) | BIT(URI_OPT_NONBLOCK) | BIT(URI_OPT_FREEBIND) | BIT(URI_OPT_DEVICE) |
        BIT(URI_OPT_RCVBUF) | BIT(URI_OPT_SNDBUF), .name = "dns", .v6only = true, .freebind = true,
        .device = "lo", .rcvbuf = 3, .sndbuf = 2}},
    {"tcp6://:80?v6only=0", {.kind = URI_TCP, .family = URI_IPV6, .host_is_address = true,
        .port = 80, .given = BIT(URI_OPT_V6ONLY), .v6only = false}},
    {"udp6://h:80?v6only=f", {.kind = URI_UDP, .family = URI_IPV6, .host = "h", .port = 80,
        .given = BIT(URI_OPT_V6ONLY)}},
    {"tcp://h:80?v6only=F", {.kind = URI_TCP, .host = "h", .port = 80,
        .given = BIT(URI_OPT_V6ONLY)}},
    {"tcp://h:80?nodelay=False", {.kind = URI_TCP, .host = "h", .port = 80,
        .given = BIT(URI_OPT_NODELAY)}},
    {"unix:///x?mode=0660&user=www&group=1000&backlog=5&rcvbuf=6&sndbuf=7&name=n&nonblock=1",
        {.kind = URI_UNIX, .path = "/x", .path_length = 2, .given = BIT(URI_OPT_MODE) |
        BIT(URI_OPT_USER) | BIT(URI_OPT_GROUP) | BIT(URI_OPT_BACKLOG) | BIT(URI_OPT_RCVBUF) |
        BIT(URI_OPT_SNDBUF) | BIT(URI_OPT_NAME) | BIT(URI_OPT_NONBLOCK), .mode = 0660,
        .user = "www", .group = "1000", .backlog = 5, .rcvbuf = 6, .sndbuf = 7, .name = "n",
        .nonblock = true}},
    {"unixgram:/x?mode=0&user=a&group=b&rcvbuf=6&sndbuf=7", {.kind = URI_UNIXGRAM, .path = "/x",
        .path_length = 2, .given = BIT(URI_OPT_MODE) | BIT(URI_OPT_USER) | BIT(URI_OPT_GROUP) |
        BIT(URI_OPT_RCVBUF) | BIT(URI_OPT_SNDBUF), .user = "a", .group = "b", .rcvbuf = 6,
        .sndbuf = 7}},
    {"unixpacket:/x?mode=777&backlog=2147483647", {.kind = URI_UNIXPACKET, .path = "/x",
        .path_length = 2, .given = BIT(URI_OPT_MODE) | BIT(URI_OPT_BACKLOG), .mode = 0777,
        .backlog = INT32_MAX}},
    {"unix:@x?backlog=5&rcvbuf=6&sndbuf=7", {.kind = URI_UNIX, .abstract = true, .path = "x",
        .path_length = 1, .given = BIT(URI_OPT_BACKLOG) | BIT(URI_OPT_RCVBUF) | BIT(URI_OPT_SNDBUF),
        .backlog = 5, .rcvbuf = 6, .sndbuf = 7}},
    {"fd://3?name=web&nonblock=true", {.kind = URI_FD, .fd = 3, .given = BIT(URI_OPT_NAME) |
        BIT(URI_OPT_NONBLOCK), .name = "web", .nonblock = true}},
    {"fd://web?name=other", {.kind = URI_FD, .fd = URI_FD_NAMED, .fd_name = "web",
        .given = BIT(URI_OPT_NAME), .name = "other"}},
    {"tcp://:80?name=a%20%26b%3dc%25&backlog=%31%32", {.kind = URI_TCP, .host_is_address = true,
        .port = 80, .given = BIT(URI_OPT_NAME) | BIT(URI_OPT_BACKLOG), .name = "a &b=c%",
        .backlog = 12}},
    {"tcp://:80?name=a=b?c/d+e", {.kind = URI_TCP, .host_is_address = true, .port = 80,
        .given = BIT(URI_OPT_NAME), .name = "a=b?c/d+e"}},
    {"tcp://:80?nonblock=%74rue", {.kind = URI_TCP, .host_is_address = true, .port = 80,
        .given = BIT(URI_OPT_NONBLOCK), .nonblock = true}},
    {"tcp://:80?name=" X255, {.kind = URI_TCP, .host_is_address = true, .port = 80,
        .given = BIT(URI_OPT_NAME), .name = X255}},
    {"tcp://:80?device=%c3%a9-345678901234", {.kind = URI_TCP, .host_is_address = true, .port = 80,
        .given = BIT(URI_OPT_DEVICE), .device = "\xc3\xa9-345678901234"}},
    {"unix:/x?user=" X16 X16, {.kind = URI_UNIX, .path = "/x", .path_length = 2,
        .given = BIT(URI_OPT_USER), .user = X16 X16}},
    {"unix:/x?group=DOMAIN%5Cweb%20team", {.kind = URI_UNIX, .path = "/x", .path_length = 2,
        .given = BIT(URI_OPT_GROUP), .group = "DOMAIN\\web team"}},
    {"tcp://:80?backlog=" ZEROS ZEROS "1", {.kind = URI_TCP, .host_is_address = true, .port = 80,
        .given = BIT(URI_OPT_BACKLOG), .backlog = 1}},
    {"unix:/x?mode=000000777", {.kind = URI_UNIX, .path = "/x", .path_length = 2,
        .given = BIT(URI_OPT_MODE), .mode = 0777}},
};
/* clang-format on */

#endif
