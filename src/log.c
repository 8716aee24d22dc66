#include "log.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "text.h"

enum {
    STANDARD_ERROR = 2,
    LOST_LINE_MAX = 160, /* bytes of a line about lost ones */
    /* Of one flush: a terminal that takes a few bytes at a time holds up nothing else. */
    FLUSH_WRITES = 64,
};

/* --- the queue --- */

/* Moves what is queued to the queue's front. */
static void queue_compact(struct log *log)
{
    if (log->head == 0)
        return;
    memmove(log->queue, log->queue + log->head, log->tail - log->head);
    log->tail -= log->head;
    log->head = 0;
}

/* The text of what is free at the queue's end, with `need` bytes of room if there are so many. */
static struct text queue_text(struct log *log, size_t need)
{
    if (LOG_QUEUE_SIZE - log->tail < need)
        queue_compact(log);
    struct text text;
    text_init(&text, log->queue + log->tail, LOG_QUEUE_SIZE - log->tail + 1);
    return text;
}

static size_t queued(const struct log *log)
{
    return log->tail - log->head;
}

static void lose(struct log *log, uint64_t lines, int error)
{
    if (!lines)
        return;
    if (!log->lost)
        log->retry_at = log->os->clock_ms(log->os) + LOG_RETRY_MS;
    log->lost += lines;
    log->counts.lost += lines;
    log->lost_error = error;
}

/* So much was written to the queue's end. */
static void queue_add(struct log *log, size_t length)
{
    const char *bytes = log->queue + log->tail;
    log->tail += length;
    if (log->tap && length)
        log->tap->take(log->tap->context, bytes, length);
}

/* --- lines in --- */

void log_follow(struct log *log, const struct log_tap *tap)
{
    log->tap = tap;
}

void log_set_quiet(struct log *log, bool quiet)
{
    log->quiet = quiet;
}

void log_say(struct log *log, int severity, const char *line, size_t length)
{
    if (log->quiet && severity > LOG_WARNING)
        return;
    if (log_form_renew_stamp(&log->form, log->os))
        log->prefix_worker = 0;
    struct text text = queue_text(log, log_form_bound(&log->form, length));
    log_form_add_prefix(&log->form, &text, severity, 0);
    log_form_add_message(&log->form, &text, (struct text_span){line, length}, false);
    if (text.overflow)
        lose(log, 1, ENOBUFS);
    else
        queue_add(log, text.length);
}

size_t log_line_cap(const struct log *log)
{
    return log->form.format == LOG_FORMAT_SYSLOG ? LOG_SYSLOG_LINE : LIMIT_LOG_LINE;
}

bool log_has_room(const struct log *log)
{
    return LOG_QUEUE_SIZE - queued(log) >=
           LOG_RESERVE + log_form_bound(&log->form, log_line_cap(log));
}

bool log_batch_full(const struct log *log)
{
    return !log->blocked && queued(log) >= LOG_BATCH;
}

void log_begin_worker(struct log *log, pid_t worker)
{
    if (!log_form_renew_stamp(&log->form, log->os) && log->prefix_worker == worker)
        return;
    log->prefix_worker = worker;
    text_init(&log->prefix, log->prefix_bytes, sizeof log->prefix_bytes);
    log_form_add_prefix(&log->form, &log->prefix, LOG_INFO, worker);
}

void log_add_record(struct log *log, const struct childlog_record *record)
{
    struct text text = queue_text(log, log_form_bound(&log->form, record->line.length));
    text_add_bytes(&text, log->prefix.bytes, log->prefix.length);
    log_form_add_message(&log->form, &text, record->line, record->cut);
    queue_add(log, text.length);
    log->counts.lines += !record->cut;
    log->counts.bytes += record->line.length;
}

/* A prefix of up to so many bytes is copied as that many: a fixed size is a few moves, and what is
 * too much is overwritten by the line. */
enum { PREFIX_COPY = 64 };

