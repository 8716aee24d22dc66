/*
 * text: bounded text building and strict number reading.
 *
 * Owns: how a text is cut when it does not fit, how strangers' bytes are made safe to show, and the
 * one reading of digits.
 * Leaves to others: what the text means.
 */
#include "text.h"

#include <string.h>

enum {
    DECIMAL_DIGITS_MAX = 20, /* of UINT64_MAX */
};

void text_init(struct text *text, char *buffer, size_t size)
{
    *text = (struct text){.bytes = buffer, .size = size};
    buffer[0] = '\0';
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    size_t room = text->size - 1 - text->length;

    if (length > room) {
        text->overflow = true;
        length = room;
    }
    /* An empty span may have no bytes at all, and memcpy must not be given NULL. */
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
    if (text->size - text->length < 2) {
        text->overflow = true;
        return;
    }
    text->bytes[text->length++] = c;
    text->bytes[text->length] = '\0';
}

void text_add_padded(struct text *text, uint64_t number, unsigned width)
{
    char digits[DECIMAL_DIGITS_MAX];
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);

    for (size_t written = sizeof digits - first; written < width; written++)
        text_add_char(text, '0');
    text_add_bytes(text, digits + first, sizeof digits - first);
}

void text_add_unsigned(struct text *text, uint64_t number)
{
    text_add_padded(text, number, 1);
}

void text_add_signed(struct text *text, int64_t number)
{
    if (number >= 0) {
        text_add_unsigned(text, (uint64_t)number);
        return;
    }
    text_add_char(text, '-');
    /* Negated as unsigned, because INT64_MIN has no positive counterpart. */
    text_add_unsigned(text, 0 - (uint64_t)number);
}

void text_add_escaped(struct text *text, const char *bytes, size_t length)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte == '"' || byte == '\\') {
            text_add_char(text, '\\');
            text_add_char(text, (char)byte);
        } else if (byte >= ' ' && byte <= '~') {
            text_add_char(text, (char)byte);
        } else {
            text_add(text, "\\x");
            text_add_char(text, hex[byte >> 4]);
            text_add_char(text, hex[byte & 15]);
        }
    }
}

void text_add_quoted(struct text *text, const char *bytes, size_t length)
{
    text_add_char(text, '"');
    text_add_escaped(text, bytes, length);
    text_add_char(text, '"');
}

struct text_span text_span_of(const char *string)
{
    return (struct text_span){.bytes = string, .length = strlen(string)};
}

bool text_span_is(struct text_span span, const char *string)
{
    size_t length = strlen(string);

    return span.length == length && (length == 0 || memcmp(span.bytes, string, length) == 0);
}

bool text_read_number(
    const char *bytes, size_t length, unsigned base, uint64_t maximum, uint64_t *number)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(unsigned char)bytes[i] - '0';

        /* Compared before it is added, so that the sum can never wrap. */
        if (digit >= base || digit > maximum || value > (maximum - digit) / base)
            return false;
        value = value * base + digit;
    }
    *number = value;
    return true;
}

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 3629. */
size_t text_utf8_length(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    bool surrogate = lead == 0xed && at[1] > 0x9f;
    bool beyond = lead == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : need;
}
