#include "proto_json.h"

static void add_escape(struct text *text, unsigned code)
{
    static const char digits[] = "0123456789abcdef";
    text_add(text, "\\u");
    for (unsigned shift = 16; shift > 0; shift -= 4)
        text_add_char(text, digits[(code >> (shift - 4)) & 15]);
}

static void add_ascii(struct text *text, unsigned char c)
{
    if (c == '\n') {
        text_add(text, "\\n");
    } else if (c == '"' || c == '\\') {
        text_add_char(text, '\\');
        text_add_char(text, (char)c);
    } else {
        add_escape(text, c);
    }
}

/* The number of a character of 2 or 3 bytes; the bit between a first byte's mark and its value is
 * 0. */
static unsigned code_point(const unsigned char *bytes, size_t length)
{
    unsigned code = bytes[0] & 0x1fu;
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (bytes[i] & 0x3fu);
    return code;
}

/* Most of what is sent: they need no escape, and are taken many at a time. */
static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%' && c != '+';
}

/* Appends the character at `bytes`, which is not plain. Returns how many bytes it has. */
static size_t add_character(struct text *text, const char *bytes, size_t left)
{
    enum { REPLACEMENT = 0xfffd };
    size_t length = text_utf8_length(bytes, left);
    if (length == 0) {
        add_escape(text, REPLACEMENT);
        return 1;
    }
    if (length == 1)
        add_ascii(text, (unsigned char)bytes[0]);
    else if (length < 4)
        add_escape(text, code_point((const unsigned char *)bytes, length));
    else /* JSON escapes it as a pair, of which YAML understands neither half */
        text_add_bytes(text, bytes, length);
    return length;
}

void proto_json_add(struct text *text, struct text_span span)
{
    for (size_t at = 0; at < span.length;) {
        size_t plain = at;
        while (plain < span.length && is_plain((unsigned char)span.bytes[plain]))
            plain++;
        text_add_bytes(text, span.bytes + at, plain - at);
        at = plain;
        if (at < span.length)
            at += add_character(text, span.bytes + at, span.length - at);
    }
}
