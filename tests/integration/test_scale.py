"""Scale: a thousand workers, hundreds of listeners, and nothing left of either."""

import os
import resource
from pathlib import Path
from signal import SIGTERM

import procfs
import pytest
from harness import WRAPPER, eventually
from masterlog import says
from patient import kinds
from pools import assert_smooth, slots
from starter import circumstances
from workers import Notes

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(bool(WRAPPER), reason="takes for ever under a wrapper"),
]

THOUSAND = 1000
PATIENT = 300.0  # seconds, on a machine that is busy with other things
# A worker that costs as little as one can: it says that it is ready, and waits for its end.
IDLER = ["/bin/sh", "-c", '[ -z "$NOTIFY_FD" ] || echo >&"$NOTIFY_FD"; exec sleep 100000']


def enough(workers):
    """Skips where the machine does not let anybody have so many processes and descriptors."""
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    threads = int(Path("/proc/sys/kernel/threads-max").read_text())
    few = [limit for limit in (processes, threads) if 0 <= limit < 3 * workers]
    if few or 0 <= descriptors < 8 * workers:
        pytest.skip("this machine is too small")


def wait_complete(master, generation, count):
    """Waits until its workers are all that is left."""
    master.wait_log(says("rollout_done", generation=generation), PATIENT)
    eventually(
        lambda: len(master.workers) == count and not master.zombies, PATIENT, f"{count} workers"
    )
    pids = slots(master, generation)
    assert sorted(pids) == master.workers
    return pids


# what makes them ready: its options
WAYS = {
    "alive, fleet": ["-start=0"],
    "fd, fleet": ["-ready=fd"],
    "notify, smooth": ["-ready=notify", "-rollout=smooth", "-max-starting=16"],
}


@pytest.mark.rules("R1", "R5", "E2", "G1", "I9", "I11", "X1")
@pytest.mark.parametrize("way", WAYS)
def test_a_thousand_workers_are_started_replaced_and_stopped(way, socket_dir, master, load):
    enough(THOUSAND)
    options = [f"-workers={THOUSAND}", "-stop-signal=TERM", *WAYS[way]]
    how = {"server": ["--say-ready"]} if way.startswith("notify") else {"command": IDLER}
    one = master(*options, start=None, **how)
    first = wait_complete(one, 1, THOUSAND)
    assert sorted(first.values()) == list(range(THOUSAND))
    before = kinds(one)
    one.hup()
    second = wait_complete(one, 2, THOUSAND)
    assert not set(first) & set(second)
    assert kinds(one) == before
    if "smooth" in way:
        assert_smooth(one, THOUSAND, 16)
    one.term()
    assert one.wait_exit(PATIENT) == 0
    assert len(one.said("stopped")) == THOUSAND
    assert one.leftovers == []


@pytest.mark.rules("I9", "R1", "O2")
@pytest.mark.parametrize("ready", ["fd", "notify"])
def test_a_master_of_a_thousand_workers_sleeps(ready, socket_dir, master, load):
    enough(THOUSAND)
    # One of them serves, so that something goes on meanwhile.
    notes = Notes(socket_dir)
    one = master(
        f"-ready={ready}",
        f"-workers={THOUSAND}",
        server=[notes.option, "--say-ready", "--blocking"],
    )
    wait_complete(one, 1, THOUSAND)
    before = kinds(one)
    clients = load(one.address)

    def naps():
        return int(one.status("voluntary_ctxt_switches"))

    def is_quiet():
        at = naps()
        clients.wait_answered(20, PATIENT)
        return naps() == at

    eventually(is_quiet, PATIENT, "a master at rest")
    at = naps(), procfs.cpu_seconds(one.pid)
    clients.wait_answered(200, PATIENT)
    assert (naps(), procfs.cpu_seconds(one.pid)) == at
    clients.stop()
    assert kinds(one) <= before
    one.signal(SIGTERM)
    assert one.wait_exit(PATIENT) == 0
    assert one.leftovers == []


@pytest.mark.rules("E7", "R1")
def test_the_limit_of_a_worker_is_what_the_master_was_started_with(master):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = circumstances(limits={"RLIMIT_NOFILE": [64, hard]})
    # More than the lower limit would let the master have.
    one = master(
        "-ready=fd", "-workers=100", "-stop-signal=TERM", start=None, command=IDLER, starter=lower
    )
    pids = wait_complete(one, 1, 100)
    for pid in pids:
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (64, hard)
    assert resource.prlimit(one.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    assert len(one.fds) > 64


@pytest.mark.rules("L1", "E1", "E2", "E3", "L5", "I11")
def test_256_listeners_reach_every_generation(socket_dir, master):
    uris = [f"unix://{socket_dir}/s{number}" for number in range(256)]
    one = master(
        "-ready=fd", "-workers=2", "-env=systemd,einhorn", listen=uris, server=["--say-ready"]
    )
    assert len(one.addresses) == 256 or one.wait_log(says("listening"), count=256)
    for generation in (1, 2):
        wait_complete(one, generation, 2)
        for number in (0, 128, 255):
            answer = one.wait_serving(uris[number])
            assert answer.fields["generation"] == str(generation)
        found = one.get("/env", uris[7]).fields
        assert (found["LISTEN_FDS"], found["EINHORN_FD_COUNT"]) == ("256", "256")
        assert found["NOTIFY_FD"] == str(3 + 256)
        one.hup()
        one.wait_log(says("reload", generation=generation + 1))
    wait_complete(one, 3, 2)
    assert one.stop() == 0
    assert os.listdir(socket_dir) == []
