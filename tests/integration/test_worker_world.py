"""What a worker finds: its descriptors, signals, limits, and the rights that it has left."""

import os
import pty
import pwd
import resource
import subprocess

import harness
import procfs
import pytest
from harness import SERVER, eventually, run
from masterlog import says
from starter import NOBODY, Strace, circumstances, public_copy
from workers import Notes
from words import root_only
from world import descriptors, generations, page, variables



# --- descriptors ---------------------------------------------------------------------------------


def assert_descriptors(one, listeners, stdin):
    """0, 1, 2 and the listeners, and nothing else."""
    fds = descriptors(one)
    assert sorted(fds) == list(range(3 + listeners))
    assert fds[0].endswith(f" target={stdin}")
    assert fds[1] == fds[2] and fds[1].startswith("type=pipe cloexec=0 nonblock=0 ")
    for i in range(listeners):
        assert "/listening cloexec=0 nonblock=0 " in fds[3 + i]


# What the starter leaves open or closes.
CLUTTER = [
    {},
    {"clutter": [7, 9]},
    {"clutter": [3, 4, 5, 6, 10, 63, 399]},
    {"clutter": [*range(3, 60)]},
    {"closed": [0]},
    {"closed": [1]},
    {"closed": [0, 1], "clutter": [3, 5]},
    {"clutter": [390], "limits": {"RLIMIT_NOFILE": [300, 4096]}},
]


@pytest.mark.rules("E1", "E7")
@pytest.mark.parametrize("listeners", [1, 3])
@pytest.mark.parametrize("how", CLUTTER)
def test_a_worker_has_the_listeners_and_nothing_else(how, listeners, socket_dir, master):
    if "limits" in how and harness.WRAPPER:
        pytest.skip("valgrind needs its own descriptors")
    file = socket_dir / "input"
    file.touch()
    with file.open() as opened:
        uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/s", f"unix:@{socket_dir}"][:listeners]
        # A server that makes them non-blocking does so for all.
        server = ["--blocking"]
        one = master(listen=uris, stdin=opened, server=server, starter=circumstances(**how))
    stdin = "/dev/null" if 0 in how.get("closed", []) else file
    for _ in generations(one):
        assert_descriptors(one, listeners, stdin)


@pytest.mark.rules("E1", "I8")
@pytest.mark.parametrize("closed", [[2], [0, 2], [0, 1, 2]])
def test_a_closed_standard_error_is_no_place_for_a_listener(closed, master, socket_dir):
    address = f"unix://{socket_dir}/s"
    one = master(listen=address, starter=circumstances(closed=closed))
    answer = one.wait_serving(address)
    fds = descriptors(one, address)
    assert sorted(fds) == [0, 1, 2, 3]
    assert "type=unix/stream/listening" in fds[3]
    assert not any("socket:" in fds[number] for number in (0, 1, 2))
    one.hup()
    eventually(lambda: one.wait_serving(address).pid != answer.pid, what="a reload")
    assert one.stop() == 0


@pytest.mark.rules("E1")
def test_standard_input_is_the_masters(master):
    reading, writing = os.pipe()
    target = os.readlink(f"/proc/self/fd/{reading}")
    one = master(stdin=reading, server=["--blocking"])
    for _ in generations(one):
        assert_descriptors(one, 1, target)
    os.close(reading)
    os.close(writing)


@pytest.mark.rules("E1")
def test_a_terminal_is_not_standard_input(master):
    controller, terminal = pty.openpty()
    try:
        one = master(stdin=terminal, server=["--blocking"])
        for _ in generations(one):
            assert_descriptors(one, 1, "/dev/null")
    finally:
        os.close(controller)
        os.close(terminal)


# --- signals, limits, and whom it belongs to -----------------------------------------------------


@pytest.mark.rules("E7", "I8", "G2")
@pytest.mark.parametrize("starter", [[], ["nohup"], circumstances(signals=True)])
def test_no_signal_is_blocked_or_ignored(starter, master):
    one = master(starter=starter)
    for _ in generations(one, last=3):
        masks = page(one, "/signals", ":\t")
        assert {int(masks[name], 16) for name in masks} == {0}, masks
    # With CHLD ignored the kernel would reap, and its status would be unknown.
    one.get("/exit?code=7")
    assert one.wait_exit() == 7


@pytest.mark.rules("E7")
def test_a_worker_leads_a_process_group(master):
    one = master()
    for worker in generations(one):
        who = one.get("/id").fields
        assert who["pgid"] == str(worker) and who["ppid"] == str(one.pid)
        assert who["sid"] == str(procfs.processes()[one.pid].session)


@pytest.mark.rules("E7")
@pytest.mark.parametrize("umask", [0, 0o027, 0o777])
def test_umask_nice_and_limits_are_the_masters(umask, master):
    limits = {"RLIMIT_CORE": [0, 4096], "RLIMIT_CPU": [3600, 7200], "RLIMIT_RTTIME": [8, 9]}
    if not harness.WRAPPER:  # valgrind keeps a part of them to itself
        limits["RLIMIT_NOFILE"] = [500, 4000]
    nice = os.nice(0) + 5
    one = master(starter=circumstances(umask=umask, nice=5, limits=limits))
    for worker in generations(one):
        who = one.get("/id").fields
        assert (who["umask"], who["nice"]) == (f"{umask:04o}", str(nice))
        for name, values in limits.items():
            assert resource.prlimit(worker, getattr(resource, name)) == tuple(values)


