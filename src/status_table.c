/*
 * status_table: the snapshot for people.
 *
 * Owns: its layout and its colours. No line is wider than was asked for: what does not fit goes on
 * in the next, or is cut where a column ends. Of what others wrote only printable ASCII is shown as
 * it is, since what else there is may move the cursor, or be wider than it seems.
 */
#include "status_parts.h"

#include <string.h>

enum {
    WORDS_SIZE = 64,
    LABEL_WIDTH = 10,   /* before what a line at the top tells */
    NUMBERS_WIDTH = 28, /* of a listener's: how many wait, may wait, found no room */
    STATE_WIDTH = 16,   /* how many workers are in one state */
    INDENT = 4,
};

struct table {
    struct text *text;
    unsigned columns;
    unsigned used; /* columns of the line that is being written */
    bool colour;
};

/* --- writing --- */

static void put(struct table *table, char c)
{
    if (table->used >= table->columns)
        return;
    text_add_char(table->text, c >= ' ' && c <= '~' ? c : c == '\t' ? ' ' : '?');
    table->used++;
}

static void put_span(struct table *table, struct text_span span)
{
    for (size_t i = 0; i < span.length; i++)
        put(table, span.bytes[i]);
}

static void put_words(struct table *table, const char *words)
{
    put_span(table, text_span_of(words));
}

static void put_number(struct table *table, uint64_t number)
{
    char bytes[32];
    struct text digits;
    text_init(&digits, bytes, sizeof bytes);
    text_add_unsigned(&digits, number);
    put_words(table, bytes);
}

static void fill_to(struct table *table, unsigned column)
{
    const unsigned end = column < table->columns ? column : table->columns;
    while (table->used < end)
        put(table, ' ');
}

/* A column of this width, and a blank after it. */
static void put_left(struct table *table, const char *words, unsigned width)
{
    unsigned end = table->used + width + 1;
    put_words(table, words);
    fill_to(table, end);
}

static void put_right(struct table *table, const char *words, unsigned width)
{
    size_t length = strlen(words);
    if (length < width)
        fill_to(table, table->used + width - (unsigned)length);
    put_words(table, words);
    put(table, ' ');
}

static void end_line(struct table *table)
{
    struct text *text = table->text;
    while (text->length > 0 && text->bytes[text->length - 1] == ' ')
        text->bytes[--text->length] = '\0';
    text_add_char(text, '\n');
    table->used = 0;
}

/* Bytes up to the next blank. */
static size_t word_length(struct text_span span)
{
    const char *blank = memchr(span.bytes, ' ', span.length);
    return blank != NULL ? (size_t)(blank - span.bytes) : span.length;
}

/* As put_span, but what does not fit goes on in the next line, from `indent` on: at a blank, unless
 * the word after it is longer than a line. */
static void put_flowing(struct table *table, struct text_span span, unsigned indent)
{
    while (span.length > 0) {
        size_t word = word_length(span);
        if (table->used > indent && table->used + word > table->columns &&
            indent + word <= table->columns) {
            end_line(table);
            fill_to(table, indent);
        }
        /* With the blank that ends it. */
        for (size_t left = word < span.length ? word + 1 : word; left > 0; left--) {
            if (table->used == table->columns && *span.bytes != ' ') {
                end_line(table);
                fill_to(table, indent);
            }
            put(table, *span.bytes);
            span.bytes++;
            span.length--;
        }
    }
}

/* Lines that others wrote, or one of our own about them, from `indent` on. */
static void add_lines(struct table *table, struct text_span span, unsigned indent)
{
    while (span.length > 0) {
        const char *end = memchr(span.bytes, '\n', span.length);
        size_t length = end != NULL ? (size_t)(end - span.bytes) : span.length;
        fill_to(table, indent);
        put_flowing(table, (struct text_span){span.bytes, length}, indent);
        end_line(table);
        length += end != NULL ? 1 : 0;
        span.bytes += length;
        span.length -= length;
    }
}

/* --- colours --- */

enum colour { BOLD, GREEN, YELLOW, RED };

