"""The protocol of an engine, the job that it gets, what it gives back, and functions that engines share.

An engine is a module. Where it does as others do, it assigns a function of this module by name:
`orphans = base.no_orphans`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contract import job as contract
from contract.job import STATE
from runner.step_options import StepOptions


@dataclass(frozen=True)
class Job:
    """One run of a stage, as the host sees it; the engine decides the paths that go into `job.json`.

    Attributes:
      inputs: port -> absolute path; a user's path may end in `:dataset`.
      outputs: port -> absolute path to write, inside `folder`.
      program: hash of the code and the versions that run it.
      fingerprint: hash of everything that decides the result; two jobs with the same fingerprint do the same.
      folder: the step's folder, which holds `job.json`, `events.jsonl`, `log.txt`, `state/`.
    """

    step: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    folder: Path
    options: StepOptions
    program: str
    fingerprint: str

    def described(self, gpu: bool) -> dict[str, Any]:
        """The content of `job.json`, with paths as this machine sees them."""
        described = contract.Job(
            step=self.step,
            stage=self.stage,
            params=self.params,
            inputs=self.inputs,
            outputs=self.outputs,
            state=str(self.folder / STATE),
            program=self.program,
            gpu=gpu,
        )
        return described.model_dump(mode="json")


class Exit(NamedTuple):
    """How a stage ended: its exit code, and the cause in words if it was killed from outside."""

    code: int
    cause: str


class Running(Protocol):
    """A stage at work."""

    @property
    def name(self) -> str:
        """What the stage runs as, for messages: `container floodrunner-ffn-train-1a2b3c`."""

    def wait(self, seconds: float) -> Exit | None:
        """Waits up to this many seconds for the stage to end; None if it is still running."""

    def stop(self) -> None:
        """Asks it to save its state and exit."""

    def kill(self) -> None:
        """Ends it, and all processes that it started, at once."""

    def close(self) -> None:
        """Ends it if it still runs, and removes everything that belongs to it except its folder."""


class Orphan(NamedTuple):
    """What a runner that was killed left in the engine.

    Attributes:
      step: the step that it belongs to.
      name: as `Running.name`.
      at_work: whether it still runs.
      adopt: takes it over for a job; returns None if it is doing a different job.
    """

    step: str
    name: str
    at_work: bool
    adopt: Callable[[Job], Running | None]


class Engine(Protocol):
    """What a module of this folder provides. `root` holds `contract/`, `stages/` and `segmentation/`."""

    def unavailable(self, jobs: Sequence[Job], root: Path) -> str:
        """Why these jobs cannot run here, and what to do; "" if they can."""

    def identity(self, gpu: bool) -> dict[str, str]:
        """What decides the result of a step besides its code: versions, or the hash of an image's contents."""

    def facts(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Facts about the engine for the record of a run (`run.json`), besides its identity."""

    def no_gpu(self) -> str:
        """Why a step that asks for a GPU runs on the CPU, such as "no GPU found"; "" if it gets a GPU."""

    def orphans(self, workdir: Path) -> list[Orphan]:
        """What killed runners left in a run folder's steps that does not end by itself."""

    def reclaim(self, folder: Path) -> None:
        """Stops what a killed runner left running in a step's folder, or waits for it; it can save its state first.

        Raises:
          UserError: if it does not end.
        """

    def start(self, job: Job, root: Path) -> Running:
        """Writes `job.json` and starts the stage; what it prints is appended to `log.txt`."""


def no_facts(jobs: Sequence[Job]) -> dict[str, Any]:
    """For an engine whose identity says everything."""
    return {}


def no_orphans(workdir: Path) -> list[Orphan]:
    """For an engine whose stages end when their runner is gone."""
    return []


def killed_by(number: int) -> str:
    """Describes the signal that killed a process."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    often: dict[int, str] = {
        signal.SIGKILL: " (often: out of memory)",
        signal.SIGSEGV: " (a fault in a library)",
        signal.SIGILL: " (a library built for another processor)",
        signal.SIGBUS: " (often: a full or failing disk)",
    }
    return f"killed by {name}{often.get(number, '')}"
