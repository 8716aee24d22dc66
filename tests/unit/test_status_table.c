/*
 * Tests of status: the form for people.
 */
#include "status_world.h"

static const char *table_of(unsigned columns, bool colour)
{
    struct text text;
    text_init(&text, told_bytes, sizeof told_bytes);
    status_add_table(&text, &snapshot.source, columns, colour);
    assert_false(text.overflow);
    return text.bytes;
}

/* Rules: K5 */
static void test_the_scene(void **state)
{
    (void)state;
    scene();
    assert_string_equal(table_of(80, false),
        "socketmaster 0.1.0, pid 4711, up 1d01h, serving\n"
        "command   ./server -v say \"hi\"\n"
        "control   /run/app.control\n"
        "serving   generation 7\n"
        "workers   2 wanted: 1 spawning, 2 ready, 1 draining\n"
        "\n"
        "LISTENER                                            WAITING   LIMIT OVERFLOWS\n"
        "tcp://[::]:8080 (web)                                     3    4096        12\n"
        "    asked for as tcp://:8080?name=web\n"
        "unix:///run/app.sock                                    128     128         -\n"
        "udp://127.0.0.1:53 (dns)                                  -       -         0\n"
        "\n"
        "SLOT     PID   GEN STATE         FOR READY IN RESTARTS STATUS\n"
        "   0    1200     7 ready       5h00m    480ms        0 all well\n"
        "   1    1201     7 ready       1m05s     2.3s        1\n"
        "   2    1100     6 draining      12s    1m01s        0 KILL in 18s; 3 connection\n"
        "   4       -     7 spawning      0ms        -        0\n"
        "\n"
        "rollout   generation 8 failed after 1.2s, 3m18s ago\n"
        "          began 2026-01-02 02:47:25 UTC\n"
        "    generation 8: rollout failed after 1234 ms: worker 1300 (slot 3) ended\n"
        "    before it was ready: exit status 2\n"
        "    its last lines:\n"
        "        starting\n"
        "        error: no \"db\" ???[m\n"
        "\n"
        "rollouts                              8  rollouts done                         7\n"
        "rollouts failed                       1  rollouts cancelled                    0\n"
        "reloads refused                       0  workers started                      17\n"
        "workers not started                   0  workers replaced                      1\n"
        "workers ready                        16  workers late                          0\n"
        "workers lost                          0  workers ended                        14\n"
        "workers ended unasked                 2  workers crashed                       1\n"
        "workers killed                        0  log lines                          1000\n"
        "log bytes                         65536  log lines lost                        2\n");
}

/* Rules: K5 */
static void test_colours_only_where_they_are_asked_for(void **state)
{
    static const char *const parts[] = {
        "\x1b[1msocketmaster\x1b[m 0.1.0", "\x1b[1mcommand\x1b[m   ./server",
        "\x1b[31m    128 \x1b[m    128", /* a full queue */
        "\x1b[32mready     \x1b[m", "\x1b[33mdraining  \x1b[m",
        "generation 8 \x1b[31mfailed\x1b[m after", "\n\n\x1b[1mLISTENER  ", "OVERFLOWS \x1b[m\n",
        "\n\n\x1b[1mSLOT  ", "STATUS\x1b[m\n", "            3    4096        12\n", /* not full */
        "            -       -         0\n", /* it cannot be */
    };
    (void)state;
    scene();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        expect_part(table_of(80, true), parts[i]);
    expect_no_part(table_of(80, false), "\x1b");
}

/* Rules: K5 */
static void test_each_state_has_its_colour(void **state)
{
    static const char *const states[CORE_WORKER_STATE_COUNT] = {
        [CORE_WORKER_SPAWNING] = "\x1b[33mspawning",
        [CORE_WORKER_CANCELLED] = "\x1b[31mcancelled",
        [CORE_WORKER_EXECUTING] = "\x1b[33mexecuting",
        [CORE_WORKER_STARTING] = "\x1b[33mstarting",
        [CORE_WORKER_HELD] = "\x1b[32mheld",
        [CORE_WORKER_READY] = "\x1b[32mready",
        [CORE_WORKER_DRAINING] = "\x1b[33mdraining",
        [CORE_WORKER_STOPPING] = "\x1b[31mstopping",
        [CORE_WORKER_KILLED] = "\x1b[31mkilled",
    };
    (void)state;
    for (int each = CORE_WORKER_SPAWNING; each < CORE_WORKER_STATE_COUNT; each++) {
        snapshot_init(&snapshot);
        snapshot_worker(&snapshot, 0, (enum core_worker_state)each, 1, 1, 1);
        expect_part(table_of(80, true), states[each]);
    }
}