size_t log_add_lines(struct log *log, const char *bytes, size_t length)
{
    size_t cap = log_line_cap(log), prefix = log->prefix.length;
    if (log->form.format == LOG_FORMAT_JSON || prefix > PREFIX_COPY || log_batch_full(log))
        return 0;
    /* Below a full batch there is always room for a line more, if the queue begins at its front. */
    queue_compact(log);
    const char *at = bytes, *end = bytes + length;
    char *start = log->queue + log->tail, *to = start, *full = log->queue + LOG_BATCH;
    uint64_t lines = 0;
    while (at < end && to < full) {
        size_t left = (size_t)(end - at);
        const char *newline = memchr(at, '\n', left <= cap ? left : cap + 1);
        if (!newline)
            break;
        size_t line = (size_t)(newline + 1 - at);
        memcpy(to, log->prefix_bytes, PREFIX_COPY);
        memcpy(to + prefix, at, line);
        to += prefix + line;
        at += line;
        lines++;
    }
    queue_add(log, (size_t)(to - start));
    log->counts.lines += lines;
    log->counts.bytes += (size_t)(at - bytes) - lines;
    return (size_t)(at - bytes);
}

/* --- lines out --- */

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t lines = 0;
    const char *end = bytes + length;
    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        lines++;
        bytes++;
    }
    return lines;
}

/* Queues a line that says how many were lost. */
static void tell_lost(struct log *log)
{
    char buffer[LOST_LINE_MAX];
    struct text text;
    text_init(&text, buffer, sizeof buffer);
    text_add_unsigned(&text, log->lost);
    text_add(&text, log->lost == 1 ? " log line was lost: " : " log lines were lost: ");
    text_add(&text, strerror(log->lost_error));
    log->telling = log->lost;
    log->lost = 0;
    log_say(log, LOG_WARNING, text.bytes, text.length);
    log->telling_left = queued(log);
}

static void queue_shorten(struct log *log, size_t length)
{
    log->head += length;
    if (!queued(log))
        log->head = log->tail = 0;
}

/* Unless that is being done, or there is no room. */
static void tell_if_lost(struct log *log)
{
    bool room = LOG_QUEUE_SIZE - queued(log) >= log_form_bound(&log->form, LOST_LINE_MAX);
    if (log->lost && !log->telling && room)
        tell_lost(log);
}

/* The queue's first line, of so many bytes, cannot be sent; perhaps others can. */
static void queue_drop_line(struct log *log, size_t length, int error)
{
    bool tells = log->telling && length >= log->telling_left;
    uint64_t lines = tells ? log->telling : 1;
    if (tells) {
        log->counts.lost -= log->telling;
        log->telling = log->telling_left = 0;
    } else if (log->telling) {
        log->telling_left -= length;
    }
    queue_shorten(log, length);
    lose(log, lines, error);
    /* What tells of lost ones is not sent again at once: it might be lost again and again. */
    if (!tells)
        tell_if_lost(log);
}

/* So much of the queue's front has gone out: the way out works, and can be told what was lost. */
static void queue_advance(struct log *log, size_t length)
{
    queue_shorten(log, length);
    if (length < log->telling_left)
        log->telling_left -= length;
    else
        log->telling = log->telling_left = 0;
    tell_if_lost(log);
}

/* Nothing of the queue can go out. */
static void queue_drop(struct log *log, int error)
{
    /* A line that lacks nothing but its newline is out: one will follow. */
    if (log->midline && log->queue[log->head] == '\n')
        queue_advance(log, 1);
    uint64_t lines = count_lines(log->queue + log->head, queued(log));
    /* A line that told of lost ones is lost with what it told. */
    if (log->telling)
        lines += log->telling - 1;
    log->counts.lost -= log->telling;
    log->telling = log->telling_left = 0;
    log->head = log->tail = 0;
    log->cut_off = log->midline;
    lose(log, lines, error);
}

/* Returns false when nothing else can go out now. */
static bool end_cut_line(struct log *log)
{
    ssize_t written = log->os->output_write(log->os, &log->output, "\n", 1);
    if (written == 1) {
        log->cut_off = log->midline = false;
        return true;
    }
    /* What was queued would be read as the rest of that line. */
    if (written < 0 && written != -EAGAIN)
        queue_drop(log, (int)-written);
    else
        log->blocked = true;
    return false;
}

static void flush_stream(struct log *log)
{
    struct os *os = log->os;
    if (log->cut_off && queued(log) && !end_cut_line(log))
        return;
    for (int writes = 0; queued(log); writes++) {
        ssize_t written = -EAGAIN;
        if (writes < FLUSH_WRITES)
            written = os->output_write(os, &log->output, log->queue + log->head, queued(log));
        if (written == -EAGAIN || written == 0) {
            log->blocked = true;
            return;
        }
        if (written < 0) {
            queue_drop(log, (int)-written);
            return;
        }
        log->midline = log->queue[log->head + (size_t)written - 1] != '\n';
        queue_advance(log, (size_t)written);
    }
    int rest = os->output_flush(os, &log->output);
    log->blocked = rest == -EAGAIN;
}

