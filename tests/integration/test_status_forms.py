"""The forms of the status: what other languages' readers make of them.

The fixture `status` makes up a master's status from a seed, with bytes of every kind in it.
"""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness import FIXTURES

pytestmark = pytest.mark.heavy  # no wrapper sees what is tested here

STATUS = FIXTURES / "status"
SEEDS = range(60)
STATES = {
    "spawning", "cancelled", "executing", "starting", "held", "ready", "draining", "stopping", "killed",
}


def told(form, seed, *arguments):
    words = [STATUS, form, str(seed), *map(str, arguments)]
    return subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()


def by_program(*command, text):
    """What a program says of it, which has to like it."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


class RubysLoader(yaml.SafeLoader):
    """Knows the one class of Ruby's that einhorn writes."""


RubysLoader.add_constructor(
    "!ruby/object:Set",
    lambda loader, node: set(loader.construct_mapping(node, deep=True)["hash"]),
)


@pytest.mark.rules("K5", "I10")
def test_json_of_any_state_is_read():
    for seed in SEEDS:
        line = told("json", seed)
        assert line.endswith("}\n") and line.count("\n") == 1
        status = json.loads(line)
        assert status["format"] == 1
        assert all(worker["state"] in STATES for worker in status["workers"])
        slots = [worker["slot"] for worker in status["workers"]]
        assert slots == sorted(set(slots))


@pytest.mark.rules("K2", "I10")
def test_state_of_any_state_is_read_as_yaml():
    for seed in SEEDS:
        status = json.loads(told("json", seed))
        document = yaml.load(told("state", seed), RubysLoader)
        assert list(document) == [":state", ":persistent_descriptors"]
        state = document[":state"]
        assert state[":cmd"] == state[":orig_cmd"] == status["command"]
        children = {worker["pid"]: worker for worker in status["workers"] if worker["pid"]}
        assert set(state[":children"]) == set(children)
        for pid, child in state[":children"].items():
            worker = children[pid]
            assert (child[":index"], child[":version"]) == (worker["slot"], worker["generation"])
            assert child[":acked"] == (worker["ready_at"] is not None)
            assert isinstance(child[":signaled"], set)
            assert child[":spinup_time"].timestamp() == worker["started_at"]


RUBY = """
require 'json'
require 'set'
require 'yaml'
state = YAML.safe_load(STDIN.read, permitted_classes: [Set, Symbol, Time])[:state]
puts JSON.dump({
  cmd: state[:cmd],
  number: state[:config][:number],
  children: state[:children].map { |pid, child|
    raise "signaled" unless child[:signaled].is_a?(Set)
    raise "spinup_time" unless child[:spinup_time].is_a?(Time)
    raise "type" unless child[:type] == :worker
    [pid, child[:index], child[:acked], child[:pinged_request_id]]
  },
})
"""


@pytest.mark.rules("K2")
def test_ruby_reads_the_state_as_it_reads_einhorns():
    for seed in SEEDS[:10]:
        status = json.loads(told("json", seed))
        state = json.loads(by_program("ruby", "-Eutf-8", "-e", RUBY, text=told("state", seed)))
        assert state["cmd"] == status["command"] and state["number"] == status["workers_wanted"]
        workers = {worker["pid"]: worker for worker in status["workers"] if worker["pid"]}
        assert {child[0] for child in state["children"]} == set(workers)
        for pid, index, acked, ping in state["children"]:
            assert index == workers[pid]["slot"] and acked == (workers[pid]["ready_at"] is not None)
            if workers[pid]["ping_id"]:
                assert ping == workers[pid]["ping_id"]


LABELS = r'\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\}'
SAMPLE = re.compile(rf"(socketmaster_[a-z_]+)({LABELS})? ([0-9]+(?:\.[0-9]+)?)")


@pytest.mark.rules("K5", "I10")
def test_metrics_of_any_state_are_what_prometheus_expects():
    for seed in SEEDS:
        family = kind = None
        seen = set()
        for line in told("metrics", seed).splitlines():
            if line.startswith("# HELP "):
                assert line.split()[2] not in seen
                family = line.split()[2]
            elif line.startswith("# TYPE "):
                assert line.split()[2] == family
                kind = line.split()[3]
                assert kind in ("gauge", "counter")
                assert (kind == "counter") == family.endswith("_total")
            else:
                name, labels, _ = SAMPLE.fullmatch(line).groups()
                assert name == family and (name, labels) not in seen
                seen.add((name, labels))


@pytest.mark.rules("K5")
def test_promtool_finds_nothing_wrong_with_the_metrics():
    for seed in SEEDS[:5]:
        assert by_program("promtool", "check", "metrics", text=told("metrics", seed)) == ""


@pytest.mark.rules("K5", "I10")
@pytest.mark.parametrize("columns", [80, 81, 132, 512])
def test_tables_of_any_state_fit_and_move_no_cursor(columns):
    for seed in SEEDS:
        table = told("table", seed, columns)
        assert re.fullmatch(r"[ -~\n]*", table) and table.endswith("\n")
        assert max(map(len, table.splitlines())) <= columns
        assert not any(line.endswith(" ") for line in table.splitlines())
        colours = re.compile("\x1b\\[[0-9]*m")
        plain = colours.sub("", told("colour", seed, columns))
        assert [line.rstrip() for line in plain.splitlines()] == table.splitlines()
