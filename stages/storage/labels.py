"""Reads label volumes, whole or in parts, and rejects values that are not labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.labels import clear_unlabelled
from floodrunner.stages.storage.hdf5 import check_memory
from floodrunner.stages.storage.volumes import Place, Volume, open_volume


def check_labels(path: str | Path, dataset: Volume) -> None:
    """Raises InputError if the dataset of the file `path` does not hold integers."""
    if dataset.dtype.kind in "ui":
        return
    remedy = (
        "import the labels with import-labels and relabel: connected_components, which gives each piece an id"
        if dataset.dtype.kind == "b"
        else "save the labels as whole numbers, such as uint32"
    )
    raise InputError(f"{path}: dataset {dataset.name} is {dataset.dtype}, not integer labels (0 = none); {remedy}")


class Labels:
    """The labels of a dataset, read in parts. Ids that mean "none" in other programs are read as 0, and counted.

    Attributes:
      path: the file, as the user wrote it.
      shape: z, y, x.
      dtype: type of what is read.
      depth: number of sections that are best read at once.
    """

    def __init__(self, path: str | Path, dataset: Volume) -> None:
        """Raises InputError if the dataset of the file `path` does not hold integers."""
        check_labels(path, dataset)
        self.shape: tuple[int, int, int] = dataset.shape
        self.dtype: np.dtype = dataset.dtype
        self.depth: int = dataset.depth
        self.path, self._dataset = path, dataset
        self._sections = self._voxels = 0  # that were counted: each section is counted when it is first read
        self._none: dict[int, int] = {}

    def read(self, z: slice, y: slice = slice(None), x: slice = slice(None)) -> np.ndarray:
        """Reads a part. Parts may overlap, but must not leave out sections that are read later.

        Raises:
          InputError: if the part holds another negative number, or its data is damaged.
        """
        stored = self._dataset[z, y, x]
        labels, found = clear_unlabelled(stored)
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            raise InputError(
                f"{self.path}: dataset {self._dataset.name} holds the negative label {labels.min()}; if it means "
                f"none, import the labels with import-labels and unlabelled: [{labels.min()}]; otherwise renumber them"
            )
        start = z.start or 0
        known = max(self._sections - start, 0)
        if known and found:
            found = clear_unlabelled(stored[known:])[1]
        for value, count in found.items():
            self._none[value] = self._none.get(value, 0) + count
        self._voxels += stored[known:].size
        self._sections = max(self._sections, start + len(stored))
        return labels

    def announce(self, context: Context) -> None:
        """Says which ids were read as 0, and how many voxels have them."""
        for value, count in sorted(self._none.items()):
            context.message(
                f"{self.path}: {count:,} voxels ({100 * count / self._voxels:.1f} %) are {value}, which means none in "
                "CREMI and other programs; they count as 0, unlabelled"
            )


@contextmanager
def open_labels(path: str | Path, context: Context) -> Iterator[tuple[Labels, Place]]:
    """Opens a label volume for reading; at the end, says which ids were read as 0.

    Raises:
      InputError: like `open_volume` and `check_labels`.
    """
    with open_volume(path) as dataset:
        dataset.announce(context)
        labels = Labels(path, dataset)
        yield labels, dataset.place
        labels.announce(context)


def read_labels(path: str | Path, context: Context) -> tuple[np.ndarray, Place]:
    """Reads a whole label volume, (z, y, x), into memory.

    Raises:
      InputError: like `open_labels` and `Labels.read`.
    """
    with open_volume(path) as dataset:
        dataset.announce(context)
        labels = Labels(path, dataset)
        check_memory(dataset, path)
        array = labels.read(slice(0, dataset.shape[0]))
        labels.announce(context)
        return array, dataset.place


def slabs(shape: tuple[int, ...], depth: int = 16) -> Iterator[slice]:
    """Divides the z axis of a volume into ranges of `depth` sections; the last range may be shorter.

    The default is the depth of the chunks that `create_volume` writes, so that each chunk is read once.
    """
    for start in range(0, shape[0], depth):
        yield slice(start, min(start + depth, shape[0]))
