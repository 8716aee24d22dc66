"""The log by syslog: the messages, and a daemon that is absent, stuck, or comes back."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path


import pytest
from flood import wait_stuck
from harness import PATIENCE, eventually, run
from masterlog import says
from syslogd import FACILITY_DAEMON, Syslogd
from workers import Notes, wait_gone, wait_only
from world import is_asleep

ERROR, WARNING, INFO = 3, 4, 6
LOST = r"(\d+) log lines? (?:was|were) lost: (.*)$"
STAMP = r"[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d"
HEADER = re.compile(STAMP + r" socketmaster\[(\d+)\]: (?:\[(\d+)\] )?(.*)")


class Told:
    """What a daemon was told, by the programs on its socket."""

    def __init__(self, daemon, one):
        self.daemon, self.pid = daemon, one.pid

    @property
    def lines(self):
        """(worker or 0, text) of each message."""
        found = [HEADER.fullmatch(message.text) for message in self.daemon.messages]
        assert all(found), self.daemon.messages
        assert {int(match[1]) for match in found} <= {self.pid}
        return [(int(match[2] or 0), match[3]) for match in found]

    def numbers(self, worker, word):
        """The numbers of the fixture server's lines."""
        texts = [text for pid, text in self.lines if pid == worker]
        matches = [re.fullmatch(rf"{word} (\d{{10}})(?: x*)?", text) for text in texts]
        return [int(match[1]) for match in matches if match]

    def wait(self, event, **known):
        return self.daemon.wait_message(says(event, **known))

    def severities(self, event):
        """How severe each message of an event is."""
        told = zip(self.daemon.messages, self.lines)
        return [message.severity for message, (_, text) in told if re.search(says(event), text)]

    @property
    def lost(self):
        """How many lines the master says were lost."""
        matches = [re.fullmatch(LOST, text) for worker, text in self.lines if not worker]
        return sum(int(match[1]) for match in matches if match)


@pytest.fixture
def start(master, socket_dir):
    """Starts a master that logs to a socket; returns it and the address at which it serves."""

    def start(*options, path=socket_dir / "log", **how):
        address = f"unix://{socket_dir}/s"
        words = ["-syslog", f"-syslog-socket={path}", *options]
        return master(*words, listen=address, **how), address

    return start


def reload(one, address, generation):
    """A reload whose end shows in who answers, since the log is elsewhere."""
    one.hup()

    def is_new():
        answer = one.wait_serving(address)
        return answer.fields["generation"] == str(generation) and one.workers == [answer.pid]

    eventually(is_new, what=f"generation {generation}")


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.rules("O1", "O2", "O6")
def test_every_line_is_a_message(start, syslogd):
    one, address = start(server=["--output-last=3"], env={"TZ": "TEST-5:45", "LC_ALL": "C.UTF-8"})
    told = Told(syslogd, one)
    first = int(told.wait("ready", generation=1)["pid"])
    one.get("/log?lines=1000&bytes=100", address)
    reload(one, address, 2)
    second = int(told.wait("ready", generation=2)["pid"])
    one.get("/exit?code=3", address)
    assert one.wait_exit() == 3
    told.wait("exiting", status=3)
    assert one.log.lines == []
    assert {message.facility for message in syslogd.messages} == {FACILITY_DAEMON}
    assert told.numbers(first, "log") == [*range(1, 1001)]
    for worker in (first, second):
        assert told.numbers(worker, "last") == [1, 2, 3]
    severities = {event: told.severities(event) for event in ("listening", "ended", "exiting")}
    # The second worker ended unasked, and with it the master, with its status.
    assert severities == {"listening": [INFO], "ended": [INFO, WARNING], "exiting": [ERROR]}


# What a worker writes, and the messages that it comes to.
WRITTEN = [
    ("one\ntwo", ["one", "two"]),
    ("\x1b[2J\r\n", ["\x1b[2J\r"]),
    ("%s%n%d\n", ["%s%n%d"]),
    ("<13>forged\n", ["<13>forged"]),
]


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("text, messages", WRITTEN)
def test_messages_hold_what_was_written(text, messages, syslogd, socket_dir):
    listen = ["-listen=tcp://127.0.0.1:0", "-start=0"]
    words = ["-syslog", f"-syslog-socket={socket_dir}/log", *listen]
    done = run(*words, "--", "/usr/bin/printf", "%s", text)
    assert done.status == 0
    syslogd.wait_message(says("exiting", status=0))
    found = [HEADER.fullmatch(message.text) for message in syslogd.messages]
    assert [match[3] for match in found if match[2]] == messages
    assert {message.facility for message in syslogd.messages} == {FACILITY_DAEMON}


