#include "control_peer.h"

#include <errno.h>

#include "ancestor.h"

/* How often a walk is begun anew when somebody on the way has gone meanwhile: who was left behind
 * has another parent by then. */
enum { TRIES = 3 };

struct search {
    const struct control_host *host;
    pid_t worker;
};

static bool is_worker(void *context, pid_t pid)
{
    struct search *search = context;
    if (search->host->find_worker(search->host->context, pid) < 0)
        return false;
    search->worker = pid;
    return true;
}

enum control_role control_peer_role(
    const struct control *control, const struct os_peer *peer, pid_t *worker)
{
    struct search search = {.host = &control->host};
    bool operator_ = peer->uid == 0 || peer->uid == control->own;
    int found = peer->pid > 0 ? -ESRCH : 0;

    for (int i = 0; i < TRIES && found == -ESRCH; i++)
        found = ancestor_find(control->os, peer->pid, is_worker, &search);
    *worker = search.worker;
    if (found > 0)
        return CONTROL_WORKER;
    if (found == 0)
        return operator_ ? CONTROL_OPERATOR : CONTROL_NOBODY;
    /* Who has gone, or hides behind too many, could be of any worker: it chose that itself. */
    bool evades = found == -ESRCH || found == -ELOOP;
    bool may_be_worker = operator_ || peer->uid == control->worker_user;
    return may_be_worker && !evades ? CONTROL_UNTRACED : CONTROL_NOBODY;
}
