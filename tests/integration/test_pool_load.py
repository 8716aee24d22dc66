"""Pools under load: smooth rollouts, and deploys that go wrong, as clients see them."""

import re
import shlex

import pytest
from harness import REPOSITORY, SERVER, eventually
from masterlog import says
from pools import all_alive, assert_smooth, scale, slots, wait_pool
from workers import Notes

pytestmark = pytest.mark.heavy

APPS = REPOSITORY / "tests/fixtures/apps"
PATIENT = 60.0  # seconds, for servers that take their time
EIGHT = ["-workers=8", "-rollout=smooth", "-max-starting=2"]


def begin(master, directory, *options, server=(), **how):
    notes = Notes(directory)
    one = master(*options, server=[notes.option, "--say-ready", *server], **how)
    one.wait_log(says("rollout_done", generation=1), deadline=PATIENT)
    return one, notes


@pytest.mark.rules("R5", "R3", "L6", "I1", "I2")
@pytest.mark.parametrize("ready", ["notify", "fd"])
@pytest.mark.parametrize("keepalive", [1, 10])
def test_eight_workers_are_replaced_smoothly_without_loss(
    ready, keepalive, socket_dir, master, load
):
    one, _ = begin(master, socket_dir, f"-ready={ready}", *EIGHT, server=["--start-delay=5"])
    clients = load(one.address, threads=4, keepalive=keepalive)
    for generation in range(2, 12):
        assert one.reload(deadline=PATIENT) == generation
        clients.wait_answered(100, deadline=PATIENT)
    wait_pool(one, 11, 8)
    clients.assert_lossless(at_least=1000)
    assert len(clients.generations) > 5
    assert_smooth(one, 8, 2)
    assert not [ended for ended in one.said("ended") if ended["unasked"]]


@pytest.mark.rules("R5", "R9", "R11", "L6")
def test_more_fewer_and_many_reloads_lose_nothing(socket_dir, master, load):
    one, _ = begin(master, socket_dir, "-ready=fd", *EIGHT, "-respawn")
    clients = load(one.address, threads=4, keepalive=5)
    for by in (+3, -2, -4, +1):
        for _ in range(5):
            one.hup()
        scale(one, by)
        clients.wait_answered(100, deadline=PATIENT)
    newest = one.reload(deadline=PATIENT)
    assert len(wait_pool(one, newest, 6)) == 6
    clients.assert_lossless(at_least=400)


@pytest.mark.rules("R7", "L6", "I7")
def test_smooth_rollouts_that_fail_half_way_lose_nothing(socket_dir, master, load):
    # In every other generation whoever gets slot 9 is broken; by then others may have taken over.
    server = shlex.join([SERVER, "--say-ready"])
    script = (
        '[ "$EINHORN_CHILD_INDEX" != 9 ] || [ $((SOCKETMASTER_GENERATION % 2)) = 1 ] || exit 3;'
        f"exec {server}"
    )
    one = master("-ready=fd", *EIGHT, command=["/bin/sh", "-c", script])
    one.wait_log(says("rollout_done", generation=1), deadline=PATIENT)
    clients = load(one.address, threads=4)
    failed = 0
    for generation in range(2, 12):
        one.hup()
        ended = one.wait_log(says("rollout_ended", generation=generation), PATIENT)
        failed += ended["how"] == "failed"
        clients.wait_answered(100, deadline=PATIENT)
        eventually(lambda: len(one.workers) == 8, what="eight workers")
    assert failed >= 1
    assert one.said("rollout_done", generation=11)
    clients.assert_lossless(at_least=1000)
    assert_smooth(one, 8, 2)


# --- deploys as people do them -------------------------------------------------------------------


class Releases:
    """A directory of releases with a link to the current one."""

    def __init__(self, directory):
        self.directory = directory
        self.current = directory / "current"

    def add(self, name, script):
        place = self.directory / "releases" / name
        place.mkdir(parents=True)
        server = place / "server"
        server.write_text(f"#!/bin/sh\n{script}\n")
        server.chmod(0o755)

    def add_good(self, name):
        words = shlex.join([SERVER, "--say-ready", f"--version-text={name}"])
        self.add(name, f"echo loading {name}\nexec {words}")

    def flip(self, name):
        """As `ln -sfn` and `mv -T` do it: at no moment is there no link."""
        fresh = self.directory / "next"
        fresh.symlink_to(f"releases/{name}")
        fresh.replace(self.current)


LONG = "0123456789" * 10
# how a release is broken: (its script, what the line says of it, its last output)
BROKEN = {
    "ends": (
        'echo "configuration: no such database" >&2; exit 78',
        "ended before it was ready: exit status 78",
        ["configuration: no such database"],
    ),
    "crashes": (
        'echo "about to"; printf "crash \\033[31m"; kill -SEGV $$',
        "ended before it was ready: killed by SEGV",
        ["about to", "crash \\x1b[31m"],
    ),
    "talks": (
        f"for n in $(seq 100); do echo line $n {LONG}; done; exit 1",
        "ended before it was ready: exit status 1",
        [f"line {n} {LONG}" for n in range(70, 101)],
    ),
    "hangs": (
        "echo waiting for a lock; exec sleep 1000",
        "was not ready in time",
        ["waiting for a lock"],
    ),
    "says nothing": ("exit 3", "ended before it was ready: exit status 3", []),
}


