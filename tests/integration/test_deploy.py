"""The deploy script of README.md, as it stands there."""

import os
import re
import subprocess

import pytest
from fakemaster import FakeMaster
from harness import BINARY, REPOSITORY, SERVER
from masterlog import says
from pools import wait_pool

SCRIPT = re.search(r"```sh\n(#!/bin/sh\n# deploy .*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)


class Site:
    """What the script finds: releases, the link, and the client on its PATH."""

    def __init__(self, root):
        self.root = root
        self.control = root / "app.ctl"
        for release in ("1", "2"):
            (root / "releases" / release).mkdir(parents=True)
        self.link = root / "current"
        self.link.symlink_to("releases/1")
        (root / "bin").mkdir()
        (root / "bin" / "socketmasterctl").symlink_to(BINARY)
        script = SCRIPT.group(1).replace("/srv/app", str(root)).replace("/run/app.ctl", str(self.control))
        self.script = root / "deploy"
        self.script.write_text(script)
        self.script.chmod(0o755)

    def deploy(self, release):
        path = f"{self.root}/bin:{os.environ['PATH']}"
        return subprocess.run(
            [self.script, release], env={**os.environ, "PATH": path}, capture_output=True, text=True
        )

    @property
    def current(self):
        return os.readlink(self.link)


@pytest.fixture
def site(socket_dir):
    return Site(socket_dir)


# What the master answers at the end, the exit status, and the release that is current then.
ENDS = [
    (lambda talk: talk.say("Rollout done"), 0, "2"),
    (lambda talk: talk.say("Rollout failed", error=True), 1, "1"),
    (lambda talk: None, 4, "1"),
]


@pytest.mark.rules("K5", "E9")
@pytest.mark.parametrize("end, status, current", ENDS)
def test_the_link_is_what_serves(end, status, current, site):
    seen = []

    def serve(talk):
        seen.append(site.current)
        talk.say("Generation 2 is starting", wait=True)
        end(talk)

    with FakeMaster(site.control, serve) as master:
        done = site.deploy("2")
    assert done.returncode == status, done
    assert site.current == f"releases/{current}" and seen == ["releases/2"]
    assert master.questions == [{"id": 1, "command": "rollout", "wait": True}]
    assert sorted(path.name for path in site.root.iterdir()) == [
        "app.ctl", "bin", "current", "deploy", "releases",
    ]


@pytest.mark.rules("K5")
def test_without_a_master_nothing_has_changed(site):
    done = site.deploy("2")
    assert (done.returncode, site.current) == (4, "releases/1")
    assert done.stderr == (
        f"socketmasterctl: {site.control}: no such socket: is the master running, with -control?\n"
    )


@pytest.mark.rules("K5", "E9", "R7")
def test_a_good_release_and_a_broken_one(site, master):
    releases = {"1": f"exec {SERVER} --version-text=one", "2": f"exec {SERVER} --version-text=two"}
    releases["broken"] = "echo no such table >&2; exit 9"
    for name, script in releases.items():
        directory = site.root / "releases" / name
        directory.mkdir(exist_ok=True)
        (directory / "server").write_text(f"#!/bin/sh\n{script}\n")
        (directory / "server").chmod(0o755)
    one = master(f"-control={site.control}", f"-dir={site.link}", command=["./server"])
    one.wait_log(says("rollout_done", generation=1))
    assert site.deploy("2").returncode == 0
    wait_pool(one, 2, 1)
    assert one.get().fields["version"] == "two"
    done = site.deploy("broken")
    assert (done.returncode, site.current) == (1, "releases/2")
    assert "exit status 9" in done.stderr and "no such table" in done.stderr
    wait_pool(one, 2, 1)
    assert site.deploy("1").returncode == 0
    wait_pool(one, 4, 1)
    assert (one.get().fields["version"], site.current) == ("one", "releases/1")
