"""Drives the real program: starts a master, waits for what it says and does, and leaves nothing.

Where the programs are, and how patient the tests are, is said by the environment:
  SOCKETMASTER_BINARY    the program (default: build/socketmaster of this checkout)
  SOCKETMASTER_FIXTURES  the directory of the fixture programs (default: build/fixture)
  SOCKETMASTER_WRAPPER   words put before the program, such as "valgrind -q --leak-check=full ..."
  SOCKETMASTER_PATIENCE  factor on every deadline (default 1, under a wrapper 10)
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM

import client
import procfs
from masterlog import MasterLog, says

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SOCKETMASTER_BINARY", str(REPOSITORY / "build/socketmaster"))
FIXTURES = Path(os.environ.get("SOCKETMASTER_FIXTURES", str(REPOSITORY / "build/fixture")))
WRAPPER = shlex.split(os.environ.get("SOCKETMASTER_WRAPPER", ""))
WRAPPER[:1] = [shutil.which(word) or word for word in WRAPPER[:1]]  # a test may change PATH
PATIENCE = float(os.environ.get("SOCKETMASTER_PATIENCE", "10" if WRAPPER else "1"))

SERVER = str(FIXTURES / "server")
LOAD = str(FIXTURES / "load")
PYTHON_SERVER = [sys.executable, str(REPOSITORY / "tests/fixtures/server.py")]

# Names of the conventions that the program speaks: a test starts without any of them.
_PRIVATE = (
    "SOCKETMASTER_",
    "EINHORN_",
    "LISTEN_",
    "NOTIFY_",
    "WATCHDOG_",
    "SERVER_STARTER_",
    "NGINX",
)
REPORTS = "smreport"  # how the names of directories with a wrapper's reports begin
_SANITIZER = re.compile(r"(?:ERROR|WARNING): \w+Sanitizer|runtime error:")


def eventually(condition, deadline=10.0, what="the condition", interval=0.005):
    """Waits until condition() is true, and returns what it returned."""
    end = time.monotonic() + deadline * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come within {deadline * PATIENCE} s")
        time.sleep(interval)


class Launch:
    """One run of the program: its environment, its wrapper's report, and all its descendants.

    Every descendant is found by its session or by a variable of the test's own, so also one that
    made itself a session. `starter` is what stands before all other words, see starter.py.
    """

    def __init__(self, arguments, env=None, binary=None, starter=(), **popen):
        self.mark = f"TEST_RUN={uuid.uuid4().hex}"
        self._reports = Path(tempfile.mkdtemp(prefix=REPORTS, dir="/tmp")) if WRAPPER else None
        if self._reports:
            self._reports.chmod(0o777)
        user = popen.get("user")
        if user is not None:
            popen.setdefault("group", user)
            popen.setdefault("extra_groups", [])
        self.command = [*starter, *self._wrapper(), binary or BINARY, *map(str, arguments)]
        try:
            self.process = subprocess.Popen(
                self.command, env=self._environment(env or {}), start_new_session=True, **popen
            )
        except BaseException:
            self._drop_reports()
            raise

    def _wrapper(self):
        if "valgrind" in " ".join(WRAPPER):
            return [*WRAPPER, f"--log-file={self._reports}/%p"]
        return WRAPPER

    def _environment(self, changes):
        env = {n: v for n, v in os.environ.items() if not n.startswith(_PRIVATE)}
        name, _, value = self.mark.partition("=")
        env[name] = value
        for name, value in changes.items():
            env.pop(name, None)
            if value is not None:
                env[name] = str(value)
        return env

    def wait(self, deadline):
        """Its exit status, negative for a signal."""
        try:
            return self.process.wait(deadline * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {deadline * PATIENCE} s") from None

    def leftovers(self):
        """What lives of it and its descendants."""
        return procfs.marked(self.mark, self.process.pid)

    def kill_all(self):
        """Kills whatever is left, and returns what that was, for people."""
        killed = {}

        def none_left():
            for pid in self.leftovers():
                try:
                    killed.setdefault(pid, " ".join(procfs.arguments(pid)))
                    os.kill(pid, SIGKILL)
                except (ProcessLookupError, FileNotFoundError):
                    continue
            self.process.poll()
            return not self.leftovers()

        eventually(none_left, what="the end of every killed process")
        self.process.wait()
        return [f"{pid} ({words})" for pid, words in sorted(killed.items())]

    def complaints(self, complete):
        """What valgrind found in the program, and in its children before they were executed."""
        found = []
        if self._reports:
            reports = sorted(self._reports.iterdir())
            if complete and "valgrind" in WRAPPER[0] and not reports:
                found.append("valgrind wrote no report")
            for report in reports:
                program = report.name == str(self.process.pid)
                found += valgrind_complaints(report.read_text(errors="replace"), not program)
        self._drop_reports()
        return found

    def is_wrapper_fd(self, number, target):
        """Valgrind keeps its report open, and others at the upper end of the numbers."""
        limits = Path(f"/proc/{self.process.pid}/limits").read_text()
        limit = int(limits.split("Max open files")[1].split()[0])
        return bool(WRAPPER) and (number >= limit - 12 or target.startswith(str(self._reports)))

    def _drop_reports(self):
        if self._reports:
            shutil.rmtree(self._reports)
            self._reports = None


_MEMORY_ERROR = re.compile(
    r"Invalid |Conditional jump|Use of uninit|Syscall param|Source and dest|Mismatched|Argument "
    r"|Process terminating|Jump to|Fishy"
)
_LEAK = re.compile(r"(definitely|indirectly) lost(?!: 0 bytes)")
_OPEN_FD = re.compile(r"Open (file descriptor|AF_\w+ socket) ")


def valgrind_complaints(report, errors_only):
    """The lines of a memcheck report that tell of an error, a leak, or a descriptor left open.

    errors_only: of a child whose execution failed, which neither frees nor closes anything.
    """
    found = []
    lines = [line.partition("== ")[2] for line in report.splitlines() if line.startswith("==")]
    for line, following in zip(lines, [*lines[1:], ""]):
        left_open = _OPEN_FD.match(line) and following.strip() != "<inherited from parent>"
        if _MEMORY_ERROR.match(line) or (not errors_only and (left_open or _LEAK.search(line))):
            found.append(f"valgrind: {line} {following.strip()}")
    return found


@dataclass(frozen=True)
class Finished:
    status: int
    stdout: str
    stderr: str

    @property
    def error_lines(self):
        return self.stderr.splitlines()


def run(*arguments, deadline=10.0, input=b"", **how):
    """Runs the program to its end, for command lines that start nothing that stays.

    Fails if it does not end, if a process is left behind, or if a wrapper complains.
    """
    pipe = subprocess.PIPE
    launch = Launch(arguments, stdin=pipe, stdout=pipe, stderr=pipe, **how)
    with launch.process:
        try:
            out, err = launch.process.communicate(input, timeout=deadline * PATIENCE)
        except subprocess.TimeoutExpired:
            launch.kill_all()
            launch.complaints(complete=False)
            raise AssertionError(f"{launch.command} did not end") from None
    left = launch.kill_all()
    complaints = launch.complaints(complete=True)
    text = err.decode(errors="surrogateescape")
    assert not left, f"left behind: {left}\n{text}"
    assert not complaints, complaints
    assert not _SANITIZER.search(text), text
    return Finished(launch.process.returncode, out.decode(errors="surrogateescape"), text)


class Master:
    """A running master with its workers. Use it as a context manager, or by the fixture `master`.

    options    further options of the program
    listen     the URIs to listen on (one, several, or None for no -listen)
    start      -start in milliseconds, or None for no such option
    server     options of the fixture server, which is the command
    command    another command with its arguments, in place of the fixture server
    env        changes to the environment; None as value removes a variable
    stderr     None: read into `log`; else what subprocess takes, and there is no log
    orderly    when the test is over: end by TERM, and expect that nothing is left
    Whatever else Launch and subprocess.Popen take: binary, starter, cwd, user, stdin, pass_fds ...
    """

    def __init__(
        self,
        *options,
        listen="tcp://127.0.0.1:0",
        start=20,
        server=(),
        command=None,
        stderr=None,
        orderly=True,
        **how,
    ):
        listen = [listen] if isinstance(listen, str) else list(listen or ())
        arguments = [f"-listen={uri}" for uri in listen]
        arguments += [] if start is None else [f"-start={start}"]
        arguments += [*options, "--", *(command or [SERVER, *server])]
        self.orderly = orderly
        self.log = None
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.DEVNULL)
        if stderr is None:
            reading, writing = os.pipe()
            try:
                self._launch = Launch(arguments, stderr=writing, **how)
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
            self.log = MasterLog(reading)
        else:
            self._launch = Launch(arguments, stderr=stderr, **how)
        self.process = self._launch.process
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(judge=kind is None)

    # --- the log -------------------------------------------------------------------------------

    def wait_log(self, pattern, deadline=10.0, since=0, count=1):
        """Waits for a line of the master's own; returns the match."""
        return self.log.wait(pattern, deadline * PATIENCE, since, worker=0, count=count)

    def wait_output(self, pattern, deadline=10.0, since=0, count=1, worker=None):
        """Waits for a line, by default of whomever; returns the match."""
        return self.log.wait(pattern, deadline * PATIENCE, since, worker, count)

    def said(self, event, since=0, **known):
        """Every match of an event of masterlog.SAYS so far."""
        return self.log.find_all(says(event, **known), since)

    @property
    def addresses(self):
        """The actual addresses of the listeners, in order."""
        return [found["address"] for found in self.said("listening")]

    @property
    def address(self):
        """The first of them."""
        return self.wait_log(says("listening"))["address"]

    # --- its life ------------------------------------------------------------------------------

    def signal(self, number):
        self.process.send_signal(number)

    def hup(self):
        self.signal(SIGHUP)

    def term(self):
        self.signal(SIGTERM)

    def wait_ready(self, generation=1, deadline=10.0):
        """Waits until a generation has a worker that is ready; returns its pid."""
        return int(self.wait_log(says("ready", generation=generation), deadline)["pid"])

    def wait_serving(self, address=None, deadline=10.0):
        """Waits until a worker answers; returns its answer."""

        def answers():
            try:
                return client.get(address or self.address, timeout=deadline * PATIENCE)
            except OSError:
                return None

        return eventually(answers, deadline, "an answer")

    def reload(self, deadline=10.0, succeeds=True):
        """HUP, and waits for the end of that rollout; returns its generation."""
        since = len(self.log)
        self.hup()
        begun = self.wait_log(says("reload"), deadline, since)["generation"]
        ended = self.wait_log(says("rollout_ended", generation=begun), deadline, since)
        assert (ended["how"] == "done") == succeeds, self.log.text(last=20)
        return int(ended["generation"])

    def wait_exit(self, deadline=10.0):
        """Its exit status, negative for a signal."""
        status = self._launch.wait(deadline)
        if self.log is not None:
            # Its last lines may still be in the pipe; where others hold that, it has no end.
            eventually(
                lambda: self.log.ended or not self.log.reading or self._launch.leftovers(),
                deadline,
                "the log's end",
            )
        return status

    def stop(self, number=SIGTERM, deadline=10.0):
        """Asks it to stop and returns its exit status."""
        self.signal(number)
        return self.wait_exit(deadline)

    def close(self, judge=True):
        """Ends it with everything that it started. judge: fail on what should not be."""
        problems = []
        try:
            if self.log is not None:
                self.log.resume()
            if self.orderly and judge and self.process.poll() is None:
                self.term()
                self._launch.wait(10.0)
        except AssertionError as error:
            problems.append(f"after TERM it {error}")
        left = self._launch.kill_all()
        if self.orderly and left:
            problems.append(f"it left behind: {', '.join(left)}")
        problems += self._launch.complaints(complete=self.orderly)
        if self.log is not None:
            eventually(lambda: self.log.ended, what="the log's end")
            self.log.close()
            problems += [line.text for line in self.log.lines if _SANITIZER.search(line.text)]
        if judge and problems:
            raise AssertionError("\n".join(problems) + "\nthe log:\n" + self.log_text())

    def log_text(self, last=60):
        return self.log.text(last) if self.log is not None else "(not read)"

    # --- what it has ---------------------------------------------------------------------------

    @property
    def workers(self):
        """The pids of its living children."""
        return procfs.children(self.pid)

    @property
    def leftovers(self):
        """What lives of it and of all that it started, also after its end."""
        return self._launch.leftovers()

    @property
    def zombies(self):
        return procfs.children(self.pid, zombies=True)

    @property
    def fds(self):
        """Its open descriptors, number -> target, without those of a wrapper."""
        return {
            number: target
            for number, target in procfs.fds(self.pid).items()
            if not self._launch.is_wrapper_fd(number, target)
        }

    @property
    def rss_kb(self):
        return procfs.rss_kb(self.pid)

    @property
    def pss_kb(self):
        return procfs.pss_kb(self.pid)

    def status(self, field):
        return procfs.status(self.pid, field)

    def get(self, path="/", address=None, timeout=10.0):
        return client.get(address or self.address, path, timeout * PATIENCE)

    def connect(self, address=None, timeout=10.0):
        return client.connect(address or self.address, timeout * PATIENCE)


