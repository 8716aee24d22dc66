"""Pools: how many workers there are, in which slots, and how they are replaced."""

import os
import time
from signal import SIGHUP, SIGKILL, SIGTERM

import procfs
import pytest
from harness import eventually
from masterlog import says
from pools import (
    all_alive,
    assert_smooth,
    events,
    scale,
    slots,
    wait_all_gone,
    wait_pool,
    wait_served_by,
)
from patient import kinds
from puppets import Puppet, command, playing
from workers import Deploy, Held, Notes, wait_gone

FD = "-ready=fd"
READY = ["--say-ready"]


def begin(master, directory, workers, *options, server=(), **how):
    """A pool of fixture servers that say when they are ready; their notes, and their pids."""
    notes = Notes(directory)
    one = master(
        FD, f"-workers={workers}", *options, server=[notes.option, *READY, *server], **how
    )
    one.wait_log(says("rollout_done", generation=1), deadline=30)
    return one, notes, wait_pool(one, 1, workers)


# --- slots ---------------------------------------------------------------------------------------


@pytest.mark.rules("R1", "E2", "O6")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_so_many_workers_serve_in_slots_from_0(count, rollout, socket_dir, master):
    one, notes, pids = begin(master, socket_dir, count, f"-rollout={rollout}")
    assert sorted(slots(one, 1).values()) == list(range(count))
    seen = {}

    def all_answered():
        answer = one.get()
        seen[answer.pid] = int(answer.fields["slot"])
        return set(seen) >= set(pids)

    eventually(all_answered, 30.0, "an answer of each", interval=0)
    assert seen == slots(one, 1)
    assert one.stop() == 0
    assert all(notes.signals(pid) == [SIGTERM] for pid in pids)


@pytest.mark.rules("E2", "R5")
def test_the_lowest_free_slots_are_used_again(socket_dir, master):
    one, _, _ = begin(master, socket_dir, 3)
    for generation, expected in [(2, {3, 4, 5}), (3, {0, 1, 2}), (4, {3, 4, 5})]:
        assert one.reload() == generation
        wait_pool(one, generation, 3)
        assert set(slots(one, generation).values()) == expected


@pytest.mark.rules("E2", "R10")
def test_a_replacement_gets_the_lowest_free_slot(socket_dir, master):
    one, _, pids = begin(master, socket_dir, 4, "-respawn")
    in_slot = {slot: pid for pid, slot in slots(one, 1).items()}
    for slot in (2, 0, 3):
        since = len(one.log)
        os.kill(in_slot[slot], SIGKILL)
        fresh = one.wait_log(says("started", generation=1), since=since)
        assert int(fresh["slot"]) == slot
        one.wait_log(says("ready", pid=fresh["pid"]))
    assert len(wait_pool(one, 1, 4)) == 4


# --- a fleet -------------------------------------------------------------------------------------


def let_all_be_ready(master, directory, generation):
    """Has every puppet of a generation say that it is ready, until its rollout is done; returns
    them."""
    known = {}

    def is_done():
        for slot in playing(directory, generation):
            if slot not in known:
                known[slot] = Puppet(directory, generation, slot)
                known[slot].do("write()")
        return master.said("rollout_done", generation=generation)

    eventually(is_done, 30.0, f"the end of rollout {generation}")
    return list(known.values())


def puppet_show(master, directory, workers, *options):
    """A pool of puppets of which the first generation is ready."""
    one = master(FD, f"-workers={workers}", *options, command=command(directory))
    return one, let_all_be_ready(one, directory, 1)


@pytest.mark.rules("R2", "R5", "I2")
def test_a_fleet_takes_over_when_the_last_of_it_is_ready(socket_dir, master):
    one, old = puppet_show(master, socket_dir, 3)
    one.hup()
    new = [Puppet(socket_dir, 2, slot) for slot in (3, 4, 5)]
    for one_of_new in new[:2]:
        one_of_new.do("write()")
        one.wait_log(says("ready", pid=one_of_new.pid))
        assert new[2].is_settled(one)
        assert not one.said("retired")
        assert all(one_of_old.plays for one_of_old in old)
    new[2].do("write()")
    one.wait_log(says("rollout_done", generation=2))
    assert wait_pool(one, 2, 3) == sorted(one_of_new.pid for one_of_new in new)
    assert {int(r["pid"]) for r in one.said("retired")} == {one_of_old.pid for one_of_old in old}


