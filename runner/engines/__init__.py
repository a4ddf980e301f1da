"""The engines, which run steps: each module listed in `NAMES` is an engine and provides the functions of `Engine`.

An engine only runs a job. The code in `runner/execution/` decides which steps run, and in which order.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from floodrunner.runner import words
from floodrunner.runner.engines.base import Engine, Job
from floodrunner.runner.errors import UserError

NAMES = ("docker", "local")
"""Names of the engines, in the order in which `auto` tries them."""


def load(name: str) -> Engine:
    return cast(Engine, importlib.import_module(f"floodrunner.runner.engines.{name}"))


def choose(name: str, jobs: Sequence[Job], root: Path, former: str = "") -> tuple[str, Engine, str]:
    """Chooses the engine called `name`. For `auto`, chooses the engine that ran the steps of the run folder;
    without such an engine, chooses the first engine that can run these jobs.

    A different engine would run all steps again, even weeks of training, so only the user may change the engine.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      former: the engine that ran the steps of the run folder; "" if no step has run.

    Returns:
      The name of the engine, the engine, and why it was chosen.

    Raises:
      UserError: if the engine that the user named, or the engine of the run folder, cannot run these jobs.
      InputRefused: if an input leads to what no step may see. `auto` does not go on to another engine.
    """
    if name == "auto" and former in NAMES:
        engine = load(former)
        if reason := engine.unavailable(jobs, root):
            others = " or ".join(f"--engine {each}" for each in NAMES if each != former)
            workdir = words.here(jobs[0].folder.parent)
            raise UserError(
                f"{workdir}: its steps ran with the engine {former}, which cannot be used now: {reason}; {others} runs "
                "all steps again"
            )
        return former, engine, "used before in this run folder"
    reasons: list[str] = []
    for candidate in NAMES if name == "auto" else (name,):
        engine = load(candidate)
        reason = engine.unavailable(jobs, root)
        if not reason:
            why = "; ".join(reasons) if name == "auto" else "chosen by --engine"
            return candidate, engine, why
        reasons.append(f"{candidate}: {reason}")
    raise UserError(f"--engine {name}: {'; '.join(reasons).removeprefix(f'{name}: ')}")
