"""Pairs the objects of a segmentation with those of the truth, so that pairs can have one colour."""

from __future__ import annotations

import numpy as np

from floodrunner.segmentation.scores.rand_and_vi import Overlaps


def colour_ids(table: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Gives each object of a segmentation an id for its colour: that of the true object that it is paired with.

    Pairs are made one to one, those with the largest overlap first. So of the parts of a split neuron the largest has
    its colour, and the others have colours of their own; and of the neurons in a merged object one has its colour.

    Args:
      table: all overlaps of the segmentation and the truth.

    Returns:
      The ids of the segmentation, ascending, with 0 if it occurs; and for each the id for its colour, uint64: 0 for 0,
      an id of the truth for an object that is paired, and ids that the truth does not have for the others.
    """
    ids = np.unique(table.segment)
    both = (table.segment != 0) & (table.truth != 0)
    segment, true, voxels = (column[both] for column in table)
    paired: dict[int, int] = {}
    used: set[int] = set()
    order = np.lexsort((true, segment, -voxels))
    for one, other in zip(segment[order].tolist(), true[order].tolist(), strict=True):
        if one not in paired and other not in used:
            paired[one] = other
            used.add(other)
    known, found = np.array(list(paired), ids.dtype), np.array(list(paired.values()), np.uint64)
    single = np.setdiff1d(ids[ids != 0], known)
    true_ids = np.unique(table.truth).astype(np.uint64)
    free = np.setdiff1d(np.arange(1, len(single) + len(true_ids) + 1, dtype=np.uint64), true_ids)
    colours = np.zeros(len(ids), np.uint64)
    colours[np.searchsorted(ids, known)] = found
    colours[np.searchsorted(ids, single)] = free[: len(single)]
    return ids, colours


def recoloured(labels: np.ndarray, ids: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Replaces ids by the ids for their colours.

    Args:
      labels: integers of any shape, each of which occurs in `ids`.
      ids, colours: as `colour_ids` returns them.
    """
    return colours[np.searchsorted(ids, labels)]