@pytest.mark.rules("R5", "R7", "I2", "I7")
@pytest.mark.parametrize("fails", [0, 2])
@pytest.mark.parametrize("ready_before", [[], [1], "others"])
def test_one_of_a_fleet_that_fails_takes_all_of_it_along(fails, ready_before, socket_dir, master):
    one, old = puppet_show(master, socket_dir, 3)
    one.hup()
    new = [Puppet(socket_dir, 2, slot) for slot in (3, 4, 5)]
    others = [n for n in range(3) if n != fails]
    for number in others if ready_before == "others" else ready_before:
        new[number].do("write()")
        one.wait_log(says("ready", pid=new[number].pid))
    new[fails].drop("os._exit(9)")
    failed = one.wait_log(says("rollout_failed", generation=2))
    told = f"worker {new[fails].pid} (slot {new[fails].slot}) ended before it was ready"
    assert failed["why"].startswith(f"{told}: exit status 9; 3 workers serve on")
    wait_all_gone(one_of_new.pid for one_of_new in new)
    assert one.workers == sorted(one_of_old.pid for one_of_old in old)
    for number in others:
        one.wait_log(says("stopped", pid=new[number].pid, signal="HUP"))
    assert not one.said("retired")


@pytest.mark.rules("R7", "X2", "R1")
@pytest.mark.parametrize("options", [[], ["-rollout=smooth", "-max-starting=2"], ["-respawn"]])
def test_one_of_the_first_that_fails_takes_all_of_them_along(options, socket_dir, master):
    one = master(FD, "-workers=3", *options, command=command(socket_dir))
    first, second = Puppet(socket_dir, 1, 0), Puppet(socket_dir, 1, 1)
    first.do("write()")
    one.wait_log(says("ready", pid=first.pid))
    second.drop("os._exit(9)")
    assert one.wait_exit() == 9
    assert "no worker is left that serves" in one.said("rollout_failed", generation=1)[0]["why"]


# --- smoothly ------------------------------------------------------------------------------------


@pytest.mark.rules("R5", "I2", "I11")
def test_a_smooth_rollout_step_by_step(socket_dir, master):
    count, most = 4, 2
    one, old = puppet_show(master, socket_dir, count, "-rollout=smooth", f"-max-starting={most}")
    one.hup()
    new = []
    for step in range(count):
        # So many are starting and no more, and for each that is ready one of the old has gone.
        expected = min(most, count - step)
        eventually(
            lambda: len(playing(socket_dir, 2)) == step + expected, 20.0, "those that are starting"
        )
        begun = playing(socket_dir, 2)
        known = [one_of_new.slot for one_of_new in new]
        fresh = [Puppet(socket_dir, 2, slot) for slot in begun if slot not in known]
        assert len(fresh) == expected
        assert all(one_of_fresh.is_settled(one) for one_of_fresh in fresh)
        assert len(one.workers) == count + expected
        assert len(playing(socket_dir, 2)) == step + expected
        gone = [one_of_old for one_of_old in old if not one_of_old.plays]
        assert len(gone) == len(one.said("retired")) == step
        fresh[-1].do("write()")
        new.append(fresh[-1])
        one.wait_log(says("retired"), count=step + 1)
        eventually(lambda: sum(not o.plays for o in old) == step + 1, what="the end of one")
    one.wait_log(says("rollout_done", generation=2))
    assert wait_pool(one, 2, count) == sorted(one_of_new.pid for one_of_new in new)
    assert_smooth(one, count, most)


@pytest.mark.rules("R5")
def test_at_the_first_start_a_smooth_rollout_starts_so_many_at_a_time(socket_dir, master):
    one = master(
        FD, "-workers=5", "-rollout=smooth", "-max-starting=2", command=command(socket_dir)
    )
    told = 0
    while told < 5:
        expected = min(2, 5 - told)
        eventually(
            lambda: len(playing(socket_dir, 1)) == told + expected, 20.0, "those that are starting"
        )
        puppet = Puppet(socket_dir, 1, told)
        assert puppet.is_settled(one)
        assert len(one.workers) == told + expected
        puppet.do("write()")
        told += 1
    one.wait_log(says("rollout_done", generation=1))
    assert_smooth(one, 5, 2)


