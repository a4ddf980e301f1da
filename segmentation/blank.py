"""Finds sections, and parts of sections, that show no tissue: blank sections, black borders, saturated sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_LEAST_PART = 0.01
"""A border smaller than this share of its section moves no mean; a black row of a camera is smaller. Tissue that is
smaller may as well be a spot."""

_MOST_HOLES = 0.05
"""Largest share of 0 in tissue. Bright spots on a background of 0 have more between them."""

_LEAST_FILLED = 1 / 3
"""Smallest share that tissue fills of the box around it. A square that is turned by 45 degrees fills half of it."""


class Look(NamedTuple):
    """What one section looks like.

    Attributes:
      blank: the value of all its voxels; None if they differ.
      saturated: whether more than half of its voxels, without the border, have the least or the largest value of their
        type.
      border: number of voxels in its black border.
      voxels: number of its voxels.
    """

    blank: float | None
    saturated: bool
    border: int
    voxels: int


class Odd(NamedTuple):
    """Which sections of a stack show no tissue, or not only tissue. Each is named once.

    Attributes:
      sections: number of all sections.
      blank: index of each blank section -> its value.
      saturated: indices of saturated sections.
      bordered: indices of the other sections that have a black border.
      border_share: share of these borders in the voxels of all sections.
    """

    sections: int
    blank: dict[int, float]
    saturated: list[int]
    bordered: list[int]
    border_share: float

    def __bool__(self) -> bool:
        return bool(self.blank or self.saturated or self.bordered)


def _tissue_in_rows(section: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Finds where the rows of a section, (y, x), begin and end, if it has a black border: a frame, a strip, the corners
    that are left where a section was turned. The border is what is 0 from an end of a row on.

    Returns:
      For each row, where its tissue begins, and where it has ended; both 0 in a row of the border. None if the border
      or the tissue is less than 1 % of the section, or it is no tissue: more than 5 % of it is 0, or it fills less than
      a third of the box around it. Then 0 is the background of spots.
    """
    if all(section[y, x] for y in (0, -1) for x in (0, -1)):
        return None
    full = section != 0
    first, last = full.argmax(1), section.shape[1] - full[:, ::-1].argmax(1)
    rows = np.flatnonzero(full[np.arange(len(full)), first])
    if not len(rows):
        return None
    empty: np.ndarray = np.ones(len(full), bool)
    empty[rows] = False
    first[empty], last[empty] = 0, 0
    tissue = int((last - first).sum())
    holes = tissue - int(np.count_nonzero(full))
    box = int(rows[-1] - rows[0] + 1) * int(last.max() - first[rows].min())
    if holes > _MOST_HOLES * tissue or tissue < _LEAST_FILLED * box:
        return None
    return (first, last) if min(tissue, section.size - tissue) >= _LEAST_PART * section.size else None


def black_border(section: np.ndarray) -> np.ndarray | None:
    """Marks the black border of a section, (y, x), with True in an array of the same shape; None if it has none.

    Unlike `look`, which only counts, this takes no 0 at the end of a row for border that has tissue above and below.
    """
    spans = _tissue_in_rows(section)
    if spans is None:
        return None
    at = np.arange(section.shape[1], dtype=np.int32)
    border: np.ndarray = (at < spans[0][:, None]) | (at >= spans[1][:, None])
    full = section != 0
    above, below = np.logical_or.accumulate(full), np.logical_or.accumulate(full[::-1])[::-1]
    border &= ~(above & below)
    return border


def look(section: np.ndarray) -> Look:
    """Looks at a section, (y, x), of any type of numbers. Costs less than decoding it.

    Borders and saturation are looked for in integers of 8 and 16 bits only.
    """
    low, high = section.min(), section.max()
    if low == high:
        return Look(low.item(), saturated=False, border=0, voxels=section.size)
    if section.dtype.kind not in "ui" or section.dtype.itemsize > 2:
        return Look(None, saturated=False, border=0, voxels=section.size)
    spans = _tissue_in_rows(section) if low <= 0 <= high else None
    border = 0 if spans is None else section.size - int((spans[1] - spans[0]).sum())
    kind, half = np.iinfo(section.dtype), (section.size - border) / 2
    dark = low == kind.min and int(np.count_nonzero(section == low)) - (border if low == 0 else 0) > half
    bright = high == kind.max and int(np.count_nonzero(section == high)) > half
    return Look(None, dark or bright, border, section.size)


def odd(looks: Sequence[Look]) -> Odd:
    """Decides which sections of a stack are odd, from the looks of all its sections.

    If more than half of those that are not blank are saturated, it is the nature of the image (masks, few bright spots
    on black): then none is saturated, and none has a border.
    """
    blank = {k: each.blank for k, each in enumerate(looks) if each.blank is not None}
    saturated = [k for k, each in enumerate(looks) if each.saturated]
    bordered = [k for k, each in enumerate(looks) if each.border and not each.saturated]
    if 2 * len(saturated) > len(looks) - len(blank):
        saturated, bordered = [], []
    voxels = sum(each.voxels for each in looks)
    return Odd(len(looks), blank, saturated, bordered, sum(looks[k].border for k in bordered) / max(voxels, 1))


class Histogram:
    """Counts the values of sections of 8 or 16 bits: of all voxels, and of those that show tissue."""

    def __init__(self, dtype: np.dtype) -> None:
        self.least = int(np.iinfo(dtype).min)
        self.whole = np.zeros(2 ** (8 * dtype.itemsize), np.int64)
        self._saturated = np.zeros_like(self.whole)  # which are left out only if most sections are not so
        self.looks: list[Look] = []

    def add(self, sections: Iterable[np.ndarray]) -> None:
        """Adds sections, each (y, x)."""
        for section in sections:
            seen = look(section)
            counts = np.bincount(section.ravel().astype(np.int64) - self.least, minlength=len(self.whole))
            self.whole += counts
            if seen.saturated:
                self._saturated += counts
            self.looks.append(seen)

    def tissue(self) -> tuple[np.ndarray, Odd]:
        """The counts without blank sections, saturated sections and borders; all if less than two values are left."""
        found = odd(self.looks)
        counts = self.whole - self._saturated if found.saturated else self.whole.copy()
        for k, value in found.blank.items():
            counts[int(value) - self.least] -= self.looks[k].voxels
        counts[-self.least] -= sum(self.looks[k].border for k in found.bordered)
        return (counts, found) if np.count_nonzero(counts) > 1 else (self.whole, found)
