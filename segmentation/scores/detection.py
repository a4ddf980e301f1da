"""Scores of cell detection: average precision at thresholds of intersection over union; relative error of the count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from floodrunner.segmentation.scores.rand_and_vi import marginal, overlaps

IOU_THRESHOLDS: Final = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""0.5 to 0.95 in steps of 0.05, as in the Data Science Bowl 2018."""


def average_precision(
    found: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = IOU_THRESHOLDS
) -> list[float]:
    """Computes TP / (TP + FP + FN) of cells for each threshold of intersection over union (IoU).

    A cell is found (TP) if a segment overlaps it with an IoU above the threshold. At thresholds of 0.5 and more, each
    cell has at most one such segment and each segment at most one such cell, so no assignment is needed. FP are
    segments without a cell, FN are cells without a segment. The Data Science Bowl 2018 and Cellpose call this score
    average precision. In detection benchmarks, average precision is another score, the area under the precision-recall
    curve.

    Args:
      found, truth: (y, x) integers, one id per cell, 0 = none.
      thresholds: 0.5 or more, below 1.

    Returns:
      One value per threshold; 1 if there are neither cells nor segments.

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
    """Computes |found - truth| / truth, the relative error of the number of cells; None if `truth` is 0."""
    return abs(found - truth) / truth if truth else None
