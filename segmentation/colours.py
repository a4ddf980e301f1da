"""Shows labels as colours, alone or over the image."""

from __future__ import annotations

import functools

import numpy as np

from floodrunner.segmentation.alignment import boundaries

_HUES, _LIGHTNESSES = 512, 128  # colours in the table
_DARKEST, _LIGHTEST = 0.46, 0.94  # lightness in OKLab; darker colours look like background
_HUE_STEP, _LIGHTNESS_STEP = 0.518, 0.144
"""Steps from one id to the next, in turns and in shares of the range. With these, no two of six consecutive ids look
alike, neither to most people nor to those who do not see red, green or blue: they were found by a search with the model
of Machado et al., IEEE Transactions on Visualization and Computer Graphics 15 (2009)."""

_TO_CONE = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
)


def palette(ids: np.ndarray) -> np.ndarray:
    """Returns a colour for each id; an id has the same colour in every picture.

    Consecutive ids are far apart in hue and in lightness, which people with any colour vision see. Each colour is as
    vivid as the screen can show it in its hue and lightness.

    Args:
      ids: (n) integers, 0 = none.

    Returns:
      (n, 3) uint8, R, G, B; black for 0.

    Source: Ottosson, A perceptual color space for image processing (2020): OKLab.
    """
    steps = ids.astype(np.uint64) % 2**32
    hue = (steps * _HUE_STEP % 1 * _HUES).astype(np.int64)
    lightness = (steps * _LIGHTNESS_STEP % 1 * _LIGHTNESSES).astype(np.int64)
    colour = _table()[lightness, hue]
    colour[ids == 0] = 0
    return colour


@functools.cache
def _table() -> np.ndarray:
    """Returns the most vivid colour of each lightness and hue, (lightness, hue, 3) uint8."""
    lightness = np.linspace(_DARKEST, _LIGHTEST, _LIGHTNESSES)[:, None]
    hue = np.arange(_HUES) * (2 * np.pi / _HUES)
    low, high = np.zeros((_LIGHTNESSES, _HUES)), np.full((_LIGHTNESSES, _HUES), 0.4)
    for _ in range(12):  # to a ten-thousandth
        chroma = (low + high) / 2
        rgb = _linear_rgb(lightness, chroma, hue)
        shown = ((rgb >= 0) & (rgb <= 1)).all(axis=-1)
        low, high = np.where(shown, chroma, low), np.where(shown, high, chroma)
    rgb = np.clip(_linear_rgb(lightness, low, hue), 0, 1)
    coded = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)  # sRGB, IEC 61966-2-1
    return np.rint(coded * 255).astype(np.uint8)


def _linear_rgb(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Returns linear R, G, B of colours in OKLab; below 0 or above 1 where a screen cannot show them."""
    lab = np.stack(np.broadcast_arrays(lightness, chroma * np.cos(hue), chroma * np.sin(hue)), axis=-1)
    return (lab @ _TO_CONE.T) ** 3 @ _TO_RGB.T


def colours(labels: np.ndarray) -> np.ndarray:
    """Colours the labels of a section, with a darker outline inside each object.

    Args:
      labels: (y, x) integers, 0 = none, which is shown black.

    Returns:
      (y, x, 3) uint8.
    """
    return _painted(labels)[0]


def overlay(image: np.ndarray, labels: np.ndarray, opacity: float) -> np.ndarray:
    """Blends the colours of a section's labels with its image; pixels without a label show the image alone.

    Args:
      image: (y, x) uint8; `contrast.to_display` makes it of other types.
      labels: (y, x) integers, 0 = none.
      opacity: opacity of the colours, 0 to 1; outlines have twice this opacity, 1 at most.

    Returns:
      (y, x, 3) uint8.

    Raises:
      ValueError: if the image is of another type: its values would be cut off.
    """
    if image.dtype != np.uint8:
        raise ValueError(f"the image is {image.dtype}, and an overlay takes uint8")
    painted, outline = _painted(labels)
    share = np.where(labels != 0, opacity, 0.0).astype(np.float32)
    share[outline] = min(1.0, 2 * opacity)
    grey = image[..., None].astype(np.float32)
    return np.rint(grey + (painted - grey) * share[..., None]).astype(np.uint8)


def _painted(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coloured labels, (y, x, 3) uint8, and a mask of the outlines, (y, x) bool."""
    largest = int(labels.max())
    if labels.min() >= 0 and largest < labels.size:
        painted = palette(np.arange(largest + 1))[labels]
    else:  # a table of all ids would be larger than the section, or has no place for negative ones
        ids, place = np.unique(labels, return_inverse=True)
        painted = palette(ids)[place.reshape(labels.shape)]
    outline = boundaries(labels) & (labels != 0)
    painted[outline] = painted[outline] // 5 * 3
    return painted, outline
