"""Finds the cells in the masks of pictures: decides what the values mean, and says so with figures to check it by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.mask_figures import Figures, figures, value_around, value_for_none
from floodrunner.segmentation.mask_levels import (
    Levels,
    are_specks,
    differ_in_white,
    mask_levels,
    piece_sizes,
    pieces,
    value_counts,
)
from floodrunner.stages.readers.masks import Ids
from floodrunner.stages.readers.names import JPEG
from floodrunner.stages.storage.words import some

Meaning = Literal["auto", "binary", "inverted", "instances", "classes", "files"]

_BY_VALUE = ("instances", "classes", "files")
_MOST_PIECES = 2
"""Ids of cells have at most this many connected pieces on average; values of class maps and blurred masks have more."""


def cells_in(masks: Sequence[Ids], labels_are: Meaning, path: str) -> tuple[list[np.ndarray], list[str]]:
    """Finds the cells in the masks of a folder, by one rule for all of them.

    Args:
      masks: the masks of all pictures.
      labels_are: `binary`: each connected piece (4 neighbours) is a cell. `inverted`: the same, and cells are the lower
        of the two values. `instances`: each id is a cell. `classes`: each connected piece of one value is a cell.
        `files`: each id is a cell that has a file of its own. `auto`: binary if the masks hold two values, exact or
        blurred, and instances otherwise. Coloured masks never count as blurred. Grey masks that are not JPEG files
        count as blurred only if at least half of their pieces are specks; pieces of ids are larger.
      path: path of the folder, for messages.

    Returns:
      (y, x) int32 for each mask, 0 = none; and messages that tell the user how the masks were understood, with figures
      that would show it wrong.

    Raises:
      InputError: if there are no cells, or the masks do not fit `labels_are`.
    """
    told = _without_label(masks)
    if labels_are not in _BY_VALUE and differ_in_white([mask.ids for mask in masks]):
        masks = [mask._replace(ids=(mask.ids > 0).astype(np.uint32)) for mask in masks]
    levels = _levels(masks, labels_are, path)
    if levels is None and labels_are != "files":
        masks, none = _without_none(masks)
        if none:
            told.append(none)
            levels = _levels(masks, labels_are, path)  # what is left may be binary
    rim = value_around([mask.ids for mask in masks]) if levels is None and labels_are != "files" else None
    if levels is None:
        labels, said = _by_value(masks, labels_are, rim, path)
    else:
        labels, said = _two_levels(masks, levels, labels_are == "inverted")
    found = figures(labels)
    by_id = levels is None and labels_are != "classes"
    apart = _apart(found, [mask.where for mask in masks], labels_are) if by_id else None
    doubts = filter(None, [apart, rim and _rim(*rim), _around(found, binary=levels is not None)])
    return labels, [*told, f"{said}: {_measured(found, by_id)}", *doubts]


def _measured(found: Figures, by_id: bool) -> str:
    many = f"{found.ids} {'id' if by_id else 'cell'}{'s' if found.ids > 1 else ''}"
    if by_id:
        many += f" in {found.pieces} piece{'s' if found.pieces > 1 else ''}"
    middle = float(np.median(found.sizes))
    times = f", {found.sizes.max() / middle:.0f} times the median" if found.sizes.max() >= 2 * middle else ""
    return (
        f"{many}, of {middle:g} pixels in the median and {found.sizes.max()} at most{times}; they cover "
        f"{100 * found.covered:.0f} % of the pictures"
    )


def _apart(found: Figures, names: Sequence[str], labels_are: Meaning) -> str | None:
    if not found.apart:
        return None
    number, value, parts = found.apart[0]
    count = len(found.apart)
    also = f", and likewise in {count - 1} more picture{'s' if count > 2 else ''}" if count > 1 else ""
    if labels_are == "files":
        return (
            f"{names[number]}: file {value} of it has {parts} pieces apart, each as large as a cell{also}; if these "
            "are several cells, give each a file, or give one mask for each picture"
        )
    return (
        f"{names[number]}: id {value} has {parts} pieces apart, each as large as a cell{also}; if the values are kinds "
        "of cells, not an id for each cell, set labels_are: classes; if these are sections of neurites, this is right"
    )


def _around(found: Figures, binary: bool) -> str | None:
    if 2 * found.around < found.filled:
        return None
    many = f"{found.around} of {found.filled} pictures"
    what = f"cells cover {100 * found.covered:.0f} %, and one touches all borders in {many}"
    if binary:
        return f"{what}: if they are black on white, set labels_are: inverted (in Fiji: Edit > Invert)"
    return f"{what}: if that is the surroundings of the cells, set it to 0 in the masks"


def _rim(outer: int, inner: int) -> str:
    return (
        f"value {outer} lies around value {inner}, as boundaries of cells do, and each of its pieces is taken as a "
        "cell; if it marks boundaries, set its pixels to 0 in the masks"
    )


def _without_label(masks: Sequence[Ids]) -> list[str]:
    """Returns a message about each value that programs write where there is no label, and that was taken so."""
    pixels = Counter[int]()
    for mask in masks:
        pixels.update(mask.none)
    total = sum(mask.ids.size for mask in masks)
    return [
        f"value {value} covers {100 * count / total:.0f} % of the masks, and is taken as none, as programs write it "
        "where there is no label"
        for value, count in pixels.items()
    ]


def _without_none(masks: Sequence[Ids]) -> tuple[Sequence[Ids], str]:
    """Removes a value that stands for `no cell`; returns the masks and a message, empty if there is no such value."""
    found = value_for_none([mask.ids for mask in masks])
    if found is None or any(_is_jpeg(mask) for mask in masks):
        return masks, ""
    value, how = found
    share = sum(int(np.count_nonzero(mask.ids == value)) for mask in masks) / sum(mask.ids.size for mask in masks)
    what = "touches all borders" if how == "surrounds" else "forms lines around cells"
    said = (
        f"value {value} covers {100 * share:.0f} % of the masks and {what}: it is taken as none; if it is a cell, give "
        "that cell another value"
    )
    return [mask._replace(ids=np.where(mask.ids == value, 0, mask.ids)) for mask in masks], said


def _two_levels(masks: Sequence[Ids], levels: Levels, inverted: bool) -> tuple[list[np.ndarray], str]:
    pixels = "cells are the connected pieces (4 neighbours) of pixels"
    if levels.exact:
        cells, ground = (levels.low, levels.high) if inverted else (levels.high, levels.low)
        what = f"{cells}, not {ground}" if inverted or ground else "not 0"
        if any(mask.inverted for mask in masks):
            what += f" (shown as {'white' if inverted else 'black'})"
        said = f"{pixels} that are {what} in the masks"
    else:
        values, _ = value_counts([mask.ids for mask in masks])
        said = (
            f"the masks hold {len(values)} greys, most of them near {levels.low} and {levels.high}, as after JPEG "
            f"compression: {pixels} {'up to' if inverted else 'above'} {levels.cut}"
        )
    return [pieces((mask.ids <= levels.cut) if inverted else (mask.ids > levels.cut), 4) for mask in masks], said


def _levels(masks: Sequence[Ids], labels_are: Meaning, path: str) -> Levels | None:
    """Returns the two levels of binary masks; None if the masks hold ids."""
    arrays = [mask.ids for mask in masks]
    values, counts = value_counts(arrays)
    two = labels_are in ("binary", "inverted")
    if len(values) == 1:
        what = "no pixel of any mask is part of a cell" if values[0] == 0 else "the masks have no background"
        raise InputError(f"{path}: {what}, all pixels are {values[0]}; give masks with cells")
    jpeg = any(_is_jpeg(mask) for mask in masks)
    levels = mask_levels(values, counts, known=jpeg or two)
    if levels is not None and not levels.exact:
        if any(mask.coloured for mask in masks) or (
            labels_are == "auto" and not jpeg and not are_specks(piece_sizes(arrays))
        ):
            levels = None
        elif labels_are in _BY_VALUE and jpeg:
            raise InputError(
                f"{path}: the masks hold greys near {levels.low} and {levels.high}, not an id for each cell; set "
                "labels_are: binary, or export the ids as PNG or TIFF"
            )
    if two and levels is None:
        raise InputError(
            f"{path}: the masks hold {len(values)} different values ({some(map(str, values))}), but binary masks hold "
            "two; set labels_are: instances if the values are ids of cells, or classes if they are kinds of cells, or "
            "save the masks with the values 0 and 255"
        )
    return None if labels_are in _BY_VALUE else levels


def _by_value(
    masks: Sequence[Ids], labels_are: Meaning, rim: tuple[int, int] | None, path: str
) -> tuple[list[np.ndarray], str]:
    for mask in masks:
        if _is_jpeg(mask):
            raise InputError(f"{mask.where}: JPEG does not keep the ids of cells; export the masks as PNG or TIFF")
        if mask.ids.max() >= 2**31:
            raise InputError(f"{mask.where}: id {mask.ids.max()} takes more than 31 bits; renumber the ids")
    values, _ = value_counts([mask.ids for mask in masks])
    if labels_are == "classes":
        count = np.count_nonzero(values)
        kinds = f"each of {count} values" if count > 1 else f"value {values[-1]}"
        labels = [pieces(mask.ids.astype(np.uint32), 4) for mask in masks]
        return (
            labels,
            f"cells are the connected pieces (4 neighbours) of {kinds} ({some(map(str, values[values > 0]))})",
        )
    cells = sum(int(np.count_nonzero(value_counts([mask.ids])[0])) for mask in masks)
    sizes = piece_sizes([mask.ids for mask in masks])
    if labels_are == "auto" and (len(sizes) > _MOST_PIECES * cells or are_specks(sizes)):
        boundaries = "if a value marks the boundaries of cells, set its pixels to 0"
        if rim:
            boundaries = f"value {rim[0]} lies around value {rim[1]}: if it marks boundaries, set its pixels to 0"
        raise InputError(
            f"{path}: read as ids, the masks hold {cells} cells in {len(sizes)} pieces, whose median size "
            f"is {np.median(sizes):g} pixels: they seem to hold classes, or to be blurred; {boundaries}; set "
            "labels_are: classes if each value is a kind of cell, or instances if the values are ids, or save masks "
            "with two values"
        )
    said = "each cell has a mask file of its own" if labels_are == "files" else "the masks hold an id for each cell"
    if any(mask.coloured for mask in masks):
        said += ", in colours as VAST exports them (id = R x 65536 + G x 256 + B)"
    return [mask.ids.astype(np.int32) for mask in masks], said


def _is_jpeg(mask: Ids) -> bool:
    return mask.where.lower().endswith(JPEG)
