/*
 * notify_message: one message of sd_notify(3), as a worker sends it (rule R3).
 *
 * Owns: which lines mean something here, and what of a message may be printed. Leaves to others:
 * who sent it, and whether it counts. Pure: it takes bytes and keeps nothing.
 */
#ifndef SOCKETMASTER_NOTIFY_MESSAGE_H
#define SOCKETMASTER_NOTIFY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct notify_message {
    bool ready;              /* READY=1 */
    bool stopping;           /* STOPPING=1 */
    bool has_extend;         /* EXTEND_TIMEOUT_USEC= */
    bool has_status;         /* STATUS= */
    uint64_t extend_ms;      /* from now on; rounded up */
    struct text_span status; /* in the bytes of the message; anything but a line's end */
};

/*
 * Reads a whole datagram, of any length and content; `bytes` is never NULL. It counts as systemd
 * counts it: lines end with a newline, a carriage return or the datagram; what is not understood is
 * passed over; of two STATUS= or two EXTEND_TIMEOUT_USEC= that can be read the first counts.
 * Returns true, or false when it holds a NUL (one as its last byte is allowed): then nothing of it
 * counts, and *message is empty.
 */
bool notify_message_read(const char *bytes, size_t length, struct notify_message *message);

/*
 * Appends a status, fit to be printed: what is no UTF-8 or a control character becomes '?'. It ends
 * with the last character that fits whole: the text never overflows.
 */
void notify_message_add_status(struct text_span status, struct text *text);

#endif
