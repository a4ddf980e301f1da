from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.colours import overlay
from floodrunner.stages.reports.overview import of, overview, preview
from floodrunner.stages.storage.volumes import Place


def drawn(shape: tuple[int, int, int], nm: tuple[float, float, float]) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    labels = np.ones(shape, np.uint32)
    return overview([of("image", image), of("labels", labels)], shape, Place(nm), 0.3)


def test_a_thin_stack_is_shown_closer_in_its_proportions() -> None:
    """12 sections of 30 nm under 512 pixels of 4 nm would be 90 pixels high."""
    image = np.random.default_rng(1).integers(0, 256, (12, 40, 512), np.uint8)
    picture = overview([of("image", image)], image.shape, Place((4.0, 4.0, 30.0)), 0.3)
    top = 8 + 26 + 40 + 8 + 26 + 26
    cut = picture[top : top + 180, 8 : 8 + 512]
    middle = image[:, 20, 128:384]
    np.testing.assert_array_equal(cut[7::15, ::2, 0], middle)


def test_without_a_voxel_size_there_is_no_bar() -> None:
    known, unknown = (drawn((20, 512, 512), nm) for nm in ((1.0, 1.0, 1.1), (1.0, 1.0, 1.0)))
    assert unknown.shape[0] < known.shape[0]


def test_one_section_has_no_cut() -> None:
    assert drawn((1, 512, 512), (4.0, 4.0, 30.0)).shape == (8 + 26 + 512 + 8 + 26, 8 + 2 * 520, 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (3000, 4, 4), (4, 3, 5000), (40, 9, 17)])
@pytest.mark.parametrize("nm", [(1.0, 1.0, 1.0), (4.0, 4.0, 300.0), (300.0, 4.0, 4.0)])
def test_any_shape(shape: tuple[int, int, int], nm: tuple[float, float, float]) -> None:
    assert max(drawn(shape, nm).shape) < 2500


def test_a_preview_shows_sections_from_the_whole_stack_and_labels_below() -> None:
    image = np.arange(60, dtype=np.uint8)[:, None, None].repeat(400, 1).repeat(500, 2)
    labels = np.zeros(image.shape, np.uint32)
    labels[:, 50:350, 100:400] = 3
    place = Place((4.0, 4.0, 30.0), (0, 0, 100))
    picture = preview(of("image", image), of("labels", labels), (60, 400, 500), place, 0.35)
    assert picture.shape[1] == 8 + 3 * 508
    for k, grey in enumerate((10, 30, 50)):
        left = 8 + k * 508
        np.testing.assert_array_equal(picture[34:434, left : left + 500], grey)
        top = 8 + 26 + 400 + 8 + 26 + 26
        below = picture[top : top + 400, left : left + 500]
        np.testing.assert_array_equal(below, overlay(image[grey], labels[grey], 0.35))


def test_of_a_tall_stack_the_cut_shows_the_middle_at_a_readable_size() -> None:
    """1000 sections of 30 nm under 256 pixels of 4 nm would be 35 pixels wide in 1024 pixels of height."""
    image = np.arange(1000, dtype=np.int64)[:, None, None].repeat(4, 1).repeat(256, 2) // 4
    picture = overview([of("image", image.astype(np.uint8))], image.shape, Place((4.0, 4.0, 30.0)), 0.3)
    cut = picture[-26 - 8 - 300 : -26 - 8, 8 : 8 + 256, 0]
    assert (cut == cut[:, :1]).all()
    assert 120 < cut.min() <= cut.max() < 145  # the middle 109 sections: 446 to 554, greys 111 to 138
