/*
 * Tests of the simulated kernel: its judge. Each master here does one thing that no master may, and
 * has to be caught at it; the good one has to be let pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "os_sim.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { START_MS = 1000, STOP_MS = 5000 };

static struct os_sim sim;
static struct os_sim_choice choice;
static struct os *const os = &sim.os;
static jmp_buf escape;

/* What a master has. */
static int listener, set, inner_set, signals;
static char generation[64];

/* --- a small master, for the parts of which a test misbehaves --- */

static void begin(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    address.address.ss_family = AF_INET;
    listener = os->socket_open(os, AF_INET, SOCK_STREAM);
    os->socket_bind(os, listener, &address);
    os->socket_listen(os, listener, 16);
    set = os->watch_open(os);
    inner_set = os->watch_open(os);
    signals = os->signals_open(os);
}

struct worker {
    pid_t pid;
    int report, output;
};

/* Starts a worker of a generation, with so many variables more than it should have, and perhaps
 * without what it should have. */
static struct worker start_with(unsigned number, char *extra, bool with_listener)
{
    static char *arguments[] = {NULL, NULL};
    static const char *const candidates[] = {"/bin/server", NULL};
    int report[2], output[2];
    os->pipe_open(os, report);
    os->pipe_open(os, output);
    snprintf(generation, sizeof generation, "SOCKETMASTER_GENERATION=%u", number);
    char *environment[] = {generation, extra, NULL};
    const struct os_move moves[] = {
        {report[1], 9, false}, {output[1], 1, true}, {output[1], 2, true}, {listener, 3, true}};
    struct os_spawn plan = {.moves = moves,
        .move_count = with_listener ? 4 : 3,
        .report = 9,
        .candidates = candidates,
        .arguments = arguments,
        .environment = environment};
    pid_t pid = os->spawn(os, &plan);
    os->close(os, report[1]);
    os->close(os, output[1]);
    return (struct worker){pid, report[0], output[0]};
}

static struct worker start(unsigned number)
{
    return start_with(number, NULL, true);
}

static void sleep_ms(int64_t milliseconds)
{
    struct os_ready ready[4];
    uint64_t until = sim.now + (uint64_t)milliseconds;
    while (sim.now < until)
        os->watch_wait(os, set, ready, COUNT(ready), (int64_t)(until - sim.now));
}

/* One that is ready. */
static struct worker serve(unsigned number)
{
    struct worker worker = start(number);
    sleep_ms(START_MS);
    return worker;
}

static void take_signal(int signal)
{
    int taken[4];
    os_sim_signal(&sim, signal);
    os->signals_read(os, signals, taken, COUNT(taken));
}

static void reap_all(void)
{
    int status;
    while (os->reap(os, &status) > 0)
        continue;
}

static void forget(struct worker worker)
{
    os->close(os, worker.report);
    os->close(os, worker.output);
}

static void end(void)
{
    os->close(os, listener);
    os->close(os, set);
    os->close(os, inner_set);
    os->close(os, signals);
}

/* --- masters --- */

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

static void closes_its_listener(void)
{
    begin();
    serve(1);
    os->close(os, listener);
}

static void binds_twice(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_in)};
    begin();
    os->socket_bind(os, listener, &address);
}

static void cuts_its_backlog(void)
{
    begin();
    os->socket_listen(os, listener, 1);
}

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
    os_sim_process_signal(&sim, os_sim_worker(&sim, 1), SIGKILL);
    reap_all();
    forget(new);
    os->kill_process(os, old.pid, SIGHUP);
}

static void retires_twice(void)
{
    begin();
    struct worker old = serve(1);
    os_sim_worker(&sim, 0)->temper.reaction = OS_SIM_IGNORES;
    serve(2);
    os->kill_process(os, old.pid, SIGHUP);
    os->kill_process(os, old.pid, SIGHUP);
}

static void signals_the_reaped(void)
{
    begin();
    struct worker old = serve(1);
    os_sim_process_signal(&sim, os_sim_worker(&sim, 0), SIGKILL);
    reap_all();
    os->kill_process(os, old.pid, SIGHUP);
}

static void signals_a_stranger(void)
{
    begin();
    struct worker old = serve(1);
    os_sim_process_signal(&sim, os_sim_worker(&sim, 0), SIGKILL);
    reap_all();
    static const uint8_t again[] = {1};
    os_sim_choice_bytes(&choice, again, sizeof again);
    os_sim_stranger(&sim, UINT64_MAX / 2);
    assert_int_equal(sim.processes[0].pid, old.pid);
    os->kill_group(os, old.pid, SIGTERM);
}

