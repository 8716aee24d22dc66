/*
 * Tests of the simulated kernel's judge, where it is about what a master holds and hands on: its
 * listeners and their clients, descriptors, files, the world of its workers, and the log. Each
 * master here does one thing that no master may, and has to be caught at it.
 */
#include "os_sim_world.h"

#include <sys/un.h>

/* --- listeners and clients --- */

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

/* It listens, and none of its workers does. */
static void lets_a_client_wait(void)
{
    static const uint8_t the_second[] = {1};
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    os->socket_listen(os, os->socket_open(os, AF_INET, SOCK_STREAM), 16);
    os_sim_choice_bytes(&choice, the_second, sizeof the_second);
    os_sim_connect(&sim);
    sleep_ms(1);
    os_sim_check_rest(&sim);
}

/* Its worker goes, its listener too, and the next worker has none. */
static void refuses_a_client(void)
{
    begin();
    serve(1);
    crash(0);
    reap_all();
    os->close(os, listener);
    os_sim_fault_struck(&sim, OS_CALL_SPAWN); /* else the worker's world would be judged */
    start_oddly(2, (struct oddity){.no_listener = true});
    os_sim_connect(&sim);
}

static void keeps_a_socket(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    os->socket_open(os, AF_INET, SOCK_STREAM);
    os_sim_check_rest(&sim);
}

/* --- descriptors and files --- */

static void keeps_a_pipe(void)
{
    begin();
    struct worker old = serve(1);
    struct worker new = serve(2);
    os->close(os, old.report);
    os->close(os, new.report);
    os->kill_process(os, old.pid, SIGHUP);
    sleep_ms(1);
    reap_all();
    os_sim_check_rest(&sim);
}

static void keeps_a_report(void)
{
    begin();
    serve(1);
    os_sim_check_rest(&sim);
}

static void keeps_the_end_of_a_pipe(void)
{
    int ends[2];
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    os->pipe_open(os, ends);
    os->close(os, ends[0]);
    os_sim_check_rest(&sim);
}

static void keeps_a_lock(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
    os->directory_lock(os, "/run");
    os_sim_check_rest(&sim);
}

static void keeps_a_set(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.report);
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

static void reads_what_is_not_open(void)
{
    char byte;
    os->read(os, 77, &byte, 1);
}

static void watches_what_is_not_open(void)
{
    begin();
    os->watch_add(os, set, 77, 0, true, false);
}

static void waits_for_what_is_not_open(void)
{
    struct os_ready ready;
    os->watch_wait(os, 77, &ready, 1, 0);
}

static void takes_signals_from_what_is_not_open(void)
{
    int taken[8];
    os->signals_read(os, 77, taken, COUNT(taken));
}

static void listens_on_a_set(void)
{
    begin();
    os->socket_listen(os, set, 16);
}

static void sends_the_log_to_a_set(void)
{
    static char line[] = "<30>a line";
    const struct iovec part = {.iov_base = line, .iov_len = sizeof line - 1};
    begin();
    os->datagrams_send(os, set, &part, 1);
}

static void leaves_a_path(void)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    void *any = &address.address;
    struct sockaddr_un *local = any;
    local->sun_family = AF_UNIX;
    strcpy(local->sun_path, "/run/left.sock");
    int fd = os->socket_open(os, AF_UNIX, SOCK_STREAM);
    os->socket_bind(os, fd, &address);
    os->close(os, fd);
    os_sim_check_end(&sim, 0);
}

static void removes_a_file(void)
{
    os->file_remove(os, "/bin/server");
}

/* --- the world of a worker --- */

static void says_a_variable_twice(void)
{
    static char again[] = "SOCKETMASTER_GENERATION=7";
    begin();
    start_oddly(1, (struct oddity){.variable = again});
}

static void gives_no_listener(void)
{
    begin();
    start_oddly(1, (struct oddity){.no_listener = true});
}

static void gives_no_pipe(void)
{
    begin();
    start_oddly(1, (struct oddity){.no_output = true});
}

static void gives_more_than_listeners(void)
{
    begin();
    start_oddly(1, (struct oddity){.leaked = set});
}

/* --- the log --- */

