"""Sets of pictures on disk: an HDF5 file with a group for each picture. Pictures may differ in size and type.

A group has the name of the picture's file, without suffix. It holds `image`, (y, x) or (y, x, channel); `labels`,
(y, x) int32, 0 = none, if the cells are known; and `probability`, (y, x) float32, 0 to 1, if it was predicted. Its
attribute `pixel_size_xy`, two numbers in nm, is there if the length of a pixel is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import attribute, create_hdf5, open_hdf5, reading, whole
from floodrunner.stages.storage.names import natural_key
from floodrunner.stages.storage.words import shown, some

_SIZE = "pixel_size_xy"
_LONGEST_NAME = 247
"""Bytes; file systems take 255, and stages add a suffix: .png, .writing."""


@dataclass(frozen=True)
class Picture:
    """One picture of a set.

    Attributes:
      name: name of its file, without suffix.
      image: (y, x) or (y, x, channel) as stored: uint8, uint16 or float32.
      labels: (y, x) int32, an id for each cell, 0 = none; None if the cells are not known.
      probability: (y, x) float32, probability (0 to 1) that each pixel is part of a cell; None if it was not predicted.
      pixel_size_xy: length of a pixel along x and y, nm; None if it is not known.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray | None = None
    probability: np.ndarray | None = None
    pixel_size_xy: tuple[float, float] | None = None


def write_set(path: Path, pictures: Iterable[Picture]) -> None:
    """Writes pictures, one at a time, so that they need not all be in memory. Their names must differ."""
    with create_hdf5(path) as file:
        for picture in pictures:
            check_name(picture.name, path)
            group = file.create_group(picture.name)
            _put(group, "image", picture.image)
            if picture.labels is not None:
                _put(group, "labels", picture.labels.astype(np.int32, copy=False))
            if picture.probability is not None:
                _put(group, "probability", picture.probability.astype(np.float32, copy=False))
            if picture.pixel_size_xy is not None:
                group.attrs[_SIZE] = picture.pixel_size_xy


def is_set(path: str | Path) -> bool:
    """Returns whether an HDF5 file is a set of pictures, not a volume. Raises InputError if it cannot be opened."""
    with open_hdf5(path) as file:
        return _is_set(file, path)


def read_set(path: str | Path) -> list[Picture]:
    """Reads all pictures of a set, in the order of the numbers in their names.

    Raises:
      InputError: if the file is missing or damaged, is not a set of pictures, or holds arrays of a wrong shape or type.
    """
    with open_hdf5(path) as file:
        if not _is_set(file, path):
            with reading(path):
                held = some(shown(str(name)) for name in file) or "nothing"
            raise InputError(
                f"{path}: is not a set of pictures (it holds {held}); "
                "connect the output of import-pairs, phantom-cells or unet-predict"
            )
        with reading(path):
            names = list(file)
        for name in names:
            check_name(name, path)
        return [_picture(path, name, file) for name in sorted(names, key=lambda name: (natural_key(name), name))]


def read_heads(path: str | Path) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Reads shape and type of the images of a set, without their pixels; none if the file is no set of pictures.

    Raises:
      InputError: if the file is missing or damaged.
    """
    with open_hdf5(path) as file:
        if not _is_set(file, path):
            return []
        with reading(path):
            return [(group["image"].shape, group["image"].dtype) for group in file.values()]


def check_name(name: str | bytes, path: str | Path) -> None:
    """Raises InputError if the name of a picture cannot be the name of a file, which stages make from it."""
    text = name if isinstance(name, str) else name.decode("utf-8", "replace")
    problem = None
    if isinstance(name, bytes):
        problem = "is not UTF-8"
    elif text in (".", "..") or "/" in text or not text:
        problem = "would be a folder"
    elif not text.isprintable():
        problem = "holds characters that cannot be shown"
    elif len(text.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        problem = f"has more than {_LONGEST_NAME} bytes"
    if problem:
        raise InputError(
            f"{path}: the name of a picture {problem}, so no file can be named after it: {shown(text)!r}; rename the "
            "picture, and import it again"
        )


def _put(group: h5py.Group, name: str, array: np.ndarray) -> None:
    group.create_dataset(name, data=array, chunks=True, compression="gzip", compression_opts=1, shuffle=True)


def _is_set(file: h5py.File, path: str | Path) -> bool:
    with reading(path):
        groups = list(file.values())
        return bool(groups) and all(
            isinstance(group, h5py.Group) and isinstance(group.get("image"), h5py.Dataset) for group in groups
        )


def _picture(path: str | Path, name: str, file: h5py.File) -> Picture:
    where = f"{path}: picture {name}"
    with reading(where):
        group = file[name]
        image, labels, probability = (_part(group, key, where) for key in ("image", "labels", "probability"))
        size = _pixel_size(group, where)
    assert image is not None  # `_is_set` has seen it
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype not in (np.uint8, np.uint16, np.float32):
        raise InputError(
            f"{path}: the image of {name} is {image.dtype} {image.shape}; a picture is (y, x) or (y, x, channel) of "
            "uint8, uint16 or float32: make the set with import-pairs"
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim == 3 and image.shape[2] != 3:
        raise InputError(
            f"{path}: the image of {name} has {image.shape[2]} channels; a picture is grey or RGB: keep the channels "
            "that show the cells, and make the set again"
        )
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise InputError(
            f"{path}: the image of {name} contains NaN or infinite values; make the set again without them"
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
    return Picture(name, image, None if labels is None else labels.astype(np.int32, copy=False), probability, size)


def _pixel_size(group: h5py.Group, where: str) -> tuple[float, float] | None:
    value = attribute(group, _SIZE, where)
    if value is None:
        return None
    sizes = np.ravel(np.asarray(value))
    if sizes.shape != (2,) or sizes.dtype.kind not in "uif" or not np.isfinite(sizes).all() or sizes.min() <= 0:
        raise InputError(
            f"{where}: its attribute {_SIZE} is {shown(str(value))}; it must be two numbers above 0, x, y in nm: "
            "correct or remove it"
        )
    return float(sizes[0]), float(sizes[1])


def _part(group: h5py.Group, key: str, where: str) -> np.ndarray | None:
    return whole(group[key], where) if isinstance(group.get(key), h5py.Dataset) else None
