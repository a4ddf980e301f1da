"""What of this machine no step in a container may see, whoever leads it there."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from functools import cache
from pathlib import Path
from typing import NamedTuple

_SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr"}
# the image's own folders, at its root: nothing may be mounted on or below them
_HOLDERS = tuple(
    Path("/", name) for name in ("", "dev/shm", "run", "tmp", "var", "var/lib")
)  # nothing may be mounted on these folders, but data of a user may be below them

_RUN, _DISKS = Path("/run"), Path("/run/media")
_HOLD_HOMES = (Path("/home"), Path("/Users"))
_FIRST_OF_A_PERSON, _NOBODY = 1000, 65534  # user ids; those below the first, except root, are of the system
_IN_A_HOME = (".ssh", ".gnupg", ".aws", ".bashrc", ".profile", ".zshrc", "NTUSER.DAT")
"""A folder that holds one of these is somebody's home."""
_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Private(NamedTuple):
    """Why a path is not to be seen.

    Attributes:
      reason: an addition to the path in a message: `a home folder`.
      part: the path itself, or the folder above it that is private. None if it is not even seen where a user names it.
    """

    reason: str
    part: Path | None


def is_system(path: Path) -> bool:
    """Whether a mount here would hide a part of the image."""
    parts = path.parts[1:]
    return not parts or (parts[0] in _SYSTEM and parts[:2] != ("dev", "shm"))


def holds_system(path: Path) -> bool:
    """Whether a mount on this folder, not below it, would hide a part of the image."""
    return is_system(path) or path in _HOLDERS


def private(real: Path) -> Private | None:
    """Why no step may see a file or folder; None if it may, or if there is none.

    Args:
      real: a path without links, as `os.path.realpath` gives it.
    """
    try:
        kind = stat.S_IFMT(os.stat(real).st_mode)
    except OSError:
        return None
    if kind in _KINDS:
        return Private(f"{_KINDS[kind]}, not a file or folder", None)
    if _RUN in (real, *real.parents) and _DISKS not in real.parents:
        return Private(f"which is part of {_RUN}, where programs keep sockets and keys", None)
    for part in (real, *real.parents):
        if (part.name.startswith(".") or part.name == "AppData") and _is_home(part.parent):
            return Private(f"which is part of {part.name} in a home folder, where keys and settings are kept", part)
    reason = _of_folder(real) if kind == stat.S_IFDIR else ""
    return Private(reason, real) if reason else None


@cache
def _of_folder(real: Path) -> str:
    """Why no step may see all of a folder; only the folder and what lies directly in it are looked at."""
    if real in _HOLDERS:
        return "which the whole system uses"
    if _is_home(real):
        return "a home folder"
    if any(folder.is_relative_to(real) for folder in (*_holders_of_homes(), *_homes())):
        return "which holds home folders"
    with contextlib.suppress(OSError), os.scandir(real) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if _is_home(Path(entry.path)):
                    return "which holds home folders"
            elif not entry.is_symlink() and not entry.is_file() and stat.S_ISSOCK(entry.stat().st_mode):
                return f"which holds the socket {entry.name}"
    return ""


@cache
def _is_home(folder: Path) -> bool:
    return folder in _homes() or any(os.path.lexists(folder / name) for name in _IN_A_HOME)


@cache
def _homes() -> frozenset[Path]:
    people = [each for each in pwd.getpwall() if each.pw_uid == 0 or _FIRST_OF_A_PERSON <= each.pw_uid != _NOBODY]
    found = {os.path.expanduser("~"), *(each.pw_dir for each in people)}
    with contextlib.suppress(KeyError):  # the user id has no name, as on some clusters
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    return frozenset(Path(os.path.realpath(home)) for home in found if home) - {Path("/")}


@cache
def _holders_of_homes() -> tuple[Path, ...]:
    of_windows = Path("/mnt").glob("?/Users")  # in WSL
    return tuple(Path(os.path.realpath(each)) for each in (*_HOLD_HOMES, *of_windows) if each.is_dir())
