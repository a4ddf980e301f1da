"""Shows labels as colours, alone or over the image."""

from __future__ import annotations

import numpy as np

from floodrunner.segmentation.alignment import boundaries

_GOLDEN = 0.6180339887498949
_TONES = ((0.62, 1.00), (0.85, 0.82), (0.45, 0.92), (0.95, 1.00), (0.70, 0.68))


def palette(ids: np.ndarray) -> np.ndarray:
    """Returns a colour for each id; an id has the same colour in every picture.

    Consecutive ids are far apart in hue (steps by the golden ratio around the colour circle, which never repeat) and
    differ in saturation and value.

    Args:
      ids: (n) integers, 0 = none.

    Returns:
      (n, 3) uint8, R, G, B; black for 0.
    """
    ids = ids.astype(np.uint64)
    hue = (ids % 2**32 * _GOLDEN) % 1.0 * 6
    saturation, value = np.array(_TONES)[ids % len(_TONES)].T
    channels = []
    for turn in (5, 3, 1):  # R, G, B
        k = (hue + turn) % 6
        channels.append(value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))
    colour = np.rint(np.stack(channels, axis=1) * 255).astype(np.uint8)
    colour[ids == 0] = 0
    return colour


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
