"""Rollouts that the control socket asks for: who waits for which, which command, and its end."""

import os
import re
from signal import SIGKILL

import procfs
import pytest
from control import Control, ask, refused, status, tell
from harness import PATIENCE, SERVER, eventually, run
from masterlog import says
from pools import assert_smooth, wait_pool
from workers import Deploy, wait_only

SLOW = int(400 * min(PATIENCE, 2))  # milliseconds: a test can do something while a worker is starting


def version(one):
    """Which version serves."""
    return one.wait_serving().fields["version"]


def serve(name):
    """The words of a server of that version."""
    return [SERVER, f"--version-text={name}"]


def messages(replies):
    return [reply["message"] for reply in replies]


# --- waiting -------------------------------------------------------------------------------------


@pytest.mark.rules("K2", "K5")
@pytest.mark.parametrize("request_id", [None, 5, "deploy-1"])
def test_who_waits_is_told_each_step_and_the_end(request_id, controlled):
    one, path = controlled()
    keys = {} if request_id is None else {"id": request_id}
    with Control(path) as client:
        first = client.ask("rollout", wait=True, **keys)
        assert first["message"] == "generation 2 is starting" and first["wait"] is True
        replies = client.rest()
        steps = [re.sub(r" in \d+ ms", "", text) for text in messages(replies)]
        assert any(re.search(says("started", generation=2), text) for text in messages(replies))
        assert any(re.search(says("ready", generation=2), text) for text in messages(replies))
        assert steps[-1] == "generation 2: rollout done" and "wait" not in replies[-1]
        assert "error" not in replies[-1]
        for text in messages(replies):
            one.wait_log(f"^{re.escape(text)}$")
        assert all(reply.get("request_id") == request_id for reply in (first, *replies))
        # Nothing comes after the last one: the connection is free for the next request.
        assert client.status()["generation"] == 2


@pytest.mark.rules("K2")
def test_who_does_not_wait_is_told_that_it_begins(controlled):
    one, path = controlled()
    with Control(path) as client:
        assert client.ask("rollout") == {"message": "generation 2 is starting"}
        assert client.status()["latest_generation"] == 2
        one.wait_log(says("rollout_done", generation=2))
        assert client.ask("rollout", wait=False, id=1) == {
            "message": "generation 3 is starting", "request_id": 1,
        }
        one.wait_log(says("rollout_done", generation=3))


@pytest.mark.rules("K2", "K5", "R7")
def test_who_waits_for_what_fails_is_told_why_in_the_workers_last_words(socket_dir, controlled):
    deploy = Deploy(socket_dir)
    one, path = controlled(start=SLOW, command=[deploy.path])
    old = one.workers[0]
    deploy.run('echo "configuration: no such database" >&2; exit 78')
    with Control(path) as client:
        client.tell("rollout", wait=True)
        replies = client.rest()
        assert replies[-1]["error"] is True and "wait" not in replies[-1]
        last = replies[-1]["message"]
        assert last.startswith("generation 2: rollout failed after ")
        assert "exit status 78" in last and "1 worker serves on" in last
        assert "configuration: no such database" in "\n".join(messages(replies))
        told = client.status()["rollout"]
        assert told["result"] == "failed" and "exit status 78" in told["why"]["message"]
        assert told["why"]["output"] == "configuration: no such database"
        assert "configuration: no such database" in client.tell("status")
    wait_only(one, old)


@pytest.mark.rules("K2", "R10")
@pytest.mark.parametrize("how", ["signal", "command", "killed"])
def test_who_waits_is_told_when_a_stop_cancels_it(how, controlled):
    one, path = controlled("-ready=notify", command=["/bin/sh", "-c", f"exec {SERVER} --say-ready"])
    with Control(path) as client:
        # It never says that it is ready.
        client.tell("rollout", SERVER, wait=True)
        one.wait_log(says("started", generation=2))
        if how == "signal":
            one.term()
        elif how == "command":
            tell(path, "die", "TERM")
        else:
            one.orderly = False
            one.process.kill()
        replies = client.rest()
        if how == "killed":
            assert replies[-1] is None
        else:
            assert replies[-1] == {
                "message": "the rollout is cancelled: a stop was asked for",
                "error": True,
            }
            assert one.wait_exit() == 0
            assert client.ended()


