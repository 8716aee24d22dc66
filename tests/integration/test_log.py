"""The log: its form, that every byte of a worker is in it once, and the steps that it tells."""

import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone
from signal import SIGKILL

import procfs
import pytest
from harness import SERVER, eventually, run
from masterlog import parse_line, says
from workers import Deploy, wait_gone, wait_only

FREE = "-listen=tcp://127.0.0.1:0"
PIECE = 65536
AMPLE = 300  # milliseconds in which a worker that crashes at once has surely gone

# A worker that writes what its arguments say: bytes as hexadecimal digits, or COUNT*TEXT.
WRITE = """
import sys
for word in sys.argv[1:]:
    count, star, text = word.partition("*")
    data = text.encode() * int(count) if star else bytes.fromhex(word)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


def records(done):
    """The lines of a log as (pid of the worker or 0, bytes)."""
    *lines, rest = os.fsencode(done.stderr).split(b"\n")
    assert rest == b""
    parsed = [parse_line(line) for line in lines]
    assert all(line.master for line in parsed), done.stderr[:1000]
    return [(line.worker, os.fsencode(line.text)) for line in parsed]


def written(done):
    """The bytes of a worker's lines."""
    return [text for worker, text in records(done) if worker]


def run_writer(*words, options=()):
    command = [sys.executable, "-ISc", WRITE, *words]
    return run(FREE, "-start=0", *options, "--", *command, deadline=30)


# --- the form ------------------------------------------------------------------------------------


@pytest.mark.rules("O1")
def test_lines_are_those_of_the_original(master):
    def now():
        return datetime.now(timezone(timedelta(hours=5, minutes=45))).replace(tzinfo=None)

    before = now() - timedelta(seconds=1)
    one = master(server=["--print-start"], env={"TZ": "TEST-5:45"})
    worker = one.wait_ready(1)
    one.get("/log?lines=3")
    one.wait_output("log 0000000003")
    assert one.stop() == 0
    for line in one.log.lines:
        form = rb"socketmaster\[%d\] (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (?:\[(\d+)\] )?([^ ].*)"
        stamp, writer, text = re.fullmatch(form % one.pid, line.raw).groups()
        assert before <= datetime.strptime(stamp.decode(), "%Y/%m/%d %H:%M:%S") <= now()
        theirs = text.startswith((b"started ", b"log ", b"draining ", b"leaving "))
        assert writer == (b"%d" % worker if theirs else None), line.raw


LIKE_OURS = [b"socketmaster[1] 2026/11/23 00:00:00 x"]

# What a worker writes, and the lines that it comes to.
WRITTEN = {
    "nothing": (b"", []),
    "one line": (b"one\n", [b"one"]),
    "no newline": (b"one", [b"one"]),
    "no newline at the end": (b"one\ntwo", [b"one", b"two"]),
    "empty lines": (b"\n\none\n\n", [b"", b"", b"one", b""]),
    "blanks": (b" one \t\n", [b" one \t"]),
    "NUL": (b"a\0b\n\0\n\0", [b"a\0b", b"\0", b"\0"]),
    "escapes": (b"\x1b[2J\x07\r\n\r", [b"\x1b[2J\x07\r", b"\r"]),
    "formats": (b"%s%n%d%%\n%", [b"%s%n%d%%", b"%"]),
    "not UTF-8": (b"\xff\xfe\xc3\n\x80", [b"\xff\xfe\xc3", b"\x80"]),
    "one like ours": (LIKE_OURS[0] + b"\n", LIKE_OURS),
}


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("data, lines", WRITTEN.values(), ids=WRITTEN)
def test_every_byte_is_kept(data, lines):
    assert written(run_writer(data.hex())) == lines


# How long a line is, with and without a newline, and the pieces that it is cut into.
LENGTHS = [
    (PIECE - 1, [PIECE - 1]),
    (PIECE, [PIECE]),
    (PIECE + 1, [PIECE, 1]),
    (3 * PIECE, [PIECE, PIECE, PIECE]),
    (3 * PIECE + 7, [PIECE, PIECE, PIECE, 7]),
]


