/*
 * proto_answer: the other end of the wire: a question to the master -> one line, one line of the
 * master's -> an answer.
 *
 * Owns: how socketmasterctl writes what it wants, and how it reads replies. Leaves to others: what
 * is asked, and what becomes of the answer. Allocates nothing, and needs no YAML: replies are JSON.
 */
#ifndef SOCKETMASTER_PROTO_ANSWER_H
#define SOCKETMASTER_PROTO_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* A request as its sender sees it. */
struct proto_question {
    const char *command;
    const struct text_span *args;
    size_t arg_count;
    bool wait;           /* ask for progress, and for how it ended */
    uint64_t generation; /* 0: whichever */
};

/*
 * Appends the line of a question, with its newline. Its id is 1. The text overflows, and is of no
 * use then, where it has not enough room: PROTO_LINE_MAX bytes are what the master reads.
 */
void proto_add_question(struct text *text, const struct proto_question *question);

/* Can these bytes be sent as they are? No byte that is not UTF-8 can. */
bool proto_can_send(struct text_span text);

/* What the master answered. */
struct proto_answer {
    struct text_span message;
    bool foreign; /* to another question than that of id 1 */
    bool wait;    /* more answers follow */
    bool error;
};

/*
 * Reads a line without its newline, and unescapes it where it stands: the message is in it. Unknown
 * keys are passed over, whatever they hold. Returns false where it is no JSON mapping with a
 * message.
 */
bool proto_answer_read(char *line, size_t length, struct proto_answer *answer);

#endif
