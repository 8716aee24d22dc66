/*
 * client_output: standard output or standard error of the client: a terminal, or not.
 *
 * Owns: writing all of a text to a reader that may be slow, what a terminal may and may not get,
 * and the screen of `watch`. Leaves to others: what is written.
 */
#ifndef SOCKETMASTER_CLIENT_OUTPUT_H
#define SOCKETMASTER_CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "os.h"
#include "text.h"

enum {
    CLIENT_STANDARD_OUTPUT = 1,
    CLIENT_STANDARD_ERROR = 2,
    CLIENT_COLUMNS = 80, /* where nobody says how many there are */
    CLIENT_ROWS = 24,
};

struct client_output {
    struct os *os;
    struct os_output output;
    int fd;
    bool terminal; /* one that knows how to move its cursor */
    bool colour;
    bool drawn;       /* the screen is ours */
    unsigned columns; /* of the terminal, as it is now */
    unsigned rows;
    int error; /* 0, or -errno of the first failure: nothing is written any more */
};

/* Finds out what an output is. Never fails: the first write does. */
void client_output_open(
    struct client_output *output, struct os *os, int fd, char *const *environment);
void client_output_close(struct client_output *output);

/* Asks a terminal again how large it is. */
void client_output_measure(struct client_output *output);

/* Writes the text as it is. Waits as long as the reader takes. */
void client_output_write(struct client_output *output, struct text_span text);

/* The same, and a newline where the last line has none. */
void client_output_print(struct client_output *output, struct text_span text);

/* The same with what strangers wrote: a terminal gets control bytes as \xHH. */
void client_output_print_safely(struct client_output *output, struct text_span text);

/* Draws the text over the last one, and no more of it than there is room for. Where there is no
 * terminal it is printed after the last one. */
void client_output_draw(struct client_output *output, struct text_span text);

#endif
