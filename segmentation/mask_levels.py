"""Finds out whether grey values of masks are two levels (exact or blurred) or ids; finds connected pieces of masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cc3d
import numpy as np

_LEAST_SPAN = 100  # smallest range of the greys of a blurred mask; a smaller range may be a few ids
_MOST = 255  # highest grey value of a blurred mask; colours and 16-bit ids go higher
_MANY = 12  # smallest number of greys in a blurred mask; JPEG of quality 95 turns two greys into 15
_NEAR = 1 / 8  # share of the range of greys that counts as near its end
_SHARE = 0.75
_SPECK = 3  # largest number of pixels of a speck


class Levels(NamedTuple):
    """The two grey values of a mask: pixels above `cut` are foreground.

    Attributes:
      low, high: the two values; if they are blurred, the lowest and the highest.
      exact: whether there are no other values.
    """

    low: int
    high: int
    exact: bool

    @property
    def cut(self) -> int:
        return (self.low + self.high) // 2


def mask_levels(values: np.ndarray, counts: np.ndarray, known: bool = False) -> Levels | None:
    """Finds the two levels of masks, either exact or blurred by JPEG or by resizing.

    Levels count as blurred if at least three quarters of the pixels in the lower half of the range of values are in
    its lowest eighth, and at least three quarters of the pixels in the upper half are in its highest eighth. A cut in
    the middle then moves outlines only. Ids may be distributed like that too (1, 3 and 240), so a blurred mask must
    also have at least a dozen values, none of them above 255.

    Args:
      values: (n) ascending integers that occur in the masks, at least two.
      counts: (n) the number of pixels of each value.
      known: whether the masks are known not to be ids; then three values are enough.

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


def value_counts(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Counts the values of masks, of any shapes, that hold unsigned integers.

    Returns:
      (n) the values that occur in any mask, ascending; (n) how many pixels have each.
    """
    found = [_counted(mask) for mask in masks]
    values, at = np.unique(np.concatenate([values for values, _ in found]), return_inverse=True)
    return values, np.bincount(at, np.concatenate([counts for _, counts in found]))


def differ_in_white(masks: Sequence[np.ndarray]) -> bool:
    """Returns whether masks are binary, but with several values for white, such as 1 in some masks and 255 in others.

    This is true if each mask holds only 0 and one other value (or a single value), and all masks together hold more
    than two values.
    """
    each = [_counted(mask)[0] for mask in masks]
    binary = all(len(values) == 1 or (len(values) == 2 and values[0] == 0) for values in each)
    return binary and len(np.unique(np.concatenate(each))) > 2


def pieces(mask: np.ndarray, neighbours: Literal[4, 8]) -> np.ndarray:
    """Numbers the connected pieces of pixels with the same value, from 1.

    Args:
      mask: (y, x) bool or unsigned integers, 0 = background.
      neighbours: 4 connects pixels that share a side; 8 also those that share a corner.

    Returns:
      (y, x) int32, 0 = background.
    """
    return cc3d.connected_components(mask, connectivity=neighbours, out_dtype=np.uint32).astype(np.int32)


def piece_sizes(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the number of pixels of each connected piece (8 neighbours) in all masks: (n) integers."""
    return np.concatenate([np.bincount(pieces(mask.astype(np.uint32), 8).ravel())[1:] for mask in masks])


def are_specks(sizes: np.ndarray) -> bool:
    """Returns whether pieces of these sizes, in pixels, are greys along blurred outlines, and not cells.

    In a blurred mask at least half of the single-grey pieces have 1 or 2 pixels; real cells have a dozen or more.
    """
    return float(np.median(sizes)) <= _SPECK


def _counted(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if mask.max() >= 2**16:
        return np.unique(mask, return_counts=True)
    counts = np.bincount(mask.ravel().astype(np.uint16))  # much faster than sorting
    values = np.flatnonzero(counts)
    return values, counts[values]
