"""Circumstances that the program is started in: what a shell, a service manager or strace leaves.

Each function returns words to put before the program's own (`starter=` of harness.Launch). They
end in an exec, so the process stays the same one.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import harness
import pytest

NOBODY = 65534  # user and group

_CIRCUMSTANCES = r"""
import fcntl, json, os, resource, signal, sys
how = json.loads(sys.argv[1])
placed = {int(fd): fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 400)
          for fd, source in how["fds"].items()}
for source in how["fds"].values():
    if source > 2:
        os.close(source)
for fd in how["clutter"]:
    os.dup2(os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC), fd)
for fd, lifted in placed.items():
    os.dup2(lifted, fd)
os.umask(how["umask"]) if how["umask"] is not None else None
os.nice(how["nice"])
for name, limits in how["limits"].items():
    resource.setrlimit(getattr(resource, name), limits)
if how["listen_pid"]:
    os.environ["LISTEN_PID"] = str(os.getpid())
if how["signals"]:
    every = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    for number in every:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, every)
for fd in how["closed"]:
    os.close(fd)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def circumstances(
    fds=None,
    clutter=(),
    closed=(),
    signals=False,
    listen_pid=False,
    umask=None,
    nice=0,
    limits=None,
):
    """Words that arrange the following.

    fds         {number: descriptor of the test's, which pass_fds has to name, too}
    clutter     numbers at which a device is left open
    closed      numbers to close, such as 0
    signals     block and ignore all of them
    listen_pid  set LISTEN_PID to the program's pid
    limits      {"RLIMIT_CORE": [soft, hard], ...}
    """
    how = {
        "fds": fds or {},
        "clutter": list(clutter),
        "closed": list(closed),
        "signals": signals,
        "listen_pid": listen_pid,
        "umask": umask,
        "nice": nice,
        "limits": limits or {},
    }
    return [sys.executable, "-ISc", _CIRCUMSTANCES, json.dumps(how)]


# Stops itself before it becomes the program: SIGCONT starts that at once.
AT_THE_LINE = ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh"]


class Strace:
    """strace, which writes what it sees into a file of the directory. Not under a wrapper."""

    def __init__(self, directory, *options):
        if harness.WRAPPER:
            pytest.skip("strace does not go with a wrapper")
        self._file = Path(directory, "strace")
        # A program that is traced cannot look for leaks.
        how = ["-f", "-qq", "-s", "300", "-E", "LSAN_OPTIONS=detect_leaks=0"]
        self.words = ["strace", *how, "-o", str(self._file), *options]

    @property
    def calls(self):
        """The lines without the pid, "name(arguments) = result"."""
        lines = self._file.read_text(errors="replace").splitlines()
        return [line.split(maxsplit=1)[1] for line in lines if "(" in line]


def public_copy(program, directory):
    """A copy that every user can reach, wherever the checkout is."""
    copy = Path(directory, Path(program).name)
    shutil.copy(program, copy)
    copy.chmod(0o755)
    return str(copy)


def as_nobody(directory):
    """What makes Launch run the program without rights: nothing where the tester has none."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "binary": public_copy(harness.BINARY, directory)}
