"""Classifies voxels by the share of their surroundings that belongs to the same object, to balance FFN training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage
from skimage.util import map_array

from segmentation.threads import Progress, on_blocks

OUTSIDE = 255
"""Class of voxels that are so close to the border of the volume that the box around them does not fit in the volume."""

_BLOCK = (64, 256, 256)
"""Size of a block, z, y, x, voxels. A thread needs up to about 100 MB for one block at a radius of 24."""


def partition(
    labels: np.ndarray,
    radius: Sequence[int],
    thresholds: Sequence[float],
    min_size: int = 10000,
    progress: Progress | None = None,
) -> np.ndarray:
    """Classifies each labelled voxel by the fraction of its surroundings that has its label.

    The surroundings are the box of 2 * radius + 1 voxels around the voxel. With f the fraction of the box that has
    the voxel's label, its class is 1 + the number of thresholds t with f >= t.

    Args:
      labels: (z, y, x) unsigned integers, 0 = none.
      radius: half size of the box, z, y, x, voxels.
      thresholds: ascending fractions that separate the classes, at most 253.
      min_size: labels with fewer voxels, connected or not, are treated as 0.
      progress: called with the number of blocks done and the total.

    Returns:
      (z, y, x) uint8: 0 for unlabelled voxels; classes 1 to len(thresholds) + 1; 255 (`OUTSIDE`) for voxels around
      which the box does not fit in the volume.

    Raises:
      ValueError: if the box does not fit in the volume, or if no label has `min_size` voxels.

    Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network training"; equal to what google/ffn's
    compute_partitions.py writes.
    """
    check_box(labels.shape, radius)
    box = [2 * r + 1 for r in radius]
    dense, kept = _dense(labels, min_size)
    inner = tuple(slice(r, n - r) for r, n in zip(radius, labels.shape, strict=True))
    result = np.full(labels.shape, OUTSIDE, np.uint8)
    result[inner] = 0
    quantise = _class_by_count(thresholds, math.prod(box))

    def fill_block(label: int, core: tuple[slice, ...]) -> None:
        mask = dense[tuple(slice(c.start - r, c.stop + r) for c, r in zip(core, radius, strict=True))] == label
        inside = mask[tuple(slice(r, n - r) for r, n in zip(radius, mask.shape, strict=True))]
        if inside.any():
            counts = _box_sums(mask, box)
            result[core][inside] = quantise[counts[inside]]

    blocks = [(label, core) for label, bounds in kept for core in _blocks(bounds, inner)]
    on_blocks(fill_block, blocks, progress)
    return result


def check_box(shape: Sequence[int], radius: Sequence[int]) -> None:
    """Checks that the box of `radius` fits in a volume of `shape`, both z, y, x.

    Raises:
      ValueError: if it does not fit.
    """
    box = [2 * r + 1 for r in radius]
    if any(n < b for n, b in zip(shape, box, strict=True)):
        raise ValueError(
            f"a box of {_xyz(box)} voxels (x, y, z; radius {_xyz(radius)}) does not fit in a volume of {_xyz(shape)}"
        )


def _dense(labels: np.ndarray, min_size: int) -> tuple[np.ndarray, list[tuple[int, tuple[slice, ...]]]]:
    """Renumbers the labels 1, 2, ...; also returns number and bounding box of labels with `min_size` voxels or more."""
    # Section by section to save memory: np.unique copies its input, and np.bincount converts it to 8-byte integers.
    ids = np.unique(np.concatenate([np.zeros(1, labels.dtype), *(np.unique(section) for section in labels)]))
    dense = np.empty(labels.shape, np.min_scalar_type(len(ids)))
    numbers = np.arange(len(ids), dtype=dense.dtype)
    sizes = np.zeros(len(ids), np.int64)
    for source, target in zip(labels, dense, strict=True):
        map_array(source, ids, numbers, out=target)  # type: ignore[no-untyped-call]
        sizes += np.bincount(target.ravel(), minlength=len(ids))
    largest = sizes[1:].max(initial=0)
    if largest < max(min_size, 1):
        raise ValueError(f"the largest object has {largest} voxels, but min_size is {min_size}")
    bounds = ndimage.find_objects(dense)
    return dense, [(label, bounds[label - 1]) for label in range(1, len(ids)) if sizes[label] >= min_size]


def _blocks(bounds: Sequence[slice], inner: Sequence[slice]) -> Iterator[tuple[slice, ...]]:
    """Cuts the part of `bounds` that lies in `inner` into blocks."""
    axes = []
    for bound, limit, step in zip(bounds, inner, _BLOCK, strict=True):
        start, stop = max(bound.start, limit.start), min(bound.stop, limit.stop)
        axes.append([slice(at, min(at + step, stop)) for at in range(start, stop, step)])
    return itertools.product(*axes)


def _box_sums(mask: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """Counts the true voxels in each box inside `mask`, in the smallest unsigned type that holds the count.

    Cumulative sums may overflow. The difference of two sums is exact nevertheless, because it fits the type.
    """
    counts = mask.view(np.uint8)
    for axis, width in enumerate(box):  # z first: it is usually the shortest axis, so the array shrinks most
        total = np.cumsum(counts, axis, np.min_scalar_type(math.prod(box[: axis + 1])))
        total = np.moveaxis(total, axis, 0)
        sums = total[width - 1 :].copy()
        sums[1:] -= total[:-width]
        counts = np.moveaxis(sums, 0, axis)
    return counts


def _class_by_count(thresholds: Sequence[float], volume: int) -> np.ndarray:
    """Returns the class for each number of voxels from 0 to `volume`, uint8. Fractions are compared in float64."""
    fractions = np.arange(volume + 1) / volume
    return (1 + np.searchsorted(np.asarray(thresholds, np.float64), fractions, side="right")).astype(np.uint8)


def _xyz(zyx: Sequence[int]) -> str:
    return " x ".join(str(v) for v in reversed(zyx))
