"""Which results in a run folder are out of date: of other data, or of other parameters, than the run is of now.

Unlike `skip`, this goes by the records alone: it needs no pipeline, and it answers at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from floodrunner.contract.ports import split_dataset
from floodrunner.runner import words
from floodrunner.runner.errors import UserError
from floodrunner.runner.execution import places
from floodrunner.runner.execution.skip import differences
from floodrunner.runner.fingerprint import content
from floodrunner.runner.fingerprint.content import Cache, NotRead
from floodrunner.runner.step_options import DecidingOptions
from floodrunner.runner.workdir import past
from floodrunner.runner.workdir.files import read_json
from floodrunner.runner.workdir.lock import holder
from floodrunner.runner.workdir.names import HASHES_FILE
from floodrunner.runner.workdir.past import AskedStep, Past
from floodrunner.runner.workdir.records import Mark, Parts, StepRecord, read_step

_MOST_BYTES = 100_000_000
"""Bytes of new or changed files that are read to compare them, which takes about a tenth of a second."""
_FAILED, _STOPPED = "has failed since", "was stopped when it ran again"
_UNFINISHED = {"failed": _FAILED, "bad-input": _FAILED, "bug": _FAILED, "interrupted": _STOPPED, "running": _STOPPED}
"""Status of a step in `run.json` -> why a result that is there all the same is of an earlier run."""


def marks(workdir: Path, run: dict[str, Any], alive: bool) -> dict[str, Mark]:
    """The steps of a run folder whose results are out of date.

    Such a result stays until its step has run again: after an input was edited, after a run that failed or was stopped,
    and while a run is in progress. What changed in Floodrunner itself since the last run does not count.

    Args:
      run: the content of `run.json`.
      alive: whether the run is in progress.
    """
    steps: dict[str, AskedStep] = {}
    for name, facts in run["steps"].items():
        try:
            steps[name] = AskedStep.model_validate(facts)
        except ValidationError:
            continue  # damaged, or of an old version: nothing is known, so nothing is said
    looker = _Looker(workdir, run, alive, steps, {name: read_step(workdir / name) for name in steps})
    for name in steps:
        causes = list(looker.causes(name))
        if causes:
            looker.found[name] = next((each for each in causes if each.certain), causes[0])
    return looker.found


def read(file: Path) -> Past:
    """Reads a `run.json`, and marks what is out of date in its run folder. Raises UserError like `past.read`."""
    found = past.read(file)
    if found.folder is None:
        return found
    return replace(found, marks=marks(found.folder, read_json(file) or {}, holder(found.folder) is not None))


@dataclass
class _Looker:
    workdir: Path
    run: dict[str, Any]
    alive: bool
    steps: dict[str, AskedStep]
    records: dict[str, StepRecord | None]
    found: dict[str, Mark] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cache = Cache(self.workdir / HASHES_FILE, _MOST_BYTES)
        self._digests: dict[tuple[str, bool], str | None] = {}

    def causes(self, name: str) -> Iterator[Mark]:
        """Why the result of a step is out of date, the best reason first; nothing for a step without a result."""
        step, done = self.steps[name], self.records[name]
        if done is None:
            return
        for port, source in step.sources.items():
            owner, _, output = source.partition(".")
            cause = None
            if owner == "inputs":
                cause = self._of_input(output, done.parts.inputs.get(port))
            elif owner in self.steps:
                cause = self._of_step(owner, output, done.parts.inputs.get(port))
            if cause is not None:
                yield cause
        for change in differences(done.parts, self._last_asked(step, done.parts), ()):
            yield Mark(change)
        if step.status in _UNFINISHED and step.started != done.started:
            yield Mark(f"it {self._unfinished(step)}")

    def _unfinished(self, step: AskedStep) -> str:
        return "runs again now" if step.status == "running" and self.alive else _UNFINISHED[step.status]

    def _last_asked(self, step: AskedStep, before: Parts) -> Parts:
        """What the last run would have made the step's result from; the inputs count as unchanged."""
        code = self.run["code"] if isinstance(self.run.get("code"), dict) else {}
        return Parts(
            stage=step.stage,
            code={file: str(code.get(file, digest)) for file, digest in before.code.items()},
            params=step.params,
            engine=step.engine or before.engine,
            inputs={port: before.inputs.get(port, "") for port in step.sources},
            **{name: getattr(step, name) for name in DecidingOptions.model_fields},
        )

    def _of_step(self, owner: str, output: str, used: str | None) -> Mark | None:
        made = self.records[owner]
        if made is None:
            status = self.steps[owner]
            return Mark(
                f"step {owner} {self._unfinished(status)}"
                if status.status in _UNFINISHED
                else f"the result of step {owner} is gone"
            )
        if (mark := self.found.get(owner)) is not None:
            return Mark(f"step {owner} {'is' if mark.certain else 'may be'} out of date", mark.certain)
        return Mark(f"step {owner} has another result now") if used not in (None, made.ports.get(output)) else None

    def _of_input(self, name: str, used: str | None) -> Mark | None:
        """Compares an input of the user's with what a step read."""
        inputs = self.run.get("inputs")
        path = inputs[name].get("path") if isinstance(inputs, dict) and isinstance(inputs.get(name), dict) else None
        if used is None or not isinstance(path, str):
            return None
        path = places.today(path, str(self.run.get("workdir") or ""), self.workdir)
        if not os.path.exists(file := split_dataset(path)[0]):
            where = words.here(Path(file))
            return Mark(f"its input {name} is no longer at {where}, so it cannot be compared", certain=False)
        # The stage's header, which only a plan reads, says whether files in sub-folders count.
        digests = [self._digest(path, deep) for deep in ([True] if os.path.isfile(file) else [False, True])]
        if used in digests:
            return None
        if None in digests:
            return Mark(f"its input {name} has new times; floodrunner plan compares its content", certain=False)
        return Mark(f"its input {name} has changed since")

    def _digest(self, path: str, deep: bool) -> str | None:
        """The hash of an input; None if that takes long, or is not possible."""
        if (path, deep) not in self._digests:
            try:
                self._digests[path, deep] = content.of_input(path, self._cache, deep)
            except (NotRead, UserError):
                self._digests[path, deep] = None
        return self._digests[path, deep]
