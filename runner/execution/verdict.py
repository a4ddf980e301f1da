"""Judges how a stage ended: the exit code, and one line for the user."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from floodrunner.contract.codes import BAD_INPUT, BUG, DONE, FAILED, INTERRUPTED, STATUS
from floodrunner.contract.disk import OUT_OF_PROCESSES
from floodrunner.contract.job import LOG_FILE, PARTIAL, STATE
from floodrunner.runner import words
from floodrunner.runner.engines.base import Exit, Job
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import open_own
from floodrunner.runner.workdir.names import OURS
from floodrunner.runner.workdir.outputs import unfit
from floodrunner.runner.workdir.progress import Progress

_LAST_BYTES = 4000
_NO_PROCESSES = re.compile(
    r"can't start new thread|pthread_create|fork:.* Resource temporarily unavailable|"
    r"what\(\): +Resource temporarily unavailable"
)
"""What Python, C, a shell and C++ say if they can start no process or thread. A locked file is "Resource temporarily
unavailable" too."""
_BEGINS = re.compile(r"--- \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 ")
"""What the runner writes into the log at the beginning of an attempt."""
_OF_LIBRARIES = re.compile(r"[IWE]\d{4} \d\d:|\d{4}-\d\d-\d\d [\d:.]+: [IWE] |WARNING: All log messages before absl")
"""Lines that TensorFlow and its parts write, whatever happens."""
_CODES = {status: code for code, status in STATUS.items()}


def judge(exit: Exit, progress: Progress, stopped: bool, job: Job) -> tuple[int, str]:
    """How a stage ended.

    Args:
      exit: how the process or container of the stage ended.
      progress: the events of the stage; without an `end` event the stage has crashed.
      stopped: whether the stage was asked to stop.

    Returns:
      Exit code, and one line for the user, which is "" for a step that is done.
    """
    log = words.here(job.folder / LOG_FILE)
    end = progress.end
    if end is None or (code := _CODES.get(end.status)) is None:
        return _crash(exit, stopped, job.folder / LOG_FILE)
    text = end.message
    if code == DONE and (trouble := _trouble_with_outputs(job)):
        return BUG, f"a bug in stage {job.stage}: {trouble}"
    if code == BUG:
        text = f"a bug in stage {job.stage}: {text}; the full traceback is in {log}"
    elif code == FAILED:
        text = f"{text}; its output is in {log}"
    elif code == INTERRUPTED and not stopped:
        text = "stopped by a signal from outside; run again to continue"
    return code, text


def _crash(exit: Exit, stopped: bool, log: Path) -> tuple[int, str]:
    """Judges a stage that has written no `end` event: it crashed, or the disk was too full for the event."""
    if stopped:
        return INTERRUPTED, "stopped"
    if exit.cause:
        return FAILED, f"crashed: {exit.cause}{_no_processes(log)}; its output is in {words.here(log)}"
    if exit.code == BAD_INPUT:
        return BAD_INPUT, _last_line(log)
    code = exit.code if exit.code in (FAILED, BUG) else FAILED
    last = f"{_last_line(log)}{_no_processes(log)}"
    return code, f"crashed with exit code {exit.code}: {last}; its output is in {words.here(log)}"


def _trouble_with_outputs(job: Job) -> str:
    """Why the outputs of a stage cannot be published; "" if they can."""
    for name in (PARTIAL, STATE):
        if (job.folder / name).is_symlink():  # a stage may publish only files in its own folder
            return f"the stage replaced {name} by a link"
    partial = job.folder / PARTIAL
    if not partial.is_dir():
        return f"the stage removed {PARTIAL}, the folder of its outputs"
    if trouble := unfit(partial):
        return trouble
    if missing := [port for port, path in job.outputs.items() if not os.path.exists(path)]:
        return f"the stage did not write its output {missing[0]}"
    if clashing := sorted(OURS.intersection(os.listdir(partial))):
        return f"the stage wrote {clashing[0]}, a name that the runner uses"
    return ""


def _last_line(log: Path) -> str:
    """The last line of a log that is not one of a library. Raises FileNotFoundError if the step's folder is gone."""
    try:
        lines = _last_lines(log)
    except UserError as error:  # the stage has put something else there
        return str(error)
    own = [line for line in lines if not _OF_LIBRARIES.match(line)]
    return (own or lines or ["no output"])[-1]


def _no_processes(log: Path) -> str:
    """What to do if a library could not start a process or thread, as an addition to a message; "" if it could."""
    with contextlib.suppress(UserError):
        if any(_NO_PROCESSES.search(line) for line in _last_lines(log)):
            return f"; {OUT_OF_PROCESSES}"
    return ""


def _last_lines(log: Path) -> list[str]:
    """The last non-empty lines of this attempt in a log, such that a terminal can show them."""
    try:
        with open_own(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
            lines = file.read(_LAST_BYTES).decode("utf-8", "replace").replace("\r", "\n").split("\n")
    except FileNotFoundError:
        if not log.parent.exists():
            raise
        return []
    begun = max((number for number, line in enumerate(lines, 1) if _BEGINS.match(line)), default=0)
    return [words.shown(line.strip()) for line in lines[begun:] if line.strip()]
