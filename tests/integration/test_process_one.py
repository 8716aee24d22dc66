"""The master as process 1, which inherits every orphan, and pids that come again."""

import os
import shlex
from signal import SIGKILL, SIGQUIT, SIGTERM

import procfs
import pytest
from harness import SERVER, eventually
from masterlog import says
from namespaces import Init, Stranger
from workers import Deploy, Held, Notes, wait_gone


@pytest.mark.rules("G2", "X2")
def test_process_1_reaps_orphans():
    with Init(server=["--grandchild"]) as one:
        one.wait_ready(1)
        (old,) = one.workers
        (orphan,) = procfs.children(old)
        one.reload()
        wait_gone(old)
        assert procfs.processes()[orphan].parent == one.pid
        os.kill(orphan, SIGKILL)
        wait_gone(orphan)
        one.get("/exit?code=7")
        assert one.wait_exit() == 7
        # The orphan was none of the workers: nothing was said, and nothing ended by it.
        assert len(one.said("ended")) == 2


@pytest.mark.heavy
@pytest.mark.rules("G2", "R2")
def test_process_1_reaps_three_hundred_orphans_during_reloads():
    storm = (
        "n=0; while [ $n -lt 100 ]; do"
        " (sh -c 'sleep 0.0'$((n % 10))'; exit 9' &); n=$((n + 1)); done;"
        f"exec {shlex.quote(SERVER)}"
    )
    with Init(command=["/bin/sh", "-c", storm]) as one:
        one.wait_ready(1)
        for _ in range(2):
            one.reload()
        eventually(
            lambda: len(procfs.children(one.pid)) == 1 and not one.zombies,
            what="one child, and no zombie",
        )
        ended = one.said("ended")
        assert [found["pid"] for found in ended] == [
            one.said("started", generation=generation)[0]["pid"] for generation in (1, 2)
        ]
        one.wait_serving()
        assert one.stop() == 0

# What a worker leaves behind: both outlive it and all signals, and belong to nobody here.
LEAVE_BEHIND = (
    "trap '' TERM HUP INT QUIT;"
    "setsid -f sleep 1000;"  # a daemon
    "(sleep 1000 & sleep 1000 &);"  # orphans of its own group
)


@pytest.mark.rules("G2", "I3", "I5", "R12")
def test_process_1_takes_daemons_and_orphans_with_it():
    command = ["/bin/sh", "-c", f"{LEAVE_BEHIND} exec {shlex.quote(SERVER)}"]
    with Init(command=command) as one:
        for generation in (1, 2, 3):
            one.wait_ready(generation)
            expected = 1 + 3 * generation
            eventually(lambda: len(one.workers) == expected, what="what was left behind")
            if generation < 3:
                one.reload()
                eventually(lambda: len(one.said("ended")) == generation, what="a drained worker")
        # Only workers count: an end of another changes and says nothing.
        strangers = [pid for pid in one.workers if procfs.arguments(pid)[0] == "sleep"]
        assert len(strangers) == 9
        for pid in strangers[::2]:
            os.kill(pid, SIGKILL)
        for pid in strangers[::2]:
            wait_gone(pid)
        assert len(one.said("ended")) == 2
        assert one.stop() == 0
        # The namespace ends with its first process.
        eventually(lambda: not one.leftovers, what="the end of everything")


@pytest.mark.rules("G2", "I3", "R7")
def test_process_1_reaps_what_crashed_workers_leave(socket_dir):
    deploy = Deploy(socket_dir)
    with Init(start=100, command=[deploy.path]) as one:
        old = one.wait_ready(1)
        deploy.run("(sh -c 'sleep 0.01; exit 3' &) ; exit 4")
        for _ in range(20):
            one.reload(succeeds=False)
        eventually(lambda: len(one.workers) == 1 and not one.zombies, what="one child, no zombie")
        assert len(one.said("ended", status=4)) == 20
        assert not one.said("ended", pid=old)
        deploy.serve()
        one.reload()
        assert one.stop() == 0


@pytest.mark.rules("G4", "G5")
@pytest.mark.parametrize("kill", ["process", "group"])
def test_a_stranger_with_the_pid_of_a_gone_worker_is_never_signalled(kill, socket_dir):
    notes = Notes(socket_dir)
    options = [f"-kill={kill}", "-stop=300"]
    with Init(*options, server=[notes.option, "--drain-timeout=60000"]) as one:
        gone = one.wait_ready(1)
        one.reload()
        one.wait_log(says("ended", pid=gone))
        with Stranger(one, gone) as stranger:
            # The bound of the one that is gone passes before the bound of the one that is held.
            held = Held(one)
            late = notes.wait_start(2)
            one.reload()
            one.wait_log(says("killed_late", pid=late))
            one.wait_log(says("ended", pid=late))
            held.release()
            one.reload()
            stranger.assert_untouched()


@pytest.mark.rules("G1", "G4")
@pytest.mark.parametrize("kill", ["process", "group"])
def test_a_stop_does_not_reach_a_stranger_either(kill, socket_dir):
    notes = Notes(socket_dir)
    with Init(f"-kill={kill}", server=[notes.option, "--drain-timeout=60000"]) as one:
        gone = one.wait_ready(1)
        one.reload()
        one.wait_log(says("ended", pid=gone))
        with Stranger(one, gone) as stranger:
            worker = notes.wait_start(2)
            with Held(one) as held:
                assert held.pid == worker
                for number in (SIGTERM, SIGQUIT):
                    one.signal(number)
                    notes.wait_signal(worker, number)
                stranger.assert_untouched()
            assert one.wait_exit() == 0
