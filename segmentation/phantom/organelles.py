"""What is inside neurites: mitochondria, endoplasmic reticulum, microtubules, vesicles, endosomes, synapses.

Lengths are nm and coordinates z, y, x; places are in the spheres' space (see `cells`), where neurites are round.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from segmentation.phantom.neurites import Path

_VESICLE = 19.0  # radius
_VESICLES_APART = 44.0


class Marks(NamedTuple):
    """Small round things: a dot, or a ring around a paler inside."""

    places: np.ndarray
    """(n, 3)"""
    radii: np.ndarray
    """(n,) of the ring; 0 is a dot."""
    widths: np.ndarray
    """(n,) standard deviation of the dot's or the ring's profile."""
    strengths: np.ndarray
    """(n,) 0 to 1: how dark."""
    sphere: np.ndarray
    """(n,) the sphere whose neurite it belongs to."""


class Mitochondria(NamedTuple):
    """Chains of spheres inside the neurites' chains."""

    points: np.ndarray
    """(n, 3)"""
    radii: np.ndarray
    """(n,)"""
    cristae: np.ndarray
    """(n, 3) unit normal of the cristae in this mitochondrion."""
    hosts: np.ndarray
    """(m,) the neurites' spheres that may have a part of one inside their cell."""


class Synapse(NamedTuple):
    """Between two neurites, at a wall."""

    place: np.ndarray
    before: int
    """The neurite with the vesicles."""
    after: int
    radius: float


