"""Reads volumes and pictures as arrays, in all formats that stages read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from floodrunner.contract.ports import is_hdf5, split_dataset
from floodrunner.contract.stage import InputError
from floodrunner.in_process import reader, warn
from floodrunner.stages.readers import files as image_files
from floodrunner.stages.readers import pictures, stack
from floodrunner.stages.readers.forms import Section, form_of, opaque
from floodrunner.stages.readers.names import TIFF
from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.storage import image_sets, volumes
from floodrunner.stages.storage.image_sets import Picture as Picture

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Volume:
    """A stack of sections.

    Attributes:
      array: (z, y, x), or (z, y, x, 3) if the sections have colours.
      voxel_size_xyz: size of a voxel along x, y, z, nm; None if it is not known.
      offset_xyz: where the first voxel lies in the whole stack, if this is a part of it: x, y, z, voxels.
    """

    array: np.ndarray
    voxel_size_xyz: Triple | None = None
    offset_xyz: tuple[int, int, int] = (0, 0, 0)

    @property
    def place(self) -> volumes.Place:
        return volumes.Place(self.voxel_size_xyz or volumes.Place().voxel_size_xyz, self.offset_xyz)


def read(path: str | os.PathLike[str]) -> Volume:
    """Reads a stack: images or labels, as they are stored.

    What is unusual about the files (missing numbers, turned or guessed axes) is a Python warning.

    Args:
      path: a folder of PNG or TIFF sections, a TIFF of several pages, or an HDF5 file, `file.h5:dataset` if it holds
        several volumes; also a volume that a step of a run has written.

    Returns:
      The values as stored, without an opaque alpha channel, in memory.

    Raises:
      InputError: if there is no stack, the sections differ in size or form, or a file is damaged.
    """
    file, dataset = split_dataset(os.fspath(path))
    if dataset is None and is_hdf5(file) and Path(file).is_file() and image_sets.is_set(file):
        raise InputError(f"{path}: is a set of pictures, not a stack; floodrunner.read_pictures reads it")
    with open_stack(os.fspath(path)) as found:
        if found.form.type == "inverted":
            raise InputError(
                f"{path}: the sections are {found.form}, stored with 0 as white; save them with 0 as black"
            )
        if found.form.type == "palette":
            raise InputError(f"{path}: the sections are {found.form}; save them as grey")
        listener = reader(found.path)
        stack.announce(found, listener)
        warn(listener.said[1:])  # the first one says what the stack is
        array = np.empty(0)
        for z, section in enumerate(found.sections(opaque)):
            if z == 0:
                array = np.empty((found.shape[0], *section.shape), section.dtype.newbyteorder("="))
            array[z] = section
        return Volume(array, found.voxel_size_xyz, found.offset_xyz)


def read_pictures(path: str | os.PathLike[str]) -> list[Picture]:
    """Reads pictures of any sizes.

    Args:
      path: a folder of PNG, TIFF or JPEG files, one such file, a stack, or a set of pictures that a step has written
        (`training.h5`, `predicted.h5`; with labels, and probabilities).

    Returns:
      The pictures, in the order of the numbers in their names. `image` is (y, x) or (y, x, 3): uint8, uint16 or
      float32.

    Raises:
      InputError: if there is no picture, or one cannot be used.
    """
    where = Path(path)
    if is_hdf5(where.name) and image_sets.is_set(where):
        return image_sets.read_set(where)
    if where.is_file() and where.suffix.lower() in pictures.PICTURE_SUFFIXES and not _is_stack(where):
        head = image_files.head(where)
        source = pictures.Source(
            where.stem, str(where), lambda: head, lambda: (image_files.read(where, head.form), head.form)
        )
        sources = [source]
        warn(pictures.remarks(sources))
        return [_picture(source)]
    with pictures.open_pictures(os.fspath(path)) as sources:
        warn(pictures.remarks(sources))
        return [_picture(source) for source in sources]


def _is_stack(file: Path) -> bool:
    from floodrunner.stages.readers import tiff

    return file.suffix.lower() in TIFF and tiff.pages(file) > 1


def _picture(source: pictures.Source) -> Picture:
    return Picture(source.name, pictures.image_of(source), pixel_size_xy=source.head().pixel_size_xy)


def picture_of(given: np.ndarray | Picture, name: str) -> Picture:
    """Makes the picture that a network is used on, as it would be read from a file.

    Args:
      given: (y, x), (y, x, 3), or with an opaque alpha channel (y, x, 4): 8 or 16 bits, or floats.
      name: for messages.

    Raises:
      InputError: if it cannot be used: other types, NaN, transparent pixels.
    """
    if isinstance(given, Picture):
        return given
    pixels = np.asarray(given)
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] > 4):
        raise InputError(f"{name}: is an array of shape {pixels.shape}; a picture is (y, x) or (y, x, 3)")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    form = form_of(pixels.dtype, 1 if pixels.ndim == 2 else pixels.shape[2])
    head = Section(name, pixels.shape[0], pixels.shape[1], form)
    source = pictures.Source(name, name, lambda: head, lambda: (pixels, form))
    return Picture(name, pictures.image_of(source))


def volume_of(given: np.ndarray | Volume | str | os.PathLike[str], name: str, voxel_size_xyz: Triple | None) -> Volume:
    """Makes a volume of an array, of a path, or of a volume.

    Args:
      name: for messages.
      voxel_size_xyz: replaces that of the volume; None: that of the volume.

    Raises:
      InputError: if it is no volume, or the voxel size is not three numbers above 0.
    """
    if isinstance(given, str | os.PathLike):
        given = read(given)
    found = given if isinstance(given, Volume) else Volume(np.asarray(given))
    if found.array.ndim != 3 or 0 in found.array.shape:
        raise InputError(f"{name}: is an array of shape {found.array.shape}; a volume is (z, y, x), not empty")
    if voxel_size_xyz is None:
        return found
    size = tuple(map(float, voxel_size_xyz))
    if len(size) != 3 or not all(0 < each < float("inf") for each in size):
        raise InputError(f"voxel_size_xyz: found {list(voxel_size_xyz)}; write three numbers above 0, x, y, z in nm")
    return Volume(found.array, (size[0], size[1], size[2]), found.offset_xyz)
