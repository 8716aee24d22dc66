"""The log's way out fails, whatever it is: it costs lines, and what goes out again is told (O3)."""

import re

import pytest
from flood import write_lines
from harness import eventually
from masterlog import says
from sinks import make_sink
from strace import Fault, injection, native_only
from workers import Notes, wait_only
from world import is_asleep

pytestmark = [native_only, pytest.mark.heavy]

LOST = r"\d+ log lines? (?:was|were) lost: "
LINES = 200  # that a worker writes between two reloads

# It is tried again and again. strace has to be done when it lets go: what it has in hand then fails.
A_WHILE = "EAGAIN:when=1..200"

# What standard error is, the call that writes to it, and errors of its manual page.
WAYS_OUT = [
    ("pipe", "write", ["ENOSPC", "EIO", "EPIPE", A_WHILE, "EINTR:when=1+2"]),
    ("socket", "sendto", ["ENOBUFS", "ECONNRESET", "EPIPE", "ENOMEM"]),
    ("socket", "sendto", [A_WHILE, "EINTR:when=1+2"]),
    ("terminal", "write", ["EIO", A_WHILE]),
    ("pipe of another user", "splice", ["EPIPE", "ENOMEM", "EINVAL", A_WHILE]),
    ("pipe of another user", "write", ["EIO", A_WHILE]),
    ("stopped terminal of another user", "poll", ["ENOMEM", "EINTR:when=1+2"]),
]
KEPT = ("EAGAIN", "EINTR")  # after these nothing is lost


def rows(table):
    return [(*row[:-1], error) for row in table for error in row[-1]]


def suffer(master, address, notes):
    """Two reloads, and lines of their workers, that all go their way."""
    for generation in (2, 3):
        master.hup()
        worker = notes.wait_start(generation)
        wait_only(master, worker)
        assert write_lines(address, LINES).pid == worker


def told_lost(texts):
    return [text for text in texts if re.match(LOST, text)]


@pytest.mark.rules("I6", "I7", "O3", "R2")
@pytest.mark.parametrize("kind, call, error", rows(WAYS_OUT))
def test_a_way_out_that_fails_for_a_while(kind, call, error, socket_dir, master):
    notes = Notes(socket_dir)
    address = f"unix://{socket_dir}/s"
    with make_sink(kind, socket_dir) as sink:
        command = [sink.server, notes.option]
        one = master(listen=address, stderr=sink.fd, command=command, **sink.how)
        sink.wait(says("rollout_done", generation=1))
        error, _, when = error.partition(":")
        inject = injection(f"{call}:{when}" if when else call, error)
        with Fault(one, socket_dir, inject) as fault:
            suffer(one, address, notes)
            assert fault.struck
            eventually(lambda: error not in KEPT or is_asleep(one.pid), what="a rest")
        one.hup()
        wait_only(one, notes.wait_start(4))
        sink.wait(says("rollout_done", generation=4))
        assert one.stop() == 0
        lines = sink.everything()
        sink.assert_untouched()
    texts = [line.text for line in lines]
    assert bool(told_lost(texts)) == (error not in KEPT), texts
    if error in KEPT:
        written = [line for line in lines if line.worker and line.text.startswith("log ")]
        assert len(written) == 2 * LINES


# A call for syslog and errors of its manual page.
SYSLOG = [
    ("sendmmsg", ["ECONNREFUSED", "ENOTCONN", "EPIPE", "ENOBUFS", "ENOMEM", "EMSGSIZE", "EACCES"]),
    ("sendmmsg", [A_WHILE, "EINTR:when=1+2"]),
]


def start_with_syslog(directory, master, daemon):
    """A master that logs to the daemon; its address, and what its workers note."""
    notes = Notes(directory)
    address = f"unix://{directory}/s"
    words = ["-syslog", f"-syslog-socket={directory}/log"]
    one = master(*words, listen=address, server=[notes.option])
    daemon.wait_message(says("rollout_done", generation=1))
    notes.wait_start(1)
    return one, address, notes


@pytest.mark.rules("I6", "I7", "O3", "R2")
@pytest.mark.parametrize("call, error", rows(SYSLOG))
def test_syslog_that_fails_for_a_while(call, error, socket_dir, master, syslogd):
    one, address, notes = start_with_syslog(socket_dir, master, syslogd)
    error, _, when = error.partition(":")
    with Fault(one, socket_dir, injection(f"{call}:{when}" if when else call, error)) as fault:
        suffer(one, address, notes)
        assert fault.struck
        eventually(lambda: error not in KEPT or is_asleep(one.pid), what="a rest")
    one.hup()
    wait_only(one, notes.wait_start(4))
    if error not in KEPT:
        syslogd.wait_message(LOST)
    else:
        syslogd.wait_message(says("rollout_done", generation=4))
        texts = [message.text for message in syslogd.messages]
        assert sum("log 00000" in text for text in texts) == 2 * LINES
        assert not any(re.search(LOST, text) for text in texts)
    assert one.stop() == 0


@pytest.mark.rules("I6", "I7", "O3", "R2")
@pytest.mark.parametrize(
    "call", ["connect:error=ECONNREFUSED", "connect:error=EAGAIN", "socket:error=EMFILE"]
)
def test_syslog_that_cannot_be_reached_anew_for_a_while(call, socket_dir, master, syslogd):
    one, address, notes = start_with_syslog(socket_dir, master, syslogd)
    with Fault(one, socket_dir, "sendmmsg:error=ECONNREFUSED:when=1", call) as fault:
        suffer(one, address, notes)
        assert fault.struck > 1
    one.hup()
    wait_only(one, notes.wait_start(4))
    syslogd.wait_message(LOST)
    assert one.stop() == 0
