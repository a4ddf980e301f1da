"""Changes training crops at random, in shape and in grey values, so that a network sees more than the pictures show.

To add an augmentation: write a function, list it in `WARPS` or `GREYS` under its name, and give it a range in `Ranges`
and in the parameters of `unet-train`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates, zoom

_KNOTS = 4  # number of knots along each side of a crop
_ASPECT = 0.4  # range of the separate stretch of y and x, as a share of the range of their common stretch


class Ranges(NamedTuple):
    """How far each augmentation goes; 0 or False switches it off.

    Attributes:
      flips: turn crops by quarters and reflect them, all 8 orientations equally often.
      warped: share of the crops to which `WARPS` apply. Warps blur a crop, because they interpolate between pixels, but
        the pictures that the network is used on are not blurred. So some crops should stay unwarped.
      bend, rotation, stretch, gamma, contrast, brightness, noise: see the functions of these names.
    """

    flips: bool = True
    warped: float = 0.5
    bend: float = 6.0
    rotation: float = 15.0
    stretch: float = 0.25
    gamma: float = 0.2
    contrast: float = 0.15
    brightness: float = 0.075
    noise: float = 0.03


class Warp(NamedTuple):
    """The places from which the pixels of a crop are taken, relative to the centre of the crop.

    Attributes:
      place: (2, size, size), y and x of each pixel.
      matrix: 2 x 2 matrix that is applied to `place` last.
    """

    place: np.ndarray
    matrix: np.ndarray


def bend(warp: Warp, deviation: float, generator: np.random.Generator) -> Warp:
    """Displaces 4 x 4 knots at random, and the pixels between them by cubic interpolation.

    `deviation` is the standard deviation, in pixels, for a crop of 256 x 256, and in proportion for other sizes.

    Source: Simard et al., ICDAR (2003); knots and spline as in Ronneberger et al., MICCAI (2015).
    """
    size = warp.place.shape[1]
    displacement = generator.normal(0, deviation * size / 256, (2, _KNOTS, _KNOTS))
    warp.place[...] += _spline(size) @ displacement @ _spline(size).T
    return warp


def rotation(warp: Warp, degrees: float, generator: np.random.Generator) -> Warp:
    """Rotates by an angle of up to `degrees`, in either direction."""
    angle = np.deg2rad(generator.uniform(-degrees, degrees))
    return warp._replace(
        matrix=warp.matrix @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )


def stretch(warp: Warp, log_factor: float, generator: np.random.Generator) -> Warp:
    """Scales y and x together by up to exp(`log_factor`), up or down, and each alone by up to 0.4 of that exponent."""
    both, apart = generator.uniform(-log_factor, log_factor), _ASPECT * log_factor
    return warp._replace(matrix=warp.matrix @ np.diag(np.exp(both + generator.uniform(-apart, apart, 2))))


def gamma(image: np.ndarray, log_exponent: float, generator: np.random.Generator) -> np.ndarray:
    """Raises grey values to a power between exp(-`log_exponent`) and exp(`log_exponent`); signs are kept."""
    exponent = np.exp(generator.uniform(-log_exponent, log_exponent))
    return np.sign(image) * np.abs(image) ** exponent


def contrast(image: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Multiplies grey values by a random number from 1 - `most` to 1 + `most`."""
    return image * generator.uniform(1 - most, 1 + most)


def brightness(image: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Adds a random number from -`most` to `most` to all grey values."""
    return image + generator.uniform(-most, most)


def noise(image: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Adds normal noise to each pixel, with a standard deviation of 0 to `most`."""
    return image + generator.normal(0, generator.uniform(0, most), image.shape)


WARPS: dict[str, Callable[[Warp, float, np.random.Generator], Warp]] = {
    "bend": bend,
    "rotation": rotation,
    "stretch": stretch,
}
GREYS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "gamma": gamma,
    "contrast": contrast,
    "brightness": brightness,
    "noise": noise,
}


def grid(size: int, centre: tuple[float, float], ranges: Ranges | None, generator: np.random.Generator) -> np.ndarray:
    """Returns the places from which the pixels of a square crop are taken; this applies the shape augmentations.

    Args:
      size: side of the crop, pixels.
      centre: centre of the crop in the picture, y, x.
      ranges: ranges of the augmentations; None for a crop without augmentation.

    Returns:
      (2, size, size) float32, y and x of each pixel in the picture.
    """
    place = np.asarray(np.mgrid[:size, :size], np.float32) - np.float32((size - 1) / 2)
    if ranges is not None:
        orientation = np.eye(2)
        if ranges.flips:
            orientation = np.linalg.matrix_power([[0, -1], [1, 0]], int(generator.integers(4)))
            orientation = orientation @ np.diag([generator.choice([-1, 1]), 1])
        warp = Warp(place, np.eye(2))
        if ranges.warped and generator.random() < ranges.warped:
            for name, augment in WARPS.items():
                if most := getattr(ranges, name):
                    warp = augment(warp, most, generator)
        place = np.tensordot(warp.matrix @ orientation, warp.place, 1)
    return (place + np.reshape(centre, (2, 1, 1))).astype(np.float32)


@cache
def _spline(size: int) -> np.ndarray:
    """Returns the cubic spline through knots in the middles of equal parts of a crop, as a matrix (size, knots). The
    matrix is cached for each size, because computing it took most of the time of `grid`."""
    through = [zoom(knot, size / _KNOTS, order=3, mode="nearest", grid_mode=True) for knot in np.eye(_KNOTS)]
    return np.stack(through, axis=1)


def sample(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the values of a picture at places, by linear interpolation; beyond its borders the picture is reflected.

    Args:
      picture: (y, x, c) float32.
      place: (2, ...), y and x of the places.

    Returns:
      (..., c) float32.
    """
    channels = [map_coordinates(picture[..., c], place, order=1, mode="mirror") for c in range(picture.shape[2])]
    return np.stack(channels, axis=-1)


def intensity(image: np.ndarray, ranges: Ranges, generator: np.random.Generator) -> np.ndarray:
    """Applies the grey-value augmentations. Image and result are (y, x, c) float32, with values of about 0 to 1."""
    for name, augment in GREYS.items():
        if most := getattr(ranges, name):
            image = augment(image, most, generator)
    return image.astype(np.float32)
