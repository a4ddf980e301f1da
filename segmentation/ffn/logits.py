"""Converts probabilities to logits, in which object masks are kept, and to the bytes that results are stored in."""

from __future__ import annotations

import numpy as np


def logit(probability: float) -> np.float64:
    """log(p / (1 - p)), in double precision."""
    p = np.float64(probability)
    return np.log(p / (1 - p))


def quantise_probability(probability: np.ndarray) -> np.ndarray:
    """Converts probabilities to bytes as google/ffn stores them: 0 for NaN, else 1 + floor(254 p)."""
    quantised = np.digitize(probability, np.linspace(0.0, 1.0, 255))
    return np.where(np.isnan(probability), 0, quantised).astype(np.uint8)
