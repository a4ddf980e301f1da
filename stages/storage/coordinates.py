"""Writes and reads the table of FFN training positions.

The table is an HDF5 file with the datasets `classes`, `starts` and `indices` (see
`segmentation.ffn.coordinates.Coordinates`), and the shape of the volume as attribute `shape_zyx`.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from contract.stage import InputError
from segmentation.ffn.coordinates import Coordinates
from stages.storage.hdf5 import create_hdf5


def write_coordinates(path: Path, coordinates: Coordinates) -> None:
    """Writes the table."""
    with create_hdf5(path) as file:
        file.attrs["shape_zyx"] = coordinates.shape
        file["classes"] = coordinates.classes
        file["starts"] = coordinates.starts
        file.create_dataset("indices", data=coordinates.indices, compression="gzip", compression_opts=1, shuffle=True)


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
