"""socketmasterctl: what it sends, what it makes of answers, and its exit status, whatever the master does."""

import errno
import json
import os
import re
import signal
import socket

import pytest
from ctl import DONE, NO_MASTER, REFUSED, SHORT, TIMED_OUT, Terminal, ctl, launched
from fakemaster import FakeMaster
from harness import BINARY, eventually, run
from words import HOSTILE, assert_refused, escaped, root_only


@pytest.fixture
def path(socket_dir):
    return socket_dir / "c"


def said(*messages):
    """Serves these messages, all but the last with `wait`."""

    def serve(talk):
        for message in messages[:-1]:
            talk.say(message, wait=True)
        talk.say(messages[-1])

    return serve


# --- what is sent --------------------------------------------------------------------------------

TABLE = {"command": "status", "args": ["table", "80"]}
# A command line, and the question that comes of it.
ASKED = [
    ("status", TABLE),
    ("status -json", {"command": "status", "args": ["json"]}),
    ("status -json=false", TABLE),
    ("reload", {"command": "rollout"}),
    ("reload -wait", {"command": "rollout", "wait": True}),
    ("reload --wait=true -generation 7", {"command": "rollout", "wait": True, "generation": 7}),
    ("reload -- ./server -v --", {"command": "rollout", "args": ["./server", "-v", "--"]}),
    ("reload -wait -- a", {"command": "rollout", "args": ["a"], "wait": True}),
    ("stop", {"command": "die", "args": ["TERM"]}),
    ("scale 12", {"command": "set_workers", "args": ["12"]}),
    ("signal usr1", {"command": "signal", "args": ["usr1"]}),
    ("logs", {"command": "logs"}),
    ("metrics", {"command": "metrics"}),
    ("ping", {"command": "ehlo"}),
    ("-timeout=5000 ping -timeout=0", {"command": "ehlo"}),
]


@pytest.mark.rules("K5", "C2")
@pytest.mark.parametrize("line, question", ASKED)
def test_what_is_asked(line, question, path):
    with FakeMaster(path, said("well")) as master:
        done = ctl(path, *line.split())
    assert (done.status, done.stderr) == (DONE, "")
    assert master.questions == [{"id": 1, **question}]
    assert done.stdout == ("" if line == "logs" else "well\n")


@pytest.mark.rules("K5", "K1")
def test_arguments_arrive_as_they_are(path):
    words = ["%41", "a+b", "", '"\\', "\x01\t\n", "ä€😀", "-x", "{a: [b]}", "\x7f\x85\u2028"]
    with FakeMaster(path, said("well")) as master:
        done = ctl(path, "reload", "--", "./server", *words)
    assert done.status == DONE
    assert master.questions[0]["args"] == ["./server", *words]
    assert b"%" not in master.talks[0].line and master.talks[0].line.count(b"\n") == 1


WAYS = {
    "before": lambda path: (["ctl", f"-control={path}", "ping"], {}),
    "after": lambda path: (["ctl", "ping", "-control", path], {}),
    "last": lambda path: (["ctl", "-control=/nowhere", "ping", f"--control={path}"], {}),
    "environment": lambda path: (["ctl", "ping"], {"SOCKETMASTER_CONTROL": path}),
    "rather": lambda path: (["ctl", "ping", f"-control={path}"], {"SOCKETMASTER_CONTROL": "/no"}),
}


@pytest.mark.rules("K5", "C2", "C4")
@pytest.mark.parametrize("way", WAYS)
def test_where_the_socket_is(way, path):
    words, env = WAYS[way](path)
    with FakeMaster(path, said("well")):
        assert run(*words, env=env).stdout == "well\n"


