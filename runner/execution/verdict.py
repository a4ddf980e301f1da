"""Judges how a stage ended: exit code, and one line for the user."""

from __future__ import annotations

import os
from pathlib import Path

from contract.codes import BAD_INPUT, BUG, DONE, FAILED, INTERRUPTED, STATUS
from contract.job import LOG_FILE, PARTIAL
from runner import words
from runner.engines.base import Exit, Job
from runner.workdir.events import Progress
from runner.workdir.names import OURS

_CODES = {status: code for code, status in STATUS.items()}


def judge(exit: Exit, progress: Progress, stopped: bool, job: Job) -> tuple[int, str]:
    """What became of a stage: exit code, and one line for the user.

    Args:
      stopped: whether it was asked to stop.
    """
    log = job.folder / LOG_FILE
    code = _CODES.get(str((progress.end or {}).get("status")))
    if code is None:  # a crash, or a disk too full for the closing event
        if stopped:
            return INTERRUPTED, "stopped"
        if exit.cause:
            return FAILED, f"crashed: {exit.cause}; its output is in {words.here(log)}"
        if exit.code == BAD_INPUT:
            return BAD_INPUT, _last_line(log)
        code = exit.code if exit.code in (FAILED, BUG) else FAILED
        return code, f"crashed with exit code {exit.code}: {_last_line(log)}; its output is in {words.here(log)}"
    text = str((progress.end or {}).get("message"))
    if code == DONE and (job.folder / PARTIAL).is_symlink():
        code, text = BUG, f"put a link in the place of {PARTIAL}"  # its target is nobody's to move
    if code == DONE:
        missing = [port for port, path in job.outputs.items() if not os.path.exists(path)]
        clashing = [] if missing else sorted(OURS.intersection(os.listdir(job.folder / PARTIAL)))
        if missing or clashing:
            code, text = BUG, f"wrote {clashing[0]}, a name of ours" if clashing else f"did not write {missing[0]}"
    if code == BUG:
        text = f"a bug in stage {job.stage}: {text}; the full traceback is in {words.here(log)}"
    elif code == FAILED:
        text = f"{text}; its output is in {words.here(log)}"
    elif code == INTERRUPTED and not stopped:
        text = "stopped by a signal from outside; run again to go on"
    return code, text


def _last_line(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4000))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        if not log.parent.exists():
            raise
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
