"""The order of names, and how a few of many are named in a message."""

from __future__ import annotations

import re
from collections.abc import Iterable

Key = tuple[tuple[int, int | str], ...]


def natural_key(name: str) -> Key:
    """Orders names by their numbers: `z2` before `z10`, `z01` like `z1`, upper case like lower."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.findall(r"\d+|\D+", name))


def some(names: Iterable[str], most: int = 3) -> str:
    """The first names, for a message."""
    every = list(names)
    return ", ".join(every[:most]) + (", ..." if len(every) > most else "")
