"""Where a worker is started, its variables from files, and which command that is."""

import os
import shlex

import pytest
from harness import SERVER, run
from masterlog import says
from workers import Notes, wait_only
from words import root_only
from world import generations, variables



def place(path, version, notes=None):
    """Makes the path a command: the fixture server that tells this version."""
    words = [SERVER, f"--version-text={version}", *([notes.option] if notes else [])]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def flip(link, target):
    """Lets a symbolic link lead elsewhere, at once, as deploys do."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def reload(one):
    """A reload that is over, old worker and all; returns the new one's answer."""
    worker = one.wait_ready(one.reload())
    wait_only(one, worker)
    return one.wait_serving()


# --- the directory -------------------------------------------------------------------------------


@pytest.mark.rules("E9")
@pytest.mark.parametrize("relative", [False, True])
def test_the_directory_is_resolved_at_every_start(relative, socket_dir, master):
    for name in "ab":
        (socket_dir / name).mkdir()
    current = socket_dir / "current"
    current.symlink_to("a")
    one = master("-dir=current" if relative else f"-dir={current}", cwd=socket_dir)
    one.wait_ready(1)
    assert one.get("/id").fields["cwd"] == str(socket_dir / "a")
    flip(current, "b")
    assert one.get("/id").fields["cwd"] == str(socket_dir / "a")
    reload(one)
    assert one.get("/id").fields["cwd"] == str(socket_dir / "b")
    assert os.readlink(f"/proc/{one.pid}/cwd") == str(socket_dir)


@pytest.mark.rules("E9", "R7")
def test_a_directory_that_has_gone_fails_the_reload(socket_dir, master):
    directory = socket_dir / "directory"
    directory.mkdir()
    one = master(f"-dir={directory}")
    worker = one.wait_ready(1)
    directory.rmdir()
    one.reload(succeeds=False)
    why = one.wait_log(says("not_started", generation=2))["why"]
    assert "directory" in why and why.endswith(": No such file or directory")
    assert one.wait_serving().pid == worker
    directory.mkdir()
    assert reload(one).fields["generation"] == "3"


@pytest.mark.rules("E9")
def test_without_a_directory_it_is_the_masters(socket_dir, master):
    one = master(cwd=socket_dir)
    for _ in generations(one):
        assert one.get("/id").fields["cwd"] == str(socket_dir)


# --- the directory of variables ------------------------------------------------------------------

# Content of a file, and the value that the variable then has; None: there is none.
VALUES = [
    (b"plain", "plain"),
    (b"one line\n", "one line"),
    (b"first\nsecond\n", "first"),
    (b"first\n\n", "first"),
    (b"blanks at the end \t \t\n", "blanks at the end"),
    (b"  blanks before", "  blanks before"),
    (b"a=b==c", "a=b==c"),
    (b"\n", ""),
    (b" \t\n", ""),
    (b"\nsecond", ""),
    (b"", None),
    (b"\xff\xfe\x1b[2J", "\udcff\udcfe\x1b[2J"),
    pytest.param(b"x" * 100000, "x" * 100000, id="long"),
]


@pytest.mark.rules("E9")
@pytest.mark.parametrize("content, value", VALUES)
def test_a_file_is_a_variable(content, value, socket_dir, master):
    (socket_dir / "VARIABLE").write_bytes(content)
    one = master(f"-envdir={socket_dir}", env={"VARIABLE": "inherited", "OTHER": "kept"})
    for _ in generations(one):
        found = variables(one)
        assert found.get("VARIABLE") == value
        assert found["OTHER"] == "kept"


@pytest.mark.rules("E9")
def test_a_nul_stands_for_a_newline(socket_dir, master):
    (socket_dir / "VARIABLE").write_bytes(b"two\0lines\n")
    one = master(f"-envdir={socket_dir}")
    one.wait_ready(1)
    assert "\nVARIABLE=two\nlines\n" in "\n" + one.get("/env").body


