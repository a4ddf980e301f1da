"""Reads the masks of pictures, and finds the cells in them: binary masks, ids, or a file for each cell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from contract.stage import InputError
from segmentation.mask_levels import (
    Levels,
    are_specks,
    differ_in_white,
    mask_levels,
    piece_sizes,
    pieces,
    value_counts,
)
from stages.readers.forms import opaque
from stages.readers.label_pixels import check_form, ids_of
from stages.readers.names import JPEG
from stages.readers.pictures import Source, entries, open_pictures, source
from stages.storage.words import size, some

_MOST_PIECES = 2
"""Ids of cells have at most this many connected pieces on average; values of class maps and blurred masks have more."""


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
    """

    where: str
    ids: np.ndarray
    coloured: bool = False
    inverted: bool = False


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
        yield [Mask(name, [source(f) for f in entries(folder)[0]], per_cell=True) for name, folder in inside.items()]
    else:
        with open_pictures(path) as sources:
            yield [Mask(each.name, [each]) for each in sources]


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


def cells_in(masks: Sequence[Ids], labels_are: str, path: str) -> tuple[list[np.ndarray], str]:
    """Finds the cells in the masks of a folder, by one rule for all of them.

    Args:
      masks: the masks of all pictures.
      labels_are: `binary`: each connected piece (4 neighbours) is a cell. `instances`: each id is a cell. `auto`:
        binary if the masks hold two values, exact or blurred, and instances otherwise. Coloured masks never count as
        blurred. Grey masks that are not JPEG files count as blurred only if at least half of their pieces are specks;
        pieces of ids are larger.
      path: path of the folder, for messages.

    Returns:
      (y, x) int32 for each mask, 0 = none; and a message that tells the user how the masks were understood.

    Raises:
      InputError: if there are no cells, or the masks do not fit `labels_are`.
    """
    if labels_are != "instances" and differ_in_white([mask.ids for mask in masks]):
        masks = [mask._replace(ids=(mask.ids > 0).astype(np.uint32)) for mask in masks]
    levels = _levels(masks, labels_are, path)
    if levels is None:
        return _by_id(masks, labels_are, path)
    if levels.exact:
        what = f"not {levels.low}" if levels.low == 0 else f"{levels.high}, not {levels.low}"
        if any(mask.inverted for mask in masks):
            what += " (shown as black)"
        said = f"cells are the connected pieces (4 neighbours) of pixels that are {what} in the masks"
    else:
        values, _ = value_counts([mask.ids for mask in masks])
        said = (
            f"the masks hold {len(values)} greys, most of them near {levels.low} and {levels.high}, as after JPEG "
            f"compression: cells are the connected pieces (4 neighbours) of pixels above {levels.cut}"
        )
    return [pieces(mask.ids > levels.cut, 4) for mask in masks], said


def _levels(masks: Sequence[Ids], labels_are: str, path: str) -> Levels | None:
    """Returns the two levels of binary masks; None if the masks hold ids."""
    arrays = [mask.ids for mask in masks]
    values, counts = value_counts(arrays)
    if len(values) == 1:
        what = "no pixel of any mask is part of a cell" if values[0] == 0 else "the masks have no background"
        raise InputError(f"{path}: {what}, all pixels are {values[0]}; give masks with cells")
    jpeg = any(_is_jpeg(mask) for mask in masks)
    levels = mask_levels(values, counts, known=jpeg or labels_are == "binary")
    if levels is not None and not levels.exact:
        if any(mask.coloured for mask in masks) or (
            labels_are == "auto" and not jpeg and not are_specks(piece_sizes(arrays))
        ):
            levels = None
        elif labels_are == "instances" and jpeg:
            raise InputError(
                f"{path}: the masks hold greys near {levels.low} and {levels.high}, not an id for each cell; set "
                "labels_are: binary, or export the ids as PNG or TIFF"
            )
    if labels_are == "binary" and levels is None:
        raise InputError(
            f"{path}: the masks hold {len(values)} different values ({some(map(str, values))}), but binary masks hold "
            "two; set labels_are: instances if the values are ids of cells, or save the masks with the values 0 and 255"
        )
    return None if labels_are == "instances" else levels


def _by_id(masks: Sequence[Ids], labels_are: str, path: str) -> tuple[list[np.ndarray], str]:
    for mask in masks:
        if _is_jpeg(mask):
            raise InputError(f"{mask.where}: JPEG does not keep the ids of cells; export the masks as PNG or TIFF")
        if mask.ids.max() >= 2**31:
            raise InputError(f"{mask.where}: id {mask.ids.max()} takes more than 31 bits; renumber the ids")
    cells = sum(int(np.count_nonzero(value_counts([mask.ids])[0])) for mask in masks)
    sizes = piece_sizes([mask.ids for mask in masks])
    if labels_are == "auto" and (len(sizes) > _MOST_PIECES * cells or are_specks(sizes)):
        raise InputError(
            f"{path}: read as ids, the masks hold {cells} cells in {len(sizes)} pieces, whose median size "
            f"is {np.median(sizes):g} pixels: they seem to hold classes, or to be blurred; save masks with two values, "
            "or set labels_are: instances if the values are ids"
        )
    said = "the masks hold an id for each cell"
    if len(sizes) > _MOST_PIECES * cells:
        said += f"; {cells} cells in {len(sizes)} pieces"
    if any(mask.coloured for mask in masks):
        said += ", in colours as VAST exports them: id = R x 65536 + G x 256 + B"
    return [mask.ids.astype(np.int32) for mask in masks], said


def _read(file: Source, picture: Source, shape: tuple[int, int]) -> Ids:
    pixels, form = file.read()
    # Fiji saves masks with an inverting look-up table: cells are 255, and are shown as black.
    inverted = form.type == "inverted" and pixels.dtype.kind == "u"
    check_form(f"{file.where}: is {form}", form._replace(type="unsigned") if inverted else form)
    if pixels.shape[:2] != shape:
        raise InputError(
            f"{file.where}: is {size(pixels.shape[:2])} pixels, but its picture {picture.where} is {size(shape)}; "
            "export the mask in the size of its picture"
        )
    pixels = opaque(pixels, file.where)
    coloured = pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())
    if pixels.ndim == 3 and not coloured:
        pixels = pixels[..., 0]
    return Ids(file.where, ids_of(pixels, file.where), coloured, inverted)


def _is_jpeg(mask: Ids) -> bool:
    return mask.where.lower().endswith(JPEG)
