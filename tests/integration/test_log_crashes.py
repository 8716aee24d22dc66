"""Workers crash, and all is stopped, while the log is stuck, gone or on a full disk (rule O3)."""

import os
import re
from signal import SIGKILL

import pytest
from disks import SmallDisk
from harness import eventually
from masterlog import parse_line, says
from workers import Deploy, wait_only

LAST_WORDS = 200  # more than fits into what is left of the last page of a file


class Site:
    """A master whose next worker is whatever the test deploys, at an address of its own."""

    def __init__(self, begin, directory, **how):
        self.deploy = Deploy(directory)
        self.notes = self.deploy.notes
        self.address = f"unix://{directory}/s"
        self.master = begin(start=300, listen=self.address, command=[self.deploy.path], **how)
        self.worker = self.notes.wait_start(1)
        self.master.wait_serving(self.address)

    def fail_to_reload(self):
        """The next worker crashes before it is ready, with last words; the old one serves."""
        words = f"i=0; while [ $i -lt {LAST_WORDS} ]; do echo word $i; i=$((i + 1)); done"
        self.deploy.run(f"echo $$ >{self.deploy.directory}/tried; {words}; kill -SEGV $$")
        tried = self.deploy.directory / "tried"
        self.master.hup()
        pid = int(eventually(lambda: tried.exists() and tried.read_text(), what="the new worker"))
        tried.unlink()
        wait_only(self.master, self.worker)
        assert self.master.get(address=self.address).pid == self.worker
        assert self.notes.signals(self.worker) == []
        self.deploy.serve()
        return pid


def stall(master):
    """Nobody reads any more, and the master's pipe is full."""
    master.log.stall()
    block = b"filling\n" * 512
    pipe = os.open(f"/proc/{master.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe, block)
    os.close(pipe)


@pytest.mark.rules("I5", "I6", "O2", "O3", "R7")
def test_a_crash_while_the_reader_is_stuck_is_told_when_it_reads_on(socket_dir, master):
    site = Site(master, socket_dir)
    one = site.master
    one.wait_log(says("rollout_done", generation=1))
    stall(one)
    crashed = [site.fail_to_reload() for _ in range(3)]
    one.hup()
    second = site.notes.wait_start(5)
    wait_only(one, second)
    one.log.resume()
    one.wait_log(says("ended", pid=site.worker))
    for generation, pid in enumerate(crashed, 2):
        assert one.log.output_of(pid) == [f"word {i}" for i in range(LAST_WORDS)]
        assert len(one.said("ended", pid=pid, signal="SEGV")) == 1
        assert one.said("rollout_failed", generation=generation)
    os.kill(second, SIGKILL)
    assert one.wait_exit() == 128 + SIGKILL


@pytest.mark.rules("I5", "O3", "R12", "X2")
@pytest.mark.parametrize("gone", [False, True], ids=["stuck", "gone"])
def test_the_last_crash_ends_the_master_whoever_reads(gone, socket_dir, master):
    site = Site(master, socket_dir)
    one = site.master
    one.wait_log(says("rollout_done", generation=1))
    if gone:
        one.log.close()
    else:
        stall(one)
    # A stuck reader is waited for, for a second.
    os.kill(site.worker, SIGKILL)
    assert one.wait_exit() == 128 + SIGKILL


@pytest.mark.rules("I6", "I7", "O3", "R7")
@pytest.mark.parametrize("end", ["stop", "crash", "room"])
def test_a_full_disk_costs_lines_whatever_happens(end, socket_dir, master):
    disk = SmallDisk(socket_dir)
    site = Site(master, socket_dir, starter=disk.starter)
    one = site.master
    with disk.open_log(one) as log:
        eventually(lambda: re.search(says("rollout_done"), log.read()), what="the start")
        disk.fill(one)
        site.fail_to_reload()
        one.hup()
        second = site.notes.wait_start(3)
        wait_only(one, second)
        if end == "crash":
            os.kill(second, SIGKILL)
            assert one.wait_exit() == 128 + SIGKILL
        elif end == "stop":
            assert one.stop() == 0
        else:
            disk.make_room(one)
            one.hup()
            wait_only(one, site.notes.wait_start(4))
            assert one.stop() == 0
        log.seek(0)
        lines = [parse_line(os.fsencode(text)) for text in log.read().splitlines()]
    told = [line for line in lines if re.search("lost: No space left on device", line.text)]
    assert bool(told) == (end == "room")
