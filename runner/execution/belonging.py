"""Whether a run folder holds results of the data that a run is given: a run folder belongs to its inputs."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floodrunner.contract.job import JOB_FILE, STATE
from floodrunner.contract.ports import split_dataset
from floodrunner.runner import words
from floodrunner.runner.errors import UserError
from floodrunner.runner.execution import folders
from floodrunner.runner.execution.naming import name_of
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.fingerprint.glance import differs
from floodrunner.runner.pipeline.plan import Plan
from floodrunner.runner.workdir.files import read_json
from floodrunner.runner.workdir.names import NAMES_FILE, RUN_FILE, STEP_FILE
from floodrunner.runner.workdir.publish import check_run_folder
from floodrunner.runner.workdir.records import read_step

_MOST_ABOVE = 4  # folders above an input that may become part of a name


@dataclass(frozen=True)
class Held:
    """An input of which a run folder holds results.

    Attributes:
      path: where it was, with its dataset; "" if no record says so.
      location: the same, as `location_of` gave it then.
      beside: the same as seen from the run folder, which may have been moved together with the data; "" if unknown.
      content: its hash when the last run read it; "" if no record says so.
      used: the hashes in the records of the steps that read it; they differ from `content` if the last run was stopped.
    """

    path: str
    location: str
    beside: str
    content: str
    used: frozenset[str]


def check(setting: Setting, contents: Contents) -> str:
    """Makes sure that a run overwrites only results of its own data, unless the user asked for it.

    Inputs may have been edited where they are, or moved; and a folder in which no step has made anything may be used
    for any data. Only inputs that are at another place are read.

    Returns:
      What `--replace` overwrites, in one line for the user; "" if there is nothing to replace.

    Raises:
      UserError: if an input is at another place and has other content, or the folder holds something else than a run
        of this pipeline. Nothing in the folder has changed.
    """
    check_run_folder(setting.plan.workdir, setting.plan.name)
    plan, held = setting.plan, holdings(setting.plan)
    other = [name for name in held if not _is_same(held[name], name, plan, contents)]
    if not other:
        return ""
    old = ", ".join(_named(name, held[name].path, held[name].location, plan.inputs[name]) for name in other)
    if setting.replace:
        return f"--replace: overwriting the results of {old}"
    new = ", ".join(_named(name, path := plan.inputs[name], location_of(path), held[name].path) for name in other)
    free = shlex.quote(words.here(_free_folder(setting, other, held)))
    raise UserError(
        f"{words.here(plan.workdir)}: holds results of {old}, and this run is for {new}; add --workdir {free}, or "
        "--replace to overwrite those results"
    )


def location_of(path: str) -> str:
    """An input with links to folders followed: `current/images` may be in another folder today.

    A link to a file stays: some tools keep every file as a link, whose target changes when the file is edited.
    """
    file, dataset = split_dataset(path)
    parent, name = os.path.split(file)
    real = os.path.realpath(file) if os.path.isdir(file) else os.path.join(os.path.realpath(parent), name)
    return real if dataset is None else f"{real}:{dataset}"


def holdings(plan: Plan) -> dict[str, Held]:
    """The inputs of a plan of which its run folder holds results or saved state, as the records there say."""
    run = read_json(plan.workdir / RUN_FILE) or {}
    former = {step: _mapping(facts, "in") for step, facts in _mapping(run, "steps").items()}
    planned = {step.id: step.sources for step in plan.steps}
    found = {}
    for name in plan.inputs:
        last = _mapping(_mapping(run, "inputs"), name)
        sources = former if last else planned
        kept = [step for step in _after(f"inputs.{name}", sources) if _has_made_something(plan.folder(step))]
        path, used = str(last.get("path") or ""), set()
        for step in kept:
            done = read_step(plan.folder(step))
            for port in [port for port, source in sources[step].items() if source == f"inputs.{name}"]:
                path = path or str(_mapping(read_json(plan.folder(step) / JOB_FILE), "inputs").get(port) or "")
                used |= {done.parts.inputs[port]} if done and port in done.parts.inputs else set()
        if kept and (path or used):
            location = str(last.get("location") or "") or location_of(path)
            beside = _beside(location, str(run.get("workdir") or ""))
            found[name] = Held(path, location, beside, str(last.get("content") or ""), frozenset(used))
    return found


def _mapping(of: object, name: str) -> dict[str, Any]:
    """A mapping in a record, which may be damaged."""
    value = of.get(name) if isinstance(of, dict) else None
    return value if isinstance(value, dict) else {}


def _after(source: str, sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The steps whose result depends on a source, directly or by other steps. The steps are in the order they run."""
    found: list[str] = []
    for step, connected in sources.items():
        if any(each == source or str(each).split(".")[0] in found for each in connected.values()):
            found.append(step)
    return found


