#include "console.h"

static bool write_all(struct os *os, struct os_output *output, const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        ssize_t written = os->output_write(os, output, bytes + at, length - at);
        if (written <= 0)
            return false;
        at += (size_t)written;
    }
    return true;
}

static void write_parts(struct os *os, int fd, const struct text_span *parts, size_t count)
{
    struct os_output output;
    if (os->output_open(os, fd, &output) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (!write_all(os, &output, parts[i].bytes, parts[i].length))
            break;
    os->output_flush(os, &output);
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
