"""Grey values: from 16 to 8 bits, from colour to grey, and local contrast."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)  # 0.299, 0.587, 0.114 in 1/65536; they sum to 1


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Grey value of colours, rounded: 0.299 R + 0.587 G + 0.114 B.

    Args:
      rgb: (..., 3) uint8 or uint16.

    Returns:
      (...) of the same type; where R = G = B, that value.

    Source: ITU-R BT.601.
    """
    return ((rgb @ _LUMA + 0x8000) >> 16).astype(rgb.dtype)


def percentile_range(sections: Iterable[np.ndarray], low: float = 0.1, high: float = 99.9) -> tuple[int, int]:
    """The grey values below which `low` and `high` per cent of all pixels lie, at least.

    Args:
      sections: uint16 arrays of any shape; seen once, one at a time.
      low, high: per cent.

    Returns:
      Two of the values that occur: the smallest with at least `low`, `high` per cent of all pixels at or below it.
    """
    counts = np.zeros(2**16, np.int64)
    for section in sections:
        counts += np.bincount(section.ravel(), minlength=2**16)
    below = np.cumsum(counts)
    first, last = np.searchsorted(below, [low / 100 * below[-1], high / 100 * below[-1]])
    return int(first), int(last)


def to_8_bit(section: np.ndarray, low: int = 0, high: int = 2**16 - 1) -> np.ndarray:
    """Maps `low` to 0 and `high` to 255, linearly and rounded; what is beyond them is cut off.

    Args:
      section: uint16, any shape.
      low, high: grey values; where they are equal, all becomes 0.

    Returns:
      uint8, same shape.
    """
    width = max(high - low, 1)
    value = np.clip(section.astype(np.int64), low, high) - low
    return ((value * 255 + width // 2) // width).astype(np.uint8)


def clahe(section: np.ndarray, block: int = 127, max_slope: float = 1.5) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of one section.

    Args:
      section: (y, x) uint8.
      block: size, in pixels, of the square whose histogram counts.
      max_slope: how much a difference in grey may grow at most; 1 leaves the contrast as it is.

    Returns:
      (y, x) uint8 that reaches from 0 to 255; a section of one grey comes back as it is.

    Source: Zuiderveld, Graphics Gems IV (1994). The defaults are those of Fiji's dialogue (block size 127, 256
    bins) with the slope of 1.5 that was used on SNEMI3D before training flood-filling networks.
    """
    from skimage.exposure import equalize_adapthist

    if section.min() == section.max():  # scikit-image makes it white
        return section
    bins = 256
    # scikit-image's limit is the share of the block in one bin; a flat histogram, slope 1, has 1 / bins.
    return np.rint(equalize_adapthist(section, block, max_slope / bins, bins) * 255).astype(np.uint8)


def displayed(image: np.ndarray) -> np.ndarray:
    """A picture as people look at it: (y, x) uint8, the greys between the 0.1th and the 99.9th percentile spread."""
    grey = image if image.ndim == 2 else luminance(image)
    low, high = np.percentile(grey, [0.1, 99.9])
    return np.rint(np.clip((grey - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
