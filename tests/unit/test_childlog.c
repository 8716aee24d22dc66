/*
 * Tests of childlog: the same records come out however the bytes were split into reads, none is
 * longer than the cap, and no byte is lost or doubled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "childlog.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(string) (string), sizeof(string) - 1

enum {
    SHOWN_MAX = 256,
    LONG_LINE = 10 * 1000 * 1000,
    READ_MAX = LIMIT_LOG_LINE + 1,
};

/* Too large for the stack. It starts as anything but zeros: only `kept` has to be. */
static char unfinished_bytes[LIMIT_LOG_LINE];
static struct childlog unfinished;

static void begin(void)
{
    memset(unfinished_bytes, 0xa5, sizeof unfinished_bytes);
    unfinished = (struct childlog){.bytes = unfinished_bytes};
}

/* --- short lines, every split --- */

/* Records one after the other: `$` ends a line, `+` a piece that goes on, `.` the unfinished one.
 */
struct shown {
    char bytes[SHOWN_MAX];
    size_t length;
};

static void show(struct shown *shown, const struct childlog_record *record, char end)
{
    assert_true(shown->length + record->line.length < SHOWN_MAX);
    memcpy(shown->bytes + shown->length, record->line.bytes, record->line.length);
    shown->length += record->line.length;
    shown->bytes[shown->length++] = end;
}

static void read_some(struct shown *shown, const char *bytes, size_t length, size_t cap)
{
    struct childlog_record record;
    const char *end = bytes + length;

    while (childlog_next(&unfinished, &bytes, &length, cap, &record)) {
        assert_true(record.line.length <= cap);
        assert_ptr_equal(bytes + length, end);
        show(shown, &record, record.cut ? '+' : '$');
    }
    assert_int_equal(length, 0);
    assert_ptr_equal(bytes, end);
    assert_true(unfinished.kept <= cap);
}

static void read_last(struct shown *shown, size_t cap)
{
    struct childlog_record record;

    if (childlog_finish(&unfinished, &record)) {
        assert_in_range(record.line.length, 1, cap);
        assert_false(record.cut);
        show(shown, &record, '.');
    }
    assert_false(childlog_finish(&unfinished, &record));
}

/* Reads `bytes` in pieces: a read ends behind byte i if bit i of `splits` is set. */
static void read_split(
    struct shown *shown, const char *bytes, size_t length, uint64_t splits, size_t cap)
{
    size_t from = 0;

    for (size_t i = 0; i < length; i++) {
        if (splits >> i & 1) {
            read_some(shown, bytes + from, i + 1 - from, cap);
            from = i + 1;
        }
    }
    read_some(shown, bytes + from, length - from, cap);
    read_last(shown, cap);
}

