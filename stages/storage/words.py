"""Phrases that many messages share: sizes, lists of names, and a file that may not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from floodrunner.contract.stage import InputError


def size(shape: Sequence[int]) -> str:
    """Writes a size, or a position, with x first as users do: `512 x 512 x 70` for the array shape (70, 512, 512)."""
    return " x ".join(str(length) for length in reversed(shape))


def voxels(shape: Sequence[int]) -> str:
    """Writes the size of a volume, given as z, y, x: `512 x 512 x 70 voxels (x, y, z)`."""
    return f"{size(shape)} voxels (x, y, z)"


def section_size(shape: Sequence[int]) -> str:
    """Writes the size of a stack, given as z, y, x: `70 sections of 512 x 512`."""
    return f"{shape[0]} section{'s' if shape[0] > 1 else ''} of {size(shape[1:])}"


def box(shape: Sequence[int], offset: Sequence[int]) -> str:
    """Writes the size and the first corner of a part of a volume, both given as z, y, x."""
    return f"{size(shape)} voxels at {size(offset)} (x, y, z)"


def some(names: Iterable[str], most: int = 3) -> str:
    """Writes the first names of a list: `a, b, c, ...`."""
    every = list(names)
    return ", ".join(every[:most]) + (", ..." if len(every) > most else "")


def shown(text: str, most: int = 100) -> str:
    """Writes a name or a message from a file on one line: without control characters, and not longer than `most`."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."


def no_permission(path: str | Path) -> InputError:
    """Makes the error for a file or folder that this user may not read."""
    return InputError(f"{path}: this user may not read it; allow reading (chmod), or copy it")
