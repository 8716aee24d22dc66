/*
 * os_posix: the real implementation of the port, and the only room that calls the kernel.
 *
 * Owns: the rules that hold for every call: EINTR is retried, descriptors are close-on-exec from
 * birth and never below 3, a pid to signal is above 0. Leaves to others: what is done and why.
 * Linux: signalfd, epoll, splice, O_PATH.
 */
#ifndef SOCKETMASTER_OS_POSIX_H
#define SOCKETMASTER_OS_POSIX_H

#include "os.h"

/* The table; the caller owns it and can call it at once. The only state behind it is the limit of
 * descriptors that this process was started with. */
void os_posix_init(struct os *os);

#endif
