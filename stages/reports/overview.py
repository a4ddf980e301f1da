"""Draws pictures of a volume to open first: sections and a cut along z, with labels over the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from floodrunner.stages.reports.sheets import LEAST, MOST, Panel, Plane, panels, sheet
from floodrunner.stages.storage.labels import slabs
from floodrunner.stages.storage.volumes import Place, Volume

_SECTIONS = 3  # in a preview
_SMALL = (360, 600)  # pixels: least and most length of the longer side of a section in a preview
_THIN = 160  # pixels; a cut along z that is thinner is enlarged
_CLOSER = 4  # largest factor by which it is
_WIDE = 320  # pixels; of so many sections that a cut would be narrower than `_THIN`, it shows the middle, this wide


class Shown(NamedTuple):
    """One of the volumes that are drawn side by side.

    Attributes:
      title: what it is, in a word.
      part: returns the part at ranges of sections and rows, (z, y, x).
    """

    title: str
    part: Callable[..., np.ndarray]


def of(title: str, volume: np.ndarray | Volume) -> Shown:
    """A volume that is shown as it is."""
    return Shown(title, lambda z, y=slice(None): volume[z, y])


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
    flat = [(title, part(_one(section))[0]) for title, part in shown]
    first = panels(
        _planes(flat, f"section {place.offset[0] + section}"), (y, x) if place.known_voxel_size else None, opacity
    )
    rows = [first]
    if shape[0] > 1:
        cut = [(title, _cut(part, shape[0], row)) for title, part in shown]
        words = f"cut along z at y = {place.offset[1] + row}"
        rows.append(_drawn_closer(cut, words, (z, x) if place.known_voxel_size else None, opacity))
    return sheet(rows)


def preview(image: Shown, labels: Shown, shape: tuple[int, int, int], place: Place, opacity: float) -> np.ndarray:
    """Draws up to three sections, below each the same with its labels, and a cut along z, to see if the labels fit.

    Args:
      image: uint8.
      labels: integers, 0 = none.
      shape: size of both, z, y, x.

    Returns:
      (y, x, 3) uint8.
    """
    z, y, x = place.spacing
    size, cut_size = ((y, x), (z, x)) if place.known_voxel_size else (None, None)
    numbers = sorted({(2 * k + 1) * shape[0] // (2 * _SECTIONS) for k in range(_SECTIONS)})
    sections = [(number, image.part(_one(number))[0]) for number in numbers]
    bare = [Plane(f"{image.title}, section {place.offset[0] + number}", grey) for number, grey in sections]
    laid = [Plane(labels.title, grey, labels.part(_one(number))[0]) for number, grey in sections]
    rows = [panels(planes, size, opacity, *_SMALL) for planes in (bare, laid)]
    if shape[0] > 1:
        row = shape[1] // 2
        cut = [(title, _cut(part, shape[0], row)) for title, part in (image, labels)]
        rows.append(_drawn_closer(cut, f"cut along z at y = {place.offset[1] + row}", cut_size, opacity, _SMALL))
    return sheet(rows)


def _one(number: int) -> slice:
    return slice(number, number + 1)


def _planes(arrays: Sequence[tuple[str, np.ndarray]], where: str) -> list[Plane]:
    (title, image), *labels = arrays
    return [Plane(f"{title}, {where}", image), *(Plane(name, image, ids) for name, ids in labels)]


def _cut(part: Callable[..., np.ndarray], sections: int, row: int) -> np.ndarray:
    return np.concatenate([part(z, _one(row))[:, 0] for z in slabs((sections,))])


def _drawn_closer(
    cut: Sequence[tuple[str, np.ndarray]],
    words: str,
    size: tuple[float, float] | None,
    opacity: float,
    sides: tuple[int, int] = (LEAST, MOST),
) -> list[Panel]:
    """Draws a cut along z; of one that would be thin, the middle alone, so that it is enlarged in proportion."""
    height, width = cut[0][1].shape
    down, across = size or (1.0, 1.0)
    widest = sides[1] * (width * across) / (height * down)
    if widest < _THIN:
        most = max(1, int(height * widest / _WIDE))
        middle = slice((height - most) // 2, (height + most) // 2)
        cut = [(title, array[middle]) for title, array in cut]
        height, words = most, f"{words}, the middle {most} of {height} sections"
    drawn = min(max(width, sides[0]), sides[1]) * (height * down) / (width * across)
    closer = min(_CLOSER, math.ceil(_THIN / drawn)) if drawn < _THIN else 1
    if closer > 1 and width >= sides[0] // 4:
        kept = slice((width - width // closer) // 2, (width + width // closer) // 2)
        cut = [(title, array[:, kept]) for title, array in cut]
        words += f", the middle {kept.stop - kept.start} pixels"
    return panels(_planes(cut, words), size, opacity, *sides)
