"""Signals to the master: each does its work in every phase, and none hits whom it is not for."""

import os
import signal
import time
from signal import SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2

import client
import procfs
import pytest
from harness import SERVER, WRAPPER, eventually, run
from masterlog import says
from workers import Held, Notes, wait_gone, wait_only

STOPS = [SIGTERM, SIGINT, SIGQUIT]
SLOW = 1000  # milliseconds: a test can do something while a worker is starting


# Valgrind throws away what is pending when a process is executed, and takes long to begin.
native_only = pytest.mark.skipif(bool(WRAPPER), reason="a wrapper loses signals of that moment")


def name_of(number):
    return signal.Signals(number).name.removeprefix("SIG")


# --- a stop in every phase -----------------------------------------------------------------------


def assert_stops(master, notes, number, generations):
    """Every worker gets the signal, none is started afterwards, and the status is 0."""
    for generation in generations:
        notes.wait_start(generation)
    master.signal(number)
    assert master.wait_exit() == 0
    assert notes.generations == generations
    assert master.leftovers == []
    for note in notes.read("start"):
        assert notes.signals(note.pid)[-1] == number
        assert notes.signals(note.pid).count(number) == 1


@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_reaches_the_first_worker_while_it_is_starting(number, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=60000, server=[notes.option])
    assert_stops(one, notes, number, [1])
    assert not one.said("ready")


@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_reaches_the_worker_that_serves(number, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=0, server=[notes.option])
    one.wait_ready(1)
    assert_stops(one, notes, number, [1])


@pytest.mark.rules("G1", "R9", "X1")
@pytest.mark.parametrize("pending", [False, True], ids=["", "another-pending"])
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_reaches_old_and_new_during_a_reload(number, pending, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=SLOW, server=[notes.option])
    one.wait_log(says("rollout_done", generation=1))
    one.hup()
    notes.wait_start(2)
    if pending:
        one.hup()
        one.wait_log(says("reload_later", generation=2))
    assert_stops(one, notes, number, [1, 2])
    assert not one.said("rollout_ended", generation=2)


