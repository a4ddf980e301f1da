"""What is wrong with the cells that were found in a picture: missed, merged, split, outlined wrongly, invented."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from floodrunner.segmentation.scores.rand_and_vi import marginal, overlaps

IOU: Final = 0.5
"""A cell is found if a segment overlaps it with a larger intersection over union."""
_HARDLY = 0.1
"""Share of its pixels up to which a cell is not covered at all, or a segment is in no cell at all."""


class CellMistakes(NamedTuple):
    """Numbers of cells and segments of a picture. Each cell of the truth is counted once, in the first five.

    Each segment is counted once, too: as `found`, or in one of the last four.

    Attributes:
      found: cells with a segment of an intersection over union (IoU) above `IOU`.
      merged: others more than half of which is in a segment that holds more than half of another cell too.
      split: others that hold more than half of each of two segments or more.
      missed: others less than a tenth of which is covered by segments.
      inexact: all others: something is there, but its outline is not that of the cell.
      invented: segments less than a tenth of which is in cells.
      pieces: other segments more than half of which is in a cell that is found by another segment.
      excess: other segments that lie most in a cell that is found by another segment, or in one that is missed.
      misfits: all others: they lie most in a cell that is merged, split or inexact, which says what is wrong.
    """

    found: int
    merged: int
    split: int
    missed: int
    inexact: int
    invented: int
    pieces: int
    excess: int
    misfits: int

    @property
    def wrong(self) -> int:
        """Number of cells that are not found, and of segments too many: invented, pieces of a cell, or in excess."""
        return sum(self) - self.found - self.misfits

    @property
    def too_many(self) -> int:
        """Number of segments that are invented, pieces of a cell, or in excess."""
        return self.invented + self.pieces + self.excess


def cell_mistakes(found: np.ndarray, truth: np.ndarray) -> CellMistakes:
    """Sorts the cells of a picture by what became of them.

    Args:
      found, truth: (y, x) integers, one id per cell, 0 = none.
    """
    table = overlaps(found, truth)
    segments, s = np.unique(table.segment, return_inverse=True)
    cells, t = np.unique(table.truth, return_inverse=True)
    sizes, true_sizes = marginal(table.segment, table.voxels), marginal(table.truth, table.voxels)
    real = (table.segment != 0) & (table.truth != 0)
    s, t, both = s[real], t[real], table.voxels[real]
    matched = both / (sizes[s] + true_sizes[t] - both) > IOU

    def any_of(group: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
        return np.bincount(group[chosen], minlength=count) > 0

    of_cell, of_segment = both > true_sizes[t] / 2, both > sizes[s] / 2
    joins = np.bincount(s[of_cell], minlength=len(segments)) > 1
    left = (cells != 0) & ~any_of(t, matched, len(cells))
    merged = left & any_of(t, of_cell & joins[s], len(cells))
    left &= ~merged
    split = left & (np.bincount(t[of_segment], minlength=len(cells)) > 1)
    left &= ~split
    missed = left & (np.bincount(t, both, len(cells)) < _HARDLY * true_sizes)
    invented = (segments != 0) & (np.bincount(s, both, len(segments)) < _HARDLY * sizes)
    taken, seen = any_of(s, matched, len(segments)), any_of(t, matched, len(cells))
    others = (segments != 0) & ~taken & ~invented
    pieces = others & any_of(s, of_segment & seen[t], len(segments))
    others &= ~pieces
    most = np.zeros(len(segments))
    np.maximum.at(most, s, both)
    tried = any_of(s, (both == most[s]) & ~(seen | missed)[t], len(segments))
    kinds = (merged, split, missed, left & ~missed, invented, pieces, others & ~tried, others & tried)
    return CellMistakes(int(np.count_nonzero(matched)), *(int(np.count_nonzero(each)) for each in kinds))
