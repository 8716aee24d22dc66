"""Who may say what to the control socket: credentials and the tree of processes decide."""

import json
import subprocess
from pathlib import Path

import pytest
from control import Control, ask, status
from harness import eventually
from masterlog import says
from puppets import Puppet, command, public_command
from starter import NOBODY, as_nobody
from words import root_only

pytestmark = root_only

DAEMON = 1  # a user that has nothing to do with anything here
# Every command, with arguments that it would take.
EVERY = {
    "ehlo": [],
    "help": [],
    "state": [],
    "status": [],
    "metrics": [],
    "logs": [],
    "inc": [],
    "dec": [],
    "set_workers": ["3"],
    "signal": ["KILL"],
    "die": [],
    "quieter": [],
    "louder": [],
    "config": ["{number: 3}"],
    "upgrade": [],
    "upgrade_fleet": [],
    "rollout": ["/bin/false"],
    "reload": [],
    "nonsense": [],
}

# Says each line of its standard input on a connection of its own, and prints the first answer.
SPEAKER = """
import socket, sys
for line in sys.stdin:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        try:
            s.sendall(line.encode())
        except BrokenPipeError:
            pass
        print(s.makefile().readline().strip() or "nothing", flush=True)
"""


def requests(pid):
    asked = [{"command": name, "args": args} for name, args in EVERY.items()]
    return asked + [{"command": name, "pid": pid} for name in ("worker:ack", "worker:ping")]


