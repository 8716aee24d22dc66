"""The fixture servers: what they show, how they misbehave, and that they drain without a loss."""

import contextlib
import fcntl
import os
import sys
import termios
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGTERM, SIGUSR2, SIGWINCH

import client
import procfs
import pytest
from direct import Served, open_socket
from harness import PYTHON_SERVER, SERVER, Load, eventually

pytestmark = pytest.mark.fixture


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix", "unix@", "unixpacket", "unixpacket@"])
def test_serves_connections(kind, socket_dir):
    opened, uri = open_socket(kind, socket_dir)
    with opened, Served([opened], ["--version-text=blue"]) as server:
        answer = client.get(uri)
        assert answer.body == f"pid={server.pid} generation=- slot=- version=blue\n"
        with client.connect(uri) as connected:
            connected.sendall(b"echo hello there\n")
            assert connected.recv(100) == b"hello there\n"
            connected.sendall(b"GET /nowhere HTTP/1.1\r\n\r\n")
            assert connected.recv(1000).startswith(b"HTTP/1.1 404 ")
        assert server.stop() == 0


@pytest.mark.parametrize("kind", ["udp", "unixgram", "unixgram@"])
def test_serves_datagrams(kind, socket_dir):
    opened, uri = open_socket(kind, socket_dir)
    with opened, Served([opened]) as server:
        assert f"pid={server.pid} ".encode() in client.ask_datagram(uri)
        assert client.ask_datagram(uri, b"echo hello") == b"hello"
        assert server.stop() == 0


