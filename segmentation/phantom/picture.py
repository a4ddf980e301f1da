"""Renders what a microscope shows: membranes, the texture of cytoplasm, blur, exposure, noise.

Lengths are nm; grey levels are 0 black to 255 white.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf

MEMBRANE = 4.5  # standard deviation of a membrane's profile
_BLUR_PX = 0.5
_MID_GREY = 135


def membranes(depth: np.ndarray, tilt: np.ndarray, half_cleft: np.ndarray | float, thickness: float) -> np.ndarray:
    """Computes the darkness of the two membranes beside a wall in a section: 0 is none, 1 is black.

    The darkness is the sum of two Gaussian profiles, each `half_cleft` away from the wall, averaged over the thickness
    of the section. The average blurs walls that are cut obliquely.
    """
    half = np.maximum(0.5 * thickness * tilt, 0.2)
    scale = np.sqrt(2) * MEMBRANE
    total = np.zeros_like(depth)
    for middle in (-half_cleft, half_cleft):
        total += erf((depth - middle + half) / scale) - erf((depth - middle - half) / scale)
    return np.minimum(1, total * (np.sqrt(np.pi) / 4 * scale) / half)


def grain(shape: tuple[int, ...], pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes the texture of cytoplasm, in grey levels: fine and coarse grain, and dark specks (ribosomes, proteins)."""
    fine, coarse = (_blobs(shape, pitch, length, rng) for length in (8.0, 18.0))
    return 13 * fine + 11 * coarse - 30 * np.maximum(fine - 1.3, 0)


def over(below: np.ndarray, grey: np.ndarray | float, opacity: np.ndarray | float) -> np.ndarray:
    """Blends a grey level over a picture."""
    return below * (1 - opacity) + grey * opacity


def expose(picture: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Adds blur, random contrast and brightness of the section, and noise (grey levels); returns (y, x) uint8."""
    picture = gaussian_filter(picture, _BLUR_PX)
    picture = _MID_GREY + (picture - _MID_GREY) * (1 + 0.07 * rng.normal()) + 6 * rng.normal()
    grains = gaussian_filter(rng.normal(size=picture.shape), 0.45)
    picture = picture + noise * grains / grains.std()
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _blobs(shape: tuple[int, ...], pitch: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=shape), length / pitch)
    return field / field.std()
