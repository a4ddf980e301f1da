from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import zoom

from floodrunner.segmentation.unet import augmentation
from floodrunner.segmentation.unet.augmentation import GREYS, WARPS, Ranges
from floodrunner.segmentation.unet.examples import Examples

NOWHERE = np.zeros((0, 2))  # no cell


def ramps(height: int, width: int) -> np.ndarray:
    """A picture whose values are its own coordinates: (y, x, 2)."""
    return np.stack(np.mgrid[:height, :width], axis=-1).astype(np.float32)


def test_without_ranges_a_grid_cuts() -> None:
    picture = np.random.default_rng(1).random((40, 50, 3)).astype(np.float32)
    place = augmentation.grid(16, (20.5, 30.5), None, np.random.default_rng(1))
    np.testing.assert_array_equal(augmentation.sample(picture, place), picture[13:29, 23:39])


def test_beyond_the_border_pictures_are_reflected() -> None:
    picture = np.random.default_rng(1).random((5, 6, 1)).astype(np.float32)
    place = augmentation.grid(20, (2.5, 2.5), None, np.random.default_rng(1))
    expected = np.pad(picture, ((7, 8), (7, 7), (0, 0)), "reflect")
    np.testing.assert_array_equal(augmentation.sample(picture, place), expected)


def test_grids_bend_turn_and_flip_but_do_not_tear() -> None:
    generator = np.random.default_rng(1)
    turned, flipped, sizes = set(), set(), []
    for _ in range(120):
        place = augmentation.grid(64, (100, 100), Ranges(), generator)
        np.testing.assert_allclose(place.mean((1, 2)), (100, 100), atol=12)
        down, right = np.gradient(place, axis=1), np.gradient(place, axis=2)
        area = down[0] * right[1] - down[1] * right[0]
        assert (area > 0.2).all() or (area < -0.2).all()  # no fold
        assert 0.5 < np.abs(area).mean() < 2
        sizes.append(np.abs(area).mean())
        straight = np.ptp(down, axis=(1, 2)).max() < 1e-5
        flipped.add((bool(area.mean() > 0), straight))
        turned.add((int(np.round(np.rad2deg(np.arctan2(right[0].mean(), right[1].mean())) / 90)) % 4, straight))
        if straight:  # turned and flipped alone
            assert sizes.pop() == pytest.approx(1)
            np.testing.assert_allclose(
                np.sort(np.abs([*right.mean((1, 2)), *down.mean((1, 2))])), [0, 0, 1, 1], atol=1e-5
            )
            continue
        assert np.abs(np.diff(down[0], axis=0)).max() < 0.2  # smooth
        assert down.std() > 0.01
    assert 40 < len(sizes) < 80
    assert len(turned) == 8
    assert len(flipped) == 4
    assert np.ptp(sizes) > 0.5


@pytest.mark.parametrize("size", [16, 24, 128])
def test_a_bend_is_the_cubic_spline_through_its_knots(size: int) -> None:
    knots = np.random.default_rng(1).normal(size=(4, 4))
    expected = zoom(knots, size / 4, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(augmentation._spline(size) @ knots @ augmentation._spline(size).T, expected, atol=1e-12)


def test_intensity_changes_greys_and_keeps_their_order() -> None:
    generator = np.random.default_rng(1)
    image = np.linspace(0, 1, 10000, dtype=np.float32).reshape(100, 100, 1)
    seen = np.stack([augmentation.intensity(image, Ranges(), generator) for _ in range(50)])
    assert seen.dtype == np.float32
    assert all(np.corrcoef(each.ravel(), image.ravel())[0, 1] > 0.9 for each in seen)
    dark, middle, bright = (seen[:, rows].mean((1, 2, 3)) for rows in (slice(10), slice(45, 55), slice(90, 100)))
    assert np.ptp(dark) > 0.1  # brightness
    assert np.ptp(bright - dark) > 0.2  # contrast
    assert np.ptp((middle - dark) / (bright - dark)) > 0.08  # gamma
    assert np.ptp(np.diff(seen, axis=2).std((1, 2, 3))) > 0.02  # noise


OFF = Ranges(*[0] * len(Ranges._fields))


@pytest.mark.parametrize("name", list(WARPS))
def test_each_warp_has_a_switch_and_a_range(name: str) -> None:
    """Alone, it displaces pixels, and further if its range is wider; the limit of the range is kept."""
    wide = getattr(Ranges(), name)
    plain = augmentation.grid(32, (50, 50), None, np.random.default_rng(1))
    moved = []
    for most in (wide / 2, wide):
        ranges = OFF._replace(warped=1.0, **{name: most})
        places = [augmentation.grid(32, (50, 50), ranges, np.random.default_rng(n)) for n in range(30)]
        moved.append(np.mean([np.abs(place - plain).max() for place in places]))
    assert 0.1 < moved[0] < 0.7 * moved[1]
    if name == "rotation":
        right = np.stack([place[:, 16, 17] - place[:, 16, 16] for place in places])
        angles = np.rad2deg(np.arctan2(right[:, 0], right[:, 1]))
        assert 0.8 * wide < np.abs(angles).max() <= wide + 0.01
    if name == "stretch":
        scales = [np.ptp(place[axis]) / np.ptp(plain[axis]) for place in places for axis in (0, 1)]
        assert 1.2 < max(scales) <= np.exp(1.4 * wide) + 1e-5
        assert np.exp(-1.4 * wide) - 1e-5 <= min(scales) < 0.9


@pytest.mark.parametrize("name", list(GREYS))
def test_each_change_of_greys_has_a_switch_and_a_range(name: str) -> None:
    image = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20, 1)
    wide = getattr(Ranges(), name)
    moved = []
    for most in (wide / 2, wide):
        ranges = OFF._replace(**{name: most})
        seen = [augmentation.intensity(image, ranges, np.random.default_rng(n)) for n in range(50)]
        moved.append(np.mean([np.abs(each - image).mean() for each in seen]))
    assert 0.005 < moved[0] < 0.7 * moved[1]


