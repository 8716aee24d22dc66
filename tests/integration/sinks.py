"""What a master's standard error may be: things that get stuck, break, and are shared with others.

A sink holds a descriptor of its own to the same open file description that the master gets, as the
shell does that started it, and so sees what becomes of its flags.
"""

import fcntl
import os
import pty
import socket
import termios
from pathlib import Path

import harness
import pytest
from harness import PATIENCE
from masterlog import MasterLog, parse_line
from starter import NOBODY, public_copy

_MARK = "everything before this was written by the master"


class Sink:
    """Reads what it gets, unless it is stalled or left. Use it as a context manager.

    fd      to be the master's standard error
    how     further words for harness.Master
    server  the fixture server, where the master can execute it
    """

    def __init__(self, fd, reading):
        self.fd = fd
        self.how = {}
        self.server = harness.SERVER
        self.log = MasterLog(reading)
        self._flags = fcntl.fcntl(fd, fcntl.F_GETFL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.log.close()
        os.close(self.fd)

    def stall(self):
        self.log.stall()

    def resume(self):
        self.log.resume()

    def leave(self):
        """The reader goes for good."""
        self.log.close()

    def wait(self, pattern):
        """Waits for a line; returns the match."""
        # A terminal has ends of lines of its own.
        return self.log.wait(pattern.replace("$", "\r?$"), 10 * PATIENCE)

    def everything(self):
        """The lines of a master that has ended, as masterlog.Line; the last may be unfinished."""
        self.resume()
        os.write(self.fd, f"\n{_MARK}\n".encode())
        self.wait(f"^{_MARK}$")
        lines = [line.raw.removesuffix(b"\r") for line in self.log.lines]
        end = lines.index(_MARK.encode())
        return [parse_line(line) for line in lines[: end - (lines[end - 1] == b"")]]

    def assert_untouched(self):
        """The master has not changed what it shares with others."""
        assert fcntl.fcntl(self.fd, fcntl.F_GETFL) == self._flags


class Pipe(Sink):
    def __init__(self, _):
        reading, writing = os.pipe()
        super().__init__(writing, reading)


class Fifo(Sink):
    """A named pipe: its reader may come back."""

    def __init__(self, directory):
        self._path = Path(directory, "fifo")
        os.mkfifo(self._path, 0o600)
        reading = self._open_to_read()
        super().__init__(os.open(self._path, os.O_WRONLY), reading)

    def _open_to_read(self):
        return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)

    def come_back(self):
        """There is a reader again; `log` is what it reads."""
        self.log = MasterLog(self._open_to_read())


class Socket(Sink):
    def __init__(self, _):
        reading, writing = socket.socketpair()
        super().__init__(writing.detach(), reading.detach())


class Terminal(Sink):
    def __init__(self, _):
        reading, terminal = pty.openpty()
        super().__init__(terminal, reading)


class StoppedTerminal(Terminal):
    """Its output is stopped and started, as by Ctrl-S and Ctrl-Q."""

    def stall(self):
        termios.tcflow(self.fd, termios.TCOOFF)

    def resume(self):
        termios.tcflow(self.fd, termios.TCOON)


def foreign(kind):
    """Such a sink for a master without rights: it may write to it, and not open it anew."""

    def make(directory):
        if os.geteuid() != 0:
            pytest.skip("only root can run the master as another user")
        directory.chmod(0o777)
        sink = kind(directory)
        sink.how = {"user": NOBODY, "binary": public_copy(harness.BINARY, directory)}
        sink.server = public_copy(harness.SERVER, directory)
        return sink

    return make


# Every kind: how it is made, and whether the master can open it anew.
KINDS = {
    "pipe": (Pipe, True),
    "named pipe": (Fifo, True),
    "socket": (Socket, False),
    "terminal": (Terminal, True),
    "stopped terminal": (StoppedTerminal, True),
    "pipe of another user": (foreign(Pipe), False),
    "terminal of another user": (foreign(Terminal), False),
    "stopped terminal of another user": (foreign(StoppedTerminal), False),
}


def make_sink(kind, directory):
    return KINDS[kind][0](directory)


def assert_opened(kind, master):
    """The master has its standard error in the way that this kind stands for."""
    targets = master.fds
    anew = targets[2] in [target for number, target in targets.items() if number > 2]
    assert anew == KINDS[kind][1], targets
