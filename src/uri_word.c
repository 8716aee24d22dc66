/*
 * uri_word: the smallest parts of a URI.
 *
 * Owns: the table of words: what each part may consist of, whether escapes count there, how long it
 * may be, and which error it is where it is not so.
 * Leaves to others: which part stands where.
 */
#include "uri_word.h"

#include <string.h>

bool uri_fail(const struct uri_reading *reading, enum uri_error error, size_t offset)
{
    *reading->failure =
        (struct uri_failure){.error = error, .offset = offset, .option = {reading->bytes, 0}};
    return false;
}

size_t uri_find(const struct uri_reading *reading, struct uri_part part, char c)
{
    const char *found = memchr(reading->bytes + part.from, c, part.to - part.from);

    return found != NULL ? (size_t)(found - reading->bytes) : part.to;
}

bool uri_starts_with(const struct uri_reading *reading, struct uri_part part, const char *prefix)
{
    size_t length = strlen(prefix);

    return part.to - part.from >= length && memcmp(reading->bytes + part.from, prefix, length) == 0;
}

struct word {
    size_t maximum; /* bytes, once decoded; one is the minimum of all */
    bool (*allows)(char c);
    bool escapes; /* are decoded (rule L4) */
    enum uri_error wrong;
    enum uri_error missing;  /* where it is not the same as `wrong` */
    enum uri_error too_long; /* likewise */
};

static bool is_any(char c)
{
    (void)c;
    return true;
}

bool uri_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_octal_digit(char c)
{
    return c >= '0' && c <= '7';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool uri_is_service_byte(char c)
{
    return is_letter(c) || uri_is_digit(c) || c == '-';
}

/* What an element of LISTEN_FDNAMES may hold, and a field of /etc/passwd. */
static bool is_name_byte(char c)
{
    return c >= ' ' && c <= '~' && c != ':';
}

/* Nothing is decoded here, so a '%' would not mean what the one who wrote it expects. */
static bool is_fd_name_byte(char c)
{
    return is_name_byte(c) && c != '%';
}

/* As the kernel has it for interfaces, less the control bytes that it would take. */
static bool is_interface_byte(char c)
{
    return (unsigned char)c > ' ' && c != 127 && c != '/' && c != ':';
}

/* clang-format off */
static const struct word words[] = {
    [URI_WORD_PORT] = {.maximum = URI_SERVICE_MAX, .allows = uri_is_service_byte,
        .wrong = URI_ERR_PORT, .missing = URI_ERR_PORT_MISSING},
    [URI_WORD_ZONE] = {.maximum = URI_ZONE_MAX, .allows = is_interface_byte, .escapes = true,
        .wrong = URI_ERR_ZONE},
    [URI_WORD_PATH] = {.maximum = URI_PATH_MAX, .allows = is_any, .escapes = true,
        .missing = URI_ERR_PATH_MISSING, .too_long = URI_ERR_PATH_TOO_LONG},
    [URI_WORD_ABSTRACT] = {.maximum = URI_PATH_MAX, .allows = is_any, .escapes = true,
        .missing = URI_ERR_ABSTRACT_EMPTY, .too_long = URI_ERR_PATH_TOO_LONG},
    [URI_WORD_FD] = {.maximum = URI_NAME_MAX, .allows = is_fd_name_byte,
        .wrong = URI_ERR_FD},
    [URI_WORD_NAME] = {.maximum = URI_NAME_MAX, .allows = is_name_byte, .escapes = true,
        .wrong = URI_ERR_OPTION_NAME},
    [URI_WORD_DEVICE] = {.maximum = URI_ZONE_MAX, .allows = is_interface_byte, .escapes = true,
        .wrong = URI_ERR_OPTION_DEVICE},
    [URI_WORD_ACCOUNT] = {.maximum = URI_ACCOUNT_MAX, .allows = is_name_byte, .escapes = true,
        .wrong = URI_ERR_OPTION_ACCOUNT},
    [URI_WORD_NUMBER] = {.maximum = URI_NAME_MAX, .allows = uri_is_digit, .escapes = true,
        .wrong = URI_ERR_OPTION_NUMBER},
    [URI_WORD_MODE] = {.maximum = URI_NAME_MAX, .allows = is_octal_digit, .escapes = true,
        .wrong = URI_ERR_OPTION_MODE},
    [URI_WORD_BOOLEAN] = {.maximum = URI_NAME_MAX, .allows = is_any, .escapes = true,
        .wrong = URI_ERR_OPTION_BOOLEAN},
};
/* clang-format on */

/* Takes one byte from `part`, or the three of an escape, and moves part->from behind them. */
static bool read_byte(
    const struct uri_reading *reading, struct uri_part *part, bool escapes, char *c)
{
    const char *bytes = reading->bytes + part->from;

    if (!escapes || bytes[0] != '%') {
        *c = bytes[0];
        part->from += 1;
        return true;
    }

    bool whole = part->to - part->from >= 3;
    int high = whole ? text_hex_digit(bytes[1]) : -1;
    int low = whole ? text_hex_digit(bytes[2]) : -1;

    if (high < 0 || low < 0)
        return uri_fail(reading, URI_ERR_ESCAPE, part->from);
    if (high == 0 && low == 0)
        return uri_fail(reading, URI_ERR_ESCAPE_NUL, part->from);
    *c = (char)(high * 16 + low);
    part->from += 3;
    return true;
}

bool uri_read_word(const struct uri_reading *reading, struct uri_part part, enum uri_word word,
    char *out, size_t *length)
{
    const struct word *row = &words[word];
    size_t count = 0;

    if (part.from == part.to)
        return uri_fail(reading, row->missing != URI_OK ? row->missing : row->wrong, part.from);
    while (part.from < part.to) {
        size_t at = part.from;
        char c;

        if (!read_byte(reading, &part, row->escapes, &c))
            return false;
        if (!row->allows(c))
            return uri_fail(reading, row->wrong, at);
        if (count == row->maximum)
            return uri_fail(reading, row->too_long != URI_OK ? row->too_long : row->wrong, at);
        out[count++] = c;
    }
    out[count] = '\0';
    *length = count;
    return true;
}

bool uri_fail_word(const struct uri_reading *reading, struct uri_part part, enum uri_word word)
{
    return uri_fail(reading, words[word].wrong, part.from);
}
