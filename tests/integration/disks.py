"""A small disk of a master's own, in a mount namespace, with its log on it: it can be filled."""

import shutil
import subprocess
from pathlib import Path

import pytest

_ON_A_DISK = 'mount -t tmpfs -o size=512k none "$0" && exec "$@" 2>>"$0/log"'


class SmallDisk:
    """starter: words to put before the program's own"""

    def __init__(self, directory):
        if shutil.which("unshare") is None:
            pytest.skip("there is no unshare here")
        self._place = directory / "disk"
        self._place.mkdir()
        trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", str(self._place)]
        tried = subprocess.run(trial, stderr=subprocess.PIPE)
        if tried.returncode:
            pytest.skip(f"nothing can be mounted here: {tried.stderr.decode().strip()}")
        self.starter = ["unshare", "--mount", "/bin/sh", "-c", _ON_A_DISK, str(self._place)]

    def _seen(self, master, name):
        return Path(f"/proc/{master.pid}/root{self._place}", name)

    def open_log(self, master):
        """To read; it outlives the master."""
        return open(self._seen(master, "log"), errors="surrogateescape")

    def fill(self, master):
        """Takes all the room that there is."""
        with pytest.raises(OSError, match="No space left"):
            with open(self._seen(master, "ballast"), "wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))

    def make_room(self, master):
        self._seen(master, "ballast").unlink()
