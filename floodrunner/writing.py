"""Writes volumes and pictures that are arrays, as files that stages and Fiji read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from floodrunner.contract.ports import is_hdf5
from floodrunner.contract.stage import InputError
from floodrunner.reading import Triple, Volume
from floodrunner.stages.readers import files as image_files
from floodrunner.stages.readers import tiff_write
from floodrunner.stages.readers.names import PNG, TIFF
from floodrunner.stages.storage import volumes

_WIDE = 32
"""Whole numbers of this many bits and more are ids, unless the user says otherwise."""


def write(
    path: str | os.PathLike[str],
    data: np.ndarray | Volume,
    voxel_size_xyz: Triple | None = None,
    *,
    labels: bool | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a volume or a picture; the name tells the format.

    - `result.h5`: one dataset with voxel size and offset, `raw` or `labels`, as steps of a pipeline read it.
    - `result.tif`: a page for each section; Fiji shows the voxel size at Image > Properties.
    - `result`, without a suffix: a folder of sections z0000.png and so on, 8 or 16 bits. `picture.png`: one picture.

    Args:
      data: (z, y, x) or (y, x) numbers; for TIFF and PNG also (z, y, x, 3) or (y, x, 3) uint8, which are colours.
      voxel_size_xyz: nm; by default that of the volume. PNG has no place for it.
      labels: whether the numbers are ids, which HDF5 tells apart. By default, whole numbers of 32 and 64 bits are.
      overwrite: replace a file that is there already. Folders are never replaced.

    Returns:
      The path.

    Raises:
      InputError: if the path exists, or the format cannot hold the data.
    """
    where, array = Path(path), data.array if isinstance(data, Volume) else np.asarray(data)
    size = voxel_size_xyz or (data.voxel_size_xyz if isinstance(data, Volume) else None)
    if array.ndim not in (2, 3, 4) or 0 in array.shape or array.dtype.kind not in "uif":
        raise InputError(
            f"{path}: the array is {array.dtype} {array.shape}; a volume is (z, y, x), a picture (y, x), of numbers"
        )
    single = array.ndim == 2 or (array.ndim == 3 and _is_coloured(array) and not isinstance(data, Volume))
    if array.ndim == 4 and not _is_coloured(array):
        raise InputError(f"{path}: the array is {array.dtype} {array.shape}; colours are (z, y, x, 3) uint8")
    if is_hdf5(where.name):
        if array.ndim != 3:
            raise InputError(f"{path}: the array has the shape {array.shape}; HDF5 takes volumes (z, y, x)")
        ids = labels if labels is not None else array.dtype.kind in "ui" and array.dtype.itemsize * 8 >= _WIDE
        place = Volume(array, size, data.offset_xyz if isinstance(data, Volume) else (0, 0, 0)).place
        return _written(
            where, overwrite, lambda file: volumes.write_volume(file, "labels" if ids else "image", array, place)
        )
    if where.suffix.lower() in TIFF:
        write_tiff = tiff_write.write_page if single else tiff_write.write_stack
        return _written(where, overwrite, lambda file: write_tiff(file, array, size))
    if where.suffix.lower() in PNG and single:
        pixels = _for_png(array, path)
        return _written(where, overwrite, lambda file: image_files.write(file, pixels))
    if not where.suffix and not single:
        sections = _for_png(array, path)
        return _written(where, False, lambda folder: _write_sections(folder, sections))
    raise InputError(
        f"{path}: no format for an array of shape {array.shape}; name a volume .h5, .tif, or a folder without suffix, "
        "and a picture .tif or .png"
    )


def _is_coloured(array: np.ndarray) -> bool:
    return array.shape[-1] == 3 and array.dtype == np.uint8


def _for_png(array: np.ndarray, path: object) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind in "ui" and array.min() >= 0 and array.max() < 2**16:
        return array.astype(np.uint16)
    raise InputError(
        f"{path}: PNG takes whole numbers of 0 to 65535, and the array is {array.dtype} from {array.min()} to "
        f"{array.max()}; name a file .tif or .h5"
    )


def _write_sections(folder: Path, array: np.ndarray) -> None:
    folder.mkdir()
    for z, section in enumerate(array):
        image_files.write(folder / f"z{z:04d}.png", section, compress_level=3)


def _written(path: Path, overwrite: bool, write_to: Callable[[Path], object]) -> Path:
    """Writes beside the path, and renames: what is there is whole, whenever this ends."""
    if path.exists() and (path.is_dir() or not overwrite):
        more = "" if path.is_dir() else ", or add overwrite=True"
        raise InputError(f"{path}: exists already; choose another name{more}")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix.lower()}")
    try:
        write_to(beside)
        beside.replace(path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)
    return path
