/*
 * sim: the world of sweep_sim: the whole supervisor on a kernel in memory (os_sim).
 *
 * Owns: what a scenario is. A scenario is a script of simulated time:
 *
 *     0            the master starts; calls fail from here on, or ...
 *     SIM_SERVES   ... from here on, when the first worker serves
 *     SIM_ACTS     from about here to SIM_LIFT, what the scenario is about
 *     SIM_LIFT     nothing fails any more, and who lives lives well
 *     then         all comes to rest; a client, a reload, rest; a stop
 *
 * Leaves to others: the loops over faults (sweep.h), the scripts (sim_scenarios), the course of a
 * run (sweep_sim), what has to hold during it and after it (sim_check), and at each call (os_sim).
 */
#ifndef SOCKETMASTER_SWEEP_SIM_H
#define SOCKETMASTER_SWEEP_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "os_fault.h"
#include "os_sim.h"
#include "sweep.h"

enum {
    SIM_START_MS = 100, /* -start, for all */
    /* In milliseconds since the start of the world: */
    SIM_LOCKED = 50, /* so long somebody else has the directories' lock, if at all */
    SIM_SERVES = 500,
    SIM_ACTS = 1000,
    SIM_LIFT = 6000,

    SIM_SCENARIOS_MAX = 64,
    SIM_WORDS_MAX = 16,
    SIM_WORDS_SIZE = 512,
    SIM_HEARD_SIZE = 256 * 1024, /* what is said after that is not kept */
};

#define SIM_STALE_PATH "/run/app.sock"
#define SIM_CONTROL_PATH "/run/control.sock"

struct sim_act {
    uint64_t at;
    os_sim_happen *happen; /* NULL: the end of the list */
};

struct sim_scenario {
    const char *name;
    const char *const *options; /* of the command line, NULL-terminated */
    const struct sim_act *acts; /* or NULL */
    enum os_output_kind output; /* what standard error is; never OS_OUTPUT_CLOSED */
    bool faults_from_birth;     /* else from SIM_SERVES on */
    bool is_check;              /* -check: nothing is started */
    bool passed;                /* standard input is a listening socket */
    bool stale_file;            /* a socket file that nobody answers on lies at SIM_STALE_PATH */
    bool locked;                /* see SIM_LOCKED */
    bool ends;                  /* the last worker ends by itself, and so does the master */
    bool reloads_fail;          /* who is born later ends before it is ready */
    int status;                 /* of the master that ends because its last worker did so */
    const struct os_sim_temper *first; /* of the first worker; NULL: a good one */
    const struct os_sim_temper *later; /* of those born after it, until SIM_LIFT */
};

extern const struct sim_scenario sim_scenarios[];
extern const size_t sim_scenario_count;

/* A worker without faults. */
extern const struct os_sim_temper sim_good;

/* What was said to a reader. */
struct sim_heard {
    char bytes[SIM_HEARD_SIZE];
    size_t length;
};

/* One run, and what is kept from one to the next. */
struct sim_world {
    struct os_sim sim; /* first: what hears the output gets it as its port */
    struct os_fault fault;
    struct os_sim_choice choice;
    struct config config;
    char words[SIM_WORDS_SIZE]; /* of the command line */
    char *argv[SIM_WORDS_MAX + 1];
    int argc;
    const struct sweep_case *played;
    const struct sim_scenario *scenario;
    jmp_buf escape;

    /* What stands behind the world's own entries. */
    const struct os_fault_way *(*choose)(struct os_fault *fault, enum os_call call);
    ssize_t (*output_write)(
        struct os *os, struct os_output *output, const char *bytes, size_t length);
    int (*datagrams_send)(struct os *os, int fd, const struct iovec *parts, size_t count);

    struct sim_heard console; /* standard output and error; the log as well, unless it is syslog */
    struct sim_heard daemon;  /* syslog's */
    uint64_t uses_before[OS_CALL_COUNT]; /* that were made when faults began */
    uint64_t answered_before, requests_answered_before, lines_before;
    size_t heap_before;
    mode_t mask_before;
    /* Descriptors that the master has at rest when nothing fails; 0: it comes to none. */
    unsigned open_at_rest[SIM_SCENARIOS_MAX];
    bool clean_known[SIM_SCENARIOS_MAX];
};

/* Does this way do by and by what was asked for, rather than not at all? */
bool sim_is_in_pieces(const struct os_fault_way *way);

/* Each of them leaves the run when something does not hold (os_sim_violate). */

/* Right before SIM_LIFT: whatever else fails for ever, signals are taken and children are reaped.
 */
void sim_check_lift(struct sim_world *world);
/* Calls have worked for long. */
void sim_check_first_rest(struct sim_world *world);
/* The first reload after the faults is done, and nothing of them is left. */
void sim_check_second_rest(struct sim_world *world);
/* The master has ended. */
void sim_check_end(struct sim_world *world, int status);

#endif
