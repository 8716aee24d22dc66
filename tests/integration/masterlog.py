"""The master's log as it grows: lines with their parts, and waiting for what one of them says.

The words of the log stand here and nowhere else in the tests: SAYS has a pattern for each event,
and says() fills in what a test knows already.
"""

import json
import re
import select
import os
import socket
import threading
import time
from dataclasses import dataclass

# <name> stands for a number unless says() is given it; other groups are written out.
_WORKER = r"generation <generation>: worker <pid> \(slot <slot>\) "
SAYS = {
    "listening": r"listening on (?P<address>\S+) as descriptor <fd>(?: named (?P<name>.+))?$",
    "nonblocking_again": r"listener (?P<address>\S+): a worker made it blocking, non-blocking again$",
    "backlog_put_back": r"listener (?P<address>\S+): a worker cut the backlog to <cut>, "
    r"put back to <backlog>$",
    "listening_again": r"listener (?P<address>\S+): a worker shut it down, listening again$",
    "shut_down": r"listener (?P<address>\S+): a worker shut it down: only a new master can .*$",
    "file_put_back": r"listener (?P<address>\S+): its socket file was removed, put back$",
    "file_replaced": r"listener (?P<address>\S+): another file has taken the place .* left alone$",
    "started": _WORKER + r"started: (?P<command>.*)$",
    "not_started": r"generation <generation>: worker (?:<pid> )?\(slot <slot>\) "
    r"not started: unable to (?P<why>.*)$",
    "ready": _WORKER + r"ready after <ms> ms$",
    "retired": _WORKER + r"retired: (?P<signal>\w+) sent$",
    "stopped": _WORKER + r"stopped(?: with its rollout)?: (?P<signal>\w+) sent$",
    "killed_late": _WORKER + r"has not ended within <ms> ms: KILL sent$",
    "killed_surplus": _WORKER + r"is the oldest of more than <limit> .*: KILL sent$",
    "ended": _WORKER + r"ended: (?:exit status <status>|killed by (?P<signal>\w+))"
    r" after <ms> ms(?P<unasked>, unasked)?$",
    "reload": r"generation <generation>: reload asked for, starting$",
    "reload_later": r"generation <generation>: reload asked for while .*: remembered$",
    "reload_refused": r"reload asked for after a stop: ignored$",
    "rollout_done": r"generation <generation>: rollout done in <ms> ms$",
    "rollout_failed": r"generation <generation>: rollout failed after <ms> ms: (?P<why>.*)$",
    "rollout_ended": r"generation <generation>: rollout (?P<how>done|failed) .*$",
    "late": _WORKER + r"is not ready after <ms> ms$",
    "lost": _WORKER + r"closed NOTIFY_FD without a newline, so it can never say that it is ready$",
    "replacing": r"generation <generation>: a replacement failed: the next one starts in <ms> ms "
    r"\(<count> in a row\)$",
    "scaled": r"workers wanted from now on: <count>$",
    "scale_later": r"workers wanted once this rollout has ended: <count>$",
    "scale_refused": r"refused a number of workers .*: <count>$",
    "stop": r"(?P<signal>\w+) received: stopping$",
    "exiting": r"ending with exit status <status>$",
}


def says(event, **known):
    """The pattern of an event, with what is known filled in: says("ready", generation=2)."""

    def number(field):
        name = field[1]
        if name in known:
            return f"(?P<{name}>{re.escape(str(known.pop(name)))})"
        return rf"(?P<{name}>\d+)"

    pattern = re.sub(r"(?<!\(\?P)<(\w+)>", number, SAYS[event])
    for name, value in known.items():
        pattern, count = re.subn(
            rf"\(\?P<{name}>[^)]*\)", lambda _: f"(?P<{name}>{re.escape(str(value))})", pattern
        )
        assert count == 1, f"{event} does not say {name}"
    return pattern


