"""Files of ours, written whole or not at all, and opened only where they are no links."""

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

BESIDE = re.compile(r"\..+\.json\.\d+")  # what `write_json` writes first


def write_json(path: Path, value: Any) -> None:
    """Writes beside its place, flushes to the disk, and renames: a reader never sees half of it."""
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


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Opens a file of ours in a step's folder, where a step could put a link to any file of the user's instead.

    Raises:
      UserError: if it is a link.
    """
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}: is a link, not a file of ours; remove it and run again") from None


def sweep(folder: Path) -> None:
    """Removes what a killed `write_json` left. Call it with the lock held: nobody else may be writing here."""
    for name in filter(BESIDE.fullmatch, os.listdir(folder)):
        remove(folder / name)


def read_json(path: Path) -> dict[str, Any] | None:
    """A record; None if it is not there, or damaged (which `write_json` cannot cause)."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
