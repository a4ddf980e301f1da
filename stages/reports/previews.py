"""Draws a few pictures of a set: each as it is, and below it with its cells in colour, and with those of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from floodrunner.segmentation.contrast import displayed
from floodrunner.segmentation.matching import colour_ids, recoloured
from floodrunner.segmentation.scores.rand_and_vi import overlaps
from floodrunner.stages.readers import files
from floodrunner.stages.reports.sheets import Panel, Plane, panels, sheet
from floodrunner.stages.storage.image_sets import Picture

_MOST, _SIDES, _OPACITY = 4, (360, 512), 0.4


def chosen(count: int) -> list[int]:
    """The numbers of the pictures to draw, of so many: up to four, evenly spaced."""
    return [k * count // min(_MOST, count) for k in range(min(_MOST, count))]


def recoloured_by(truth: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """Replaces ids by those whose colours the cells have: of the true cells that they overlap most, if these are known.

    Args:
      truth, labels: (y, x) integers, 0 = none.
    """
    return labels if truth is None else recoloured(labels, *colour_ids(overlaps(labels, truth)))


def column(picture: Picture, truth: np.ndarray | None = None) -> list[Panel]:
    """Draws one picture: as it is, with its cells, and, if the truth is known, with the true cells.

    A cell then has the colour of the true cell that it overlaps most.

    Args:
      truth: (y, x) integers, 0 = none.
    """
    grey, size = displayed(picture.image), picture.pixel_size_xy
    labels = np.zeros(grey.shape, np.int32) if picture.labels is None else picture.labels
    planes = [Plane(picture.name, grey)]
    shown = recoloured_by(truth, labels)
    planes.append(Plane("cells" if truth is None else "cells found", grey, shown))
    planes += [] if truth is None else [Plane("true cells", grey, truth)]
    return panels(planes, size and (size[1], size[0]), _OPACITY, *_SIDES)


def write_columns(path: Path, columns: Sequence[Sequence[Panel]]) -> None:
    """Writes a PNG with the drawings of pictures side by side."""
    rows = max(map(len, columns))
    files.write(path, sheet([[each[row] for each in columns if row < len(each)] for row in range(rows)]))


def write_preview(path: Path, pictures: Sequence[Picture]) -> None:
    """Writes a PNG with up to four of the pictures, evenly spaced in the list, and below each its cells in colour."""
    write_columns(path, [column(pictures[k]) for k in chosen(len(pictures))])
