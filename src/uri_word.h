/*
 * uri_word: the smallest parts of a URI, for the files of the room uri alone.
 *
 * Owns: one reading of one URI, how an error gets its place, and what each part may consist of.
 * Leaves to others: which part stands where.
 */
#ifndef SOCKETMASTER_URI_WORD_H
#define SOCKETMASTER_URI_WORD_H

#include <stdbool.h>
#include <stddef.h>

#include "uri.h"

/* One reading of one URI: where the bytes come from, and where the results go. */
struct uri_reading {
    const char *bytes;
    size_t length;
    struct uri *uri;
    struct uri_failure *failure;
};

/* Bytes from `from` up to `to`, which is the first that does not belong to it. */
struct uri_part {
    size_t from;
    size_t to;
};

/* What may stand in a part; each is a row of a table in uri_word.c. */
enum uri_word {
    URI_WORD_PORT,
    URI_WORD_ZONE,
    URI_WORD_PATH,
    URI_WORD_ABSTRACT,
    URI_WORD_FD,
    URI_WORD_NAME,
    URI_WORD_DEVICE,
    URI_WORD_ACCOUNT,
    URI_WORD_NUMBER,
    URI_WORD_MODE,
    URI_WORD_BOOLEAN,
};

enum {
    /* Bytes of the longest word, without its NUL. */
    URI_WORD_MAX = URI_NAME_MAX,
};

/* Notes the error and its place. Returns false, for the caller to return. */
bool uri_fail(const struct uri_reading *reading, enum uri_error error, size_t offset);

/* Notes that `part`, as a whole, is not such a word. Returns false. */
bool uri_fail_word(const struct uri_reading *reading, struct uri_part part, enum uri_word word);

/* Where `c` first is in `part`, or the part's end. */
size_t uri_find(const struct uri_reading *reading, struct uri_part part, char c);

bool uri_starts_with(const struct uri_reading *reading, struct uri_part part, const char *prefix);

/*
 * Reads all of `part` as such a word into `out`, with its escapes decoded where it has any. `out`
 * has room for the word's maximum, which is the size of its member of struct uri, or URI_WORD_MAX,
 * and a NUL. Returns true and sets *length; or false, with the failure noted.
 */
bool uri_read_word(const struct uri_reading *reading, struct uri_part part, enum uri_word word,
    char *out, size_t *length);

bool uri_is_digit(char c);

/* A letter, a digit or '-': what services and schemes are made of, and hosts for the most part. */
bool uri_is_service_byte(char c);

#endif
