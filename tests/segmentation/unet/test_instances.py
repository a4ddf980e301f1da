from __future__ import annotations

import numpy as np
import pytest

from segmentation.unet import instances

HEIGHT, WIDTH = 60, 90


def discs(*places: tuple[float, float, float]) -> np.ndarray:
    """Labels with a disc (y, x, radius) each; a pixel in two of them belongs to the nearer centre."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    away = np.stack([np.hypot(y - cy, x - cx) / r for cy, cx, r in places])
    return np.where(away.min(0) <= 1, away.argmin(0) + 1, 0)


TOUCHING = discs((20, 20, 12), (20, 41, 12), (40, 30, 13), (45, 70, 8))


def test_targets_against_a_search_for_the_nearest_pixel_outside() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (6, 7)).repeat(3, 0).repeat(3, 1)
    labels[labels == 2] = 700
    found = instances.targets(labels)
    np.testing.assert_array_equal(found[..., 0], labels > 0)
    expected = np.zeros(labels.shape)
    for cell in (1, 700):
        outside = np.argwhere(labels != cell)
        for y, x in np.argwhere(labels == cell):
            expected[y, x] = np.hypot(*(outside - (y, x)).T).min()
        expected[labels == cell] /= expected[labels == cell].max()
    assert 0 < expected[labels > 0].min() < 0.8
    np.testing.assert_allclose(found[..., 1], expected, atol=1e-6)


def test_targets_of_one_cell_everywhere_and_of_none() -> None:
    np.testing.assert_array_equal(instances.targets(np.full((3, 4), 5)), np.ones((3, 4, 2)))
    np.testing.assert_array_equal(instances.targets(np.zeros((3, 4), int)), np.zeros((3, 4, 2)))


def test_the_border_of_a_picture_is_no_outline() -> None:
    labels = np.zeros((5, 9), int)
    labels[:, :6] = 1
    np.testing.assert_allclose(instances.targets(labels)[2, :, 1], [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0, 0, 0])


def test_touching_cells_come_apart() -> None:
    predicted = instances.targets(TOUCHING)
    found = instances.cells(predicted)
    assert found.dtype == np.int32
    assert found.max() == 4
    for cell in range(1, 5):
        inside = cell == TOUCHING
        best = np.bincount(found[inside]).argmax()
        overlap = np.count_nonzero(inside & (found == best)) / np.count_nonzero(inside | (found == best))
        assert overlap > 0.95
    pieces = instances._pieces(TOUCHING > 0)
    assert pieces.max() == 2  # so that there was something to take apart


def test_without_a_distance_that_of_the_mask_serves() -> None:
    labels = discs((20, 20, 12), (20, 41, 12), (45, 70, 8))
    found = instances.cells(instances.targets(labels)[..., :1])
    assert found.max() == 3
    assert len({found[20, 20], found[20, 41], found[45, 70]} - {0}) == 3


def test_noise_on_a_hill_is_no_cell() -> None:
    predicted = instances.targets(discs((30, 30, 15)))
    hill = predicted[..., 1]
    hill[30, 14:18] = hill[30, 14:18] * 0  # a gap
    hill[17, 30] = 0.9  # a pixel, away from the middle
    assert instances.cells(predicted).max() == 1


def test_a_cell_without_a_hill_and_a_cell_that_is_too_small() -> None:
    predicted = instances.targets(TOUCHING)
    predicted[..., 1] *= 0.3  # low hills are hills
    assert instances.cells(predicted).max() == 4
    predicted[..., 1] = 0
    found = instances.cells(predicted)
    np.testing.assert_array_equal(found > 0, TOUCHING > 0)
    assert found.max() == 2
    assert instances.cells(predicted, min_size=300).max() == 1
    assert instances.cells(predicted, threshold=0.999).max() == 2
    assert instances.cells(predicted * 0.9, threshold=0.95).max() == 0


def test_measures_by_hand() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1:3, 2:6] = 1
    labels[4, 7] = labels[5, 7] = labels[5, 6] = 2
    image = np.arange(48, dtype=np.uint8).reshape(6, 8)
    first, second = instances.measure(labels, image)
    assert first == (1, 8, 3.5, 1.5, 2, 1, 4, 2, 15.5)
    assert second == (2, 3, pytest.approx(20 / 3), pytest.approx(14 / 3), 6, 4, 2, 2, pytest.approx((39 + 46 + 47) / 3))
    assert instances.measure(labels * 0, image) == []
