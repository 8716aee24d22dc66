#include "setup.h"

#include <errno.h>
#include <string.h>

#include "setup_plan.h"

static bool refuse(struct text *error, const char *what, struct text_span on, const char *why)
{
    text_add(error, "unable to ");
    text_add(error, what);
    text_add_char(error, ' ');
    text_add_quoted(error, on.bytes, on.length);
    text_add(error, ": ");
    text_add(error, why);
    return false;
}

static bool copy_name(char *buffer, size_t size, struct text_span name)
{
    struct text text;
    text_init(&text, buffer, size);
    text_add_bytes(&text, name.bytes, name.length);
    return !text.overflow;
}

/* Rule E8: who the workers are. */
static bool find_account(struct setup *setup, struct text *error)
{
    const struct config *config = setup->config;
    struct os *os = setup->os;
    struct os_user *account = &setup->account;
    char name[OS_ACCOUNT_TEXT];
    setup->spawn_settings.account = NULL;
    if (!config->login.length)
        return true;
    if (os->user_id(os) != 0)
        return refuse(error, "switch to user", config->login, "only root may");
    if (!copy_name(name, sizeof name, config->login))
        return refuse(error, "find user", config->login, strerror(ENAMETOOLONG));
    int failed = os->user_find(os, name, account);
    if (failed < 0)
        return refuse(error, "find user", config->login,
            failed == -ENOENT ? "there is no such user" : strerror(-failed));
    if (config->group.length) {
        if (!copy_name(name, sizeof name, config->group))
            return refuse(error, "find group", config->group, strerror(ENAMETOOLONG));
        failed = os->group_find(os, name, &account->gid);
        if (failed < 0)
            return refuse(error, "find group", config->group,
                failed == -ENOENT ? "there is no such group" : strerror(-failed));
        /* The first of the list stands for the login's own group (getgrouplist(3)). */
        if (account->group_count)
            account->groups[0] = account->gid;
    } else if (account->gid == (gid_t)-1) {
        return refuse(error, "find a group for user", config->login,
            "a number without an account; expected LOGIN:GROUP");
    }
    setup->spawn_settings.account = account;
    return true;
}

/* Looks at the worker's directory, its variables and its command (rules E9, E10). */
static bool find_command(struct setup *setup, const char **path, struct text *error)
{
    const struct config *config = setup->config;
    struct spawn_failure failure;
    if (config->dir) {
        int failed = setup->os->directory_enterable(setup->os, config->dir);
        if (failed < 0)
            return refuse(error, "enter directory", text_span_of(config->dir), strerror(-failed));
    }
    if (spawn_find(&setup->spawn, NULL, path, &failure))
        return true;
    const char *subject = failure.step == SPAWN_STEP_ENVDIR ? config->envdir : config->command;
    const char *what = failure.step == SPAWN_STEP_ENVDIR ? "read environment directory"
                       : failure.error == EACCES         ? "execute"
                                                         : spawn_step_text(failure.step);
    return refuse(error, what, text_span_of(subject), strerror(failure.error));
}

/* Rule E1: a worker's standard input is neither a terminal nor a listener. */
static bool needs_null_input(const struct setup *setup)
{
    for (size_t i = 0; i < setup->config->listener_count; i++) {
        const struct uri *uri = &setup->config->listeners[i];
        if (uri->kind == URI_FD && uri->fd == 0)
            return true;
    }
    return setup->os->is_terminal(setup->os, 0);
}

static void prepare(
    struct setup *setup, struct os *os, const struct config *config, char *const *environment)
{
    setup->os = os;
    setup->config = config;
    setup->null_fd = -1;
    setup->listeners.count = 0;
    listener_clear(&setup->control);
    setup->spawn_settings = (struct spawn_settings){
        .command = config->command,
        .arguments = config->arguments,
        .dir = config->dir,
        .envdir = config->envdir,
        .environment = environment,
        .families = config->families,
        .listeners = setup->shown,
        .listener_fds = setup->fds,
        .null_fd = -1,
        .control_socket = config->controlled ? config->control.path : NULL,
        .relayed = !config->output_inherit,
        .ready_fd = config->ready == CLI_READY_FD,
    };
    spawn_open(&setup->spawn, os, &setup->spawn_settings, setup->argv);
}

/* Rules E1, E7: from here on nothing that was inherited reaches a worker by itself. */
static bool seal(struct setup *setup, struct text *error)
{
    int failed = setup->os->descriptors_seal(setup->os);
    if (failed == 0)
        return true;
    text_add(error, "unable to keep inherited descriptors from the workers: ");
    text_add(error, strerror(-failed));
    return false;
}

static bool look_up(struct setup *setup, const char **path, struct text *error)
{
    return find_account(setup, error) && find_command(setup, path, error) &&
           listener_activation_read(
               &setup->activation, setup->os, setup->spawn_settings.environment, error);
}

static void show_listeners(struct setup *setup)
{
    for (size_t i = 0; i < setup->listeners.count; i++) {
        const struct listener *listener = &setup->listeners.items[i];
        setup->fds[i] = listener->fd;
        setup->shown[i] = (struct envp_listener){
            .name = listener->name, .starter = listener->starter, .address = listener->address};
    }
    setup->spawn_settings.listener_count = setup->listeners.count;
}

/* Who may write to it: root, and the workers' user. */
static bool open_control(struct setup *setup, struct text *error)
{
    const struct config *config = setup->config;
    return !config->controlled || listener_open_private(&setup->control, setup->os,
                                      &config->control, setup->spawn_settings.account, error);
}

static bool open_null_input(struct setup *setup, struct text *error)
{
    if (!needs_null_input(setup))
        return true;
    setup->null_fd = setup->os->null_open(setup->os);
    return setup->null_fd >= 0 ||
           refuse(error, "open", text_span_of("/dev/null"), strerror(-setup->null_fd));
}

bool setup_open(struct setup *setup, struct os *os, const struct config *config,
    char *const *environment, struct text *error)
{
    const char *path;
    prepare(setup, os, config, environment);
    if (!seal(setup, error) || !look_up(setup, &path, error))
        return false;
    if (!listeners_open(&setup->listeners, os, config->listeners, config->listener_count,
            config->listeners_default, &setup->activation, error))
        return false;
    if (!open_control(setup, error) || !open_null_input(setup, error)) {
        setup_close(setup);
        return false;
    }
    setup->spawn_settings.null_fd = setup->null_fd;
    show_listeners(setup);
    return true;
}

bool setup_check(struct setup *setup, struct os *os, const struct config *config,
    char *const *environment, struct text *plan, struct text *error)
{
    const char *path;
    prepare(setup, os, config, environment);
    if (!seal(setup, error) || !look_up(setup, &path, error))
        return false;
    if (!listeners_check(os, config->listeners, config->listener_count, config->listeners_default,
            &setup->activation, plan, error))
        return false;
    if (config->controlled && !listener_check_private(os, &config->control, plan, error))
        return false;
    setup_plan_add(setup, path, plan);
    return true;
}

void setup_close(struct setup *setup)
{
    listener_close_private(&setup->control, setup->os);
    listeners_close(&setup->listeners, setup->os);
    if (setup->null_fd >= 0)
        setup->os->close(setup->os, setup->null_fd);
    setup->null_fd = -1;
}
