"""A worker on its way from fork to exec: its calls fail or hang, or it is met by signals there."""

import os
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM

import procfs
import pytest
from harness import SERVER, eventually
from masterlog import says
from patient import Patient
from starter import NOBODY, public_copy
from strace import Fault, native_only
from words import root_only
from workers import wait_only

pytestmark = [native_only, pytest.mark.heavy]


@root_only
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


# The worker's own calls on the way, at which nothing strikes the master.
STEPS = ["dup3", "dup3:when=2", "chdir", "rt_sigaction", "rt_sigprocmask", "execve"]


@pytest.mark.rules("I2", "I3", "I7", "R7")
@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "HUP"])
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_is_struck_on_its_way_fails_the_reload(step, name, socket_dir, master):
    sick = Patient(master, socket_dir, start=200 if step == "execve" else 0)
    call, _, when = step.partition(":")
    strike = f"{call}:signal={name}:{when or 'when=1'}"
    with Fault(sick.master, socket_dir, strike, workers=True):
        sick.master.reload(succeeds=False)
    assert sick.master.said("ended", generation=2, signal=name)
    sick.assert_serving()


@pytest.mark.rules("I2", "I7", "R3", "R7")
@pytest.mark.parametrize("error", ["EIO", "EPIPE", "ENOSPC"])
@pytest.mark.parametrize("start", [0, 20])
def test_a_worker_that_cannot_tell_is_not_executed(start, error, socket_dir, master):
    sick = Patient(master, socket_dir, start=start)
    # The master's first line is lost by the same fault.
    with Fault(sick.master, socket_dir, f"write:error={error}:when=1", workers=True):
        sick.master.hup()
        sick.master.wait_log(says("rollout_failed", generation=2))
    assert sick.notes.generations == [1]
    sick.assert_serving()
    sick.recover()


@pytest.mark.rules("I2", "R2", "R3", "L6")
def test_a_slow_exec_keeps_the_old_worker_until_it_is_over(socket_dir, master, load):
    sick = Patient(master, socket_dir, start=0)
    clients = load(sick.master.address)
    with Fault(sick.master, socket_dir, "execve:delay_enter=200000", workers=True):
        sick.master.hup()
        wait_unexecuted(sick)
        clients.wait_answered(50)
        assert sick.notes.signals(sick.worker) == []
        assert int(sick.master.wait_log(says("rollout_done", generation=2))["ms"]) >= 200
    sick.worker = sick.notes.wait_start(2)
    wait_only(sick.master, sick.worker)
    sick.recover()
    clients.assert_lossless(at_least=50)
