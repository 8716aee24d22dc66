"""The hands of the puppets: workers that do what a test tells them (tests/fixtures/puppet.py)."""

import itertools
import os
import socket
import sys
from pathlib import Path

import procfs
from harness import PATIENCE, REPOSITORY, eventually
from starter import public_copy

PROGRAM = REPOSITORY / "tests/fixtures/puppet.py"
_MARKS = itertools.count(1)


def command(directory, *texts, program=PROGRAM):
    """The words of a worker that plays in this directory, and begins with these texts."""
    return [sys.executable, "-IS", program, directory, *texts]


def public_command(directory, *texts):
    """The same for every user."""
    directory.chmod(0o1777)
    return command(directory, *texts, program=public_copy(PROGRAM, directory))


class Puppet:
    """One of them. Waits until it listens."""

    def __init__(self, directory, generation, slot, deadline=20.0):
        self.generation, self.slot = generation, slot
        self._path = Path(directory, f"puppet.{generation}.{slot}")
        what = f"the puppet of generation {generation} in slot {slot}"
        self.pid = int(eventually(self._try_pid, deadline, what))

    def _try_pid(self):
        try:
            return self.do("print(os.getpid())")
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def do(self, text):
        """Has it executed; returns what it printed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hand:
            hand.settimeout(60 * PATIENCE)
            hand.connect(str(self._path))
            hand.sendall(text.encode())
            hand.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := hand.recv(65536):
                answer += chunk
        assert answer[:1] == b".", answer[1:].decode() or f"puppet {self.pid} ended over {text}"
        return answer[1:].decode().strip()

    def drop(self, text):
        """Has it executed where it ends of it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hand:
            hand.connect(str(self._path))
            hand.sendall(text.encode())

    @property
    def path(self):
        """Of its NOTIFY_SOCKET."""
        return Path(self.do("print(os.environ['NOTIFY_SOCKET'])"))

    @property
    def plays(self):
        """Is it there still? Whom a signal reaches, ends."""
        return procfs.is_alive(self.pid)

    def is_settled(self, master):
        """The log has all that came of what was done so far."""
        mark = f"mark {next(_MARKS)}"
        self.do(f"os.write(1, b'{mark}\\n')")
        master.wait_output(f"^{mark}$", worker=self.pid)
        return True


def playing(directory, generation):
    """The slots whose puppets of a generation have begun."""
    begun = (name.split(".") for name in os.listdir(directory) if name.startswith("puppet."))
    return sorted(int(words[2]) for words in begun if words[1:2] == [str(generation)])