def test_all_switched_off_is_a_crop_as_it_is() -> None:
    image = np.random.default_rng(1).random((40, 40, 1)).astype(np.float32)
    off, none = (
        Examples([image], [image], [NOWHERE], 16, 4, np.random.default_rng(1), ranges=ranges).batch()
        for ranges in (OFF, None)
    )
    np.testing.assert_array_equal(off, none)


def test_image_and_target_stay_together() -> None:
    """The target is the image; whatever happens to the shape of one happens to that of the other."""
    pictures = [ramps(40, 60)[..., :1], ramps(20, 30)[..., 1:]]
    examples = Examples(
        pictures, [p.copy() for p in pictures], [NOWHERE] * 2, 32, 6, np.random.default_rng(1), ranges=Ranges()
    )
    for _ in range(5):
        given, target = examples.batch()
        assert given.shape == target.shape == (6, 32, 32, 1)
        for image, truth in zip(given, target, strict=True):
            assert np.corrcoef(image.ravel(), truth.ravel())[0, 1] > 0.85


def test_greys_change_in_the_image_and_not_in_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target of a crop is what lies at the places of its grid, 0 and 1 still, but for edges."""
    places = []
    drawn = augmentation.grid

    def spy(*args: Any) -> np.ndarray:
        places.append(drawn(*args))
        return places[-1]

    monkeypatch.setattr(augmentation, "grid", spy)
    target = (np.random.default_rng(2).random((8, 8, 2)) > 0.5).repeat(8, 0).repeat(8, 1).astype(np.float32)
    image = target[..., :1] * 0.6 + 0.2
    given, truths = Examples([image], [target], [NOWHERE], 32, 5, np.random.default_rng(1), Ranges()).batch()
    assert len(places) == 5
    for seen, truth, place in zip(given, truths, places, strict=True):
        np.testing.assert_array_equal(truth, augmentation.sample(target, place))
        assert truth.min() == 0
        assert truth.max() == 1
        assert np.isin(truth, (0, 1)).mean() > 0.5
        assert np.abs(seen - augmentation.sample(image, place)).mean() > 0.01


def test_without_augmentation_crops_are_parts_of_pictures() -> None:
    picture = np.arange(70 * 50, dtype=np.float32).reshape(70, 50, 1)
    examples = Examples([picture], [picture * 2], [NOWHERE], 32, 8, np.random.default_rng(1), ranges=None)
    corners = set()
    for _ in range(30):
        given, target = examples.batch()
        np.testing.assert_array_equal(target, given * 2)
        for image in given:
            y, x = divmod(int(image[0, 0, 0]), 50)
            np.testing.assert_array_equal(image, picture[y : y + 32, x : x + 32])
            corners.add((y, x))
    assert max(y for y, _ in corners) == 38
    assert min(x for _, x in corners) == 0
    assert len(corners) > 150


def test_half_of_the_crops_are_near_a_cell() -> None:
    """On whole pixels, inside the picture, and as often near the one cell as near the other."""
    picture = np.arange(300 * 400, dtype=np.float32).reshape(300, 400, 1)
    centres = np.array([(2.3, 390.6), (150.2, 100.9)])
    examples = Examples([picture], [picture], [centres], 32, 8, np.random.default_rng(1), ranges=None)
    near = np.zeros(2)
    for image in np.concatenate([examples.batch()[0] for _ in range(100)]):
        y, x = divmod(int(image[0, 0, 0]), 400)
        np.testing.assert_array_equal(image, picture[y : y + 32, x : x + 32])
        near += np.abs(np.clip(centres - 15.5, 0, (268, 368)) - (y, x)).max(1) < 12
    assert 160 < near[0] < 250
    assert 160 < near[1] < 250


@pytest.mark.parametrize("centres", [NOWHERE, np.array([[0.5, 0.0]])])
@pytest.mark.parametrize("shape", [(1, 1), (20, 100), (31, 33)])
def test_small_pictures_fill_crops(shape: tuple[int, int], centres: np.ndarray) -> None:
    picture = np.random.default_rng(1).random((*shape, 1)).astype(np.float32)
    examples = Examples([picture], [picture], [centres], 32, 4, np.random.default_rng(1), ranges=None)
    given, _ = examples.batch()
    assert given.shape == (4, 32, 32, 1)
    assert set(np.unique(given)) <= set(np.unique(picture))


def test_restored_examples_go_on_the_same() -> None:
    def fresh() -> Examples:
        return Examples(
            [ramps(40, 40)], [ramps(40, 40)], [np.array([[5.0, 30.0]])], 16, 2, np.random.default_rng(1), Ranges()
        )

    straight, broken = fresh(), fresh()
    straight.batch()
    broken.batch()
    again = fresh()
    again.restore(broken.state())
    for one, other in zip(straight.batch(), again.batch(), strict=True):
        np.testing.assert_array_equal(one, other)
