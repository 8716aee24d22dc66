"""measures: what is measured of a master with one worker, how, and what is to be reached.

Floor and product take turns within one run, so that both see the same machine; what is compared are
the medians of the rounds. Each measure yields rows of the table.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from controls import Controls
from pools import Pools
from process import Broken, Ears, Program, free_port, wait_gone
from rows import Row

MEGABYTES = 200
PIPES = 100
TMPFS = pathlib.Path("/dev/shm")


def keep_together(*pids):
    """Keeps processes on one processor, the first of those that they may use."""
    for pid in pids:
        os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})


class Bench:
    """The programs under measurement, and the measures in the order of the table."""

    def __init__(self, build, rounds):
        self.build = pathlib.Path(build).resolve()
        self.rounds = rounds
        self.ears = None
        self.measures = {
            "start": self.start,
            "reload": self.reload,
            "log": lambda: self.log("/dev/null", "/dev/null"),
            "log-tmpfs": self.log_to_tmpfs,
            "pipes": self.many_pipes,
            "memory": self.memory,
            "idle": self.idle,
            "soak": self.soak,
        }
        self.measures |= Pools(self.build, rounds).measures
        self.measures |= Controls(self.build, rounds).measures

    def measure(self, name):
        with Ears() as self.ears:
            return list(self.measures[name]())

    def tool(self, name):
        return self.build / "bench" / name

    def worker(self, *arguments):
        return [self.tool("worker"), self.ears.name, *map(str, arguments)]

    def master(self, worker, listen="tcp://127.0.0.1:0"):
        command, *arguments = worker
        options = [f"-listen={listen}", "-start=0", f"-command={command}", "--"]
        return [self.build / "socketmaster", *options, *arguments]

    @contextlib.contextmanager
    def begun(self, command, **streams):
        """A program whose first worker has come to main() and that is at rest again."""
        with Program(command, **streams) as program:
            program.workers.add(self.ears.hear("main")[0])
            program.settle()
            yield program

    # --- time -------------------------------------------------------------------------------------

    def start(self):
        """The start of a program to the first connection that the kernel accepts for it."""

        def once(command, port):
            tool = [self.tool("measure_start"), str(port), *command]
            return int(subprocess.run(tool, stdout=subprocess.PIPE, check=True).stdout) / 1e6

        floor, ours = [], []
        for _ in range(self.rounds.starts):
            port = free_port()
            floor.append(once([self.tool("floor_listen"), str(port)], port))
            worker = [self.tool("worker"), "nobody"]
            ours.append(once(self.master(worker, f"tcp://127.0.0.1:{port}"), port))
        yield Row("exec to first connection", "ms", ours, floor).at_most(1.5)

    def renew(self, program, retire=False):
        """HUP to the new worker's main(), in ms; the older worker has gone when this returns."""
        begin = time.monotonic_ns()
        program.signal(signal.SIGHUP)
        pid, main, _ = self.ears.hear("main")
        for old in program.workers:
            if retire:
                os.kill(old, signal.SIGHUP)
            wait_gone(old)
        program.workers = {pid}
        return (main - begin) / 1e6

    def reload(self):
        """HUP to the new worker's main()."""
        floor, ours = [], []
        spawner = [self.tool("floor_spawn"), *self.worker()]
        with self.begun(spawner) as bare, self.begun(self.master(self.worker())) as master:
            for _ in range(self.rounds.reloads):
                floor.append(self.renew(bare, retire=True))
                ours.append(self.renew(master))
        yield Row("HUP to the new worker's main()", "ms", ours, floor).at_most(1.5)

    # --- the log ----------------------------------------------------------------------------------

    def flood(self, program, worker, together):
        """Lets a worker write its megabytes: MB/s until the reader has ended, its CPU s/GB."""
        if together:
            keep_together(program.pid, worker)
        before = program.cpu_ns()
        os.kill(worker, signal.SIGUSR1)
        _, begin, _ = self.ears.hear("flood")
        program.wait()
        elapsed_s = (time.monotonic_ns() - begin) / 1e9
        cpu_s = (program.cpu_ns() - before) / 1e9
        return MEGABYTES / elapsed_s, cpu_s / MEGABYTES * 1000

    def flood_cat(self, path, together):
        writer = self.worker(MEGABYTES)
        with open(path, "wb") as output, Program(writer, stdout=subprocess.PIPE) as source:
            pipe = source.child.stdout
            with self.begun(["cat"], stdin=pipe, stdout=output) as cat:
                pipe.close()
                return self.flood(cat, source.pid, together)

    def flood_master(self, path, together):
        master = self.master(self.worker(MEGABYTES))
        with open(path, "wb") as output, self.begun(master, stderr=output) as running:
            return self.flood(running, *running.workers, together)

    def log(self, name, path):
        """100-byte lines through the log, and through cat beside it.

        Writer and reader on one processor is the case that can be compared. Where the kernel places
        them on two, the time goes into waking each other and moving lines between caches, and how
        often it does so changes from run to run, for cat as well (on a virtual machine tenfold).
        """
        for together in (True, False):
            floor, ours = [], []
            for _ in range(self.rounds.floods):
                floor.append(self.flood_cat(path, together))
                ours.append(self.flood_master(path, together))
            speed, cpu = map(list, zip(*ours))
            floor_speed, floor_cpu = map(list, zip(*floor))
            if together:
                yield Row(f"log to {name}, one processor", "MB/s", speed, floor_speed).at_least(0.5)
            else:
                yield Row(f"log to {name}, any processor", "MB/s", speed, floor_speed).above(800)
                yield Row(f"log to {name}, CPU", "s/GB", cpu, floor_cpu).below(1)

    def log_to_tmpfs(self):
        if not os.access(TMPFS, os.W_OK):
            raise Broken(f"{TMPFS} is not writable")
        path = TMPFS / self.ears.name
        try:
            yield from self.log("a tmpfs file", path)
        finally:
            path.unlink(missing_ok=True)

    def flood_among(self, pipes):
        """CPU s/GB of a master that has so many workers' pipes open, one of which is flooded."""
        with self.begun(self.master(self.worker(MEGABYTES))) as master:
            last = min(master.workers)
            for _ in range(pipes - 1):
                master.signal(signal.SIGHUP)
                last, *_ = self.ears.hear("main")
                master.workers.add(last)
            master.settle()
            keep_together(master.pid, last)
            before = master.cpu_ns()
            os.kill(last, signal.SIGUSR1)
            self.ears.hear("flood")
            wait_gone(last)
            master.settle()
            return (master.cpu_ns() - before) / 1e9 / MEGABYTES * 1000

    def many_pipes(self):
        """The workers of earlier generations ignore the stop signal and keep their pipes."""
        one, many = [], []
        for _ in range(self.rounds.floods):
            one.append(self.flood_among(1))
            many.append(self.flood_among(PIPES))
        what = f"log CPU, {PIPES} pipes open against 1"
        yield Row(what, "s/GB", many, one).at_most(1.3)

    # --- footprint --------------------------------------------------------------------------------

    def memory(self):
        """After two reloads. Where the loader places the C library decides how much of it comes in
        with each page that is touched, so one start is not enough."""
        sizes = []
        for _ in range(self.rounds.memories):
            with self.begun(self.master(self.worker())) as master:
                self.renew(master)
                self.renew(master)
                master.settle()
                sizes.append(master.memory_kb())
        rss, pss = map(list, zip(*sizes))
        yield Row("RSS idle", "kB", rss).below(2000)
        yield Row("PSS idle", "kB", pss).below(600)

    def idle(self):
        """What it takes to do nothing."""
        with self.begun(self.master(self.worker())) as master:
            self.renew(master)
            master.settle()
            switches, cpu = master.voluntary_switches(), master.cpu_ns()
            time.sleep(self.rounds.idle_s)
            woken = master.voluntary_switches() - switches
            cpu = master.cpu_ns() - cpu
        yield Row(f"wake-ups in {self.rounds.idle_s} s idle", "", [woken]).below(0)
        yield Row(f"CPU in {self.rounds.idle_s} s idle", "ns", [cpu]).below(0)

    def soak(self):
        """What thousands of reloads leave behind."""
        first, last = 10, self.rounds.soak
        with self.begun(self.master(self.worker())) as master:
            seen = []
            for count in range(1, last + 1):
                self.renew(master)
                if count in (first, last):
                    master.settle()
                    seen.append((master.descriptors(), master.threads(), master.memory_kb()[0]))
        (fds, threads, rss), (fds_last, threads_last, rss_last) = seen
        after = f"after {last} reloads against {first}"
        yield Row(f"descriptors {after}", "", [fds_last], [fds]).same()
        yield Row(f"threads {after}", "", [threads_last], [threads]).same()
        yield Row(f"RSS {after}", "kB", [rss_last], [rss]).at_most(1.05)
