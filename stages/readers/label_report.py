"""Tells what labels hold, with figures that show when they were misread, and refuses what are no ids of objects."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.label_kinds import MOST_CLASSES, Value, unsteady_share, values_of
from floodrunner.segmentation.labels import Pieces
from floodrunner.stages.readers.label_pixels import Unlabelled
from floodrunner.stages.readers.stack import Stack
from floodrunner.stages.storage.words import section_size

_NAMED = 5  # largest number of ids that a message lists
_SURROUNDS = 0.2  # smallest share of the voxels of an id that may surround the others
_GREY = 0x010101  # the id of the grey value 1 in colours
_GREYS = 0.3  # of `unsteady_share`; labels have at most 0.03, pictures and labels scaled with interpolation 0.4 or more
_MANY = 20  # smallest number of ids that may be grey values
_SPARSE = 0.05  # of the pixels: points and thin lines may be labels
_CELL_PIECES, _CELL_SHARE = 8, 0.4  # in a section, for a value that stands for all cells
_RUN_TOGETHER = 0.5  # of the labelled voxels in one piece
_LEAST_AROUND = 0.5  # of all voxels, around a single object that touches all six sides; less is between cells
_CLASS_PIECES = 20  # smallest number of pieces of an id that may be a class, if there are at most 3 ids


def report(
    stack: Stack,
    pieces: Pieces,
    unlabelled: Unlabelled,
    sections: list[np.ndarray],
    relabel: bool,
    context: Context,
) -> None:
    """Tells how many ids there are, how they are spread, and which voxels are taken as background.

    Args:
      stack: where the labels come from.
      pieces: their connected pieces, before they are relabelled.
      unlabelled: the ids other than 0 that were taken as background.
      sections: (y, x) ids of some sections, before they are relabelled; those without labels are left out.
      relabel: whether each piece gets its own id.

    Raises:
      InputError: if there is no id, or the labels are grey values, or classes such as membrane and cell.
    """
    ids, parts, voxels = pieces.of_ids()
    total = int(voxels.sum() + pieces.voxels[0])
    _tell_unlabelled(unlabelled, total, context)
    if not len(ids):
        others = " or an id that means none" if unlabelled.voxels else ""
        raise InputError(
            f"{stack.path}: all {section_size(stack.shape)} are background (label 0{others}); "
            "give sections with labelled objects"
        )
    sections = [section for section in sections if section.any()]
    refuse_greys(stack, len(ids), sections)
    largest = float(pieces.voxels[1:].max() / voxels.sum())
    share, sides = float(pieces.voxels[0]) / total, pieces.on_every_side()
    filled = int(ids[0]) if len(ids) == 1 and sides[0] and 0 < share < _LEAST_AROUND else None
    is_map = _is_map(stack, sections, relabel, filled, _Parts(int(parts.sum()), largest))
    context.metric("ids", int(parts.sum()) if relabel else len(ids))
    context.metric("background_share", share)
    across = np.count_nonzero(sides)
    context.message(
        f"{len(ids)} id{'s' if len(ids) > 1 else ''} in {parts.sum()} connected piece{'s' if parts.sum() > 1 else ''}; "
        f"{100 * share:.1f} % of the voxels are background; {across or 'no'} id{'s' if across > 1 else ''} "
        f"touch{'' if across > 1 else 'es'} all six sides"
    )
    if stack.form.samples > 2:
        context.message("colours are read as VAST exports them: id = R x 65536 + G x 256 + B")
        if not (ids % _GREY).any():
            context.message(f"all colours are greys (R = G = B): each id is {_GREY} times the grey value")
    _tell_background(stack, ids, voxels, sides, total, context)
    if relabel:
        _tell_relabelled(int(parts.sum()), largest, is_map, context)
    else:
        _tell_pieces(ids, parts, largest, context)


def _tell_unlabelled(unlabelled: Unlabelled, total: int, context: Context) -> None:
    for value in unlabelled.also:
        if not unlabelled.voxels[value]:
            context.message(f"unlabelled: no voxel has the id {value}")
    for value, count in sorted(unlabelled.voxels.items()):
        context.message(
            f"id {value}{_power(value)} means none: its {count} voxels ({100 * count / total:.1f} %) are taken as "
            "background"
        )


def _power(value: int) -> str:
    """Writes a number near a power of two as such, as nobody knows 18446744073709551615: ` (2^64 - 1)`."""
    bits = value.bit_length()
    return f" (2^{bits} - {2**bits - value})" if bits > 30 and 2**bits - value < 10 else ""


def refuse_greys(stack: Stack, ids: int, sections: list[np.ndarray]) -> None:
    """Raises InputError if ids change like grey values.

    Args:
      ids: how many there are.
      sections: (y, x) ids of some sections.
    """
    labelled = sum(np.count_nonzero(section) for section in sections)
    if ids < _MANY or labelled < _SPARSE * sum(section.size for section in sections):
        return
    if (share := unsteady_share(sections)) < _GREYS:
        return
    beside = Path(stack.path).resolve().parent / "ids"
    ids_beside = f"; the folder {beside.name} beside it may hold the ids: {beside}" if beside.is_dir() else ""
    raise InputError(
        f"{stack.path}: the labels change from pixel to pixel like grey values: {100 * share:.0f} % of the pixels on "
        "outlines differ from both neighbours (in labels under 5 %); they are an image or a probability map, or were "
        "scaled with interpolation or saved as JPEG before: give labels with one id per object, as they were drawn"
        f"{ids_beside}"
    )


class _Parts(NamedTuple):
    """The connected pieces of all ids: how many, and what share of the labelled voxels the largest holds."""

    number: int
    largest: float

    def remedy(self) -> str:
        """Returns what to do with labels in which all cells have one id."""
        they = f"of {self.number}, the largest holds {100 * self.largest:.0f} %"
        if self.largest <= _RUN_TOGETHER:
            return f"set relabel: connected_components to give each connected piece its own id ({they})"
        return f"connected pieces are no objects either ({they}): give labels with one id for each object"


def _is_map(stack: Stack, sections: list[np.ndarray], relabel: bool, filled: int | None, parts: _Parts) -> bool:
    """Tells whether the labels are a map of cells between membranes. Raises InputError if relabelling is no remedy.

    Args:
      filled: the only id, if it covers more than half and touches all six sides, as no single object does.
    """
    values = values_of(sections) or {}
    membranes = [value for value, of in values.items() if of.membrane]
    if not membranes and filled is None:
        return False
    membrane = min(membranes, key=lambda value: values[value].share, default=0)
    cells = max((value for value in values if value not in (0, membrane)), key=lambda k: values[k].share, default=0)
    if membrane == 0 and (relabel or (filled is None and not _is_all_cells(values[cells]))):
        return filled is not None or _is_all_cells(values[cells])
    if membrane == 0:
        remedy = parts.remedy()
    elif cells:
        remedy = (
            f"set unlabelled: [{membrane}] and relabel: connected_components to give each connected piece its own id"
        )
    else:
        remedy = (
            "invert them (in Fiji: Edit > Invert), so that membranes are 0, and set relabel: connected_components to "
            "give each connected piece its own id"
        )
    listed = ", ".join(f"{value} covers {100 * of.share:.0f} %" for value, of in values.items())
    if not membranes:
        raise InputError(
            f"{stack.path}: the labels seem to be a map of membranes or of all cells, not an id for each object: "
            f"{listed}, and {filled} touches all six sides, as no single object does; {remedy}; if it is one object, "
            "set relabel: connected_components"
        )
    pieces = sum(of.pieces for value, of in values.items() if value != membrane)
    raise InputError(
        f"{stack.path}: the labels seem to be a map of membranes, not an id for each object: {listed}, and {membrane} "
        f"lies between about {pieces:.0f} pieces in each section, as membranes do; {remedy}"
    )


def _is_all_cells(value: Value) -> bool:
    return value.pieces >= _CELL_PIECES and value.share >= _CELL_SHARE


def _tell_background(
    stack: Stack, ids: np.ndarray, voxels: np.ndarray, sides: np.ndarray, total: int, context: Context
) -> None:
    """Tells if an id may mean "none": the largest, if it touches every side; or 255 or 65535, far above the others."""
    largest, last = int(np.argmax(voxels)), len(ids) - 1
    around = bool(sides[largest]) and voxels[largest] >= _SURROUNDS * total and len(ids) > 1
    if around:
        context.message(
            f"id {ids[largest]} covers {100 * voxels[largest] / total:.0f} % and touches every side; "
            f"if it means none, set unlabelled: [{ids[largest]}]"
        )
    top = 2**stack.form.bits - 1 if stack.form.bits in (8, 16) and stack.form.samples == 1 else None
    if len(ids) > 1 and ids[last] == top and 2 * ids[last - 1] < top and not (around and largest == last):
        context.message(
            f"id {top} is the largest value of {stack.form.bits} bits, the next is {ids[last - 1]}; it covers "
            f"{100 * voxels[last] / total:.1f} %; if it means none, set unlabelled: [{top}]"
        )


def _tell_relabelled(pieces: int, largest: float, is_map: bool, context: Context) -> None:
    context.message(
        f"relabelled: {pieces} connected piece{'s' if pieces > 1 else ''} (26 neighbours), each with its own id; "
        f"the largest holds {100 * largest:.0f} % of the labelled voxels"
    )
    if is_map and largest > _RUN_TOGETHER:
        context.message(
            "the cells of this map of membranes run together from section to section, so a piece is no object; "
            "give labels with one id for each object"
        )


def _tell_pieces(ids: np.ndarray, parts: np.ndarray, largest: float, context: Context) -> None:
    split = parts > 1
    if not split.any():
        return
    count = int(split.sum())
    some = [f"{label} in {n} pieces" for label, n in zip(ids[split][:_NAMED], parts[split][:_NAMED], strict=True)]
    if count > _NAMED:
        some.append("...")
    which = f"{count} of {len(ids)} ids {'are' if count > 1 else 'is'} not connected (26 neighbours): {', '.join(some)}"
    seem = "these seem to be classes, not objects; "
    if len(ids) == 1:
        which = f"the id is in {parts[0]} pieces (26 neighbours), of which the largest holds {100 * largest:.0f} %"
        seem = "it seems to be a class, not an object; if it marks membranes, give labels with one id for each object; "
    classes = len(ids) < MOST_CLASSES and parts.max() >= _CLASS_PIECES
    context.message(
        f"{which}; {seem if classes else ''}set relabel: connected_components to give each piece its own id"
    )
