"""Reads and writes the runner's own files. Files are written completely or not at all, and never through a link.

A stage can write in its step's folder too. So no link there is followed, and no pipe is waited for.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import IO, Any

from floodrunner.runner.errors import UserError

_UNFINISHED = re.compile(r"\..+\.json\.\d+")
"""Name of a file that `write_json` has not renamed yet."""

MOST_BYTES = 1 << 30
"""Size up to which records are read; the record of a million published files takes about 200 MB."""
UNREADABLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, UserError)
"""Errors of `read_own` that say no more about a record than that there is none: a stage can leave anything there."""
_KINDS = ((stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))


def write_json(path: Path, value: Any) -> None:
    """Writes to a file beside `path`, flushes it to the disk, and renames it. A reader never sees half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _open_new(beside) as file:
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


def _open_new(path: Path) -> IO[str]:
    """Makes a file in place of what a killed runner, or a stage that guesses the name, has put there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "w", encoding="utf-8")


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
        return json_object(read_own(path))
    except UNREADABLE:
        return None


def json_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object that bytes hold; None if they hold anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_own(path: Path) -> bytes:
    """Reads one of the runner's own files.

    Raises:
      UserError: if it is anything but a plain file, or has more than `MOST_BYTES`.
    """
    with open_own(path, "rb") as file:
        # Python asks for as much memory as it may read, so it is told the size.
        size = os.fstat(file.fileno()).st_size
        data = file.read(min(size, MOST_BYTES) + 1)
    if size > MOST_BYTES or len(data) > MOST_BYTES:
        raise UserError(f"{path}: is too large for a file that Floodrunner made; remove the file and run again")
    return data


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Opens one of the runner's own files in a run folder, and never waits.

    The stage can write in its step's folder too. It could have put a link to one of the user's files in place of the
    file, or a pipe, which whoever opens it waits for.

    Raises:
      UserError: if there is anything but a plain file.
    """

    def opener(name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            raise _not_ours(path) from None
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        raise _not_ours(path)

    return open(path, mode, opener=opener)


def kind_of(mode: int) -> str:
    """What a file is, by its mode from `os.lstat`: `link`, `named pipe`, ...; "" for a plain file or a folder."""
    if stat.S_ISLNK(mode):
        return "link"
    return next((name for test, name in _KINDS if test(mode)), "")


def _not_ours(path: Path) -> UserError:
    try:
        kind = kind_of(os.lstat(path).st_mode)
    except OSError:
        kind = ""
    kind = kind or "special file"
    return UserError(f"{path}: is a {kind}, not a file that Floodrunner made; remove the {kind} and run again")


def remove(path: Path) -> None:
    """Removes a file or a folder, if it exists, whatever a stage has left in it."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        # Folders in it may be locked against writing, or nested more deeply than Python can follow.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(path)], capture_output=True, check=False)
        if os.path.lexists(path):
            raise
