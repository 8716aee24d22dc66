/*
 * Tests of ancestor: the walk from a process to its parents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "ancestor.h"
#include "os_fake.h"

static struct os_fake fake;
static unsigned asked;

static bool is_sought(void *context, pid_t pid)
{
    asked++;
    return pid == *(pid_t *)context;
}

static int find(pid_t pid, pid_t sought)
{
    asked = 0;
    return ancestor_find(&fake.os, pid, is_sought, &sought);
}

static int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    os_fake_relate(&fake, 10, 1);
    os_fake_relate(&fake, 11, 10);
    os_fake_relate(&fake, 12, 11);
    os_fake_relate(&fake, 20, 0); /* its parent is in another pid namespace */
    os_fake_relate(&fake, 21, 20);
    os_fake_relate(&fake, 31, 30); /* its parent is gone */
    return 0;
}

/* Rules: K3 R4 */
static void test_the_nearest_is_found(void **state)
{
    (void)state;
    assert_int_equal(find(12, 12), 1);
    assert_int_equal(os_fake_uses(&fake, "process_look"), 0);
    assert_int_equal(find(12, 11), 1);
    assert_int_equal(asked, 2);
    assert_int_equal(find(12, 10), 1);
    assert_int_equal(find(21, 20), 1);
}

/* Rules: K3 R4 */
static void test_nobody_is(void **state)
{
    (void)state;
    assert_int_equal(find(12, 99), 0);
    assert_int_equal(asked, 3);
    assert_int_equal(find(21, 10), 0);
    /* Process 1 is nobody's, and there is none before it. */
    assert_int_equal(find(12, 1), 0);
    assert_int_equal(find(1, 1), 0);
    assert_int_equal(find(0, 0), 0);
    assert_int_equal(find(-1, -1), 0);
}

/* Rules: K3 R4 I7 */
static void test_nobody_can_tell(void **state)
{
    (void)state;
    assert_int_equal(find(31, 10), -ESRCH);
    assert_int_equal(find(30, 10), -ESRCH);
    os_fake_fail(&fake, "process_look", 2, EMFILE);
    assert_int_equal(find(12, 10), -EMFILE);
}

/* Rules: K3 R4 I11 */
static void test_the_walk_has_an_end(void **state)
{
    (void)state;
    os_fake_relate(&fake, 40, 41);
    os_fake_relate(&fake, 41, 40);
    assert_int_equal(find(40, 99), -ELOOP);
    assert_int_equal(os_fake_uses(&fake, "process_look"), ANCESTOR_STEPS_MAX + 1);
}

#define CASE(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_nearest_is_found),
        CASE(test_nobody_is),
        CASE(test_nobody_can_tell),
        CASE(test_the_walk_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
