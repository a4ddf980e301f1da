"""From what the network predicts to cells one by one, and back: what it is to learn from labelled cells.

The second of its two channels is the distance of a pixel to the outline of its cell, which is highest in the middle
of each: cells that touch are two hills there, though they are one piece of the first channel.
"""

from __future__ import annotations

from typing import NamedTuple

import cc3d
import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter
from skimage.measure import regionprops
from skimage.segmentation import relabel_sequential, watershed

_SEED = 0.75  # of the highest distance in the piece of the foreground
_SMOOTH = 1.0  # standard deviation, pixels
_SMALLEST_SEED = 4  # pixels; what is smaller is noise on a hill, not a hill


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
    """What the network is to predict.

    Args:
      labels: (y, x) integers, an id for each cell, 0 = none.

    Returns:
      (y, x, 2) float32: 1 in cells and 0 elsewhere; the distance to the nearest pixel outside the cell, divided by the
      largest of its cell. What lies beyond the picture counts as inside.

    Source of the second: Naylor et al., IEEE Trans. Medical Imaging 38 (2019), without the division, which makes small
    cells count as much as large ones.
    """
    distance = np.zeros(labels.shape, np.float32)
    ids, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape) + (0 if 0 in ids[:1] else 1)
    for number, box in enumerate(find_objects(dense), 1):
        if box is None:
            continue
        wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        inside = dense[wider] == number
        # A cell that fills the picture has no outline.
        away = distance_transform_edt(inside) if not inside.all() else np.ones(inside.shape)
        distance[wider][inside] = (away / away.max())[inside]
    return np.stack([(labels != 0).astype(np.float32), distance], axis=-1)


def cells(predicted: np.ndarray, threshold: float = 0.5, min_size: int = 1) -> np.ndarray:
    """Cuts the predicted foreground into cells: watershed of the distance, slightly smoothed, from the hills that reach
    three quarters of the highest in their connected piece.

    Args:
      predicted: (y, x, 1 or 2) float32, the channels of `targets`; where there is no second one, the distance is that
        inside each connected piece of the foreground.
      threshold: of the foreground.
      min_size: smallest cell, pixels; smaller ones are left out.

    Returns:
      (y, x) int32, 0 = none, cells numbered from 1 without gaps.
    """
    mask = predicted[..., 0] > threshold
    pieces = _pieces(mask)
    distance = predicted[..., 1] if predicted.shape[2] > 1 else targets(pieces)[..., 1]
    distance = gaussian_filter(distance, _SMOOTH)
    highest = np.zeros(pieces.max() + 1, np.float32)
    np.maximum.at(highest, pieces, distance)
    seeds = _pieces(mask & (distance > _SEED * highest[pieces]))
    seeds[np.bincount(seeds.ravel())[seeds] < _SMALLEST_SEED] = 0
    # A piece without a hill is a cell all the same.
    bare = np.ones(pieces.max() + 1, bool)
    bare[pieces[seeds > 0]] = False
    bare[0] = False
    seeds = np.where(bare[pieces], seeds.max() + pieces, seeds)
    found = watershed(-distance, seeds, mask=mask)
    found[np.bincount(found.ravel())[found] < min_size] = 0
    return relabel_sequential(found)[0].astype(np.int32)


def _pieces(mask: np.ndarray) -> np.ndarray:
    """Pieces that are connected by edges of pixels, (y, x) int32."""
    return cc3d.connected_components(mask.astype(np.uint8), connectivity=4, out_dtype=np.uint32).astype(np.int32)


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
