"""A signal between any two calls of a reload: each call that a reload makes is met by one, in turn.

strace sends the signal when the master enters the Nth use of a call.
"""

import itertools
import re
from collections import Counter
from signal import SIGHUP, SIGKILL, SIGTERM

import pytest
from harness import eventually
from masterlog import says
from patient import Patient
from strace import Fault, native_only

pytestmark = [native_only, pytest.mark.heavy]

FORKS = {"clone", "clone3", "fork", "vfork"}
# Of the calls that come in a row with nothing between, one stands for the others.
LEFT_OUT = {"getpid", "getdents64", "fcntl"}
# Between these a worker comes to be, and another is told to leave.
KILLED_AT = FORKS | {"pipe2", "setpgid", "epoll_ctl", "kill", "write"}


def calls_of_a_reload(begin, directory):
    """[(call, which use of it)] of the master, from its rest to its rest."""
    directory.mkdir()
    sick = Patient(begin, directory)
    with Fault(sick.master, directory) as fault:
        sick.recover()
        sick.master.wait_log(says("ended", generation=1))
        calls = [name for name in fault.calls if name not in LEFT_OUT]
    uses = Counter()
    found = []
    for name in calls:
        uses[name] += 1
        found.append((name, uses[name]))
    assert {"read", "pipe2", "epoll_ctl", "wait4", "kill", "write"} <= uses.keys()
    assert FORKS & uses.keys()
    return found


class Strike(Fault):
    """A signal to a master, sent as it enters one use of a call."""

    def __init__(self, master, directory, name, call, use):
        super().__init__(master, directory, f"{call}:signal={name}:when={use}")
        self._master, self._call, self._use = master, call, use
        self.reloads = 0

    def provoke(self):
        """Asks for a reload, and for another in the rare case that the first was not enough."""
        polls = itertools.count()

        def has_struck():
            if self.calls.count(self._call) >= self._use:
                return True
            if next(polls) % 100 == 0:
                self._master.hup()
                self.reloads += 1
            return False

        eventually(has_struck, what=f"use {self._use} of {self._call}")

    def forks(self, afterwards=False):
        """How many workers were started; or only from the moment on at which it struck."""
        calls = self.calls
        places = [place for place, name in enumerate(calls) if name == self._call]
        first = places[self._use - 1] + 1 if afterwards else 0
        return sum(name in FORKS for name in calls[first:])


def strikes(master, directory):
    """(call, use, a directory for it) of each call."""
    for number, (call, use) in enumerate(calls_of_a_reload(master, directory / "plain")):
        path = directory / str(number)
        path.mkdir()
        yield call, use, path


@pytest.mark.rules("G1", "I3", "I5", "R2", "X1")
def test_a_stop_between_any_two_calls_of_a_reload(socket_dir, master):
    for call, use, path in strikes(master, socket_dir):
        sick = Patient(master, path, start=5)
        with Strike(sick.master, path, "TERM", call, use) as strike:
            strike.provoke()
            assert sick.master.wait_exit() == 0, (call, use)
        texts = [line.text for line in sick.master.log.lines]
        (stop,) = [place for place, text in enumerate(texts) if re.search(says("stop"), text)]
        assert not any(re.search(says("reload"), text) for text in texts[stop:]), (call, use)
        # The reload may have been at this very step.
        assert strike.forks(afterwards=True) <= 1
        assert sick.master.leftovers == []
        for note in sick.notes.read("start"):
            assert sick.notes.signals(note.pid).count(SIGTERM) <= 1


def settle(sick):
    """Waits until every rollout is over, and every worker but the last has gone."""

    def is_settled():
        begun = [found["generation"] for found in sick.master.said("started")]
        ended = [found["generation"] for found in sick.master.said("rollout_ended")]
        return begun == ended and len(sick.master.workers) == 1

    eventually(is_settled, what="the end of every rollout")


@pytest.mark.rules("I3", "I4", "R2", "R9")
def test_a_reload_asked_for_between_any_two_calls_of_another_is_not_lost(socket_dir, master):
    sick = None
    for call, use, path in strikes(master, socket_dir):
        sick = sick or Patient(master, path, start=5)
        with Strike(sick.master, path, "HUP", call, use) as strike:
            strike.provoke()
            eventually(lambda: strike.forks(afterwards=True), what=f"a reload after {call} {use}")
            settle(sick)
            assert strike.forks() <= strike.reloads + 1, (call, use)
        starts = [note.pid for note in sick.notes.read("start")]
        assert all(sick.notes.signals(pid) == [SIGHUP] for pid in starts[:-1])
        sick.worker = starts[-1]
        sick.assert_serving()


@pytest.mark.rules("G2", "I3", "R2")
def test_a_child_signal_between_any_two_calls_changes_nothing(socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, "all:signal=CHLD"):
        for _ in range(3):
            sick.recover()
    assert len(sick.master.said("ended")) == 3
    sick.recover()


@pytest.mark.rules("I1", "L6", "R2")
def test_a_master_killed_between_any_two_calls_of_a_reload_leaves_who_serves(
    socket_dir, master, load
):
    for call, use, path in strikes(master, socket_dir):
        if call not in KILLED_AT:
            continue
        sick = Patient(master, path, start=5, orderly=False)
        clients = load(sick.master.address)
        clients.wait_answered(5)
        with Strike(sick.master, path, "KILL", call, use) as strike:
            strike.provoke()
            assert sick.master.wait_exit() == -SIGKILL, (call, use)
        clients.wait_answered(20)
        clients.assert_lossless(at_least=20)
