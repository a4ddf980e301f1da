"""Reads and writes the runner's own files. Files are written completely or not at all, and never through a link."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import IO, Any

from runner.errors import UserError

_UNFINISHED = re.compile(r"\..+\.json\.\d+")
"""Name of a file that `write_json` has not renamed yet."""


def write_json(path: Path, value: Any) -> None:
    """Writes to a file beside `path`, flushes it to the disk, and renames it. A reader never sees half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def is_unfinished(name: str) -> bool:
    """Whether a file of this name was left by a `write_json` that was killed."""
    return _UNFINISHED.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Removes files that a killed `write_json` left. Call this while holding the lock, so that nobody is writing."""
    for name in filter(is_unfinished, os.listdir(folder)):
        remove(folder / name)


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads a JSON object; None if the file is missing or damaged (which `write_json` cannot cause)."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Opens one of the runner's own files in a step's folder.

    The stage can write in this folder too, and could have put a link to one of the user's files in place of the file.

    Raises:
      UserError: if the file is a link.
    """
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}: is a link, not a file that Floodrunner made; remove the link and run again") from None


def remove(path: Path) -> None:
    """Removes a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
