"""Socket files: their mode and owner, what may stand in their place, and who removes them."""

import contextlib
import fcntl
import os
import re
import socket
import stat
from signal import SIGCONT, SIGKILL, SIGSTOP

import client
import procfs
import pytest
from direct import open_socket
from harness import SERVER, WRAPPER, Master, eventually, run
from masterlog import parse_line
from starter import AT_THE_LINE, NOBODY, Strace, circumstances
from words import root_only

heavy = pytest.mark.heavy


def complaint(*arguments, status=1, **how):
    """What the one line says that a start ends with."""
    done = run(*arguments, "--", SERVER, **how)
    assert (done.status, done.stdout, len(done.error_lines)) == (status, "", 1), done
    return parse_line(os.fsencode(done.error_lines[0])).text


# --- mode and owner ------------------------------------------------------------------------------

# Options, and the mode, user and group that the file then has; None: the tester's.
FILES = [
    ("", 0o755, None, None),
    ("?mode=660", 0o660, None, None),
    ("?mode=0", 0, None, None),
    ("?mode=777", 0o777, None, None),
    ("?mode=0600", 0o600, None, None),
    pytest.param("?user=nobody", 0o755, NOBODY, NOBODY, marks=root_only),
    pytest.param("?user=nobody&mode=600", 0o600, NOBODY, NOBODY, marks=root_only),
    pytest.param("?group=daemon&mode=660", 0o660, None, 1, marks=root_only),
    pytest.param("?mode=640&group=1&user=2", 0o640, 2, 1, marks=root_only),
]


@pytest.mark.rules("L3", "L7")
@pytest.mark.parametrize("kind", ["unix", "unixgram", "unixpacket"])
@pytest.mark.parametrize("query, mode, user, group", FILES)
def test_the_file_has_its_mode_and_owner(kind, query, mode, user, group, socket_dir, master):
    one = master(listen=f"{kind}://{socket_dir}/s{query}", starter=circumstances(umask=0o022))
    one.wait_ready(1)
    found = (socket_dir / "s").lstat()
    owner = os.geteuid() if user is None else user, os.getegid() if group is None else group
    assert stat.S_ISSOCK(found.st_mode)
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, *owner)


@pytest.mark.rules("L7", "E7")
@pytest.mark.parametrize("umask, born", [(0o077, 0o700), (0, 0o777), (0o777, 0)])
def test_without_a_mode_the_umask_counts_and_it_stays(umask, born, socket_dir, master):
    uris = [f"unix://{socket_dir}/a", f"unix://{socket_dir}/b?mode=646", f"unix:@{socket_dir}"]
    one = master(listen=uris, starter=circumstances(umask=umask))
    one.wait_ready(1)
    modes = [stat.S_IMODE((socket_dir / name).stat().st_mode) for name in "ab"]
    assert modes == [born, 0o646]
    assert one.get("/id", uris[2]).fields["umask"] == f"{umask:04o}"


# Calls that change who may connect, in the order in which they are made.
WIDTHS = [
    ("unix", "mode=660", 0o660),
    ("unix", "mode=0", 0),
    ("unixpacket", "mode=606", 0o606),
    ("unixgram", "mode=620", 0o620),
    pytest.param("unix", "mode=660&group=daemon", 0o660, marks=root_only),
    pytest.param("unixgram", "user=nobody", 0o755, marks=root_only),
    pytest.param("unix", "mode=600&user=nobody&group=daemon", 0o600, marks=root_only),
]


@pytest.mark.rules("L7")
@pytest.mark.parametrize("kind, options, wanted", WIDTHS)
def test_the_file_is_never_wider_than_asked(kind, options, wanted, socket_dir):
    strace = Strace(socket_dir, "-e", "trace=umask,bind,listen,/ch(mod|own)")
    starter = [*circumstances(umask=0o022), *strace.words]
    run(f"-listen={kind}://{socket_dir}/s?{options}", "-start=0", "/bin/true", starter=starter)
    mask, mode, settled = 0o022, None, False
    for call in strace.calls:
        name, _, arguments = call.partition("(")
        number = re.search(r", (0[0-7]*)[,)]", arguments)
        if name == "umask":
            mask = int(arguments.partition(")")[0], 8)
        elif name == "bind" and f"{socket_dir}/s" in arguments:
            mode = 0o777 & ~mask
        elif "chown" in name and mode is not None:
            # What it was narrower for must not have been given before.
            assert mode == 0, strace.calls
        elif "chmod" in name and mode is not None:
            mode = int(number[1], 8)
        elif name == "listen" and mode is not None:
            settled = True
            assert mode == wanted, strace.calls
        assert mode is None or mode & ~wanted == 0, strace.calls
    assert mode == wanted and mask == 0o022
    assert settled == (kind != "unixgram")