@pytest.mark.rules("K2", "R9")
def test_who_asks_while_another_is_under_way_waits_for_its_own(controlled):
    one, path = controlled(start=SLOW)
    with Control(path) as first, Control(path) as second, Control(path) as third:
        assert first.tell("rollout", wait=True) == "generation 2 is starting"
        later = "generation 3 starts when the rollout that is under way has ended"
        assert second.tell("rollout", wait=True) == later
        assert third.tell("rollout", wait=True) == later
        assert first.rest()[-1]["message"].startswith("generation 2: rollout done")
        for waiter in (second, third):
            replies = messages(waiter.rest())
            assert replies[-1].startswith("generation 3: rollout done")
            assert not [text for text in replies if text.startswith("generation 2: rollout")]
    assert status(path)["generation"] == 3


@pytest.mark.rules("K2", "K4")
def test_a_waiter_that_goes_away_changes_nothing(controlled):
    one, path = controlled(start=SLOW)
    with Control(path) as gone, Control(path) as stays:
        gone.tell("rollout", wait=True)
        stays.tell("rollout", wait=True)
        gone.close()
        assert stays.rest()[-1]["message"].startswith("generation 3: rollout done")
    assert one.said("rollout_done", generation=2)
    eventually(lambda: len([t for t in one.fds.values() if "socket:" in t]) <= 4, what="its end")


@pytest.mark.rules("K2", "R9")
def test_a_reload_by_signal_is_not_taken_for_ones_own(controlled):
    one, path = controlled(start=SLOW)
    one.hup()
    one.wait_log(says("started", generation=2))
    with Control(path) as client:
        assert "generation 3 starts when" in client.tell("rollout", wait=True)
        assert client.rest()[-1]["message"].startswith("generation 3: rollout done")


# --- upgrade -------------------------------------------------------------------------------------


@pytest.mark.rules("K2", "R5")
@pytest.mark.parametrize("rollout", ["fleet", "smooth"])
@pytest.mark.parametrize("command", ["upgrade", "upgrade_fleet"])
def test_upgrades_are_smooth_or_all_at_once_whatever_is_set(command, rollout, controlled):
    most = ["-max-starting=1"] if rollout == "smooth" else []
    one, path = controlled("-workers=4", f"-rollout={rollout}", *most)
    beginning = {"upgrade": "Upgrading smoothly", "upgrade_fleet": "Upgrading fleet"}[command]
    with Control(path) as client:
        assert client.ask(command, id=1)["message"] == f"{beginning}, as commanded"
        replies = client.rest()
        assert replies[-1] == {"message": "Upgrade done", "request_id": 1}
        assert replies[-2]["message"].startswith("generation 2: rollout done")
    wait_pool(one, 2, 4)
    texts = [line.text for line in one.log.lines]
    started = [n for n, text in enumerate(texts) if re.search(says("started", generation=2), text)]
    retired = [n for n, text in enumerate(texts) if re.search(says("retired", generation=1), text)]
    if command == "upgrade":
        assert retired[0] < started[-1]
        if most:
            assert_smooth(one, 4, 1)
    else:
        assert started[-1] < retired[0]
    # The next reload by signal is as the command line says.
    one.reload()


@pytest.mark.rules("K2")
@pytest.mark.parametrize("command", ["upgrade", "upgrade_fleet"])
def test_without_an_id_there_is_one_reply(command, controlled):
    one, path = controlled()
    with Control(path) as client:
        # go-einhorn, and its number of the request that is none.
        client.send(f"request_id: 3%0Acommand: {command}%0Aargs: []%0A\n".encode())
        reply = client.reply()
        assert set(reply) == {"message"} and reply["message"].endswith(", as commanded")
        one.wait_log(says("rollout_done", generation=2))
        assert client.status()["generation"] == 2


@pytest.mark.rules("K2", "R7")
def test_an_upgrade_that_fails_says_so(socket_dir, controlled):
    deploy = Deploy(socket_dir)
    one, path = controlled(start=SLOW, command=[deploy.path])
    deploy.run("exit 3")
    with Control(path) as client:
        client.tell("upgrade", id=1)
        last = client.rest()[-1]
        assert last["error"] is True and "rollout failed" in last["message"]
    assert len(one.workers) == 1


