"""The saved state of a long stage: one HDF5 file with arrays and JSON, always replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from contract.stage import InputError
from stages.storage.hdf5 import create_hdf5, open_hdf5, whole
from stages.storage.hdf5_tree import datasets

_VALUES = "values.json"


def fingerprint(*arrays: np.ndarray) -> str:
    """Hashes types, shapes and values of arrays. A saved state holds this hash of the data that it was made from."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save(path: Path, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    """Writes a new file and renames it to `path`, so that a kill at any moment leaves the old state or the new one.

    Args:
      values: values that JSON can hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    with create_hdf5(beside) as file:
        for name, array in arrays.items():
            # After a stop there are only seconds to write. Compression makes labels a hundred times smaller, but helps
            # little with masks and weights.
            shrinks = array.size > 2**16 and array.dtype.kind in "iu"
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if shrinks else {}
            file.create_dataset(name, data=array, **packed)
        file[_VALUES] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    with open(beside, "rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Returns the arrays and values of a saved state; None if there is no file.

    Raises:
      InputError: if the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with open_hdf5(path) as file:
            arrays = {name: whole(dataset, path) for name, dataset in datasets(file, path).items()}
        return arrays, json.loads(arrays.pop(_VALUES).tobytes())
    except (InputError, KeyError, ValueError):
        raise InputError(
            f"{path}: the saved state is truncated or damaged; put back a copy of it, or start this step over with "
            "--force, which moves the state aside"
        ) from None


def set_aside(folder: Path) -> Path:
    """Moves the contents of a state folder into a new sub-folder, `set-aside-1` and up, and returns the sub-folder."""
    number = 1
    while (aside := folder / f"set-aside-{number}").exists():
        number += 1
    kept = [path for path in folder.iterdir() if not path.name.startswith("set-aside-")]
    aside.mkdir()
    for path in kept:
        path.rename(aside / path.name)
    return aside
