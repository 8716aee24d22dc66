/*
 * uri_option: the query of a URI, for the files of the room uri alone.
 */
#ifndef SOCKETMASTER_URI_OPTION_H
#define SOCKETMASTER_URI_OPTION_H

#include <stdbool.h>

#include "uri_word.h"

/*
 * Reads all of `part`, which is what follows the '?', into the reading's uri. What stands before
 * the
 * '?' has been read: it decides which options there are.
 * Returns true; or false, with the failure noted.
 */
bool uri_read_options(const struct uri_reading *reading, struct uri_part part);

#endif
