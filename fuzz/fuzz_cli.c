/*
 * Fuzzes cli: the input's pieces between NULs are words of the command line, but those that begin
 * with SOCKETMASTER_ are its environment. An error must be one line that is safe to show, and what
 * may run must be complete and within its bounds.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

enum { PIECES_MAX = 2 * LIMIT_LISTENERS };

static struct config config;

static void check_error(const struct text *error)
{
    CHECK(error->length > 0 && !error->overflow);
    for (size_t i = 0; i < error->length; i++)
        CHECK(error->bytes[i] >= ' ' && error->bytes[i] <= '~');
}

static void check_account(struct text_span name)
{
    CHECK(name.length <= 255);
    CHECK(name.length == 0 || memchr(name.bytes, ':', name.length) == NULL);
}

static void check_listeners(void)
{
    CHECK(config.listener_count >= 1 && config.listener_count <= LIMIT_LISTENERS);
    CHECK(!config.listeners_default || config.listener_count == 1);
    for (size_t i = 0; i < config.listener_count; i++) {
        CHECK(config.listeners[i].kind < URI_KIND_COUNT);
        CHECK(config.listeners[i].source.length > 0);
    }
}

static void check_rollouts(void)
{
    CHECK(config.workers >= 1 && config.workers <= LIMIT_WORKERS);
    CHECK(config.ready <= CLI_READY_ACK);
    CHECK(config.start_ms <= UINT32_MAX && config.ready_timeout_ms <= UINT32_MAX);
    CHECK(config.ready != CLI_READY_ALIVE || config.ready_timeout_ms == 60000);
    CHECK(config.max_starting <= LIMIT_WORKERS);
    CHECK(config.smooth || config.max_starting == 0);
    CHECK(config.hold_ms <= UINT32_MAX);
}

static void check_config(int argc, char *const *argv)
{
    CHECK(config.command != NULL && config.command[0] != '\0');
    CHECK(config.arguments >= argv && config.arguments <= argv + argc);
    CHECK(config.arguments + config.argument_count == argv + argc);
    check_listeners();
    check_rollouts();
    CHECK(config.stop_ms <= UINT32_MAX);
    CHECK(cli_signal_retires(config.stop_signal) && cli_signal_name(config.stop_signal) != NULL);
    check_account(config.login);
    check_account(config.group);
    CHECK(config.group.length == 0 || config.login.length > 0);
    CHECK(config.dir == NULL || config.dir[0] != '\0');
    CHECK(config.envdir == NULL || config.envdir[0] != '\0');
    CHECK(config.families < ENVP_NGINX << 1);
    CHECK(config.syslog_socket[0] == '/' && strlen(config.syslog_socket) <= 107);
    CHECK(config.log == CLI_LOG_TEXT || config.log == CLI_LOG_JSON);
    CHECK(config.log == CLI_LOG_TEXT || !config.syslog);
}

static void parse(int argc, char *const *argv, char *const *environment)
{
    static char buffer[CLI_ERROR_SIZE];
    struct text error;

    text_init(&error, buffer, sizeof buffer);
    /* Nothing of the last run, and no zeros, may be taken for a value. */
    memset((char *)&config + offsetof(struct config, listener_count), 0xa5,
        sizeof config - offsetof(struct config, listener_count));
    switch (cli_parse(argc, argv, environment, &config, &error)) {
    case CLI_RUN:
        CHECK(error.length == 0);
        check_config(argc, argv);
        break;
    case CLI_HELP:
    case CLI_VERSION:
        CHECK(error.length == 0);
        break;
    case CLI_WRONG:
        check_error(&error);
        break;
    default:
        CHECK(false);
    }
}

/* Rules: C1 C2 C4 C5 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "SOCKETMASTER_";
    static char program[] = "socketmaster";
    char *argv[PIECES_MAX + 2] = {program};
    char *environment[PIECES_MAX + 1];
    char *bytes = malloc(size + 1);
    size_t variables = 0;
    int argc = 1;

    CHECK(bytes != NULL);
    memcpy(bytes, data, size);
    bytes[size] = '\0';
    for (char *piece = bytes; piece < bytes + size; piece += strlen(piece) + 1) {
        if (strncmp(piece, prefix, strlen(prefix)) == 0) {
            if (variables < PIECES_MAX)
                environment[variables++] = piece;
        } else if (argc <= PIECES_MAX) {
            argv[argc++] = piece;
        }
    }
    argv[argc] = NULL;
    environment[variables] = NULL;
    parse(argc, argv, environment);
    free(bytes);
    return 0;
}
