"""Decides whether a step has to run, and why: compares all that decides the step's result with its record."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from floodrunner.contract.job import EVENTS_FILE, STATE
from floodrunner.contract.ports import SUFFIXES, port_file
from floodrunner.runner.engines.base import Engine
from floodrunner.runner.fingerprint import code as source_code
from floodrunner.runner.fingerprint import content
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.pipeline.plan import FORCED, FROM, Plan, Step
from floodrunner.runner.step_options import DecidingOptions
from floodrunner.runner.workdir.names import HASHES_FILE
from floodrunner.runner.workdir.records import Parts, StepRecord, read_step

_MOST_REASONS = 3


@dataclass(frozen=True)
class Decision:
    """Whether a step runs, and why.

    Attributes:
      runs: None if the answer depends on the output of an earlier step that has yet to run.
    """

    runs: bool | None
    reason: str

    @property
    def word(self) -> str:
        """What `plan` shows: `run`, `skip`, `may run`."""
        return {True: "run", False: "skip", None: "may run"}[self.runs]


@dataclass
class Contents:
    """Hashes of the contents of ports: the user's inputs (hashed when needed) and outputs of finished steps."""

    plan: Plan
    cache: Cache
    known: dict[str, str] = field(default_factory=dict)

    def of(self, source: str) -> str | None:
        """The hash of `inputs.<name>` or `<step>.<port>`; None for a step that has yet to run."""
        owner, name = source.split(".")
        if owner == "inputs" and source not in self.known:
            self.known[source] = content.of_input(self.plan.inputs[name], self.cache, self.is_deep(source))
        return self.known.get(source)

    def is_deep(self, source: str) -> bool:
        """Whether this input is connected to a port that reads sub-folders too (a model, pictures)."""
        ports = [
            step.stage.inputs[port]
            for step in self.plan.steps
            for port, from_ in step.sources.items()
            if from_ == source
        ]
        return any(SUFFIXES[kind] == "" or kind == "pictures" for port in ports for kind in port.kinds)

    def learn(self, step: Step, record: StepRecord) -> None:
        """Records the hashes of a finished step's outputs."""
        self.known.update({f"{step.id}.{port}": digest for port, digest in record.ports.items()})


def decisions(plan: Plan, engine: Engine, root: Path, contents: Contents | None = None) -> dict[str, Decision]:
    """Decides, for each step, what a run would do now. Changes nothing on disk.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      contents: hashes that are known already; new ones are added.
    """
    contents = contents or Contents(plan, Cache(plan.workdir / HASHES_FILE))
    found = {}
    identities = {gpu: engine.identity(gpu) for gpu in {step.options.gpu for step in plan.steps}}
    for step in plan.steps:
        found[step.id] = decide(step, contents, identities[step.options.gpu], root)
        done = read_step(plan.folder(step.id))
        if found[step.id].runs is False and done is not None:
            contents.learn(step, done)
    return found


def decide(step: Step, contents: Contents, engine: dict[str, str], root: Path) -> Decision:
    """Decides whether one step has to run. Hashes the user's inputs only if there is a record to compare with.

    Args:
      engine: what decides the result besides the code, as `Engine.identity` gives it.
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
    """
    folder = contents.plan.folder(step.id)
    record = read_step(folder)
    if step.again:
        return Decision(True, {FORCED: "--force, from scratch", FROM: "--from"}[step.again])
    if record is None:
        begun = (folder / EVENTS_FILE).exists()
        kept = (folder / STATE).is_dir() and any((folder / STATE).iterdir())  # `clean` keeps the state
        reason = "not finished last time" if begun else "no result" if kept else "never run"
        return Decision(True, reason + (", continues from its state if data and settings are the same" if kept else ""))
    reasons = changed_outputs(step, folder, record, contents.cache)
    waits = {port: source.split(".")[0] for port, source in step.sources.items() if contents.of(source) is None}
    reasons += differences(record.parts, parts(step, contents, engine, root), unknown=waits.keys())
    if reasons:
        more = len(reasons) - _MOST_REASONS
        return Decision(True, "; ".join(reasons[:_MOST_REASONS]) + (f"; and {more} more" if more > 0 else ""))
    if waits:
        return Decision(None, f"waits for {', '.join(dict.fromkeys(waits.values()))}")
    return Decision(False, "nothing changed")


