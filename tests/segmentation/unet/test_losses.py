from __future__ import annotations

import keras
import numpy as np
import pytest

from segmentation.unet.losses import LOSSES


def value(name: str, target: np.ndarray, output: np.ndarray) -> float:
    return float(keras.ops.convert_to_numpy(LOSSES[name](target.astype(np.float32), output.astype(np.float32))))


def brute(target: np.ndarray, output: np.ndarray) -> tuple[float, float]:
    """Dice and cross-entropy by loops over channels and pixels."""
    parts, entropies = [], []
    for c in range(target.shape[-1]):
        both = whole = 0.0
        for t, p in zip(target[..., c].ravel(), output[..., c].ravel(), strict=True):
            both += t * p
            whole += t + p
            entropies.append(-(t * np.log(p) + (1 - t) * np.log(1 - p)))
        parts.append(1 - (2 * both + 1) / (whole + 1))
    return sum(parts) / len(parts), sum(entropies) / len(entropies)


def test_against_loops() -> None:
    generator = np.random.default_rng(1)
    target, output = generator.random((2, 3, 4, 2)), generator.uniform(0.01, 0.99, (2, 3, 4, 2))
    dice, bce = brute(target, output)
    assert value("dice", target, output) == pytest.approx(dice, rel=1e-5)
    assert value("bce", target, output) == pytest.approx(bce, rel=1e-5)
    assert value("dice+bce", target, output) == pytest.approx(dice + bce, rel=1e-5)


def test_ends_of_the_scale() -> None:
    full, empty = np.ones((1, 4, 4, 1)), np.zeros((1, 4, 4, 1))
    assert value("dice", full, full) == pytest.approx(0)
    assert value("dice", empty, empty) == pytest.approx(0)
    assert value("dice", full, empty) == pytest.approx(1 - 1 / 17)
    assert value("bce", full, full) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(value("bce", full, empty))
    assert value("bce", full, empty) > 10
