from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.colours import overlay, palette
from floodrunner.stages.reports.sheets import Panel, Plane, bar, panels, sheet

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("width", "length", "words"),
    [
        (2048, 500, "500 nm"),
        (8000, 2000, "2 µm"),
        (4000, 1000, "1 µm"),
        (3999, 500, "500 nm"),
        (799, 100, "100 nm"),
        (8e6, 2e6, "2 mm"),
        (1.0, 0.2, "0.2 nm"),
    ],
)
def test_a_bar_has_a_round_length(width: float, length: float, words: str) -> None:
    found, said = bar(width)
    assert found == pytest.approx(length)
    assert said == words


def test_planes_are_enlarged_by_a_whole_number() -> None:
    image = RNG.integers(0, 256, (60, 100), np.uint8)
    labels = RNG.integers(0, 4, (60, 100)).astype(np.uint32)
    plain, laid = panels([Plane("a", image), Plane("b", image, labels)], (4.0, 4.0), 0.4)
    np.testing.assert_array_equal(plain.pixels, np.repeat(image.repeat(6, 0).repeat(6, 1)[..., None], 3, 2))
    larger = labels.repeat(6, 0).repeat(6, 1)
    np.testing.assert_array_equal(laid.pixels, overlay(plain.pixels[..., 0], larger, 0.4))
    assert plain.nm == pytest.approx(4 / 6)


def test_planes_are_drawn_to_scale() -> None:
    (cut,) = panels([Plane("a", np.zeros((30, 600), np.uint8))], (30.0, 4.0), 0.4)
    assert cut.pixels.shape[:2] == (225, 600)
    assert cut.nm == 4
    (square,) = panels([Plane("a", np.zeros((30, 600), np.uint8))], None, 0.4)
    assert square.pixels.shape[:2] == (30, 600)
    assert square.nm is None


def test_large_planes_are_reduced_with_the_mean_of_their_greys() -> None:
    image = RNG.integers(0, 256, (2048, 1024), np.uint8)
    labels = np.full(image.shape, 7, np.uint8)
    shown, alone = panels([Plane("a", image), Plane("b", None, labels)], (5.0, 5.0), 0.4)
    mean = image.reshape(1024, 2, 512, 2).mean(axis=(1, 3))
    assert np.abs(shown.pixels[..., 0] - mean).max() <= 1
    assert shown.nm == 10
    np.testing.assert_array_equal(alone.pixels[5, 5], palette(np.array([7]))[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("size", [None, (1e-3, 1e3), (1e3, 1e-3)])
def test_planes_of_any_size(shape: tuple[int, int], size: tuple[float, float] | None) -> None:
    drawn = panels([Plane("a" * 500, np.full(shape, 7, np.uint8), np.ones(shape, np.int64))], size, 0.4)
    assert max(drawn[0].pixels.shape) <= 1024
    assert max(sheet([drawn]).shape) < 1200


def test_panels_lie_on_white_paper_with_titles_and_one_bar_for_equal_scales() -> None:
    grey = np.full((100, 200, 3), 120, np.uint8)
    paper = sheet([[Panel("image", grey, 10.0), Panel("", grey, 10.0)], [Panel("x", grey), Panel("y", grey, 10.0)]])
    assert paper.shape == (8 + 26 + 100 + 8 + 26 + 26 + 100 + 8 + 26, 8 + 2 * 208, 3)
    for top, left in ((34, 8), (34, 216), (194, 8), (194, 216)):
        assert (paper[top : top + 100, left : left + 200] == 120).all()
    assert (paper[8:34, 8:208] < 100).any()  # the title
    assert (paper[8:34, 208:] == 255).all()  # none
    below = paper[134:160]
    assert (below[11:15, 8:58] == 0).all()  # 500 nm, a quarter of 2000 nm
    assert (below[:, 58:60] == 255).all()
    assert (below[:, 216:] == 255).all()
    assert (paper[294:, :208] == 255).all()  # no scale is known
    assert (paper[294:, 216:] < 60).any()


def test_letters_that_the_font_lacks_do_no_harm() -> None:
    grey = np.full((10, 600, 3), 120, np.uint8)
    question, micro = sheet([[Panel("?? um", grey)]]), sheet([[Panel("日本 µm", grey)]])
    differs = (question != micro).any(axis=2)
    assert 0 < differs.sum() < 30  # the stroke that makes a µ of an u


def test_a_title_over_a_narrow_panel_takes_several_lines() -> None:
    grey = np.full((10, 120, 3), 120, np.uint8)
    one, more = sheet([[Panel("image", grey)]]), sheet([[Panel("image, cut along z at y = 128", grey)]])
    assert more.shape[0] == one.shape[0] + 2 * 26
    for top in (8, 34, 60):
        assert (more[top : top + 26] < 100).any()
    assert (more[86:96, 8:128] == 120).all()
