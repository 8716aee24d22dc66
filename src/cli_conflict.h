/*
 * cli_conflict: values that are right one by one, but not together (rule C5); for cli alone.
 *
 * Owns: the table of what does not go together. Leaves to others: what each value has to be.
 */
#ifndef SOCKETMASTER_CLI_CONFLICT_H
#define SOCKETMASTER_CLI_CONFLICT_H

#include <stdbool.h>

#include "cli.h"
#include "cli_option.h"
#include "text.h"

/*
 * `given` says for each of cli_options, in their order, where `config` has its value from. Returns
 * true; or false and completes the error, which names both options.
 */
bool cli_conflict_check(
    const struct config *config, const struct cli_given *given, struct text *error);

#endif
