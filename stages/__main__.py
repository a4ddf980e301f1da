"""Runs one stage: `python -m floodrunner.stages FOLDER`.

FOLDER holds `job.json`; the stage writes `events.jsonl` there.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType, ModuleType
from typing import IO

from floodrunner.contract.codes import BAD_INPUT, BUG, DONE, FAILED, INTERRUPTED, STATUS
from floodrunner.contract.disk import OUT_OF_PROCESSES, disk_trouble
from floodrunner.contract.job import EVENTS_FILE, JOB_FILE, Job
from floodrunner.contract.stage import Context, InputError, StageError, StageParams, Stopped

_ORPHAN_GRACE_S = 20


def main(folder: Path) -> int:
    """Runs the stage that `job.json` in a folder describes; returns its exit code."""
    job = Job.model_validate_json((folder / JOB_FILE).read_bytes())
    code, text = DONE, ""
    try:
        with open(folder / EVENTS_FILE, "a", encoding="utf-8") as events:
            context = Context(job, events)
            code, text = _run(job, context)
            context.emit("end", status=STATUS[code], message=text)
    except OSError as error:  # for example a full disk, which may show only when the file is closed
        if code == DONE:
            code, text = _disk_trouble(error, folder)
    if text:
        with contextlib.suppress(OSError):  # the log may be on the same full disk; the exit code is enough
            print(text, file=sys.stderr)
    return code


def _run(job: Job, context: Context) -> tuple[int, str]:
    """Returns the exit code and one line for the user. A traceback goes to standard error."""
    try:
        _listen_for_stop(context)
        stage = importlib.import_module(f"floodrunner.stages.{job.stage.replace('-', '_')}")
        params = _params(stage, job)
        context.output_folder.mkdir(parents=True, exist_ok=True)
        context.state.mkdir(parents=True, exist_ok=True)
        if job.gpu:
            # `_gpu` does not influence results, so it must not be part of the stage's fingerprint. The runner follows
            # the imports that it finds in the source, and does not recognise this one.
            importlib.import_module(f"{__package__}._gpu").require()
        stage.run(params, context)
        missing = [port for port, path in context.outputs.items() if not path.exists()]
        if missing:
            raise RuntimeError(f"stage {job.stage} returned without writing {', '.join(missing)}")
    except InputError as error:
        return BAD_INPUT, str(error)
    except StageError as error:
        return FAILED, str(error)
    except (Stopped, KeyboardInterrupt):
        return INTERRUPTED, "stopped"
    except MemoryError:
        return (
            FAILED,
            f"{job.stage}: out of memory; try a smaller box_xyz or fewer sections, or a machine with more memory",
        )
    except OSError as error:
        if _starts_process(error):
            return FAILED, f"{job.stage}: {OUT_OF_PROCESSES}"
        return _disk_trouble(error, context.output_folder)
    except Exception as error:
        if "can't start new thread" in str(error):
            return FAILED, f"{job.stage}: {OUT_OF_PROCESSES}"
        return _bug(error)
    return DONE, ""


def _params(stage: ModuleType, job: Job) -> StageParams:
    params: StageParams = stage.Params.parse(job.params)
    try:
        params.check_ports(job.inputs)
    except ValueError as error:
        raise InputError(f"{job.stage}: {error}") from None
    return params


def _bug(error: Exception) -> tuple[int, str]:
    traceback.print_exc()
    return BUG, f"{type(error).__name__}: {error}".splitlines()[0]


def _starts_process(error: OSError) -> bool:
    """Whether the system could not start a process. A file that somebody has locked gives the same error."""
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""  # `os.fork()`, `_fork_exec(`, `os.posix_spawn(`
    return isinstance(error, BlockingIOError) and ("fork" in line or "spawn" in line)


def _disk_trouble(error: OSError, folder: Path) -> tuple[int, str]:
    text = disk_trouble(error, folder)
    return _bug(error) if text is None else (BAD_INPUT, text)


def _listen_for_stop(context: Context) -> None:
    """Makes SIGTERM, Ctrl-C and the end of standard input ask the stage to stop.

    The runner holds standard input open. If the runner is killed, it cannot send a signal, but the pipe closes.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        context.request_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    if os.environ.get("FLOODRUNNER_STDIN_IS_LIFELINE"):
        threading.Thread(target=_leave_with_parent, daemon=True).start()


def _write_utf8() -> None:
    """Makes standard output and standard error UTF-8, like the log that they go to, whatever the locale says.

    Names of files that are no UTF-8 are written with escapes, so that no message can stop a stage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _hold_lock() -> IO[bytes] | None:
    """Locks the step's folder, if this is a container, so that a later run notices that the stage is still running."""
    path = os.environ.get("FLOODRUNNER_LOCK")
    if not path:
        return None
    with contextlib.suppress(OSError):  # a full disk, or a file system without locks
        file = open(path, "ab")  # noqa: SIM115 -- stays open until this process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: another container is running this step; stop it, and run again", file=sys.stderr)
            sys.exit(BAD_INPUT)
        return file
    return None


def _leave_with_parent() -> None:
    """Waits until the runner closes standard input, asks the stage to stop, and ends it if it still runs after 20 s."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_ORPHAN_GRACE_S)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m floodrunner.stages FOLDER    (FOLDER holds job.json)")
    _write_utf8()
    held = _hold_lock()
    sys.exit(main(Path(sys.argv[1])))
