/*
 * Tests of the simulated kernel's judge of rollouts: pools, fleets and smooth rollouts, holding,
 * replacements, more and fewer workers, and what makes one ready. Each master here does one thing
 * that no master may, and has to be caught at it; the good ones have to be let pass.
 */
#include "os_sim_world.h"

#include <sys/un.h>

#include "core.h"

enum { HOLD_MS = 500, TIMEOUT_MS = 2000 };

/* So many are wanted. */
static void begin_pool(unsigned workers)
{
    sim.settings.workers = sim.rollouts.wanted = workers;
    begin();
}

static void begin_smooth(unsigned workers, unsigned max_starting)
{
    sim.settings.smooth = true;
    sim.settings.max_starting = max_starting;
    begin_pool(workers);
}

/* They start together, and are ready. */
static void serve_all(unsigned generation, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        start(generation);
    sleep_ms(START_MS);
}

static void tell(pid_t pid)
{
    os->kill_process(os, pid, SIGHUP);
}

static const pid_t FIRST = OS_SIM_PID_FIRST, SECOND = OS_SIM_PID_FIRST + 1,
                   THIRD = OS_SIM_PID_FIRST + 2;

/* --- fleets --- */

static void rolls_a_fleet(void)
{
    begin_pool(2);
    serve_all(1, 2);
    serve_all(2, 2);
    tell(FIRST);
    tell(SECOND);
}

static void retires_before_all_are_ready(void)
{
    begin_pool(2);
    serve_all(1, 2);
    start(2);
    sleep_ms(START_MS / 2);
    start(2);
    sleep_ms(START_MS / 2);
    tell(FIRST);
}

static void does_not_hold(void)
{
    sim.settings.hold_ms = HOLD_MS;
    begin_pool(1);
    serve_all(1, 1);
    serve_all(2, 1);
    sleep_ms(HOLD_MS - 1);
    tell(FIRST);
}

static void starts_too_many(void)
{
    begin_pool(1);
    start(1);
    sim.settings.respawn = true;
    start(1);
}

static void begins_unasked(void)
{
    begin();
    serve(1);
    youngest = 2; /* so that nobody asks for it */
    start(2);
}

/* --- smooth rollouts --- */

static void rolls_smoothly(void)
{
    begin_smooth(2, 1);
    serve(1);
    serve(1);
    serve(2);
    tell(FIRST);
    serve(2);
    tell(SECOND);
}

static void retires_two_for_one(void)
{
    begin_smooth(2, 1);
    serve(1);
    serve(1);
    serve(2);
    tell(FIRST);
    tell(SECOND);
}

static void holds_nobody_smoothly(void)
{
    sim.settings.hold_ms = HOLD_MS;
    begin_smooth(2, 1);
    serve(1);
    serve(1);
    serve(2);
    tell(FIRST);
}

static void starts_two_of_one(void)
{
    begin_smooth(3, 1);
    start(1);
    start(1);
}

static void starts_beyond_the_bound(void)
{
    begin_smooth(2, 1);
    serve(1);
    serve(1);
    serve(2);
    start(2);
}

static void sends_a_good_one_away(void)
{
    begin_smooth(2, 1);
    serve(1);
    serve(1);
    serve(2);
    tell(FIRST);
    sleep_ms(2 * 60 * 60 * 1000);
    reap_all();
    start(2);
    crash(0);
    reap_all();
    tell(THIRD);
}

/* --- replacements, more and fewer --- */

static void replaces_unasked(void)
{
    begin_pool(2);
    serve_all(1, 2);
    crash(0);
    reap_all();
    start(1);
}

static void replaces(void)
{
    sim.settings.respawn = true;
    replaces_unasked();
}

static void replaces_too_soon(void)
{
    sim.settings.respawn = true;
    begin_pool(2);
    serve_all(1, 2);
    for (int i = 0; i < 2; i++) {
        crash(os_sim_worker_count(&sim) - 1);
        reap_all();
        start(1);
        sleep_ms(CORE_RESPAWN_MS / 2);
    }
}

static void replaces_in_time(void)
{
    sim.settings.respawn = true;
    begin_pool(2);
    serve_all(1, 2);
    for (int i = 0; i < 2; i++) {
        crash(os_sim_worker_count(&sim) - 1);
        reap_all();
        sleep_ms(CORE_RESPAWN_MS);
        start(1);
    }
}

/* One that ends, and is reaped. */
static void lose(struct worker worker)
{
    for (unsigned i = os_sim_worker_count(&sim); i > 0; i--)
        if (os_sim_worker(&sim, i - 1)->pid == worker.pid)
            crash(i - 1);
    reap_all();
}

