/*
 * Tests of the simulated kernel's judge, where it is about the clients of the control socket: how
 * they are answered, whom the master drops and how many it holds. Each master here does one thing
 * that no master may, and has to be caught at it, or something that looks like it.
 */
#include "os_sim_control_world.h"

static struct worker serving;

/* One worker serves, and its report was read. */
static void begin_serving(void)
{
    begin_controlled();
    serving = serve_told(1);
    os->close(os, serving.report);
}

/* Somebody asks, and the master has read it. */
static int ask(enum os_sim_request request)
{
    call(request, (struct os_sim_habit){.stays = true});
    int fd = take_call();
    hear(fd);
    return fd;
}

/* The same for a change: it follows a question that was answered. */
static int ask_for_change(enum os_sim_request request)
{
    int fd = ask(request);
    reply(fd, WELL, 1);
    hear(fd);
    return fd;
}

/* --- replies --- */

static void answers(void)
{
    begin_serving();
    reply(ask(OS_SIM_STATUS), WELL, 1);
    os_sim_check_rest(&sim);
}

static void does_not_answer(void)
{
    begin_serving();
    ask(OS_SIM_STATUS);
    os_sim_check_rest(&sim);
}

static void does_not_take(void)
{
    begin_serving();
    call(OS_SIM_STATUS, (struct os_sim_habit){.more = 0});
    os_sim_check_rest(&sim);
}

static void does_not_read(void)
{
    begin_serving();
    call(OS_SIM_STATUS, (struct os_sim_habit){.more = 0});
    take_call();
    os_sim_check_rest(&sim);
}

static void keeps_who_has_left(void)
{
    begin_serving();
    call(OS_SIM_STATUS, (struct os_sim_habit){.patience = 5});
    hear(take_call());
    sleep_ms(5);
    os_sim_check_rest(&sim);
}

static void answers_another(void)
{
    begin_controlled();
    reply(ask(OS_SIM_STATUS), WELL, 2);
}

static void answers_twice(void)
{
    begin_controlled();
    int fd = ask(OS_SIM_STATUS);
    reply(fd, WELL, 1);
    reply(fd, WELL, 1);
}

static void answers_unasked(void)
{
    begin_controlled();
    call(OS_SIM_STATUS, (struct os_sim_habit){.more = 0});
    reply(take_call(), WELL, 1);
}

static void says_what_decoders_take(void)
{
    begin_controlled();
    say(ask(OS_SIM_STATUS), "{\"message\": \"100 %\", \"request_id\": 1}\n");
}

static void begins_otherwise(void)
{
    begin_controlled();
    say(ask(OS_SIM_STATUS), "{\"request_id\": 1, \"message\": \"\"}\n");
}

static void cuts_a_reply(void)
{
    begin_controlled();
    say(ask(OS_SIM_STATUS), "{\"message\": \"so be it\", \"request_id\": 1\n");
}

static void lets_it_wait_for_nothing(void)
{
    begin_controlled();
    reply(ask(OS_SIM_STATUS), MORE, 1);
}

static void refuses_an_operator(void)
{
    begin_controlled();
    reply(ask(OS_SIM_STATUS), BADLY, 1);
}

/* Also who says what nobody understands, who follows the log, and who has closed its half. */
static void answers_anybody(void)
{
    begin_serving();
    reply(ask(OS_SIM_MALFORMED), BADLY, 77);
    int fd = ask(OS_SIM_LOGS);
    reply(fd, MORE, 2);
    reply(fd, MORE, 2);
    call(OS_SIM_HELP, (struct os_sim_habit){.half_closes = true});
    fd = take_call();
    hear(fd);
    reply(fd, WELL, 3);
    os->close(os, fd);
    os_sim_check_rest(&sim);
}

/* --- changes --- */

/* A rollout, whether or not anybody asks for it. */
static void replace(unsigned generation)
{
    struct worker old = serving;
    youngest = generation;
    serving = serve_told(generation);
    os->close(os, serving.report);
    os->kill_process(os, old.pid, SIGHUP);
    sleep_ms(1);
    reap_all();
    os->close(os, old.output);
}

