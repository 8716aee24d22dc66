#include "relay.h"

#include <errno.h>
#include <string.h>

/* How often a pipe is read at its worker's end: more than fits into it (1 MiB, unless root has
 * raised /proc/sys/fs/pipe-max-size), so that only a process that is still writing can leave
 * something. */
enum { DRAIN_READS = 16 };

/* What one read of a pipe came to. */
enum source_state {
    SOURCE_MORE,  /* there may be more in it */
    SOURCE_EMPTY, /* there is nothing in it now, or it was closed */
    SOURCE_STUCK, /* the log has no room */
    SOURCE_FAILED,
};

/* How often it is read at one wake-up, so that a flood takes fewer turns of the loop. */
enum { PUMP_READS = 4 };

static void source_close(struct relay *relay, size_t index)
{
    struct relay_source *source = &relay->sources[index];
    relay->os->watch_remove(relay->os, relay->set, source->fd);
    relay->os->close(relay->os, source->fd);
    if (source->orphan)
        relay->orphans--;
    if (index < relay->free)
        relay->free = index;
    *source = (struct relay_source){.fd = -1};
}

/* Hands the log what is held, as far as it has room. Returns true when nothing is held any more. */
static bool pass_on(struct relay *relay)
{
    if (relay->at == relay->end)
        return true;
    struct log *log = relay->log;
    const char *bytes = relay->input + relay->at;
    size_t length = relay->end - relay->at;
    size_t cap = log_line_cap(log);
    struct childlog_record record;
    log_begin_worker(log, relay->sources[relay->held].worker);
    struct childlog *unfinished = &relay->unfinished[relay->held];
    while (length) {
        if (log_batch_full(log))
            log_flush(log);
        if (!log_has_room(log))
            break;
        size_t taken = unfinished->kept ? 0 : log_add_lines(log, bytes, length);
        bytes += taken;
        length -= taken;
        if (!taken && childlog_next(unfinished, &bytes, &length, cap, &record))
            log_add_record(log, &record);
    }
    relay->at = relay->end - length;
    return length == 0;
}

/* No more will come to the unfinished line: it is complete as it is. */
static void finish_line(struct relay *relay, size_t index)
{
    struct childlog_record record;
    if (!log_has_room(relay->log))
        log_flush(relay->log);
    if (!log_has_room(relay->log) || !childlog_finish(&relay->unfinished[index], &record))
        return;
    log_begin_worker(relay->log, relay->sources[index].worker);
    log_add_record(relay->log, &record);
}

static void source_finish(struct relay *relay, size_t index)
{
    finish_line(relay, index);
    source_close(relay, index);
}

static void tail_add(struct relay *relay, unsigned slot, const char *bytes, size_t length)
{
    char *tail = relay->tails[slot];
    if (length > RELAY_TAIL) {
        relay->written[slot] += length - RELAY_TAIL;
        bytes += length - RELAY_TAIL;
        length = RELAY_TAIL;
    }
    size_t at = relay->written[slot] % RELAY_TAIL;
    size_t first = length < RELAY_TAIL - at ? length : RELAY_TAIL - at;
    memcpy(tail + at, bytes, first);
    memcpy(tail, bytes + first, length - first);
    relay->written[slot] += length;
}

size_t relay_last_output(const struct relay *relay, unsigned slot, char *buffer)
{
    const char *tail = relay->tails[slot];
    uint64_t written = relay->written[slot];
    bool cut = written > RELAY_TAIL;
    size_t length = cut ? RELAY_TAIL : (size_t)written;
    size_t at = cut ? written % RELAY_TAIL : 0;
    memcpy(buffer, tail + at, length - at);
    memcpy(buffer + length - at, tail, at);
    if (length > 0 && buffer[length - 1] == '\n')
        length--;
    /* The beginning of its first line is gone: whole lines, unless there is but that one. */
    const char *newline = cut ? memchr(buffer, '\n', length) : NULL;
    if (newline) {
        length -= (size_t)(newline + 1 - buffer);
        memmove(buffer, newline + 1, length);
    }
    return length;
}

void relay_forget_output(struct relay *relay, unsigned slot)
{
    relay->written[slot] = 0;
}

static enum source_state source_read(struct relay *relay, size_t index)
{
    struct os *os = relay->os;
    if (!pass_on(relay) || !log_has_room(relay->log))
        return SOURCE_STUCK;
    ssize_t got = os->read(os, relay->sources[index].fd, relay->input, sizeof relay->input);
    if (got == -EAGAIN)
        return SOURCE_EMPTY;
    /* Never closed for that: its worker would die of the next line that it writes. */
    if (got < 0)
        return SOURCE_FAILED;
    if (got == 0) {
        source_finish(relay, index);
        return SOURCE_EMPTY;
    }
    if (!relay->sources[index].orphan)
        tail_add(relay, relay->sources[index].slot, relay->input, (size_t)got);
    relay->held = index;
    relay->at = 0;
    relay->end = (size_t)got;
    return pass_on(relay) ? SOURCE_MORE : SOURCE_STUCK;
}

