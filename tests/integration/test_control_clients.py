"""Clients of the control socket that behave badly, or are many, and what that may cost: nothing.

Whatever they do, reloads by signal go on under load without loss, the others are served, and TERM
ends the master at once.
"""

import contextlib
import json
import re
import select
import socket
import threading

import pytest
from control import Control, status, tell
from harness import PATIENCE, eventually
from puppets import Puppet, command
from test_idle import assert_at_rest
from workers import wait_only

SLOTS = 32
LINE_MAX = 65536
MEBIBYTE = 1 << 20


class Bad:
    """Does something to the socket again and again, in a thread, until it is told to stop."""

    def __init__(self, act, path):
        self.times = 0
        self.failure = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, args=(act, path), daemon=True)
        self._thread.start()

    def _run(self, act, path):
        try:
            for _ in act(path):
                self.times += 1
                if self._stopping:
                    return
        except (ConnectionError, FileNotFoundError):
            pass  # it was thrown out, or the master has ended
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self._stopping = True
        self._thread.join(20 * PATIENCE)
        assert not self._thread.is_alive() and not self.failure, self.failure


def connected(path):
    client = socket.socket(socket.AF_UNIX)
    # One that has a deadline would not wait for a place in the queue.
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    client.settimeout(10 * PATIENCE)
    return client


def flood_requests(path):
    """Asks without end, and reads nothing."""
    with connected(path) as client:
        client.setblocking(False)
        while True:
            with contextlib.suppress(BlockingIOError):
                client.send(b"command: status%0Aargs: [json]\n" * 100)
            yield


def flood_answers(path):
    """Asks without end, and reads all."""
    with Control(path) as client:
        while True:
            client.send(b"command: state\n" * 20)
            for _ in range(20):
                client.line()
            yield


def megabytes(path):
    """Sends what has no newline, and begins anew when it is thrown out."""
    while True:
        with connected(path) as client, contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(64):
                client.sendall(b"x" * MEBIBYTE)
                yield
        yield


def dribble(path):
    """A byte at a time."""
    while True:
        with connected(path) as client:
            for byte in b'{"command": "ehlo"}':
                client.send(bytes([byte]))
                yield


def come_and_go(path):
    """Connects, and leaves in the middle of a word, or before an answer."""
    while True:
        for said in (b"", b'{"command": "st', b'{"command": "state"}\n' * 3):
            with connected(path) as client:
                client.send(said)
            yield


def nonsense(path):
    """Lines of every byte, and errors that are not read."""
    with connected(path) as client:
        client.setblocking(False)
        while True:
            with contextlib.suppress(BlockingIOError):
                client.send(bytes(range(256)) + b"\n" + b"[" * 1000 + b"\n" + b"&a *a\n")
            yield


def deaf_follower(path):
    """Follows the log and asks for counters, and reads neither."""
    with connected(path) as client, connected(path) as other:
        client.send(b"command: logs\n")
        other.setblocking(False)
        while True:
            with contextlib.suppress(BlockingIOError):
                other.send(b"command: metrics\n" * 100)
            yield


BAD = [flood_requests, flood_answers, megabytes, dribble, come_and_go, nonsense, deaf_follower]


@pytest.mark.rules("K4", "L6", "R10")
@pytest.mark.parametrize("act", BAD, ids=lambda act: act.__name__)
def test_bad_clients_delay_nothing(act, controlled, load):
    one, path = controlled()
    clients = load(one.address, pause_us=500)
    bad = [Bad(act, path) for _ in range(4)]
    for generation in range(2, 6):
        assert one.reload() == generation
        clients.wait_answered(20)
        eventually(lambda: all(b.times for b in bad), what="them")
        # Who behaves is served meanwhile.
        assert tell(path, "ehlo").startswith("Welcome")
    for b in bad:
        b.stop()
    clients.assert_lossless(at_least=80)
    assert status(path)["generation"] == 5
    assert one.stop() == 0


