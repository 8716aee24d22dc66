"""process: the programs under measurement, started, listened to, looked at and ended.

Owns every process and socket that a measurement opens. What is measured, and how often, is decided
in measures.py.
"""

import contextlib
import itertools
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE_S = 20


class Broken(Exception):
    """What a measurement needs did not happen."""


class Ears:
    """The datagram socket on which worker.c says what it did. Each has a name of its own, so that
    what comes late is heard by nobody."""

    numbers = itertools.count(1)

    def __init__(self):
        self.name = f"socketmaster-bench-{os.getpid()}-{next(self.numbers)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name)
        self.socket.settimeout(PATIENCE_S)

    def hear(self, what):
        """The numbers of the next message, which must be of that kind: (pid, first, second)."""
        try:
            kind, *numbers = self.socket.recv(256).decode().split()
        except TimeoutError:
            raise Broken(f"no worker has said {what!r}") from None
        if kind != what:
            raise Broken(f"a worker said {kind!r} where {what!r} was due")
        return [int(number) for number in numbers]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Log:
    """What a program writes to its standard error, in a file that is looked at again and again: a
    pipe would make it wait for its reader. What was read once is gone."""

    TMPFS = pathlib.Path("/dev/shm")
    LOOK_S = 0.0005

    def __init__(self):
        self.file = tempfile.TemporaryFile(dir=self.TMPFS if self.TMPFS.is_dir() else None)
        self.at = 0

    def wait_for(self, lines):
        """Waits until the log says each of these so often: {bytes: times}."""
        deadline = time.monotonic() + PATIENCE_S
        missing, rest = dict(lines), b""
        while any(times > 0 for times in missing.values()):
            if time.monotonic() > deadline:
                raise Broken(f"the log lacks {missing}, and ends with {rest!r}")
            time.sleep(self.LOOK_S)
            # Where the file stands is what the program has written: they share it.
            more = os.pread(self.file.fileno(), 1 << 20, self.at)
            self.at += len(more)
            *whole, rest = (rest + more).split(b"\n")
            for line in whole:
                for words in missing:
                    missing[words] -= words in line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


class Program:
    """A running floor, master or tool, and the pids of its workers."""

    def __init__(self, command, **streams):
        streams.setdefault("stdin", subprocess.DEVNULL)
        streams.setdefault("stderr", subprocess.DEVNULL)
        self.child = subprocess.Popen([os.fspath(part) for part in command], **streams)
        self.pid = self.child.pid
        self.proc = pathlib.Path("/proc", str(self.pid))
        self.workers = set()

    def signal(self, number):
        os.kill(self.pid, number)

    def cpu_ns(self):
        """CPU time of this process alone; of a zombie too."""
        return int((self.proc / "schedstat").read_text().split()[0])

    def settle(self):
        """Waits until it has done nothing for a while."""
        deadline = time.monotonic() + PATIENCE_S
        before = None
        while before != (before := self.cpu_ns()):
            if time.monotonic() > deadline:
                raise Broken(f"process {self.pid} never comes to rest")
            time.sleep(0.02)

    def memory_kb(self):
        """Resident and proportional set size."""
        fields = dict(
            line.split()[:2]
            for line in (self.proc / "smaps_rollup").read_text().splitlines()[1:]
        )
        return int(fields["Rss:"]), int(fields["Pss:"])

    def descriptors(self):
        return len(os.listdir(self.proc / "fd"))

    def threads(self):
        return len(os.listdir(self.proc / "task"))

    def voluntary_switches(self):
        """How often it has gone to sleep, and so how often it was woken, since its start."""
        for line in (self.proc / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
        raise Broken("the kernel does not count context switches")

    def wait(self):
        """Waits for its end and leaves it a zombie, whose CPU time can still be read."""
        fd = os.pidfd_open(self.pid)
        try:
            if not select.select([fd], [], [], PATIENCE_S)[0]:
                raise Broken(f"process {self.pid} does not end")
        finally:
            os.close(fd)

    def end(self):
        """Ends it, which ends its workers."""
        self.child.terminate()
        try:
            self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            for pid in (*self.workers, self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def wait_gone(pid):
    """Waits until a worker has been reaped."""
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            if time.monotonic() > deadline:
                raise Broken(f"worker {pid} was not reaped")
            time.sleep(0.0005)


def free_port():
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