static void colour_on(struct table *table, enum colour colour)
{
    static const char *const sequences[] = {
        [GREEN] = "\x1b[32m", [YELLOW] = "\x1b[33m", [RED] = "\x1b[31m", [BOLD] = "\x1b[1m"};
    if (table->colour)
        text_add(table->text, sequences[colour]);
}

static void colour_off(struct table *table)
{
    if (table->colour)
        text_add(table->text, "\x1b[m");
}

static void put_coloured(struct table *table, enum colour colour, const char *words)
{
    colour_on(table, colour);
    put_words(table, words);
    colour_off(table);
}

static const enum colour state_colours[CORE_WORKER_STATE_COUNT] = {
    [CORE_WORKER_SPAWNING] = YELLOW,
    [CORE_WORKER_CANCELLED] = RED,
    [CORE_WORKER_EXECUTING] = YELLOW,
    [CORE_WORKER_STARTING] = YELLOW,
    [CORE_WORKER_HELD] = GREEN,
    [CORE_WORKER_READY] = GREEN,
    [CORE_WORKER_DRAINING] = YELLOW,
    [CORE_WORKER_STOPPING] = RED,
    [CORE_WORKER_KILLED] = RED,
};

/* --- times --- */

/* "3m07s", "5h20m", "12d06h": two numbers, the second of two digits. */
static void add_two(struct text *text, uint64_t large, char unit, uint64_t small, char below)
{
    text_add_unsigned(text, large);
    text_add_char(text, unit);
    text_add_padded(text, small, 2);
    text_add_char(text, below);
}

/* At most 7 columns, up to a thousand days. */
static void add_duration(struct text *text, uint64_t milliseconds)
{
    const uint64_t seconds = milliseconds / 1000;
    const uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (milliseconds < 1000) {
        text_add_unsigned(text, milliseconds);
        text_add(text, "ms");
    } else if (seconds < 10) {
        text_add_unsigned(text, seconds);
        text_add_char(text, '.');
        text_add_unsigned(text, milliseconds / 100 % 10);
        text_add_char(text, 's');
    } else if (minutes < 1) {
        text_add_unsigned(text, seconds);
        text_add_char(text, 's');
    } else if (hours < 1) {
        add_two(text, minutes, 'm', seconds % 60, 's');
    } else if (days < 1) {
        add_two(text, hours, 'h', minutes % 60, 'm');
    } else {
        add_two(text, days, 'd', hours % 24, 'h');
    }
}

static void put_duration(struct table *table, uint64_t milliseconds)
{
    char bytes[32];
    struct text words;
    text_init(&words, bytes, sizeof bytes);
    add_duration(&words, milliseconds);
    put_words(table, bytes);
}

static void put_duration_right(struct table *table, uint64_t milliseconds, unsigned width)
{
    char bytes[32];
    struct text words;
    text_init(&words, bytes, sizeof bytes);
    add_duration(&words, milliseconds);
    put_right(table, bytes, width);
}

/* --- at the top --- */

static void put_label(struct table *table, const char *label)
{
    colour_on(table, BOLD);
    put_words(table, label);
    colour_off(table);
    fill_to(table, LABEL_WIDTH);
}

static void add_master(struct table *table, const struct status_source *source)
{
    const struct core *core = source->core;
    const int64_t up = source->wall_s - source->started_wall_s;
    put_coloured(table, BOLD, "socketmaster");
    put(table, ' ');
    put_words(table, source->version);
    put_words(table, ", pid ");
    put_number(table, (uint64_t)source->master_pid);
    put_words(table, ", up ");
    put_duration(table, up > 0 ? (uint64_t)up * 1000 : 0);
    put_words(table, ", ");
    put_words(table, status_phases[core->phase]);
    end_line(table);
    put_label(table, "command");
    size_t shown = status_command_shown(source);
    for (size_t i = 0; i < shown; i++) {
        put_flowing(table, source->command[i], LABEL_WIDTH);
        put(table, ' ');
    }
    if (shown < source->command_count)
        put_words(table, "...");
    end_line(table);
    if (source->control != NULL) {
        put_label(table, "control");
        put_words(table, source->control);
        end_line(table);
    }
}

