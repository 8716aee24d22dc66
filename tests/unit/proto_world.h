/*
 * proto_world: what the tests of proto share: one request and its storage.
 */
#ifndef SOCKETMASTER_TEST_PROTO_WORLD_H
#define SOCKETMASTER_TEST_PROTO_WORLD_H

#include <string.h>

#include "proto.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct proto_storage storage;
static struct proto_request request;

/* Nothing of the last request may be taken for one of this. */
static inline enum proto_error read_bytes(const char *line, size_t length)
{
    memset(&request, 0xa5, sizeof request);
    memset(&storage, 0xa5, sizeof storage);
    return proto_read(&storage, line, length, &request);
}

static inline enum proto_error read_line(const char *line)
{
    return read_bytes(line, strlen(line));
}

static inline bool id_is(const struct proto_id *id, enum proto_type type, const char *text)
{
    return id->type == type && text_span_is((struct text_span){id->bytes, id->length}, text);
}

#endif
