/*
 * Fuzzes proto: whatever a line holds, what is read of it is within its limits and comes out the
 * same each time; and a reply that has the line as its message is JSON, says the same to a YAML
 * reader, and holds nothing that a URL decoder would change.
 *
 * The input is the line; its length says what kind of reply there is.
 */
#include "proto.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

enum { MESSAGE_MAX = 4096 };

static struct proto_storage storage;
static struct proto_request request, again;
static char reply_bytes[8 * MESSAGE_MAX];

/* --- requests --- */

static void check_span(struct text_span span)
{
    const char *end = storage.texts + sizeof storage.texts;
    if (span.length > 0)
        CHECK(span.bytes >= storage.texts && span.bytes + span.length < end);
}

static void check_id(const struct proto_id *id)
{
    CHECK(id->type != PROTO_NESTED && id->length <= PROTO_ID_MAX);
    CHECK(id->type != PROTO_NONE || id->length == 0);
}

static void check_request(enum proto_error error)
{
    check_id(&request.id);
    check_id(&request.request_id);
    check_span(request.command);
    check_span(request.user);
    CHECK(request.pid >= 0 && request.pid <= INT32_MAX);
    CHECK(request.arg_count <= PROTO_ARGS_MAX);
    if (request.args == PROTO_ARGS_LIST)
        for (size_t i = 0; i < request.arg_count; i++)
            check_span(request.arg[i]);
    if (request.args == PROTO_ARGS_WITH_OTHER)
        CHECK(request.other != PROTO_TEXT && request.other != PROTO_NESTED);
    CHECK(error != PROTO_OK || request.has_command);
    CHECK(error != PROTO_NO_COMMAND || !request.has_command);
    CHECK((error == PROTO_SYNTAX) == (request.problem != NULL));
    CHECK(error != PROTO_MEMORY);
    if (error >= PROTO_LONG_LINE)
        CHECK(!request.has_command && request.id.type == PROTO_NONE && request.arg_count == 0);

    char words[1024];
    struct text text;
    text_init(&text, words, sizeof words);
    if (error != PROTO_OK)
        proto_add_error(&text, error, &request);
    CHECK((text.length > 0) == (error != PROTO_OK) && !text.overflow);
    text_init(&text, words, sizeof words);
    CHECK(proto_check_args(&request, &text) == (text.length == 0));
}

/* --- replies, read as strictly as JSON may be --- */

static const char *at;

static void expect(const char *string)
{
    CHECK(strncmp(at, string, strlen(string)) == 0);
    at += strlen(string);
}

static void add_character(struct text *text, unsigned code)
{
    if (code >= 0x800)
        text_add_char(text, (char)(0xe0 | code >> 12));
    if (code >= 0x80)
        text_add_char(text, (char)(code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6));
    text_add_char(text, (char)(code >= 0x80 ? 0x80 | (code & 0x3f) : code));
}

static void read_escape(struct text *text)
{
    static const char letters[] = "\"\\nu";
    CHECK(*at != '\0' && strchr(letters, *at) != NULL);
    char letter = *at++;
    if (letter != 'u') {
        text_add_char(text, letter == 'n' ? '\n' : letter);
        return;
    }
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = text_hex_digit(*at++);
        CHECK(digit >= 0);
        code = code * 16 + (unsigned)digit;
    }
    CHECK(code < 0xd800 || code > 0xdfff);
    add_character(text, code);
}

static void read_string(struct text *text)
{
    expect("\"");
    while (*at != '"') {
        size_t length = text_utf8_length(at, strlen(at));
        CHECK(length == 4 || (length == 1 && *at >= ' ' && *at < 0x7f));
        CHECK(*at != '%' && *at != '+');
        if (*at == '\\') {
            at++;
            read_escape(text);
        } else {
            text_add_bytes(text, at, length);
            at += length;
        }
    }
    at++;
}

/* What is no UTF-8 is replaced, byte for byte. */
static void add_repaired(struct text *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_length(bytes + i, size - i);
        if (length == 0)
            text_add(text, "\xef\xbf\xbd");
        else
            text_add_bytes(text, bytes + i, length);
        i += length == 0 ? 1 : length;
    }
}

static bool same(const struct text *text, struct text_span span)
{
    return text->length == span.length && memcmp(text->bytes, span.bytes, span.length) == 0;
}

static void check_id_of_reply(const struct proto_id *id)
{
    char found[4 * PROTO_ID_MAX], wanted[4 * PROTO_ID_MAX];
    struct text text, repaired;
    text_init(&text, found, sizeof found);
    text_init(&repaired, wanted, sizeof wanted);
    expect(", \"request_id\": ");
    if (id->type == PROTO_TEXT) {
        add_repaired(&repaired, id->bytes, id->length);
        read_string(&text);
        CHECK(same(&repaired, (struct text_span){text.bytes, text.length}));
        return;
    }
    while (*at != ',' && *at != '}')
        text_add_char(&text, *at++);
    CHECK(text.length > 0 && strspn(found, "0123456789.eE-trufals") == text.length);
}

static void check_reply(const char *bytes, size_t size, bool wait)
{
    static char found[4 * MESSAGE_MAX], wanted[4 * MESSAGE_MAX];
    struct text_span message = {bytes, size < MESSAGE_MAX ? size : MESSAGE_MAX};
    struct proto_id id = request.id;
    struct text reply, text, repaired;
    text_init(&reply, reply_bytes, proto_reply_bound(message.length));
    proto_add_reply(&reply, message, &id, wait, false);
    CHECK(!reply.overflow && strlen(reply_bytes) == reply.length);

    text_init(&text, found, sizeof found);
    text_init(&repaired, wanted, sizeof wanted);
    add_repaired(&repaired, message.bytes, message.length);
    at = reply_bytes;
    expect("{\"message\": ");
    read_string(&text);
    CHECK(same(&repaired, (struct text_span){text.bytes, text.length}));
    if (id.type != PROTO_NONE)
        check_id_of_reply(&id);
    if (wait)
        expect(", \"wait\": true");
    expect("}\n");
    CHECK(*at == '\0');

    /* With another name it is a request, so libyaml can tell what it says. */
    memcpy(reply_bytes + 2, "command", 7);
    CHECK(proto_read(&storage, reply.bytes, reply.length, &again) == PROTO_OK);
    CHECK(same(&repaired, again.command) && again.wait == wait);
    CHECK(again.request_id.type == id.type);
}

/* Rules: K1 I11 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size > 0 ? size : 1); /* so that reading beyond it is noticed */
    CHECK(line != NULL);
    if (size > 0)
        memcpy(line, data, size);

    memset(&again, 0xa5, sizeof again);
    enum proto_error error = proto_read(&storage, line, size, &again);
    memset(&request, 0x5a, sizeof request);
    CHECK(proto_read(&storage, line, size, &request) == error);
    CHECK(memcmp(&request, &again, offsetof(struct proto_request, arg)) == 0);
    check_request(error);
    /* An id of bytes that are no UTF-8 grows when they are replaced, and may then be too long. */
    if (request.id.length <= PROTO_ID_MAX / 3)
        check_reply(line, size, size % 2);
    free(line);
    return 0;
}
