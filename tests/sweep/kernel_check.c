/*
 * kernel_check: what has to hold (rules I1 to I9), as far as it can be seen from outside.
 */
#include "kernel.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAP_KEPT = 128 * 1024 };

static bool fails_with(const struct kernel_run *run, enum os_call call)
{
    const struct os_fault_way *way = run->played->way;
    return way != NULL && way->call == call && run->page->fault.struck > 0;
}

static bool fails_as(const struct kernel_run *run, enum os_fault_kind kind)
{
    const struct os_fault_way *way = run->played->way;
    return way != NULL && way->kind == kind && run->page->fault.struck > 0;
}

/* What fails does by and by what was asked for, rather than not at all. */
static bool is_in_pieces(const struct kernel_run *run)
{
    return fails_as(run, OS_FAULT_HALF) || fails_as(run, OS_FAULT_ONE);
}

/* A worker that could not be signalled lives on, beside its successor perhaps, until the next
 * reload or stop, which tells it again. */
static bool may_linger(const struct kernel_run *run)
{
    return (fails_with(run, OS_CALL_KILL_PROCESS) || fails_with(run, OS_CALL_KILL_GROUP)) &&
           !run->told_again;
}

/* --- descriptors --- */

/* "pipe:[123]" -> "pipe". Whether a file still has the name by which it was opened does not matter.
 */
static void kind_of(char *link)
{
    static const char gone[] = " (deleted)";
    size_t length = strlen(link);
    char *colon = strstr(link, ":[");
    if (colon != NULL && isdigit((unsigned char)colon[2]))
        *colon = '\0';
    else if (length > sizeof gone && strcmp(link + length - (sizeof gone - 1), gone) == 0)
        link[length - (sizeof gone - 1)] = '\0';
}

static void kinds_add(struct kernel_kinds *kinds, const char *name)
{
    for (size_t i = 0; i < kinds->count; i++)
        if (strcmp(kinds->kinds[i].name, name) == 0) {
            kinds->kinds[i].number++;
            return;
        }
    if (kinds->count == KERNEL_KINDS_MAX)
        return;
    snprintf(kinds->kinds[kinds->count].name, KERNEL_PATH, "%s", name);
    kinds->kinds[kinds->count++].number = 1;
}

void kernel_kinds_read(pid_t pid, struct kernel_kinds *kinds)
{
    char path[64], link[KERNEL_PATH];
    kinds->count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        long fd = strtol(entry->d_name, NULL, 10);
        if (!isdigit((unsigned char)entry->d_name[0]) || fd >= KERNEL_HIGH)
            continue;
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);
        link[length > 0 ? length : 0] = '\0';
        kind_of(link);
        kinds_add(kinds, link);
    }
    closedir(directory);
}

/* A leak is more of a kind than without faults. */
static void check_descriptors(struct kernel_run *run)
{
    struct kernel_kinds now;
    struct kernel_kinds *clean = &run->clean[run->played->scenario];
    kernel_kinds_read(run->master, &now);
    if (!run->clean_known[run->played->scenario]) {
        *clean = now;
        run->clean_known[run->played->scenario] = true;
        return;
    }
    for (size_t i = 0; i < now.count; i++) {
        unsigned known = 0;
        for (size_t k = 0; k < clean->count; k++)
            if (strcmp(clean->kinds[k].name, now.kinds[i].name) == 0)
                known = clean->kinds[k].number;
        /* Taken for a terminal, standard input is kept from the worker. */
        bool in_place_of_terminal =
            fails_with(run, OS_CALL_IS_TERMINAL) && strcmp(now.kinds[i].name, "/dev/null") == 0;
        bool of_lingering = may_linger(run) && strcmp(now.kinds[i].name, "pipe") == 0;
        if (now.kinds[i].number > known + in_place_of_terminal && !of_lingering)
            kernel_violated(run, "%u descriptors of kind %s are open, %u without faults",
                now.kinds[i].number, now.kinds[i].name, known);
    }
}

/* --- the log --- */

static size_t count_in(const char *bytes, const char *what)
{
    size_t count = 0;
    while ((bytes = strstr(bytes, what)) != NULL) {
        count++;
        bytes += strlen(what);
    }
    return count;
}

