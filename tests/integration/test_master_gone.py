"""The master killed or stopped under load: its workers serve on, and what waited for it is done."""

import os
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTERM

import client
import procfs
import pytest
from harness import SERVER, eventually, run
from masterlog import says
from workers import Held, Notes, wait_only

# --- killed --------------------------------------------------------------------------------------


def rest(_master, _notes):
    return None


def begin_reload(master, notes):
    """The new worker is not ready yet."""
    master.hup()
    notes.wait_start(2)


def begin_draining(master, notes):
    """The old worker has a connection to finish."""
    held = Held(master)
    master.reload()
    notes.wait_signal(held.pid, SIGHUP)
    return held


# What the master is about when it is killed, its -start, and how many workers it has then.
PHASES = {
    "at rest": (rest, 20, 1),
    "starting the next": (begin_reload, 1000, 2),
    "waiting for the last": (begin_draining, 20, 2),
}


def assert_address_is_held(address):
    """Nobody else gets it while a worker has it, and it does no harm to try."""
    refused = run(f"-listen={address}", SERVER)
    assert refused.status == 1 and len(refused.error_lines) == 1
    assert address in refused.stderr


@pytest.mark.rules("I1", "L6", "L7", "C6")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("phase", PHASES)
def test_workers_of_a_master_killed_under_load_serve_on(phase, kind, socket_dir, master, load):
    begin, start, count = PHASES[phase]
    notes = Notes(socket_dir)
    server = [notes.option, "--drain-timeout=600000"]
    listen = "tcp://127.0.0.1:0" if kind == "tcp" else f"unix://{socket_dir}/s"
    one = master(listen=listen, start=start, server=server, orderly=False)
    one.wait_log(says("rollout_done", generation=1))
    address = one.address
    clients = load(address, threads=4)
    clients.wait_answered(10)
    held = begin(one, notes)
    workers = one.workers
    assert len(workers) == count
    os.kill(one.pid, SIGKILL)
    assert one.wait_exit() == -SIGKILL
    clients.wait_answered(200)
    assert_address_is_held(address)
    clients.wait_answered(50)
    clients.assert_lossless(at_least=250)
    assert all(map(procfs.is_alive, workers))
    if held:
        assert held.ask().pid == held.pid
        held.release()
        # Orphans are reaped by whoever has time for it.
        eventually(lambda: not procfs.is_alive(held.pid), what="a drained worker")
    for pid in one.leftovers:
        os.kill(pid, SIGKILL)
    eventually(lambda: not one.leftovers, what="the end of the workers")
    other = master(listen=address)
    other.wait_serving(address)
    assert client.get(address).pid == other.wait_ready(1)


# --- stopped -------------------------------------------------------------------------------------


def freeze(master):
    master.signal(SIGSTOP)
    eventually(lambda: procfs.processes()[master.pid].state == "T", what="a stopped master")


@pytest.mark.rules("G1", "I1", "I4", "L6", "R9")
def test_a_master_stopped_under_load_does_what_waited_when_it_goes_on(socket_dir, master, load):
    notes = Notes(socket_dir)
    one = master(server=[notes.option])
    old = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    clients = load(one.address, threads=4, keepalive=10)
    clients.wait_answered(10)
    for generation in range(2, 5):
        freeze(one)
        for _ in range(5):
            one.hup()
        clients.wait_answered(100)
        assert notes.signals(old) == []
        one.signal(SIGCONT)
        new = one.wait_ready(generation)
        wait_only(one, new)
        assert notes.signals(old) == [SIGHUP]
        old = new
    # As many as waited at once were one.
    assert notes.generations == [1, 2, 3, 4]
    clients.assert_lossless(at_least=300)
    freeze(one)
    one.hup()
    one.term()
    one.signal(SIGCONT)
    assert one.wait_exit() == 0
    assert notes.signals(old) == [SIGTERM]
    assert notes.generations == [1, 2, 3, 4]


@pytest.mark.rules("I2", "I4", "R2")
def test_a_master_stopped_in_a_reload_finishes_it(socket_dir, master, load):
    notes = Notes(socket_dir)
    one = master(start=100, server=[notes.option])
    old = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    clients = load(one.address)
    one.hup()
    new = notes.wait_start(2)
    freeze(one)
    clients.wait_answered(200)
    one.signal(SIGCONT)
    assert one.wait_ready(2) == new
    wait_only(one, new)
    assert notes.signals(old) == [SIGHUP]
    clients.assert_lossless()


@pytest.mark.rules("G2", "I4", "R12", "X2")
@pytest.mark.parametrize("reload", [False, True], ids=["", "with a reload"])
def test_a_worker_that_ends_while_the_master_is_stopped(reload, master):
    one = master()
    old = one.wait_ready(1)
    freeze(one)
    os.kill(old, SIGKILL)
    eventually(lambda: one.zombies == [old], what="a worker that waits to be reaped")
    if reload:
        one.hup()
    one.signal(SIGCONT)
    if reload:
        wait_only(one, one.wait_ready(2))
        one.wait_serving()
    else:
        assert one.wait_exit() == 128 + SIGKILL
    one.wait_log(says("ended", pid=old, signal="KILL"))
