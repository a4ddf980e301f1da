from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from floodrunner.segmentation.contrast import (
    clahe,
    display_range,
    displayed,
    luminance,
    percentile_range,
    to_8_bit,
    to_display,
)

RNG = np.random.default_rng(11)


def test_luminance_is_pillows() -> None:
    rgb = RNG.integers(0, 256, (50, 60, 3), np.uint8)
    np.testing.assert_array_equal(luminance(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32])
def test_luminance_of_other_numbers(dtype: type) -> None:
    rgb = RNG.integers(0, 30000, (5, 6, 3)).astype(dtype)
    grey = luminance(rgb)
    assert grey.dtype == (dtype if np.dtype(dtype).kind == "f" else np.float64)
    np.testing.assert_allclose(grey, rgb.astype(np.float64) @ [0.299, 0.587, 0.114], rtol=1e-5)


def test_luminance_of_16_bits() -> None:
    rgb = RNG.integers(0, 2**16, (50, 60, 3), np.uint16)
    rgb[0, 0] = 2**16 - 1
    grey = luminance(rgb)
    assert grey.dtype == np.uint16
    np.testing.assert_allclose(grey, rgb @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("spread", [0, 1, 50, 5000])
def test_percentiles_are_numpys(spread: int) -> None:
    sections = (1000 + RNG.integers(0, spread + 1, (7, 20, 20))).astype(np.uint16)
    expected = np.percentile(sections, [0.1, 99.9], method="inverted_cdf")
    assert percentile_range(sections) == tuple(expected)
    expected = np.percentile(sections, [25, 50], method="inverted_cdf")
    assert percentile_range(iter(sections), 25, 50) == tuple(expected)


def test_16_bits_to_8() -> None:
    every = np.arange(2**16, dtype=np.uint16)
    np.testing.assert_array_equal(to_8_bit(every), np.floor(every / 257 + 0.5))
    narrow = to_8_bit(every, 100, 110)
    assert (narrow[:101] == 0).all()
    assert (narrow[110:] == 255).all()
    assert narrow[105] == 128  # 127.5, rounded up
    assert (to_8_bit(every, 7, 7)[[6, 7]] == 0).all()


def test_clahe_at_slope_1_is_a_linear_stretch() -> None:
    section = RNG.integers(60, 180, (200, 200)).astype(np.uint8)
    low, high = int(section.min()), int(section.max())
    stretched = (section - float(low)) / (high - low) * 255
    assert np.abs(clahe(section, 50, 1.0) - stretched).max() <= 4


def test_clahe_slope_is_limited() -> None:
    # Two populations far apart: plain equalisation would tear each of them over half the range.
    section = np.where(RNG.random((128, 128)) < 0.5, 60, 180) + RNG.integers(0, 5, (128, 128))
    section = section.astype(np.uint8)
    section[0, :2] = 0, 255  # so that no stretch is needed
    for slope in (1.5, 3.0, 8.0):
        result = clahe(section, 128, slope)
        risen = result[section == 64].mean() - result[section == 60].mean()
        assert risen / 4 == pytest.approx(slope, abs=0.25)  # greys are whole numbers


def test_clahe_leaves_a_blank_section_alone() -> None:
    for grey in (0, 130, 255):
        blank = np.full((40, 40), grey, np.uint8)
        np.testing.assert_array_equal(clahe(blank), blank)


def test_clahe_of_a_section_smaller_than_the_block() -> None:
    section = RNG.integers(60, 180, (20, 30)).astype(np.uint8)
    result = clahe(section, 127)
    assert result.shape == section.shape
    assert (result.min(), result.max()) == (0, 255)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64]
)
def test_any_grey_can_be_shown(dtype: type) -> None:
    image = np.arange(100).reshape(10, 10).astype(dtype)
    shown = displayed(image)
    assert shown.dtype == np.uint8
    assert np.abs(shown.ravel() - np.linspace(0, 255, 100)).max() <= 1.5


def test_values_that_are_no_numbers_do_not_count() -> None:
    image = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    image[0, :3] = np.nan, np.inf, -np.inf
    low, high = display_range([image]) or (0, 0)
    assert 0.02 < low < 0.04
    assert 0.98 < high < 1
    assert to_display(image, low, high)[0, :3].tolist() == [0, 255, 0]
    assert display_range([np.full((3, 3), np.nan)]) is None
    assert (displayed(np.full((3, 3), np.nan)) == 0).all()


def test_true_and_false_are_shown_black_and_white() -> None:
    image = np.eye(9, dtype=bool)
    np.testing.assert_array_equal(displayed(image), np.where(image, 255, 0))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int16])
def test_pictures_of_any_number_of_channels_are_shown(channels: int, dtype: type) -> None:
    ramp = np.arange(100).reshape(10, 10).astype(dtype)
    shown = displayed(np.repeat(ramp[..., None], channels, 2))
    assert np.abs(shown.astype(int) - displayed(ramp)).max() <= 1