/* One that ended before it was executed has failed, though none needs any time to be ready. The
 * other was started before that was known: it fails with it. */
static void replace_two(uint64_t after)
{
    sim.settings.respawn = true;
    sim.settings.start_ms = 0;
    begin_pool(2);
    struct worker first = start(1), second = start(1);
    sleep_ms(1);
    lose(first);
    first = start(1);
    sleep_ms(1);
    lose(second);
    lose(start(1));
    sleep_ms(300);
    lose(first);
    sleep_ms(after - 300);
    start(1);
}

static void replaces_two(void)
{
    replace_two(CORE_RESPAWN_MS);
}

static void replaces_two_too_soon(void)
{
    replace_two(CORE_RESPAWN_MS - 1);
}

/* One could not be started at all. */
static void replaces_with_another(void)
{
    sim.settings.respawn = true;
    sim.settings.start_ms = 0;
    begin_pool(2);
    struct worker first = start(1), second = start(1);
    sleep_ms(1);
    lose(first);
    first = start(1);
    sleep_ms(1);
    lose(second);
    os_sim_fault_struck(&sim, OS_CALL_SPAWN);
    sleep_ms(300);
    lose(first);
    sleep_ms(CORE_RESPAWN_MS - 300);
    start(1);
}

/* During a rollout nobody is replaced: that one fails then does not make the next ones wait, which
 * fail themselves. */
static void replaces_after_a_rollout(void)
{
    sim.settings.respawn = true;
    sim.settings.start_ms = 0;
    begin_smooth(2, 1);
    struct worker first = start(1);
    sleep_ms(1);
    struct worker second = start(1);
    sleep_ms(1);
    lose(second);
    second = start(1);
    sleep_ms(1);
    struct worker young = start(2);
    sleep_ms(1);
    tell(first.pid);
    sleep_ms(1);
    reap_all();
    struct worker failing = start(2);
    lose(second);
    lose(failing);
    second = start(1);
    sleep_ms(10);
    lose(young);
    young = start(2);
    sleep_ms(10);
    lose(second);
    sleep_ms(10);
    lose(young);
    sleep_ms(CORE_RESPAWN_MS - 10);
    start(2);
}

static void adds_one(void)
{
    begin();
    serve(1);
    take_signal(SIGTTIN);
    serve(1);
    take_signal(SIGTTOU);
    tell(SECOND);
}

static void takes_the_oldest_away(void)
{
    begin();
    serve(1);
    take_signal(SIGTTIN);
    serve(1);
    take_signal(SIGTTOU);
    sleep_ms(2 * 60 * 60 * 1000); /* it must have noticed that both are ready */
    tell(FIRST);
}

static void takes_the_last_away(void)
{
    begin();
    serve(1);
    take_signal(SIGTTOU);
    tell(FIRST);
}

static void keeps_one_too_many(void)
{
    begin();
    struct worker one = serve(1);
    os->close(os, one.report);
    take_signal(SIGTTIN);
    struct worker other = serve(1);
    os->close(os, other.report);
    take_signal(SIGTTOU);
    os_sim_check_rest(&sim);
}

/* --- what makes a worker ready --- */

static int ear_open(const char *path)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *local = (void *)&address.address;
    int ear = os->socket_open(os, AF_UNIX, SOCK_DGRAM);
    local->sun_family = AF_UNIX;
    snprintf(local->sun_path, sizeof local->sun_path, "%s", path);
    os->socket_set(os, ear, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
    os->socket_bind(os, ear, &address);
    return ear;
}

static void says_nothing(struct os_sim *of, struct os_sim_process *process)
{
    (void)of;
    process->temper.word = OS_SIM_SAYS_NOTHING;
}

static void listen_to(int ear)
{
    char bytes[64];
    pid_t sender;
    while (os->datagram_receive(os, ear, bytes, sizeof bytes, &sender) >= 0)
        continue;
}

/* A worker that is asked, and says so; and the next, that `born` makes. */
static int serve_with_ears(void (*born)(struct os_sim *of, struct os_sim_process *process))
{
    static char first[] = "NOTIFY_SOCKET=/run/0", second[] = "NOTIFY_SOCKET=/run/1";
    sim.settings.ready = OS_SIM_READY_NOTIFY;
    sim.settings.ready_timeout_ms = TIMEOUT_MS;
    begin();
    int ear = ear_open("/run/0"), other = ear_open("/run/1");
    start_oddly(1, (struct oddity){.variable = first});
    sleep_ms(1);
    listen_to(ear);
    sim.born = born;
    start_oddly(2, (struct oddity){.variable = second});
    sleep_ms(1);
    return other;
}

