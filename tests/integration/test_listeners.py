"""Listeners: every kind, every option as a worker finds it, and that they stay open for ever."""

import contextlib
import json
import os
import re
import socket
import sys
from signal import SIGCONT, SIGSTOP

import client
import harness
import procfs
import pytest
from harness import run
from masterlog import parse_line, says
from starter import Strace
from workers import Notes, wait_only
from words import root_only
from world import descriptors

SOCKET, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
IP, IPV6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
IP_FREEBIND, IPV6_FREEBIND = 15, 78


# --- kinds ---------------------------------------------------------------------------------------

# What to listen on, the address that it comes to, where a client finds it, and its type.
KINDS = [
    ("tcp://127.0.0.1:0", "tcp://127.0.0.1:{port}", ["tcp://127.0.0.1:{port}"], "inet/stream"),
    (
        "tcp://:0",
        "tcp://[::]:{port}",
        ["tcp://127.0.0.1:{port}", "tcp://[::1]:{port}"],
        "inet6/stream",
    ),
    (
        "tcp://[::]:0",
        "tcp://[::]:{port}",
        ["tcp://127.0.0.1:{port}", "tcp://[::1]:{port}"],
        "inet6/stream",
    ),
    ("tcp://localhost:0", "tcp://127.0.0.1:{port}", ["tcp://127.0.0.1:{port}"], "inet/stream"),
    ("tcp4://:0", "tcp4://0.0.0.0:{port}", ["tcp://127.0.0.1:{port}"], "inet/stream"),
    ("tcp4://localhost:0", "tcp4://127.0.0.1:{port}", ["tcp://127.0.0.1:{port}"], "inet/stream"),
    ("tcp6://:0", "tcp6://[::]:{port}", ["tcp://[::1]:{port}"], "inet6/stream"),
    ("tcp6://[::1]:0", "tcp6://[::1]:{port}", ["tcp://[::1]:{port}"], "inet6/stream"),
    ("unix://{dir}/s", "unix://{dir}/s", ["unix://{dir}/s"], "unix/stream"),
    ("unix:{dir}/s", "unix://{dir}/s", ["unix://{dir}/s"], "unix/stream"),
    ("unix:@{dir}", "unix:@{dir}", ["unix:@{dir}"], "unix/stream"),
    ("unixpacket://{dir}/s", "unixpacket://{dir}/s", ["unixpacket://{dir}/s"], "unix/seqpacket"),
    ("unixpacket:@{dir}", "unixpacket:@{dir}", ["unixpacket:@{dir}"], "unix/seqpacket"),
    (
        "udp://:0",
        "udp://[::]:{port}",
        ["udp://127.0.0.1:{port}", "udp://[::1]:{port}"],
        "inet6/dgram",
    ),
    ("udp4://127.0.0.1:0", "udp4://127.0.0.1:{port}", ["udp://127.0.0.1:{port}"], "inet/dgram"),
    ("udp6://:0", "udp6://[::]:{port}", ["udp://[::1]:{port}"], "inet6/dgram"),
    ("unixgram://{dir}/s", "unixgram://{dir}/s", ["unixgram://{dir}/s"], "unix/dgram"),
    ("unixgram:@{dir}", "unixgram:@{dir}", ["unixgram:@{dir}"], "unix/dgram"),
]


def who_answers(uri):
    """The pid and the generation that the server at the URI tells."""
    if re.match("udp|unixgram", uri):
        text = client.ask_datagram(uri, timeout=10 * harness.PATIENCE).decode()
    else:
        text = client.get(uri, timeout=10 * harness.PATIENCE).body
    found = re.match(r"pid=(\d+) generation=(\d+)", text)
    return int(found[1]), int(found[2])


