"""-ready=notify: who says that a worker is ready, how, and what that message may look like."""

import os
import socket
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import procfs
import puppet
import pytest
from harness import PATIENCE, SERVER, eventually, run
from masterlog import says
from puppets import Puppet, command, public_command
from starter import as_nobody
from words import root_only
from workers import Deploy, wait_gone, wait_only

NOTIFY = "-ready=notify"


@pytest.fixture
def stage(socket_dir, master):
    """A master whose first puppet is ready, while the second has said nothing yet.

    Returns the master and both puppets.
    """

    def begin(*options, count=1):
        one = master(NOTIFY, f"-workers={count}", *options, command=command(socket_dir))
        old = [Puppet(socket_dir, 1, slot) for slot in range(count)]
        for one_of_old in old:
            one_of_old.do("say()")
        one.wait_log(says("rollout_done", generation=1))
        one.hup()
        new = [Puppet(socket_dir, 2, slot) for slot in range(count, 2 * count)]
        return one, old, new

    return begin


def assert_unheard(one, old, new):
    """Whatever was said so far, the new one is not ready by it; but once it says so itself."""
    assert new.is_settled(one)
    assert not one.said("ready", generation=2)
    assert old.plays
    new.do("say()")
    one.wait_log(says("ready", generation=2, pid=new.pid))
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)


# --- real clients --------------------------------------------------------------------------------

PYTHON_CLIENT = "from systemd import daemon; assert daemon.notify('READY=1')"
# How a worker says that it is ready before it becomes the server; as root systemd-notify speaks in
# the name of its parent.
CLIENTS = {
    "systemd-notify": "systemd-notify --ready",
    "systemd-notify with a status": "systemd-notify --ready --status='up and running'",
    "systemd-notify of a child": "sh -c 'systemd-notify --ready; true'",
    "systemd-notify of a grandchild": "sh -c '(systemd-notify --ready; true); true'",
    # python3-systemd waits for nothing, so it has to be the worker itself that speaks.
    "python3-systemd": f'exec /usr/bin/python3 -c "{PYTHON_CLIENT}; import os; '
    f"os.execv('{SERVER}', ['{SERVER}'])\"",
}


@pytest.mark.rules("R3", "R4", "E5")
@pytest.mark.parametrize("client", CLIENTS)
def test_real_clients_are_heard(client, master):
    one = master(
        NOTIFY, start=None, command=["/bin/sh", "-c", f"{CLIENTS[client]}\nexec {SERVER}"]
    )
    for generation in (1, 2):
        pid = one.wait_ready(generation, deadline=30)
        wait_only(one, pid)
        assert one.wait_serving().pid == pid
        if generation == 1:
            one.hup()


@root_only
@pytest.mark.rules("R3", "R4", "E5", "E8")
@pytest.mark.parametrize("client", ["systemd-notify", "python3-systemd"])
def test_real_clients_of_another_user_are_heard(client, master):
    script = f"{CLIENTS[client].partition('; import')[0]}"
    if client == "python3-systemd":
        script = f'exec /usr/bin/python3 -c "{PYTHON_CLIENT}; import time; time.sleep(1000)"'
    one = master(
        NOTIFY, "-user=nobody", command=["/bin/sh", "-c", f"{script}\nexec sleep 1000"]
    )
    assert one.wait_ready(1, deadline=30) == one.workers[0]


# --- who is heard --------------------------------------------------------------------------------

HEARD = {
    "itself": "say()",
    "a child": "in_child(say)",
    "a grandchild": "in_child(lambda: in_child(say))",
    "a child of the tenth degree": (
        "deep = lambda n: in_child(lambda: deep(n - 1)) if n else say()\ndeep(10)"
    ),
    "a child with a session of its own": "in_child(lambda: (os.setsid(), say()))",
}


@pytest.mark.rules("R3", "R4", "O6")
@pytest.mark.parametrize("who", HEARD)
def test_the_worker_and_what_descends_from_it_are_heard(who, stage):
    one, (old,), (new,) = stage()
    new.do(HEARD[who])
    one.wait_log(says("ready", generation=2, pid=new.pid))
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)


