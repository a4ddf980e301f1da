"""Makes synthetic pictures that look like nuclei under a fluorescence microscope, with their ground truth.

Lengths are pixels, angles radians; coordinates are y, x.
"""

from __future__ import annotations

from typing import NamedTuple

import cc3d
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from floodrunner.segmentation.alignment import boundaries

_HARMONICS = 5  # number of harmonics of an outline, from oval to slightly lobed
_NEAREST = 0.8  # smallest distance between two centres, as a share of the sum of the radii; nuclei may touch
_CLUSTERED = 0.25  # share of the nuclei that are placed beside another nucleus; others may touch by chance
_TRIES = 60  # attempts to place a nucleus, after which the picture counts as full
_SLIVER = 0.15  # share of a typical nucleus; smaller pieces at the edge of the picture are left out


class Nuclei(NamedTuple):
    """Outlines around centres: at angle a the radius is r (1 + sum of amplitude_k cos(k a + phase_k)), k = 2 to 6."""

    centres: np.ndarray
    """(n, 2), y and x of each centre."""
    radii: np.ndarray
    """(n), the radius r of each nucleus."""
    amplitudes: np.ndarray
    """(n, 5), amplitude_k for k = 2 to 6."""
    phases: np.ndarray
    """(n, 5), phase_k for k = 2 to 6."""


