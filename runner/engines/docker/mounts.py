"""Which files of this machine a step in a container sees. Paths in the container are the same as on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from contract.ports import split_dataset
from runner.engines.base import Job
from runner.engines.docker import links
from runner.errors import UserError

_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")
_TREES = tuple(Path("/", name) for name in _SYSTEM)  # the image's own folders: nothing may be mounted on or below them
_HOLDERS = tuple(
    Path("/", name) for name in ("", "dev/shm", "run", "tmp", "var", "var/lib")
)  # nothing may be mounted on these folders, but data of a user may be below them


class View(NamedTuple):
    """What a step may read besides its own folder.

    Attributes:
      mounts: path inside the container -> path on this machine.
      remarks: a line for each folder that the step sees because links lead there.
    """

    mounts: dict[Path, Path]
    remarks: list[str]


def readable(job: Job) -> View:
    """What a step may read: its inputs, and what links in its inputs lead to.

    Links in the user's own inputs are followed. Links in the output of a step are not, because a stage could make a
    link to any file of its user. Links to parts of the system are not followed either: in the container they lead to
    the image's own files.

    Raises:
      UserError: if a mount would hide a part of the image, the output of a step is a link out of the step's folder, or
        a link leads to what no step may see.
    """
    view = View({}, [])
    for port, text in job.inputs.items():
        path = Path(split_dataset(text)[0])
        _refuse(path, f"step {job.step}: input {port}")  # refuse the path before its files are listed
        brought = job.folder.parent not in path.parents
        if not brought and _leads_out(path, job.folder.parent):
            raise UserError(
                f"step {job.step}: input {port} {path}: the step that wrote it made a link that leads out of its "
                "folder, and such links are not followed; remove the link, and correct the stage of that step"
            )
        found = {path: path}
        if brought:
            found |= _behind_links(job, port, path, view.remarks)
        for inside, outside in found.items():
            _refuse(inside, f"step {job.step}: a link in input {port} leads to")
            if not any(inside.is_relative_to(folder) for folder in (*view.mounts, job.folder)):
                view.mounts[inside] = outside
    return view


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError like `readable`."""
    _refuse(job.folder, f"step {job.step}: its folder")
    return job.folder


def _behind_links(job: Job, port: str, path: Path, remarks: list[str]) -> dict[Path, Path]:
    """What links in an input lead to: single files where they are few, else their folders, and whole folders.

    Returns:
      Path inside the container -> path on this machine.

    Raises:
      UserError: if no step may see what a link leads to, or links lead to very many folders.
    """
    files: dict[Path, Path] = {}
    folders: dict[Path, Path] = {}
    parents: dict[Path, Path] = {}
    for hops in links.targets(path):
        for number, hop in enumerate(hops):
            if _is_system(hop.inside):
                break
            is_folder = hop.outside.is_dir()
            if reason := links.private(hop.outside):
                raise UserError(_not_shown(job, port, hop, reason))
            if number == 0:  # a mount follows the other hops itself
                (folders if is_folder else files)[hop.inside] = hop.outside
            if not is_folder:
                parents.setdefault(hop.inside.parent, hop.outside.parent)
    many = len(files) > links.MOST_FILES
    if many:
        for inside, outside in parents.items():
            if not _is_system(inside) and (reason := links.private(outside)):
                raise UserError(_not_shown(job, port, links.Target(path, inside, outside), reason))
        folders |= parents
    if len(folders) > links.MOST_FOLDERS:
        raise UserError(
            f"step {job.step}: links in input {port} lead to {len(folders)} folders, more than a container can be "
            "given; copy the files into the input folder, or use --engine local"
        )
    if folders:
        what = f"links to {len(files)} files" if many else "links to folders"
        where = ", ".join(map(str, folders))
        remarks.append(f"{job.step}: input {port} holds {what}; the step can read all of {where}")
    return folders if many else {**folders, **files}


def _not_shown(job: Job, port: str, hop: links.Target, reason: str) -> str:
    return (
        f"step {job.step}: {hop.link} in input {port} leads to {hop.outside}, {reason}, which a step does not get to "
        "see; copy the files that are meant into the input folder"
    )


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
