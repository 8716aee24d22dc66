/*
 * cli: argv and environment -> struct config, or an error text.
 *
 * Owns: the table of options, which the parser and -help read. Leaves to others: printing, ending,
 * and everything that needs the machine (does the user exist, is the port free).
 *
 * Options are written as Go's flag package takes them (rule C2): https://pkg.go.dev/flag
 */
#ifndef SOCKETMASTER_CLI_H
#define SOCKETMASTER_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_signal.h"
#include "envp.h"
#include "limits.h"
#include "text.h"
#include "uri.h"

enum {
    CLI_ERROR_SIZE = 20 * 1024, /* of a buffer in which every error has room */
    CLI_HELP_SIZE = 4096,       /* of one for the help */
};

/* What makes a worker ready (rule R3). */
enum cli_ready {
    CLI_READY_ALIVE,  /* it has lived for start_ms */
    CLI_READY_NOTIFY, /* it sent READY=1 to its NOTIFY_SOCKET */
    CLI_READY_FD,     /* it wrote a newline to its NOTIFY_FD */
    CLI_READY_ACK,    /* it sent worker:ack to the control socket */
};

enum cli_log {
    CLI_LOG_TEXT,
    CLI_LOG_JSON,
};

/* What the user asked for. Strings belong to argv or the environment and live as long as they. */
struct config {
    struct uri listeners[LIMIT_LISTENERS];
    size_t listener_count;
    bool listeners_default; /* none was asked for: the one in the list is tcp://:8080 */
    const char *command;    /* as written */
    char *const *arguments; /* of the worker, without its argv[0]; NULL-terminated */
    size_t argument_count;
    unsigned workers;          /* -workers, 1 to LIMIT_WORKERS */
    bool respawn;              /* -respawn */
    enum cli_ready ready;      /* -ready */
    uint64_t start_ms;         /* -start; of CLI_READY_ALIVE */
    uint64_t ready_timeout_ms; /* -ready-timeout, 0: for ever; of the other ways */
    bool smooth;               /* -rollout=smooth */
    unsigned max_starting;     /* -max-starting, up to LIMIT_WORKERS; 0: the number of processors */
    uint64_t hold_ms;          /* -hold */
    uint64_t stop_ms;          /* -stop, 0: never */
    int stop_signal;           /* -stop-signal */
    unsigned max_draining;     /* -max-draining, 0: no limit; up to UINT32_MAX */
    bool kill_group;           /* -kill=group */
    struct text_span login;    /* -user, empty: no switch */
    struct text_span group;    /* -user, empty: the login's own */
    const char *dir;           /* -dir, or NULL */
    const char *envdir;        /* -envdir, or NULL */
    unsigned families;         /* -env: bits of enum envp_family */
    bool syslog;               /* -syslog */
    const char *syslog_socket; /* -syslog-socket, "/dev/log" by default */
    enum cli_log log;          /* -log */
    bool output_inherit;       /* -output=inherit */
    bool controlled;           /* -control was given: ... */
    struct uri control;        /* ... where, of the kind URI_UNIX */
    const char *textfile;      /* -textfile, or NULL */
    bool check;                /* -check */
};

enum cli_outcome {
    CLI_RUN,     /* *config is complete (config->check may be set) */
    CLI_HELP,    /* print cli_add_help(), exit 0 */
    CLI_VERSION, /* print the version, exit 0 */
    CLI_WRONG,   /* `error` holds one line without newline or control bytes; exit 2 */
};

/*
 * Reads the command line (argv[0] is the program's name) and, for options that it does not name,
 * the variables SOCKETMASTER_<NAME> of `environment` (NULL-terminated NAME=VALUE strings). `argv`
 * ends with a NULL at argv[argc]. `error` is an empty text that CLI_WRONG fills. -help and -version
 * win over everything that follows them, as with Go's flag package.
 */
enum cli_outcome cli_parse(int argc, char *const *argv, char *const *environment,
    struct config *config, struct text *error);

/* The help for standard output: two screens at most, that is 48 lines of 80 columns. */
void cli_add_help(struct text *text);

#endif
