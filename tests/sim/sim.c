/*
 * sim: lives through many simulated lives, and tells of those in which an invariant was broken.
 *
 *   sim [-mode=safety|liveness] [-seeds=N] [-first=SEED] [-jobs=N]    each seed is a life
 *   sim -mode=MODE -seed=SEED                                         one life, with its trace
 *   sim -list=FILE                                                    those that the file names
 *
 * Without -mode each seed is lived in both. Exit status: 0; 1 if an invariant was broken; 2 for a
 * wrong command line.
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
    JOBS_MAX = 64,
    TOLD_MAX = 10,    /* broken lives that one process tells of */
    TRACE_LINES = 30, /* and of each the last ones */
    WRONG_COMMAND_LINE = 2,
};

struct options {
    uint64_t first, seeds;
    long jobs;
    int mode; /* enum world_mode, or -1: both */
    bool one;
    const char *list;
};

/* What one process has seen. */
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
    sum->resets += more->resets;
    sum->faults += more->faults;
    sum->log_lines += more->log_lines;
}

/* Lives it again for the last lines of its trace. */
static void tell_how_it_ended(enum world_mode mode, uint64_t seed)
{
    static struct world_result again;
    struct os_sim_choice choice;
    char *bytes = NULL;
    size_t length = 0;
    FILE *trace = open_memstream(&bytes, &length);
    if (trace == NULL)
        return;
    os_sim_choice_seed(&choice, seed);
    world_run(&choice, mode, trace, &again);
    fclose(trace);
    size_t at = length;
    for (int lines = 0; at > 0 && lines <= TRACE_LINES; at--)
        lines += bytes[at - 1] == '\n';
    fputs(bytes + (at > 0 ? at + 1 : 0), stdout);
    free(bytes);
}

static void live(enum world_mode mode, uint64_t seed, FILE *trace, struct tally *tally)
{
    static struct world_result result;
    struct os_sim_choice choice;
    os_sim_choice_seed(&choice, seed);
    world_run(&choice, mode, trace, &result);
    const struct tally one = {.lives = 1, .broken = result.violated, .counts = result.counts};
    tally_add(tally, &one);
    if (!result.violated || tally->broken > TOLD_MAX)
        return;
    if (trace == NULL)
        tell_how_it_ended(mode, seed);
    printf("%s, seed %" PRIu64 ": %s\n    all of it: sim -mode=%s -seed=%" PRIu64 "\n",
        world_mode_names[mode], seed, result.violation, world_mode_names[mode], seed);
    fflush(stdout);
}

static void live_both(const struct options *options, uint64_t seed, struct tally *tally)
{
    for (int mode = 0; mode < WORLD_MODE_COUNT; mode++)
        if (options->mode < 0 || options->mode == mode)
            live((enum world_mode)mode, seed, NULL, tally);
}

/* --- many, in several processes --- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct share {
    struct tally tally;
    double cpu_seconds;
    bool done;
};

static void live_share(const struct options *options, long job, struct share *share)
{
    for (uint64_t i = (uint64_t)job; i < options->seeds; i += (uint64_t)options->jobs)
        live_both(options, options->first + i, &share->tally);
    share->cpu_seconds = cpu_seconds();
    share->done = true;
}

static void tell(const struct tally *tally, double seconds)
{
    const struct world_counts *counts = &tally->counts;
    double hours = (double)counts->simulated_ms / 3600e3;
    printf("%" PRIu64 " lives of %.0f simulated hours: %" PRIu64 " workers, %" PRIu64
           " signals to them, %" PRIu64 " faults, %" PRIu64 " log lines,\n%" PRIu64
           " clients answered, %" PRIu64 " reset by the death of their worker\n%" PRIu64
           " calls of the port, %.0f a second on one processor\n%" PRIu64 " broken\n",
        tally->lives, hours, counts->workers, counts->signals, counts->faults, counts->log_lines,
        counts->answered, counts->resets, counts->calls, (double)counts->calls / seconds,
        tally->broken);
}

static bool live_many(const struct options *options)
{
    size_t size = (size_t)options->jobs * sizeof(struct share);
    struct share *shares =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct tally all = {0};
    double seconds = 0;
    bool well = shares != MAP_FAILED;
    fflush(stdout);
    for (long job = 0; well && job < options->jobs; job++) {
        pid_t pid = fork();
        if (pid == 0) {
            live_share(options, job, &shares[job]);
            exit(0);
        }
        well = pid > 0;
    }
    while (wait(NULL) > 0)
        continue;
    for (long job = 0; well && job < options->jobs; job++) {
        tally_add(&all, &shares[job].tally);
        seconds += shares[job].cpu_seconds;
        if (!shares[job].done) {
            printf("process %ld ended before its time\n", job);
            well = false;
        }
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

static bool live_list(const char *path)
{
    struct tally tally = {0};
    char line[1024], name[32];
    uint64_t seed;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("%s: %s\n", path, strerror(errno));
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "#\n")] = '\0';
        if (sscanf(line, "%31s %" SCNu64, name, &seed) == 2 && mode_find(name) >= 0)
            live((enum world_mode)mode_find(name), seed, NULL, &tally);
        else if (line[strspn(line, " ")] != '\0') {
            printf("%s: expected MODE SEED, found \"%s\"\n", path, line);
            tally.broken++;
        }
    }
    fclose(file);
    tell(&tally, cpu_seconds());
    return tally.broken == 0;
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
            "sim: \"%s\": expected -mode=safety|liveness, -seeds=N, -first=SEED, "
            "-jobs=1..64, -seed=SEED or -list=FILE\n",
            argv[i]);
        return WRONG_COMMAND_LINE;
    }
    if (options.list != NULL)
        return live_list(options.list) ? 0 : 1;
    if (!options.one)
        return live_many(&options) ? 0 : 1;
    struct tally tally = {0};
    for (int mode = 0; mode < WORLD_MODE_COUNT; mode++)
        if (options.mode < 0 || options.mode == mode)
            live((enum world_mode)mode, options.first, stdout, &tally);
    return tally.broken == 0 ? 0 : 1;
}
