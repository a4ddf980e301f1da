"""A name that several stages share stands for the one that fits the connected ports."""

# ruff: noqa: E501  (a refusal a line)
from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import plan, registry, spec, yamlfile
from floodrunner.runner.pipeline.plan import Plan

SCORES = """\
name: scores
inputs:
  truth: {path: images}
  found: {path: images}
steps:
  image: {stage: import-images, in: {stack: inputs.truth}}
  statistics: {stage: statistics, in: {volume: image.volume}}
  volume: {stage: phantom}
  cells: {stage: phantom-cells}
  score: {stage: evaluate, in: IN}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the inputs are in."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "z0.png").write_text("x")
    monkeypatch.chdir(tmp_path)


def make(text: str) -> Plan:
    return plan.make(spec.read(yamlfile.parse(text.encode(), "p.yaml")), registry.scan(), Path("runs"))


@pytest.mark.parametrize(
    ("connected", "stage"),
    [
        ("{segmentation: volume.labels, labels: volume.labels}", "evaluate-volume"),
        ("{segmentation: volume.labels, labels: inputs.truth}", "evaluate-volume"),
        ("{segmentation: inputs.found, labels: volume.labels}", "evaluate-volume"),
        ("{segmentation: cells.test, labels: cells.test}", "evaluate-pictures"),
        ("{segmentation: inputs.found, labels: cells.test}", "evaluate-pictures"),
    ],
)
def test_evaluate_is_told_apart_by_its_ports(connected: str, stage: str) -> None:
    score = make(SCORES.replace("IN", connected)).steps[-1]
    assert score.stage.name == stage


EITHER = "stage: evaluate-volume or stage: evaluate-pictures"


@pytest.mark.parametrize(
    ("connected", "message"),
    [
        ("{segmentation: inputs.found, labels: inputs.truth}", f"the connected ports do not tell which stage evaluate means; write {EITHER}"),
        ("{}", f"the connected ports do not tell which stage evaluate means; write {EITHER}"),
        (
            "{segmentation: volume.labels, labels: cells.test}",
            "no stage evaluate takes volume.labels of kind 'labels' and cells.test of kind 'image-set'; "
            f"connect ports that fit {EITHER}",
        ),
        ("{segmentation: image.volume, labels: volume.labels}", f"no stage evaluate takes image.volume of kind 'image' and volume.labels of kind 'labels'; connect ports that fit {EITHER}"),
        ("{segmentation: cells.tst, labels: inputs.truth}", "in.segmentation: step 'cells' has no output 'tst'; did you mean 'test'?"),
        ("{segmentation: cells.test}", "input port 'labels' of stage evaluate-pictures is not connected; write labels: "),
    ],
)  # fmt: skip
def test_evaluate_that_cannot_be_told_apart_is_refused(connected: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        make(SCORES.replace("IN", connected))
    assert str(error.value).startswith(f"p.yaml:10: step score: {message}")


def test_a_misspelt_evaluate_is_suggested() -> None:
    with pytest.raises(UserError, match=r"unknown stage 'evalute'; did you mean 'evaluate'\?"):
        make(SCORES.replace("stage: evaluate, in: IN", "stage: evalute"))


def test_a_file_of_scores_is_no_statistics() -> None:
    text = SCORES.replace("IN", "{segmentation: volume.labels, labels: volume.labels}")
    infer = "  segment: {stage: ffn-infer, in: {image: image.volume, model: inputs.found, statistics: SOURCE.PORT}}\n"
    make(text + infer.replace("SOURCE.PORT", "statistics.json"))
    with pytest.raises(UserError) as error:
        make(text + infer.replace("SOURCE.PORT", "score.metrics"))
    assert str(error.value) == (
        "p.yaml:11: step segment: in.statistics: score.metrics is of kind 'metrics', the port takes 'statistics'; "
        "connect statistics.json"
    )
