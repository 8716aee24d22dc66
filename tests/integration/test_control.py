"""The control socket: its file, what every command does and answers, and how it is spoken to."""

import contextlib
import json
import os
import re
import socket
import stat
from pathlib import Path
from signal import SIGKILL, SIGUSR1, SIGUSR2, SIGWINCH

import control
import procfs
import pytest
import yaml
from control import Control, ask, refused, status, tell
from harness import SERVER, eventually, run
from masterlog import parse_line, says
from pools import wait_pool
from starter import NOBODY, circumstances
from words import root_only
from workers import Held, Notes


# --- the file ------------------------------------------------------------------------------------


def complaint(*arguments, status=1):
    """What the one line says that a start ends with."""
    done = run(*arguments, "--", SERVER)
    assert (done.status, done.stdout, len(done.error_lines)) == (status, "", 1), done
    return parse_line(os.fsencode(done.error_lines[0])).text


@pytest.mark.rules("K1", "L7")
@pytest.mark.parametrize("umask", [0o022, 0, 0o777])
@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=root_only)])
def test_the_file_is_private_belongs_to_the_workers_user_and_goes(user, umask, socket_dir, controlled):
    options = [f"-user={user}"] if user else []
    one, path = controlled(*options, starter=circumstances(umask=umask))
    found = path.lstat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == (NOBODY if user else os.geteuid())
    assert tell(path, "ehlo").count("\n") == 2
    assert one.stop() == 0
    assert list(socket_dir.iterdir()) == []


@pytest.mark.rules("K1", "L7")
def test_a_stale_socket_is_taken_over_and_a_live_one_is_not(socket_dir, controlled):
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(socket_dir / "control"))
    one, path = controlled()
    before = path.lstat()
    said = complaint(f"-control={path}", "-listen=tcp://127.0.0.1:0", "-start=0")
    assert str(path) in said and "a live server has this path" in said
    assert path.lstat().st_ino == before.st_ino
    assert status(path)["pid"] == one.pid
    # One that was killed leaves its file, and the next one takes it.
    one.orderly = False
    one.process.kill()
    one.process.wait()
    two, path = controlled()
    assert status(path)["pid"] == two.pid


@pytest.mark.rules("K1", "L7")
@pytest.mark.parametrize("obstacle", ["file", "directory", "fifo", "link"])
def test_what_is_no_socket_is_left_alone(obstacle, socket_dir):
    path = socket_dir / "control"
    {
        "file": lambda: path.write_text("precious"),
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("nowhere"),
    }[obstacle]()
    before = path.lstat()
    said = complaint(f"-control={path}", "-listen=tcp://127.0.0.1:0", "-start=0")
    assert str(path) in said
    assert path.lstat() == before


@pytest.mark.rules("K1", "C6")
def test_check_touches_nothing_and_finds_the_obstacle(socket_dir, controlled):
    path = socket_dir / "control"
    words = ["-check", f"-control={path}", "-listen=tcp://127.0.0.1:0", "--", SERVER]
    done = run(*words)
    assert done.status == 0 and str(path) in done.stdout, done
    assert list(socket_dir.iterdir()) == []
    one, path = controlled()
    before = path.lstat()
    done = run(*words)
    assert done.status == 1 and str(path) in done.stderr, done
    assert path.lstat().st_ino == before.st_ino
    assert status(path)["pid"] == one.pid


@pytest.mark.rules("K1", "E2")
def test_workers_are_told_of_the_socket_where_there_is_one(socket_dir, master):
    one = master(f"-control={socket_dir}/control")
    told = dict(entry.split("=", 1) for entry in procfs.environment(one.wait_ready(1)))
    assert told["EINHORN_MASTER_PID"] == str(one.pid)
    assert told["EINHORN_SOCK_PATH"] == f"{socket_dir}/control"
    two = master(env={"EINHORN_MASTER_PID": 1, "EINHORN_SOCK_PATH": "/nowhere"})
    told = dict(entry.split("=", 1) for entry in procfs.environment(two.wait_ready(1)))
    assert told["EINHORN_FD_COUNT"] == "1"
    assert not {"EINHORN_MASTER_PID", "EINHORN_SOCK_PATH"} & set(told)


@pytest.mark.rules("K1", "C5")
def test_the_path_is_absolute_and_short(socket_dir):
    # A worker may be in another directory.
    for wrong in ("control", "", f"{socket_dir}/".ljust(108, "x")):
        done = run(f"-control={wrong}", "-check", "--", SERVER)
        assert done.status == 2 and "-control" in done.stderr, done


