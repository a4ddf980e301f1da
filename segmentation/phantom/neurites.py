"""Makes the courses of neurites through a block: tubes that are placed at random and then pushed apart.

All lengths are nm, and all coordinates are z, y, x; the origin is the corner of the block.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial import cKDTree

from floodrunner.segmentation.phantom.cells import power_tree

_FILL = 0.7  # share of the block that tubes fill; at a larger share, some tubes block each other
_THICK_SHARE = 0.25  # share of dendrites in the volume of the tubes
_CANDIDATES = 12
_ROUNDS, _ROUNDS_PER_LIST = 160, 8
_BRANCHING = 0.2
_SPINE_EVERY = 4.0  # distance between spines, in diameters of the typical neurite


class Path(NamedTuple):
    """A part of a neurite without branch points in between."""

    neurite: int
    points: np.ndarray
    """(n, 3) points of the centre line."""
    radii: np.ndarray
    """(n,) radius at each point."""
    bouton: np.ndarray
    """(n,) 0 to 1: degree to which each point is in a swelling (varicosity)."""
    thick: bool
    parent: tuple[int, int] | None
    """(path, point) to which the first point is attached; None for a trunk."""


def grow(extent: np.ndarray, diameter: float, rng: np.random.Generator) -> list[Path]:
    """Fills a block with neurites.

    Args:
      extent: (3,) size of the block. Tubes also fill a margin around it, so that its faces look like its inside.
      diameter: diameter of the typical neurite. A quarter of the tissue is dendrites, about twice as thick and with
        spines.

    Returns:
      The paths, sampled evenly at 0.4 of their smallest radius. Neurites are numbered from 1; a neurite with branches
      or spines has several paths.
    """
    margin = 1.5 * diameter
    low, high = np.full(3, -margin), extent + margin
    paths = _pack(_scatter(low, high, diameter, rng))
    return [_resample(path, 0.4) for path in paths]


def _scatter(low: np.ndarray, high: np.ndarray, diameter: float, rng: np.random.Generator) -> list[Path]:
    """Adds neurites until they fill the wanted volume; of several courses, takes the one that overlaps others least."""
    wanted = _FILL * float(np.prod(high - low))
    paths: list[Path] = []
    filled = thick_filled = 0.0
    neurite = 0
    while filled < wanted:
        neurite += 1
        thick = thick_filled < _THICK_SHARE * filled
        radius = diameter * (rng.uniform(0.8, 1.2) if thick else np.clip(0.45 * np.exp(0.3 * rng.normal()), 0.28, 0.75))
        options = [_course(low, high, radius, diameter, rng) for _ in range(_CANDIDATES if paths else 1)]
        trunk = _with_calibre(_roomiest(options, radius, paths), neurite, radius, diameter, thick, None, rng)
        grown = [trunk, *_branches(trunk, len(paths), diameter, low, high, rng)]
        paths += grown
        volume = sum(_volume(path, low, high) for path in grown)
        filled += volume
        thick_filled += volume * thick
    return paths


def _direction(rng: np.random.Generator) -> np.ndarray:
    """Draws a direction: four in five run roughly along z, as in a bundle; one in five in any direction."""
    spread = 0.35 if rng.random() < 0.8 else 5.0
    vector = np.array([1.0, 0.0, 0.0]) + spread * rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def _course(low: np.ndarray, high: np.ndarray, radius: float, diameter: float, rng: np.random.Generator) -> np.ndarray:
    """Draws a wavy line from face to face through a random point, (n, 3), sampled once per radius."""
    through, direction = rng.uniform(low, high), _direction(rng)
    return _wave(_line(through, direction, low, high, radius), direction, diameter, rng)


def _line(through: np.ndarray, direction: np.ndarray, low: np.ndarray, high: np.ndarray, step: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        ends = np.stack([(low - through) / direction, (high - through) / direction])
    start, stop = ends.min(axis=0).max(), ends.max(axis=0).min()
    along = np.linspace(start, stop, max(6, int((stop - start) / step) + 1))
    return through + along[:, None] * direction


def _wave(line: np.ndarray, direction: np.ndarray, diameter: float, rng: np.random.Generator) -> np.ndarray:
    along = np.linalg.norm(line - line[0], axis=1)[:, None]
    waves = np.zeros_like(line)
    for _ in range(3):
        length, height = diameter * rng.uniform(4, 12), diameter * rng.uniform(0.1, 0.35)
        waves += height * rng.normal(size=3) * np.sin(2 * np.pi * (along / length + rng.random()))
    return line + waves - (waves @ direction)[:, None] * direction


def _roomiest(options: list[np.ndarray], radius: float, paths: list[Path]) -> np.ndarray:
    if not paths:
        return options[0]
    tree, offset = power_tree(np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths]))
    clearances = []
    for option in options:
        power = tree.query(np.pad(option, ((0, 0), (0, 1))))[0] ** 2 - offset
        clearances.append(np.minimum(power - radius**2, 0).mean())
    return options[int(np.argmax(clearances))]


def _with_calibre(
    points: np.ndarray,
    neurite: int,
    radius: float,
    diameter: float,
    thick: bool,
    parent: tuple[int, int] | None,
    rng: np.random.Generator,
) -> Path:
    """Varies the radius along the path; thin neurites get a varicosity about every nine diameters."""
    along = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1).cumsum()
    waves = sum(np.sin(2 * np.pi * (along / (diameter * rng.uniform(2, 7)) + rng.random())) for _ in range(3))
    bouton = np.zeros(len(points))
    if not thick:
        for centre in np.arange(rng.uniform(0, 8), along[-1] / diameter, rng.uniform(7, 11)) * diameter:
            bouton = np.maximum(bouton, np.exp(-0.5 * ((along - centre) / (0.9 * diameter)) ** 2))
    radii = radius * (1 + 0.1 * waves) + 0.3 * diameter * bouton
    return Path(neurite, points, radii, bouton, thick, parent)


def _branches(
    trunk: Path, index: int, diameter: float, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> list[Path]:
    """Adds spines to dendrites, and a branch to one neurite in five."""
    found: list[Path] = []
    inner = np.arange(2, len(trunk.points) - 2)
    if not len(inner):
        return found
    if rng.random() < _BRANCHING:
        at = int(rng.choice(inner))
        tangent = trunk.points[at + 1] - trunk.points[at - 1]
        direction = tangent / np.linalg.norm(tangent) + 0.9 * rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        radius = max(0.7 * float(trunk.radii[at]), 0.3 * diameter)
        line = _line(trunk.points[at], direction, low, high, radius)
        line = line[(line - trunk.points[at]) @ direction > 0]
        points = np.concatenate([trunk.points[at : at + 1], line])
        if len(points) > 4:
            found.append(_with_calibre(points, trunk.neurite, radius, diameter, False, (index, at), rng))
    if trunk.thick:
        length = np.linalg.norm(np.diff(trunk.points, axis=0), axis=1).sum()
        for at in rng.choice(inner, min(len(inner), int(length / (_SPINE_EVERY * diameter))), replace=False):
            found.append(_spine(trunk, index, int(at), diameter, rng))
    return found


def _spine(trunk: Path, index: int, at: int, diameter: float, rng: np.random.Generator) -> Path:
    tangent = trunk.points[at + 1] - trunk.points[at - 1]
    direction = np.cross(tangent, rng.normal(size=3))
    direction /= np.linalg.norm(direction)
    length = float(trunk.radii[at]) + diameter * rng.uniform(1.0, 1.8)
    along = np.arange(0, length, 0.25 * diameter)
    head = np.exp(-0.5 * ((along - length) / (0.4 * diameter)) ** 2)
    radii = diameter * (0.26 + rng.uniform(0.2, 0.35) * head)
    points = trunk.points[at] + along[:, None] * direction
    return Path(trunk.neurite, points, radii, np.zeros(len(along)), False, (index, at))


def _volume(path: Path, low: np.ndarray, high: np.ndarray) -> float:
    steps = np.linalg.norm(np.diff(path.points, axis=0), axis=1)
    inside = np.all((path.points > low) & (path.points < high), axis=1)
    return float((np.pi * path.radii[1:] ** 2 * steps * inside[1:]).sum())


def _pack(paths: list[Path]) -> list[Path]:
    """Moves overlapping tubes apart, thinner tubes further than thicker ones, and keeps each line smooth."""
    points, radii = np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths])
    neurite = np.repeat([p.neurite for p in paths], [len(p.points) for p in paths])
    starts = np.cumsum([0, *(len(p.points) for p in paths)])
    inner = np.concatenate([np.arange(a + 1, b - 1) for a, b in pairwise(starts)])
    tied = [(starts[i], starts[p.parent[0]] + p.parent[1]) for i, p in enumerate(paths) if p.parent is not None]
    child, parent = np.array(tied, dtype=int).reshape(-1, 2).T
    for round_ in range(_ROUNDS):
        if round_ % _ROUNDS_PER_LIST == 0:
            a, b = _close_pairs(points, radii, neurite)
        apart = points[a] - points[b]
        distance = np.linalg.norm(apart, axis=1) + 1e-6
        overlap = np.maximum(radii[a] + radii[b] - distance, 0)
        push = (0.4 * overlap / distance)[:, None] * apart
        share = (radii[b] ** 2 / (radii[a] ** 2 + radii[b] ** 2))[:, None]
        move = np.zeros_like(points)
        for axis in range(3):
            move[:, axis] += np.bincount(a, (push * share)[:, axis], len(points))
            move[:, axis] -= np.bincount(b, (push * (1 - share))[:, axis], len(points))
        length = np.linalg.norm(move, axis=1, keepdims=True) + 1e-6
        points = points + move * np.minimum(1, 0.15 * radii[:, None] / length)
        middle = (points[inner - 1] + points[inner + 1]) / 2
        points[inner] += 0.25 * (middle - points[inner])
        points[child] = points[parent]
    return [p._replace(points=points[a:b]) for p, (a, b) in zip(paths, pairwise(starts), strict=True)]


def _close_pairs(points: np.ndarray, radii: np.ndarray, neurite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists pairs of points of different neurites that overlap or nearly overlap."""
    a, b = cKDTree(points).query_pairs(2 * float(radii.max()), output_type="ndarray").T
    near = np.linalg.norm(points[a] - points[b], axis=1) < 1.3 * (radii[a] + radii[b])
    near &= neurite[a] != neurite[b]
    return a[near], b[near]


def _resample(path: Path, step: float) -> Path:
    along = np.linalg.norm(np.diff(path.points, axis=0, prepend=path.points[:1]), axis=1).cumsum()
    along += 1e-6 * np.arange(len(along))
    samples = np.linspace(0, along[-1], int(along[-1] / (step * path.radii.min())) + 2)
    return path._replace(
        points=make_interp_spline(along, path.points, k=3)(samples),
        radii=np.interp(samples, along, path.radii),
        bouton=np.interp(samples, along, path.bouton),
    )
