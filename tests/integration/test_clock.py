"""The wall clock jumps: the log's stamps follow it, and no wait becomes longer or shorter.

libfaketime stands between the master and the clocks; this machine's own clock stays as it is.
"""

import glob
from datetime import datetime, timedelta
from signal import SIGHUP

import harness
import pytest
from harness import SERVER, eventually
from masterlog import says
from workers import Notes

LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"

pytestmark = [
    pytest.mark.skipif(bool(harness.WRAPPER), reason="libfaketime does not go with a wrapper"),
    pytest.mark.heavy,
]


class WallClock:
    """A wall clock for a master; jump() moves it. `env` is what the master needs to see it."""

    def __init__(self, directory):
        found = glob.glob(LIBRARY)
        if not found:
            pytest.skip("there is no libfaketime here")
        self._offset = directory / "offset"
        self.jump(0)
        self.env = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, days):
        """To so many days from the present."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{days:+d}d\n")
        fresh.replace(self._offset)


def time_of(line):
    return datetime.strptime(line.stamp, "%Y/%m/%d %H:%M:%S")


def line_of(master, pattern):
    return next(line for line in master.log.lines if line.text == pattern.string)


@pytest.mark.rules("I2", "R3", "O1")
@pytest.mark.parametrize("days", [1, -1, 4000, -4000])
def test_a_jump_changes_stamps_and_not_the_wait_for_readiness(days, socket_dir, master):
    clock, notes = WallClock(socket_dir), Notes(socket_dir)
    # The worker keeps the true clock.
    command = ["/usr/bin/env", "-u", "LD_PRELOAD", SERVER, notes.option]
    one = master(start=150, command=command, env=clock.env)
    old = one.wait_ready(1)
    one.wait_log(says("rollout_done", generation=1))
    one.hup()
    before = line_of(one, one.wait_log(says("started", generation=2)))
    clock.jump(days)
    # A wait that followed the wall clock would be over at once, or not for days.
    ready = one.wait_log(says("ready", generation=2))
    assert 150 <= int(ready["ms"]) < 86400000
    notes.wait_signal(old, SIGHUP)
    stamped = time_of(line_of(one, ready)) - time_of(before)
    assert abs(stamped - timedelta(days=days)) < timedelta(hours=1)
    # And back again, while nothing happens.
    clock.jump(0)
    one.reload()
    ready = one.wait_log(says("ready", generation=3))
    assert abs(time_of(line_of(one, ready)) - time_of(before)) < timedelta(hours=1)


@pytest.mark.rules("I5", "R8", "G1")
@pytest.mark.parametrize("days", [1, -1])
def test_a_jump_does_not_change_how_long_a_worker_may_take_to_leave(days, socket_dir, master):
    clock, notes = WallClock(socket_dir), Notes(socket_dir)
    server = ["/usr/bin/env", "-u", "LD_PRELOAD", SERVER, notes.option, "--ignore=HUP,TERM"]
    one = master("-stop=150", command=server, env=clock.env)
    old = notes.wait_start(1)
    one.wait_log(says("rollout_done", generation=1))
    one.hup()
    one.wait_log(says("retired", pid=old))
    clock.jump(days)
    assert 150 <= int(one.wait_log(says("killed_late", pid=old))["ms"]) < 86400000
    new = one.wait_ready(2)
    one.term()
    one.wait_log(says("stopped", pid=new))
    clock.jump(-days)
    assert one.wait_exit() == 0
    assert 150 <= int(one.wait_log(says("killed_late", pid=new))["ms"]) < 86400000


@pytest.mark.rules("I6", "O3")
def test_a_jump_does_not_stop_lost_lines_from_being_told(socket_dir, master, syslogd):
    clock = WallClock(socket_dir)
    words = ["-syslog", f"-syslog-socket={socket_dir}/log"]
    command = ["/usr/bin/env", "-u", "LD_PRELOAD", SERVER]
    address = f"unix://{socket_dir}/s"
    one = master(*words, listen=address, command=command, env=clock.env)
    one.wait_serving(address)
    syslogd.wait_message(says("rollout_done", generation=1))
    syslogd.close()
    one.hup()
    eventually(lambda: one.wait_serving(address).fields["generation"] == "2", what="a reload")
    clock.jump(-1)
    syslogd.reopen()
    syslogd.wait_message(r"\d+ log lines? (was|were) lost: ")
