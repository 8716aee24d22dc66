"""Workers that spoil what they share: the listeners are put right again, with the servers that do it.

nginx is tested where it is installed.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading

import client
import pytest
from harness import PATIENCE, eventually
from masterlog import says
from strace import FailingStart, native_only
from test_real_servers import GUNICORN, NGINX, NODE, PATH, START, UVICORN, wait_answering
from workers import Deploy, wait_only

heavy = pytest.mark.heavy

FIRST_LISTENER = 3
PATIENT = 30.0  # seconds
ENVIRONMENT = {"PATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"}

# A worker that does something to its listeners when it begins and when it is told to end.
WORKER = [
    sys.executable,
    "-c",
    r"""
import os, signal, socket, sys
listeners = [socket.socket(fileno=3 + i) for i in range(int(os.environ["EINHORN_FD_COUNT"]))]
generation = int(os.environ["SOCKETMASTER_GENERATION"])
def shut(how, times=1, listens=False):
    for _ in range(times):
        try:
            listeners[0].shutdown(how)
        except OSError:
            pass
    if listens: # at a port of the kernel's choice, where that had chosen it before
        listeners[0].listen(100)
def leave(*_):
    exec(sys.argv[2])
    os._exit(0)
signal.signal(signal.SIGHUP, leave)
signal.signal(signal.SIGTERM, leave)
exec(sys.argv[1])
print("begun", flush=True)
while True:
    signal.pause()
""",
]


def worker(begin="pass", leave="pass"):
    return [*WORKER, begin, leave]


def wait_begun(master, generation):
    """Waits until such a worker has done what it begins with; returns its pid."""
    started = master.wait_log(says("started", generation=generation))
    pid = int(started["pid"])
    master.wait_output(r"^begun$", worker=pid)
    return pid


def is_nonblocking(pid, number=FIRST_LISTENER):
    """The mode of the open file, which all who hold it share."""
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as info:
        flags = re.search(r"^flags:\s*(\d+)$", info.read(), re.MULTILINE)
    return int(flags[1], 8) & os.O_NONBLOCK != 0


def backlog(address):
    """The limit of a listener's queue, as the kernel tells it."""
    internet = address.startswith("tcp")
    rest = address.partition(":")[2]
    name = rest[rest.rindex(":") :] if internet else client.unix_name(rest).replace("\0", "@")
    shown = subprocess.run(
        ["ss", "-Hln", "-t" if internet else "-x"], check=True, capture_output=True, text=True
    ).stdout
    for words in map(str.split, shown.splitlines()):
        for before, word in zip(words, words[1:]):
            if word.endswith(name) if internet else word == name:
                return int(before)
    raise AssertionError(f"{address} is not in {shown}")


def maximum():
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as limit:
        return int(limit.read())


# --- blocking mode -------------------------------------------------------------------------------


@pytest.mark.rules("L8")
@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "unix://{dir}/s"])
def test_a_listener_is_never_made_blocking(listen, socket_dir, master):
    begin = "listeners[0].setblocking(False) if generation == 1 else None"
    one = master(listen=listen.format(dir=socket_dir), command=worker(begin))
    assert is_nonblocking(wait_begun(one, 1))
    one.wait_ready(1)
    one.reload()
    assert is_nonblocking(wait_begun(one, 2))
    one.reload()
    assert is_nonblocking(wait_begun(one, 3))


@heavy
@pytest.mark.rules("L8")
def test_uvicorn_is_not_disturbed_by_a_reload(socket_dir, master, load):
    deploy = Deploy(socket_dir)
    deploy.run(f'exec {" ".join(UVICORN)} --fd=3')
    one = master("-stop-signal=TERM", start=START, command=[deploy.path], env=ENVIRONMENT)
    first = one.wait_ready(1)
    wait_answering(one, 1)
    assert is_nonblocking(first)
    asking = load(one.address, threads=4)
    asking.wait_answered(100, PATIENT)
    # These do not make it non-blocking: what they find is what uvicorn has left.
    deploy.serve()
    for _ in range(3):
        one.reload(PATIENT)
        asking.wait_answered(100, PATIENT)
    assert is_nonblocking(one.wait_ready(4))
    asking.assert_lossless(400)


@pytest.mark.rules("L8", "L3")
def test_nonblocking_is_put_back_before_a_start(master):
    begin = "listeners[0].setblocking(True) if generation == 1 else None"
    one = master(listen="tcp://127.0.0.1:0?nonblock=true", command=worker(begin))
    assert not is_nonblocking(wait_begun(one, 1))
    one.wait_ready(1)
    one.reload()
    assert is_nonblocking(wait_begun(one, 2))
    assert len(one.said("nonblocking_again", address=one.address)) == 1


@heavy
@pytest.mark.rules("L8", "L3")
@pytest.mark.skipif(not shutil.which("nginx", path=PATH), reason="nginx is not installed")
def test_after_nginx_the_next_worker_finds_it_nonblocking(socket_dir, master):
    deploy = Deploy(socket_dir)
    words = [word.format(dir=socket_dir) for word in NGINX]
    deploy.run(f'exec {" ".join(words)}')
    one = master(
        "-stop-signal=QUIT",
        "-env=nginx",
        listen="tcp4://127.0.0.1:0?nonblock=true",
        start=START,
        command=[deploy.path],
        env=ENVIRONMENT,
    )
    one.wait_ready(1)
    wait_answering(one, 1)
    deploy.serve()
    one.reload(PATIENT)
    assert is_nonblocking(one.wait_ready(2))