@pytest.mark.rules("K1", "E1")
def test_workers_inherit_neither_the_socket_nor_a_connection(controlled):
    one, path = controlled()
    with Control(path) as client:
        client.tell("ehlo")
        one.reload()
        worker = procfs.fds(eventually(lambda: len(one.workers) == 1 and one.workers)[0])
        sockets = [number for number, target in worker.items() if target.startswith("socket:")]
        # What else it has it opened itself.
        assert [n for n in sockets if worker[n] in one.fds.values()] == [3]
        client.tell("ehlo")


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.rules("K2")
@pytest.mark.parametrize("user", ["root", "", "Zoë +50%\n\x1b[2J", None])
def test_ehlo_welcomes(user, controlled):
    one, path = controlled()
    keys = {} if user is None else {"user": user}
    name = f", {user}" if user else ""
    assert tell(path, "ehlo", **keys) == (
        f"Welcome{name}! You are speaking to Einhorn Master Process {one.pid} (socketmaster).\n"
        f"This is {run('-version').stdout.strip()}.\n"
    )


@pytest.mark.rules("K2")
def test_help_names_every_command_that_is_for_people(controlled):
    _, path = controlled()
    told = tell(path, "help")
    named = re.findall(r"^(\w+): \S", told, re.MULTILINE)
    assert named == sorted(named)
    assert set(named) == set(
        "config dec die help inc logs louder metrics quieter reload rollout set_workers signal "
        "state status upgrade upgrade_fleet".split()
    )
    # Whoever errs is shown them, too.
    unknown = refused(path, "upgarde")
    assert unknown.startswith('Unrecognized command: "upgarde"')
    assert told.partition("\n\n")[2] in unknown


@pytest.mark.rules("K2")
def test_more_and_fewer_workers(socket_dir, controlled):
    one, path = controlled()
    assert tell(path, "inc") == "workers wanted: 1 -> 2"
    wait_pool(one, 1, 2)
    assert tell(path, "set_workers", "4") == "workers wanted: 2 -> 4"
    wait_pool(one, 1, 4)
    assert tell(path, "dec") == "workers wanted: 4 -> 3"
    wait_pool(one, 1, 3)
    assert tell(path, "config", "{number: 1}") == "workers wanted: 3 -> 1"
    wait_pool(one, 1, 1)
    assert "expected 1 to 1024" in refused(path, "dec")
    for wrong in ("0", "1025", "-1", "x", "", "1 2", "99999999999999999999"):
        assert "Must be an integer in [1,1024]" in refused(path, "set_workers", wrong)
    assert refused(path, "set_workers") == "No args provided"
    assert status(path)["workers_wanted"] == 1
    assert len(one.workers) == 1


@pytest.mark.rules("K2")
@pytest.mark.parametrize("name", ["USR1", "usr1", "SIGUSR1", "sigUsr1"])
def test_signal_reaches_every_worker(name, socket_dir, controlled):
    notes = Notes(socket_dir)
    one, path = controlled(
        "-workers=2",
        server=[notes.option, "--stop-signal=USR1,WINCH,TERM", "--drain-timeout=60000"],
    )
    pids = wait_pool(one, 1, 2)
    # Held ones note each signal and stay.
    held = {}
    with contextlib.ExitStack() as stack:
        while set(held) != set(pids):
            connected = stack.enter_context(Held(one))
            held[connected.pid] = connected
        assert tell(path, "signal", name, "WINCH") == (
            "sent USR1 to 2 workers, WINCH to 2 workers"
        )
        for pid in pids:
            notes.wait_signal(pid, SIGUSR1)
            notes.wait_signal(pid, SIGWINCH)
        told = status(path)
        assert [worker["state"] for worker in told["workers"]] == ["ready", "ready"]
        # One that is wrong keeps the others from being sent.
        assert "NONSENSE" in refused(path, "signal", "USR1", "NONSENSE")
        assert refused(path, "signal") == "No args provided"
        assert [notes.signals(pid).count(SIGUSR1) for pid in pids] == [1, 1]


