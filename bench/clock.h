/*
 * clock: the one clock of all measurements. CLOCK_MONOTONIC is the same for every process, so a
 * time that one of them took can be subtracted from another's (Python's time.monotonic_ns() too).
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
