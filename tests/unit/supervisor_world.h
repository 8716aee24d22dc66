/*
 * The world of supervisor's tests: whole runs against the fake port, from the first look-up to the
 * exit status.
 *
 * Each run has a command line, a few things that happen at a time, and what must have come of it:
 * the exit status, the signals that were sent, lines of the log. At the end of every run nothing is
 * left open (os_fake_done).
 */
#ifndef SOCKETMASTER_SUPERVISOR_WORLD_H
#define SOCKETMASTER_SUPERVISOR_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "os_fake.h"
#include "supervisor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BIT(signal) (UINT64_C(1) << ((signal)-1))

enum {
    BEGIN = 1000000, /* the fake's clock at its start */
    FIRST = OS_FAKE_FIRST_PID,
    SECOND = FIRST + 1,
    THIRD = FIRST + 2,
    EXIT_STATUS = 8, /* wait(2): status << EXIT_STATUS */
};

static struct os_fake fake;
static struct config config;
static char seen[OS_FAKE_TEXT]; /* what the log held at the time of `see` */
static char *no_environment[] = {NULL};

static inline int set_up(void **state)
{
    (void)state;
    os_fake_init(&fake);
    seen[0] = '\0';
    fake.mortal = BIT(SIGTERM) | BIT(SIGHUP) | BIT(SIGQUIT) | BIT(SIGINT) | BIT(SIGKILL);
    os_fake_file(&fake, "/bin/server", OS_FILE_REGULAR)->executable = true;
    return 0;
}

/* Reads a command line of at most a few words, separated by blanks. */
static inline void configure(const char *words)
{
    static char buffer[256];
    static char *argv[16];
    static char error_bytes[CLI_ERROR_SIZE];
    struct text error;
    int argc = 0;
    snprintf(buffer, sizeof buffer, "socketmaster %s", words);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    text_init(&error, error_bytes, sizeof error_bytes);
    if (cli_parse(argc, argv, no_environment, &config, &error) != CLI_RUN)
        fail_msg("%s", error.bytes);
}

static inline int run(const char *words)
{
    configure(words);
    return supervisor_run(&fake.os, &config, no_environment);
}

static inline void expect_said(const char *text)
{
    if (!strstr(fake.output, text))
        fail_msg("not said: %s\nbut: %s", text, fake.output);
}

static inline void expect_not_said(const char *text)
{
    if (strstr(fake.output, text))
        fail_msg("said: %s\nin: %s", text, fake.output);
}

/* How often the journal shows this. */
static inline size_t journaled(const char *text)
{
    size_t count = 0;
    for (const char *at = fake.journal; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static inline void expect_signal(pid_t pid, int signal, size_t times)
{
    char line[64];
    snprintf(line, sizeof line, "kill_process %d %d\n", (int)pid, signal);
    assert_int_equal(journaled(line), times);
}

/* What was said by the time of this event has to be seen with expect_seen. */
static inline void see(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    memcpy(seen, os->output, os->output_length + 1);
}

static inline void expect_seen(const char *text)
{
    if (!strstr(seen, text))
        fail_msg("not said in time: %s\nbut: %s", text, seen);
}

/* The log takes so many bytes more; -1: whatever comes. */
static inline void take_log(struct os_fake *os, pid_t pid, int bytes)
{
    (void)pid;
    os->output_room = bytes < 0 ? SIZE_MAX : (size_t)bytes;
}

/* A reload and a stop come in together. */
static inline void reload_and_stop(struct os_fake *os, pid_t pid, int number)
{
    (void)pid;
    (void)number;
    os_fake_signal(os, SIGHUP);
    os_fake_signal(os, SIGTERM);
}

#endif
