"""Makes separate cells from a network's prediction, and training targets from labelled cells.

The foreground of touching cells is one connected piece. The network therefore also predicts the interior of each cell,
which is the cell without its outline, and the contact, which is where two cells meet. The pixels that are interior but
not contact form a separate piece for each cell.
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

_OUTLINE = 1.5  # pixels; makes an outline that is one pixel wide and has no gap at corners
_MEET = 5  # pixels; a pixel is contact if the square of this side around it touches two cells
_CORE = 0.5  # threshold of interior minus contact in the core; values from 0.5 to 0.7 give similar results
_SMALLEST_CORE = 4  # pixels; smaller pieces are noise
_SMOOTH = 1.0  # standard deviation, in pixels, of the filter that smooths the distance
_RISE, _RISE_OF_MASK = 0.4, 0.15  # natural logarithms; at 0.4, a neck is at most 2/3 as wide as the narrower cell
_GROUND = 0.05  # pixels; smaller distances count as this; a piece of a single pixel has three times this distance


class Cell(NamedTuple):
    """One row of the table of cells. Lengths are in pixels; positions are relative to the centre of the first pixel.

    Attributes:
      cell: id of the cell.
      area: number of pixels.
      centroid_x, centroid_y: mean position of the pixels.
      left, top, width, height: bounding box.
      mean_intensity: mean grey value of the pixels in the image.
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


def in_um(cell: Cell, pixel_size_xy: tuple[float, float]) -> tuple[float, float, float]:
    """Returns area in µm², and the centroid along x and y in µm, from the centre of the first pixel.

    Args:
      pixel_size_xy: length of a pixel along x and y, nm.
    """
    x, y = (length / 1000 for length in pixel_size_xy)
    return cell.area * x * y, cell.centroid_x * x, cell.centroid_y * y


def targets(labels: np.ndarray) -> np.ndarray:
    """Makes the training target: foreground, interior, contact.

    Args:
      labels: (y, x) integers, an id for each cell, 0 = none.

    Returns:
      (y, x, 3) float32, each 1 or 0. Foreground: pixels of cells. Interior: pixels of a cell that are more than 1.5
      pixels away from the nearest pixel outside that cell. Contact: pixels with two or more cells in the 5 x 5 pixels
      around them. Beyond the border of the picture, cells are assumed to continue.

    Source: contact follows the winners of the Data Science Bowl 2018, Caicedo et al., Nature Methods 16 (2019);
    interior follows Caicedo et al., Cytometry A 95 (2019).
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
    """Computes the centres of cells.

    Args:
      labels: (y, x) integers, 0 = none.

    Returns:
      (cells, 2) float64, mean y and x of the pixels of each cell.
    """
    ids = np.unique(labels)
    return np.array(center_of_mass(labels != 0, labels, ids[ids != 0])).reshape(-1, 2)


def cells(predicted: np.ndarray, threshold: float = 0.5, min_size: int = 1) -> np.ndarray:
    """Divides the predicted foreground into cells, by a watershed from one seed for each cell.

    The core of the foreground is where interior minus contact is above 0.5, without pieces of fewer than 4 pixels.
    Seeds are maxima of the smoothed distance to the outside of the core. The logarithm of the distance must rise by at
    least 0.4 above its surroundings; so two cores that are connected by a neck are separated by their shape, whatever
    their size. If only the foreground was predicted, all of it is core, and a rise of 0.15 is enough. A piece of
    foreground without a seed becomes one cell.

    Source of the seeds, which are h-maxima: Soille, Morphological Image Analysis (2003), 6.3.4.

    Args:
      predicted: (y, x, 1 or 3) float32, the channels of `targets`.
      threshold: probability above which a pixel is foreground.
      min_size: smallest cell, pixels; smaller ones are removed.

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
    """Returns the smoothed distance to the nearest pixel outside the mask, in pixels; 0 outside. A mask that covers the
    whole picture gets 1."""
    away = np.ones(mask.shape) if mask.all() else distance_transform_edt(mask)
    return np.where(mask, gaussian_filter(away, _SMOOTH), 0)


def _pieces(mask: np.ndarray, connectivity: Literal[4, 8] = 4) -> np.ndarray:
    """Numbers the connected pieces of a mask from 1, (y, x) int32; `connectivity` 8 also connects pixels at corners."""
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
