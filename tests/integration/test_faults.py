"""Faults from outside: whatever fails in a reload, the old worker serves and the next reload works.

strace, attached to a running master, makes system calls fail; limits are lowered and lifted again.
"""

import os
import re
import resource
import subprocess
import threading
from collections import Counter
from signal import SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM

import harness
import procfs
import pytest
from harness import PATIENCE, SERVER, eventually
from masterlog import says
from starter import NOBODY, as_nobody, public_copy
from words import root_only
from workers import Deploy, Notes, wait_gone, wait_only

native_only = pytest.mark.skipif(
    bool(harness.WRAPPER), reason="the wrapper would meet the fault as well"
)


class Fault:
    """strace on a running master, which lets calls fail. Use it as a context manager.

    inject   what strace(1) takes after inject=, several times
    workers  also in the processes that the master starts meanwhile
    """

    def __init__(self, master, directory, *inject, workers=False):
        self._file = directory / "strace"
        words = ["strace", "-o", self._file, "-p", str(master.pid), *(["-f"] if workers else [])]
        for one in inject:
            words += ["-e", f"inject={one}"]
        self._strace = subprocess.Popen(
            words,
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

    @property
    def struck(self):
        """How often a call failed."""
        return self._file.read_text(errors="replace").count("(INJECTED)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._strace.send_signal(SIGINT)
        self._reader.join()
        self._strace.wait(60 * PATIENCE)
        self._strace.stderr.close()


def kinds(master):
    """The master's descriptors, by what they are."""
    return Counter(re.sub(r"\d+", "", target) for target in master.fds.values())


# A sanitized build looks for leaks at its end by tracing itself, which it cannot while traced.
WITHOUT_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


class Patient:
    """A master that serves and is about to suffer."""

    def __init__(self, begin, directory, *options, start=20, server=()):
        self.notes = Notes(directory)
        self.envdir = directory / "env"
        self.envdir.mkdir()
        self.master = begin(
            f"-envdir={self.envdir}",
            f"-dir={directory}",
            *options,
            start=start,
            env=WITHOUT_LEAK_CHECK,
            server=[self.notes.option, *server],
        )
        self.master.wait_log(says("rollout_done", generation=1))
        self.worker = self.notes.wait_start(1)
        self.healthy = kinds(self.master)

    def assert_serving(self):
        """The same worker serves; it alone is left, and nobody disturbed it."""
        assert self.master.get().pid == self.worker
        wait_only(self.master, self.worker)
        assert self.notes.signals(self.worker) == []
        self._wait_healthy()

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


# --- calls that fail in a reload -----------------------------------------------------------------

FORK = "/^(clone3?|v?fork)$"
WAIT = "/^epoll_p?wait2?$"

# calls of a start, the error, what the log says then; in the worker before it is executed or not
FAILED_STARTS = [
    (FORK, "EAGAIN", "fork for", False),
    (FORK, "ENOMEM", "fork for", False),
    ("pipe2", "EMFILE", "open a pipe for", False),
    ("pipe2", "ENFILE", "open a pipe for", False),
    ("pipe2:when=2+", "EMFILE", "open a pipe for", False),
    ("openat", "EMFILE", "read the environment directory of", False),
    ("openat", "ENFILE", "read the environment directory of", False),
    ("openat", "EACCES", "read the environment directory of", False),
    ("getdents64", "EIO", "read the environment directory of", False),
    ("epoll_ctl:when=1", "ENOMEM", "watch the pipes of", False),
    ("epoll_ctl:when=2", "ENOSPC", "watch the pipes of", False),
    ("dup3", "EBUSY", "arrange the descriptors of", True),
    ("dup3:when=2", "EMFILE", "arrange the descriptors of", True),
    ("setpgid", "EPERM", "make a process group for", True),
    ("chdir", "EIO", "change to the directory of", True),
    ("chdir", "EACCES", "change to the directory of", True),
    ("rt_sigprocmask", "EINVAL", "reset the signals of", True),
    *[
        ("execve", error, "execute", True)
        for error in ("EACCES", "ENOENT", "ENOEXEC", "ENOMEM", "ETXTBSY", "EIO", "E2BIG", "EMFILE")
    ],
]


def injection(call, error):
    name, _, when = call.partition(":")
    return f"{name}:error={error}" + (f":{when}" if when else "")


@native_only
@pytest.mark.heavy
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
    ("epoll_ctl", "ENOSPC"),
    ("read", "EINTR"),
    ("read", "EAGAIN"),
    ("write", "EINTR"),
    ("write", "EAGAIN"),
    ("wait4", "EINTR"),
    (WAIT, "EINTR"),
    (WAIT, "ENOMEM"),
]


@native_only
@pytest.mark.heavy
@pytest.mark.rules("R2", "R7", "R9")
@pytest.mark.parametrize("call, error", SWEPT)
def test_each_use_of_a_call_may_fail_once(call, error, socket_dir, master):
    sick = Patient(master, socket_dir)
    for number in range(1, 60):
        since = len(sick.master.log)
        with Fault(sick.master, socket_dir, f"{call}:error={error}:when={number}") as fault:
            sick.master.hup()
            ended = sick.master.wait_log(says("rollout_ended"), since=since)
            if ended["how"] == "failed":
                sick.assert_serving()
            else:
                sick.worker = sick.notes.wait_start(int(ended["generation"]))
                wait_only(sick.master, sick.worker)
            struck = fault.struck
        sick.recover()
        if not struck:
            assert number > 1
            return
    raise AssertionError(f"{call} was used too often")


@native_only
@pytest.mark.heavy
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


@native_only
@pytest.mark.heavy
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


@native_only
@pytest.mark.heavy
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


@native_only
@pytest.mark.heavy
@pytest.mark.rules("R2", "G1", "O6")
@pytest.mark.parametrize("error", ["EPERM", "ESRCH"])
def test_a_signal_that_cannot_be_sent_is_told_and_changes_nothing_else(error, socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, f"kill:error={error}:when=1"):
        sick.master.reload()
        new = sick.notes.wait_start(2)
        sick.master.wait_log(rf"unable to signal worker {sick.worker}: \w")
    assert sick.notes.signals(sick.worker) == []
    sick.master.reload()
    wait_gone(new)
    assert sick.master.workers == sorted([sick.worker, sick.notes.wait_start(3)])
    # A stop reaches it again.
    assert sick.master.stop() == 0


@root_only
@native_only
@pytest.mark.heavy
@pytest.mark.rules("E8", "R7")
@pytest.mark.parametrize("call", ["setgid", "setgroups", "setuid"])
def test_rights_that_cannot_be_given_up_fail_the_reload(call, socket_dir, master):
    server = public_copy(SERVER, socket_dir)
    one = master(f"-user={NOBODY}:{NOBODY}", command=[server])
    old = one.wait_ready(1)
    one.wait_serving()
    with Fault(one, socket_dir, f"{call}:error=EPERM", workers=True):
        one.reload(succeeds=False)
        assert not one.said("started", generation=2)
        assert one.get().pid == old
        wait_only(one, old)
    one.reload()


@native_only
@pytest.mark.heavy
@pytest.mark.rules("R7", "R8", "O6")
@pytest.mark.parametrize("options, bound", [(["-stop=200"], 200), ([], 5000)])
def test_what_hangs_on_its_way_out_of_a_failed_reload_is_killed(
    options, bound, socket_dir, master
):
    sick = Patient(master, socket_dir, *options)
    failing = ["execve:error=EACCES", "exit_group:delay_enter=600000000"]
    with Fault(sick.master, socket_dir, *failing, workers=True):
        sick.master.reload(succeeds=False)
        assert sick.master.get().pid == sick.worker
        late = sick.master.wait_log(says("killed_late", generation=2), deadline=20)
        assert int(late["ms"]) >= bound
    # strace lets go of the dead.
    sick.assert_serving()
    sick.recover()


# A worker that takes a minute on its way from fork to exec, in microseconds.
DAWDLE = "chdir:delay_enter=60000000"


def wait_unexecuted(sick):
    """Waits until there is a new worker that has not been executed; returns its pid."""

    def found():
        fresh = [pid for pid in sick.master.workers if pid != sick.worker]
        return fresh if fresh and procfs.status(fresh[0], "TracerPid") != "0" else None

    return eventually(found, what="a worker on its way")[0]


@native_only
@pytest.mark.heavy
@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGQUIT])
def test_a_stop_reaches_a_worker_that_is_not_executed_yet(number, socket_dir, master):
    sick = Patient(master, socket_dir)
    with Fault(sick.master, socket_dir, "chdir:delay_enter=500000", workers=True):
        sick.master.hup()
        new = wait_unexecuted(sick)
        sick.master.signal(number)
        # What is blocked on the way hits as soon as it is not.
        assert sick.master.wait_exit() == 0
    assert sick.notes.generations == [1]
    assert not procfs.is_alive(new)


