/*
 * Tests of the simulated kernel: its choices, and its judge where workers are started, told to end
 * and reaped. Each master here does one thing that no master may, and has to be caught at it; the
 * good ones have to be let pass. What masters hold is judged in test_os_sim_holdings.
 */
#include "os_sim_world.h"

#include <errno.h>

/* --- good ones --- */

static void good(void)
{
    begin();
    struct worker old = serve(1);
    os_sim_connect(&sim);
    struct worker new = serve(2);
    os->kill_process(os, old.pid, SIGHUP);
    sleep_ms(1);
    reap_all();
    forget(old);
    os->close(os, new.report);
    os_sim_check_rest(&sim);
    take_signal(SIGTERM);
    os->kill_process(os, new.pid, SIGTERM);
    sleep_ms(1);
    reap_all();
    os->close(os, new.output);
    end();
    os_sim_check_end(&sim, 0);
}

/* Three of which two drain, and only one may. */
static struct worker drain_too_many(void)
{
    begin();
    sim.settings.max_draining = 1;
    struct worker oldest = serve_stubborn(1);
    struct worker old = serve_stubborn(2);
    os->kill_process(os, oldest.pid, SIGHUP);
    serve(3);
    os->kill_process(os, old.pid, SIGHUP);
    return oldest;
}

static void kills_the_surplus(void)
{
    os->kill_group(os, drain_too_many().pid, SIGKILL);
}

static void born_to_fail(struct os_sim *of, struct os_sim_process *process)
{
    (void)of;
    process->temper.boot_step = OS_STEP_EXECUTE;
    process->temper.boot_error = ENOEXEC;
}

/* One that could not execute, is not reaped because that fails, and is told of a stop as well. */
static void kill_what_failed(uint64_t after_ms)
{
    begin();
    sim.born = born_to_fail;
    os_sim_fault_struck(&sim, OS_CALL_REAP);
    struct worker worker = start(1);
    sleep_ms(after_ms / 2);
    take_signal(SIGTERM);
    os->kill_process(os, worker.pid, SIGTERM);
    sleep_ms(after_ms - after_ms / 2);
    os->kill_group(os, worker.pid, SIGKILL);
}

static void kills_what_failed_at_its_bound(void)
{
    kill_what_failed(STOP_MS);
}

/* --- starts and rollouts --- */

static void overlaps(void)
{
    begin();
    serve(1);
    start(2);
    start(3);
}

static void forgets_a_reload(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    take_signal(SIGHUP);
    sleep_ms(1);
    os_sim_check_rest(&sim);
}

static void leaves_a_start_half_done(void)
{
    begin();
    start(1);
    os_sim_check_rest(&sim);
}

static void retires_nobody(void)
{
    begin();
    serve(1);
    serve(2);
    os_sim_check_rest(&sim);
}

static void replaces_nobody(void)
{
    begin();
    serve(1);
    crash(0);
    reap_all();
    os_sim_check_rest(&sim);
}

static void spins(void)
{
    begin();
    for (;;)
        os->clock_ms(os);
}

static void waits_for_nothing(void)
{
    struct os_ready ready;
    begin();
    os->watch_wait(os, set, &ready, 1, -1);
}

/* --- signals --- */

static void retires_too_early(void)
{
    begin();
    struct worker old = serve(1);
    start(2);
    sleep_ms(START_MS - 1);
    os->kill_process(os, old.pid, SIGHUP);
}

static void retires_for_nobody(void)
{
    begin();
    struct worker old = serve(1);
    struct worker new = serve(2);
    crash(1);
    reap_all();
    forget(new);
    os->kill_process(os, old.pid, SIGHUP);
}

static void retires_twice(void)
{
    begin();
    struct worker old = serve_stubborn(1);
    serve(2);
    os->kill_process(os, old.pid, SIGHUP);
    os->kill_process(os, old.pid, SIGHUP);
}

static void retires_by_another_signal(void)
{
    begin();
    struct worker old = serve(1);
    serve(2);
    os->kill_process(os, old.pid, SIGUSR1);
}

static void signals_the_reaped(void)
{
    begin();
    struct worker old = serve(1);
    crash(0);
    reap_all();
    os->kill_process(os, old.pid, SIGHUP);
}

static void signals_a_stranger(void)
{
    begin();
    struct worker old = serve(1);
    crash(0);
    reap_all();
    static const uint8_t again[] = {1};
    os_sim_choice_bytes(&choice, again, sizeof again);
    os_sim_stranger(&sim, UINT64_MAX / 2);
    assert_int_equal(sim.processes[0].pid, old.pid);
    os->kill_group(os, old.pid, SIGTERM);
}

static void signals_an_orphan(void)
{
    begin();
    sim.settings.is_init = true;
    os_sim_stranger(&sim, 1);
    sleep_ms(2);
    os->kill_process(os, OS_SIM_PID_FIRST, SIGTERM);
}

static void kills_too_early(void)
{
    begin();
    struct worker old = serve_stubborn(1);
    serve(2);
    os->kill_process(os, old.pid, SIGHUP);
    sleep_ms(STOP_MS - 1);
    os->kill_group(os, old.pid, SIGKILL);
}

static void kills_without_a_word(void)
{
    begin();
    struct worker old = serve(1);
    os->kill_group(os, old.pid, SIGKILL);
}

static void kills_what_failed_too_early(void)
{
    kill_what_failed(STOP_MS - 1);
}

