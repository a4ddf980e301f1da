"""Computes mean and standard deviation of volumes that need not fit in memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from floodrunner.segmentation.blank import Histogram, Look, Odd, look, odd


class Moments(NamedTuple):
    """Statistics over all voxels; `stddev` is the population standard deviation (divided by n, not n - 1)."""

    mean: float
    stddev: float
    minimum: float
    maximum: float
    voxels: int


def moments(parts: Iterable[np.ndarray]) -> tuple[Moments, Moments, Odd]:
    """Computes mean, standard deviation, minimum and maximum of a volume that is given in parts.

    Integers of 8 or 16 bits are counted by value, so their sums are exact for any number of voxels. Other types are
    summed in float64: each part around its own mean, and then the results of the parts are joined.

    Args:
      parts: non-empty arrays (z, y, x), all of one type. They are read once, one at a time.

    Returns:
      The statistics of all voxels; those without blank sections, saturated sections and black borders; and which
      sections these are. Of types that are not integers of 8 or 16 bits, only blank sections are left out. If nothing
      is left out, or what is left has one value, both statistics are the same.

    Raises:
      ValueError: if there are no parts, or if voxels are NaN or infinite; the message gives their number.

    Source: for joining parts, Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    sample variances" (1979), equation 2.1.
    """
    histogram: Histogram | None = None
    whole: _Sums = _Sums()
    tissue: _Sums | None = None  # from the first blank section on
    looks: list[Look] = []
    for part in parts:
        if part.dtype.kind in "ui" and part.dtype.itemsize <= 2:
            histogram = histogram or Histogram(part.dtype)
            histogram.add(part)
            continue
        seen = [look(section) for section in part]
        kept = [k for k, each in enumerate(seen) if each.blank is None]
        if tissue is None and len(kept) < len(seen):
            tissue = copy.copy(whole)
        whole.add(part)
        if tissue is not None and kept:
            tissue.add(part[kept])
        looks += seen
    if histogram is not None:
        counts, found = histogram.tissue()
        return _exact(histogram.whole, histogram.least), _exact(counts, histogram.least), found
    if not whole.voxels:
        raise ValueError("there are no voxels")
    return whole.moments(), (tissue if tissue is not None and tissue.voxels else whole).moments(), odd(looks)


def _exact(counts: np.ndarray, least: int) -> Moments:
    """Moments of values from `least` that occur so many times."""
    values = {k + least: int(counts[k]) for k in np.flatnonzero(counts).tolist()}
    voxels = sum(values.values())
    total = sum(value * count for value, count in values.items())
    # This is n * (sum of squares) - (sum)^2 in Python integers, so no digits are lost by cancellation.
    spread = voxels * sum(value**2 * count for value, count in values.items()) - total**2
    return Moments(total / voxels, math.sqrt(spread) / voxels, min(values), max(values), voxels)


class _Sums:
    """Mean and sum of squared differences from it, of the parts added so far."""

    def __init__(self) -> None:
        self.voxels, self._mean, self._squares = 0, 0.0, 0.0
        self._low, self._high = math.inf, -math.inf

    def add(self, part: np.ndarray) -> None:
        bad = part.size - np.count_nonzero(np.isfinite(part))
        if bad:
            raise ValueError(f"{bad} voxels are NaN or infinite")
        part_mean = float(part.mean(dtype=np.float64))
        step, total = part_mean - self._mean, self.voxels + part.size
        around = np.subtract(part, part_mean, dtype=np.float64)
        self._squares += float(np.square(around).sum()) + step**2 * self.voxels * part.size / total
        self._mean, self.voxels = self._mean + step * part.size / total, total
        self._low, self._high = min(self._low, float(part.min())), max(self._high, float(part.max()))

    def moments(self) -> Moments:
        return Moments(self._mean, math.sqrt(self._squares / self.voxels), self._low, self._high, self.voxels)