@pytest.mark.rules("K2", "R10")
@pytest.mark.parametrize("args, name", [([], "USR2"), (["TERM"], "TERM"), (["sigusr1"], "USR1")])
def test_die_stops_with_that_signal(args, name, socket_dir, controlled):
    notes = Notes(socket_dir)
    one, path = controlled("-workers=2", server=[notes.option, "--stop-signal=USR1,USR2,TERM"])
    pids = wait_pool(one, 1, 2)
    # Einhorn's clients send `args: []`.
    assert ask(path, "die", args=args) == {"message": f"stopping: each worker gets {name}"}
    assert one.wait_exit() == 0
    number = {"USR2": SIGUSR2, "USR1": SIGUSR1}.get(name, 15)
    assert [notes.signals(pid) for pid in pids] == [[number], [number]]


@pytest.mark.rules("K2")
def test_quieter_and_louder(controlled):
    one, path = controlled()
    asked = rf"^control: process {os.getpid()} of user {os.geteuid()} asked: "
    with Control(path) as client:
        assert client.tell("louder").startswith("verbosity 0:")
        client.tell("inc")
        one.wait_log(asked + "inc$")
        assert client.tell("louder").startswith("verbosity 0:")
        assert client.tell("quieter").startswith("verbosity 1:")
        since = len(one.log)
        client.tell("dec")
        one.wait_log(says("scaled", count=1), since=since)
        assert client.tell("quieter").startswith("verbosity 2:")
        assert client.tell("quieter").startswith("verbosity 2:")
        assert client.status()["verbosity"] == 2
        since = len(one.log)
        client.tell("inc")
        client.tell("rollout", wait=True)
        assert client.rest()[-1]["message"].startswith("generation 2: rollout done")
        # Warnings are told still, here of one that nobody told to end.
        eventually(lambda: len(one.workers) == 2, what="the end of generation 1")
        os.kill(one.workers[0], SIGKILL)
        one.wait_log(says("ended", signal="KILL"), since=since)
        quiet = [line.text for line in one.log.lines[since:] if not line.worker]
        assert not re.search(r" asked|wanted|ready after|started", "\n".join(quiet)), quiet
        assert client.tell("config", "verbosity: 1").startswith("verbosity 1:")
        since = len(one.log)
        client.tell("dec")
        one.wait_log(says("scaled", count=1), since=since)
        assert not one.log.find(asked, since=since)


@pytest.mark.rules("K2")
def test_config_changes_what_it_can_and_refuses_the_rest_by_name(controlled):
    one, path = controlled()
    with Control(path) as client:
        assert client.tell("config", "{}") == "nothing to change"
        assert client.tell("config", "---\nnumber: 2\nverbosity: 0\n") == "workers wanted: 1 -> 2"
        assert client.status()["verbosity"] == 0
        wait_pool(one, 1, 2)
        for key in ("cmd", "backlog", "seconds"):
            told = client.refused("config", f"{{number: 5, {key!r}: 1}}")
            assert json.dumps(key) in told and "no counterpart" in told
        for wrong in ("{number: x}", "{number: '3'}", "{verbosity: 3}", "[1]", "1", "{", "a: b: c"):
            client.refused("config", wrong)
        assert client.refused("config") == "No args provided"
        assert client.status()["workers_wanted"] == 2
        # As Ruby writes symbols.
        assert client.tell("config", "{:number: 1}") == "workers wanted: 2 -> 1"


@pytest.mark.rules("K2")
def test_a_reload_of_the_master_is_not_supported_and_says_so(controlled):
    one, path = controlled()
    assert "not supported" in refused(path, "reload")
    assert one.process.poll() is None and not one.said("reload")


class StateLoader(yaml.SafeLoader):
    """Reads what einhorn's scripts read with Ruby: symbols stay text, a set is one."""


StateLoader.add_constructor(
    "!ruby/object:Set", lambda loader, node: set(loader.construct_mapping(node, True)["hash"])
)


def state(path):
    return yaml.load(tell(path, "state"), StateLoader)[":state"]


@pytest.mark.rules("K2")
def test_state_has_einhorns_shape(controlled):
    one, path = controlled("-workers=2")
    pids = wait_pool(one, 1, 2)
    told = state(path)
    assert sorted(told[":children"]) == pids
    for pid, child in told[":children"].items():
        assert child[":type"] == ":worker" and child[":version"] == 1 and child[":acked"] is True
        assert child[":signaled"] == set() and child[":last_signaled_at"] is None
        assert child[":pinged_at"] is None and child[":pinged_request_id"] is None
    assert sorted(child[":index"] for child in told[":children"].values()) == [0, 1]
    assert told[":config"][":number"] == 2
    assert told[":cmd"] == [SERVER] and told[":socket_path"] == str(path)
    assert [host for host, *_ in told[":bind"]] == ["127.0.0.1"]
    control.ask(path, "worker:ping", pid=pids[0], request_id="req-1")
    tell(path, "signal", "WINCH")
    told = state(path)
    pinged = told[":children"][pids[0]]
    assert pinged[":pinged_request_id"] == "req-1" and pinged[":pinged_at"] is not None
    assert told[":children"][pids[1]][":pinged_at"] is None
    assert pinged[":signaled"] == {"WINCH"} and pinged[":last_signaled_at"] is not None
    tell(path, "rollout", wait=True, id=1)