/* Can it be that lines were lost? Only where the way out or the way in is broken; one that is
 * merely stuck loses nothing, unless it is stuck at the end. */
static bool may_lose_lines(const struct kernel_run *run)
{
    static const enum os_call calls[] = {OS_CALL_OUTPUT_OPEN, OS_CALL_OUTPUT_WRITE,
        OS_CALL_OUTPUT_FLUSH, OS_CALL_DATAGRAM_OPEN, OS_CALL_DATAGRAMS_SEND, OS_CALL_READ};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (fails_with(run, calls[i]) && run->played->way->kind == OS_FAULT_ERROR)
            return true;
    return false;
}

/* The lines of a flood come in order, each once. A failure of the log may cut one off, number and
 * all. */
static void check_flood(struct kernel_run *run)
{
    long next = 0;
    bool complete = true;
    uint64_t cut_off = may_lose_lines(run) ? run->page->fault.struck : 0;
    const char *at = run->log;
    while ((at = strstr(at, "flood ")) != NULL) {
        at += strlen("flood ");
        long number = strtol(at, NULL, 10);
        complete &= number == next;
        if (number >= next)
            next = number + 1;
        else if (cut_off > 0)
            cut_off--;
        else
            kernel_violated(run, "line %ld of the flood came after line %ld", number, next - 1);
    }
    complete &= next == WORKER_FLOOD_LINES && count_in(run->log, "long.") == 1;
    if (run->flooded && !complete && !may_lose_lines(run))
        kernel_violated(run, "lines of the flood are missing");
}

/* A worker's first and last words: at least those of the workers that said they were there and were
 * not killed, at most those of all. */
static void check_words(struct kernel_run *run, const char *word, bool last)
{
    /* The line about a rollout that failed repeats it, in quotes, which JSON escapes. */
    char quoted[32], escaped[32];
    snprintf(quoted, sizeof quoted, "wrote last: \"%s", word);
    snprintf(escaped, sizeof escaped, "wrote last: \\\"%s", word);
    size_t least = 0, most = 0;
    size_t count =
        count_in(run->log, word) - count_in(run->log, quoted) - count_in(run->log, escaped);
    for (size_t i = 0; i < run->worker_count; i++) {
        const struct kernel_worker *worker = &run->workers[i];
        if (worker->message.broken)
            continue;
        most++;
        least += worker->started && worker->kills == 0 && (!last || worker->reaped);
    }
    if (count > most)
        kernel_violated(run, "%zu times \"%s\" was logged, of %zu workers", count, word, most);
    if (count < least && !may_lose_lines(run))
        kernel_violated(run, "%zu times \"%s\" was logged, but %zu said it", count, word, least);
}

static void check_log(struct kernel_run *run)
{
    if (strstr(run->log, "internal error") != NULL)
        kernel_violated(run, "the core met an event out of turn");
    check_words(run, "hello", false);
    check_words(run, "bye", true);
    if (run->flood_asked)
        check_flood(run);
}

/* --- workers --- */

static void check_birth(struct kernel_run *run, const struct kernel_worker *worker)
{
    const struct worker_message *message = &worker->message;
    const uint64_t none_of =
        ~UINT64_C(0) << (3 + (run->scenario->listeners != 0 ? run->scenario->listeners : 2) +
                         run->scenario->notify_fd);
    if ((message->descriptors & none_of) != 0 || (~message->descriptors & ~none_of) != 0)
        kernel_violated(run, "worker %d was born with descriptors %#llx", worker->pid,
            (unsigned long long)message->descriptors);
    if (message->blocked != 0 || message->ignored != 0)
        kernel_violated(run, "worker %d was born with signals blocked or ignored", worker->pid);
    if (message->uid != (run->scenario->uid != 0 ? run->scenario->uid : geteuid()))
        kernel_violated(run, "worker %d was born as user %u", worker->pid, message->uid);
    if (!run->scenario->plain && !message->has_variable)
        kernel_violated(run, "worker %d was born without the variable of -envdir", worker->pid);
}

/* By then? One that says so itself has done so before it told us that it started. */
static bool is_ready_by(
    const struct kernel_run *run, const struct kernel_event *spawned, uint64_t now)
{
    const struct kernel_worker *worker = kernel_worker_of(run, spawned->pid);
    return run->scenario->says_ready ? worker->started && !worker->message.broken
                                     : now - spawned->now_ms > KERNEL_START_MS;
}

