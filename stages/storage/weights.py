"""Reads the weights of a network, and refuses those that no network can have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contract.stage import InputError
from stages.storage.hdf5 import open_hdf5, whole
from stages.storage.hdf5_tree import datasets


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an HDF5 file, by path.

    Raises:
      InputError: if the file is missing or damaged, or a weight is not a finite number.
    """
    with open_hdf5(path) as file:
        arrays = {name: whole(dataset, path) for name, dataset in datasets(file, path).items()}
    for name, array in arrays.items():
        odd = array.size if array.dtype.kind != "f" else int((~np.isfinite(array)).sum())
        if odd:
            raise InputError(
                f"{path}: {odd} of the {array.size} weights {name} ({array.dtype}) are not finite numbers; give the "
                "model of another step of the training, or train again with a lower learning_rate"
            )
    return arrays
