"""Which files of this machine a step in a container sees. Paths in the container are the same as on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from contract.ports import split_dataset
from runner.engines.base import Job
from runner.errors import UserError

_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")
_TREES = tuple(Path("/", name) for name in _SYSTEM)  # the image's own folders: nothing may be mounted on or below them
_HOLDERS = tuple(
    Path("/", name) for name in ("", "dev/shm", "run", "tmp", "var", "var/lib")
)  # nothing may be mounted on these folders, but data of a user may be below them
_MOST_HOPS = 40  # the kernel's limit: it takes a longer chain of links for a loop


def readable(job: Job) -> dict[Path, Path]:
    """What a step may read besides its own folder: its inputs, and the folders to which links in its inputs lead.

    Links in the user's own inputs are followed. Links in the output of a step are not, because a stage could make a
    link to any file of its user. Links to parts of the system are not followed either: in the container they lead to
    the image's own files.

    Returns:
      Path inside the container -> path on this machine. They differ for a relative link in a folder that is itself
      reached through a link, because the container does not have that second link.

    Raises:
      UserError: if a mount would hide a part of the image, or the output of a step is a link out of the step's folder.
    """
    found: dict[Path, Path] = {}
    for port, text in job.inputs.items():
        path = Path(split_dataset(text)[0])
        _refuse(path, f"step {job.step}: input {port}")  # refuse the path before its files are listed
        brought = job.folder.parent not in path.parents
        if not brought and _leads_out(path, job.folder.parent):
            raise UserError(
                f"step {job.step}: input {port} {path}: the step that wrote it made a link that leads out of its "
                "folder, and such links are not followed; remove the link, and correct the stage of that step"
            )
        for inside, outside in chain([(path, path)], _behind_links(path) if brought else ()):
            if _is_system(inside):
                continue
            _refuse(inside, f"step {job.step}: a link in input {port} leads to")
            if not any(inside.is_relative_to(folder) for folder in (*found, job.folder)):
                found[inside] = outside
    return found


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError like `readable`."""
    _refuse(job.folder, f"step {job.step}: its folder")
    return job.folder


def _behind_links(path: Path) -> Iterator[tuple[Path, Path]]:
    """The folders outside `path` to which links in it lead, for each hop of each link.

    Yields:
      The path in the container, and the path on this machine.
    """
    if not path.is_dir():
        return
    for parent, folders, files in os.walk(path):
        for name in (*folders, *files):
            inside = outside = Path(parent, name)
            for _ in range(_MOST_HOPS):
                try:
                    to = os.readlink(outside)
                except OSError:  # it is not a link, or this user may not read it
                    break
                inside = Path(os.path.abspath(inside.parent / to))
                outside = Path(os.path.abspath(Path(os.path.realpath(outside.parent), to)))
                if os.path.exists(outside) and not inside.is_relative_to(path):
                    yield (inside, outside) if os.path.isdir(outside) else (inside.parent, outside.parent)


def _is_system(path: Path) -> bool:
    if path.is_relative_to("/dev/shm"):
        return False
    return path == Path("/") or any(path.is_relative_to(tree) for tree in _TREES)


def _leads_out(path: Path, run: Path) -> bool:
    """Whether a path in a run folder leads out of its step's folder. That folder itself may be a link."""
    folder = run / path.relative_to(run).parts[0]
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _refuse(path: Path, what: str) -> None:
    if _is_system(path) or path in _HOLDERS:
        raise UserError(
            f"{what} {path}: mounting it would hide a system folder of the container; move the data to a separate "
            "folder, or use --engine local"
        )