@pytest.mark.rules("K2")
def test_status_and_metrics_agree_with_each_other_and_the_world(controlled):
    one, path = controlled("-workers=2")
    one.reload()
    pids = wait_pool(one, 2, 2)
    with Control(path) as client:
        told = client.status()
        assert (told["pid"], told["generation"], told["workers_wanted"]) == (one.pid, 2, 2)
        assert sorted(worker["pid"] for worker in told["workers"]) == pids
        assert told["listeners"][0]["address"] == one.address
        assert told["rollout"]["result"] == "done" and told["rollout"]["generation"] == 2
        table = client.tell("status")
        assert client.tell("status", "table", "80").count("\n") == table.count("\n")
        assert max(map(len, table.splitlines())) <= 80 and "\x1b" not in table
        assert "\x1b[" in client.tell("status", "table", "80", "colour")
        for pid in pids:
            assert re.search(rf"^ +\d +{pid} +2 ready ", table, re.MULTILINE), table
        metrics = client.tell("metrics")
        values = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", metrics, re.MULTILINE))
        assert values["socketmaster_workers_started_total"] == "4"
        assert values["socketmaster_rollouts_done_total"] == "2"
        assert values['socketmaster_workers{state="ready"}'] == "2"
        for name, count in told["counters"].items():
            if not name.startswith("log_"):
                assert values[f"socketmaster_{name}_total"] == str(count), name
        for wrong in (["jsn"], ["table", "0"], ["table", "80", "red"], ["json", "80"]):
            client.refused("status", *wrong)


@pytest.mark.rules("K2", "O3")
def test_logs_follow_the_log(controlled):
    one, path = controlled()
    with Control(path) as client, Control(path) as other:
        for follower, keys in ((client, {"id": "x"}), (other, {})):
            first = follower.ask("logs", **keys)
            assert first["message"] == "Following the log" and first["wait"] is True
        one.reload()
        wanted = [line.raw.decode() for line in one.log.lines if "generation 2" in line.text]

        def follow(follower, request_id):
            text = ""
            while wanted[-1] not in text:
                reply = follower.reply()
                assert reply["wait"] is True and reply.get("request_id") == request_id
                assert reply["message"].endswith("\n")
                text += reply["message"]
            return [line for line in text.splitlines() if "generation 2" in line]

        for follower, request_id in ((client, "x"), (other, None)):
            got = follow(follower, request_id)
            assert got[: len(wanted)] == wanted


# --- how it is spoken to -------------------------------------------------------------------------

# The exact bytes of real clients, and what the answer has: its message's beginning, and its id.
BYTES = {
    "einhornsh hello": (b"---%0Acommand: ehlo%0Auser: root%0A\n", "Welcome, root!", None),
    "einhornsh hello of nobody": (b"---%0Acommand: ehlo%0Auser:%0A\n", "Welcome!", None),
    "einhornsh inc": (b"---%0Aid: 1%0Acommand: inc%0Aargs: []%0A\n", "workers wanted: 1 -> 2", 1),
    "einhornsh signal": (
        b"---%0Aid: 2%0Acommand: signal%0Aargs:%0A- WINCH%0A- URG%0A\n",
        "sent WINCH to 1 worker, URG to 1 worker",
        2,
    ),
    "einhornsh config": (
        b'---%0Aid: 3%0Acommand: config%0Aargs:%0A- "{:number: 3}"%0A\n',
        "workers wanted: 1 -> 3",
        3,
    ),
    "einhornsh set_workers": (
        b"---%0Aid: 4%0Acommand: set_workers%0Aargs:%0A- '2'%0A\n",
        "workers wanted: 1 -> 2",
        4,
    ),
    "go-einhorn": (b"request_id: 7%0Acommand: inc%0Aargs: []%0A\n", "workers wanted: 1 -> 2", None),
    "go-einhorn without its id": (b"command: help%0Aargs: []%0A\n", "You are speaking", None),
    "PHP": (b'{"id":"5","command":"ehlo","user":"me"}\n', "Welcome, me!", "5"),
    "Python": (b'{"id": 6, "command": "state", "args": []}\n', "---\n:state:", 6),
    "node": (b"---%0Acommand:%20ehlo%0Auser:%20a%25b\n", "Welcome, a%b!", None),
    "CRLF": (b'{"command": "ehlo"}\r\n', "Welcome!", None),
}


