from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from floodrunner.segmentation import objects
from floodrunner.segmentation.objects import FACES, Measuring, Objects

LABELS = arrays(np.uint16, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 4))


def measured(labels: np.ndarray, depth: int) -> Objects:
    measuring = Measuring(labels.shape, labels.dtype)
    for z in range(0, len(labels), depth):
        measuring.add(labels[z : z + depth], z)
    return measuring.result()


@settings(max_examples=100, deadline=None)
@given(labels=LABELS, depth=st.integers(1, 6), at_once=st.integers(1, 20))
def test_equals_brute_force_in_parts_of_any_size(labels: np.ndarray, depth: int, at_once: int) -> None:
    with mock.patch.object(objects, "_AT_ONCE", at_once):
        found = measured(labels, depth)
    assert found.ids.tolist() == sorted(set(labels.ravel().tolist()) - {0})
    assert found.ids.dtype == labels.dtype
    for row, one in enumerate(found.ids):
        at = np.argwhere(labels == one)
        assert found.voxels[row] == len(at)
        np.testing.assert_array_equal(found.low[row], at.min(axis=0))
        np.testing.assert_array_equal(found.high[row], at.max(axis=0))
        np.testing.assert_allclose(found.centroid[row], at.mean(axis=0))
        faces = [int((at[:, axis] == end).sum()) for axis in range(3) for end in (0, labels.shape[axis] - 1)]
        assert found.border[row].tolist() == faces
    assert len(FACES) == 6


def test_ids_of_64_bits_and_slabs_in_any_order() -> None:
    labels = np.zeros((4, 3, 5), np.uint64)
    labels[1:, 1, 2:] = 2**64 - 9
    labels[0, 0, 0] = 2**63 + 1
    measuring = Measuring(labels.shape, labels.dtype)
    measuring.add(labels[2:], 2)
    measuring.add(labels[:2], 0)
    found = measuring.result()
    assert found.ids.tolist() == [2**63 + 1, 2**64 - 9]
    assert found.voxels.tolist() == [1, 9]
    assert found.centroid[1].tolist() == [2, 1, 3]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5)])
def test_no_object_at_all(shape: tuple[int, int, int]) -> None:
    found = measured(np.zeros(shape, np.int32), 2)
    assert [len(column) for column in found] == [0] * 6
    assert found.ids.dtype == np.int32