# --- outdated ------------------------------------------------------------------------------------


@pytest.mark.rules("K5")
def test_an_outdated_generation_is_refused(controlled):
    one, path = controlled(start=SLOW)
    with Control(path) as client:
        for wrong in (2, 7, 2**40):
            told = client.refused("rollout", generation=wrong, wait=True)
            assert told == f"generation {wrong} does not serve: generation 1 does"
        assert client.status()["latest_generation"] == 1
        client.tell("rollout", generation=1)
        # Another deploy is at it.
        told = refused(path, "rollout", generation=1)
        assert told == (
            "generation 1 may be replaced already: a rollout to generation 2 is under way"
        )
        one.wait_log(says("rollout_done", generation=2))
        assert "generation 2 does" in client.refused("rollout", generation=1)
        client.tell("rollout", generation=2, wait=True)
        assert client.rest()[-1]["message"].startswith("generation 3: rollout done")


# --- another command -----------------------------------------------------------------------------


@pytest.mark.rules("K5")
def test_a_command_stays_once_its_rollout_has_succeeded(controlled):
    one, path = controlled("-respawn", command=serve("one"))
    with Control(path) as client:
        client.tell("rollout", *serve("two"), wait=True)
        assert client.rest()[-1]["message"].startswith("generation 2: rollout done")
        assert client.status()["command"] == serve("two")
        worker = wait_pool(one, 2, 1)[0]
        assert version(one) == "two"
        # Whatever starts from now on.
        os.kill(worker, SIGKILL)
        one.wait_log(says("ready", generation=2), count=2)
        assert version(one) == "two"
        one.reload()
        wait_pool(one, 3, 1)
        assert version(one) == "two"
        client.tell("upgrade", id=1)
        client.rest()
        wait_pool(one, 4, 1)
        assert version(one) == "two"
        client.tell("inc")
        one.wait_log(says("ready", generation=4), count=2)
        words = [procfs.arguments(pid)[-1] for pid in one.workers]
        assert words == 2 * ["--version-text=two"]


@pytest.mark.rules("K5", "R7")
def test_a_command_that_fails_leaves_the_one_before(socket_dir, controlled):
    one, path = controlled("-respawn", start=SLOW, command=serve("one"))
    old = one.workers[0]
    with Control(path) as client:
        client.tell("rollout", "/bin/sh", "-c", "echo dying; exit 4", wait=True)
        last = client.rest()[-1]
        assert last["error"] is True and "exit status 4" in last["message"]
        assert client.status()["command"] == serve("one")
        wait_only(one, old)
        os.kill(old, SIGKILL)
        one.wait_log(says("ready", generation=1), count=2)
        assert version(one) == "one"
        generation = one.reload()
        wait_pool(one, generation, 1)
        assert version(one) == "one"


@pytest.mark.rules("K5")
def test_a_command_that_is_not_there_is_refused_at_once(socket_dir, controlled):
    one, path = controlled()
    unusable = socket_dir / "unusable"
    unusable.write_text("")
    with Control(path) as client:
        for words, why in (
            ([f"{socket_dir}/none/server"], "No such file or directory"),
            (["no-such-server-on-the-path"], "No such file or directory"),
            ([str(unusable)], "Permission denied"),
            ([str(socket_dir)], "Permission denied"),
        ):
            told = client.refused("rollout", *words, wait=True)
            assert words[0] in told and why in told, told
        client.refused("rollout", "")
        client.send(b'{"command": "rollout", "args": ["/bin/sh", "a\\u0000b"]}\n')
        assert client.reply()["error"] is True
        client.send(b'{"command": "rollout", "args": "/bin/sh"}\n')
        assert client.reply()["error"] is True
        assert client.status()["latest_generation"] == 1 and not one.said("reload")
        # And nothing of it is remembered.
        client.tell("rollout", *serve("two"), wait=True)
        assert client.rest()[-1]["message"].startswith("generation 2: rollout done")


# What a shell, a YAML reader or a terminal would make something of.
ODD = ["", " ", "a b", "--", "-x", "%41", "+", 'q"uo\'te', "\x1b[2J", "\n", "é", "\\n"]
ODD += ["x" * 30000]


