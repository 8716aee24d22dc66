/*
 * kernel_scenarios: what is played. Faults strike from birth on, or from where the first worker
 * serves; the judging is the same for all.
 */
#include "kernel.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- what a machine may lack --- */

static const char *needs_root(void)
{
    return geteuid() == 0 ? NULL : "only root may switch users";
}

static const char *needs_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool works = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0)
        close(fd);
    return works ? NULL : "this machine has no IPv6";
}

/* --- what happens --- */

static bool two_have_started(const struct kernel_run *run)
{
    size_t started = 0;
    for (size_t i = 0; i < run->worker_count; i++)
        started += run->workers[i].started;
    return started >= 2;
}

static bool two_were_spawned(const struct kernel_run *run)
{
    size_t spawned = 0;
    for (size_t i = 0; i < run->worker_count; i++)
        spawned += run->workers[i].spawned_at != SIZE_MAX;
    return spawned >= 2;
}

static void reload(struct kernel_run *run)
{
    kernel_signal(run, SIGHUP);
    kernel_settle(run);
}

static void reload_broken(struct kernel_run *run)
{
    kernel_break_workers(run, true);
    reload(run);
    kernel_break_workers(run, false);
}

static void storm(struct kernel_run *run)
{
    for (int i = 0; i < 10; i++)
        kernel_signal(run, SIGHUP);
    kernel_await(run, two_were_spawned);
    for (int i = 0; i < 10; i++)
        kernel_signal(run, SIGHUP);
    kernel_await(run, two_have_started);
    reload(run);
}

static void stop(struct kernel_run *run)
{
    kernel_signal(run, SIGTERM);
    kernel_settle(run);
}

static void stop_in_the_middle(struct kernel_run *run)
{
    kernel_signal(run, SIGHUP);
    kernel_await(run, two_have_started);
    stop(run);
}

static void flood(struct kernel_run *run)
{
    kernel_ask(run, false, WORKER_ASK_FLOOD);
    kernel_settle(run);
}

static void flood_and_reload(struct kernel_run *run)
{
    kernel_ask(run, false, WORKER_ASK_FLOOD);
    reload(run);
}

static void end_by_itself(struct kernel_run *run)
{
    kernel_ask(run, true, WORKER_ASK_EXIT);
    kernel_settle(run);
}

static void reload_and_stop(struct kernel_run *run)
{
    reload(run);
    stop(run);
}

/* As many more as fewer, and each is taken before the next comes. */
static void grow_and_shrink(struct kernel_run *run)
{
    kernel_signal(run, SIGTTIN);
    kernel_settle(run);
    kernel_signal(run, SIGTTOU);
    kernel_settle(run);
}

static void ask_for_all(struct kernel_run *run)
{
    kernel_call(run, "{\"command\":\"status\",\"args\":[\"json\"],\"id\":1}\n");
    kernel_call(run, "command: metrics\n{{{\ncommand: state\n");
    kernel_call(run, "{\"command\":\"eh");
    kernel_call(run, "{\"command\":\"rollout\",\"id\":2,\"wait\":true}\n");
    kernel_await(run, two_have_started);
    kernel_hang_up(run);
    kernel_call(run, "{\"command\":\"upgrade\",\"id\":3}\n");
    kernel_settle(run);
    reload(run);
    kernel_hang_up(run);
}

static void ask_and_stop(struct kernel_run *run)
{
    kernel_call(run, "{\"command\":\"rollout\",\"id\":2,\"wait\":true}\n");
    stop(run);
    kernel_hang_up(run);
}

/* --- what is set up --- */

static const char *const stubborn[] = {"-stop=500", "-kill=group", NULL};
static const char *const group[] = {"-kill=group", "-output=inherit", NULL};
static const char *const passed[] = {
    "-listen=fd://0?nonblock=true", "-listen=fd://web", "-listen=fd://gram", NULL};
static const char *const nonblock[] = {"-listen=tcp://127.0.0.1:0?nonblock=true", NULL};
static const char *const names[] = {"-listen=tcp://localhost:http",
    "-listen=tcp6://[fe80::1%25lo]:0?freebind=true",
    "-listen=udp://localhost:domain?nonblock=true&rcvbuf=8192", NULL};
static const char *const owner[] = {"-listen=tcp://127.0.0.1:0",
    "-listen=unix://%d/socket?user=nobody&group=nogroup&mode=600", "-user=nobody:nogroup", NULL};
