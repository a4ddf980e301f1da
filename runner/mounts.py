"""What of this machine's files a step in a container sees: at the same paths, so that every message names real ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runner.engines import Job
from runner.errors import UserError
from stages._contract import split_dataset

_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr", "usr/local", "var")


def readable(job: Job) -> list[Path]:
    """What a step may read besides its own folder: its inputs, and what links in them lead to.

    Raises:
      UserError: if a container cannot have it there, as it would hide a part of the image.
    """
    found: dict[Path, None] = {}
    for port, text in job.inputs.items():
        path = Path(split_dataset(text)[0])
        for wanted in (path, *_behind_links(path)):
            _refuse_system(wanted, f"step {job.step}: input {port}")
            if not any(wanted.is_relative_to(folder) for folder in (*found, job.folder)):
                found[wanted] = None
    return list(found)


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError as `readable`."""
    _refuse_system(job.folder, f"step {job.step}: its folder")
    return job.folder


def _behind_links(path: Path) -> Iterator[Path]:
    """The files that links in a folder lead to, each hop of each link; nothing for what lies in the folder itself."""
    if not path.is_dir():
        return
    for parent, folders, files in os.walk(path):
        for name in (*folders, *files):
            hop = Path(parent, name)
            while hop.is_symlink():
                hop = Path(os.path.abspath(hop.parent / os.readlink(hop)))
                if hop.exists() and not hop.is_relative_to(path):
                    yield hop if hop.is_dir() else hop.parent


def _refuse_system(path: Path, what: str) -> None:
    if str(path) in ("/", *(f"/{name}" for name in _SYSTEM)):
        raise UserError(
            f"{what} {path}: would hide the system's own folder in the container; move the data to a folder of its "
            "own, or use --engine local"
        )
