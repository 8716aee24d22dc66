/*
 * sim: lives through many simulated lives, and tells of those in which an invariant was broken.
 *
 *   sim [-mode=MODE] [-seeds=N] [-first=SEED] [-jobs=N]    each seed is a life
 *   sim -mode=MODE -seed=SEED                                         one life, with its trace
 *   sim -list=FILE                                                    those that the file names
 *
 * MODE is safety, liveness, control-safety or control-liveness.
 * Without -mode each seed is lived in all of them. Exit status: 0; 1 if an invariant was broken; 2
 * for a wrong command line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

enum {
    NAMED_MAX = 256, /* lives in a list */
    JOBS_MAX = 64,
    TOLD_MAX = 10,    /* broken lives that one process tells of */
    TRACE_LINES = 30, /* and of each the last ones */
    WRONG_COMMAND_LINE = 2,
};

struct options {
    uint64_t first, seeds;
    long jobs;
    int mode; /* enum world_mode, or -1: all */
    bool one;
    const char *list;
};

/* What has been seen. */
struct tally {
    uint64_t lives, broken;
    struct world_counts counts;
};

static void tally_add(struct tally *tally, const struct tally *other)
{
    struct world_counts *sum = &tally->counts;
    const struct world_counts *more = &other->counts;
    tally->lives += other->lives;
    tally->broken += other->broken;
    sum->calls += more->calls;
    sum->simulated_ms += more->simulated_ms;
    sum->workers += more->workers;
    sum->signals += more->signals;
    sum->answered += more->answered;
    sum->requests_answered += more->requests_answered;
    sum->resets += more->resets;
    sum->faults += more->faults;
    sum->log_lines += more->log_lines;
}

/* A life that is broken off leaves the program in a state that it was never meant for: the next one
 * needs another process. */
static bool live(
    enum world_mode mode, uint64_t seed, FILE *trace, struct tally *tally, char *violation)
{
    static struct world_result result;
    struct os_sim_choice choice;
    os_sim_choice_seed(&choice, seed);
    world_run(&choice, mode, trace, &result);
    const struct tally one = {.lives = 1, .broken = result.violated, .counts = result.counts};
    tally_add(tally, &one);
    memcpy(violation, result.violation, sizeof result.violation);
    return !result.violated;
}

/* Lives it again for the last lines of its trace. */
static void tell_how_it_ended(enum world_mode mode, uint64_t seed)
{
    static struct tally tally;
    char violation[OS_SIM_WORDS];
    char *bytes = NULL;
    size_t length = 0;
    FILE *trace = open_memstream(&bytes, &length);
    if (trace == NULL)
        return;
    live(mode, seed, trace, &tally, violation);
    fclose(trace);
    size_t at = length;
    for (int lines = 0; at > 0 && lines <= TRACE_LINES; at--)
        lines += bytes[at - 1] == '\n';
    fputs(bytes + (at > 0 ? at + 1 : 0), stdout);
    free(bytes);
}

static void tell_broken(enum world_mode mode, uint64_t seed, const char *violation)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        tell_how_it_ended(mode, seed);
        exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("%s, seed %" PRIu64 ": %s\n    all of it: sim -mode=%s -seed=%" PRIu64 "\n",
        world_mode_names[mode], seed, violation, world_mode_names[mode], seed);
    fflush(stdout);
}

/* --- many, in several processes --- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One process after the other, up to each broken life; in memory that the first one shares. */
struct share {
    struct tally tally;
    double cpu_seconds;
    uint64_t next; /* life: one of each mode for each seed */
    enum world_mode mode;
    uint64_t seed;
    char violation[OS_SIM_WORDS]; /* of the life that was broken, by these two; "": none */
    pid_t pid;
};

static uint64_t life_count(const struct options *options)
{
    return options->seeds * WORLD_MODE_COUNT;
}

static void live_share(const struct options *options, struct share *share)
{
    bool well = true;
    while (well && share->next < life_count(options)) {
        uint64_t seed = share->next / WORLD_MODE_COUNT, mode = share->next % WORLD_MODE_COUNT;
        bool last = mode + 1 == WORLD_MODE_COUNT;
        share->next = last ? (seed + (uint64_t)options->jobs) * WORLD_MODE_COUNT : share->next + 1;
        if (options->mode >= 0 && options->mode != (int)mode)
            continue;
        share->mode = (enum world_mode)mode;
        share->seed = options->first + seed;
        well = live(share->mode, share->seed, NULL, &share->tally, share->violation);
    }
    share->cpu_seconds += cpu_seconds();
}

static bool share_start(const struct options *options, struct share *share)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        live_share(options, share);
        exit(0);
    }
    share->pid = pid;
    return pid > 0;
}

/* Its process has ended. Returns false when it went wrong. */
static bool share_go_on(const struct options *options, struct share *share, int status)
{
    if (status != 0) {
        printf("the process that lived seed %" PRIu64 " ended before its time\n", share->seed);
        return false;
    }
    if (share->violation[0] != '\0' && share->tally.broken <= TOLD_MAX)
        tell_broken(share->mode, share->seed, share->violation);
    share->violation[0] = '\0';
    return share->next >= life_count(options) || share_start(options, share);
}