@pytest.mark.rules("O2")
@pytest.mark.parametrize("ending", [b"", b"\n", b"\nend\n"])
@pytest.mark.parametrize("length, pieces", LENGTHS)
def test_long_lines_are_cut_into_pieces(length, pieces, ending):
    lines = written(run_writer(f"{length}*x", ending.hex()))
    assert [len(line) for line in lines] == pieces + [3] * (b"end" in ending)
    assert b"".join(lines) == b"x" * length + ending.replace(b"\n", b"")


@pytest.mark.rules("O2")
def test_ten_megabytes_without_a_newline_arrive():
    text = "0123456789abcdefghijklmnopqrstuvwxyz-"  # of no length that divides a piece
    count = 10_000_000 // len(text)
    lines = written(run_writer(f"{count}*{text}", b"\nafter\n".hex()))
    assert {len(line) for line in lines[:-2]} == {PIECE}
    assert b"".join(lines) == text.encode() * count + b"after"


@pytest.mark.rules("O2")
def test_output_and_error_are_one_stream_in_order():
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    done = run(FREE, "-start=0", "--", "/bin/sh", "-c", script)
    expected = [f"{name} {i}".encode() for i in range(1, 10) for name in ("out", "err")]
    assert written(done) == expected


@pytest.mark.rules("O2")
@pytest.mark.parametrize("part", range(20))
def test_what_a_worker_wrote_before_its_end_is_logged(part):
    done = run(FREE, "-start=0", "--", SERVER, "--flood=1:500", "--flood-exit", "--output-last=3")
    lines = [line[:16] for line in written(done)]
    expected = [b"flood %010d" % i for i in range(1, 2001)] + [b"last %010d" % i for i in (1, 2, 3)]
    assert [line.strip() for line in lines] == expected


@pytest.mark.rules("O2")
@pytest.mark.parametrize("options", [[], ["-log=json"]])
def test_last_words_of_a_killed_worker_are_logged_before_its_end(options):
    script = "printf 'first\\nlast words'; kill -KILL $$"
    done = run(FREE, *options, "--", "/bin/sh", "-c", script)
    assert done.status == 128 + SIGKILL
    texts = [parse_line(os.fsencode(line)).text for line in done.error_lines]
    ended = next(i for i, text in enumerate(texts) if re.search(says("ended"), text))
    assert texts[ended - 2 : ended] == ["first", "last words"]


def numbers_of(lines, word):
    """The numbers of the fixture server's lines; each must be whole."""
    found = []
    for line in lines:
        match = re.fullmatch(rf"{word} (\d{{10}})(?: x*)?", line)
        if match:
            assert len(line) == 99, line
            found.append(int(match[1]))
    return found


@pytest.mark.rules("O2", "I6")
def test_lines_of_two_generations_never_mix(socket_dir, master):
    deploy = Deploy(socket_dir, "--output-last=7")
    one = master(command=[deploy.path])
    first = one.wait_ready(1)
    one.log.stall()
    deploy.serve("--flood=2:100")
    with one.connect() as asking:
        asking.sendall(b"GET /log?lines=20000&bytes=100 HTTP/1.1\r\nConnection: close\r\n\r\n")
        one.hup()
        second = deploy.notes.wait_start(2)
        one.log.resume()
        assert asking.recv(100)
    assert one.wait_ready(2) == second
    wait_gone(first)
    one.get("/")
    assert one.stop() == 0
    assert numbers_of(one.log.output_of(first), "log") == [*range(1, 20001)]
    assert numbers_of(one.log.output_of(second), "flood") == [*range(1, 20001)]
    assert len([line for line in one.log.output_of(first) if line.startswith("last ")]) == 7
    others = {line.worker for line in one.log.lines} - {0, first, second}
    assert not others and all(line.master == one.pid for line in one.log.lines)


# --- JSON ----------------------------------------------------------------------------------------


def objects(done):
    """Every line of a JSON log; those of the master, and those of a worker."""
    found = [json.loads(line) for line in done.stderr.split("\n")[:-1]]
    for one in found:
        stamp = datetime.fromisoformat(one["time"])
        assert stamp.tzinfo and abs(datetime.now(timezone.utc) - stamp) < timedelta(hours=1)
        assert ("worker" in one) != ("severity" in one)
    return [o for o in found if "severity" in o], [o for o in found if "worker" in o]


