"""Where steps run. The module is the plug-in: each module here that `NAMES` lists provides what `Engine` asks for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from runner.errors import UserError

NAMES = ("local",)
"""Engines, the one that `auto` prefers first."""


@dataclass(frozen=True)
class Job:
    """One run of a stage, as the host sees it; the engine decides the paths that go into `job.json`.

    Attributes:
      inputs: port -> absolute path, of the user's with `:dataset` where one was named.
      outputs: port -> absolute path to write, inside `folder`.
      program: hash of the code and the versions that run it.
      folder: the step's folder, which holds `job.json`, `events.jsonl`, `log.txt`, `state/`.
    """

    step: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    folder: Path
    gpu: bool
    program: str


class Exit(NamedTuple):
    """How a stage's process ended: its exit code, and the cause in words where it was killed from outside."""

    code: int
    cause: str


class Running(Protocol):
    """A stage at work."""

    def wait(self, seconds: float) -> Exit | None:
        """Waits up to so long; None while it runs."""

    def stop(self) -> None:
        """Asks it to save its state and leave."""

    def kill(self) -> None:
        """Ends it, and whatever it has started, at once."""


class Engine(Protocol):
    """What a module of this folder provides."""

    def unavailable(self, jobs: Sequence[Job]) -> str:
        """Why these jobs cannot run here, and what to do; "" if they can."""

    def identity(self, gpu: bool) -> dict[str, str]:
        """What, besides its code, decides the result of a step: versions, or the id of an image."""

    def notes(self, jobs: Sequence[Job]) -> list[str]:
        """What the user should know before these jobs start, one line each."""

    def reclaim(self, folder: Path) -> None:
        """Waits for, or ends, what a killed runner left at work in a step's folder. Raises UserError if it stays."""

    def start(self, job: Job, root: Path) -> Running:
        """Writes `job.json` and starts the stage, its output added to `log.txt`.

        `root` holds `stages/` and `segmentation/`.
        """


def load(name: str) -> Engine:
    return cast(Engine, importlib.import_module(f"runner.engines.{name}"))


def choose(name: str, jobs: Sequence[Job]) -> tuple[str, Engine, str]:
    """The engine called `name`, or for `auto` the first that can run these jobs.

    Returns:
      Its name, the engine, and why it was chosen.

    Raises:
      UserError: if the engine that was asked for cannot run them.
    """
    reasons: list[str] = []
    for candidate in NAMES if name == "auto" else (name,):
        engine = load(candidate)
        reason = engine.unavailable(jobs)
        if not reason:
            why = "; ".join(reasons) if name == "auto" else "asked for"
            return candidate, engine, why
        reasons.append(f"{candidate}: {reason}")
    raise UserError(f"--engine {name}: {'; '.join(reasons)}")
