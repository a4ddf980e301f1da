from __future__ import annotations

import keras
import numpy as np
import pytest

from floodrunner.segmentation.unet.losses import LOSSES, Pooled


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


@pytest.mark.parametrize("name", LOSSES)
def test_pictures_pooled_are_one_batch(name: str) -> None:
    generator, pooled, pixels = np.random.default_rng(3), Pooled(), []
    for shape in ((3, 4, 2), (7, 5, 2), (1, 1, 2)):
        target, output = generator.integers(0, 2, shape), generator.uniform(0, 1, shape)
        pooled.add(target.astype(np.float32), output.astype(np.float32))
        pixels.append([array.reshape(1, 1, -1, 2) for array in (target, output)])
    together = value(name, *(np.concatenate(each, 2) for each in zip(*pixels, strict=True)))
    assert pooled.value(name) == pytest.approx(together, rel=1e-5)


def test_pooled_losses_are_exact_on_millions_of_pixels() -> None:
    pooled = Pooled()
    target, output = np.zeros((1000, 1000, 1), np.float32), np.full((1000, 1000, 1), 0.01, np.float32)
    target[:10], output[:10] = 1, 0.9
    for _ in range(20):
        pooled.add(target, output)
    n = 20 * 10**6
    dice = 1 - (2 * 0.01 * n * 0.9 + 1) / (0.01 * n * 1.9 + 0.99 * n * 0.01 + 1)
    assert pooled.value("dice") == pytest.approx(dice, rel=1e-6)
    assert pooled.value("bce") == pytest.approx(-0.01 * np.log(0.9) - 0.99 * np.log(0.99), rel=1e-5)
