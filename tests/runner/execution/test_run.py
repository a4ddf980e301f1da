"""Runs of tiny stages: what is made, what is kept when a run fails or is repeated. Mostly in this process."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floodrunner.runner.engines.base import Orphan
from floodrunner.runner.execution import folders
from floodrunner.runner.workdir import events, records
from floodrunner.runner.workdir.publish import publish
from tests.runner import in_process
from tests.runner.execution.test_skip import SKIPPED, planned, read

if TYPE_CHECKING:
    from conftest import House


def test_a_run(demo: House) -> None:
    assert planned(demo) == dict.fromkeys(("one", "two", "three"), "run never run")
    assert not (demo.work / "runs").exists()
    ended = demo("run", "p.yaml")
    assert (ended.code, ended.err) == (0, "")
    folder = demo.work / "runs/demo"
    assert (folder / "two/text.json").read_text() == "hello world!"
    assert (folder / "three/count.json").read_text() == "10"
    lines = ended.out.splitlines()
    assert "one: runs: copy a text, with a number added" in lines
    assert "one: copied" in lines
    assert any(line.startswith("two: done in ") and line.endswith("s, length 11, loss 0.5") for line in lines)
    assert lines[-5:] == [
        "  one: length 11",
        "  two: length 11",
        "Look at:",
        "  runs/demo/one/picture.txt  (a picture of the text)",
        "  runs/demo/two/picture.txt  (a picture of the text)",
    ]
    assert sorted(os.listdir(folder / "two")) == [
        ".running", "events.jsonl", "job.json", "log.txt", "picture.txt", "state", "step.json", "text.json"
    ]  # fmt: skip
    assert "copied\n" in (folder / "two/log.txt").read_text()


def test_again_does_nothing_says_why_and_names_the_pictures(done: House) -> None:
    before = {
        p: p.stat().st_mtime_ns for p in (done.work / "runs/demo").rglob("*") if p.name != "run.json" and p.is_file()
    }
    started = time.monotonic()
    ended = done("run", "p.yaml")
    assert time.monotonic() - started < 10  # a hang, not a measurement
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "engine local (used before in this run folder)",
        "one: skipped (nothing changed)",
        "two: skipped (nothing changed)",
        "three: skipped (nothing changed)",
        "Nothing to do: nothing changed since the last run. Everything is in runs/demo",
        "Results:",
        "  one: length 11",
        "  two: length 11",
        "Look at:",
        "  runs/demo/one/picture.txt  (a picture of the text)",
        "  runs/demo/two/picture.txt  (a picture of the text)",
    ]
    after = {p: p.stat().st_mtime_ns for p in before}
    assert {p.name for p in before if before[p] != after[p]} <= {".lock", ".hashes.json"}


def test_a_picture_is_named_as_soon_as_its_step_is_done(demo: House) -> None:
    """A run may take days; a picture that shows that the labels are wrong should be seen before."""
    stage = demo.code / "stages/copy_text.py"
    text = 'context.artifact(context.outputs["text"], "the text")'
    stage.write_text(stage.read_text().replace("picture.txt", "picture.png").replace('context.message("copied")', text))
    lines = demo.run().out.splitlines()
    named = lines.index("one: look at runs/demo/one/picture.png (a picture of the text)")
    assert lines[named - 1].startswith("one: done in ")
    assert lines[named + 1].startswith("two: ")
    assert sum("look at" in line for line in lines) == 2  # of `one` and `two`; their texts are no pictures
    assert "look at" not in demo.run().out


def test_run_json_holds_enough_to_run_the_same_again(done: House) -> None:
    run = read(done, "run.json")
    assert run["status"] == "done"
    assert run["command"] == ["floodrunner", "run", "p.yaml"]
    assert run["folder"] == str(done.work)
    assert run["pipeline"]["text"] == (done.work / "p.yaml").read_text()
    assert run["inputs"]["texts"]["path"] == str(done.work / "texts")
    assert len(run["inputs"]["texts"]["content"]) == 64
    assert run["steps"]["one"]["engine"]["python"].startswith("3.")
    assert "numpy" in run["steps"]["one"]["engine"]
    assert {"name", "cpu", "cores", "memory_bytes", "gpus", "system"} <= set(run["host"])
    assert run["steps"]["two"]["params"] == {"suffix": "!", "upper": False}
    assert run["steps"]["two"]["status"] == "done"
    assert run["started"] <= run["ended"]


def test_run_json_holds_the_figures_and_tells_results_apart(done: House) -> None:
    """Where only this file is kept, it still says what was made, and with which code."""
    for _ in range(2):  # the second time, the steps are skipped
        run, two = read(done, "run.json"), read(done, "two/step.json")
        assert run["steps"]["two"]["metrics"] == two["metrics"] == {"length": 11}
        assert run["steps"]["two"]["outputs"] == two["ports"]
        assert run["code"].items() >= two["parts"]["code"].items()
        assert done.run().code == 0


def test_run_json_is_there_before_the_first_step(house: House) -> None:
    house.pipeline("name: demo\nsteps: {x: {stage: breaks, params: {how: fail}}}\n")
    assert house.run().code == 1
    run = read(house, "run.json")
    assert run["status"] == "failed"
    assert run["steps"]["x"]["message"].startswith("the network diverged; lower the learning rate; its output is in ")


def test_step_json(done: House) -> None:
    step = read(done, "two", "step.json")
    assert step["metrics"] == {"length": 11.0}  # the loss has a step: it is of training, not of the result
    assert step["artifacts"] == [{"path": "picture.txt", "title": "a picture of the text"}]
    assert step["names"] == ["picture.txt", "text.json"]
    code = step["parts"]["code"]
    assert {"stages/copy_text.py", "contract/stage.py", "stages/__main__.py", "segmentation/helper.py"} <= set(code)
    assert "stages/slow.py" not in code


def test_force_sets_the_state_aside(done: House) -> None:
    folder = done.work / "runs/demo/three"
    assert planned(done, force=["three"]) == {"one": SKIPPED, "two": SKIPPED, "three": "run --force, from scratch"}
    for number in (1, 2):
        ended = done.run(force=["three"])
        assert f"three: its previous state is kept in runs/demo/three/state.{number}" in ended.out
        assert (folder / f"state.{number}/count").read_text() == "10"
    assert (folder / "log.txt").read_text().count("from 0\n") == 3


def test_from_runs_the_rest_and_keeps_the_state(done: House) -> None:
    assert planned(done, start="two") == {"one": SKIPPED, "two": "run --from", "three": "run --from"}
    assert done.run(start="two").code == 0
    folder = done.work / "runs/demo/three"
    assert not (folder / "state.1").exists()
    assert "from 10\n" in (folder / "log.txt").read_text()


def test_a_failure_leaves_the_former_result_and_the_state(done: House) -> None:
    (done.work / "texts/x.bad").write_text("")
    ended = done.run()
    assert ended.code == 2
    assert ended.error == f"step one: {done.work}/texts: holds a .bad file; remove it"
    assert (done.work / "runs/demo/one/text.json").read_text() == "hello world"
    assert read(done, "run.json")["steps"]["two"]["status"] == "waiting"
    (done.work / "texts/x.bad").unlink()
    assert set(planned(done).values()) == {SKIPPED}  # back to what was: the former result still stands


def test_a_step_run_again_on_request_is_not_forgotten_when_cut_off(done: House) -> None:
    state = done.work / "runs/demo/three/state/count"
    state.unlink()
    state.mkdir()  # the stage stumbles over this
    assert done.run(start="three").code == 2
    state.rmdir()
    assert (
        planned(done)["three"]
        == "run not finished last time, continues from its state if data and settings are the same"
    )


@pytest.mark.parametrize("again", [{"force": ["x"]}, {"start": "x"}, {}])
def test_a_rerun_that_failed_leaves_nothing_of_the_former_result_behind(house: House, again: dict[str, Any]) -> None:
    """A picture that only the first try makes would lie beside the last one's result, and look like a part of it."""
    stage = house.code / "stages/breaks.py"
    code = stage.read_text()
    picture = '    (context.output_folder / "picture.txt").write_text("x")\n'
    stage.write_text(code.replace('    if params.how == "exit":', picture + '    if params.how == "exit":'))
    house.pipeline("name: demo\nsteps: {x: {stage: breaks}}\n")
    assert house.run().code == 0
    folder = house.work / "runs/demo/x"
    (folder / "notes.txt").write_text("the user's own")
    stage.write_text(code)
    for _ in range(2):
        assert house.run("x.how=fail", **again).code == 1
        assert (folder / "picture.txt").exists()  # no better result yet
    assert house.run().code == 0
    assert set(os.listdir(folder)) - {"state.1", "state.2"} == {
        ".running", "events.jsonl", "job.json", "log.txt", "nothing.json", "notes.txt", "state", "step.json"
    }  # fmt: skip


