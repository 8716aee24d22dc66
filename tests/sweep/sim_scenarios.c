/*
 * sim_scenarios: what is played. Together they use every call of the port that the program makes.
 */
#include "sim.h"

#include <errno.h>
#include <signal.h>

enum {
    SECOND = 1000,
    STORM_END = SIM_ACTS + SECOND,
    STORM_GAP_MS = 37,
    STALL_ROOM = 1000, /* bytes */
    EXIT_STATUS = 7,
    EXIT_SHIFT = 8,
    SIGNALLED = 128,
};

/* --- what happens --- */

static void reload(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGHUP);
}

static void stop(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGTERM);
}

static void noise(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGUSR1);
    os_sim_signal(sim, SIGWINCH);
}

static void more(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGTTIN);
}

static void fewer(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_signal(sim, SIGTTOU);
}

/* One of them ends as if it had a fault of its own. */
static void crash(struct os_sim *sim, void *context)
{
    (void)context;
    if (os_sim_worker_count(sim) > 0)
        os_sim_process_signal(sim, os_sim_worker(sim, 0), SIGSEGV);
}

static void storm(struct os_sim *sim, void *context)
{
    uint64_t at = sim->now - OS_SIM_START_MS;
    os_sim_signal(sim, SIGHUP);
    if (at < STORM_END)
        os_sim_at(sim, at + STORM_GAP_MS, storm, context);
}

/* The reader stops, and is far behind already: there is little room left. */
static void stall(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_sink_set(sim, OS_SIM_SINK_STALLS);
    sim->sink.held = OS_SIM_SINK_BYTES - STALL_ROOM;
}

static void flow(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_sink_set(sim, OS_SIM_SINK_FLOWS);
}

static void call_up(struct os_sim *sim, void *context)
{
    (void)context;
    os_sim_connect(sim);
}

/* --- who calls at the control socket --- */

static void ask(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit again = {.more = 1};
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_STATUS, &again, NULL);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_METRICS, &again, NULL);
    os_sim_call(sim, OS_SIM_OUTSIDER, OS_SIM_EHLO, &again, NULL);
}

static void ask_badly(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit once, flood = {.more = 3, .floods = true, .chunk = 7},
                                           leaves = {.more = 3, .patience = 5},
                                           deaf = {.more = 4, .floods = true, .never_reads = true};
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_MALFORMED, &flood, NULL);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_HALF, &once, NULL);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_HELP, &leaves, NULL);
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_STATE, &deaf, NULL);
    os_sim_call(sim, OS_SIM_DEPARTED, OS_SIM_EHLO, &once, NULL);
}

static void roll_out(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit once;
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_ROLLOUT_WAIT, &once, NULL);
}

static void upgrade(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit once;
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_UPGRADE, &once, NULL);
}

static void follow(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit patient = {.patience = 3 * SECOND};
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_LOGS, &patient, NULL);
}

static void signal_them(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit once;
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_SIGNAL, &once, NULL);
}

static void die(struct os_sim *sim, void *context)
{
    static const struct os_sim_habit once;
    (void)context;
    os_sim_call(sim, OS_SIM_OPERATOR, OS_SIM_DIE, &once, NULL);
}

static const struct sim_act asking[] = {{SIM_ACTS, ask}, {SIM_ACTS + 5, reload},
    {SIM_ACTS + 100, ask_badly}, {SIM_ACTS + SECOND, reload}, {SIM_ACTS + SECOND, ask}, {0, NULL}};
static const struct sim_act rolling_out[] = {{SIM_ACTS, follow}, {SIM_ACTS, roll_out},
    {SIM_ACTS + 10, call_up}, {SIM_ACTS + SECOND, upgrade}, {SIM_ACTS + 2 * SECOND, roll_out},
    {SIM_ACTS + 2 * SECOND, reload}, {0, NULL}};
static const struct sim_act dying[] = {{SIM_ACTS, roll_out},
    {SIM_ACTS + SIM_START_MS / 2, signal_them}, {SIM_ACTS + SECOND, die}, {0, NULL}};

static const struct sim_act reloading[] = {{SIM_ACTS, call_up}, {SIM_ACTS, reload},
    {SIM_ACTS + 10, call_up}, {SIM_ACTS + SECOND, reload}, {0, NULL}};