# What a worker writes, the message, and the encoding.
MESSAGES = [
    (b"plain", "plain", None),
    (b"", "", None),
    (b'"quoted" \\ back / slash', '"quoted" \\ back / slash', None),
    (b'{"a": [1, "b"]}', '{"a": [1, "b"]}', None),
    (b"\x01\x02\t\x0b\x1b[2J\x7f\0\r", "\x01\x02\t\x0b\x1b[2J\x7f\0\r", None),
    ("é € 😀 \u2028 \ufeff".encode(), "é € 😀 \u2028 \ufeff", None),
    (b"\xff\xfe\x80\xc3", "\xff\xfe\x80\xc3", "latin-1"),
    (b"caf\xc3\xa9 \xff", "caf\xc3\xa9 \xff", "latin-1"),
    (b"\xed\xa0\x80", "\xed\xa0\x80", "latin-1"),
    (b"\xc0\x80", "\xc0\x80", "latin-1"),
    (b"\xf4\x90\x80\x80", "\xf4\x90\x80\x80", "latin-1"),
    (b"\xe2\x82", "\xe2\x82", "latin-1"),
]


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("data, message, encoding", MESSAGES)
def test_json_keeps_every_byte(data, message, encoding):
    own, (theirs,) = objects(run_writer((data + b"\n").hex(), options=["-log=json"]))
    assert theirs["message"] == message and theirs.get("encoding") == encoding
    assert theirs["message"].encode(encoding or "utf-8") == data
    assert theirs.keys() - {"encoding"} == {"time", "pid", "worker", "message"}
    (started,) = [o for o in own if re.search(says("started"), o["message"])]
    assert re.search(says("started", pid=theirs["worker"]), started["message"])
    assert {o["pid"] for o in own} == {theirs["pid"]}


@pytest.mark.rules("O1", "O2")
@pytest.mark.parametrize("byte", [b"x", b"\xff", b"\x01"])
def test_json_tells_where_a_line_goes_on(byte):
    data = byte * (2 * PIECE + 5)
    words = [data[i : i + 20000].hex() for i in range(0, len(data), 20000)]
    own, theirs = objects(run_writer(*words, b"\nend\n".hex(), options=["-log=json"]))
    assert [o.get("continues", False) for o in theirs] == [True, True, False, False]
    assert [len(o["message"]) for o in theirs] == [PIECE, PIECE, 5, 3]
    encoded = "".join(o["message"] for o in theirs[:3]).encode("latin-1")
    assert encoded == data


@pytest.mark.rules("O1")
def test_json_tells_how_severe_it_is(master):
    one = master("-log=json")
    one.wait_ready(1)
    one.get("/exit?code=3")
    assert one.wait_exit() == 3
    severity = {line.text.split()[0]: line.record["severity"] for line in one.log.lines}
    assert severity["listening"] == "info" and severity["no"] == "err"
    ended = [line.record for line in one.log.lines if "ended:" in line.text]
    assert [record["severity"] for record in ended] == ["warning"]


@pytest.mark.rules("O1", "C6")
def test_json_tells_why_a_start_failed():
    done = run("-log=json", "-listen=fd://99", "/bin/true")
    (failure,) = [json.loads(line) for line in done.error_lines]
    assert failure["severity"] == "err" and failure["message"].startswith("unable to listen on ")


# --- whoever else holds the output ---------------------------------------------------------------


def grandchild_of(one):
    return int(one.wait_output(r"^grandchild (\d+)$")[1])


@pytest.mark.rules("O4")
def test_a_grandchild_neither_keeps_the_master_alive_nor_is_killed(master):
    one = master(server=["--grandchild"], orderly=False)
    one.wait_ready(1)
    grandchild = grandchild_of(one)
    assert one.stop() == 0
    assert procfs.is_alive(grandchild)


