"""Servers without a master: a small launcher passes them the sockets, as a master would."""

import os
import socket
import subprocess
import sys
from signal import SIGHUP

import client
import harness
from harness import SERVER, eventually

# argv: the descriptors to pass on, joined by commas; then the command.
LAUNCHER = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",") if fd]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
os.closerange(3 + len(fds), 200)
if os.environ.get("LISTEN_PID") == "own":
    os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def open_socket(kind, directory):
    """A listening or bound socket of the kind, and its address as a URI."""
    path = directory / "s"
    if kind in ("tcp", "udp"):
        opened = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        )
        opened.bind(("127.0.0.1", 0))
        uri = f"{kind}://127.0.0.1:{opened.getsockname()[1]}"
    elif kind == "tcp6":
        opened = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        opened.bind(("::1", 0))
        uri = f"tcp6://[::1]:{opened.getsockname()[1]}"
    else:
        scheme, abstract = kind.removesuffix("@"), kind.endswith("@")
        opened = socket.socket(socket.AF_UNIX, client.UNIX[scheme])
        name = f"@{path}" if abstract else f"//{path}"
        opened.bind(client.unix_name(name))
        uri = f"{scheme}:{name}"
    if opened.type != socket.SOCK_DGRAM:
        opened.listen(4096)
    return opened, uri


class Served:
    """One server process on the sockets of the test."""

    def __init__(self, sockets, options=(), env=None, command=(SERVER,)):
        fds = [one.fileno() for one in sockets]
        words = [",".join(map(str, fds)), *command, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", LAUNCHER, *words],
            env={"PATH": os.environ["PATH"], **(env or {})},
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def wait_exit(self, deadline=10.0):
        return self.process.wait(deadline * harness.PATIENCE)

    def stop(self, number=SIGHUP):
        self.process.send_signal(number)
        return self.wait_exit()

    def wait_line(self, word):
        """Reads its output until a line begins with the word; returns the line."""
        for line in self.process.stdout:
            if line.startswith(word.encode()):
                return line.decode().rstrip("\n")
        raise AssertionError(f"ended without the line {word!r}")

    def wait_answering(self, uri):
        """Waits until it is this server that answers."""

        def answers():
            try:
                return client.get(uri).pid == self.pid
            except ConnectionRefusedError:
                return False

        eventually(answers, what=f"an answer of {self.pid}")
