"""Phantoms: made-up micrographs, volumes and pictures, whose true segmentation is known.

Tissue, cells and their appearance are drawn here; files are written by the stages `phantom` and `phantom-cells`.
"""

from __future__ import annotations

import cc3d
import numpy as np

from floodrunner.segmentation.phantom import drawing, organelles, picture, synapses
from floodrunner.segmentation.phantom.cells import Block, partition
from floodrunner.segmentation.phantom.neurites import Path, grow
from floodrunner.segmentation.phantom.noise import SmoothNoise

_WARPS = ((45.0, 200.0), (20.0, 70.0))  # (strength, length) of the irregularities of outlines, nm
_HALF_CLEFT = 6.5  # nm: distance from the middle between two cells to the middle of a membrane


def phantom(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    seed: int = 1,
    *,
    diameter: float = 210.0,
    noise: float = 12.0,
    jitter: float = 4.0,
    clutter: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes an EM-like volume and its ground truth. The same arguments give the same volume.

    This needs about 100 bytes of memory per voxel.

    Args:
      shape: size of the volume, z, y, x, voxels.
      spacing: voxel size z, y, x, nm; the thickness of a section is the voxel size in z.
      seed: seed of the random numbers.
      diameter: diameter of a typical neurite, nm.
      noise: standard deviation of the imaging noise, grey levels.
      jitter: standard deviation of the misalignment of sections in y and in x, nm. Image and truth shift together.
      clutter: density of organelles and synapses: 1 is the density in cortex, 0 is none.

    Returns:
      (z, y, x) uint8 image, and (z, y, x) uint32 labels: 0 for membranes and the space between cells, 1 to n for the
      neurites. Each label is one face-connected piece: a neurite that leaves the block and comes back has two labels.

    Raises:
      ValueError: if the block is too small to hold neurites, its voxels are too large to show them, or an argument is
        out of range.
    """
    _check(shape, spacing, seed, diameter, noise, jitter, clutter)
    where = np.empty((*shape, 3), np.float32)  # allocated first, so that too little memory shows at once
    extent = np.array(shape) * np.array(spacing, float)
    # Each purpose has a random stream of its own, so that noise and clutter do not change the course of the neurites.
    streams = np.random.SeedSequence(seed).spawn(6)
    tissue, outlines, contents, texture, cutting, camera = (np.random.default_rng(stream) for stream in streams)

    paths = grow(extent, diameter, tissue)
    planes = _planes(shape, spacing, jitter, cutting)
    warps = [(height, [SmoothNoise(extent, length, outlines) for _ in range(3)]) for height, length in _WARPS]
    for z, (above, y, x) in enumerate(planes):
        where[z, ..., 0], where[z, ..., 1], where[z, ..., 2] = above, y[:, None], x
        for axis in range(3):
            for height, warp in warps:
                where[z, ..., axis] += height * warp[axis].section(above, y, x)
    neurite = np.repeat([path.neurite for path in paths], [len(path.points) for path in paths])
    points, radii = np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths])
    block = partition(where, points, radii, neurite, np.array(spacing, float))

    image = _photograph(block, paths, planes, extent, diameter, noise, clutter, contents, texture, camera)
    return image, _truth(block, diameter)


def _check(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    seed: int,
    diameter: float,
    noise: float,
    jitter: float,
    clutter: float,
) -> None:
    if min(shape) < 1 or not all(0 < s < np.inf for s in spacing):
        size, voxel = (" x ".join(f"{n:g}" for n in reversed(triple)) for triple in (shape, spacing))
        raise ValueError(f"size is {size}, voxel size {voxel} nm (x, y, z); all these numbers must be positive")
    if not 0 < diameter < np.inf:
        raise ValueError(f"diameter is {diameter} nm; it must be positive")
    if seed < 0 or not all(0 <= value < np.inf for value in (noise, jitter, clutter)):
        raise ValueError(
            f"seed {seed}, noise {noise}, jitter {jitter}, clutter {clutter}: "
            "none of them may be negative, and all must be finite"
        )
    across = [n * s for n, s in zip(shape[1:], spacing[1:], strict=True)]
    if min(across) < 2 * diameter:
        raise ValueError(
            f"a section of {across[1]:g} x {across[0]:g} nm (x, y) has room for only one or two neurites of "
            f"diameter {diameter:g} nm; make the section at least {2 * diameter:g} nm wide and high"
        )
    if max(spacing[1:]) > diameter / 8 or spacing[0] > diameter / 2:
        raise ValueError(
            f"voxels of {spacing[2]:g} x {spacing[1]:g} x {spacing[0]:g} nm (x, y, z) are too large to show neurites "
            f"of diameter {diameter:g} nm; make x and y at most {diameter / 8:g}, z at most {diameter / 2:g}"
        )
    if jitter > diameter / 4:
        raise ValueError(
            f"with a jitter of {jitter:g} nm, neurites of diameter {diameter:g} nm cannot be followed; "
            f"make the jitter at most {diameter / 4:g}"
        )


def _planes(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], jitter: float, rng: np.random.Generator
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Returns, for each section, its z and the positions of its rows and columns in the tissue, nm."""
    z, y, x = ((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True))
    return [
        (float(above), y + down, x + right)
        for above, (down, right) in zip(z, jitter * rng.normal(size=(len(z), 2)), strict=True)
    ]


def _photograph(
    block: Block,
    paths: list[Path],
    planes: list[tuple[float, np.ndarray, np.ndarray]],
    extent: np.ndarray,
    diameter: float,
    noise: float,
    clutter: float,
    contents: np.random.Generator,
    texture: np.random.Generator,
    camera: np.random.Generator,
) -> np.ndarray:
    found = synapses.place_synapses(block, np.concatenate([path.bouton for path in paths]), diameter, clutter, contents)
    marks = [
        organelles.mark(np.empty((0, 3)), 0, 1, 0, 0, 0),
        *organelles.threads(paths, diameter, clutter, contents),
        *organelles.endosomes(paths, diameter, clutter, contents),
        *(synapses.vesicles(synapse, block, 1.6 * diameter, contents) for synapse in found),
    ]
    dark, pale = drawing.draw_marks(organelles.Marks(*map(np.concatenate, zip(*marks, strict=True))), block)
    chains = organelles.mitochondria(paths, diameter, clutter, contents)
    body, rim, margin = drawing.draw_mitochondria(chains, block)

    dark, pale = dark * (1 - margin), pale * (1 - margin)

    cloudy, cleft, contrast = (SmoothNoise(extent, length, texture) for length in (120.0, 120.0, 150.0))
    grey = 172 + 16 * texture.normal(size=block.neurite.max() + 1)
    image = np.empty(block.name.shape, np.uint8)
    for z, plane in enumerate(planes):
        grains = picture.grain(block.name[z].shape, block.spacing[1:], texture)
        shown = grey[block.name[z]] + 10 * cloudy.section(*plane) + grains
        shown = picture.over(shown + 30 * pale[z], 15, dark[z])
        shown = picture.over(shown, 70 + 0.8 * grains, body[z])
        shown = picture.over(shown, 15, rim[z])
        gap = _HALF_CLEFT + 2.5 * np.clip(cleft.section(*plane), -1.5, 2)
        wall = picture.membranes(block.depth[z], block.tilt[z], gap, block.spacing[0])
        shown = picture.over(shown, 15, wall * np.clip(0.85 + 0.12 * contrast.section(*plane), 0.55, 1))
        for synapse in found:
            synapses.darken(shown, synapse, block, z)
        image[z] = picture.expose(shown, noise, camera)
    return image


def _truth(block: Block, diameter: float) -> np.ndarray:
    """Labels the connected pieces inside the membranes, without slivers, numbered without gaps."""
    name = np.where(block.depth > _HALF_CLEFT + picture.MEMBRANE, block.name, 0)
    pieces = cc3d.connected_components(name, connectivity=6)
    sizes = np.bincount(pieces.ravel())
    kept = sizes * block.spacing.prod() >= diameter**3 / 16
    kept[0] = False
    if kept.sum() < 2:
        raise ValueError("the block holds fewer than two neurites; make the block larger or the diameter smaller")
    return (np.cumsum(kept) * kept).astype(np.uint32)[pieces]
