from __future__ import annotations

import colorsys

import numpy as np
import pytest

from floodrunner.segmentation.colours import _TONES, colours, overlay, palette


def labels() -> np.ndarray:
    section = np.zeros((20, 30), np.uint32)
    section[2:10, 2:15], section[2:10, 15:28], section[12:18, 5:25] = 1, 2, 70_000
    return section


INSIDE = {1: (5, 6), 2: (5, 20), 70_000: (15, 10)}


def test_palette_is_hue_saturation_value() -> None:
    ids = np.concatenate([np.arange(300), [70_000, 2**31]])
    for label, colour in zip(ids.tolist(), palette(ids), strict=True):
        tone = _TONES[label % len(_TONES)]
        expected = [255 * channel for channel in colorsys.hsv_to_rgb(label * 0.6180339887498949 % 1, *tone)]
        assert colour == pytest.approx(expected if label else [0, 0, 0], abs=0.51)


def test_neighbouring_ids_are_told_apart() -> None:
    table = palette(np.arange(1, 256)).astype(int)
    assert len(np.unique(table, axis=0)) == 255
    for apart in (1, 2, 3, 4):
        assert np.abs(table[apart:] - table[:-apart]).sum(axis=1).min() > 60
    assert table.max(axis=1).min() > 100  # none that could be taken for background


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.int64])
def test_colours_do_not_depend_on_what_else_is_there(dtype: type) -> None:
    section = labels().astype(dtype)  # the largest id is beyond the number of pixels
    painted = colours(section)
    assert painted.shape == (20, 30, 3)
    assert (painted[section == 0] == 0).all()
    for label, at in INSIDE.items():
        np.testing.assert_array_equal(painted[at], palette(np.array([label]))[0])
    np.testing.assert_array_equal(colours(np.where(section == 1, 1, 0))[INSIDE[1]], painted[INSIDE[1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_colours_of_every_type(dtype: type) -> None:
    section = np.minimum(labels(), 200)
    np.testing.assert_array_equal(colours(section.astype(dtype)), colours(section))


def test_outlines_are_inside_and_darker() -> None:
    painted = colours(labels())
    inside = painted[INSIDE[1]].astype(int)
    for at in ((2, 5), (9, 5), (5, 2), (5, 14)):
        assert (painted[at] < inside).any()
        assert (painted[at] <= inside).all()
    np.testing.assert_array_equal(painted[5, 13], inside)


def test_an_overlay_is_the_image_where_there_is_no_label() -> None:
    section = labels()
    image = np.random.default_rng(1).integers(0, 256, section.shape, np.uint8)
    laid = overlay(image, section, 0.35)
    none = section == 0
    np.testing.assert_array_equal(laid[none], np.repeat(image[..., None], 3, 2)[none])
    for at in INSIDE.values():
        expected = 0.65 * image[at] + 0.35 * palette(section[at][None])[0]
        assert laid[at] == pytest.approx(expected, abs=0.51)
    assert laid[2, 5] == pytest.approx(0.3 * image[2, 5] + 0.7 * colours(section)[2, 5], abs=0.51)
    np.testing.assert_array_equal(overlay(image, section, 0.0), np.repeat(image[..., None], 3, 2))
    np.testing.assert_array_equal(overlay(image, section, 1.0)[~none], colours(section)[~none])


def test_negative_ids_have_a_colour_of_their_own() -> None:
    section = np.array([[-1, -1, -1, 0, 3, 3, 3]] * 3)
    painted = colours(section)
    assert (painted[1, 1] > 0).any()
    assert (painted[1, 1] != painted[1, 5]).any()
    assert (painted[1, 3] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int8, bool])
def test_an_overlay_takes_8_bit_greys_only(dtype: type) -> None:
    with pytest.raises(ValueError, match="an overlay takes uint8"):
        overlay(np.ones((3, 3), dtype), np.ones((3, 3), int), 0.5)
