"""What a long stage keeps to continue from: one HDF5 file of arrays and JSON, replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from contract.stage import InputError
from stages.storage.hdf5 import create_hdf5

_VALUES = "values.json"


def fingerprint(*arrays: np.ndarray) -> str:
    """Tells apart the data that a state belongs to."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save(path: Path, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    """Writes beside `path`, then takes its place: a kill at any moment leaves the old state or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    with create_hdf5(beside) as file:
        for name, array in arrays.items():
            # A state is written in the seconds that a stop leaves. Labels shrink to a hundredth; masks, weights hardly.
            shrinks = array.size > 2**16 and array.dtype.kind in "iu"
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if shrinks else {}
            file.create_dataset(name, data=array, **packed)
        file[_VALUES] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    with open(beside, "rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The arrays and values, or None where there is no state.

    Raises:
      InputError: if the file is damaged.
    """
    if not path.exists():
        return None
    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda k, v: arrays.update({k: v[...]}) if isinstance(v, h5py.Dataset) else None)
        return arrays, json.loads(arrays.pop(_VALUES).tobytes())
    except (OSError, KeyError, ValueError):
        raise InputError(
            f"{path}: the saved state is truncated or damaged; put back a copy of it, or start this step afresh with "
            "--force, which sets the state aside"
        ) from None


def set_aside(folder: Path) -> Path:
    """Moves what is in the folder into a sub-folder of it, `set-aside-1` and up; returns that."""
    number = 1
    while (aside := folder / f"set-aside-{number}").exists():
        number += 1
    kept = [path for path in folder.iterdir() if not path.name.startswith("set-aside-")]
    aside.mkdir()
    for path in kept:
        path.rename(aside / path.name)
    return aside