static void hears_its_worker(void)
{
    listen_to(serve_with_ears(NULL));
    tell(FIRST);
}

static void does_not_listen(void)
{
    serve_with_ears(NULL);
    tell(FIRST);
}

static void believes_a_sibling(void)
{
    int ear = serve_with_ears(says_nothing);
    os_sim_send(&sim, os_sim_worker(&sim, 0), "/run/1", "READY=1", 7);
    listen_to(ear);
    tell(FIRST);
}

static void gives_up_in_time(void)
{
    serve_with_ears(says_nothing);
    sleep_ms(TIMEOUT_MS - 1);
    tell(SECOND);
}

static void gives_up_too_early(void)
{
    serve_with_ears(says_nothing);
    sleep_ms(TIMEOUT_MS - 2);
    tell(SECOND);
}

static void wants_more(struct os_sim *of, struct os_sim_process *process)
{
    says_nothing(of, process);
    process->temper.more_ms = 2 * TIMEOUT_MS;
}

static void gives_no_more_time(void)
{
    listen_to(serve_with_ears(wants_more));
    sleep_ms(TIMEOUT_MS);
    tell(SECOND);
}

static void asks_nobody(void)
{
    sim.settings.ready = OS_SIM_READY_NOTIFY;
    begin();
    start(1);
}

static void lets_two_share(void)
{
    static char first[] = "NOTIFY_SOCKET=/run/0";
    sim.settings.ready = OS_SIM_READY_NOTIFY;
    begin_pool(2);
    ear_open("/run/0");
    start_oddly(1, (struct oddity){.variable = first});
    start_oddly(1, (struct oddity){.variable = first});
}

static void removes_it_too_early(void)
{
    serve_with_ears(NULL);
    os->file_remove(os, "/run/0");
    os_sim_process_signal(&sim, os_sim_worker(&sim, 0), SIGTERM);
}

static const struct master masters[] = {
    {"rolls a fleet", rolls_a_fleet, NULL},
    {"retires before all are ready", retires_before_all_are_ready, "I2: worker 1001"},
    {"does not hold", does_not_hold, "I2: worker 1001"},
    {"starts too many", starts_too_many, "R5: 2 workers"},
    {"begins unasked", begins_unasked, "I4: generation 2 begins, and nobody asked"},
    {"rolls smoothly", rolls_smoothly, NULL},
    {"retires two for one", retires_two_for_one, "I2: worker 1002"},
    {"holds nobody in a smooth rollout", holds_nobody_smoothly, "I2: worker 1001"},
    {"starts two where one may start", starts_two_of_one, "R5: 2 workers start at a time"},
    {"starts beyond the bound", starts_beyond_the_bound, "R5: 4 workers"},
    {"sends a good one away", sends_a_good_one_away, "I2: worker 1003"},
    {"replaces unasked", replaces_unasked, "R10: worker 1003 is started, and nobody"},
    {"replaces", replaces, NULL},
    {"replaces too soon", replaces_too_soon, "R10: worker 1004 is started 1000 ms too early"},
    {"replaces in time", replaces_in_time, NULL},
    {"replaces two", replaces_two, NULL},
    {"replaces two too soon", replaces_two_too_soon, "R10: worker 1005 is started 1 ms too early"},
    {"replaces with another", replaces_with_another, NULL},
    {"replaces after a rollout", replaces_after_a_rollout, NULL},
    {"adds one, and takes it away", adds_one, NULL},
    {"takes the oldest away", takes_the_oldest_away, "I2: worker 1001"},
    {"takes the last away", takes_the_last_away, "I2: worker 1001"},
    {"keeps one too many", keeps_one_too_many, "I2: 2 workers serve of 1"},
    {"hears its worker", hears_its_worker, NULL},
    {"does not listen", does_not_listen, "I2: worker 1001"},
    {"believes a sibling", believes_a_sibling, "I2: worker 1001"},
    {"gives up in time", gives_up_in_time, NULL},
    {"gives up too early", gives_up_too_early, "I2: worker 1002"},
    {"gives no more time", gives_no_more_time, "I2: worker 1002"},
    {"asks nobody", asks_nobody, "E5: worker 1001 is asked in another way"},
    {"lets two share", lets_two_share, "E5: worker 1002 shares"},
    {"removes it too early", removes_it_too_early, "E5: the NOTIFY_SOCKET of worker 1001"},
};

/* Rules: I2 I4 R3 R4 R5 R6 R7 R10 R11 E5 */
static void test_the_judge_catches_wrong_rollouts(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_judge_catches_wrong_rollouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
