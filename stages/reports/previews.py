"""Draws a preview of a set of pictures: some of the pictures, and below each the same picture with cells in colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps  # to resize; files are written by `files`

from floodrunner.segmentation.colours import overlay
from floodrunner.segmentation.contrast import displayed
from floodrunner.stages.readers import files
from floodrunner.stages.storage.image_sets import Picture

_SIDE, _GAP, _MOST = 360, 8, 4


def write_preview(path: Path, pictures: Sequence[Picture]) -> None:
    """Writes a PNG with up to four of the pictures, evenly spaced in the list.

    The upper row shows the pictures as they are; the lower row shows them with their labels over them, in colour.
    """
    chosen = [pictures[k * len(pictures) // min(_MOST, len(pictures))] for k in range(min(_MOST, len(pictures)))]
    sheet = np.full((2 * (_SIDE + _GAP) - _GAP, len(chosen) * (_SIDE + _GAP) - _GAP, 3), 255, np.uint8)
    for k, picture in enumerate(chosen):
        grey = displayed(picture.image)
        labels = np.zeros(grey.shape, np.int32) if picture.labels is None else picture.labels
        for row, shown in enumerate((np.repeat(grey[..., None], 3, 2), overlay(grey, labels, 0.4))):
            tile = ImageOps.contain(Image.fromarray(shown), (_SIDE, _SIDE))
            y, x = row * (_SIDE + _GAP), k * (_SIDE + _GAP)
            sheet[y : y + tile.height, x : x + tile.width] = np.asarray(tile)
    files.write(path, sheet)
