"""A client of the control socket for tests, as strict as the strictest of real ones.

Every reply is read in three ways, as JSON, as YAML and after URL-decoding, which must agree.
"""

import contextlib
import json
import socket
from urllib.parse import unquote_plus

import yaml
from harness import PATIENCE


def read_reply(line):
    """What a line means to every reader."""
    assert line.endswith(b"\n") and b"\n" not in line[:-1], line[:200]
    text = line.decode("utf-8")
    # Readers of other languages would take more for ends of lines.
    assert text.count("\n") == 1 and text.rstrip("\n").isprintable(), line[:200]
    reply = json.loads(text)
    # Reading YAML in Python takes seconds for what is as long as a status of all workers.
    if len(text) < 100_000:
        assert yaml.load(text, yaml.CSafeLoader) == reply, line
        assert json.loads(unquote_plus(text, errors="strict")) == reply, line
    assert "%" not in text and "+" not in text, line
    assert set(reply) <= {"message", "request_id", "wait", "error"}, reply
    assert reply.get("wait", True) is True and reply.get("error", True) is True, reply
    return reply


class Control:
    """A connection to a master's control socket. Use it as a context manager."""

    def __init__(self, path, timeout=20.0):
        self._socket = socket.socket(socket.AF_UNIX)
        self._rest = b""
        try:
            # With a deadline it would not wait for a place in the queue.
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(timeout * PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def send(self, data):
        """Bytes as they are, or a mapping as a line of JSON."""
        if isinstance(data, dict):
            data = json.dumps(data).replace("%", "%25").encode() + b"\n"
        self._socket.sendall(data)

    def shut(self):
        """Says that nothing more will come."""
        self._socket.shutdown(socket.SHUT_WR)

    def line(self):
        """The next line as it came, or b"" at the end."""
        while b"\n" not in self._rest:
            chunk = b""
            with contextlib.suppress(ConnectionResetError):
                chunk = self._socket.recv(1 << 16)
            if not chunk:
                assert not self._rest, self._rest
                return b""
            self._rest += chunk
        line, newline, self._rest = self._rest.partition(b"\n")
        return line + newline

    def reply(self):
        """The next reply, or None at the end."""
        line = self.line()
        return read_reply(line) if line else None

    def ended(self):
        """Waits for the other end to close; returns whether nothing came before that."""
        return self.line() == b""

    def ask(self, command, *args, **keys):
        """One request; returns its first reply."""
        self.send({"command": command, **({"args": list(args)} if args else {}), **keys})
        return self.reply()

    def tell(self, command, *args, **keys):
        """The same where it is not refused; returns the message."""
        reply = self.ask(command, *args, **keys)
        assert "error" not in reply, reply
        return reply["message"]

    def refused(self, command, *args, **keys):
        """The same where it is refused."""
        reply = self.ask(command, *args, **keys)
        assert reply.get("error") is True and "wait" not in reply, reply
        return reply["message"]

    def rest(self):
        """All replies up to the last one to the request that is under way."""
        replies = [self.reply()]
        while replies[-1] is not None and replies[-1].get("wait"):
            replies.append(self.reply())
        return replies

    def status(self):
        return json.loads(self.tell("status", "json"))


def ask(path, command, *args, **keys):
    """One request on a connection of its own; returns the reply."""
    with Control(path) as control:
        return control.ask(command, *args, **keys)


def tell(path, command, *args, **keys):
    """The same where it is not refused; returns the message."""
    with Control(path) as control:
        return control.tell(command, *args, **keys)


def refused(path, command, *args, **keys):
    """The same where it is refused; returns why."""
    with Control(path) as control:
        return control.refused(command, *args, **keys)


def status(path):
    return json.loads(tell(path, "status", "json"))