static const struct sim_act storming[] = {{SIM_ACTS, storm}, {STORM_END, noise}, {0, NULL}};
static const struct sim_act stopping[] = {{SIM_ACTS, stop}, {0, NULL}};
static const struct sim_act stopping_twice[] = {
    {SIM_ACTS, stop}, {SIM_ACTS + 50, stop}, {SIM_ACTS + SECOND, reload}, {0, NULL}};
static const struct sim_act stopping_in_the_middle[] = {
    {SIM_ACTS, reload}, {SIM_ACTS + SIM_START_MS / 2, stop}, {0, NULL}};
static const struct sim_act reloading_and_stopping[] = {
    {SIM_ACTS, reload}, {SIM_ACTS + 2 * SECOND, stop}, {0, NULL}};
static const struct sim_act flooding[] = {{SIM_SERVES + 100, stall}, {SIM_ACTS, reload},
    {SIM_ACTS + SECOND, flow}, {SIM_ACTS + 2 * SECOND, reload}, {0, NULL}};

static const struct sim_act crashing[] = {
    {SIM_ACTS, crash}, {SIM_ACTS + 2 * SECOND, crash}, {0, NULL}};
/* As many more as fewer, even where signals that wait merge. */
static const struct sim_act growing[] = {
    {SIM_ACTS, more}, {SIM_ACTS + SECOND, reload}, {SIM_ACTS + 2 * SECOND, fewer}, {0, NULL}};

/* --- workers --- */

const struct os_sim_temper sim_good = {.boot_ms = 5, .accept_ms = 1, .answer_ms = 3};

static const struct os_sim_temper crashes = {.boot_ms = 5, .life_ms = 30, .life_status = SIGSEGV};
static const struct os_sim_temper killed_at_birth = {.boot_ms = 5, .dies_booting = true};
static const struct os_sim_temper not_executed = {
    .boot_ms = 5, .boot_step = OS_STEP_EXECUTE, .boot_error = ENOEXEC};
static const struct os_sim_temper floods = {.boot_ms = 5,
    .accept_ms = 1,
    .answer_ms = 3,
    .write_ms = 200,
    .write_lines = 30,
    .unterminated = true};
static const struct os_sim_temper ends_by_itself = {
    .boot_ms = 5, .life_ms = 2 * SECOND, .life_status = EXIT_STATUS << EXIT_SHIFT};
static const struct os_sim_temper stubborn = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .reaction = OS_SIM_IGNORES};
static const struct os_sim_temper slow = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .drain_ms = 3 * SECOND};
static const struct os_sim_temper leaves_orphans = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .write_ms = 300, .orphan_ms = 20 * SECOND};
static const struct os_sim_temper closes_output = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .write_ms = 300, .closes_output = true};

static const struct os_sim_temper says_late = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .ready_ms = 200, .more_ms = SECOND};
static const struct os_sim_temper says_twice = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .word = OS_SIM_SAYS_TWICE, .babbles = true};
static const struct os_sim_temper helper_says = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .word = OS_SIM_HELPER_SAYS};
static const struct os_sim_temper says_nothing = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .word = OS_SIM_SAYS_NOTHING};
static const struct os_sim_temper gives_up = {
    .boot_ms = 5, .accept_ms = 1, .answer_ms = 3, .word = OS_SIM_GIVES_UP};

static const struct os_sim_temper meddles = {.boot_ms = 5,
    .accept_ms = 1,
    .answer_ms = 3,
    .meddles = true,
    .clears_away = true,
    .shuts_down = true};

/* --- command lines --- */

static const char *const plain[] = {
    "-listen=tcp://127.0.0.1:8080", "-listen=unix://" SIM_STALE_PATH, NULL};
static const char *const defaults[] = {NULL};
static const char *const owner[] = {
    "-listen=unix:///run/own.sock?mode=600&user=nobody&group=nogroup&backlog=3",
    "-user=nobody:nogroup", "-dir=/srv", "-envdir=/etc/env", "-env=einhorn,systemd,starter,nginx",
    NULL};