@pytest.mark.parametrize("at", [1, 2, 3])
def test_publishing_that_was_cut_off_is_made_good(done: House, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Killed between any two of its moves: the step counts as not run, and the next result is whole and alone."""
    folder = done.work / "runs/demo/one"
    former = records.read_step(folder)
    assert former is not None
    moves: list[Any] = []

    def dies(*arguments: Any) -> None:
        moves.append(arguments)
        if len(moves) == at:
            raise KeyboardInterrupt
        rename(*arguments)

    rename = os.rename
    (folder / "partial").mkdir()
    for name in ("a", "b", "c"):
        (folder / "partial" / name).write_text("first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            publish(folder, former.model_copy(update={"names": ["a", "b", "c"]}))
    assert records.read_step(folder) is None
    shutil.rmtree(folder / "partial")
    (folder / "partial").mkdir()
    (folder / "partial" / "b").write_text("second")
    publish(folder, former.model_copy(update={"names": ["b"]}))
    assert set(os.listdir(folder)) == {".running", "events.jsonl", "job.json", "log.txt", "state", "b", "step.json"}
    assert (folder / "b").read_text() == "second"


def test_what_a_try_left_half_done_is_cleared(done: House) -> None:
    partial = done.work / "runs/demo/two/partial"
    partial.mkdir()
    (partial / "junk").write_text("x")
    assert done.run(start="two").code == 0
    assert not partial.exists()
    assert not (done.work / "runs/demo/two/junk").exists()


def test_hashes_of_unchanged_inputs_are_not_read_again(demo: House) -> None:
    for file in (demo.work / "texts").iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))  # old enough to be trusted
    assert demo.run().code == 0
    cache = demo.work / "runs/demo/.hashes.json"
    known = json.loads(cache.read_text())
    assert {Path(path).name for path in known} >= {"a.txt", "b.txt"}
    # A lie in the cache is believed as long as size, time and inode are those of the file: so the file was not read.
    known[str(demo.work / "texts/a.txt")][-1] = "0" * 64
    cache.write_text(json.dumps(known))
    assert planned(demo)["one"] == "run input source changed"
    os.utime(demo.work / "texts/a.txt", (1_000_000_001, 1_000_000_001))
    assert planned(demo)["one"] == SKIPPED


def test_workdir(demo: House) -> None:
    assert demo.run(workdir="out").code == 0
    assert (demo.work / "out/two/text.json").exists()
    assert not (demo.work / "runs").exists()
    ended = demo.run(workdir="texts")
    assert ended.code == 2
    assert "p.yaml:3: input texts: the folder texts holds the run folder texts" in ended.err
    (demo.work / "mine").mkdir()
    (demo.work / "mine/thesis.tex").write_text("x")
    ended = demo.run(workdir="mine")
    assert ended.code == 2
    assert ended.error == (
        f"{demo.work}/mine: is not a run folder, but holds thesis.tex; choose an empty or new folder with --workdir"
    )
    demo.pipeline(demo.written.replace("name: demo", "name: other"))
    ended = demo.run(workdir="out")
    assert "holds a run of the pipeline 'demo', not of 'other'; choose another run folder with --workdir" in ended.error


def test_the_folder_of_the_pipeline_file_does_not_matter(demo: House) -> None:
    (demo.work / "pipelines").mkdir()
    demo.pipeline(demo.written, "pipelines/p.yaml")
    assert demo("run", "pipelines/p.yaml").code == 0
    assert (demo.work / "runs/demo/run.json").exists()


def test_the_stage_of_a_killed_runner_is_taken_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that it has reported since it began, before the runner was killed too."""
    house.pipeline("name: demo\nsteps: {x: {stage: breaks}}\n")
    folder = house.work / "runs/demo/x"
    (folder / "partial").mkdir(parents=True)
    (folder / "job.json").touch()
    (folder / "partial/nothing.json").write_text("1")
    told = [
        {"event": "metric", "name": "old", "value": 1},
        {"event": "start", "time": time.time() - 100},
        {"event": "metric", "name": "new", "value": 2},
        {"event": "end", "status": "done", "message": ""},
    ]
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in told))
    orphan = Orphan("x", "this process", False, lambda job: in_process.Ended(0))
    monkeypatch.setattr(in_process, "orphans", lambda workdir: [orphan])
    monkeypatch.setattr(folders, "orphans", lambda workdir: [])
    ended = house.run()
    assert (ended.code, ended.err) == (0, "")
    assert "x: runs (continues in this process)" in ended.out
    done = records.read_step(folder)
    assert done is not None
    assert done.metrics == {"new": 2}
    assert 100 <= done.seconds < 160


def test_without_such_a_stage_nobody_looks_for_its_beginning(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.pipeline("name: demo\nsteps: {x: {stage: breaks}}\n")
    monkeypatch.setattr(events, "last_begun", None)
    assert house.run().code == 0