static void add_generation(struct table *table, const struct status_source *source)
{
    const struct core *core = source->core;
    put_label(table, "serving");
    if (core->serving > 0) {
        put_words(table, "generation ");
        put_number(table, core->serving);
    } else {
        put_words(table, "nothing yet");
    }
    if (core->phase == CORE_ROLLING) {
        put_words(table, "; generation ");
        put_number(table, core->generation);
        put_words(table, " is starting");
    }
    if (core->reload_pending)
        put_words(table, "; one more reload is remembered");
    end_line(table);
    put_label(table, "workers");
    put_number(table, core_workers_wanted(core));
    put_words(table, " wanted");
    const char *before = ": ";
    for (int state = CORE_WORKER_SPAWNING; state < CORE_WORKER_STATE_COUNT; state++) {
        unsigned count = status_workers_in(core, (enum core_worker_state)state);
        if (count == 0)
            continue;
        put_words(table, before);
        if (table->used > table->columns - STATE_WIDTH) {
            end_line(table);
            fill_to(table, LABEL_WIDTH);
        }
        put_number(table, count);
        put(table, ' ');
        put_words(table, status_states[state]);
        before = ", ";
    }
    end_line(table);
}

/* --- listeners --- */

static void put_count(struct table *table, bool known, uint64_t number, unsigned width)
{
    char bytes[32] = "-";
    struct text words;
    if (known) {
        text_init(&words, bytes, sizeof bytes);
        text_add_unsigned(&words, number);
    }
    put_right(table, bytes, width);
}

static void add_listener(struct table *table, const struct status_listener *listener)
{
    const unsigned numbers = table->columns - NUMBERS_WIDTH;
    const struct text_span address = text_span_of(listener->address);
    const struct text_span uri = status_cut(listener->uri, STATUS_URI_MAX);
    put_flowing(table, address, INDENT);
    if (listener->name[0] != '\0') {
        put_words(table, " (");
        put_words(table, listener->name);
        put(table, ')');
    }
    if (table->used >= numbers)
        end_line(table);
    fill_to(table, numbers);
    bool full = listener->has_queue && listener->waiting >= listener->limit;
    if (full)
        colour_on(table, RED);
    put_count(table, listener->has_queue, listener->waiting, 7);
    if (full)
        colour_off(table);
    put_count(table, listener->has_queue, listener->limit, 7);
    put_count(table, listener->has_drops, listener->drops, 9);
    end_line(table);
    if (uri.length > 0 && !text_span_is(uri, listener->address)) {
        fill_to(table, INDENT);
        put_words(table, "asked for as ");
        put_flowing(table, uri, INDENT);
        end_line(table);
    }
}

static void add_listeners(struct table *table, const struct status_source *source)
{
    if (source->listener_count == 0)
        return;
    end_line(table);
    colour_on(table, BOLD);
    put_words(table, "LISTENER");
    fill_to(table, table->columns - NUMBERS_WIDTH);
    put_right(table, "WAITING", 7);
    put_right(table, "LIMIT", 7);
    put_right(table, "OVERFLOWS", 9);
    colour_off(table);
    end_line(table);
    for (size_t i = 0; i < source->listener_count; i++)
        add_listener(table, &source->listeners[i]);
}

/* --- workers --- */

static void add_worker(struct table *table, const struct status_source *source, unsigned slot)
{
    const struct core_worker *worker = &source->core->workers[slot];
    const struct tally_slot *known = &source->tally->slots[slot];
    const struct text_span status = status_of_slot(source, slot);
    uint64_t kill_in;
    put_count(table, true, slot, 4);
    put_count(table, worker->pid > 0, (uint64_t)worker->pid, 7);
    put_count(table, true, worker->generation, 5);
    colour_on(table, state_colours[worker->state]);
    put_left(table, status_states[worker->state], 9);
    colour_off(table);
    put_duration_right(table, status_elapsed(known->since.ms, source->now_ms), 7);
    if (status_has_been(&known->ready))
        put_duration_right(table, known->ready_after, 8);
    else
        put_right(table, "-", 8);
    put_count(table, true, known->restarts, 8);
    if (status_kill_due(worker, source->now_ms, &kill_in)) {
        put_words(table, "KILL in ");
        put_duration(table, kill_in);
        put_words(table, status.length > 0 ? "; " : "");
    }
    put_span(table, status);
    end_line(table);
}