static void kills_the_wrong_surplus(void)
{
    os->kill_group(os, drain_too_many().pid + 1, SIGKILL);
}

/* --- ends --- */

static void leaves_a_zombie(void)
{
    begin();
    struct worker old = serve(1);
    serve(2);
    os->kill_process(os, old.pid, SIGHUP);
    sleep_ms(1);
    os_sim_check_rest(&sim);
}

static void sleeps_beside_a_zombie(void)
{
    begin();
    serve(1);
    serve(2);
    crash(0);
    take_signal(SIGUSR1);
    sleep_ms(1);
}

static void starts_after_a_stop(void)
{
    begin();
    serve(1);
    take_signal(SIGTERM);
    start(2);
}

/* The reload was asked for before the stop. */
static void starts_what_was_pending(void)
{
    begin();
    struct worker worker = serve(1);
    start(2);
    take_signal(SIGHUP);
    take_signal(SIGTERM);
    os->kill_process(os, worker.pid, SIGTERM);
    os->kill_process(os, worker.pid + 1, SIGTERM);
    sleep_ms(1);
    reap_all();
    start(3);
}

static void keeps_a_stop_to_itself(void)
{
    begin();
    serve(1);
    take_signal(SIGTERM);
    sleep_ms(1);
}

static void stops_by_another_signal(void)
{
    begin();
    struct worker worker = serve(1);
    take_signal(SIGTERM);
    os->kill_process(os, worker.pid, SIGUSR1);
}

static void leaves_a_worker(void)
{
    begin();
    serve(1);
    os_sim_check_end(&sim, 0);
}

static void fails_after_a_stop(void)
{
    begin();
    take_signal(SIGTERM);
    end();
    os_sim_check_end(&sim, 1);
}

static void ends_with_what_is_no_status(void)
{
    begin();
    end();
    os_sim_check_end(&sim, 256);
}

static const struct master masters[] = {
    {"good", good, NULL},
    {"kills the surplus", kills_the_surplus, NULL},
    {"kills what failed at its bound", kills_what_failed_at_its_bound, NULL},
    {"overlaps", overlaps, "I4: generation 3"},
    {"forgets a reload", forgets_a_reload, "I4: worker 1001 is older than the last reload"},
    {"leaves a start half done", leaves_a_start_half_done, "I4: worker 1001 still"},
    {"retires nobody", retires_nobody, "I4: worker 1001 is older"},
    {"replaces nobody", replaces_nobody, "I2: 0 workers"},
    {"spins", spins, "I9:"},
    {"waits for nothing", waits_for_nothing, "I5: waits for ever"},
    {"retires too early", retires_too_early, "I2: worker 1001"},
    {"retires for nobody", retires_for_nobody, "I2: worker 1001"},
    {"retires twice", retires_twice, "I3: worker 1001 is told"},
    {"retires by another signal", retires_by_another_signal, "R8: worker 1001 gets signal 10"},
    {"signals the reaped", signals_the_reaped, "I3: signal 1 to 1001"},
    {"signals a stranger", signals_a_stranger, "I3: signal 15 to 1001, which is no child"},
    {"signals an orphan", signals_an_orphan, "I3: signal 15 to 1001, which is no worker"},
    {"kills too early", kills_too_early, "R8: KILL to worker 1001, 4999 ms"},
    {"kills without a word", kills_without_a_word, "R8: KILL to worker 1001, which"},
    {"kills what failed too early", kills_what_failed_too_early, "R8: KILL to worker 1001, 4999"},
    {"kills the wrong surplus", kills_the_wrong_surplus, "R8: KILL to worker 1002, 0 ms"},
    {"leaves a zombie", leaves_a_zombie, "I3: worker 1001 stays"},
    {"sleeps beside a zombie", sleeps_beside_a_zombie, "I3: sleeps while 1001"},
    {"starts after a stop", starts_after_a_stop, "I5: worker 1002 is started"},
    {"starts what was pending", starts_what_was_pending, "I5: worker 1003 is started"},
    {"keeps a stop to itself", keeps_a_stop_to_itself, "I5: the stop"},
    {"stops by another signal", stops_by_another_signal, "I5: worker 1001 gets signal 10"},
    {"leaves a worker", leaves_a_worker, "I5: worker 1001 is left"},
    {"fails after a stop", fails_after_a_stop, "X1:"},
    {"ends with what is no status", ends_with_what_is_no_status, "X1:"},
};

/* Rules: I2 I3 I4 I5 I9 R8 X1 */
static void test_the_judge_catches_who_treats_workers_wrongly(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

/* Rules: I4 */
static void test_choices_come_again(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct os_sim_choice one, other;
    (void)state;
    os_sim_choice_seed(&one, 7);
    os_sim_choice_seed(&other, 7);
    for (uint32_t bound = 1; bound < 1000; bound++) {
        uint32_t chosen = os_sim_choose(&one, bound);
        assert_true(chosen < bound);
        assert_int_equal(chosen, os_sim_choose(&other, bound));
    }
    os_sim_choice_bytes(&one, bytes, sizeof bytes);
    assert_int_equal(os_sim_choose(&one, 1), 0);
    assert_int_equal(os_sim_choose(&one, 256), 1);
    assert_int_equal(os_sim_choose(&one, 65536), 2 << 8 | 3);
    assert_int_equal(os_sim_choose(&one, 65536), 0);
    assert_false(os_sim_chance(&one, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_judge_catches_who_treats_workers_wrongly),
        cmocka_unit_test(test_choices_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
