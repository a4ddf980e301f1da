"""Which files of this machine a step in a container sees. Paths in the container are the same as on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from contract.ports import is_hdf5, split_dataset
from runner import words
from runner.engines.base import Job
from runner.engines.docker import links
from runner.errors import UserError
from runner.fingerprint import hdf5_parts

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
    """What a step may read: its inputs, what links in them lead to, and the other files that HDF5 files take data from.

    Links in the user's own inputs are followed. Links in the output of a step are not, because a stage could make a
    link to any file of its user; nor are the other files of an HDF5 file that a step made. Links to parts of the system
    are not followed either: in the container they lead to the image's own files.

    Raises:
      UserError: if a mount would hide a part of the image, the output of a step is a link out of the step's folder, or
        a link leads to what no step may see.
    """
    view = View({}, [])
    for port, text in job.inputs.items():
        name, dataset = split_dataset(text)
        path = Path(name)
        _refuse(path, f"step {job.step}: input {port}")  # refuse the path before its files are listed
        brought = job.folder.parent not in path.parents
        if not brought and _leads_out(path, job.folder.parent):
            raise UserError(
                f"step {job.step}: input {port} {path}: the step that wrote it made a link that leads out of its "
                "folder, and such links are not followed; remove the link, and correct the stage of that step"
            )
        found = {path: path}
        if brought:
            where = f"step {job.step}: input {port}"
            found |= _behind_links(where, path, view.remarks) | _hdf5_parts(where, path, dataset, view.remarks)
        for inside, outside in found.items():
            _refuse(inside, f"step {job.step}: a link in input {port} leads to")
            if not any(inside.is_relative_to(folder) for folder in (*view.mounts, job.folder)):
                view.mounts[inside] = outside
    return view


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError like `readable`."""
    _refuse(job.folder, f"step {job.step}: its folder")
    return job.folder


def _behind_links(where: str, path: Path, remarks: list[str]) -> dict[Path, Path]:
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
            _refuse_private(hop.outside, f"{where}: {hop.link} leads to")
            if number == 0:  # a mount follows the other hops itself
                (folders if is_folder else files)[hop.inside] = hop.outside
            if not is_folder:
                parents.setdefault(hop.inside.parent, hop.outside.parent)
    if folders:
        remarks.append(f"{where} holds links to folders; the step can read all of {_listed(folders)}")
    return folders | _few(where, f"holds links to {len(files)} files", files, parents, remarks)


def _hdf5_parts(where: str, path: Path, dataset: str | None, remarks: list[str]) -> dict[Path, Path]:
    """The other files that an HDF5 file takes data from, in the form and with the errors of `_behind_links`."""
    found = hdf5_parts.parts(path, dataset) if is_hdf5(path.name) and path.is_file() else []
    files: dict[Path, Path] = {}
    for part in found:
        takes = f"{where}: {path} takes data from"
        if _is_system(part):
            raise UserError(f"{takes} {part}, a file of the system, which a step does not get to see; copy the data")
        _refuse_private(Path(os.path.realpath(part)), takes)
        files[Path(os.path.abspath(part))] = part
        # HDF5 also looks beside the file that a link leads to. In the container there is no link.
        for real in dict.fromkeys((os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path)))):
            files.setdefault(Path(os.path.abspath(path.parent / os.path.relpath(part, real))), part)
    parents = {inside.parent: outside.parent for inside, outside in files.items()}
    return _few(where, f"takes data from {len(found)} files", files, parents, remarks)


def _few(
    where: str, what: str, files: dict[Path, Path], parents: dict[Path, Path], remarks: list[str]
) -> dict[Path, Path]:
    """The files if they are few; else the folders that hold them, or one folder above all, which a remark names.

    Git-annex and DataLad, for example, have a link for each file, and each file in a folder of its own.

    Raises:
      UserError: if no step may see one of these folders, or there is no folder above all that it may see.
    """
    if len(files) <= links.MOST_FILES:
        return files
    for folder in parents.values():
        _refuse_private(folder, f"{where} {what}, some of them in")
    if len(parents) > links.MOST_FOLDERS:
        parents = _above(f"{where} {what} in {len(parents)} folders", parents)
    remarks.append(f"{where} {what}; the step can read all of {_listed(parents)}")
    return parents


def _above(what: str, folders: dict[Path, Path]) -> dict[Path, Path]:
    """The folder above several folders, by its path in the container and on this machine."""
    inside, outside = (Path(os.path.commonpath(each)) for each in (folders.keys(), folders.values()))
    below = (Path(os.path.relpath(path, inside)) == Path(os.path.relpath(folders[path], outside)) for path in folders)
    if links.private(outside) or _is_system(inside) or inside in _HOLDERS or not all(below):
        raise UserError(
            f"{what}, more than a container can be given; copy the files into one folder, or use --engine local"
        )
    return {inside: outside}


def _listed(folders: dict[Path, Path]) -> str:
    return words.listed([str(folder) for folder in folders])


def _refuse_private(path: Path, what: str) -> None:
    if reason := links.private(path):
        raise UserError(
            f"{what} {path}, {reason}, which a step does not get to see; copy the files that are meant to another "
            "folder"
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
