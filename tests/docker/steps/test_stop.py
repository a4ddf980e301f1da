"""However a step ends, the engine is as before; a stop leaves time to save, and the next run goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from floodrunner.contract.codes import STATUS
from tests.docker.steps.conftest import Ship

LeftBehind = Callable[[], list[str]]
AtLine = Callable[..., None]

COUNT = "name: demo\nsteps: {count: {stage: lines, params: {steps: STEPS, seconds: 0.05}}}\n"
STUBBORN = "name: demo\nsteps: {slow: {stage: slow, params: {steps: 4000, seconds: 0.05, ignore_stop: 60.0}}}\n"


def test_nothing_is_left_after_success(ship: Ship, left_behind: LeftBehind) -> None:
    ship.pipeline(COUNT.replace("STEPS", "3"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("count", "count.json") == [0, 1, 2]
    assert left_behind() == []
    again = ship.run()
    assert "Nothing to do" in again.out
    assert left_behind() == []


KILLED = "killed from outside (docker kill, docker stop, or no memory left); run again"


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("fail", 1, "step broken: the network diverged; lower the learning rate; its output is in "),
        ("bug", 3, "step broken: a bug in stage breaks: KeyError: 'lost'; the full traceback is in "),
        ("input", 2, "step broken: section 3: is a text; remove it, or --force broken"),
        ("no-output", 3, "step broken: a bug in stage breaks: RuntimeError: stage breaks returned without writing"),
        ("exit", 1, "step broken: crashed with exit code 5: about to break; its output is in "),
        (
            "kill",
            1,
            f"step broken: crashed: {KILLED}; its output is in ",
        ),
        ("term", 130, "step broken: stopped by a signal from outside; run again to continue"),
    ],
)
def test_nothing_is_left_after_trouble(ship: Ship, left_behind: LeftBehind, how: str, code: int, words: str) -> None:
    ship.pipeline(f"name: demo\nsteps: {{broken: {{stage: breaks, params: {{how: {how}}}}}}}\n")
    ended = ship.run()
    assert ended.code == code
    assert ended.error.startswith(words)
    assert "about to break" in ship.log("broken")
    assert ship.report["steps"]["broken"]["status"] == STATUS[code]
    assert left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_the_next_run_goes_on(
    ship: Ship, left_behind: LeftBehind, at_line: AtLine, number: int
) -> None:
    ship.pipeline(COUNT.replace("STEPS", "400"))
    process = ship.start()
    at_line("count", 5)
    assert len(ship.containers()) == 1
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "floodrunner: interrupted; run again to continue\n"
    assert "count: stopping: the step saves its state if it has one (Ctrl-C again kills the step)" in out
    assert left_behind() == []
    saved = int((ship.folder("count") / "state" / "count").read_text())
    assert 5 <= saved < 400
    assert [event["status"] for event in ship.events("count") if event["event"] == "end"] == ["interrupted"]
    assert ship.report["steps"]["count"]["status"] == "interrupted"
    ended = ship.run("--set", f"count.steps={saved + 3}")
    assert ended.code == 0, ended.err
    assert "continues from its state" in ended.out
    assert f"from {saved}\nline {saved + 1}\n" in ship.log("count")
    assert ship.result("count", "count.json") == list(range(saved + 3))
    assert left_behind() == []


def test_a_second_ctrl_c_kills_at_once(ship: Ship, left_behind: LeftBehind, wait_for: Callable[..., None]) -> None:
    ship.pipeline(STUBBORN)
    process = ship.start()
    wait_for(lambda: ship.folder("slow").joinpath("log.txt").exists() and "from 0" in ship.log("slow"), 30)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # it waits for the state
    assert [container.status for container in ship.containers()] == ["running"]
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - asked < 10  # not the minute that the stage would have gone on
    assert process.returncode == 130
    assert err == "floodrunner: interrupted; run again to continue\n"
    assert not (ship.folder("slow") / "state" / "count").exists()
    assert left_behind() == []


def test_ctrl_c_while_a_container_is_being_made(
    ship: Ship, left_behind: LeftBehind, wait_for: Callable[..., None]
) -> None:
    """Between the creation of a container and the stage's first line, at whichever moment of it."""
    for pause in (0.0, 0.15, 0.3, 0.5):
        ship.pipeline(COUNT.replace("STEPS", "4000"))
        process = ship.start()
        wait_for(lambda: (ship.folder("count") / "job.json").exists(), 30)
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, "floodrunner: interrupted; run again to continue\n")
        assert left_behind() == []
        (ship.folder("count") / "job.json").unlink()
    done = ship.folder("count") / "state" / "count"
    ended = ship.run("--set", f"count.steps={int(done.read_text()) + 1 if done.exists() else 1}")
    assert ended.code == 0, ended.err


def test_a_container_that_somebody_removes(ship: Ship, left_behind: LeftBehind, at_line: AtLine) -> None:
    ship.pipeline(COUNT.replace("STEPS", "4000"))
    process = ship.start()
    at_line("count", 3)
    ship.containers()[0].remove(force=True)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.count("\n") == 1
    expected = "(killed from outside|another program removed its container)"
    assert re.match(f"floodrunner: step count: crashed: {expected}", err), err
    assert left_behind() == []


def test_what_a_step_prints_and_reports_is_as_with_the_local_engine(ship: Ship) -> None:
    ship.pipeline(COUNT.replace("STEPS", "30"))
    assert ship.run().code == 0
    assert ship.run("--workdir", "local", engine="local").code == 0
    local = ship.work / "local" / "count"
    assert ship.log("count").splitlines()[1:] == (local / "log.txt").read_text().splitlines()[1:]
    assert ship.log("count").splitlines()[1:] == ["from 0", *(f"line {number + 1}" for number in range(30))]
    theirs = [json.loads(line) for line in (local / "events.jsonl").read_text().splitlines()]
    kinds = [
        [(event["event"], event.get("step"), event.get("value")) for event in events]
        for events in (ship.events("count"), theirs)
    ]
    assert kinds[0] == kinds[1]