/* Than that of one before it. In a pool only those tell that have started. */
static bool is_of_later_generation(const struct kernel_run *run, pid_t pid, pid_t before)
{
    uint64_t earlier = kernel_worker_of(run, before)->message.generation;
    return run->scenario->workers == 0 ||
           (earlier != 0 && kernel_worker_of(run, pid)->message.generation > earlier);
}

/* Rules I2, I3. */
static void check_signals(struct kernel_run *run)
{
    const struct kernel_os *kernel = &run->page->kernel;
    for (size_t i = 0; i < run->events_seen; i++) {
        const struct kernel_event *event = &kernel->events[i];
        if (event->did != KERNEL_SIGNALLED)
            continue;
        bool reaped = false, ready = false, newer = false;
        size_t spawned_at = 0;
        for (size_t k = 0; k < i; k++) {
            const struct kernel_event *before = &kernel->events[k];
            if (before->pid == event->pid && before->did == KERNEL_SPAWNED)
                spawned_at = k;
            reaped |= before->pid == event->pid && before->did == KERNEL_REAPED;
        }
        for (size_t k = spawned_at + 1; k < i; k++)
            if (kernel->events[k].did == KERNEL_SPAWNED &&
                is_of_later_generation(run, kernel->events[k].pid, event->pid)) {
                newer = true;
                ready |= is_ready_by(run, &kernel->events[k], event->now_ms);
            }
        if (reaped)
            kernel_violated(run, "signal %d to %d, which was reaped", event->number, event->pid);
        /* A clock that jumps makes it ready before its time; what retires nobody is a failed
         * worker's end. */
        if (event->number == SIGHUP && newer && !ready && !fails_with(run, OS_CALL_CLOCK_MS))
            kernel_violated(
                run, "worker %d was retired before its successor was ready", event->pid);
    }
}

void kernel_check_history(struct kernel_run *run)
{
    kernel_observe(run);
    for (size_t i = 0; i < run->worker_count; i++) {
        const struct kernel_worker *worker = &run->workers[i];
        if (worker->started)
            check_birth(run, worker);
        if (worker->hups > 1)
            kernel_violated(run, "worker %d got HUP %u times", worker->pid, worker->hups);
    }
    check_signals(run);
}

/* --- at rest --- */

/* A file that has gone, and that could not be named again in the moment in which that was seen, is
 * given up until the next start. */
static bool is_file_lost(const struct kernel_run *run)
{
    return run->scenario->meddling && !run->told_again && fails_with(run, OS_CALL_FILE_PINNED_LINK);
}

/* Does what fails make a start fail? */
static bool may_fail_a_start(const struct kernel_run *run)
{
    static const enum os_call of_a_start[] = {OS_CALL_SPAWN, OS_CALL_PIPE_OPEN, OS_CALL_READ,
        OS_CALL_WATCH_ADD, OS_CALL_WATCH_WAIT, OS_CALL_CLOCK_MS, OS_CALL_DIRECTORY_NAMES,
        OS_CALL_FILE_HEAD};
    static const enum os_call of_being_asked[] = {OS_CALL_SOCKET_OPEN, OS_CALL_SOCKET_SET,
        OS_CALL_SOCKET_BIND, OS_CALL_FILE_REMOVE, OS_CALL_DATAGRAM_RECEIVE, OS_CALL_PROCESS_LOOK,
        OS_CALL_REAP, OS_CALL_SOCKET_ACCEPT, OS_CALL_SOCKET_PEER, OS_CALL_WATCH_REMOVE};
    for (size_t i = 0; i < sizeof of_a_start / sizeof *of_a_start; i++)
        if (fails_with(run, of_a_start[i]) && !is_in_pieces(run))
            return true;
    for (size_t i = 0; i < sizeof of_being_asked / sizeof *of_being_asked; i++)
        if (run->scenario->says_ready && fails_with(run, of_being_asked[i]))
            return true;
    return false;
}

static bool are_enough(const struct kernel_run *run, size_t living)
{
    size_t wanted = run->scenario->workers != 0 ? run->scenario->workers : 1;
    /* One more that could not be started is not wanted any more (rule R11). */
    bool one_less = run->scenario->scales && may_fail_a_start(run);
    return living == wanted || (one_less && living + 1 == wanted) || may_linger(run);
}

