"""The tools of the tests: the load program, the harness's reading of logs, the syslog daemon."""

import json
import re
import socket
import subprocess
import threading

import harness
import pytest
from direct import Served
from harness import Load, eventually
from masterlog import parse_line, says

pytestmark = pytest.mark.fixture

# --- the load program ----------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
ANSWERS = [
    ("ok", HEAD + b"\r\nfour"),
    ("empty", b""),
    ("short", HEAD + b"\r\nfou"),
    ("short", HEAD),
    ("wrong", HEAD + b"\r\nfours"),
    ("wrong", b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nfour"),
    ("wrong", b"HTTP/1.1 200 OK\r\n\r\nfour"),
    ("wrong", b"hello\r\n\r\n"),
    ("reset", None),
    ("timeout", "hang"),
]


def answer_badly(listener, answer):
    """Accepts one after the other and answers each with these bytes, until it is shut down."""
    kept = []
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:
            break
        if answer is None:
            # Closing with the request unread, and without waiting, resets.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connected.close()
        elif answer == "hang":
            kept.append(connected)
        else:
            with connected:
                connected.recv(65536)
                connected.sendall(answer)
    for connected in kept:
        connected.close()


@pytest.mark.parametrize("outcome, answer", ANSWERS)
def test_load_tells_what_went_wrong(outcome, answer, tcp):
    listener, uri = tcp
    listener.listen(100)
    thread = threading.Thread(target=answer_badly, args=(listener, answer))
    thread.start()
    try:
        command = [harness.LOAD, f"--target={uri}", "--requests=3", "--timeout-ms=200"]
        found = subprocess.run([*command, "--threads=1"], capture_output=True, text=True)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert found.returncode == (0 if outcome == "ok" else 1), found.stdout
    assert found.stdout.startswith("3 requests" if outcome == "ok" else "0 requests")
    failed = "failed: 0\n" if outcome == "ok" else f"failed: 3, {outcome} 3; first: {outcome}: "
    assert failed in found.stdout


def test_load_tells_that_nobody_listens(tcp):
    tcp[0].close()
    with Load(tcp[1]) as load:
        eventually(lambda: load.failed, what="a refusal")
    assert load.result["refused"] == load.result["failed"] > 0
    assert "refused: connect" in load.result["first_failure"]
    with pytest.raises(AssertionError):
        load.assert_lossless()


def test_load_counts_requests_connections_and_workers(tcp):
    with Served([tcp[0]], env={"SOCKETMASTER_GENERATION": "5"}) as server:
        server.wait_answering(tcp[1])
        command = [harness.LOAD, f"--target={tcp[1]}", "--requests=100", "--json"]
        found = subprocess.run([*command, "--keepalive=10", "--threads=1"], capture_output=True)
        result = json.loads(found.stdout)
        assert (result["ok"], result["connections"], result["failed"]) == (100, 10, 0)
        assert result["workers"] == [{"pid": server.pid, "generation": 5, "count": 100}]
        assert 0 < result["p50_us"] <= result["p99_us"] <= result["max_us"] * 1.02


# --- the harness ---------------------------------------------------------------------------------

SAID = [
    (
        "listening on tcp://127.0.0.1:43210 as descriptor 3",
        says("listening"),
        {"address": "tcp://127.0.0.1:43210", "fd": "3", "name": None},
    ),
    (
        "listening on unix:///a as descriptor 4 named web",
        says("listening", fd=4),
        {"address": "unix:///a", "fd": "4", "name": "web"},
    ),
    (
        "generation 2: worker 77 (slot 0) ready after 12 ms",
        says("ready", generation=2),
        {"generation": "2", "pid": "77", "slot": "0", "ms": "12"},
    ),
    ("generation 2: worker 77 (slot 0) ready after 12 ms", says("ready", generation=1), None),
    (
        "generation 1: worker 7 (slot 1) retired: HUP sent",
        says("retired", signal="HUP"),
        {"generation": "1", "pid": "7", "slot": "1", "signal": "HUP"},
    ),
    ("generation 1: worker 7 (slot 1) retired: HUP sent", says("retired", signal="TERM"), None),
    (
        "generation 1: worker 7 (slot 0) ended: killed by KILL after 3 ms, unasked",
        says("ended"),
        {"status": None, "signal": "KILL", "unasked": ", unasked", "pid": "7"},
    ),
    (
        "generation 1: worker 7 (slot 0) ended: exit status 3 after 3 ms",
        says("ended", status=3),
        {"status": "3", "signal": None, "unasked": None},
    ),
]


@pytest.mark.parametrize("text, pattern, fields", SAID)
def test_patterns_match_what_is_said(text, pattern, fields):
    found = re.search(pattern, text)
    assert (found is None) == (fields is None)
    assert fields is None or fields.items() <= found.groupdict().items()


LINES = [
    (b"socketmaster[12] 2026/11/23 09:23:31 text", (12, 0, "text")),
    (b"socketmaster[12] 2026/11/23 09:23:31 [34] text", (12, 34, "text")),
    (b"socketmaster[12] 2026/11/23 09:23:31 [34] ", (12, 34, "")),
    (b'{"time": "x", "pid": 12, "worker": 34, "message": "text"}', (12, 34, "text")),
    (b"anything else", (0, 0, "anything else")),
]


@pytest.mark.parametrize("raw, parts", LINES)
def test_lines_of_the_log_have_parts(raw, parts):
    line = parse_line(raw)
    assert (line.master, line.worker, line.text) == parts


MEMCHECK = """\
==7== Memcheck, a memory error detector
==7== Invalid read of size 1
==7==    at 0x10: main (x.c:1)
==7== FILE DESCRIPTORS: 5 open (3 std) at exit.
==7== Open file descriptor 4: /tmp/x
==7==    at 0x10: open (x.c:2)
==7== Open AF_INET socket 3: 127.0.0.1:1 <-> unbound
==7==    <inherited from parent>
==7== 5 bytes in 1 blocks are definitely lost in loss record 1 of 1
==7==    definitely lost: 0 bytes in 0 blocks
"""


def test_memcheck_reports_are_understood():
    def words(errors_only):
        return [line.split()[1] for line in harness.valgrind_complaints(MEMCHECK, errors_only)]

    assert words(errors_only=False) == ["Invalid", "Open", "5"]
    assert words(errors_only=True) == ["Invalid"]


# --- the syslog daemon ---------------------------------------------------------------------------


def test_syslogd_can_be_stalled_and_restarted(syslogd):
    def send(text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(syslogd.path)
            sender.send(b"<30>" + text)

    send(b"one")
    assert syslogd.wait_message("^one$")
    assert (syslogd.messages[0].facility, syslogd.messages[0].severity) == (3, 6)
    syslogd.stall()
    with pytest.raises(BlockingIOError):
        while True:
            send(b"too much")
    syslogd.resume()
    assert syslogd.wait_message("too much")
    syslogd.close()
    with pytest.raises(FileNotFoundError):
        send(b"nobody")
    syslogd.reopen()
    send(b"two")
    assert syslogd.wait_message("^two$")
