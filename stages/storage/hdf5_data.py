"""Whether the data of an HDF5 dataset can be had: where HDF5 would read zeros without a word, and filters it lacks."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import h5py
from h5py import h5s

from floodrunner.contract.hdf5 import linked_files, source_files
from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import open_hdf5, reading, stored_chunks
from floodrunner.stages.storage.hdf5_filters import check_filters
from floodrunner.stages.storage.hdf5_tree import find
from floodrunner.stages.storage.words import shown

_MOST_LEVELS = 8  # virtual datasets of virtual datasets
_SPARSE_BYTES = 2**30
_SPARSE_SHARE = 1000


def check_data(dataset: h5py.Dataset, where: str | Path, level: int = 0) -> tuple[str, ...]:
    """Checks that the data of a dataset is there and can be decoded, without reading it.

    Returns:
      What the user should know: parts that are not in the file, which HDF5 reads as one value, mostly 0.

    Raises:
      InputError: if a filter is not installed, a file with data is missing or too short, or hardly any data is there.
    """
    if level > _MOST_LEVELS:
        raise InputError(f"{where}: virtual datasets refer to each other more than {_MOST_LEVELS} times; copy the data")
    with reading(where):
        check_filters(dataset, where)
        if dataset.is_virtual:
            return _check_virtual(dataset, where, level)
        if dataset.external is not None:
            _check_external(dataset, where)
            return ()
        stored, chunks = stored_chunks(dataset)
        if stored == chunks:
            return ()
        value = dataset.fillvalue
        if not stored:
            raise InputError(f"{where}: dataset {_name(dataset)} holds no data: nothing was ever written to it")
        missing = f"{stored:,} of the {chunks:,} blocks (chunks) of dataset {_name(dataset)} were written"
        if dataset.size * dataset.dtype.itemsize > _SPARSE_BYTES and stored * _SPARSE_SHARE < chunks:
            raise InputError(
                f"{where}: is damaged or was never finished: only {missing}, and its shape is {dataset.shape}; "
                "make it again"
            )
        return (f"only {missing}; the others are read as {value}",)


def _check_external(dataset: h5py.Dataset, where: str | Path) -> None:
    left = math.prod(dataset.shape) * dataset.dtype.itemsize
    for name, offset, size in dataset.external:
        files = _sources(dataset, name, where)
        wanted, there = min(size, left), files[0].stat().st_size
        if there < offset + wanted:
            raise InputError(
                f"{where}: {files[0]} with the data of {_name(dataset)} has {there:,} bytes, {offset + wanted:,} are "
                "needed; copy it again from its source"
            )
        left -= wanted


def _check_virtual(dataset: h5py.Dataset, where: str | Path, level: int) -> tuple[str, ...]:
    remarks: dict[str, None] = {}
    mapped, checked = 0, set()
    for source in dataset.virtual_sources():
        mapped += _points(source.vspace) or 0
        for path in _sources(dataset, source.file_name, where):
            with contextlib.ExitStack() as stack:
                file, inside = dataset.file, where
                if path != Path(file.filename):
                    file, inside = stack.enter_context(open_hdf5(path)), f"{where}: {path}"
                if "%b" not in source.dset_name:
                    found = _source_dataset(file, source, inside)
                    if (path, found.name) not in checked:
                        remarks.update(dict.fromkeys(check_data(found, inside, level + 1)))
                    checked.add((path, found.name))
    if None not in dataset.maxshape and mapped < dataset.size:
        share = f"{100 * (1 - mapped / dataset.size):.1f} % of the virtual dataset {_name(dataset)}"
        remarks[f"{share} have no source; they are read as {dataset.fillvalue}"] = None
    return tuple(remarks)


def _source_dataset(file: h5py.File, source: Any, where: str | Path) -> h5py.Dataset:
    name = shown(source.dset_name)
    found = find(file, source.dset_name, where)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{where}: has no dataset {name}, from which data is taken; copy it again from its source")
    if found.external is not None:  # HDF5 would look for its files in the current folder
        raise InputError(f"{where}: the data of {name} is in further files; copy it into one file (h5repack does)")
    if source.src_space.get_select_type() == h5s.SEL_ALL:
        points = _points(source.vspace)
        fits = points is None or points == found.size
        wanted = f"{points} voxels"
    else:
        _, last = source.src_space.get_select_bounds()
        fits = len(last) == found.ndim and all(a < n for a, n in zip(last, found.shape, strict=True))
        wanted = f"voxels up to {last}"
    if not fits:
        raise InputError(
            f"{where}: dataset {name} has the shape {found.shape}, but {wanted} are taken from it; copy it again from "
            "its source"
        )
    return found


def _points(space: h5s.SpaceID) -> int | None:
    """Counts the voxels of a selection; None if it has no limit."""
    try:
        return int(space.get_select_npoints())
    except RuntimeError:
        return None


def _sources(dataset: h5py.Dataset, name: str, where: str | Path) -> list[Path]:
    parent = dataset.file.filename
    files = source_files(parent, name) if dataset.is_virtual else linked_files(parent, name)
    if not files:
        missing = f"{shown(name)} is missing"
        if dataset.is_virtual and "%b" in name:
            missing = f"some or all of {shown(name)} (%b is 0, 1, 2 and so on) are missing"
        raise InputError(
            f"{where}: the data of {_name(dataset)} is in other files, and {missing}; put it "
            f"into the folder of {Path(dataset.file.filename).name}, or copy the data into one file (h5repack does)"
        )
    return files


def _name(dataset: h5py.Dataset) -> str:
    return shown(str(dataset.name).strip("/"))
