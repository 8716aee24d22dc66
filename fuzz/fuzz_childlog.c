/*
 * Fuzzes childlog: whatever the reads are, the records with their newlines are the bytes that were
 * written.
 *
 * The first byte is the cap, the second says how many of the following are sizes of reads, taken in
 * turn, and the rest is what the worker writes. With the largest cap everything is larger, so that
 * short inputs reach it: a byte 0xff stands for a run of a quarter of the cap, and reads come in
 * multiples of 256.
 */
#include "childlog.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

enum {
    SMALL_CAPS = 32,
    RUN = LIMIT_LOG_LINE / 4,
    READ_UNIT = 256,
    WRITTEN_MAX = 16 * RUN,
};

static char unfinished_bytes[LIMIT_LOG_LINE];
static struct childlog unfinished = {.bytes = unfinished_bytes};
static char written[WRITTEN_MAX];
static size_t written_length;
static size_t position; /* what is before it has come out */

static void write_all(const uint8_t *data, size_t size, bool large)
{
    written_length = 0;
    for (size_t i = 0; i < size && written_length + RUN <= WRITTEN_MAX; i++) {
        size_t count = large && data[i] == UINT8_MAX ? RUN : 1;

        memset(written + written_length, data[i], count);
        written_length += count;
    }
}

static void check_record(const struct childlog_record *record, size_t cap)
{
    size_t length = record->line.length;

    CHECK(length <= cap && length <= written_length - position);
    CHECK(length == 0 || memcmp(record->line.bytes, written + position, length) == 0);
    CHECK(length == 0 || memchr(record->line.bytes, '\n', length) == NULL);
    position += length;
    if (record->cut)
        CHECK(length == cap && position < written_length && written[position] != '\n');
}

/* Hands on `length` bytes in memory of their own, so that reading beyond them is noticed. */
static void read_some(size_t length, size_t cap)
{
    char *copy = malloc(length ? length : 1);
    const char *bytes = copy;
    size_t rest = length;
    struct childlog_record record;

    CHECK(copy != NULL);
    memcpy(copy, written + position + unfinished.kept, length);
    while (childlog_next(&unfinished, &bytes, &rest, cap, &record)) {
        check_record(&record, cap);
        if (!record.cut) {
            CHECK(written[position] == '\n');
            position++;
        }
    }
    CHECK(rest == 0 && bytes == copy + length && unfinished.kept <= cap);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct childlog_record record;
    const uint8_t *sizes = data + 2;
    size_t cap, turns, read = 0;
    bool large;

    if (size < 3)
        return 0;
    large = data[0] % (SMALL_CAPS + 1) == SMALL_CAPS;
    cap = large ? LIMIT_LOG_LINE : 1 + data[0] % (SMALL_CAPS + 1);
    turns = data[1] % (size - 2);
    write_all(sizes + turns, size - 2 - turns, large);
    position = 0;

    for (size_t turn = 0; read < written_length; turn++) {
        size_t wanted = turns > 0 ? sizes[turn % turns] : 1;

        /* Reads of nothing alone would never end. */
        if (wanted == 0 && turn >= turns)
            wanted = 1;
        wanted *= large ? READ_UNIT : 1;
        if (wanted > written_length - read)
            wanted = written_length - read;
        read_some(wanted, cap);
        read += wanted;
        CHECK(position + unfinished.kept == read);
    }
    while (childlog_finish(&unfinished, &record)) {
        check_record(&record, cap);
        CHECK(!record.cut && record.line.length > 0 && position == written_length);
    }
    CHECK(position == written_length && unfinished.kept == 0);
    return 0;
}
