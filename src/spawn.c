#include "spawn.h"

#include <errno.h>
#include <string.h>

#include "text.h"

/* --- descriptors --- */

static bool is_target(const struct spawn_wire *wires, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (wires[i].to == fd)
            return true;
    return false;
}

static bool is_source(const struct spawn_wire *wires, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (wires[i].from == fd)
            return true;
    return false;
}

/* The lowest number from *next on that is neither wanted nor still needed. */
static int spare_number(const struct spawn_wire *wires, size_t count, int report, int *next)
{
    while (is_target(wires, count, *next) || is_source(wires, count, *next) || *next == report)
        ++*next;
    return (*next)++;
}

size_t spawn_plan_moves(
    const struct spawn_wire *wires, size_t count, int *report, struct os_move *moves)
{
    struct spawn_wire lifted[SPAWN_WIRES_MAX];
    size_t steps = 0;
    int next = SPAWN_FIRST_LISTENER, pipe = *report;

    /* First everything that stands where something else is to be put is lifted out of the way ...
     */
    if (is_target(wires, count, pipe)) {
        *report = spare_number(wires, count, pipe, &next);
        moves[steps++] = (struct os_move){.from = pipe, .to = *report};
    }
    for (size_t i = 0; i < count; i++) {
        lifted[i] = wires[i];
        if (wires[i].from != wires[i].to && is_target(wires, count, wires[i].from)) {
            lifted[i].from = spare_number(wires, count, pipe, &next);
            moves[steps++] = (struct os_move){.from = wires[i].from, .to = lifted[i].from};
        }
    }
    /* ... then each is put in its place. */
    for (size_t i = 0; i < count; i++)
        moves[steps++] =
            (struct os_move){.from = lifted[i].from, .to = lifted[i].to, .inherit = true};
    return steps;
}

/* --- the command --- */

static bool candidate_add(struct spawn *spawn, const char *command, size_t *count,
    struct text *paths, struct text_span directory)
{
    const char *start = paths->bytes + paths->length;
    /* An empty entry of PATH is the working directory. */
    if (directory.length) {
        text_add_bytes(paths, directory.bytes, directory.length);
        text_add_char(paths, '/');
    }
    text_add(paths, command);
    text_add_char(paths, '\0');
    if (paths->overflow || *count == SPAWN_CANDIDATES_MAX)
        return false;
    spawn->candidates[(*count)++] = start;
    return true;
}

/* Fills spawn->candidates with the paths to try, in order (rule E10). */
static int list_candidates(struct spawn *spawn, const char *command)
{
    static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";
    size_t count = 0;
    if (strchr(command, '/')) {
        spawn->candidates[count++] = command;
    } else {
        struct text paths;
        text_init(&paths, spawn->paths, sizeof spawn->paths);
        const char *path = envp_find(spawn->envp.entries, "PATH");
        for (const char *at = path ? path : default_path; at;) {
            const char *colon = strchr(at, ':');
            struct text_span directory = {at, colon ? (size_t)(colon - at) : strlen(at)};
            if (!candidate_add(spawn, command, &count, &paths, directory))
                return -E2BIG;
            at = colon ? colon + 1 : NULL;
        }
    }
    spawn->candidates[count] = NULL;
    return 0;
}

/* --- the environment --- */

/* The first line without the blanks at its end; NUL stands for a newline, as with daemontools'
 * envdir (https://cr.yp.to/daemontools/envdir.html). */
static size_t trim_value(char *bytes, size_t length)
{
    const char *newline = memchr(bytes, '\n', length);
    if (newline)
        length = (size_t)(newline - bytes);
    while (length && (bytes[length - 1] == ' ' || bytes[length - 1] == '\t'))
        length--;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == '\0')
            bytes[i] = '\n';
    return length;
}

static int override_read(struct spawn *spawn, const char *name, size_t *used)
{
    struct os *os = spawn->os;
    char *bytes = spawn->values + *used;
    size_t room = SPAWN_VALUES_MAX - *used;
    ssize_t got = os->file_head(os, spawn->settings->envdir, name, bytes, room);
    if (got < 0)
        return (int)got;
    bool whole = (size_t)got < room || memchr(bytes, '\n', (size_t)got);
    if (!whole || spawn->override_count == SPAWN_OVERRIDES_MAX)
        return -E2BIG;
    size_t length = trim_value(bytes, (size_t)got);
    spawn->overrides[spawn->override_count++] = (struct envp_override){
        .name = text_span_of(name),
        .value = got == 0 ? NULL : bytes,
        .length = length,
    };
    *used += length;
    return 0;
}

