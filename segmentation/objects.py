"""Measures the objects of a volume of labels, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

FACES: Final = ("z_min", "z_max", "y_min", "y_max", "x_min", "x_max")
"""The faces of a volume, in the order of `Objects.border`."""


_AT_ONCE = 2**20  # voxels; if each had another id than its neighbours, they would need about 300 MB


class Objects(NamedTuple):
    """The objects of a volume, in ascending order of ids; n is their number.

    Attributes:
      ids: (n,) of the type of the labels.
      voxels: (n,) int64.
      low, high: (n, 3) int64, the first and the last voxel along z, y, x: the box, both ends included.
      centroid: (n, 3) float64, the mean position of the voxels, z, y, x.
      border: (n, 6) int64, the number of voxels on each of `FACES` of the volume. 0 if the object does not touch it. A
        voxel on an edge is on two faces.
    """

    ids: np.ndarray
    voxels: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centroid: np.ndarray
    border: np.ndarray


class Measuring:
    """Measures the objects of a volume that is given part by part, in any order; each section must be given once."""

    def __init__(self, shape: Sequence[int], dtype: np.dtype | type) -> None:
        """Takes the shape of the whole volume, z, y, x, and the type of its labels."""
        self._shape = tuple(shape)
        self._sums = _Sums(
            np.zeros(0, dtype), *(np.zeros((0, n), kind) for n, kind in ((10, float), (3, np.int64), (3, np.int64)))
        )

    def add(self, labels: np.ndarray, first: int) -> None:
        """Takes in some sections.

        Args:
          labels: (z, y, x) integers, 0 = none.
          first: the number of their first section in the volume.
        """
        rows = max(1, _AT_ONCE // self._shape[2])
        bands = [
            self._band(section[y : y + rows], z, y)
            for z, section in enumerate(labels, first)
            for y in range(0, len(section), rows)
        ]
        self._sums = _grouped([self._sums, *bands])

    def result(self) -> Objects:
        """Returns the objects of all sections that were given."""
        ids, sums, low, high = self._sums
        voxels = sums[:, :1]
        return Objects(
            ids,
            voxels[:, 0].astype(np.int64),
            low,
            high,
            np.divide(sums[:, 1:4], voxels, where=voxels > 0, out=np.zeros_like(sums[:, 1:4])),
            sums[:, 4:].astype(np.int64),
        )

    def _band(self, band: np.ndarray, z: int, first: int) -> _Sums:
        """Sums up some rows of a section by their runs of equal labels along x: there are far fewer runs than voxels.

        Args:
          band: (y, x) labels.
          z, first: the section, and the first row.
        """
        depth, height, width = self._shape
        flat = band.ravel()
        starts = np.concatenate([np.arange(0, flat.size, width), np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        starts = np.unique(starts)
        lengths = np.diff(starts, append=flat.size)
        kept = flat[starts] != 0
        starts, lengths = starts[kept], lengths[kept].astype(np.float64)
        y, x = np.divmod(starts, width)
        y += first
        last = x + lengths.astype(np.int64) - 1
        sums = np.stack(
            [
                lengths,
                lengths * z,
                lengths * y,
                lengths * (x + last) / 2,
                lengths * (z == 0),
                lengths * (z == depth - 1),
                lengths * (y == 0),
                lengths * (y == height - 1),
                x == 0,
                last == width - 1,
            ],
            axis=1,
        )
        at = np.full_like(y, z)
        return _grouped([_Sums(flat[starts], sums, np.stack([at, y, x], axis=1), np.stack([at, y, last], axis=1))])


class _Sums(NamedTuple):
    """For each row: an id, sums (voxels, z, y, x, voxels on each face), first and last voxels, z, y, x."""

    ids: np.ndarray
    sums: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _grouped(parts: Sequence[_Sums]) -> _Sums:
    """Adds up the rows of each id."""
    ids, sums, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])) if len(ids) else np.zeros(0, np.int64)
    return _Sums(
        ids[first],
        np.add.reduceat(sums[order], first, axis=0) if len(first) else sums,
        np.minimum.reduceat(low[order], first, axis=0) if len(first) else low,
        np.maximum.reduceat(high[order], first, axis=0) if len(first) else high,
    )
