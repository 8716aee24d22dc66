"""bash completion of both programs, as bash itself asks for it."""

import os
import re
import subprocess

import pytest
from harness import BINARY, REPOSITORY, run

pytestmark = pytest.mark.heavy  # no wrapper sees what is tested here

SCRIPT = """
source "$1"
COMP_CWORD=$3
program=$2
shift 3
COMP_WORDS=("$@")
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_socketmaster "$program"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def offered(socket_dir):
    """What is offered for the last of some words; "=" is a word of its own, as in bash."""
    for name in ("socketmaster", "socketmasterctl"):
        (socket_dir / name).symlink_to(BINARY)

    def offer(line):
        words = [word for part in line.split(" ") for word in re.split("(=)", part)]
        words = [word for i, word in enumerate(words) if word or i == len(words) - 1]
        done = subprocess.run(
            [
                "bash", "-uc", SCRIPT, "-", REPOSITORY / "completions/socketmaster",
                socket_dir / words[0], str(len(words) - 1), *words,
            ],
            cwd=socket_dir, capture_output=True, text=True, env={"PATH": os.environ["PATH"]},
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return set(done.stdout.split())

    return offer


def options_of_help(*words):
    return set(re.findall(r"^ {2,4}(-[a-z-]+=?)", run(*words, "-help").stdout, re.MULTILINE))


def commands_of_help():
    return set(re.findall(r"^  ([a-z]+)\b", run("ctl", "-help").stdout, re.MULTILINE))


@pytest.mark.rules("C4", "K5")
def test_every_option_of_the_master_is_offered(offered):
    options = options_of_help()
    assert len(options) > 20 and "-ready-timeout=" in options and "-check" in options
    assert offered("socketmaster -") == options
    assert offered("socketmaster -check -stop=5 -") == options


@pytest.mark.rules("K5")
@pytest.mark.parametrize("program", ["socketmasterctl", "socketmaster ctl"])
def test_every_option_and_command_of_the_client_is_offered(program, offered):
    commands = commands_of_help()
    assert {"status", "reload", "logs"} <= commands
    found = offered(f"{program} ") | set()
    for command in commands:
        found |= offered(f"{program} {command} -")
    assert commands <= found
    assert {word for word in found if word.startswith("-")} == options_of_help("ctl")


COMMON = {"-control=", "-timeout=", "-version", "-help"}
# A line, and what is offered for its end.
LINES = [
    ("socketmaster -ready=", {"alive", "notify", "fd", "ack"}),
    ("socketmaster -ready=no", {"notify"}),
    ("socketmaster -ready n", {"notify"}),
    ("socketmaster -stop-signal T", {"TERM"}),
    ("socketmaster --kill=g", {"group"}),
    ("socketmaster -w", {"-workers="}),
    ("socketmaster ./server -", set()),
    ("socketmaster -- -", set()),
    ("socketmaster -user=roo", {"root"}),
    ("socketmaster -command=socketmasterc", {"socketmasterctl"}),
    ("socketmasterctl st", {"status", "stop"}),
    ("socketmasterctl status -", COMMON | {"-json"}),
    ("socketmasterctl -control=x reload -", COMMON | {"-wait", "-generation="}),
    ("socketmasterctl -timeout 5 watch -i", {"-interval="}),
    ("socketmasterctl -control x signal U", {"USR1", "USR2"}),
    ("socketmasterctl ping -", COMMON),
    ("socketmasterctl reload -wait -- -", set()),
    ("socketmasterctl -control=socketmasterc", {"socketmasterctl"}),
    ("socketmaster ctl re", {"reload"}),
    ("socketmaster ctl status -j", {"-json"}),
]


@pytest.mark.rules("C4", "K5")
@pytest.mark.parametrize("line, words", LINES)
def test_what_is_offered(line, words, offered):
    assert offered(line) == words