@pytest.mark.rules("L1", "L2", "E5", "O6")
@pytest.mark.parametrize("uri, address, clients, kind", KINDS)
def test_every_kind_is_served_through_a_reload(uri, address, clients, kind, socket_dir, master):
    one = master(listen=[uri.format(dir=socket_dir), f"unix:@{socket_dir}-beside"])
    old = one.wait_ready(1)
    shown, beside = one.addresses
    port = re.search(r":(\d+)$|$", shown)[1]
    assert port != "0"
    known = {"dir": socket_dir, "port": port}
    assert shown == address.format(**known)
    for where in clients:
        assert who_answers(where.format(**known)) == (old, 1)
    listening = "" if "dgram" in kind else "/listening"
    assert f"3 type={kind}{listening} cloexec=0 nonblock=0 " in one.get("/fds", beside).body
    one.reload()
    new = one.wait_ready(2)
    wait_only(one, new)
    for where in clients:
        assert who_answers(where.format(**known)) == (new, 2)
    lines = one.get("/env", beside).lines
    assert f"SOCKETMASTER_ADDR_0={shown}" in lines
    assert one.stop() == 0
    with pytest.raises(OSError):
        who_answers(shown)


@pytest.mark.rules("L1", "L3")
@pytest.mark.parametrize(
    "uri, served",
    [
        ("tcp4://:0", "127.0.0.1"),
        ("tcp6://:0", "::1"),
        ("tcp://:0?v6only=1", "::1"),
        ("tcp://[::]:0?v6only=true", "::1"),
    ],
)
def test_one_family_leaves_the_other_alone(uri, served, master):
    one = master(listen=uri)
    one.wait_ready(1)
    port = int(one.address.rpartition(":")[2])
    for host in ("127.0.0.1", "::1"):
        address = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        if host == served:
            assert client.get(address).pid
        else:
            with pytest.raises(ConnectionRefusedError):
                client.get(address)


@pytest.mark.rules("L1")
def test_a_machine_without_ipv6_gets_ipv4(socket_dir):
    strace = Strace(socket_dir, "-e", "inject=socket:error=EAFNOSUPPORT:when=1")
    done = run("-listen=tcp://:0", "-start=0", "--", "/usr/bin/env", starter=strace.words)
    assert re.search(r"listening on tcp://0\.0\.0\.0:[1-9]\d* as descriptor 3\n", done.stderr)
    assert re.search(r"SOCKETMASTER_ADDR_0=tcp://0\.0\.0\.0:\d+\n", done.stderr)


@pytest.mark.rules("L1", "L4")
def test_a_link_local_address_has_its_zone(master):
    with open("/proc/net/if_inet6") as file:
        rows = [line.split() for line in file]
    links = [(row[0], row[5]) for row in rows if row[0].startswith("fe80") and row[4] == "80"]
    if not links:
        pytest.skip("no interface has a link-local address")
    host, zone = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(links[0][0])), links[0][1]
    one = master(listen=[f"tcp://[{host}%{zone}]:0", f"tcp6://[{host}%25{zone}]:0"])
    one.wait_ready(1)
    for address, scheme in zip(one.addresses, ("tcp", "tcp6")):
        assert re.fullmatch(rf"{scheme}://\[{host}%{zone}\]:[1-9]\d*", address)
        with socket.socket(socket.AF_INET6) as connected:
            connected.settimeout(10)
            port = int(address.rpartition(":")[2])
            connected.connect((host, port, 0, socket.if_nametoindex(zone)))


@pytest.mark.rules("L1")
def test_a_port_may_be_the_name_of_a_service(master):
    for service in ("http-alt", "postgresql", "mysql", "amqp", "x11", "nrpe"):
        with contextlib.suppress(OSError), socket.socket() as probe:
            port = socket.getservbyname(service, "tcp")
            probe.bind(("127.0.0.1", port))
            break
    else:
        pytest.skip("no service that is known has a free port")
    one = master(listen=f"tcp://127.0.0.1:{service}")
    one.wait_ready(1)
    assert one.address == f"tcp://127.0.0.1:{port}"