@pytest.mark.rules("K1", "K5")
@pytest.mark.parametrize("client", ["the tests'", "socketmaster ctl"])
def test_odd_words_reach_the_worker_as_they_are(client, socket_dir, controlled):
    one, path = controlled()
    words = socket_dir / "words"
    script = f'printf "<%s>" "$@" >{words}; exec {SERVER}'
    command = ["/bin/sh", "-c", script, "sh", *ODD]
    with Control(path) as asking:
        if client == "the tests'":
            asking.tell("rollout", *command, wait=True)
            assert asking.rest()[-1]["message"].startswith("generation 2: rollout done")
        else:
            done = ctl(path, "reload", "-wait", "--", *command)
            assert done.status == 0, done
        assert words.read_bytes().decode() == "".join(f"<{word}>" for word in ODD)
        told = asking.status()
        # As much as is shown.
        assert told["command"] == command[: len(told["command"])] and len(told["command"]) > 10
        assert told["command_whole"] is False
        words.unlink()
        one.reload()
        assert words.read_bytes().decode() == "".join(f"<{word}>" for word in ODD)


@pytest.mark.rules("K5", "R9")
def test_a_command_may_wait_for_its_turn_and_only_one(controlled):
    one, path = controlled(start=SLOW, command=serve("one"))
    with Control(path) as first, Control(path) as second:
        first.tell("rollout", *serve("two"), wait=True)
        second.tell("rollout", *serve("three"), wait=True)
        told = refused(path, "rollout", *serve("four"), wait=True)
        assert told == "another command waits already: for generation 3"
        # What comes without one joins in.
        assert ask(path, "rollout")["message"].startswith("generation 3 starts when")
        assert "generation 2: rollout done" in first.rest()[-1]["message"]
        assert "generation 3: rollout done" in second.rest()[-1]["message"]
        assert first.status()["command"] == serve("three")
    wait_pool(one, 3, 1)
    assert version(one) == "three"


@pytest.mark.rules("K5", "R9", "R7")
def test_a_command_that_fails_does_not_touch_the_one_that_waits(controlled):
    one, path = controlled(start=SLOW, command=serve("one"))
    with Control(path) as first, Control(path) as second:
        first.tell("rollout", "/bin/sh", "-c", "exit 5", wait=True)
        second.tell("rollout", *serve("three"), wait=True)
        assert first.rest()[-1]["error"] is True
        assert "generation 3: rollout done" in second.rest()[-1]["message"]
    wait_pool(one, 3, 1)
    assert version(one) == "three"
    one.reload()
    wait_pool(one, 4, 1)
    assert version(one) == "three"


# --- the client that people use ------------------------------------------------------------------


def ctl(path, *words, **how):
    return run("ctl", f"-control={path}", *words, **how)


@pytest.mark.rules("K5")
def test_a_deploy_script_can_trust_the_exit_status(socket_dir, controlled):
    deploy = Deploy(socket_dir)
    one, path = controlled(start=SLOW, command=[deploy.path])
    done = ctl(path, "reload", "-wait", deadline=30)
    assert done.status == 0 and "rollout done" in done.stdout + done.stderr, done
    deploy.run('echo "no such database" >&2; exit 78')
    done = ctl(path, "reload", "-wait", deadline=30)
    assert done.status == 1, done
    assert "exit status 78" in done.stdout + done.stderr
    assert "no such database" in done.stdout + done.stderr
    done = ctl(path, "reload", "-generation=1")
    assert done.status == 1 and "does not serve" in done.stderr, done
    done = ctl(path, "reload", "-wait", "--", *serve("two"), deadline=30)
    assert done.status == 0, done
    assert version(one) == "two"
    done = ctl(path, "reload", "-wait", "-timeout=1")
    assert done.status == 3, done
    one.wait_log(says("rollout_done", generation=5))
    assert ctl(path, "scale", "2").status == 0
    assert ctl(path, "scale", "0").status in (1, 2)
    assert ctl(path, "ping").status == 0
    assert ctl(path, "signal", "WINCH").status == 0
    assert f"{one.pid}" in ctl(path, "status").stdout
    assert '"workers_wanted":2' in ctl(path, "status", "-json").stdout
    assert "socketmaster_generation 5" in ctl(path, "metrics").stdout
    assert ctl(path, "stop").status == 0
    assert one.wait_exit() == 0
    assert ctl(path, "status").status == 4
