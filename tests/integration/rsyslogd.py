"""A real rsyslogd with a configuration, a socket and files of its own, as the tests start it."""

import re
import subprocess

from harness import PATIENCE, eventually

_CONFIGURATION = """\
global(workDirectory="{directory}/spool")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{directory}/log" RateLimit.Interval="0")
template(name="form" type="string"
         string="%syslogfacility-text%.%syslogseverity-text% %programname%[%procid%]%msg%\\n")
action(type="omfile" file="{directory}/messages" template="form")
"""


class Rsyslogd:
    """rsyslogd with a configuration, a socket and files of its own. Use it as a context manager."""

    def __init__(self, program, directory):
        self._directory = directory
        self._words = [program, "-n", "-f", directory / "conf", "-i", directory / "pid"]
        self._process = None
        (directory / "spool").mkdir()
        (directory / "conf").write_text(_CONFIGURATION.format(directory=directory))
        (directory / "messages").write_text("")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self._directory / "complaints", "ab") as complaints:
            self._process = subprocess.Popen(self._words, stdout=complaints, stderr=complaints)
        eventually((self._directory / "log").exists, what="rsyslogd's socket")

    def stop(self):
        """It reads what was sent before, and is gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10 * PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def lines(self):
        return (self._directory / "messages").read_text(errors="surrogateescape").splitlines()

    def wait(self, pattern, count=1):
        """Waits for so many lines that have the pattern."""

        def found():
            return sum(bool(re.search(pattern, line)) for line in self.lines) >= count

        eventually(found, what=f"{pattern!r} in rsyslogd's messages")
