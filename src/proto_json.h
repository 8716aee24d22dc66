/*
 * proto_json: text as JSON writes it, for what goes out in either direction.
 *
 * Owns: which characters are escaped, so that readers of JSON, of YAML and of URLs all find the
 * same. Leaves to others: the mapping around it, and its quotes.
 */
#ifndef SOCKETMASTER_PROTO_JSON_H
#define SOCKETMASTER_PROTO_JSON_H

#include "text.h"

/* The longest escape of one byte: \u00XX. */
enum { PROTO_JSON_EXPANSION = 6 };

/* Appends the characters of a span; a byte that is no UTF-8 becomes U+FFFD. */
void proto_json_add(struct text *text, struct text_span span);

#endif