static int envdir_read(struct spawn *spawn)
{
    struct os *os = spawn->os;
    spawn->override_count = 0;
    if (!spawn->settings->envdir)
        return 0;
    ssize_t length =
        os->directory_names(os, spawn->settings->envdir, spawn->names, sizeof spawn->names);
    if (length < 0)
        return (int)length;
    size_t used = 0;
    for (const char *name = spawn->names; name < spawn->names + length; name += strlen(name) + 1) {
        if (name[0] == '.' || strchr(name, '='))
            continue;
        int error = override_read(spawn, name, &used);
        if (error < 0)
            return error;
    }
    return 0;
}

static int ready_number(const struct spawn_settings *settings)
{
    return SPAWN_FIRST_LISTENER + (int)settings->listener_count;
}

static enum envp_error environment_build(struct spawn *spawn, const struct spawn_order *order)
{
    const struct spawn_settings *settings = spawn->settings;
    struct envp_request request = {
        .inherited = settings->environment,
        .families = settings->families,
        .listeners = settings->listeners,
        .listener_count = settings->listener_count,
        .slot = order->slot,
        .generation = order->generation,
        .master_pid = spawn->os->process_id(spawn->os),
        .control_socket = settings->control_socket,
        .notify_socket = order->notify_socket,
        .notify_fd = settings->ready_fd ? ready_number(settings) : 0,
        .overrides = spawn->overrides,
        .override_count = spawn->override_count,
    };
    if (settings->account)
        request.account = (struct envp_account){.login = settings->account->login,
            .home = settings->account->home,
            .shell = settings->account->shell};
    return envp_build(&spawn->envp, &request);
}

/* Everything that is looked up anew at each start: variables, then the command on their PATH. */
static bool prepare(struct spawn *spawn, const struct spawn_order *order, const char *command,
    struct spawn_failure *failure)
{
    int error = envdir_read(spawn);
    if (error < 0) {
        *failure = (struct spawn_failure){SPAWN_STEP_ENVDIR, -error};
        return false;
    }
    if (environment_build(spawn, order) != ENVP_OK) {
        *failure = (struct spawn_failure){SPAWN_STEP_ENVIRONMENT, E2BIG};
        return false;
    }
    error = list_candidates(spawn, command);
    if (error < 0)
        *failure = (struct spawn_failure){SPAWN_STEP_FIND, -error};
    return error == 0;
}

/* --- starting --- */

static size_t wire_up(struct spawn *spawn, int output, int ready, int *report)
{
    struct spawn_wire wires[SPAWN_WIRES_MAX];
    const struct spawn_settings *settings = spawn->settings;
    size_t count = 0;
    if (settings->null_fd >= 0)
        wires[count++] = (struct spawn_wire){settings->null_fd, 0};
    if (output >= 0) {
        wires[count++] = (struct spawn_wire){output, 1};
        wires[count++] = (struct spawn_wire){output, 2};
    }
    for (size_t i = 0; i < settings->listener_count; i++)
        wires[count++] =
            (struct spawn_wire){settings->listener_fds[i], SPAWN_FIRST_LISTENER + (int)i};
    if (ready >= 0)
        wires[count++] = (struct spawn_wire){ready, ready_number(settings)};
    return spawn_plan_moves(wires, count, report, spawn->moves);
}

static void ends_close(struct os *os, const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            os->close(os, ends[i]);
}

void spawn_open(
    struct spawn *spawn, struct os *os, const struct spawn_settings *settings, char **argv)
{
    spawn->os = os;
    spawn->settings = settings;
    spawn->argv = argv;
    spawn->override_count = 0;
    size_t count = 0;
    /* execve takes strings that it does not change as if it did. */
    argv[count++] = (char *)(uintptr_t)settings->command;
    for (char *const *argument = settings->arguments; *argument; argument++)
        argv[count++] = *argument;
    argv[count] = NULL;
}

bool spawn_find(struct spawn *spawn, const struct spawn_command *command, const char **path,
    struct spawn_failure *failure)
{
    struct os *os = spawn->os;
    const struct spawn_order first = {.slot = 0, .generation = 1};
    if (!prepare(spawn, &first, command ? command->name : spawn->settings->command, failure))
        return false;
    int verdict = -ENOENT;
    for (const char *const *candidate = spawn->candidates; *candidate; candidate++) {
        int error = os->file_executable(os, spawn->settings->dir, *candidate);
        if (error == 0) {
            *path = *candidate;
            return true;
        }
        /* As execvp: one that may not be executed is worth more than one that is not there. */
        if (error == -EACCES || spawn->candidates[1] == NULL)
            verdict = error;
    }
    *failure = (struct spawn_failure){SPAWN_STEP_FIND, -verdict};
    return false;
}

