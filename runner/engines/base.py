"""The protocol of an engine, the job that an engine runs, the result that it returns, and functions that engines share.

An engine is a module. It may use a function of this module as one of its own by an assignment:
`orphans = base.no_orphans`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from floodrunner.contract import job as contract
from floodrunner.contract.job import STATE
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions


class InputRefused(UserError):
    """An input leads to what no step may see. No other engine takes over unasked, where a step could see it."""


@dataclass(frozen=True)
class Job:
    """One run of a stage, with paths as this machine sees them. The engine decides which paths it writes to `job.json`.

    Attributes:
      inputs: port -> absolute path; a path from the user may end in `:dataset`.
      outputs: port -> absolute path to write, inside `folder`.
      program: hash of the stage's code and of the library versions.
      fingerprint: hash of everything that decides the result; two jobs with the same fingerprint have the same result.
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
    """A running stage."""

    @property
    def name(self) -> str:
        """The process or container of the stage, for messages: `container floodrunner-ffn-train-1a2b3c`."""

    def wait(self, seconds: float) -> Exit | None:
        """Waits up to this many seconds for the stage to end; returns None if it is still running."""

    def stop(self) -> None:
        """Asks the stage to save its state and exit."""

    def kill(self) -> None:
        """Ends the stage, and all processes that it started, at once."""

    def close(self) -> None:
        """Ends the stage if it still runs, and removes everything that belongs to it except the step's folder."""


class Orphan(NamedTuple):
    """A stage, running or ended, that a killed runner left behind.

    Attributes:
      step: the step that the stage belongs to.
      name: the same as `Running.name`.
      at_work: whether the stage is still running.
      adopt: takes the stage over for a job; returns None if the stage is doing a different job.
    """

    step: str
    name: str
    at_work: bool
    adopt: Callable[[Job], Running | None]


class Engine(Protocol):
    """The functions that an engine provides. `root` is the folder with `contract/`, `stages/` and `segmentation/`."""

    def unavailable(self, jobs: Sequence[Job], root: Path) -> str:
        """Why this engine cannot run these jobs, and what to do; "" if it can.

        Raises:
          InputRefused: if an input leads to what no step may see.
        """

    def identity(self, gpu: bool) -> dict[str, str]:
        """What decides the result of a step besides its code: versions, or the hash of an image's contents."""

    def facts(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """Facts about the engine for the record of a run (`run.json`), besides its identity."""

    def no_gpu(self) -> str:
        """Why a step that asks for a GPU runs on the CPU, such as "no GPU found"; "" if it gets a GPU."""

    def notes(self, job: Job) -> list[str]:
        """What the user should know before a step starts, one line each."""

    def orphans(self, workdir: Path) -> list[Orphan]:
        """The stages that killed runners left in a run folder, and that do not end and disappear by themselves."""

    def reclaim(self, folder: Path) -> None:
        """Stops a stage that a killed runner left running in a step's folder, or waits for its end.

        The stage can save its state first.

        Raises:
          UserError: if the stage does not end.
        """

    def start(self, job: Job, root: Path) -> Running:
        """Writes `job.json` and starts the stage. The output of the stage is appended to `log.txt`."""


def no_facts(jobs: Sequence[Job]) -> dict[str, Any]:
    """`Engine.facts` of an engine whose identity says everything."""
    return {}


def no_orphans(workdir: Path) -> list[Orphan]:
    """`Engine.orphans` of an engine whose stages end when their runner is gone."""
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
