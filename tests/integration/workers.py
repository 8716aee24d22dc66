"""Workers as a test sees them: what they noted, what they run, and what keeps them busy."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import client
import procfs
from harness import SERVER, eventually


@dataclass(frozen=True)
class Note:
    kind: str  # "start", "stop" or "exit"
    pid: int
    value: int  # of a start the generation, of a stop the signal
    ns: int  # on the monotonic clock


class Notes:
    """The file in which fixture servers note when they started, were told to stop, and left.

    A server notes its start once it obeys signals.
    """

    def __init__(self, directory):
        self.path = Path(directory, "notes")
        self.option = f"--marker={self.path}"

    def read(self, kind=None, pid=None):
        if not self.path.exists():
            return []
        notes = []
        for line in self.path.read_text().splitlines():
            what, who, *value, ns = line.split()
            notes.append(Note(what, int(who), int(value[0]) if value else 0, int(ns)))
        return [n for n in notes if kind in (None, n.kind) and pid in (None, n.pid)]

    @property
    def generations(self):
        """Those that got to run, in order."""
        return [note.value for note in self.read("start")]

    def signals(self, pid):
        """What a worker was sent to stop it, in order."""
        return [note.value for note in self.read("stop", pid)]

    def wait_start(self, generation):
        """Waits until its worker obeys signals; returns the pid."""

        def started():
            return [note.pid for note in self.read("start") if note.value == generation]

        return eventually(started, what=f"generation {generation}")[0]

    def wait_signal(self, pid, number, count=1):
        """Waits until a worker got a signal so many times."""
        eventually(
            lambda: self.signals(pid).count(number) >= count, what=f"signal {number} to {pid}"
        )


class Deploy:
    """A command that a test replaces between two reloads, as a deploy does."""

    def __init__(self, directory, *options):
        self.directory = Path(directory)
        self.path = self.directory / "command"
        self.notes = Notes(directory)
        self.serve(*options)

    def serve(self, *options):
        """From now on the fixture server, with these options."""
        self.run("exec " + shlex.join([SERVER, self.notes.option, *options]))

    def run(self, script):
        """From now on a shell script."""
        self.place(f"#!/bin/sh\n{script}\n")

    def place(self, content, mode=0o755):
        """From now on a file of this content."""
        fresh = self.directory / "command.new"
        fresh.write_text(content)
        fresh.chmod(mode)
        if self.path.is_dir():
            self.path.rmdir()
        fresh.replace(self.path)

    def remove(self):
        """From now on nothing is there."""
        self.path.unlink()


class Held:
    """A connection that a worker has accepted, answered once, and may not drop."""

    def __init__(self, master, address=None):
        self._connected = master.connect(address)
        self.pid = self.ask().pid

    def ask(self):
        self._connected.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        data = b""
        while not data.endswith(b"\n") or b"\r\n\r\n" not in data:
            chunk = self._connected.recv(65536)
            if not chunk:
                raise ConnectionError(f"closed after {data!r}")
            data += chunk
        return client.parse_answer(data)

    def release(self):
        self._connected.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


def wait_gone(pid, deadline=10.0):
    """Waits until a process has ended, and was reaped."""
    eventually(lambda: pid not in procfs.processes(), deadline, f"the end of {pid}")


def wait_only(master, pid):
    """Waits until a master has no other worker, and no zombie."""
    eventually(
        lambda: master.workers == [pid] and not master.zombies, what=f"{pid} as the only worker"
    )


def wait_serves_alone(master, pid):
    """Waits until a worker answers, and every other has closed its listeners."""

    def alone():
        others = [other for other in master.workers if other != pid]
        if any(os.path.lexists(f"/proc/{other}/fd/3") for other in others):
            return False
        return master.get().pid == pid

    eventually(alone, what=f"{pid} alone at the listener")
