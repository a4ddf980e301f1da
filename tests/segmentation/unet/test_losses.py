from __future__ import annotations

import keras
import numpy as np
import pytest

from segmentation.unet.losses import LOSSES, of_targets


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


def test_the_mask_as_chosen_and_the_distance_by_cross_entropy() -> None:
    generator = np.random.default_rng(2)
    target, output = (generator.uniform(0.1, 0.9, (2, 3, 4, 2)).astype(np.float32) for _ in range(2))
    found = float(keras.ops.convert_to_numpy(of_targets(LOSSES["dice"])(target, output)))
    (dice, _), (_, bce) = (brute(target[..., c : c + 1], output[..., c : c + 1]) for c in (0, 1))
    assert found == pytest.approx(dice + bce, rel=1e-5)
    alone = float(keras.ops.convert_to_numpy(of_targets(LOSSES["dice"])(target[..., :1], output[..., :1])))
    assert alone == pytest.approx(dice, rel=1e-5)


def test_a_distance_in_between_is_what_is_learnt() -> None:
    """Of all constant distances the one that was given is best; by Dice it would be 0 or 1."""
    tried = np.linspace(0, 1, 21)

    def best(loss: str | None) -> float:
        target = np.full((1, 4, 4, 2), 0.7, np.float32)
        total = LOSSES[loss] if loss else of_targets(LOSSES["dice"])
        outputs = [np.concatenate([target[..., :1], np.full((1, 4, 4, 1), p, np.float32)], -1) for p in tried]
        return float(tried[np.argmin([keras.ops.convert_to_numpy(total(target, each)) for each in outputs])])

    assert best(None) == pytest.approx(0.7)
    assert best("dice") == pytest.approx(1)
