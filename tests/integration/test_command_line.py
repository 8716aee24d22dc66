"""The command line and the environment: what is understood, and what is refused (exit 2)."""

import ast
import os
import re

import pytest
from harness import REPOSITORY, SERVER, run
from masterlog import parse_line, says
from starter import Strace
from words import HOSTILE, assert_refused, escaped, for_root

FREE = "-listen=tcp://127.0.0.1:0"
LISTENS = "listen on tcp://127.0.0.1:0 as descriptor 3\n"
# What a plan says after the command.
WORKERS = "start 1 worker\n"
READY = "wait for each until it has lived for 3000 ms\n"
REPLACED = "on HUP do the same, and after all are ready send the old ones HUP\n"
DEFAULTS = WORKERS + READY + REPLACED


def check(*arguments, **how):
    return run("-check", FREE, *arguments, **how)


# --- what is understood --------------------------------------------------------------------------

# Option, value, what the plan then has; {dir} is a directory.
GOOD = [
    ("command", "/bin/true", "run /bin/true\n"),
    ("start", "0", "wait for each until it executes\n"),
    ("start", "4294967295", "wait for each until it has lived for 4294967295 ms\n"),
    ("start", "0100", "has lived for 100 ms\n"),
    ("workers", "1", WORKERS),
    ("workers", "8", "start 8 workers\n"),
    ("workers", "1024", "start 1024 workers\n"),
    ("ready", "alive", READY),
    ("ready", "notify", "until it sends READY=1 to NOTIFY_SOCKET, at most 60000 ms\n"),
    ("ready", "fd", "until it writes a newline to NOTIFY_FD, at most 60000 ms\n"),
    ("rollout", "fleet", WORKERS + READY + REPLACED),
    ("rollout", "smooth", "and after each that is ready send an old one HUP\n"),
    ("hold", "0", REPLACED),
    ("hold", "50", "and 50 ms after all are ready send the old ones HUP\n"),
    ("stop-signal", "TERM", "send the old ones TERM\n"),
    ("stop-signal", "sigquit", "send the old ones QUIT\n"),
    ("stop", "5000", "send the old ones HUP, then KILL after 5000 ms\n"),
    ("max-draining", "3", ""),
    ("kill", "process", ""),
    ("kill", "group", ""),
    ("user", "", "run /bin/true\n"),
    ("dir", "/usr", "run /bin/true in /usr\n"),
    ("env", "", ""),
    ("env", "nginx", ""),
    ("env", "einhorn,systemd,systemd-nopid,starter,nginx", ""),
    ("envdir", "{dir}", ""),
    ("output", "log", ""),
    ("output", "inherit", ""),
    ("log", "text", ""),
    ("log", "json", ""),
    ("syslog-socket", "/dev/log", ""),
    ("syslog-socket", "/" + 106 * "x", ""),
]
GOOD_FOR_ROOT = [
    ("user", "nobody", " as nobody (65534:65534)\n"),
    ("user", "nobody:daemon", " as nobody (65534:1)\n"),
    ("user", "12345:23456", " (12345:23456)\n"),
]


@pytest.mark.rules("C2", "C3", "C7")
@pytest.mark.parametrize("name, value, planned", GOOD + for_root(GOOD_FOR_ROOT))
def test_every_option_is_understood_in_every_spelling(name, value, planned, socket_dir):
    command = [] if name == "command" else ["/bin/true"]
    value = value.format(dir=socket_dir)
    words = [[f"-{name}={value}"], [f"--{name}={value}"], [f"-{name}", value], [f"--{name}", value]]
    plans = {check(*spelling, "--", *command) for spelling in words}
    (plan,) = plans
    assert (plan.status, plan.stderr) == (0, "")
    assert plan.stdout.startswith(LISTENS + "run /bin/true") and planned in plan.stdout


# Options that need another one, which is, a value, what the plan then has.
GOOD_TOGETHER = [
    ("ready-timeout", "-ready=notify", "50", "READY=1 to NOTIFY_SOCKET, at most 50 ms\n"),
    ("ready-timeout", "-ready=fd", "0", "writes a newline to NOTIFY_FD\n"),
    ("max-starting", "-rollout=smooth", "2", "start 1 worker, at most 2 at a time\n"),
    ("max-starting", "-rollout=smooth", "1024", "start 1 worker, at most 1024 at a time\n"),
]


