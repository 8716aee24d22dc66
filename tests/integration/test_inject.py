"""Calls of a running master that fail: it costs the reload that they hit, and nothing else.

Also calls that fail for a while, and calls that take their time. Workers: test_inject_worker.
"""

from signal import SIGCHLD, SIGHUP, SIGTERM

import client
import pytest
from harness import eventually
from masterlog import says
from patient import Patient
from strace import FORK, WAIT, Fault, injection, native_only
from workers import wait_gone, wait_only

pytestmark = [native_only, pytest.mark.heavy]

# --- calls that fail in a reload -----------------------------------------------------------------

# calls of a start, the error, what the log says then; in the worker before it is executed or not
FAILED_STARTS = [
    (FORK, "EAGAIN", "fork for", False),
    (FORK, "ENOMEM", "fork for", False),
    ("pipe2", "EMFILE", "open a pipe for", False),
    ("pipe2", "ENFILE", "open a pipe for", False),
    ("pipe2:when=2+", "EMFILE", "open a pipe for", False),
    ("fcntl", "EMFILE", "open a pipe for", False),
    ("fcntl:when=4+", "EINVAL", "open a pipe for", False),
    ("openat", "EMFILE", "read the environment directory of", False),
    ("openat", "ENFILE", "read the environment directory of", False),
    ("openat", "EACCES", "read the environment directory of", False),
    ("openat", "ENOMEM", "read the environment directory of", False),
    ("getdents64", "EIO", "read the environment directory of", False),
    ("epoll_ctl:when=1", "ENOMEM", "watch the pipes of", False),
    ("epoll_ctl:when=2", "ENOSPC", "watch the pipes of", False),
    # The first two or three take the signals: being traced may have woken it.
    ("read:when=3..4", "EIO", "watch the pipes of", False),
    ("read:when=4", "EIO", "watch the pipes of", False),
    ("dup3", "EBUSY", "arrange the descriptors of", True),
    ("dup3", "EBADF", "arrange the descriptors of", True),
    ("dup3:when=2", "EINTR", "arrange the descriptors of", True),
    ("dup3:when=2", "EMFILE", "arrange the descriptors of", True),
    ("setpgid", "EPERM", "make a process group for", True),
    ("chdir", "EIO", "change to the directory of", True),
    ("chdir", "EACCES", "change to the directory of", True),
    ("rt_sigprocmask", "EINVAL", "reset the signals of", True),
    *[
        ("execve", error, "execute", True)
        for error in (
            *("EACCES", "ENOENT", "ENOEXEC", "ENOMEM", "ETXTBSY", "EIO", "E2BIG", "EMFILE"),
            *("ENFILE", "EPERM", "ELOOP", "ENAMETOOLONG", "EINVAL", "EISDIR", "ELIBBAD", "EAGAIN"),
        )
    ],
]


@pytest.mark.rules("R2", "R7", "R9", "O6")
@pytest.mark.parametrize("call, error, told, in_worker", FAILED_STARTS)
def test_a_call_that_fails_fails_the_reload_alone(
    call, error, told, in_worker, socket_dir, master
):
    sick = Patient(master, socket_dir)
    reloads = 1 if ":when" in call else 3
    with Fault(sick.master, socket_dir, injection(call, error), workers=in_worker) as fault:
        for _ in range(reloads):
            since = len(sick.master.log)
            sick.master.reload(succeeds=False)
            sick.master.wait_log(rf"not started: unable to {told} .*: \w", since=since)
            assert fault.struck
        sick.assert_serving()
    sick.recover()


# calls of the master in a reload, an error that the manual allows
SWEPT = [
    (FORK, "EAGAIN"),
    ("pipe2", "EMFILE"),
    ("fcntl", "EINVAL"),
    ("openat", "EMFILE"),
    ("getdents64", "EIO"),
    ("setpgid", "EACCES"),
    ("setpgid", "ESRCH"),
    ("epoll_ctl", "ENOMEM"),
    ("epoll_ctl", "ENOSPC"),
    ("read", "EINTR"),
    ("read", "EAGAIN"),
    ("read", "EIO"),
    ("write", "EINTR"),
    ("write", "EAGAIN"),
    ("wait4", "EINTR"),
    (WAIT, "EINTR"),
    (WAIT, "ENOMEM"),
]


@pytest.mark.rules("R2", "R7", "R9")
@pytest.mark.parametrize("call, error", SWEPT)
def test_each_use_of_a_call_may_fail_once(call, error, socket_dir, master):
    sick = Patient(master, socket_dir)
    for number in range(1, 60):
        since = len(sick.master.log)
        with Fault(sick.master, socket_dir, f"{call}:error={error}:when={number}") as fault:
            sick.master.hup()
            sick.accept(sick.master.wait_log(says("rollout_ended"), since=since))
            struck = fault.struck
        sick.recover()
        if not struck:
            assert number > 1
            return
    raise AssertionError(f"{call} was used too often")


@pytest.mark.rules("R2", "G1")
def test_waiting_that_fails_for_a_while_delays_and_loses_nothing(socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, f"{WAIT}:error=ENOMEM") as fault:
        sick.master.hup()
        sick.master.wait_log(says("reload", generation=2))
        sick.notes.wait_start(2)
        eventually(lambda: fault.struck > 20, what="further attempts")
    sick.master.wait_log(says("rollout_done", generation=2))
    sick.worker = sick.notes.wait_start(2)
    wait_only(sick.master, sick.worker)
    sick.recover()
    with Fault(sick.master, socket_dir, f"{WAIT}:error=ENOMEM"):
        assert sick.master.stop() == 0


