"""Reads label volumes, whole or in parts, and rejects values that are not labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from contract.stage import InputError
from stages.storage.hdf5 import check_memory
from stages.storage.volumes import Place, open_volume, read_part


def check_labels(path: str | Path, dataset: h5py.Dataset) -> None:
    """Raises InputError if the dataset of the file `path` does not hold integers."""
    if dataset.dtype.kind not in "ui":
        raise InputError(
            f"{path}: dataset {dataset.name} is {dataset.dtype}, not integer labels (0 = none); "
            "import the labels with import-labels"
        )


def read_box(path: str | Path, dataset: h5py.Dataset, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Reads a part of a label volume.

    Raises:
      InputError: if the part holds a negative number, or its data is damaged.
    """
    labels = read_part(path, dataset, *box)
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise InputError(
            f"{path}: dataset {dataset.name} holds the negative label {labels.min()}; labels are 0 (none) or an id "
            "above 0: renumber them"
        )
    return labels


def read_labels(path: str | Path) -> tuple[np.ndarray, Place]:
    """Reads a whole label volume, (z, y, x), into memory.

    Raises:
      InputError: like `open_volume`, `check_labels` and `read_box`.
    """
    with open_volume(path) as (dataset, place):
        check_labels(path, dataset)
        check_memory(dataset, path)
        return read_box(path, dataset, (slice(None), slice(None), slice(None))), place


def slabs(shape: tuple[int, ...], depth: int = 16) -> Iterator[slice]:
    """Divides the z axis of a volume into ranges of `depth` sections; the last range may be shorter.

    The default is the depth of the chunks that `create_volume` writes, so that each chunk is read once.
    """
    for start in range(0, shape[0], depth):
        yield slice(start, min(start + depth, shape[0]))
