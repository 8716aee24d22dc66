"""Limits of a running master that are lowered: they cost reloads until they are lifted, no more."""

import os
import re
import resource
import subprocess
from signal import SIGHUP, SIGTERM

import pytest
from harness import SERVER, eventually
from masterlog import says
from patient import Patient
from starter import as_nobody, public_copy
from strace import native_only
from workers import wait_only


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


# A limit, its value meanwhile, and what becomes of a new worker that inherits it.
LOWERED = [
    ("AS", 4096, "SEGV"),
    ("AS", 1 << 21, None),
    ("DATA", 0, None),
    ("STACK", 4096, None),
    ("FSIZE", 0, "XFSZ"),
    ("SIGPENDING", 0, None),
    ("CORE", 0, None),
    ("MEMLOCK", 0, None),
]


def lower(master, name, value):
    """Lowers a soft limit; returns what undoes that."""
    which = getattr(resource, f"RLIMIT_{name}")
    _, hard = before = resource.prlimit(master.pid, which)
    resource.prlimit(master.pid, which, (value, hard))
    return lambda: resource.prlimit(master.pid, which, before)


@native_only
@pytest.mark.heavy  # a sanitizer takes more than there is
@pytest.mark.rules("E7", "I7", "R2", "R7")
@pytest.mark.parametrize("name, value, death", LOWERED)
def test_a_lowered_limit_costs_reloads_alone(name, value, death, socket_dir, master):
    sick = Patient(master, socket_dir)
    lift = lower(sick.master, name, value)
    for _ in range(3):
        since = len(sick.master.log)
        sick.master.hup()
        ended = sick.master.wait_log(says("rollout_ended"), since=since)
        if ended["how"] == "done":
            sick.notes.wait_start(int(ended["generation"]))
        sick.accept(ended)
        assert death is None or sick.master.said("ended", since=since, signal=death)
    lift()
    sick.recover()


@native_only
@pytest.mark.heavy  # a sanitizer takes more than there is
@pytest.mark.rules("G1", "I5", "X1")
@pytest.mark.parametrize("name", ["AS", "DATA", "STACK", "NOFILE", "NPROC", "SIGPENDING"])
def test_a_stop_takes_nothing_that_is_limited(name, socket_dir, master):
    sick = Patient(master, socket_dir)
    lower(sick.master, name, 0)
    assert sick.master.stop() == 0
    assert sick.notes.signals(sick.worker) == [SIGTERM]


def reloads(sick, workers, count):
    """So many reloads of a master whose log nobody reads."""
    for _ in range(count):
        sick.master.hup()
        workers.append(sick.notes.wait_start(len(workers) + 1))
        wait_only(sick.master, workers[-1])
        sick.notes.wait_signal(workers[-2], SIGHUP)


@native_only
@pytest.mark.rules("I6", "I7", "O3", "R2")
def test_a_log_file_at_its_limit_costs_lines_until_it_is_lifted(socket_dir, master):
    path, address = socket_dir / "log", f"unix://{socket_dir}/s"
    # Notes of the workers, who inherit the limit, stay far below it.
    before = b"from before\n" * 10000
    path.write_bytes(before)
    with open(path, "ab") as file:
        sick = Patient(master, socket_dir, listen=address, stderr=file)
        workers = [sick.worker]
        eventually(lambda: b"rollout done" in path.read_bytes(), what="the start's last line")
        lift = lower(sick.master, "FSIZE", path.stat().st_size)
        reloads(sick, workers, 2)
        lift()
        reloads(sick, workers, 2)
        assert sick.master.stop() == 0
    text = path.read_bytes().removeprefix(before).decode()
    for generation, pid in enumerate(workers, 1):
        told = re.search(rf"generation {generation}: worker {pid} .* ready after", text)
        assert bool(told) == (generation not in (2, 3)), text
    assert re.search(r"\d+ log lines were lost: File too large$", text, re.MULTILINE)
