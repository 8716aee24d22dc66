#include "notify.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "ancestor.h"
#include "envp.h"

enum {
    OWN_MODE = 0700,     /* of the directory */
    REACHED_MODE = 0711, /* the same for an account that has to go through it */
    SOCKET_MASK = 0177,  /* makes 0600 of what a socket gets */
    NUMBER_LENGTH = 11,  /* of a slash and any number */
    PLACES_MAX = 3,
    REASONS_SIZE = 1024,
};

_Static_assert(
    NOTIFY_PATH_SIZE == sizeof((struct sockaddr_un *)NULL)->sun_path, "as unix(7) has it");

/* --- the directory --- */

/* The places to try, in order. Returns how many. */
static size_t list_places(struct os *os, char *const *environment, const char *places[PLACES_MAX])
{
    size_t count = 0;
    if (os->user_id(os) == 0) {
        places[count++] = "/run";
    } else {
        /* Only an absolute path stays one in the worker's own directory. */
        static const char *const names[] = {"XDG_RUNTIME_DIR", "TMPDIR"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *place = envp_find(environment, names[i]);
            if (place && place[0] == '/')
                places[count++] = place;
        }
    }
    places[count++] = "/tmp";
    return count;
}

/* Makes it in this place. Returns 0 or -errno. */
static int make_directory(struct notify *notify, const char *place)
{
    struct os *os = notify->os;
    struct text path;
    text_init(&path, notify->directory, sizeof notify->directory - NUMBER_LENGTH);
    text_add(&path, place);
    text_add(&path, "/socketmaster-");
    text_add_signed(&path, os->process_id(os));
    text_add(&path, "-XXXXXX");
    if (path.overflow)
        return -ENAMETOOLONG;
    return os->directory_make(os, notify->directory, notify->account ? REACHED_MODE : OWN_MODE);
}

bool notify_open(struct notify *notify, struct os *os, const struct os_user *account,
    char *const *environment, struct text *error)
{
    const char *places[PLACES_MAX];
    size_t count = list_places(os, environment, places);
    char reasons[REASONS_SIZE];
    struct text tried;
    text_init(&tried, reasons, sizeof reasons);
    notify->os = os;
    notify->account = account;
    for (size_t slot = 0; slot < LIMIT_SLOTS; slot++)
        notify->sockets[slot] = -1;

    for (size_t i = 0; i < count; i++) {
        int failed = make_directory(notify, places[i]);
        if (failed == 0)
            return true;
        text_add(&tried, i > 0 ? ", in " : " in ");
        text_add_quoted(&tried, places[i], strlen(places[i]));
        text_add(&tried, ": ");
        text_add(&tried, strerror(-failed));
    }
    notify->directory[0] = '\0';
    text_add(error, "unable to make a directory for the workers' notify sockets");
    text_add(error, tried.bytes);
    return false;
}

void notify_close(struct notify *notify)
{
    if (notify->directory[0] == '\0')
        return;
    for (unsigned slot = 0; slot < LIMIT_SLOTS; slot++)
        notify_slot_close(notify, slot);
    notify->os->directory_remove(notify->os, notify->directory);
    notify->directory[0] = '\0';
}

/* --- slots --- */

const char *notify_slot_path(struct notify *notify, unsigned slot)
{
    struct text path;
    text_init(&path, notify->path, sizeof notify->path);
    text_add(&path, notify->directory);
    text_add_char(&path, '/');
    text_add_unsigned(&path, slot);
    return notify->path;
}

static int bind_path(struct os *os, int fd, const char *path)
{
    struct os_address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    memcpy(local.sun_path, path, strlen(path));
    memcpy(&address.address, &local, sizeof local);

    mode_t before = os->file_mask(os, SOCKET_MASK);
    int error = os->socket_bind(os, fd, &address);
    /* One of our own that could not be removed in its time: nobody else can have made it. */
    if (error == -EADDRINUSE && os->file_remove(os, path) == 0)
        error = os->socket_bind(os, fd, &address);
    os->file_mask(os, before);
    return error;
}

