"""Normalises pictures with 8 or 16 bits, grey or colour, to the range that networks are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segmentation.contrast import LUMINANCE

LOW, HIGH = 1.0, 99.8
"""Percentiles of the grey values that are mapped to 0 and 1."""

_ENOUGH = 20.0  # standard deviations of the noise; a picture with cells that ranges over less is better stretched less
_ALONE = 8.0  # standard deviations; noise alone ranges over 5.2
_CLEARLY = 2 / 3
_BLOCK = 16  # pixels
_QUIET = 25  # percentile of the blocks; cells have structure besides noise


class Weakest(NamedTuple):
    """How little contrast training pictures with cells have.

    Attributes:
      ratio: for each channel, the smallest range of grey levels in units of the noise, at most 20.
      ranges: for each pixel type, such as `uint8`, the smallest range of grey levels in each channel.
    """

    ratio: Sequence[float]
    ranges: Mapping[str, Sequence[float]]


def normalise(image: np.ndarray, channels: int, weakest: Weakest | None = None) -> np.ndarray:
    """Maps, in each channel, the 1st percentile to 0 and the 99.8th to 1, and takes the square root.

    Each picture has its own percentiles, so that exposure, bit depth and single hot pixels do not matter. The
    upper percentile is as high as 99.8 because nuclei may cover only a hundredth of a picture. If both percentiles are
    equal, because nearly all of the picture is one grey, the darkest pixel is mapped to 0 and the brightest to 1.
    Scaled values are clipped to -1..2. The square root (of a negative value: minus the root of its absolute value)
    brightens dim cells beside bright ones, which would otherwise be missed first.

    In an empty field, that would make noise as bright as cells. So a channel is stretched no further than if it ranged
    over `weakest.ratio` times its noise; a channel below two thirds of that, no further than if it ranged over
    `weakest.ranges`; and one that ranges over less than 8 times its noise, which is noise alone, less and less.

    Args:
      image: (y, x) or (y, x, 3), of any real type.
      channels: number of channels of the result, 1 or 3. For 1, RGB is converted to luminance; for 3, grey is repeated.
      weakest: of the training pictures; None to stretch every picture fully.

    Returns:
      (y, x, channels) float32; 0 in a channel that has a single grey value.

    Source of the percentiles: Weigert et al., Nature Methods 15 (2018).
    """
    values = _in_channels(image, channels)
    low, high = _ends(values)
    width = high - low
    if weakest is not None:
        width = np.maximum(width, _least(values, width, image.dtype.name, weakest))
    scaled = np.clip((values - low) / np.where(width > 0, width, 1), -1, 2)
    rooted = np.sign(scaled) * np.sqrt(np.abs(scaled))
    return np.repeat(rooted, channels // rooted.shape[2], axis=2).astype(np.float32)


def weakest_of(images: Iterable[np.ndarray], channels: int) -> Weakest:
    """Measures pictures with cells, each as `normalise` takes it. Pictures without noise do not count in the ratio."""
    ratio = [_ENOUGH] * channels
    ranges: dict[str, list[float]] = {}
    for image in images:
        values = _in_channels(image, channels)
        low, high = _ends(values)
        noise, widths = (np.repeat(each, channels // len(low)).tolist() for each in (_noise(values), high - low))
        ratio = [min(r, w / n) if n else r for r, w, n in zip(ratio, widths, noise, strict=True)]
        least = ranges.get(image.dtype.name, widths)
        ranges[image.dtype.name] = [min(pair) for pair in zip(widths, least, strict=True)]
    return Weakest(ratio, ranges)


def is_weak(image: np.ndarray, channels: int, weakest: Weakest) -> bool:
    """Returns whether a picture shows little but noise: all channels range over less than two thirds of `weakest.ratio`
    times their noise."""
    values = _in_channels(image, channels)
    low, high = _ends(values)
    return bool((high - low < _CLEARLY * _in_noise(values, weakest)).all())


def _least(values: np.ndarray, width: np.ndarray, dtype: str, weakest: Weakest) -> np.ndarray:
    """Returns how many grey levels, in each channel, are to be mapped to the range 0 to 1 at least."""
    least = _in_noise(values, weakest)
    seen = np.asarray(weakest.ranges.get(dtype, np.zeros(len(width))), np.float32)[: len(width)]
    clear = np.where(width < _CLEARLY * least, np.maximum(least, seen), least)
    # A channel that shows noise only in training pictures too is not limited: its ratio is lower.
    alone = np.minimum(least, _ALONE * _noise(values)) / np.where(width > 0, width, np.inf)
    return clear * np.maximum(alone, 1) ** 2


def _in_noise(values: np.ndarray, weakest: Weakest) -> np.ndarray:
    return np.asarray(weakest.ratio, np.float32)[: values.shape[2]] * _noise(values)


def _noise(values: np.ndarray) -> np.ndarray:
    """Estimates the standard deviation of the noise in each channel: (y, x, channels) -> (channels) float32.

    A difference of second differences along both axes cancels everything that is smooth. Its mean absolute value is
    taken in blocks, and the quiet blocks count.

    Source: Immerkaer, Computer Vision and Image Understanding 64 (1996); the blocks are ours.
    """
    if min(values.shape[:2]) < 3:
        return np.zeros(values.shape[2], np.float32)
    rough = values[:-2] - 2 * values[1:-1] + values[2:]
    rough = np.abs(rough[:, :-2] - 2 * rough[:, 1:-1] + rough[:, 2:])
    y, x = (max(length // _BLOCK, 1) for length in rough.shape[:2])
    blocks = [part.mean((0, 1)) for rows in np.array_split(rough, y) for part in np.array_split(rows, x, axis=1)]
    return np.percentile(blocks, _QUIET, axis=0).astype(np.float32) * np.float32(np.sqrt(np.pi / 2) / 6)


def _in_channels(image: np.ndarray, channels: int) -> np.ndarray:
    values = np.atleast_3d(image).astype(np.float32)
    return values @ np.array(LUMINANCE, np.float32)[:, None] if values.shape[2] > channels else values


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.percentile(values, [LOW, HIGH], axis=(0, 1)).astype(np.float32)
    sparse = high <= low
    return np.where(sparse, values.min((0, 1)), low), np.where(sparse, values.max((0, 1)), high)
