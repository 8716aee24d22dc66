/*
 * Tests of os_fault: each kind of failure does to the port behind it what os_fault.h says, at the
 * use that was aimed at and at no other; and the list of ways is complete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "os_fault_world.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void aim(enum os_call call, const char *way)
{
    const struct os_fault_way *found = os_fault_find(call, way);
    assert_non_null(found);
    os_fault_aim(&fault, found, 1, OS_FAULT_ONCE);
}

/* Did the port behind see this call, and nothing else? */
static void expect_seen(int call)
{
    assert_int_equal(seen.called, call);
    assert_int_equal(seen.calls, call == NONE ? 0 : 1);
    seen.called = NONE;
    seen.calls = 0;
}

/* --- tests --- */

/* Rules: I7 */
static void test_what_does_not_fail_is_passed_on_and_counted(void **state)
{
    for (int call = 0; call < OS_CALL_COUNT; call++) {
        set_up(state);
        seen.result = 7;
        use((enum os_call)call);
        expect_seen(call);
        assert_int_equal(fault.uses[call], 1);
        assert_int_equal(fault.struck, 0);
    }
}

/* Rules: I7 */
static void test_an_error_is_returned_and_nothing_is_done(void **state)
{
    size_t tried = 0;
    for (size_t i = 0; i < os_fault_way_count; i++) {
        const struct os_fault_way *way = &os_fault_ways[i];
        if (way->kind != OS_FAULT_ERROR && way->kind != OS_FAULT_DONE)
            continue;
        set_up(state);
        os_fault_aim(&fault, way, 1, OS_FAULT_ONCE);
        assert_int_equal(use(way->call), -way->error);
        expect_seen(way->kind == OS_FAULT_DONE ? (int)way->call : NONE);
        assert_int_equal(fault.struck, 1);
        assert_int_equal(fault.struck_by[way->call], 1);

        assert_int_equal(use(way->call), 0);
        expect_seen((int)way->call);
        assert_int_equal(fault.struck, 1);
        tried++;
    }
    assert_true(tried > 200);
}

/* Rules: I7 */
static void test_the_use_that_was_aimed_at_fails(void **state)
{
    static const struct {
        enum os_fault_span span;
        const char *fails; /* a letter a use */
    } rows[] = {{OS_FAULT_ONCE, "--x-----"}, {OS_FAULT_FOR_EVER, "--xxx---"}};
    const struct os_fault_way *way = os_fault_find(OS_CALL_WATCH_OPEN, "EMFILE");
    for (size_t row = 0; row < COUNT(rows); row++) {
        set_up(state);
        use(OS_CALL_WATCH_OPEN); /* before the aim: it does not count */
        os_fault_aim(&fault, way, 3, rows[row].span);
        for (size_t i = 0; rows[row].fails[i] != '\0'; i++) {
            if (i == 5)
                os_fault_lift(&fault);
            assert_int_equal(use(OS_CALL_NULL_OPEN), 0);
            assert_int_equal(use(OS_CALL_WATCH_OPEN), rows[row].fails[i] == 'x' ? -EMFILE : 0);
        }
    }
}

static const struct os_fault_way *choose_by_chance(struct os_fault *chosen, enum os_call call)
{
    assert_ptr_equal(chosen, &fault);
    bool odd = chosen->uses[call] % 2 == 1;
    return odd && call == OS_CALL_READ ? chosen->context : NULL;
}

/* Rules: I7 */
static void test_somebody_else_may_choose(void **state)
{
    (void)state;
    struct os_fault_way way = {OS_CALL_READ, OS_FAULT_ERROR, EIO, "EIO"};
    fault.choose = choose_by_chance;
    fault.context = &way;
    assert_int_equal(use(OS_CALL_READ), -EIO);
    assert_int_equal(use(OS_CALL_READ), 0);
    assert_int_equal(use(OS_CALL_READ), -EIO);
}

/* Rules: I7 */
static void test_every_call_has_ways_or_a_reason(void **state)
{
    (void)state;
    int last = 0;
    for (size_t i = 0; i < os_fault_way_count; i++) {
        const struct os_fault_way *way = &os_fault_ways[i];
        assert_true((int)way->call >= last);
        last = (int)way->call;
        assert_ptr_equal(os_fault_find(way->call, way->name), way);
    }
    for (int call = 0; call < OS_CALL_COUNT; call++) {
        size_t ways = 0;
        for (size_t i = 0; i < os_fault_way_count; i++)
            ways += (int)os_fault_ways[i].call == call;
        assert_true((ways > 0) != (os_fault_never((enum os_call)call) != NULL));
    }
    assert_null(os_fault_find(OS_CALL_READ, "EMFILE"));
    assert_string_equal(os_fault_call_name(OS_CALL_SPAWN), "spawn");
}