@pytest.mark.rules("K5")
def test_the_programs_name_makes_it_the_client(path, socket_dir):
    named = socket_dir / "socketmasterctl"
    named.symlink_to(BINARY)
    with FakeMaster(path, said("well")):
        assert run("ping", binary=str(named), env={"SOCKETMASTER_CONTROL": path}).stdout == "well\n"
        assert run("-help", binary=str(named)) == run("ctl", "-help")
    other = socket_dir / "socketmasterctls"
    other.symlink_to(BINARY)
    assert run("-version", binary=str(other)).stdout.startswith("socketmaster ")


@pytest.mark.rules("K5", "C3")
@pytest.mark.parametrize("words", [["-version"], ["status", "-version"], ["-version", "-bogus"]])
def test_version(words):
    done = run("ctl", *words)
    assert (done.status, done.stderr) == (DONE, "")
    assert re.fullmatch(r"socketmasterctl \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.rules("K5", "C3")
def test_help():
    done = run("ctl", "-help", "-bogus")
    assert (done.status, done.stderr) == (DONE, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    for line, _ in ASKED:
        words = [word for word in line.split("--")[0].split() if not word[0].isdigit()]
        for word in words:
            name = word.partition("=")[0]
            assert name == "usr1" or name in done.stdout


# --- what is wrong with a command line -----------------------------------------------------------

MILLIS = "milliseconds from 0 to 4294967295"
# Words, and the complaint about them.
MISUSED = [
    ([], "expected a command; see -help"),
    (["--"], "expected a command; see -help"),
    (["--", "ping"], "expected a command; see -help"),
    (["pong"], "pong: unknown command; see -help"),
    (["Status"], "Status: unknown command; see -help"),
    ([""], ": unknown command; see -help"),
    (["ping", "-bogus=1"], "-bogus: unknown option; see -help"),
    (["ping", "---"], "---: expected -name or -name=value; see -help"),
    (["ping", "-json"], "-json: no option of ping; see -help"),
    (["-wait", "reload"], "-wait: expected after its command; see -help"),
    (["status", "-json=yes"], '-json: value "yes": expected true or false'),
    (["ping", "-timeout=1s"], f'-timeout: value "1s": expected {MILLIS}'),
    (["ping", "-timeout"], f"-timeout: expected {MILLIS}"),
    (["ping", "-timeout=4294967296"], f'-timeout: value "4294967296": expected {MILLIS}'),
    (["watch", "-interval=99"], '-interval: value "99": expected milliseconds from 100 to '),
    (["reload", "-generation=0"], '-generation: value "0": expected a number from 1'),
    (["ping", "-control="], '-control: value "": expected a path of at most 107 bytes'),
    (["ping", "-control=" + 108 * "x"], "-control: value "),
    (["ping", "x"], 'ping: value "x": expected no such operand'),
    (["ping", "--", "x"], 'ping: value "x": expected no such operand'),
    (["scale"], "scale: expected a number from 1 to 1024"),
    (["scale", "0"], 'scale: value "0": expected a number from 1 to 1024'),
    (["scale", "1025"], 'scale: value "1025": expected a number from 1 to 1024'),
    (["scale", "3", "4"], 'scale: value "4": expected no such operand'),
    (["scale", "3", "-json"], 'scale: value "-json": expected no such operand'),
    (["signal"], "signal: expected the name of a signal"),
    (["signal", ""], 'signal: value "": expected the name of a signal'),
    (["reload", "wait"], 'reload: value "wait": expected an option, or -- and a command'),
    (["reload", "--"], "reload: expected a command after --"),
    (["reload", "--", ""], 'reload: value "": expected a command'),
    (["reload", "--", "a", "\udcff"], 'reload: value "\\xff": expected UTF-8'),
    (["reload", "--", *1025 * ["a"]], "reload: expected a command of at most 1024 words"),
    (["reload", "--", 66000 * "a"], "reload: expected a command of at most 64 KiB"),
]


@pytest.mark.rules("K5", "C2", "C5")
@pytest.mark.parametrize("words, complaint", MISUSED)
def test_misuse_is_refused(words, complaint, path):
    with FakeMaster(path, said("well")) as master:
        done = run("ctl", *words, env={"SOCKETMASTER_CONTROL": path})
    assert assert_refused(done).startswith(f"socketmasterctl: {complaint}")
    assert master.talks == []


@pytest.mark.rules("K5", "C5")
def test_the_socket_has_to_be_named():
    assert assert_refused(run("ctl", "ping")) == (
        "socketmasterctl: -control: expected the path of the control socket; see -help\n"
    )
    done = run("ctl", "ping", env={"SOCKETMASTER_CONTROL": ""})
    assert_refused(done, 'SOCKETMASTER_CONTROL: value "": expected a path of at most 107 bytes')


@pytest.mark.rules("K5", "C5")
@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_shown_harmless(word):
    line = assert_refused(run("ctl", word))
    assert line == f"socketmasterctl: {escaped(word)}: unknown command; see -help\n"


# --- answers -------------------------------------------------------------------------------------


def byte_by_byte(talk):
    for byte in b'{"message": "one", "wait": true, "request_id": 1}\n{"message": "two"}\n':
        talk.raw(bytes([byte]))


def with_oddities(talk):
    talk.raw(b' { "a" : [{"message": "]}"}, null, "\\""], "b": -1.5e3,"wait":false,')
    talk.raw(b'"message":"\\u0041\\ud83d\\ude00\\ud83d \\n\\/\\u0025", "request_id": null}\r\n')


def to_others(talk):
    talk.raw(b'{"message": "not yours", "request_id": 2, "error": true}\n')
    talk.raw(b'{"message": "nor this", "request_id": "1"}\n')
    talk.say("yours")


def in_one_piece(talk):
    reply = b'{"message": "%d", "request_id": 1, "wait": true}\n'
    talk.raw(b"".join(reply % i for i in range(3)) + b'{"message": "end"}\n{"message": "more"}\n')


# What the master does, and what is printed.
WELL = [
    (said(""), "\n"),
    (said("one", "two\n", "three"), "one\ntwo\nthree\n"),
    (byte_by_byte, "one\ntwo\n"),
    (with_oddities, "A😀\ufffd \n/%\n"),
    (to_others, "yours\n"),
    (in_one_piece, "0\n1\n2\nend\n"),
    (said("\x1b[31m\x00"), "\x1b[31m\x00\n"),  # no terminal: as it is
]


@pytest.mark.rules("K5", "K1")
@pytest.mark.parametrize("serve, printed", WELL)
def test_answers_are_printed(serve, printed, path):
    with FakeMaster(path, serve):
        done = ctl(path, "reload", "-wait")
    assert (done.status, os.fsencode(done.stdout), done.stderr) == (DONE, printed.encode(), "")


def refused_at_the_end(talk):
    talk.say("Generation 7 is starting", wait=True)
    talk.say("Rollout failed\nits last words", error=True)


# What the master does, what is printed, and what is told.
FAILED = [
    (lambda talk: talk.say("no", error=True), "", "no\n"),
    (lambda talk: talk.say("no", error=True, wait=True), "", "no\n"),
    (lambda talk: talk.raw(b'{"message": "no slot", "error": true}\n'), "", "no slot\n"),
    (refused_at_the_end, "Generation 7 is starting\n", "Rollout failed\nits last words\n"),
]


@pytest.mark.rules("K5")
@pytest.mark.parametrize("serve, printed, told", FAILED)
@pytest.mark.parametrize("words", [["reload", "-wait"], ["reload"], ["status"], ["scale", "2"]])
def test_what_was_refused_or_failed(words, serve, printed, told, path):
    with FakeMaster(path, serve):
        done = ctl(path, *words)
    assert (done.status, done.stdout, done.stderr) == (REFUSED, printed, f"socketmasterctl: {told}")


@pytest.mark.rules("K5")
def test_a_master_that_reads_nothing_but_says_why_is_heard(path):
    def serve(talk):
        talk.raw(b'{"message": "too many clients", "error": true}\n')

    with FakeMaster(path, serve, reads=False):
        for words in [["ping"], ["reload", "--", *60 * [1000 * "x"]]]:
            done = ctl(path, *words)
            assert (done.status, done.stderr) == (REFUSED, "socketmasterctl: too many clients\n")


def half_a_line(talk):
    talk.raw(b'{"message": "half')


def begun_and_gone(talk):
    talk.say("begun", wait=True)


CLOSED = "the master closed the connection before it had answered"
BROKEN_OFF = "the master closed the connection in the middle"
STRANGE = "what answers there is no master"
# What the master does, and what is told.
BROKEN = {
    "closed at once": (lambda talk: None, CLOSED),
    "closed in a line": (half_a_line, CLOSED),
    "closed while waited for": (begun_and_gone, BROKEN_OFF),
    "no JSON": (lambda talk: talk.raw(b"220 mail.example ESMTP\r\n"), STRANGE),
    "YAML": (lambda talk: talk.raw(b"---%0Amessage: x%0A\n"), STRANGE),
    "an empty line": (lambda talk: talk.raw(b"\n"), STRANGE),
    "no message": (lambda talk: talk.raw(b'{"wait": true}\n'), STRANGE),
    "a message that is none": (lambda talk: talk.raw(b'{"message": 1}\n'), STRANGE),
    "cut": (lambda talk: talk.raw(b'{"message": "a"\n'), STRANGE),
    "more behind": (lambda talk: talk.raw(b'{"message": "a"} {}\n'), STRANGE),
    "NUL": (lambda talk: talk.raw(b"\0\0\0\n"), STRANGE),
    "too long": (lambda talk: talk.raw(9 * 1024 * 1024 * b"x"), "an answer of more than 8 MiB"),
}


@pytest.mark.rules("K5", "I10")
@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("words", [["status"], ["reload", "-wait"], ["stop"]])
def test_a_master_that_breaks_off(words, what, path):
    serve, told = BROKEN[what]
    with FakeMaster(path, serve):
        done = ctl(path, *words)
    assert (done.status, done.stderr) == (NO_MASTER, f"socketmasterctl: {path}: {told}\n")


@pytest.mark.rules("K5")
def test_an_answer_may_be_large(path):
    table = "".join(f"{i:6} \x1b[1m+% worker\x1b[0m\n" for i in range(160_000))
    assert len(table) > 3_500_000
    with FakeMaster(path, said(table)):
        done = ctl(path, "status", deadline=20)
    assert done.status == DONE and done.stdout == table


# --- time ----------------------------------------------------------------------------------------


def flood(talk):
    while True:
        talk.raw(b'{"message": "not yours", "request_id": 2}\n' * 100)


def begin_and_listen(talk):
    talk.say("begun", wait=True)
    talk.listen()


# What the master does, the words, and what is told.
LATE = [
    (lambda talk: talk.listen(), ["status"], f"no answer within {SHORT} ms"),
    (lambda talk: talk.listen(), ["reload", "-wait"], f"no answer within {SHORT} ms"),
    (lambda talk: (half_a_line(talk), talk.listen()), ["ping"], f"no answer within {SHORT} ms"),
    (flood, ["ping"], f"no answer within {SHORT} ms"),
    (begin_and_listen, ["reload", "-wait"], f"not done within {SHORT} ms; it goes on"),
    (begin_and_listen, ["logs"], f"not done within {SHORT} ms; it goes on"),
]


@pytest.mark.rules("K5")
@pytest.mark.parametrize("serve, words, told", LATE)
def test_waiting_has_an_end(serve, words, told, path):
    with FakeMaster(path, serve):
        done = ctl(path, *words, f"-timeout={SHORT}")
    assert (done.status, done.stderr) == (TIMED_OUT, f"socketmasterctl: {path}: {told}\n")


@pytest.mark.rules("K5")
def test_a_full_queue_is_waited_for(path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        done = ctl(path, "ping", f"-timeout={SHORT}")
        assert (done.status, done.stderr.split(": ")[2]) == (TIMED_OUT, f"no answer within {SHORT} ms\n")
        with launched("ctl", "ping", f"-control={path}") as launch:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b'{"message": "well"}\n')
            assert launch.stdout.read() == b"well\n"
            assert launch.wait() == DONE


# --- no master -----------------------------------------------------------------------------------


def stale(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def datagram(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))


# What is at the path, and what is told.
ABSENT = {
    "nothing": (lambda path: None, "no such socket: is the master running, with -control?"),
    "a stale socket": (stale, "nobody listens there: the master has gone"),
    "a file": (lambda path: path.write_text(""), "not a socket"),
    "a directory": (lambda path: path.mkdir(), "not a socket"),
    "a link to nothing": (lambda path: path.symlink_to("/nowhere"), "no such socket: "),
    "a datagram socket": (datagram, "nobody listens there: the master has gone"),
}


@pytest.mark.rules("K5")
@pytest.mark.parametrize("what", ABSENT)
def test_no_master(what, path):
    make, told = ABSENT[what]
    make(path)
    done = ctl(path, "reload", "-wait")
    assert_refused(done, status=NO_MASTER)
    assert done.stderr.startswith(f"socketmasterctl: {path}: {told}")


@pytest.mark.rules("K5")
def test_a_living_datagram_socket_is_no_master(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        line = assert_refused(ctl(path, "ping"), status=NO_MASTER)
    assert line == f"socketmasterctl: {path}: not the socket of a master\n"


@pytest.mark.rules("K5")
def test_a_path_through_a_file(path):
    path.write_text("")
    line = assert_refused(ctl(f"{path}/c", "ping"), status=NO_MASTER)
    assert line == f"socketmasterctl: {path}/c: {os.strerror(errno.ENOTDIR)}\n"


@root_only
@pytest.mark.rules("K5")
def test_no_permission(path):
    with FakeMaster(path, said("well")):
        path.chmod(0o600)
        line = assert_refused(ctl(path, "ping", user=65534), status=NO_MASTER)
    assert line == f"socketmasterctl: {path}: {os.strerror(errno.EACCES)}\n"


# --- output --------------------------------------------------------------------------------------


LINES = "".join(f"line {i}\n" for i in range(1000))


def lines_for_ever(talk):
    talk.say("Following the log", wait=True)
    while True:
        talk.say(LINES, wait=True)


@pytest.mark.rules("K5")
@pytest.mark.parametrize("words", [["status"], ["logs"], ["metrics"], ["watch", "-interval=100"]])
def test_a_reader_that_goes_ends_it_quietly(words, path):
    serve = lines_for_ever if words == ["logs"] else said(LINES)
    with FakeMaster(path, serve), launched("ctl", f"-control={path}", *words) as launch:
        launch.stdout.read(1)
        launch.stdout.close()
        assert launch.wait() == DONE
        assert launch.stderr.read() == b""


def end_well(talk):
    for _ in range(3):
        talk.say("progress", wait=True)
    talk.say("Rollout done")


def end_badly(talk):
    for _ in range(3):
        talk.say("progress", wait=True)
    talk.say("Rollout failed", error=True)


@pytest.mark.rules("K5")
@pytest.mark.parametrize("serve, status", [(end_well, DONE), (end_badly, REFUSED)])
@pytest.mark.parametrize("output", ["/dev/full", "pipe", "closed"])
def test_how_a_reload_ended_is_told_whoever_reads(output, serve, status, path):
    read, write = os.pipe()
    os.close(read)
    with FakeMaster(path, serve), open("/dev/full", "wb") as full:
        stdout = {"/dev/full": full, "pipe": write, "closed": None}[output]
        how = {"preexec_fn": lambda: os.close(1)} if stdout is None else {}
        with launched(
            "ctl", f"-control={path}", "reload", "-wait", stdout=stdout, **how
        ) as launch:
            assert launch.wait() == status
            told = b"" if status == DONE else b"socketmasterctl: Rollout failed\n"
            assert launch.stderr.read() == told
    os.close(write)


@pytest.mark.rules("K5")
@pytest.mark.parametrize("words", [["status"], ["metrics"], ["logs"], ["-help"], ["-version"]])
def test_output_that_nobody_can_take_is_told(words, path):
    serve = lines_for_ever if words == ["logs"] else said("some words")
    with FakeMaster(path, serve), open("/dev/full", "wb") as full:
        with launched("ctl", f"-control={path}", *words, stdout=full) as launch:
            assert launch.wait() == REFUSED
            assert launch.stderr.read() == (
                b"socketmasterctl: unable to write to standard output: No space left on device\n"
            )


@pytest.mark.rules("K5")
def test_a_slow_reader_gets_all(path):
    with FakeMaster(path, said(100 * LINES)):
        with launched("ctl", f"-control={path}", "status") as launch:
            printed = b""
            while True:
                part = os.read(launch.stdout.fileno(), 30_000)
                if not part:
                    break
                printed += part
            assert launch.wait() == DONE
    assert printed.decode() == 100 * LINES


# --- logs and watch ------------------------------------------------------------------------------


@pytest.mark.rules("K5")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [["logs"], ["watch"], ["reload", "-wait"]])
def test_a_signal_ends_it_as_any_program(words, number, path):
    def serve(talk):
        talk.say("first", wait=True)
        talk.say("second", wait=words != ["watch"])
        talk.listen()

    with FakeMaster(path, serve), launched("ctl", f"-control={path}", *words) as launch:
        assert launch.stdout.read(1)
        launch.process.send_signal(number)
        assert launch.wait() == -number


@pytest.mark.rules("K5")
def test_logs_come_as_they_are_written(path):
    steps = []

    def serve(talk):
        talk.say("Following the log", wait=True)
        for part in ["one\n", "two\nthree\n", "... 4 lines left out\n"]:
            eventually(lambda: len(steps) >= 1)
            steps.pop()
            talk.say(part, wait=True)

    with FakeMaster(path, serve), launched("ctl", f"-control={path}", "logs") as launch:
        for line in [b"one\n", b"two\nthree\n", b"... 4 lines left out\n"]:
            steps.append(1)
            assert os.read(launch.stdout.fileno(), 100) == line
        # The master has gone.
        assert launch.wait() == NO_MASTER
        assert launch.stderr.read().decode() == f"socketmasterctl: {path}: {BROKEN_OFF}\n"


def numbered():
    """Serves a status of two lines that differs each time, three times."""
    count = iter(range(3))

    def serve(talk):
        number = next(count, None)
        if number is not None:
            talk.say(f"status {number}\nmore\n")

    return serve


@pytest.mark.rules("K5")
def test_watch_prints_one_status_after_another(path):
    with FakeMaster(path, numbered()) as master:
        done = ctl(path, "watch", "-interval=100")
    assert done.status == NO_MASTER
    assert done.stdout == "\n".join(f"status {i}\nmore\n" for i in range(3))
    assert all(question["args"] == ["table", "80"] for question in master.questions)


# --- terminals -----------------------------------------------------------------------------------


# Settings, and the arguments of the table.
SHOWN = [
    ({}, ["table", "80", "colour"]),
    ({"NO_COLOR": "1"}, ["table", "80"]),
    ({"NO_COLOR": ""}, ["table", "80", "colour"]),
    ({"TERM": "dumb"}, ["table", "80"]),
    ({"TERM": None}, ["table", "80"]),
]


@pytest.mark.rules("K5")
@pytest.mark.parametrize("env, args", SHOWN)
def test_colours_are_for_terminals(env, args, path):
    with FakeMaster(path, said("a\x1b[1mb\x1b[0m")) as master:
        with Terminal("ctl", f"-control={path}", "status", env=env) as terminal:
            assert terminal.read() == "a\x1b[1mb\x1b[0m\n"
            assert terminal.client.wait() == DONE
    assert master.questions[0]["args"] == args


@pytest.mark.rules("K5")
@pytest.mark.parametrize("size, columns", [((50, 132), "132"), ((24, 40), "40"), ((0, 0), "80")])
def test_the_table_is_as_wide_as_the_terminal(size, columns, path):
    with FakeMaster(path, said("well")) as master:
        with Terminal("ctl", f"-control={path}", "status", size=size) as terminal:
            assert terminal.read() == "well\n"
    assert master.questions[0]["args"][1] == columns


@pytest.mark.rules("K5")
@pytest.mark.parametrize("words", [["logs"], ["reload", "-wait"]])
def test_what_workers_wrote_cannot_command_a_terminal(words, path):
    hostile = "\x1b[2Ja\x07\x9b\x7f\r ä€😀\tb\nc"

    def serve(talk):
        talk.say("begun", wait=True)
        talk.say(hostile, wait=True)
        talk.say(2000 * "x" + "\x1b" + 5000 * "\x01", wait=True)
        talk.say(hostile, error=True)

    shown = "\\x1b[2Ja\\x07\\xc2\\x9b\\x7f\\x0d ä€😀\tb\nc\n"
    with FakeMaster(path, serve):
        with Terminal("ctl", f"-control={path}", *words) as terminal:
            text = terminal.read()
            assert terminal.client.wait() == REFUSED
    long = 2000 * "x" + "\\x1b" + 5000 * "\\x01" + "\n"
    begun = "begun\n" if words != ["logs"] else ""
    assert text == begun + shown + long + "socketmasterctl: " + shown


@pytest.mark.rules("K5")
def test_watch_redraws_a_terminal(path):
    with FakeMaster(path, numbered()):
        with Terminal("ctl", f"-control={path}", "watch", "-interval=100") as terminal:
            shown = terminal.read()
            assert terminal.client.wait() == NO_MASTER
    screens = [f"status {i}\x1b[K\nmore\x1b[K\n\x1b[J" for i in range(3)]
    start = "\x1b[H\x1b[2J" + "\x1b[H".join(screens)
    assert shown == start + f"socketmasterctl: {path}: {CLOSED}\n"


@pytest.mark.rules("K5")
@pytest.mark.parametrize(
    "rows, lines, shown", [(5, 4, 4), (5, 5, 3), (5, 100, 3), (2, 2, 2), (1, 9, 1)]
)
def test_watch_shows_what_there_is_room_for(rows, lines, shown, path):
    table = "".join(f"{i}\n" for i in range(lines))
    count = iter([table])

    def serve(talk):
        for one in count:
            talk.say(one)
            return

    with FakeMaster(path, serve):
        size = (rows, 80)
        with Terminal("ctl", f"-control={path}", "watch", "-interval=100", size=size) as terminal:
            text = terminal.read().partition("\x1b[J")[0].removeprefix("\x1b[H\x1b[2J")
    expected = [f"{i}" for i in range(shown)]
    if shown < lines:
        expected.append(f"... {lines - shown} more lines")
    assert text.split("\x1b[K\n")[:-1] == expected


@pytest.mark.rules("K5")
def test_watch_follows_the_size_of_the_terminal(path):
    asked = []

    def serve(talk):
        asked.append(talk.question["args"][1])
        if len(asked) == 1:
            terminal.resize((30, 100))
        if len(asked) < 3:
            talk.say("status")

    with FakeMaster(path, serve):
        with Terminal("ctl", f"-control={path}", "watch", "-interval=100") as terminal:
            terminal.read()
    assert asked == ["80", "100", "100"]


@pytest.mark.rules("K5")
def test_json_is_printed_as_it_came(path):
    document = json.dumps({"a": ["\u00e4\n", 1]})
    with FakeMaster(path, said(document)):
        done = ctl(path, "status", "-json")
    assert json.loads(done.stdout) == json.loads(document) and done.stdout.endswith("}\n")
