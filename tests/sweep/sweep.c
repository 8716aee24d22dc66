/*
 * sweep: see sweep.h. Processes share out the units among themselves: a unit is one way, for one
 * span, in one scenario, with all its N.
 */
#include "sweep.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SCENARIOS_MAX = 64,
    WAYS_MAX = 512,
    JOBS_MAX = 64,
    REPORT_SIZE = 64 * 1024,
    UNIT_VIOLATIONS_MAX = 2, /* after so many a unit has told enough */
    SPANS = 2,
};

static const char *const span_names[SPANS] = {
    [OS_FAULT_ONCE] = "once", [OS_FAULT_FOR_EVER] = "for-ever"};

/* What was asked for on the command line; -1, NULL and 0 stand for all. */
static struct {
    const char *program;
    long scenario;
    long call;
    const char *way;
    uint64_t nth;
    int span;
    unsigned jobs;
    uint64_t sample; /* plays one case of so many */
    unsigned patience;
    bool verbose;
} asked = {.scenario = -1, .call = -1, .span = -1, .jobs = 1, .sample = 1, .patience = 1};

/* In memory that all processes share. */
static struct shared {
    _Atomic uint64_t next_unit;
    _Atomic uint64_t runs;
    _Atomic uint64_t injected; /* runs in which something failed */
    _Atomic uint64_t violations;
    _Atomic uint64_t struck[WAYS_MAX];
    _Atomic bool tried[WAYS_MAX];                /* with a sample: its first place was taken */
    uint64_t uses[SCENARIOS_MAX][OS_CALL_COUNT]; /* of the run in which nothing fails */
} * shared;

static char report_bytes[REPORT_SIZE];

/* --- one run --- */

static void print_case(const struct sweep_world *world, const struct sweep_case *played)
{
    printf("%s: scenario %s, ", world->name, world->scenario_name(played->scenario));
    if (played->way == NULL) {
        printf("nothing fails\n");
        return;
    }
    printf("%s fails with %s at use %llu, %s\n", os_fault_call_name(played->way->call),
        played->way->name, (unsigned long long)played->nth, span_names[played->span]);
}

static void print_again(const struct sweep_world *world, const struct sweep_case *played)
{
    printf("  again: %s --scenario=%s", asked.program, world->scenario_name(played->scenario));
    if (played->way == NULL)
        printf(" --clean");
    else
        printf(" --call=%s --way=%s --nth=%llu --span=%s", os_fault_call_name(played->way->call),
            played->way->name, (unsigned long long)played->nth, span_names[played->span]);
    printf(" --verbose\n");
}

static void play(
    const struct sweep_world *world, const struct sweep_case *played, struct sweep_result *result)
{
    memset(result, 0, sizeof *result);
    text_init(&result->report, report_bytes, sizeof report_bytes);
    world->run(played, result);
    shared->runs++;
    if (result->struck > 0)
        shared->injected++;
    if (result->violated)
        shared->violations++;
    if (!result->violated && !asked.verbose)
        return;
    print_case(world, played);
    if (result->violated || asked.verbose)
        printf("%s", report_bytes);
    if (result->violated)
        print_again(world, played);
    fflush(stdout);
}

/* --- units --- */

/* Spreads a sample evenly, and always the same way: splitmix64's last steps. */
static bool is_sampled(const struct sweep_case *played)
{
    if (asked.sample <= 1)
        return true;
    uint64_t mixed = (uint64_t)(played->way - os_fault_ways) * SPANS + (uint64_t)played->span;
    mixed = mixed * SCENARIOS_MAX + played->scenario;
    mixed = mixed * UINT64_C(1000003) + played->nth;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    if ((mixed ^ mixed >> 31) % asked.sample == 0)
        return true;
    /* However small the sample, each way strikes once. */
    return played->nth == 1 && played->span == OS_FAULT_ONCE &&
           !atomic_exchange(&shared->tried[played->way - os_fault_ways], true);
}

static void play_unit(const struct sweep_world *world, struct sweep_case played)
{
    size_t index = (size_t)(played.way - os_fault_ways);
    uint64_t known = shared->uses[played.scenario][played.way->call];
    int violations = 0;
    if (known == 0 && asked.nth == 0)
        return;
    for (played.nth = 1; violations < UNIT_VIOLATIONS_MAX; played.nth++) {
        static struct sweep_result result;
        if (asked.nth != 0)
            played.nth = asked.nth;
        else if (!is_sampled(&played) && played.nth <= known)
            continue;
        else if (asked.sample > 1 && played.nth > known)
            return;
        play(world, &played, &result);
        shared->struck[index] += result.struck;
        violations += result.violated;
        if (result.struck == 0 || asked.nth != 0)
            return;
    }
}

