"""Converts probabilities to logits, which masks of objects hold, and to bytes, which result files hold."""

from __future__ import annotations

import numpy as np


def logit(probability: float) -> np.float64:
    """Computes log(p / (1 - p)) in double precision."""
    p = np.float64(probability)
    return np.log(p / (1 - p))


def quantise_probability(probability: np.ndarray) -> np.ndarray:
    """Converts probabilities to bytes like google/ffn: 0 for NaN, else 1 + floor(254 p)."""
    quantised = np.digitize(probability, np.linspace(0.0, 1.0, 255))
    return np.where(np.isnan(probability), 0, quantised).astype(np.uint8)
