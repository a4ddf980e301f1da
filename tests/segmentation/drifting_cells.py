"""Cells that drift from section to section, and pictures of them, for the tests of `alignment` and `turns`."""

from __future__ import annotations

import numpy as np

from floodrunner.segmentation.alignment import boundaries


def cells(sections: int, seed: int) -> np.ndarray:
    """Voronoi cells whose seeds drift from section to section: (z, y, x)."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, 64, (25, 2))
    grid = np.moveaxis(np.mgrid[:64, :64], 0, -1)[:, :, None]
    volume = []
    for _ in range(sections):
        at = at + rng.normal(0, 2, at.shape)
        volume.append(np.argmin(((grid - at) ** 2).sum(-1), axis=-1) + 1)
    return np.array(volume)


def picture(labels: np.ndarray, membrane: int = 60, seed: int = 0) -> np.ndarray:
    image = np.full(labels.shape, 150.0)
    for section, ids in zip(image, labels, strict=True):
        section[boundaries(ids)] = membrane
    return np.clip(image + np.random.default_rng(seed).normal(0, 30, image.shape), 0, 255).astype(np.uint8)
