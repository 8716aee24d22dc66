"""Servers that nobody here wrote, as their distribution installs them, reloaded under load.

gunicorn, uvicorn and node have to be there. Others are tested where they are installed.
"""

import os
import shutil
from dataclasses import dataclass

import pytest
from harness import REPOSITORY, eventually
from masterlog import says
from workers import wait_only

APPS = REPOSITORY / "tests/fixtures/apps"
# Some servers live where a plain user's PATH does not lead.
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

RELOADS = 5
LAST = 1 + RELOADS
# Milliseconds: until it accepts, each of these servers needs half of that at most.
START = 1000
PATIENT = 30.0  # seconds, for servers that drain at their leisure
ANSWERS = 200  # before the next reload is asked for


@dataclass(frozen=True)
class Server:
    """How a server is run. {dir} in its words is a directory of the test's own."""

    command: list
    options: tuple = ()
    listen: str = "tcp://127.0.0.1:0"
    stop_signal: str = "TERM"
    keepalive: int = 1  # requests a connection


def case(name, rules, server, optional=None):
    """A row of the table below. optional: a program without which the row is skipped."""
    absent = bool(optional and not shutil.which(optional, path=PATH))
    skip = pytest.mark.skipif(absent, reason=f"{optional} is not installed")
    return pytest.param(server, id=name, marks=[pytest.mark.rules(*rules), skip])


GUNICORN = ["gunicorn", f"--chdir={APPS}", "wsgi"]
# What the application does to stop accepting needs asyncio's own loop.
UVICORN = ["uvicorn", f"--app-dir={APPS}", "--loop=asyncio", "--no-access-log", "asgi:application"]
NODE = ["node", str(APPS / "server.js")]
NGINX = ["sh", str(APPS / "nginx.sh"), "{dir}"]
HAPROXY = ["haproxy", "-db", "-f", str(APPS / "haproxy.cfg")]

SERVERS = [
    case("gunicorn by LISTEN_FDS", ["E3"], Server(GUNICORN)),
    case(
        "gunicorn by number",
        ["E1", "E2"],
        # Told the number and LISTEN_FDS, it takes the same socket twice and dies.
        Server([*GUNICORN, "--bind=fd://3"], ["-env=einhorn"]),
    ),
    # Only by LISTEN_FDS does it leave the socket file alone.
    case("gunicorn at a path", ["E3"], Server(GUNICORN, listen="unix://{dir}/socket")),
    case("uvicorn", ["E1"], Server([*UVICORN, "--fd=3"])),
    case("node", ["E1"], Server(NODE, keepalive=10)),
    case(
        "nginx",
        ["E4", "E5", "L3"],
        # One of its processes can hang in accept where the listener blocks.
        Server(NGINX, ["-env=nginx"], "tcp4://127.0.0.1:0?nonblock=true", "QUIT"),
        optional="nginx",
    ),
    case("haproxy", ["E1"], Server(HAPROXY, stop_signal="USR1"), optional="haproxy"),
]


def wait_answering(master, generation):
    """Waits until this generation answers."""

    def answers():
        return int(master.wait_serving().fields["generation"]) == generation

    eventually(answers, PATIENT, f"an answer of generation {generation}")


@pytest.mark.heavy
@pytest.mark.rules("L6", "R2", "R3", "R8")
@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_is_reloaded_under_load_without_loss(server, socket_dir, master, load):
    one = master(
        f"-stop-signal={server.stop_signal}",
        *server.options,
        listen=server.listen.format(dir=socket_dir),
        start=START,
        command=[word.format(dir=socket_dir) for word in server.command],
        env={"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    workers = [one.wait_ready(1)]
    wait_answering(one, 1)
    asking = load(one.address, threads=4, keepalive=server.keepalive)
    for generation in range(2, LAST + 1):
        asking.wait_answered(ANSWERS, PATIENT)
        assert one.reload(PATIENT) == generation
        workers.append(one.wait_ready(generation))
        ended = one.wait_log(says("ended", pid=workers[-2]), PATIENT)
        assert not ended["unasked"]
        wait_only(one, workers[-1])
        # The next one is started when this one is known to serve, however slow the machine.
        wait_answering(one, generation)
    asking.wait_answered(ANSWERS, PATIENT)
    asking.assert_lossless(LAST * ANSWERS)

    assert asking.generations == set(range(1, LAST + 1))
    who = asking.result["workers"]
    old = {answerer["pid"] for answerer in who if answerer["generation"] != LAST}
    assert len(old) >= RELOADS
    assert not old.intersection(one.leftovers)
    assert [int(retired["pid"]) for retired in one.said("retired")] == workers[:-1]
    assert one.stop(deadline=PATIENT) == 0
    assert not one.leftovers
