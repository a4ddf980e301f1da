"""Starts a survey, or a measurement of networks, on an engine, in a temporary folder, and reads its report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from floodrunner.contract.codes import DONE
from floodrunner.contract.job import LOG_FILE, PARTIAL, STATE
from floodrunner.contract.survey import REPORT, SPEED_STAGE, STAGE, Network, PlannedStep, Report, Speeds
from floodrunner.runner import words
from floodrunner.runner.engines.base import Engine, Job
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline.plan import Plan, Step
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir.files import UNREADABLE, read_own

LONGEST_MEASUREMENT_S = 60
"""An idle machine needs about 15 s, mostly to load libraries and compile. What was measured until then counts."""

_LONGEST_S = {STAGE: 120, SPEED_STAGE: LONGEST_MEASUREMENT_S}
_POLL_S = 0.05

T = TypeVar("T", bound=BaseModel)


class NoAnswer(Exception):
    """There is no report; the message says why, in one line."""


def has_module(step: Step) -> bool:
    """Whether there is a module that surveys the stage of a step."""
    return (step.stage.file.parent / "survey" / step.stage.file.name).is_file()


def survey(plan: Plan, engine: Engine, root: Path, done: Collection[str]) -> Report:
    """Surveys a plan.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      done: the steps that are skipped.

    Raises:
      NoAnswer: if the survey fails.
    """
    paths = {f"inputs.{name}": path for name, path in plan.inputs.items()}
    for step in plan.steps:
        if step.id in done:
            paths |= {f"{step.id}.{port}": plan.path(f"{step.id}.{port}") for port in step.stage.outputs}
    params = {"steps": [each.model_dump(mode="json") for each in planned_steps(plan, done)]}
    return _answer(STAGE, params, paths, engine, root, StepOptions(), Report)


def planned_steps(plan: Plan, done: Collection[str]) -> list[PlannedStep]:
    """The steps of a plan as a survey takes them."""
    return [
        PlannedStep(
            step=step.id,
            stage=step.stage.name,
            params=step.params,
            sources=step.sources,
            takes={port: kinds.kinds for port, kinds in step.stage.inputs.items()},
            outputs=step.stage.outputs,
            done=step.id in done,
        )
        for step in plan.steps
    ]


def speeds(networks: Mapping[str, Network], engine: Engine, root: Path, gpu: bool) -> Speeds:
    """Measures networks, by the names of their speeds; of several perhaps only some. Raises NoAnswer like `survey`."""
    params = {"networks": {name: network.model_dump(mode="json") for name, network in networks.items()}}
    return _answer(SPEED_STAGE, params, {}, engine, root, StepOptions(gpu=gpu), Speeds)


def _answer(
    stage: str,
    params: dict[str, Any],
    inputs: dict[str, str],
    engine: Engine,
    root: Path,
    options: StepOptions,
    form: type[T],
) -> T:
    name = stage.strip("-")
    try:
        with tempfile.TemporaryDirectory(prefix="floodrunner-", ignore_cleanup_errors=True) as made:
            folder = Path(made).resolve() / name
            for each in (folder, folder / PARTIAL, folder / STATE):
                each.mkdir()
            report = folder / PARTIAL / REPORT
            job = Job(name, stage, params, inputs, {"report": str(report)}, folder, options, "", "")
            if not _ends_in_time(job, engine, root) and not report.exists():
                raise NoAnswer(f"it took more than {_LONGEST_S[stage]} s")
            return form.model_validate_json(read_own(report))
    except (UserError, *UNREADABLE, ValidationError) as error:
        raise NoAnswer(words.cut(words.shown(str(error)), 200)) from None


def _ends_in_time(job: Job, engine: Engine, root: Path) -> bool:
    """Runs a job to its end, or until it takes too long; however this ends, nothing of the job is left at work.

    Raises:
      NoAnswer: if the job fails.
    """
    running = engine.start(job, root)
    deadline = time.monotonic() + _LONGEST_S[job.stage]
    try:
        while (exit := running.wait(_POLL_S)) is None:
            if time.monotonic() > deadline:
                return False
    finally:
        running.close()
    if exit.code != DONE:
        raise NoAnswer(exit.cause or _last_line(job.folder / LOG_FILE) or f"it ended with exit code {exit.code}")
    return True


def _last_line(log: Path) -> str:
    try:
        lines = read_own(log).decode("utf-8", "replace").split("\n")
    except (UserError, *UNREADABLE):
        return ""
    return next((words.cut(words.shown(line.strip()), 200) for line in reversed(lines) if line.strip()), "")
