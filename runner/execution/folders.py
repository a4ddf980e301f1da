"""Finds the run folder that a user means, and removes the results in a run folder."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, StringConstraints, ValidationError, model_validator

from floodrunner.contract.job import JOB_FILE, STATE
from floodrunner.runner import engines, words, wsl
from floodrunner.runner.engines.base import Orphan
from floodrunner.runner.errors import UserError, suggest
from floodrunner.runner.execution.naming import name_of
from floodrunner.runner.pipeline import shipped, spec
from floodrunner.runner.pipeline.spec import PipelineSpec
from floodrunner.runner.workdir.files import read_json, remove
from floodrunner.runner.workdir.names import HASHES_FILE, LOCK_FILE, RUN_FILE, STEP_FILE

RUNS = Path("runs")
_MOST_SUGGESTED = 20

_Step = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]


class _Times(BaseModel):
    """What `status` reads of a run and of each step in `run.json`."""

    status: str
    started: str | None = None
    ended: str | None = None
    message: str = ""

    @model_validator(mode="after")
    def _has_its_time(self) -> Self:
        known = {"running": self.started, "waiting": "", "skipped": ""}
        if known.get(self.status, self.ended) is None:
            raise ValueError(f"there is no time for the status {self.status!r}")
        return self


class _Pipeline(BaseModel):
    name: str


class _Report(_Times):
    pipeline: _Pipeline
    steps: dict[_Step, _Times]


def default(pipeline: PipelineSpec, inputs: Mapping[str, str], parents: int = 0) -> Path:
    """The default run folder of a pipeline: `runs/<pipeline>`, or `runs/<pipeline>/<input>` if it has `run_folder_per`.

    Args:
      inputs: name -> path of the inputs that the user gave; the pipeline file has the others.
      parents: how many of the folders that the input is in are part of the name, to tell `a/images` from `b/images`.
    """
    folder = RUNS / pipeline.name
    if pipeline.run_folder_per is None:
        return folder
    written = inputs.get(pipeline.run_folder_per) or pipeline.inputs[pipeline.run_folder_per].path
    return folder / ((written and name_of(written, parents)) or pipeline.run_folder_per)


def all_runs() -> list[Path]:
    """The run folders `runs/<name>` and `runs/<name>/<name>`, the newest last."""
    found = {}
    for pattern in (f"*/{RUN_FILE}", f"*/*/{RUN_FILE}"):
        for file in RUNS.glob(pattern):
            if not (file.parent / JOB_FILE).exists():  # a step's folder, whose stage wrote a file of that name
                with contextlib.suppress(OSError):
                    found[file.parent] = file.stat().st_mtime_ns
    return sorted(found, key=found.__getitem__)


def meant(target: str | None) -> list[Path]:
    """The run folders that a user may mean, the newest last.

    Args:
      target: a run folder; or a folder of run folders, such as `runs/unet-predict`, or a pipeline, which stands
        for its run folders in `runs/`. None: all in `runs/`.

    Raises:
      UserError: if there is none.
    """
    runs = all_runs()
    if target is None:
        if not runs:
            raise UserError(f"{RUNS}/: there is no run here; name a run folder, a pipeline file or a shipped pipeline")
        return runs
    path = Path(wsl.here(target))
    path = path if (path / RUN_FILE).exists() else shipped.named(target) or path
    if not (path.is_file() or path.suffix in (".yaml", ".yml")):
        if (path / RUN_FILE).exists():
            return [path]
        return [run for run in runs if run.parent.absolute() == path.absolute()] or [path]
    pipeline = spec.load(path).spec
    folder = RUNS / pipeline.name
    if pipeline.run_folder_per is None and folder in runs:
        return [folder]
    return [run for run in runs if folder in (run, run.parent)] or [default(pipeline, {})]


def find(target: str | None, only: bool = False) -> tuple[Path, dict[str, Any]]:
    """The run folder that a user means, and the content of its `run.json`.

    Args:
      target: as in `meant`; of several, the newest.
      only: refuse a target that may mean several.

    Raises:
      UserError: if there is no such run folder.
    """
    found = meant(target)
    if only and len(found) > 1:
        raise UserError(f"{target}: has {len(found)} runs; name one: {words.listed([str(run) for run in found[::-1]])}")
    folder = found[-1]
    run = read_json(folder / RUN_FILE)
    if run is None or not isinstance(run.get("steps"), dict):
        what = "is not a run folder" if folder.exists() else "does not exist"
        others = [run.relative_to(RUNS).as_posix() for run in all_runs()[-_MOST_SUGGESTED:]]
        word = folder.relative_to(RUNS).as_posix() if folder.is_relative_to(RUNS) else folder.name
        there = f"; {suggest(word, others)}" if others else ""
        raise UserError(f"{folder}: {what}; name a run folder, such as runs/<pipeline name>{there}")
    try:
        _Report.model_validate(run)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "times"
        raise UserError(
            f"{folder / RUN_FILE}: is damaged ({where}: {first['msg']}); remove this file and run again: finished "
            "steps are kept"
        ) from None
    return folder, run


def step_folder(workdir: Path, run: dict[str, Any], step: str) -> Path:
    """The folder of one step. Raises UserError if the run has no such step."""
    if step not in run["steps"]:
        raise UserError(f"{workdir}: there is no step {step!r}; {suggest(step, run['steps'])}")
    return workdir / step


def orphans(workdir: Path) -> list[Orphan]:
    """Lists the stages that a killed runner left behind in a run folder, still running or not, on every engine."""
    return [orphan for name in engines.NAMES for orphan in engines.load(name).orphans(workdir)]


def reclaim(folder: Path) -> None:
    """Makes sure that no stage of a killed runner runs in a step's folder: waits for such a stage, or stops it.

    Raises:
      UserError: if the stage does not end.
    """
    for name in engines.NAMES:
        engines.load(name).reclaim(folder)


def removable(workdir: Path, with_state: bool) -> list[Path]:
    """The files and folders that `clean` removes: outputs of steps, and with `with_state` also their state."""
    found: list[Path] = []
    kept = False
    for folder in sorted(path for path in workdir.iterdir() if path.is_dir() and not path.is_symlink()):
        if not any((folder / name).exists() for name in (JOB_FILE, STEP_FILE, STATE)):
            continue
        if (folder / RUN_FILE).exists() and not (folder / JOB_FILE).exists():  # another run, which has a step `state`
            continue
        states = [
            path for path in folder.glob(f"{STATE}*") if path.is_dir() and not path.is_symlink() and any(path.iterdir())
        ]
        if with_state or not states:
            found.append(folder)
        else:
            kept = True
            found += [path for path in sorted(folder.iterdir()) if path not in states]
    if not kept:
        found += [path for name in (RUN_FILE, HASHES_FILE) if (path := workdir / name).exists()]
    return found


def clean(workdir: Path, paths: list[Path]) -> None:
    """Removes files and folders, and then the run folder if it is empty. Call this while holding the lock."""
    for path in paths:
        remove(path)
    if {path.name for path in workdir.iterdir()} <= {LOCK_FILE}:
        remove(workdir)