/* Rules: I7 */
static void test_a_part_is_asked_for(void **state)
{
    static const enum os_call calls[] = {OS_CALL_READ, OS_CALL_SIGNALS_READ, OS_CALL_OUTPUT_WRITE,
        OS_CALL_DATAGRAMS_SEND, OS_CALL_WATCH_WAIT};
    for (size_t i = 0; i < COUNT(calls); i++) {
        set_up(state);
        seen.result = 1;
        aim(calls[i], "half");
        assert_int_equal(use(calls[i]), 1);
        assert_int_equal(seen.size, SIZE / 2);
        aim(calls[i], "one");
        use(calls[i]);
        assert_int_equal(seen.size, 1);
        use(calls[i]);
        assert_int_equal(seen.size, SIZE);
    }
}

/* Rules: I7 */
static void test_less_than_one_is_not_asked_for(void **state)
{
    (void)state;
    char byte;
    aim(OS_CALL_READ, "half");
    os->read(os, 3, &byte, 1);
    assert_int_equal(seen.size, 1);
    aim(OS_CALL_READ, "one");
    os->read(os, 3, &byte, 0);
    assert_int_equal(seen.size, 0);
}

/* Rules: I7 */
static void test_waits_end_early(void **state)
{
    (void)state;
    seen.result = 1;
    aim(OS_CALL_WATCH_WAIT, "early");
    assert_int_equal(use(OS_CALL_WATCH_WAIT), 0);
    aim(OS_CALL_PAUSE_MS, "early");
    use(OS_CALL_PAUSE_MS);
    expect_seen(NONE);
    assert_int_equal(use(OS_CALL_WATCH_WAIT), 1);
}

/* Rules: I3 I7 */
static void test_who_was_not_reaped_makes_itself_felt_again(void **state)
{
    (void)state;
    struct os_ready ready[4];
    seen.result = PID;
    aim(OS_CALL_REAP, "early");
    assert_int_equal(use(OS_CALL_REAP), 0);
    expect_seen(NONE);
    /* A look without waiting is none that CHLD would end. */
    assert_int_equal(os->watch_wait(os, 3, ready, 4, 0), PID);
    expect_seen(OS_CALL_WATCH_WAIT);
    assert_int_equal(os->watch_wait(os, 3, ready, 4, -1), 0);
    expect_seen(NONE);
    assert_int_equal(os->watch_wait(os, 3, ready, 4, -1), PID);
    assert_int_equal(use(OS_CALL_REAP), PID);
}

/* Rules: I7 */
static void test_spuriously_all_that_is_watched_is_ready(void **state)
{
    (void)state;
    enum { SET = 10, OTHER = 11 };
    struct os_ready ready[8];
    os->watch_add(os, SET, 20, 120, true, false);
    os->watch_add(os, SET, 21, 121, false, true);
    os->watch_add(os, SET, 22, 122, true, false);
    os->watch_add(os, SET, 23, 123, true, false);
    os->watch_add(os, OTHER, 24, 124, true, false);
    aim(OS_CALL_WATCH_ADD, "ENOSPC");
    os->watch_add(os, SET, 25, 125, true, false);
    os->watch_remove(os, SET, 22);
    os->close(os, 23);

    aim(OS_CALL_WATCH_WAIT, "spurious");
    assert_int_equal(os->watch_wait(os, SET, ready, 8, -1), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ready[i].token, 120 + i);
        assert_true(ready[i].readable && ready[i].writable);
    }
    aim(OS_CALL_WATCH_WAIT, "spurious");
    assert_int_equal(os->watch_wait(os, SET, ready, 1, -1), 1);
    aim(OS_CALL_WATCH_REMOVE, "ENOMEM");
    os->watch_remove(os, SET, 21);
    aim(OS_CALL_WATCH_WAIT, "spurious");
    assert_int_equal(os->watch_wait(os, SET, ready, 8, -1), 2);
    os->close(os, SET);
    aim(OS_CALL_WATCH_WAIT, "spurious");
    assert_int_equal(os->watch_wait(os, SET, ready, 8, -1), 0);
}

/* Rules: I7 */
static void test_clocks_jump(void **state)
{
    (void)state;
    assert_int_equal(use(OS_CALL_CLOCK_MS), 5000);
    aim(OS_CALL_CLOCK_MS, "late");
    assert_int_equal(use(OS_CALL_CLOCK_MS), 5000 + OS_FAULT_LATE_MS);
    assert_int_equal(use(OS_CALL_CLOCK_MS), 5000 + OS_FAULT_LATE_MS);
    aim(OS_CALL_CLOCK_MS, "late");
    assert_int_equal(use(OS_CALL_CLOCK_MS), 5000 + 2 * OS_FAULT_LATE_MS);

    aim(OS_CALL_WALL_CLOCK, "day-later");
    assert_int_equal(use(OS_CALL_WALL_CLOCK), 1000000 + OS_FAULT_DAY_S);
    aim(OS_CALL_WALL_CLOCK, "day-earlier");
    assert_int_equal(use(OS_CALL_WALL_CLOCK), 1000000 - OS_FAULT_DAY_S);
    assert_int_equal(use(OS_CALL_WALL_CLOCK), 1000000);
}

