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
from floodrunner.runner import words
from floodrunner.runner.errors import UserError
from floodrunner.runner.execution import folders, places
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

    Data belongs to it if it is at the same place and keeps names of files, or if it has a content that was read.

    Attributes:
      path: where it was, with its dataset; "" if no record says so.
      location: where it is today, as `places.location_of` gives it.
      names: the files that were in it; empty for a single file.
      contents: its hash when the last run read it, and those in the records of the steps that read it.
    """

    path: str
    location: str
    names: frozenset[str]
    contents: frozenset[str]


def check(setting: Setting, contents: Contents) -> str:
    """Makes sure that a run overwrites only results of its own data, unless the user asked for it.

    Inputs may have been edited where they are, or moved; and a folder in which no step has made anything may be used
    for any data. Only inputs that are at another place are read. See `Held` for what counts as the same.

    Returns:
      What `--replace` overwrites, in one line for the user; "" if there is nothing to replace.

    Raises:
      UserError: if an input is other data, or the folder holds something else than a run
        of this pipeline. Nothing in the folder has changed.
    """
    check_run_folder(setting.plan.workdir, setting.plan.name)
    plan, held = setting.plan, holdings(setting.plan)
    other = [name for name in held if not _is_same(held[name], name, plan, contents)]
    if not other:
        return ""
    old, new = (", ".join(texts) for texts in zip(*(_named(name, held[name], plan) for name in other), strict=True))
    if setting.replace:
        return f"--replace: overwriting the results of {old}"
    free = shlex.quote(words.here(_free_folder(setting, other, held)))
    raise UserError(
        f"{words.here(plan.workdir)}: holds results of {old}, and this run is for {new}; add --workdir {free}, or "
        "--replace to overwrite those results (also right for data that was moved and edited)"
    )


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
            location = str(last.get("location") or "") or places.location_of(path)
            location = places.today(location, str(run.get("workdir") or ""), plan.workdir)
            contents = used | ({str(last["content"])} if last.get("content") else set())
            found[name] = Held(path, location, _names(last), frozenset(contents))
    return found


def _mapping(of: object, name: str) -> dict[str, Any]:
    """A mapping in a record, which may be damaged."""
    value = of.get(name) if isinstance(of, dict) else None
    return value if isinstance(value, dict) else {}


def _names(recorded: Mapping[str, Any]) -> frozenset[str]:
    names = recorded.get("files")
    return frozenset(filter(lambda name: isinstance(name, str), names)) if isinstance(names, list) else frozenset()


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


def _is_same(held: Held, name: str, plan: Plan, contents: Contents) -> bool:
    source, path = f"inputs.{name}", plan.inputs[name]
    deep = contents.is_deep(source)
    if held.location == places.location_of(path) and places.keeps_names(held.names, places.names_in(path, deep)):
        return True
    with contextlib.suppress(OSError):  # hashing says what cannot be read
        if len(held.contents) == 1 and differs(path, held.path, min(held.contents), contents.cache, deep):
            return False
    return contents.of(source) in held.contents


def _named(name: str, held: Held, plan: Plan) -> tuple[str, str]:
    """The former input and that of this run as the user writes them, and what else tells them apart."""
    path, location = plan.inputs[name], places.location_of(plan.inputs[name])
    old, new = f"{name}={words.here(Path(held.path))}", f"{name}={words.here(Path(path))}"
    if not held.path:
        return f"other {name}", new
    if held.path != path:
        return old, new
    if held.location != location:
        return f"{old} (a link to {words.here(Path(held.location))})", f"{new} (a link to {words.here(Path(location))})"
    return f"{old} with files such as {words.shown(min(held.names, default='?'))}", f"{new} with other files"


def _free_folder(setting: Setting, other: list[str], held: Mapping[str, Held]) -> Path:
    """A run folder that is named after the data, and is free or has been used for this data."""
    plan, spec = setting.plan, setting.pipeline.spec
    name = spec.run_folder_per if spec.run_folder_per in other else other[0]
    by_default = plan.workdir == folders.default(spec, plan.inputs).absolute()
    base = "" if by_default and name == spec.run_folder_per else f"{plan.workdir.name}-"
    given, before = plan.inputs[name], held[name].path
    if given == before:  # a link to another folder now
        given, before = places.location_of(given), held[name].location
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
    """Whether a run folder holds a run of the same pipeline for the same inputs, as far as places and names tell."""
    run = read_json(folder / RUN_FILE) or {}
    if _mapping(run, "pipeline").get("name") != plan.name:
        return False
    there = {name: _mapping(_mapping(run, "inputs"), name) for name in plan.inputs}
    return all(
        there[name].get("location") == places.location_of(path)
        and places.keeps_names(_names(there[name]), places.names_in(path, deep=True))
        for name, path in plan.inputs.items()
    )
