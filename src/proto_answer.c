#include "proto_answer.h"

#include <string.h>

#include "proto_json.h"

/* --- questions --- */

static void add_string(struct text *text, struct text_span span)
{
    text_add_char(text, '"');
    proto_json_add(text, span);
    text_add_char(text, '"');
}

void proto_add_question(struct text *text, const struct proto_question *question)
{
    text_add(text, "{\"id\": 1, \"command\": ");
    add_string(text, text_span_of(question->command));
    if (question->arg_count > 0) {
        text_add(text, ", \"args\": [");
        for (size_t i = 0; i < question->arg_count; i++) {
            if (i > 0)
                text_add(text, ", ");
            add_string(text, question->args[i]);
        }
        text_add_char(text, ']');
    }
    if (question->wait)
        text_add(text, ", \"wait\": true");
    if (question->generation > 0) {
        text_add(text, ", \"generation\": ");
        text_add_unsigned(text, question->generation);
    }
    text_add(text, "}\n");
}

bool proto_can_send(struct text_span text)
{
    for (size_t at = 0; at < text.length;) {
        size_t length = text_utf8_length(text.bytes + at, text.length - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* --- answers --- */

/* A line on its way through. What is unescaped never needs more room than it had. */
struct reader {
    char *bytes;
    size_t length;
    size_t at;  /* of the next byte to read */
    size_t put; /* where the next byte of an unescaped string goes; never beyond `at` */
};

/* NUL at the end, which is in no line of JSON either. */
static char look(const struct reader *reader)
{
    return reader->at < reader->length ? reader->bytes[reader->at] : '\0';
}

static bool is_one_of(char c, const char *characters)
{
    return c != '\0' && strchr(characters, c) != NULL;
}

static void skip_blanks(struct reader *reader)
{
    while (is_one_of(look(reader), " \t\r"))
        reader->at++;
}

/* Reads over one character that stands between values, and blanks around it. */
static bool take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (look(reader) != c)
        return false;
    reader->at++;
    skip_blanks(reader);
    return true;
}

/* The number of four hexadecimal digits, or -1. */
static int read_hex(struct reader *reader)
{
    int number = 0;
    for (int i = 0; i < 4; i++) {
        int digit = text_hex_digit(look(reader));
        if (digit < 0)
            return -1;
        number = number << 4 | digit;
        reader->at++;
    }
    return number;
}

static void put(struct reader *reader, unsigned byte)
{
    reader->bytes[reader->put++] = (char)byte;
}

static void put_code_point(struct reader *reader, unsigned code)
{
    if (code < 0x80) {
        put(reader, code);
        return;
    }
    if (code < 0x800) {
        put(reader, 0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(reader, 0xe0 | code >> 12);
        } else {
            put(reader, 0xf0 | code >> 18);
            put(reader, 0x80 | (code >> 12 & 0x3f));
        }
        put(reader, 0x80 | (code >> 6 & 0x3f));
    }
    put(reader, 0x80 | (code & 0x3f));
}

/* The second half of two escapes that stand for one character, or -1; then nothing was read. */
static int read_low_half(struct reader *reader)
{
    struct reader ahead = *reader;
    if (look(&ahead) != '\\')
        return -1;
    ahead.at++;
    if (look(&ahead) != 'u')
        return -1;
    ahead.at++;
    int number = read_hex(&ahead);
    if (number < 0xdc00 || number > 0xdfff)
        return -1;
    reader->at = ahead.at;
    return number;
}

/* What follows "\u". One half without the other becomes U+FFFD. */
static bool read_code_point(struct reader *reader)
{
    enum { REPLACEMENT = 0xfffd };
    int number = read_hex(reader);
    if (number < 0)
        return false;
    if (number >= 0xd800 && number <= 0xdfff) {
        int low = number < 0xdc00 ? read_low_half(reader) : -1;
        number = low < 0 ? REPLACEMENT : 0x10000 + ((number - 0xd800) * 0x400 + low - 0xdc00);
    }
    put_code_point(reader, (unsigned)number);
    return true;
}

static bool read_escape(struct reader *reader)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char letter = look(reader);
    reader->at++;
    if (letter == 'u')
        return read_code_point(reader);
    if (!is_one_of(letter, letters))
        return false;
    put(reader, (unsigned char)meanings[strchr(letters, letter) - letters]);
    return true;
}

/* A string, in the place of its escaped form. */
static bool read_string(struct reader *reader, struct text_span *string)
{
    if (look(reader) != '"')
        return false;
    reader->at++;
    reader->put = reader->at;
    size_t start = reader->at;
    while (look(reader) != '"') {
        if (reader->at == reader->length)
            return false;
        char c = reader->bytes[reader->at++];
        if (c != '\\')
            put(reader, (unsigned char)c);
        else if (!read_escape(reader))
            return false;
    }
    reader->at++;
    *string = (struct text_span){reader->bytes + start, reader->put - start};
    return true;
}

/* A list or a mapping of whatever depth, whose value does not matter. */
static bool skip_nested(struct reader *reader)
{
    size_t depth = 0;
    do {
        struct text_span ignored;
        char c = look(reader);
        if (c == '"') {
            if (!read_string(reader, &ignored))
                return false;
            continue;
        }
        if (reader->at == reader->length)
            return false;
        reader->at++;
        if (is_one_of(c, "[{"))
            depth++;
        else if (is_one_of(c, "]}"))
            depth--;
    } while (depth > 0);
    return true;
}

enum kind { STRING, NESTED, WORD /* a number, true, false, null */ };

static bool read_value(struct reader *reader, enum kind *kind, struct text_span *value)
{
    char first = look(reader);
    *kind = first == '"' ? STRING : is_one_of(first, "[{") ? NESTED : WORD;
    if (*kind == STRING)
        return read_string(reader, value);
    size_t start = reader->at;
    if (*kind == NESTED)
        return skip_nested(reader);
    while (reader->at < reader->length && !is_one_of(look(reader), ",]} \t\r"))
        reader->at++;
    *value = (struct text_span){reader->bytes + start, reader->at - start};
    return value->length > 0;
}

/* An id that is no string and not that of the question. */
static bool is_foreign(struct text_span id)
{
    return !text_span_is(id, "1") && !text_span_is(id, "null");
}

/* One key and its value. */
static bool read_pair(struct reader *reader, struct proto_answer *answer)
{
    struct text_span key, value = {"", 0};
    enum kind kind;
    if (!read_string(reader, &key) || !take(reader, ':') || !read_value(reader, &kind, &value))
        return false;
    bool is_true = kind == WORD && text_span_is(value, "true");
    if (text_span_is(key, "message") && kind == STRING)
        answer->message = value;
    else if (text_span_is(key, "request_id"))
        answer->foreign = kind != WORD || is_foreign(value);
    else if (text_span_is(key, "wait"))
        answer->wait = is_true;
    else if (text_span_is(key, "error"))
        answer->error = is_true;
    return true;
}

bool proto_answer_read(char *line, size_t length, struct proto_answer *answer)
{
    struct reader reader = {.bytes = line, .length = length};
    *answer = (struct proto_answer){.message = {NULL, 0}};
    if (!take(&reader, '{'))
        return false;
    do {
        if (!read_pair(&reader, answer))
            return false;
    } while (take(&reader, ','));
    return take(&reader, '}') && reader.at == reader.length && answer->message.bytes != NULL;
}
