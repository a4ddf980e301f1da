"""All that is wrong is told at once: in options, steps, parameters and inputs."""

from __future__ import annotations

import contextlib
import io
import textwrap
from pathlib import Path

import pytest

from floodrunner.runner import cli
from floodrunner.runner.errors import Collected, UserError, UserErrors
from floodrunner.runner.pipeline import plan, registry, yamlfile
from floodrunner.runner.pipeline import spec as specs
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.pipeline.registry import Registry

STAGE = '''
"""Make a volume."""
from pydantic import Field

from floodrunner.contract.stage import Context, StageParams

INPUTS = {"stack": "stack?", "image": "image?", "labels": "labels?"}
OUTPUTS = {"volume": "image"}

class Params(StageParams):
    steps: int = Field(10, gt=0)
    """Steps."""
    rate: float = 1e-3
    """Rate."""

def run(params: Params, context: Context) -> None:
    raise NotImplementedError
'''

PIPELINE = """\
name: demo
inputs:
  images: {path: images}
  labels: {path: labels}
steps:
  one: {stage: make, in: {stack: inputs.images}, params: {steps: none, rate: fast}}
  two: {stage: make, in: {stack: inputs.labels, image: one.volum}, params: {stepz: 3}}
  three: {stage: mak, in: {image: two.volume}}
  four: {stage: make, in: {image: three.volume, labels: one.volume}}
"""


@pytest.fixture
def stages(tmp_path: Path) -> Registry:
    folder = tmp_path / "code" / "stages"
    folder.mkdir(parents=True)
    (folder / "make.py").write_text(STAGE)
    return registry.scan(folder)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(stages: Registry, text: str, options: Options | None = None) -> plan.Plan:
    document = yamlfile.parse(textwrap.dedent(text).encode(), "p.yaml")
    return plan.make(specs.read(document), stages, Path("run"), options)


def wrong(stages: Registry, text: str, options: Options | None = None) -> list[str]:
    with pytest.raises(UserErrors) as found:
        planned(stages, text, options)
    return list(found.value.lines)


def test_all_that_is_wrong_is_told_in_the_order_of_the_steps(stages: Registry) -> None:
    lines = wrong(stages, PIPELINE)
    assert [line.split(";")[0] for line in lines] == [
        "p.yaml:6: step one: steps: found 'none' (text)",
        "p.yaml:6: step one: rate: found 'fast' (text)",
        "p.yaml:7: step two: in.image: step 'one' has no output 'volum'",
        "p.yaml:7: step two: unknown parameter 'stepz' of stage make",
        "p.yaml:8: step three: unknown stage 'mak'",
        "p.yaml:9: step four: in.labels: one.volume is of kind 'image', the port takes 'labels'",
        f"p.yaml:3: input images: images does not exist (seen from the current folder, {Path.cwd()})",
        f"p.yaml:4: input labels: labels does not exist (seen from the current folder, {Path.cwd()})",
    ]


def test_what_follows_from_a_mistake_is_not_told(stages: Registry) -> None:
    """Of a step with an unknown stage, nobody knows the outputs."""
    text = "name: d\nsteps:\n  a: {stage: mak}\n  b: {stage: make, in: {image: a.volume}}\n"
    with pytest.raises(UserError, match=r"^p\.yaml:3: step a: unknown stage 'mak'; did you mean 'make'\?$") as found:
        planned(stages, text)
    assert not isinstance(found.value, UserErrors)


def test_all_options_that_are_wrong_are_told_before_the_rest_is_looked_at(stages: Registry) -> None:
    options = Options(inputs=["image=x", "y"], sets=["one.steps", "five.rate=1"], force=["six"], start="tow")
    lines = wrong(stages, PIPELINE, options)
    assert [line.split(":")[0] for line in lines] == [
        *("--input image=x", "--input y", "--set one.steps", "--set five.rate=1", "--force six", "--from tow")
    ]


def test_the_same_mistake_is_told_once() -> None:
    found = Collected()
    for text in ("a", "b", "a"):
        with found.check():
            raise UserError(text)
    with pytest.raises(UserErrors) as error:
        found.close()
    assert error.value.lines == ("a", "b")


def test_nothing_wrong_raises_nothing() -> None:
    found = Collected()
    with found.check():
        pass
    found.close()


def test_the_command_line_gives_each_a_line() -> None:
    def several() -> None:
        raise UserErrors(["a.yaml:1: this\x1b[31m", "that"])

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert cli.reported(several) == 2
    assert said.getvalue() == "floodrunner: 2 things are wrong:\n  a.yaml:1: this\\x1b[31m\n  that\n"
