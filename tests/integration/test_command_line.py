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


def check(*arguments, **how):
    return run("-check", FREE, *arguments, **how)


# --- what is understood --------------------------------------------------------------------------

# Option, value, what the plan then has; {dir} is a directory.
GOOD = [
    ("command", "/bin/true", "run /bin/true\n"),
    ("start", "0", ""),
    ("start", "4294967295", ""),
    ("start", "0100", ""),
    ("ready", "alive", ""),
    ("stop-signal", "TERM", ""),
    ("stop-signal", "sigquit", ""),
    ("stop", "5000", ""),
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


@pytest.mark.rules("C2", "C3", "C7")
@pytest.mark.parametrize("form", ["-listen={}", "--listen={}", "-listen {}", "--listen {}"])
def test_listeners_may_be_repeated(form, socket_dir):
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/a", "udp4://127.0.0.1:0?name=x"]
    words = [word for uri in uris for word in form.format(uri).split()]
    plan = run("-check", *words, "/bin/true")
    addresses = [uri.partition("?")[0] for uri in uris]
    lines = [f"listen on {address} as descriptor {i}" for i, address in enumerate(addresses, 3)]
    assert plan.stdout.splitlines() == [*lines, "run /bin/true"]


@pytest.mark.rules("C2")
@pytest.mark.parametrize("value", ["true", "1", "t", "T", "TRUE", "True"])
def test_booleans_are_true_as_in_go(value):
    assert run(f"-check={value}", FREE, "/bin/true").stdout == LISTENS + "run /bin/true\n"
    assert run(f"-version={value}").stdout.startswith("socketmaster ")


@pytest.mark.rules("C2")
@pytest.mark.parametrize("value", ["false", "0", "f", "F", "FALSE", "False"])
def test_booleans_are_false_as_in_go(value):
    options = [f"-{name}={value}" for name in ("check", "help", "version", "syslog")]
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
    assert check(*words, env={"PATH": "/nowhere:/bin"}).stdout == LISTENS + f"run {command}\n"


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
def test_help_fits_one_screen(words):
    done = run(*words, env={"SOCKETMASTER_START": "wrong"})
    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert re.fullmatch(r"[ -~\n]*\n", done.stdout)
    names = {row[0] for row in GOOD} | {"listen", "syslog", "check", "version", "help"}
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
    assert plan.stdout == LISTENS * (name != "LISTEN") + planned


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
        "WORKERS": "2",
        "START_": "wrong",
        "stop": "wrong",
        "STOP-SIGNAL": "wrong",
    }
    words = ["-command=/bin/true", "-start=1", "-dir=/usr", "-user="]
    plan = check(*words, env={f"SOCKETMASTER_{name}": value for name, value in env.items()})
    assert plan.stdout == LISTENS + "run /bin/true in /usr\n"


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
        "start stop",
        ["", "abc", "-5", "+5", "1.5", "1e3", "0x10", " 5", "5 ", "1_000", "4294967296", "٣"],
        "milliseconds from 0 to 4294967295",
    ),
    ("max-draining", ["", "-1", "many", "18446744073709551617"], "a number from 0 to 4294967295"),
    ("command", [""], "the path of the server to run"),
    ("ready", ["", "notify", "ack", "fd", "Alive", "alive,fd"], "alive"),
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
    ("syslog check", ["", "maybe", "yes", "2", "tRUE", "01"], "true or false"),
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
    "start stop max-draining ready stop-signal kill env output log syslog check syslog-socket"
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
    # What later versions understand.
    (["-workers=2"], "-workers: unknown option"),
    (["-control=/run/x"], "-control: unknown option"),
    (["-ready=notify"], '-ready: value "notify": expected alive'),
    (["-ready-timeout=1"], "-ready-timeout: unknown option"),
    (["-rollout=smooth"], "-rollout: unknown option"),
    (["-hold=1"], "-hold: unknown option"),
    (["-respawn"], "-respawn: unknown option"),
    (["-max-starting=1"], "-max-starting: unknown option"),
]


@pytest.mark.rules("C2", "C5", "X3")
@pytest.mark.parametrize("options, complaint", MISUSED)
def test_misuse_is_refused(options, complaint, socket_dir):
    marker = socket_dir / "marker"
    line = assert_refused(run(FREE, *options, "--", SERVER, f"--marker={marker}"))
    assert line.startswith(f"socketmaster: {complaint}")
    assert not marker.exists()


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
