/*
 * worker: what the sweep's worker tells the director, and what it can be asked for. Shared by both.
 */
#ifndef SOCKETMASTER_SWEEP_WORKER_H
#define SOCKETMASTER_SWEEP_WORKER_H

#include <stdbool.h>
#include <stdint.h>

enum worker_said {
    WORKER_STARTED,
    WORKER_SIGNALLED, /* `signal` came */
    WORKER_FLOODED,   /* has written all of the flood */
};

/* One datagram to the director's socket. */
struct worker_message {
    uint32_t run; /* as given to the worker */
    int32_t said; /* enum worker_said */
    int32_t pid;
    int32_t signal;
    uint64_t generation;
    /* Of WORKER_STARTED: the world that it found. */
    uint64_t descriptors; /* bit N: N is open; below 64 */
    uint64_t blocked;     /* bit N-1: signal N */
    uint64_t ignored;
    uint32_t uid;
    uint32_t port;     /* of the first listener, where it has one */
    bool has_variable; /* SWEEP_VARIABLE, which comes from -envdir, is "value" */
    bool broken;       /* it ends now */
    bool stubborn;     /* it will not leave when HUP comes */
};

/* Asked for with one byte on a connection. */
enum {
    WORKER_ASK_WHO = 'W', /* answers "GENERATION PID\n" */
    WORKER_ASK_FLOOD = 'F',
    WORKER_ASK_EXIT = 'X', /* with WORKER_EXIT_STATUS */
};

enum {
    WORKER_EXIT_STATUS = 3,
    WORKER_BROKEN_STATUS = 7,     /* of one that finds WORKER_BROKEN_FILE where it starts */
    WORKER_FLOOD_LINES = 1500,    /* "flood N ..." */
    WORKER_FLOOD_LONG = 70 * 1024 /* bytes of one more line, "long" and dots */
};

/* Files in the directory where it starts. */
#define WORKER_BROKEN_FILE "broken"     /* it ends at once */
#define WORKER_STUBBORN_FILE "stubborn" /* HUP does not end it */
/* It turns the blocking mode of its listeners round and cuts their backlogs, and as it leaves it
 * removes their files and shuts down those of tcp. */
#define WORKER_MEDDLING_FILE "meddling"

#endif
