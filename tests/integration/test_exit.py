"""Exit statuses: what a service manager learns from the end of the master."""

import os
import signal
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM

import pytest
from harness import SERVER, run
from masterlog import says
from workers import Deploy, Held, Notes, wait_serves_alone

# --- after a stop --------------------------------------------------------------------------------

# what a worker does when it is told to stop: (its script, further options)
ENDINGS = {
    "ends with 0": ("trap 'exit 0' TERM INT QUIT", []),
    "ends with 3": ("trap 'exit 3' TERM INT QUIT", []),
    "dies of another signal": ("trap 'kill -SEGV $$' TERM INT QUIT", []),
    "has to be killed": ("trap '' TERM INT QUIT", ["-stop=50"]),
}


@pytest.mark.rules("X1", "G1")
@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGQUIT])
@pytest.mark.parametrize("ending", ENDINGS)
def test_after_a_stop_it_is_0_whatever_the_worker_says(ending, number, master):
    script, options = ENDINGS[ending]
    loop = f"{script}; echo armed; while :; do sleep 0.01; done"
    one = master(*options, command=["/bin/sh", "-c", loop])
    one.wait_output("^armed$")
    one.wait_ready(1)
    assert one.stop(number) == 0
    name = signal.Signals(number).name.removeprefix("SIG")
    assert len(one.said("stop", signal=name)) == 1
    assert one.said("exiting", status=0)


@pytest.mark.rules("X1")
def test_after_a_stop_it_is_0_though_the_last_generation_was_broken(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(command=[deploy.path])
    one.wait_ready(1)
    deploy.place("neither a script nor a program\n")
    one.reload(succeeds=False)
    assert one.stop() == 0


@pytest.mark.rules("X1")
def test_after_a_stop_it_is_0_though_an_old_worker_crashed(socket_dir, master):
    notes = Notes(socket_dir)
    one = master(start=500, server=[notes.option])
    old = one.wait_ready(1)
    one.hup()
    notes.wait_start(2)
    os.kill(old, SIGKILL)
    one.wait_log(says("rollout_done", generation=2))
    assert one.stop() == 0


# --- without one ---------------------------------------------------------------------------------

# how the only worker ends: (the page that makes it, the status)
UNASKED = [
    ("/exit?code=0", 0),
    ("/exit?code=1", 1),
    ("/exit?code=2", 2),
    ("/exit?code=7", 7),
    ("/exit?code=127", 127),
    ("/exit?code=255", 255),
    ("/kill?signal=1", 128 + 1),
    ("/kill?signal=9", 128 + 9),
    ("/kill?signal=11", 128 + 11),
    ("/kill?signal=15", 128 + 15),
]


@pytest.mark.rules("X1", "X2", "R12")
@pytest.mark.parametrize("page, status", UNASKED)
def test_it_is_that_of_the_last_worker(page, status, master):
    one = master()
    one.wait_ready(1)
    one.get(page)
    assert one.wait_exit() == status
    assert one.said("exiting", status=status)
    assert one.said("ended")[0]["unasked"]


@pytest.mark.rules("X1", "X2", "R7", "R12")
@pytest.mark.parametrize(
    "script, status",
    [("exit 0", 0), ("exit 1", 1), ("exit 5", 5), ("kill -KILL $$", 137), ("kill -HUP $$", 129)],
)
def test_it_is_that_of_a_first_worker_that_never_got_ready(script, status, master):
    one = master(start=60000, command=["/bin/sh", "-c", script])
    assert one.wait_exit() == status
    assert one.said("rollout_failed", generation=1)
    assert not one.said("ready")


@pytest.mark.rules("X2")
def test_the_worker_that_served_counts_not_the_one_that_failed_later(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(start=1000, command=[deploy.path])
    old = one.wait_ready(1)
    # The new one outlives the old one, and never gets ready.
    deploy.run("trap 'exit 3' USR1; echo armed; while :; do sleep 0.01; done")
    one.hup()
    one.wait_output("^armed$")
    new = int(one.wait_log(says("started", generation=2))["pid"])
    os.kill(old, SIGKILL)
    one.wait_log(says("ended", pid=old))
    os.kill(new, signal.SIGUSR1)
    assert one.wait_exit() == 128 + SIGKILL
    assert one.said("rollout_failed", generation=2)


@pytest.mark.rules("X2")
@pytest.mark.parametrize("how", ["well", "killed"])
def test_a_drainer_that_ends_later_does_not_count(how, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(server=[notes.option, "--drain-timeout=60000"])
    one.wait_ready(1)
    with Held(one) as held:
        one.reload()
        new = notes.wait_start(2)
        wait_serves_alone(one, new)
        one.get("/exit?code=9")
        one.wait_log(says("ended", pid=new))
        if how == "killed":
            os.kill(held.pid, SIGKILL)
    assert one.wait_exit() == 9


# --- a start that fails --------------------------------------------------------------------------

# what is wrong: (options and command, the status)
FAILED_STARTS = {
    "no command": ([], 2),
    "unknown option": (["-nonsense", SERVER], 2),
    "wrong value": (["-start=soon", SERVER], 2),
    "wrong URI": (["-listen=tcp://127.0.0.1:99999", SERVER], 2),
    "command not found": (["/nonexistent/server"], 1),
    "command not executable": (["/etc/passwd"], 1),
    "no such directory": (["-dir=/nonexistent", SERVER], 1),
    "no such address": (["-listen=tcp://192.0.2.1:0", SERVER], 1),
    "no such user": (["-user=socketmaster-nobody", SERVER], 1),
}


@pytest.mark.rules("C5", "C6", "X3", "L5")
@pytest.mark.parametrize("wrong", FAILED_STARTS)
def test_a_start_that_fails_has_a_status_of_its_own(wrong, socket_dir):
    arguments, status = FAILED_STARTS[wrong]
    path = socket_dir / "socket"
    finished = run(f"-listen=unix://{path}", *arguments)
    assert finished.status == status
    assert len(finished.error_lines) == 1, finished.stderr
    assert not path.exists()


@pytest.mark.rules("C6", "X3", "R7")
def test_a_first_worker_that_cannot_be_executed_is_no_worker_that_ended_with_127(socket_dir):
    program = socket_dir / "program"
    program.write_text("neither a script nor a program\n")
    program.chmod(0o755)
    path = socket_dir / "socket"
    finished = run(f"-listen=unix://{path}", program)
    assert finished.status == 1
    told = [line for line in finished.error_lines if "not started: unable to execute" in line]
    assert len(told) == 1 and str(program) in told[0], finished.stderr
    assert not path.exists()
