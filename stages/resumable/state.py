"""The saved state of a long stage: one HDF5 file with arrays and JSON, always replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import attribute, create_hdf5, open_hdf5, whole
from floodrunner.stages.storage.hdf5_tree import datasets

_VALUES, _SUMS, _SUM = "values.json", "sums", "crc32"


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
        text = json.dumps({**values, _SUMS: {name: _sum(array) for name, array in arrays.items()}}).encode()
        file[_VALUES] = np.frombuffer(text, np.uint8)
        file[_VALUES].attrs[_SUM] = zlib.crc32(text)
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
            expected = attribute(file[_VALUES], _SUM, path) if _VALUES in arrays else None
    except InputError:
        raise _damaged(path) from None
    with restoring(path):
        text = arrays.pop(_VALUES).tobytes()
        if expected not in (None, zlib.crc32(text)):
            raise _damaged(path)
        values = json.loads(text)
        sums = values.pop(_SUMS, None)  # earlier versions saved none
        if sums is not None and sums != {name: _sum(array) for name, array in arrays.items()}:
            raise _damaged(path)
    return arrays, values


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Inside, what a saved state lacks, or holds in another form, is an InputError: the state is of another version, or
    damaged."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise _damaged(path) from error


def _sum(array: np.ndarray) -> list[Any]:
    """Type, shape and CRC-32 of an array, which tell that it is read as it was saved."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return [str(array.dtype), list(array.shape), zlib.crc32(flat.data)]


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: the saved state is truncated or damaged; put back a copy of it, or start this step over with "
        "--force, which moves the state aside"
    )


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
