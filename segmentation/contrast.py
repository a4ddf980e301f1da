"""Converts grey values from 16 to 8 bits and colours to grey, and equalises local contrast."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from floodrunner.segmentation.blank import Histogram

LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of R, G and B in the luminance (ITU-R BT.601)."""

_LUMA = np.rint(np.multiply(LUMINANCE, 2**16)).astype(np.uint32)  # the three numbers sum to 2^16


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Converts colours to grey values, rounded for integers of 8 and 16 bits: 0.299 R + 0.587 G + 0.114 B.

    Args:
      rgb: (..., 3) of any real type.

    Returns:
      (...) of the same type; for R = G = B of 8 or 16 bits the result is the same value. Of other integers the result
      is floating-point numbers.

    Source: ITU-R BT.601.
    """
    if rgb.dtype not in (np.uint8, np.uint16):
        weights: np.ndarray = np.array(LUMINANCE, rgb.dtype if rgb.dtype.kind == "f" else np.float64)
        return rgb @ weights
    return ((rgb @ _LUMA + 0x8000) >> 16).astype(rgb.dtype)


def percentile_range(sections: Iterable[np.ndarray], low: float = 0.1, high: float = 99.9) -> tuple[int, int]:
    """Finds two percentiles of the grey values of all sections together, without blank sections and black borders.

    Args:
      sections: (y, x) uint16 or int16, at least one; each is used once. Blank and saturated sections and black borders
        are left out, because they would move the percentiles away from the tissue.
      low, high: the two percentiles, in per cent.

    Returns:
      Two grey values that occur: the smallest value with at least `low` per cent of these pixels at or below it, and
      the same for `high`.
    """
    every = iter(sections)
    first_section = next(every)
    histogram = Histogram(first_section.dtype)
    histogram.add(itertools.chain([first_section], every))
    counts, _ = histogram.tissue()
    below = np.cumsum(counts)
    first, last = np.searchsorted(below, [low / 100 * below[-1], high / 100 * below[-1]])
    return int(first) + histogram.least, int(last) + histogram.least


def to_8_bit(section: np.ndarray, low: int = 0, high: int = 2**16 - 1) -> np.ndarray:
    """Maps greys from `low` to `high` linearly to 0 to 255, rounded; lower greys become 0, higher ones 255.

    Args:
      section: uint16 or int16, any shape.
      low, high: grey values; if they are equal, the result is 0 everywhere.

    Returns:
      uint8, same shape.
    """
    width = max(high - low, 1)
    value = np.clip(section.astype(np.int64), low, high) - low
    return ((value * 255 + width // 2) // width).astype(np.uint8)


def clahe(section: np.ndarray, block: int = 127, max_slope: float = 1.5) -> np.ndarray:
    """Applies contrast-limited adaptive histogram equalisation to one section.

    Args:
      section: (y, x) uint8.
      block: side, in pixels, of the square in which the histogram is equalised.
      max_slope: the largest factor by which a difference in grey may grow; 1 leaves the contrast unchanged.

    Returns:
      (y, x) uint8 with values from 0 to 255; a section with a single grey value is returned unchanged.

    Source: Zuiderveld, Graphics Gems IV (1994). The defaults are those of Fiji's dialogue (block size 127, 256
    bins) with the slope of 1.5 that was used on SNEMI3D before training flood-filling networks.
    """
    from skimage.exposure import equalize_adapthist

    if section.min() == section.max():  # scikit-image would make such a section white
        return section
    bins = 256
    # scikit-image limits the share of a block that is in one bin. In a flat histogram (slope 1) that share is 1 / bins.
    return np.rint(equalize_adapthist(section, block, max_slope / bins, bins) * 255).astype(np.uint8)


def display_range(sections: Iterable[np.ndarray]) -> tuple[float, float] | None:
    """Finds the range of values that `to_display` should map to black and white: the 0.1th and the 99.9th percentile.

    Args:
      sections: arrays of any shape and real type; NaN and infinite values do not count.

    Returns:
      The two values; None if no value is finite.
    """
    values = [section[np.isfinite(section)] for section in sections]
    every = np.concatenate([each.astype(np.float64) for each in values]) if values else np.zeros(0)
    if not len(every):
        return None
    low, high = np.percentile(every, [0.1, 99.9])
    return float(low), float(high)


def to_display(section: np.ndarray, low: float, high: float) -> np.ndarray:
    """Maps values of any real type from `low` to `high` linearly to 0 to 255, rounded.

    Returns:
      uint8, same shape; lower values and NaN are 0, higher ones 255.
    """
    value = (section.astype(np.float64) - low) / max(high - low, 1e-300)
    return np.rint(np.nan_to_num(np.clip(value, 0, 1), nan=0.0) * 255).astype(np.uint8)


def displayed(image: np.ndarray) -> np.ndarray:
    """Converts a picture of any type to 8-bit grey for display.

    Args:
      image: (y, x), (y, x, 3), or (y, x, channels): of other than 3 channels the mean is shown. NaN is shown black.

    Returns:
      (y, x) uint8; greys from the 0.1th to the 99.9th percentile are mapped to 0 to 255.
    """
    if image.ndim == 2:
        grey = image
    elif image.shape[2] != 3:
        grey = image.mean(axis=2)
    else:
        grey = luminance(image)
    low, high = display_range([grey]) or (0.0, 0.0)
    return to_display(grey, low, high)
