"""socketmasterctl and a real master: what an operator and a deploy script do with the two of them."""

import contextlib
import os
import re
import stat
import sys
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
from ctl import DONE, NO_MASTER, REFUSED, SHORT, TIMED_OUT, Terminal
from harness import BINARY, SERVER, eventually
from pools import wait_pool
from masterlog import says
from words import root_only

SLOW = 4 * SHORT  # milliseconds: a test can do something while a worker is starting


# Says when it obeys USR1, and that it got it.
TALKER = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: print("got it"))
print("set")
while True:
    signal.pause()
"""


# --- what there is to see ------------------------------------------------------------------------


@pytest.mark.rules("K5", "K2")
def test_ping(ctl):
    one = ctl()
    done = one("ping")
    assert (done.status, done.stderr) == (DONE, "") and str(one.master.pid) in done.stdout


@pytest.mark.rules("K5")
def test_status_for_people(ctl):
    one = ctl("-workers=3")
    done = one("status")
    assert (done.status, done.stderr) == (DONE, "")
    assert max(map(len, done.stdout.splitlines())) <= 80 and "\x1b" not in done.stdout
    for word in [*one.master.workers, one.master.pid, one.master.address, "ready"]:
        assert str(word) in done.stdout


@pytest.mark.rules("K5")
@pytest.mark.parametrize("columns, widest", [(1, 80), (39, 80), (1001, 512), (65535, 512)])
def test_status_on_terminals_of_any_width(columns, widest, ctl):
    one = ctl()
    with Terminal(
        "ctl", f"-control={one.path}", "status", size=(24, columns), env={"NO_COLOR": "1"}
    ) as terminal:
        table = terminal.read()
        assert terminal.client.wait() == DONE
    assert max(map(len, table.splitlines())) <= widest and str(one.master.pid) in table


@pytest.mark.rules("K5")
def test_status_for_programs(ctl):
    one = ctl("-workers=3")
    status = one.status()
    assert status["generation"] == 1 and status["pid"] == one.master.pid
    assert sorted(worker["pid"] for worker in status["workers"]) == sorted(one.master.workers)


@pytest.mark.rules("K5")
def test_metrics(ctl):
    one = ctl()
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?\d+(\.\d+)?')

    def samples():
        lines = one("metrics").stdout.splitlines()
        values = [line for line in lines if not line.startswith("# ")]
        assert all(sample.fullmatch(line) for line in values) and len(values) > 20
        return dict(line.rsplit(" ", 1) for line in values)

    assert samples()["socketmaster_generation"] == "1"
    assert one("reload", "-wait").status == DONE
    assert samples()["socketmaster_generation"] == "2"


@pytest.mark.rules("K5")
def test_watch_shows_what_changes(ctl):
    one = ctl()
    with one.launched("watch", "-interval=100") as watch:
        seen = b""
        while b"generation 1" not in seen:
            seen += os.read(watch.stdout.fileno(), 65536)
        assert one("reload", "-wait").status == DONE
        while b"generation 2" not in seen:
            seen += os.read(watch.stdout.fileno(), 65536)


@pytest.mark.rules("K5", "O2")
def test_logs_are_the_log(ctl):
    one = ctl("-stop-signal=TERM", command=[sys.executable, "-uc", TALKER])
    seen = b""

    def two_rollouts_were_seen():
        nonlocal seen
        assert one("reload", "-wait").status == DONE
        with contextlib.suppress(BlockingIOError):
            seen += os.read(logs.stdout.fileno(), 65536)
        return seen.count(b"rollout done") >= 2

    with one.launched("logs") as logs:
        os.set_blocking(logs.stdout.fileno(), False)
        eventually(two_rollouts_were_seen)
    followed = seen.splitlines()[:-1]
    assert any(line.endswith(b"] set") for line in followed)

    def are_lines_of_the_log():
        return [line.raw for line in one.master.log.lines if line.raw in set(followed)] == followed

    eventually(are_lines_of_the_log)


# --- reloads -------------------------------------------------------------------------------------


@pytest.mark.rules("K5", "R5")
def test_a_reload_that_is_done(ctl):
    one = ctl("-workers=2")
    done = one("reload", "-wait")
    assert (done.status, done.stderr) == (DONE, "")
    assert "generation 2: rollout done" in done.stdout
    assert one.status()["generation"] == 2
    wait_pool(one.master, 2, 2)


@pytest.mark.rules("K5", "R7")
def test_a_reload_that_fails_says_why_and_changes_nothing(ctl, socket_dir):
    one = ctl()
    before = one.master.workers
    script = "echo these are my last words >&2; exit 3"
    done = one("reload", "-wait", "--", "/bin/sh", "-c", script)
    assert done.status == REFUSED
    assert "exit status 3" in done.stderr and "these are my last words" in done.stderr
    eventually(lambda: one.master.workers == before, what="the old worker alone")
    # The command is what it was.
    assert one("reload", "-wait").status == DONE
    assert SERVER in one.status()["command"]


@pytest.mark.rules("K5")
def test_a_command_that_is_not_there_is_refused(ctl):
    one = ctl()
    done = one("reload", "--", "/nowhere/server")
    assert (done.status, done.stdout) == (REFUSED, "")
    assert "/nowhere/server" in done.stderr and "No such file" in done.stderr


@pytest.mark.rules("K5")
def test_a_reload_with_a_command_changes_it(ctl):
    one = ctl()
    done = one("reload", "-wait", "--", SERVER, "--version-text=new%41")
    assert done.status == DONE
    assert one.status()["command"] == [SERVER, "--version-text=new%41"]
    one.master.reload()
    wait_pool(one.master, 3, 1)
    assert one.master.get().fields["version"] == "new%41"


@pytest.mark.rules("K5")
def test_a_reload_that_is_not_waited_for(ctl):
    one = ctl(start=SLOW)
    done = one("reload")
    assert (done.status, done.stderr) == (DONE, "")
    assert one.status()["generation"] == 1
    one.master.wait_log(says("rollout_done", generation=2))


@pytest.mark.rules("K5")
def test_another_deploy_was_faster(ctl):
    one = ctl()
    assert one("reload", "-wait", "-generation=1").status == DONE
    late = one("reload", "-wait", "-generation=1")
    assert (late.status, late.stdout) == (REFUSED, "") and "generation" in late.stderr
    assert one.status()["generation"] == 2
    assert one("reload", "-wait", "-generation=2").status == DONE


@pytest.mark.rules("K5", "R9")
def test_reloads_of_many_are_all_told_how_they_ended(ctl):
    one = ctl(start=SHORT)
    with one.launched("reload", "-wait") as first:
        one.master.wait_log(says("reload"))
        with one.launched("reload", "-wait") as second, one.launched("reload", "-wait") as third:
            assert [each.wait() for each in (first, second, third)] == 3 * [DONE]
            for each in (second, third):
                assert b"generation 3: rollout done" in each.stdout.read()
    assert one.status()["generation"] == 3


@pytest.mark.rules("K5")
def test_the_waiting_ends_and_the_rollout_goes_on(ctl):
    one = ctl(start=SLOW)
    done = one("reload", "-wait", f"-timeout={SHORT}")
    assert done.status == TIMED_OUT
    assert done.stderr == f"socketmasterctl: {one.path}: not done within {SHORT} ms; it goes on\n"
    one.master.wait_log(says("rollout_done", generation=2))


@pytest.mark.rules("K5")
def test_a_master_that_hangs(ctl):
    one = ctl()
    one.master.signal(SIGSTOP)
    try:
        done = one("reload", "-wait", f"-timeout={SHORT}")
        assert (done.status, done.stdout) == (TIMED_OUT, "")
    finally:
        one.master.signal(SIGCONT)


@pytest.mark.rules("K5")
def test_a_master_that_is_killed(ctl, master):
    one = ctl(start=SLOW, orderly=False)
    with one.launched("reload", "-wait") as waiting:
        one.master.wait_log(says("reload"))
        one.master.signal(SIGKILL)
        assert waiting.wait() == NO_MASTER
    assert one("status").status == NO_MASTER


@pytest.mark.rules("K5", "G1")
def test_a_stop_ends_what_is_waited_for(ctl):
    one = ctl(start=SLOW)
    with one.launched("reload", "-wait") as waiting:
        one.master.wait_log(says("reload"))
        assert one("stop").status == DONE
        assert waiting.wait() in (REFUSED, NO_MASTER)
    assert one.master.wait_exit() == 0
    assert not one.path.exists()


# --- the rest ------------------------------------------------------------------------------------


@pytest.mark.rules("K5", "R11")
def test_scale(ctl):
    one = ctl()
    assert one("scale", "4").status == DONE
    wait_pool(one.master, 1, 4)
    assert one("scale", "2").status == DONE
    wait_pool(one.master, 1, 2)


@pytest.mark.rules("K5")
@pytest.mark.parametrize("name", ["USR1", "sigusr1"])
def test_signal(name, ctl):
    one = ctl("-stop-signal=TERM", "-workers=2", command=[sys.executable, "-uc", TALKER])
    one.master.wait_output("set$", count=2)
    assert one("signal", name).status == DONE
    one.master.wait_output("got it$", count=2)


@pytest.mark.rules("K5")
def test_no_such_signal(ctl):
    done = ctl()("signal", "NONE")
    assert (done.status, done.stdout) == (REFUSED, "") and "NONE" in done.stderr


@root_only
@pytest.mark.rules("K5", "K3")
def test_another_user_is_refused(ctl):
    one = ctl()
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert one("stop", user=65534).status == NO_MASTER
    one.path.chmod(0o666)
    for words in [["stop"], ["reload", "-wait"], ["status"], ["scale", "2"], ["logs"]]:
        done = one(*words, user=65534)
        assert (done.status, done.stdout) == (REFUSED, ""), done
    assert one.status()["generation"] == 1


@pytest.mark.rules("K5", "K3")
def test_a_worker_may_not(ctl, socket_dir):
    script = f"{BINARY} ctl -control={socket_dir}/c stop; echo refused with $?; exec {SERVER}"
    one = ctl(start=SLOW, command=["/bin/sh", "-c", script])
    one.master.wait_output(f"refused with {REFUSED}$")
    assert one("status").status == DONE
