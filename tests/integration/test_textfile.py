"""-textfile: a file of counters that is whole at every moment, and changes with what happens."""

import os
import re
import stat
import threading
from signal import SIGKILL

import pytest
from control import Control
from harness import SERVER, eventually, run
from masterlog import says
from starter import circumstances
from test_idle import assert_at_rest
from words import root_only

_VALUE = re.compile(r"^(\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def read(path):
    """The counters of the file, by name; empty where there is none."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    # What is not whole ends earlier.
    assert re.search(r"^socketmaster_log_lines_lost_total \d+\n\Z", text, re.MULTILINE), text
    return dict(_VALUE.findall(text))


def wait_value(path, name, value):
    return eventually(
        lambda: read(path).get(f"socketmaster_{name}") == str(value), what=f"{name} {value}"
    )


@pytest.fixture
def path(socket_dir):
    return socket_dir / "metrics.prom"


@pytest.mark.rules("K5")
@pytest.mark.parametrize("control", [False, True])
def test_the_file_follows_what_happens(control, path, socket_dir, master):
    options = [f"-control={socket_dir}/control"] if control else []
    one = master(f"-textfile={path}", *options, starter=circumstances(umask=0o077))
    wait_value(path, "rollouts_done_total", 1)
    # Whoever collects it is another user.
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    one.reload()
    wait_value(path, "workers_ended_total", 1)
    assert read(path)["socketmaster_generation"] == "2"
    one.get("/log?lines=10&bytes=50")
    wait_value(path, "log_lines_total", 10)
    assert one.stop() == 0
    # It tells how it ended, and stays.
    assert read(path)["socketmaster_workers_ended_total"] == "2"
    names = {entry.name for entry in socket_dir.iterdir()}
    assert names == {path.name}


@pytest.mark.rules("K5", "O2")
def test_a_master_at_rest_leaves_the_file_alone(path, socket_dir, master, load):
    control = socket_dir / "control"
    one = master(f"-textfile={path}", f"-control={control}")
    one.wait_ready(1)
    one.reload()
    wait_value(path, "workers_ended_total", 1)
    before = path.stat()
    assert_at_rest(one, load)
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    # Nor is it anything that happens when somebody asks.
    with Control(control) as client:
        first = client.status()["time"]
        eventually(lambda: client.status()["time"] >= first + 2, what="two seconds", interval=0.1)
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    one.reload()
    wait_value(path, "workers_ended_total", 2)
    assert path.stat().st_ino != before.st_ino


@pytest.mark.rules("K5", "R9")
def test_the_file_is_whole_at_every_moment(path, master):
    one = master(f"-textfile={path}", "-workers=4", start=0)
    wait_value(path, "rollouts_done_total", 1)
    failures, versions, stopping = [], set(), threading.Event()

    def look():
        while not stopping.is_set():
            try:
                versions.add(read(path)["socketmaster_rollouts_total"])
            except (AssertionError, KeyError) as failure:
                failures.append(failure)
                return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for generation in range(2, 5):
            one.reload()
            wait_value(path, "generation", generation)
    finally:
        stopping.set()
        looking.join()
    assert not failures, failures
    # Many things happen at once, and the file is written once.
    assert len(versions) > 1


@pytest.mark.rules("K5", "R9", "O6")
@root_only
def test_a_file_that_cannot_be_written_costs_one_line(socket_dir, master):
    place = socket_dir / "place"
    path = place / "metrics.prom"
    one = master(f"-textfile={path}")
    unable = f"^unable to write .*{re.escape(str(path))}"
    one.wait_log(f"{unable}.*: No such file or directory$")
    one.wait_ready(1)
    for _ in range(3):
        one.reload()
    assert one.wait_serving()
    place.mkdir()
    one.reload()
    wait_value(path, "generation", 5)
    assert len(one.log.find_all(unable)) == 1
    # What fails anew is told anew.
    path.unlink()
    path.mkdir()
    since = len(one.log)
    one.reload()
    one.wait_log(unable, since=since)
    assert one.stop() == 0
    assert len(one.log.find_all(unable)) == 2
    assert os.listdir(place) == [path.name]


@pytest.mark.rules("K5")
def test_a_crash_of_a_worker_is_counted(path, master):
    one = master(f"-textfile={path}", "-respawn")
    pid = one.wait_ready(1)
    wait_value(path, "workers_ready_total", 1)
    os.kill(pid, SIGKILL)
    one.wait_log(says("ended", pid=pid))
    wait_value(path, "workers_crashed_total", 1)
    wait_value(path, "workers_replaced_total", 1)


@pytest.mark.rules("K5", "C5", "C7")
def test_the_path_is_absolute_and_check_writes_nothing(path, socket_dir):
    for wrong in ("metrics.prom", ""):
        done = run(f"-textfile={wrong}", "-check", "--", SERVER)
        assert done.status == 2 and "-textfile" in done.stderr, done
    done = run(f"-textfile={path}", "-listen=tcp://127.0.0.1:0", "-check", "--", SERVER)
    assert done.status == 0, done
    assert list(socket_dir.iterdir()) == []
