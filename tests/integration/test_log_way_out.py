"""The log's way out: whatever standard error is, and whoever reads it or does not (rule O3)."""

import contextlib
import fcntl
import os
import pty
import re
import shutil
import socket
import threading
import tty
from signal import SIGHUP, SIGTERM

import pytest
from flood import wait_stuck
from harness import SERVER, eventually
from masterlog import MasterLog
from starter import as_nobody, public_copy
from words import root_only
from workers import Notes, wait_gone, wait_only
from world import is_asleep

KINDS = [
    "pipe",
    "socket",
    "terminal",
    # As another user, who cannot open it by its path in /proc.
    pytest.param("pipe of root", marks=root_only),
    pytest.param("terminal of root", marks=root_only),
]


class WayOut:
    """A standard error of some kind: what the master writes to, and the log read at its other end.

    The writing end is kept open, since its flags are shared with the master's; `finish` closes it.
    """

    def __init__(self, kind):
        if kind.startswith("pipe"):
            self.reading, self.writing = os.pipe()
        elif kind.startswith("socket"):
            ends = socket.socketpair()
            self.reading, self.writing = (end.detach() for end in ends)
        else:
            self.reading, self.writing = pty.openpty()
            tty.setraw(self.writing)
        self.before = fcntl.fcntl(self.writing, fcntl.F_GETFL)
        assert not self.before & os.O_NONBLOCK
        self.log = MasterLog(self.reading)

    def assert_unchanged(self):
        assert fcntl.fcntl(self.writing, fcntl.F_GETFL) == self.before

    def finish(self):
        if self.writing >= 0:
            self.assert_unchanged()
            os.close(self.writing)
            self.writing = -1


@pytest.fixture
def start(master, socket_dir):
    """Starts a master whose standard error is of some kind; returns it, its way out and notes."""
    socket_dir.chmod(0o777)
    notes = Notes(socket_dir)
    with contextlib.ExitStack() as stack:

        def start(kind, *options, server=(), **how):
            way = WayOut(kind)
            stack.callback(way.finish)
            command = [SERVER]
            if kind.endswith("of root"):
                how |= as_nobody(socket_dir)
                command = [public_copy(SERVER, socket_dir)]
            command += [notes.option, *server]
            one = master(*options, command=command, stderr=way.writing, **how)
            one.log = way.log
            return one, way, notes

        yield start


# --- a reader that reads -------------------------------------------------------------------------


def numbers_of(one, worker, word):
    lines = one.log.output_of(worker)
    matches = (re.fullmatch(rf"{word} (\d{{10}})(?: x*)?", line) for line in lines)
    return [int(match[1]) for match in matches if match]


@pytest.mark.rules("O1", "O2", "O3")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_standard_error_gets_every_line(kind, start):
    one, way, _ = start(kind, server=["--output-last=1000"])
    first = one.wait_ready(1)
    # Flags of the master's own take a description of its own, where that can be had.
    copies = list(one.fds.values()).count(os.readlink(f"/proc/self/fd/{way.writing}"))
    assert copies == (2 if kind in ("pipe", "terminal") else 1)
    one.wait_serving()
    one.get("/log?lines=3000&bytes=100")
    one.reload()
    second = one.wait_ready(2)
    wait_only(one, second)
    one.wait_serving()
    way.finish()
    assert one.stop() == 0
    assert numbers_of(one, first, "log") == [*range(1, 3001)]
    for worker in (first, second):
        assert numbers_of(one, worker, "last") == [*range(1, 1001)]
    assert len(one.said("exiting")) == 1
    assert all(line.master == one.pid for line in one.log.lines)


@pytest.fixture
def shm():
    """A directory on a tmpfs."""
    path = f"/dev/shm/sm{os.getpid()}"
    os.mkdir(path)
    yield path
    shutil.rmtree(path)


@pytest.mark.rules("O2", "O3")
@pytest.mark.parametrize("append", [True, False])
def test_a_file_gets_every_line(append, shm, master):
    path, address = f"{shm}/log", f"unix://{shm}/s"
    with open(path, "ab" if append else "wb") as file:
        one = master(listen=address, stderr=file, server=["--flood=2:100", "--output-last=10"])
        worker = one.wait_serving(address).pid
        if append:
            # As somebody else who writes to the same file.
            os.write(file.fileno(), b"between\n")
        assert one.stop() == 0
        assert not fcntl.fcntl(file, fcntl.F_GETFL) & os.O_NONBLOCK
    one.log = MasterLog(os.open(path, os.O_RDONLY))
    eventually(lambda: one.log.ended, what="the end of the file")
    assert numbers_of(one, worker, "flood") == [*range(1, 20001)]
    assert numbers_of(one, worker, "last") == [*range(1, 11)]
    assert len([line for line in one.log.lines if line.raw == b"between"]) == append


