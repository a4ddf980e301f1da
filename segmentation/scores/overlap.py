"""How well two masks agree, pixel by pixel: Dice and intersection over union."""

from __future__ import annotations

import numpy as np


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|), 1 where both are empty: nothing was there, and nothing was found.

    Args:
      found, truth: bool arrays of one shape.

    Source: Dice, Ecology 26 (1945).
    """
    total = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / total if total else 1.0


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """|A and B| / |A or B|, the Jaccard index; 1 where both are empty.

    Args:
      found, truth: bool arrays of one shape.
    """
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0
