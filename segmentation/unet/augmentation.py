"""Random changes of training crops, in shape and in grey values, so that a network sees more than the pictures show.

To add one: write a function, list it in `WARPS` or `GREYS` under its name, and give it a range in `Ranges` and in the
parameters of `unet-train`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates, zoom

_KNOTS = 4  # along a crop
_ASPECT = 0.4  # share of the stretch that y and x each draw on their own


class Ranges(NamedTuple):
    """How far each augmentation goes; 0 or False switches it off.

    Attributes:
      flips: turn crops by quarters and reflect them, all 8 orientations equally often.
      warped: share of the crops to which `WARPS` apply. They blur a crop, as they take values from between pixels,
        and the pictures that the network is used on are not blurred; so, not all crops.
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
    """Where the pixels of a crop come from, relative to its centre in the picture.

    Attributes:
      place: (2, size, size), y and x.
      matrix: 2 x 2, applied to `place` last.
    """

    place: np.ndarray
    matrix: np.ndarray


def bend(warp: Warp, deviation: float, generator: np.random.Generator) -> Warp:
    """Displaces 4 x 4 knots at random, with this standard deviation in pixels per 256 pixels of the crop; cubic in
    between.

    Source: Simard et al., ICDAR (2003); knots and spline as in Ronneberger et al., MICCAI (2015).
    """
    size = warp.place.shape[1]
    displacement = generator.normal(0, deviation * size / 256, (2, _KNOTS, _KNOTS))
    warp.place[...] += _spline(size) @ displacement @ _spline(size).T
    return warp


def rotation(warp: Warp, degrees: float, generator: np.random.Generator) -> Warp:
    """Rotates by up to this angle, either way."""
    angle = np.deg2rad(generator.uniform(-degrees, degrees))
    return warp._replace(
        matrix=warp.matrix @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )


def stretch(warp: Warp, log_factor: float, generator: np.random.Generator) -> Warp:
    """Scales y and x by up to exp(`log_factor`), up or down, and each on its own by up to 0.4 of that exponent."""
    both, apart = generator.uniform(-log_factor, log_factor), _ASPECT * log_factor
    return warp._replace(matrix=warp.matrix @ np.diag(np.exp(both + generator.uniform(-apart, apart, 2))))


def gamma(image: np.ndarray, log_exponent: float, generator: np.random.Generator) -> np.ndarray:
    """Raises grey values to a power between exp(-`log_exponent`) and exp(`log_exponent`); signs are kept."""
    exponent = np.exp(generator.uniform(-log_exponent, log_exponent))
    return np.sign(image) * np.abs(image) ** exponent


def contrast(image: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Multiplies grey values by 1 - `most` to 1 + `most`."""
    return image * generator.uniform(1 - most, 1 + most)


def brightness(image: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Adds -`most` to `most` to all grey values."""
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
    """Where the pixels of a square crop come from: its shape augmentations.

    Args:
      size: side of the crop, pixels.
      centre: y, x of its centre in the picture.
      ranges: None for a crop as it is.

    Returns:
      (2, size, size) float32, y and x in the picture.
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
    """The cubic spline through knots in the middles of equal parts of a crop, as a matrix, (size, knots). It is kept
    for each size, because computing it took most of the time of a grid."""
    through = [zoom(knot, size / _KNOTS, order=3, mode="nearest", grid_mode=True) for knot in np.eye(_KNOTS)]
    return np.stack(through, axis=1)


def sample(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The picture at these places, linear in between, reflected beyond its borders.

    Args:
      picture: (y, x, c) float32.
      place: (2, ...) y and x.

    Returns:
      (..., c) float32.
    """
    channels = [map_coordinates(picture[..., c], place, order=1, mode="mirror") for c in range(picture.shape[2])]
    return np.stack(channels, axis=-1)


def intensity(image: np.ndarray, ranges: Ranges, generator: np.random.Generator) -> np.ndarray:
    """Applies the grey-value augmentations. Image and result are (y, x, c) float32, normalised to about 0..1."""
    for name, augment in GREYS.items():
        if most := getattr(ranges, name):
            image = augment(image, most, generator)
    return image.astype(np.float32)
