"""kill -9 of the runner: its container works on, and the next run takes it over, or ends it and says so."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.steps.conftest import Ship

if TYPE_CHECKING:
    from docker.models.containers import Container

Wait = Callable[..., None]
LeftBehind = Callable[[], list[str]]

COUNT = """
name: demo
steps:
  first: {stage: lines, params: {steps: 1, seconds: 0}}
  count: {stage: lines, in: {source: first.count}, params: {steps: STEPS, seconds: 0.05}}
"""


def orphan(ship: Ship, at_line: Wait, steps: int, line: int = 5) -> Container:
    """The container of a run that was killed at a line of its step `count`."""
    ship.pipeline(COUNT.replace("STEPS", str(steps)))
    process = ship.start()
    at_line("count", line)
    kill(process)
    (container,) = ship.containers()
    assert container.status == "running"
    return container


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def lines(ship: Ship, step: str = "count") -> list[str]:
    """What the stage printed, without the titles of tries."""
    return [line for line in ship.log(step).splitlines() if not line.startswith("---")]


def steps_told(ship: Ship) -> list[int]:
    return [event["step"] for event in ship.events("count") if event["event"] == "metric"]


def undisturbed(steps: int, begin: int = 0) -> list[str]:
    return [f"from {begin}", *(f"line {number + 1}" for number in range(begin, steps))]


def test_the_next_run_takes_it_over(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    container = orphan(ship, at_line, 100)
    inside = container.attrs["State"]["StartedAt"]
    at_line_of_container(container, 20)  # nobody copies these
    process = ship.start()
    at_line("count", 30)
    assert [(each.id, each.attrs["State"]["StartedAt"]) for each in ship.containers()] == [(container.id, inside)]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"count: runs (continues in container {container.name}): " in out
    assert ship.result("count", "count.json") == list(range(100))
    assert lines(ship) == undisturbed(100)
    assert steps_told(ship) == list(range(1, 101))
    assert [event["event"] for event in ship.events("count")].count("start") == 1
    assert ship.report["steps"]["count"]["status"] == "done"
    assert (
        ship.report["steps"]["count"]["seconds"] > 100 * 0.05
    )  # since the container began, not since it was taken over
    assert left_behind() == []
    assert "Nothing to do" in ship.run().out


def at_line_of_container(container: Container, number: int) -> None:
    for block in container.logs(stream=True, follow=True):
        if f"line {number}\n" in block.decode():
            return
    pytest.fail(f"it ended before line {number}")


def test_one_that_was_taken_over_can_be_stopped_and_killed_again(
    ship: Ship, at_line: Wait, left_behind: LeftBehind, wait_for: Wait
) -> None:
    container = orphan(ship, at_line, 4000)
    second = ship.start()
    at_line("count", 20)
    kill(second)
    third = ship.start()
    wait_for(lambda: follows(ship, third), 30)
    assert [each.id for each in ship.containers()] == [container.id]
    third.terminate()
    _, err = third.communicate(timeout=30)
    assert (third.returncode, err) == (130, "floodrunner: interrupted; run again to continue\n")
    assert left_behind() == []
    saved = int((ship.folder("count") / "state" / "count").read_text())
    # On another stream than the lines, so it may come before the last of them.
    assert [line for line in lines(ship) if line != "stopped"] == undisturbed(saved)
    assert steps_told(ship) == list(range(1, saved + 1))


def follows(ship: Ship, runner: subprocess.Popen[str]) -> bool:
    """Whether a runner has taken over the container: lines in log and events may be of an earlier runner."""
    report = ship.report
    return bool(report["pid"] == runner.pid and report["steps"]["count"]["status"] == "running")


def test_other_parameters_stop_it(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    container = orphan(ship, at_line, 4000)
    ended = ship.run("--set", "count.seconds=0.001", "--set", "count.steps=200")
    assert ended.code == 0, ended.err
    assert f"count: stopping container {container.name} of a run that was killed" in ended.out
    assert ship.result("count", "count.json") == list(range(200))
    begun = [int(line.split()[1]) for line in lines(ship) if line.startswith("from")]
    assert len(begun) == 2
    assert begun[1] >= 5  # it was given time to save
    assert lines(ship)[-200 + begun[1] - 1 :] == undisturbed(200, begun[1])
    assert left_behind() == []


def test_the_local_engine_stops_it_first(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    container = orphan(ship, at_line, 4000)
    ended = ship.run("--set", "count.steps=200", "--set", "count.seconds=0.001", engine="local")
    assert ended.code == 0, ended.err
    assert f"count: stopping container {container.name} of a run that was killed" in ended.out
    assert "from 0" in lines(ship)
    assert int(lines(ship)[-1].split()[1]) == 200
    assert ship.result("count", "count.json") == list(range(200))
    assert left_behind() == []


def test_force_stops_it(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    container = orphan(ship, at_line, 120)
    ended = ship.run("--force", "count")
    assert ended.code == 0, ended.err
    assert f"stopping container {container.name}" in ended.out
    assert lines(ship)[-121:] == undisturbed(120)
    assert left_behind() == []


def test_the_result_of_one_that_ended_well_meanwhile_is_taken(
    ship: Ship, at_line: Wait, left_behind: LeftBehind
) -> None:
    container = orphan(ship, at_line, 30)
    assert container.wait()["StatusCode"] == 0
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert container.name in ended.out
    assert ship.result("count", "count.json") == list(range(30))
    assert lines(ship) == undisturbed(30)
    assert steps_told(ship) == list(range(1, 31))
    assert left_behind() == []


def test_one_that_failed_meanwhile_is_run_again(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    ship.pipeline(COUNT.replace("STEPS", "20").replace("seconds: 0.05", "seconds: 0.05, fails: true"))
    process = ship.start()
    at_line("count", 5)
    kill(process)
    (container,) = ship.containers()
    assert container.wait()["StatusCode"] == 1
    ended = ship.run()
    assert ended.code == 1
    assert ended.error.startswith("step count: the count is wrong; count again; its output is in ")
    assert [line for line in lines(ship) if line.startswith("from")] == ["from 0", "from 0"]  # run again, not taken
    assert left_behind() == []


@pytest.mark.parametrize("folder", ["runs/demo", "link/demo"])
def test_clean_stops_it(ship: Ship, at_line: Wait, left_behind: LeftBehind, folder: str) -> None:
    """Whichever name of the run folder it is given."""
    container = orphan(ship, at_line, 4000)
    (ship.work / "link").symlink_to("runs")
    ended = ship.house("clean", folder, "--yes", "--state")
    assert ended.code == 0, ended.err
    assert (
        f"count is still running in container {container.name}, left by a killed run; clean stops the step" in ended.out
    )
    assert not (ship.work / "runs" / "demo").exists()
    assert left_behind() == []


def test_one_that_was_made_and_not_started(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    """The runner killed between the two: the container is there, in state created."""
    running = orphan(ship, at_line, 30)
    image, labels = running.image.id, running.labels
    running.remove(force=True)
    made = ship.engine.containers.create(image, [str(ship.folder("count"))], labels=labels, network_mode="none")
    assert made.status == "created"
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("count", "count.json") == list(range(30))
    assert lines(ship)[-31:] == undisturbed(30)
    assert left_behind() == []


def test_a_kill_at_any_moment(ship: Ship, wait_for: Wait, left_behind: LeftBehind) -> None:
    """The next run ends with the same result, whether or not there was a container, and each line is there once."""
    ship.pipeline(COUNT.replace("STEPS", "10"))
    names = ["job.json", "events.jsonl", "state/count", "step.json"]
    for name in names:
        process = ship.start()
        wait_for(lambda: (ship.folder("count") / name).exists(), 30)  # noqa: B023
        kill(process)
        ended = ship.run()
        assert ended.code == 0, ended.err
        assert ship.result("count", "count.json") == list(range(10))
        assert sorted(lines(ship)) == sorted(undisturbed(10)), name
        assert left_behind() == []
        cleaned = ship.house("clean", "runs/demo", "--yes", "--state")
        assert cleaned.code == 0, cleaned.err


def test_status_and_logs_tell_of_it(ship: Ship, at_line: Wait) -> None:
    container = orphan(ship, at_line, 4000)
    assert json.loads((ship.work / "runs/demo/run.json").read_text())["status"] == "running"
    status = ship.house("status", "runs/demo")
    assert status.code == 0, status.err
    assert "was killed (started " in status.out
    assert f"  count is still running in container {container.name}; the next run takes it over" in status.out
    assert "line 5" in ship.house("logs", "count", "runs/demo").out


def test_one_of_a_step_that_is_skipped_now_is_stopped(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    ship.pipeline(COUNT.replace("STEPS", "10"))
    assert ship.run().code == 0
    container = orphan(ship, at_line, 4000, line=15)
    ship.pipeline(COUNT.replace("STEPS", "10"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert "count: skipped (nothing changed)" in ended.out
    assert f"count: stopping container {container.name} of a run that was killed" in ended.out
    assert left_behind() == []


def test_one_that_ended_and_is_not_wanted_any_more_is_removed(
    ship: Ship, at_line: Wait, left_behind: LeftBehind
) -> None:
    ship.pipeline(COUNT.replace("STEPS", "10"))
    assert ship.run().code == 0
    container = orphan(ship, at_line, 25, line=15)
    assert container.wait()["StatusCode"] == 0
    ship.pipeline(COUNT.replace("STEPS", "10"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert "count: skipped (nothing changed)" in ended.out
    assert "stopping" not in ended.out
    assert left_behind() == []


def test_one_whose_step_is_gone_from_the_pipeline_is_stopped(
    ship: Ship, at_line: Wait, left_behind: LeftBehind
) -> None:
    container = orphan(ship, at_line, 4000)
    ship.pipeline(COUNT.replace("STEPS", "10").replace("count: {stage", "other: {stage"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    stopping = f"count: stopping container {container.name} of a run that was killed\n"
    assert ended.out.index(stopping) < ended.out.index("other: runs: ")
    assert left_behind() == []


def test_one_of_a_later_step_is_stopped_before_an_earlier_one_runs_again(ship: Ship, at_line: Wait) -> None:
    container = orphan(ship, at_line, 4000)
    ended = ship.run("--set", "first.steps=2", "--set", "count.steps=20")
    assert ended.code == 0, ended.err
    stopping = f"count: stopping container {container.name} of a run that was killed\n"
    assert ended.out.index(stopping) < ended.out.index("first: runs (parameter steps: 1 -> 2)")


def test_one_whose_run_folder_was_renamed_is_not_joined_by_another(ship: Ship, at_line: Wait) -> None:
    container = orphan(ship, at_line, 4000)
    moved = ship.work / "runs" / "moved"
    (ship.work / "runs" / "demo").rename(moved)
    ended = ship.run("--workdir", "runs/moved")
    assert (ended.code, ended.error) == (
        2,
        f"{moved / 'count'}: a container still runs there. If its engine is down, start the engine; "
        "else find the container with docker ps --filter label=org.floodrunner.step=count, "
        "run docker stop -t 600 NAME, and run again",
    )
    assert [each.id for each in ship.containers()] == [container.id]
    container.stop()
    assert ship.run("--workdir", "runs/moved", "--set", "count.seconds=0.0001").code == 0


def test_a_stage_leaves_a_folder_to_the_one_that_is_at_work_there(ship: Ship, at_line: Wait) -> None:
    """Should all else fail: the lock is the last word."""
    container = orphan(ship, at_line, 4000)
    environment = {"FLOODRUNNER_LOCK": str(ship.folder("count") / ".container")}
    second = ship.engine.containers.create(
        container.image.id,
        [str(ship.folder("count"))],
        mounts=[{"Type": "bind", "Source": str(ship.folder("count")), "Target": str(ship.folder("count"))}],
        environment=environment,
        user=f"{os.getuid()}:{os.getgid()}",
    )
    try:
        second.start()
        assert second.wait()["StatusCode"] == 2
        assert b"another container is running this step; stop it, and run again" in second.logs()
    finally:
        second.remove(force=True)


def test_ctrl_c_while_it_is_taken_over(
    ship: Ship, at_line: Wait, left_behind: LeftBehind, tmp_path: Path, wait_for: Wait
) -> None:
    """Where the runner is asked to stop between finding the container and following it."""
    orphan(ship, at_line, 4000)
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "from floodrunner.runner.engines import docker\n"
        "adopt = docker._adopt\n"
        "def then_ctrl_c(container, job):\n"
        "    found = adopt(container, job)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return found\n"
        "docker._adopt = then_ctrl_c\n"
    )
    ship.house.environment["PYTHONPATH"] = f"{ship.house.code}{os.pathsep}{patch}"
    ended = ship.run()
    assert (ended.code, ended.err) == (130, "floodrunner: interrupted; run again to continue\n")
    assert left_behind() == []
    saved = int((ship.folder("count") / "state" / "count").read_text())
    assert saved >= 5


def test_a_source_that_is_edited_during_a_run_is_noticed(ship: Ship, at_line: Wait, left_behind: LeftBehind) -> None:
    """Else the next step would be recorded as done by code that never ran."""
    ship.pipeline(COUNT.replace("STEPS", "10").replace("steps: 1, seconds: 0", "steps: 60, seconds: 0.05"))
    process = ship.start()
    at_line("first", 5)
    with open(ship.house.code / "stages" / "lines.py", "a") as file:
        file.write("EDITED = True\n")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("floodrunner: step count: the image floodrunner-test-")
    assert err.rstrip().endswith("brings it up to date, in seconds, then run again")
    assert not (ship.folder("count") / "step.json").exists()
    assert left_behind() == []