def assert_belongs(one, user, group, groups):
    """Its ids, and its groups besides its own."""
    who = one.get("/id").fields
    assert who["uid"] == f"{user},{user},{user}"
    assert who["gid"] == f"{group},{group},{group}"
    assert set(map(int, filter(None, who["groups"].split(",")))) - {group} == set(groups) - {group}


# -user, the ids that come of it, and the account's name (None: there is none).
ACCOUNTS = [
    ("nobody", NOBODY, NOBODY, "nobody"),
    ("nobody:daemon", NOBODY, 1, "nobody"),
    ("nobody:1", NOBODY, 1, "nobody"),
    ("65534", NOBODY, NOBODY, "nobody"),
    ("daemon", 1, 1, "daemon"),
    ("root:daemon", 0, 1, "root"),
    ("12345:23456", 12345, 23456, None),
]


@root_only
@pytest.mark.rules("E8")
@pytest.mark.parametrize("user, uid, gid, login", ACCOUNTS)
def test_a_worker_is_who_it_should_be(user, uid, gid, login, socket_dir, master):
    server = public_copy(SERVER, socket_dir)
    env = {name: "the master's" for name in ("HOME", "USER", "LOGNAME", "SHELL")}
    one = master(f"-user={user}", command=[server], env=env, extra_groups=[4, 24, 0])
    for worker in generations(one):
        assert_belongs(one, uid, gid, os.getgrouplist(login, gid) if login else [gid])
        found = variables(one)
        if login:
            account = pwd.getpwnam(login)
            assert (found["USER"], found["LOGNAME"]) == (login, login)
            assert (found["HOME"], found["SHELL"]) == (account.pw_dir, account.pw_shell)
        if uid:
            rights = [procfs.status(worker, name) for name in ("CapEff", "CapPrm", "CapAmb")]
            assert [int(right, 16) for right in rights] == [0, 0, 0]
    assert one.status("Uid").split() == ["0"] * 4


@root_only
@pytest.mark.rules("E8")
def test_a_worker_has_the_supplementary_groups_of_its_user(socket_dir, master):
    groups = socket_dir / "group"
    with open("/etc/group") as file:
        groups.write_text(file.read() + "first:x:4001:daemon,nobody\nother:x:4002:nobody\n")
    script = f'mount --bind {groups} /etc/group && exec "$@"'
    starter = ["unshare", "--mount", "/bin/sh", "-c", script, "sh"]
    if subprocess.run([*starter, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    server = public_copy(SERVER, socket_dir)
    one = master("-user=nobody", command=[server], starter=starter, extra_groups=[4, 24])
    for _ in generations(one):
        assert_belongs(one, NOBODY, NOBODY, [4001, 4002])


@root_only
@pytest.mark.rules("E8", "C2")
def test_without_a_user_nobody_is_switched_to(master):
    one = master("-user=", env={"HOME": "/home/of/the/master"}, extra_groups=[4, 24])
    for _ in generations(one):
        assert_belongs(one, 0, 0, [4, 24])
        assert variables(one)["HOME"] == "/home/of/the/master"


# The call of the child's that fails, and what the log says that it could not do.
FAILING = [
    ("setgid", "group"),
    ("setgroups", "group"),
    ("setuid", "user"),
    ("prctl", "user"),
    ("setpgid", "process group"),
    ("chdir", "directory"),
]


@root_only
@pytest.mark.rules("E8", "C6")
@pytest.mark.parametrize("call, what", FAILING)
def test_a_worker_that_cannot_be_made_right_is_not_started(call, what, socket_dir):
    # A parent's call would be failed, too; only setpgid has one, which is the second of the two.
    strace = Strace(socket_dir, "-e", f"trace={call}", "-e", f"inject={call}:error=EAGAIN")
    notes = Notes(socket_dir)
    done = run(
        *["-listen=tcp://127.0.0.1:0", "-user=daemon", "-dir=/", "--", SERVER, notes.option],
        starter=strace.words,
    )
    assert done.status == 1
    reason = [line for line in done.error_lines if "not started: unable to" in line]
    assert len(reason) == 1 and what in reason[0], done
    assert reason[0].endswith("Resource temporarily unavailable")
    assert any("INJECTED" in call for call in strace.calls)
    assert notes.read() == []


@root_only
@pytest.mark.rules("E8", "R7")
def test_a_command_that_the_user_may_not_execute_is_not_started(socket_dir, master):
    server = public_copy(SERVER, socket_dir)
    one = master("-user=nobody", command=[server])
    worker = one.wait_ready(1)
    os.chmod(server, 0o700)
    one.reload(succeeds=False)
    why = one.wait_log(says("not_started", generation=2))["why"]
    assert why == f'execute "{server}": Permission denied'
    assert one.wait_serving().pid == worker
    first = run("-listen=tcp://127.0.0.1:0", "-user=nobody", "--", server)
    assert first.status == 1 and 'unable to execute "' in first.stderr
