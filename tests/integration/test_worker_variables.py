"""The variables by which a worker learns about its sockets, and those that are kept from it."""

import pytest
from harness import eventually
from masterlog import says
from world import generations, variables

PRIVATE = (
    "EINHORN_",
    "LISTEN_",
    "NOTIFY_",
    "WATCHDOG_",
    "SERVER_STARTER_",
    "SOCKETMASTER_",
    "NGINX",
)
THREE = ["tcp4://127.0.0.1:0?name=web", "unix://{dir}/s", "unixpacket:@{dir}?name=b"]


def own_variables(one, generation):
    return {
        "SOCKETMASTER_PID": str(one.pid),
        "SOCKETMASTER_GENERATION": str(generation),
        **{f"SOCKETMASTER_ADDR_{i}": address for i, address in enumerate(one.addresses)},
    }


def einhorn(count):
    numbers = [str(3 + i) for i in range(count)]
    return {
        "EINHORN_FDS": " ".join(numbers),
        "EINHORN_FD_COUNT": str(count),
        **{f"EINHORN_FD_{i}": number for i, number in enumerate(numbers)},
    }


# Family -> its variables but for EINHORN_CHILD_INDEX, by the number of listeners, the worker's
# pid, the generation and the addresses for SERVER_STARTER_PORT.
FAMILIES = {
    "einhorn": lambda count, pid, generation, starter: einhorn(count),
    "systemd": lambda count, pid, generation, starter: {
        "LISTEN_FDS": str(count),
        "LISTEN_PID": str(pid),
        "LISTEN_FDNAMES": ":".join(["web", "unknown", "b"][:count]),
    },
    "systemd-nopid": lambda count, pid, generation, starter: {
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": ":".join(["web", "unknown", "b"][:count]),
    },
    "starter": lambda count, pid, generation, starter: {
        "SERVER_STARTER_PORT": ";".join(f"{name}={3 + i}" for i, name in enumerate(starter)),
        "SERVER_STARTER_GENERATION": str(generation),
    },
    "nginx": lambda count, pid, generation, starter: {
        "NGINX": "".join(f"{3 + i};" for i in range(count))
    },
}

ASKED = [
    (None, ["einhorn", "systemd"]),
    ("", []),
    ("einhorn", ["einhorn"]),
    ("systemd", ["systemd"]),
    ("systemd-nopid", ["systemd-nopid"]),
    ("starter", ["starter"]),
    ("nginx", ["nginx"]),
    ("nginx,systemd-nopid", ["nginx", "systemd-nopid"]),
    ("nginx,starter,systemd,einhorn", ["nginx", "starter", "systemd", "einhorn"]),
]


@pytest.mark.rules("E2", "E3", "E4", "E5", "E6")
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("asked, families", ASKED)
def test_variables_tell_about_the_listeners(asked, families, count, socket_dir, master):
    options = [] if asked is None else [f"-env={asked}"]
    one = master(*options, listen=[uri.format(dir=socket_dir) for uri in THREE][:count])
    for generation, worker in enumerate(generations(one), 1):
        host, *paths = one.addresses
        names = [host.removeprefix("tcp4://"), str(socket_dir / "s"), f"@{socket_dir}"][:count]
        expected = own_variables(one, generation)
        for family in families:
            expected |= FAMILIES[family](count, worker, generation, names)
        if "einhorn" in families:
            expected["EINHORN_CHILD_INDEX"] = one.said("ready", pid=worker)[0]["slot"]
        assert {n: v for n, v in variables(one).items() if n.startswith(PRIVATE)} == expected


STARTER_PORTS = [
    ("tcp://:0", "{port}"),
    ("tcp4://:0", "{port}"),
    ("tcp6://:0", "{port}"),
    ("tcp://[::1]:0", "[::1]:{port}"),
    ("tcp://127.0.0.1:0", "127.0.0.1:{port}"),
    ("unix://{dir}/a%20b", "{dir}/a b"),
    ("unix:@{dir}%20x", "@{dir} x"),
]


