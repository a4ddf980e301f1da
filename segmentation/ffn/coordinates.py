"""Lists training positions, and draws from them so that each partition class (see `partitions`) is equally frequent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmentation.ffn.partitions import OUTSIDE


@dataclass(frozen=True)
class Coordinates:
    """Positions in a volume, grouped by partition class.

    Attributes:
      shape: size of the volume, z, y, x.
      classes: (K,) uint8, the partition classes that occur, ascending.
      starts: (K + 1,) int64, `indices[starts[k]:starts[k + 1]]` are the positions of `classes[k]`.
      indices: (N,) flat C-order voxel indices, ascending within a class; uint32 if they fit, else uint64.
    """

    shape: tuple[int, int, int]
    classes: np.ndarray
    starts: np.ndarray
    indices: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(K,) int64, the number of positions of each class."""
        return np.diff(self.starts)


def coordinates(partitions: np.ndarray, margin: Sequence[int], background: bool = False) -> Coordinates:
    """Lists the voxels of each partition class that lie at least `margin` inside the volume.

    Args:
      partitions: (z, y, x) uint8, from `partitions.partition`.
      margin: half the size of the training example around a position, in voxels, z, y, x.
      background: also list class 0, whose positions lie on no object, like google/ffn's build_coordinates.py. With
        K other classes, one example in K + 1 then teaches the network not to grow where there is no object.

    Raises:
      ValueError: if no voxel of any class lies inside the margin.

    Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network training".
    """
    shape = (partitions.shape[0], partitions.shape[1], partitions.shape[2])
    (mz, my, mx), (nz, ny, nx) = margin, shape
    inner = partitions[mz : max(nz - mz, mz), my : max(ny - my, my), mx : max(nx - mx, mx)]
    # Section by section: 8-byte indices of the whole volume would take eight times its memory.
    counts = np.zeros(256, np.int64)
    for section in inner:
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
    starts = np.concatenate([[0], np.cumsum(counts[classes])])
    indices = np.empty(starts[-1], np.uint32 if partitions.size <= 2**32 else np.uint64)
    in_section = np.arange(ny * nx).reshape(ny, nx)[my : ny - my, mx : nx - mx].ravel()
    cursor = starts[:-1].copy()
    for z, section in enumerate(inner, mz):
        flat = section.ravel()
        order = np.argsort(flat, kind="stable")  # NumPy uses a radix sort for bytes
        ends = np.cumsum(np.bincount(flat, minlength=256))
        for k, value in enumerate(classes):
            chosen = order[(ends[value - 1] if value else 0) : ends[value]]
            indices[cursor[k] : cursor[k] + len(chosen)] = in_section[chosen] + z * (ny * nx)
            cursor[k] += len(chosen)
    return Coordinates(shape, classes, starts, indices)


def sample(coordinates: Coordinates, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draws positions with replacement: the class uniformly, then the position uniformly within the class.

    Returns:
      (n, 3) int64, z, y, x.
    """
    chosen = rng.integers(len(coordinates.classes), size=n)
    position = coordinates.starts[chosen] + rng.integers(coordinates.counts[chosen])
    return _unravel(coordinates.indices[position], coordinates.shape)


def balanced(coordinates: Coordinates, rng: np.random.Generator) -> np.ndarray:
    """Lists positions in random order so that each class occurs as often as the largest class has positions.

    The positions of a smaller class are shuffled and then repeated from the start until there are enough. So the
    numbers of times that two positions of a class occur differ by at most one. google/ffn's build_coordinates.py does
    the same.

    Returns:
      (K * largest count,) flat C-order indices, of the type of `coordinates.indices`.
    """
    largest = int(coordinates.counts.max())
    parts = np.split(coordinates.indices, coordinates.starts[1:-1])
    result = np.concatenate([np.resize(rng.permutation(part), largest) for part in parts])
    rng.shuffle(result)
    return result


def _unravel(indices: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack(np.unravel_index(indices.astype(np.int64), shape), axis=-1)


def _xyz(zyx: Sequence[int]) -> str:
    return " x ".join(str(v) for v in reversed(zyx))
