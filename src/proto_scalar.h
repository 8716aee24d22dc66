/*
 * proto_scalar: what a scalar of a request stands for.
 *
 * Owns: which plain words are null, true, false or a number. Leaves to others: reading them.
 */
#ifndef SOCKETMASTER_PROTO_SCALAR_H
#define SOCKETMASTER_PROTO_SCALAR_H

#include <stdbool.h>

#include "proto.h"
#include "text.h"

/*
 * The type of a scalar, never PROTO_NESTED: text if it is quoted; null, true and false as YAML's
 * core schema spells them; integers and floats as JSON writes them; text otherwise. So each number
 * can go into a reply as it is.
 */
enum proto_type proto_scalar_type(struct text_span text, bool quoted);

/* Of a PROTO_BOOLEAN. */
bool proto_scalar_is_true(struct text_span text);

#endif
