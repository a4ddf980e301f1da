"""`runs` and `compare`: what tells runs apart, and how their figures moved."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floodrunner.runner.terminal.figures import better, change, main
from floodrunner.runner.workdir.past import Asked, Past

if TYPE_CHECKING:
    from conftest import House


def edit(file: Path, **changes: Any) -> None:
    value = json.loads(file.read_text())
    value.update(changes)
    file.write_text(json.dumps(value))


def second(house: House, *sets: str) -> None:
    """Runs the pipeline once more, in another folder."""
    shutil.copytree(house.work / "runs/demo", house.work / "runs/other")
    assert house.run(*sets, workdir="runs/other").code == 0


@pytest.fixture
def here(done: House) -> House:
    """The input of the finished run is the one in this folder."""
    assert done.run().code == 0
    return done


def test_runs_shows_what_tells_them_apart(here: House) -> None:
    second(here, "two.suffix=???")
    ended = here("runs")
    assert (ended.code, ended.err) == (0, "")
    head, titles, first, other = ended.out.splitlines()
    assert head == "demo: 2 runs, all with texts texts"
    assert titles.split() == ["run", "state", "two.suffix", "length"]
    assert first.split()[:2] == ["runs/demo", "done,"]
    assert first.split()[-2:] == ["!", "11"]
    assert other.split()[-2:] == ["???", "11"]


def test_runs_groups_by_pipeline_and_finds_nested_folders(here: House) -> None:
    here.pipeline("name: more\nsteps: {x: {stage: slow, params: {steps: 3}}}\n", "q.yaml")
    assert here("run", "q.yaml", "--workdir", "runs/more/a").code == 0
    assert here("run", "q.yaml", "--workdir", "runs/more/b", "--set", "x.steps=4").code == 0
    (here.work / "runs/demo/one/run.json").write_text("{}")  # a file that a stage wrote
    lines = here("runs").out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("runs/")] == [
        "runs/demo",
        "runs/more/a",
        "runs/more/b",
    ]
    assert "more: 2 runs" in lines
    assert here("runs", "runs/more").out.splitlines()[0] == "more: 2 runs"


def test_of_a_single_run_the_values_of_the_command_line_are_shown(here: House) -> None:
    assert here("run", "p.yaml", "--workdir", "new/one", "--set", "three.steps=4").code == 0
    titles, row = here("runs", "new").out.splitlines()[1:]
    assert titles.split() == ["run", "state", "texts", "steps", "length"]
    assert row.split()[-3:] == ["texts", "4", "11"]


def test_figures_of_an_earlier_run_are_marked(here: House) -> None:
    shutil.copytree(here.work / "runs/demo", here.work / "runs/other")
    (here.work / "texts/c.bad").write_text("")
    assert here("run", "p.yaml", "--workdir", "runs/other", "--set", "two.suffix=x").code == 2
    out = here("runs").out
    assert "failed at one" in out
    assert "11*\n" in out
    assert out.splitlines()[-1] == "* out of date: floodrunner status RUN says why"
    compared = here("compare", "runs/demo", "runs/other").out
    assert "  two: suffix ! -> x\n" in compared
    assert "input texts: texts (other content)" in compared
    assert "unchanged" not in compared
    assert "byte for byte" not in compared


def test_what_status_marks_is_marked_in_tables_too(here: House) -> None:
    second(here)
    assert "byte for byte: all steps" in here("compare", "runs/demo", "runs/other").out
    (here.work / "texts/a.txt").write_text("edited ")
    assert len(re.findall(r" 11\*$", here("runs").out, re.MULTILINE)) == 2
    out = here("compare", "runs/demo", "runs/other").out
    assert "byte for byte" not in out
    assert "  A one: out of date: its input texts has changed since\n" in out
    assert "one   length  11*  11*  unchanged" in out
    (here.work / "texts").rename(here.work / "away")
    out = here("runs").out
    assert len(re.findall(r" 11\?$", out, re.MULTILINE)) == 2
    assert out.splitlines()[-1] == "? may be out of date: floodrunner status RUN says why"
    (here.work / "away").rename(here.work / "texts")
    (here.work / "texts/a.txt").write_text("hello ")
    shutil.rmtree(here.work / "runs/demo/one")
    out = here("compare", "runs/demo", "runs/other").out
    assert "  A one: out of date: its result is gone\n" in out
    assert "one   length  11*  11  unchanged" in out


def test_an_input_of_the_same_path_and_other_content_does_not_look_alike(here: House) -> None:
    (here.work / "texts/a.txt").write_text("good ")
    second(here)
    lines = here("runs").out.splitlines()
    contents = [line.partition("(content ")[2][:8] for line in lines if line.startswith("runs/")]
    assert len(set(contents)) == 2
    assert all(len(each) == 8 for each in contents)


def test_runs_of_nothing(house: House) -> None:
    assert house("runs").error == "runs/: there is no run here; name a folder with run folders"
    assert house("runs", "nowhere").error == "nowhere: does not exist; name a folder with run folders"


def test_a_damaged_record_is_named_and_the_others_are_shown(here: House) -> None:
    (here.work / "runs/bad").mkdir()
    (here.work / "runs/bad/run.json").write_text('{"status": 3}')
    ended = here("runs")
    assert ended.code == 0
    assert "runs/demo" in ended.out
    assert ended.out.splitlines()[-1].startswith("runs/bad/run.json: is not the record of a run, or is damaged (")


def test_compare_names_parameters_code_and_libraries(here: House) -> None:
    helper = here.code / "segmentation/helper.py"
    helper.write_text("def add(text, suffix):\n    return text + suffix + suffix + '.'\n")
    second(here, "two.suffix=??")
    step = here.work / "runs/other/three/step.json"
    parts = json.loads(step.read_text())["parts"]
    before = parts["engine"]["numpy"]
    parts["engine"]["numpy"] = "99.0"
    edit(step, parts=parts)
    steps = json.loads((here.work / "runs/other/run.json").read_text())["steps"]
    steps["three"]["engine"]["numpy"] = "99.0"
    edit(here.work / "runs/other/run.json", steps=steps)
    lines = here("compare", "runs/demo", "runs/other").out.splitlines()
    assert lines[1].startswith("A  runs/demo   demo      done, 20")
    assert lines[2].startswith("B  runs/other  demo      done, 20")
    assert lines[4:8] == [
        "What differs, A -> B:",
        "  one, two: code: segmentation/helper.py",
        "  two: suffix ! -> ??",
        f"  three: numpy {before} -> 99.0",
    ]
    assert "The same results, byte for byte: three" in lines
    assert lines[-2].split() == ["one", "length", "11", "11", "unchanged"]


def test_compare_shows_how_figures_moved(here: House) -> None:
    shutil.copytree(here.work / "texts", here.work / "more")
    (here.work / "more/c.txt").write_text("!!")
    assert here.run(inputs=["texts=more"], workdir="runs/other").code == 0
    for folder, error in (("demo", 0.500001), ("other", 0.500002)):
        edit(here.work / f"runs/{folder}/two/step.json", metrics={"length": 3, "rand_error": error, "dice": error / 2})
    rows = [line.split() for line in here("compare", "runs/demo", "runs/other").out.splitlines()[-4:]]
    assert rows == [
        ["one", "length", "11", "13", "+2"],
        ["two", "length", "3", "3", "unchanged"],
        ["two", "rand", "error", "0.500001", "0.500002", "+1e-06,", "worse"],
        ["two", "dice", "0.2500005", "0.250001", "+5e-07,", "better"],
    ]


def test_runs_of_different_pipelines(here: House) -> None:
    here.pipeline("name: more\nsteps: {x: {stage: slow}, three: {stage: slow, params: {steps: 3}}}\n", "q.yaml")
    assert here("run", "q.yaml").code == 0
    out = here("compare", "runs/demo", "q.yaml").out
    assert "These are different pipelines; steps of the same name and stage are compared.\n" in out
    assert "  one, two: is in A only\n" in out
    assert "  x: is in B only\n" in out
    assert "  three: steps 10 -> 3\n" in out
    assert "  three: in source: two.text -> not connected\n" in out
    assert "length" in out


def test_the_same_run_twice(here: House) -> None:
    shutil.copy(here.work / "runs/demo/run.json", here.work / "copied.json")
    out = here("compare", "runs/demo", "copied.json").out
    assert "Nothing differs in inputs, parameters, code and libraries." in out
    assert "The same results, byte for byte: all steps" in out
    assert "copied.json" in out


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("runs/dem", "runs/dem: does not exist; name a run folder"),
        ("no.json", "no.json: does not exist; name a run folder, or the run.json of one"),
        ("bad.json", "bad.json: is not the record of a run; name a run folder"),
        ("half.json", "half.json: is not the record of a run, or is damaged (status: Field required)"),
    ],
)
def test_compare_refuses(here: House, target: str, error: str) -> None:
    (here.work / "bad.json").write_text("[]")
    (here.work / "half.json").write_text("{}")
    ended = here("compare", "runs/demo", target)
    assert ended.code == 2
    assert ended.error.startswith(error)


def test_main_figures_are_of_the_result() -> None:
    def past(*steps: tuple[str, str]) -> Past:
        """Steps with a stage, each with a figure unless its name is in capitals."""
        facts = {
            name: {"stage": stage, "status": "done", "metrics": {} if name.isupper() else {f"f_{name}": 1.0}}
            for name, stage in steps
        }
        asked = {"status": "done", "started": "", "pipeline": {"name": "x", "text": ""}, "steps": facts}
        return Past(Path("run.json"), None, Asked.model_validate(asked), {})

    read, predict = ("read", "import-images"), ("predict", "unet-predict")
    assert main([past(read, predict)]) == [("predict", "f_predict")]
    assert main([past(read, ("PREDICT", "unet-predict"))]) == []
    scores = [("first", "evaluate-volume"), ("last", "evaluate-volume"), ("fill", "fill")]
    assert main([past(read, *scores)]) == [("last", "f_last")]
    assert main([past(read, predict, ("SCORE", "evaluate-pictures"))]) == []


def test_which_way_is_better() -> None:
    assert [better(name) for name in ("adapted_rand_error", "count_error", "average_precision_0.50", "cells")] == [
        -1, -1, 1, 0
    ]  # fmt: skip
    assert change("dice", 0.5, 0.75) == "+0.25, better"
    assert change("loss", 0.5, 0.75) == "+0.25, worse"
    assert change("cells", 4, 3) == "-1"
    assert change("dice", None, None) == "unchanged"
    assert change("dice", None, 0.5) == "not a number in one"