static bool syslog_connect(struct log *log)
{
    if (log->syslog_fd < 0)
        log->syslog_fd = log->os->datagram_open(log->os, log->syslog_path);
    return log->syslog_fd >= 0;
}

static void syslog_disconnect(struct log *log)
{
    if (log->syslog_fd >= 0)
        log->os->close(log->os, log->syslog_fd);
    log->syslog_fd = -1;
}

/* Gathers the next lines of the queue, one a part, without their newlines. */
static size_t gather_datagrams(const struct log *log, struct iovec *parts)
{
    size_t count = 0;
    char *at = (char *)(uintptr_t)(log->queue + log->head);
    char *end = at + queued(log);
    while (at < end && count < OS_DATAGRAMS_MAX) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        parts[count++] = (struct iovec){.iov_base = at, .iov_len = (size_t)(newline - at)};
        at = newline + 1;
    }
    return count;
}

static void skip_datagrams(struct log *log, const struct iovec *parts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].iov_len + 1;
    queue_advance(log, length);
}

/* Sends the queue's first lines. Returns false when there is no use in trying on now. A connection
 * is made anew `*reconnects` times at most, so that a daemon which refuses everything ends it. */
static bool send_datagrams(struct log *log, int *reconnects)
{
    struct iovec parts[OS_DATAGRAMS_MAX];
    size_t count = gather_datagrams(log, parts);
    int sent = log->os->datagrams_send(log->os, log->syslog_fd, parts, count);
    if (sent > 0) {
        skip_datagrams(log, parts, (size_t)sent);
        return true;
    }
    if (sent == -EMSGSIZE || sent == -ENOBUFS) {
        queue_drop_line(log, parts[0].iov_len + 1, -sent);
        return true;
    }
    if (sent == -EAGAIN) {
        log->blocked = true;
        return false;
    }
    /* The daemon has gone; if another has taken its place, it is found by its path. */
    syslog_disconnect(log);
    if ((*reconnects)-- > 0 && syslog_connect(log))
        return true;
    queue_drop(log, -sent);
    return false;
}

static void flush_syslog(struct log *log)
{
    if (log->lost && !queued(log) && log->os->clock_ms(log->os) >= log->retry_at) {
        tell_lost(log);
        log->retry_at = log->os->clock_ms(log->os) + LOG_RETRY_MS;
    }
    if (queued(log) && !syslog_connect(log))
        queue_drop(log, -log->syslog_fd);
    int reconnects = 1;
    while (queued(log) && send_datagrams(log, &reconnects))
        continue;
}

void log_flush(struct log *log)
{
    log->blocked = false;
    if (log->syslog_path)
        flush_syslog(log);
    else
        flush_stream(log);
}

/* --- for the driver --- */

int log_open(struct log *log, struct os *os, enum log_format format, const char *syslog_path)
{
    log->os = os;
    log->form = (struct log_form){.format = format, .master = os->process_id(os)};
    log->syslog_path = syslog_path;
    log->syslog_fd = -1;
    log->output = (struct os_output){.kind = OS_OUTPUT_CLOSED, .fd = -1, .relay = {-1, -1}};
    log->blocked = log->midline = log->cut_off = false;
    log->lost = log->telling = log->telling_left = 0;
    log->lost_error = 0;
    log->counts = (struct log_counts){.lines = 0};
    log->quiet = false;
    log->tap = NULL;
    log->retry_at = 0;
    log->prefix_worker = 0;
    log->head = log->tail = 0;
    if (!syslog_path)
        return os->output_open(os, STANDARD_ERROR, &log->output);
    syslog_connect(log);
    return 0;
}

int log_descriptor(const struct log *log)
{
    return log->syslog_path ? log->syslog_fd : log->output.fd;
}

int log_waits_for(const struct log *log)
{
    return log->blocked ? log_descriptor(log) : -1;
}

uint64_t log_deadline(const struct log *log)
{
    return log->syslog_path && log->lost && !log->blocked ? log->retry_at : UINT64_MAX;
}

bool log_is_empty(const struct log *log)
{
    return !queued(log) && !log->blocked;
}

void log_close(struct log *log)
{
    syslog_disconnect(log);
    log->os->output_close(log->os, &log->output);
}