@pytest.mark.rules("L3", "E3", "O6")
def test_listeners_have_names(socket_dir, master):
    uris = ["tcp://127.0.0.1:0?name=web", f"unix://{socket_dir}/s", "unix:@{}?name=a%20b"]
    one = master(listen=[uri.format(socket_dir) for uri in uris])
    one.wait_ready(1)
    lines = [line.text for line in one.log.lines[:3]]
    assert [re.sub(r":\d+ ", ":0 ", line) for line in lines] == [
        "listening on tcp://127.0.0.1:0 as descriptor 3 named web",
        f"listening on unix://{socket_dir}/s as descriptor 4",
        f"listening on unix:@{socket_dir} as descriptor 5 named a b",
    ]
    assert "LISTEN_FDNAMES=web:unknown:a b" in one.get("/env").lines


# --- options -------------------------------------------------------------------------------------

# A worker that tells about descriptor 3 what the words ask for: LEVEL OPTION pairs, by number.
PROBE = """
import fcntl, json, os, socket, struct, sys
listener = socket.socket(fileno=3)
found = [listener.getsockopt(int(a), int(b), 64).rstrip(b"\\0").hex()
         for a, b in (word.split(":") for word in sys.argv[1:])]
print(json.dumps({"found": found, "flags": fcntl.fcntl(3, fcntl.F_GETFL)}))
"""
# How many clients a unix listener keeps waiting: one more than its backlog.
COUNT_BACKLOG = """
import socket
listener = socket.socket(fileno=3)
waiting = []
try:
    while True:
        waiting.append(socket.socket(listener.family, listener.type | socket.SOCK_NONBLOCK))
        waiting[-1].connect(listener.getsockname())
except BlockingIOError:
    print(len(waiting) - 2)
"""
# What an accepted connection inherits.
ACCEPT = """
import socket
listener = socket.socket(fileno=3)
client = socket.create_connection(listener.getsockname())
print(listener.accept()[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
"""


def output_of(uri, program, *words, **how):
    """What a Python program, as a worker on the listener, writes in one line."""
    command = [sys.executable, "-ISc", program, *words]
    done = run(f"-listen={uri}", "-start=0", "--", *command, **how)
    lines = [parse_line(os.fsencode(line)) for line in done.error_lines]
    (written,) = [line.text for line in lines if line.worker]
    return written


def getsockopt(uri, level, option, **how):
    """The value of an option of the listener, as a worker sees it: its bytes."""
    return bytes.fromhex(json.loads(output_of(uri, PROBE, f"{level}:{option}", **how))["found"][0])


