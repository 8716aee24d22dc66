#include "setup_plan.h"

#include <string.h>

static void add_milliseconds(struct text *plan, uint64_t milliseconds)
{
    text_add_unsigned(plan, milliseconds);
    text_add(plan, " ms");
}

static void add_command(const struct setup *setup, const char *path, struct text *plan)
{
    const struct config *config = setup->config;
    text_add(plan, "run ");
    text_add_escaped(plan, path, strlen(path));
    for (size_t i = 0; i < config->argument_count; i++) {
        size_t length = strlen(config->arguments[i]);
        if (plan->size - plan->length < 4 * length + SETUP_PLAN_REST) {
            text_add(plan, " ...");
            break;
        }
        text_add_char(plan, ' ');
        text_add_escaped(plan, config->arguments[i], length);
    }
    if (config->dir) {
        text_add(plan, " in ");
        text_add_escaped(plan, config->dir, strlen(config->dir));
    }
    const struct os_user *account = setup->spawn_settings.account;
    if (account) {
        text_add(plan, " as ");
        text_add_escaped(plan, account->login, strlen(account->login));
        text_add(plan, " (");
        text_add_unsigned(plan, account->uid);
        text_add_char(plan, ':');
        text_add_unsigned(plan, account->gid);
        text_add_char(plan, ')');
    }
    text_add_char(plan, '\n');
}

static void add_workers(const struct config *config, struct text *plan)
{
    text_add(plan, "start ");
    text_add_unsigned(plan, config->workers);
    text_add(plan, config->workers == 1 ? " worker" : " workers");
    if (config->smooth && config->max_starting) {
        text_add(plan, ", at most ");
        text_add_unsigned(plan, config->max_starting);
        text_add(plan, " at a time");
    } else if (config->smooth) {
        text_add(plan, ", at most one for each processor at a time");
    }
    if (config->respawn)
        text_add(plan, ", and replace any that ends unasked");
    text_add_char(plan, '\n');
}

static void add_readiness(const struct config *config, struct text *plan)
{
    text_add(plan, "wait for each until it ");
    switch (config->ready) {
    case CLI_READY_ALIVE:
        if (config->start_ms) {
            text_add(plan, "has lived for ");
            add_milliseconds(plan, config->start_ms);
        } else {
            text_add(plan, "executes");
        }
        text_add_char(plan, '\n');
        return;
    case CLI_READY_NOTIFY:
        text_add(plan, "sends READY=1 to NOTIFY_SOCKET");
        break;
    case CLI_READY_ACK:
        text_add(plan, "sends worker:ack to the control socket");
        break;
    case CLI_READY_FD:
        text_add(plan, "writes a newline to NOTIFY_FD");
        break;
    }
    if (config->ready_timeout_ms) {
        text_add(plan, ", at most ");
        add_milliseconds(plan, config->ready_timeout_ms);
    }
    text_add_char(plan, '\n');
}

static void add_replacement(const struct config *config, struct text *plan)
{
    text_add(plan, "on HUP do the same, and ");
    if (config->hold_ms) {
        add_milliseconds(plan, config->hold_ms);
        text_add_char(plan, ' ');
    }
    text_add(plan, config->smooth ? "after each that is ready send an old one "
                                  : "after all are ready send the old ones ");
    text_add(plan, cli_signal_name(config->stop_signal));
    if (config->stop_ms) {
        text_add(plan, ", then KILL after ");
        add_milliseconds(plan, config->stop_ms);
    }
    text_add_char(plan, '\n');
}

/* A file that cannot be made costs a line in the log at run time. */
static void add_textfile(const struct setup *setup, struct text *plan)
{
    const char *path = setup->config->textfile;
    char directory[LIMIT_URI];
    if (!path)
        return;
    text_add(plan, "keep counters in ");
    text_add_escaped(plan, path, strlen(path));
    size_t length = (size_t)(strrchr(path, '/') - path);
    if (length < sizeof directory) {
        memcpy(directory, path, length);
        directory[length] = '\0';
        int error = setup->os->directory_writable(setup->os, length ? directory : "/");
        if (error < 0) {
            text_add(plan, ", which cannot be written now: ");
            text_add(plan, strerror(-error));
        }
    }
    text_add_char(plan, '\n');
}

void setup_plan_add(const struct setup *setup, const char *path, struct text *plan)
{
    add_textfile(setup, plan);
    add_command(setup, path, plan);
    add_workers(setup->config, plan);
    add_readiness(setup->config, plan);
    add_replacement(setup->config, plan);
}