static void tell(const struct tally *tally, double seconds)
{
    const struct world_counts *counts = &tally->counts;
    double hours = (double)counts->simulated_ms / 3600e3;
    printf("%" PRIu64 " lives of %.0f simulated hours: %" PRIu64 " workers, %" PRIu64
           " signals to them, %" PRIu64 " faults, %" PRIu64 " log lines,\n%" PRIu64
           " clients answered, %" PRIu64 " reset by the death of their worker, %" PRIu64
           " requests at the control socket answered\n%" PRIu64
           " calls of the port, %.0f a second on one processor\n%" PRIu64 " broken\n",
        tally->lives, hours, counts->workers, counts->signals, counts->faults, counts->log_lines,
        counts->answered, counts->resets, counts->requests_answered, counts->calls,
        (double)counts->calls / seconds, tally->broken);
}

static bool live_many(const struct options *options)
{
    size_t size = (size_t)options->jobs * sizeof(struct share);
    struct share *shares =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct tally all = {0};
    double seconds = 0;
    int status;
    bool well = shares != MAP_FAILED;
    for (long job = 0; well && job < options->jobs; job++) {
        shares[job].next = (uint64_t)job * WORLD_MODE_COUNT;
        well = share_start(options, &shares[job]);
    }
    for (pid_t pid; (pid = wait(&status)) > 0;)
        for (long job = 0; job < options->jobs; job++)
            if (shares[job].pid == pid)
                well &= share_go_on(options, &shares[job], status);
    for (long job = 0; well && job < options->jobs; job++) {
        tally_add(&all, &shares[job].tally);
        seconds += shares[job].cpu_seconds;
    }
    tell(&all, seconds);
    return well && all.broken == 0;
}

/* --- those that a file names: "MODE SEED" a line, and words about it after a # --- */

static int mode_find(const char *name)
{
    for (int mode = 0; mode < WORLD_MODE_COUNT; mode++)
        if (strcmp(world_mode_names[mode], name) == 0)
            return mode;
    return -1;
}

/* In a process of its own. */
static void live_apart(enum world_mode mode, uint64_t seed, struct tally *shared)
{
    char violation[OS_SIM_WORDS];
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (!live(mode, seed, NULL, shared, violation))
            tell_broken(mode, seed, violation);
        _exit(0); /* exit(3) would take the file that both read back to where it is */
    }
    waitpid(pid, NULL, 0);
}

struct named_life {
    enum world_mode mode;
    uint64_t seed;
};

/* Reads all of them before the first is lived: a process that ends while it shares an open file
 * with its parent moves the place from which that reads on. Returns how many there are, or -1. */
static int read_list(const char *path, struct named_life *lives)
{
    char line[1024], name[32];
    int count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("%s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL && count < NAMED_MAX) {
        struct named_life *life = &lives[count];
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " ")] == '\0')
            continue;
        if (sscanf(line, "%31s %" SCNu64, name, &life->seed) != 2 || mode_find(name) < 0) {
            printf("%s: expected MODE SEED, found \"%s\"\n", path, line);
            count = -1;
            break;
        }
        life->mode = (enum world_mode)mode_find(name);
        count++;
    }
    fclose(file);
    return count;
}

static bool live_list(const char *path)
{
    static struct named_life lives[NAMED_MAX];
    struct tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int count = read_list(path, lives);
    if (count < 0 || tally == MAP_FAILED)
        return false;
    for (int i = 0; i < count; i++)
        live_apart(lives[i].mode, lives[i].seed, tally);
    printf("%" PRIu64 " of %d lives of %s are not broken\n", tally->lives - tally->broken, count,
        path);
    return tally->broken == 0 && tally->lives == (uint64_t)count;
}

/* --- the command line --- */

static const char *value_of(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 ? word + length : NULL;
}

static bool read_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

static bool read_word(const char *word, struct options *options)
{
    const char *value;
    uint64_t jobs;
    if ((value = value_of(word, "-mode=")) != NULL)
        return (options->mode = mode_find(value)) >= 0;
    if ((value = value_of(word, "-seeds=")) != NULL)
        return read_number(value, &options->seeds);
    if ((value = value_of(word, "-first=")) != NULL)
        return read_number(value, &options->first);
    if ((value = value_of(word, "-seed=")) != NULL)
        return options->one = read_number(value, &options->first);
    if ((value = value_of(word, "-jobs=")) != NULL) {
        bool good = read_number(value, &jobs) && jobs >= 1 && jobs <= JOBS_MAX;
        options->jobs = (long)jobs;
        return good;
    }
    options->list = value_of(word, "-list=");
    return options->list != NULL;
}

int main(int argc, char **argv)
{
    struct options options = {
        .first = 1, .seeds = 1000, .mode = -1, .jobs = sysconf(_SC_NPROCESSORS_ONLN)};
    if (options.jobs > JOBS_MAX)
        options.jobs = JOBS_MAX;
    for (int i = 1; i < argc; i++) {
        if (read_word(argv[i], &options))
            continue;
        fprintf(stderr,
            "sim: \"%s\": expected -mode=[control-]safety|liveness, -seeds=N, -first=SEED, "
            "-jobs=1..64, -seed=SEED or -list=FILE\n",
            argv[i]);
        return WRONG_COMMAND_LINE;
    }
    if (options.list != NULL)
        return live_list(options.list) ? 0 : 1;
    if (!options.one)
        return live_many(&options) ? 0 : 1;
    struct tally tally = {0};
    char violation[OS_SIM_WORDS];
    for (int mode = 0; mode < WORLD_MODE_COUNT && tally.broken == 0; mode++)
        if (options.mode < 0 || options.mode == mode)
            live((enum world_mode)mode, options.first, stdout, &tally, violation);
    return tally.broken == 0 ? 0 : 1;
}
