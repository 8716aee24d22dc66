"""What the status tells of a real master: queues, drainers, rollouts, and the file of metrics."""

import os
import re
import socket
import stat
import sys

import pytest
from ctl import DONE, REFUSED
from harness import SERVER, eventually

STUBBORN = """
import signal
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print("set")
while True:
    signal.pause()
"""
FAILS = r"printf 'opening the database\nno such table: \033[31musers\n'; exit 3"
START = 1000  # milliseconds: it has failed by then


@pytest.mark.rules("K5", "L6")
def test_a_full_queue_is_seen(ctl):
    """Nobody accepts: of the clients some wait, and the others are counted."""
    one = ctl(listen="tcp://127.0.0.1:0?backlog=2&name=web", command=["sleep", "600"])

    def listener():
        return one.status()["listeners"][0]

    before = listener()
    assert (before["name"], before["waiting"], before["limit"], before["overflows"]) == ("web", 0, 2, 0)
    port = int(before["address"].rpartition(":")[2])
    clients = [socket.socket() for _ in range(6)]
    try:
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        eventually(lambda: listener()["overflows"] > 0)
        assert listener()["waiting"] == 3  # one more than the limit
        label = re.escape(f'{{listener="0",address="{before["address"]}",name="web"}}')
        metrics = one("metrics").stdout
        assert re.search(rf"^socketmaster_listener_waiting{label} 3$", metrics, re.M)
        assert re.search(rf"^socketmaster_listener_overflows_total{label} [1-9]", metrics, re.M)
        assert re.search(r"^tcp://127\.0\.0\.1:\d+ \(web\) +3 +2 +[1-9]", one("status").stdout, re.M)
    finally:
        for client in clients:
            client.close()


@pytest.mark.rules("K5", "R8")
def test_who_is_draining_and_until_when(ctl):
    one = ctl("-stop=600000", "-stop-signal=USR1", command=[sys.executable, "-uc", STUBBORN])
    one.master.wait_output("set")
    (old,) = one.master.workers
    assert one("reload", "-wait").status == DONE
    workers = {worker["pid"]: worker for worker in one.status()["workers"]}
    assert workers[old]["state"] == "draining" and workers[old]["generation"] == 1
    assert 0 < workers[old]["kill_in_ms"] <= 600000
    new = next(worker for pid, worker in workers.items() if pid != old)
    assert (new["state"], new["kill_in_ms"]) == ("ready", None)
    row = next(line for line in one("status").stdout.splitlines() if f" {old} " in line)
    assert re.search(r" draining .* KILL in 9m\d\ds$", row)


@pytest.mark.rules("K5", "R7", "I10")
def test_why_the_last_rollout_failed(ctl):
    one = ctl(start=START)
    done = one("reload", "-wait", "--", "/bin/sh", "-c", FAILS)
    assert done.status == REFUSED
    status = one.status()
    assert (status["generation"], status["latest_generation"], status["phase"]) == (1, 2, "serving")
    why = status["rollout"]["why"]
    assert (status["rollout"]["result"], why["failure"]) == ("failed", "ended")
    assert why["output"] == "opening the database\nno such table: \x1b[31musers"
    assert "exit status 3" in why["message"]
    assert status["counters"]["rollouts_failed"] == 1
    assert status["command"][0] == SERVER
    table = one("status").stdout
    assert "        opening the database\n        no such table: ?[31musers\n" in table


@pytest.mark.rules("K5", "I9")
def test_the_file_of_metrics_is_whole_and_changes_with_what_happens(ctl, socket_dir):
    path = socket_dir / "m.prom"
    path.write_text("half a metr")
    one = ctl(f"-textfile={path}")

    def generation():
        found = re.search(r"^socketmaster_generation (\d+)$", path.read_text(), re.M)
        return found and int(found[1])

    eventually(lambda: generation() == 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    written = path.stat().st_ino
    assert one("status").status == DONE  # nothing happens by that
    assert path.stat().st_ino == written
    assert one("reload", "-wait").status == DONE
    eventually(lambda: generation() == 2)
    assert path.read_text().endswith("\n") and path.stat().st_ino != written
    assert [name for name in os.listdir(socket_dir) if name.startswith("m.prom")] == ["m.prom"]


@pytest.mark.rules("K2", "E1")
def test_the_state_of_a_real_master(ctl):
    yaml = pytest.importorskip("yaml")
    one = ctl("-workers=2")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(one.path))
        client.sendall(b'{"command": "state"}\n')
        reply = yaml.safe_load(client.makefile().readline())

    class RubysLoader(yaml.SafeLoader):
        pass

    RubysLoader.add_constructor("!ruby/object:Set", lambda loader, node: set())
    state = yaml.load(reply["message"], RubysLoader)[":state"]
    assert sorted(state[":children"]) == sorted(one.master.workers)
    assert {child[":index"] for child in state[":children"].values()} == {0, 1}
    assert all(child[":acked"] for child in state[":children"].values())
    assert state[":config"][":number"] == 2 and state[":bind_fds"] == [3]
    assert state[":socket_path"] == str(one.path)