def _has_made_something(folder: Path) -> bool:
    """Whether a step has a result, one that was withdrawn, or a saved state."""
    if any(os.path.lexists(folder / name) for name in (STEP_FILE, NAMES_FILE)):
        return True
    return (folder / STATE).is_dir() and any((folder / STATE).iterdir())


def _beside(location: str, workdir: str) -> str:
    return os.path.relpath(location, os.path.realpath(workdir)) if workdir and location else ""


def _is_same(held: Held, name: str, plan: Plan, contents: Contents) -> bool:
    location = location_of(plan.inputs[name])
    if held.location == location or held.beside == _beside(location, str(plan.workdir)):
        return True
    source = f"inputs.{name}"
    deep = contents.is_deep(source)
    with contextlib.suppress(OSError):  # hashing says what cannot be read
        if held.used <= {held.content} and differs(plan.inputs[name], held.path, held.content, contents.cache, deep):
            return False
    content = contents.of(source)
    return content == held.content or held.used == {content}


def _named(name: str, path: str, location: str, other: str) -> str:
    """An input as the user writes it; with the folder that is meant if both paths are the same link."""
    if not path:
        return f"other {name}"
    link = f" (a link to {words.here(Path(location))})" if path == other else ""
    return f"{name}={words.here(Path(path))}{link}"


def _free_folder(setting: Setting, other: list[str], held: Mapping[str, Held]) -> Path:
    """A run folder that is named after the data, and is free or has been used for this data."""
    plan, spec = setting.plan, setting.pipeline.spec
    name = spec.run_folder_per if spec.run_folder_per in other else other[0]
    by_default = plan.workdir == folders.default(spec, plan.inputs).absolute()
    base = "" if by_default and name == spec.run_folder_per else f"{plan.workdir.name}-"
    given, before = plan.inputs[name], held[name].path
    if given == before:  # a link to another folder now
        given, before = location_of(given), held[name].location
    for tag in _tags(given, before):
        folder = plan.workdir.with_name(f"{base}{tag}")
        if not os.path.lexists(folder) or _is_of(folder, plan):
            return folder
    raise AssertionError("there are names without end")


def _tags(path: str, other: str) -> Iterator[str]:
    """Names for one input that tell it from another, the best first."""
    tags = [name_of(path, parents) for parents in range(_MOST_ABOVE + 1)]
    yield from (tag for parents, tag in enumerate(tags) if tag and tag != (other and name_of(other, parents)))
    yield from (f"{tags[0] or 'run'}-{number}" for number in itertools.count(2))


def _is_of(folder: Path, plan: Plan) -> bool:
    """Whether a run folder holds a run of the same pipeline for inputs at the same places."""
    run = read_json(folder / RUN_FILE) or {}
    there = {name: _mapping(_mapping(run, "inputs"), name).get("location") for name in plan.inputs}
    return _mapping(run, "pipeline").get("name") == plan.name and there == {
        name: location_of(path) for name, path in plan.inputs.items()
    }
