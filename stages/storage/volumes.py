"""Volumes on disk: HDF5 files with one 3D dataset, (z, y, x), its voxel size and its place in the whole stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from contract.ports import split_dataset
from contract.stage import InputError
from stages.storage.hdf5 import attribute, check_memory, create_hdf5, open_hdf5, reading, whole
from stages.storage.hdf5_tree import datasets
from stages.storage.words import shown

DATASETS = {"image": "raw", "labels": "labels", "segmentation": "segmentation", "partitions": "af"}
"""Kind of volume -> the name that its dataset gets. A reader takes the only 3D dataset of a file, whatever its name."""

NAMES = "section_names"
"""Name of the dataset beside a volume that holds the file name of each section, if the stack was a folder."""


@dataclass(frozen=True)
class Place:
    """Voxel size of a volume in nm, and the offset of its corner, in voxels, from the corner of the whole stack."""

    voxel_size_xyz: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset_xyz: tuple[int, int, int] = (0, 0, 0)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in nm, z, y, x."""
        x, y, z = self.voxel_size_xyz
        return (z, y, x)

    @property
    def offset(self) -> tuple[int, int, int]:
        """Offset in voxels, z, y, x."""
        x, y, z = self.offset_xyz
        return (z, y, x)

    def shifted(self, start: tuple[int, int, int]) -> Place:
        """The place of a box that starts at `start` (z, y, x) inside this volume."""
        x, y, z = self.offset_xyz
        return Place(self.voxel_size_xyz, (x + start[2], y + start[1], z + start[0]))


@contextmanager
def open_volume(path: str | Path) -> Iterator[tuple[h5py.Dataset, Place]]:
    """Opens a volume for reading.

    Args:
      path: an HDF5 file, followed by `:dataset` or `@dataset` if it holds several 3D datasets.

    Yields:
      The dataset, not empty, and its place.

    Raises:
      InputError: if the file is not a readable HDF5 file, or it is not clear which dataset is meant.
    """
    file_path, name = split_dataset(str(path))
    with open_hdf5(file_path) as file:
        dataset = _choose(file, file_path, name)
        yield dataset, _place(file_path, dataset)


def read_volume(path: str | Path) -> tuple[np.ndarray, Place]:
    """Reads a whole volume, (z, y, x), into memory.

    Raises:
      InputError: like `open_volume`; also if the data is damaged.
    """
    with open_volume(path) as (dataset, place):
        check_memory(dataset, path)
        return read_part(path, dataset, ...), place


def read_part(path: str | Path, dataset: h5py.Dataset, *box: Any) -> np.ndarray:
    """Reads the part `dataset[box]` of the volume in the file `path`. Raises InputError if its data is damaged."""
    with reading(path):
        return dataset[box]


@contextmanager
def create_volume(
    path: Path, kind: str, shape: tuple[int, int, int], dtype: np.dtype | type, place: Place
) -> Iterator[h5py.Dataset]:
    """Creates a volume to which the caller writes section by section; `kind` is a key of `DATASETS`."""
    # Callers hold as many sections in memory as a chunk is deep: at most 256 MB, but at least one section.
    depth = max(1, min(16, 2**28 // (shape[1] * shape[2] * np.dtype(dtype).itemsize)))
    chunks = (min(shape[0], depth), min(shape[1], 128), min(shape[2], 128))
    with create_hdf5(path) as file:
        dataset = file.create_dataset(
            DATASETS[kind], shape, dtype, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
        )
        dataset.attrs["voxel_size_xyz"] = place.voxel_size_xyz
        dataset.attrs["offset_xyz"] = place.offset_xyz
        yield dataset


def write_volume(path: Path, kind: str, array: np.ndarray, place: Place) -> None:
    """Writes a whole volume, (z, y, x); `kind` is a key of `DATASETS`."""
    with create_volume(path, kind, array.shape, array.dtype, place) as dataset:
        dataset[...] = array


def _place(path: str, dataset: h5py.Dataset) -> Place:
    sizes = _numbers(dataset, "voxel_size_xyz", (1.0, 1.0, 1.0), path)
    if sizes.shape != (3,) or sizes.dtype.kind not in "uif" or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(
            f"{path}: attribute voxel_size_xyz of dataset {dataset.name} is {sizes.tolist()}; it must be three numbers "
            "above 0, x, y, z in nm: correct or remove it"
        )
    offset = _numbers(dataset, "offset_xyz", (0, 0, 0), path)
    if offset.shape != (3,) or offset.dtype.kind not in "ui":
        raise InputError(
            f"{path}: attribute offset_xyz of dataset {dataset.name} is {offset.tolist()}; it must be three whole "
            "numbers, x, y, z in voxels: correct or remove it"
        )
    (x, y, z), (dx, dy, dz) = sizes.tolist(), offset.tolist()
    return Place((float(x), float(y), float(z)), (dx, dy, dz))


def _numbers(dataset: h5py.Dataset, name: str, missing: tuple[float, ...], path: str) -> np.ndarray:
    value = attribute(dataset, name, path)
    return np.ravel(missing if value is None else value)


def _choose(file: h5py.File, path: str, name: str | None) -> h5py.Dataset:
    volumes = datasets(file, path)
    names = ", ".join(volumes) or "none"
    if name is not None:
        if name.strip("/") not in volumes:
            instead = f"write {path}:{next(iter(volumes))}" if volumes else "give another file"
            raise InputError(f"{path}: has no dataset {name!r}; it holds {names}: {instead}")
        chosen = volumes[name.strip("/")]
    else:
        of_3d = [dataset for dataset in volumes.values() if dataset.ndim == 3]
        if not of_3d:
            raise InputError(f"{path}: holds no 3D dataset (datasets: {names}); give a file with one, (z, y, x)")
        if len(of_3d) > 1:
            choice = ", ".join(str(dataset.name).strip("/") for dataset in of_3d)
            raise InputError(
                f"{path}: holds {len(of_3d)} 3D datasets ({choice}); name one, as in {path}:{choice.split(',')[0]}"
            )
        chosen = of_3d[0]
    if chosen.ndim != 3:
        raise InputError(
            f"{path}: dataset {chosen.name} has {chosen.ndim} axes, {chosen.shape}; a volume has three, (z, y, x): "
            "save the part you mean as a dataset of its own"
        )
    if 0 in chosen.shape:
        raise InputError(f"{path}: dataset {chosen.name} is empty, {chosen.shape}; make it again")
    return chosen


def keep_names(volume: h5py.Dataset, names: Iterable[str] | None) -> None:
    """Stores the file names of the sections in a dataset beside a volume, because HDF5 limits attributes to 64 kB."""
    if names is not None:
        volume.parent.create_dataset(NAMES, data=list(names), dtype=h5py.string_dtype())


def kept_names(volume: h5py.Dataset) -> tuple[str, ...] | None:
    """Returns the file names of the sections of a volume; None if they are not stored."""
    where = f"{volume.file.filename}: {NAMES}"
    with reading(where):
        names = volume.parent.get(NAMES)
        if not isinstance(names, h5py.Dataset) or names.shape != (volume.shape[0],):
            return None
        if h5py.check_string_dtype(names.dtype) is None:
            raise InputError(f"{where} holds {names.dtype}, not names of files; rename or remove this dataset")
        found = whole(names, where)
    return tuple(shown(name.decode("utf-8", "replace")) for name in found)
