#include "ancestor.h"

#include <errno.h>

int ancestor_find(
    struct os *os, pid_t pid, bool (*is_sought)(void *context, pid_t pid), void *context)
{
    for (int step = 0; pid > 1; step++) {
        struct os_process process;
        if (is_sought(context, pid))
            return 1;
        if (step > ANCESTOR_STEPS_MAX)
            return -ELOOP;
        int error = os->process_look(os, pid, &process);
        if (error < 0)
            return error;
        pid = process.parent;
    }
    return 0;
}
