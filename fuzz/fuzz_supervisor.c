/*
 * fuzz_supervisor: whole lives of a master in the simulator, of which the bytes choose everything:
 * its options, what its workers are like, what happens when, and which calls fail. The invariants
 * are the simulator's (tests/fixtures/os_sim_check.c).
 *
 * When the bytes have run out nothing bad happens any more; so every input comes to an end.
 */
#include "target.h"

#include <stdio.h>

#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world_result result;
    struct os_sim_choice choice;
    if (size < 1)
        return 0;
    os_sim_choice_bytes(&choice, data + 1, size - 1);
    /* The highest bit asks for a control socket. */
    enum world_mode modes[] = {
        WORLD_SAFETY, WORLD_LIVENESS, WORLD_CONTROL_SAFETY, WORLD_CONTROL_LIVENESS};
    world_run(&choice, modes[data[0] % 2 + data[0] / 128 * 2], NULL, &result);
    if (result.violated)
        fprintf(stderr, "%s\n", result.violation);
    CHECK(!result.violated);
    return 0;
}
