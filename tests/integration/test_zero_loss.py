"""No request is lost: reloads of every outcome while clients ask without a pause."""

import os
from signal import SIGKILL

import pytest
from harness import PYTHON_SERVER
from masterlog import says
from workers import Deploy, Notes, wait_only

pytestmark = pytest.mark.heavy

KINDS = ["tcp", "tcp6", "unix"]


def uri_of(kind, directory):
    return {
        "tcp": "tcp://127.0.0.1:0",
        "tcp6": "tcp6://[::1]:0",
        "unix": f"unix://{directory}/socket",
    }[kind]


def reload_under_load(one, load, count, every=20):
    """Reloads so often, and sees to it that some requests are answered in between."""
    for number in range(count):
        one.reload(deadline=30)
        if number % every == 0:
            load.wait_answered(10, deadline=30)
    load.wait_answered(10, deadline=30)


@pytest.mark.rules("L6", "R2", "R9", "I1")
@pytest.mark.parametrize("keepalive", [1, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_reloads_lose_nothing(kind, keepalive, socket_dir, master, load):
    one = master(listen=uri_of(kind, socket_dir), start=2)
    one.wait_ready(1)
    clients = load(one.address, threads=4, keepalive=keepalive)
    clients.wait_answered(100)
    reload_under_load(one, clients, 200)
    clients.assert_lossless(at_least=200)
    assert {1, 201} <= clients.generations
    assert one.stop() == 0
    assert not [found for found in one.said("ended") if found["unasked"]]


@pytest.mark.rules("L6", "R2", "R3")
@pytest.mark.parametrize("kind", KINDS)
def test_reloads_without_a_wait_lose_nothing(kind, socket_dir, master, load):
    # Here the old worker may stop before the new one accepts: connections wait.
    one = master(listen=uri_of(kind, socket_dir), start=0, server=["--start-delay=20"])
    one.wait_ready(1)
    clients = load(one.address, threads=4)
    clients.wait_answered(10)
    reload_under_load(one, clients, 30, every=5)
    clients.assert_lossless(at_least=50)
    assert len(clients.generations) > 1


@pytest.mark.rules("L6", "R2")
@pytest.mark.parametrize("start", [20, 200], ids=["wait-too-short", "wait-long-enough"])
@pytest.mark.parametrize("keepalive", [1, 10])
def test_a_worker_that_boots_slowly_loses_nothing(start, keepalive, master, load):
    one = master(start=start, server=["--start-delay=100"])
    one.wait_ready(1)
    one.wait_serving()
    clients = load(one.address, threads=4, keepalive=keepalive)
    reload_under_load(one, clients, 10, every=1)
    clients.assert_lossless(at_least=100)
    assert len(clients.generations) > 5


@pytest.mark.rules("L6", "R2")
@pytest.mark.parametrize("kind", KINDS)
def test_the_python_server_loses_nothing(kind, socket_dir, master, load):
    one = master(listen=uri_of(kind, socket_dir), start=50, command=PYTHON_SERVER)
    one.wait_ready(1)
    one.wait_serving()
    clients = load(one.address, threads=2, keepalive=10)
    reload_under_load(one, clients, 20, every=1)
    clients.assert_lossless(at_least=200)
    assert len(clients.generations) > 5


@pytest.mark.rules("L6", "R7")
def test_reloads_that_fail_lose_nothing(socket_dir, master, load):
    deploy = Deploy(socket_dir)
    one = master(start=20, command=[deploy.path])
    one.wait_ready(1)
    clients = load(one.address, threads=4, keepalive=10)
    for number in range(40):
        if number % 4 == 3:
            deploy.serve()
            one.reload()
        else:
            deploy.place("neither a script nor a program\n")
            one.reload(succeeds=False)
        clients.wait_answered(10)
    clients.assert_lossless(at_least=400)
    assert clients.generations == {1} | set(range(5, 42, 4))


@pytest.mark.rules("L6", "R7")
def test_workers_that_crash_before_they_are_ready_lose_nothing(socket_dir, master, load):
    deploy = Deploy(socket_dir)
    one = master(start=200, command=[deploy.path])
    one.wait_ready(1)
    clients = load(one.address, threads=4)
    clients.wait_answered(10)
    # They crash without having accepted anything.
    deploy.serve("--start-delay=20", "--crash-at-start=3")
    for _ in range(10):
        one.reload(succeeds=False)
        clients.wait_answered(10)
    clients.assert_lossless(at_least=100)
    assert clients.generations == {1}


@pytest.mark.rules("L6", "R9")
def test_a_storm_of_reloads_loses_nothing(socket_dir, master, load):
    notes = Notes(socket_dir)
    one = master(start=2, server=[notes.option])
    one.wait_ready(1)
    clients = load(one.address, threads=4, keepalive=10)
    clients.wait_answered(10)
    for _ in range(50):
        for _ in range(20):
            one.hup()
        clients.wait_answered(1)
    newest = one.reload()
    wait_only(one, notes.wait_start(newest))
    clients.wait_answered(10)
    clients.assert_lossless(at_least=100)
    assert len(clients.generations) > 5


@pytest.mark.rules("L6")
def test_connections_wait_while_nobody_accepts(master, load):
    # The first worker is retired before it has accepted anything, the second takes its time, too.
    one = master(start=20, server=["--start-delay=300"])
    first = one.wait_ready(1)
    clients = load(one.address, threads=8)
    one.reload()
    one.wait_log(says("ended", pid=first))
    clients.wait_answered(20)
    clients.assert_lossless(at_least=20)
    assert clients.generations == {2}


@pytest.mark.rules("L6", "G1")
def test_a_master_that_is_killed_loses_nothing(master, load):
    one = master(orderly=False)
    one.wait_ready(1)
    clients = load(one.address, threads=4, keepalive=10)
    clients.wait_answered(10)
    os.kill(one.pid, SIGKILL)
    assert one.wait_exit() == -SIGKILL
    clients.wait_answered(100)
    clients.assert_lossless(at_least=100)
