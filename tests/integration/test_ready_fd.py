"""-ready=fd: a newline on the descriptor that NOTIFY_FD names, and what else can become of that."""

import os

import pytest
from harness import PATIENCE, SERVER
from masterlog import says
from puppets import Puppet, command
from world import descriptors, variables
from workers import wait_gone, wait_only

FD = "-ready=fd"
PUT_ASIDE = "fd = int(os.environ['NOTIFY_FD'])\n"


@pytest.fixture
def stage(socket_dir, master):
    """A master whose first puppet is ready, while the second has said nothing yet.

    Returns the master and both puppets.
    """

    def begin(*options):
        one = master(FD, *options, command=command(socket_dir))
        old = Puppet(socket_dir, 1, 0)
        old.do("write()")
        one.wait_log(says("rollout_done", generation=1))
        one.hup()
        return one, old, Puppet(socket_dir, 2, 1)

    return begin


def assert_done(one, new):
    one.wait_log(says("ready", generation=2, pid=new.pid))
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)
    # Whoever writes on does not die of it.
    new.do("for _ in range(100): write(b'more\\n')")
    assert new.plays and new.is_settled(one)
    assert len(one.said("ready")) == 2


def assert_lost(one, old, new, tail=""):
    """It failed at once, with the reason; the old one serves on."""
    one.wait_log(says("lost", generation=2, pid=new.pid))
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert failed["why"].startswith(
        f"worker {new.pid} (slot 1) can never say that it is ready; 1 worker serves on{tail}"
    )
    one.wait_log(says("stopped", pid=new.pid, signal="HUP"))
    wait_only(one, old.pid)
    assert not one.said("ready", generation=2)


# --- what says it --------------------------------------------------------------------------------

SAYS_IT = {
    "a newline": "write()",
    "a newline after other bytes": "write(b'almost'); write(b' there\\nand more')",
    "many newlines": "write(b'\\n' * 10000)",
    "a newline behind a megabyte": "[write(b'x' * 1024) for _ in range(1024)]; write()",
    "a newline, then closed": PUT_ASIDE + "os.dup2(fd, 200); write(); os.close(fd)\n"
    "os.environ['NOTIFY_FD'] = '200'",
    "a child's": "in_child(write)",
    "a grandchild's": "in_child(lambda: in_child(write))",
    "an orphan's, when it is gone": "in_child(lambda: in_child(write, wait=False))",
    "a child's that holds it alone": PUT_ASIDE + "os.dup2(fd, 200)\n"
    "in_child(lambda: (os.close(fd), os.write(200, b'\\n')))",
}


@pytest.mark.rules("R3", "R4", "E5", "O6")
@pytest.mark.parametrize("how", SAYS_IT)
def test_a_newline_says_it_whoever_writes(how, stage):
    one, _, new = stage()
    new.do(SAYS_IT[how])
    assert_done(one, new)


@pytest.mark.rules("R3")
def test_nothing_but_a_newline_says_it(stage):
    one, old, new = stage()
    for data in (b"ready", b"READY=1", b"\0", b"\r", b"x" * 100000):
        new.do(f"write({data!r})")
    assert new.is_settled(one)
    assert not one.said("ready", generation=2)
    assert old.plays
    new.do("write()")
    assert_done(one, new)


@pytest.mark.rules("R3", "E5")
def test_a_shell_says_it(master):
    script = f'echo ready >&"$NOTIFY_FD"; exec {SERVER}'
    one = master(FD, command=["/bin/sh", "-c", script])
    for generation in (1, 2):
        wait_only(one, one.wait_ready(generation))
        if generation == 1:
            one.hup()
    one.wait_serving()


@pytest.mark.rules("R3", "R8")
def test_who_closes_it_once_ready_has_not_failed(stage):
    one, _, new = stage()
    new.do("write(); os.close(int(os.environ['NOTIFY_FD']))")
    one.wait_log(says("rollout_done", generation=2))
    assert new.is_settled(one)
    assert new.plays and not one.said("lost")
    wait_only(one, new.pid)


# --- what makes that impossible ------------------------------------------------------------------


@pytest.mark.rules("R3", "R7", "O6")
@pytest.mark.parametrize("first", ["", "write(b'almost'); "])
def test_who_closes_it_without_a_word_has_failed_at_once(first, stage):
    # Though it might take for ever.
    one, old, new = stage("-ready-timeout=0")
    new.do("os.write(1, b'I give up\\n')")
    new.do(f"{first}os.close(int(os.environ['NOTIFY_FD']))")
    assert_lost(one, old, new, '; it wrote last: "I give up"')
    assert old.plays


