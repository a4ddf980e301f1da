"""Label volumes on disk: reading them whole or by section, with what is no label refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from segmentation.labels import rgb_to_ids
from stages._contract import InputError
from stages._pixels import Form, opaque
from stages._volumes import Place, open_volume

_GREYS = "in Fiji: Image > Lookup Tables > Grays, which keeps the ids"


def check_labels(path: str | Path, dataset: h5py.Dataset) -> None:
    """Refuses a volume whose type cannot be that of labels.

    Raises:
      InputError: if the dataset holds no integers.
    """
    if dataset.dtype.kind not in "ui":
        raise InputError(
            f"{path}: dataset {dataset.name} is {dataset.dtype}, not integer labels (0 = none); "
            "import the labels with import-labels"
        )


def read_box(path: str | Path, dataset: h5py.Dataset, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Reads a part of a label volume.

    Raises:
      InputError: if it holds a negative number, or its data is damaged.
    """
    try:
        labels = dataset[box]
    except OSError:
        raise InputError(f"{path}: its data cannot be read, the file is damaged; make it again") from None
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise InputError(
            f"{path}: dataset {dataset.name} holds the negative label {labels.min()}; labels are 0 (none) or an id "
            "above 0: renumber them"
        )
    return labels


def read_labels(path: str | Path) -> tuple[np.ndarray, Place]:
    """The whole label volume, (z, y, x), in memory.

    Raises:
      InputError: as `open_volume`, `check_labels` and `read_box`.
    """
    with open_volume(path) as (dataset, place):
        check_labels(path, dataset)
        return read_box(path, dataset, (slice(None), slice(None), slice(None))), place


def slabs(shape: tuple[int, ...], depth: int = 16) -> Iterator[slice]:
    """Cuts the z axis into pieces as deep as the chunks that `create_volume` writes, so each is read once."""
    for start in range(0, shape[0], depth):
        yield slice(start, min(start + depth, shape[0]))


def check_form(found: str, form: Form) -> None:
    """Refuses sections or pictures whose pixels cannot be labels; `found` says where, and in which form.

    Raises:
      InputError: if they are no whole numbers, a palette, inverted, or of unusual colours.
    """
    if form.type == "float":
        raise InputError(
            f"{found}; labels are whole numbers, save them as 16- or 32-bit integers "
            "(in Fiji: Image > Type > 16-bit, with 'Scale when converting' off)"
        )
    if form.type == "palette":
        raise InputError(f"{found}, which may stand for ids or for colours; save them as 8- or 16-bit grey ({_GREYS})")
    if form.type == "inverted":
        raise InputError(f"{found}, stored with 0 as white; save them with 0 as black ({_GREYS})")
    if form.type not in ("unsigned", "signed") or form.samples > 4 or (form.samples > 1 and form.bits != 8):
        raise InputError(
            f"{found}; save them as grey of 8, 16 or 32 bits, one id per object, or as 8-bit RGB as VAST exports it"
        )


def ids_of(pixels: np.ndarray, name: str) -> np.ndarray:
    """The ids in a section, (y, x) uint32 or uint64; colours are read as VAST exports them.

    Raises:
      InputError: if there are transparent pixels, or negative numbers.
    """
    pixels = opaque(pixels, name)
    if pixels.ndim == 3:
        return rgb_to_ids(pixels)
    if pixels.dtype.kind == "i" and pixels.min() < 0:
        raise InputError(f"{name}: holds the negative label {pixels.min()}; labels are 0 (none) or an id above 0")
    return pixels.astype(np.uint64 if pixels.dtype.itemsize == 8 else np.uint32)