/* Rules: O2 */
static void test_short_lines_in_every_split(void **state)
{
    static const struct {
        size_t cap;
        const char *bytes;
        size_t length;
        const char *expected;
        size_t expected_length;
    } cases[] = {
        {8, BYTES(""), BYTES("")},
        {8, BYTES("\n"), BYTES("$")},
        {8, BYTES("\n\n\n"), BYTES("$$$")},
        {8, BYTES("a"), BYTES("a.")},
        {8, BYTES("a\n"), BYTES("a$")},
        {8, BYTES("\na"), BYTES("$a.")},
        {8, BYTES("one\ntwo\n"), BYTES("one$two$")},
        {8, BYTES("one\n\ntwo"), BYTES("one$$two.")},
        {8, BYTES("a\r\n\t\x1b[m\n"), BYTES("a\r$\t\x1b[m$")},
        {8, BYTES("\0\n\0\0\na\0b"), BYTES("\0$\0\0$a\0b.")},
        {8, BYTES("\xff\xfe\n\x80"), BYTES("\xff\xfe$\x80.")},
        {3, BYTES("ab\n"), BYTES("ab$")},
        {3, BYTES("abc"), BYTES("abc.")},
        {3, BYTES("abc\n"), BYTES("abc$")},
        {3, BYTES("abc\n\n"), BYTES("abc$$")},
        {3, BYTES("abcd"), BYTES("abc+d.")},
        {3, BYTES("abcd\n"), BYTES("abc+d$")},
        {3, BYTES("abcdef"), BYTES("abc+def.")},
        {3, BYTES("abcdef\n"), BYTES("abc+def$")},
        {3, BYTES("abcdefg\n"), BYTES("abc+def+g$")},
        {3, BYTES("abc\ndef\nghi"), BYTES("abc$def$ghi.")},
        {3, BYTES("a\nbcde\n\nfgh"), BYTES("a$bcd+e$$fgh.")},
        {3, BYTES("\0\0\0\0\n"), BYTES("\0\0\0+\0$")},
        {2, BYTES("a\nbc\ndef\ng"), BYTES("a$bc$de+f$g.")},
        {2, BYTES("abcd\n"), BYTES("ab+cd$")},
        {1, BYTES("\n\n"), BYTES("$$")},
        {1, BYTES("a\nb"), BYTES("a$b.")},
        {1, BYTES("ab\n\ncd"), BYTES("a+b$$c+d.")},
        {1, BYTES("abcdef\n"), BYTES("a+b+c+d+e+f$")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        /* Splitting behind the last byte, too, ends with a read of nothing. */
        for (uint64_t splits = 0; splits < UINT64_C(1) << cases[i].length; splits++) {
            struct shown shown = {.length = 0};

            begin();
            read_split(&shown, cases[i].bytes, cases[i].length, splits, cases[i].cap);
            if (shown.length != cases[i].expected_length ||
                memcmp(shown.bytes, cases[i].expected, shown.length) != 0)
                fail_msg("case %zu, splits %#llx: got %.*s", i, (unsigned long long)splits,
                    (int)shown.length, shown.bytes);
        }
    }
}

/* Rules: O2 */
static void test_nothing_read_changes_nothing(void **state)
{
    struct shown shown = {.length = 0};

    (void)state;
    begin();
    read_some(&shown, "", 0, 3);
    read_some(&shown, "abc", 3, 3);
    read_some(&shown, "", 0, 3);
    read_some(&shown, "\n", 1, 3);
    read_some(&shown, "", 0, 3);
    read_last(&shown, 3);
    assert_int_equal(shown.length, 4);
    assert_memory_equal(shown.bytes, "abc$", 4);
}

/* Rules: O2 */
static void test_whole_lines_are_not_copied(void **state)
{
    static const char bytes[] = "one\ntwo\nthree";
    struct childlog_record record;
    const char *at = bytes;
    size_t length = sizeof bytes - 1;

    (void)state;
    begin();
    assert_true(childlog_next(&unfinished, &at, &length, 64, &record));
    assert_ptr_equal(record.line.bytes, bytes);
    assert_true(childlog_next(&unfinished, &at, &length, 64, &record));
    assert_ptr_equal(record.line.bytes, bytes + 4);
    assert_int_equal(unfinished.kept, 0);
    assert_false(childlog_next(&unfinished, &at, &length, 64, &record));
    assert_int_equal(unfinished.kept, 5);
    assert_true(childlog_finish(&unfinished, &record));
    assert_memory_equal(record.line.bytes, "three", 5);
}

/* --- long lines --- */

static char read_buffer[READ_MAX];

/* Bytes that tell where in the line they stand. */
static char byte_at(size_t position)
{
    return (char)('a' + position % 23);
}

/* The records of a long line, as they come. */
struct pieces {
    size_t position; /* in the line: all before it has come out */
    size_t cut, whole;
};

static void take_piece(struct pieces *pieces, const struct childlog_record *record, size_t cap)
{
    for (size_t i = 0; i < record->line.length; i++)
        if (record->line.bytes[i] != byte_at(pieces->position + i))
            fail_msg("another byte than was written at %zu", pieces->position + i);
    pieces->position += record->line.length;
    if (record->cut)
        assert_int_equal(record->line.length, cap);
    else
        assert_in_range(record->line.length, 0, cap);
    *(record->cut ? &pieces->cut : &pieces->whole) += 1;
}

static void read_line(struct pieces *pieces, size_t length, size_t at_once, bool newline)
{
    size_t total = length + (newline ? 1 : 0);
    struct childlog_record record;

    begin();
    for (size_t from = 0; from < total; from += at_once) {
        size_t size = total - from < at_once ? total - from : at_once;
        const char *bytes = read_buffer;

        for (size_t i = 0; i < size; i++)
            read_buffer[i] = from + i == length ? '\n' : byte_at(from + i);
        while (childlog_next(&unfinished, &bytes, &size, LIMIT_LOG_LINE, &record))
            take_piece(pieces, &record, LIMIT_LOG_LINE);
    }
    while (childlog_finish(&unfinished, &record))
        take_piece(pieces, &record, LIMIT_LOG_LINE);
}

/* Rules: O2 */
static void test_lines_around_the_limit(void **state)
{
    static const struct {
        size_t length, cut;
    } lines[] = {
        {LIMIT_LOG_LINE - 1, 0},
        {LIMIT_LOG_LINE, 0},
        {LIMIT_LOG_LINE + 1, 1},
        {2 * LIMIT_LOG_LINE - 1, 1},
        {2 * LIMIT_LOG_LINE, 1},
        {2 * LIMIT_LOG_LINE + 1, 2},
    };
    static const size_t at_once[] = {4096, LIMIT_LOG_LINE - 1, LIMIT_LOG_LINE, READ_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        for (size_t j = 0; j < 2 * COUNT(at_once); j++) {
            struct pieces pieces = {.position = 0};

            read_line(&pieces, lines[i].length, at_once[j / 2], j % 2);
            assert_int_equal(pieces.position, lines[i].length);
            assert_int_equal(pieces.cut, lines[i].cut);
            assert_int_equal(pieces.whole, 1);
        }
    }
}

/* Rules: O2 */
static void test_a_line_of_ten_megabytes(void **state)
{
    struct pieces pieces = {.position = 0};

    (void)state;
    read_line(&pieces, LONG_LINE, 50000, true);
    assert_int_equal(pieces.position, LONG_LINE);
    assert_int_equal(pieces.cut, LONG_LINE / LIMIT_LOG_LINE);
    assert_int_equal(pieces.whole, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_lines_in_every_split),
        cmocka_unit_test(test_nothing_read_changes_nothing),
        cmocka_unit_test(test_whole_lines_are_not_copied),
        cmocka_unit_test(test_lines_around_the_limit),
        cmocka_unit_test(test_a_line_of_ten_megabytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
