"""Opens the run folder, and moves the result of a step to its place in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from floodrunner.contract.job import JOB_FILE, PARTIAL, STATE
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import is_unfinished, read_json, remove, write_json
from floodrunner.runner.workdir.names import (
    HASHES_FILE,
    LOCK_FILE,
    NAMES_FILE,
    NEXT_FILE,
    RUN_FILE,
    STEP_FILE,
    is_output,
)
from floodrunner.runner.workdir.records import StepRecord


def open_run_folder(workdir: Path, pipeline: str) -> None:
    """Makes the run folder, or checks that it belongs to this pipeline.

    Raises:
      UserError: if the folder holds something else.
      OSError: if the folder cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # for example below /proc, where nobody can make a folder
        raise UserError(f"{workdir}: this folder cannot be made; choose another run folder with --workdir") from None
    check_run_folder(workdir, pipeline)


def check_run_folder(workdir: Path, pipeline: str) -> None:
    """Checks that a folder holds nothing, or a run of this pipeline.

    If `run.json` is lost or damaged, a folder that holds only steps is accepted: the record of each step tells whether
    it has to run again.

    Raises:
      UserError: if the folder holds something else.
    """
    if not workdir.is_dir():
        return
    run = read_json(workdir / RUN_FILE)
    if run is None:
        ours = {LOCK_FILE, HASHES_FILE, RUN_FILE}
        others = [
            name
            for name in os.listdir(workdir)
            if name not in ours and not is_unfinished(name) and not (workdir / name / JOB_FILE).exists()
        ]
        if others:
            raise UserError(
                f"{workdir}: is not a run folder, but holds {others[0]}; choose an empty or new folder with --workdir"
            )
        return
    written = run.get("pipeline")
    name = written.get("name") if isinstance(written, dict) else None
    if name != pipeline:
        raise UserError(
            f"{workdir}: holds a run of the pipeline {name!r}, not of {pipeline!r}; choose another run folder with "
            "--workdir"
        )


def set_state_aside(folder: Path) -> Path | None:
    """Moves a step's `state/` to the next free `state.1`, `state.2`, ...

    Returns:
      The new folder; None if the step has no state.
    """
    state = folder / STATE
    if not os.path.lexists(state):
        return None
    number = 1
    while os.path.lexists(aside := folder / f"{STATE}.{number}"):
        number += 1
    os.rename(state, aside)
    return aside


def publish(folder: Path, done: StepRecord) -> None:
    """Moves the result of a step from `partial/` to its place, and removes the files of an earlier result.

    Everything that needs space on the disk is written before the earlier result is touched. While the files move, the
    step counts as not run.
    """
    write_json(folder / NEXT_FILE, done.model_dump(mode="json"))
    for name in withdraw(folder, done.names):
        remove(folder / name)
    for name in done.names:
        os.rename(folder / PARTIAL / name, folder / name)
    os.rmdir(folder / PARTIAL)
    os.replace(folder / NEXT_FILE, folder / STEP_FILE)
    remove(folder / NAMES_FILE)


def withdraw(folder: Path, more: Sequence[str] = ()) -> set[str]:
    """Removes a step's record, so that the step counts as not run. Its files stay.

    The names of the files are kept in a separate file. The next result may not contain all of these files; the others
    are removed when the next result is published.

    Args:
      more: names that are about to be published.

    Returns:
      The names of all files in the folder that belong to a result of this step, `more` included.
    """
    names = set(more)
    for file in (STEP_FILE, NAMES_FILE):
        recorded = (read_json(folder / file) or {}).get("names")
        if isinstance(recorded, list):
            names.update(name for name in recorded if isinstance(name, str) and is_output(name))
    write_json(folder / NAMES_FILE, {"names": sorted(names)})
    remove(folder / STEP_FILE)
    return names
