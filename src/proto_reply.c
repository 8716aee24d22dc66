/*
 * proto_reply: what goes back to a client.
 *
 * Owns: a reply's bytes, and the words for what is wrong with a request.
 */
#include "proto.h"

#include "proto_json.h"
#include "proto_scalar.h"

static const char begin[] = "{\"message\": \"";
static const char between[] = "\", \"request_id\": ";
static const char more[] = ", \"wait\": true";
static const char failed[] = ", \"error\": true";
static const char finish[] = "}\n";

static void add_id(struct text *text, const struct proto_id *id)
{
    struct text_span span = {id->bytes, id->length};

    if (id->type == PROTO_BOOLEAN) {
        text_add(text, proto_scalar_is_true(span) ? "true" : "false");
    } else if (id->type == PROTO_TEXT) {
        text_add_char(text, '"');
        proto_json_add(text, span);
        text_add_char(text, '"');
    } else {
        /* A number says the same without the plus sign of its exponent. */
        for (size_t i = 0; i < id->length; i++)
            if (id->bytes[i] != '+')
                text_add_char(text, id->bytes[i]);
    }
}

void proto_add_reply(
    struct text *text, struct text_span message, const struct proto_id *id, bool wait, bool error)
{
    text_add(text, begin);
    proto_json_add(text, message);
    if (id != NULL && id->type != PROTO_NONE) {
        text_add(text, between);
        add_id(text, id);
    } else {
        text_add_char(text, '"');
    }
    if (wait)
        text_add(text, more);
    if (error)
        text_add(text, failed);
    text_add(text, finish);
}

size_t proto_reply_bound(size_t message_length)
{
    /* Each of the five counts its NUL, where one NUL and the two quotes of an id are needed. */
    size_t frame = sizeof begin + sizeof between + sizeof more + sizeof failed + sizeof finish - 2;
    return PROTO_JSON_EXPANSION * (message_length + PROTO_ID_MAX) + frame;
}

/* --- words --- */

#define UNREADABLE "Could not parse command: "

_Static_assert(PROTO_ID_MAX == 255 && PROTO_LINE_MAX == 65536 && PROTO_ARGS_MAX == 1024,
    "the words name the limits");
static const char *const error_words[] = {
    [PROTO_NO_COMMAND] = "No \"command\" parameter provided; not sure what you want me to do.",
    [PROTO_LONG_ID] = "Invalid request: an id is longer than 255 bytes",
    [PROTO_WAIT] = "Invalid request: \"wait\" must be true or false",
    [PROTO_GENERATION] = "Invalid request: \"generation\" must be a number from 1",
    [PROTO_LONG_LINE] = UNREADABLE "longer than 65536 bytes",
    [PROTO_SYNTAX] = UNREADABLE,
    [PROTO_NO_MAPPING] = UNREADABLE "not a mapping",
    [PROTO_DEEP] = UNREADABLE "nested too deeply",
    [PROTO_DOCUMENTS] = UNREADABLE "more than one document",
    [PROTO_REFERENCE] = UNREADABLE "anchors, aliases, tags and directives are not understood",
    [PROTO_LONG_TEXT] = UNREADABLE "longer than 65536 bytes when unescaped",
    [PROTO_MANY_ARGS] = UNREADABLE "more than 1024 args",
    [PROTO_MEMORY] = UNREADABLE "out of memory",
};

void proto_add_error(struct text *text, enum proto_error error, const struct proto_request *request)
{
    text_add(text, error_words[error]);
    if (error == PROTO_SYNTAX)
        text_add(text, request->problem);
}

/* Ruby's name of the class of a value, and how Ruby shows it. */
static void add_class(struct text *text, enum proto_type type, struct text_span value)
{
    static const char *const classes[] = {
        [PROTO_NONE] = "NilClass",
        [PROTO_INTEGER] = "Integer",
        [PROTO_FLOAT] = "Float",
    };
    if (type == PROTO_BOOLEAN)
        text_add(text, proto_scalar_is_true(value) ? "TrueClass" : "FalseClass");
    else
        text_add(text, classes[type]);
    text_add(text, ", not a string: ");
    if (type == PROTO_NONE)
        text_add(text, "nil");
    else
        text_add_bytes(text, value.bytes, value.length);
}

bool proto_check_args(const struct proto_request *request, struct text *why)
{
    static const char *const words[] = {
        [PROTO_ARGS_NONE] = "No args provided",
        [PROTO_ARGS_LIST] = "",
        [PROTO_ARGS_NO_LIST] = "Args must be an array",
        [PROTO_ARGS_WITH_OTHER] = "Argument is a ",
    };
    text_add(why, words[request->args]);
    if (request->args == PROTO_ARGS_WITH_OTHER)
        add_class(why, request->other, request->other_text);
    return request->args == PROTO_ARGS_LIST;
}
