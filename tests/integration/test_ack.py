"""-ready=ack: who says that a worker is ready, in which clients' words, and who may not."""

import json
import os
import shlex
import shutil
import subprocess
from signal import SIGKILL

import pytest
from control import Control, ask, refused, status
from harness import SERVER, eventually, run
from masterlog import says
from puppets import Puppet, command, public_command
from starter import NOBODY
from words import root_only
from workers import wait_gone, wait_only

ACK = "-ready=ack"


def path_of(directory):
    return directory / "control"


@pytest.fixture
def stage(socket_dir, master):
    """A master whose first puppets have acked, while those of generation 2 have said nothing yet.

    Returns the master and both lots of puppets.
    """

    def begin(*options, count=1, words=command, **how):
        one = master(
            ACK, f"-workers={count}", f"-control={path_of(socket_dir)}", *options,
            command=words(socket_dir), **how,
        )
        old = [Puppet(socket_dir, 1, slot) for slot in range(count)]
        for one_of_old in old:
            assert one_of_old.do("print(ack())") == ""
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
    assert new.do("print(ack())") == ""
    one.wait_log(says("ready", generation=2, pid=new.pid))
    one.wait_log(says("rollout_done", generation=2))
    wait_only(one, new.pid)


# --- clients -------------------------------------------------------------------------------------

# The exact bytes that clients send; PID is the worker's.
ACKS = {
    "Ruby": b"---%0Acommand: worker:ack%0Apid: PID%0A\n",
    "go-einhorn": b"command: worker:ack%0Apid: PID%0A\n",
    "goji": b'{"command": "worker:ack", "pid": PID}\n',
    "PHP": b'{"command":"worker:ack","pid":PID}\n',
    "Python": b'{"command": "worker:ack", "pid": PID}\n',
    "node": b"---%0Acommand:%20worker:ack%0Apid:%20PID\n",
    "lower case": b"---%0acommand:%20worker%3aack%0apid:%20PID%0a\n",
    "another order": b"pid: PID%0Aextra: [1, 2]%0Acommand: 'worker:ack'\n",
    "several at once": b"command: worker:ack%0Apid: PID\n" * 3,
}


@pytest.mark.rules("R3", "K1", "K2")
@pytest.mark.parametrize("client", ACKS)
def test_every_clients_bytes_are_heard(client, stage):
    one, (old,), (new,) = stage()
    said = ACKS[client].replace(b"PID", str(new.pid).encode())
    # There is no reply, and the connection is closed, as einhorn does.
    assert new.do(f"print(tell({said!r}))") == ""
    one.wait_log(says("ready", generation=2, pid=new.pid))
    wait_only(one, new.pid)
    assert not old.plays


@pytest.mark.rules("R3", "K1")
def test_what_is_misspelt_is_answered_and_not_heard(stage):
    one, (old,), (new,) = stage()
    said = b'{"comand":"worker:ack","Pid":%d}\n\n' % new.pid
    answers = new.do(f"print(tell({said!r}))").splitlines()
    assert json.loads(answers[0])["message"].startswith('No "command" parameter')
    assert_unheard(one, old, new)


RUBY = """
require 'socket'; require 'yaml'
# What Einhorn::Worker.ack! and Einhorn::Client::Transport.send_message do, version 1.1.
raise 'not a worker' unless ENV['EINHORN_MASTER_PID'].to_i == Process.ppid
socket = UNIXSocket.open(ENV['EINHORN_SOCK_PATH'])
text = YAML.dump({'command' => 'worker:ack', 'pid' => $$})
socket.write(text.gsub(/%|\\n/, '%' => '%25', "\\n" => '%0A') + "\\n")
"""
NODE = """
const text = '---\\ncommand: worker:ack\\npid: ' + process.pid;
const socket = require('net').connect(process.env.EINHORN_SOCK_PATH, () => {
  socket.write(encodeURI(text) + '\\n');
});
"""


def ruby():
    # The worker itself speaks, and becomes the server afterwards.
    return ["ruby", "-e", f"{RUBY}exec '{SERVER}', close_others: false"]


@pytest.mark.rules("R3", "E2", "K1")
@pytest.mark.skipif(not shutil.which("ruby"), reason="there is no ruby")
def test_ruby_says_it_is_ready(socket_dir, master):
    one = master(ACK, f"-control={path_of(socket_dir)}", command=ruby())
    for generation in (1, 2):
        pid = one.wait_ready(generation, deadline=30)
        wait_only(one, pid)
        assert one.wait_serving().pid == pid
        if generation == 1:
            one.hup()


