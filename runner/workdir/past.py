"""A run of the past: what its `run.json` and the records of its steps say, as far as they can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from floodrunner.contract.job import JOB_FILE
from floodrunner.runner import words
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir.files import read_json
from floodrunner.runner.workdir.names import RUN_FILE, STEP_FILE
from floodrunner.runner.workdir.records import Mark, Parts, StepRecord, read_step

FINISHED = ("done", "skipped")
"""States of a step in `run.json` for which the step's record is the result of that run."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True)  # what is not known here was written by another version


class PastInput(_Plain):
    """An input of the user's: its path (with the dataset, if one was named), and the hash of its content."""

    path: str
    content: str | None = None


class AskedStep(StepOptions):
    """What `run.json` says about a step.

    Attributes:
      sources: port -> `inputs.<name>` or `<step>.<port>`.
      engine: versions of Python and the libraries, or what identifies the image.
      outputs: port -> hash of its content.
    """

    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    stage: str
    sources: dict[str, str] = Field(default={}, alias="in")
    params: dict[str, Any] = Field(default={})
    engine: dict[str, str] = Field(default={})
    status: str
    started: str | None = None
    seconds: float | None = None
    message: str = ""
    metrics: dict[str, float | None] = Field(default={})
    outputs: dict[str, str] = Field(default={})


class _Pipeline(_Plain):
    name: str
    file: str = ""
    text: str


class _Engine(_Plain):
    name: str = ""


class Asked(_Plain):
    """What `run.json` says. `host` describes the machine; `code` holds source file -> hash."""

    floodrunner: str = ""
    command: list[str] = Field(default=[])
    status: str
    started: str
    ended: str | None = None
    host: dict[str, Any] = Field(default={})
    engine: _Engine = _Engine()
    pipeline: _Pipeline
    inputs: dict[str, PastInput] = Field(default={})
    code: dict[str, str] = Field(default={})
    steps: dict[str, AskedStep]


@dataclass(frozen=True)
class Past:
    """A run of the past.

    Attributes:
      file: the `run.json`.
      folder: the run folder; None for a `run.json` that lies somewhere else.
      records: step -> its record. The record of a step that was not finished is of an earlier run.
      marks: the steps whose results are out of date, if that was looked at (see `execution.outdated`).
    """

    file: Path
    folder: Path | None
    asked: Asked
    records: dict[str, StepRecord]
    marks: Mapping[str, Mark] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The run, as messages and tables call it."""
        return words.here(self.folder or self.file)

    def set_by_hand(self) -> set[tuple[str, str]]:
        """The parameters that `--set` of the command line gave: step and parameter."""
        given = {text.removeprefix("--set=").partition("=")[0].strip() for text in self.asked.command if "=" in text}
        every = ((step, name) for step, facts in self.asked.steps.items() for name in facts.params)
        return {(step, name) for step, name in every if f"{step}.{name}" in given}

    def is_finished(self, step: str) -> bool:
        """Whether the step's figures and outputs are a result of this run, not of an earlier one."""
        return step in self.asked.steps and self.asked.steps[step].status in FINISHED

    def doubt(self, step: str) -> Mark | None:
        """Why the step's figures are perhaps not the result of what the run was asked for; None if they are."""
        if not self.is_finished(step):
            return self.marks.get(step) or Mark("it has not finished since")
        if self.folder is not None and step not in self.records:
            return Mark("its result is gone")
        return self.marks.get(step)

    def metrics(self, step: str) -> dict[str, float | None]:
        """The figures of a step. {} for a step without a result."""
        record = self.records.get(step)
        return record.metrics if record else self.asked.steps[step].metrics if step in self.asked.steps else {}

    def outputs(self, step: str) -> dict[str, str]:
        """The hash of each output of a step. {} for a step without a result."""
        record = self.records.get(step)
        return record.ports if record else self.asked.steps[step].outputs if step in self.asked.steps else {}

    def parts(self, step: str) -> Parts:
        """What decided the result of a step; if it was not finished, what would have decided it.

        Hashes of ports are missing if they are not known. Without a record, `code` holds the files of all steps.
        """
        record = self.records.get(step)
        if record is not None and self.is_finished(step):
            return record.parts
        asked = self.asked.steps[step]
        found = {port: self._content(source) for port, source in asked.sources.items()}
        return Parts(
            stage=asked.stage,
            code=self.asked.code,
            params=asked.params,
            engine=asked.engine,
            gpu=asked.gpu,
            inputs={port: digest for port, digest in found.items() if digest},
        )

    def _content(self, source: str) -> str | None:
        owner, _, name = source.partition(".")
        if owner == "inputs":
            return self.asked.inputs[name].content if name in self.asked.inputs else None
        return self.outputs(owner).get(name)


def read(file: Path) -> Past:
    """Reads a `run.json`, and the records of the steps beside it.

    Raises:
      UserError: if there is no such file, or it is not the record of a run.
    """
    if not file.is_file():
        raise UserError(f"{file}: does not exist; name a run folder, or the {RUN_FILE} of one")
    value = read_json(file)
    if value is None:
        raise UserError(f"{file}: is not the record of a run; name a run folder, or the {RUN_FILE} of one")
    try:
        asked = Asked.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise UserError(
            f"{file}: is not the record of a run, or is damaged ({where}: {first['msg']}); name a run folder, or the "
            f"{RUN_FILE} of one"
        ) from None
    records = {step: record for step in asked.steps if (record := _record(file.parent, step)) is not None}
    is_folder = file.name == RUN_FILE and any((file.parent / step).is_dir() for step in asked.steps if _plain(step))
    return Past(file, file.parent if is_folder else None, asked, records if is_folder else {})


def below(folder: Path) -> Iterator[Path]:
    """The `run.json` of each run folder below a folder, the folder itself included, sorted by path.

    Folders of steps are not searched: they hold results only. Neither are hidden folders.
    """
    for parent, folders, files in os.walk(folder):
        steps = {JOB_FILE, STEP_FILE}.intersection(files)
        folders[:] = [] if steps else sorted(name for name in folders if not name.startswith("."))
        if RUN_FILE in files and not steps:
            yield Path(parent, RUN_FILE)


def _record(folder: Path, step: str) -> StepRecord | None:
    return read_step(folder / step) if _plain(step) else None


def _plain(step: str) -> bool:
    """Whether a step's id leads to no other folder: the file may come from anywhere."""
    return "/" not in step and not step.startswith(".")
