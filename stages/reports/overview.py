"""Draws the picture to open first: the middle section and a cut along z, of image, result and truth side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from floodrunner.stages.reports.sheets import LEAST, MOST, Panel, Plane, panels, sheet
from floodrunner.stages.storage.labels import slabs
from floodrunner.stages.storage.volumes import Place

_THIN = 160  # pixels; a cut along z that is thinner is enlarged
_CLOSER = 4  # largest factor by which it is


class Shown(NamedTuple):
    """One of the volumes that are drawn side by side.

    Attributes:
      title: what it is, in a word.
      part: returns the part at ranges of sections and rows, (z, y, x).
    """

    title: str
    part: Callable[..., np.ndarray]


def overview(shown: Sequence[Shown], shape: tuple[int, int, int], place: Place, opacity: float) -> np.ndarray:
    """Draws a section and a cut along z through the middle, with titles, and scale bars if the voxel size is known.

    Args:
      shown: the image, uint8, and then labels, which are drawn over it.
      shape: size of each of them, z, y, x.

    Returns:
      (y, x, 3) uint8.
    """
    section, row = shape[0] // 2, shape[1] // 2
    z, y, x = place.spacing
    flat = [(title, part(slice(section, section + 1))[0]) for title, part in shown]
    first = panels(
        _planes(flat, f"section {place.offset[0] + section}"), (y, x) if place.known_voxel_size else None, opacity
    )
    rows = [first]
    if shape[0] > 1:
        cut = [(title, _cut(part, shape[0], row)) for title, part in shown]
        words = f"cut along z at y = {place.offset[1] + row}"
        rows.append(_drawn_closer(cut, words, (z, x) if place.known_voxel_size else None, opacity))
    return sheet(rows)


def _planes(arrays: Sequence[tuple[str, np.ndarray]], where: str) -> list[Plane]:
    (title, image), *labels = arrays
    return [Plane(f"{title}, {where}", image), *(Plane(name, image, ids) for name, ids in labels)]


def _cut(part: Callable[..., np.ndarray], sections: int, row: int) -> np.ndarray:
    return np.concatenate([part(z, slice(row, row + 1))[:, 0] for z in slabs((sections,))])


def _drawn_closer(
    cut: Sequence[tuple[str, np.ndarray]], words: str, size: tuple[float, float] | None, opacity: float
) -> list[Panel]:
    """Draws a cut along z; of one that would be thin, the middle alone, so that it is enlarged in proportion."""
    height, width = cut[0][1].shape
    down, across = size or (1.0, 1.0)
    drawn = min(max(width, LEAST), MOST) * (height * down) / (width * across)
    closer = min(_CLOSER, math.ceil(_THIN / drawn)) if drawn < _THIN else 1
    if closer > 1 and width >= LEAST // 4:
        kept = slice((width - width // closer) // 2, (width + width // closer) // 2)
        cut = [(title, array[:, kept]) for title, array in cut]
        words += f", the middle {kept.stop - kept.start} pixels"
    return panels(_planes(cut, words), size, opacity)
