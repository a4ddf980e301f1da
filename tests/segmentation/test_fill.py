from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from floodrunner.segmentation import fill as module
from floodrunner.segmentation.fill import fill, reach


def sparse(seed: int, shape: tuple[int, int, int], density: float, dtype: type = np.uint32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, dtype)
    chosen = rng.random(shape) < density
    labels[chosen] = rng.integers(1, 120, chosen.sum())
    return labels


def brute_force(
    labels: np.ndarray, spacing: tuple[float, float, float], max_distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest id that each voxel may get, by the distance of each hole to each labelled voxel."""
    smallest, largest = labels.copy(), labels.copy()
    sources = np.argwhere(labels)
    for hole in np.argwhere(labels == 0):
        distance = np.sqrt((((sources - hole) * spacing) ** 2).sum(axis=1))
        if len(distance) and distance.min() <= max_distance + 1e-9:
            nearest = labels[tuple(sources[distance <= distance.min() + 1e-9].T)]
            smallest[tuple(hole)], largest[tuple(hole)] = nearest.min(), nearest.max()
    return smallest, largest


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    density=st.sampled_from([0.002, 0.02, 0.2]),
    spacing=st.sampled_from([(30.0, 4.0, 4.0), (1.0, 1.0, 1.0), (33.0, 6.5, 6.0), (4.0, 4.0, 30.0), (0.3, 0.1, 0.1)]),
    steps=st.sampled_from([0.5, 1.0, 2.0, 5.0, 30.0]),
)
def test_equals_brute_force(seed: int, density: float, spacing: tuple[float, float, float], steps: float) -> None:
    labels = sparse(seed, (5, 8, 9), density)
    max_distance = steps * min(spacing)
    filled = fill(labels, spacing, max_distance)
    smallest, largest = brute_force(labels, spacing, max_distance)
    if all((2 * each).is_integer() for each in spacing):
        np.testing.assert_array_equal(filled, smallest)
    else:  # 0.3 and 3 * 0.1 differ by rounding, so that either of two ids may win; a voxel is still filled or not
        assert ((filled == smallest) | (filled == largest)).all()


def test_equally_near_segments_are_many_and_the_smallest_id_wins() -> None:
    labels = np.zeros((1, 1, 5), np.uint8)
    labels[0, 0, [0, 4]] = 9, 5
    np.testing.assert_array_equal(fill(labels, (1, 1, 1), 2)[0, 0], [9, 9, 5, 5, 5])
    np.testing.assert_array_equal(fill(labels, (1, 1, 1), 1.9)[0, 0], [9, 9, 0, 5, 5])


def test_the_limit_is_inclusive_and_in_nm() -> None:
    labels = np.zeros((3, 1, 12), np.uint8)
    labels[0, 0, 0] = 1
    filled = fill(labels, (30, 4, 4), 40)
    assert [int(n) for n in (filled > 0).sum(axis=(1, 2))] == [11, 7, 0]  # 10 * 4 = 40; 30^2 + (6 * 4)^2 < 40^2
    diagonal = fill(labels, (30, 4, 10), 50)  # 30, 40, 50
    assert diagonal[1, 0, 4] == 1
    assert diagonal[1, 0, 5] == 0
    assert reach((9, 9, 2), (0.1, 0.3, 0.1), 0.3) == (3, 1, 1)  # although 0.3 / 0.1 < 3, as computed


@pytest.mark.parametrize("block", [(2, 3, 4), (1, 100, 5), (7, 7, 7)])
def test_blockwise_equals_whole(block: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    labels = sparse(3, (12, 40, 37), 0.01)
    whole = fill(labels, (30, 4, 4), 60)
    monkeypatch.setattr(module, "_BLOCK", block)
    np.testing.assert_array_equal(fill(labels, (30, 4, 4), 60), whole)
    assert np.count_nonzero(whole != labels) > 5000


def test_a_part_with_its_surroundings_equals_the_whole() -> None:
    labels = sparse(4, (12, 40, 37), 0.01)
    whole = fill(labels, (30, 4, 4), 60)
    z, y, x = reach(labels.shape, (30, 4, 4), 60)
    assert (z, y, x) == (2, 15, 15)
    part = fill(labels[3:11], (30, 4, 4), 60)
    np.testing.assert_array_equal(part[z:-z], whole[3 + z : 11 - z])
    assert (part != whole[3:11]).any()  # the surroundings are needed


def test_fills_exactly_where_the_distance_transform_says() -> None:
    labels = np.kron(sparse(5, (8, 12, 12), 0.02), np.ones((4, 6, 6), np.uint32))
    filled = fill(labels, (30, 4, 4), 70)
    distance = ndimage.distance_transform_edt(labels == 0, sampling=(30, 4, 4))
    np.testing.assert_array_equal(filled > 0, distance <= 70)
    np.testing.assert_array_equal(filled[labels > 0], labels[labels > 0])
    assert 0.05 < (distance > 70).mean() < 0.95


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, np.int64])
def test_keeps_the_type_and_ids_of_any_size(dtype: type) -> None:
    largest = np.iinfo(dtype).max
    labels = np.zeros((2, 2, 4), dtype)
    labels[:, :, 0], labels[:, :, 3] = largest, largest - 1
    filled = fill(labels, (1, 1, 1), 1)
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[0, 0], np.array([largest, largest, largest - 1, largest - 1], dtype))


def test_nothing_to_fill_and_nothing_to_fill_with() -> None:
    full, empty = np.ones((3, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
    np.testing.assert_array_equal(fill(full, (1, 1, 1), 3), full)
    np.testing.assert_array_equal(fill(empty, (1, 1, 1), 3), empty)