static void rolls_out(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT_WAIT);
    reply_words(fd, "generation 2 is starting", MORE, 2);
    replace(2);
    reply_words(fd, "done", WELL, 2);
}

static void lets_it_wait_for_ever(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT_WAIT);
    reply_words(fd, "generation 2 is starting", MORE, 2);
    replace(2);
    os_sim_check_rest(&sim);
}

static void claims_to_be_done(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT_WAIT);
    reply_words(fd, "generation 2 is starting", MORE, 2);
    reply_words(fd, "done", WELL, 2);
}

static void claims_to_have_failed(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT_WAIT);
    reply_words(fd, "generation 2 is starting", MORE, 2);
    youngest = 2;
    start_told(2);
    reply_words(fd, "failed", BADLY, 2);
}

static void does_not_roll_out(void)
{
    begin_serving();
    reply(ask_for_change(OS_SIM_ROLLOUT), WELL, 2);
    sleep_ms(START_MS);
    os_sim_check_rest(&sim);
}

/* A reload comes first that was asked for by HUP. */
static void rolls_out_afterwards(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT);
    take_signal(SIGHUP);
    replace(2);
    reply(fd, WELL, 2);
    replace(3);
}

static void rolls_out_once_more(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT);
    take_signal(SIGHUP);
    reply(fd, WELL, 2);
    replace(2);
    replace(3);
}

/* A generation begins with as many as were wanted until then, and the request is for the time after
 * it. */
static void adds_afterwards(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_INC);
    take_signal(SIGHUP);
    replace(2);
    reply(fd, WELL, 2);
    os->close(os, serve_told(2).report);
    os_sim_check_rest(&sim);
}

static void forgets_to_add(void)
{
    begin_serving();
    reply(ask_for_change(OS_SIM_INC), WELL, 2);
    take_signal(SIGHUP);
    replace(2);
}

static void takes_away_afterwards(void)
{
    sim.settings.workers = sim.rollouts.wanted = 2;
    begin_serving();
    serve_told(1);
    int fd = ask_for_change(OS_SIM_DEC);
    take_signal(SIGHUP);
    youngest = 2;
    start_told(2);
    start_told(2);
    reply(fd, WELL, 2);
}

static void forgets_to_take_away(void)
{
    sim.settings.workers = sim.rollouts.wanted = 2;
    begin_serving();
    serve_told(1);
    reply(ask_for_change(OS_SIM_DEC), WELL, 2);
    take_signal(SIGHUP);
    youngest = 2;
    start_told(2);
    start_told(2);
}

static void stops_afterwards(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_DIE);
    take_signal(SIGHUP);
    replace(2);
    say(fd, "{\"message\": \"\", \"request_id\": 2}\n");
    os->kill_process(os, serving.pid, SIGTERM);
    sleep_ms(1);
}

static void does_not_stop(void)
{
    begin_serving();
    reply(ask_for_change(OS_SIM_DIE), WELL, 2);
}

static void starts_after_a_stop(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_DIE);
    take_signal(SIGHUP);
    say(fd, "{\"message\": \"\", \"request_id\": 2}\n");
    replace(2);
}

/* It ends with 1, whose last worker has crashed; a stop is asked for before that is reaped, or
 * after. */
static void ends_in_a_stop(bool reaped)
{
    begin_serving();
    int fd = ask(OS_SIM_DIE);
    reply(fd, WELL, 1);
    crash(0);
    if (reaped)
        reap_all();
    hear(fd);
    reap_all();
    os->close(os, serving.output);
    os->close(os, fd);
    os->file_remove(os, CONTROL);
    os->close(os, control);
    os->close(os, control_set);
    end();
    os_sim_check_end(&sim, 1);
}

static void ends_before_a_stop(void)
{
    ends_in_a_stop(true);
}

static void ends_badly_in_a_stop(void)
{
    ends_in_a_stop(false);
}

/* --- who is dropped --- */

static void drops_one(void)
{
    begin_serving();
    os->close(os, ask(OS_SIM_STATUS));
}

