"""From centre lines to cells that fill the block: who owns a voxel, how far its membrane is, how oblique.

Lengths are nm and coordinates z, y, x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

_SLAB, _HALO = 24, 3


class Cells(NamedTuple):
    """Per voxel, (z, y, x)."""

    owner: np.ndarray
    """int32: the index of the sphere whose cell the voxel is in."""
    rival: np.ndarray
    """int32: the index of the sphere beyond the nearest wall, which belongs to another neurite."""
    depth: np.ndarray
    """float32 distance to that wall; exact near the wall."""
    tilt: np.ndarray
    """float32 0 to 1: cosine between the wall's normal and z; 0 is a wall cut straight across."""


def partition(
    where: np.ndarray, points: np.ndarray, radii: np.ndarray, neurite: np.ndarray, spacing: np.ndarray
) -> Cells:
    """Divides space among spheres by power distance, and measures the walls between neurites.

    Args:
      where: (z, y, x, 3) float32, where each voxel lies in the spheres' space.
      points, radii, neurite: (n, 3), (n,), (n,) spheres and the neurite each is part of.
      spacing: (3,) voxel size.

    Raises:
      ValueError: if only one neurite reaches the block.
    """
    tree, _ = power_tree(points, radii)
    owner = np.empty(where.shape[:3], np.int32)
    for z, section in enumerate(where):
        owner[z] = tree.query(np.pad(section, ((0, 0), (0, 0), (0, 1))), workers=-1)[1]
    rival = np.empty_like(owner)
    depth, tilt = np.empty(owner.shape, np.float32), np.empty(owner.shape, np.float32)
    for start in range(0, len(owner), _SLAB):
        stop = min(start + _SLAB, len(owner))
        low = max(start - _HALO, 0)
        near = slice(low, stop + _HALO)
        inner = slice(start - low, stop - low)
        found = _rival(owner[near], neurite, spacing)[inner]
        rival[start:stop] = found
        depth[start:stop], tilt[start:stop] = _wall(where[start:stop], owner[start:stop], found, points, radii)
    return Cells(owner, rival, depth, tilt)


def power_tree(points: np.ndarray, radii: np.ndarray) -> tuple[cKDTree, float]:
    """A tree that finds the sphere of smallest power distance d² - r².

    The spheres' centres are lifted into a fourth dimension by sqrt(R² - r²), R the largest radius; queries have 0
    there. Returns the tree and R²: a query's squared distance minus R² is the power distance.

    Source: Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987).
    """
    largest = float(radii.max()) ** 2
    return cKDTree(np.column_stack([points, np.sqrt(np.maximum(largest - radii**2, 0))])), largest


def _rival(owner: np.ndarray, neurite: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """For each voxel a sphere beyond the nearest wall, taken from the voxels on both sides of that wall."""
    names = neurite[owner]
    across = np.full(owner.shape, -1, np.int32)
    for axis in range(3):
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        wall = names[tuple(ahead)] != names[tuple(behind)]
        # x and y are walked last: where walls meet, the one cut straight across is the one that is seen
        across[tuple(ahead)][wall] = owner[tuple(behind)][wall]
        across[tuple(behind)][wall] = owner[tuple(ahead)][wall]
    if (across < 0).all():
        raise ValueError("the block is so small that a single neurite fills it; make it larger, or neurites thinner")
    nearest = tuple(distance_transform_edt(across < 0, sampling=spacing, return_distances=False, return_indices=True))
    beyond = across[nearest]
    # The nearest voxel at a wall may be on its other side: then it is itself the rival.
    return np.where(neurite[beyond] == names, owner[nearest], beyond)


def _wall(
    where: np.ndarray, owner: np.ndarray, rival: np.ndarray, points: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the plane of equal power between owner and rival, and the tilt of its normal."""
    depth, tilt = np.empty(owner.shape, np.float32), np.empty(owner.shape, np.float32)
    for z in range(len(owner)):
        own, other = points[owner[z]], points[rival[z]]
        apart = np.linalg.norm(other - own, axis=-1) + 1e-6
        own_power = ((where[z] - own) ** 2).sum(axis=-1) - radii[owner[z]] ** 2
        other_power = ((where[z] - other) ** 2).sum(axis=-1) - radii[rival[z]] ** 2
        depth[z] = np.abs(other_power - own_power) / (2 * apart)
        tilt[z] = np.abs(other - own)[..., 0] / apart
    return depth, tilt