@pytest.mark.rules("R4")
def test_a_stranger_is_not_heard(stage):
    one, (old,), (new,) = stage()
    path = str(new.path)
    puppet.say(to=path)
    # What it claims makes no difference.
    puppet.say(f"MAINPID={new.pid}\nREADY=1\n".encode(), to=path)
    assert_unheard(one, old, new)


@pytest.mark.rules("R4")
@pytest.mark.parametrize("who", ["an old worker", "its child", "the master's child"])
def test_a_worker_is_not_heard_for_another(who, stage):
    one, old, new = stage(count=2)
    speaker = new[1] if who == "the master's child" else old[0]
    text = f"say(to={str(new[0].path)!r})"
    speaker.do(f"in_child(lambda: {text})" if who == "its child" else text)
    assert new[0].is_settled(one)
    assert not one.said("ready", generation=2)
    for which in new:
        which.do("say()")
    one.wait_log(says("rollout_done", generation=2))


class Stopped:
    """The master takes nothing until the end of the block."""

    def __init__(self, master):
        self.master = master

    def __enter__(self):
        self.master.signal(SIGSTOP)
        state = lambda: procfs.processes()[self.master.pid].state  # noqa: E731
        eventually(lambda: state() == "T", what="a stopped master")

    def __exit__(self, *_):
        self.master.signal(SIGCONT)


@pytest.mark.rules("R4")
def test_a_sender_that_is_gone_is_not_heard(stage):
    one, (old,), (new,) = stage()
    with Stopped(one):
        new.do("in_child(lambda: send(READY))")
    new.do("barrier()")
    assert_unheard(one, old, new)


@pytest.mark.rules("R4")
def test_an_orphan_is_not_heard(stage):
    one, (old,), (new,) = stage()
    # Its parent ends first, so it descends from nobody any more.
    new.do(
        "reading, writing = os.pipe()\n"
        "def orphan():\n"
        "    in_child(lambda: (os.close(writing), os.read(reading, 1), say()), False)\n"
        "in_child(orphan)\n"
        "os.close(writing)\n"
        "os.close(reading)\n"
    )
    # It speaks once its parent, and the worker, have let go of the pipe.
    eventually(
        lambda: not [pid for pid in one.leftovers if pid not in (*one.workers, one.pid)],
        what="the end of the orphan",
    )
    assert_unheard(one, old, new)


@pytest.mark.rules("R4", "R7")
def test_a_worker_that_ended_before_it_was_heard_is_not_ready(stage):
    one, (old,), (new,) = stage()
    with Stopped(one):
        new.drop("send(READY); os._exit(7)")
        eventually(lambda: procfs.processes()[new.pid].state == "Z", what="its end")
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert "ended before it was ready: exit status 7" in failed["why"]
    assert not one.said("ready", generation=2)
    assert old.plays
    wait_only(one, old.pid)


@pytest.mark.rules("R4", "E5")
def test_the_socket_of_a_dead_worker_leads_nowhere(stage):
    one, (old,), (new,) = stage()
    path = new.path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as kept:
        kept.connect(str(path))
        os.kill(new.pid, SIGKILL)
        one.wait_log(says("rollout_failed", generation=2))
        wait_gone(new.pid)
        assert not path.exists()
        with pytest.raises(ConnectionRefusedError):
            kept.send(puppet.READY)
    assert old.path.exists()


