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
    """The engine called `name`; for `auto` the one that the run folder's steps have run in, else the first that can
    run these jobs.

    With another engine all steps would run again, trainings of weeks among them: only the user's word decides that.

    Args:
      former: the engine that the run folder's steps have run in; "" if none has.

    Returns:
      Its name, the engine, and why it was chosen.

    Raises:
      UserError: if the engine that was asked for, or the run folder's, cannot run them.
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
    told = "; ".join(reasons).removeprefix(f"{name}: ")
    raise UserError(f"--engine {name}: {told}")