def unasked(plan: Plan, decisions: dict[str, Decision]) -> list[str]:
    """A line for each step that also has to run, although --from or --force names only a later step.

    This happens, for example, when the user has not repeated a `--set` of the previous run.
    """
    lines, named = [], ""
    for step in reversed(plan.steps):
        if step.again:
            named = step.id
        elif named and decisions[step.id].runs:
            lines.append(f"{step.id} runs too, before {named}: {decisions[step.id].reason}")
    return lines[::-1]


def parts(step: Step, contents: Contents, engine: dict[str, str], root: Path) -> Parts:
    """Everything that decides the result of a step; ports whose content is not known yet are missing."""
    return Parts(
        stage=step.stage.name,
        code=source_code.hashes(step.stage.name, root),
        params=step.params,
        engine=engine,
        gpu=step.options.gpu,
        inputs={port: digest for port, source in step.sources.items() if (digest := contents.of(source)) is not None},
    )


def differences(old: Parts, new: Parts, unknown: Collection[str]) -> list[str]:
    """The changes from `old` to `new`, one phrase for each. The content of ports in `unknown` is not compared."""
    if old.stage != new.stage:
        return [f"stage {old.stage} -> {new.stage}"]
    found = [
        f"parameter {name}: {_short(old.params.get(name))} -> {_short(new.params.get(name))}"
        for name in sorted({*old.params, *new.params})
        if old.params.get(name) != new.params.get(name) or type(old.params.get(name)) is not type(new.params.get(name))
    ]
    for name in DecidingOptions.model_fields:
        if (before := getattr(old, name)) != (now := getattr(new, name)):
            found.append(f"{name}: {_short(before)} -> {_short(now)}")
    for port in sorted({*old.inputs, *new.inputs, *unknown}):
        if port not in old.inputs:
            found.append(f"input {port} is new")
        elif port in unknown:
            continue
        elif port not in new.inputs:
            found.append(f"input {port} is no longer connected")
        elif old.inputs[port] != new.inputs[port]:
            found.append(f"input {port} changed")
    files = [file for file in sorted({*old.code, *new.code}) if old.code.get(file) != new.code.get(file)]
    if len(files) > _MOST_REASONS:  # an update of floodrunner
        found.append(f"{len(files)} source files of the stage changed")
    else:
        found += [f"{file} {_change(file, old.code, new.code)}" for file in files]
    for name in sorted({*old.engine, *new.engine}):
        if old.engine.get(name) != new.engine.get(name):
            found.append(f"{name} {old.engine.get(name, 'none')} -> {new.engine.get(name, 'none')}")
    return found


def changed_outputs(step: Step, folder: Path, record: StepRecord, cache: Cache) -> list[str]:
    """Describes the first output that was deleted, changed or added by hand. A new time alone is not a change."""
    there = content.files(folder, record.names)
    missing = [name for name in record.files if name not in there]
    missing += [name for name in record.names if not (folder / name).exists() and name not in missing]
    if missing:
        return [f"output {missing[0]} was deleted"]
    ports = [port_file(port, kind) for port, kind in step.stage.outputs.items()]
    for name, path in there.items():
        if name not in record.files:
            if name.split("/")[0] in ports:
                return [f"output {name} was added by hand"]
            continue
        info, was = path.stat(), record.files[name]
        if info.st_size != was.size or (info.st_mtime_ns != was.mtime_ns and cache.sha256(path) != was.sha256):
            return [f"output {name} was changed by hand"]
    return []


def _change(file: str, old: dict[str, str], new: dict[str, str]) -> str:
    if file in old and file in new:
        return "changed"
    return "is now imported by the stage" if file in new else "is no longer imported by the stage"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
