"""Checks this machine for problems that would stop a run, and says what to do about them.

These checks change nothing. Conditions of a single step are checked when that step starts.
"""

from __future__ import annotations

import os
import platform
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil

from floodrunner.runner import installed, machine, search_path, words
from floodrunner.runner.doctor import docker, gpu
from floodrunner.runner.doctor.finding import Finding
from floodrunner.runner.engines import local
from floodrunner.runner.pipeline import registry

_LITTLE_DISK, _LITTLE_MEMORY = 5e9, 4e9
_SLOW_NETWORK, _SLOW_WINDOWS = {"fuse.sshfs", "cifs", "nfs", "nfs4", "9p"}, {"9p", "drvfs", "v9fs", "virtiofs"}
_IMPORT_TIMEOUT_S = 120


def examine(workdir: Path) -> Iterator[Finding]:
    """Yields all findings, in the order in which a person would look; slow checks come last."""
    root = registry.scan().root
    with ThreadPoolExecutor(1) as pool:
        keras = pool.submit(_keras, root)
        yield _python(sys.version_info[:2])
        yield from _search_path()
        yield from _wsl(machine.wsl_version())
        yield _memory(psutil.virtual_memory().total)
        yield from _folder(workdir)
        yield gpu.of_machine()
        yield from docker.examine(root)
        for finding in _for_steps_here(keras):
            if finding.level == "trouble" and docker.usable(root):
                yield Finding("note", f"{finding.text} (steps in containers do not need it)", finding.advice)
            else:
                yield finding


def _python(version: tuple[int, ...]) -> Finding:
    text = f"Python {'.'.join(map(str, version))} ({sys.executable})"
    if (3, 11) <= version < (3, 14):
        return Finding("ok", text)
    return Finding("trouble", text, "use Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 test")


def _search_path() -> Iterator[Finding]:
    """Names what adds packages to all Python programs: variables, and the user's own packages."""
    if found := search_path.strangers():
        text = f"PYTHONPATH is set ({os.pathsep.join(found)})"
        yield Finding("note", f"{text}; Floodrunner and its steps do not use it")
    if value := os.environ.get("PYTHONHOME"):
        text = f"PYTHONHOME is set ({value}), which changes what Python and steps load"
        yield Finding("note", text, "if steps fail to start, unset PYTHONHOME")
    if of_the_user := search_path.of_the_user():
        text = f"installed by pip install --user only: {', '.join(of_the_user)}"
        advice = "if packages do not fit each other, install Floodrunner in an environment of its own (python3 -m venv)"
        yield Finding("note", f"{text}; so commands and steps use all packages in {site.getusersitepackages()}", advice)


def _for_steps_here(keras: Future[Finding]) -> Iterator[Finding]:
    """Checks whether the packages that stages use are installed, and whether Keras and its backend can be imported."""
    versions = {name: installed.version(name) for name in installed.distributions()}
    there = [f"{name} {version}" for name, version in versions.items() if version is not None]
    if missing := installed.missing():
        yield Finding("trouble", f"not installed: {', '.join(missing)}", installed.command())
        return
    if machine.gpus() and (reason := local.no_gpu()):
        text, _, advice = reason.rpartition("; ")
        yield Finding("note", f"steps without containers: {text}", advice)
    if there:
        yield Finding("ok", f"packages: {', '.join(there)}")
    yield keras.result()


def _keras(root: Path) -> Finding:
    """Imports Keras in another process, because the import takes seconds, and may crash on a processor without AVX."""
    code = "import keras; print(keras.backend.backend(), keras.__version__)"
    try:
        with tempfile.TemporaryDirectory() as home:
            answer = subprocess.run(
                [sys.executable, "-P", "-c", code],
                env={**search_path.environment(root), **local.keras_settings(Path(home))},
                capture_output=True,
                text=True,
                timeout=_IMPORT_TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return Finding("trouble", f"Keras did not load within {_IMPORT_TIMEOUT_S} s", "try again when the disk is idle")
    if answer.returncode == 0:
        return Finding("ok", f"Keras loads, with {answer.stdout.split()[-2]} as its backend")
    if answer.returncode < 0:
        return Finding(
            "trouble",
            f"loading Keras and its backend crashes with signal {-answer.returncode}",
            "this processor may lack AVX, which TensorFlow needs: use a newer machine",
        )
    last = (answer.stderr.strip().splitlines() or ["no output"])[-1]
    advice = f"install again in a new environment: {installed.command()}"
    if os.environ.get("KERAS_BACKEND"):
        advice = f"unset KERAS_BACKEND, which is {os.environ['KERAS_BACKEND']}"
    return Finding("trouble", f"Keras does not load: {last}", advice)


def _wsl(version: int) -> Iterator[Finding]:
    if version == 2:
        yield Finding("ok", f"WSL 2 ({platform.release()})")
    elif version == 1:
        name = os.environ.get("WSL_DISTRO_NAME") or "<this distribution>"
        advice = f"in Windows' PowerShell: wsl --set-version {name} 2"
        yield Finding("note", "WSL 1 is slow with many files, and has neither Docker nor GPUs", advice)


def _memory(total: float) -> Finding:
    text = f"{machine.processors()} processors, {words.size(total)} of memory"
    if total < _LITTLE_MEMORY:
        return Finding("note", text, "work on a small box_xyz, or give WSL more memory in .wslconfig")
    return Finding("ok", text)


def _folder(workdir: Path) -> list[Finding]:
    if workdir.exists() and not workdir.is_dir():
        return [Finding("trouble", f"run folder {words.here(workdir)}: is a file", "choose a folder with --workdir")]
    folder = next(folder for folder in [workdir.absolute(), *workdir.absolute().parents] if folder.is_dir())
    kind, free = machine.file_system(folder), psutil.disk_usage(str(folder)).free
    text = f"run folder {words.here(workdir)}: {words.size(free)} free, file system {kind or 'unknown'}"
    found = []
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = "give this user permission to write there, or choose another run folder with --workdir"
        return [Finding("trouble", f"{text}; cannot write: {os.strerror(error.errno or 0).lower()}", advice)]
    if free < _LITTLE_DISK:
        found.append(Finding("note", text, "free some space, or choose another run folder with --workdir"))
    if machine.is_wsl() and kind in _SLOW_WINDOWS:
        text = f"{text}: a Windows drive, ten to a hundred times slower than Linux's own file system"
        found.append(Finding("note", text, "keep the run folder and the data below ~, not below /mnt"))
    elif kind in _SLOW_NETWORK:
        found.append(
            Finding("note", text, "a network file system is slow for many small writes: choose a local --workdir")
        )
    return found or [Finding("ok", text)]
