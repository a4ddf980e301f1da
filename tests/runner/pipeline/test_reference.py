"""The reference in `docs/` is made from the stages' headers, and is of today."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from floodrunner.runner import cli
from floodrunner.runner.pipeline import reference, registry

FILE = Path(__file__).resolve().parents[3] / "docs" / "pipeline-reference.md"


def test_the_committed_reference_is_up_to_date() -> None:
    made = reference.markdown(registry.scan())
    assert FILE.exists(), "run 'make docs' and commit docs/pipeline-reference.md"
    assert FILE.read_text(encoding="utf-8") == made, "run 'make docs' and commit docs/pipeline-reference.md"


STAGE = '''
"""Do something."""
from typing import Literal

from pydantic import Field

from floodrunner.contract.ports import VOXELS
from floodrunner.contract.stage import StageParams

INPUTS = {"volume": "image|labels", "mask": "labels?"}
OUTPUTS = {"volume": "labels"}

class Box(StageParams):
    start: VOXELS
    """Corner."""

class Params(StageParams):
    steps: int = Field(5, gt=0, le=9)
    """How many | at most."""
    rate: float
    """How fast."""
    box_xyz: Box | None = None
    """Where,
    if not everywhere."""
    mode: Literal["a", "b"] = "a"
    """Which."""
    thresholds: list[float] = [0.5]
    """Some."""

def run(params, context):
    raise NotImplementedError
'''


@pytest.fixture
def text(tmp_path: Path) -> str:
    folder = tmp_path / "reference" / "stages"
    folder.mkdir(parents=True)
    (folder / "do_it.py").write_text(STAGE)
    return reference.markdown(registry.scan(folder))


def test_a_name_that_stages_share_is_explained() -> None:
    known = registry.scan()
    words = (
        "In a pipeline, this name stands for evaluate-volume or evaluate-pictures, whichever fits the connected ports."
    )
    assert [line for line in reference.listing(known) if line.startswith("evaluate ")] == [
        f"evaluate           {words}"
    ]
    assert (
        "\n## evaluate\n\nIn a pipeline, this name stands for [evaluate-volume](#evaluate-volume) or "
        in reference.markdown(known)
    )


def test_both_stages_are_shown_for_the_name_that_they_share() -> None:
    shown = CliRunner().invoke(cli.cli, ["stages", "evaluate"]).output
    assert "evaluate-volume: Score a segmented volume" in shown
    assert "evaluate-pictures: Score a set of segmented pictures" in shown


def test_ports_and_parameters(text: str) -> None:
    _, section = text.split("## do-it\n")
    assert (
        section
        == """
Do something.

- in `volume`: image or labels
- in `mask`: labels (optional)
- out `volume`: labels

| parameter | type | default | |
|---|---|---|---|
| steps | whole number > 0, <= 9 | 5 | How many \\| at most. |
| rate | number | required | How fast. |
| box_xyz | mapping or null | null | Where, if not everywhere. |
| box_xyz.start | list of 3: whole numbers | required | Corner. |
| mode | "a" or "b" | "a" | Which. |
| thresholds | list of numbers | [0.5] | Some. |
"""
    )
