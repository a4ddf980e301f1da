"""From cells and organelles to grey levels, section by section, as a microscope shows them.

Lengths are nm unless a name says px; 0 is black, 255 white.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from segmentation.phantom.organelles import Marks

MEMBRANE = 4.5  # standard deviation of a membrane's profile
_REACH = 2.5  # standard deviations after which a mark's profile counts as zero


def membranes(depth: np.ndarray, tilt: np.ndarray, half_cleft: np.ndarray | float, thickness: float) -> np.ndarray:
    """What a section shows of the two membranes beside a wall: 0 nothing, 1 black.

    The mean of two Gaussian profiles, each `half_cleft` from the wall, over the section's thickness: that is what
    blurs walls that are cut obliquely.
    """
    half = np.maximum(0.5 * thickness * tilt, 1.0)
    scale = np.sqrt(2) * MEMBRANE
    total = np.zeros_like(depth)
    for middle in (-half_cleft, half_cleft):
        total += erf((depth - middle + half) / scale) - erf((depth - middle - half) / scale)
    return np.minimum(1, total * (np.sqrt(np.pi) / 4 * scale) / half)


def stamp(shape: tuple[int, int, int], pixels: np.ndarray, marks: Marks, pitch: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Draws marks, each into the section it is in.

    Args:
      shape: z, y, x.
      pixels: (n, 3) where the marks are, in voxels; whole numbers are voxel centres.
      pitch: y, x size of a voxel.

    Returns:
      darkness and paleness, (z, y, x) float32 0 to 1; where marks overlap, the stronger counts.
    """
    dark, pale = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    reach = marks.radii + _REACH * marks.widths
    size_px = np.ceil(reach / min(pitch)).astype(int)
    for size in np.unique(size_px):
        chosen = np.flatnonzero(size_px == size)
        z, y, x = np.round(pixels[chosen]).astype(int).T
        around = np.arange(-size, size + 1)
        rows, columns = y[:, None, None] + around[:, None], x[:, None, None] + around
        distance = np.hypot(
            (rows - pixels[chosen, 1, None, None]) * pitch[0], (columns - pixels[chosen, 2, None, None]) * pitch[1]
        )
        radii, widths = marks.radii[chosen, None, None], marks.widths[chosen, None, None]
        profile = marks.strengths[chosen, None, None] * np.exp(-0.5 * ((distance - radii) / widths) ** 2)
        sections = np.broadcast_to(z[:, None, None], profile.shape)
        rows, columns = np.broadcast_to(rows, profile.shape), np.broadcast_to(columns, profile.shape)
        seen = (sections >= 0) & (sections < shape[0])
        seen &= (rows >= 0) & (rows < shape[1]) & (columns >= 0) & (columns < shape[2])
        at = sections[seen], rows[seen], columns[seen]
        np.maximum.at(dark, at, profile[seen].astype(np.float32))
        inside = (radii > 0) * np.clip((radii - distance) / widths, 0, 1)
        np.maximum.at(pale, at, inside[seen].astype(np.float32))
    return dark, pale


def grain(shape: tuple[int, int], pitch: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """The mottled look of cytoplasm, grey levels: fine and coarse grain, and dark specks (ribosomes, proteins)."""
    fine, coarse = (_blobs(shape, pitch, length, rng) for length in (8.0, 20.0))
    return 11 * fine + 7 * coarse - 22 * np.maximum(fine - 1.3, 0)


def expose(picture: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """(y, x) uint8: the microscope's blur, gain, brightness and noise; `noise` in grey levels."""
    picture = gaussian_filter(picture, 0.55)
    picture = 140 + (picture - 140) * (1 + 0.06 * rng.normal()) + 5 * rng.normal()
    grains = gaussian_filter(rng.normal(size=picture.shape), 0.45)
    picture = picture + noise * grains / grains.std()
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _blobs(shape: tuple[int, int], pitch: tuple[float, float], length: float, rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.normal(size=shape), [length / p for p in pitch])
    return field / field.std()