@pytest.mark.rules("E9")
def test_files_are_read_anew_at_every_start(socket_dir, master):
    (socket_dir / "CHANGED").write_text("old")
    (socket_dir / "REMOVED").write_text("old")
    one = master(f"-envdir={socket_dir}", env={"UNSET": "inherited"})
    one.wait_ready(1)
    first = variables(one)
    (socket_dir / "CHANGED").write_text("new")
    (socket_dir / "REMOVED").unlink()
    (socket_dir / "ADDED").write_text("new")
    (socket_dir / "UNSET").touch()
    reload(one)
    second = variables(one)
    names = ["CHANGED", "REMOVED", "ADDED", "UNSET"]
    assert [first.get(name) for name in names] == ["old", "old", None, "inherited"]
    assert [second.get(name) for name in names] == ["new", None, "new", None]


@pytest.mark.rules("E9", "E2", "E3", "E4", "E5")
def test_files_cannot_take_the_place_of_what_the_master_says(socket_dir, master):
    said = "LISTEN_FDS LISTEN_PID EINHORN_FDS EINHORN_FD_0 SOCKETMASTER_ADDR_0 NGINX".split()
    unsaid = ["EINHORN_MASTER_PID", "NOTIFY_SOCKET", "SOCKETMASTER_CONTROL", "SERVER_STARTER_PORT"]
    for name in said + unsaid:
        (socket_dir / name).write_text("false")
    for name in ("SOCKETMASTER_PID", "LISTEN_FDNAMES"):
        (socket_dir / name).touch()
    for name in (".hidden", "with=equals", "=", "=x"):
        (socket_dir / name).write_text("passed over")
    one = master(f"-envdir={socket_dir}", "-env=einhorn,systemd,nginx")
    for worker in generations(one):
        found = variables(one)
        expected = ["1", str(worker), "3", "3", one.address, "3;"]
        assert [found[name] for name in said] == expected
        assert not found.keys() & set(unsaid)
        assert (found["SOCKETMASTER_PID"], found["LISTEN_FDNAMES"]) == (str(one.pid), "unknown")
        assert "passed over" not in found.values()


@root_only
@pytest.mark.rules("E8", "E9")
def test_files_win_over_the_account(socket_dir, master):
    (socket_dir / "HOME").write_text("/srv")
    one = master(f"-envdir={socket_dir}", "-user=root", env={"SHELL": "x"})
    one.wait_ready(1)
    found = variables(one)
    assert (found["HOME"], found["USER"]) == ("/srv", "root") and found["SHELL"] != "x"


@pytest.mark.rules("E9", "R7")
def test_variables_that_cannot_be_read_fail_the_reload(socket_dir, master):
    envdir = socket_dir / "env"
    envdir.mkdir()
    one = master(f"-envdir={envdir}")
    worker = one.wait_ready(1)
    envdir.rename(socket_dir / "away")
    one.reload(succeeds=False)
    assert "No such file or directory" in one.wait_log(says("not_started", generation=2))["why"]
    assert one.wait_serving().pid == worker
    (socket_dir / "away").rename(envdir)
    assert reload(one).fields["generation"] == "3"


@pytest.mark.rules("E9", "E10")
def test_paths_of_the_master_do_not_depend_on_the_workers_directory(socket_dir, master):
    for where, value in ((socket_dir, "right"), (socket_dir / "work", "wrong")):
        (where / "env").mkdir(parents=True)
        (where / "env/VARIABLE").write_text(value)
    one = master("-envdir=env", "-dir=work", cwd=socket_dir)
    for _ in generations(one):
        assert variables(one)["VARIABLE"] == "right"


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.rules("E10")
@pytest.mark.parametrize("written", ["bin/run", "./bin/run", "{dir}/current/bin/run"])
def test_a_command_with_a_slash_is_seen_from_the_directory(written, socket_dir, master):
    for version in ("one", "two"):
        place(socket_dir / version / "bin/run", version)
    current = socket_dir / "current"
    current.symlink_to("one")
    one = master(f"-dir={current}", command=[written.format(dir=socket_dir)], cwd="/")
    one.wait_ready(1)
    assert one.wait_serving().fields["version"] == "one"
    flip(current, "two")
    assert reload(one).fields["version"] == "two"


