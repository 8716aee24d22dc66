"""A start that fails (exit 1), and the check that tells beforehand."""

import os
import re
import socket

import pytest
from direct import open_socket
from harness import SERVER, WRAPPER, run
from masterlog import parse_line, says
from starter import Strace, as_nobody
from words import HOSTILE, assert_refused, escaped, for_root

FREE = "-listen=tcp://127.0.0.1:0"

# --- a start that fails --------------------------------------------------------------------------

NOT_FOUND, DENIED = "No such file or directory", "Permission denied"

# Options, with {dir} for a prepared directory, and what the line then says.
FAILURES = [
    (["--", "{dir}/absent"], 'unable to find "{dir}/absent": ' + NOT_FOUND),
    (["--", "{dir}/plain/x"], 'unable to find "{dir}/plain/x": Not a directory'),
    (["--", "{dir}/plain"], 'unable to execute "{dir}/plain": ' + DENIED),
    (["--", "{dir}"], 'unable to execute "{dir}": ' + DENIED),
    (["--", "no-such-command"], 'unable to find "no-such-command": ' + NOT_FOUND),
    (["--", "-"], 'unable to find "-": ' + NOT_FOUND),
    (["--", "-start=x"], 'unable to find "-start=x": ' + NOT_FOUND),
    (["--", "plain"], 'unable to execute "plain": ' + DENIED),
    (["-dir={dir}", "--", "./absent"], 'unable to find "./absent": ' + NOT_FOUND),
    (["-dir={dir}/absent"], 'unable to enter directory "{dir}/absent": ' + NOT_FOUND),
    (["-dir={dir}/plain"], 'unable to enter directory "{dir}/plain": Not a directory'),
    (
        ["-envdir={dir}/absent"],
        'unable to read environment directory "{dir}/absent": ' + NOT_FOUND,
    ),
    (
        ["-envdir={dir}/plain"],
        'unable to read environment directory "{dir}/plain": Not a directory',
    ),
    (["-listen=unix://{dir}/absent/s"], f'directory "{{dir}}/absent": {NOT_FOUND}'),
    (["-listen=unix://{dir}/plain/s"], 'directory "{dir}/plain": Not a directory'),
    (["-listen=unix://{dir}/plain"], "the path is a regular file"),
    (["-listen={used}"], "bind: Address already in use"),
    (["-listen=tcp4://192.0.2.222:0"], "bind: Cannot assign requested address"),
    (["-listen=tcp://no-such-host.invalid:80"], 'host "no-such-host.invalid": '),
    (["-listen=tcp6://127.0.0.1.no-such-host.invalid:80"], "no-such-host.invalid"),
    (["-listen=tcp://:no-such-service"], 'service "no-such-service": unknown'),
    (["-listen=tcp://[fe80::1%nosuchif0]:0"], 'interface "nosuchif0": No such device'),
    (["-listen=tcp://:0?device=nosuchif0"], "device: "),
    (["-listen=unix://{dir}/s?user=no-such-user"], 'user "no-such-user": unknown'),
    (["-listen=unix://{dir}/s?group=no-such-group"], 'group "no-such-group": unknown'),
    (["-listen=fd://99"], "the descriptor is not open"),
    (["-listen=fd://web"], "no descriptors were passed"),
    (["-listen=unix:@{dir}", "-listen=unix:@{dir}"], 'the same address as "unix:@'),
    *for_root(
        [
            (["-user=no-such-user"], 'unable to find user "no-such-user": there is no such user'),
            (["-user=root:no-such"], 'unable to find group "no-such": there is no such group'),
            (["-user=23456"], 'unable to find a group for user "23456": '),
            (["-user=\udcff%n"], 'unable to find user "\\xff%n": there is no such user'),
        ]
    ),
]


@pytest.fixture
def prepared(socket_dir):
    """A directory with a file that is not executable, and a port in use: to fill in an option."""
    (socket_dir / "plain").write_text("plain\n")
    taken, uri = open_socket("tcp", socket_dir)
    with taken:
        yield lambda word: word.format(dir=socket_dir, used=uri)


