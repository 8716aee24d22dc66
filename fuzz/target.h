/*
 * target: what every fuzz target needs: its entry point, and a check that ends the run.
 */
#ifndef SOCKETMASTER_FUZZ_TARGET_H
#define SOCKETMASTER_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

/* https://llvm.org/docs/LibFuzzer.html#fuzz-target */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
