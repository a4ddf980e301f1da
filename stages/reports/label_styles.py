"""The styles in which labels are written as sections: ids, greys, colours, overlays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation import colours, labels
from floodrunner.segmentation.ffn.partitions import object_sizes
from floodrunner.stages.storage.labels import Labels, slabs

Format = Literal["png", "tiff"]
Draw = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""Turns a section of labels, (y, x), and that of the image, (y, x) uint8, into the pixels of a file."""


class Ids(NamedTuple):
    """How object ids are written: as grey of 16 bits, or of 32 bits in a TIFF if they need them."""

    bits: int
    format: Format

    @property
    def title(self) -> str:
        """For the user, who opens such a file and sees nothing."""
        kind = "" if self.bits == 16 else " TIFF"
        return f"object ids, {self.bits} bit{kind}; looks black in most viewers"

    def draw(self, section: np.ndarray, _: np.ndarray | None = None) -> np.ndarray:
        return section.astype(np.uint16 if self.bits == 16 else np.uint32)


def ids(volume: Labels, form: Format, wide_as_tiff: bool) -> Ids:
    """Finds how the ids of a volume are written.

    Args:
      form: the format that is wanted.
      wide_as_tiff: write ids that need 32 bits as TIFF even if PNG is wanted, which has 16.

    Raises:
      InputError: if they do not fit.
    """
    largest = _largest(volume)
    if largest >= 2**16 and form == "png" and not wide_as_tiff:
        raise InputError(
            f"{volume.path}: id {largest} does not fit the 16 bits of a grey PNG; set format: tiff, or style: vast"
        )
    if largest >= 2**32:
        raise InputError(
            f"{volume.path}: id {largest} does not fit the 32 bits of a TIFF; renumber the ids (import-labels with "
            "relabel: connected_components), or use style: colour"
        )
    return Ids(16, form) if largest < 2**16 else Ids(32, "tiff")


def greys(volume: Labels, context: Context) -> Draw:
    """Grey 1 to 255; says how many ids share their grey with another."""
    largest = _largest(volume)
    if largest > 255:
        known = object_sizes(volume.read(part) for part in slabs(volume.shape, volume.depth))[0]
        shared = len(known) - len(np.unique(labels.to_greys(known)))
        context.message(
            f"ids go up to {largest}: above 255 the greys begin again at 1, so {shared} of {len(known)} ids share "
            "their grey with another; style: ids keeps them apart"
        )
    return lambda section, _: labels.to_greys(section)


def vast(volume: Labels) -> Draw:
    """Colours that encode ids. Raises InputError if an id does not fit them."""
    if (largest := _largest(volume)) >= 2**24:
        raise InputError(f"{volume.path}: id {largest} does not fit the 24 bits of style: vast; use style: ids")
    return lambda section, _: labels.ids_to_rgb(section)


def coloured(recolour: Callable[[np.ndarray], np.ndarray]) -> Draw:
    """A colour for each id. `recolour` replaces ids by those whose colours they have."""
    return lambda section, _: colours.colours(recolour(section))


def over_image(recolour: Callable[[np.ndarray], np.ndarray], opacity: float) -> Draw:
    """The same colours, over the image."""
    return lambda section, grey: colours.overlay(np.asarray(grey), recolour(section), opacity)


def _largest(volume: Labels) -> int:
    if volume.dtype.itemsize == 1:
        return 255
    return max(int(volume.read(part).max()) for part in slabs(volume.shape, volume.depth))
