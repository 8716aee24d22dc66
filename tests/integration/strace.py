"""strace as a source of faults: it makes system calls of a real master fail, dawdle, or be met by a
signal, while that runs or from its first call on.

What is injected is said in strace's own words (inject= of its manual), "pipe2:error=EMFILE:when=2".
"""

import re
import subprocess
import threading
from pathlib import Path
from signal import SIGINT

import harness
import pytest
from harness import PATIENCE

native_only = pytest.mark.skipif(
    bool(harness.WRAPPER), reason="the wrapper would meet the fault as well"
)

# Calls that have another name on another machine or with another C library.
FORK = "/^(clone3?|v?fork)$"
WAIT = "/^epoll_p?wait2?$"


def injection(call, error):
    """The words for a call, or for CALL:when=..., that fails with an error."""
    name, _, when = call.partition(":")
    return f"{name}:error={error}" + (f":{when}" if when else "")


def _options(inject):
    return [word for one in inject for word in ("-e", f"inject={one}")]


class _Trace:
    """What strace wrote, in which every line is a call, in the order in which they began."""

    def __init__(self, directory):
        self._file = Path(directory, "strace")
        self._file.unlink(missing_ok=True)

    @property
    def calls(self):
        """The names of the calls so far, if there is one process."""
        text = self._file.read_text(errors="replace") if self._file.exists() else ""
        return re.findall(r"^(\w+)\(", text, re.MULTILINE)

    @property
    def struck(self):
        """How often a call was made to fail."""
        return self._file.read_text(errors="replace").count("(INJECTED)")


class Fault(_Trace):
    """strace on a running master. Use it as a context manager.

    workers  also in the processes that the master starts meanwhile
    """

    def __init__(self, master, directory, *inject, workers=False):
        super().__init__(directory)
        words = ["strace", "-o", self._file, "-p", str(master.pid), *(["-f"] if workers else [])]
        self._strace = subprocess.Popen(
            [*words, *_options(inject)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = self._strace.stderr.readline()
        if "attached" not in said:
            self._strace.communicate()
            assert "not permitted" in said.lower(), said
            pytest.skip(f"tracing is forbidden here: {said}")
        # One that follows says a line for each process; nobody has to read them.
        self._reader = threading.Thread(target=self._strace.stderr.read)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._strace.send_signal(SIGINT)
        self._reader.join()
        self._strace.wait(60 * PATIENCE)
        self._strace.stderr.close()


class FailingStart(_Trace):
    """strace as what starts the program, `words` of it. The workers are not traced."""

    def __init__(self, directory, *inject):
        super().__init__(directory)
        # A program that is traced cannot look for leaks.
        how = ["-qq", "-E", "LSAN_OPTIONS=detect_leaks=0", "-o", str(self._file)]
        self.words = ["strace", *how, *_options(inject)]
