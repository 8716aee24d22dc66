"""Standard error as it may be: stuck, broken, full and shared. None of it delays the master."""

import fcntl
import os
import re
import tempfile
from pathlib import Path
from signal import SIGHUP

import pytest
from disks import SmallDisk
from flood import MANY, Asked, numbered, wait_stuck, wait_taken, write_lines
from harness import SERVER, eventually
from masterlog import parse_line, says
from sinks import KINDS, Fifo, assert_opened, foreign, make_sink
from starter import circumstances
from workers import Notes, wait_gone, wait_only

LAST = 100  # lines that a worker writes right before it ends
LOST = r"(\d+) log lines? (?:was|were) lost: (.*)$"

# What the master says, once each.
START = ["listening", "started", "ready", "rollout_done"]
RELOAD = ["reload", "started", "ready", "rollout_done", "retired", "ended"]
STOP = ["stop", "stopped", "ended", "exiting"]
STEPS = {*START, *RELOAD, *STOP}


def start(master, sink, directory, *options):
    """A master with the sink as standard error; its address, and what its workers note."""
    notes = Notes(directory)
    address = f"unix://{directory}/s"
    command = [sink.server, notes.option, *options]
    return master(listen=address, stderr=sink.fd, command=command, **sink.how), address, notes


def output_of(lines, worker):
    return [line.text for line in lines if line.worker == worker]


def assert_order(lines, *patterns):
    """There is a line for each pattern, in this order."""
    texts = iter(line.text for line in lines if line.worker == 0)
    for pattern in patterns:
        assert any(re.search(pattern, text) for text in texts), pattern


# --- a reader that is stuck ----------------------------------------------------------------------


@pytest.mark.rules("O3", "O2")
@pytest.mark.parametrize("kind", KINDS)
def test_a_stuck_reader_delays_neither_reload_nor_stop(kind, socket_dir, master):
    with make_sink(kind, socket_dir) as sink:
        sink.stall()
        one, _, notes = start(master, sink, socket_dir, "--flood=2")
        first = notes.wait_start(1)
        wait_stuck(one, first)
        one.hup()
        second = notes.wait_start(2)
        wait_gone(first)
        assert one.workers == [second]
        assert one.stop() == 0
        assert one.leftovers == []
        lines = sink.everything()
        sink.assert_untouched()
    # As much as went out is whole and in order; only its end may be missing.
    assert all(line.master == one.pid for line in lines[:-1])
    *theirs, last = output_of(lines, first) or [""]
    expected = numbered("flood", MANY)
    assert theirs == expected[: len(theirs)]
    assert expected[len(theirs)].startswith(last)


@pytest.mark.rules("O3", "O2")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_once_a_stuck_reader_reads_again(kind, socket_dir, master):
    with make_sink(kind, socket_dir) as sink:
        one, address, notes = start(master, sink, socket_dir, f"--output-last={LAST}")
        first = notes.wait_start(1)
        one.wait_serving(address)
        assert_opened(kind, one)
        sink.stall()
        with Asked(address) as flood:
            wait_stuck(one, first)
            # The first is busy writing: what is asked of any is answered by the next.
            pids = [first]
            for generation in (2, 3):
                one.hup()
                pids.append(notes.wait_start(generation))
                eventually(lambda: one.wait_serving(address).pid == pids[-1], what="the new worker")
            second = pids[1]
            notes.wait_signal(second, SIGHUP)
            wait_gone(second)
            sink.resume()
            assert flood.answer().pid == first
        sink.wait(says("ended", pid=first))
        assert one.stop() == 0
        lines = sink.everything()
        sink.assert_untouched()
    assert all(line.master == one.pid for line in lines)
    flooded = numbered("log", MANY)
    for pid, flood in zip(pids, (flooded, [], [])):
        assert output_of(lines, pid) == flood + numbered("last", LAST, 0)
    assert_order(
        lines,
        *map(says, START),
        says("reload", generation=2),
        says("retired", pid=first),
        says("reload", generation=3),
        says("retired", pid=second),
        says("ended", pid=second),
        says("ended", pid=first),
        *map(says, STOP),
    )


# --- one that takes nothing ----------------------------------------------------------------------


def assert_lives(master, address, notes, first):
    """It serves, passes on what its workers write, reloads without a leak, and ends."""
    assert write_lines(address, MANY).pid == first
    descriptors = len(master.fds)
    for generation in (2, 3):
        master.hup()
        worker = notes.wait_start(generation)
        wait_only(master, worker)
        assert write_lines(address, MANY).pid == worker
    assert len(master.fds) == descriptors
    assert master.stop() == 0


@pytest.mark.rules("O3")
@pytest.mark.parametrize("when", ["before the start", "while it runs", "while it is stuck"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_goes_costs_lines_only(kind, when, socket_dir, master):
    with make_sink(kind, socket_dir) as sink:
        if when == "before the start":
            sink.leave()
        one, address, notes = start(master, sink, socket_dir)
        first = notes.wait_start(1)
        one.wait_serving(address)
        if when == "while it is stuck":
            sink.stall()
            with Asked(address) as flood:
                wait_stuck(one, first)
                sink.leave()
                assert flood.answer().pid == first
        elif when == "while it runs":
            sink.leave()
        assert_lives(one, address, notes, first)
        sink.assert_untouched()


@pytest.mark.rules("O3")
@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_RDONLY])
def test_a_device_that_takes_nothing_costs_lines_only(flags, socket_dir, master):
    notes = Notes(socket_dir)
    address = f"unix://{socket_dir}/s"
    device = os.open("/dev/full", flags)
    try:
        before = fcntl.fcntl(device, fcntl.F_GETFL)
        one = master(listen=address, stderr=device, server=[notes.option])
        assert_lives(one, address, notes, notes.wait_start(1))
        assert fcntl.fcntl(device, fcntl.F_GETFL) == before
    finally:
        os.close(device)


