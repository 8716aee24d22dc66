"""Rollouts: what a reload starts, when the old worker is retired, and what failure leaves alone."""

import os
import re
import time
from signal import SIGHUP, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH

import pytest
from harness import SERVER, WRAPPER, eventually
from masterlog import says
from workers import Deploy, Held, Notes, wait_gone, wait_only, wait_serves_alone

# Milliseconds: long enough that a worker which crashes at once is surely gone; and that a test can
# do something while a worker is starting.
AMPLE = 500
SLOW = 1000


def assert_order(master, *patterns):
    """The log gets a line for each pattern, in this order."""
    at = 0
    for pattern in patterns:
        master.wait_log(pattern, since=at)
        while not re.search(pattern, master.log.lines[at].text):
            at += 1


def serving(master):
    """Who answers: pid and generation."""
    answer = master.wait_serving()
    return answer.pid, int(answer.fields["generation"])


# --- the first generation ------------------------------------------------------------------------


@pytest.mark.rules("R1", "R3")
def test_the_start_makes_one_worker_of_generation_1(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option])
    pid = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    assert one.workers == [pid]
    fields = one.wait_serving().fields
    assert (fields["pid"], fields["generation"], fields["slot"]) == (str(pid), "1", "0")
    assert one.stop() == 0
    assert notes.generations == [1]


@pytest.mark.rules("R12")
@pytest.mark.parametrize("phase", ["starting", "serving"])
def test_the_master_ends_with_its_last_worker(phase, master):
    one = master(start=20 if phase == "serving" else 60000)
    one.wait_log(says("ready" if phase == "serving" else "started"))
    one.wait_serving()
    one.get("/exit?code=0")
    assert one.wait_exit() == 0
    assert bool(one.said("ready")) == (phase == "serving")


