/*
 * listener_address: a socket's address -> the strings that people and workers read.
 *
 * Owns: the forms of SOCKETMASTER_ADDR_n and SERVER_STARTER_PORT (rules E4, E5, O6). Part of the
 * room `listener`. Pure.
 */
#ifndef SOCKETMASTER_LISTENER_ADDRESS_H
#define SOCKETMASTER_LISTENER_ADDRESS_H

#include <stdbool.h>

#include "os.h"
#include "text.h"

/* Is there a port, a path or an abstract name in it? */
bool listener_address_is_bound(const struct os_address *address);

/*
 * Appends the address as a URI: "tcp://127.0.0.1:8080", "unix:///run/a%20b.sock", "unix:@name".
 * `zone` is the interface of a link-local address as the user wrote it; NULL or "": its number.
 */
void listener_address_add(
    struct text *text, const char *scheme, const char *zone, const struct os_address *address);

/* Appends it as Server::Starter writes it: "PORT" for every address, "HOST:PORT", "[V6]:PORT", a
 * path as it is, "@name". */
void listener_address_add_starter(
    struct text *text, const char *zone, const struct os_address *address);

#endif