# --- the path ------------------------------------------------------------------------------------


@pytest.mark.rules("L4", "L7")
def test_paths_and_names_are_unescaped(socket_dir, master):
    odd = 'a b%c#?d&e=f"\\é\n\x1b'
    shown = "a%20b%25c%23%3Fd%26e%3Df%22%5C%C3%A9%0A%1B"
    one = master(listen=[f"unix://{socket_dir}/{shown.lower()}", f"unix:@{socket_dir}/%5B%1b"])
    one.wait_ready(1)
    assert {path.name for path in socket_dir.iterdir()} == {odd, f"{odd}.socketmaster"}
    assert one.addresses == [f"unix://{socket_dir}/{shown}", f"unix:@{socket_dir}/%5B%1B"]
    for address in one.addresses:
        assert one.wait_serving(address)


@pytest.mark.rules("L7")
def test_getsockname_shows_the_path_itself(socket_dir, master):
    one = master(listen=f"unix://{socket_dir}/s")
    one.wait_ready(1)
    with one.connect() as connected:
        assert connected.getpeername() == str(socket_dir / "s")


@pytest.mark.rules("L7", "C5")
@pytest.mark.parametrize("kind", ["unix", "unixgram", "unixpacket"])
def test_a_path_has_at_most_107_bytes(kind, socket_dir, master):
    path = f"{socket_dir}/".ljust(107, "x")
    one = master(listen=[f"{kind}://{path}", f"unix:@{path}"])
    one.wait_ready(1)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert one.wait_serving(one.addresses[1])
    assert one.stop() == 0
    for listen in (f"{kind}://{path}x", f"{kind}:@{path}x"):
        assert "at most 107 bytes" in complaint(f"-listen={listen}", status=2)
    assert list(socket_dir.iterdir()) == []


# --- what stands there already -------------------------------------------------------------------


def leave_stale(path, kind=socket.SOCK_STREAM):
    """The file of a server that has gone."""
    with socket.socket(socket.AF_UNIX, kind) as gone:
        gone.bind(str(path))
    return path.stat().st_ino


@pytest.mark.rules("L7")
@pytest.mark.parametrize("kind", ["unix", "unixgram", "unixpacket"])
@pytest.mark.parametrize("stale", client.UNIX.values())
def test_a_stale_file_is_replaced(kind, stale, socket_dir, master):
    path = socket_dir / "s"
    leave_stale(path, stale)
    one = master(listen=[f"{kind}://{path}?mode=700", f"unix:@{socket_dir}"])
    one.wait_ready(1)
    assert one.wait_serving(one.addresses[1])
    with client.connect(one.address):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def snapshot(directory):
    """Everything that a start must not touch: names, inodes, modes, times and contents."""
    found = {}
    for path in directory.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[path.name] = status.st_ino, status.st_mode, status.st_mtime_ns, status.st_uid, content
    return found


def place_link(target):
    return lambda path: path.symlink_to(path.with_name(target))


# What makes something at the path, and what the complaint then says.
OCCUPIED = [
    (lambda path: path.write_text("precious"), "the path is a regular file"),
    (lambda path: path.touch(), "the path is a regular file"),
    (lambda path: path.mkdir(), "the path is a directory"),
    (os.mkfifo, "the path is not a socket"),
    (place_link("file"), "the path is a symbolic link"),
    (place_link("nowhere"), "the path is a symbolic link"),
    (place_link("stale"), "the path is a symbolic link"),
    (place_link("directory"), "the path is a symbolic link"),
    (place_link("s"), "the path is a symbolic link"),
]