@pytest.mark.rules("R4", "E2")
def test_who_is_left_of_a_former_worker_is_not_heard_for_its_successor_in_the_slot(
    socket_dir, stage
):
    one, (old,), (former,) = stage()
    path = former.path
    # A child that outlives its worker, and goes on saying that it is ready, to whomever.
    former.do(
        "worker = os.getpid()\n"
        "def insist():\n"
        "    os.setsid()\n"
        "    while os.getppid() == worker:\n"
        "        select.select([], [], [], 0.01)\n"
        "    while not os.path.exists(sys.argv[1] + '/enough'):\n"
        "        with contextlib.suppress(OSError):\n"
        f"            say(to={str(path)!r})\n"
        "in_child(insist, wait=False)\n"
    )
    os.kill(former.pid, SIGKILL)
    one.wait_log(says("rollout_failed", generation=2))
    one.wait_log(says("ended", pid=former.pid))
    said = len(one.said("ready"))
    one.hup()
    new = Puppet(socket_dir, 3, former.slot)
    assert new.path == path
    for _ in range(20):
        new.do("barrier()")
    assert new.is_settled(one)
    assert len(one.said("ready")) == said
    (socket_dir / "enough").touch()
    new.do("say()")
    one.wait_log(says("rollout_done", generation=3))


# --- what is heard -------------------------------------------------------------------------------

UNDERSTOOD = {
    "plain": b"READY=1",
    "with a newline": b"READY=1\n",
    "among others": b"MAINPID=1\nSTATUS=here\nREADY=1\nFDSTORE=1\nX_OWN=thing",
    "after junk": b"\xff\xfe no assignment\n\n\n=\nREADY=1",
    "at the largest size": b"X=" + b"x" * 4086 + b"\nREADY=1",
}
PASSED_OVER = {
    "empty": b"",
    "a newline": b"\n",
    "not ready": b"READY=0",
    "of another form": b"READY=1 ",
    "in lower case": b"ready=1",
    "a part": b"READY=",
    "stopping": b"STOPPING=1",
    "reloading": b"RELOADING=1",
    "a status": b"STATUS=READY=1",
    "a NUL in the middle": b"READY=1\0\nREADY=1",
    "too long by one": b"X=" + b"x" * 4087 + b"\nREADY=1",
    "64 KiB": b"READY=1\n" + b"x" * (65536 - 8),
    "nothing but lines": b"\n" * 65536,
    "an extension that is none": b"EXTEND_TIMEOUT_USEC=soon",
    "a watchdog's": b"WATCHDOG=1",
}


@pytest.mark.rules("R3", "O6")
@pytest.mark.parametrize("message", UNDERSTOOD)
def test_messages_that_say_it(message, stage):
    one, (old,), (new,) = stage()
    new.do(f"say({UNDERSTOOD[message]!r})")
    one.wait_log(says("ready", generation=2, pid=new.pid))


@pytest.mark.rules("R3", "R4", "I10")
@pytest.mark.parametrize("message", PASSED_OVER)
def test_messages_that_do_not_say_it(message, stage):
    one, (old,), (new,) = stage()
    for _ in range(30):
        new.do(f"send({PASSED_OVER[message]!r})")
    new.do("barrier()")
    assert_unheard(one, old, new)


@pytest.mark.rules("R3", "I11")
@pytest.mark.parametrize("message", [b"", b"BARRIER=1", b"FDSTORE=1\nFDNAME=x", b"STATUS=x"])
def test_descriptors_that_come_along_are_closed(message, stage):
    one, (old,), (new,) = stage()
    before = one.fds
    new.do(
        "many = [os.open('/dev/null', os.O_RDONLY) for _ in range(253)]\n"
        f"for _ in range(20): send({message!r}, many)\n"
        f"for _ in range(20): barrier(message={message!r})\n"
    )
    assert one.fds == before
    assert_unheard(one, old, new)


@pytest.mark.rules("R3")
def test_a_barrier_is_answered_in_its_turn(stage):
    one, (old,), (new,) = stage()
    with Stopped(one):
        new.do(
            "reading, writing = os.pipe()\n"
            "send(b'BARRIER=1', [writing])\n"
            "os.close(writing)\n"
            "answer = select.poll()\n"
            "answer.register(reading, 0)\n"
            "assert not answer.poll(0)\n"
        )
    new.do("assert answer.poll(PATIENCE_MS)")
    assert_unheard(one, old, new)


