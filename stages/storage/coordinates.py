"""Writes and reads the table of FFN training positions.

The table is an HDF5 file with the datasets `classes`, `starts` and `indices` (see
`segmentation.ffn.coordinates.Coordinates`), and the shape of the volume as attribute `shape_zyx`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from contract.stage import InputError
from segmentation.ffn.coordinates import Classes, Coordinates
from segmentation.pieces import of_length
from stages.storage.hdf5 import create_hdf5, open_hdf5

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
      InputError: if the file is missing, damaged, or not a table of positions.
    """
    try:
        with h5py.File(path, "r") as file:
            z, y, x = (int(v) for v in file.attrs["shape_zyx"])
            return Coordinates((z, y, x), file["classes"][...], file["starts"][...], file["indices"][...])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except KeyError:
        raise InputError(f"{path}: is not a table of positions; connect the output of ffn-coordinates") from None
    except OSError:
        raise InputError(f"{path}: is not a readable HDF5 file; run ffn-coordinates again") from None