class Load:
    """The load program, asking until it is told to stop. Use it as a context manager."""

    PROGRESS_MS = 20

    def __init__(self, address, threads=2, keepalive=1, path="/", pause_us=0, timeout=10.0):
        self.result = None
        self.answered = self.failed = 0
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [
                LOAD,
                f"--target={load_target(address)}",
                f"--threads={threads}",
                f"--keepalive={keepalive}",
                f"--path={path}",
                f"--pause-us={pause_us}",
                f"--timeout-ms={int(timeout * PATIENCE * 1000)}",
                f"--progress={self.PROGRESS_MS}",
                "--until-stdin-closes",
                "--json",
            ],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read_progress, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read_progress(self):
        for line in self.process.stderr:
            found = re.match(rb"(\d+) answered, (\d+) failed", line)
            if found:
                self.answered, self.failed = int(found[1]), int(found[2])

    def wait_answered(self, more=1, deadline=10.0):
        """Waits until so many further requests were answered."""
        goal = self.answered + more
        eventually(lambda: self.answered >= goal, deadline, f"{more} more answers")

    def stop(self, deadline=30.0):
        """Lets every thread finish its request; returns the result, also kept as `result`."""
        if self.result is None:
            self.process.stdin.close()
            try:
                self.process.wait(deadline * PATIENCE)
            finally:
                self.process.kill()
                self.process.wait()
                self._reader.join()
                self.process.stderr.close()
                self._output.seek(0)
                text = self._output.read()
                self._output.close()
            self.result = json.loads(text)
        return self.result

    @property
    def generations(self):
        """Which generations answered."""
        return {worker["generation"] for worker in self.stop()["workers"]}

    def assert_lossless(self, at_least=1):
        """Nothing failed, and there were requests enough to tell."""
        result = self.stop()
        told = {name: count for name, count in result.items() if name != "workers"}
        assert result["failed"] == 0, told
        assert result["ok"] >= at_least, told


def load_target(address):
    """An address as the log shows it, for the load program."""
    scheme, rest = client.split_uri(address)
    if scheme in ("tcp", "tcp4", "tcp6"):
        host, port = client.host_and_port(rest)
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    name = client.unix_name(rest)
    return f"{scheme}:@{name[1:]}" if name.startswith("\0") else f"{scheme}://{name}"
