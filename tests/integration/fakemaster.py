"""A master of whatever manners, for the client to talk to."""

import contextlib
import json
import socket
import threading


class Talk:
    """One connection: the question that came in, and what is said to it."""

    def __init__(self, connection, line):
        self.connection = connection
        self.line = line
        self.question = json.loads(line) if line else None

    def raw(self, data):
        self.connection.sendall(data)

    def say(self, message, **keys):
        self.raw(json.dumps({"message": message, "request_id": 1, **keys}).encode() + b"\n")

    def listen(self):
        """Waits until the client has gone."""
        with contextlib.suppress(ConnectionError):
            while self.connection.recv(4096):
                pass


class FakeMaster:
    """Serves at a path, one client after another: serve(talk) is called for each question."""

    def __init__(self, path, serve, reads=True):
        self.path = path
        self.talks = []
        self._serve = serve
        self._reads = reads
        self._failure = None
        self._ending = False
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ending = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        if self._failure:
            raise self._failure

    @property
    def questions(self):
        return [talk.question for talk in self.talks]

    def _run(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with connection, connection.makefile("rb") as lines:
                    line = lines.readline() if self._reads else b""
                    self.talks.append(Talk(connection, line))
                    self._serve(self.talks[-1])
            except ConnectionError:
                pass  # the client has had enough
            except Exception as failure:  # told by the test that it belongs to
                self._failure = failure
