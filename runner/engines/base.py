"""What an engine is asked for: the job it gets, the protocol it keeps, what it gives back."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contract import job as contract
from contract.job import STATE


@dataclass(frozen=True)
class Job:
    """One run of a stage, as the host sees it; the engine decides the paths that go into `job.json`.

    Attributes:
      inputs: port -> absolute path, of the user's with `:dataset` where one was named.
      outputs: port -> absolute path to write, inside `folder`.
      program: hash of the code and the versions that run it.
      fingerprint: hash of all that decides the result; two jobs of one fingerprint do the same.
      folder: the step's folder, which holds `job.json`, `events.jsonl`, `log.txt`, `state/`.
    """

    step: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    folder: Path
    gpu: bool
    network: bool
    shm_mib: int
    program: str
    fingerprint: str

    def told(self, gpu: bool) -> dict[str, Any]:
        """`job.json`, with the paths as they are here."""
        told = contract.Job(
            step=self.step,
            stage=self.stage,
            params=self.params,
            inputs=self.inputs,
            outputs=self.outputs,
            state=str(self.folder / STATE),
            program=self.program,
            gpu=gpu,
        )
        return told.model_dump(mode="json")


class Orphan(NamedTuple):
    """What a killed runner left: its step, what it runs as, as `Running.name`, and whether it has not ended yet."""

    step: str
    name: str
    at_work: bool


class Exit(NamedTuple):
    """How a stage's process ended: its exit code, and the cause in words where it was killed from outside."""

    code: int
    cause: str


class Running(Protocol):
    """A stage at work."""

    @property
    def name(self) -> str:
        """What it runs as, in words: `container floodrunner-ffn-train-1a2b3c`."""

    def wait(self, seconds: float) -> Exit | None:
        """Waits up to so long; None while it runs."""

    def stop(self) -> None:
        """Asks it to save its state and leave."""

    def kill(self) -> None:
        """Ends it, and whatever it has started, at once."""

    def close(self) -> None:
        """Ends it if it still runs, and leaves nothing of it behind but its folder."""


class Engine(Protocol):
    """What a module of this folder provides."""

    def unavailable(self, jobs: Sequence[Job], root: Path) -> str:
        """Why these jobs cannot run here, and what to do; "" if they can. `root` as in `start`."""

    def identity(self, gpu: bool) -> dict[str, str]:
        """What, besides its code, decides the result of a step: versions, or the id of an image."""

    def facts(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """What of the engine belongs into the record of a run, besides its identity."""

    def notes(self, jobs: Sequence[Job]) -> list[str]:
        """What the user should know before these jobs start, one line each."""

    def left_behind(self, workdir: Path) -> list[Orphan]:
        """What a killed runner left of a run folder's steps, ended or not, that does not leave by itself."""

    def adopt(self, job: Job) -> Running | None:
        """What a killed runner left that does, or has done, this very job; None if there is no such thing."""

    def reclaim(self, folder: Path) -> None:
        """Waits for, or ends, what a killed runner left at work in a step's folder, with time to save its state.

        Raises:
          UserError: if it stays.
        """

    def start(self, job: Job, root: Path) -> Running:
        """Writes `job.json` and starts the stage, its output added to `log.txt`.

        `root` holds `contract/`, `stages/` and `segmentation/`.
        """


def killed_by(number: int) -> str:
    """The cause of an end by a signal, in words."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    often: dict[int, str] = {
        signal.SIGKILL: " (often: out of memory)",
        signal.SIGSEGV: " (a fault in a library)",
        signal.SIGILL: " (a library built for another processor)",
        signal.SIGBUS: " (often: a full or failing disk)",
    }
    return f"killed by {name}{often.get(number, '')}"
