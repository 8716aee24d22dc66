"""What does not grow: descriptors, threads and memory, however many reloads there were."""

import pytest
from harness import WRAPPER, eventually
from workers import Deploy, wait_only


def after_reload(one):
    worker = one.wait_ready(one.reload())
    wait_only(one, worker)
    one.wait_serving()


@pytest.mark.heavy
@pytest.mark.rules("I7", "I9", "L6")
def test_reloads_cost_nothing_that_stays(socket_dir, master):
    uris = ["tcp://127.0.0.1:0", f"unix://{socket_dir}/s"]
    one = master(listen=uris, start=0, server=["--print-start"])
    one.wait_serving()
    for _ in range(5):
        after_reload(one)
    fds, threads, memory = one.fds, one.status("Threads"), one.rss_kb
    for _ in range(300):
        after_reload(one)
    # The number of the output pipe changes with each worker.
    kinds = [sorted(t.partition("[")[0] for t in found.values()) for found in (fds, one.fds)]
    assert kinds[0] == kinds[1]
    assert one.status("Threads") == threads == "1"
    if not WRAPPER:
        assert one.rss_kb <= memory + 256


@pytest.mark.heavy
@pytest.mark.rules("I7", "R7")
def test_failed_reloads_cost_nothing_that_stays(socket_dir, master):
    deploy = Deploy(socket_dir)
    one = master(command=[deploy.path], start=0)
    worker = one.wait_ready(1)
    one.wait_serving()
    fds = one.fds
    deploy.remove()
    one.reload(succeeds=False)
    memory = one.rss_kb
    for _ in range(100):
        one.reload(succeeds=False)
    eventually(lambda: one.fds == fds and one.workers == [worker], what="the state before")
    if not WRAPPER:
        assert one.rss_kb <= memory + 256


@pytest.mark.heavy
@pytest.mark.rules("I9", "O2", "O3")
def test_floods_and_long_lines_cost_bounded_memory(master):
    one = master(start=0)
    one.wait_serving()
    for page in ("/log?lines=20000&bytes=200", "/log?lines=2&bytes=5000000", "/log?lines=300000"):
        one.get(page, timeout=60)
    one.wait_output("log 0000300000", deadline=60)
    if not WRAPPER:
        assert one.rss_kb <= 8192
