/*
 * report: what the core has to say -> a line for the log (rule O6).
 *
 * Owns: the words. Leaves to others: when something is said (core), and where it goes (log). Pure.
 */
#ifndef SOCKETMASTER_REPORT_H
#define SOCKETMASTER_REPORT_H

#include "core.h"
#include "text.h"

/* What the core does not know. */
struct report_words {
    const char *command;     /* of the workers */
    const char *step;        /* of a start that failed: "execute", for example; may be NULL */
    const char *reason;      /* the errno of that step, in words; may be NULL */
    struct text_span output; /* the last that the worker of a failed rollout wrote */
};

/*
 * Appends the line for a CORE_DO_SAY action, without a newline or control bytes. Returns its
 * severity as RFC 5424 numbers them (<syslog.h>): LOG_ERR, LOG_WARNING or LOG_INFO.
 */
int report_add(
    struct text *text, const struct core_action *action, const struct report_words *words);

#endif