@pytest.mark.rules("C2", "C4", "C7", "R3", "R5")
@pytest.mark.parametrize("name, other, value, planned", GOOD_TOGETHER)
def test_options_are_understood_together(name, other, value, planned):
    variable = {f"SOCKETMASTER_{name.upper().replace('-', '_')}": value}
    plans = {
        check(f"-{name}={value}", other, "/bin/true"),
        check(other, f"-{name}", value, "/bin/true"),
        check(other, "/bin/true", env=variable),
    }
    (plan,) = plans
    assert (plan.status, plan.stderr) == (0, "") and planned in plan.stdout


@pytest.mark.rules("C2", "C3", "C7")
@pytest.mark.parametrize("form", ["-listen={}", "--listen={}", "-listen {}", "--listen {}"])
def test_listeners_may_be_repeated(form, socket_dir):
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/a", "udp4://127.0.0.1:0?name=x"]
    words = [word for uri in uris for word in form.format(uri).split()]
    plan = run("-check", *words, "/bin/true")
    addresses = [uri.partition("?")[0] for uri in uris]
    lines = [f"listen on {address} as descriptor {i}" for i, address in enumerate(addresses, 3)]
    assert plan.stdout.splitlines() == [*lines, "run /bin/true", *DEFAULTS.splitlines()]


@pytest.mark.rules("C2")
@pytest.mark.parametrize("value", ["true", "1", "t", "T", "TRUE", "True"])
def test_booleans_are_true_as_in_go(value):
    plan = run(f"-check={value}", f"-respawn={value}", FREE, "/bin/true").stdout
    replaces = "start 1 worker, and replace any that ends unasked\n"
    assert plan == LISTENS + "run /bin/true\n" + replaces + READY + REPLACED
    assert run(f"-version={value}").stdout.startswith("socketmaster ")


@pytest.mark.rules("C2")
@pytest.mark.parametrize("value", ["false", "0", "f", "F", "FALSE", "False"])
def test_booleans_are_false_as_in_go(value):
    options = [f"-{name}={value}" for name in ("check", "help", "version", "syslog", "respawn")]
    done = run(*options, FREE, "-start=0", "/bin/true")
    assert (done.status, done.stdout) == (0, "")
    assert re.search(says("started"), done.stderr, re.MULTILINE)


# Words after -check and -listen, and the command that they come to.
OPERANDS = [
    (["/bin/true"], "/bin/true"),
    (["--", "/bin/true"], "/bin/true"),
    (["/bin/true", "-start=x", "--", "-check=0"], "/bin/true -start=x -- -check=0"),
    (["--", "/bin/true", "--", "a"], "/bin/true -- a"),
    (["-command=/bin/true", "a", "-b"], "/bin/true a -b"),
    (["-command=/bin/true", "--", "-a", "--", "b"], "/bin/true -a -- b"),
    (["-command=/bin/true", "--"], "/bin/true"),
    (["-command=/bin/false", "-command=/bin/true"], "/bin/true"),
    (["-check", "true"], "/bin/true"),
    (["-dir=/usr", "-dir=/", "/bin/true"], "/bin/true in /"),
    (["-user=nobody", "-user=", "/bin/true"], "/bin/true"),
    (["/bin/true", "a b", "", "\n"], "/bin/true a b  \\x0a"),
]


@pytest.mark.rules("C1", "C2")
@pytest.mark.parametrize("words, command", OPERANDS)
def test_options_end_at_the_first_operand(words, command):
    plan = check(*words, env={"PATH": "/nowhere:/bin"})
    assert plan.stdout == LISTENS + f"run {command}\n" + DEFAULTS


