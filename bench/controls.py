"""controls: what the control socket costs, to those who ask and to everybody else.

The floor of a reply is a bare loop (floor_answer.c) that sends the same bytes. What clients do to a
reload is measured on one master, in turns: a few reloads while nobody asks, a few while they do.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from pools import DONE
from process import Broken, Ears, Log, Program, wait_gone
from rows import Row

SIZES = (1, 100, 1000)
ENOUGH = 10000  # requests a second
BYTES = 20e6  # of replies, in one measurement: how many requests that is follows
CLIENTS = 32
QUESTION = b'{"command": "status", "args": ["json"], "id": 1}\n'
TURN = 25  # reloads


def ask(path):
    """Asks once. Returns the whole reply."""
    with dial(path) as client:
        client.sendall(QUESTION)
        reply = b""
        while not reply.endswith(b"\n"):
            reply += client.recv(1 << 20)
        return reply


def dial(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(os.fspath(path))
    return client


def stand_back(pid):
    """Lets a client run where nobody else wants to: what it does to the master counts here, and not
    what it takes from the processors."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


class Controls:
    def __init__(self, build, rounds):
        self.build = pathlib.Path(build)
        self.rounds = rounds
        self.place = None
        self.measures = {
            "control-status": self.within(self.status),
            "control-reload": self.within(self.reload_while_asked),
            "control-hostile": self.within(self.reload_while_pestered),
            "control-pool": self.within(self.rollout_while_asked),
            "control-memory": self.within(self.memory),
            "control-idle": self.within(self.idle),
        }

    def within(self, measure):
        """Gives it a directory of its own for sockets."""

        def measured():
            with tempfile.TemporaryDirectory(prefix="bench-") as self.place:
                yield from measure()

        return measured

    def tool(self, name):
        return self.build / "bench" / name

    @property
    def path(self):
        return pathlib.Path(self.place, "control")

    def master(self, worker, *options):
        command, *arguments = map(str, worker)
        fixed = ["-listen=tcp://127.0.0.1:0", f"-command={command}"]
        return [self.build / "socketmaster", *fixed, *options, "--", *arguments]

    @contextlib.contextmanager
    def pool(self, size, *options):
        """A master with a control socket whose workers are up, and its log."""
        options = [f"-control={self.path}", f"-workers={size}", "-ready=fd", *options]
        with Log() as log:
            command = self.master([self.tool("pool_worker")], *options)
            with Program(command, stderr=log.file) as program:
                log.wait_for(DONE)
                program.settle()
                yield program, log

    # --- who asks ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def bare(self, reply):
        """The floor, which answers with these bytes."""
        socket_path, file = pathlib.Path(self.place, "bare"), pathlib.Path(self.place, "reply")
        file.write_bytes(reply)
        socket_path.unlink(missing_ok=True)
        command = [self.tool("floor_answer"), socket_path, file]
        with Program(command, stdout=subprocess.PIPE) as program, program.child.stdout as said:
            said.readline()
            yield program, socket_path

    def asker(self, path, connections, count, per_second):
        return [self.tool("asker"), path, *map(str, (connections, count, per_second))]

    def asked(self, server, path, connections, count):
        """Requests a second, and the server's CPU microseconds for each. Both on one processor: what
        is measured is work, not how two processors wake each other."""
        together = {min(os.sched_getaffinity(0))}
        os.sched_setaffinity(server.pid, together)
        before = server.cpu_ns()
        command = [os.fspath(part) for part in self.asker(path, connections, count, 0)]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
            preexec_fn=lambda: os.sched_setaffinity(0, together),
        )
        replies, elapsed_ns = map(int, done.stdout.split()[2:4])
        return replies / elapsed_ns * 1e9, (server.cpu_ns() - before) / 1e3 / replies

    def status(self):
        """`status -json` in a loop: the request of each connection follows its reply."""
        for size in SIZES:
            with self.pool(size) as (master, _):
                reply = ask(self.path)
                count = int(BYTES / max(len(reply), 1000))
                with self.bare(reply) as (floor, bare_path):
                    for connections in (1, 8):
                        pairs = [
                            (
                                self.asked(floor, bare_path, connections, count),
                                self.asked(master, self.path, connections, count),
                            )
                            for _ in range(self.rounds.asks)
                        ]
                        yield from status_rows(size, connections, len(reply), pairs)

    # --- what it does to a reload -----------------------------------------------------------------

    def renew(self, master, ears):
        """HUP to the new worker's main(), in ms; the older worker has gone when this returns."""
        begin = time.monotonic_ns()
        master.signal(signal.SIGHUP)
        pid, main, _ = ears.hear("main")
        for old in master.workers:
            wait_gone(old)
        master.workers = {pid}
        return (main - begin) / 1e6

    def disturbed(self, disturber, look=lambda master: None):
        """Reloads of one worker: undisturbed, disturbed; and what `look` saw of the master before
        and after."""
        quiet, loud = [], []
        with Ears() as ears:
            worker = [self.tool("worker"), ears.name]
            command = self.master(worker, f"-control={self.path}", "-start=0")
            with Program(command) as master:
                master.workers.add(ears.hear("main")[0])
                for _ in range(TURN):
                    self.renew(master, ears)
                master.settle()
                before, after = look(master), None
                for _ in range(self.rounds.reloads // TURN // 2):
                    quiet += [self.renew(master, ears) for _ in range(TURN)]
                    with disturber(master):
                        loud += [self.renew(master, ears) for _ in range(TURN)]
                        after = look(master)
        return quiet, loud, before, after

    def reload_while_asked(self):
        rates = []

        @contextlib.contextmanager
        def asking(_):
            command = self.asker(self.path, 4, 0, ENOUGH)
            with Program(command, stdout=subprocess.PIPE) as client, client.child.stdout as said:
                said.readline()
                yield
                client.child.terminate()
                replies, elapsed_ns = map(int, said.readline().split()[1:3])
                rates.append(replies / elapsed_ns * 1e9)

        quiet, loud, *_ = self.disturbed(asking)
        what = f"HUP to main(), {ENOUGH} requests/s against none"
        yield Row(what, "ms", loud, quiet).at_most(1.2)
        yield Row("answered meanwhile", "1/s", rates)

    @contextlib.contextmanager
    def pester(self, _):
        command = [self.tool("pester"), self.path, str(CLIENTS)]
        with Program(command, stdout=subprocess.PIPE) as client, client.child.stdout as said:
            stand_back(client.pid)
            if not said.readline():
                raise Broken("the hostile clients ended at once")
            yield

    def reload_while_pestered(self):
        quiet, loud, before, after = self.disturbed(self.pester, lambda master: master.memory_kb())
        what = f"HUP to main(), {CLIENTS} hostile clients against none"
        yield Row(what, "ms", loud, quiet).at_most(1.2)
        yield Row(f"RSS that {CLIENTS} hostile clients cost", "kB", [after[0] - before[0]]).below(4096)
        yield Row("the same, PSS", "kB", [after[1] - before[1]]).below(4096)

    def time_rollout(self, size, log, master):
        begin = time.monotonic_ns()
        master.signal(signal.SIGHUP)
        log.wait_for(DONE | {b" ended: ": size})
        return (time.monotonic_ns() - begin) / 1e6

    def rollout_while_asked(self):
        """The same for a hundred workers, with replies to match; asked, then pestered."""
        size = 100

        @contextlib.contextmanager
        def asking(_):
            per_second = ENOUGH // 10
            command = self.asker(self.path, 4, 0, per_second)
            with Program(command, stdout=subprocess.PIPE) as client, client.child.stdout as said:
                stand_back(client.pid)
                said.readline()
                yield

        for kind, disturber in (("1000 requests/s", asking), (f"{CLIENTS} hostile", self.pester)):
            quiet, loud = [], []
            with self.pool(size) as (master, log):
                before = master.memory_kb()
                for _ in range(self.rounds.pools * 2):
                    quiet.append(self.time_rollout(size, log, master))
                    with disturber(master):
                        loud.append(self.time_rollout(size, log, master))
                        after = master.memory_kb()
            what = f"fleet rollout of {size}, {kind} against none"
            yield Row(what, "ms", loud, quiet).at_most(1.2)
        yield Row(f"{size} workers: RSS that they cost", "kB", [after[0] - before[0]]).below(4096)

    # --- footprint --------------------------------------------------------------------------------

    def memory(self):
        """Of a master that has a control socket, against one that has none."""

        def size(*options):
            with Log() as log:
                command = self.master([self.tool("pool_worker")], "-ready=fd", *options)
                with Program(command, stderr=log.file) as program:
                    log.wait_for(DONE)
                    program.settle()
                    return program.memory_kb()

        pairs = [(size(), size(f"-control={self.path}")) for _ in range(self.rounds.memories)]
        without, having = zip(*pairs)
        for index, name in enumerate(("RSS", "PSS")):
            samples = [[sizes[index] for sizes in which] for which in (having, without)]
            yield Row(f"{name} idle, with -control against without", "kB", *samples)

    def idle(self):
        """As many clients as there can be, who have all asked and say nothing more."""
        with self.pool(SIZES[0]) as (master, _), contextlib.ExitStack() as stack:
            for _ in range(CLIENTS):
                client = stack.enter_context(dial(self.path))
                client.sendall(QUESTION)
                client.recv(1 << 16)
            master.settle()
            switches, cpu = master.voluntary_switches(), master.cpu_ns()
            time.sleep(self.rounds.idle_s)
            woken = master.voluntary_switches() - switches
            cpu = master.cpu_ns() - cpu
        of = f"in {self.rounds.idle_s} s idle, {CLIENTS} clients"
        yield Row(f"wake-ups {of}", "", [woken]).below(0)
        yield Row(f"CPU {of}", "ns", [cpu]).below(0)


def status_rows(size, connections, length, pairs):
    floor, ours = ([list(values) for values in zip(*which)] for which in zip(*pairs))
    who = f"{size} workers" if size > 1 else "1 worker"
    what = f"status -json, {who} ({length} B), {connections} at once"
    row = Row(what, "1/s", ours[0], floor[0])
    yield row.above(ENOUGH) if size == 1 else row
    yield Row("  CPU of the server for one", "us", ours[1], floor[1])
