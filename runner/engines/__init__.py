"""Where steps run: each module listed in `NAMES` is an engine and provides the functions of `Engine`.

An engine runs one job. Which steps run, and in which order, is decided in `runner/execution/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from runner import words
from runner.engines.base import Engine, Job
from runner.errors import UserError

NAMES = ("docker", "local")
"""Engines, the one that `auto` prefers first."""


def load(name: str) -> Engine:
    return cast(Engine, importlib.import_module(f"runner.engines.{name}"))


def choose(name: str, jobs: Sequence[Job], root: Path, former: str = "") -> tuple[str, Engine, str]:
    """The engine called `name`. For `auto`: the engine that ran the run folder's steps, else the first that can run
    these jobs.

    Another engine would run all steps again, even a training of weeks: only the user decides that.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      former: the engine that ran the run folder's steps; "" if none did.

    Returns:
      Its name, the engine, and why it was chosen.

    Raises:
      UserError: if the engine that the user named, or the run folder's, cannot run these jobs.
    """
    if name == "auto" and former in NAMES:
        engine = load(former)
        if reason := engine.unavailable(jobs, root):
            others = " or ".join(f"--engine {each}" for each in NAMES if each != former)
            workdir = words.here(jobs[0].folder.parent)
            raise UserError(
                f"{workdir}: its steps ran with the engine {former}: {reason}; {others} runs them all again"
            )
        return former, engine, "as this run folder's steps"
    reasons: list[str] = []
    for candidate in NAMES if name == "auto" else (name,):
        engine = load(candidate)
        reason = engine.unavailable(jobs, root)
        if not reason:
            why = "; ".join(reasons) if name == "auto" else "asked for"
            return candidate, engine, why
        reasons.append(f"{candidate}: {reason}")
    raise UserError(f"--engine {name}: {'; '.join(reasons).removeprefix(f'{name}: ')}")