@pytest.mark.rules("C1")
@pytest.mark.parametrize("form", [["{}"], ["--", "{}"], ["-command={}", "--"]])
def test_the_command_gets_its_arguments_as_they_are(form, socket_dir):
    script = socket_dir / "script"
    script.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    script.chmod(0o755)
    arguments = ["a b", "", "x=y", "-start=z", "--", "é%s", "$HOME"]
    done = run(FREE, "-start=0", *[word.format(script) for word in form], *arguments)
    lines = [parse_line(os.fsencode(line)) for line in done.error_lines]
    written = "".join(f"<{argument}>" for argument in arguments)
    assert [line.text for line in lines if line.worker] == [written]


@pytest.mark.rules("C3", "L1")
def test_without_listeners_it_is_tcp_8080():
    done = run("-check", "/bin/true")
    in_use = 'unable to listen on "tcp://:8080": bind: Address already in use' in done.stderr
    assert in_use or re.match(r"listen on tcp://(\[::\]|0\.0\.0\.0):8080 as ", done.stdout), done


@pytest.mark.rules("C3", "C5")
@pytest.mark.parametrize("words", [["-help"], ["--help"], ["-help=true"], ["-help", "-bogus"]])
def test_help_fits_two_screens(words):
    done = run(*words, env={"SOCKETMASTER_START": "wrong"})
    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 2 * 24 and max(map(len, lines)) <= 80
    assert re.fullmatch(r"[ -~\n]*\n", done.stdout)
    names = {row[0] for row in GOOD} | {row[0] for row in GOOD_TOGETHER}
    names |= {"listen", "respawn", "syslog", "check", "version", "help"}
    for name in names:
        assert re.search(rf"^  -{name}[= ]", done.stdout, re.MULTILINE), name
    assert re.search(r"^  -start=.*\(default 3000\)$", done.stdout, re.MULTILINE)


