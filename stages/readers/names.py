"""Lists the files in a folder of sections, in the order of the numbers in their names.

Also defines which suffixes of image files are accepted.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from floodrunner.contract.ports import is_harmless
from floodrunner.contract.stage import InputError
from floodrunner.stages.readers import other_formats
from floodrunner.stages.storage.names import doubtful_point, natural_keys
from floodrunner.stages.storage.words import no_permission, some

PNG, TIFF = (".png",), (".tif", ".tiff")

JPEG = (".jpg", ".jpeg")
"""Suffixes accepted for pictures and masks, but not for sections, because JPEG changes pixel values."""

SUFFIXES = PNG + TIFF
"""Suffixes of files that are accepted as sections."""


def section_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Lists the files in a folder of sections, in the order of the numbers in their names.

    Hidden files and files that file managers create are ignored.

    Returns:
      The files of the sections; and messages: what their order takes for granted, and which folders and files of text
      beside them are not read.

    Raises:
      InputError: like `listed`; also if there is no section, or a file is not a section, or two sections have the same
        number.
    """
    entries = sorted(listed(folder))
    folders = [entry.name for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    sections = [file for file in files if file.suffix.lower() in SUFFIXES]
    notes = [file.name for file in files if file.suffix.lower() in other_formats.TEXT and sections]
    others = [file for file in files if file not in set(sections) and file.name not in set(notes)]
    if others:
        raise InputError(other_formats.refusal(folder, others, len(files)))
    if not sections:
        raise InputError(_nothing(folder, [entry for entry in entries if entry.is_dir()]))
    keys = dict(zip(sections, natural_keys([file.stem for file in sections]), strict=True))
    sections.sort(key=lambda file: (keys[file], file.name))
    for one, other in itertools.pairwise(sections):
        if keys[one] == keys[other]:
            raise InputError(
                f"{folder}: {one.name} and {other.name} have the same place in the order of sections; "
                "rename or remove one of them"
            )
    point = doubtful_point([file.name for file in sections])
    order = [f"{folder}: {point}"] if point else []
    return sections, [*order, *_left_out(folder, notes, "file", "of text"), *_left_out(folder, folders, "folder")]


def listed(folder: Path) -> list[Path]:
    """Lists the files and folders in a folder, except hidden files and files that file managers create.

    Raises:
      InputError: if this user may not read the folder, it is a Zarr or N5 array, or a name is not UTF-8 (HDF5 and JSON
        store only UTF-8).
    """
    try:
        entries = list(folder.iterdir())
    except PermissionError:
        raise no_permission(folder) from None
    array = other_formats.array_in(folder, {entry.name for entry in entries})
    if array:
        raise InputError(array)
    entries = [entry for entry in entries if not is_harmless(entry.name)]
    for entry in entries:
        name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
        if name != entry.name:
            raise InputError(f"{folder}: the name {name} is not UTF-8; rename it")
    return entries


def _nothing(folder: Path, folders: list[Path]) -> str:
    """The message for a folder without sections."""
    if not folders:
        return f"{folder}: is empty; put the sections there, each as one PNG or TIFF file"
    said = f"{folder}: holds only folders ({some(each.name for each in folders)}), no PNG or TIFF sections; name "
    inside = [each for each in folders if any(file.suffix.lower() in SUFFIXES for file in listed(each))]
    if len(inside) > 1:
        return f"{said}one of those that hold sections, such as {inside[0]}: each is a stack"
    return f"{said}{inside[0] if inside else 'the folder that holds the sections'}"


def _left_out(folder: Path, names: list[str], one: str, more: str = "") -> list[str]:
    if not names:
        return []
    what, are = (one, "is") if len(names) == 1 else (f"{one}s", "are")
    what = f"{what} {more}".strip()
    return [f"{folder}: {len(names)} {what} beside the sections {are} not read: {some(names)}"]