# --- a reader that does not read -----------------------------------------------------------------


@pytest.mark.rules("O2", "O3", "I5", "I6")
@pytest.mark.parametrize("kind", KINDS)
def test_a_stuck_reader_delays_neither_reload_nor_stop(kind, start):
    one, way, notes = start(kind, server=["--flood=20:100"])
    first = one.wait_ready(1)
    way.log.stall()
    wait_stuck(one, first)
    way.assert_unchanged()
    one.signal(SIGHUP)
    second = notes.wait_start(2)
    notes.wait_signal(first, SIGHUP)
    wait_gone(first)
    wait_stuck(one, second)
    way.assert_unchanged()
    one.signal(SIGTERM)
    notes.wait_signal(second, SIGTERM)
    assert one.wait_exit() == 0
    way.finish()
    way.log.resume()
    eventually(lambda: way.log.ended, what="the log's end")
    # What had gone out are whole lines from the beginning, but perhaps for the very last.
    found = numbers_of(one, first, "flood")
    assert found == [*range(1, len(found) + 1)]
    assert all(line.master == one.pid for line in one.log.lines[:-1])


@pytest.mark.rules("O2", "O3", "I6")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_when_a_stuck_reader_reads_on(kind, start):
    one, way, notes = start(kind)
    first = one.wait_ready(1)
    one.wait_serving()
    way.log.stall()
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(one.get("/log?lines=20000&bytes=100", timeout=60))
    )
    asking.start()
    wait_stuck(one, first)
    one.signal(SIGHUP)
    second = notes.wait_start(2)
    eventually(lambda: one.wait_serving().pid == second, what="the new worker's answer")
    assert not answers
    way.log.resume()
    asking.join()
    assert answers[0].pid == first
    wait_only(one, second)
    way.finish()
    assert one.stop() == 0
    assert numbers_of(one, first, "log") == [*range(1, 20001)]
    assert one.said("ended", pid=first)
    assert all(line.master == one.pid for line in one.log.lines)


@pytest.mark.rules("O3", "I9")
def test_a_stuck_reader_costs_no_processor(start):
    one, way, _ = start("pipe", server=["--flood=20:100"])
    first = one.wait_ready(1)
    way.log.stall()
    wait_stuck(one, first)
    eventually(lambda: is_asleep(one.pid), what="a master that sleeps")
    way.log.resume()
    one.wait_serving(deadline=60)


# --- a way out that is broken --------------------------------------------------------------------


def assert_reloads(one, address, generation):
    one.hup()

    def is_new():
        answer = one.wait_serving(address)
        return answer.fields["generation"] == generation and one.workers == [answer.pid]

    eventually(is_new, what=f"generation {generation}")


@pytest.mark.rules("O3", "I6")
@pytest.mark.parametrize("form", ["-log=text", "-log=json"])
def test_a_full_disk_costs_lines_only(form, socket_dir, master):
    address = f"unix://{socket_dir}/s"
    with open("/dev/full", "wb") as full:
        one = master(form, listen=address, stderr=full, server=["--output-last=100"])
        for generation in range(1, 4):
            assert one.wait_serving(address).fields["generation"] == str(generation)
            one.get("/log?lines=20000&bytes=100", address)
            if generation < 3:
                assert_reloads(one, address, str(generation + 1))
        assert one.stop() == 0


@pytest.mark.rules("O3", "I6")
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_has_gone_costs_lines_only(kind, start, socket_dir):
    address = f"unix://{socket_dir}/s"
    one, way, _ = start(kind, listen=address, server=["--output-last=100"])
    one.wait_ready(1)
    one.wait_serving(address)
    way.log.close()
    for generation in ("2", "3"):
        one.get("/log?lines=20000&bytes=100", address)
        assert_reloads(one, address, generation)
    assert one.stop() == 0


@pytest.mark.rules("O3")
def test_lost_lines_are_counted_and_told_once_somebody_reads(start, socket_dir):
    address = f"unix://{socket_dir}/s"
    one, way, _ = start("pipe", listen=address)
    one.wait_ready(1)
    one.wait_serving(address)
    eventually(lambda: is_asleep(one.pid), what="an idle master")
    way.log.close()
    one.get("/log?lines=5", address)
    assert_reloads(one, address, "2")
    eventually(lambda: is_asleep(one.pid), what="an idle master")
    # Whoever opens it by its path reads the same pipe.
    one.log = MasterLog(os.open(f"/proc/self/fd/{way.writing}", os.O_RDONLY))
    assert_reloads(one, address, "3")
    lost = one.wait_log(r"^(\d+) log lines were lost: Broken pipe$")
    # Five of the worker's, and those of the reload: one for each step.
    assert int(lost[1]) == 5 + len(["reload", "started", "ready", "done", "retired", "ended"])
    way.finish()
    assert one.stop() == 0
