"""Pools of workers as their log tells of them, and the bounds that hold at every line of it."""

import re
from collections import Counter
from signal import SIGTTIN, SIGTTOU

import procfs
from harness import eventually
from masterlog import says
from workers import wait_gone

_EVENTS = ["started", "ready", "retired", "stopped", "ended", "rollout_done"]
_PATTERNS = [(event, re.compile(says(event))) for event in _EVENTS]


def events(master, since=0):
    """The steps of workers in order: (event, pid)."""
    for line in master.log.lines[since:]:
        if line.worker:
            continue
        for event, pattern in _PATTERNS:
            found = pattern.search(line.text)
            if found:
                yield event, int(found.groupdict().get("pid") or 0)


def assert_smooth(master, workers, max_starting):
    """Never fewer served than `workers`, once that many did, and never more were starting or
    ready than so many and max_starting; returns the most that were starting at once."""
    state, most_starting, complete = {}, 0, False
    for event, pid in events(master):
        if event in ("retired", "stopped", "ended"):
            state.pop(pid, None)
        elif event != "rollout_done":
            state[pid] = event
        count = Counter(state.values())
        complete = complete or event == "rollout_done"
        assert not complete or count["ready"] >= workers, (event, pid, count)
        assert sum(count.values()) <= workers + max_starting, (event, pid, count)
        assert count["started"] <= max_starting, (event, pid, count)
        most_starting = max(most_starting, count["started"])
    return most_starting


def slots(master, generation):
    """pid -> slot of the workers that a generation started."""
    started = master.said("started", generation=generation)
    return {int(one["pid"]): int(one["slot"]) for one in started}


def wait_pool(master, generation, count, deadline=20.0):
    """Waits until `count` workers of a generation are ready and nobody else is left; their pids."""

    def complete():
        ready = {int(one["pid"]) for one in master.said("ready", generation=generation)}
        left = set(master.workers)
        return sorted(left) if left <= ready and len(left) == count else None

    what = f"{count} workers of generation {generation} alone"
    pids = eventually(complete, deadline, what)
    eventually(lambda: not master.zombies, what="reaped workers")
    return pids


def wait_served_by(master, pids):
    """Waits until each of them has answered."""
    seen = set()

    def all_answered():
        seen.add(master.get().pid)
        return seen >= set(pids)

    eventually(all_answered, 30.0, f"answers of {pids}", interval=0)


def scale(master, by):
    """TTIN or TTOU, one at a time; returns how many workers are wanted then."""
    for _ in range(abs(by)):
        since = len(master.log)
        master.signal(SIGTTIN if by > 0 else SIGTTOU)
        told = master.wait_log(
            r"^(?:workers wanted|refused a number of workers) .*: (?P<count>\d+)$", since=since
        )
    return int(told["count"])


def wait_all_gone(pids):
    for pid in pids:
        wait_gone(pid)


def all_alive(pids):
    return all(procfs.is_alive(pid) for pid in pids)