@pytest.mark.rules("O4", "O2")
def test_what_a_grandchild_writes_is_logged_after_the_worker_has_gone(master):
    one = master(server=["--grandchild", "--grandchild-writes=5"], orderly=False)
    first = one.wait_ready(1)
    grandchild = grandchild_of(one)
    one.reload()
    wait_gone(first)
    since = len(one.log)
    one.wait_output(f"^grandchild {grandchild} writes$", since=since, worker=first, count=3)
    os.kill(grandchild, SIGKILL)
    eventually(lambda: not procfs.is_alive(grandchild), what="the end of the grandchild")

    def pipes():
        return {target for target in one.fds.values() if target.startswith("pipe:")}

    # The last holder has gone: what is left are standard error and the new worker's.
    eventually(lambda: len(pipes()) == 2, what="the end of the pipe")
    assert one.stop() == 0


@pytest.mark.rules("O5", "E1")
def test_output_can_be_inherited():
    script = "printf 'to out\\n'; printf 'to err' >&2; readlink /proc/$$/fd/1 /proc/$$/fd/2"
    command = ["/bin/sh", "-c", script]
    done = run(FREE, "-start=0", "-output=inherit", "--", *command)
    assert done.stdout.startswith("to out\npipe:[") and len(done.stdout.split()) == 4
    assert "to err" in done.stderr and "] to " not in done.stderr


@pytest.mark.rules("O5")
def test_inherited_output_goes_to_the_masters_own_files(socket_dir, master):
    with open(socket_dir / "out", "wb") as out, open(socket_dir / "err", "wb") as err:
        one = master(
            "-output=inherit", listen=f"unix://{socket_dir}/s", stdout=out, stderr=err
        )
    address = f"unix://{socket_dir}/s"

    def is_serving(generation):
        answer = one.wait_serving(address)
        return answer.fields["generation"] == generation and one.workers == [answer.pid]

    for generation in ("1", "2"):
        eventually(lambda: is_serving(generation), what=f"generation {generation} alone")
        fds = dict(line.split(" ", 1) for line in one.get("/fds", address).lines)
        assert fds["1"].endswith(f"target={socket_dir}/out")
        assert fds["2"].endswith(f"target={socket_dir}/err")
        one.get("/log?lines=2&stream=1", address)
        one.get("/log?lines=1&stream=2", address)
        if generation == "1":
            one.hup()
    assert one.stop() == 0
    assert (socket_dir / "out").read_text() == "log 0000000001\nlog 0000000002\n" * 2
    log = (socket_dir / "err").read_text().splitlines()
    assert log.count("log 0000000001") == 2
    assert any(re.search(says("rollout_done", generation=2), line) for line in log)


# --- the steps -----------------------------------------------------------------------------------

START = ["listening", "started", "ready", "rollout_done"]
RELOAD = ["reload", "started", "ready", "rollout_done", "retired", "ended"]
STOP = ["stop", "stopped", "ended", "exiting"]


def steps(one, since=0):
    """What the master said, by the names of masterlog.SAYS."""
    names = [*START, *RELOAD, *STOP, "not_started", "rollout_failed", "reload_later"]
    found = []
    for line in one.log.lines[since:]:
        if line.worker == 0:
            matching = {name for name in names if re.search(says(name), line.text)}
            assert len(matching) == 1, line.text
            found += matching
    return found


@pytest.mark.rules("O6")
def test_every_step_is_told_in_order(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(command=[deploy.path], start=AMPLE)
    first = one.wait_ready(1)
    one.wait_log(says("rollout_done"))
    assert steps(one) == START
    since = len(one.log)
    second = one.wait_ready(one.reload())
    one.wait_log(says("ended", pid=first))
    assert steps(one, since) == RELOAD
    assert one.log.find(says("retired", pid=first, signal="HUP"))
    since = len(one.log)
    deploy.serve("--crash-at-start=9")
    one.reload(succeeds=False)
    assert steps(one, since) == ["reload", "started", "ended", "rollout_failed"]
    assert one.log.find(says("ended", generation=3, status=9), since)
    failed = one.log.find(says("rollout_failed", generation=3), since)
    assert "ended before it was ready" in failed["why"] and "serves on" in failed["why"]
    since = len(one.log)
    deploy.remove()
    one.reload(succeeds=False)
    assert steps(one, since) == ["reload", "not_started", "rollout_failed"]
    wait_only(one, second)
    since = len(one.log)
    assert one.stop() == 0
    assert steps(one, since) == STOP
    assert one.log.find(says("stopped", generation=2, signal="TERM"), since)
    assert one.log.find(says("exiting", status=0), since)
