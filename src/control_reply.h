/*
 * control_reply: what goes back to a client.
 *
 * Owns: the bytes of replies until they are sent, the large buffer, and what becomes of replies
 * that find no room. Leaves to others: which request is answered, and when to close.
 */
#ifndef SOCKETMASTER_CONTROL_REPLY_H
#define SOCKETMASTER_CONTROL_REPLY_H

#include <stdbool.h>

#include "control.h"

/* Puts a reply behind those that wait for the client. Returns false for one that is left out. */
bool control_reply_add(struct control *control, unsigned index, struct text_span message,
    const struct proto_id *id, enum control_reply reply);

/* Is there anything to be sent? */
bool control_reply_waits(const struct control *control, unsigned index);

/* Sends what can be sent now. Returns 0, or -errno when the client cannot be reached any more. */
int control_reply_send(struct control *control, unsigned index);

/* If the client has the large buffer, others may have it. */
void control_reply_give_back(struct control *control, unsigned index);

/* Sends an error to a connection that gets no slot, as far as it takes it. */
void control_reply_refuse(struct control *control, int fd, const char *words);

#endif