@pytest.mark.rules("C3")
@pytest.mark.parametrize("words", [["-version"], ["--version"], ["-version", "-bogus"]])
def test_version_is_the_one_of_the_makefile(words):
    version = re.search(r"^VERSION = (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    done = run(*words)
    assert (done.status, done.stdout, done.stderr) == (0, f"socketmaster {version[1]}\n", "")


# --- the environment -----------------------------------------------------------------------------

# Variable, value, what the plan then is.
VARIABLES = [
    ("LISTEN", "tcp://127.0.0.1:0", LISTENS + "run /bin/true\n"),
    (
        "LISTEN",
        "  tcp://127.0.0.1:0   unix:@a%20b ",
        LISTENS + "listen on unix:@a%20b as descriptor 4\nrun /bin/true\n",
    ),
    ("COMMAND", "/bin/false", "run /bin/false /bin/true\n"),
    ("DIR", "/usr", "run /bin/true in /usr\n"),
    ("CHECK", "T", "run /bin/true\n"),
    ("USER", "", "run /bin/true\n"),
    ("ENV", "", "run /bin/true\n"),
    *for_root([("USER", "nobody", "run /bin/true as nobody (65534:65534)\n")]),
]


@pytest.mark.rules("C4")
@pytest.mark.parametrize("name, value, planned", VARIABLES)
def test_options_have_defaults_in_the_environment(name, value, planned):
    words = ["-check"] * (name != "CHECK") + [FREE] * (name != "LISTEN")
    plan = run(*words, "/bin/true", env={f"SOCKETMASTER_{name}": value})
    assert plan.stdout == LISTENS * (name != "LISTEN") + planned + DEFAULTS


@pytest.mark.rules("C4")
def test_the_command_line_wins_over_the_environment(socket_dir):
    env = {
        "LISTEN": "wrong",
        "COMMAND": "/bin/false",
        "START": "wrong",
        "DIR": "/nowhere",
        "USER": "nobody-at-all",
        "CHECK": "false",
        # Names of no option.
        "BOGUS": "wrong",
        "HELP": "true",
        "VERSION": "true",
        "WORKER": "2",
        "START_": "wrong",
        "stop": "wrong",
        "STOP-SIGNAL": "wrong",
    }
    words = ["-command=/bin/true", "-start=1", "-dir=/usr", "-user="]
    plan = check(*words, env={f"SOCKETMASTER_{name}": value for name, value in env.items()})
    ready = "wait for each until it has lived for 1 ms\n"
    assert plan.stdout == LISTENS + "run /bin/true in /usr\n" + WORKERS + ready + REPLACED


@pytest.mark.rules("C4", "E6")
def test_no_default_reaches_a_worker(master):
    env = {"STOP_SIGNAL": "TERM", "START": "20", "KILL": "group", "BOGUS": "x", "": "y"}
    env = {f"SOCKETMASTER_{name}": value for name, value in env.items()}
    one = master(start=None, env=env)
    one.wait_ready(1)
    lines = [line for line in one.get("/env").lines if line.startswith("SOCKETMASTER_")]
    assert sorted(line.partition("=")[0] for line in lines) == [
        "SOCKETMASTER_ADDR_0",
        "SOCKETMASTER_GENERATION",
        "SOCKETMASTER_PID",
    ]
    one.reload()
    assert one.said("retired", signal="TERM")


# --- what is refused -----------------------------------------------------------------------------

# Options, wrong values, what was expected.
WRONG = [
    (
        "start stop hold ready-timeout",
        ["", "abc", "-5", "+5", "1.5", "1e3", "0x10", " 5", "5 ", "1_000", "4294967296", "٣"],
        "milliseconds from 0 to 4294967295",
    ),
    ("max-draining", ["", "-1", "many", "18446744073709551617"], "a number from 0 to 4294967295"),
    ("command", [""], "the path of the server to run"),
    ("workers max-starting", ["", "0", "1025", "-1", "all"], "a number from 1 to 1024"),
    ("ready", ["", "Alive", "alive,fd", "acknowledged"], "alive, notify, ack or fd"),
    ("ready", ["ack"], "alive, notify or fd; ack needs -control"),
    ("control", ["", "run/x", "/run/"], "an absolute path of at most 107 bytes"),
    ("textfile", ["", "x.prom"], "an absolute path"),
    ("rollout", ["", "Fleet", "rolling"], "fleet or smooth"),
    ("stop-signal", ["KILL", "SIGSTOP", "CONT", "CHLD", "NONE", "0", "15", "SIG"], "one of HUP "),
    ("stop-signal", [""], "the name of a signal"),
    ("kill", ["", "all", "Process", "group "], "process or group"),
    ("user", [":", ":daemon", "nobody:", "a:b:c", "a\tb", 256 * "x"], "LOGIN or LOGIN:GROUP"),
    ("dir", [""], "the path of a directory"),
    ("envdir", [""], "the path of a directory"),
    (
        "env",
        ["bogus", "einhorn,", ",einhorn", "nginx,nginx", "einhorn, systemd", "EINHORN", ","],
        "a list of einhorn, systemd, systemd-nopid, starter and nginx, each once",
    ),
    ("output", ["", "file", "LOG"], "log or inherit"),
    ("log", ["", "xml", "JSON"], "text or json"),
    ("syslog check respawn", ["", "maybe", "yes", "2", "tRUE", "01"], "true or false"),
    ("syslog-socket", ["", "dev/log", "@x", "/" + 107 * "x"], "an absolute path of at most 107 "),
    ("listen", [""], "a URI such as tcp://:8080"),
]
WRONG = [
    pytest.param(name, value, expected, id=f"{name}-{i}")
    for names, values, expected in WRONG
    for name in names.split()
    for i, value in enumerate(values)
]


@pytest.mark.rules("C2", "C4", "C5", "X3")
@pytest.mark.parametrize("name, value, expected", WRONG)
def test_wrong_values_are_refused(name, value, expected, socket_dir):
    shown = f'"{escaped(value)}"' if len(value) <= 128 else f'"{value[:128]}"...'
    complaint = f": value {shown}: expected {expected}"
    rest = [f"-listen=unix://{socket_dir}/s"] * (name != "listen")
    rest += ["--", SERVER, f"--marker={socket_dir}/marker"] * (name != "command")
    line = assert_refused(run(f"-{name}={value}", *rest))
    assert line.startswith(f"socketmaster: -{name}{complaint}")
    variable = f"SOCKETMASTER_{name.upper().replace('-', '_')}"
    line = assert_refused(run(*rest, env={variable: value}))
    assert line.startswith(f"socketmaster: {variable}{complaint}")
    assert list(socket_dir.iterdir()) == []


TAKES_NO_STRANGE_VALUE = (
    "start stop max-draining ready ready-timeout workers rollout max-starting hold respawn "
    "stop-signal kill env output log syslog check syslog-socket"
).split()


@pytest.mark.rules("C5")
@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", TAKES_NO_STRANGE_VALUE)
def test_hostile_values_are_shown_harmless(name, value):
    line = assert_refused(run(FREE, f"-{name}={value}", "/bin/true"))
    assert line.startswith(f'socketmaster: -{name}: value "{escaped(value)}": expected ')


# Options, and what the complaint begins with.
MISUSED = [
    (["-start", "-stop=5"], '-start: value "-stop=5": expected milliseconds'),
    (["-help=no"], '-help: value "no": expected true or false'),
    (["-version="], '-version: value "": expected true or false'),
    (["-bogus"], "-bogus: unknown option; see -help"),
    (["--bogus=7"], "--bogus: unknown option"),
    (["-bogus", "-help"], "-bogus: unknown option"),
    (["-h"], "-h: unknown option"),
    (["-lis=tcp://:0"], "-lis: unknown option"),
    (["-Listen=tcp://:0"], "-Listen: unknown option"),
    (["-listens=tcp://:0"], "-listens: unknown option"),
    (["-stop_signal=TERM"], "-stop_signal: unknown option"),
    (["-start:5"], "-start:5: unknown option"),
    (["---start=5"], "---start=5: expected -name or -name=value"),
    (["-=5"], "-=5: expected -name or -name=value"),
    (["--=5"], "--=5: expected -name or -name=value"),
    (["-syslog", "-log=json"], '-log: value "json": expected text together with -syslog'),
    (["-x\x1b[2J\n\udcff"], "-x\\x1b[2J\\x0a\\xff: unknown option"),
    (["-" + 5000 * "x"], f"-{63 * 'x'}...: unknown option"),
    (["-listen=" + 5000 * "x"], f'-listen: value "{4096 * "x"}"...: expected at most 4096 bytes'),
    (256 * [FREE], '-listen: value "tcp://127.0.0.1:0": expected no more than 256 listeners'),
]


@pytest.mark.rules("C2", "C5", "X3")
@pytest.mark.parametrize("options, complaint", MISUSED)
def test_misuse_is_refused(options, complaint, socket_dir):
    marker = socket_dir / "marker"
    line = assert_refused(run(FREE, *options, "--", SERVER, f"--marker={marker}"))
    assert line.startswith(f"socketmaster: {complaint}")
    assert not marker.exists()


# Options that are right one by one, what is then wrong, and what was expected. One of them at least
# was given; the rest may be defaults.
CONTRADICTIONS = [
    (["syslog=1", "log=json"], "log", "text together with -syslog"),
    (["ready-timeout=50"], "ready-timeout", "-ready=notify, ack or fd together with it"),
    (["ready=alive", "ready-timeout=0"], "ready-timeout", "-ready=notify, ack or fd together"),
    (["ready=fd", "start=9", "ready-timeout=8"], "ready-timeout", "0, or no less than -start"),
    (["ready=notify", "start=9", "ready-timeout=1"], "ready-timeout", "0, or no less than -start"),
    (["max-starting=2"], "max-starting", "-rollout=smooth together with it"),
    (["rollout=fleet", "max-starting=2"], "max-starting", "-rollout=smooth together with it"),
]


@pytest.mark.rules("C4", "C5", "X3", "R3", "R5")
@pytest.mark.parametrize("settings, wrong, expected", CONTRADICTIONS)
def test_contradictions_are_refused(settings, wrong, expected, socket_dir):
    words = [f"-{setting}" for setting in settings]
    names = [setting.partition("=") for setting in settings]
    env = {f"SOCKETMASTER_{n.upper().replace('-', '_')}": value for n, _, value in names}
    value = dict(setting.split("=") for setting in settings)[wrong]
    rest = [f"-listen=unix://{socket_dir}/s", "--", SERVER, f"--marker={socket_dir}/marker"]
    complaint = f': value "{value}": expected {expected}'
    line = assert_refused(run(*words, *rest))
    assert line.startswith(f"socketmaster: -{wrong}{complaint}")
    line = assert_refused(run(*rest, env=env))
    variable = f"SOCKETMASTER_{wrong.upper().replace('-', '_')}"
    assert line.startswith(f"socketmaster: {variable}{complaint}")
    assert list(socket_dir.iterdir()) == []


# Words at the end, and what is missing there.
INCOMPLETE = [
    (["-start"], "-start: expected milliseconds"),
    (["-user"], "-user: expected LOGIN or LOGIN:GROUP"),
    ([], "-command: expected the path of the server to run"),
    (["--"], "-command: expected the path of the server to run"),
    ([""], '-command: value "": expected the path of the server to run'),
    (["/bin/true", *4097 * ["a"]], "operands: more than 4096 arguments of the command"),
]


@pytest.mark.rules("C1", "C5", "X3")
@pytest.mark.parametrize("words, complaint", INCOMPLETE)
def test_what_is_missing_or_too_much_is_told(words, complaint):
    assert assert_refused(run(FREE, *words)).startswith(f"socketmaster: {complaint}")


@pytest.mark.rules("C5")
@pytest.mark.parametrize("wrong", ["-start=x", "-bogus", "-listen=tcp://", "-log=", "-check=no"])
def test_a_wrong_command_line_opens_and_starts_nothing(wrong, socket_dir):
    strace = Strace(socket_dir, "-e", "trace=%network,%process,%file")
    command = [] if wrong == "-check=no" else ["/bin/true"]
    listen = f"-listen=unix://{socket_dir}/s"
    assert_refused(run(listen, wrong, *command, starter=strace.words))
    names = [call.partition("(")[0] for call in strace.calls]
    assert names.count("execve") == 1
    assert not {"socket", "bind", "listen", "clone", "clone3", "fork", "vfork"} & set(names)
    assert not any(str(socket_dir) in call for call in strace.calls if "execve" not in call)


# --- the URIs of the unit tests, from outside ----------------------------------------------------

UNIT = REPOSITORY / "tests/unit"
TOKEN = r'"(?:\\.|[^"\\])*"|\w+'


def c_bytes(words, text):
    """Adjacent C string literals, and macros that are such."""
    parts = re.findall(TOKEN, text)
    return b"".join(words[p] if p in words else ast.literal_eval("b" + p) for p in parts)


def bad_uris():
    """Every row of uri_bad.h: the URI, the offset of its error, the error and the option."""
    words = {}
    for name, text in re.findall(r"#define (\w+) (.*)", (UNIT / "uri_words.h").read_text()):
        words[name] = c_bytes(words, text)
    row = re.compile(rf"^    \{{((?:{TOKEN}|\s)+), (URI_ERR_\w+), (NULL|\".*\")\}},$", re.MULTILINE)
    for text, error, option in row.findall((UNIT / "uri_bad.h").read_text()):
        before, _, after = c_bytes(words, text).partition(b"^")
        uri = os.fsdecode(before + after)
        option = "" if option == "NULL" else option[1:-1]
        if uri:  # else it is refused before it is looked at
            name = f"{error.removeprefix('URI_ERR_')}-{len(before)}"
            yield pytest.param(uri, len(before), option, id=name.lower())


BAD_URIS = list(bad_uris())


@pytest.mark.rules("C5", "L4")
def test_the_table_of_bad_uris_was_read():
    assert len(BAD_URIS) >= 300


@pytest.mark.rules("C5", "L3", "L4", "X3", "I10")
@pytest.mark.parametrize("uri, offset, option", BAD_URIS)
def test_bad_uris_are_refused(uri, offset, option):
    line = assert_refused(run(FREE, f"-listen={uri}", "/bin/true"))
    start = f'socketmaster: -listen: value "{escaped(uri)}": '
    if option:
        start += f'option "{escaped(option)}": '
    assert line.startswith(start + "expected ")
    rest = os.fsdecode(os.fsencode(uri)[offset : offset + 32])
    assert f', at byte {offset} ("{escaped(rest)}"' in line or (
        not rest and line.endswith(f", at byte {offset} (the end)\n")
    )