def assert_failed(options, line, directory, **how):
    """The start fails with this line, and so does its check; nothing is left."""
    command = [] if "--" in options else ["--", SERVER, f"--marker={directory}/marker"]
    words = [f"-listen=unix://{directory}/first", *options, *command]
    failed = run(*words, **how)
    told = parse_line(os.fsencode(assert_refused(failed, line, status=1).rstrip("\n")))
    assert told.master and told.text.startswith("unable to ")
    checked = run("-check", *words, **how)
    assert assert_refused(checked, status=1).startswith("socketmaster: " + told.text.split(": ")[0])
    assert not {path.name for path in directory.iterdir()} & {"first", "s", "marker"}


@pytest.mark.rules("C6", "C7", "X3")
@pytest.mark.parametrize("options, line", FAILURES)
def test_a_start_that_fails_says_why(options, line, prepared, socket_dir):
    env = {"PATH": f"/nowhere:{socket_dir}"}
    assert_failed([prepared(option) for option in options], prepared(line), socket_dir, env=env)


# The same without rights; only root may enter {closed}.
FORBIDDEN = [
    (["-user=nobody"], 'unable to switch to user "nobody": only root may'),
    (["-user=root"], 'unable to switch to user "root": only root may'),
    (["-envdir={closed}"], 'unable to read environment directory "{closed}": ' + DENIED),
    (["-dir={closed}"], 'unable to enter directory "{closed}": ' + DENIED),
    (["--", "{closed}/command"], 'unable to execute "{closed}/command": ' + DENIED),
    (["-listen=unix://{closed}/s"], f'directory "{{closed}}": {DENIED}'),
    (["-listen=tcp4://127.0.0.1:{privileged}"], "bind: " + DENIED),
]


