#include "proto_reader.h"

#include <string.h>

/* The byte that a %HH at the beginning of these stands for; -1 if there is none. */
static int escaped_byte(const char *bytes, size_t length)
{
    if (length < 3 || bytes[0] != '%')
        return -1;
    int high = text_hex_digit(bytes[1]);
    int low = text_hex_digit(bytes[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* In one pass: %2525 is %25. */
static void decode(struct text *text, const char *line, size_t length)
{
    for (size_t at = 0; at < length;) {
        int byte = escaped_byte(line + at, length - at);
        text_add_char(text, byte < 0 ? line[at] : (char)byte);
        at += byte < 0 ? 1 : 3;
    }
}

/* Does a line begin at this byte, for YAML 1.1? */
static bool begins_line(const struct text *text, size_t at)
{
    static const char breaks[][4] = {"\n", "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        size_t length = strlen(breaks[i]);
        if (at >= length && memcmp(text->bytes + at - length, breaks[i], length) == 0)
            return true;
    }
    return at == 0;
}

/* libyaml takes any number of directives, in a time that grows with its square. No writer of
 * requests has any, nor begins a line of anything else so. */
static bool has_directive(const struct text *text)
{
    for (size_t at = 0; at < text->length; at++)
        if (text->bytes[at] == '%' && begins_line(text, at))
            return true;
    return false;
}

bool proto_reader_open(
    struct proto_reader *reader, struct proto_storage *storage, const char *line, size_t length)
{
    struct text decoded;
    text_init(&decoded, storage->line, sizeof storage->line);
    decode(&decoded, line, length);

    reader->depth = 0;
    reader->error = has_directive(&decoded) ? PROTO_REFERENCE : PROTO_OK;
    reader->problem = NULL;
    text_init(&reader->texts, storage->texts, sizeof storage->texts);
    if (!yaml_parser_initialize(&reader->parser))
        return false;
    /* Otherwise it would guess, from a mark that a client can send. */
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &reader->parser, (const unsigned char *)decoded.bytes, decoded.length);
    return true;
}

void proto_reader_close(struct proto_reader *reader)
{
    yaml_parser_delete(&reader->parser);
}

void proto_reader_fail(struct proto_reader *reader, enum proto_error error)
{
    if (reader->error == PROTO_OK)
        reader->error = error;
}

static void take_scalar(
    struct proto_reader *reader, const yaml_event_t *event, struct proto_node *node)
{
    const char *value = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    size_t start = reader->texts.length;

    /* Ruby 1.9 marks what it quotes with an exclamation mark, YAML's word for "nothing but text".
     */
    if (event->data.scalar.anchor != NULL || (tag != NULL && strcmp(tag, "!") != 0))
        proto_reader_fail(reader, PROTO_REFERENCE);
    text_add_bytes(&reader->texts, value, event->data.scalar.length);
    if (reader->texts.overflow)
        proto_reader_fail(reader, PROTO_LONG_TEXT);
    node->kind = PROTO_NODE_SCALAR;
    node->text = (struct text_span){reader->texts.bytes + start, reader->texts.length - start};
    node->quoted = tag != NULL || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static void open_nested(struct proto_reader *reader, const unsigned char *anchor,
    const unsigned char *tag, struct proto_node *node, enum proto_node_kind kind)
{
    if (anchor != NULL || tag != NULL)
        proto_reader_fail(reader, PROTO_REFERENCE);
    if (reader->depth == PROTO_DEPTH_MAX)
        proto_reader_fail(reader, PROTO_DEEP);
    reader->depth++;
    node->kind = kind;
}

/* Returns false if nothing has to be told of it. */
static bool take_event(
    struct proto_reader *reader, const yaml_event_t *event, struct proto_node *node)
{
    switch ((int)event->type) { /* of an enum each value would have to be named */
    case YAML_SCALAR_EVENT:
        take_scalar(reader, event, node);
        return true;
    case YAML_SEQUENCE_START_EVENT:
        open_nested(reader, event->data.sequence_start.anchor, event->data.sequence_start.tag, node,
            PROTO_NODE_LIST);
        return true;
    case YAML_MAPPING_START_EVENT:
        open_nested(reader, event->data.mapping_start.anchor, event->data.mapping_start.tag, node,
            PROTO_NODE_MAPPING);
        return true;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return true;
    case YAML_ALIAS_EVENT:
        proto_reader_fail(reader, PROTO_REFERENCE);
        return true;
    default: /* the beginning or the end of a document or of everything */
        return event->type == YAML_STREAM_END_EVENT;
    }
}

void proto_reader_next(struct proto_reader *reader, struct proto_node *node)
{
    bool found = false;

    *node = (struct proto_node){.kind = PROTO_NODE_END};
    while (reader->error == PROTO_OK && !found) {
        yaml_event_t event;
        if (yaml_parser_parse(&reader->parser, &event)) {
            found = take_event(reader, &event, node);
            yaml_event_delete(&event);
        } else {
            /* Not every lack of memory is marked as one, but none has words. */
            bool starved = reader->parser.problem == NULL;
            proto_reader_fail(reader, starved ? PROTO_MEMORY : PROTO_SYNTAX);
            reader->problem = reader->parser.problem;
        }
    }
}

void proto_reader_skip(struct proto_reader *reader, const struct proto_node *node)
{
    struct proto_node inner;
    unsigned depth = reader->depth;

    if (node->kind == PROTO_NODE_LIST || node->kind == PROTO_NODE_MAPPING)
        while (reader->depth >= depth && reader->error == PROTO_OK)
            proto_reader_next(reader, &inner);
}
