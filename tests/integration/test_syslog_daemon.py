"""Syslog in depth: each message, and that every line is sent or counted whatever a daemon does."""

import contextlib
import re
import select
import shutil
import socket
from dataclasses import dataclass
from signal import SIGHUP, SIGUSR1

import pytest
from flood import LINE, MANY, Asked, numbered, wait_stuck, wait_taken, write_lines, written
from harness import PATIENCE, SERVER, eventually, run
from masterlog import says
from rsyslogd import Rsyslogd
from syslogd import FACILITY_DAEMON, Syslogd
from workers import Deploy, Notes, wait_gone, wait_only

ERROR, WARNING, INFO = 3, 4, 6
PIECE = 8000  # bytes of a worker's line that make one message
LAST = 100  # lines that a worker writes right before it ends

START = ["listening", "started", "ready", "rollout_done"]
RELOAD = ["reload", "started", "ready", "rollout_done", "retired", "ended"]
STOP = ["stop", "stopped", "ended", "exiting"]

LOST = r"(?P<count>\d+) log lines? (?:was|were) lost: (?P<why>.*)$"

# What daemons expect of a local program: no year, no zone, no name of the machine.
_HEADER = r"[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d socketmaster\[(\d+)\]: "


@dataclass(frozen=True)
class Told:
    severity: int
    worker: int  # pid; 0: the master's own
    text: str


def told(daemon, master):
    """What a master told a daemon so far; each message must have the form that daemons know."""
    found = []
    for message in list(daemon.messages):
        form = re.fullmatch(_HEADER + r"(?:\[(\d+)\] )?(.*)", message.text, re.DOTALL)
        assert form and int(form[1]) == master.pid, message
        assert message.facility == FACILITY_DAEMON
        found.append(Told(message.severity, int(form[2] or 0), form[3]))
    return found


def output_of(worker, messages):
    return [message.text for message in messages if message.worker == worker]


def lost(messages):
    """How many lines were counted, all in all."""
    counts = (re.search("^" + LOST, m.text) for m in messages if m.worker == 0)
    return sum(int(found["count"]) for found in counts if found)


def steps(messages):
    """How many messages tell a step of the master's own."""
    patterns = [says(event) for event in {*START, *RELOAD, *STOP}]
    own = (message.text for message in messages if message.worker == 0)
    return sum(any(re.search(pattern, text) for pattern in patterns) for text in own)


@pytest.fixture
def logged(master, socket_dir):
    """Starts masters that log to the socket `log`: the master, its address, its workers' notes."""

    def start(*options, **how):
        notes = Notes(socket_dir)
        address = f"unix://{socket_dir}/s"
        how.setdefault("command", [SERVER, notes.option, *options])
        to_syslog = ["-syslog", f"-syslog-socket={socket_dir}/log"]
        return master(*to_syslog, listen=address, **how), address, notes

    return start


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.rules("O1", "O6")
def test_a_message_has_priority_name_and_pid_and_no_time_of_our_own(syslogd, logged, socket_dir):
    deploy = Deploy(socket_dir)
    one, address, notes = logged(command=[deploy.path])
    worker = notes.wait_start(1)
    syslogd.wait_message(says("rollout_done"))
    assert write_lines(address, 3, 0).pid == worker
    deploy.remove()
    one.hup()
    syslogd.wait_message(says("rollout_failed"))
    wait_only(one, worker)
    one.signal(SIGUSR1)
    syslogd.wait_message("USR1 received")
    assert one.stop() == 0
    syslogd.wait_message(says("exiting"))
    messages = told(syslogd, one)
    assert not any(re.search(r"\d{4}/\d\d/\d\d|\d\d:\d\d:\d\d", m.text) for m in messages)
    assert output_of(worker, messages) == numbered("log", 3, 0)
    assert {m.severity for m in messages if m.worker == worker} == {INFO}
    failed = [("reload", INFO), ("not_started", ERROR), ("rollout_failed", ERROR)]
    expected = [(says(event), INFO) for event in START]
    expected += [(says(event), severity) for event, severity in failed]
    expected += [("^USR1 received: .* ignored$", WARNING)]
    expected += [(says(event), INFO) for event in STOP]
    own = [message for message in messages if message.worker == 0]
    for message, (pattern, severity) in zip(own, expected, strict=True):
        assert re.search(pattern, message.text) and message.severity == severity, message
    # All of it went there, and nowhere else.
    assert one.log.lines == []


