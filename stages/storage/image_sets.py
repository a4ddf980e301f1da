"""Sets of pictures on disk: an HDF5 file with a group for each picture. Pictures may differ in size and type.

A group has the name of the picture's file, without suffix. It holds `image`, (y, x) or (y, x, channel); `labels`,
(y, x) int32, 0 = none, if the cells are known; and `probability`, (y, x) float32, 0 to 1, if it was predicted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from contract.stage import InputError
from stages.storage.hdf5 import create_hdf5, open_hdf5
from stages.storage.names import natural_key


@dataclass(frozen=True)
class Picture:
    """One picture of a set.

    Attributes:
      name: name of its file, without suffix.
      image: (y, x) or (y, x, channel) as stored: uint8, uint16 or float32.
      labels: (y, x) int32, an id for each cell, 0 = none; None if the cells are not known.
      probability: (y, x) float32, probability (0 to 1) that each pixel is part of a cell; None if it was not predicted.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray | None = None
    probability: np.ndarray | None = None


def write_set(path: Path, pictures: Iterable[Picture]) -> None:
    """Writes pictures, one at a time, so that they need not all be in memory. Their names must differ."""
    with create_hdf5(path) as file:
        for picture in pictures:
            group = file.create_group(picture.name)
            _put(group, "image", picture.image)
            if picture.labels is not None:
                _put(group, "labels", picture.labels.astype(np.int32, copy=False))
            if picture.probability is not None:
                _put(group, "probability", picture.probability.astype(np.float32, copy=False))


def is_set(path: str | Path) -> bool:
    """Returns whether an HDF5 file is a set of pictures, not a volume. Raises InputError if it cannot be opened."""
    with open_hdf5(path) as file:
        return _is_set(file)


def read_set(path: str | Path) -> list[Picture]:
    """Reads all pictures of a set, in the order of the numbers in their names.

    Raises:
      InputError: if the file is missing or damaged, is not a set of pictures, or holds arrays of a wrong shape or type.
    """
    with open_hdf5(path) as file:
        if not _is_set(file):
            raise InputError(
                f"{path}: is not a set of pictures (it holds {', '.join(file) or 'nothing'}); "
                "connect the output of import-pairs, phantom-cells or unet-predict"
            )
        names = sorted(file, key=lambda name: (natural_key(name), name))
        return [_picture(path, name, file[name]) for name in names]


def _put(group: h5py.Group, name: str, array: np.ndarray) -> None:
    group.create_dataset(name, data=array, chunks=True, compression="gzip", compression_opts=1, shuffle=True)


def _is_set(file: h5py.File) -> bool:
    groups = list(file.values())
    return bool(groups) and all(
        isinstance(group, h5py.Group) and isinstance(group.get("image"), h5py.Dataset) for group in groups
    )


def _picture(path: str | Path, name: str, group: h5py.Group) -> Picture:
    try:
        image, labels, probability = group["image"][...], _part(group, "labels"), _part(group, "probability")
    except OSError:
        raise InputError(f"{path}: picture {name} cannot be read because the file is damaged; make it again") from None
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype not in (np.uint8, np.uint16, np.float32):
        raise InputError(
            f"{path}: the image of {name} is {image.dtype} {image.shape}; a picture is (y, x) or (y, x, channel) of "
            "uint8, uint16 or float32: make the set with import-pairs"
        )
    for key, array, kinds in (("labels", labels, "ui"), ("probability", probability, "f")):
        if array is not None and (array.shape != image.shape[:2] or array.dtype.kind not in kinds):
            raise InputError(
                f"{path}: the {key} of {name} are {array.dtype} {array.shape}, but its image is {image.shape}; "
                "make the set again"
            )
    if labels is not None and not 0 <= labels.min() <= labels.max() < 2**31:
        raise InputError(
            f"{path}: the labels of {name} range from {labels.min()} to {labels.max()}; labels are 0 (none) or ids "
            "of at most 31 bits: renumber them"
        )
    return Picture(name, image, None if labels is None else labels.astype(np.int32, copy=False), probability)


def _part(group: h5py.Group, key: str) -> np.ndarray | None:
    return group[key][...] if isinstance(group.get(key), h5py.Dataset) else None
