"""From centre lines to cells that fill the block: who owns a voxel, how far its membrane is, how oblique.

Lengths are nm and coordinates z, y, x. Cells are power cells of spheres; the space they live in is a smoothly warped
copy of the block, which makes their outlines irregular.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

_SLAB, _HALO = 24, 3


class Block(NamedTuple):
    """The tissue as its sections show it; arrays are (z, y, x) where no shape is given."""

    spacing: np.ndarray
    """(3,) voxel size."""
    neurite: np.ndarray
    """(spheres,) int32: the neurite each sphere is part of."""
    where: np.ndarray
    """(z, y, x, 3) float32: the voxel's place in the spheres' space."""
    owner: np.ndarray
    """int32: the sphere whose cell the voxel is in."""
    name: np.ndarray
    """int32: the neurite that sphere is part of."""
    rival: np.ndarray
    """int32: the sphere beyond the nearest wall, which is part of another neurite."""
    depth: np.ndarray
    """float32: distance to that wall; exact near the wall."""
    tilt: np.ndarray
    """float32, 0 to 1: cosine between the wall's normal and z; 0 is a wall cut straight across."""


def partition(
    where: np.ndarray, points: np.ndarray, radii: np.ndarray, neurite: np.ndarray, spacing: np.ndarray
) -> Block:
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
    neurite = neurite.astype(np.int32)
    name, rival = neurite[owner], np.empty_like(owner)
    depth, tilt = np.empty(owner.shape, np.float32), np.empty(owner.shape, np.float32)
    for start in range(0, len(owner), _SLAB):
        low, stop = max(start - _HALO, 0), start + _SLAB
        near = slice(low, stop + _HALO)
        rival[start:stop] = _rival(owner[near], name[near], neurite, spacing)[start - low :][:_SLAB]
    for z in range(len(owner)):
        depth[z], tilt[z] = _wall(where[z], owner[z], rival[z], points, radii)
    return Block(spacing, neurite, where, owner, name, rival, depth, tilt)


def power_tree(points: np.ndarray, radii: np.ndarray) -> tuple[cKDTree, float]:
    """A tree that finds the sphere of smallest power distance d² - r².

    The spheres' centres are lifted into a fourth dimension by sqrt(R² - r²), R the largest radius; queries have 0
    there. Returns the tree and R²: a query's squared distance minus R² is the power distance.

    Source: Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987).
    """
    largest = float(radii.max()) ** 2
    return cKDTree(np.column_stack([points, np.sqrt(np.maximum(largest - radii**2, 0))])), largest


def _rival(owner: np.ndarray, name: np.ndarray, neurite: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """For each voxel a sphere beyond the nearest wall, taken from the voxels on both sides of that wall."""
    across = np.full(owner.shape, -1, np.int32)
    for axis in range(3):  # x and y last: where walls meet, the one cut straight across is the one that is seen
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        wall = name[tuple(ahead)] != name[tuple(behind)]
        across[tuple(ahead)][wall] = owner[tuple(behind)][wall]
        across[tuple(behind)][wall] = owner[tuple(ahead)][wall]
    if (across < 0).all():
        raise ValueError("one neurite fills the whole block; make the block larger or the diameter smaller")
    nearest = tuple(distance_transform_edt(across < 0, sampling=spacing, return_distances=False, return_indices=True))
    beyond = across[nearest]
    # The nearest voxel at a wall may be on its other side: then it is itself the rival.
    return np.where(neurite[beyond] == name, owner[nearest], beyond)


def _wall(
    where: np.ndarray, owner: np.ndarray, rival: np.ndarray, points: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the plane of equal power between owner and rival, and the tilt of its normal."""
    own, other = points[owner], points[rival]
    apart = np.linalg.norm(other - own, axis=-1) + 1e-6
    own_power = ((where - own) ** 2).sum(axis=-1) - radii[owner] ** 2
    other_power = ((where - other) ** 2).sum(axis=-1) - radii[rival] ** 2
    return np.abs(other_power - own_power) / (2 * apart), np.abs(other - own)[..., 0] / apart