static int give_away(struct os *os, const char *path, const struct os_user *account)
{
    int pin = os->file_pin(os, path);
    if (pin < 0)
        return pin;
    int error = os->file_pinned_chown(os, pin, account->uid, account->gid);
    os->close(os, pin);
    return error;
}

int notify_slot_open(struct notify *notify, unsigned slot)
{
    struct os *os = notify->os;
    const char *path = notify_slot_path(notify, slot);
    const int on = 1;
    int fd = os->socket_open(os, AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    int error = os->socket_set(os, fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if (error < 0)
        goto close;
    error = bind_path(os, fd, path);
    if (error < 0)
        goto close;
    if (notify->account)
        error = give_away(os, path, notify->account);
    if (error < 0)
        goto remove;
    notify->sockets[slot] = fd;
    notify->statuses[slot][0] = '\0';
    return fd;

remove:
    os->file_remove(os, path);
close:
    os->close(os, fd);
    return error;
}

void notify_slot_close(struct notify *notify, unsigned slot)
{
    struct os *os = notify->os;
    if (notify->sockets[slot] < 0)
        return;
    os->file_remove(os, notify_slot_path(notify, slot));
    os->close(os, notify->sockets[slot]);
    notify->sockets[slot] = -1;
}

/* --- messages --- */

/* It is our child and not reaped: so the number is still its own, and a look that fails is no
 * reason not to hear it. */
static bool has_ended(struct os *os, pid_t worker)
{
    struct os_process process;
    return os->process_look(os, worker, &process) == 0 && process.ended;
}

static bool is_worker(void *context, pid_t pid)
{
    const pid_t *worker = context;
    return pid == *worker;
}

/* Does the process descend from the worker? 1, 0, or -errno where nobody can tell. */
static int descends(struct os *os, pid_t pid, pid_t worker)
{
    int found = ancestor_find(os, pid, is_worker, &worker);
    return found == -ESRCH || found == -ELOOP ? 0 : found;
}

static bool says_nothing(const struct notify_message *message)
{
    return !message->ready && !message->stopping && !message->has_extend && !message->has_status;
}

int notify_take(struct notify *notify, unsigned slot, pid_t worker, struct notify_message *message)
{
    struct os *os = notify->os;
    pid_t sender;
    ssize_t length = os->datagram_receive(
        os, notify->sockets[slot], notify->bytes, sizeof notify->bytes, &sender);
    if (length < 0)
        return (int)length;
    if ((size_t)length > sizeof notify->bytes ||
        !notify_message_read(notify->bytes, (size_t)length, message))
        return 0;
    /* A BARRIER=1, most of all: its sender may have been waiting for this alone, and be gone. */
    if (says_nothing(message))
        return 1;
    int counts = sender == worker ? !has_ended(os, worker) : descends(os, sender, worker);
    if (counts == 1 && message->has_status) {
        struct text status;
        text_init(&status, notify->statuses[slot], sizeof notify->statuses[slot]);
        notify_message_add_status(message->status, &status);
    }
    return counts;
}

const char *notify_slot_status(const struct notify *notify, unsigned slot)
{
    return notify->statuses[slot];
}

enum notify_fd_state notify_read_fd(struct os *os, int fd)
{
    char bytes[NOTIFY_READ_BYTES];
    for (int i = 0; i < NOTIFY_READS_MAX; i++) {
        ssize_t length = os->read(os, fd, bytes, sizeof bytes);
        if (length == -EAGAIN)
            return NOTIFY_FD_PENDING;
        if (length < 0)
            return NOTIFY_FD_FAILED;
        if (length == 0)
            return NOTIFY_FD_CLOSED;
        if (memchr(bytes, '\n', (size_t)length))
            return NOTIFY_FD_READY;
    }
    return NOTIFY_FD_PENDING;
}