/* Rules: K5 */
static void test_how_long_in_words(void **state)
{
    static const struct {
        uint64_t milliseconds;
        const char *words;
    } cases[] = {
        {0, "0ms"},
        {999, "999ms"},
        {1000, "1.0s"},
        {9999, "9.9s"},
        {10000, "10s"},
        {59999, "59s"},
        {60000, "1m00s"},
        {3599999, "59m59s"},
        {3600000, "1h00m"},
        {86399999, "23h59m"},
        {86400000, "1d00h"},
        {UINT64_C(86400000) * 999 + 86399999, "999d23h"},
        {UINT64_MAX, "213503982334d14h"},
    };
    char part[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        struct tally_slot *known = snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1, 1, 0);
        known->ready = known->since;
        known->ready_after = cases[i].milliseconds;
        snprintf(part, sizeof part, " ready         0ms %8s        0\n", cases[i].words);
        expect_part(table_of(80, false), part);
    }
}

/* Rules: K5 */
static void test_a_clock_that_is_behind_tells_of_no_time(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot.source.started_wall_s = SNAPSHOT_WALL + 1;
    snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1, 1, 0)->since.ms = SNAPSHOT_NOW_MS + 1;
    expect_part(table_of(80, false), "up 0ms,");
    expect_part(table_of(80, false), "ready         0ms");
}

/* Rules: K5 R8 */
static void test_when_KILL_is_due(void **state)
{
    static const struct {
        enum core_worker_state state;
        uint64_t deadline;
        const char *end;
    } cases[] = {
        {CORE_WORKER_DRAINING, SNAPSHOT_NOW_MS + 2000, " KILL in 2.0s\n"},
        {CORE_WORKER_DRAINING, SNAPSHOT_NOW_MS - 1, " KILL in 0ms\n"},
        {CORE_WORKER_STOPPING, SNAPSHOT_NOW_MS + 5000, " KILL in 5.0s\n"},
        {CORE_WORKER_STOPPING, CORE_NEVER, "       0\n"},
        {CORE_WORKER_KILLED, SNAPSHOT_NOW_MS + 5000, "       0\n"},
        {CORE_WORKER_STARTING, SNAPSHOT_NOW_MS + 5000, "       0\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snapshot_init(&snapshot);
        snapshot_worker(&snapshot, 0, cases[i].state, 1, 1, 0);
        snapshot.core.workers[0].deadline = cases[i].deadline;
        expect_part(table_of(80, false), cases[i].end);
    }
}

/* Rules: K5 */
static void test_what_the_master_is_doing(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    expect_part(table_of(80, false), ", new\ncommand   ./server\nserving   nothing yet\nworkers");
    expect_part(table_of(80, false), "workers   1 wanted\n\nSLOT ");
    snapshot.core.phase = CORE_ROLLING;
    snapshot.core.serving = 3;
    snapshot.core.generation = 5;
    expect_part(table_of(80, false), ", rolling\n");
    expect_part(table_of(80, false), "serving   generation 3; generation 5 is starting\n");
    snapshot.core.reload_pending = true;
    expect_part(table_of(80, false), " 5 is starting; one more reload is remembered\n");
    snapshot.core.scale_pending = 7;
    expect_part(table_of(80, false), "workers   7 wanted\n");
}

/* Rules: K5 R7 */
static void test_what_became_of_the_last_rollout(void **state)
{
    static const struct {
        enum tally_result result;
        const char *words;
    } cases[] = {
        {TALLY_RUNNING, "\x1b[1mrollout\x1b[m   generation 2 \x1b[33mrunning\x1b[m for 5.0s\n"},
        {TALLY_DONE, "generation 2 \x1b[32mdone\x1b[m after 3.0s, 2.0s ago\n          began "},
        {TALLY_FAILED, "generation 2 \x1b[31mfailed\x1b[m after 3.0s, 2.0s ago\n"},
        {TALLY_CANCELLED, "generation 2 \x1b[33mcancelled\x1b[m after 3.0s, 2.0s ago\n"},
    };
    (void)state;
    snapshot_init(&snapshot);
    expect_no_part(table_of(80, true), "rollout\x1b[m");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tally_rollout *rollout = &snapshot.tally.rollout;
        *rollout = (struct tally_rollout){.result = cases[i].result,
            .generation = 2,
            .began = snapshot_ago(5000),
            .ended = snapshot_ago(2000),
            .elapsed = 3000};
        set_words(rollout->line, &rollout->line_length, "why it failed");
        const char *table = table_of(80, true);
        expect_part(table, cases[i].words);
        expect_part(table, "began 2026-01-02 02:50:40 UTC\n");
        expect_no_part(table, "its last lines");
        if (cases[i].result == TALLY_FAILED)
            expect_part(table, "UTC\n    why it failed\n\n");
        else
            expect_no_part(table, "why it failed");
    }
}