@pytest.mark.rules("R2", "R7", "E9", "L6", "O6", "I7")
@pytest.mark.parametrize(
    "broken, rollout", [*((name, "fleet") for name in BROKEN), ("ends", "smooth")]
)
def test_a_deploy_of_a_broken_release_and_then_of_a_good_one(
    broken, rollout, socket_dir, master, load
):
    script, how, output = BROKEN[broken]
    releases = Releases(socket_dir)
    releases.add_good("41")
    releases.add("42", script)
    releases.add_good("43")
    releases.flip("41")
    one = master(
        "-ready=notify",
        "-ready-timeout=3000",
        "-workers=3",
        f"-rollout={rollout}",
        "-stop-signal=TERM",
        f"-dir={releases.current}",
        command=["./server"],
    )
    one.wait_log(says("rollout_done", generation=1), deadline=PATIENT)
    old = wait_pool(one, 1, 3)
    clients = load(one.address, threads=2)
    clients.wait_answered(50)

    releases.flip("42")
    one.reload(deadline=PATIENT, succeeds=False)
    failed = one.said("rollout_failed", generation=2)[0]
    told = re.match(
        rf"worker (\d+) \(slot (\d+)\) {re.escape(how)}; 3 workers serve on"
        r"(?:; it wrote last: (.*))?$",
        failed["why"],
    )
    assert told, failed["why"]
    assert slots(one, 2)[int(told[1])] == int(told[2])
    last = re.findall(r'"((?:[^"\\]|\\.)*)"', told[3] or "")
    assert last[-len(output) :] == output if output else not last
    # Up to 4 KiB are kept, in the log all of it is.
    assert sum(len(line) + 1 for line in last) <= 4096 + 16
    eventually(lambda: one.workers == old, PATIENT, "the workers of before alone")
    clients.wait_answered(50)
    assert one.wait_serving().fields["version"] == "41"
    assert not one.said("retired")

    releases.flip("43")
    assert one.reload(deadline=PATIENT) == 3
    wait_pool(one, 3, 3)
    clients.wait_answered(50)
    assert one.wait_serving().fields["version"] == "43"
    clients.assert_lossless(at_least=150)
    assert clients.generations == {1, 3}


@pytest.mark.rules("R7", "E10", "O6")
def test_a_release_that_cannot_be_executed_is_told_with_the_step_and_the_error(socket_dir, master):
    releases = Releases(socket_dir)
    releases.add_good("41")
    releases.add("42", "exit 0")
    (socket_dir / "releases/42/server").chmod(0o644)
    releases.flip("41")
    one = master(
        "-ready=fd", "-workers=2", f"-dir={releases.current}", command=["./server"]
    )
    old = wait_pool(one, 1, 2)
    one.wait_log(says("rollout_done", generation=1))
    for name, error in [("42", "Permission denied"), ("missing", "No such file or directory")]:
        since = len(one.log)
        releases.flip(name)
        one.reload(succeeds=False)
        failed = one.wait_log(says("rollout_failed"), since=since)
        assert re.match(
            rf"worker \d+ \(slot \d\) could not be started: unable to .*: {error};"
            " 2 workers serve on$",
            failed["why"],
        ), failed["why"]
    eventually(lambda: one.workers == old, what="the workers of before alone")


@pytest.mark.rules("R6", "R7", "L6", "I7")
def test_a_release_that_dies_in_its_first_requests_costs_nothing_while_it_is_held(
    socket_dir, master, load
):
    releases = Releases(socket_dir)
    releases.add_good("41")
    # It is ready, and dies half a second later without ever having accepted anything.
    releases.add("42", 'systemd-notify --ready; sleep 0.5; exit 9')
    releases.flip("41")
    one = master(
        "-ready=notify",
        "-hold=600000",
        "-workers=2",
        f"-dir={releases.current}",
        command=["./server"],
    )
    one.wait_log(says("rollout_done", generation=1), deadline=PATIENT)
    old = wait_pool(one, 1, 2)
    clients = load(one.address, threads=2)
    releases.flip("42")
    one.reload(deadline=PATIENT, succeeds=False)
    failed = one.said("rollout_failed", generation=2)[0]
    # Under load the other may not have been ready yet.
    assert "exit status 9; 2 workers serve on" in failed["why"]
    eventually(lambda: one.workers == old, PATIENT, "the workers of before alone")
    clients.wait_answered(50)
    clients.assert_lossless(at_least=50)
    assert clients.generations == {1}


# --- real servers that say so themselves ---------------------------------------------------------

SMOOTH = ["-rollout=smooth", "-max-starting=1"]
SERVERS = {
    "gunicorn": (["gunicorn", "--preload", f"--chdir={APPS}", "wsgi"], []),
    "node": (["node", "-r", str(APPS / "notify.js"), str(APPS / "server.js")], SMOOTH),
}


@pytest.mark.rules("R3", "R4", "R5", "E5", "L6")
@pytest.mark.parametrize("words, rollout", SERVERS.values(), ids=SERVERS)
def test_real_servers_that_say_when_they_are_ready(words, rollout, master, load):
    one = master(
        "-ready=notify",
        "-workers=2",
        "-stop-signal=TERM",
        *rollout,
        command=words,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    one.wait_log(says("rollout_done", generation=1), deadline=PATIENT)
    workers = wait_pool(one, 1, 2)
    clients = load(one.address, threads=2)
    for generation in range(2, 5):
        clients.wait_answered(50, deadline=PATIENT)
        assert one.reload(deadline=PATIENT) == generation
        workers = wait_pool(one, generation, 2, PATIENT)
        # An answer of the new ones, before the next reload.
        eventually(
            lambda: one.get().fields["generation"] == str(generation), PATIENT, "a new answer"
        )
    clients.wait_answered(50, deadline=PATIENT)
    clients.assert_lossless(at_least=200)
    assert all_alive(workers)
    assert one.stop(deadline=PATIENT) == 0
