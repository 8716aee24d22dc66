"""Processes as /proc shows them: who descends from whom, what each holds and has used.

Everything here is a snapshot: a process that ends meanwhile is simply not in it any more.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    state: str  # "Z": a zombie
    parent: int
    group: int
    session: int


def processes():
    """Every process of the machine, by pid."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name stands in brackets and may hold anything, also brackets.
        state, parent, group, session = stat.rpartition(")")[2].split()[:4]
        found[int(entry)] = Process(int(entry), state, int(parent), int(group), int(session))
    return found


def children(pid, zombies=False):
    """The pids of the living children of a process, or of those that it has not reaped."""
    return sorted(
        child.pid
        for child in processes().values()
        if child.parent == pid and (child.state == "Z") == zombies
    )


def is_alive(pid):
    """Does it run, as more than a zombie?"""
    process = processes().get(pid)
    return process is not None and process.state != "Z"


def environment(pid):
    """What it was executed with: a list of NAME=VALUE in order, so that doubles show."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return [os.fsdecode(entry) for entry in entries if entry]


def arguments(pid):
    return [os.fsdecode(a) for a in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]


def fds(pid):
    """Its open descriptors: number -> what the link says."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
        except FileNotFoundError:
            continue
    return found


def status(pid, field):
    """A field of /proc/PID/status as text, such as "Uid" or "voluntary_ctxt_switches"."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise KeyError(field)


def rss_kb(pid):
    return int(status(pid, "VmRSS").split()[0])


def pss_kb(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise KeyError("Pss")


def cpu_seconds(pid):
    """Time on a processor so far, of the process alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def marked(entry, session):
    """The living processes that have `entry` in their environment or belong to the session."""
    found = []
    for process in processes().values():
        if process.state == "Z" or process.pid == os.getpid():
            continue
        try:
            if process.session == session or entry in environment(process.pid):
                found.append(process.pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