@native_only
@pytest.mark.heavy
@pytest.mark.rules("R2", "R3", "R7")
@pytest.mark.parametrize("start", [0, 20])
def test_a_worker_that_dies_before_it_is_executed_fails_the_reload(start, socket_dir, master):
    sick = Patient(master, socket_dir, start=start)
    with Fault(sick.master, socket_dir, DAWDLE, workers=True):
        sick.master.hup()
        os.kill(wait_unexecuted(sick), SIGKILL)
    sick.master.wait_log(says("rollout_failed", generation=2))
    assert not sick.master.said("ready", generation=2)
    sick.assert_serving()
    sick.recover()


# --- limits --------------------------------------------------------------------------------------


@native_only
@pytest.mark.rules("R2", "R7", "L6")
def test_descriptors_that_run_out_fail_reloads_until_there_are_more(socket_dir, master):
    sick = Patient(master, socket_dir)
    _, hard = before = resource.prlimit(sick.master.pid, resource.RLIMIT_NOFILE)
    failures = 0
    lowest_free = min(set(range(1000)) - sick.master.fds.keys())
    for limit in range(lowest_free, lowest_free + 20):
        resource.prlimit(sick.master.pid, resource.RLIMIT_NOFILE, (limit, hard))
        since = len(sick.master.log)
        sick.master.hup()
        ended = sick.master.wait_log(says("rollout_ended"), since=since)
        if ended["how"] == "done":
            break
        failures += 1
        sick.master.wait_log("not started: unable to .*: Too many open files$", since=since)
        sick.assert_serving()
    assert failures >= 3
    sick.worker = sick.notes.wait_start(failures + 2)
    wait_only(sick.master, sick.worker)
    resource.prlimit(sick.master.pid, resource.RLIMIT_NOFILE, before)
    sick.recover()


