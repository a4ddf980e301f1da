"""Writes and reads the table of FFN training positions.

The table is an HDF5 file with the datasets `classes`, `starts` and `indices` (see
`floodrunner.segmentation.ffn.coordinates.Coordinates`), and the shape of the volume as attribute `shape_zyx`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn.coordinates import Classes, Coordinates
from floodrunner.segmentation.pieces import of_length
from floodrunner.stages.storage.hdf5 import attribute, create_hdf5, open_hdf5, whole
from floodrunner.stages.storage.hdf5_tree import datasets

_PIECE = 2**20


def write_coordinates(path: Path, classes: Classes, indices: Iterable[np.ndarray]) -> None:
    """Writes the table; `indices` are pieces of the list of positions, which is never in memory as a whole."""
    with create_hdf5(path) as file:
        file.attrs["shape_zyx"] = classes.shape
        file["classes"] = classes.classes
        file["starts"] = classes.starts
        table = file.create_dataset(
            "indices", (int(classes.starts[-1]),), classes.dtype, compression="gzip", compression_opts=1, shuffle=True
        )
        # Whole chunks at a time: HDF5 would compress a chunk again each time that a part of it is written.
        length = _PIECE // table.chunks[0] * table.chunks[0] or table.chunks[0]
        for at, piece in zip(range(0, len(table), length), of_length(indices, length), strict=True):
            table[at : at + len(piece)] = piece


@contextmanager
def open_indices(path: Path) -> Iterator[Callable[[int, int], np.ndarray]]:
    """Opens a table that was just written; yields a function that reads a range (start, stop) of its list."""
    with open_hdf5(path) as file:
        table = file["indices"]
        yield lambda start, stop: table[start:stop]


def read_coordinates(path: str | Path) -> Coordinates:
    """Reads a table that `write_coordinates` wrote.

    Raises:
      InputError: if the file is missing, damaged, or not a table of positions inside its volume.
    """
    with open_hdf5(path) as file:
        shape = np.ravel(attribute(file, "shape_zyx", path))
        found = datasets(file, path)
        if shape.shape != (3,) or shape.dtype.kind not in "iu" or not {"classes", "starts", "indices"} <= set(found):
            raise InputError(f"{path}: is not a table of positions; connect the output of ffn-coordinates")
        z, y, x = shape.tolist()
        table = Coordinates((z, y, x), *(whole(found[name], path) for name in ("classes", "starts", "indices")))
    problem = _problem(table)
    if problem:
        raise InputError(f"{path}: its {problem}; run ffn-coordinates again")
    return table


def _problem(table: Coordinates) -> str | None:
    """Says what is wrong with a table, so that positions outside the volume are not read."""
    arrays = {"classes": table.classes, "starts": table.starts, "indices": table.indices}
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "iu":
            return f"{name} are {array.dtype} {array.shape}, not a list of whole numbers"
    starts, total = table.starts, len(table.indices)
    if not total:
        return "list of positions is empty"
    if (
        len(starts) != len(table.classes) + 1
        or starts[0] != 0
        or starts[-1] != total
        or (starts[:-1] > starts[1:]).any()
    ):
        return f"starts do not divide its {total} positions among its {len(table.classes)} classes"
    if min(table.shape) < 1 or table.indices.min() < 0 or table.indices.max() >= math.prod(table.shape):
        return (
            f"positions go from {table.indices.min()} to {table.indices.max()}, which are not all inside a volume of "
            f"shape {table.shape}"
        )
    return None
