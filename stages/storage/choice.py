"""Chooses the dataset of an HDF5 file that is the volume, and refuses those that cannot be one."""

from __future__ import annotations

import difflib

import h5py
import numpy as np
from h5py import h5t

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.axes import ILASTIK, may_be_volume
from floodrunner.stages.storage.hdf5 import reading
from floodrunner.stages.storage.hdf5_tree import datasets, find
from floodrunner.stages.storage.words import shown

_LISTED = 12
_SIMILAR = 0.6
"""Names with this ratio of difflib, 0 to 1, or more may be a slip of each other."""

_CLASSES = {
    h5t.STRING: "text",
    h5t.TIME: "times",
    h5t.OPAQUE: "bytes without a type",
    h5t.COMPOUND: "records of several fields",
    h5t.REFERENCE: "references",
    h5t.VLEN: "lists",
    h5t.ARRAY: "arrays",
    h5t.BITFIELD: "bit fields",
}


def chosen_dataset(file: h5py.File, path: str, name: str | None) -> h5py.Dataset:
    """Chooses a dataset, not empty: the one with this name, or the only one that may be a volume.

    Raises:
      InputError: if there is none, or there are several.
    """
    chosen = _named(file, path, name) if name is not None else _only(file, path)
    with reading(path):
        shape = chosen.shape
    if shape is None or 0 in shape:
        raise InputError(f"{path}: dataset {shown(str(chosen.name))} is empty, {shape}; make it again")
    return chosen


def voxel_type(dataset: h5py.Dataset, path: str) -> np.dtype:
    """Returns the type of a dataset's voxels, in the byte order of this machine.

    Raises:
      InputError: if they are not numbers.
    """
    with reading(path):
        kind = dataset.id.get_type().get_class()
        dtype = dataset.dtype if kind not in _CLASSES else np.dtype(object)
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise InputError(
            f"{path}: dataset {shown(str(dataset.name))} holds {type_of(dataset)}, not grey values or labels; save it "
            "as whole numbers"
        )
    return dtype.newbyteorder("=")


def type_of(dataset: h5py.Dataset) -> str:
    """Says in words what a dataset holds."""
    with reading(str(dataset.name)):
        kind = dataset.id.get_type().get_class()
        if kind == h5t.COMPOUND and dataset.dtype.kind == "c":
            return "complex numbers"
        return _CLASSES.get(kind) or str(dataset.dtype)


def _named(file: h5py.File, path: str, name: str) -> h5py.Dataset:
    found = find(file, name, path)
    if isinstance(found, h5py.Dataset):
        return found
    held = datasets(file, path)
    if isinstance(found, h5py.Group):
        inside = [key for key in held if key.startswith(name.strip("/") + "/")]
        what = f"{name!r} is a group, not a dataset; it holds {_list(inside, held)}"
        held = {key: held[key] for key in inside}
    else:
        what = f"has no dataset {name!r}; it holds {_list(list(held), held)}"
    instead = f"write {path}:{shown(_likeliest(name.strip('/'), held))}" if held else "give another file"
    raise InputError(f"{path}: {what}: {instead}")


def _likeliest(name: str, held: dict[str, h5py.Dataset]) -> str:
    """Returns the dataset that was probably meant by a name: one of the same letters, one of a similar name, else the
    first that may be a volume."""

    def same(key: str) -> tuple[bool, bool, float]:
        wanted, found = name.lower(), key.lower()
        ends = wanted.rpartition("/")[2] == found.rpartition("/")[2]
        return wanted == found, ends, difflib.SequenceMatcher(None, wanted, found).ratio()

    alike = max(held, key=same)
    if any(same(alike)[:2]) or same(alike)[2] >= _SIMILAR:
        return alike
    with reading(name):
        return next((key for key in held if may_be_volume(held[key].shape or ())), next(iter(held)))


def _only(file: h5py.File, path: str) -> h5py.Dataset:
    held = datasets(file, path)
    with reading(path):
        shapes = {key: dataset.shape or () for key, dataset in held.items()}
    found = [key for key in held if len(shapes[key]) == 3] or [key for key in held if may_be_volume(shapes[key])]
    wide = [key for key in held if len(shapes[key]) > 3]
    if not found and len(wide) == 1:  # its axes are refused in their own words
        found = wide
    if not found:
        more = f" ({ILASTIK})" if wide else ""
        raise InputError(
            f"{path}: holds no 3D dataset (datasets: {_list(list(held), held)}); give a file with one, (z, y, x){more}"
        )
    if len(found) > 1:
        raise InputError(
            f"{path}: holds {len(found)} 3D datasets ({_list(found, held)}); name one, as in {path}:{shown(found[0])}"
        )
    return held[found[0]]


def _list(keys: list[str], held: dict[str, h5py.Dataset]) -> str:
    """Writes names of datasets with their shapes."""
    named = [f"{shown(key)} {held[key].shape}" for key in keys[:_LISTED]]
    return ", ".join(named + ["..."] * (len(keys) > _LISTED)) or "none"
