"""Sockets that somebody else opened: fd://, and what a service manager passes."""

import contextlib
import os
import re
import socket

import client
import pytest
from direct import open_socket
from harness import SERVER, WRAPPER, run
from masterlog import parse_line
from starter import circumstances
from world import descriptors

KINDS = ["tcp", "tcp6", "udp", "unix", "unix@", "unixpacket", "unixpacket@", "unixgram"]


class Passed:
    """Sockets of the test's own, and how they are given to the program from descriptor 3 on."""

    def __init__(self, directory, kinds, first=3, **how):
        self._stack = contextlib.ExitStack()
        self.sockets, self.uris = [], []
        for i, kind in enumerate(kinds):
            place = directory / str(i)
            place.mkdir(exist_ok=True)
            opened, uri = open_socket(kind, place)
            self.sockets.append(self._stack.enter_context(opened))
            # Which scheme it was opened by cannot be seen on a socket.
            self.uris.append(uri.replace("tcp6:", "tcp:"))
        self.fds = {first + i: one.fileno() for i, one in enumerate(self.sockets)}
        self.how = passing(self.fds, **how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()


def passing(fds, listen_pid=False):
    """Keywords for Launch: descriptors of the test's under other numbers."""
    starter = circumstances(fds={str(to): fd for to, fd in fds.items()}, listen_pid=listen_pid)
    return {"starter": starter, "pass_fds": sorted(fds.values())}


def answers(uri):
    """The pid of the server at the URI."""
    if uri.startswith(("udp", "unixgram")):
        return int(re.match(rb"pid=(\d+)", client.ask_datagram(uri))[1])
    return client.get(uri).pid


def given(one, address):
    """The worker's descriptors from 3 on, as links."""
    fds = descriptors(one, address)
    assert sorted(fds) == list(range(len(fds)))
    return [fds[fd].rpartition("=")[2] for fd in sorted(fds)[3:]]


def complaint(*arguments, **how):
    """The one line that a start ends with; the check says the same."""
    done = run(*arguments, "--", SERVER, **how)
    assert (done.status, len(done.error_lines)) == (1, 1), done
    told = parse_line(os.fsencode(done.error_lines[0])).text
    assert run("-check", *arguments, "--", SERVER, **how).stderr == f"socketmaster: {told}\n"
    assert re.fullmatch("[ -~]+", told)
    return told


# --- by number -----------------------------------------------------------------------------------


@pytest.mark.rules("L1", "L9")
@pytest.mark.parametrize("number", [3, 4, 7, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_an_open_socket_is_taken_over(kind, number, socket_dir, master):
    with Passed(socket_dir, [kind], first=number) as passed:
        beside = f"unix:@{socket_dir}-beside"
        one = master(listen=[f"fd://{number}?name=own", beside], **passed.how)
        worker = one.wait_ready(1)
        assert one.addresses == [passed.uris[0], beside]
        assert answers(passed.uris[0]) == worker
        assert f"SOCKETMASTER_ADDR_0={passed.uris[0]}" in one.get("/env", beside).lines
        assert "LISTEN_FDNAMES=own:unknown" in one.get("/env", beside).lines
        link = os.readlink(f"/proc/self/fd/{passed.fds[number]}")
        assert given(one, beside)[0] == link
        # The master keeps one copy, and that is close-on-exec for the next worker.
        assert list(one.fds.values()).count(link) == 1
        one.reload()
        assert given(one, beside)[0] == link
        assert one.stop() == 0
        # It was not the master's to shut down, nor its file to remove.
        client.connect(passed.uris[0]).close()


@pytest.mark.rules("L9", "E1")
@pytest.mark.parametrize("order", [[3, 4, 5], [5, 4, 3], [4, 5, 3], [5, 5, 3], [4]])
def test_numbers_may_come_in_any_order(order, socket_dir, master):
    with Passed(socket_dir, ["tcp", "tcp6", "unix"]) as passed:
        one = master(listen=[f"fd://{fd}" for fd in order], **passed.how)
        for generation in (1, 2):
            worker = one.wait_ready(generation)
            for fd in order:
                assert answers(passed.uris[fd - 3]) == worker
            links = [os.readlink(f"/proc/self/fd/{passed.fds[fd]}") for fd in order]
            assert given(one, one.address) == links
            if generation == 1:
                one.reload()
                one.wait_log(rf"worker {worker} .* ended")


@pytest.mark.rules("L9", "E1")
def test_standard_input_may_be_the_listener(tcp, master):
    listener, uri = tcp
    one = master(listen="fd://0", stdin=listener)
    assert answers(uri) == one.wait_ready(1)
    lines = one.get("/fds").lines
    assert lines[0].endswith("target=/dev/null") and lines[3].startswith("3 type=inet/stream/")


@pytest.mark.rules("L8", "L9", "E1")
@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("query", ["", "?nonblock=0", "?nonblock=1"])
def test_nobody_elses_socket_is_made_blocking(blocking, query, socket_dir, master):
    with Passed(socket_dir, ["tcp"]) as passed:
        passed.sockets[0].setblocking(blocking)
        one = master(listen=f"fd://3{query}", server=["--blocking"], **passed.how)
        one.wait_ready(1)
        nonblock = int(not blocking or query == "?nonblock=1")
        assert f"/listening cloexec=0 nonblock={nonblock} " in one.get("/fds").lines[3]


@contextlib.contextmanager
def unfit(kind, directory):
    """A descriptor that is no listening socket."""
    with contextlib.ExitStack() as stack:
        if kind == "file":
            yield stack.enter_context(open(directory / "file", "w")).fileno()
        elif kind == "pipe":
            ends = os.pipe()
            stack.callback(lambda: [os.close(end) for end in ends])
            yield ends[0]
        elif kind == "pair":
            pair = socket.socketpair()
            [stack.enter_context(end) for end in pair]
            yield pair[0].fileno()
        else:
            family, kind, bound, connected = {
                "unbound tcp": (socket.AF_INET, socket.SOCK_STREAM, False, False),
                "bound tcp": (socket.AF_INET, socket.SOCK_STREAM, True, False),
                "connected tcp": (socket.AF_INET, socket.SOCK_STREAM, True, True),
                "unbound udp": (socket.AF_INET6, socket.SOCK_DGRAM, False, False),
                "unbound unix": (socket.AF_UNIX, socket.SOCK_STREAM, False, False),
                "unbound unixgram": (socket.AF_UNIX, socket.SOCK_DGRAM, False, False),
                "netlink": (socket.AF_NETLINK, socket.SOCK_RAW, False, False),
            }[kind]
            one = stack.enter_context(socket.socket(family, kind))
            if bound:
                one.bind(("127.0.0.1", 0))
            if connected:
                listener = stack.enter_context(open_socket("tcp", directory)[0])
                one.connect(listener.getsockname())
            yield one.fileno()


UNFIT = [
    ("file", "the descriptor is not a socket"),
    ("pipe", "the descriptor is not a socket"),
    ("pair", "the socket is not bound to an address"),
    ("unbound tcp", "the socket is not bound to an address"),
    ("bound tcp", "the socket is not listening"),
    ("connected tcp", "the socket is not listening"),
    ("unbound udp", "the socket is not bound to an address"),
    ("unbound unix", "the socket is not bound to an address"),
    ("unbound unixgram", "the socket is not bound to an address"),
    ("netlink", "not a kind of socket that can be passed on"),
]


@pytest.mark.rules("L9", "C6", "C7")
@pytest.mark.parametrize("kind, why", UNFIT)
def test_what_is_no_listening_socket_is_refused(kind, why, socket_dir):
    listen = [f"-listen=unix://{socket_dir}/first", "-listen=fd://5"]
    with unfit(kind, socket_dir) as fd:
        assert complaint(*listen, **passing({5: fd})) == f'unable to listen on "fd://5": {why}'
    assert not (socket_dir / "first").exists()


own_fds = pytest.mark.skipif(bool(WRAPPER), reason="the wrapper has descriptors of its own")


@pytest.mark.rules("L9", "C6")
@pytest.mark.parametrize("number", [1000, 2147483647, pytest.param(3, marks=own_fds)])
def test_a_descriptor_that_is_not_open_is_refused(number):
    why = f'unable to listen on "fd://{number}": the descriptor is not open'
    assert complaint(f"-listen=fd://{number}") == why


# --- by name, as a service manager passes them ---------------------------------------------------

# Names (None: no variable), what to listen on, descriptors that come to that, their names then.
ACTIVATED = [
    ("web:api:web", [], [3, 4, 5], "web:api:web"),
    (None, [], [3, 4, 5], "unknown:unknown:unknown"),
    ("a b::~", [], [3, 4, 5], "a b:unknown:~"),
    ("web:api:web", ["fd://api"], [4], "api"),
    ("web:api:web", ["fd://web"], [3, 5], "web:web"),
    ("web:api:web", ["fd://web", "fd://api"], [3, 5, 4], "web:web:api"),
    ("web:api:web", ["fd://api?name=x", "fd://web?name=y"], [4, 3, 5], "x:y:y"),
    ("web:api:web", ["fd://4", "fd://5?name=z"], [4, 5], "api:z"),
    ("7:api:web", ["fd://api"], [4], "api"),
    (None, ["fd://unknown"], [3, 4, 5], "unknown:unknown:unknown"),
]


@pytest.mark.rules("L9", "E3", "E6")
@pytest.mark.parametrize("names, listen, taken, shown", ACTIVATED)
def test_passed_sockets_are_taken(names, listen, taken, shown, socket_dir, master):
    kinds = ["tcp", "unix", "tcp6"]
    with Passed(socket_dir, kinds, listen_pid=True) as passed:
        env = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": names, "NOTIFY_SOCKET": "/nowhere"}
        one = master(listen=listen, env=env, **passed.how)
        for generation in (1, 2):
            worker = one.wait_ready(generation)
            assert one.addresses == [passed.uris[fd - 3] for fd in taken]
            for fd in taken:
                assert answers(passed.uris[fd - 3]) == worker
            links = [os.readlink(f"/proc/self/fd/{passed.fds[fd]}") for fd in taken]
            assert given(one, one.address) == links
            env = one.get("/env").lines
            assert f"LISTEN_FDNAMES={shown}" in env and f"LISTEN_FDS={len(taken)}" in env
            assert f"LISTEN_PID={worker}" in env
            if generation == 1:
                one.reload()
                one.wait_log(rf"worker {worker} .* ended")
        assert one.stop() == 0


@pytest.mark.rules("L9")
@pytest.mark.parametrize("pid", ["1", "", "x", "0", "-1", "+{}", "0x10", None])
def test_sockets_for_another_process_are_not_ours(pid, socket_dir):
    with Passed(socket_dir, ["tcp"]) as passed:
        env = {"LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        plan = run("-check", "-listen=unix:@beside", "/bin/true", env=env, **passed.how)
        assert plan.stdout.startswith("listen on unix:@beside as descriptor 3\n")
        told = complaint("-listen=fd://web", env=env, **passed.how)
        assert told == 'unable to listen on "fd://web": no descriptors were passed to this process'
        # Without -listen it is the default, which may be in use.
        plan = run("-check", "/bin/true", env=env, **passed.how)
        assert ":8080" in plan.stdout + plan.stderr
        # By number it can be had nevertheless.
        assert run("-check", "-listen=fd://3", "/bin/true", env=env, **passed.how).status == 0


@pytest.mark.rules("L9")
def test_no_socket_passed_is_as_none(socket_dir):
    starter = circumstances(listen_pid=True)
    for env in ({"LISTEN_FDS": "0", "LISTEN_FDNAMES": ""}, {"LISTEN_FDS": None}):
        plan = run("-check", "/bin/true", env=env, starter=starter)
        assert ":8080" in plan.stdout + plan.stderr


LONG = 256 * "x"
MALFORMED = [
    ("x", "a", 'LISTEN_FDS="x": expected a number from 0 to 256'),
    ("", "a", 'LISTEN_FDS="": expected a number'),
    ("-1", "a", 'LISTEN_FDS="-1": expected a number'),
    ("257", "a", 'LISTEN_FDS="257": expected a number'),
    ("1\x1b[2J", "a", 'LISTEN_FDS="1\\x1b[2J": expected a number'),
    ("1", "a:b", 'LISTEN_FDNAMES="a:b": expected as many names as LISTEN_FDS says'),
    ("2", "a", 'LISTEN_FDNAMES="a": expected as many names as LISTEN_FDS says'),
    ("1", "\x1b[2J\n\udcff", 'LISTEN_FDNAMES="\\x1b[2J\\x0a\\xff": expected names of at most 255'),
    ("1", LONG, f'LISTEN_FDNAMES="{LONG}": expected names of at most 255 printable bytes'),
]


@pytest.mark.rules("L9", "C6")
@pytest.mark.parametrize("fds, names, why", MALFORMED)
def test_malformed_activation_is_refused(fds, names, why, socket_dir):
    with Passed(socket_dir, ["tcp"], listen_pid=True) as passed:
        env = {"LISTEN_FDS": fds, "LISTEN_FDNAMES": names}
        told = complaint("-listen=fd://a", env=env, **passed.how)
        assert told.startswith(f"unable to take the passed descriptors: {why}")


@own_fds
@pytest.mark.rules("L9", "C6")
@pytest.mark.parametrize("listen", [[], ["-listen=fd://b"]])
def test_a_passed_descriptor_that_is_closed_is_refused(listen, socket_dir):
    with Passed(socket_dir, ["tcp"], listen_pid=True) as passed:
        env = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
        told = complaint(*listen, env=env, **passed.how)
        place = '"fd://b"' if listen else "passed descriptor 4"
        assert told == f"unable to listen on {place}: the descriptor is not open"


@pytest.mark.rules("L9", "C6")
def test_a_name_that_was_not_passed_is_refused(socket_dir):
    with Passed(socket_dir, ["tcp", "tcp6"], listen_pid=True) as passed:
        env = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:api"}
        told = complaint("-listen=fd://admin", env=env, **passed.how)
        why = 'no passed descriptor has this name; there are "web", "api"'
        assert told == f'unable to listen on "fd://admin": {why}'
