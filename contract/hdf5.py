"""The other files that an HDF5 file takes data from: which file a name in it stands for.

HDF5 reads zeros where the source of a virtual dataset is missing. So a stage checks that all sources are there; the
runner counts them as input. Both must find the same files.
"""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"%b")


def source_files(parent: str | Path, name: str) -> list[Path]:
    """Finds the files that the name of a source of a virtual dataset stands for.

    The rules are those of the HDF5 library, but the current folder does not count: `.` is the file itself; a relative
    path starts at the folder of the file; so does the last part of an absolute path where there is nothing.

    Args:
      parent: the file that names the other.
      name: the path as it is in the file. `%b` stands for the numbers 0, 1, 2 and so on of a series of files, and `%%`
        for one `%`.

    Returns:
      The files, in order; none if there is no such file, or one in the middle of a series is missing.
    """
    if name == ".":
        return [Path(parent)]
    for candidate in _candidates(Path(parent), name):
        found = _series(candidate) if _BLOCK.search(candidate.name) else [candidate.with_name(_plain(candidate.name))]
        if found and all(_is_file(file) for file in found):
            return found
    return []


def linked_files(parent: str | Path, name: str) -> list[Path]:
    """Finds the file that an external link, or external storage, names: like `source_files`, without `.` and `%`.

    Returns:
      The file; none if there is no such file.
    """
    return [file for file in _candidates(Path(parent), name) if _is_file(file)][:1]


def _candidates(parent: Path, name: str) -> list[Path]:
    path = Path(name)
    if "\0" in name or not path.name:
        return []
    folders = (parent.parent, parent.resolve().parent)
    return [path, *(folder / path.name for folder in folders)] if path.is_absolute() else [f / path for f in folders]


def _series(pattern: Path) -> list[Path]:
    numbered = re.compile(r"(\d+)".join(re.escape(_plain(part)) for part in _BLOCK.split(pattern.name)))
    try:
        found = {int(match[1]) for file in pattern.parent.iterdir() if (match := numbered.fullmatch(file.name))}
    except OSError:
        return []
    if found != set(range(len(found))):
        return []
    return [pattern.with_name(_plain(_BLOCK.sub(str(number), pattern.name))) for number in range(len(found))]


def _plain(name: str) -> str:
    return name.replace("%%", "%")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
