#include "client_output.h"

#include <errno.h>
#include <string.h>

#include "envp.h"

enum { CHUNK_SIZE = 4096, CHARACTER_MAX = 8 };

/* --- writing --- */

/* Waits until the reader takes more. */
static int wait_for_reader(struct client_output *output)
{
    struct os *os = output->os;
    struct os_ready ready;
    int set = os->watch_open(os);
    if (set < 0)
        return set;
    int error = os->watch_add(os, set, output->output.fd, 0, false, true);
    if (error == 0) {
        int found = os->watch_wait(os, set, &ready, 1, -1);
        error = found < 0 ? found : 0;
    }
    (void)os->close(os, set);
    return error;
}

/* What a step came to: true where there is something left to do. */
static bool go_on(struct client_output *output, ssize_t result)
{
    if (result == -EAGAIN)
        result = wait_for_reader(output);
    if (result < 0)
        output->error = (int)result;
    return result >= 0;
}

static void write_all(struct client_output *output, const char *bytes, size_t length)
{
    struct os *os = output->os;
    for (size_t at = 0; at < length && output->error == 0;) {
        ssize_t written = os->output_write(os, &output->output, bytes + at, length - at);
        if (written == 0)
            written = -EIO; /* no write(2) does that, and it must not be asked again for ever */
        if (go_on(output, written) && written > 0)
            at += (size_t)written;
    }
    while (output->error == 0) {
        int flushed = os->output_flush(os, &output->output);
        if (!go_on(output, flushed) || flushed == 0)
            break;
    }
}

void client_output_write(struct client_output *output, struct text_span text)
{
    write_all(output, text.bytes, text.length);
}

static void write_text(struct client_output *output, const struct text *text)
{
    write_all(output, text->bytes, text->length);
}

/* --- what it is --- */

static bool is_set(char *const *environment, const char *name)
{
    const char *value = envp_find(environment, name);
    return value != NULL && value[0] != '\0';
}

void client_output_open(
    struct client_output *output, struct os *os, int fd, char *const *environment)
{
    const char *kind = envp_find(environment, "TERM");
    *output =
        (struct client_output){.os = os, .fd = fd, .columns = CLIENT_COLUMNS, .rows = CLIENT_ROWS};
    output->error = os->output_open(os, fd, &output->output);
    output->terminal =
        output->error == 0 && os->is_terminal(os, fd) && kind != NULL && strcmp(kind, "dumb") != 0;
    output->colour = output->terminal && !is_set(environment, "NO_COLOR");
    client_output_measure(output);
}

void client_output_close(struct client_output *output)
{
    if (output->output.kind != OS_OUTPUT_CLOSED)
        output->os->output_close(output->os, &output->output);
}

void client_output_measure(struct client_output *output)
{
    unsigned columns, rows;
    if (!output->terminal || output->os->terminal_size(output->os, output->fd, &columns, &rows) < 0)
        return;
    output->columns = columns > 0 ? columns : CLIENT_COLUMNS;
    output->rows = rows > 0 ? rows : CLIENT_ROWS;
}

/* --- printing --- */

static bool ends_a_line(struct text_span text)
{
    return text.length > 0 && text.bytes[text.length - 1] == '\n';
}

void client_output_print(struct client_output *output, struct text_span text)
{
    write_all(output, text.bytes, text.length);
    if (!ends_a_line(text))
        write_all(output, "\n", 1);
}

/* Control characters of ASCII and of Latin-1, whose bytes in UTF-8 are 0xc2 and themselves. */
static bool is_harmless(const char *character, size_t length)
{
    unsigned char first = (unsigned char)character[0];
    if (length == 1)
        return (first >= ' ' && first != 0x7f) || first == '\n' || first == '\t';
    return length > 2 || (length == 2 && (first != 0xc2 || (unsigned char)character[1] >= 0xa0));
}

void client_output_print_safely(struct client_output *output, struct text_span text)
{
    char buffer[CHUNK_SIZE];
    struct text chunk;
    if (!output->terminal) {
        client_output_print(output, text);
        return;
    }
    text_init(&chunk, buffer, sizeof buffer);
    for (size_t at = 0; at < text.length;) {
        const char *character = text.bytes + at;
        size_t length = text_utf8_length(character, text.length - at);
        if (is_harmless(character, length))
            text_add_bytes(&chunk, character, length);
        else
            text_add_escaped(&chunk, character, length > 0 ? length : 1);
        at += length > 0 ? length : 1;
        if (chunk.length + CHARACTER_MAX >= sizeof buffer) {
            write_text(output, &chunk);
            text_init(&chunk, buffer, sizeof buffer);
        }
    }
    if (!ends_a_line(text))
        text_add_char(&chunk, '\n');
    write_text(output, &chunk);
}

/* --- the screen --- */

static const char clear_screen[] = "\x1b[H\x1b[2J";
static const char home[] = "\x1b[H";
static const char end_line[] = "\x1b[K\n"; /* clears what the last text had there */
static const char clear_rest[] = "\x1b[J";

/* The length of a text's first line, without its newline. */
static size_t line_length(struct text_span text)
{
    const char *newline = memchr(text.bytes, '\n', text.length);
    return newline != NULL ? (size_t)(newline - text.bytes) : text.length;
}

static size_t count_lines(struct text_span text)
{
    size_t count = 0;
    while (text.length > 0) {
        size_t length = line_length(text);
        length += length < text.length;
        text.bytes += length;
        text.length -= length;
        count++;
    }
    return count;
}

/* The cursor stays below the last line, where a shell goes on: so there is nothing to put back when
 * a signal ends the program at whatever moment. */
static void draw_lines(struct client_output *output, struct text_span text)
{
    size_t lines = count_lines(text);
    size_t room = output->rows > 2 ? output->rows - 2 : 1; /* for a last word, and the cursor */
    size_t shown = lines > room + 1 ? room : lines;
    for (size_t i = 0; i < shown; i++) {
        size_t length = line_length(text);
        write_all(output, text.bytes, length);
        write_all(output, end_line, strlen(end_line));
        length += length < text.length;
        text.bytes += length;
        text.length -= length;
    }
    if (shown < lines) {
        char buffer[64];
        struct text more;
        text_init(&more, buffer, sizeof buffer);
        text_add(&more, "... ");
        text_add_unsigned(&more, lines - shown);
        text_add(&more, " more lines");
        text_add(&more, end_line);
        write_text(output, &more);
    }
}

void client_output_draw(struct client_output *output, struct text_span text)
{
    if (!output->terminal) {
        if (output->drawn)
            write_all(output, "\n", 1);
        client_output_print(output, text);
    } else {
        const char *begin = output->drawn ? home : clear_screen;
        write_all(output, begin, strlen(begin));
        draw_lines(output, text);
        write_all(output, clear_rest, strlen(clear_rest));
    }
    output->drawn = true;
}
