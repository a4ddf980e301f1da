"""The masks of a user's pictures, and which cells they show: binary masks, ids, or a file for each cell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import cc3d
import numpy as np

from contract.stage import InputError
from segmentation.mask_levels import Levels, mask_levels
from stages.readers.forms import opaque
from stages.readers.jpeg import JPEG
from stages.readers.label_pixels import check_form, ids_of
from stages.readers.pictures import Source, entries, open_pictures, source
from stages.storage.names import some

_MOST_PIECES = 2
"""Of an id, on average; classes and blurred masks have more."""

_SPECK = 3
"""Pixels; half and more of the pieces of one grey are of 1 or 2 in blurred masks, the smallest cells of some dozen."""


class Mask(NamedTuple):
    """The mask of a picture: one file, or with `per_cell` one for each cell, maybe none."""

    name: str
    files: list[Source]
    per_cell: bool = False


class Ids(NamedTuple):
    """What a mask holds: (y, x) uint32 or uint64, greys or ids; whether those are of colours that are no greys, and
    whether they are stored with 0 as white."""

    where: str
    ids: np.ndarray
    coloured: bool = False
    inverted: bool = False


@contextlib.contextmanager
def open_masks(path: str) -> Iterator[list[Mask]]:
    """Finds masks: as `open_pictures`, or a folder for each picture with a file for each cell, maybe in `masks/`.

    Raises:
      InputError: as `open_pictures`.
    """
    files, folders = entries(Path(path)) if Path(path).is_dir() else ([], [])
    if folders and not files:
        inside = {each.name: each / "masks" if (each / "masks").is_dir() else each for each in folders}
        yield [Mask(name, [source(f) for f in entries(folder)[0]], per_cell=True) for name, folder in inside.items()]
    else:
        with open_pictures(path) as sources:
            yield [Mask(each.name, [each]) for each in sources]


def read_ids(mask: Mask, picture: Source, shape: tuple[int, int]) -> Ids:
    """Reads the mask of a picture of this shape. Cells with a file each are numbered; a pixel that is in two of them
    belongs to the first.

    Raises:
      InputError: if a file is damaged, of another size than the picture, or cannot be a mask.
    """
    if not mask.per_cell:
        return _read(mask.files[0], picture, shape)
    cells = np.zeros(shape, np.uint32)
    for number, file in enumerate(mask.files, 1):
        ids = _read(file, picture, shape).ids
        values, counts = _counted(ids)
        levels = mask_levels(values, counts, known=True) if len(values) > 1 else Levels(0, 1, exact=True)
        if levels is None:
            raise InputError(
                f"{file.where}: holds {len(values)} different values; as the file of one cell it holds 0, and one more "
                "where the cell is"
            )
        cells[(ids > levels.cut) & (cells == 0)] = number
    return Ids(mask.name, cells)


def cells_in(masks: Sequence[Ids], labels_are: str, path: str) -> tuple[list[np.ndarray], str]:
    """Tells cells apart, in all masks of a folder alike.

    Args:
      masks: of all pictures.
      labels_are: `binary`, where cells are the connected pieces (4 neighbours); `instances`, where ids tell; or
        `auto`, which takes masks of two values, exact or blurred, for binary. Colours are never taken for blurred,
        and greys of other files than JPEG only where most lie in specks, as ids do not.
      path: of the folder, for messages.

    Returns:
      (y, x) int32 for each mask, 0 = none; and a line for the user that says what was taken for what.

    Raises:
      InputError: if there are no cells, or the masks are not what they are said to be.
    """
    values, counts = _pooled(masks)
    if labels_are != "instances" and len(values) > 2 and _differ_in_white(masks):
        masks = [mask._replace(ids=(mask.ids > 0).astype(np.uint32)) for mask in masks]
        values, counts = _pooled(masks)
    if len(values) == 1:
        what = "no pixel of any mask is part of a cell" if values[0] == 0 else "masks tell no cells from background"
        raise InputError(f"{path}: {what}, all pixels are {values[0]}; give masks with cells")
    jpeg = any(_is_jpeg(mask) for mask in masks)
    levels = mask_levels(values, counts, known=jpeg or labels_are == "binary")
    if levels is not None and not levels.exact:
        if any(mask.coloured for mask in masks) or (
            labels_are == "auto" and not jpeg and not _are_specks(_sizes(masks))
        ):
            levels = None
        elif labels_are == "instances" and jpeg:
            raise InputError(
                f"{path}: the masks hold greys near {levels.low} and {levels.high}, not an id for each cell; set "
                "labels_are: binary, or export the ids as PNG or TIFF"
            )
    if labels_are == "instances":
        levels = None
    if labels_are == "binary" and levels is None:
        raise InputError(
            f"{path}: the masks hold {len(values)} different values ({some(map(str, values))}), binary ones two; set "
            "labels_are: instances if they are ids of cells, or save them as 0 and 255"
        )
    if levels is None:
        return _by_id(masks, labels_are, path)
    what = f"not {levels.low}" if levels.low == 0 else f"{levels.high}, not {levels.low}"
    if any(mask.inverted for mask in masks):
        what += ", and shown as black,"
    said = f"cells are the connected pieces (4 neighbours) of what is {what} in the masks"
    if not levels.exact:
        said = (
            f"the masks hold {len(values)} greys, most of them near {levels.low} and {levels.high}, as JPEG leaves "
            f"them: cells are the connected pieces (4 neighbours) of what is above {levels.cut}"
        )
    return [_pieces(mask.ids > levels.cut, 4) for mask in masks], said


def _by_id(masks: Sequence[Ids], labels_are: str, path: str) -> tuple[list[np.ndarray], str]:
    for mask in masks:
        if _is_jpeg(mask):
            raise InputError(f"{mask.where}: JPEG does not keep the ids of cells; export the masks as PNG or TIFF")
        if mask.ids.max() >= 2**31:
            raise InputError(f"{mask.where}: id {mask.ids.max()} takes more than 31 bits; renumber the ids")
    cells = sum(int(np.count_nonzero(_counted(mask.ids)[0])) for mask in masks)
    sizes = _sizes(masks)
    pieces = len(sizes)
    if labels_are == "auto" and (pieces > _MOST_PIECES * cells or _are_specks(sizes)):
        raise InputError(
            f"{path}: read as ids, the masks hold {cells} cells in {pieces} pieces, the median one of "
            f"{np.median(sizes):g} pixels, as classes or blurred masks would; "
            "save masks with two values, or set labels_are: instances if this is right"
        )
    said = "the masks hold an id for each cell"
    if pieces > _MOST_PIECES * cells:
        said += f"; {cells} cells in {pieces} pieces"
    if any(mask.coloured for mask in masks):
        said += ", in colours as VAST exports them: id = R x 65536 + G x 256 + B"
    return [mask.ids.astype(np.int32) for mask in masks], said


def _read(file: Source, picture: Source, shape: tuple[int, int]) -> Ids:
    pixels, form = file.read()
    # Fiji saves its masks so, with an inverting look-up table: cells are 255, and shown as black.
    inverted = form.type == "inverted" and pixels.dtype.kind == "u"
    check_form(f"{file.where}: is {form}", form._replace(type="unsigned") if inverted else form)
    if pixels.shape[:2] != shape:
        mask_size, size = (f"{width} x {height}" for height, width in (pixels.shape[:2], shape))
        raise InputError(
            f"{file.where}: is {mask_size} pixels, its picture {picture.where} is {size}; "
            "export the mask in the size of its picture"
        )
    pixels = opaque(pixels, file.where)
    coloured = pixels.ndim == 3 and bool((pixels != pixels[..., :1]).any())
    if pixels.ndim == 3 and not coloured:
        pixels = pixels[..., 0]
    return Ids(file.where, ids_of(pixels, file.where), coloured, inverted)


def _is_jpeg(mask: Ids) -> bool:
    return mask.where.lower().endswith(JPEG)


def _sizes(masks: Sequence[Ids]) -> np.ndarray:
    """The pixels of each connected piece (8 neighbours) of one value but 0, in all masks."""
    return np.concatenate([np.bincount(_pieces(mask.ids.astype(np.uint32), 8).ravel())[1:] for mask in masks])


def _are_specks(sizes: np.ndarray) -> bool:
    """Whether most pieces are too small for cells, as those of greys along blurred outlines are."""
    return float(np.median(sizes)) <= _SPECK


def _differ_in_white(masks: Sequence[Ids]) -> bool:
    """Whether each mask has 0 and one more value, which is not the same in all: 1 here, 255 there."""
    each = [_counted(mask.ids)[0] for mask in masks]
    return all(len(values) == 1 or (len(values) == 2 and values[0] == 0) for values in each)


def _pooled(masks: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur in any mask, ascending, and how often."""
    found = [_counted(mask.ids) for mask in masks]
    values, at = np.unique(np.concatenate([values for values, _ in found]), return_inverse=True)
    return values, np.bincount(at, np.concatenate([counts for _, counts in found]))


def _counted(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if ids.max() >= 2**16:
        return np.unique(ids, return_counts=True)
    counts = np.bincount(ids.ravel().astype(np.uint16))  # many times as fast as sorting
    values = np.flatnonzero(counts)
    return values, counts[values]


def _pieces(ids: np.ndarray, neighbours: Literal[4, 8]) -> np.ndarray:
    return cc3d.connected_components(ids, connectivity=neighbours, out_dtype=np.uint32).astype(np.int32)
