"""Figures about cells in masks that would show if the masks had been misunderstood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import cc3d
import numpy as np
from scipy.ndimage import distance_transform_edt

from floodrunner.segmentation.alignment import boundaries
from floodrunner.segmentation.mask_levels import value_counts

ALL_BITS = (2**8 - 1, 2**16 - 1, 2**24 - 1, 2**32 - 1, 2**64 - 1, 2**64 - 2)
"""Values that programs write where there is no label. 2^64 - 2 is CREMI's `invalid`; 2^24 - 1 is white in colours."""

_CELL = 1 / 4  # share of the median size of the ids of a picture; smaller pieces are remnants of drawing
_SPECK = 3  # pixels
_LINE = 25  # a line is that many times longer than wide
_ALONG = 1 / 2  # share of the other ids that a line around cells must touch
_MOST_PICTURES = 1 / 2
_MOST_KINDS = 8  # values, 0 among them
_AROUND = 3 / 4  # of the outline


class Figures(NamedTuple):
    """What masks hold.

    Attributes:
      ids: number of ids, counted in each picture.
      pieces: number of connected pieces (8 neighbours) of these ids.
      sizes: (ids,) number of pixels of each id in each picture.
      covered: share of all pixels that have an id.
      apart: pictures and their ids with two or more pieces of the size of a cell, and how many such pieces: the first
        id of each picture.
      around: number of pictures in which one piece touches all four sides.
      filled: number of pictures with an id.
    """

    ids: int
    pieces: int
    sizes: np.ndarray
    covered: float
    apart: list[tuple[int, int, int]]
    around: int
    filled: int


def figures(masks: Sequence[np.ndarray]) -> Figures:
    """Measures masks, each (y, x) integers below 2^32, 0 = none; at least one has an id."""
    sizes, apart, pieces, around = [np.zeros(0, np.int64)], [], 0, 0
    for number, mask in enumerate(masks):
        if not mask.any():
            continue
        numbered = cc3d.connected_components(mask.astype(np.uint32), connectivity=8, out_dtype=np.uint32)
        of_pieces = np.bincount(numbered.ravel())[1:]
        owner = np.zeros(len(of_pieces) + 1, np.int64)
        owner[numbered] = mask
        ids, of_ids = np.unique(owner[1:], return_inverse=True)
        counts = np.bincount(of_ids, of_pieces).astype(np.int64)
        sizes.append(counts)
        pieces += len(of_pieces)
        around += bool(_on_all_sides(numbered))
        large = of_pieces >= max(_CELL * np.median(counts), _SPECK + 1)
        parts = np.bincount(of_ids[large])
        if (parts > 1).any():
            first = int(np.argmax(parts > 1))
            apart.append((number, int(ids[first]), int(parts[first])))
    every = np.concatenate(sizes)
    total = sum(mask.size for mask in masks)
    return Figures(len(every), pieces, every, float(every.sum()) / total, apart, around, len(sizes) - 1)


def value_for_none(masks: Sequence[np.ndarray]) -> tuple[int, str] | None:
    """Finds a value that stands for `no cell` in masks of ids, although it is not 0.

    It is a value with all bits set (255, 65535, ...) that surrounds the ids or forms lines around them, or any value
    that surrounds them where no pixel is 0. A value surrounds the others if it touches all four sides of the picture;
    a line is at least 25 times as long as wide and touches at least half of the other ids. This must be so in at least
    half of the pictures with other ids.

    Args:
      masks: (y, x) unsigned integers.

    Returns:
      The value, and `surrounds` or `lines`; None if there is none.
    """
    found: Counter[tuple[int, str]] = Counter()
    judged = 0
    without_zero = not any((mask == 0).any() for mask in masks)
    for mask in masks:
        values, _ = value_counts([mask])
        if np.count_nonzero(values) < 2:
            continue
        judged += 1
        around = _on_all_sides(mask)
        special = [value for value in values.tolist() if value in ALL_BITS]
        found.update((value, "surrounds") for value in around if value in special or without_zero)
        found.update((value, "lines") for value in special if value not in around and _is_line(mask, value))
    if not found:
        return None
    (value, how), times = found.most_common(1)[0]
    return (int(value), how) if times >= _MOST_PICTURES * judged else None


def value_around(masks: Sequence[np.ndarray]) -> tuple[int, int] | None:
    """Finds a value that lies around another one, as boundaries of cells do around their insides.

    At least three quarters of the outline of the inner value touch the outer one, which also touches 0.

    Args:
      masks: (y, x) unsigned integers, 0 = none; only masks with few values are looked at, as classes are few.

    Returns:
      The outer and the inner value; None if there are none, or more than 8 values in all masks together.
    """
    touching: Counter[tuple[int, int]] = Counter()
    every: set[int] = set()
    for mask in masks:
        every.update(value_counts([mask])[0].tolist())
        if len(every) > _MOST_KINDS:
            return None
        for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            differ = one != other
            pairs, counts = np.unique(np.stack([one[differ], other[differ]]), axis=1, return_counts=True)
            for (a, b), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
                touching.update({(a, b): count, (b, a): count})
    for inner in sorted(every - {0}):
        outline = sum(count for (a, _), count in touching.items() if a == inner)
        for outer in sorted(every - {0, inner}):
            if touching[inner, outer] >= _AROUND * outline and 2 * touching[outer, 0] >= touching[inner, outer]:
                return outer, inner
    return None


def _on_all_sides(mask: np.ndarray) -> set[int]:
    """Returns the values above 0 that occur in the first and last row and in the first and last column."""
    sides = (set(side.tolist()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return set.intersection(*sides) - {0}


def _is_line(mask: np.ndarray, value: int) -> bool:
    line = mask == value
    # Beyond the border of the picture there is no line.
    half = float(distance_transform_edt(np.pad(line, 1)).max())
    if np.count_nonzero(line) < _LINE * (2 * half) ** 2:
        return False
    others = np.where(line, 0, mask)
    near = np.unique(others[boundaries(line)])
    return bool(np.count_nonzero(near) >= _ALONG * np.count_nonzero(np.unique(others)))
