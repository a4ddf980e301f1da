"""Volumes that look like serial-section electron micrographs, with the truth known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf
from skimage.measure import label as connected_components

from segmentation.phantom.cells import Cells, partition
from segmentation.phantom.neurites import grow
from segmentation.phantom.noise import SmoothNoise

_WARP, _WARP_LENGTH = 22.0, 70.0  # nm: how irregular outlines are, and over what distance
_HALF_CLEFT = 8.0  # nm, from the middle between two cells to the middle of a membrane
_MEMBRANE = 5.0  # nm, standard deviation of a membrane's profile
_SMALLEST = 300  # voxels: what is smaller is no neurite, but a sliver cut off by the block's faces


def phantom(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    seed: int = 1,
    *,
    diameter: float = 210.0,
    noise: float = 18.0,
    jitter: float = 4.0,
    organelles: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes an EM-like volume and its ground truth; the same arguments give the same volume.

    Args:
      shape: z, y, x, voxels.
      spacing: voxel size z, y, x, nm. A section is as thick as a voxel is high.
      seed: another seed, another volume.
      diameter: of a typical neurite, nm.
      noise: standard deviation of the imaging noise, grey levels.
      jitter: standard deviation of a section's misplacement in y and in x, nm. Truth moves with the image.
      organelles: how many there are, 1 as in cortex, 0 none.

    Returns:
      (z, y, x) uint8 image, and (z, y, x) uint32 labels: 0 membrane and what lies between cells, 1 to n the
      neurites, each in one piece (face-connected).

    Raises:
      ValueError: if the block is too small to hold neurites, or its voxels too large to show them.
    """
    extent = np.array(shape) * np.array(spacing)
    streams = np.random.SeedSequence(seed).spawn(4)
    tissue, texture, sections, camera = (np.random.default_rng(s) for s in streams)
    paths = grow(extent, diameter, tissue)
    points, radii = np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths])
    neurite = np.repeat([p.neurite for p in paths], [len(p.points) for p in paths])

    shift = jitter * sections.normal(size=(shape[0], 2))
    axes = [(np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)]
    warps = [SmoothNoise(extent, _WARP_LENGTH, tissue) for _ in range(3)]
    where = np.empty((*shape, 3), np.float32)
    for z in range(shape[0]):
        y, x = axes[1] + shift[z, 0], axes[2] + shift[z, 1]
        for axis, (at, warp) in enumerate(zip((axes[0][z], y[:, None], x), warps, strict=True)):
            where[z, ..., axis] = at + _WARP * warp.section(axes[0][z], y, x)
    cells = partition(where, points, radii, neurite, np.array(spacing))
    labels = _truth(neurite[cells.owner], cells.depth)

    grey = 185 + 12 * texture.normal(size=neurite.max() + 1)
    image = np.empty(shape, np.uint8)
    for z in range(shape[0]):
        dark = _membrane(cells.depth[z], cells.tilt[z], spacing[0])
        picture = grey[neurite[cells.owner[z]]]
        picture = picture * (1 - dark) + 45 * dark
        picture = gaussian_filter(picture, 0.6)
        picture += noise * camera.normal(size=picture.shape)
        image[z] = np.clip(picture, 0, 255)
    return image, labels


def _membrane(depth: np.ndarray, tilt: np.ndarray, thickness: float) -> np.ndarray:
    """0 to 1: what a section shows of the two membranes beside a wall.

    The mean of their Gaussian profile over the section's thickness, which is what makes oblique walls blurred.
    """
    half = np.maximum(0.5 * thickness * tilt, 1.0)
    scale = np.sqrt(2) * _MEMBRANE
    total = np.zeros_like(depth)
    for side in (-_HALF_CLEFT, _HALF_CLEFT):
        total += erf((depth - side + half) / scale) - erf((depth - side - half) / scale)
    return np.minimum(1, total * (np.sqrt(np.pi) / 2 * scale) / (2 * half))


def _truth(names: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Labels of what lies within the membranes: of each neurite the largest piece, numbered without gaps."""
    names = np.where(depth > _HALF_CLEFT + _MEMBRANE, names, 0)
    pieces = connected_components(names, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    of_piece = np.zeros(len(sizes), names.dtype)
    of_piece[pieces.ravel()] = names.ravel()
    keep = np.zeros(len(sizes), np.uint32)
    order = np.argsort(-sizes, kind="stable")
    _, first = np.unique(of_piece[order], return_index=True)
    largest = [piece for piece in order[np.sort(first)] if sizes[piece] >= _SMALLEST and of_piece[piece]]
    keep[largest] = np.arange(1, len(largest) + 1)
    return keep[pieces]
