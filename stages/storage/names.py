"""Names: when two are the same, and the order of names that contain numbers."""

from __future__ import annotations

import re
import unicodedata

Key = tuple[tuple[int, int | str], ...]


def same_name(name: str) -> str:
    """Returns the form in which names are compared: NFC, in which `ä` is one character.

    macOS writes `a` and a combining dieresis (NFD), and file systems keep both forms apart, although they look alike.

    Source: Unicode Standard Annex 15, Unicode Normalization Forms.
    """
    return unicodedata.normalize("NFC", name)


def natural_key(name: str) -> Key:
    """A sort key that compares numbers by value: `z2` before `z10`, `z01` equal to `z1`, `A` equal to `a`."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.findall(r"\d+|\D+", name))
