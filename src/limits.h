/*
 * limits: every bound of the program that more than one room must agree on, by name.
 *
 * A buffer that only one room knows has its limit in that room's header. What happens at a limit is
 * said where the limit is applied: a named error, or back-pressure; never silent truncation.
 */
#ifndef SOCKETMASTER_LIMITS_H
#define SOCKETMASTER_LIMITS_H

enum {
    /* Listening sockets of one master. */
    LIMIT_LISTENERS = 256,
    /* Workers of one generation (-workers). */
    LIMIT_WORKERS = 1024,
    /* Living workers of all generations: two full ones, the rest are draining. */
    LIMIT_SLOTS = 2 * LIMIT_WORKERS,
    /* Output pipes of ended workers that processes of theirs still hold open (rule O4). */
    LIMIT_ORPHANS = 256,
    /* Bytes of one worker's log line before it is cut into pieces. */
    LIMIT_LOG_LINE = 64 * 1024,
    /* Arguments of the worker's command. */
    LIMIT_ARGUMENTS = 4096,
    /* Bytes of a listen URI. */
    LIMIT_URI = 4096,
};

#endif