@pytest.mark.rules("O1", "O2")
def test_long_lines_are_cut_for_syslog(start, syslogd):
    one, address = start()
    told = Told(syslogd, one)
    worker = int(told.wait("ready")["pid"])
    one.get("/log?lines=1&bytes=30001", address)
    told.wait("ready")
    assert one.stop() == 0
    told.wait("exiting")
    pieces = [text for pid, text in told.lines if pid == worker]
    assert [len(piece) for piece in pieces] == [8000, 8000, 8000, 6000]
    assert "".join(pieces) == "log 0000000001 ".ljust(30000, "x")
    assert max(len(message.text) for message in syslogd.messages) < 8192 - len("<30>")


@pytest.mark.rules("C6", "O1")
def test_a_start_that_fails_is_told_in_both_places(syslogd):
    done = run("-syslog", f"-syslog-socket={syslogd.path}", "-listen=fd://99", "/bin/true")
    why = 'unable to listen on "fd://99": the descriptor is not open'
    assert (done.status, done.stderr) == (1, f"socketmaster: {why}\n")
    syslogd.wait_message(re.escape(why))
    assert [message.severity for message in syslogd.messages] == [ERROR]


# --- a daemon that is not there ------------------------------------------------------------------


@pytest.mark.rules("O3")
@pytest.mark.parametrize("absent", ["no file", "stale file", "dangling link", "other type"])
def test_an_absent_daemon_is_no_reason_not_to_serve(absent, start, socket_dir):
    path = socket_dir / "log"
    other = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM if absent == "other type" else socket.SOCK_DGRAM
    )
    with other:
        if absent != "no file":
            other.bind(str(path))
        if absent == "stale file":
            other.close()
        if absent == "other type":
            other.listen()
        if absent == "dangling link":
            path.unlink()
            path.symlink_to("nowhere")
        one, address = start()
        one.wait_serving(address)
        reload(one, address, 2)
        assert one.stop() == 0
    assert one.log.lines == []


@pytest.mark.rules("O3", "I6")
def test_lines_without_a_daemon_are_counted_and_told_when_it_comes(start, socket_dir):
    one, address = start()
    worker = one.wait_serving(address).pid
    one.get("/log?lines=3", address)
    eventually(lambda: is_asleep(one.pid), what="a master that has told it all")
    with Syslogd(socket_dir / "log", PATIENCE) as daemon:
        told = Told(daemon, one)
        lost = daemon.wait_message(LOST)
        assert int(lost[1]) >= 5 and lost[2] == "No such file or directory"
        one.get("/log?lines=2", address)
        assert one.stop() == 0
        told.wait("exiting", status=0)
        assert told.numbers(worker, "log") == [1, 2]
        # Every line was either sent or counted: four steps of the start, four of the stop.
        sent = [text for _, text in told.lines if not re.fullmatch(LOST, text)]
        assert len(sent) + told.lost == 4 + 3 + 2 + 4


@pytest.mark.rules("O3", "I6")
def test_a_daemon_that_comes_back_goes_on_under_load(start, syslogd):
    one, address = start()
    told = Told(syslogd, one)
    worker = int(told.wait("ready")["pid"])
    rounds = 3
    for _ in range(rounds):
        one.get("/log?lines=1000&bytes=50", address)
        before = len(syslogd.messages)
        syslogd.close()
        one.get("/log?lines=1000&bytes=50", address)
        syslogd.reopen()
        eventually(lambda: len(syslogd.messages) > before, what="further messages")
    one.get("/log?lines=7&bytes=60", address)
    syslogd.wait_message(r"log 0000000007 x{44}$")
    assert one.stop() == 0
    told.wait("exiting")
    numbers = told.numbers(worker, "log")
    # Each piece of 1000 lines is in order, though some are lost.
    drops = sum(a >= b for a, b in zip(numbers, numbers[1:]))
    assert drops <= 2 * rounds
    assert len(numbers) + told.lost <= 2 * rounds * 1000 + 7 + 10


@pytest.mark.rules("O3", "I6")
def test_a_stuck_daemon_delays_neither_reload_nor_stop(start, syslogd, socket_dir):
    notes = Notes(socket_dir)
    one, address = start(server=[notes.option, "--flood=20:100"])
    Told(syslogd, one).wait("ready")
    syslogd.stall()
    first = notes.wait_start(1)
    wait_stuck(one, first)
    one.hup()
    second = notes.wait_start(2)
    notes.wait_signal(first, signal.SIGHUP)
    wait_gone(first)
    one.term()
    notes.wait_signal(second, signal.SIGTERM)
    assert one.wait_exit() == 0
    syslogd.resume()


