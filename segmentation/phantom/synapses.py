"""Makes synapses: vesicles in a bouton, and the dark material on the wall beside them.

Lengths are nm and coordinates z, y, x, in the space of the spheres (see `cells`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from floodrunner.segmentation.phantom.cells import Block
from floodrunner.segmentation.phantom.organelles import Marks, mark

_VESICLE, _APART = 18.0, 40.0  # radius of a vesicle; smallest distance between the centres of two vesicles
_ON_WALL, _UPRIGHT = 6.0, 0.7  # largest distance from a wall; largest tilt of a wall that is clearly visible
_CANDIDATES = 900
_LIKELY = 0.55  # probability that a bouton in the block has a synapse
_GREY = 5.0


class Synapse(NamedTuple):
    place: np.ndarray
    """(3,) a point on the wall."""
    voxel: tuple[int, int, int]
    """The voxel that shows this point."""
    before: int
    """The neurite that holds the vesicles."""
    after: int
    """The neurite on the other side of the wall."""
    radius: float


def place_synapses(
    block: Block, bouton: np.ndarray, diameter: float, density: float, rng: np.random.Generator
) -> list[Synapse]:
    """Gives about half of the boutons a synapse, on the wall to one of their neighbours.

    Args:
      bouton: (n,) 0 to 1, degree to which each sphere is in a bouton; consecutive spheres make one bouton.
    """
    swollen = bouton > 0.5
    number = (np.cumsum(np.diff(swollen, prepend=False) & swollen) * swollen).astype(np.int32)
    here = number[block.owner]
    walls = np.flatnonzero((here > 0) & (block.depth < _ON_WALL) & (block.tilt < _UPRIGHT))
    walls = rng.permutation(walls)
    _, chosen = np.unique(here.ravel()[walls], return_index=True)  # one random place for each bouton
    found = []
    for at in walls[chosen]:
        if rng.random() < _LIKELY * density:
            z, y, x = np.unravel_index(at, here.shape)
            before, after = block.neurite[block.owner[z, y, x]], block.neurite[block.rival[z, y, x]]
            radius = diameter * rng.uniform(0.4, 0.7)
            found.append(Synapse(block.where[z, y, x], (int(z), int(y), int(x)), int(before), int(after), radius))
    return found


def vesicles(synapse: Synapse, block: Block, reach: float, rng: np.random.Generator) -> Marks:
    """Makes a cloud of vesicles at a synapse; the cloud extends by `reach` into the bouton."""
    box = _around(synapse.voxel, reach, block.spacing)
    distance = np.linalg.norm(block.where[box] - synapse.place, axis=-1)
    inside = (block.name[box] == synapse.before) & (block.depth[box] > 1.2 * _VESICLE) & (distance < reach)
    odds = np.exp(-0.5 * (distance[inside] / (0.5 * reach)) ** 2)
    places = block.where[box][inside][rng.random(len(odds)) < odds]
    places = rng.permutation(places)[:_CANDIDATES] + rng.uniform(-4, 4, (min(len(places), _CANDIDATES), 3))
    gone = np.zeros(len(places), bool)
    for a, b in sorted(cKDTree(places).query_pairs(_APART)) if len(places) else ():
        gone[b] |= not gone[a]
    places = places[~gone]
    return mark(places, _VESICLE * rng.uniform(0.85, 1.1, len(places)), 6.5, 0.7, 0.2, synapse.before)


def darken(picture: np.ndarray, synapse: Synapse, block: Block, z: int) -> None:
    """Draws the dark material into the picture (y, x) of section z: thick on the receiving side, thin on the other."""
    sections, rows, columns = _around(synapse.voxel, 1.3 * synapse.radius, block.spacing)
    if not sections.start <= z < sections.stop:
        return
    box = z, rows, columns
    distance = np.linalg.norm(block.where[box] - synapse.place, axis=-1)
    depth, name, rival = block.depth[box], block.name[box], block.neurite[block.rival[box]]
    receiving = (name == synapse.after) & (rival == synapse.before)
    sending = (name == synapse.before) & (rival == synapse.after)
    profile = receiving * np.exp(-((depth / 32) ** 4)) + 0.7 * sending * np.exp(-((depth / 14) ** 4))
    opacity = 0.9 * profile * np.exp(-((distance / synapse.radius) ** 6))
    picture[rows, columns] += opacity * (_GREY - picture[rows, columns])


def _around(voxel: tuple[int, int, int], reach: float, spacing: np.ndarray) -> tuple[slice, slice, slice]:
    """Returns a box that contains everything within `reach` of a voxel, a little larger because of the warp."""
    half = (1.6 * reach / spacing).astype(int) + 2
    z, y, x = (slice(max(at - h, 0), at + h + 1) for at, h in zip(voxel, half, strict=True))
    return z, y, x