@pytest.mark.rules("R3", "O6")
def test_a_worker_that_is_ready_can_say_what_it_likes(stage):
    one, (old,), (new,) = stage()
    new.do("say()")
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)
    since = len(one.log)
    for message in ("READY=1", "STOPPING=1", "EXTEND_TIMEOUT_USEC=1", "STATUS=x", "RELOADING=1"):
        new.do(f"say(b{message!r})")
    assert new.is_settled(one)
    assert [line.text for line in one.log.lines[since:] if line.worker == 0] == []
    assert one.workers == [new.pid]


@pytest.mark.rules("R3", "R4", "O3")
def test_a_worker_that_never_stops_talking_holds_up_nothing(socket_dir, stage):
    one, (old,), (new,) = stage()
    new.do("in_child(lambda: [send(b'STATUS=busy') for _ in iter(int, 1)], wait=False)")
    new.do("say()")
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)
    one.hup()
    newest = Puppet(socket_dir, 3, 0)
    newest.do("say()")
    one.wait_log(says("rollout_done", generation=3))
    wait_gone(new.pid)
    # Its child finds nobody there any more.
    wait_only(one, newest.pid)
    assert one.stop() == 0


# --- in time -------------------------------------------------------------------------------------

TIMEOUT = int(1500 * min(PATIENCE, 2))


@pytest.mark.rules("R3", "R7", "O6")
def test_who_is_never_ready_fails_the_rollout(stage):
    one, (old,), (new,) = stage(f"-ready-timeout={TIMEOUT}")
    new.do("os.write(1, b'still loading\\n')")
    late = one.wait_log(says("late", generation=2, pid=new.pid), deadline=20)
    assert int(late["ms"]) >= TIMEOUT
    failed = one.wait_log(says("rollout_failed", generation=2))
    assert failed["why"].startswith(f"worker {new.pid} (slot 1) was not ready in time;")
    assert failed["why"].endswith('; 1 worker serves on; it wrote last: "still loading"')
    one.wait_log(says("stopped", pid=new.pid, signal="HUP"))
    wait_only(one, old.pid)
    assert old.plays


@pytest.mark.rules("R3", "R7", "X2")
def test_a_first_worker_that_is_never_ready_ends_the_master(master):
    one = master(NOTIFY, "-ready-timeout=50")
    assert one.wait_exit() == 1
    assert one.said("late", generation=1)
    assert "no worker is left that serves" in one.said("rollout_failed")[0]["why"]


@pytest.mark.heavy
@pytest.mark.rules("R3")
def test_who_asks_for_more_time_gets_it(stage, master):
    one, (old,), (new,) = stage(f"-ready-timeout={TIMEOUT}")
    new.do("say(b'EXTEND_TIMEOUT_USEC=600000000')")
    # Time that was given is not taken away again.
    new.do("say(b'EXTEND_TIMEOUT_USEC=1')")
    # A worker that was started later, and asks for nothing, has no time left.
    assert master(NOTIFY, f"-ready-timeout={TIMEOUT + 100}").wait_exit() == 1
    assert new.plays
    assert_unheard(one, old, new)
    assert int(one.said("ready", generation=2)[0]["ms"]) > TIMEOUT


@pytest.mark.heavy
@pytest.mark.rules("R3", "R7")
def test_the_time_that_was_asked_for_ends_as_well(stage):
    one, (old,), (new,) = stage(f"-ready-timeout={TIMEOUT}")
    more = TIMEOUT + 500
    new.do(f"say(b'EXTEND_TIMEOUT_USEC={more}000')")
    late = one.wait_log(says("late", generation=2, pid=new.pid), deadline=30)
    assert int(late["ms"]) >= more
    wait_only(one, old.pid)


@pytest.mark.heavy
@pytest.mark.rules("R3", "R7")
def test_an_extension_from_a_stranger_does_not_count(stage):
    one, (old,), (new,) = stage(f"-ready-timeout={TIMEOUT}")
    puppet.say(b"EXTEND_TIMEOUT_USEC=600000000", to=str(new.path))
    one.wait_log(says("late", generation=2, pid=new.pid), deadline=20)
    wait_only(one, old.pid)


