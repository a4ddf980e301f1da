"""From what the network predicts to cells one by one, and back: what it is to learn from labelled cells.

Where cells touch, the foreground is one piece. So the network learns two more things: what is left of each cell without
its outline, and where two cells meet. Where the first is likely and the second is not, there is one piece for a cell.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cc3d
import numpy as np
from scipy.ndimage import (
    center_of_mass,
    distance_transform_edt,
    find_objects,
    gaussian_filter,
    maximum_filter,
    minimum_filter,
)
from skimage.measure import regionprops
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import relabel_sequential, watershed

_OUTLINE = 1.5  # pixels: the outline is one wide, and has no gap at corners
_MEET = 5  # pixels, side of the square in which two cells meet
_CORE = 0.5  # interior minus contact, at least; 0.5 to 0.7 are alike
_SMALLEST_CORE = 4  # pixels; what is smaller is noise
_SMOOTH = 1.0  # standard deviation, pixels
_RISE, _RISE_OF_MASK = 0.4, 0.15  # natural logarithms: a neck is two thirds as wide as the narrower cell, or less
_GROUND = 0.05  # pixels; the lowest hill, of a single pixel, is three times as high


class Cell(NamedTuple):
    """A cell as it is listed; lengths in pixels, positions from the middle of the picture's first pixel.

    Attributes:
      cell: its id.
      area: number of pixels.
      centroid_x, centroid_y: mean position of its pixels.
      left, top, width, height: of the box around it.
      mean_intensity: mean grey value of the image there.
    """

    cell: int
    area: int
    centroid_x: float
    centroid_y: float
    left: int
    top: int
    width: int
    height: int
    mean_intensity: float


def targets(labels: np.ndarray) -> np.ndarray:
    """What the network is to predict: foreground, interior, contact.

    Args:
      labels: (y, x) integers, an id for each cell, 0 = none.

    Returns:
      (y, x, 3) float32, each 1 or 0: in cells; in cells, further than 1.5 pixels from the nearest pixel outside the
      cell; where in the 5 x 5 pixels around there are two cells. What lies beyond the picture counts as inside.

    Source: contact as the winners of the Data Science Bowl 2018 had it, Caicedo et al., Nature Methods 16 (2019);
    interior as Caicedo et al., Cytometry A 95 (2019).
    """
    ids, inverse = np.unique(labels, return_inverse=True)
    dense = inverse.reshape(labels.shape).astype(np.int32) + (0 if 0 in ids[:1] else 1)
    interior = np.zeros(labels.shape, bool)
    for number, box in enumerate(find_objects(dense), 1):
        if box is None:
            continue
        wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        inside = dense[wider] == number
        # A cell that fills the picture has no outline.
        interior[wider] |= inside if inside.all() else distance_transform_edt(inside) > _OUTLINE
    foreground = dense > 0
    highest = maximum_filter(dense, _MEET)
    lowest = minimum_filter(np.where(foreground, dense, len(ids) + 1), _MEET)
    return np.stack([foreground, interior, lowest < highest], axis=-1).astype(np.float32)


def centres(labels: np.ndarray) -> np.ndarray:
    """Mean position of each cell of (y, x) integers, 0 = none: (cells, 2) float64, y and x, pixels."""
    ids = np.unique(labels)
    return np.array(center_of_mass(labels != 0, labels, ids[ids != 0])).reshape(-1, 2)


def cells(predicted: np.ndarray, threshold: float = 0.5, min_size: int = 1) -> np.ndarray:
    """Cuts the predicted foreground into cells, by a watershed from a seed for each.

    The core of the foreground is where interior minus contact is above 0.5, but for pieces below 4 pixels. Seeds are
    the hills of the distance to the outside of the core, slightly smoothed, that rise by 0.4 in its logarithm: where
    two cores hang together by a neck, their shape tells them apart, whatever their size. Where only the foreground was
    predicted, it is all core, and a rise of 0.15 will do. A piece of foreground without a seed is a cell all the same.

    Source of the hills, which are h-maxima: Soille, Morphological Image Analysis (2003), 6.3.4.

    Args:
      predicted: (y, x, 1 or 3) float32, the channels of `targets`.
      threshold: of the foreground.
      min_size: smallest cell, pixels; smaller ones are left out.

    Returns:
      (y, x) int32, 0 = none, cells numbered from 1 without gaps.
    """
    mask = predicted[..., 0] > threshold
    core, rise = mask, _RISE_OF_MASK
    if predicted.shape[2] > 1:
        cores = _pieces(mask & (predicted[..., 1] - predicted[..., 2] > _CORE))
        core = (cores > 0) & (np.bincount(cores.ravel())[cores] >= _SMALLEST_CORE)
        rise = _RISE
    distance = _distance(core)
    level = np.log(np.maximum(distance, _GROUND))
    seeds = _pieces(core & local_maxima(reconstruction(level - rise, level)), connectivity=8)
    pieces = _pieces(mask)
    bare = np.ones(pieces.max() + 1, bool)
    bare[pieces[seeds > 0]] = False
    bare[0] = False
    seeds = np.where(bare[pieces], seeds.max() + pieces, seeds)
    found = watershed(-distance, seeds, mask=mask)
    found[np.bincount(found.ravel())[found] < min_size] = 0
    return relabel_sequential(found)[0].astype(np.int32)


def _distance(mask: np.ndarray) -> np.ndarray:
    """To the outside of the mask, pixels, smoothed; 0 there, and 1 where there is no outside."""
    away = np.ones(mask.shape) if mask.all() else distance_transform_edt(mask)
    return np.where(mask, gaussian_filter(away, _SMOOTH), 0)


def _pieces(mask: np.ndarray, connectivity: Literal[4, 8] = 4) -> np.ndarray:
    """Pieces that are connected by edges of pixels, or with 8 by corners too, (y, x) int32."""
    found = cc3d.connected_components(mask.astype(np.uint8), connectivity=connectivity, out_dtype=np.uint32)
    return found.astype(np.int32)


def measure(labels: np.ndarray, image: np.ndarray) -> list[Cell]:
    """Lists the cells of a picture.

    Args:
      labels: (y, x) integers, 0 = none.
      image: (y, x) of any real type.
    """
    listed = []
    for region in regionprops(labels, image):
        top, left, bottom, right = region.bbox
        y, x = region.centroid
        area, mean = int(region.area), float(region.intensity_mean)
        listed.append(Cell(int(region.label), area, float(x), float(y), left, top, right - left, bottom - top, mean))
    return listed
