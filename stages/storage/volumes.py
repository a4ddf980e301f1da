"""Volumes on disk: HDF5 files with one 3D dataset, (z, y, x), its voxel size and its place in the whole stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from floodrunner.contract.ports import split_dataset
from floodrunner.contract.stage import Context, InputError
from floodrunner.stages.storage.axes import axes_of
from floodrunner.stages.storage.choice import chosen_dataset, type_of, voxel_type
from floodrunner.stages.storage.hdf5 import check_memory, create_hdf5, open_hdf5, reading, whole
from floodrunner.stages.storage.hdf5_data import check_data
from floodrunner.stages.storage.hdf5_tree import find
from floodrunner.stages.storage.places import Place, place_in_file
from floodrunner.stages.storage.words import shown

DATASETS = {"image": "raw", "labels": "labels", "segmentation": "segmentation", "partitions": "af"}
"""Kind of volume -> the name that its dataset gets. A reader takes the only 3D dataset of a file, whatever its name."""

NAMES = "section_names"
"""Name of the dataset beside a volume that holds the file name of each section, if the stack was a folder."""

_LONGEST_NAME = 255
"""Bytes in the name of a file."""


@dataclass(frozen=True)
class Volume:
    """A volume in an HDF5 file, open for reading: `volume[box]` reads a part, as an array.

    Attributes:
      path: the file, for messages.
      name: path of the dataset in the file, without control characters.
      shape: z, y, x.
      dtype: type of the voxels, in the byte order of this machine.
      chunks: size of the blocks in which the file holds the data, z, y, x; None if it is in one piece.
      place: voxel size and offset.
      size_known: whether the file gives the voxel size.
      remarks: what the user should know about the file although it can be read; each a sentence without the path.
    """

    path: str
    name: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    chunks: tuple[int, int, int] | None
    place: Place
    size_known: bool
    remarks: tuple[str, ...]
    dataset: h5py.Dataset
    axes: tuple[int, int, int]

    @property
    def depth(self) -> int:
        """How many sections to read at once, so that little data is read twice and memory suffices."""
        if self.chunks:
            return self.chunks[0]
        if self.axes[0] == min(self.axes):
            return 16
        # Each section is spread over the whole file, so as many as 256 MB hold are read at once.
        return max(1, min(self.shape[0], 2**28 // (self.dtype.itemsize * self.shape[1] * self.shape[2])))

    def __len__(self) -> int:
        return self.shape[0]

    def announce(self, context: Context) -> None:
        """Tells the user what is unusual about the file."""
        for remark in self.remarks:
            context.message(f"{self.path}: {remark}")

    def __getitem__(self, box: Any) -> np.ndarray:
        """Reads a part.

        Args:
          box: like for an array (z, y, x): up to three whole numbers or slices, or `...`.

        Raises:
          InputError: if its data is damaged.
        """
        given = () if box is ... else box if isinstance(box, tuple) else (box,)
        zyx = (*(part for part in given if part is not ...), *[slice(None)] * 3)[:3]
        wanted: list[Any] = [0] * self.dataset.ndim
        for axis, part in zip(self.axes, zyx, strict=True):
            wanted[axis] = part
        with reading(self.path):
            array: np.ndarray = self.dataset[tuple(wanted)]
        kept = [axis for axis, part in zip(self.axes, zyx, strict=True) if isinstance(part, slice)]
        array = array.transpose([sorted(kept).index(axis) for axis in kept])
        return np.asarray(array, self.dtype, order="C")


@contextmanager
def open_volume(path: str | Path) -> Iterator[Volume]:
    """Opens a volume for reading.

    Args:
      path: an HDF5 file, followed by `:dataset` or `@dataset` if it holds several 3D datasets.

    Yields:
      The volume, not empty.

    Raises:
      InputError: if the file is not a readable HDF5 file, it is not clear which dataset is meant, or which of its axes
        are z, y and x, or its data is not there.
    """
    file_path, name = split_dataset(str(path))
    with open_hdf5(file_path) as file:
        dataset = chosen_dataset(file, file_path, name)
        axes = axes_of(dataset, file_path)
        dtype = voxel_type(dataset, file_path)
        remarks = check_data(dataset, file_path)
        place, size_known, of_place = place_in_file(dataset, file_path, axes.zyx)
        chunks = dataset.chunks
        yield Volume(
            file_path,
            shown(str(dataset.name), 300),
            tuple(dataset.shape[axis] for axis in axes.zyx),  # type: ignore[arg-type]  # three of them
            dtype,
            chunks and tuple(chunks[axis] for axis in axes.zyx),
            place,
            size_known,
            (*axes.remarks, *remarks, *of_place),
            dataset,
            axes.zyx,
        )


def read_volume(path: str | Path) -> tuple[np.ndarray, Place]:
    """Reads a whole volume, (z, y, x), into memory.

    Raises:
      InputError: like `open_volume`; also if the data is damaged, or larger than the memory of this machine.
    """
    with open_volume(path) as volume:
        check_memory(volume, path)
        return volume[...], volume.place


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


def keep_names(volume: h5py.Dataset, names: Iterable[str] | None) -> None:
    """Stores the file names of the sections in a dataset beside a volume, because HDF5 limits attributes to 64 kB.

    All names get the same length, because a damaged list of names of different lengths can make HDF5 hang.
    """
    if names is not None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        longest = max(map(len, encoded), default=1)
        volume.parent.create_dataset(NAMES, data=encoded, dtype=h5py.string_dtype(length=max(longest, 1)))


def kept_names(volume: Volume) -> tuple[str, ...] | None:
    """Returns the file names of the sections of a volume; None if they are not stored.

    Raises:
      InputError: if they are damaged, or cannot be names of files.
    """
    where = f"{volume.path}: {NAMES}"
    with reading(where):
        found = find(volume.dataset.parent, NAMES, where)
        if not isinstance(found, h5py.Dataset) or found.shape != (volume.shape[0],):
            return None
        if found.id.get_type().get_class() != h5py.h5t.STRING:
            raise InputError(f"{where} are not names of files but {type_of(found)}; rename or remove this dataset")
        stored = whole(found, where)
    for number, name in enumerate(stored.tolist()):
        if len(name) > _LONGEST_NAME:
            raise InputError(
                f"{where}: name {number}, {shown(name.decode('utf-8', 'replace'), 30)}, has {len(name)} characters; no "
                "file has such a name: correct or remove this dataset"
            )
    return tuple(shown(name.decode("utf-8", "replace"), _LONGEST_NAME) for name in stored.tolist())
