"""At rest: a master with nothing to do does nothing, whatever state its workers are in."""

import os
import subprocess
from signal import SIGKILL

import procfs
import pytest
from harness import SERVER, eventually
from workers import Notes, wait_gone


def naps(master):
    """How often it went to sleep so far, which is once for each time that it woke up."""
    return int(master.status("voluntary_ctxt_switches"))


def doings(master):
    """What it has done so far; None while it is at it, which may take long under valgrind."""
    done = naps(master), procfs.cpu_seconds(master.pid)
    return done if master.status("State").startswith("S") else None


def assert_at_rest(master, load):
    """It settles, and while others work it does nothing at all."""
    clients = load(master.address)

    def quiet():
        before = doings(master)
        clients.wait_answered(200)
        return before is not None and doings(master) == before

    eventually(quiet, what="a master at rest")
    before = doings(master)
    clients.wait_answered(2000, deadline=60)
    assert doings(master) == before
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