/* Rules: I7 */
static void test_lies(void **state)
{
    (void)state;
    for (int truth = 0; truth <= 1; truth++) {
        seen.terminal = truth;
        seen.result = truth;
        aim(OS_CALL_IS_TERMINAL, "lie");
        assert_int_equal(use(OS_CALL_IS_TERMINAL), !truth);
        assert_int_equal(use(OS_CALL_IS_TERMINAL), truth);
        aim(OS_CALL_IS_NONBLOCKING, "lie");
        assert_int_equal(use(OS_CALL_IS_NONBLOCKING), !truth);
        assert_int_equal(use(OS_CALL_IS_NONBLOCKING), truth);
    }
    seen.result = -EBADF;
    aim(OS_CALL_IS_NONBLOCKING, "lie");
    assert_int_equal(use(OS_CALL_IS_NONBLOCKING), -EBADF);
}

/* Rules: I7 */
static void test_a_look_up_that_fails_has_words(void **state)
{
    (void)state;
    const char *why = NULL;
    aim(OS_CALL_HOST_FIND, "EAGAIN");
    assert_int_equal(os->host_find(os, "a", 0, NULL, 0, &why), -EAGAIN);
    assert_non_null(why);
}

/* --- the child's half --- */

static const struct os_move moves[] = {{.from = 9, .to = 12}, {.from = 12, .to = 14}};
static const char *const candidates[] = {"/bin/server", NULL};
static const struct os_spawn plan = {
    .moves = moves, .move_count = 2, .report = 14, .candidates = candidates};

static void spawn(const char *way)
{
    seen.result = PID;
    aim(OS_CALL_SPAWN, way);
    assert_int_equal(os->spawn(os, &plan), PID);
}

/* Rules: I7 R7 */
static void test_the_child_s_half_fails_where_it_should(void **state)
{
    spawn("child-descriptor");
    assert_int_equal(seen.plan.move_count, 1);
    assert_int_equal(seen.first_move.from, INT_MAX);
    /* Before any move the report's pipe is where the first of its moves takes it from. */
    assert_int_equal(seen.plan.report, 9);

    spawn("child-directory");
    assert_string_equal(seen.plan.directory, "/dev/null/missing");
    spawn("child-group");
    assert_true(seen.plan.account->gid == (gid_t)-1);
    spawn("child-execute");
    assert_string_equal(seen.plan.candidates[0], "/dev/null/missing");
    assert_null(seen.plan.candidates[1]);
    spawn("child-denied");
    assert_string_equal(seen.plan.candidates[0], "/");
    assert_int_equal(seen.killed, 0);

    set_up(state);
    seen.result = PID;
    assert_int_equal(os->spawn(os, &plan), PID);
    assert_memory_equal(&seen.plan, &plan, sizeof plan);
}

/* Rules: I7 R7 */
static void test_the_child_is_killed(void **state)
{
    (void)state;
    spawn("child-killed");
    assert_int_equal(seen.killed, PID);
    assert_memory_equal(&seen.plan, &plan, sizeof plan);

    seen.killed = 0;
    seen.result = -EAGAIN;
    aim(OS_CALL_SPAWN, "child-killed");
    assert_int_equal(os->spawn(os, &plan), -EAGAIN);
    assert_int_equal(seen.killed, 0);
}

#define FAULT_TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(test_what_does_not_fail_is_passed_on_and_counted),
        FAULT_TEST(test_an_error_is_returned_and_nothing_is_done),
        FAULT_TEST(test_the_use_that_was_aimed_at_fails),
        FAULT_TEST(test_somebody_else_may_choose),
        FAULT_TEST(test_every_call_has_ways_or_a_reason),
        FAULT_TEST(test_a_part_is_asked_for),
        FAULT_TEST(test_less_than_one_is_not_asked_for),
        FAULT_TEST(test_waits_end_early),
        FAULT_TEST(test_who_was_not_reaped_makes_itself_felt_again),
        FAULT_TEST(test_spuriously_all_that_is_watched_is_ready),
        FAULT_TEST(test_clocks_jump),
        FAULT_TEST(test_lies),
        FAULT_TEST(test_a_look_up_that_fails_has_words),
        FAULT_TEST(test_the_child_s_half_fails_where_it_should),
        FAULT_TEST(test_the_child_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