@pytest.mark.rules("R12")
def test_the_master_lives_until_the_last_drainer_has_gone(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    one.wait_ready(1)
    with Held(one) as held:
        one.reload()
        new = notes.wait_start(2)
        os.kill(new, SIGKILL)
        one.wait_log(says("ended", pid=new))
        assert held.ask().pid == held.pid
        assert one.process.poll() is None
    assert one.wait_exit() == 128 + SIGKILL


# --- a reload ------------------------------------------------------------------------------------


@pytest.mark.rules("R2", "R3", "R8", "O6")
@pytest.mark.parametrize("start", [0, 1, 50, 300])
def test_the_old_worker_is_retired_once_the_new_one_is_ready(start, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=start, server=[notes.option])
    old = notes.wait_start(1)
    one.wait_log(says("rollout_done", generation=1))
    for generation in range(2, 5):
        asked = time.monotonic_ns()
        assert one.reload() == generation
        new = notes.wait_start(generation)
        wait_only(one, new)
        assert notes.signals(old) == [SIGHUP]
        # That is a promise about what does not happen too early, whatever the machine's load.
        retired = notes.read("stop", old)[0]
        assert retired.ns - asked >= start * 1_000_000
        ready = one.wait_log(says("ready", generation=generation))
        assert int(ready["ms"]) >= start
        assert_order(
            one,
            says("reload", generation=generation),
            says("started", generation=generation, pid=new),
            says("ready", generation=generation, pid=new),
            says("rollout_done", generation=generation),
            says("retired", generation=generation - 1, pid=old, signal="HUP"),
            says("ended", generation=generation - 1, pid=old, status=0),
        )
        assert serving(one) == (new, generation)
        old = new


@pytest.mark.rules("R2", "R7")
def test_the_old_worker_serves_while_the_new_one_is_starting(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(start=SLOW, command=[deploy.path])
    old = one.wait_ready(1)
    deploy.serve("--start-delay=60000")
    with Held(one) as held:
        one.hup()
        new = int(one.wait_log(says("started", generation=2))["pid"])
        for _ in range(20):
            assert serving(one) == (old, 1)
        os.kill(new, SIGKILL)
        one.wait_log(says("rollout_failed", generation=2))
        assert held.ask().pid == old
        assert serving(one) == (old, 1)
        assert deploy.notes.signals(old) == []


@pytest.mark.rules("R3", "R7")
def test_with_start_0_a_command_that_cannot_be_executed_is_not_ready(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(start=0, command=[deploy.path])
    old = deploy.notes.wait_start(1)
    deploy.place("neither a script nor a program\n")
    one.reload(succeeds=False)
    assert not one.said("ready", generation=2)
    assert deploy.notes.signals(old) == []
    assert serving(one) == (old, 1)


# --- a reload that fails -------------------------------------------------------------------------


class Scene:
    """A master whose command, variables and directory can be broken and mended."""

    def __init__(self, directory):
        self.deploy = Deploy(directory)
        self.envdir = directory / "env"
        self.envdir.mkdir()
        self.work = directory / "work"
        self.work.mkdir()
        self.options = [f"-envdir={self.envdir}", f"-dir={self.work}"]

    def mend(self):
        self.deploy.serve()
        for path in (self.envdir, self.work):
            if path.is_file():
                path.unlink()
            path.mkdir(exist_ok=True)


def become_directory(scene):
    scene.deploy.remove()
    scene.deploy.path.mkdir()


def become_loop(scene):
    scene.deploy.remove()
    scene.deploy.path.symlink_to(scene.deploy.path)


def become_file(scene):
    scene.envdir.rmdir()
    scene.envdir.write_text("")


# what happened: (how to break it, -start, what the log says about it)
BROKEN = {
    "exits with 3": (lambda s: s.deploy.run("exit 3"), AMPLE, r"ended: exit status 3 .*unasked"),
    "exits with 0": (lambda s: s.deploy.run("exit 0"), AMPLE, r"ended: exit status 0 .*unasked"),
    "is killed": (lambda s: s.deploy.run("kill -SEGV $$"), AMPLE, r"ended: killed by SEGV .*unasked"),
    "is gone": (lambda s: s.deploy.remove(), 20, r"execute .*: No such file or directory$"),
    "is a loop": (become_loop, 20, r"execute .*: Too many levels of symbolic links$"),
    "is a directory": (become_directory, 20, r"execute .*: Permission denied$"),
    "may not be executed": (
        lambda s: s.deploy.place("#!/bin/sh\nexit 0\n", 0o644),
        20,
        r"execute .*: Permission denied$",
    ),
    "has no interpreter": (
        lambda s: s.deploy.place("#!/nonexistent/interpreter\n"),
        20,
        r"execute .*: No such file or directory$",
    ),
    "is no program": (lambda s: s.deploy.place("neither\n"), 20, r"execute .*: Exec format error$"),
    "is empty": (lambda s: s.deploy.place(""), 20, r"execute .*: Exec format error$"),
    "has no envdir": (
        lambda s: s.envdir.rmdir(),
        20,
        r"read the environment directory .*: No such file or directory$",
    ),
    "has a file as envdir": (
        become_file,
        20,
        r"read the environment directory .*: Not a directory$",
    ),
    "has no directory": (
        lambda s: s.work.rmdir(),
        20,
        r"change to the directory .*: No such file or directory$",
    ),
}


@pytest.mark.rules("R2", "R7", "E9", "E10", "O6")
@pytest.mark.parametrize("broken", BROKEN)
def test_a_new_worker_that_fails_leaves_the_old_one_alone(broken, socket_dir, master):
    if broken == "has no interpreter" and WRAPPER:
        pytest.skip("valgrind notices only when the old program is gone")
    scene = Scene(socket_dir)
    break_it, start, told = BROKEN[broken]
    one = master(*scene.options, start=start, command=[scene.deploy.path])
    serving_pid, generation = one.wait_ready(1), 1
    descriptors = one.fds
    for failures in (1, 10):
        before = generation
        break_it(scene)
        for _ in range(failures):
            since = len(one.log)
            # A rollout that fails uses up its number.
            generation += 1
            assert one.reload(succeeds=False) == generation
            one.wait_log(told, since=since)
            failed = one.wait_log(says("rollout_failed"), since=since)
            assert "; 1 worker serves on" in failed["why"]
            assert serving(one) == (serving_pid, before)
        wait_only(one, serving_pid)
        assert scene.deploy.notes.signals(serving_pid) == []
        eventually(lambda: one.fds == descriptors, what="the descriptors of before")
        scene.mend()
        generation += 1
        assert one.reload() == generation
        old, serving_pid = serving_pid, scene.deploy.notes.wait_start(generation)
        wait_only(one, serving_pid)
        assert serving(one) == (serving_pid, generation)
        assert scene.deploy.notes.signals(old) == [SIGHUP]
        descriptors = one.fds


@pytest.mark.rules("R9", "R7")
def test_a_reload_that_was_remembered_follows_one_that_failed(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(start=SLOW, command=[deploy.path])
    old = one.wait_ready(1)
    deploy.run("exec sleep 60")
    one.hup()
    new = int(one.wait_log(says("started", generation=2))["pid"])
    one.hup()
    one.wait_log(says("reload_later", generation=2))
    deploy.serve()
    os.kill(new, SIGKILL)
    one.wait_log(says("rollout_done", generation=3), deadline=20)
    assert_order(one, says("rollout_failed", generation=2), says("reload", generation=3))
    wait_gone(old)
    assert serving(one)[1] == 3


@pytest.mark.rules("R2", "R12")
@pytest.mark.parametrize("both", [False, True])
def test_the_old_worker_may_end_while_the_new_one_is_starting(both, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=SLOW, server=[notes.option])
    old = one.wait_ready(1)
    one.hup()
    new = notes.wait_start(2)
    os.kill(old, SIGKILL)
    one.wait_log(says("ended", pid=old))
    if both:
        os.kill(new, SIGKILL)
        assert one.wait_exit() == 128 + SIGKILL
        failed = one.wait_log(says("rollout_failed", generation=2))
        assert failed["why"].endswith("; no worker is left that serves")
    else:
        one.wait_log(says("rollout_done", generation=2))
        assert serving(one) == (new, 2)
    assert notes.read("stop") == []


# --- retiring ------------------------------------------------------------------------------------


@pytest.mark.rules("R8")
@pytest.mark.parametrize(
    "name, number",
    [
        ("HUP", SIGHUP),
        ("TERM", SIGTERM),
        ("QUIT", SIGQUIT),
        ("USR1", SIGUSR1),
        ("SIGUSR2", SIGUSR2),
        ("winch", SIGWINCH),
    ],
)
def test_a_retired_worker_gets_the_stop_signal_once(name, number, socket_dir, master):
    notes = Notes(socket_dir)
    obeyed = name.upper().removeprefix("SIG")
    one = master(
        f"-stop-signal={name}",
        server=[notes.option, f"--stop-signal={obeyed}", "--drain-timeout=60000"],
    )
    one.wait_ready(1)
    with Held(one) as held:
        for generation in range(2, 5):
            one.reload()
            notes.wait_start(generation)
        notes.wait_signal(held.pid, number)
        eventually(lambda: len(one.workers) == 2, what="the end of those that were not held")
        assert notes.signals(held.pid) == [number]
        one.wait_log(says("retired", pid=held.pid, signal=obeyed))
        # What it has accepted it still serves.
        assert held.ask().pid == held.pid
    wait_gone(held.pid)
    # The server may not obey TERM here.
    os.kill(notes.wait_start(4), SIGKILL)
    one.wait_exit()


@pytest.mark.rules("R8")
def test_a_retired_worker_is_killed_after_stop(socket_dir, master):
    notes = Notes(socket_dir)
    one = master("-stop=100", server=[notes.option, "--ignore=HUP"])
    old = one.wait_ready(1)
    for generation in range(2, 4):
        one.reload()
        new = notes.wait_start(generation)
        wait_gone(old)
        assert_order(
            one,
            says("retired", pid=old),
            says("killed_late", pid=old),
            says("ended", pid=old, signal="KILL"),
        )
        assert int(one.wait_log(says("killed_late", pid=old))["ms"]) >= 100
        assert serving(one) == (new, generation)
        old = new


@pytest.mark.rules("R8")
def test_a_retired_worker_that_ends_in_time_is_not_killed(socket_dir, master):
    notes = Notes(socket_dir)
    one = master("-stop=60000", server=[notes.option])
    old = one.wait_ready(1)
    for generation in range(2, 5):
        one.reload()
        new = notes.wait_start(generation)
        ended = one.wait_log(says("ended", pid=old))
        assert ended["status"] == "0" and not ended["unasked"]
        old = new
    assert not one.said("killed_late")


@pytest.mark.rules("R8")
def test_without_stop_a_retired_worker_is_left_in_peace(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--ignore=HUP"])
    pids = [one.wait_ready(1)]
    for generation in range(2, 6):
        one.reload()
        pids.append(notes.wait_start(generation))
    assert one.workers == sorted(pids)
    assert not one.said("killed_late") and not one.said("killed_surplus")
    # Nothing is due any more: the master sleeps without an end.
    one.term()
    assert one.wait_exit() == 0
    assert [notes.signals(pid) for pid in pids] == [[SIGTERM]] * 5


# --- many reloads --------------------------------------------------------------------------------


def count_overlaps(master):
    """How many rollouts began while another was under way."""
    overlaps, under_way = 0, False
    for line in master.log.lines:
        if line.worker == 0 and "reload asked for, starting" in line.text:
            overlaps += under_way
            under_way = True
        elif line.worker == 0 and ": rollout " in line.text:
            under_way = False
    return overlaps


def newest_start(notes):
    return max(notes.read("start"), key=lambda note: note.value)


@pytest.mark.rules("R9")
@pytest.mark.parametrize("start", [0, 20, 100])
def test_a_storm_of_reloads_costs_few_and_loses_none(start, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=start, server=[notes.option])
    notes.wait_start(1)
    one.wait_log(says("rollout_done", generation=1))
    began = time.monotonic_ns()
    for _ in range(100):
        one.hup()
    ended = time.monotonic_ns()

    def settled():
        newest = newest_start(notes)
        done = one.said("rollout_done", generation=newest.value)
        return newest if done and one.workers == [newest.pid] else None

    # The last is not lost: what serves in the end was started after it.
    newest = eventually(
        lambda: (found := settled()) and found.ns > ended and found, what="the end of the storm"
    )
    assert serving(one)[1] >= newest.value
    assert one.stop() == 0
    assert count_overlaps(one) == 0
    if start:
        # Those that came in during one rollout cost one more, and a rollout takes so long.
        fitting = (ended - began) // (start * 1_000_000)
        assert max(notes.generations) - 1 <= fitting + 2


@pytest.mark.rules("R9")
@pytest.mark.parametrize("during", ["the start", "a reload"])
def test_a_reload_asked_for_during_a_rollout_follows_it(during, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=SLOW, server=[notes.option])
    current = 1
    if during == "a reload":
        one.wait_log(says("rollout_done", generation=1))
        one.hup()
        current = 2
    notes.wait_start(current)
    for _ in range(10):
        one.hup()
    one.wait_log(says("reload_later", generation=current))
    one.wait_log(says("rollout_done", generation=current + 1), deadline=20)
    assert_order(
        one,
        says("reload_later", generation=current),
        says("rollout_done", generation=current),
        says("reload", generation=current + 1),
        says("rollout_done", generation=current + 1),
    )
    assert count_overlaps(one) == 0
    # Remembered once, however many they were.
    assert len(one.said("reload_later")) == 1
    assert one.stop() == 0
    assert notes.generations == list(range(1, current + 2))


@pytest.mark.rules("R9")
def test_draining_workers_delay_no_reload(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    one.wait_ready(1)
    held = [Held(one)]
    for generation in range(2, 12):
        assert one.reload() == generation
        wait_serves_alone(one, notes.wait_start(generation))
        held.append(Held(one))
    assert one.workers == sorted(h.pid for h in held)
    # What they have accepted they still serve.
    assert all(h.ask().pid == h.pid for h in held)
    for h in held:
        h.release()
    wait_only(one, held[-1].pid)


@pytest.mark.rules("R9", "O6")
@pytest.mark.parametrize("limit", [1, 3])
def test_of_too_many_drainers_the_oldest_is_killed(limit, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(f"-max-draining={limit}", server=[notes.option, "--drain-timeout=60000"])
    one.wait_ready(1)
    held = [Held(one)]
    for generation in range(2, limit + 4):
        one.reload()
        wait_serves_alone(one, notes.wait_start(generation))
        held.append(Held(one))
        allowed = sorted(h.pid for h in held[-limit - 1 :])
        eventually(lambda: one.workers == allowed, what="no more drainers than allowed")
    for h in held:
        h.release()
    assert one.stop() == 0
    killed = [int(found["pid"]) for found in one.said("killed_surplus")]
    assert killed == [h.pid for h in held[:2]]
    assert all(one.said("ended", pid=pid, signal="KILL") for pid in killed)


@pytest.mark.rules("R9")
def test_a_drainer_that_ends_in_time_makes_room(socket_dir, master):
    notes = Notes(socket_dir)
    one = master("-max-draining=1", server=[notes.option])
    one.wait_ready(1)
    for generation in range(2, 8):
        one.reload()
        wait_only(one, notes.wait_start(generation))
    assert not one.said("killed_surplus")


# --- what a start looks up anew ------------------------------------------------------------------


def release(directory, name, version):
    """A directory as a deploy makes it, with a server of its own."""
    place = directory / name
    place.mkdir()
    server = place / "server"
    server.write_text(f'#!/bin/sh\nexec {SERVER} --version-text={version} "$@"\n')
    server.chmod(0o755)
    return place


@pytest.mark.rules("E9", "E10")
@pytest.mark.parametrize("command", ["./server", "absolute"])
def test_a_link_that_a_deploy_flips_counts_from_the_next_reload_on(command, socket_dir, master):
    releases = [release(socket_dir, f"release{n}", n) for n in (1, 2, 3)]
    current = socket_dir / "current"
    current.symlink_to(releases[0])
    if command == "absolute":
        command = current / "server"
    one = master(f"-dir={current}", command=[command])
    one.wait_ready(1)
    for generation, place in enumerate(releases, 1):
        assert one.wait_serving().fields["version"] == str(generation)
        assert one.get("/id").fields["cwd"] == str(place)
        if place is not releases[-1]:
            fresh = socket_dir / "fresh"
            fresh.symlink_to(releases[generation])
            fresh.replace(current)
            # Nothing changes for the one that runs.
            assert one.get("/id").fields["cwd"] == str(place)
            one.reload()
            wait_only(one, one.wait_ready(generation + 1))


@pytest.mark.rules("E9", "E10")
def test_variables_and_the_path_they_hold_are_read_at_every_start(socket_dir, master):
    for n in (1, 2):
        release(socket_dir, f"release{n}", n)
    envdir = socket_dir / "env"
    envdir.mkdir()
    (envdir / "COLOUR").write_text("red\n")
    (envdir / "PATH").write_text(f"{socket_dir}/release1:/usr/bin:/bin")
    one = master(f"-envdir={envdir}", command=["server"])
    one.wait_ready(1)
    assert one.wait_serving().fields["version"] == "1"
    assert one.get("/env").fields["COLOUR"] == "red"
    (envdir / "COLOUR").write_text("blue\n")
    (envdir / "PATH").write_text(f"{socket_dir}/release2:/usr/bin:/bin")
    assert one.get("/env").fields["COLOUR"] == "red"
    one.reload()
    wait_only(one, one.wait_ready(2))
    assert one.wait_serving().fields["version"] == "2"
    assert one.get("/env").fields["COLOUR"] == "blue"
    (envdir / "COLOUR").unlink()
    one.reload()
    wait_only(one, one.wait_ready(3))
    assert "COLOUR" not in one.get("/env").fields
