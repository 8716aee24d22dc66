/*
 * cli: argv and environment -> struct config, or an error text.
 *
 * Owns: how words become options, values and operands, the order of the three sources (command
 * line, environment, default). Leaves to others: taking one word apart (flag), what each option
 * accepts (cli_option), which of them do not go together (cli_conflict), and the help (cli_help).
 */
#include "cli.h"

#include <string.h>

#include "cli_conflict.h"
#include "cli_option.h"
#include "flag.h"

enum { VARIABLE_SIZE = 64 }; /* holds the longest SOCKETMASTER_<NAME> */

/* One run of cli_parse. */
struct parser {
    int argc;
    char *const *argv;
    int index; /* of the next word */
    struct cli_given given[CLI_OPTIONS_MAX];
    enum cli_outcome outcome;
    struct config *config;
    struct text *error;
};

static bool read_value(struct parser *parser, const struct cli_option *option,
    enum cli_source source, const char *string)
{
    struct cli_value value = {
        .option = option,
        .source = source,
        .string = string,
        .config = parser->config,
        .outcome = &parser->outcome,
        .error = parser->error,
    };

    parser->given[option - cli_options] = (struct cli_given){source, string};
    return cli_option_read(&value);
}

/* Reads one option, and the word after it where that is its value. */
static bool read_option(struct parser *parser, const struct flag *flag)
{
    const struct cli_option *option = cli_option_find(flag->name);
    const char *value = flag->value;

    parser->index++;
    if (option == NULL) {
        flag_add_word(parser->error, flag->word, "unknown option; see -help");
        return false;
    }
    if (value == NULL && option->argument == NULL)
        value = "true";
    else if (value == NULL && parser->index < parser->argc)
        value = parser->argv[parser->index++];
    return read_value(parser, option, CLI_FROM_COMMAND_LINE, value);
}

/* Reads options up to the first operand, or to -help or -version: these win over what follows. */
static bool read_options(struct parser *parser)
{
    while (parser->index < parser->argc && parser->outcome == CLI_RUN) {
        const char *word = parser->argv[parser->index];
        struct flag flag;
        enum flag_kind kind = flag_read(word, &flag);

        if (kind == FLAG_END)
            parser->index++;
        if (kind == FLAG_END || kind == FLAG_OPERAND)
            return true;
        if (kind == FLAG_WRONG) {
            flag_add_word(
                parser->error, text_span_of(word), "expected -name or -name=value; see -help");
            return false;
        }
        if (!read_option(parser, &flag))
            return false;
    }
    return true;
}

/* What the command line does not name is in the environment, or else is the default. */
static bool read_unnamed(struct parser *parser, char *const *environment)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option *option = &cli_options[i];
        enum cli_source source = CLI_FROM_ENVIRONMENT;
        const char *value = NULL;
        char buffer[VARIABLE_SIZE];
        struct text variable;

        if (parser->given[i].source == CLI_FROM_COMMAND_LINE)
            continue;
        if ((option->traits & CLI_HAS_NO_VARIABLE) == 0) {
            text_init(&variable, buffer, sizeof buffer);
            cli_option_add_variable(&variable, option);
            value = envp_find(environment, buffer);
        }
        if (value == NULL) {
            source = CLI_FROM_DEFAULT;
            value = option->fallback;
        }
        if (value != NULL && !read_value(parser, option, source, value))
            return false;
    }
    return true;
}

/* The operands are the command and its arguments or, where it is known already, arguments alone. */
static bool read_operands(struct parser *parser)
{
    if (parser->config->command == NULL) {
        const struct cli_option *command = cli_option_find(text_span_of("command"));
        const char *operand = NULL;

        if (parser->index < parser->argc)
            operand = parser->argv[parser->index++];
        if (!read_value(parser, command, CLI_FROM_COMMAND_LINE, operand))
            return false;
    }
    parser->config->arguments = parser->argv + parser->index;
    parser->config->argument_count = (size_t)(parser->argc - parser->index);
    if (parser->config->argument_count > LIMIT_ARGUMENTS) {
        text_add(parser->error, "operands: more than ");
        text_add_unsigned(parser->error, LIMIT_ARGUMENTS);
        text_add(parser->error, " arguments of the command");
        return false;
    }
    return true;
}

/* The pages of the listeners stay untouched until there is one, for an idle master is small. */
static void clear(struct config *config)
{
    size_t start = offsetof(struct config, listener_count);

    memset((char *)config + start, 0, sizeof *config - start);
}

enum cli_outcome cli_parse(int argc, char *const *argv, char *const *environment,
    struct config *config, struct text *error)
{
    struct parser parser = {
        .argc = argc,
        .argv = argv,
        .index = argc > 0 ? 1 : 0,
        .outcome = CLI_RUN,
        .config = config,
        .error = error,
    };

    clear(config);
    if (!read_options(&parser))
        return CLI_WRONG;
    if (parser.outcome != CLI_RUN)
        return parser.outcome;
    if (!read_unnamed(&parser, environment) || !read_operands(&parser) ||
        !cli_conflict_check(config, parser.given, error))
        return CLI_WRONG;
    return CLI_RUN;
}
