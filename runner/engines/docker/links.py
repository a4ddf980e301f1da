"""Where links in an input of the user's lead, and what of that a step may see."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from contract.ports import is_harmless

MOST_FILES = 100
"""If links in an input lead to more files than this, their folders are mounted: many mounts take an engine long."""
MOST_FOLDERS = 100

_MOST_HOPS = 40  # the kernel's limit: it takes a longer chain of links for a loop
_PRIVATE = (".ssh", ".gnupg", ".aws", ".azure", ".config", ".docker", ".kube", ".mozilla", ".netrc", ".password-store")
"""Names of folders and files that hold keys, passwords and settings."""
_IN_A_HOME = (".ssh", ".gnupg", ".aws", ".bashrc", ".profile", ".zshrc")
"""A folder that holds one of these is somebody's home."""


class Target(NamedTuple):
    """Where a link leads.

    Attributes:
      link: the link in the input.
      inside: the path in the container.
      outside: the path on this machine. It differs for a relative link in a folder that is itself reached through a
        link, because the container does not have that second link.
    """

    link: Path
    inside: Path
    outside: Path


def targets(path: Path) -> Iterator[list[Target]]:
    """For each link in a folder that leads to something, the hops of its way, as far as they are outside of `path`.

    Links to links have several hops. Hidden files and folders are no data, and are passed over.
    """
    waiting = [path] if path.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if not is_harmless(entry.name) and os.path.exists(entry.path):
                        yield [hop for hop in _hops(Path(entry.path)) if not hop.inside.is_relative_to(path)]
                elif entry.is_dir() and not is_harmless(entry.name):
                    waiting.append(Path(entry.path))


def _hops(link: Path) -> Iterator[Target]:
    inside = outside = link
    for _ in range(_MOST_HOPS):
        try:
            to = os.readlink(outside)
        except OSError:  # it is not a link, or this user may not read it
            return
        inside = Path(os.path.abspath(inside.parent / to))
        outside = Path(os.path.abspath(Path(os.path.realpath(outside.parent), to)))
        yield Target(link, inside, outside)


def private(path: Path) -> str:
    """Why no step may see a file or folder that a link leads to, as an addition to its path; "" if it may."""
    real = _real(path.parent) / path.name
    if found := next((part for part in (*path.parts, *real.parts) if part in _PRIVATE), ""):
        return f"which is part of {found}, where keys and settings are kept"
    if not path.is_dir():
        return ""
    real, homes = Path(os.path.realpath(path)), _homes()
    if real in homes or any(os.path.lexists(real / name) for name in _IN_A_HOME):
        return "a home folder"
    return "which holds home folders" if any(real in home.parents for home in homes) else ""


@lru_cache
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def _homes() -> set[Path]:
    found = {Path("/root"), Path(os.path.expanduser("~"))}
    with contextlib.suppress(KeyError):  # the user id has no name, as on some clusters
        found.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {home for home in found if home != Path("/")}
