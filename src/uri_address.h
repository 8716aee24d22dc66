/*
 * uri_address: HOST:PORT, for the files of the room uri alone.
 */
#ifndef SOCKETMASTER_URI_ADDRESS_H
#define SOCKETMASTER_URI_ADDRESS_H

#include <stdbool.h>

#include "uri_word.h"

/*
 * Reads all of `part` as HOST:PORT into the reading's uri, whose family is the scheme's: a literal
 * of another one is an error, and where the scheme leaves it open a literal settles it. Returns
 * true; or false, with the failure noted.
 */
bool uri_read_address(const struct uri_reading *reading, struct uri_part part);

#endif
