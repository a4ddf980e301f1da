from __future__ import annotations

import math

import numpy as np
import pytest

from floodrunner.segmentation.statistics import moments

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 3, 100])
def test_moments_of_parts_are_those_of_the_whole(dtype: type, depth: int) -> None:
    array = RNG.normal(60, 20, (10, 11, 12)).astype(dtype)
    found, tissue, odd = moments(array[z : z + depth] for z in range(0, len(array), depth))
    assert tissue == found
    assert not odd
    assert found.mean == pytest.approx(array.mean(dtype=np.float64), rel=1e-12)
    assert found.stddev == pytest.approx(array.std(dtype=np.float64), rel=1e-12)
    assert (found.minimum, found.maximum, found.voxels) == (array.min(), array.max(), array.size)


def test_a_small_spread_on_a_large_mean_does_not_cancel() -> None:
    array = np.where(RNG.random(10_000) < 0.5, 65535, 65534).astype(np.uint16)
    ones = int((array == 65535).sum())
    assert moments([array[None, None]])[0].stddev == pytest.approx(
        math.sqrt(ones * (10_000 - ones)) / 10_000, rel=1e-15
    )
    floats = array.reshape(2, 1, 50, 100).astype(np.float32) + 2**23 - 65534
    found, _, _ = moments(floats)
    assert found.stddev == pytest.approx(math.sqrt(ones * (10_000 - ones)) / 10_000, rel=1e-9)


def test_what_has_no_moments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^3 voxels are NaN or infinite$"):
        moments(np.array([1, 1, 1, 1, np.nan, 1, np.inf, -np.inf]).reshape(2, 1, 2, 2))
    with pytest.raises(ValueError, match=r"^there are no voxels$"):
        moments([])
