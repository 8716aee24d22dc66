#include "configuration.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint32_t draw_of(struct os_sim_choice *choice, const uint32_t *values, size_t count)
{
    return values[os_sim_choose(choice, (uint32_t)count)];
}

__attribute__((format(printf, 2, 3))) static void add_word(
    struct configuration *configuration, const char *format, ...)
{
    va_list values;
    char *word = configuration->words + configuration->used;
    size_t room = sizeof configuration->words - configuration->used;
    va_start(values, format);
    configuration->used += (size_t)vsnprintf(word, room, format, values) + 1;
    va_end(values);
    configuration->argv[configuration->argc++] = word;
    configuration->argv[configuration->argc] = NULL;
}

/* How many there are, how they say that they are ready, and how they follow each other. */
static void draw_pool(
    struct configuration *configuration, struct os_sim_choice *choice, bool controlled)
{
    static const uint32_t workers[] = {1, 1, 2, 3, 5};
    static const uint32_t timeouts[] = {60000, 3500, 0};
    static const uint32_t holds[] = {0, 50, 2000};
    static const char *const ways[] = {"alive", "notify", "fd", "ack"};
    add_word(configuration, "-workers=%u", draw_of(choice, workers, COUNT(workers)));
    const char *way = ways[os_sim_choose(choice, controlled ? COUNT(ways) : COUNT(ways) - 1)];
    add_word(configuration, "-ready=%s", way);
    if (way != ways[0])
        add_word(configuration, "-ready-timeout=%u", draw_of(choice, timeouts, COUNT(timeouts)));
    if (os_sim_choose(choice, 2) == 1) {
        add_word(configuration, "-rollout=smooth");
        add_word(configuration, "-max-starting=%u", 1 + os_sim_choose(choice, 3));
    }
    add_word(configuration, "-hold=%u", draw_of(choice, holds, COUNT(holds)));
    if (os_sim_chance(choice, 3))
        add_word(configuration, "-respawn");
}

static void draw_words(
    struct configuration *configuration, struct os_sim_choice *choice, bool controlled)
{
    static const uint32_t starts[] = {1000, 0, 1, 20, 3000};
    static const uint32_t stops[] = {0, 5000, 50};
    static const uint32_t drainers[] = {0, 0, 1, 3};
    static const char *const signals[] = {"HUP", "TERM", "QUIT", "USR2"};
    static const char *const listeners[] = {"tcp://127.0.0.1:8080", "unix:///run/app.sock",
        "tcp4://localhost:http?nodelay=true&nonblock=true",
        "unix:///run/own.sock?mode=600&user=nobody&group=nogroup&backlog=3"};
    configuration->argc = 0;
    configuration->used = 0;
    add_word(configuration, "socketmaster");
    add_word(configuration, "-start=%u", draw_of(choice, starts, COUNT(starts)));
    add_word(configuration, "-stop=%u", draw_of(choice, stops, COUNT(stops)));
    add_word(configuration, "-max-draining=%u", draw_of(choice, drainers, COUNT(drainers)));
    add_word(configuration, "-stop-signal=%s", signals[os_sim_choose(choice, COUNT(signals))]);
    add_word(configuration, "-kill=%s", os_sim_choose(choice, 3) == 2 ? "group" : "process");
    draw_pool(configuration, choice, controlled);
    size_t first = os_sim_choose(choice, COUNT(listeners));
    for (size_t i = 0; i <= os_sim_choose(choice, 2); i++)
        add_word(configuration, "-listen=%s", listeners[(first + i) % COUNT(listeners)]);
    switch (os_sim_choose(choice, 6)) {
    case 3:
        add_word(configuration, "-output=inherit");
        break;
    case 4:
        add_word(configuration, "-log=json");
        break;
    case 5:
        add_word(configuration, "-syslog");
        break;
    default:
        break;
    }
    if (os_sim_chance(choice, 4))
        add_word(configuration, "-envdir=/etc/env");
    if (os_sim_chance(choice, 4))
        add_word(configuration, "-dir=/srv");
    if (os_sim_chance(choice, 4))
        add_word(configuration, "-user=nobody:nogroup");
    if (os_sim_chance(choice, 3))
        add_word(configuration, "-env=einhorn,systemd,starter,nginx");
    if (controlled)
        add_word(configuration, "-control=/run/control.sock");
    if (controlled && os_sim_choose(choice, 2) == 1)
        add_word(configuration, "-textfile=/run/metrics");
    add_word(configuration, "/bin/server");
}

static void read_words(struct configuration *configuration)
{
    static char *no_environment[] = {NULL};
    static char error_bytes[CLI_ERROR_SIZE];
    struct text error;
    text_init(&error, error_bytes, sizeof error_bytes);
    if (cli_parse(configuration->argc, configuration->argv, no_environment, &configuration->config,
            &error) == CLI_RUN)
        return;
    fprintf(stderr, "the simulator draws a wrong command line: %s\n", error_bytes);
    abort();
}

void configuration_draw(
    struct configuration *configuration, struct os_sim_choice *choice, bool controlled)
{
    draw_words(configuration, choice, controlled);
    read_words(configuration);
    os_sim_settings_read(&configuration->settings, &configuration->config);
    configuration->settings.is_init = os_sim_chance(choice, 4);
}
