"""Turns the centre lines of neurites into cells that fill the block, and measures the walls between them.

Lengths are nm and coordinates z, y, x. A neurite is a chain of spheres. Each sphere has a cell: the part of space that
is nearest to this sphere in power distance. Spheres lie in a smoothly warped copy of the block, which makes outlines
irregular.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

_SLAB, _HALO = 24, 3


class Block(NamedTuple):
    """The cells, voxel by voxel; arrays are (z, y, x) unless another shape is given."""

    spacing: np.ndarray
    """(3,) voxel size z, y, x, nm."""
    neurite: np.ndarray
    """(spheres,) int32: the neurite of each sphere."""
    where: np.ndarray
    """(z, y, x, 3) float32: the position of each voxel in the warped space in which the spheres lie."""
    owner: np.ndarray
    """int32: the sphere whose cell contains the voxel."""
    name: np.ndarray
    """int32: the neurite whose cell contains the voxel."""
    rival: np.ndarray
    """int32: the sphere on the other side of the nearest wall; it belongs to another neurite."""
    depth: np.ndarray
    """float32: distance to the nearest wall, nm; exact only near the wall."""
    tilt: np.ndarray
    """float32, 0 to 1: cosine of the angle between the nearest wall's normal and z; 0 for a wall that is perpendicular
    to the section."""


def partition(
    where: np.ndarray, points: np.ndarray, radii: np.ndarray, neurite: np.ndarray, spacing: np.ndarray
) -> Block:
    """Divides space among spheres by power distance, and measures the walls between neurites.

    Args:
      where: (z, y, x, 3) float32, the position of each voxel in the space of the spheres.
      points, radii, neurite: (n, 3), (n,), (n,): centre and radius of each sphere, and its neurite.
      spacing: (3,) voxel size z, y, x.

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
    """Makes a tree that finds the sphere with the smallest power distance d² - r² from a point.

    The centres get a fourth coordinate, sqrt(R² - r²), where R is the largest radius; queries must have 0 there.

    Returns:
      The tree and R². The squared distance that a query returns, minus R², is the power distance.

    Source: Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987).
    """
    largest = float(radii.max()) ** 2
    return cKDTree(np.column_stack([points, np.sqrt(np.maximum(largest - radii**2, 0))])), largest


def _rival(owner: np.ndarray, name: np.ndarray, neurite: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Finds for each voxel a sphere beyond the nearest wall, from the owners of the voxels on both sides of it."""
    across = np.full(owner.shape, -1, np.int32)
    for axis in range(3):  # x and y last: where walls meet, the perpendicular wall is the visible wall
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        wall = name[tuple(ahead)] != name[tuple(behind)]
        across[tuple(ahead)][wall] = owner[tuple(behind)][wall]
        across[tuple(behind)][wall] = owner[tuple(ahead)][wall]
    if (across < 0).all():
        raise ValueError("one neurite fills the whole block; make the block larger or the diameter smaller")
    nearest = tuple(distance_transform_edt(across < 0, sampling=spacing, return_distances=False, return_indices=True))
    beyond = across[nearest]
    # If the nearest voxel at a wall is on its other side, the rival is the owner of that voxel.
    return np.where(neurite[beyond] == name, owner[nearest], beyond)


def _wall(
    where: np.ndarray, owner: np.ndarray, rival: np.ndarray, points: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the distance to the plane of equal power distance between owner and rival, and the plane's tilt."""
    own, other = points[owner], points[rival]
    apart = np.linalg.norm(other - own, axis=-1) + 1e-6
    own_power = ((where - own) ** 2).sum(axis=-1) - radii[owner] ** 2
    other_power = ((where - other) ** 2).sum(axis=-1) - radii[rival] ** 2
    return np.abs(other_power - own_power) / (2 * apart), np.abs(other - own)[..., 0] / apart
