/*
 * kernel: the sweep's world of the real kernel, for the files kernel_*.c and sweep_kernel.c alone.
 *
 * A run is a master in a process of its own: the real rooms on os_fault on kernel_os on os_posix.
 * The process that started it directs: it sends signals, asks the workers, lets time pass, and
 * judges. Both share one page of memory. Nothing waits for a fixed time: the master's clock is
 * virtual and moves only when everything is at rest.
 */
#ifndef SOCKETMASTER_SWEEP_KERNEL_H
#define SOCKETMASTER_SWEEP_KERNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os_fault.h"
#include "sweep.h"
#include "worker.h"

enum {
    KERNEL_EVENTS_MAX = 1024,
    KERNEL_WORKERS_MAX = 256,
    KERNEL_MESSAGES_MAX = 512,
    KERNEL_LOG_SIZE = 1024 * 1024,
    KERNEL_PATH = 108, /* as much as the address of a socket holds */
    KERNEL_HIGH = 900, /* the sweep's own descriptors stand from here on, out of the master's way */
    /* -start: more than what a lasting fault can make pass by pauses and time limits. */
    KERNEL_START_MS = 10 * 1000 * 1000,
    KERNEL_KINDS_MAX = 32,
    KERNEL_SCENARIOS_MAX = 64,
    KERNEL_CLIENTS_MAX = 8,
};

/* --- kernel_os: what the master does to the world, below the faults --- */

/* What was really done, in order. */
enum kernel_did { KERNEL_SPAWNED, KERNEL_SIGNALLED, KERNEL_REAPED };

struct kernel_event {
    enum kernel_did did;
    pid_t pid;
    int number; /* the signal; of one that was reaped its wait status */
    uint64_t now_ms;
};

/* A port over os_posix, with a clock of its own and a record. */
struct kernel_os {
    struct os os; /* first */
    struct os posix;
    int bell;   /* eventfd: the director rings, and a wait ends */
    int notice; /* eventfd: a wait begins */
    int rung_set;
    int lock; /* a lock that somebody else has, and gives up while the master pauses, or -1 */
    _Atomic uint64_t now_ms;
    _Atomic uint64_t answered; /* how often the bell was heard */
    _Atomic bool waiting;      /* in a wait that may last ... */
    _Atomic int64_t timeout;   /* ... as long as this, -1: for ever */
    _Atomic uint64_t waits;
    _Atomic size_t event_count;
    struct kernel_event events[KERNEL_EVENTS_MAX];
    char directory[KERNEL_PATH]; /* that it made for notify sockets, or "": it has none */
    size_t heap_at_first;        /* bytes in use at the first wait, and at the latest */
    size_t heap_at_last;
};

/* The descriptors are borrowed. */
void kernel_os_init(struct kernel_os *kernel, int bell, int notice, int lock);

/* --- a run --- */

/* What master and director share. */
struct kernel_page {
    struct os_fault fault;
    struct kernel_os kernel;
    uint64_t left_open; /* bit N: the master left N open when it was done */
};

/* Descriptors by kind: "socket", "pipe", ... */
struct kernel_kinds {
    size_t count;
    struct {
        char name[KERNEL_PATH];
        unsigned number;
    } kinds[KERNEL_KINDS_MAX];
};

struct kernel_worker {
    pid_t pid;
    size_t spawned_at; /* index of the event */
    bool started;      /* it said so */
    bool reaped;
    int status;   /* as wait(2) gives it */
    bool leaving; /* it was asked to, or signalled */
    unsigned hups, terms, kills;
    struct worker_message message;
};

struct kernel_run;

struct kernel_scenario {
    const char *name;
    bool faults_from_birth; /* else once the first worker serves */
    const char *(*missing)(void);
    /* Options beside those that all have; ends with NULL. "%d" stands for the run's directory. */
    const char *const *options;
    bool plain;         /* no listeners but those of `options`, no -envdir */
    unsigned inherited; /* sockets that the master finds: this many from 3 on, and 0 */
    bool is_check;      /* -check: no worker */
    bool syslog;        /* the log comes by datagrams */
    bool stale_file;    /* at the unix path when it starts */
    bool locked;        /* and the directory of that path is, by somebody else */
    bool stubborn;      /* HUP does not end its workers */
    bool meddling;      /* they spoil the listeners */
    unsigned listeners; /* how many there are; 0: two */
    unsigned workers;   /* how many there are at rest; 0: one */
    bool scales;        /* one more is asked for, and one fewer */
    bool says_ready;    /* workers say when they are ready ... */
    bool notify_fd;     /* ... to one more descriptor */
    bool control;       /* there is a control socket */
    bool has_no_path;   /* none of them is a unix socket with a path */
    uint32_t uid;       /* of the workers, where not 0 */
    int status;         /* with which it ends, when it is to end by itself */
    void (*play)(struct kernel_run *run); /* NULL: nothing after the start */
};