/* Rules: K5 I10 */
static void test_what_a_worker_wrote_moves_no_cursor(void **state)
{
    struct tally_rollout *rollout = &snapshot.tally.rollout;
    (void)state;
    scene();
    rollout->output_length = 0;
    for (unsigned byte = 0; byte < 256; byte++)
        rollout->output[rollout->output_length++] = (char)byte;
    strcpy(snapshot.statuses[0], "\x1b[2J\xc3\xa4\ta\rb\x7f");
    const char *table = table_of(120, false);
    expect_part(table, " 0 ?[2J?? a?b?\n");
    expect_part(table, "        ?????????\n        ????????????????????? !\"#$%&'()*+,-./012345");
    for (const char *at = table; *at != '\0'; at++)
        assert_true(*at == '\n' || (*at >= ' ' && *at <= '~'));
}

/* Rules: K5 */
static void test_long_words_are_broken_and_others_not(void **state)
{
    static const struct {
        const char *line;
        const char *told;
    } cases[] = {
        {"", ""},
        {"\n\na\n", "\n\n    a\n"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123456",
            "    1234567890123456789012345678901234567890123456789012345678901234567890123456\n"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123456 b",
            "    1234567890123456789012345678901234567890123456789012345678901234567890123456\n"
            "    b\n"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567",
            "    1234567890123456789012345678901234567890123456789012345678901234567890123456\n"
            "    7\n"},
        {"a 1234567890123456789012345678901234567890123456789012345678901234567890123456",
            "    a\n"
            "    1234567890123456789012345678901234567890123456789012345678901234567890123456\n"},
        {"a 12345678901234567890123456789012345678901234567890123456789012345678901234567",
            "    a 12345678901234567890123456789012345678901234567890123456789012345678901234\n"
            "    567\n"},
        {"ends with a blank \nthe next", "    ends with a blank\n    the next\n"},
    };
    char part[512];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tally_rollout *rollout = &snapshot.tally.rollout;
        scene();
        rollout->output_length = 0;
        set_words(rollout->line, &rollout->line_length, cases[i].line);
        snprintf(part, sizeof part, "UTC\n%s\nrollouts ", cases[i].told);
        expect_part(table_of(80, false), part);
    }
}

/* Rules: K5 */
static void test_long_addresses_and_commands_go_on_below(void **state)
{
    char address[101], part[256];
    (void)state;
    memset(address, 'x', sizeof address - 1);
    address[sizeof address - 1] = '\0';
    snapshot_init(&snapshot);
    snapshot.command[1] = text_span_of("--of=one-word-that-is-not-very-short");
    snapshot.command[2] = text_span_of("--of=another-word-that-is-not-very-short");
    snapshot.source.command_count = 3;
    snapshot_listener(&snapshot, address, address);
    expect_part(table_of(80, false), "command   ./server --of=one-word-that-is-not-very-short\n"
                                     "          --of=another-word-that-is-not-very-short\n");
    snprintf(part, sizeof part, "OVERFLOWS\n%.80s\n    %.20s%28s      0    4096         -\n\n",
        address, address, "");
    expect_part(table_of(80, false), part);
    /* One that ends where the numbers begin, and one that ends a column before them. */
    address[52] = '\0';
    snapshot.listeners[0].uri = text_span_of(address);
    snprintf(part, sizeof part, "\n%s\n%52s      0    4096         -\n\n", address, "");
    expect_part(table_of(80, false), part);
    address[51] = '\0';
    snapshot.listeners[0].uri = text_span_of(address);
    snprintf(part, sizeof part, "\n%s       0    4096         -\n\n", address);
    expect_part(table_of(80, false), part);
}

