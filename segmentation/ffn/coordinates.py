"""Lists training positions, and draws from them so that each partition class (see `partitions`) is equally frequent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np

from floodrunner.segmentation.ffn.partitions import OUTSIDE
from floodrunner.segmentation.ffn.shuffling import Read, shuffled


@dataclass(frozen=True)
class Classes:
    """How many positions of each partition class a volume has.

    Attributes:
      shape: size of the volume, z, y, x.
      classes: (K,) uint8, the partition classes that occur, ascending.
      starts: (K + 1,) int64, in the list of all positions, those of `classes[k]` are `starts[k]:starts[k + 1]`.
    """

    shape: tuple[int, int, int]
    classes: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(K,) int64, the number of positions of each class."""
        return np.diff(self.starts)

    @property
    def dtype(self) -> np.dtype:
        """Type of the indices: uint32 if all voxels of the volume can be counted with it, else uint64."""
        return np.dtype(np.uint32 if math.prod(self.shape) <= 2**32 else np.uint64)


@dataclass(frozen=True)
class Coordinates(Classes):
    """Positions in a volume, grouped by partition class.

    Attributes:
      indices: (N,) flat C-order voxel indices, ascending within a class, of the type `dtype`.
    """

    indices: np.ndarray


def classes_of(partitions: np.ndarray, margin: Sequence[int], background: bool = False) -> Classes:
    """Counts the voxels of each partition class that lie at least `margin` inside the volume.

    Args:
      partitions: (z, y, x) uint8, from `partitions.partition`.
      margin: half the size of the training example around a position, in voxels, z, y, x.
      background: also count class 0, whose positions lie on no object, like google/ffn's build_coordinates.py. With
        K other classes, one example in K + 1 then teaches the network not to grow where there is no object.

    Raises:
      ValueError: if no voxel of any class lies inside the margin.

    Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network training".
    """
    shape = (partitions.shape[0], partitions.shape[1], partitions.shape[2])
    counts = np.zeros(256, np.int64)
    for section in partitions[_inner(shape, margin)]:  # one by one, because bincount makes 8 bytes of each voxel
        counts += np.bincount(section.ravel(), minlength=256)
    counts[OUTSIDE] = 0
    if not background:
        counts[0] = 0
    classes = np.flatnonzero(counts).astype(np.uint8)
    if not len(classes):
        raise ValueError(
            f"no voxel of any partition is at least {_xyz(margin)} voxels (x, y, z) away from the border of the volume "
            f"of {_xyz(shape)}"
        )
    return Classes(shape, classes, np.concatenate([[0], np.cumsum(counts[classes])]))


def positions(partitions: np.ndarray, margin: Sequence[int], classes: Classes) -> Iterator[np.ndarray]:
    """Lists the voxels that `classes_of` has counted: yields the indices of all classes, in pieces of any length.

    The volume is gone through once for each class, so that only a few sections of indices are in memory.
    """
    inner = _inner(classes.shape, margin)
    _, height, width = classes.shape
    flat = np.arange(height * width, dtype=classes.dtype).reshape(height, width)[inner[1:]].ravel()
    for value in classes.classes:
        for z, section in enumerate(partitions[inner], inner[0].start):
            chosen = flat[np.flatnonzero(section == value)]
            chosen += classes.dtype.type(z * height * width)
            yield chosen


def coordinates(partitions: np.ndarray, margin: Sequence[int], background: bool = False) -> Coordinates:
    """Lists all positions in memory. Arguments and errors are those of `classes_of`."""
    found = classes_of(partitions, margin, background)
    indices = np.concatenate(list(positions(partitions, margin, found)))
    return Coordinates(found.shape, found.classes, found.starts, indices)


def sample(coordinates: Coordinates, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draws positions with replacement: the class uniformly, then the position uniformly within the class.

    Returns:
      (n, 3) int64, z, y, x.
    """
    chosen = rng.integers(len(coordinates.classes), size=n)
    position = coordinates.starts[chosen] + rng.integers(coordinates.counts[chosen])
    return _unravel(coordinates.indices[position], coordinates.shape)


def balanced(
    classes: Classes, read: Read, rng: np.random.Generator, scratch: Callable[[], BinaryIO]
) -> Iterator[np.ndarray]:
    """Lists positions in random order so that each class occurs as often as the largest class has positions.

    The positions of a smaller class are shuffled and then repeated from the start until there are enough. So the
    numbers of times that two positions of a class occur differ by at most one. google/ffn's build_coordinates.py does
    the same. The order is that of `rng.permutation` on each class in turn, and `rng.shuffle` on all of them together;
    but only a small part of the list is in memory.

    Args:
      read: reads a range of the list of all positions.
      scratch: makes an empty file that is open for reading and writing, and that vanishes when it is closed. There are
        up to two at a time, of 4 or 8 bytes for each position, and of 8 or 12 for each position in the result.

    Yields:
      The K * largest count indices, in pieces.
    """
    largest, dtype = int(classes.counts.max()), classes.dtype
    with scratch() as permuted:
        for start, count in zip(classes.starts.tolist(), classes.counts.tolist(), strict=False):
            with scratch() as work:
                for piece in shuffled(partial(_shifted, read, start), count, rng, work):
                    permuted.write(np.ascontiguousarray(piece).data)

        def repeated(start: int, stop: int) -> np.ndarray:
            pieces = []
            while start < stop:
                k, at = divmod(start, largest)
                count = int(classes.counts[k])
                length = min(stop - start, largest - at, count - at % count)
                permuted.seek((int(classes.starts[k]) + at % count) * dtype.itemsize)
                pieces.append(np.frombuffer(permuted.read(length * dtype.itemsize), dtype))
                start += length
            return np.concatenate(pieces)

        with scratch() as work:
            yield from shuffled(repeated, len(classes.classes) * largest, rng, work)


def _shifted(read: Read, by: int, start: int, stop: int) -> np.ndarray:
    return read(by + start, by + stop)


def _inner(shape: Sequence[int], margin: Sequence[int]) -> tuple[slice, ...]:
    """Returns the part of a volume that lies inside the margin; it may be empty."""
    return tuple(slice(m, max(n - m, m)) for m, n in zip(margin, shape, strict=True))


def _unravel(indices: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack(np.unravel_index(indices.astype(np.int64), shape), axis=-1)


def _xyz(zyx: Sequence[int]) -> str:
    return " x ".join(str(v) for v in reversed(zyx))
