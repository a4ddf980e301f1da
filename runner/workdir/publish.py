"""Moves what a step made to its place, and opens the run folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from contract.job import JOB_FILE, PARTIAL, STATE
from runner.errors import UserError
from runner.workdir.files import BESIDE, read_json, remove, write_json
from runner.workdir.names import HASHES_FILE, LOCK_FILE, NAMES_FILE, NEXT_FILE, RUN_FILE, STEP_FILE
from runner.workdir.records import StepRecord


def set_state_aside(folder: Path) -> Path | None:
    """Moves a step's `state/` to the next free `state.1`, `state.2`, ...; returns where, None if there was none."""
    state = folder / STATE
    if not state.exists():
        return None
    number = 1
    while (aside := folder / f"{STATE}.{number}").exists():
        number += 1
    os.rename(state, aside)
    return aside


def withdraw(folder: Path, more: Sequence[str] = ()) -> set[str]:
    """Removes a step's record: from now on it counts as not run. Its files stay, and so do their names.

    The names outlive the record in a file of their own: a try that is cut off may not make the same files again, and
    what nobody knows the name of would lie among the next result for ever.

    Args:
      more: names that are about to be published.

    Returns:
      All names that a result of this step has, or may have, in its folder; `more` included.
    """
    names = set(more)
    for file in (STEP_FILE, NAMES_FILE):
        names.update((read_json(folder / file) or {}).get("names", []))
    write_json(folder / NAMES_FILE, {"names": sorted(names)})
    remove(folder / STEP_FILE)
    return names


def publish(folder: Path, done: StepRecord) -> None:
    """Moves what a step made from `partial/` to its place, and removes what only a former try of it had made.

    All that needs room on the disk is written before anything of the former result is touched. In between, the step
    counts as not run.
    """
    write_json(folder / NEXT_FILE, done.model_dump(mode="json"))
    for name in withdraw(folder, done.names):
        remove(folder / name)
    for name in done.names:
        os.rename(folder / PARTIAL / name, folder / name)
    os.rmdir(folder / PARTIAL)
    os.replace(folder / NEXT_FILE, folder / STEP_FILE)
    remove(folder / NAMES_FILE)


def open_run_folder(workdir: Path, pipeline: str) -> None:
    """Makes the run folder, or checks that it is one of this pipeline.

    A folder whose `run.json` is lost or damaged, but which holds nothing but steps, is taken as it is: what each step's
    record says decides what runs again.

    Raises:
      UserError: if the folder holds something else.
      OSError: if it cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # below /proc, say, where the parent is there and yet is not
        raise UserError(f"{workdir}: cannot be made there; choose another folder with --workdir") from None
    run = read_json(workdir / RUN_FILE)
    if run is None:
        ours = {LOCK_FILE, HASHES_FILE, RUN_FILE}
        others = [
            name
            for name in os.listdir(workdir)
            if name not in ours and not BESIDE.fullmatch(name) and not (workdir / name / JOB_FILE).exists()
        ]
        if others:
            raise UserError(
                f"{workdir}: is no run folder, and holds {others[0]}; choose an empty or new folder with --workdir"
            )
    elif (name := run.get("pipeline", {}).get("name")) != pipeline:
        raise UserError(
            f"{workdir}: holds a run of the pipeline {name!r}, not of {pipeline!r}; choose another with --workdir"
        )
