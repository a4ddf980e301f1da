"""Plans of real pipelines for the tests of surveys, and the stacks and pictures that they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from floodrunner.contract.survey import Report
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.survey.ask import planned_steps
from floodrunner.stages.survey.look import survey

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"


def sections(folder: Path, count: int, side: int = 64, dtype: type = np.uint8, channels: int = 0) -> Path:
    """Writes sections that differ; returns their folder."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for z in range(count):
        pixels = random.integers(0, 200, (side, side, *[channels] * bool(channels))).astype(dtype)
        Image.fromarray(pixels).save(folder / f"z{z:03d}.png")
    return folder


def planned(pipeline: str, *sets: str, **inputs: Path | str) -> plan.Plan:
    given = [f"{name}={path}" for name, path in inputs.items()]
    read = spec.load(PIPELINES / f"{pipeline}.yaml")
    return plan.make(read, registry.scan(), Path("run"), Options(inputs=given, sets=sets))


def surveyed(pipeline: str, *sets: str, **inputs: Path | str) -> Report:
    made = planned(pipeline, *sets, **inputs)
    return survey(planned_steps(made, ()), {f"inputs.{name}": path for name, path in made.inputs.items()})


def problems(report: Report) -> list[str]:
    """Each problem: the step, and the beginning of what it says without the path."""
    return [f"{each.step}: {each.text.split(': ', 1)[1].split(';')[0]}" for each in report.problems]


def remarks(report: Report, step: str) -> list[str]:
    return [each.text for each in report.remarks if each.step == step]