static const char *const syslogd[] = {"-syslog", "-syslog-socket=%d/log", NULL};
static const char *const check[] = {"-check", NULL};
static const char *const check_names[] = {"-check", "-listen=tcp://localhost:http",
    "-listen=udp://127.0.0.1:0", "-listen=unix://%d/socket", NULL};
static const char *const json[] = {"-log=json", NULL};
/* The time is longer than -start, which is given. */
static const char *const notify[] = {"-ready=notify", "-ready-timeout=20000000", NULL};
static const char *const notify_fd[] = {"-ready=fd", "-ready-timeout=20000000", NULL};
static const char *const pool[] = {
    "-workers=3", "-rollout=smooth", "-max-starting=1", "-hold=50", NULL};
static const char *const notify_pool[] = {
    "-workers=2", "-ready=notify", "-ready-timeout=20000000", NULL};

static const char *const control[] = {"-control=%d/control", "-textfile=%d/metrics", NULL};
static const char *const control_ack[] = {
    "-control=%d/control", "-ready=ack", "-ready-timeout=20000000", NULL};

const struct kernel_scenario kernel_scenarios[] = {
    {.name = "start", .faults_from_birth = true, .stale_file = true, .locked = true},
    {.name = "reload", .play = reload},
    {.name = "failed-reload", .play = reload_broken},
    {.name = "meddling", .options = nonblock, .meddling = true, .listeners = 3, .play = reload},
    {.name = "notify",
        .options = notify,
        .says_ready = true,
        .faults_from_birth = true,
        .play = reload_and_stop},
    {.name = "failed-notify", .options = notify, .says_ready = true, .play = reload_broken},
    {.name = "ready-fd",
        .options = notify_fd,
        .says_ready = true,
        .notify_fd = true,
        .faults_from_birth = true,
        .play = reload},
    {.name = "failed-ready-fd",
        .options = notify_fd,
        .says_ready = true,
        .notify_fd = true,
        .play = reload_broken},
    {.name = "pool", .options = pool, .workers = 3, .faults_from_birth = true, .play = reload},
    {.name = "failed-pool",
        .options = notify_pool,
        .workers = 2,
        .says_ready = true,
        .play = reload_broken},
    {.name = "more-and-fewer",
        .options = pool,
        .workers = 3,
        .scales = true,
        .play = grow_and_shrink},
    {.name = "control",
        .options = control,
        .control = true,
        .faults_from_birth = true,
        .play = ask_for_all},
    {.name = "control-ack",
        .options = control_ack,
        .control = true,
        .says_ready = true,
        .play = ask_for_all},
    {.name = "control-stop", .options = control, .control = true, .play = ask_and_stop},
    {.name = "storm", .play = storm},
    {.name = "stop", .play = stop},
    {.name = "stop-in-the-middle", .play = stop_in_the_middle},
    {.name = "flood", .play = flood},
    {.name = "flood-and-reload", .options = json, .play = flood_and_reload},
    {.name = "ended-by-the-worker", .status = WORKER_EXIT_STATUS, .play = end_by_itself},
    {.name = "stubborn", .options = stubborn, .stubborn = true, .play = reload_and_stop},
    {.name = "group", .options = group, .faults_from_birth = true, .play = reload_and_stop},
    {.name = "passed",
        .options = passed,
        .plain = true,
        .inherited = 2,
        .listeners = 3,
        .faults_from_birth = true},
    {.name = "names",
        .missing = needs_ipv6,
        .options = names,
        .plain = true,
        .listeners = 3,
        .has_no_path = true,
        .faults_from_birth = true},
    {.name = "user",
        .missing = needs_root,
        .options = owner,
        .plain = true,
        .uid = 65534,
        .faults_from_birth = true,
        .play = reload},
    {.name = "syslog",
        .options = syslogd,
        .syslog = true,
        .faults_from_birth = true,
        .play = flood_and_reload},
    {.name = "check",
        .options = check,
        .is_check = true,
        .faults_from_birth = true,
        .stale_file = true},
    {.name = "check-names",
        .options = check_names,
        .plain = true,
        .is_check = true,
        .faults_from_birth = true},
};

const size_t kernel_scenario_count = sizeof kernel_scenarios / sizeof kernel_scenarios[0];
