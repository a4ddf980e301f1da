"""Reads the weights of a network, and refuses those that do not belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import open_hdf5, reading, whole
from floodrunner.stages.storage.hdf5_tree import datasets
from floodrunner.stages.storage.words import shown

_PACKED = 100
"""Trained weights cannot be compressed by this factor; a file that is smaller does not hold what it says."""


def read_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]], advice: str) -> dict[str, np.ndarray]:
    """Reads the weights of a network from an HDF5 file. Names and shapes are compared before memory is asked for.

    Args:
      shapes: path in the file -> shape, of all weights that the network has.
      advice: what to do if the weights are those of another network.

    Raises:
      InputError: if the file is missing or damaged, an array is missing, unexpected or of another shape, or a weight is
        not a finite number.
    """
    with open_hdf5(path) as file:
        found = datasets(file, path)
        with reading(path):
            problem = _misfit(found, shapes)
        if problem:
            raise InputError(f"{path}: {problem}; {advice}")
        arrays = {name: whole(found[name], path) for name in shapes}
    for name, array in arrays.items():
        odd = int((~np.isfinite(array)).sum())
        if odd:
            raise InputError(
                f"{path}: {odd} of the {array.size} weights {name} are not finite numbers; give the model of another "
                "step of the training, or train again with a lower learning_rate"
            )
    return arrays


def _misfit(found: Mapping[str, h5py.Dataset], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Says how the arrays of a file differ from the weights of the network in `network.json`; "" if they do not."""
    if odd := sorted(found.keys() ^ shapes.keys()):
        where = "the file" if odd[0] in found else "the network"
        return f"does not fit network.json: the weights {shown(odd[0])} are only in {where}"
    for name, shape in shapes.items():
        dataset = found[name]
        if dataset.shape != shape or dataset.dtype.kind != "f":
            return f"does not fit network.json: the weights {name} are {dataset.dtype} {dataset.shape}, not {shape}"
    expected = sum(found[name].nbytes for name in shapes)
    stored = sum(found[name].id.get_storage_size() for name in shapes)
    if stored * _PACKED < expected:
        return f"is incomplete: it holds {stored:,} bytes of weights that take {expected:,}"
    return ""
