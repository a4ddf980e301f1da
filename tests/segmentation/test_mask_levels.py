from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label, zoom

from floodrunner.segmentation.mask_levels import (
    Levels,
    are_specks,
    differ_in_white,
    mask_levels,
    piece_sizes,
    pieces,
    value_counts,
)

RNG = np.random.default_rng(3)


def levels_of(*masks: np.ndarray, known: bool = False) -> Levels | None:
    return mask_levels(*np.unique(np.concatenate([mask.ravel() for mask in masks]), return_counts=True), known)


def blobs() -> np.ndarray:
    y, x = np.mgrid[:200, :200]
    return sum((np.hypot(y - cy, x - cx) < 14) for cy, cx in ((40, 50), (100, 90), (160, 30), (60, 150))) > 0


def as_jpeg(mask: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (1, 2), (0, 65535)])
def test_two_values_are_levels(low: int, high: int) -> None:
    levels = levels_of(np.where(blobs(), high, low))
    assert levels == (low, high, True)
    assert low <= levels.cut < high


@pytest.mark.parametrize("quality", [95, 75, 40])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (255, 0), (3, 250)])
def test_what_jpeg_leaves_of_two_values_is_cut_where_they_were(quality: int, low: int, high: int) -> None:
    mask = np.where(blobs(), high, low).astype(np.uint8)
    blurred = as_jpeg(mask, quality)
    assert len(np.unique(blurred)) > 5
    levels = levels_of(blurred)
    assert levels is not None
    assert not levels.exact
    assert ((blurred > levels.cut) != (mask > 128)).mean() < 1e-3


def test_254_and_255_are_one_level() -> None:
    mask = np.where(blobs(), 255, 0)
    mask[blobs() & (RNG.random(mask.shape) < 0.3)] = 254
    assert levels_of(mask, known=True) == (0, 255, False)
    assert levels_of(mask) is None  # unless it is known that they are no ids


def test_a_resized_mask_is_levels() -> None:
    levels = levels_of(zoom(np.where(blobs(), 255, 0).astype(np.uint8), 1.3, order=1))
    assert levels is not None
    assert not levels.exact


@pytest.mark.parametrize("ids", [2, 3, 12, 200, 3000])
def test_ids_are_not(ids: int) -> None:
    labels = RNG.integers(1, ids + 1, (20, 20))
    labels[0, :ids] = np.arange(1, ids + 1)[:20]
    labels[10:] = 0
    assert levels_of(labels.repeat(4, 0).repeat(4, 1)) is None


def test_two_cells_of_which_one_is_small_are_not() -> None:
    assert mask_levels(np.array([0, 1, 2]), np.array([900, 5, 95])) is None


@pytest.mark.parametrize("known", [True, False])
def test_colours_and_16_bit_greys_are_blurred_never(known: bool) -> None:
    values = np.array([0, *range(1, 12), *range(65520, 65536)])
    assert mask_levels(values % 256, np.ones(len(values), int), known) is not None
    assert mask_levels(values, np.ones(len(values), int), known) is None
    assert mask_levels(np.array([0, 255, 65280, 16711680]), np.array([900, 40, 40, 40]), known) is None


@pytest.mark.parametrize("ids", [(0, 1, 255), (0, 1, 3, 240), (0, 1, 2, 3, 240, 250)])
def test_a_few_ids_near_both_ends_are_not(ids: tuple[int, ...]) -> None:
    assert mask_levels(np.array(ids), np.array([900, *[50] * (len(ids) - 1)])) is None


def test_grey_pictures_are_not() -> None:
    assert levels_of(RNG.integers(0, 256, (50, 50), np.uint8)) is None
    assert levels_of(RNG.normal(128, 30, (50, 50)).astype(np.uint8)) is None


@pytest.mark.parametrize("largest", [255, 2**16 - 1, 2**40])
def test_values_are_counted_over_all_masks(largest: int) -> None:
    masks = [RNG.integers(0, 5, shape).astype(np.uint64) for shape in ((20, 30), (7, 8), (1, 1))]
    masks[1][0, 0] = largest
    values, counts = np.unique(np.concatenate([mask.ravel() for mask in masks]), return_counts=True)
    found = value_counts(masks)
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], counts)


@pytest.mark.parametrize(
    ("masks", "differ"),
    [
        (([0, 1], [0, 255]), True),
        (([0, 1], [255, 255], [0, 0]), True),
        (([0, 255], [0, 255]), False),  # two values in all: no need to tell
        (([1, 1], [2, 2]), False),
        (([0, 1, 2], [0, 255, 0]), False),  # ids in one of them
        (([1, 2], [0, 255]), False),  # white alone, in two greys
    ],
)
def test_masks_that_differ_in_white(masks: tuple[list[int], ...], differ: bool) -> None:
    assert differ_in_white([np.array([mask], np.uint32) for mask in masks]) is differ


@pytest.mark.parametrize("neighbours", [4, 8])
def test_pieces_are_those_of_scipy(neighbours: int) -> None:
    mask = RNG.random((60, 70)) < 0.45
    expected, count = label(mask, np.ones((3, 3)) if neighbours == 8 else None)
    found = pieces(mask, neighbours)
    assert found.dtype == np.int32
    assert found.max() == count > 20
    assert len(np.unique(np.stack([found, expected]).reshape(2, -1), axis=1).T) == count + 1
    if neighbours == 8:
        sizes = piece_sizes([mask.astype(np.uint32), mask.astype(np.uint32)])
        np.testing.assert_array_equal(np.sort(sizes), np.sort(np.tile(np.bincount(expected.ravel())[1:], 2)))


def test_greys_along_blurred_outlines_are_specks_and_cells_are_not() -> None:
    mask = np.where(blobs(), 255, 0).astype(np.uint8)
    assert are_specks(piece_sizes([zoom(mask, 1.3, order=1)]))
    assert not are_specks(piece_sizes([mask]))
    assert are_specks(np.array([1, 2, 2, 900, 900]))
    assert not are_specks(np.array([2, 12, 13]))


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["dsb2018", "isbi2012"])
def test_real_masks_as_jpeg(shared, name: str) -> None:
    files = sorted((shared / name / "labels").glob("*.png"))[:20]
    labels = [np.asarray(Image.open(file)) for file in files]
    assert (levels_of(*labels) is None) == (name == "dsb2018")  # ids, or membranes
    masks = [np.where(each > 0, 255, 0).astype(np.uint8) for each in labels]
    blurred = [as_jpeg(mask, 60) for mask in masks]
    levels = levels_of(*blurred)
    assert levels is not None
    assert not levels.exact
    wrong = [((b > levels.cut) != (m > 0)).mean() for b, m in zip(blurred, masks, strict=True)]
    assert max(wrong) < 1e-3
