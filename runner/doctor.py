"""Looks at this machine and says what would be in the way of a run, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import psutil

from runner import machine, words
from runner.engines import local

_LITTLE_DISK, _LITTLE_MEMORY = 5e9, 4e9
_SLOW_FILE_SYSTEMS = {"9p", "drvfs", "v9fs", "fuse.sshfs", "cifs", "nfs", "nfs4"}
_IMPORT_TIMEOUT_S = 120


class Finding(NamedTuple):
    """Attributes: level: `ok`, `note` (works, but could be better) or `trouble`; advice: what to do, "" if ok."""

    level: str
    text: str
    advice: str = ""


def examine(workdir: Path) -> list[Finding]:
    """All findings, in the order in which a person would look."""
    return [
        _python(sys.version_info[:2]),
        *_packages(),
        _tensorflow(),
        _memory(psutil.virtual_memory().total),
        *_folder(workdir),
        _gpu(),
    ]


def _python(version: tuple[int, ...]) -> Finding:
    text = f"Python {'.'.join(map(str, version))} ({sys.executable})"
    if (3, 11) <= version < (3, 14):
        return Finding("ok", text)
    return Finding("trouble", text, "use Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 test")


def _packages() -> list[Finding]:
    """The packages that stages use; read from their metadata."""
    names, there, missing = local.distributions(), [], []
    for name in names:
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if any(each.startswith("tensorflow") for each in there):  # two packages for different machines; one is enough
        missing = [name for name in missing if not name.startswith("tensorflow")]
    found = [Finding("ok", f"packages: {', '.join(there)}")] if there else []
    if missing:
        found.append(Finding("trouble", f"not installed: {', '.join(missing)}", "run 'make test' or 'make demo' once"))
    return found


def _tensorflow() -> Finding:
    """Imported in a process of its own: it takes seconds, and may die of a processor that it was not built for."""
    code = "import keras; print(keras.backend.backend(), keras.__version__)"
    try:
        with tempfile.TemporaryDirectory() as home:
            answer = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, **local.keras_settings(Path(home))},
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
            f"loading Keras and its backend dies of signal {-answer.returncode}",
            "this processor may lack AVX, which TensorFlow needs: use a newer machine",
        )
    last = (answer.stderr.strip().splitlines() or ["no output"])[-1]
    return Finding("trouble", f"Keras does not load: {last}", "install again: remove .venv, then run 'make demo'")


def _memory(total: float) -> Finding:
    text = f"{machine.processors()} processors, {words.size(total)} of memory"
    if total < _LITTLE_MEMORY:
        return Finding("note", text, "work on a small box_xyz, or give WSL more memory in .wslconfig")
    return Finding("ok", text)


def _folder(workdir: Path) -> list[Finding]:
    if workdir.exists() and not workdir.is_dir():
        return [Finding("trouble", f"run folder {words.here(workdir)}: is a file", "choose a folder with --workdir")]
    there = next(folder for folder in [workdir.absolute(), *workdir.absolute().parents] if folder.is_dir())
    kind, free = machine.file_system(there), shutil.disk_usage(there).free
    text = f"run folder {words.here(workdir)}: {words.size(free)} free, file system {kind or 'unknown'}"
    found = []
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        advice = "give this user the right to write there, or choose another folder with --workdir"
        return [Finding("trouble", f"{text}; cannot write: {os.strerror(error.errno or 0).lower()}", advice)]
    if free < _LITTLE_DISK:
        found.append(Finding("note", text, "free some space, or choose another folder with --workdir"))
    if kind in _SLOW_FILE_SYSTEMS:
        advice = "under WSL keep the run folder in Linux's own file system (~/...), not below /mnt"
        if not machine.is_wsl():
            advice = "a network file system is slow for many small writes: choose a local --workdir"
        found.append(Finding("note", text, advice))
    return found or [Finding("ok", text)]


def _gpu() -> Finding:
    rows = machine.nvidia_smi("name,memory.total,driver_version")
    if rows:
        return Finding("ok", f"GPU: {'; '.join(rows)}")
    names = machine.gpus()
    if names:
        advice = "nvidia-smi gives no answer: reinstall the NVIDIA driver, or restart the machine"
        return Finding("note", f"GPU: {', '.join(names)}", advice)
    advice = "everything runs on the CPU; training a large network takes days there"
    if machine.is_wsl():
        advice += "; if there is an NVIDIA card, install its driver in Windows (not in Linux)"
    return Finding("note", "no NVIDIA GPU found", advice)