def privileged_port():
    """A free port that takes root, or None where none does."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        limit = int(file.read())
    for port in range(limit - 1, 0, -1):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    return None


@pytest.fixture
def writable(socket_dir):
    """A directory in which everybody may make files."""
    path = socket_dir / "writable"
    path.mkdir()
    path.chmod(0o777)
    return path


@pytest.fixture
def closed(socket_dir):
    """A directory that only root may enter."""
    path = socket_dir / "closed"
    path.mkdir(mode=0)
    yield path
    path.chmod(0o700)


@pytest.mark.rules("C6", "C7", "E8", "X3")
@pytest.mark.parametrize("options, line", FORBIDDEN)
def test_a_start_without_the_right_says_so(options, line, socket_dir, writable, closed):
    how = as_nobody(socket_dir)
    known = {"closed": closed, "privileged": privileged_port()}
    if "{privileged}" in options[0] and not known["privileged"]:
        pytest.skip("every port is for everybody here")
    assert_failed([word.format(**known) for word in options], line.format(**known), writable, **how)


@pytest.mark.rules("C6", "L7")
def test_a_socket_file_of_another_owner_takes_root(socket_dir, writable):
    how = as_nobody(socket_dir)
    for option in ("user=root", "group=root"):
        failed = run(f"-listen=unix://{writable}/s?{option}", "/bin/true", **how)
        assert_refused(failed, "owner of the socket file: Operation not permitted", status=1)
        assert list(writable.iterdir()) == []


# Content of a file with the right to be executed, and why the kernel refuses.
UNEXECUTABLE = [
    ("echo no interpreter is named\n", "Exec format error"),
    ("#!/nowhere/interpreter\n", NOT_FOUND),
    ("#!/etc\n", DENIED),
    ("\x7fELF\n", "Exec format error"),
]


@pytest.mark.rules("C6", "X3")
@pytest.mark.parametrize("content, why", UNEXECUTABLE)
def test_a_first_exec_that_fails_is_a_start_that_fails(content, why, socket_dir):
    if WRAPPER and content.startswith("#!"):
        pytest.skip("valgrind looks at interpreters itself")
    command = socket_dir / "command"
    command.write_text(content)
    command.chmod(0o755)
    done = run(f"-listen=unix://{socket_dir}/s", "--", command)
    assert done.status == 1
    reasons = re.findall(says("not_started"), done.stderr, re.MULTILINE)
    assert [reason[-1] for reason in reasons] == [f'execute "{command}": {why}']
    assert list(socket_dir.iterdir()) == [command]


@pytest.mark.rules("C6")
@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("option", ["-command", "-dir", "-envdir"])
def test_hostile_names_are_shown_harmless(option, value):
    failed = run(FREE, f"{option}=/nowhere/{value}", "/bin/true")
    assert_refused(failed, f'"/nowhere/{escaped(value)}": {NOT_FOUND}', status=1)


# --- the check -----------------------------------------------------------------------------------


@pytest.mark.rules("C7")
def test_a_check_says_what_would_be_done_and_does_nothing(socket_dir):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(socket_dir / "stale"))
    stale.close()
    inode = (socket_dir / "stale").stat().st_ino
    uris = [
        "tcp://127.0.0.1:0?backlog=5&nodelay=1",
        f"unix://{socket_dir}/new?mode=600",
        f"unix://{socket_dir}/stale",
        f"unixgram:@{socket_dir}",
        "udp6://[::1]:0?reuseport=1",
    ]
    plan = run(
        "-check",
        *[f"-listen={uri}" for uri in uris],
        "-dir=/usr",
        *["--", "/bin/sh", "-c", f"touch {socket_dir}/started"],
    )
    assert (plan.status, plan.stderr) == (0, "")
    addresses = [uri.partition("?")[0] for uri in uris]
    addresses[2] += " as descriptor 5 (replaces a stale socket file)"
    lines = [
        f"listen on {address}" + f" as descriptor {i}" * ("descriptor" not in address)
        for i, address in enumerate(addresses, 3)
    ]
    command = f"run /bin/sh -c touch {socket_dir}/started in /usr"
    assert plan.stdout.splitlines()[:-3] == [*lines, command]
    assert [(path.name, path.stat().st_ino) for path in socket_dir.iterdir()] == [("stale", inode)]


@pytest.mark.rules("C7")
def test_a_check_disturbs_no_server_and_sees_it(master, socket_dir):
    one = master(listen=["tcp://127.0.0.1:0", f"unix://{socket_dir}/s"])
    one.wait_ready(1)
    fds, files = one.fds, [path.stat().st_ino for path in socket_dir.iterdir()]
    for address, why in zip(one.addresses, ["bind: Address already in use", "a live server has"]):
        checked = run("-check", f"-listen={address}", "/bin/true")
        assert_refused(checked, f'unable to listen on "{address}": {why}', status=1)
        assert one.wait_serving(address)
    assert one.fds == fds
    assert [path.stat().st_ino for path in socket_dir.iterdir()] == files


@pytest.mark.rules("C7", "X3")
def test_a_check_of_a_wrong_command_line_is_wrong():
    assert_refused(run("-check", "-start=x", "/bin/true"), "-start: value")


@pytest.mark.rules("C7")
def test_a_check_forks_listens_and_binds_no_file(socket_dir):
    strace = Strace(socket_dir, "-e", "trace=%network,%process,unlink,unlinkat,chmod,fchmodat")
    listen = [FREE, f"-listen=unix://{socket_dir}/s", "-listen=udp://127.0.0.1:0?reuseport=1"]
    assert run("-check", *listen, "/bin/true", starter=strace.words).status == 0
    names = [call.partition("(")[0] for call in strace.calls]
    assert names.count("execve") == 1 and "socket" in names
    assert not {"listen", "clone", "clone3", "unlink", "unlinkat", "chmod"} & set(names)
    assert not any("bind" in call and "AF_UNIX" in call for call in strace.calls)
