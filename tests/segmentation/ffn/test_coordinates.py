from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.segmentation.ffn import shuffling
from floodrunner.segmentation.ffn.coordinates import Coordinates, balanced, coordinates, sample


@pytest.fixture
def partitions() -> np.ndarray:
    """Class 1 is rare, 2 common, 7 in between; 0 and 255 are nothing to train on."""
    rng = np.random.default_rng(0)
    return rng.choice([0, 1, 2, 7, 255], (8, 11, 13), p=[0.2, 0.02, 0.5, 0.1, 0.18]).astype(np.uint8)


def in_order(table: Coordinates, seed: int) -> np.ndarray:
    def read(start: int, stop: int) -> np.ndarray:
        return table.indices[start:stop]

    return np.concatenate(list(balanced(table, read, np.random.default_rng(seed), tempfile.TemporaryFile)))


@pytest.mark.parametrize("margin", [(0, 0, 0), (1, 2, 3), (3, 0, 5)])
@pytest.mark.parametrize("background", [False, True])
def test_lists_each_voxel_of_each_class_inside_the_margin(
    partitions: np.ndarray, margin: tuple[int, int, int], background: bool
) -> None:
    table = coordinates(partitions, margin, background)
    assert table.shape == (8, 11, 13)
    expected = {0: [], 1: [], 2: [], 7: []} if background else {1: [], 2: [], 7: []}
    for flat, at in enumerate(np.ndindex(partitions.shape)):
        inside = all(m <= i < n - m for i, m, n in zip(at, margin, partitions.shape, strict=True))
        if inside and partitions[at] in expected:
            expected[partitions[at]].append(flat)
    assert table.classes.dtype == np.uint8
    assert table.indices.dtype == np.uint32
    listed = dict(zip(table.classes.tolist(), np.split(table.indices, table.starts[1:-1]), strict=True))
    assert {k: v.tolist() for k, v in listed.items()} == {k: v for k, v in expected.items() if v}
    assert table.starts[-1] == len(table.indices) > 20
    np.testing.assert_array_equal(table.counts, [len(v) for v in listed.values()])


def test_classes_are_drawn_equally_often_and_positions_too(partitions: np.ndarray) -> None:
    table = coordinates(partitions, (1, 1, 1))
    n = 60_000
    drawn = sample(table, np.random.default_rng(1), n)
    assert (drawn.shape, drawn.dtype) == ((n, 3), np.int64)
    by_class = np.bincount(partitions[tuple(drawn.T)], minlength=256)
    np.testing.assert_array_equal(np.flatnonzero(by_class), [1, 2, 7])
    deviation = 5 * np.sqrt(n * 1 / 3 * 2 / 3)
    assert np.abs(by_class[[1, 2, 7]] - n / 3).max() < deviation
    flat = np.ravel_multi_index(drawn.T, partitions.shape)
    _, of_common = np.unique(flat[partitions[tuple(drawn.T)] == 2], return_counts=True)
    assert len(of_common) == table.counts[1]
    mean = n / 3 / table.counts[1]
    assert np.abs(of_common - mean).max() < 6 * np.sqrt(mean)


def test_the_same_seed_draws_the_same(partitions: np.ndarray) -> None:
    table = coordinates(partitions, (0, 0, 0))
    first, again, other = (sample(table, np.random.default_rng(seed), 100) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_balanced_pass_holds_each_class_as_often_as_the_largest_shuffled(partitions: np.ndarray) -> None:
    table = coordinates(partitions, (0, 0, 0))
    order = in_order(table, 3)
    classes = partitions.ravel()[order]
    largest = table.counts.max()
    np.testing.assert_array_equal(np.bincount(classes)[[1, 2, 7]], [largest] * 3)
    positions, times = np.unique(order, return_counts=True)
    np.testing.assert_array_equal(positions, np.sort(table.indices))
    for value, count in zip(table.classes, table.counts, strict=True):
        assert set(times[partitions.ravel()[positions] == value]) <= {largest // count, -(-largest // count)}
    assert np.ptp([np.count_nonzero(part == 1) for part in np.array_split(classes, 4)]) < 0.5 * largest / 4
    assert (order != in_order(table, 4)).any()


@pytest.mark.parametrize("block_bits", [4, 20])
def test_the_order_is_that_of_numpy_with_the_whole_list_in_memory(
    partitions: np.ndarray, block_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffling, "_BLOCK_BITS", block_bits)
    table = coordinates(partitions, (1, 0, 0), background=True)
    largest = table.counts.max()
    rng = np.random.default_rng(8)
    parts = np.split(table.indices, table.starts[1:-1])
    expected = np.concatenate([np.resize(rng.permutation(part), largest) for part in parts])
    rng.shuffle(expected)
    order = in_order(table, 8)
    np.testing.assert_array_equal(order, expected)
    assert (order.dtype, len(order)) == (np.uint32, 4 * largest)


def test_a_margin_that_leaves_nothing_is_refused_with_the_sizes(partitions: np.ndarray) -> None:
    words = (
        r"no voxel of any partition is at least 1 x 2 x 4 voxels \(x, y, z\) away from the border of the volume of "
        r"13 x 11 x 8"
    )
    with pytest.raises(ValueError, match=words):
        coordinates(partitions, (4, 2, 1))
    with pytest.raises(ValueError, match=r"no voxel of any partition is at least 99 x 0 x 0 "):
        coordinates(partitions, (0, 0, 99))
    with pytest.raises(ValueError, match=r"no voxel of any partition"):
        coordinates(np.where(partitions % 255, 0, partitions), (0, 0, 0))


@pytest.mark.real_data
def test_lists_the_partitions_of_real_tissue(shared: Path) -> None:
    with h5py.File(shared / "snemi3d" / "reference" / "partitions.h5") as file:
        partitions = file["af"][...]
        classes, counts = file["af"].attrs["partition_counts"]
    table = coordinates(partitions, (24, 24, 24), background=True)
    np.testing.assert_array_equal(table.classes, classes)
    np.testing.assert_array_equal(table.counts, counts)
    np.testing.assert_array_equal(partitions.ravel()[table.indices], np.repeat(classes, counts))
    assert len(table.indices) == 22 * 464 * 464