def set_soft_process_limit(master, limit):
    """By the user whose processes are counted: nobody else may without further rights."""
    who = os.stat(f"/proc/{master.pid}")
    become = {"user": who.st_uid, "group": who.st_gid, "extra_groups": []}
    subprocess.run(
        ["prlimit", f"--pid={master.pid}", f"--nproc={limit}:"],
        check=True,
        **(become if os.geteuid() == 0 else {}),
    )


@native_only
@pytest.mark.rules("R2", "R7")
def test_processes_that_run_out_fail_reloads_until_there_are_more(socket_dir, master):
    socket_dir.chmod(0o777)
    server = public_copy(SERVER, socket_dir)
    one = master(command=[server], **as_nobody(socket_dir))
    old = one.wait_ready(1)
    one.wait_serving()
    set_soft_process_limit(one, 0)
    for _ in range(3):
        one.reload(succeeds=False)
        assert one.get().pid == old
    one.wait_log("unable to fork for .*: Resource temporarily unavailable$")
    set_soft_process_limit(one, resource.getrlimit(resource.RLIMIT_NPROC)[0])
    one.reload()
    wait_only(one, one.wait_ready(5))


# --- children that behave strangely --------------------------------------------------------------


@pytest.mark.rules("G2", "R2")
def test_a_storm_of_spurious_child_signals_changes_nothing(socket_dir, master):
    sick = Patient(master, socket_dir)
    for _ in range(10):
        for _ in range(200):
            sick.master.signal(SIGCHLD)
        sick.recover()
    assert len(sick.master.said("ended")) == 10


