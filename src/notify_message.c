#include "notify_message.h"

#include <string.h>

/* Does the line begin with this key? Then *value is the rest of it. */
static bool take_key(struct text_span line, const char *key, struct text_span *value)
{
    size_t length = strlen(key);
    if (line.length < length || memcmp(line.bytes, key, length) != 0)
        return false;
    *value = (struct text_span){line.bytes + length, line.length - length};
    return true;
}

static void read_extension(struct text_span value, struct notify_message *message)
{
    uint64_t us;
    if (message->has_extend || !text_read_number(value.bytes, value.length, 10, UINT64_MAX, &us))
        return;
    message->has_extend = true;
    message->extend_ms = us / 1000 + (us % 1000 > 0);
}

static void read_line(struct text_span line, struct notify_message *message)
{
    struct text_span value;
    if (text_span_is(line, "READY=1")) {
        message->ready = true;
    } else if (text_span_is(line, "STOPPING=1")) {
        message->stopping = true;
    } else if (take_key(line, "EXTEND_TIMEOUT_USEC=", &value)) {
        read_extension(value, message);
    } else if (take_key(line, "STATUS=", &value) && !message->has_status) {
        message->has_status = true;
        message->status = value;
    }
}

bool notify_message_read(const char *bytes, size_t length, struct notify_message *message)
{
    *message = (struct notify_message){.ready = false};
    if (length > 0 && bytes[length - 1] == '\0')
        length--;
    if (memchr(bytes, '\0', length) != NULL)
        return false;
    size_t start = 0;
    for (size_t end = 0; end <= length; end++) {
        if (end < length && bytes[end] != '\n' && bytes[end] != '\r')
            continue;
        read_line((struct text_span){bytes + start, end - start}, message);
        start = end + 1;
    }
    return true;
}

/* Those of ASCII, and those that stand behind the first byte 0xc2. */
static bool is_control(const unsigned char *character, size_t length)
{
    if (length == 1)
        return character[0] < ' ' || character[0] == 0x7f;
    return character[0] == 0xc2 && character[1] < 0xa0;
}

void notify_message_add_status(struct text_span status, struct text *text)
{
    size_t room = text->size - text->length - 1;
    for (size_t at = 0; at < status.length;) {
        const char *character = status.bytes + at;
        size_t length = text_utf8_length(character, status.length - at);
        bool shown = length > 0 && !is_control((const unsigned char *)character, length);
        size_t needed = shown ? length : 1;
        if (needed > room)
            return;
        room -= needed;
        at += length == 0 ? 1 : length;
        if (shown)
            text_add_bytes(text, character, length);
        else
            text_add_char(text, '?');
    }
}
