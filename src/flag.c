#include "flag.h"

#include <string.h>

enum {
    WORD_SHOWN_MAX = 64,   /* bytes of a wrong word that a complaint shows */
    VALUE_SHOWN_MAX = 128, /* and of a wrong value: what was expected has to stay in sight */
};

enum flag_kind flag_read(const char *word, struct flag *flag)
{
    if (strcmp(word, "--") == 0)
        return FLAG_END;
    if (word[0] != '-' || word[1] == '\0')
        return FLAG_OPERAND;
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t length = strcspn(name, "=");
    if (length == 0 || name[0] == '-')
        return FLAG_WRONG;
    flag->word = (struct text_span){word, (size_t)(name - word) + length};
    flag->name = (struct text_span){name, length};
    flag->value = name[length] == '=' ? name + length + 1 : NULL;
    return FLAG_OPTION;
}

static bool is_one_of(const char *string, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(string, words[i]) == 0)
            return true;
    return false;
}

bool flag_read_boolean(const char *string, bool *boolean)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    bool is_yes = is_one_of(string, yes, sizeof yes / sizeof yes[0]);

    if (!is_yes && !is_one_of(string, no, sizeof no / sizeof no[0]))
        return false;
    *boolean = is_yes;
    return true;
}

void flag_add_word(struct text *text, struct text_span word, const char *complaint)
{
    bool cut = word.length > WORD_SHOWN_MAX;

    text_add_escaped(text, word.bytes, cut ? WORD_SHOWN_MAX : word.length);
    text_add(text, cut ? "...: " : ": ");
    text_add(text, complaint);
}

void flag_add_value(struct text *text, struct text_span value, const char *expected)
{
    bool cut = value.length > VALUE_SHOWN_MAX;

    text_add(text, "value ");
    text_add_quoted(text, value.bytes, cut ? VALUE_SHOWN_MAX : value.length);
    text_add(text, cut ? "...: expected " : ": expected ");
    text_add(text, expected);
}
