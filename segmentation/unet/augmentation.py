"""Pictures made different at random, in shape and in grey values, so that a network sees more than there are."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import map_coordinates, zoom

_CHANGED = 0.5  # share of the crops that are more than turned and flipped
_TURN, _STRETCH = 15.0, 0.25  # degrees; natural logarithm of the factor
_KNOTS, _BEND = 4, 6.0  # knots along a crop; standard deviation of their displacement, pixels per 256


def grid(size: int, centre: tuple[float, float], generator: np.random.Generator | None = None) -> np.ndarray:
    """Where the pixels of a square crop come from.

    Args:
      size: side of the crop, pixels.
      centre: y, x of its centre in the picture.
      generator: draws a flip and quarter turns, and for every other crop a small turn and stretch and a smooth bend
        (Simard et al., ICDAR 2003; displacements at 4 x 4 knots, cubic in between, as in Ronneberger et al. 2015).
        These blur, as they take values from between pixels, and the pictures that the network will be asked about are
        not blurred; so, not all. None leaves all as it is.

    Returns:
      (2, size, size) float32, y and x in the picture.
    """
    place = np.asarray(np.mgrid[:size, :size], np.float32) - np.float32((size - 1) / 2)
    if generator is not None:
        turn = np.linalg.matrix_power([[0, -1], [1, 0]], int(generator.integers(4)))
        turn = turn @ np.diag([generator.choice([-1, 1]), 1])
        if generator.random() < _CHANGED:
            bend = generator.normal(0, _BEND * size / 256, (2, _KNOTS, _KNOTS))
            place += _spline(size) @ bend @ _spline(size).T
            angle = np.deg2rad(generator.uniform(-_TURN, _TURN))
            stretch = np.diag(np.exp(generator.uniform(-_STRETCH, _STRETCH) + generator.uniform(-0.1, 0.1, 2)))
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ stretch @ turn
        place = np.tensordot(turn, place, 1)
    return (place + np.reshape(centre, (2, 1, 1))).astype(np.float32)


@cache
def _spline(size: int) -> np.ndarray:
    """The cubic spline through knots in the middles of equal parts of a crop, as a matrix, (size, knots); drawing it
    anew for each bend took most of a grid's time."""
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


def intensity(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Other contrast, brightness, gamma and noise. Image and result are (y, x, c) float32, normalised to about 0..1."""
    gamma = np.exp(generator.uniform(-0.2, 0.2))
    gain, offset = generator.uniform(0.85, 1.15), generator.uniform(-0.075, 0.075)
    noise = generator.normal(0, generator.uniform(0, 0.03), image.shape)
    bent = np.sign(image) * np.abs(image) ** gamma
    return (bent * gain + offset + noise).astype(np.float32)
