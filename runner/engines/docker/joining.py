"""Makes few mounts of many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise, takewhile
from pathlib import Path

_LAST = chr(0x10FFFF)


def joined(mounts: dict[Path, Path], most: int, may: Callable[[Path, Path], bool]) -> dict[Path, Path]:
    """Puts a folder in the place of the mounts in it, until there are at most `most`, or nothing can be joined.

    Folders with no branches below come first, the one with the most mounts before the others, so that the folders
    that are joined stay small.

    Args:
      mounts: path in the container -> path on this machine.
      may: whether a folder may be mounted, by its path in the container and on this machine.

    Returns:
      Paths as in `mounts`. Each path of `mounts` is there, or below one that leads to the same.
    """
    outside = {inside.parts: path for inside, path in mounts.items()}
    names, refused = sorted(outside), set[tuple[str, ...]]()
    while len(names) > most:
        branches = sorted({_common(*pair) for pair in pairwise(names)} - refused)
        lowest = [each for each, after in pairwise([*branches, ()]) if after[: len(each)] != each]
        for folder in sorted(lowest, key=lambda each: len(_below(names, each)), reverse=True):
            below = _below(names, folder)
            real = _above(folder, [(name, outside[name]) for name in names[below.start : below.stop]])
            if real is None or not may(Path(*folder), real):
                refused.add(folder)
                continue
            names[below.start : below.stop] = [folder]
            outside[folder] = real
            if len(names) <= most:
                break
        if not lowest:
            break
    return {Path(*name): outside[name] for name in names}


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each, _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def _below(names: list[tuple[str, ...]], folder: tuple[str, ...]) -> range:
    """Which of the sorted names are the folder or in it."""
    return range(bisect_left(names, folder), bisect_left(names, (*folder, _LAST)))


def _above(folder: tuple[str, ...], below: list[tuple[tuple[str, ...], Path]]) -> Path | None:
    """What is to be mounted at `folder`; None if what is below it does not lie in one folder on this machine."""
    name, path = below[0]
    real = Path(*path.parts[: len(path.parts) - len(name) + len(folder)])
    fits = all(real.joinpath(*name[len(folder) :]) == path for name, path in below)
    return real if fits else None
