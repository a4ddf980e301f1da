"""Volumes that look like serial-section electron micrographs, with the truth known."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import label as connected_components

from segmentation.phantom import organelles as inside
from segmentation.phantom import picture
from segmentation.phantom.cells import Cells, partition, power_tree
from segmentation.phantom.neurites import Path, grow
from segmentation.phantom.noise import SmoothNoise

_WARPS = ((45.0, 200.0), (13.0, 50.0))  # nm: how irregular outlines are, and over what distance
_HALF_CLEFT = 6.5  # nm, from the middle between two cells to the middle of a membrane
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
    streams = np.random.SeedSequence(seed).spawn(5)
    tissue, contents, texture, sections, camera = (np.random.default_rng(s) for s in streams)
    paths = grow(extent, diameter, tissue)
    points, radii = np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths])
    neurite = np.repeat([p.neurite for p in paths], [len(p.points) for p in paths])

    shift = jitter * sections.normal(size=(shape[0], 2))
    axes = [(np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True)]
    warps = [(height, [SmoothNoise(extent, length, tissue) for _ in range(3)]) for height, length in _WARPS]
    where = np.empty((*shape, 3), np.float32)
    for z in range(shape[0]):
        y, x = axes[1] + shift[z, 0], axes[2] + shift[z, 1]
        for axis, at in enumerate((axes[0][z], y[:, None], x)):
            where[z, ..., axis] = at + sum(height * warp[axis].section(axes[0][z], y, x) for height, warp in warps)
    cells = partition(where, points, radii, neurite, np.array(spacing))
    names = neurite[cells.owner]
    labels = _truth(names, cells.depth)

    pitch = spacing[1], spacing[2]
    synapses = _synapses(paths, cells, names, neurite, where, diameter, organelles, contents)
    marks = [
        *inside.cytoskeleton(paths, diameter, organelles, contents),
        *inside.endosomes(paths, diameter, organelles, contents),
    ]
    for synapse in synapses:
        near = (np.linalg.norm(where - synapse.place, axis=-1) < 1.6 * diameter) & (names == synapse.before)
        near &= cells.depth > 24
        marks.append(inside.vesicles(synapse, where[near], cells.owner[near], 1.1 * diameter, contents))
    all_marks = inside.Marks(*(np.concatenate(column) for column in zip(*marks, strict=True)))
    pixels, seen = _locate(all_marks.places, where, np.array(spacing))
    seen[seen] &= names[tuple(np.round(pixels[seen]).astype(int).T)] == neurite[all_marks.sphere[seen]]
    dark, pale = picture.stamp(shape, pixels[seen], inside.Marks(*(column[seen] for column in all_marks)), pitch)

    body, rim = _mitochondria(inside.mitochondria(paths, diameter, organelles, contents), cells, where)
    cloudy = SmoothNoise(extent, 120.0, texture)
    clefts, contrast = SmoothNoise(extent, 120.0, texture), SmoothNoise(extent, 150.0, texture)
    grey = 172 + 14 * texture.normal(size=neurite.max() + 1)
    image = np.empty(shape, np.uint8)
    for z in range(shape[0]):
        y, x = axes[1] + shift[z, 0], axes[2] + shift[z, 1]
        at = axes[0][z], y, x
        grains = picture.grain(shape[1:], pitch, texture)
        shown = grey[names[z]] + 7 * cloudy.section(*at) + grains
        shown = shown + 30 * pale[z] * (1 - dark[z])
        clear = np.clip((cells.depth[z] - 12) / 10, 0, 1)
        shown = _over(shown, 35, dark[z] * clear)
        shown = _over(shown, 88 + 0.6 * grains, body[z] * clear)
        shown = _over(shown, 40, rim[z] * clear)
        cleft = _HALF_CLEFT + 2.5 * np.clip(clefts.section(*at), -1.5, 2)
        wall = picture.membranes(cells.depth[z], cells.tilt[z], cleft, spacing[0])
        shown = _over(shown, 40, wall * np.clip(0.85 + 0.12 * contrast.section(*at), 0.55, 1))
        for synapse in synapses:
            shown = _over(shown, 25, _density(synapse, where[z], cells.depth[z], names[z], neurite[cells.rival[z]]))
        image[z] = picture.expose(shown, noise, camera)
    return image, labels


def _over(below: np.ndarray, grey: np.ndarray | float, opacity: np.ndarray) -> np.ndarray:
    return below * (1 - opacity) + grey * opacity


def _locate(places: np.ndarray, where: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The voxel (fractional in y and x) at which each place is seen, and whether it is in the block."""
    last = np.array(where.shape[:3]) - 1
    pixels = places / spacing - 0.5
    for _ in range(4):
        nearest = np.clip(np.round(pixels), 0, last).astype(int)
        pixels = nearest + (places - where[tuple(nearest.T)]) / spacing
    return pixels, ((pixels > -0.5) & (pixels < last + 0.5)).all(axis=1)


