"""How much of each voxel's surroundings belongs to the same object: the measure that balances FFN training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage
from skimage.util import map_array

from segmentation.threads import Progress, on_blocks

OUTSIDE = 255
"""The class of voxels around which the box does not fit in the volume."""

_BLOCK = (64, 256, 256)
"""Voxels worked on at once; bounds the temporary arrays of a thread to some 100 MB at a radius of 24."""


def partition(
    labels: np.ndarray,
    radius: Sequence[int],
    thresholds: Sequence[float],
    min_size: int = 10000,
    progress: Progress | None = None,
) -> np.ndarray:
    """Quantises, for each labelled voxel, how much of its surroundings bears its label.

    The surroundings are the box of 2 * radius + 1 voxels around it; with f the fraction of the box that bears the
    label, the class is 1 + the number of thresholds t with f >= t.

    Args:
      labels: (z, y, x) unsigned integers, 0 = none.
      radius: z, y, x, voxels.
      thresholds: ascending fractions that separate the classes, at most 253.
      min_size: labels with fewer voxels, connected or not, count as none.
      progress: called with blocks done and in all.

    Returns:
      (z, y, x) uint8: 0 for unlabelled, 1 to len(thresholds) + 1, 255 (`OUTSIDE`) where the box does not fit.

    Raises:
      ValueError: as `check_box`; if no label reaches `min_size`, naming the largest.

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
      ValueError: if it does not; names the sizes and the radius.
    """
    box = [2 * r + 1 for r in radius]
    if any(n < b for n, b in zip(shape, box, strict=True)):
        raise ValueError(
            f"a box of {_xyz(box)} voxels (x, y, z; radius {_xyz(radius)}) does not fit in a volume of {_xyz(shape)}"
        )


def _dense(labels: np.ndarray, min_size: int) -> tuple[np.ndarray, list[tuple[int, tuple[slice, ...]]]]:
    """Renumbers the labels 1, 2, ...; returns them with (number, bounding box) of those of at least `min_size`."""
    # By section: unique copies its input, and bincount makes 8-byte integers of it.
    ids = np.unique(np.concatenate([np.zeros(1, labels.dtype), *(np.unique(section) for section in labels)]))
    dense = np.empty(labels.shape, np.min_scalar_type(len(ids)))
    numbers = np.arange(len(ids), dtype=dense.dtype)
    sizes = np.zeros(len(ids), np.int64)
    for source, target in zip(labels, dense, strict=True):
        map_array(source, ids, numbers, out=target)  # type: ignore[no-untyped-call]
        sizes += np.bincount(target.ravel(), minlength=len(ids))
    largest = sizes[1:].max(initial=0)
    if largest < max(min_size, 1):
        raise ValueError(f"the largest object has {largest} voxels, and min_size is {min_size}")
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
    """Counts the true voxels in each box that lies inside `mask`; exact, in the smallest unsigned type that holds them.

    Running sums may wrap round: the difference of two is exact all the same, as it fits the type.
    """
    counts = mask.view(np.uint8)
    for axis, width in enumerate(box):  # z first: it is the shortest, so the box cuts most of it away
        total = np.cumsum(counts, axis, np.min_scalar_type(math.prod(box[: axis + 1])))
        total = np.moveaxis(total, axis, 0)
        sums = total[width - 1 :].copy()
        sums[1:] -= total[:-width]
        counts = np.moveaxis(sums, 0, axis)
    return counts


def _class_by_count(thresholds: Sequence[float], volume: int) -> np.ndarray:
    """(volume + 1,) uint8: the class for each count; `count / volume < t` as float64 has it, not as reals do."""
    fractions = np.arange(volume + 1) / volume
    return (1 + np.searchsorted(np.asarray(thresholds, np.float64), fractions, side="right")).astype(np.uint8)


def _xyz(zyx: Sequence[int]) -> str:
    return " x ".join(str(v) for v in reversed(zyx))