@dataclass(frozen=True)
class Line:
    raw: bytes
    master: int  # pid; 0 where the line is not in the log's form
    worker: int  # pid; 0: the master's own
    stamp: str  # "YYYY/MM/DD HH:MM:SS"
    text: str
    record: dict  # of a JSON line; else empty


_TEXT_LINE = re.compile(
    r"socketmaster\[(?P<master>\d+)\] (?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) "
    r"(?:\[(?P<worker>\d+)\] )?(?P<text>.*)\Z",
    re.DOTALL,
)


def parse_line(raw):
    text = raw.decode(errors="surrogateescape")
    found = _TEXT_LINE.match(text)
    if found:
        return Line(
            raw, int(found["master"]), int(found["worker"] or 0), found["stamp"], found["text"], {}
        )
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except ValueError:
            record = {}
        if "message" in record:
            pid, worker = record.get("pid", 0), record.get("worker", 0)
            return Line(raw, pid, worker, record.get("time", ""), record["message"], record)
    return Line(raw, 0, 0, "", text, {})


class MasterLog:
    """Reads a descriptor to its end, in a thread, and keeps the lines. Owns the descriptor."""

    def __init__(self, fd):
        self._fd = fd
        self._changed = threading.Condition()
        self._lines = []
        self._rest = b""
        self.ended = False
        self._reader = None
        self.resume()

    @property
    def lines(self):
        with self._changed:
            return list(self._lines)

    def __len__(self):
        """How many lines there are: a mark for `since`."""
        with self._changed:
            return len(self._lines)

    def text(self, last=None):
        """All lines, or the last ones, for people."""
        lines = self.lines[-last:] if last else self.lines
        return "\n".join(line.raw[:500].decode(errors="backslashreplace") for line in lines)

    def output_of(self, worker):
        """The lines that a worker wrote."""
        return [line.text for line in self.lines if line.worker == worker]

    @property
    def reading(self):
        return self._reader is not None

    def stall(self):
        """Stops reading, so that the pipe fills."""
        if self._reader is not None:
            self._wake_writer.close()
            self._reader.join()
            self._wake_reader.close()
            self._reader = None

    def resume(self):
        """Reads on, unless that is so already or the log was closed."""
        if self._reader is not None or self._fd < 0:
            return
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self):
        """Stops reading for good: the writer gets EPIPE. What was read stays."""
        self.stall()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.ended = True

    def _read(self):
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        poller.register(self._wake_reader, select.POLLIN)
        while True:
            if any(fd != self._fd for fd, _ in poller.poll()):
                return
            try:
                chunk = os.read(self._fd, 1 << 20)
            except OSError:  # what a terminal says when nobody holds its other side any more
                chunk = b""
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if not chunk and self._rest:
                whole, self._rest = [self._rest], b""
            with self._changed:
                self._lines.extend(map(parse_line, whole))
                self.ended = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def find(self, pattern, since=0, worker=None):
        """The match of the first line from number `since` on. worker: 0 the master, None any."""
        for line in self.lines[since:]:
            if worker is None or line.worker == worker:
                found = re.search(pattern, line.text)
                if found:
                    return found
        return None

    def find_all(self, pattern, since=0):
        """The matches of every line."""
        matches = (re.search(pattern, line.text) for line in self.lines[since:])
        return [found for found in matches if found]

    def wait(self, pattern, deadline, since=0, worker=None, count=1):
        """Waits for the count-th line that has the pattern, and returns its match."""
        end = time.monotonic() + deadline
        seen = since
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if worker is None or line.worker == worker:
                        found = re.search(pattern, line.text)
                        count -= found is not None
                        if count == 0:
                            return found
                seen = len(self._lines)
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    break
                self._changed.wait(left)
        why = "the log ended" if self.ended else f"not within {deadline} s"
        raise AssertionError(f"no line {pattern!r} ({why}); the log:\n{self.text(last=40)}")