# What to listen on, level and option, and the number that they have then.
NUMBERS = [
    ("tcp://127.0.0.1:0", SOCKET, socket.SO_REUSEADDR, 1),
    ("tcp6://[::1]:0", SOCKET, socket.SO_REUSEADDR, 1),
    ("udp://127.0.0.1:0", SOCKET, socket.SO_REUSEADDR, 0),
    ("tcp://127.0.0.1:0", SOCKET, socket.SO_REUSEPORT, 0),
    ("tcp://127.0.0.1:0?reuseport=1", SOCKET, socket.SO_REUSEPORT, 1),
    ("udp6://[::1]:0?reuseport=true", SOCKET, socket.SO_REUSEPORT, 1),
    ("tcp://:0", IPV6, socket.IPV6_V6ONLY, 0),
    ("tcp://[::]:0", IPV6, socket.IPV6_V6ONLY, 0),
    ("tcp6://:0", IPV6, socket.IPV6_V6ONLY, 1),
    ("udp6://:0", IPV6, socket.IPV6_V6ONLY, 1),
    ("udp://:0", IPV6, socket.IPV6_V6ONLY, 0),
    ("tcp://:0?v6only=1", IPV6, socket.IPV6_V6ONLY, 1),
    ("tcp6://:0?v6only=0", IPV6, socket.IPV6_V6ONLY, 0),
    ("tcp://127.0.0.1:0", TCP, socket.TCP_NODELAY, 0),
    ("tcp://127.0.0.1:0?nodelay=T", TCP, socket.TCP_NODELAY, 1),
    ("tcp://127.0.0.1:0?fastopen=7", TCP, socket.TCP_FASTOPEN, 7),
    ("tcp://127.0.0.1:0?freebind=0", IP, IP_FREEBIND, 0),
    ("tcp://203.0.113.7:0?freebind=1", IP, IP_FREEBIND, 1),
    ("udp://203.0.113.7:0?freebind=1", IP, IP_FREEBIND, 1),
    ("tcp://[2001:db8::7]:0?freebind=1", IPV6, IPV6_FREEBIND, 1),
    # The kernel doubles them for its own needs.
    ("tcp://127.0.0.1:0?rcvbuf=65536", SOCKET, socket.SO_RCVBUF, 131072),
    ("tcp://127.0.0.1:0?sndbuf=65536", SOCKET, socket.SO_SNDBUF, 131072),
    ("udp://127.0.0.1:0?rcvbuf=65536&sndbuf=50000", SOCKET, socket.SO_RCVBUF, 131072),
    ("unix:@{dir}?rcvbuf=65536", SOCKET, socket.SO_RCVBUF, 131072),
    ("unixgram://{dir}/s?sndbuf=50000", SOCKET, socket.SO_SNDBUF, 100000),
]


@pytest.mark.rules("L3")
@pytest.mark.parametrize("uri, level, option, number", NUMBERS)
def test_options_are_set(uri, level, option, number, socket_dir):
    value = getsockopt(uri.format(dir=socket_dir), level, option)
    assert int.from_bytes(value, sys.byteorder) == number


@pytest.mark.rules("L3")
def test_accept_is_deferred():
    value = getsockopt("tcp://127.0.0.1:0?defer-accept=5", TCP, socket.TCP_DEFER_ACCEPT)
    # The kernel counts in retransmissions.
    assert int.from_bytes(value, sys.byteorder) >= 5
    assert getsockopt("tcp://127.0.0.1:0", TCP, socket.TCP_DEFER_ACCEPT) == b""


@pytest.mark.rules("L3")
def test_nodelay_is_inherited_by_connections():
    assert output_of("tcp4://127.0.0.1:0?nodelay=1", ACCEPT) == "1"
    assert output_of("tcp4://127.0.0.1:0?nodelay=0", ACCEPT) == "0"


@pytest.mark.rules("L3")
def test_an_absent_address_takes_freebind():
    done = run("-listen=tcp://203.0.113.7:0?freebind=0", "/bin/true")
    assert done.status == 1
    assert done.stderr.endswith("bind: Cannot assign requested address\n")


@root_only
@pytest.mark.rules("L3")
@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:0", "udp6://[::1]:0"])
def test_a_listener_is_bound_to_a_device(uri):
    assert getsockopt(f"{uri}?device=lo", SOCKET, socket.SO_BINDTODEVICE) == b"lo"
    assert getsockopt(uri, SOCKET, socket.SO_BINDTODEVICE) == b""


