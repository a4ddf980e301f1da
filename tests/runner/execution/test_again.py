"""`run --again`: the same pipeline, parameters and inputs as recorded, or what is no longer the same."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner.execution.again import _sets
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.workdir.past import Asked, Past

if TYPE_CHECKING:
    from conftest import House


@pytest.fixture
def here(demo: House) -> House:
    """A run with a parameter from the command line; then the pipeline file is edited."""
    assert demo.run("two.suffix=???").code == 0
    demo.pipeline(demo.written.replace("suffix", "upper: true, suffix").replace("three", "drei"))
    return demo


def test_the_same_again(here: House) -> None:
    before = (here.work / "runs/demo/run.json").read_bytes()
    ended = here("run", "--again", "runs/demo")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("runs/demo of 20")
    assert lines[0].endswith(", again in runs/demo-again: inputs, parameters, code and libraries are the same")
    assert "The same results, byte for byte: all steps" in lines
    assert lines[-2].split() == ["one", "length", "11", "11", "unchanged"]
    assert (here.work / "runs/demo-again/two/text.json").read_text() == "hello world???"
    assert (here.work / "runs/demo/run.json").read_bytes() == before
    old, new = (json.loads((here.work / f"runs/{name}/run.json").read_text()) for name in ("demo", "demo-again"))
    assert new["pipeline"] == old["pipeline"]
    assert here("run", "--again", "runs/demo-again").code == 0
    assert (here.work / "runs/demo-again-again").is_dir()
    assert "again in runs/demo-again-2:" in here("run", "--again", "runs/demo").out


def test_a_run_json_from_elsewhere_with_its_input_at_another_place(here: House) -> None:
    (here.work / "mail").mkdir()
    shutil.move(here.work / "runs/demo/run.json", here.work / "mail/run.json")
    shutil.rmtree(here.work / "runs")
    (here.work / "texts").rename(here.work / "moved")
    ended = here("run", "--again", "mail/run.json")
    assert ended.code == 2
    assert (
        ended.error == "mail/run.json: input texts: texts is no longer there; say where it is with --input texts=PATH"
    )
    ended = here("run", "--again", "mail/run.json", "--input", "texts=moved")
    assert ended.code == 0
    assert "again in runs/demo-again" in ended.out
    assert "The same results, byte for byte: all steps" in ended.out
    assert ended.out.splitlines()[-2].split() == ["one", "length", "11", "11", "unchanged"]


def test_all_that_is_missing_or_changed_is_named(here: House) -> None:
    (here.work / "texts/a.txt").write_text("other ")
    ended = here("run", "--again", "runs/demo")
    assert ended.code == 2
    assert ended.error.startswith("runs/demo: input texts: texts has changed since 20")
    assert ended.error.endswith("; say where the same is with --input texts=PATH")
    assert not (here.work / "runs/demo-again").exists()
    shutil.copytree(here.work / "texts", here.work / "copy")
    assert "copy is not what that run read on" in here("run", "--again", "runs/demo", "--input", "texts=copy").error


def test_other_code_and_libraries_are_named_and_it_goes_on(here: House) -> None:
    (here.code / "segmentation/helper.py").write_text("def add(text, suffix):\n    return text + suffix + '.'\n")
    record = here.work / "runs/demo/three/step.json"
    record.write_text(record.read_text().replace('"numpy": "', '"numpy": "0.'))
    run = json.loads((here.work / "runs/demo/run.json").read_text())
    run["steps"]["three"]["engine"] = json.loads(record.read_text())["parts"]["engine"]
    (here.work / "runs/demo/run.json").write_text(json.dumps(run))
    ended = here("run", "--again", "runs/demo")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[1] == "Inputs and parameters are the same. Not the same, then -> now:"
    assert lines[2] == "  one, two: code: segmentation/helper.py"
    assert lines[3].startswith("  three: numpy 0.")
    assert "The same results, byte for byte: three" in lines


def test_a_stage_and_a_parameter_that_are_gone(here: House) -> None:
    (here.code / "stages/slow.py").unlink()
    stage = here.code / "stages/copy_text.py"
    stage.write_text(stage.read_text().replace("upper: bool", "loud: bool").replace("params.upper", "params.loud"))
    ended = here("run", "--again", "runs/demo")
    assert ended.code == 2
    assert "step one: stage copy-text no longer has the parameter upper; this version cannot do the same" in ended.err
    assert "step three: unknown stage 'slow'" in ended.err


def test_a_new_parameter_is_named(here: House) -> None:
    stage = here.code / "stages/copy_text.py"
    stage.write_text(stage.read_text().replace("upper: bool", 'extra: str = ""\n    """More."""\n    upper: bool'))
    ended = here("run", "--again", "runs/demo", "--workdir", "runs/new")
    assert ended.code == 0
    assert "  one, two: extra is a new parameter" in ended.out.splitlines()
    assert (here.work / "runs/new/two/text.json").read_text() == "hello world???"


def test_what_was_begun_is_continued(here: House) -> None:
    helper = here.code / "segmentation/helper.py"
    text = helper.read_text()
    helper.write_text(text + "raise SystemExit(5)\n")
    assert here("run", "--again", "runs/demo").code != 0
    helper.write_text(text)
    assert "again in runs/demo-again:" in here("run", "--again", "runs/demo").out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["p.yaml", "--again", "runs/demo", "--set", "two.suffix=x"], "--again does what was recorded, so it does not go with --set, PIPELINE; leave one out"),
        (["--again", "runs/demo", "--workdir", "runs/demo"], "--workdir runs/demo: is the run that is to be done again"),
        (["--again", "runs/nothing"], "runs/nothing: does not exist; name a run folder"),
        (["--again", "runs/demo", "--input", "text=x"], "--input text=x: the pipeline has no input 'text'; did you mean 'texts'?"),
        ([], "Missing argument 'PIPELINE'."),
    ],
)  # fmt: skip
def test_refused(here: House, arguments: list[str], error: str) -> None:
    ended = here("run", *arguments)
    assert ended.code == 2
    assert ended.error.startswith(error)


@pytest.mark.parametrize("name", ["quickstart", "unet-quickstart", "ffn", "unet", "unet-predict"])
def test_recorded_parameters_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    """Also those that the pipeline file does not name."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    shipped = spec.load(Path(__file__).parents[3] / f"pipelines/{name}.yaml")
    options = Options(inputs=[f"{each}={tmp_path}/data" for each in shipped.spec.inputs])
    planned = plan.make(shipped, registry.scan(), tmp_path / "run", options)
    steps = {step.id: {"stage": step.stage.name, "status": "done", "params": step.params} for step in planned.steps}
    asked = Asked.model_validate(
        {"status": "done", "started": "", "pipeline": {"name": name, "text": ""}, "steps": steps}
    )
    again = Options(options.inputs, _sets(Past(tmp_path / "run.json", None, asked, {})))
    repeated = plan.make(shipped, registry.scan(), tmp_path / "run", again)
    assert [step.params for step in repeated.steps] == [step.params for step in planned.steps]