def mitochondria(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> Mitochondria:
    """Most thick stretches have one; thin ones have them now and then, rather in boutons."""
    points, radii, cristae, hosts = [np.empty((0, 3))], [np.empty(0)], [np.empty((0, 3))], [np.empty(0, int)]
    first = 0
    for path in paths:
        length = np.linalg.norm(np.diff(path.points, axis=0), axis=1).sum()
        step = length / (len(path.points) - 1)
        for _ in range(rng.poisson(density * length / diameter / (7 if path.thick else 14))):
            weight = (path.radii > 0.38 * diameter) * (1.0 if path.thick else 0.2 + path.bouton)
            if not weight.any():
                continue
            middle = rng.choice(len(weight), p=weight / weight.sum())
            half = int(diameter * rng.uniform(0.8, 2.5) / step)
            run = np.arange(max(middle - half, 0), min(middle + half, len(weight)))
            run = run[np.abs(path.radii[run] - path.radii[middle]) < 0.5 * path.radii[middle]]
            if len(run) < 4:
                continue
            radius = np.clip(rng.uniform(0.45, 0.62) * path.radii[run].min(), 0.2 * diameter, 0.55 * diameter)
            side = (path.radii[run].min() - radius) * rng.uniform(0.2, 0.6)
            offset = side * np.cross(_tangents(path)[middle], _unit(rng.normal(size=3)))
            points.append(path.points[run] + offset)
            radii.append(radius * (1 + 0.12 * np.sin(np.linspace(0, 9, len(run)) + 6 * rng.random())))
            cristae.append(np.tile(_unit(_tangents(path)[middle] + 0.6 * rng.normal(size=3)), (len(run), 1)))
            hosts.append(first + np.arange(max(run[0] - 4, 0), min(run[-1] + 5, len(weight))))
        first += len(path.points)
    return Mitochondria(np.concatenate(points), np.concatenate(radii), np.concatenate(cristae), np.concatenate(hosts))


def cytoskeleton(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> list[Marks]:
    """Microtubules: threads along the neurite. Endoplasmic reticulum: ribbons along it, with gaps."""
    found = []
    first = 0
    for path in paths:
        fine = np.arange(0, len(path.points) - 1, 8.0 / max(1.0, 0.4 * path.radii.min()))
        nearest = np.round(fine).astype(int)
        index = np.arange(len(path.points))
        centre = np.column_stack([np.interp(fine, index, path.points[:, axis]) for axis in range(3)])
        one, two = (frame[nearest] for frame in _frames(path))
        room = path.radii[nearest]
        for _ in range(rng.poisson(density * 9 * (path.radii.mean() / diameter) ** 1.3)):
            places = centre + _offset(one, two, room, 0.75, rng)
            found.append(_dots(places, 7.0, rng.uniform(0.3, 0.6), first + nearest))
        for _ in range(rng.poisson(density * (3.0 if path.thick else 1.1))):
            middle = centre + _offset(one, two, room, 0.65, rng)
            turn = rng.uniform(0, np.pi) + rng.uniform(-1, 1) * np.linspace(0, 2, len(fine))
            across = np.cos(turn)[:, None] * one + np.sin(turn)[:, None] * two
            waves = np.sin(np.linspace(0, len(fine) / rng.uniform(6, 16), len(fine)) + 6 * rng.random())
            half = np.maximum(room * 0.3 * (waves + rng.uniform(-0.4, 0.5)), 0)
            for part in np.linspace(-1, 1, 9):
                shown = half > 4
                places = middle + (part * half)[:, None] * across
                found.append(_dots(places[shown], 8.0, 0.85, (first + nearest)[shown]))
        first += len(path.points)
    return found


def endosomes(paths: list[Path], diameter: float, density: float, rng: np.random.Generator) -> list[Marks]:
    """Bright bags with a dark membrane, cut by two or three sections."""
    found = []
    first = 0
    for path in paths:
        for _ in range(rng.poisson(density * (1.2 if path.thick else 0.25))):
            at = int(rng.integers(len(path.points)))
            radius = min(rng.uniform(0.14, 0.28) * diameter, 0.4 * path.radii[at])
            one, two = (frame[at : at + 1] for frame in _frames(path))
            place = path.points[at] + _offset(one, two, path.radii[at : at + 1], 0.5, rng)[0]
            above = np.arange(-0.95, 1, 0.1) * radius
            places = place + above[:, None] * np.array([1.0, 0, 0])
            rings = np.sqrt(radius**2 - above**2)
            size = np.ones(len(above))
            found.append(Marks(places, rings, 6 * size, 0.9 * size, np.full(len(above), first + at)))
        first += len(path.points)
    return found


def vesicles(
    synapse: Synapse, inside: np.ndarray, sphere: np.ndarray, radius: float, rng: np.random.Generator
) -> Marks:
    """A cloud of vesicles on the side of a synapse that has them.

    Args:
      inside: (n, 3) places within the neurite around the synapse; `sphere` (n,) the sphere each belongs to.
      radius: of the cloud.
    """
    distance = np.linalg.norm(inside - synapse.place, axis=1)
    order = rng.permutation(len(inside))[np.argsort(-rng.random(len(inside)) * 0 + 0, kind="stable")]
    order = order[rng.random(len(order)) < np.exp(-0.5 * (distance[order] / (0.6 * radius)) ** 2)]
    order = order[:1500]
    places = inside[order] + rng.uniform(-4, 4, (len(order), 3))
    crowded = cKDTree(places).query_pairs(_VESICLES_APART) if len(places) else set()
    gone = np.zeros(len(places), bool)
    for a, b in sorted(crowded):
        gone[b] |= not gone[a]
    chosen = order[~gone]
    size = np.ones(len(chosen))
    return Marks(places[~gone], _VESICLE * size * rng.uniform(0.85, 1.1, len(chosen)), 5.5 * size, 0.6 * size, sphere[chosen])


def _dots(places: np.ndarray, width: float, strength: float, sphere: np.ndarray) -> Marks:
    size = np.ones(len(places))
    return Marks(places, 0 * size, width * size, strength * size, sphere)


def _offset(
    one: np.ndarray, two: np.ndarray, room: np.ndarray, most: float, rng: np.random.Generator
) -> np.ndarray:
    """A way along the neurite beside its centre line, slowly winding."""
    angle = 2 * np.pi * rng.random() + np.linspace(0, rng.normal(), len(room))
    beside = (room * most * np.sqrt(rng.random()))[:, None]
    return beside * (np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * two)


def _frames(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across the path at each of its points."""
    tangents = _tangents(path)
    away = np.eye(3)[np.argmin(np.abs(tangents.mean(axis=0)))]
    one = _unit(np.cross(tangents, away))
    return one, np.cross(tangents, one)


def _tangents(path: Path) -> np.ndarray:
    return _unit(np.gradient(path.points, axis=0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
