/*
 * Tests of status: strings, times and bounds of all forms.
 */
#include "status_world.h"

#include "status_parts.h"

typedef void form(struct text *text, const struct status_source *source);

static void wide(struct text *text, const struct status_source *source)
{
    status_add_table(text, source, STATUS_COLUMNS_MAX, true);
}

static void narrow(struct text *text, const struct status_source *source)
{
    status_add_table(text, source, STATUS_COLUMNS_MIN, false);
}

static form *const forms[] = {status_add_json, status_add_metrics, status_add_state, wide, narrow};

enum { FORMS = sizeof forms / sizeof *forms };

/* Rules: K5 K2 */
static void test_strings_for_json_and_yaml(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *string;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain, ~", 8, "\"plain, ~\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\0\n\t\r\x1b\x1f\x7f", 7, "\"\\u0000\\n\\u0009\\u000d\\u001b\\u001f\\u007f\""},
        {"\xc2\x85\xc3\xa4\xdf\xbf", 6, "\"\\u0085\\u00e4\\u07ff\""},
        {"\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbf", 9, "\"\\u0800\\u20ac\\uffff\""},
        {"\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\""},
        {"\xff\xfe", 2, "\"\\ufffd\\ufffd\""},
        {"\xe2\x82", 2, "\"\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},
        {"a\xc3", 2, "\"a\\ufffd\""},
    };
    char bytes[128];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text;
        text_init(&text, bytes, sizeof bytes);
        status_add_string(&text, (struct text_span){cases[i].bytes, cases[i].length});
        assert_string_equal(bytes, cases[i].string);
    }
}

/* Rules: K5 */
static void test_dates(void **state)
{
    static const struct {
        int64_t seconds;
        const char *date;
    } cases[] = {
        {0, "1970-01-01 00:00:00"},
        {-1, "1970-01-01 00:00:00"},
        {INT64_MIN, "1970-01-01 00:00:00"},
        {86399, "1970-01-01 23:59:59"},
        {86400, "1970-01-02 00:00:00"},
        {5097599, "1970-02-28 23:59:59"},
        {5097600, "1970-03-01 00:00:00"},
        {31535999, "1970-12-31 23:59:59"},
        {31536000, "1971-01-01 00:00:00"},
        {68169600, "1972-02-29 00:00:00"},
        {68256000, "1972-03-01 00:00:00"},
        {94694399, "1972-12-31 23:59:59"},
        {951782400, "2000-02-29 00:00:00"},
        {951868800, "2000-03-01 00:00:00"},
        {978307199, "2000-12-31 23:59:59"},
        {1767322245, "2026-01-02 02:50:45"},
        {4107542399, "2100-02-28 23:59:59"},
        {4107542400, "2100-03-01 00:00:00"},
        {13574563200, "2400-02-29 00:00:00"},
        {253402300799, "9999-12-31 23:59:59"},
        {253402300800, "10000-01-01 00:00:00"},
        {INT64_MAX, "292277026596-12-04 15:30:07"},
    };
    char bytes[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text;
        text_init(&text, bytes, sizeof bytes);
        status_add_date(&text, cases[i].seconds);
        assert_string_equal(bytes, cases[i].date);
    }
}

/* Every day of four hundred years and some, by the rule that everybody knows. */
/* Rules: K5 */
static void test_every_date_follows_the_one_before(void **state)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    char bytes[64], date[64];
    int64_t day = 0;
    (void)state;
    for (unsigned year = 1970; year < 2420; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (unsigned month = 0; month < 12; month++) {
            unsigned length = lengths[month] + (leap && month == 1);
            for (unsigned i = 1; i <= length; i++) {
                struct text text;
                text_init(&text, bytes, sizeof bytes);
                status_add_date(&text, 86400 * day++);
                snprintf(date, sizeof date, "%04u-%02u-%02u 00:00:00", year, month + 1, i);
                assert_string_equal(bytes, date);
            }
        }
    }
}

/* Rules: K5 */
static void test_the_largest_counter_has_a_blank_before_it(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.tally.counts.unasked = UINT64_MAX;
    expect_part(told(narrow), "workers ended unasked 18446744073709551615");
}

/* Rules: K5 */
static void test_each_counter_has_one_place(void **state)
{
    struct tally_counts *counts = &snapshot.tally.counts;
    const struct {
        uint64_t *count;
        const char *name;
    } cases[] = {
        {&counts->rollouts, "rollouts"},
        {&counts->rollouts_done, "rollouts_done"},
        {&counts->rollouts_failed, "rollouts_failed"},
        {&counts->rollouts_cancelled, "rollouts_cancelled"},
        {&counts->reloads_refused, "reloads_refused"},
        {&counts->executed, "workers_started"},
        {&counts->not_started, "workers_not_started"},
        {&counts->replacements, "workers_replaced"},
        {&counts->ready, "workers_ready"},
        {&counts->late, "workers_late"},
        {&counts->lost, "workers_lost"},
        {&counts->ended, "workers_ended"},
        {&counts->unasked, "workers_ended_unasked"},
        {&counts->crashed, "workers_crashed"},
        {&counts->killed, "workers_killed"},
        {&snapshot.source.log.lines, "log_lines"},
        {&snapshot.source.log.bytes, "log_bytes"},
        {&snapshot.source.log.lost, "log_lines_lost"},
    };
    char part[128];
    (void)state;
    assert_int_equal(status_counter_count, sizeof cases / sizeof *cases);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        unsigned number = 1234567890 + (unsigned)i;
        *cases[i].count = number;
        snprintf(part, sizeof part, "\"%s\":%u", cases[i].name, number);
        expect_part(told(status_add_json), part);
        snprintf(part, sizeof part, "socketmaster_%s_total %llu\n", cases[i].name,
            (unsigned long long)number);
        expect_part(told(status_add_metrics), part);
        snprintf(part, sizeof part, "%-29s%u", cases[i].name, number);
        for (char *at = part; *at != '\0'; at++)
            *at = *at == '_' ? ' ' : *at;
        expect_part(told(narrow), part);
    }
}

