"""Runs a stage as a process of this machine, with this Python."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract.job import JOB_FILE, LOG_FILE
from runner import machine
from runner.engines.base import Exit, Job, Orphan, Running, killed_by
from runner.errors import UserError
from runner.workdir.files import open_own, remove, write_json

_RUNNING, _KERAS = ".running", ".keras"
_MOST_NAMES = 3
_ORPHAN_LEAVES_S = 30  # a little more than a stage gives itself when its runner is gone


def unavailable(jobs: Sequence[Job], root: Path) -> str:
    lacking = missing()
    if not lacking:
        return ""
    more = f" and {len(lacking) - _MOST_NAMES} more" if len(lacking) > _MOST_NAMES else ""
    names = ", ".join(lacking[:_MOST_NAMES])
    return f"the packages that steps need are not installed ({names}{more}); make demo installs them"


def identity(gpu: bool) -> dict[str, str]:
    """Python, and the versions of the packages that stages use; read from their metadata, nothing is imported."""
    found = {"engine": "local", "python": ".".join(platform.python_version_tuple()[:2])}
    found["backend"] = keras_settings(Path())["KERAS_BACKEND"]
    names = distributions() + (["jax", "jaxlib"] if found["backend"] == "jax" else [])
    return found | {name: there for name in names if (there := version(name)) is not None}


def keras_settings(home: Path) -> dict[str, str]:
    """The environment that makes Keras what `identity` says.

    Without it `~/.keras/keras.json`, which Keras reads, decides about backend, float type and the order of axes.

    Args:
      home: where Keras finds no such file; it need not exist.
    """
    return {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND") or "tensorflow", "KERAS_HOME": str(home)}


def facts(jobs: Sequence[Job]) -> dict[str, Any]:
    return {}


def notes(jobs: Sequence[Job]) -> list[str]:
    wanting = [job.step for job in jobs if job.gpu]
    if not wanting or machine.gpus():
        return []
    return [f"no GPU found: {', '.join(wanting)} will run on the CPU, which is slower (floodrunner doctor says more)"]


def left_behind(workdir: Path) -> list[Orphan]:
    """None: a stage leaves by itself when its runner is gone."""
    return []


def adopt(job: Job) -> Running | None:
    """None, as nothing is left behind."""
    return None


def reclaim(folder: Path) -> None:
    """A stage whose runner was killed stops by itself; it holds a lock on its folder until then."""
    deadline = time.monotonic() + _ORPHAN_LEAVES_S
    while folder.is_dir():
        with open_own(folder / _RUNNING, "a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                file.seek(0)
                pid = file.read().decode().strip() or "unknown"
        if time.monotonic() > deadline:
            raise UserError(
                f"step {folder.name}: process {pid}, left by a run that was killed, is still at work in {folder}; "
                f"end it (kill {pid}) and run again"
            )
        time.sleep(0.2)


def start(job: Job, root: Path) -> Process:
    write_json(job.folder / JOB_FILE, job.told(gpu=False))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
        "FLOODRUNNER_STDIN_IS_LIFELINE": "1",
        **keras_settings(job.folder / _KERAS),
    }
    remove(job.folder / _KERAS)  # Keras writes its settings there
    if not job.gpu:
        # JAX built for CUDA fails where it finds a driver and no device, unless told not to look.
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    with (
        open_own(job.folder / LOG_FILE, "ab") as log,
        open_own(job.folder / _RUNNING, "wb") as running,
    ):
        fcntl.flock(running, fcntl.LOCK_EX)  # inherited: held until the last process of the stage is gone
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stages", str(job.folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=job.folder,
            env=environment,
            start_new_session=True,
            pass_fds=(running.fileno(),),
        )
        running.write(f"{process.pid}\n".encode())
    return Process(process)


class Process:
    """A stage at work; it leads a process group of its own, so Ctrl-C in the terminal does not reach it by itself."""

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
        self.kill()  # itself, if it still runs, and helpers that it left behind
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def distributions() -> list[str]:
    """The packages of our extra `stages`, whether installed or not."""
    try:
        requirements = importlib.metadata.requires("floodrunner") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    ours = (text for text in requirements if re.search(r"extra\s*==\s*['\"]stages['\"]", text))
    return sorted({re.split(r"[^\w.-]", text)[0] for text in ours})


def missing() -> list[str]:
    """Those of them that are not installed. Of TensorFlow's two, for different machines, one is enough."""
    lacking = [name for name in distributions() if version(name) is None]
    has_tensorflow = any(name.startswith("tensorflow") and name not in lacking for name in distributions())
    return [name for name in lacking if not (has_tensorflow and name.startswith("tensorflow"))]


def version(name: str) -> str | None:
    """Of an installed package; None if it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