@pytest.mark.rules("E10")
def test_without_a_directory_a_relative_command_is_seen_from_the_masters(socket_dir, master):
    place(socket_dir / "run", "one")
    one = master(command=["./run"], cwd=socket_dir)
    for _ in generations(one):
        assert one.wait_serving().fields["version"] == "one"


@pytest.mark.rules("E9", "E10")
def test_a_command_without_a_slash_is_searched_on_the_workers_path(socket_dir, master):
    envdir = socket_dir / "env"
    envdir.mkdir()
    for name in ("masters", "one", "two"):
        place(socket_dir / name / "run", name)
    (socket_dir / "three/run").mkdir(parents=True)
    (socket_dir / "four").mkdir()
    (socket_dir / "four/run").write_text("not executable")
    path = f"{socket_dir}/absent:{socket_dir}/three:{socket_dir}/four:{socket_dir}"
    (envdir / "PATH").write_text(f"{path}/one:{socket_dir}/two\n")
    env = {"PATH": f"{socket_dir}/masters:{os.environ['PATH']}"}
    one = master(f"-envdir={envdir}", command=["run"], env=env)
    one.wait_ready(1)
    assert one.wait_serving().fields["version"] == "one"
    (envdir / "PATH").write_text(f"{path}/two:{socket_dir}/one\n")
    assert reload(one).fields["version"] == "two"
    (envdir / "PATH").unlink()
    assert reload(one).fields["version"] == "masters"


@pytest.mark.rules("E10")
@pytest.mark.parametrize("path", ["", ":/nowhere", "/nowhere:", "/nowhere::/nowhere"])
def test_an_empty_part_of_path_is_the_workers_directory(path, socket_dir, master):
    place(socket_dir / "work/run", "one")
    one = master("-dir=work", command=["run"], env={"PATH": path}, cwd=socket_dir)
    for _ in generations(one):
        assert one.wait_serving().fields["version"] == "one"


@pytest.mark.rules("E10")
def test_without_a_path_it_is_the_usual_one():
    plan = run("-check", "-listen=tcp://127.0.0.1:0", "true", env={"PATH": None})
    assert plan.stdout.splitlines()[1] in ("run /usr/bin/true", "run /bin/true")


@pytest.mark.rules("E10", "C1")
def test_the_command_is_the_first_argument_as_it_was_written(socket_dir, master):
    (socket_dir / "work").mkdir()
    (socket_dir / "work/run").symlink_to(SERVER)
    command = ["run", "--version-text=a b"]
    one = master("-dir=work", command=command, env={"PATH": "."}, cwd=socket_dir)
    for _ in generations(one):
        assert one.get("/args").lines == command


@pytest.mark.rules("E10", "R7")
def test_a_command_that_has_gone_fails_the_reload(socket_dir, master):
    command, notes = socket_dir / "run", Notes(socket_dir)
    place(command, "one", notes)
    one = master(command=["run"], env={"PATH": f"{socket_dir}:/usr/bin:/bin"})
    worker = one.wait_ready(1)
    command.rename(socket_dir / "away")
    one.reload(succeeds=False)
    why = one.wait_log(says("not_started", generation=2))["why"]
    assert why == 'execute "run": No such file or directory'
    (socket_dir / "away").rename(command)
    command.chmod(0o644)
    one.reload(succeeds=False)
    why = one.wait_log(says("not_started", generation=3))["why"]
    assert why == 'execute "run": Permission denied'
    assert one.wait_serving().pid == worker
    command.chmod(0o755)
    assert reload(one).fields["generation"] == "4"
    assert notes.generations == [1, 4]
