"""Classifies voxels by the share of their surroundings that belongs to the same object, to balance FFN training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from scipy import ndimage
from skimage.util import map_array

from floodrunner.segmentation.threads import Progress, on_blocks

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
    numbered = number_objects([labels], labels.shape, large_objects(*object_sizes([labels]), min_size))
    return np.concatenate(list(partition_slabs(numbered, radius, thresholds, progress)))


def partition_slabs(
    objects: np.ndarray, radius: Sequence[int], thresholds: Sequence[float], progress: Progress | None = None
) -> Iterator[np.ndarray]:
    """Classifies like `partition`; yields the result in slabs of sections, so that only one of them is in memory.

    Args:
      objects: (z, y, x) from `number_objects`; the box must fit in it.
    """
    box = [2 * r + 1 for r in radius]
    inner = tuple(slice(r, n - r) for r, n in zip(radius, objects.shape, strict=True))
    quantise = _class_by_count(thresholds, math.prod(box))
    bounds = [(k, each) for k, each in enumerate(ndimage.find_objects(objects), 1) if each is not None]
    slabs = [slice(z, min(z + _BLOCK[0], inner[0].stop)) for z in range(inner[0].start, inner[0].stop, _BLOCK[0])]
    blocks = [[(k, core) for k, each in bounds for core in _blocks(each, (z, *inner[1:]))] for z in slabs]
    total, done = sum(map(len, blocks)), 0
    outside = np.full((radius[0], *objects.shape[1:]), OUTSIDE, np.uint8)

    def fill_block(result: np.ndarray, first: int, number: int, core: tuple[slice, ...]) -> None:
        mask = objects[tuple(slice(c.start - r, c.stop + r) for c, r in zip(core, radius, strict=True))] == number
        inside = mask[tuple(slice(r, n - r) for r, n in zip(radius, mask.shape, strict=True))]
        if inside.any():
            counts = _box_sums(mask, box)
            at = (slice(core[0].start - first, core[0].stop - first), *core[1:])
            result[at][inside] = quantise[counts[inside]]

    yield outside
    for z, of_slab in zip(slabs, blocks, strict=True):
        result = np.full((z.stop - z.start, *objects.shape[1:]), OUTSIDE, np.uint8)
        result[:, inner[1], inner[2]] = 0
        report = None if progress is None else partial(_add, progress, done, total)
        on_blocks(fill_block, [(result, z.start, *block) for block in of_slab], report)
        done += len(of_slab)
        yield result
    yield outside


def _add(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


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


def object_sizes(slabs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Counts the voxels of each label.

    Args:
      slabs: consecutive (z, y, x) parts of one volume, integers, 0 = none.

    Returns:
      The labels that occur, ascending, without 0; and their numbers of voxels, int64.
    """
    ids: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for slab in slabs:
        for section in slab:
            flat = section.ravel()
            # Along x, labels change only every few dozen voxels, and runs of equal labels are quicker to sort.
            starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
            found, place = np.unique(flat[starts], return_inverse=True)
            ids.append(found)
            sizes.append(np.bincount(place, np.diff(starts, append=len(flat))).astype(np.int64))
    labels, place = np.unique(np.concatenate(ids), return_inverse=True)
    total = np.zeros(len(labels), np.int64)
    np.add.at(total, place, np.concatenate(sizes))
    return labels[labels != 0], total[labels != 0]


def large_objects(ids: np.ndarray, sizes: np.ndarray, min_size: int) -> np.ndarray:
    """Returns the ids of `object_sizes` with `min_size` voxels or more.

    Raises:
      ValueError: if there is none; names the largest size.
    """
    largest = sizes.max(initial=0)
    if largest < max(min_size, 1):
        raise ValueError(f"the largest object has {largest} voxels, but min_size is {min_size}")
    return ids[sizes >= min_size]


def number_objects(slabs: Iterable[np.ndarray], shape: Sequence[int], ids: np.ndarray) -> np.ndarray:
    """Numbers the labels `ids` 1, 2, ... in their order; all others become 0.

    Args:
      slabs: consecutive (z, y, x) parts of a volume of `shape`, integers.

    Returns:
      (z, y, x), unsigned integers of the smallest type that holds the numbers.
    """
    objects = np.empty(shape, np.min_scalar_type(len(ids)))
    numbers = np.arange(1, len(ids) + 1, dtype=objects.dtype)
    z = 0
    for slab in slabs:
        for section in slab:  # one by one, because `map_array` copies what it gets
            map_array(section, ids, numbers, out=objects[z])  # type: ignore[no-untyped-call]
            z += 1
    return objects


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
