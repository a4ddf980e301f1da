"""The pipelines that we ship can be planned with the stages that we ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.pipeline import plan, registry, spec
from runner.pipeline.options import Options

FOLDER = Path(__file__).resolve().parents[3] / "pipelines"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_it_can_be_planned(file: Path, tmp_path: Path) -> None:
    pipeline = spec.load(file)
    inputs = []
    for name, given in pipeline.spec.inputs.items():
        assert given.help, f"input {name} needs a help text"
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"x")
        inputs.append(f"{name}={tmp_path / name}")
    planned = plan.make(pipeline, registry.scan(), tmp_path / "run", Options(inputs=inputs))
    assert [step.id for step in planned.steps] == list(pipeline.spec.steps)
    assert pipeline.spec.name == file.stem
    assert planned.inputs.keys() == pipeline.spec.inputs.keys(), "an input that no step uses"