def answers_for(user, path, asked):
    """What a process of that user is answered to each request, None for nothing."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", SPEAKER, path],
        input="".join(json.dumps(request) + "\n" for request in asked),
        user=user, group=user, extra_groups=[], capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done
    told = [None if line == "nothing" else json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(asked), done
    return told


def assert_untouched(one, path, puppet):
    """Nothing of it was done."""
    told = status(path)
    assert (told["workers_wanted"], told["latest_generation"], told["verbosity"]) == (1, 1, 1)
    assert puppet.plays
    assert one.process.poll() is None


@pytest.fixture
def stage(socket_dir, master):
    """A master with a puppet that has not acked yet, and its control socket, open to everybody."""

    def begin(*options, words=command, **how):
        path = socket_dir / "control"
        one = master("-ready=ack", f"-control={path}", *options, command=words(socket_dir), **how)
        puppet = Puppet(socket_dir, 1, 0)
        # The mode of the file is a door of its own: here it stands open.
        socket_dir.chmod(0o1777)
        path.chmod(0o777)
        return one, path, puppet

    return begin


def is_refusal(answer):
    return answer is not None and answer.get("error") is True and (
        answer["message"].startswith("Permission denied")
    )


@pytest.mark.rules("K3", "R3")
@pytest.mark.parametrize("user", [DAEMON, NOBODY])
def test_another_user_may_say_nothing_at_all(user, stage):
    one, path, puppet = stage()
    told = answers_for(user, path, requests(puppet.pid))
    assert all(is_refusal(answer) for answer in told), told
    assert puppet.is_settled(one) and not one.said("ready")
    assert_untouched(one, path, puppet)


@pytest.mark.rules("K1", "K3")
def test_the_files_mode_keeps_others_out(stage):
    one, path, puppet = stage()
    path.chmod(0o600)
    with pytest.raises(AssertionError, match="PermissionError"):
        answers_for(NOBODY, path, [{"command": "ehlo"}])
    assert_untouched(one, path, puppet)


@pytest.mark.rules("K3", "R3")
@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("deep", [0, 1, 2])
def test_a_workers_process_may_ack_and_ping_and_nothing_else(deep, user, stage):
    # As root too: whose process it is counts for more than its user.
    options = [] if user == "root" else ["-user=nobody"]
    one, path, puppet = stage(*options, words=public_command)
    for request in requests(puppet.pid)[:-2]:
        said = puppet.do(child_says(deep, request))
        assert is_refusal(json.loads(said.splitlines()[0])), (request, said)
    assert puppet.is_settled(one) and not one.said("ready")
    assert_untouched(one, path, puppet)
    for request in reversed(requests(puppet.pid)[-2:]):
        assert puppet.do(child_says(deep, request)) == ""
    one.wait_log(says("ready", generation=1, pid=puppet.pid))
    assert status(path)["workers"][0]["pinged_at"] is not None


def child_says(deep, request):
    """The text for a puppet, so many children away, and what it was answered printed by itself."""
    action = f"os.write(w, tell({request!r}).encode())"
    for _ in range(deep):
        action = f"in_child(lambda: {action})"
    return f"r, w = os.pipe()\n{action}\nos.close(w)\nprint(os.read(r, 65536).decode())"


@pytest.mark.rules("K3")
def test_a_workers_process_that_became_another_user_is_the_workers_still(stage):
    one, path, puppet = stage(words=public_command)
    become = f"(os.setgid({DAEMON}), os.setuid({DAEMON}))"
    request = {"command": "set_workers", "args": ["3"]}
    text = (
        "r, w = os.pipe()\n"
        f"in_child(lambda: ({become}, os.write(w, tell({request!r}).encode())))\n"
        "os.close(w)\nprint(os.read(r, 65536).decode())"
    )
    assert is_refusal(json.loads(puppet.do(text)))
    puppet.do(f"in_child(lambda: ({become}, ack({puppet.pid})))")
    one.wait_log(says("ready", generation=1, pid=puppet.pid))
    assert_untouched(one, path, puppet)


@pytest.mark.rules("K3")
def test_the_masters_own_user_and_root_may_do_everything(socket_dir, master):
    path = socket_dir / "control"
    socket_dir.chmod(0o1777)
    one = master(f"-control={path}", command=public_command(socket_dir), **as_nobody(socket_dir))
    one.wait_log(says("rollout_done", generation=1))
    puppet = Puppet(socket_dir, 1, 0)
    harmless = [{"command": name} for name in ("ehlo", "help", "state", "status", "metrics", "inc")]
    for user in (0, NOBODY):
        told = answers_for(user, path, [*harmless, {"command": "worker:ping", "pid": puppet.pid}])
        assert told[-1] is None, told
        assert not [answer for answer in told[:-1] if "error" in answer], told
    assert status(path)["workers_wanted"] == 3
    path.chmod(0o777)
    assert all(is_refusal(answer) for answer in answers_for(DAEMON, path, harmless))


@pytest.mark.rules("K3")
def test_the_workers_user_is_no_operator(stage):
    one, path, puppet = stage("-user=nobody", words=public_command)
    told = answers_for(NOBODY, path, requests(puppet.pid))
    assert all(is_refusal(answer) for answer in told), told
    assert puppet.is_settled(one) and not one.said("ready")
    assert_untouched(one, path, puppet)
    assert ask(path, "worker:ack", pid=puppet.pid) is None
    one.wait_log(says("ready", generation=1, pid=puppet.pid))


@pytest.mark.rules("K3")
def test_rights_are_those_of_whoever_connected(stage):
    # Nobody gains by waiting.
    one, path, puppet = stage("-user=nobody", words=public_command)
    puppet.do("import socket as s\nglobal kept\nkept = s.socket(s.AF_UNIX)\n"
              "kept.connect(os.environ['EINHORN_SOCK_PATH'])")
    puppet.do("ack()")
    one.wait_log(says("rollout_done", generation=1))
    said = puppet.do("kept.sendall(b'{\"command\": \"inc\"}\\n')\n"
                     "print(kept.makefile().readline())")
    assert is_refusal(json.loads(said))
    assert status(path)["workers_wanted"] == 1


@pytest.mark.rules("K3", "R12")
def test_what_is_left_of_a_worker_that_ended_is_no_operator(socket_dir, master):
    # Its grandchild outlives it, and belongs to nobody that serves.
    path = socket_dir / "control"
    one = master(f"-control={path}", "-user=nobody", command=public_command(socket_dir))
    one.wait_log(says("rollout_done", generation=1))
    old = Puppet(socket_dir, 1, 0)
    socket_dir.chmod(0o1777)
    answer = socket_dir / "answer"
    request = {"command": "inc"}
    old.do(
        "def stay():\n"
        "    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        f"    while os.getppid() == {old.pid}:\n"
        "        select.select([], [], [], 0.01)\n"
        f"    text = tell({request!r})\n"
        f"    open('{answer}.new', 'w').write(text)\n"
        f"    os.rename('{answer}.new', '{answer}')\n"
        "in_child(stay, wait=False)"
    )
    one.reload()
    eventually(answer.exists, what="its answer")
    assert is_refusal(json.loads(answer.read_text()))
    assert status(path)["workers_wanted"] == 1


@pytest.mark.rules("K3", "K4")
def test_refusals_cost_no_slot(stage):
    one, path, puppet = stage()
    before = len(one.fds)
    # The walk up to a worker opens files of /proc, which stand open for a moment.
    for _ in range(3):
        answers_for(DAEMON, path, [{"command": "inc"}] * 50)
    with Control(path) as client:
        assert client.status()["workers_wanted"] == 1
    eventually(lambda: len(one.fds) == before, what="the descriptors of before")
    assert Path(f"/proc/{one.pid}").exists() and puppet.plays