@pytest.mark.rules("R3", "R4")
def test_it_is_lost_only_when_nobody_holds_it_any_more(stage):
    one, old, new = stage("-ready-timeout=0")
    new.do(
        "reading, writing = os.pipe()\n"
        "def hold():\n"
        "    os.close(writing)\n"
        "    os.read(reading, 1)\n"
        "in_child(hold, wait=False)\n"
        "os.close(int(os.environ['NOTIFY_FD']))\n"
    )
    assert new.is_settled(one)
    assert not one.said("lost")
    new.do("os.close(writing)")
    assert_lost(one, old, new)


# how it ends: (what it does, what the log says)
ENDS = {
    "by itself": ("os._exit(7)", "exit status 7"),
    "well": ("os._exit(0)", "exit status 0"),
    "by a signal": ("os.kill(os.getpid(), 11)", "killed by SEGV"),
    "having closed it": ("os.close(int(os.environ['NOTIFY_FD'])); os._exit(9)", "exit status 9"),
}


@pytest.mark.rules("R3", "R7", "O6")
@pytest.mark.parametrize("how", ENDS)
def test_of_a_worker_that_ends_the_log_tells_how_it_ended(how, stage):
    text, told = ENDS[how]
    one, old, new = stage("-ready-timeout=0")
    new.drop(text)
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert f"worker {new.pid} (slot 1) ended before it was ready: {told};" in failed["why"]
    assert not one.said("lost")
    wait_gone(new.pid)
    wait_only(one, old.pid)


@pytest.mark.rules("R3", "R7", "X2")
def test_a_first_worker_that_closes_it_ends_the_master(master):
    script = 'exec 4>&-; exec sleep 1000'
    one = master(FD, "-ready-timeout=0", "-stop-signal=TERM", command=["/bin/sh", "-c", script])
    assert one.wait_exit() == 1
    assert one.said("lost", generation=1)


@pytest.mark.rules("R3", "R7", "O6")
def test_who_says_nothing_is_late(stage):
    one, old, new = stage(f"-ready-timeout={int(1500 * min(PATIENCE, 2))}")
    new.do("write(b'soon')")
    one.wait_log(says("late", generation=2, pid=new.pid), deadline=20)
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert f"worker {new.pid} (slot 1) was not ready in time" in failed["why"]
    wait_only(one, old.pid)


# --- the descriptor ------------------------------------------------------------------------------


@pytest.mark.rules("E1", "E5")
@pytest.mark.parametrize("count", [1, 2, 9])
def test_it_is_the_first_after_the_listeners(count, socket_dir, master):
    uris = [f"unix://{socket_dir}/s{number}" for number in range(count)]
    one = master(FD, listen=uris, server=["--say-ready"])
    for generation in (1, 2):
        wait_only(one, one.wait_ready(generation))
        found = descriptors(one)
        assert sorted(found) == list(range(3 + count + 1))
        assert "type=pipe cloexec=0 nonblock=0" in found[3 + count]
        assert variables(one)["NOTIFY_FD"] == str(3 + count)
        assert "NOTIFY_SOCKET" not in variables(one)
        if generation == 1:
            one.hup()


@pytest.mark.rules("E1", "E5")
@pytest.mark.parametrize("options", [[], ["-ready=alive"], ["-ready=notify"]])
def test_otherwise_there_is_none(options, master):
    one = master(*options, server=["--say-ready"])
    one.wait_ready(1)
    one.wait_serving()
    assert sorted(descriptors(one)) == [0, 1, 2, 3]
    assert "NOTIFY_FD" not in variables(one)


@pytest.mark.rules("R3", "I11")
def test_the_master_keeps_no_descriptor_of_workers_that_are_gone(stage, socket_dir):
    one, old, new = stage("-ready-timeout=0")
    new.do("write()")
    wait_only(one, new.pid)
    before = len(one.fds)
    for generation in range(3, 8):
        one.hup()
        newest = Puppet(socket_dir, generation, 0)
        newest.drop("os._exit(1)")
        one.wait_log(says("rollout_failed", generation=generation))
        wait_gone(newest.pid)
    wait_only(one, new.pid)
    assert new.is_settled(one)
    assert len(one.fds) == before
    assert os.path.exists(f"/proc/{new.pid}")
