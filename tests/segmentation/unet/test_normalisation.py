from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from floodrunner.segmentation.unet.normalisation import is_weak, normalise, weakest_of


def picture(dtype: str, highest: float) -> np.ndarray:
    return (np.random.default_rng(1).random((40, 50)) * highest).astype(dtype)


def test_bit_depth_and_exposure_do_not_matter() -> None:
    deep = picture("uint16", 60000)
    for other in (deep.astype(np.float32) / 60000, deep // 2 + 1000, (deep // 256).astype(np.uint8)):
        np.testing.assert_allclose(normalise(other, 1), normalise(deep, 1), atol=0.15)
        assert np.abs(normalise(other, 1) - normalise(deep, 1)).mean() < 0.03


def test_percentiles_go_to_0_and_1() -> None:
    scaled = normalise(picture("uint16", 60000), 1)
    assert scaled.shape == (40, 50, 1)
    assert scaled.dtype == np.float32
    assert np.count_nonzero(scaled <= 0) == 20  # 1 % of 2000
    assert np.count_nonzero(scaled > 1) == 4  # 0.2 %


def test_a_hot_pixel_does_not_matter() -> None:
    image = picture("uint16", 600)
    hot = image.copy()
    hot[3, 4] = 65535
    scaled = normalise(hot, 1)
    others = np.ones((40, 50), bool)
    others[3, 4] = False
    np.testing.assert_allclose(scaled[others], normalise(image, 1)[others], atol=0.02)
    assert scaled.max() <= 2**0.5 + 1e-6


def test_dim_cells_are_lifted() -> None:
    """A tenth of the brightness of the brightest is a third after it."""
    image = np.zeros((100, 100), np.uint8)
    image[:20] = 200
    image[40:60] = 20
    assert normalise(image, 1)[50, 0, 0] == pytest.approx(0.1**0.5)


def test_channels() -> None:
    grey = picture("uint8", 255)
    colour = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    assert normalise(grey, 3).shape == (40, 50, 3)
    np.testing.assert_array_equal(normalise(grey, 3)[..., 2], normalise(grey, 1)[..., 0])
    np.testing.assert_allclose(
        normalise(colour, 1), normalise(colour @ np.array([0.299, 0.587, 0.114]), 1), rtol=1e-3, atol=1e-3
    )
    for c in range(3):
        np.testing.assert_allclose(normalise(colour, 3)[..., c], normalise(colour[..., c], 1)[..., 0])


def test_one_grey_is_zero() -> None:
    assert not normalise(np.full((4, 5), 7, np.uint8), 1).any()


def test_a_few_small_nuclei_on_black_are_seen() -> None:
    """All of them cover less than the percentiles leave out; in colour, each channel is judged by itself."""
    image = np.zeros((300, 300), np.uint16)
    image[20:26, 30:36], image[100:106, 200:206], image[250:256, 90:96] = 4000, 2000, 1000
    assert np.percentile(image, 99.8) == 0
    scaled = normalise(image, 1)[..., 0]
    np.testing.assert_allclose(scaled[[22, 102, 252], [32, 202, 92]], [1, 0.5**0.5, 0.5], rtol=1e-6)
    assert np.count_nonzero(scaled) == 3 * 36
    other = (np.random.default_rng(1).random(image.shape) * 4000).astype(np.uint16)
    colour = normalise(np.stack([image, other, image * 0 + 7], -1), 3)
    np.testing.assert_array_equal(colour[..., 0], scaled)
    np.testing.assert_array_equal(colour[..., 1], normalise(other, 1)[..., 0])
    assert not colour[..., 2].any()


def field(seed: int, noise: float, cells: float = 0, dtype: str = "uint16", level: float = 500) -> np.ndarray:
    """Noise, with a few discs if `cells`, their brightness, is above 0."""
    generator = np.random.default_rng(seed)
    y, x = np.indices((160, 160))
    greys = generator.normal(level, noise, (160, 160))
    for _ in range(6):
        cy, cx = generator.uniform(20, 140, 2)
        greys[np.hypot(y - cy, x - cx) < 12] += cells
    return np.clip(greys, 0, None).astype(dtype)


TRAINING = [field(seed, 20, 600) for seed in range(3)]


def test_pictures_with_cells_are_stretched_as_without_limits() -> None:
    weakest = weakest_of(TRAINING, 1)
    for image in (*TRAINING, field(9, 20, 600), field(9, 2, 60), field(9, 5, 150, "uint8", 40), field(9, 20, 6000)):
        assert not is_weak(image, 1, weakest)
        np.testing.assert_array_equal(normalise(image, 1, weakest), normalise(image, 1))


@pytest.mark.parametrize("noise", [3, 20, 90])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_noise_stays_dark(noise: float, dtype: str) -> None:
    """Whatever the exposure, and the type of the pixels."""
    weakest = weakest_of(TRAINING, 1)
    empty = field(7, noise / 4 if dtype == "uint8" else noise, dtype=dtype, level=120 if dtype == "uint8" else 500)
    assert is_weak(empty, 1, weakest)
    assert np.percentile(normalise(empty, 1), 99) > 0.8
    assert np.percentile(normalise(empty, 1, weakest), 99) < 0.45


def tilted(sides: np.ndarray) -> np.ndarray:
    return sides[1]


def dark_in_the_corners(sides: np.ndarray) -> np.ndarray:
    return -(sides**2).sum(0)


@pytest.mark.parametrize("light", [tilted, dark_in_the_corners])
@pytest.mark.parametrize("strength", [100, 400, 2000])
def test_uneven_fields_stay_dark(light: Callable[[np.ndarray], np.ndarray], strength: float) -> None:
    """However much brighter one part is than another: what counts is the contrast without the smooth background."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    empty = (field(7, 20, level=5000) + strength * light(np.stack([y, x]))).astype(np.uint16)
    weakest = weakest_of(TRAINING, 1)
    assert is_weak(empty, 1, weakest)
    assert np.percentile(normalise(empty, 1, weakest), 99) < 0.45 < 0.8 < np.percentile(normalise(empty, 1), 99)


def test_cells_on_uneven_light_are_stretched_fully() -> None:
    image = field(9, 20, 600) + np.linspace(0, 900, 160).astype(np.uint16)
    np.testing.assert_array_equal(normalise(image, 1, weakest_of(TRAINING, 1)), normalise(image, 1))


def test_the_brighter_cells_are_than_the_noise_the_more_a_picture_is_stretched() -> None:
    """As in the table of `normalise`, and whoever is told that a picture is weak is told so from the same limit."""
    weakest, before = weakest_of(TRAINING, 1), (5.5 / 10) ** 1.5
    for cells in range(0, 400, 10):
        image = field(9, 20, cells)
        full, less = (np.percentile(normalise(image, 1, limit), 99.8) for limit in (None, weakest))
        assert is_weak(image, 1, weakest) == (less < full)
        assert before - 0.05 <= less / full <= before + 0.2  # no jumps
        before = less / full
    assert before == 1


def test_the_weakest_training_picture_sets_the_limit() -> None:
    """At most 10 standard deviations of the noise; pictures without noise do not count."""
    clear, flat = [field(1, 5, 600)], [field(1, 0, 600)]
    assert weakest_of(clear, 1) == [10]
    assert weakest_of(flat, 1) == [10]
    noisy = field(2, 200, 400, level=900)
    assert weakest_of([*flat, *clear, noisy], 1)[0] == pytest.approx(7, abs=1)
    np.testing.assert_array_equal(normalise(noisy, 1, weakest_of([noisy], 1)), normalise(noisy, 1))


def test_each_channel_has_a_limit() -> None:
    colour = np.stack([TRAINING[0], field(4, 20), TRAINING[0] // 3], -1)
    weakest = weakest_of([colour], 3)
    assert len(weakest) == 3
    assert weakest[1] < 6
    np.testing.assert_array_equal(normalise(colour, 3, weakest), normalise(colour, 3))
    grey = weakest_of([TRAINING[0]], 3)
    assert grey == [10, 10, 10]
    assert not is_weak(np.stack([field(5, 20), TRAINING[1], field(6, 20)], -1), 3, grey)


def test_tiny_pictures_have_no_noise() -> None:
    for shape in ((1, 1), (2, 9), (3, 3)):
        tiny = np.random.default_rng(1).integers(0, 99, shape, np.uint8)
        assert np.isfinite(normalise(tiny, 1, weakest_of([tiny], 1))).all()