bool spawn_start(struct spawn *spawn, const struct spawn_order *order, struct spawn_child *child,
    struct spawn_failure *failure)
{
    struct os *os = spawn->os;
    const struct spawn_settings *settings = spawn->settings;
    const struct spawn_command usual = {.name = settings->command, .argv = spawn->argv};
    const struct spawn_command *command = order->command ? order->command : &usual;
    int report[2] = {-1, -1}, output[2] = {-1, -1}, ready[2] = {-1, -1};

    if (!prepare(spawn, order, command->name, failure))
        return false;
    int error = os->pipe_open(os, report);
    if (error == 0 && settings->relayed)
        error = os->pipe_open(os, output);
    if (error == 0 && settings->ready_fd)
        error = os->pipe_open(os, ready);
    if (error < 0) {
        *failure = (struct spawn_failure){SPAWN_STEP_PIPE, -error};
        goto fail;
    }

    /* A worker of another user could not open /dev/stdout otherwise, as many servers are told to.
     * If it cannot be given away, writing to it works all the same. */
    if (output[1] >= 0 && settings->account)
        os->file_pinned_chown(os, output[1], settings->account->uid, settings->account->gid);

    struct os_spawn plan = {
        .moves = spawn->moves,
        .report = report[1],
        .account = settings->account,
        .directory = settings->dir,
        .candidates = spawn->candidates,
        .arguments = command->argv,
        .environment = spawn->envp.entries,
        .pid_gap = spawn->envp.pid_gap,
    };
    plan.move_count = wire_up(spawn, output[1], ready[1], &plan.report);
    pid_t pid = os->spawn(os, &plan);
    if (pid < 0) {
        *failure = (struct spawn_failure){SPAWN_STEP_FORK, (int)-pid};
        goto fail;
    }
    os->close(os, report[1]);
    if (output[1] >= 0)
        os->close(os, output[1]);
    if (ready[1] >= 0)
        os->close(os, ready[1]);
    *child = (struct spawn_child){
        .pid = pid, .report = report[0], .output = output[0], .ready = ready[0]};
    return true;

fail:
    ends_close(os, ready);
    ends_close(os, output);
    ends_close(os, report);
    return false;
}

/* The next message, in however many pieces it comes. Returns 1, 0 at the end, or -errno. */
static int read_message(struct os *os, int report, struct spawn_progress *progress)
{
    char *bytes = (char *)&progress->message;
    while (progress->length < sizeof progress->message) {
        ssize_t got = os->read(
            os, report, bytes + progress->length, sizeof progress->message - progress->length);
        if (got <= 0)
            return (int)got;
        progress->length += (size_t)got;
    }
    progress->length = 0;
    return 1;
}

enum spawn_report spawn_read_report(
    struct os *os, int report, struct spawn_progress *progress, struct spawn_failure *failure)
{
    for (;;) {
        int got = read_message(os, report, progress);
        if (got == -EAGAIN)
            return SPAWN_PENDING;
        if (got < 0) {
            *failure = (struct spawn_failure){SPAWN_STEP_WATCH, -got};
            return SPAWN_UNKNOWN;
        }
        if (got == 0)
            return progress->announced ? SPAWN_EXECUTED : SPAWN_DIED;
        if (progress->message.step != OS_STEP_NONE)
            break;
        progress->announced = true;
    }
    *failure = (struct spawn_failure){progress->message.step, progress->message.error};
    return SPAWN_FAILED;
}

const char *spawn_step_text(int step)
{
    static const char *const texts[SPAWN_STEP_COUNT] = {
        [OS_STEP_NONE] = "start",
        [OS_STEP_DESCRIPTOR] = "arrange the descriptors of",
        [OS_STEP_PROCESS_GROUP] = "make a process group for",
        [OS_STEP_SIGNALS] = "reset the signals of",
        [OS_STEP_GROUP] = "set the group of",
        [OS_STEP_GROUPS] = "set the supplementary groups of",
        [OS_STEP_USER] = "set the user of",
        [OS_STEP_DIRECTORY] = "change to the directory of",
        [OS_STEP_EXECUTE] = "execute",
        [SPAWN_STEP_FIND] = "find",
        [SPAWN_STEP_ENVDIR] = "read the environment directory of",
        [SPAWN_STEP_ENVIRONMENT] = "build the environment of",
        [SPAWN_STEP_NOTIFY] = "open a notification socket for",
        [SPAWN_STEP_PIPE] = "open a pipe for",
        [SPAWN_STEP_FORK] = "fork for",
        [SPAWN_STEP_WATCH] = "watch the pipes of",
    };
    return step >= 0 && step < SPAWN_STEP_COUNT ? texts[step] : texts[OS_STEP_NONE];
}
