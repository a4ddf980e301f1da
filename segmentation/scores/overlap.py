"""Agreement of two masks, pixel by pixel: Dice coefficient and intersection over union."""

from __future__ import annotations

import numpy as np


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Computes the Dice coefficient 2 |A and B| / (|A| + |B|); 1 if both masks are empty.

    Args:
      found, truth: bool arrays of one shape.

    Source: Dice, Ecology 26 (1945).
    """
    total = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / total if total else 1.0


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Computes intersection over union |A and B| / |A or B| (Jaccard index); 1 if both masks are empty.

    Args:
      found, truth: bool arrays of one shape.
    """
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0
