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
from floodrunner.contract.survey import REPORT, SPEED_STAGE, STAGE, Asked, Network, Report, Speeds
from floodrunner.runner import words
from floodrunner.runner.engines.base import Engine, Job
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline.plan import Plan, Step
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir.files import UNREADABLE, read_own

_LONGEST_S = {STAGE: 120, SPEED_STAGE: 180}
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
    params = {"steps": [each.model_dump(mode="json") for each in asked(plan, done)]}
    return _answer(STAGE, params, paths, engine, root, StepOptions(), Report)


def asked(plan: Plan, done: Collection[str]) -> list[Asked]:
    """The steps of a plan as a survey takes them."""
    return [
        Asked(
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


def speeds(networks: Mapping[str, Network], engine: Engine, root: Path, gpu: bool) -> dict[str, float]:
    """Measures networks: name of a speed -> calls or training steps a second. Raises NoAnswer like `survey`."""
    params = {"networks": {name: network.model_dump(mode="json") for name, network in networks.items()}}
    return _answer(SPEED_STAGE, params, {}, engine, root, StepOptions(gpu=gpu), Speeds).speeds


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
            _wait(job, engine, root)
            return form.model_validate_json(read_own(report))
    except (UserError, *UNREADABLE, ValidationError) as error:
        raise NoAnswer(words.cut(words.shown(str(error)), 200)) from None


def _wait(job: Job, engine: Engine, root: Path) -> None:
    """Runs a job to its end; however this ends, nothing of the job is left."""
    running = engine.start(job, root)
    deadline = time.monotonic() + _LONGEST_S[job.stage]
    try:
        while (exit := running.wait(_POLL_S)) is None:
            if time.monotonic() > deadline:
                raise NoAnswer(f"it took more than {_LONGEST_S[job.stage]} s")
    finally:
        running.close()
    if exit.code != DONE:
        raise NoAnswer(exit.cause or _last_line(job.folder / LOG_FILE) or f"it ended with exit code {exit.code}")


def _last_line(log: Path) -> str:
    try:
        lines = read_own(log).decode("utf-8", "replace").split("\n")
    except (UserError, *UNREADABLE):
        return ""
    return next((words.cut(words.shown(line.strip()), 200) for line in reversed(lines) if line.strip()), "")
