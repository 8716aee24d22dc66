/*
 * status_string: strings for JSON and YAML.
 *
 * Owns: their escapes. Leaves to others: what is in them.
 */
#include "status_parts.h"

enum { REPLACEMENT = 0xfffd };

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static void add_code(struct text *text, unsigned code)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[] = {'\\', 'u', digits[code >> 12], digits[code >> 8 & 15],
        digits[code >> 4 & 15], digits[code & 15]};
    text_add_bytes(text, escape, sizeof escape);
}

static void add_ascii(struct text *text, char c)
{
    if (c == '"' || c == '\\') {
        text_add_char(text, '\\');
        text_add_char(text, c);
    } else if (c == '\n') {
        text_add(text, "\\n");
    } else {
        add_code(text, (unsigned char)c);
    }
}

/* Of a character of 2 or 3 bytes: the bit between the first one's mark and its value is 0. */
static unsigned code_point(const char *bytes, size_t length)
{
    unsigned code = (unsigned char)bytes[0] & 0x1fu;
    for (size_t i = 1; i < length; i++)
        code = code << 6 | ((unsigned char)bytes[i] & 0x3fu);
    return code;
}

/* Appends the character at `bytes`, which is not plain. Returns how many bytes it has. */
static size_t add_character(struct text *text, const char *bytes, size_t left)
{
    size_t length = text_utf8_length(bytes, left);
    if (length == 0) {
        add_code(text, REPLACEMENT);
        return 1;
    }
    if (length == 1)
        add_ascii(text, bytes[0]);
    else if (length < 4)
        add_code(text, code_point(bytes, length));
    else /* JSON escapes it as a pair, of which YAML understands neither half */
        text_add_bytes(text, bytes, length);
    return length;
}

void status_add_string(struct text *text, struct text_span span)
{
    const size_t length = span.length;
    text_add_char(text, '"');
    for (size_t at = 0; at < length;) {
        size_t plain = at;
        while (plain < length && is_plain((unsigned char)span.bytes[plain]))
            plain++;
        text_add_bytes(text, span.bytes + at, plain - at);
        at = plain;
        if (at < length)
            at += add_character(text, span.bytes + at, length - at);
    }
    text_add_char(text, '"');
}