/* What a master calls "socket", too. */
#define KERNEL_SECOND_NAME "socket.socketmaster"
#define KERNEL_CONTROL_NAME "control"

extern const struct kernel_scenario kernel_scenarios[];
extern const size_t kernel_scenario_count;

/* One for all runs of a process. */
struct kernel_run {
    /* Of the process. */
    struct kernel_page *page;
    unsigned patience;
    int channel; /* the workers' datagrams */
    int bell, notice;
    char channel_name[64];
    char directory[KERNEL_PATH]; /* of all that is on disk */
    char worker_path[1024];
    struct kernel_kinds
        clean[KERNEL_SCENARIOS_MAX]; /* descriptors at rest, by scenario, when nothing fails */
    bool clean_known[KERNEL_SCENARIOS_MAX];

    /* Of this run. */
    const struct sweep_case *played;
    const struct kernel_scenario *scenario;
    struct sweep_result *result;
    uint32_t number;
    pid_t master;
    int master_fd;  /* pidfd */
    int log_fd;     /* the reading end of its standard error, or the datagram socket of syslog */
    int lock_fd;    /* of the directory, or -1 */
    int console_fd; /* standard error where the log goes elsewhere, else -1 */
    bool ended;
    int status;   /* as wait(2) gives it */
    bool started; /* a worker serves, or did */
    bool lifted;
    bool told_again;
    bool stop_asked;
    size_t hup_mark;                     /* events at the time of the last HUP */
    uint64_t stirred;                    /* how often the director did something */
    uint64_t rung;                       /* how often the bell was */
    uint64_t window_uses[OS_CALL_COUNT]; /* before the faults could strike */
    bool flood_asked, flooded;
    bool exit_asked;
    size_t client_count;
    int clients[KERNEL_CLIENTS_MAX]; /* of the control socket */
    uint64_t stale_inode;
    size_t events_seen;
    size_t worker_count;
    struct kernel_worker workers[KERNEL_WORKERS_MAX];
    size_t log_length;
    char log[KERNEL_LOG_SIZE];
    size_t console_length;
    char console[8192];
};

/* --- kernel_master --- */

/* Starts it; its faults, if they strike from birth, are aimed already. Returns false with a line in
 * the report. */
bool kernel_master_start(struct kernel_run *run);

/* Puts the path into the run's directory. */
void kernel_path(const struct kernel_run *run, const char *name, char path[KERNEL_PATH]);

/* --- kernel_direct --- */

/* Something does not hold. */
__attribute__((format(printf, 2, 3))) void kernel_violated(
    struct kernel_run *run, const char *format, ...);

/* Takes in what has happened. */
void kernel_observe(struct kernel_run *run);

/* Lets everything happen, time included, until nothing does any more or the master has ended. A
 * fault that lasts and keeps it from that is lifted. Returns false (and has said so) if it does not
 * come to that. */
bool kernel_settle(struct kernel_run *run);

/* The same without letting time pass, and at most until `happened`. */
bool kernel_await(struct kernel_run *run, bool (*happened)(const struct kernel_run *run));

/* Aims the fault of this run. */
void kernel_aim(struct kernel_run *run);
/* From now on nothing fails. */
void kernel_lift(struct kernel_run *run);

void kernel_signal(struct kernel_run *run, int signal);

/* Lets the workers that start from now on be broken, or not. */
void kernel_break_workers(struct kernel_run *run, bool broken);

/* Connects to the master's listener (unix: the path, else tcp), sends `question` and reads the
 * answer. Returns the pid that answered, or 0. */
pid_t kernel_ask(struct kernel_run *run, bool unix_path, char question);

/* Connects to the control socket and says this. The connection stays until they all hang up. */
void kernel_call(struct kernel_run *run, const char *line);
void kernel_hang_up(struct kernel_run *run);
/* Asks there, and lets everything happen. Is the answer this? */
bool kernel_is_answered(struct kernel_run *run, const char *line, const char *answer);

/* The youngest that is alive and did start, or NULL. */
struct kernel_worker *kernel_youngest(struct kernel_run *run);
/* The worker of that pid, which an event or a message has named. */
const struct kernel_worker *kernel_worker_of(const struct kernel_run *run, pid_t pid);
/* How many workers are alive. */
size_t kernel_living(const struct kernel_run *run);

/* --- kernel_check --- */

/* What the master holds open, at rest. */
void kernel_kinds_read(pid_t pid, struct kernel_kinds *kinds);

/* After the start. Returns false when the master has ended, or has to: then all is judged. */
bool kernel_check_start(struct kernel_run *run);
/* At rest, without faults: one serves, the next reload works. */
void kernel_check_serving(struct kernel_run *run);
/* At rest, without faults, and the master has not ended: it was not to. */
void kernel_check_ending(struct kernel_run *run);
/* Once the master has ended. */
void kernel_check_end(struct kernel_run *run);
/* Things that hold in every run. */
void kernel_check_history(struct kernel_run *run);

#endif
