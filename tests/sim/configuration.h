/*
 * configuration: what a simulated life is asked for: a command line that is drawn, and read as the
 * program reads it.
 */
#ifndef SOCKETMASTER_SIM_CONFIGURATION_H
#define SOCKETMASTER_SIM_CONFIGURATION_H

#include "cli.h"
#include "os_sim.h"

enum {
    CONFIGURATION_WORDS = 32,
    CONFIGURATION_BYTES = 1024,
};

struct configuration {
    char words[CONFIGURATION_BYTES];
    size_t used;                         /* of it */
    char *argv[CONFIGURATION_WORDS + 1]; /* in `words`; NULL-terminated */
    int argc;
    struct config config;            /* the same, read */
    struct os_sim_settings settings; /* and what the judge has to know of it */
};

/* `controlled`: with a control socket. */
void configuration_draw(
    struct configuration *configuration, struct os_sim_choice *choice, bool controlled);

#endif
