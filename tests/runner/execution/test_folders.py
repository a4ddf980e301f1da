"""Which run folder is meant: the default of a pipeline, the newest, and one of several."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.execution import folders
from floodrunner.runner.pipeline import spec
from tests.runner.conftest import House

PIPELINE = """\
name: many
run_folder_per: texts
inputs:
  texts: {path: data/texts}
steps:
  one: {stage: copy-text, in: {source: inputs.texts}}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(PIPELINE)
    Path("single.yaml").write_text(PIPELINE.replace("run_folder_per: texts\n", ""))
    return tmp_path


def pretend(folder: str, age: int, **more: object) -> Path:
    """A run that ended `age` seconds ago."""
    path = Path(folder)
    path.mkdir(parents=True)
    run = {"pipeline": {"name": "many"}, "status": "done", "started": "s", "ended": "e", "steps": {}, **more}
    (path / "run.json").write_text(json.dumps(run))
    os.utime(path / "run.json", (1e9 - age, 1e9 - age))
    return path


def test_the_default_folder_is_named_after_the_input(work: Path) -> None:
    many, single = spec.load(Path("p.yaml")).spec, spec.load(Path("single.yaml")).spec
    assert folders.default(single, {"texts": "new"}) == Path("runs/many")
    assert folders.default(many, {}) == Path("runs/many/texts")
    assert folders.default(many, {"texts": "b/images"}) == Path("runs/many/images")
    assert folders.default(many, {"texts": "b/images"}, parents=1) == Path("runs/many/b-images")
    assert folders.default(many, {"texts": "/"}) == Path("runs/many/texts")


@pytest.mark.parametrize(
    ("value", "found"),
    [("text", "'text'; did you mean 'texts'?"), ("''", "''; choose 'texts'")],
    ids=["misspelt", "none"],
)
def test_the_folder_can_only_be_named_after_an_input(work: Path, value: str, found: str) -> None:
    Path("p.yaml").write_text(PIPELINE.replace("per: texts", f"per: {value}"))
    with pytest.raises(UserError) as refused:
        spec.load(Path("p.yaml"))
    assert str(refused.value) == f"p.yaml:2: run_folder_per: the pipeline has no input {found}"


def test_the_newest_of_all_runs_is_meant(work: Path) -> None:
    assert folders.all_runs() == []
    old, new, between = (pretend(f"runs/{name}", age) for name, age in (("x", 9), ("many/a", 1), ("many/b", 5)))
    step = pretend("runs/x/one", 0)  # a stage may write a file of that name
    (step / "job.json").write_text("{}")
    assert folders.all_runs() == [old, between, new]
    assert folders.find(None)[0] == new


def test_a_pipeline_or_a_folder_of_runs_stands_for_its_newest_run(work: Path) -> None:
    for name, age in (("many", 7), ("many/a", 5), ("many/b", 3), ("other/c", 1)):
        pretend(f"runs/{name}", age)
    assert folders.meant("p.yaml") == [Path("runs/many"), Path("runs/many/a"), Path("runs/many/b")]
    assert folders.find("single.yaml")[0] == folders.find("runs/many")[0] == Path("runs/many")
    assert folders.find("runs/other/")[0] == Path("runs/other/c")
    (work / "runs/many/run.json").unlink()
    assert folders.find("p.yaml")[0] == folders.find("single.yaml")[0] == folders.find("runs/many")[0]
    with pytest.raises(UserError) as refused:
        folders.find("p.yaml", only=True)
    assert str(refused.value) == "p.yaml: has 2 runs; name one: runs/many/b, runs/many/a"
    assert folders.find("runs/other", only=True)[0] == Path("runs/other/c")


def test_what_is_not_there_is_named(work: Path) -> None:
    pretend("runs/many/texts", 5)
    with pytest.raises(UserError, match=r"^runs/many/text: does not exist; .*; did you mean 'many/texts'\?$"):
        folders.find("runs/many/text")


def test_an_older_run_in_the_folder_above_is_left_alone(done: House) -> None:
    done.pipeline(done.written.replace("name: demo", "name: demo\nrun_folder_per: texts"))
    os.rename(done.work / "texts", done.work / "state")  # a step of that name would be the state of a step
    done.pipeline(
        done.written.replace("path: texts", "path: state").replace("  one:", "  state:").replace("one.", "state.")
    )
    before = {path: path.stat().st_mtime_ns for path in (done.work / "runs/demo").rglob("*")}
    ended = done("run", "p.yaml")
    assert "Everything is in runs/demo/state" in ended.out, ended.err
    assert {path: path.stat().st_mtime_ns for path in before if path.name != "demo"} == before
    assert done("clean", "runs/demo", "--yes").code == 0
    assert (done.work / "runs/demo/state/state/text.json").exists()
    assert "demo in runs/demo/state: done" in done("status", "p.yaml").out