@pytest.mark.rules("O2", "O3", "I6")
def test_nothing_is_lost_when_a_stuck_daemon_goes_on(start, syslogd, socket_dir):
    notes = Notes(socket_dir)
    one, address = start(server=[notes.option])
    told = Told(syslogd, one)
    first = int(told.wait("ready")["pid"])
    one.wait_serving(address)
    syslogd.stall()
    with one.connect(address) as asking:
        asking.sendall(b"GET /log?lines=20000&bytes=100 HTTP/1.1\r\nConnection: close\r\n\r\n")
        wait_stuck(one, first)
        one.hup()
        second = notes.wait_start(2)
        eventually(lambda: one.wait_serving(address).pid == second, what="the new worker")
        syslogd.resume()
        assert asking.recv(1000)
    wait_only(one, second)
    assert one.stop() == 0
    told.wait("exiting")
    assert told.numbers(first, "log") == [*range(1, 20001)] and told.lost == 0


# --- a daemon that others wrote ------------------------------------------------------------------

CONFIGURATION = """\
global(workDirectory="{dir}" maxMessageSize="8k")
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{dir}/log" createPath="off" rateLimit.interval="0"
      useSpecialParser="on")
template(name="test" type="string"
         string="%syslogfacility-text% %syslogseverity-text% %programname% %procid% %msg%\\n")
action(type="omfile" file="{dir}/messages" template="test")
"""


class Rsyslogd:
    """A real rsyslogd on a socket of its own, in a directory of its own."""

    PROGRAM = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")

    def __init__(self, directory):
        self.directory = Path(directory)
        self.path = self.directory / "log"
        (self.directory / "conf").write_text(CONFIGURATION.format(dir=directory))
        self.process = None

    def start(self):
        files = ["-f", str(self.directory / "conf"), "-i", str(self.directory / "pid")]
        output = self.directory / "complaints"
        with output.open("ab") as complaints:
            self.process = subprocess.Popen(
                [self.PROGRAM, "-n", *files],
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                env={"PATH": os.environ["PATH"]},
            )
        eventually(self._receives, what="rsyslogd's socket")

    def _receives(self):
        assert self.process.poll() is None, (self.directory / "complaints").read_text()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10 * PATIENCE)
            self.process = None

    @property
    def lines(self):
        file = self.directory / "messages"
        return file.read_text().splitlines() if file.exists() else []

    def wait_line(self, pattern):
        def found():
            return next((re.search(pattern, l) for l in self.lines if re.search(pattern, l)), None)

        return eventually(found, what=f"a line {pattern!r} of rsyslogd")


@pytest.fixture
def rsyslogd(socket_dir):
    if Rsyslogd.PROGRAM is None:
        pytest.skip("there is no rsyslogd")
    directory = socket_dir / "syslog"
    directory.mkdir()
    daemon = Rsyslogd(directory)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.mark.rules("O1", "O2", "O3", "O6")
def test_rsyslogd_gets_every_line(rsyslogd, start):
    one, address = start(path=rsyslogd.path, server=["--output-last=3"])
    first = one.wait_serving(address).pid
    rsyslogd.wait_line(says("ready", generation=1))
    one.get("/log?lines=3000&bytes=100", address)
    rsyslogd.wait_line(rf"\[{first}\] log 0000003000 x+$")
    reload(one, address, 2)
    assert one.stop() == 0
    rsyslogd.wait_line(says("exiting", status=0))
    form = re.compile(rf"daemon (info|warning|err) socketmaster {one.pid}  ?(?:\[(\d+)\] )?(.*)")
    parsed = [form.fullmatch(line) for line in rsyslogd.lines]
    assert all(parsed), [line for line, found in zip(rsyslogd.lines, parsed) if not found][:3]
    logged = [found[3] for found in parsed if found[2] == str(first) and found[3][:4] == "log "]
    assert logged == [f"log {i:010} ".ljust(99, "x") for i in range(1, 3001)]
    for event in ("listening", "started", "ready", "rollout_done", "retired", "ended", "stop"):
        assert any(re.search(says(event), found[3]) for found in parsed if not found[2]), event


@pytest.mark.rules("O3")
def test_rsyslogd_can_be_restarted(rsyslogd, start):
    one, address = start(path=rsyslogd.path)
    one.wait_serving(address)
    rsyslogd.wait_line(says("ready", generation=1))
    rsyslogd.stop()
    one.get("/log?lines=5&bytes=50", address)
    reload(one, address, 2)
    rsyslogd.start()
    lost = rsyslogd.wait_line(LOST)
    assert int(lost[1]) >= 5
    reload(one, address, 3)
    rsyslogd.wait_line(says("rollout_done", generation=3))
    assert one.stop() == 0
    rsyslogd.wait_line(says("exiting", status=0))