@pytest.mark.rules("R5", "I2")
@pytest.mark.parametrize("workers, most", [(1, 1), (8, 1), (8, 3), (3, 8)])
def test_the_bounds_of_a_smooth_rollout(workers, most, socket_dir, master):
    one, notes, _ = begin(
        master, socket_dir, workers, "-rollout=smooth", f"-max-starting={most}"
    )
    for generation in range(2, 5):
        assert one.reload(deadline=30) == generation
        wait_pool(one, generation, workers)
    assert assert_smooth(one, workers, most) <= most
    # From outside: at every moment of a stop there are new ones in place of all that have gone.
    started, stopped = [], 0
    for note in sorted(notes.read(), key=lambda note: note.ns):
        if note.kind == "start":
            started.append(note.pid)
        elif note.kind == "stop":
            stopped += 1
            assert len(started) - stopped >= workers


@pytest.mark.rules("R5")
def test_without_max_starting_it_is_the_number_of_processors(socket_dir, master):
    processors = len(os.sched_getaffinity(0))
    one = master(FD, f"-workers={processors + 3}", "-rollout=smooth", command=command(socket_dir))
    eventually(lambda: len(playing(socket_dir, 1)) == processors, 20.0, "as many as processors")
    assert Puppet(socket_dir, 1, 0).is_settled(one)
    assert len(one.workers) == processors


@pytest.mark.rules("R5", "R7", "I7")
def test_a_smooth_rollout_that_fails_stops_where_it_is(socket_dir, master):
    one, old = puppet_show(master, socket_dir, 4, "-rollout=smooth", "-max-starting=2")
    one.hup()
    good, bad = Puppet(socket_dir, 2, 4), Puppet(socket_dir, 2, 5)
    good.do("write()")
    one.wait_log(says("retired"))
    (gone,) = [int(retired["pid"]) for retired in one.said("retired")]
    assert gone in [one_of_old.pid for one_of_old in old]
    eventually(lambda: len(playing(socket_dir, 2)) == 3, 20.0, "the third")
    bad.drop("os._exit(9)")
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert "; 4 workers serve on" in failed["why"]
    # What serves now serves on: the ready one of the new, and the old ones but one.
    serving = sorted([good.pid, *(o.pid for o in old if o.pid != gone)])
    eventually(lambda: one.workers == serving, what="those that serve")
    assert len(one.said("retired")) == 1
    one.hup()
    let_all_be_ready(one, socket_dir, 3)
    wait_pool(one, 3, 4)
    assert_smooth(one, 4, 2)


# --- holding -------------------------------------------------------------------------------------

HOLD = 700  # milliseconds


def retired_at(master, notes):
    """When the first of the old was told, on the monotonic clock in nanoseconds."""
    eventually(lambda: notes.read("stop"), what="a worker that is told to stop")
    return min(note.ns for note in notes.read("stop"))


@pytest.mark.rules("R6")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
def test_old_workers_serve_on_beside_new_ones(rollout, socket_dir, master):
    one, notes, old = begin(master, socket_dir, 2, f"-hold={HOLD}", f"-rollout={rollout}")
    asked = time.monotonic_ns()
    one.reload(deadline=30)
    assert retired_at(one, notes) - asked >= HOLD * 1_000_000
    done = one.said("rollout_done", generation=2)[0]
    assert int(done["ms"]) >= HOLD
    wait_pool(one, 2, 2)
    one.wait_log(says("retired"), count=2)
    # The first generation replaced nothing, and was not held.
    assert not one.said("rollout_failed")


@pytest.mark.rules("R6", "R7", "I7", "O6")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
def test_a_new_one_that_dies_while_the_old_ones_are_held_fails_the_rollout(
    rollout, socket_dir, master
):
    options = ["-hold=600000", f"-rollout={rollout}", "-max-starting=2"]
    options = options if rollout == "smooth" else options[:2]
    one, notes, old = begin(master, socket_dir, 2, *options)
    one.hup()
    one.wait_log(says("ready", generation=2), count=2)
    new = sorted(slots(one, 2))
    assert one.workers == sorted(old + new)
    os.kill(new[0], SIGKILL)
    failed = one.wait_log(says("rollout_failed", generation=2))
    slot = slots(one, 2)[new[0]]
    told = f"worker {new[0]} (slot {slot}) ended after it was ready: killed by KILL"
    assert failed["why"].startswith(f"{told}; 2 workers serve on")
    wait_all_gone(new)
    assert one.workers == old
    assert [notes.signals(pid) for pid in old] == [[], []]
    assert notes.signals(new[1]) == [SIGHUP]
    assert not one.said("retired")


