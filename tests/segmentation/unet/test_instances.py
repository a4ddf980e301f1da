from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.unet import instances

HEIGHT, WIDTH = 60, 90


def discs(*places: tuple[float, float, float]) -> np.ndarray:
    """Labels with a disc (y, x, radius) each; a pixel in two of them belongs to the nearer centre."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    away = np.stack([np.hypot(y - cy, x - cx) / r for cy, cx, r in places])
    return np.where(away.min(0) <= 1, away.argmin(0) + 1, 0)


TOUCHING = discs((20, 20, 12), (20, 41, 12), (40, 30, 13), (45, 70, 8))


def test_targets_against_a_search_pixel_by_pixel() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (6, 7)).repeat(4, 0).repeat(4, 1)
    labels[labels == 2] = 700
    interior, contact = np.zeros(labels.shape), np.zeros(labels.shape)
    for y, x in np.ndindex(labels.shape):
        if cell := labels[y, x]:
            interior[y, x] = np.hypot(*(np.argwhere(labels != cell) - (y, x)).T).min() > 1.5
        around = labels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        contact[y, x] = len(set(around[around > 0])) > 1
    assert 0.1 < interior.mean() < (labels > 0).mean()
    assert 0.1 < contact.mean() < 0.9
    np.testing.assert_array_equal(instances.targets(labels), np.stack([labels > 0, interior, contact], -1))


def test_targets_of_one_cell_everywhere_and_of_none() -> None:
    np.testing.assert_array_equal(instances.targets(np.full((3, 4), 5)), np.full((3, 4, 3), [1, 1, 0]))
    np.testing.assert_array_equal(instances.targets(np.zeros((3, 4), int)), np.zeros((3, 4, 3)))


def test_the_border_of_a_picture_is_no_outline() -> None:
    labels = np.zeros((5, 9), int)
    labels[:, :6] = 1
    np.testing.assert_array_equal(instances.targets(labels)[0, :, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0])


def test_centres_by_hand() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1:3, 2:6] = 7
    labels[4, 7] = 2
    np.testing.assert_allclose(instances.centres(labels), [(4, 7), (1.5, 3.5)])
    assert instances.centres(labels * 0).shape == (0, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_touching_cells_come_apart(channels: int) -> None:
    """By what was predicted of them, or by the shape of the mask."""
    found = instances.cells(instances.targets(TOUCHING)[..., :channels])
    assert found.dtype == np.int32
    assert found.max() == 4
    for cell in range(1, 5):
        inside = cell == TOUCHING
        best = np.bincount(found[inside]).argmax()
        overlap = np.count_nonzero(inside & (found == best)) / np.count_nonzero(inside | (found == best))
        assert overlap > 0.95
    pieces = instances._pieces(TOUCHING > 0)
    assert pieces.max() == 2  # so that there was something to take apart


def rod(angle: float, radius: float) -> np.ndarray:
    """A mask, (y, x): the pixels that near a line 40 long."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] - np.reshape((30, 45), (2, 1, 1))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.hypot(np.maximum(np.abs(along) - 20, 0), across) < radius


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("angle", [0, 0.3, np.pi / 4, 1.2])
def test_a_long_cell_is_one_cell(channels: int, angle: float) -> None:
    """Along its ridge the distance is level, but for what pixels do to it."""
    assert instances.cells(instances.targets(rod(angle, 5))[..., :channels]).max() == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("apart", "number"), [(8, 1), (12, 1), (21, 2), (23, 2)])
def test_a_neck_makes_two_of_one_however_large(channels: int, apart: int, number: int) -> None:
    """Two equal hills, one piece in each channel: a shallow saddle is no neck, in discs of twice the size neither."""
    for size in (1, 2):
        places = [(size * y, size * x) for y, x in ((15, 15), (15, 15 + apart))]
        y, x = np.mgrid[: 30 * size, : 60 * size]
        mask = np.min([np.hypot(y - cy, x - cx) for cy, cx in places], axis=0) < 12 * size
        found = instances.cells(instances.targets(mask.astype(int))[..., :channels])
        assert found.max() == number


def test_a_straight_cut_that_no_shape_shows_is_found_where_it_is_predicted() -> None:
    labels = np.zeros((20, 40), int)
    labels[4:16, 5:20], labels[4:16, 20:35] = 1, 2
    predicted = instances.targets(labels)
    assert instances.cells(predicted[..., :1]).max() == 1
    np.testing.assert_array_equal(instances.cells(predicted), labels)
    predicted[..., 2] = 0  # the outlines alone do as well
    np.testing.assert_array_equal(instances.cells(predicted), labels)
    predicted[..., 1] = predicted[..., 0]
    predicted[..., 2] = instances.targets(labels)[..., 2]  # and so does the contact
    np.testing.assert_array_equal(instances.cells(predicted), labels)


def test_all_of_a_picture_may_be_cell() -> None:
    everywhere = np.ones((12, 12, 1), np.float32)
    assert (instances.cells(everywhere) == 1).all()
    assert not instances.cells(everywhere * 0).any()


def test_noise_is_no_seed() -> None:
    predicted = instances.targets(discs((30, 30, 15)))
    predicted[28:33, 20:25, 1] = 0  # a gap, and in it
    predicted[30, 21:24, 1] = 1  # three pixels
    assert instances.cells(predicted).max() == 1
    predicted[31, 21:24, 1] = 1
    assert instances.cells(predicted).max() == 2


def test_a_cell_without_a_seed_and_a_cell_that_is_too_small() -> None:
    predicted = instances.targets(TOUCHING)
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
