/*
 * flag: one word of a command line, as Go's flag package takes it apart (rule C2).
 *
 * Owns: what is an option, its name and its value; the spellings of true and false; and the form of
 * a complaint. Leaves to others: which options there are, and what they mean.
 */
#ifndef SOCKETMASTER_FLAG_H
#define SOCKETMASTER_FLAG_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

enum flag_kind {
    FLAG_OPERAND, /* it is no option, and neither is what follows */
    FLAG_END,     /* "--": what follows are operands */
    FLAG_OPTION,
    FLAG_WRONG, /* it begins as an option does, but has no name */
};

/* An option as it was written. */
struct flag {
    struct text_span word; /* up to the end of the name, with its dashes */
    struct text_span name;
    const char *value; /* after '='; NULL: there is none in this word */
};

/* Takes a word apart; *flag is set for FLAG_OPTION. */
enum flag_kind flag_read(const char *word, struct flag *flag);

/* As Go's strconv.ParseBool: returns false, and leaves *boolean alone, where it is neither. */
bool flag_read_boolean(const char *string, bool *boolean);

/* Appends a word that is wrong and what is wrong with it: WORD: COMPLAINT. */
void flag_add_word(struct text *text, struct text_span word, const char *complaint);

/* Appends a value that is wrong and what it should be: value "...": expected WHAT. */
void flag_add_value(struct text *text, struct text_span value, const char *expected);

#endif
