/*
 * Fuzzes proto_answer: whatever a master sends, nothing beyond the line is touched and the message
 * is in it; and what the master writes is read as it was meant.
 */
#include "proto.h"
#include "proto_answer.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

enum { MESSAGE_MAX = 4096 };

static char reply_bytes[8 * MESSAGE_MAX];

static void check_answer(char *line, size_t size)
{
    struct proto_answer answer;
    if (!proto_answer_read(line, size, &answer))
        return;
    const char *end = answer.message.bytes + answer.message.length;
    CHECK(answer.message.bytes > line && end < line + size);
}

/* Bytes that are no UTF-8 are replaced on the way, and are no longer what they were. */
static void check_way_back(const char *bytes, size_t size)
{
    struct text_span message = {bytes, size < MESSAGE_MAX ? size : MESSAGE_MAX};
    struct proto_id id = {.type = PROTO_INTEGER, .length = 1, .bytes = "1"};
    struct proto_answer answer;
    struct text reply;
    if (!proto_can_send(message))
        return;
    text_init(&reply, reply_bytes, sizeof reply_bytes);
    proto_add_reply(&reply, message, &id, size % 2, size % 3 == 0);
    CHECK(proto_answer_read(reply.bytes, reply.length - 1, &answer));
    CHECK(answer.message.length == message.length);
    CHECK(memcmp(answer.message.bytes, message.bytes, message.length) == 0);
    CHECK(!answer.foreign && answer.wait == (size % 2) && answer.error == (size % 3 == 0));
}

/* Rules: K1 K5 I10 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size > 0 ? size : 1); /* so that reading beyond it is noticed */
    CHECK(line != NULL);
    if (size > 0)
        memcpy(line, data, size);
    check_way_back(line, size);
    check_answer(line, size);
    free(line);
    return 0;
}
