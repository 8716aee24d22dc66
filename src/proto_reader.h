/*
 * proto_reader: a line of the control socket, node after node.
 *
 * Owns: libyaml, the decoding of %HH, and the limits on what may be in a line. Leaves to others:
 * what the nodes mean.
 */
#ifndef SOCKETMASTER_PROTO_READER_H
#define SOCKETMASTER_PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "proto.h"
#include "text.h"

enum proto_node_kind {
    PROTO_NODE_END, /* of what began last, or of the line; and of everything after an error */
    PROTO_NODE_SCALAR,
    PROTO_NODE_LIST,    /* begins; its entries follow */
    PROTO_NODE_MAPPING, /* begins; a key and a value, each a node, follow in turn */
};

struct proto_node {
    enum proto_node_kind kind;
    struct text_span text; /* of a scalar, in the storage */
    bool quoted;           /* the scalar is not plain: it can only be text */
};

struct proto_reader {
    yaml_parser_t parser;
    struct text texts;
    unsigned depth;         /* of open lists and mappings */
    enum proto_error error; /* the first; PROTO_OK as long as there is none */
    const char *problem;    /* of PROTO_SYNTAX: libyaml's words */
};

/*
 * Begins with a line of at most PROTO_LINE_MAX bytes. The reader must be closed if and only if this
 * returns true; otherwise there is no memory.
 */
bool proto_reader_open(
    struct proto_reader *reader, struct proto_storage *storage, const char *line, size_t length);
void proto_reader_close(struct proto_reader *reader);

/* Reads the next node. One with which something is wrong may still come, and then PROTO_NODE_END
 * for ever. */
void proto_reader_next(struct proto_reader *reader, struct proto_node *node);

/* Reads over what is left of the list or the mapping that `node` began; nothing if it is a scalar.
 */
void proto_reader_skip(struct proto_reader *reader, const struct proto_node *node);

/* Notes an error, unless there is one. */
void proto_reader_fail(struct proto_reader *reader, enum proto_error error);

#endif
