"""`step.json`, the record of a finished step, and the times in records."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from floodrunner.contract.job import STATE
from floodrunner.runner import words
from floodrunner.runner.fingerprint.content import File
from floodrunner.runner.step_options import DecidingOptions
from floodrunner.runner.workdir.files import UNREADABLE, read_json, read_own
from floodrunner.runner.workdir.names import RUN_FILE, STEP_FILE, is_output


def now() -> str:
    """The current time in UTC, to the second: `2026-01-31T12:00:00+00:00`."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """Converts a time in seconds, such as that of `time.time`, to the form of `now`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def local_time(stamp: str) -> str:
    """A time from a record, in the local time zone: `2026-01-31 13:00:00`. Any other text stays as it is."""
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return words.shown(stamp)


def _output(name: str) -> str:
    if not is_output(name):
        raise ValueError("is not the name of an output")
    return name


class Artifact(BaseModel):
    """A file or folder that is worth opening; `path` is relative to the step's folder."""

    model_config = ConfigDict(strict=True, frozen=True)

    path: str
    title: str


class Parts(DecidingOptions):
    """Everything that decides the result of a step, including some of its options.

    Attributes:
      code: path of a source file -> hash.
      params: all parameters, defaults filled in.
      engine: versions of Python and the libraries, or what identifies the image.
      inputs: port -> hash of its content.
    """

    model_config = ConfigDict(extra="ignore")  # a record may hold an option that only another version knows

    stage: str
    code: dict[str, str]
    params: dict[str, Any]
    engine: dict[str, str]
    inputs: dict[str, str]

    def program(self) -> str:
        """The hash of code and engine. A stage compares this hash before it continues from a saved state."""
        return hashlib.sha256(json.dumps([self.code, self.engine], sort_keys=True).encode()).hexdigest()

    def fingerprint(self) -> str:
        """The hash of everything. Two jobs with the same fingerprint compute the same result."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


class StepRecord(BaseModel):
    """`step.json`: a finished step and its result.

    Attributes:
      names: the published files and folders in the step's folder.
      files: path of a published file, relative to the step's folder -> size, time of change, hash.
      ports: output port -> hash of its content.
      metrics: name -> value; None if it was not a number.
      conclusions: sentences about the result. A record of an earlier version has none.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    step: str
    parts: Parts
    names: list[Annotated[str, AfterValidator(_output)]]
    files: dict[str, File]
    ports: dict[str, str]
    metrics: dict[str, float | None]
    conclusions: list[str] = []
    artifacts: list[Artifact]
    started: str
    ended: str
    seconds: Annotated[float, Field(ge=0, le=1e10)]
    engine: str
    host: dict[str, Any]
    floodrunner: str


@dataclass(frozen=True)
class Mark:
    """Why a recorded result is out of date.

    Attributes:
      reason: in words: `its input labels has changed since`.
      certain: False if an input may have changed, but is gone, or too large to be read now.
    """

    reason: str
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.short}: {self.reason}"

    @property
    def short(self) -> str:
        """The mark without the reason."""
        return "out of date" if self.certain else "may be out of date"


def read_step(folder: Path) -> StepRecord | None:
    """The record of a step; None if there is none, or if this version cannot read it."""
    try:
        return StepRecord.model_validate_json(read_own(folder / STEP_FILE))
    except (*UNREADABLE, ValidationError):
        return None


def former_engine(workdir: Path, steps: Sequence[str]) -> str:
    """The engine that ran the steps of a run folder.

    If several engines ran steps, the engine whose steps took longest. If no step is done but a step has a saved state,
    the engine of the last run. "" if no step is done and none has a saved state.
    """
    seconds: dict[str, float] = {}
    for step in steps:
        if (done := read_step(workdir / step)) is not None:
            seconds[done.engine] = seconds.get(done.engine, 0) + done.seconds
    if seconds:
        return max(seconds, key=seconds.__getitem__)
    states = (workdir / step / STATE for step in steps)
    if not any(state.is_dir() and any(state.iterdir()) for state in states):
        return ""
    engine = (read_json(workdir / RUN_FILE) or {}).get("engine")
    return str(engine.get("name", "")) if isinstance(engine, dict) else ""