# --- backlog -------------------------------------------------------------------------------------

ASYNCIO = [
    sys.executable,
    "-c",
    r"""
import asyncio, os, socket
answer = b"HTTP/1.0 200 OK\r\n\r\npid=%d\n" % os.getpid()
async def serve(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(answer)
    writer.close()
async def main():
    server = await asyncio.start_server(serve, sock=socket.socket(fileno=3))
    await server.serve_forever()
asyncio.run(main())
""",
]

# A command, what it cuts the backlog to, and what was asked for (0: the maximum).
CUTS = [
    pytest.param(ASYNCIO, 100, 0, id="asyncio"),
    pytest.param(ASYNCIO, 100, 128, id="asyncio, 128"),
    pytest.param(NODE, 511, 0, id="node", marks=heavy),
]


@pytest.mark.rules("L8")
@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "unix://{dir}/s"])
@pytest.mark.parametrize("command, cut, asked", CUTS)
def test_a_backlog_that_a_server_cut_is_put_back(command, cut, asked, listen, socket_dir, master):
    query = f"?backlog={asked}" if asked else ""
    wanted = min(asked, maximum()) if asked else maximum()
    if wanted <= cut:
        pytest.skip("this machine grants no more than the server asks for")
    one = master(
        listen=listen.format(dir=socket_dir) + query, start=START, command=command, env=ENVIRONMENT
    )
    one.wait_serving(deadline=PATIENT)
    assert backlog(one.address) == cut
    one.wait_ready(1, PATIENT)
    one.wait_log(says("backlog_put_back", address=one.address, cut=cut, backlog=wanted))
    assert backlog(one.address) == wanted


@pytest.mark.rules("L8")
def test_a_backlog_of_a_worker_that_is_never_ready_is_put_back(master):
    begin = "generation == 1 or [listeners[0].listen(5), os._exit(1)]"
    one = master(start=START, command=worker(begin))
    one.wait_ready(1)
    one.reload(succeeds=False)
    one.wait_log(says("backlog_put_back", cut=5, backlog=maximum()))
    assert backlog(one.address) == maximum()
    assert len(one.said("backlog_put_back")) == 1


@pytest.mark.rules("L8", "L9")
def test_a_passed_listener_gets_back_what_it_had(master):
    with socket.create_server(("127.0.0.1", 0), backlog=77) as passed:
        one = master(
            listen=f"fd://{passed.fileno()}",
            pass_fds=[passed.fileno()],
            start=START,
            command=worker("listeners[0].listen(5)"),
        )
        one.wait_log(says("backlog_put_back", cut=5, backlog=77))
        assert backlog(one.address) == 77


# --- socket files --------------------------------------------------------------------------------