@pytest.mark.rules("O3")
def test_a_closed_standard_error_costs_lines_only(socket_dir, master):
    notes = Notes(socket_dir)
    address = f"unix://{socket_dir}/s"
    one = master(listen=address, starter=circumstances(closed=[2]), server=[notes.option])
    assert_lives(one, address, notes, notes.wait_start(1))
    assert one.log.lines == []


# --- what was lost is told -----------------------------------------------------------------------


def sum_of_lost(texts):
    return sum(int(found[1]) for found in (re.search(LOST, text) for text in texts) if found)


@pytest.mark.rules("O3", "O2")
@pytest.mark.parametrize("make", [Fifo, foreign(Fifo)], ids=["", "of another user"])
def test_lines_lost_without_a_reader_are_told_to_the_next(make, socket_dir, master):
    with make(socket_dir) as sink:
        one, address, notes = start(master, sink, socket_dir)
        worker = notes.wait_start(1)
        one.wait_serving(address)
        sink.wait(says("rollout_done"))
        for reader in range(3):
            sink.leave()
            assert write_lines(address, 1000, length=60).pid == worker
            wait_taken(one, worker)
            sink.come_back()
            write_lines(address, 10)
            assert sink.wait(LOST).groups() == ("1000", "Broken pipe")
            texts = [line.text for line in sink.log.lines]
            assert texts[:10] == numbered("log", 10)
        assert one.stop() == 0
        assert sum_of_lost(line.text for line in sink.everything()) == 1000
        sink.assert_untouched()


def is_whole(line, floods):
    """Is it all of a line, the master's own or of a worker?"""
    return line.text in floods if line.worker else any(re.search(says(e), line.text) for e in STEPS)


@pytest.mark.rules("O3", "O2")
def test_lines_lost_on_a_full_disk_are_counted_and_told(socket_dir, master):
    disk = SmallDisk(socket_dir)
    notes = Notes(socket_dir)
    address = f"unix://{socket_dir}/s"
    one = master(listen=address, starter=disk.starter, server=[notes.option])
    first = notes.wait_start(1)
    one.wait_serving(address)
    flags = Path(f"/proc/{one.pid}/fdinfo/2").read_text().split("\n")[1]
    with disk.open_log(one) as log:
        eventually(lambda: re.search(says("rollout_done"), log.read()), what="the start")
        disk.fill(one)
        assert write_lines(address, MANY, 60).pid == first
        one.hup()
        second = notes.wait_start(2)
        wait_only(one, second)
        assert write_lines(address, MANY, 60).pid == second
        wait_taken(one, second)
        disk.make_room(one)
        assert write_lines(address, 10, 70).pid == second
        wait_taken(one, second)
        assert Path(f"/proc/{one.pid}/fdinfo/2").read_text().split("\n")[1] == flags
        assert one.stop() == 0
        log.seek(0)
        lines = [parse_line(os.fsencode(text)) for text in log.read().splitlines()]
    after = numbered("log", 10, 70)
    assert output_of(lines, second)[-10:] == after
    assert re.search("No space left on device", "\n".join(line.text for line in lines))
    floods = {*numbered("log", MANY, 60), *after}
    whole = sum(is_whole(line, floods) for line in lines)
    told = 2 * MANY + 10 + len([*START, *RELOAD, *STOP])
    # A line that lacked its newline alone was lost, and is seen whole.
    assert whole + sum_of_lost(line.text for line in lines) in (told, told + 1)


# --- a file --------------------------------------------------------------------------------------


@pytest.mark.rules("O2", "O3")
@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["", "append"])
def test_a_file_gets_every_line(flags, socket_dir, master):
    notes = Notes(socket_dir)
    address = f"unix://{socket_dir}/s"
    place = "/dev/shm" if os.path.isdir("/dev/shm") else socket_dir
    with tempfile.NamedTemporaryFile(dir=place) as file:
        output = os.open(file.name, os.O_WRONLY | flags)
        before = fcntl.fcntl(output, fcntl.F_GETFL)
        command = [SERVER, notes.option, f"--output-last={LAST}"]
        one = master(listen=address, stderr=output, command=command)
        pids = []
        for generation in (1, 2):
            pids.append(notes.wait_start(generation))
            wait_only(one, pids[-1])
            assert write_lines(address, MANY).pid == pids[-1]
            if generation == 1:
                one.hup()
        assert one.stop() == 0
        assert fcntl.fcntl(output, fcntl.F_GETFL) == before
        os.close(output)
        lines = [parse_line(line) for line in file.read().splitlines()]
    assert all(line.master == one.pid for line in lines)
    for pid in pids:
        assert output_of(lines, pid) == numbered("log", MANY) + numbered("last", LAST, 0)
    assert_order(lines, *map(says, [*START, *RELOAD, *STOP]))
