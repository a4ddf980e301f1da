"""Tells from sections of labels what they hold: an id for each object, a few classes, or grey values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

MOST_CLASSES: Final = 4
"""Largest number of different values, 0 among them, that may be classes (membrane, cell, mitochondrion, ...)."""

_SMALLEST = 16  # pixels: smaller pieces are specks, and do not count
_CELLS = 8  # smallest number of pieces in a section that a membrane separates
_SEPARATED = 0.8  # largest share of the other values in one piece; 0.73 in SNEMI3D, where cells run together
_MOST_MEMBRANE = 0.6  # of the pixels


def unsteady_share(sections: Iterable[np.ndarray]) -> float:
    """Measures how often values change like grey values do: from each pixel to the next.

    Of the labelled pixels that differ from one of their two neighbours, left and right or up and down, some differ from
    both. Objects are wider than a pixel, so in labels these are few: 0 to 3 % in SNEMI3D, in ISBI 2012 and in the Data
    Science Bowl 2018, also when every eighth pixel is kept. They are 95 % in electron micrographs, 55 % in pictures of
    nuclei, 75 to 85 % in probability maps, and 40 to 56 % in labels that were scaled with interpolation.

    Args:
      sections: (y, x) integers, 0 = none.

    Returns:
      The share of pixels that differ from both, among those that differ from one; 0 if none does.
    """
    both = either = 0
    for section in sections:
        for lines in (section, section.T):
            change = lines[:, 1:] != lines[:, :-1]
            labelled = lines[:, 1:-1] != 0
            both += int(np.count_nonzero(change[:, :-1] & change[:, 1:] & labelled))
            either += int(np.count_nonzero((change[:, :-1] | change[:, 1:]) & labelled))
    return both / either if either else 0.0


class Value(NamedTuple):
    """What one value of a map with few values looks like in its sections, on average.

    Attributes:
      share: of all pixels.
      pieces: connected pieces (4 neighbours) in a section, without those under 16 pixels.
      membrane: whether it separates the others into pieces, as membranes separate cells.
    """

    share: float
    pieces: float
    membrane: bool


def values_of(sections: list[np.ndarray]) -> dict[int, Value] | None:
    """Looks at each value of a map with few values.

    A value is taken for membranes if it covers at most 60 % of the pixels, and without it the other values lie in 8 or
    more pieces a section, of which the largest holds at most 80 % of their pixels. So a single neuron or glial cell is
    not taken for membranes: what is around it lies in one or two pieces, of which the largest holds 94 % or more
    (all neurites and glial cells of SNEMI3D).

    Args:
      sections: (y, x) integers.

    Returns:
      The values, 0 among them, ascending; None if there are more than `MOST_CLASSES` of them, or none.
    """
    values: set[int] = set()
    for section in sections:
        values.update(np.unique(section).tolist())
        if len(values) > MOST_CLASSES:
            return None
    return {value: _value([section == value for section in sections]) for value in sorted(values)} or None


def _value(masks: list[np.ndarray]) -> Value:
    share = float(np.mean([mask.mean() for mask in masks]))
    own, others = ([_piece_sizes(mask == of) for mask in masks] for of in (True, False))
    cells = float(np.mean([len(sizes) for sizes in others]))
    largest = float(np.mean([sizes.max() / sizes.sum() if len(sizes) else 1 for sizes in others]))
    membrane = 0 < share <= _MOST_MEMBRANE and cells >= _CELLS and largest <= _SEPARATED
    return Value(share, float(np.mean([len(sizes) for sizes in own])), membrane)


def _piece_sizes(mask: np.ndarray) -> np.ndarray:
    import cc3d

    sizes = np.bincount(cc3d.connected_components(mask, connectivity=4).ravel())[1:]
    return sizes[sizes >= _SMALLEST]