@pytest.mark.rules("E4")
@pytest.mark.parametrize("uri, name", STARTER_PORTS)
def test_server_starter_finds_its_address(uri, name, socket_dir, master):
    one = master("-env=starter", listen=uri.format(dir=socket_dir), server=["--from=starter"])
    one.wait_ready(1)
    port = one.address.rpartition(":")[2]
    expected = name.format(dir=socket_dir, port=port) + "=3"
    assert variables(one)["SERVER_STARTER_PORT"] == expected


@pytest.mark.rules("E2", "E3", "E4")
@pytest.mark.parametrize(
    "asked, how",
    [
        ("einhorn", "einhorn"),
        ("einhorn", "einhorn-fds"),
        ("systemd", "systemd"),
        ("systemd-nopid", "systemd-nopid"),
        ("starter", "starter"),
        ("nginx", "nginx"),
        ("", "fd"),
    ],
)
def test_a_server_of_each_family_is_served(asked, how, socket_dir, master):
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/s"][: 1 if how == "fd" else 2]
    one = master(f"-env={asked}", listen=uris, server=[f"--from={how}"])
    for worker in generations(one):
        assert [one.get("/", address).pid for address in one.addresses] == [worker] * len(uris)


@pytest.mark.rules("E2")
def test_the_slot_is_the_lowest_that_is_free(master):
    one = master(server=["--drain-timeout=60000"])
    one.wait_ready(1)
    assert variables(one)["EINHORN_CHILD_INDEX"] == "0"
    with one.connect() as held:
        held.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert held.recv(1000)
        one.reload()
        eventually(lambda: variables(one)["EINHORN_CHILD_INDEX"] == "1", what="slot 1")
    one.wait_log(says("ended", generation=1))
    one.reload()
    one.wait_log(says("ended", generation=2))
    assert variables(one)["EINHORN_CHILD_INDEX"] == "0"


# Values that the master is started with; a worker may have some of the names, with others.
STRIPPED = {
    "EINHORN_FDS": "9",
    "EINHORN_FD_COUNT": "9",
    "EINHORN_FD_8": "9",
    "EINHORN_MASTER_PID": "9",
    "EINHORN_SOCK_PATH": "/nowhere",
    "EINHORN_SOCK_FD": "9",
    "EINHORN_ANYTHING": "",
    "LISTEN_PID": "9",
    "LISTEN_FDS": "9",
    "LISTEN_FDNAMES": "nine",
    "LISTEN_PIDFDID": "9",
    "LISTEN_FDS_FIRST_FD": "9",
    "NOTIFY_SOCKET": "/nowhere",
    "NOTIFY_FD": "9",
    "WATCHDOG_USEC": "9",
    "WATCHDOG_PID": "9",
    "SERVER_STARTER_PORT": "9=9",
    "SERVER_STARTER_GENERATION": "9",
    "NGINX": "9;",
    "SOCKETMASTER_PID": "9",
    "SOCKETMASTER_GENERATION": "9",
    "SOCKETMASTER_ADDR_0": "nine",
    "SOCKETMASTER_ADDR_9": "nine",
    "SOCKETMASTER_LATER": "/nowhere",
}
KEPT = {
    "PLAIN": "1",
    "EMPTY": "",
    "BYTES": "\udcff\x1b=",
    "NGINX_VERSION": "1",
    "EINHORN": "1",
    "LISTENERS": "1",
    "WATCHDOG": "1",
    "XLISTEN_FDS": "1",
    "listen_fds": "1",
    "HOME": "/home/of/the/tester",
}


@pytest.mark.rules("E2", "E3", "E4", "E6")
@pytest.mark.parametrize("asked", ["", "einhorn,systemd,starter,nginx"])
def test_what_was_meant_for_the_master_stays_there(asked, master):
    one = master(f"-env={asked}", env=STRIPPED | KEPT)
    for worker in generations(one):
        expected = own_variables(one, 0) | KEPT
        for family in filter(None, asked.split(",")):
            expected |= FAMILIES[family](1, worker, 0, ["x"])
        found = variables(one)
        assert {name for name in found if name.startswith(PRIVATE)} - KEPT.keys() <= (
            expected.keys() | {"EINHORN_CHILD_INDEX"}
        )
        assert KEPT.items() <= found.items()
        assert not STRIPPED.items() & found.items()