@pytest.mark.heavy
@pytest.mark.rules("G2", "R7")
def test_three_hundred_workers_that_crash_are_each_reaped_once(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(start=200, command=[deploy.path])
    old = one.wait_ready(1)
    deploy.place("#!/bin/false\n")
    for _ in range(300):
        one.reload(succeeds=False)
    wait_only(one, old)
    pids = [found["pid"] for found in one.said("ended")]
    assert len(pids) == 300 and str(old) not in pids
    assert one.get().pid == old


@pytest.mark.rules("R3", "L6")
def test_a_new_worker_that_is_stopped_keeps_connections_waiting(socket_dir, master, load):
    notes = Notes(socket_dir)
    one = master(start=300, server=[notes.option])
    old = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    one.hup()
    new = notes.wait_start(2)
    os.kill(new, SIGSTOP)
    one.wait_log(says("retired", pid=old))
    wait_gone(old)
    clients = load(one.address, threads=4)
    # Nobody answers, and the master obeys: it starts the next.
    one.reload()
    clients.wait_answered(10)
    clients.assert_lossless(at_least=10)
    assert clients.generations == {3}
    os.kill(new, SIGKILL)


@pytest.mark.rules("R12", "X1")
def test_a_worker_that_makes_itself_a_daemon_is_gone(socket_dir, master):
    script = f"(setsid {SERVER} >/dev/null 2>&1 &) ; exit 0"
    one = master(start=60000, command=["/bin/sh", "-c", script], orderly=False)
    assert one.wait_exit() == 0
    eventually(lambda: one.leftovers, what="the daemon")


# --- at rest -------------------------------------------------------------------------------------


def naps(master):
    """How often it went to sleep so far, which is once for each time that it woke up."""
    return int(master.status("voluntary_ctxt_switches"))


def assert_at_rest(master, load):
    """It settles, and while others work it does nothing at all."""
    clients = load(master.address)

    def quiet():
        before = naps(master)
        clients.wait_answered(200)
        return naps(master) == before

    eventually(quiet, what="a master at rest")
    before = naps(master), procfs.cpu_seconds(master.pid)
    clients.wait_answered(2000, deadline=60)
    assert (naps(master), procfs.cpu_seconds(master.pid)) == before
    clients.assert_lossless()


@pytest.mark.rules("R9", "O2")
def test_an_idle_master_sleeps(master, load):
    one = master()
    one.wait_ready(1)
    one.reload()
    assert_at_rest(one, load)


@pytest.mark.rules("R8", "O2")
def test_a_master_sleeps_while_a_worker_ignores_it(socket_dir, master, load):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--ignore=HUP"])
    old = one.wait_ready(1)
    one.reload()
    # The old one goes on accepting.
    assert_at_rest(one, load)
    assert procfs.is_alive(old)


@pytest.mark.rules("O2", "O4")
@pytest.mark.parametrize("how", [">/dev/null 2>&1", ">&- 2>&-"])
def test_a_master_sleeps_though_a_worker_closed_its_output(how, master, load):
    one = master(command=["/bin/sh", "-c", f"exec {SERVER} {how}"])
    one.wait_serving()
    one.wait_ready(1)
    assert_at_rest(one, load)
    one.reload()


@pytest.mark.rules("O4", "E1")
def test_a_master_sleeps_though_its_input_has_ended(master, load):
    one = master(stdin=subprocess.PIPE)
    one.process.stdin.close()
    one.wait_serving()
    one.wait_ready(1)
    assert_at_rest(one, load)


@pytest.mark.rules("O4")
def test_a_master_sleeps_while_a_grandchild_holds_the_output(master, load):
    one = master(server=["--grandchild"])
    old = one.wait_ready(1)
    eventually(lambda: procfs.children(old), what="a grandchild")
    (grandchild,) = procfs.children(old)
    one.reload()
    wait_gone(old)
    assert_at_rest(one, load)
    assert procfs.is_alive(grandchild)
    for left in [grandchild, *procfs.children(one.workers[0])]:
        os.kill(left, SIGKILL)


@pytest.mark.heavy
@pytest.mark.rules("R2", "O2")
def test_a_hundred_reloads_leave_nothing_behind(socket_dir, master):
    sick = Patient(master, socket_dir)
    for _ in range(100):
        # Each time it has the descriptors that it had at first.
        sick.recover()
    assert sick.master.status("Threads") == "1"
