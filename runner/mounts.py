"""What of this machine's files a step in a container sees: at the same paths, so that every message names real ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from runner.engines import Job
from runner.errors import UserError
from stages._contract import split_dataset

_SYSTEM = (
    *("", "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr", "var"),
    *("usr/bin", "usr/lib", "usr/lib64", "usr/local", "usr/local/lib", "usr/sbin", "usr/share", "dev/shm", "var/lib"),
)
_PROGRAM = Path("/usr/local/lib/floodrunner")  # where an image has the stages and all that they need
_MOST_HOPS = 40  # as the kernel: more is a circle


def readable(job: Job) -> dict[Path, Path]:
    """What a step may read besides its own folder: its inputs, and what links in them lead to.

    Returns:
      Path inside the container -> path on this machine. They differ where a relative link lies in a folder that is
      itself reached through a link, as the container has no such link on the way.

    Raises:
      UserError: if a container cannot have it there, as it would hide a part of the image.
    """
    found: dict[Path, Path] = {}
    for port, text in job.inputs.items():
        path = Path(split_dataset(text)[0])
        for inside, outside in chain([(path, path)], _behind_links(path)):  # refused before it is walked through
            _refuse_system(inside, f"step {job.step}: input {port}")
            if not any(inside.is_relative_to(folder) for folder in (*found, job.folder)):
                found[inside] = outside
    return found


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError as `readable`."""
    _refuse_system(job.folder, f"step {job.step}: its folder")
    return job.folder


def _behind_links(path: Path) -> Iterator[tuple[Path, Path]]:
    """The folders that links in a folder lead to, each hop of each link; nothing for what lies in the folder itself."""
    if not path.is_dir():
        return
    for parent, folders, files in os.walk(path):
        for name in (*folders, *files):
            inside = outside = Path(parent, name)
            for _ in range(_MOST_HOPS):
                try:
                    to = os.readlink(outside)
                except OSError:  # no link, or none of this user's business
                    break
                inside = Path(os.path.abspath(inside.parent / to))
                outside = Path(os.path.abspath(Path(os.path.realpath(outside.parent), to)))
                if outside.exists() and not inside.is_relative_to(path):
                    yield (inside, outside) if outside.is_dir() else (inside.parent, outside.parent)


def _refuse_system(path: Path, what: str) -> None:
    if str(path) in {f"/{name}" for name in _SYSTEM} or path.is_relative_to(_PROGRAM):
        raise UserError(
            f"{what} {path}: would hide the system's own folder in the container; move the data to a folder of its "
            "own, or use --engine local"
        )