@pytest.mark.rules("R6", "G1", "X1")
def test_a_stop_does_not_wait_for_the_end_of_holding(socket_dir, master):
    one, notes, old = begin(master, socket_dir, 2, "-hold=600000")
    one.hup()
    one.wait_log(says("ready", generation=2), count=2)
    assert one.stop() == 0
    assert all(notes.signals(pid) == [SIGTERM] for pid in [*old, *slots(one, 2)])


# --- failures ------------------------------------------------------------------------------------


def deployed(master, directory, workers, *options, start=None):
    """A pool whose command can be replaced."""
    deploy = Deploy(directory, *READY)
    one = master(FD, f"-workers={workers}", *options, start=start, command=[deploy.path])
    one.wait_log(says("rollout_done", generation=1), deadline=30)
    return one, deploy, wait_pool(one, 1, workers)


@pytest.mark.heavy
@pytest.mark.rules("R7", "I7", "R2")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
def test_a_hundred_failures_in_a_row_leave_the_workers_of_before(rollout, socket_dir, master):
    one, deploy, old = deployed(master, socket_dir, 3, f"-rollout={rollout}")
    descriptors = kinds(one)
    one_of_them = '[ "$EINHORN_CHILD_INDEX" = 3 ]'
    broken = [
        lambda: deploy.run("exit 3"),
        lambda: deploy.run(f"{one_of_them} && exec sleep 1000; exit 4"),
        lambda: deploy.place("neither a script nor a program\n"),
        lambda: deploy.run(f"{one_of_them} && exec sleep 1000; kill -SEGV $$"),
        lambda: deploy.run(f"{one_of_them} && exec sleep 1000; exec 4>&-; exec sleep 1000"),
    ]
    for failure in range(100):
        broken[failure % len(broken)]()
        assert one.reload(deadline=30, succeeds=False) == failure + 2
    assert set(old) <= set(one.workers)
    eventually(lambda: one.workers == old and not one.zombies, what="the workers of before")
    assert not any(deploy.notes.signals(pid) for pid in old)
    assert not one.said("retired")
    eventually(lambda: kinds(one) <= descriptors, what=f"no descriptors beside {descriptors}")
    wait_served_by(one, old)
    deploy.serve(*READY)
    assert one.reload(deadline=30) == 102
    wait_pool(one, 102, 3)
    assert all(deploy.notes.signals(pid) == [SIGHUP] for pid in old)


@pytest.mark.rules("R9", "R5")
def test_drainers_hold_up_no_reload(socket_dir, master):
    one, notes, pids = begin(master, socket_dir, 3, server=["--ignore=HUP"])
    everyone = list(pids)
    for generation in range(2, 6):
        assert one.reload(deadline=30) == generation
        everyone += slots(one, generation)
    assert one.workers == sorted(everyone) and len(everyone) == 15
    assert one.stop() == 0


@pytest.mark.rules("R9", "O6")
def test_of_too_many_drainers_the_oldest_are_killed(socket_dir, master):
    one, notes, first = begin(master, socket_dir, 3, "-max-draining=4", server=["--ignore=HUP"])
    assert one.reload() == 2
    second = sorted(slots(one, 2))
    assert one.workers == sorted(first + second)
    assert not one.said("killed_surplus")
    assert one.reload() == 3
    one.wait_log(says("killed_surplus", limit=4), count=2)
    killed = {int(surplus["pid"]) for surplus in one.said("killed_surplus")}
    assert len(killed) == 2 and killed < set(first)
    wait_all_gone(killed)
    assert len(one.workers) == 4 + 3


