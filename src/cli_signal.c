/*
 * cli_signal: the names of signals, and which of them can retire a worker.
 *
 * Owns: how a name is matched. Leaves to others: what a signal does.
 */
#include "cli_signal.h"

#include <signal.h>
#include <string.h>

/* Real-time signals have numbers that libc fixes at run time, and no program here uses them. */
static const struct {
    int number;
    const char *name;
    bool retires;
} signals[] = {
    {SIGHUP, "HUP", true},
    {SIGINT, "INT", true},
    {SIGQUIT, "QUIT", true},
    {SIGTERM, "TERM", true},
    {SIGUSR1, "USR1", true},
    {SIGUSR2, "USR2", true},
    {SIGWINCH, "WINCH", true},
    {SIGABRT, "ABRT", true},
    {SIGALRM, "ALRM", true},
    {SIGPIPE, "PIPE", true},
    {SIGIO, "IO", true},
    {SIGURG, "URG", true},
    {SIGPWR, "PWR", true},
    {SIGPROF, "PROF", true},
    {SIGVTALRM, "VTALRM", true},
    {SIGXCPU, "XCPU", true},
    {SIGXFSZ, "XFSZ", true},
    {SIGSYS, "SYS", true},
    {SIGTRAP, "TRAP", true},
    {SIGILL, "ILL", true},
    {SIGFPE, "FPE", true},
    {SIGBUS, "BUS", true},
    {SIGSEGV, "SEGV", true},
    {SIGKILL, "KILL", false},
    {SIGSTOP, "STOP", false},
    {SIGTSTP, "TSTP", false},
    {SIGTTIN, "TTIN", false},
    {SIGTTOU, "TTOU", false},
    {SIGCONT, "CONT", false},
    {SIGCHLD, "CHLD", false},
};

enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0] };

/* Does `span` begin with the upper case `word`, in either case? ASCII, whatever the locale. */
static bool begins_with(struct text_span span, const char *word)
{
    size_t length = strlen(word);

    if (span.length < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = span.bytes[i];

        if ((c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c) != word[i])
            return false;
    }
    return true;
}

int cli_signal_number(struct text_span name)
{
    static const char prefix[] = "SIG";

    if (begins_with(name, prefix)) {
        name.bytes += strlen(prefix);
        name.length -= strlen(prefix);
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (name.length == strlen(signals[i].name) && begins_with(name, signals[i].name))
            return signals[i].number;
    return 0;
}

const char *cli_signal_name(int signal)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i].number == signal)
            return signals[i].name;
    return NULL;
}

bool cli_signal_retires(int signal)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i].number == signal)
            return signals[i].retires;
    return false;
}

void cli_signal_add_retiring(struct text *text)
{
    const char *separator = "";

    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (signals[i].retires) {
            text_add(text, separator);
            text_add(text, signals[i].name);
            separator = " ";
        }
    }
}
