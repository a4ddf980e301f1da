"""Computes mean and standard deviation of volumes that need not fit in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Statistics over all voxels; `stddev` is the population standard deviation (divided by n, not n - 1)."""

    mean: float
    stddev: float
    minimum: float
    maximum: float
    voxels: int


def moments(parts: Iterable[np.ndarray]) -> Moments:
    """Computes mean, standard deviation, minimum and maximum of a volume that is given in parts.

    Integers of 8 or 16 bits are counted by value, so their sums are exact for any number of voxels. Other types are
    summed in float64: each part around its own mean, and then the results of the parts are joined.

    Args:
      parts: non-empty arrays of any shape, all of one type. They are read once, one at a time.

    Raises:
      ValueError: if there are no parts, or if voxels are NaN or infinite; the message gives their number.

    Source: for joining parts, Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    sample variances" (1979), equation 2.1.
    """
    counts: dict[int, int] = {}
    voxels, mean, squares = 0, 0.0, 0.0
    low, high = math.inf, -math.inf
    exact = True
    for part in parts:
        exact = part.dtype.kind in "ui" and part.dtype.itemsize <= 2
        if exact:
            least = int(part.min())
            for value, count in enumerate(np.bincount(part.ravel().astype(np.int64) - least).tolist(), least):
                if count:
                    counts[value] = counts.get(value, 0) + count
            continue
        bad = part.size - np.count_nonzero(np.isfinite(part))
        if bad:
            raise ValueError(f"{bad} voxels are NaN or infinite")
        part_mean = float(part.mean(dtype=np.float64))
        step, total = part_mean - mean, voxels + part.size
        around = np.subtract(part, part_mean, dtype=np.float64)
        squares += float(np.square(around).sum()) + step**2 * voxels * part.size / total
        mean, voxels = mean + step * part.size / total, total
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if exact and counts:
        voxels = sum(counts.values())
        total = sum(value * count for value, count in counts.items())
        # This is n * (sum of squares) - (sum)^2 in Python integers, so no digits are lost by cancellation.
        spread = voxels * sum(value**2 * count for value, count in counts.items()) - total**2
        return Moments(total / voxels, math.sqrt(spread) / voxels, min(counts), max(counts), voxels)
    if not voxels:
        raise ValueError("there are no voxels")
    return Moments(mean, math.sqrt(squares / voxels), low, high, voxels)