/* Workers write their first lines as soon as they run. */
static size_t read_lines(struct worker worker, char *lines, size_t size)
{
    sleep_ms(1);
    return (size_t)os->read(os, worker.output, lines, size);
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

static struct worker serve_writing(void)
{
    sim.born = born_writing;
    begin();
    return serve(1);
}

static void spoils_a_line(void)
{
    char line[OS_SIM_LINE];
    size_t length = read_lines(serve_writing(), line, sizeof line);
    line[5]++;
    write_log("[1001] ", line, length);
}

static void names_another(void)
{
    char line[OS_SIM_LINE];
    size_t length = read_lines(serve_writing(), line, sizeof line);
    write_log("[1002] ", line, length);
}

static void loses_a_line(void)
{
    char line[OS_SIM_LINE];
    size_t length = read_lines(serve_writing(), line, sizeof line);
    char *second = memchr(line, '\n', length);
    write_log("[1001] ", second + 1, length - (size_t)(second + 1 - line));
}

static void loses_the_last_lines(void)
{
    struct worker worker = serve_writing();
    take_signal(SIGTERM);
    os->kill_process(os, worker.pid, SIGTERM);
    sleep_ms(1);
    reap_all();
    forget(worker);
    end();
    os_sim_check_end(&sim, 0);
}

static void invents_a_line(void)
{
    static const char line[] = "~7.1:nobody~\n";
    begin();
    write_log("[1001] ", line, sizeof line - 1);
}

static void meets_what_it_did_not_expect(void)
{
    static const char line[] = "event \"stop\" came out of turn\n";
    begin();
    write_log("internal error: ", line, sizeof line - 1);
}

static void never_ends_a_line(void)
{
    static char half[sizeof sim.sink.line / 2 + 1];
    memset(half, '.', sizeof half);
    begin();
    write_log("", half, sizeof half);
    write_log("", half, sizeof half);
}

static void closes_a_live_pipe(void)
{
    begin();
    struct worker worker = serve(1);
    os->close(os, worker.output);
}

static const struct master masters[] = {
    {"closes its listener", closes_its_listener, "I1: listener"},
    {"binds twice", binds_twice, "I1: socket"},
    {"cuts its backlog", cuts_its_backlog, "I1: the backlog"},
    {"lets a client wait", lets_a_client_wait, "I1: a client has waited for 1 ms"},
    {"refuses a client", refuses_a_client, "I1: a client is refused"},
    {"keeps a socket", keeps_a_socket, "I1: 2 listeners are left of 1"},
    {"keeps a pipe", keeps_a_pipe, "I7: pipe"},
    {"keeps a report", keeps_a_report, "I7: pipe"},
    {"keeps the end of a pipe", keeps_the_end_of_a_pipe, "I7: 1 pipe ends, 0 locks, 2 sets"},
    {"keeps a lock", keeps_a_lock, "I7: 0 pipe ends, 1 locks, 2 sets"},
    {"keeps a set", keeps_a_set, "I7: 0 pipe ends, 0 locks, 3 sets"},
    {"leaves a descriptor", leaves_a_descriptor, "I7: descriptor"},
    {"closes what is not open", closes_what_is_not_open, "I7: close of 77"},
    {"reads what is not open", reads_what_is_not_open, "I7: read of 77"},
    {"watches what is not open", watches_what_is_not_open, "I7: watch of 77"},
    {"waits for what is not open", waits_for_what_is_not_open, "I7: wait for 77"},
    {"takes signals from what is not open", takes_signals_from_what_is_not_open,
        "I7: signals are read from 77"},
    {"listens on a set", listens_on_a_set, "I7: 4 is used as a socket"},
    {"sends the log to a set", sends_the_log_to_a_set, "I7: datagrams are sent to 4"},
    {"leaves a path", leaves_a_path, "L7: /run/left.sock is left"},
    {"removes a file", removes_a_file, "I10: /bin/server"},
    {"says a variable twice", says_a_variable_twice, "I8: a worker gets a variable"},
    {"gives no listener", gives_no_listener, "I8: a worker has 0"},
    {"gives no pipe", gives_no_pipe, "I8: descriptor 1 of a worker is not its pipe"},
    {"gives more than listeners", gives_more_than_listeners, "I8: descriptor 4"},
    {"spoils a line", spoils_a_line, "I6: a line is not"},
    {"names another", names_another, "I6: a line of worker 1001"},
    {"loses a line", loses_a_line, "I6: worker 1001: line 2"},
    {"loses the last lines", loses_the_last_lines, "I6: worker 1001 wrote"},
    {"invents a line", invents_a_line, "I6: nobody wrote this"},
    {"meets what it did not expect", meets_what_it_did_not_expect, "the core: met an event"},
    {"never ends a line", never_ends_a_line, "I6: a line is longer"},
    {"closes a live pipe", closes_a_live_pipe, "I6: pipe"},
};

/* Rules: I1 I6 I7 I8 I10 L7 */
static void test_the_judge_catches_who_holds_or_hands_on_the_wrong_things(void **state)
{
    (void)state;
    judge_masters(masters, COUNT(masters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_judge_catches_who_holds_or_hands_on_the_wrong_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
