from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.mask_figures import figures, value_for_none

Y, X = np.mgrid[:60, :80]


def discs(value_of_second: int = 2) -> np.ndarray:
    mask = np.zeros((60, 80), np.uint32)
    mask[np.hypot(Y - 20, X - 20) < 9] = 1
    mask[np.hypot(Y - 35, X - 55) < 12] = value_of_second
    return mask


def test_ids_and_pieces() -> None:
    remnant = discs()
    remnant[50:52, 5:7] = 1  # left over from drawing
    found = figures([discs(), np.zeros((60, 80), np.uint32), discs(1), remnant])
    assert (found.ids, found.pieces, found.filled, found.around) == (2 + 1 + 2, 2 + 2 + 3, 3, 0)
    assert found.apart == [(2, 1, 2)]
    assert found.sizes.tolist() == [
        size for mask in (discs(), discs(1), remnant) for size in np.unique(mask, return_counts=True)[1][1:]
    ]
    assert found.covered == pytest.approx(found.sizes.sum() / (4 * 60 * 80))


def test_ids_may_be_large_and_have_gaps() -> None:
    found = figures([discs(2**31 - 1)])
    assert (found.ids, found.pieces, found.apart) == (2, 2, [])


def test_what_touches_all_sides() -> None:
    ground = np.where(discs() > 0, 0, 1)
    assert figures([ground, ground, discs()]).around == 2
    corner = ground.copy()
    corner[:, -1] = 0
    assert figures([corner]).around == 0


@pytest.mark.parametrize("value", [255, 65535, 2**24 - 1, 2**32 - 1, 2**64 - 1, 2**64 - 2])
def test_all_bits_around_ids_are_none(value: int) -> None:
    mask = discs().astype(np.uint64)
    mask[mask == 0] = value
    assert value_for_none([mask, mask]) == (value, "surrounds")
    with_zero = mask.copy()
    with_zero[30:32] = 0
    assert value_for_none([with_zero]) == (value, "surrounds")


def outlined() -> np.ndarray:
    mask = discs()
    for y, x, radius in ((20, 20, 9), (35, 55, 12)):
        mask[np.abs(np.hypot(Y - y, X - x) - radius) <= 1] = 255
    return mask


def test_lines_around_ids_are_none() -> None:
    """As in PASCAL VOC, where 255 is the border of objects."""
    assert value_for_none([outlined(), discs(), outlined()]) == (255, "lines")
    assert value_for_none([outlined(), discs(), discs()]) is None
    other = outlined()
    other[other == 255] = 3
    assert value_for_none([other]) is None


def test_any_id_around_all_others_where_no_pixel_is_0() -> None:
    mask = discs() + 1
    assert value_for_none([mask, mask]) == (1, "surrounds")
    assert value_for_none([discs(), mask]) is None  # 0 is none there


@pytest.mark.parametrize(
    "mask",
    [
        discs(),
        discs(255),
        np.where(discs(255) > 0, 255, 0),
        np.where(discs() > 0, 0, 255),  # binary: which is which is not decided here
        np.kron(np.arange(1, 5).reshape(2, 2), np.ones((30, 40))).astype(int),  # ids that fill the picture
        np.kron(np.array([[1, 255], [2, 3]]), np.ones((30, 40))).astype(int),
    ],
)
def test_ids_of_cells_are_cells(mask: np.ndarray) -> None:
    assert value_for_none([mask.astype(np.uint32)] * 3) is None
