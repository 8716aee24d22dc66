"""A worker's world as it shows it itself, generation after generation."""

import procfs
from harness import REPORTS
from workers import wait_only


def generations(master, last=2):
    """Reloads up to generation `last`; yields the worker's pid while it alone serves."""
    for generation in range(1, last + 1):
        worker = master.wait_ready(generation)
        wait_only(master, worker)
        assert master.wait_serving(master.address).pid == worker
        yield worker
        if generation < last:
            master.reload()


def page(master, path, separator, address=None):
    """The lines of a page of the fixture server as a dictionary."""
    return dict(line.split(separator, 1) for line in master.get(path, address).lines)


def variables(master):
    """The worker's environment; each name must be there once."""
    lines = master.get("/env").lines
    found = dict(line.split("=", 1) for line in lines)
    assert len(found) == len(lines), lines
    return found


def descriptors(master, address=None):
    """The worker's descriptors at its start, number -> words; not valgrind's, which reach it."""
    found = page(master, "/fds", " ", address)
    return {int(fd): words for fd, words in found.items() if f"target=/tmp/{REPORTS}" not in words}


def is_asleep(pid):
    """Whether the process sleeps, and goes on sleeping."""

    def switches():
        return procfs.status(pid, "voluntary_ctxt_switches")

    before = switches()
    for _ in range(20):
        if procfs.processes()[pid].state != "S" or switches() != before:
            return False
    return True
