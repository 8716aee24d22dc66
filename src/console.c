#include "console.h"

#include <errno.h>

/* A reader that is slow is waited for, one that does not read at all for a second. */
enum { PAUSE_MS = 10, PAUSES_MAX = 100 };

static bool write_all(struct os *os, struct os_output *output, const char *bytes, size_t length)
{
    size_t at = 0;
    for (int pauses = 0; at < length && pauses < PAUSES_MAX;) {
        ssize_t written = os->output_write(os, output, bytes + at, length - at);
        if (written > 0) {
            at += (size_t)written;
            pauses = 0;
        } else if (written == -EAGAIN) {
            os->pause_ms(os, PAUSE_MS);
            pauses++;
        } else {
            break;
        }
    }
    return at == length;
}

static void flush_all(struct os *os, struct os_output *output)
{
    for (int pauses = 0; pauses < PAUSES_MAX && os->output_flush(os, output) == -EAGAIN; pauses++)
        os->pause_ms(os, PAUSE_MS);
}

static void write_parts(struct os *os, int fd, const struct text_span *parts, size_t count)
{
    struct os_output output;
    if (os->output_open(os, fd, &output) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (!write_all(os, &output, parts[i].bytes, parts[i].length))
            break;
    flush_all(os, &output);
    os->output_close(os, &output);
}

void console_print(struct os *os, int fd, const struct text *text)
{
    const struct text_span parts[] = {{text->bytes, text->length}};
    write_parts(os, fd, parts, 1);
}

void console_complain(struct os *os, const struct text *text)
{
    const struct text_span parts[] = {
        text_span_of("socketmaster: "), {text->bytes, text->length}, text_span_of("\n")};
    write_parts(os, CONSOLE_ERROR, parts, 3);
}