@pytest.mark.rules("R3", "K1", "K3")
@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_node_says_it_is_ready(socket_dir, master):
    # It is a child of the worker that speaks, for itself: that counts for the worker.
    script = f"node -e {shlex.quote(NODE)}\nexec {SERVER}"
    one = master(ACK, f"-control={path_of(socket_dir)}", command=["/bin/sh", "-c", script])
    pid = one.wait_ready(1, deadline=30)
    assert one.wait_serving().pid == pid


EINHORNSH = """
require 'socket'; require 'yaml'
socket = UNIXSocket.open(ARGV[0])
escaped = lambda { |text| text.gsub(/%|\\n/, '%' => '%25', "\\n" => '%0A') }
send = lambda { |message| socket.write(escaped.call(YAML.dump(message)) + "\\n") }
receive = lambda { YAML.load(socket.readline.gsub(/%(25|0A)/, '%25' => '%', '%0A' => "\\n")) }
send.call({'command' => 'ehlo', 'user' => ENV['USER']})
puts receive.call['message']
ARGV[1..].each_with_index do |words, id|
  command, *args = words.split
  send.call({'id' => id, 'command' => command, 'args' => args})
  loop do
    reply = receive.call
    raise 'another id' unless reply['request_id'] == id
    puts reply['message']
    break unless reply['wait']
  end
end
"""


@pytest.mark.rules("K1", "K2")
@pytest.mark.skipif(not shutil.which("ruby"), reason="there is no ruby")
def test_a_ruby_shell_of_einhorns_works(socket_dir, master):
    path = path_of(socket_dir)
    one = master(f"-control={path}")
    one.wait_log(says("rollout_done", generation=1))
    words = ["ruby", "-e", EINHORNSH, path, "help", "inc", "upgrade", "signal WINCH 28", "state"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    for told in ("Welcome, root!" if os.environ.get("USER") == "root" else "Welcome",
                 "set_workers:", "workers wanted: 1 -> 2", "Upgrading smoothly, as commanded",
                 "rollout done in", "Upgrade done", f":socket_path: \"{path}\""):
        assert told in done.stdout, done.stdout


# --- who counts ----------------------------------------------------------------------------------


@pytest.mark.rules("R3", "K3")
@pytest.mark.parametrize("deep", [1, 2])
def test_a_process_of_its_own_may_ack_for_a_worker(deep, stage):
    one, _, (new,) = stage()
    new.do("in_child(lambda: " * deep + f"ack({new.pid})" + ")" * deep)
    one.wait_log(says("ready", generation=2, pid=new.pid))
    wait_only(one, new.pid)


@pytest.mark.rules("R3", "K3")
def test_the_pid_of_a_child_counts_for_its_worker(stage):
    # A server that forks before it is ready gives the number of whoever speaks.
    one, _, (new,) = stage()
    new.do("in_child(lambda: ack())")
    one.wait_log(says("ready", generation=2, pid=new.pid))


@pytest.mark.rules("R3", "K3")
def test_one_worker_cannot_ack_for_another(stage):
    one, (old,), (new,) = stage()
    answer = json.loads(old.do(f"print(ack({new.pid}))"))
    assert answer["error"] is True and "Permission denied" in answer["message"]
    old.do(f"in_child(lambda: print(ack({new.pid})))")
    # Nor does its own, which it gave long ago, do anything more.
    assert old.do("print(ack())") == ""
    assert_unheard(one, old, new)


@pytest.mark.rules("R3", "K3")
def test_an_operator_may_ack_for_a_worker(socket_dir, stage):
    one, (old,), (new,) = stage()
    path = path_of(socket_dir)
    for pid in (one.pid, os.getpid(), 1, 0, -1, 2**31 - 1, 2**31, 2**63 - 1, "x"):
        assert ask(path, "worker:ack", pid=pid)["error"] is True
    assert ask(path, "worker:ack")["error"] is True
    assert new.is_settled(one) and not one.said("ready", generation=2) and old.plays
    assert ask(path, "worker:ack", pid=new.pid) is None
    one.wait_log(says("ready", generation=2, pid=new.pid))
    assert [child["state"] for child in status(path)["workers"] if child["pid"] == new.pid] == [
        "ready"
    ]


@pytest.mark.rules("R3", "K3")
@root_only
def test_a_strangers_ack_does_not_count(socket_dir, stage):
    one, (old,), (new,) = stage()
    # The file's mode is not what keeps it out here.
    path_of(socket_dir).chmod(0o777)
    said = as_nobody_asks(path_of(socket_dir), {"command": "worker:ack", "pid": new.pid})
    assert said["error"] is True and said["message"].startswith("Permission denied"), said
    assert_unheard(one, old, new)


ASKS = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(sys.argv[2].encode() + b"\\n")
except BrokenPipeError:
    pass
print(s.makefile().readline(), end="")
"""


def as_nobody_asks(path, request):
    """What another user is answered, or None."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", ASKS, path, json.dumps(request)],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done
    return json.loads(done.stdout) if done.stdout else None


