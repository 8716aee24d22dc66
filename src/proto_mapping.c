/*
 * proto_mapping: a mapping that is itself a text: the arguments of `config`.
 *
 * Owns: Ruby's symbols in it. Leaves to others: which keys there are.
 */
#include "proto.h"

#include "proto_reader.h"
#include "proto_scalar.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Joins the parts, without the colons that keys begin with: libyaml does not take them within
 * braces. What is in quotes may lose one too, where it is no key; no value that counts has any. */
static void join(struct text *text, const struct text_span *parts, size_t count)
{
    bool key_begins = true;

    for (size_t part = 0; part < count; part++) {
        if (part > 0)
            text_add_char(text, ' ');
        for (size_t at = 0; at < parts[part].length; at++) {
            char c = parts[part].bytes[at];
            if (!key_begins || c != ':')
                text_add_char(text, c);
            key_begins = c == '{' || c == ',' || (key_begins && is_blank(c));
        }
    }
}

static void read_pair(
    struct proto_reader *reader, const struct proto_node *key, struct proto_pair *pair)
{
    struct proto_node node;

    proto_reader_skip(reader, key);
    proto_reader_next(reader, &node);
    proto_reader_skip(reader, &node);
    *pair = (struct proto_pair){.key = key->text, .type = PROTO_NESTED};
    if (pair->key.length > 0 && pair->key.bytes[0] == ':') {
        pair->key.bytes++;
        pair->key.length--;
    }
    if (node.kind == PROTO_NODE_SCALAR) {
        pair->type = proto_scalar_type(node.text, node.quoted);
        pair->value = node.text;
    }
}

enum proto_error proto_read_mapping(struct proto_storage *storage, const struct text_span *parts,
    size_t part_count, struct proto_pair *pairs, size_t size, size_t *count)
{
    struct proto_reader reader;
    struct proto_node node;
    struct proto_pair passed_over;
    struct text text;

    /* The reader takes it from there before it puts anything there. */
    text_init(&text, storage->texts, sizeof storage->texts);
    join(&text, parts, part_count);
    if (text.overflow)
        return PROTO_LONG_LINE;
    if (!proto_reader_open(&reader, storage, text.bytes, text.length))
        return PROTO_MEMORY;
    *count = 0;
    proto_reader_next(&reader, &node);
    if (node.kind != PROTO_NODE_MAPPING)
        proto_reader_fail(&reader, PROTO_NO_MAPPING);
    for (proto_reader_next(&reader, &node); node.kind != PROTO_NODE_END;
         proto_reader_next(&reader, &node)) {
        bool fits = *count < size;
        read_pair(&reader, &node, fits ? &pairs[*count] : &passed_over);
        if (fits)
            (*count)++;
        else
            proto_reader_fail(&reader, PROTO_MANY_ARGS);
    }
    proto_reader_next(&reader, &node);
    if (node.kind != PROTO_NODE_END)
        proto_reader_fail(&reader, PROTO_DOCUMENTS);
    proto_reader_close(&reader);
    return reader.error;
}
