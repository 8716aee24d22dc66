#include "supervisor_command.h"

#include <string.h>

void supervisor_commands_clear(struct supervisor_commands *commands)
{
    for (size_t i = 0; i < SUPERVISOR_COMMANDS; i++)
        commands->stores[i].used = false;
}

static struct supervisor_command *find(
    const struct supervisor_commands *commands, bool tried, uint64_t generation)
{
    for (size_t i = 0; i < SUPERVISOR_COMMANDS; i++) {
        const struct supervisor_command *store = &commands->stores[i];
        if (store->used && store->tried == tried && (!tried || store->generation == generation))
            return (struct supervisor_command *)(uintptr_t)store;
    }
    return NULL;
}

const struct spawn_command *supervisor_command_now(const struct supervisor_commands *commands)
{
    const struct supervisor_command *store = find(commands, false, 0);
    return store ? &store->shown : NULL;
}

const struct spawn_command *supervisor_command_of(
    const struct supervisor_commands *commands, uint64_t generation)
{
    const struct supervisor_command *store = find(commands, true, generation);
    return store ? &store->shown : supervisor_command_now(commands);
}

bool supervisor_command_is_tried(const struct supervisor_commands *commands, uint64_t generation)
{
    return find(commands, true, generation) != NULL;
}

const struct spawn_command *supervisor_command_try(struct supervisor_commands *commands,
    uint64_t generation, const struct text_span *words, size_t count)
{
    struct supervisor_command *store = commands->stores;
    while (store->used)
        store++;
    store->used = store->tried = true;
    store->generation = generation;
    char *to = store->bytes;
    for (size_t i = 0; i < count; i++) {
        store->argv[i] = to;
        memcpy(to, words[i].bytes, words[i].length);
        to += words[i].length;
        *to++ = '\0';
    }
    store->argv[count] = NULL;
    store->shown = (struct spawn_command){.name = store->argv[0], .argv = store->argv};
    return &store->shown;
}

void supervisor_command_settle(
    struct supervisor_commands *commands, uint64_t generation, bool success)
{
    struct supervisor_command *tried = find(commands, true, generation);
    if (!tried)
        return;
    struct supervisor_command *before = find(commands, false, 0);
    if (success && before)
        before->used = false;
    tried->tried = false;
    tried->used = success;
}