@pytest.mark.rules("L7", "C6")
@pytest.mark.parametrize("place, why", OCCUPIED)
def test_what_is_no_socket_is_left_alone(place, why, socket_dir):
    (socket_dir / "file").write_text("precious")
    (socket_dir / "directory").mkdir()
    leave_stale(socket_dir / "stale")
    path = socket_dir / "s"
    place(path)
    before = snapshot(socket_dir)
    for check in ([], ["-check"]):
        told = complaint(*check, f"-listen=unix://{path}")
        assert told.endswith(f'unable to listen on "unix://{path}": {why}')
    assert snapshot(socket_dir) == before


@pytest.mark.rules("L7", "C6")
@pytest.mark.parametrize("asked", ["unix", "unixgram", "unixpacket"])
@pytest.mark.parametrize("living", ["unix", "unixgram", "unixpacket"])
def test_a_live_socket_is_left_alone(asked, living, socket_dir):
    opened, uri = open_socket(living, socket_dir)
    with opened:
        before = snapshot(socket_dir)
        for check in ([], ["-check"]):
            told = complaint(*check, f"-listen={asked}://{socket_dir}/s")
            assert told.endswith("a live server has this path")
        assert snapshot(socket_dir) == before
        client.connect(uri).close()


@pytest.mark.rules("L7", "C6")
def test_a_live_socket_whose_queue_is_full_is_left_alone(socket_dir):
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(socket.socket(socket.AF_UNIX))
        opened.bind(str(socket_dir / "s"))
        opened.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(socket_dir / "s"))
        before = snapshot(socket_dir)
        assert complaint(f"-listen=unix://{socket_dir}/s").endswith("a live server has this path")
        assert snapshot(socket_dir) == before


@pytest.mark.rules("L7", "C6")
@pytest.mark.parametrize("uri", ["unix://{dir}/s", "unix:@{dir}", "unixgram:@{dir}"])
def test_another_master_is_left_alone(uri, socket_dir, master):
    uri = uri.format(dir=socket_dir)
    one = master(listen=[uri, f"unix:@{socket_dir}-beside"])
    pid = one.wait_ready(1)
    before = snapshot(socket_dir)
    told = complaint(f"-listen=unix://{socket_dir}/other", f"-listen={uri}")
    assert told.startswith(f'unable to listen on "{uri}": ')
    assert snapshot(socket_dir) == before
    assert one.wait_serving(one.addresses[1]).pid == pid


@pytest.mark.rules("L7")
@pytest.mark.skipif(bool(WRAPPER), reason="a wrapper cannot be stopped before it starts")
@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("part", [pytest.param(part, marks=heavy) for part in range(5)])
def test_of_two_masters_at_once_one_serves(stale, part, socket_dir):
    for round_number in range(5):
        path = socket_dir / f"s{round_number}"
        if stale:
            leave_stale(path)
        how = {"listen": f"unix://{path}", "starter": AT_THE_LINE, "start": 0}
        with Master(**how) as a, Master(**how) as b:
            pair = [a, b]
            for one in pair:
                eventually(lambda: procfs.processes()[one.pid].state == "T", what="a stopped start")
            for one in pair:
                one.signal(SIGCONT)
            eventually(lambda: any(one.process.poll() is not None for one in pair), what="a loser")
            (loser,) = [one for one in pair if one.process.poll() is not None]
            (winner,) = [one for one in pair if one is not loser]
            assert loser.wait_exit() == 1
            told = [line.text for line in loser.log.lines]
            assert told == [f'unable to listen on "unix://{path}": a live server has this path']
            worker = winner.wait_ready(1)
            assert winner.wait_serving().pid == worker
            assert winner.stop() == 0
        assert list(socket_dir.iterdir()) == []


