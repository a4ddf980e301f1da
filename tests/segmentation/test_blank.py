"""Sections, and parts of sections, that show no tissue."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, rotate

from floodrunner.segmentation.blank import black_border, look, odd
from floodrunner.segmentation.contrast import percentile_range
from floodrunner.segmentation.statistics import moments

RNG = np.random.default_rng(8)
TISSUE = RNG.integers(1, 255, (12, 20, 30), np.uint8)


def found(volume: np.ndarray):
    return odd([look(section) for section in volume])


def test_tissue_is_not_odd() -> None:
    dark = np.tile(TISSUE, (1, 6, 1))
    dark[3, 0] = 0  # one black row of a camera is less than 1 % of a section
    dark[4, 5:9, 5:9] = 0
    for volume in (TISSUE, dark, TISSUE.astype(np.float32), TISSUE.astype(np.uint16) * 257):
        assert not found(volume)
        whole, tissue, _ = moments([volume[:5], volume[5:]])
        assert whole == tissue


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("value", [0, 77])
def test_blank_sections_do_not_count(dtype: type, value: int) -> None:
    volume = TISSUE.astype(dtype)
    volume[[2, 7]] = value
    assert found(volume).blank == {2: value, 7: value}
    whole, tissue, odd_ones = moments(volume[z : z + 5] for z in range(0, 12, 5))
    kept = np.delete(volume, [2, 7], axis=0).astype(np.float64)
    assert (tissue.mean, tissue.stddev) == pytest.approx((kept.mean(), kept.std()), rel=1e-12)
    assert (tissue.minimum, tissue.maximum, tissue.voxels) == (kept.min(), kept.max(), kept.size)
    assert (whole.mean, whole.voxels) == (pytest.approx(volume.mean(dtype=np.float64)), volume.size)
    assert odd_ones == found(volume)


def test_a_black_frame_does_not_count() -> None:
    """Alignment moves each section by another distance, so each has a frame of its own."""
    volume = np.zeros((12, 40, 50), np.uint8)
    for z, section in enumerate(TISSUE):
        volume[z, z : z + 20, 3 + z : 33 + z] = section
    framed = found(volume)
    assert framed.bordered == list(range(12))
    assert framed.border_share == pytest.approx(1 - 600 / 2000)
    assert not framed.saturated
    _, tissue, _ = moments([volume])
    assert tissue == moments([TISSUE])[0]


@pytest.mark.parametrize("sections", [1, 6, 12])
@pytest.mark.parametrize("width", [1, 10, 25])
def test_black_strips_do_not_count(sections: int, width: int) -> None:
    """However many sections have one, and however little tissue is left."""
    volume = TISSUE.copy()
    volume[:sections, :, :width] = 0
    assert found(volume).bordered == list(range(sections))
    assert not found(volume).saturated
    _, tissue, _ = moments([volume])
    kept = np.concatenate([volume[:sections, :, width:].ravel(), volume[sections:].ravel()])
    assert (tissue.voxels, tissue.mean) == (kept.size, pytest.approx(kept.mean()))


def test_little_tissue_on_black_is_cut_out() -> None:
    volume = TISSUE.copy()
    for z in range(5):
        volume[z] = 0
        volume[z, 2 + z : 9 + z, 4 : 12 + z] = TISSUE[z, 2 + z : 9 + z, 4 : 12 + z]
    _, tissue, odd_ones = moments([volume])
    assert (odd_ones.bordered, odd_ones.saturated) == ([0, 1, 2, 3, 4], [])
    assert tissue.voxels == np.count_nonzero(volume)


@pytest.mark.parametrize("degrees", [3, 12, 45, -30])
@pytest.mark.parametrize("reshape", [True, False])
def test_corners_of_turned_sections_do_not_count(degrees: int, reshape: bool) -> None:
    upright = RNG.integers(1, 255, (4, 90, 120), np.uint8)
    volume = rotate(upright, degrees, axes=(1, 2), order=0, reshape=reshape)
    _, tissue, odd_ones = moments([volume])
    assert odd_ones.bordered == [0, 1, 2, 3]
    assert tissue.voxels == pytest.approx(np.count_nonzero(volume), rel=0.002)
    assert (tissue.mean, tissue.stddev) == pytest.approx((upright.mean(), upright.std()), rel=0.02)


def test_sheared_and_bent_sections() -> None:
    y, x = np.mgrid[:100, :120]
    sheared = (x > 0.3 * y) & (x < 0.3 * y + 80)
    bent = (y > 9 + 4 * np.sin(x / 15)) & (x > 12 + 4 * np.sin(y / 20)) & (x < 105 + 4 * np.cos(y / 25))
    for full in (sheared, bent):
        section = np.where(full, RNG.integers(1, 255, full.shape), 0).astype(np.uint8)
        border = black_border(section)
        assert border is not None
        assert np.count_nonzero(border == full) < 0.01 * full.size


def test_black_voxels_of_tissue_are_no_border() -> None:
    """Also where they lie at the edge of the tissue."""
    tissue = RNG.integers(0, 40, (60, 90), np.uint8)
    section = np.pad(tissue, 10)
    border = black_border(section)
    assert border is not None
    assert np.count_nonzero(~border) == pytest.approx(tissue.size, rel=0.001)
    assert look(section).border == pytest.approx(np.count_nonzero(border), rel=0.002)
    strip = np.pad(tissue, ((0, 0), (0, 10)))
    border = black_border(strip)
    assert border is not None
    assert not border[1:-1, 0].any()


@pytest.mark.parametrize("density", [0.01, 0.02, 0.3, 0.56, 0.9])
@pytest.mark.parametrize("size", [1, 3])
def test_a_background_of_0_is_no_border(density: float, size: int) -> None:
    """Bright spots, and maps of probabilities, that are exactly 0 elsewhere: the means are those of all voxels."""
    spots = np.random.default_rng(1).random((16, 60, 80)) < density / size**2
    spots = maximum_filter(spots, (1, size, size))
    volume = np.where(spots, np.resize(TISSUE, spots.shape), 0).astype(np.uint8)
    whole, tissue, odd_ones = moments([volume])
    assert not odd_ones
    assert whole == tissue


def test_where_most_sections_are_masks_none_is_odd() -> None:
    cells = np.zeros((12, 60, 80), np.uint8)
    for z in range(12):
        cells[z, 5 + z : 25 + z, 5:25] = 255
        if z > 2:
            cells[z, 35 : 50 - z, 40:60] = 255
    assert not found(cells)


@pytest.mark.parametrize("value", [0, 255])
def test_saturated_sections_do_not_count(value: int) -> None:
    volume = TISSUE.copy()
    volume[4, 1:12], volume[5, 3:15] = value, value
    assert found(volume).saturated == [4, 5]
    _, tissue, _ = moments([volume])
    assert tissue == moments([np.delete(volume, [4, 5], axis=0)])[0]


def test_where_most_sections_are_dark_none_is_odd() -> None:
    """A few bright spots on black, or a map of probabilities, look so by nature."""
    volume = np.where(TISSUE > 240, TISSUE, 0)
    volume[:, :1], volume[:, -1:], volume[:, :, :1], volume[:, :, -1:] = 9, 9, 9, 9
    assert not found(volume)


def test_all_odd_at_once() -> None:
    volume = np.pad(TISSUE, ((0, 0), (4, 4), (4, 4)))
    volume[1], volume[2, 6:20, 6:32] = 128, 255
    assert (found(volume).blank, found(volume).saturated) == ({1: 128}, [2])
    _, tissue, _ = moments([volume])
    assert tissue == moments([np.delete(TISSUE, [1, 2], axis=0)])[0]


def test_where_nothing_is_left_everything_counts() -> None:
    volume = np.arange(6, dtype=np.uint8).repeat(20).reshape(6, 4, 5)
    whole, tissue, odd_ones = moments([volume])
    assert tissue == whole
    assert len(odd_ones.blank) == 6
    square = np.pad(np.full((6, 2, 2), 9, np.uint8), ((0, 0), (1, 1), (1, 1)))
    whole, tissue, _ = moments([square])
    assert tissue == whole


@pytest.mark.parametrize(("dtype", "mean"), [(np.uint16, 3000), (np.int16, 3000), (np.int16, -3000)])
def test_blank_sections_and_borders_move_no_percentile(dtype: type, mean: int) -> None:
    sections = np.pad(RNG.normal(mean, 300, (20, 50, 60)).astype(dtype), ((0, 0), (9, 9), (9, 9)))
    sections[[3, 8]] = 0
    tissue = np.delete(sections, [3, 8], axis=0)[:, 9:-9, 9:-9]
    expected = np.percentile(tissue, [0.1, 99.9], method="inverted_cdf")
    assert percentile_range(sections) == tuple(expected)
