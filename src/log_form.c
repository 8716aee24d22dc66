#include "log_form.h"

#include <syslog.h>

/* The longest escape of one byte: \u00XX. */
enum { JSON_EXPANSION = 6 };

static const char severity_names[][8] = {
    [LOG_EMERG] = "emerg",
    [LOG_ALERT] = "alert",
    [LOG_CRIT] = "crit",
    [LOG_ERR] = "err",
    [LOG_WARNING] = "warning",
    [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

/* --- the time --- */

static void stamp_text(struct text *text, const struct tm *local)
{
    text_add_padded(text, (uint64_t)local->tm_year + 1900, 4);
    text_add_char(text, '/');
    text_add_padded(text, (uint64_t)local->tm_mon + 1, 2);
    text_add_char(text, '/');
    text_add_padded(text, (uint64_t)local->tm_mday, 2);
}

static void stamp_clock(struct text *text, const struct tm *local)
{
    text_add_padded(text, (uint64_t)local->tm_hour, 2);
    text_add_char(text, ':');
    text_add_padded(text, (uint64_t)local->tm_min, 2);
    text_add_char(text, ':');
    text_add_padded(text, (uint64_t)local->tm_sec, 2);
}

/* RFC 3339, with the zone's offset. */
static void stamp_json(struct text *text, const struct tm *local)
{
    text_add_padded(text, (uint64_t)local->tm_year + 1900, 4);
    text_add_char(text, '-');
    text_add_padded(text, (uint64_t)local->tm_mon + 1, 2);
    text_add_char(text, '-');
    text_add_padded(text, (uint64_t)local->tm_mday, 2);
    text_add_char(text, 'T');
    stamp_clock(text, local);
    long offset = local->tm_gmtoff / 60;
    text_add_char(text, offset < 0 ? '-' : '+');
    uint64_t minutes = (uint64_t)(offset < 0 ? -offset : offset);
    text_add_padded(text, minutes / 60, 2);
    text_add_char(text, ':');
    text_add_padded(text, minutes % 60, 2);
}

/* RFC 3164: "Nov  3 09:23:31", English whatever the locale. */
static void stamp_syslog(struct text *text, const struct tm *local)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    text_add_bytes(text, months + (ptrdiff_t)3 * local->tm_mon, 3);
    text_add(text, local->tm_mday < 10 ? "  " : " ");
    text_add_unsigned(text, (uint64_t)local->tm_mday);
    text_add_char(text, ' ');
    stamp_clock(text, local);
}

bool log_form_renew_stamp(struct log_form *form, struct os *os)
{
    struct os_time now;
    os->wall_clock(os, &now);
    if (form->stamp.length && now.seconds == form->second)
        return false;
    struct tm local;
    os->local_time(os, now.seconds, &local);
    form->second = now.seconds;
    text_init(&form->stamp, form->stamp_bytes, sizeof form->stamp_bytes);
    switch (form->format) {
    case LOG_FORMAT_TEXT:
        stamp_text(&form->stamp, &local);
        text_add_char(&form->stamp, ' ');
        stamp_clock(&form->stamp, &local);
        break;
    case LOG_FORMAT_JSON:
        stamp_json(&form->stamp, &local);
        break;
    case LOG_FORMAT_SYSLOG:
        stamp_syslog(&form->stamp, &local);
        break;
    }
    return true;
}

/* --- a line's beginning --- */

static void add_json_prefix(
    const struct log_form *form, struct text *text, int severity, pid_t worker)
{
    text_add(text, "{\"time\":\"");
    text_add_bytes(text, form->stamp.bytes, form->stamp.length);
    text_add(text, "\",\"pid\":");
    text_add_signed(text, form->master);
    if (worker) {
        text_add(text, ",\"worker\":");
        text_add_signed(text, worker);
    } else {
        text_add(text, ",\"severity\":\"");
        text_add(text, severity_names[severity]);
        text_add_char(text, '"');
    }
}

static void add_syslog_header(const struct log_form *form, struct text *text, int severity)
{
    text_add_char(text, '<');
    text_add_signed(text, LOG_DAEMON | severity);
    text_add_char(text, '>');
    text_add_bytes(text, form->stamp.bytes, form->stamp.length);
    text_add(text, " socketmaster[");
    text_add_signed(text, form->master);
    text_add(text, "]: ");
}

static void add_text_header(const struct log_form *form, struct text *text)
{
    text_add(text, "socketmaster[");
    text_add_signed(text, form->master);
    text_add(text, "] ");
    text_add_bytes(text, form->stamp.bytes, form->stamp.length);
    text_add_char(text, ' ');
}

void log_form_add_prefix(const struct log_form *form, struct text *text, int severity, pid_t worker)
{
    if (form->format == LOG_FORMAT_JSON) {
        add_json_prefix(form, text, severity, worker);
        return;
    }
    if (form->format == LOG_FORMAT_SYSLOG)
        add_syslog_header(form, text, severity);
    else
        add_text_header(form, text);
    if (worker) {
        text_add_char(text, '[');
        text_add_signed(text, worker);
        text_add(text, "] ");
    }
}

/* --- its message --- */

static bool is_utf8(struct text_span span)
{
    for (size_t at = 0; at < span.length;) {
        size_t length = text_utf8_length(span.bytes + at, span.length - at);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

static void json_escape(struct text *text, struct text_span span, bool latin1)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < span.length; i++) {
        unsigned char c = (unsigned char)span.bytes[i];
        if (c == '"' || c == '\\') {
            text_add_char(text, '\\');
            text_add_char(text, (char)c);
        } else if (c == '\t') {
            text_add(text, "\\t");
        } else if (c < 0x20 || c == 0x7f || (latin1 && c >= 0x80)) {
            text_add(text, "\\u00");
            text_add_char(text, digits[c >> 4]);
            text_add_char(text, digits[c & 15]);
        } else {
            text_add_char(text, (char)c);
        }
    }
}

/* Bytes that are not UTF-8 are written one character a byte, and the object says so, so that a
 * reader can have them back exactly. */
static void json_message(struct text *text, struct text_span line)
{
    bool utf8 = is_utf8(line);
    if (!utf8)
        text_add(text, ",\"encoding\":\"latin-1\"");
    text_add(text, ",\"message\":\"");
    json_escape(text, line, !utf8);
    text_add(text, "\"}");
}

void log_form_add_message(
    const struct log_form *form, struct text *text, struct text_span line, bool cut)
{
    if (form->format == LOG_FORMAT_JSON) {
        if (cut)
            text_add(text, ",\"continues\":true");
        json_message(text, line);
    } else {
        text_add_bytes(text, line.bytes, line.length);
    }
    text_add_char(text, '\n');
}

size_t log_form_bound(const struct log_form *form, size_t length)
{
    size_t expansion = form->format == LOG_FORMAT_JSON ? JSON_EXPANSION : 1;
    return expansion * length + LOG_PREFIX_MAX +
           sizeof ",\"encoding\":\"latin-1\",\"continues\":true";
}