@pytest.mark.rules("R3", "G1")
@pytest.mark.parametrize("phase", ["first", "second"])
def test_without_a_timeout_it_may_take_for_ever_but_for_a_stop(phase, socket_dir, master):
    deploy = Deploy(socket_dir, "--say-ready" if phase == "second" else "--version-text=mute")
    one = master(NOTIFY, "-ready-timeout=0", command=[deploy.path])
    pids = [deploy.notes.wait_start(1)]
    if phase == "second":
        one.wait_log(says("rollout_done", generation=1))
        deploy.serve()
        one.hup()
        pids.append(deploy.notes.wait_start(2))
    assert one.workers == sorted(pids)
    assert one.stop() == 0
    assert all(deploy.notes.read("stop", pid) for pid in pids)


# --- the socket's path ---------------------------------------------------------------------------


def mode_of(path):
    return oct(path.stat().st_mode & 0o7777)


@pytest.mark.rules("E5")
def test_the_path_is_private_and_lasts_as_long_as_the_worker(stage, socket_dir):
    one, (old,), (new,) = stage()
    paths = {"old": old.path, "new": new.path}
    directory = paths["old"].parent
    assert directory == paths["new"].parent and paths["old"] != paths["new"]
    assert (mode_of(directory), directory.stat().st_uid) == ("0o700", os.geteuid())
    for path in paths.values():
        assert path.is_socket()
        assert (mode_of(path), path.stat().st_uid) == ("0o600", os.geteuid())
    new.do("say()")
    wait_only(one, new.pid)
    assert not paths["old"].exists() and paths["new"].exists()
    # One that fails takes its path with it as well.
    one.hup()
    failing = Puppet(socket_dir, 3, 0)
    path = failing.path
    assert path.exists()
    failing.drop("os._exit(3)")
    one.wait_log(says("rollout_failed", generation=3))
    wait_only(one, new.pid)
    assert os.listdir(directory) == [paths["new"].name]
    assert one.stop() == 0
    assert not directory.exists()


@pytest.mark.rules("E5")
def test_the_path_is_there_while_a_worker_is_stopping(socket_dir, stage):
    one, (old,), (new,) = stage()
    path = old.path
    # It stays until it is told in another way, and says so like puma.
    old.do("signal.signal(signal.SIGHUP, lambda *_: say(b'STOPPING=1'))")
    new.do("say()")
    one.wait_log(says("retired", pid=old.pid))
    assert old.do("print('there')") == "there"
    assert path.exists()
    old.do("say(b'STATUS=leaving')")
    old.drop("os._exit(0)")
    wait_only(one, new.pid)
    assert not path.exists()


@pytest.mark.rules("E5", "C6")
@pytest.mark.parametrize("how", ["stopped", "failed start", "worker gone"])
def test_nothing_of_it_stays_behind(how, socket_dir, master):
    text = {"failed start": "os._exit(5)", "worker gone": "say(); os._exit(0)"}.get(how, "say()")
    where = f"open({str(socket_dir / 'where')!r}, 'w').write(os.environ['NOTIFY_SOCKET'])"
    one = master(NOTIFY, command=command(socket_dir, where, text))
    if how == "stopped":
        one.wait_ready(1, deadline=20)
        one.term()
    one.wait_exit(deadline=20)
    path = (socket_dir / "where").read_text()
    assert path and not os.path.exists(path) and not os.path.exists(os.path.dirname(path))


# Where it is made: (variables, relative to a directory; where that is); None: in no part of it.
PLACES = {
    "the user's own": ({"XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"}, "run"),
    "for temporary files": ({"TMPDIR": "tmp"}, "tmp"),
    "the first that is there": ({"XDG_RUNTIME_DIR": "missing", "TMPDIR": "tmp"}, "tmp"),
    "the first that is its own": ({"XDG_RUNTIME_DIR": "locked", "TMPDIR": "tmp"}, "tmp"),
    "the first that is short enough": ({"XDG_RUNTIME_DIR": "x" * 90, "TMPDIR": "tmp"}, "tmp"),
    "elsewhere": ({}, None),
}


