"""Fixtures of the integration tests, and the rules that each of them proves.

Every test carries a marker: rules("L1", "L4", ...) for those of the contract, or `fixture` for the
few that test the test programs themselves. --rules-report=FILE writes which test proves what.
"""

import contextlib
import json
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

from ctl import Ctl  # noqa: E402
from direct import open_socket  # noqa: E402
from harness import PATIENCE, Load, Master  # noqa: E402
from masterlog import says  # noqa: E402
from syslogd import Syslogd  # noqa: E402

# A shell starts its background jobs with these ignored, and masters would inherit that: they lose what
# comes before they have set their own signals.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

RULE = re.compile(r"[CLERGOXK]\d+|I\d+")
FAILED = pytest.StashKey[bool]()
MASTERS = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--rules-report", metavar="FILE", help="write test id -> rules as JSON")


def rules_of(item):
    """The rules that a test names, or a complaint."""
    rules = [rule for mark in item.iter_markers("rules") for rule in mark.args]
    wrong = [rule for rule in rules if not (isinstance(rule, str) and RULE.fullmatch(rule))]
    if wrong:
        raise pytest.UsageError(f"{item.nodeid}: not the name of a rule: {wrong}")
    if not rules and item.get_closest_marker("fixture") is None:
        raise pytest.UsageError(f"{item.nodeid}: names no rule")
    return rules


def mark_further(items):
    """Marks all but the first row of each table: where a run is slow, one has to do."""
    seen = set()
    for item in items:
        function = item.nodeid.partition("[")[0]
        if function in seen:
            item.add_marker("further")
        seen.add(function)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    mark_further(items)
    rules = {item.nodeid: rules_of(item) for item in items}
    report = config.getoption("--rules-report")
    if report:
        Path(report).write_text(json.dumps(rules, indent=2) + "\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the log of every master of a test that failed."""
    report = (yield).get_result()
    if call.when == "call":
        item.stash[FAILED] = report.failed
    if report.failed:
        for number, master in enumerate(item.stash.get(MASTERS, [])):
            report.sections.append((f"log of master {number + 1}", master.log_text()))


@pytest.fixture
def master(request, socket_dir):
    """Starts masters (arguments as of harness.Master) and ends them after the test, and before the
    directory goes: they put back socket files that are removed from it."""
    del socket_dir
    started = request.node.stash.setdefault(MASTERS, [])

    def start(*options, **how):
        started.append(Master(*options, **how))
        return started[-1]

    yield start
    with contextlib.ExitStack() as stack:
        for one in started:
            # After a failure what is left over tells nothing new.
            stack.callback(one.close, judge=not request.node.stash.get(FAILED, True))


@pytest.fixture
def controlled(socket_dir, master):
    """Starts a master with a control socket, and waits until it serves; returns it and the path."""

    def begin(*options, **how):
        path = socket_dir / "control"
        one = master(f"-control={path}", *options, **how)
        one.wait_log(says("rollout_done", generation=1))
        return one, path

    return begin


@pytest.fixture
def ctl(master, socket_dir):
    """Starts a master with a control socket; returns what sends it words of socketmasterctl."""
    return lambda *options, **how: Ctl(master, socket_dir, *options, **how)


@pytest.fixture
def load():
    """Starts load (arguments as of harness.Load) that stops with the test at the latest."""
    with contextlib.ExitStack() as stack:
        yield lambda *target, **how: stack.enter_context(Load(*target, **how))


@pytest.fixture
def socket_dir():
    """A directory whose path is short enough for socket files, and that everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="sm", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tcp(socket_dir):
    """A listening tcp socket of the test's own, and its URI."""
    opened, uri = open_socket("tcp", socket_dir)
    with opened:
        yield opened, uri


@pytest.fixture
def syslogd(socket_dir):
    """A syslog daemon on a socket of its own."""
    with Syslogd(socket_dir / "log", PATIENCE) as daemon:
        yield daemon
