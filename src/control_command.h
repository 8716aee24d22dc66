/*
 * control_command: what can be asked through the control socket.
 *
 * Owns: the table of the commands: their names, who may give them, what arguments they take and
 * what `help` says of them; and the words of every refusal. Leaves to others: doing it.
 * Facts of einhorn's commands are those of its 1.1.
 */
#ifndef SOCKETMASTER_CONTROL_COMMAND_H
#define SOCKETMASTER_CONTROL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "limits.h"
#include "proto.h"
#include "text.h"

enum {
    CONTROL_SIGNALS_MAX = 32, /* of one request */
    CONTROL_COLUMNS_MIN = 1,  /* of a table: any that a terminal may have */
    CONTROL_COLUMNS_MAX = UINT16_MAX,
    CONTROL_COLUMNS = 80,      /* where nobody says */
    CONTROL_VERBOSITY_MAX = 2, /* einhorn's: 0 says the most */
};

/* Those that are asked of the host come first; the rest is answered in this room. */
enum control_command {
    CONTROL_ACK,  /* the worker `slot` is ready; nobody waits for a reply */
    CONTROL_PING, /* it lives; request_id, and the same */
    CONTROL_STATE,
    CONTROL_UPGRADE, /* a smooth rollout; with an id progress is told, and how it ended */
    CONTROL_UPGRADE_FLEET,
    CONTROL_INC,
    CONTROL_DEC,
    CONTROL_SET_WORKERS, /* number */
    CONTROL_SIGNAL,      /* signals, at least one */
    CONTROL_DIE,         /* signals[0] */
    CONTROL_QUIETER,
    CONTROL_LOUDER,
    CONTROL_CONFIG,  /* config */
    CONTROL_ROLLOUT, /* args: the command from now on, none: the same as before; wait, generation */
    CONTROL_STATUS,  /* view, columns, colour */
    CONTROL_METRICS,
    CONTROL_LOGS,
    CONTROL_ASKED_COUNT,
    CONTROL_EHLO = CONTROL_ASKED_COUNT,
    CONTROL_HELP,
    CONTROL_RELOAD,
    CONTROL_COMMAND_COUNT,
};

/* Who speaks (rule K3). */
enum control_role {
    CONTROL_NOBODY,   /* may say nothing at all */
    CONTROL_GONE,     /* cannot be traced, but has a user that a worker may have: acks and pings */
    CONTROL_WORKER,   /* a worker, or a process of its own: the same, for that worker alone */
    CONTROL_OPERATOR, /* everything */
};

/* Names a request for later replies to it. One that is over is passed over. */
struct control_ticket {
    unsigned client;
    uint64_t serial; /* from 1; 0: nobody waits for a reply */
    struct proto_id id;
};

enum control_view { CONTROL_TABLE, CONTROL_JSON };

/* What `config` changes. */
struct control_config {
    bool has_number, has_verbosity;
    unsigned number; /* 1 to LIMIT_WORKERS */
    unsigned verbosity;
};

/* One request, checked. Spans are good until the host returns. */
struct control_ask {
    enum control_command command;
    struct control_ticket ticket;
    enum control_role role;
    pid_t peer_pid; /* 0: it cannot be seen from here */
    uid_t peer_uid;
    int64_t pid;                /* as the client claims it; 0: none */
    int slot;                   /* ACK, PING: of the living worker that it is about; else -1 */
    struct proto_id request_id; /* PING */
    struct text_span user;      /* empty: not given */
    bool has_id;
    bool wait;
    uint64_t generation; /* 0: not given */
    unsigned number;
    size_t signal_count;
    int signals[CONTROL_SIGNALS_MAX]; /* DIE: one, also where none was given */
    struct control_config config;
    enum control_view view;
    unsigned columns;
    bool colour;
    size_t arg_count; /* ROLLOUT */
    const struct text_span *args;
};

/* As clients write it. */
const char *control_command_name(enum control_command command);

/*
 * Finds the command that is asked for, and whether `role` may give it.
 * Returns it, or -1 with a line in *why.
 */
int control_command_find(
    const struct proto_request *request, enum control_role role, struct text *why);

/*
 * Takes the arguments of a request for `command`, and its other parameters but pid and request_id,
 * into *ask, which is all zero before. `storage` is not the request's own.
 * Returns true, or false with a line in *why: then nothing is to be done.
 */
bool control_command_take(enum control_command command, const struct proto_request *request,
    struct proto_storage *storage, struct control_ask *ask, struct text *why);

/* Can the reply be as long as the status of all workers? */
bool control_command_is_large(enum control_command command);

/* Is the connection over after it, as with einhorn? */
bool control_command_is_last(enum control_command command);

/* What `help` answers, and `ehlo`. */
void control_command_add_help(struct text *text);
void control_command_add_welcome(struct text *text, struct text_span user, pid_t master);

#endif
