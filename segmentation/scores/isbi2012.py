"""The scores of the ISBI 2012 challenge, V_rand and V_info, for maps of cells and membranes.

The scores compare how pixels are grouped into cells, not the exact course or width of membranes. For this, the
membranes of the scored map are thinned to lines, and pixels that are membrane in the truth are left out.

Source: Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142 (2015), "Crowdsourcing the creation of image
segmentation algorithms for connectomics", with the details (4 neighbours, thresholds, each membrane pixel a segment)
of the challenge's own program, the Fiji plug-in Trainable Segmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cc3d
import numpy as np
from skimage.segmentation import watershed

from floodrunner.segmentation.scores.rand_and_vi import marginal, overlaps

THRESHOLDS: Final = tuple(round(0.1 * k, 1) for k in range(1, 10))
"""Thresholds of the probability that a pixel is cell: those of the challenge, except 0 and 1, which leave no membrane
or no cell."""


class VScores(NamedTuple):
    """The two scores: 1 is perfect, 0 is no agreement."""

    v_rand: float
    v_info: float


def thinned(cells: np.ndarray) -> np.ndarray:
    """Labels the cells of a mask, and grows them until only lines of one pixel separate them.

    Args:
      cells: (y, x) bool, False = membrane.

    Returns:
      (y, x) int32: one id per cell (4 neighbours), 0 on the lines. Where lines cross, a pixel may belong to a cell. If
      there is no cell, all pixels are 0.
    """
    pieces = cc3d.connected_components(cells.astype(np.uint8), connectivity=4, out_dtype=np.uint32).astype(np.int32)
    return watershed(~cells, pieces, connectivity=1, watershed_line=True).astype(np.int32, copy=False)


def v_scores(segments: np.ndarray, truth: np.ndarray) -> VScores:
    """Compares how two label images group the pixels that are cell in the truth.

    p_ij is the share of these pixels that are in segment i and cell j; s_i is its sum over j, and t_j its sum over i:

      V_rand = sum p_ij^2 / (alpha sum s_i^2 + (1 - alpha) sum t_j^2)
      V_info = I(S; T) / ((1 - alpha) H(S) + alpha H(T)),    alpha = 0.5

    V_rand and V_info are harmonic means of two scores: mergers lower one score, splits lower the other. Each pixel with
    segment 0 counts as a segment of its own.

    Args:
      segments, truth: (y, x) integers, 0 = membrane or none.

    Returns:
      The scores. V_info is 1 if there is only one cell in one segment, so that both entropies are 0.

    Raises:
      ValueError: if the truth has no cell.
    """
    table = overlaps(segments, truth)
    inside = table.truth != 0
    n = float(table.voxels[inside].sum())
    if not n:
        raise ValueError("the truth has no cell: nothing can be compared")
    alone = float(table.voxels[inside & (table.segment == 0)].sum())
    grouped = inside & (table.segment != 0)
    p = table.voxels[grouped] / n
    s = marginal(table.segment[grouped], table.voxels[grouped]) / n
    t = marginal(table.truth[inside], table.voxels[inside]) / n

    squares = (p**2).sum() + alone / n**2
    v_rand = 2 * squares / ((s**2).sum() + alone / n**2 + (t**2).sum())

    lone = alone / n * np.log(n)
    joint, of_segments, of_truth = -(p * np.log(p)).sum() + lone, -(s * np.log(s)).sum() + lone, -(t * np.log(t)).sum()
    total = of_segments + of_truth
    v_info = 2 * max(total - joint, 0.0) / total if total > 1e-12 else 1.0
    return VScores(float(v_rand), float(v_info))


def over_thresholds(
    probability: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> list[VScores]:
    """Scores a probability map at each threshold: pixels above the threshold are cell.

    The challenge averages the scores of all sections at each threshold, then takes the best of these means.

    Args:
      probability: (y, x) probability that each pixel is cell, 0 to 1.
      truth: (y, x) integers, one id per cell, 0 = membrane.

    Raises:
      ValueError: if the truth has no cell.
    """
    return [v_scores(thinned(probability > threshold), truth) for threshold in thresholds]
