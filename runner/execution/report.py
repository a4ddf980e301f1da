"""`run.json`: what a run was asked to do, and how it ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from floodrunner.contract.codes import BAD_INPUT, BUG, INTERRUPTED, STATUS
from floodrunner.contract.disk import disk_trouble
from floodrunner.runner import __version__, machine
from floodrunner.runner.errors import Interrupted, StepFailed, UserError
from floodrunner.runner.execution import places
from floodrunner.runner.execution.setting import Run
from floodrunner.runner.fingerprint import code as source_code
from floodrunner.runner.workdir import records
from floodrunner.runner.workdir.records import StepRecord


def at_start(run: Run) -> dict[str, Any]:
    """The content of `run.json` before the first step. It holds all that is needed to repeat the run.

    `code` holds the hash of each source file that decides a step's result.
    """
    setting, plan, document = run.setting, run.setting.plan, run.setting.pipeline.document
    identities = {gpu: setting.engine.identity(gpu) for gpu in {step.options.gpu for step in plan.steps}}
    return {
        "floodrunner": __version__,
        "status": "running",
        "pid": os.getpid(),
        "command": setting.command,
        "folder": os.getcwd(),
        "workdir": os.path.realpath(plan.workdir),
        "started": records.now(),
        "ended": None,
        "host": machine.describe(),
        "engine": {
            "name": setting.engine_name,
            "reason": setting.engine_reason,
            **setting.engine.facts([plan.job(step) for step in plan.steps]),
        },
        "pipeline": {"name": plan.name, "file": os.path.abspath(document.source), "text": document.text},
        "inputs": {
            name: {
                "path": path,
                "location": places.location_of(path),
                "content": run.contents.of(f"inputs.{name}"),
                "files": places.names_in(path, run.contents.is_deep(f"inputs.{name}")),
            }
            for name, path in plan.inputs.items()
        },
        "code": {
            file: digest
            for step in plan.steps
            for file, digest in source_code.hashes(step.stage.name, setting.root).items()
        },
        "steps": {
            step.id: {
                "stage": step.stage.name,
                "in": step.sources,
                "params": step.params,
                **step.options.model_dump(),
                "engine": identities[step.options.gpu],
                "status": "waiting",
            }
            for step in plan.steps
        },
    }


def result_of(done: StepRecord) -> dict[str, Any]:
    """The figures of a finished step, and the hash of each output, for `run.json`, which may be all that is kept."""
    return {"metrics": done.metrics, "outputs": done.ports}


def close(run: Run, status: str, message: str = "") -> None:
    """Writes how the run ended. A step that was still running (a full disk, a bug) gets the same status."""
    run.report.update(status=status, ended=records.now())
    for facts in run.report["steps"].values():
        if facts["status"] == "running":
            facts.update(status=status, ended=records.now(), message=" ".join(message.split()))
    run.save()
    run.save_hashes()


def in_words(error: BaseException, workdir: Path) -> str:
    """An error that has ended a run, in the words that the command line uses."""
    return (disk_trouble(error, workdir) if isinstance(error, OSError) else None) or str(error)


def status_of(error: BaseException) -> str:
    """The status of a run that an error has ended."""
    if isinstance(error, Interrupted):
        return STATUS[INTERRUPTED]
    if isinstance(error, StepFailed):
        return STATUS[error.code]
    return STATUS[BAD_INPUT] if isinstance(error, UserError | OSError) else STATUS[BUG]