FAMILIES = [
    ("fd", {}, 1),
    ("auto", {}, 1),
    ("auto", {"EINHORN_FD_COUNT": "2"}, 2),
    ("auto", {"LISTEN_FDS": "2"}, 2),
    ("einhorn", {"EINHORN_FD_COUNT": "2", "EINHORN_FD_0": "3", "EINHORN_FD_1": "4"}, 2),
    ("einhorn-fds", {"EINHORN_FDS": "3"}, 1),
    ("einhorn-fds", {"EINHORN_FDS": "3 4"}, 2),
    ("systemd", {"LISTEN_FDS": "2", "LISTEN_PID": "own"}, 2),
    ("systemd-nopid", {"LISTEN_FDS": "2"}, 2),
    ("starter", {"SERVER_STARTER_PORT": "127.0.0.1:80=3;/tmp/x=4"}, 2),
    ("nginx", {"NGINX": "3;4;"}, 2),
    ("systemd", {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, 0),
    ("systemd", {"LISTEN_FDS": "1"}, 0),
    ("systemd-nopid", {"LISTEN_FDS": "1", "LISTEN_PID": "own"}, 0),
    ("einhorn", {"EINHORN_FD_COUNT": "1"}, 0),
    ("einhorn-fds", {"EINHORN_FDS": "3 x"}, 0),
    ("starter", {"SERVER_STARTER_PORT": "3"}, 0),
    ("nginx", {}, 0),
    ("fd4", {}, 0),
]


@pytest.mark.parametrize("family, env, served", FAMILIES)
def test_takes_sockets_by_family(family, env, served, socket_dir):
    with contextlib.ExitStack() as stack:
        pairs = [open_socket(kind, socket_dir) for kind in ("tcp", "unix")]
        sockets = [stack.enter_context(opened) for opened, _ in pairs]
        server = stack.enter_context(Served(sockets, [f"--from={family}"], env))
        for opened, uri in pairs[:served]:
            server.wait_answering(uri)
        if served == 0:
            assert server.wait_exit() == 64
        else:
            assert server.stop() == 0


def test_shows_its_world(tcp, socket_dir):
    opened, uri = tcp
    with Served([opened], ["--version-text=x y"], {"COLOUR": "light blue"}) as server:
        assert "COLOUR=light blue" in client.get(uri, "/env").lines
        assert client.get(uri, "/args").lines == [SERVER, "--version-text=x y"]
        who = client.get(uri, "/id").fields
        assert who["uid"] == ",".join(map(str, os.getresuid()))
        assert who["ppid"] == str(os.getpid())
        assert who["cwd"] == os.getcwd()
        assert who["umask"] == f"{int(procfs.status(server.pid, 'Umask'), 8):04o}"
        fds = dict(line.split(" ", 1) for line in client.get(uri, "/fds").lines)
        assert sorted(fds) == ["0", "1", "2", "3"]
        assert fds["3"].startswith("type=inet/stream/listening cloexec=0 nonblock=0 target=socket:")
        now = dict(line.split(" ", 1) for line in client.get(uri, "/fds?now=1").lines)
        assert now["3"].startswith("type=inet/stream/listening cloexec=1 nonblock=1 ")
        obeyed = sum(1 << (number - 1) for number in (SIGHUP, SIGINT, SIGQUIT, SIGUSR2, SIGTERM))
        for page, expected in (("/signals", 0), ("/signals?now=1", obeyed)):
            masks = dict(line.split(":\t") for line in client.get(uri, page).lines)
            assert int(masks["SigCgt"], 16) & obeyed == expected


CRASHES = [
    ("--crash-at-start", 1),
    ("--crash-at-start=7", 7),
    ("--crash-after=30", 1),
    ("--crash-after=30:9", 9),
    ("--crash-after=30:SEGV", -SIGSEGV),
    ("--crash-after=30:KILL", -SIGKILL),
    ("--crash-after=x", 64),
    ("--flood=x", 64),
    ("--ignore=HUP,NONE", 64),
    ("--unknown", 64),
]


@pytest.mark.parametrize("option, status", CRASHES)
def test_crashes_as_told(option, status, tcp):
    with Served([tcp[0]], [option, "--start-delay=10"]) as server:
        assert server.wait_exit() == status


@pytest.mark.parametrize(
    "page, status", [("/exit?code=5", 5), ("/kill?signal=9", -9), ("/kill?signal=15", -15)]
)
def test_ends_when_asked_by_a_page(page, status, tcp):
    with Served([tcp[0]]) as server:
        assert client.get(tcp[1], page).pid == server.pid
        assert server.wait_exit() == status


SIGNALS = [
    ([], SIGHUP, "draining"),
    ([], SIGTERM, "draining"),
    ([], SIGQUIT, "draining"),
    ([], SIGUSR2, "draining"),
    ([], SIGINT, "leaving"),
    (["--stop-signal=USR1,WINCH"], SIGWINCH, "draining"),
    (["--leave-signal=HUP"], SIGHUP, "leaving"),
]


@pytest.mark.parametrize("options, number, first", SIGNALS)
def test_obeys_signals(options, number, first, tcp):
    with Served([tcp[0]], ["--print-start", *options]) as server:
        server.wait_line("started")
        server.process.send_signal(number)
        assert server.process.stdout.readline().startswith(first.encode())
        assert server.wait_exit() == 0


def test_ignores_signals(tcp):
    with Served([tcp[0]], ["--print-start", "--ignore=HUP,TERM"]) as server:
        server.wait_line("started")
        server.process.send_signal(SIGHUP)
        server.process.send_signal(SIGTERM)
        assert client.get(tcp[1]).pid == server.pid
        assert server.stop(SIGQUIT) == 0


def test_marks_its_life(tcp, socket_dir):
    marker = socket_dir / "marker"
    env = {"SOCKETMASTER_GENERATION": "12"}
    with Served([tcp[0]], [f"--marker={marker}"], env) as server:
        server.wait_answering(tcp[1])
        assert server.stop() == 0
    start, stop, end = (line.split() for line in marker.read_text().splitlines())
    assert start[:3] == ["start", str(server.pid), "12"]
    assert stop[:3] == ["stop", str(server.pid), str(int(SIGHUP))]
    assert end[:2] == ["exit", str(server.pid)]
    assert int(start[3]) < int(stop[3]) < int(end[2])


def test_writes_lines_that_can_be_counted(tcp):
    options = ["--flood=1:500", "--flood-exit", "--output-last=3"]
    with Served([tcp[0]], options) as server:
        lines = server.process.stdout.read().decode().split("\n")
        assert server.wait_exit() == 0
    flood, last, rest = lines[:2000], lines[2000:2003], lines[2003:]
    assert [line.split()[:2] for line in flood] == [["flood", f"{n + 1:010}"] for n in range(2000)]
    assert {len(line) for line in flood} == {499}
    assert last == ["last 0000000001", "last 0000000002", "last 0000000003"]
    assert rest == [""]


def test_a_flood_that_nobody_reads_ends_at_the_stop_signal(tcp):
    with Served([tcp[0]], ["--flood=10"]) as server:
        def is_stuck():
            unread = fcntl.ioctl(server.process.stdout, termios.FIONREAD, b"    ")
            full = int.from_bytes(unread, sys.byteorder) > 60000
            return full and procfs.processes()[server.pid].state == "S"

        eventually(is_stuck, what="a full pipe")
        assert server.stop() == 0


def test_logs_on_request(tcp):
    with Served([tcp[0]]) as server:
        client.get(tcp[1], "/log?lines=2&bytes=30")
        client.get(tcp[1], "/log?lines=1&stream=2")
        assert server.stop() == 0
        assert server.process.stdout.read() == b"".join(
            b"log 000000000%d xxxxxxxxxxxxxx\n" % n for n in (1, 2)
        )
        assert server.process.stderr.read() == b"log 0000000001\n"


def test_leaves_a_grandchild(tcp):
    with Served([tcp[0]], ["--grandchild", "--grandchild-writes=1"]) as server:
        pid = int(server.wait_line("grandchild").split()[1])
        try:
            assert server.stop(SIGKILL) == -SIGKILL
            tcp[0].close()
            with pytest.raises(ConnectionRefusedError):
                client.get(tcp[1])
            assert server.wait_line(f"grandchild {pid} writes")
            assert list(procfs.fds(pid)) == [0, 1, 2]
        finally:
            os.kill(pid, SIGKILL)


def test_shuts_its_listener_down(tcp):
    with Served([tcp[0]]) as server:
        assert client.get(tcp[1], "/shutdown").pid == server.pid
        with pytest.raises(ConnectionRefusedError):
            client.get(tcp[1])
        before = procfs.status(server.pid, "voluntary_ctxt_switches")
        assert server.stop() == 0
        assert int(before) < 1000


# --- draining ------------------------------------------------------------------------------------


def ask(connected, path="/"):
    connected.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())


