"""Whether labels lie on the sections that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_MIN_BOUNDARY = 0.001
_MIN_SECTIONS = 8
_SHARE = 0.8
_FACTOR = 1.4


def boundaries(labels: np.ndarray) -> np.ndarray:
    """Where a pixel's right, left, upper or lower neighbour bears another label: (y, x) bool."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def shift_of_sections(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[int, float, float] | None:
    """Tells whether labels fit the section before or after better than their own.

    Outlines lie on membranes, so they are darker (or brighter, in another stain) than the rest of the section that
    they were drawn on, and less so on its neighbours. This contrast, in standard deviations of the section, is
    measured for each section of labels on its own image, the one before and the one after.

    Args:
      blocks: (image, labels), both (z, y, x), of at least 3 sections; consecutive ones out of a volume.

    Returns:
      (shift, contrast there, contrast on their own images): labels of section z belong to image z + shift, where that
      is -1, 0 or 1. A shift other than 0 needs at least 8 sections with outlines, of which 4 in 5 agree, a contrast
      1.4 times as large as their own, and less contrast on the other side. None where no section tells.

    So chosen that right labels never show a shift: none of 320 crops of SNEMI3D and of ISBI 2012 did, of 128 x 128
    and 256 x 256 pixels and 14 sections, while 6 in 10 and 9 in 10 of the shifted ones were found.
    """
    contrasts = []
    for image, labels in blocks:
        for z in range(1, len(labels) - 1):
            edge = boundaries(labels[z])
            if not _MIN_BOUNDARY < edge.mean() < 1 - _MIN_BOUNDARY:
                continue
            greys = image[z - 1 : z + 2].astype(np.float32)
            deviations = greys.std(axis=(1, 2))
            if deviations.all():
                contrasts.append((greys[:, edge].mean(axis=1) - greys[:, ~edge].mean(axis=1)) / deviations)
    if not contrasts:
        return None
    mean = np.abs(np.mean(contrasts, axis=0))
    best = int(np.argmax(mean))
    agree = np.mean(np.argmax(np.abs(contrasts), axis=1) == best)
    certain = agree >= _SHARE and mean[best] >= _FACTOR * mean[1] and mean[1] >= mean[2 - best]
    if len(contrasts) < _MIN_SECTIONS or not certain:
        best = 1
    return best - 1, float(mean[best]), float(mean[1])