static bool is_asked(const struct sweep_case *played)
{
    return (asked.call < 0 || (long)played->way->call == asked.call) &&
           (asked.way == NULL || strcmp(asked.way, played->way->name) == 0) &&
           (asked.span < 0 || (int)played->span == asked.span);
}

/* Units are numbered so that those of one scenario come one after the other. */
static void play_units(const struct sweep_world *world)
{
    const uint64_t each = os_fault_way_count * SPANS;
    for (;;) {
        uint64_t unit = shared->next_unit++;
        struct sweep_case played = {
            .scenario = unit / each,
            .way = &os_fault_ways[unit % each / SPANS],
            .span = (enum os_fault_span)(unit % SPANS),
            .verbose = asked.verbose,
        };
        if (played.scenario >= world->scenario_count)
            return;
        bool wanted = asked.scenario < 0 || (size_t)asked.scenario == played.scenario;
        if (wanted && is_asked(&played) && world->way_missing(played.way) == NULL &&
            world->scenario_missing(played.scenario) == NULL)
            play_unit(world, played);
    }
}

/* --- processes --- */

/* Runs `work` in so many processes. Returns false when one of them did not end well. */
static bool in_processes(
    const struct sweep_world *world, unsigned jobs, void (*work)(const struct sweep_world *))
{
    bool well = true;
    for (unsigned i = 0; i < jobs; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return false;
        }
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!world->open(asked.patience))
            _exit(1);
        work(world);
        world->close();
        exit(0);
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            well = false;
    }
    return well;
}

/* What each scenario uses when nothing fails, and that it can be played. */
static void play_clean(const struct sweep_world *world)
{
    static struct sweep_result result;
    for (size_t i = 0; i < world->scenario_count; i++) {
        if (world->scenario_missing(i) != NULL ||
            (asked.scenario >= 0 && (size_t)asked.scenario != i))
            continue;
        const struct sweep_case clean = {.scenario = i, .nth = 1, .verbose = asked.verbose};
        play(world, &clean, &result);
        memcpy(shared->uses[i], result.uses, sizeof result.uses);
    }
}

/* --- sums --- */

static bool is_any_left_out(const struct sweep_world *world)
{
    for (size_t i = 0; i < world->scenario_count; i++)
        if (world->scenario_missing(i) != NULL)
            return true;
    return false;
}

/* Every call and every way must have struck, unless there is a reason. */
static bool print_sums(const struct sweep_world *world, double seconds)
{
    size_t calls = 0, ways = 0, never = 0, missing = 0;
    uint64_t by_call[OS_CALL_COUNT] = {0};
    bool complete = true;
    for (size_t i = 0; i < os_fault_way_count; i++) {
        const struct os_fault_way *way = &os_fault_ways[i];
        const char *why = world->way_missing(way);
        if (why == NULL && is_any_left_out(world))
            why = "perhaps it does in what was left out";
        by_call[way->call] += shared->struck[i];
        ways += shared->struck[i] > 0;
        if (shared->struck[i] > 0)
            continue;
        printf("%s: %s never failed with %s%s%s\n", world->name, os_fault_call_name(way->call),
            way->name, why != NULL ? ": " : "", why != NULL ? why : "");
        missing += why != NULL;
        complete &= why != NULL;
    }
    for (int call = 0; call < OS_CALL_COUNT; call++) {
        calls += by_call[call] > 0;
        never += os_fault_never((enum os_call)call) != NULL;
    }
    printf("%s: %zu of %d calls failed (%zu cannot), in %zu of %zu ways (%zu cannot here)\n",
        world->name, calls, OS_CALL_COUNT, never, ways, os_fault_way_count, missing);
    printf("%s: %llu runs, %llu with a fault, in %.0f s\n", world->name,
        (unsigned long long)shared->runs, (unsigned long long)shared->injected, seconds);
    return complete;
}

/* --- the command line --- */

static int usage(const struct sweep_world *world)
{
    fprintf(stderr,
        "usage: %s [--scenario=NAME] [--call=NAME] [--way=NAME] [--nth=N] [--span=once|for-ever]\n"
        "       [--clean] [--jobs=N] [--sample=M] [--patience=N] [--verbose] [--list]\n"
        "  --clean     only the runs in which nothing fails\n"
        "  --sample=M  one run of M, but each way at least once\n"
        "  --list      scenarios, and each call with its ways\n",
        world->name);
    return 2;
}

