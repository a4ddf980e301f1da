"""Which cells were found: average precision at thresholds of intersection over union, and the error of the count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from segmentation.scores.rand_and_vi import marginal, overlaps

IOU_THRESHOLDS: Final = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""0.5 to 0.95 in steps of 0.05, as in the Data Science Bowl 2018."""


def average_precision(
    found: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = IOU_THRESHOLDS
) -> list[float]:
    """TP / (TP + FP + FN) of cells, for each threshold of intersection over union.

    A cell is found (TP) where a segment overlaps it with an IoU above the threshold. From 0.5 on there is at most one
    such segment for a cell and one such cell for a segment, so nothing is left to assign. FP are segments without a
    cell, FN cells without a segment. This is what the Data Science Bowl 2018 and Cellpose call average precision; it
    is not the area under a curve of precision over recall, as detection benchmarks have it.

    Args:
      found, truth: (y, x) integers, an id for each cell, 0 = none.
      thresholds: 0.5 or more, below 1.

    Returns:
      A value for each threshold; 1 where there are neither cells nor segments.

    Raises:
      ValueError: if a threshold is out of range.

    Source: Caicedo et al., Nature Methods 16 (2019), "Nucleus segmentation across imaging experiments", Methods.
    """
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"IoU thresholds are {list(thresholds)}; they must be 0.5 or more, and below 1")
    table = overlaps(found, truth)
    segments, segment_of = np.unique(table.segment, return_inverse=True)
    cells, cell_of = np.unique(table.truth, return_inverse=True)
    sizes, true_sizes = (marginal(ids, table.voxels) for ids in (table.segment, table.truth))
    ratio = table.voxels / (sizes[segment_of] + true_sizes[cell_of] - table.voxels)
    ratio = ratio[(table.segment != 0) & (table.truth != 0)]
    objects = np.count_nonzero(segments) + np.count_nonzero(cells)
    hits = [np.count_nonzero(ratio > threshold) for threshold in thresholds]
    return [hit / (objects - hit) if objects else 1.0 for hit in hits]


def count_error(found: int, truth: int) -> float | None:
    """|found - truth| / truth, how far the number of cells is off; None where there is none to relate it to."""
    return abs(found - truth) / truth if truth else None