static void drops_one_that_waits(void)
{
    begin_serving();
    int fd = ask_for_change(OS_SIM_ROLLOUT_WAIT);
    reply_words(fd, "generation 2 is starting", MORE, 2);
    os->close(os, fd);
}

static void drops_who_was_refused(void)
{
    begin_serving();
    call(OS_SIM_STATUS, (struct os_sim_habit){.stays = true});
    int fd = take_call();
    say(fd, "{\"message\": \"too many\", \"error\": true}\n");
    os->close(os, fd);
}

static void drop_after(enum os_sim_request request, struct os_sim_habit habit, uint64_t after)
{
    begin_serving();
    call(request, habit);
    int fd = take_call();
    hear(fd);
    if (request == OS_SIM_STATUS)
        reply(fd, WELL, 1);
    sleep_ms(after);
    os->close(os, fd);
}

static void drops_who_reads_nothing(void)
{
    drop_after(OS_SIM_STATUS, (struct os_sim_habit){.never_reads = true}, STALL_MS);
}

static void drops_who_reads_late(void)
{
    drop_after(OS_SIM_STATUS, (struct os_sim_habit){.never_reads = true}, STALL_MS / 2);
}

static void drops_who_says_half(void)
{
    drop_after(OS_SIM_HALF, (struct os_sim_habit){.stays = true}, STALL_MS);
}

static void drops_who_says_half_so_far(void)
{
    drop_after(OS_SIM_HALF, (struct os_sim_habit){.stays = true}, STALL_MS / 2);
}

/* One that takes a long reply a bit at a time. */
static void drop_who_is_slow(enum os_sim_request request, uint64_t after)
{
    enum { READ_MS = 500 };
    static char bytes[64 * OS_SIM_STREAM_BYTES];
    size_t length = (size_t)snprintf(
        bytes, sizeof bytes, "{\"message\": \"%0*d", (int)sizeof bytes - OS_SIM_STREAM_BYTES, 0);
    begin_serving();
    call(request, (struct os_sim_habit){.read_ms = READ_MS});
    int fd = take_call();
    hear(fd);
    size_t sent = 0;
    for (uint64_t passed = 0; passed < after; passed += READ_MS) {
        ssize_t some = os->socket_send(os, fd, bytes + sent, length - sent);
        assert_int_equal(some, OS_SIM_STREAM_BYTES);
        sent += (size_t)some;
        sleep_ms(READ_MS);
    }
    os->close(os, fd);
}

static void drops_who_takes_a_long_reply_slowly(void)
{
    drop_who_is_slow(OS_SIM_STATE, STALL_MS);
}

static void drops_who_takes_a_long_reply(void)
{
    drop_who_is_slow(OS_SIM_STATE, STALL_MS / 2);
}

static void drops_who_takes_a_short_reply_slowly(void)
{
    drop_who_is_slow(OS_SIM_HELP, STALL_MS);
}

/* --- how many are held --- */

static void hold(enum os_sim_caller caller, int count)
{
    begin_serving();
    for (int i = 0; i < count; i++) {
        call_as(caller, OS_SIM_EHLO, (struct os_sim_habit){.stays = true});
        take_call();
    }
    sleep_ms(1);
}

static void holds_as_many_as_it_may(void)
{
    hold(OS_SIM_OPERATOR, SLOTS);
}

static void holds_too_many(void)
{
    hold(OS_SIM_OPERATOR, SLOTS + 1);
}

static void holds_as_many_of_workers(void)
{
    hold(OS_SIM_OF_WORKER, SLOTS / 2);
}

static void holds_too_many_of_workers(void)
{
    hold(OS_SIM_OF_WORKER, SLOTS / 2 + 1);
}

static void holds_too_many_of_their_helpers(void)
{
    hold(OS_SIM_HELPER, SLOTS / 2 + 1);
}

static void accepts_from_a_listener(void)
{
    begin_controlled();
    os->socket_accept(os, listener);
}

static void replies_to_a_set(void)
{
    begin_controlled();
    os->socket_send(os, set, "a", 1);
}