static const char *const names[] = {"-listen=tcp://localhost:http?nodelay=true",
    "-listen=tcp6://[fe80::1%25lo]:0?freebind=true",
    "-listen=udp://localhost:http?nonblock=true&rcvbuf=8192", NULL};
static const char *const passed[] = {"-listen=fd://0?nonblock=true", NULL};
static const char *const syslogd[] = {"-listen=tcp://127.0.0.1:8080", "-syslog", NULL};
static const char *const json[] = {"-listen=tcp://127.0.0.1:8080", "-log=json", NULL};
static const char *const inherit[] = {
    "-listen=tcp://127.0.0.1:8080", "-output=inherit", "-kill=group", NULL};
static const char *const group[] = {
    "-listen=tcp://127.0.0.1:8080", "-kill=group", "-stop=500", "-stop-signal=QUIT", NULL};
static const char *const draining[] = {"-listen=tcp://127.0.0.1:8080", "-max-draining=1", NULL};
static const char *const shared[] = {"-listen=tcp://127.0.0.1:8080?nonblock=true",
    "-listen=unix://" SIM_STALE_PATH "?nonblock=true", NULL};
static const char *const notify[] = {
    "-listen=tcp://127.0.0.1:8080", "-ready=notify", "-ready-timeout=2000", NULL};
static const char *const notify_user[] = {"-listen=tcp://127.0.0.1:8080", "-ready=notify",
    "-ready-timeout=2000", "-user=nobody:nogroup", NULL};
static const char *const notify_fd[] = {
    "-listen=tcp://127.0.0.1:8080", "-ready=fd", "-ready-timeout=2000", NULL};
static const char *const pool[] = {"-listen=tcp://127.0.0.1:8080", "-workers=3", "-rollout=smooth",
    "-max-starting=1", "-hold=50", NULL};
static const char *const notify_pool[] = {
    "-listen=tcp://127.0.0.1:8080", "-workers=2", "-ready=notify", "-ready-timeout=2000", NULL};
static const char *const respawn[] = {
    "-listen=tcp://127.0.0.1:8080", "-workers=2", "-respawn", NULL};

static const char *const control[] = {
    "-listen=tcp://127.0.0.1:8080", "-control=" SIM_CONTROL_PATH, "-textfile=/run/metrics", NULL};
static const char *const control_ack[] = {"-listen=tcp://127.0.0.1:8080",
    "-control=" SIM_CONTROL_PATH, "-ready=ack", "-ready-timeout=2000", "-user=nobody:nogroup",
    NULL};
static const char *const control_group[] = {"-listen=tcp://127.0.0.1:8080",
    "-control=" SIM_CONTROL_PATH, "-textfile=/run/metrics", "-kill=group", "-stop=500", NULL};
static const char *const control_pool[] = {
    "-listen=tcp://127.0.0.1:8080", "-control=" SIM_CONTROL_PATH, "-workers=2", NULL};

