"""The wire of the control socket: what other languages' own writers and readers make of it.

The fixture `wire` answers each request with its command as the message.
"""

import json
import random
import re
import shutil
import subprocess
import urllib.parse

import pytest
import yaml

from harness import FIXTURES

pytestmark = pytest.mark.heavy  # no wrapper sees what is tested here

WIRE = FIXTURES / "wire"

MESSAGES = [
    "",
    "Upgrading smoothly, as commanded",
    "two lines\nand 50% of a+b\n",
    "%0A %25 %2B %zz 100%",
    "--- : - # & * ! | > ' \" % @ ` { } [ ] , ? \\ / \\n",
    " blanks before and behind \t",
    "null",
    "\x00\x01\x1b[2J\x7f\r\n\x85\u2028\u2029\ufeff\ufffe\uffff",
    "ä ß € ル \U0001f600 \U0010ffff",
    "long " * 2000,
]
IDS = [
    1, -7, 0, 9007199254740991, 1.5, True, False, "1", "true", "null", "", "req-1",
    "a+b 100%\n", "ä",
]


def encoded(text):
    """As einhorn's clients escape what their YAML writers made."""
    return text.replace("%", "%25").replace("\n", "%0A")


def json_without_pairs(value):
    """JSON's pairs of escapes for one character are the only ones that YAML does not know."""
    return re.sub(r"\\ud[89ab]..\\ud[c-f]..", lambda pair: json.loads(f'"{pair[0]}"'), json.dumps(value))


def block_yaml(request):
    return yaml.safe_dump(request, sort_keys=False, explicit_start=True)


def flow_yaml(request):
    return yaml.safe_dump(request, default_flow_style=True, allow_unicode=True)


def url_encoded(request):
    """node's client sends its YAML through encodeURI()."""
    return urllib.parse.quote(block_yaml(request), safe=";,/?:@&=+$-_.!~*'()#")


WRITERS = {
    "json": lambda request: encoded(json_without_pairs(request)),
    "block": lambda request: encoded(block_yaml(request)),
    "flow": lambda request: encoded(flow_yaml(request)),
    "url": url_encoded,
}


def through_url_decoder(line):
    """go-einhorn reads so, and fails at a stray per cent sign."""
    assert "%" not in line
    return yaml.safe_load(urllib.parse.unquote_plus(line))


def by_program(*command):
    def read(line):
        if shutil.which(command[0]) is None:
            pytest.skip(f"there is no {command[0]}")
        output = subprocess.run(command, input=line.encode(), stdout=subprocess.PIPE, check=True).stdout
        return json.loads(output)

    return read


NODE = """
const lines = require('fs').readFileSync(0, 'utf8').split('\\n').slice(0, -1);
console.log(JSON.stringify(lines.map(line => JSON.parse(line))));
"""
RUBY = """
require 'json'
require 'yaml'
puts JSON.dump(STDIN.each_line.map { |line|
  YAML.safe_load(line.gsub(/%(25|0A)/, '%25' => '%', '%0A' => "\\n"))
})
"""


def each(read):
    return lambda lines: [read(line) for line in lines]


def together(read):
    return lambda lines: read("".join(lines))


READERS = {
    "json": each(json.loads),
    "yaml": each(yaml.safe_load),
    "url": each(through_url_decoder),
    "node": together(by_program("node", "-e", NODE)),
    "ruby": together(by_program("ruby", "-Eutf-8", "-e", RUBY)),
}


def answers(lines):
    """The replies to these requests, a line each."""
    done = subprocess.run(
        [WIRE], input="".join(line + "\n" for line in lines).encode(), stdout=subprocess.PIPE, check=True,
        timeout=60,
    )
    replies = done.stdout.decode().splitlines(keepends=True)
    assert len(replies) == len(lines)
    return replies


@pytest.mark.rules("K1")
@pytest.mark.parametrize("writer", WRITERS)
def test_requests_of_other_writers(writer):
    requests = [{"id": 1, "command": message} for message in MESSAGES]
    requests += [{"command": "x", "id": number} for number in IDS]
    replies = [json.loads(line) for line in answers([WRITERS[writer](request) for request in requests])]
    for request, reply in zip(requests, replies):
        assert reply == {"message": request["command"], "request_id": request["id"]}
        assert type(reply["request_id"]) is type(request["id"])


@pytest.mark.rules("K1")
@pytest.mark.parametrize("reader", READERS)
def test_replies_with_other_readers(reader):
    requests = [{"command": message, "wait": len(message) % 2 == 1} for message in MESSAGES]
    requests += [{"command": "x", "id": number, "wait": True} for number in IDS]
    dice = random.Random(7)
    for _ in range(200):
        message = "".join(chr(dice.choice((dice.randrange(0xd800), dice.randrange(128)))) for _ in range(40))
        requests.append({"command": message, "id": message})
    lines = answers([WRITERS["json"](request) for request in requests])
    assert all(line.endswith("\n") and not {"%", "+"} & set(line) for line in lines)
    for request, reply in zip(requests, READERS[reader](lines)):
        expected = {"message": request["command"]}
        if "id" in request:
            expected["request_id"] = request["id"]
        if request.get("wait"):
            expected["wait"] = True
        assert reply == expected


@pytest.mark.rules("K1", "I10", "I11")
def test_after_an_error_the_next_request_is_read():
    lines = ["", "nonsense", "{", "[1]", "{}", "a: *b", "\x01", "{command: a, id: 5}"]
    *errors, good = [json.loads(line) for line in answers(lines)]
    assert good == {"message": "a", "request_id": 5}
    for number, error in enumerate(errors):
        words = 'No "command" parameter provided; ' if lines[number] == "{}" else "Could not parse command: "
        assert list(error) == ["message", "error"] and error["message"].startswith(words)
