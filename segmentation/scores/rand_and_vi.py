"""Agreement of a segmentation with ground truth: adapted Rand error and variation of information."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Overlaps(NamedTuple):
    """The contingency table of two label arrays, as a list: `voxels[i]` voxels have `segment[i]` and `truth[i]`.

    Each pair of ids occurs once; 0 is treated as an id too.
    """

    segment: np.ndarray
    truth: np.ndarray
    voxels: np.ndarray


class Score(NamedTuple):
    """Agreement of a segmentation with ground truth. If perfect: error 0, precision and recall 1, both VI 0 bits.

    Attributes:
      adapted_rand_error: 1 - the harmonic mean of precision and recall.
      precision: share of the pairs of voxels joined in the segmentation that are joined in the truth; merges lower it.
      recall: share of the pairs of voxels joined in the truth that are joined in the segmentation; splits lower it.
      vi_split: H(segmentation | truth), bits; None if there is no voxel to compare.
      vi_merge: H(truth | segmentation), bits; None if there is no voxel to compare.
    """

    adapted_rand_error: float
    precision: float
    recall: float
    vi_split: float | None
    vi_merge: float | None


def overlaps(segmentation: np.ndarray, truth: np.ndarray) -> Overlaps:
    """Counts the voxels of each pair of ids in two label arrays of one shape, integers of any type."""
    segment, true = segmentation.ravel(), truth.ravel()
    # Along x, ids change only every few dozen voxels, so runs of equal ids are counted: they are quicker to sort.
    starts = np.flatnonzero((segment[1:] != segment[:-1]) | (true[1:] != true[:-1])) + 1
    starts = np.concatenate([np.zeros(min(1, len(segment)), np.int64), starts])
    return _sum(segment[starts], true[starts], np.diff(starts, append=len(segment)))


def combine(parts: Iterable[Overlaps]) -> Overlaps:
    """Adds up the tables of the parts of a volume."""
    return _sum(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def score(table: Overlaps, ignore_unsegmented: bool) -> Score:
    """Scores a segmentation. Voxels without ground truth (truth 0) are left out of the comparison.

    Args:
      table: all overlaps of the segmentation and the truth.
      ignore_unsegmented: also leave out voxels with segment 0; otherwise they count as one more segment, as in the
        SNEMI3D challenge.

    Returns:
      The score. If there are no pairs of voxels (no object has two voxels), precision or recall is 1. If there is no
      voxel to compare, the error is 1, precision and recall are 0, and the variation of information is None.

    Source: Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015), Rand F-score; Meila, J. Multivariate
    Analysis 98 (2007), variation of information. The sums run over pairs of different voxels, as in scikit-image.
    Its `adapted_rand_error` exchanges the two names: its precision is the recall here.
    """
    use = table.truth != 0
    if ignore_unsegmented:
        use &= table.segment != 0
    if not use.any():
        return Score(1.0, 0.0, 0.0, None, None)
    joint = table.voxels[use].astype(np.float64)  # float64: squares of counts exceed 2**63 in volumes of a few GB
    in_segment = marginal(table.segment[use], joint)
    in_truth = marginal(table.truth[use], joint)
    n = joint.sum()

    both, segmented, true = (np.square(counts).sum() - n for counts in (joint, in_segment, in_truth))
    precision = both / segmented if segmented else 1.0
    recall = both / true if true else 1.0
    error = 1 - 2 * both / (segmented + true) if segmented + true else 0.0

    entropy, of_segments, of_truth = (-(p * np.log2(p)).sum() for p in (joint / n, in_segment / n, in_truth / n))
    # Rounding may make the difference of equal entropies negative; a conditional entropy is never negative.
    split, merge = max(entropy - of_truth, 0.0), max(entropy - of_segments, 0.0)
    return Score(float(error), float(precision), float(recall), float(split), float(merge))


def objects(ids: np.ndarray) -> int:
    """Counts the different ids other than 0."""
    return int(np.count_nonzero(np.unique(ids)))


def marginal(ids: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Adds up the voxels of each id over the rows of a table; returns float64, in ascending order of ids."""
    return np.bincount(np.unique(ids, return_inverse=True)[1], voxels)


def _sum(segment: np.ndarray, truth: np.ndarray, voxels: np.ndarray) -> Overlaps:
    segments, s = np.unique(segment, return_inverse=True)
    truths, t = np.unique(truth, return_inverse=True)
    pairs, pair = np.unique(s * max(len(truths), 1) + t, return_inverse=True)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, pair, voxels)
    return Overlaps(segments[pairs // max(len(truths), 1)], truths[pairs % max(len(truths), 1)], total)