@pytest.mark.rules("O1", "O6")
def test_an_end_that_nobody_asked_for_is_a_warning_and_then_an_error(syslogd, logged):
    one, address, notes = logged()
    worker = notes.wait_start(1)
    syslogd.wait_message(says("rollout_done"))
    one.get("/exit?code=7", address)
    assert one.wait_exit() == 7
    syslogd.wait_message(says("exiting", status=7))
    ended, exiting = told(syslogd, one)[-2:]
    assert re.search(says("ended", pid=worker, status=7), ended.text)
    assert (ended.severity, exiting.severity) == (WARNING, ERROR)


# What a worker gives printf, and the messages that it comes to.
WRITTEN = {
    "no newline": ("one\\ntwo", ["one", "two"]),
    "empty lines": ("\\n\\none\\n\\n", ["", "", "one", ""]),
    "blanks": (" one\\t \\n", [" one\t "]),
    "like ours": ("<11>Nov  3 00:00:00 x[1]: y\\n", ["<11>Nov  3 00:00:00 x[1]: y"]),
    "escapes": ("\\033[2J\\007\\r\\n", ["\x1b[2J\x07\r"]),
    "NUL": ("a\\000b\\n\\000\\n", ["a\0b", "\0"]),
    "not UTF-8": ("\\377\\200\\n", ["\udcff\udc80"]),
    "formats": ("%%s%%n%%d\\n", ["%s%n%d"]),
}


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("data, lines", WRITTEN.values(), ids=WRITTEN)
def test_each_line_is_one_message(data, lines, syslogd, logged):
    one, _, _ = logged(start=0, command=["/usr/bin/printf", data])
    assert one.wait_exit() == 0
    worker = int(syslogd.wait_message(says("started"))["pid"])
    syslogd.wait_message(says("exiting"))
    assert output_of(worker, told(syslogd, one)) == lines


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("length", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 100000])
def test_a_long_line_is_cut_into_messages(length, syslogd, logged):
    one, address, notes = logged()
    worker = notes.wait_start(1)
    assert write_lines(address, 2, length + 1).pid == worker
    assert one.stop() == 0
    syslogd.wait_message(says("exiting"))
    pieces = output_of(worker, told(syslogd, one))
    sizes = [PIECE] * (length // PIECE) + [length % PIECE] * (length % PIECE > 0)
    assert [len(piece) for piece in pieces] == 2 * sizes
    assert "".join(pieces) == "".join(numbered("log", 2, length + 1))


# --- the start -----------------------------------------------------------------------------------


@pytest.mark.rules("C5", "O1")
@pytest.mark.parametrize("path", ["", "log", "./log", "@log", "/" + 107 * "x"])
def test_a_wrong_path_is_refused(path, socket_dir):
    options = ["-syslog", f"-syslog-socket={path}", f"-listen=unix://{socket_dir}/s"]
    done = run(*options, "--", SERVER, f"--marker={socket_dir}/marker")
    assert done.status == 2
    (line,) = done.error_lines
    assert line.startswith(f'socketmaster: -syslog-socket: value "{path}": expected an absolute ')
    assert list(socket_dir.iterdir()) == []


# A start that fails: its words, and how it says why.
FAILING = {
    "address in use": (["-listen=unix://{dir}/taken", SERVER], "unable to listen on .*taken.*: "),
    "no command": (["{dir}/missing"], "unable to .*missing.*: No such file or directory$"),
    "no program": (["{dir}/junk"], "unable to execute .*junk.*: Exec format error; "),
    "no user": (["-user=socketmaster-nobody", SERVER], "unable to .*socketmaster-nobody.*: "),
}


@pytest.mark.rules("C6", "O1")
@pytest.mark.parametrize("present", [True, False], ids=["", "no daemon"])
@pytest.mark.parametrize("words, why", FAILING.values(), ids=FAILING)
def test_a_start_that_fails_is_told_on_standard_error_too(words, why, present, socket_dir):
    junk = socket_dir / "junk"
    junk.write_text("neither\n")
    junk.chmod(0o755)
    options = ["-syslog", f"-syslog-socket={socket_dir}/log", "-listen=tcp://127.0.0.1:0"]
    words = [word.format(dir=socket_dir) for word in words]
    with bind(socket_dir / "taken", socket.SOCK_STREAM) as taken:
        taken.listen()
        with Syslogd(socket_dir / "log", PATIENCE) as daemon:
            if not present:
                daemon.close()
            done = run(*options, *words)
            assert (done.status, done.stdout) == (1, "")
            (line,) = done.error_lines
            assert line.startswith("socketmaster: ") and re.search(why, line)
            if present:
                daemon.wait_message(why)


# --- a daemon that is away -----------------------------------------------------------------------


def take_all(daemon):
    """What was sent to a daemon so far; from now on nobody can send to it."""
    daemon.shutdown(socket.SHUT_RD)
    daemon.setblocking(False)
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(daemon.recv(1 << 16))
    return messages


class OrderlySyslogd(Syslogd):
    """A daemon that takes what was sent to it before it goes; whoever sends later is told so."""

    def close(self):
        if self._socket is not None:
            self.stall()
            self.messages += map(self._parse, take_all(self._socket))
        super().close()


def bind(path, kind):
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.bind(str(path))
    return bound


def make_nothing(_):
    return contextlib.nullcontext()


def make_file(path):
    path.write_text("")
    return contextlib.nullcontext()


def make_stale(path):
    bind(path, socket.SOCK_DGRAM).close()
    return contextlib.nullcontext()


def make_stream(path):
    listening = bind(path, socket.SOCK_STREAM)
    listening.listen()
    return listening


# What there is in place of a daemon (a context manager), and how a connection to it fails.
AWAY = {
    "nothing": (make_nothing, "No such file or directory"),
    "a file": (make_file, "Connection refused"),
    "a stale socket": (make_stale, "Connection refused"),
    "a stream socket": (make_stream, "Protocol wrong type for socket"),
}


@pytest.mark.rules("O3", "O1")
@pytest.mark.parametrize("make, why", AWAY.values(), ids=AWAY)
def test_a_daemon_that_comes_late_is_told_how_much_it_missed(make, why, logged, socket_dir):
    path = socket_dir / "log"
    with make(path):
        one, address, notes = logged()
        worker = notes.wait_start(1)
        assert write_lines(address, 1000).pid == worker
        wait_taken(one, worker)
        path.unlink(missing_ok=True)
    with Syslogd(path, PATIENCE) as daemon:
        # In between there may have been nothing.
        assert daemon.wait_message(LOST)["why"] in (why, AWAY["nothing"][1])
        assert one.stop() == 0
        daemon.wait_message(says("exiting"))
        messages = told(daemon, one)
    assert output_of(worker, messages) == []
    assert lost(messages) + steps(messages) == 1000 + len([*START, *STOP])
    assert one.log.lines == []


def crowded(path):
    """A daemon at the path that does not read yet, and whose queue is full already."""
    daemon = bind(f"{path}.new", socket.SOCK_DGRAM)
    daemon.settimeout(10 * PATIENCE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(f"{path}.new")
        with contextlib.suppress(BlockingIOError):
            while True:
                other.send(b"<30>of another program")
    path.with_name(f"{path.name}.new").rename(path)
    return daemon


@pytest.mark.rules("O3")
@pytest.mark.parametrize("reads", [True, False], ids=["reads the count", "reads nothing"])
def test_a_count_is_lost_with_the_line_that_tells_it_and_not_after(reads, logged, socket_dir):
    path = socket_dir / "log"
    with OrderlySyslogd(path, PATIENCE) as daemon:
        one, address, notes = logged()
        worker = notes.wait_start(1)
        daemon.wait_message(says("rollout_done"))
    assert write_lines(address, 1000).pid == worker
    wait_taken(one, worker)
    descriptors = len(one.fds)
    with crowded(path) as daemon:
        eventually(lambda: len(one.fds) > descriptors, what="a connection to the daemon")
        # Now the count waits, and lines behind it.
        assert write_lines(address, 1000).pid == worker
        wait_taken(one, worker)
        found = None
        while reads and not found:
            found = re.search(LOST, daemon.recv(1 << 16).decode())
        sent = sum(b"] log " in message for message in take_all(daemon))
        path.unlink()
        eventually(lambda: len(one.fds) == descriptors, what="a master that has noticed")
    assert not reads or int(found["count"]) == 1000
    with Syslogd(path, PATIENCE) as daemon:
        missed = 1000 - sent if reads else 2000
        assert int(daemon.wait_message(LOST)["count"]) == missed
        assert one.stop() == 0


FLOOD = 50000  # lines


def wait_messages(daemon):
    """Waits until a daemon has got many more."""
    goal = len(daemon.messages) + 1000
    eventually(lambda: len(daemon.messages) > goal, what="messages")


def wait_written(worker, since):
    """Waits until a worker has written much more than a number of bytes."""
    goal = since + FLOOD * LINE // 2
    eventually(lambda: written(worker) > goal, what="a worker that writes on")


@pytest.mark.rules("O3", "O2")
def test_under_a_flood_a_daemon_that_restarts_gets_or_is_told_of_every_line(logged, socket_dir):
    rounds = 3
    with OrderlySyslogd(socket_dir / "log", PATIENCE) as daemon:
        one, address, notes = logged()
        worker = notes.wait_start(1)
        daemon.wait_message(says("rollout_done"))
        for _ in range(rounds):
            with Asked(address, FLOOD) as flood:
                wait_messages(daemon)
                daemon.close()
                flood.answer()
            before = written(worker)
            with Asked(address, FLOOD) as flood:
                wait_written(worker, before)
                daemon.reopen()
                flood.answer()
        # The master has a second for its last words: all else is to be said before.
        write_lines(address, 1, LINE + 1)
        daemon.wait_message(rf" log 0000000001 x{{{LINE - len('log 0000000001 ')}}}$", deadline=30)
        assert one.stop() == 0
        daemon.wait_message(says("exiting"))
        messages = told(daemon, one)
    total = 2 * rounds * FLOOD + 1
    assert len(output_of(worker, messages)) + lost(messages) == total
    assert lost(messages) > 0
    assert steps(messages) == len([*START, *STOP])


@pytest.mark.rules("O3")
def test_the_count_is_told_while_the_flood_goes_on(logged, socket_dir):
    path = socket_dir / "log"
    for_ever = 10**6  # megabytes
    one, _, notes = logged(f"--flood={for_ever}:2000")
    worker = notes.wait_start(1)
    wait_written(worker, 0)
    with crowded(path) as daemon, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.connect(str(path))
        wait_stuck(one, worker)

        def next_message():
            # It reads so slowly that something is always left to be sent.
            eventually(
                lambda: not select.select([], [other], [], 0)[1], what="a full queue", interval=0
            )
            return daemon.recv(1 << 16).decode()

        assert any(re.search(LOST, next_message()) for _ in range(2000))


# --- a daemon that is stuck ----------------------------------------------------------------------


@pytest.mark.rules("O3", "O2")
def test_a_stuck_daemon_delays_neither_reload_nor_stop(syslogd, logged):
    syslogd.stall()
    one, _, notes = logged("--flood=2")
    first = notes.wait_start(1)
    wait_stuck(one, first)
    one.hup()
    second = notes.wait_start(2)
    wait_gone(first)
    assert one.workers == [second]
    assert one.stop() == 0
    assert one.leftovers == []
    # As much as went out is whole and in order.
    syslogd.resume()
    syslogd.wait_message(says("started", pid=first))
    theirs = output_of(first, told(syslogd, one))
    assert theirs == numbered("flood", len(theirs))


@pytest.mark.rules("O3", "O2")
def test_nothing_is_lost_once_a_stuck_daemon_reads_again(syslogd, logged):
    one, address, notes = logged(f"--output-last={LAST}")
    first = notes.wait_start(1)
    one.wait_serving(address)
    syslogd.stall()
    with Asked(address) as flood:
        wait_stuck(one, first)
        # The first is busy writing: what is asked of any is answered by the next.
        pids = [first]
        for generation in (2, 3):
            one.hup()
            pids.append(notes.wait_start(generation))
            eventually(lambda: one.wait_serving(address).pid == pids[-1], what="the new worker")
        notes.wait_signal(pids[1], SIGHUP)
        wait_gone(pids[1])
        syslogd.resume()
        assert flood.answer().pid == first
    syslogd.wait_message(says("ended", pid=first), deadline=30)
    assert one.stop() == 0
    syslogd.wait_message(says("exiting"))
    messages = told(syslogd, one)
    for pid, flooded in zip(pids, (numbered("log", MANY), [], [])):
        assert output_of(pid, messages) == flooded + numbered("last", LAST, 0)
    assert steps(messages) == len([*START, *RELOAD, *RELOAD, *STOP])
    assert lost(messages) == 0


# --- a real one ----------------------------------------------------------------------------------

@pytest.fixture
def rsyslogd(socket_dir):
    program = shutil.which("rsyslogd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        pytest.skip("rsyslogd is not installed")
    with Rsyslogd(program, socket_dir) as daemon:
        yield daemon


def told_by(daemon, master):
    """What it wrote: (severity, pid of the worker or None, text)."""
    form = rf"daemon\.(\w+) socketmaster\[{master.pid}\] ?(?:\[(\d+)\] )?(.*)"
    return [re.fullmatch(form, line).groups() for line in daemon.lines]


@pytest.mark.rules("O1", "O2")
def test_rsyslogd_understands_every_message(rsyslogd, logged):
    one, address, notes = logged(f"--output-last={LAST}")
    first = notes.wait_start(1)
    rsyslogd.wait(says("rollout_done"))
    assert write_lines(address, MANY).pid == first
    one.hup()
    second = notes.wait_start(2)
    wait_only(one, second)
    assert write_lines(address, 2, 3 * PIECE).pid == second
    # The master has a second for its last words: all else is to be said before.
    rsyslogd.wait(f"x{{{PIECE - 1}}}$", count=4)
    assert one.stop() == 0
    rsyslogd.wait(says("exiting"))
    lines = told_by(rsyslogd, one)
    assert {severity for severity, _, _ in lines} == {"info"}
    own = [text for _, worker, text in lines if not worker]
    for text, event in zip(own, [*START, *RELOAD, *STOP], strict=True):
        assert re.search(says(event), text), own
    last = numbered("last", LAST, 0)
    theirs = {pid: [t for _, worker, t in lines if worker == str(pid)] for pid in (first, second)}
    assert theirs[first] == numbered("log", MANY) + last
    assert theirs[second][-LAST:] == last
    pieces = theirs[second][:-LAST]
    assert "".join(pieces) == "".join(numbered("log", 2, 3 * PIECE))
    assert max(map(len, pieces)) == PIECE


@pytest.mark.rules("O1", "O3")
def test_rsyslogd_is_told_what_it_missed_while_it_was_restarted(rsyslogd, logged):
    one, address, notes = logged()
    worker = notes.wait_start(1)
    rsyslogd.wait(says("rollout_done"))
    for times in range(1, 4):
        rsyslogd.stop()
        assert write_lines(address, 1000, 50).pid == worker
        wait_taken(one, worker)
        rsyslogd.start()
        assert write_lines(address, 10, 60).pid == worker
        rsyslogd.wait(LOST, times)
    assert one.stop() == 0
    rsyslogd.wait(says("exiting"))
    texts = [text for _, _, text in told_by(rsyslogd, one)]
    assert [text for text in texts if text.startswith("log ")] == 3 * numbered("log", 10, 60)
    counts = [found["count"] for text in texts if (found := re.search(LOST, text))]
    assert counts == ["1000"] * 3
