"""Reads the masks of pictures: one file for each picture, or a file for each cell."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.labels import clear_unlabelled
from floodrunner.segmentation.mask_levels import Levels, mask_levels, value_counts
from floodrunner.stages.readers.forms import Form, opaque
from floodrunner.stages.readers.label_pixels import check_form, ids_of
from floodrunner.stages.readers.pictures import Source, entries, open_pictures, sources
from floodrunner.stages.storage.words import size

_MOST_EXACT = 2**24  # single precision holds whole numbers exactly up to this one


class Mask(NamedTuple):
    """The mask of a picture: one file, or, if `per_cell`, any number of files with a cell in each."""

    name: str
    files: list[Source]
    per_cell: bool = False


class Ids(NamedTuple):
    """The pixels of a mask.

    Attributes:
      where: file or section, for messages.
      ids: (y, x) uint32 or uint64, greys or ids.
      coloured: whether the ids were colours other than greys.
      inverted: whether the file stores 0 as white.
      none: values that always mean "none" (see `clear_unlabelled`), and the number of their pixels, which are now 0.
    """

    where: str
    ids: np.ndarray
    coloured: bool = False
    inverted: bool = False
    none: Mapping[int, int] = MappingProxyType({})


@contextlib.contextmanager
def open_masks(path: str) -> Iterator[list[Mask]]:
    """Finds masks: one for each picture, or one file for each cell.

    If `path` holds only folders, there is one folder for each picture, and the folder, or `masks/` inside it, holds one
    file for each cell. Otherwise masks are found like pictures (see `open_pictures`).

    Raises:
      InputError: like `open_pictures`.
    """
    files, folders = entries(Path(path)) if Path(path).is_dir() else ([], [])
    if folders and not files:
        inside = {each.name: each / "masks" if (each / "masks").is_dir() else each for each in folders}
        files_of = {name: entries(folder)[0] for name, folder in inside.items()}
        found = iter(sources(path, [file for each in files_of.values() for file in each], _no_mask))
        yield [Mask(name, list(itertools.islice(found, len(each))), per_cell=True) for name, each in files_of.items()]
    else:
        with open_pictures(path, _no_mask) as pictures:
            yield [Mask(each.name, [each]) for each in pictures]


def read_ids(mask: Mask, picture: Source, shape: tuple[int, int]) -> Ids:
    """Reads the mask of a picture.

    If each cell has a file of its own, cells are numbered from 1, and a pixel that lies in two cells belongs to the
    first.

    Args:
      mask: the mask to read.
      picture: the picture that the mask belongs to, for messages.
      shape: size of the picture, y, x.

    Raises:
      InputError: if a file is damaged, differs in size from the picture, or cannot be a mask.
    """
    if not mask.per_cell:
        return _read(mask.files[0], picture, shape)
    cells = np.zeros(shape, np.uint32)
    for number, file in enumerate(mask.files, 1):
        ids = _read(file, picture, shape).ids
        values, counts = value_counts([ids])
        levels = mask_levels(values, counts, known=True) if len(values) > 1 else Levels(0, 1, exact=True)
        if levels is None:
            raise InputError(
                f"{file.where}: holds {len(values)} different values; the file of one cell must hold 0, and one other "
                "value where the cell is"
            )
        cells[(ids > levels.cut) & (cells == 0)] = number
    return Ids(mask.name, cells)


def _read(file: Source, picture: Source, shape: tuple[int, int]) -> Ids:
    pixels, form = file.read()
    # Fiji saves masks with an inverting look-up table: cells are 255, and are shown as black.
    inverted = form.type == "inverted" and form.bits >= 8
    if problem := _no_mask(form):
        raise InputError(f"{file.where}: {problem}")
    if form.type == "float":
        pixels = _whole(pixels, file.where)
    check_mask_size(file, (pixels.shape[0], pixels.shape[1]), picture, shape)
    pixels = opaque(pixels, file.where)
    coloured = pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())
    if pixels.ndim == 3 and not coloured:
        pixels = pixels[..., 0]
    pixels, none = clear_unlabelled(pixels)
    return Ids(file.where, ids_of(pixels, file.where), coloured, inverted, none)


def check_mask_size(file: Source, of_mask: tuple[int, int], picture: Source, shape: tuple[int, int]) -> None:
    """Raises InputError if a file of a mask and its picture differ in size; both sizes are y, x."""
    if of_mask == shape:
        return
    remedy = (
        "turn one of them by 90 degrees" if of_mask == shape[::-1] else "export the mask in the size of its picture"
    )
    raise InputError(
        f"{file.where}: is {size(of_mask)} pixels, but its picture {picture.where} is {size(shape)}; {remedy}"
    )


def _no_mask(form: Form) -> str | None:
    """Returns why pixels of a form cannot be a mask, and what to do; None if they can."""
    readable = {"float": form.samples == 1, "inverted": form.bits >= 8}.get(form.type, False)
    try:
        check_form(f"is {form}", form._replace(type="unsigned") if readable else form)
    except InputError as error:
        return str(error)
    return None


def _whole(pixels: np.ndarray, where: str) -> np.ndarray:
    """Returns the whole numbers that a mask of floating-point numbers holds. Programs that compute with such numbers
    also save ids and binary masks as such."""
    with np.errstate(invalid="ignore"):
        odd = pixels[~((pixels == np.rint(pixels)) & (np.abs(pixels) <= _MOST_EXACT))]
    if odd.size:
        raise InputError(
            f"{where}: holds {odd[0]:g}, and masks hold whole numbers; if it is a map of probabilities, save it as a "
            "mask: 255 where there is a cell, 0 elsewhere (in Fiji: Image > Adjust > Threshold)"
        )
    return pixels.astype(np.int32)