@pytest.mark.rules("R3", "K1", "K3")
@root_only
def test_workers_of_another_user_reach_the_socket(socket_dir, stage):
    one, (old,), (new,) = stage("-user=nobody", words=public_command)
    assert new.do("print(os.getuid())") == str(NOBODY)
    # The same user, but nobody's process: all that it may say is said as it were.
    said = as_nobody_asks(path_of(socket_dir), {"command": "worker:ack", "pid": new.pid})
    assert said["error"] is True and said["message"].startswith("Permission denied"), said
    assert_unheard(one, old, new)


# --- when ----------------------------------------------------------------------------------------


@pytest.mark.rules("R3", "R4", "R7")
def test_a_rollout_fails_when_nobody_acks(socket_dir, stage):
    one, (old,), (new,) = stage("-ready-timeout=1500")
    failed = one.wait_log(says("rollout_failed", generation=2), deadline=20)
    assert "not ready" in failed["why"]
    wait_gone(new.pid)
    wait_only(one, old.pid)
    # Whoever is late is not heard.
    assert ask(path_of(socket_dir), "worker:ack", pid=new.pid)["error"] is True


@pytest.mark.rules("R3")
def test_an_ack_at_once_is_not_lost(socket_dir, master):
    # The worker's first words, and only then does anything else happen: the master may hear of them
    # before it knows of the exec.
    path = path_of(socket_dir)
    one = master(ACK, "-workers=8", f"-control={path}", command=command(socket_dir, "ack()"))
    one.wait_log(says("rollout_done", generation=1), deadline=30)
    for generation in range(2, 5):
        assert one.reload(deadline=60) == generation
    assert len({worker["pid"] for worker in status(path)["workers"]}) >= 8


@pytest.mark.rules("R3", "K2")
def test_where_another_readiness_is_asked_an_ack_is_passed_over(socket_dir, master):
    path = path_of(socket_dir)
    one = master(f"-control={path}", "-ready=notify", command=command(socket_dir))
    puppet = Puppet(socket_dir, 1, 0)
    # baseplate's clients always do.
    assert puppet.do("print(ack())") == ""
    assert puppet.is_settled(one) and not one.said("ready")
    puppet.do("say()")
    one.wait_ready(1)
    assert puppet.do("print(ack())") == ""


@pytest.mark.rules("K2", "K3")
def test_pings_are_remembered(socket_dir, stage):
    one, (old,), (new,) = stage()
    path = path_of(socket_dir)
    with Control(path) as client:

        def pinged():
            return {w["pid"]: w["ping_id"] for w in client.status()["workers"]}

        assert pinged() == {old.pid: None, new.pid: None}
        ruby = b"---%%0Acommand: worker:ping%%0Apid: %d%%0Arequest_id: req-1%%0A\n" % old.pid
        assert old.do(f"print(tell({ruby!r}))") == ""
        assert pinged() == {old.pid: "req-1", new.pid: None}
        nameless = b"---%%0Acommand: worker:ping%%0Apid: %d%%0Arequest_id:%%0A\n" % new.pid
        assert new.do(f"print(tell({nameless!r}))") == ""
        eventually(lambda: client.status()["workers"][1]["pinged_at"], what="its ping")
        forged = {"command": "worker:ping", "pid": new.pid, "request_id": "forged"}
        assert "Permission denied" in old.do(f"print(tell({forged!r}))")
        assert pinged()[new.pid] in (None, "")
        assert ask(path, "worker:ping", pid=new.pid, request_id="of an operator") is None
        assert pinged()[new.pid] == "of an operator"
    assert not one.said("ready", generation=2)


@pytest.mark.rules("R3", "K3")
def test_an_ack_of_a_worker_that_has_ended_is_refused(socket_dir, stage):
    one, _, (new,) = stage()
    os.kill(new.pid, SIGKILL)
    one.wait_log(says("rollout_failed", generation=2))
    assert "no worker" in refused(path_of(socket_dir), "worker:ack", pid=new.pid)


@pytest.mark.rules("R3", "C5")
def test_ready_ack_needs_a_control_socket():
    done = run(ACK, "-check", "--", SERVER)
    assert done.status == 2 and "-control" in done.stderr, done