@heavy
@pytest.mark.rules("L7", "C6")
def test_a_directory_that_somebody_keeps_locked_is_told(socket_dir):
    directory = os.open(socket_dir, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        told = complaint(f"-listen=unix://{socket_dir}/s", deadline=60)
    finally:
        os.close(directory)
    assert told.endswith(f'directory "{socket_dir}": another process keeps it locked')


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.rules("L7")
@pytest.mark.parametrize("kind", ["unix", "unixgram", "unixpacket"])
def test_the_file_is_removed_at_the_end(kind, socket_dir, master):
    one = master(listen=[f"{kind}://{socket_dir}/s", f"unix://{socket_dir}/t"])
    one.wait_ready(1)
    assert one.stop() == 0
    assert list(socket_dir.iterdir()) == []


# What somebody does to the path while the master lives.
REPLACED = [
    lambda path: path.write_text("precious"),
    leave_stale,
    lambda path: path.symlink_to("nowhere"),
    lambda path: path.mkdir(),
    lambda path: None,
    lambda path: os.link(path.with_name("kept"), path.with_name("other")),
]


@pytest.mark.rules("L7")
@pytest.mark.parametrize("replace", REPLACED)
def test_a_file_that_is_not_ours_any_more_stays(replace, socket_dir, master):
    path = socket_dir / "s"
    one = master(listen=[f"unix://{path}", f"unix:@{socket_dir}"])
    one.wait_ready(1)
    # What is not there it would put back before anything could take its place (L8).
    one.signal(SIGSTOP)
    path.rename(socket_dir / "kept")
    replace(path)
    before = snapshot(socket_dir)
    one.signal(SIGCONT)
    one.reload()
    assert one.stop() == 0
    del before["s.socketmaster"]
    assert snapshot(socket_dir) == before


@pytest.mark.rules("L7", "L6")
def test_a_file_that_came_back_is_removed_as_ours(socket_dir, master):
    path = socket_dir / "s"
    one = master(listen=f"unix://{path}")
    one.wait_ready(1)
    # Held, or it would put its file back before ours is there.
    one.signal(SIGSTOP)
    eventually(lambda: procfs.processes()[one.pid].state == "T", what="a stopped master")
    path.rename(socket_dir / "kept")
    os.link(socket_dir / "kept", path)
    one.signal(SIGCONT)
    assert one.stop() == 0
    assert [left.name for left in socket_dir.iterdir()] == ["kept"]


@pytest.mark.rules("L7", "L6")
def test_a_master_that_was_killed_leaves_a_stale_file_for_the_next(socket_dir, master):
    path = socket_dir / "s"
    first = master(listen=f"unix://{path}", orderly=False)
    worker = first.wait_ready(1)
    first.signal(SIGKILL)
    first.wait_exit()
    # Its worker serves on, and so the path is still taken.
    assert client.get(f"unix://{path}").pid == worker
    assert complaint(f"-listen=unix://{path}").endswith("a live server has this path")
    os.kill(worker, SIGKILL)
    eventually(lambda: not procfs.is_alive(worker), what="the worker's end")
    assert len(snapshot(socket_dir)) == 2
    second = master(listen=f"unix://{path}")
    assert second.wait_serving().pid == second.wait_ready(1)
    # It has taken over both names, and leaves none.
    assert len({found[0] for found in snapshot(socket_dir).values()}) == 1
    assert second.stop() == 0
    assert snapshot(socket_dir) == {}


# --- several listeners, of which one fails -------------------------------------------------------


@pytest.mark.rules("L5", "C6")
@pytest.mark.parametrize("bad", ["tcp", "directory", "same name"])
def test_files_of_a_start_that_failed_are_removed(bad, socket_dir):
    taken, used = open_socket("tcp", socket_dir)
    (socket_dir / "directory").mkdir()
    leave_stale(socket_dir / "stale")
    uris = [f"unix://{socket_dir}/{name}" for name in ("a", "b?mode=600", "stale")]
    uris += [f"unixgram://{socket_dir}/c"]
    uris += {
        "tcp": [used],
        "directory": [f"unix://{socket_dir}/directory"],
        "same name": ["unix:@x", f"unix:@{socket_dir}", f"unix://{socket_dir}/directory"],
    }[bad]
    marker = f"--marker={socket_dir}/marker"
    with taken:
        done = run(*[f"-listen={uri}" for uri in uris], "--", SERVER, marker)
    assert (done.status, len(done.error_lines)) == (1, 1), done
    # The stale one is gone, too: it was made anew before the start failed.
    assert [path.name for path in socket_dir.iterdir()] == ["directory"]
