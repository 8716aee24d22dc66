/*
 * sweep: each way in which a call of the port can fail, at each place, once and for ever.
 *
 * For each scenario of a world, each way of os_fault_ways, each span: N = 1, 2, 3 ... until a run
 * injects nothing any more. Owns: these loops, the command line, the sharing out among processes,
 * and the sums. Leaves to others: the world, in which one run is played and judged. A world is the
 * real kernel (sweep_kernel) or a simulated one.
 */
#ifndef SOCKETMASTER_SWEEP_H
#define SOCKETMASTER_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os_fault.h"
#include "text.h"

/* One run. */
struct sweep_case {
    size_t scenario;
    const struct os_fault_way *way; /* NULL: nothing fails */
    uint64_t nth;                   /* from 1 */
    enum os_fault_span span;
    bool verbose; /* somebody looks on: the world may tell on standard output what happens */
};

/* What came of it. */
struct sweep_result {
    uint64_t struck;              /* uses that failed; 0: there was no Nth use */
    uint64_t uses[OS_CALL_COUNT]; /* that could have been made to fail */
    bool violated;                /* something did not hold ... */
    struct text report;           /* ... in words, a line for each thing and what was seen */
};

struct sweep_world {
    const char *name; /* of the program, for its messages */
    size_t scenario_count;
    const char *(*scenario_name)(size_t scenario);

    /* Why a scenario cannot be played on this machine, or NULL. */
    const char *(*scenario_missing)(size_t scenario);

    /* Why a way cannot strike in this world although its call has it, or NULL. */
    const char *(*way_missing)(const struct os_fault_way *way);

    /* In each process that plays, before and after; `patience` multiplies what is waited for.
     * Returns false, and says why on standard error. */
    bool (*open)(unsigned patience);
    void (*close)(void);

    /* Plays and judges. *result is empty at first. */
    void (*run)(const struct sweep_case *played, struct sweep_result *result);
};

/* The program: reads the command line, plays, prints. Returns the exit status. */
int sweep_main(const struct sweep_world *world, int argc, char **argv);

#endif