@pytest.mark.rules("L3", "E1")
@pytest.mark.parametrize("kind", ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix:@", "unixgram:@"])
@pytest.mark.parametrize("query, nonblock", [("", 0), ("?nonblock=0", 0), ("?nonblock=1", 1)])
def test_a_listener_blocks_unless_asked_otherwise(kind, query, nonblock, socket_dir):
    uri = f"{kind}{socket_dir}" if kind.endswith("@") else kind
    told = json.loads(output_of(uri + query, PROBE))
    assert bool(told["flags"] & os.O_NONBLOCK) == nonblock


def somaxconn():
    with open("/proc/sys/net/core/somaxconn") as file:
        return int(file.read())


@pytest.mark.rules("L3")
@pytest.mark.parametrize("backlog", [None, 1, 77, 2147483647])
@pytest.mark.parametrize("host", ["tcp://127.0.0.1:0", "tcp6://[::1]:0"])
def test_the_backlog_of_tcp_is_as_asked_or_the_maximum(backlog, host):
    uri = host if backlog is None else f"{host}?backlog={backlog}"
    # Of a listener, tcpi_sacked is the backlog: the sixth number after eight bytes.
    told = json.loads(output_of(uri, PROBE, f"{TCP}:{socket.TCP_INFO}"))["found"][0]
    info = bytes.fromhex(told).ljust(32, b"\0")
    wanted = somaxconn() if backlog is None else min(backlog, somaxconn())
    assert int.from_bytes(info[28:32], sys.byteorder) == wanted


@pytest.mark.rules("L3")
@pytest.mark.parametrize("kind", ["unix", "unixpacket"])
@pytest.mark.parametrize("backlog", [1, 77])
def test_the_backlog_of_unix_sockets_is_as_asked(kind, backlog, socket_dir):
    uri = f"{kind}://{socket_dir}/s"
    assert output_of(f"{uri}?backlog={backlog}", COUNT_BACKLOG) == str(backlog)


# --- for as long as the master lives -------------------------------------------------------------


@pytest.mark.rules("L5")
def test_every_listener_is_open_before_a_worker_is_started(socket_dir):
    strace = Strace(socket_dir, "-e", "trace=listen,bind,/clone3?")
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/s", "udp://127.0.0.1:0"]
    run(*[f"-listen={uri}" for uri in uris], "-start=0", "/bin/true", starter=strace.words)
    names = [call.partition("(")[0] for call in strace.calls]
    first = min(i for i, name in enumerate(names) if name.startswith("clone"))
    assert names[:first].count("bind") == 3 and names[:first].count("listen") == 2
    assert not {"bind", "listen"} & set(names[first:])


@pytest.mark.rules("L6")
def test_listeners_are_the_same_after_twenty_reloads(socket_dir, master):
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/s", "udp://127.0.0.1:0", "tcp6://[::1]:0"]
    one = master(listen=uris, start=0)

    def sockets(pid):
        return [link for _, link in sorted(procfs.fds(pid).items()) if link.startswith("socket:")]

    worker = one.wait_ready(1)
    first, file = sockets(worker), (socket_dir / "s").stat().st_ino
    assert len(first) == 4 and set(first) <= set(one.fds.values())
    addresses = one.addresses
    for generation in range(2, 22):
        assert one.reload() == generation
        worker = one.wait_ready(generation)
        wait_only(one, worker)
        assert f"SOCKETMASTER_GENERATION={generation}" in one.get("/env").lines
        given = [words.rpartition("=")[2] for _, words in sorted(descriptors(one).items())]
        assert given[3:] == first
        env = one.get("/env", addresses[1]).lines
        for i, uri in enumerate(addresses):
            assert f"SOCKETMASTER_ADDR_{i}={uri}" in env
    assert set(first) <= set(one.fds.values()) and len(one.said("listening")) == 4
    assert (socket_dir / "s").stat().st_ino == file


@pytest.mark.rules("L6")
@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:0", "tcp6://[::1]:0", "unix://{dir}/s"])
def test_connections_wait_while_nobody_accepts(uri, socket_dir, master):
    notes = Notes(socket_dir)
    one = master(listen=uri.format(dir=socket_dir), server=[notes.option])
    old = notes.wait_start(1)
    one.wait_ready(1)
    os.kill(old, SIGSTOP)
    waiting = [one.connect() for _ in range(10)]
    for connected in waiting:
        connected.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    one.hup()
    one.wait_log(says("rollout_done", generation=2))
    for connected in waiting:
        with connected:
            assert b"generation=2" in connected.recv(65536)
    os.kill(old, SIGCONT)
    wait_only(one, one.wait_ready(2))
