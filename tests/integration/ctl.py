"""socketmasterctl as the tests run it: once, for a while, on a terminal, and for a master of its own."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

from harness import PATIENCE, Launch, run
from masterlog import says

DONE, REFUSED, WRONG, TIMED_OUT, NO_MASTER = range(5)
SHORT = int(300 * PATIENCE**0.5)  # milliseconds: an answer that is there at once comes within them


def ctl(path, *words, **how):
    return run("ctl", f"-control={path}", *words, **how)


class launched:
    """A client that runs beside the test, and has gone after it."""

    def __init__(self, *words, **how):
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        self._launch = Launch(words, **how)
        self.stdout = self._launch.process.stdout
        self.stderr = self._launch.process.stderr
        self.process = self._launch.process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._launch.kill_all()
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self._launch.complaints(complete=False)

    def wait(self):
        return self._launch.wait(10)


class Terminal:
    """A client on a terminal of its own."""

    def __init__(self, *words, size=(24, 80), env=None):
        self.master, follower = pty.openpty()
        self.resize(size)
        settings = termios.tcgetattr(follower)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(follower, termios.TCSANOW, settings)
        env = {"TERM": "xterm", "NO_COLOR": None, **(env or {})}
        self.client = launched(*words, env=env, stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)

    def resize(self, size):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def read(self):
        """What is shown until the client has gone."""
        shown = b""
        while True:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                return shown.decode()
            shown += part

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        os.close(self.master)


class Ctl:
    """A master with a control socket, and the client that talks to it."""

    def __init__(self, master, socket_dir, *options, **how):
        self.path = socket_dir / "c"
        self.master = master(f"-control={self.path}", *options, **how)
        self.master.wait_log(says("rollout_done", generation=1))

    def __call__(self, *words, **how):
        return run("ctl", f"-control={self.path}", *words, **how)

    def launched(self, *words, **how):
        return launched("ctl", f"-control={self.path}", *words, **how)

    def status(self):
        done = self("status", "-json")
        assert (done.status, done.stderr) == (DONE, "")
        return json.loads(done.stdout)
