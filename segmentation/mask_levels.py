"""Whether grey values are those of a binary mask, and where to cut them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_LEAST_SPAN = 100  # an 8-bit mask of 0 and 1 does not survive JPEG; ids of a few cells must not pass for one
_MOST = 255  # colours and 16-bit ids are not blurred masks
_MANY = 12  # greys; JPEG of quality 95 leaves 15 of two
_NEAR = 1 / 8  # of the span
_SHARE = 0.75


class Levels(NamedTuple):
    """The two grey values of a mask: pixels above `cut` are foreground.

    Attributes:
      low, high: the two values; where they are blurred, the lowest and the highest.
      exact: whether there are no others.
    """

    low: int
    high: int
    exact: bool

    @property
    def cut(self) -> int:
        return (self.low + self.high) // 2


def mask_levels(values: np.ndarray, counts: np.ndarray, known: bool = False) -> Levels | None:
    """Finds the two levels of masks, exact or blurred, as JPEG and resizing leave them.

    Blurred levels are taken for such where three quarters and more of the pixels in the lower half of the span of
    values are in its lowest eighth, and likewise above, so that cutting in the middle moves outlines only. As ids may
    lie like that too (1, 3 and 240), there must be a dozen values, none above 255.

    Args:
      values: (n) ascending integers that occur in the masks, two or more.
      counts: (n) the pixels of each.
      known: that they are no ids; then three values suffice.

    Returns:
      The levels; None if the values are something else, such as ids.
    """
    low, high = int(values[0]), int(values[-1])
    if len(values) == 2:
        return Levels(low, high, exact=True)
    if high - low < _LEAST_SPAN or high > _MOST or (len(values) < _MANY and not known):
        return None
    place = (values.astype(np.int64) - low) / (high - low)
    below, near_low, near_high = (int(counts[place < x].sum()) for x in (0.5, _NEAR, 1 - _NEAR))
    total = int(counts.sum())
    blurred = near_low >= _SHARE * below and total - near_high >= _SHARE * (total - below)
    return Levels(low, high, exact=False) if blurred else None