@pytest.mark.rules("K4", "O2")
@pytest.mark.heavy  # and the sanitizers' own memory would count
def test_as_many_bad_clients_as_there_are_slots_cost_at_most_4_mb(controlled):
    one, path = controlled()
    before = one.rss_kb
    bad = [Bad(act, path) for act in BAD for _ in range(SLOTS // len(BAD))]
    for generation in range(2, 12):
        assert one.reload() == generation
        assert one.rss_kb - before < 4096
    for b in bad:
        assert b.times > 0
        b.stop()
    assert one.stop() == 0


@pytest.mark.rules("K4", "R10")
@pytest.mark.parametrize("act", BAD, ids=lambda act: act.__name__)
def test_bad_clients_delay_no_stop(act, controlled):
    one, path = controlled()
    bad = [Bad(act, path) for _ in range(4)]
    eventually(lambda: all(b.times for b in bad), what="them")
    one.term()
    assert one.wait_exit() == 0
    assert not path.exists()
    for b in bad:
        b.stop()


# --- long lines ----------------------------------------------------------------------------------


@pytest.mark.rules("K1", "K4")
@pytest.mark.parametrize("length", [LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, 10 * LINE_MAX])
def test_a_line_of_more_than_64_kib_gets_an_error_and_the_end(length, controlled):
    _, path = controlled()
    line = b'{"command": "ehlo", "user": "'.ljust(length - 2, b"u") + b'"}'
    assert len(line) == length
    with Control(path) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(line + b"\ncommand: ehlo\n")
        reply = client.reply()
        if length <= LINE_MAX:
            assert reply["message"].startswith("Welcome, uuuuu")
            assert client.reply()["message"].startswith("Welcome!")
        else:
            assert reply["error"] is True and "longer than 65536 bytes" in reply["message"], reply
            assert client.ended()


@pytest.mark.rules("K1", "K4")
def test_a_line_that_unescapes_to_little_is_measured_as_it_comes(controlled):
    _, path = controlled()
    with Control(path) as client:
        client.send(b"%63%6f%6d%6d%61%6e%64:%20%65%68%6c%6f%0A" + b"%20" * 20000 + b"\n")
        assert client.reply()["message"].startswith("Welcome!")


# --- many ----------------------------------------------------------------------------------------


def is_full(answer):
    return answer["message"] == "Unable to serve you: too many connections"


@pytest.mark.rules("K4")
def test_there_are_32_slots_and_who_finds_none_is_told(controlled):
    one, path = controlled()
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(Control(path)) for _ in range(SLOTS)]
        for client in served:
            assert client.tell("ehlo")
        for _ in range(8):
            with Control(path) as late:
                assert is_full(late.reply()) and late.ended()
        for client in served:
            assert client.tell("ehlo")
        one.reload()
        # One goes, one comes.
        served.pop(7).close()

        def served_again():
            with Control(path) as client, contextlib.suppress(BrokenPipeError):
                return not is_full(client.ask("ehlo"))

        eventually(served_again, what="a slot")
    eventually(lambda: len(one.fds) < SLOTS, what="free slots")


@pytest.mark.rules("K4", "K3", "R3")
def test_workers_connections_take_half_of_the_slots(socket_dir, controlled):
    one, path = controlled(command=command(socket_dir))
    puppet = Puppet(socket_dir, 1, 0)
    told = puppet.do(
        "global kept\nkept = []\n"
        "for _ in range(40):\n"
        "    one = socket.socket(socket.AF_UNIX)\n"
        "    one.connect(os.environ['EINHORN_SOCK_PATH'])\n"
        "    kept.append(one)\n"
        "for one in kept:\n"
        "    try:\n"
        "        one.sendall(b'command: ehlo\\n')\n"
        "    except BrokenPipeError:\n"
        "        pass\n"
        "    print(one.makefile().readline().strip())\n"
    )
    answers = [json.loads(line) for line in told.splitlines()]
    full = [answer for answer in answers if is_full(answer)]
    denied = [answer for answer in answers if answer["message"].startswith("Permission denied")]
    assert (len(answers), len(denied), len(full)) == (40, 16, 24), answers
    # Operators find the other half.
    with contextlib.ExitStack() as stack:
        for _ in range(SLOTS // 2):
            assert stack.enter_context(Control(path)).tell("ehlo")
        with Control(path) as late:
            assert is_full(late.reply())
        one.reload()
    # And once the worker has gone, so have its connections.
    wait_only(one, one.workers[-1])
    with contextlib.ExitStack() as stack:
        for _ in range(SLOTS):
            assert stack.enter_context(Control(path)).tell("ehlo")


# --- who says nothing, or reads nothing -----------------------------------------------------------


@pytest.mark.rules("K4")
@pytest.mark.heavy
def test_who_stalls_is_closed_after_10_seconds_and_who_idles_is_not(controlled):
    one, path = controlled()
    with Control(path) as idle, Control(path) as stalled, connected(path) as deaf:
        idle.tell("ehlo")
        stalled.tell("ehlo")
        stalled.send(b'{"command": "ehl')
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.send(b"command: metrics\n" * 100)
        last = stalled.reply()
        assert last["error"] is True and "newline" in last["message"], last
        assert stalled.ended()
        eventually(lambda: len([c for c in one.fds.values() if "socket:" in c]) <= 4, 30.0, "deaf")
        assert idle.tell("ehlo").startswith("Welcome")


@pytest.mark.rules("K4", "O3")
def test_a_follower_that_does_not_read_is_told_how_much_it_missed(controlled):
    one, path = controlled()
    lines = 5000
    with Control(path) as slow:
        slow.ask("logs")
        answer = one.get(f"/log?lines={lines}&bytes=200")
        assert answer.status == 200
        one.wait_output(rf"{lines:010d}", deadline=30)
        # Nobody waited for it. Now it reads what there is, and the next line tells of the gap.
        text = ""
        while "left out" not in text or "WINCH" not in text.splitlines()[-1]:
            if select.select([slow], [], [], 0.05)[0]:
                text += slow.reply()["message"]
            else:
                tell(path, "signal", "WINCH")
        # Who has read everything misses nothing.
        tell(path, "signal", "CONT")
        one.wait_log("CONT sent")
        while "CONT sent" not in text:
            text += slow.reply()["message"]
        missed = [int(n) for n in re.findall(r"^\.\.\. (\d+) lines? left out$", text, re.MULTILINE)]
        seen = len([line for line in text.splitlines() if not line.startswith("... ")])
        logged = [n for n, line in enumerate(one.log.lines) if "CONT sent" in line.text]
        first = [n for n, line in enumerate(one.log.lines) if "rollout done" in line.text][0] + 1
        assert sum(missed) > lines // 2
        assert seen + sum(missed) == logged[-1] + 1 - first
        # What it is shown are whole lines of the log.
        whole = {line.raw.decode(errors="replace") for line in one.log.lines}
        shown = [line for line in text.splitlines() if not line.startswith("... ")]
        assert set(shown) <= whole


@pytest.mark.rules("K4", "O2")
def test_a_master_sleeps_though_clients_are_connected(controlled, load):
    one, path = controlled()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Control(path)) for _ in range(8)]
        for client in clients[:6]:
            client.tell("ehlo")
        clients[0].ask("logs")
        clients[1].shut()
        assert_at_rest(one, load)
        assert clients[2].tell("ehlo").startswith("Welcome")


# --- one that stays ------------------------------------------------------------------------------


@pytest.mark.rules("K1", "K2", "R9")
@pytest.mark.heavy
def test_a_client_stays_connected_through_a_thousand_reloads(controlled):
    # Whatever serves does not matter here; this one is quick.
    one, path = controlled(start=0, command=["/bin/sleep", "600"])
    reloads = 1000
    with Control(path) as client:
        for generation in range(2, reloads + 2):
            client.send({"command": "rollout", "wait": True, "id": generation})
            replies = client.rest()
            assert replies[-1]["message"].startswith(f"generation {generation}: rollout done")
            assert {reply["request_id"] for reply in replies} == {generation}
        told = client.status()
        assert told["generation"] == reloads + 1
        assert told["counters"]["rollouts_done"] == reloads + 1
