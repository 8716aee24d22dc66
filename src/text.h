/*
 * text: bounded text building and strict number reading.
 *
 * Owns: the only string builder of the program, and the only way from digits to a number.
 * Leaves to others: what the text means. Pure: no allocation, no locale, no global state.
 */
#ifndef SOCKETMASTER_TEXT_H
#define SOCKETMASTER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to someone else; not terminated. */
struct text_span {
    const char *bytes;
    size_t length;
};

/*
 * A text under construction in the caller's buffer. It is always terminated by NUL. What does not
 * fit is cut, and `overflow` remembers it for ever, so that one check at the end is enough.
 */
struct text {
    char *bytes;
    size_t size;   /* of the buffer, with the NUL */
    size_t length; /* without the NUL */
    bool overflow;
};

/* Starts an empty text in `buffer` of `size` >= 1 bytes; the caller keeps the buffer alive. */
void text_init(struct text *text, char *buffer, size_t size);

/* Appends a C string, or `length` bytes as they are (NULs too). */
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_char(struct text *text, char c);

/* Appends a number in decimal; `text_add_padded` with leading zeros up to `width` digits. */
void text_add_unsigned(struct text *text, uint64_t number);
void text_add_signed(struct text *text, int64_t number);
void text_add_padded(struct text *text, uint64_t number, unsigned width);

/*
 * Appends bytes that a stranger chose, safe to show on a terminal: printable ASCII as it is, a
 * double quote and a backslash behind a backslash, every other byte as \xHH. `text_add_quoted` puts
 * double quotes around the same.
 */
void text_add_escaped(struct text *text, const char *bytes, size_t length);
void text_add_quoted(struct text *text, const char *bytes, size_t length);

/* A span over a C string, and whether a span holds exactly that C string. */
struct text_span text_span_of(const char *string);
bool text_span_is(struct text_span span, const char *string);

/*
 * Reads all of `length` bytes as one unsigned number in `base` (8 or 10): digits only, no sign, no
 * blanks, no prefix, at most `maximum`. Leading zeros are allowed.
 * Returns true and sets *number, or false and leaves it alone.
 */
bool text_read_number(
    const char *bytes, size_t length, unsigned base, uint64_t maximum, uint64_t *number);

/*
 * How many bytes (1 to 4) the character has that begins at `bytes`, of which there are `length` >=
 * 1; 0 where they are not UTF-8.
 */
size_t text_utf8_length(const char *bytes, size_t length);

/*
 * The number that one hexadecimal digit stands for (0 to 15, either case), or -1.
 */
int text_hex_digit(char c);

#endif