@pytest.mark.rules("E5")
@pytest.mark.parametrize("place", PLACES)
def test_the_directory_is_where_its_user_may_have_one(place, socket_dir, master):
    variables, where = PLACES[place]
    socket_dir.chmod(0o777)
    for name in ("run", "tmp", "locked", "x" * 90):
        (socket_dir / name).mkdir()
        (socket_dir / name).chmod(0o777)
    (socket_dir / "locked").chmod(0o500)
    env = {"XDG_RUNTIME_DIR": None, "TMPDIR": None}
    env.update({name: socket_dir / value for name, value in variables.items()})
    show = 'echo "at $NOTIFY_SOCKET"; exec sleep 1000'
    one = master(
        NOTIFY,
        "-ready-timeout=0",
        env=env,
        command=["/bin/sh", "-c", show],
        **as_nobody(socket_dir),
    )
    path = Path(one.wait_output("^at (/.*)$")[1])
    directory = path.parent
    assert directory.parent == (socket_dir / where if where else Path("/tmp"))
    assert mode_of(directory) == "0o700"
    assert one.stop() == 0
    assert not directory.exists()


@pytest.mark.rules("E5", "C7", "C6")
def test_neither_a_check_nor_a_start_that_fails_leaves_one(socket_dir):
    socket_dir.chmod(0o777)
    (socket_dir / "run").mkdir()
    (socket_dir / "run").chmod(0o777)
    how = {"env": {"XDG_RUNTIME_DIR": socket_dir / "run"}, **as_nobody(socket_dir)}
    listen = "-listen=tcp://127.0.0.1:0"
    assert run("-check", NOTIFY, listen, "/bin/true", **how).status == 0
    assert run(NOTIFY, "-listen=tcp://192.0.2.1:0", "/bin/true", **how).status == 1
    assert run(NOTIFY, listen, "/etc/passwd", **how).status == 1
    assert run(NOTIFY, listen, "/bin/false", **how).status == 1
    assert os.listdir(socket_dir / "run") == []


INTRUDE = """
import os, socket, sys
path = sys.argv[1]
directory = os.path.dirname(path)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tried = {
    "send": lambda: notify.sendto(b"READY=1", path),
    "list": lambda: os.listdir(directory),
    "remove": lambda: os.unlink(path),
    "rename": lambda: os.rename(path, path + "0"),
    "replace": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(path + "0"),
    "change": lambda: os.chmod(directory, 0o777),
}
for name, action in tried.items():
    try:
        action()
        print(name)
    except PermissionError:
        pass
"""


def allowed(path, user):
    """What a user can do with a socket's path."""
    how = {"user": user, "group": user, "extra_groups": []}
    done = subprocess.run(
        ["/usr/bin/python3", "-ISc", INTRUDE, str(path)],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60 * PATIENCE,
        **how,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@root_only
@pytest.mark.rules("E5", "E8", "R4")
def test_only_the_user_of_the_workers_can_write_to_it(socket_dir, master):
    one = master(NOTIFY, "-user=nobody", command=public_command(socket_dir))
    first = Puppet(socket_dir, 1, 0)
    path = first.path
    nobody, other = 65534, 1
    assert (mode_of(path), path.stat().st_uid) == ("0o600", nobody)
    assert (mode_of(path.parent), path.parent.stat().st_uid) == ("0o711", 0)
    assert allowed(path, other) == []
    # Of the right user, but none of the worker's: it may send, and is not heard.
    assert allowed(path, nobody) == ["send"]
    first.do("barrier()")
    assert first.is_settled(one)
    assert not one.said("ready")
    assert path.is_socket()
    first.do("in_child(say)")
    one.wait_log(says("rollout_done", generation=1))


@pytest.mark.rules("E5")
@pytest.mark.parametrize("options", [[], ["-ready=fd"]])
def test_otherwise_there_is_none(options, master):
    one = master(*options, server=["--say-ready"])
    one.wait_ready(1)
    one.wait_serving()
    assert "NOTIFY_SOCKET" not in one.get("/env").fields