static void check_one_serves(struct kernel_run *run)
{
    const struct kernel_worker *youngest = kernel_youngest(run);
    size_t living = kernel_living(run);
    if (youngest == NULL) {
        kernel_violated(run, "no worker is left");
        return;
    }
    if (!are_enough(run, living))
        kernel_violated(run, "%zu workers are alive", living);
    for (int unix_path = 0; unix_path <= 1; unix_path++) {
        if (unix_path && (run->scenario->has_no_path || is_file_lost(run)))
            continue;
        pid_t answered = kernel_ask(run, unix_path, WORKER_ASK_WHO);
        if (answered == 0)
            kernel_violated(run, "nobody answers on the %s listener", unix_path ? "unix" : "tcp");
        else if (living == 1 && answered != youngest->pid)
            kernel_violated(run, "%d answers, not %d", answered, youngest->pid);
    }
    if (youngest->hups + youngest->terms > 0)
        kernel_violated(run, "the worker that serves was told to end");
}

bool kernel_check_start(struct kernel_run *run)
{
    if (run->ended)
        return false;
    if (kernel_youngest(run) == NULL) {
        kernel_violated(run, "the start has neither failed nor made a worker");
        return false;
    }
    return true;
}

/* Rule I4: who serves was started after the last reload was asked for, unless what fails makes a
 * start fail. */
static void check_reloaded(struct kernel_run *run)
{
    const struct kernel_worker *youngest = kernel_youngest(run);
    if (may_fail_a_start(run))
        return;
    for (size_t i = 0; i < run->worker_count; i++)
        if (run->workers[i].message.broken)
            return;
    if (youngest != NULL && youngest->spawned_at < run->hup_mark)
        kernel_violated(run, "a reload was lost");
}

void kernel_check_serving(struct kernel_run *run)
{
    check_reloaded(run);
    check_one_serves(run);
    check_descriptors(run);
    struct kernel_worker *before = kernel_youngest(run);
    uint64_t generation = before != NULL ? before->message.generation : 0;
    kernel_signal(run, SIGHUP);
    if (!kernel_settle(run) || run->ended)
        return;
    const struct kernel_worker *now = kernel_youngest(run);
    if (now == NULL || now->message.generation <= generation || now->spawned_at < run->hup_mark)
        kernel_violated(run, "the first reload without faults starts nobody");
    run->told_again = true;
    if (run->scenario->control && !kernel_is_answered(run, "{\"command\":\"ehlo\"}\n", "Welcome"))
        kernel_violated(run, "the first request without faults is not answered");
    check_one_serves(run);
    check_descriptors(run);
}

/* Rule I5: what was asked for is not asked for again. */
void kernel_check_ending(struct kernel_run *run)
{
    if (run->stop_asked && !may_linger(run))
        kernel_violated(run, "a stop was asked for, and has not come to its end");
    if (run->exit_asked)
        kernel_violated(run, "the last worker was to end, and the master has not");
}

/* --- at the end --- */

static void check_failed_start(struct kernel_run *run)
{
    bool mute = fails_with(run, OS_CALL_OUTPUT_WRITE) || fails_with(run, OS_CALL_OUTPUT_OPEN);
    /* What came of a worker that was killed is told as of any other, in the log. */
    bool by_signal = fails_as(run, OS_FAULT_CHILD_KILLED);
    const char *said = run->scenario->syslog && !by_signal ? run->console : run->log;
    size_t lines = count_in(said, "\n");
    if (!WIFEXITED(run->status) || (WEXITSTATUS(run->status) != 1 && !by_signal) ||
        WEXITSTATUS(run->status) == 0)
        kernel_violated(run, "a failed start has wait status %#x", (unsigned)run->status);
    if (run->page->fault.struck == 0)
        kernel_violated(run, "the start failed although nothing else did");
    if (mute)
        return;
    /* Once there was a listener, lines about it come before. */
    bool opened = count_in(run->log, "listening on") > 0;
    if (lines == 0 || (lines > 1 && !opened))
        kernel_violated(run, "a failed start says %zu lines", lines);
    /* Where the log goes, the rollout that failed with it says so again. What a worker tells may be
     * learnt too late: by who cannot wait, or read, or whose clock leaps. */
    size_t reasons = count_in(said, "unable to");
    size_t repeated = count_in(said, "could not be started: unable to");
    bool late = count_in(said, "was not ready in time") + count_in(said, "can never say") > 0;
    if (!by_signal && !late && reasons != 1 && (reasons != 2 || repeated != 1))
        kernel_violated(run, "a failed start does not say once what it was unable to do");
}