def nuclei(
    shape: tuple[int, int], seed: int = 1, *, diameter: float = 24.0, crowding: float = 0.2, noise: float = 6.0
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a picture of nuclei and its ground truth. The same arguments give the same picture.

    Nuclei are mottled and differ in size, shape and brightness. Many touch, with only a faint valley between them. The
    background is uneven and receives stray light of the nuclei; the picture is blurred and noisy.

    Args:
      shape: size of the picture, y, x, pixels.
      seed: seed of the random numbers.
      diameter: diameter of a typical nucleus, pixels.
      crowding: share of the picture that nuclei should cover. More than about 0.5 is not reached.
      noise: standard deviation of the noise in dark places, grey levels; in bright nuclei it is about twice that.

    Returns:
      (y, x) uint8 picture, and (y, x) int32 labels: 0 for background, 1 to n for the nuclei, each one piece (4
      neighbours).

    Raises:
      ValueError: if the picture is too small to hold nuclei, they are too small to be seen, or an argument is out of
        range.
    """
    _check(shape, seed, diameter, crowding, noise)
    # Each purpose has a random stream of its own, so that noise and brightness do not change where nuclei are.
    placing, staining, camera = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    labels = _truth(_draw(_settle(shape, diameter, crowding, placing), shape), diameter)
    return _photograph(labels, diameter, noise, staining, camera), labels


def _check(shape: tuple[int, int], seed: int, diameter: float, crowding: float, noise: float) -> None:
    if not 6 <= diameter < np.inf:
        raise ValueError(f"diameter is {diameter:g} pixels; make it at least 6, or nuclei cannot be told apart")
    if min(shape) < 2 * diameter:
        raise ValueError(
            f"a picture of {shape[1]} x {shape[0]} pixels is too small for nuclei of diameter {diameter:g}; make it "
            f"at least {2 * diameter:g} wide and high"
        )
    if not 0 < crowding <= 1:
        raise ValueError(f"crowding is {crowding:g}; it must be a share of the picture, above 0 and at most 1")
    if seed < 0 or not 0 <= noise < np.inf:
        raise ValueError(f"seed {seed}, noise {noise:g}: neither may be negative, and noise must be finite")


def _settle(shape: tuple[int, int], diameter: float, crowding: float, rng: np.random.Generator) -> Nuclei:
    """Places nuclei one by one, at random or beside another nucleus, until they cover the wanted share."""
    margin = diameter / 3  # nuclei are also placed in this margin, so that the picture's edges cut some
    room = np.array(shape) + 2 * margin
    wanted = crowding * room.prod()
    centres, radii, covered = np.empty((0, 2)), np.empty(0), 0.0
    tries = 0
    while covered < wanted and tries < _TRIES:
        radius = diameter / 2 * rng.lognormal(0, 0.18)
        if len(centres) and rng.random() < _CLUSTERED:
            beside, angle = rng.integers(len(centres)), rng.uniform(0, 2 * np.pi)
            apart = rng.uniform(_NEAREST, 1.0) * (radii[beside] + radius)
            centre = centres[beside] + apart * np.array([np.sin(angle), np.cos(angle)])
        else:
            centre = rng.uniform(-margin, room - margin)
        inside = (centre >= -margin).all() and (centre < room - margin).all()
        free = (np.hypot(*(centres - centre).T) >= _NEAREST * (radii + radius)).all()
        tries += 1
        if inside and free:
            centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
            covered += np.pi * radius**2
            tries = 0
    falling = np.array([0.16, 0.04, 0.025, 0.015, 0.01])
    amplitudes = np.abs(rng.normal(0, falling, (len(radii), _HARMONICS)))
    amplitudes[:, 0] = np.minimum(amplitudes[:, 0], 0.3)
    return Nuclei(centres, radii, amplitudes, rng.uniform(0, 2 * np.pi, (len(radii), _HARMONICS)))


def _draw(found: Nuclei, shape: tuple[int, int]) -> np.ndarray:
    """Returns (y, x) int32, the nucleus that contains each pixel; of two nuclei, that in which the pixel is deeper."""
    labels, depth = np.zeros(shape, np.int32), np.ones(shape)
    order = np.arange(2, _HARMONICS + 2)[:, None, None]
    for number, (centre, radius, amplitude, phase) in enumerate(zip(*found, strict=True), 1):
        reach = int(np.ceil(radius * (1 + amplitude.sum()))) + 1
        low = np.maximum(np.floor(centre).astype(int) - reach, 0)
        high = np.minimum(np.floor(centre).astype(int) + reach + 2, shape)
        if (low >= high).any():
            continue
        box = np.s_[low[0] : high[0], low[1] : high[1]]
        y, x = np.mgrid[box]
        dy, dx = y - centre[0], x - centre[1]
        waves = amplitude[:, None, None] * np.cos(order * np.arctan2(dy, dx) + phase[:, None, None])
        ratio = np.hypot(dy, dx) / (radius * (1 + waves.sum(axis=0)))
        nearer = ratio < depth[box]
        depth[box][nearer] = ratio[nearer]
        labels[box][nearer] = number
    return labels


def _truth(drawn: np.ndarray, diameter: float) -> np.ndarray:
    """Labels the largest piece of each nucleus, numbered without gaps; very small pieces (slivers) are left out."""
    pieces = cc3d.connected_components(drawn, connectivity=4, out_dtype=np.uint32).astype(np.int64)
    sizes = np.bincount(pieces.ravel())
    owner = np.zeros(len(sizes), np.int64)
    owner[pieces.ravel()] = drawn.ravel()
    largest = np.zeros(drawn.max() + 1, np.int64)
    np.maximum.at(largest, owner, sizes)
    kept = (owner > 0) & (sizes == largest[owner]) & (sizes >= _SLIVER * np.pi / 4 * diameter**2)
    # If two pieces of a nucleus are equally large, the first is kept.
    first = np.zeros(len(sizes), bool)
    first[np.unique(np.where(kept, owner, 0), return_index=True)[1]] = True
    kept &= first
    return (np.cumsum(kept) * kept).astype(np.int32)[pieces]


def _photograph(
    labels: np.ndarray, diameter: float, noise: float, staining: np.random.Generator, camera: np.random.Generator
) -> np.ndarray:
    count = int(labels.max())
    # The brightness is clipped so that all nuclei are visible.
    brightness = np.concatenate([[0], np.clip(staining.lognormal(0, 0.35, count), 0.6, 2.2)])[labels]
    mottled = _field(labels.shape, diameter / 10, staining) + _field(labels.shape, diameter / 4, staining)
    rim = np.minimum(distance_transform_edt(~boundaries(labels)) / (diameter / 6), 1)  # nuclei are thin and dark there
    light = brightness * (0.6 + 0.4 * rim) * np.clip(1 + 0.14 * mottled, 0.2, None)
    light = gaussian_filter(light, diameter / 24) + 0.12 * gaussian_filter(light, diameter / 2)

    y, x = (np.linspace(-1, 1, n) for n in labels.shape)
    tilt = staining.uniform(-1, 1, 2)
    lit = 1 - 0.12 * (y[:, None] ** 2 + x**2) + 0.1 * (tilt[0] * y[:, None] + tilt[1] * x)
    background = 14 * lit + 4 * _field(labels.shape, diameter * 2, staining)
    exposure = 80 * np.clip(staining.lognormal(0, 0.25), 0.7, 1.6)
    picture = background + exposure * light * lit
    grains = camera.normal(size=labels.shape) * noise * np.sqrt(1 + np.maximum(picture, 0) / 60)
    return np.clip(np.rint(picture + grains), 0, 255).astype(np.uint8)


def _field(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> np.ndarray:
    """Makes a smooth random field with mean 0 and standard deviation 1; blobs are about 2.5 lengths wide."""
    field = gaussian_filter(rng.normal(size=shape), length, mode="wrap")
    return (field - field.mean()) / field.std()