class Patient(threading.Thread):
    """A client that asks again and again. That the file is missing for a moment is no failure,
    since nobody can keep a worker from removing it; everything else is."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.answers = []
        self.failures = []
        self._over = threading.Event()
        self.start()

    def run(self):
        while not self._over.is_set():
            try:
                self.answers.append(client.get(self.address, timeout=PATIENT * PATIENCE))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.failures.append(error)

    def wait_answered(self, more):
        goal = len(self.answers) + more
        eventually(lambda: len(self.answers) >= goal or self.failures, PATIENT, "answers")

    def stop(self):
        self._over.set()
        self.join()


@heavy
@pytest.mark.rules("L8", "L6")
def test_gunicorn_removes_the_socket_file_and_nobody_notices(socket_dir, master):
    path = socket_dir / "s"
    one = master(
        "-stop-signal=TERM",
        # Told by LISTEN_FDS, it would leave the file alone.
        "-env=einhorn",
        listen=f"unix://{path}",
        start=START,
        command=[*GUNICORN, "--bind=fd://3"],
        env=ENVIRONMENT,
    )
    one.wait_ready(1)
    wait_answering(one, 1)
    inode = path.stat().st_ino
    asking = [Patient(one.address) for _ in range(2)]
    for generation in range(2, 5):
        asking[0].wait_answered(50)
        one.reload(PATIENT)
        wait_only(one, one.wait_ready(generation))
        one.wait_log(says("file_put_back", address=one.address), PATIENT, count=generation - 1)
        wait_answering(one, generation)
        assert path.stat().st_ino == inode
    asking[0].wait_answered(50)
    for patient in asking:
        patient.stop()
        assert not patient.failures
    assert one.stop(deadline=PATIENT) == 0
    assert not list(socket_dir.iterdir())


REMOVE = "os.unlink(listeners[0].getsockname())"


@pytest.mark.rules("L8", "L7")
@pytest.mark.parametrize("kind", ["unix", "unixpacket", "unixgram"])
def test_a_removed_socket_file_is_put_back_at_once(kind, socket_dir, master):
    path = socket_dir / "s"
    one = master(
        listen=f"{kind}://{path}?mode=640", command=worker(f"generation == 2 and {REMOVE}")
    )
    wait_begun(one, 1)
    before = path.lstat()
    one.reload()
    wait_begun(one, 2)
    one.wait_log(says("file_put_back", address=one.address))
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, 2)
    # Whoever it was, and however often; the second name as well.
    for count in range(2, 5):
        (socket_dir / "s.socketmaster").unlink()
        eventually((socket_dir / "s.socketmaster").exists, what="the second name")
        path.unlink()
        one.wait_log(says("file_put_back"), count=count)
        assert path.lstat().st_ino == before.st_ino
    assert one.stop() == 0
    assert not list(socket_dir.iterdir())


@pytest.mark.rules("L8", "L7")
def test_a_file_that_took_its_place_is_left_alone(socket_dir, master):
    path, other = socket_dir / "s", socket_dir / "other"
    one = master(listen=[f"unix://{path}", "tcp://127.0.0.1:0"])
    pid = one.wait_ready(1)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(other))
        theirs.listen()
        other.rename(path)
        one.wait_log(says("file_replaced", address=one.addresses[0]))
        inode = path.lstat().st_ino
        one.reload()
        wait_only(one, one.wait_ready(2))
        assert len(one.said("file_replaced")) == 1
        assert path.lstat().st_ino == inode
        path.unlink()
    # It is noticed that it has gone when the master looks again.
    one.reload()
    one.wait_log(says("file_put_back", address=one.addresses[0]))
    assert one.get(address=one.addresses[0]).pid != pid


@native_only
@pytest.mark.rules("L8", "I7")
@pytest.mark.parametrize("call", ["inotify_init1", "inotify_add_watch"])
def test_without_inotify_it_is_put_back_when_a_worker_has_ended(call, socket_dir, master):
    path = socket_dir / "s"
    strace, *options = FailingStart(socket_dir, f"{call}:error=ENOSPC").words
    one = master(
        listen=f"unix://{path}",
        command=worker(leave=REMOVE),
        # -D: the master is the process that is started, and strace looks on from beside.
        starter=[strace, "-D", *options],
    )
    one.wait_log(r"^socket files are not watched: No space left on device$")
    wait_begun(one, 1)
    inode = path.lstat().st_ino
    one.wait_ready(1)
    for count in (1, 2):
        one.reload()
        one.wait_log(says("file_put_back"), count=count)
        assert path.lstat().st_ino == inode
        wait_begun(one, 1 + count)
    assert one.stop() == 0
    # strace, which looks on from beside, goes a moment after what it looked at.
    eventually(lambda: not one.leftovers, what="the end of strace")


# --- shutdown ------------------------------------------------------------------------------------

@pytest.mark.rules("L8")
@pytest.mark.parametrize("how", ["SHUT_RD", "SHUT_RDWR", "SHUT_RDWR, 2"])
@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "tcp6://[::1]:0", "tcp://:0"])
def test_tcp_that_was_shut_down_listens_again(listen, how, socket_dir, master):
    deploy = Deploy(socket_dir)
    leave = f"generation < 3 and shut(socket.{how})"
    deploy.run("exec " + shlex.join(worker(leave=leave)))
    one = master(listen=listen, command=[deploy.path])
    for count in (1, 2):
        wait_begun(one, count)
        one.wait_ready(count)
        one.reload()
        one.wait_log(says("listening_again", address=one.address), count=count)
        assert backlog(one.address) == maximum()
        wait_only(one, one.wait_ready(1 + count))
    # Who comes now waits for one who accepts.
    wait_begun(one, 3)
    with one.connect() as waiting:
        deploy.serve()
        one.reload()
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert waiting.recv(12) == b"HTTP/1.1 200"


@pytest.mark.rules("L8", "L6")
@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "tcp6://[::1]:0", "tcp://:0"])
def test_tcp_that_listens_at_another_port_comes_back(listen, master):
    one = master(
        listen=listen,
        command=worker(leave="generation == 1 and shut(socket.SHUT_RDWR, listens=True)"),
    )
    wait_begun(one, 1)
    one.wait_ready(1)
    one.reload()
    one.wait_log(says("listening_again", address=one.address))
    assert backlog(one.address) == maximum()
    one.connect().close()


@pytest.mark.rules("L8")
@pytest.mark.parametrize("listen", ["unix://{dir}/s", "unix:@{dir}", "unixpacket://{dir}/s"])
def test_unix_that_was_shut_down_is_told_of_once(listen, socket_dir, master):
    one = master(
        listen=[listen.format(dir=socket_dir), "tcp://127.0.0.1:0"],
        command=worker("generation == 1 and shut(socket.SHUT_RDWR)"),
    )
    wait_begun(one, 1)
    one.wait_ready(1)
    for generation in (2, 3):
        one.reload()
        wait_begun(one, generation)
    assert len(one.said("shut_down", address=one.addresses[0])) == 1
    with pytest.raises(ConnectionRefusedError):
        one.connect(one.addresses[0])
    one.connect(one.addresses[1]).close()
