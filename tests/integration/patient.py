"""A master that is about to suffer, and what has to be true of it during a fault and afterwards."""

import os
import re
from collections import Counter
from signal import SIGHUP

from harness import eventually
from masterlog import says
from workers import Notes, wait_only

# A sanitized build looks for leaks at its end by tracing itself, which it cannot while traced.
_WITHOUT_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def kinds(master):
    """The master's descriptors, by what they are."""
    return Counter(re.sub(r"\d+", "", target) for target in master.fds.values())


class Patient:
    """A master that serves, with a directory of variables and one to run in, so that it uses every
    call of a start. begin: the fixture `master`; what else it takes goes to that."""

    def __init__(self, begin, directory, *options, start=20, server=(), **how):
        self.notes = Notes(directory)
        self.envdir = directory / "env"
        self.envdir.mkdir()
        self.master = begin(
            f"-envdir={self.envdir}",
            f"-dir={directory}",
            *options,
            start=start,
            env=_WITHOUT_LEAK_CHECK,
            server=[self.notes.option, *server],
            **how,
        )
        self.worker = self.notes.wait_start(1)
        if self.master.log is not None:
            self.master.wait_log(says("rollout_done", generation=1))
        self.healthy = kinds(self.master)

    def assert_serving(self):
        """The same worker serves; it alone is left, and nobody disturbed it."""
        wait_only(self.master, self.worker)
        assert self.master.get().pid == self.worker
        assert self.notes.signals(self.worker) == []
        self._wait_healthy()

    def accept(self, ended):
        """A rollout ended so (the match of its line): the right worker is left, undisturbed."""
        if ended["how"] == "done":
            self.worker = self.notes.wait_start(int(ended["generation"]))
        self.assert_serving()

    def recover(self):
        """The next reload works, and leaves nothing behind."""
        generation = self.master.reload()
        old, self.worker = self.worker, self.notes.wait_start(generation)
        wait_only(self.master, self.worker)
        assert self.master.get().pid == self.worker
        assert self.notes.signals(old) == [SIGHUP]
        self._wait_healthy()

    def _wait_healthy(self):
        eventually(lambda: kinds(self.master) == self.healthy, what="the descriptors of before")