@pytest.mark.rules("R8", "R5", "O6")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
def test_those_that_do_not_leave_in_time_are_killed(rollout, socket_dir, master):
    one, _, old = begin(
        master, socket_dir, 3, "-stop=100", f"-rollout={rollout}", server=["--ignore=HUP"]
    )
    one.reload(deadline=30)
    wait_pool(one, 2, 3)
    one.wait_log(says("ended", signal="KILL"), count=3)
    late = one.said("killed_late")
    assert sorted(int(killed["pid"]) for killed in late) == old
    assert all(int(killed["ms"]) >= 100 for killed in late)


# --- stops ---------------------------------------------------------------------------------------


def in_first_start(master, directory):
    one = master(FD, "-workers=4", "-rollout=smooth", "-max-starting=2", command=command(directory))
    Puppet(directory, 1, 0).do("write()")
    Puppet(directory, 1, 1), Puppet(directory, 1, 2)
    return one


def in_fleet(master, directory):
    one, _ = puppet_show(master, directory, 2)
    one.hup()
    Puppet(directory, 2, 2).do("write()")
    Puppet(directory, 2, 3)
    return one


def in_smooth(master, directory):
    one, _ = puppet_show(master, directory, 3, "-rollout=smooth", "-max-starting=1")
    one.hup()
    Puppet(directory, 2, 3).do("write()")
    one.wait_log(says("retired"))
    eventually(lambda: len(playing(directory, 2)) == 2, 20.0, "the second")
    return one


def while_held(master, directory):
    one, _ = puppet_show(master, directory, 2, "-hold=600000")
    one.hup()
    for slot in (2, 3):
        Puppet(directory, 2, slot).do("write()")
    one.wait_log(says("ready", generation=2), count=2)
    return one


def with_more_asked_for(master, directory):
    one = in_fleet(master, directory)
    one.hup()
    one.wait_log(says("reload_later"))
    scale(one, +1)
    return one


