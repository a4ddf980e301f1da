from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.colours import colours, overlay, palette


def labels() -> np.ndarray:
    section = np.zeros((20, 30), np.uint32)
    section[2:10, 2:15], section[2:10, 15:28], section[12:18, 5:25] = 1, 2, 70_000
    return section


INSIDE = {1: (5, 6), 2: (5, 20), 70_000: (15, 10)}


SEEN = {
    "most people": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What becomes of linear R, G, B for people without one kind of cone. Source: Machado et al. (2009), severity 1."""


def oklab(rgb: np.ndarray, seen: object) -> np.ndarray:
    """Perceived colour, in which distances are differences as people see them. Source: Ottosson (2020)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ np.transpose(seen)
    to_cone = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
    return np.cbrt(np.clip(linear, 0, 1) @ np.transpose(to_cone)) @ np.transpose(to_lab)


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_no_two_of_six_consecutive_ids_look_alike(seen: object) -> None:
    perceived = oklab(palette(np.arange(1, 2000)), seen)
    for apart in range(1, 6):
        assert np.linalg.norm(perceived[apart:] - perceived[:-apart], axis=1).min() > 0.04


def test_colours_are_bright_and_do_not_repeat() -> None:
    table = palette(np.arange(1, 256))
    assert len(np.unique(table, axis=0)) == 255
    assert table.max(axis=1).min() > 100  # none that could be taken for background
    assert np.ptp(table.astype(int), axis=1).min() > 25  # nor for the image, which is grey
    assert (palette(np.array([0, 2**31, 70_000]))[0] == 0).all()
    assert palette(np.array([70_000, 2**31])).max(axis=1).min() > 100


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
