/*
 * Tests of supervisor_command: every order of reloads and of how they end, against a model that
 * forgets nothing; and the bytes of the greatest command.
 */
#include "supervisor_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    STEPS = 8, /* of one life */
    WORD_SIZE = 16,
};

static struct supervisor_commands commands;

/* --- every order of reloads ------------------------------------------------------------------ */

enum step {
    RELOAD,         /* with the command as it is */
    RELOAD_COMMAND, /* with a new one, which may be refused */
    SUCCEED,
    FAIL,
    STEP_COUNT,
};

/* What the master remembers; commands are numbers, and 0 is that of the settings. */
struct model {
    uint64_t generation;
    bool rolling, pending;
    unsigned made;
    unsigned now;
    unsigned tried, waiting; /* by the rollout under way, by the one after it; 0: none */
    size_t most;             /* stores in use at any moment */
};

static void assert_shows(const struct spawn_command *shown, unsigned number)
{
    char name[WORD_SIZE], argument[WORD_SIZE];

    if (number == 0) {
        assert_null(shown);
        return;
    }
    (void)snprintf(name, sizeof name, "/c%u", number);
    (void)snprintf(argument, sizeof argument, "-n=%u", number);
    assert_non_null(shown);
    assert_string_equal(shown->name, name);
    assert_string_equal(shown->argv[0], name);
    assert_string_equal(shown->argv[1], "");
    assert_string_equal(shown->argv[2], argument);
    assert_null(shown->argv[3]);
}

static void try_command(unsigned number, uint64_t generation)
{
    char name[WORD_SIZE], argument[WORD_SIZE];
    struct text_span words[3];

    (void)snprintf(name, sizeof name, "/c%u", number);
    (void)snprintf(argument, sizeof argument, "-n=%u", number);
    words[0] = text_span_of(name);
    words[1] = (struct text_span){argument, 0};
    words[2] = text_span_of(argument);
    assert_shows(supervisor_command_try(&commands, generation, words, 3), number);
}

static size_t stores_in_use(void)
{
    size_t used = 0;

    for (size_t i = 0; i < SUPERVISOR_COMMANDS; i++)
        used += commands.stores[i].used;
    return used;
}

static void reload(struct model *model, bool changes)
{
    unsigned *place = model->rolling ? &model->waiting : &model->tried;

    if (changes) {
        bool taken = supervisor_command_is_tried(&commands, model->generation + 1);

        assert_int_equal(taken, *place != 0);
        if (taken)
            return;
        *place = ++model->made;
        try_command(*place, model->generation + 1);
    }
    if (model->rolling) {
        model->pending = true;
    } else {
        model->rolling = true;
        model->generation++;
    }
}

static void end(struct model *model, bool success)
{
    if (!model->rolling)
        return;
    supervisor_command_settle(&commands, model->generation, success);
    if (success && model->tried != 0)
        model->now = model->tried;
    model->tried = model->waiting;
    model->waiting = 0;
    model->rolling = model->pending;
    model->generation += model->pending;
    model->pending = false;
}

static void compare(struct model *model)
{
    uint64_t under_way = model->generation, next = model->generation + 1;
    unsigned tried = model->rolling ? model->tried : 0;

    assert_shows(supervisor_command_now(&commands), model->now);
    assert_shows(supervisor_command_of(&commands, 1), model->now);
    assert_shows(supervisor_command_of(&commands, under_way), tried != 0 ? tried : model->now);
    assert_shows(
        supervisor_command_of(&commands, next), model->waiting != 0 ? model->waiting : model->now);
    assert_int_equal(supervisor_command_is_tried(&commands, under_way), tried != 0);
    assert_int_equal(supervisor_command_is_tried(&commands, next), model->waiting != 0);
    if (stores_in_use() > model->most)
        model->most = stores_in_use();
}

/* Rules: K5 R2 R7 R9 I11 */
static void a_command_stays_if_and_only_if_its_rollout_succeeds(void **state)
{
    unsigned lives = 1;
    size_t most = 0;

    (void)state;
    for (unsigned i = 0; i < STEPS; i++)
        lives *= STEP_COUNT;
    for (unsigned life = 0; life < lives; life++) {
        struct model model = {.generation = 1};

        supervisor_commands_clear(&commands);
        for (unsigned i = 0, steps = life; i < STEPS; i++, steps /= STEP_COUNT) {
            enum step step = (enum step)(steps % STEP_COUNT);

            if (step == RELOAD || step == RELOAD_COMMAND)
                reload(&model, step == RELOAD_COMMAND);
            else
                end(&model, step == SUCCEED);
            compare(&model);
        }
        most = model.most > most ? model.most : most;
    }
    assert_int_equal(most, SUPERVISOR_COMMANDS);
}