/* Reads up to so many times, until there is nothing more; a failure may be over by then. */
static enum source_state source_read_on(struct relay *relay, size_t index, int most)
{
    enum source_state state = SOURCE_MORE;
    for (int reads = 0; reads < most && (state == SOURCE_MORE || state == SOURCE_FAILED); reads++)
        state = source_read(relay, index);
    if (state == SOURCE_FAILED)
        relay->failing = true;
    return state;
}

int relay_open(struct relay *relay, struct os *os, struct log *log)
{
    relay->os = os;
    relay->log = log;
    relay->bound = relay->free = relay->held = relay->at = relay->end = 0;
    relay->orphaned = 0;
    relay->orphans = 0;
    relay->failing = false;
    relay->set = os->watch_open(os);
    return relay->set < 0 ? relay->set : 0;
}

int relay_add(struct relay *relay, int fd, unsigned slot, pid_t worker)
{
    size_t index = relay->free;
    while (index < relay->bound && relay->sources[index].fd >= 0)
        index++;
    if (index == RELAY_SOURCES_MAX)
        return -EMFILE;
    int error = relay->os->watch_add(relay->os, relay->set, fd, index, true, false);
    if (error < 0)
        return error;
    if (index == relay->bound)
        relay->bound++;
    relay->free = index + 1;
    relay->of_slot[slot] = index;
    relay->sources[index] = (struct relay_source){.fd = fd, .slot = slot, .worker = worker};
    relay->unfinished[index] = (struct childlog){.bytes = relay->lines[index]};
    return 0;
}

/* Flushes the log, and hands on what is held as long as that makes room: afterwards something is
 * held only while the log waits for its way out. */
static void flush_and_pass_on(struct relay *relay)
{
    log_flush(relay->log);
    while (relay->at != relay->end && log_has_room(relay->log)) {
        pass_on(relay);
        log_flush(relay->log);
    }
}

void relay_pump(struct relay *relay)
{
    enum { READY_MAX = 32 };
    struct os_ready ready[READY_MAX];
    relay->failing = false;
    if (pass_on(relay)) {
        int count = relay->os->watch_wait(relay->os, relay->set, ready, READY_MAX, 0);
        for (int i = 0; i < count; i++)
            if (relay->sources[ready[i].token].fd >= 0)
                source_read_on(relay, (size_t)ready[i].token, PUMP_READS);
    }
    flush_and_pass_on(relay);
}

bool relay_wants_input(const struct relay *relay)
{
    return relay->at == relay->end && log_has_room(relay->log) && !relay->failing;
}

bool relay_wants_time(const struct relay *relay)
{
    return relay->failing;
}

static pid_t close_oldest_orphan(struct relay *relay)
{
    size_t oldest = relay->bound;
    for (size_t i = 0; i < relay->bound; i++) {
        const struct relay_source *source = &relay->sources[i];
        if (source->fd < 0 || !source->orphan || (i == relay->held && relay->at != relay->end))
            continue;
        if (oldest == relay->bound || source->order < relay->sources[oldest].order)
            oldest = i;
    }
    if (oldest == relay->bound)
        return 0;
    pid_t worker = relay->sources[oldest].worker;
    source_finish(relay, oldest);
    return worker;
}

pid_t relay_worker_ended(struct relay *relay, unsigned slot)
{
    size_t index = relay->of_slot[slot];
    if (index >= relay->bound)
        return 0;
    struct relay_source *source = &relay->sources[index];
    /* It may have had no pipe, or have closed it: what is there now is not its own. */
    if (source->fd < 0 || source->orphan || source->slot != slot)
        return 0;
    enum source_state state = source_read_on(relay, index, DRAIN_READS);
    if (source->fd < 0)
        return 0;
    /* Unless others are still writing, what there is of a line is the worker's last. */
    if (state == SOURCE_EMPTY)
        finish_line(relay, index);
    source->orphan = true;
    source->order = ++relay->orphaned;
    relay->orphans++;
    /* Not while the log is stuck: what is in the pipes has not been read then. */
    bool surplus = relay->orphans > LIMIT_ORPHANS && log_has_room(relay->log);
    return surplus ? close_oldest_orphan(relay) : 0;
}

bool relay_drain(struct relay *relay)
{
    bool stuck = false;
    for (size_t i = 0; i < relay->bound; i++)
        if (relay->sources[i].fd >= 0)
            stuck |= source_read_on(relay, i, DRAIN_READS) == SOURCE_STUCK;
    flush_and_pass_on(relay);
    return !stuck;
}

void relay_close(struct relay *relay)
{
    for (size_t i = 0; i < relay->bound; i++)
        if (relay->sources[i].fd >= 0)
            source_finish(relay, i);
    log_flush(relay->log);
    if (relay->set >= 0)
        relay->os->close(relay->os, relay->set);
}
