"""Tells the user which sections show no tissue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.storage.words import some

if TYPE_CHECKING:
    from segmentation.blank import Odd

_NAMED = 5


def sentences(found: Odd, names: Sequence[str]) -> list[str]:
    """Writes one line for each way in which sections are odd: `2 of 60 sections are blank (all 0): a.png, b.png`.

    Args:
      found: the odd sections.
      names: name of each section.
    """
    values: defaultdict[float, list[int]] = defaultdict(list)
    for k, value in found.blank.items():
        values[value].append(k)
    lines = [
        f"{_count(sections, found)} blank (all {value:g}){_named(sections, found, names)}"
        for value, sections in values.items()
    ]
    if found.saturated:
        what = "saturated (more than half of the voxels are black or white)"
        lines.append(f"{_count(found.saturated, found)} {what}{_named(found.saturated, found, names)}")
    if found.framed:
        what = f"in a black frame (rows and columns of 0 at the border, {found.frame_share:.1%} of all voxels)"
        lines.append(f"{_count(found.framed, found)} {what}{_named(found.framed, found, names)}")
    return lines


def _count(sections: Sequence[int], found: Odd) -> str:
    count = "all" if len(sections) == found.sections else f"{len(sections)} of"
    return f"{count} {found.sections} sections {'is' if len(sections) == 1 else 'are'}"


def _named(sections: Sequence[int], found: Odd, names: Sequence[str]) -> str:
    return "" if len(sections) == found.sections else f": {some((names[k] for k in sections), _NAMED)}"
