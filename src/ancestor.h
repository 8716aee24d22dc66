/*
 * ancestor: which process another one comes from (rules R4, K3).
 *
 * Owns: the walk from a process to its parent, and on. Leaves to others: whom they look for.
 */
#ifndef SOCKETMASTER_ANCESTOR_H
#define SOCKETMASTER_ANCESTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "os.h"

enum { ANCESTOR_STEPS_MAX = 64 }; /* between a process and the one that is looked for */

/*
 * Goes from `pid` upwards, until `is_sought` says so of a process. Returns
 *   1        it did;
 *   0        nobody up to process 1, or to the edge of what can be seen from here, is sought;
 *   -ESRCH   one on the way is gone: it is unknown where the first one belongs;
 *   -ELOOP   there are more than ANCESTOR_STEPS_MAX on the way;
 *   -errno   nobody can tell.
 */
int ancestor_find(
    struct os *os, pid_t pid, bool (*is_sought)(void *context, pid_t pid), void *context);

#endif
