"""Workers that write more than the log takes: how they are asked to, and what has to come of it."""

import array
import fcntl
import os
import select
import termios
from contextlib import contextmanager
from pathlib import Path

import client
import procfs
from harness import PATIENCE, eventually

LINE = 100  # bytes of a flood's line, its newline included, unless said otherwise
# More lines than fit between a worker and a reader that is stuck.
MANY = 20000


def numbered(word, count, length=LINE):
    """The numbered lines of the fixture server as it writes them, without their newlines."""
    filling = "x" * length
    end = max(length, len(word) + 12) - 1
    return [f"{word} {number:010d} {filling}"[:end] for number in range(1, count + 1)]


class Asked:
    """A request that is answered once the worker has written so many lines; a context manager."""

    def __init__(self, address, lines=MANY, length=LINE):
        self._connected = client.connect(address, 30 * PATIENCE)
        request = f"GET /log?lines={lines}&bytes={length} HTTP/1.1\r\nConnection: close\r\n\r\n"
        self._connected.sendall(request.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connected.close()

    def answer(self):
        """Waits for that."""
        data = b""
        while chunk := self._connected.recv(65536):
            data += chunk
        return client.parse_answer(data)


def write_lines(address, lines, length=LINE):
    """Has a worker write lines, and waits until it has; returns its answer."""
    with Asked(address, lines, length) as asked:
        return asked.answer()


@contextmanager
def _output_of(worker):
    fd = os.open(f"/proc/{worker}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_full(worker):
    with _output_of(worker) as fd:
        return not select.select([], [fd], [], 0)[1]


def _is_empty(worker):
    left = array.array("i", [0])
    with _output_of(worker) as fd:
        fcntl.ioctl(fd, termios.FIONREAD, left)
    return left[0] == 0


def _sleeps_while(master, condition):
    """Does the master sleep, although or because it is so?"""
    return condition() and procfs.processes()[master.pid].state == "S" and condition()


def wait_stuck(master, worker):
    """Waits until the worker's pipe is full and the master leaves it so."""
    eventually(
        lambda: _sleeps_while(master, lambda: _is_full(worker)), what="a full pipe that is left so"
    )


def wait_taken(master, worker):
    """Waits until the master has dealt with all that the worker wrote."""
    eventually(
        lambda: _sleeps_while(master, lambda: _is_empty(worker)), what="an empty pipe and a rest"
    )


def written(worker):
    """How many bytes a worker has written so far, to whatever."""
    for line in Path(f"/proc/{worker}/io").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "wchar":
            return int(value)
    raise KeyError("wchar")
