#include "proto_scalar.h"

static bool is_one_of(struct text_span text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text_span_is(text, words[i]))
            return true;
    return false;
}

static bool has(struct text_span text, size_t at, char c)
{
    return at < text.length && text.bytes[at] == c;
}

static size_t skip_digits(struct text_span text, size_t at)
{
    while (at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9')
        at++;
    return at;
}

/* RFC 8259, chapter 6. */
static enum proto_type number_type(struct text_span text)
{
    enum proto_type type = PROTO_INTEGER;
    size_t start = has(text, 0, '-') ? 1 : 0;
    size_t at = skip_digits(text, start);
    if (at == start || (has(text, start, '0') && at > start + 1))
        return PROTO_TEXT;
    if (has(text, at, '.')) {
        type = PROTO_FLOAT;
        start = at + 1;
        at = skip_digits(text, start);
        if (at == start)
            return PROTO_TEXT;
    }
    if (has(text, at, 'e') || has(text, at, 'E')) {
        type = PROTO_FLOAT;
        start = at + 1;
        if (has(text, start, '+') || has(text, start, '-'))
            start++;
        at = skip_digits(text, start);
        if (at == start)
            return PROTO_TEXT;
    }
    return at == text.length ? type : PROTO_TEXT;
}

enum proto_type proto_scalar_type(struct text_span text, bool quoted)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    if (quoted)
        return PROTO_TEXT;
    if (is_one_of(text, nulls, sizeof nulls / sizeof nulls[0]))
        return PROTO_NONE;
    if (is_one_of(text, booleans, sizeof booleans / sizeof booleans[0]))
        return PROTO_BOOLEAN;
    return number_type(text);
}

bool proto_scalar_is_true(struct text_span text)
{
    return text.bytes[0] == 't' || text.bytes[0] == 'T';
}
