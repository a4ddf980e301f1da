"""Sections, and parts of sections, that show no tissue."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.blank import look, odd
from segmentation.contrast import percentile_range
from segmentation.statistics import moments

RNG = np.random.default_rng(8)
TISSUE = RNG.integers(1, 255, (12, 20, 30), np.uint8)


def found(volume: np.ndarray):
    return odd([look(section) for section in volume])


def test_tissue_is_not_odd() -> None:
    dark = TISSUE.copy()
    dark[3, 0] = 0  # one black row in one section is no frame
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
    assert framed.framed == list(range(12))
    assert framed.frame_share == pytest.approx(1 - 600 / 2000)
    assert not framed.saturated
    _, tissue, _ = moments([volume])
    assert tissue == moments([TISSUE])[0]


@pytest.mark.parametrize("value", [0, 255])
def test_saturated_sections_do_not_count(value: int) -> None:
    volume = TISSUE.copy()
    volume[4, :11], volume[5, 3:15] = value, value
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


def test_blank_sections_and_frames_move_no_percentile() -> None:
    sections = np.pad(RNG.normal(3000, 300, (20, 50, 60)).astype(np.uint16), ((0, 0), (9, 9), (9, 9)))
    sections[[3, 8]] = 0
    tissue = np.delete(sections, [3, 8], axis=0)[:, 9:-9, 9:-9]
    expected = np.percentile(tissue, [0.1, 99.9], method="inverted_cdf")
    assert percentile_range(sections) == tuple(expected)