def while_draining(master, directory):
    one, old = puppet_show(master, directory, 2)
    for one_of_old in old:
        one_of_old.do("signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    one.hup()
    for slot in (2, 3):
        Puppet(directory, 2, slot).do("write()")
    one.wait_log(says("retired"), count=2)
    return one


def while_a_replacement_waits(master, directory):
    one, old = puppet_show(master, directory, 2, "-respawn")
    old[0].drop("os._exit(1)")
    fresh = one.wait_log(says("started"), count=3)
    os.kill(int(fresh["pid"]), SIGKILL)
    one.wait_log(says("replacing"))
    return one


PHASES = [
    in_first_start,
    in_fleet,
    in_smooth,
    while_held,
    with_more_asked_for,
    while_draining,
    while_a_replacement_waits,
]


@pytest.mark.rules("G1", "X1", "I5", "R9", "R10", "R11")
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_a_stop_ends_whatever_is_going_on(phase, socket_dir, master):
    one = phase(master, socket_dir)
    pids = one.workers
    since = len(one.log)
    one.term()
    assert one.wait_exit() == 0
    # Everybody was told, and nothing was started afterwards.
    assert {int(told["pid"]) for told in one.said("stopped", since)} == set(pids)
    assert not [event for event, _ in events(one, since) if event == "started"]
    assert one.leftovers == []


# --- exit status ---------------------------------------------------------------------------------


# How the last one ends: (what it is told, the status)
LAST = {"well": ("os._exit(0)", 0), "badly": ("os._exit(3)", 3), "killed": ("os.abort()", 134)}


@pytest.mark.rules("X1", "X2", "R12")
@pytest.mark.parametrize("last", LAST)
def test_the_status_is_that_of_the_last_that_ended_unasked(last, socket_dir, master):
    text, status = LAST[last]
    one, pool = puppet_show(master, socket_dir, 3)
    for puppet, told in zip(pool, ["os._exit(7)", "os.kill(os.getpid(), 9)", text]):
        puppet.drop(told)
        one.wait_log(says("ended", pid=puppet.pid))
    assert one.wait_exit() == status


@pytest.mark.rules("X2", "R12")
def test_those_that_fail_in_a_rollout_do_not_count_while_others_served(socket_dir, master):
    one, old = puppet_show(master, socket_dir, 2)
    one.hup()
    new = [Puppet(socket_dir, 2, slot) for slot in (2, 3)]
    old[0].drop("os._exit(5)")
    one.wait_log(says("ended", pid=old[0].pid))
    old[1].drop("os._exit(6)")
    one.wait_log(says("ended", pid=old[1].pid))
    new[0].drop("os._exit(7)")
    assert one.wait_exit() == 6
    assert "no worker is left that serves" in one.said("rollout_failed", generation=2)[0]["why"]


@pytest.mark.rules("X2", "R11")
def test_one_that_was_taken_away_does_not_count(socket_dir, master):
    one, _, pids = begin(master, socket_dir, 2, server=["--drain-timeout=60000"])
    held = []

    def each_holds():
        held.append(Held(one))
        return len({one_held.pid for one_held in held}) == 2

    eventually(each_holds, what="a connection of each", interval=0)
    scale(one, -1)
    taken = int(one.wait_log(says("retired"))["pid"])
    (stays,) = set(pids) - {taken}
    os.kill(stays, SIGKILL)
    one.wait_log(says("ended", pid=stays))
    for one_held in held:
        one_held.release()
    assert one.wait_exit() == 128 + SIGKILL
    assert not procfs.is_alive(taken)


# --- replacements --------------------------------------------------------------------------------


@pytest.mark.rules("R10")
def test_without_respawn_nobody_is_replaced(socket_dir, master):
    one, _, pids = begin(master, socket_dir, 3)
    os.kill(pids[0], SIGKILL)
    wait_gone(pids[0])
    one.wait_log(says("ended", pid=pids[0]))
    wait_served_by(one, pids[1:])
    assert one.workers == pids[1:]
    # The next reload brings the number back.
    one.reload()
    wait_pool(one, 2, 3)


@pytest.mark.rules("R10", "O6", "G4")
@pytest.mark.parametrize("end", ["exit", "killed"])
def test_who_ends_unasked_is_replaced_within_its_generation(end, socket_dir, master):
    one, _, pids = begin(master, socket_dir, 3, "-respawn")
    one.reload()
    pids = wait_pool(one, 2, 3)
    for _ in range(3):
        if end == "exit":
            gone = one.get("/exit?code=0").pid
        else:
            os.kill(gone := pids[0], SIGKILL)
        assert one.wait_log(says("ended", pid=gone))["unasked"]
        wait_gone(gone)
        fresh = wait_pool(one, 2, 3)
        assert len(set(fresh) - set(pids)) == 1 and gone not in fresh
        pids = fresh
    assert one.stop() == 0


@pytest.mark.heavy
@pytest.mark.rules("R10", "R12", "O6")
def test_replacements_that_fail_come_more_and_more_slowly(socket_dir, master):
    one, deploy, pids = deployed(master, socket_dir, 1, "-respawn")
    deploy.run("exit 3")
    began = time.monotonic()
    os.kill(pids[0], SIGKILL)
    # Nobody is left meanwhile, but one is due.
    for count, wait in [(1, 1000), (2, 1500)]:
        told = one.wait_log(says("replacing", generation=1, count=count), deadline=20)
        assert int(told["ms"]) == wait
    assert time.monotonic() - began >= 1
    assert len(one.said("started")) == 3
    # One that lives for a second ends that.
    deploy.serve(*READY)
    fresh = int(one.wait_log(says("ready"), deadline=20, count=2)["pid"])
    ready = time.monotonic()
    eventually(lambda: time.monotonic() - ready > 1.5, what="a second of its life")
    deploy.run("exit 3")
    since = len(one.log)
    os.kill(fresh, SIGKILL)
    assert int(one.wait_log(says("replacing"), since=since)["count"]) == 1
    deploy.serve(*READY)
    wait_pool(one, 1, 1)


@pytest.mark.rules("R10", "R2", "R9")
def test_a_reload_does_not_wait_for_a_replacement(socket_dir, master):
    one, deploy, pids = deployed(master, socket_dir, 2, "-respawn")
    deploy.run("exit 3")
    os.kill(pids[0], SIGKILL)
    one.wait_log(says("replacing", count=1))
    deploy.serve(*READY)
    assert one.reload() == 2
    assert len(wait_pool(one, 2, 2)) == 2
    assert len(one.said("ready", generation=1)) == 2


@pytest.mark.rules("R10", "R7", "R9")
def test_the_old_generation_is_filled_up_only_after_a_rollout_that_failed(socket_dir, master):
    one, old = puppet_show(master, socket_dir, 2, "-respawn")
    one.hup()
    new = [Puppet(socket_dir, 2, slot) for slot in (2, 3)]
    old[0].drop("os._exit(5)")
    one.wait_log(says("ended", pid=old[0].pid))
    assert new[0].is_settled(one)
    assert len(one.said("started")) == 4
    new[0].drop("os._exit(6)")
    one.wait_log(says("rollout_failed", generation=2))
    fresh = one.wait_log(says("started", generation=1), count=3)
    replacement = Puppet(socket_dir, 1, int(fresh["slot"]))
    assert replacement.pid == int(fresh["pid"])
    replacement.do("write()")
    one.wait_log(says("ready", generation=1, pid=replacement.pid))
    eventually(
        lambda: one.workers == sorted([old[1].pid, replacement.pid]), what="two of generation 1"
    )


# --- more and fewer ------------------------------------------------------------------------------


@pytest.mark.rules("R11", "O6", "E2")
@pytest.mark.parametrize("rollout", [["-rollout=fleet"], ["-rollout=smooth", "-max-starting=1"]])
def test_one_more_and_one_fewer(rollout, socket_dir, master):
    one, notes, pids = begin(master, socket_dir, 1, *rollout)
    assert scale(one, +2) == 3
    more = wait_pool(one, 1, 3)
    assert set(pids) < set(more)
    assert slots(one, 1)[pids[0]] == 0 and set(slots(one, 1).values()) == {0, 1, 2}
    # A generation has as many from then on.
    one.reload()
    of_2 = wait_pool(one, 2, 3)
    by_age = [int(started["pid"]) for started in one.said("started", generation=2)]
    if rollout == ["-rollout=fleet"]:
        # They start together, and the log tells of them as it hears of them.
        by_age.sort(key=slots(one, 2).get)
    assert scale(one, -1) == 2
    # The youngest goes, as others retire.
    one.wait_log(says("retired", pid=by_age[2], signal="HUP"))
    wait_gone(by_age[2])
    assert one.workers == sorted(by_age[:2]) and set(by_age) == set(of_2)
    assert notes.signals(by_age[2]) == [SIGHUP]
    one.reload()
    wait_pool(one, 3, 2)


@pytest.mark.rules("R11", "O6")
def test_there_is_never_none(socket_dir, master):
    one, notes, pids = begin(master, socket_dir, 2)
    assert scale(one, -1) == 1
    (left,) = wait_pool(one, 1, 1)
    for _ in range(3):
        assert scale(one, -1) == 0
        assert one.said("scale_refused", count=0)
    assert one.workers == [left] and one.wait_serving().pid == left
    assert notes.signals(left) == []
    assert scale(one, +1) == 2
    wait_pool(one, 1, 2)


@pytest.mark.rules("R11", "R9", "O6")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("by", [+2, -1])
def test_during_a_rollout_that_is_remembered(by, fails, socket_dir, master):
    one, old = puppet_show(master, socket_dir, 2)
    one.hup()
    new = [Puppet(socket_dir, 2, slot) for slot in (2, 3)]
    scale(one, by)
    assert one.said("scale_later", count=2 + by)
    assert len(one.workers) == 4
    if fails:
        new[0].drop("os._exit(3)")
    else:
        for one_of_new in new:
            # The last one may be taken away before it can answer.
            one_of_new.drop("write()")
    one.wait_log(says("rollout_ended", generation=2))
    one.wait_log(says("scaled", count=2 + by))
    wait_all_gone(puppet.pid for puppet in (new if fails else old))
    eventually(lambda: len(one.workers) == 2 + by, what="as many as are wanted")
    assert all_alive(puppet.pid for puppet in (old if fails else new)) == (by > 0)
    # Those that were added are of the generation that serves.
    one.wait_log(says("started", generation=1 if fails else 2), count=2 + max(by, 0))


@pytest.mark.rules("R11", "R10")
def test_who_was_taken_away_is_not_replaced(socket_dir, master):
    one, _, _ = begin(master, socket_dir, 3, "-respawn")
    scale(one, -1)
    left = wait_pool(one, 1, 2)
    assert len(one.said("started")) == 3
    os.kill(left[0], SIGKILL)
    wait_gone(left[0])
    assert left[1] in wait_pool(one, 1, 2)
    assert len(one.said("started")) == 4
