"""pools: what is measured of many workers, and of many listeners.

The floor is a bare loop (floor_pool.c) that starts the same programs, as many at a time, and waits
until each has said that it is ready. How it goes is read in what both of them write to standard
error.
"""

import contextlib
import pathlib
import resource
import signal
import time

from process import Log, Program
from rows import Row

SIZES = (10, 100, 1000)
LISTENERS = 256
UP, GONE = {b"up": 1}, {b"gone": 1}
DONE = {b" rollout done ": 1}


class Pools:
    def __init__(self, build, rounds):
        self.build = pathlib.Path(build)
        self.rounds = rounds
        self.measures = {
            "pool-fd": lambda: self.up("fd", SIZES),
            "pool-notify": lambda: self.up("notify", SIZES[-1:]),
            "pool-alive": lambda: self.up("alive", SIZES),
            "rollout-smooth": lambda: self.rollout(100, smooth=True),
            "rollout-fleet": lambda: self.rollout(100, smooth=False),
            "rollout-large": lambda: self.rollout(SIZES[-1], smooth=False),
            "pool-idle": self.idle,
            "listeners": self.listeners,
        }

    def tool(self, name):
        return self.build / "bench" / name

    def repeat(self, size):
        """Small pools vary more, and take less time."""
        return range(self.rounds.pools * {10: 4, 100: 2}.get(size, 1))

    def bare(self, size, at_once, quiet=False):
        options = ["-quiet"] if quiet else []
        numbers = [str(size), str(at_once)]
        return [self.tool("floor_pool"), *options, *numbers, self.tool("pool_worker")]

    def master(self, size, ready="fd", options=(), listeners=1):
        listen = ["-listen=tcp://127.0.0.1:0"] * listeners
        pool = [f"-workers={size}", f"-ready={ready}", f"-command={self.tool('pool_worker')}"]
        alive = ["-start=0"] if ready == "alive" else []
        return [self.build / "socketmaster", *listen, *pool, *alive, *options]

    @contextlib.contextmanager
    def begun(self, command, words):
        """A program whose pool is up: the program, its log, and how many ms that took."""
        with Log() as log:
            begin = time.monotonic_ns()
            with Program(command, stderr=log.file) as program:
                log.wait_for(words)
                yield program, log, (time.monotonic_ns() - begin) / 1e6

    def time_up(self, command, words):
        """Until all are up, in ms; and the CPU time of that, without the workers', in ms too."""
        with self.begun(command, words) as (program, _, elapsed):
            return elapsed, program.cpu_ns() / 1e6

    def up(self, ready, sizes):
        """From exec until all workers are ready; what one costs in a small and in a large pool."""
        each = {}
        for size in sizes:
            floor, ours = [], []
            for _ in self.repeat(size):
                floor.append(self.time_up(self.bare(size, size, ready == "alive"), UP))
                ours.append(self.time_up(self.master(size, ready), DONE))
            row = Row(f"{size} workers up, -ready={ready}", "ms", *first_of(ours, floor))
            yield row.at_most(1.3) if size == sizes[-1] else row
            each[size] = [[value / size for value in values] for values in zip(*ours)]
        small, large = each[sizes[0]], each[sizes[-1]]
        if small is large:
            return
        of = f"a worker of {sizes[-1]} against {sizes[0]}"
        yield Row(f"{of}, {ready}", "ms", large[0], small[0]).at_most(1.5)
        yield Row(f"{of}, {ready}, CPU", "ms", large[1], small[1]).at_most(1.5)

    def time_rollout(self, command, words, gone):
        """HUP until the last of the older workers has been reaped, in ms."""
        with self.begun(command, words) as (program, log, _):
            program.settle()
            begin = time.monotonic_ns()
            program.signal(signal.SIGHUP)
            log.wait_for(gone)
            return (time.monotonic_ns() - begin) / 1e6

    def cost(self, *rollout):
        """Time and CPU time of a start, a rollout and a stop, in ms: that of the program and of all
        its workers. It is much the same however busy the machine is."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        elapsed = self.time_rollout(*rollout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return elapsed, cpu_s * 1000

    def rollout(self, size, smooth):
        at_once = 2 if smooth else size
        options = ["-rollout=smooth", f"-max-starting={at_once}"] if smooth else []
        floor, ours = [], []
        for _ in self.repeat(size):
            floor.append(self.cost(self.bare(size, at_once), UP, GONE))
            master = self.master(size, options=options)
            ours.append(self.cost(master, DONE, DONE | {b" ended: ": size}))
        (times, cpu), (floor_times, floor_cpu) = zip(*ours), zip(*floor)
        kind = "smooth" if smooth else "fleet"
        row = Row(f"{kind} rollout of {size}, {at_once} at once", "ms", times, floor_times)
        yield row.at_most(1.3) if smooth else row
        yield Row(f"{size} started, rolled over ({kind}), stopped: CPU", "ms", cpu, floor_cpu)

    def idle(self):
        """What a large pool takes while nothing happens."""
        size = SIZES[-1]
        with self.begun(self.master(size), DONE) as (master, *_):
            master.settle()
            switches, cpu = master.voluntary_switches(), master.cpu_ns()
            time.sleep(self.rounds.idle_s)
            woken = master.voluntary_switches() - switches
            cpu = master.cpu_ns() - cpu
            rss, pss = master.memory_kb()
        yield Row(f"{size} workers: wake-ups in {self.rounds.idle_s} s idle", "", [woken]).below(0)
        yield Row(f"{size} workers: CPU in {self.rounds.idle_s} s idle", "ns", [cpu]).below(0)
        yield Row(f"{size} workers: RSS idle", "kB", [rss])
        yield Row(f"{size} workers: PSS idle", "kB", [pss])

    def listeners(self):
        """Many listeners beside one: each is put into each worker."""
        for size in (1, 100):
            one, many = [], []
            for _ in self.repeat(100):
                one.append(self.time_up(self.master(size), DONE))
                many.append(self.time_up(self.master(size, listeners=LISTENERS), DONE))
            what = f"{LISTENERS} listeners against 1, workers up: {size}"
            yield Row(what, "ms", *first_of(many, one))


def first_of(*samples):
    return [[values[0] for values in rounds] for rounds in samples]
