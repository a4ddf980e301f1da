"""Normalises pictures with 8 or 16 bits, grey or colour, to the range that networks are trained on."""

from __future__ import annotations

import numpy as np

from segmentation.contrast import LUMINANCE

LOW, HIGH = 1.0, 99.8
"""Percentiles of the grey values that are mapped to 0 and 1."""


def normalise(image: np.ndarray, channels: int) -> np.ndarray:
    """Maps, in each channel, the 1st percentile to 0 and the 99.8th to 1, and takes the square root.

    Each picture has its own percentiles, so that exposure, bit depth and single hot pixels do not matter. The
    upper percentile is as high as 99.8 because nuclei may cover only a hundredth of a picture. If both percentiles are
    equal, because nearly all of the picture is one grey, the darkest pixel is mapped to 0 and the brightest to 1.
    Scaled values are clipped to -1..2. The square root (of a negative value: minus the root of its absolute value)
    brightens dim cells beside bright ones, which would otherwise be missed first.

    Args:
      image: (y, x) or (y, x, 3), of any real type.
      channels: number of channels of the result, 1 or 3. For 1, RGB is converted to luminance; for 3, grey is repeated.

    Returns:
      (y, x, channels) float32; 0 in a channel that has a single grey value.

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
