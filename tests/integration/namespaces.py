"""A master that is process 1 of a pid namespace, and processes with pids of choice beside it."""

import os
import subprocess
import sys
from signal import SIGKILL

import procfs
import pytest
from harness import PATIENCE, Master, eventually

IN_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
ENTER = ["nsenter", "--pid"]
if os.geteuid() != 0:
    IN_NAMESPACE.insert(1, "--map-root-user")
    ENTER += ["--user", "--preserve-credentials"]


def is_allowed(*command):
    done = subprocess.run(command, capture_output=True, timeout=60 * PATIENCE)
    return done.returncode == 0


class Init(Master):
    """A master that is process 1 of its pid namespace.

    `pid` and `workers` are numbers as the test sees them; those in the log are the namespace's.
    """

    def __init__(self, *options, **how):
        if not is_allowed(*IN_NAMESPACE, "true"):
            pytest.skip("making a pid namespace is forbidden here")
        super().__init__(*options, starter=IN_NAMESPACE, **how)
        self.pid = eventually(lambda: procfs.children(self.process.pid), what="process 1")[0]

    def signal(self, number):
        os.kill(self.pid, number)


# A process with a pid of choice that notes every signal: all are blocked, so they stay pending.
STRANGER = """
import os, signal, sys
wanted = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for _ in range(1000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(wanted - 1))
    pid = os.fork()
    if pid == 0:
        if os.getpid() == wanted:
            os.setpgid(0, 0)
            os.execvp("sleep", ["sleep", "1000"])
        os._exit(0)
    if pid == wanted:
        print("there", flush=True)
        signal.sigwait([signal.SIGCHLD])
        break
    os.waitpid(pid, 0)
"""


class Stranger:
    """A process in a master's namespace that has got the pid of a worker that is gone."""

    def __init__(self, master, pid):
        self.process = subprocess.Popen(
            [*ENTER, f"--target={master.pid}", sys.executable, "-c", STRANGER, str(pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self.process.stdout.readline() != b"there\n":
            problem = self.process.communicate()[1].decode()
            pytest.skip(f"no process can be given a pid here: {problem.splitlines()[-1:]}")
        (helper,) = procfs.children(self.process.pid)
        (self.pid,) = procfs.children(helper)
        eventually(lambda: self._is_sleep(), what="a sleeping stranger")

    def _is_sleep(self):
        return procfs.arguments(self.pid)[:1] == ["sleep"]

    def assert_untouched(self):
        assert self._is_sleep() and procfs.is_alive(self.pid)
        assert int(procfs.status(self.pid, "ShdPnd"), 16) == 0
        assert int(procfs.status(self.pid, "SigPnd"), 16) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its helper ends with it, and with that one what let it in.
        if procfs.is_alive(self.pid):
            os.kill(self.pid, SIGKILL)
        self.process.communicate(timeout=60 * PATIENCE)
