"""Runs a stage as a process on this machine, with the same Python as the runner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from floodrunner.contract.job import JOB_FILE, LOG_FILE
from floodrunner.runner import installed, machine, search_path
from floodrunner.runner.engines import base
from floodrunner.runner.engines.base import Exit, Job, killed_by
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import open_own, remove, write_json

_RUNNING, _KERAS = ".running", ".keras"
_MOST_NAMES = 3
_ORPHAN_ENDS_S = 30  # a little longer than a stage takes to end when its runner is gone

facts = base.no_facts
orphans = base.no_orphans


def unavailable(jobs: Sequence[Job], root: Path) -> str:
    absent = installed.missing()
    if not absent:
        return ""
    more = f" and {len(absent) - _MOST_NAMES} more" if len(absent) > _MOST_NAMES else ""
    names = ", ".join(absent[:_MOST_NAMES])
    return f"the packages that steps need are not installed ({names}{more}); {installed.command()} installs them"


def identity(gpu: bool) -> dict[str, str]:
    """The versions of Python and of the packages that stages use. No package is imported for this."""
    found = {"engine": "local", "python": ".".join(platform.python_version_tuple()[:2])}
    found["backend"] = keras_settings(Path())["KERAS_BACKEND"]
    names = installed.distributions() + (["jax", "jaxlib"] if found["backend"] == "jax" else [])
    return found | {name: there for name in names if (there := installed.version(name)) is not None}


def keras_settings(home: Path) -> dict[str, str]:
    """Environment variables that make Keras use the backend that `identity` names: KERAS_BACKEND, or what is installed.

    Without these variables, Keras reads `~/.keras/keras.json`, which may set another backend, float type and order of
    axes.

    Args:
      home: a folder without a file `keras.json`; the folder need not exist.
    """
    return {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND") or installed.backend(), "KERAS_HOME": str(home)}


def no_gpu() -> str:
    gpus, have = machine.gpus(), installed.for_gpu()
    if not gpus:
        return "no GPU found"
    wanted = installed.wanted_for_gpu()
    if have in (wanted, installed.GPU_JAX):  # JAX runs on every card
        return ""
    trouble = "what is installed computes on the CPU" if not have else "the TensorFlow that is installed fails on it"
    return f"{gpus[0]} is not used: {trouble}; {installed.command(wanted)} installs what it needs"


def notes(job: Job) -> list[str]:
    names = [name for name in ("memory_gb", "processes") if getattr(job.options, name) is not None]
    return [f"{job.step}: {' and '.join(names)} limit steps in containers only (--engine docker)"] if names else []


def reclaim(folder: Path) -> None:
    """Waits for the stage of a killed runner: it ends by itself, and holds a lock on the step's folder until then."""
    deadline = time.monotonic() + _ORPHAN_ENDS_S
    while folder.is_dir():
        with open_own(folder / _RUNNING, "a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                file.seek(0)
                said = file.read(20).decode("ascii", "replace").strip()
                pid = said if said.isdigit() else "unknown"
        if time.monotonic() > deadline:
            raise UserError(
                f"step {folder.name}: process {pid} of a run that was killed is still running in {folder}; "
                f"end the process (kill {pid}) and run again"
            )
        time.sleep(0.2)


def start(job: Job, root: Path) -> Process:
    write_json(job.folder / JOB_FILE, job.described(gpu=False))
    remove(job.folder / _KERAS)  # Keras may have written its settings there in an earlier attempt
    with (
        open_own(job.folder / LOG_FILE, "ab") as log,
        open_own(job.folder / _RUNNING, "wb") as running,
    ):
        # All processes of the stage inherit this lock, so it is held until the last process ends.
        fcntl.flock(running, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "floodrunner.stages", str(job.folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=job.folder,
            env=_environment(job, root),
            start_new_session=True,
            pass_fds=(running.fileno(),),
        )
        running.write(f"{process.pid}\n".encode())
    return Process(process)


def _environment(job: Job, root: Path) -> dict[str, str]:
    environment = {
        **search_path.environment(root),
        "FLOODRUNNER_STDIN_IS_LIFELINE": "1",
        **keras_settings(job.folder / _KERAS),
    }
    if not job.options.gpu:
        # Without JAX_PLATFORMS, JAX for CUDA fails if it finds a driver but no device.
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    elif cuda := installed.cuda_folders():
        others = filter(None, [environment.get("LD_LIBRARY_PATH")])
        environment["LD_LIBRARY_PATH"] = os.pathsep.join([*cuda, *others])
    return environment


class Process:
    """A running stage. It leads its own process group, so Ctrl-C in the terminal does not reach the stage directly."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def name(self) -> str:
        return f"process {self._process.pid}"

    def wait(self, seconds: float) -> Exit | None:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return Exit(code, "" if code >= 0 else killed_by(-code))

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def close(self) -> None:
        self.kill()  # ends the stage if it still runs, and the processes that it started
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
