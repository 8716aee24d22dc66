"""A client for every kind of listener, by the URI that the master's log shows."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import unquote

WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
INTERNET = {
    "tcp": (socket.SOCK_STREAM, socket.AF_UNSPEC),
    "tcp4": (socket.SOCK_STREAM, socket.AF_INET),
    "tcp6": (socket.SOCK_STREAM, socket.AF_INET6),
    "udp": (socket.SOCK_DGRAM, socket.AF_UNSPEC),
    "udp4": (socket.SOCK_DGRAM, socket.AF_INET),
    "udp6": (socket.SOCK_DGRAM, socket.AF_INET6),
}
UNIX = {
    "unix": socket.SOCK_STREAM,
    "unixpacket": socket.SOCK_SEQPACKET,
    "unixgram": socket.SOCK_DGRAM,
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict  # names in lower case
    body: str

    @property
    def lines(self):
        return self.body.splitlines()

    @property
    def fields(self):
        """The fixture server's NAME=VALUE words, or NAME=VALUE lines, as a dictionary."""
        words = self.lines if len(self.lines) > 1 else self.body.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    @property
    def pid(self):
        return int(self.fields["pid"])


def split_uri(uri):
    """Scheme and rest, without the query."""
    scheme, _, rest = uri.partition("?")[0].partition(":")
    return scheme, rest


def unix_name(rest):
    """What stands after unix: as a name for the socket module."""
    if rest.startswith("@"):
        return "\0" + unquote(rest[1:])
    return unquote(rest.removeprefix("//"))


def host_and_port(rest):
    host, _, port = rest.removeprefix("//").rpartition(":")
    host = unquote(host.removeprefix("[").removesuffix("]"))
    return WILDCARDS.get(host, host), int(port)


def connect(uri, timeout=10.0):
    """A connected socket. A unixgram one has a name of its own, so that it can be answered."""
    scheme, rest = split_uri(uri)
    if scheme in INTERNET:
        kind, family = INTERNET[scheme]
        host, port = host_and_port(rest)
        family, kind, _, _, address = socket.getaddrinfo(host, port, family, kind)[0]
    else:
        kind, family, address = UNIX[scheme], socket.AF_UNIX, unix_name(rest)
    connected = socket.socket(family, kind)
    try:
        connected.settimeout(timeout)
        if scheme == "unixgram":
            connected.bind("")
        connected.connect(address)
    except OSError:
        connected.close()
        raise
    return connected


def parse_answer(data):
    """One whole HTTP answer whose body ends with the data."""
    head, separator, body = data.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
    if not separator or not found:
        raise ConnectionError(f"not an HTTP answer: {data[:100]!r}")
    headers = {}
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if "content-length" in headers and int(headers["content-length"]) != len(body):
        raise ConnectionError(f"{len(body)} bytes of {headers['content-length']} came")
    return Answer(int(found[1]), headers, body.decode(errors="surrogateescape"))


def get(uri, path="/", timeout=10.0):
    """GET on a connection of its own. ConnectionError where the answer is not whole."""
    with connect(uri, timeout) as connected:
        request = f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        connected.sendall(request.encode())
        data = b""
        while chunk := connected.recv(65536):
            data += chunk
    return parse_answer(data)


def ask_datagram(uri, question=b"who?", timeout=10.0):
    """One datagram there, one back."""
    with connect(uri, timeout) as connected:
        connected.send(question)
        return connected.recv(65536)