/* Rules: K5 */
static void at_first_the_command_is_that_of_the_settings(void **state)
{
    static const struct supervisor_commands zero;

    (void)state;
    assert_null(supervisor_command_now(&zero));
    assert_null(supervisor_command_of(&zero, 0));
    assert_null(supervisor_command_of(&zero, 1));
    assert_false(supervisor_command_is_tried(&zero, 0));
    assert_false(supervisor_command_is_tried(&zero, 1));

    /* And again, in a second life. */
    supervisor_commands_clear(&commands);
    try_command(1, 2);
    supervisor_command_settle(&commands, 2, true);
    try_command(2, 3);
    supervisor_commands_clear(&commands);
    assert_null(supervisor_command_now(&commands));
    assert_null(supervisor_command_of(&commands, 3));
}

/* Rules: K5 R7 */
static void the_end_of_another_rollout_settles_nothing(void **state)
{
    (void)state;
    supervisor_commands_clear(&commands);
    try_command(1, 2);
    supervisor_command_settle(&commands, 1, true);
    supervisor_command_settle(&commands, 3, false);
    assert_null(supervisor_command_now(&commands));
    assert_shows(supervisor_command_of(&commands, 2), 1);
    supervisor_command_settle(&commands, 2, true);
    assert_shows(supervisor_command_now(&commands), 1);
    /* It is the command now, and no longer that of one generation alone. */
    supervisor_command_settle(&commands, 2, false);
    assert_shows(supervisor_command_now(&commands), 1);
}

/* --- bytes ----------------------------------------------------------------------------------- */

static const struct {
    size_t count; /* of words */
    size_t first; /* bytes of the first; the others share the rest evenly */
    size_t total;
} size_cases[] = {
    {1, 1, 1},
    {1, PROTO_LINE_MAX, PROTO_LINE_MAX},
    {2, PROTO_LINE_MAX, PROTO_LINE_MAX},
    {PROTO_ARGS_MAX, 1, 1},
    {PROTO_ARGS_MAX, PROTO_LINE_MAX, PROTO_LINE_MAX},
    {PROTO_ARGS_MAX, PROTO_LINE_MAX - PROTO_ARGS_MAX + 1, PROTO_LINE_MAX},
};

enum { SIZE_CASES = sizeof size_cases / sizeof size_cases[0] };

static size_t length_of(size_t row, size_t word)
{
    if (word == 0)
        return size_cases[row].first;
    return (size_cases[row].total - size_cases[row].first) / (size_cases[row].count - 1);
}

static void try_size(size_t row, char fill, uint64_t generation)
{
    static struct text_span words[PROTO_ARGS_MAX];
    static char bytes[PROTO_LINE_MAX];

    memset(bytes, fill, sizeof bytes);
    for (size_t i = 0; i < size_cases[row].count; i++)
        words[i] = (struct text_span){bytes, length_of(row, i)};
    supervisor_command_try(&commands, generation, words, size_cases[row].count);
    /* It is a copy. */
    memset(bytes, '!', sizeof bytes);
    memset(words, 0, sizeof words);
}

static void assert_size(const struct spawn_command *shown, size_t row, char fill)
{
    const char set[] = {fill, '\0'};

    assert_ptr_equal(shown->name, shown->argv[0]);
    for (size_t i = 0; i < size_cases[row].count; i++) {
        assert_int_equal(strlen(shown->argv[i]), length_of(row, i));
        assert_int_equal(strspn(shown->argv[i], set), length_of(row, i));
    }
    assert_null(shown->argv[size_cases[row].count]);
}

/* Rules: K5 I11 */
static void each_store_holds_the_greatest_command(void **state)
{
    (void)state;
    for (size_t row = 0; row < SIZE_CASES; row++) {
        supervisor_commands_clear(&commands);
        try_size(row, 'a', 2);
        supervisor_command_settle(&commands, 2, true);
        try_size(row, 'b', 3);
        try_size(row, 'c', 4);
        assert_size(supervisor_command_now(&commands), row, 'a');
        assert_size(supervisor_command_of(&commands, 3), row, 'b');
        assert_size(supervisor_command_of(&commands, 4), row, 'c');
        supervisor_command_settle(&commands, 3, true);
        assert_size(supervisor_command_now(&commands), row, 'b');
        assert_size(supervisor_command_of(&commands, 4), row, 'c');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_stays_if_and_only_if_its_rollout_succeeds),
        cmocka_unit_test(at_first_the_command_is_that_of_the_settings),
        cmocka_unit_test(the_end_of_another_rollout_settles_nothing),
        cmocka_unit_test(each_store_holds_the_greatest_command),
    };

    return cmocka_run_group_tests_name("supervisor_command", tests, NULL, NULL);
}
