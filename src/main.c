/*
 * main: the roof. Picks the role: master or client; blocks the master's signals, reads its command
 * line, picks what to do, and holds the only exit. Everything else is below.
 */
#include "cli.h"
#include "client.h"
#include "console.h"
#include "os_posix.h"
#include "supervisor.h"

enum { WRONG_COMMAND_LINE = 2 };

int main(int argc, char **argv, char **environment)
{
    struct os os;
    os_posix_init(&os);
    if (client_is_asked(argc, argv))
        return client_run(&os, argc, argv, environment);
    os.signals_block(&os);

    static struct config config;
    static char message_bytes[CLI_HELP_SIZE], error_bytes[CLI_ERROR_SIZE];
    struct text message, error;
    text_init(&message, message_bytes, sizeof message_bytes);
    text_init(&error, error_bytes, sizeof error_bytes);

    switch (cli_parse(argc, argv, environment, &config, &error)) {
    case CLI_RUN:
        return config.check ? supervisor_check(&os, &config, environment)
                            : supervisor_run(&os, &config, environment);
    case CLI_HELP:
        cli_add_help(&message);
        console_print(&os, CONSOLE_OUTPUT, &message);
        return 0;
    case CLI_VERSION:
        text_add(&message, "socketmaster " SOCKETMASTER_VERSION "\n");
        console_print(&os, CONSOLE_OUTPUT, &message);
        return 0;
    case CLI_WRONG:
        console_complain(&os, &error);
        break;
    }
    return WRONG_COMMAND_LINE;
}
