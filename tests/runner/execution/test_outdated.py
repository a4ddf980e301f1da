"""Results that are no longer those of the run are marked, by status and logs, wherever they are shown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from floodrunner.runner.execution import outdated
from floodrunner.runner.execution import run as running
from floodrunner.runner.workdir.records import read_step
from tests.runner.conftest import House
from tests.runner.execution.test_hostile import command


@pytest.fixture
def done(demo: House) -> House:
    """A house in which the pipeline has run, where its data is."""
    assert demo.run().code == 0
    return demo


def marks(house: House, alive: bool = False) -> dict[str, str]:
    folder = house.work / "runs/demo"
    return {name: str(each) for name, each in outdated.marks(folder, report(house), alive).items()}


def report(house: House) -> dict[str, Any]:
    return dict(json.loads((house.work / "runs/demo/run.json").read_text()))


def rewrite(house: House, step: str, **facts: Any) -> None:
    run = report(house)
    run["steps"][step].update(facts)
    (house.work / "runs/demo/run.json").write_text(json.dumps(run))


def test_a_run_that_is_done_has_no_marks(done: House) -> None:
    assert marks(done) == {}
    done.run()
    os.utime(done.work / "texts/a.txt", (1, 1))  # a new time is no change
    assert marks(done) == {}


def test_data_that_is_gone_cannot_be_compared(done: House) -> None:
    (done.work / "texts").rename(done.work / "away")  # or a disk that is not connected
    assert marks(done) == {
        "one": f"may be out of date: its input texts is no longer at {done.work}/texts, so it cannot be compared",
        "two": "may be out of date: step one may be out of date",
        "three": "may be out of date: step two may be out of date",
    }
    assert ", may be out of date: its input texts is no longer at texts, so" in command(done, "status").out


def test_an_edited_input_marks_all_that_was_made_from_it(done: House) -> None:
    (done.work / "texts/a.txt").write_text("edited ")
    assert marks(done) == {
        "one": "out of date: its input texts has changed since",
        "two": "out of date: step one is out of date",
        "three": "out of date: step two is out of date",
    }
    lines = command(done, "status").out.splitlines()
    assert lines[1].startswith("  one    done 20")
    assert lines[1].endswith(", out of date: its input texts has changed since")
    assert lines[4:] == [
        "Results:",
        "  one (out of date): length 11",
        "  two (out of date): length 11",
        "Look at:",
        "  runs/demo/one/picture.txt  (out of date; a picture of the text)",
        "  runs/demo/two/picture.txt  (out of date; a picture of the text)",
    ]
    log = done("logs", "two")
    assert log.out.startswith("--- ")
    assert log.err == "the result of step two is out of date: step one is out of date\n"
    assert done.run().code == 0
    assert marks(done) == {}


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_files_that_come_and_go_are_changes(done: House, change: str) -> None:
    file = done.work / "texts/b.txt"
    if change == "added":
        file.with_name("c.txt").write_text("more")
    elif change == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("c.txt"))
    assert marks(done)["one"] == "out of date: its input texts has changed since"


def test_what_is_too_large_to_read_now_may_have_changed(done: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (done.work / "texts").iterdir():
        os.utime(file, (1e9, 1e9))
    done.run()  # remembers the files, which have not changed a moment ago
    monkeypatch.setattr(outdated, "_MOST_BYTES", 5)
    assert marks(done) == {}
    os.utime(done.work / "texts/a.txt", (1, 1))
    assert marks(done) == {
        "one": "may be out of date: its input texts has new times; floodrunner plan compares its content",
        "two": "may be out of date: step one may be out of date",
        "three": "may be out of date: step two may be out of date",
    }


def test_results_of_former_data_are_marked_until_their_step_has_run(done: House) -> None:
    """A run with other data that is killed after its first step."""
    (done.work / "other").mkdir()
    (done.work / "other/a.txt").write_text("other ")
    run_or_skip: Callable[..., Any] = running._run_or_skip

    def killed(run: Any, step: Any) -> Any:
        if step.id != "one":
            raise KeyboardInterrupt
        return run_or_skip(run, step)

    with mock.patch.object(running, "_run_or_skip", killed):
        assert done.run(inputs=["texts=other"], replace=True).code == 130
    assert marks(done) == {
        "two": "out of date: step one has another result now",
        "three": "out of date: step two is out of date",
    }


def test_parameters_and_code_that_a_stopped_run_did_not_come_to_count(done: House) -> None:
    with mock.patch("floodrunner.runner.execution.run._run_or_skip", side_effect=KeyboardInterrupt):
        assert done.run("two.suffix='?'").code == 130
    assert marks(done) == {
        "two": 'out of date: parameter suffix: "!" -> "?"',
        "three": "out of date: step two is out of date",
    }
    assert done.run().code == 0
    stage = done.code / "stages/slow.py"
    stage.write_text(stage.read_text().replace("done += 1", "done = done + 1"))
    assert marks(done) == {}  # an update is no reason to doubt results
    with mock.patch("floodrunner.runner.execution.run._run_or_skip", side_effect=KeyboardInterrupt):
        done.run()
    assert list(marks(done)) == ["three"]
    assert marks(done)["three"].startswith("out of date: stages/slow.py changed")


@pytest.mark.parametrize(
    ("status", "alive", "reason"),
    [
        ("failed", False, "it has failed since"),
        ("bug", False, "it has failed since"),
        ("interrupted", False, "it was stopped when it ran again"),
        ("running", False, "it was stopped when it ran again"),
        ("running", True, "it runs again now"),
    ],
)
def test_a_step_that_did_not_end_has_its_former_result(done: House, status: str, alive: bool, reason: str) -> None:
    rewrite(done, "two", status=status, started="2020-01-01T00:00:00+00:00")
    assert marks(done, alive) == {"two": f"out of date: {reason}", "three": "out of date: step two is out of date"}
    rewrite(done, "two", params={"suffix": "?", "upper": False})  # of two reasons, the one that tells more
    assert marks(done, alive)["two"] == 'out of date: parameter suffix: "!" -> "?"'
    (done.work / "runs/demo/two/step.json").unlink()
    assert marks(done, alive) == {"three": f"out of date: step two {reason.removeprefix('it ')}"}


def test_a_failed_step_tells_its_error_and_its_former_figures_are_marked(done: House) -> None:
    (done.work / "texts/x.bad").write_text("bad")
    assert done.run().code == 2
    out = command(done, "status").out
    assert "  one    failed 20" in out
    assert "(log: runs/demo/one/log.txt); its result below is an earlier one\n" in out
    assert ", out of date: step one is out of date\n" in out
    assert "  one (out of date): length 11\n" in out


def test_a_result_that_was_removed(done: House) -> None:
    (done.work / "runs/demo/one/step.json").unlink()
    assert marks(done)["two"] == "out of date: the result of step one is gone"


def test_what_a_record_does_not_say_is_not_marked(done: House) -> None:
    assert read_step(done.work / "runs/demo/one") is not None
    run = report(done)
    for damage in (
        {"inputs": {"texts": {"path": 3}}},
        {"inputs": 1},
        {"code": None},
        {"steps": {**run["steps"], "one": {}}},
    ):
        assert outdated.marks(done.work / "runs/demo", {**run, **damage}, alive=False) == {}
    run["steps"]["one"]["in"] = {"source": "nothing"}
    assert outdated.marks(done.work / "runs/demo", run, alive=False) == {}


def test_the_runs_of_a_pipeline_are_told_apart(done: House) -> None:
    (done.work / "runs/demo").rename(done.work / "runs/old")
    done.pipeline(done.written.replace("name: demo", "name: demo\nrun_folder_per: texts"))
    for name in ("a", "b"):
        (done.work / "runs/demo").mkdir(exist_ok=True)
        assert done.run(workdir=f"runs/demo/{name}").code == 0
        os.utime(done.work / f"runs/demo/{name}/run.json", ns=(1, 10**18 + ord(name)))
    out = command(done, "status", "p.yaml").out
    assert out.startswith("demo in runs/demo/b: done")
    assert out.endswith("\nOther runs of p.yaml: runs/demo/a\n")
    assert "Other runs" not in command(done, "status", "runs/demo/a").out
    refused = command(done, "clean", "p.yaml", "--yes")
    assert refused.error == "p.yaml: has 2 runs; name one: runs/demo/b, runs/demo/a"
