"""Which files of this machine a step in a container sees. Paths in the container are the same as on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from floodrunner.contract.ports import is_hdf5, split_dataset
from floodrunner.runner import words
from floodrunner.runner.engines.base import InputRefused, Job
from floodrunner.runner.engines.docker import hidden, links
from floodrunner.runner.engines.docker.joining import joined
from floodrunner.runner.errors import UserError
from floodrunner.runner.fingerprint import hdf5_parts

MOST = 1000
"""The most mounts for what one input leads to. So many take an engine half a second."""


class View(NamedTuple):
    """What a step may read besides its own folder.

    Attributes:
      mounts: path inside the container -> path on this machine.
      remarks: a line for each input with which the step sees more than what the input's path says.
    """

    mounts: dict[Path, Path]
    remarks: list[str]


def readable(job: Job) -> View:
    """What a step may read: its inputs, what links in them lead to, and the other files that HDF5 files take data from.

    Links in the user's own inputs are followed. Links in the output of a step are not, because a stage could make a
    link to any file of its user; nor are the other files of an HDF5 file that a step made. Links to parts of the system
    are not followed either: in the container they lead to the image's own files.

    Raises:
      InputRefused: if the output of a step is a link out of the step's folder, or an input leads to what no step may
        see.
      UserError: if the path of an input is a part of the system, which a mount would hide in the image.
    """
    view = View({}, [])
    for port, text in job.inputs.items():
        name, dataset = split_dataset(text)
        path, where = Path(name), f"step {job.step}: input {port}"
        _refuse_system(path, where)  # before its files are listed
        found = {path: path}
        if job.folder.parent in path.parents:
            if _leads_out(path, job.folder.parent):
                raise InputRefused(
                    f"{where} {path}: the step that wrote it made a link that leads out of its folder, and such links "
                    "are not followed; remove the link, and correct the stage of that step"
                )
        else:
            try:
                more = _led_to(path, dataset)
            except InputRefused as error:
                raise InputRefused(f"{where}: {error}") from None
            found |= more.mounts
            view.remarks.extend(f"{where} {remark}" for remark in more.remarks)
        for inside, outside in found.items():
            if not {inside, *inside.parents} & {job.folder, *view.mounts}:
                view.mounts[inside] = outside
    return view


def writable(job: Job) -> Path:
    """The step's own folder. Raises UserError like `readable`."""
    _refuse_system(job.folder, f"step {job.step}: its folder")
    return job.folder


@cache
def _led_to(path: Path, dataset: str | None) -> View:
    """What an input of the user's leads to. It is looked at once in a run: there may be thousands of links.

    Raises:
      InputRefused: if no step may see something of it, or it leads to too many places.
    """
    _check_input(path)
    targets = list(links.targets(path))
    view = View({}, [])
    kept = [target for target in targets if not hidden.is_system(target.real)]
    for target in kept:
        _check(target.real, f"{target.link} leads to")
    kept = [target for target in kept if not hidden.holds_system(target.places[0].inside)]
    folders = {target.places[0].inside: target.real for target in kept if target.real.is_dir()}
    files = {}
    for target in kept:
        rest = (place for place in target.places if not any(part in folders for part in place.inside.parents))
        if not target.real.is_dir() and (first := next(rest, None)):
            files[first.inside] = target.real  # a mount follows the rest of the way
    if folders:
        view.remarks.append(f"holds links to folders; the step can read all of {_listed(folders)}")
    if len(folders) + len(files) <= MOST:
        view.mounts.update(folders | files)
    else:
        way = [place for target in kept for place in target.places if not hidden.holds_system(place.inside)]
        _join(path, f"holds links to {len(folders) + len(files)} places", dict(way), view)
    _add_parts(path, dataset, view)
    return view


def _add_parts(path: Path, dataset: str | None, view: View) -> None:
    """Adds the other files that an HDF5 file takes data from."""
    parts = hdf5_parts.parts(path, dataset) if is_hdf5(path.name) and path.is_file() else []
    beside = dict.fromkeys((os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path))))
    files: dict[Path, Path] = {}
    for part in parts:
        real = Path(os.path.realpath(part))
        if hidden.is_system(real) or hidden.is_system(part):
            raise InputRefused(
                f"{path} takes data from {part}, a file of the system, which a step does not get to see; copy the data"
            )
        _check(real, f"{path} takes data from")
        files[Path(os.path.abspath(part))] = real
        # HDF5 also looks beside the file that a link leads to. In the container there is no link.
        for folder in beside:
            files.setdefault(Path(os.path.abspath(path.parent / os.path.relpath(part, folder))), real)
    if far := [real for real in files.values() if not any(real.is_relative_to(folder) for folder in beside)]:
        view.remarks.append(f"takes data from files in other folders, which the step can read: {_listed(set(far))}")
    if len(files) <= MOST:
        view.mounts.update(files)
    else:
        _join(path, f"takes data from {len(parts)} files", files, view)


def _join(path: Path, what: str, places: dict[Path, Path], view: View) -> None:
    """Adds folders in the place of very many mounts, and says which.

    Git-annex and DataLad, for example, have a link for each file, and each file in a folder of its own.
    """
    few = joined(places, MOST, _may_be_mounted)
    if len(few) > MOST:
        raise InputRefused(
            f"{path} {what}, more than a container can be given, and their folders hold what no step gets to see; "
            "copy the files into one folder (with --engine local a step sees all that you see)"
        )
    view.remarks.append(f"{what}; the step can read all of {_listed(few.keys() - places.keys())}")
    view.mounts.update({inside: Path(os.path.realpath(outside)) for inside, outside in few.items()})


def _may_be_mounted(inside: Path, outside: Path) -> bool:
    return not hidden.holds_system(inside) and hidden.private(Path(os.path.realpath(outside))) is None


def _check(real: Path, what: str) -> None:
    if found := hidden.private(real):
        raise InputRefused(
            f"{what} {real}, {found.reason}, which a step does not get to see; copy the files that are meant to "
            "another folder (with --engine local a step sees all that you see)"
        )


def _check_input(path: Path) -> None:
    """Refuses what a link on the way to an input leads to. What the path itself names, such as `~/.cache`, is meant."""
    real = Path(os.path.realpath(path))
    found = hidden.private(real)
    if hidden.is_system(real):
        raise InputRefused(
            f"{path} leads to {real}, a part of the system, which a step does not get to see; copy the data"
        )
    named = real.parts[len(found.part.parts) - 1 :] if found and found.part else ()
    if not named or path.parts[-len(named) :] != named:
        _check(real, f"{path} leads to")


def _listed(paths: Iterable[Path]) -> str:
    return words.listed(sorted(str(path) for path in paths))


def _leads_out(path: Path, run: Path) -> bool:
    """Whether a path in a run folder leads out of its step's folder. That folder itself may be a link."""
    folder = run / path.relative_to(run).parts[0]
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _refuse_system(path: Path, what: str) -> None:
    if hidden.holds_system(path):
        raise UserError(
            f"{what} {path}: mounting it would hide a system folder of the container; move the data to a separate "
            "folder, or use --engine local"
        )
