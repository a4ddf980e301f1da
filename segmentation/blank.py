"""Finds sections, and parts of sections, that show no tissue: blank sections, black frames, saturated sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Look(NamedTuple):
    """What one section looks like.

    Attributes:
      blank: the value of all its voxels; None if they differ.
      saturated: whether more than half of its voxels, without the frame, are 0 or the largest value of their type.
      frame: number of voxels in the frame: rows and columns of 0 that begin at the border; 0 if the section is blank.
      voxels: number of its voxels.
    """

    blank: float | None
    saturated: bool
    frame: int
    voxels: int

    @property
    def mostly_frame(self) -> bool:
        return 2 * self.frame > self.voxels


class Odd(NamedTuple):
    """Which sections of a stack show no tissue, or not only tissue.

    Attributes:
      sections: number of all sections.
      blank: index of each blank section -> its value.
      saturated: indices of saturated sections. If most of the others are so too, it is the nature of the image (masks,
        few bright spots on black), and none is named.
      framed: indices of sections with a black frame; none if only half of the sections or fewer have one.
      frame_share: share of the frames in the voxels of all sections.
    """

    sections: int
    blank: dict[int, float]
    saturated: list[int]
    framed: list[int]
    frame_share: float

    def __bool__(self) -> bool:
        return bool(self.blank or self.saturated or self.framed)


def look(section: np.ndarray) -> Look:
    """Looks at a section, (y, x), of any type of numbers. Costs less than decoding it."""
    low, high = section.min(), section.max()
    if low == high:
        return Look(low.item(), saturated=False, frame=0, voxels=section.size)
    frame = 0
    if not all(edge.any() for edge in (section[0], section[-1], section[:, 0], section[:, -1])):
        rows, columns = (np.flatnonzero(section.any(axis)) for axis in (1, 0))
        frame = section.size - int((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1))
    saturated = False
    if section.dtype.kind == "u":
        half, top = (section.size - frame) / 2, np.iinfo(section.dtype).max
        black = low == 0 and section.size - int(np.count_nonzero(section)) - frame > half
        saturated = black or (high == top and int(np.count_nonzero(section == top)) > half)
    return Look(None, bool(saturated), frame, section.size)


def odd(looks: Sequence[Look]) -> Odd:
    """Decides which sections of a stack are odd, from the looks of all its sections."""
    blank = {k: each.blank for k, each in enumerate(looks) if each.blank is not None}
    others = len(looks) - len(blank)
    framed = [k for k, each in enumerate(looks) if each.frame]
    if 2 * len(framed) <= others:
        framed = []
    # Where the others have no frame, a section that is mostly frame has lost its tissue.
    saturated = [k for k, each in enumerate(looks) if each.saturated or (each.mostly_frame and not framed)]
    if 2 * len(saturated) > others:
        saturated = []
    voxels = sum(each.voxels for each in looks)
    return Odd(len(looks), blank, saturated, framed, sum(looks[k].frame for k in framed) / max(voxels, 1))


class Histogram:
    """Counts the values of sections of 8 or 16 bits: of all voxels, and of those that show tissue."""

    def __init__(self, dtype: np.dtype) -> None:
        self.least = int(np.iinfo(dtype).min)
        self.whole = np.zeros(2 ** (8 * dtype.itemsize), np.int64)
        self._saturated, self._mostly_frame = np.zeros_like(self.whole), np.zeros_like(self.whole)
        self.looks: list[Look] = []

    def add(self, sections: Iterable[np.ndarray]) -> None:
        """Adds sections, each (y, x)."""
        for section in sections:
            seen = look(section)
            counts = np.bincount(section.ravel().astype(np.int64) - self.least, minlength=len(self.whole))
            self.whole += counts
            if seen.saturated:
                self._saturated += counts
            elif seen.mostly_frame:
                self._mostly_frame += counts
            self.looks.append(seen)

    def tissue(self) -> tuple[np.ndarray, Odd]:
        """The counts without blank sections, saturated sections and frames; all if less than two values are left."""
        found = odd(self.looks)
        counts = self.whole.copy()
        for k, value in found.blank.items():
            counts[int(value) - self.least] -= self.looks[k].voxels
        out = set(found.saturated)
        if out:
            counts -= self._saturated if found.framed else self._saturated + self._mostly_frame
        counts[-self.least] -= sum(self.looks[k].frame for k in found.framed if k not in out)
        return (counts, found) if np.count_nonzero(counts) > 1 else (self.whole, found)