static void check_left_over(struct kernel_run *run)
{
    char path[KERNEL_PATH];
    struct stat status;
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0;) {
        if (pid == 0) {
            kernel_violated(run, "the master has ended and a worker lives");
            return;
        }
        kernel_violated(run, "child %d was left to be reaped", pid);
    }
    static const char *const names[] = {"socket", KERNEL_SECOND_NAME, KERNEL_CONTROL_NAME};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        kernel_path(run, names[i], path);
        bool there = lstat(path, &status) == 0;
        bool ours = there && run->scenario->inherited == 0 &&
                    (run->stale_inode == 0 || status.st_ino != run->stale_inode);
        if (ours && !fails_with(run, OS_CALL_FILE_REMOVE) && !fails_with(run, OS_CALL_FILE_LOOK))
            kernel_violated(run, "%s was left", names[i]);
    }
    if (run->page->kernel.directory[0] != '\0' && !fails_with(run, OS_CALL_FILE_REMOVE) &&
        !fails_with(run, OS_CALL_DIRECTORY_REMOVE))
        kernel_violated(run, "%s was left", run->page->kernel.directory);
    if (run->page->left_open != 0)
        kernel_violated(
            run, "descriptors %#llx were left open", (unsigned long long)run->page->left_open);
    /* The reader of requests gives back what it takes; the C library keeps some of that. */
    size_t kept = run->scenario->control ? HEAP_KEPT : 0;
    if (run->page->kernel.heap_at_last > run->page->kernel.heap_at_first + kept)
        kernel_violated(run, "the heap grew from %zu to %zu bytes in the loop",
            run->page->kernel.heap_at_first, run->page->kernel.heap_at_last);
}

static void check_check(struct kernel_run *run)
{
    int status = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : -1;
    bool mute = fails_with(run, OS_CALL_OUTPUT_WRITE) || fails_with(run, OS_CALL_OUTPUT_OPEN);
    size_t lines = count_in(run->log, "\n");
    if (status != 0 && status != 1)
        kernel_violated(run, "-check has wait status %#x", (unsigned)run->status);
    if (status == 1 && run->page->fault.struck == 0)
        kernel_violated(run, "-check failed although nothing else did");
    if (!mute && (status == 0 ? count_in(run->log, "run ") != 1 : lines != 1))
        kernel_violated(run, "-check ends with %d and says %zu lines", status, lines);
}

/* A clock that jumps makes a broken worker ready before it has ended, and it takes over. */
static bool may_end_unasked(const struct kernel_run *run)
{
    bool broken = false;
    for (size_t i = 0; i < run->worker_count; i++)
        broken |= run->workers[i].message.broken;
    return broken && fails_with(run, OS_CALL_CLOCK_MS);
}

/* One that is killed right after its exec may have said just before that it is ready: it has taken
 * over by then, and is the last to end. */
static bool may_end_as_killed(const struct kernel_run *run)
{
    return fails_as(run, OS_FAULT_CHILD_KILLED) && run->scenario->says_ready;
}

static void check_status(struct kernel_run *run)
{
    int status = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : -1;
    bool asked = run->stop_asked || run->exit_asked;
    if (may_end_as_killed(run) && status == 128 + SIGKILL)
        return;
    if (!asked && may_end_unasked(run) && status == WORKER_BROKEN_STATUS)
        return;
    if (!asked)
        kernel_violated(run, "the master ended unasked");
    if (status != (run->exit_asked ? run->scenario->status : 0))
        kernel_violated(run, "the master ended with wait status %#x", (unsigned)run->status);
}

void kernel_check_end(struct kernel_run *run)
{
    kernel_observe(run);
    if (run->scenario->is_check)
        check_check(run);
    else if (run->started)
        check_status(run);
    else
        check_failed_start(run);
    check_left_over(run);
    if (run->started)
        check_log(run);
}