static void kills_too_early(void)
{
    begin();
    struct worker old = serve(1);
    os_sim_worker(&sim, 0)->temper.reaction = OS_SIM_IGNORES;
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

static void overlaps(void)
{
    begin();
    serve(1);
    start(2);
    start(3);
}

static void starts_after_a_stop(void)
{
    begin();
    serve(1);
    take_signal(SIGTERM);
    start(2);
}

static void keeps_a_stop_to_itself(void)
{
    begin();
    serve(1);
    take_signal(SIGTERM);
    sleep_ms(1);
}

static void leaves_a_worker(void)
{
    begin();
    serve(1);
    os_sim_check_end(&sim, 0);
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

static void keeps_a_set(void)
{
    begin();
    serve(1);
    os->watch_open(os);
    os_sim_check_rest(&sim);
}

static void leaves_a_descriptor(void)
{
    begin();
    os_sim_check_end(&sim, 0);
}

static void closes_what_is_not_open(void)
{
    os->close(os, 77);
}

static void says_a_variable_twice(void)
{
    static char again[] = "SOCKETMASTER_GENERATION=7";
    begin();
    start_with(1, again, true);
}

static void gives_no_listener(void)
{
    begin();
    start_with(1, NULL, false);
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

/* Workers write their first line as soon as they run. */
static size_t read_line(struct worker worker, char *line, size_t size)
{
    sleep_ms(1);
    return (size_t)os->read(os, worker.output, line, size);
}

static void write_log(const char *prefix, const char *line, size_t length)
{
    struct os_output output;
    os->output_open(os, 2, &output);
    os->output_write(os, &output, prefix, strlen(prefix));
    os->output_write(os, &output, line, length);
}

static void born_writing(struct os_sim *of, struct os_sim_process *process)
{
    (void)of;
    process->temper.write_ms = 10;
}

static void spoils_a_line(void)
{
    char line[OS_SIM_LINE];
    sim.born = born_writing;
    begin();
    struct worker worker = serve(1);
    size_t length = read_line(worker, line, sizeof line);
    line[5]++;
    write_log("[1001] ", line, length);
}

static void names_another(void)
{
    char line[OS_SIM_LINE];
    sim.born = born_writing;
    begin();
    struct worker worker = serve(1);
    size_t length = read_line(worker, line, sizeof line);
    write_log("[1002] ", line, length);
}

static void loses_a_line(void)
{
    char line[OS_SIM_LINE];
    sim.born = born_writing;
    begin();
    struct worker worker = serve(1);
    size_t length = read_line(worker, line, sizeof line);
    char *second = memchr(line, '\n', length);
    write_log("[1001] ", second + 1, length - (size_t)(second + 1 - line));
}

static void closes_a_live_pipe(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.output);
}

static void removes_a_file(void)
{
    os->file_remove(os, "/bin/server");
}

static void fails_after_a_stop(void)
{
    begin();
    take_signal(SIGTERM);
    end();
    os_sim_check_end(&sim, 1);
}

static const struct {
    const char *name;
    void (*master)(void);
    const char *violates; /* NULL: nothing */
} masters[] = {
    {"good", good, NULL},
    {"closes its listener", closes_its_listener, "I1: listener"},
    {"binds twice", binds_twice, "I1: socket"},
    {"cuts its backlog", cuts_its_backlog, "I1: the backlog"},
    {"retires too early", retires_too_early, "I2: worker 1001"},
    {"retires for nobody", retires_for_nobody, "I2: worker 1001"},
    {"retires twice", retires_twice, "I3: worker 1001 is told"},
    {"signals the reaped", signals_the_reaped, "I3: signal 1 to 1001"},
    {"signals a stranger", signals_a_stranger, "I3: signal 15 to 1001"},
    {"kills too early", kills_too_early, "R8: KILL to worker 1001, 4999 ms"},
    {"kills without a word", kills_without_a_word, "R8: KILL to worker 1001, which"},
    {"overlaps", overlaps, "I4: generation 3"},
    {"starts after a stop", starts_after_a_stop, "I5: worker"},
    {"keeps a stop to itself", keeps_a_stop_to_itself, "I5: the stop"},
    {"leaves a worker", leaves_a_worker, "I5: worker 1001 is left"},
    {"forgets a reload", forgets_a_reload, "I4: who serves"},
    {"keeps a set", keeps_a_set, "I7:"},
    {"leaves a descriptor", leaves_a_descriptor, "I7: descriptor"},
    {"closes what is not open", closes_what_is_not_open, "I7: close of 77"},
    {"says a variable twice", says_a_variable_twice, "I8: a worker gets a variable"},
    {"gives no listener", gives_no_listener, "I8: a worker has 0"},
    {"spins", spins, "I9:"},
    {"waits for nothing", waits_for_nothing, "I5: waits for ever"},
    {"spoils a line", spoils_a_line, "I6: a line is not"},
    {"names another", names_another, "I6: a line of worker 1001"},
    {"loses a line", loses_a_line, "I6: worker 1001: line 2"},
    {"closes a live pipe", closes_a_live_pipe, "I6: pipe"},
    {"removes a file", removes_a_file, "I10: /bin/server"},
    {"fails after a stop", fails_after_a_stop, "X1:"},
};

/* Rules: I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 X1 */
static void test_the_judge_catches_who_breaks_an_invariant(void **state)
{
    static const struct os_sim_settings settings = {
        .start_ms = START_MS, .stop_ms = STOP_MS, .stop_signal = SIGHUP, .relayed = true};
    (void)state;
    for (volatile size_t i = 0; i < COUNT(masters); i++) {
        os_sim_choice_bytes(&choice, (const uint8_t *)"", 0);
        os_sim_init(&sim, &settings, &choice);
        sim.escape = &escape;
        if (setjmp(escape) == 0)
            masters[i].master();
        const char *wanted = masters[i].violates ? masters[i].violates : "";
        size_t length = masters[i].violates ? strlen(wanted) : sizeof sim.violation;
        if (strncmp(sim.violation, wanted, length) != 0)
            fail_msg("the master that %s: \"%s\", expected \"%s\"", masters[i].name, sim.violation,
                wanted);
    }
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
        cmocka_unit_test(test_the_judge_catches_who_breaks_an_invariant),
        cmocka_unit_test(test_choices_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
