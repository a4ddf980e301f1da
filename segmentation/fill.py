"""Gives unsegmented voxels the id of the nearest segment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from skimage.util import map_array

from floodrunner.segmentation.threads import on_blocks

_BLOCK = (32, 128, 256)
"""Size of a block, z, y, x, voxels. At usual distances, a thread needs about 50 MB for a block and its surroundings."""
_RANK_BITS = 32
_RANK = np.uint64(2**_RANK_BITS - 1)
_UNIT_BITS = 30
_NONE = np.uint64(1 << (_UNIT_BITS + 1 + _RANK_BITS))
"""A key larger than any limit, which still fits into 64 bits when costs are added to it."""


def fill(labels: np.ndarray, spacing: Sequence[float], max_distance: float) -> np.ndarray:
    """Gives each voxel with label 0 the id of the nearest segment, if that is at most `max_distance` away.

    If several segments are equally near, the smallest id is taken. So filling a part of a volume gives the same result
    as filling the whole volume, for voxels at least `reach` inside the part. The volume is filled block by block, in
    threads; each thread needs memory for a block and its surroundings.

    For each voxel p, the smallest squared distance |s (p - q)|^2 to a labelled voxel q is found along one axis after
    the other; s is the spacing. This is possible because the square is a sum over the axes (Felzenszwalb &
    Huttenlocher, Theory of Computing 8 (2012)). The upper bits of one integer (a key) hold the squared distance, in
    units of about 2^-30 of the squared limit; the lower bits hold the rank of the id. So the smallest key has the
    smallest distance and, among equal distances, the smallest id.

    Args:
      labels: (z, y, x) integers, 0 = unsegmented.
      spacing: distance between neighbouring voxels along z, y, x, nm.
      max_distance: largest distance, nm, above 0. Distances that differ by less than about a 30,000th of it may count
        as equal, so it should not be much larger than the volume.

    Returns:
      (z, y, x), of the type of `labels`.
    """
    result = labels.copy()
    halo = reach(labels.shape, spacing, max_distance)
    unit = 2.0 ** (_UNIT_BITS - math.ceil(2 * math.log2(max_distance)))
    costs = [
        np.round((np.arange(h + 1) * s) ** 2 * unit).astype(np.uint64) << np.uint64(_RANK_BITS)
        for h, s in zip(halo, spacing, strict=True)
    ]
    ticks = round(max_distance**2 * unit) + 2  # the sum of three rounded squares may exceed the limit by 2
    limit = (np.uint64(ticks) << np.uint64(_RANK_BITS)) | _RANK

    def fill_block(core: tuple[slice, ...]) -> None:
        hole = labels[core] == 0
        if not hole.any():
            return
        outer = tuple(slice(max(c.start - h, 0), c.stop + h) for c, h in zip(core, halo, strict=True))
        ids = np.unique(labels[outer])
        if len(ids) == 1:
            return
        ranks = np.arange(len(ids), dtype=np.uint64)
        ranks[0] = _NONE  # ids[0] is 0, because the block has a hole
        keys = map_array(labels[outer], ids, ranks)  # type: ignore[no-untyped-call]
        for axis in np.argsort(halo):  # each pass drops the surroundings along its axis; the longest axis comes last
            before, size = core[axis].start - outer[axis].start, core[axis].stop - core[axis].start
            keys = _nearest_along(keys, int(axis), before, size, costs[axis])
        best = keys[hole]
        result[core][hole] = np.where(best <= limit, ids[best & _RANK], 0)

    on_blocks(fill_block, [(core,) for core in _blocks(labels.shape)])
    return result


def reach(shape: Sequence[int], spacing: Sequence[float], max_distance: float) -> tuple[int, ...]:
    """Returns how many voxels `max_distance` (nm) spans along z, y, x, limited to the size of a volume of `shape`."""
    # 1e-9 is added because, for example, 0.3 / 0.1 is 2.9999999999999996.
    return tuple(min(int(max_distance / s + 1e-9), n - 1) for s, n in zip(spacing, shape, strict=True))


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Returns the diagonal of a volume in nm: a distance that is larger than any in it. Arguments are z, y, x."""
    return math.hypot(*(n * s for n, s in zip(shape, spacing, strict=True)))


def _nearest_along(keys: np.ndarray, axis: int, before: int, size: int, costs: np.ndarray) -> np.ndarray:
    """Finds the smallest sum of a key and the cost of its distance along one axis, for `size` voxels from `before`."""
    keys = np.moveaxis(keys, axis, 0)
    best = keys[before : before + size].copy()
    shifted = np.empty_like(best)
    for step, cost in enumerate(costs[1:], 1):
        for shift in (-step, step):
            start, stop = max(before + shift, 0), min(before + shift + size, len(keys))
            if start < stop:
                target = best[start - before - shift : stop - before - shift]
                candidates = np.add(keys[start:stop], cost, out=shifted[: stop - start])
                np.minimum(target, candidates, out=target)
    return np.moveaxis(best, 0, axis)


def _blocks(shape: Sequence[int]) -> list[tuple[slice, ...]]:
    starts = np.ndindex(*(-(-n // b) for n, b in zip(shape, _BLOCK, strict=True)))
    return [
        tuple(slice(i * b, min((i + 1) * b, n)) for i, b, n in zip(at, _BLOCK, shape, strict=True)) for at in starts
    ]