def _mitochondria(mitochondria: inside.Mitochondria, cells: Cells, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of mitochondria, and of their membranes and cristae."""
    body, rim = np.zeros(where.shape[:3], np.float32), np.zeros(where.shape[:3], np.float32)
    if not len(mitochondria.points):
        return body, rim
    hosts = np.zeros(cells.owner.max() + 1 + mitochondria.hosts.max(), bool)
    hosts[mitochondria.hosts] = True
    near = hosts[cells.owner] & (cells.depth > 15)
    at = where[near]
    tree, _ = power_tree(mitochondria.points, mitochondria.radii)
    nearest = tree.query(np.pad(at, ((0, 0), (0, 1))), workers=-1)[1]
    outside = np.linalg.norm(at - mitochondria.points[nearest], axis=1) - mitochondria.radii[nearest]
    outside = np.maximum(outside, 34 - cells.depth[near])
    body[near] = np.clip(0.5 - outside / 8, 0, 1)
    phase = (at * mitochondria.cristae[nearest]).sum(axis=1) / 42 + 0.15 * np.sin(at @ np.array([0.03, 0.04, 0.05]))
    cristae = 0.45 * np.maximum(np.cos(2 * np.pi * phase), 0) ** 3 * np.clip((-outside - 12) / 10, 0, 1)
    rim[near] = np.maximum(np.exp(-0.5 * ((outside + 5) / 5) ** 2), cristae)
    return body, rim


def _synapses(
    paths: list[Path],
    cells: Cells,
    names: np.ndarray,
    neurite: np.ndarray,
    where: np.ndarray,
    diameter: float,
    density: float,
    rng: np.random.Generator,
) -> list[inside.Synapse]:
    """One for most boutons, on the wall to some neighbour."""
    bouton = np.concatenate([p.bouton for p in paths])
    run = np.cumsum(np.diff((bouton > 0.5).astype(int), prepend=0) == 1) * (bouton > 0.5)
    walls = np.flatnonzero((cells.depth.ravel() < 6) & (cells.tilt.ravel() < 0.7) & (run[cells.owner].ravel() > 0))
    found = []
    for number in np.unique(run[cells.owner].ravel()[walls]):
        options = walls[run[cells.owner].ravel()[walls] == number]
        if rng.random() < 0.8 * min(density, 1.2):
            at = rng.choice(options)
            after = neurite[cells.rival.ravel()[at]]
            radius = diameter * rng.uniform(0.4, 0.7)
            found.append(inside.Synapse(where.reshape(-1, 3)[at], int(names.ravel()[at]), int(after), radius))
    return found


def _density(
    synapse: inside.Synapse, where: np.ndarray, depth: np.ndarray, names: np.ndarray, rivals: np.ndarray
) -> np.ndarray:
    """Opacity of the dark material at a synapse: thick on the receiving side, a thin line on the other."""
    distance = np.linalg.norm(where - synapse.place, axis=-1)
    between = (names == synapse.after) & (rivals == synapse.before)
    reverse = (names == synapse.before) & (rivals == synapse.after)
    profile = between * np.exp(-((depth / 30) ** 4)) + 0.6 * reverse * np.exp(-((depth / 14) ** 4))
    return 0.85 * profile * np.exp(-((distance / synapse.radius) ** 6))


def _truth(names: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Labels of what lies within the membranes: of each neurite the largest piece, numbered without gaps."""
    names = np.where(depth > _HALF_CLEFT + picture.MEMBRANE, names, 0)
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
