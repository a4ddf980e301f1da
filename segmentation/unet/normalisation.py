"""Grey values of any picture, 8 or 16 bits, grey or colour, to what a network is used to."""

from __future__ import annotations

import numpy as np

from segmentation.contrast import LUMINANCE

LOW, HIGH = 1.0, 99.8
"""Per cent of the pixels that are at or below 0 and 1."""


def normalise(image: np.ndarray, channels: int) -> np.ndarray:
    """Maps, in each channel, the 1st percentile to 0 and the 99.8th to 1, and takes the square root.

    Per picture, so that exposure and bit depth do not matter; by percentiles, so that a hot pixel does not either. The
    upper one is that high because nuclei may cover a hundredth of a picture. If they cover less than both leave out,
    and all else is one grey, the percentiles are one: then the darkest pixel goes to 0 and the brightest to 1. The root
    (of negative values, minus that of the opposite) lifts dim cells beside bright ones: without it they are the first
    to be missed. What is beyond is cut off at -1 and at 2, before the root.

    Args:
      image: (y, x) or (y, x, 3), of any real type.
      channels: 1 or 3, that the network takes; colours become their luminance, greys three alike.

    Returns:
      (y, x, channels) float32; 0 in a channel of one grey.

    Source of the percentiles: Weigert et al., Nature Methods 15 (2018).
    """
    values = np.atleast_3d(image).astype(np.float32)
    if values.shape[2] > channels:
        values = values @ np.array(LUMINANCE, np.float32)[:, None]
    low, high = np.percentile(values, [LOW, HIGH], axis=(0, 1)).astype(np.float32)
    sparse = high <= low
    low, high = np.where(sparse, values.min((0, 1)), low), np.where(sparse, values.max((0, 1)), high)
    width = np.where(high > low, high - low, 1)
    scaled = np.clip((values - low) / width, -1, 2)
    rooted = np.sign(scaled) * np.sqrt(np.abs(scaled))
    return np.repeat(rooted, channels // rooted.shape[2], axis=2).astype(np.float32)