@pytest.mark.rules("R2", "G1")
@pytest.mark.parametrize("call", [WAIT, "read", "wait4", "write"])
def test_every_other_call_may_be_interrupted(call, socket_dir, master):
    sick = Patient(master, socket_dir)
    interrupted = f"{call}:error=EINTR:when=1+2"
    with Fault(sick.master, socket_dir, interrupted) as fault:
        for _ in range(3):
            sick.recover()
        assert fault.struck
    with Fault(sick.master, socket_dir, interrupted):
        assert sick.master.stop() == 0


@pytest.mark.rules("O3", "R2")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EPIPE"])
def test_a_log_that_cannot_be_written_costs_lines_only(error, socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, f"write:error={error}") as fault:
        for generation in range(2, 5):
            sick.master.hup()
            wait_only(sick.master, sick.notes.wait_start(generation))
        assert fault.struck
    # The log tells nothing of what it lost in between.
    sick.worker = sick.notes.wait_start(4)
    sick.recover()


@pytest.mark.rules("R2", "R8", "O6")
@pytest.mark.parametrize("error", ["EPERM", "ESRCH"])
def test_a_signal_that_cannot_be_sent_is_sent_again_by_the_next_reload(error, socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, f"kill:error={error}:when=1"):
        sick.master.reload()
        new = sick.notes.wait_start(2)
        sick.master.wait_log(rf"unable to signal worker {sick.worker}: \w")
    assert sick.notes.signals(sick.worker) == []
    sick.master.reload()
    wait_gone(new)
    wait_only(sick.master, sick.notes.wait_start(3))
    assert sick.notes.signals(sick.worker) == [SIGHUP]
    assert sick.master.stop() == 0


# calls of the master in a reload that fail for a while
PERSISTENT = [
    (FORK, "ENOMEM"),
    ("pipe2", "ENFILE"),
    ("fcntl", "EINVAL"),
    ("openat", "ENFILE"),
    ("getdents64", "EIO"),
    ("epoll_ctl", "ENOSPC"),
    ("read", "EIO"),
    ("read", "EAGAIN"),
    (WAIT, "EINVAL"),
]


@pytest.mark.rules("I4", "I7", "R2", "R7", "R9")
@pytest.mark.parametrize("call, error", PERSISTENT)
def test_a_call_may_fail_from_any_use_on(call, error, socket_dir, master):
    sick = Patient(master, socket_dir)
    for number in range(1, 60):
        since = len(sick.master.log)
        with Fault(sick.master, socket_dir, f"{call}:error={error}:when={number}+") as fault:
            sick.master.hup()
            eventually(
                lambda: fault.struck or sick.master.log.find(says("rollout_ended"), since),
                what="the fault, or the end without one",
            )
            sick.master.get()
            struck = fault.struck
        sick.accept(sick.master.wait_log(says("rollout_ended"), since=since))
        sick.recover()
        if not struck:
            assert number > 1
            return
    raise AssertionError(f"{call} was used too often")


@pytest.mark.rules("G1", "I5", "R8", "O6")
def test_a_kill_that_fails_is_told_and_a_stop_reaches_the_worker(socket_dir, master):
    sick = Patient(master, socket_dir, "-stop=50", server=["--ignore=HUP"])
    with Fault(sick.master, socket_dir, "kill:error=EPERM:when=2+"):
        sick.master.reload()
        sick.master.wait_log(says("killed_late", pid=sick.worker))
        sick.master.wait_log(rf"unable to signal worker {sick.worker}: Operation not permitted$")
        new = sick.notes.wait_start(2)
        assert sick.master.workers == sorted([sick.worker, new])
    assert sick.master.stop() == 0
    assert [sick.notes.signals(pid) for pid in (sick.worker, new)] == [[SIGTERM], [SIGTERM]]


@pytest.mark.rules("I1", "R12", "X2")
def test_children_that_cannot_be_waited_for_are_let_go_and_serve_on(socket_dir, master):
    sick = Patient(master, socket_dir, orderly=False)
    address = sick.master.address
    with Fault(sick.master, socket_dir, "wait4:error=ECHILD:when=1"):
        sick.master.signal(SIGCHLD)
        assert sick.master.wait_exit() == 1
    assert client.get(address).pid == sick.worker
    assert sick.notes.signals(sick.worker) == []


# Calls of the master that take their time, in microseconds.
SLOW = [
    f"{FORK}:delay_enter=50000",
    f"{FORK}:delay_exit=50000",
    "pipe2:delay_exit=20000",
    "wait4:delay_enter=10000",
    "wait4:delay_exit=10000",
    f"{WAIT}:delay_enter=10000",
    f"{WAIT}:delay_exit=10000",
    "read:delay_enter=10000",
    "write:delay_exit=20000",
    "kill:delay_enter=50000",
    "close:delay_exit=5000",
]


@pytest.mark.rules("I1", "I2", "R2", "R3", "L6", "G1")
@pytest.mark.parametrize("slow", SLOW)
def test_slow_calls_delay_and_cost_nothing(slow, socket_dir, master, load):
    sick = Patient(master, socket_dir, start=50)
    clients = load(sick.master.address)
    clients.wait_answered(10)
    with Fault(sick.master, socket_dir, slow):
        for generation in (2, 3):
            sick.recover()
            assert int(sick.master.said("ready", generation=generation)[0]["ms"]) >= 50
        clients.wait_answered(10)
        clients.assert_lossless()
        assert sick.master.stop() == 0