/* Everything is as many and as long as it can be, and has to be escaped. */
static void fill(void)
{
    static char word[STATUS_COMMAND_MAX], address[352], name[256], uri[STATUS_URI_MAX];
    snapshot_init(&snapshot);
    memset(word, 1, sizeof word - 1);
    memset(address, 1, sizeof address - 1);
    memcpy(address, "tcp://", 6);
    address[sizeof address - 2] = ':';
    memset(name, '\\', sizeof name - 1);
    memset(uri, 1, sizeof uri);
    snapshot.command[0] = (struct text_span){word, sizeof word - 1};
    for (unsigned slot = 0; slot < LIMIT_SLOTS; slot++) {
        struct tally_slot *known = snapshot_worker(
            &snapshot, slot, CORE_WORKER_DRAINING, INT64_MAX, UINT64_MAX, SNAPSHOT_NOW_MS - 1);
        known->asked_for = known->ready = known->pinged = known->signalled = known->since =
            (struct tally_time){.ms = 1, .wall = INT64_MIN};
        known->ready_after = UINT64_MAX;
        known->restarts = UINT32_MAX;
        known->signals = UINT64_MAX;
        known->ping_id_length = TALLY_ID_MAX;
        memset(known->ping_id, 1, TALLY_ID_MAX);
        memset(snapshot.statuses[slot], 1, STATUS_WORD_MAX);
        snapshot.core.workers[slot].deadline = CORE_NEVER - 1;
    }
    for (unsigned i = 0; i < LIMIT_LISTENERS; i++) {
        struct status_listener *listener = snapshot_listener(&snapshot, "", address);
        *listener = (struct status_listener){.uri = {uri, sizeof uri},
            .address = address,
            .name = name,
            .has_queue = true,
            .waiting = UINT32_MAX,
            .limit = UINT32_MAX,
            .has_drops = true,
            .drops = UINT64_MAX};
    }
    scene_rollout();
    snapshot.tally.rollout.line_length = TALLY_LINE_MAX;
    snapshot.tally.rollout.output_length = TALLY_OUTPUT_MAX;
    memset(snapshot.tally.rollout.line, 1, TALLY_LINE_MAX);
    memset(snapshot.tally.rollout.output, '\n', TALLY_OUTPUT_MAX);
    memset(&snapshot.tally.counts, 0xff, sizeof snapshot.tally.counts);
    memset(&snapshot.source.log, 0xff, sizeof snapshot.source.log);
    snapshot.source.control = address;
    snapshot.source.version = name;
}

/* Rules: I11 K5 */
static void test_there_is_room_for_the_largest(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < FORMS; i++)
        (void)told(forms[i]);
}

/* Rules: I11 K5 */
static void test_in_too_little_room_it_is_cut(void **state)
{
    static char whole[STATUS_SIZE];
    struct text text;
    (void)state;
    scene();
    for (size_t i = 0; i < FORMS; i++) {
        snprintf(whole, sizeof whole, "%s", told(forms[i]));
        size_t length = strlen(whole);
        for (size_t size = 1; size <= length + 1; size++) {
            told_bytes[size] = 'x';
            text_init(&text, told_bytes, size);
            forms[i](&text, &snapshot.source);
            assert_int_equal(text.overflow, size <= length);
            assert_int_equal(told_bytes[size], 'x');
            assert_true(text.length < size && told_bytes[text.length] == '\0');
        }
        assert_string_equal(told_bytes, whole);
    }
}

/* Rules: K5 K2 I10 */
static void test_snapshots_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        snapshot_random(&snapshot, seed);
        for (size_t i = 0; i < FORMS; i++) {
            const char *text = told(forms[i]);
            for (const char *at = text; *at != '\0'; at++) {
                bool colour = forms[i] == wide && *at == '\x1b' && at[1] == '[';
                if ((*at < ' ' && *at >= 0 && *at != '\n' && !colour) || *at == 0x7f)
                    fail_msg("seed %llu: form %zu has a control byte %d", (unsigned long long)seed,
                        i, *at);
            }
            if (forms[i] == status_add_json)
                assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_for_json_and_yaml),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_every_date_follows_the_one_before),
        cmocka_unit_test(test_the_largest_counter_has_a_blank_before_it),
        cmocka_unit_test(test_each_counter_has_one_place),
        cmocka_unit_test(test_there_is_room_for_the_largest),
        cmocka_unit_test(test_in_too_little_room_it_is_cut),
        cmocka_unit_test(test_snapshots_at_random),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
