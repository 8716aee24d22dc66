/*
 * supervisor_command: the command that workers execute, and those that a reload brings (rule K5).
 *
 * Owns: their bytes, and which generation executes which. A new command becomes the command when
 * its rollout succeeds, and is forgotten when it fails. For the supervisor alone.
 */
#ifndef SOCKETMASTER_SUPERVISOR_COMMAND_H
#define SOCKETMASTER_SUPERVISOR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "spawn.h"
#include "text.h"

enum {
    /* The present one, that of a rollout under way, and that of a reload that is remembered. */
    SUPERVISOR_COMMANDS = 3,
};

struct supervisor_command {
    bool used;
    bool tried; /* it is not the command yet, but that of one generation */
    uint64_t generation;
    struct spawn_command shown;
    char *argv[PROTO_ARGS_MAX + 1];
    char bytes[PROTO_LINE_MAX + PROTO_ARGS_MAX];
};

/* All zero: the command is that of the settings. */
struct supervisor_commands {
    struct supervisor_command stores[SUPERVISOR_COMMANDS];
};

void supervisor_commands_clear(struct supervisor_commands *commands);

/* What workers of a generation execute; NULL: the command of the settings. */
const struct spawn_command *supervisor_command_of(
    const struct supervisor_commands *commands, uint64_t generation);

/* What workers execute that no rollout starts; NULL: as above. */
const struct spawn_command *supervisor_command_now(const struct supervisor_commands *commands);

/* Is there one already that a generation is to try? */
bool supervisor_command_is_tried(const struct supervisor_commands *commands, uint64_t generation);

/*
 * Keeps a copy of the words (1 to PROTO_ARGS_MAX, without a NUL, of PROTO_LINE_MAX bytes together)
 * for a generation that has none yet. Returns it.
 */
const struct spawn_command *supervisor_command_try(struct supervisor_commands *commands,
    uint64_t generation, const struct text_span *words, size_t count);

/* The rollout of a generation has ended: what it tried is the command from now on, or is none. */
void supervisor_command_settle(
    struct supervisor_commands *commands, uint64_t generation, bool success);

#endif