/* Rules: K5 */
static void test_a_command_without_end_is_cut(void **state)
{
    static char word[STATUS_COMMAND_MAX];
    (void)state;
    memset(word, 'w', sizeof word - 1);
    snapshot_init(&snapshot);
    snapshot.command[0].bytes = word;
    snapshot.command[0].length = STATUS_COMMAND_MAX - 1;
    expect_no_part(table_of(80, false), "...");
    snapshot.command[1] = (struct text_span){"", 0};
    snapshot.source.command_count = 2;
    expect_part(table_of(80, false), "w ...\n");
    snapshot.command[0].length = STATUS_COMMAND_MAX;
    expect_part(table_of(80, false), "command   ...\n");
    snapshot.source.command_count = 0;
    expect_part(table_of(80, false), "command\nserving");
}

/* No line is wider. */
static size_t widest(const char *table)
{
    size_t most = 0;
    for (const char *end; (end = strchr(table, '\n')) != NULL; table = end + 1)
        most = (size_t)(end - table) > most ? (size_t)(end - table) : most;
    return most;
}

/* Rules: K5 */
static void test_columns(void **state)
{
    static const struct {
        unsigned asked;
        unsigned given;
    } cases[] = {{0, 80}, {79, 80}, {80, 80}, {81, 81}, {512, 512}, {513, 512}, {UINT32_MAX, 512}};
    char status[STATUS_WORD_MAX];
    (void)state;
    memset(status, 's', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene();
        snapshot.core.workers[0].generation = UINT64_MAX;
        snapshot.core.workers[0].pid = INT64_MAX;
        snapshot.source.now_ms = UINT64_MAX;
        snapshot.tally.slots[0].ready_after = UINT64_MAX;
        snapshot.tally.rollout.line_length = TALLY_LINE_MAX;
        memset(snapshot.tally.rollout.line, 'x', TALLY_LINE_MAX);
        strcpy(snapshot.statuses[0], status);
        assert_int_equal(widest(table_of(cases[i].asked, false)), cases[i].given);
    }
}

/* Rules: K5 */
static void test_a_slot_that_was_never_used_is_not_looked_at(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1, 1, 0);
    snapshot.core.workers[1] = snapshot.core.workers[0];
    expect_part(table_of(80, false), "\n   0       1     1 ready");
    expect_no_part(table_of(80, false), "\n   1 ");
}

/* Rules: K5 */
static void test_many_states_go_on_below(void **state)
{
    (void)state;
    snapshot_init(&snapshot);
    for (unsigned slot = 0; slot < 9; slot++)
        snapshot_worker(&snapshot, slot, CORE_WORKER_SPAWNING + slot, 1, 1, 1);
    expect_part(table_of(80, false),
        "workers   1 wanted: 1 spawning, 1 cancelled, 1 executing, 1 starting,\n"
        "          1 held, 1 ready, 1 draining, 1 stopping, 1 killed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scene),
        cmocka_unit_test(test_colours_only_where_they_are_asked_for),
        cmocka_unit_test(test_each_state_has_its_colour),
        cmocka_unit_test(test_how_long_in_words),
        cmocka_unit_test(test_a_clock_that_is_behind_tells_of_no_time),
        cmocka_unit_test(test_when_KILL_is_due),
        cmocka_unit_test(test_what_the_master_is_doing),
        cmocka_unit_test(test_what_became_of_the_last_rollout),
        cmocka_unit_test(test_what_a_worker_wrote_moves_no_cursor),
        cmocka_unit_test(test_long_words_are_broken_and_others_not),
        cmocka_unit_test(test_long_addresses_and_commands_go_on_below),
        cmocka_unit_test(test_a_command_without_end_is_cut),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_a_slot_that_was_never_used_is_not_looked_at),
        cmocka_unit_test(test_many_states_go_on_below),
    };
    return cmocka_run_group_tests_name("status_table", tests, NULL, NULL);
}
