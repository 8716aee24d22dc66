#include "childlog.h"

#include <string.h>

static void keep(struct childlog *log, const char *bytes, size_t length)
{
    memcpy(log->bytes + log->kept, bytes, length);
    log->kept += length;
}

bool childlog_next(struct childlog *log, const char **bytes, size_t *length, size_t cap,
    struct childlog_record *record)
{
    const char *start = *bytes;
    size_t room = cap - log->kept;
    /* One byte more than fits is looked at: a newline there ends a line of exactly `cap` bytes. */
    size_t look = *length > room ? room + 1 : *length;
    const char *newline = look ? memchr(start, '\n', look) : NULL;

    if (!newline && *length <= room) {
        keep(log, start, *length);
        *bytes += *length;
        *length = 0;
        return false;
    }

    size_t taken = newline ? (size_t)(newline - start) : room;
    size_t used = taken + (newline ? 1 : 0);
    *bytes += used;
    *length -= used;
    record->cut = !newline;
    if (log->kept == 0) {
        record->line = (struct text_span){start, taken};
        return true;
    }
    keep(log, start, taken);
    record->line = (struct text_span){log->bytes, log->kept};
    log->kept = 0;
    return true;
}

bool childlog_finish(struct childlog *log, struct childlog_record *record)
{
    if (log->kept == 0)
        return false;
    *record = (struct childlog_record){.line = {log->bytes, log->kept}};
    log->kept = 0;
    return true;
}