def receive(connected):
    return client.parse_answer(connected.recv(65536))


def test_drains_what_it_has_accepted(tcp):
    options = ["--print-start", "--from=fd"]
    with Served([tcp[0]], options) as server, contextlib.ExitStack() as stack:
        idle, silent, slow = (stack.enter_context(client.connect(tcp[1])) for _ in range(3))
        ask(slow, "/slow?ms=200")

        def all_are_in():
            ask(idle, "/fds?now=1")
            answer = receive(idle)
            assert "connection" not in answer.headers
            return answer.body.count("type=inet/stream ") == 3

        eventually(all_are_in, what="three accepted connections")
        server.process.send_signal(SIGHUP)
        assert server.wait_line("draining").endswith("connections=3")
        for connected in (idle, silent):
            ask(connected)
        for connected in (idle, silent, slow):
            answer = receive(connected)
            assert (answer.pid, answer.headers["connection"]) == (server.pid, "close")
            assert connected.recv(1) == b""
        stack.close()
        assert server.wait_exit() == 0


def test_drains_no_longer_than_allowed(tcp):
    options = ["--print-start", "--drain-timeout=100"]
    with Served([tcp[0]], options) as server, client.connect(tcp[1]) as idle:
        ask(idle)
        receive(idle)
        assert server.stop() == 0
        assert idle.recv(1) == b""


def test_drains_as_slowly_as_told(tcp):
    with Served([tcp[0]], ["--print-start", "--drain-delay=600000"]) as server:
        server.wait_line("started")
        server.process.send_signal(SIGHUP)
        assert server.wait_line("draining").endswith("connections=0")
        assert server.process.poll() is None
        assert server.stop(SIGINT) == 0


OVERLAPS = [
    (kind, command, options, keepalive)
    for kind in ("tcp", "tcp6", "unix", "unixpacket")
    for command, options in (
        ((SERVER,), ()),
        ((SERVER,), ("--blocking",)),
        (tuple(PYTHON_SERVER), ()),
    )
    for keepalive in (1, 7, 0)
]


@pytest.mark.parametrize("kind, command, options, keepalive", OVERLAPS)
def test_overlapping_servers_lose_nothing(kind, command, options, keepalive, socket_dir):
    opened, uri = open_socket(kind, socket_dir)

    def serve(generation):
        env = {"LISTEN_FDS": "1", "SOCKETMASTER_GENERATION": str(generation)}
        return Served([opened], options, env, command)

    with opened, contextlib.ExitStack() as stack:
        old = stack.enter_context(serve(1))
        old.wait_answering(uri)
        load = stack.enter_context(Load(uri, keepalive=keepalive))
        for generation in range(2, 8):
            load.wait_answered(50)
            new = stack.enter_context(serve(generation))
            new.wait_answering(uri)
            assert old.stop() == 0
            old = new
        load.wait_answered(50)
        load.assert_lossless(at_least=300)
        assert load.generations >= {1, 7}
        assert old.stop() == 0
