"""Lists the files in a folder of sections, in the order of the numbers in their names.

Also defines which suffixes of image files are accepted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from contract.ports import is_harmless
from contract.stage import InputError
from stages.storage.names import natural_key
from stages.storage.words import no_permission, some

PNG, TIFF = (".png",), (".tif", ".tiff")

JPEG = (".jpg", ".jpeg")
"""Suffixes accepted for pictures and masks, but not for sections, because JPEG changes pixel values."""

SUFFIXES = PNG + TIFF
"""Suffixes of files that are accepted as sections."""


def section_files(folder: Path) -> list[Path]:
    """Lists the files in a folder of sections, in the order of the numbers in their names.

    Folders, hidden files and files that file managers create are ignored.

    Raises:
      InputError: like `listed`; also if there is no section, or a file is not a section, or two sections have the same
        number.
    """
    entries = sorted(listed(folder))
    files = [entry for entry in entries if not entry.is_dir()]
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            raise InputError(f"{file.name} in {folder} is not a PNG or TIFF section; move it out of the folder")
    if not files:
        if entries:
            raise InputError(
                f"{folder}: holds only folders ({some(entry.name for entry in entries)}), no PNG or TIFF sections; "
                "name the folder that holds the sections"
            )
        raise InputError(f"{folder}: is empty; put the sections there, each as one PNG or TIFF file")
    files.sort(key=lambda file: (natural_key(file.stem), file.name))
    for one, other in itertools.pairwise(files):
        if natural_key(one.stem) == natural_key(other.stem):
            raise InputError(
                f"{folder}: {one.name} and {other.name} have the same place in the order of sections; "
                "rename or remove one of them"
            )
    return files


def listed(folder: Path) -> list[Path]:
    """Lists the files and folders in a folder, except hidden files and files that file managers create.

    Raises:
      InputError: if this user may not read the folder, or a name is not UTF-8 (HDF5 and JSON store only UTF-8).
    """
    try:
        entries = [entry for entry in folder.iterdir() if not is_harmless(entry.name)]
    except PermissionError:
        raise no_permission(folder) from None
    for entry in entries:
        name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
        if name != entry.name:
            raise InputError(f"{folder}: the name {name} is not UTF-8; rename it")
    return entries


def section_numbers(names: Sequence[str]) -> list[int] | None:
    """Returns the number of each section, if the names are the same except for one number; otherwise None."""
    keys = [natural_key(Path(name).stem) for name in names]
    if len(keys) < 2 or any(len(key) != len(keys[0]) for key in keys):
        return None
    columns = [column for column in zip(*keys, strict=True) if len(set(column)) > 1]
    if len(columns) != 1:
        return None
    numbers = [value for _, value in columns[0] if isinstance(value, int)]
    return numbers if len(numbers) == len(keys) else None