const struct sim_scenario sim_scenarios[] = {
    /* starts */
    {.name = "start",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .stale_file = true,
        .locked = true},
    {.name = "start-default",
        .options = defaults,
        .output = OS_OUTPUT_PLAIN,
        .faults_from_birth = true},
    {.name = "start-owner",
        .options = owner,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading},
    {.name = "start-names",
        .options = names,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true},
    {.name = "start-passed",
        .options = passed,
        .output = OS_OUTPUT_REOPENED,
        .passed = true,
        .faults_from_birth = true,
        .acts = reloading},
    {.name = "start-syslog",
        .options = syslogd,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true},
    {.name = "check",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .is_check = true,
        .stale_file = true,
        .faults_from_birth = true},
    {.name = "check-owner",
        .options = owner,
        .output = OS_OUTPUT_SPLICED,
        .is_check = true,
        .faults_from_birth = true},
    {.name = "check-names",
        .options = names,
        .output = OS_OUTPUT_POLLED,
        .is_check = true,
        .faults_from_birth = true},
    /* reloads */
    {.name = "reload", .options = plain, .output = OS_OUTPUT_REOPENED, .acts = reloading},
    {.name = "failed-reload",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &crashes,
        .reloads_fail = true,
        .status = SIGNALLED + SIGSEGV},
    {.name = "killed-at-birth",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &killed_at_birth,
        .reloads_fail = true},
    {.name = "not-executed",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &not_executed,
        .reloads_fail = true},
    {.name = "meddling",
        .options = shared,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .stale_file = true,
        .acts = reloading,
        .first = &meddles,
        .later = &meddles},
    {.name = "storm", .options = plain, .output = OS_OUTPUT_REOPENED, .acts = storming},
    {.name = "draining",
        .options = draining,
        .output = OS_OUTPUT_REOPENED,
        .acts = storming,
        .first = &slow,
        .later = &slow},
    /* workers that say when they are ready */
    {.name = "notify",
        .options = notify,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading,
        .first = &says_twice,
        .later = &helper_says},
    {.name = "notify-user",
        .options = notify_user,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading_and_stopping,
        .first = &helper_says,
        .later = &says_late},
    {.name = "failed-notify",
        .options = notify,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &says_nothing,
        .reloads_fail = true},
    {.name = "ready-fd",
        .options = notify_fd,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading,
        .first = &says_twice,
        .later = &says_late},
    {.name = "failed-ready-fd",
        .options = notify_fd,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &gives_up,
        .reloads_fail = true},
    /* pools */
    {.name = "pool",
        .options = pool,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading},
    {.name = "failed-pool",
        .options = notify_pool,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .later = &says_nothing,
        .reloads_fail = true},
    {.name = "respawn", .options = respawn, .output = OS_OUTPUT_REOPENED, .acts = crashing},
    {.name = "more-and-fewer", .options = pool, .output = OS_OUTPUT_REOPENED, .acts = growing},
    /* the control socket */
    {.name = "control",
        .options = control,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = asking},
    {.name = "control-ack",
        .options = control_ack,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = rolling_out,
        .first = &says_twice,
        .later = &helper_says},
    {.name = "failed-control-ack",
        .options = control_ack,
        .output = OS_OUTPUT_REOPENED,
        .acts = rolling_out,
        .later = &says_nothing,
        .reloads_fail = true},
    {.name = "control-pool",
        .options = control_pool,
        .output = OS_OUTPUT_REOPENED,
        .acts = rolling_out},
    {.name = "control-stop",
        .options = control_group,
        .output = OS_OUTPUT_REOPENED,
        .acts = dying,
        .first = &stubborn,
        .later = &stubborn},
    /* stops */
    {.name = "stop", .options = plain, .output = OS_OUTPUT_REOPENED, .acts = stopping},
    {.name = "stop-in-the-middle",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = stopping_in_the_middle},
    {.name = "stop-twice",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = stopping_twice,
        .first = &slow},
    {.name = "stubborn",
        .options = group,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading_and_stopping,
        .first = &stubborn,
        .later = &stubborn},
    {.name = "group",
        .options = inherit,
        .output = OS_OUTPUT_REOPENED,
        .faults_from_birth = true,
        .acts = reloading_and_stopping},
    /* the log */
    {.name = "flood",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "flood-plain",
        .options = json,
        .output = OS_OUTPUT_PLAIN,
        .faults_from_birth = true,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "flood-socket",
        .options = plain,
        .output = OS_OUTPUT_SOCKET,
        .faults_from_birth = true,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "flood-spliced",
        .options = plain,
        .output = OS_OUTPUT_SPLICED,
        .faults_from_birth = true,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "flood-polled",
        .options = plain,
        .output = OS_OUTPUT_POLLED,
        .faults_from_birth = true,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "flood-syslog",
        .options = syslogd,
        .output = OS_OUTPUT_REOPENED,
        .acts = flooding,
        .first = &floods,
        .later = &floods},
    {.name = "orphans",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading_and_stopping,
        .first = &leaves_orphans,
        .later = &leaves_orphans},
    {.name = "closed-output",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .acts = reloading,
        .first = &closes_output,
        .later = &closes_output},
    /* ends */
    {.name = "ended-by-the-worker",
        .options = plain,
        .output = OS_OUTPUT_REOPENED,
        .first = &ends_by_itself,
        .ends = true,
        .status = EXIT_STATUS},
};

const size_t sim_scenario_count = sizeof sim_scenarios / sizeof sim_scenarios[0];