static void add_workers(struct table *table, const struct status_source *source)
{
    end_line(table);
    colour_on(table, BOLD);
    put_right(table, "SLOT", 4);
    put_right(table, "PID", 7);
    put_right(table, "GEN", 5);
    put_left(table, "STATE", 9);
    put_right(table, "FOR", 7);
    put_right(table, "READY IN", 8);
    put_right(table, "RESTARTS", 8);
    put_words(table, "STATUS");
    colour_off(table);
    end_line(table);
    for (unsigned slot = 0; slot < source->core->slot_bound; slot++)
        if (source->core->workers[slot].state != CORE_WORKER_NONE)
            add_worker(table, source, slot);
}

/* --- the last rollout --- */

static void add_rollout(struct table *table, const struct status_source *source)
{
    const struct tally_rollout *rollout = &source->tally->rollout;
    static const enum colour colours[] = {[TALLY_RUNNING] = YELLOW,
        [TALLY_DONE] = GREEN,
        [TALLY_FAILED] = RED,
        [TALLY_CANCELLED] = YELLOW};
    if (rollout->result == TALLY_NONE)
        return;
    end_line(table);
    put_label(table, "rollout");
    put_words(table, "generation ");
    put_number(table, rollout->generation);
    put(table, ' ');
    put_coloured(table, colours[rollout->result], status_results[rollout->result]);
    put_words(table, rollout->result == TALLY_RUNNING ? " for " : " after ");
    put_duration(table, status_rollout_elapsed(source));
    if (rollout->result != TALLY_RUNNING) {
        put_words(table, ", ");
        put_duration(table, status_elapsed(rollout->ended.ms, source->now_ms));
        put_words(table, " ago");
    }
    end_line(table);
    char bytes[WORDS_SIZE];
    struct text began;
    text_init(&began, bytes, sizeof bytes);
    text_add(&began, "began ");
    status_add_date(&began, rollout->began.wall);
    text_add(&began, " UTC");
    fill_to(table, LABEL_WIDTH);
    put_words(table, bytes);
    end_line(table);
    if (rollout->result != TALLY_FAILED)
        return;
    add_lines(table, (struct text_span){rollout->line, rollout->line_length}, INDENT);
    if (rollout->output_length == 0)
        return;
    fill_to(table, INDENT);
    put_words(table, "its last lines:");
    end_line(table);
    add_lines(table, (struct text_span){rollout->output, rollout->output_length}, 2 * INDENT);
}

/* --- counters --- */

static void add_counters(struct table *table, const struct status_source *source)
{
    const unsigned width = table->columns / 2 - 1;
    for (size_t i = 0; i < status_counter_count; i++) {
        const struct status_counter *counter = &status_counters[i];
        char bytes[32];
        struct text number;
        text_init(&number, bytes, sizeof bytes);
        text_add_unsigned(&number, counter->count(source));
        if (i % 2 == 0)
            end_line(table);
        else
            put_words(table, "  ");
        unsigned end = table->used + width;
        for (const char *at = counter->name; *at != '\0'; at++)
            put(table, *at == '_' ? ' ' : *at);
        put(table, ' ');
        fill_to(table, end - (unsigned)number.length);
        put_words(table, bytes);
    }
    end_line(table);
}

void status_add_table(
    struct text *text, const struct status_source *source, unsigned columns, bool colour)
{
    struct table table = {.text = text, .columns = columns, .colour = colour};
    if (columns < STATUS_COLUMNS_MIN)
        table.columns = STATUS_COLUMNS_MIN;
    if (columns > STATUS_COLUMNS_MAX)
        table.columns = STATUS_COLUMNS_MAX;
    add_master(&table, source);
    add_generation(&table, source);
    add_listeners(&table, source);
    add_workers(&table, source);
    add_rollout(&table, source);
    add_counters(&table, source);
}
