/*
 * uri_option: the query of a URI.
 *
 * Owns: the table of options: which kinds know them, how their values are read, where they go.
 * Leaves to others: what a value consists of (uri_word), and what it does to a socket.
 */
#include "uri_option.h"

#include <string.h>

enum {
    INTERNET = 1u << URI_TCP | 1u << URI_UDP,
    UNIX_STREAMS = 1u << URI_UNIX | 1u << URI_UNIXPACKET,
    UNIX_SOCKETS = UNIX_STREAMS | 1u << URI_UNIXGRAM,
    EVERY_KIND = INTERNET | UNIX_SOCKETS | 1u << URI_FD,
};

struct option {
    const char *name;
    unsigned kinds;  /* that know it: bits of enum uri_kind */
    bool not_ipv4;   /* not where IPv4 alone is served */
    bool needs_path; /* not for an abstract name */
    enum uri_word word;
    bool (*store)(const char *value, size_t length, void *member);
    size_t member; /* its offset in struct uri; a text has room there for the word's maximum */
};

static bool store_text(const char *value, size_t length, void *member)
{
    memcpy(member, value, length + 1);
    return true;
}

static bool store_boolean(const char *value, size_t length, void *member)
{
    static const char *const pairs[][2] = {{"0", "1"}, {"f", "t"}, {"F", "T"}, {"false", "true"},
        {"False", "True"}, {"FALSE", "TRUE"}};
    bool *target = member;
    struct text_span span = {value, length};

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        *target = text_span_is(span, pairs[i][true]);
        if (*target || text_span_is(span, pairs[i][false]))
            return true;
    }
    return false;
}

static bool store_number(const char *value, size_t length, void *member)
{
    int *target = member;
    uint64_t number;

    if (!text_read_number(value, length, 10, INT32_MAX, &number) || number == 0)
        return false;
    *target = (int)number;
    return true;
}

static bool store_mode(const char *value, size_t length, void *member)
{
    unsigned *target = member;
    uint64_t number;

    if (!text_read_number(value, length, 8, 0777, &number))
        return false;
    *target = (unsigned)number;
    return true;
}

/* clang-format off */
static const struct option options[URI_OPTION_COUNT] = {
    [URI_OPT_NAME] = {.name = "name", .kinds = EVERY_KIND, .word = URI_WORD_NAME,
        .store = store_text, .member = offsetof(struct uri, name)},
    [URI_OPT_BACKLOG] = {.name = "backlog", .kinds = 1u << URI_TCP | UNIX_STREAMS,
        .word = URI_WORD_NUMBER, .store = store_number, .member = offsetof(struct uri, backlog)},
    [URI_OPT_REUSEPORT] = {.name = "reuseport", .kinds = INTERNET, .word = URI_WORD_BOOLEAN,
        .store = store_boolean, .member = offsetof(struct uri, reuseport)},
    [URI_OPT_V6ONLY] = {.name = "v6only", .kinds = INTERNET, .not_ipv4 = true,
        .word = URI_WORD_BOOLEAN, .store = store_boolean, .member = offsetof(struct uri, v6only)},
    [URI_OPT_NONBLOCK] = {.name = "nonblock", .kinds = EVERY_KIND, .word = URI_WORD_BOOLEAN,
        .store = store_boolean, .member = offsetof(struct uri, nonblock)},
    [URI_OPT_NODELAY] = {.name = "nodelay", .kinds = 1u << URI_TCP, .word = URI_WORD_BOOLEAN,
        .store = store_boolean, .member = offsetof(struct uri, nodelay)},
    [URI_OPT_DEFER_ACCEPT] = {.name = "defer-accept", .kinds = 1u << URI_TCP,
        .word = URI_WORD_NUMBER, .store = store_number, .member = offsetof(struct uri, defer_accept)},
    [URI_OPT_FASTOPEN] = {.name = "fastopen", .kinds = 1u << URI_TCP,
        .word = URI_WORD_NUMBER, .store = store_number, .member = offsetof(struct uri, fastopen)},
    [URI_OPT_FREEBIND] = {.name = "freebind", .kinds = INTERNET, .word = URI_WORD_BOOLEAN,
        .store = store_boolean, .member = offsetof(struct uri, freebind)},
    [URI_OPT_DEVICE] = {.name = "device", .kinds = INTERNET, .word = URI_WORD_DEVICE,
        .store = store_text, .member = offsetof(struct uri, device)},
    [URI_OPT_RCVBUF] = {.name = "rcvbuf", .kinds = INTERNET | UNIX_SOCKETS,
        .word = URI_WORD_NUMBER, .store = store_number, .member = offsetof(struct uri, rcvbuf)},
    [URI_OPT_SNDBUF] = {.name = "sndbuf", .kinds = INTERNET | UNIX_SOCKETS,
        .word = URI_WORD_NUMBER, .store = store_number, .member = offsetof(struct uri, sndbuf)},
    [URI_OPT_MODE] = {.name = "mode", .kinds = UNIX_SOCKETS, .needs_path = true,
        .word = URI_WORD_MODE, .store = store_mode, .member = offsetof(struct uri, mode)},
    [URI_OPT_USER] = {.name = "user", .kinds = UNIX_SOCKETS, .needs_path = true,
        .word = URI_WORD_ACCOUNT, .store = store_text, .member = offsetof(struct uri, user)},
    [URI_OPT_GROUP] = {.name = "group", .kinds = UNIX_SOCKETS, .needs_path = true,
        .word = URI_WORD_ACCOUNT, .store = store_text, .member = offsetof(struct uri, group)},
};
/* clang-format on */

