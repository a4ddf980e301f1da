"""Draws organelles onto the voxel grid, as opacities between 0 and 1.

Lengths are nm unless a name says px; coordinates are z, y, x.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from floodrunner.segmentation.phantom.cells import Block, power_tree
from floodrunner.segmentation.phantom.organelles import Marks, Mitochondria

_REACH = 2.5  # standard deviations; beyond this distance the profile of a mark is taken as 0
_FREE, _NEAR = 12.0, 22.0  # nm: marks nearer to a wall than 12 are not drawn; marks further than 22 are drawn fully
_MITOCHONDRION_FREE = 26.0
_CRISTAE = 42.0  # distance between neighbouring cristae
_AT_ONCE = 5000


def draw_marks(marks: Marks, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Draws each mark into its section. Marks outside the cell of their neurite are left out.

    Returns:
      Darkness and paleness, (z, y, x) float32; the stronger mark counts where marks overlap.
    """
    at_px, seen = _locate(marks.places, block)
    seen[seen] &= block.name[tuple(np.round(at_px[seen]).astype(int).T)] == marks.neurite[seen]
    at_px, marks = at_px[seen], Marks(*(column[seen] for column in marks))
    dark, pale = np.zeros_like(block.depth), np.zeros_like(block.depth)
    pitch = block.spacing[1:]
    size_px = np.ceil((marks.radii + _REACH * marks.widths) / pitch.min()).astype(int)
    for size, chosen in _batches(size_px):
        z, y, x = (axis[:, None, None] for axis in np.round(at_px[chosen]).astype(int).T)
        around = np.arange(-size, size + 1)
        z, y, x = np.broadcast_arrays(z, y + around[:, None], x + around)
        offset_y, offset_x = y - at_px[chosen, 1, None, None], x - at_px[chosen, 2, None, None]
        distance = np.hypot(offset_y * pitch[0], offset_x * pitch[1])
        radii, widths = marks.radii[chosen, None, None], marks.widths[chosen, None, None]
        profile = marks.strengths[chosen, None, None] * np.exp(-0.5 * ((distance - radii) / widths) ** 2)
        inside = marks.paleness[chosen, None, None] * np.clip((radii - distance) / widths, 0, 1)
        within = (y >= 0) & (y < dark.shape[1]) & (x >= 0) & (x < dark.shape[2])
        voxels = z[within], y[within], x[within]
        np.maximum.at(dark, voxels, profile[within].astype(np.float32))
        np.maximum.at(pale, voxels, inside[within].astype(np.float32))
    clear = np.clip((block.depth - _FREE) / (_NEAR - _FREE), 0, 1)
    return dark * clear, pale * clear


def draw_mitochondria(mitochondria: Mitochondria, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes three opacities: of mitochondria, of their membranes and cristae, and of a free margin around them."""
    body, rim, margin = (np.zeros_like(block.depth) for _ in range(3))
    hosts = np.zeros(len(block.neurite), bool)
    hosts[mitochondria.hosts] = True
    near = hosts[block.owner] & (block.depth > _FREE)
    if not near.any():
        return body, rim, margin
    at = block.where[near]
    tree, _ = power_tree(mitochondria.points, mitochondria.radii)
    nearest = tree.query(np.pad(at, ((0, 0), (0, 1))), workers=-1)[1]
    outside = np.linalg.norm(at - mitochondria.points[nearest], axis=1) - mitochondria.radii[nearest]
    outside = np.maximum(outside, _MITOCHONDRION_FREE - block.depth[near])
    margin[near] = np.clip(2 - outside / 8, 0, 1)
    body[near] = np.clip(0.5 - outside / 8, 0, 1)
    waves = 0.2 * np.sin(at @ np.array([0.02, 0.03, 0.04])) + 0.2 * np.sin(at @ np.array([0.01, 0.03, -0.03]))
    phase = (at * mitochondria.cristae[nearest]).sum(axis=1) / _CRISTAE + waves
    cristae = 0.5 * np.maximum(np.cos(2 * np.pi * phase), 0) ** 3 * np.clip((-outside - 12) / 10, 0, 1)
    rim[near] = np.maximum(np.exp(-0.5 * ((outside + 5) / 6) ** 2), cristae)
    return body, rim, margin


def _batches(size_px: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields marks of one size, at most 5,000 at a time, because each mark needs memory for the square around it."""
    for size in np.unique(size_px):
        chosen = np.flatnonzero(size_px == size)
        for start in range(0, len(chosen), _AT_ONCE):
            yield int(size), chosen[start : start + _AT_ONCE]


def _locate(places: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Returns the position of each place on the voxel grid, in fractions of voxels, and whether it is in the block."""
    last = np.array(block.name.shape) - 1
    at_px = places / block.spacing - 0.5
    for _ in range(4):  # steps of Newton's method; few are enough, because the warp is smooth
        nearest = np.clip(np.round(at_px), 0, last).astype(int)
        at_px = nearest + (places - block.where[tuple(nearest.T)]) / block.spacing
    return at_px, ((at_px > -0.5) & (at_px < last + 0.5)).all(axis=1)
