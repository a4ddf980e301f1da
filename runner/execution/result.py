"""Moves the result of a step from `partial/` to its place, and writes the step's record."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from floodrunner.contract.job import PARTIAL, STATE
from floodrunner.contract.ports import port_file
from floodrunner.runner import __version__
from floodrunner.runner.execution.setting import Run
from floodrunner.runner.fingerprint import content
from floodrunner.runner.pipeline.plan import Step
from floodrunner.runner.workdir import records
from floodrunner.runner.workdir.names import is_inside
from floodrunner.runner.workdir.progress import Progress
from floodrunner.runner.workdir.publish import publish
from floodrunner.runner.workdir.records import Artifact, Parts, StepRecord


def publish_result(run: Run, step: Step, parts: Parts, progress: Progress, started: str, seconds: float) -> StepRecord:
    """Publishes what a step wrote, and removes the state that the step no longer needs; returns the record.

    Args:
      started: when the step started, in the form of `records.now`.
    """
    folder = run.setting.plan.folder(step.id)
    names = sorted(os.listdir(folder / PARTIAL))
    files = content.measure(content.files(folder / PARTIAL, names), run.contents.cache)
    done = StepRecord(
        step=step.id,
        parts=parts,
        names=names,
        files=files,
        ports={port: content.of_port(port_file(port, kind), files) for port, kind in step.stage.outputs.items()},
        metrics=progress.results,
        conclusions=progress.conclusions,
        artifacts=[found for artifact in progress.artifacts if (found := _in_step_folder(artifact, folder))],
        started=started,
        ended=records.now(),
        seconds=seconds,
        engine=run.setting.engine_name,
        host=run.report["host"],
        floodrunner=__version__,
    )
    publish(folder, done)
    state = folder / STATE
    for name in progress.spent if state.is_dir() and not state.is_symlink() else ():
        with contextlib.suppress(OSError):
            (state / name).unlink()
    return done


def _in_step_folder(artifact: Artifact, folder: Path) -> Artifact | None:
    """The artifact with its path relative to the step's folder, where the file is after publishing.

    The stage gives the path relative to `partial/`. The path may also lead out of `partial/`, to the state.

    Returns:
      None if the path leads out of the step's folder, so that the file is not the step's, or if there is no such file.
    """
    path = os.path.relpath(os.path.join(PARTIAL, artifact.path), PARTIAL)
    now = os.path.normpath(os.path.join(PARTIAL, path))
    if path.startswith(os.pardir):
        path = now
    if not is_inside(path) or not os.path.exists(there := os.path.realpath(folder / now)):
        return None
    own = Path(there).is_relative_to(os.path.realpath(folder))
    return Artifact(path=path, title=artifact.title) if own else None
