from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from floodrunner.segmentation.ffn import partitions
from floodrunner.segmentation.ffn.partitions import OUTSIDE, partition

THRESHOLDS = (0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def blobs(rng: np.random.Generator, shape: tuple[int, int, int], ids: list[int], dtype: type) -> np.ndarray:
    """Overlapping boxes of random size, the later over the earlier, and holes of background."""
    labels = np.zeros(shape, dtype)
    for label in [*ids, *ids, 0]:
        start = [rng.integers(0, n) for n in shape]
        labels[tuple(slice(s, s + rng.integers(1, n)) for s, n in zip(start, shape, strict=True))] = label
    return labels


def brute_force(
    labels: np.ndarray, radius: tuple[int, int, int], thresholds: tuple[float, ...], min_size: int
) -> np.ndarray:
    sizes = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    result = np.zeros(labels.shape, np.uint8)
    for at in np.ndindex(labels.shape):
        low = [i - r for i, r in zip(at, radius, strict=True)]
        high = [i + r + 1 for i, r in zip(at, radius, strict=True)]
        if min(low) < 0 or any(h > n for h, n in zip(high, labels.shape, strict=True)):
            result[at] = 255
        elif labels[at] and sizes[labels[at]] >= min_size:
            box = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
            fraction = np.count_nonzero(box == labels[at]) / box.size
            below = [i for i, threshold in enumerate(thresholds) if fraction < threshold]
            result[at] = 1 + (below[0] if below else len(thresholds))
    return result


@pytest.mark.parametrize("radius", [(1, 2, 3), (0, 0, 0), (2, 1, 0), (3, 1, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, np.int32])
def test_equals_brute_force(radius: tuple[int, int, int], dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_BLOCK", (3, 4, 5))  # several blocks to an object
    ids = [1, 7, 100, 255 if dtype is np.uint8 else 300]
    labels = blobs(np.random.default_rng(sum(radius)), (11, 13, 12), ids, dtype)
    expected = brute_force(labels, radius, THRESHOLDS, 20)
    np.testing.assert_array_equal(partition(labels, radius, THRESHOLDS, 20), expected)
    assert radius == (0, 0, 0) or len(np.unique(expected)) > 4


def test_ids_that_differ_only_beyond_float64_are_different_objects() -> None:
    labels = np.full((3, 3, 6), 2**63 + 1, np.uint64)
    labels[:, :, 3:] = 2**63 + 2
    row = partition(labels, (1, 1, 1), (0.5, 0.9), 1)[1, 1]
    np.testing.assert_array_equal(row, [OUTSIDE, 3, 2, 2, 3, OUTSIDE])


def test_a_fraction_equal_to_a_threshold_reaches_it() -> None:
    """0.1 of 1000 voxels has no exact float64: the class is that of `count / volume < t`, as numpy computes it."""
    volume = 21 * 21 * 21
    counts = np.arange(volume + 1)
    thresholds = [c / volume for c in (1, 463, 926, 4630, 9000)]
    by_definition = 1 + sum((~(counts / volume < t)).astype(int) for t in thresholds)
    np.testing.assert_array_equal(partitions._class_by_count(thresholds, volume), by_definition)
    assert by_definition[463] == by_definition[462] + 1 == 3


def test_counts_do_not_overflow_where_the_box_is_larger_than_a_byte_or_two_can_count() -> None:
    labels = np.ones((5, 257, 259), np.uint8)  # up to 5 * 257 * 257 = 330245 voxels
    result = partition(labels, (2, 128, 128), (0.5, 1.0), 1)
    np.testing.assert_array_equal(np.unique(result), [3, OUTSIDE])
    assert (result == 3).sum() == 3


def test_min_size_counts_the_label_not_its_parts() -> None:
    labels = np.zeros((1, 1, 9), np.uint8)
    labels[0, 0, [0, 4, 8]] = 1
    labels[0, 0, [2, 6]] = 2
    np.testing.assert_array_equal(partition(labels, (0, 0, 0), (0.5,), 3)[0, 0], [2, 0, 0, 0, 2, 0, 0, 0, 2])


def test_sizes_of_objects_are_counted_over_all_parts() -> None:
    labels = np.array([[[0, 9, 9]], [[2**64 - 2, 0, 9]], [[3, 3, 2**64 - 2]]], np.uint64)
    ids, sizes = partitions.object_sizes([labels[:1], labels[1:]])
    assert (ids.dtype, ids.tolist(), sizes.tolist()) == (np.uint64, [3, 9, 2**64 - 2], [2, 3, 2])
    kept = partitions.large_objects(ids, sizes, 3)
    numbered = partitions.number_objects([labels[:2], labels[2:]], labels.shape, kept)
    assert numbered.dtype == np.uint8  # one object: the ids themselves would take 8 bytes a voxel
    np.testing.assert_array_equal(numbered, labels == 9)


def test_more_objects_than_a_byte_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_BLOCK", (2, 64, 64))
    labels = np.arange(1, 301, dtype=np.uint32).reshape(1, 15, 20).repeat(5, 0) * 1000
    assert (partition(labels, (1, 1, 1), (1 / 27, 4 / 27), 5)[1:-1, 1:-1, 1:-1] == 2).all()  # 3 of 27 voxels


def test_progress_ends_at_the_total() -> None:
    calls: list[tuple[int, int]] = []
    partition(np.ones((4, 4, 4), np.uint8), (1, 1, 1), (0.5,), 1, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 1)]
    partition(np.ones((135, 1, 1), np.uint8), (1, 0, 0), (0.5,), 1, lambda done, total: calls.append((done, total)))
    assert calls[1:] == [(1, 3), (2, 3), (3, 3)]


def test_a_box_that_does_not_fit_is_refused_with_its_size() -> None:
    with pytest.raises(ValueError, match=r"a box of 3 x 3 x 9 voxels \(x, y, z; radius 1 x 1 x 4\) does not fit in a "):
        partition(np.ones((8, 20, 20), np.uint8), (4, 1, 1), (0.5,), 1)


def test_no_object_of_the_least_size_is_refused_with_the_largest() -> None:
    with pytest.raises(ValueError, match=r"the largest object has 64 voxels, but min_size is 65"):
        partition(np.ones((4, 4, 4), np.uint8), (1, 1, 1), (0.5,), 65)
    with pytest.raises(ValueError, match=r"the largest object has 0 voxels"):
        partition(np.zeros((4, 4, 4), np.uint8), (1, 1, 1), (0.5,), 0)


@pytest.mark.real_data
def test_equals_google_ffn_on_real_tissue(shared: Path) -> None:
    sections = sorted((shared / "snemi3d" / "labels").glob("*.png"))
    labels = np.stack([np.asarray(Image.open(path)) for path in sections])
    with h5py.File(shared / "snemi3d" / "reference" / "partitions.h5") as file:
        reference = file["af"][...]
    assert reference.shape == labels.shape == (70, 512, 512)
    differing = np.count_nonzero(partition(labels, (24, 24, 24), THRESHOLDS, 10000) != reference)
    assert differing == 0
    assert np.count_nonzero((reference > 0) & (reference < OUTSIDE)) == 3869269
