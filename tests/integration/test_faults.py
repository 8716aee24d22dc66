"""Workers that behave strangely, and a hundred reloads: the master counts, reaps and goes on."""

import os
from signal import SIGCHLD, SIGKILL, SIGSTOP

import pytest
from harness import SERVER, eventually
from masterlog import says
from patient import Patient
from workers import Deploy, Notes, wait_gone, wait_only


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


@pytest.mark.heavy
@pytest.mark.rules("R2", "O2")
def test_a_hundred_reloads_leave_nothing_behind(socket_dir, master):
    sick = Patient(master, socket_dir)
    for _ in range(100):
        # Each time it has the descriptors that it had at first.
        sick.recover()
    assert sick.master.status("Threads") == "1"
