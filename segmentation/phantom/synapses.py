"""Synapses: a bouton's vesicles, and the dark material on the wall before which they crowd.

Lengths are nm and coordinates z, y, x; places are in the spheres' space (see `cells`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from segmentation.phantom.cells import Block
from segmentation.phantom.organelles import Marks, mark

_VESICLE, _APART = 18.0, 40.0  # radius of a vesicle; distance between two
_ON_WALL, _UPRIGHT = 6.0, 0.7  # how near to a wall counts as on it; walls more tilted than this are not seen clearly
_CANDIDATES = 900


class Synapse(NamedTuple):
    place: np.ndarray
    """(3,) on the wall."""
    section: int
    before: int
    """The neurite with the vesicles."""
    after: int
    radius: float


def place_synapses(
    block: Block, bouton: np.ndarray, diameter: float, density: float, rng: np.random.Generator
) -> list[Synapse]:
    """Gives most boutons a synapse, on the wall to some neighbour.

    Args:
      bouton: (n,) 0 to 1, how much of a bouton each sphere is; consecutive spheres make one bouton.
    """
    swollen = bouton > 0.5
    number = np.cumsum(np.diff(swollen, prepend=False) & swollen) * swollen
    here = number[block.owner]
    walls = np.flatnonzero((here > 0) & (block.depth < _ON_WALL) & (block.tilt < _UPRIGHT))
    walls = rng.permutation(walls)
    _, chosen = np.unique(here.ravel()[walls], return_index=True)  # the first of each bouton, in random order
    found = []
    for at in walls[chosen]:
        if rng.random() < 0.8 * density:
            z, y, x = np.unravel_index(at, here.shape)
            before, after = block.neurite[block.owner[z, y, x]], block.neurite[block.rival[z, y, x]]
            radius = diameter * rng.uniform(0.4, 0.7)
            found.append(Synapse(block.where[z, y, x], int(z), int(before), int(after), radius))
    return found


def vesicles(synapse: Synapse, block: Block, reach: float, rng: np.random.Generator) -> Marks:
    """A cloud of vesicles behind a synapse; `reach` is how far into the bouton it extends."""
    sections = int(reach / block.spacing[0]) + 1
    box = slice(max(synapse.section - sections, 0), synapse.section + sections + 1)
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


def density(synapse: Synapse, block: Block, z: int) -> np.ndarray | float:
    """(y, x) opacity of the dark material in section z: thick on the receiving side, a thin line on the other."""
    if abs(z - synapse.section) * block.spacing[0] > 2 * synapse.radius:
        return 0.0
    distance = np.linalg.norm(block.where[z] - synapse.place, axis=-1)
    depth, name, rival = block.depth[z], block.name[z], block.neurite[block.rival[z]]
    receiving = (name == synapse.after) & (rival == synapse.before)
    sending = (name == synapse.before) & (rival == synapse.after)
    profile = receiving * np.exp(-((depth / 32) ** 4)) + 0.7 * sending * np.exp(-((depth / 14) ** 4))
    return 0.9 * profile * np.exp(-((distance / synapse.radius) ** 6))