static const struct master masters[] = {
    {"answers", answers, NULL},
    {"answers anybody", answers_anybody, NULL},
    {"does not answer", does_not_answer, "I12: client 0 is not answered"},
    {"does not take", does_not_take, "I12: client 0 is not taken"},
    {"does not read", does_not_read, "I12: what client 0 sent is not read"},
    {"keeps who has left", keeps_who_has_left, "I12: client 0 has left"},
    {"answers another", answers_another, "K1: a reply to client 0 has another id"},
    {"answers twice", answers_twice, "K1: client 0 gets a reply to nothing"},
    {"answers unasked", answers_unasked, "K1: client 0 gets a reply to nothing"},
    {"says what decoders take", says_what_decoders_take, "K1: byte 17 of a reply"},
    {"begins otherwise", begins_otherwise, "K1: byte 2 of a reply"},
    {"cuts a reply", cuts_a_reply, "K1: a reply to client 0 is cut"},
    {"lets it wait for nothing", lets_it_wait_for_nothing, "K1: client 0 is to wait"},
    {"refuses an operator", refuses_an_operator, "K2: client 0 is refused: so be it"},
    {"rolls out", rolls_out, NULL},
    {"lets it wait for ever", lets_it_wait_for_ever, "I12: client 0 still waits"},
    {"claims to be done", claims_to_be_done, "K2: client 0 is told that generation 2 has taken"},
    {"claims to have failed", claims_to_have_failed,
        "K2: client 0 is told that generation 2 has failed"},
    {"does not roll out", does_not_roll_out, "I4: worker 1001 is older"},
    {"rolls out afterwards", rolls_out_afterwards, NULL},
    {"rolls out once more", rolls_out_once_more, "I4: generation 3 begins, and nobody"},
    {"adds afterwards", adds_afterwards, NULL},
    {"forgets to add", forgets_to_add, "I2: worker 1001"},
    {"takes away afterwards", takes_away_afterwards, NULL},
    {"forgets to take away", forgets_to_take_away, "R10: worker 1005 is started, and nobody"},
    {"stops afterwards", stops_afterwards, NULL},
    {"does not stop", does_not_stop, "I5: the stop has not reached worker 1001"},
    {"starts after a stop", starts_after_a_stop, "I5: worker 1003 is started after a stop"},
    {"ends before a stop", ends_before_a_stop, NULL},
    {"ends badly in a stop", ends_badly_in_a_stop, "X1: the exit status is 1"},
    {"drops one", drops_one, "I12: client 0 is dropped"},
    {"drops one that waits", drops_one_that_waits, "I12: client 0 is dropped"},
    {"drops who was refused", drops_who_was_refused, NULL},
    {"drops who reads nothing", drops_who_reads_nothing, NULL},
    {"drops who reads late", drops_who_reads_late, "I12: client 0 is dropped"},
    {"drops who says half", drops_who_says_half, NULL},
    {"drops who says half so far", drops_who_says_half_so_far, "I12: client 0 is dropped"},
    {"drops who takes a long reply slowly", drops_who_takes_a_long_reply_slowly, NULL},
    {"drops who takes a long reply", drops_who_takes_a_long_reply, "I12: client 0 is dropped"},
    {"drops who takes a short reply slowly", drops_who_takes_a_short_reply_slowly,
        "I12: client 0 is dropped"},
    {"holds as many as it may", holds_as_many_as_it_may, NULL},
    {"holds too many", holds_too_many, "I11: 33 clients are held, 0 of them of workers"},
    {"holds as many of workers", holds_as_many_of_workers, NULL},
    {"holds too many of workers", holds_too_many_of_workers, "I11: 17 clients are held, 17"},
    {"holds too many of their helpers", holds_too_many_of_their_helpers, "I11: 17 clients"},
    {"accepts from a listener", accepts_from_a_listener, "I1: a connection is taken from 3"},
    {"replies to a set", replies_to_a_set, "I7: 4 is used as a connection"},
};

/* Rules: K1 K2 K4 I2 I4 I5 I11 I12 R10 R11 X1 */
static void test_the_judge_catches_who_serves_its_clients_wrongly(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_judge_catches_who_serves_its_clients_wrongly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
