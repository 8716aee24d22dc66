/*
 * world: one simulated life of a master, all of it drawn from one sequence of choices: how it is
 * configured, what its workers are like, what its user, its clients and its log reader do and when,
 * which calls fail; and the judgement of it.
 *
 * Owns: the drawing, and the ways in which a life goes on to its end. Leaves to others: the
 * kernel and the invariants (os_sim), how calls fail (os_fault), where the choices come from.
 */
#ifndef SOCKETMASTER_SIM_WORLD_H
#define SOCKETMASTER_SIM_WORLD_H

#include <stdbool.h>
#include <stdio.h>

#include "os_sim.h"

enum world_mode {
    WORLD_SAFETY,   /* faults at any time, to the end: the invariants hold always */
    WORLD_LIVENESS, /* faults stop, and from then on everything comes to rest: reloads are done */
    WORLD_CONTROL_SAFETY, /* the same two with a control socket, and clients of it */
    WORLD_CONTROL_LIVENESS,
    WORLD_MODE_COUNT,
};

/* How much there was of what, in one life or in several. */
struct world_counts {
    uint64_t calls; /* of the port */
    uint64_t simulated_ms;
    uint64_t workers, signals, answered, resets, faults, log_lines, requests_answered;
};

/* What one life came to. */
struct world_result {
    bool violated;
    char violation[OS_SIM_WORDS];
    struct world_counts counts;
};

/* "safety", "liveness", ... */
extern const char *const world_mode_names[WORLD_MODE_COUNT];

/* Lives one life. `trace` is NULL, or where all that happens is told. To be called as often as
 * wanted: nothing of the life before is left. */
void world_run(
    struct os_sim_choice *choice, enum world_mode mode, FILE *trace, struct world_result *result);

#endif
