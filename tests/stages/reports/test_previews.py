from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.segmentation.contrast import displayed, luminance
from floodrunner.stages.reports.previews import column, write_preview
from floodrunner.stages.storage.image_sets import Picture

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_greys_are_spread_whatever_their_type(dtype: type) -> None:
    ramp = np.arange(10_000).reshape(100, 100)
    image = (100 + ramp * (100 / 10_000 if dtype == np.uint8 else 1)).astype(dtype)
    image[0, 0] = np.iinfo(dtype).max if dtype != np.float32 else 1e9  # one hot pixel does not count
    shown = displayed(image)
    assert shown.dtype == np.uint8
    assert shown[0, 0] == 255
    assert shown[0, 1] == 0
    assert abs(int(shown[50, 0]) - 128) <= 2
    assert (displayed(np.full((5, 5), 7, dtype)) == 0).all()


def test_colours_are_shown_as_grey() -> None:
    rgb = RNG.integers(0, 2**16, (20, 30, 3), np.uint16)
    np.testing.assert_array_equal(displayed(rgb), displayed(luminance(rgb)))


def test_pictures_above_and_their_cells_below(tmp_path: Path) -> None:
    labels = np.zeros((90, 180), np.int32)
    labels[20:60, 30:90] = 3
    pictures = [Picture(str(k), np.full((90, 180), k, np.uint8), labels if k % 2 else None) for k in range(9)]
    pictures[2] = Picture("2", RNG.integers(0, 256, (90, 180), np.uint8), labels)
    write_preview(tmp_path / "p.png", pictures)
    sheet = np.asarray(Image.open(tmp_path / "p.png")).astype(int)
    assert sheet.shape[1] == 8 + 4 * 368  # 0, 2, 4, 6 of nine, twice as large
    above, below = sheet[34 : 34 + 180, 376:736], sheet[248 : 248 + 180, 376:736]
    assert (above[..., 0] == above[..., 1]).all()
    coloured = (np.ptp(below, axis=2) > 20)[::2, ::2]
    assert coloured[25:55, 35:85].mean() > 0.95
    coloured[18:62, 28:92] = False
    assert not coloured.any()
    assert (sheet[34 : 34 + 180, 8:368] == 0).all()
    write_preview(tmp_path / "p.png", pictures[:1])
    assert Image.open(tmp_path / "p.png").size[0] == 376


def test_a_bar_where_the_pixel_size_is_known() -> None:
    image = RNG.integers(0, 256, (90, 180), np.uint8)
    assert [panel.nm for panel in column(Picture("a", image))] == [None, None]
    assert [panel.nm for panel in column(Picture("a", image, pixel_size_xy=(500.0, 500.0)))] == [250, 250]


def test_found_cells_have_the_colours_of_the_true_ones() -> None:
    truth = np.zeros((360, 360), np.int32)
    truth[20:100, 20:100], truth[20:100, 200:300] = 5, 9
    found = np.where(truth == 5, 1, 0)
    image = np.full(truth.shape, 120, np.uint8)
    plain, cells, true = column(Picture("a", image, found), truth)
    np.testing.assert_array_equal(cells.pixels[:, :150], true.pixels[:, :150])
    assert np.ptp(true.pixels[50, 250].astype(int)) > 0
    np.testing.assert_array_equal(cells.pixels[:, 150:], plain.pixels[:, 150:])  # the second was not found
