"""Where the links in a folder lead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from floodrunner.contract.ports import is_harmless

_MOST_HOPS = 40  # the kernel's limit: it takes a longer chain of links for a loop


class Place(NamedTuple):
    """A file, folder or link that a link leads to.

    Attributes:
      inside: its path in the container.
      outside: its path on this machine, in a folder without links. It differs where the way leads through a folder
        that is a link, because the container does not have that second link.
    """

    inside: Path
    outside: Path


class Target(NamedTuple):
    """What a link leads to in the end.

    Attributes:
      link: the link.
      real: the file or folder, a path without links.
      places: the way there, as far as it is outside of the folder with the link: links to links have several places.
    """

    link: Path
    real: Path
    places: list[Place]


def targets(path: Path) -> Iterator[Target]:
    """What the links in a folder lead to that lead out of it, and to something.

    Hidden files and folders are no data, and are passed over; so are folders that this user may not read.
    """
    waiting = [path] if path.is_dir() else []
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # the stage that reads it says so
            continue
        for entry in entries:
            if is_harmless(entry.name):
                continue
            if entry.is_symlink():
                link = Path(entry.path)
                places = [place for place in _way(link) if not place.inside.is_relative_to(path)]
                if places and os.path.exists(link):
                    yield Target(link, Path(os.path.realpath(link)), places)
            elif entry.is_dir():
                waiting.append(Path(entry.path))


def _way(link: Path) -> Iterator[Place]:
    inside, outside = link, _in_its_folder(str(link))
    for _ in range(_MOST_HOPS):
        try:
            to = os.readlink(outside)
        except OSError:  # it is not a link, or this user may not read it
            return
        inside = Path(os.path.abspath(inside.parent / to))
        outside = _in_its_folder(os.path.join(outside.parent, to))
        yield Place(inside, outside)


def _in_its_folder(path: str) -> Path:
    """The path of a file, folder or link, in a folder without links."""
    folder, name = os.path.split(path)
    return Path(os.path.realpath(path) if name in ("", ".", "..") else os.path.join(os.path.realpath(folder), name))