@pytest.mark.rules("K1", "K2")
@pytest.mark.parametrize("client", BYTES)
def test_every_clients_bytes_are_understood(client, controlled):
    said, begins, request_id = BYTES[client]
    _, path = controlled()
    with Control(path) as connection:
        connection.send(said)
        reply = connection.reply()
        assert reply["message"].startswith(begins) and "wait" not in reply
        assert reply.get("request_id") == request_id and "error" not in reply


# An id as it is sent, and as it comes back: None for not at all.
IDS = [
    ("1", 1),
    ('"1"', "1"),
    ("x-1", "x-1"),
    ("true", True),
    ("1.5", 1.5),
    ("-7", -7),
    ("null", None),
    ("~", None),
    ("[1]", None),
    ("{a: 1}", None),
    ("é+%25", "é+%"),
]


@pytest.mark.rules("K1")
@pytest.mark.parametrize("sent, back", IDS)
def test_an_id_comes_back_as_the_scalar_that_it_was(sent, back, controlled):
    _, path = controlled()
    with Control(path) as client:
        client.send(f"{{id: {sent}, command: ehlo}}\n".encode())
        reply = client.reply()
        assert reply["message"].startswith("Welcome!")
        assert reply.get("request_id") == back and ("request_id" in reply) == (back is not None)
        assert type(reply.get("request_id")) is type(back)


# What is no request, and how the answer begins.
MALFORMED = [
    (b"", "Could not parse command"),
    (b"nonsense", "Could not parse command"),
    (b"[1, 2]", "Could not parse command"),
    (b'{"command": "ehlo"', "Could not parse command"),
    (b"\xff\xfe\x00", "Could not parse command"),
    (b"\0\0\0", "Could not parse command"),
    (b"GET / HTTP/1.1\r", "Could not parse command"),
    (b"%00", "Could not parse command"),
    (b"&a [*a]", "Could not parse command"),
    (b"{id: 5}", 'No "command" parameter provided'),
    (b'{"comand":"worker:ack","Pid":123}', 'No "command" parameter provided'),
    (b'{"command": ["ehlo"]}', ""),
    (b'{"command": "ehlo", "args": ["x"]}', "Too many args"),
    (b'{"command": "signal", "args": "USR1"}', "Args must be an array"),
    (b'{"command": "signal", "args": [["USR1"]]}', ""),
    (b'{"command": "\\u001b[2J"}', 'Unrecognized command: "\\x1b[2J"'),
]


@pytest.mark.rules("K1", "K4")
def test_what_is_malformed_gets_an_answer_and_the_connection_lives_on(controlled):
    one, path = controlled()
    with Control(path) as client:
        for line, begins in MALFORMED:
            client.send(line + b"\n")
            reply = client.reply()
            assert reply.get("error") is True and reply["message"].startswith(begins), (line, reply)
            assert client.tell("ehlo").startswith("Welcome!")
    assert one.log.find("Welcome|parse") is None


@pytest.mark.rules("K1")
def test_requests_may_come_together_and_in_pieces(controlled):
    _, path = controlled()
    line = b"---%0Aid: 7%0Acommand: ehlo%0Auser: me%0A\n"
    with Control(path) as client:
        client.send(line * 100 + line[:20])
        for _ in range(100):
            assert client.reply()["request_id"] == 7
        for byte in line[20:]:
            client.send(bytes([byte]))
        assert client.reply()["message"].startswith("Welcome, me!")
        # The last one may come with the end.
        client.send(line)
        client.shut()
        assert client.reply()["request_id"] == 7
        assert client.ended()


@pytest.mark.rules("K1")
def test_without_control_there_is_nothing(socket_dir, master):
    one = master()
    one.wait_ready(1)
    assert list(socket_dir.iterdir()) == []
    connections = Path("/proc/net/unix").read_text()
    inodes = [t[8:-1] for t in procfs.fds(one.pid).values() if t.startswith("socket:")]
    listening = [line for line in connections.splitlines() if line.split()[3] == "00010000"]
    assert not [line for line in listening if line.split()[6] in inodes]