@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_reaches_one_that_is_draining(number, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    old = one.wait_ready(1)
    with Held(one):
        one.reload()
        new = notes.wait_start(2)
        notes.wait_signal(old, SIGHUP)
        one.signal(number)
        for pid in (old, new):
            notes.wait_signal(pid, number)
    assert one.wait_exit() == 0
    assert notes.signals(old) == [SIGHUP, number]
    assert notes.signals(new) == [number]


@pytest.mark.rules("G1")
def test_each_further_stop_is_passed_on_again(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    pid = one.wait_ready(1)
    with Held(one):
        for count in range(1, 4):
            one.signal(SIGTERM)
            notes.wait_signal(pid, SIGTERM, count)
        one.signal(SIGQUIT)
        notes.wait_signal(pid, SIGQUIT)
        assert one.process.poll() is None
    assert one.wait_exit() == 0
    assert notes.signals(pid) == [SIGTERM] * 3 + [SIGQUIT]


@pytest.mark.rules("G1")
def test_a_reload_after_a_stop_starts_nothing(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    pid = one.wait_ready(1)
    with Held(one):
        one.term()
        notes.wait_signal(pid, SIGTERM)
        one.hup()
        one.wait_log(says("reload_refused"))
        assert one.workers == [pid]
    assert one.wait_exit() == 0
    assert notes.generations == [1]


@pytest.mark.rules("G1", "R8", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_who_does_not_obey_a_stop_is_killed_after_stop(number, socket_dir, master):
    notes = Notes(socket_dir)
    one = master("-stop=100", server=[notes.option, "--ignore=TERM,INT,QUIT"])
    pid = notes.wait_start(1)
    assert one.stop(number) == 0
    assert int(one.wait_log(says("killed_late", pid=pid))["ms"]) >= 100
    assert one.said("ended", pid=pid, signal="KILL")


def spread(moment):
    """Lets so many milliseconds pass, to hit another moment of the master's life each time."""
    time.sleep(moment / 1000)


def assert_nothing_started_after_a_stop(master):
    texts = [line.text for line in master.log.lines]
    stop = next(i for i, text in enumerate(texts) if "received: stopping" in text)
    assert not any("reload asked for, starting" in text for text in texts[stop:]), master.log_text()


@native_only
@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_right_after_a_reload(number, master):
    for moment in range(21):
        one = master(start=10)
        one.wait_log(says("rollout_done", generation=1))
        one.hup()
        spread(moment)
        assert one.stop(number) == 0
        assert one.leftovers == []
        assert_nothing_started_after_a_stop(one)


@native_only
@pytest.mark.rules("G1", "R9", "X1")
@pytest.mark.parametrize("start", [0, 10])
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_among_sixty_reloads(number, start, master):
    one = master(start=start)
    one.wait_log(says("rollout_done", generation=1))
    for count in range(60):
        if count == 30:
            one.signal(number)
        else:
            # The master may have done what it was told, and be gone.
            one.hup()
        spread(1 if start else 0)
    assert one.wait_exit() == 0
    assert one.leftovers == []
    assert_nothing_started_after_a_stop(one)


# --- before there is anything --------------------------------------------------------------------


def block_all_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def is_clean_death(master, status, number):
    """Did the signal come before the program had taken its first step?"""
    return status == -number and len(master.log) == 0 and master.leftovers == []


@native_only
@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_as_soon_as_there_is_a_master(number, master):
    for moment in range(50):
        one = master(orderly=False)
        spread(moment / 10)
        one.signal(number)
        status = one.wait_exit()
        assert status == 0 or is_clean_death(one, status, number), one.log_text()
        assert one.leftovers == []


@pytest.mark.rules("G1", "X1")
@pytest.mark.parametrize("number", STOPS, ids=name_of)
def test_a_stop_that_was_there_before_the_program_is_not_lost(number, master):
    for _ in range(1 if WRAPPER else 10):
        # What is blocked when the program is executed waits for it.
        one = master(preexec_fn=lambda: (block_all_signals(), os.kill(os.getpid(), number)))
        assert one.wait_exit() == 0
        assert one.leftovers == []
        # There was no need for a worker.
        assert not one.said("started")


@native_only
@pytest.mark.rules("G1", "R9")
def test_a_reload_as_soon_as_there_is_a_master(socket_dir, master):
    survived = 0
    for moment in range(50):
        one = master(start=0, orderly=False)
        spread(moment / 10)
        one.hup()
        if eventually(lambda: one.process.poll() is not None or one.said("ready")) is True:
            assert is_clean_death(one, one.wait_exit(), SIGHUP), one.log_text()
        else:
            survived += 1
            one.wait_serving()
            assert one.stop() == 0
            assert one.leftovers == []
    assert survived > 0


@pytest.mark.rules("G1", "R9")
def test_a_reload_that_was_there_before_the_program_is_covered_by_the_start(master):
    one = master(
        start=0, preexec_fn=lambda: (block_all_signals(), os.kill(os.getpid(), SIGHUP))
    )
    pid = one.wait_ready(1)
    assert one.wait_serving().pid == pid
    assert one.reload() == 2


# --- signals that mean something else, or nothing ------------------------------------------------


@pytest.mark.rules("G3")
@pytest.mark.parametrize("number", [SIGUSR1, SIGUSR2], ids=name_of)
def test_signals_of_later_versions_are_ignored_with_a_line(number, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option])
    pid = one.wait_ready(1)
    one.signal(number)
    one.wait_log(rf"^{name_of(number)} received: .* ignored$")
    assert one.workers == [pid]
    assert one.wait_serving().pid == pid
    assert notes.read("stop") == []
    assert one.reload() == 2


@pytest.mark.rules("G3")
def test_no_signal_that_means_nothing_ends_the_master(master):
    one = master(start=0)
    one.wait_ready(1)
    # Left out: what stops it (below), and what says that the program itself is broken.
    meaning = {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGKILL, SIGSTOP, signal.SIGTSTP}
    meaning |= {signal.SIGTTIN, signal.SIGTTOU}
    broken = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT"}
    if WRAPPER:
        meaning.add(signal.SIGRTMAX)  # valgrind's own
    for number in sorted(signal.valid_signals() - meaning):
        if getattr(number, "name", "") not in broken:
            one.signal(number)
    assert one.reload() == 2
    one.wait_serving()


@pytest.mark.rules("G1", "L6")
def test_a_stopped_master_keeps_serving_and_acts_when_it_goes_on(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option])
    old = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    one.signal(SIGSTOP)
    eventually(lambda: procfs.processes()[one.pid].state == "T", what="a stopped master")
    one.hup()
    for _ in range(20):
        assert one.get().pid == old
    assert notes.generations == [1]
    one.signal(SIGCONT)
    new = one.wait_ready(2)
    wait_only(one, new)
    assert one.wait_serving().pid == new
    one.signal(SIGSTOP)
    eventually(lambda: procfs.processes()[one.pid].state == "T", what="a stopped master")
    one.term()
    one.signal(SIGCONT)
    assert one.wait_exit() == 0


# --- how the master itself was started -----------------------------------------------------------


def ignore(*numbers):
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


BIRTHS = {
    "nohup": lambda: ignore(SIGHUP),
    "background": lambda: ignore(SIGINT, SIGQUIT),
    "children ignored": lambda: ignore(signal.SIGCHLD),
    "all ignored": lambda: ignore(*(signal.valid_signals() - {SIGKILL, SIGSTOP})),
    "all blocked": block_all_signals,
    "both": lambda: (BIRTHS["all ignored"](), block_all_signals()),
}


@pytest.mark.rules("E7", "G1", "G2")
@pytest.mark.parametrize("birth", BIRTHS)
def test_what_was_ignored_or_blocked_at_birth_makes_no_difference(birth, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option], preexec_fn=BIRTHS[birth])
    pid = one.wait_ready(1)
    for generation in range(2, 5):
        notes.wait_start(generation - 1)
        assert one.reload() == generation
        old, pid = pid, notes.wait_start(generation)
        wait_only(one, pid)
        assert notes.signals(old) == [SIGHUP]
        fields = dict(line.split(":\t") for line in one.get("/signals").lines)
        assert {fields[name] for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd")} == {"0" * 16}
    assert one.stop() == 0


# --- the master killed ---------------------------------------------------------------------------


@pytest.mark.rules("C6", "L7")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_workers_of_a_killed_master_serve_on_and_keep_their_address(kind, socket_dir, master):
    path = socket_dir / "socket"
    uri = "tcp://127.0.0.1:0" if kind == "tcp" else f"unix://{path}"
    one = master(listen=uri, orderly=False)
    worker = one.wait_ready(1)
    address = one.address
    inode = path.stat().st_ino if kind == "unix" else None
    one.signal(SIGKILL)
    assert one.wait_exit() == -SIGKILL
    assert client.get(address).pid == worker
    refused = run(f"-listen={address}", SERVER)
    assert refused.status == 1
    assert len(refused.error_lines) == 1
    assert address in refused.stderr
    assert client.get(address).pid == worker
    assert procfs.is_alive(worker)
    if kind == "unix":
        assert path.stat().st_ino == inode
    # When the worker has gone, the address is free: a socket file that is left over is replaced.
    os.kill(worker, SIGKILL)
    wait_gone(worker)
    other = master(listen=address)
    assert other.wait_serving().pid == other.wait_ready(1)


# --- process groups ------------------------------------------------------------------------------

# what makes the worker end: (options, the server's options, does its child live on)
GROUPS = {
    "retired, process": (["-kill=process"], [], True),
    "retired, default": ([], [], True),
    "retired, group": (["-kill=group"], [], False),
    "killed, process": (["-kill=process", "-stop=50"], ["--ignore=HUP"], False),
    "killed, group": (["-kill=group", "-stop=50"], ["--ignore=HUP"], False),
    "stopped, process": (["-kill=process"], [], True),
    "stopped, group": (["-kill=group"], [], False),
}


@pytest.mark.rules("G5", "O4")
@pytest.mark.parametrize("case", GROUPS)
def test_signals_go_to_the_worker_or_its_group_and_kill_to_the_group(case, socket_dir, master):
    options, server, lives_on = GROUPS[case]
    notes = Notes(socket_dir)
    one = master(*options, server=[notes.option, "--grandchild", *server])
    old = notes.wait_start(1)
    one.wait_log(says("rollout_done", generation=1))
    (grandchild,) = procfs.children(old)
    assert procfs.processes()[grandchild].group == old
    if case.startswith("stopped"):
        assert one.stop() == 0
    else:
        one.reload()
        notes.wait_start(2)
        wait_gone(old)
    if lives_on:
        assert procfs.is_alive(grandchild)
        os.kill(grandchild, SIGKILL)
    eventually(lambda: not procfs.is_alive(grandchild), what="the end of the grandchild")
    # That of the worker that serves now would be left over.
    for worker in one.workers:
        for child in procfs.children(worker):
            os.kill(child, SIGKILL)