static bool is_known_here(const struct option *option, const struct uri *uri)
{
    if (option->not_ipv4 && uri->family == URI_IPV4)
        return false;
    if (option->needs_path && uri->abstract)
        return false;
    return (option->kinds & 1u << uri->kind) != 0;
}

static bool read_option(const struct uri_reading *reading, struct uri_part part)
{
    struct uri *uri = reading->uri;
    struct uri_part name = {part.from, uri_find(reading, part, '=')};
    struct text_span span = {reading->bytes + name.from, name.to - name.from};
    size_t i = 0;

    if (span.length == 0)
        return uri_fail(reading, URI_ERR_OPTION_SYNTAX, name.from);
    while (i < URI_OPTION_COUNT && !text_span_is(span, options[i].name))
        i++;
    if (i == URI_OPTION_COUNT)
        return uri_fail(reading, URI_ERR_OPTION_UNKNOWN, name.from);
    if (!is_known_here(&options[i], uri))
        return uri_fail(reading, URI_ERR_OPTION_KIND, name.from);
    if ((uri->given & 1u << i) != 0)
        return uri_fail(reading, URI_ERR_OPTION_REPEATED, name.from);
    if (name.to == part.to)
        return uri_fail(reading, URI_ERR_OPTION_SYNTAX, name.to);
    uri->given |= 1u << i;

    struct uri_part value = {name.to + 1, part.to};
    char text[URI_WORD_MAX + 1];
    size_t length;

    if (!uri_read_word(reading, value, options[i].word, text, &length))
        return false;
    if (!options[i].store(text, length, (char *)uri + options[i].member))
        return uri_fail_word(reading, value, options[i].word);
    return true;
}

bool uri_read_options(const struct uri_reading *reading, struct uri_part part)
{
    if (part.from == part.to)
        return uri_fail(reading, URI_ERR_QUERY_EMPTY, part.from);
    for (;;) {
        struct uri_part option = {part.from, uri_find(reading, part, '&')};

        if (!read_option(reading, option)) {
            /* The errors about options stand last in their enum. */
            if (reading->failure->error >= URI_ERR_OPTION_SYNTAX) {
                size_t end = uri_find(reading, option, '=');

                reading->failure->option =
                    (struct text_span){reading->bytes + option.from, end - option.from};
            }
            return false;
        }
        if (option.to == part.to)
            return true;
        part.from = option.to + 1;
    }
}
