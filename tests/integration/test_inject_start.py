"""Calls that fail at the start: it says so in one line and leaves nothing, or it works (rule I7).

Each use of each call of a whole life fails in turn: from the first to the end of the only worker.
"""

import os
import re
import socket

import pytest
from harness import run
from strace import FORK, WAIT, FailingStart, injection, native_only

pytestmark = [native_only, pytest.mark.heavy]

STAT = "/^(new)?fstat(at)?(64)?$"

# A call of a start and the errors of its manual page.
CALLS = [
    ("socket", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES"]),
    ("bind", ["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM", "ENOSPC"]),
    ("listen", ["EADDRINUSE", "EOPNOTSUPP", "ENOBUFS"]),
    ("setsockopt", ["ENOPROTOOPT", "EPERM", "ENOMEM", "EINVAL"]),
    ("getsockname", ["ENOBUFS"]),
    ("connect", ["EACCES", "EAGAIN", "EINTR", "ENOENT", "EPROTOTYPE"]),
    ("linkat", ["EEXIST", "EPERM", "EROFS", "EMLINK"]),
    ("inotify_init1", ["EMFILE", "ENFILE", "ENOMEM"]),
    ("inotify_add_watch", ["EACCES", "ENOSPC", "ENOMEM"]),
    ("poll", ["EINTR", "ENOMEM"]),
    ("flock", ["EAGAIN", "ENOLCK", "EINTR"]),
    ("unlink", ["EACCES", "EROFS", "ENOENT"]),
    ("openat", ["EMFILE", "ENFILE", "EACCES", "ENOMEM"]),
    ("getdents64", ["ENOENT", "EIO"]),
    ("faccessat2", ["EACCES", "EIO"]),
    ("close_range", ["ENOSYS", "EPERM"]),
    ("epoll_create1", ["EMFILE", "ENFILE", "ENOMEM"]),
    ("signalfd4", ["EMFILE", "ENFILE", "ENODEV", "ENOMEM"]),
    ("epoll_ctl", ["ENOMEM", "ENOSPC"]),
    ("pipe2", ["EMFILE", "ENFILE"]),
    (FORK, ["EAGAIN", "ENOMEM"]),
    ("setpgid", ["EACCES", "ESRCH"]),
    (STAT, ["EACCES", "ENOMEM"]),
    ("fcntl", ["EINVAL", "EMFILE"]),
    ("read", ["EINTR", "EIO"]),
    ("write", ["EINTR", "EAGAIN", "ENOSPC"]),
    ("wait4", ["EINTR"]),
    (WAIT, ["EINTR", "ENOMEM"]),
]
# Without these a socket file cannot be removed.
REMOVING = {STAT, "unlink"}
USES_MAX = 40


def make_stale(path):
    """A socket file that nobody answers on; returns its inode."""
    for name in (path, path.with_name(f"{path.name}.socketmaster")):
        name.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    return path.stat().st_ino


def words(directory, path):
    uris = ["tcp://127.0.0.1:0?nodelay=1", f"unix://{path}?mode=660", "udp://127.0.0.1:0"]
    listen = [f"-listen={uri}" for uri in uris]
    return [*listen, "-start=0", f"-envdir={directory}", "-dir=/", "--", "/bin/true"]


class Try:
    """A start in which a use of a call fails, over a socket file that is left over from before."""

    def __init__(self, directory, call, error, when):
        path, variables = directory / "s", directory / "env"
        variables.mkdir(exist_ok=True)
        stale = make_stale(path)
        start = FailingStart(directory, injection(f"{call}:when={when}", error))
        self.done = run(*words(variables, path), starter=start.words)
        self.struck = start.struck > 0
        # Where the fault hits the dynamic loader the program does not begin.
        self.begun = "error while loading shared libraries" not in self.done.stderr
        self.left_file = path.exists() and path.stat().st_ino != stale
        self.left_file |= path.with_name("s.socketmaster").exists()
        self.where = f"{error} of use {when} of {call}: {self.done}"

    def judge(self, may_leave_file):
        told = re.findall(r"(?<!could not be started: )unable to .*: \w", self.done.stderr)
        assert self.done.status in (0, 1), self.where
        assert len(told) == 1 or self.done.status == 0, self.where
        assert may_leave_file or not self.left_file, self.where


@pytest.mark.rules("C6", "I7", "L5", "L7", "X3")
@pytest.mark.parametrize("call, errors", CALLS)
def test_each_call_of_a_start_may_fail(call, errors, socket_dir):
    begun = False
    for error in errors:
        for use in range(1, USES_MAX):
            tried = Try(socket_dir, call, error, use)
            if not tried.struck:
                assert tried.done.status == 0 and use > 1, f"never used: {tried.where}"
                break
            if tried.begun:
                tried.judge(call in REMOVING)
                begun = True
        else:
            raise AssertionError(f"{call} was used too often")
    assert begun


@pytest.mark.rules("C6", "I7", "L5", "L7", "X3")
@pytest.mark.parametrize("call, errors", [row for row in CALLS if row[0] != "wait4"])
def test_each_call_of_a_start_may_fail_for_ever(call, errors, socket_dir):
    # These two ask to try again.
    for error in set(errors) - {"EINTR", "EAGAIN"}:
        tried = Try(socket_dir, call, error, "1+")
        assert tried.struck, tried.where
        if tried.begun:
            tried.judge(call in REMOVING)


@pytest.mark.rules("C6", "I7", "L5", "L7", "X3")
@pytest.mark.parametrize("call", ["socket", "bind", "listen", "getsockname", "epoll_create1"])
def test_a_start_that_failed_hinders_no_other(call, socket_dir):
    path, variables = socket_dir / "s", socket_dir / "env"
    variables.mkdir()
    for use in ("1", "2+"):
        start = FailingStart(socket_dir, f"{call}:error=ENOMEM:when={use}")
        assert run(*words(variables, path), starter=start.words).status == 1
        assert sorted(os.listdir(socket_dir)) == ["env", "strace"]
        assert run(*words(variables, path)).status == 0
