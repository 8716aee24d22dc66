/*
 * proto: the wire of the control socket: one line of bytes <-> one request, one reply (rule K1).
 *
 * Owns: how a request is written by einhorn's clients in any language, what its parameters are, how
 * a reply has to look so that all of them can read it, and the words for what is wrong. Leaves to
 * others: where a line ends, who may ask, what a command does, and whether it takes arguments.
 * Nothing is kept between two calls. libyaml reads the YAML, and allocates while it does: a quarter
 * of a megabyte at most, all of it given back before the call returns.
 */
#ifndef SOCKETMASTER_PROTO_H
#define SOCKETMASTER_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum {
    PROTO_LINE_MAX = 64 * 1024, /* bytes of a request, without its newline */
    PROTO_DEPTH_MAX = 2,        /* the mapping, and lists or mappings in it */
    PROTO_ARGS_MAX = 1024,      /* entries of `args` */
    PROTO_ID_MAX = 255,         /* bytes of an id */
};

/* What YAML makes of a value. Numbers are those of JSON: 0x10, 1_000 and 007 are text. */
enum proto_type {
    PROTO_NONE,   /* missing, or null */
    PROTO_NESTED, /* a list or a mapping */
    PROTO_TEXT,
    PROTO_INTEGER,
    PROTO_FLOAT,
    PROTO_BOOLEAN,
};

/* A client's own mark on a request. It holds its bytes, so it may be copied and kept. */
struct proto_id {
    enum proto_type type; /* never PROTO_NESTED; PROTO_NONE: there is none */
    size_t length;
    char bytes[PROTO_ID_MAX];
};

enum proto_args {
    PROTO_ARGS_NONE,
    PROTO_ARGS_LIST,       /* of text, possibly empty */
    PROTO_ARGS_NO_LIST,    /* something else than a list */
    PROTO_ARGS_WITH_OTHER, /* a list that has something else than text in it */
};

/* What a request is made of; all spans are in the storage given to proto_read(). */
struct proto_request {
    bool has_command;
    struct text_span command; /* of any length and content, as `user` and `arg` */
    struct proto_id id;
    int64_t pid; /* as the client claims it, 1 to INT32_MAX; 0: no such number */
    struct proto_id request_id;
    struct text_span user; /* empty: not given */
    bool wait;
    uint64_t generation; /* 0: not given */
    enum proto_args args;
    size_t arg_count;      /* of PROTO_ARGS_LIST */
    enum proto_type other; /* of PROTO_ARGS_WITH_OTHER: the first that is no text */
    struct text_span other_text;
    const char *problem;                  /* of PROTO_SYNTAX: libyaml's words, valid for ever */
    struct text_span arg[PROTO_ARGS_MAX]; /* of PROTO_ARGS_LIST */
};

/* Where proto_read() puts bytes. One may be used for request after request. */
struct proto_storage {
    char line[PROTO_LINE_MAX + 1];
    char texts[PROTO_LINE_MAX + 1];
};

enum proto_error {
    PROTO_OK,
    /* The request could be read, and its id counts. */
    PROTO_NO_COMMAND, /* no parameter `command`, or null or nested */
    PROTO_LONG_ID,    /* `id` or `request_id` has more than PROTO_ID_MAX bytes: it is none */
    PROTO_WAIT,       /* `wait` is neither true nor false */
    PROTO_GENERATION, /* `generation` is no number from 1 to UINT64_MAX */
    /* It could not: it is empty. */
    PROTO_LONG_LINE, /* of more than PROTO_LINE_MAX bytes */
    PROTO_SYNTAX,
    PROTO_NO_MAPPING,
    PROTO_DEEP,      /* deeper than PROTO_DEPTH_MAX */
    PROTO_DOCUMENTS, /* more than one */
    PROTO_REFERENCE, /* an anchor, an alias, a tag or a directive */
    PROTO_LONG_TEXT, /* its texts, unescaped, have more than PROTO_LINE_MAX bytes together */
    PROTO_MANY_ARGS, /* more than PROTO_ARGS_MAX */
    PROTO_MEMORY,
};

/*
 * Reads one line, `length` bytes without the newline. Each %HH in it stands for a byte; any other
 * per cent sign for itself. What then is there has to be one YAML mapping (JSON is one, but for
 * pairs of \u escapes). Of two parameters of one name the last counts; unknown ones are passed
 * over, whatever they hold. `request` and `storage` need not be initialised.
 */
enum proto_error proto_read(
    struct proto_storage *storage, const char *line, size_t length, struct proto_request *request);

/* A pair of a mapping that is itself a text. */
struct proto_pair {
    struct text_span key; /* without the colon that makes it a symbol for Ruby */
    enum proto_type type; /* of the value */
    struct text_span value;
};

/*
 * Reads a mapping whose text is `parts`, joined by blanks: the arguments of `config`, such as
 * {:number: 3}. What is nested has no text. Returns PROTO_OK and the number of pairs, of which
 * there are at most `size` (more: PROTO_MANY_ARGS), or what is wrong. The pairs are in the storage,
 * which must not be that of the parts.
 */
enum proto_error proto_read_mapping(struct proto_storage *storage, const struct text_span *parts,
    size_t part_count, struct proto_pair *pairs, size_t size, size_t *count);

/* Appends what is wrong, in einhorn's words where it has some; `error` is not PROTO_OK. */
void proto_add_error(
    struct text *text, enum proto_error error, const struct proto_request *request);

/* Are the arguments a list of text? Otherwise appends to `why` what they are, as einhorn does. */
bool proto_check_args(const struct proto_request *request, struct text *why);

/*
 * Appends a reply: one line of JSON with its newline. YAML readers take it too, also through a URL
 * decoder, for it has no per cent and no plus sign, and so do those that know ASCII alone, unless
 * the message has a character beyond U+FFFF. A byte of it that is no UTF-8 becomes U+FFFD. `id` may
 * be NULL. `wait` says that more replies to the same request follow, `error` that it was refused or
 * went wrong. The text overflows, and is of no use then, only where it has less than
 * proto_reply_bound() bytes of room.
 */
void proto_add_reply(
    struct text *text, struct text_span message, const struct proto_id *id, bool wait, bool error);

/* How many bytes the reply to a message of that length has at most, with a terminating NUL. */
size_t proto_reply_bound(size_t message_length);

#endif
