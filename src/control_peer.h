/*
 * control_peer: who speaks through a connection (rule K3).
 *
 * Owns: what follows from a peer's pid and user. Leaves to others: what they may say.
 */
#ifndef SOCKETMASTER_CONTROL_PEER_H
#define SOCKETMASTER_CONTROL_PEER_H

#include <sys/types.h>

#include "control.h"
#include "os.h"

/*
 * Finds out what the peer is, as long as it is still there to be asked about. Of a CONTROL_WORKER
 * *worker is the pid of the worker that it belongs to.
 */
enum control_role control_peer_role(
    const struct control *control, const struct os_peer *peer, pid_t *worker);

#endif
