"""The order of names that contain numbers."""

from __future__ import annotations

import re

Key = tuple[tuple[int, int | str], ...]


def natural_key(name: str) -> Key:
    """A sort key that compares numbers by value: `z2` before `z10`, `z01` equal to `z1`, `A` equal to `a`."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.findall(r"\d+|\D+", name))
