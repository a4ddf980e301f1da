"""Places organelles in neurites: mitochondria, endoplasmic reticulum, microtubules, endosomes.

Lengths are nm and coordinates z, y, x, in the space of the spheres (see `cells`), where neurites are round.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from floodrunner.segmentation.phantom.neurites import Path

_THREAD = 8.0  # distance between the dots of a thread, so small that the dots overlap


class Marks(NamedTuple):
    """Small round things: dots, or rings around a paler inside."""

    places: np.ndarray
    """(n, 3) centre of each mark."""
    radii: np.ndarray
    """(n,) radius of the ring; 0 for a dot."""
    widths: np.ndarray
    """(n,) standard deviation of the profile of the dot or ring."""
    strengths: np.ndarray
    """(n,) darkness, 0 to 1."""
    paleness: np.ndarray
    """(n,) paleness inside the ring, 0 to 1."""
    neurite: np.ndarray
    """(n,) the neurite that the mark belongs to."""


class Mitochondria(NamedTuple):
    """Mitochondria: chains of spheres inside the chains of the neurites."""

    points: np.ndarray
    """(n, 3) centre of each sphere."""
    radii: np.ndarray
    """(n,) radius of each sphere."""
    cristae: np.ndarray
    """(n, 3) unit normal of the cristae at each sphere."""
    hosts: np.ndarray
    """(m,) indices of the neurites' spheres whose cells may contain part of a mitochondrion."""


def mark(
    places: np.ndarray, radii: np.ndarray | float, width: float, strength: float, paleness: float, neurite: int
) -> Marks:
    """Makes marks of one kind in one neurite."""
    n = len(places)
    return Marks(places, *(np.full(n, value) for value in (radii, width, strength, paleness, neurite)))


def mitochondria(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> Mitochondria:
    """Places mitochondria: often in thick paths, less often in thin paths, and there mostly in boutons."""
    points, radii, cristae, hosts = [np.empty((0, 3))], [np.empty(0)], [np.empty((0, 3))], [np.empty(0, int)]
    first = 0
    for path in paths:
        last = len(path.points)
        step = np.linalg.norm(np.diff(path.points, axis=0), axis=1).mean()
        odds = (path.radii > 0.38 * diameter) * (1.0 if path.thick else 0.2 + path.bouton)
        for _ in range(rng.poisson(density * last * step / diameter / (6 if path.thick else 13)) * bool(odds.any())):
            middle = rng.choice(last, p=odds / odds.sum())
            half = int(diameter * rng.uniform(0.8, 2.5) / step)
            run = np.arange(max(middle - half, 0), min(middle + half, last))
            run = run[np.abs(path.radii[run] - path.radii[middle]) < 0.5 * path.radii[middle]]
            room, way = path.radii[run].min(), _tangents(path)[middle]
            radius = min(rng.uniform(0.42, 0.6) * room, 0.5 * diameter)
            aside = (room - radius) * rng.uniform(0.1, 0.4) * np.cross(way, _unit(rng.normal(size=3)))
            points.append(path.points[run] + aside)
            radii.append(radius * (1 + 0.12 * np.sin(np.linspace(0, 9, len(run)) + 6 * rng.random())))
            cristae.append(np.tile(_unit(way + 0.6 * rng.normal(size=3)), (len(run), 1)))
            hosts.append(first + np.arange(max(run[0] - 4, 0), min(run[-1] + 5, last)))
        first += last
    return Mitochondria(np.concatenate(points), np.concatenate(radii), np.concatenate(cristae), np.concatenate(hosts))


def threads(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> Iterator[Marks]:
    """Makes microtubules (thin threads along the neurite) and endoplasmic reticulum (ribbons along it, with gaps)."""
    for path in paths:
        index = np.arange(len(path.points))
        step = np.linalg.norm(np.diff(path.points, axis=0), axis=1).mean()
        fine = np.arange(0, len(index) - 1, _THREAD / step)
        centre = np.column_stack([np.interp(fine, index, path.points[:, axis]) for axis in range(3)])
        one, two = (frame[np.round(fine).astype(int)] for frame in _frames(path))
        room = np.interp(fine, index, path.radii)
        for _ in range(rng.poisson(density * 10 * (path.radii.mean() / diameter) ** 1.3)):
            yield mark(centre + _beside(one, two, room, 0.75, rng), 0, 7.0, rng.uniform(0.4, 0.8), 0, path.neurite)
        for _ in range(rng.poisson(density * (3.5 if path.thick else 1.2))):
            middle = centre + _beside(one, two, room, 0.65, rng)
            turn = rng.uniform(0, np.pi) + rng.uniform(-2, 2) * np.linspace(0, 1, len(fine))
            across = np.cos(turn)[:, None] * one + np.sin(turn)[:, None] * two
            waves = np.sin(fine * step / diameter * rng.uniform(1.5, 4) + 6 * rng.random())
            half = np.minimum(room * 0.35, 0.45 * diameter) * np.maximum(waves + rng.uniform(-0.3, 0.6), 0)
            shown = half > 4
            for part in np.linspace(-1, 1, 9):
                places = middle + (part * half)[:, None] * across
                yield mark(places[shown], 0, 8.0, 0.95, 0, path.neurite)


def endosomes(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> Iterator[Marks]:
    """Makes endosomes: bright spheres with a dark membrane, each visible in a few sections."""
    for path in paths:
        for _ in range(rng.poisson(density * (1.2 if path.thick else 0.25))):
            at = int(rng.integers(len(path.points)))
            radius = min(rng.uniform(0.14, 0.28) * diameter, 0.4 * path.radii[at])
            one, two = (frame[at : at + 1] for frame in _frames(path))
            place = path.points[at] + _beside(one, two, path.radii[at : at + 1], 0.5, rng)[0]
            above = np.arange(-0.95, 1, 0.1) * radius
            places = place + above[:, None] * np.array([1.0, 0, 0])
            yield mark(places, np.sqrt(radius**2 - above**2), 6.0, 0.95, 1, path.neurite)


def _beside(one: np.ndarray, two: np.ndarray, room: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Offsets a line from the centre line, slowly winding around it, by at most the share `most` of the radius."""
    angle = 2 * np.pi * rng.random() + np.linspace(0, rng.normal(), len(room))
    aside = (room * most * np.sqrt(rng.random()))[:, None]
    return aside * (np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * two)


def _frames(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns two unit vectors perpendicular to the path at each of its points."""
    tangents = _tangents(path)
    away = np.eye(3)[np.argmin(np.abs(tangents.mean(axis=0)))]
    one = _unit(np.cross(tangents, away))
    return one, np.cross(tangents, one)


def _tangents(path: Path) -> np.ndarray:
    return _unit(np.gradient(path.points, axis=0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