static int list(const struct sweep_world *world)
{
    for (size_t i = 0; i < world->scenario_count; i++) {
        const char *why = world->scenario_missing(i);
        printf("scenario %s%s%s\n", world->scenario_name(i),
            why != NULL ? ": cannot be played: " : "", why != NULL ? why : "");
    }
    for (int call = 0; call < OS_CALL_COUNT; call++) {
        const char *never = os_fault_never((enum os_call)call);
        printf("%s:", os_fault_call_name((enum os_call)call));
        if (never != NULL)
            printf(" never: %s", never);
        for (size_t i = 0; i < os_fault_way_count; i++)
            if ((int)os_fault_ways[i].call == call)
                printf(" %s", os_fault_ways[i].name);
        printf("\n");
    }
    return 0;
}

static bool find_scenario(const struct sweep_world *world, const char *name)
{
    for (size_t i = 0; i < world->scenario_count; i++)
        if (strcmp(world->scenario_name(i), name) == 0)
            asked.scenario = (long)i;
    return asked.scenario >= 0;
}

static bool find_call(const char *name)
{
    for (int call = 0; call < OS_CALL_COUNT; call++)
        if (strcmp(os_fault_call_name((enum os_call)call), name) == 0)
            asked.call = call;
    return asked.call >= 0;
}

static bool find_span(const char *name)
{
    for (int span = 0; span < SPANS; span++)
        if (strcmp(span_names[span], name) == 0)
            asked.span = span;
    return asked.span >= 0;
}

static bool read_count(const char *digits, uint64_t most, uint64_t *count)
{
    return text_read_number(digits, strlen(digits), 10, most, count) && *count > 0;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int sweep_all(const struct sweep_world *world, bool clean)
{
    double began = now_seconds();
    bool whole = asked.scenario < 0 && asked.call < 0 && asked.way == NULL && asked.nth == 0 &&
                 asked.span < 0 && !clean;
    for (size_t i = 0; whole && i < world->scenario_count; i++)
        if (world->scenario_missing(i) != NULL)
            printf("%s: scenario %s is left out: %s\n", world->name, world->scenario_name(i),
                world->scenario_missing(i));
    bool well = in_processes(world, 1, play_clean);
    if (well && !clean && shared->violations == 0)
        well = in_processes(world, asked.jobs, play_units);
    bool complete = !whole || print_sums(world, now_seconds() - began);
    printf("%s: %llu violations in %llu runs\n", world->name,
        (unsigned long long)shared->violations, (unsigned long long)shared->runs);
    return well && complete && shared->violations == 0 ? 0 : 1;
}

int sweep_main(const struct sweep_world *world, int argc, char **argv)
{
    enum { SCENARIO, CALL, WAY, NTH, SPAN, CLEAN, JOBS, SAMPLE, PATIENCE, VERBOSE, LIST };
    static const struct option options[] = {
        {"scenario", required_argument, NULL, SCENARIO},
        {"call", required_argument, NULL, CALL},
        {"way", required_argument, NULL, WAY},
        {"nth", required_argument, NULL, NTH},
        {"span", required_argument, NULL, SPAN},
        {"clean", no_argument, NULL, CLEAN},
        {"jobs", required_argument, NULL, JOBS},
        {"sample", required_argument, NULL, SAMPLE},
        {"patience", required_argument, NULL, PATIENCE},
        {"verbose", no_argument, NULL, VERBOSE},
        {"list", no_argument, NULL, LIST},
        {NULL, 0, NULL, 0},
    };
    bool clean = false, listed = false, understood = true;
    uint64_t count = 1;
    asked.program = argv[0];
    for (int option; (option = getopt_long_only(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case SCENARIO:
            understood &= find_scenario(world, optarg);
            break;
        case CALL:
            understood &= find_call(optarg);
            break;
        case WAY:
            asked.way = optarg;
            break;
        case NTH:
            understood &= read_count(optarg, UINT32_MAX, &asked.nth);
            break;
        case SPAN:
            understood &= find_span(optarg);
            break;
        case CLEAN:
            clean = true;
            break;
        case JOBS:
            understood &= read_count(optarg, JOBS_MAX, &count);
            asked.jobs = (unsigned)count;
            break;
        case SAMPLE:
            understood &= read_count(optarg, UINT32_MAX, &asked.sample);
            break;
        case PATIENCE:
            understood &= read_count(optarg, 1000, &count);
            asked.patience = (unsigned)count;
            break;
        case VERBOSE:
            asked.verbose = true;
            break;
        case LIST:
            listed = true;
            break;
        default:
            understood = false;
        }
    if (!understood || optind != argc || world->scenario_count > SCENARIOS_MAX ||
        os_fault_way_count > WAYS_MAX)
        return usage(world);
    if (listed)
        return list(world);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    return sweep_all(world, clean);
}
