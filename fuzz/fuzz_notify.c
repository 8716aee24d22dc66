/*
 * Fuzzes notify_message: a message says what its lines say, found here in another way, and a status
 * that is shown is short, whole and without any control character.
 *
 * The first byte is the room that there is for the status, the rest is the datagram.
 */
#include "notify_message.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

enum { SHOWN_SIZE = 256 };

/* Is this one of the lines? */
static bool has_line(const char *bytes, size_t length, const char *line)
{
    size_t wanted = strlen(line);
    for (size_t at = 0; at + wanted <= length; at++) {
        bool begins = at == 0 || bytes[at - 1] == '\n' || bytes[at - 1] == '\r';
        size_t end = at + wanted;
        bool ends = end == length || bytes[end] == '\n' || bytes[end] == '\r';
        if (begins && ends && memcmp(bytes + at, line, wanted) == 0)
            return true;
    }
    return false;
}

static void check_status(const struct notify_message *message, const char *bytes, size_t length)
{
    const char *status = message->status.bytes;
    size_t size = message->status.length;
    CHECK(status >= bytes + 7 && status + size <= bytes + length);
    CHECK(memcmp(status - 7, "STATUS=", 7) == 0);
    CHECK(memchr(status, '\n', size) == NULL && memchr(status, '\r', size) == NULL);
}

static void check_shown(struct text_span status, size_t size)
{
    char buffer[SHOWN_SIZE];
    struct text text;
    text_init(&text, buffer, size);
    notify_message_add_status(status, &text);
    CHECK(!text.overflow && text.length < size && strlen(buffer) == text.length);
    for (size_t at = 0; at < text.length;) {
        size_t length = text_utf8_length(buffer + at, text.length - at);
        unsigned char first = (unsigned char)buffer[at];
        CHECK(length > 0 && first >= ' ' && first != 0x7f);
        CHECK(first != 0xc2 || (unsigned char)buffer[at + 1] >= 0xa0);
        at += length;
    }
    /* What is missing found no room: a character has 4 bytes at most. */
    CHECK(text.length + 4 >= size || text.length >= status.length / 4);
}

/* Rules: R3 I10 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notify_message message;
    if (size == 0)
        return 0;
    size_t length = size - 1;
    char *bytes = malloc(length > 0 ? length : 1); /* so that reading beyond it is noticed */
    CHECK(bytes != NULL);
    memcpy(bytes, data + 1, length);

    memset(&message, 0xa5, sizeof message);
    bool counts = notify_message_read(bytes, length, &message);
    if (length > 0 && bytes[length - 1] == '\0')
        length--;
    CHECK(counts == (memchr(bytes, '\0', length) == NULL));
    CHECK(message.ready == (counts && has_line(bytes, length, "READY=1")));
    CHECK(message.stopping == (counts && has_line(bytes, length, "STOPPING=1")));
    CHECK(message.has_extend || message.extend_ms == 0);
    CHECK(message.extend_ms <= UINT64_MAX / 1000 + 1);
    CHECK(counts || !(message.has_extend || message.has_status));
    if (message.has_status) {
        check_status(&message, bytes, length);
        check_shown(message.status, 1 + data[0] % SHOWN_SIZE);
    }
    free(bytes);
    return 0;
}
